// SPDX-License-Identifier: Apache-2.0
//
// Operators whose output holds the input's numbers in the same order under another shape: Identity,
// Reshape, Flatten, Squeeze, Unsqueeze (ONNX).
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <string.h>

/// Known integers stay known under their new shape.
static int pass_ints(const fn_infer_args *a) {
    a->out[0].dtype = a->in[0].dtype;
    if (a->in[0].dtype != FN_I64 || !a->in[0].data)
        return FN_OK;
    int64_t *copy = fn_infer_new_ints(a, 0);
    if (!copy)
        return FN_ENOMEM;
    memcpy(copy, a->in[0].data, (size_t)fn_shape_count(&a->in[0].shape) * sizeof *copy);
    return FN_OK;
}

static int infer_identity(const fn_infer_args *a) {
    a->out[0].shape = a->in[0].shape;
    return pass_ints(a);
}

static int infer_reshape(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    fn_shape *out = &a->out[0].shape;
    int64_t dims[FN_MAX_RANK], known = 1, count = fn_shape_count(x);
    int n, rest = -1;
    int rc = fn_infer_ints(a, "shape", a->n_in > 1 ? 1 : -1, dims, FN_MAX_RANK, &n);
    if (rc < 0)
        return rc;
    if (n < 0)
        return fn_infer_fail(a, "the new shape is not known");
    out->rank = n;
    for (int i = 0; i < n; i++) {
        if (dims[i] == 0 && i < x->rank && !fn_node_int(a->node, "allowzero", 0))
            dims[i] = x->dim[i];
        if (dims[i] == -1 && rest < 0)
            rest = i;
        else if (dims[i] < 0 || __builtin_mul_overflow(known, dims[i], &known))
            return fn_infer_fail(a, "the new shape is impossible");
        out->dim[i] = dims[i];
    }
    if (rest >= 0) {
        if (known == 0 || count % known)
            return fn_infer_fail(a, "%lld numbers do not fit the new shape", (long long)count);
        out->dim[rest] = count / known;
    } else if (known != count) {
        return fn_infer_fail(a, "%lld numbers do not fit a shape of %lld", (long long)count,
                             (long long)known);
    }
    return pass_ints(a);
}

static int infer_flatten(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    int64_t axis = fn_node_int(a->node, "axis", 1), outer = 1, inner = 1;
    axis = axis < 0 ? axis + x->rank : axis;
    if (axis < 0 || axis > x->rank)
        return fn_infer_fail(a, "no axis %lld", (long long)axis);
    for (int i = 0; i < x->rank; i++)
        *(i < axis ? &outer : &inner) *= x->dim[i];
    a->out[0].shape = (fn_shape){2, {outer, inner}};
    return pass_ints(a);
}

static int infer_squeeze(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    int64_t axes[FN_MAX_RANK];
    int n, drop = 0;
    int rc = fn_infer_ints(a, "axes", a->n_in > 1 ? 1 : -1, axes, FN_MAX_RANK, &n);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        if (axis < 0 || axis >= x->rank || x->dim[axis] != 1)
            return fn_infer_fail(a, "axis %lld cannot be removed", (long long)axes[i]);
        drop |= 1 << axis;
    }
    a->out[0].shape.rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (n < 0 ? x->dim[i] != 1 : !(drop >> i & 1))
            a->out[0].shape.dim[a->out[0].shape.rank++] = x->dim[i];
    return pass_ints(a);
}

static int infer_unsqueeze(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    int64_t axes[FN_MAX_RANK];
    int n, is_new = 0;
    int rc = fn_infer_ints(a, "axes", a->n_in > 1 ? 1 : -1, axes, FN_MAX_RANK, &n);
    if (rc < 0)
        return rc;
    if (n < 0 || x->rank + n > FN_MAX_RANK)
        return fn_infer_fail(a, "the axes are not known or too many");
    int rank = x->rank + n;
    for (int i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank || is_new >> axis & 1)
            return fn_infer_fail(a, "axis %lld cannot be added", (long long)axes[i]);
        is_new |= 1 << axis;
    }
    a->out[0].shape.rank = rank;
    for (int i = 0, k = 0; i < rank; i++)
        a->out[0].shape.dim[i] = is_new >> i & 1 ? 1 : x->dim[k++];
    return pass_ints(a);
}

static void forward(const fn_run_args *a) {
    if (a->out[0] != a->in[0])
        memcpy(a->out[0], a->in[0], (size_t)fn_shape_count(&a->out_shape[0]) * sizeof(fn_real));
}

const fn_op_def FN_OP(identity) = {.name = "Identity",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .is_view = 1,
                                   .infer = infer_identity,
                                   .forward = forward};
const fn_op_def FN_OP(reshape) = {.name = "Reshape",
                                  .min_inputs = 1,
                                  .max_inputs = 2,
                                  .is_view = 1,
                                  .infer = infer_reshape,
                                  .forward = forward};
const fn_op_def FN_OP(flatten) = {.name = "Flatten",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .is_view = 1,
                                  .infer = infer_flatten,
                                  .forward = forward};
const fn_op_def FN_OP(squeeze) = {.name = "Squeeze",
                                  .min_inputs = 1,
                                  .max_inputs = 2,
                                  .is_view = 1,
                                  .infer = infer_squeeze,
                                  .forward = forward};
const fn_op_def FN_OP(unsqueeze) = {.name = "Unsqueeze",
                                    .min_inputs = 1,
                                    .max_inputs = 2,
                                    .is_view = 1,
                                    .infer = infer_unsqueeze,
                                    .forward = forward};
