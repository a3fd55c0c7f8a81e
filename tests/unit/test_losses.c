// SPDX-License-Identifier: Apache-2.0
//
// Sampling, mining and losses: recorded numbers, batches counted by hand, and every gradient against finite
// differences.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "train/loss.h"
#include "train/sampler.h"

#include <facenet/base.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEAR(value, expected, tolerance)                                                                     \
    do {                                                                                                     \
        double value_ = (value), expected_ = (expected), tolerance_ = (tolerance);                           \
        if (!(fabs(value_ - expected_) <= tolerance_))                                                       \
            fail_msg("%s is %.9g, expected %.9g within %g", #value, value_, expected_, tolerance_);          \
    } while (0)

/// Rows of unit length around one random direction per label; spread 0 puts a person's rows on one point.
static void make_rows(float *rows, const int *label, int n, int d, float spread, uint64_t seed) {
    for (int i = 0; i < n; i++) {
        fn_rng person = fn_rng_at(seed, 100, (uint32_t)label[i]), own = fn_rng_at(seed, 101, (uint32_t)i);
        double sum = 0;
        for (int k = 0; k < d; k++) {
            float value = fn_rng_normal(&person) + spread * fn_rng_normal(&own);
            rows[i * d + k] = value;
            sum += (double)value * (double)value;
        }
        for (int k = 0; k < d; k++)
            rows[i * d + k] = (float)((double)rows[i * d + k] / sqrt(sum));
    }
}

// ---- recorded losses ---------------------------------------------------------------------------

/// The normal numbers of TensorFlow's random_normal with graph seed 1 and op seed 1, from block `first` on:
/// Philox words in pairs through Box and Muller, sine before cosine.
static void tensorflow_normals(float *dst, int n, uint32_t first) {
    const uint32_t key[2] = {1, 0};
    for (int i = 0; i < n; i += 4) {
        uint32_t counter[4] = {first + (uint32_t)i / 4, 0, 1, 0}, word[4];
        fn_philox(word, counter, key);
        for (int pair = 0; pair < 4; pair += 2) {
            float u[2];
            for (int k = 0; k < 2; k++) {
                uint32_t bits = 0x3f800000U | (word[pair + k] & 0x7fffffU);
                memcpy(&u[k], &bits, sizeof bits);
                u[k] -= 1;
            }
            double radius = sqrt(-2 * log(fmax((double)u[0], 1e-7))),
                   angle = 2 * 3.14159265358979 * (double)u[1];
            dst[i + pair] = (float)(sin(angle) * radius);
            dst[i + pair + 1] = (float)(cos(angle) * radius);
        }
    }
}

static double course_loss(const uint32_t first[3], double row_loss[3]) {
    enum { SIZE = 3 * 128 };
    static const float mean[3] = {6, 1, 3}, deviation[3] = {0.1F, 1, 4};
    float tensor[3][SIZE];
    for (int t = 0; t < 3; t++) {
        tensorflow_normals(tensor[t], SIZE, first[t]);
        if (t == 0 && first[0] == 0)
            NEAR((double)tensor[0][0], 0.281834, 1e-6);
        for (int i = 0; i < SIZE; i++)
            tensor[t][i] = mean[t] + deviation[t] * tensor[t][i];
    }
    for (int i = 0; i < 3; i++) // a margin of 1e4 opens every hinge
        row_loss[i] = fn_triplet_loss(tensor[0] + 128 * i, tensor[1] + 128 * i, tensor[2] + 128 * i, 1, 128,
                                      1e4, 0, NULL, NULL, NULL) -
                      1e4 + 0.2;
    return fn_triplet_loss(tensor[0], tensor[1], tensor[2], 3, 128, 0.2, 0, NULL, NULL, NULL);
}

static void triplet_loss_gives_the_numbers_of_the_course(void **state) {
    (void)state;
    // deeplearning.ai, Convolutional Networks, week 4: 528.143 under TensorFlow 1, where the three tensors
    // share one seed, and 527.2598 under TensorFlow 2, where each draw goes on 98,304 blocks later.
    double row[3];
    NEAR(course_loss((uint32_t[]){0, 0, 0}, row), 528.142713, 5e-5);
    NEAR(row[0], 441.774690, 3e-4);
    NEAR(row[1], -177.716266, 3e-4);
    NEAR(row[2], 86.368023, 3e-4);
    NEAR(course_loss((uint32_t[]){0, 98304, 196608}, row), 527.259849, 5e-5);
    NEAR(row[0], -783.562465, 3e-4);
    NEAR(row[2], -67.915241, 3e-4);
}

static void triplet_loss_passes_the_framework_free_cases(void **state) {
    (void)state;
    static const struct {
        int n;
        float a[4], p[4], q[4];
        double margin, loss;
    } cases[] = {
        {1, {1, 1}, {1, 1}, {1, 1}, 5, 5},
        {1, {1, 1}, {1, 1}, {0, 0}, 3, 1},
        {1, {1, 1}, {0, 0}, {1, 1}, 0, 2},
        {1, {0, 0}, {0, 0}, {0, 0}, -2, 0},
        {2, {1, 0, 1, 0}, {1, 0, 1, 0}, {0, 1, 0, 1}, 3, 2},
        {2, {1, 1, 2, 0}, {0, 3, 1, 1}, {1, 0, 0, 1}, 1, 5}, // 4: summed along the wrong axis
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double sum = fn_triplet_loss(cases[i].a, cases[i].p, cases[i].q, cases[i].n, 2, cases[i].margin, 0,
                                     NULL, NULL, NULL);
        double mean = fn_triplet_loss(cases[i].a, cases[i].p, cases[i].q, cases[i].n, 2, cases[i].margin, 1,
                                      NULL, NULL, NULL);
        assert_true(sum == cases[i].loss);
        assert_true(mean * cases[i].n == cases[i].loss);
    }
}

static void triplet_gradient_is_openfaces(void **state) {
    (void)state;
    // Rows: an open hinge (0.1 + 0.2 - 0.05 > 0) and a closed one. OpenFace: 2 (n - p) / N, 2 (p - a) / N,
    // 2 (a - n) / N where open.
    const float a[4] = {0.5F, 0.25F, 1, 0}, p[4] = {0.75F, 0, 1, 0.125F}, q[4] = {0.5F, 0.5F, -1, 0};
    float da[4], dp[4], dn[4];
    double loss = fn_triplet_loss(a, p, q, 2, 2, 0.2, 1, da, dp, dn);
    NEAR(loss, (0.125 - 0.0625 + 0.2) / 2, 1e-12);
    for (int k = 0; k < 2; k++) {
        NEAR((double)da[k], (double)(2 * (q[k] - p[k]) / 2), 1e-7);
        NEAR((double)dp[k], (double)(2 * (p[k] - a[k]) / 2), 1e-7);
        NEAR((double)dn[k], (double)(2 * (a[k] - q[k]) / 2), 1e-7);
        assert_true(da[2 + k] == 0 && dp[2 + k] == 0 && dn[2 + k] == 0);
    }
}

// ---- mining ------------------------------------------------------------------------------------

/// Points on a line, so that d2 is the square of a difference; the margin is 2.
///   row    0    1    2    3    4    5
///   x      0    1    1.5  2    5    9
///   person A    A    B    A    B    C
/// d2 of the pairs, anchor before positive: (0,1) 1, (0,3) 4, (1,3) 1, (2,4) 12.25.
/// d2 to other people:  of 0: row 2 2.25, 4 25, 5 81      of 1: row 2 0.25, 4 16, 5 64
///                      of 2: row 0 2.25, 1 0.25, 3 0.25, 5 56.25
static const float line[6] = {0, 1, 1.5F, 2, 5, 9};
static const int line_label[6] = {7, 7, 9, 7, 9, 4};

static fn_mined mine_line(fn_mining kind, const unsigned char *fixed, uint64_t seed) {
    fn_mined mined;
    fn_mine_options options = {kind, 2, fixed};
    fn_rng rng = fn_rng_at(seed, FN_STREAM_MINING, 0);
    assert_int_equal(fn_mine(&mined, line, line_label, 6, 1, &options, &rng), FN_OK);
    return mined;
}

static void assert_triplet(const fn_mined *m, int i, int anchor, int positive, int negative) {
    assert_true(i < m->n);
    assert_int_equal(m->triplets[i].anchor, anchor);
    assert_int_equal(m->triplets[i].positive, positive);
    assert_int_equal(m->triplets[i].negative, negative);
}

static void semi_hard_negatives_lie_between_the_positive_and_the_margin(void **state) {
    (void)state;
    // (0,1): 1 < 2.25 < 3: row 2. (0,3): 4 < ? < 6: none. (1,3): 1 < ? < 3: none, row 2 is too near.
    // (2,4): 12.25 < ? < 14.25: none.
    fn_mined m = mine_line(FN_MINE_SEMI_HARD, NULL, 1);
    assert_int_equal(m.n_pairs, 4);
    assert_int_equal(m.n, 1);
    assert_triplet(&m, 0, 0, 1, 2);
    // same: 1, 4, 1, 12.25; two: 0-2 2.25, 0-4 25, 0-5 81, 1-2 .25, 1-4 16, 1-5 64, 2-3 .25, 2-5 56.25,
    // 3-4 9, 3-5 49, 4-5 16
    NEAR(m.mean_ap, 18.25 / 4, 1e-12);
    NEAR(m.mean_an, 319.0 / 11, 1e-12);
    fn_mined_free(&m);
}

static void any_violator_takes_negatives_nearer_than_the_positive_too(void **state) {
    (void)state;
    // (0,1): d2 < 3: row 2. (0,3): < 6: row 2. (1,3): < 3: row 2. (2,4): < 14.25: rows 0, 1, 3, which must
    // come up about equally often.
    int count[6] = {0};
    for (uint64_t seed = 0; seed < 300; seed++) {
        fn_mined m = mine_line(FN_MINE_ANY_VIOLATOR, NULL, seed);
        assert_int_equal(m.n_pairs, 4);
        assert_int_equal(m.n, 4);
        assert_triplet(&m, 0, 0, 1, 2);
        assert_triplet(&m, 1, 0, 3, 2);
        assert_triplet(&m, 2, 1, 3, 2);
        assert_int_equal(m.triplets[3].anchor, 2);
        count[m.triplets[3].negative]++;
        fn_mined_free(&m);
    }
    assert_int_equal(count[0] + count[1] + count[3], 300);
    assert_true(count[0] > 60 && count[1] > 60 && count[3] > 60);
}

static void batch_hard_takes_the_farthest_positive_and_the_nearest_negative(void **state) {
    (void)state;
    // Row 5 is alone. Nearest negatives: of 0 row 2; of 1 row 2; of 2 row 1 (row 3 is as near, but later);
    // of 3 row 2; of 4 row 3 (9 against 16, 16, 25).
    fn_mined m = mine_line(FN_MINE_BATCH_HARD, NULL, 1);
    assert_int_equal(m.n_pairs, 5);
    assert_int_equal(m.n, 5);
    assert_triplet(&m, 0, 0, 3, 2);
    assert_triplet(&m, 1, 1, 0, 2);
    assert_triplet(&m, 2, 2, 4, 1);
    assert_triplet(&m, 3, 3, 0, 2);
    assert_triplet(&m, 4, 4, 2, 3);
    fn_mined_free(&m);
}

static void random_negatives_are_anybody_else(void **state) {
    (void)state;
    int seen[6][6] = {{0}};
    for (uint64_t seed = 0; seed < 200; seed++) {
        fn_mined m = mine_line(FN_MINE_RANDOM, NULL, seed);
        assert_int_equal(m.n_pairs, 4);
        assert_int_equal(m.n, 4);
        for (int i = 0; i < m.n; i++)
            seen[m.triplets[i].anchor][m.triplets[i].negative]++;
        fn_mined_free(&m);
    }
    for (int n = 0; n < 6; n++) {
        assert_int_equal(seen[0][n] > 0, line_label[n] != 7);
        assert_int_equal(seen[2][n] > 0, line_label[n] != 9);
    }
}

static void triplets_of_fixed_rows_alone_are_not_made(void **state) {
    (void)state;
    // Rows 0, 1 and 2 cannot move: the pair (0,1) has no moving semi-hard negative, and any violator of it
    // would be row 2 only.
    const unsigned char fixed[6] = {1, 1, 1, 0, 0, 0};
    fn_mined m = mine_line(FN_MINE_SEMI_HARD, fixed, 1);
    assert_int_equal(m.n_pairs, 4);
    assert_int_equal(m.n, 0);
    fn_mined_free(&m);
    m = mine_line(FN_MINE_ANY_VIOLATOR, fixed, 1);
    assert_int_equal(m.n, 3);
    assert_triplet(&m, 0, 0, 3, 2);
    fn_mined_free(&m);
}

/// Every rule against the plain reading of its definition, on rows of many dimensions.
static void mining_agrees_with_plain_loops_on_random_rows(void **state) {
    (void)state;
    enum { N = 60, D = 20 };
    float rows[N * D];
    int label[N];
    for (int i = 0; i < N; i++)
        label[i] = i * 7 % 12;
    make_rows(rows, label, N, D, 0.9F, 5);
    fn_mine_options options = {FN_MINE_SEMI_HARD, 0.2F, NULL};
    for (int random = 0; random < 2; random++) {
        fn_mined m;
        fn_rng rng = fn_rng_at(1, FN_STREAM_MINING, 0);
        options.kind = random ? FN_MINE_SEMI_HARD_RANDOM : FN_MINE_SEMI_HARD;
        assert_int_equal(fn_mine(&m, rows, label, N, D, &options, &rng), FN_OK);
        int at = 0;
        for (int a = 0; a < N; a++)
            for (int p = a + 1; p < N; p++) {
                if (label[p] != label[a])
                    continue;
                double d2[N];
                int best = -1, fits = 0;
                for (int i = 0; i < N; i++) {
                    d2[i] = 0;
                    for (int k = 0; k < D; k++)
                        d2[i] += pow((double)rows[a * D + k] - (double)rows[i * D + k], 2);
                }
                for (int i = 0; i < N; i++)
                    if (label[i] != label[a] && d2[i] > d2[p] && d2[i] < d2[p] + 0.2) {
                        best = best < 0 || d2[i] < d2[best] ? i : best;
                        fits++;
                    }
                if (!fits)
                    continue;
                int n = m.triplets[at].negative;
                assert_int_equal(m.triplets[at].anchor, a);
                assert_int_equal(m.triplets[at].positive, p);
                assert_true(random ? d2[n] > d2[p] && d2[n] < d2[p] + 0.2 : n == best);
                at++;
            }
        assert_int_equal(at, m.n);
        assert_true(m.n > 50 && m.n < m.n_pairs);
        fn_mined_free(&m);
    }
}

static void a_batch_of_1800_is_mined_in_a_fraction_of_a_second(void **state) {
    (void)state;
    enum { N = 1800, D = 128 };
    float *rows = calloc((size_t)N * D, sizeof *rows);
    int *label = calloc(N, sizeof *label);
    assert_non_null(rows);
    assert_non_null(label);
    for (int i = 0; i < N; i++)
        label[i] = i / 40;
    make_rows(rows, label, N, D, 1.2F, 9);
    for (int kind = 0; kind < 4; kind++) {
        fn_mined m;
        fn_mine_options options = {(fn_mining)kind, 0.2F, NULL};
        fn_rng rng = fn_rng_at(1, FN_STREAM_MINING, 0);
        struct timespec begin, end;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        assert_int_equal(fn_mine(&m, rows, label, N, D, &options, &rng), FN_OK);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        double ms = (double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6;
        print_message("1800 x 128 %s: %d triplets of %d pairs, %.1f ms\n", fn_mining_name((fn_mining)kind),
                      m.n, m.n_pairs, ms);
        assert_int_equal(m.n_pairs, kind == FN_MINE_BATCH_HARD ? N : 45 * 40 * 39 / 2);
        assert_true(m.n > 0);
        assert_true(ms < 5000); // a sanitizer's pace
        fn_mined_free(&m);
    }
    free(rows);
    free(label);
}

// ---- gradients ---------------------------------------------------------------------------------

enum { N = 24, D = 12, WIDE = 16, CLASSES = 6 };

typedef struct example {
    fn_loss *loss;
    float rows[N * D], teacher[N * WIDE], gradient[N * D];
    int label[N];
    fn_loss_batch batch;
} example;

static void example_init(example *e, const fn_loss_options *options, float spread) {
    for (int i = 0; i < N; i++)
        e->label[i] = i % CLASSES;
    make_rows(e->rows, e->label, N, D, spread, 3);
    make_rows(e->teacher, e->label, N, options->teacher_dimension ? options->teacher_dimension : D, 0.5F, 4);
    assert_int_equal(fn_loss_open(&e->loss, options), FN_OK);
    e->batch = (fn_loss_batch){e->rows, e->label, e->teacher, N, 5};
}

static double loss_of(example *e) {
    fn_loss_result result;
    float ignored[N * D];
    assert_int_equal(fn_loss_run(e->loss, &e->batch, ignored, &result), FN_OK);
    return result.loss;
}

/// (f(x + h) - f(x - h)) / 2 h for each of n numbers, against their gradient: relative L2 of the difference.
static double gradient_error(example *e, float *x, const float *gradient, size_t n, float h) {
    double away = 0, length = 0;
    for (size_t i = 0; i < n; i++) {
        float kept = x[i], high = kept + h, low = kept - h;
        x[i] = high;
        double up = loss_of(e);
        x[i] = low;
        double down = loss_of(e);
        x[i] = kept;
        double expected = (up - down) / ((double)high - (double)low);
        away += pow((double)gradient[i] - expected, 2);
        length += expected * expected;
    }
    assert_true(length > 1e-6); // a gradient of zeros proves nothing
    return sqrt(away / length);
}

static void check_gradients(const char *what, fn_loss_options options, float spread) {
    example e;
    fn_loss_result result;
    options.dimension = D;
    options.n_classes = CLASSES;
    options.seed = 11;
    example_init(&e, &options, spread);
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, &result), FN_OK);
    assert_true(result.loss > 0);
    double rows = gradient_error(&e, e.rows, e.gradient, N * D, 2e-5F), weights = 0;
    size_t n = fn_loss_n_weights(e.loss);
    if (n) {
        float *gradient = calloc(n, sizeof *gradient);
        assert_non_null(gradient);
        assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, NULL), FN_OK);
        memcpy(gradient, fn_loss_gradients(e.loss), n * sizeof *gradient);
        weights = gradient_error(&e, fn_loss_weights(e.loss), gradient, n, 2e-5F);
        free(gradient);
    }
    print_message("%-28s loss %.6f, gradient off by %.1e (rows), %.1e (%zu weights)\n", what, result.loss,
                  rows, weights, n);
    NEAR(rows, 0, 1e-6);
    NEAR(weights, 0, 1e-6);
    fn_loss_free(e.loss);
}

