// SPDX-License-Identifier: Apache-2.0
//
// Learning on oneDNN against learning on the reference: each operator and small networks, float and bfloat16,
// one thread and two, each source of statistics; and that a pass can be repeated bit by bit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "model/networks.h"
#include "nn/training.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static fn_rng rng;

static int start_test(void **state) {
    (void)state;
    rng = fn_rng_at(11, 1, 0); // each test alone draws the same numbers
    return 0;
}

static int constant(fn_graph *g, const char *name, fn_shape shape, float offset) {
    size_t n = (size_t)fn_shape_count(&shape);
    float *data = fn_calloc(n, sizeof *data);
    float scale = shape.rank > 1 ? 1.4F / sqrtf((float)(n / (size_t)shape.dim[0])) : 0.3F;
    for (size_t i = 0; i < n; i++)
        data[i] = offset + scale * fn_rng_normal(&rng);
    int value = fn_graph_constant(g, name, FN_F32, shape, data);
    fn_free(data);
    return value;
}

// --- small graphs: (N, 6, 11, 9) or what `channels` says in; each ends as (N, D) ------------------------

typedef struct layer_case {
    const char *name;
    int channels;
    int (*build)(fn_graph *g, int x, const struct layer_case *c);
    int out, kernel, stride, pad, dilation, group;
} layer_case;

static int conv(fn_graph *g, int x, const layer_case *c) {
    int w = constant(g, "w", fn_shape_make(4, c->out, c->channels / c->group, c->kernel, c->kernel), 0);
    int b = constant(g, "b", fn_shape_make(1, c->out), 0);
    return fn_conv(g, "conv", x, w, b,
                   &(fn_conv_attrs){.stride = {c->stride, c->stride},
                                    .pad = {c->pad, c->pad, c->pad, c->pad},
                                    .dilation = {c->dilation, c->dilation},
                                    .group = c->group});
}

static int norm(fn_graph *g, const char *name, int x, int channels) {
    char names[4][64];
    for (int i = 0; i < 4; i++)
        snprintf(names[i], sizeof names[i], "%s.%d", name, i);
    return fn_batch_norm(g, name, x, constant(g, names[0], fn_shape_make(1, channels), 1),
                         constant(g, names[1], fn_shape_make(1, channels), 0),
                         constant(g, names[2], fn_shape_make(1, channels), 0),
                         constant(g, names[3], fn_shape_make(1, channels), 2), 1e-5F);
}

static int conv_norm(fn_graph *g, int x, const layer_case *c) {
    return norm(g, "bn", conv(g, x, c), c->out);
}

static int conv_norm_relu(fn_graph *g, int x, const layer_case *c) {
    return fn_relu(g, "relu", conv_norm(g, x, c));
}

/// The relu is not the only reader of the norm.
static int norm_read_twice(fn_graph *g, int x, const layer_case *c) {
    int y = conv_norm(g, x, c);
    return fn_add(g, "add", fn_relu(g, "relu", y), y);
}

static int relu(fn_graph *g, int x, const layer_case *c) {
    return fn_relu(g, "relu", conv(g, x, c));
}

static int prelu(fn_graph *g, int x, const layer_case *c) {
    return fn_prelu(g, "prelu", conv(g, x, c), constant(g, "slope", fn_shape_make(3, c->out, 1, 1), 0.2F));
}

/// One slope per column of a picture that has as many columns as channels.
static int prelu_of_columns(fn_graph *g, int x, const layer_case *c) {
    return fn_prelu(g, "prelu", conv(g, x, c), constant(g, "slope", fn_shape_make(3, 1, 1, c->out), 0.2F));
}

static int max_pool(fn_graph *g, int x, const layer_case *c) {
    return fn_max_pool(g, "pool", conv(g, x, c), 3, 2, (int[4]){1, 1, 1, 1});
}

static int average_pool(fn_graph *g, int x, const layer_case *c) {
    return fn_average_pool(g, "pool", conv(g, x, c), 3, 2, (int[4]){1, 0, 1, 1});
}

static int global_pool(fn_graph *g, int x, const layer_case *c) {
    return fn_global_average_pool(g, "pool", conv(g, x, c));
}

static int l2_pool(fn_graph *g, int x, const layer_case *c) {
    return fn_l2_pool(g, "pool", conv(g, x, c), 3, 3, NULL);
}

static int padded_l2_pool(fn_graph *g, int x, const layer_case *c) {
    return fn_l2_pool(g, "pool", fn_relu(g, "relu", conv(g, x, c)), 3, 1, (int[4]){1, 1, 1, 1});
}

static int lrn_5(fn_graph *g, int x, const layer_case *c) {
    return fn_lrn(g, "lrn", conv(g, x, c), 5, 0.3F, 0.75F, 1.0F);
}

static int lrn_11(fn_graph *g, int x, const layer_case *c) {
    return fn_lrn(g, "lrn", conv(g, x, c), 11, 0.3F, 0.75F, 1.0F);
}

static int pad(fn_graph *g, int x, const layer_case *c) {
    return fn_pad(g, "pad", conv(g, x, c), (int[4]){0, 0, 1, 2}, (int[4]){0, 0, 2, 0});
}

static int pad_channels(fn_graph *g, int x, const layer_case *c) {
    return fn_pad(g, "pad", conv(g, x, c), (int[4]){0, 0, 0, 0}, (int[4]){0, 16, 0, 0});
}

static int pad_odd_channels(fn_graph *g, int x, const layer_case *c) {
    return fn_pad(g, "pad", conv(g, x, c), (int[4]){0, 0, 0, 1}, (int[4]){0, 16, 1, 0});
}

static int scaling(fn_graph *g, int x, const layer_case *c) {
    float factor = 0.17F;
    return fn_mul(g, "mul", conv(g, x, c), fn_graph_constant(g, "factor", FN_F32, fn_shape_make(0), &factor));
}

static int residual(fn_graph *g, int x, const layer_case *c) {
    int y = conv(g, x, c);
    return fn_add(g, "add", y, fn_sigmoid(g, "sigmoid", y));
}

