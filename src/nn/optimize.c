// SPDX-License-Identifier: Apache-2.0
//
// Rewrites of a graph for inference. Each pass looks at one pattern and rewires nodes in place: the fused
// node takes over the value of the node it swallows, so nobody else needs to know. Removed nodes stay as
// holes (op NULL) until the last pass closes the ranks.
#include "nn/optimize.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/infer.h"

#include <math.h>
#include <string.h>

static int is(const fn_node *node, const char *op) {
    return node->op && strcmp(node->op->name, op) == 0;
}

static const void *constant(const fn_graph *g, int value) {
    return value >= 0 ? g->values[value].data : NULL;
}

/// How many nodes and outputs read a value.
static int n_readers(const fn_graph *g, int value) {
    int n = 0;
    for (int i = 0; i < g->n_outputs; i++)
        n += g->outputs[i] == value;
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        for (int k = 0; node->op && k < node->n_inputs; k++)
            n += node->inputs[k] == value;
        for (int k = 0; node->op && k < node->fused.n_residuals; k++)
            n += node->fused.residual[k] == value;
    }
    return n;
}

static void redirect(fn_graph *g, int from, int to) {
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i] == from)
            g->outputs[i] = to;
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *node = &g->nodes[i];
        for (int k = 0; node->op && k < node->n_inputs; k++)
            if (node->inputs[k] == from)
                node->inputs[k] = to;
        for (int k = 0; node->op && k < node->fused.n_residuals; k++)
            if (node->fused.residual[k] == from)
                node->fused.residual[k] = to;
    }
}

/// Node `keep` takes over the output of node `gone`.
static void swallow(fn_graph *g, int keep, int gone) {
    int value = g->nodes[gone].outputs[0];
    g->nodes[keep].outputs[0] = value;
    g->values[value].producer = keep;
    fn_node_clear(&g->nodes[gone]);
}

static void swap_nodes(fn_graph *g, int a, int b) {
    fn_node t = g->nodes[a];
    g->nodes[a] = g->nodes[b];
    g->nodes[b] = t;
    for (int k = 0; k < 2; k++) {
        int i = k ? b : a;
        for (int o = 0; g->nodes[i].op && o < g->nodes[i].n_outputs; o++)
            g->values[g->nodes[i].outputs[o]].producer = i;
    }
}

/// Nodes whose inputs are all constants become constants.
static int fold_constants(fn_graph *g, const fn_inferred *inferred) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *node = &g->nodes[i];
        const void *in[FN_MAX_INPUTS];
        void *out[FN_MAX_OUTPUTS];
        fn_shape in_shape[FN_MAX_INPUTS], out_shape[FN_MAX_OUTPUTS];
        int known = node->op && node->op->forward && node->n_outputs == 1;
        for (int k = 0; known && k < node->n_inputs; k++) {
            in[k] = constant(g, node->inputs[k]);
            known = in[k] || node->inputs[k] < 0;
            if (node->inputs[k] >= 0)
                in_shape[k] = g->values[node->inputs[k]].shape;
            else
                in_shape[k].rank = -1;
        }
        if (!known)
            continue;
        fn_value *value = &g->values[node->outputs[0]];
        const fn_typed *type = &inferred->values[node->outputs[0]];
        if (type->dtype != FN_F32)
            continue;
        out_shape[0] = type->shape;
        value->data = out[0] = fn_calloc((size_t)fn_shape_count(&type->shape), sizeof(float));
        if (!out[0])
            return fn_fail_memory();
        value->shape = type->shape;
        value->producer = -1;
        fn_run_args args = {node, node->n_inputs, 1, in_shape, in, out_shape, out};
        node->op->forward(&args);
        fn_node_clear(node);
    }
    return FN_OK;
}

static void drop_identities(fn_graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *node = &g->nodes[i];
        if (!is(node, "Identity") && !is(node, "Dropout"))
            continue;
        int is_output = 0;
        for (int k = 0; k < g->n_outputs; k++)
            is_output |= g->outputs[k] == node->outputs[0];
        if (is_output) // keeps its name
            continue;
        redirect(g, node->outputs[0], node->inputs[0]);
        fn_node_clear(node);
    }
}

/// A constant called after another that it replaces, so that prefixes of names keep their meaning. Where the
/// name is taken (a constant that several nodes share), one is made up.
static int constant_after(fn_graph *g, int old, const char *what, fn_shape shape, const float *data) {
    char *name = fn_asprintf("%s_%s", g->values[old].name, what);
    if (!name)
        return fn_graph_fail(g, FN_ENOMEM, "out of memory");
    int value = fn_graph_constant(g, fn_graph_find(g, name) < 0 ? name : NULL, FN_F32, shape, data);
    fn_free(name);
    return value;
}

