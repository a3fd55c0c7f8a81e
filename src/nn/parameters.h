// SPDX-License-Identifier: Apache-2.0
//
// Which numbers of a graph learning changes, and where they lie: all trainable constants in one block, in the
// order in which the graph first uses them, gradients in its twin, running statistics in a block of their
// own. The one walk over the blocks is then an optimiser step, a checkpoint, a sum over processes.
#ifndef FN_NN_PARAMETERS_H
#define FN_NN_PARAMETERS_H

#include "nn/op.h"

typedef struct fn_parameter {
    const char *name; // the value's, owned by the graph
    int value;
    int node; // first node that reads it
    fn_shape shape;
    size_t offset, count; // numbers; offsets are multiples of 16
    int decays;           // 1: kernels and matrices; 0: biases, scales, shifts, slopes
    int frozen;           // 1: no gradient is computed
} fn_parameter;

typedef struct fn_parameters {
    fn_parameter *trained, *statistics; // statistics: mean and variance by turns
    int n_trained, n_statistics;
    size_t trained_size, statistics_size; // numbers of the blocks, gaps (always zero) included
    int *of_value;                        // per graph value: index in trained; -1
    int *statistic_of_value;              // per graph value: index in statistics; -1
} fn_parameters;

/// The graph must outlive it. A constant that is both trained and a statistic is trained. Errors: FN_ENOMEM.
int fn_parameters_open(fn_parameters *out, const fn_graph *graph);
void fn_parameters_free(fn_parameters *parameters);

/// Freezes every parameter whose name begins with `prefix`; their number, or FN_EINVAL when there is none.
/// A batch-norm whose scale and shift are both frozen keeps its running statistics and uses them.
int fn_parameters_freeze(fn_parameters *parameters, const char *prefix);

/// 1 for a batch-norm that stays as it is because its parameters are frozen.
int fn_parameters_norm_is_frozen(const fn_parameters *parameters, const fn_node *node);

/// 1 for a convolution whose result only a batch-norm reads: while that norm takes its statistics from the
/// batch, the mean takes the bias away again, so that its gradient is zero, and rounding all that a sum would
/// find.
int fn_parameters_bias_is_idle(const fn_parameters *parameters, const fn_graph *graph, const fn_node *node);

/// Numbers in both directions between the graph's constants and the blocks (gaps become zero).
void fn_parameters_load(const fn_parameters *parameters, const fn_graph *graph, float *weights,
                        float *statistics);
void fn_parameters_store(const fn_parameters *parameters, fn_graph *graph, const float *weights,
                         const float *statistics);

/// Trainable numbers, and with running statistics.
int64_t fn_parameters_count(const fn_parameters *parameters, int with_statistics);

#endif
