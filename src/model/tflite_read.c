// SPDX-License-Identifier: Apache-2.0
//
// Reading the flatbuffer of a TensorFlow Lite model. A flatbuffer is a web of 32-bit offsets
// (https://flatbuffers.dev/internals/); every offset, table, vector and string is checked against the
// file before it is followed, and the first fault sticks. Nothing recurses, so that depth is no concern;
// counts are limited because several offsets may lead to the same place. Field numbers are those of
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs
#include "model/tflite.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>

#define MAX_TENSORS 8192
#define MAX_OPS 8192
#define MAX_DIM (1 << 24)

typedef struct flat {
    const unsigned char *bytes;
    size_t n;
    int bad; // something led outside of the file
} flat;

/// A table: where its fields are counted from, and its list of field offsets.
typedef struct table {
    size_t at;
    size_t vtable, vtable_size; // 0: an absent table, all of whose fields are absent
} table;

/// A vector: its first element and their number.
typedef struct vector {
    size_t at, n;
} vector;

static uint64_t number(flat *f, size_t at, size_t width) {
    if (at > f->n || f->n - at < width) {
        f->bad = 1;
        return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++)
        value |= (uint64_t)f->bytes[at + i] << (8 * i);
    return value;
}

static uint32_t u32(flat *f, size_t at) {
    return (uint32_t)number(f, at, 4);
}

static table table_at(flat *f, size_t at) {
    int64_t vtable = (int64_t)at - (int32_t)u32(f, at);
    if (f->bad || vtable < 0 || (uint64_t)vtable > f->n) {
        f->bad = 1;
        return (table){0};
    }
    size_t size = (size_t)number(f, (size_t)vtable, 2);
    if (size < 4 || size > f->n - (size_t)vtable)
        f->bad = 1;
    return f->bad ? (table){0} : (table){at, (size_t)vtable, size};
}

/// Where field `id` lies, or 0 when it is absent.
static size_t field(flat *f, const table *t, unsigned id) {
    size_t slot = 4 + 2 * (size_t)id;
    if (slot + 2 > t->vtable_size)
        return 0;
    size_t offset = (size_t)number(f, t->vtable + slot, 2);
    return offset ? t->at + offset : 0;
}

static int int_field(flat *f, const table *t, unsigned id, size_t width, int otherwise) {
    size_t at = field(f, t, id);
    if (!at)
        return otherwise;
    uint64_t value = number(f, at, width);
    return width == 1 ? (int)value : (int)(int32_t)value;
}

static table table_field(flat *f, const table *t, unsigned id) {
    size_t at = field(f, t, id);
    return at ? table_at(f, at + u32(f, at)) : (table){0};
}

static vector vector_field(flat *f, const table *t, unsigned id, size_t element) {
    size_t at = field(f, t, id);
    if (!at)
        return (vector){0};
    at += u32(f, at);
    size_t n = u32(f, at);
    if (f->bad || n > (f->n - at - 4) / element) {
        f->bad = 1;
        return (vector){0};
    }
    return (vector){at + 4, n};
}

/// Element i of a vector of tables; i is within the vector.
static table table_element(flat *f, const vector *v, size_t i) {
    size_t at = v->at + 4 * i;
    return table_at(f, at + u32(f, at));
}

static void text_field(flat *f, const table *t, unsigned id, char *dst, size_t size) {
    vector v = vector_field(f, t, id, 1);
    size_t n = v.n < size - 1 ? v.n : size - 1;
    memcpy(dst, f->bytes + v.at, n);
    dst[n] = 0;
}

/// Copies a vector of tensor indices; FN_EFORMAT when there are too many or one is out of range.
static int indices(flat *f, const table *t, unsigned id, int *dst, int *n, int max, int n_tensors) {
    vector v = vector_field(f, t, id, 4);
    if (v.n > (size_t)max)
        return fn_fail(FN_EFORMAT, "an operator or graph has %zu inputs or outputs, the limit is %d", v.n,
                       max);
    *n = (int)v.n;
    for (int i = 0; i < *n; i++) {
        dst[i] = (int)(int32_t)u32(f, v.at + 4 * (size_t)i);
        if (dst[i] < -1 || dst[i] >= n_tensors)
            return fn_fail(FN_EFORMAT, "tensor number %d does not exist", dst[i]);
    }
    return FN_OK;
}

