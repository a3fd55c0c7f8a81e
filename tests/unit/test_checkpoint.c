// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints and metrics: what a run needs to be killed at any moment and to go on.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

#include <errno.h>
#include <facenet/base.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[64];

static const char *at(const char *leaf) {
    static char path[4][128];
    static int next;
    char *dst = path[next++ % 4];
    snprintf(dst, sizeof path[0], "%s/%s", folder, leaf);
    return dst;
}

static int new_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "checkpoint.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

typedef struct contents {
    float weights[50], state[7];
    uint64_t steps;
    char *json;
} contents;

#define BLOCKS(c)                                                                                            \
    (fn_checkpoint_block[]) {                                                                                \
        {"weights", (c)->weights, sizeof(c)->weights}, {"optimiser", (c)->state, sizeof(c)->state},          \
            {"empty", NULL, 0}, {                                                                            \
            "steps", &(c)->steps, sizeof(c)->steps                                                           \
        }                                                                                                    \
    }
enum { N_BLOCKS = 4 };

static contents filled(int seed) {
    contents c = {.steps = (uint64_t)seed};
    for (int i = 0; i < 50; i++)
        c.weights[i] = (float)(i * seed);
    for (int i = 0; i < 7; i++)
        c.state[i] = (float)(i - seed);
    return c;
}

static void write_one(const char *path, int seed) {
    contents c = filled(seed);
    char json[64];
    snprintf(json, sizeof json, "{\"step\":%d}", seed);
    if (fn_checkpoint_write(path, json, BLOCKS(&c), N_BLOCKS) != FN_OK)
        fail_msg("%s", fn_last_error());
}

// Which seed wrote the file; the contents must be whole.
static int read_one(const char *path) {
    contents c = {.json = NULL};
    if (fn_checkpoint_read(path, &c.json, BLOCKS(&c), N_BLOCKS) != FN_OK)
        fail_msg("%s", fn_last_error());
    contents wanted = filled((int)c.steps);
    char json[64];
    snprintf(json, sizeof json, "{\"step\":%d}", (int)c.steps);
    assert_string_equal(c.json, json);
    assert_memory_equal(c.weights, wanted.weights, sizeof c.weights);
    assert_memory_equal(c.state, wanted.state, sizeof c.state);
    fn_free(c.json);
    return (int)c.steps;
}

static void what_is_written_is_read_back(void **state) {
    (void)state;
    write_one(at("a"), 3);
    assert_int_equal(read_one(at("a")), 3);
    write_one(at("a"), 4);
    assert_int_equal(read_one(at("a")), 4);
    struct stat st;
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(stat(at("a.part"), &st), 0);
}

static void the_json_alone_and_some_blocks_can_be_read(void **state) {
    (void)state;
    write_one(at("a"), 3);
    char *json;
    assert_int_equal(fn_checkpoint_read(at("a"), &json, NULL, 0), FN_OK);
    assert_string_equal(json, "{\"step\":3}");
    fn_free(json);
    uint64_t steps = 0;
    fn_checkpoint_block one = {"steps", &steps, sizeof steps};
    assert_int_equal(fn_checkpoint_read(at("a"), NULL, &one, 1), FN_OK);
    assert_int_equal(steps, 3);
}

static void another_network_is_refused_by_name(void **state) {
    (void)state;
    write_one(at("a"), 3);
    float weights[49] = {7}, other[2];
    char *json;
    fn_checkpoint_block smaller[] = {{"weights", weights, sizeof weights}};
    assert_int_equal(fn_checkpoint_read(at("a"), &json, smaller, 1), FN_ECONFLICT);
    assert_null(json);
    assert_true(weights[0] == 7); // untouched
    assert_non_null(strstr(fn_last_error(), "\"weights\" has 200 bytes, this run needs 196"));
    fn_checkpoint_block unknown[] = {{"averages", other, sizeof other}};
    assert_int_equal(fn_checkpoint_read(at("a"), NULL, unknown, 1), FN_ECONFLICT);
    assert_non_null(strstr(fn_last_error(), "it has no \"averages\""));
}

// Neither a wrong bit nor a missing tail passes, and the caller's blocks stay as they were.
static void refused(const char *path, const char *what, size_t place) {
    contents c = {.steps = 77};
    int rc = fn_checkpoint_read(path, &c.json, BLOCKS(&c), N_BLOCKS);
    if (rc != FN_EFORMAT || c.json || c.steps != 77)
        fail_msg("%s at byte %zu: %s: %s", what, place, fn_error_name(rc), fn_last_error());
    if (!strstr(fn_last_error(), path) || strchr(fn_last_error(), '\n'))
        fail_msg("no clear line: %s", fn_last_error());
}

