// SPDX-License-Identifier: Apache-2.0
//
// What one core can do at most, to compare networks with.
#ifndef FN_BENCH_PEAK_H
#define FN_BENCH_PEAK_H

/// Multiply-adds of float per second of one core, in billions: the best of five runs on registers. NAN where
/// there is no such code for the processor.
double bench_peak(void);

#endif
