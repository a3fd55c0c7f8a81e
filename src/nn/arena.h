// SPDX-License-Identifier: Apache-2.0
//
// Places buffers with known lifetimes in one block, so that those alive together never overlap.
#ifndef FN_NN_ARENA_H
#define FN_NN_ARENA_H

#include <stddef.h>

typedef struct fn_buffer {
    size_t size;     // bytes
    int first, last; // steps during which it is alive, inclusive
    size_t offset;   // result, a multiple of 64
} fn_buffer;

/// Greedy by size: the largest first, each into the lowest gap among those alive with it (Pisarchyk and Lee
/// 2020, section 4.3). Returns the block's size, or (size_t)-1 when out of memory.
size_t fn_arena_assign(fn_buffer *buffers, int n);

#endif
