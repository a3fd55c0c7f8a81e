// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/arch.h"
#include "model/import_tflite.h"
#include "model/projection.h"
#include "model/stamp.h"
#include "model/tflite.h"
#include "nn/net.h"
#include "nn/op.h"
#include "tflite_maker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- tfjs ------------------------------------------------------------------------------------------

static int open_tfjs(fn_tfjs **out, const char *manifest, const void *bytes, size_t n) {
    fn_tfjs_part part = {"some/folder/w.bin", bytes, n};
    return fn_tfjs_open(out, manifest, strlen(manifest), &part, 1);
}

#define GROUP(weights) "[{\"paths\":[\"w.bin\"],\"weights\":[" weights "]}]"
#define QUANTISED(name, shape, scale, min)                                                                   \
    "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"float32\",\"quantization\":{\"dtype\":"          \
    "\"uint8\",\"scale\":" scale ",\"min\":" min "}}"
#define PLAIN(name, shape, dtype) "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"" dtype "\"}"

static void tfjs_bytes_become_scale_times_q_plus_min(void **state) {
    (void)state;
    fn_tfjs *w;
    const unsigned char bytes[] = {0, 1, 255};
    assert_int_equal(open_tfjs(&w, GROUP(QUANTISED("a", "[3]", "0.1", "-0.3")), bytes, 3), FN_OK);
    const fn_tfjs_tensor *t = fn_tfjs_get(w, 0);
    assert_float_equal(t->data[0], (float)(0.1 * 0 - 0.3), 0);
    assert_float_equal(t->data[1], (float)(0.1 * 1 - 0.3), 0);
    assert_float_equal(t->data[2], (float)(0.1 * 255 - 0.3), 0);
    fn_tfjs_free(w);
}

static void tfjs_integers_are_counted_and_skipped(void **state) {
    (void)state;
    fn_tfjs *w;
    // int32 as four bytes, quantised int32 as one, then a float 1.0
    const unsigned char bytes[] = {9, 9, 9, 9, 7, 0, 0, 0x80, 0x3F};
    const char *manifest = GROUP(PLAIN(
        "i", "[]", "int32") ","
                            "{\"name\":\"q\",\"shape\":[],\"dtype\":\"int32\",\"quantization\":{\"dtype\":"
                            "\"uint8\",\"scale\":1,\"min\":6}}," PLAIN("f", "[1]", "float32"));
    assert_int_equal(open_tfjs(&w, manifest, bytes, sizeof bytes), FN_OK);
    assert_int_equal(fn_tfjs_len(w), 3);
    assert_null(fn_tfjs_get(w, 0)->data);
    assert_null(fn_tfjs_get(w, 1)->data);
    assert_float_equal(fn_tfjs_get(w, 2)->data[0], 1.0F, 0);
    fn_tfjs_free(w);
}

static void tfjs_files_of_a_group_are_joined(void **state) {
    (void)state;
    fn_tfjs *w;
    fn_tfjs_part parts[] = {{"b", "\x80\x3F", 2}, {"x/a", "\0\0", 2}};
    const char *manifest = "[{\"paths\":[\"./a\",\"b\"],\"weights\":[" PLAIN("f", "[1,1]", "float32") "]}]";
    assert_int_equal(fn_tfjs_open(&w, manifest, strlen(manifest), parts, 2), FN_OK);
    assert_float_equal(fn_tfjs_get(w, 0)->data[0], 1.0F, 0);
    fn_tfjs_free(w);
}

static void tfjs_faults_are_named(void **state) {
    (void)state;
    static const struct {
        const char *manifest;
        int code;
        const char *says;
    } cases[] = {
        {"", FN_EFORMAT, "not JSON"},
        {"{}", FN_EFORMAT, "not a list"},
        {"[1]", FN_EFORMAT, "no weights"},
        {"[{\"paths\":[],\"weights\":[]}]", FN_EFORMAT, "names 0 files"},
        {"[{\"paths\":[7],\"weights\":[]}]", FN_EFORMAT, "needs the file"},
        {"[{\"paths\":[\"other.bin\"],\"weights\":[]}]", FN_EFORMAT, "needs the file 'other.bin'"},
        {GROUP(""), FN_EFORMAT, "8 of 8 bytes"},
        {GROUP("{\"name\":\"a\"}"), FN_EFORMAT, "no name or no dtype"},
        {GROUP(PLAIN("a", "[3]", "float32")), FN_EFORMAT, "'a' reaches past the end"},
        {GROUP(PLAIN("a", "[1]", "float32")), FN_EFORMAT, "4 of 8 bytes"},
        {GROUP(PLAIN("a", "[0]", "float32")), FN_EFORMAT, "not a positive number"},
        {GROUP(PLAIN("a", "[-2]", "float32")), FN_EFORMAT, "not a positive number"},
        {GROUP(PLAIN("a", "[1.5]", "float32")), FN_EFORMAT, "not a positive number"},
        {GROUP(PLAIN("a", "7", "float32")), FN_EFORMAT, "no shape"},
        {GROUP(PLAIN("a", "[1,1,1,1,1,1,1]", "float32")), FN_EFORMAT, "no shape"},
        {GROUP(PLAIN("a", "[2147483647,2147483647,2147483647]", "float32")), FN_EFORMAT, "too large"},
        {GROUP(PLAIN("a", "[2147483647,2147483647]", "float32")), FN_EFORMAT, "past the end"},
        {GROUP(PLAIN("a", "[8]", "complex64")), FN_EUNSUPPORTED, "'complex64'"},
        {GROUP(QUANTISED("a", "[8]", "1e300", "0")), FN_EFORMAT, "not finite"},
        {GROUP(QUANTISED("a", "[8]", "\"x\"", "0")), FN_EFORMAT, "lacks"},
        {GROUP("{\"name\":\"a\",\"shape\":[8],\"dtype\":\"float32\",\"quantization\":{\"dtype\":\"uint16\","
               "\"scale\":1,\"min\":0}}"),
         FN_EUNSUPPORTED, "'uint16'"},
    };
    const unsigned char bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fn_tfjs *w;
        int rc = open_tfjs(&w, cases[i].manifest, bytes, sizeof bytes);
        if (rc != cases[i].code || !strstr(fn_last_error(), cases[i].says))
            fail_msg("%s: %d, %s", cases[i].manifest, rc, fn_last_error());
        assert_null(w);
    }
}

