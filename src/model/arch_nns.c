// SPDX-License-Identifier: Apache-2.0
//
// FaceNet's two small networks (Schroff, Kalenichenko, Philbin 2015, https://arxiv.org/abs/1503.03832,
// section 3.3). Their tables were never published, only input, parameters and multiply-adds:
//
//           input       parameters      multiply-adds
//   NNS1    165 x 165   26 M   (26.2)   220 M  (219.8)   "mini inception"
//   NNS2    140 x 116   4.3 M  (4.3)     20 M   (20.2)   "tiny inception"
//
// What follows is ours and meets these figures (in brackets): so many parameters for so few products
// can only lie in a dense layer, so NN2's shape is narrowed and ends in a maxout layer like NN1's.
#include "model/arch_inception.h"

enum { MAX = FN_POOL_MAX, L2 = FN_POOL_L2 };

/// The last map, flat, through a maxout layer of two pieces, to the embedding.
static void finish(fn_fresh *f, fn_map x, int width) {
    x = fn_fresh_maxout(f, "fc1", fn_fresh_flatten(f, "concat", x), width);
    fn_fresh_embedding(f, fn_fresh_last(f, x, 1));
}

void fn_arch_nns1(fn_fresh *f) {
    static const fn_inception rows[] = {
        // name  1x1  3x3r  3x3  5x5r  5x5  stride  pool  proj
        {"3a", 32, 32, 64, 8, 16, 1, MAX, 16},   // 21 x 21 x 128
        {"3b", 32, 40, 80, 8, 16, 1, L2, 16},    // 21 x 21 x 144
        {"3c", 0, 64, 128, 16, 32, 2, MAX, 0},   // 11 x 11 x 304
        {"4a", 128, 48, 96, 12, 24, 1, L2, 40},  // 11 x 11 x 288
        {"4b", 112, 56, 112, 12, 24, 1, L2, 40}, // 11 x 11 x 288
        {"4e", 0, 80, 160, 32, 64, 2, MAX, 0},   // 6 x 6 x 512
        {"5a", 192, 96, 192, 0, 0, 1, L2, 64},   // 6 x 6 x 448
        {"5b", 192, 96, 192, 0, 0, 1, MAX, 64},
    };
    fn_map x = fn_arch_inception_stem(f, 32, 32, 96); // 165 x 165 x 3 -> 21 x 21 x 96
    x = fn_arch_inceptions(f, x, rows, sizeof rows / sizeof rows[0], FN_POOLS_PADDED);
    finish(f, x, 768);
}

void fn_arch_nns2(fn_fresh *f) {
    static const fn_inception rows[] = {
        // name  1x1  3x3r  3x3  5x5r  5x5  stride  pool  proj
        {"3a", 8, 8, 16, 4, 8, 1, MAX, 8},   // 18 x 15 x 40
        {"3b", 8, 12, 24, 4, 8, 1, L2, 8},   // 18 x 15 x 48
        {"3c", 0, 16, 32, 4, 8, 2, MAX, 0},  // 9 x 8 x 88
        {"4a", 40, 24, 48, 0, 0, 1, L2, 12}, // 9 x 8 x 100
        {"4e", 0, 32, 64, 0, 0, 2, MAX, 0},  // 5 x 4 x 164
        {"5a", 48, 32, 64, 0, 0, 1, L2, 16}, // 5 x 4 x 128
    };
    fn_map x = fn_arch_inception_stem(f, 12, 12, 32); // 140 x 116 x 3 -> 18 x 15 x 32
    x = fn_arch_inceptions(f, x, rows, sizeof rows / sizeof rows[0], FN_POOLS_PADDED);
    finish(f, x, 800);
}
