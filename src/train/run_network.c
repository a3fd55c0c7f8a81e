// SPDX-License-Identifier: Apache-2.0
//
// What a run trains: a network by name from its first weights, or a model to go on from.
#include "train/run.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/networks.h"
#include "nn/net.h"
#include "train/export.h"

#include <string.h>

static int build_network(fn_run *run, fn_graph **graph) {
    const fn_train_options *o = run->options;
    const fn_network *network = fn_network_find(o->arch);
    int rc = fn_network_build(graph, o->arch,
                              &(fn_network_options){.embedding = o->embedding,
                                                    .size = o->size,
                                                    .dropout = (float)o->dropout,
                                                    .seed = (uint64_t)o->seed});
    if (rc < 0)
        return rc;
    run->network = fn_strdup(o->arch);
    for (int c = 0; c < 3; c++)
        run->input.mean[c] = network->mean[c];
    run->input.scale = network->scale;
    return FN_OK;
}

// A model to go on from: its graph, and how its input was scaled.
static int load_network(fn_run *run, fn_graph **graph) {
    const fn_train_options *o = run->options;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    fn_model *model = NULL;
    options.directory = o->models;
    int rc = fn_model_open(&model, o->model, &options);
    if (rc < 0)
        return rc;
    run->input = *fn_model_input(model);
    const char *tmpl = fn_model_metadata(model, "facenet.template");
    if (tmpl)
        rc = fn_template_parse(&run->tmpl, tmpl);
    if (rc == FN_OK)
        rc = fn_graph_copy(graph, fn_net_graph(fn_model_net(model)));
    if (rc == FN_OK && (rc = fn_origin_of(&run->origin, model)) == FN_OK)
        run->network = fn_strdup(run->origin.name);
    fn_model_free(model);
    return rc;
}

// The input's size as the graph declares it.
static int read_size(fn_run *run, const fn_graph *graph) {
    const fn_shape *shape = graph->n_inputs == 1 ? &graph->values[graph->inputs[0]].shape : NULL;
    if (!shape || shape->rank != 4 || shape->dim[1] != 3 || shape->dim[2] < 1 || shape->dim[3] < 1)
        return fn_fail(FN_EMODEL, "%s: training wants one input (N, 3, height, width) of known size",
                       run->network);
    run->input.height = (int)shape->dim[2];
    run->input.width = (int)shape->dim[3];
    if (run->options->size && run->options->model && run->options->size != run->input.width)
        return fn_fail(FN_EINVAL, "%s takes %d x %d pixels: size cannot be %d", run->network,
                       run->input.width, run->input.height, run->options->size);
    return FN_OK;
}

static int freeze(fn_run *run) {
    const char *list = run->options->freeze, *list_of_all = list;
    int rc = FN_OK;
    for (size_t n; list && *list && rc >= 0; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        char *prefix = fn_strndup(list, n);
        if (!prefix)
            return fn_fail_memory();
        rc = n ? fn_parameters_freeze(fn_training_parameters(run->training), prefix) : FN_OK;
        fn_free(prefix);
    }
    const fn_parameters *p = fn_training_parameters(run->training);
    int n_left = 0;
    for (int i = 0; i < p->n_trained; i++)
        n_left += !p->trained[i].frozen;
    if (rc >= 0 && !n_left)
        return fn_fail(FN_EINVAL, "freeze %s leaves nothing that could learn", list_of_all);
    return rc < 0 ? rc : FN_OK;
}

int fn_run_open_network(fn_run *run) {
    const fn_train_options *o = run->options;
    fn_graph *graph = NULL;
    fn_template *tmpl = NULL;
    int rc = o->arch ? build_network(run, &graph) : load_network(run, &graph);
    if (rc == FN_OK && !run->network)
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = read_size(run, graph);
    if (rc == FN_OK)
        rc = fn_export_template(&tmpl, o->template_name, run->data, &run->input);
    if (rc < 0) {
        fn_graph_free(graph);
        return rc;
    }
    if (tmpl) { // what the data says goes before what the model says
        fn_template_free(run->tmpl);
        run->tmpl = tmpl;
    }
    if (!run->tmpl && fn_run_leads(run))
        fn_control_log(run->control, FN_LOG_WARNING,
                       "%s does not say how its faces were cut: the model will not say it either, and cannot "
                       "enrol people (see: template)",
                       o->data);
    const fn_training_options training = {
        .backend = strcmp(o->backend, "reference") == 0 ? FN_BACKEND_REF
                   : strcmp(o->backend, "onednn") == 0  ? FN_BACKEND_ONEDNN
                                                        : FN_BACKEND_AUTO,
        .precision = strcmp(o->precision, "bf16") == 0 ? FN_PRECISION_BF16 : FN_PRECISION_F32,
        .threads = o->threads,
    };
    rc = fn_training_open(&run->training, graph, &training); // takes the graph over
    if (rc == FN_OK)
        rc = freeze(run);
    if (rc < 0)
        return rc;
    run->dimension = fn_training_dimension(run->training);
    if (o->model && o->embedding && o->embedding != run->dimension)
        return fn_fail(FN_EINVAL, "%s gives %d numbers: embedding cannot be %d", run->network, run->dimension,
                       o->embedding);
    return FN_OK;
}
