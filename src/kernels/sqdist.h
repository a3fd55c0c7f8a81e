// SPDX-License-Identifier: Apache-2.0
//
// Squared Euclidean distances of one query to many rows: the hot loop of a search.
#ifndef FN_KERNELS_SQDIST_H
#define FN_KERNELS_SQDIST_H

#include <stddef.h>

/// Rows are padded with zeros to a multiple of this many floats and aligned to as many bytes x 4.
#define FN_SQDIST_LANES 16

/// dst (n_rows); query (stride); rows (n_rows, stride). stride is a multiple of FN_SQDIST_LANES;
/// query and rows are 64-byte aligned. The sums are in float: each differs from the exact value by
/// at most a share of FN_SQDIST_ERROR(stride), in an order that depends on the variant.
typedef void fn_sqdist_fn(float *dst, const float *query, const float *rows, size_t n_rows, size_t stride);

/// n additions and multiplications of non-negative terms, each off by half a unit in the last place,
/// and the subtractions before them by two halves more once squared.
#define FN_SQDIST_ERROR(stride) (((double)(stride) + 4) * 0x1p-24 * 1.01)

fn_sqdist_fn fn_sqdist_c;
fn_sqdist_fn fn_sqdist_avx2;

/// The fastest variant that these CPU flags allow (base/cpu.h).
fn_sqdist_fn *fn_sqdist_choose(unsigned cpu_flags);

#endif
