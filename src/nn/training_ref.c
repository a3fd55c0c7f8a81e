// SPDX-License-Identifier: Apache-2.0
//
// The reference of training: every operator forwards, then backwards, in plain C on one thread. Each value
// has a place of its own for its numbers and one for its gradient; views share those of what they look at.
// Built for float and for double, where gradients are compared with finite differences.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/training.h"

#include <math.h>
#include <string.h>

typedef struct plan {
    const fn_graph *graph;
    const fn_parameters *parameters;
    fn_inferred inferred;
    int wants_input;
    int *root;             // per value: the value whose numbers it holds (itself, but for views)
    unsigned char *wanted; // per root: somebody above learns, so its gradient is needed
    unsigned char *useful; // per root: the output depends on it
    void **at;             // per root: its numbers; parameters and the input: set by each pass
    void **gradient; // per root: its gradient, NULL where it is not needed; parameters: set by each pass
    void **saved;    // per node
    void *memory, *gradients;
    size_t memory_size, gradients_size; // bytes
    int is_backward;                    // gradients belong to the last forward pass
} plan;

enum { IS_DOUBLE = sizeof(fn_real) == sizeof(double), ALIGN = 64 };

static int is_real(const plan *p, int value) {
    return value >= 0 && p->inferred.values[value].dtype == FN_F32;
}

static size_t bytes_of(const plan *p, int value) {
    return (size_t)fn_shape_count(&p->inferred.values[value].shape) * sizeof(fn_real);
}

/// Nodes on integers were worked out with the shapes; views have nothing to compute.
static int computes(const plan *p, const fn_node *node) {
    return is_real(p, node->outputs[0]) && !node->op->is_view;
}

static int is_learning(const plan *p, const fn_node *node) {
    for (int k = 0; k < node->n_outputs; k++)
        if (is_real(p, node->outputs[k]) && p->wanted[p->root[node->outputs[k]]] &&
            p->useful[p->root[node->outputs[k]]])
            return 1;
    return 0;
}

/// Which gradients are needed: of what lies between a number that learns and the output.
static int analyse(plan *p) {
    const fn_graph *g = p->graph;
    for (int v = 0; v < g->n_values; v++) {
        int parameter = p->parameters->of_value[v];
        p->root[v] = v;
        p->wanted[v] = parameter >= 0 && !p->parameters->trained[parameter].frozen;
    }
    p->wanted[g->inputs[0]] = p->wants_input != 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        int any = 0;
        if (node->op->is_view && is_real(p, node->outputs[0]))
            p->root[node->outputs[0]] = p->root[node->inputs[0]];
        for (int k = 0; k < node->n_inputs; k++)
            any |= is_real(p, node->inputs[k]) && p->wanted[p->root[node->inputs[k]]];
        for (int k = 0; k < node->n_outputs && computes(p, node); k++)
            p->wanted[node->outputs[k]] = any != 0;
    }
    p->useful[p->root[g->outputs[0]]] = 1;
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const fn_node *node = &g->nodes[i];
        int any = 0;
        for (int k = 0; k < node->n_outputs; k++)
            any |= is_real(p, node->outputs[k]) && p->useful[p->root[node->outputs[k]]];
        for (int k = 0; k < node->n_inputs && any; k++)
            if (is_real(p, node->inputs[k]))
                p->useful[p->root[node->inputs[k]]] = 1;
        if (computes(p, node) && is_learning(p, node) && !node->op->backward)
            return fn_fail(FN_EUNSUPPORTED, "node '%.80s' (%s): no gradient passes this operator", node->name,
                           node->op->name);
    }
    return FN_OK;
}

