// SPDX-License-Identifier: Apache-2.0
//
// A training: a graph, its blocks of numbers, and plans for the batch sizes used last.
#include "nn/training.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/optimize.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

// A step of equal parts has at most two sizes, one larger than the other; a plan holds the activations of its
// whole batch.
enum { MAX_PLANS = 2 };

typedef struct sized_plan {
    int n;
    void *plan;
    struct sized_plan *next;
} sized_plan;

struct fn_training {
    fn_graph *graph;
    const fn_training_def *def;
    fn_training_options options;
    fn_parameters parameters;
    float *weights, *gradients, *statistics;
    int dimension;
    sized_plan *plans;      // the last used first
    const sized_plan *last; // of the last forward pass
};

static void plan_free(const fn_training *t, sized_plan *p) {
    t->def->plan_free(p->plan);
    fn_free(p);
}

void fn_training_free(fn_training *t) {
    if (!t)
        return;
    while (t->plans) {
        sized_plan *p = t->plans;
        t->plans = p->next;
        plan_free(t, p);
    }
    fn_parameters_free(&t->parameters);
    fn_free(t->weights);
    fn_free(t->gradients);
    fn_free(t->statistics);
    fn_graph_free(t->graph);
    fn_free(t);
}

/// Writers of models let equal constants share one value. Running statistics are written in training, so each
/// input that reads one gets a value of its own when somebody else reads it too.
static int separate_statistics(fn_graph *g) {
    int *readers = fn_calloc((size_t)g->n_values, sizeof *readers);
    if (!readers)
        return fn_fail_memory();
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; k < g->nodes[i].n_inputs; k++)
            if (g->nodes[i].inputs[k] >= 0)
                readers[g->nodes[i].inputs[k]]++;
    for (int i = 0; i < g->n_nodes; i++) {
        const fn_node *node = &g->nodes[i];
        for (int k = 0; k < node->n_inputs && k < 32; k++) {
            int v = node->inputs[k];
            if (v < 0 || !(node->op->statistics >> k & 1) || !g->values[v].data || readers[v] < 2)
                continue;
            char name[256];
            snprintf(name, sizeof name, "%.200s.statistic%d", node->name, k);
            int own = fn_graph_constant(g, fn_graph_find(g, name) < 0 ? name : NULL, FN_F32,
                                        g->values[v].shape, g->values[v].data);
            if (own < 0)
                break;
            readers[v]--;
            node->inputs[k] = own;
        }
    }
    fn_free(readers);
    return g->failed ? fn_fail(g->failed, "%s", g->message) : FN_OK;
}

/// FN_OK and the dimension when the graph makes a row of D numbers of each image.
static int check_shapes(const fn_graph *g, int *dimension) {
    const fn_shape *input = g->n_inputs ? &g->values[g->inputs[0]].shape : NULL;
    if (g->n_inputs != 1 || g->n_outputs != 1 || input->rank != 4 || input->dim[1] < 1 || input->dim[2] < 1 ||
        input->dim[3] < 1)
        return fn_fail(FN_EMODEL, "a network that learns must have one input of (batch, channels, height, "
                                  "width), sizes known, and one output");
    for (int n = 1; n <= 2; n++) {
        fn_shape shape = fn_input_shape(g, 0, n, 0, 0), *shapes;
        int rc = fn_graph_infer(g, &shape, &shapes);
        if (rc < 0)
            return rc;
        shape = shapes[g->outputs[0]];
        fn_free(shapes);
        if (shape.rank != 2 || shape.dim[0] != n || shape.dim[1] > 1 << 20)
            return fn_fail(FN_EMODEL, "a network that learns must have one output of (batch, dimension)");
        *dimension = (int)shape.dim[1];
    }
    return FN_OK;
}

/// A block of zeros.
static float *block_of(size_t n) {
    float *block = fn_alloc_aligned(n * sizeof *block);
    if (block)
        memset(block, 0, n * sizeof *block);
    return block;
}

int fn_training_open(fn_training **out, fn_graph *graph, const fn_training_options *options) {
    fn_training *t = fn_calloc(1, sizeof *t);
    *out = NULL;
    if (!t) {
        fn_graph_free(graph);
        return fn_fail_memory();
    }
    t->graph = graph;
    t->options = *options;
    t->options.threads = options->threads > 0 ? options->threads : 1;
    t->def = options->backend == FN_BACKEND_REF ? &fn_training_ref_f32 : &fn_training_onednn;
    int rc = check_shapes(graph, &t->dimension);
    if (rc == FN_OK)
        rc = separate_statistics(graph);
    if (rc == FN_OK)
        rc = fn_parameters_open(&t->parameters, graph);
    if (rc == FN_OK && !t->parameters.n_trained)
        rc = fn_fail(FN_EMODEL, "the network has nothing that could learn");
    if (rc == FN_OK) {
        t->weights = block_of(t->parameters.trained_size);
        t->gradients = block_of(t->parameters.trained_size);
        t->statistics = block_of(t->parameters.statistics_size);
        if (!t->weights || !t->gradients || !t->statistics)
            rc = fn_fail_memory();
    }
    if (rc < 0) {
        fn_training_free(t);
        return rc;
    }
    fn_parameters_load(&t->parameters, graph, t->weights, t->statistics);
    *out = t;
    return FN_OK;
}

