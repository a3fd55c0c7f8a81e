// SPDX-License-Identifier: Apache-2.0
//
// An embedding is y = W2 (W1 x + b1) + b2 when a network ends in two 1x1 convolutions on a single cell.
// The two fold into one map W = W2 W1, b = W2 b1 + b2. All differences of embeddings lie in the range of
// W, and with W = U S V' the first rows of U' keep the part of them that carries most energy: the output
// becomes U' y, shortened. Everything is computed in double and rounded once to float. The singular
// vectors come from one-sided Jacobi rotations in a fixed cyclic order (Hestenes 1958; Golub and Van
// Loan, Matrix Computations, 8.6.3), which need nothing but sums, products and square roots.
#include "model/projection.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/op.h"

#include <math.h>
#include <string.h>

#define MAX_SWEEPS 60

/// Makes rows p and q of a (n long) orthogonal by a rotation that is also applied to the columns of u,
/// stored as rows. Returns 1 when it had anything to do.
static int rotate(double *ap, double *aq, int n, double *up, double *uq, int n_u) {
    double alpha = 0, beta = 0, gamma = 0;
    for (int i = 0; i < n; i++) {
        alpha += ap[i] * ap[i];
        beta += aq[i] * aq[i];
        gamma += ap[i] * aq[i];
    }
    if (fabs(gamma) <= 1e-15 * sqrt(alpha * beta))
        return 0;
    double zeta = (beta - alpha) / (2 * gamma);
    double t = (zeta >= 0 ? 1.0 : -1.0) / (fabs(zeta) + sqrt(1 + zeta * zeta));
    double c = 1 / sqrt(1 + t * t), s = c * t;
    for (int i = 0; i < n; i++) {
        double p = ap[i], q = aq[i];
        ap[i] = c * p - s * q;
        aq[i] = s * p + c * q;
    }
    for (int i = 0; i < n_u; i++) {
        double p = up[i], q = uq[i];
        up[i] = c * p - s * q;
        uq[i] = s * p + c * q;
    }
    return 1;
}

int fn_left_singular(double *u, double *sigma, const double *matrix, int rows, int cols) {
    size_t m = (size_t)rows, n = (size_t)cols;
    double *a = fn_calloc(m * n, sizeof *a); // rows of the matrix, made orthogonal
    double *v = fn_calloc(m * m, sizeof *v); // row k: the combination of rows that a[k] is
    double *norm = fn_calloc(m, sizeof *norm);
    int rc = a && v && norm ? FN_OK : fn_fail_memory();
    if (rc < 0)
        goto out;
    memcpy(a, matrix, m * n * sizeof *a);
    for (size_t i = 0; i < m; i++)
        v[i * m + i] = 1;
    int rotated = 1;
    for (int sweep = 0; rotated && sweep < MAX_SWEEPS; sweep++) {
        rotated = 0;
        for (size_t p = 0; p + 1 < m; p++)
            for (size_t q = p + 1; q < m; q++)
                rotated |= rotate(a + p * n, a + q * n, cols, v + p * m, v + q * m, rows);
    }
    for (size_t k = 0; k < m; k++) {
        for (size_t i = 0; i < n; i++)
            norm[k] += a[k * n + i] * a[k * n + i];
        norm[k] = sqrt(norm[k]);
    }
    for (size_t k = 0; k < m; k++) { // pick the largest that is left; the first of equals
        size_t best = 0;
        for (size_t i = 1; i < m; i++)
            if (norm[i] > norm[best])
                best = i;
        size_t peak = 0;
        for (size_t i = 1; i < m; i++)
            if (fabs(v[best * m + i]) > fabs(v[best * m + peak]))
                peak = i;
        double sign = v[best * m + peak] < 0 ? -1 : 1;
        for (size_t i = 0; i < m; i++)
            u[i * m + k] = sign * v[best * m + i];
        sigma[k] = norm[best];
        norm[best] = -1;
    }
out:
    fn_free(a);
    fn_free(v);
    fn_free(norm);
    return rc;
}

