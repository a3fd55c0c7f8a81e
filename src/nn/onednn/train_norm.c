// SPDX-License-Identifier: Apache-2.0
//
// Batch-norm with the statistics of the batch (Ioffe and Szegedy 2015), where oneDNN's own will not do: its
// sums are floats in an order that depends on the number of threads, and the last bit of a mean decides on
// which side of a relu's edge a number falls, which is a part of the gradient. Here sums are doubles, over
// pieces of a fixed size added in order, whatever the number of threads; over processes they differ in the
// last bit of a double, which few floats ever see. Blocked activations, float or bfloat16.
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

static int64_t piece_end(const cut *c, int64_t piece) {
    return (piece + 1) * c->step < c->images ? (piece + 1) * c->step : c->images;
}

static int64_t factors_size(const cut *c) {
    return FN_NORM_FACTORS * c->blocks * c->lanes;
}

/// The count and two sums per channel; two per channel and piece, padded channels included; and factors.
dnnl_memory_desc_t fn_dnnl_norm_scratch(const dnnl_memory_desc_t *md) {
    const cut c = cut_of(md);
    const int64_t n_doubles = 1 + 2 * c.channels + 2 * c.pieces * c.blocks * c.lanes;
    return fn_dnnl_plain(
        &(fn_shape){1, {n_doubles * (int64_t)(sizeof(double) / sizeof(float)) + factors_size(&c)}});
}

typedef struct scratch {
    double *total, *pieces;
    float *factors;
} scratch;

static scratch scratch_of(const cut *c, void *memory) {
    scratch s = {.total = memory};
    s.pieces = s.total + 1 + 2 * c->channels;
    s.factors = (float *)(s.pieces + 2 * c->pieces * c->blocks * c->lanes);
    return s;
}

/// The factors of block b.
static float *factors_of(const cut *c, const scratch *s, int64_t b) {
    return s->factors + FN_NORM_FACTORS * b * c->lanes;
}

static float *factor_at(const cut *c, const scratch *s, int factor, int64_t channel) {
    return factors_of(c, s, channel / c->lanes) + factor * c->lanes + channel % c->lanes;
}

/// Where the arithmetic of results begins, the same on the way back.
static void set_factors(const cut *c, const scratch *s, const float *mean, const float *variance,
                        const float *scale, const float *shift, double epsilon) {
    memset(s->factors, 0, (size_t)factors_size(c) * sizeof *s->factors);
    for (int64_t i = 0; i < c->channels; i++) {
        *factor_at(c, s, FN_NORM_MEAN, i) = mean[i];
        *factor_at(c, s, FN_NORM_WEIGHT, i) = (float)((double)scale[i] / sqrt((double)variance[i] + epsilon));
        *factor_at(c, s, FN_NORM_SHIFT, i) = shift[i];
    }
}

/// total (1 + 2 channels) = the count, sums of x and x x; or with dy, of dy and dy x.
static void sum_up(const cut *c, const scratch *s, const char *x, const char *dy, int relu) {
    const int64_t width = 2 * c->blocks * c->lanes;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t p = 0; p < c->pieces; p++)
        for (int64_t b = 0; b < c->blocks; b++) {
            double *sums = s->pieces + p * width + 2 * b * c->lanes;
            memset(sums, 0, (size_t)(2 * c->lanes) * sizeof *sums);
            for (int64_t i = p * c->step; i < piece_end(c, p); i++) {
                const size_t at = (size_t)(i * c->blocks + b) * c->plane;
                if (dy)
                    c->kernels->gradient_sums(sums, x + at, dy + at, factors_of(c, s, b), relu,
                                              (size_t)c->area);
                else
                    c->kernels->sums(sums, x + at, (size_t)c->area);
            }
        }
    memset(s->total, 0, (size_t)(1 + 2 * c->channels) * sizeof *s->total);
    s->total[0] = (double)(c->images * c->area);
    for (int64_t p = 0; p < c->pieces; p++)
        for (int64_t i = 0; i < c->channels; i++) {
            const double *sums = s->pieces + p * width + 2 * (i - i % c->lanes) + i % c->lanes;
            s->total[1 + i] += sums[0];
            s->total[1 + c->channels + i] += sums[c->lanes];
        }
}

