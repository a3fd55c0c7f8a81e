// SPDX-License-Identifier: Apache-2.0
#include "describe.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

static void put_list(FILE *text, const int64_t *list, int n) {
    for (int i = 0; i < n; i++)
        fprintf(text, "%s%lld", i ? "," : "", (long long)list[i]);
    if (n == 0)
        fputc('-', text);
}

static void put_constant(FILE *text, FILE *numbers, int value, const char *kind, const fn_shape *shape,
                         const float *data) {
    fprintf(text, "constant %d %s ", value, kind);
    put_list(text, shape->dim, shape->rank);
    fputc('\n', text);
    fwrite(data, sizeof *data, (size_t)fn_shape_count(shape), numbers);
}

static void put_constants(FILE *text, FILE *numbers, fn_training *t) {
    const fn_graph *graph = fn_training_graph(t);
    const fn_parameters *p = fn_training_parameters(t);
    for (int i = 0; i < p->n_trained; i++)
        put_constant(text, numbers, p->trained[i].value, "trained", &p->trained[i].shape,
                     fn_training_weights(t) + p->trained[i].offset);
    for (int i = 0; i < p->n_statistics; i++)
        put_constant(text, numbers, p->statistics[i].value, "statistic", &p->statistics[i].shape,
                     fn_training_statistics(t) + p->statistics[i].offset);
    for (int v = 0; v < graph->n_values; v++) {
        const fn_value *value = &graph->values[v];
        if (!value->data || p->of_value[v] >= 0 || p->statistic_of_value[v] >= 0)
            continue;
        if (value->dtype == FN_F32) {
            put_constant(text, numbers, v, "fixed", &value->shape, value->data);
        } else {
            fprintf(text, "integers %d ", v);
            put_list(text, value->data, (int)fn_shape_count(&value->shape));
            fputc('\n', text);
        }
    }
}

static void put_attribute(FILE *text, const fn_attr *attr) {
    fprintf(text, " %s=", attr->name);
    switch (attr->kind) {
    case FN_ATTR_INT:
        fprintf(text, "%lld", (long long)attr->i);
        break;
    case FN_ATTR_FLOAT:
        fprintf(text, "%.9g", (double)attr->f);
        break;
    case FN_ATTR_STRING:
        fputs(attr->s, text);
        break;
    case FN_ATTR_INTS:
        put_list(text, attr->ints, attr->n);
        break;
    case FN_ATTR_FLOATS:
        for (int i = 0; i < attr->n; i++)
            fprintf(text, "%s%.9g", i ? "," : "", (double)attr->floats[i]);
        break;
    }
}

static void put_node(FILE *text, const fn_node *node, const fn_shape *result) {
    fprintf(text, "node %s ", node->op->name);
    for (int i = 0; i < node->n_inputs; i++)
        fprintf(text, "%s%d", i ? "," : "", node->inputs[i]);
    fprintf(text, " %d ", node->outputs[0]);
    put_list(text, result->dim, result->rank);
    for (int i = 0; i < node->n_attrs; i++)
        put_attribute(text, &node->attrs[i]);
    fputc('\n', text);
}

int bench_describe(const char *path, fn_training *t, int n) {
    const fn_graph *graph = fn_training_graph(t);
    const fn_shape input = fn_input_shape(graph, 0, n, 0, 0);
    char numbers_path[4096];
    FILE *text = NULL, *numbers = NULL;
    fn_shape *shapes;
    int rc = fn_graph_infer(graph, &input, &shapes);
    if (rc < 0)
        return rc;
    rc = fn_fail(FN_EIO, "%s: not writable", path);
    snprintf(numbers_path, sizeof numbers_path, "%s.f32", path);
    text = fopen(path, "w");
    numbers = fopen(numbers_path, "wb");
    if (!text || !numbers)
        goto out;
    fprintf(text, "input %d ", graph->inputs[0]);
    put_list(text, input.dim, input.rank);
    fputc('\n', text);
    put_constants(text, numbers, t);
    for (int i = 0; i < graph->n_nodes; i++)
        put_node(text, &graph->nodes[i], &shapes[graph->nodes[i].outputs[0]]);
    fprintf(text, "output %d\n", graph->outputs[0]);
    if (!ferror(text) && !ferror(numbers))
        rc = FN_OK;
out:
    if (numbers && fclose(numbers) && rc == FN_OK)
        rc = fn_fail(FN_EIO, "%s: not writable", numbers_path);
    if (text && fclose(text) && rc == FN_OK)
        rc = fn_fail(FN_EIO, "%s: not writable", path);
    fn_free(shapes);
    return rc;
}
