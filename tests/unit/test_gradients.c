// SPDX-License-Identifier: Apache-2.0
//
// Learning on the reference: the gradient of every operator and of a whole network against central finite
// differences in double, float against double, chunks, frozen layers, running statistics, blocks of numbers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "model/onnx.h"
#include "nn/backend.h"
#include "nn/net.h"
#include "nn/training.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-6 // of the largest number of a gradient
#define STEP 1e-5

static fn_rng rng;

static int start_test(void **state) {
    (void)state;
    rng = fn_rng_at(7, 1, 0); // each test alone draws the same numbers
    return 0;
}

static float noise(void) {
    return fn_rng_range(&rng, -1, 1);
}

/// A constant of noise, scaled so that sums stay near one, plus an offset.
static int constant(fn_graph *g, const char *name, fn_shape shape, float offset) {
    size_t n = (size_t)fn_shape_count(&shape);
    float *data = fn_calloc(n, sizeof *data);
    float scale = shape.rank > 1 ? 1.7F / sqrtf((float)(n / (size_t)shape.dim[0])) : 0.4F;
    for (size_t i = 0; i < n; i++)
        data[i] = offset + scale * noise();
    int value = fn_graph_constant(g, name, FN_F32, shape, data);
    fn_free(data);
    return value;
}

static fn_graph *start(int c, int h, int w, int *x) {
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    *x = fn_graph_input(g, "input", fn_shape_make(4, -1, c, h, w));
    return g;
}

static fn_graph *finish(fn_graph *g, int y) {
    fn_graph_output(g, y);
    if (fn_graph_finish(g) < 0)
        fail_msg("%s", fn_last_error());
    return g;
}

/// A plan of the double reference with all its tensors; the loss is sum(y r) with a fixed r.
typedef struct bench {
    fn_graph *graph;
    fn_parameters parameters;
    void *plan;
    double *x, *dx, *y, *r;
    size_t n_x, n_y;
    fn_pass pass;
} bench;

static double *doubles(size_t n) {
    return fn_calloc(n, sizeof(double));
}

/// prefix: parameters to freeze, or NULL. Takes the graph over.
static bench *open_bench(fn_graph *graph, int batch, int frozen_norms, const char *prefix) {
    bench *b = fn_calloc(1, sizeof *b);
    fn_shape input = fn_input_shape(graph, 0, batch, 0, 0);
    fn_inferred inferred;
    b->graph = graph;
    if (fn_parameters_open(&b->parameters, graph) < 0 || fn_inferred_open(&inferred, graph, &input) < 0)
        fail_msg("%s", fn_last_error());
    if (prefix)
        assert_true(fn_parameters_freeze(&b->parameters, prefix) > 0);
    b->n_x = (size_t)fn_shape_count(&input);
    b->n_y = (size_t)fn_shape_count(&inferred.values[graph->outputs[0]].shape);
    if (fn_training_ref_f64.plan_open(&b->plan, graph, &b->parameters, &inferred,
                                      &(fn_training_options){.wants_input = 1}) < 0)
        fail_msg("%s", fn_last_error());
    size_t n = b->parameters.trained_size, m = b->parameters.statistics_size;
    b->x = doubles(b->n_x);
    b->dx = doubles(b->n_x);
    b->y = doubles(b->n_y);
    b->r = doubles(b->n_y);
    for (size_t i = 0; i < b->n_x; i++)
        b->x[i] = (double)noise();
    for (size_t i = 0; i < b->n_y; i++)
        b->r[i] = (double)noise();
    double *weights = doubles(n), *gradients = doubles(n), *statistics = doubles(m);
    float *w = fn_calloc(n, sizeof *w), *s = fn_calloc(m, sizeof *s);
    fn_parameters_load(&b->parameters, graph, w, s);
    for (size_t i = 0; i < n; i++)
        weights[i] = (double)w[i];
    for (size_t i = 0; i < m; i++)
        statistics[i] = (double)s[i];
    fn_free(w);
    fn_free(s);
    b->pass = (fn_pass){.weights = weights,
                        .gradients = gradients,
                        .statistics = statistics,
                        .frozen_norms = frozen_norms,
                        .seed = 5,
                        .step = 3};
    return b;
}

static void close_bench(bench *b) {
    fn_training_ref_f64.plan_free(b->plan);
    fn_parameters_free(&b->parameters);
    fn_graph_free(b->graph);
    fn_free(b->x);
    fn_free(b->dx);
    fn_free(b->y);
    fn_free(b->r);
    fn_free(b->pass.weights);
    fn_free(b->pass.gradients);
    fn_free(b->pass.statistics);
    fn_free(b);
}

static double loss_of(bench *b) {
    double loss = 0;
    assert_int_equal(fn_training_ref_f64.forward(b->plan, &b->pass, b->x, b->y), FN_OK);
    for (size_t i = 0; i < b->n_y; i++)
        loss += b->y[i] * b->r[i];
    return loss;
}

static void forward_and_backward(bench *b) {
    loss_of(b);
    assert_int_equal(fn_training_ref_f64.backward(b->plan, &b->pass, b->r, b->dx), FN_OK);
}

/// Every number of one tensor moved both ways.
static void compare_with_differences(const char *what, const char *name, bench *b, double *at,
                                     const double *gradient, size_t n) {
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        double kept = at[i];
        at[i] = kept + STEP;
        double above = loss_of(b);
        at[i] = kept - STEP;
        double below = loss_of(b);
        at[i] = kept;
        double difference = (above - below) / (2 * STEP);
        most = fmax(most, fabs(difference));
        worst = isfinite(gradient[i]) ? fmax(worst, fabs(gradient[i] - difference)) : INFINITY;
    }
    if (!(worst <= TOLERANCE * most) && !(most < 1e-9 && worst < 1e-9))
        fail_msg("%s: gradient of %s is %.3g off, of at most %.3g", what, name, worst, most);
}

