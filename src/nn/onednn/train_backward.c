// SPDX-License-Identifier: Apache-2.0
//
// The backward half of a training plan, one function per operator. Each takes the gradient of the node's
// result, gives the gradients of its inputs, and adds those of its parameters to the caller's block.
#include "base/error.h"
#include "nn/onednn/train.h"

#include <string.h>

static const fn_dnnl_trace *trace_of(const fn_dnnl_train *t) {
    return &t->traces[t->node];
}

/// The gradient of the node's result in the layout of the result itself.
static int result_gradient(fn_dnnl_train *t, fn_dnnl_operand *out, int *present) {
    return fn_dnnl_take_gradient(t, trace_of(t)->result, &trace_of(t)->dst.md, out, present);
}

/// Appends a primitive and gives its result, in a buffer of its own, as the gradient of the node's first
/// input. arg and operands have room for one more. Takes pd over.
static int add_gradient(fn_dnnl_train *t, const fn_node *node, dnnl_primitive_desc_t pd, int *arg,
                        fn_dnnl_operand *operands, int n) {
    fn_dnnl_operand dx;
    int rc = fn_dnnl_buffer(&t->program, &dx, fn_dnnl_query(pd, dnnl_query_diff_src_md));
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    arg[n] = DNNL_ARG_DIFF_SRC;
    operands[n] = dx;
    rc = fn_dnnl_add_primitive(&t->program, pd, arg, operands, n + 1);
    return rc < 0 ? rc : fn_dnnl_give_gradient(t, node->inputs[0], &dx);
}

/// Adds dense floats that a primitive has left in a buffer to the gradient of a parameter.
static int accumulate(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *from,
                      const fn_dnnl_operand *to) {
    return fn_dnnl_add_call(&t->program, fn_dnnl_accumulate, node, t->inferred, 0,
                            (fn_dnnl_operand[]){*from, *to}, 2);
}

/// Describes one of the two backward convolutions: Winograd where it pays, else direct on blocked channels,
/// else whatever oneDNN can do.
static int describe_conv(fn_dnnl_train *t, const fn_node *node, int of_weights, int with_bias,
                         dnnl_primitive_desc_t *pd) {
    const fn_dnnl_trace *trace = trace_of(t);
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]),
                   *w = fn_dnnl_shape_of(t, node->inputs[1]);
    int64_t group = fn_node_int(node, "group", 1);
    fn_window window;
    int rc = fn_window_of(&window, node, w->dim + 2, x->dim[2], x->dim[3]);
    fn_dnnl_geometry at = fn_dnnl_geometry_of(&window);
    fn_shape ws = fn_dnnl_kernel_shape(w, group), bs = {1, {w->dim[0]}};
    dnnl_memory_desc_t w_any = fn_dnnl_any(&ws, of_weights ? dnnl_f32 : t->type), b_md = fn_dnnl_plain(&bs);
    int winograd = t->type == dnnl_f32 && fn_dnnl_may_use_winograd(&window, w, group);
    *pd = NULL;
    for (int attempt = winograd ? 0 : 1; attempt < 3 && !*pd && window.kernel[0]; attempt++) {
        dnnl_memory_desc_t src = fn_dnnl_any(x, t->type), dst = fn_dnnl_any(y, t->type);
        dnnl_alg_kind_t alg = attempt == 0 ? dnnl_convolution_winograd : dnnl_convolution_direct;
        dnnl_convolution_desc_t d;
        if (attempt == 1) {
            src = of_weights ? trace->src.md : fn_dnnl_blocked(x, t->type);
            dst = fn_dnnl_blocked(y, t->type);
        }
        dnnl_status_t status =
            of_weights ? dnnl_dilated_convolution_backward_weights_desc_init(
                             &d, alg, &src, &w_any, with_bias ? &b_md : NULL, &dst, at.stride, at.dilation,
                             at.before, at.after)
                       : dnnl_dilated_convolution_backward_data_desc_init(
                             &d, alg, &src, &w_any, &dst, at.stride, at.dilation, at.before, at.after);
        rc = fn_dnnl_describe(pd, &t->program, status, &d, trace->hint, "describing a backward convolution");
        if (rc == FN_OK && attempt < 2 && !fn_dnnl_is_fast(*pd)) {
            dnnl_primitive_desc_destroy(*pd);
            *pd = NULL;
        }
    }
    return rc;
}