/// Four readers of one value; widths that end inside a block when `out` is no multiple of 16.
static int concat(fn_graph *g, int x, const layer_case *c) {
    int y = conv(g, x, c);
    int parts[4] = {y, fn_relu(g, "relu", y), fn_max_pool(g, "pool", y, 3, 1, (int[4]){1, 1, 1, 1}),
                    fn_l2_pool(g, "l2", y, 3, 1, (int[4]){1, 1, 1, 1})};
    return fn_concat(g, "concat", parts, 4, 1);
}

static int dense(fn_graph *g, int x, const layer_case *c) {
    int flat = fn_flatten(g, "flat0", conv(g, x, c));
    int w = constant(g, "dense_w", fn_shape_make(2, 20, c->out * 11 * 9), 0);
    return fn_dense(g, "dense", flat, w, constant(g, "dense_b", fn_shape_make(1, 20), 0));
}

/// A dense layer as other programs write one: the matrix (in, out), what is added of any shape.
static int gemm(fn_graph *g, int x, const layer_case *c, fn_shape added) {
    int flat = fn_flatten(g, "flat0", conv(g, x, c));
    int w = constant(g, "dense_w", fn_shape_make(2, c->out * 11 * 9, 3), 0);
    return fn_graph_node(g, "Gemm", "dense", (int[]){flat, w, constant(g, "dense_b", added, 0)}, 3, NULL, 0);
}

static int gemm_with_row(fn_graph *g, int x, const layer_case *c) {
    return gemm(g, x, c, fn_shape_make(2, 1, 3));
}

static int gemm_with_vector(fn_graph *g, int x, const layer_case *c) {
    return gemm(g, x, c, fn_shape_make(1, 3));
}

static int gemm_with_number(fn_graph *g, int x, const layer_case *c) {
    return gemm(g, x, c, fn_shape_make(0));
}

static int matmul(fn_graph *g, int x, const layer_case *c) {
    int flat = fn_flatten(g, "flat0", conv(g, x, c));
    int w = constant(g, "dense_w", fn_shape_make(2, c->out * 11 * 9, 20), 0);
    int y = fn_graph_node(g, "MatMul", "matmul", (int[]){flat, w}, 2, NULL, 0);
    return fn_add(g, "bias", y, constant(g, "dense_b", fn_shape_make(2, 1, 20), 0));
}

static int conv_with_sum(fn_graph *g, int x, const layer_case *c) {
    int w = constant(g, "w", fn_shape_make(4, c->out, c->channels, c->kernel, c->kernel), 0);
    int y = fn_conv(g, "conv", x, w, -1, &(fn_conv_attrs){.pad = {c->pad, c->pad, c->pad, c->pad}});
    return fn_add(g, "bias", constant(g, "b", fn_shape_make(4, 1, c->out, 1, 1), 0), y);
}

/// One matrix twice, once as it is and once through a view.
static int shared_matrix(fn_graph *g, int x, const layer_case *c) {
    int flat = fn_flatten(g, "flat0", fn_global_average_pool(g, "pool", conv(g, x, c)));
    int w = constant(g, "w2", fn_shape_make(2, c->out, c->out), 0);
    int y = fn_graph_node(g, "MatMul", "matmul", (int[]){flat, w}, 2, NULL, 0);
    return fn_dense(g, "dense", y, fn_reshape(g, "view", w, fn_shape_make(2, c->out, c->out)), -1);
}

/// More readers than are summed at once.
static int many_readers(fn_graph *g, int x, const layer_case *c) {
    int y = conv(g, x, c), parts[40];
    for (int i = 0; i < 40; i++) {
        char name[32];
        float factor = 0.1F * (float)(i + 1);
        snprintf(name, sizeof name, "factor%d", i);
        parts[i] = fn_mul(g, NULL, y, fn_graph_constant(g, name, FN_F32, fn_shape_make(0), &factor));
    }
    return fn_concat(g, "concat", parts, 40, 1);
}

static int maxout(fn_graph *g, int x, const layer_case *c) {
    return fn_maxout(g, "maxout", dense(g, x, c), 2);
}

static int dropout(fn_graph *g, int x, const layer_case *c) {
    return fn_dropout(g, "dropout", dense(g, x, c), 0.4F);
}

static int unit(fn_graph *g, int x, const layer_case *c) {
    return fn_l2_normalize(g, "unit", dense(g, x, c));
}

