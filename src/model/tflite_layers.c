// SPDX-License-Identifier: Apache-2.0
//
// From TensorFlow Lite operators to layers of a graph. Four-dimensional values are pictures: N, H, W, C in
// the file and N, C, H, W here; others keep their order. Padding "same" is resolved for the size declared in
// the file: out = ceil(in / stride), and what is missing is split with the larger half behind. A reshape
// of a picture becomes a transposition and a reshape by row, which is right for any height and width.
#include "model/tflite_importer.h"

#include <stdio.h>
#include <string.h>

int fn_tflite_wrong(fn_tflite_importer *im, const fn_tflite_op *op, const char *why) {
    const char *name =
        op->n_outputs > 0 && op->outputs[0] >= 0 ? fn_tflite_tensor_of(im, op->outputs[0])->name : "?";
    return fn_graph_fail(im->graph, FN_EUNSUPPORTED, "operator %d at '%.80s': %s", op->code, name, why);
}

/// Ends an operator: gives its result to the output tensor, after the fused activation.
static void finish(fn_tflite_importer *im, const fn_tflite_op *op, int value, int activation) {
    const fn_tflite_tensor *out = fn_tflite_tensor_of(im, op->outputs[0]);
    if (activation == FN_TFLITE_ACT_RELU)
        value = fn_relu(im->graph, out->name, value);
    else if (activation == FN_TFLITE_ACT_RELU6)
        value = fn_clip(im->graph, out->name, value, 0.0F, 6.0F);
    else if (activation != FN_TFLITE_ACT_NONE)
        fn_tflite_wrong(im, op, "this fused activation is not supported");
    im->value[op->outputs[0]] = value;
}

/// The name of the node before a fused activation: the tensor's, or one derived from it.
static const char *inner_name(const fn_tflite_importer *im, const fn_tflite_op *op, char dst[160],
                              const char *suffix) {
    snprintf(dst, 160, "%s%s", fn_tflite_tensor_of(im, op->outputs[0])->name, suffix);
    return dst;
}

static const char *node_name(const fn_tflite_importer *im, const fn_tflite_op *op, char dst[160]) {
    return inner_name(im, op, dst, op->activation == FN_TFLITE_ACT_NONE ? "" : "/linear");
}

/// TensorFlow's padding for one axis; 0 when the numbers make no sense.
static int pads_of(int *before, int *after, int padding, int64_t in, int64_t kernel, int64_t stride,
                   int64_t dilation) {
    if (stride < 1 || stride > 64 || dilation < 1 || dilation > 64 || kernel < 1 || kernel > 1024)
        return 0;
    int64_t extent = (kernel - 1) * dilation + 1, out = (in + stride - 1) / stride;
    int64_t total = padding == FN_TFLITE_SAME ? (out - 1) * stride + extent - in : 0;
    if (total < 0)
        total = 0;
    *before = (int)(total / 2);
    *after = (int)(total - total / 2);
    return padding == FN_TFLITE_SAME || (padding == FN_TFLITE_VALID && extent <= in);
}

static void convolution(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    const fn_tflite_tensor *w = fn_tflite_input(im, op, 1);
    const fn_tflite_tensor *b = fn_tflite_input(im, op, 2);
    fn_conv_attrs a = {.stride = {op->stride[0], op->stride[1]},
                       .dilation = {op->dilation[0], op->dilation[1]}};
    if (!x || !w || x->shape.rank != 4 || w->shape.rank != 4 || !w->data ||
        !pads_of(&a.pad[0], &a.pad[2], op->padding, x->shape.dim[1], w->shape.dim[1], op->stride[0],
                 op->dilation[0]) ||
        !pads_of(&a.pad[1], &a.pad[3], op->padding, x->shape.dim[2], w->shape.dim[2], op->stride[1],
                 op->dilation[1])) {
        fn_tflite_wrong(im, op, "a convolution that makes no sense");
        return;
    }
    int64_t in = x->shape.dim[3], out = w->shape.dim[0];
    int weights;
    if (op->code == FN_TFLITE_DEPTHWISE_CONV_2D) {
        out = w->shape.dim[3];
        if (w->shape.dim[0] != 1 || op->multiplier < 1 || out != in * op->multiplier) {
            fn_tflite_wrong(im, op, "a depthwise kernel that does not fit its input");
            return;
        }
        a.group = (int)in;
        fn_shape shape = {4, {out, 1, w->shape.dim[1], w->shape.dim[2]}};
        weights = fn_tflite_constant(im, w, 1, shape.dim[2] * shape.dim[3], out, 1.0F, shape);
    } else {
        if (w->shape.dim[3] != in) {
            fn_tflite_wrong(im, op, "a kernel that does not fit its input");
            return;
        }
        fn_shape shape = {4, {out, in, w->shape.dim[1], w->shape.dim[2]}};
        weights = fn_tflite_constant(im, w, out, shape.dim[2] * shape.dim[3], in, 1.0F, shape);
    }
    int bias = -1;
    if (b) {
        if (fn_shape_count(&b->shape) != out) {
            fn_tflite_wrong(im, op, "a bias that does not fit its kernel");
            return;
        }
        bias = fn_tflite_constant(im, b, 1, 1, out, 1.0F, (fn_shape){1, {out}});
    }
    char name[160];
    int y = fn_tflite_value(im, op, 0, 4);
    finish(im, op, fn_conv(im->graph, node_name(im, op, name), y, weights, bias, &a), op->activation);
}

