// SPDX-License-Identifier: Apache-2.0
//
// One function per operator of an inference plan: the node as steps.
#include "base/error.h"
#include "nn/onednn/plan.h"

#include <string.h>

/// Appends a primitive whose result is the node's, in a buffer of its own. arg and operands have room for one
/// more. Takes pd over.
static int add_result(fn_dnnl_plan *p, const fn_node *node, dnnl_primitive_desc_t pd,
                      const dnnl_memory_desc_t *md, int *arg, fn_dnnl_operand *operands, int n) {
    fn_dnnl_operand *dst = &operands[n];
    int rc = fn_dnnl_buffer(&p->program, dst, md);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    p->values[node->outputs[0]] = *dst;
    arg[n] = DNNL_ARG_DST;
    return fn_dnnl_add_primitive(&p->program, pd, arg, operands, n + 1);
}

static dnnl_status_t make_conv(const fn_dnnl_plan *p, const void *context, const dnnl_memory_desc_t *dst,
                               dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
    dnnl_convolution_desc_t d = *(const dnnl_convolution_desc_t *)context;
    d.dst_desc = *dst;
    return dnnl_primitive_desc_create(pd, &d, attr, p->program.engine, NULL);
}

static int build_conv(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    const fn_value *weights = &p->shared->graph->values[node->inputs[1]];
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    int64_t group = fn_node_int(node, "group", 1);
    fn_window w;
    int rc = fn_window_of(&w, node, weights->shape.dim + 2, x->dim[2], x->dim[3]);
    if (rc < 0)
        return rc;
    fn_shape ws = fn_dnnl_kernel_shape(&weights->shape, group);
    dnnl_memory_desc_t w_plain = fn_dnnl_plain(&ws), w_any = fn_dnnl_any(&ws, dnnl_f32), b_md;
    int is_image =
        p->values[node->inputs[0]].place == FN_DNNL_EXTERNAL; // the caller's dense image is read where it is
    if (bias >= 0)
        b_md = fn_dnnl_plain(&p->inferred.values[bias].shape);
    fn_dnnl_geometry at = fn_dnnl_geometry_of(&w);
    dnnl_convolution_desc_t d;
    dnnl_primitive_desc_t bare = NULL;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_status_t status = dnnl_unimplemented;
    // Winograd where it pays, else direct on blocked channels, else whatever oneDNN can do.
    for (int attempt = fn_dnnl_may_use_winograd(&w, &weights->shape, group) ? 0 : 1; attempt < 3 && !bare;
         attempt++) {
        dnnl_memory_desc_t src = attempt == 1 ? fn_dnnl_blocked(x, dnnl_f32) : fn_dnnl_any(x, dnnl_f32),
                           dst = attempt == 1 ? fn_dnnl_blocked(y, dnnl_f32) : fn_dnnl_any(y, dnnl_f32);
        if (is_image)
            src = p->values[node->inputs[0]].md;
        status = dnnl_dilated_convolution_forward_desc_init(
            &d, dnnl_forward_inference, attempt == 0 ? dnnl_convolution_winograd : dnnl_convolution_direct,
            &src, &w_any, bias >= 0 ? &b_md : NULL, &dst, at.stride, at.dilation, at.before, at.after);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&bare, &d, attr, p->program.engine, NULL);
        if (status != dnnl_success) {
            bare = NULL;
        } else if (attempt < 2 && !fn_dnnl_is_fast(bare)) {
            dnnl_primitive_desc_destroy(bare);
            bare = NULL;
        }
    }
    dnnl_primitive_attr_destroy(attr);
    if (!bare)
        return fn_dnnl_fail(status, "describing a convolution");
    // The descriptor now asks for the layouts that the bare primitive has chosen.
    d.src_desc = *fn_dnnl_query(bare, dnnl_query_src_md);
    d.weights_desc = *fn_dnnl_query(bare, dnnl_query_weights_md);
    dnnl_memory_desc_t dst_md = *fn_dnnl_query(bare, dnnl_query_dst_md);
    int arg[FN_DNNL_MAX_ARGS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    fn_dnnl_operand operands[FN_DNNL_MAX_ARGS];
    rc = fn_dnnl_as_value_layout(p, node->inputs[0], &d.src_desc, &operands[0]);
    if (rc == FN_OK)
        rc = fn_dnnl_as_packed(p, node->inputs[1], &w_plain, &d.weights_desc, &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(bare);
        return rc;
    }
    if (bias >= 0)
        operands[2] = p->values[bias];
    return fn_dnnl_finish_fused(p, node, make_conv, &d, arg, operands, bias >= 0 ? 3 : 2, &dst_md, bare);
}

