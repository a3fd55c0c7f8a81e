// SPDX-License-Identifier: Apache-2.0
//
// Reads an ONNX file (https://github.com/onnx/onnx/blob/main/docs/IR.md) into a graph: the bytes are
// scanned, unpacked by protobuf-c under a memory limit, names are tied to who gives them, nodes put in
// an order in which every input is there before it is needed, and each is brought to operator set 13.
// Initializers become constants when a node first uses them, so that leftovers are never kept.
#include "model/onnx.h"
#include "model/onnx_reader.h"
#include "model/onnx_scan.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 1 << 16, MAX_NAMES = 1 << 18, MAX_METADATA = 1024 };

/// What protobuf-c may still allocate, in all, and why an allocation failed.
struct allowance {
    size_t left;
    int failed; // FN_OK, FN_ELIMIT or FN_ENOMEM
};

static void *allowance_alloc(void *user, size_t size) {
    struct allowance *allowance = user;
    void *p = NULL;
    if (size > allowance->left)
        allowance->failed = FN_ELIMIT;
    else if (!(p = fn_alloc(size)))
        allowance->failed = FN_ENOMEM;
    else
        allowance->left -= size;
    return p;
}

static void allowance_free(void *user, void *p) {
    (void)user;
    fn_free(p);
}

static int unpack(Onnx__ModelProto **out, const void *bytes, size_t n, ProtobufCAllocator *allocator) {
    const struct allowance *allowance = allocator->allocator_data;
    int rc = fn_onnx_scan(&onnx__model_proto__descriptor, bytes, n);
    if (rc < 0)
        return rc;
    *out = onnx__model_proto__unpack(allocator, n, bytes);
    if (*out)
        return FN_OK;
    if (allowance->failed == FN_ENOMEM)
        return fn_fail_memory();
    if (allowance->failed == FN_ELIMIT)
        return fn_fail(FN_ELIMIT, "the model would take too much memory for its %zu bytes", n);
    return fn_fail(FN_EFORMAT, "not an ONNX model: a field has the wrong kind of value");
}

static int by_text(const void *a, const void *b) {
    const fn_onnx_name *left = a, *right = b;
    int order = strcmp(left->text, right->text);
    return order ? order : (right->tensor != NULL) - (left->tensor != NULL); // initializers first
}

