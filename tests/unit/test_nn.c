// SPDX-License-Identifier: Apache-2.0
//
// The runtime: every operator by oneDNN against the reference, the reference in float against itself in
// double, optimised against plain graphs, batches, threads, and memory placement.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "nn/arena.h"
#include "nn/backend.h"
#include "nn/net.h"
#include "nn/optimize.h"

#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Random numbers in (-1, 1) from a fixed seed (splitmix64), so that a failure can be repeated.
static uint64_t seed = 1;

static float noise(void) {
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (float)((double)(z >> 11) / 4503599627370496.0 - 1.0);
}

static float *noises(size_t n) {
    float *p = fn_calloc(n, sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = noise();
    return p;
}

static int weights(fn_graph *g, fn_shape shape) {
    size_t n = (size_t)fn_shape_count(&shape);
    float *data = noises(n), scale = 1.0F;
    if (shape.rank > 1) // keep activations near one
        scale = 1.7F / sqrtf((float)(n / (size_t)shape.dim[0]));
    for (size_t i = 0; i < n; i++)
        data[i] *= scale;
    int value = fn_graph_constant(g, NULL, FN_F32, shape, data);
    fn_free(data);
    return value;
}

static fn_graph *start(int channels, int *x) {
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    *x = fn_graph_input(g, "input", fn_shape_make(4, -1, channels, -1, -1));
    return g;
}

static fn_graph *finish(fn_graph *g, int y) {
    fn_graph_output(g, y);
    if (fn_graph_finish(g) < 0)
        fail_msg("%s", fn_last_error());
    return g;
}

/// Output 0 of a graph by a backend, straight or optimised; n_out floats in new memory.
static float *run_backend(const fn_graph *graph, fn_backend backend, const float *input, int batch, int h,
                          int w, size_t *n_out) {
    fn_graph *copy;
    fn_net *net;
    fn_shape shape;
    fn_net_options options = {.backend = backend, .threads = 1};
    assert_int_equal(fn_graph_copy(&copy, graph), FN_OK);
    if (fn_net_open(&net, copy, &options) < 0 || fn_net_output_shape(net, h, w, 0, &shape) < 0)
        fail_msg("%s", fn_last_error());
    *n_out = (size_t)fn_shape_count(&shape) * (size_t)batch;
    float *out = fn_calloc(*n_out, sizeof *out);
    if (fn_net_run(net, input, batch, h, w, &out) < 0)
        fail_msg("%s", fn_last_error());
    fn_net_free(net);
    return out;
}

/// The unoptimised graph on the double reference backend: the truth.
static double *run_truth(fn_graph *graph, const float *input, int batch, int h, int w, size_t *n_out) {
    const fn_backend_def *b = &fn_backend_ref_f64;
    fn_shape shape = fn_input_shape(graph, 0, batch, h, w);
    size_t n_in = (size_t)fn_shape_count(&shape);
    fn_inferred inferred;
    void *shared, *plan, *state;
    if (fn_inferred_open(&inferred, graph, &shape) < 0)
        fail_msg("%s", fn_last_error());
    *n_out = (size_t)fn_shape_count(&inferred.values[graph->outputs[0]].shape);
    assert_int_equal(b->shared_open(&shared, graph), FN_OK);
    assert_int_equal(b->plan_open(&plan, shared, &inferred), FN_OK);
    assert_int_equal(b->state_open(&state, plan), FN_OK);
    double *in = fn_calloc(n_in, sizeof *in), *out = fn_calloc(*n_out, sizeof *out);
    for (size_t i = 0; i < n_in; i++)
        in[i] = (double)input[i];
    assert_int_equal(b->run(plan, state, (const void *const[]){in}, (void *const[]){out}), FN_OK);
    b->state_free(state);
    b->plan_free(plan);
    b->shared_free(shared);
    fn_free(in);
    return out;
}

/// Max error over max value.
static double error_of(const float *got, const double *want, size_t n) {
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs(want[i]));
        worst = isfinite(got[i]) ? fmax(worst, fabs((double)got[i] - want[i])) : INFINITY;
    }
    return most > 0 ? worst / most : worst;
}

