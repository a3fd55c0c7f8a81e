// SPDX-License-Identifier: Apache-2.0
//
// Gemm: y = alpha A B + beta C with optional transposes (ONNX Gemm); MatMul: stacks of matrices, the
// second one possibly shared (ONNX MatMul without general broadcasting).
#include "nn/op.h"
#include "nn/ops/ops.h"

static int infer_gemm(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape, *w = &a->in[1].shape;
    if (x->rank != 2 || w->rank != 2)
        return fn_infer_fail(a, "both factors must be matrices");
    int ta = fn_node_int(a->node, "transA", 0) != 0, tb = fn_node_int(a->node, "transB", 0) != 0;
    int64_t m = x->dim[ta], k = x->dim[!ta], n = w->dim[!tb];
    if (w->dim[tb] != k)
        return fn_infer_fail(a, "inner sizes %lld and %lld differ", (long long)k, (long long)w->dim[tb]);
    if (a->n_in > 2 && a->in[2].shape.rank >= 0) {
        const fn_shape *c = &a->in[2].shape;
        int64_t rows = c->rank == 2 ? c->dim[0] : 1, columns = c->rank ? c->dim[c->rank - 1] : 1;
        if (c->rank > 2 || (columns != 1 && columns != n) || (rows != 1 && rows != m))
            return fn_infer_fail(a, "the added matrix does not fit %lld x %lld", (long long)m, (long long)n);
    }
    a->out[0].shape = (fn_shape){2, {m, n}};
    return FN_OK;
}

static int64_t cost_gemm(const fn_infer_args *a) {
    int ta = fn_node_int(a->node, "transA", 0) != 0;
    return fn_shape_count(&a->out[0].shape) * a->in[0].shape.dim[!ta];
}

/// Steps through the added matrix, which may have one row or one column for all.
static void added_steps(const fn_shape *s, int64_t *row_step, int64_t *column_step) {
    *column_step = s->rank && s->dim[s->rank - 1] > 1;
    *row_step = s->rank == 2 && s->dim[0] > 1 ? s->dim[1] : 0;
}

static void forward_gemm(const fn_run_args *a) {
    int ta = fn_node_int(a->node, "transA", 0) != 0, tb = fn_node_int(a->node, "transB", 0) != 0;
    int64_t m = a->out_shape[0].dim[0], n = a->out_shape[0].dim[1], k = a->in_shape[0].dim[!ta];
    fn_real alpha = fn_node_float(a->node, "alpha", 1.0F), beta = fn_node_float(a->node, "beta", 1.0F);
    const fn_real *x = a->in[0], *w = a->in[1];
    const fn_real *c = a->n_in > 2 ? a->in[2] : NULL;
    fn_real *y = a->out[0];
    int64_t row_step = 0, column_step = 0;
    if (c)
        added_steps(&a->in_shape[2], &row_step, &column_step);
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            fn_real sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += (ta ? x[l * m + i] : x[i * k + l]) * (tb ? w[j * k + l] : w[l * n + j]);
            y[i * n + j] = alpha * sum + (c ? beta * c[i * row_step + j * column_step] : 0);
        }
    }
}

/// With y (m, n) = alpha A (m, k) B (k, n) + beta C: dA = alpha dy B', dB = alpha A' dy, dC = beta dy summed
/// over the rows and columns that C does not have.
static void backward_gemm(const fn_grad_args *a) {
    const fn_node *node = a->run.node;
    int ta = fn_node_int(node, "transA", 0) != 0, tb = fn_node_int(node, "transB", 0) != 0;
    int64_t m = a->run.out_shape[0].dim[0], n = a->run.out_shape[0].dim[1], k = a->run.in_shape[0].dim[!ta];
    double alpha = (double)fn_node_float(node, "alpha", 1.0F);
    double beta = (double)fn_node_float(node, "beta", 1.0F);
    const fn_real *x = a->run.in[0], *w = a->run.in[1], *dy = a->dout[0];
    fn_real *dx = a->din[0], *dw = a->din[1], *dc = a->run.n_in > 2 ? a->din[2] : NULL;
    for (int64_t i = 0; dx && i < m; i++)
        for (int64_t l = 0; l < k; l++) {
            double sum = 0;
            for (int64_t j = 0; j < n; j++)
                sum += (double)dy[i * n + j] * (double)(tb ? w[j * k + l] : w[l * n + j]);
            dx[ta ? l * m + i : i * k + l] += (fn_real)(alpha * sum);
        }
    for (int64_t l = 0; dw && l < k; l++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t i = 0; i < m; i++)
                sum += (double)(ta ? x[l * m + i] : x[i * k + l]) * (double)dy[i * n + j];
            dw[tb ? j * k + l : l * n + j] += (fn_real)(alpha * sum);
        }
    if (!dc)
        return;
    int64_t row_step, column_step;
    added_steps(&a->run.in_shape[2], &row_step, &column_step);
    int64_t rows = row_step ? m : 1, columns = column_step ? n : 1;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++) {
            double sum = 0;
            for (int64_t i = row_step ? r : 0; i < (row_step ? r + 1 : m); i++)
                for (int64_t j = column_step ? q : 0; j < (column_step ? q + 1 : n); j++)
                    sum += (double)dy[i * n + j];
            dc[r * row_step + q * column_step] += (fn_real)(beta * sum);
        }
}