static void tfjs_numbers_that_are_not_finite_are_refused(void **state) {
    (void)state;
    fn_tfjs *w;
    assert_int_equal(open_tfjs(&w, GROUP(PLAIN("a", "[1]", "float32")), "\0\0\xC0\x7F", 4), FN_EFORMAT);
    assert_non_null(strstr(fn_last_error(), "not finite"));
}

static void tfjs_deep_json_is_refused(void **state) {
    (void)state;
    size_t n = 200000;
    char *deep = malloc(n);
    assert_non_null(deep);
    memset(deep, '[', n);
    fn_tfjs *w;
    assert_int_equal(fn_tfjs_open(&w, deep, n, NULL, 0), FN_EFORMAT);
    free(deep);
}

static void tfjs_kernels_turn_to_onnx_order(void **state) {
    (void)state;
    fn_tfjs *w;
    unsigned char bytes[2 * 2 * 3 * 5 + 12 + 6];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)i;
    const char *manifest = GROUP(QUANTISED("k", "[2,2,3,5]", "1", "0") "," QUANTISED(
        "d", "[2,2,3,1]", "1", "0") "," QUANTISED("m", "[2,3]", "1", "0"));
    assert_int_equal(open_tfjs(&w, manifest, bytes, sizeof bytes), FN_OK);
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    int filters = fn_tfjs_filters(g, w, "k", 2, 3, 5);
    const float *k = g->values[filters].data;
    for (int o = 0; o < 5; o++)
        for (int i = 0; i < 3; i++)
            for (int p = 0; p < 4; p++)
                assert_float_equal(k[(o * 3 + i) * 4 + p], (float)((p * 3 + i) * 5 + o), 0);
    int d = fn_tfjs_depthwise(g, w, "d", 2, 3);
    assert_int_equal(g->values[d].shape.dim[0], 3);
    assert_int_equal(g->values[d].shape.dim[1], 1);
    const float *depthwise = g->values[d].data;
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < 4; p++)
            assert_float_equal(depthwise[c * 4 + p], (float)(60 + p * 3 + c), 0);
    int matrix = fn_tfjs_matrix(g, w, "m", 2, 3);
    const float *m = g->values[matrix].data; // (3, 2)
    assert_float_equal(m[1], 75.0F, 0);      // row 0 of the output, input 1
    assert_int_equal(fn_tfjs_vector(g, w, "absent", 3), -1);
    assert_int_equal(g->failed, FN_EFORMAT);
    assert_non_null(strstr(g->message, "'absent'"));
    fn_graph_free(g);
    fn_tfjs_free(w);
}

static void architectures_without_their_weights_fail_with_a_name(void **state) {
    (void)state;
    static const char *const names[] = {"dlib-resnet", "landmarks-68", "ssd-mobilenetv1"};
    fn_tfjs *w;
    assert_int_equal(fn_tfjs_open(&w, "[]", 2, NULL, 0), FN_OK);
    for (size_t i = 0; i < 3; i++) {
        fn_graph *g;
        assert_int_equal(fn_graph_open(&g), FN_OK);
        fn_arch_find(names[i])(g, w);
        assert_int_equal(fn_graph_finish(g), FN_EFORMAT);
        assert_non_null(strstr(fn_last_error(), "the weights lack tensor '"));
        fn_graph_free(g);
    }
    assert_null(fn_arch_find("nonesuch"));
    fn_tfjs_free(w);
}

// ---- TensorFlow Lite -------------------------------------------------------------------------------

static fn_graph *import_made(const made_model *model, const fn_tflite_options *options) {
    fn_buf b;
    fn_buf_init(&b, 1 << 20);
    make_tflite(&b, model);
    fn_graph *g;
    int rc = fn_tflite_import(&g, b.data, b.len, options);
    if (rc < 0)
        print_message("%s\n", fn_last_error());
    assert_int_equal(rc, FN_OK);
    fn_buf_free(&b);
    return g;
}

static int import_error(const made_model *model) {
    fn_buf b;
    fn_buf_init(&b, 1 << 20);
    make_tflite(&b, model);
    fn_graph *g;
    int rc = fn_tflite_import(&g, b.data, b.len, NULL);
    assert_null(g);
    fn_buf_free(&b);
    return rc;
}