/// Both float backends against the truth, on this input size and batch; takes the graph over.
static void check(const char *what, fn_graph *graph, int batch, int h, int w) {
    int channels = (int)graph->values[graph->inputs[0]].shape.dim[1];
    float *input = noises((size_t)(batch * channels * h * w));
    size_t n, m;
    double *truth = run_truth(graph, input, batch, h, w, &n);
    for (fn_backend backend = FN_BACKEND_ONEDNN; backend <= FN_BACKEND_REF; backend++) {
        float *got = run_backend(graph, backend, input, batch, h, w, &m);
        assert_int_equal(n, m);
        double error = error_of(got, truth, n);
        if (!(error <= 1e-5))
            fail_msg("%s, batch %d, %d x %d, backend %d: error %.3g > 1e-5", what, batch, w, h, (int)backend,
                     error);
        fn_free(got);
    }
    fn_free(truth);
    fn_free(input);
    fn_graph_free(graph);
}

static void convolutions_agree_at_all_shapes(void **state) {
    (void)state;
    static const struct {
        int in, out, kernel, stride, group, pad[4], dilation;
    } cases[] = {{3, 8, 3, 1, 1, {0, 0, 0, 0}, 1},     {3, 24, 5, 2, 1, {1, 1, 2, 2}, 1},
                 {3, 32, 7, 2, 1, {0, 0, 0, 0}, 1},    {16, 16, 1, 1, 1, {0, 0, 0, 0}, 1},
                 {17, 33, 3, 1, 1, {1, 1, 1, 1}, 1},   {24, 28, 1, 1, 1, {0, 0, 0, 0}, 1},
                 {64, 64, 3, 1, 1, {1, 1, 1, 1}, 1},   {64, 96, 3, 2, 1, {0, 0, 1, 1}, 1},
                 {32, 32, 3, 1, 32, {1, 1, 1, 1}, 1},  {30, 30, 3, 2, 30, {0, 0, 1, 1}, 1},
                 {42, 42, 3, 1, 42, {1, 1, 1, 1}, 1},  {12, 24, 3, 1, 4, {1, 0, 1, 2}, 1},
                 {8, 8, 3, 1, 1, {2, 2, 2, 2}, 2},     {96, 80, 1, 2, 1, {0, 0, 0, 0}, 1},
                 {128, 128, 3, 1, 1, {1, 1, 1, 1}, 1}, {512, 512, 7, 1, 512, {0, 0, 0, 0}, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int with_bias = 0; with_bias < 2; with_bias++) {
            int x, k = cases[i].kernel;
            fn_graph *g = start(cases[i].in, &x);
            int w = weights(g, fn_shape_make(4, cases[i].out, cases[i].in / cases[i].group, k, k));
            int b = with_bias ? weights(g, fn_shape_make(1, cases[i].out)) : -1;
            fn_conv_attrs attrs = {.stride = {cases[i].stride, cases[i].stride},
                                   .dilation = {cases[i].dilation, cases[i].dilation},
                                   .group = cases[i].group};
            memcpy(attrs.pad, cases[i].pad, sizeof attrs.pad);
            int y = fn_conv(g, "conv", x, w, b, &attrs);
            char what[80];
            snprintf(what, sizeof what, "conv case %zu bias %d", i, with_bias);
            check(what, finish(g, y), 1 + (int)i % 3, 7 + (int)(i % 5) * 3, 9 + (int)(i % 4));
        }
}

/// A convolution with everything that can be fused after it: residuals, then an activation.
static void fused_convolutions_agree(void **state) {
    (void)state;
    for (int act = 0; act < 6; act++)
        for (int residuals = 0; residuals < 4; residuals++)
            for (int channels = 16; channels <= 72; channels += 28)
                for (int depthwise = 0; depthwise < 2; depthwise++) {
                    int x, r[4];
                    fn_graph *g = start(channels, &x);
                    for (int i = 0; i < 4; i++) {
                        int w = weights(g, fn_shape_make(4, channels, channels, 1, 1));
                        r[i] = fn_conv(g, "before", x, w, -1, &(fn_conv_attrs){0});
                    }
                    int k = depthwise ? 1 : channels;
                    int w = weights(g, fn_shape_make(4, channels, k, 3, 3)),
                        b = weights(g, fn_shape_make(1, channels));
                    fn_conv_attrs attrs = {.pad = {1, 1, 1, 1}, .group = depthwise ? channels : 1};
                    int y = fn_conv(g, "conv", r[3], w, b, &attrs);
                    for (int i = 0; i < residuals; i++)
                        y = fn_add(g, "add", r[i], y);
                    y = act == 1   ? fn_relu(g, "act", y)
                        : act == 2 ? fn_leaky_relu(g, "act", y, 0.1F)
                        : act == 3 ? fn_clip(g, "act", y, -0.25F, 0.5F)
                        : act == 4 ? fn_prelu(g, "act", y, weights(g, fn_shape_make(3, channels, 1, 1)))
                        : act == 5 ? fn_sigmoid(g, "act", y)
                                   : y;
                    // The first residual is needed again afterwards, so it must not have been overwritten.
                    y = fn_add(g, "after", y, r[0]);
                    char what[80];
                    snprintf(what, sizeof what, "act %d residuals %d channels %d dw %d", act, residuals,
                             channels, depthwise);
                    check(what, finish(g, y), 2, 9, 10);
                }
}

static void pools_pads_and_resizes_agree(void **state) {
    (void)state;
    for (int channels = 3; channels <= 40; channels += 13)
        for (int which = 0; which < 9; which++) {
            int x;
            fn_graph *g = start(channels, &x);
            int y = fn_conv(g, "before", x, weights(g, fn_shape_make(4, channels, channels, 1, 1)), -1,
                            &(fn_conv_attrs){0});
            int none[4] = {0}, wide[4] = {0, 5, 0, 0}, double_[4] = {0, channels, 0, 0},
                low[4] = {0, 0, 1, 2};
            switch (which) {
            case 0:
                y = fn_max_pool(g, "pool", y, 2, 2, NULL);
                break;
            case 1:
                y = fn_max_pool(g, "pool", y, 3, 2, (int[]){1, 1, 1, 1});
                break;
            case 2:
                y = fn_average_pool(g, "pool", y, 3, 2, (int[]){0, 0, 1, 1});
                break;
            case 3:
                y = fn_global_average_pool(g, "pool", y);
                break;
            case 4:
                y = fn_pad(g, "pad", y, none, wide);
                break;
            case 5:
                y = fn_pad(g, "pad", y, none, double_);
                break;
            case 6:
                y = fn_pad(g, "pad", y, low, low);
                break;
            case 7:
                y = fn_upsample(g, "up", y, 2);
                break;
            case 8:
                y = fn_graph_node(g, "MaxPool", "pool", &y, 1,
                                  (fn_attr[]){fn_attr_ints("kernel_shape", (int64_t[]){2, 2}, 2),
                                              fn_attr_ints("strides", (int64_t[]){2, 2}, 2),
                                              fn_attr_int("ceil_mode", 1)},
                                  3);
                break;
            }
            char what[80];
            snprintf(what, sizeof what, "case %d channels %d", which, channels);
            check(what, finish(g, y), 2, 11, 8);
        }
}

/// A channel-padded shortcut added to a convolution, as in BlazeFace and dlib's ResNet.
static void widened_shortcuts_agree(void **state) {
    (void)state;
    static const int widths[][2] = {{24, 28}, {28, 32}, {32, 64}, {42, 48}, {88, 96}, {16, 24}};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        int x, a = widths[i][0], b = widths[i][1], none[4] = {0}, more[4] = {0, b - a, 0, 0};
        fn_graph *g = start(3, &x);
        x = fn_relu(g, "r",
                    fn_conv(g, "c", x, weights(g, fn_shape_make(4, a, 3, 3, 3)), -1,
                            &(fn_conv_attrs){.pad = {1, 1, 1, 1}}));
        int y = fn_conv(g, "d", x, weights(g, fn_shape_make(4, b, a, 1, 1)), -1, &(fn_conv_attrs){0});
        y = fn_relu(g, "r2", fn_add(g, "a", y, fn_pad(g, "p", x, none, more)));
        check("widened", finish(g, y), 3, 8, 6);
    }
}

