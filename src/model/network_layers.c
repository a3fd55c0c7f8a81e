// SPDX-License-Identifier: Apache-2.0
//
// A network to train as a table, one row per node: what runs, what comes out, what it learns and costs.
#include "model/networks.h"

#include "base/error.h"
#include "nn/infer.h"
#include "nn/parameters.h"

static void window_of(fn_network_layer *layer, const fn_node *node) {
    const fn_attr *kernel = fn_node_attr(node, "kernel_shape"), *stride = fn_node_attr(node, "strides");
    for (int i = 0; i < 2 && kernel && kernel->n == 2; i++) {
        layer->kernel[i] = (int)kernel->ints[i];
        layer->stride[i] = stride && stride->n == 2 ? (int)stride->ints[i] : 1;
    }
}

static int64_t numbers_of(const fn_parameter *parameters, int n, int node) {
    int64_t total = 0;
    for (int i = 0; i < n; i++)
        total += parameters[i].node == node ? (int64_t)parameters[i].count : 0;
    return total;
}

int fn_network_layers(const char *name, int embedding, int size,
                      int (*layer)(void *user, const fn_network_layer *layer), void *user) {
    fn_graph *graph;
    fn_inferred inferred = {0};
    fn_parameters parameters = {0};
    if (!name || !layer)
        return fn_fail(FN_EINVAL, "a network and a function for its layers are needed");
    int rc = fn_network_build(&graph, name,
                              &(fn_network_options){.embedding = embedding, .size = size, .blank = 1});
    if (rc < 0)
        return rc;
    fn_shape input = fn_input_shape(graph, 0, 1, 0, 0);
    rc = fn_parameters_open(&parameters, graph);
    if (rc == FN_OK)
        rc = fn_inferred_open(&inferred, graph, &input);
    for (int i = 0; i < graph->n_nodes && rc == FN_OK; i++) {
        const fn_node *node = &graph->nodes[i];
        const fn_shape *shape = &inferred.values[node->outputs[0]].shape;
        fn_network_layer row = {.op = node->op->name, .name = node->name, .rank = shape->rank};
        for (int k = 0; k < shape->rank; k++)
            row.shape[k] = shape->dim[k];
        window_of(&row, node);
        row.n_trained = numbers_of(parameters.trained, parameters.n_trained, i);
        row.n_statistics = numbers_of(parameters.statistics, parameters.n_statistics, i);
        row.n_multiply_adds = fn_inferred_node_cost(graph, &inferred, i);
        rc = layer(user, &row);
    }
    fn_inferred_free(&inferred);
    fn_parameters_free(&parameters);
    fn_graph_free(graph);
    return rc;
}
