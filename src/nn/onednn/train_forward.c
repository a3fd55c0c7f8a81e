// SPDX-License-Identifier: Apache-2.0
//
// The forward half of a training plan, one function per operator. Each leaves in its trace what the function
// of the same name in train_backward.c needs.
#include "base/error.h"
#include "nn/onednn/train.h"

#include <string.h>

static fn_dnnl_trace *trace_of(fn_dnnl_train *t) {
    return &t->traces[t->node];
}

/// Appends a primitive whose result, in a buffer of its own, is the node's; keeps its description as the hint
/// of the backward one. arg and operands have room for two more. Takes pd over.
static int add_result(fn_dnnl_train *t, dnnl_primitive_desc_t pd, int *arg, fn_dnnl_operand *operands,
                      int n) {
    fn_dnnl_trace *trace = trace_of(t);
    const dnnl_memory_desc_t *workspace = fn_dnnl_query(pd, dnnl_query_workspace_md);
    int rc = FN_OK;
    if (dnnl_primitive_desc_clone(&trace->hint, pd) != dnnl_success)
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &trace->dst, fn_dnnl_query(pd, dnnl_query_dst_md));
    if (rc == FN_OK && workspace && dnnl_memory_desc_get_size(workspace)) {
        rc = fn_dnnl_buffer(&t->program, &trace->workspace, workspace);
        arg[n] = DNNL_ARG_WORKSPACE;
        operands[n++] = trace->workspace;
    }
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    arg[n] = DNNL_ARG_DST;
    operands[n++] = trace->dst;
    t->values[trace->result] = trace->dst;
    return fn_dnnl_add_primitive(&t->program, pd, arg, operands, n);
}

static int conv(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]),
                   *w = fn_dnnl_shape_of(t, node->inputs[1]);
    int64_t group = fn_node_int(node, "group", 1);
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    fn_window window;
    int rc = fn_window_of(&window, node, w->dim + 2, x->dim[2], x->dim[3]);
    if (rc < 0)
        return rc;
    fn_dnnl_geometry at = fn_dnnl_geometry_of(&window);
    fn_shape ws = fn_dnnl_kernel_shape(w, group);
    dnnl_memory_desc_t w_any = fn_dnnl_any(&ws, t->type), w_plain = fn_dnnl_plain(&ws), b_md;
    int is_image = t->values[node->inputs[0]].place == FN_DNNL_EXTERNAL; // read where it is
    if (bias >= 0)
        b_md = fn_dnnl_plain(fn_dnnl_shape_of(t, bias));
    dnnl_primitive_desc_t pd = NULL;
    dnnl_convolution_desc_t d;
    dnnl_status_t status = dnnl_unimplemented;
    int winograd = t->type == dnnl_f32 && fn_dnnl_may_use_winograd(&window, w, group);
    // Winograd where it pays, else direct on blocked channels, else whatever oneDNN can do.
    for (int attempt = winograd ? 0 : 1; attempt < 3 && !pd; attempt++) {
        dnnl_memory_desc_t src = fn_dnnl_any(x, t->type), dst = fn_dnnl_blocked(y, t->type);
        if (attempt == 1)
            src = fn_dnnl_blocked(x, t->type);
        if (is_image && attempt < 2) {
            src = fn_dnnl_plain(x);
            src.data_type = t->type;
        }
        status = dnnl_dilated_convolution_forward_desc_init(
            &d, dnnl_forward_training, attempt == 0 ? dnnl_convolution_winograd : dnnl_convolution_direct,
            &src, &w_any, bias >= 0 ? &b_md : NULL, &dst, at.stride, at.dilation, at.before, at.after);
        rc = fn_dnnl_describe(&pd, &t->program, status, &d, NULL, "describing a convolution");
        if (rc == FN_OK && attempt < 2 && !fn_dnnl_is_fast(pd)) {
            dnnl_primitive_desc_destroy(pd);
            pd = NULL;
        }
    }
    if (!pd)
        return rc;
    int arg[5] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS};
    fn_dnnl_operand operands[5], weights = t->values[node->inputs[1]];
    weights.md = w_plain;
    rc = fn_dnnl_value_as(t, node->inputs[0], fn_dnnl_query(pd, dnnl_query_src_md), &operands[0]);
    if (rc == FN_OK)
        rc = fn_dnnl_as_layout(&t->program, &weights, fn_dnnl_query(pd, dnnl_query_weights_md), &operands[1]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    trace_of(t)->src = operands[0];
    trace_of(t)->saved = operands[1];
    if (bias >= 0) {
        arg[2] = DNNL_ARG_BIAS;
        operands[2] = t->values[bias];
    }
    return add_result(t, pd, arg, operands, bias >= 0 ? 3 : 2);
}