/// Runs a graph, which is taken over, on one item; returns how many numbers the first output has.
static int64_t run(fn_graph *g, const float *input, int height, int width, float *const *outputs) {
    fn_net *net;
    fn_net_options options = {.backend = FN_BACKEND_REF};
    assert_int_equal(fn_net_open(&net, g, &options), FN_OK);
    fn_shape shape;
    assert_int_equal(fn_net_output_shape(net, height, width, 0, &shape), FN_OK);
    int rc = fn_net_run(net, input, 1, height, width, outputs);
    if (rc < 0)
        print_message("%s\n", fn_last_error());
    assert_int_equal(rc, FN_OK);
    fn_net_free(net);
    return fn_shape_count(&shape);
}

static const char *op_name(const fn_graph *g, int node) {
    return g->nodes[node].op->name;
}

static const float slopes[2] = {0.25F, -0.5F};

// relu(x) + k (x - |x|), as MobileFaceNet spells it; `extra` makes |x| an output too.
static made_model spelled_prelu(int extra) {
    static const made_tensor tensors[] = {
        {"in", 0, 4, {1, 1, 2, 2}, NULL, 0},  {"r", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"abs", 0, 4, {1, 1, 2, 2}, NULL, 0}, {"sub", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"k", 0, 1, {2}, slopes, 8},          {"mul", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"sum", 0, 4, {1, 1, 2, 2}, NULL, 0},
    };
    static const made_op ops[] = {
        {FN_TFLITE_RELU, 1, {0}, 1, {1}, 0, {0}},   {FN_TFLITE_ABS, 1, {0}, 1, {2}, 0, {0}},
        {FN_TFLITE_SUB, 2, {0, 2}, 1, {3}, 0, {0}}, {FN_TFLITE_MUL, 2, {3, 4}, 1, {5}, 0, {0}},
        {FN_TFLITE_ADD, 2, {1, 5}, 1, {6}, 0, {0}},
    };
    return (made_model){tensors, 7, ops, 5, 0, extra ? 2 : 1, {6, 2}};
}

static void tflite_spelled_prelu_becomes_one_operator(void **state) {
    (void)state;
    made_model model = spelled_prelu(0);
    fn_graph *g = import_made(&model, NULL);
    assert_int_equal(g->n_nodes, 1);
    assert_string_equal(op_name(g, 0), "PRelu");
    const float *slope = g->values[g->nodes[0].inputs[1]].data;
    assert_float_equal(slope[0], 0.5F, 0);
    assert_float_equal(slope[1], -1.0F, 0);
    assert_int_equal(g->values[g->inputs[0]].shape.dim[0], -1);
    const float in[4] = {-3, 2, -5, 7}; // two channels of two places
    float out[4];
    run(g, in, 1, 2, (float *const[]){out});
    assert_float_equal(out[0], -1.5F, 0);
    assert_float_equal(out[1], 2.0F, 0);
    assert_float_equal(out[2], 5.0F, 0);
    assert_float_equal(out[3], 7.0F, 0);
}

static void tflite_prelu_whose_parts_are_used_elsewhere_stays_spelled_out(void **state) {
    (void)state;
    made_model model = spelled_prelu(1);
    fn_graph *g = import_made(&model, NULL);
    assert_int_equal(g->n_nodes, 5);
    const float in[4] = {-3, 2, -5, 7};
    float out[4], absolute[4];
    run(g, in, 1, 2, (float *const[]){out, absolute});
    assert_float_equal(out[0], -1.5F, 0);
    assert_float_equal(out[2], 5.0F, 0);
    assert_float_equal(absolute[2], 5.0F, 0);
}

static void tflite_prelu_by_negation_becomes_one_operator(void **state) {
    (void)state;
    static const made_tensor tensors[] = {
        {"in", 0, 4, {1, 1, 2, 2}, NULL, 0}, {"r", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"n", 0, 4, {1, 1, 2, 2}, NULL, 0},  {"rn", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"k", 0, 1, {2}, slopes, 8},         {"nrn", 0, 4, {1, 1, 2, 2}, NULL, 0},
        {"m", 0, 4, {1, 1, 2, 2}, NULL, 0},  {"sum", 0, 4, {1, 1, 2, 2}, NULL, 0},
    };
    static const made_op ops[] = {
        {FN_TFLITE_RELU, 1, {0}, 1, {1}, 0, {0}},   {FN_TFLITE_NEG, 1, {0}, 1, {2}, 0, {0}},
        {FN_TFLITE_RELU, 1, {2}, 1, {3}, 0, {0}},   {FN_TFLITE_NEG, 1, {3}, 1, {5}, 0, {0}},
        {FN_TFLITE_MUL, 2, {4, 5}, 1, {6}, 0, {0}}, {FN_TFLITE_ADD, 2, {6, 1}, 1, {7}, 0, {0}},
    };
    fn_graph *g = import_made(&(made_model){tensors, 8, ops, 6, 0, 1, {7}}, NULL);
    assert_int_equal(g->n_nodes, 1);
    const float *slope = g->values[g->nodes[0].inputs[1]].data;
    assert_float_equal(slope[0], 0.25F, 0);
    assert_float_equal(slope[1], -0.5F, 0);
    fn_graph_free(g);
}