static void check_graph(const char *what, fn_graph *graph, int batch, int frozen_norms) {
    bench *b = open_bench(graph, batch, frozen_norms, NULL);
    forward_and_backward(b);
    double largest = 0;
    for (size_t i = 0; i < b->n_x; i++)
        largest = fmax(largest, fabs(b->dx[i]));
    if (!(largest > 1e-3)) // a test of zeros tests nothing
        fail_msg("%s: no gradient reaches the input", what);
    compare_with_differences(what, "the input", b, b->x, b->dx, b->n_x);
    for (int i = 0; i < b->parameters.n_trained; i++) {
        const fn_parameter *p = &b->parameters.trained[i];
        compare_with_differences(what, p->name, b, (double *)b->pass.weights + p->offset,
                                 (double *)b->pass.gradients + p->offset, p->count);
    }
    close_bench(b);
}

static void check(const char *what, fn_graph *graph, int batch) {
    check_graph(what, graph, batch, 0);
}

static int node(fn_graph *g, const char *op, const int *inputs, int n, const fn_attr *attrs, int n_attrs) {
    return fn_graph_node(g, op, "n", inputs, n, attrs, n_attrs);
}

/// x[from[0] : to[0], from[1] : to[1], ...] in steps, as attributes of operator set 9.
static int slice(fn_graph *g, int x, int rank, const int *from, const int *to, int step) {
    int64_t axes[4] = {0, 1, 2, 3}, starts[4], ends[4], steps[4];
    for (int i = 0; i < rank; i++) {
        starts[i] = from[i];
        ends[i] = to[i];
        steps[i] = step;
    }
    fn_attr attrs[] = {fn_attr_ints("axes", axes, rank), fn_attr_ints("starts", starts, rank),
                       fn_attr_ints("ends", ends, rank), fn_attr_ints("steps", steps, rank)};
    return node(g, "Slice", &x, 1, attrs, 4);
}

static void convolutions_pass_gradients_at_all_shapes(void **state) {
    (void)state;
    static const struct {
        int in, out, kernel[2], stride[2], group, pad[4], dilation[2], bias;
    } cases[] = {{3, 4, {3, 3}, {1, 1}, 1, {0, 0, 0, 0}, {1, 1}, 1},
                 {3, 5, {3, 2}, {2, 1}, 1, {1, 0, 2, 1}, {1, 1}, 1},
                 {4, 6, {3, 3}, {1, 2}, 2, {1, 1, 1, 1}, {2, 1}, 0},
                 {5, 5, {3, 3}, {2, 2}, 5, {1, 1, 1, 1}, {1, 1}, 1},
                 {4, 8, {3, 3}, {1, 1}, 4, {0, 1, 1, 0}, {1, 2}, 1},
                 {3, 7, {1, 1}, {2, 2}, 1, {0, 0, 0, 0}, {1, 1}, 0},
                 {2, 3, {5, 7}, {3, 2}, 1, {4, 3, 4, 5}, {1, 1}, 1},
                 {3, 4, {5, 7}, {1, 1}, 1, {0, 0, 0, 0}, {1, 1}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int x, h = i == 7 ? 5 : 7, w = i == 7 ? 7 : 9; // the last one is as large as its input
        fn_graph *g = start(cases[i].in, h, w, &x);
        fn_conv_attrs attrs = {.stride = {cases[i].stride[0], cases[i].stride[1]},
                               .dilation = {cases[i].dilation[0], cases[i].dilation[1]},
                               .group = cases[i].group};
        memcpy(attrs.pad, cases[i].pad, sizeof attrs.pad);
        int k = constant(g, "weights",
                         fn_shape_make(4, cases[i].out, cases[i].in / cases[i].group, cases[i].kernel[0],
                                       cases[i].kernel[1]),
                         0);
        int b = cases[i].bias ? constant(g, "bias", fn_shape_make(1, cases[i].out), 0) : -1;
        char what[40];
        snprintf(what, sizeof what, "convolution %zu", i);
        check(what, finish(g, fn_conv(g, "conv", x, k, b, &attrs)), 1 + (int)i % 3);
    }
}

static void a_kernel_that_two_convolutions_share_gets_both_gradients(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(3, 6, 5, &x);
    int k = constant(g, "weights", fn_shape_make(4, 3, 3, 3, 3), 0);
    for (int i = 0; i < 2; i++)
        x = fn_conv(g, i ? "b" : "a", x, k, -1, &(fn_conv_attrs){.pad = {1, 1, 1, 1}});
    check("shared kernel", finish(g, x), 2);
}

static void dense_layers_pass_gradients(void **state) {
    (void)state;
    static const fn_shape added[] = {{0, {0}}, {1, {4}}, {1, {1}}, {2, {1, 4}}, {2, {3, 1}}, {2, {3, 4}}};
    for (int transposed = 0; transposed < 4; transposed++)
        for (int c = -1; c < 6; c++) {
            int x, ta = transposed & 1, tb = transposed >> 1; // (3, 6) x (6, 4)
            fn_graph *g = start(3, 2, 1, &x);
            x = fn_flatten(g, "flat", x);
            if (ta)
                x = fn_transpose(g, "turned", x, fn_shape_make(2, 1, 0));
            fn_shape shape = tb ? fn_shape_make(2, 4, 6) : fn_shape_make(2, 6, 4);
            int in[3] = {x, constant(g, "weights", shape, 0), c < 0 ? -1 : constant(g, "added", added[c], 0)};
            fn_attr attrs[] = {fn_attr_int("transA", ta), fn_attr_int("transB", tb),
                               fn_attr_float("alpha", 0.7F), fn_attr_float("beta", 1.3F)};
            char what[60];
            snprintf(what, sizeof what, "Gemm, transA %d, transB %d, C %d", ta, tb, c);
            check(what, finish(g, node(g, "Gemm", in, c < 0 ? 2 : 3, attrs, 4)), 3);
        }
    int x;
    fn_graph *g =
        start(2, 3, 2, &x); // both factors and the sum come from the input: (4, 3) x (3, 4) + (1, 4)
    int a = fn_reshape(g, "a", x, fn_shape_make(2, 4, 3)), b = fn_reshape(g, "b", x, fn_shape_make(2, 3, 4));
    int c = slice(g, b, 2, (int[]){1, 0}, (int[]){2, 4}, 1);
    check("Gemm of computed matrices", finish(g, node(g, "Gemm", (int[]){a, b, c}, 3, NULL, 0)), 1);
}

static void products_of_matrices_pass_gradients(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(3, 4, 5, &x); // stacks of (4, 5) x (5, 4)
    int turned = fn_transpose(g, "turned", x, fn_shape_make(4, 0, 1, 3, 2));
    check("MatMul of stacks", finish(g, node(g, "MatMul", (int[]){x, turned}, 2, NULL, 0)), 2);
    g = start(3, 4, 5, &x); // a stack of (4, 5) times one (5, 3)
    int one = slice(g, fn_reshape(g, "flat", x, fn_shape_make(2, 5, -1)), 2, (int[]){0, 2}, (int[]){5, 5}, 1);
    check("MatMul of a stack and one", finish(g, node(g, "MatMul", (int[]){x, one}, 2, NULL, 0)), 2);
    g = start(3, 4, 5, &x);
    int fixed = constant(g, "fixed", fn_shape_make(2, 5, 7), 0);
    check("MatMul by a constant", finish(g, node(g, "MatMul", (int[]){x, fixed}, 2, NULL, 0)), 2);
}

static void pools_pass_gradients(void **state) {
    (void)state;
    static const struct {
        const char *op;
        int64_t kernel[2], stride[2], pad[4];
        int ceil_mode, count_pad;
    } cases[] = {{"MaxPool", {2, 2}, {2, 2}, {0, 0, 0, 0}, 1, 0},
                 {"MaxPool", {3, 3}, {2, 1}, {1, 1, 1, 1}, 0, 0},
                 {"MaxPool", {3, 2}, {1, 2}, {0, 1, 2, 0}, 0, 0},
                 {"AveragePool", {3, 3}, {2, 2}, {1, 1, 1, 1}, 0, 0},
                 {"AveragePool", {3, 3}, {2, 2}, {1, 1, 1, 1}, 0, 1},
                 {"AveragePool", {2, 3}, {1, 2}, {0, 2, 1, 1}, 1, 1},
                 {"AveragePool", {2, 2}, {2, 2}, {0, 0, 0, 0}, 1, 0}};
    int x;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fn_graph *g = start(3, 7, 5, &x);
        fn_attr attrs[] = {fn_attr_ints("kernel_shape", cases[i].kernel, 2),
                           fn_attr_ints("strides", cases[i].stride, 2), fn_attr_ints("pads", cases[i].pad, 4),
                           fn_attr_int("ceil_mode", cases[i].ceil_mode),
                           fn_attr_int("count_include_pad", cases[i].count_pad)};
        char what[40];
        snprintf(what, sizeof what, "%s %zu", cases[i].op, i);
        check(what, finish(g, node(g, cases[i].op, &x, 1, attrs, 5)), 2);
    }
    fn_graph *g = start(3, 7, 5, &x);
    check("GlobalAveragePool", finish(g, fn_global_average_pool(g, "pool", x)), 2);
}

