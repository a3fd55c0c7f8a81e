// SPDX-License-Identifier: Apache-2.0
//
// The inception block of FaceNet and OpenFace: up to four branches side by side (Szegedy et al. 2015,
// "Going deeper with convolutions", section 4), each convolution followed by batch-norm and ReLU. Where the
// branches come out at different sizes, zeros are put around the smaller ones, after the ReLU.
#ifndef FN_MODEL_ARCH_INCEPTION_H
#define FN_MODEL_ARCH_INCEPTION_H

#include "model/fresh.h"

/// One row of a paper's table; 0 filters: the branch is missing.
typedef struct fn_inception {
    const char *name; // "3a"
    int one;          // #1x1
    int three_reduce, three;
    int five_reduce, five;
    int stride; // of 3x3, 5x5 and of the pool
    int pool;   // FN_POOL_MAX ...
    int proj;   // filters after the pool; 0: it is passed on as it is
} fn_inception;

enum { FN_POOL_NONE, FN_POOL_MAX, FN_POOL_L2, FN_POOL_AVERAGE };

/// How the pools, all 3x3, lie in a block.
enum fn_pool_layout {
    FN_POOLS_PADDED,    // padding 1, the block's stride
    FN_POOLS_AS_TRAINED // no padding; stride 2 for a maximum, 3 for the others
};

/// Layers inception_NAME_3x3_conv1, _bn1, _relu1, _conv2, ...; order 3x3, 5x5, pool, 1x1.
fn_map fn_arch_inception(fn_fresh *f, fn_map x, const fn_inception *row, enum fn_pool_layout layout);
/// convN of size x size, same padding, bnN, reluN.
fn_map fn_arch_unit(fn_fresh *f, int number, fn_map x, int out, int size, int stride);
/// What comes before the blocks of FaceNet's tables: conv1 7x7/2, pool, LRN, conv2 1x1, conv3 3x3, LRN, pool;
/// the picture shrinks to an eighth.
fn_map fn_arch_inception_stem(fn_fresh *f, int conv1, int conv2, int conv3);
/// A whole table.
fn_map fn_arch_inceptions(fn_fresh *f, fn_map x, const fn_inception *rows, int n, enum fn_pool_layout layout);

#endif