static dnnl_status_t make_dense(const fn_dnnl_plan *p, const void *context, const dnnl_memory_desc_t *dst,
                                dnnl_primitive_attr_t attr, dnnl_primitive_desc_t *pd) {
    dnnl_inner_product_desc_t d = *(const dnnl_inner_product_desc_t *)context;
    d.dst_desc = *dst;
    return dnnl_primitive_desc_create(pd, &d, attr, p->program.engine, NULL);
}

static int build_gemm(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    int64_t n = y->dim[1], k = x->dim[1];
    fn_shape ws = {2, {n, k}}, bs = {1, {n}};
    dnnl_memory_desc_t w_plain = fn_dnnl_plain(&ws), w_any = fn_dnnl_any(&ws, dnnl_f32),
                       x_md = fn_dnnl_plain(x), y_md = fn_dnnl_plain(y), b_md = fn_dnnl_plain(&bs);
    if (!fn_node_int(node, "transB", 0)) { // stored as (in, out)
        dnnl_dims_t dims = {n, k}, strides = {1, n};
        dnnl_memory_desc_init_by_strides(&w_plain, 2, dims, dnnl_f32, strides);
    }
    dnnl_inner_product_desc_t d;
    dnnl_primitive_desc_t bare = NULL;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_status_t status = dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &x_md, &w_any,
                                                                bias >= 0 ? &b_md : NULL, &y_md);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&bare, &d, attr, p->program.engine, NULL);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fn_dnnl_fail(status, "describing a dense layer");
    d.weights_desc = *fn_dnnl_query(bare, dnnl_query_weights_md);
    int arg[FN_DNNL_MAX_ARGS] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    fn_dnnl_operand operands[FN_DNNL_MAX_ARGS];
    int rc = fn_dnnl_as_plain(p, node->inputs[0], &operands[0]);
    if (rc == FN_OK)
        rc = fn_dnnl_as_packed(p, node->inputs[1], &w_plain, &d.weights_desc, &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(bare);
        return rc;
    }
    if (bias >= 0) {
        operands[2] = p->values[bias];
        operands[2].md = b_md;
    }
    return fn_dnnl_finish_fused(p, node, make_dense, &d, arg, operands, bias >= 0 ? 3 : 2, &y_md, bare);
}

static int build_pool(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    fn_dnnl_geometry at;
    dnnl_alg_kind_t alg;
    int rc = fn_dnnl_pool_window(&at, &alg, node, x, y);
    if (rc < 0)
        return rc;
    fn_dnnl_operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_memory_desc_t y_any = fn_dnnl_any(y, dnnl_f32);
    dnnl_pooling_desc_t d;
    dnnl_primitive_desc_t pd;
    rc = fn_dnnl_describe(&pd, &p->program,
                          dnnl_pooling_forward_desc_init(&d, dnnl_forward_inference, alg, &operands[0].md,
                                                         &y_any, at.stride, at.kernel, at.before, at.after),
                          &d, NULL, "describing a pooling");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, fn_dnnl_query(pd, dnnl_query_dst_md), (int[2]){DNNL_ARG_SRC}, operands, 1);
}

/// Add, Sub, Mul, Div of two tensors, the second possibly broadcast.
static int build_binary(fn_dnnl_plan *p, const fn_node *node) {
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
    fn_dnnl_operand src0 = p->values[node->inputs[0]], src1;
    int rc;
    if (fn_shape_equal(b, y)) {
        rc = fn_dnnl_as_value_layout(p, node->inputs[1], &src0.md, &src1);
    } else {
        fn_shape wide = {.rank = y->rank};
        for (int i = 0; i < y->rank; i++)
            wide.dim[i] = i < y->rank - b->rank ? 1 : b->dim[i - (y->rank - b->rank)];
        rc = fn_dnnl_as_plain(p, node->inputs[1], &src1);
        src1.md = fn_dnnl_plain(&wide);
    }
    if (rc < 0)
        return rc;
    const fn_fused *f = &node->fused;
    dnnl_binary_desc_t d;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_post_ops_t ops = NULL;
    int apart = f->activation == FN_ACT_PRELU;
    dnnl_status_t status = dnnl_binary_desc_init(&d, alg, &src0.md, &src1.md, &src0.md);
    if (status == dnnl_success && f->activation != FN_ACT_NONE && !apart) {
        float alpha, beta;
        dnnl_alg_kind_t eltwise = fn_dnnl_eltwise_of(f, &alpha, &beta);
        dnnl_post_ops_create(&ops);
        dnnl_post_ops_append_eltwise(ops, 1.0F, eltwise, alpha, beta);
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    }
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&pd, &d, attr, p->program.engine, NULL);
    if (ops)
        dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fn_dnnl_fail(status, "describing an addition");
    rc = add_result(p, node, pd, &src0.md, (int[3]){DNNL_ARG_SRC_0, DNNL_ARG_SRC_1},
                    (fn_dnnl_operand[3]){src0, src1}, 2);
    return rc == FN_OK && apart ? fn_dnnl_add_separately(p, f, &p->values[node->outputs[0]]) : rc;
}

