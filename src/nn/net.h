// SPDX-License-Identifier: Apache-2.0
//
// A network ready to run: the optimised graph, its weights packed once, and plans for the batch and
// input sizes asked for so far. Any number of threads may run one net; each run borrows a state (one
// block of memory) from a pool that grows to the number of threads at work.
#ifndef FN_NN_NET_H
#define FN_NN_NET_H

#include "nn/graph.h"

#include <facenet/model.h>

typedef struct fn_net fn_net;

typedef struct fn_net_options {
    fn_backend backend;
    fn_precision precision;
    int threads; // 0: 1
} fn_net_options;

/// Makes a net of a finished graph with one 4-d float input. The graph is taken over, also on failure.
int fn_net_open(fn_net **out, fn_graph *graph, const fn_net_options *options);
void fn_net_free(fn_net *net);

/// The graph as loaded, before any optimisation.
const fn_graph *fn_net_graph(const fn_net *net);

int fn_net_n_outputs(const fn_net *net);
/// Shape of an output for one item of this input size (the leading dimension is 1).
int fn_net_output_shape(fn_net *net, int height, int width, int index, fn_shape *out);
/// Index of the output with this name, or -1.
int fn_net_output_index(const fn_net *net, const char *name);

/// Runs `batch` items of height x width: input (batch, C, height, width); outputs[i] receives output i,
/// batch items one after the other, rows in ONNX order. Counts other than 1, 2, 4, 8, 16 are cut into
/// those. Not from inside an OpenMP parallel region (FN_EINVAL).
int fn_net_run(fn_net *net, const float *input, int batch, int height, int width, float *const *outputs);

/// Multiply-adds of one item at this size.
int fn_net_cost(fn_net *net, int height, int width, int64_t *multiply_adds);

#endif
