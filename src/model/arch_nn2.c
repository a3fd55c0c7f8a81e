// SPDX-License-Identifier: Apache-2.0
//
// FaceNet's NN2 (Schroff, Kalenichenko, Philbin 2015, https://arxiv.org/abs/1503.03832, table 2): inception
// blocks with Euclidean pools, 224 x 224 pixels, 7.5 M parameters, 1.6 G multiply-adds. NN3 is the same at
// 160 x 160 pixels. The paper says nothing of batch-norm; without it so deep a network hardly learns from
// scratch, and its successors all have it. So each convolution has one here and therefore no bias.
#include "model/arch_inception.h"

enum { MAX = FN_POOL_MAX, L2 = FN_POOL_L2 };

void fn_arch_nn2(fn_fresh *f) {
    static const fn_inception rows[] = {
        // name  1x1  3x3r  3x3  5x5r  5x5  stride  pool  proj
        {"3a", 64, 96, 128, 16, 32, 1, MAX, 32},    // 28 x 28 x 256
        {"3b", 64, 96, 128, 32, 64, 1, L2, 64},     // 28 x 28 x 320
        {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},     // 14 x 14 x 640
        {"4a", 256, 96, 192, 32, 64, 1, L2, 128},   //
        {"4b", 224, 112, 224, 32, 64, 1, L2, 128},  //
        {"4c", 192, 128, 256, 32, 64, 1, L2, 128},  //
        {"4d", 160, 144, 288, 32, 64, 1, L2, 128},  //
        {"4e", 0, 160, 256, 64, 128, 2, MAX, 0},    // 7 x 7 x 1024
        {"5a", 384, 192, 384, 48, 128, 1, L2, 128}, //
        {"5b", 384, 192, 384, 48, 128, 1, MAX, 128},
    };
    fn_map x = fn_arch_inception_stem(f, 64, 64, 192); // 224 x 224 x 3 -> 28 x 28 x 192
    x = fn_arch_inceptions(f, x, rows, sizeof rows / sizeof rows[0], FN_POOLS_PADDED);
    fn_fresh_embedding(f, fn_fresh_last(f, fn_fresh_mean(f, "mean", x), 1));
}
