// SPDX-License-Identifier: Apache-2.0
//
// The learnt metric: people drawn so that a few directions tell them apart and the others are louder noise.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"

#include <facenet/facenet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEOPLE = 60, IMAGES = 6, N = PEOPLE * IMAGES, D = 16 };

/// Unit vectors: the first six numbers are the person's, slightly moved; the others are drawn anew each time.
static void draw(float *rows, int *label, int first_person) {
    for (int p = 0; p < PEOPLE; p++) {
        fn_rng own = fn_rng_at(3, 1, (uint32_t)(first_person + p));
        float centre[6];
        for (int i = 0; i < 6; i++)
            centre[i] = fn_rng_normal(&own);
        for (int k = 0; k < IMAGES; k++) {
            float *row = rows + (p * IMAGES + k) * D;
            double length = 0;
            for (int i = 0; i < D; i++) {
                row[i] = i < 6 ? centre[i] + 0.25F * fn_rng_normal(&own) : 1.1F * fn_rng_normal(&own);
                length += (double)row[i] * (double)row[i];
            }
            for (int i = 0; i < D; i++)
                row[i] /= (float)sqrt(length);
            label[p * IMAGES + k] = first_person + p;
        }
    }
}

static float learnt_from[N * D], unseen[N * D], mapped[N * D];
static int label[N], unseen_label[N];

static void other_people_are_told_apart_better(void **state) {
    (void)state;
    draw(learnt_from, label, 0);
    draw(unseen, unseen_label, 1000);
    for (int rank = 6; rank <= D; rank += D - 6) {
        float L[D * D];
        fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
        fn_lmnn_result result;
        options.rank = rank;
        assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, &result, NULL), FN_OK);
        fn_lmnn_apply(mapped, L, rank, unseen, N, D);
        size_t asked;
        double before = fn_knn_error(unseen, unseen_label, N, D, 3, &asked);
        double after = fn_knn_error(mapped, unseen_label, N, rank, 3, NULL);
        print_message("rank %d: error of people not learnt from %.3f, then %.3f; loss %.4g, then %.4g\n",
                      rank, before, after, result.loss_before, result.loss);
        assert_int_equal(asked, N);
        assert_true(result.loss < result.loss_before && result.n_impostors < result.n_impostors_before);
        assert_true(after < 0.6 * before);
    }
}

static void the_same_input_gives_the_same_map(void **state) {
    (void)state;
    float a[D * D], b[D * D];
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    options.iterations = 20;
    draw(learnt_from, label, 0);
    assert_int_equal(fn_lmnn_learn(a, learnt_from, label, N, D, &options, NULL, NULL), FN_OK);
    assert_int_equal(fn_lmnn_learn(b, learnt_from, label, N, D, &options, NULL, NULL), FN_OK);
    assert_memory_equal(a, b, sizeof a);
}

static void what_cannot_be_learnt_is_refused(void **state) {
    (void)state;
    float L[D * D];
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    draw(learnt_from, label, 0);
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, IMAGES, D, &options, NULL, NULL), FN_EINVAL);
    for (int i = 0; i < N; i++)
        label[i] = i; // nobody twice
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
    options.rank = D + 1;
    draw(learnt_from, label, 0);
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    float L[D * D];
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    options.iterations = 3;
    draw(learnt_from, label, 0);
    int64_t n = 0;
    for (int rc = FN_ENOMEM; rc != FN_OK;) {
        fn_alloc_fail_nth(++n);
        rc = fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
    }
    assert_true(n > 1);
}

/// Photographs of one person differ much along a few directions, the same for everybody, and people along
/// all: shrinking those directions tells people apart who were never seen, before a step is taken.
static void whitening_alone_helps_where_people_vary_alike(void **state) {
    (void)state;
    for (int part = 0; part < 2; part++) {
        float *rows = part ? unseen : learnt_from;
        int *who = part ? unseen_label : label;
        for (int i = 0; i < N; i++) {
            fn_rng person = fn_rng_at(5, 1, (uint32_t)(1000 * part + i / IMAGES));
            fn_rng photograph = fn_rng_at(5, 2, (uint32_t)(1000 * part * IMAGES + i));
            for (int k = 0; k < D; k++)
                rows[i * D + k] = fn_rng_normal(&person) + (k < 4 ? 2.0F : 0.1F) * fn_rng_normal(&photograph);
            who[i] = i / IMAGES;
        }
    }
    for (int rank = 10; rank <= D; rank += D - 10) {
        float L[D * D];
        fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
        fn_lmnn_result result;
        options.rank = rank;
        options.iterations = 0;
        options.whitening = 0.01;
        assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, &result, NULL), FN_OK);
        assert_int_equal(result.iterations, 0);
        fn_lmnn_apply(mapped, L, rank, unseen, N, D);
        double before = fn_knn_error(unseen, unseen_label, N, D, 1, NULL);
        double after = fn_knn_error(mapped, unseen_label, N, rank, 1, NULL);
        print_message("rank %d: error of people not learnt from %.3f, whitened %.3f\n", rank, before, after);
        assert_true(before > 0.1 && after < 0.1 * before);
    }
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    float L[D * D];
    options.whitening = -1;
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
}