static void the_first_of_equal_maxima_gets_the_gradient(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(1, 2, 4, &x);
    bench *b = open_bench(finish(g, fn_max_pool(g, "pool", x, 2, 2, NULL)), 1, 0, NULL);
    memcpy(b->x, (double[]){1, 3, 5, 5, 3, 3, 5, 5}, 8 * sizeof *b->x);
    b->r[0] = 2;
    b->r[1] = 7;
    forward_and_backward(b);
    assert_memory_equal(b->dx, ((double[]){0, 2, 7, 0, 0, 0, 0, 0}), 8 * sizeof *b->dx);
    close_bench(b);
}

static int batch_norm(fn_graph *g, const char *name, int x, int channels) {
    static const char *const what[] = {"scale", "bias", "mean", "variance"};
    int p[4];
    for (int i = 0; i < 4; i++) {
        char text[80];
        snprintf(text, sizeof text, "%s.%s", name, what[i]);
        p[i] = constant(g, text, fn_shape_make(1, channels), i % 3 ? 0 : 1);
    }
    return fn_batch_norm(g, name, x, p[0], p[1], p[2], p[3], 1e-3F);
}

static void batch_norms_pass_gradients(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        int x;
        fn_graph *g = start(5, 3, 2, &x);
        check_graph(frozen ? "frozen BatchNormalization" : "BatchNormalization",
                    finish(g, batch_norm(g, "norm", x, 5)), 3, frozen);
        g = start(7, 1, 1, &x); // of rows
        check_graph(frozen ? "frozen rows" : "rows",
                    finish(g, batch_norm(g, "norm", fn_flatten(g, "f", x), 7)), 4, frozen);
    }
}

static void running_statistics_follow_the_batch(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(2, 1, 2, &x);
    float ones[2] = {1, 1}, shift[2] = {0, 0}, mean[2] = {1, 2}, variance[2] = {4, 8};
    int p[4];
    float *data[4] = {ones, shift, mean, variance};
    for (int i = 0; i < 4; i++)
        p[i] = fn_graph_constant(g, NULL, FN_F32, fn_shape_make(1, 2), data[i]);
    bench *b = open_bench(finish(g, fn_batch_norm(g, "norm", x, p[0], p[1], p[2], p[3], 0)), 2, 0, NULL);
    // Channel 0 holds 1, 2, 3, 6 (mean 3, squares about it 14), channel 1 holds 0, 0, 0, 4 (1, 12).
    memcpy(b->x, (double[]){1, 2, 0, 0, 3, 6, 0, 4}, 8 * sizeof *b->x);
    double *statistics = b->pass.statistics;
    const double *running_mean = statistics + b->parameters.statistics[0].offset;
    const double *running_variance = statistics + b->parameters.statistics[1].offset;
    loss_of(b); // momentum 0
    assert_true(running_mean[0] == 1 && running_variance[1] == 8);
    b->pass.momentum = 0.25F;
    loss_of(b);
    double want_mean[2] = {1.5, 1.75}, want_variance[2] = {3 + 14.0 / 12, 6 + 1}; // squares / 3, not / 4
    for (int c = 0; c < 2; c++) {
        assert_true(fabs(running_mean[c] - want_mean[c]) < 1e-14);
        assert_true(fabs(running_variance[c] - want_variance[c]) < 1e-14);
    }
    assert_true(fabs(b->y[0] - (1 - 3) / sqrt(14.0 / 4)) < 1e-14); // squares / 4
    b->pass.frozen_norms = 1;
    loss_of(b);
    assert_true(running_mean[0] == 1.5 && fabs(b->y[0] - (1 - 1.5) / sqrt(want_variance[0])) < 1e-14);
    close_bench(b);
}