static void max_pool(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    int pad[4];
    if (!x || x->shape.rank != 4 || op->filter[0] != op->filter[1] || op->stride[0] != op->stride[1] ||
        !pads_of(&pad[0], &pad[2], op->padding, x->shape.dim[1], op->filter[0], op->stride[0], 1) ||
        !pads_of(&pad[1], &pad[3], op->padding, x->shape.dim[2], op->filter[1], op->stride[1], 1)) {
        fn_tflite_wrong(im, op, "this pooling is not supported");
        return;
    }
    char name[160];
    int y = fn_tflite_value(im, op, 0, 4);
    y = fn_max_pool(im->graph, node_name(im, op, name), y, op->filter[0], op->stride[0], pad);
    finish(im, op, y, op->activation);
}

static void elementwise(fn_tflite_importer *im, const fn_tflite_op *op) {
    static const char *const names[] = {
        [FN_TFLITE_ADD] = "Add", [FN_TFLITE_MUL] = "Mul", [FN_TFLITE_SUB] = "Sub"};
    int rank = fn_tflite_tensor_of(im, op->outputs[0])->shape.rank;
    for (int i = 0; i < 2; i++) {
        const fn_tflite_tensor *t = fn_tflite_input(im, op, i);
        if (t && !t->data && t->shape.rank != rank) {
            fn_tflite_wrong(im, op, "values of different rank");
            return;
        }
    }
    char name[160];
    int a = fn_tflite_value(im, op, 0, rank), b = fn_tflite_value(im, op, 1, rank);
    int y = fn_graph_node(im->graph, names[op->code], node_name(im, op, name), (int[]){a, b}, 2, NULL, 0);
    finish(im, op, y, op->activation);
}

static void unary(fn_tflite_importer *im, const fn_tflite_op *op) {
    int x = fn_tflite_value(im, op, 0, 0);
    const char *name = fn_tflite_tensor_of(im, op->outputs[0])->name;
    int y = op->code == FN_TFLITE_RELU    ? fn_relu(im->graph, name, x)
            : op->code == FN_TFLITE_RELU6 ? fn_clip(im->graph, name, x, 0.0F, 6.0F)
            : op->code == FN_TFLITE_ABS   ? fn_graph_node(im->graph, "Abs", name, &x, 1, NULL, 0)
                                          : fn_graph_node(im->graph, "Neg", name, &x, 1, NULL, 0);
    finish(im, op, y, FN_TFLITE_ACT_NONE);
}

static void prelu_operator(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    const fn_tflite_tensor *slope = fn_tflite_input(im, op, 1);
    if (!x || !slope || x->shape.rank != 4) {
        fn_tflite_wrong(im, op, "a PReLU of something that is not a picture");
        return;
    }
    int k = fn_tflite_channel_constant(im, op, slope, x->shape.dim[3], 1.0F);
    int y = fn_tflite_value(im, op, 0, 4);
    finish(im, op, fn_prelu(im->graph, fn_tflite_tensor_of(im, op->outputs[0])->name, y, k),
           FN_TFLITE_ACT_NONE);
}

/// The ADD at the end of a PReLU that was spelled out.
static void found_prelu(fn_tflite_importer *im, const fn_tflite_op *op, const fn_tflite_prelu *p) {
    const fn_tflite_tensor *x = fn_tflite_tensor_of(im, p->x);
    int k = fn_tflite_channel_constant(im, op, fn_tflite_tensor_of(im, p->slope), x->shape.dim[3], p->factor);
    int value = im->value[p->x];
    if (value < 0)
        fn_graph_fail(im->graph, FN_EFORMAT, "'%.80s' is read before it is computed", x->name);
    char name[160];
    finish(im, op, fn_prelu(im->graph, node_name(im, op, name), value, k), op->activation);
}

