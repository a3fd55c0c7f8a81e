// SPDX-License-Identifier: Apache-2.0
//
// The exponential moving average of weights: often better than the weights themselves (Polyak and Juditsky
// 1992). The caller owns the block of averages and starts it as a copy of the weights.
#ifndef FN_TRAIN_EMA_H
#define FN_TRAIN_EMA_H

#include <stddef.h>
#include <stdint.h>

/// The decay used at step t = 0, 1, ...: min(decay, (1 + t) / (10 + t)), so that the first weights are soon
/// forgotten.
double fn_ema_decay(double decay, uint64_t step);

/// averaged = d averaged + (1 - d) weights with d = fn_ema_decay(decay, step), on n numbers. threads 0: as
/// many as OpenMP has; the result does not depend on them.
void fn_ema_update(float *averaged, const float *weights, size_t n, double decay, uint64_t step, int threads);

#endif