static const layer_case cases[] = {
    {"conv 3x3", 6, conv, 20, 3, 1, 1, 1, 1},
    {"conv 3x3 of an image", 3, conv, 32, 3, 2, 1, 1, 1},
    {"conv 5x5 stride 2", 16, conv, 32, 5, 2, 2, 1, 1},
    {"conv 1x1", 32, conv, 48, 1, 1, 0, 1, 1},
    {"conv 3x3 where Winograd pays", 32, conv, 64, 3, 1, 1, 1, 1},
    {"conv dilated", 16, conv, 16, 3, 1, 2, 2, 1},
    {"conv depthwise", 32, conv, 32, 3, 1, 1, 1, 32},
    {"conv in two groups", 12, conv, 20, 3, 1, 1, 1, 2},
    {"batch-norm", 16, conv_norm, 32, 3, 1, 1, 1, 1},
    {"batch-norm, odd width", 5, conv_norm, 21, 3, 1, 1, 1, 1},
    {"batch-norm with relu", 16, conv_norm_relu, 32, 3, 1, 1, 1, 1},
    {"batch-norm with relu, odd width", 6, conv_norm_relu, 20, 3, 1, 1, 1, 1},
    {"batch-norm read twice", 16, norm_read_twice, 32, 3, 1, 1, 1, 1},
    {"relu", 16, relu, 32, 3, 1, 1, 1, 1},
    {"prelu", 16, prelu, 32, 3, 1, 1, 1, 1},
    {"prelu, odd width", 6, prelu, 20, 3, 1, 1, 1, 1},
    {"prelu of columns", 16, prelu_of_columns, 9, 3, 1, 1, 1, 1},
    {"max pool", 16, max_pool, 32, 3, 1, 1, 1, 1},
    {"average pool", 16, average_pool, 20, 3, 1, 1, 1, 1},
    {"global pool", 16, global_pool, 32, 3, 1, 1, 1, 1},
    {"L2 pool", 16, l2_pool, 32, 3, 1, 1, 1, 1},
    {"L2 pool with padding, odd width", 6, padded_l2_pool, 20, 3, 1, 1, 1, 1},
    {"LRN of 5", 16, lrn_5, 32, 3, 1, 1, 1, 1},
    {"LRN of 11", 16, lrn_11, 32, 3, 1, 1, 1, 1},
    {"padding", 16, pad, 32, 3, 1, 1, 1, 1},
    {"padding of channels", 16, pad_channels, 16, 3, 1, 1, 1, 1},
    {"padding of channels, odd width", 6, pad_odd_channels, 20, 3, 1, 1, 1, 1},
    {"scaling", 16, scaling, 32, 3, 1, 1, 1, 1},
    {"residual", 16, residual, 32, 3, 1, 1, 1, 1},
    {"concat", 16, concat, 32, 3, 1, 1, 1, 1},
    {"concat, odd widths", 6, concat, 20, 3, 1, 1, 1, 1},
    {"dense", 6, dense, 20, 3, 1, 1, 1, 1},
    {"dense, a row added", 6, gemm_with_row, 20, 3, 1, 1, 1, 1},
    {"dense, a vector added", 6, gemm_with_vector, 20, 3, 1, 1, 1, 1},
    {"dense, a number added", 6, gemm_with_number, 20, 3, 1, 1, 1, 1},
    {"matmul and a bias", 6, matmul, 20, 3, 1, 1, 1, 1},
    {"conv and a bias", 6, conv_with_sum, 20, 3, 1, 1, 1, 1},
    {"a matrix with two readers", 6, shared_matrix, 20, 3, 1, 1, 1, 1},
    {"many readers", 6, many_readers, 5, 3, 1, 1, 1, 1},
    {"maxout", 6, maxout, 16, 3, 1, 1, 1, 1},
    {"dropout", 6, dropout, 16, 3, 1, 1, 1, 1},
    {"unit length", 6, unit, 16, 3, 1, 1, 1, 1},
};

static const layer_case *case_of(const char *name) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    fail_msg("no case '%s'", name);
    return NULL;
}

static fn_graph *graph_of(const layer_case *c) {
    fn_graph *g;
    rng = fn_rng_at(11, 2, 0); // every graph of a case has the same weights
    assert_int_equal(fn_graph_open(&g), FN_OK);
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, c->channels, 11, 9));
    fn_graph_output(g, fn_flatten(g, "flat", c->build(g, x, c)));
    if (fn_graph_finish(g) < 0)
        fail_msg("%s: %s", c->name, fn_last_error());
    return g;
}

// --- one forward and one backward pass, with everything they leave --------------------------------------

typedef struct run {
    fn_training *training;
    size_t n_x, n_y;
    float *y, *dx;
} run;

static run run_graph(fn_graph *g, const fn_training_options *options, fn_pass how, int n) {
    run r = {0};
    fn_training_options o = *options;
    o.wants_input = 1;
    if (fn_training_open(&r.training, g, &o) < 0)
        fail_msg("%s", fn_last_error());
    fn_shape input = fn_input_shape(fn_training_graph(r.training), 0, n, 0, 0);
    fn_pass pass = fn_training_pass(r.training);
    how.weights = pass.weights;
    how.gradients = pass.gradients;
    how.statistics = pass.statistics;
    r.n_x = (size_t)fn_shape_count(&input);
    r.n_y = (size_t)n * (size_t)fn_training_dimension(r.training);
    float *x = fn_calloc(r.n_x, sizeof *x), *dy = fn_calloc(r.n_y, sizeof *dy);
    r.y = fn_calloc(r.n_y, sizeof *r.y);
    r.dx = fn_calloc(r.n_x, sizeof *r.dx);
    rng = fn_rng_at(11, 3, 0);
    for (size_t i = 0; i < r.n_x; i++)
        x[i] = fn_rng_normal(&rng);
    for (size_t i = 0; i < r.n_y; i++)
        dy[i] = fn_rng_normal(&rng);
    if (fn_training_forward(r.training, &how, x, n, r.y) < 0 ||
        fn_training_backward(r.training, &how, dy, n, r.dx) < 0)
        fail_msg("%s", fn_last_error());
    fn_free(x);
    fn_free(dy);
    return r;
}

static void close_run(run *r) {
    fn_training_free(r->training);
    fn_free(r->y);
    fn_free(r->dx);
}

/// |a - b| / |a|
static double difference(const float *a, const float *b, size_t n) {
    double apart = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        apart += d * d;
        size += (double)a[i] * (double)a[i];
    }
    return size > 0 ? sqrt(apart / size) : sqrt(apart);
}

static double norm_of(const float *a, size_t n) {
    double size = 0;
    for (size_t i = 0; i < n; i++)
        size += (double)a[i] * (double)a[i];
    return sqrt(size);
}

/// The largest relative difference of the outputs and of each gradient. One that is zero but for rounding is
/// measured against the largest gradient of all.
static double worst_difference(const run *a, const run *b, const char *what, double tolerance) {
    const fn_parameters *p = fn_training_parameters(a->training);
    const float *ga = fn_training_gradients(a->training), *gb = fn_training_gradients(b->training);
    double worst = difference(a->y, b->y, a->n_y), largest = 0;
    double d = difference(a->dx, b->dx, a->n_x);
    worst = d > worst ? d : worst;
    if (!(worst <= tolerance))
        fail_msg("%s: results or the gradient of the input differ by %g", what, worst);
    for (int i = 0; i < p->n_trained; i++)
        largest = fmax(largest, norm_of(ga + p->trained[i].offset, p->trained[i].count));
    assert_true(largest > 0);
    for (int i = 0; i < p->n_trained; i++) {
        const fn_parameter *q = &p->trained[i];
        double size = norm_of(ga + q->offset, q->count);
        d = difference(ga + q->offset, gb + q->offset, q->count);
        if (size < 1e-4 * largest)
            d *= size / largest;
        if (!(d <= tolerance))
            fail_msg("%s: the gradient of %s differs by %g", what, q->name, d);
        worst = d > worst ? d : worst;
    }
    d = difference(fn_training_statistics(a->training), fn_training_statistics(b->training),
                   p->statistics_size);
    if (!(d <= tolerance))
        fail_msg("%s: the running statistics differ by %g", what, d);
    return d > worst ? d : worst;
}

