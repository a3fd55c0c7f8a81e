// SPDX-License-Identifier: Apache-2.0
//
// The oneDNN backend (C API of 2.6), the only file that knows dnnl.h. A plan is a list of steps: oneDNN
// primitives, reorders between layouts, and, where oneDNN has no primitive, reference operators on plain
// layout. Layouts are oneDNN's choice and kept between operators. Everything a step touches lies in one
// block per state, oneDNN's scratchpad included (user mode), so that running allocates nothing of ours.
//
// A value may be padded with zero channels up to the block of its layout; oneDNN keeps the padding zero.
#include "base/alloc.h"
#include "base/error.h"
#include "nn/arena.h"
#include "nn/backend.h"

#include <dnnl.h>
#include <string.h>

#define MAX_ARGS (FN_MAX_INPUTS + 8)

/// Where a step finds a tensor.
typedef enum place { NOWHERE, BUFFER, CONSTANT, INPUT, OUTPUT } place;
typedef struct operand {
    place place;
    int index;        // of a buffer, input or output
    const void *data; // CONSTANT
    dnnl_memory_desc_t md;
} operand;

typedef enum step_kind { PRIMITIVE, REFERENCE, WIDEN } step_kind;
typedef struct step {
    step_kind kind;
    dnnl_primitive_t primitive;
    int n_args;
    int arg[MAX_ARGS];   // DNNL_ARG_...; for REFERENCE: unused
    operand *operands;   // n_args; REFERENCE: inputs then the output; WIDEN: source, destination
    const fn_node *node; // REFERENCE
} step;

/// A constant in a layout of oneDNN's choice; kept for all plans of a net.
typedef struct packed {
    int value;
    dnnl_memory_desc_t md;
    void *data;
} packed;

typedef struct shared {
    const fn_graph *graph;
    dnnl_engine_t engine;
    packed *packed;
    int n_packed, capacity;
} shared;

typedef struct plan {
    shared *shared;
    fn_inferred inferred;
    step *steps;
    int n_steps, steps_capacity;
    fn_buffer *buffers;
    int n_buffers, buffers_capacity;
    size_t block_size;
    // while building
    operand *values; // per value: where it is now and how it is laid out
    int *last_use;   // per value: last node that reads it
    int node;        // being built
} plan;

static int dnnl_fail(dnnl_status_t status, const char *what) {
    if (status == dnnl_out_of_memory)
        return fn_fail_memory();
    return fn_fail(FN_EINTERNAL, "oneDNN: %s failed (status %d)", what, (int)status);
}

static void shared_free(void *p) {
    shared *s = p;
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
    shared *s = fn_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return fn_fail_memory();
    s->graph = graph;
    dnnl_status_t status = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    if (status != dnnl_success) {
        shared_free(s);
        return dnnl_fail(status, "opening the processor");
    }
    *out = s;
    return FN_OK;
}

// --- descriptions of memory ---------------------------------------------------------------------------

/// Dense, row-major; a scalar has one dimension.
static dnnl_memory_desc_t plain(const fn_shape *shape) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {1}, strides = {1};
    int64_t stride = 1;
    for (int i = shape->rank - 1; i >= 0; i--) {
        dims[i] = shape->dim[i];
        strides[i] = stride;
        stride *= shape->dim[i];
    }
    dnnl_memory_desc_init_by_strides(&md, shape->rank ? shape->rank : 1, dims, dnnl_f32, strides);
    return md;
}

static dnnl_memory_desc_t any(const fn_shape *shape) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {1};
    for (int i = 0; i < shape->rank; i++)
        dims[i] = shape->dim[i];
    dnnl_memory_desc_init_by_tag(&md, shape->rank ? shape->rank : 1, dims, dnnl_f32, dnnl_format_tag_any);
    return md;
}

/// Channels in blocks as wide as a vector register: the layout that every operator of ours has a fast
/// primitive for. Measured against oneDNN's own choice under AVX-512 (channels last), single operators are as
/// fast or faster, and the reorders around first layers, pooling and Winograd go away.
static dnnl_memory_desc_t blocked(const fn_shape *shape) {
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {shape->dim[0], shape->dim[1], shape->dim[2], shape->dim[3]};
    int wide = (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, wide ? dnnl_nChw16c : dnnl_nChw8c);
    return md;
}

static int is_blocked(const dnnl_memory_desc_t *md) {
    return md->format_kind == dnnl_blocked && md->format_desc.blocking.inner_nblks > 0;
}

/// A window in arrays as long as oneDNN declares them.
typedef struct geometry {
    dnnl_dims_t kernel, stride, dilation, before, after;
} geometry;

static geometry geometry_of(const fn_window *w) {
    geometry g = {0};
    for (int i = 0; i < 2; i++) {
        g.kernel[i] = w->kernel[i];
        g.stride[i] = w->stride[i];
        g.dilation[i] = w->dilation[i] - 1; // oneDNN counts the gap
        g.before[i] = w->pad[i];
        g.after[i] = w->pad[i + 2];
    }
    return g;
}

// --- building -------------------------------------------------------------------------------------------