static void heads_are_transposed_reshaped_and_joined(void **state) {
    (void)state;
    int x, parts[2];
    fn_graph *g = start(20, &x);
    for (int i = 0; i < 2; i++) {
        int y = fn_conv(g, "head", x, weights(g, fn_shape_make(4, 6, 20, 1, 1)),
                        weights(g, fn_shape_make(1, 6)), &(fn_conv_attrs){.stride = {1 + i, 1 + i}});
        y = fn_transpose(g, "t", y, fn_shape_make(4, 0, 2, 3, 1));
        parts[i] = fn_reshape(g, "s", y, fn_shape_make(3, 0, -1, 3));
    }
    check("heads", finish(g, fn_concat(g, "join", parts, 2, 1)), 3, 6, 5);
}

static void elementwise_and_dense_layers_agree(void **state) {
    (void)state;
    for (int which = 0; which < 12; which++) {
        int x, c = 20;
        fn_graph *g = start(c, &x);
        int k = weights(g, fn_shape_make(3, c, 1, 1)), one = weights(g, fn_shape_make(0)), y = -1;
        static const char *const names[] = {"Sub", "Mul", "Div", "Exp", "Abs", "Neg", "Sigmoid", "Softmax"};
        if (which < 2) {
            y = fn_graph_node(g, names[which], "n", (int[]){x, k}, 2, NULL, 0);
        } else if (which == 2) {
            y = fn_graph_node(g, "Div", "n", (int[]){x, fn_graph_node(g, "Exp", "e", &x, 1, NULL, 0)}, 2,
                              NULL, 0);
        } else if (which < 8) {
            y = fn_graph_node(g, names[which], "n", &x, 1, NULL, 0);
        } else if (which == 8) {
            y = fn_mul(g, "n", x, one);
        } else if (which == 9) {
            y = fn_prelu(g, "n", x, k);
        } else if (which == 10) {
            int p[4];
            for (int i = 0; i < 4; i++)
                p[i] = weights(g, fn_shape_make(1, c));
            p[3] = fn_graph_node(g, "Exp", "variance", &p[3], 1, NULL, 0);
            y = fn_batch_norm(
                g, "n", fn_conv(g, "c", x, weights(g, fn_shape_make(4, c, c, 3, 3)), -1, &(fn_conv_attrs){0}),
                p[0], p[1], p[2], p[3], 1e-3F);
        } else {
            y = fn_dense(g, "n", fn_flatten(g, "f", fn_max_pool(g, "p", x, 2, 2, NULL)),
                         weights(g, fn_shape_make(2, 37, c * 6)), weights(g, fn_shape_make(1, 37)));
        }
        char what[40];
        snprintf(what, sizeof what, "case %d", which);
        check(what, finish(g, y), 2, 5, 7);
    }
}

