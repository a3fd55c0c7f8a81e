// SPDX-License-Identifier: Apache-2.0
//
// An opened model: the file read, its metadata believed only where it fits the network, the net made
// ready. A file of somebody else, without our metadata, gets the plainest reading: pixels as they are,
// the size its input declares, and a canonical text of its own, so that its embeddings too are told
// apart from all others.
#include "model/model.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/catalogue.h"
#include "model/fingerprint.h"
#include "model/onnx.h"
#include "nn/infer.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES ((uint64_t)1 << 30)

struct fn_model {
    fn_net *net;
    fn_metadata metadata;
    fn_input_spec input;
    fn_model_info info;
    char *leaf;          // name of the file
    char *canonical;     // of a file without our metadata
    char *template_name; // first word of facenet.template
    char fingerprint[65];
    size_t *output_counts; // per output: floats of one item at the default size
};

void fn_model_free(fn_model *model) {
    if (!model)
        return;
    fn_net_free(model->net);
    fn_metadata_free(&model->metadata);
    fn_free(model->leaf);
    fn_free(model->canonical);
    fn_free(model->template_name);
    fn_free(model->output_counts);
    fn_free(model);
}

static int is_path(const char *name) {
    size_t n = strlen(name);
    return strchr(name, '/') || (n >= 5 && strcmp(name + n - 5, ".onnx") == 0);
}

char *fn_model_path(const char *directory, const char *name) {
    char *fallback = directory ? NULL : fn_path_data("models");
    if (!directory && !fallback)
        return NULL;
    char *leaf = fn_asprintf("%s.onnx", name);
    char *path = leaf ? fn_path_join(directory ? directory : fallback, leaf) : NULL;
    if (!leaf)
        fn_fail_memory();
    fn_free(leaf);
    fn_free(fallback);
    return path;
}

/// The file of a model given by name or path. FN_EMODEL says how to get what is missing.
static int find_file(char **out, const char *name, const char *directory) {
    *out = is_path(name) ? fn_strdup(name) : NULL;
    if (is_path(name)) {
        if (!*out)
            return fn_fail_memory();
        if (access(*out, F_OK) == 0)
            return FN_OK;
        return fn_fail(FN_EMODEL, "%s: there is no such model file", name);
    }
    if (!(*out = fn_model_path(directory, name)))
        return fn_fail_prefix(FN_EMODEL, "model '%.80s'", name);
    if (access(*out, F_OK) == 0)
        return FN_OK;
    const fn_catalogue_model *entry;
    int rc = fn_catalogue_find(&entry, name);
    return rc < 0 ? rc
                  : fn_fail(FN_EMODEL, "model '%s' is not installed (%s); run: facenet model pull %s", name,
                            *out, name);
}

static const char *text_or(const fn_model *model, const char *key, const char *otherwise) {
    const char *value = fn_metadata_get(&model->metadata, key);
    return value ? value : otherwise;
}

/// What the network is fed: as facenet.input says, where that fits the graph.
static int read_input(fn_model *model, const fn_graph *graph) {
    const char *text = fn_metadata_get(&model->metadata, "facenet.input");
    const fn_shape *shape = &graph->values[graph->inputs[0]].shape;
    int64_t height = shape->dim[2], width = shape->dim[3];
    if (!text) {
        model->input = (fn_input_spec){
            .width = width > 0 ? (int)width : 0, .height = height > 0 ? (int)height : 0, .scale = 1};
        if (!model->input.width || !model->input.height)
            model->input.width = model->input.height = 0;
        return FN_OK;
    }
    int rc = fn_input_spec_parse(&model->input, text);
    if (rc < 0)
        return rc;
    if ((width > 0 && width != model->input.width) || (height > 0 && height != model->input.height))
        return fn_fail(FN_EMODEL, "facenet.input says %d x %d, the network takes %lld x %lld",
                       model->input.width, model->input.height, (long long)width, (long long)height);
    return FN_OK;
}

