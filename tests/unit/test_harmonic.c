// SPDX-License-Identifier: Apache-2.0
//
// A network that learns to embed beside an older one, on drawn faces: what the two make of people that
// neither has seen can be compared, which embeddings of two networks otherwise cannot; and the model says so.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "embed/embedder.h"
#include "model/rewrite.h"
#include "unit/drawn_faces.h"

#include <facenet/eval.h>
#include <facenet/train.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SIDE = 32, DIMENSION = 64, ITEM = 3 * SIDE * SIDE, PEOPLE = 40, PICTURES = 3, N = PEOPLE * PICTURES };

typedef struct fixture {
    char root[64], data[96], old[4096], new[4096], stranger[4096]; // models
} fixture;
static fixture f;

static void train(char model[4096], const char *name, int seed, const char *loss, const char *teacher) {
    fn_train_options o = FN_TRAIN_OPTIONS_INIT;
    fn_train_result result;
    char out[128];
    snprintf(out, sizeof out, "%s/%s", f.root, name);
    o.data = f.data;
    o.out = out;
    o.arch = "tiny";
    o.template_name = "arcface-112";
    o.people_per_batch = 16;
    o.optimizer = "adam";
    o.schedule = "cosine";
    o.epochs = 40;
    o.seed = seed;
    o.loss = loss;
    o.teacher = teacher;
    if (fn_train_run(&o, &result, NULL) < 0)
        fail_msg("%s: %s", name, fn_last_error());
    memcpy(model, result.model, sizeof result.model);
}

static int set_up(void **state) {
    (void)state;
    snprintf(f.root, sizeof f.root, "/tmp/facenet-harmonic-XXXXXX");
    if (!mkdtemp(f.root))
        return -1;
    snprintf(f.data, sizeof f.data, "%s/train", f.root);
    if (draw_people(f.data, 0, 120, 8, SIDE))
        return -1;
    train(f.old, "old", 1, "triplet", NULL);
    train(f.new, "new", 2, "harmonic", f.old);
    train(f.stranger, "stranger", 3, "triplet", NULL);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f.root);
    return system(command);
}

static fn_embedder *opened(const char *model, int mirror) {
    fn_embedder_options e = FN_EMBEDDER_OPTIONS_INIT;
    fn_embedder *embedder;
    e.model = model;
    e.mirror = mirror;
    if (fn_embedder_open(&embedder, &e) < 0)
        fail_msg("%s", fn_last_error());
    return embedder;
}

static float *rows_of(const char *model) {
    unsigned char *crops = fn_alloc((size_t)N * ITEM);
    float *rows = fn_alloc(sizeof(float) * N * DIMENSION);
    fn_embedder *embedder = opened(model, 0);
    for (int i = 0; i < N; i++)
        draw_face(crops + (size_t)i * ITEM, SIDE, 9000 + i / PICTURES, i % PICTURES);
    assert_int_equal(fn_embedder_dimension(embedder), DIMENSION);
    assert_int_equal(fn_embedder_run(embedder, crops, N, rows), FN_OK);
    fn_embedder_free(embedder);
    fn_free(crops);
    return rows;
}

/// How pairs (row of a, another picture's row of b) tell people apart: the chance that two pictures of one
/// person are nearer than two of different people, and the mean distances.
typedef struct separation {
    double auc, same, different;
} separation;

static separation separate(const float *a, const float *b) {
    float *same = fn_alloc(sizeof *same * N * N), *different = fn_alloc(sizeof *different * N * N);
    size_t n_same = 0, n_different = 0, n_right = 0;
    separation s = {0};
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            const float distance = fn_distance(a + i * DIMENSION, b + k * DIMENSION, DIMENSION);
            if (i / PICTURES != k / PICTURES) {
                s.different += (double)distance;
                different[n_different++] = distance;
            } else if (i != k) {
                s.same += (double)distance;
                same[n_same++] = distance;
            }
        }
    for (size_t i = 0; i < n_same; i++)
        for (size_t k = 0; k < n_different; k++)
            n_right += same[i] < different[k];
    s.auc = (double)n_right / (double)n_same / (double)n_different;
    s.same /= (double)n_same;
    s.different /= (double)n_different;
    fn_free(same);
    fn_free(different);
    return s;
}

