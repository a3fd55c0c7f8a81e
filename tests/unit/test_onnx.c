// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "model/onnx.h"
#include "nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- Files put together by hand, field by field, so that the reader is not checked against itself.

typedef struct wire {
    fn_buf buf;
} wire;

static wire begin(void) {
    wire w;
    fn_buf_init(&w.buf, (size_t)64 << 20);
    return w;
}

static void varint(wire *w, uint64_t value) {
    do {
        unsigned char byte = (unsigned char)(value & 0x7F);
        value >>= 7;
        if (value)
            byte |= 0x80;
        fn_buf_append(&w->buf, &byte, 1);
    } while (value);
}

static void number(wire *w, int field, int64_t value) {
    varint(w, (uint64_t)field << 3);
    varint(w, (uint64_t)value);
}

static void bytes(wire *w, int field, const void *data, size_t n) {
    varint(w, (uint64_t)field << 3 | 2);
    varint(w, n);
    fn_buf_append(&w->buf, data, n);
}

static void text(wire *w, int field, const char *value) {
    bytes(w, field, value, strlen(value));
}

static void message(wire *w, int field, wire inner) {
    bytes(w, field, inner.buf.data ? inner.buf.data : "", inner.buf.len);
    fn_buf_free(&inner.buf);
}

static wire tensor(const char *name, int type, const int64_t *dims, int n_dims) {
    wire w = begin();
    for (int i = 0; i < n_dims; i++)
        number(&w, 1, dims[i]);
    number(&w, 2, type);
    text(&w, 8, name);
    return w;
}

static wire raw_tensor(const char *name, int type, const int64_t *dims, int n_dims, const void *data,
                       size_t n) {
    wire w = tensor(name, type, dims, n_dims);
    bytes(&w, 9, data, n);
    return w;
}

/// Names separated by commas; "" is an absent one.
static void names(wire *w, int field, const char *list) {
    while (*list) {
        size_t n = strcspn(list, ",");
        bytes(w, field, list, n);
        list += n + (list[n] == ',');
    }
}

static wire node(const char *op, const char *name, const char *inputs, const char *outputs) {
    wire w = begin();
    names(&w, 1, inputs);
    names(&w, 2, outputs);
    text(&w, 3, name);
    text(&w, 4, op);
    return w;
}

static void attr_int(wire *n, const char *name, int64_t value) {
    wire w = begin();
    text(&w, 1, name);
    number(&w, 3, value);
    number(&w, 20, 2);
    message(n, 5, w);
}

static void attr_ints(wire *n, const char *name, const int64_t *values, int count) {
    wire w = begin();
    text(&w, 1, name);
    for (int i = 0; i < count; i++)
        number(&w, 8, values[i]);
    number(&w, 20, 7);
    message(n, 5, w);
}

static void attr_float(wire *n, const char *name, float value) {
    wire w = begin();
    text(&w, 1, name);
    varint(&w, 2 << 3 | 5);
    fn_buf_append(&w.buf, &value, sizeof value);
    number(&w, 20, 1);
    message(n, 5, w);
}

static void attr_floats(wire *n, const char *name, const float *values, int count) {
    wire w = begin();
    text(&w, 1, name);
    bytes(&w, 7, values, (size_t)count * sizeof *values);
    number(&w, 20, 6);
    message(n, 5, w);
}

static void attr_string(wire *n, const char *name, const char *value) {
    wire w = begin();
    text(&w, 1, name);
    text(&w, 4, value);
    number(&w, 20, 3);
    message(n, 5, w);
}

/// A named tensor of this element type; dimension 0 stands for dim_param "N", -2 for nothing at all.
static wire value_info(const char *name, int type, const int64_t *dims, int n_dims) {
    wire shape = begin(), tensor_type = begin(), value_type = begin(), w = begin();
    for (int i = 0; i < n_dims; i++) {
        wire dim = begin();
        if (dims[i] == 0)
            text(&dim, 2, "N");
        else if (dims[i] != -2)
            number(&dim, 1, dims[i]);
        message(&shape, 1, dim);
    }
    number(&tensor_type, 1, type);
    message(&tensor_type, 2, shape);
    message(&value_type, 1, tensor_type);
    text(&w, 1, name);
    message(&w, 2, value_type);
    return w;
}

static const int64_t picture[4] = {0, 3, 8, 8};

/// A graph with input "x" (N, 3, 8, 8) and output "y"; nodes and initializers are still to come.
static wire graph(void) {
    wire g = begin();
    message(&g, 11, value_info("x", 1, picture, 4));
    message(&g, 12, value_info("y", 1, picture, 4));
    return g;
}

static wire model(wire g, int64_t opset) {
    wire w = begin(), set = begin();
    number(&w, 1, 8);
    number(&set, 2, opset);
    message(&w, 8, set);
    message(&w, 7, g);
    return w;
}

static int read_wire(fn_graph **out, wire w) {
    fn_metadata metadata;
    int rc = fn_onnx_read(out, &metadata, w.buf.data, w.buf.len, NULL);
    fn_metadata_free(&metadata);
    fn_buf_free(&w.buf);
    return rc;
}

