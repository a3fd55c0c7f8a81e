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
                        int64_t top = ky * window.dilation[0] - window.pad[0];
                        int64_t left = kx * window.dilation[1] - window.pad[1];
                        int64_t y0, y1, x0, x1;
                        valid_range(top, window.stride[0], height, out_h, &y0, &y1);
                        valid_range(left, window.stride[1], width, out_w, &x0, &x1);
                        for (int64_t oy = y0; oy < y1; oy++) {
                            const fn_real *row = in + (oy * window.stride[0] + top) * width + left;
                            fn_real *out = plane + oy * out_w;
                            for (int64_t ox = x0; ox < x1; ox++)
                                out[ox] += k * row[ox * window.stride[1]];
                        }
                    }
                }
            }
        }
    }
}

const fn_op_def FN_OP(conv) = {"Conv", 2, 3, 0, infer, forward, cost};
