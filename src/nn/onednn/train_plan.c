// SPDX-License-Identifier: Apache-2.0
//
// The training plan of the oneDNN backend. Where batch-norms take their statistics from is decided pass by
// pass, so a plan holds up to one program per kind, made when it is first needed.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/onednn/train.h"

#include <math.h>
#include <string.h>

typedef struct plan {
    dnnl_engine_t engine;
    const fn_graph *graph;
    const fn_parameters *parameters;
    fn_inferred inferred;
    fn_training_options options;
    fn_dnnl_train *train[FN_DNNL_N_NORMS];
    fn_dnnl_state *state[FN_DNNL_N_NORMS];
    int last;          // kind of the last forward pass
    const void *input; // of the last forward pass
} plan;

const fn_shape *fn_dnnl_shape_of(const fn_dnnl_train *t, int value) {
    return &t->inferred->values[value].shape;
}

// --- values and gradients while building ------------------------------------------------------------------

int fn_dnnl_value_as(fn_dnnl_train *t, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out) {
    *out = t->values[value];
    if (dnnl_memory_desc_equal(&out->md, md))
        return FN_OK;
    for (int i = 0; i < t->n_copies; i++)
        if (t->copies[i].value == value && dnnl_memory_desc_equal(&t->copies[i].at.md, md)) {
            *out = t->copies[i].at;
            return FN_OK;
        }
    if (t->n_copies == t->copies_capacity) {
        int capacity = t->copies_capacity ? 2 * t->copies_capacity : 64;
        fn_dnnl_copy *grown = fn_realloc(t->copies, (size_t)capacity, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        t->copies = grown;
        t->copies_capacity = capacity;
    }
    int rc = fn_dnnl_as_layout(&t->program, &t->values[value], md, out);
    if (rc == FN_OK)
        t->copies[t->n_copies++] = (fn_dnnl_copy){value, *out};
    return rc;
}

int fn_dnnl_value_plain(fn_dnnl_train *t, int value, fn_dnnl_operand *out) {
    dnnl_memory_desc_t md = fn_dnnl_plain(fn_dnnl_shape_of(t, value));
    return fn_dnnl_value_as(t, value, &md, out);
}

int fn_dnnl_value_blocked(fn_dnnl_train *t, int value, dnnl_data_type_t type, fn_dnnl_operand *out) {
    dnnl_memory_desc_t md = fn_dnnl_blocked(fn_dnnl_shape_of(t, value), type);
    return fn_dnnl_value_as(t, value, &md, out);
}

/// All parts become one, in layout md.
static int sum_parts(fn_dnnl_train *t, fn_dnnl_parts *parts, const dnnl_memory_desc_t *md) {
    fn_dnnl_operand operands[FN_DNNL_MAX_PARTS + 1];
    dnnl_memory_desc_t mds[FN_DNNL_MAX_PARTS];
    float scales[FN_DNNL_MAX_PARTS];
    int arg[FN_DNNL_MAX_PARTS + 1], rc = FN_OK, n = parts->n;
    for (int i = 0; i < n && rc == FN_OK; i++) {
        rc = fn_dnnl_as_layout(&t->program, &parts->part[i], md, &operands[i]);
        mds[i] = *md;
        scales[i] = 1.0F;
        arg[i] = DNNL_ARG_MULTIPLE_SRC + i;
    }
    dnnl_primitive_desc_t pd;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_status_t status = dnnl_success;
    if (rc == FN_OK)
        status = dnnl_sum_primitive_desc_create(&pd, md, n, scales, mds, attr, t->program.engine);
    dnnl_primitive_attr_destroy(attr);
    if (rc < 0 || status != dnnl_success)
        return rc < 0 ? rc : fn_dnnl_fail(status, "describing a sum");
    rc = fn_dnnl_buffer(&t->program, &operands[n], md);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    arg[n] = DNNL_ARG_DST;
    rc = fn_dnnl_add_primitive(&t->program, pd, arg, operands, n + 1);
    parts->part[0] = operands[n];
    parts->n = 1;
    return rc;
}

int fn_dnnl_give_gradient(fn_dnnl_train *t, int value, const fn_dnnl_operand *part) {
    fn_dnnl_parts *parts = &t->gradients[value];
    fn_dnnl_operand sum, plain;
    int rc = FN_OK;
    if (!t->wanted[value])
        return FN_OK;
    if (fn_dnnl_parameter_gradient(t, value, &sum)) {
        rc = fn_dnnl_as_layout(&t->program, part, &sum.md, &plain);
        return rc < 0 ? rc
                      : fn_dnnl_add_call(&t->program, fn_dnnl_accumulate, NULL, t->inferred, 0,
                                         (fn_dnnl_operand[]){plain, sum}, 2);
    }
    if (parts->n == FN_DNNL_MAX_PARTS) {
        const dnnl_memory_desc_t md = parts->part[0].md;
        rc = sum_parts(t, parts, &md);
    }
    if (rc == FN_OK)
        parts->part[parts->n++] = *part;
    return rc;
}

int fn_dnnl_take_gradient(fn_dnnl_train *t, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out,
                          int *present) {
    fn_dnnl_parts *parts = &t->gradients[value];
    int rc = FN_OK;
    *present = parts->n > 0;
    if (!*present)
        return FN_OK;
    if (parts->n > 1) {
        const dnnl_memory_desc_t common = md ? *md : parts->part[0].md;
        rc = sum_parts(t, parts, &common);
    }
    if (rc == FN_OK)
        rc = fn_dnnl_as_layout(&t->program, &parts->part[0], md ? md : &parts->part[0].md, out);
    return rc;
}

int fn_dnnl_parameter_gradient(const fn_dnnl_train *t, int value, fn_dnnl_operand *out) {
    int i = t->parameters->of_value[value];
    if (i < 0 || t->parameters->trained[i].frozen)
        return 0;
    *out = (fn_dnnl_operand){.place = FN_DNNL_EXTERNAL,
                             .index = FN_DNNL_GRADIENTS,
                             .offset = t->parameters->trained[i].offset * sizeof(float),
                             .md = fn_dnnl_plain(fn_dnnl_shape_of(t, value))};
    return 1;
}

dnnl_memory_desc_t fn_dnnl_dense_weights(const fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *w = fn_dnnl_shape_of(t, node->inputs[1]);
    dnnl_memory_desc_t md = fn_dnnl_plain(w);
    if (!fn_node_int(node, "transB", 0)) { // stored as (in, out)
        dnnl_dims_t dims = {w->dim[1], w->dim[0]}, strides = {1, w->dim[1]};
        dnnl_memory_desc_init_by_strides(&md, 2, dims, dnnl_f32, strides);
    }
    return md;
}

int fn_dnnl_is_scaling(const fn_dnnl_train *t, const fn_node *node, float *factor) {
    if (strcmp(node->op->name, "Mul") != 0)
        return 0;
    const fn_value *by = &t->graph->values[node->inputs[1]];
    if (!by->data || fn_shape_count(&by->shape) != 1 ||
        !fn_shape_equal(fn_dnnl_shape_of(t, node->inputs[0]), fn_dnnl_shape_of(t, node->outputs[0])))
        return 0;
    *factor = *(const float *)by->data;
    return 1;
}

/// Where parameters, statistics, constants and the input are.
static void place_values(fn_dnnl_train *t, int wants_input) {
    const fn_graph *g = t->graph;
    for (int v = 0; v < g->n_values; v++) {
        int trained = t->parameters->of_value[v], statistic = t->parameters->statistic_of_value[v];
        fn_dnnl_operand *o = &t->values[v];
        t->wanted[v] = trained >= 0 && !t->parameters->trained[trained].frozen;
        if (trained >= 0)
            *o = (fn_dnnl_operand){.place = FN_DNNL_EXTERNAL,
                                   .index = FN_DNNL_WEIGHTS,
                                   .offset = t->parameters->trained[trained].offset * sizeof(float)};
        else if (statistic >= 0)
            *o = (fn_dnnl_operand){.place = FN_DNNL_EXTERNAL,
                                   .index = FN_DNNL_STATISTICS,
                                   .offset = t->parameters->statistics[statistic].offset * sizeof(float)};
        else if (t->inferred->values[v].data)
            *o = (fn_dnnl_operand){.place = FN_DNNL_CONSTANT, .data = t->inferred->values[v].data};
        else if (v == g->inputs[0])
            *o = (fn_dnnl_operand){.place = FN_DNNL_EXTERNAL, .index = FN_DNNL_INPUT};
        if (o->place != FN_DNNL_NOWHERE && t->inferred->values[v].dtype == FN_F32)
            o->md = fn_dnnl_plain(fn_dnnl_shape_of(t, v));
    }
    t->wanted[g->inputs[0]] = wants_input != 0;
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_inputs; k++)
            if (g->nodes[i].inputs[k] >= 0 && t->wanted[g->nodes[i].inputs[k]])
                t->wanted[g->nodes[i].outputs[0]] = 1;
}

