// SPDX-License-Identifier: Apache-2.0
//
// Plain functions among the steps of a training plan. Loops over whole planes or channels, so that the result
// does not depend on the number of threads.
#include "nn/onednn/train.h"

#include <math.h>
#include <string.h>

void fn_dnnl_zero(const fn_dnnl_step *step, void *const *at, const void *context) {
    (void)context;
    memset(at[0], 0, dnnl_memory_desc_get_size(&step->operands[0].md));
}

void fn_dnnl_accumulate(const fn_dnnl_step *step, void *const *at, const void *context) {
    const float *from = at[0];
    float *to = at[1];
    size_t n = dnnl_memory_desc_get_size(&step->operands[0].md) / sizeof *from;
    (void)context;
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

void fn_dnnl_ready(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_dnnl_context *c = context;
    const fn_parameter *p = &c->train->parameters->trained[step->number];
    (void)at;
    if (c->pass->ready)
        c->pass->ready(c->pass->user, p->offset, p->count);
}

/// The planes of a blocked tensor: (batch x blocks, height, width, block) floats.
typedef struct planes {
    int64_t n, height, width, block;
} planes;

static planes planes_of(const dnnl_memory_desc_t *md) {
    int64_t block = md->format_desc.blocking.inner_blks[0];
    return (planes){md->dims[0] * (md->padded_dims[1] / block), md->dims[2], md->dims[3], block};
}

static fn_window pool_window(const fn_node *node, const planes *x) {
    fn_window w;
    fn_window_of(&w, node, fn_node_attr(node, "kernel_shape")->ints, x->height, x->width); // fitted before
    return w;
}

/// The part of a window that lies on the input.
static void clipped(int64_t out, int axis, const fn_window *w, int64_t size, int64_t *first, int64_t *end) {
    *first = out * w->stride[axis] - w->pad[axis];
    *end = *first + w->kernel[axis];
    if (*first < 0)
        *first = 0;
    if (*end > size)
        *end = size;
}

void fn_dnnl_l2_pool(const fn_dnnl_step *step, void *const *at, const void *context) {
    planes x = planes_of(&step->operands[0].md), y = planes_of(&step->operands[1].md);
    fn_window w = pool_window(step->node, &x);
    (void)context;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < x.n; p++) {
        const float *src = (const float *)at[0] + p * x.height * x.width * x.block;
        float *dst = (float *)at[1] + p * y.height * y.width * x.block;
        for (int64_t oy = 0; oy < y.height; oy++)
            for (int64_t ox = 0; ox < y.width; ox++, dst += x.block) {
                int64_t y0, y1, x0, x1;
                float sum[16] = {0};
                clipped(oy, 0, &w, x.height, &y0, &y1);
                clipped(ox, 1, &w, x.width, &x0, &x1);
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++) {
                        const float *v = src + (iy * x.width + ix) * x.block;
                        for (int64_t c = 0; c < x.block; c++)
                            sum[c] += v[c] * v[c];
                    }
                for (int64_t c = 0; c < x.block; c++)
                    dst[c] = sqrtf(sum[c]);
            }
    }
}

/// dx += x dy / y over the windows that x lies in; a window of zeros passes nothing.
void fn_dnnl_l2_pool_backward(const fn_dnnl_step *step, void *const *at, const void *context) {
    planes x = planes_of(&step->operands[0].md), y = planes_of(&step->operands[1].md);
    fn_window w = pool_window(step->node, &x);
    (void)context;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < x.n; p++) {
        const float *src = (const float *)at[0] + p * x.height * x.width * x.block;
        const float *out = (const float *)at[1] + p * y.height * y.width * x.block;
        const float *dout = (const float *)at[2] + p * y.height * y.width * x.block;
        float *dsrc = (float *)at[3] + p * x.height * x.width * x.block;
        memset(dsrc, 0, (size_t)(x.height * x.width * x.block) * sizeof *dsrc);
        for (int64_t oy = 0; oy < y.height; oy++)
            for (int64_t ox = 0; ox < y.width; ox++, out += x.block, dout += x.block) {
                int64_t y0, y1, x0, x1;
                float k[16];
                clipped(oy, 0, &w, x.height, &y0, &y1);
                clipped(ox, 1, &w, x.width, &x0, &x1);
                for (int64_t c = 0; c < x.block; c++)
                    k[c] = out[c] > 0 ? dout[c] / out[c] : 0;
                for (int64_t iy = y0; iy < y1; iy++)
                    for (int64_t ix = x0; ix < x1; ix++) {
                        int64_t i = (iy * x.width + ix) * x.block;
                        for (int64_t c = 0; c < x.block; c++)
                            dsrc[i + c] += src[i + c] * k[c];
                    }
            }
    }
}

void fn_dnnl_reference_train(const fn_dnnl_step *step, void *const *at, const void *context) {
    const void *in[FN_MAX_INPUTS];
    fn_shape in_shape[FN_MAX_INPUTS];
    const fn_dnnl_context *c = context;
    fn_pass own = *c->pass;
    own.frozen_norms |= fn_parameters_norm_is_frozen(c->train->parameters, step->node);
    fn_train_args args = {.run = fn_dnnl_run_args(step, at, in_shape, in),
                          .pass = &own,
                          .index = step->number,
                          .saved = at[step->node->n_inputs + 1]};
    if (step->node->op->forward_train)
        step->node->op->forward_train(&args);
    else
        step->node->op->forward(&args.run);
}

void fn_dnnl_reference_backward(const fn_dnnl_step *step, void *const *at, const void *context) {
    const void *in[FN_MAX_INPUTS];
    fn_shape in_shape[FN_MAX_INPUTS];
    int n = step->node->n_inputs;
    for (int k = 0; k < n; k++) // buffers begin at zero; gradients of parameters are summed where they are
        if (step->operands[n + 3 + k].place == FN_DNNL_BUFFER)
            memset(at[n + 3 + k], 0, dnnl_memory_desc_get_size(&step->operands[n + 3 + k].md));
    fn_grad_args args = {.run = fn_dnnl_run_args(step, at, in_shape, in),
                         .pass = ((const fn_dnnl_context *)context)->pass,
                         .index = step->number,
                         .saved = at[n + 1],
                         .dout = (const void *const *)(at + n + 2),
                         .din = at + n + 3};
    step->node->op->backward(&args);
}