/// Two threads play two processes: each sees half of the batch.
typedef struct half {
    bench *b;
    pthread_barrier_t *barrier;
    double **sums; // one slot per half
    int which;
} half;

static void add_over_halves(void *user, double *sums, int n) {
    half *h = user;
    h->sums[h->which] = sums;
    pthread_barrier_wait(h->barrier);
    double *total = doubles((size_t)n);
    for (int i = 0; i < n; i++)
        total[i] = h->sums[0][i] + h->sums[1][i];
    pthread_barrier_wait(h->barrier);
    memcpy(sums, total, (size_t)n * sizeof *sums);
    fn_free(total);
}

static void *run_half(void *p) {
    half *h = p;
    fn_training_ref_f64.forward(h->b->plan, &h->b->pass, h->b->x, h->b->y);
    fn_training_ref_f64.backward(h->b->plan, &h->b->pass, h->b->r, h->b->dx);
    return NULL;
}

static void batch_norms_over_processes_are_those_of_the_whole_batch(void **state) {
    (void)state;
    enum { C = 3, N = 2 * C * 4 }; // numbers of one half
    int x;
    fn_graph *g = start(C, 2, 2, &x);
    bench *whole = open_bench(finish(g, batch_norm(g, "norm", x, C)), 4, 0, NULL);
    whole->pass.momentum = 0.1F;
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, 2);
    double *sums[2];
    half halves[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        fn_graph *copy;
        assert_int_equal(fn_graph_copy(&copy, whole->graph), FN_OK);
        bench *b = open_bench(copy, 2, 0, NULL);
        halves[i] = (half){b, &barrier, sums, i};
        b->pass.momentum = 0.1F;
        b->pass.reduce = add_over_halves;
        b->pass.user = &halves[i];
        memcpy(b->x, whole->x + i * N, N * sizeof *b->x);
        memcpy(b->r, whole->r + i * N, N * sizeof *b->r);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_half, &halves[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    forward_and_backward(whole);
    const bench *a = halves[0].b, *b = halves[1].b;
    for (int i = 0; i < 2 * N; i++) {
        const bench *part = i < N ? a : b;
        assert_true(fabs(whole->y[i] - part->y[i % N]) < 1e-12);
        assert_true(fabs(whole->dx[i] - part->dx[i % N]) < 1e-12);
    }
    for (size_t i = 0; i < whole->parameters.trained_size; i++) {
        const double *w = whole->pass.gradients, *u = a->pass.gradients, *v = b->pass.gradients;
        assert_true(fabs(w[i] - (u[i] + v[i])) < 1e-12);
    }
    for (size_t i = 0; i < whole->parameters.statistics_size; i++) {
        const double *w = whole->pass.statistics, *u = a->pass.statistics, *v = b->pass.statistics;
        assert_true(fabs(w[i] - u[i]) < 1e-12 && u[i] == v[i]);
    }
    close_bench(whole);
    close_bench(halves[0].b);
    close_bench(halves[1].b);
    pthread_barrier_destroy(&barrier);
}

static void activations_pass_gradients(void **state) {
    (void)state;
    static const char *const plain[] = {"Relu", "Sigmoid", "Exp", "Abs", "Neg"};
    int x;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        fn_graph *g = start(3, 2, 3, &x);
        check(plain[i], finish(g, node(g, plain[i], &x, 1, NULL, 0)), 2);
    }
    for (int axis = -1; axis < 3; axis++) {
        fn_graph *g = start(3, 4, 3, &x);
        fn_attr attr = fn_attr_int("axis", axis);
        check("Softmax", finish(g, node(g, "Softmax", &x, 1, &attr, 1)), 2);
    }
    fn_graph *g = start(3, 2, 3, &x);
    check("LeakyRelu", finish(g, fn_leaky_relu(g, "n", x, 0.3F)), 2);
    g = start(3, 4, 3, &x);
    check("Clip", finish(g, fn_clip(g, "n", x, -0.25F, 0.5F)), 2);
    static const fn_shape slopes[] = {{3, {3, 1, 1}}, {1, {3}}, {3, {1, 1, 1}}, {3, {3, 2, 4}}, {1, {1}}};
    for (size_t i = 0; i < sizeof slopes / sizeof slopes[0]; i++) {
        g = start(3, 2, 4, &x);
        check("PRelu", finish(g, fn_prelu(g, "n", x, constant(g, "slope", slopes[i], 0.2F))), 2);
    }
}

static void sums_and_products_pass_gradients_through_broadcasting(void **state) {
    (void)state;
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    static const int ends[][4] = {{2, 3, 4, 5}, {1, 3, 1, 1}, {2, 1, 4, 1},
                                  {1, 1, 1, 5}, {1, 1, 1, 1}, {1, 3, 4, 5}};
    for (size_t op = 0; op < 4; op++)
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            for (int turned = 0; turned < 2; turned++)
                for (int lower = 0; lower < 2; lower++) { // leading ones left out
                    int x;
                    fn_graph *g = start(3, 4, 5, &x);
                    int part = slice(g, x, 4, (int[]){0, 0, 0, 0}, ends[i], 1), e = x;
                    if (lower && ends[i][0] > 1)
                        part = fn_clip(g, "same", part, -5, 5);
                    else if (lower)
                        part = fn_reshape(g, "lower", part,
                                          fn_shape_make(3, ends[i][1], ends[i][2], ends[i][3]));
                    *(turned ? &e : &part) = node(g, "Exp", turned ? &x : &part, 1, NULL, 0); // not near zero
                    char what[60];
                    snprintf(what, sizeof what, "%s, part %zu, turned %d, lower %d", ops[op], i, turned,
                             lower);
                    check(
                        what,
                        finish(g, node(g, ops[op], turned ? (int[]){part, e} : (int[]){e, part}, 2, NULL, 0)),
                        2);
                }
    int x;
    fn_graph *g = start(2, 2, 2, &x);
    check("a square", finish(g, fn_mul(g, "square", x, x)), 2);
    g = start(2, 2, 2, &x);
    int c = constant(g, "fixed", fn_shape_make(3, 2, 1, 1), 0);
    bench *b = open_bench(finish(g, fn_mul(g, "scaled", x, c)), 2, 0, NULL);
    assert_int_equal(b->parameters.n_trained, 0); // constants of arithmetic are fixed
    close_bench(b);
}