// --- a program of one kind ------------------------------------------------------------------------------

static void forget_building(fn_dnnl_train *t) {
    for (int i = 0; t->traces && i < t->graph->n_nodes; i++)
        if (t->traces[i].hint) {
            dnnl_primitive_desc_destroy(t->traces[i].hint);
            t->traces[i].hint = NULL;
        }
    fn_free(t->wanted);
    fn_free(t->gradients);
    fn_free(t->copies);
    t->wanted = NULL;
    t->gradients = NULL;
    t->copies = NULL;
}

static void train_free(fn_dnnl_train *t) {
    if (!t)
        return;
    forget_building(t);
    fn_dnnl_program_close(&t->program);
    fn_free(t->traces);
    fn_free(t->values);
    fn_free(t);
}

static int build_forward(fn_dnnl_train *t) {
    const fn_graph *g = t->graph;
    int rc = FN_OK;
    for (t->node = 0; t->node < g->n_nodes && rc == FN_OK; t->node++) {
        rc = fn_dnnl_train_forward_node(t, &g->nodes[t->node]);
        t->traces[t->node].end = t->program.n_steps;
    }
    fn_dnnl_operand to = {.place = FN_DNNL_EXTERNAL,
                          .index = FN_DNNL_OUTPUT,
                          .md = fn_dnnl_plain(fn_dnnl_shape_of(t, g->outputs[0]))};
    if (rc == FN_OK)
        rc = fn_dnnl_add_reorder(&t->program, &t->values[g->outputs[0]], &to, 0);
    t->n_forward = t->program.n_steps;
    return rc;
}

