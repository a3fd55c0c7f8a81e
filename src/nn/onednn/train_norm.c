// SPDX-License-Identifier: Apache-2.0
//
// Batch-norm with the statistics of the batch (Ioffe and Szegedy 2015), where oneDNN's own sums will not do:
// they are floats in an order that depends on the number of threads, and the last bit of a mean decides on
// which side of a relu's edge a number falls, which is a part of the gradient. Here sums are doubles, over
// pieces of a fixed size added in order, whatever the number of threads; over processes they differ in the
// last bit of a double. oneDNN then normalises with what is found. Blocked activations, float or bfloat16.
#include "base/cpu.h"
#include "kernels/norm.h"
#include "nn/onednn/train.h"

#include <math.h>
#include <string.h>

/// Rows that are summed at once, or one image where it has more.
enum { PIECE = 512 };

/// A blocked tensor: (images, blocks, area, lanes), cut into pieces of `step` images.
typedef struct cut {
    int64_t images, channels, blocks, area, lanes, step, pieces;
    size_t plane; // bytes of one block of one image
    const fn_norm_kernels *kernels;
} cut;

static cut cut_of(const dnnl_memory_desc_t *md) {
    int64_t lanes = md->format_desc.blocking.inner_blks[0];
    int is_bf16 = md->data_type == dnnl_bf16;
    cut c = {.images = md->dims[0],
             .channels = md->dims[1],
             .blocks = md->padded_dims[1] / lanes,
             .area = md->dims[2] * md->dims[3],
             .lanes = lanes,
             .kernels = fn_norm_choose(fn_cpu_flags(), (int)lanes, is_bf16)};
    c.step = c.area < PIECE ? PIECE / c.area : 1;
    c.pieces = (c.images + c.step - 1) / c.step;
    c.plane = (size_t)(c.area * lanes) * (is_bf16 ? sizeof(uint16_t) : sizeof(float));
    return c;
}

/// Doubles: the count, two sums per channel; and two per channel and piece, padded channels included.
static int64_t sums_size(const cut *c) {
    return 1 + 2 * c->channels + 2 * c->pieces * c->blocks * c->lanes;
}

dnnl_memory_desc_t fn_dnnl_norm_sums(const dnnl_memory_desc_t *md) {
    cut c = cut_of(md);
    return fn_dnnl_plain(&(fn_shape){1, {sums_size(&c) * (int64_t)(sizeof(double) / sizeof(float))}});
}

/// total (1 + 2 channels) = the count, sums of x and x x; or with dy, of dy and dy x. What follows it holds
/// the pieces.
static void sum_up(const cut *c, double *total, const char *x, const char *dy, const char *y) {
    double *pieces = total + 1 + 2 * c->channels;
    const int64_t width = 2 * c->blocks * c->lanes;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < c->pieces; p++)
        for (int64_t b = 0; b < c->blocks; b++) {
            double *sums = pieces + p * width + 2 * b * c->lanes;
            const int64_t end = (p + 1) * c->step < c->images ? (p + 1) * c->step : c->images;
            memset(sums, 0, (size_t)(2 * c->lanes) * sizeof *sums);
            for (int64_t i = p * c->step; i < end; i++) {
                const size_t at = (size_t)(i * c->blocks + b) * c->plane;
                if (dy)
                    c->kernels->gradient_sums(sums, x + at, dy + at, y ? y + at : NULL, (size_t)c->area);
                else
                    c->kernels->sums(sums, x + at, (size_t)c->area);
            }
        }
    memset(total, 0, (size_t)(1 + 2 * c->channels) * sizeof *total);
    total[0] = (double)(c->images * c->area);
    for (int64_t p = 0; p < c->pieces; p++)
        for (int64_t i = 0; i < c->channels; i++) {
            const double *sums = pieces + p * width + 2 * (i - i % c->lanes) + i % c->lanes;
            total[1 + i] += sums[0];
            total[1 + c->channels + i] += sums[c->lanes];
        }
}

/// The running variance is the unbiased one.
void fn_dnnl_norm_statistics(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_pass *pass = ((const fn_dnnl_context *)context)->pass;
    const cut c = cut_of(&step->operands[0].md);
    float *mean = at[1], *variance = at[2], *running_mean = at[3], *running_variance = at[4];
    double *total = at[5], momentum = (double)pass->momentum;
    sum_up(&c, total, at[0], NULL, NULL);
    if (pass->reduce)
        pass->reduce(pass->user, total, (int)(1 + 2 * c.channels));
    const double n = total[0];
    for (int64_t i = 0; i < c.channels; i++) {
        const double m = total[1 + i] / n, v = fmax(total[1 + c.channels + i] / n - m * m, 0);
        mean[i] = (float)m;
        variance[i] = (float)v;
        if (!(momentum > 0))
            continue;
        const double unbiased = n > 1 ? v * n / (n - 1) : v;
        running_mean[i] = (float)((1 - momentum) * (double)running_mean[i] + momentum * m);
        running_variance[i] = (float)((1 - momentum) * (double)running_variance[i] + momentum * unbiased);
    }
}

/// With h = (x - mean) / deviation: d shift = sum dy, d scale = sum dy h, and
/// dx = scale / deviation (dy - mean of dy - h * mean of dy h). The means go over all processes, the
/// gradients of the parameters over this one's share.
void fn_dnnl_norm_backward(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_pass *pass = ((const fn_dnnl_context *)context)->pass;
    const cut c = cut_of(&step->operands[0].md);
    const double epsilon = (double)fn_node_float(step->node, "epsilon", 1e-5F);
    const char *x = at[0], *dy = at[1], *y = at[2];
    const float *mean = at[3], *variance = at[4], *scale = at[5];
    float *d_scale = at[6], *d_shift = at[7];
    char *dx = at[8];
    double *total = at[9], *of_dy = total + 1, *of_dyx = of_dy + c.channels;
    sum_up(&c, total, x, dy, y);
    for (int64_t i = 0; i < c.channels; i++) {
        if (d_scale)
            d_scale[i] +=
                (float)((of_dyx[i] - (double)mean[i] * of_dy[i]) / sqrt((double)variance[i] + epsilon));
        if (d_shift)
            d_shift[i] += (float)of_dy[i];
    }
    if (pass->reduce)
        pass->reduce(pass->user, total, (int)(1 + 2 * c.channels));
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < (dx ? c.pieces : 0); p++)
        for (int64_t b = 0; b < c.blocks; b++) {
            float factors[4 * FN_NORM_LANES] = {0};
            const int64_t end = (p + 1) * c.step < c.images ? (p + 1) * c.step : c.images;
            for (int64_t k = 0, i = b * c.lanes; k < c.lanes && i < c.channels; k++, i++) {
                const double inverse = 1 / ((double)variance[i] + epsilon);
                const double weight = (double)scale[i] * sqrt(inverse);
                const double dyh = (of_dyx[i] - (double)mean[i] * of_dy[i]) * inverse;
                factors[k] = (float)weight;
                factors[c.lanes + k] = (float)(weight * of_dy[i] / total[0]);
                factors[2 * c.lanes + k] = (float)(weight * dyh / total[0]);
                factors[3 * c.lanes + k] = mean[i];
            }
            for (int64_t i = p * c.step; i < end; i++) {
                const size_t from = (size_t)(i * c.blocks + b) * c.plane;
                c.kernels->gradient(dx + from, x + from, dy + from, y ? y + from : NULL, factors,
                                    (size_t)c.area);
            }
        }
}
