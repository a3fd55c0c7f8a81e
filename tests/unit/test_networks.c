// SPDX-License-Identifier: Apache-2.0
//
// The networks to train: the published numbers of parameters and products, shapes at other sizes, the way
// through an ONNX file, and what fresh weights look like.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "model/networks.h"
#include "model/onnx.h"
#include "nn/infer.h"
#include "nn/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static fn_graph *build(const char *name, const fn_network_options *options) {
    fn_graph *graph;
    if (fn_network_build(&graph, name, options) < 0)
        fail_msg("%s: %s", name, fn_last_error());
    return graph;
}

static fn_graph *build_blank(const char *name, int size, int embedding) {
    return build(name, &(fn_network_options){.size = size, .embedding = embedding, .blank = 1});
}

static int ends_in(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/// Numbers in constants that are learnt, or that are running statistics ("_m", "_v").
static int64_t n_numbers(const fn_graph *g, int statistics) {
    int64_t total = 0;
    for (int i = 0; i < g->n_values; i++) {
        const fn_value *v = &g->values[i];
        int is_statistic = ends_in(v->name, "_m") || ends_in(v->name, "_v");
        if (v->data && v->dtype == FN_F32 && v->shape.rank > 0 && is_statistic == statistics)
            total += fn_shape_count(&v->shape);
    }
    return total;
}

static int64_t multiply_adds(const fn_graph *g) {
    fn_inferred inferred;
    fn_shape input = fn_input_shape(g, 0, 1, 0, 0);
    if (fn_inferred_open(&inferred, g, &input) < 0)
        fail_msg("%s", fn_last_error());
    int64_t total = fn_inferred_cost(g, &inferred);
    fn_inferred_free(&inferred);
    return total;
}

static void openface_networks_have_the_published_numbers_of_parameters(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t trained, statistics;
    } want[] = {{"nn4.small2", 3733968, 9312},       {"nn4.small2.openface", 3733968, 9312},
                {"nn4.small2.keras", 3733968, 9312}, {"nn4.small2.course", 3733968, 9312},
                {"nn4.small1", 5579520, -1},         {"openface-nn4", 6959088, -1},
                {"openface-nn2", 7472144, -1}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        fn_graph *g = build_blank(want[i].name, 0, 0);
        print_message("%s: %lld trained, %lld statistics\n", want[i].name, (long long)n_numbers(g, 0),
                      (long long)n_numbers(g, 1));
        assert_int_equal(n_numbers(g, 0), want[i].trained);
        if (want[i].statistics >= 0)
            assert_int_equal(n_numbers(g, 1), want[i].statistics); // 3,743,280 in all
        fn_graph_free(g);
    }
}

static void the_others_meet_their_papers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double parameters, products; // millions; 0: not published
        double tolerance;            // of both
    } want[] = {
        {"nn1", 140, 1600, 0.02},
        {"nn2", 7.5, 1600, 0.01},
        {"nn3", 7.5, 0, 0.01},
        {"nn4", 0, 285, 0.002},
        {"nns1", 26, 220, 0.01},
        {"nns2", 4.3, 20, 0.015},
        {"nn4.small2.openface", 3.733968, 200.1, 0.0005},
        {"mobilefacenet", 0.99, 221, 0.02},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        fn_graph *g = build_blank(want[i].name, 0, 0);
        double parameters = (double)n_numbers(g, 0) / 1e6, products = (double)multiply_adds(g) / 1e6;
        print_message("%s: %.3f M parameters, %.1f M multiply-adds\n", want[i].name, parameters, products);
        if (want[i].parameters > 0 && fabs(parameters / want[i].parameters - 1) > want[i].tolerance)
            fail_msg("%s: %.3f M parameters, published %.3f", want[i].name, parameters, want[i].parameters);
        if (want[i].products > 0 && fabs(products / want[i].products - 1) > want[i].tolerance)
            fail_msg("%s: %.2f M multiply-adds, published %.2f", want[i].name, products, want[i].products);
        fn_graph_free(g);
    }
}

/// keras-facenet counts 22,779,312 for an embedding of 128, without scales in its norms.
static void inception_resnet_differs_from_the_original_by_the_scales_alone(void **state) {
    (void)state;
    fn_graph *g = build_blank("inception-resnet-v1", 0, 128);
    int64_t scales = n_numbers(g, 1) / 2;
    print_message("%lld parameters, %lld scales\n", (long long)n_numbers(g, 0), (long long)scales);
    assert_int_equal(scales, 14416);
    assert_int_equal(n_numbers(g, 0) - scales, 22779312);
    fn_graph_free(g);
}

