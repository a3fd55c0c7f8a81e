// SPDX-License-Identifier: Apache-2.0
//
// One axis of a plot: which numbers it spans, where its round ticks are, where a number lies on it.
#ifndef FN_TRAIN_PLOT_SCALE_H
#define FN_TRAIN_PLOT_SCALE_H

enum { FN_MAX_TICKS = 16 };

typedef struct fn_scale {
    double low, high; // low < high, of the numbers themselves also where log
    int log;
    double ticks[FN_MAX_TICKS];
    int n_ticks;
} fn_scale;

/// Spans low .. high with about `wanted` ticks. exact 0: the ends may be moved outward to look well. An empty
/// range is widened; low must be > 0 where log.
void fn_scale_init(fn_scale *scale, double low, double high, int log, int exact, int wanted);

/// 0 at low, 1 at high.
double fn_scale_at(const fn_scale *scale, double value);

#endif