static void moved_numbers_take_their_gradients_along(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(3, 4, 5, &x);
    check("Pad", finish(g, fn_pad(g, "pad", x, (int[]){0, 1, 2, 0}, (int[]){1, 0, 0, 3})), 2);
    for (int axis = 0; axis < 4; axis++) {
        g = start(3, 4, 5, &x);
        int to[4] = {2, 3, 4, 5}, e = node(g, "Exp", &x, 1, NULL, 0);
        to[axis] = 1;
        int part = slice(g, x, 4, (int[]){0, 0, 0, 0}, to, 1);
        check("Concat", finish(g, fn_concat(g, "join", (int[]){x, part, e, x}, 4, axis)), 2);
    }
    g = start(3, 7, 5, &x);
    check("Slice", finish(g, slice(g, x, 4, (int[]){0, 1, 1, -4}, (int[]){2, 3, 7, 5}, 2)), 2);
    g = start(3, 4, 5, &x);
    check("Transpose", finish(g, fn_transpose(g, "t", x, fn_shape_make(4, 2, 0, 3, 1))), 2);
    g = start(3, 4, 5, &x);
    int y = fn_reshape(g, "a", x, fn_shape_make(3, 0, -1, 2));
    y = fn_flatten(g, "b", y);
    y = node(g, "Unsqueeze", &y, 1, (fn_attr[]){fn_attr_ints("axes", (int64_t[]){1}, 1)}, 1);
    y = node(g, "Identity", &y, 1, NULL, 0);
    y = fn_concat(g, "c", (int[]){y, node(g, "Exp", &y, 1, NULL, 0)}, 2, 1); // two readers of one view
    check("views", finish(g, y), 2);
    static const char *const modes[] = {"half_pixel", "align_corners", "asymmetric"};
    for (int i = 0; i < 4; i++) {
        g = start(2, 3, 4, &x);
        float scales[4] = {1, 1, 2, 3};
        int s = fn_graph_constant(g, NULL, FN_F32, fn_shape_make(1, 4), scales);
        fn_attr attrs[] = {fn_attr_string("mode", i < 3 ? "linear" : "nearest"),
                           fn_attr_string("coordinate_transformation_mode", modes[i < 3 ? i : 2]),
                           fn_attr_string("nearest_mode", "floor")};
        check("Resize", finish(g, node(g, "Resize", (int[]){x, -1, s}, 3, attrs, 3)), 2);
    }
}

static int conv_norm_relu(fn_graph *g, const char *name, int x, int in, int out, int kernel, int stride) {
    char text[80];
    snprintf(text, sizeof text, "%s.weights", name);
    int w = constant(g, text, fn_shape_make(4, out, in, kernel, kernel), 0);
    int p = kernel / 2;
    snprintf(text, sizeof text, "%s.conv", name);
    x = fn_conv(g, text, x, w, -1, &(fn_conv_attrs){.stride = {stride, stride}, .pad = {p, p, p, p}});
    snprintf(text, sizeof text, "%s.norm", name);
    x = batch_norm(g, text, x, out);
    snprintf(text, sizeof text, "%s.relu", name);
    return fn_relu(g, text, x);
}

/// The pieces of the networks of Szegedy and of Schroff: stem, LRN, a module of four branches, a dense end on
/// the sphere. input (n, 3, 15, 13), output (n, 5).
static fn_graph *small_network(void) {
    int x, branch[4], pad[4] = {1, 1, 1, 1};
    fn_graph *g = start(3, 15, 13, &x);
    x = conv_norm_relu(g, "stem", x, 3, 4, 3, 2);  // 8 x 7
    x = fn_max_pool(g, "stem.pool", x, 3, 2, pad); // 4 x 4
    x = fn_lrn(g, "stem.lrn", x, 3, 0.5F, 0.75F, 1);
    branch[0] = conv_norm_relu(g, "a", x, 4, 3, 1, 1);
    branch[1] = conv_norm_relu(g, "b2", conv_norm_relu(g, "b1", x, 4, 2, 1, 1), 2, 3, 3, 1);
    branch[2] = conv_norm_relu(g, "c", fn_l2_pool(g, "c.pool", x, 3, 1, pad), 4, 2, 1, 1);
    branch[3] = fn_average_pool(g, "d.pool", x, 3, 1, NULL); // 2 x 2
    branch[3] = fn_pad(g, "d.pad", branch[3], (int[]){0, 0, 1, 1}, (int[]){0, 0, 1, 1});
    x = fn_concat(g, "join", branch, 4, 1); // (12, 4, 4)
    int w = constant(g, "shortcut.weights", fn_shape_make(4, 12, 1, 3, 3), 0);
    int b = constant(g, "shortcut.bias", fn_shape_make(1, 12), 0);
    int y = fn_conv(g, "shortcut", x, w, b, &(fn_conv_attrs){.pad = {1, 1, 1, 1}, .group = 12});
    x = fn_add(g, "sum",
               fn_prelu(g, "slope", y, constant(g, "slope.slopes", fn_shape_make(3, 12, 1, 1), 0.2F)), x);
    x = fn_flatten(g, "flat", fn_average_pool(g, "pool", x, 2, 2, NULL)); // 48
    x = fn_dense(g, "dense", x, constant(g, "dense.weights", fn_shape_make(2, 5, 48), 0),
                 constant(g, "dense.bias", fn_shape_make(1, 5), 0));
    return finish(g, fn_l2_normalize(g, "embedding", x));
}

static void a_whole_network_passes_gradients(void **state) {
    (void)state;
    check_graph("network", small_network(), 3, 0);
    check_graph("network with frozen norms", small_network(), 2, 1);
}

