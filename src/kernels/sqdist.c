// SPDX-License-Identifier: Apache-2.0
//
// Squared distances in plain C. Sixteen partial sums per row let any compiler use its vectors without
// permission to reorder; they are added pairwise at the end.
#include "kernels/sqdist.h"

#include "base/cpu.h"

void fn_sqdist_c(float *dst, const float *query, const float *rows, size_t n_rows, size_t stride) {
    for (size_t r = 0; r < n_rows; r++) {
        const float *row = rows + r * stride;
        float lane[FN_SQDIST_LANES] = {0};
        for (size_t i = 0; i < stride; i += FN_SQDIST_LANES) {
            for (size_t k = 0; k < FN_SQDIST_LANES; k++) {
                float d = query[i + k] - row[i + k];
                lane[k] += d * d;
            }
        }
        for (size_t half = FN_SQDIST_LANES / 2; half; half /= 2)
            for (size_t k = 0; k < half; k++)
                lane[k] += lane[k + half];
        dst[r] = lane[0];
    }
}

fn_sqdist_fn *fn_sqdist_choose(unsigned cpu_flags) {
#if defined(__x86_64__)
    if (cpu_flags & FN_CPU_AVX2)
        return fn_sqdist_avx2;
#endif
    (void)cpu_flags;
    return fn_sqdist_c;
}
