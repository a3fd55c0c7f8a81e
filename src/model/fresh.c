// SPDX-License-Identifier: Apache-2.0
//
// Layers with freshly drawn weights: sizes by arithmetic, constants by name, numbers by Philox.
#include "model/fresh.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>

enum { MAX_NAME = 128 };

static int constant(fn_fresh *f, const char *name, const char *what, fn_shape shape, const float *data) {
    char text[MAX_NAME];
    snprintf(text, sizeof text, "%.100s_%s", name, what);
    return fn_graph_constant(f->graph, text, FN_F32, shape, data);
}

/// All numbers alike.
static int filled(fn_fresh *f, const char *name, const char *what, fn_shape shape, float number) {
    size_t n = (size_t)fn_shape_count(&shape);
    float *data = f->graph->failed ? NULL : fn_calloc(n, sizeof *data);
    if (!data)
        return fn_graph_fail(f->graph, FN_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        data[i] = number;
    int value = constant(f, name, what, shape, data);
    fn_free(data);
    return value;
}

static int drawn(fn_fresh *f, const char *name, fn_shape shape, double variance) {
    size_t n = (size_t)fn_shape_count(&shape);
    float *data = f->graph->failed ? NULL : fn_calloc(n, sizeof *data);
    if (!data)
        return fn_graph_fail(f->graph, FN_ENOMEM, "out of memory");
    fn_rng rng = fn_rng_at(f->options.seed, FN_STREAM_WEIGHTS, f->n_drawn++);
    float deviation = (float)sqrt(variance);
    for (size_t i = 0; i < n && !f->options.blank; i++)
        data[i] = deviation * fn_rng_normal(&rng);
    int value = constant(f, name, "w", shape, data);
    fn_free(data);
    return value;
}

/// Sizes after a window; the graph fails where it does not fit.
static void slide(fn_fresh *f, const char *name, fn_map *x, const int kernel[2], int stride,
                  const int pad[2]) {
    int *size[2] = {&x->height, &x->width};
    for (int i = 0; i < 2; i++) {
        int room = *size[i] + 2 * pad[i] - kernel[i];
        if (room < 0)
            fn_graph_fail(
                f->graph, FN_EMODEL,
                "layer '%.80s': a map of %d x %d is smaller than its window: the input must be larger", name,
                x->width, x->height);
        *size[i] = room < 0 ? 1 : room / stride + 1;
    }
}

fn_map fn_fresh_input(fn_fresh *f, int channels, int height, int width) {
    int value = fn_graph_input(f->graph, "input", fn_shape_make(4, -1, channels, height, width));
    return (fn_map){value, channels, height, width};
}

fn_map fn_fresh_conv(fn_fresh *f, const char *name, fn_map x, int out, const fn_conv_form *form) {
    int in = form->depthwise ? 1 : x.channels, stride = form->stride ? form->stride : 1;
    int w = drawn(f, name, fn_shape_make(4, out, in, form->kernel[0], form->kernel[1]),
                  2.0 / (in * form->kernel[0] * form->kernel[1]));
    int b = f->bias ? filled(f, name, "b", fn_shape_make(1, out), 0) : -1;
    x.value = fn_conv(f->graph, name, x.value, w, b,
                      &(fn_conv_attrs){.stride = {stride, stride},
                                       .pad = {form->pad[0], form->pad[1], form->pad[0], form->pad[1]},
                                       .group = form->depthwise ? x.channels : 1});
    slide(f, name, &x, form->kernel, stride, form->pad);
    x.channels = out;
    return x;
}

fn_map fn_fresh_square(fn_fresh *f, const char *name, fn_map x, int out, int size, int stride, int pad) {
    return fn_fresh_conv(f, name, x, out,
                         &(fn_conv_form){.kernel = {size, size}, .stride = stride, .pad = {pad, pad}});
}

fn_map fn_fresh_norm(fn_fresh *f, const char *name, fn_map x) {
    fn_shape shape = fn_shape_make(1, x.channels);
    int w = filled(f, name, "w", shape, 1), b = filled(f, name, "b", shape, 0);
    int m = filled(f, name, "m", shape, 0), v = filled(f, name, "v", shape, 1);
    x.value = fn_batch_norm(f->graph, name, x.value, w, b, m, v, f->epsilon);
    return x;
}

fn_map fn_fresh_relu(fn_fresh *f, const char *name, fn_map x) {
    x.value = fn_relu(f->graph, name, x.value);
    return x;
}

fn_map fn_fresh_prelu(fn_fresh *f, const char *name, fn_map x) {
    x.value =
        fn_prelu(f->graph, name, x.value, filled(f, name, "w", fn_shape_make(3, x.channels, 1, 1), 0.25F));
    return x;
}

static fn_map pool(fn_fresh *f,
                   int (*layer)(fn_graph *g, const char *name, int x, int kernel, int stride, const int *pad),
                   const char *name, fn_map x, int size, int stride, int pad) {
    x.value = layer(f->graph, name, x.value, size, stride, (int[4]){pad, pad, pad, pad});
    slide(f, name, &x, (int[2]){size, size}, stride, (int[2]){pad, pad});
    return x;
}

fn_map fn_fresh_max_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad) {
    return pool(f, fn_max_pool, name, x, size, stride, pad);
}

