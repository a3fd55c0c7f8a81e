// SPDX-License-Identifier: Apache-2.0
//
// Optimisers against their formulas in double, and what all of them promise: order, freezing, clipping.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "train/ema.h"
#include "train/optimizer.h"

#include <facenet/base.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 40000, STEPS = 7 }; // several pieces, the last one not whole

typedef struct block {
    float weights[N], gradients[N];
} block;

static block *new_block(uint64_t seed) {
    block *b = malloc(sizeof *b);
    assert_non_null(b);
    fn_rng r = fn_rng_at(seed, FN_STREAM_WEIGHTS, 0);
    for (int i = 0; i < N; i++) {
        b->weights[i] = fn_rng_normal(&r);
        b->gradients[i] = 0;
    }
    return b;
}

static void new_gradients(block *b, int step) {
    fn_rng r = fn_rng_at(9, FN_STREAM_WEIGHTS, (uint32_t)(100 + step));
    for (int i = 0; i < N; i++)
        b->gradients[i] = 0.1F * fn_rng_normal(&r);
}

static const fn_segment whole[] = {{0, N, 1, 0}};

static fn_optimizer *opened(const fn_optimizer_options *options, size_t n) {
    fn_optimizer *opt = NULL;
    assert_int_equal(fn_optimizer_open(&opt, options, n), FN_OK);
    return opt;
}

// One weight in double: its own straight reading of the formulas.
typedef struct scalar {
    double w, s, v;
} scalar;

static void reference(scalar *x, double g, const fn_optimizer_options *o, double lr, int t) {
    if (o->kind != FN_OPTIMIZER_ADAMW)
        g += o->weight_decay * x->w;
    switch (o->kind) {
    case FN_OPTIMIZER_SGD:
        x->v = o->momentum * x->v + g;
        x->w -= lr * (g + o->momentum * x->v);
        break;
    case FN_OPTIMIZER_ADAGRAD:
        x->s += g * g;
        x->w -= lr * g / (sqrt(x->s) + o->epsilon);
        break;
    case FN_OPTIMIZER_RMSPROP:
        x->s = o->decay * x->s + (1 - o->decay) * g * g;
        x->v = o->momentum * x->v + lr * g / sqrt(x->s + o->epsilon);
        x->w -= x->v;
        break;
    default: {
        double old = x->w;
        x->v = o->beta1 * x->v + (1 - o->beta1) * g;
        x->s = o->beta2 * x->s + (1 - o->beta2) * g * g;
        double m = x->v / (1 - pow(o->beta1, t)), v = x->s / (1 - pow(o->beta2, t));
        x->w -= lr * m / (sqrt(v) + o->epsilon);
        if (o->kind == FN_OPTIMIZER_ADAMW)
            x->w -= lr * o->weight_decay * old;
    }
    }
}

static void follows(const fn_optimizer_options *o, double lr) {
    fn_optimizer *opt = opened(o, N);
    block *b = new_block(1);
    scalar *x = calloc(N, sizeof *x);
    assert_non_null(x);
    for (int i = 0; i < N; i++)
        x[i] = (scalar){b->weights[i], o->start, 0};
    for (int t = 1; t <= STEPS; t++) {
        new_gradients(b, t);
        fn_optimizer_step(opt, b->weights, b->gradients, whole, 1, lr);
        for (int i = 0; i < N; i++)
            reference(&x[i], b->gradients[i], o, lr, t);
    }
    double worst = 0, moved = 0;
    block *start = new_block(1);
    for (int i = 0; i < N; i++) {
        worst = fmax(worst, fabs(b->weights[i] - x[i].w));
        moved = fmax(moved, fabs((double)b->weights[i] - start->weights[i]));
    }
    if (!(worst <= 4e-6 && moved > 1e-3))
        fail_msg("%s: off by %g (allowed 4e-6) after moving by %g", fn_optimizer_name(o->kind), worst, moved);
    free(start);
    free(x);
    free(b);
    fn_optimizer_free(opt);
}

static void every_kind_follows_its_formula(void **state) {
    (void)state;
    for (int kind = 0; kind < FN_OPTIMIZER_COUNT; kind++) {
        fn_optimizer_options o = fn_optimizer_defaults((fn_optimizer_kind)kind);
        follows(&o, 0.01);
        o.weight_decay = 0.05;
        follows(&o, 0.01);
    }
}

