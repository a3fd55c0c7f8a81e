// SPDX-License-Identifier: Apache-2.0
//
// The loops of a batch-norm in plain C: one body for 8 and 16 lanes, for float and bfloat16.
#include "kernels/norm.h"

#include "base/cpu.h"

#include <stdint.h>
#include <string.h>

static inline float number_at(const void *x, size_t i, int is_bf16) {
    float value;
    if (!is_bf16)
        return ((const float *)x)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)x)[i] << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// The nearest bfloat16, to even when two are.
static inline void set_number(void *x, size_t i, float value, int is_bf16) {
    uint32_t bits;
    if (!is_bf16) {
        ((float *)x)[i] = value;
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    int is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    ((uint16_t *)x)[i] = (uint16_t)(is_nan ? bits >> 16 | 0x40U : (bits + 0x7FFFU + (bits >> 16 & 1)) >> 16);
}

static inline void add_sums(double *sums, const void *x, size_t n, size_t lanes, int is_bf16) {
    for (size_t i = 0; i < n * lanes; i += lanes)
        for (size_t k = 0; k < lanes; k++) {
            double v = (double)number_at(x, i + k, is_bf16);
            sums[k] += v;
            sums[lanes + k] += v * v;
        }
}

/// weight (x - mean) + shift; f: the factors of one channel, `lanes` apart.
static inline float normal(float x, const float *f, size_t lanes) {
    return f[FN_NORM_WEIGHT * lanes] * (x - f[FN_NORM_MEAN * lanes]) + f[FN_NORM_SHIFT * lanes];
}

static inline void apply(void *y, const void *x, const float *factors, int relu, size_t n, size_t lanes,
                         int is_bf16) {
    for (size_t i = 0; i < n * lanes; i += lanes)
        for (size_t k = 0; k < lanes; k++) {
            float v = normal(number_at(x, i + k, is_bf16), factors + k, lanes);
            set_number(y, i + k, relu && v < 0 ? 0 : v, is_bf16);
        }
}

static inline void add_gradient_sums(double *sums, const void *x, const void *dy, const float *factors,
                                     int relu, size_t n, size_t lanes, int is_bf16) {
    for (size_t i = 0; i < n * lanes; i += lanes)
        for (size_t k = 0; k < lanes; k++) {
            float v = number_at(x, i + k, is_bf16), d = number_at(dy, i + k, is_bf16);
            if (relu && !(normal(v, factors + k, lanes) > 0))
                d = 0;
            sums[k] += (double)d;
            sums[lanes + k] += (double)d * (double)v;
        }
}

static inline void set_gradient(void *dx, const void *x, const void *dy, const float *factors, int relu,
                                size_t n, size_t lanes, int is_bf16) {
    for (size_t i = 0; i < n * lanes; i += lanes)
        for (size_t k = 0; k < lanes; k++) {
            const float *f = factors + k;
            float v = number_at(x, i + k, is_bf16), d = number_at(dy, i + k, is_bf16);
            if (relu && !(normal(v, f, lanes) > 0))
                d = 0;
            set_number(dx, i + k,
                       f[FN_NORM_WEIGHT * lanes] * d - f[FN_NORM_A * lanes] -
                           f[FN_NORM_B * lanes] * (v - f[FN_NORM_MEAN * lanes]),
                       is_bf16);
        }
}

static void sums_8(double *sums, const void *x, size_t n) {
    add_sums(sums, x, n, 8, 0);
}

static void sums_8_bf16(double *sums, const void *x, size_t n) {
    add_sums(sums, x, n, 8, 1);
}

static void sums_16(double *sums, const void *x, size_t n) {
    add_sums(sums, x, n, 16, 0);
}

static void sums_16_bf16(double *sums, const void *x, size_t n) {
    add_sums(sums, x, n, 16, 1);
}

static void apply_8(void *y, const void *x, const float *factors, int relu, size_t n) {
    apply(y, x, factors, relu, n, 8, 0);
}

static void apply_8_bf16(void *y, const void *x, const float *factors, int relu, size_t n) {
    apply(y, x, factors, relu, n, 8, 1);
}

static void apply_16(void *y, const void *x, const float *factors, int relu, size_t n) {
    apply(y, x, factors, relu, n, 16, 0);
}

static void apply_16_bf16(void *y, const void *x, const float *factors, int relu, size_t n) {
    apply(y, x, factors, relu, n, 16, 1);
}

static void gradient_sums_8(double *sums, const void *x, const void *dy, const float *factors, int relu,
                            size_t n) {
    add_gradient_sums(sums, x, dy, factors, relu, n, 8, 0);
}

static void gradient_sums_8_bf16(double *sums, const void *x, const void *dy, const float *factors, int relu,
                                 size_t n) {
    add_gradient_sums(sums, x, dy, factors, relu, n, 8, 1);
}

static void gradient_sums_16(double *sums, const void *x, const void *dy, const float *factors, int relu,
                             size_t n) {
    add_gradient_sums(sums, x, dy, factors, relu, n, 16, 0);
}

static void gradient_sums_16_bf16(double *sums, const void *x, const void *dy, const float *factors, int relu,
                                  size_t n) {
    add_gradient_sums(sums, x, dy, factors, relu, n, 16, 1);
}

static void gradient_8(void *dx, const void *x, const void *dy, const float *factors, int relu, size_t n) {
    set_gradient(dx, x, dy, factors, relu, n, 8, 0);
}

static void gradient_8_bf16(void *dx, const void *x, const void *dy, const float *factors, int relu,
                            size_t n) {
    set_gradient(dx, x, dy, factors, relu, n, 8, 1);
}

static void gradient_16(void *dx, const void *x, const void *dy, const float *factors, int relu, size_t n) {
    set_gradient(dx, x, dy, factors, relu, n, 16, 0);
}

static void gradient_16_bf16(void *dx, const void *x, const void *dy, const float *factors, int relu,
                             size_t n) {
    set_gradient(dx, x, dy, factors, relu, n, 16, 1);
}

const fn_norm_kernels fn_norm_c[2][2] = {
    {{sums_8, apply_8, gradient_sums_8, gradient_8},
     {sums_8_bf16, apply_8_bf16, gradient_sums_8_bf16, gradient_8_bf16}},
    {{sums_16, apply_16, gradient_sums_16, gradient_16},
     {sums_16_bf16, apply_16_bf16, gradient_sums_16_bf16, gradient_16_bf16}},
};

const fn_norm_kernels *fn_norm_choose(unsigned cpu_flags, int lanes, int is_bf16) {
#if defined(__x86_64__)
    if (lanes == 16 && cpu_flags & FN_CPU_AVX512)
        return &fn_norm_avx512[is_bf16];
    if (lanes == 8 && !is_bf16 && cpu_flags & FN_CPU_AVX2)
        return &fn_norm_avx2;
#endif
    (void)cpu_flags;
    return &fn_norm_c[lanes == 16][is_bf16];
}