/// Lays buffers out one after the other: with `block` NULL only the sizes.
static size_t place(void *block, size_t *size, size_t bytes, void **at) {
    if (block)
        *at = (char *)block + *size;
    return *size += (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static void place_all(plan *p, void *memory, void *gradients) {
    const fn_graph *g = p->graph;
    p->memory_size = p->gradients_size = 0;
    for (int v = 0; v < g->n_values; v++) {
        const fn_value *value = &g->values[v];
        int is_block = p->parameters->of_value[v] >= 0 || p->parameters->statistic_of_value[v] >= 0;
        if (!is_real(p, v) || p->root[v] != v || is_block)
            continue;
        if (value->data && !IS_DOUBLE)
            p->at[v] = value->data;
        else if (v != g->inputs[0])
            place(memory, &p->memory_size, bytes_of(p, v), &p->at[v]);
        if (!value->data && p->wanted[v])
            place(gradients, &p->gradients_size, bytes_of(p, v), &p->gradient[v]);
    }
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        if (!computes(p, node) || !node->op->saved)
            continue;
        fn_typed in[FN_MAX_INPUTS], out[FN_MAX_OUTPUTS];
        for (int k = 0; k < node->n_inputs; k++)
            in[k] = node->inputs[k] >= 0 ? p->inferred.values[node->inputs[k]] : (fn_typed){.shape.rank = -1};
        for (int k = 0; k < node->n_outputs; k++)
            out[k] = p->inferred.values[node->outputs[k]];
        fn_infer_args args = {node, node->n_inputs, node->n_outputs, in, out};
        place(memory, &p->memory_size, (size_t)node->op->saved(&args) * sizeof(fn_real), &p->saved[i]);
    }
}

static void plan_free(void *p_) {
    plan *p = p_;
    if (!p)
        return;
    fn_inferred_free(&p->inferred);
    fn_free(p->root);
    fn_free(p->wanted);
    fn_free(p->useful);
    fn_free(p->at);
    fn_free(p->gradient);
    fn_free(p->saved);
    fn_free(p->memory);
    fn_free(p->gradients);
    fn_free(p);
}

static int plan_open(void **out, const fn_graph *g, const fn_parameters *parameters, fn_inferred *inferred,
                     const fn_training_options *options) {
    plan *p = fn_calloc(1, sizeof *p);
    int rc = FN_OK;
    *out = NULL;
    if (!p) {
        fn_inferred_free(inferred);
        return fn_fail_memory();
    }
    size_t n = (size_t)g->n_values;
    p->graph = g;
    p->parameters = parameters;
    p->inferred = *inferred;
    p->wants_input = options->wants_input;
    p->root = fn_calloc(n, sizeof *p->root);
    p->wanted = fn_calloc(n, 1);
    p->useful = fn_calloc(n, 1);
    p->at = fn_calloc(n, sizeof *p->at);
    p->gradient = fn_calloc(n, sizeof *p->gradient);
    p->saved = fn_calloc((size_t)g->n_nodes, sizeof *p->saved);
    if (!p->root || !p->wanted || !p->useful || !p->at || !p->gradient || !p->saved)
        rc = fn_fail_memory();
    else if (options->precision != FN_PRECISION_F32)
        rc = fn_fail(FN_EUNSUPPORTED, "the reference backend trains in f32 only");
    else
        rc = analyse(p);
    if (rc == FN_OK) {
        place_all(p, NULL, NULL);
        p->memory = fn_alloc_aligned(p->memory_size);
        p->gradients = fn_alloc_aligned(p->gradients_size);
        if (!p->memory || !p->gradients)
            rc = fn_fail_memory();
    }
    if (rc < 0) {
        plan_free(p);
        return rc;
    }
    place_all(p, p->memory, p->gradients);
    for (int v = 0; v < g->n_values; v++) {
        fn_real *copy = p->at[v];
        if (is_real(p, v) && g->values[v].data && copy && IS_DOUBLE)
            for (int64_t i = 0; i < fn_shape_count(&g->values[v].shape); i++)
                copy[i] = ((const float *)g->values[v].data)[i];
    }
    *out = p;
    return FN_OK;
}

/// Where the numbers of a value are during this pass.
static void *numbers(const plan *p, const fn_pass *pass, int value) {
    if (value < 0)
        return NULL;
    if (!is_real(p, value))
        return (void *)p->inferred.values[value].data; // integers, read only
    int v = p->root[value], trained = p->parameters->of_value[v],
        statistic = p->parameters->statistic_of_value[v];
    if (trained >= 0)
        return (fn_real *)pass->weights + p->parameters->trained[trained].offset;
    if (statistic >= 0)
        return (fn_real *)pass->statistics + p->parameters->statistics[statistic].offset;
    return p->at[v];
}

/// Where its gradient goes; NULL: not needed.
static void *gradient_of(const plan *p, const fn_pass *pass, int value) {
    if (!is_real(p, value) || !p->wanted[p->root[value]])
        return NULL;
    int v = p->root[value], trained = p->parameters->of_value[v];
    return trained >= 0 ? (fn_real *)pass->gradients + p->parameters->trained[trained].offset
                        : p->gradient[v];
}

/// Everything an operator may ask about one node.
typedef struct call {
    fn_shape in_shape[FN_MAX_INPUTS], out_shape[FN_MAX_OUTPUTS];
    const void *in[FN_MAX_INPUTS], *dout[FN_MAX_OUTPUTS];
    void *out[FN_MAX_OUTPUTS], *din[FN_MAX_INPUTS];
} call;

static fn_run_args run_args(const plan *p, const fn_pass *pass, const fn_node *node, call *c) {
    for (int k = 0; k < node->n_inputs; k++) {
        int v = node->inputs[k];
        c->in[k] = numbers(p, pass, v);
        c->din[k] = gradient_of(p, pass, v);
        c->in_shape[k] = v >= 0 ? p->inferred.values[v].shape : (fn_shape){.rank = -1};
    }
    for (int k = 0; k < node->n_outputs; k++) {
        int v = node->outputs[k];
        c->out[k] = numbers(p, pass, v);
        c->dout[k] = gradient_of(p, pass, v);
        c->out_shape[k] = p->inferred.values[v].shape;
    }
    return (fn_run_args){node, node->n_inputs, node->n_outputs, c->in_shape, c->in, c->out_shape, c->out};
}

static int forward(void *p_, const fn_pass *pass, const void *input, void *output) {
    plan *p = p_;
    const fn_graph *g = p->graph;
    call c;
    p->at[g->inputs[0]] = (void *)input; // read only
    p->is_backward = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        const fn_op_def *op = IS_DOUBLE ? fn_op_f64(node->op) : node->op;
        if (!computes(p, node))
            continue;
        fn_run_args args = run_args(p, pass, node, &c);
        fn_pass own = *pass;
        own.frozen_norms |= fn_parameters_norm_is_frozen(p->parameters, node);
        if (op->forward_train)
            op->forward_train(&(fn_train_args){args, &own, i, p->saved[i]});
        else
            op->forward(&args);
    }
    memcpy(output, numbers(p, pass, g->outputs[0]), bytes_of(p, g->outputs[0]));
    return FN_OK;
}

