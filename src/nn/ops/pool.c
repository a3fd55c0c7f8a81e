// SPDX-License-Identifier: Apache-2.0
//
// MaxPool, AveragePool, GlobalAveragePool (ONNX). Padding never wins a maximum and is not counted in an
// average unless count_include_pad says so. Of equal maxima the first one, row by row, gets the gradient, as
// in oneDNN.
#include "nn/op.h"
#include "nn/ops/ops.h"

static int window_of(fn_window *window, const fn_node *node, const fn_shape *x) {
    const fn_attr *kernel = fn_node_attr(node, "kernel_shape");
    int64_t none[2] = {0, 0};
    int ok = kernel && kernel->kind == FN_ATTR_INTS && kernel->n == 2;
    return fn_window_of(window, node, ok ? kernel->ints : none, x->dim[2], x->dim[3]);
}

static int infer(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    if (x->rank != 4)
        return fn_infer_fail(a, "the input must have four dimensions");
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

static int infer_global(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    if (x->rank != 4)
        return fn_infer_fail(a, "the input must have four dimensions");
    a->out[0].shape = (fn_shape){4, {x->dim[0], x->dim[1], 1, 1}};
    return FN_OK;
}

/// The part of a window that lies on the input.
static void clipped(int64_t out, int axis, const fn_window *w, int64_t size, int64_t *first, int64_t *end) {
    *first = out * w->stride[axis] - w->pad[axis];
    *end = *first + w->kernel[axis];
    if (*first < 0)
        *first = 0;
    if (*end > size)
        *end = size;
}

static void pool(const fn_run_args *a, int is_max) {
    const fn_shape *xs = &a->in_shape[0], *ys = &a->out_shape[0];
    fn_window w;
    window_of(&w, a->node, xs);
    int count_pad = fn_node_int(a->node, "count_include_pad", 0) != 0;
    int64_t height = xs->dim[2], width = xs->dim[3];
    fn_real *y = a->out[0];
    for (int64_t plane = 0; plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->in[0] + plane * height * width;
        for (int64_t oy = 0; oy < ys->dim[2]; oy++)
            for (int64_t ox = 0; ox < ys->dim[3]; ox++) {
                int64_t y0, y1, x0, x1;
                clipped(oy, 0, &w, height, &y0, &y1);
                clipped(ox, 1, &w, width, &x0, &x1);
                fn_real best = x[y0 * width + x0], sum = 0;
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++) {
                        fn_real v = x[iy * width + ix];
                        best = v > best ? v : best;
                        sum += v;
                    }
                int64_t n = count_pad ? w.kernel[0] * w.kernel[1] : (y1 - y0) * (x1 - x0);
                *y++ = is_max ? best : sum / (fn_real)n;
            }
    }
}

/// dx (N, C, H, W) += the window's share of dy (N, C, OH, OW).
static void pool_back(const fn_grad_args *a, int is_max) {
    const fn_shape *xs = &a->run.in_shape[0], *ys = &a->run.out_shape[0];
    fn_window w;
    window_of(&w, a->run.node, xs);
    int count_pad = fn_node_int(a->run.node, "count_include_pad", 0) != 0;
    int64_t height = xs->dim[2], width = xs->dim[3];
    const fn_real *dy = a->dout[0];
    for (int64_t plane = 0; a->din[0] && plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->run.in[0] + plane * height * width;
        fn_real *dx = (fn_real *)a->din[0] + plane * height * width;
        for (int64_t oy = 0; oy < ys->dim[2]; oy++)
            for (int64_t ox = 0; ox < ys->dim[3]; ox++, dy++) {
                int64_t y0, y1, x0, x1;
                clipped(oy, 0, &w, height, &y0, &y1);
                clipped(ox, 1, &w, width, &x0, &x1);
                int64_t best = y0 * width + x0;
                int64_t n = count_pad ? w.kernel[0] * w.kernel[1] : (y1 - y0) * (x1 - x0);
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++) {
                        int64_t at = iy * width + ix;
                        best = x[at] > x[best] ? at : best;
                        if (!is_max)
                            dx[at] += *dy / (fn_real)n;
                    }
                if (is_max)
                    dx[best] += *dy;
            }
    }
}

static void forward_max(const fn_run_args *a) {
    pool(a, 1);
}

static void backward_max(const fn_grad_args *a) {
    pool_back(a, 1);
}

static void forward_average(const fn_run_args *a) {
    pool(a, 0);
}

static void backward_average(const fn_grad_args *a) {
    pool_back(a, 0);
}

static void forward_global(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0];
    int64_t area = xs->dim[2] * xs->dim[3];
    fn_real *y = a->out[0];
    for (int64_t plane = 0; plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->in[0] + plane * area;
        fn_real sum = 0;
        for (int64_t i = 0; i < area; i++)
            sum += x[i];
        y[plane] = sum / (fn_real)area;
    }
}

static void backward_global(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0];
    int64_t area = xs->dim[2] * xs->dim[3];
    const fn_real *dy = a->dout[0];
    fn_real *dx = a->din[0];
    for (int64_t i = 0; dx && i < fn_shape_count(xs); i++)
        dx[i] += dy[i / area] / (fn_real)area;
}

const fn_op_def FN_OP(max_pool) = {.name = "MaxPool",
                                   .min_inputs = 1,
                                   .max_inputs = 1,
                                   .infer = infer,
                                   .forward = forward_max,
                                   .backward = backward_max};
const fn_op_def FN_OP(average_pool) = {.name = "AveragePool",
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .infer = infer,
                                       .forward = forward_average,
                                       .backward = backward_average};
const fn_op_def FN_OP(global_average_pool) = {.name = "GlobalAveragePool",
                                              .min_inputs = 1,
                                              .max_inputs = 1,
                                              .infer = infer_global,
                                              .forward = forward_global,
                                              .backward = backward_global};