/// Mean and biased variance over all processes; the running variance is the unbiased one.
static void find_statistics(const cut *c, const scratch *s, const fn_pass *pass, float *mean, float *variance,
                            float *running_mean, float *running_variance) {
    const double momentum = (double)pass->momentum;
    if (pass->reduce)
        pass->reduce(pass->user, s->total, (int)(1 + 2 * c->channels));
    const double n = s->total[0];
    for (int64_t i = 0; i < c->channels; i++) {
        const double m = s->total[1 + i] / n, v = fmax(s->total[1 + c->channels + i] / n - m * m, 0);
        mean[i] = (float)m;
        variance[i] = (float)v;
        if (!(momentum > 0))
            continue;
        const double unbiased = n > 1 ? v * n / (n - 1) : v;
        running_mean[i] = (float)((1 - momentum) * (double)running_mean[i] + momentum * m);
        running_variance[i] = (float)((1 - momentum) * (double)running_variance[i] + momentum * unbiased);
    }
}

void fn_dnnl_norm(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_pass *pass = ((const fn_dnnl_context *)context)->pass;
    const cut c = cut_of(&step->operands[0].md);
    const scratch s = scratch_of(&c, at[8]);
    const int relu = step->number;
    const char *x = at[0];
    char *y = at[1];
    sum_up(&c, &s, x, NULL, 0);
    find_statistics(&c, &s, pass, at[2], at[3], at[6], at[7]);
    set_factors(&c, &s, at[2], at[3], at[4], at[5], (double)fn_node_float(step->node, "epsilon", 1e-5F));
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < c.images; i++)
        for (int64_t b = 0; b < c.blocks; b++) {
            const size_t plane = (size_t)(i * c.blocks + b) * c.plane;
            c.kernels->apply(y + plane, x + plane, factors_of(&c, &s, b), relu, (size_t)c.area);
        }
}

/// With h = (x - mean) / deviation: d shift = sum dy, d scale = sum dy h, and
/// dx = scale / deviation (dy - mean of dy - h * mean of dy h). The means go over all processes, the
/// gradients of the parameters over this one's share.
void fn_dnnl_norm_backward(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_pass *pass = ((const fn_dnnl_context *)context)->pass;
    const cut c = cut_of(&step->operands[0].md);
    const scratch s = scratch_of(&c, at[9]);
    const double epsilon = (double)fn_node_float(step->node, "epsilon", 1e-5F);
    const int relu = step->number;
    const char *x = at[0], *dy = at[1];
    const float *mean = at[2], *variance = at[3];
    float *d_scale = at[6], *d_shift = at[7];
    char *dx = at[8];
    const double *of_dy = s.total + 1, *of_dyx = of_dy + c.channels;
    set_factors(&c, &s, mean, variance, at[4], at[5], epsilon);
    sum_up(&c, &s, x, dy, relu);
    for (int64_t i = 0; i < c.channels; i++) {
        const double dyh = (of_dyx[i] - (double)mean[i] * of_dy[i]) / sqrt((double)variance[i] + epsilon);
        if (d_scale)
            d_scale[i] += (float)dyh;
        if (d_shift)
            d_shift[i] += (float)of_dy[i];
    }
    if (pass->reduce)
        pass->reduce(pass->user, s.total, (int)(1 + 2 * c.channels));
    if (!dx)
        return;
    for (int64_t i = 0; i < c.channels; i++) {
        const double weight = (double)*factor_at(&c, &s, FN_NORM_WEIGHT, i) / s.total[0];
        const double dyh = (of_dyx[i] - (double)mean[i] * of_dy[i]) / ((double)variance[i] + epsilon);
        *factor_at(&c, &s, FN_NORM_A, i) = (float)(weight * of_dy[i]);
        *factor_at(&c, &s, FN_NORM_B, i) = (float)(weight * dyh);
    }
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t i = 0; i < c.images; i++)
        for (int64_t b = 0; b < c.blocks; b++) {
            const size_t plane = (size_t)(i * c.blocks + b) * c.plane;
            c.kernels->gradient(dx + plane, x + plane, dy + plane, factors_of(&c, &s, b), relu,
                                (size_t)c.area);
        }
}