static void refused(wire w, int code, const char *because) {
    fn_graph *g = NULL;
    assert_int_equal(read_wire(&g, w), code);
    assert_null(g);
    if (!strstr(fn_last_error(), because))
        fail_msg("'%s' does not say '%s'", fn_last_error(), because);
}

static void refused_bytes(const void *data, size_t n, int code, const char *because) {
    wire w = begin();
    fn_buf_append(&w.buf, data, n);
    refused(w, code, because);
}

static fn_graph *read_ok(wire w) {
    fn_graph *g = NULL;
    int rc = read_wire(&g, w);
    if (rc != FN_OK)
        fail_msg("%s", fn_last_error());
    return g;
}

/// Reads one node "x" -> "y" of this opset.
static fn_graph *read_node(wire n, int64_t opset) {
    wire g = graph();
    message(&g, 1, n);
    return read_ok(model(g, opset));
}

static const fn_value *input_of(const fn_graph *g, int node_index, int input) {
    const fn_node *n = &g->nodes[node_index];
    assert_true(input < n->n_inputs && n->inputs[input] >= 0);
    return &g->values[n->inputs[input]];
}

// ---- What is read

static void a_file_becomes_a_graph(void **state) {
    (void)state;
    const float weights[3 * 3] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    wire conv = node("Conv", "first", "x,w", "c"), g = graph();
    attr_ints(&conv, "strides", (const int64_t[]){1, 1}, 2);
    attr_int(&conv, "group", 1);
    message(&g, 1, conv);
    message(&g, 1, node("Relu", "second", "c", "y"));
    message(&g, 5, raw_tensor("w", 1, (const int64_t[]){3, 3, 1, 1}, 4, weights, sizeof weights));
    fn_graph *read = read_ok(model(g, 13));
    assert_int_equal(read->n_nodes, 2);
    assert_string_equal(read->nodes[0].op->name, "Conv");
    assert_int_equal(fn_node_int(&read->nodes[0], "group", 0), 1);
    assert_int_equal(fn_node_attr(&read->nodes[0], "strides")->n, 2);
    const fn_value *x = &read->values[read->inputs[0]], *w = input_of(read, 0, 1);
    assert_int_equal(x->shape.dim[0], -1);
    assert_int_equal(x->shape.dim[3], 8);
    assert_memory_equal(w->data, weights, sizeof weights);
    assert_string_equal(read->values[read->outputs[0]].name, "y");
    fn_graph_free(read);
}

static void every_element_type_gives_the_same_numbers(void **state) {
    (void)state;
    static const float f[2] = {1.5F, -2.0F};
    static const double d[2] = {1.5, -2.0};
    static const uint16_t half[2] = {0x3E00, 0xC000}, bfloat[2] = {0x3FC0, 0xC000};
    static const int32_t half_typed[2] = {0x3E00, 0xC000};
    const int64_t dims[1] = {2};
    wire tensors[7];
    tensors[0] = raw_tensor("s", 1, dims, 1, f, sizeof f);
    tensors[1] = raw_tensor("s", 11, dims, 1, d, sizeof d);
    tensors[2] = raw_tensor("s", 10, dims, 1, half, sizeof half);
    tensors[3] = raw_tensor("s", 16, dims, 1, bfloat, sizeof bfloat);
    tensors[4] = tensor("s", 1, dims, 1);
    bytes(&tensors[4], 4, f, sizeof f);
    tensors[5] = tensor("s", 11, dims, 1);
    bytes(&tensors[5], 10, d, sizeof d);
    tensors[6] = tensor("s", 10, dims, 1);
    number(&tensors[6], 5, half_typed[0]);
    number(&tensors[6], 5, half_typed[1]);
    for (int i = 0; i < 7; i++) {
        wire g = graph();
        message(&g, 1, node("Mul", "m", "x,s", "y"));
        message(&g, 5, tensors[i]);
        fn_graph *read = read_ok(model(g, 13));
        const fn_value *value = input_of(read, 0, 1);
        assert_int_equal(value->dtype, FN_F32);
        assert_memory_equal(value->data, f, sizeof f);
        fn_graph_free(read);
    }
}

static void half_floats_keep_subnormals_and_infinities(void **state) {
    (void)state;
    const uint16_t half[5] = {0x0001, 0x8000, 0x7C00, 0x03FF, 0x7BFF};
    const float expected[5] = {0x1p-24F, -0.0F, 1.0F / 0.0F, 0x1.FF8p-15F, 65504.0F};
    wire g = graph();
    message(&g, 1, node("Mul", "m", "x,s", "y"));
    message(&g, 5, raw_tensor("s", 10, (const int64_t[]){5}, 1, half, sizeof half));
    fn_graph *read = read_ok(model(g, 13));
    assert_memory_equal(input_of(read, 0, 1)->data, expected, sizeof expected);
    fn_graph_free(read);
}