static size_t type_width(int type) {
    switch (type) {
    case FN_TFLITE_FLOAT32:
    case FN_TFLITE_INT32:
        return 4;
    case FN_TFLITE_FLOAT16:
        return 2;
    case FN_TFLITE_INT64:
        return 8;
    default:
        return 0; // not one that is read
    }
}

static int read_tensor(flat *f, const vector *tables, int index, const vector *buffers,
                       fn_tflite_tensor *tensor) {
    table t = table_element(f, tables, (size_t)index);
    vector dims = vector_field(f, &t, 0, 4);
    tensor->type = int_field(f, &t, 1, 1, 0);
    text_field(f, &t, 3, tensor->name, sizeof tensor->name);
    if (!tensor->name[0] || !fn_utf8_valid(tensor->name, strlen(tensor->name)))
        snprintf(tensor->name, sizeof tensor->name, "tensor%d", index);
    if (dims.n > FN_MAX_RANK)
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' has %zu dimensions", tensor->name, dims.n);
    tensor->shape.rank = (int)dims.n;
    for (size_t i = 0; i < dims.n; i++) {
        int64_t dim = (int32_t)u32(f, dims.at + 4 * i);
        if (dim < 1 || dim > MAX_DIM)
            return fn_fail(FN_EFORMAT, "tensor '%.80s' has a dimension of %lld", tensor->name,
                           (long long)dim);
        tensor->shape.dim[i] = dim;
    }
    int64_t count = fn_shape_count(&tensor->shape);
    uint32_t buffer = (uint32_t)int_field(f, &t, 2, 4, 0);
    if (count < 0 || buffer >= buffers->n)
        return fn_fail(FN_EFORMAT, "tensor '%.80s' has an impossible size or buffer", tensor->name);
    table b = table_element(f, buffers, buffer);
    vector data = vector_field(f, &b, 0, 1);
    if (!data.n || f->bad)
        return FN_OK; // computed, not constant
    if (field(f, &t, 6))
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' is sparse", tensor->name);
    size_t width = type_width(tensor->type);
    if (width && (data.n % width || data.n / width != (size_t)count))
        return fn_fail(FN_EFORMAT, "tensor '%.80s' has %zu bytes for %lld numbers", tensor->name, data.n,
                       (long long)count);
    tensor->data = f->bytes + data.at;
    tensor->n_bytes = data.n;
    return FN_OK;
}

/// Names become names of the graph, where they have to differ: one pair alike, and all are numbered.
static void make_names_unique(fn_tflite *model) {
    int alike = 0;
    for (int i = 0; i < model->n_tensors && !alike; i++)
        for (int k = 0; k < i && !alike; k++)
            alike = strcmp(model->tensors[i].name, model->tensors[k].name) == 0;
    for (int i = 0; i < model->n_tensors && alike; i++)
        snprintf(model->tensors[i].name, sizeof model->tensors[i].name, "tensor%d", i);
}

static void read_options(flat *f, const table *t, fn_tflite_op *op) {
    switch (op->code) {
    case FN_TFLITE_CONV_2D:
        op->padding = int_field(f, t, 0, 1, 0);
        op->stride[1] = int_field(f, t, 1, 4, 0);
        op->stride[0] = int_field(f, t, 2, 4, 0);
        op->activation = int_field(f, t, 3, 1, 0);
        op->dilation[1] = int_field(f, t, 4, 4, 1);
        op->dilation[0] = int_field(f, t, 5, 4, 1);
        break;
    case FN_TFLITE_DEPTHWISE_CONV_2D:
        op->padding = int_field(f, t, 0, 1, 0);
        op->stride[1] = int_field(f, t, 1, 4, 0);
        op->stride[0] = int_field(f, t, 2, 4, 0);
        op->multiplier = int_field(f, t, 3, 4, 0);
        op->activation = int_field(f, t, 4, 1, 0);
        op->dilation[1] = int_field(f, t, 5, 4, 1);
        op->dilation[0] = int_field(f, t, 6, 4, 1);
        break;
    case FN_TFLITE_MAX_POOL_2D:
        op->padding = int_field(f, t, 0, 1, 0);
        op->stride[1] = int_field(f, t, 1, 4, 0);
        op->stride[0] = int_field(f, t, 2, 4, 0);
        op->filter[1] = int_field(f, t, 3, 4, 0);
        op->filter[0] = int_field(f, t, 4, 4, 0);
        op->activation = int_field(f, t, 5, 1, 0);
        break;
    case FN_TFLITE_CONCATENATION:
        op->axis = int_field(f, t, 0, 4, 0);
        op->activation = int_field(f, t, 1, 1, 0);
        break;
    case FN_TFLITE_ADD:
    case FN_TFLITE_SUB:
    case FN_TFLITE_MUL:
        op->activation = int_field(f, t, 0, 1, 0);
        break;
    case FN_TFLITE_RESIZE_BILINEAR:
        op->align_corners = int_field(f, t, 2, 1, 0);
        op->half_pixel = int_field(f, t, 3, 1, 0);
        break;
    default:
        break;
    }
}