static void two_chunks_add_up_to_one_pass(void **state) {
    (void)state;
    fn_graph *graph = small_network(), *copy;
    assert_int_equal(fn_graph_copy(&copy, graph), FN_OK);
    bench *whole = open_bench(graph, 4, 1, NULL), *chunk = open_bench(copy, 2, 1, NULL);
    forward_and_backward(whole);
    for (int i = 0; i < 2; i++) {
        memcpy(chunk->x, whole->x + (size_t)i * chunk->n_x, chunk->n_x * sizeof *chunk->x);
        memcpy(chunk->r, whole->r + (size_t)i * chunk->n_y, chunk->n_y * sizeof *chunk->r);
        forward_and_backward(chunk);
        for (size_t k = 0; k < chunk->n_x; k++)
            assert_true(fabs(chunk->dx[k] - whole->dx[(size_t)i * chunk->n_x + k]) < 1e-12);
    }
    const double *a = whole->pass.gradients, *b = chunk->pass.gradients;
    for (size_t k = 0; k < whole->parameters.trained_size; k++)
        if (!(fabs(a[k] - b[k]) <= 1e-12))
            fail_msg("gradient %zu: %.17g in one pass, %.17g in two", k, a[k], b[k]);
    close_bench(whole);
    close_bench(chunk);
}

static void frozen_layers_have_no_gradient_and_leave_the_others_alone(void **state) {
    (void)state;
    fn_graph *graph = small_network(), *copy;
    assert_int_equal(fn_graph_copy(&copy, graph), FN_OK);
    bench *a = open_bench(graph, 2, 1, NULL), *b = open_bench(copy, 2, 1, "b");
    memcpy(b->x, a->x, a->n_x * sizeof *a->x);
    memcpy(b->r, a->r, a->n_y * sizeof *a->r);
    forward_and_backward(a);
    forward_and_backward(b);
    int n_frozen = 0;
    for (int i = 0; i < a->parameters.n_trained; i++) {
        const fn_parameter *p = &b->parameters.trained[i];
        n_frozen += p->frozen;
        assert_int_equal(p->frozen, p->name[0] == 'b');
        for (size_t k = p->offset; k < p->offset + p->count; k++)
            assert_true(((double *)b->pass.gradients)[k] ==
                        (p->frozen ? 0 : ((double *)a->pass.gradients)[k]));
    }
    assert_int_equal(n_frozen, 6);
    assert_memory_equal(a->dx, b->dx, a->n_x * sizeof *a->dx);
    assert_int_equal(fn_parameters_freeze(&b->parameters, "nobody"), FN_EINVAL);
    close_bench(a);
    close_bench(b);
}

typedef struct announced {
    size_t first[64], count[64];
    int n;
    const double *gradients;
    double at_the_time[64]; // the last number of the range
} announced;

static void announce(void *user, size_t first, size_t count) {
    announced *a = user;
    assert_true(a->n < 64);
    a->at_the_time[a->n] = a->gradients[first + count - 1];
    a->first[a->n] = first;
    a->count[a->n++] = count;
}

static void norms_whose_parameters_are_frozen_keep_their_statistics(void **state) {
    (void)state;
    bench *b = open_bench(small_network(), 2, 0, "b");
    const double *statistics = b->pass.statistics;
    double *before = doubles(b->parameters.statistics_size);
    int n_kept = 0, n_moved = 0;
    memcpy(before, statistics, b->parameters.statistics_size * sizeof *before);
    b->pass.momentum = 0.5F;
    forward_and_backward(b);
    for (int i = 0; i < b->parameters.n_statistics; i++) {
        const fn_parameter *p = &b->parameters.statistics[i];
        const int moved = memcmp(before + p->offset, statistics + p->offset, p->count * sizeof *before) != 0;
        assert_int_equal(moved, p->name[0] != 'b');
        n_moved += moved;
        n_kept += !moved;
    }
    assert_true(n_kept == 4 && n_moved > 0);
    fn_free(before);
    close_bench(b);
}

static void each_parameter_is_announced_once_complete_and_last_first(void **state) {
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        bench *b = open_bench(small_network(), 2, 0, frozen ? "stem" : NULL);
        announced a = {.gradients = b->pass.gradients};
        b->pass.ready = announce;
        b->pass.user = &a;
        forward_and_backward(b);
        assert_int_equal(a.n, b->parameters.n_trained);
        for (int i = 0; i < a.n; i++) {
            const fn_parameter *p = &b->parameters.trained[a.n - 1 - i];
            assert_int_equal(a.first[i], p->offset);
            assert_int_equal(a.count[i], p->count);
            assert_true(a.at_the_time[i] == a.gradients[p->offset + p->count - 1]);
            assert_int_equal(p->offset % 16, 0);
        }
        close_bench(b);
    }
}

static void only_kernels_and_matrices_decay(void **state) {
    (void)state;
    fn_graph *g = small_network();
    fn_parameters p;
    assert_int_equal(fn_parameters_open(&p, g), FN_OK);
    for (int i = 0; i < p.n_trained; i++)
        assert_int_equal(p.trained[i].decays, strstr(p.trained[i].name, ".weights") != NULL);
    assert_int_equal(p.n_statistics, 10);
    int64_t trained = 0;
    for (int i = 0; i < p.n_trained; i++)
        trained += fn_shape_count(&g->values[p.trained[i].value].shape);
    assert_int_equal(fn_parameters_count(&p, 0), trained);
    assert_int_equal(fn_parameters_count(&p, 1), trained + 2 * (4 + 3 + 2 + 3 + 2));
    fn_parameters_free(&p);
    fn_graph_free(g);
}

static fn_training *open_training(fn_graph *graph, int wants_input) {
    fn_training *t;
    fn_training_options options = {.backend = FN_BACKEND_REF, .wants_input = wants_input};
    if (fn_training_open(&t, graph, &options) < 0)
        fail_msg("%s", fn_last_error());
    return t;
}

static double relative(const float *got, const double *want, size_t n) {
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += want[i] * want[i];
    }
    return size > 0 ? sqrt(error / size) : sqrt(error);
}