/// The parts of a network's end.
typedef struct tail {
    const fn_node *first, *second, *reshape;
    int in, middle, out;
    const float *w1, *b1, *w2, *b2; // (middle, in), (middle), (out, middle), (out); biases may be NULL
} tail;

static const fn_node *producer_of(const fn_graph *g, int value, const char *op) {
    int producer = value < 0 ? -1 : g->values[value].producer;
    return producer >= 0 && strcmp(g->nodes[producer].op->name, op) == 0 ? &g->nodes[producer] : NULL;
}

/// Weights of a convolution that is one matrix: 1x1, one group, no padding or stride. 0: it is not.
static int linear_map(const fn_graph *g, const fn_node *node, int *in, int *out, const float **w,
                      const float **b) {
    if (!node || node->n_inputs < 2 || fn_node_int(node, "group", 1) != 1)
        return 0;
    const fn_value *weights = &g->values[node->inputs[1]];
    const fn_value *bias = node->n_inputs > 2 && node->inputs[2] >= 0 ? &g->values[node->inputs[2]] : NULL;
    if (!weights->data || weights->dtype != FN_F32 || weights->shape.rank != 4 ||
        weights->shape.dim[2] != 1 || weights->shape.dim[3] != 1 || (bias && !bias->data))
        return 0;
    static const char *const lists[] = {"pads", "strides"};
    for (int i = 0; i < 2; i++) {
        const fn_attr *attr = fn_node_attr(node, lists[i]);
        for (int k = 0; attr && k < attr->n; k++)
            if (attr->ints[k] != i)
                return 0;
    }
    *in = (int)weights->shape.dim[1];
    *out = (int)weights->shape.dim[0];
    *w = weights->data;
    *b = bias ? bias->data : NULL;
    return 1;
}

static int find_tail(const fn_graph *g, tail *t) {
    if (g->n_outputs != 1)
        return 0;
    t->reshape = producer_of(g, g->outputs[0], "Reshape");
    if (!t->reshape)
        t->reshape = producer_of(g, g->outputs[0], "Flatten");
    if (!t->reshape)
        return 0;
    int in2;
    t->second = producer_of(g, t->reshape->inputs[0], "Conv");
    if (!linear_map(g, t->second, &in2, &t->out, &t->w2, &t->b2))
        return 0;
    t->first = producer_of(g, t->second->inputs[0], "Conv");
    return linear_map(g, t->first, &t->in, &t->middle, &t->w1, &t->b1) && t->middle == in2;
}

/// W = W2 W1 as (out, in), b = W2 b1 + b2.
static void fold(const tail *t, double *w, double *b) {
    size_t in = (size_t)t->in, middle = (size_t)t->middle, out = (size_t)t->out;
    for (size_t o = 0; o < out; o++) {
        b[o] = t->b2 ? t->b2[o] : 0;
        for (size_t m = 0; m < middle; m++) {
            double factor = t->w2[o * middle + m];
            b[o] += t->b1 ? factor * t->b1[m] : 0;
            for (size_t i = 0; i < in; i++)
                w[o * in + i] += factor * t->w1[m * in + i];
        }
    }
}

