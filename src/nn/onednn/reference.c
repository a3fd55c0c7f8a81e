// SPDX-License-Identifier: Apache-2.0
//
// Operators without a primitive: the reference code on plain layouts.
#include "nn/onednn/onednn.h"

/// The tensors of a step whose operands begin with the node's inputs and its output.
fn_run_args fn_dnnl_run_args(const fn_dnnl_step *step, void *const *at, fn_shape *in_shape, const void **in) {
    const fn_node *node = step->node;
    for (int k = 0; k < node->n_inputs; k++) {
        in[k] = at[k];
        if (node->inputs[k] >= 0)
            in_shape[k] = step->inferred->values[node->inputs[k]].shape;
        else
            in_shape[k].rank = -1;
    }
    return (fn_run_args){node,
                         node->n_inputs,
                         1,
                         in_shape,
                         in,
                         &step->inferred->values[node->outputs[0]].shape,
                         at + node->n_inputs};
}

void fn_dnnl_reference(const fn_dnnl_step *step, void *const *at, const void *context) {
    const void *in[FN_MAX_INPUTS];
    fn_shape in_shape[FN_MAX_INPUTS];
    (void)context;
    fn_run_args args = fn_dnnl_run_args(step, at, in_shape, in);
    step->node->op->forward(&args);
}