static void gradients_of_triplet_losses_are_those_of_finite_differences(void **state) {
    (void)state;
    // The choice of triplets is taken as constant, as everywhere: the step is so small that none changes
    // here.
    fn_loss_options o = fn_loss_defaults(FN_LOSS_TRIPLET);
    check_gradients("triplet, semi-hard, sum", o, 0.8F);
    o.mean_reduction = 1;
    o.mining = FN_MINE_ANY_VIOLATOR;
    check_gradients("triplet, any violator, mean", o, 0.8F);
    o.mining = FN_MINE_RANDOM;
    o.margin = 1;
    check_gradients("triplet, random", o, 0.8F);
    check_gradients("soft triplet, batch-hard", fn_loss_defaults(FN_LOSS_SOFT_TRIPLET), 0.8F);
    check_gradients("harmonic, semi-hard", fn_loss_defaults(FN_LOSS_HARMONIC), 0.8F);
}

static void gradients_of_losses_over_people_are_those_of_finite_differences(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_SOFTMAX);
    o.scale = 4;
    o.centre_weight = 0;
    check_gradients("softmax", o, 0.8F);
    o.centre_weight = 0.5F;
    o.centre_rate = 0; // centres stand still
    check_gradients("softmax and centres", o, 0.8F);
    o = fn_loss_defaults(FN_LOSS_ARCFACE);
    o.scale = 24;
    o.margin = 0.3F;
    check_gradients("arcface, s 24, m 0.3", o, 0.8F);
    o.scale = 8;
    o.margin = 2.5F; // most angles are past pi - m
    check_gradients("arcface, past pi", o, 0.8F);
}

