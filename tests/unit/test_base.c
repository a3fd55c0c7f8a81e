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

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
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

// ---- places -------------------------------------------------------------------------------------

/// A fresh folder for one test, gone afterwards, and the test is in it.
static int enter_folder(void **state) {
    static char folder[32];
    snprintf(folder, sizeof folder, "/tmp/test_base.XXXXXX");
    *state = folder;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
    return chdir("/") == 0 && fn_remove_tree(*state) == FN_OK ? 0 : -1;
}

static void assert_file(const char *path, const char *text) {
    unsigned char *bytes;
    size_t n;
    if (fn_read_file(&bytes, &n, path, 4096) < 0)
        fail_msg("%s: %s", path, fn_last_error());
    assert_string_equal((char *)bytes, text);
    fn_free(bytes);
}

static int count_names(const char *folder) {
    DIR *d = opendir(folder);
    assert_non_null(d);
    int n = -2; // "." and ".."
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void what_is_no_regular_file_is_not_written_over(void **state) {
    (void)state;
    struct stat st;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("pipe", "to_pipe"), 0);
    assert_int_equal(symlink("nowhere", "to_nowhere"), 0);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (const struct sockaddr *)&address, sizeof address), 0);
    const char *const names[] = {"pipe", "folder", "to_pipe", "to_nowhere", "socket"};
    const mode_t kinds[] = {S_IFIFO, S_IFDIR, S_IFLNK, S_IFLNK, S_IFSOCK};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fn_write_file(names[i], "x", 1, 0600), FN_EIO);
        assert_non_null(strstr(fn_last_error(), names[i]));
        assert_int_equal(lstat(names[i], &st), 0);
        assert_int_equal(st.st_mode & S_IFMT, kinds[i]);
    }
    close(s);
    assert_int_equal(count_names("."), 5); // nothing is left beside them
}

static void a_link_is_written_through_and_a_long_name_too(void **state) {
    (void)state;
    struct stat st;
    char name[256] = {0};
    memset(name, 'n', 255);
    assert_int_equal(mkdir("far", 0700), 0);
    assert_int_equal(fn_write_file("far/file", "old", 3, 0600), FN_OK);
    assert_int_equal(symlink("far/file", "link"), 0);
    assert_int_equal(fn_write_file("link", "new", 3, 0640), FN_OK);
    assert_file("far/file", "new");
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat("link", &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(fn_write_file(name, "long", 4, 0600), FN_OK); // as long as a name may be
    assert_file(name, "long");
    assert_int_equal(count_names("far"), 1);
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_write_file("link", "last", 4, 0600);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        assert_file("far/file", rc == FN_OK ? "last" : "new");
    }
    assert_int_equal(count_names("far"), 1);
}

