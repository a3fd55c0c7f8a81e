// SPDX-License-Identifier: Apache-2.0
//
// Operators of two tensors with ONNX (NumPy) broadcasting: Add, Sub, Mul, Div and PRelu.
#include "nn/op.h"
#include "nn/ops/ops.h"

/// Dimension i of a shape seen as if it had `rank` dimensions.
static int64_t dim_of(const fn_shape *shape, int rank, int i) {
    int k = i - (rank - shape->rank);
    return k < 0 ? 1 : shape->dim[k];
}

static int infer(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape, *y = &a->in[1].shape;
    fn_shape *out = &a->out[0].shape;
    if (a->in[0].dtype != FN_F32 || a->in[1].dtype != FN_F32)
        return fn_infer_fail(a, "only floating point numbers are supported");
    out->rank = x->rank > y->rank ? x->rank : y->rank;
    for (int i = 0; i < out->rank; i++) {
        int64_t p = dim_of(x, out->rank, i), q = dim_of(y, out->rank, i);
        if (p != q && p != 1 && q != 1)
            return fn_infer_fail(a, "sizes %lld and %lld do not go together in dimension %d", (long long)p,
                                 (long long)q, i);
        out->dim[i] = p == 1 ? q : p;
    }
    return FN_OK;
}

/// A slope of one number per channel may also be written without trailing ones: (C) with x (N, C, ...).
static int infer_prelu(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape, *slope = &a->in[1].shape;
    a->out[0].shape = *x;
    if (slope->rank == 1 && x->rank > 2 && slope->dim[0] == x->dim[1])
        return FN_OK;
    for (int i = 0; i < x->rank; i++)
        if (slope->rank > x->rank ||
            (dim_of(slope, x->rank, i) != 1 && dim_of(slope, x->rank, i) != x->dim[i]))
            return fn_infer_fail(a, "the slope does not broadcast to the input");
    return FN_OK;
}

typedef enum kind { ADD, SUB, MUL, DIV, PRELU } kind;

static void run(const fn_run_args *a, kind what) {
    const fn_shape *os = &a->out_shape[0];
    int64_t step[2][FN_MAX_RANK], index[FN_MAX_RANK] = {0};
    for (int k = 0; k < 2; k++) {
        fn_shape s = a->in_shape[k];
        if (what == PRELU && k == 1 && s.rank == 1 && os->rank > 2 && s.dim[0] == os->dim[1]) {
            s.rank = os->rank - 1;
            for (int i = 1; i < s.rank; i++)
                s.dim[i] = 1;
        }
        int64_t stride = 1;
        for (int i = os->rank - 1; i >= 0; i--) {
            int64_t d = dim_of(&s, os->rank, i);
            step[k][i] = d == 1 ? 0 : stride;
            stride *= d;
        }
    }
    const fn_real *x = a->in[0], *y = a->in[1];
    fn_real *out = a->out[0];
    int64_t n = fn_shape_count(os), p = 0, q = 0;
    for (int64_t i = 0; i < n; i++) {
        fn_real u = x[p], v = y[q];
        switch (what) {
        case ADD:
            out[i] = u + v;
            break;
        case SUB:
            out[i] = u - v;
            break;
        case MUL:
            out[i] = u * v;
            break;
        case DIV:
            out[i] = u / v;
            break;
        case PRELU:
            out[i] = u > 0 ? u : u * v;
            break;
        }
        for (int d = os->rank - 1; d >= 0; d--) {
            p += step[0][d];
            q += step[1][d];
            if (++index[d] < os->dim[d])
                break;
            p -= step[0][d] * os->dim[d];
            q -= step[1][d] * os->dim[d];
            index[d] = 0;
        }
    }
}

static void forward_add(const fn_run_args *a) {
    run(a, ADD);
}

static void forward_sub(const fn_run_args *a) {
    run(a, SUB);
}

static void forward_mul(const fn_run_args *a) {
    run(a, MUL);
}

static void forward_div(const fn_run_args *a) {
    run(a, DIV);
}

static void forward_prelu(const fn_run_args *a) {
    run(a, PRELU);
}

const fn_op_def FN_OP(add) = {"Add", 2, 2, 0, infer, forward_add, NULL};
const fn_op_def FN_OP(sub) = {"Sub", 2, 2, 0, infer, forward_sub, NULL};
const fn_op_def FN_OP(mul) = {"Mul", 2, 2, 0, infer, forward_mul, NULL};
const fn_op_def FN_OP(div) = {"Div", 2, 2, 0, infer, forward_div, NULL};
const fn_op_def FN_OP(prelu) = {"PRelu", 2, 2, 0, infer_prelu, forward_prelu, NULL};
