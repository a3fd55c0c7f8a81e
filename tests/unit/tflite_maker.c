// SPDX-License-Identifier: Apache-2.0
//
// A flatbuffer is written front to back: a table with empty slots, then what the slots point to. Every
// field takes four bytes, which a reader of one-byte fields does not notice.
#include "tflite_maker.h"

#include <stdint.h>
#include <string.h>

static size_t put(fn_buf *b, uint32_t value, size_t width) {
    unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 24)};
    fn_buf_append(b, bytes, width);
    return b->len - width;
}

static void patch(fn_buf *b, size_t at, uint32_t value) {
    for (int i = 0; i < 4; i++)
        b->data[at + (size_t)i] = (char)(value >> (8 * i));
}

/// A slot that points to what comes next.
static void point(fn_buf *b, size_t slot) {
    while (b->len % 4)
        put(b, 0, 1);
    patch(b, slot, (uint32_t)(b->len - slot));
}

/// A table of n fields; the fields of the bit mask `present` are there. Returns its first field's place.
static size_t table(fn_buf *b, int n, unsigned present) {
    size_t vtable = b->len;
    put(b, (uint32_t)(4 + 2 * n), 2);
    put(b, (uint32_t)(4 + 4 * n), 2);
    for (int i = 0; i < n; i++)
        put(b, present >> i & 1 ? (uint32_t)(4 + 4 * i) : 0, 2);
    size_t at = put(b, (uint32_t)(b->len - vtable), 4) + 4;
    for (int i = 0; i < n; i++)
        put(b, 0, 4);
    return at;
}

/// A table that a slot points to. The vtable comes first, so the slot is patched past it.
static size_t child(fn_buf *b, size_t slot, int n, unsigned present) {
    while (b->len % 4)
        put(b, 0, 1);
    size_t at = table(b, n, present);
    patch(b, slot, (uint32_t)(at - 4 - slot));
    return at;
}

static size_t vector(fn_buf *b, size_t slot, int n) {
    point(b, slot);
    put(b, (uint32_t)n, 4);
    size_t at = b->len;
    for (int i = 0; i < n; i++)
        put(b, 0, 4);
    return at;
}

static void ints(fn_buf *b, size_t slot, const int *values, int n) {
    size_t at = vector(b, slot, n);
    for (int i = 0; i < n; i++)
        patch(b, at + 4 * (size_t)i, (uint32_t)values[i]);
}

static void bytes(fn_buf *b, size_t slot, const void *data, size_t n) {
    point(b, slot);
    put(b, (uint32_t)n, 4);
    fn_buf_append(b, data, n);
}

#define FIELD(t, i) ((t) + 4 * (size_t)(i))

void make_tflite(fn_buf *out, const made_model *model) {
    size_t root = put(out, 0, 4);
    fn_buf_append(out, "TFL3", 4);
    size_t m = child(out, root, 5, 0x17); // version, operator_codes, subgraphs, (description), buffers
    patch(out, FIELD(m, 0), 3);

    size_t codes = vector(out, FIELD(m, 1), model->n_ops);
    for (int i = 0; i < model->n_ops; i++) {
        size_t c = child(out, codes + 4 * (size_t)i, 4, 0xD); // both codes and the version
        int code = model->ops[i].code;
        patch(out, FIELD(c, 0), (uint32_t)(code < 127 ? code : 127));
        patch(out, FIELD(c, 2), 1);
        patch(out, FIELD(c, 3), (uint32_t)code);
    }

    size_t graphs = vector(out, FIELD(m, 2), 1);
    size_t g = child(out, graphs, 4, 0xF);
    size_t tensors = vector(out, FIELD(g, 0), model->n_tensors);
    for (int i = 0; i < model->n_tensors; i++) {
        const made_tensor *tensor = &model->tensors[i];
        size_t t = child(out, tensors + 4 * (size_t)i, 4, 0xF);
        ints(out, FIELD(t, 0), tensor->dim, tensor->rank);
        patch(out, FIELD(t, 1), (uint32_t)tensor->type);
        patch(out, FIELD(t, 2), (uint32_t)(i + 1));
        bytes(out, FIELD(t, 3), tensor->name, strlen(tensor->name));
    }
    ints(out, FIELD(g, 1), &model->input, 1);
    ints(out, FIELD(g, 2), model->outputs, model->n_outputs);
    size_t ops = vector(out, FIELD(g, 3), model->n_ops);
    for (int i = 0; i < model->n_ops; i++) {
        const made_op *op = &model->ops[i];
        size_t o = child(out, ops + 4 * (size_t)i, 5, 0x1F);
        patch(out, FIELD(o, 0), (uint32_t)i);
        ints(out, FIELD(o, 1), op->inputs, op->n_inputs);
        ints(out, FIELD(o, 2), op->outputs, op->n_outputs);
        size_t options = child(out, FIELD(o, 4), 8, (1U << op->n_options) - 1);
        for (int k = 0; k < op->n_options; k++)
            patch(out, FIELD(options, k), (uint32_t)op->options[k]);
    }

    size_t buffers = vector(out, FIELD(m, 4), model->n_tensors + 1); // buffer 0 is the empty one
    child(out, buffers, 1, 0);
    for (int i = 0; i < model->n_tensors; i++) {
        const made_tensor *tensor = &model->tensors[i];
        size_t b = child(out, buffers + 4 * (size_t)(i + 1), 1, tensor->data ? 1 : 0);
        if (tensor->data)
            bytes(out, FIELD(b, 0), tensor->data, tensor->n_bytes);
    }
}