// A network like a small BlazeFace: batch 2 in the file, 16 bit weights, "same" convolution at stride 2
// with ReLU, depthwise with a multiplier, channel padding, pooling, enlarging, and a head of rows.
static const uint16_t halves[] = {0x3C00, 0xC000, 0x3800, 0x0001}; // 1, -2, 0.5, 2^-24
static const float conv_w[2 * 3 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9, -1, -2, -3, -4, -5, -6, -7, -8, -9};
static const float conv_b[2] = {0.5F, 0};
static const int pads[8] = {0, 0, 0, 0, 0, 0, 0, 2};

static made_model small_network(void) {
    static const made_tensor tensors[] = {
        {"in", 0, 4, {2, 4, 4, 1}, NULL, 0},
        {"conv/w", 0, 4, {2, 3, 3, 1}, conv_w, sizeof conv_w},
        {"conv/b", 0, 1, {2}, conv_b, sizeof conv_b},
        {"conv", 0, 4, {2, 2, 2, 2}, NULL, 0},
        {"dw/half", 1, 4, {1, 1, 1, 4}, halves, sizeof halves},
        {"dw/w", 0, 4, {1, 1, 1, 4}, NULL, 0},
        {"dw", 0, 4, {2, 2, 2, 4}, NULL, 0},
        {"pads", 2, 2, {4, 2}, pads, sizeof pads},
        {"padded", 0, 4, {2, 2, 2, 6}, NULL, 0},
        {"rows", 0, 3, {2, 8, 3}, NULL, 0},
        {"pool", 0, 4, {2, 1, 1, 6}, NULL, 0},
        {"size", 2, 1, {2}, "\2\0\0\0\2\0\0\0", 8},
        {"up", 0, 4, {2, 2, 2, 6}, NULL, 0},
        {"uprows", 0, 3, {2, 8, 3}, NULL, 0},
        {"out", 0, 3, {2, 16, 3}, NULL, 0},
    };
    static const made_op ops[] = {
        {FN_TFLITE_CONV_2D, 3, {0, 1, 2}, 1, {3}, 6, {0, 2, 2, 1, 1, 1}},
        {FN_TFLITE_DEQUANTIZE, 1, {4}, 1, {5}, 0, {0}},
        {FN_TFLITE_DEPTHWISE_CONV_2D, 2, {3, 5}, 1, {6}, 7, {1, 1, 1, 2, 0, 1, 1}},
        {FN_TFLITE_PAD, 2, {6, 7}, 1, {8}, 0, {0}},
        {FN_TFLITE_RESHAPE, 1, {8}, 1, {9}, 0, {0}},
        {FN_TFLITE_MAX_POOL_2D, 1, {8}, 1, {10}, 6, {0, 2, 2, 2, 2, 0}},
        {FN_TFLITE_RESIZE_BILINEAR, 2, {10, 11}, 1, {12}, 4, {0, 0, 0, 1}},
        {FN_TFLITE_RESHAPE, 1, {12}, 1, {13}, 0, {0}},
        {FN_TFLITE_CONCATENATION, 2, {9, 13}, 1, {14}, 2, {1, 0}},
    };
    return (made_model){tensors, 15, ops, 9, 0, 1, {14}};
}

static void tflite_network_computes_what_the_file_says(void **state) {
    (void)state;
    made_model model = small_network();
    static const char *const from[] = {"out"}, *const to[] = {"boxes"};
    fn_tflite_options options = {.any_size = 1, .n_outputs = 1, .from = from, .to = to};
    fn_graph *g = import_made(&model, &options);
    assert_string_equal(g->values[g->inputs[0]].name, "input");
    assert_string_equal(g->values[g->outputs[0]].name, "boxes");
    const fn_shape *in_shape = &g->values[g->inputs[0]].shape;
    assert_int_equal(in_shape->dim[0], -1);
    assert_int_equal(in_shape->dim[2], -1);
    assert_int_equal(in_shape->dim[1], 1);
    const fn_attr *attr = fn_node_attr(&g->nodes[0], "pads");
    assert_int_equal(attr->ints[0] + attr->ints[1], 0); // stride 2 on an even size: only behind
    assert_int_equal(attr->ints[2], 1);
    assert_int_equal(attr->ints[3], 1);

    float in[16], out[48], conv[2][2][2];
    for (int i = 0; i < 16; i++)
        in[i] = (float)(i % 5) - 2.0F;
    for (int o = 0; o < 2; o++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 2; x++) {
                float sum = conv_b[o];
                for (int ky = 0; ky < 3; ky++)
                    for (int kx = 0; kx < 3; kx++)
                        if (2 * y + ky < 4 && 2 * x + kx < 4)
                            sum += conv_w[(o * 3 + ky) * 3 + kx] * in[(2 * y + ky) * 4 + 2 * x + kx];
                conv[o][y][x] = sum > 0 ? sum : 0;
            }
    static const float factor[4] = {1, -2, 0.5F, 5.9604645e-8F};
    assert_int_equal(run(g, in, 4, 4, (float *const[]){out}), 48);
    for (int y = 0; y < 2; y++)
        for (int x = 0; x < 2; x++)
            for (int c = 0; c < 6; c++) { // rows, columns, channels: the order of the file
                float wanted = c < 4 ? factor[c] * conv[c / 2][y][x] : 0.0F, highest = -1e9F;
                assert_float_equal(out[(y * 2 + x) * 6 + c], wanted, 1e-6F);
                for (int p = 0; p < 4; p++) {
                    float v = c < 4 ? factor[c] * conv[c / 2][p / 2][p % 2] : 0.0F;
                    highest = v > highest ? v : highest;
                }
                assert_float_equal(out[24 + (y * 2 + x) * 6 + c], highest, 1e-6F);
            }
}

