// SPDX-License-Identifier: Apache-2.0
//
// Conv: two-dimensional cross-correlation with groups (ONNX Conv). x (N, C, H, W), weights
// (M, C / group, kh, kw), optional bias (M); zero padding.
#include "nn/op.h"
#include "nn/ops/ops.h"

static int infer(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape, *w = &a->in[1].shape;
    if (x->rank != 4 || w->rank != 4)
        return fn_infer_fail(a, "input and kernel must have four dimensions");
    int64_t group = fn_node_int(a->node, "group", 1);
    if (group < 1 || x->dim[1] != w->dim[1] * group || w->dim[0] % group)
        return fn_infer_fail(a, "%lld channels do not fit a kernel of (%lld, %lld) in %lld groups",
                             (long long)x->dim[1], (long long)w->dim[0], (long long)w->dim[1],
                             (long long)group);
    if (a->n_in > 2 && a->in[2].shape.rank >= 0 &&
        (a->in[2].shape.rank != 1 || a->in[2].shape.dim[0] != w->dim[0]))
        return fn_infer_fail(a, "the bias does not have %lld numbers", (long long)w->dim[0]);
    fn_window window;
    int rc = fn_window_of(&window, a->node, w->dim + 2, x->dim[2], x->dim[3]);
    if (rc < 0)
        return rc;
    a->out[0].shape = (fn_shape){4, {x->dim[0], w->dim[0], window.out[0], window.out[1]}};
    return FN_OK;
}

static int64_t cost(const fn_infer_args *a) {
    return fn_shape_count(&a->out[0].shape) * a->in[1].shape.dim[1] * a->in[1].shape.dim[2] *
           a->in[1].shape.dim[3];
}

/// First and one past the last output position whose tap lies inside the input.
static void valid_range(int64_t tap, int64_t stride, int64_t size, int64_t n_out, int64_t *first,
                        int64_t *end) {
    *first = tap >= 0 ? 0 : (-tap + stride - 1) / stride;
    *end = size - tap <= 0 ? 0 : (size - tap + stride - 1) / stride;
    if (*end > n_out)
        *end = n_out;
}

/// One tap of a kernel on the planes of one image: output (oy, ox) sees input (oy s + top, ox s + left) for
/// oy in [y0, y1), ox in [x0, x1).
typedef struct tap {
    int64_t top, left, y0, y1, x0, x1;
} tap;

static tap tap_of(const fn_window *w, int64_t ky, int64_t kx, const fn_shape *xs, const fn_shape *ys) {
    tap t = {.top = ky * w->dilation[0] - w->pad[0], .left = kx * w->dilation[1] - w->pad[1]};
    valid_range(t.top, w->stride[0], xs->dim[2], ys->dim[2], &t.y0, &t.y1);
    valid_range(t.left, w->stride[1], xs->dim[3], ys->dim[3], &t.x0, &t.x1);
    return t;
}

static void forward(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0], *ws = &a->in_shape[1], *ys = &a->out_shape[0];
    const fn_real *x = a->in[0], *w = a->in[1];
    const fn_real *bias = a->n_in > 2 ? a->in[2] : NULL;
    fn_real *y = a->out[0];
    int64_t height = xs->dim[2], width = xs->dim[3], out_h = ys->dim[2], out_w = ys->dim[3];
    int64_t group = fn_node_int(a->node, "group", 1), group_in = ws->dim[1], group_out = ws->dim[0] / group;
    fn_window window;
    fn_window_of(&window, a->node, ws->dim + 2, height, width);
    for (int64_t n = 0; n < ys->dim[0]; n++) {
        for (int64_t m = 0; m < ys->dim[1]; m++) {
            fn_real *plane = y + (n * ys->dim[1] + m) * out_h * out_w;
            for (int64_t i = 0; i < out_h * out_w; i++)
                plane[i] = bias ? bias[m] : 0;
            for (int64_t c = 0; c < group_in; c++) {
                const fn_real *in = x + (n * xs->dim[1] + m / group_out * group_in + c) * height * width;
                for (int64_t ky = 0; ky < window.kernel[0]; ky++) {
                    for (int64_t kx = 0; kx < window.kernel[1]; kx++) {
                        fn_real k = w[((m * group_in + c) * window.kernel[0] + ky) * window.kernel[1] + kx];
                        tap t = tap_of(&window, ky, kx, xs, ys);
                        for (int64_t oy = t.y0; oy < t.y1; oy++) {
                            const fn_real *row = in + (oy * window.stride[0] + t.top) * width + t.left;
                            fn_real *out = plane + oy * out_w;
                            for (int64_t ox = t.x0; ox < t.x1; ox++)
                                out[ox] += k * row[ox * window.stride[1]];
                        }
                    }
                }
            }
        }
    }
}

/// dw (M, C / group, kh, kw) += sum over images and places of dy (N, M, OH, OW) x (N, C, H, W), and
/// dx (N, C, H, W) += w dy, tap by tap.
static void backward(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0], *ws = &a->run.in_shape[1], *ys = &a->run.out_shape[0];
    const fn_real *x = a->run.in[0], *w = a->run.in[1], *dy = a->dout[0];
    fn_real *dx = a->din[0], *dw = a->din[1], *db = a->run.n_in > 2 ? a->din[2] : NULL;
    int64_t width = xs->dim[3], in_area = xs->dim[2] * width, out_w = ys->dim[3], area = ys->dim[2] * out_w;
    int64_t group_in = ws->dim[1], group_out = ws->dim[0] / fn_node_int(a->run.node, "group", 1);
    fn_window window;
    fn_window_of(&window, a->run.node, ws->dim + 2, xs->dim[2], width);
    int64_t sy = window.stride[0], sx = window.stride[1], taps = window.kernel[0] * window.kernel[1];
    for (int64_t m = 0; m < ws->dim[0]; m++) {
        for (int64_t k = 0; (dx || dw) && k < group_in * taps; k++) { // k: channel and place in the kernel
            int64_t c = m / group_out * group_in + k / taps;
            tap t = tap_of(&window, k % taps / window.kernel[1], k % window.kernel[1], xs, ys);
            fn_real weight = w[m * group_in * taps + k];
            double sum = 0;
            for (int64_t n = 0; n < xs->dim[0]; n++)
                for (int64_t oy = t.y0; oy < t.y1; oy++) {
                    const fn_real *g = dy + (n * ws->dim[0] + m) * area + oy * out_w;
                    int64_t row = (n * xs->dim[1] + c) * in_area + (oy * sy + t.top) * width + t.left;
                    for (int64_t ox = t.x0; dw && ox < t.x1; ox++)
                        sum += (double)g[ox] * (double)x[row + ox * sx];
                    for (int64_t ox = t.x0; dx && ox < t.x1; ox++)
                        dx[row + ox * sx] += weight * g[ox];
                }
            if (dw)
                dw[m * group_in * taps + k] += (fn_real)sum;
        }
        double sum = 0;
        for (int64_t n = 0; db && n < xs->dim[0]; n++)
            for (int64_t i = 0; i < area; i++)
                sum += (double)dy[(n * ws->dim[0] + m) * area + i];
        if (db)
            db[m] += (fn_real)sum;
    }
}

const fn_op_def FN_OP(conv) = {.name = "Conv",
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .infer = infer,
                               .forward = forward,
                               .cost = cost,
                               .trainable = 1U << 1 | 1U << 2,
                               .backward = backward};
