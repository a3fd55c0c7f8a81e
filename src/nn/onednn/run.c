// SPDX-License-Identifier: Apache-2.0
//
// A program at work: one block of memory, oneDNN's handles on it made once, and the walk over the steps.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/onednn/onednn.h"

struct fn_dnnl_state {
    const fn_dnnl_program *program;
    void *block;
    dnnl_stream_t stream;
    dnnl_exec_arg_t *args; // of all primitive steps, one after the other
    int *first_arg;        // per step
    int n_args;
    struct external {
        dnnl_memory_t memory;
        int step, index;
        size_t offset;
    } * externals; // handles on the caller's memory, in the order of the steps
    int n_externals;
};

void fn_dnnl_state_free(fn_dnnl_state *s) {
    if (!s)
        return;
    for (int i = 0; i < s->n_args; i++)
        dnnl_memory_destroy(s->args[i].memory);
    fn_free(s->args);
    fn_free(s->first_arg);
    fn_free(s->externals);
    if (s->stream)
        dnnl_stream_destroy(s->stream);
    fn_free(s->block);
    fn_free(s);
}

void *fn_dnnl_address(const fn_dnnl_state *s, const fn_dnnl_operand *o, void *const *externals) {
    switch (o->place) {
    case FN_DNNL_BUFFER:
        return (char *)s->block + s->program->buffers[o->index].offset;
    case FN_DNNL_CONSTANT:
        return (void *)o->data;
    case FN_DNNL_EXTERNAL:
        return externals && externals[o->index] ? (char *)externals[o->index] + o->offset : NULL;
    case FN_DNNL_NOWHERE:
        break;
    }
    return NULL;
}

int fn_dnnl_state_open(fn_dnnl_state **out, const fn_dnnl_program *p) {
    fn_dnnl_state *s = fn_calloc(1, sizeof *s);
    size_t n_args = 0, n_externals = 0;
    *out = NULL;
    if (!s)
        return fn_fail_memory();
    s->program = p;
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; p->steps[i].primitive && k < p->steps[i].n_args; k++) {
            n_args++;
            n_externals += p->steps[i].operands[k].place == FN_DNNL_EXTERNAL;
        }
    s->block = fn_alloc_aligned(p->block_size);
    s->args = fn_calloc(n_args, sizeof *s->args);
    s->first_arg = fn_calloc((size_t)p->n_steps, sizeof *s->first_arg);
    s->externals = fn_calloc(n_externals, sizeof *s->externals);
    int rc = s->block && s->args && s->first_arg && s->externals ? FN_OK : fn_fail_memory();
    if (rc == FN_OK && dnnl_stream_create(&s->stream, p->engine, dnnl_stream_default_flags) != dnnl_success)
        rc = fn_fail_memory();
    for (int i = 0; i < p->n_steps && rc == FN_OK; i++) {
        const fn_dnnl_step *t = &p->steps[i];
        s->first_arg[i] = s->n_args;
        for (int k = 0; t->primitive && k < t->n_args && rc == FN_OK; k++) {
            const fn_dnnl_operand *o = &t->operands[k];
            void *at = fn_dnnl_address(s, o, NULL);
            dnnl_memory_t memory;
            dnnl_status_t status = dnnl_memory_create(&memory, &o->md, p->engine, at ? at : DNNL_MEMORY_NONE);
            if (status != dnnl_success) {
                rc = fn_dnnl_fail(status, "making a memory object");
                break;
            }
            s->args[s->n_args++] = (dnnl_exec_arg_t){t->arg[k], memory};
            if (o->place == FN_DNNL_EXTERNAL)
                s->externals[s->n_externals++] = (struct external){memory, i, o->index, o->offset};
        }
    }
    if (rc < 0) {
        fn_dnnl_state_free(s);
        return rc;
    }
    *out = s;
    return FN_OK;
}

int fn_dnnl_run(fn_dnnl_state *s, int first, int end, void *const *externals, const void *context) {
    const fn_dnnl_program *p = s->program;
    for (int i = 0; i < s->n_externals; i++) {
        const struct external *e = &s->externals[i];
        if (e->step >= first && e->step < end)
            dnnl_memory_set_data_handle(e->memory, (char *)externals[e->index] + e->offset);
    }
    for (int i = first; i < end; i++) {
        const fn_dnnl_step *t = &p->steps[i];
        if (t->call) {
            void *at[FN_DNNL_MAX_ARGS];
            for (int k = 0; k < t->n_args; k++)
                at[k] = fn_dnnl_address(s, &t->operands[k], externals);
            t->call(t, at, context);
            continue;
        }
        dnnl_status_t status =
            dnnl_primitive_execute(t->primitive, s->stream, t->n_args, s->args + s->first_arg[i]);
        if (status != dnnl_success)
            return fn_dnnl_fail(status, "running a primitive");
    }
    dnnl_stream_wait(s->stream);
    return FN_OK;
}