static void reshape(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    const fn_tflite_tensor *y = fn_tflite_tensor_of(im, op->outputs[0]);
    int value = fn_tflite_value(im, op, 0, 0);
    if (!x || x->data || y->shape.rank < 2 || y->shape.rank > 3 || x->shape.rank < 2 ||
        x->shape.dim[0] != y->shape.dim[0] || fn_shape_count(&x->shape) != fn_shape_count(&y->shape)) {
        fn_tflite_wrong(im, op, "only (N, ...) to (N, values) or (N, rows, values) is supported");
        return;
    }
    int64_t last = x->shape.dim[x->shape.rank - 1], values = y->shape.dim[y->shape.rank - 1];
    if (y->shape.rank == 3 && last % values != 0) {
        fn_tflite_wrong(im, op, "a row would span several cells");
        return;
    }
    char name[160];
    if (x->shape.rank == 4 && (im->any_size || x->shape.dim[1] != 1 || x->shape.dim[2] != 1))
        value =
            fn_transpose(im->graph, inner_name(im, op, name, "/rows"), value, fn_shape_make(4, 0, 2, 3, 1));
    fn_shape shape = y->shape.rank == 2 ? fn_shape_make(2, 0, -1) : fn_shape_make(3, 0, -1, (int)values);
    finish(im, op, fn_reshape(im->graph, y->name, value, shape), FN_TFLITE_ACT_NONE);
}

static void pad(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    const fn_tflite_tensor *p = fn_tflite_input(im, op, 1);
    if (!x || !p || x->shape.rank != 4 || !p->data || fn_shape_count(&p->shape) != 8 ||
        (p->type != FN_TFLITE_INT32 && p->type != FN_TFLITE_INT64)) {
        fn_tflite_wrong(im, op, "padding that is not eight constant integers");
        return;
    }
    static const int nchw[4] = {0, 2, 3, 1}; // place of N, H, W, C
    int side[2][4];
    for (int i = 0; i < 8; i++) {
        size_t width = p->type == FN_TFLITE_INT32 ? 4 : 8;
        uint64_t amount = 0;
        for (size_t k = 0; k < width; k++)
            amount |= (uint64_t)p->data[(size_t)i * width + k] << (8 * k);
        if (amount > 65536 || (i < 2 && amount)) {
            fn_tflite_wrong(im, op, "an impossible amount of padding");
            return;
        }
        side[i % 2][nchw[i / 2]] = (int)amount;
    }
    int y = fn_tflite_value(im, op, 0, 4);
    y = fn_pad(im->graph, fn_tflite_tensor_of(im, op->outputs[0])->name, y, side[0], side[1]);
    finish(im, op, y, FN_TFLITE_ACT_NONE);
}

static void concatenation(fn_tflite_importer *im, const fn_tflite_op *op) {
    int rank = fn_tflite_tensor_of(im, op->outputs[0])->shape.rank;
    int axis = op->axis < 0 ? op->axis + rank : op->axis, values[FN_MAX_INPUTS];
    static const int nchw[4] = {0, 2, 3, 1};
    if (axis < 1 || axis >= rank || op->n_inputs < 1) {
        fn_tflite_wrong(im, op, "an impossible axis");
        return;
    }
    for (int i = 0; i < op->n_inputs; i++) {
        const fn_tflite_tensor *t = fn_tflite_input(im, op, i);
        if (!t || t->data || t->shape.rank != rank) {
            fn_tflite_wrong(im, op, "constants or values of different rank");
            return;
        }
        values[i] = fn_tflite_value(im, op, i, rank);
    }
    char name[160];
    int y =
        fn_concat(im->graph, node_name(im, op, name), values, op->n_inputs, rank == 4 ? nchw[axis] : axis);
    finish(im, op, y, op->activation);
}

static void resize(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *x = fn_tflite_input(im, op, 0);
    const fn_tflite_tensor *y = fn_tflite_tensor_of(im, op->outputs[0]);
    if (!x || x->shape.rank != 4 || y->shape.rank != 4 || op->align_corners || !op->half_pixel ||
        y->shape.dim[1] % x->shape.dim[1] || y->shape.dim[2] % x->shape.dim[2] ||
        y->shape.dim[1] / x->shape.dim[1] != y->shape.dim[2] / x->shape.dim[2]) {
        fn_tflite_wrong(im, op, "only enlarging by a whole factor with half-pixel centres is supported");
        return;
    }
    int value = fn_tflite_value(im, op, 0, 4);
    value = fn_upsample(im->graph, y->name, value, (int)(y->shape.dim[1] / x->shape.dim[1]));
    finish(im, op, value, FN_TFLITE_ACT_NONE);
}

