// SPDX-License-Identifier: Apache-2.0
//
// The face recognition ResNet of dlib (dlib_face_recognition_resnet_model_v1): 29 convolutions after
// He et al. 2015, "Deep Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385),
// with a thinner body. Each convolution is followed by a scale and a shift per channel, which are folded
// into filters and bias in double. Where a block halves the picture, the main branch has no padding and
// comes out smaller than the pooled shortcut: zeros are added at its bottom and right; and the shortcut
// has half the channels: zeros are added after them. To train it anew, each scale and shift becomes a
// batch-norm, as in dlib itself, and the embedding is divided by its length.
#include "model/arch.h"
#include "model/fresh.h"

#include "base/alloc.h"

#include <stdio.h>

enum { SAME, VALID };

/// Filters of (size, size, in, out) with bias, times scale, plus shift.
static int conv_of_file(fn_graph *g, const fn_tfjs *w, const char *prefix, int x, int size, int in, int out,
                        int stride, int padding) {
    char name[4][96];
    static const char *const parts[4] = {"conv/filters", "conv/bias", "scale/weights", "scale/biases"};
    const fn_tfjs_tensor *t[4];
    for (int i = 0; i < 4; i++) {
        snprintf(name[i], sizeof name[i], "%.60s/%s", prefix, parts[i]);
        t[i] = fn_tfjs_need(w, g, name[i], i ? fn_shape_make(1, out) : fn_shape_make(4, size, size, in, out));
    }
    if (g->failed)
        return -1;
    float *filters = fn_calloc(t[0]->n, sizeof *filters);
    float *bias = fn_calloc((size_t)out, sizeof *bias);
    int y = -1;
    if (filters && bias) {
        fn_tfjs_to_oihw(filters, t[0]->data, size, in, out, t[2]->data);
        for (int o = 0; o < out; o++)
            bias[o] = (float)((double)t[1]->data[o] * t[2]->data[o] + t[3]->data[o]);
        int filters_value =
            fn_graph_constant(g, name[0], FN_F32, fn_shape_make(4, out, in, size, size), filters);
        int bias_value = fn_graph_constant(g, name[1], FN_F32, fn_shape_make(1, out), bias);
        int pad = padding == SAME ? size / 2 : 0; // stride 1 only
        y = fn_conv(g, prefix, x, filters_value, bias_value,
                    &(fn_conv_attrs){.stride = {stride, stride}, .pad = {pad, pad, pad, pad}});
    } else {
        fn_graph_fail(g, FN_ENOMEM, "out of memory");
    }
    fn_free(filters);
    fn_free(bias);
    return y;
}

/// Where weights come from: a file, or a draw.
typedef struct source {
    const fn_tfjs *file;
    fn_fresh *fresh; // NULL: the file
    fn_graph *graph;
} source;

static fn_map conv(const source *s, const char *name, fn_map x, int out, int size, int stride, int padding) {
    char norm[96];
    int pad = padding == SAME ? size / 2 : 0;
    if (s->fresh) {
        snprintf(norm, sizeof norm, "%.80s_bn", name);
        return fn_fresh_norm(s->fresh, norm, fn_fresh_square(s->fresh, name, x, out, size, stride, pad));
    }
    x.value = conv_of_file(s->graph, s->file, name, x.value, size, x.channels, out, stride, padding);
    x.height = (x.height + 2 * pad - size) / stride + 1;
    x.width = (x.width + 2 * pad - size) / stride + 1;
    x.channels = out;
    return x;
}

/// One row of the table below: a block of two 3x3 convolutions around a shortcut.
typedef struct block {
    const char *name;
    int out;
    int down; // 1: halves the picture
} block;

static fn_map residual(const source *s, fn_map x, const block *b) {
    fn_graph *g = s->graph;
    char n[7][96];
    static const char *const parts[7] = {"conv1", "relu1", "conv2", "pad", "shortcut", "add", "channels"};
    for (int i = 0; i < 7; i++)
        snprintf(n[i], sizeof n[i], "%s/%s", b->name, parts[i]);
    fn_map y = conv(s, n[0], x, b->out, 3, b->down ? 2 : 1, b->down ? VALID : SAME);
    y.value = fn_relu(g, n[1], y.value);
    y = conv(s, n[2], y, b->out, 3, 1, SAME);
    if (b->down) {
        x.height /= 2;
        x.width /= 2;
    }
    if (y.height < x.height || y.width < x.width)
        y.value = fn_pad(g, n[3], y.value, (int[4]){0, 0, 0, 0},
                         (int[4]){0, 0, x.height - y.height, x.width - y.width});
    if (b->down)
        x.value = fn_average_pool(g, n[4], x.value, 2, 2, NULL);
    if (x.channels != b->out)
        x.value = fn_pad(g, n[6], x.value, (int[4]){0, 0, 0, 0}, (int[4]){0, b->out - x.channels, 0, 0});
    x.value = fn_relu(g, b->name, fn_add(g, n[5], y.value, x.value));
    x.channels = b->out;
    return x;
}

/// From the picture to the mean of the last map, 256 numbers.
static fn_map body(const source *s, fn_map x) {
    static const block blocks[] = {
        {"conv32_1", 32, 0},      {"conv32_2", 32, 0},   {"conv32_3", 32, 0},
        {"conv64_down", 64, 1}, // 35 -> 17
        {"conv64_1", 64, 0},      {"conv64_2", 64, 0},   {"conv64_3", 64, 0},
        {"conv128_down", 128, 1},                                                      // 17 -> 8
        {"conv128_1", 128, 0},    {"conv128_2", 128, 0}, {"conv256_down", 256, 1},     // 8 -> 3, padded to 4
        {"conv256_1", 256, 0},    {"conv256_2", 256, 0}, {"conv256_down_out", 256, 1}, // 4 -> 1, padded to 2
    };
    fn_graph *g = s->graph;
    x = conv(s, "conv32_down", x, 32, 7, 2, VALID); // 72
    x.value = fn_relu(g, "conv32_down/relu", x.value);
    x.value = fn_max_pool(g, "pool", x.value, 3, 2, NULL); // 35
    x.height = (x.height - 3) / 2 + 1;
    x.width = (x.width - 3) / 2 + 1;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        x = residual(s, x, &blocks[i]);
    x.value = fn_flatten(g, "mean/flat", fn_global_average_pool(g, "mean", x.value));
    return (fn_map){x.value, 256, 1, 1};
}

void fn_arch_dlib_resnet(fn_graph *g, const fn_tfjs *w) {
    int input = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 150, 150));
    fn_map x = body(&(source){w, NULL, g}, (fn_map){input, 3, 150, 150});
    fn_graph_output(g, fn_dense(g, "embedding", x.value, fn_tfjs_matrix(g, w, "fc", 256, 128), -1));
}

void fn_arch_dlib_resnet_fresh(fn_fresh *f) {
    fn_map x = body(&(source){NULL, f, f->graph}, fn_fresh_input(f, 3, f->height, f->width));
    fn_fresh_embedding(f, fn_fresh_last(f, x, 0));
}