static void integers_of_all_widths_become_int64(void **state) {
    (void)state;
    const int32_t i32[2] = {-1, 7};
    const unsigned char u8[2] = {255, 0};
    const int64_t dims[1] = {2};
    wire g = graph();
    message(&g, 1, node("Reshape", "r", "x,a", "r1"));
    message(&g, 1, node("Reshape", "r2", "r1,b", "r3"));
    message(&g, 1, node("Reshape", "r3", "r3,c", "y"));
    message(&g, 5, raw_tensor("a", 6, dims, 1, i32, sizeof i32));
    message(&g, 5, raw_tensor("b", 2, dims, 1, u8, sizeof u8));
    wire c = tensor("c", 9, dims, 1);
    number(&c, 5, 1);
    number(&c, 5, 0);
    message(&g, 5, c);
    fn_graph *read = read_ok(model(g, 13));
    const int64_t a[2] = {-1, 7}, b[2] = {255, 0}, t[2] = {1, 0};
    assert_memory_equal(input_of(read, 0, 1)->data, a, sizeof a);
    assert_memory_equal(input_of(read, 1, 1)->data, b, sizeof b);
    assert_memory_equal(input_of(read, 2, 1)->data, t, sizeof t);
    fn_graph_free(read);
}

static void nodes_out_of_order_are_sorted(void **state) {
    (void)state;
    wire g = graph();
    message(&g, 1, node("Relu", "last", "b", "y"));
    message(&g, 1, node("Exp", "middle", "a", "b"));
    message(&g, 1, node("Abs", "first", "x", "a"));
    fn_graph *read = read_ok(model(g, 13));
    assert_string_equal(read->nodes[0].op->name, "Abs");
    assert_string_equal(read->nodes[1].op->name, "Exp");
    assert_string_equal(read->nodes[2].op->name, "Relu");
    fn_graph_free(read);
}

static void initializers_listed_as_inputs_are_constants(void **state) {
    (void)state;
    const float two = 2;
    wire g = graph();
    message(&g, 11, value_info("s", 1, (const int64_t[]){1}, 1));
    message(&g, 1, node("Mul", "m", "x,s", "y"));
    message(&g, 5, raw_tensor("s", 1, (const int64_t[]){1}, 1, &two, sizeof two));
    fn_graph *read = read_ok(model(g, 9));
    assert_int_equal(read->n_inputs, 1);
    assert_non_null(input_of(read, 0, 1)->data);
    fn_graph_free(read);
}

static void constant_nodes_become_constants(void **state) {
    (void)state;
    const float two[1] = {2};
    wire g = graph(), c = node("Constant", "k", "", "s"), f = node("Constant", "l", "", "t");
    wire attr = begin();
    text(&attr, 1, "value");
    message(&attr, 5, raw_tensor("", 1, (const int64_t[]){1}, 1, two, sizeof two));
    number(&attr, 20, 4);
    message(&c, 5, attr);
    attr_float(&f, "value_float", 3);
    message(&g, 1, c);
    message(&g, 1, f);
    message(&g, 1, node("Mul", "m", "x,s", "p"));
    message(&g, 1, node("Mul", "n", "p,t", "y"));
    fn_graph *read = read_ok(model(g, 12));
    assert_int_equal(read->n_nodes, 2);
    assert_float_equal(*(const float *)input_of(read, 0, 1)->data, 2, 0);
    assert_float_equal(*(const float *)input_of(read, 1, 1)->data, 3, 0);
    assert_int_equal(input_of(read, 1, 1)->shape.rank, 0);
    fn_graph_free(read);
}

static void leftover_initializers_are_dropped(void **state) {
    (void)state;
    const float two = 2;
    wire g = graph();
    message(&g, 1, node("Relu", "r", "x", "y"));
    message(&g, 5, raw_tensor("unused", 1, (const int64_t[]){1}, 1, &two, sizeof two));
    fn_graph *read = read_ok(model(g, 13));
    assert_int_equal(fn_graph_find(read, "unused"), -1);
    fn_graph_free(read);
}

static void dimensions_without_a_number_are_any(void **state) {
    (void)state;
    wire g = begin();
    message(&g, 11, value_info("x", 1, (const int64_t[]){0, 3, -2, -1}, 4));
    message(&g, 12, value_info("y", 1, NULL, 0));
    message(&g, 1, node("Relu", "r", "x", "y"));
    fn_graph *read = read_ok(model(g, 13));
    const fn_shape *shape = &read->values[read->inputs[0]].shape;
    assert_int_equal(shape->dim[0], -1);
    assert_int_equal(shape->dim[1], 3);
    assert_int_equal(shape->dim[2], -1);
    assert_int_equal(shape->dim[3], -1);
    fn_graph_free(read);
}

static void metadata_comes_along(void **state) {
    (void)state;
    wire g = graph(), entry = begin();
    message(&g, 1, node("Relu", "r", "x", "y"));
    text(&entry, 1, "facenet.role");
    text(&entry, 2, "embedder");
    wire w = model(g, 13);
    message(&w, 14, entry);
    fn_graph *read;
    fn_metadata metadata;
    assert_int_equal(fn_onnx_read(&read, &metadata, w.buf.data, w.buf.len, NULL), FN_OK);
    assert_string_equal(fn_metadata_get(&metadata, "facenet.role"), "embedder");
    assert_null(fn_metadata_get(&metadata, "facenet.name"));
    fn_metadata_free(&metadata);
    fn_graph_free(read);
    fn_buf_free(&w.buf);
}

// ---- Older and newer operator sets

