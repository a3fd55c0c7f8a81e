// SPDX-License-Identifier: Apache-2.0
//
// A net: the graph as loaded, its optimised copy, plans by batch and size, and a pool of states per plan. One
// lock guards plans and pools; it is held while a plan is made (milliseconds, once) and never while running.
#include "nn/net.h"

#include "base/alloc.h"
#include "base/error.h"
#include "nn/backend.h"
#include "nn/optimize.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

typedef struct pooled {
    void *state;
    struct pooled *next;
} pooled;

typedef struct sized_plan {
    int batch, height, width;
    void *plan;
    pooled *free_states;
    size_t *item_count; // per output: floats of one item
    struct sized_plan *next;
} sized_plan;

struct fn_net {
    fn_graph *graph;     // as loaded
    fn_graph *optimised; // NULL until the first sizes are known
    const fn_backend_def *backend;
    void *shared;
    int threads;
    int largest_batch;
    sized_plan *plans;
    pthread_mutex_t lock;
};

void fn_net_free(fn_net *net) {
    if (!net)
        return;
    while (net->plans) {
        sized_plan *plan = net->plans;
        net->plans = plan->next;
        while (plan->free_states) {
            pooled *p = plan->free_states;
            plan->free_states = p->next;
            net->backend->state_free(p->state);
            fn_free(p);
        }
        net->backend->plan_free(plan->plan);
        fn_free(plan->item_count);
        fn_free(plan);
    }
    net->backend->shared_free(net->shared);
    fn_graph_free(net->optimised);
    fn_graph_free(net->graph);
    pthread_mutex_destroy(&net->lock);
    fn_free(net);
}

/// On one thread an item in a batch takes as long as alone, and a batch is one more plan to make, unless
/// Winograd's transformed kernels are shared by the items (docs/results/speed.md): then up to 16 run
/// together.
static int largest_batch(const fn_graph *graph, int threads) {
    for (int i = 0; i < graph->n_nodes && threads == 1; i++) {
        const fn_node *node = &graph->nodes[i];
        if (strcmp(node->op->name, "Conv") != 0 || fn_node_int(node, "group", 1) != 1)
            continue;
        const fn_shape *kernel = &graph->values[node->inputs[1]].shape;
        const fn_attr *strides = fn_node_attr(node, "strides");
        if (kernel->rank == 4 && kernel->dim[0] >= 32 && kernel->dim[1] >= 32 && kernel->dim[2] == 3 &&
            kernel->dim[3] == 3 && (!strides || strides->ints[0] == 1))
            return 16;
    }
    return threads == 1 ? 1 : 16;
}

/// Optimises a copy of the graph for these sizes, and opens the backend on it.
static int prepare(fn_net *net, int64_t height, int64_t width) {
    fn_graph *copy;
    int rc = fn_graph_copy(&copy, net->graph);
    if (rc == FN_OK)
        rc = fn_graph_optimize(copy, height, width);
    if (rc == FN_OK)
        rc = net->backend->shared_open(&net->shared, copy);
    if (rc < 0)
        fn_graph_free(copy);
    else
        net->optimised = copy;
    return rc;
}

int fn_net_open(fn_net **out, fn_graph *graph, const fn_net_options *options) {
    *out = NULL;
    fn_net *net = fn_calloc(1, sizeof *net);
    if (!net) {
        fn_graph_free(graph);
        return fn_fail_memory();
    }
    pthread_mutex_init(&net->lock, NULL);
    net->graph = graph;
    net->backend = options->backend == FN_BACKEND_REF ? &fn_backend_ref_f32 : &fn_backend_onednn;
    net->threads = options->threads > 0 ? options->threads : 1;
    net->largest_batch = largest_batch(graph, net->threads);
    int rc = FN_OK;
    const fn_shape *input = graph->n_inputs ? &graph->values[graph->inputs[0]].shape : NULL;
    if (options->precision != FN_PRECISION_F32)
        rc = fn_fail(FN_EUNSUPPORTED, "only f32 precision is supported");
    else if (graph->n_inputs != 1 || input->rank != 4 || input->dim[1] < 1)
        rc = fn_fail(FN_EMODEL, "the network must have one input of (batch, channels, height, width)");
    else if (input->dim[2] > 0 && input->dim[3] > 0) // a graph that cannot work is refused now
        rc = prepare(net, input->dim[2], input->dim[3]);
    if (rc < 0) {
        fn_net_free(net);
        return rc;
    }
    *out = net;
    return FN_OK;
}

const fn_graph *fn_net_graph(const fn_net *net) {
    return net->graph;
}

int fn_net_n_outputs(const fn_net *net) {
    return net->graph->n_outputs;
}

int fn_net_output_index(const fn_net *net, const char *name) {
    for (int i = 0; i < net->graph->n_outputs; i++)
        if (strcmp(net->graph->values[net->graph->outputs[i]].name, name) == 0)
            return i;
    return -1;
}

int fn_net_output_shape(fn_net *net, int height, int width, int index, fn_shape *out) {
    fn_shape input = fn_input_shape(net->graph, 0, 1, height, width), *shapes;
    if (index < 0 || index >= net->graph->n_outputs)
        return fn_fail(FN_EINVAL, "the network has no output %d", index);
    int rc = fn_graph_infer(net->graph, &input, &shapes);
    if (rc < 0)
        return rc;
    *out = shapes[net->graph->outputs[index]];
    fn_free(shapes);
    return FN_OK;
}