static void the_epsilons_of_older_programs_can_be_had(void **state) {
    (void)state;
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_ADAM);
    o.epsilon = 0.1;
    follows(&o, 0.05);
    o = fn_optimizer_defaults(FN_OPTIMIZER_RMSPROP);
    o.epsilon = 1, o.momentum = 0.9, o.start = 1;
    follows(&o, 0.05);
    o = fn_optimizer_defaults(FN_OPTIMIZER_ADAGRAD);
    o.start = 0.1;
    follows(&o, 0.05);
}

// Worked by hand: weight 1, gradients 0.5 then -0.25, rate 0.1.
static void two_steps_give_the_numbers_worked_by_hand(void **state) {
    (void)state;
    static const struct {
        fn_optimizer_kind kind;
        double after[2];
    } cases[] = {
        // v = .5, w = 1 - .1 (.5 + .45); v = .45 - .25 = .2, w = .905 - .1 (-.25 + .18)
        {FN_OPTIMIZER_SGD, {0.905, 0.912}},
        // w = 1 - .1; s = .3125, w = .9 + .025 / .5590170
        {FN_OPTIMIZER_ADAGRAD, {0.9, 0.9447214}},
        // the first step is the rate itself; m = .02, v = .000312250: m / .19 = .1052632, v / .001999 =
        // .1562031
        {FN_OPTIMIZER_ADAM, {0.9, 0.8733663}},
        // s = .025, w = 1 - .05 / .1581139; s = .02875, w += .025 / .1695582
        {FN_OPTIMIZER_RMSPROP, {0.6837722, 0.8312141}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_optimizer_options o = fn_optimizer_defaults(cases[i].kind);
        fn_optimizer *opt = opened(&o, 1);
        float w = 1;
        const float gradients[2] = {0.5F, -0.25F};
        for (int t = 0; t < 2; t++) {
            const fn_segment one = {0, 1, 1, 0};
            double norm = fn_optimizer_step(opt, &w, &gradients[t], &one, 1, 0.1);
            assert_float_equal(norm, fabs((double)gradients[t]), 1e-12);
            if (fabs(w - cases[i].after[t]) > 5e-7)
                fail_msg("%s: step %d gives %.7f, expected %.7f", fn_optimizer_name(o.kind), t + 1, (double)w,
                         cases[i].after[t]);
        }
        assert_int_equal(fn_optimizer_steps(opt), 2);
        fn_optimizer_free(opt);
    }
}

// In the variables of Sutskever et al. 2013 the gradient is taken ahead, at w + momentum v.
static void momentum_is_that_of_nesterov(void **state) {
    (void)state;
    const double lr = 0.02, momentum = 0.9;
    double theta = 2, velocity = 0; // of the loss theta^2
    float w = 2;
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_SGD);
    fn_optimizer *opt = opened(&o, 1);
    const fn_segment one = {0, 1, 0, 0};
    for (int t = 0; t < 30; t++) {
        velocity = momentum * velocity - lr * 2 * (theta + momentum * velocity);
        theta += velocity;
        float gradient = 2 * w;
        fn_optimizer_step(opt, &w, &gradient, &one, 1, lr);
        assert_true(fabs(w - (theta + momentum * velocity)) < 2e-6);
    }
    fn_optimizer_free(opt);
}

static void decay_pulls_only_where_a_segment_says_so(void **state) {
    (void)state;
    static const fn_segment halves[] = {{0, 16, 1, 0}, {16, 10, 0, 0}};
    for (int kind = 0; kind < FN_OPTIMIZER_COUNT; kind++) {
        fn_optimizer_options o = fn_optimizer_defaults((fn_optimizer_kind)kind);
        o.weight_decay = 0.1;
        fn_optimizer *opt = opened(&o, 32);
        float w[32], g[32] = {0};
        for (int i = 0; i < 32; i++)
            w[i] = 1;
        fn_optimizer_step(opt, w, g, halves, 2, 0.1);
        for (int i = 0; i < 16; i++)
            assert_true(w[i] < 0.999F);
        for (int i = 16; i < 32; i++)
            assert_true(w[i] == 1);
        fn_optimizer_free(opt);
    }
}

