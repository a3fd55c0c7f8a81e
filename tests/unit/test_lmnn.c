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
#include "train/lmnn.h"

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
    for (int threads = 1; threads <= 3; threads += 2) {
        options.threads = threads;
        assert_int_equal(fn_lmnn_learn(b, learnt_from, label, N, D, &options, NULL, NULL), FN_OK);
        assert_memory_equal(a, b, sizeof a);
    }
}

/// The gradient against differences of the loss, with everything switched on, away from hinges that open or
/// close in between.
static void gradients_are_those_of_the_loss(void **state) {
    (void)state;
    enum { RANK = 9, SIZE = RANK * D };
    draw(learnt_from, label, 0);
    for (int unit_length = 0; unit_length < 2; unit_length++) {
        fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
        fn_lmnn m;
        double L0[SIZE], L[SIZE], dL[SIZE], unused[SIZE], off = 0, length = 0;
        options.rank = RANK;
        options.balance = 0.5;
        options.regularization = 0.3;
        options.mu = 0.7;
        options.unit_length = unit_length;
        fn_rng r = fn_rng_at(4, 1, 1);
        for (int i = 0; i < SIZE; i++) {
            L0[i] = (double)fn_rng_normal(&r);
            L[i] = L0[i] + 0.1 * (double)fn_rng_normal(&r);
        }
        assert_int_equal(fn_lmnn_open(&m, learnt_from, label, 10 * IMAGES, D, &options, L0), FN_OK);
        fn_lmnn_choose_targets(&m, L);
        assert_int_equal(fn_lmnn_search(&m, L), FN_OK);
        fn_lmnn_loss(&m, L, dL, NULL);
        for (int i = 0; i < SIZE; i++) {
            const double was = L[i], h = 1e-6;
            L[i] = was + h;
            const double above = fn_lmnn_loss(&m, L, unused, NULL);
            L[i] = was - h;
            const double below = fn_lmnn_loss(&m, L, unused, NULL);
            L[i] = was;
            off += pow((above - below) / (2 * h) - dL[i], 2);
            length += dL[i] * dL[i];
        }
        print_message("unit length %d: gradient off by %.2g of its length\n", unit_length,
                      sqrt(off / length));
        assert_true(sqrt(off / length) < 1e-6);
        fn_lmnn_close(&m);
    }
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
    static const double balances[] = {-0.1, 1.1, NAN, INFINITY};
    for (size_t i = 0; i < sizeof balances / sizeof *balances; i++) {
        options = (fn_lmnn_options)FN_LMNN_OPTIONS_INIT;
        options.balance = balances[i];
        assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
    }
    options = (fn_lmnn_options)FN_LMNN_OPTIONS_INIT;
    options.threads = -1;
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
    options.threads = 0;
    options.k = 65;
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_EINVAL);
    assert_true(fn_knn_error(learnt_from, label, N, D, 65, NULL) == FN_EINVAL);
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

// ---- how far to go ------------------------------------------------------------------------------

static void settings_that_help_others_are_chosen(void **state) {
    (void)state;
    float L[D * D];
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    fn_lmnn_trial trials[FN_LMNN_MAX_TRIALS];
    size_t n_trials = 0;
    options.iterations = 30;
    draw(learnt_from, label, 0);
    draw(unseen, unseen_label, 1000);
    assert_int_equal(fn_lmnn_choose(&options, learnt_from, label, N, D, &options, 1, trials, &n_trials, NULL),
                     1);
    assert_in_range(n_trials, 7, FN_LMNN_MAX_TRIALS);
    assert_true(trials[0].whitening == 0 && trials[0].iterations == 0 && trials[0].gain == 0);
    int chosen = 0;
    for (size_t i = 0; i < n_trials; i++) {
        const fn_lmnn_trial *t = &trials[i];
        assert_true(fabs(trials[0].error - t->error - t->gain) < 1e-9);
        chosen += t->whitening == options.whitening && t->regularization == options.regularization &&
                  t->iterations == options.iterations && t->gain > t->gain_se;
    }
    assert_int_equal(chosen, 1);
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_OK);
    fn_lmnn_apply(mapped, L, D, unseen, N, D);
    const double before = fn_knn_error(unseen, unseen_label, N, D, 1, NULL);
    const double after = fn_knn_error(mapped, unseen_label, N, D, 1, NULL);
    print_message("whitening %g, regularization %g, %d steps: error %.3f, then %.3f\n", options.whitening,
                  options.regularization, options.iterations, before, after);
    assert_true(after < 0.4 * before);
}

