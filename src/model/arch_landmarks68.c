// SPDX-License-Identifier: Apache-2.0
//
// The 68-landmark network of face-api.js: four dense blocks of depthwise separable convolutions, as in
// Huang et al. 2017 (https://arxiv.org/abs/1608.06993), whose connections are sums instead of
// concatenations. Every convolution has TensorFlow's "same" padding; at stride 2 all inputs are even, so
// that only the bottom and the right are padded.
#include "model/arch.h"

#include <stdio.h>

static const fn_conv_attrs halve = {.stride = {2, 2}, .pad = {0, 0, 1, 1}};
static const fn_conv_attrs keep = {.pad = {1, 1, 1, 1}};

/// Depthwise 3x3, pointwise 1x1, bias; no activation.
static int separable(fn_graph *g, const fn_tfjs *w, const char *prefix, int x, int in, int out,
                     const fn_conv_attrs *attrs) {
    char name[4][64];
    static const char *const parts[4] = {"depthwise_filter", "pointwise_filter", "bias", "depthwise"};
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "%s/%s", prefix, parts[i]);
    fn_conv_attrs depthwise = *attrs;
    depthwise.group = in;
    int filters = fn_tfjs_depthwise(g, w, name[0], 3, in);
    x = fn_conv(g, name[3], x, filters, -1, &depthwise);
    filters = fn_tfjs_filters(g, w, name[1], 1, in, out);
    int bias = fn_tfjs_vector(g, w, name[2], out);
    return fn_conv(g, prefix, x, filters, bias, &(fn_conv_attrs){0});
}

/// x -> relu(o1 + o2 + o3 + o4), each o made of the sum of those before it; halves the picture.
static int dense_block(fn_graph *g, const fn_tfjs *w, const char *block, int x, int in, int out) {
    char n[16][32];
    static const char *const parts[] = {"conv0", "conv1", "conv2", "conv3", "relu0", "sum1", "relu1",
                                        "sum2a", "sum2",  "relu2", "sum3a", "sum3b", "sum3"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        snprintf(n[i], sizeof n[i], "%s/%s", block, parts[i]);
    int o1;
    if (in == 3) { // the first layer of the network is a plain convolution
        char filters[48], bias[48];
        snprintf(filters, sizeof filters, "%s/filters", n[0]);
        snprintf(bias, sizeof bias, "%s/bias", n[0]);
        int filters_value = fn_tfjs_filters(g, w, filters, 3, in, out);
        o1 = fn_conv(g, n[0], x, filters_value, fn_tfjs_vector(g, w, bias, out), &halve);
    } else {
        o1 = separable(g, w, n[0], x, in, out, &halve);
    }
    o1 = fn_relu(g, n[4], o1);
    int o2 = separable(g, w, n[1], o1, out, out, &keep);
    int o3 = separable(g, w, n[2], fn_relu(g, n[6], fn_add(g, n[5], o1, o2)), out, out, &keep);
    int sum = fn_add(g, n[8], o1, fn_add(g, n[7], o2, o3));
    int o4 = separable(g, w, n[3], fn_relu(g, n[9], sum), out, out, &keep);
    sum = fn_add(g, n[12], o1, fn_add(g, n[11], o2, fn_add(g, n[10], o3, o4)));
    return fn_relu(g, block, sum);
}

void fn_arch_landmarks68(fn_graph *g, const fn_tfjs *w) {
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 112, 112));
    x = dense_block(g, w, "dense0", x, 3, 32);    // 56
    x = dense_block(g, w, "dense1", x, 32, 64);   // 28
    x = dense_block(g, w, "dense2", x, 64, 128);  // 14
    x = dense_block(g, w, "dense3", x, 128, 256); // 7
    x = fn_flatten(g, "mean/flat", fn_average_pool(g, "mean", x, 7, 7, NULL));
    int weights = fn_tfjs_matrix(g, w, "fc/weights", 256, 136);
    x = fn_dense(g, "landmarks", x, weights, fn_tfjs_vector(g, w, "fc/bias", 136));
    fn_graph_output(g, x);
}
