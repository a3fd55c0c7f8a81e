// SPDX-License-Identifier: Apache-2.0
//
// Building, checking and freeing graphs. Arrays grow by doubling; everything a graph points to is its
// own, so that whoever built it may forget its inputs.
#include "nn/graph.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

fn_shape fn_shape_make(int rank, ...) {
    fn_shape shape = {.rank = rank};
    va_list args;
    va_start(args, rank);
    for (int i = 0; i < rank && i < FN_MAX_RANK; i++)
        shape.dim[i] = va_arg(args, int);
    va_end(args);
    return shape;
}

int64_t fn_shape_count(const fn_shape *shape) {
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0 || __builtin_mul_overflow(count, shape->dim[i], &count))
            return -1;
    return count;
}

int fn_shape_equal(const fn_shape *a, const fn_shape *b) {
    return a->rank == b->rank &&
           (a->rank <= 0 || memcmp(a->dim, b->dim, (size_t)a->rank * sizeof a->dim[0]) == 0);
}

int fn_graph_open(fn_graph **out) {
    *out = fn_calloc(1, sizeof **out);
    return *out ? FN_OK : fn_fail_memory();
}

static void free_attrs(fn_attr *attrs, int n) {
    for (int i = 0; attrs && i < n; i++) {
        fn_free((void *)attrs[i].name);
        fn_free((void *)attrs[i].s);
        fn_free((void *)attrs[i].ints);
        fn_free((void *)attrs[i].floats);
    }
    fn_free(attrs);
}

void fn_node_clear(fn_node *node) {
    free_attrs(node->attrs, node->n_attrs);
    fn_free(node->name);
    fn_free(node->inputs);
    memset(node, 0, sizeof *node);
}

void fn_graph_free(fn_graph *graph) {
    if (!graph)
        return;
    for (int i = 0; i < graph->n_values; i++) {
        fn_free(graph->values[i].name);
        fn_free(graph->values[i].data);
    }
    for (int i = 0; i < graph->n_nodes; i++)
        fn_node_clear(&graph->nodes[i]);
    fn_free(graph->values);
    fn_free(graph->nodes);
    fn_free(graph->inputs);
    fn_free(graph->outputs);
    fn_free(graph);
}

int fn_graph_fail(fn_graph *graph, int code, const char *format, ...) {
    if (graph->failed)
        return -1;
    va_list args;
    va_start(args, format);
    vsnprintf(graph->message, sizeof graph->message, format, args);
    va_end(args);
    graph->failed = code;
    return -1;
}

static int no_memory(fn_graph *graph) {
    return fn_graph_fail(graph, FN_ENOMEM, "out of memory");
}

/// Room for one more element; capacities are powers of two.
static int grow(void *array, int n, size_t size) {
    if (n & (n - 1))
        return 1;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = fn_realloc(old, n ? 2 * (size_t)n : 1, size);
    if (grown)
        memcpy(array, &grown, sizeof grown);
    return grown != NULL;
}

static int add_value(fn_graph *graph, const char *name, fn_dtype dtype, const fn_shape *shape) {
    if (graph->failed)
        return -1;
    char made_up[24];
    if (!name || !*name) {
        snprintf(made_up, sizeof made_up, "v%d", graph->n_values);
        name = made_up;
    }
    char *copy = fn_strdup(name);
    if (!copy || !grow(&graph->values, graph->n_values, sizeof *graph->values)) {
        fn_free(copy);
        return no_memory(graph);
    }
    graph->values[graph->n_values] = (fn_value){.name = copy, .dtype = dtype, .producer = -1};
    if (shape)
        graph->values[graph->n_values].shape = *shape;
    else
        graph->values[graph->n_values].shape.rank = -1;
    return graph->n_values++;
}

int fn_graph_input(fn_graph *graph, const char *name, fn_shape shape) {
    if (graph->failed)
        return -1;
    if (!grow(&graph->inputs, graph->n_inputs, sizeof *graph->inputs))
        return no_memory(graph);
    int value = add_value(graph, name, FN_F32, &shape);
    if (value >= 0)
        graph->inputs[graph->n_inputs++] = value;
    return value;
}

int fn_graph_constant(fn_graph *graph, const char *name, fn_dtype dtype, fn_shape shape, const void *data) {
    if (graph->failed)
        return -1;
    int64_t count = fn_shape_count(&shape);
    size_t bytes;
    if (shape.rank < 0 || shape.rank > FN_MAX_RANK || count < 0 ||
        !fn_size_mul(&bytes, (size_t)count, dtype == FN_F32 ? sizeof(float) : sizeof(int64_t)))
        return fn_graph_fail(graph, FN_EFORMAT, "constant '%s' has an impossible shape", name ? name : "");
    void *copy = fn_alloc(bytes);
    if (!copy)
        return no_memory(graph);
    if (bytes)
        memcpy(copy, data, bytes);
    int value = add_value(graph, name, dtype, &shape);
    if (value < 0)
        fn_free(copy);
    else
        graph->values[value].data = copy;
    return value;
}

