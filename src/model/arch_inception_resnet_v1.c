// SPDX-License-Identifier: Apache-2.0
//
// Inception-ResNet-v1 (Szegedy, Ioffe, Vanhoucke, Alemi 2016, https://arxiv.org/abs/1602.07261, figures 10 to
// 14) in the form of https://github.com/davidsandberg/facenet for 160 x 160 pixels: scales 0.17, 0.10 and
// 0.20 on the residuals, batch-norm after the last layer too. There the norms have shifts only; ours have
// scales as well, 14,416 numbers more, which start at 1.
#include "model/fresh.h"

#include <stdio.h>

enum { MAX_NAME = 96 };

/// A convolution of a branch, with batch-norm and ReLU.
typedef struct step {
    const char *name;
    int out, kernel[2], stride, pad[2];
} step;

/// Steps in sequence; named PREFIX/STEP, and the norm "_bn", the ReLU "_relu" behind.
static fn_map branch(fn_fresh *f, const char *prefix, fn_map x, const step *steps, int n) {
    char name[MAX_NAME], norm[MAX_NAME], relu[MAX_NAME];
    for (int i = 0; i < n; i++) {
        const step *s = &steps[i];
        snprintf(name, sizeof name, "%.40s%.40s", prefix, s->name);
        snprintf(norm, sizeof norm, "%.84s_bn", name);
        snprintf(relu, sizeof relu, "%.84s_relu", name);
        x = fn_fresh_conv(f, name, x, s->out,
                          &(fn_conv_form){.kernel = {s->kernel[0], s->kernel[1]},
                                          .stride = s->stride,
                                          .pad = {s->pad[0], s->pad[1]}});
        x = fn_fresh_relu(f, relu, fn_fresh_norm(f, norm, x));
    }
    return x;
}

#define BRANCH(f, prefix, x, ...)                                                                            \
    branch(f, prefix, x, (const step[]){__VA_ARGS__},                                                        \
           (int)(sizeof((const step[]){__VA_ARGS__}) / sizeof(step)))

/// x + scale * (branches, brought back to the channels of x by a 1x1 convolution with bias), then ReLU.
static fn_map residual(fn_fresh *f, const char *name, fn_map x, const fn_map *branches, int n, float scale,
                       int rectify) {
    char text[5][MAX_NAME];
    static const char *const parts[5] = {"concat", "up", "scaled", "add", "relu"};
    for (int i = 0; i < 5; i++)
        snprintf(text[i], sizeof text[i], "%.60s%s", name, parts[i]);
    fn_map up = fn_fresh_concat(f, text[0], branches, n);
    f->bias = 1;
    up = fn_fresh_square(f, text[1], up, x.channels, 1, 1, 0);
    f->bias = 0;
    if (scale != 1)
        up = fn_fresh_scale(f, text[2], up, scale);
    x = fn_fresh_add(f, text[3], x, up);
    return rectify ? fn_fresh_relu(f, text[4], x) : x;
}

static fn_map block35(fn_fresh *f, const char *n, fn_map x) {
    fn_map b[3] = {BRANCH(f, n, x, {"b0_1x1", 32, {1, 1}, 1, {0, 0}}),
                   BRANCH(f, n, x, {"b1_1x1", 32, {1, 1}, 1, {0, 0}}, {"b1_3x3", 32, {3, 3}, 1, {1, 1}}),
                   BRANCH(f, n, x, {"b2_1x1", 32, {1, 1}, 1, {0, 0}}, {"b2_3x3a", 32, {3, 3}, 1, {1, 1}},
                          {"b2_3x3b", 32, {3, 3}, 1, {1, 1}})};
    return residual(f, n, x, b, 3, 0.17F, 1);
}

static fn_map block17(fn_fresh *f, const char *n, fn_map x) {
    fn_map b[2] = {BRANCH(f, n, x, {"b0_1x1", 128, {1, 1}, 1, {0, 0}}),
                   BRANCH(f, n, x, {"b1_1x1", 128, {1, 1}, 1, {0, 0}}, {"b1_1x7", 128, {1, 7}, 1, {0, 3}},
                          {"b1_7x1", 128, {7, 1}, 1, {3, 0}})};
    return residual(f, n, x, b, 2, 0.10F, 1);
}