static int conv_weights(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    fn_dnnl_operand dw_sum, db_sum, operands[4], *dw = &operands[2], *db = &operands[3];
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    int with_weights = fn_dnnl_parameter_gradient(t, node->inputs[1], &dw_sum);
    int idle = t->norms == FN_DNNL_NORMS_BATCH && fn_parameters_bias_is_idle(t->parameters, t->graph, node);
    int with_bias = bias >= 0 && !idle && fn_dnnl_parameter_gradient(t, bias, &db_sum);
    dnnl_primitive_desc_t pd;
    if (!with_weights && !with_bias)
        return FN_OK;
    int rc = describe_conv(t, node, 1, with_bias, &pd);
    if (rc < 0)
        return rc;
    int arg[4] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS};
    rc = fn_dnnl_value_as(t, node->inputs[0], fn_dnnl_query(pd, dnnl_query_src_md), &operands[0]);
    if (rc == FN_OK)
        rc = fn_dnnl_as_layout(&t->program, dy, fn_dnnl_query(pd, dnnl_query_diff_dst_md), &operands[1]);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, dw, fn_dnnl_query(pd, dnnl_query_diff_weights_md));
    if (rc == FN_OK && with_bias)
        rc = fn_dnnl_buffer(&t->program, db, &db_sum.md);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    rc = fn_dnnl_add_primitive(&t->program, pd, arg, operands, with_bias ? 4 : 3);
    if (rc == FN_OK && with_weights) {
        fn_shape ws =
            fn_dnnl_kernel_shape(fn_dnnl_shape_of(t, node->inputs[1]), fn_node_int(node, "group", 1));
        dw_sum.md = fn_dnnl_plain(&ws);
        rc = fn_dnnl_add_reorder(&t->program, dw, &dw_sum, 1);
    }
    if (rc == FN_OK && with_bias)
        rc = accumulate(t, node, db, &db_sum);
    return rc;
}

