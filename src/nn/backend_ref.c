// SPDX-License-Identifier: Apache-2.0
//
// The reference backend: every operator in plain C, one thread, dense NCHW. Built for float, as the fallback
// and the yardstick of oneDNN, and for double, as the yardstick of gradients.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/arena.h"
#include "nn/backend.h"

#include <math.h>
#include <string.h>

typedef struct shared {
    const fn_graph *graph;
    void **constants; // per value; our copy in double, the graph's own in float
} shared;

typedef struct plan {
    shared *shared;
    fn_inferred inferred;
    fn_buffer *buffers; // per value
    size_t block_size;
} plan;

typedef struct state {
    void *block;
    const void **at; // per value
} state;

enum { IS_DOUBLE = sizeof(fn_real) == sizeof(double) };

static void shared_free(void *p) {
    shared *s = p;
    for (int i = 0; s && IS_DOUBLE && s->constants && i < s->graph->n_values; i++)
        if (s->graph->values[i].dtype == FN_F32)
            fn_free(s->constants[i]);
    if (s)
        fn_free(s->constants);
    fn_free(s);
}

static int shared_open(void **out, const fn_graph *graph) {
    shared *s = fn_calloc(1, sizeof *s);
    *out = s;
    if (!s)
        return fn_fail_memory();
    s->graph = graph;
    s->constants = fn_calloc((size_t)graph->n_values, sizeof *s->constants);
    for (int i = 0; s->constants && i < graph->n_values; i++) {
        const fn_value *v = &graph->values[i];
        s->constants[i] = v->data;
        if (!IS_DOUBLE || !v->data || v->dtype != FN_F32)
            continue;
        int64_t n = fn_shape_count(&v->shape);
        fn_real *copy = s->constants[i] = fn_calloc((size_t)n, sizeof *copy);
        for (int64_t k = 0; copy && k < n; k++)
            copy[k] = ((const float *)v->data)[k];
        if (!copy) {
            for (i++; i < graph->n_values; i++)
                s->constants[i] = NULL;
            shared_free(s);
            *out = NULL;
            return fn_fail_memory();
        }
    }
    if (s->constants)
        return FN_OK;
    shared_free(s);
    *out = NULL;
    return fn_fail_memory();
}

static void plan_free(void *p) {
    plan *plan_ = p;
    if (plan_) {
        fn_inferred_free(&plan_->inferred);
        fn_free(plan_->buffers);
    }
    fn_free(plan_);
}

static int plan_open(void **out, void *shared_, fn_inferred *inferred) {
    plan *p = fn_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) {
        fn_inferred_free(inferred);
        return fn_fail_memory();
    }
    p->shared = shared_;
    p->inferred = *inferred;
    const fn_graph *graph = p->shared->graph;
    int n_values = p->inferred.n;
    p->buffers = fn_calloc((size_t)n_values, sizeof *p->buffers);
    if (!p->buffers) {
        plan_free(p);
        return fn_fail_memory();
    }
    for (int i = 0; i < n_values; i++) {
        p->buffers[i].first = graph->n_nodes; // not alive until a node says so
        p->buffers[i].last = -1;
    }
    for (int i = 0; i < graph->n_nodes; i++) {
        const fn_node *node = &graph->nodes[i];
        for (int k = 0; k < node->n_inputs + node->fused.n_residuals; k++) {
            int v = k < node->n_inputs ? node->inputs[k] : node->fused.residual[k - node->n_inputs];
            if (v >= 0)
                p->buffers[v].last = i;
        }
        for (int k = 0; k < node->n_outputs; k++) {
            fn_buffer *b = &p->buffers[node->outputs[k]];
            const fn_typed *t = &p->inferred.values[node->outputs[k]];
            b->first = b->last = i;
            b->size = t->dtype == FN_F32 ? (size_t)fn_shape_count(&t->shape) * sizeof(fn_real) : 0;
        }
    }
    for (int i = 0; i < graph->n_outputs; i++)
        p->buffers[graph->outputs[i]].last = graph->n_nodes;
    p->block_size = fn_arena_assign(p->buffers, n_values);
    if (p->block_size == (size_t)-1) {
        plan_free(p);
        return fn_fail_memory();
    }
    *out = p;
    return FN_OK;
}

static void state_free(void *p) {
    state *s = p;
    if (s) {
        fn_free(s->block);
        fn_free(s->at);
    }
    fn_free(s);
}