static void gradients_of_distillation_are_those_of_finite_differences(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_DISTILL);
    check_gradients("distill", o, 0.8F);
    o.teacher_dimension = WIDE;
    check_gradients("distill, 16 from 12", o, 0.8F);
}

// ---- losses ------------------------------------------------------------------------------------

static void triplet_counts_are_reported(void **state) {
    (void)state;
    // The line above, d = 1, any violator: (0,1,2) loss 1 - 2.25 + 2 = 0.75, (0,3,2) 4 - 2.25 + 2 = 3.75,
    // (1,3,2) 1 - 0.25 + 2 = 2.75, (2,4,?) 12.25 - 2.25 + 2 = 12 or 12.25 - 0.25 + 2 = 14.
    fn_loss *loss;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_TRIPLET);
    fn_loss_result r;
    float gradient[6];
    o.dimension = 1;
    o.margin = 2;
    o.mining = FN_MINE_ANY_VIOLATOR;
    assert_int_equal(fn_loss_open(&loss, &o), FN_OK);
    assert_int_equal(fn_loss_run(loss, &(fn_loss_batch){line, line_label, NULL, 6, 0}, gradient, &r), FN_OK);
    assert_int_equal(r.n_pairs, 4);
    assert_int_equal(r.n_triplets, 4);
    assert_int_equal(r.n_active, 4);
    NEAR(r.accuracy, 0.25, 1e-12); // only (0,1,2) has its positive nearer
    NEAR(r.loss, 0.75 + 3.75 + 2.75 + (r.loss < 20 ? 12 : 14), 1e-12);
    double sum = 0; // what one row gains another loses
    for (int i = 0; i < 6; i++)
        sum += (double)gradient[i];
    NEAR(sum, 0, 1e-5);
    assert_true(gradient[5] == 0);
    fn_loss_free(loss);
}

