// SPDX-License-Identifier: Apache-2.0
//
// The moving average of weights.
#include "train/ema.h"

#include <omp.h>

double fn_ema_decay(double decay, uint64_t step) {
    double warm = (1 + (double)step) / (10 + (double)step);
    return warm < decay ? warm : decay;
}

void fn_ema_update(float *averaged, const float *weights, size_t n, double decay, uint64_t step,
                   int threads) {
    // The difference is what is rounded, so that equal weights stay equal.
    const float share = (float)(1 - fn_ema_decay(decay, step));
#pragma omp parallel for simd schedule(static) num_threads(threads > 0 ? threads : omp_get_max_threads())
    for (size_t i = 0; i < n; i++)
        averaged[i] += share * (weights[i] - averaged[i]);
}