/// Conv followed by BatchNormalization: w' = w k, b' = (b - mean) k + beta with k = gamma / sqrt(var + eps),
/// in double.
static int fold_batch_norm(fn_graph *g) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *bn = &g->nodes[i];
        if (!is(bn, "BatchNormalization") || g->values[bn->inputs[0]].producer < 0)
            continue;
        int at = g->values[bn->inputs[0]].producer;
        fn_node *conv = &g->nodes[at];
        const float *p[4];
        int known = is(conv, "Conv") && n_readers(g, conv->outputs[0]) == 1 && constant(g, conv->inputs[1]) &&
                    (conv->n_inputs < 3 || conv->inputs[2] < 0 || constant(g, conv->inputs[2]));
        for (int k = 0; k < 4; k++)
            known = (p[k] = constant(g, bn->inputs[k + 1])) && known;
        if (!known)
            continue;
        fn_shape shape = g->values[conv->inputs[1]].shape;
        fn_shape bias_shape = {1, {shape.dim[0]}};
        int64_t n = shape.dim[0], per = fn_shape_count(&shape) / n;
        float epsilon = fn_node_float(bn, "epsilon", 1e-5F);
        float *w = fn_calloc((size_t)(n * per), sizeof *w), *b = fn_calloc((size_t)n, sizeof *b);
        int *inputs = fn_calloc(3, sizeof *inputs);
        if (w && b && inputs) {
            const float *old_w = constant(g, conv->inputs[1]);
            const float *old_b = conv->n_inputs > 2 ? constant(g, conv->inputs[2]) : NULL;
            for (int64_t m = 0; m < n; m++) {
                double k = (double)p[0][m] / sqrt((double)p[3][m] + (double)epsilon);
                for (int64_t j = 0; j < per; j++)
                    w[m * per + j] = (float)((double)old_w[m * per + j] * k);
                b[m] = (float)(((old_b ? (double)old_b[m] : 0) - (double)p[2][m]) * k + (double)p[1][m]);
            }
            inputs[0] = conv->inputs[0];
            inputs[1] = constant_after(g, conv->inputs[1], "folded", shape, w);
            inputs[2] = constant_after(g, conv->inputs[1], "folded_bias", bias_shape, b);
        }
        int ok = w && b && inputs && !g->failed;
        fn_free(w);
        fn_free(b);
        if (!ok) {
            fn_free(inputs);
            return fn_fail_memory();
        }
        fn_free(conv->inputs);
        conv->inputs = inputs;
        conv->n_inputs = 3;
        swallow(g, at, i);
    }
    return FN_OK;
}

/// Zero padding of height and width before a Conv becomes the convolution's own.
static void fold_padding(fn_graph *g, const fn_inferred *inferred) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *conv = &g->nodes[i];
        int at = is(conv, "Conv") ? g->values[conv->inputs[0]].producer : -1;
        if (at < 0 || !is(&g->nodes[at], "Pad") || n_readers(g, conv->inputs[0]) != 1)
            continue;
        fn_node *pad = &g->nodes[at];
        const fn_attr *own = fn_node_attr(conv, "pads"), *list = fn_node_attr(pad, "pads");
        const fn_attr *auto_pad = fn_node_attr(conv, "auto_pad");
        const int64_t *pads = list ? list->ints : pad->n_inputs > 1 ? constant(g, pad->inputs[1]) : NULL;
        const float *value = pad->n_inputs > 2 ? constant(g, pad->inputs[2]) : NULL;
        if (!own || own->n != 4 || auto_pad || !pads || pads[0] || pads[1] || pads[4] || pads[5] ||
            inferred->values[pad->inputs[0]].shape.rank != 4 || fn_node_float(pad, "value", 0) != 0 ||
            (pad->n_inputs > 2 && pad->inputs[2] >= 0 && (!value || *value != 0)))
            continue;
        int64_t *sum = (int64_t *)own->ints; // ours: the graph owns its attributes
        sum[0] += pads[2];
        sum[1] += pads[3];
        sum[2] += pads[6];
        sum[3] += pads[7];
        conv->inputs[0] = pad->inputs[0];
        fn_node_clear(pad);
    }
}

static int can_fuse(const fn_node *node) {
    return is(node, "Conv") || is(node, "Gemm") || is(node, "Add");
}

