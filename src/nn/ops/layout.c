// SPDX-License-Identifier: Apache-2.0
//
// Operators that move numbers without computing: Pad (constant), Concat, Slice, Transpose (ONNX).
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <string.h>

static int64_t axis_of(const fn_node *node, int rank, int64_t otherwise) {
    int64_t axis = fn_node_int(node, "axis", otherwise);
    return axis < 0 ? axis + rank : axis;
}

static void strides_of(const fn_shape *s, int64_t stride[FN_MAX_RANK]) {
    int64_t step = 1;
    for (int i = s->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= s->dim[i];
    }
}

/// Copies a block of size `count` between two arrays with these strides, or adds it to what is there.
static void move_block(fn_real *dst, const int64_t *dst_stride, const fn_real *src, const int64_t *src_stride,
                       const int64_t *count, int rank, int adds) {
    if (rank == 0) {
        *dst = adds ? *dst + *src : *src;
        return;
    }
    for (int64_t i = 0; i < count[0]; i++, dst += dst_stride[0], src += src_stride[0]) {
        if (rank > 1)
            move_block(dst, dst_stride + 1, src, src_stride + 1, count + 1, rank - 1, adds);
        else
            *dst = adds ? *dst + *src : *src;
    }
}

static int infer_pad(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    const fn_attr *mode = fn_node_attr(a->node, "mode");
    int64_t pads[2 * FN_MAX_RANK];
    int n;
    if (mode && mode->kind == FN_ATTR_STRING && strcmp(mode->s, "constant") != 0)
        return fn_infer_fail(a, "mode '%.20s' is not supported, only 'constant'", mode->s);
    int rc = fn_infer_ints(a, "pads", a->n_in > 1 ? 1 : -1, pads, 2 * FN_MAX_RANK, &n);
    if (rc < 0)
        return rc;
    if (n != 2 * x->rank)
        return fn_infer_fail(a, "%d pads for %d dimensions", n, x->rank);
    a->out[0].shape.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (pads[i] < 0 || pads[i + x->rank] < 0 || pads[i] > 1 << 20 || pads[i + x->rank] > 1 << 20)
            return fn_infer_fail(a, "a pad is negative or huge");
        a->out[0].shape.dim[i] = x->dim[i] + pads[i] + pads[i + x->rank];
    }
    return FN_OK;
}

/// Strides of both tensors and where the input begins in the output.
static int64_t pad_strides(const fn_run_args *a, int64_t *from, int64_t *to) {
    int64_t pads[2 * FN_MAX_RANK], offset = 0;
    fn_run_ints(a, "pads", 1, pads, 2 * FN_MAX_RANK);
    strides_of(&a->in_shape[0], from);
    strides_of(&a->out_shape[0], to);
    for (int i = 0; i < a->in_shape[0].rank; i++)
        offset += pads[i] * to[i];
    return offset;
}

static void forward_pad(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK], offset = pad_strides(a, from, to);
    fn_real value = fn_node_float(a->node, "value", 0.0F), *y = a->out[0];
    if (a->n_in > 2 && a->in[2])
        value = *(const fn_real *)a->in[2];
    int64_t n = fn_shape_count(&a->out_shape[0]);
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
    move_block(y + offset, to, a->in[0], from, xs->dim, xs->rank, 0);
}

/// To what was padded only; the number around it does not learn.
static void backward_pad(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK], offset = pad_strides(&a->run, from, to);
    if (a->din[0])
        move_block(a->din[0], from, (const fn_real *)a->dout[0] + offset, to, xs->dim, xs->rank, 1);
}

static int infer_concat(const fn_infer_args *a) {
    fn_shape *out = &a->out[0].shape;
    *out = a->in[0].shape;
    int64_t axis = axis_of(a->node, out->rank, 0);
    if (axis < 0 || axis >= out->rank)
        return fn_infer_fail(a, "no axis %lld", (long long)axis);
    for (int k = 1; k < a->n_in; k++) {
        const fn_shape *x = &a->in[k].shape;
        for (int i = 0; i < out->rank; i++)
            if (x->rank != out->rank || (i != axis && x->dim[i] != out->dim[i]) ||
                a->in[k].dtype != a->in[0].dtype)
                return fn_infer_fail(a, "input %d does not fit the others", k);
        out->dim[axis] += x->dim[axis];
    }
    a->out[0].dtype = a->in[0].dtype;
    if (a->in[0].dtype != FN_I64)
        return FN_OK;
    int64_t *joined = fn_infer_new_ints(a, 0);
    if (!joined)
        return FN_ENOMEM;
    for (int k = 0; k < a->n_in; k++) {
        if (!a->in[k].data || out->rank != 1)
            return fn_infer_fail(a, "integers must be one-dimensional and known before running");
        memcpy(joined, a->in[k].data, (size_t)a->in[k].shape.dim[0] * sizeof *joined);
        joined += a->in[k].shape.dim[0];
    }
    return FN_OK;
}