/// Gemm, or MatMul without a bias.
static int dense(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]);
    int bias = node->n_inputs > 2 ? node->inputs[2] : -1;
    dnnl_memory_desc_t x_md = fn_dnnl_plain(x), y_md = fn_dnnl_plain(y),
                       w_md = fn_dnnl_dense_weights(t, node),
                       b_md = fn_dnnl_plain(&(fn_shape){1, {y->dim[1]}});
    dnnl_inner_product_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(&pd, &t->program,
                              dnnl_inner_product_forward_desc_init(&d, dnnl_forward_training, &x_md, &w_md,
                                                                   bias >= 0 ? &b_md : NULL, &y_md),
                              &d, NULL, "describing a dense layer");
    if (rc < 0)
        return rc;
    int arg[5] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS};
    fn_dnnl_operand operands[5];
    rc = fn_dnnl_value_plain(t, node->inputs[0], &operands[0]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    trace_of(t)->src = operands[0];
    operands[1] = t->values[node->inputs[1]];
    operands[1].md = w_md;
    if (bias >= 0) {
        operands[2] = t->values[bias];
        operands[2].md = b_md;
    }
    return add_result(t, pd, arg, operands, bias >= 0 ? 3 : 2);
}

/// The Relu that alone reads a value, or -1.
static int only_relu(const fn_dnnl_train *t, int value) {
    int reader = -1;
    for (int i = 0; i < t->graph->n_outputs; i++)
        if (t->graph->outputs[i] == value)
            return -1;
    for (int i = 0; i < t->graph->n_nodes; i++)
        for (int k = 0; k < t->graph->nodes[i].n_inputs; k++)
            if (t->graph->nodes[i].inputs[k] == value) {
                if (reader >= 0)
                    return -1;
                reader = i;
            }
    return reader >= 0 && strcmp(t->graph->nodes[reader].op->name, "Relu") == 0 ? reader : -1;
}

/// With the statistics of the batch: a step of ours.
static int own_norm(fn_dnnl_train *t, const fn_node *node, int relu) {
    fn_dnnl_trace *trace = trace_of(t);
    const fn_dnnl_operand *scale = &t->values[node->inputs[1]], *shift = &t->values[node->inputs[2]],
                          *mean = &t->values[node->inputs[3]], *variance = &t->values[node->inputs[4]];
    dnnl_memory_desc_t scratch_md = fn_dnnl_norm_scratch(&trace->src.md);
    fn_dnnl_operand scratch;
    int rc = fn_dnnl_buffer(&t->program, &trace->dst, &trace->src.md);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &trace->mean, &mean->md);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &trace->variance, &variance->md);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &scratch, &scratch_md);
    t->values[trace->result] = trace->dst;
    return rc < 0 ? rc
                  : fn_dnnl_add_call(&t->program, fn_dnnl_norm, node, t->inferred, relu,
                                     (fn_dnnl_operand[]){trace->src, trace->dst, trace->mean, trace->variance,
                                                         *scale, *shift, *mean, *variance, scratch},
                                     9);
}

