// SPDX-License-Identifier: Apache-2.0
//
// All allocation of facenet's own goes through here, so that tests can make the Nth one fail.
#ifndef FN_BASE_ALLOC_H
#define FN_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/// Bytes, zeroed arrays, grown arrays; NULL when out of memory or on overflow of n * size. Sizes of
/// zero give a valid pointer. Free with fn_free.
void *fn_alloc(size_t size);
void *fn_calloc(size_t n, size_t size);
void *fn_realloc(void *p, size_t n, size_t size);
char *fn_strdup(const char *text);
char *fn_strndup(const char *text, size_t n);
void fn_free(void *p);

/// 64-byte aligned, not zeroed; free with fn_free.
void *fn_alloc_aligned(size_t size);

/// printf into new memory; NULL when out of memory.
char *fn_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/// True and *out = a * b when that fits.
int fn_size_mul(size_t *out, size_t a, size_t b);

/// Tests: the n-th allocation from now on fails, once (n = 1: the next); 0 switches this off.
void fn_alloc_fail_nth(int64_t n);
/// Tests: allocations counted since fn_alloc_fail_nth was last called.
int64_t fn_alloc_count(void);

#endif
