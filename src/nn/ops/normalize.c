// SPDX-License-Identifier: Apache-2.0
//
// BatchNormalization with given statistics (Ioffe and Szegedy 2015, algorithm 2) and Softmax over one axis.
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>

static int infer_batch_norm(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    if (x->rank < 2)
        return fn_infer_fail(a, "the input has no channels");
    for (int i = 1; i < 5; i++)
        if (a->in[i].shape.rank != 1 || a->in[i].shape.dim[0] != x->dim[1])
            return fn_infer_fail(a, "input %d does not have %lld numbers", i, (long long)x->dim[1]);
    return fn_infer_same(a);
}

static void forward_batch_norm(const fn_run_args *a) {
    const fn_shape *s = &a->in_shape[0];
    const fn_real *x = a->in[0], *scale = a->in[1], *bias = a->in[2], *mean = a->in[3], *variance = a->in[4];
    fn_real epsilon = fn_node_float(a->node, "epsilon", 1e-5F), *y = a->out[0];
    int64_t area = 1;
    for (int i = 2; i < s->rank; i++)
        area *= s->dim[i];
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t c = 0; c < s->dim[1]; c++) {
            fn_real k = scale[c] / (fn_real)sqrt((double)(variance[c] + epsilon));
            for (int64_t i = 0; i < area; i++, x++)
                *y++ = (*x - mean[c]) * k + bias[c];
        }
}

static int64_t axis_of(const fn_node *node, const fn_shape *x) {
    int64_t axis = fn_node_int(node, "axis", -1);
    return axis < 0 ? axis + x->rank : axis;
}

static int infer_softmax(const fn_infer_args *a) {
    int64_t axis = axis_of(a->node, &a->in[0].shape);
    if (axis < 0 || axis >= a->in[0].shape.rank)
        return fn_infer_fail(a, "no axis %lld", (long long)axis);
    return fn_infer_same(a);
}

static void forward_softmax(const fn_run_args *a) {
    const fn_shape *s = &a->in_shape[0];
    int64_t axis = axis_of(a->node, s), outer = 1, inner = 1, n = s->dim[axis];
    for (int i = 0; i < axis; i++)
        outer *= s->dim[i];
    for (int i = (int)axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const fn_real *x = (const fn_real *)a->in[0] + o * n * inner + i;
            fn_real *y = (fn_real *)a->out[0] + o * n * inner + i;
            fn_real most = x[0], sum = 0;
            for (int64_t k = 1; k < n; k++)
                most = x[k * inner] > most ? x[k * inner] : most;
            for (int64_t k = 0; k < n; k++)
                sum += y[k * inner] = (fn_real)exp((double)(x[k * inner] - most));
            for (int64_t k = 0; k < n; k++)
                y[k * inner] /= sum;
        }
}

const fn_op_def FN_OP(batch_norm) = {"BatchNormalization", 5,   5, 0, infer_batch_norm,
                                     forward_batch_norm,   NULL};
const fn_op_def FN_OP(softmax) = {"Softmax", 1, 1, 0, infer_softmax, forward_softmax, NULL};