/// The canonical text and its hash; made here for a file that brings none.
static int read_canonical(fn_model *model, const fn_graph *graph, const void *bytes, size_t n) {
    const char *canonical = fn_metadata_get(&model->metadata, "facenet.canonical");
    if (!canonical) {
        char source[65];
        fn_sha256_hex(source, bytes, n);
        const char *sources[1] = {source};
        int rc = fn_canonical_make(&model->canonical, &(fn_canonical){.importer = "onnx",
                                                                      .importer_version = 1,
                                                                      .source_sha256 = sources,
                                                                      .n_sources = 1,
                                                                      .graph = graph,
                                                                      .input = &model->input});
        if (rc < 0)
            return rc;
        canonical = model->canonical;
    }
    fn_fingerprint(model->fingerprint, canonical);
    model->info.canonical = canonical;
    model->info.fingerprint = model->fingerprint;
    return FN_OK;
}

/// Sizes of the outputs and the cost, where the input has a default size.
static int measure(fn_model *model) {
    const fn_graph *graph = fn_net_graph(model->net);
    int n_outputs = fn_net_n_outputs(model->net);
    for (int i = 0; i < graph->n_values; i++)
        if (graph->values[i].data && graph->values[i].dtype == FN_F32 && graph->values[i].shape.rank > 0)
            model->info.n_parameters += fn_shape_count(&graph->values[i].shape);
    if (!(model->output_counts = fn_calloc((size_t)n_outputs, sizeof *model->output_counts)))
        return fn_fail_memory();
    if (model->input.width == 0)
        return FN_OK;
    fn_shape input = fn_input_shape(graph, 0, 1, model->input.height, model->input.width), *shapes;
    int rc = fn_graph_infer(graph, &input, &shapes);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n_outputs; i++) { // each at most 2^31 by shape inference
        model->output_counts[i] = (size_t)fn_shape_count(&shapes[graph->outputs[i]]);
        model->info.output_size += (int64_t)model->output_counts[i];
    }
    fn_free(shapes);
    return fn_net_cost(model->net, model->input.height, model->input.width, &model->info.n_multiply_adds);
}

static int fill_info(fn_model *model, const fn_graph *graph) {
    fn_model_info *info = &model->info;
    const char *template_text = text_or(model, "facenet.template", "");
    info->name = text_or(model, "facenet.name", model->leaf);
    info->role = text_or(model, "facenet.role", "");
    info->description = text_or(model, "facenet.description", "");
    info->source = text_or(model, "facenet.source", model->leaf);
    info->licence = text_or(model, "facenet.licence", "");
    info->input_width = model->input.width;
    info->input_height = model->input.height;
    info->input_channels = (int)graph->values[graph->inputs[0]].shape.dim[1];
    model->template_name = fn_strndup(template_text, strcspn(template_text, " "));
    info->template_name = model->template_name;
    return model->template_name ? FN_OK : fn_fail_memory();
}

static int check_graph(const fn_graph *graph) {
    const fn_shape *shape = &graph->values[graph->inputs[0]].shape;
    if (graph->n_inputs != 1 || shape->rank != 4 || shape->dim[1] < 1)
        return fn_fail(FN_EMODEL, "the network must have one input of (batch, channels, height, width)");
    return FN_OK;
}

static int load(fn_model *model, const char *path, const fn_model_options *options) {
    unsigned char *bytes;
    size_t n;
    fn_graph *graph = NULL;
    int rc = fn_read_file(&bytes, &n, path, MAX_FILE_BYTES);
    if (rc < 0)
        return rc;
    rc = fn_onnx_read(&graph, &model->metadata, bytes, n, NULL);
    if (rc == FN_OK)
        rc = check_graph(graph);
    if (rc == FN_OK)
        rc = read_input(model, graph);
    if (rc == FN_OK)
        rc = fill_info(model, graph);
    if (rc == FN_OK)
        rc = read_canonical(model, graph, bytes, n);
    fn_free(bytes);
    if (rc < 0) {
        fn_graph_free(graph);
    } else {
        fn_net_options net = {options->backend, options->precision, options->threads};
        rc = fn_net_open(&model->net, graph, &net);
    }
    if (rc == FN_OK)
        rc = measure(model);
    if (rc == FN_EUNSUPPORTED || rc == FN_ELIMIT) // of the file: for the caller, a model it cannot use
        rc = FN_EMODEL;
    return rc < 0 ? fn_fail_prefix(rc, "%s", path) : FN_OK;
}