static void mean_divides_by_the_triplets_found(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_TRIPLET);
    o.dimension = D;
    example sum, mean;
    fn_loss_result s, m;
    example_init(&sum, &o, 0.8F);
    o.mean_reduction = 1;
    example_init(&mean, &o, 0.8F);
    assert_int_equal(fn_loss_run(sum.loss, &sum.batch, sum.gradient, &s), FN_OK);
    assert_int_equal(fn_loss_run(mean.loss, &mean.batch, mean.gradient, &m), FN_OK);
    assert_true(s.n_triplets > 3 && s.n_triplets == m.n_triplets);
    NEAR(m.loss * m.n_triplets, s.loss, 1e-9);
    for (int i = 0; i < N * D; i++)
        NEAR((double)(mean.gradient[i] * (float)m.n_triplets), (double)sum.gradient[i], 1e-5);
    fn_loss_free(sum.loss);
    fn_loss_free(mean.loss);
}

static void following_the_gradient_separates_people(void **state) {
    (void)state;
    static const fn_loss_kind kinds[] = {FN_LOSS_TRIPLET, FN_LOSS_SOFT_TRIPLET, FN_LOSS_SOFTMAX,
                                         FN_LOSS_ARCFACE, FN_LOSS_DISTILL,      FN_LOSS_HARMONIC};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        fn_loss_options o = fn_loss_defaults(kinds[k]);
        o.dimension = D;
        o.n_classes = CLASSES;
        o.mean_reduction = 1;
        o.mining = kinds[k] == FN_LOSS_SOFT_TRIPLET ? FN_MINE_BATCH_HARD : FN_MINE_ANY_VIOLATOR;
        example e;
        fn_loss_result first = {0}, r = {0};
        example_init(&e, &o, 1.5F);
        float rate = kinds[k] == FN_LOSS_SOFTMAX ? 5.0F : 0.5F;
        for (int step = 0; step < 60; step++) {
            assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, &r), FN_OK);
            if (step == 0)
                first = r;
            for (int i = 0; i < N; i++) { // a step, and back to unit length
                double sum = 0;
                for (int j = i * D; j < (i + 1) * D; j++) {
                    e.rows[j] -= rate * e.gradient[j];
                    sum += (double)e.rows[j] * (double)e.rows[j];
                }
                for (int j = i * D; j < (i + 1) * D; j++)
                    e.rows[j] = (float)((double)e.rows[j] / sqrt(sum));
            }
            for (size_t i = 0; i < fn_loss_n_weights(e.loss); i++)
                fn_loss_weights(e.loss)[i] -= rate * fn_loss_gradients(e.loss)[i];
        }
        print_message("%-12s d2 same %.3f other %.3f -> same %.3f other %.3f\n", fn_loss_name(kinds[k]),
                      first.mean_ap, first.mean_an, r.mean_ap, r.mean_an);
        assert_true(r.mean_ap < 0.6 * first.mean_ap);
        assert_true(r.mean_an > r.mean_ap + 0.5);
        fn_loss_free(e.loss);
    }
}

