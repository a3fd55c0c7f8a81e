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

/// Steps through both operands and the result per dimension of the result: 0 where one number serves all.
static void steps_of(const fn_run_args *a, kind what, int64_t step[3][FN_MAX_RANK]) {
    const fn_shape *os = &a->out_shape[0];
    for (int k = 0; k < 3; k++) {
        fn_shape s = k < 2 ? a->in_shape[k] : *os;
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
}

/// Moves three positions on by one place of `dims`, the last dimension fastest; 0 after the last place, where
/// all are back at the beginning.
static int next_place(int64_t at[3], int64_t step[3][FN_MAX_RANK], int64_t *index, const int64_t *dims,
                      int rank) {
    for (int d = rank - 1; d >= 0; d--) {
        int ends = ++index[d] == dims[d];
        for (int k = 0; k < 3; k++)
            at[k] += step[k][d] * (ends ? 1 - dims[d] : 1);
        if (!ends)
            return 1;
        index[d] = 0;
    }
    return 0;
}

static void run(const fn_run_args *a, kind what) {
    const fn_shape *os = &a->out_shape[0];
    int64_t step[3][FN_MAX_RANK], index[FN_MAX_RANK] = {0}, at[3] = {0};
    steps_of(a, what, step);
    const fn_real *x = a->in[0], *y = a->in[1];
    fn_real *out = a->out[0];
    do {
        fn_real u = x[at[0]], v = y[at[1]];
        switch (what) {
        case ADD:
            *out++ = u + v;
            break;
        case SUB:
            *out++ = u - v;
            break;
        case MUL:
            *out++ = u * v;
            break;
        case DIV:
            *out++ = u / v;
            break;
        case PRELU:
            *out++ = u > 0 ? u : u * v;
            break;
        }
    } while (next_place(at, step, index, os->dim, os->rank));
}

/// Derivative of the result by operand `side`.
static double slope(kind what, int side, double u, double v) {
    switch (what) {
    case ADD:
        return 1;
    case SUB:
        return side ? -1 : 1;
    case MUL:
        return side ? u : v;
    case DIV:
        return side ? -u / (v * v) : 1 / v;
    case PRELU:
        return u > 0 ? !side : side ? u : v;
    }
    return 0;
}

/// Each number of an operand gets the sum over all places that it served.
static void back(const fn_grad_args *a, kind what) {
    const fn_shape *os = &a->run.out_shape[0];
    int64_t step[3][FN_MAX_RANK], own[FN_MAX_RANK], served[FN_MAX_RANK];
    steps_of(&a->run, what, step);
    const fn_real *x = a->run.in[0], *y = a->run.in[1], *dy = a->dout[0];
    for (int side = 0; side < 2; side++) {
        fn_real *dst = a->din[side];
        int64_t index[FN_MAX_RANK] = {0}, at[3] = {0};
        for (int d = 0; d < os->rank; d++) {
            own[d] = step[side][d] ? os->dim[d] : 1;
            served[d] = step[side][d] ? 1 : os->dim[d];
        }
        do {
            int64_t within[FN_MAX_RANK] = {0}, p[3] = {at[0], at[1], at[2]};
            double sum = 0;
            do
                sum += (double)dy[p[2]] * slope(what, side, (double)x[p[0]], (double)y[p[1]]);
            while (next_place(p, step, within, served, os->rank));
            if (dst)
                dst[at[side]] += (fn_real)sum;
        } while (dst && next_place(at, step, index, own, os->rank));
    }
}

static void forward_add(const fn_run_args *a) {
    run(a, ADD);
}

static void backward_add(const fn_grad_args *a) {
    back(a, ADD);
}

static void forward_sub(const fn_run_args *a) {
    run(a, SUB);
}

static void backward_sub(const fn_grad_args *a) {
    back(a, SUB);
}

static void forward_mul(const fn_run_args *a) {
    run(a, MUL);
}

static void backward_mul(const fn_grad_args *a) {
    back(a, MUL);
}

static void forward_div(const fn_run_args *a) {
    run(a, DIV);
}

static void backward_div(const fn_grad_args *a) {
    back(a, DIV);
}

static void forward_prelu(const fn_run_args *a) {
    run(a, PRELU);
}

static void backward_prelu(const fn_grad_args *a) {
    back(a, PRELU);
}

const fn_op_def FN_OP(add) = {.name = "Add",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .infer = infer,
                              .forward = forward_add,
                              .backward = backward_add};
const fn_op_def FN_OP(sub) = {.name = "Sub",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .infer = infer,
                              .forward = forward_sub,
                              .backward = backward_sub};
const fn_op_def FN_OP(mul) = {.name = "Mul",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .infer = infer,
                              .forward = forward_mul,
                              .backward = backward_mul};
const fn_op_def FN_OP(div) = {.name = "Div",
                              .min_inputs = 2,
                              .max_inputs = 2,
                              .infer = infer,
                              .forward = forward_div,
                              .backward = backward_div};
const fn_op_def FN_OP(prelu) = {.name = "PRelu",
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .infer = infer_prelu,
                                .forward = forward_prelu,
                                .trainable = 1U << 1,
                                .backward = backward_prelu};