static void float_gradients_are_those_of_double(void **state) {
    (void)state;
    enum { N = 3 };
    fn_graph *graph = small_network(), *copy;
    assert_int_equal(fn_graph_copy(&copy, graph), FN_OK);
    bench *b = open_bench(graph, N, 0, NULL);
    fn_training *t = open_training(copy, 1);
    fn_pass pass = fn_training_pass(t);
    assert_int_equal(fn_training_dimension(t), 5);
    float *x = fn_calloc(b->n_x, sizeof *x), *dx = fn_calloc(b->n_x, sizeof *x), y[N * 5], r[N * 5];
    for (size_t i = 0; i < b->n_x; i++)
        b->x[i] = (double)(x[i] = noise());
    for (size_t i = 0; i < N * 5; i++)
        b->r[i] = (double)(r[i] = noise());
    b->pass.momentum = pass.momentum = 0.1F;
    forward_and_backward(b);
    assert_int_equal(fn_training_forward(t, &pass, x, N, y), FN_OK);
    assert_int_equal(fn_training_backward(t, &pass, r, N, dx), FN_OK);
    assert_true(relative(y, b->y, N * 5) <= 1e-5);
    assert_true(relative(dx, b->dx, b->n_x) <= 1e-5);
    for (int i = 0; i < b->parameters.n_trained; i++) {
        const fn_parameter *p = &b->parameters.trained[i];
        double error =
            relative(fn_training_gradients(t) + p->offset, (double *)b->pass.gradients + p->offset, p->count);
        if (!(error <= 1e-5))
            fail_msg("gradient of %s: relative error %.3g", p->name, error);
    }
    assert_true(relative(fn_training_statistics(t), b->pass.statistics, b->parameters.statistics_size) <=
                1e-5);
    close_bench(b);
    fn_training_free(t);
    fn_free(x);
    fn_free(dx);
}

static void passes_must_go_together(void **state) {
    (void)state;
    fn_training *t = open_training(small_network(), 0);
    fn_pass pass = fn_training_pass(t);
    float *x = fn_calloc(3 * 3 * 15 * 13, sizeof *x), y[15], r[15] = {1};
    assert_int_equal(fn_training_backward(t, &pass, r, 2, NULL), FN_EINVAL);
    assert_int_equal(fn_training_forward(t, &pass, x, 0, y), FN_EINVAL);
    assert_int_equal(fn_training_forward(t, &pass, x, 3, y), FN_OK);
    assert_int_equal(fn_training_backward(t, &pass, r, 2, NULL), FN_EINVAL);
    assert_int_equal(fn_training_backward(t, &pass, r, 3, x), FN_EINVAL); // no gradient of the input
    assert_int_equal(fn_training_backward(t, &pass, r, 3, NULL), FN_OK);
    fn_free(x);
    fn_training_free(t);
    int in;
    fn_graph *g = start(3, 4, 4, &in);
    fn_training_options options = {.backend = FN_BACKEND_REF};
    assert_int_equal(fn_training_open(&t, finish(g, fn_relu(g, "r", in)), &options),
                     FN_EMODEL); // four dimensions
    g = start(3, 4, 4, &in);
    assert_int_equal(fn_training_open(&t, finish(g, fn_flatten(g, "f", in)), &options),
                     FN_EMODEL); // learns nothing
    g = start(3, -1, -1, &in);
    int w = constant(g, "w", fn_shape_make(4, 2, 3, 1, 1), 0);
    in = fn_global_average_pool(g, "p", fn_conv(g, "c", in, w, -1, &(fn_conv_attrs){0}));
    assert_int_equal(fn_training_open(&t, finish(g, fn_flatten(g, "f", in)), &options),
                     FN_EMODEL); // of any size
    assert_null(t);
}

static void the_place_where_numbers_stop_being_finite_is_named(void **state) {
    (void)state;
    fn_training *t = open_training(small_network(), 0);
    fn_pass pass = fn_training_pass(t);
    float *x = fn_calloc(2 * 3 * 15 * 13, sizeof *x), y[10], r[10] = {1, 0, 0, 0, 0, 0, 0, INFINITY};
    for (int i = 0; i < 2 * 3 * 15 * 13; i++)
        x[i] = noise();
    assert_int_equal(fn_training_forward(t, &pass, x, 2, y), FN_OK);
    assert_null(fn_training_not_finite(t, &pass));
    assert_int_equal(fn_training_backward(t, &pass, r, 2, NULL), FN_OK);
    assert_string_equal(fn_training_not_finite(t, &pass), "embedding");
    const fn_parameters *p = fn_training_parameters(t);
    for (int i = 0; i < p->n_trained; i++)
        if (strcmp(p->trained[i].name, "c.weights") == 0)
            fn_training_weights(t)[p->trained[i].offset] = NAN;
    assert_int_equal(fn_training_forward(t, &pass, x, 2, y), FN_OK);
    assert_string_equal(fn_training_not_finite(t, &pass), "c.conv");
    fn_free(x);
    fn_training_free(t);
}

static void shared_statistics_are_parted(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(2, 1, 1, &x);
    int one = constant(g, "one", fn_shape_make(1, 2), 1), zero = constant(g, "zero", fn_shape_make(1, 2), 0);
    x = fn_batch_norm(g, "a", fn_flatten(g, "f", x), one, zero, zero, one, 1e-3F);
    x = fn_batch_norm(g, "b", x, one, zero, zero, one, 1e-3F);
    fn_training *t = open_training(finish(g, x), 0);
    assert_int_equal(fn_training_parameters(t)->n_statistics, 4);
    assert_int_equal(fn_training_parameters(t)->n_trained, 2);
    fn_pass pass = fn_training_pass(t);
    pass.momentum = 1;
    float in[8] = {10, 20, 11, 22, 12, 24, 13, 26}, out[8];
    assert_int_equal(fn_training_forward(t, &pass, in, 4, out), FN_OK);
    const fn_parameters *p = fn_training_parameters(t);
    assert_true(fabsf(fn_training_statistics(t)[p->statistics[0].offset] - 11.5F) < 1e-5F);
    assert_true(fabsf(fn_training_statistics(t)[p->statistics[2].offset]) < 2.0F);
    fn_training_free(t);
}