static void arcface_without_a_margin_is_a_softmax_of_cosines(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_ARCFACE);
    o.dimension = D;
    o.n_classes = CLASSES;
    o.scale = 3;
    o.margin = 0;
    example e;
    example_init(&e, &o, 0.8F);
    fn_loss_result r;
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, &r), FN_OK);
    double expected = 0;
    for (int i = 0; i < N; i++) {
        double sum = 0, own = 0;
        for (int j = 0; j < CLASSES; j++) {
            double product = 0, square = 0;
            for (int k = 0; k < D; k++) {
                double w = (double)fn_loss_weights(e.loss)[j * D + k];
                product += w * (double)e.rows[i * D + k];
                square += w * w;
            }
            double z = 3 * product / sqrt(square);
            sum += exp(z);
            own = j == e.label[i] ? z : own;
        }
        expected += (log(sum) - own) / N;
    }
    NEAR(r.loss, expected, 1e-6);
    fn_loss_free(e.loss);
}

static void centres_move_towards_their_people(void **state) {
    (void)state;
    // Wen et al., equation 4: from 0 with m rows of a person, c = alpha * sum(x) / (1 + m).
    fn_loss_options o = fn_loss_defaults(FN_LOSS_SOFTMAX);
    o.dimension = D;
    o.n_classes = CLASSES + 1; // the last one is in no batch
    o.centre_weight = 0.1F;
    example e;
    example_init(&e, &o, 0.8F);
    assert_int_equal(fn_loss_n_state(e.loss), (CLASSES + 1) * D);
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, NULL), FN_OK);
    for (int j = 0; j <= CLASSES; j++)
        for (int k = 0; k < D; k++) {
            double sum = 0;
            int count = 0;
            for (int i = 0; i < N; i++)
                if (e.label[i] == j) {
                    sum += (double)e.rows[i * D + k];
                    count++;
                }
            NEAR((double)fn_loss_state(e.loss)[j * D + k], 0.5 * sum / (1 + count), 1e-6);
        }
    fn_loss_free(e.loss);
}