enum { BATCH = 3 };

static double compare(const layer_case *c, const fn_training_options *a, const fn_training_options *b,
                      fn_pass how, double tolerance, int n) {
    run x = run_graph(graph_of(c), a, how, n), y = run_graph(graph_of(c), b, how, n);
    double worst = worst_difference(&x, &y, c->name, tolerance);
    close_run(&x);
    close_run(&y);
    return worst;
}

#define N_CASES (sizeof cases / sizeof *cases)
static const fn_training_options reference = {.backend = FN_BACKEND_REF},
                                 onednn = {.backend = FN_BACKEND_ONEDNN, .threads = 1},
                                 two_threads = {.backend = FN_BACKEND_ONEDNN, .threads = 2},
                                 bf16 = {.backend = FN_BACKEND_ONEDNN, .precision = FN_PRECISION_BF16};
static const fn_pass usual = {.momentum = 0.1F, .seed = 5, .step = 3};

static void each_operator_learns_as_the_reference_does(void **state) {
    (void)state;
    double worst = 0;
    for (size_t i = 0; i < N_CASES; i++)
        worst = fmax(worst, compare(&cases[i], &reference, &onednn, usual, 1e-5, BATCH));
    print_message("largest relative difference %.2g\n", worst);
}

/// Where a bias has as many numbers as what it is added to.
static void one_image_is_a_batch(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        compare(&cases[i], &reference, &onednn, usual, 1e-5, 1);
}

static void two_threads_learn_as_one_does(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CASES; i++)
        compare(&cases[i], &onednn, &two_threads, usual, 1e-5, BATCH);
}

static void frozen_norms_use_the_running_statistics(void **state) {
    (void)state;
    fn_pass frozen = usual;
    frozen.frozen_norms = 1;
    for (size_t i = 0; i < N_CASES; i++)
        if (strstr(cases[i].name, "norm"))
            compare(&cases[i], &reference, &onednn, frozen, 1e-5, BATCH);
}

static void reduce_nothing(void *user, double *sums, int n) {
    (void)sums;
    *(int *)user += n;
}

/// One process alone: the same numbers, by another road.
static void common_statistics_of_one_process_are_its_own(void **state) {
    (void)state;
    int n = 0;
    fn_pass common = usual;
    common.reduce = reduce_nothing;
    common.user = &n;
    for (size_t i = 0; i < N_CASES; i++)
        if (strstr(cases[i].name, "norm")) {
            run x = run_graph(graph_of(&cases[i]), &onednn, usual, 3);
            run y = run_graph(graph_of(&cases[i]), &onednn, common, 3);
            worst_difference(&x, &y, cases[i].name, 1e-5);
            close_run(&x);
            close_run(&y);
        }
    assert_true(n > 0);
}

/// Eight bits of mantissa; and where rounding moves a number over the edge of a relu, a part of the gradient.
static void bfloat16_learns_nearly_the_same(void **state) {
    (void)state;
    fn_training *probe;
    fn_graph *g = graph_of(case_of("conv 3x3"));
    float y[3 * 20 * 11 * 9], x[3 * 6 * 11 * 9] = {0};
    assert_int_equal(fn_training_open(&probe, g, &bf16), FN_OK);
    fn_pass pass = fn_training_pass(probe);
    int rc = fn_training_forward(probe, &pass, x, 3, y);
    fn_training_free(probe);
    if (rc == FN_EUNSUPPORTED) {
        print_message("skipped: %s\n", fn_last_error());
        skip();
    }
    assert_int_equal(rc, FN_OK);
    double worst = 0;
    for (size_t i = 0; i < N_CASES; i++)
        worst = fmax(worst, compare(&cases[i], &reference, &bf16, usual, 0.1, BATCH));
    print_message("largest relative difference %.2g\n", worst);
    assert_true(worst > 1e-4); // it was bfloat16
}

static void a_pass_can_be_repeated_bit_by_bit(void **state) {
    (void)state;
    for (int threads = 1; threads <= 2; threads++)
        for (size_t i = 0; i < N_CASES; i++) {
            fn_training_options o = {.threads = threads};
            run x = run_graph(graph_of(&cases[i]), &o, usual, 3),
                y = run_graph(graph_of(&cases[i]), &o, usual, 3);
            size_t n = fn_training_parameters(x.training)->trained_size;
            assert_memory_equal(x.y, y.y, x.n_y * sizeof *x.y);
            assert_memory_equal(x.dx, y.dx, x.n_x * sizeof *x.dx);
            assert_memory_equal(fn_training_gradients(x.training), fn_training_gradients(y.training),
                                n * sizeof(float));
            close_run(&x);
            close_run(&y);
        }
}

typedef struct announced {
    size_t first[64], count[64];
    int n;
    const float *gradients;
    float at_the_time[64]; // the last number of the range
} announced;

static void announce(void *user, size_t first, size_t count) {
    announced *a = user;
    assert_true(a->n < 64);
    a->at_the_time[a->n] = a->gradients[first + count - 1];
    a->first[a->n] = first;
    a->count[a->n++] = count;
}

/// Layers of all kinds, one after the other, some of them to be frozen: those of "b...".
static fn_graph *some_layers(void) {
    fn_graph *g;
    rng = fn_rng_at(11, 2, 1);
    assert_int_equal(fn_graph_open(&g), FN_OK);
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 11, 9));
    x = fn_conv(g, "stem", x, constant(g, "stem.w", fn_shape_make(4, 16, 3, 3, 3), 0),
                constant(g, "stem.b", fn_shape_make(1, 16), 0), &(fn_conv_attrs){.pad = {1, 1, 1, 1}});
    x = fn_relu(g, "relu1", norm(g, "n1", x, 16));
    x = fn_conv(g, "block", x, constant(g, "block.w", fn_shape_make(4, 16, 16, 3, 3), 0), -1,
                &(fn_conv_attrs){.pad = {1, 1, 1, 1}});
    x = fn_prelu(g, "prelu", norm(g, "block.n", x, 16),
                 constant(g, "block.s", fn_shape_make(3, 16, 1, 1), 0.2F));
    x = fn_flatten(g, "flat", fn_l2_pool(g, "pool", x, 3, 2, NULL));
    x = fn_dense(g, "dense", x, constant(g, "dense.w", fn_shape_make(2, 7, 16 * 5 * 4), 0),
                 constant(g, "dense.b", fn_shape_make(1, 7), 0));
    fn_graph_output(g, fn_l2_normalize(g, "unit", x));
    assert_int_equal(fn_graph_finish(g), FN_OK);
    return g;
}

