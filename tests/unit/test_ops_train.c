// SPDX-License-Identifier: Apache-2.0
//
// Operators that came with training, each alone: values against formulas worked out here, gradients against
// finite differences in double, dropout's masks. x' = x + h e_i moves the weighted sum L = sum c y by h dx_i.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "nn/infer.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static void assert_near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance))
        fail_msg("%.17g instead of %.17g, tolerance %g", got, want, tolerance);
}

/// One node on an input of its own; the second input, if any, is a constant of one number.
typedef struct rig {
    fn_graph *graph;
    const fn_node *node;
    const fn_op_def *op;
    fn_shape in[2], out;
    int64_t n, n_out;
    double x[MOST], y[MOST], ratio;
} rig;

static void set_up(rig *r, fn_graph *g, int value, fn_shape input) {
    fn_inferred inferred;
    fn_graph_output(g, value);
    if (fn_graph_finish(g) < 0 || fn_inferred_open(&inferred, g, &input) < 0)
        fail_msg("%s", fn_last_error());
    r->graph = g;
    r->node = &g->nodes[g->n_nodes - 1];
    r->op = fn_op_f64(r->node->op);
    r->in[0] = inferred.values[r->node->inputs[0]].shape;
    r->out = inferred.values[value].shape;
    if (r->node->n_inputs > 1) {
        r->in[1] = fn_shape_make(0);
        r->ratio = (double)*(const float *)g->values[r->node->inputs[1]].data;
    }
    fn_inferred_free(&inferred);
    r->n = fn_shape_count(&r->in[0]);
    r->n_out = fn_shape_count(&r->out);
    assert_true(r->n <= MOST && r->n_out <= MOST);
    fn_rng rng = fn_rng_at(7, 100, (uint32_t)r->n);
    for (int64_t i = 0; i < r->n; i++)
        r->x[i] = (double)fn_rng_range(&rng, -1, 1);
}

static fn_graph *start(fn_shape shape, int *x) {
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    *x = fn_graph_input(g, "input", shape);
    return g;
}

static fn_run_args run_args(rig *r, const void *in[2], void *out[1]) {
    in[0] = r->x;
    in[1] = &r->ratio;
    out[0] = r->y;
    return (fn_run_args){r->node, r->node->n_inputs, 1, r->in, in, &r->out, out};
}

static void run(rig *r, const fn_pass *pass) {
    const void *in[2];
    void *out[1];
    fn_run_args args = run_args(r, in, out);
    if (pass && r->op->forward_train)
        r->op->forward_train(&(fn_train_args){args, pass, 4, NULL});
    else
        r->op->forward(&args);
}

/// The gradient of sum c y, added to dx.
static void back(rig *r, const fn_pass *pass, const double *c, double *dx) {
    const void *in[2], *dout[1] = {c};
    void *out[1], *din[2] = {dx, NULL};
    run(r, pass);
    r->op->backward(&(fn_grad_args){run_args(r, in, out), pass, 4, NULL, dout, din});
    din[0] = NULL; // nobody wants it: nothing happens
    r->op->backward(&(fn_grad_args){run_args(r, in, out), pass, 4, NULL, dout, din});
}

static void check_gradient(const char *what, rig *r, const fn_pass *pass) {
    static double c[MOST], dx[MOST];
    double worst = 0, most = 0, h = 1e-6;
    fn_rng rng = fn_rng_at(8, 100, 0);
    for (int64_t i = 0; i < r->n_out; i++)
        c[i] = (double)fn_rng_range(&rng, -1, 1);
    for (int64_t i = 0; i < r->n; i++)
        dx[i] = 3; // a backward pass adds
    back(r, pass, c, dx);
    for (int64_t i = 0; i < r->n; i++) {
        double at = r->x[i], sum[2] = {0, 0};
        for (int side = 0; side < 2; side++) {
            r->x[i] = at + (side ? h : -h);
            run(r, pass);
            for (int64_t k = 0; k < r->n_out; k++)
                sum[side] += c[k] * r->y[k];
        }
        r->x[i] = at;
        double slope = (sum[1] - sum[0]) / (2 * h);
        worst = fmax(worst, fabs(slope - (dx[i] - 3)));
        most = fmax(most, fabs(slope));
    }
    if (!(worst <= 1e-7 * most) || !(most > 0.1))
        fail_msg("%s: gradient off by %.3g, the largest is %.3g", what, worst, most);
    fn_graph_free(r->graph);
}