static void a_pupil_equal_to_its_teacher_has_nothing_to_learn(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_DISTILL);
    o.dimension = D;
    example e;
    fn_loss_result r;
    example_init(&e, &o, 0.8F);
    e.batch.teacher = e.rows;
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, &r), FN_OK);
    assert_true(r.loss == 0);
    NEAR(r.accuracy, 1, 1e-9);
    for (int i = 0; i < N * D; i++)
        assert_true(e.gradient[i] == 0);
    fn_loss_free(e.loss);
}

static void harmonic_triplets_mix_both_networks(void **state) {
    (void)state;
    // Two people, two images each, old embeddings where the new ones should be. Batch-hard looks at all 2 n
    // rows as anchors, and the same image's old embedding is a positive: 8 anchors.
    fn_loss_options o = fn_loss_defaults(FN_LOSS_HARMONIC);
    fn_loss *loss;
    fn_loss_result r;
    const float new_rows[8] = {1, 0, 0.8F, 0.6F, 0, 1, 0.6F, 0.8F}, old_rows[8] = {1, 0, 1, 0, -1, 0, -1, 0};
    const int label[4] = {0, 0, 1, 1};
    float gradient[8];
    o.dimension = 2;
    o.mining = FN_MINE_BATCH_HARD;
    assert_int_equal(fn_loss_open(&loss, &o), FN_OK);
    assert_int_equal(fn_loss_run(loss, &(fn_loss_batch){new_rows, label, old_rows, 4, 0}, gradient, &r),
                     FN_OK);
    assert_int_equal(r.n_pairs, 8);
    assert_true(r.n_triplets == 8 && r.n_active > 0);
    assert_true(-gradient[4] < 0); // the second person's rows are pulled towards -1, where the old ones are
    assert_true(-gradient[6] < 0);
    assert_int_equal(fn_loss_run(loss, &(fn_loss_batch){new_rows, label, NULL, 4, 0}, gradient, &r),
                     FN_EINVAL);
    fn_loss_free(loss);
}

static void the_same_step_gives_the_same_bits(void **state) {
    (void)state;
    for (int kind = 0; kind <= FN_LOSS_HARMONIC; kind++) {
        fn_loss_options o = fn_loss_defaults((fn_loss_kind)kind);
        o.dimension = D;
        o.n_classes = CLASSES;
        o.mining = FN_MINE_ANY_VIOLATOR;
        o.seed = 3;
        example e[2];
        for (int i = 0; i < 2; i++) {
            example_init(&e[i], &o, 1.0F);
            assert_int_equal(fn_loss_run(e[i].loss, &e[i].batch, e[i].gradient, NULL), FN_OK);
        }
        assert_memory_equal(e[0].gradient, e[1].gradient, sizeof e[0].gradient);
        assert_memory_equal(fn_loss_gradients(e[0].loss), fn_loss_gradients(e[1].loss),
                            fn_loss_n_weights(e[0].loss) * sizeof(float));
        for (int i = 0; i < 2; i++)
            fn_loss_free(e[i].loss);
    }
}

static void embeddings_that_are_no_numbers_give_a_loss_that_is_none(void **state) {
    (void)state;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_TRIPLET);
    o.dimension = D;
    example e;
    fn_loss_result r;
    example_init(&e, &o, 0.8F);
    e.rows[7] = NAN;
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, &r), FN_OK);
    assert_true(isnan(r.loss));
    fn_loss_free(e.loss);
}

static void wrong_options_and_labels_are_refused(void **state) {
    (void)state;
    fn_loss *loss;
    fn_loss_options o = fn_loss_defaults(FN_LOSS_ARCFACE);
    assert_int_equal(fn_loss_open(&loss, &o), FN_EINVAL); // no dimension
    o.dimension = D;
    assert_int_equal(fn_loss_open(&loss, &o), FN_EINVAL); // no people
    o.n_classes = CLASSES - 1;
    example e;
    example_init(&e, &o, 0.8F);
    assert_int_equal(fn_loss_run(e.loss, &e.batch, e.gradient, NULL), FN_EINVAL); // label 5 of 0..4
    fn_loss_free(e.loss);
    o.margin = -1;
    assert_int_equal(fn_loss_open(&loss, &o), FN_EINVAL);
    assert_null(loss);
    for (int i = 0; i <= FN_LOSS_HARMONIC; i++)
        assert_int_equal(fn_loss_parse(fn_loss_name((fn_loss_kind)i)), i);
    for (int i = 0; i <= FN_MINE_RANDOM; i++)
        assert_int_equal(fn_mining_parse(fn_mining_name((fn_mining)i)), i);
    assert_int_equal(fn_loss_parse("triplets"), -1);
}