/// A pass over some_layers() with those of a prefix frozen; gradients and what was announced.
static fn_training *pass_frozen(fn_backend backend, const char *prefix, announced *a, float momentum) {
    fn_training *t;
    float y[2 * 7], x[2 * 3 * 11 * 9], dy[2 * 7];
    assert_int_equal(fn_training_open(&t, some_layers(), &(fn_training_options){.backend = backend}), FN_OK);
    if (prefix)
        assert_true(fn_parameters_freeze(fn_training_parameters(t), prefix) > 0);
    rng = fn_rng_at(11, 3, 1);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = fn_rng_normal(&rng);
    for (size_t i = 0; i < sizeof dy / sizeof *dy; i++)
        dy[i] = fn_rng_normal(&rng);
    fn_pass pass = fn_training_pass(t);
    *a = (announced){.gradients = fn_training_gradients(t)};
    pass.momentum = momentum;
    pass.ready = announce;
    pass.user = a;
    if (fn_training_forward(t, &pass, x, 2, y) < 0 || fn_training_backward(t, &pass, dy, 2, NULL) < 0)
        fail_msg("%s", fn_last_error());
    return t;
}

static const fn_backend backends[] = {FN_BACKEND_REF, FN_BACKEND_ONEDNN};

/// On both backends alike: frozen ones too, whose gradients have nothing to wait for.
static void each_parameter_is_announced_once_complete_and_last_first(void **state) {
    (void)state;
    static const char *const prefixes[] = {NULL, "stem", "b", "dense"};
    for (int k = 0; k < 8; k++) {
        announced a;
        fn_training *t = pass_frozen(backends[k & 1], prefixes[k >> 1], &a, 0);
        const fn_parameters *p = fn_training_parameters(t);
        assert_int_equal(a.n, p->n_trained);
        for (int i = 0; i < a.n; i++) {
            const fn_parameter *q = &p->trained[a.n - 1 - i];
            assert_int_equal(a.first[i], q->offset);
            assert_int_equal(a.count[i], q->count);
            assert_true(a.at_the_time[i] == a.gradients[q->offset + q->count - 1]);
        }
        fn_training_free(t);
    }
}

static void frozen_layers_have_no_gradient_and_leave_the_others_alone(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        announced a;
        fn_training *all = pass_frozen(backends[k], NULL, &a, 0.5F),
                    *some = pass_frozen(backends[k], "dense", &a, 0.5F);
        const fn_parameters *p = fn_training_parameters(some);
        int n_frozen = 0;
        for (int i = 0; i < p->n_trained; i++) {
            const fn_parameter *q = &p->trained[i];
            const float *whole = fn_training_gradients(all) + q->offset,
                        *part = fn_training_gradients(some) + q->offset;
            for (size_t j = 0; j < q->count; j++)
                assert_true(part[j] == (q->frozen ? 0 : whole[j]));
            assert_true(norm_of(whole, q->count) > 0 || strcmp(q->name, "stem.b") == 0);
            assert_int_equal(q->frozen, strncmp(q->name, "dense", 5) == 0);
            n_frozen += q->frozen;
        }
        assert_int_equal(n_frozen, 2);
        fn_training_free(all);
        fn_training_free(some);
    }
}

static void norms_whose_parameters_are_frozen_keep_their_statistics(void **state) {
    (void)state;
    float *gradients[2];
    size_t n = 0;
    for (int k = 0; k < 2; k++) {
        announced a;
        fn_training *t = pass_frozen(backends[k], "b", &a, 0.5F), *fresh = NULL;
        const fn_parameters *p = fn_training_parameters(t);
        assert_int_equal(fn_training_open(&fresh, some_layers(), &reference), FN_OK);
        assert_int_equal(p->n_statistics, 4);
        for (int i = 0; i < p->n_statistics; i++) {
            const fn_parameter *q = &p->statistics[i];
            const int moved = memcmp(fn_training_statistics(fresh) + q->offset,
                                     fn_training_statistics(t) + q->offset, q->count * sizeof(float)) != 0;
            assert_int_equal(moved, q->name[0] != 'b');
        }
        n = p->trained_size;
        gradients[k] = fn_calloc(n, sizeof(float));
        memcpy(gradients[k], fn_training_gradients(t), n * sizeof(float));
        fn_training_free(t);
        fn_training_free(fresh);
    }
    assert_true(difference(gradients[0], gradients[1], n) <= 1e-5);
    fn_free(gradients[0]);
    fn_free(gradients[1]);
}

/// As many rows of a constant as there are images: their gradient is zero, not what was there.
static void images_of_which_only_the_number_counts_have_a_gradient_of_zero(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        fn_graph *g;
        fn_training *t;
        float x[2 * 12], y[2 * 5], dx[2 * 12];
        const int64_t zero = 0;
        assert_int_equal(fn_graph_open(&g), FN_OK);
        int input = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 2, 2));
        int first = fn_graph_constant(g, "first", FN_I64, fn_shape_make(1, 1), &zero);
        int shape = fn_graph_node(g, "Shape", "shape", &input, 1, NULL, 0);
        int n = fn_graph_node(g, "Gather", "n", (int[]){shape, first}, 2, NULL, 0);
        int rows = constant(g, "rows", fn_shape_make(2, 3, 4), 0);
        int some = fn_graph_node(g, "Slice", "some", (int[]){rows, first, n, first}, 4, NULL, 0);
        fn_graph_output(g, fn_dense(g, "dense", some, constant(g, "w", fn_shape_make(2, 5, 4), 0), -1));
        assert_int_equal(fn_graph_finish(g), FN_OK);
        if (fn_training_open(&t, g, &(fn_training_options){.backend = backends[k], .wants_input = 1}) < 0)
            fail_msg("%s", fn_last_error());
        for (size_t i = 0; i < sizeof x / sizeof *x; i++)
            x[i] = dx[i] = 7;
        fn_pass pass = fn_training_pass(t);
        assert_int_equal(fn_training_forward(t, &pass, x, 2, y), FN_OK);
        assert_int_equal(fn_training_backward(t, &pass, y, 2, dx), FN_OK);
        for (size_t i = 0; i < sizeof dx / sizeof *dx; i++)
            assert_true(dx[i] == 0);
        fn_training_free(t);
    }
}