static void forward_concat(const fn_run_args *a) {
    const fn_shape *ys = &a->out_shape[0];
    int64_t axis = axis_of(a->node, ys->rank, 0), outer = 1, inner = 1;
    for (int i = 0; i < axis; i++)
        outer *= ys->dim[i];
    for (int i = (int)axis + 1; i < ys->rank; i++)
        inner *= ys->dim[i];
    fn_real *y = a->out[0];
    for (int64_t o = 0; o < outer; o++)
        for (int k = 0; k < a->n_in; k++) {
            int64_t n = a->in_shape[k].dim[axis] * inner;
            memcpy(y, (const fn_real *)a->in[k] + o * n, (size_t)n * sizeof *y);
            y += n;
        }
}

static void backward_concat(const fn_grad_args *a) {
    const fn_shape *ys = &a->run.out_shape[0];
    int64_t axis = axis_of(a->run.node, ys->rank, 0), outer = 1, inner = 1;
    for (int i = 0; i < axis; i++)
        outer *= ys->dim[i];
    for (int i = (int)axis + 1; i < ys->rank; i++)
        inner *= ys->dim[i];
    const fn_real *dy = a->dout[0];
    for (int64_t o = 0; o < outer; o++)
        for (int k = 0; k < a->run.n_in; k++) {
            int64_t n = a->run.in_shape[k].dim[axis] * inner;
            fn_real *dx = a->din[k] ? (fn_real *)a->din[k] + o * n : NULL;
            for (int64_t i = 0; dx && i < n; i++)
                dx[i] += dy[i];
            dy += n;
        }
}

/// Starts, lengths and steps per dimension, clamped as ONNX says; steps must be positive.
static int slice_of(const fn_shape *x, const int64_t *starts, const int64_t *ends, const int64_t *axes,
                    const int64_t *steps, int n, int64_t *first, int64_t *count, int64_t *step) {
    for (int i = 0; i < x->rank; i++) {
        first[i] = 0;
        count[i] = x->dim[i];
        step[i] = 1;
    }
    for (int k = 0; k < n; k++) {
        int64_t axis = axes ? axes[k] : k;
        axis = axis < 0 ? axis + x->rank : axis;
        if (axis < 0 || axis >= x->rank || (steps && steps[k] < 1))
            return 0;
        int64_t size = x->dim[axis], start = starts[k], end = ends[k];
        start = start < 0 ? start + size : start;
        end = end < 0 ? end + size : end;
        start = start < 0 ? 0 : start > size ? size : start;
        end = end < start ? start : end > size ? size : end;
        first[axis] = start;
        step[axis] = steps ? steps[k] : 1;
        count[axis] = (end - start + step[axis] - 1) / step[axis];
    }
    return 1;
}

static int infer_slice(const fn_infer_args *a) {
    int64_t ints[4][FN_MAX_RANK], first[FN_MAX_RANK], count[FN_MAX_RANK], step[FN_MAX_RANK];
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    int n[4];
    for (int i = 0; i < 4; i++) {
        int rc = fn_infer_ints(a, names[i], i + 1 < a->n_in ? i + 1 : -1, ints[i], FN_MAX_RANK, &n[i]);
        if (rc < 0)
            return rc;
    }
    const fn_shape *x = &a->in[0].shape;
    if (n[0] < 0 || n[1] != n[0] || (n[2] >= 0 && n[2] != n[0]) || (n[3] >= 0 && n[3] != n[0]) ||
        n[0] > x->rank ||
        !slice_of(x, ints[0], ints[1], n[2] < 0 ? NULL : ints[2], n[3] < 0 ? NULL : ints[3], n[0], first,
                  count, step))
        return fn_infer_fail(a, "starts, ends, axes and steps do not go together");
    a->out[0].dtype = a->in[0].dtype;
    a->out[0].shape.rank = x->rank;
    memcpy(a->out[0].shape.dim, count, (size_t)x->rank * sizeof count[0]);
    if (a->in[0].dtype != FN_I64)
        return FN_OK;
    if (!a->in[0].data || x->rank != 1)
        return fn_infer_fail(a, "integers must be one-dimensional and known before running");
    int64_t *part = fn_infer_new_ints(a, 0);
    if (!part)
        return FN_ENOMEM;
    for (int64_t i = 0; i < count[0]; i++)
        part[i] = ((const int64_t *)a->in[0].data)[first[0] + i * step[0]];
    return FN_OK;
}

