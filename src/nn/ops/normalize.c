// SPDX-License-Identifier: Apache-2.0
//
// BatchNormalization (Ioffe and Szegedy 2015) and Softmax over one axis. With given statistics batch-norm is
// a scale and a shift per channel (algorithm 2); in training the statistics are the batch's (algorithm 1).
#include "nn/op.h"
#include "nn/ops/ops.h"

#include <math.h>

static int infer_batch_norm(const fn_infer_args *a) {
    const fn_shape *x = &a->in[0].shape;
    if (x->rank < 2)
        return fn_infer_fail(a, "the input has no channels");
    for (int i = 1; i < 5; i++)
        if (a->in[i].shape.rank != 1 || a->in[i].shape.dim[0] != x->dim[1])
            return fn_infer_fail(a, "input %d does not have %lld numbers", i, (long long)x->dim[1]);
    return fn_infer_same(a);
}

/// Numbers of one channel of one item.
static int64_t area_of(const fn_shape *s) {
    int64_t area = 1;
    for (int i = 2; i < s->rank; i++)
        area *= s->dim[i];
    return area;
}

static void forward_batch_norm(const fn_run_args *a) {
    const fn_shape *s = &a->in_shape[0];
    const fn_real *x = a->in[0], *scale = a->in[1], *bias = a->in[2], *mean = a->in[3], *variance = a->in[4];
    fn_real epsilon = fn_node_float(a->node, "epsilon", 1e-5F), *y = a->out[0];
    int64_t area = area_of(s);
    for (int64_t n = 0; n < s->dim[0]; n++)
        for (int64_t c = 0; c < s->dim[1]; c++) {
            fn_real k = scale[c] / (fn_real)sqrt((double)(variance[c] + epsilon));
            for (int64_t i = 0; i < area; i++, x++)
                *y++ = (*x - mean[c]) * k + bias[c];
        }
}

/// Mean and 1 / deviation per channel, and over how many numbers (0: they were given).
static int64_t saved_batch_norm(const fn_infer_args *a) {
    return 2 * a->in[0].shape.dim[1] + 1;
}

/// Channels whose sums travel together between processes.
enum { CHANNELS = 512 };

/// Mean and biased variance of x (N, C, ...) for channels [first, end), over all processes; returns the
/// count.
static double batch_statistics(const fn_train_args *a, int64_t first, int64_t end, double *mean,
                               double *variance) {
    const fn_shape *s = &a->run.in_shape[0];
    int64_t area = area_of(s), channels = s->dim[1], n = end - first;
    double sums[1 + 2 * CHANNELS] = {(double)(s->dim[0] * area)}; // count, sums, sums of squares
    for (int64_t c = first; c < end; c++)
        for (int64_t b = 0; b < s->dim[0]; b++) {
            const fn_real *x = (const fn_real *)a->run.in[0] + (b * channels + c) * area;
            for (int64_t i = 0; i < area; i++) {
                sums[1 + c - first] += (double)x[i];
                sums[1 + n + c - first] += (double)x[i] * (double)x[i];
            }
        }
    if (a->pass->reduce)
        a->pass->reduce(a->pass->user, sums, (int)(1 + 2 * n));
    for (int64_t c = 0; c < n; c++) {
        mean[c] = sums[1 + c] / sums[0];
        variance[c] = fmax(sums[1 + n + c] / sums[0] - mean[c] * mean[c], 0);
    }
    return sums[0];
}

/// The running variance is the unbiased one. Inputs 3 and 4 are the running statistics, which this updates.
static void train_batch_norm(const fn_train_args *a) {
    const fn_shape *s = &a->run.in_shape[0];
    const fn_real *scale = a->run.in[1], *bias = a->run.in[2];
    fn_real *running_mean = (fn_real *)a->run.in[3], *running_variance = (fn_real *)a->run.in[4];
    int64_t channels = s->dim[1], area = area_of(s);
    fn_real *mean = a->saved, *inverse = mean + channels, *count = inverse + channels;
    double epsilon = (double)fn_node_float(a->run.node, "epsilon", 1e-5F),
           momentum = (double)a->pass->momentum;
    int frozen = a->pass->frozen_norms;
    *count = 0;
    for (int64_t first = 0; first < channels; first += CHANNELS) {
        int64_t end = first + CHANNELS < channels ? first + CHANNELS : channels;
        double m[CHANNELS], v[CHANNELS], n = frozen ? 0 : batch_statistics(a, first, end, m, v);
        *count = (fn_real)n;
        for (int64_t c = first; c < end; c++) {
            double mu = frozen ? (double)running_mean[c] : m[c - first];
            double var = frozen ? (double)running_variance[c] : v[c - first];
            mean[c] = (fn_real)mu;
            inverse[c] = (fn_real)(1 / sqrt(var + epsilon));
            if (frozen || !(momentum > 0))
                continue;
            double unbiased = n > 1 ? var * n / (n - 1) : var;
            running_mean[c] = (fn_real)((1 - momentum) * (double)running_mean[c] + momentum * mu);
            running_variance[c] =
                (fn_real)((1 - momentum) * (double)running_variance[c] + momentum * unbiased);
        }
    }
    const fn_real *x = a->run.in[0];
    fn_real *y = a->run.out[0];
    for (int64_t b = 0; b < s->dim[0]; b++)
        for (int64_t c = 0; c < channels; c++) {
            fn_real k = scale[c] * inverse[c];
            for (int64_t i = 0; i < area; i++, x++)
                *y++ = (*x - mean[c]) * k + bias[c];
        }
}

