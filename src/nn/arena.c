// SPDX-License-Identifier: Apache-2.0
//
// Lifetimes to offsets.
#include "nn/arena.h"

#include "base/alloc.h"

#include <stdlib.h>

#define ALIGN 64

static size_t padded(size_t size) {
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

static int larger_first(const void *a, const void *b) {
    const fn_buffer *x = *(fn_buffer *const *)a, *y = *(fn_buffer *const *)b;
    if (x->size != y->size)
        return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y;
}

size_t fn_arena_assign(fn_buffer *buffers, int n) {
    fn_buffer **order = fn_calloc((size_t)n, sizeof *order);
    fn_buffer **placed = fn_calloc((size_t)n, sizeof *placed); // by offset
    size_t total = 0;
    int n_placed = 0;
    if (!order || !placed) {
        total = (size_t)-1;
        goto out;
    }
    for (int i = 0; i < n; i++)
        order[i] = &buffers[i];
    qsort(order, (size_t)n, sizeof *order, larger_first);
    for (int i = 0; i < n; i++) {
        fn_buffer *b = order[i];
        size_t at = 0;
        for (int k = 0; k < n_placed; k++) {
            const fn_buffer *p = placed[k];
            if (p->last < b->first || p->first > b->last)
                continue;
            if (p->offset >= at + padded(b->size))
                break;
            if (p->offset + padded(p->size) > at)
                at = p->offset + padded(p->size);
        }
        b->offset = at;
        int k = n_placed++;
        for (; k > 0 && placed[k - 1]->offset > at; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
        if (at + padded(b->size) > total)
            total = at + padded(b->size);
    }
out:
    fn_free(order);
    fn_free(placed);
    return total;
}
