// SPDX-License-Identifier: Apache-2.0
//
// The inference plan of the oneDNN backend: constants packed once per net, the walk over the nodes, the run.
#include "nn/onednn/plan.h"
#include "base/alloc.h"
#include "base/error.h"
#include "nn/backend.h"

#include <string.h>

static void shared_free(void *p) {
    fn_dnnl_shared *s = p;
    for (int i = 0; s && i < s->n_packed; i++)
        fn_free(s->packed[i].data);
    if (s) {
        fn_free(s->packed);
        if (s->engine)
            dnnl_engine_destroy(s->engine);
    }
    fn_free(s);
}

static int shared_open(void **out, const fn_graph *graph) {
    fn_dnnl_shared *s = fn_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return fn_fail_memory();
    s->graph = graph;
    dnnl_status_t status = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    if (status != dnnl_success) {
        shared_free(s);
        return fn_dnnl_fail(status, "opening the processor");
    }
    *out = s;
    return FN_OK;
}

int fn_dnnl_as_value_layout(fn_dnnl_plan *p, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out) {
    return fn_dnnl_as_layout(&p->program, &p->values[value], md, out);
}

int fn_dnnl_as_plain(fn_dnnl_plan *p, int value, fn_dnnl_operand *out) {
    dnnl_memory_desc_t md = fn_dnnl_plain(&p->inferred.values[value].shape);
    return fn_dnnl_as_value_layout(p, value, &md, out);
}

int fn_dnnl_as_packed(fn_dnnl_plan *p, int value, const dnnl_memory_desc_t *from,
                      const dnnl_memory_desc_t *md, fn_dnnl_operand *out) {
    fn_dnnl_shared *s = p->shared;
    *out = (fn_dnnl_operand){.place = FN_DNNL_CONSTANT, .data = s->graph->values[value].data, .md = *md};
    if (dnnl_memory_desc_equal(from, md))
        return FN_OK;
    for (int i = 0; i < s->n_packed; i++)
        if (s->packed[i].value == value && dnnl_memory_desc_equal(&s->packed[i].md, md)) {
            out->data = s->packed[i].data;
            return FN_OK;
        }
    if (s->n_packed == s->capacity) {
        int capacity = s->capacity ? 2 * s->capacity : 64;
        fn_dnnl_packed *grown = fn_realloc(s->packed, (size_t)capacity, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        s->packed = grown;
        s->capacity = capacity;
    }
    size_t size = dnnl_memory_desc_get_size(md);
    void *data = fn_alloc_aligned(size);
    if (!data)
        return fn_fail_memory();
    memset(data, 0, size);
    dnnl_stream_t stream = NULL;
    dnnl_memory_t src = NULL, dst = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_status_t status = dnnl_stream_create(&stream, s->engine, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_memory_create(&src, from, s->engine, s->graph->values[value].data);
    if (status == dnnl_success)
        status = dnnl_memory_create(&dst, md, s->engine, data);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&pd, from, s->engine, md, s->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&reorder, pd);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(reorder, stream, 2,
                                        (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, src}, {DNNL_ARG_TO, dst}});
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(src);
    dnnl_memory_destroy(dst);
    dnnl_stream_destroy(stream);
    if (status != dnnl_success) {
        fn_free(data);
        return fn_dnnl_fail(status, "packing weights");
    }
    s->packed[s->n_packed++] = (fn_dnnl_packed){value, *md, data};
    out->data = data;
    return FN_OK;
}

static void plan_free(void *plan_) {
    fn_dnnl_plan *p = plan_;
    if (p) {
        fn_dnnl_program_close(&p->program);
        fn_free(p->values);
        fn_free(p->last_use);
        fn_inferred_free(&p->inferred);
    }
    fn_free(p);
}

static int place_values(fn_dnnl_plan *p) {
    const fn_graph *g = p->shared->graph;
    p->values = fn_calloc((size_t)g->n_values, sizeof *p->values);
    p->last_use = fn_calloc((size_t)g->n_values, sizeof *p->last_use);
    if (!p->values || !p->last_use)
        return fn_fail_memory();
    for (int i = 0; i < g->n_values; i++) {
        p->last_use[i] = -1;
        if (g->values[i].data && g->values[i].dtype == FN_F32)
            p->values[i] = (fn_dnnl_operand){.place = FN_DNNL_CONSTANT,
                                             .data = g->values[i].data,
                                             .md = fn_dnnl_plain(&g->values[i].shape)};
    }
    for (int i = 0; i < g->n_inputs; i++)
        p->values[g->inputs[i]] =
            (fn_dnnl_operand){.place = FN_DNNL_EXTERNAL,
                              .index = i,
                              .md = fn_dnnl_plain(&p->inferred.values[g->inputs[i]].shape)};
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        for (int k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] >= 0)
                p->last_use[node->inputs[k]] = i;
        for (int k = 0; k < node->fused.n_residuals; k++)
            p->last_use[node->fused.residual[k]] = i;
    }
    for (int i = 0; i < g->n_outputs; i++)
        p->last_use[g->outputs[i]] = g->n_nodes;
    return FN_OK;
}

static int plan_open(void **out, void *shared_, fn_inferred *inferred) {
    fn_dnnl_plan *p = fn_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) {
        fn_inferred_free(inferred);
        return fn_fail_memory();
    }
    p->shared = shared_;
    p->inferred = *inferred;
    fn_dnnl_program_open(&p->program, p->shared->engine);
    const fn_graph *g = p->shared->graph;
    int rc = place_values(p);
    for (p->node = 0; p->node < g->n_nodes && rc == FN_OK; p->node++)
        rc = fn_dnnl_build_node(p, &g->nodes[p->node]);
    for (int i = 0; i < g->n_outputs && rc == FN_OK; i++) {
        fn_dnnl_operand to = {.place = FN_DNNL_EXTERNAL,
                              .index = g->n_inputs + i,
                              .md = fn_dnnl_plain(&p->inferred.values[g->outputs[i]].shape)};
        rc = fn_dnnl_add_reorder(&p->program, &p->values[g->outputs[i]], &to, 0);
    }
    if (rc == FN_OK)
        rc = fn_dnnl_program_finish(&p->program);
    fn_free(p->values);
    fn_free(p->last_use);
    p->values = NULL;
    p->last_use = NULL;
    if (rc < 0) {
        plan_free(p);
        return rc;
    }
    *out = p;
    return FN_OK;
}

static int state_open(void **out, void *plan_) {
    fn_dnnl_state *state;
    int rc = fn_dnnl_state_open(&state, &((fn_dnnl_plan *)plan_)->program);
    *out = state;
    return rc;
}

static void state_free(void *state) {
    fn_dnnl_state_free(state);
}

static int run(void *plan_, void *state, const void *const *inputs, void *const *outputs) {
    const fn_dnnl_plan *p = plan_;
    const fn_graph *g = p->shared->graph;
    void *externals[2 * FN_MAX_INPUTS];
    for (int i = 0; i < g->n_inputs; i++)
        externals[i] = (void *)(uintptr_t)inputs[i]; // read only
    for (int i = 0; i < g->n_outputs; i++)
        externals[g->n_inputs + i] = outputs[i];
    return fn_dnnl_run(state, 0, p->program.n_steps, externals, NULL);
}

const fn_backend_def fn_backend_onednn = {"onednn",  shared_open, shared_free, plan_open,
                                          plan_free, state_open,  state_free,  run};
