// SPDX-License-Identifier: Apache-2.0
//
// What a fused node does after its own work: as post-operations of the primitive before, or as steps of their
// own where oneDNN cannot, or only slowly.
#include "base/error.h"
#include "nn/onednn/plan.h"

#include <string.h>

dnnl_alg_kind_t fn_dnnl_eltwise_of(const fn_fused *f, float *alpha, float *beta) {
    *alpha = f->activation == FN_ACT_RELU ? 0 : f->alpha;
    *beta = f->beta;
    return f->activation == FN_ACT_CLIP      ? dnnl_eltwise_clip
           : f->activation == FN_ACT_SIGMOID ? dnnl_eltwise_logistic
                                             : dnnl_eltwise_relu;
}

/// What a primitive does after its own work, and the operands that this needs.
typedef struct post {
    dnnl_post_ops_t ops;
    int n, arg[FN_MAX_RESIDUALS + 1];
    fn_dnnl_operand operands[FN_MAX_RESIDUALS + 1];
    int sum_buffer; // the result goes where the first residual is; -1: a buffer of its own
} post;

static int append_post(fn_dnnl_plan *p, post *post_, const fn_fused *f, const dnnl_memory_desc_t *dst) {
    int at = 0;
    for (int k = 0; k < f->n_residuals; k++) {
        int value = f->residual[k];
        fn_dnnl_operand r;
        int rc = fn_dnnl_as_value_layout(p, value, dst, &r);
        if (rc < 0)
            return rc;
        int mine =
            r.place == FN_DNNL_BUFFER && (p->last_use[value] == p->node || r.index != p->values[value].index);
        for (int j = 0; j < post_->n; j++)
            mine =
                mine && !(post_->operands[j].place == FN_DNNL_BUFFER && post_->operands[j].index == r.index);
        for (int v = 0; mine && v < p->inferred.n; v++) // a view of it may live on
            mine = v == value || p->values[v].place != FN_DNNL_BUFFER || p->values[v].index != r.index ||
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
        post_->operands[post_->n++] =
            (fn_dnnl_operand){.place = FN_DNNL_CONSTANT, .data = slope->data, .md = fn_dnnl_plain(&shape)};
    } else if (f->activation != FN_ACT_NONE) {
        float alpha, beta;
        dnnl_alg_kind_t alg = fn_dnnl_eltwise_of(f, &alpha, &beta);
        dnnl_post_ops_append_eltwise(post_->ops, 1.0F, alg, alpha, beta);
    }
    return FN_OK;
}

/// The activation and the additions of a fused node as steps of their own, where they could not be fused.
int fn_dnnl_add_separately(fn_dnnl_plan *p, const fn_fused *f, fn_dnnl_operand *dst) {
    int rc = FN_OK;
    for (int k = 0; k < f->n_residuals && rc == FN_OK; k++) {
        fn_dnnl_operand r;
        dnnl_binary_desc_t d;
        dnnl_primitive_desc_t pd;
        rc = fn_dnnl_as_value_layout(p, f->residual[k], &dst->md, &r);
        if (rc == FN_OK)
            rc = fn_dnnl_describe(&pd, &p->program,
                                  dnnl_binary_desc_init(&d, dnnl_binary_add, &dst->md, &r.md, &dst->md), &d,
                                  NULL, "describing an addition");
        if (rc < 0)
            return rc;
        rc = fn_dnnl_add_primitive(&p->program, pd, (int[]){DNNL_ARG_SRC_0, DNNL_ARG_SRC_1, DNNL_ARG_DST},
                                   (fn_dnnl_operand[]){*dst, r, *dst}, 3);
    }
    if (rc < 0 || f->activation == FN_ACT_NONE)
        return rc;
    dnnl_primitive_desc_t pd;
    if (f->activation == FN_ACT_PRELU) {
        const fn_value *slope = &p->shared->graph->values[f->slope];
        fn_shape shape = {dst->md.ndims, {1, 1, 1, 1, 1, 1}};
        shape.dim[1] = fn_shape_count(&slope->shape);
        dnnl_memory_desc_t from = fn_dnnl_plain(&shape), want = fn_dnnl_any(&shape, dnnl_f32);
        dnnl_prelu_desc_t d;
        fn_dnnl_operand weights = {0};
        rc = fn_dnnl_describe(&pd, &p->program,
                              dnnl_prelu_forward_desc_init(&d, dnnl_forward_inference, &dst->md, &want), &d,
                              NULL, "describing a PReLU");
        if (rc < 0)
            return rc;
        rc = fn_dnnl_as_packed(p, f->slope, &from, fn_dnnl_query(pd, dnnl_query_weights_md), &weights);
        if (rc < 0) {
            dnnl_primitive_desc_destroy(pd);
            return rc;
        }
        return fn_dnnl_add_primitive(&p->program, pd, (int[]){DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                                     (fn_dnnl_operand[]){*dst, weights, *dst}, 3);
    }
    dnnl_eltwise_desc_t d;
    float alpha, beta;
    dnnl_alg_kind_t alg = fn_dnnl_eltwise_of(f, &alpha, &beta);
    rc = fn_dnnl_describe(
        &pd, &p->program,
        dnnl_eltwise_forward_desc_init(&d, dnnl_forward_inference, alg, &dst->md, alpha, beta), &d, NULL,
        "describing an activation");
    if (rc < 0)
        return rc;
    return fn_dnnl_add_primitive(&p->program, pd, (int[]){DNNL_ARG_SRC, DNNL_ARG_DST},
                                 (fn_dnnl_operand[]){*dst, *dst}, 2);
}

int fn_dnnl_finish_fused(fn_dnnl_plan *p, const fn_node *node, fn_dnnl_make make, const void *context,
                         int *arg, fn_dnnl_operand *operands, int n, const dnnl_memory_desc_t *dst_md,
                         dnnl_primitive_desc_t bare) {
    const fn_fused *f = &node->fused;
    int fused = f->n_residuals || f->activation != FN_ACT_NONE, rc = FN_OK;
    dnnl_primitive_desc_t pd = NULL;
    post post_ = {.sum_buffer = -1};
    fn_dnnl_operand dst;
    dnnl_memory_desc_t md = *dst_md;
    if (fused) {
        dnnl_primitive_attr_t attr = fn_dnnl_attr();
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
            (!fn_dnnl_is_fast(pd) ||
             !dnnl_memory_desc_equal(fn_dnnl_query(pd, dnnl_query_weights_md),
                                     fn_dnnl_query(bare, dnnl_query_weights_md)) ||
             !dnnl_memory_desc_equal(fn_dnnl_query(pd, dnnl_query_src_md),
                                     fn_dnnl_query(bare, dnnl_query_src_md)))) {
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
            dst = (fn_dnnl_operand){.place = FN_DNNL_BUFFER, .index = post_.sum_buffer, .md = md};
        else
            rc = fn_dnnl_buffer(&p->program, &dst, &md);
    } else {
        pd = bare;
        rc = fn_dnnl_buffer(&p->program, &dst, &md);
    }
    if (rc < 0) {
        dnnl_primitive_desc_destroy(pd);
        return rc;
    }
    int apart = pd == bare;
    arg[n] = DNNL_ARG_DST;
    operands[n++] = dst;
    rc = fn_dnnl_add_primitive(&p->program, pd, arg, operands, n);
    if (rc == FN_OK && apart)
        rc = fn_dnnl_add_separately(p, f, &dst);
    p->values[node->outputs[0]] = dst;
    return rc;
}