/// Weights stored as 16 bit floats pass through DEQUANTIZE: its output is a constant like its input.
static void dequantize(fn_tflite_importer *im, const fn_tflite_op *op) {
    const fn_tflite_tensor *from = fn_tflite_input(im, op, 0);
    fn_tflite_tensor *to = &im->file.tensors[op->outputs[0]];
    if (!from || !from->data || from->type != FN_TFLITE_FLOAT16 ||
        !fn_shape_equal(&from->shape, &to->shape)) {
        fn_tflite_wrong(im, op, "only constants of 16 bit floats can be dequantised");
        return;
    }
    to->type = from->type;
    to->data = from->data;
    to->n_bytes = from->n_bytes;
}

static const struct {
    int code;
    const char *name;                                              // as in the schema
    void (*write)(fn_tflite_importer *im, const fn_tflite_op *op); // NULL: named in the message only
} operators[] = {
    {FN_TFLITE_ADD, "ADD", elementwise},
    {FN_TFLITE_SUB, "SUB", elementwise},
    {FN_TFLITE_MUL, "MUL", elementwise},
    {FN_TFLITE_CONV_2D, "CONV_2D", convolution},
    {FN_TFLITE_DEPTHWISE_CONV_2D, "DEPTHWISE_CONV_2D", convolution},
    {FN_TFLITE_MAX_POOL_2D, "MAX_POOL_2D", max_pool},
    {FN_TFLITE_RELU, "RELU", unary},
    {FN_TFLITE_RELU6, "RELU6", unary},
    {FN_TFLITE_ABS, "ABS", unary},
    {FN_TFLITE_NEG, "NEG", unary},
    {FN_TFLITE_PRELU, "PRELU", prelu_operator},
    {FN_TFLITE_RESHAPE, "RESHAPE", reshape},
    {FN_TFLITE_PAD, "PAD", pad},
    {FN_TFLITE_CONCATENATION, "CONCATENATION", concatenation},
    {FN_TFLITE_RESIZE_BILINEAR, "RESIZE_BILINEAR", resize},
    {FN_TFLITE_DEQUANTIZE, "DEQUANTIZE", dequantize},
    {1, "AVERAGE_POOL_2D", NULL},
    {5, "DEPTH_TO_SPACE", NULL},
    {9, "FULLY_CONNECTED", NULL},
    {14, "LOGISTIC", NULL},
    {25, "SOFTMAX", NULL},
    {28, "TANH", NULL},
    {39, "TRANSPOSE", NULL},
    {40, "MEAN", NULL},
    {42, "DIV", NULL},
    {43, "SQUEEZE", NULL},
    {45, "STRIDED_SLICE", NULL},
    {47, "EXP", NULL},
    {67, "TRANSPOSE_CONV", NULL},
    {74, "SUM", NULL},
    {82, "REDUCE_MAX", NULL},
    {97, "RESIZE_NEAREST_NEIGHBOR", NULL},
    {98, "LEAKY_RELU", NULL},
    {114, "QUANTIZE", NULL},
    {117, "HARD_SWISH", NULL},
    {124, "DENSIFY", NULL},
};

void fn_tflite_layer(fn_tflite_importer *im, int index) {
    const fn_tflite_op *op = &im->file.ops[index];
    const char *name = op->custom[0] ? op->custom : "of an unknown kind";
    void (*write)(fn_tflite_importer * im, const fn_tflite_op *op) = NULL;
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (operators[i].code == op->code) {
            name = operators[i].name;
            write = operators[i].write;
        }
    if (!write)
        fn_graph_fail(im->graph, FN_EUNSUPPORTED, "operator %s (number %d of the schema) is not supported",
                      name, op->code);
    else if (op->n_outputs < 1 || op->outputs[0] < 0 || fn_tflite_tensor_of(im, op->outputs[0])->data)
        fn_graph_fail(im->graph, FN_EFORMAT, "operator %d (%s) has no output", index, name);
    else if (im->prelu[index].factor != 0.0F)
        found_prelu(im, op, &im->prelu[index]);
    else
        write(im, op);
}