fn_onnx_name *fn_onnx_find(const fn_onnx_reader *reader, const char *text) {
    fn_onnx_name key = {.text = text};
    size_t low = 0, high = reader->n_names;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(key.text, reader->names[middle].text);
        if (order == 0)
            return &reader->names[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

char *fn_onnx_fresh_name(const fn_onnx_reader *reader, const char *base, const char *what) {
    char *name = fn_asprintf("%s/%s", base, what);
    while (name && fn_onnx_find(reader, name)) {
        char *longer = fn_asprintf("%s_", name);
        fn_free(name);
        name = longer;
    }
    return name;
}

static int check_sizes(const Onnx__GraphProto *file) {
    size_t n_names = file->n_input + file->n_initializer;
    for (size_t i = 0; i < file->n_node; i++)
        n_names += file->node[i]->n_output;
    if (file->n_node > MAX_NODES || n_names > MAX_NAMES)
        return fn_fail(FN_ELIMIT, "%zu nodes and %zu names are more than any face network has", file->n_node,
                       n_names);
    if (file->n_sparse_initializer)
        return fn_fail(FN_EUNSUPPORTED, "sparse initializers are not supported");
    return FN_OK;
}

/// Lists every name that something gives, sorted. In old files an initializer is also listed as an
/// input; it is a constant all the same.
static int list_names(fn_onnx_reader *reader, const Onnx__GraphProto *file) {
    size_t n = file->n_input + file->n_initializer, kept = 0;
    for (size_t i = 0; i < file->n_node; i++)
        n += file->node[i]->n_output;
    fn_onnx_name *names = reader->names = fn_calloc(n, sizeof *names);
    if (!names)
        return fn_fail_memory();
    n = 0;
    for (size_t i = 0; i < file->n_initializer; i++)
        names[n++] = (fn_onnx_name){fn_onnx_text(file->initializer[i]->name), file->initializer[i], -1, -1};
    for (size_t i = 0; i < file->n_input; i++)
        names[n++] = (fn_onnx_name){fn_onnx_text(file->input[i]->name), NULL, -1, -1};
    for (size_t i = 0; i < file->n_node; i++)
        for (size_t k = 0; k < file->node[i]->n_output; k++)
            if (file->node[i]->output[k][0]) // "" is an output nobody wants
                names[n++] = (fn_onnx_name){file->node[i]->output[k], NULL, (int)i, -1};
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        if (!names[i].text[0])
            return fn_fail(FN_EFORMAT, "an input or initializer has no name");
        if (kept && strcmp(names[kept - 1].text, names[i].text) == 0) {
            if (!names[kept - 1].tensor || names[i].tensor || names[i].node >= 0)
                return fn_fail(FN_EFORMAT, "the name '%.80s' is given twice", names[i].text);
            continue;
        }
        names[kept++] = names[i];
    }
    reader->n_names = kept;
    return FN_OK;
}

static int add_input(fn_onnx_reader *reader, const Onnx__ValueInfoProto *info) {
    fn_onnx_name *name = fn_onnx_find(reader, fn_onnx_text(info->name));
    if (!name || name->tensor)
        return FN_OK;
    const Onnx__TypeProto__Tensor *type =
        info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? info->type->tensor_type
                                                                                    : NULL;
    if (!type || type->elem_type != ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        return fn_fail(FN_EUNSUPPORTED, "input '%.80s' is not a tensor of 32-bit floats", name->text);
    if (!type->shape || type->shape->n_dim > FN_MAX_RANK)
        return fn_fail(FN_EUNSUPPORTED, "input '%.80s' has no shape of at most %d dimensions", name->text,
                       FN_MAX_RANK);
    fn_shape shape = {.rank = (int)type->shape->n_dim};
    for (int i = 0; i < shape.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = type->shape->dim[i];
        int is_number = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (is_number && dim->dim_value > INT32_MAX)
            return fn_fail(FN_ELIMIT, "input '%.80s' has a dimension of %lld", name->text,
                           (long long)dim->dim_value);
        // Some exporters write 0 or -1 where any size will do.
        shape.dim[i] = is_number && dim->dim_value > 0 ? dim->dim_value : -1;
    }
    name->value = fn_graph_input(reader->graph, name->text, shape);
    return name->value < 0 ? fn_onnx_graph_error(reader->graph) : FN_OK;
}

/// The nodes in an order in which every giver comes before its users; a file that is in order stays as
/// it is. Depth first, with the path on a stack of our own.
struct order {
    int *nodes, n;
    int *path, depth;
    size_t *next;         // per node on the path: the input to look at next
    unsigned char *state; // 0: new, 1: on the path, 2: done
};

static int visit(struct order *order, const fn_onnx_reader *reader, const Onnx__GraphProto *file, int first) {
    if (order->state[first])
        return FN_OK;
    order->path[order->depth++] = first;
    order->state[first] = 1;
    while (order->depth) {
        int index = order->path[order->depth - 1];
        const Onnx__NodeProto *node = file->node[index];
        if (order->next[index] == node->n_input) {
            order->nodes[order->n++] = index;
            order->state[index] = 2;
            order->depth--;
            continue;
        }
        const fn_onnx_name *name = fn_onnx_find(reader, node->input[order->next[index]++]);
        int giver = name ? name->node : -1;
        if (giver >= 0 && order->state[giver] == 1)
            return fn_fail(FN_EFORMAT, "the graph runs in a circle through '%.80s'", name->text);
        if (giver >= 0 && order->state[giver] == 0) {
            order->path[order->depth++] = giver;
            order->state[giver] = 1;
        }
    }
    return FN_OK;
}

static int add_nodes(fn_onnx_reader *reader, const Onnx__GraphProto *file) {
    int rc = FN_OK, n = (int)file->n_node;
    struct order order = {.nodes = fn_calloc(file->n_node, sizeof(int)),
                          .path = fn_calloc(file->n_node, sizeof(int)),
                          .next = fn_calloc(file->n_node, sizeof(size_t)),
                          .state = fn_calloc(file->n_node, 1)};
    if (!order.nodes || !order.path || !order.next || !order.state)
        rc = fn_fail_memory();
    for (int i = 0; i < n && rc == FN_OK; i++)
        rc = visit(&order, reader, file, i);
    for (int i = 0; i < n && rc == FN_OK; i++)
        rc = fn_onnx_add_node(reader, file->node[order.nodes[i]]);
    fn_free(order.nodes);
    fn_free(order.path);
    fn_free(order.next);
    fn_free(order.state);
    return rc;
}

static int read_graph(fn_onnx_reader *reader, const Onnx__GraphProto *file) {
    int rc = check_sizes(file);
    if (rc == FN_OK)
        rc = list_names(reader, file);
    for (size_t i = 0; i < file->n_input && rc == FN_OK; i++)
        rc = add_input(reader, file->input[i]);
    if (rc == FN_OK)
        rc = add_nodes(reader, file);
    for (size_t i = 0; i < file->n_output && rc == FN_OK; i++) {
        int value = -1;
        rc = fn_onnx_value(reader, fn_onnx_text(file->output[i]->name), "the list of outputs", &value);
        if (rc == FN_OK)
            fn_graph_output(reader->graph, value);
    }
    return rc < 0 ? rc : fn_graph_finish(reader->graph);
}

static int check_version(fn_onnx_reader *reader, const Onnx__ModelProto *model) {
    reader->opset = 0;
    if (model->ir_version < 3)
        return fn_fail(FN_EUNSUPPORTED,
                       "not an ONNX model, or of IR version %lld; version 3 or later is read",
                       (long long)model->ir_version);
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const char *domain = fn_onnx_text(model->opset_import[i]->domain);
        if (!domain[0] || strcmp(domain, "ai.onnx") == 0)
            reader->opset = model->opset_import[i]->version;
    }
    if (reader->opset < FN_ONNX_OPSET_MIN || reader->opset > FN_ONNX_OPSET_MAX)
        return fn_fail(FN_EUNSUPPORTED, "the model uses ONNX operator set %lld; sets %d to %d are read",
                       (long long)reader->opset, FN_ONNX_OPSET_MIN, FN_ONNX_OPSET_MAX);
    return model->graph ? FN_OK : fn_fail(FN_EFORMAT, "the model holds no graph");
}

static int read_metadata(fn_metadata *metadata, const Onnx__ModelProto *model) {
    if (model->n_metadata_props > MAX_METADATA)
        return fn_fail(FN_ELIMIT, "%zu metadata entries are more than %d", model->n_metadata_props,
                       MAX_METADATA);
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        int rc = fn_metadata_set(metadata, fn_onnx_text(entry->key), fn_onnx_text(entry->value));
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

int fn_onnx_read(fn_graph **out, fn_metadata *metadata, const void *bytes, size_t n_bytes, const char *name) {
    fn_onnx_reader reader = {0};
    Onnx__ModelProto *model = NULL;
    struct allowance allowance = {.left = 8 * n_bytes + ((size_t)16 << 20)};
    ProtobufCAllocator allocator = {allowance_alloc, allowance_free, &allowance};
    *out = NULL;
    memset(metadata, 0, sizeof *metadata);
    int rc = unpack(&model, bytes, n_bytes, &allocator);
    if (rc == FN_OK)
        rc = check_version(&reader, model);
    if (rc == FN_OK)
        rc = fn_graph_open(&reader.graph);
    if (rc == FN_OK)
        rc = read_graph(&reader, model->graph);
    if (rc == FN_OK)
        rc = read_metadata(metadata, model);
    if (model)
        onnx__model_proto__free_unpacked(model, &allocator);
    fn_free(reader.names);
    if (rc < 0) {
        fn_graph_free(reader.graph);
        fn_metadata_free(metadata);
        return name ? fn_fail_prefix(rc, "%s", name) : rc;
    }
    *out = reader.graph;
    return FN_OK;
}