static void every_flipped_byte_and_every_cut_is_refused(void **state) {
    (void)state;
    write_one(at("a"), 3);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(fn_read_file(&bytes, &n, at("a"), 1 << 20), FN_OK);
    const char *path = at("b");
    for (size_t i = 0; i < n; i++) {
        for (int change = 0; change < 2; change++) {
            unsigned char was = bytes[i];
            bytes[i] ^= change ? 0x80 : 0x01;
            FILE *f = fopen(path, "wb");
            assert_non_null(f);
            assert_int_equal(fwrite(bytes, 1, n, f), n);
            fclose(f);
            bytes[i] = was;
            refused(path, "flipped", i);
        }
    }
    for (size_t i = n; i-- > 0;) {
        assert_int_equal(truncate(path, (off_t)i), 0);
        refused(path, "cut", i);
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fputc(0, f);
    fclose(f);
    refused(path, "longer", n);
    fn_free(bytes);
}

static void what_is_no_file_is_said(void **state) {
    (void)state;
    char *json;
    assert_int_equal(fn_checkpoint_read(at("missing"), &json, NULL, 0), FN_EIO);
    assert_int_equal(fn_checkpoint_read(folder, &json, NULL, 0), FN_EIO);
    contents c = filled(1);
    assert_int_equal(fn_checkpoint_write(at("no/such/folder"), "{}", BLOCKS(&c), N_BLOCKS), FN_EIO);
}

// A limit on the size of files stands for a full disk: the write fails in the middle in the same way.
static void a_full_disk_leaves_the_one_before(void **state) {
    (void)state;
    write_one(at("a"), 3);
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    contents c = filled(4);
    for (rlim_t room = 0; room < 300; room += 37) {
        struct rlimit small = {room, was.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        int rc = fn_checkpoint_write(at("a"), "{}", BLOCKS(&c), N_BLOCKS);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
        assert_int_equal(rc, FN_EIO);
        assert_non_null(strstr(fn_last_error(), "the checkpoint before, which is untouched"));
        assert_int_equal(read_one(at("a")), 3);
        assert_int_not_equal(access(at("a.part"), F_OK), 0);
    }
    signal(SIGXFSZ, handler);
    // A device that is always full, where there is one.
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(symlink("/dev/full", at("b.part")), 0); // is not followed
        write_one(at("b"), 5);
        assert_int_equal(read_one(at("b")), 5);
    }
}

// The same on a disk that is really full, where this may mount one.
static void a_small_disk_keeps_the_last_checkpoint_it_has_room_for(void **state) {
    (void)state;
    char small[128], path[160];
    snprintf(small, sizeof small, "%s", at("small"));
    snprintf(path, sizeof path, "%s/a", small);
    assert_int_equal(mkdir(small, 0700), 0);
    if (mount("none", small, "tmpfs", 0, "size=256k")) {
        printf("skipped: no file system can be mounted here: %s\n", strerror(errno));
        skip();
    }
    enum { ROOM = 100000, TOO_MUCH = 200000 };
    static char numbers[TOO_MUCH];
    char *json = NULL;
    fn_checkpoint_block fits = {"weights", numbers, ROOM}, too_much = {"weights", numbers, TOO_MUCH};
    int first = fn_checkpoint_write(path, "1", &fits, 1),
        second = fn_checkpoint_write(path, "2", &too_much, 1);
    char said[512];
    snprintf(said, sizeof said, "%s", fn_last_error());
    int third = fn_checkpoint_read(path, &json, &fits, 1), part = access(at("small/a.part"), F_OK);
    assert_int_equal(umount(small), 0);
    assert_int_equal(first, FN_OK);
    assert_int_equal(second, FN_EIO);
    assert_non_null(strstr(said, "No space left on device; it needs 0.2 MiB"));
    assert_int_equal(third, FN_OK);
    assert_string_equal(json, "1");
    assert_int_not_equal(part, 0);
    fn_free(json);
}

static void killed_at_any_moment_it_leaves_the_old_or_the_new_one(void **state) {
    (void)state;
    enum { KILLS = 60, FLOATS = 200000 };
    char path[128], part[128];
    snprintf(path, sizeof path, "%s", at("a"));
    snprintf(part, sizeof part, "%s", at("a.part"));
    float *weights = calloc(FLOATS, sizeof *weights);
    assert_non_null(weights);
    fn_checkpoint_block block = {"weights", weights, FLOATS * sizeof *weights};
    assert_int_equal(fn_checkpoint_write(path, "0", &block, 1), FN_OK);
    int last = 0, n_moved = 0, n_cut = 0;
    // On a machine that is busy with other work a child may not have written anything yet when it dies.
    for (int k = 0; k < KILLS || ((!n_cut || !n_moved) && k < 50 * KILLS); k++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (int step = last + 1;; step++) {
                char json[32];
                snprintf(json, sizeof json, "%d", step);
                for (int i = 0; i < FLOATS; i++)
                    weights[i] = (float)step;
                if (fn_checkpoint_write(path, json, &block, 1) != FN_OK)
                    _exit(1);
            }
        }
        struct timespec wait = {0, (1 + k * 7 % 40) * 500000L};
        nanosleep(&wait, NULL);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        n_cut += access(part, F_OK) == 0;
        char *json;
        if (fn_checkpoint_read(path, &json, &block, 1) != FN_OK)
            fail_msg("after kill %d: %s", k, fn_last_error());
        int step = (int)strtol(json, NULL, 10);
        assert_true(step >= last);
        for (int i = 0; i < FLOATS; i++)
            assert_true(weights[i] == (float)step);
        n_moved += step > last;
        last = step;
        fn_free(json);
    }
    printf("%d kills at least: %d in the middle of a file, %d with new checkpoints before\n", KILLS, n_cut,
           n_moved);
    assert_true(n_cut > 0 && n_moved > 0);
    free(weights);
}