static int backward(void *p_, const fn_pass *pass, const void *d_output, void *d_input) {
    plan *p = p_;
    const fn_graph *g = p->graph;
    const fn_parameters *parameters = p->parameters;
    int next = parameters->n_trained - 1; // the last parameter whose gradient has not been announced
    fn_real *seed = gradient_of(p, pass, g->outputs[0]);
    const fn_real *dy = d_output;
    call c;
    memset(p->gradients, 0, p->gradients_size);
    for (size_t k = 0; seed && k < bytes_of(p, g->outputs[0]) / sizeof *dy; k++)
        seed[k] += dy[k];
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const fn_node *node = &g->nodes[i];
        const fn_op_def *op = IS_DOUBLE ? fn_op_f64(node->op) : node->op;
        if (computes(p, node) && is_learning(p, node)) {
            fn_run_args args = run_args(p, pass, node, &c);
            if (!pass->frozen_norms && fn_parameters_bias_is_idle(parameters, g, node))
                c.din[2] = NULL;
            op->backward(&(fn_grad_args){args, pass, i, p->saved[i], c.dout, c.din});
        }
        for (; next >= 0 && parameters->trained[next].node >= i; next--)
            if (pass->ready)
                pass->ready(pass->user, parameters->trained[next].offset, parameters->trained[next].count);
    }
    int input = g->inputs[0];
    if (d_input && p->gradient[input])
        memcpy(d_input, p->gradient[input], bytes_of(p, input));
    p->is_backward = 1;
    return FN_OK;
}

static size_t bytes(const void *p_) {
    const plan *p = p_;
    return p->memory_size + p->gradients_size;
}

static int is_finite(const fn_real *x, const fn_shape *shape) {
    int64_t n = x ? fn_shape_count(shape) : 0;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

static const char *not_finite(const void *p_, const fn_pass *pass) {
    const plan *p = p_;
    const fn_graph *g = p->graph;
    call c;
    for (int i = 0; i < g->n_nodes; i++) {
        if (!computes(p, &g->nodes[i]))
            continue;
        run_args(p, pass, &g->nodes[i], &c);
        for (int k = 0; k < g->nodes[i].n_outputs; k++)
            if (!is_finite(c.out[k], &c.out_shape[k]))
                return g->nodes[i].name;
    }
    for (int i = g->n_nodes - 1; i >= 0 && p->is_backward; i--) {
        if (!computes(p, &g->nodes[i]) || !is_learning(p, &g->nodes[i]))
            continue;
        run_args(p, pass, &g->nodes[i], &c);
        for (int k = 0; k < g->nodes[i].n_inputs; k++)
            if (!is_finite(c.din[k], &c.in_shape[k]))
                return g->nodes[i].name;
    }
    return NULL;
}

const fn_training_def FN_REFERENCE_TRAINING = {"reference", plan_open, plan_free, forward,
                                               backward,    bytes,     not_finite};