static void say(const char *what, separation s) {
    printf("%-28s AUC %.3f, distance %.3f of one person, %.3f of two\n", what, s.auc, s.same, s.different);
}

static void people_never_seen_are_told_apart_across_the_two_networks(void **state) {
    (void)state;
    float *old = rows_of(f.old), *new = rows_of(f.new), *stranger = rows_of(f.stranger);
    const separation within = separate(old, old), mixed = separate(new, old), itself = separate(new, new),
                     unrelated = separate(stranger, old);
    say("old with old", within);
    say("new with old", mixed);
    say("new with new", itself);
    say("unrelated with old", unrelated);
    assert_true(within.auc > 0.9);
    assert_true(mixed.auc > 0.88);
    assert_true(mixed.same < 0.8 * mixed.different);
    assert_true(itself.auc > 0.88);
    // Two networks trained apart say nothing to each other: chance is 0.5.
    assert_true(unrelated.auc > 0.35 && unrelated.auc < 0.65);
    fn_free(old);
    fn_free(new);
    fn_free(stranger);
}

static void the_model_says_whom_it_may_be_compared_with(void **state) {
    (void)state;
    for (int mirror = 0; mirror < 2; mirror++) {
        fn_embedder *old = opened(f.old, mirror), *new = opened(f.new, mirror);
        size_t n;
        const fn_comparable *makers = fn_embedder_comparable(old, &n);
        assert_int_equal(n, 1);
        assert_string_equal(makers[0].fingerprint, fn_embedder_fingerprint(old));
        makers = fn_embedder_comparable(new, &n);
        assert_int_equal(n, 2);
        assert_string_equal(makers[0].fingerprint, fn_embedder_fingerprint(new));
        assert_string_equal(makers[1].fingerprint, fn_embedder_fingerprint(old));
        assert_string_equal(makers[1].name, fn_embedder_name(old));
        assert_null(makers[1].calibration);
        // Who comes after the new one may meet both.
        char *after = fn_compatibles_after(new);
        fn_compatibles list;
        assert_int_equal(fn_compatibles_parse(&list, after), FN_OK);
        assert_int_equal(list.n, 2);
        assert_string_equal(mirror ? list.data[0].mirror : list.data[0].plain, fn_embedder_fingerprint(new));
        assert_string_equal(mirror ? list.data[1].mirror : list.data[1].plain, fn_embedder_fingerprint(old));
        fn_compatibles_free(&list);
        fn_free(after);
        fn_embedder_free(old);
        fn_embedder_free(new);
    }
}

static void a_calibration_against_the_older_model_is_found_again(void **state) {
    (void)state;
    static const char json[] = "{\"version\":1,\"data\":\"drawn\",\"pipeline_id\":\"p\",\"n_same\":10,"
                               "\"n_different\":100,\"rows\":[[0.5,0,0.5],[1,0.5,0.25],[2,1,0]]}";
    char fingerprint[65];
    fn_embedder *old = opened(f.old, 0), *new = opened(f.new, 0);
    snprintf(fingerprint, sizeof fingerprint, "%s", fn_embedder_fingerprint(old));
    char *own = strdup(fn_embedder_fingerprint(new));
    fn_embedder_free(old);
    fn_embedder_free(new);
    assert_int_equal(fn_eval_write_calibration_against(f.new, "{}", fingerprint), FN_EFORMAT);
    assert_int_equal(fn_eval_write_calibration_against(f.new, json, "beef"), FN_EINVAL);
    assert_int_equal(fn_eval_write_calibration_against(f.new, json, fingerprint), FN_OK);
    new = opened(f.new, 0);
    size_t n;
    const fn_comparable *makers = fn_embedder_comparable(new, &n);
    assert_null(makers[0].calibration);
    assert_non_null(makers[1].calibration);
    assert_string_equal(fn_calibration_data(makers[1].calibration), "drawn");
    assert_string_equal(fn_embedder_fingerprint(new), own); // a calibration orphans nobody
    fn_embedder_free(new);
    free(own);
    new = opened(f.new, 1); // mirrored embeddings are others
    makers = fn_embedder_comparable(new, &n);
    assert_null(makers[1].calibration);
    fn_embedder_free(new);
}

