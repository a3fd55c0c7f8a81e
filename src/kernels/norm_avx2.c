// SPDX-License-Identifier: Apache-2.0
//
// The loops of a batch-norm with AVX2 and FMA: a row of 8 channels is one register of floats, two of doubles.
// Float alone, as processors without AVX-512 learn in no other type. Compiled with -mavx2 -mfma, alone.
#include "kernels/norm.h"

#include <immintrin.h>

static inline __m256d low(__m256 row) {
    return _mm256_cvtps_pd(_mm256_castps256_ps128(row));
}

static inline __m256d high(__m256 row) {
    return _mm256_cvtps_pd(_mm256_extractf128_ps(row, 1));
}

/// sums += a, a b, for the next row.
static inline void add_row(__m256d sum[4], __m256 a, __m256 b) {
    const __m256d a0 = low(a), a1 = high(a);
    sum[0] = _mm256_add_pd(sum[0], a0);
    sum[1] = _mm256_add_pd(sum[1], a1);
    sum[2] = _mm256_fmadd_pd(a0, low(b), sum[2]);
    sum[3] = _mm256_fmadd_pd(a1, high(b), sum[3]);
}

static inline void load(__m256d sum[4], const double *sums) {
    for (int i = 0; i < 4; i++)
        sum[i] = _mm256_loadu_pd(sums + 4 * i);
}

static inline void store(double *sums, const __m256d sum[4]) {
    for (int i = 0; i < 4; i++)
        _mm256_storeu_pd(sums + 4 * i, sum[i]);
}

static inline __m256 passed(const float *dy, const float *y, size_t i) {
    const __m256 d = _mm256_loadu_ps(dy + 8 * i);
    if (!y)
        return d;
    return _mm256_and_ps(d, _mm256_cmp_ps(_mm256_loadu_ps(y + 8 * i), _mm256_setzero_ps(), _CMP_GT_OQ));
}

static void sums(double *dst, const void *x, size_t n) {
    __m256d sum[4];
    load(sum, dst);
    for (size_t i = 0; i < n; i++) {
        const __m256 row = _mm256_loadu_ps((const float *)x + 8 * i);
        add_row(sum, row, row);
    }
    store(dst, sum);
}

static void gradient_sums(double *dst, const void *x, const void *dy, const void *y, size_t n) {
    __m256d sum[4];
    load(sum, dst);
    for (size_t i = 0; i < n; i++)
        add_row(sum, passed(dy, y, i), _mm256_loadu_ps((const float *)x + 8 * i));
    store(dst, sum);
}

static void gradient(void *dx, const void *x, const void *dy, const void *y, const float *factors, size_t n) {
    const __m256 k = _mm256_loadu_ps(factors), a = _mm256_loadu_ps(factors + 8),
                 b = _mm256_loadu_ps(factors + 16), mean = _mm256_loadu_ps(factors + 24);
    for (size_t i = 0; i < n; i++) {
        const __m256 d = _mm256_fmsub_ps(k, passed(dy, y, i), a);
        const __m256 off = _mm256_sub_ps(_mm256_loadu_ps((const float *)x + 8 * i), mean);
        _mm256_storeu_ps((float *)dx + 8 * i, _mm256_fnmadd_ps(b, off, d));
    }
}

const fn_norm_kernels fn_norm_avx2 = {sums, gradient_sums, gradient};