static int build_backward(fn_dnnl_train *t) {
    const fn_graph *g = t->graph;
    fn_dnnl_operand dy = {.place = FN_DNNL_EXTERNAL,
                          .index = FN_DNNL_D_OUTPUT,
                          .md = fn_dnnl_plain(fn_dnnl_shape_of(t, g->outputs[0]))};
    int present, rc = fn_dnnl_give_gradient(t, g->outputs[0], &dy);
    for (t->node = g->n_nodes - 1; t->node >= 0 && rc == FN_OK; t->node--)
        rc = fn_dnnl_train_backward_node(t, &g->nodes[t->node]);
    if (rc < 0 || !t->wanted[g->inputs[0]])
        return rc;
    fn_dnnl_operand dx, to = {.place = FN_DNNL_EXTERNAL,
                              .index = FN_DNNL_D_INPUT,
                              .md = fn_dnnl_plain(fn_dnnl_shape_of(t, g->inputs[0]))};
    rc = fn_dnnl_take_gradient(t, g->inputs[0], NULL, &dx, &present);
    if (rc == FN_OK && present)
        rc = fn_dnnl_add_reorder(&t->program, &dx, &to, 0);
    t->gives_input = present;
    return rc;
}

static int train_open(fn_dnnl_train **out, const plan *p, fn_dnnl_norms norms) {
    fn_dnnl_train *t = fn_calloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return fn_fail_memory();
    size_t n_values = (size_t)p->graph->n_values;
    fn_dnnl_program_open(&t->program, p->engine);
    t->graph = p->graph;
    t->parameters = p->parameters;
    t->inferred = &p->inferred;
    t->type = p->options.precision == FN_PRECISION_BF16 ? dnnl_bf16 : dnnl_f32;
    t->norms = norms;
    t->traces = fn_calloc((size_t)p->graph->n_nodes, sizeof *t->traces);
    t->values = fn_calloc(n_values, sizeof *t->values);
    t->wanted = fn_calloc(n_values, 1);
    t->gradients = fn_calloc(n_values, sizeof *t->gradients);
    int rc = t->traces && t->values && t->wanted && t->gradients ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        place_values(t, p->options.wants_input);
        rc = build_forward(t);
    }
    if (rc == FN_OK)
        rc = build_backward(t);
    if (rc == FN_OK)
        rc = fn_dnnl_program_finish(&t->program);
    forget_building(t);
    if (rc < 0) {
        train_free(t);
        return rc;
    }
    *out = t;
    return FN_OK;
}