/// A network with the pieces of ours: stem, depthwise blocks with PReLU, residuals, a dense end.
static fn_graph *small_network(void) {
    int x;
    fn_graph *g = start(3, &x);
    x = fn_conv(g, "stem", x, weights(g, fn_shape_make(4, 64, 3, 3, 3)), weights(g, fn_shape_make(1, 64)),
                &(fn_conv_attrs){.stride = {2, 2}, .pad = {0, 0, 1, 1}});
    x = fn_prelu(g, "p0", x, weights(g, fn_shape_make(3, 64, 1, 1)));
    for (int i = 0; i < 3; i++) {
        int y = fn_conv(g, "expand", x, weights(g, fn_shape_make(4, 128, 64, 1, 1)),
                        weights(g, fn_shape_make(1, 128)), &(fn_conv_attrs){0});
        y = fn_prelu(g, "p1", y, weights(g, fn_shape_make(3, 128, 1, 1)));
        y = fn_conv(g, "dw", y, weights(g, fn_shape_make(4, 128, 1, 3, 3)), weights(g, fn_shape_make(1, 128)),
                    &(fn_conv_attrs){.pad = {1, 1, 1, 1}, .group = 128});
        y = fn_prelu(g, "p2", y, weights(g, fn_shape_make(3, 128, 1, 1)));
        y = fn_conv(g, "project", y, weights(g, fn_shape_make(4, 64, 128, 1, 1)), -1, &(fn_conv_attrs){0});
        x = fn_add(g, "res", y, x);
    }
    x = fn_relu(g, "r",
                fn_conv(g, "w", x, weights(g, fn_shape_make(4, 64, 64, 3, 3)), -1,
                        &(fn_conv_attrs){.pad = {1, 1, 1, 1}}));
    x = fn_flatten(g, "flat", fn_global_average_pool(g, "gap", x));
    return finish(g, fn_dense(g, "fc", x, weights(g, fn_shape_make(2, 128, 64)), -1));
}