static void gradients_add_up_over_passes(void **state) {
    (void)state;
    const layer_case *c = case_of("batch-norm with relu");
    run once = run_graph(graph_of(c), &onednn, usual, 3);
    fn_training *t = once.training;
    size_t n = fn_training_parameters(t)->trained_size;
    float *before = fn_calloc(n, sizeof *before), *gradients = fn_training_gradients(t);
    float *x = fn_calloc(once.n_x, sizeof *x), *dy = fn_calloc(once.n_y, sizeof *dy);
    memcpy(before, gradients, n * sizeof *before);
    rng = fn_rng_at(11, 3, 0);
    for (size_t i = 0; i < once.n_x; i++)
        x[i] = fn_rng_normal(&rng);
    for (size_t i = 0; i < once.n_y; i++)
        dy[i] = fn_rng_normal(&rng);
    fn_pass pass = fn_training_pass(t);
    assert_int_equal(fn_training_forward(t, &pass, x, 3, once.y), FN_OK);
    assert_int_equal(fn_training_backward(t, &pass, dy, 3, NULL), FN_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(gradients[i] == 2 * before[i]);
    fn_free(before);
    fn_free(x);
    fn_free(dy);
    close_run(&once);
}

// --- whole networks -------------------------------------------------------------------------------------

static fn_graph *network(const char *name) {
    fn_graph *g = NULL;
    if (fn_network_build(&g, name, &(fn_network_options){.seed = 1, .embedding = 64}) < 0)
        fail_msg("%s", fn_last_error());
    return g;
}

/// Images and gradients of embeddings, drawn anew for each `draw`.
typedef struct batch {
    int n;
    size_t n_x, n_y; // numbers of one item
    float *x, *dy;
} batch;

static batch draw_batch(const fn_training *t, int n, int draw) {
    fn_shape input = fn_input_shape(fn_training_graph(t), 0, 1, 0, 0);
    batch b = {.n = n, .n_x = (size_t)fn_shape_count(&input), .n_y = (size_t)fn_training_dimension(t)};
    b.x = fn_calloc((size_t)n * b.n_x, sizeof *b.x);
    b.dy = fn_calloc((size_t)n * b.n_y, sizeof *b.dy);
    rng = fn_rng_at(11, 3, (uint32_t)draw);
    for (size_t i = 0; i < (size_t)n * b.n_x; i++)
        b.x[i] = fn_rng_normal(&rng);
    for (size_t i = 0; i < (size_t)n * b.n_y; i++)
        b.dy[i] = fn_rng_normal(&rng);
    return b;
}

static void free_batch(batch *b) {
    fn_free(b->x);
    fn_free(b->dy);
}

/// Rows [first, first + n) of a batch through a training of their own, as part of a group of processes.
typedef struct part {
    const char *name;
    fn_training_options options;
    const batch *all;
    int first, n, frozen;
    int index, size; // among the processes
    struct part *parts;
    pthread_barrier_t *barrier;
    double *sums;
    fn_training *training;
    float *y; // (n, D)
    int rc;
} part;

/// Each adds up the sums of all, in the same order.
static void add_over_parts(void *user, double *sums, int n) {
    part *p = user;
    double *all = fn_calloc((size_t)n, sizeof *all);
    p->sums = sums;
    pthread_barrier_wait(p->barrier);
    for (int k = 0; k < p->size; k++)
        for (int i = 0; i < n; i++)
            all[i] += p->parts[k].sums[i];
    pthread_barrier_wait(p->barrier);
    memcpy(sums, all, (size_t)n * sizeof *all);
    fn_free(all);
}

static void *run_part(void *user) {
    part *p = user;
    fn_pass pass = fn_training_pass(p->training);
    pass.momentum = 0.1F;
    pass.frozen_norms = p->frozen;
    if (p->size > 1) {
        pass.reduce = add_over_parts;
        pass.user = p;
    }
    p->rc = fn_training_forward(p->training, &pass, p->all->x + (size_t)p->first * p->all->n_x, p->n, p->y);
    if (p->rc == FN_OK)
        p->rc =
            fn_training_backward(p->training, &pass, p->all->dy + (size_t)p->first * p->all->n_y, p->n, NULL);
    return NULL;
}

static void open_part(part *p) {
    if (fn_training_open(&p->training, network(p->name), &p->options) < 0)
        fail_msg("%s", fn_last_error());
}

/// A training that has seen a whole batch, in one process.
static part whole(const char *name, const fn_training_options *options, int frozen) {
    part p = {.name = name, .options = *options, .frozen = frozen, .size = 1};
    open_part(&p);
    return p;
}

static void pass_batch(part *p, const batch *b) {
    const fn_parameters *q = fn_training_parameters(p->training);
    memset(fn_training_gradients(p->training), 0, q->trained_size * sizeof(float));
    fn_free(p->y);
    p->all = b;
    p->n = b->n;
    p->y = fn_calloc((size_t)b->n * b->n_y, sizeof *p->y);
    run_part(p);
    if (p->rc < 0)
        fail_msg("%s: %s", p->name, fn_last_error());
}

static void close_part(part *p) {
    fn_training_free(p->training);
    fn_free(p->y);
}

/// The largest relative difference of a gradient, and of which parameter. Those that are zero but for
/// rounding are measured against the largest of all.
static double worst_gradient(const fn_parameters *p, const float *a, const float *b, const char **name) {
    double worst = 0, largest = 0;
    for (int i = 0; i < p->n_trained; i++)
        largest = fmax(largest, norm_of(a + p->trained[i].offset, p->trained[i].count));
    assert_true(largest > 0);
    for (int i = 0; i < p->n_trained; i++) {
        const fn_parameter *q = &p->trained[i];
        const double size = norm_of(a + q->offset, q->count);
        double d = difference(a + q->offset, b + q->offset, q->count);
        if (size < 1e-4 * largest)
            d *= size > 0 ? size / largest : 1 / largest;
        if (d > worst || isnan(d)) {
            worst = d;
            *name = q->name;
        }
    }
    return worst;
}

/// Relu and max pooling have edges: where one of 10^5 numbers falls on the other side of one by rounding, a
/// part of the gradient is another. On one of a few draws nothing does, and then every gradient of every
/// parameter agrees; were an operator wrong, none would. Statistics of two images' batch pass rounding on
/// from number to number, so that the larger networks are held to this with the running ones.
static void a_whole_network_learns_as_the_reference_does(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int frozen;
        double tolerance;
    } nets[] = {
        {"tiny", 0, 1e-5},        {"tiny", 1, 1e-5},       {"nns2", 0, 2e-5},
        {"nns2", 1, 1e-5},        {"nn4.small2", 1, 1e-5}, {"nn4.small2.openface", 1, 1e-5},
        {"dlib-resnet", 1, 1e-5},
    };
    enum { DRAWS = 6, N = 2 };
#ifdef __SANITIZE_ADDRESS__
    const size_t n_nets = 4; // the plain code takes minutes under a sanitizer
#else
    const size_t n_nets = sizeof nets / sizeof *nets;
#endif
    for (size_t i = 0; i < n_nets; i++) {
        part plain = whole(nets[i].name, &reference, nets[i].frozen),
             quick = whole(nets[i].name, &onednn, nets[i].frozen);
        const char *name = "none";
        double worst = INFINITY, apart = 0;
        for (int draw = 0; draw < DRAWS && !(worst <= nets[i].tolerance); draw++) {
            batch b = draw_batch(plain.training, N, draw);
            pass_batch(&plain, &b);
            pass_batch(&quick, &b);
            apart = fmax(apart, difference(plain.y, quick.y, N * b.n_y));
            worst =
                worst_gradient(fn_training_parameters(plain.training), fn_training_gradients(plain.training),
                               fn_training_gradients(quick.training), &name);
            free_batch(&b);
        }
        print_message("%s%s: embeddings differ by %.2g, the worst gradient is %s's by %.2g\n", nets[i].name,
                      nets[i].frozen ? ", running statistics" : "", apart, name, worst);
        assert_true(apart <= (nets[i].frozen ? 5e-6 : 2e-5));
        if (!(worst <= nets[i].tolerance))
            fail_msg("%s: on no draw do all gradients agree", nets[i].name);
        close_part(&plain);
        close_part(&quick);
    }
}

