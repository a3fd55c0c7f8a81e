// SPDX-License-Identifier: Apache-2.0
//
// One node of an ONNX file into the graph: its inputs by name, its attributes, its form of operator set
// 13. Constant nodes become constants; subgraphs, tensors and lists of texts as attributes are refused.
#include "model/onnx_reader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <stdio.h>
#include <string.h>

int fn_onnx_graph_error(const fn_graph *graph) {
    return fn_fail(graph->failed, "%s", graph->message);
}

static int add_tensor(fn_onnx_reader *reader, const char *name, const Onnx__TensorProto *tensor, int *value) {
    fn_onnx_data data;
    int rc = fn_onnx_tensor(&data, tensor);
    if (rc < 0)
        return rc;
    *value = fn_graph_constant(reader->graph, name, data.dtype, data.shape, data.data);
    fn_free(data.owned);
    return *value < 0 ? fn_onnx_graph_error(reader->graph) : FN_OK;
}

int fn_onnx_value(fn_onnx_reader *reader, const char *text, const char *who, int *value) {
    fn_onnx_name *name = fn_onnx_find(reader, text);
    if (name && name->value < 0 && name->tensor) {
        int rc = add_tensor(reader, name->text, name->tensor, &name->value);
        if (rc < 0)
            return rc;
    }
    if (!name)
        return fn_fail(FN_EFORMAT, "%.80s needs '%.80s', which nothing gives", who, text);
    if (name->value < 0)
        return fn_fail(FN_EUNSUPPORTED, "%.80s needs '%.80s', a second output of its node", who, text);
    *value = name->value;
    return FN_OK;
}

static int check_node(const Onnx__NodeProto *node) {
    const char *domain = fn_onnx_text(node->domain), *op = fn_onnx_text(node->op_type);
    const char *name = fn_onnx_text(node->name);
    if (domain[0] && strcmp(domain, "ai.onnx") != 0)
        return fn_fail(FN_EUNSUPPORTED, "operator '%.40s' of domain '%.40s' (node '%.80s') is not supported",
                       op, domain, name);
    if (node->n_input > FN_MAX_INPUTS || node->n_attribute > FN_ONNX_MAX_ATTRS)
        return fn_fail(FN_EUNSUPPORTED, "node '%.80s' (%.40s) has %zu inputs and %zu attributes", name, op,
                       node->n_input, node->n_attribute);
    if (!node->n_output || !node->output[0][0])
        return fn_fail(FN_EFORMAT, "node '%.80s' (%.40s) has no first output", name, op);
    return FN_OK;
}

/// One attribute; its text, if it has one, is new memory.
static int read_attr(fn_attr *out, const Onnx__AttributeProto *attr, const char *node) {
    const char *name = fn_onnx_text(attr->name);
    if (!name[0] || fn_onnx_text(attr->ref_attr_name)[0])
        return fn_fail(FN_EFORMAT, "an attribute of node '%.80s' has no name or no value", node);
    switch (attr->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        *out = fn_attr_int(name, attr->i);
        return FN_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        *out = fn_attr_float(name, attr->f);
        return FN_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        *out = fn_attr_ints(name, attr->ints, (int)attr->n_ints);
        return FN_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        *out = fn_attr_floats(name, attr->floats, (int)attr->n_floats);
        return FN_OK;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        if (!fn_utf8_valid((const char *)attr->s.data, attr->s.len))
            return fn_fail(FN_EFORMAT, "attribute '%.80s' of node '%.80s' is not UTF-8", name, node);
        *out = fn_attr_string(name, fn_strndup(attr->s.len ? (const char *)attr->s.data : "", attr->s.len));
        return out->s ? FN_OK : fn_fail_memory();
    default:
        return fn_fail(
            FN_EUNSUPPORTED,
            "attribute '%.80s' of node '%.80s' is of kind %d: only numbers and texts are supported", name,
            node, (int)attr->type);
    }
}

