// SPDX-License-Identifier: Apache-2.0
//
// One line per layer: the building functions of graph.h in terms of ONNX operators (opset 13).
#include "nn/graph.h"

#include <stdio.h>
#include <string.h>

static int one(fn_graph *g, const char *op, const char *name, int x) {
    return fn_graph_node(g, op, name, &x, 1, NULL, 0);
}

static int two(fn_graph *g, const char *op, const char *name, int a, int b) {
    return fn_graph_node(g, op, name, (int[]){a, b}, 2, NULL, 0);
}

/// A constant named after its node: "conv1.pads".
static int constant_of(fn_graph *g, const char *node, const char *what, fn_dtype dtype, fn_shape shape,
                       const void *data) {
    char name[256];
    snprintf(name, sizeof name, "%.200s.%s", node ? node : "", what);
    return fn_graph_constant(g, name, dtype, shape, data);
}

int fn_conv(fn_graph *g, const char *name, int x, int weights, int bias, const fn_conv_attrs *a) {
    if (g->failed)
        return -1;
    const fn_shape *w = &g->values[weights].shape;
    if (w->rank != 4)
        return fn_graph_fail(g, FN_EFORMAT, "convolution '%.80s' has no four-dimensional kernel", name);
    int64_t kernel[2] = {w->dim[2], w->dim[3]};
    int64_t stride[2] = {a->stride[0] ? a->stride[0] : 1, a->stride[1] ? a->stride[1] : 1};
    int64_t dilation[2] = {a->dilation[0] ? a->dilation[0] : 1, a->dilation[1] ? a->dilation[1] : 1};
    int64_t pad[4] = {a->pad[0], a->pad[1], a->pad[2], a->pad[3]};
    fn_attr attrs[] = {fn_attr_ints("dilations", dilation, 2), fn_attr_int("group", a->group ? a->group : 1),
                       fn_attr_ints("kernel_shape", kernel, 2), fn_attr_ints("pads", pad, 4),
                       fn_attr_ints("strides", stride, 2)};
    return fn_graph_node(g, "Conv", name, (int[]){x, weights, bias}, bias < 0 ? 2 : 3, attrs, 5);
}

int fn_dense(fn_graph *g, const char *name, int x, int weights, int bias) {
    fn_attr attr = fn_attr_int("transB", 1);
    return fn_graph_node(g, "Gemm", name, (int[]){x, weights, bias}, bias < 0 ? 2 : 3, &attr, 1);
}

int fn_relu(fn_graph *g, const char *name, int x) {
    return one(g, "Relu", name, x);
}

int fn_leaky_relu(fn_graph *g, const char *name, int x, float alpha) {
    fn_attr attr = fn_attr_float("alpha", alpha);
    return fn_graph_node(g, "LeakyRelu", name, &x, 1, &attr, 1);
}

int fn_prelu(fn_graph *g, const char *name, int x, int slope) {
    return two(g, "PRelu", name, x, slope);
}

int fn_clip(fn_graph *g, const char *name, int x, float low, float high) {
    int min = constant_of(g, name, "min", FN_F32, fn_shape_make(0), &low);
    int max = constant_of(g, name, "max", FN_F32, fn_shape_make(0), &high);
    return fn_graph_node(g, "Clip", name, (int[]){x, min, max}, 3, NULL, 0);
}

int fn_sigmoid(fn_graph *g, const char *name, int x) {
    return one(g, "Sigmoid", name, x);
}

int fn_add(fn_graph *g, const char *name, int a, int b) {
    return two(g, "Add", name, a, b);
}

int fn_mul(fn_graph *g, const char *name, int a, int b) {
    return two(g, "Mul", name, a, b);
}

static int pool(fn_graph *g, const char *op, const char *name, int x, int kernel, int stride,
                const int pad[4]) {
    int64_t kernels[2] = {kernel, kernel}, strides[2] = {stride, stride}, pads[4] = {0};
    for (int i = 0; pad && i < 4; i++)
        pads[i] = pad[i];
    fn_attr attrs[] = {fn_attr_ints("kernel_shape", kernels, 2), fn_attr_ints("pads", pads, 4),
                       fn_attr_ints("strides", strides, 2)};
    return fn_graph_node(g, op, name, &x, 1, attrs, 3);
}