static int state_open(void **out, void *plan_) {
    plan *p = plan_;
    const fn_graph *graph = p->shared->graph;
    state *s = fn_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return fn_fail_memory();
    s->block = fn_alloc_aligned(p->block_size);
    s->at = fn_calloc((size_t)graph->n_values, sizeof *s->at);
    if (!s->block || !s->at) {
        state_free(s);
        return fn_fail_memory();
    }
    for (int i = 0; i < graph->n_values; i++) {
        if (p->shared->constants[i])
            s->at[i] = p->shared->constants[i];
        else if (p->inferred.values[i].data)
            s->at[i] = p->inferred.values[i].data;
        else
            s->at[i] = (char *)s->block + p->buffers[i].offset;
    }
    *out = s;
    return FN_OK;
}

static fn_real activate(fn_real x, const fn_fused *f, const fn_real *slope, int64_t channel) {
    fn_real alpha = f->alpha, beta = f->beta;
    switch (f->activation) {
    case FN_ACT_NONE:
        return x;
    case FN_ACT_RELU:
        return x > 0 ? x : 0;
    case FN_ACT_LEAKY:
        return x > 0 ? x : alpha * x;
    case FN_ACT_CLIP:
        return x < alpha ? alpha : x > beta ? beta : x;
    case FN_ACT_PRELU:
        return x > 0 ? x : slope[channel] * x;
    case FN_ACT_SIGMOID:
        return (fn_real)(1 / (1 + exp(-(double)x)));
    }
    return x;
}

static void finish_node(const fn_node *node, const fn_shape *shape, fn_real *y, const void *const *at) {
    const fn_fused *f = &node->fused;
    int64_t n = fn_shape_count(shape), area = 1, channels = shape->rank > 1 ? shape->dim[1] : 1;
    const fn_real *slope = f->slope >= 0 ? at[f->slope] : NULL;
    for (int i = 2; i < shape->rank; i++)
        area *= shape->dim[i];
    for (int k = 0; k < f->n_residuals; k++) {
        const fn_real *residual = at[f->residual[k]];
        for (int64_t i = 0; i < n; i++)
            y[i] += residual[i];
    }
    if (f->activation != FN_ACT_NONE)
        for (int64_t i = 0; i < n; i++)
            y[i] = activate(y[i], f, slope, i / area % channels);
}

static int run(void *plan_, void *state_, const void *const *inputs, void *const *outputs) {
    const plan *p = plan_;
    state *s = state_;
    const fn_graph *graph = p->shared->graph;
    for (int i = 0; i < graph->n_inputs; i++)
        s->at[graph->inputs[i]] = inputs[i];
    for (int i = 0; i < graph->n_nodes; i++) {
        const fn_node *node = &graph->nodes[i];
        const fn_op_def *op = IS_DOUBLE ? fn_op_f64(node->op) : node->op;
        const void *in[FN_MAX_INPUTS];
        void *out[FN_MAX_OUTPUTS];
        fn_shape in_shape[FN_MAX_INPUTS], out_shape[FN_MAX_OUTPUTS];
        if (p->inferred.values[node->outputs[0]].dtype != FN_F32)
            continue; // integers were worked out with the shapes
        for (int k = 0; k < node->n_inputs; k++) {
            int v = node->inputs[k];
            in[k] = v >= 0 ? s->at[v] : NULL;
            if (v >= 0)
                in_shape[k] = p->inferred.values[v].shape;
            else
                in_shape[k].rank = -1;
        }
        for (int k = 0; k < node->n_outputs; k++) {
            out[k] = (void *)s->at[node->outputs[k]];
            out_shape[k] = p->inferred.values[node->outputs[k]].shape;
        }
        fn_run_args args = {node, node->n_inputs, node->n_outputs, in_shape, in, out_shape, out};
        op->forward(&args);
        finish_node(node, &out_shape[0], out[0], s->at);
    }
    for (int i = 0; i < graph->n_outputs; i++) {
        int v = graph->outputs[i];
        memcpy(outputs[i], s->at[v], (size_t)fn_shape_count(&p->inferred.values[v].shape) * sizeof(fn_real));
    }
    return FN_OK;
}

const fn_backend_def FN_REFERENCE_BACKEND = {"reference", shared_open, shared_free, plan_open,
                                             plan_free,   state_open,  state_free,  run};