/// Activations that nothing could swallow: a copy, then in place.
static int build_activation(fn_dnnl_plan *p, const fn_node *node) {
    fn_fused f = {.slope = -1};
    if (strcmp(node->op->name, "Relu") == 0) {
        f.activation = FN_ACT_RELU;
    } else if (strcmp(node->op->name, "LeakyRelu") == 0) {
        f.activation = FN_ACT_LEAKY;
        f.alpha = fn_node_float(node, "alpha", 0.01F);
    } else {
        f.activation = FN_ACT_SIGMOID;
    }
    fn_dnnl_operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_eltwise_desc_t d;
    dnnl_primitive_desc_t pd;
    float alpha, beta;
    dnnl_alg_kind_t alg = fn_dnnl_eltwise_of(&f, &alpha, &beta);
    int rc = fn_dnnl_describe(
        &pd, &p->program,
        dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, alg, &operands[0].md, alpha, beta), &d,
        NULL, "describing an activation");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, &operands[0].md, (int[2]){DNNL_ARG_SRC}, operands, 1);
}

static int build_concat(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *y = &p->inferred.values[node->outputs[0]].shape;
    int64_t axis = fn_node_int(node, "axis", 0);
    fn_dnnl_operand operands[FN_DNNL_MAX_ARGS];
    int arg[FN_DNNL_MAX_ARGS], n = node->n_inputs;
    dnnl_memory_desc_t mds[FN_MAX_INPUTS], y_any = fn_dnnl_any(y, dnnl_f32);
    for (int i = 0; i < n; i++) {
        operands[i] = p->values[node->inputs[i]];
        mds[i] = operands[i].md;
        arg[i] = DNNL_ARG_MULTIPLE_SRC + i;
    }
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_attr_t attr = fn_dnnl_attr();
    dnnl_status_t status = dnnl_concat_primitive_desc_create(
        &pd, &y_any, n, (int)(axis < 0 ? axis + y->rank : axis), mds, attr, p->program.engine);
    dnnl_primitive_attr_destroy(attr);
    if (status != dnnl_success)
        return fn_dnnl_fail(status, "describing a concatenation");
    return add_result(p, node, pd, fn_dnnl_query(pd, dnnl_query_dst_md), arg, operands, n);
}

static int build_transpose(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    const fn_attr *perm = fn_node_attr(node, "perm");
    dnnl_dims_t dims, strides;
    int64_t stride = 1;
    fn_dnnl_operand dst;
    for (int i = x->rank - 1; i >= 0; i--) {
        int64_t from = perm ? perm->ints[i] : x->rank - 1 - i;
        dims[from] = x->dim[from];
        strides[from] = stride;
        stride *= y->dim[i];
    }
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_strides(&md, x->rank, dims, dnnl_f32, strides);
    int rc = fn_dnnl_buffer(&p->program, &dst, &md);
    if (rc == FN_OK)
        rc = fn_dnnl_add_reorder(&p->program, &p->values[node->inputs[0]], &dst, 0);
    dst.md = fn_dnnl_plain(y);
    p->values[node->outputs[0]] = dst;
    return rc;
}

static int build_resize(fn_dnnl_plan *p, const fn_node *node) {
    const fn_shape *y = &p->inferred.values[node->outputs[0]].shape;
    fn_dnnl_operand operands[2] = {p->values[node->inputs[0]]};
    dnnl_memory_desc_t y_any = fn_dnnl_any(y, dnnl_f32);
    dnnl_resampling_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc =
        fn_dnnl_describe(&pd, &p->program,
                         dnnl_resampling_forward_desc_init(&d, dnnl_forward_inference, dnnl_resampling_linear,
                                                           NULL, &operands[0].md, &y_any),
                         &d, NULL, "describing a resize");
    if (rc < 0)
        return rc;
    return add_result(p, node, pd, fn_dnnl_query(pd, dnnl_query_dst_md), (int[2]){DNNL_ARG_SRC}, operands, 1);
}