static void tflite_network_of_any_size_grows_with_its_input(void **state) {
    (void)state;
    made_model model = small_network();
    fn_graph *g = import_made(&model, &(fn_tflite_options){.any_size = 1});
    float in[64] = {0}, out[192];
    assert_int_equal(run(g, in, 8, 8, (float *const[]){out}), 192);
}

static void tflite_unsupported_operators_are_named(void **state) {
    (void)state;
    static const made_tensor tensors[] = {{"in", 0, 4, {1, 2, 2, 1}, NULL, 0},
                                          {"out", 0, 4, {1, 2, 2, 1}, NULL, 0}};
    made_op op = {117, 1, {0}, 1, {1}, 0, {0}};
    made_model model = {tensors, 2, &op, 1, 0, 1, {1}};
    assert_int_equal(import_error(&model), FN_EUNSUPPORTED);
    assert_non_null(strstr(fn_last_error(), "HARD_SWISH"));
    op.code = 4711;
    assert_int_equal(import_error(&model), FN_EUNSUPPORTED);
    assert_non_null(strstr(fn_last_error(), "4711"));
    op = (made_op){FN_TFLITE_ADD, 2, {0, 0}, 1, {1}, 1, {4}}; // fused tanh
    assert_int_equal(import_error(&model), FN_EUNSUPPORTED);
    assert_non_null(strstr(fn_last_error(), "fused activation"));
}

static void tflite_nonsense_is_refused(void **state) {
    (void)state;
    static const float nan_data[1] = {NAN};
    const made_tensor tensors[] = {{"in", 0, 4, {1, 2, 2, 1}, NULL, 0},
                                   {"k", 0, 1, {1}, nan_data, 4},
                                   {"out", 0, 4, {1, 2, 2, 1}, NULL, 0},
                                   {"later", 0, 4, {1, 2, 2, 1}, NULL, 0}};
    made_op op = {FN_TFLITE_ADD, 2, {0, 1}, 1, {2}, 0, {0}};
    made_model model = {tensors, 4, &op, 1, 0, 1, {2}};
    assert_int_equal(import_error(&model), FN_EFORMAT); // NaN in a constant
    assert_non_null(strstr(fn_last_error(), "not finite"));
    op.inputs[1] = 3;
    assert_int_equal(import_error(&model), FN_EFORMAT); // read before it is computed
    op.inputs[1] = 99;
    assert_int_equal(import_error(&model), FN_EFORMAT); // no such tensor
    op.inputs[1] = -1;
    assert_int_equal(import_error(&model), FN_EUNSUPPORTED);
    op.inputs[1] = 0;
    model.outputs[0] = 3;
    assert_int_equal(import_error(&model), FN_EFORMAT); // an output that nobody computes
    model.outputs[0] = 2;
    op.n_outputs = 0;
    assert_int_equal(import_error(&model), FN_EFORMAT);
    made_tensor huge[] = {{"in", 0, 4, {1, 2, 2, 1 << 30}, NULL, 0}};
    assert_int_equal(import_error(&(made_model){huge, 1, &op, 0, 0, 1, {0}}), FN_EFORMAT);
    made_tensor short_data[] = {{"in", 0, 1, {3}, slopes, 8}};
    assert_int_equal(import_error(&(made_model){short_data, 1, &op, 0, 0, 1, {0}}), FN_EFORMAT);
    fn_graph *g;
    assert_int_equal(fn_tflite_import(&g, "", 0, NULL), FN_EFORMAT);
    assert_int_equal(fn_tflite_import(&g, "\377\377\377\377TFL3", 8, NULL), FN_EFORMAT);
}

static void tflite_names_that_repeat_are_replaced(void **state) {
    (void)state;
    static const made_tensor tensors[] = {{"same", 0, 4, {1, 2, 2, 1}, NULL, 0},
                                          {"same", 0, 4, {1, 2, 2, 1}, NULL, 0}};
    static const made_op op = {FN_TFLITE_RELU, 1, {0}, 1, {1}, 0, {0}};
    fn_graph *g = import_made(&(made_model){tensors, 2, &op, 1, 0, 1, {1}}, NULL);
    assert_string_equal(g->values[g->outputs[0]].name, "tensor1");
    fn_graph_free(g);
}

static void tflite_damaged_files_never_crash(void **state) {
    (void)state;
    made_model models[] = {small_network(), spelled_prelu(0)};
    for (size_t m = 0; m < 2; m++) {
        fn_buf b;
        fn_buf_init(&b, 1 << 20);
        make_tflite(&b, &models[m]);
        fn_graph *g;
        for (size_t n = 0; n < b.len; n++) { // cut everywhere
            unsigned char *part = malloc(n ? n : 1);
            assert_non_null(part);
            memcpy(part, b.data, n);
            if (fn_tflite_import(&g, part, n, NULL) == FN_OK)
                fn_graph_free(g);
            free(part);
        }
        uint64_t seed = 1 + m;
        unsigned char *bytes = malloc(b.len);
        assert_non_null(bytes);
        for (int round = 0; round < 20000; round++) { // a few bytes changed
            memcpy(bytes, b.data, b.len);
            int n_changes = 1 + round % 4;
            for (int i = 0; i < n_changes; i++) {
                seed = seed * 6364136223846793005U + 1442695040888963407U;
                size_t at = (size_t)(seed >> 33) % b.len;
                static const unsigned char values[] = {0, 1, 2, 4, 0x7F, 0x80, 0xFE, 0xFF};
                bytes[at] = round & 1 ? values[seed >> 20 & 7] : (unsigned char)(seed >> 24);
            }
            if (fn_tflite_import(&g, bytes, b.len, NULL) == FN_OK)
                fn_graph_free(g);
        }
        free(bytes);
        fn_buf_free(&b);
    }
}

