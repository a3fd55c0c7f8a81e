// SPDX-License-Identifier: Apache-2.0
//
// ReduceMax (ONNX): the largest number along some axes. After a Reshape that sets the pieces apart it is
// maxout (Goodfellow et al. 2013). Of equal numbers the first gets the gradient.
#include "nn/op.h"
#include "nn/ops/ops.h"

/// Bits of the axes that go; all of them where the node names none. -1: an axis that is not there.
static int axes_of(const fn_node *node, int rank) {
    const fn_attr *attr = fn_node_attr(node, "axes");
    int bits = 0;
    if (!attr || attr->kind != FN_ATTR_INTS || !attr->n)
        return (1 << rank) - 1;
    for (int i = 0; i < attr->n; i++) {
        int64_t axis = attr->ints[i] < 0 ? attr->ints[i] + rank : attr->ints[i];
        if (axis < 0 || axis >= rank)
            return -1;
        bits |= 1 << axis;
    }
    return bits;
}

static int infer(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    fn_shape *y = &a->out[0].shape;
    int bits = axes_of(a->node, x->rank), keep = fn_node_int(a->node, "keepdims", 1) != 0;
    if (bits < 0)
        return fn_infer_fail(a, "an axis that the input does not have");
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (keep || !(bits >> i & 1))
            y->dim[y->rank++] = bits >> i & 1 ? 1 : x->dim[i];
    return FN_OK;
}

/// Some axes of the input: sizes and steps.
typedef struct axes {
    int n;
    int64_t dim[FN_MAX_RANK], step[FN_MAX_RANK], count;
} axes;

static void split(axes *kept, axes *gone, const fn_node *node, const fn_shape *x) {
    int bits = axes_of(node, x->rank);
    int64_t step = 1, steps[FN_MAX_RANK];
    for (int i = x->rank - 1; i >= 0; i--, step *= x->dim[i + 1])
        steps[i] = step;
    kept->n = gone->n = 0;
    kept->count = gone->count = 1;
    for (int i = 0; i < x->rank; i++) {
        axes *into = bits >> i & 1 ? gone : kept;
        into->dim[into->n] = x->dim[i];
        into->step[into->n++] = steps[i];
        into->count *= x->dim[i];
    }
}

/// Where number `index` of these axes lies in the input.
static int64_t place_of(const axes *a, int64_t index) {
    int64_t place = 0;
    for (int i = a->n - 1; i >= 0; i--) {
        place += index % a->dim[i] * a->step[i];
        index /= a->dim[i];
    }
    return place;
}

/// The place of the first largest number for output `index`; a NaN is the largest.
static int64_t largest(const axes *kept, const axes *gone, const fn_real *x, int64_t index) {
    int64_t base = place_of(kept, index), best = base;
    for (int64_t k = 1; k < gone->count && x[best] == x[best]; k++) {
        int64_t at = base + place_of(gone, k);
        best = x[at] <= x[best] ? best : at;
    }
    return best;
}

static void forward(const fn_run_args *a) {
    axes kept, gone;
    const fn_real *x = a->in[0];
    fn_real *y = a->out[0];
    split(&kept, &gone, a->node, &a->in_shape[0]);
    for (int64_t i = 0; i < kept.count; i++)
        y[i] = x[largest(&kept, &gone, x, i)];
}

static void backward(const fn_grad_args *a) {
    axes kept, gone;
    const fn_real *x = a->run.in[0], *dy = a->dout[0];
    fn_real *dx = a->din[0];
    split(&kept, &gone, a->run.node, &a->run.in_shape[0]);
    for (int64_t i = 0; dx && i < kept.count; i++)
        dx[largest(&kept, &gone, x, i)] += dy[i];
}

const fn_op_def FN_OP(reduce_max) = {.name = "ReduceMax",
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .infer = infer,
                                     .forward = forward,
                                     .backward = backward};