static int check_options(const fn_model_options *options) {
    if (options->version != FN_MODEL_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "model options of version %d; start from FN_MODEL_OPTIONS_INIT",
                       options->version);
    if (options->precision != FN_PRECISION_F32)
        return fn_fail(FN_EUNSUPPORTED, "only precision f32 is supported");
    if (options->backend < FN_BACKEND_AUTO || options->backend > FN_BACKEND_REF || options->threads < 0)
        return fn_fail(FN_EINVAL, "backend %d with %d threads does not exist", (int)options->backend,
                       options->threads);
    return FN_OK;
}

int fn_model_open(fn_model **out, const char *name, const fn_model_options *options) {
    const fn_model_options defaults = FN_MODEL_OPTIONS_INIT;
    char *path = NULL;
    *out = NULL;
    options = options ? options : &defaults;
    if (!name || !*name)
        return fn_fail(FN_EINVAL, "a model needs a name or a path");
    int rc = check_options(options);
    if (rc < 0)
        return rc;
    fn_model *model = fn_calloc(1, sizeof *model);
    if (!model)
        return fn_fail_memory();
    rc = find_file(&path, name, options->directory);
    if (rc == FN_OK) {
        const char *slash = strrchr(path, '/');
        model->leaf = fn_strdup(slash ? slash + 1 : path);
        rc = model->leaf ? load(model, path, options) : fn_fail_memory();
    }
    fn_free(path);
    if (rc < 0) {
        fn_model_free(model);
        return rc;
    }
    *out = model;
    return FN_OK;
}

int fn_model_get_info(const fn_model *model, fn_model_info *out) {
    if (!model || !out)
        return fn_fail(FN_EINVAL, "a model and a place for its information are needed");
    *out = model->info;
    return FN_OK;
}

const char *fn_model_metadata(const fn_model *model, const char *key) {
    return model && key ? fn_metadata_get(&model->metadata, key) : NULL;
}

fn_net *fn_model_net(fn_model *model) {
    return model->net;
}

const fn_input_spec *fn_model_input(const fn_model *model) {
    return &model->input;
}

/// Several outputs: each into memory of its own, then item by item to the caller.
static int run_outputs(fn_model *model, const float *input, int batch, float *output) {
    int n_outputs = fn_net_n_outputs(model->net);
    size_t total, n_items = (size_t)batch;
    float **parts = fn_calloc((size_t)n_outputs, sizeof *parts);
    float *scratch = fn_size_mul(&total, n_items, (size_t)model->info.output_size)
                         ? fn_realloc(NULL, total, sizeof *scratch)
                         : NULL;
    int rc = parts && scratch ? FN_OK : fn_fail_memory();
    float *next = scratch;
    for (int i = 0; i < n_outputs && rc == FN_OK; i++) {
        parts[i] = next;
        next += model->output_counts[i] * n_items;
    }
    if (rc == FN_OK)
        rc = fn_net_run(model->net, input, batch, model->input.height, model->input.width, parts);
    for (size_t item = 0; item < n_items && rc == FN_OK; item++)
        for (int i = 0; i < n_outputs; i++) {
            memcpy(output, parts[i] + item * model->output_counts[i],
                   model->output_counts[i] * sizeof *output);
            output += model->output_counts[i];
        }
    fn_free(scratch);
    fn_free(parts);
    return rc;
}

int fn_model_run(fn_model *model, const float *input, int batch, float *output) {
    if (!model || batch < 0 || (batch > 0 && (!input || !output)))
        return fn_fail(FN_EINVAL, "a model, input, output and a batch of at least 0 are needed");
    if (model->input.width == 0)
        return fn_fail(FN_EINVAL, "model '%s' takes pictures of any size and declares no default",
                       model->info.name);
    if (fn_net_n_outputs(model->net) == 1)
        return fn_net_run(model->net, input, batch, model->input.height, model->input.width, &output);
    return run_outputs(model, input, batch, output);
}