/// Relu, LeakyRelu, Clip, Sigmoid and per-channel PRelu right after a Conv, Gemm or Add.
static void fuse_activations(fn_graph *g, const fn_inferred *inferred) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *act = &g->nodes[i];
        fn_fused f = {.slope = -1};
        if (is(act, "Relu")) {
            f.activation = FN_ACT_RELU;
        } else if (is(act, "LeakyRelu")) {
            f.activation = FN_ACT_LEAKY;
            f.alpha = fn_node_float(act, "alpha", 0.01F);
        } else if (is(act, "Sigmoid")) {
            f.activation = FN_ACT_SIGMOID;
        } else if (is(act, "Clip")) {
            const float *low = act->n_inputs > 1 ? constant(g, act->inputs[1]) : NULL;
            const float *high = act->n_inputs > 2 ? constant(g, act->inputs[2]) : NULL;
            f.activation = FN_ACT_CLIP;
            f.alpha = low ? *low : fn_node_float(act, "min", -INFINITY);
            f.beta = high ? *high : fn_node_float(act, "max", INFINITY);
            if ((act->n_inputs > 1 && act->inputs[1] >= 0 && !low) ||
                (act->n_inputs > 2 && act->inputs[2] >= 0 && !high) || !isfinite(f.alpha) ||
                !isfinite(f.beta))
                continue;
        } else if (is(act, "PRelu") && constant(g, act->inputs[1])) {
            const fn_shape *x = &inferred->values[act->inputs[0]].shape;
            f.activation = FN_ACT_PRELU;
            f.slope = act->inputs[1];
            if (!fn_slope_per_channel(&g->values[f.slope].shape, x) || x->dim[1] == 1)
                continue;
        } else {
            continue;
        }
        int at = g->values[act->inputs[0]].producer;
        if (at < 0 || !can_fuse(&g->nodes[at]) || g->nodes[at].fused.activation != FN_ACT_NONE ||
            n_readers(g, act->inputs[0]) != 1)
            continue;
        fn_fused *into = &g->nodes[at].fused;
        into->activation = f.activation;
        into->alpha = f.alpha;
        into->beta = f.beta;
        into->slope = f.slope;
        swallow(g, at, i);
    }
}

/// An Add of two equally shaped values where one is the untouched result of a Conv: the other becomes its
/// residual. The convolution moves to the place of the Add, where both are known.
static void fuse_residuals(fn_graph *g, const fn_inferred *inferred) {
    for (int i = 0; i < g->n_nodes; i++) {
        fn_node *add = &g->nodes[i];
        if (!is(add, "Add") || add->fused.activation != FN_ACT_NONE ||
            !fn_shape_equal(&inferred->values[add->inputs[0]].shape, &inferred->values[add->inputs[1]].shape))
            continue;
        int best = -1, other = -1;
        for (int k = 0; k < 2; k++) { // the later of two candidates, so that the other is there
            int at = g->values[add->inputs[k]].producer;
            if (at > best && is(&g->nodes[at], "Conv") && g->nodes[at].fused.activation == FN_ACT_NONE &&
                g->nodes[at].fused.n_residuals < FN_MAX_RESIDUALS && n_readers(g, add->inputs[k]) == 1 &&
                !constant(g, add->inputs[1 - k])) {
                best = at;
                other = add->inputs[1 - k];
            }
        }
        if (best < 0)
            continue;
        fn_fused *f = &g->nodes[best].fused;
        f->residual[f->n_residuals++] = other;
        swallow(g, best, i);
        swap_nodes(g, best, i);
    }
}

/// Removes holes and nodes whose results nobody reads.
static void close_ranks(fn_graph *g) {
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        int readers = 0;
        for (int k = 0; g->nodes[i].op && k < g->nodes[i].n_outputs; k++)
            readers += n_readers(g, g->nodes[i].outputs[k]);
        if (g->nodes[i].op && !readers)
            fn_node_clear(&g->nodes[i]);
    }
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (g->nodes[i].op) {
            if (n != i)
                swap_nodes(g, n, i);
            n++;
        }
    g->n_nodes = n;
}

int fn_graph_optimize(fn_graph *g, int64_t height, int64_t width) {
    fn_shape inputs[FN_MAX_INPUTS];
    fn_inferred inferred;
    if (g->n_inputs > FN_MAX_INPUTS)
        return fn_fail(FN_EMODEL, "more than %d inputs", FN_MAX_INPUTS);
    for (int i = 0; i < g->n_inputs; i++)
        inputs[i] = fn_input_shape(g, i, 1, height, width);
    int rc = fn_inferred_open(&inferred, g, inputs);
    if (rc < 0)
        return rc;
    rc = fold_constants(g, &inferred);
    if (rc == FN_OK)
        drop_identities(g);
    if (rc == FN_OK)
        rc = fold_batch_norm(g);
    if (rc == FN_OK) {
        fold_padding(g, &inferred);
        fuse_residuals(g, &inferred);
        fuse_activations(g, &inferred);
        close_ranks(g);
    }
    fn_inferred_free(&inferred);
    return rc;
}

int fn_graph_fold_batch_norm(fn_graph *g) {
    int rc = fold_batch_norm(g);
    if (rc == FN_OK)
        close_ranks(g);
    return rc;
}