static int conv_data(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    fn_dnnl_operand operands[3], weights = t->values[node->inputs[1]];
    fn_shape ws = fn_dnnl_kernel_shape(fn_dnnl_shape_of(t, node->inputs[1]), fn_node_int(node, "group", 1));
    dnnl_primitive_desc_t pd;
    if (!t->wanted[node->inputs[0]])
        return FN_OK;
    int rc = describe_conv(t, node, 0, 0, &pd);
    if (rc < 0)
        return rc;
    const dnnl_memory_desc_t *w_md = fn_dnnl_query(pd, dnnl_query_weights_md);
    weights.md = fn_dnnl_plain(&ws);
    rc = fn_dnnl_as_layout(&t->program, dy, fn_dnnl_query(pd, dnnl_query_diff_dst_md), &operands[0]);
    if (rc == FN_OK && dnnl_memory_desc_equal(&trace_of(t)->saved.md, w_md))
        operands[1] = trace_of(t)->saved;
    else if (rc == FN_OK)
        rc = fn_dnnl_as_layout(&t->program, &weights, w_md, &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    return add_gradient(t, node, pd, (int[3]){DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS}, operands, 2);
}

static int conv(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    int rc = conv_weights(t, node, dy);
    return rc < 0 ? rc : conv_data(t, node, dy);
}

static int dense(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1, rc = FN_OK;
    fn_dnnl_operand dw, db, dw_sum, db_sum, w = t->values[node->inputs[1]];
    w.md = fn_dnnl_dense_weights(t, node);
    int with_weights = fn_dnnl_parameter_gradient(t, node->inputs[1], &dw_sum);
    int with_bias = bias >= 0 && fn_dnnl_parameter_gradient(t, bias, &db_sum);
    dnnl_inner_product_desc_t d;
    dnnl_primitive_desc_t pd;
    if (with_bias)
        db_sum.md = fn_dnnl_plain(&(fn_shape){1, {dy->md.dims[1]}});
    if (with_weights || with_bias) {
        rc = fn_dnnl_describe(&pd, &t->program,
                              dnnl_inner_product_backward_weights_desc_init(
                                  &d, &trace->src.md, &w.md, with_bias ? &db_sum.md : NULL, &dy->md),
                              &d, trace->hint, "describing a backward dense layer");
        if (rc < 0)
            return rc;
        rc = fn_dnnl_buffer(&t->program, &dw, &w.md);
        if (rc == FN_OK && with_bias)
            rc = fn_dnnl_buffer(&t->program, &db, &db_sum.md);
        if (rc < 0) {
            dnnl_primitive_desc_destroy(pd);
            return rc;
        }
        rc = fn_dnnl_add_primitive(
            &t->program, pd,
            (int[]){DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS},
            (fn_dnnl_operand[]){trace->src, *dy, dw, with_bias ? db : dw}, with_bias ? 4 : 3);
        if (rc == FN_OK && with_weights)
            rc = accumulate(t, node, &dw, &dw_sum);
        if (rc == FN_OK && with_bias)
            rc = accumulate(t, node, &db, &db_sum);
    }
    if (rc < 0 || !t->wanted[node->inputs[0]])
        return rc;
    rc = fn_dnnl_describe(&pd, &t->program,
                          dnnl_inner_product_backward_data_desc_init(&d, &trace->src.md, &w.md, &dy->md), &d,
                          trace->hint, "describing a backward dense layer");
    return rc < 0 ? rc
                  : add_gradient(t, node, pd, (int[3]){DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS},
                                 (fn_dnnl_operand[3]){*dy, w}, 2);
}

/// A norm with the statistics of the batch.
static int own_norm(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    fn_dnnl_operand scratch, d_scale = {0}, d_shift = {0}, dx = {0};
    dnnl_memory_desc_t scratch_md = fn_dnnl_norm_scratch(&trace->src.md);
    fn_dnnl_parameter_gradient(t, node->inputs[1], &d_scale);
    fn_dnnl_parameter_gradient(t, node->inputs[2], &d_shift);
    int rc = fn_dnnl_buffer(&t->program, &scratch, &scratch_md);
    if (rc == FN_OK && t->wanted[node->inputs[0]])
        rc = fn_dnnl_buffer(&t->program, &dx, &trace->src.md);
    if (rc == FN_OK)
        rc = fn_dnnl_add_call(
            &t->program, fn_dnnl_norm_backward, node, t->inferred, trace->result != node->outputs[0],
            (fn_dnnl_operand[]){trace->src, *dy, trace->mean, trace->variance, t->values[node->inputs[1]],
                                t->values[node->inputs[2]], d_scale, d_shift, dx, scratch},
            10);
    return rc < 0 ? rc : fn_dnnl_give_gradient(t, node->inputs[0], &dx);
}

/// A norm with the running statistics.
static int frozen_norm(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    unsigned flags = dnnl_use_scale | dnnl_use_shift | dnnl_use_global_stats |
                     (trace->result != node->outputs[0] ? dnnl_fuse_norm_relu : 0U);
    fn_dnnl_operand d_scale, d_shift, sum;
    dnnl_memory_desc_t per_channel = fn_dnnl_plain(fn_dnnl_shape_of(t, node->inputs[1]));
    dnnl_batch_normalization_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_batch_normalization_backward_desc_init(&d, dnnl_backward, &dy->md, &trace->src.md,
                                                    fn_node_float(node, "epsilon", 1e-5F), flags),
        &d, trace->hint, "describing a backward batch-norm");
    if (rc < 0)
        return rc;
    rc = fn_dnnl_buffer(&t->program, &d_scale, &per_channel);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &d_shift, &per_channel);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    int arg[11] = {DNNL_ARG_SRC,        DNNL_ARG_MEAN,       DNNL_ARG_VARIANCE,
                   DNNL_ARG_DIFF_DST,   DNNL_ARG_SCALE,      DNNL_ARG_SHIFT,
                   DNNL_ARG_DIFF_SCALE, DNNL_ARG_DIFF_SHIFT, DNNL_ARG_WORKSPACE};
    fn_dnnl_operand operands[11] = {
        trace->src, trace->mean, trace->variance, *dy, t->values[node->inputs[1]], t->values[node->inputs[2]],
        d_scale,    d_shift,     trace->workspace};
    rc = add_gradient(t, node, pd, arg, operands, trace->workspace.place == FN_DNNL_NOWHERE ? 8 : 9);
    if (rc == FN_OK && fn_dnnl_parameter_gradient(t, node->inputs[1], &sum))
        rc = accumulate(t, node, &d_scale, &sum);
    if (rc == FN_OK && fn_dnnl_parameter_gradient(t, node->inputs[2], &sum))
        rc = accumulate(t, node, &d_shift, &sum);
    return rc;
}

