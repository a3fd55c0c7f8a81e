// SPDX-License-Identifier: Apache-2.0
//
// A learnt map as the last layer of the network whose embeddings it was learnt on. The map has no bias and
// what it gives is brought to unit length, so that the length of what it takes does not matter.
#include "align/template.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/model.h"
#include "model/stamp.h"

#include <facenet/metric.h>
#include <stdio.h>
#include <string.h>

// The network's graph with L behind its output. New graph.
static int append(fn_graph **out, fn_model *model, const float *L, int rank, int d) {
    fn_net *net = fn_model_net(model);
    const fn_input_spec *input = fn_model_input(model);
    fn_shape shape;
    if (fn_net_n_outputs(net) != 1)
        return fn_fail(FN_EMODEL, "an embedder has one output, this model has %d", fn_net_n_outputs(net));
    int rc = fn_net_output_shape(net, input->height, input->width, 0, &shape);
    if (rc < 0)
        return rc;
    if (fn_shape_count(&shape) != d)
        return fn_fail(FN_EINVAL, "the map is for embeddings of %d numbers, those of the model have %lld", d,
                       (long long)fn_shape_count(&shape));
    if ((rc = fn_graph_copy(out, fn_net_graph(net))) < 0)
        return rc;
    fn_graph *g = *out;
    const int weights = fn_graph_constant(g, "metric_w", FN_F32, fn_shape_make(2, rank, d), L);
    const int flat = shape.rank == 2 ? g->outputs[0] : fn_flatten(g, "metric_flat", g->outputs[0]);
    const int mapped = fn_dense(g, "metric", flat, weights, -1);
    if (mapped >= 0)
        g->outputs[0] = mapped;
    return fn_graph_finish(g);
}

static int stamp_and_save(const char *path, const fn_graph *graph, const fn_model *model,
                          const fn_model_info *info, const char *note) {
    fn_template *tmpl = NULL;
    fn_metadata metadata = {0};
    const char *text = fn_model_metadata(model, "facenet.template");
    const char *licence = fn_model_metadata(model, "facenet.licence");
    const char *training = fn_model_metadata(model, "facenet.training");
    char *name = fn_asprintf("%s-metric", info->name);
    char *description = fn_asprintf("%s, then a learnt linear map", info->name);
    int rc = name && description ? FN_OK : fn_fail_memory();
    if (rc == FN_OK && text)
        rc = fn_template_parse(&tmpl, text);
    if (rc == FN_OK) {
        fn_stamp stamp = {.name = name,
                          .role = "embedder",
                          .description = description,
                          .licence = licence,
                          .importer = "metric",
                          .sources = {{.name = info->name}},
                          .n_sources = 1,
                          .input = *fn_model_input(model),
                          .tmpl = tmpl,
                          .unit_length = 1};
        snprintf(stamp.sources[0].sha256, sizeof stamp.sources[0].sha256, "%s", info->fingerprint);
        rc = fn_stamp_write(&metadata, graph, &stamp);
    }
    if (rc == FN_OK && training)
        rc = fn_metadata_set(&metadata, "facenet.training", training);
    if (rc == FN_OK && note)
        rc = fn_metadata_set(&metadata, "facenet.metric", note);
    if (rc == FN_OK)
        rc = fn_stamp_save(path, graph, &metadata);
    fn_metadata_free(&metadata);
    fn_template_free(tmpl);
    fn_free(description);
    fn_free(name);
    return rc;
}

int fn_metric_write(const char *path, const char *model, const char *models, const float *L, int rank, int d,
                    const char *note) {
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    fn_model *opened = NULL;
    fn_model_info info;
    fn_graph *graph = NULL;
    if (rank < 1 || rank > d)
        return fn_fail(FN_EINVAL, "a map of rank %d: expected 1 to %d", rank, d);
    options.directory = models;
    int rc = fn_model_open(&opened, model, &options);
    if (rc == FN_OK)
        rc = fn_model_get_info(opened, &info);
    if (rc == FN_OK && strcmp(info.role, "embedder") != 0)
        rc = fn_fail(FN_EMODEL, "%s: its role is '%s', not embedder", model, info.role);
    if (rc == FN_OK && (rc = append(&graph, opened, L, rank, d)) < 0)
        rc = fn_fail_prefix(rc, "%s", model);
    if (rc == FN_OK)
        rc = stamp_and_save(path, graph, opened, &info, note);
    fn_graph_free(graph);
    fn_model_free(opened);
    return rc;
}