static void importers_survive_every_failing_allocation(void **state) {
    (void)state;
    made_model model = small_network();
    fn_buf b;
    fn_buf_init(&b, 1 << 20);
    make_tflite(&b, &model);
    const unsigned char bytes[] = {0, 1, 2, 3};
    int rc = FN_ENOMEM;
    for (int64_t n = 1; rc != FN_OK; n++) {
        fn_graph *g;
        fn_alloc_fail_nth(n);
        rc = fn_tflite_import(&g, b.data, b.len, NULL);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK ? g != NULL : rc == FN_ENOMEM && g == NULL);
        fn_graph_free(g);
        assert_true(n < 10000);
    }
    rc = FN_ENOMEM;
    for (int64_t n = 1; rc != FN_OK; n++) {
        fn_tfjs *w;
        fn_alloc_fail_nth(n);
        rc = open_tfjs(&w, GROUP(QUANTISED("a", "[2]", "1", "0") "," QUANTISED("b", "[2]", "1", "0")), bytes,
                       4);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK ? w != NULL : rc == FN_ENOMEM && w == NULL);
        fn_tfjs_free(w);
    }
    fn_buf_free(&b);
}

// ---- projection ------------------------------------------------------------------------------------

static void singular_vectors_are_orthonormal_and_rebuild_the_energy(void **state) {
    (void)state;
    enum { M = 7, N = 12 };
    double a[M * N], u[M * M], sigma[M], again[M * M];
    uint64_t seed = 42;
    for (int i = 0; i < M * N; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        a[i] = (double)(seed >> 40) / (1 << 24) - 0.5;
    }
    memcpy(a + 6 * N, a + 5 * N, N * sizeof *a); // rank 6
    assert_int_equal(fn_left_singular(u, sigma, a, M, N), FN_OK);
    assert_true(sigma[0] > 0 && fabs(sigma[M - 1]) < 1e-12);
    for (int k = 0; k < M; k++) {
        assert_true(k == 0 || sigma[k] <= sigma[k - 1]);
        double peak = 0, energy = 0;
        for (int i = 0; i < M; i++)
            if (fabs(u[i * M + k]) > fabs(peak))
                peak = u[i * M + k];
        assert_true(peak > 0); // the sign rule
        for (int l = 0; l < M; l++) {
            double dot = 0;
            for (int i = 0; i < M; i++)
                dot += u[i * M + k] * u[i * M + l];
            assert_true(fabs(dot - (k == l)) < 1e-12);
        }
        for (int j = 0; j < N; j++) { // |u_k' A| = sigma_k
            double v = 0;
            for (int i = 0; i < M; i++)
                v += u[i * M + k] * a[i * N + j];
            energy += v * v;
        }
        assert_true(fabs(sqrt(energy) - sigma[k]) < 1e-12);
    }
    assert_int_equal(fn_left_singular(again, sigma, a, M, N), FN_OK);
    assert_memory_equal(u, again, sizeof u);
}

static fn_graph *linear_ending(int with_activation) {
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    float w1[4 * 5], b1[4], w2[3 * 4], b2[3];
    for (int i = 0; i < 20; i++)
        w1[i] = (float)((i * 7) % 11) / 4.0F - 1.0F;
    for (int i = 0; i < 12; i++)
        w2[i] = (float)((i * 5) % 7) / 2.0F - 1.0F;
    for (int i = 0; i < 4; i++)
        b1[i] = (float)i - 1.0F;
    for (int i = 0; i < 3; i++)
        b2[i] = (float)i * 0.5F;
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 5, 1, 1));
    x = fn_relu(g, "body", x);
    x = fn_conv(g, "first", x, fn_graph_constant(g, "w1", FN_F32, fn_shape_make(4, 4, 5, 1, 1), w1),
                fn_graph_constant(g, "b1", FN_F32, fn_shape_make(1, 4), b1), &(fn_conv_attrs){0});
    if (with_activation)
        x = fn_relu(g, "between", x);
    x = fn_conv(g, "second", x, fn_graph_constant(g, "w2", FN_F32, fn_shape_make(4, 3, 4, 1, 1), w2),
                fn_graph_constant(g, "b2", FN_F32, fn_shape_make(1, 3), b2), &(fn_conv_attrs){0});
    fn_graph_output(g, fn_flatten(g, "long", x));
    assert_int_equal(fn_graph_finish(g), FN_OK);
    return g;
}

