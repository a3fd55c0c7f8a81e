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

/// The factors of 8 channels.
typedef struct factors {
    __m256 mean, weight, shift, a, b;
} factors;

static inline factors factors_at(const float *f) {
    return (factors){_mm256_loadu_ps(f + 8 * FN_NORM_MEAN), _mm256_loadu_ps(f + 8 * FN_NORM_WEIGHT),
                     _mm256_loadu_ps(f + 8 * FN_NORM_SHIFT), _mm256_loadu_ps(f + 8 * FN_NORM_A),
                     _mm256_loadu_ps(f + 8 * FN_NORM_B)};
}

static inline __m256 normal(const factors *f, __m256 x) {
    return _mm256_fmadd_ps(f->weight, _mm256_sub_ps(x, f->mean), f->shift);
}

/// dy where the relu has let x through.
static inline __m256 passed(const factors *f, __m256 x, __m256 dy, int relu) {
    return relu ? _mm256_and_ps(dy, _mm256_cmp_ps(normal(f, x), _mm256_setzero_ps(), _CMP_GT_OQ)) : dy;
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

static void apply(void *y, const void *x, const float *f_, int relu, size_t n) {
    const factors f = factors_at(f_);
    for (size_t i = 0; i < n; i++) {
        const __m256 row = normal(&f, _mm256_loadu_ps((const float *)x + 8 * i));
        // The second operand of two that are not numbers stays.
        _mm256_storeu_ps((float *)y + 8 * i, relu ? _mm256_max_ps(_mm256_setzero_ps(), row) : row);
    }
}

static inline void add_gradient_sums(double *dst, const float *x, const float *dy, const float *f_, int relu,
                                     size_t n) {
    const factors f = factors_at(f_);
    __m256d sum[4];
    load(sum, dst);
    for (size_t i = 0; i < n; i++) {
        const __m256 row = _mm256_loadu_ps(x + 8 * i);
        add_row(sum, passed(&f, row, _mm256_loadu_ps(dy + 8 * i), relu), row);
    }
    store(dst, sum);
}

static inline void set_gradient(float *dx, const float *x, const float *dy, const float *f_, int relu,
                                size_t n) {
    const factors f = factors_at(f_);
    for (size_t i = 0; i < n; i++) {
        const __m256 row = _mm256_loadu_ps(x + 8 * i);
        const __m256 d = _mm256_fmsub_ps(f.weight, passed(&f, row, _mm256_loadu_ps(dy + 8 * i), relu), f.a);
        _mm256_storeu_ps(dx + 8 * i, _mm256_fnmadd_ps(f.b, _mm256_sub_ps(row, f.mean), d));
    }
}

// The test for a relu is outside the loops.

static void gradient_sums(double *dst, const void *x, const void *dy, const float *f, int relu, size_t n) {
    if (relu)
        add_gradient_sums(dst, x, dy, f, 1, n);
    else
        add_gradient_sums(dst, x, dy, f, 0, n);
}

static void gradient(void *dx, const void *x, const void *dy, const float *f, int relu, size_t n) {
    if (relu)
        set_gradient(dx, x, dy, f, 1, n);
    else
        set_gradient(dx, x, dy, f, 0, n);
}

const fn_norm_kernels fn_norm_avx2 = {sums, apply, gradient_sums, gradient};
