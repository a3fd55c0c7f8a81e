// SPDX-License-Identifier: Apache-2.0
//
// A program while it is built: steps, and buffers whose lives grow as steps use them.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/onednn/onednn.h"

#include <string.h>

void fn_dnnl_program_open(fn_dnnl_program *out, dnnl_engine_t engine) {
    *out = (fn_dnnl_program){.engine = engine};
}

void fn_dnnl_program_close(fn_dnnl_program *p) {
    for (int i = 0; i < p->n_steps; i++) {
        if (p->steps[i].primitive)
            dnnl_primitive_destroy(p->steps[i].primitive);
        fn_free(p->steps[i].operands);
    }
    fn_free(p->steps);
    fn_free(p->buffers);
    *p = (fn_dnnl_program){0};
}

int fn_dnnl_program_finish(fn_dnnl_program *p) {
    p->block_size = fn_arena_assign(p->buffers, p->n_buffers);
    return p->block_size == (size_t)-1 ? fn_fail_memory() : FN_OK;
}

static int new_buffer(fn_dnnl_program *p, size_t size) {
    if (p->n_buffers == p->buffers_capacity) {
        int capacity = p->buffers_capacity ? 2 * p->buffers_capacity : 64;
        fn_buffer *grown = fn_realloc(p->buffers, (size_t)capacity, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        p->buffers = grown;
        p->buffers_capacity = capacity;
    }
    p->buffers[p->n_buffers] = (fn_buffer){.size = size, .first = p->n_steps, .last = p->n_steps};
    return p->n_buffers++;
}

int fn_dnnl_buffer(fn_dnnl_program *p, fn_dnnl_operand *out, const dnnl_memory_desc_t *md) {
    int index = new_buffer(p, dnnl_memory_desc_get_size(md));
    *out = (fn_dnnl_operand){.place = FN_DNNL_BUFFER, .index = index, .md = *md};
    return index < 0 ? index : FN_OK;
}

/// Takes the primitive over.
static int add_step(fn_dnnl_program *p, const fn_dnnl_step *step, const int *arg,
                    const fn_dnnl_operand *operands, int n) {
    fn_dnnl_operand *copy = fn_calloc((size_t)n, sizeof *copy);
    if (p->n_steps == p->steps_capacity) {
        int capacity = p->steps_capacity ? 2 * p->steps_capacity : 64;
        fn_dnnl_step *grown = fn_realloc(p->steps, (size_t)capacity, sizeof *grown);
        if (grown) {
            p->steps = grown;
            p->steps_capacity = capacity;
        }
    }
    if (!copy || p->n_steps == p->steps_capacity) {
        fn_free(copy);
        if (step->primitive)
            dnnl_primitive_destroy(step->primitive);
        return fn_fail_memory();
    }
    fn_dnnl_step *s = &p->steps[p->n_steps];
    *s = *step;
    s->operands = copy;
    s->n_args = n;
    for (int i = 0; i < n; i++) {
        copy[i] = operands[i];
        s->arg[i] = arg ? arg[i] : 0;
        if (copy[i].place == FN_DNNL_BUFFER)
            p->buffers[copy[i].index].last = p->n_steps;
    }
    p->n_steps++;
    return FN_OK;
}

int fn_dnnl_add_call(fn_dnnl_program *p, fn_dnnl_call *call, const fn_node *node, const fn_inferred *inferred,
                     int number, const fn_dnnl_operand *operands, int n) {
    return add_step(p, &(fn_dnnl_step){.call = call, .node = node, .inferred = inferred, .number = number},
                    NULL, operands, n);
}

int fn_dnnl_add_primitive(fn_dnnl_program *p, dnnl_primitive_desc_t pd, const int *arg,
                          const fn_dnnl_operand *operands, int n) {
    int args[FN_DNNL_MAX_ARGS];
    fn_dnnl_operand all[FN_DNNL_MAX_ARGS];
    dnnl_primitive_t primitive = NULL;
    memcpy(args, arg, (size_t)n * sizeof *args);
    memcpy(all, operands, (size_t)n * sizeof *all);
    const dnnl_memory_desc_t *scratchpad = fn_dnnl_query(pd, dnnl_query_scratchpad_md);
    int rc = FN_OK;
    if (scratchpad && dnnl_memory_desc_get_size(scratchpad)) {
        rc = fn_dnnl_buffer(p, &all[n], scratchpad);
        args[n++] = DNNL_ARG_SCRATCHPAD;
    }
    if (rc == FN_OK) {
        dnnl_status_t status = dnnl_primitive_create(&primitive, pd);
        rc = status == dnnl_success ? add_step(p, &(fn_dnnl_step){.primitive = primitive}, args, all, n)
                                    : fn_dnnl_fail(status, "making a primitive");
    }
    dnnl_primitive_desc_destroy(pd);
    return rc;
}

dnnl_primitive_attr_t fn_dnnl_attr(void) {
    dnnl_primitive_attr_t attr = NULL;
    if (dnnl_primitive_attr_create(&attr) == dnnl_success)
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

int fn_dnnl_add_reorder(fn_dnnl_program *p, const fn_dnnl_operand *from, const fn_dnnl_operand *to,
                        int accumulate) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t status = dnnl_success;
    if (accumulate) {
        status = dnnl_post_ops_create(&ops);
        if (status == dnnl_success)
            status = dnnl_post_ops_append_sum(ops, 1.0F);
        if (status == dnnl_success)
            status = dnnl_primitive_attr_set_post_ops(attr, ops);
        dnnl_post_ops_destroy(ops);
    }
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&pd, &from->md, p->engine, &to->md, p->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fn_dnnl_fail(status, "describing a reorder");
    return fn_dnnl_add_primitive(p, pd, (int[]){DNNL_ARG_FROM, DNNL_ARG_TO}, (fn_dnnl_operand[]){*from, *to},
                                 2);
}

int fn_dnnl_as_layout(fn_dnnl_program *p, const fn_dnnl_operand *from, const dnnl_memory_desc_t *md,
                      fn_dnnl_operand *out) {
    const fn_dnnl_operand source = *from; // `out` may be `from`
    *out = source;
    if (dnnl_memory_desc_equal(&source.md, md))
        return FN_OK;
    int rc = fn_dnnl_buffer(p, out, md);
    return rc < 0 ? rc : fn_dnnl_add_reorder(p, &source, out, 0);
}

const dnnl_memory_desc_t *fn_dnnl_query(dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

int fn_dnnl_is_fast(dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return strstr(name, "ref") == NULL;
}

int fn_dnnl_describe(dnnl_primitive_desc_t *pd, const fn_dnnl_program *p, dnnl_status_t initialised,
                     const_dnnl_op_desc_t d, const_dnnl_primitive_desc_t hint, const char *what) {
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_status_t status = initialised;
    *pd = NULL;
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(pd, d, attr, p->engine, hint);
    dnnl_primitive_attr_destroy(attr);
    return status == dnnl_success ? FN_OK : fn_dnnl_fail(status, what);
}