static void projection_onto_all_directions_keeps_every_distance(void **state) {
    (void)state;
    fn_graph *plain = linear_ending(0), *projected = linear_ending(0);
    fn_projection p;
    assert_int_equal(fn_project(&projected, 3, &p), FN_OK);
    assert_int_equal(p.from, 3);
    assert_true(p.discarded_energy < 1e-12);
    assert_string_equal(projected->values[projected->outputs[0]].name, "embedding");
    assert_int_equal(projected->n_nodes, 3);
    const float in[2][5] = {{1, 2, 0, 4, 0.5F}, {0, 1, 3, 0.25F, 2}};
    float a[2][3], b[2][3];
    for (int i = 0; i < 2; i++) {
        run(linear_ending(0), in[i], 1, 1, (float *const[]){a[i]});
        fn_graph *copy;
        assert_int_equal(fn_graph_copy(&copy, projected), FN_OK);
        run(copy, in[i], 1, 1, (float *const[]){b[i]});
    }
    double da = 0, db = 0, la = 0, lb = 0;
    for (int k = 0; k < 3; k++) {
        da += pow(a[0][k] - a[1][k], 2), db += pow(b[0][k] - b[1][k], 2);
        la += a[0][k] * a[0][k], lb += b[0][k] * b[0][k];
    }
    assert_true(fabs(sqrt(da) - sqrt(db)) < 1e-5);
    assert_true(fabs(sqrt(la) - sqrt(lb)) < 1e-5);
    fn_graph_free(plain);
    fn_graph_free(projected);
}

static void projection_reports_what_it_leaves_out(void **state) {
    (void)state;
    fn_graph *g = linear_ending(0);
    fn_projection p;
    assert_int_equal(fn_project(&g, 1, &p), FN_OK);
    assert_int_equal(p.to, 1);
    assert_true(p.discarded_energy > 0 && p.discarded_energy < 1);
    fn_graph_free(g);
}

static void projection_of_other_networks_is_refused_and_leaves_them_whole(void **state) {
    (void)state;
    fn_graph *g = linear_ending(1), *before = g;
    int n_nodes = g->n_nodes;
    fn_projection p;
    assert_int_equal(fn_project(&g, 2, &p), FN_EMODEL);
    assert_ptr_equal(g, before);
    assert_int_equal(g->n_nodes, n_nodes);
    fn_graph_free(g);
    g = linear_ending(0);
    assert_int_equal(fn_project(&g, 4, &p), FN_EMODEL); // more than there are
    assert_int_equal(fn_project(&g, 0, &p), FN_EMODEL);
    int rc = FN_ENOMEM;
    for (int64_t n = 1; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_project(&g, 2, &p);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
    }
    fn_graph_free(g);
}

// ---- whole files -----------------------------------------------------------------------------------

static char folder[] = "/tmp/facenet-import-XXXXXX";

static char *in_folder(const char *leaf) {
    char *path = fn_path_join(folder, leaf);
    assert_non_null(path);
    return path;
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    static const char *const leaves[] = {"a.tflite",     "mine.onnx", "mine.sha256", "again.onnx", "b.tflite",
                                         "again.sha256", "c.onnx",    "c.sha256",    "junk.bin"};
    for (size_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
        char *path = in_folder(leaves[i]);
        unlink(path);
        fn_free(path);
    }
    return rmdir(folder);
}

// A stem of 3x3 at stride 2 on 8x8 pixels of three colours, down to eight numbers.
static void write_embedder(const char *path) {
    static float weights[8 * 8 * 8 * 3];
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
        weights[i] = (float)(i % 17) / 100.0F;
    static const made_tensor tensors[] = {{"in", 0, 4, {1, 8, 8, 3}, NULL, 0},
                                          {"w", 0, 4, {8, 8, 8, 3}, weights, sizeof weights},
                                          {"conv", 0, 4, {1, 1, 1, 8}, NULL, 0},
                                          {"out", 0, 2, {1, 8}, NULL, 0}};
    static const made_op ops[] = {{FN_TFLITE_CONV_2D, 2, {0, 1}, 1, {2}, 6, {1, 1, 1, 0, 1, 1}},
                                  {FN_TFLITE_RESHAPE, 1, {2}, 1, {3}, 0, {0}}};
    fn_buf b;
    fn_buf_init(&b, 1 << 20);
    make_tflite(&b, &(made_model){tensors, 4, ops, 2, 0, 1, {3}});
    assert_int_equal(fn_write_file(path, b.data, b.len, 0600), FN_OK);
    fn_buf_free(&b);
}

static void a_foreign_model_becomes_one_of_ours(void **state) {
    (void)state;
    char *src = in_folder("a.tflite"), *dst = in_folder("mine.onnx"), *again = in_folder("again.onnx");
    write_embedder(src);
    fn_import_options options = FN_IMPORT_OPTIONS_INIT;
    options.name = "mine";
    options.role = "detector"; // needs no template
    options.color = "bgr";
    options.mean = 10.5F;
    options.unit_length = 0;
    int rc = fn_model_import(src, dst, &options);
    if (rc < 0)
        print_message("%s\n", fn_last_error());
    assert_int_equal(rc, FN_OK);
    assert_int_equal(fn_model_verify("mine", folder), FN_OK);
    fn_model *model;
    assert_int_equal(fn_model_open(&model, dst, NULL), FN_OK);
    fn_model_info info;
    assert_int_equal(fn_model_get_info(model, &info), FN_OK);
    assert_string_equal(info.name, "mine");
    assert_int_equal(info.input_width, 8);
    assert_int_equal(info.output_size, 8);
    assert_non_null(strstr(fn_model_metadata(model, "facenet.input"), "\"bgr\""));
    assert_non_null(strstr(fn_model_metadata(model, "facenet.input"), "10.5"));
    assert_non_null(strstr(fn_model_metadata(model, "facenet.source"), "a.tflite "));
    char canonical[4096];
    snprintf(canonical, sizeof canonical, "%s", fn_model_metadata(model, "facenet.canonical"));
    fn_model_free(model);

    // The ONNX file imported again: another source, the same network.
    options.name = "again";
    assert_int_equal(fn_model_import(dst, again, &options), FN_OK);
    assert_int_equal(fn_model_verify("again", folder), FN_OK);
    assert_int_equal(fn_model_open(&model, again, NULL), FN_OK);
    char one[65] = "1", two[65] = "2";
    fn_canonical_get(one, sizeof one, canonical, "graph");
    fn_canonical_get(two, sizeof two, fn_model_metadata(model, "facenet.canonical"), "graph");
    assert_string_equal(one, two);
    assert_string_not_equal(canonical, fn_model_metadata(model, "facenet.canonical"));
    fn_model_free(model);
    fn_free(src);
    fn_free(dst);
    fn_free(again);
}

