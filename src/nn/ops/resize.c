// SPDX-License-Identifier: Apache-2.0
//
// Resize of the last two dimensions (ONNX Resize): linear with half-pixel, align-corners or asymmetric
// coordinates, and nearest with rounding down. Sizes come from scales (input 2) or sizes (input 3).
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>
#include <string.h>

static const char *text_of(const fn_node *node, const char *name, const char *otherwise) {
    const fn_attr *attr = fn_node_attr(node, name);
    return attr && attr->kind == FN_ATTR_STRING ? attr->s : otherwise;
}

static int infer(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    fn_shape *out = &a->out[0].shape;
    const char *mode = text_of(a->node, "mode", "nearest");
    const char *where = text_of(a->node, "coordinate_transformation_mode", "half_pixel");
    if (x->rank != 4)
        return fn_infer_fail(a, "the input must have four dimensions");
    if (strcmp(mode, "linear") != 0 &&
        (strcmp(mode, "nearest") != 0 ||
         strcmp(text_of(a->node, "nearest_mode", "round_prefer_floor"), "floor") != 0 ||
         strcmp(where, "asymmetric") != 0))
        return fn_infer_fail(
            a, "only linear, and nearest with asymmetric coordinates rounded down, are supported");
    if (strcmp(where, "half_pixel") != 0 && strcmp(where, "pytorch_half_pixel") != 0 &&
        strcmp(where, "asymmetric") != 0 && strcmp(where, "align_corners") != 0)
        return fn_infer_fail(a, "coordinates '%.40s' are not supported", where);
    *out = *x;
    int n = -1;
    int64_t sizes[FN_MAX_RANK];
    if (a->n_in > 3 && a->in[3].shape.rank >= 0) {
        int rc = fn_infer_ints(a, NULL, 3, sizes, FN_MAX_RANK, &n);
        if (rc < 0)
            return rc;
    } else if (a->n_in > 2 && a->in[2].data && a->in[2].dtype == FN_F32 &&
               fn_shape_count(&a->in[2].shape) == 4) {
        n = 4;
        for (int i = 0; i < 4; i++) {
            double size = floor((double)x->dim[i] * (double)((const float *)a->in[2].data)[i] + 1e-6);
            sizes[i] = size >= 1 && size <= 1 << 20 ? (int64_t)size : -1;
        }
    }
    if (n != 4 || sizes[0] != x->dim[0] || sizes[1] != x->dim[1] || sizes[2] < 1 || sizes[3] < 1 ||
        sizes[2] > 1 << 20 || sizes[3] > 1 << 20)
        return fn_infer_fail(a, "scales or sizes must be known and change the last two dimensions only");
    out->dim[2] = sizes[2];
    out->dim[3] = sizes[3];
    return FN_OK;
}

/// Source position of output i along a dimension of `from` numbers stretched to `to`.
static void tap(const char *where, int nearest, int64_t i, int64_t from, int64_t to, int64_t *low,
                int64_t *high, double *weight) {
    double scale = (double)from / (double)to, x;
    if (strcmp(where, "asymmetric") == 0)
        x = (double)i * scale;
    else if (strcmp(where, "align_corners") == 0)
        x = to > 1 ? (double)i * (double)(from - 1) / (double)(to - 1) : 0;
    else if (strcmp(where, "pytorch_half_pixel") == 0 && to == 1)
        x = 0;
    else
        x = ((double)i + 0.5) * scale - 0.5;
    x = x < 0 ? 0 : x > (double)(from - 1) ? (double)(from - 1) : x;
    *low = (int64_t)floor(x);
    *high = *low + 1 < from ? *low + 1 : *low;
    *weight = nearest ? 0 : x - (double)*low;
}

static void forward(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0], *ys = &a->out_shape[0];
    const char *where = text_of(a->node, "coordinate_transformation_mode", "half_pixel");
    int nearest = strcmp(text_of(a->node, "mode", "nearest"), "nearest") == 0;
    fn_real *y = a->out[0];
    for (int64_t plane = 0; plane < xs->dim[0] * xs->dim[1]; plane++) {
        const fn_real *x = (const fn_real *)a->in[0] + plane * xs->dim[2] * xs->dim[3];
        for (int64_t oy = 0; oy < ys->dim[2]; oy++) {
            int64_t top, bottom;
            double v;
            tap(where, nearest, oy, xs->dim[2], ys->dim[2], &top, &bottom, &v);
            for (int64_t ox = 0; ox < ys->dim[3]; ox++) {
                int64_t left, right;
                double u;
                tap(where, nearest, ox, xs->dim[3], ys->dim[3], &left, &right, &u);
                double above =
                    (1 - u) * (double)x[top * xs->dim[3] + left] + u * (double)x[top * xs->dim[3] + right];
                double below = (1 - u) * (double)x[bottom * xs->dim[3] + left] +
                               u * (double)x[bottom * xs->dim[3] + right];
                *y++ = (fn_real)((1 - v) * above + v * below);
            }
        }
    }
}

/// dx (N, C, H, W) += the four taps' shares of dy (N, C, OH, OW).
static void backward(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0], *ys = &a->run.out_shape[0];
    const char *where = text_of(a->run.node, "coordinate_transformation_mode", "half_pixel");
    int nearest = strcmp(text_of(a->run.node, "mode", "nearest"), "nearest") == 0;
    const fn_real *dy = a->dout[0];
    for (int64_t plane = 0; a->din[0] && plane < xs->dim[0] * xs->dim[1]; plane++) {
        fn_real *dx = (fn_real *)a->din[0] + plane * xs->dim[2] * xs->dim[3];
        for (int64_t oy = 0; oy < ys->dim[2]; oy++) {
            int64_t top, bottom;
            double v;
            tap(where, nearest, oy, xs->dim[2], ys->dim[2], &top, &bottom, &v);
            for (int64_t ox = 0; ox < ys->dim[3]; ox++, dy++) {
                int64_t left, right;
                double u, g = (double)*dy;
                tap(where, nearest, ox, xs->dim[3], ys->dim[3], &left, &right, &u);
                dx[top * xs->dim[3] + left] += (fn_real)((1 - v) * (1 - u) * g);
                dx[top * xs->dim[3] + right] += (fn_real)((1 - v) * u * g);
                dx[bottom * xs->dim[3] + left] += (fn_real)(v * (1 - u) * g);
                dx[bottom * xs->dim[3] + right] += (fn_real)(v * u * g);
            }
        }
    }
}

const fn_op_def FN_OP(resize) = {.name = "Resize",
                                 .min_inputs = 1,
                                 .max_inputs = 4,
                                 .infer = infer,
                                 .forward = forward,
                                 .backward = backward};