static int new_buffer(plan *p, size_t size) {
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

static int buffer_operand(plan *p, operand *out, const dnnl_memory_desc_t *md) {
    int index = new_buffer(p, dnnl_memory_desc_get_size(md));
    *out = (operand){.place = BUFFER, .index = index, .md = *md};
    return index < 0 ? index : FN_OK;
}

/// Appends a step; its operands are kept alive until it has run. Takes the primitive over.
static int add_step(plan *p, step_kind kind, dnnl_primitive_t primitive, const fn_node *node, const int *arg,
                    const operand *operands, int n) {
    step *s = NULL;
    operand *copy = fn_calloc((size_t)n, sizeof *copy);
    if (p->n_steps == p->steps_capacity) {
        int capacity = p->steps_capacity ? 2 * p->steps_capacity : 64;
        step *grown = fn_realloc(p->steps, (size_t)capacity, sizeof *grown);
        if (grown) {
            p->steps = grown;
            p->steps_capacity = capacity;
        }
    }
    if (!copy || p->n_steps == p->steps_capacity) {
        fn_free(copy);
        if (primitive)
            dnnl_primitive_destroy(primitive);
        return fn_fail_memory();
    }
    s = &p->steps[p->n_steps];
    *s = (step){.kind = kind, .primitive = primitive, .node = node, .operands = copy, .n_args = n};
    for (int i = 0; i < n; i++) {
        copy[i] = operands[i];
        s->arg[i] = arg ? arg[i] : 0;
        if (copy[i].place == BUFFER) {
            fn_buffer *b = &p->buffers[copy[i].index];
            if (b->last < p->n_steps)
                b->last = p->n_steps;
        }
    }
    p->n_steps++;
    return FN_OK;
}

/// Appends a primitive of this description, with a scratchpad when it wants one. Takes pd over.
static int add_primitive(plan *p, dnnl_primitive_desc_t pd, const int *arg, const operand *operands, int n) {
    int args[MAX_ARGS];
    operand all[MAX_ARGS];
    dnnl_primitive_t primitive = NULL;
    memcpy(args, arg, (size_t)n * sizeof *args);
    memcpy(all, operands, (size_t)n * sizeof *all);
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    int rc = FN_OK;
    if (scratchpad && dnnl_memory_desc_get_size(scratchpad)) {
        rc = buffer_operand(p, &all[n], scratchpad);
        args[n++] = DNNL_ARG_SCRATCHPAD;
    }
    if (rc == FN_OK) {
        dnnl_status_t status = dnnl_primitive_create(&primitive, pd);
        rc = status == dnnl_success ? add_step(p, PRIMITIVE, primitive, NULL, args, all, n)
                                    : dnnl_fail(status, "making a primitive");
    }
    dnnl_primitive_desc_destroy(pd);
    return rc;
}

static dnnl_primitive_attr_t new_attr(void) {
    dnnl_primitive_attr_t attr = NULL;
    if (dnnl_primitive_attr_create(&attr) == dnnl_success)
        dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    return attr;
}

static int add_reorder(plan *p, const operand *from, const operand *to) {
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_status_t status = dnnl_reorder_primitive_desc_create(&pd, &from->md, p->shared->engine, &to->md,
                                                              p->shared->engine, attr);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return dnnl_fail(status, "describing a reorder");
    return add_primitive(p, pd, (int[]){DNNL_ARG_FROM, DNNL_ARG_TO}, (operand[]){*from, *to}, 2);
}

/// A value in a given layout, reordered when it is in another one.
static int as_layout(plan *p, int value, const dnnl_memory_desc_t *md, operand *out) {
    operand *v = &p->values[value];
    *out = *v;
    if (dnnl_memory_desc_equal(&v->md, md))
        return FN_OK;
    int rc = buffer_operand(p, out, md);
    return rc < 0 ? rc : add_reorder(p, v, out);
}

static int as_plain(plan *p, int value, operand *out) {
    dnnl_memory_desc_t md = plain(&p->inferred.values[value].shape);
    return as_layout(p, value, &md, out);
}

/// A constant in a given layout, packed once per net. `from` says how its numbers lie in the graph.
static int as_packed(plan *p, int value, const dnnl_memory_desc_t *from, const dnnl_memory_desc_t *md,
                     operand *out) {
    shared *s = p->shared;
    *out = (operand){.place = CONSTANT, .data = s->graph->values[value].data, .md = *md};
    if (dnnl_memory_desc_equal(from, md))
        return FN_OK;
    for (int i = 0; i < s->n_packed; i++)
        if (s->packed[i].value == value && dnnl_memory_desc_equal(&s->packed[i].md, md)) {
            out->data = s->packed[i].data;
            return FN_OK;
        }
    if (s->n_packed == s->capacity) {
        int capacity = s->capacity ? 2 * s->capacity : 64;
        packed *grown = fn_realloc(s->packed, (size_t)capacity, sizeof *grown);
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
        return dnnl_fail(status, "packing weights");
    }
    s->packed[s->n_packed++] = (packed){value, *md, data};
    out->data = data;
    return FN_OK;
}

static const dnnl_memory_desc_t *query(dnnl_primitive_desc_t pd, dnnl_query_t what) {
    return dnnl_primitive_desc_query_md(pd, what, 0);
}

static int is_fast(dnnl_primitive_desc_t pd) {
    const char *name = "";
    dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
    return strstr(name, "ref") == NULL;
}

static dnnl_alg_kind_t eltwise_of(const fn_fused *f, float *alpha, float *beta) {
    *alpha = f->activation == FN_ACT_RELU ? 0 : f->alpha;
    *beta = f->beta;
    return f->activation == FN_ACT_CLIP      ? dnnl_eltwise_clip
           : f->activation == FN_ACT_SIGMOID ? dnnl_eltwise_logistic
                                             : dnnl_eltwise_relu;
}

/// Describes a primitive whose operation descriptor is ready (`initialised` says whether it is).
static int describe(dnnl_primitive_desc_t *pd, const plan *p, dnnl_status_t initialised,
                    const_dnnl_op_desc_t d, const char *what) {
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_status_t status = initialised;
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(pd, d, attr, p->shared->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    return status == dnnl_success ? FN_OK : dnnl_fail(status, what);
}

/// Appends a primitive whose result is the node's, in a buffer of its own. arg and operands have room for one
/// more. Takes pd over.
static int add_result(plan *p, const fn_node *node, dnnl_primitive_desc_t pd, const dnnl_memory_desc_t *md,
                      int *arg, operand *operands, int n) {
    operand *dst = &operands[n];
    int rc = buffer_operand(p, dst, md);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    p->values[node->outputs[0]] = *dst;
    arg[n] = DNNL_ARG_DST;
    return add_primitive(p, pd, arg, operands, n + 1);
}

/// What a primitive does after its own work, and the operands that this needs.
typedef struct post {
    dnnl_post_ops_t ops;
    int n, arg[FN_MAX_RESIDUALS + 1];
    operand operands[FN_MAX_RESIDUALS + 1];
    int sum_buffer; // the result goes where the first residual is; -1: a buffer of its own
} post;

static int append_post(plan *p, post *post_, const fn_fused *f, const dnnl_memory_desc_t *dst) {
    int at = 0;
    for (int k = 0; k < f->n_residuals; k++) {
        int value = f->residual[k];
        operand r;
        int rc = as_layout(p, value, dst, &r);
        if (rc < 0)
            return rc;
        int mine = r.place == BUFFER && (p->last_use[value] == p->node || r.index != p->values[value].index);
        for (int j = 0; j < post_->n; j++)
            mine = mine && !(post_->operands[j].place == BUFFER && post_->operands[j].index == r.index);
        for (int v = 0; mine && v < p->inferred.n; v++) // a view of it may live on
            mine = v == value || p->values[v].place != BUFFER || p->values[v].index != r.index ||
                   p->last_use[v] <= p->node - 1;
        if (mine && post_->sum_buffer < 0 && at == 0) {
            dnnl_post_ops_append_sum(post_->ops, 1.0F);
            post_->sum_buffer = r.index;
        } else {
            dnnl_post_ops_append_binary(post_->ops, dnnl_binary_add, &r.md);
            post_->arg[post_->n] = DNNL_ARG_ATTR_MULTIPLE_POST_OP(at) | DNNL_ARG_SRC_1;
            post_->operands[post_->n++] = r;
        }
        at++;
    }
    if (f->activation == FN_ACT_PRELU) {
        const fn_value *slope = &p->shared->graph->values[f->slope];
        fn_shape shape = {1, {fn_shape_count(&slope->shape)}};
        dnnl_post_ops_append_prelu(post_->ops, 1 << 1);
        post_->arg[post_->n] = DNNL_ARG_ATTR_MULTIPLE_POST_OP(at) | DNNL_ARG_WEIGHTS;
        post_->operands[post_->n++] = (operand){.place = CONSTANT, .data = slope->data, .md = plain(&shape)};
    } else if (f->activation != FN_ACT_NONE) {
        float alpha, beta;
        dnnl_alg_kind_t alg = eltwise_of(f, &alpha, &beta);
        dnnl_post_ops_append_eltwise(post_->ops, 1.0F, alg, alpha, beta);
    }
    return FN_OK;
}

/// The activation and the additions of a fused node as steps of their own, where they could not be fused.
static int add_separately(plan *p, const fn_fused *f, operand *dst) {
    int rc = FN_OK;
    for (int k = 0; k < f->n_residuals && rc == FN_OK; k++) {
        operand r;
        dnnl_binary_desc_t d;
        dnnl_primitive_desc_t pd;
        rc = as_layout(p, f->residual[k], &dst->md, &r);
        if (rc == FN_OK)
            rc = describe(&pd, p, dnnl_binary_desc_init(&d, dnnl_binary_add, &dst->md, &r.md, &dst->md), &d,
                          "describing an addition");
        if (rc < 0)
            return rc;
        rc = add_primitive(p, pd, (int[]){DNNL_ARG_SRC_0, DNNL_ARG_SRC_1, DNNL_ARG_DST},
                           (operand[]){*dst, r, *dst}, 3);
    }
    if (rc < 0 || f->activation == FN_ACT_NONE)
        return rc;
    dnnl_primitive_desc_t pd;
    if (f->activation == FN_ACT_PRELU) {
        const fn_value *slope = &p->shared->graph->values[f->slope];
        fn_shape shape = {dst->md.ndims, {1, 1, 1, 1, 1, 1}};
        shape.dim[1] = fn_shape_count(&slope->shape);
        dnnl_memory_desc_t from = plain(&shape), want = any(&shape);
        dnnl_prelu_desc_t d;
        operand weights = {0};
        rc = describe(&pd, p, dnnl_prelu_forward_desc_init(&d, dnnl_forward_inference, &dst->md, &want), &d,
                      "describing a PReLU");
        if (rc < 0)
            return rc;
        rc = as_packed(p, f->slope, &from, query(pd, dnnl_query_weights_md), &weights);
        if (rc < 0) {
            dnnl_primitive_desc_destroy(pd);
            return rc;
        }
        return add_primitive(p, pd, (int[]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                             (operand[]){*dst, weights, *dst}, 3);
    }
    dnnl_eltwise_desc_t d;
    float alpha, beta;
    dnnl_alg_kind_t alg = eltwise_of(f, &alpha, &beta);
    rc = describe(&pd, p,
                  dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, alg, &dst->md, alpha, beta), &d,
                  "describing an activation");
    if (rc < 0)
        return rc;
    return add_primitive(p, pd, (int[]){DNNL_ARG_SRC, DNNL_ARG_DST}, (operand[]){*dst, *dst}, 2);
}

/// Finishes Conv and Gemm, whose operation descriptor is ready: `make` builds the primitive description for
/// an attribute and a destination layout. First everything fused; if oneDNN cannot, or only slowly, apart.
typedef dnnl_status_t (*make_fn)(const plan *p, const void *context, const dnnl_memory_desc_t *dst,
                                 dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd);

static int finish_fused(plan *p, const fn_node *node, make_fn make, const void *context, int *arg,
                        operand *operands, int n, const dnnl_memory_desc_t *dst_md,
                        dnnl_primitive_desc_t bare) {
    const fn_fused *f = &node->fused;
    int fused = f->n_residuals || f->activation != FN_ACT_NONE, rc = FN_OK;
    dnnl_primitive_desc_t pd = NULL;
    post post_ = {.sum_buffer = -1};
    operand dst;
    dnnl_memory_desc_t md = *dst_md;
    if (fused) {
        dnnl_primitive_attr_t attr = new_attr();
        dnnl_status_t status = dnnl_post_ops_create(&post_.ops);
        if (status == dnnl_success)
            rc = append_post(p, &post_, f, &md);
        if (status == dnnl_success && rc == FN_OK)
            status = dnnl_primitive_attr_set_post_ops(attr, post_.ops);
        if (status == dnnl_success && rc == FN_OK)
            status = make(p, context, &md, attr, &pd);
        dnnl_post_ops_destroy(post_.ops);
        dnnl_primitive_attr_destroy(attr);
        // The weights were packed for the bare primitive: the fused one must want them likewise.
        if (rc == FN_OK && status == dnnl_success &&
            (!is_fast(pd) ||
             !dnnl_memory_desc_equal(query(pd, dnnl_query_weights_md), query(bare, dnnl_query_weights_md)) ||
             !dnnl_memory_desc_equal(query(pd, dnnl_query_src_md), query(bare, dnnl_query_src_md)))) {
            dnnl_primitive_desc_destroy(pd);
            pd = NULL;
        } else if (status != dnnl_success) {
            pd = NULL;
        }
        if (rc < 0) {
            dnnl_primitive_desc_destroy(bare);
            return rc;
        }
    }
    if (pd) {
        dnnl_primitive_desc_destroy(bare);
        for (int i = 0; i < post_.n; i++) {
            arg[n] = post_.arg[i];
            operands[n++] = post_.operands[i];
        }
        if (post_.sum_buffer >= 0)
            dst = (operand){.place = BUFFER, .index = post_.sum_buffer, .md = md};
        else
            rc = buffer_operand(p, &dst, &md);
    } else {
        pd = bare;
        rc = buffer_operand(p, &dst, &md);
    }
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    int apart = pd == bare;
    arg[n] = DNNL_ARG_DST;
    operands[n++] = dst;
    rc = add_primitive(p, pd, arg, operands, n);
    if (rc == FN_OK && apart)
        rc = add_separately(p, f, &dst);
    p->values[node->outputs[0]] = dst;
    return rc;
}

static dnnl_status_t make_conv(const plan *p, const void *context, const dnnl_memory_desc_t *dst,
                               dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
    dnnl_convolution_desc_t d = *(const dnnl_convolution_desc_t *)context;
    d.dst_desc = *dst;
    return dnnl_primitive_desc_create(pd, &d, attr, p->shared->engine, NULL);
}

/// Winograd F(4x4, 3x3) pays where both channel counts are large enough to amortise its transforms; oneDNN
/// has it for AVX-512 only and says so by failing.
static int may_use_winograd(const fn_window *w, const fn_shape *kernel, int64_t group) {
    return group == 1 && w->kernel[0] == 3 && w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 &&
           w->dilation[0] == 1 && w->dilation[1] == 1 && kernel->dim[0] >= 32 && kernel->dim[1] >= 32;
}

static int build_conv(plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    const fn_value *weights = &p->shared->graph->values[node->inputs[1]];
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    int64_t group = fn_node_int(node, "group", 1);
    fn_window w;
    int rc = fn_window_of(&w, node, weights->shape.dim + 2, x->dim[2], x->dim[3]);
    if (rc < 0)
        return rc;
    fn_shape ws = weights->shape;
    if (group > 1)
        ws = (fn_shape){5, {group, ws.dim[0] / group, ws.dim[1], ws.dim[2], ws.dim[3]}};
    dnnl_memory_desc_t w_plain = plain(&ws), w_any = any(&ws), b_md;
    int is_image = p->values[node->inputs[0]].place == INPUT; // the caller's dense image is read where it is
    if (bias >= 0)
        b_md = plain(&p->inferred.values[bias].shape);
    geometry at = geometry_of(&w);
    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t bare = NULL;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_status_t status = dnnl_unimplemented;
    // Winograd where it pays, else direct on blocked channels, else whatever oneDNN can do.
    for (int attempt = may_use_winograd(&w, &weights->shape, group) ? 0 : 1; attempt < 3 && !bare;
         attempt++) {
        dnnl_memory_desc_t src = attempt == 1 ? blocked(x) : any(x), dst = attempt == 1 ? blocked(y) : any(y);
        if (is_image)
            src = p->values[node->inputs[0]].md;
        status = dnnl_dilated_convolution_forward_desc_init(
            &d, dnnl_forward_inference, attempt == 0 ? dnnl_convolution_winograd : dnnl_convolution_direct,
            &src, &w_any, bias >= 0 ? &b_md : NULL, &dst, at.stride, at.dilation, at.before, at.after);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&bare, &d, attr, p->shared->engine, NULL);
        if (status != dnnl_success) {
            bare = NULL;
        } else if (attempt < 2 && !is_fast(bare)) {
            dnnl_primitive_desc_destroy(bare);
            bare = NULL;
        }
    }
    dnnl_primitive_attr_destroy(attr);
    if (!bare)
        return dnnl_fail(status, "describing a convolution");
    // The descriptor now asks for the layouts that the bare primitive has chosen.
    d.src_desc = *query(bare, dnnl_query_src_md);
    d.weights_desc = *query(bare, dnnl_query_weights_md);
    dnnl_memory_desc_t dst_md = *query(bare, dnnl_query_dst_md);
    int arg[MAX_ARGS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    operand operands[MAX_ARGS];
    rc = as_layout(p, node->inputs[0], &d.src_desc, &operands[0]);
    if (rc == FN_OK)
        rc = as_packed(p, node->inputs[1], &w_plain, &d.weights_desc, &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(bare);
        return rc;
    }
    if (bias >= 0)
        operands[2] = p->values[bias];
    return finish_fused(p, node, make_conv, &d, arg, operands, bias >= 0 ? 3 : 2, &dst_md, bare);
}

static dnnl_status_t make_dense(const plan *p, const void *context, const dnnl_memory_desc_t *dst,
                                dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
    dnnl_inner_product_desc_t d = *(const dnnl_inner_product_desc_t *)context;
    d.dst_desc = *dst;
    return dnnl_primitive_desc_create(pd, &d, attr, p->shared->engine, NULL);
}

static int build_gemm(plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    int64_t n = y->dim[1], k = x->dim[1];
    fn_shape ws = {2, {n, k}}, bs = {1, {n}};
    dnnl_memory_desc_t w_plain = plain(&ws), w_any = any(&ws), x_md = plain(x), y_md = plain(y),
                       b_md = plain(&bs);
    if (!fn_node_int(node, "transB", 0)) { // stored as (in, out)
        dnnl_dims_t dims = {n, k}, strides = {1, n};
        dnnl_memory_desc_init_by_strides(&w_plain, 2, dims, dnnl_f32, strides);
    }
    dnnl_inner_product_desc_t d;
    dnnl_primitive_desc_t bare = NULL;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_status_t status = dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &x_md, &w_any,
                                                                bias >= 0 ? &b_md : NULL, &y_md);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&bare, &d, attr, p->shared->engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return dnnl_fail(status, "describing a dense layer");
    d.weights_desc = *query(bare, dnnl_query_weights_md);
    int arg[MAX_ARGS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    operand operands[MAX_ARGS];
    int rc = as_plain(p, node->inputs[0], &operands[0]);
    if (rc == FN_OK)
        rc = as_packed(p, node->inputs[1], &w_plain, &d.weights_desc, &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(bare);
        return rc;
    }
    if (bias >= 0) {
        operands[2] = p->values[bias];
        operands[2].md = b_md;
    }
    return finish_fused(p, node, make_dense, &d, arg, operands, bias >= 0 ? 3 : 2, &y_md, bare);
}

static int build_pool(plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    int is_max = strcmp(node->op->name, "MaxPool") == 0;
    fn_window w = {.kernel = {x->dim[2], x->dim[3]}, .stride = {1, 1}};
    const fn_attr *kernel = fn_node_attr(node, "kernel_shape");
    if (kernel) {
        int rc = fn_window_of(&w, node, kernel->ints, x->dim[2], x->dim[3]);
        if (rc < 0)
            return rc;
    }
    for (int i = 0; i < 2; i++) // the padding that oneDNN's size rule wants for this output size
        w.pad[i + 2] = (y->dim[i + 2] - 1) * w.stride[i] + w.kernel[i] - x->dim[i + 2] - w.pad[i];
    dnnl_alg_kind_t alg = is_max                                      ? dnnl_pooling_max
                          : fn_node_int(node, "count_include_pad", 0) ? dnnl_pooling_avg_include_padding
                                                                      : dnnl_pooling_avg_exclude_padding;
    geometry at = geometry_of(&w);
    operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_memory_desc_t y_any = any(y);
    dnnl_pooling_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = describe(&pd, p,
                      dnnl_pooling_forward_desc_init(&d, dnnl_forward_inference, alg, &operands[0].md, &y_any,
                                                     at.stride, at.kernel, at.before, at.after),
                      &d, "describing a pooling");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, query(pd, dnnl_query_dst_md), (int[2]){DNNL_ARG_SRC}, operands, 1);
}

/// Add, Sub, Mul, Div of two tensors, the second possibly broadcast.
static int build_binary(plan *p, const fn_node *node) {
    static const struct {
        const char *op;
        dnnl_alg_kind_t alg;
    } algs[] = {{"Add", dnnl_binary_add},
                {"Sub", dnnl_binary_sub},
                {"Mul", dnnl_binary_mul},
                {"Div", dnnl_binary_div}};
    dnnl_alg_kind_t alg = dnnl_alg_kind_undef;
    for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++)
        if (strcmp(algs[i].op, node->op->name) == 0)
            alg = algs[i].alg;
    const fn_shape *b = &p->inferred.values[node->inputs[1]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    operand src0 = p->values[node->inputs[0]], src1;
    int rc;
    if (fn_shape_equal(b, y)) {
        rc = as_layout(p, node->inputs[1], &src0.md, &src1);
    } else {
        fn_shape wide = {.rank = y->rank};
        for (int i = 0; i < y->rank; i++)
            wide.dim[i] = i < y->rank - b->rank ? 1 : b->dim[i - (y->rank - b->rank)];
        rc = as_plain(p, node->inputs[1], &src1);
        src1.md = plain(&wide);
    }
    if (rc < 0)
        return rc;
    const fn_fused *f = &node->fused;
    dnnl_binary_desc_t d;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_post_ops_t ops = NULL;
    int apart = f->activation == FN_ACT_PRELU;
    dnnl_status_t status = dnnl_binary_desc_init(&d, alg, &src0.md, &src1.md, &src0.md);
    if (status == dnnl_success && f->activation != FN_ACT_NONE && !apart) {
        float alpha, beta;
        dnnl_alg_kind_t eltwise = eltwise_of(f, &alpha, &beta);
        dnnl_post_ops_create(&ops);
        dnnl_post_ops_append_eltwise(ops, 1.0F, eltwise, alpha, beta);
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&pd, &d, attr, p->shared->engine, NULL);
    if (ops)
        dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return dnnl_fail(status, "describing an addition");
    rc = add_result(p, node, pd, &src0.md, (int[3]){DNNL_ARG_SRC_0, DNNL_ARG_SRC_1}, (operand[3]){src0, src1},
                    2);
    return rc == FN_OK && apart ? add_separately(p, f, &p->values[node->outputs[0]]) : rc;
}

/// Activations that nothing could swallow: a copy, then in place.
static int build_activation(plan *p, const fn_node *node) {
    fn_fused f = {.slope = -1};
    if (strcmp(node->op->name, "Relu") == 0) {
        f.activation = FN_ACT_RELU;
    } else if (strcmp(node->op->name, "LeakyRelu") == 0) {
        f.activation = FN_ACT_LEAKY;
        f.alpha = fn_node_float(node, "alpha", 0.01F);
    } else {
        f.activation = FN_ACT_SIGMOID;
    }
    operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_eltwise_desc_t d;
    dnnl_primitive_desc_t pd;
    float alpha, beta;
    dnnl_alg_kind_t alg = eltwise_of(&f, &alpha, &beta);
    int rc = describe(
        &pd, p, dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, alg, &operands[0].md, alpha, beta),
        &d, "describing an activation");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, &operands[0].md, (int[2]){DNNL_ARG_SRC}, operands, 1);
}