/// Names that have nothing to do with the vectors: what is learnt from them helps nobody else.
static void where_nothing_helps_the_vectors_stay_as_they_are(void **state) {
    (void)state;
    float L[D * D];
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    for (int i = 0; i < N; i++) {
        fn_rng r = fn_rng_at(12, 1, (uint32_t)i);
        for (int k = 0; k < D; k++)
            learnt_from[i * D + k] = fn_rng_normal(&r);
        label[i] = i % PEOPLE;
    }
    options.iterations = 10;
    assert_int_equal(fn_lmnn_choose(&options, learnt_from, label, N, D, &options, 1, NULL, NULL, NULL), 0);
    assert_int_equal(options.iterations, 0);
    assert_true(options.whitening == 0 && options.regularization == 0);
    assert_int_equal(fn_lmnn_learn(L, learnt_from, label, N, D, &options, NULL, NULL), FN_OK);
    for (int i = 0; i < D * D; i++)
        assert_true(L[i] == (i % (D + 1) ? 0.0F : 1.0F));
}

static int stop_after(void *user, uint64_t done, uint64_t total) {
    assert_true(done <= total);
    return done >= *(const uint64_t *)user;
}

static void choosing_can_be_stopped_and_wants_a_few_people(void **state) {
    (void)state;
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    fn_control control = FN_CONTROL_INIT;
    uint64_t limit = 13;
    control.user = &limit;
    control.progress = stop_after;
    options.iterations = 2;
    draw(learnt_from, label, 0);
    assert_int_equal(fn_lmnn_choose(&options, learnt_from, label, N, D, &options, 1, NULL, NULL, &control),
                     FN_ECANCELLED);
    control = (fn_control)FN_CONTROL_INIT;
    control.deadline_ms = 1; // long past
    assert_int_equal(fn_lmnn_choose(&options, learnt_from, label, N, D, &options, 1, NULL, NULL, &control),
                     FN_ETIMEOUT);
    assert_int_equal(
        fn_lmnn_choose(&options, learnt_from, label, 3 * IMAGES, D, &options, 1, NULL, NULL, NULL),
        FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "3 people have two vectors"));
    assert_in_range(
        fn_lmnn_choose(&options, learnt_from, label, 4 * IMAGES, D, &options, 1, NULL, NULL, NULL), 0, 1);
    options.balance = 7;
    assert_int_equal(fn_lmnn_choose(&options, learnt_from, label, N, D, &options, 1, NULL, NULL, NULL),
                     FN_EINVAL);
}

static void every_failing_allocation_while_choosing_is_reported(void **state) {
    (void)state;
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    options.iterations = 1;
    draw(learnt_from, label, 0);
    int64_t n = 0;
    for (int rc = FN_ENOMEM; rc < 0; n += n < 60 ? 0 : 97) { // one in a hundred of what learning repeats
        fn_lmnn_options chosen = options;
        fn_alloc_fail_nth(++n);
        rc = fn_lmnn_choose(&chosen, learnt_from, label, 5 * IMAGES, D, &options, 1, NULL, NULL, NULL);
        fn_alloc_fail_nth(0);
        assert_true(rc >= 0 || rc == FN_ENOMEM);
    }
    assert_true(n > 60);
}

// ---- OpenFace's embeddings of 1000 photographs of LFW ------------------------------------------

enum { GOLDEN = 1000, GOLDEN_WIDE = 128, SPLITS = 40 };
typedef struct golden {
    float rows[GOLDEN * GOLDEN_WIDE], learn[GOLDEN * GOLDEN_WIDE], held[GOLDEN * GOLDEN_WIDE],
        mapped[GOLDEN * GOLDEN_WIDE], L[GOLDEN_WIDE * GOLDEN_WIDE];
    int label[GOLDEN], learn_label[GOLDEN], held_label[GOLDEN], n_people;
} golden;

