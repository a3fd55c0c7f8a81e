// SPDX-License-Identifier: Apache-2.0
//
// Rows dealt out in contiguous shares that are as equal as can be.
#ifndef FN_TRAIN_SHARE_H
#define FN_TRAIN_SHARE_H

#include <stdint.h>

/// The first of n rows that belong to share k of `shares`; the next one begins where it ends. 0 for k = 0,
/// n for k = shares.
static inline int fn_share_start(int n, int shares, int k) {
    return (int)((int64_t)n * k / shares);
}

/// Rows of the largest share.
static inline int fn_share_largest(int n, int shares) {
    return (n + shares - 1) / shares;
}

#endif