static int read_op(flat *f, const vector *tables, int index, const vector *codes, fn_tflite_op *op,
                   int n_tensors) {
    table t = table_element(f, tables, (size_t)index);
    uint32_t code = (uint32_t)int_field(f, &t, 0, 4, 0);
    if (code >= codes->n)
        return fn_fail(FN_EFORMAT, "operator %d is of a kind that does not exist", index);
    table c = table_element(f, codes, code);
    // Codes past 127 are in the second field; older files have only the first.
    int narrow = int_field(f, &c, 0, 1, 0), wide = int_field(f, &c, 3, 4, 0);
    op->code = narrow > wide ? narrow : wide;
    text_field(f, &c, 1, op->custom, sizeof op->custom);
    int rc = indices(f, &t, 1, op->inputs, &op->n_inputs, FN_MAX_INPUTS, n_tensors);
    if (rc == FN_OK)
        rc = indices(f, &t, 2, op->outputs, &op->n_outputs, FN_MAX_OUTPUTS, n_tensors);
    table options = table_field(f, &t, 4);
    read_options(f, &options, op);
    return rc;
}

int fn_tflite_is(const void *bytes, size_t n_bytes) {
    return n_bytes >= 8 && memcmp((const char *)bytes + 4, "TFL3", 4) == 0;
}

int fn_tflite_read(fn_tflite *out, const void *bytes, size_t n_bytes) {
    memset(out, 0, sizeof *out);
    if (!fn_tflite_is(bytes, n_bytes))
        return fn_fail(FN_EFORMAT, "not a TensorFlow Lite file");
    flat f = {bytes, n_bytes, 0};
    table root = table_at(&f, u32(&f, 0));
    vector codes = vector_field(&f, &root, 1, 4), graphs = vector_field(&f, &root, 2, 4);
    vector buffers = vector_field(&f, &root, 4, 4);
    if (f.bad || !graphs.n)
        return fn_fail(FN_EFORMAT, "the TensorFlow Lite file is damaged or empty");
    table graph = table_element(&f, &graphs, 0);
    vector tensors = vector_field(&f, &graph, 0, 4), ops = vector_field(&f, &graph, 3, 4);
    if (tensors.n > MAX_TENSORS || ops.n > MAX_OPS)
        return fn_fail(FN_ELIMIT, "%zu tensors and %zu operators, the limits are %d and %d", tensors.n, ops.n,
                       MAX_TENSORS, MAX_OPS);
    out->n_tensors = (int)tensors.n;
    out->n_ops = (int)ops.n;
    out->tensors = fn_calloc(tensors.n, sizeof *out->tensors);
    out->ops = fn_calloc(ops.n, sizeof *out->ops);
    int rc = out->tensors && out->ops ? FN_OK : fn_fail_memory();
    for (int i = 0; rc == FN_OK && i < out->n_tensors; i++)
        rc = read_tensor(&f, &tensors, i, &buffers, &out->tensors[i]);
    for (int i = 0; rc == FN_OK && i < out->n_ops; i++)
        rc = read_op(&f, &ops, i, &codes, &out->ops[i], out->n_tensors);
    if (rc == FN_OK)
        rc = indices(&f, &graph, 1, out->inputs, &out->n_inputs, FN_MAX_OUTPUTS, out->n_tensors);
    if (rc == FN_OK)
        rc = indices(&f, &graph, 2, out->outputs, &out->n_outputs, FN_MAX_OUTPUTS, out->n_tensors);
    if (rc == FN_OK && f.bad)
        rc = fn_fail(FN_EFORMAT, "the TensorFlow Lite file is damaged or cut short");
    if (rc == FN_OK)
        make_names_unique(out);
    else
        fn_tflite_clear(out);
    return rc;
}

void fn_tflite_clear(fn_tflite *model) {
    fn_free(model->tensors);
    fn_free(model->ops);
    memset(model, 0, sizeof *model);
}