static void as_trained_blocks_shrink_and_are_padded(void **state) {
    (void)state;
    static const struct {
        const char *name, *value;
        int64_t height;
    } want[] = {
        {"nn4.small2.openface", "inception_3a_pool", 5}, {"nn4.small2.openface", "inception_3b_pool", 4},
        {"nn4.small2.openface", "inception_3c_pool", 5}, {"nn4.small2.openface", "inception_4a_pool", 2},
        {"nn4.small2.openface", "inception_4e_pool", 2}, {"nn4.small2.openface", "inception_5b_pool", 1},
        {"nn4.small2", "inception_3a_pool", 12},         {"nn4.small2", "inception_3b_pool", 12},
        {"nn4.small2", "inception_3c_pool", 6},          {"nn4.small2", "inception_4e_pool", 3},
        {"nn4.small2", "inception_5b_pool", 3},          {"nn4.small2.openface", "inception_3a", 12},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        fn_graph *g = build_blank(want[i].name, 0, 0);
        fn_shape input = fn_input_shape(g, 0, 1, 0, 0), *shapes;
        int value = fn_graph_find(g, want[i].value);
        assert_true(value >= 0);
        assert_int_equal(fn_graph_infer(g, &input, &shapes), FN_OK);
        assert_int_equal(shapes[value].dim[2], want[i].height);
        assert_int_equal(shapes[value].dim[3], want[i].height);
        fn_free(shapes);
        fn_graph_free(g);
    }
}

/// Zeros come after the ReLU: the padded branch of block 3a.
static void zeros_come_after_the_rectifier(void **state) {
    (void)state;
    fn_graph *g = build_blank("nn4.small2.openface", 0, 0);
    const fn_node *pad = &g->nodes[g->values[fn_graph_find(g, "inception_3a_pool_pad")].producer];
    assert_string_equal(g->values[pad->inputs[0]].name, "inception_3a_pool_relu");
    const int64_t want[8] = {0, 0, 3, 3, 0, 0, 4, 4};
    assert_memory_equal(g->values[pad->inputs[1]].data, want, sizeof want);
    fn_graph_free(g);
    g = build_blank("nn4.small2", 0, 0);
    for (int i = 0; i < g->n_nodes; i++)
        assert_null(strstr(g->nodes[i].name, "_pad"));
    fn_graph_free(g);
}

static void constants_bear_the_names_of_the_csv_files(void **state) {
    (void)state;
    fn_graph *g = build_blank("nn4.small2.openface", 0, 0);
    static const struct {
        const char *name;
        fn_shape shape;
    } want[] = {{"conv1_w", {4, {64, 3, 7, 7}}},
                {"conv1_b", {1, {64}}},
                {"bn1_w", {1, {64}}},
                {"bn1_b", {1, {64}}},
                {"bn1_m", {1, {64}}},
                {"bn1_v", {1, {64}}},
                {"conv3_w", {4, {192, 64, 3, 3}}},
                {"inception_3a_3x3_conv1_w", {4, {96, 192, 1, 1}}},
                {"inception_3a_5x5_bn2_v", {1, {32}}},
                {"inception_3a_pool_conv_w", {4, {32, 192, 1, 1}}},
                {"inception_3a_1x1_bn_m", {1, {64}}},
                {"inception_4e_3x3_conv2_w", {4, {256, 160, 3, 3}}},
                {"inception_5b_3x3_conv2_w", {4, {384, 96, 3, 3}}},
                {"dense_w", {2, {128, 736}}},
                {"dense_b", {1, {128}}}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        int value = fn_graph_find(g, want[i].name);
        if (value < 0 || !fn_shape_equal(&g->values[value].shape, &want[i].shape))
            fail_msg("%s is missing or of another shape", want[i].name);
    }
    fn_graph_free(g);
}

static int same_node(const fn_graph *a, const fn_node *x, const fn_graph *b, const fn_node *y) {
    int same = x->op == y->op && strcmp(x->name, y->name) == 0 && x->n_inputs == y->n_inputs &&
               x->n_attrs == y->n_attrs;
    for (int i = 0; same && i < x->n_inputs; i++) {
        const fn_value *v = &a->values[x->inputs[i]], *w = &b->values[y->inputs[i]];
        same = strcmp(v->name, w->name) == 0 && !v->data == !w->data;
        if (same && v->data)
            same = v->dtype == w->dtype && fn_shape_equal(&v->shape, &w->shape) &&
                   memcmp(v->data, w->data,
                          (size_t)fn_shape_count(&v->shape) * (v->dtype == FN_F32 ? 4 : 8)) == 0;
    }
    for (int i = 0; same && i < x->n_attrs; i++) {
        const fn_attr *p = &x->attrs[i], *q = fn_node_attr(y, p->name);
        same = q && q->kind == p->kind && q->n == p->n && q->i == p->i && q->f == p->f;
        if (same && p->kind == FN_ATTR_INTS)
            same = memcmp(p->ints, q->ints, (size_t)p->n * sizeof *p->ints) == 0;
    }
    return same;
}