// --- the plan ---------------------------------------------------------------------------------------------

static void plan_free(void *p_) {
    plan *p = p_;
    if (!p)
        return;
    for (int i = 0; i < FN_DNNL_N_NORMS; i++) {
        fn_dnnl_state_free(p->state[i]);
        train_free(p->train[i]);
    }
    if (p->engine)
        dnnl_engine_destroy(p->engine);
    fn_inferred_free(&p->inferred);
    fn_free(p);
}

static int open_kind(plan *p, fn_dnnl_norms norms) {
    if (p->train[norms])
        return FN_OK;
    int rc = train_open(&p->train[norms], p, norms);
    if (rc == FN_OK)
        rc = fn_dnnl_state_open(&p->state[norms], &p->train[norms]->program);
    if (rc < 0) {
        train_free(p->train[norms]);
        p->train[norms] = NULL;
    }
    return rc;
}

static int plan_open(void **out, const fn_graph *graph, const fn_parameters *parameters,
                     fn_inferred *inferred, const fn_training_options *options) {
    plan *p = fn_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) {
        fn_inferred_free(inferred);
        return fn_fail_memory();
    }
    p->graph = graph;
    p->parameters = parameters;
    p->inferred = *inferred;
    p->options = *options;
    int rc = FN_OK;
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (status != dnnl_success)
        rc = fn_dnnl_fail(status, "opening the processor");
    else if (options->precision == FN_PRECISION_BF16 &&
             (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) != dnnl_cpu_isa_avx512_core_bf16)
        rc = fn_fail(FN_EUNSUPPORTED, "this processor has no bfloat16 arithmetic; train in f32");
    else if (options->precision != FN_PRECISION_F32 && options->precision != FN_PRECISION_BF16)
        rc = fn_fail(FN_EUNSUPPORTED, "training is possible in f32 and bf16");
    if (rc < 0) {
        plan_free(p);
        return rc;
    }
    *out = p;
    return FN_OK;
}

static fn_dnnl_norms kind_of(const fn_pass *pass) {
    return pass->frozen_norms ? FN_DNNL_NORMS_FROZEN : FN_DNNL_NORMS_BATCH;
}

static void externals_of(void **externals, const plan *p, const fn_pass *pass) {
    externals[FN_DNNL_INPUT] = (void *)(uintptr_t)p->input; // read only
    externals[FN_DNNL_WEIGHTS] = pass->weights;
    externals[FN_DNNL_GRADIENTS] = pass->gradients;
    externals[FN_DNNL_STATISTICS] = pass->statistics;
}