/// Strides of both tensors, the input's in steps of the slice, and where the slice begins.
static int64_t slice_strides(const fn_run_args *a, int64_t *from, int64_t *to) {
    const fn_shape *xs = &a->in_shape[0];
    int64_t ints[4][FN_MAX_RANK], first[FN_MAX_RANK], count[FN_MAX_RANK], step[FN_MAX_RANK], offset = 0;
    static const char *const names[4] = {"starts", "ends", "axes", "steps"};
    int n[4];
    for (int i = 0; i < 4; i++)
        n[i] = fn_run_ints(a, names[i], i + 1, ints[i], FN_MAX_RANK);
    slice_of(xs, ints[0], ints[1], n[2] < 0 ? NULL : ints[2], n[3] < 0 ? NULL : ints[3], n[0], first, count,
             step);
    strides_of(xs, from);
    strides_of(&a->out_shape[0], to);
    for (int i = 0; i < xs->rank; i++) {
        offset += first[i] * from[i];
        from[i] *= step[i];
    }
    return offset;
}

static void forward_slice(const fn_run_args *a) {
    const fn_shape *ys = &a->out_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK], offset = slice_strides(a, from, to);
    move_block(a->out[0], to, (const fn_real *)a->in[0] + offset, from, ys->dim, ys->rank, 0);
}

static void backward_slice(const fn_grad_args *a) {
    const fn_shape *ys = &a->run.out_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK], offset = slice_strides(&a->run, from, to);
    if (a->din[0])
        move_block((fn_real *)a->din[0] + offset, from, a->dout[0], to, ys->dim, ys->rank, 1);
}

static void order_of(const fn_node *node, int rank, int64_t order[FN_MAX_RANK]) {
    const fn_attr *perm = fn_node_attr(node, "perm");
    for (int i = 0; i < rank; i++)
        order[i] = perm && perm->kind == FN_ATTR_INTS && perm->n == rank ? perm->ints[i] : rank - 1 - i;
}

static int infer_transpose(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    int64_t order[FN_MAX_RANK];
    int seen = 0;
    order_of(a->node, x->rank, order);
    a->out[0].shape.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        if (order[i] < 0 || order[i] >= x->rank || seen >> order[i] & 1)
            return fn_infer_fail(a, "perm is not a permutation");
        seen |= 1 << order[i];
        a->out[0].shape.dim[i] = x->dim[order[i]];
    }
    return FN_OK;
}

/// Strides of the output, and of the input in the output's order.
static void transpose_strides(const fn_run_args *a, int64_t *from, int64_t *to) {
    const fn_shape *xs = &a->in_shape[0];
    int64_t order[FN_MAX_RANK], stride[FN_MAX_RANK];
    order_of(a->node, xs->rank, order);
    strides_of(xs, stride);
    strides_of(&a->out_shape[0], to);
    for (int i = 0; i < xs->rank; i++)
        from[i] = stride[order[i]];
}

static void forward_transpose(const fn_run_args *a) {
    const fn_shape *ys = &a->out_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK];
    transpose_strides(a, from, to);
    move_block(a->out[0], to, a->in[0], from, ys->dim, ys->rank, 0);
}

static void backward_transpose(const fn_grad_args *a) {
    const fn_shape *ys = &a->run.out_shape[0];
    int64_t from[FN_MAX_RANK], to[FN_MAX_RANK];
    transpose_strides(&a->run, from, to);
    if (a->din[0])
        move_block(a->din[0], from, a->dout[0], to, ys->dim, ys->rank, 1);
}

const fn_op_def FN_OP(pad) = {.name = "Pad",
                              .min_inputs = 1,
                              .max_inputs = 3,
                              .infer = infer_pad,
                              .forward = forward_pad,
                              .backward = backward_pad};
const fn_op_def FN_OP(concat) = {.name = "Concat",
                                 .min_inputs = 1,
                                 .max_inputs = FN_MAX_INPUTS,
                                 .infer = infer_concat,
                                 .forward = forward_concat,
                                 .backward = backward_concat};
const fn_op_def FN_OP(slice) = {.name = "Slice",
                                .min_inputs = 1,
                                .max_inputs = 5,
                                .infer = infer_slice,
                                .forward = forward_slice,
                                .backward = backward_slice};
const fn_op_def FN_OP(transpose) = {.name = "Transpose",
                                    .min_inputs = 1,
                                    .max_inputs = 1,
                                    .infer = infer_transpose,
                                    .forward = forward_transpose,
                                    .backward = backward_transpose};