/// With h = (x - mean) / deviation: d bias = sum dy, d scale = sum dy h, and
/// dx = scale / deviation (dy - mean of dy - h * mean of dy h), without the means where the statistics are
/// given. The means go over all processes, the gradients of the parameters over this one's share.
static void backward_batch_norm(const fn_grad_args *a) {
    const fn_shape *s = &a->run.in_shape[0];
    const fn_real *x = a->run.in[0], *scale = a->run.in[1], *dy = a->dout[0];
    int64_t channels = s->dim[1], area = area_of(s);
    const fn_real *mean = a->saved, *inverse = mean + channels, *count = inverse + channels;
    fn_real *dx = a->din[0], *dscale = a->din[1], *dbias = a->din[2];
    for (int64_t first = 0; first < channels; first += CHANNELS) {
        int64_t n = channels - first < CHANNELS ? channels - first : CHANNELS;
        double sums[2 * CHANNELS] = {0}; // of dy, of dy h
        for (int64_t k = 0; k < n; k++)
            for (int64_t b = 0; b < s->dim[0]; b++) {
                int64_t c = first + k, at = (b * channels + c) * area;
                for (int64_t i = at; i < at + area; i++) {
                    sums[k] += (double)dy[i];
                    sums[n + k] += (double)dy[i] * ((double)x[i] - (double)mean[c]) * (double)inverse[c];
                }
            }
        for (int64_t k = 0; k < n; k++) {
            if (dscale)
                dscale[first + k] += (fn_real)sums[n + k];
            if (dbias)
                dbias[first + k] += (fn_real)sums[k];
        }
        if (*count > 0 && a->pass->reduce)
            a->pass->reduce(a->pass->user, sums, (int)(2 * n));
        for (int64_t k = 0; dx && k < n; k++)
            for (int64_t b = 0; b < s->dim[0]; b++) {
                int64_t c = first + k, at = (b * channels + c) * area;
                double mean_dy = *count > 0 ? sums[k] / (double)*count : 0;
                double mean_dyh = *count > 0 ? sums[n + k] / (double)*count : 0;
                for (int64_t i = at; i < at + area; i++) {
                    double h = ((double)x[i] - (double)mean[c]) * (double)inverse[c];
                    dx[i] += (fn_real)((double)scale[c] * (double)inverse[c] *
                                       ((double)dy[i] - mean_dy - h * mean_dyh));
                }
            }
    }
}

static int64_t axis_of(const fn_node *node, const fn_shape *x) {
    int64_t axis = fn_node_int(node, "axis", -1);
    return axis < 0 ? axis + x->rank : axis;
}

static int infer_softmax(const fn_infer_args *a) {
    int64_t axis = axis_of(a->node, &a->in[0].shape);
    if (axis < 0 || axis >= a->in[0].shape.rank)
        return fn_infer_fail(a, "no axis %lld", (long long)axis);
    return fn_infer_same(a);
}

static void forward_softmax(const fn_run_args *a) {
    const fn_shape *s = &a->in_shape[0];
    int64_t axis = axis_of(a->node, s), outer = 1, inner = 1, n = s->dim[axis];
    for (int i = 0; i < axis; i++)
        outer *= s->dim[i];
    for (int i = (int)axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const fn_real *x = (const fn_real *)a->in[0] + o * n * inner + i;
            fn_real *y = (fn_real *)a->out[0] + o * n * inner + i;
            fn_real most = x[0], sum = 0;
            for (int64_t k = 1; k < n; k++)
                most = x[k * inner] > most ? x[k * inner] : most;
            for (int64_t k = 0; k < n; k++)
                sum += y[k * inner] = (fn_real)exp((double)(x[k * inner] - most));
            for (int64_t k = 0; k < n; k++)
                y[k * inner] /= sum;
        }
}

/// dx = y (dy - sum of dy y) along the axis.
static void backward_softmax(const fn_grad_args *a) {
    const fn_shape *s = &a->run.in_shape[0];
    int64_t axis = axis_of(a->run.node, s), inner = 1, n = s->dim[axis];
    for (int i = (int)axis + 1; i < s->rank; i++)
        inner *= s->dim[i];
    int64_t outer = fn_shape_count(s) / (n * inner);
    for (int64_t o = 0; a->din[0] && o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t at = o * n * inner + i;
            const fn_real *y = (const fn_real *)a->run.out[0] + at, *dy = (const fn_real *)a->dout[0] + at;
            fn_real *dx = (fn_real *)a->din[0] + at;
            double sum = 0;
            for (int64_t k = 0; k < n; k++)
                sum += (double)dy[k * inner] * (double)y[k * inner];
            for (int64_t k = 0; k < n; k++)
                dx[k * inner] += (fn_real)((double)y[k * inner] * ((double)dy[k * inner] - sum));
        }
}

const fn_op_def FN_OP(batch_norm) = {.name = "BatchNormalization",
                                     .min_inputs = 5,
                                     .max_inputs = 5,
                                     .infer = infer_batch_norm,
                                     .forward = forward_batch_norm,
                                     .trainable = 1U << 1 | 1U << 2,
                                     .statistics = 1U << 3 | 1U << 4,
                                     .backward = backward_batch_norm,
                                     .forward_train = train_batch_norm,
                                     .saved = saved_batch_norm};
const fn_op_def FN_OP(softmax) = {.name = "Softmax",
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .infer = infer_softmax,
                                  .forward = forward_softmax,
                                  .backward = backward_softmax};