/// Kills a process that writes one file after the other until one was caught in the middle.
static void leave_half_a_file(const char *path, size_t n) {
    unsigned char *bytes = fn_calloc(n, 1);
    assert_non_null(bytes);
    for (int i = 0; i < 200 && count_names("half") < 2; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                fn_write_file(path, bytes, n, 0600);
        struct timespec ms = {0, (5 + i % 7) * 1000000L};
        nanosleep(&ms, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    fn_free(bytes);
}

static void what_a_killed_writer_left_is_swept_away(void **state) {
    (void)state;
    assert_int_equal(mkdir("half", 0700), 0);
    assert_int_equal(fn_write_file("half/file", "whole", 5, 0600), FN_OK);
    leave_half_a_file("half/file", 4 << 20);
    assert_true(count_names("half") >= 2);
    assert_int_equal(fn_write_file(".facenet-part-mine", "x", 1, 0600), FN_OK); // not six letters
    assert_int_equal(mkdir("half/.hidden", 0700), 0);
    int fd = open("half/.hidden/.facenet-part-abcdef", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0); // somebody writes it
    fn_sweep_temporaries(".");
    assert_int_equal(count_names("half"), 2);
    assert_int_equal(count_names("half/.hidden"), 1);
    close(fd);
    fn_sweep_temporaries(".");
    assert_int_equal(count_names("half/.hidden"), 0);
    assert_file(".facenet-part-mine", "x");
}

static void a_sweep_beside_a_file_goes_no_deeper(void **state) {
    (void)state;
    static const char *const left[] = {".facenet-part-abcdef", "a/.facenet-part-abcdef",
                                       "a/b/.facenet-part-abcdef"};
    assert_int_equal(fn_mkdirs("a/b", 0700), FN_OK);
    for (int i = 0; i < 3; i++)
        close(open(left[i], O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    int fd = open("a/.facenet-part-uvwxyz", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0); // somebody writes it
    fn_sweep_beside("a/file");
    assert_int_equal(count_names("a"), 2);
    assert_int_equal(count_names("a/b"), 1);
    assert_int_equal(count_names("."), 2);
    close(fd);
    fn_sweep_beside("file");
    assert_int_equal(count_names("."), 1);
    assert_int_equal(count_names("a"), 2);
    fn_sweep_beside("nowhere/file");
}

static void a_part_gets_its_name_when_it_is_finished(void **state) {
    (void)state;
    fn_partial part = {0};
    fn_partial_free(&part);
    assert_int_equal(mkdir("far", 0700), 0);
    assert_int_equal(fn_write_file("far/file", "old", 3, 0600), FN_OK);
    assert_int_equal(symlink("far/file", "link"), 0);
    assert_int_equal(fn_partial_open(&part, "link", 0600), FN_OK);
    assert_int_equal(write(part.fd, "new", 3), 3);
    assert_file("far/file", "old");
    fn_sweep_temporaries(".");
    assert_int_equal(count_names("far"), 2);
    fn_partial_free(&part);
    assert_int_equal(count_names("far"), 1);
    assert_int_equal(fn_partial_open(&part, "link", 0600), FN_OK);
    assert_int_equal(write(part.fd, "new", 3), 3);
    assert_int_equal(fn_partial_finish(&part), FN_OK);
    fn_partial_free(&part);
    assert_file("far/file", "new");
    assert_int_equal(count_names("far"), 1);
    assert_int_equal(count_names("."), 2);
}

static void no_file_is_wider_than_the_umask(void **state) {
    (void)state;
    static const unsigned modes[][3] = {
        {077, 0644, 0600}, {027, 0666, 0640}, {022, 0600, 0600}, {0, 0644, 0644}};
    struct stat st;
    const mode_t before = umask(0);
    for (int i = 0; i < 4; i++) {
        umask((mode_t)modes[i][0]);
        assert_int_equal(fn_write_file("file", "x", 1, modes[i][1]), FN_OK);
        assert_int_equal(stat("file", &st), 0);
        assert_int_equal(st.st_mode & 0777, modes[i][2]);
    }
    umask(before);
}

static void *write_often(void *failures) {
    for (int i = 0; i < 300; i++)
        *(int *)failures += fn_write_file("file", "abc", 3, 0600) != FN_OK;
    return NULL;
}

static void a_sweep_leaves_those_who_write_alone(void **state) {
    (void)state;
    pthread_t writer;
    int n_failed = 0;
    assert_int_equal(pthread_create(&writer, NULL, write_often, &n_failed), 0);
    for (int i = 0; i < 1000; i++)
        fn_sweep_temporaries(".");
    pthread_join(writer, NULL);
    assert_int_equal(n_failed, 0);
    assert_file("file", "abc");
    assert_int_equal(count_names("."), 1);
}

static void paths_lose_their_links_and_dots(void **state) {
    (void)state;
    char here[64], wanted[128];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(mkdir("a", 0700), 0);
    assert_int_equal(symlink("a", "l"), 0);
    assert_int_equal(symlink("nowhere", "gone"), 0);
    const char *const pairs[][2] = {{".", ""},           {"a", "/a"},           {"l/", "/a"},
                                    {"l/new", "/a/new"}, {"new//b/", "/new/b"}, {"./l/../b", "/b"},
                                    {"n/../../x", NULL}, {"n/./m/..", "/n"},    {"gone/x", "/gone/x"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *real = fn_path_real(pairs[i][0]);
        snprintf(wanted, sizeof wanted, "%s%s", here, pairs[i][1] ? pairs[i][1] : "");
        assert_non_null(real);
        assert_string_equal(real, pairs[i][1] ? wanted : "/tmp/x");
        fn_free(real);
    }
    const char *const above[] = {"/", "/..", "/../..", "//", "/nobody-has-this/.."};
    for (size_t i = 0; i < sizeof above / sizeof *above; i++) {
        char *real = fn_path_real(above[i]);
        assert_string_equal(real, "/");
        fn_free(real);
    }
    for (int n = 1; n <= 2; n++) {
        fn_alloc_fail_nth(n);
        assert_null(fn_path_real("a/b"));
        fn_alloc_fail_nth(0);
    }
}

static void a_walk_reaches_what_is_below_and_not_hidden(void **state) {
    (void)state;
    assert_true(fn_path_reaches("/a", "/a"));
    assert_true(fn_path_reaches("/a", "/a/b/c"));
    assert_true(fn_path_reaches("/", "/a"));
    assert_true(fn_path_reaches("/.h/a", "/.h/a/b"));
    assert_false(fn_path_reaches("/a", "/ab"));
    assert_false(fn_path_reaches("/a/b", "/a"));
    assert_false(fn_path_reaches("/a", "/a/.b/c"));
    assert_false(fn_path_reaches("/a", "/a/b/.c"));
}

static void a_tree_is_removed_and_what_it_links_to_stays(void **state) {
    (void)state;
    assert_int_equal(fn_mkdirs("t/a/b", 0700), FN_OK);
    assert_int_equal(fn_write_file("kept", "kept", 4, 0600), FN_OK);
    assert_int_equal(mkdir("folder", 0700), 0);
    assert_int_equal(symlink("../../kept", "t/a/file"), 0);
    assert_int_equal(symlink("../folder", "t/folder"), 0);
    assert_int_equal(fn_remove_tree("t"), FN_OK);
    assert_int_equal(fn_remove_tree("t"), FN_OK); // not there: nothing to do
    assert_int_equal(count_names("."), 2);
    assert_file("kept", "kept");
}

// ---- texts and numbers ----------------------------------------------------------------------------

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
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_not_written_over, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(a_link_is_written_through_and_a_long_name_too, enter_folder,
                                        leave_folder),
        cmocka_unit_test_setup_teardown(what_a_killed_writer_left_is_swept_away, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(a_sweep_beside_a_file_goes_no_deeper, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(a_part_gets_its_name_when_it_is_finished, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(no_file_is_wider_than_the_umask, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(a_sweep_leaves_those_who_write_alone, enter_folder, leave_folder),
        cmocka_unit_test_setup_teardown(paths_lose_their_links_and_dots, enter_folder, leave_folder),
        cmocka_unit_test(a_walk_reaches_what_is_below_and_not_hidden),
        cmocka_unit_test_setup_teardown(a_tree_is_removed_and_what_it_links_to_stays, enter_folder,
                                        leave_folder),
        cmocka_unit_test(utf8_is_told_from_other_bytes),
        cmocka_unit_test(philox_gives_the_published_numbers),
        cmocka_unit_test(random_numbers_depend_on_their_place_only),
        cmocka_unit_test(sha256_matches_the_standard_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