/// Builds, has an output of (N, D), and is the same again after a way through ONNX.
static void round_trip(const char *name, int size, int embedding, float dropout) {
    fn_graph *g = build(name, &(fn_network_options){.size = size,
                                                    .embedding = embedding,
                                                    .dropout = dropout,
                                                    .seed = 3,
                                                    .blank = strcmp(name, "nns2") != 0}),
             *read = NULL;
    fn_metadata metadata = {0};
    void *bytes;
    size_t n;
    fn_shape input = fn_input_shape(g, 0, 2, 0, 0), *shapes;
    assert_int_equal(fn_graph_infer(g, &input, &shapes), FN_OK);
    const fn_shape *out = &shapes[g->outputs[0]];
    assert_int_equal(out->rank, 2);
    assert_int_equal(out->dim[0], 2);
    assert_int_equal(out->dim[1], embedding ? embedding : fn_network_find(name)->embedding);
    assert_string_equal(g->values[g->outputs[0]].name, "embedding");
    fn_free(shapes);
    if (fn_onnx_write(&bytes, &n, g, &metadata) < 0 || fn_onnx_read(&read, &metadata, bytes, n, name) < 0)
        fail_msg("%s", fn_last_error());
    assert_int_equal(read->n_nodes, g->n_nodes);
    for (int i = 0; i < g->n_nodes; i++)
        if (!same_node(g, &g->nodes[i], read, &read->nodes[i]))
            fail_msg("%s: node %d, '%s', came back changed", name, i, g->nodes[i].name);
    fn_free(bytes);
    fn_metadata_free(&metadata);
    fn_graph_free(read);
    fn_graph_free(g);
}

/// A small input that a network's windows still fit.
static int small_size(const char *name) {
    return strcmp(name, "dlib-resnet") == 0           ? 139
           : strcmp(name, "inception-resnet-v1") == 0 ? 107
           : strncmp(name, "nn4.small2.", 11) == 0    ? 71
                                                      : 50;
}

static void every_network_survives_onnx(void **state) {
    (void)state;
    for (int i = 0; i < fn_network_len(); i++) {
        const char *name = fn_network_get(i)->name;
        round_trip(name, strcmp(name, "nn1") == 0 ? 64 : 0, 0, 0); // NN1 as it is has 560 MB
        round_trip(name, small_size(name), 64, 0.4F);
        round_trip(name, small_size(name) + 3, 512, 0);
    }
}

static void wishes_out_of_range_are_refused(void **state) {
    (void)state;
    static const fn_network_options bad[] = {{.embedding = 63},      {.embedding = 513}, {.size = 31},
                                             {.size = 1025},         {.dropout = -0.1F}, {.dropout = 0.95F},
                                             {.dropout = (float)NAN}};
    fn_graph *g;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(fn_network_build(&g, "nn4.small2", &bad[i]), FN_EINVAL);
        assert_null(g);
    }
    assert_int_equal(fn_network_build(&g, "nn5", NULL), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "nn4.small2"));
    // Inception-ResNet's windows do not fit a map this small.
    assert_int_equal(
        fn_network_build(&g, "inception-resnet-v1", &(fn_network_options){.size = 40, .blank = 1}),
        FN_EMODEL);
    assert_null(g);
}

static void the_same_seed_draws_the_same_weights(void **state) {
    (void)state;
    const fn_network_options first = {.seed = 5}, second = {.seed = 6};
    fn_graph *a = build("nns2", &first), *b = build("nns2", &first), *c = build("nns2", &second);
    int differ = 0;
    for (int i = 0; i < a->n_values; i++) {
        const fn_value *v = &a->values[i];
        size_t n = v->data ? (size_t)fn_shape_count(&v->shape) * sizeof(float) : 0;
        if (!n || v->dtype != FN_F32)
            continue;
        assert_memory_equal(v->data, b->values[i].data, n);
        differ += memcmp(v->data, c->values[i].data, n) != 0;
    }
    assert_true(differ > 20); // kernels and matrices, not biases and norms
    fn_graph_free(a);
    fn_graph_free(b);
    fn_graph_free(c);
}