/// With the running statistics.
static int frozen_norm(fn_dnnl_train *t, const fn_node *node, int relu) {
    fn_dnnl_trace *trace = trace_of(t);
    unsigned flags =
        dnnl_use_scale | dnnl_use_shift | dnnl_use_global_stats | (relu ? dnnl_fuse_norm_relu : 0U);
    dnnl_batch_normalization_desc_t d;
    dnnl_primitive_desc_t pd;
    trace->mean = t->values[node->inputs[3]];
    trace->variance = t->values[node->inputs[4]];
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_batch_normalization_forward_desc_init(&d, dnnl_forward_training, &trace->src.md,
                                                   fn_node_float(node, "epsilon", 1e-5F), flags),
        &d, NULL, "describing a batch-norm");
    return rc < 0 ? rc
                  : add_result(t, pd,
                               (int[7]){DNNL_ARG_SRC, DNNL_ARG_MEAN, DNNL_ARG_VARIANCE, DNNL_ARG_SCALE,
                                        DNNL_ARG_SHIFT},
                               (fn_dnnl_operand[7]){trace->src, trace->mean, trace->variance,
                                                    t->values[node->inputs[1]], t->values[node->inputs[2]]},
                               5);
}

/// A Relu right after it is done in the same pass.
static int batch_norm(fn_dnnl_train *t, const fn_node *node) {
    fn_dnnl_trace *trace = trace_of(t);
    const int relu = only_relu(t, node->outputs[0]);
    int rc = fn_dnnl_value_blocked(t, node->inputs[0], t->type, &trace->src);
    if (rc < 0)
        return rc;
    if (relu >= 0) {
        t->traces[relu].swallowed = 1;
        trace->result = t->graph->nodes[relu].outputs[0];
    }
    return fn_dnnl_norm_is_frozen(t, node) ? frozen_norm(t, node, relu >= 0) : own_norm(t, node, relu >= 0);
}

static int pool(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]);
    fn_dnnl_geometry at;
    dnnl_alg_kind_t alg;
    fn_dnnl_operand operands[3];
    dnnl_memory_desc_t y_md = fn_dnnl_blocked(y, t->type);
    dnnl_pooling_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_pool_window(&at, &alg, node, x, y);
    if (rc == FN_OK)
        rc = fn_dnnl_value_blocked(t, node->inputs[0], t->type, &operands[0]);
    if (rc == FN_OK)
        rc =
            fn_dnnl_describe(&pd, &t->program,
                             dnnl_pooling_forward_desc_init(&d, dnnl_forward_training, alg, &operands[0].md,
                                                            &y_md, at.stride, at.kernel, at.before, at.after),
                             &d, NULL, "describing a pooling");
    return rc < 0 ? rc : add_result(t, pd, (int[3]){DNNL_ARG_SRC}, operands, 1);
}

static int l2_pool(fn_dnnl_train *t, const fn_node *node) {
    fn_dnnl_trace *trace = trace_of(t);
    dnnl_memory_desc_t y_md = fn_dnnl_blocked(fn_dnnl_shape_of(t, node->outputs[0]), dnnl_f32);
    int rc = fn_dnnl_value_blocked(t, node->inputs[0], dnnl_f32, &trace->src);
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &trace->dst, &y_md);
    t->values[node->outputs[0]] = trace->dst;
    return rc < 0 ? rc
                  : fn_dnnl_add_call(&t->program, fn_dnnl_l2_pool, node, t->inferred, 0,
                                     (fn_dnnl_operand[]){trace->src, trace->dst}, 2);
}

/// 0 in *done when oneDNN has only slow code for this window.
static int lrn(fn_dnnl_train *t, const fn_node *node, int *done) {
    fn_dnnl_operand operands[3];
    dnnl_lrn_desc_t d;
    dnnl_primitive_desc_t pd;
    dnnl_memory_desc_t md = fn_dnnl_blocked(fn_dnnl_shape_of(t, node->inputs[0]), t->type);
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_lrn_forward_desc_init(&d, dnnl_forward_training, dnnl_lrn_across_channels, &md,
                                   fn_node_int(node, "size", 5), fn_node_float(node, "alpha", 1e-4F),
                                   fn_node_float(node, "beta", 0.75F), fn_node_float(node, "bias", 1.0F)),
        &d, NULL, "describing a local response norm");
    *done = rc == FN_OK && fn_dnnl_is_fast(pd);
    if (!*done) {
        if (rc == FN_OK)
            dnnl_primitive_desc_destroy(pd);
        return FN_OK;
    }
    rc = fn_dnnl_value_as(t, node->inputs[0], &md, &operands[0]);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    trace_of(t)->src = operands[0];
    return add_result(t, pd, (int[3]){DNNL_ARG_SRC}, operands, 1);
}