static void lrn_is_what_its_formula_says(void **state) {
    (void)state;
    static rig r;
    static const struct {
        int channels, size;
        float alpha, beta, bias;
    } cases[] = {{7, 5, 0.5F, 0.75F, 1}, {5, 4, 0.3F, 0.5F, 2}, {3, 11, 1.1F, 0.75F, 1}, {6, 1, 1, 1, 0.5F}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        int x, channels = cases[k].channels, size = cases[k].size;
        fn_shape shape = fn_shape_make(4, 2, channels, 3, 2);
        fn_graph *g = start(shape, &x);
        set_up(&r, g, fn_lrn(g, "lrn", x, size, cases[k].alpha, cases[k].beta, cases[k].bias), shape);
        run(&r, NULL);
        for (int n = 0; n < 2; n++)
            for (int i = 0; i < 6; i++)
                for (int c = 0; c < channels; c++) {
                    double sum = 0;
                    for (int j = c - (size - 1) / 2; j <= c + size / 2; j++)
                        if (j >= 0 && j < channels)
                            sum += r.x[(n * channels + j) * 6 + i] * r.x[(n * channels + j) * 6 + i];
                    int at = (n * channels + c) * 6 + i;
                    double base = (double)cases[k].bias + (double)cases[k].alpha / size * sum;
                    assert_near(r.y[at], r.x[at] * pow(base, -(double)cases[k].beta), 1e-12);
                }
        check_gradient("LRN", &r, NULL);
    }
}