static int build_concat(plan *p, const fn_node *node) {
    const fn_shape *y = &p->inferred.values[node->outputs[0]].shape;
    int64_t axis = fn_node_int(node, "axis", 0);
    operand operands[MAX_ARGS];
    int arg[MAX_ARGS], n = node->n_inputs;
    dnnl_memory_desc_t mds[FN_MAX_INPUTS], y_any = any(y);
    for (int i = 0; i < n; i++) {
        operands[i] = p->values[node->inputs[i]];
        mds[i] = operands[i].md;
        arg[i] = DNNL_ARG_MULTIPLE_SRC + i;
    }
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = new_attr();
    dnnl_status_t status = dnnl_concat_primitive_desc_create(
        &pd, &y_any, n, (int)(axis < 0 ? axis + y->rank : axis), mds, attr, p->shared->engine);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return dnnl_fail(status, "describing a concatenation");
    return add_result(p, node, pd, query(pd, dnnl_query_dst_md), arg, operands, n);
}

static int build_transpose(plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    const fn_attr *perm = fn_node_attr(node, "perm");
    dnnl_dims_t dims, strides;
    int64_t stride = 1;
    operand dst;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t from = perm ? perm->ints[i] : x->rank - 1 - i;
        dims[from] = x->dim[from];
        strides[from] = stride;
        stride *= y->dim[i];
    }
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_strides(&md, x->rank, dims, dnnl_f32, strides);
    int rc = buffer_operand(p, &dst, &md);
    if (rc == FN_OK)
        rc = add_reorder(p, &p->values[node->inputs[0]], &dst);
    dst.md = plain(y);
    p->values[node->outputs[0]] = dst;
    return rc;
}