/// Relu, and multiplication with a constant number.
static int eltwise(fn_dnnl_train *t, const fn_node *node, dnnl_alg_kind_t alg, float alpha) {
    fn_dnnl_operand operands[3] = {t->values[node->inputs[0]]};
    dnnl_eltwise_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_describe(
        &pd, &t->program,
        dnnl_eltwise_forward_desc_init(&d, dnnl_forward_training, alg, &operands[0].md, alpha, 0.0F), &d,
        NULL, "describing an activation");
    if (rc < 0)
        return rc;
    trace_of(t)->src = operands[0];
    return add_result(t, pd, (int[3]){DNNL_ARG_SRC}, operands, 1);
}

static int prelu(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]);
    fn_shape ws = {x->rank, {1, x->dim[1], 1, 1}};
    fn_dnnl_trace *trace = trace_of(t);
    fn_dnnl_operand weights = t->values[node->inputs[1]];
    dnnl_memory_desc_t w_any = fn_dnnl_any(&ws, t->type);
    dnnl_prelu_desc_t d;
    dnnl_primitive_desc_t pd;
    weights.md = fn_dnnl_plain(&ws);
    trace->src = t->values[node->inputs[0]];
    int rc = fn_dnnl_describe(&pd, &t->program,
                              dnnl_prelu_forward_desc_init(&d, dnnl_forward_training, &trace->src.md, &w_any),
                              &d, NULL, "describing a PReLU");
    if (rc < 0)
        return rc;
    rc = fn_dnnl_as_layout(&t->program, &weights, fn_dnnl_query(pd, dnnl_query_weights_md), &trace->saved);
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    return add_result(t, pd, (int[4]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS},
                      (fn_dnnl_operand[4]){trace->src, trace->saved}, 2);
}

static int add(fn_dnnl_train *t, const fn_node *node) {
    fn_dnnl_operand operands[4] = {t->values[node->inputs[0]]};
    dnnl_memory_desc_t md = operands[0].md;
    dnnl_binary_desc_t d;
    dnnl_primitive_desc_t pd;
    int rc = fn_dnnl_value_as(t, node->inputs[1], &md, &operands[1]);
    if (rc == FN_OK)
        rc = fn_dnnl_describe(&pd, &t->program, dnnl_binary_desc_init(&d, dnnl_binary_add, &md, &md, &md), &d,
                              NULL, "describing an addition");
    return rc < 0 ? rc : add_result(t, pd, (int[4]){DNNL_ARG_SRC_0, DNNL_ARG_SRC_1}, operands, 2);
}

/// Where inputs of a concatenation and the inside of a padding lie in the result.
static int copy_into(fn_dnnl_train *t, const fn_dnnl_operand *src, const fn_dnnl_operand *dst,
                     const int64_t *offsets) {
    fn_dnnl_operand part;
    int rc = fn_dnnl_part(&part, dst, src->md.dims, offsets);
    return rc < 0 ? rc : fn_dnnl_add_reorder(&t->program, src, &part, 0);
}

static int concat(fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *y = fn_dnnl_shape_of(t, node->outputs[0]);
    int64_t axis = fn_node_int(node, "axis", 0), offsets[DNNL_MAX_NDIMS] = {0};
    fn_dnnl_trace *trace = trace_of(t);
    dnnl_memory_desc_t md = y->rank == 4 ? fn_dnnl_blocked(y, t->type) : fn_dnnl_plain(y);
    int64_t block = fn_dnnl_is_blocked(&md) ? md.format_desc.blocking.inner_blks[0] : 1;
    axis = axis < 0 ? axis + y->rank : axis;
    for (int k = 0; k + 1 < node->n_inputs; k++)
        if (axis == 1 &&
            fn_dnnl_shape_of(t, node->inputs[k])->dim[1] % block) { // parts that end inside a block
            md = fn_dnnl_plain(y);
            md.data_type = y->rank == 4 ? t->type : dnnl_f32;
        }
    int rc = fn_dnnl_buffer(&t->program, &trace->dst, &md);
    t->values[node->outputs[0]] = trace->dst;
    for (int k = 0; k < node->n_inputs && rc == FN_OK; k++) {
        rc = copy_into(t, &t->values[node->inputs[k]], &trace->dst, offsets);
        offsets[axis] += fn_dnnl_shape_of(t, node->inputs[k])->dim[axis];
    }
    return rc;
}

