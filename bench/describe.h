// SPDX-License-Identifier: Apache-2.0
//
// A network in training as lines that another runtime can build it from.
#ifndef FN_BENCH_DESCRIBE_H
#define FN_BENCH_DESCRIBE_H

#include "nn/training.h"

/// Writes the graph for a batch of n to `path`, one fact a line, words separated by a space:
///     input VALUE SHAPE
///     constant VALUE trained|statistic|fixed SHAPE
///     integers VALUE NUMBERS
///     node OPERATOR INPUTS OUTPUT SHAPE [ATTRIBUTE=NUMBERS]...
///     output VALUE
/// VALUE, INPUTS and OUTPUT are numbers of values (-1: left out), SHAPE is that of the value or result, lists
/// have commas, an empty one is "-". Nodes come in an order in which every input is there. The numbers of the
/// constants, float32, go to `path`.f32 in the order of their lines: trained ones first, as in the blocks.
/// FN_OK or an error.
int bench_describe(const char *path, fn_training *training, int n);

#endif