int fn_net_cost(fn_net *net, int height, int width, int64_t *multiply_adds) {
    fn_shape input = fn_input_shape(net->graph, 0, 1, height, width);
    fn_inferred inferred;
    int rc = fn_inferred_open(&inferred, net->graph, &input);
    if (rc < 0)
        return rc;
    *multiply_adds = fn_inferred_cost(net->graph, &inferred);
    fn_inferred_free(&inferred);
    return FN_OK;
}

/// Under the lock.
static int make_plan(fn_net *net, int batch, int height, int width, sized_plan **out) {
    fn_shape input = fn_input_shape(net->graph, 0, batch, height, width);
    fn_inferred inferred;
    int n_outputs = net->graph->n_outputs;
    *out = NULL;
    if (input.dim[2] != height || input.dim[3] != width)
        return fn_fail(FN_EINVAL, "the network takes %lld x %lld pixels, not %d x %d",
                       (long long)input.dim[3], (long long)input.dim[2], width, height);
    int rc = net->optimised ? FN_OK : prepare(net, height, width);
    if (rc == FN_OK)
        rc = fn_inferred_open(&inferred, net->optimised, &input);
    if (rc < 0)
        return rc;
    sized_plan *plan = fn_calloc(1, sizeof *plan);
    size_t *item_count = fn_calloc((size_t)n_outputs, sizeof *item_count);
    if (!plan || !item_count) {
        fn_inferred_free(&inferred);
        fn_free(plan);
        fn_free(item_count);
        return fn_fail_memory();
    }
    for (int i = 0; i < n_outputs; i++) {
        const fn_shape *shape = &inferred.values[net->optimised->outputs[i]].shape;
        // A constant output (priors) is the same for every item.
        int per_item = shape->rank > 0 && shape->dim[0] == batch;
        item_count[i] = (size_t)fn_shape_count(shape) / (per_item ? (size_t)batch : 1);
    }
    *plan = (sized_plan){.batch = batch, .height = height, .width = width, .item_count = item_count};
    rc = net->backend->plan_open(&plan->plan, net->shared, &inferred);
    if (rc < 0) {
        fn_free(plan);
        fn_free(item_count);
        return rc;
    }
    plan->next = net->plans;
    net->plans = plan;
    *out = plan;
    return FN_OK;
}

/// A plan for this size and a state of it that nobody else uses; the caller gives it back.
static int borrow(fn_net *net, int batch, int height, int width, sized_plan **plan_out, pooled **state_out) {
    int rc = FN_OK;
    pthread_mutex_lock(&net->lock);
    sized_plan *plan = net->plans;
    while (plan && (plan->batch != batch || plan->height != height || plan->width != width))
        plan = plan->next;
    if (!plan)
        rc = make_plan(net, batch, height, width, &plan);
    pooled *p = NULL;
    if (rc == FN_OK && plan->free_states) {
        p = plan->free_states;
        plan->free_states = p->next;
    }
    pthread_mutex_unlock(&net->lock);
    if (rc == FN_OK && !p) {
        p = fn_calloc(1, sizeof *p);
        rc = p ? net->backend->state_open(&p->state, plan->plan) : fn_fail_memory();
        if (rc < 0) {
            fn_free(p);
            p = NULL;
        }
    }
    *plan_out = plan;
    *state_out = p;
    return rc;
}

static void give_back(fn_net *net, sized_plan *plan, pooled *state) {
    pthread_mutex_lock(&net->lock);
    state->next = plan->free_states;
    plan->free_states = state;
    pthread_mutex_unlock(&net->lock);
}

int fn_net_run(fn_net *net, const float *input, int batch, int height, int width, float *const *outputs) {
    int n_outputs = net->graph->n_outputs, rc = FN_OK;
    void *at[FN_MAX_INPUTS];
    if (batch < 0 || height < 1 || width < 1 || n_outputs > FN_MAX_INPUTS)
        return fn_fail(FN_EINVAL, "a batch of %d items of %d x %d pixels", batch, width, height);
    if (omp_in_parallel())
        return fn_fail(FN_EINVAL, "a network cannot run inside an OpenMP parallel region");
    size_t per_item =
        (size_t)net->graph->values[net->graph->inputs[0]].shape.dim[1] * (size_t)height * (size_t)width;
    for (int i = 0; i < n_outputs; i++)
        at[i] = outputs[i];
    // oneDNN fits its primitives to the number of threads of the calling thread, which is not ours to keep.
    int threads = omp_get_max_threads();
    omp_set_num_threads(net->threads);
    for (int chunk = net->largest_batch; batch > 0 && rc == FN_OK;) {
        while (chunk > batch)
            chunk /= 2;
        sized_plan *plan;
        pooled *state;
        rc = borrow(net, chunk, height, width, &plan, &state);
        if (rc < 0)
            break;
        const void *in = input;
        rc = net->backend->run(plan->plan, state->state, &in, at);
        give_back(net, plan, state);
        input += per_item * (size_t)chunk;
        for (int i = 0; i < n_outputs; i++)
            at[i] = (float *)at[i] + plan->item_count[i] * (size_t)chunk;
        batch -= chunk;
    }
    omp_set_num_threads(threads);
    return rc;
}