static int pool(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]);
    const fn_dnnl_trace *trace = trace_of(t);
    dnnl_memory_desc_t x_md = fn_dnnl_blocked(x, t->type);
    fn_dnnl_geometry at;
    dnnl_alg_kind_t alg;
    dnnl_pooling_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_pool_window(&at, &alg, node, x, y);
    if (rc == FN_OK)
        rc = fn_dnnl_describe(&pd, &t->program,
                              dnnl_pooling_backward_desc_init(&d, alg, &x_md, &dy->md, at.stride, at.kernel,
                                                              at.before, at.after),
                              &d, trace->hint, "describing a backward pooling");
    return rc < 0 ? rc
                  : add_gradient(t, node, pd, (int[3]){DNNL_ARG_DIFF_DST, DNNL_ARG_WORKSPACE},
                                 (fn_dnnl_operand[3]){*dy, trace->workspace},
                                 trace->workspace.place == FN_DNNL_NOWHERE ? 1 : 2);
}

static int l2_pool(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    fn_dnnl_operand dx;
    int rc = fn_dnnl_buffer(&t->program, &dx, &trace->src.md);
    if (rc == FN_OK)
        rc = fn_dnnl_add_call(&t->program, fn_dnnl_l2_pool_backward, node, t->inferred, 0,
                              (fn_dnnl_operand[]){trace->src, trace->dst, *dy, dx}, 4);
    return rc < 0 ? rc : fn_dnnl_give_gradient(t, node->inputs[0], &dx);
}

static int lrn(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    dnnl_lrn_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_lrn_backward_desc_init(&d, dnnl_lrn_across_channels, &dy->md, &trace->src.md,
                                    fn_node_int(node, "size", 5), fn_node_float(node, "alpha", 1e-4F),
                                    fn_node_float(node, "beta", 0.75F), fn_node_float(node, "bias", 1.0F)),
        &d, trace->hint, "describing a backward local response norm");
    return rc < 0 ? rc
                  : add_gradient(t, node, pd, (int[4]){DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_WORKSPACE},
                                 (fn_dnnl_operand[4]){trace->src, *dy, trace->workspace},
                                 trace->workspace.place == FN_DNNL_NOWHERE ? 2 : 3);
}

static int eltwise(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy, dnnl_alg_kind_t alg,
                   float alpha) {
    const fn_dnnl_trace *trace = trace_of(t);
    int by_result = alg == dnnl_eltwise_relu_use_dst_for_bwd;
    dnnl_eltwise_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(&pd, &t->program,
                              dnnl_eltwise_backward_desc_init(&d, alg, &dy->md, &trace->dst.md, alpha, 0.0F),
                              &d, trace->hint, "describing a backward activation");
    return rc < 0 ? rc
                  : add_gradient(t, node, pd,
                                 (int[3]){by_result ? DNNL_ARG_DST : DNNL_ARG_SRC, DNNL_ARG_DIFF_DST},
                                 (fn_dnnl_operand[3]){by_result ? trace->dst : trace->src, *dy}, 2);
}

