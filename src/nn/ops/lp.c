// SPDX-License-Identifier: Apache-2.0
//
// Euclidean norms: LpPool (ONNX, p = 2), the root of the sum of squares in a window, and LpNormalization
// (ONNX, p = 2), a vector divided by its length. The root has no slope at zero: there the gradient is 0.
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>

#define SHORTEST 1e-10 // a vector is divided by no less than this

static int window_of(fn_window *window, const fn_node *node, const fn_shape *x) {
    const fn_attr *kernel = fn_node_attr(node, "kernel_shape");
    int64_t none[2] = {0, 0};
    int ok = kernel && kernel->kind == FN_ATTR_INTS && kernel->n == 2;
    return fn_window_of(window, node, ok ? kernel->ints : none, x->dim[2], x->dim[3]);
}

static int infer_pool(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    if (x->rank != 4)
        return fn_infer_fail(a, "the input must have four dimensions");
    if (fn_node_int(a->node, "p", 2) != 2)
        return fn_infer_fail(a, "only p = 2 is supported");
    fn_window window;
    int rc = window_of(&window, a->node, x);
    if (rc < 0)
        return rc;
    for (int i = 0; i < 2; i++)
        if (window.pad[i] >= window.kernel[i] || window.pad[i + 2] >= window.kernel[i] ||
            window.dilation[i] != 1)
            return fn_infer_fail(a, "padding as large as the window, or a dilation");
    a->out[0].shape = (fn_shape){4, {x->dim[0], x->dim[1], window.out[0], window.out[1]}};
    return FN_OK;
}

/// The part of a window that lies on the input: padding adds nothing.
static void clipped(int64_t out, int axis, const fn_window *w, int64_t size, int64_t *first, int64_t *end) {
    *first = out * w->stride[axis] - w->pad[axis];
    *end = *first + w->kernel[axis];
    if (*first < 0)
        *first = 0;
    if (*end > size)
        *end = size;
}

static void forward_pool(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0], *ys = &a->out_shape[0];
    int64_t height = xs->dim[2], width = xs->dim[3];
    fn_real *y = a->out[0];
    fn_window w;
    window_of(&w, a->node, xs);
    for (int64_t plane = 0; plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->in[0] + plane * height * width;
        for (int64_t oy = 0; oy < ys->dim[2]; oy++)
            for (int64_t ox = 0; ox < ys->dim[3]; ox++) {
                int64_t y0, y1, x0, x1;
                double sum = 0;
                clipped(oy, 0, &w, height, &y0, &y1);
                clipped(ox, 1, &w, width, &x0, &x1);
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++)
                        sum += (double)x[iy * width + ix] * (double)x[iy * width + ix];
                *y++ = (fn_real)sqrt(sum);
            }
    }
}

/// dx += x dy / y for each window that x is in.
static void backward_pool(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0], *ys = &a->run.out_shape[0];
    int64_t height = xs->dim[2], width = xs->dim[3];
    const fn_real *y = a->run.out[0], *dy = a->dout[0];
    fn_window w;
    window_of(&w, a->run.node, xs);
    for (int64_t plane = 0; a->din[0] && plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->run.in[0] + plane * height * width;
        fn_real *dx = (fn_real *)a->din[0] + plane * height * width;
        for (int64_t oy = 0; oy < ys->dim[2]; oy++)
            for (int64_t ox = 0; ox < ys->dim[3]; ox++, y++, dy++) {
                int64_t y0, y1, x0, x1;
                if (!(*y > 0))
                    continue;
                clipped(oy, 0, &w, height, &y0, &y1);
                clipped(ox, 1, &w, width, &x0, &x1);
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++) // x / y is at most 1, dy / y may be infinite
                        dx[iy * width + ix] += x[iy * width + ix] / *y * *dy;
            }
    }
}

static int64_t axis_of(const fn_node *node, const fn_shape *x) {
    int64_t axis = fn_node_int(node, "axis", -1);
    return axis < 0 ? axis + x->rank : axis;
}

static int infer_normalization(const fn_infer_args *a) {
    int64_t axis = axis_of(a->node, &a->in[0].shape);
    if (axis < 0 || axis >= a->in[0].shape.rank)
        return fn_infer_fail(a, "no axis %lld", (long long)axis);
    if (fn_node_int(a->node, "p", 2) != 2)
        return fn_infer_fail(a, "only p = 2 is supported");
    return fn_infer_same(a);
}

/// The vectors of a tensor: n numbers, `inner` apart; `outer` groups of `inner` vectors.
typedef struct vectors {
    int64_t outer, n, inner;
} vectors;

static vectors vectors_of(const fn_node *node, const fn_shape *x) {
    int64_t axis = axis_of(node, x);
    vectors v = {1, x->dim[axis], 1};
    for (int i = 0; i < axis; i++)
        v.outer *= x->dim[i];
    for (int i = (int)axis + 1; i < x->rank; i++)
        v.inner *= x->dim[i];
    return v;
}

static double length_of(const vectors *v, const fn_real *x) {
    double sum = 0;
    for (int64_t k = 0; k < v->n; k++)
        sum += (double)x[k * v->inner] * (double)x[k * v->inner];
    return sqrt(sum);
}

static void forward_normalization(const fn_run_args *a) {
    vectors v = vectors_of(a->node, &a->in_shape[0]);
    for (int64_t o = 0; o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            const fn_real *x = (const fn_real *)a->in[0] + o * v.n * v.inner + i;
            fn_real *y = (fn_real *)a->out[0] + o * v.n * v.inner + i;
            double length = length_of(&v, x);
            length = length < SHORTEST ? SHORTEST : length; // keeps NaN
            for (int64_t k = 0; k < v.n; k++)
                y[k * v.inner] = (fn_real)((double)x[k * v.inner] / length);
        }
}

/// dx = (dy - y (y . dy)) / |x|: what remains of dy across the direction of x.
static void backward_normalization(const fn_grad_args *a) {
    vectors v = vectors_of(a->run.node, &a->run.in_shape[0]);
    for (int64_t o = 0; a->din[0] && o < v.outer; o++)
        for (int64_t i = 0; i < v.inner; i++) {
            int64_t at = o * v.n * v.inner + i;
            const fn_real *x = (const fn_real *)a->run.in[0] + at, *dy = (const fn_real *)a->dout[0] + at;
            fn_real *dx = (fn_real *)a->din[0] + at;
            double length = length_of(&v, x), along = 0;
            if (length < SHORTEST)
                continue;
            for (int64_t k = 0; k < v.n; k++)
                along += (double)x[k * v.inner] / length * (double)dy[k * v.inner];
            for (int64_t k = 0; k < v.n; k++)
                dx[k * v.inner] +=
                    (fn_real)(((double)dy[k * v.inner] - (double)x[k * v.inner] / length * along) / length);
        }
}

const fn_op_def FN_OP(lp_pool) = {.name = "LpPool",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .infer = infer_pool,
                                  .forward = forward_pool,
                                  .backward = backward_pool};
const fn_op_def FN_OP(lp_normalization) = {.name = "LpNormalization",
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .infer = infer_normalization,
                                           .forward = forward_normalization,
                                           .backward = backward_normalization};