static void kernels_have_the_variance_of_he(void **state) {
    (void)state;
    fn_graph *g = build("nn4.small2", &(fn_network_options){.seed = 11});
    static const struct {
        const char *name;
        double variance;
    } want[] = {
        {"conv3_w", 2.0 / (64 * 9)}, {"inception_4e_3x3_conv2_w", 2.0 / (160 * 9)}, {"dense_w", 1.0 / 736}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const fn_value *v = &g->values[fn_graph_find(g, want[i].name)];
        const float *w = v->data;
        int64_t n = fn_shape_count(&v->shape);
        double sum = 0, squares = 0;
        for (int64_t k = 0; k < n; k++) {
            sum += (double)w[k];
            squares += (double)w[k] * (double)w[k];
        }
        double ratio = squares / (double)n / want[i].variance;
        double spread = sqrt(2.0 / (double)n), mean = sum / sqrt((double)n * want[i].variance * (double)n);
        if (fabs(ratio - 1) > 5 * spread || fabs(mean) * sqrt((double)n) > 5)
            fail_msg("%s: variance %.4f of what it should be, mean %.2g deviations", want[i].name, ratio,
                     mean);
    }
    fn_graph_free(g);
}

/// A pass over noise: rows of unit length, which differ from one input to the next.
static void check_pass(const char *name, int size, fn_backend backend, float *out) {
    fn_network_options options = {.size = size, .seed = 2, .dropout = 0.3F};
    fn_graph *g = build(name, &options);
    fn_shape input = fn_input_shape(g, 0, 2, 0, 0);
    int64_t n = fn_shape_count(&input), d = fn_network_find(name)->embedding;
    float *images = fn_calloc((size_t)n, sizeof *images);
    fn_rng rng = fn_rng_at(1, 100, 0);
    for (int64_t i = 0; i < n; i++)
        images[i] = fn_rng_unit(&rng);
    fn_net *net;
    fn_net_options net_options = {.backend = backend, .threads = 1};
    if (fn_net_open(&net, g, &net_options) < 0 ||
        fn_net_run(net, images, 2, (int)input.dim[2], (int)input.dim[3], &out) < 0)
        fail_msg("%s: %s", name, fn_last_error());
    double difference = 0;
    for (int row = 0; row < 2; row++) {
        double squares = 0;
        for (int64_t i = 0; i < d; i++)
            squares += (double)out[row * d + i] * (double)out[row * d + i];
        if (!(fabs(squares - 1) < 1e-5))
            fail_msg("%s: row %d has squared length %g", name, row, squares);
    }
    for (int64_t i = 0; i < d; i++)
        difference += fabs((double)out[i] - (double)out[d + i]);
    if (!(difference > 1e-4))
        fail_msg("%s: two inputs have one embedding (difference %g)", name, difference);
    fn_free(images);
    fn_net_free(net);
}

static void embeddings_are_finite_and_of_unit_length(void **state) {
    (void)state;
    static const char *const names[] = {
        "nn4.small2", "nn4.small2.openface", "nn4.small2.keras",    "nn4.small2.course",
        "nns2",       "mobilefacenet",       "inception-resnet-v1", "dlib-resnet",
        "nn4"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        float plain[2 * 512], fast[2 * 512];
        int n = 2 * fn_network_find(names[i])->embedding, size = small_size(names[i]);
        check_pass(names[i], size, FN_BACKEND_REF, plain);
        check_pass(names[i], size, FN_BACKEND_ONEDNN, fast);
        double worst = 0;
        for (int k = 0; k < n; k++)
            worst = fmax(worst, fabs((double)plain[k] - (double)fast[k]));
        if (!(worst < 1e-4))
            fail_msg("%s: backends differ by %g", names[i], worst);
    }
}

static void running_out_of_memory_leaves_nothing(void **state) {
    (void)state;
    fn_network_options options = {.size = 32, .blank = 1, .dropout = 0.5F};
    for (int nth = 1;; nth += nth < 200 ? 1 : 37) {
        fn_graph *g;
        fn_alloc_fail_nth(nth);
        int rc = fn_network_build(&g, "nns2", &options);
        fn_alloc_fail_nth(0);
        if (rc == FN_OK) {
            fn_graph_free(g);
            assert_true(nth > 100);
            return;
        }
        assert_int_equal(rc, FN_ENOMEM);
        assert_null(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openface_networks_have_the_published_numbers_of_parameters),
        cmocka_unit_test(the_others_meet_their_papers),
        cmocka_unit_test(inception_resnet_differs_from_the_original_by_the_scales_alone),
        cmocka_unit_test(as_trained_blocks_shrink_and_are_padded),
        cmocka_unit_test(zeros_come_after_the_rectifier),
        cmocka_unit_test(constants_bear_the_names_of_the_csv_files),
        cmocka_unit_test(every_network_survives_onnx),
        cmocka_unit_test(wishes_out_of_range_are_refused),
        cmocka_unit_test(the_same_seed_draws_the_same_weights),
        cmocka_unit_test(kernels_have_the_variance_of_he),
        cmocka_unit_test(embeddings_are_finite_and_of_unit_length),
        cmocka_unit_test(running_out_of_memory_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