#ifdef __SANITIZE_ADDRESS__
static const char *const learners[] = {"tiny", "nns2"};
#else
static const char *const learners[] = {"tiny", "nns2", "nn4.small2", "dlib-resnet"};
#endif
enum { N_LEARNERS = sizeof learners / sizeof *learners };

/// Statistics do not depend on the number of threads, so that nothing falls on another side of an edge.
static void a_whole_network_learns_the_same_with_two_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < N_LEARNERS; i++) {
        part one = whole(learners[i], &onednn, 0), two = whole(learners[i], &two_threads, 0);
        batch b = draw_batch(one.training, 4, 0);
        const fn_parameters *p = fn_training_parameters(one.training);
        const char *name = "none";
        pass_batch(&one, &b);
        pass_batch(&two, &b);
        const double worst = worst_gradient(p, fn_training_gradients(one.training),
                                            fn_training_gradients(two.training), &name);
        print_message("%s: the worst gradient is %s's, apart by %.2g\n", learners[i], name, worst);
        assert_true(difference(one.y, two.y, 4 * b.n_y) <= 1e-6);
        assert_memory_equal(fn_training_statistics(one.training), fn_training_statistics(two.training),
                            p->statistics_size * sizeof(float));
        assert_true(worst <= 1e-5);
        free_batch(&b);
        close_part(&one);
        close_part(&two);
    }
}

/// Common statistics make the passes of two processes one pass.
static void two_processes_learn_as_one_does(void **state) {
    (void)state;
    enum { N = 5, FIRST = 3 };
    for (size_t i = 0; i < N_LEARNERS; i++) {
        part one = whole(learners[i], &onednn, 0), parts[2];
        batch b = draw_batch(one.training, N, 0);
        pthread_barrier_t barrier;
        pthread_t other;
        assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
        for (int k = 0; k < 2; k++) {
            parts[k] = (part){.name = learners[i], .options = onednn, .all = &b, .index = k, .size = 2};
            parts[k].first = k ? FIRST : 0;
            parts[k].n = k ? N - FIRST : FIRST;
            parts[k].parts = parts;
            parts[k].barrier = &barrier;
            parts[k].y = fn_calloc((size_t)N * b.n_y, sizeof(float));
            open_part(&parts[k]);
        }
        pass_batch(&one, &b);
        assert_int_equal(pthread_create(&other, NULL, run_part, &parts[1]), 0);
        run_part(&parts[0]);
        assert_int_equal(pthread_join(other, NULL), 0);
        assert_int_equal(parts[0].rc, FN_OK);
        assert_int_equal(parts[1].rc, FN_OK);
        const fn_parameters *p = fn_training_parameters(one.training);
        float *sum = fn_training_gradients(parts[0].training);
        for (size_t k = 0; k < p->trained_size; k++)
            sum[k] += fn_training_gradients(parts[1].training)[k];
        memcpy(parts[0].y + FIRST * b.n_y, parts[1].y, (N - FIRST) * b.n_y * sizeof(float));
        const char *name = "none";
        const double worst = worst_gradient(p, fn_training_gradients(one.training), sum, &name);
        print_message("%s: the worst gradient is %s's, apart by %.2g\n", learners[i], name, worst);
        assert_true(difference(one.y, parts[0].y, N * b.n_y) <= 1e-6);
        assert_true(worst <= 1e-5);
        assert_true(difference(fn_training_statistics(one.training),
                               fn_training_statistics(parts[1].training), p->statistics_size) <= 1e-6);
        pthread_barrier_destroy(&barrier);
        free_batch(&b);
        close_part(&one);
        close_part(&parts[0]);
        close_part(&parts[1]);
    }
}

