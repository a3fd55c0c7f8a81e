// SPDX-License-Identifier: Apache-2.0
//
// Allocation with overflow checks and a fault switch for tests.
#include "base/alloc.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic int64_t n_allocations;
static _Atomic int64_t fail_at;

void fn_alloc_fail_nth(int64_t n) {
    atomic_store(&n_allocations, 0);
    atomic_store(&fail_at, n);
}

int64_t fn_alloc_count(void) {
    return atomic_load(&n_allocations);
}

static int may_allocate(void) {
    int64_t n = atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed) + 1;
    return n != atomic_load_explicit(&fail_at, memory_order_relaxed);
}

int fn_size_mul(size_t *out, size_t a, size_t b) {
    return !__builtin_mul_overflow(a, b, out);
}

void *fn_alloc(size_t size) {
    return may_allocate() ? malloc(size ? size : 1) : NULL;
}

void *fn_calloc(size_t n, size_t size) {
    return may_allocate() ? calloc(n ? n : 1, size ? size : 1) : NULL;
}

void *fn_realloc(void *p, size_t n, size_t size) {
    size_t total;
    if (!fn_size_mul(&total, n, size) || !may_allocate())
        return NULL;
    return realloc(p, total ? total : 1);
}

char *fn_strndup(const char *text, size_t n) {
    char *copy = fn_alloc(n + 1);
    if (copy) {
        memcpy(copy, text, n);
        copy[n] = 0;
    }
    return copy;
}

char *fn_strdup(const char *text) {
    return fn_strndup(text, strlen(text));
}

void fn_free(void *p) {
    free(p);
}

void *fn_alloc_aligned(size_t size) {
    if (size > SIZE_MAX - 64 || !may_allocate())
        return NULL;
    return aligned_alloc(64, (size + 64) & ~(size_t)63);
}

char *fn_asprintf(const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = n < 0 ? NULL : fn_alloc((size_t)n + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}