static void out_of_memory_leaves_the_one_before(void **state) {
    (void)state;
    write_one(at("a"), 3);
    for (int nth = 1;; nth++) {
        contents c = filled(4);
        fn_alloc_fail_nth(nth);
        int rc = fn_checkpoint_write(at("a"), "{\"step\":4}", BLOCKS(&c), N_BLOCKS);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        if (count < nth) {
            assert_int_equal(rc, FN_OK);
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(rc, FN_ENOMEM);
        int seed = read_one(at("a")); // the last allocation is for the folder, after the new name stands
        assert_true(seed == 3 || seed == 4);
    }
    for (int nth = 1;; nth++) {
        contents c = {.steps = 77};
        fn_alloc_fail_nth(nth);
        int rc = fn_checkpoint_read(at("a"), &c.json, BLOCKS(&c), N_BLOCKS);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_free(c.json);
        if (count < nth) {
            assert_true(nth > 3);
            break;
        }
        assert_int_equal(rc, FN_ENOMEM);
        assert_null(c.json);
        assert_int_equal(c.steps, 77);
    }
}

// ---- metrics ---------------------------------------------------------------------------------

static fn_metrics *opened(uint64_t step) {
    fn_metrics *m = NULL;
    if (fn_metrics_open(&m, at("metrics.jsonl"), step) != FN_OK)
        fail_msg("%s", fn_last_error());
    return m;
}

static void put_steps(fn_metrics *m, uint64_t first, uint64_t last) {
    for (uint64_t s = first; s <= last; s++) {
        fn_metrics_begin(m, "step", s);
        fn_metrics_real(m, "loss", 1.0 / (3.0 + (double)s));
        fn_metrics_integer(m, "active", (int64_t)(10 * s));
        assert_int_equal(fn_metrics_end(m), FN_OK);
        if (s % 4 == 0) {
            fn_metrics_begin(m, "epoch", s);
            fn_metrics_real(m, "val", s == 4 ? NAN : 0.5);
            fn_metrics_text(m, "best", "\"x\"\n");
            assert_int_equal(fn_metrics_end(m), FN_OK);
        }
    }
}

static char *text_of(void) {
    unsigned char *text;
    size_t n;
    assert_int_equal(fn_read_file(&text, &n, at("metrics.jsonl"), 1 << 20), FN_OK);
    return (char *)text;
}

static void metrics_are_lines_of_json(void **state) {
    (void)state;
    fn_metrics *m = opened(0);
    put_steps(m, 4, 4);
    assert_int_equal(fn_metrics_sync(m), FN_OK);
    fn_metrics_free(m);
    char *text = text_of();
    assert_string_equal(text, "{\"kind\":\"step\",\"step\":4,\"loss\":0.142857143,\"active\":40}\n"
                              "{\"kind\":\"epoch\",\"step\":4,\"val\":null,\"best\":\"\\\"x\\\"\\n\"}\n");
    fn_free(text);
}

static void a_resumed_run_writes_the_same_bytes(void **state) {
    (void)state;
    fn_metrics *m = opened(0);
    put_steps(m, 1, 20);
    fn_metrics_free(m);
    char *whole = text_of();
    static const uint64_t steps[] = {0, 1, 8, 19, 20};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        // A line cut off by the kill goes too.
        FILE *f = fopen(at("metrics.jsonl"), "a");
        assert_non_null(f);
        fputs("{\"kind\":\"step\",\"st", f);
        fclose(f);
        m = opened(steps[i]);
        put_steps(m, steps[i] + 1, 20);
        fn_metrics_free(m);
        char *text = text_of();
        assert_string_equal(text, whole);
        fn_free(text);
    }
    fn_free(whole);
    struct stat st;
    assert_int_equal(stat(at("metrics.jsonl"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void series_are_read_by_kind_and_key(void **state) {
    (void)state;
    static const char *const keys[] = {"loss", "active", "nothing"};
    static const char *const epoch_keys[] = {"val"};
    fn_series series[3];
    assert_int_equal(fn_metrics_read(series, at("metrics.jsonl"), "step", keys, 3), FN_OK);
    assert_int_equal(series[0].n, 0); // no file yet
    fn_metrics *m = opened(0);
    put_steps(m, 1, 600);
    fn_metrics_free(m);
    assert_int_equal(fn_metrics_read(series, at("metrics.jsonl"), "step", keys, 3), FN_OK);
    assert_int_equal(series[0].n, 600);
    assert_int_equal(series[1].n, 600);
    assert_int_equal(series[2].n, 0);
    assert_float_equal(series[0].x[599], 600, 0);
    assert_float_equal(series[0].y[599], 1.0 / 603, 1e-11);
    assert_float_equal(series[1].y[2], 30, 0);
    fn_series_free(series, 3);
    assert_int_equal(fn_metrics_read(series, at("metrics.jsonl"), "epoch", epoch_keys, 1), FN_OK);
    assert_int_equal(series[0].n, 149); // the null is left out
    fn_series_free(series, 1);
}

static void a_file_that_is_something_else_is_left_alone(void **state) {
    (void)state;
    static const char text[] = "{\"kind\":\"step\",\"step\":1}\ndear diary\n";
    assert_int_equal(fn_write_file(at("metrics.jsonl"), text, strlen(text), 0600), FN_OK);
    fn_metrics *m;
    assert_int_equal(fn_metrics_open(&m, at("metrics.jsonl"), 0), FN_EFORMAT);
    assert_non_null(strstr(fn_last_error(), "line 2 is no record"));
    assert_null(m);
    char *after = text_of();
    assert_string_equal(after, text);
    fn_free(after);
    assert_int_equal(fn_metrics_open(&m, at("no/such/file"), 0), FN_EIO);
}

static void metrics_out_of_memory(void **state) {
    (void)state;
    static const char *const keys[] = {"loss"};
    fn_metrics *m = opened(0);
    put_steps(m, 1, 300);
    fn_metrics_free(m);
    for (int nth = 1, done = 0; !done; nth++) {
        fn_series series[1] = {{0}};
        fn_alloc_fail_nth(nth);
        int rc = fn_metrics_open(&m, at("metrics.jsonl"), 200);
        if (rc == FN_OK) {
            fn_metrics_begin(m, "step", 200);
            rc = fn_metrics_end(m);
        }
        if (rc == FN_OK)
            rc = fn_metrics_read(series, at("metrics.jsonl"), "step", keys, 1);
        done = fn_alloc_count() < nth;
        fn_alloc_fail_nth(0);
        assert_int_equal(rc, done ? FN_OK : FN_ENOMEM);
        fn_metrics_free(m);
        fn_series_free(series, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_folder, remove_folder)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read_back),
        TEST(the_json_alone_and_some_blocks_can_be_read),
        TEST(another_network_is_refused_by_name),
        TEST(every_flipped_byte_and_every_cut_is_refused),
        TEST(what_is_no_file_is_said),
        TEST(a_full_disk_leaves_the_one_before),
        TEST(a_small_disk_keeps_the_last_checkpoint_it_has_room_for),
        TEST(killed_at_any_moment_it_leaves_the_old_or_the_new_one),
        TEST(out_of_memory_leaves_the_one_before),
        TEST(metrics_are_lines_of_json),
        TEST(a_resumed_run_writes_the_same_bytes),
        TEST(series_are_read_by_kind_and_key),
        TEST(a_file_that_is_something_else_is_left_alone),
        TEST(metrics_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
