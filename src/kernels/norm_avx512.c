// SPDX-License-Identifier: Apache-2.0
//
// The loops of a batch-norm with AVX-512: a row of 16 channels is one register of floats, two of doubles.
// Compiled with -mavx512f, alone.
#include "kernels/norm.h"

#include <immintrin.h>
#include <stdint.h>

static inline __m512 row_at(const void *x, size_t i, int is_bf16) {
    if (!is_bf16)
        return _mm512_loadu_ps((const float *)x + 16 * i);
    const __m256i half = _mm256_loadu_si256((const void *)((const uint16_t *)x + 16 * i));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/// The nearest bfloat16, to even when two are.
static inline void set_row(void *x, size_t i, __m512 row, int is_bf16) {
    if (!is_bf16) {
        _mm512_storeu_ps((float *)x + 16 * i, row);
        return;
    }
    const __m512i bits = _mm512_castps_si512(row), one = _mm512_set1_epi32(1);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
    __m512i near = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    near = _mm512_mask_or_epi32(near, _mm512_cmp_ps_mask(row, row, _CMP_UNORD_Q), bits,
                                _mm512_set1_epi32(0x400000));
    _mm256_storeu_si256((void *)((uint16_t *)x + 16 * i), _mm512_cvtepi32_epi16(_mm512_srli_epi32(near, 16)));
}

static inline __m512d low(__m512 row) {
    return _mm512_cvtps_pd(_mm512_castps512_ps256(row));
}

static inline __m512d high(__m512 row) {
    return _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(row), 1)));
}

/// sums += a, a b, for the next row.
static inline void add_row(__m512d sum[4], __m512 a, __m512 b) {
    const __m512d a0 = low(a), a1 = high(a);
    sum[0] = _mm512_add_pd(sum[0], a0);
    sum[1] = _mm512_add_pd(sum[1], a1);
    sum[2] = _mm512_fmadd_pd(a0, low(b), sum[2]);
    sum[3] = _mm512_fmadd_pd(a1, high(b), sum[3]);
}

static inline void load(__m512d sum[4], const double *sums) {
    for (int i = 0; i < 4; i++)
        sum[i] = _mm512_loadu_pd(sums + 8 * i);
}

static inline void store(double *sums, const __m512d sum[4]) {
    for (int i = 0; i < 4; i++)
        _mm512_storeu_pd(sums + 8 * i, sum[i]);
}

/// The factors of 16 channels.
typedef struct factors {
    __m512 mean, weight, shift, a, b;
} factors;

static inline factors factors_at(const float *f) {
    return (factors){_mm512_loadu_ps(f + 16 * FN_NORM_MEAN), _mm512_loadu_ps(f + 16 * FN_NORM_WEIGHT),
                     _mm512_loadu_ps(f + 16 * FN_NORM_SHIFT), _mm512_loadu_ps(f + 16 * FN_NORM_A),
                     _mm512_loadu_ps(f + 16 * FN_NORM_B)};
}

static inline __m512 normal(const factors *f, __m512 x) {
    return _mm512_fmadd_ps(f->weight, _mm512_sub_ps(x, f->mean), f->shift);
}

/// dy where the relu has let x through.
static inline __m512 passed(const factors *f, __m512 x, __m512 dy, int relu) {
    return relu ? _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(normal(f, x), _mm512_setzero_ps(), _CMP_GT_OQ), dy)
                : dy;
}

static inline void add_sums(double *sums, const void *x, size_t n, int is_bf16) {
    __m512d sum[4];
    load(sum, sums);
    for (size_t i = 0; i < n; i++) {
        const __m512 row = row_at(x, i, is_bf16);
        add_row(sum, row, row);
    }
    store(sums, sum);
}

static inline void apply_to(void *y, const void *x, const float *f_, int relu, size_t n, int is_bf16) {
    const factors f = factors_at(f_);
    for (size_t i = 0; i < n; i++) {
        const __m512 row = normal(&f, row_at(x, i, is_bf16));
        // The second operand of two that are not numbers stays.
        set_row(y, i, relu ? _mm512_max_ps(_mm512_setzero_ps(), row) : row, is_bf16);
    }
}

static inline void add_gradient_sums(double *sums, const void *x, const void *dy, const float *f_, int relu,
                                     size_t n, int is_bf16) {
    const factors f = factors_at(f_);
    __m512d sum[4];
    load(sum, sums);
    for (size_t i = 0; i < n; i++) {
        const __m512 row = row_at(x, i, is_bf16);
        add_row(sum, passed(&f, row, row_at(dy, i, is_bf16), relu), row);
    }
    store(sums, sum);
}

static inline void set_gradient(void *dx, const void *x, const void *dy, const float *f_, int relu, size_t n,
                                int is_bf16) {
    const factors f = factors_at(f_);
    for (size_t i = 0; i < n; i++) {
        const __m512 row = row_at(x, i, is_bf16);
        const __m512 d = _mm512_fmsub_ps(f.weight, passed(&f, row, row_at(dy, i, is_bf16), relu), f.a);
        set_row(dx, i, _mm512_fnmadd_ps(f.b, _mm512_sub_ps(row, f.mean), d), is_bf16);
    }
}

static void sums(double *dst, const void *x, size_t n) {
    add_sums(dst, x, n, 0);
}

static void sums_bf16(double *dst, const void *x, size_t n) {
    add_sums(dst, x, n, 1);
}

static void apply(void *y, const void *x, const float *f, int relu, size_t n) {
    apply_to(y, x, f, relu, n, 0);
}

static void apply_bf16(void *y, const void *x, const float *f, int relu, size_t n) {
    apply_to(y, x, f, relu, n, 1);
}

// The test for a relu is outside the loops.

static void gradient_sums(double *dst, const void *x, const void *dy, const float *f, int relu, size_t n) {
    if (relu)
        add_gradient_sums(dst, x, dy, f, 1, n, 0);
    else
        add_gradient_sums(dst, x, dy, f, 0, n, 0);
}

static void gradient_sums_bf16(double *dst, const void *x, const void *dy, const float *f, int relu,
                               size_t n) {
    if (relu)
        add_gradient_sums(dst, x, dy, f, 1, n, 1);
    else
        add_gradient_sums(dst, x, dy, f, 0, n, 1);
}

static void gradient(void *dx, const void *x, const void *dy, const float *f, int relu, size_t n) {
    if (relu)
        set_gradient(dx, x, dy, f, 1, n, 0);
    else
        set_gradient(dx, x, dy, f, 0, n, 0);
}

static void gradient_bf16(void *dx, const void *x, const void *dy, const float *f, int relu, size_t n) {
    if (relu)
        set_gradient(dx, x, dy, f, 1, n, 1);
    else
        set_gradient(dx, x, dy, f, 0, n, 1);
}

const fn_norm_kernels fn_norm_avx512[2] = {{sums, apply, gradient_sums, gradient},
                                           {sums_bf16, apply_bf16, gradient_sums_bf16, gradient_bf16}};
