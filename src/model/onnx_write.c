// SPDX-License-Identifier: Apache-2.0
//
// Writes a graph as an ONNX file of operator set 13. The bytes depend on the graph and its metadata
// alone: constants come in the order of their first use, and those that nothing uses are left out. The
// messages point into the graph where they can; what they need besides lies in blocks freed at the end.
#include "model/onnx.h"
#include "model/onnx_reader.h"
#include "model/onnx_scan.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "nn/infer.h"

#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t bytes[];
};

/// Errors stick: the messages are put together without a check per line.
struct writer {
    const fn_graph *graph;
    const char **names;  // per value, each once
    unsigned char *used; // per value
    int *constants, n_constants;
    struct block *blocks;
    int failed;
};

/// Zeroed memory that lives as long as the writer, or NULL with the writer failed.
static void *new_block(struct writer *w, size_t n, size_t size) {
    size_t total;
    struct block *block = NULL;
    if (!w->failed && fn_size_mul(&total, n ? n : 1, size) && total < SIZE_MAX / 2)
        block = fn_calloc(1, sizeof *block + total);
    if (!block) {
        w->failed = w->failed ? w->failed : fn_fail_memory();
        return NULL;
    }
    block->next = w->blocks;
    w->blocks = block;
    return block->bytes;
}

static void free_blocks(struct writer *w) {
    while (w->blocks) {
        struct block *next = w->blocks->next;
        fn_free(w->blocks);
        w->blocks = next;
    }
}

