// SPDX-License-Identifier: Apache-2.0
//
// Operators that treat each number alone: Relu, LeakyRelu, Clip, Sigmoid, Exp, Abs, Neg (ONNX).
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>

#define FOR_EACH(a, expression)                                                                              \
    do {                                                                                                     \
        const fn_real *src = (a)->in[0];                                                                     \
        fn_real *dst = (a)->out[0];                                                                          \
        int64_t n = fn_shape_count(&(a)->out_shape[0]);                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            fn_real x = src[i];                                                                              \
            dst[i] = (expression);                                                                           \
        }                                                                                                    \
    } while (0)

static void forward_relu(const fn_run_args *a) {
    FOR_EACH(a, x > 0 ? x : 0);
}

static void forward_leaky(const fn_run_args *a) {
    fn_real alpha = fn_node_float(a->node, "alpha", 0.01F);
    FOR_EACH(a, x > 0 ? x : alpha * x);
}

/// Bounds come as attributes (opset 6) or as inputs (opset 11 on).
static int infer_clip(const fn_infer_args *a) {
    for (int i = 1; i < a->n_in; i++)
        if (a->in[i].shape.rank >= 0 && (fn_shape_count(&a->in[i].shape) != 1 || a->in[i].dtype != FN_F32))
            return fn_infer_fail(a, "a bound must be one number");
    return fn_infer_same(a);
}

static void forward_clip(const fn_run_args *a) {
    fn_real low = fn_node_float(a->node, "min", -INFINITY), high = fn_node_float(a->node, "max", INFINITY);
    if (a->n_in > 1 && a->in[1])
        low = *(const fn_real *)a->in[1];
    if (a->n_in > 2 && a->in[2])
        high = *(const fn_real *)a->in[2];
    FOR_EACH(a, x < low ? low : x > high ? high : x);
}

static void forward_sigmoid(const fn_run_args *a) {
    FOR_EACH(a, (fn_real)(1 / (1 + exp(-(double)x))));
}

static void forward_exp(const fn_run_args *a) {
    FOR_EACH(a, (fn_real)exp((double)x));
}

static void forward_abs(const fn_run_args *a) {
    FOR_EACH(a, x < 0 ? -x : x);
}

static void forward_neg(const fn_run_args *a) {
    FOR_EACH(a, -x);
}

const fn_op_def FN_OP(relu) = {"Relu", 1, 1, 0, fn_infer_same, forward_relu, NULL};
const fn_op_def FN_OP(leaky_relu) = {"LeakyRelu", 1, 1, 0, fn_infer_same, forward_leaky, NULL};
const fn_op_def FN_OP(clip) = {"Clip", 1, 3, 0, infer_clip, forward_clip, NULL};
const fn_op_def FN_OP(sigmoid) = {"Sigmoid", 1, 1, 0, fn_infer_same, forward_sigmoid, NULL};
const fn_op_def FN_OP(exp) = {"Exp", 1, 1, 0, fn_infer_same, forward_exp, NULL};
const fn_op_def FN_OP(abs) = {"Abs", 1, 1, 0, fn_infer_same, forward_abs, NULL};
const fn_op_def FN_OP(neg) = {"Neg", 1, 1, 0, fn_infer_same, forward_neg, NULL};