static int forward(void *p_, const fn_pass *pass, const void *input, void *output) {
    plan *p = p_;
    fn_dnnl_norms kind = kind_of(pass);
    int rc = open_kind(p, kind);
    if (rc < 0)
        return rc;
    const fn_dnnl_train *t = p->train[kind];
    void *externals[FN_DNNL_N_EXTERNALS] = {0};
    p->input = input;
    p->last = kind;
    externals_of(externals, p, pass);
    externals[FN_DNNL_OUTPUT] = output;
    return fn_dnnl_run(p->state[kind], 0, t->n_forward, externals, &(fn_dnnl_context){t, pass});
}

static int backward(void *p_, const fn_pass *pass, const void *d_output, void *d_input) {
    plan *p = p_;
    const fn_dnnl_train *t = p->train[p->last];
    void *externals[FN_DNNL_N_EXTERNALS] = {0};
    if (kind_of(pass) != (fn_dnnl_norms)p->last)
        return fn_fail(FN_EINVAL, "a backward pass with other batch-norms than its forward pass");
    externals_of(externals, p, pass);
    externals[FN_DNNL_D_OUTPUT] = (void *)(uintptr_t)d_output; // read only
    externals[FN_DNNL_D_INPUT] = d_input;
    if (d_input && !t->gives_input) // nothing that learns or is asked for lies between
        memset(d_input, 0, dnnl_memory_desc_get_size(&t->values[p->graph->inputs[0]].md));
    int end = t->program.n_steps - (!d_input && t->gives_input); // the last step hands it over
    return fn_dnnl_run(p->state[p->last], t->n_forward, end, externals, &(fn_dnnl_context){t, pass});
}

static size_t bytes(const void *p_) {
    const plan *p = p_;
    size_t n = 0;
    for (int i = 0; i < FN_DNNL_N_NORMS; i++)
        n += p->train[i] ? p->train[i]->program.block_size : 0;
    return n;
}

static int is_finite(const void *data, const dnnl_memory_desc_t *md) {
    size_t n = dnnl_memory_desc_get_size(md);
    if (md->data_type == dnnl_bf16) {
        const uint16_t *x = data;
        for (size_t i = 0; i < n / sizeof *x; i++)
            if ((x[i] & 0x7F80) == 0x7F80)
                return 0;
        return 1;
    }
    const float *x = data;
    for (size_t i = 0; i < n / sizeof *x; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

static const char *parameter_not_finite(const plan *p, const float *block) {
    for (int i = 0; i < p->parameters->n_trained; i++) {
        const fn_parameter *q = &p->parameters->trained[i];
        for (size_t k = 0; k < q->count; k++)
            if (!isfinite(block[q->offset + k]))
                return p->graph->nodes[q->node].name;
    }
    return NULL;
}

/// The forward pass once more, node by node; the results are looked at before later steps reuse their memory.
static const char *not_finite(const void *p_, const fn_pass *pass) {
    const plan *p = p_;
    const fn_dnnl_train *t = p->train[p->last];
    const char *name = parameter_not_finite(p, pass->weights);
    void *externals[FN_DNNL_N_EXTERNALS] = {0};
    fn_pass again = *pass;
    if (name || !t || !p->input)
        return name;
    again.momentum = 0;
    again.reduce = NULL; // ranks may stop at different nodes, so that none may wait for another
    externals_of(externals, p, &again);
    for (int i = 0, first = 0; i < p->graph->n_nodes; first = t->traces[i++].end) {
        const fn_dnnl_trace *trace = &t->traces[i];
        if (fn_dnnl_run(p->state[p->last], first, trace->end, externals, &(fn_dnnl_context){t, &again}) < 0)
            return NULL;
        void *at = fn_dnnl_address(p->state[p->last], &trace->dst, externals);
        if (at && !is_finite(at, &trace->dst.md))
            return p->graph->nodes[i].name;
    }
    return pass->gradients ? parameter_not_finite(p, pass->gradients) : NULL;
}

const fn_training_def fn_training_onednn = {"onednn", plan_open, plan_free, forward,
                                            backward, bytes,     not_finite};