static int build_resize(plan *p, const fn_node *node) {
    const fn_shape *y = &p->inferred.values[node->outputs[0]].shape;
    operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_memory_desc_t y_any = any(y);
    dnnl_resampling_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = describe(&pd, p,
                      dnnl_resampling_forward_desc_init(&d, dnnl_forward_inference, dnnl_resampling_linear,
                                                        NULL, &operands[0].md, &y_any),
                      &d, "describing a resize");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, query(pd, dnnl_query_dst_md), (int[2]){DNNL_ARG_SRC}, operands, 1);
}

/// Channels appended as zeros, in a layout whose items are whole blocks of channels one after the other: the
/// blocks are copied, the new ones zeroed. 0 in *done when the node is not of that kind.
static int build_widen(plan *p, const fn_node *node, int *done) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    operand src = p->values[node->inputs[0]], dst;
    const dnnl_blocking_desc_t *b = &src.md.format_desc.blocking;
    int64_t pads[2 * FN_MAX_RANK] = {0};
    const fn_typed *list = node->n_inputs > 1 ? &p->inferred.values[node->inputs[1]] : NULL;
    const fn_attr *attr = fn_node_attr(node, "pads");
    *done = 0;
    if (x->rank != 4 || !is_blocked(&src.md) || b->inner_nblks != 1 || b->inner_idxs[0] != 1 ||
        b->strides[1] < b->strides[2] || b->strides[0] < b->strides[1])
        return FN_OK;
    if (attr)
        memcpy(pads, attr->ints, 8 * sizeof *pads);
    else
        memcpy(pads, list->data, 8 * sizeof *pads);
    for (int i = 0; i < 8; i++)
        if (i != 5 && pads[i])
            return FN_OK;
    if (fn_node_float(node, "value", 0) != 0 || node->n_inputs > 2)
        return FN_OK;
    dnnl_dims_t dims = {y->dim[0], y->dim[1], y->dim[2], y->dim[3]};
    dnnl_memory_desc_t md;
    dnnl_format_tag_t tag = b->inner_blks[0] == 16 ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_memory_desc_t same;
    dnnl_memory_desc_init_by_tag(&same, 4, src.md.dims, dnnl_f32, tag);
    if (!dnnl_memory_desc_equal(&same, &src.md))
        return FN_OK;
    dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, tag);
    int rc = buffer_operand(p, &dst, &md);
    if (rc < 0)
        return rc;
    *done = 1;
    p->values[node->outputs[0]] = dst;
    return add_step(p, WIDEN, NULL, NULL, NULL, (operand[]){src, dst}, 2);
}

