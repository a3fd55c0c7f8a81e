// SPDX-License-Identifier: Apache-2.0
//
// FaceNet's NN4 (Schroff, Kalenichenko, Philbin 2015, https://arxiv.org/abs/1503.03832, section 3.3): NN2 at
// 96 x 96 pixels with no 5x5 convolutions in the higher layers. The paper gives no table, but 285 M
// multiply-adds: leaving them out from 4e on gives 284.7 M. Batch-norm as in NN2.
#include "model/arch_inception.h"

enum { MAX = FN_POOL_MAX, L2 = FN_POOL_L2 };

void fn_arch_nn4(fn_fresh *f) {
    static const fn_inception rows[] = {
        // name  1x1  3x3r  3x3  5x5r  5x5  stride  pool  proj
        {"3a", 64, 96, 128, 16, 32, 1, MAX, 32},   // 12 x 12 x 256
        {"3b", 64, 96, 128, 32, 64, 1, L2, 64},    // 12 x 12 x 320
        {"3c", 0, 128, 256, 32, 64, 2, MAX, 0},    // 6 x 6 x 640
        {"4a", 256, 96, 192, 32, 64, 1, L2, 128},  //
        {"4b", 224, 112, 224, 32, 64, 1, L2, 128}, //
        {"4c", 192, 128, 256, 32, 64, 1, L2, 128}, //
        {"4d", 160, 144, 288, 32, 64, 1, L2, 128}, //
        {"4e", 0, 160, 256, 0, 0, 2, MAX, 0},      // 3 x 3 x 896
        {"5a", 384, 192, 384, 0, 0, 1, L2, 128},   // 3 x 3 x 896
        {"5b", 384, 192, 384, 0, 0, 1, MAX, 128},
    };
    fn_map x = fn_arch_inception_stem(f, 64, 64, 192); // 96 x 96 x 3 -> 12 x 12 x 192
    x = fn_arch_inceptions(f, x, rows, sizeof rows / sizeof rows[0], FN_POOLS_PADDED);
    fn_fresh_embedding(f, fn_fresh_last(f, fn_fresh_mean(f, "mean", x), 1));
}
