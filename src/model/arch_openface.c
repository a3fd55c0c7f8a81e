// SPDX-License-Identifier: Apache-2.0
//
// OpenFace's networks (Amos, Ludwiczuk, Satyanarayanan 2016, "OpenFace: A general-purpose face recognition
// library"; https://github.com/cmusatyalab/openface, models/openface/*.def.lua): FaceNet's inception tables,
// nn4 for 96 x 96 pixels and two smaller ones. Every convolution has a bias and a batch-norm.
//
// nn4.small2 exists in four layouts. As defined, the pools inside blocks have padding 1 and the stride of
// their block. The published weights were trained with a library that ignored this: maxima have stride 2 and
// Euclidean pools stride 3, without padding, and zeros are put around the small maps. Keras-OpenFace runs
// the same with another LRN, and the deep-learning course "Convolutional Neural Networks" (week 4) without
// LRN and with average pools. OpenFace drew weights as Torch does, uniform within 1 / sqrt(fan-in); ours have
// the variance of fresh.h, which the batch-norms make equal up to the first steps' size.
#include "model/arch_inception.h"

enum { MAX = FN_POOL_MAX, L2 = FN_POOL_L2, MEAN = FN_POOL_AVERAGE };

#define LEN(rows) ((int)(sizeof(rows) / sizeof(rows)[0]))

// name  1x1  3x3r  3x3  5x5r  5x5  stride  pool  proj
static const fn_inception nn2[] = {
    {"3a", 64, 96, 128, 16, 32, 1, MAX, 32},    {"3b", 64, 96, 128, 32, 64, 1, L2, 64},
    {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},     {"4a", 256, 96, 192, 32, 64, 1, L2, 128},
    {"4b", 224, 112, 224, 32, 64, 1, L2, 128},  {"4c", 192, 128, 256, 32, 64, 1, L2, 128},
    {"4d", 160, 144, 288, 32, 64, 1, L2, 128},  {"4e", 0, 160, 256, 64, 128, 2, MAX, 0},
    {"5a", 384, 192, 384, 48, 128, 1, L2, 128}, {"5b", 384, 192, 384, 48, 128, 1, MAX, 128},
};

static const fn_inception nn4[] = {
    {"3a", 64, 96, 128, 16, 32, 1, MAX, 32},   {"3b", 64, 96, 128, 32, 64, 1, L2, 64},
    {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},    {"4a", 256, 96, 192, 32, 64, 1, L2, 128},
    {"4b", 224, 112, 224, 32, 64, 1, L2, 128}, {"4c", 192, 128, 256, 32, 64, 1, L2, 128},
    {"4d", 160, 144, 288, 32, 64, 1, L2, 128}, {"4e", 0, 160, 256, 64, 128, 2, MAX, 0},
    {"5a", 384, 192, 384, 0, 0, 1, L2, 128},   {"5b", 384, 192, 384, 0, 0, 1, MAX, 128},
};

static const fn_inception small1[] = {
    {"3a", 64, 96, 128, 16, 32, 1, MAX, 32},   {"3b", 64, 96, 128, 32, 64, 1, L2, 64},
    {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},    {"4a", 256, 96, 192, 32, 64, 1, L2, 128},
    {"4b", 224, 112, 224, 32, 64, 1, L2, 128}, {"4e", 0, 160, 256, 64, 128, 2, MAX, 0},
    {"5a", 384, 192, 384, 0, 0, 1, L2, 128},   {"5b", 384, 192, 384, 0, 0, 1, MAX, 128},
};

static const fn_inception small2[] = {
    {"3a", 64, 96, 128, 16, 32, 1, MAX, 32}, {"3b", 64, 96, 128, 32, 64, 1, L2, 64},
    {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},  {"4a", 256, 96, 192, 32, 64, 1, L2, 128},
    {"4e", 0, 160, 256, 64, 128, 2, MAX, 0}, {"5a", 256, 96, 384, 0, 0, 1, L2, 96},
    {"5b", 256, 96, 384, 0, 0, 1, MAX, 96},
};

static const fn_inception small2_course[] = {
    {"3a", 64, 96, 128, 16, 32, 1, MAX, 32}, {"3b", 64, 96, 128, 32, 64, 1, MEAN, 64},
    {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},  {"4a", 256, 96, 192, 32, 64, 1, MEAN, 128},
    {"4e", 0, 160, 256, 64, 128, 2, MAX, 0}, {"5a", 256, 96, 384, 0, 0, 1, MEAN, 96},
    {"5b", 256, 96, 384, 0, 0, 1, MAX, 96},
};

typedef struct definition {
    const fn_inception *rows;
    int n_rows;
    enum fn_pool_layout layout;
    int lrn_size; // channels; 0: no LRN
    float lrn_alpha;
    float first_epsilon; // of bn1
} definition;

static const definition definitions[] = {
    [FN_OPENFACE_NN2] = {nn2, LEN(nn2), FN_POOLS_PADDED, 5, 1e-4F, 1e-5F},
    [FN_OPENFACE_NN4] = {nn4, LEN(nn4), FN_POOLS_PADDED, 5, 1e-4F, 1e-5F},
    [FN_OPENFACE_SMALL1] = {small1, LEN(small1), FN_POOLS_PADDED, 5, 1e-4F, 1e-5F},
    [FN_OPENFACE_SMALL2] = {small2, LEN(small2), FN_POOLS_PADDED, 5, 1e-4F, 1e-5F},
    [FN_OPENFACE_SMALL2_AS_TRAINED] = {small2, LEN(small2), FN_POOLS_AS_TRAINED, 5, 1e-4F, 1e-5F},
    // alpha is not divided by the window there
    [FN_OPENFACE_SMALL2_KERAS] = {small2, LEN(small2), FN_POOLS_AS_TRAINED, 11, 11e-4F, 1e-5F},
    [FN_OPENFACE_SMALL2_COURSE] = {small2_course, LEN(small2_course), FN_POOLS_AS_TRAINED, 0, 0, 1e-3F},
};

static fn_map lrn(fn_fresh *f, const char *name, fn_map x, const definition *d) {
    return d->lrn_size ? fn_fresh_lrn(f, name, x, d->lrn_size, d->lrn_alpha) : x;
}

void fn_arch_openface(fn_fresh *f) {
    const definition *d = &definitions[f->variant];
    f->bias = 1;
    f->epsilon = d->first_epsilon;
    fn_map x = fn_fresh_input(f, 3, f->height, f->width); // 96 x 96
    x = fn_arch_unit(f, 1, x, 64, 7, 2);                  // 48 x 48 x 64
    f->epsilon = 1e-5F;
    x = lrn(f, "lrn1", fn_fresh_max_pool(f, "pool1", x, 3, 2, 1), d); // 24 x 24 x 64
    x = fn_arch_unit(f, 2, x, 64, 1, 1);                              // 24 x 24 x 64
    x = fn_arch_unit(f, 3, x, 192, 3, 1);                             // 24 x 24 x 192
    x = fn_fresh_max_pool(f, "pool2", lrn(f, "lrn2", x, d), 3, 2, 1); // 12 x 12 x 192
    x = fn_arch_inceptions(f, x, d->rows, d->n_rows, d->layout);      // 3 x 3 x 736 or more
    fn_fresh_embedding(f, fn_fresh_last(f, fn_fresh_mean(f, "mean", x), 1));
}