/// A view keeps the numbers where they are, once they lie in plain order.
static int build_view(plan *p, const fn_node *node) {
    operand at;
    int rc = as_plain(p, node->inputs[0], &at);
    at.md = plain(&p->inferred.values[node->outputs[0]].shape);
    p->values[node->outputs[0]] = at;
    return rc;
}

/// Anything else: the reference operator on plain layouts, its fused part apart.
static int build_reference(plan *p, const fn_node *node) {
    operand operands[FN_MAX_INPUTS + 1];
    memset(operands, 0, sizeof operands);
    for (int i = 0; i < node->n_inputs; i++) {
        int v = node->inputs[i], rc = FN_OK;
        if (v < 0)
            continue;
        if (p->inferred.values[v].data)
            operands[i] = (operand){.place = CONSTANT, .data = p->inferred.values[v].data};
        else
            rc = as_plain(p, v, &operands[i]);
        if (rc < 0)
            return rc;
    }
    dnnl_memory_desc_t md = plain(&p->inferred.values[node->outputs[0]].shape);
    operand *dst = &operands[node->n_inputs];
    int rc = buffer_operand(p, dst, &md);
    if (rc == FN_OK)
        rc = add_step(p, REFERENCE, NULL, node, NULL, operands, node->n_inputs + 1);
    p->values[node->outputs[0]] = *dst;
    return rc == FN_OK ? add_separately(p, &node->fused, dst) : rc;
}

