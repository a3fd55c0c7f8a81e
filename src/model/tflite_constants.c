// SPDX-License-Identifier: Apache-2.0
//
// Constants of a TensorFlow Lite file as constants of a graph: 32 and 16 bit floats become float32, and
// the channels, last in the file, come before height and width.
#include "model/tflite_importer.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

static float half_to_float(unsigned half) {
    unsigned exponent = half >> 10 & 31, fraction = half & 1023;
    float value = exponent == 31  ? (fraction ? NAN : INFINITY)
                  : exponent == 0 ? ldexpf((float)fraction, -24)
                                  : ldexpf((float)(fraction + 1024), (int)exponent - 25);
    return half >> 15 ? -value : value;
}

/// Number i of a float tensor.
static float float_at(const fn_tflite_tensor *t, size_t i) {
    if (t->type == FN_TFLITE_FLOAT16)
        return half_to_float((unsigned)t->data[2 * i] | (unsigned)t->data[2 * i + 1] << 8);
    const unsigned char *p = t->data + 4 * i;
    uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

int fn_tflite_constant(fn_tflite_importer *im, const fn_tflite_tensor *t, int64_t outer, int64_t area,
                       int64_t channels, float factor, fn_shape shape) {
    fn_graph *g = im->graph;
    if (g->failed)
        return -1;
    if (!t->data || (t->type != FN_TFLITE_FLOAT32 && t->type != FN_TFLITE_FLOAT16))
        return fn_graph_fail(g, FN_EUNSUPPORTED, "'%.80s' should be a constant of 32 or 16 bit floats",
                             t->name);
    size_t n = (size_t)fn_shape_count(&t->shape), n_area = (size_t)area, n_channels = (size_t)channels;
    if (n > im->budget)
        return fn_graph_fail(g, FN_ELIMIT, "the constants take more room than the file has");
    im->budget -= n;
    float *data = fn_calloc(n, sizeof *data);
    if (!data)
        return fn_graph_fail(g, FN_ENOMEM, "out of memory");
    int finite = 1;
    for (size_t o = 0, src = 0; o < (size_t)outer; o++)
        for (size_t p = 0; p < n_area; p++)
            for (size_t c = 0; c < n_channels; c++, src++) {
                float value = factor * float_at(t, src);
                finite &= isfinite(value) != 0;
                data[(o * n_channels + c) * n_area + p] = value;
            }
    // A constant that is used twice is written twice; the second gets a name of its own.
    const char *name = fn_graph_find(g, t->name) < 0 ? t->name : NULL;
    int value = finite ? fn_graph_constant(g, name, FN_F32, shape, data)
                       : fn_graph_fail(g, FN_EFORMAT, "'%.80s' holds a number that is not finite", t->name);
    fn_free(data);
    return value;
}

int fn_tflite_channel_constant(fn_tflite_importer *im, const fn_tflite_op *op, const fn_tflite_tensor *t,
                               int64_t channels, float factor) {
    int rank = t->shape.rank;
    if (rank < 1 || t->shape.dim[rank - 1] != channels || fn_shape_count(&t->shape) != channels)
        return fn_tflite_wrong(im, op, "one number per channel is needed");
    return fn_tflite_constant(im, t, 1, 1, channels, factor, (fn_shape){3, {channels, 1, 1}});
}

int fn_tflite_value(fn_tflite_importer *im, const fn_tflite_op *op, int i, int rank) {
    const fn_tflite_tensor *t = fn_tflite_input(im, op, i);
    if (!t)
        return fn_tflite_wrong(im, op, "an input is missing");
    if (!t->data) {
        int value = im->value[op->inputs[i]];
        return value < 0
                   ? fn_graph_fail(im->graph, FN_EFORMAT, "'%.80s' is read before it is computed", t->name)
                   : value;
    }
    if (rank != 4 || t->shape.rank == 0)
        return fn_tflite_constant(im, t, 1, 1, fn_shape_count(&t->shape), 1.0F, t->shape);
    // (.., H, W, C) beside a picture is (C, H, W) in the graph.
    int64_t dim[3] = {1, 1, 1};
    for (int k = 0; k < t->shape.rank; k++) {
        int at = k - t->shape.rank + 3;
        if (at >= 0)
            dim[at] = t->shape.dim[k];
        else if (t->shape.dim[k] != 1)
            return fn_tflite_wrong(im, op, "a constant with a batch is not supported");
    }
    return fn_tflite_constant(im, t, 1, dim[0] * dim[1], dim[2], 1.0F,
                              (fn_shape){3, {dim[2], dim[0], dim[1]}});
}