/// Output of a graph in inference on the reference.
static void infer(fn_graph *graph, const float *x, int n, float *y) {
    fn_net *net;
    fn_net_options options = {.backend = FN_BACKEND_REF, .threads = 1};
    if (fn_net_open(&net, graph, &options) < 0 || fn_net_run(net, x, n, 15, 13, &y) < 0)
        fail_msg("%s", fn_last_error());
    fn_net_free(net);
}

static void what_was_learnt_can_be_exported(void **state) {
    (void)state;
    enum { N = 2 };
    fn_training *t = open_training(small_network(), 0);
    fn_pass pass = fn_training_pass(t);
    float *x = fn_calloc(N * 3 * 15 * 13, sizeof *x), r[N * 5], want[N * 5], got[N * 5];
    for (int i = 0; i < N * 3 * 15 * 13; i++)
        x[i] = noise();
    for (int i = 0; i < N * 5; i++)
        r[i] = noise();
    pass.momentum = 0.5F;
    assert_int_equal(fn_training_forward(t, &pass, x, N, got), FN_OK);
    assert_int_equal(fn_training_backward(t, &pass, r, N, NULL), FN_OK);
    for (size_t i = 0; i < fn_training_parameters(t)->trained_size; i++)
        fn_training_weights(t)[i] -= 0.1F * fn_training_gradients(t)[i];
    pass.momentum = 0;
    pass.frozen_norms = 1;
    assert_int_equal(fn_training_forward(t, &pass, x, N, want), FN_OK);
    for (int fold = 0; fold < 2; fold++) {
        fn_graph *g;
        void *bytes;
        size_t n_bytes;
        fn_metadata metadata = {0};
        assert_int_equal(fn_training_export(&g, t, NULL, NULL, fold), FN_OK);
        int norms = 0;
        for (int i = 0; i < g->n_nodes; i++)
            norms += strcmp(g->nodes[i].op->name, "BatchNormalization") == 0;
        assert_int_equal(norms, fold ? 0 : 5);
        if (fn_onnx_write(&bytes, &n_bytes, g, &metadata) < 0)
            fail_msg("%s", fn_last_error());
        fn_graph_free(g);
        if (fn_onnx_read(&g, &metadata, bytes, n_bytes, "exported") < 0)
            fail_msg("%s", fn_last_error());
        fn_free(bytes);
        fn_metadata_free(&metadata);
        infer(g, x, N, got);
        for (int i = 0; i < N * 5; i++)
            if (!(fabsf(got[i] - want[i]) < 1e-5F))
                fail_msg("fold %d: %.7g learnt, %.7g exported", fold, (double)want[i], (double)got[i]);
    }
    fn_free(x);
    fn_training_free(t);
}

/// All of it once; what fails must be memory, and nothing may be left behind.
static int whole_life(const fn_graph *graph) {
    static float x[2 * 3 * 15 * 13], y[10], r[10] = {1};
    fn_graph *copy, *exported;
    fn_training *t = NULL;
    fn_training_options options = {.backend = FN_BACKEND_REF};
    int rc = fn_graph_copy(&copy, graph);
    if (rc == FN_OK)
        rc = fn_training_open(&t, copy, &options);
    if (rc == FN_OK) {
        fn_pass pass = fn_training_pass(t);
        for (int n = 1; n <= 2 && rc == FN_OK; n++) {
            rc = fn_training_forward(t, &pass, x, n, y);
            if (rc == FN_OK)
                rc = fn_training_backward(t, &pass, r, n, NULL);
        }
        if (rc == FN_OK)
            rc = fn_training_export(&exported, t, NULL, NULL, 1);
        if (rc == FN_OK)
            fn_graph_free(exported);
    }
    fn_training_free(t);
    return rc;
}

static void running_out_of_memory_is_reported(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(3, 15, 13, &x);
    int shared = constant(g, "shared", fn_shape_make(1, 2), 1);
    x = fn_conv(g, "c", x, constant(g, "w", fn_shape_make(4, 2, 3, 3, 3), 0), -1,
                &(fn_conv_attrs){.stride = {4, 4}});
    x = fn_batch_norm(g, "n", x, shared, shared, shared, shared, 1e-3F);
    x = fn_flatten(g, "f", x);
    finish(g, fn_dense(g, "d", x, constant(g, "dw", fn_shape_make(2, 5, 24), 0), -1));
    fn_alloc_fail_nth(0);
    assert_int_equal(whole_life(g), FN_OK);
    int64_t n = fn_alloc_count();
    assert_true(n > 50);
    for (int64_t i = 1; i <= n; i++) {
        fn_alloc_fail_nth(i);
        int rc = whole_life(g);
        fn_alloc_fail_nth(0);
        if (rc != FN_ENOMEM)
            fail_msg("allocation %lld of %lld failed: %d, %s", (long long)i, (long long)n, rc,
                     fn_last_error());
    }
    fn_graph_free(g);
}

#define TEST(name) cmocka_unit_test_setup(name, start_test)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(convolutions_pass_gradients_at_all_shapes),
        TEST(a_kernel_that_two_convolutions_share_gets_both_gradients),
        TEST(dense_layers_pass_gradients),
        TEST(products_of_matrices_pass_gradients),
        TEST(pools_pass_gradients),
        TEST(the_first_of_equal_maxima_gets_the_gradient),
        TEST(batch_norms_pass_gradients),
        TEST(running_statistics_follow_the_batch),
        TEST(batch_norms_over_processes_are_those_of_the_whole_batch),
        TEST(activations_pass_gradients),
        TEST(sums_and_products_pass_gradients_through_broadcasting),
        TEST(moved_numbers_take_their_gradients_along),
        TEST(a_whole_network_passes_gradients),
        TEST(two_chunks_add_up_to_one_pass),
        TEST(frozen_layers_have_no_gradient_and_leave_the_others_alone),
        TEST(norms_whose_parameters_are_frozen_keep_their_statistics),
        TEST(each_parameter_is_announced_once_complete_and_last_first),
        TEST(only_kernels_and_matrices_decay),
        TEST(float_gradients_are_those_of_double),
        TEST(passes_must_go_together),
        TEST(the_place_where_numbers_stop_being_finite_is_named),
        TEST(shared_statistics_are_parted),
        TEST(what_was_learnt_can_be_exported),
        TEST(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