static int is_text(const fn_node *node, const char *name, const char *text) {
    const fn_attr *attr = fn_node_attr(node, name);
    return attr && attr->kind == FN_ATTR_STRING && strcmp(attr->s, text) == 0;
}

static int build_node(plan *p, const fn_node *node) {
    const fn_graph *g = p->shared->graph;
    const char *op = node->op->name;
    const fn_typed *x = node->n_inputs && node->inputs[0] >= 0 ? &p->inferred.values[node->inputs[0]] : NULL;
    const fn_typed *y = &p->inferred.values[node->outputs[0]];
    if (y->dtype != FN_F32)
        return FN_OK; // integers were worked out with the shapes
    if (node->op->is_view)
        return build_view(p, node);
    if (strcmp(op, "Conv") == 0 && g->values[node->inputs[1]].data &&
        (node->n_inputs < 3 || node->inputs[2] < 0 || g->values[node->inputs[2]].data))
        return build_conv(p, node);
    if (strcmp(op, "Gemm") == 0 && g->values[node->inputs[1]].data && !fn_node_int(node, "transA", 0) &&
        fn_node_float(node, "alpha", 1) == 1 && fn_node_float(node, "beta", 1) == 1 &&
        (node->n_inputs < 3 || node->inputs[2] < 0 ||
         (g->values[node->inputs[2]].data &&
          fn_shape_count(&g->values[node->inputs[2]].shape) == y->shape.dim[1])))
        return build_gemm(p, node);
    if (strstr(op, "Pool"))
        return build_pool(p, node);
    if ((strcmp(op, "Add") == 0 || strcmp(op, "Sub") == 0 || strcmp(op, "Mul") == 0 ||
         strcmp(op, "Div") == 0) &&
        fn_shape_equal(&x->shape, &y->shape))
        return build_binary(p, node);
    if (strcmp(op, "Relu") == 0 || strcmp(op, "LeakyRelu") == 0 || strcmp(op, "Sigmoid") == 0)
        return build_activation(p, node);
    if (strcmp(op, "Concat") == 0)
        return build_concat(p, node);
    if (strcmp(op, "Transpose") == 0)
        return build_transpose(p, node);
    if (strcmp(op, "Resize") == 0 && is_text(node, "mode", "linear") &&
        (!fn_node_attr(node, "coordinate_transformation_mode") ||
         is_text(node, "coordinate_transformation_mode", "half_pixel")))
        return build_resize(p, node);
    if (strcmp(op, "Pad") == 0) {
        int done;
        int rc = build_widen(p, node, &done);
        if (rc < 0 || done)
            return rc;
    }
    return build_reference(p, node);
}

