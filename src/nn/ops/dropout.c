// SPDX-License-Identifier: Apache-2.0
//
// Dropout (ONNX; Srivastava et al. 2014): in training each number is zeroed with probability `ratio` and
// the others grow by 1 / (1 - ratio), so that inference has nothing to do. Which numbers fall is a function
// of seed, step, node, row of the whole batch and place in the row: passes over chunks of a batch, and
// the backward pass, draw the same mask again.
#include "nn/op.h"
#include "nn/ops/ops.h"

#include "base/random.h"

#include <string.h>

static int infer(const fn_infer_args *a) {
    const fn_typed *ratio = a->n_in > 1 && a->in[1].shape.rank >= 0 ? &a->in[1] : NULL;
    if (ratio && (ratio->dtype != FN_F32 || fn_shape_count(&ratio->shape) != 1))
        return fn_infer_fail(a, "the ratio must be one number");
    if (a->in[0].dtype != FN_F32)
        return fn_infer_fail(a, "integers cannot be dropped");
    return fn_infer_same(a);
}

static void forward(const fn_run_args *a) {
    if (a->out[0] != a->in[0])
        memcpy(a->out[0], a->in[0], (size_t)fn_shape_count(&a->out_shape[0]) * sizeof(fn_real));
}

static double ratio_of(const fn_run_args *a) {
    double ratio = a->n_in > 1 && a->in[1] ? (double)*(const fn_real *)a->in[1] : 0.5; // ONNX's default
    return ratio > 0 ? ratio : 0;                                                      // and not NaN
}

/// dst += or = src where the mask keeps, scaled.
static void masked(fn_real *dst, const fn_real *src, const fn_run_args *a, const fn_pass *pass, int index,
                   int add) {
    const fn_shape *s = &a->in_shape[0];
    double ratio = ratio_of(a);
    int64_t rows = s->rank ? s->dim[0] : 1, n = fn_shape_count(s) / rows;
    fn_real scale = (fn_real)(ratio < 1 ? 1 / (1 - ratio) : 0);
    uint64_t threshold = (uint64_t)((ratio < 1 ? ratio : 1) * 0x1p32); // bits below it fall
    uint32_t key[2] = {(uint32_t)pass->seed, (uint32_t)(pass->seed >> 32)}, bits[4];
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = 0; i < n; i++) {
            if (i % 4 == 0)
                fn_philox(bits,
                          (uint32_t[4]){(uint32_t)(i / 4), (uint32_t)(pass->first_row + row), pass->step,
                                        FN_STREAM_DROPOUT | (uint32_t)index << 8},
                          key);
            fn_real kept = bits[i % 4] < threshold ? 0 : src[row * n + i] * scale;
            dst[row * n + i] = add ? dst[row * n + i] + kept : kept;
        }
}

static void forward_train(const fn_train_args *a) {
    masked(a->run.out[0], a->run.in[0], &a->run, a->pass, a->index, 0);
}

static void backward(const fn_grad_args *a) {
    if (a->din[0])
        masked(a->din[0], a->dout[0], &a->run, a->pass, a->index, 1);
}

const fn_op_def FN_OP(dropout) = {.name = "Dropout",
                                  .min_inputs = 1,
                                  .max_inputs = 2,
                                  .infer = infer,
                                  .forward = forward,
                                  .backward = backward,
                                  .forward_train = forward_train};
