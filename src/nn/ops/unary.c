// SPDX-License-Identifier: Apache-2.0
//
// Operators that treat each number alone: Relu, LeakyRelu, Clip, Sigmoid, Exp, Abs, Neg (ONNX). Where a slope
// jumps the gradient is that of the flat side: none at the knee of Relu and at the bounds of Clip.
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

/// The same backwards: x is the input, y the output, and the expression the derivative.
#define FOR_EACH_BACK(a, derivative)                                                                         \
    do {                                                                                                     \
        const fn_real *in = (a)->run.in[0], *out = (a)->run.out[0], *dy = (a)->dout[0];                      \
        fn_real *dx = (a)->din[0];                                                                           \
        int64_t n = dx ? fn_shape_count(&(a)->run.out_shape[0]) : 0;                                         \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            fn_real x = in[i], y = out[i];                                                                   \
            (void)x, (void)y;                                                                                \
            dx[i] += dy[i] * (derivative);                                                                   \
        }                                                                                                    \
    } while (0)

static void forward_relu(const fn_run_args *a) {
    FOR_EACH(a, x > 0 ? x : 0);
}

static void backward_relu(const fn_grad_args *a) {
    FOR_EACH_BACK(a, x > 0);
}

static void forward_leaky(const fn_run_args *a) {
    fn_real alpha = fn_node_float(a->node, "alpha", 0.01F);
    FOR_EACH(a, x > 0 ? x : alpha * x);
}

static void backward_leaky(const fn_grad_args *a) {
    fn_real alpha = fn_node_float(a->run.node, "alpha", 0.01F);
    FOR_EACH_BACK(a, x > 0 ? 1 : alpha);
}

/// Bounds come as attributes (opset 6) or as inputs (opset 11 on).
static int infer_clip(const fn_infer_args *a) {
    for (int i = 1; i < a->n_in; i++)
        if (a->in[i].shape.rank >= 0 && (fn_shape_count(&a->in[i].shape) != 1 || a->in[i].dtype != FN_F32))
            return fn_infer_fail(a, "a bound must be one number");
    return fn_infer_same(a);
}

static void bounds_of(const fn_run_args *a, fn_real *low, fn_real *high) {
    *low = fn_node_float(a->node, "min", -INFINITY);
    *high = fn_node_float(a->node, "max", INFINITY);
    if (a->n_in > 1 && a->in[1])
        *low = *(const fn_real *)a->in[1];
    if (a->n_in > 2 && a->in[2])
        *high = *(const fn_real *)a->in[2];
}

static void forward_clip(const fn_run_args *a) {
    fn_real low, high;
    bounds_of(a, &low, &high);
    FOR_EACH(a, x < low ? low : x > high ? high : x);
}

/// To the number only; bounds do not learn.
static void backward_clip(const fn_grad_args *a) {
    fn_real low, high;
    bounds_of(&a->run, &low, &high);
    FOR_EACH_BACK(a, x > low && x < high);
}

static void forward_sigmoid(const fn_run_args *a) {
    FOR_EACH(a, (fn_real)(1 / (1 + exp(-(double)x))));
}

static void backward_sigmoid(const fn_grad_args *a) {
    FOR_EACH_BACK(a, y * (1 - y));
}

static void forward_exp(const fn_run_args *a) {
    FOR_EACH(a, (fn_real)exp((double)x));
}

static void backward_exp(const fn_grad_args *a) {
    FOR_EACH_BACK(a, y);
}

static void forward_abs(const fn_run_args *a) {
    FOR_EACH(a, x < 0 ? -x : x);
}

static void backward_abs(const fn_grad_args *a) {
    FOR_EACH_BACK(a, (fn_real)(x > 0) - (fn_real)(x < 0));
}

static void forward_neg(const fn_run_args *a) {
    FOR_EACH(a, -x);
}

static void backward_neg(const fn_grad_args *a) {
    FOR_EACH_BACK(a, -1);
}

const fn_op_def FN_OP(relu) = {.name = "Relu",
                               .min_inputs = 1,
                               .max_inputs = 1,
                               .infer = fn_infer_same,
                               .forward = forward_relu,
                               .backward = backward_relu};
const fn_op_def FN_OP(leaky_relu) = {.name = "LeakyRelu",
                                     .min_inputs = 1,
                                     .max_inputs = 1,
                                     .infer = fn_infer_same,
                                     .forward = forward_leaky,
                                     .backward = backward_leaky};
const fn_op_def FN_OP(clip) = {.name = "Clip",
                               .min_inputs = 1,
                               .max_inputs = 3,
                               .infer = infer_clip,
                               .forward = forward_clip,
                               .backward = backward_clip};
const fn_op_def FN_OP(sigmoid) = {.name = "Sigmoid",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .infer = fn_infer_same,
                                  .forward = forward_sigmoid,
                                  .backward = backward_sigmoid};
const fn_op_def FN_OP(exp) = {.name = "Exp",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .infer = fn_infer_same,
                              .forward = forward_exp,
                              .backward = backward_exp};
const fn_op_def FN_OP(abs) = {.name = "Abs",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .infer = fn_infer_same,
                              .forward = forward_abs,
                              .backward = backward_abs};
const fn_op_def FN_OP(neg) = {.name = "Neg",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .infer = fn_infer_same,
                              .forward = forward_neg,
                              .backward = backward_neg};
