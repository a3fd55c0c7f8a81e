// SPDX-License-Identifier: Apache-2.0
//
// From a graph's constants to blocks of numbers and back. What a constant is follows from the operators that
// read it (fn_op_def.trainable and .statistics); a constant that several nodes read is one parameter.
#include "nn/parameters.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

enum { ALIGN = 16 }; // numbers: 64 bytes of floats

enum { FIXED, STATISTIC, TRAINED };

/// What is added to the result of a layer, a number per feature: exporters write a dense layer's bias so.
/// Other constants in sums and products belong to the pre-processing, or are no numbers to learn.
static int is_bias(const fn_graph *g, const fn_node *node, int k) {
    if (strcmp(node->op->name, "Add") != 0)
        return 0;
    const fn_shape *bias = &g->values[node->inputs[k]].shape;
    int producer = g->values[node->inputs[1 - k]].producer;
    const fn_node *layer = producer >= 0 ? &g->nodes[producer] : NULL;
    if (!layer || layer->n_inputs < 2 || layer->inputs[1] < 0)
        return 0;
    const fn_shape *w = &g->values[layer->inputs[1]].shape;
    if (strcmp(layer->op->name, "MatMul") == 0)
        return w->rank == 2 && fn_added_per_column(bias, w->dim[1]);
    return strcmp(layer->op->name, "Conv") == 0 && bias->rank >= 3 &&
           fn_slope_per_channel(bias, &(fn_shape){4, {1, w->dim[0], 1, 1}});
}

/// What input k of a node makes of the constant that it reads.
static int role_of(const fn_graph *g, const fn_node *node, int k) {
    int v = node->inputs[k];
    if (v < 0 || !g->values[v].data || g->values[v].dtype != FN_F32 || k >= 32)
        return FIXED;
    return node->op->trainable >> k & 1 || is_bias(g, node, k) ? TRAINED
           : node->op->statistics >> k & 1                     ? STATISTIC
                                                               : FIXED;
}

/// Kernels and matrices are factors of many inputs; what is added or scales a channel does not decay.
static int decays(const fn_node *node, int k) {
    return k == 1 && (strcmp(node->op->name, "Conv") == 0 || strcmp(node->op->name, "Gemm") == 0 ||
                      strcmp(node->op->name, "MatMul") == 0);
}

static void add(fn_parameter *p, const fn_graph *g, int value, int node, size_t *size) {
    const fn_value *v = &g->values[value];
    *p = (fn_parameter){.name = v->name, .value = value, .node = node, .shape = v->shape, .offset = *size};
    p->count = (size_t)fn_shape_count(&v->shape);
    *size += (p->count + ALIGN - 1) / ALIGN * ALIGN;
}

int fn_parameters_open(fn_parameters *out, const fn_graph *g) {
    *out = (fn_parameters){0};
    int *role = fn_calloc((size_t)g->n_values, sizeof *role);
    int *decay = fn_calloc((size_t)g->n_values, sizeof *decay);
    out->of_value = fn_calloc((size_t)g->n_values, sizeof *out->of_value);
    out->statistic_of_value = fn_calloc((size_t)g->n_values, sizeof *out->statistic_of_value);
    if (!role || !decay || !out->of_value || !out->statistic_of_value)
        goto no_memory;
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        for (int k = 0; k < node->n_inputs; k++) {
            int v = node->inputs[k], r = role_of(g, node, k);
            if (r == FIXED)
                continue;
            out->n_trained += r == TRAINED && role[v] != TRAINED;
            out->n_statistics += r == STATISTIC && role[v] == FIXED;
            out->n_statistics -= r == TRAINED && role[v] == STATISTIC;
            role[v] = r > role[v] ? r : role[v];
            decay[v] |= decays(node, k);
        }
    }
    out->trained = fn_calloc((size_t)out->n_trained, sizeof *out->trained);
    out->statistics = fn_calloc((size_t)out->n_statistics, sizeof *out->statistics);
    if (!out->trained || !out->statistics)
        goto no_memory;
    for (int i = 0; i < g->n_values; i++)
        out->of_value[i] = out->statistic_of_value[i] = -1;
    int n = 0, m = 0;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_inputs; k++) {
            int v = g->nodes[i].inputs[k];
            if (v >= 0 && role[v] == TRAINED && out->of_value[v] < 0) {
                add(&out->trained[n], g, v, i, &out->trained_size);
                out->trained[n].decays = decay[v];
                out->of_value[v] = n++;
            } else if (v >= 0 && role[v] == STATISTIC && out->statistic_of_value[v] < 0) {
                add(&out->statistics[m], g, v, i, &out->statistics_size);
                out->statistic_of_value[v] = m++;
            }
        }
    fn_free(role);
    fn_free(decay);
    return FN_OK;
