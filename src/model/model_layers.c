// SPDX-License-Identifier: Apache-2.0
//
// A model's network as a table, one line per node of the file: what runs, what comes out, what it costs.
#include "model/model.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "nn/infer.h"

#include <string.h>

/// Text of a file, with what would break a line or a column replaced.
static void put_clean(fn_buf *line, const char *text) {
    for (; *text; text++)
        fn_buf_append(line, (unsigned char)*text < 32 || *text == 127 ? "?" : text, 1);
}

/// Parameters of a node: the constants that it is the first to use.
static int64_t parameters_of(const fn_graph *graph, const fn_node *node, unsigned char *counted) {
    int64_t total = 0;
    for (int i = 0; i < node->n_inputs; i++) {
        const fn_value *value = node->inputs[i] < 0 ? NULL : &graph->values[node->inputs[i]];
        if (!value || !value->data || value->dtype != FN_F32 || value->shape.rank == 0 ||
            counted[node->inputs[i]])
            continue;
        counted[node->inputs[i]] = 1;
        total += fn_shape_count(&value->shape);
    }
    return total;
}

static void put_line(fn_buf *line, const fn_graph *graph, const fn_inferred *inferred, int index,
                     unsigned char *counted) {
    const fn_node *node = &graph->nodes[index];
    const fn_shape *shape = &inferred->values[node->outputs[0]].shape;
    put_clean(line, node->op->name);
    fn_buf_append(line, "\t", 1);
    put_clean(line, node->name);
    fn_buf_append(line, "\t", 1);
    for (int i = 0; i < shape->rank; i++)
        fn_buf_printf(line, "%s%lld", i ? "x" : "", (long long)shape->dim[i]);
    fn_buf_printf(line, "\t%lld\t%lld", (long long)parameters_of(graph, node, counted),
                  (long long)fn_inferred_node_cost(graph, inferred, index));
}

int fn_model_layers(const fn_model *model, int (*line)(void *user, const char *text), void *user) {
    if (!model || !line)
        return fn_fail(FN_EINVAL, "a model and a function for its lines are needed");
    fn_model_info info;
    fn_inferred inferred;
    fn_model_get_info(model, &info);
    if (info.input_width == 0)
        return fn_fail(FN_EMODEL, "model '%s' takes pictures of any size and declares no default", info.name);
    const fn_graph *graph = fn_net_graph(fn_model_net((fn_model *)(uintptr_t)model));
    fn_shape input = fn_input_shape(graph, 0, 1, info.input_height, info.input_width);
    int rc = fn_inferred_open(&inferred, graph, &input);
    if (rc < 0)
        return rc;
    unsigned char *counted = fn_calloc((size_t)graph->n_values, 1);
    if (!counted)
        rc = fn_fail_memory();
    for (int i = 0; i < graph->n_nodes && rc == FN_OK; i++) {
        fn_buf text;
        fn_buf_init(&text, 1 << 20);
        put_line(&text, graph, &inferred, i, counted);
        rc = text.failed ? text.failed : line(user, text.data);
        fn_buf_free(&text);
    }
    fn_free(counted);
    fn_inferred_free(&inferred);
    return rc;
}