static void l2_pools_are_roots_of_sums_of_squares(void **state) {
    (void)state;
    static rig r;
    static const struct {
        int size, kernel, stride, pad;
    } cases[] = {{7, 3, 1, 1}, {7, 3, 2, 1}, {6, 3, 3, 0}, {5, 2, 2, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        int x, size = cases[k].size, pad = cases[k].pad;
        fn_shape shape = fn_shape_make(4, 2, 3, size, size);
        fn_graph *g = start(shape, &x);
        set_up(&r, g,
               fn_l2_pool(g, "pool", x, cases[k].kernel, cases[k].stride, (int[4]){pad, pad, pad, pad}),
               shape);
        run(&r, NULL);
        int64_t out = r.out.dim[2];
        for (int64_t i = 0; i < r.n_out; i++) {
            int64_t oy = i / out % out, ox = i % out, plane = i / (out * out);
            double sum = 0;
            for (int64_t iy = oy * cases[k].stride - pad; iy < oy * cases[k].stride - pad + cases[k].kernel;
                 iy++)
                for (int64_t ix = ox * cases[k].stride - pad;
                     ix < ox * cases[k].stride - pad + cases[k].kernel; ix++)
                    if (iy >= 0 && iy < size && ix >= 0 && ix < size)
                        sum += pow(r.x[(plane * size + iy) * size + ix], 2);
            assert_near(r.y[i], sqrt(sum), 1e-12);
        }
        check_gradient("LpPool", &r, NULL);
    }
}

static void vectors_are_divided_by_their_length(void **state) {
    (void)state;
    static rig r;
    int x;
    fn_shape shape = fn_shape_make(2, 4, 16);
    fn_graph *g = start(shape, &x);
    set_up(&r, g, fn_l2_normalize(g, "embedding", x), shape);
    run(&r, NULL);
    for (int row = 0; row < 4; row++) {
        double squares = 0;
        for (int i = 0; i < 16; i++)
            squares += r.y[row * 16 + i] * r.y[row * 16 + i];
        assert_near(squares, 1, 1e-14);
        assert_near(r.y[row * 16] * r.x[row * 16 + 1], r.y[row * 16 + 1] * r.x[row * 16], 1e-14);
    }
    check_gradient("LpNormalization", &r, NULL);
    shape = fn_shape_make(3, 2, 5, 3); // along an axis in the middle
    g = start(shape, &x);
    set_up(&r, g, fn_l2_normalize(g, "n", x), shape);
    check_gradient("LpNormalization, axis 1 of 3", &r, NULL);
}

/// Where the root has no slope the gradient is zero, not infinite.
static void zeros_have_no_gradient(void **state) {
    (void)state;
    static rig r;
    int x;
    for (int is_pool = 0; is_pool < 2; is_pool++) {
        fn_shape shape = is_pool ? fn_shape_make(4, 1, 1, 6, 6) : fn_shape_make(2, 2, 18);
        double c[36], dx[36] = {0};
        fn_graph *g = start(shape, &x);
        set_up(&r, g, is_pool ? fn_l2_pool(g, "p", x, 3, 3, NULL) : fn_l2_normalize(g, "n", x), shape);
        for (int i = 0; i < 18; i++) // the upper half: a row of windows, or one row
            r.x[i] = 0;
        for (int i = 0; i < 36; i++)
            c[i] = 1;
        back(&r, NULL, c, dx);
        double rest = 0;
        for (int i = 0; i < 36; i++) {
            assert_true(isfinite(dx[i]));
            if (i < 18)
                assert_true(dx[i] == 0);
            else
                rest += fabs(dx[i]);
        }
        assert_true(rest > 0.1);
        for (int i = 0; i < r.n_out / 2; i++)
            assert_true(r.y[i] == 0);
        fn_graph_free(g);
    }
}

static void maxout_keeps_the_largest_piece(void **state) {
    (void)state;
    static rig r;
    int x;
    fn_shape shape = fn_shape_make(2, 3, 12);
    fn_graph *g = start(shape, &x);
    set_up(&r, g, fn_maxout(g, "m", x, 3), shape);
    assert_int_equal(r.out.rank, 2);
    assert_int_equal(r.out.dim[1], 4);
    run(&r, NULL);
    for (int i = 0; i < 12; i++)
        assert_true(r.y[i] == fmax(r.x[3 * i], fmax(r.x[3 * i + 1], r.x[3 * i + 2])));
    // Of equal pieces the first learns.
    double c[12], dx[36] = {0};
    for (int i = 0; i < 12; i++)
        c[i] = 1 + i;
    r.x[0] = r.x[1] = r.x[2] = 0.5;
    back(&r, NULL, c, dx);
    assert_true(dx[0] == 1 && dx[1] == 0 && dx[2] == 0);
    r.x[1] = -0.5;
    r.x[2] = 0;
    check_gradient("maxout", &r, NULL);
}

static void reduce_max_takes_any_axes(void **state) {
    (void)state;
    static rig r;
    static const struct {
        int64_t axes[2];
        int n, keep;
        fn_shape out;
    } cases[] = {{{1, 0}, 1, 1, {4, {2, 1, 4, 5}}},
                 {{-1, 2}, 2, 0, {2, {2, 3}}},
                 {{0, 3}, 2, 0, {2, {3, 4}}},
                 {{0, 0}, 0, 0, {0, {0}}}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        int x;
        fn_shape shape = fn_shape_make(4, 2, 3, 4, 5);
        fn_graph *g = start(shape, &x);
        fn_attr attrs[] = {fn_attr_int("keepdims", cases[k].keep),
                           fn_attr_ints("axes", cases[k].axes, cases[k].n)};
        set_up(&r, g, fn_graph_node(g, "ReduceMax", "m", &x, 1, attrs, cases[k].n ? 2 : 1), shape);
        assert_true(fn_shape_equal(&r.out, &cases[k].out));
        check_gradient("ReduceMax", &r, NULL);
    }
}

static void dropout_drops_its_share_and_repeats_itself(void **state) {
    (void)state;
    static rig r;
    static double first[MOST], dx[MOST], ones[MOST];
    int x, dropped = 0, moved = 0;
    fn_shape shape = fn_shape_make(2, 40, 102); // not a multiple of four
    fn_graph *g = start(shape, &x);
    fn_pass pass = {.seed = 12, .step = 3};
    set_up(&r, g, fn_dropout(g, "d", x, 0.25F), shape);
    run(&r, NULL);
    assert_memory_equal(r.x, r.y, sizeof(double) * 4080); // inference
    run(&r, &pass);
    for (int i = 0; i < 4080; i++) {
        dropped += r.y[i] == 0;
        if (r.y[i] != 0)
            assert_near(r.y[i], r.x[i] / 0.75, 1e-15);
        ones[i] = 1;
        dx[i] = 0;
    }
    assert_true(abs(dropped - 1020) < 5 * 28); // five standard deviations
    memcpy(first, r.y, sizeof first);
    back(&r, &pass, ones, dx); // the same mask
    for (int i = 0; i < 4080; i++)
        assert_near(dx[i], first[i] == 0 ? 0 : 1 / 0.75, 1e-15);
    assert_memory_equal(first, r.y, sizeof(double) * 4080);
    pass.step = 4;
    run(&r, &pass);
    for (int i = 0; i < 4080; i++)
        moved += (r.y[i] == 0) != (first[i] == 0);
    assert_true(moved > 1000);
    fn_graph_free(g);
}

static void dropout_in_chunks_is_dropout_of_the_whole(void **state) {
    (void)state;
    static rig whole, part;
    int x;
    fn_pass pass = {.seed = 1, .step = 9};
    fn_shape shape = fn_shape_make(2, 12, 10), some = fn_shape_make(2, 4, 10);
    fn_graph *g = start(shape, &x), *h = start(some, &x);
    set_up(&whole, g, fn_dropout(g, "d", x, 0.5F), shape);
    set_up(&part, h, fn_dropout(h, "d", x, 0.5F), some);
    run(&whole, &pass);
    for (int chunk = 0; chunk < 3; chunk++) {
        pass.first_row = 4 * chunk;
        memcpy(part.x, whole.x + chunk * 40, sizeof(double) * 40);
        run(&part, &pass);
        assert_memory_equal(part.y, whole.y + chunk * 40, sizeof(double) * 40);
    }
    fn_graph_free(g);
    fn_graph_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lrn_is_what_its_formula_says),
        cmocka_unit_test(l2_pools_are_roots_of_sums_of_squares),
        cmocka_unit_test(vectors_are_divided_by_their_length),
        cmocka_unit_test(zeros_have_no_gradient),
        cmocka_unit_test(maxout_keeps_the_largest_piece),
        cmocka_unit_test(reduce_max_takes_any_axes),
        cmocka_unit_test(dropout_drops_its_share_and_repeats_itself),
        cmocka_unit_test(dropout_in_chunks_is_dropout_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