static void arguments_that_were_attributes_become_inputs(void **state) {
    (void)state;
    const int64_t pads[8] = {0, 0, 1, 1, 0, 0, 1, 1};
    wire pad = node("Pad", "p", "x", "y");
    attr_ints(&pad, "pads", pads, 8);
    attr_float(&pad, "value", 0.5F);
    fn_graph *read = read_node(pad, 9);
    assert_memory_equal(input_of(read, 0, 1)->data, pads, sizeof pads);
    assert_float_equal(*(const float *)input_of(read, 0, 2)->data, 0.5F, 0);
    assert_null(fn_node_attr(&read->nodes[0], "pads"));
    fn_graph_free(read);

    wire clip = node("Clip", "c", "x", "y");
    attr_float(&clip, "max", 6);
    read = read_node(clip, 8);
    assert_int_equal(read->nodes[0].inputs[1], -1);
    assert_float_equal(*(const float *)input_of(read, 0, 2)->data, 6, 0);
    fn_graph_free(read);

    wire slice = node("Slice", "s", "x", "y");
    attr_ints(&slice, "axes", (const int64_t[]){2}, 1);
    attr_ints(&slice, "starts", (const int64_t[]){1}, 1);
    attr_ints(&slice, "ends", (const int64_t[]){INT64_MAX}, 1);
    read = read_node(slice, 9);
    assert_int_equal(*(const int64_t *)input_of(read, 0, 1)->data, 1);
    assert_true(*(const int64_t *)input_of(read, 0, 2)->data == INT64_MAX);
    assert_int_equal(*(const int64_t *)input_of(read, 0, 3)->data, 2);
    fn_graph_free(read);

    wire squeeze = node("Unsqueeze", "u", "x", "y");
    attr_ints(&squeeze, "axes", (const int64_t[]){0}, 1);
    read = read_node(squeeze, 11);
    assert_int_equal(*(const int64_t *)input_of(read, 0, 1)->data, 0);
    fn_graph_free(read);
}

static void upsample_becomes_resize(void **state) {
    (void)state;
    const float scales[4] = {1, 1, 2, 2};
    wire up = node("Upsample", "u", "x", "y");
    attr_string(&up, "mode", "nearest");
    attr_floats(&up, "scales", scales, 4);
    fn_graph *read = read_node(up, 7);
    const fn_node *n = &read->nodes[0];
    assert_string_equal(n->op->name, "Resize");
    assert_string_equal(fn_node_attr(n, "coordinate_transformation_mode")->s, "asymmetric");
    assert_string_equal(fn_node_attr(n, "nearest_mode")->s, "floor");
    assert_int_equal(n->inputs[1], -1);
    assert_memory_equal(input_of(read, 0, 2)->data, scales, sizeof scales);
    fn_graph_free(read);
}

static void a_shrinking_upsample_is_refused(void **state) {
    (void)state;
    const float scales[4] = {1, 1, 0.5F, 0.5F};
    wire up = node("Upsample", "u", "x", "y"), g = graph();
    attr_floats(&up, "scales", scales, 4);
    message(&g, 1, up);
    refused(model(g, 7), FN_EUNSUPPORTED, "'u'");
}

static void empty_tensors_of_resize_are_absent_inputs(void **state) {
    (void)state;
    const float scales[4] = {1, 1, 2, 2};
    wire g = graph();
    message(&g, 1, node("Resize", "r", "x,roi,s", "y"));
    message(&g, 5, raw_tensor("roi", 1, (const int64_t[]){0}, 1, "", 0));
    message(&g, 5, raw_tensor("s", 1, (const int64_t[]){4}, 1, scales, sizeof scales));
    fn_graph *read = read_ok(model(g, 11));
    assert_int_equal(read->nodes[0].inputs[1], -1);
    assert_memory_equal(input_of(read, 0, 2)->data, scales, sizeof scales);
    fn_graph_free(read);
}

static void dropout_keeps_its_ratio_as_an_input(void **state) {
    (void)state;
    wire d = node("Dropout", "d", "x", "y,mask");
    attr_float(&d, "ratio", 0.5F);
    fn_graph *read = read_node(d, 10);
    assert_string_equal(read->nodes[0].op->name, "Dropout");
    assert_int_equal(read->nodes[0].n_attrs, 0);
    assert_int_equal(read->nodes[0].n_outputs, 1);
    assert_float_equal(*(const float *)input_of(read, 0, 1)->data, 0.5F, 0);
    fn_graph_free(read);
}

static void axes_of_set_18_become_an_attribute(void **state) {
    (void)state;
    const int64_t axes[1] = {2};
    wire g = graph();
    message(&g, 1, node("ReduceMax", "m", "x,axes", "y"));
    message(&g, 5, raw_tensor("axes", 7, (const int64_t[]){1}, 1, axes, sizeof axes));
    fn_graph *read = read_ok(model(g, 18));
    assert_int_equal(read->nodes[0].n_inputs, 1);
    const fn_attr *attr = fn_node_attr(&read->nodes[0], "axes");
    assert_non_null(attr);
    assert_int_equal(attr->n, 1);
    assert_int_equal(attr->ints[0], 2);
    fn_graph_free(read);
}

static void a_rounding_up_euclidean_pool_is_refused(void **state) {
    (void)state;
    wire g = graph(), pool = node("LpPool", "p", "x", "y");
    attr_int(&pool, "ceil_mode", 1);
    message(&g, 1, pool);
    refused(model(g, 18), FN_EUNSUPPORTED, "ceil_mode");
}

