// SPDX-License-Identifier: Apache-2.0
//
// LRN (ONNX): local response normalisation across channels (Krizhevsky et al. 2012, section 3.3),
//   y[c] = x[c] s[c]^-beta,  s[c] = bias + alpha / size * sum of x[j]^2 over `size` channels around c.
// alpha is divided by the window, as Torch does; networks that do not divide say a larger alpha.
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>

typedef struct lrn {
    int64_t before, after; // channels of the window around its own
    int64_t channels, area;
    double share, beta, bias; // share: alpha / size
} lrn;

static lrn lrn_of(const fn_node *node, const fn_shape *x) {
    lrn l = {.channels = x->dim[1], .area = 1};
    int64_t size = fn_node_int(node, "size", 1);
    l.before = (size - 1) / 2;
    l.after = size - 1 - l.before;
    for (int i = 2; i < x->rank; i++)
        l.area *= x->dim[i];
    l.share = (double)fn_node_float(node, "alpha", 1e-4F) / (double)size;
    l.beta = (double)fn_node_float(node, "beta", 0.75F);
    l.bias = (double)fn_node_float(node, "bias", 1.0F);
    return l;
}

static int infer(const fn_infer_args *a) {
    int64_t size = fn_node_int(a->node, "size", 0);
    if (a->in[0].shape.rank < 2)
        return fn_infer_fail(a, "the input has no channels");
    if (size < 1 || size > 1 << 20)
        return fn_infer_fail(a, "a window of %lld channels", (long long)size);
    return fn_infer_same(a);
}

/// The window of channel c, cut off at both ends, and s[c]. x: channel 0 of one place.
static double scale_of(const lrn *l, const fn_real *x, int64_t c, int64_t *first, int64_t *end) {
    double sum = 0;
    *first = c < l->before ? 0 : c - l->before;
    *end = l->channels - c <= l->after ? l->channels : c + l->after + 1;
    for (int64_t j = *first; j < *end; j++)
        sum += (double)x[j * l->area] * (double)x[j * l->area];
    return l->bias + l->share * sum;
}

static void forward(const fn_run_args *a) {
    lrn l = lrn_of(a->node, &a->in_shape[0]);
    for (int64_t n = 0; n < a->in_shape[0].dim[0]; n++)
        for (int64_t i = 0; i < l.area; i++) {
            int64_t at = n * l.channels * l.area + i, first, end;
            const fn_real *x = (const fn_real *)a->in[0] + at;
            fn_real *y = (fn_real *)a->out[0] + at;
            for (int64_t c = 0; c < l.channels; c++)
                y[c * l.area] =
                    (fn_real)((double)x[c * l.area] * pow(scale_of(&l, x, c, &first, &end), -l.beta));
        }
}

/// dx[j] = dy[j] s[j]^-beta - 2 beta share x[j] * sum of dy[c] x[c] s[c]^(-beta-1) over the c whose window
/// has j; each c hands out its part.
static void backward(const fn_grad_args *a) {
    lrn l = lrn_of(a->run.node, &a->run.in_shape[0]);
    for (int64_t n = 0; a->din[0] && n < a->run.in_shape[0].dim[0]; n++)
        for (int64_t i = 0; i < l.area; i++) {
            int64_t at = n * l.channels * l.area + i, first, end;
            const fn_real *x = (const fn_real *)a->run.in[0] + at;
            const fn_real *dy = (const fn_real *)a->dout[0] + at;
            fn_real *dx = (fn_real *)a->din[0] + at;
            for (int64_t c = 0; c < l.channels; c++) {
                double s = scale_of(&l, x, c, &first, &end), power = pow(s, -l.beta);
                double g = (double)dy[c * l.area];
                double part = 2 * l.beta * l.share * g * (double)x[c * l.area] * power / s;
                dx[c * l.area] += (fn_real)(g * power);
                for (int64_t j = first; j < end; j++)
                    dx[j * l.area] -= (fn_real)(part * (double)x[j * l.area]);
            }
        }
}

const fn_op_def FN_OP(lrn) = {.name = "LRN",
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .infer = infer,
                              .forward = forward,
                              .backward = backward};