static int prelu(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const fn_dnnl_trace *trace = trace_of(t);
    fn_dnnl_operand dw, sum, plain;
    fn_shape ws = {4, {1, fn_dnnl_shape_of(t, node->inputs[0])->dim[1], 1, 1}};
    dnnl_memory_desc_t dw_any = fn_dnnl_any(&ws, t->type);
    dnnl_prelu_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_prelu_backward_desc_init(&d, &trace->src.md, &trace->saved.md, &dy->md, &dw_any), &d,
        trace->hint, "describing a backward PReLU");
    if (rc < 0)
        return rc;
    rc = fn_dnnl_buffer(&t->program, &dw, fn_dnnl_query(pd, dnnl_query_diff_weights_md));
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    rc = add_gradient(t, node, pd,
                      (int[5]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS},
                      (fn_dnnl_operand[5]){trace->src, trace->saved, *dy, dw}, 4);
    if (rc < 0 || !fn_dnnl_parameter_gradient(t, node->inputs[1], &sum))
        return rc;
    dnnl_memory_desc_t md = fn_dnnl_plain(&ws);
    rc = fn_dnnl_as_layout(&t->program, &dw, &md, &plain);
    return rc < 0 ? rc : accumulate(t, node, &plain, &sum);
}

/// A part of a gradient, copied out of it.
static int copy_out(fn_dnnl_train *t, const fn_dnnl_operand *dy, int value, const int64_t *offsets) {
    const fn_shape *x = fn_dnnl_shape_of(t, value);
    fn_dnnl_operand part, dx;
    dnnl_memory_desc_t md = x->rank == 4 ? fn_dnnl_blocked(x, t->type) : fn_dnnl_plain(x);
    if (!t->wanted[value])
        return FN_OK;
    int rc = fn_dnnl_part(&part, dy, x->dim, offsets);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &dx, &md);
    if (rc == FN_OK)
        rc = fn_dnnl_add_reorder(&t->program, &part, &dx, 0);
    return rc < 0 ? rc : fn_dnnl_give_gradient(t, value, &dx);
}

static int concat(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    int64_t axis = fn_node_int(node, "axis", 0), offsets[DNNL_MAX_NDIMS] = {0};
    int rc = FN_OK;
    axis = axis < 0 ? axis + dy->md.ndims : axis;
    for (int k = 0; k < node->n_inputs && rc == FN_OK; k++) {
        rc = copy_out(t, dy, node->inputs[k], offsets);
        offsets[axis] += fn_dnnl_shape_of(t, node->inputs[k])->dim[axis];
    }
    return rc;
}

static int view(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]);
    dnnl_memory_desc_t md = fn_dnnl_plain(fn_dnnl_shape_of(t, node->outputs[0]));
    fn_dnnl_operand dy;
    int present, rc = fn_dnnl_take_gradient(t, node->outputs[0], &md, &dy, &present);
    if (rc < 0 || !present)
        return rc;
    dy.md = fn_dnnl_plain(x);
    return fn_dnnl_give_gradient(t, node->inputs[0], &dy);
}

static int reference(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    fn_dnnl_operand operands[FN_DNNL_MAX_ARGS];
    const fn_dnnl_trace *trace = trace_of(t);
    int n = node->n_inputs, rc = FN_OK;
    if (!node->op->backward)
        return fn_fail(FN_EUNSUPPORTED, "no gradient passes through %s '%.80s'", node->op->name, node->name);
    memset(operands, 0, sizeof operands);
    for (int k = 0; k < n && rc == FN_OK; k++) {
        int v = node->inputs[k];
        if (v < 0)
            continue;
        if (t->values[v].place == FN_DNNL_CONSTANT)
            operands[k] = t->values[v];
        else
            rc = fn_dnnl_value_plain(t, v, &operands[k]);
        dnnl_memory_desc_t md = fn_dnnl_plain(fn_dnnl_shape_of(t, v));
        if (rc == FN_OK && !fn_dnnl_parameter_gradient(t, v, &operands[n + 3 + k]) && t->wanted[v])
            rc = fn_dnnl_buffer(&t->program, &operands[n + 3 + k], &md);
    }
    operands[n] = trace->dst;
    operands[n + 1] = trace->saved;
    operands[n + 2] = *dy;
    if (rc == FN_OK)
        rc = fn_dnnl_add_call(&t->program, fn_dnnl_reference_backward, node, t->inferred, t->node, operands,
                              2 * n + 3);
    for (int k = 0; k < n && rc == FN_OK; k++)
        if (operands[n + 3 + k].place == FN_DNNL_BUFFER)
            rc = fn_dnnl_give_gradient(t, node->inputs[k], &operands[n + 3 + k]);
    return rc;
}