/// Copies everything before the first of the two maps; *last becomes the value that feeds it.
static int copy_body(fn_graph **out, const fn_graph *g, const tail *t, int *last) {
    int rc = fn_graph_open(out);
    int *map = fn_calloc((size_t)g->n_values, sizeof *map);
    if (rc == FN_OK && !map)
        rc = fn_fail_memory();
    for (int i = 0; rc == FN_OK && i < g->n_values; i++) {
        const fn_value *v = &g->values[i];
        map[i] = -1;
        if (v->data && v->data != t->w1 && v->data != t->b1 && v->data != t->w2 && v->data != t->b2 &&
            !(t->reshape->n_inputs > 1 && t->reshape->inputs[1] == i))
            map[i] = fn_graph_constant(*out, v->name, v->dtype, v->shape, v->data);
    }
    for (int i = 0; rc == FN_OK && i < g->n_inputs; i++)
        map[g->inputs[i]] = fn_graph_input(*out, g->values[g->inputs[i]].name, g->values[g->inputs[i]].shape);
    for (int i = 0; rc == FN_OK && i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        if (node == t->first || node == t->second || node == t->reshape)
            continue;
        int inputs[FN_MAX_INPUTS], outputs[FN_MAX_OUTPUTS];
        const char *names[FN_MAX_OUTPUTS];
        for (int k = 0; k < node->n_inputs; k++)
            inputs[k] = node->inputs[k] < 0 ? -1 : map[node->inputs[k]];
        for (int k = 0; k < node->n_outputs; k++)
            names[k] = g->values[node->outputs[k]].name;
        fn_graph_node_outputs(*out, node->op->name, node->name, inputs, node->n_inputs, node->attrs,
                              node->n_attrs, names, node->n_outputs, outputs);
        for (int k = 0; k < node->n_outputs; k++)
            map[node->outputs[k]] = outputs[k];
    }
    if (rc == FN_OK)
        *last = map[t->first->inputs[0]];
    fn_free(map);
    return rc;
}

int fn_project(fn_graph **graph, int dimension, fn_projection *out) {
    tail t;
    if (!find_tail(*graph, &t))
        return fn_fail(FN_EMODEL, "only a network that ends in two 1x1 convolutions can be projected");
    if (dimension < 1 || dimension > t.out || t.out > t.in)
        return fn_fail(FN_EMODEL, "%d numbers cannot be projected to %d", t.out, dimension);
    size_t n_in = (size_t)t.in, n_out = (size_t)t.out, n = (size_t)dimension;
    double *w = fn_calloc(n_out * n_in, sizeof *w), *b = fn_calloc(n_out, sizeof *b);
    double *u = fn_calloc(n_out * n_out, sizeof *u), *sigma = fn_calloc(n_out, sizeof *sigma);
    float *weights = fn_calloc(n * n_in, sizeof *weights), *bias = fn_calloc(n, sizeof *bias);
    fn_graph *projected = NULL;
    int x = -1;
    int rc = w && b && u && sigma && weights && bias ? FN_OK : fn_fail_memory();
    if (rc < 0)
        goto out;
    fold(&t, w, b);
    if ((rc = fn_left_singular(u, sigma, w, t.out, t.in)) < 0)
        goto out;
    for (size_t k = 0; k < n; k++) {
        double sum = 0;
        for (size_t o = 0; o < n_out; o++)
            sum += u[o * n_out + k] * b[o];
        bias[k] = (float)sum;
        for (size_t i = 0; i < n_in; i++) {
            sum = 0;
            for (size_t o = 0; o < n_out; o++)
                sum += u[o * n_out + k] * w[o * n_in + i];
            weights[k * n_in + i] = (float)sum;
        }
    }
    if ((rc = copy_body(&projected, *graph, &t, &x)) < 0)
        goto out;
    int w_value = fn_graph_constant(projected, "projection/weights", FN_F32,
                                    fn_shape_make(4, dimension, t.in, 1, 1), weights);
    int b_value = fn_graph_constant(projected, "projection/bias", FN_F32, fn_shape_make(1, dimension), bias);
    x = fn_conv(projected, "projection", x, w_value, b_value, &(fn_conv_attrs){0});
    fn_graph_output(projected, fn_flatten(projected, "embedding", x));
    if ((rc = fn_graph_finish(projected)) < 0)
        goto out;
    double kept = 0, all = 0;
    for (size_t k = 0; k < n_out; k++) {
        all += sigma[k] * sigma[k];
        kept += k < n ? sigma[k] * sigma[k] : 0;
    }
    *out = (fn_projection){t.out, dimension, all > 0 ? (all - kept) / all : 0};
    fn_graph_free(*graph);
    *graph = projected;
    projected = NULL;
out:
    fn_graph_free(projected);
    fn_free(w);
    fn_free(b);
    fn_free(u);
    fn_free(sigma);
    fn_free(weights);
    fn_free(bias);
    return rc;
}