static int read_golden(golden *g) {
    const char *shared = getenv("FACENET_SHARED");
    char file[512], line[8192];
    for (int part = 0; part < 2; part++) {
        snprintf(file, sizeof file, "%s/golden/openface_lfw1000/%s.csv", shared ? shared : "",
                 part ? "labels" : "embeddings");
        FILE *f = shared ? fopen(file, "r") : NULL;
        if (!f)
            return 0;
        for (int i = 0; i < GOLDEN && fgets(line, sizeof line, f); i++) {
            char *p = line;
            for (int k = 0; k < GOLDEN_WIDE && !part; k++, p += *p == ',')
                g->rows[i * GOLDEN_WIDE + k] = strtof(p, &p);
            if (part) // people are numbered from 1
                g->label[i] = (int)strtol(line, NULL, 10) - 1;
            g->n_people = part && g->label[i] >= g->n_people ? g->label[i] + 1 : g->n_people;
        }
        fclose(f);
    }
    return 1;
}

/// The error of the nearest neighbour, before less after, of three people in ten who were not learnt from.
static double gain_of_split(golden *g, int split, const fn_lmnn_options *options) {
    int order[GOLDEN];
    size_t n_learn = 0, n_held = 0;
    fn_rng rng = fn_rng_at(2009, FN_STREAM_SPLIT, (uint32_t)split);
    for (int p = 0; p < g->n_people; p++)
        order[p] = p;
    fn_rng_shuffle(&rng, order, g->n_people);
    for (int i = 0; i < GOLDEN; i++) {
        const int is_held = order[g->label[i]] < g->n_people * 3 / 10;
        memcpy(is_held ? g->held + n_held * GOLDEN_WIDE : g->learn + n_learn * GOLDEN_WIDE,
               g->rows + i * GOLDEN_WIDE, GOLDEN_WIDE * sizeof(float));
        *(is_held ? &g->held_label[n_held++] : &g->learn_label[n_learn++]) = g->label[i];
    }
    assert_int_equal(fn_lmnn_learn(g->L, g->learn, g->learn_label, n_learn, GOLDEN_WIDE, options, NULL, NULL),
                     FN_OK);
    fn_lmnn_apply(g->mapped, g->L, GOLDEN_WIDE, g->held, n_held, GOLDEN_WIDE);
    return fn_knn_error(g->held, g->held_label, n_held, GOLDEN_WIDE, 1, NULL) -
           fn_knn_error(g->mapped, g->held_label, n_held, GOLDEN_WIDE, 1, NULL);
}

/// A mild map, as tools/lmnn finds it; without an inner choice, which takes minutes.
static void openface_embeddings_of_other_people_are_told_apart_better(void **state) {
    (void)state;
    golden *g = calloc(1, sizeof *g);
    assert_non_null(g);
    if (!read_golden(g)) {
        printf("skipped: FACENET_SHARED has no golden/openface_lfw1000\n");
        free(g);
        skip();
    }
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    options.whitening = 30;
    options.regularization = 100;
    options.iterations = 1;
    double sum = 0, squares = 0;
    for (int split = 0; split < SPLITS; split++) {
        const double gain = gain_of_split(g, split, &options);
        sum += gain / SPLITS;
        squares += gain * gain / SPLITS;
    }
    const double se = sqrt((squares - sum * sum) / (SPLITS - 1));
    print_message("error of the nearest neighbour, %d draws of people: less by %.4f +- %.4f\n", SPLITS, sum,
                  se);
    assert_true(sum > 2 * se);
    // Learning that is not held back fits its own people and errs more on others.
    options.whitening = 0.3;
    options.regularization = 0.03;
    options.iterations = 15;
    const double loose = gain_of_split(g, 0, &options);
    print_message("not held back: less by %.4f\n", loose);
    assert_true(loose < sum);
    free(g);
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
        cmocka_unit_test(gradients_are_those_of_the_loss),
        cmocka_unit_test(what_cannot_be_learnt_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(settings_that_help_others_are_chosen),
        cmocka_unit_test(where_nothing_helps_the_vectors_stay_as_they_are),
        cmocka_unit_test(choosing_can_be_stopped_and_wants_a_few_people),
        cmocka_unit_test(every_failing_allocation_while_choosing_is_reported),
        cmocka_unit_test(openface_embeddings_of_other_people_are_told_apart_better),
        cmocka_unit_test(a_model_with_the_map_embeds_as_the_map_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