static void an_output_that_is_not_made_cannot_be_used(void **state) {
    (void)state;
    wire g = graph();
    message(&g, 1, node("Dropout", "d", "x", "a,mask"));
    message(&g, 1, node("Relu", "r", "mask", "y"));
    refused(model(g, 10), FN_EUNSUPPORTED, "second output");
}

static void old_softmax_runs_over_all_later_dimensions(void **state) {
    (void)state;
    wire s = node("Softmax", "s", "x", "y");
    attr_int(&s, "axis", 1);
    fn_graph *read = read_node(s, 11);
    assert_int_equal(read->n_nodes, 4);
    assert_string_equal(read->nodes[0].op->name, "Flatten");
    assert_string_equal(read->nodes[1].op->name, "Softmax");
    assert_int_equal(fn_node_int(&read->nodes[1], "axis", 0), -1);
    assert_string_equal(read->nodes[3].op->name, "Reshape");
    assert_string_equal(read->values[read->outputs[0]].name, "y");
    fn_graph_free(read);
    s = node("Softmax", "s", "x", "y");
    attr_int(&s, "axis", 1);
    read = read_node(s, 13);
    assert_int_equal(read->n_nodes, 1);
    fn_graph_free(read);
}

static void training_forms_are_refused(void **state) {
    (void)state;
    wire g = graph(), b = node("BatchNormalization", "bn", "x,s,s,s,s", "y");
    const float s[3] = {1, 1, 1};
    attr_int(&b, "spatial", 0);
    message(&g, 1, b);
    message(&g, 5, raw_tensor("s", 1, (const int64_t[]){3}, 1, s, sizeof s));
    refused(model(g, 8), FN_EUNSUPPORTED, "spatial");
    g = graph();
    b = node("BatchNormalization", "bn", "x,s,s,s,s", "y");
    attr_int(&b, "training_mode", 1);
    message(&g, 1, b);
    message(&g, 5, raw_tensor("s", 1, (const int64_t[]){3}, 1, s, sizeof s));
    refused(model(g, 15), FN_EUNSUPPORTED, "training_mode");
}

static void operator_sets_out_of_range_are_named(void **state) {
    (void)state;
    wire g = graph();
    message(&g, 1, node("Relu", "r", "x", "y"));
    refused(model(g, 19), FN_EUNSUPPORTED, "19");
    g = graph();
    message(&g, 1, node("Relu", "r", "x", "y"));
    refused(model(g, 6), FN_EUNSUPPORTED, "set 6");
}

// ---- What is refused

static void unknown_operators_are_named_with_their_node(void **state) {
    (void)state;
    wire g = graph();
    message(&g, 1, node("NonMaxSuppression", "nms", "x", "y"));
    refused(model(g, 13), FN_EUNSUPPORTED, "'NonMaxSuppression' of node 'nms'");
    g = graph();
    wire n = node("Relu", "r", "x", "y");
    text(&n, 7, "com.example");
    message(&g, 1, n);
    refused(model(g, 13), FN_EUNSUPPORTED, "com.example");
}

static void graphs_that_do_not_hang_together_are_refused(void **state) {
    (void)state;
    wire g = graph();
    message(&g, 1, node("Add", "a", "x,c", "b"));
    message(&g, 1, node("Relu", "r", "b", "c"));
    message(&g, 1, node("Relu", "s", "c", "y"));
    refused(model(g, 13), FN_EFORMAT, "circle");
    g = graph();
    message(&g, 1, node("Relu", "r", "nothing", "y"));
    refused(model(g, 13), FN_EFORMAT, "'nothing'");
    g = graph();
    message(&g, 1, node("Relu", "r", "x", "y"));
    message(&g, 1, node("Relu", "s", "x", "y"));
    refused(model(g, 13), FN_EFORMAT, "twice");
    g = graph();
    message(&g, 1, node("Relu", "r", "x", "z"));
    refused(model(g, 13), FN_EFORMAT, "'y'");
    g = graph();
    message(&g, 1, node("Relu", "r", "x", ""));
    refused(model(g, 13), FN_EFORMAT, "output");
    refused(model(begin(), 13), FN_EFORMAT, "no input");
}

static void tensors_that_lie_about_their_size_are_refused(void **state) {
    (void)state;
    const float two[2] = {2, 2};
    const int64_t wrong[][2] = {{1, 3}, {-2, -1}, {INT64_MAX, INT64_MAX}, {(int64_t)1 << 40, 1}};
    for (int i = 0; i < 4; i++) {
        wire g = graph();
        message(&g, 1, node("Mul", "m", "x,s", "y"));
        message(&g, 5, raw_tensor("s", 1, wrong[i], 2, two, sizeof two));
        refused(model(g, 13), FN_EFORMAT, "tensor 's'");
    }
    wire g = graph();
    message(&g, 1, node("Mul", "m", "x,s", "y"));
    message(&g, 5, raw_tensor("s", 1, (const int64_t[]){1}, 1, "abcde", 5));
    refused(model(g, 13), FN_EFORMAT, "5 bytes");
    g = graph();
    message(&g, 1, node("Mul", "m", "x,s", "y"));
    wire both = raw_tensor("s", 1, (const int64_t[]){2}, 1, two, sizeof two);
    bytes(&both, 4, two, sizeof two);
    message(&g, 5, both);
    refused(model(g, 13), FN_EFORMAT, "twice");
}