static fn_map block8(fn_fresh *f, const char *n, fn_map x, int is_last) {
    fn_map b[2] = {BRANCH(f, n, x, {"b0_1x1", 192, {1, 1}, 1, {0, 0}}),
                   BRANCH(f, n, x, {"b1_1x1", 192, {1, 1}, 1, {0, 0}}, {"b1_1x3", 192, {1, 3}, 1, {0, 1}},
                          {"b1_3x1", 192, {3, 1}, 1, {1, 0}})};
    return residual(f, n, x, b, 2, is_last ? 1.0F : 0.20F, !is_last);
}

static fn_map reduction_a(fn_fresh *f, const char *n, fn_map x) {
    fn_map b[3] = {BRANCH(f, n, x, {"b0_3x3", 384, {3, 3}, 2, {0, 0}}),
                   BRANCH(f, n, x, {"b1_1x1", 192, {1, 1}, 1, {0, 0}}, {"b1_3x3a", 192, {3, 3}, 1, {1, 1}},
                          {"b1_3x3b", 256, {3, 3}, 2, {0, 0}}),
                   fn_fresh_max_pool(f, "mixed_6a/pool", x, 3, 2, 0)};
    return fn_fresh_concat(f, "mixed_6a", b, 3);
}

static fn_map reduction_b(fn_fresh *f, const char *n, fn_map x) {
    fn_map b[4] = {BRANCH(f, n, x, {"b0_1x1", 256, {1, 1}, 1, {0, 0}}, {"b0_3x3", 384, {3, 3}, 2, {0, 0}}),
                   BRANCH(f, n, x, {"b1_1x1", 256, {1, 1}, 1, {0, 0}}, {"b1_3x3", 256, {3, 3}, 2, {0, 0}}),
                   BRANCH(f, n, x, {"b2_1x1", 256, {1, 1}, 1, {0, 0}}, {"b2_3x3a", 256, {3, 3}, 1, {1, 1}},
                          {"b2_3x3b", 256, {3, 3}, 2, {0, 0}}),
                   fn_fresh_max_pool(f, "mixed_7a/pool", x, 3, 2, 0)};
    return fn_fresh_concat(f, "mixed_7a", b, 4);
}

void fn_arch_inception_resnet_v1(fn_fresh *f) {
    char name[MAX_NAME];
    f->epsilon = 1e-3F;
    fn_map x = fn_fresh_input(f, 3, f->height, f->width);   // 160 x 160 x 3
    x = BRANCH(f, "", x, {"conv1a", 32, {3, 3}, 2, {0, 0}}, // 79 x 79 x 32
               {"conv2a", 32, {3, 3}, 1, {0, 0}},           // 77 x 77 x 32
               {"conv2b", 64, {3, 3}, 1, {1, 1}});          // 77 x 77 x 64
    x = fn_fresh_max_pool(f, "pool3a", x, 3, 2, 0);         // 38 x 38 x 64
    x = BRANCH(f, "", x, {"conv3b", 80, {1, 1}, 1, {0, 0}}, // 38 x 38 x 80
               {"conv4a", 192, {3, 3}, 1, {0, 0}},          // 36 x 36 x 192
               {"conv4b", 256, {3, 3}, 2, {0, 0}});         // 17 x 17 x 256
    for (int i = 1; i <= 5; i++) {
        snprintf(name, sizeof name, "block35_%d/", i);
        x = block35(f, name, x);
    }
    x = reduction_a(f, "mixed_6a/", x); // 8 x 8 x 896
    for (int i = 1; i <= 10; i++) {
        snprintf(name, sizeof name, "block17_%d/", i);
        x = block17(f, name, x);
    }
    x = reduction_b(f, "mixed_7a/", x); // 3 x 3 x 1792
    for (int i = 1; i <= 6; i++) {
        snprintf(name, sizeof name, "block8_%d/", i);
        x = block8(f, name, x, i == 6);
    }
    x = fn_fresh_last(f, fn_fresh_mean(f, "mean", x), 0);
    fn_fresh_embedding(f, fn_fresh_norm(f, "dense_bn", x));
}