/// Zeros around a four-dimensional value, whose channels begin with a block and end with one unless they are
/// the last. 0 in *done when the node is not of that kind.
static int pad(fn_dnnl_train *t, const fn_node *node, int *done) {
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]);
    const fn_attr *attr = fn_node_attr(node, "pads");
    const int64_t *pads = attr                 ? attr->ints
                          : node->n_inputs > 1 ? t->inferred->values[node->inputs[1]].data
                                               : NULL;
    const float *value =
        node->n_inputs > 2 && node->inputs[2] >= 0 ? t->inferred->values[node->inputs[2]].data : NULL;
    fn_dnnl_trace *trace = trace_of(t);
    dnnl_memory_desc_t md = fn_dnnl_blocked(y, t->type);
    const int64_t block = md.format_desc.blocking.inner_blks[0];
    *done = y->rank == 4 && pads && pads[1] % block == 0 && (pads[5] == 0 || x->dim[1] % block == 0) &&
            fn_node_float(node, "value", 0) == 0 && (!value || *value == 0) &&
            (node->n_inputs < 3 || node->inputs[2] < 0 || value);
    if (!*done)
        return FN_OK;
    int rc = fn_dnnl_buffer(&t->program, &trace->dst, &md);
    t->values[node->outputs[0]] = trace->dst;
    if (rc == FN_OK)
        rc = fn_dnnl_add_call(&t->program, fn_dnnl_zero, node, t->inferred, 0, &trace->dst, 1);
    return rc < 0 ? rc : copy_into(t, &t->values[node->inputs[0]], &trace->dst, pads);
}

/// A view keeps the numbers where they are, once they lie in plain order.
static int view(fn_dnnl_train *t, const fn_node *node) {
    fn_dnnl_operand at;
    int rc = fn_dnnl_value_plain(t, node->inputs[0], &at);
    at.md = fn_dnnl_plain(fn_dnnl_shape_of(t, node->outputs[0]));
    t->values[node->outputs[0]] = at;
    return rc;
}

/// Anything else: the reference operator on plain layouts.
static int reference(fn_dnnl_train *t, const fn_node *node) {
    fn_dnnl_operand operands[FN_DNNL_MAX_ARGS];
    fn_dnnl_trace *trace = trace_of(t);
    int n = node->n_inputs, rc = FN_OK;
    memset(operands, 0, sizeof operands);
    for (int k = 0; k < n && rc == FN_OK; k++) {
        int v = node->inputs[k];
        if (v >= 0 && t->values[v].place == FN_DNNL_CONSTANT)
            operands[k] = t->values[v];
        else if (v >= 0)
            rc = fn_dnnl_value_plain(t, v, &operands[k]);
    }
    dnnl_memory_desc_t md = fn_dnnl_plain(fn_dnnl_shape_of(t, node->outputs[0]));
    if (rc == FN_OK)
        rc = fn_dnnl_buffer(&t->program, &trace->dst, &md);
    if (rc == FN_OK && node->op->saved) {
        fn_typed in[FN_MAX_INPUTS], out = t->inferred->values[node->outputs[0]];
        for (int k = 0; k < n; k++)
            in[k] = node->inputs[k] >= 0 ? t->inferred->values[node->inputs[k]]
                                         : (fn_typed){.shape = {.rank = -1}};
        fn_shape saved = {1, {node->op->saved(&(fn_infer_args){node, n, 1, in, &out})}};
        md = fn_dnnl_plain(&saved);
        rc = fn_dnnl_buffer(&t->program, &trace->saved, &md);
    }
    operands[n] = trace->dst;
    operands[n + 1] = trace->saved;
    t->values[node->outputs[0]] = trace->dst;
    return rc < 0 ? rc
                  : fn_dnnl_add_call(&t->program, fn_dnnl_reference_train, node, t->inferred, t->node,
                                     operands, n + 2);
}