/// The text, in a block of its own: fields of messages are not const.
static char *text_of(struct writer *w, const char *text) {
    size_t n = strlen(text);
    if (!w->failed && !fn_utf8_valid(text, n))
        w->failed = fn_fail(FN_EINVAL, "a name or text of the model is not UTF-8");
    char *copy = new_block(w, n + 1, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

/// An empty message of this type in a block of its own.
static void *new_message(struct writer *w, const ProtobufCMessageDescriptor *type) {
    void *message = new_block(w, 1, type->sizeof_message);
    if (message)
        protobuf_c_message_init(type, message);
    return message;
}

static int by_text(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static int is_named(const char *const *sorted, int n, const char *text) {
    return bsearch(&text, sorted, (size_t)n, sizeof *sorted, by_text) != NULL;
}

struct named {
    const char *text;
    int value;
};

static int by_text_then_value(const void *a, const void *b) {
    const struct named *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    return order ? order : (left->value > right->value) - (left->value < right->value);
}

/// Two values of one name: the later becomes "name_index".
static void name_values(struct writer *w) {
    int n = w->graph->n_values;
    struct named *named = new_block(w, (size_t)n, sizeof *named);
    const char **sorted = new_block(w, (size_t)n, sizeof *sorted);
    w->names = new_block(w, (size_t)n, sizeof *w->names);
    if (w->failed)
        return;
    for (int i = 0; i < n; i++)
        named[i] = (struct named){w->graph->values[i].name, i};
    qsort(named, (size_t)n, sizeof *named, by_text_then_value);
    for (int i = 0; i < n; i++)
        sorted[i] = named[i].text;
    for (int i = 0; i < n && !w->failed; i++) {
        char *name = text_of(w, named[i].text);
        if (i > 0 && strcmp(named[i].text, named[i - 1].text) == 0) {
            char *longer = fn_asprintf("%s_%d", named[i].text, named[i].value);
            while (longer && is_named(sorted, n, longer)) {
                char *old = longer;
                longer = fn_asprintf("%s_", old);
                fn_free(old);
            }
            if (!longer)
                w->failed = fn_fail_memory();
            else
                name = text_of(w, longer);
            fn_free(longer);
        }
        w->names[named[i].value] = name;
    }
}

static void use(struct writer *w, int value) {
    if (value < 0 || w->used[value] || !w->graph->values[value].data)
        return;
    w->used[value] = 1;
    w->constants[w->n_constants++] = value;
}

/// Lists the constants in the order in which they are first used, which is also how they are read.
static void list_constants(struct writer *w) {
    const fn_graph *graph = w->graph;
    w->used = new_block(w, (size_t)graph->n_values, 1);
    w->constants = new_block(w, (size_t)graph->n_values, sizeof *w->constants);
    if (w->failed)
        return;
    for (int i = 0; i < graph->n_nodes; i++)
        for (int k = 0; k < graph->nodes[i].n_inputs; k++)
            use(w, graph->nodes[i].inputs[k]);
    for (int i = 0; i < graph->n_outputs; i++)
        use(w, graph->outputs[i]);
}

static ProtobufCBinaryData bytes_of(const void *data, size_t n) {
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)data};
}

static Onnx__TensorProto *new_tensor(struct writer *w, int index) {
    const fn_value *value = &w->graph->values[index];
    Onnx__TensorProto *tensor = new_message(w, &onnx__tensor_proto__descriptor);
    int64_t *dims = new_block(w, (size_t)value->shape.rank, sizeof *dims);
    if (w->failed)
        return NULL;
    for (int i = 0; i < value->shape.rank; i++)
        dims[i] = value->shape.dim[i];
    tensor->name = (char *)w->names[index];
    tensor->n_dims = (size_t)value->shape.rank;
    tensor->dims = dims;
    tensor->has_data_type = 1;
    tensor->data_type =
        value->dtype == FN_F32 ? ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT : ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    tensor->has_raw_data = 1;
    tensor->raw_data = bytes_of(value->data, (size_t)fn_shape_count(&value->shape) *
                                                 (value->dtype == FN_F32 ? sizeof(float) : sizeof(int64_t)));
    return tensor;
}

static Onnx__AttributeProto *new_attr(struct writer *w, const fn_attr *attr) {
    Onnx__AttributeProto *out = new_message(w, &onnx__attribute_proto__descriptor);
    char *name = text_of(w, attr->name);
    if (w->failed)
        return NULL;
    out->name = name;
    out->has_type = 1;
    switch (attr->kind) {
    case FN_ATTR_INT:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
        out->has_i = 1;
        out->i = attr->i;
        break;
    case FN_ATTR_FLOAT:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
        out->has_f = 1;
        out->f = attr->f;
        break;
    case FN_ATTR_STRING:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
        out->has_s = 1;
        out->s = bytes_of(attr->s, strlen(attr->s));
        break;
    case FN_ATTR_INTS:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        out->n_ints = (size_t)attr->n;
        out->ints = (int64_t *)(uintptr_t)attr->ints;
        break;
    case FN_ATTR_FLOATS:
        out->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
        out->n_floats = (size_t)attr->n;
        out->floats = (float *)(uintptr_t)attr->floats;
        break;
    }
    return out;
}

static Onnx__NodeProto *new_node(struct writer *w, const fn_node *node) {
    Onnx__NodeProto *out = new_message(w, &onnx__node_proto__descriptor);
    char **inputs = new_block(w, (size_t)node->n_inputs, sizeof *inputs);
    char **outputs = new_block(w, (size_t)node->n_outputs, sizeof *outputs);
    Onnx__AttributeProto **attrs = new_block(w, (size_t)node->n_attrs, sizeof(void *));
    char *name = text_of(w, node->name), *op = text_of(w, node->op->name);
    if (!w->failed && (node->fused.n_residuals || node->fused.activation != FN_ACT_NONE))
        w->failed = fn_fail(FN_EINTERNAL, "node '%.80s' (%s) is fused: an optimised graph cannot be written",
                            node->name, node->op->name);
    if (w->failed)
        return NULL;
    for (int i = 0; i < node->n_inputs; i++)
        inputs[i] = node->inputs[i] < 0 ? "" : (char *)w->names[node->inputs[i]];
    for (int i = 0; i < node->n_outputs; i++)
        outputs[i] = (char *)w->names[node->outputs[i]];
    for (int i = 0; i < node->n_attrs; i++)
        attrs[i] = new_attr(w, &node->attrs[i]);
    out->name = name;
    out->op_type = op;
    out->input = inputs;
    out->n_input = (size_t)node->n_inputs;
    out->output = outputs;
    out->n_output = (size_t)node->n_outputs;
    out->attribute = attrs;
    out->n_attribute = (size_t)node->n_attrs;
    return out;
}

/// A dimension of an input or output: a number, "N" for the batch, or a name for one that is open.
static Onnx__TensorShapeProto__Dimension *new_dim(struct writer *w, const char *value, int position,
                                                  int64_t size) {
    Onnx__TensorShapeProto__Dimension *dim = new_message(w, &onnx__tensor_shape_proto__dimension__descriptor);
    if (!dim)
        return NULL;
    if (size >= 0) {
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = size;
        return dim;
    }
    char *name = position == 0 ? fn_strdup("N") : fn_asprintf("%s_%d", value, position);
    if (!name)
        w->failed = fn_fail_memory();
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    dim->dim_param = name ? text_of(w, name) : NULL;
    fn_free(name);
    return dim;
}

/// shape rank -1: not known, left out.
static Onnx__ValueInfoProto *new_value_info(struct writer *w, int index, fn_dtype dtype,
                                            const fn_shape *shape) {
    Onnx__ValueInfoProto *info = new_message(w, &onnx__value_info_proto__descriptor);
    Onnx__TypeProto *type = new_message(w, &onnx__type_proto__descriptor);
    Onnx__TypeProto__Tensor *tensor = new_message(w, &onnx__type_proto__tensor__descriptor);
    if (w->failed)
        return NULL;
    info->name = (char *)w->names[index];
    info->type = type;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type =
        dtype == FN_F32 ? ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT : ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
    if (shape->rank < 0)
        return info;
    tensor->shape = new_message(w, &onnx__tensor_shape_proto__descriptor);
    Onnx__TensorShapeProto__Dimension **dims = new_block(w, (size_t)shape->rank, sizeof(void *));
    if (w->failed)
        return NULL;
    for (int i = 0; i < shape->rank; i++)
        dims[i] = new_dim(w, w->names[index], i, shape->dim[i]);
    tensor->shape->n_dim = (size_t)shape->rank;
    tensor->shape->dim = dims;
    return info;
}

/// The outputs' types and shapes when open batches are `batch` and other open sizes are `size`.
static int probe(const fn_graph *graph, fn_typed *types, int64_t batch, int64_t size) {
    fn_inferred inferred;
    fn_shape *inputs = fn_calloc((size_t)graph->n_inputs, sizeof *inputs);
    if (!inputs)
        return fn_fail_memory();
    for (int i = 0; i < graph->n_inputs; i++) {
        inputs[i] = graph->values[graph->inputs[i]].shape;
        for (int k = 0; k < inputs[i].rank; k++)
            if (inputs[i].dim[k] < 0)
                inputs[i].dim[k] = k == 0 ? batch : size;
    }
    int rc = fn_inferred_open(&inferred, graph, inputs);
    fn_free(inputs);
    if (rc < 0)
        return rc;
    for (int i = 0; i < graph->n_outputs; i++)
        types[i] = inferred.values[graph->outputs[i]];
    fn_inferred_free(&inferred);
    return FN_OK;
}

/// What can be said of the outputs whatever the input's open sizes: a dimension that follows one of them
/// is open itself. Sizes with many factors suit networks that halve again and again; where even those do
/// not fit, the shape is left out.
static void type_outputs(struct writer *w, fn_typed *types) {
    int n = w->graph->n_outputs;
    fn_typed *twice = new_block(w, (size_t)n, sizeof *twice),
             *larger = new_block(w, (size_t)n, sizeof *larger);
    if (w->failed)
        return;
    int rc = probe(w->graph, types, 1, 256);
    rc = rc < 0 ? rc : probe(w->graph, twice, 2, 256);
    rc = rc < 0 ? rc : probe(w->graph, larger, 1, 512);
    if (rc == FN_ENOMEM)
        w->failed = rc;
    for (int i = 0; i < n; i++) {
        if (rc < 0 || types[i].shape.rank != twice[i].shape.rank ||
            types[i].shape.rank != larger[i].shape.rank)
            types[i] = (fn_typed){.dtype = FN_F32, .shape.rank = -1};
        for (int k = 0; k < types[i].shape.rank; k++)
            if (types[i].shape.dim[k] != twice[i].shape.dim[k] ||
                types[i].shape.dim[k] != larger[i].shape.dim[k])
                types[i].shape.dim[k] = -1;
    }
}

static void fill_interface(struct writer *w, Onnx__GraphProto *out) {
    const fn_graph *graph = w->graph;
    size_t n_inputs = (size_t)graph->n_inputs, n_outputs = (size_t)graph->n_outputs;
    Onnx__ValueInfoProto **inputs = new_block(w, n_inputs, sizeof(void *));
    Onnx__ValueInfoProto **outputs = new_block(w, n_outputs, sizeof(void *));
    fn_typed *types = new_block(w, n_outputs, sizeof *types);
    if (!w->failed)
        type_outputs(w, types);
    if (w->failed)
        return;
    for (size_t i = 0; i < n_inputs; i++)
        inputs[i] = new_value_info(w, graph->inputs[i], FN_F32, &graph->values[graph->inputs[i]].shape);
    for (size_t i = 0; i < n_outputs; i++)
        outputs[i] = new_value_info(w, graph->outputs[i], types[i].dtype, &types[i].shape);
    out->input = inputs;
    out->n_input = n_inputs;
    out->output = outputs;
    out->n_output = n_outputs;
}

static Onnx__GraphProto *new_graph(struct writer *w) {
    const fn_graph *graph = w->graph;
    Onnx__GraphProto *out = new_message(w, &onnx__graph_proto__descriptor);
    Onnx__NodeProto **nodes = new_block(w, (size_t)graph->n_nodes, sizeof(void *));
    Onnx__TensorProto **tensors = new_block(w, (size_t)graph->n_values, sizeof(void *));
    name_values(w);
    list_constants(w);
    if (w->failed)
        return NULL;
    out->name = text_of(w, "facenet"); // the standard asks for a name
    out->node = nodes;
    out->initializer = tensors;
    for (int i = 0; i < graph->n_nodes; i++)
        nodes[out->n_node++] = new_node(w, &graph->nodes[i]);
    for (int i = 0; i < w->n_constants; i++)
        tensors[out->n_initializer++] = new_tensor(w, w->constants[i]);
    fill_interface(w, out);
    return out;
}

static Onnx__ModelProto *new_model(struct writer *w, const fn_metadata *metadata) {
    size_t n = metadata ? (size_t)metadata->n : 0;
    Onnx__ModelProto *model = new_message(w, &onnx__model_proto__descriptor);
    Onnx__OperatorSetIdProto *opset = new_message(w, &onnx__operator_set_id_proto__descriptor);
    Onnx__OperatorSetIdProto **opsets = new_block(w, 1, sizeof(void *));
    Onnx__StringStringEntryProto **entries = new_block(w, n, sizeof(void *));
    if (w->failed)
        return NULL;
    model->has_ir_version = 1;
    model->ir_version = FN_ONNX_IR_VERSION;
    model->producer_name = text_of(w, "facenet");
    model->producer_version = text_of(w, fn_version());
    opset->domain = text_of(w, "");
    opset->has_version = 1;
    opset->version = FN_ONNX_OPSET;
    opsets[0] = opset;
    model->opset_import = opsets;
    model->n_opset_import = 1;
    model->graph = new_graph(w);
    for (size_t i = 0; i < n && !w->failed; i++) {
        entries[i] = new_message(w, &onnx__string_string_entry_proto__descriptor);
        if (entries[i]) {
            entries[i]->key = text_of(w, metadata->keys[i]);
            entries[i]->value = text_of(w, metadata->values[i]);
        }
    }
    model->metadata_props = entries;
    model->n_metadata_props = n;
    return model;
}

int fn_onnx_write(void **out, size_t *n_out, const fn_graph *graph, const fn_metadata *metadata) {
    struct writer w = {.graph = graph};
    *out = NULL;
    *n_out = 0;
    Onnx__ModelProto *model = new_model(&w, metadata);
    if (!w.failed) {
        size_t n = onnx__model_proto__get_packed_size(model);
        void *bytes = n > FN_ONNX_MAX_BYTES ? NULL : fn_alloc(n);
        if (n > FN_ONNX_MAX_BYTES)
            w.failed =
                fn_fail(FN_ELIMIT, "a model of %zu bytes is over the limit of %zu", n, FN_ONNX_MAX_BYTES);
        else if (!bytes)
            w.failed = fn_fail_memory();
        else
            *n_out = onnx__model_proto__pack(model, bytes);
        *out = bytes;
    }
    free_blocks(&w);
    return w.failed;
}
