// SPDX-License-Identifier: Apache-2.0
//
// Shape inference: runs the shape rule of each node in order and checks what it says.
#include "nn/infer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

/// No tensor of a sane face network is larger than this many numbers; a hostile file's would be.
#define MAX_COUNT ((int64_t)1 << 31)

static void typed_of(const fn_inferred *inferred, const int *values, int n, fn_typed *dst) {
    for (int i = 0; i < n; i++) {
        if (values[i] >= 0)
            dst[i] = inferred->values[values[i]];
        else
            dst[i] = (fn_typed){.shape.rank = -1};
    }
}

static int infer_node(fn_inferred *inferred, const fn_node *node) {
    fn_typed in[FN_MAX_INPUTS], out[FN_MAX_OUTPUTS] = {0};
    fn_infer_args args = {node, node->n_inputs, node->n_outputs, in, out};
    typed_of(inferred, node->inputs, node->n_inputs, in);
    int rc = node->op->infer(&args);
    for (int i = 0; i < node->n_outputs; i++) {
        inferred->values[node->outputs[i]] = out[i];
        inferred->owned[node->outputs[i]] = out[i].data != NULL;
    }
    for (int i = 0; i < node->n_outputs && rc == FN_OK; i++) {
        int64_t count = fn_shape_count(&out[i].shape);
        if (count <= 0 || count > MAX_COUNT)
            rc = fn_infer_fail(&args, "a result of %lld numbers", (long long)count);
        else if (out[i].dtype == FN_I64 && !out[i].data)
            rc = fn_infer_fail(&args, "integers that are not known before running");
    }
    for (int i = 0; i < node->n_inputs && rc == FN_OK; i++)
        if (node->op->forward && i == 0 && in[0].dtype == FN_I64 && out[0].dtype == FN_F32)
            rc = fn_infer_fail(&args, "integers where floating point numbers are expected");
    return rc;
}

int fn_inferred_open(fn_inferred *out, const fn_graph *graph, const fn_shape *inputs) {
    int rc = FN_OK;
    out->n = graph->n_values;
    out->values = fn_calloc((size_t)graph->n_values, sizeof *out->values);
    out->owned = fn_calloc((size_t)graph->n_values, 1);
    if (!out->values || !out->owned) {
        rc = fn_fail_memory();
        goto out;
    }
    for (int i = 0; i < graph->n_values; i++) {
        const fn_value *v = &graph->values[i];
        out->values[i] = (fn_typed){v->dtype, v->shape, v->data};
    }
    for (int i = 0; i < graph->n_inputs; i++) {
        int64_t count = fn_shape_count(&inputs[i]);
        if (count <= 0 || count > MAX_COUNT) {
            rc =
                fn_fail(FN_EMODEL, "input '%s' has an impossible size", graph->values[graph->inputs[i]].name);
            goto out;
        }
        out->values[graph->inputs[i]].shape = inputs[i];
    }
    for (int i = 0; i < graph->n_nodes && rc == FN_OK; i++)
        rc = infer_node(out, &graph->nodes[i]);
out:
    if (rc < 0)
        fn_inferred_free(out);
    return rc;
}

void fn_inferred_free(fn_inferred *inferred) {
    for (int i = 0; inferred->values && inferred->owned && i < inferred->n; i++)
        if (inferred->owned[i])
            fn_free((void *)inferred->values[i].data);
    fn_free(inferred->values);
    fn_free(inferred->owned);
    memset(inferred, 0, sizeof *inferred);
}

int fn_graph_infer(const fn_graph *graph, const fn_shape *inputs, fn_shape **shapes_out) {
    fn_inferred inferred;
    *shapes_out = NULL;
    int rc = fn_inferred_open(&inferred, graph, inputs);
    if (rc < 0)
        return rc;
    fn_shape *shapes = fn_calloc((size_t)inferred.n, sizeof *shapes);
    for (int i = 0; shapes && i < inferred.n; i++)
        shapes[i] = inferred.values[i].shape;
    fn_inferred_free(&inferred);
    *shapes_out = shapes;
    return shapes ? FN_OK : fn_fail_memory();
}

fn_shape fn_input_shape(const fn_graph *graph, int input, int64_t batch, int64_t height, int64_t width) {
    fn_shape shape = graph->values[graph->inputs[input]].shape;
    if (shape.rank > 0)
        shape.dim[0] = batch;
    for (int i = 1; i < shape.rank; i++)
        if (shape.dim[i] < 0)
            shape.dim[i] = i == shape.rank - 2 ? height : width;
    return shape;
}

int64_t fn_inferred_node_cost(const fn_graph *graph, const fn_inferred *inferred, int index) {
    const fn_node *node = &graph->nodes[index];
    fn_typed in[FN_MAX_INPUTS], out[FN_MAX_OUTPUTS];
    fn_infer_args args = {node, node->n_inputs, node->n_outputs, in, out};
    if (!node->op->cost)
        return 0;
    typed_of(inferred, node->inputs, node->n_inputs, in);
    typed_of(inferred, node->outputs, node->n_outputs, out);
    return node->op->cost(&args);
}

int64_t fn_inferred_cost(const fn_graph *graph, const fn_inferred *inferred) {
    int64_t total = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        total += fn_inferred_node_cost(graph, inferred, i);
    return total;
}
