// SPDX-License-Identifier: Apache-2.0
//
// Chains of vector multiply-adds on registers, the widest that this processor has.
#include "peak.h"

#include <math.h>
#include <time.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/// Twelve independent chains of vector multiply-adds hide the latency of each.
#define CHAINS 12
#if defined(__x86_64__)
#define FN_TARGET(isa) __attribute__((target(isa), noinline))
typedef float wide512 __attribute__((vector_size(64)));
typedef float wide256 __attribute__((vector_size(32)));
#define DEFINE_PEAK(name, type, isa)                                                                         \
    FN_TARGET(isa) static double name(long n) {                                                              \
        type sum[CHAINS], a, b;                                                                              \
        for (unsigned k = 0; k < sizeof a / sizeof(float); k++)                                              \
            a[k] = 1.0000001F, b[k] = 1e-9F;                                                                 \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            sum[c] = b;                                                                                      \
        double start = now_ms();                                                                             \
        for (long i = 0; i < n; i++) {                                                                       \
            _Pragma("GCC unroll 12") for (int c = 0; c < CHAINS; c++) sum[c] = sum[c] * a + b;               \
        }                                                                                                    \
        double ms = now_ms() - start;                                                                        \
        volatile float keep = 0;                                                                             \
        for (int c = 0; c < CHAINS; c++)                                                                     \
            keep = keep + sum[c][0];                                                                         \
        return (double)n * CHAINS * (double)(sizeof(type) / sizeof(float)) / ms / 1e6;                       \
    }
DEFINE_PEAK(peak512, wide512, "avx512f")
DEFINE_PEAK(peak256, wide256, "avx2,fma")

double bench_peak(void) {
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double one = __builtin_cpu_supports("avx512f") ? peak512(10000000) : peak256(10000000);
        best = one > best ? one : best;
    }
    return best;
}
#else
double bench_peak(void) {
    return NAN;
}
#endif