static void failed_allocations_leave_nothing_behind(void **state) {
    (void)state;
    for (int kind = 0; kind <= FN_LOSS_HARMONIC; kind++) {
        fn_loss_options o = fn_loss_defaults((fn_loss_kind)kind);
        o.dimension = D;
        o.n_classes = CLASSES;
        o.teacher_dimension = kind == FN_LOSS_DISTILL ? WIDE : 0;
        int rc = FN_ENOMEM;
        for (int nth = 1; rc == FN_ENOMEM; nth++) {
            assert_true(nth < 40);
            example e;
            for (int i = 0; i < N; i++)
                e.label[i] = i % CLASSES;
            make_rows(e.rows, e.label, N, D, 0.8F, 3);
            make_rows(e.teacher, e.label, N, WIDE, 0.8F, 4);
            fn_loss_result r;
            fn_alloc_fail_nth(nth);
            rc = fn_loss_open(&e.loss, &o);
            if (rc == FN_OK)
                rc = fn_loss_run(e.loss, &(fn_loss_batch){e.rows, e.label, e.teacher, N, 0}, e.gradient, &r);
            fn_alloc_fail_nth(0);
            fn_loss_free(e.loss);
        }
        assert_int_equal(rc, FN_OK);
    }
}

// ---- sampling ----------------------------------------------------------------------------------

/// 10 people with 1, 2, 3, ... 10 images: image i of person p is first[p] + i.
static int ten_people[11] = {0, 1, 3, 6, 10, 15, 21, 28, 36, 45, 55};

static int person_of(int image) {
    int p = 0;
    while (ten_people[p + 1] <= image)
        p++;
    return p;
}

static fn_sampler *open_ten(fn_sampler_options options) {
    fn_sampler *s;
    assert_int_equal(fn_sampler_open_ranges(&s, ten_people, 10, &options), FN_OK);
    return s;
}

static void everybody_with_two_images_comes_up_once_per_epoch(void **state) {
    (void)state;
    fn_sampler *s = open_ten((fn_sampler_options){.people = 3, .images = 4, .seed = 1});
    assert_int_equal(fn_sampler_steps_per_epoch(s), 3); // nine people
    assert_int_equal(fn_sampler_batch_max(s), 12);
    int differs = 0, before[12] = {0};
    for (uint64_t epoch = 0; epoch < 5; epoch++) {
        int seen[10] = {0};
        for (uint64_t step = 0; step < 3; step++) {
            int image[12], n = fn_sampler_batch(s, epoch * 3 + step, image), in_step[10] = {0};
            for (int i = 0; i < n; i++) {
                assert_in_range(image[i], 0, 54);
                for (int k = 0; k < i; k++)
                    assert_int_not_equal(image[i], image[k]);
                in_step[person_of(image[i])]++;
            }
            for (int p = 0; p < 10; p++) {
                if (in_step[p])
                    assert_int_equal(in_step[p], p + 1 < 4 ? p + 1 : 4);
                seen[p] += in_step[p] > 0;
            }
            if (step == 0) {
                differs += memcmp(image, before, sizeof(int) * 5) != 0;
                memcpy(before, image, sizeof(int) * 5);
            }
        }
        assert_int_equal(seen[0], 0); // one image makes no pair
        for (int p = 1; p < 10; p++)
            assert_int_equal(seen[p], 1);
    }
    assert_int_equal(differs, 5);
    fn_sampler_free(s);
}

static void a_last_step_is_filled_from_the_start_of_its_epoch(void **state) {
    (void)state;
    fn_sampler *s = open_ten((fn_sampler_options){.people = 4, .images = 2, .seed = 2});
    assert_int_equal(fn_sampler_steps_per_epoch(s), 3);
    int seen[10] = {0}, total = 0;
    for (uint64_t step = 0; step < 3; step++) {
        int image[8], people[4] = {0};
        assert_int_equal(fn_sampler_batch(s, step, image), 8);
        for (int i = 0; i < 4; i++) {
            people[i] = person_of(image[2 * i]);
            assert_int_equal(people[i], person_of(image[2 * i + 1]));
            for (int k = 0; k < i; k++)
                assert_int_not_equal(people[i], people[k]);
            seen[people[i]]++;
            total++;
        }
    }
    for (int p = 1; p < 10; p++)
        assert_in_range(seen[p], 1, 2);
    assert_int_equal(total, 12);
    fn_sampler_free(s);
}