int fn_graph_output(fn_graph *graph, int value) {
    if (graph->failed)
        return -1;
    if (value < 0 || value >= graph->n_values)
        return fn_graph_fail(graph, FN_EINVAL, "an output is not a value of the graph");
    if (!grow(&graph->outputs, graph->n_outputs, sizeof *graph->outputs))
        return no_memory(graph);
    graph->outputs[graph->n_outputs++] = value;
    return value;
}

static int copy_attr(fn_attr *dst, const fn_attr *src) {
    *dst = *src;
    dst->name = fn_strdup(src->name);
    dst->s = NULL;
    dst->ints = NULL;
    dst->floats = NULL;
    int ok = dst->name != NULL;
    if (src->kind == FN_ATTR_STRING)
        ok = ok && (dst->s = fn_strdup(src->s)) != NULL;
    if (src->kind == FN_ATTR_INTS) {
        int64_t *ints = fn_calloc((size_t)src->n, sizeof *ints);
        if (ints && src->n)
            memcpy(ints, src->ints, (size_t)src->n * sizeof *ints);
        dst->ints = ints;
        ok = ok && ints;
    }
    if (src->kind == FN_ATTR_FLOATS) {
        float *floats = fn_calloc((size_t)src->n, sizeof *floats);
        if (floats && src->n)
            memcpy(floats, src->floats, (size_t)src->n * sizeof *floats);
        dst->floats = floats;
        ok = ok && floats;
    }
    return ok;
}

int fn_graph_node_outputs(fn_graph *graph, const char *op, const char *name, const int *inputs, int n_inputs,
                          const fn_attr *attrs, int n_attrs, const char *const *output_names, int n_outputs,
                          int *outputs) {
    for (int i = 0; i < n_outputs; i++)
        outputs[i] = -1;
    if (graph->failed)
        return -1;
    if (!name)
        name = "";
    const fn_op_def *def = fn_op_find(op);
    if (!def)
        return fn_graph_fail(graph, FN_EUNSUPPORTED, "operator '%.40s' of node '%.80s' is not supported", op,
                             name);
    if (n_inputs < def->min_inputs || n_inputs > def->max_inputs || n_outputs < 1 ||
        n_outputs > FN_MAX_OUTPUTS)
        return fn_graph_fail(graph, FN_EFORMAT, "node '%.80s' (%s) has %d inputs and %d outputs", name, op,
                             n_inputs, n_outputs);
    for (int i = 0; i < n_inputs; i++)
        if (inputs[i] >= graph->n_values || (inputs[i] < 0 && i < def->min_inputs))
            return fn_graph_fail(graph, FN_EFORMAT, "input %d of node '%.80s' (%s) is missing", i, name, op);
    if (!grow(&graph->nodes, graph->n_nodes, sizeof *graph->nodes))
        return no_memory(graph);
    fn_node node = {.op = def, .n_inputs = n_inputs, .n_outputs = n_outputs, .n_attrs = n_attrs};
    node.fused.slope = -1;
    node.name = fn_strdup(name);
    node.inputs = fn_calloc((size_t)n_inputs, sizeof *node.inputs);
    node.attrs = fn_calloc((size_t)n_attrs, sizeof *node.attrs);
    int ok = node.name && node.inputs && node.attrs;
    for (int i = 0; ok && i < n_inputs; i++)
        node.inputs[i] = inputs[i] < 0 ? -1 : inputs[i];
    for (int i = 0; ok && i < n_attrs; i++)
        ok = copy_attr(&node.attrs[i], &attrs[i]);
    if (!ok) {
        fn_node_clear(&node);
        return no_memory(graph);
    }
    for (int i = 0; i < n_outputs; i++) {
        const char *output_name = output_names ? output_names[i] : i == 0 ? name : NULL;
        outputs[i] = node.outputs[i] = add_value(graph, output_name, FN_F32, NULL);
        if (outputs[i] >= 0)
            graph->values[outputs[i]].producer = graph->n_nodes;
    }
    if (graph->failed) {
        fn_node_clear(&node);
        return -1;
    }
    graph->nodes[graph->n_nodes++] = node;
    return outputs[0];
}

int fn_graph_node(fn_graph *graph, const char *op, const char *name, const int *inputs, int n_inputs,
                  const fn_attr *attrs, int n_attrs) {
    int output;
    return fn_graph_node_outputs(graph, op, name, inputs, n_inputs, attrs, n_attrs, NULL, 1, &output);
}