static int infer_matmul(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape, *w = &a->in[1].shape;
    if (x->rank < 2 || (w->rank != 2 && w->rank != x->rank))
        return fn_infer_fail(a, "factors of rank %d and %d", x->rank, w->rank);
    for (int i = 0; w->rank > 2 && i < x->rank - 2; i++)
        if (x->dim[i] != w->dim[i])
            return fn_infer_fail(a, "stacks of different size");
    if (x->dim[x->rank - 1] != w->dim[w->rank - 2])
        return fn_infer_fail(a, "inner sizes %lld and %lld differ", (long long)x->dim[x->rank - 1],
                             (long long)w->dim[w->rank - 2]);
    a->out[0].shape = *x;
    a->out[0].shape.dim[x->rank - 1] = w->dim[w->rank - 1];
    return FN_OK;
}

static int64_t cost_matmul(const fn_infer_args *a) {
    return fn_shape_count(&a->out[0].shape) * a->in[0].shape.dim[a->in[0].shape.rank - 1];
}

static void forward_matmul(const fn_run_args *a) {
    const fn_shape *xs = &a->in_shape[0], *ws = &a->in_shape[1];
    int64_t m = xs->dim[xs->rank - 2], k = xs->dim[xs->rank - 1], n = ws->dim[ws->rank - 1];
    int64_t stack = 1;
    for (int i = 0; i < xs->rank - 2; i++)
        stack *= xs->dim[i];
    for (int64_t s = 0; s < stack; s++) {
        const fn_real *x = (const fn_real *)a->in[0] + s * m * k;
        const fn_real *w = (const fn_real *)a->in[1] + (ws->rank > 2 ? s * k * n : 0);
        fn_real *y = (fn_real *)a->out[0] + s * m * n;
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                fn_real sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum += x[i * k + l] * w[l * n + j];
                y[i * n + j] = sum;
            }
    }
}

/// Per matrix of the stack dx (m, k) = dy w', dw (k, n) = x' dy; a w shared by the stack gets the sum.
static void backward_matmul(const fn_grad_args *a) {
    const fn_shape *xs = &a->run.in_shape[0], *ws = &a->run.in_shape[1];
    int64_t m = xs->dim[xs->rank - 2], k = xs->dim[xs->rank - 1], n = ws->dim[ws->rank - 1];
    int64_t stack = fn_shape_count(xs) / (m * k);
    if (ws->rank == 2) { // one tall matrix
        m *= stack;
        stack = 1;
    }
    for (int64_t s = 0; s < stack; s++) {
        const fn_real *x = (const fn_real *)a->run.in[0] + s * m * k;
        const fn_real *w = (const fn_real *)a->run.in[1] + s * k * n;
        const fn_real *dy = (const fn_real *)a->dout[0] + s * m * n;
        fn_real *dx = a->din[0] ? (fn_real *)a->din[0] + s * m * k : NULL;
        fn_real *dw = a->din[1] ? (fn_real *)a->din[1] + s * k * n : NULL;
        for (int64_t i = 0; dx && i < m; i++)
            for (int64_t l = 0; l < k; l++) {
                double sum = 0;
                for (int64_t j = 0; j < n; j++)
                    sum += (double)dy[i * n + j] * (double)w[l * n + j];
                dx[i * k + l] += (fn_real)sum;
            }
        for (int64_t l = 0; dw && l < k; l++)
            for (int64_t j = 0; j < n; j++) {
                double sum = 0;
                for (int64_t i = 0; i < m; i++)
                    sum += (double)x[i * k + l] * (double)dy[i * n + j];
                dw[l * n + j] += (fn_real)sum;
            }
    }
}

const fn_op_def FN_OP(gemm) = {.name = "Gemm",
                               .min_inputs = 2,
                               .max_inputs = 3,
                               .infer = infer_gemm,
                               .forward = forward_gemm,
                               .cost = cost_gemm,
                               .trainable = 1U << 1 | 1U << 2,
                               .backward = backward_gemm};
const fn_op_def FN_OP(matmul) = {.name = "MatMul",
                                 .min_inputs = 2,
                                 .max_inputs = 2,
                                 .infer = infer_matmul,
                                 .forward = forward_matmul,
                                 .cost = cost_matmul,
                                 .trainable = 1U << 1,
                                 .backward = backward_matmul};