static void a_step_is_a_function_of_seed_and_step_alone(void **state) {
    (void)state;
    fn_sampler_options o = {.people = 4, .images = 3, .negatives = 2, .seed = 77};
    fn_sampler *a = open_ten(o), *b = open_ten(o);
    o.seed = 78;
    fn_sampler *other = open_ten(o);
    int differs = 0;
    for (uint64_t step = 20; step-- > 0;) { // backwards, and a again forwards from there
        int x[14], y[14], z[14];
        int n = fn_sampler_batch(a, step, x);
        fn_sampler_batch(a, 20 - step, y);
        assert_int_equal(fn_sampler_batch(b, step, y), n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
        int m = fn_sampler_batch(other, step, z);
        differs += m != n || memcmp(x, z, (size_t)n * sizeof *x) != 0;
    }
    assert_true(differs > 15);
    fn_sampler_free(a);
    fn_sampler_free(b);
    fn_sampler_free(other);
}

static void repeated_images_make_steps_equally_large(void **state) {
    (void)state;
    fn_sampler *s = open_ten((fn_sampler_options){.people = 3, .images = 5, .repeat = 1, .seed = 4});
    for (uint64_t step = 0; step < 6; step++) {
        int image[15];
        assert_int_equal(fn_sampler_batch(s, step, image), 15);
        for (int i = 0; i < 3; i++) {
            int p = person_of(image[5 * i]), count[10] = {0};
            for (int k = 0; k < 5; k++) {
                assert_int_equal(person_of(image[5 * i + k]), p);
                count[image[5 * i + k] - ten_people[p]]++;
            }
            for (int k = 0; k <= p && p < 5; k++) // each image before any comes again
                assert_in_range(count[k], 5 / (p + 1), (5 + p) / (p + 1));
        }
    }
    fn_sampler_free(s);
}

static void negatives_are_people_of_no_pair(void **state) {
    (void)state;
    fn_sampler *s = open_ten((fn_sampler_options){.people = 2, .images = 2, .negatives = 8, .seed = 5});
    int lone = 0;
    for (uint64_t step = 0; step < 5; step++) {
        int image[12], count[10] = {0};
        assert_int_equal(fn_sampler_batch(s, step, image), 12); // 4 and everybody else
        for (int i = 0; i < 12; i++)
            count[person_of(image[i])]++;
        for (int p = 0; p < 10; p++)
            assert_in_range(count[p], 1, 2);
        lone += count[0];
    }
    assert_int_equal(lone, 5);
    fn_sampler_free(s);
}

static void uniform_sampling_shows_every_image_once_per_epoch(void **state) {
    (void)state;
    fn_sampler *s =
        open_ten((fn_sampler_options){.kind = FN_SAMPLE_UNIFORM, .people = 2, .images = 5, .seed = 6});
    assert_int_equal(fn_sampler_steps_per_epoch(s), 6); // 55 images by 10
    int seen[55] = {0};
    for (uint64_t step = 6; step < 12; step++) {
        int image[10];
        assert_int_equal(fn_sampler_batch(s, step, image), 10);
        for (int i = 0; i < 10; i++)
            seen[image[i]]++;
    }
    int twice = 0;
    for (int i = 0; i < 55; i++) {
        assert_in_range(seen[i], 1, 2);
        twice += seen[i] == 2;
    }
    assert_int_equal(twice, 5);
    fn_sampler_free(s);
}

static void people_without_pairs_are_refused(void **state) {
    (void)state;
    fn_sampler *s;
    fn_sampler_options o = {.people = 2, .images = 2};
    assert_int_equal(fn_sampler_open_ranges(&s, (int[]){0, 1, 2, 3}, 3, &o), FN_EINVAL);
    assert_null(s);
    o.images = 0;
    assert_int_equal(fn_sampler_open_ranges(&s, ten_people, 10, &o), FN_EINVAL);
    o.images = 2;
    o.people = 50; // more than there are: all of them, every step
    s = open_ten(o);
    int image[100];
    assert_int_equal(fn_sampler_steps_per_epoch(s), 1);
    assert_int_equal(fn_sampler_batch(s, 3, image), 18);
    fn_alloc_fail_nth(2);
    assert_int_equal(fn_sampler_batch(s, 3, image), FN_ENOMEM);
    fn_alloc_fail_nth(0);
    fn_sampler_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(triplet_loss_gives_the_numbers_of_the_course),
        cmocka_unit_test(triplet_loss_passes_the_framework_free_cases),
        cmocka_unit_test(triplet_gradient_is_openfaces),
        cmocka_unit_test(semi_hard_negatives_lie_between_the_positive_and_the_margin),
        cmocka_unit_test(any_violator_takes_negatives_nearer_than_the_positive_too),
        cmocka_unit_test(batch_hard_takes_the_farthest_positive_and_the_nearest_negative),
        cmocka_unit_test(random_negatives_are_anybody_else),
        cmocka_unit_test(triplets_of_fixed_rows_alone_are_not_made),
        cmocka_unit_test(mining_agrees_with_plain_loops_on_random_rows),
        cmocka_unit_test(a_batch_of_1800_is_mined_in_a_fraction_of_a_second),
        cmocka_unit_test(gradients_of_triplet_losses_are_those_of_finite_differences),
        cmocka_unit_test(gradients_of_losses_over_people_are_those_of_finite_differences),
        cmocka_unit_test(gradients_of_distillation_are_those_of_finite_differences),
        cmocka_unit_test(triplet_counts_are_reported),
        cmocka_unit_test(mean_divides_by_the_triplets_found),
        cmocka_unit_test(following_the_gradient_separates_people),
        cmocka_unit_test(arcface_without_a_margin_is_a_softmax_of_cosines),
        cmocka_unit_test(centres_move_towards_their_people),
        cmocka_unit_test(a_pupil_equal_to_its_teacher_has_nothing_to_learn),
        cmocka_unit_test(harmonic_triplets_mix_both_networks),
        cmocka_unit_test(the_same_step_gives_the_same_bits),
        cmocka_unit_test(embeddings_that_are_no_numbers_give_a_loss_that_is_none),
        cmocka_unit_test(wrong_options_and_labels_are_refused),
        cmocka_unit_test(failed_allocations_leave_nothing_behind),
        cmocka_unit_test(everybody_with_two_images_comes_up_once_per_epoch),
        cmocka_unit_test(a_last_step_is_filled_from_the_start_of_its_epoch),
        cmocka_unit_test(a_step_is_a_function_of_seed_and_step_alone),
        cmocka_unit_test(repeated_images_make_steps_equally_large),
        cmocka_unit_test(negatives_are_people_of_no_pair),
        cmocka_unit_test(uniform_sampling_shows_every_image_once_per_epoch),
        cmocka_unit_test(people_without_pairs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
