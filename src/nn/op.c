// SPDX-License-Identifier: Apache-2.0
//
// The table of operators, and what shape rules share: reading integers from attributes or from known
// inputs, and the geometry of windows.
#include "nn/op.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/ops/ops.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const fn_op_def *const table_f32[] = {
#define FN_OP_ROW(op) &fn_op_##op##_f32,
    FN_OP_LIST(FN_OP_ROW)
#undef FN_OP_ROW
};
static const fn_op_def *const table_f64[] = {
#define FN_OP_ROW(op) &fn_op_##op##_f64,
    FN_OP_LIST(FN_OP_ROW)
#undef FN_OP_ROW
};
enum { N_OPS = sizeof table_f32 / sizeof table_f32[0] };

const fn_op_def *fn_op_find(const char *name) {
    for (int i = 0; i < N_OPS; i++)
        if (strcmp(table_f32[i]->name, name) == 0)
            return table_f32[i];
    return NULL;
}

const fn_op_def *fn_op_f64(const fn_op_def *op) {
    for (int i = 0; i < N_OPS; i++)
        if (table_f32[i] == op)
            return table_f64[i];
    return NULL;
}

int fn_infer_fail(const fn_infer_args *args, const char *format, ...) {
    char text[200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return fn_fail(FN_EMODEL, "node '%.80s' (%s): %s", args->node->name, args->node->op->name, text);
}

int fn_infer_same(const fn_infer_args *args) {
    args->out[0].dtype = args->in[0].dtype;
    args->out[0].shape = args->in[0].shape;
    return FN_OK;
}

int64_t *fn_infer_new_ints(const fn_infer_args *args, int index) {
    int64_t count = fn_shape_count(&args->out[index].shape);
    int64_t *ints = fn_calloc((size_t)count, sizeof *ints);
    if (!ints)
        fn_fail_memory();
    args->out[index].data = ints;
    return ints;
}

/// From an attribute, or from the data of an input: FN_OK, with *n_out = -1 when neither is there.
static int read_ints(const fn_node *node, const char *attribute, const fn_shape *shape, const void *data,
                     int64_t *dst, int max, int *n_out) {
    const fn_attr *attr = attribute ? fn_node_attr(node, attribute) : NULL;
    const int64_t *ints = NULL;
    int64_t n = -1;
    if (attr && attr->kind == FN_ATTR_INTS) {
        ints = attr->ints;
        n = attr->n;
    } else if (attr && attr->kind == FN_ATTR_INT) {
        ints = &attr->i;
        n = 1;
    } else if (shape && shape->rank >= 0 && shape->rank <= 1 && data) {
        ints = data;
        n = fn_shape_count(shape);
    }
    if (n > max)
        return FN_EMODEL;
    for (int64_t i = 0; i < n; i++)
        dst[i] = ints[i];
    *n_out = (int)n;
    return FN_OK;
}

int fn_infer_ints(const fn_infer_args *args, const char *attribute, int input, int64_t *dst, int max,
                  int *n_out) {
    const fn_typed *in = input >= 0 && input < args->n_in ? &args->in[input] : NULL;
    if (in && in->shape.rank >= 0 && (in->dtype != FN_I64 || !in->data))
        return fn_infer_fail(args, "input %d must be integers known before running", input);
    if (read_ints(args->node, attribute, in ? &in->shape : NULL, in ? in->data : NULL, dst, max, n_out) < 0)
        return fn_infer_fail(args, "more than %d integers in input %d", max, input);
    return FN_OK;
}

int fn_run_ints(const fn_run_args *args, const char *attribute, int input, int64_t *dst, int max) {
    int n = -1;
    int there = input >= 0 && input < args->n_in;
    read_ints(args->node, attribute, there ? &args->in_shape[input] : NULL, there ? args->in[input] : NULL,
              dst, max, &n);
    return n;
}

static void ints_of(const fn_node *node, const char *name, int64_t *dst, int n, int64_t otherwise) {
    const fn_attr *attr = fn_node_attr(node, name);
    for (int i = 0; i < n; i++)
        dst[i] = attr && attr->kind == FN_ATTR_INTS && i < attr->n ? attr->ints[i] : otherwise;
}

int fn_slope_per_channel(const fn_shape *slope, const fn_shape *x) {
    if (x->rank < 2 || slope->rank < 1 || slope->rank > x->rank)
        return 0;
    if (slope->rank == 1)
        return slope->dim[0] == x->dim[1];
    for (int i = 0; i < x->rank; i++) {
        int k = i - (x->rank - slope->rank);
        if ((k < 0 ? 1 : slope->dim[k]) != (i == 1 ? x->dim[1] : 1))
            return 0;
    }
    return 1;
}

int fn_added_per_column(const fn_shape *added, int64_t n) {
    return (added->rank == 1 && added->dim[0] == n) ||
           (added->rank == 2 && added->dim[0] == 1 && added->dim[1] == n);
}

int fn_window_of(fn_window *w, const fn_node *node, const int64_t kernel[2], int64_t height, int64_t width) {
    const int64_t size[2] = {height, width};
    const fn_attr *auto_pad = fn_node_attr(node, "auto_pad");
    const char *mode = auto_pad && auto_pad->kind == FN_ATTR_STRING ? auto_pad->s : "NOTSET";
    int ceil_mode = fn_node_int(node, "ceil_mode", 0) != 0;
    ints_of(node, "strides", w->stride, 2, 1);
    ints_of(node, "dilations", w->dilation, 2, 1);
    ints_of(node, "pads", w->pad, 4, 0);
    for (int i = 0; i < 2; i++) {
        w->kernel[i] = kernel[i];
        if (kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || kernel[i] > 4096 ||
            w->stride[i] > 4096 || w->dilation[i] > 4096 || w->pad[i] < 0 || w->pad[i] > 4096 ||
            w->pad[i + 2] < 0 || w->pad[i + 2] > 4096)
            return fn_fail(FN_EMODEL, "node '%.80s' (%s): kernel, strides, dilations or pads out of range",
                           node->name, node->op->name);
        int64_t extent = (kernel[i] - 1) * w->dilation[i] + 1;
        if (strncmp(mode, "SAME", 4) == 0) {
            int64_t out = (size[i] + w->stride[i] - 1) / w->stride[i];
            int64_t total = (out - 1) * w->stride[i] + extent - size[i];
            total = total < 0 ? 0 : total;
            int64_t less = total / 2, more = total - less;
            w->pad[i] = strcmp(mode, "SAME_LOWER") == 0 ? more : less;
            w->pad[i + 2] = total - w->pad[i];
        }
        int64_t room = size[i] + w->pad[i] + w->pad[i + 2] - extent;
        if (room < 0)
            return fn_fail(FN_EMODEL, "node '%.80s' (%s): the window is larger than the input", node->name,
                           node->op->name);
        w->out[i] = room / w->stride[i] + 1;
        // A last, partial window counts only when it starts inside the input or its leading padding.
        if (ceil_mode && room % w->stride[i] && w->out[i] * w->stride[i] < size[i] + w->pad[i])
            w->out[i]++;
    }
    return FN_OK;
}