no_memory:
    fn_free(role);
    fn_free(decay);
    fn_parameters_free(out);
    return fn_fail_memory();
}

void fn_parameters_free(fn_parameters *p) {
    fn_free(p->trained);
    fn_free(p->statistics);
    fn_free(p->of_value);
    fn_free(p->statistic_of_value);
    *p = (fn_parameters){0};
}

int fn_parameters_freeze(fn_parameters *p, const char *prefix) {
    int n = 0;
    for (int i = 0; i < p->n_trained; i++)
        if (strncmp(p->trained[i].name, prefix, strlen(prefix)) == 0) {
            p->trained[i].frozen = 1;
            n++;
        }
    return n ? n : fn_fail(FN_EINVAL, "no parameter has a name that begins with '%.80s'", prefix);
}

int fn_parameters_norm_is_frozen(const fn_parameters *p, const fn_node *node) {
    int n = 0;
    if (!node->op->statistics)
        return 0;
    for (int k = 0; k < node->n_inputs; k++) {
        int trained = node->inputs[k] >= 0 ? p->of_value[node->inputs[k]] : -1;
        if (trained >= 0 && !p->trained[trained].frozen)
            return 0;
        n += trained >= 0;
    }
    return n > 0;
}

int fn_parameters_bias_is_idle(const fn_parameters *p, const fn_graph *g, const fn_node *node) {
    const fn_node *norm = NULL;
    int n = 0;
    if (strcmp(node->op->name, "Conv") != 0)
        return 0;
    for (int i = 0; i < g->n_outputs; i++)
        n += g->outputs[i] == node->outputs[0];
    for (int i = 0; i < g->n_nodes && n < 2; i++)
        for (int k = 0; k < g->nodes[i].n_inputs; k++)
            if (g->nodes[i].inputs[k] == node->outputs[0]) {
                norm = &g->nodes[i];
                n++;
            }
    return n == 1 && norm && norm->op->statistics && !fn_parameters_norm_is_frozen(p, norm);
}

static void load(const fn_parameter *p, int n, const fn_graph *g, float *dst, size_t size) {
    memset(dst, 0, size * sizeof *dst);
    for (int i = 0; i < n; i++)
        memcpy(dst + p[i].offset, g->values[p[i].value].data, p[i].count * sizeof *dst);
}

void fn_parameters_load(const fn_parameters *p, const fn_graph *graph, float *weights, float *statistics) {
    load(p->trained, p->n_trained, graph, weights, p->trained_size);
    load(p->statistics, p->n_statistics, graph, statistics, p->statistics_size);
}

static void store(const fn_parameter *p, int n, fn_graph *g, const float *src) {
    for (int i = 0; i < n; i++)
        memcpy(g->values[p[i].value].data, src + p[i].offset, p[i].count * sizeof *src);
}

void fn_parameters_store(const fn_parameters *p, fn_graph *graph, const float *weights,
                         const float *statistics) {
    store(p->trained, p->n_trained, graph, weights);
    store(p->statistics, p->n_statistics, graph, statistics);
}

int64_t fn_parameters_count(const fn_parameters *p, int with_statistics) {
    int64_t count = 0;
    for (int i = 0; i < p->n_trained; i++)
        count += (int64_t)p->trained[i].count;
    for (int i = 0; with_statistics && i < p->n_statistics; i++)
        count += (int64_t)p->statistics[i].count;
    return count;
}