static void batches_of_many_sizes_keep_memory_for_two(void **state) {
    (void)state;
    enum { LARGEST = 12 };
    fn_graph *graph = NULL;
    fn_training *t = NULL;
    assert_int_equal(fn_network_build(&graph, "tiny", &(fn_network_options){.seed = 1}), FN_OK);
    assert_int_equal(fn_training_open(&t, graph, &(fn_training_options){.backend = FN_BACKEND_ONEDNN}),
                     FN_OK);
    const fn_shape shape = fn_input_shape(fn_training_graph(t), 0, LARGEST, 0, 0);
    const size_t n = (size_t)fn_shape_count(&shape);
    float *x = fn_calloc(n, sizeof *x), *first = fn_calloc(LARGEST * 512, sizeof *first),
          *again = fn_calloc(LARGEST * 512, sizeof *again);
    for (size_t i = 0; i < n; i++)
        x[i] = fn_rng_normal(&rng);
    fn_pass pass = fn_training_pass(t);
    assert_int_equal(fn_training_forward(t, &pass, x, LARGEST, first), FN_OK);
    const size_t one = fn_training_bytes(t);
    assert_true(one > 0);
    for (int size = 2; size < LARGEST; size++)
        assert_int_equal(fn_training_forward(t, &pass, x, size, again), FN_OK);
    assert_true(fn_training_bytes(t) <= 2 * one);
    // What left and is made anew computes the same.
    assert_int_equal(fn_training_forward(t, &pass, x, LARGEST, again), FN_OK);
    const size_t row = (size_t)fn_training_dimension(t) * sizeof *first;
    assert_memory_equal(first, again, LARGEST * row);
    assert_int_equal(fn_training_backward(t, &pass, again, LARGEST, NULL), FN_OK);
    assert_int_equal(fn_training_backward(t, &pass, again, 2, NULL), FN_EINVAL);
    fn_free(x);
    fn_free(first);
    fn_free(again);
    fn_training_free(t);
}

static void the_node_where_numbers_stop_being_finite_is_named(void **state) {
    (void)state;
    run r = run_graph(graph_of(case_of("batch-norm with relu")), &onednn, usual, 3);
    fn_pass pass = fn_training_pass(r.training);
    const fn_parameters *p = fn_training_parameters(r.training);
    float *x = fn_calloc(r.n_x, sizeof *x);
    for (size_t i = 0; i < r.n_x; i++)
        x[i] = 1.0F;
    assert_null(fn_training_not_finite(r.training, &pass));
    x[5] = NAN;
    assert_int_equal(fn_training_forward(r.training, &pass, x, 3, r.y), FN_OK);
    assert_string_equal(fn_training_not_finite(r.training, &pass), "conv");
    x[5] = 1.0F;
    fn_training_weights(r.training)[p->trained[2].offset] = INFINITY; // the norm's scale
    assert_int_equal(fn_training_forward(r.training, &pass, x, 3, r.y), FN_OK);
    assert_string_equal(fn_training_not_finite(r.training, &pass), "bn");
    fn_free(x);
    close_run(&r);
}

/// Opens, passes and frees with the Nth allocation failing, until nothing fails any more.
static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    const layer_case *c = case_of("concat");
    float x[2 * 16 * 11 * 9], y[2 * 128 * 11 * 9];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = 0.5F;
    int64_t n = 0;
    for (int rc = FN_ENOMEM; rc != FN_OK;) {
        fn_graph *g = graph_of(c);
        fn_training *t = NULL;
        fn_alloc_fail_nth(++n);
        rc = fn_training_open(&t, g, &onednn);
        fn_pass pass = {0};
        if (rc == FN_OK) {
            pass = fn_training_pass(t);
            rc = fn_training_forward(t, &pass, x, 2, y);
        }
        if (rc == FN_OK)
            rc = fn_training_backward(t, &pass, y, 2, NULL);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
        fn_training_free(t);
    }
    assert_true(n > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_operator_learns_as_the_reference_does, start_test),
        cmocka_unit_test_setup(one_image_is_a_batch, start_test),
        cmocka_unit_test_setup(two_threads_learn_as_one_does, start_test),
        cmocka_unit_test_setup(frozen_norms_use_the_running_statistics, start_test),
        cmocka_unit_test_setup(common_statistics_of_one_process_are_its_own, start_test),
        cmocka_unit_test_setup(bfloat16_learns_nearly_the_same, start_test),
        cmocka_unit_test_setup(a_pass_can_be_repeated_bit_by_bit, start_test),
        cmocka_unit_test_setup(each_parameter_is_announced_once_complete_and_last_first, start_test),
        cmocka_unit_test_setup(frozen_layers_have_no_gradient_and_leave_the_others_alone, start_test),
        cmocka_unit_test_setup(norms_whose_parameters_are_frozen_keep_their_statistics, start_test),
        cmocka_unit_test_setup(images_of_which_only_the_number_counts_have_a_gradient_of_zero, start_test),
        cmocka_unit_test_setup(gradients_add_up_over_passes, start_test),
        cmocka_unit_test_setup(a_whole_network_learns_as_the_reference_does, start_test),
        cmocka_unit_test_setup(a_whole_network_learns_the_same_with_two_threads, start_test),
        cmocka_unit_test_setup(two_processes_learn_as_one_does, start_test),
        cmocka_unit_test_setup(batches_of_many_sizes_keep_memory_for_two, start_test),
        cmocka_unit_test_setup(the_node_where_numbers_stop_being_finite_is_named, start_test),
        cmocka_unit_test_setup(every_failing_allocation_is_reported, start_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