const fn_graph *fn_training_graph(const fn_training *t) {
    return t->graph;
}

fn_parameters *fn_training_parameters(fn_training *t) {
    return &t->parameters;
}

int fn_training_dimension(const fn_training *t) {
    return t->dimension;
}

float *fn_training_weights(fn_training *t) {
    return t->weights;
}

float *fn_training_gradients(fn_training *t) {
    return t->gradients;
}

float *fn_training_statistics(fn_training *t) {
    return t->statistics;
}

fn_pass fn_training_pass(fn_training *t) {
    return (fn_pass){.weights = t->weights, .gradients = t->gradients, .statistics = t->statistics};
}

/// The plan for n items comes first, and those used longest ago leave: room for one that is to be made.
static sized_plan *recall_plan(fn_training *t, int n) {
    sized_plan **at = &t->plans, *found = NULL;
    for (int kept = 0; *at;) {
        sized_plan *p = *at;
        if (p->n == n) {
            found = p;
            *at = p->next;
        } else if (++kept == MAX_PLANS) {
            *at = p->next;
            plan_free(t, p);
            kept--;
        } else {
            at = &p->next;
        }
    }
    if (found) {
        found->next = t->plans;
        t->plans = found;
    }
    return found;
}

/// The plan for n items, made when there is none.
static int plan_for(fn_training *t, int n, const sized_plan **out) {
    sized_plan *p = recall_plan(t, n);
    *out = p;
    if (p)
        return FN_OK;
    fn_shape input = fn_input_shape(t->graph, 0, n, 0, 0);
    fn_inferred inferred;
    int rc = fn_inferred_open(&inferred, t->graph, &input);
    if (rc < 0)
        return rc;
    p = fn_calloc(1, sizeof *p);
    if (!p) {
        fn_inferred_free(&inferred);
        return fn_fail_memory();
    }
    rc = t->def->plan_open(&p->plan, t->graph, &t->parameters, &inferred, &t->options);
    if (rc < 0) {
        fn_free(p);
        return rc;
    }
    p->n = n;
    p->next = t->plans;
    t->plans = p;
    *out = p;
    return FN_OK;
}

int fn_training_forward(fn_training *t, const fn_pass *pass, const float *images, int n, float *embeddings) {
    const sized_plan *p = NULL;
    t->last = NULL;
    if (n < 1)
        return fn_fail(FN_EINVAL, "a batch of %d items", n);
    if (omp_in_parallel())
        return fn_fail(FN_EINVAL, "a network cannot learn inside an OpenMP parallel region");
    // oneDNN fits its primitives to the number of threads of the calling thread, which is not ours to keep.
    int threads = omp_get_max_threads();
    omp_set_num_threads(t->options.threads);
    int rc = plan_for(t, n, &p);
    if (rc == FN_OK)
        rc = t->def->forward(p->plan, pass, images, embeddings);
    if (rc == FN_OK)
        t->last = p;
    omp_set_num_threads(threads);
    return rc;
}

int fn_training_backward(fn_training *t, const fn_pass *pass, const float *d_embeddings, int n,
                         float *d_images) {
    if (!t->last || t->last->n != n)
        return fn_fail(FN_EINVAL, "a backward pass of %d items does not follow a forward pass of as many", n);
    if (d_images && !t->options.wants_input)
        return fn_fail(FN_EINVAL,
                       "the gradient of the images was not asked for when the training was opened");
    if (omp_in_parallel())
        return fn_fail(FN_EINVAL, "a network cannot learn inside an OpenMP parallel region");
    int threads = omp_get_max_threads();
    omp_set_num_threads(t->options.threads);
    int rc = t->def->backward(t->last->plan, pass, d_embeddings, d_images);
    omp_set_num_threads(threads);
    return rc;
}

size_t fn_training_bytes(const fn_training *t) {
    size_t n = 0;
    for (const sized_plan *p = t->plans; p; p = p->next)
        n += t->def->bytes(p->plan);
    return n;
}

const char *fn_training_not_finite(fn_training *t, const fn_pass *pass) {
    return t->last ? t->def->not_finite(t->last->plan, pass) : NULL;
}

int fn_training_export(fn_graph **out, const fn_training *t, const float *weights, const float *statistics,
                       int fold) {
    int rc = fn_graph_copy(out, t->graph);
    if (rc < 0)
        return rc;
    // A copy numbers its values as its source does.
    fn_parameters_store(&t->parameters, *out, weights ? weights : t->weights,
                        statistics ? statistics : t->statistics);
    if (fold)
        rc = fn_graph_fold_batch_norm(*out);
    if (rc < 0) {
        fn_graph_free(*out);
        *out = NULL;
    }
    return rc;
}
