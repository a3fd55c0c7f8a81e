// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void error_codes_have_names_and_texts(void **state) {
    (void)state;
    assert_string_equal(fn_error_name(FN_EIO), "FN_EIO");
    assert_string_equal(fn_error_text(FN_OK), "success");
    assert_string_equal(fn_error_name(-999), "FN_?");
}

static void a_prefix_keeps_the_message_after_it(void **state) {
    (void)state;
    assert_int_equal(fn_fail(FN_EFORMAT, "row %d", 3), FN_EFORMAT);
    fn_fail_prefix(FN_EFORMAT, "%s", "file.txt");
    assert_string_equal(fn_last_error(), "file.txt: row 3");
}

static void a_very_long_message_is_cut_not_overrun(void **state) {
    (void)state;
    char text[4000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    fn_fail(FN_EIO, "%s", text);
    fn_fail_prefix(FN_EIO, "%s", text);
    assert_true(strlen(fn_last_error()) < 1024);
}

static void sizes_that_overflow_are_refused(void **state) {
    (void)state;
    size_t n;
    assert_false(fn_size_mul(&n, SIZE_MAX / 2, 3));
    assert_null(fn_realloc(NULL, SIZE_MAX / 2, 3));
}

static void the_nth_allocation_fails_once(void **state) {
    (void)state;
    fn_alloc_fail_nth(2);
    void *a = fn_alloc(1), *b = fn_alloc(1), *c = fn_alloc(1);
    fn_alloc_fail_nth(0);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    fn_free(a);
    fn_free(c);
}

static void a_buffer_stops_at_its_maximum(void **state) {
    (void)state;
    fn_buf buf;
    fn_buf_init(&buf, 10);
    assert_int_equal(fn_buf_printf(&buf, "%s", "0123456789"), FN_OK);
    assert_int_equal(fn_buf_append(&buf, "x", 1), FN_ELIMIT);
    assert_null(fn_buf_take(&buf));
}

static void files_are_written_whole_and_read_back(void **state) {
    (void)state;
    char folder[] = "/tmp/facenet-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *deep = fn_path_join(folder, "a/b");
    assert_int_equal(fn_mkdirs(deep, 0700), FN_OK);
    char *file = fn_path_join(deep, "f");
    assert_int_equal(fn_write_file(file, "hello", 5, 0600), FN_OK);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(fn_read_file(&bytes, &n, file, 5), FN_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(bytes, "hello", 6);
    fn_free(bytes);
    assert_int_equal(fn_read_file(&bytes, &n, file, 4), FN_ELIMIT);
    assert_int_equal(fn_read_file(&bytes, &n, deep, 4), FN_EIO);
    assert_null(bytes);
    unlink(file);
    rmdir(deep);
    fn_free(file);
    fn_free(deep);
    char *a = fn_path_join(folder, "a");
    rmdir(a);
    fn_free(a);
    rmdir(folder);
}

static void utf8_is_told_from_other_bytes(void **state) {
    (void)state;
    assert_true(fn_utf8_valid("Zo\xc3\xab \xe5\xb1\xb1 \xf0\x9f\x98\x80", 13));
    assert_false(fn_utf8_valid("\xc0\x80", 2));         // overlong
    assert_false(fn_utf8_valid("\xed\xa0\x80", 3));     // surrogate
    assert_false(fn_utf8_valid("\xe5\xb1", 2));         // cut
    assert_false(fn_utf8_valid("a\0b", 3));             // NUL
    assert_false(fn_utf8_valid("\xf5\x80\x80\x80", 4)); // past the last code point
}

/// The known answers that come with Random123.
static void philox_gives_the_published_numbers(void **state) {
    (void)state;
    uint32_t out[4];
    fn_philox(out, (uint32_t[4]){0, 0, 0, 0}, (uint32_t[2]){0, 0});
    assert_memory_equal(out, ((uint32_t[4]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), sizeof out);
    fn_philox(out, (uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
              (uint32_t[2]){0xa4093822, 0x299f31d0});
    assert_memory_equal(out, ((uint32_t[4]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}), sizeof out);
}

static void random_numbers_depend_on_their_place_only(void **state) {
    (void)state;
    fn_rng a = fn_rng_at(7, 3, 5), b = fn_rng_at(7, 3, 5), c = fn_rng_at(7, 3, 6);
    int order[100], seen[100] = {0}, differs = 0;
    double sum = 0, squares = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t bits = fn_rng_bits(&a);
        assert_int_equal(bits, fn_rng_bits(&b));
        differs += bits != fn_rng_bits(&c);
    }
    assert_true(differs > 990);
    for (int i = 0; i < 100000; i++) {
        double z = (double)fn_rng_normal(&a);
        sum += z;
        squares += z * z;
        assert_true(fn_rng_below(&a, 7) < 7);
        float u = fn_rng_unit(&a);
        assert_true(u >= 0 && u < 1);
    }
    assert_true(fabs(sum / 1e5) < 0.02 && fabs(squares / 1e5 - 1) < 0.02);
    for (int i = 0; i < 100; i++)
        order[i] = i;
    fn_rng_shuffle(&a, order, 100);
    for (int i = 0; i < 100; i++)
        seen[order[i]]++;
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
}

static void sha256_matches_the_standard_vector(void **state) {
    (void)state;
    char hex[65];
    fn_sha256_hex(hex, "abc", 3); // FIPS 180-4 example
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_codes_have_names_and_texts),
        cmocka_unit_test(a_prefix_keeps_the_message_after_it),
        cmocka_unit_test(a_very_long_message_is_cut_not_overrun),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(the_nth_allocation_fails_once),
        cmocka_unit_test(a_buffer_stops_at_its_maximum),
        cmocka_unit_test(files_are_written_whole_and_read_back),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(random_numbers_depend_on_their_place_only),
        cmocka_unit_test(sha256_matches_the_standard_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