static int is_parameter(const fn_dnnl_train *t, int value) {
    return value >= 0 && t->parameters->of_value[value] >= 0;
}

static int is_statistic(const fn_dnnl_train *t, int value) {
    return value >= 0 && t->parameters->statistic_of_value[value] >= 0;
}

static int is_conv(const fn_dnnl_train *t, const fn_node *node) {
    return strcmp(node->op->name, "Conv") == 0 && is_parameter(t, node->inputs[1]) &&
           (node->n_inputs < 3 || node->inputs[2] < 0 || is_parameter(t, node->inputs[2]));
}

/// One matrix of parameters for all rows, and a number for each column.
static int is_dense(const fn_dnnl_train *t, const fn_node *node) {
    const fn_shape *y = fn_dnnl_shape_of(t, node->outputs[0]);
    int is_matmul = strcmp(node->op->name, "MatMul") == 0;
    if ((!is_matmul && strcmp(node->op->name, "Gemm") != 0) || y->rank != 2 ||
        !is_parameter(t, node->inputs[1]))
        return 0;
    return is_matmul || (!fn_node_int(node, "transA", 0) && fn_node_float(node, "alpha", 1) == 1 &&
                         fn_node_float(node, "beta", 1) == 1 &&
                         (node->n_inputs < 3 || node->inputs[2] < 0 ||
                          (is_parameter(t, node->inputs[2]) &&
                           fn_added_per_column(fn_dnnl_shape_of(t, node->inputs[2]), y->dim[1]))));
}

static int is_norm(const fn_dnnl_train *t, const fn_node *node) {
    return strcmp(node->op->name, "BatchNormalization") == 0 &&
           fn_dnnl_shape_of(t, node->inputs[0])->rank == 4 && is_parameter(t, node->inputs[1]) &&
           is_parameter(t, node->inputs[2]) && is_statistic(t, node->inputs[3]) &&
           is_statistic(t, node->inputs[4]);
}

int fn_dnnl_train_forward_node(fn_dnnl_train *t, const fn_node *node) {
    const char *op = node->op->name;
    const fn_shape *x = fn_dnnl_shape_of(t, node->inputs[0]), *y = fn_dnnl_shape_of(t, node->outputs[0]);
    float factor;
    int done = 0, rc = FN_OK;
    trace_of(t)->result = node->outputs[0];
    if (trace_of(t)->swallowed || t->inferred->values[node->outputs[0]].dtype != FN_F32)
        return FN_OK; // done by the node before; integers were worked out with the shapes
    if (node->op->is_view)
        return view(t, node);
    if (is_conv(t, node))
        return conv(t, node);
    if (is_dense(t, node))
        return dense(t, node);
    if (is_norm(t, node))
        return batch_norm(t, node);
    if (strcmp(op, "MaxPool") == 0 || strcmp(op, "AveragePool") == 0 || strcmp(op, "GlobalAveragePool") == 0)
        return pool(t, node);
    if (strcmp(op, "LpPool") == 0)
        return l2_pool(t, node);
    if (strcmp(op, "LRN") == 0)
        rc = lrn(t, node, &done);
    if (strcmp(op, "Relu") == 0)
        return eltwise(t, node, dnnl_eltwise_relu_use_dst_for_bwd, 0.0F);
    if (strcmp(op, "PRelu") == 0 && x->rank == 4 && is_parameter(t, node->inputs[1]) &&
        fn_slope_per_channel(fn_dnnl_shape_of(t, node->inputs[1]), x))
        return prelu(t, node);
    if (fn_dnnl_is_scaling(t, node, &factor))
        return eltwise(t, node, dnnl_eltwise_linear, factor);
    if (strcmp(op, "Add") == 0 && fn_shape_equal(x, fn_dnnl_shape_of(t, node->inputs[1])))
        return add(t, node);
    if (strcmp(op, "Concat") == 0)
        return concat(t, node);
    if (strcmp(op, "Pad") == 0 && y->rank == 4)
        rc = pad(t, node, &done);
    return rc < 0 || done ? rc : reference(t, node);
}