static void frozen_segments_and_gaps_stay_as_they_are(void **state) {
    (void)state;
    static const fn_segment parts[] = {{0, 9000, 1, 0}, {9008, 9000, 1, 1}, {20000, 20000, 0, 0}};
    for (int kind = 0; kind < FN_OPTIMIZER_COUNT; kind++) {
        fn_optimizer_options o = fn_optimizer_defaults((fn_optimizer_kind)kind);
        o.weight_decay = 0.01, o.clip_norm = 1;
        fn_optimizer *opt = opened(&o, N);
        block *b = new_block(2), *start = new_block(2);
        new_gradients(b, 0);
        b->gradients[9100] = NAN; // nobody looks at it
        assert_true(isfinite(fn_optimizer_step(opt, b->weights, b->gradients, parts, 3, 0.1)));
        size_t n_state;
        const float *s = fn_optimizer_state(opt, &n_state);
        assert_int_equal(n_state % N, 0);
        int n_moved = 0;
        for (size_t i = 0; i < N; i++) {
            int moves = i < 9000 || i >= 20000, moved = b->weights[i] != start->weights[i];
            if (moved && !moves)
                fail_msg("%s: weight %zu moved", fn_optimizer_name(o.kind), i);
            for (size_t k = i; k < n_state && !moves; k += N)
                assert_true(s[k] == 0);
            n_moved += moved;
        }
        assert_true(n_moved > 28900); // of 29000; some steps are too small to show
        free(start);
        free(b);
        fn_optimizer_free(opt);
    }
}

static void long_gradients_are_clipped_to_their_norm(void **state) {
    (void)state;
    static const fn_segment parts[] = {{0, 1, 0, 0}, {16, 1, 0, 0}, {32, 1, 0, 1}};
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_SGD);
    o.momentum = 0, o.clip_norm = 1;
    fn_optimizer *opt = opened(&o, 48);
    float w[48] = {0}, g[48] = {0};
    g[0] = 3, g[16] = 4, g[32] = 100; // the last is frozen and does not count
    assert_float_equal(fn_optimizer_step(opt, w, g, parts, 3, 1), 5, 1e-12);
    assert_float_equal(w[0], -0.6, 1e-6);
    assert_float_equal(w[16], -0.8, 1e-6);
    g[0] = 0.3F, g[16] = 0.4F; // short enough
    w[0] = 0;
    fn_optimizer_step(opt, w, g, parts, 3, 1);
    assert_float_equal(w[0], -0.3, 1e-6);
    fn_optimizer_free(opt);
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state) {
    (void)state;
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_ADAM);
    fn_optimizer *opt = opened(&o, N);
    block *b = new_block(3), *start = new_block(3);
    new_gradients(b, 0);
    b->gradients[N - 1] = INFINITY;
    assert_false(isfinite(fn_optimizer_step(opt, b->weights, b->gradients, whole, 1, 0.1)));
    assert_memory_equal(b->weights, start->weights, sizeof b->weights);
    assert_int_equal(fn_optimizer_steps(opt), 0);
    free(start);
    free(b);
    fn_optimizer_free(opt);
}

static void threads_do_not_change_a_bit(void **state) {
    (void)state;
    static const fn_segment parts[] = {{0, 8191, 1, 0}, {8192, 20001, 0, 0}, {28208, 11792, 1, 0}};
    for (int kind = 0; kind < FN_OPTIMIZER_COUNT; kind++) {
        block *first = NULL;
        double first_norm = 0;
        for (int threads = 1; threads <= 4; threads *= 2) {
            fn_optimizer_options o = fn_optimizer_defaults((fn_optimizer_kind)kind);
            o.threads = threads, o.weight_decay = 0.01, o.clip_norm = 5;
            fn_optimizer *opt = opened(&o, N);
            block *b = new_block(4);
            double norm = 0;
            for (int t = 0; t < STEPS; t++) {
                new_gradients(b, t);
                norm += fn_optimizer_step(opt, b->weights, b->gradients, parts, 3, 0.01);
            }
            fn_optimizer_free(opt);
            if (!first) {
                first = b;
                first_norm = norm;
                continue;
            }
            assert_memory_equal(b->weights, first->weights, sizeof b->weights);
            assert_memory_equal(&norm, &first_norm, sizeof norm);
            free(b);
        }
        free(first);
    }
}

static void state_and_counter_carry_over_to_another_one(void **state) {
    (void)state;
    for (int kind = 0; kind < FN_OPTIMIZER_COUNT; kind++) {
        fn_optimizer_options o = fn_optimizer_defaults((fn_optimizer_kind)kind);
        fn_optimizer *a = opened(&o, N), *b = opened(&o, N);
        block *x = new_block(5), *y = new_block(5);
        for (int t = 0; t < STEPS; t++) {
            new_gradients(x, t);
            if (t == 3) {
                size_t n, same;
                float *to = fn_optimizer_state(b, &n);
                memcpy(to, fn_optimizer_state(a, &same), n * sizeof *to);
                assert_int_equal(n, same);
                fn_optimizer_set_steps(b, fn_optimizer_steps(a));
                memcpy(y->weights, x->weights, sizeof y->weights);
            }
            fn_optimizer_step(a, x->weights, x->gradients, whole, 1, 0.01);
            if (t >= 3)
                fn_optimizer_step(b, y->weights, x->gradients, whole, 1, 0.01);
        }
        assert_memory_equal(x->weights, y->weights, sizeof x->weights);
        free(x);
        free(y);
        fn_optimizer_free(a);
        fn_optimizer_free(b);
    }
}