static void tensors_in_other_files_are_refused(void **state) {
    (void)state;
    wire g = graph(), t = tensor("s", 1, (const int64_t[]){1}, 1), entry = begin();
    text(&entry, 1, "location");
    text(&entry, 2, "/etc/passwd");
    message(&t, 13, entry);
    number(&t, 14, 1);
    message(&g, 1, node("Mul", "m", "x,s", "y"));
    message(&g, 5, t);
    refused(model(g, 13), FN_EUNSUPPORTED, "another file");
}

static void subgraphs_are_refused(void **state) {
    (void)state;
    wire g = graph(), n = node("Relu", "branch", "x", "y"), attr = begin();
    text(&attr, 1, "then_branch");
    message(&attr, 6, begin());
    number(&attr, 20, 5);
    message(&n, 5, attr);
    message(&g, 1, n);
    refused(model(g, 13), FN_EUNSUPPORTED, "then_branch");
}

static void inputs_other_than_floats_are_refused(void **state) {
    (void)state;
    wire g = begin();
    message(&g, 11, value_info("x", 2, picture, 4));
    message(&g, 12, value_info("y", 2, picture, 4));
    message(&g, 1, node("Relu", "r", "x", "y"));
    refused(model(g, 13), FN_EUNSUPPORTED, "'x'");
}

// ---- Bytes of an enemy

static void deep_nesting_is_refused(void **state) {
    (void)state;
    wire inner = begin();
    for (int i = 0; i < 200; i++) { // a graph in an attribute of a node of a graph ...
        wire attr = begin(), n = begin(), g = begin();
        message(&attr, 6, inner);
        message(&n, 5, attr);
        message(&g, 1, n);
        inner = g;
    }
    refused(model(inner, 13), FN_ELIMIT, "nested");
}

static void broken_wire_data_is_refused_with_its_place(void **state) {
    (void)state;
    refused_bytes("", 0, FN_EFORMAT, "no bytes");
    refused_bytes("\x08", 1, FN_EFORMAT, "byte 1");
    refused_bytes("\x08\x08\x3A\x7F", 4, FN_EFORMAT, "byte 2");
    refused_bytes("\x0B\x0C", 2, FN_EFORMAT, "group");
    refused_bytes("\x00\x00", 2, FN_EFORMAT, "impossible number");
    refused_bytes("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12, FN_EFORMAT, "ten bytes");
    refused_bytes("\x12\x02\xFF\xFE", 4, FN_EFORMAT, "UTF-8");
    refused_bytes("\x3A\x00\x3A\x00", 4, FN_EFORMAT, "twice");
    refused_bytes("\x3A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 10, FN_EFORMAT, "past its message");
    refused_bytes("not a model at all", 18, FN_EFORMAT, "not an ONNX model");
}

static void many_empty_messages_do_not_take_much_memory(void **state) {
    (void)state;
    wire g = begin();
    for (int i = 0; i < 3 << 20; i++)
        fn_buf_append(&g.buf, "\x0A", 2); // a node of no bytes
    refused(model(g, 13), FN_ELIMIT, "");
}

static void a_long_chain_is_read_in_reasonable_time(void **state) {
    (void)state;
    wire g = begin();
    message(&g, 11, value_info("x", 1, picture, 4));
    message(&g, 12, value_info("v60000", 1, picture, 4));
    for (int i = 60000; i > 0; i--) { // backwards: the sort must not recurse
        char from[16], to[16];
        snprintf(from, sizeof from, i == 1 ? "x" : "v%d", i - 1);
        snprintf(to, sizeof to, "v%d", i);
        message(&g, 1, node("Relu", "", from, to));
    }
    fn_graph *read = read_ok(model(g, 13));
    assert_int_equal(read->n_nodes, 60000);
    fn_graph_free(read);
}

// ---- Writing

static fn_graph *small_network(void) {
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    float w[4 * 3 * 3 * 3], b[4] = {0.5F, -0.5F, 0, 1}, fc[2 * 4];
    for (int i = 0; i < 108; i++)
        w[i] = (float)i * 0.01F - 0.5F;
    for (int i = 0; i < 8; i++)
        fc[i] = (float)i - 3.5F;
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 16, 16));
    int weights = fn_graph_constant(g, "w", FN_F32, fn_shape_make(4, 4, 3, 3, 3), w);
    int bias = fn_graph_constant(g, "b", FN_F32, fn_shape_make(1, 4), b);
    int dense = fn_graph_constant(g, "fc", FN_F32, fn_shape_make(2, 2, 4), fc);
    fn_graph_constant(g, "unused", FN_F32, fn_shape_make(1, 4), b);
    x = fn_conv(g, "conv", x, weights, bias, &(fn_conv_attrs){.stride = {2, 2}, .pad = {1, 1, 1, 1}});
    x = fn_clip(g, "clip", x, 0, 6);
    x = fn_global_average_pool(g, "pool", x);
    x = fn_flatten(g, "flat", x);
    x = fn_dense(g, "output", x, dense, -1);
    fn_graph_output(g, x);
    assert_int_equal(fn_graph_finish(g), FN_OK);
    return g;
}