int fn_max_pool(fn_graph *g, const char *name, int x, int kernel, int stride, const int pad[4]) {
    return pool(g, "MaxPool", name, x, kernel, stride, pad);
}

int fn_average_pool(fn_graph *g, const char *name, int x, int kernel, int stride, const int pad[4]) {
    return pool(g, "AveragePool", name, x, kernel, stride, pad);
}

int fn_global_average_pool(fn_graph *g, const char *name, int x) {
    return one(g, "GlobalAveragePool", name, x);
}

int fn_pad(fn_graph *g, const char *name, int x, const int before[4], const int after[4]) {
    int64_t pads[8];
    for (int i = 0; i < 4; i++) {
        pads[i] = before[i];
        pads[4 + i] = after[i];
    }
    int constant = constant_of(g, name, "pads", FN_I64, fn_shape_make(1, 8), pads);
    return two(g, "Pad", name, x, constant);
}

int fn_concat(fn_graph *g, const char *name, const int *values, int n, int axis) {
    fn_attr attr = fn_attr_int("axis", axis);
    return fn_graph_node(g, "Concat", name, values, n, &attr, 1);
}

int fn_reshape(fn_graph *g, const char *name, int x, fn_shape shape) {
    int constant = constant_of(g, name, "shape", FN_I64, fn_shape_make(1, shape.rank), shape.dim);
    return two(g, "Reshape", name, x, constant);
}

int fn_flatten(fn_graph *g, const char *name, int x) {
    fn_attr attr = fn_attr_int("axis", 1);
    return fn_graph_node(g, "Flatten", name, &x, 1, &attr, 1);
}

int fn_transpose(fn_graph *g, const char *name, int x, fn_shape order) {
    fn_attr attr = fn_attr_ints("perm", order.dim, order.rank);
    return fn_graph_node(g, "Transpose", name, &x, 1, &attr, 1);
}

int fn_upsample(fn_graph *g, const char *name, int x, int factor) {
    float scales[4] = {1.0F, 1.0F, (float)factor, (float)factor};
    int constant = constant_of(g, name, "scales", FN_F32, fn_shape_make(1, 4), scales);
    fn_attr attrs[] = {fn_attr_string("coordinate_transformation_mode", "half_pixel"),
                       fn_attr_string("mode", "linear")};
    return fn_graph_node(g, "Resize", name, (int[]){x, -1, constant}, 3, attrs, 2);
}

int fn_batch_norm(fn_graph *g, const char *name, int x, int scale, int bias, int mean, int variance,
                  float epsilon) {
    fn_attr attr = fn_attr_float("epsilon", epsilon);
    return fn_graph_node(g, "BatchNormalization", name, (int[]){x, scale, bias, mean, variance}, 5, &attr, 1);
}

int fn_lrn(fn_graph *g, const char *name, int x, int size, float alpha, float beta, float bias) {
    fn_attr attrs[] = {fn_attr_float("alpha", alpha), fn_attr_float("beta", beta),
                       fn_attr_float("bias", bias), fn_attr_int("size", size)};
    return fn_graph_node(g, "LRN", name, &x, 1, attrs, 4);
}

int fn_l2_pool(fn_graph *g, const char *name, int x, int kernel, int stride, const int pad[4]) {
    return pool(g, "LpPool", name, x, kernel, stride, pad);
}

int fn_l2_normalize(fn_graph *g, const char *name, int x) {
    fn_attr attrs[] = {fn_attr_int("axis", 1), fn_attr_int("p", 2)};
    return fn_graph_node(g, "LpNormalization", name, &x, 1, attrs, 2);
}

int fn_dropout(fn_graph *g, const char *name, int x, float ratio) {
    int constant = constant_of(g, name, "ratio", FN_F32, fn_shape_make(0), &ratio);
    return two(g, "Dropout", name, x, constant);
}

int fn_maxout(fn_graph *g, const char *name, int x, int pieces) {
    char apart[256];
    snprintf(apart, sizeof apart, "%.200s.pieces", name ? name : "");
    x = fn_reshape(g, apart, x, fn_shape_make(3, 0, -1, pieces));
    fn_attr attrs[] = {fn_attr_ints("axes", (const int64_t[]){2}, 1), fn_attr_int("keepdims", 0)};
    return fn_graph_node(g, "ReduceMax", name, &x, 1, attrs, 2);
}