static void plan_free(void *plan_) {
    plan *p = plan_;
    for (int i = 0; p && i < p->n_steps; i++) {
        if (p->steps[i].primitive)
            dnnl_primitive_destroy(p->steps[i].primitive);
        fn_free(p->steps[i].operands);
    }
    if (p) {
        fn_free(p->steps);
        fn_free(p->buffers);
        fn_free(p->values);
        fn_free(p->last_use);
        fn_inferred_free(&p->inferred);
    }
    fn_free(p);
}

static int place_values(plan *p) {
    const fn_graph *g = p->shared->graph;
    p->values = fn_calloc((size_t)g->n_values, sizeof *p->values);
    p->last_use = fn_calloc((size_t)g->n_values, sizeof *p->last_use);
    if (!p->values || !p->last_use)
        return fn_fail_memory();
    for (int i = 0; i < g->n_values; i++) {
        p->last_use[i] = -1;
        if (g->values[i].data && g->values[i].dtype == FN_F32)
            p->values[i] =
                (operand){.place = CONSTANT, .data = g->values[i].data, .md = plain(&g->values[i].shape)};
    }
    for (int i = 0; i < g->n_inputs; i++)
        p->values[g->inputs[i]] =
            (operand){.place = INPUT, .index = i, .md = plain(&p->inferred.values[g->inputs[i]].shape)};
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
    plan *p = fn_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) {
        fn_inferred_free(inferred);
        return fn_fail_memory();
    }
    p->shared = shared_;
    p->inferred = *inferred;
    const fn_graph *g = p->shared->graph;
    int rc = place_values(p);
    for (p->node = 0; p->node < g->n_nodes && rc == FN_OK; p->node++)
        rc = build_node(p, &g->nodes[p->node]);
    for (int i = 0; i < g->n_outputs && rc == FN_OK; i++) {
        operand to = {.place = OUTPUT, .index = i, .md = plain(&p->inferred.values[g->outputs[i]].shape)};
        rc = add_reorder(p, &p->values[g->outputs[i]], &to);
    }
    if (rc == FN_OK) {
        p->block_size = fn_arena_assign(p->buffers, p->n_buffers);
        if (p->block_size == (size_t)-1)
            rc = fn_fail_memory();
    }
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

