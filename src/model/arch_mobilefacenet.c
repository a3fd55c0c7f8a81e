// SPDX-License-Identifier: Apache-2.0
//
// MobileFaceNet (Chen, Liu, Gao, Han 2018, https://arxiv.org/abs/1804.07573, table 1): inverted residual
// bottlenecks after MobileNetV2, PReLU, and a depthwise convolution over the whole last map in place of an
// average. 112 x 112 pixels, 0.99 M parameters, 221 M multiply-adds. Convolutions have batch-norms and no
// biases; the last two layers are linear.
#include "model/fresh.h"

#include <stdio.h>

enum { MAX_NAME = 96 };

static fn_map unit(fn_fresh *f, const char *name, fn_map x, int out, const fn_conv_form *form,
                   int is_linear) {
    char norm[MAX_NAME], prelu[MAX_NAME];
    snprintf(norm, sizeof norm, "%.80s_bn", name);
    snprintf(prelu, sizeof prelu, "%.80s_prelu", name);
    x = fn_fresh_norm(f, norm, fn_fresh_conv(f, name, x, out, form));
    return is_linear ? x : fn_fresh_prelu(f, prelu, x);
}

static const fn_conv_form pointwise = {.kernel = {1, 1}};

/// Widen by t, filter each channel, narrow to c; with a shortcut where nothing changes size.
static fn_map bottleneck(fn_fresh *f, const char *name, fn_map x, int t, int c, int stride) {
    char n[4][MAX_NAME];
    static const char *const parts[4] = {"widen", "depthwise", "narrow", "add"};
    for (int i = 0; i < 4; i++)
        snprintf(n[i], sizeof n[i], "%.60s/%s", name, parts[i]);
    int wide = t * x.channels;
    fn_map y = unit(f, n[0], x, wide, &pointwise, 0);
    y = unit(f, n[1], y, wide,
             &(fn_conv_form){.kernel = {3, 3}, .stride = stride, .pad = {1, 1}, .depthwise = 1}, 0);
    y = unit(f, n[2], y, c, &pointwise, 1);
    return stride == 1 && x.channels == c ? fn_fresh_add(f, n[3], x, y) : y;
}

void fn_arch_mobilefacenet(fn_fresh *f) {
    static const struct {
        int t, c, n, stride; // stride of the first of n
    } rows[] = {
        {2, 64, 5, 2},  // 28 x 28 x 64
        {4, 128, 1, 2}, // 14 x 14 x 128
        {2, 128, 6, 1}, //
        {4, 128, 1, 2}, // 7 x 7 x 128
        {2, 128, 2, 1}, //
    };
    char name[MAX_NAME];
    fn_map x = fn_fresh_input(f, 3, f->height, f->width); // 112 x 112 x 3
    x = unit(f, "conv1", x, 64, &(fn_conv_form){.kernel = {3, 3}, .stride = 2, .pad = {1, 1}},
             0); // 56 x 56 x 64
    x = unit(f, "conv2", x, 64, &(fn_conv_form){.kernel = {3, 3}, .pad = {1, 1}, .depthwise = 1}, 0);
    for (int r = 0; r < (int)(sizeof rows / sizeof rows[0]); r++)
        for (int i = 0; i < rows[r].n; i++) {
            snprintf(name, sizeof name, "bottleneck%d_%d", r + 1, i + 1);
            x = bottleneck(f, name, x, rows[r].t, rows[r].c, i == 0 ? rows[r].stride : 1);
        }
    x = unit(f, "conv3", x, 512, &pointwise, 0); // 7 x 7 x 512
    x = unit(f, "whole", x, 512, &(fn_conv_form){.kernel = {x.height, x.width}, .depthwise = 1},
             1); // 1 x 1 x 512
    x = fn_fresh_last(f, fn_fresh_flatten(f, "flat", x), 0);
    fn_fresh_embedding(f, fn_fresh_norm(f, "dense_bn", x));
}