static void wrong_wishes_are_refused_and_write_nothing(void **state) {
    (void)state;
    char *src = in_folder("b.tflite"), *dst = in_folder("c.onnx"), *junk = in_folder("junk.bin");
    write_embedder(src);
    fn_import_options options = FN_IMPORT_OPTIONS_INIT;
    assert_int_equal(fn_model_import(src, dst, &options), FN_EMODEL); // 8 x 8 does not fit arcface-112
    assert_non_null(strstr(fn_last_error(), "arcface-112"));
    options.template_name = "nonesuch";
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options = (fn_import_options)FN_IMPORT_OPTIONS_INIT;
    options.role = "oracle";
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.role = "detector";
    options.color = "cmyk";
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.color = NULL;
    options.scale = 0;
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.scale = NAN;
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.scale = 1;
    options.name = "two\nlines";
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.name = NULL;
    options.version = 77;
    assert_int_equal(fn_model_import(src, dst, &options), FN_EINVAL);
    options.version = FN_IMPORT_OPTIONS_VERSION;
    assert_int_equal(fn_write_file(junk, "not a model", 11, 0600), FN_OK);
    assert_int_equal(fn_model_import(junk, dst, &options), FN_EFORMAT);
    assert_int_equal(fn_model_import("/nonexistent/x", dst, &options), FN_EIO);
    assert_int_equal(access(dst, F_OK), -1);
    assert_int_equal(fn_model_import(src, "/nonexistent/x.onnx", &options), FN_EIO);
    fn_free(src);
    fn_free(dst);
    fn_free(junk);
}

static void an_import_survives_every_failing_allocation(void **state) {
    (void)state;
    char *src = in_folder("b.tflite"), *dst = in_folder("c.onnx");
    write_embedder(src);
    fn_import_options options = FN_IMPORT_OPTIONS_INIT;
    options.role = "detector";
    int rc = FN_ENOMEM;
    for (int64_t n = 1; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_model_import(src, dst, &options);
        fn_alloc_fail_nth(0);
        if (rc != FN_OK && rc != FN_ENOMEM)
            fail_msg("allocation %d: %d, %s", (int)n, rc, fn_last_error());
        assert_true(rc == FN_OK || access(dst, F_OK) != 0);
        assert_true(n < 100000);
    }
    fn_free(src);
    fn_free(dst);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tfjs_bytes_become_scale_times_q_plus_min),
        cmocka_unit_test(tfjs_integers_are_counted_and_skipped),
        cmocka_unit_test(tfjs_files_of_a_group_are_joined),
        cmocka_unit_test(tfjs_faults_are_named),
        cmocka_unit_test(tfjs_numbers_that_are_not_finite_are_refused),
        cmocka_unit_test(tfjs_deep_json_is_refused),
        cmocka_unit_test(tfjs_kernels_turn_to_onnx_order),
        cmocka_unit_test(architectures_without_their_weights_fail_with_a_name),
        cmocka_unit_test(tflite_spelled_prelu_becomes_one_operator),
        cmocka_unit_test(tflite_prelu_whose_parts_are_used_elsewhere_stays_spelled_out),
        cmocka_unit_test(tflite_prelu_by_negation_becomes_one_operator),
        cmocka_unit_test(tflite_network_computes_what_the_file_says),
        cmocka_unit_test(tflite_network_of_any_size_grows_with_its_input),
        cmocka_unit_test(tflite_unsupported_operators_are_named),
        cmocka_unit_test(tflite_nonsense_is_refused),
        cmocka_unit_test(tflite_names_that_repeat_are_replaced),
        cmocka_unit_test(tflite_damaged_files_never_crash),
        cmocka_unit_test(importers_survive_every_failing_allocation),
        cmocka_unit_test(singular_vectors_are_orthonormal_and_rebuild_the_energy),
        cmocka_unit_test(projection_onto_all_directions_keeps_every_distance),
        cmocka_unit_test(projection_reports_what_it_leaves_out),
        cmocka_unit_test(projection_of_other_networks_is_refused_and_leaves_them_whole),
        cmocka_unit_test(a_foreign_model_becomes_one_of_ours),
        cmocka_unit_test(wrong_wishes_are_refused_and_write_nothing),
        cmocka_unit_test(an_import_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