/// One of the nodes that leave a hint: the primitive's own way back.
static int primitive(fn_dnnl_train *t, const fn_node *node, const fn_dnnl_operand *dy) {
    const char *op = node->op->name;
    float factor;
    if (strcmp(op, "Conv") == 0)
        return conv(t, node, dy);
    if (strcmp(op, "Gemm") == 0 || strcmp(op, "MatMul") == 0)
        return dense(t, node, dy);
    if (strcmp(op, "BatchNormalization") == 0)
        return frozen_norm(t, node, dy);
    if (strcmp(op, "LRN") == 0)
        return lrn(t, node, dy);
    if (strcmp(op, "Relu") == 0)
        return eltwise(t, node, dy, dnnl_eltwise_relu_use_dst_for_bwd, 0.0F);
    if (strcmp(op, "PRelu") == 0)
        return prelu(t, node, dy);
    if (fn_dnnl_is_scaling(t, node, &factor))
        return eltwise(t, node, dy, dnnl_eltwise_linear, factor);
    if (strcmp(op, "Add") == 0) {
        int rc = fn_dnnl_give_gradient(t, node->inputs[0], dy);
        return rc < 0 ? rc : fn_dnnl_give_gradient(t, node->inputs[1], dy);
    }
    return pool(t, node, dy);
}

static int pass_back(fn_dnnl_train *t, const fn_node *node) {
    const fn_dnnl_trace *trace = trace_of(t);
    const char *op = node->op->name;
    fn_dnnl_operand dy;
    int present, wanted = 0;
    if (trace->swallowed || trace->dst.place == FN_DNNL_NOWHERE)
        return node->op->is_view && t->inferred->values[node->outputs[0]].dtype == FN_F32 ? view(t, node)
                                                                                          : FN_OK;
    for (int k = 0; k < node->n_inputs; k++)
        wanted |= node->inputs[k] >= 0 && t->wanted[node->inputs[k]];
    if (!wanted)
        return FN_OK;
    int rc = result_gradient(t, &dy, &present);
    if (rc < 0 || !present)
        return rc;
    if (trace->hint)
        return primitive(t, node, &dy);
    if (strcmp(op, "BatchNormalization") == 0 && trace->mean.place != FN_DNNL_NOWHERE)
        return own_norm(t, node, &dy);
    if (strcmp(op, "LpPool") == 0)
        return l2_pool(t, node, &dy);
    if (strcmp(op, "Concat") == 0)
        return concat(t, node, &dy);
    const fn_attr *attr = fn_node_attr(node, "pads");
    if (strcmp(op, "Pad") == 0 && fn_dnnl_is_blocked(&trace->dst.md))
        return copy_out(t, &dy, node->inputs[0],
                        attr ? attr->ints : t->inferred->values[node->inputs[1]].data);
    return reference(t, node, &dy);
}

int fn_dnnl_train_backward_node(fn_dnnl_train *t, const fn_node *node) {
    int rc = pass_back(t, node);
    for (int i = t->parameters->n_trained - 1; i >= 0 && rc == FN_OK;
         i--) // frozen ones have none to wait for
        if (t->parameters->trained[i].node == t->node)
            rc = fn_dnnl_add_call(&t->program, fn_dnnl_ready, node, t->inferred, i, NULL, 0);
    return rc;
}