fn_map fn_fresh_average_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad) {
    return pool(f, fn_average_pool, name, x, size, stride, pad);
}

fn_map fn_fresh_l2_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad) {
    return pool(f, fn_l2_pool, name, x, size, stride, pad);
}

fn_map fn_fresh_lrn(fn_fresh *f, const char *name, fn_map x, int size, float alpha) {
    x.value = fn_lrn(f->graph, name, x.value, size, alpha, 0.75F, 1);
    return x;
}

fn_map fn_fresh_centre(fn_fresh *f, const char *name, fn_map x, int height, int width) {
    int dy = height - x.height, dx = width - x.width;
    if (dy == 0 && dx == 0)
        return x;
    x.value = fn_pad(f->graph, name, x.value, (int[4]){0, 0, dy / 2, dx / 2},
                     (int[4]){0, 0, dy - dy / 2, dx - dx / 2});
    x.height = height;
    x.width = width;
    return x;
}

fn_map fn_fresh_concat(fn_fresh *f, const char *name, const fn_map *maps, int n) {
    int values[FN_MAX_INPUTS];
    fn_map y = maps[0];
    for (int i = 0; i < n; i++)
        values[i] = maps[i].value;
    for (int i = 1; i < n; i++)
        y.channels += maps[i].channels;
    y.value = fn_concat(f->graph, name, values, n, 1);
    return y;
}

fn_map fn_fresh_add(fn_fresh *f, const char *name, fn_map a, fn_map b) {
    a.value = fn_add(f->graph, name, a.value, b.value);
    return a;
}

fn_map fn_fresh_scale(fn_fresh *f, const char *name, fn_map x, float factor) {
    int constant_value = constant(f, name, "factor", fn_shape_make(0), &factor);
    x.value = fn_mul(f->graph, name, x.value, constant_value);
    return x;
}

fn_map fn_fresh_mean(fn_fresh *f, const char *name, fn_map x) {
    char flat[MAX_NAME];
    snprintf(flat, sizeof flat, "%.100s/flat", name);
    x.value = fn_global_average_pool(f->graph, name, x.value);
    x.height = x.width = 1;
    return fn_fresh_flatten(f, flat, x);
}

fn_map fn_fresh_flatten(fn_fresh *f, const char *name, fn_map x) {
    x.value = fn_flatten(f->graph, name, x.value);
    return (fn_map){x.value, x.channels * x.height * x.width, 1, 1};
}

fn_map fn_fresh_dense(fn_fresh *f, const char *name, fn_map x, int out, int bias, int rectified) {
    int w = drawn(f, name, fn_shape_make(2, out, x.channels), (rectified ? 2.0 : 1.0) / x.channels);
    int b = bias ? filled(f, name, "b", fn_shape_make(1, out), 0) : -1;
    x.value = fn_dense(f->graph, name, x.value, w, b);
    x.channels = out;
    return x;
}

fn_map fn_fresh_maxout(fn_fresh *f, const char *name, fn_map x, int out) {
    char larger[MAX_NAME];
    snprintf(larger, sizeof larger, "%.100s/max", name);
    x = fn_fresh_dense(f, name, x, 2 * out, 1, 1);
    x.value = fn_maxout(f->graph, larger, x.value, 2);
    x.channels = out;
    return x;
}

fn_map fn_fresh_last(fn_fresh *f, fn_map x, int bias) {
    if (f->options.dropout > 0)
        x.value = fn_dropout(f->graph, "dropout", x.value, f->options.dropout);
    return fn_fresh_dense(f, "dense", x, f->options.embedding, bias, 0);
}

void fn_fresh_embedding(fn_fresh *f, fn_map x) {
    fn_graph_output(f->graph, fn_l2_normalize(f->graph, "embedding", x.value));
}