// --- running --------------------------------------------------------------------------------------------

/// One thread's memory, and oneDNN's handles on it.
typedef struct state {
    plan *plan;
    void *block;
    dnnl_stream_t stream;
    dnnl_exec_arg_t *args; // of all primitive steps, one after the other
    int n_args;
    struct external {
        dnnl_memory_t memory;
        place place;
        int index;
    } * externals; // handles on the caller's memory
    int n_externals;
} state;

static void state_free(void *state_) {
    state *s = state_;
    if (!s)
        return;
    for (int i = 0; i < s->n_args; i++)
        dnnl_memory_destroy(s->args[i].memory);
    fn_free(s->args);
    fn_free(s->externals);
    if (s->stream)
        dnnl_stream_destroy(s->stream);
    fn_free(s->block);
    fn_free(s);
}

static void *address(const state *s, const operand *o, const void *const *inputs, void *const *outputs) {
    switch (o->place) {
    case BUFFER:
        return (char *)s->block + s->plan->buffers[o->index].offset;
    case CONSTANT:
        return (void *)o->data;
    case INPUT:
        return inputs ? (void *)inputs[o->index] : NULL;
    case OUTPUT:
        return outputs ? outputs[o->index] : NULL;
    case NOWHERE:
        break;
    }
    return NULL;
}

static int state_open(void **out, void *plan_) {
    plan *p = plan_;
    state *s = fn_calloc(1, sizeof *s);
    size_t n_args = 0, n_externals = 0;
    *out = NULL;
    if (!s)
        return fn_fail_memory();
    s->plan = p;
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; p->steps[i].kind == PRIMITIVE && k < p->steps[i].n_args; k++) {
            n_args++;
            n_externals += p->steps[i].operands[k].place == INPUT || p->steps[i].operands[k].place == OUTPUT;
        }
    s->block = fn_alloc_aligned(p->block_size);
    s->args = fn_calloc(n_args, sizeof *s->args);
    s->externals = fn_calloc(n_externals, sizeof *s->externals);
    int rc = s->block && s->args && s->externals ? FN_OK : fn_fail_memory();
    if (rc == FN_OK &&
        dnnl_stream_create(&s->stream, p->shared->engine, dnnl_stream_default_flags) != dnnl_success)
        rc = fn_fail_memory();
    for (int i = 0; i < p->n_steps && rc == FN_OK; i++) {
        const step *t = &p->steps[i];
        for (int k = 0; t->kind == PRIMITIVE && k < t->n_args && rc == FN_OK; k++) {
            const operand *o = &t->operands[k];
            void *at = address(s, o, NULL, NULL);
            dnnl_memory_t memory;
            dnnl_status_t status =
                dnnl_memory_create(&memory, &o->md, p->shared->engine, at ? at : DNNL_MEMORY_NONE);
            if (status != dnnl_success) {
                rc = dnnl_fail(status, "making a memory object");
                break;
            }
            s->args[s->n_args++] = (dnnl_exec_arg_t){t->arg[k], memory};
            if (o->place == INPUT || o->place == OUTPUT)
                s->externals[s->n_externals++] = (struct external){memory, o->place, o->index};
        }
    }
    if (rc < 0) {
        state_free(s);
        return rc;
    }
    *out = s;
    return FN_OK;
}

static void run_reference(const state *s, const step *t, const void *const *inputs, void *const *outputs) {
    const fn_node *node = t->node;
    const void *in[FN_MAX_INPUTS];
    fn_shape in_shape[FN_MAX_INPUTS];
    for (int k = 0; k < node->n_inputs; k++) {
        in[k] = address(s, &t->operands[k], inputs, outputs);
        if (node->inputs[k] >= 0)
            in_shape[k] = s->plan->inferred.values[node->inputs[k]].shape;
        else
            in_shape[k].rank = -1;
    }
    void *out = address(s, &t->operands[node->n_inputs], inputs, outputs);
    fn_run_args args = {
        node, node->n_inputs, 1, in_shape, in, &s->plan->inferred.values[node->outputs[0]].shape, &out};
    node->op->forward(&args);
}

static void run_widen(const state *s, const step *t) {
    const operand *src = &t->operands[0], *dst = &t->operands[1];
    size_t n = (size_t)src->md.dims[0];
    size_t from = dnnl_memory_desc_get_size(&src->md) / n, to = dnnl_memory_desc_get_size(&dst->md) / n;
    for (size_t i = 0; i < n; i++) {
        char *item = (char *)address(s, dst, NULL, NULL) + i * to;
        memcpy(item, (char *)address(s, src, NULL, NULL) + i * from, from);
        memset(item + from, 0, to - from);
    }
}

static int run(void *plan_, void *state_, const void *const *inputs, void *const *outputs) {
    const plan *p = plan_;
    state *s = state_;
    for (int i = 0; i < s->n_externals; i++) {
        const struct external *e = &s->externals[i];
        void *at = e->place == INPUT ? (void *)inputs[e->index] : outputs[e->index];
        dnnl_memory_set_data_handle(e->memory, at);
    }
    const dnnl_exec_arg_t *args = s->args;
    for (int i = 0; i < p->n_steps; i++) {
        const step *t = &p->steps[i];
        if (t->kind == REFERENCE) {
            run_reference(s, t, inputs, outputs);
        } else if (t->kind == WIDEN) {
            run_widen(s, t);
        } else {
            dnnl_status_t status = dnnl_primitive_execute(t->primitive, s->stream, t->n_args, args);
            if (status != dnnl_success)
                return dnnl_fail(status, "running a primitive");
            args += t->n_args;
        }
    }
    dnnl_stream_wait(s->stream);
    return FN_OK;
}

const fn_backend_def fn_backend_onednn = {"onednn",  shared_open, shared_free, plan_open,
                                          plan_free, state_open,  state_free,  run};
