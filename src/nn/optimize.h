// SPDX-License-Identifier: Apache-2.0
//
// What an inference plan may simplify once, before sizes and backends matter.
#ifndef FN_NN_OPTIMIZE_H
#define FN_NN_OPTIMIZE_H

#include "nn/graph.h"

/// In place: constants are worked out; batch normalisation is folded into the convolution before it;
/// zero padding into the convolution after it; additions and activations are fused into the node that
/// computes their input; what nobody needs is dropped. The results differ from the graph's by rounding only.
/// height and width stand in for sizes that the graph leaves open.
int fn_graph_optimize(fn_graph *graph, int64_t height, int64_t width);

/// Only the folding of batch normalisation: the graph stays one of plain ONNX operators.
int fn_graph_fold_batch_norm(fn_graph *graph);

#endif