int fn_graph_rename(fn_graph *graph, int value, const char *name) {
    if (graph->failed)
        return -1;
    char *copy = fn_strdup(name);
    if (!copy)
        return no_memory(graph);
    fn_free(graph->values[value].name);
    graph->values[value].name = copy;
    return value;
}

int fn_graph_find(const fn_graph *graph, const char *name) {
    for (int i = 0; i < graph->n_values; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return i;
    return -1;
}

int fn_graph_finish(fn_graph *graph) {
    if (!graph->failed && (!graph->n_inputs || !graph->n_outputs))
        fn_graph_fail(graph, FN_EFORMAT, "the graph has no %s", graph->n_inputs ? "output" : "input");
    for (int i = 0; i < graph->n_nodes && !graph->failed; i++) {
        const fn_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] >= 0 && graph->values[node->inputs[k]].producer >= i)
                fn_graph_fail(graph, FN_EFORMAT, "node '%.80s' (%s) needs a value that comes later",
                              node->name, node->op->name);
    }
    return graph->failed ? fn_fail(graph->failed, "%s", graph->message) : FN_OK;
}

int fn_graph_copy(fn_graph **out, const fn_graph *src) {
    fn_graph *graph;
    *out = NULL;
    int rc = fn_graph_open(&graph);
    if (rc < 0)
        return rc;
    for (int i = 0; i < src->n_values; i++) {
        const fn_value *v = &src->values[i];
        int value = v->data ? fn_graph_constant(graph, v->name, v->dtype, v->shape, v->data)
                            : add_value(graph, v->name, v->dtype, &v->shape);
        if (value >= 0)
            graph->values[value].producer = v->producer;
    }
    for (int i = 0; i < src->n_nodes && !graph->failed; i++) {
        const fn_node *from = &src->nodes[i];
        fn_node node = *from;
        node.name = fn_strdup(from->name);
        node.inputs = fn_calloc((size_t)from->n_inputs, sizeof *node.inputs);
        node.attrs = fn_calloc((size_t)from->n_attrs, sizeof *node.attrs);
        int ok = node.name && node.inputs && node.attrs &&
                 grow(&graph->nodes, graph->n_nodes, sizeof *graph->nodes);
        for (int k = 0; ok && k < from->n_inputs; k++)
            node.inputs[k] = from->inputs[k];
        for (int k = 0; ok && k < from->n_attrs; k++)
            ok = copy_attr(&node.attrs[k], &from->attrs[k]);
        if (ok) {
            graph->nodes[graph->n_nodes++] = node;
        } else {
            fn_node_clear(&node);
            no_memory(graph);
        }
    }
    for (int i = 0; i < src->n_inputs && !graph->failed; i++) {
        if (grow(&graph->inputs, graph->n_inputs, sizeof *graph->inputs))
            graph->inputs[graph->n_inputs++] = src->inputs[i];
        else
            no_memory(graph);
    }
    for (int i = 0; i < src->n_outputs; i++)
        fn_graph_output(graph, src->outputs[i]);
    rc = fn_graph_finish(graph);
    if (rc < 0) {
        fn_graph_free(graph);
        graph = NULL;
    }
    *out = graph;
    return rc;
}

fn_attr fn_attr_int(const char *name, int64_t i) {
    return (fn_attr){.name = name, .kind = FN_ATTR_INT, .i = i};
}

fn_attr fn_attr_float(const char *name, float f) {
    return (fn_attr){.name = name, .kind = FN_ATTR_FLOAT, .f = f};
}

fn_attr fn_attr_string(const char *name, const char *s) {
    return (fn_attr){.name = name, .kind = FN_ATTR_STRING, .s = s};
}

fn_attr fn_attr_ints(const char *name, const int64_t *ints, int n) {
    return (fn_attr){.name = name, .kind = FN_ATTR_INTS, .n = n, .ints = ints};
}

fn_attr fn_attr_floats(const char *name, const float *floats, int n) {
    return (fn_attr){.name = name, .kind = FN_ATTR_FLOATS, .n = n, .floats = floats};
}

const fn_attr *fn_node_attr(const fn_node *node, const char *name) {
    for (int i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    return NULL;
}

int64_t fn_node_int(const fn_node *node, const char *name, int64_t otherwise) {
    const fn_attr *attr = fn_node_attr(node, name);
    return attr && attr->kind == FN_ATTR_INT ? attr->i : otherwise;
}

float fn_node_float(const fn_node *node, const char *name, float otherwise) {
    const fn_attr *attr = fn_node_attr(node, name);
    return attr && attr->kind == FN_ATTR_FLOAT ? attr->f : otherwise;
}
