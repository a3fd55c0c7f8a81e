// SPDX-License-Identifier: Apache-2.0
//
// The face recognition ResNet of dlib (dlib_face_recognition_resnet_model_v1): 29 convolutions after
// He et al. 2015, "Deep Residual Learning for Image Recognition" (https://arxiv.org/abs/1512.03385),
// with a thinner body. Each convolution is followed by a scale and a shift per channel, which are folded
// into filters and bias in double. Where a block halves the picture, the main branch has no padding and
// comes out smaller than the pooled shortcut: zeros are added at its bottom and right; and the shortcut
// has half the channels: zeros are added after them.
#include "model/arch.h"

#include "base/alloc.h"

#include <stdio.h>

enum { SAME, VALID };

/// Filters of (size, size, in, out) with bias, times scale, plus shift.
static int conv(fn_graph *g, const fn_tfjs *w, const char *prefix, int x, int size, int in, int out,
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

/// One row of the table below: a block of two 3x3 convolutions around a shortcut.
typedef struct block {
    const char *name;
    int in, out;
    int down; // 1: halves the picture
    int pad;  // zeros at the bottom and right of the main branch
} block;

static int residual(fn_graph *g, const fn_tfjs *w, int x, const block *b) {
    char n[6][96];
    static const char *const parts[6] = {"conv1", "relu1", "conv2", "pad", "shortcut", "add"};
    for (int i = 0; i < 6; i++)
        snprintf(n[i], sizeof n[i], "%s/%s", b->name, parts[i]);
    int y = conv(g, w, n[0], x, 3, b->in, b->out, b->down ? 2 : 1, b->down ? VALID : SAME);
    y = fn_relu(g, n[1], y);
    y = conv(g, w, n[2], y, 3, b->out, b->out, 1, SAME);
    if (b->pad)
        y = fn_pad(g, n[3], y, (int[4]){0, 0, 0, 0}, (int[4]){0, 0, b->pad, b->pad});
    if (b->down)
        x = fn_average_pool(g, n[4], x, 2, 2, NULL);
    if (b->in != b->out) {
        snprintf(n[4], sizeof n[4], "%s/channels", b->name);
        x = fn_pad(g, n[4], x, (int[4]){0, 0, 0, 0}, (int[4]){0, b->out - b->in, 0, 0});
    }
    return fn_relu(g, b->name, fn_add(g, n[5], y, x));
}

void fn_arch_dlib_resnet(fn_graph *g, const fn_tfjs *w) {
    static const block blocks[] = {
        {"conv32_1", 32, 32, 0, 0},           {"conv32_2", 32, 32, 0, 0},
        {"conv32_3", 32, 32, 0, 0},           {"conv64_down", 32, 64, 1, 0}, // 35 -> 17
        {"conv64_1", 64, 64, 0, 0},           {"conv64_2", 64, 64, 0, 0},
        {"conv64_3", 64, 64, 0, 0},           {"conv128_down", 64, 128, 1, 0}, // 17 -> 8
        {"conv128_1", 128, 128, 0, 0},        {"conv128_2", 128, 128, 0, 0},
        {"conv256_down", 128, 256, 1, 1}, // 8 -> 3, padded to 4
        {"conv256_1", 256, 256, 0, 0},        {"conv256_2", 256, 256, 0, 0},
        {"conv256_down_out", 256, 256, 1, 1}, // 4 -> 1, padded to 2
    };
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 150, 150));
    x = conv(g, w, "conv32_down", x, 7, 3, 32, 2, VALID); // 72
    x = fn_relu(g, "conv32_down/relu", x);
    x = fn_max_pool(g, "pool", x, 3, 2, NULL); // 35
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        x = residual(g, w, x, &blocks[i]);
    x = fn_flatten(g, "mean/flat", fn_global_average_pool(g, "mean", x));
    x = fn_dense(g, "embedding", x, fn_tfjs_matrix(g, w, "fc", 256, 128), -1);
    fn_graph_output(g, x);
}