static void what_is_written_reads_back_and_writes_the_same_bytes(void **state) {
    (void)state;
    fn_graph *g = small_network(), *read;
    fn_metadata metadata = {0}, back;
    assert_int_equal(fn_metadata_set(&metadata, "b", "two\nlines"), FN_OK);
    assert_int_equal(fn_metadata_set(&metadata, "a", ""), FN_OK);
    void *first, *second, *third;
    size_t n_first, n_second, n_third;
    assert_int_equal(fn_onnx_write(&first, &n_first, g, &metadata), FN_OK);
    assert_int_equal(fn_onnx_write(&second, &n_second, g, &metadata), FN_OK);
    assert_int_equal(fn_onnx_read(&read, &back, first, n_first, "f"), FN_OK);
    assert_int_equal(fn_onnx_write(&third, &n_third, read, &back), FN_OK);
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first);
    assert_int_equal(n_first, n_third);
    assert_memory_equal(first, third, n_first);
    assert_string_equal(back.keys[0], "b");
    assert_string_equal(fn_metadata_get(&back, "b"), "two\nlines");
    assert_int_equal(read->n_nodes, g->n_nodes);
    assert_int_equal(fn_graph_find(read, "unused"), -1);
    assert_int_equal(read->values[read->inputs[0]].shape.dim[0], -1);
    fn_free(first);
    fn_free(second);
    fn_free(third);
    fn_metadata_free(&metadata);
    fn_metadata_free(&back);
    fn_graph_free(g);
    fn_graph_free(read);
}

static void values_of_one_name_are_told_apart(void **state) {
    (void)state;
    fn_graph *g, *read;
    fn_metadata metadata;
    void *out;
    size_t n;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    int x = fn_graph_input(g, "same", fn_shape_make(4, 1, 1, 2, 2));
    x = fn_relu(g, "same", x);
    x = fn_relu(g, "same_1", x);
    fn_graph_output(g, fn_sigmoid(g, "same", x));
    assert_int_equal(fn_onnx_write(&out, &n, g, NULL), FN_OK);
    assert_int_equal(fn_onnx_read(&read, &metadata, out, n, NULL), FN_OK);
    assert_int_equal(read->n_nodes, 3);
    assert_int_equal(read->nodes[2].inputs[0], read->nodes[1].outputs[0]);
    fn_free(out);
    fn_graph_free(g);
    fn_graph_free(read);
}

static void an_optimised_graph_is_not_written(void **state) {
    (void)state;
    fn_graph *g = small_network();
    void *out;
    size_t n;
    g->nodes[0].fused.activation = FN_ACT_RELU;
    assert_int_equal(fn_onnx_write(&out, &n, g, NULL), FN_EINTERNAL);
    assert_null(out);
    fn_graph_free(g);
}

static void metadata_is_set_replaced_and_removed(void **state) {
    (void)state;
    fn_metadata m = {0};
    assert_int_equal(fn_metadata_set(&m, "a", "1"), FN_OK);
    assert_int_equal(fn_metadata_set(&m, "b", "2"), FN_OK);
    assert_int_equal(fn_metadata_set(&m, "a", "3"), FN_OK);
    assert_int_equal(m.n, 2);
    assert_string_equal(fn_metadata_get(&m, "a"), "3");
    assert_int_equal(fn_metadata_set(&m, "a", NULL), FN_OK);
    assert_null(fn_metadata_get(&m, "a"));
    assert_string_equal(m.keys[0], "b");
    fn_metadata_free(&m);
    assert_int_equal(m.n, 0);
}

// ---- Damage and shortage

/// Reads the bytes; whatever can be read can be written, and reads again.
static void try_bytes(const void *data, size_t n) {
    fn_graph *g, *again;
    fn_metadata metadata, again_metadata;
    void *out;
    size_t n_out;
    if (fn_onnx_read(&g, &metadata, data, n, NULL) < 0)
        return;
    assert_int_equal(fn_onnx_write(&out, &n_out, g, &metadata), FN_OK);
    if (fn_onnx_read(&again, &again_metadata, out, n_out, NULL) < 0)
        fail_msg("what was written does not read: %s", fn_last_error());
    fn_free(out);
    fn_graph_free(g);
    fn_graph_free(again);
    fn_metadata_free(&metadata);
    fn_metadata_free(&again_metadata);
}

static void damaged_files_are_refused_or_read_but_never_crash(void **state) {
    (void)state;
    fn_graph *g = small_network();
    unsigned char *file, *copy;
    size_t n;
    assert_int_equal(fn_onnx_write((void **)&file, &n, g, NULL), FN_OK);
    copy = fn_alloc(n);
    for (size_t i = 0; i < n; i++) // cut off after i bytes
        try_bytes(file, i);
    uint32_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, file, n);
        for (int k = 0; k <= round % 3; k++) {
            seed = seed * 1664525 + 1013904223;
            copy[seed % n] = (unsigned char)(seed >> 24);
        }
        try_bytes(copy, n);
    }
    fn_free(file);
    fn_free(copy);
    fn_graph_free(g);
}