int fn_onnx_emit(fn_onnx_reader *reader, const fn_onnx_draft *draft) {
    int value, n_inputs = draft->n_inputs;
    while (n_inputs > 0 && draft->inputs[n_inputs - 1] < 0)
        n_inputs--;
    fn_graph_node_outputs(reader->graph, draft->op, draft->name, draft->inputs, n_inputs, draft->attrs,
                          draft->n_attrs, &draft->output, 1, &value);
    return value;
}

static int add_constant_node(fn_onnx_reader *reader, const Onnx__NodeProto *node, int *value) {
    const Onnx__AttributeProto *attr = node->n_attribute == 1 ? node->attribute[0] : NULL;
    const char *output = node->output[0];
    fn_dtype dtype = FN_F32;
    fn_shape shape = fn_shape_make(0);
    const void *data = NULL;
    switch (attr ? attr->type : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        if (attr->t)
            return add_tensor(reader, output, attr->t, value);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        data = &attr->f;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        dtype = FN_I64;
        data = &attr->i;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        shape = fn_shape_make(1, (int)attr->n_floats);
        data = attr->floats;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        dtype = FN_I64;
        shape = fn_shape_make(1, (int)attr->n_ints);
        data = attr->ints;
        break;
    default:
        break;
    }
    if (!data)
        return fn_fail(FN_EUNSUPPORTED, "Constant '%.80s' holds neither a tensor nor numbers", output);
    *value = fn_graph_constant(reader->graph, output, dtype, shape, data);
    return *value < 0 ? fn_onnx_graph_error(reader->graph) : FN_OK;
}

static int add_operator(fn_onnx_reader *reader, const Onnx__NodeProto *node, int *value) {
    fn_onnx_draft draft = {
        .op = fn_onnx_text(node->op_type), .name = fn_onnx_text(node->name), .output = node->output[0]};
    const char *texts[FN_ONNX_MAX_ATTRS];
    int n_texts = 0, rc = FN_OK;
    char who[160];
    snprintf(who, sizeof who, "node '%.80s' (%.40s)", draft.name, draft.op);
    for (size_t i = 0; i < node->n_input && rc == FN_OK; i++) {
        draft.inputs[draft.n_inputs++] = -1;
        if (node->input[i][0])
            rc = fn_onnx_value(reader, node->input[i], who, &draft.inputs[i]);
    }
    for (size_t i = 0; i < node->n_attribute && rc == FN_OK; i++) {
        fn_attr *attr = &draft.attrs[draft.n_attrs];
        for (int k = 0; k < draft.n_attrs; k++)
            if (strcmp(draft.attrs[k].name, fn_onnx_text(node->attribute[i]->name)) == 0)
                rc = fn_fail(FN_EFORMAT, "%s has attribute '%.80s' twice", who, draft.attrs[k].name);
        if (rc == FN_OK && (rc = read_attr(attr, node->attribute[i], draft.name)) == FN_OK) {
            draft.n_attrs++;
            if (attr->kind == FN_ATTR_STRING)
                texts[n_texts++] = attr->s;
        }
    }
    if (rc == FN_OK)
        rc = fn_onnx_upgrade(reader, &draft);
    if (rc == FN_OK && (*value = fn_onnx_emit(reader, &draft)) < 0)
        rc = fn_onnx_graph_error(reader->graph);
    for (int i = 0; i < n_texts; i++)
        fn_free((void *)texts[i]);
    return rc;
}

int fn_onnx_add_node(fn_onnx_reader *reader, const Onnx__NodeProto *node) {
    int rc = check_node(node), value = -1;
    if (rc < 0)
        return rc;
    rc = strcmp(fn_onnx_text(node->op_type), "Constant") == 0 ? add_constant_node(reader, node, &value)
                                                              : add_operator(reader, node, &value);
    if (rc == FN_OK)
        fn_onnx_find(reader, node->output[0])->value = value;
    return rc;
}
