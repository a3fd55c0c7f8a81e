// SPDX-License-Identifier: Apache-2.0
//
// The hot loops of a batch-norm that learns, over rows of one block of channels. Sums are in double, one
// chain per channel in the order of the rows: products of two floats are exact there, so that every variant
// gives the same bits.
#ifndef FN_KERNELS_NORM_H
#define FN_KERNELS_NORM_H

#include <stddef.h>

/// Channels of a row, at most.
#define FN_NORM_LANES 16

/// Factors of a block: (5, lanes).
enum { FN_NORM_MEAN, FN_NORM_WEIGHT, FN_NORM_SHIFT, FN_NORM_A, FN_NORM_B, FN_NORM_FACTORS };

/// Rows are (n, lanes), of float or of bfloat16 (uint16_t). With a relu behind the norm, results below zero
/// become zero, and gradients pass where y is above it, by the same arithmetic.
typedef struct fn_norm_kernels {
    /// sums (2, lanes) += x, x x
    void (*sums)(double *sums, const void *x, size_t n);
    /// y = weight (x - mean) + shift
    void (*apply)(void *y, const void *x, const float *factors, int relu, size_t n);
    /// sums (2, lanes) += dy, dy x
    void (*gradient_sums)(double *sums, const void *x, const void *dy, const float *factors, int relu,
                          size_t n);
    /// dx = weight dy - a - b (x - mean)
    void (*gradient)(void *dx, const void *x, const void *dy, const float *factors, int relu, size_t n);
} fn_norm_kernels;

extern const fn_norm_kernels fn_norm_c[2][2];   // of 8 or 16 lanes, of float or bfloat16
extern const fn_norm_kernels fn_norm_avx2;      // of 8 lanes and float
extern const fn_norm_kernels fn_norm_avx512[2]; // of 16 lanes, of float or bfloat16

/// The fastest variant that these CPU flags allow (base/cpu.h). lanes: 8 or 16.
const fn_norm_kernels *fn_norm_choose(unsigned cpu_flags, int lanes, int is_bf16);

#endif
