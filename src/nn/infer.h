// SPDX-License-Identifier: Apache-2.0
//
// Shape inference: what every value of a graph looks like for given input sizes.
#ifndef FN_NN_INFER_H
#define FN_NN_INFER_H

#include "nn/op.h"

/// One entry per value of the graph. Constants keep their data; integers worked out from shapes have
/// data of their own.
typedef struct fn_inferred {
    fn_typed *values;
    int n;
    unsigned char *owned; // 1: values[i].data is ours to free
} fn_inferred;

/// inputs: one shape without -1 per graph input. FN_EMODEL with the node's name when something does not fit.
int fn_inferred_open(fn_inferred *out, const fn_graph *graph, const fn_shape *inputs);
void fn_inferred_free(fn_inferred *inferred);

/// Only the shapes, one per value, in new memory (fn_free).
int fn_graph_infer(const fn_graph *graph, const fn_shape *inputs, fn_shape **shapes_out);

/// A declared input shape with "any" replaced: batch 1, and the given height and width.
fn_shape fn_input_shape(const fn_graph *graph, int input, int64_t batch, int64_t height, int64_t width);

/// Multiply-adds of the whole graph.
int64_t fn_inferred_cost(const fn_graph *graph, const fn_inferred *inferred);
int64_t fn_inferred_node_cost(const fn_graph *graph, const fn_inferred *inferred, int node);

#endif