static void wrong_lists_are_refused(void **state) {
    (void)state;
    const char *const a =
        "\"fingerprint\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";
    const char *const b = "\"mirror\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"";
    fn_compatibles list;
    char text[4096];
    assert_int_equal(fn_compatibles_parse(&list, NULL), FN_OK);
    assert_int_equal(list.n, 0);
    snprintf(text, sizeof text, "[{\"name\":\"old\",%s,%s}]", a, b);
    assert_int_equal(fn_compatibles_parse(&list, text), FN_OK);
    assert_int_equal(list.n, 1);
    fn_compatibles_free(&list);
    for (size_t n = strlen(text) - 1; n > 0; n--) {
        text[n] = 0;
        assert_int_equal(fn_compatibles_parse(&list, text), FN_EFORMAT);
    }
    snprintf(text, sizeof text, "[{\"name\":\"old\",%s,%s},{\"name\":\"old\",%s,%s}]", a, b, a, b);
    assert_int_equal(fn_compatibles_parse(&list, text), FN_EFORMAT);
    static const char *const wrong[] = {"", "{}", "[1]", "[{}]", "[null]", "null"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(fn_compatibles_parse(&list, wrong[i]), FN_EFORMAT);
    snprintf(text, sizeof text, "[{\"name\":\"old\",%s,\"mirror\":\"beef\"}]", a);
    assert_int_equal(fn_compatibles_parse(&list, text), FN_EFORMAT);
    // In a model file it is said with the model's name, and nothing is embedded.
    int changed;
    const fn_model_entry_change entry = {"facenet.compatible_with", text};
    fn_embedder_options e = FN_EMBEDDER_OPTIONS_INIT;
    fn_embedder *embedder;
    assert_int_equal(fn_model_rewrite(f.stranger, &entry, 1, &changed), FN_OK);
    e.model = f.stranger;
    assert_int_equal(fn_embedder_open(&embedder, &e), FN_EFORMAT);
    assert_non_null(strstr(fn_last_error(), "tiny-triplet: facenet.compatible_with: entry 0"));
    assert_null(embedder);
}

static void each_failing_allocation_is_an_error_and_nothing_else(void **state) {
    (void)state;
    fn_embedder_options e = FN_EMBEDDER_OPTIONS_INIT;
    int64_t n = 0, failures = 0;
    e.model = f.new;
    for (;;) {
        fn_embedder *embedder = NULL;
        char *after = NULL;
        fn_alloc_fail_nth(++n);
        int rc = fn_embedder_open(&embedder, &e);
        if (rc == FN_OK)
            after = fn_compatibles_after(embedder);
        const int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_free(after);
        fn_embedder_free(embedder);
        if (count < n)
            break;
        assert_true(rc == FN_ENOMEM || (rc == FN_OK && !after));
        failures++;
    }
    assert_true(failures > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_never_seen_are_told_apart_across_the_two_networks),
        cmocka_unit_test(the_model_says_whom_it_may_be_compared_with),
        cmocka_unit_test(a_calibration_against_the_older_model_is_found_again),
        cmocka_unit_test(each_failing_allocation_is_an_error_and_nothing_else),
        cmocka_unit_test(wrong_lists_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