static void names_and_ranges_are_told(void **state) {
    (void)state;
    fn_optimizer_kind kind;
    for (int k = 0; k < FN_OPTIMIZER_COUNT; k++) {
        assert_int_equal(fn_optimizer_parse_kind(&kind, fn_optimizer_name((fn_optimizer_kind)k)), FN_OK);
        assert_int_equal(kind, k);
    }
    assert_int_equal(fn_optimizer_parse_kind(&kind, "adadelta"), FN_EINVAL);
    assert_string_equal(fn_last_error(), "there is no optimiser \"adadelta\": choose sgd, adagrad, adam, "
                                         "adamw or rmsprop");
    fn_optimizer *opt;
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_ADAM);
    o.beta1 = 1;
    assert_int_equal(fn_optimizer_open(&opt, &o, 8), FN_EINVAL);
    assert_string_equal(fn_last_error(), "beta1 is 1, expected a number from 0 to below 1");
    o = fn_optimizer_defaults(FN_OPTIMIZER_SGD);
    o.clip_norm = NAN;
    assert_int_equal(fn_optimizer_open(&opt, &o, 8), FN_EINVAL);
    assert_null(opt);
}

static void parameters_become_segments(void **state) {
    (void)state;
    fn_parameter trained[] = {{.offset = 0, .count = 10, .decays = 1},
                              {.offset = 16, .count = 3, .frozen = 1}};
    fn_parameters parameters = {.trained = trained, .n_trained = 2};
    fn_segment *segments;
    assert_int_equal(fn_segments_of(&segments, &parameters), FN_OK);
    assert_true(segments[0].offset == 0 && segments[0].count == 10 && segments[0].decays &&
                !segments[0].frozen);
    assert_true(segments[1].offset == 16 && segments[1].count == 3 && !segments[1].decays &&
                segments[1].frozen);
    fn_free(segments);
}

static void averages_warm_up_and_follow(void **state) {
    (void)state;
    assert_float_equal(fn_ema_decay(0.999, 0), 0.1, 1e-12);
    assert_float_equal(fn_ema_decay(0.999, 90), 0.91, 1e-12);
    assert_float_equal(fn_ema_decay(0.999, 1000000), 0.999, 1e-12);
    float averaged[3] = {1, 2, 3}, weights[3] = {2, 2, 1};
    double wanted[3] = {1, 2, 3};
    for (uint64_t t = 0; t < 5; t++) {
        double d = fn_ema_decay(0.3, t);
        for (int i = 0; i < 3; i++)
            wanted[i] = d * wanted[i] + (1 - d) * (double)weights[i];
        fn_ema_update(averaged, weights, 3, 0.3, t, 2);
        for (int i = 0; i < 3; i++)
            assert_float_equal(averaged[i], wanted[i], 1e-6);
    }
    assert_true(averaged[1] == 2); // equal numbers stay equal to the bit
}

static void out_of_memory_is_said_and_leaves_nothing(void **state) {
    (void)state;
    fn_optimizer_options o = fn_optimizer_defaults(FN_OPTIMIZER_ADAM);
    for (int nth = 1; nth <= 3; nth++) {
        fn_optimizer *opt;
        fn_alloc_fail_nth(nth);
        assert_int_equal(fn_optimizer_open(&opt, &o, 100), FN_ENOMEM);
        fn_alloc_fail_nth(0);
        assert_null(opt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_follows_its_formula),
        cmocka_unit_test(the_epsilons_of_older_programs_can_be_had),
        cmocka_unit_test(two_steps_give_the_numbers_worked_by_hand),
        cmocka_unit_test(momentum_is_that_of_nesterov),
        cmocka_unit_test(decay_pulls_only_where_a_segment_says_so),
        cmocka_unit_test(frozen_segments_and_gaps_stay_as_they_are),
        cmocka_unit_test(long_gradients_are_clipped_to_their_norm),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(state_and_counter_carry_over_to_another_one),
        cmocka_unit_test(names_and_ranges_are_told),
        cmocka_unit_test(parameters_become_segments),
        cmocka_unit_test(averages_warm_up_and_follow),
        cmocka_unit_test(out_of_memory_is_said_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