static void a_whole_network_agrees_and_is_optimised(void **state) {
    (void)state;
    fn_graph *g = small_network(), *copy;
    assert_int_equal(fn_graph_copy(&copy, g), FN_OK);
    int before = copy->n_nodes;
    assert_int_equal(fn_graph_optimize(copy, 56, 56), FN_OK);
    // 1 + 7 activations and 3 additions are gone
    assert_int_equal(copy->n_nodes, before - 11);
    fn_graph_free(copy);
    check("network", g, 3, 56, 48);
}

static void a_face_alone_and_in_a_batch_agree(void **state) {
    (void)state;
    enum { N = 31, S = 32 };
    fn_graph *g = small_network();
    float *input = noises((size_t)N * 3 * S * S);
    size_t n, one;
    float *together = run_backend(g, FN_BACKEND_ONEDNN, input, N, S, S, &n);
    double most = 0, worst = 0;
    for (int i = 0; i < N; i++) {
        float *alone = run_backend(g, FN_BACKEND_ONEDNN, input + (size_t)i * 3 * S * S, 1, S, S, &one);
        for (size_t k = 0; k < one; k++) {
            most = fmax(most, fabs((double)alone[k]));
            worst = fmax(worst, fabs((double)alone[k] - (double)together[(size_t)i * one + k]));
        }
        fn_free(alone);
    }
    if (worst > 1e-6 * fmax(most, 1))
        fail_msg("alone and in a batch differ by %.3g", worst);
    fn_free(together);
    fn_free(input);
    fn_graph_free(g);
}

typedef struct job {
    fn_net *net;
    const float *input;
    float out[5 * 128];
    int rc;
} job;

static void *work(void *p) {
    job *j = p;
    float *out = j->out;
    for (int i = 0; i < 20; i++)
        if ((j->rc = fn_net_run(j->net, j->input, 5, 24, 24, &out)) < 0)
            break;
    return NULL;
}

static void many_threads_share_one_net_and_get_the_same_bits(void **state) {
    (void)state;
    fn_net *net;
    assert_int_equal(fn_net_open(&net, small_network(), &(fn_net_options){.threads = 1}), FN_OK);
    float *input = noises(5 * 3 * 24 * 24);
    static job jobs[6];
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        jobs[i].net = net;
        jobs[i].input = input;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(jobs[i].rc, FN_OK);
        assert_memory_equal(jobs[i].out, jobs[0].out, sizeof jobs[0].out);
    }
    fn_free(input);
    fn_net_free(net);
}

static void the_callers_openmp_threads_are_left_alone(void **state) {
    (void)state;
    fn_net *net;
    assert_int_equal(fn_net_open(&net, small_network(), &(fn_net_options){.threads = 2}), FN_OK);
    float *input = noises(3 * 24 * 24), out[128], again[128], *p = out, *q = again;
    omp_set_num_threads(3);
    assert_int_equal(fn_net_run(net, input, 1, 24, 24, &p), FN_OK);
    assert_int_equal(omp_get_max_threads(), 3);
    assert_int_equal(fn_net_run(net, input, 1, 24, 24, &q), FN_OK);
    assert_memory_equal(out, again, sizeof out);
    int rc = FN_OK;
#pragma omp parallel num_threads(2)
    {
        int mine = fn_net_run(net, input, 1, 24, 24, &q);
#pragma omp critical
        rc = mine;
    }
    assert_int_equal(rc, FN_EINVAL);
    fn_free(input);
    fn_net_free(net);
}

static void wrong_graphs_are_refused_with_the_nodes_name(void **state) {
    (void)state;
    int x;
    fn_graph *g = start(3, &x);
    fn_graph_output(
        g, fn_conv(g, "wrong", x, weights(g, fn_shape_make(4, 8, 4, 3, 3)), -1, &(fn_conv_attrs){0}));
    assert_int_equal(fn_graph_finish(g), FN_OK); // sizes are looked at later
    fn_net *net;
    assert_int_equal(fn_net_open(&net, g, &(fn_net_options){0}), FN_OK);
    float image[3 * 8 * 8] = {0}, *out = image;
    assert_int_equal(fn_net_run(net, image, 1, 8, 8, &out), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "wrong"));
    fn_net_free(net);
    g = start(3, &x);
    assert_int_equal(fn_graph_node(g, "NoSuchOp", "n", &x, 1, NULL, 0), -1);
    assert_int_equal(fn_relu(g, "r", x), -1);
    assert_int_equal(fn_graph_finish(g), FN_EUNSUPPORTED);
    assert_non_null(strstr(fn_last_error(), "NoSuchOp"));
    fn_graph_free(g);
}

