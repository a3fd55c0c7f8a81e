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

#include <facenet/metric.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_people_are_told_apart_better),
        cmocka_unit_test(the_same_input_gives_the_same_map),
        cmocka_unit_test(what_cannot_be_learnt_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