static void each_failing_allocation_is_an_error_and_no_leak(void **state) {
    (void)state;
    fn_graph *g = small_network(), *read;
    fn_metadata metadata = {0}, back;
    void *out, *again;
    size_t n, n_again;
    assert_int_equal(fn_metadata_set(&metadata, "key", "value"), FN_OK);
    assert_int_equal(fn_onnx_write(&out, &n, g, &metadata), FN_OK);
    int rc = FN_ENOMEM;
    for (int64_t nth = 1; rc != FN_OK; nth++) {
        fn_alloc_fail_nth(nth);
        rc = fn_onnx_read(&read, &back, out, n, "file");
        fn_alloc_fail_nth(0);
        if (rc != FN_OK)
            assert_int_equal(rc, FN_ENOMEM);
    }
    rc = FN_ENOMEM;
    for (int64_t nth = 1; rc != FN_OK; nth++) {
        fn_alloc_fail_nth(nth);
        rc = fn_onnx_write(&again, &n_again, read, &back);
        fn_alloc_fail_nth(0);
        if (rc != FN_OK)
            assert_int_equal(rc, FN_ENOMEM);
    }
    assert_int_equal(n, n_again);
    fn_free(out);
    fn_free(again);
    fn_graph_free(read);
    fn_graph_free(g);
    fn_metadata_free(&metadata);
    fn_metadata_free(&back);
}

// ---- Files of others

static char *shared_file(const char *leaf) {
    const char *shared = getenv("FACENET_SHARED"), *source = getenv("FACENET_SOURCE");
    return shared ? fn_asprintf("%s/%s", shared, leaf)
                  : fn_asprintf("%s/../shared/%s", source ? source : ".", leaf);
}

static void networks_of_others_are_read(void **state) {
    (void)state;
    static const char *const files[] = {"face_detection_yunet_2026may.onnx", "pfld_landmark.onnx",
                                        "ultralight_version-RFB-320.onnx"};
    for (int i = 0; i < 3; i++) {
        char leaf[128];
        snprintf(leaf, sizeof leaf, "models/third-party/%s", files[i]);
        char *path = shared_file(leaf);
        unsigned char *data;
        size_t n;
        if (fn_read_file(&data, &n, path, (uint64_t)1 << 30) < 0) {
            printf("skipped: %s (set FACENET_SHARED)\n", fn_last_error());
            fn_free(path);
            skip();
        }
        fn_graph *g;
        fn_metadata metadata;
        int rc = fn_onnx_read(&g, &metadata, data, n, path);
        if (rc < 0)
            fail_msg("%s", fn_last_error());
        assert_true(g->n_nodes > 50);
        fn_graph_free(g);
        fn_metadata_free(&metadata);
        try_bytes(data, n);
        fn_free(data);
        fn_free(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_becomes_a_graph),
        cmocka_unit_test(every_element_type_gives_the_same_numbers),
        cmocka_unit_test(half_floats_keep_subnormals_and_infinities),
        cmocka_unit_test(integers_of_all_widths_become_int64),
        cmocka_unit_test(nodes_out_of_order_are_sorted),
        cmocka_unit_test(initializers_listed_as_inputs_are_constants),
        cmocka_unit_test(constant_nodes_become_constants),
        cmocka_unit_test(leftover_initializers_are_dropped),
        cmocka_unit_test(dimensions_without_a_number_are_any),
        cmocka_unit_test(metadata_comes_along),
        cmocka_unit_test(arguments_that_were_attributes_become_inputs),
        cmocka_unit_test(upsample_becomes_resize),
        cmocka_unit_test(a_shrinking_upsample_is_refused),
        cmocka_unit_test(empty_tensors_of_resize_are_absent_inputs),
        cmocka_unit_test(dropout_keeps_its_ratio_as_an_input),
        cmocka_unit_test(axes_of_set_18_become_an_attribute),
        cmocka_unit_test(a_rounding_up_euclidean_pool_is_refused),
        cmocka_unit_test(an_output_that_is_not_made_cannot_be_used),
        cmocka_unit_test(old_softmax_runs_over_all_later_dimensions),
        cmocka_unit_test(training_forms_are_refused),
        cmocka_unit_test(operator_sets_out_of_range_are_named),
        cmocka_unit_test(unknown_operators_are_named_with_their_node),
        cmocka_unit_test(graphs_that_do_not_hang_together_are_refused),
        cmocka_unit_test(tensors_that_lie_about_their_size_are_refused),
        cmocka_unit_test(tensors_in_other_files_are_refused),
        cmocka_unit_test(subgraphs_are_refused),
        cmocka_unit_test(inputs_other_than_floats_are_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(broken_wire_data_is_refused_with_its_place),
        cmocka_unit_test(many_empty_messages_do_not_take_much_memory),
        cmocka_unit_test(a_long_chain_is_read_in_reasonable_time),
        cmocka_unit_test(what_is_written_reads_back_and_writes_the_same_bytes),
        cmocka_unit_test(values_of_one_name_are_told_apart),
        cmocka_unit_test(an_optimised_graph_is_not_written),
        cmocka_unit_test(metadata_is_set_replaced_and_removed),
        cmocka_unit_test(damaged_files_are_refused_or_read_but_never_crash),
        cmocka_unit_test(each_failing_allocation_is_an_error_and_no_leak),
        cmocka_unit_test(networks_of_others_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