// ---- a model with the map ---------------------------------------------------------------------

enum { BATCH = 3, SIDE = 112, WIDE = 128, RANK = 40 };
static unsigned char crops[BATCH * SIDE * SIDE * 3];

/// Embeds the crops; returns the dimension.
static int embed(float *rows, const char *model, const char *models, fn_backend backend,
                 char fingerprint[65]) {
    fn_embedder *embedder;
    fn_embedder_options options = FN_EMBEDDER_OPTIONS_INIT;
    options.model = model;
    options.options.directory = models;
    options.options.backend = backend;
    if (fn_embedder_open(&embedder, &options) < 0)
        fail_msg("%s", fn_last_error());
    assert_null(strcmp(model, "mobilefacenet") ? fn_embedder_calibration(embedder) : NULL);
    assert_int_equal(fn_embedder_run(embedder, crops, BATCH, rows), FN_OK);
    snprintf(fingerprint, 65, "%s", fn_embedder_fingerprint(embedder));
    int dimension = fn_embedder_dimension(embedder);
    fn_embedder_free(embedder);
    return dimension;
}

static void a_model_with_the_map_embeds_as_the_map_says(void **state) {
    (void)state;
    const char *models = getenv("FACENET_MODELS");
    if (!models || !*models) {
        print_message("skipped: no models (FACENET_MODELS)\n");
        skip();
    }
    static float L[RANK * WIDE], rows[BATCH * WIDE], expected[BATCH * RANK], got[BATCH * WIDE];
    char path[] = "/tmp/facenet-metric-XXXXXX", file[64], sum[64], old[65], new[65];
    fn_rng rng = fn_rng_at(7, 1, 0);
    for (size_t i = 0; i < sizeof crops; i++)
        crops[i] = (unsigned char)fn_rng_range(&rng, 0, 255);
    for (size_t i = 0; i < RANK * WIDE; i++)
        L[i] = fn_rng_normal(&rng);
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof file, "%s/m.onnx", path);
    snprintf(sum, sizeof sum, "%s/m.sha256", path);
    if (fn_metric_write(file, "mobilefacenet", models, L, RANK, WIDE, "{\"method\":\"drawn\"}") < 0)
        fail_msg("%s", fn_last_error());
    assert_int_equal(embed(rows, "mobilefacenet", models, FN_BACKEND_AUTO, old), WIDE);
    fn_lmnn_apply(expected, L, RANK, rows, BATCH, WIDE);
    static const fn_backend backends[] = {FN_BACKEND_AUTO, FN_BACKEND_REF};
    for (int b = 0; b < 2; b++) {
        assert_int_equal(embed(got, file, models, backends[b], new), RANK);
        for (int i = 0; i < BATCH * RANK; i++)
            if (fabsf(got[i] - expected[i]) > 1e-5F)
                fail_msg("number %d is %g, the map gives %g", i, (double)got[i], (double)expected[i]);
        assert_string_not_equal(old, new);
    }
    // A map on top of a map; and what does not fit.
    assert_int_equal(fn_metric_write(file, file, models, L, 2, RANK, NULL), FN_OK);
    assert_int_equal(embed(got, file, models, FN_BACKEND_AUTO, new), 2);
    assert_int_equal(fn_metric_write(file, "mobilefacenet", models, L, RANK, 64, NULL), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "embeddings of 64 numbers, those of the model have 128"));
    assert_int_equal(fn_metric_write(file, "mobilefacenet", models, L, 0, WIDE, NULL), FN_EINVAL);
    assert_int_equal(fn_metric_write(file, "blazeface-short", models, L, 2, WIDE, NULL), FN_EMODEL);
    assert_int_equal(embed(got, file, models, FN_BACKEND_AUTO, new), 2); // is as it was
    unlink(file);
    unlink(sum);
    int rc = FN_ENOMEM;
    for (int64_t nth = 1; rc != FN_OK; nth += 1 + nth / 4) {
        fn_alloc_fail_nth(nth);
        rc = fn_metric_write(file, "mobilefacenet", models, L, RANK, WIDE, NULL);
        fn_alloc_fail_nth(0);
        if (rc != FN_OK && !strstr(fn_last_error(), "out of memory"))
            fail_msg("allocation %lld: %d, %s", (long long)nth, rc, fn_last_error());
        assert_int_equal(access(file, F_OK) == 0, rc == FN_OK);
    }
    unlink(file);
    unlink(sum);
    rmdir(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_people_are_told_apart_better),
        cmocka_unit_test(whitening_alone_helps_where_people_vary_alike),
        cmocka_unit_test(the_same_input_gives_the_same_map),
        cmocka_unit_test(what_cannot_be_learnt_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(a_model_with_the_map_embeds_as_the_map_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