static void shapes_computed_in_the_graph_are_folded(void **state) {
    (void)state;
    // x.view(x.shape[0], -1) as PyTorch exports it
    int x;
    fn_graph *g = start(6, &x);
    int64_t zero = 0, minus = -1, axis = 0;
    int shape = fn_graph_node(g, "Shape", "shape", &x, 1, NULL, 0);
    int first = fn_graph_node(g, "Gather", "gather",
                              (int[]){shape, fn_graph_constant(g, NULL, FN_I64, fn_shape_make(0), &zero)}, 2,
                              NULL, 0);
    fn_attr axes = fn_attr_ints("axes", &axis, 1), join = fn_attr_int("axis", 0);
    int parts[2] = {fn_graph_node(g, "Unsqueeze", "u", &first, 1, &axes, 1),
                    fn_graph_constant(g, NULL, FN_I64, fn_shape_make(1, 1), &minus)};
    int dims = fn_graph_node(g, "Concat", "c", parts, 2, &join, 1);
    int y = fn_graph_node(g, "Reshape", "r", (int[]){fn_relu(g, "relu", x), dims}, 2, NULL, 0);
    check("view", finish(g, y), 3, 4, 5);
}

static void buffers_alive_together_never_overlap(void **state) {
    (void)state;
    enum { N = 60 };
    for (int round = 0; round < 50; round++) {
        fn_buffer b[N];
        for (int i = 0; i < N; i++) {
            int first = (int)((noise() + 1) * 40);
            b[i] = (fn_buffer){(size_t)((noise() + 1) * 5000), first, first + (int)((noise() + 1) * 8), 0};
        }
        size_t total = fn_arena_assign(b, N), sum = 0;
        for (int i = 0; i < N; i++) {
            sum += b[i].size + 64;
            assert_int_equal(b[i].offset % 64, 0);
            assert_true(b[i].offset + b[i].size <= total);
            for (int k = 0; k < i; k++)
                if (b[i].first <= b[k].last && b[k].first <= b[i].last && b[i].size && b[k].size)
                    assert_true(b[i].offset + b[i].size <= b[k].offset ||
                                b[k].offset + b[k].size <= b[i].offset);
        }
        assert_true(total < sum / 2);
    }
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    float *input = noises(3 * 24 * 24), out[128], *p = out;
    fn_graph *g = small_network();
    for (int64_t n = 1;; n++) {
        fn_graph *copy;
        fn_net *net = NULL;
        fn_alloc_fail_nth(n);
        int rc = fn_graph_copy(&copy, g);
        if (rc == FN_OK)
            rc = fn_net_open(&net, copy, &(fn_net_options){.threads = 1});
        if (rc == FN_OK)
            rc = fn_net_run(net, input, 1, 24, 24, &p);
        int64_t used = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_net_free(net);
        if (used < n) {
            assert_int_equal(rc, FN_OK);
            break;
        }
        if (rc != FN_ENOMEM)
            fail_msg("allocation %lld: %d (%s)", (long long)n, rc, fn_last_error());
    }
    fn_graph_free(g);
    fn_free(input);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_agree_at_all_shapes),
        cmocka_unit_test(fused_convolutions_agree),
        cmocka_unit_test(pools_pads_and_resizes_agree),
        cmocka_unit_test(widened_shortcuts_agree),
        cmocka_unit_test(heads_are_transposed_reshaped_and_joined),
        cmocka_unit_test(elementwise_and_dense_layers_agree),
        cmocka_unit_test(a_whole_network_agrees_and_is_optimised),
        cmocka_unit_test(a_face_alone_and_in_a_batch_agree),
        cmocka_unit_test(many_threads_share_one_net_and_get_the_same_bits),
        cmocka_unit_test(the_callers_openmp_threads_are_left_alone),
        cmocka_unit_test(wrong_graphs_are_refused_with_the_nodes_name),
        cmocka_unit_test(shapes_computed_in_the_graph_are_folded),
        cmocka_unit_test(buffers_alive_together_never_overlap),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
