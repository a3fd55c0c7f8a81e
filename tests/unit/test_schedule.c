// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "train/schedule.h"

#include <facenet/base.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char table[64];

static void write_table(const char *text) {
    snprintf(table, sizeof table, "schedule-%d.txt", (int)getpid());
    assert_int_equal(fn_write_file(table, text, strlen(text), 0600), FN_OK);
}

static fn_schedule *parsed(const char *text) {
    fn_schedule *s = NULL;
    if (fn_schedule_parse(&s, text, 0.1) != FN_OK)
        fail_msg("%s: %s", text, fn_last_error());
    return s;
}

// A run of 100 epochs of 10 steps; rates at steps.
typedef struct expected {
    uint64_t step;
    double rate;
} expected;

static void gives(const char *text, const expected *e, size_t n) {
    fn_schedule *s = parsed(text);
    for (size_t i = 0; i < n; i++) {
        double rate = fn_schedule_lr(s, e[i].step, 10, 1000);
        if (!(rate - e[i].rate < 1e-12 && e[i].rate - rate < 1e-12))
            fail_msg("%s: step %d has rate %.12g, expected %.12g", text, (int)e[i].step, rate, e[i].rate);
    }
    fn_schedule_free(s);
}
#define GIVES(text, ...)                                                                                     \
    gives(text, (const expected[]){__VA_ARGS__}, sizeof((const expected[]){__VA_ARGS__}) / sizeof(expected))

static void rates_follow_the_text(void **state) {
    (void)state;
    GIVES("constant", {0, 0.1}, {999, 0.1}, {5000, 0.1});
    GIVES("constant:lr=0.05", {0, 0.05}, {999, 0.05});
    GIVES("step:every=10", {0, 0.1}, {99, 0.1}, {100, 0.01}, {199, 0.01}, {200, 0.001});
    GIVES("step:at=3+5,factor=0.5", {29, 0.1}, {30, 0.05}, {49, 0.05}, {50, 0.025}, {999, 0.025});
    GIVES("cosine", {0, 0.1}, {250, 0.05 * (1 + 0.70710678118654752)}, {500, 0.05}, {1000, 0}, {2000, 0});
    GIVES("cosine:end=0.02,lr=0.06", {0, 0.06}, {500, 0.04}, {1000, 0.02});
}

static void warm_up_rises_in_a_line_to_the_rate(void **state) {
    (void)state;
    GIVES("constant:warmup=4", {0, 0.025}, {1, 0.05}, {2, 0.075}, {3, 0.1}, {4, 0.1});
    // the cosine begins where the warm-up ends
    GIVES("cosine:warmup=200", {99, 0.05}, {199, 0.1}, {200, 0.1}, {600, 0.05}, {1000, 0});
}

static void a_file_of_epochs_is_followed_until_it_ends_the_training(void **state) {
    (void)state;
    char text[128];
    write_table("# rates\r\n0: 0.05\n\n 60 : 5e-3 # lower\n80: 0.0005\n91: -1\n");
    snprintf(text, sizeof text, "file:%s", table);
    GIVES(text, {0, 0.05}, {599, 0.05}, {600, 0.005}, {800, 0.0005}, {909, 0.0005}, {910, -1}, {5000, -1});
    write_table("2: 0.3\n4: -");
    snprintf(text, sizeof text, "file:%s,warmup=2", table);
    GIVES(text, {0, 0.15}, {1, 0.3}, {39, 0.3}, {40, -1});
    unlink(table);
}

static void refused(const char *text, int code, const char *part) {
    fn_schedule *s;
    assert_int_equal(fn_schedule_parse(&s, text, 0.1), code);
    assert_null(s);
    if (!strstr(fn_last_error(), part))
        fail_msg("%s: \"%s\" lacks \"%s\"", text, fn_last_error(), part);
}

static void mistakes_are_told_with_what_was_expected(void **state) {
    (void)state;
    refused("linear", FN_EINVAL, "there is no schedule \"linear\": choose constant, step, cosine or file");
    refused("constant:speed=3", FN_EINVAL, "there is no option \"speed\": it takes lr, warmup");
    refused("constant:every=3", FN_EINVAL, "there is no option \"every\"");
    refused("cosine:warmup=1.5", FN_EINVAL, "warmup is \"1.5\", expected a whole number from 0");
    refused("cosine:lr=0", FN_EINVAL, "lr is \"0\", expected a number above 0");
    refused("cosine:end", FN_EINVAL, "expected name=value");
    refused("cosine:end=nan", FN_EINVAL, "end is \"nan\"");
    refused("step", FN_EINVAL, "expected either every=EPOCHS or at=EPOCH+EPOCH...");
    refused("step:every=2,at=3", FN_EINVAL, "expected either");
    refused("step:at=5+3", FN_EINVAL, "rising");
    refused("step:at=", FN_EINVAL, "rising");
    refused("file", FN_EINVAL, "expected file:PATH");
    refused("file:nowhere.txt", FN_EIO, "nowhere.txt: No such file");
    fn_schedule *s;
    assert_int_equal(fn_schedule_parse(&s, "constant", 0), FN_EINVAL);
}

static void mistakes_in_a_file_are_told_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"0: 0.1\nfast\n", "line 2: \"fast\": expected \"epoch: rate\""},
        {"0: 0.1\n1: quick", "line 2: the rate is \"quick\""},
        {"0: 0.1\n1: 0", "line 2: the rate is \"0\""},
        {"0.5: 0.1", "line 1: the epoch is \"0.5\""},
        {"3: 0.1\n3: 0.2", "line 2: epoch 3 follows epoch 3: epochs must rise"},
        {"# nothing\n", "there is no rate to begin with"},
        {"0: -1", "there is no rate to begin with"},
    };
    char text[128];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_table(cases[i].text);
        snprintf(text, sizeof text, "file:%s", table);
        refused(text, FN_EINVAL, cases[i].part);
    }
    unlink(table);
}

static void out_of_memory_is_said_and_leaves_nothing(void **state) {
    (void)state;
    char text[128];
    write_table("0: 0.1\n3: 0.2\n");
    snprintf(text, sizeof text, "file:%s", table);
    int failures = 0;
    for (int nth = 1;; nth++) {
        fn_schedule *s;
        fn_alloc_fail_nth(nth);
        int rc = fn_schedule_parse(&s, text, 0.1);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_schedule_free(s);
        if (count < nth)
            break;
        assert_int_equal(rc, FN_ENOMEM);
        failures++;
    }
    assert_true(failures >= 5);
    unlink(table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_follow_the_text),
        cmocka_unit_test(warm_up_rises_in_a_line_to_the_rate),
        cmocka_unit_test(a_file_of_epochs_is_followed_until_it_ends_the_training),
        cmocka_unit_test(mistakes_are_told_with_what_was_expected),
        cmocka_unit_test(mistakes_in_a_file_are_told_with_their_line),
        cmocka_unit_test(out_of_memory_is_said_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