static void run_widen(const fn_dnnl_step *step, void *const *at, const void *context) {
    const fn_dnnl_operand *src = &step->operands[0], *dst = &step->operands[1];
    size_t n = (size_t)src->md.dims[0];
    size_t from = dnnl_memory_desc_get_size(&src->md) / n, to = dnnl_memory_desc_get_size(&dst->md) / n;
    (void)context;
    for (size_t i = 0; i < n; i++) {
        char *item = (char *)at[1] + i * to;
        memcpy(item, (char *)at[0] + i * from, from);
        memset(item + from, 0, to - from);
    }
}

/// Channels appended as zeros, in a layout whose items are whole blocks of channels one after the other: the
/// blocks are copied, the new ones zeroed. 0 in *done when the node is not of that kind.
static int build_widen(fn_dnnl_plan *p, const fn_node *node, int *done) {
    const fn_shape *x = &p->inferred.values[node->inputs[0]].shape,
                   *y = &p->inferred.values[node->outputs[0]].shape;
    fn_dnnl_operand src = p->values[node->inputs[0]], dst;
    const dnnl_blocking_desc_t *b = &src.md.format_desc.blocking;
    int64_t pads[2 * FN_MAX_RANK] = {0};
    const fn_typed *list = node->n_inputs > 1 ? &p->inferred.values[node->inputs[1]] : NULL;
    const fn_attr *attr = fn_node_attr(node, "pads");
    *done = 0;
    if (x->rank != 4 || !fn_dnnl_is_blocked(&src.md) || b->inner_nblks != 1 || b->inner_idxs[0] != 1 ||
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
    int rc = fn_dnnl_buffer(&p->program, &dst, &md);
    if (rc < 0)
        return rc;
    *done = 1;
    p->values[node->outputs[0]] = dst;
    return fn_dnnl_add_call(&p->program, run_widen, node, &p->inferred, 0, (fn_dnnl_operand[]){src, dst}, 2);
}

/// A view keeps the numbers where they are, once they lie in plain order.
static int build_view(fn_dnnl_plan *p, const fn_node *node) {
    fn_dnnl_operand at;
    int rc = fn_dnnl_as_plain(p, node->inputs[0], &at);
    at.md = fn_dnnl_plain(&p->inferred.values[node->outputs[0]].shape);
    p->values[node->outputs[0]] = at;
    return rc;
}

/// Anything else: the reference operator on plain layouts, its fused part apart.
static int build_reference(fn_dnnl_plan *p, const fn_node *node) {
    fn_dnnl_operand operands[FN_MAX_INPUTS + 1];
    memset(operands, 0, sizeof operands);
    for (int i = 0; i < node->n_inputs; i++) {
        int v = node->inputs[i], rc = FN_OK;
        if (v < 0)
            continue;
        if (p->inferred.values[v].data)
            operands[i] = (fn_dnnl_operand){.place = FN_DNNL_CONSTANT, .data = p->inferred.values[v].data};
        else
            rc = fn_dnnl_as_plain(p, v, &operands[i]);
        if (rc < 0)
            return rc;
    }
    dnnl_memory_desc_t md = fn_dnnl_plain(&p->inferred.values[node->outputs[0]].shape);
    fn_dnnl_operand *dst = &operands[node->n_inputs];
    int rc = fn_dnnl_buffer(&p->program, dst, &md);
    if (rc == FN_OK)
        rc = fn_dnnl_add_call(&p->program, fn_dnnl_reference, node, &p->inferred, 0, operands,
                              node->n_inputs + 1);
    p->values[node->outputs[0]] = *dst;
    return rc == FN_OK ? fn_dnnl_add_separately(p, &node->fused, dst) : rc;
}

static int is_text(const fn_node *node, const char *name, const char *text) {
    const fn_attr *attr = fn_node_attr(node, name);
    return attr && attr->kind == FN_ATTR_STRING && strcmp(attr->s, text) == 0;
}

int fn_dnnl_build_node(fn_dnnl_plan *p, const fn_node *node) {
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
          fn_added_per_column(&g->values[node->inputs[2]].shape, y->shape.dim[1]))))
        return build_gemm(p, node);
    if (strcmp(op, "MaxPool") == 0 || strcmp(op, "AveragePool") == 0 || strcmp(op, "GlobalAveragePool") == 0)
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
