// SPDX-License-Identifier: Apache-2.0
//
// A single-shot detector (Liu et al. 2016, https://arxiv.org/abs/1512.02325) on MobileNet v1 (Howard et
// al. 2017, https://arxiv.org/abs/1704.04861), trained on faces: depthwise 3x3 with batch normalisation,
// pointwise 1x1 with an offset, eight more layers that go down to one cell, and six pairs of heads. The
// padding is TensorFlow's "same"; at stride 2 every input is even, so only the bottom and right are
// padded. Decoding boxes with the priors is left to the detector.
#include "model/arch.h"

#include <stdio.h>

static const fn_conv_attrs halve = {.stride = {2, 2}, .pad = {0, 0, 1, 1}};
static const fn_conv_attrs keep = {.pad = {1, 1, 1, 1}};
static const fn_conv_attrs pointwise = {0};

/// Convolution, offset, clip to 0..6.
static int conv(fn_graph *g, const fn_tfjs *w, const char *prefix, int x, int size, int in, int out,
                const fn_conv_attrs *attrs) {
    char name[3][96];
    static const char *const parts[3] = {"weights", "convolution_bn_offset", "conv"};
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%s/%s", prefix, parts[i]);
    int filters = fn_tfjs_filters(g, w, name[0], size, in, out);
    int offset = fn_tfjs_vector(g, w, name[1], out);
    return fn_clip(g, prefix, fn_conv(g, name[2], x, filters, offset, attrs), 0.0F, 6.0F);
}

/// Depthwise 3x3, batch normalisation, clip to 0..6.
static int depthwise(fn_graph *g, const fn_tfjs *w, const char *prefix, int x, int channels,
                     const fn_conv_attrs *attrs) {
    char name[7][96];
    static const char *const parts[7] = {"depthwise_weights",
                                         "BatchNorm/gamma",
                                         "BatchNorm/beta",
                                         "BatchNorm/moving_mean",
                                         "BatchNorm/moving_variance",
                                         "conv",
                                         "norm"};
    for (int i = 0; i < 7; i++)
        snprintf(name[i], sizeof name[i], "%s/%s", prefix, parts[i]);
    fn_conv_attrs grouped = *attrs;
    grouped.group = channels;
    int filters = fn_tfjs_depthwise(g, w, name[0], 3, channels);
    x = fn_conv(g, name[5], x, filters, -1, &grouped);
    int gamma = fn_tfjs_vector(g, w, name[1], channels), beta = fn_tfjs_vector(g, w, name[2], channels);
    int mean = fn_tfjs_vector(g, w, name[3], channels), variance = fn_tfjs_vector(g, w, name[4], channels);
    x = fn_batch_norm(g, name[6], x, gamma, beta, mean, variance, 0.0010000000474974513F);
    return fn_clip(g, prefix, x, 0.0F, 6.0F);
}

/// A 1x1 head: (N, anchors * values, H, W) -> (N, H * W * anchors, values).
static int head(fn_graph *g, const fn_tfjs *w, int index, const char *kind, int x, int in, int anchors,
                int values) {
    char name[5][96];
    static const char *const parts[5] = {"weights", "biases", "conv", "rows", "values"};
    for (int i = 0; i < 5; i++)
        snprintf(name[i], sizeof name[i], "Prediction/BoxPredictor_%d/%s/%s", index, kind, parts[i]);
    int filters = fn_tfjs_filters(g, w, name[0], 1, in, anchors * values);
    int biases = fn_tfjs_vector(g, w, name[1], anchors * values);
    x = fn_conv(g, name[2], x, filters, biases, &pointwise);
    x = fn_transpose(g, name[3], x, fn_shape_make(4, 0, 2, 3, 1));
    return fn_reshape(g, name[4], x, fn_shape_make(3, 0, -1, values));
}

void fn_arch_ssd_mobilenetv1(fn_graph *g, const fn_tfjs *w) {
    static const struct {
        int in, out, stride;
    } body[13] = {
        {32, 64, 1},   {64, 128, 2},   {128, 128, 1},   {128, 256, 2}, {256, 256, 1},
        {256, 512, 2}, {512, 512, 1},  {512, 512, 1},   {512, 512, 1}, {512, 512, 1},
        {512, 512, 1}, {512, 1024, 2}, {1024, 1024, 1},
    };
    static const struct {
        int in, out; // 1x1, then 3x3 at stride 2
    } extra[8] = {{1024, 256}, {256, 512}, {512, 128}, {128, 256},
                  {256, 128},  {128, 256}, {256, 64},  {64, 128}};
    int feature[6], channels[6] = {512, 1024, 512, 256, 256, 128}, n_features = 0;
    char name[64];

    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 512, 512));
    x = conv(g, w, "MobilenetV1/Conv2d_0_pointwise", x, 3, 3, 32, &halve); // 256
    for (int i = 0; i < 13; i++) {
        snprintf(name, sizeof name, "MobilenetV1/Conv2d_%d_depthwise", i + 1);
        x = depthwise(g, w, name, x, body[i].in, body[i].stride == 2 ? &halve : &keep);
        snprintf(name, sizeof name, "MobilenetV1/Conv2d_%d_pointwise", i + 1);
        x = conv(g, w, name, x, 1, body[i].in, body[i].out, &pointwise);
        if (i == 10 || i == 12) // 32 x 32 and 16 x 16 cells
            feature[n_features++] = x;
    }
    for (int i = 0; i < 8; i++) { // 16, 8, 8, 4, 4, 2, 2, 1
        snprintf(name, sizeof name, "Prediction/Conv2d_%d_pointwise", i);
        x = conv(g, w, name, x, i % 2 ? 3 : 1, extra[i].in, extra[i].out, i % 2 ? &halve : &pointwise);
        if (i % 2)
            feature[n_features++] = x;
    }

    int boxes[6], scores[6];
    for (int i = 0; i < 6; i++) {
        boxes[i] = head(g, w, i, "BoxEncodingPredictor", feature[i], channels[i], i ? 6 : 3, 4);
        scores[i] = head(g, w, i, "ClassPredictor", feature[i], channels[i], i ? 6 : 3, 3);
    }
    fn_graph_output(g, fn_concat(g, "boxes", boxes, 6, 1));
    fn_graph_output(g, fn_concat(g, "scores", scores, 6, 1));
    fn_shape shape = fn_shape_make(3, 1, 5118, 4);
    const fn_tfjs_tensor *stored = fn_tfjs_need(w, g, "Output/extra_dim", shape);
    int priors = stored ? fn_graph_constant(g, "Output/extra_dim", FN_F32, shape, stored->data) : -1;
    fn_graph_output(g, fn_graph_node(g, "Identity", "priors", &priors, 1, NULL, 0));
}
