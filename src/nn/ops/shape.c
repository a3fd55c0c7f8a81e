// SPDX-License-Identifier: Apache-2.0
//
// Operators on shapes: Shape, Gather of integers, Cast to integers (ONNX). Exporters write them around
// Reshape; they are worked out when a plan is made and never run.
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <string.h>

static int infer_shape(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    a->out[0].dtype = FN_I64;
    a->out[0].shape = fn_shape_make(1, x->rank);
    int64_t *dims = fn_infer_new_ints(a, 0);
    if (!dims)
        return FN_ENOMEM;
    memcpy(dims, x->dim, (size_t)x->rank * sizeof *dims);
    return FN_OK;
}

static int infer_gather(const fn_infer_args *a) {
    const fn_typed *x = &a->in[0], *index = &a->in[1];
    if (x->dtype != FN_I64 || !x->data || x->shape.rank != 1 || index->dtype != FN_I64 || !index->data ||
        index->shape.rank > 1)
        return fn_infer_fail(a, "only integers known before running can be gathered");
    a->out[0].dtype = FN_I64;
    a->out[0].shape = index->shape;
    int64_t *picked = fn_infer_new_ints(a, 0);
    if (!picked)
        return FN_ENOMEM;
    for (int64_t i = 0; i < fn_shape_count(&index->shape); i++) {
        int64_t k = ((const int64_t *)index->data)[i];
        k = k < 0 ? k + x->shape.dim[0] : k;
        if (k < 0 || k >= x->shape.dim[0])
            return fn_infer_fail(a, "index %lld is out of range", (long long)k);
        picked[i] = ((const int64_t *)x->data)[k];
    }
    return FN_OK;
}

enum { ONNX_INT64 = 7, ONNX_INT32 = 6 };

static int infer_cast(const fn_infer_args *a) {
    int64_t to = fn_node_int(a->node, "to", 0);
    if (a->in[0].dtype != FN_I64 || !a->in[0].data || (to != ONNX_INT64 && to != ONNX_INT32))
        return fn_infer_fail(a, "only integers known before running can be cast");
    a->out[0].dtype = FN_I64;
    a->out[0].shape = a->in[0].shape;
    int64_t *copy = fn_infer_new_ints(a, 0);
    if (!copy)
        return FN_ENOMEM;
    memcpy(copy, a->in[0].data, (size_t)fn_shape_count(&a->in[0].shape) * sizeof *copy);
    return FN_OK;
}

const fn_op_def FN_OP(shape) = {.name = "Shape", .min_inputs = 1, .max_inputs = 1, .infer = infer_shape};
const fn_op_def FN_OP(gather) = {.name = "Gather", .min_inputs = 2, .max_inputs = 2, .infer = infer_gather};
const fn_op_def FN_OP(cast) = {.name = "Cast", .min_inputs = 1, .max_inputs = 1, .infer = infer_cast};
