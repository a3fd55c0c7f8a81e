// SPDX-License-Identifier: Apache-2.0
//
// Somebody else's model file becomes one of ours: its graph is read and checked, and what the user says
// about it goes into the metadata. Nothing is known of its licence, and the file says so.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/import_tflite.h"
#include "model/stamp.h"
#include "model/tflite.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_FILE ((uint64_t)2 << 30)

static int check_options(const fn_import_options *o) {
    if (o->version != FN_IMPORT_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "fn_import_options: version %d, this library knows %d", o->version,
                       FN_IMPORT_OPTIONS_VERSION);
    if (!o->role || (strcmp(o->role, "embedder") != 0 && strcmp(o->role, "detector") != 0 &&
                     strcmp(o->role, "landmarks") != 0))
        return fn_fail(FN_EINVAL, "the role is embedder, detector or landmarks");
    if (o->color && strcmp(o->color, "rgb") != 0 && strcmp(o->color, "bgr") != 0)
        return fn_fail(FN_EINVAL, "the colour order is rgb or bgr");
    if (!isfinite(o->mean) || !isfinite(o->scale) || o->scale <= 0.0F)
        return fn_fail(FN_EINVAL, "the mean must be a number and the scale above zero");
    if (o->name && (!*o->name || strchr(o->name, '\n') || !fn_utf8_valid(o->name, strlen(o->name))))
        return fn_fail(FN_EINVAL, "the name must be one line of UTF-8");
    return FN_OK;
}

/// The size of the one picture that the graph takes.
static int input_size(fn_input_spec *spec, const fn_graph *graph) {
    const fn_shape *shape = graph->n_inputs == 1 ? &graph->values[graph->inputs[0]].shape : NULL;
    if (!shape || shape->rank != 4 || shape->dim[1] != 3)
        return fn_fail(FN_EMODEL, "a model needs one input of three colours: (N, 3, height, width)");
    if (shape->dim[2] < 1 || shape->dim[3] < 1 || shape->dim[2] > 4096 || shape->dim[3] > 4096)
        return fn_fail(FN_EMODEL, "the input of a model needs a height and width of 1 to 4096");
    spec->height = (int)shape->dim[2];
    spec->width = (int)shape->dim[3];
    return FN_OK;
}

/// Metadata of earlier imports says nothing about this one.
static int forget(fn_metadata *metadata) {
    for (int i = metadata->n - 1; i >= 0; i--)
        if (strncmp(metadata->keys[i], "facenet.", 8) == 0) {
            char key[128];
            snprintf(key, sizeof key, "%s", metadata->keys[i]);
            if (strlen(metadata->keys[i]) >= sizeof key)
                return fn_fail(FN_EMODEL, "the file has a metadata key of %zu bytes",
                               strlen(metadata->keys[i]));
            int rc = fn_metadata_set(metadata, key, NULL);
            if (rc < 0)
                return rc;
        }
    return FN_OK;
}

static int read_graph(fn_graph **out, fn_metadata *metadata, const unsigned char *bytes, size_t n,
                      const char *src, const char **importer) {
    if (fn_tflite_is(bytes, n)) {
        *importer = "tflite";
        int rc = fn_tflite_import(out, bytes, n, NULL);
        return rc < 0 ? fn_fail_prefix(rc, "%s", src) : rc;
    }
    *importer = "onnx";
    int rc = fn_onnx_read(out, metadata, bytes, n, src);
    return rc == FN_OK ? forget(metadata) : rc;
}

int fn_model_import(const char *src, const char *dst, const fn_import_options *options) {
    static const fn_import_options defaults = FN_IMPORT_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    int rc = check_options(options);
    if (rc < 0)
        return rc;
    const char *template_name = options->template_name;
    if (!template_name && strcmp(options->role, "embedder") == 0)
        template_name = "arcface-112";
    const fn_template *tmpl = template_name ? fn_template_find(template_name) : NULL;
    if (template_name && !tmpl)
        return fn_fail(FN_EINVAL, "no template is called '%.80s'", template_name);

    unsigned char *bytes = NULL;
    size_t n;
    char *name = NULL;
    fn_graph *graph = NULL;
    fn_metadata metadata = {0};
    const char *slash = strrchr(src, '/'), *file = slash ? slash + 1 : src;
    fn_stamp stamp = {
        .role = options->role,
        .description = "imported",
        .licence =
            "code: not known to facenet\nweights: not known to facenet, ask who made the file\ndata: not "
            "known to facenet",
        .n_sources = 1,
        .tmpl = tmpl,
        .unit_length = options->unit_length != 0};
    if (strchr(file, '\n') || !fn_utf8_valid(file, strlen(file)))
        return fn_fail(FN_EINVAL,
                       "the name of the model file must be one line of UTF-8: it is noted in the model");
    rc = fn_read_file(&bytes, &n, src, MAX_FILE);
    if (rc < 0)
        return rc;
    rc = read_graph(&graph, &metadata, bytes, n, src, &stamp.importer);
    if (rc < 0)
        goto out;
    rc = input_size(&stamp.input, graph);
    if (rc == FN_OK && tmpl && (tmpl->width != stamp.input.width || tmpl->height != stamp.input.height))
        rc = fn_fail(FN_EMODEL, "the template %s cuts %d x %d pixels, the network takes %d x %d", tmpl->name,
                     tmpl->width, tmpl->height, stamp.input.width, stamp.input.height);
    if (rc < 0) {
        rc = fn_fail_prefix(rc, "%s", src);
        goto out;
    }
    const char *dot = strrchr(file, '.');
    name = options->name ? fn_strdup(options->name)
                         : fn_strndup(file, dot && dot > file ? (size_t)(dot - file) : strlen(file));
    if (!name) {
        rc = fn_fail_memory();
        goto out;
    }
    stamp.name = name;
    stamp.sources[0].name = file;
    fn_sha256_hex(stamp.sources[0].sha256, bytes, n);
    stamp.input.bgr = options->color && strcmp(options->color, "bgr") == 0;
    stamp.input.scale = options->scale;
    for (int i = 0; i < 3; i++)
        stamp.input.mean[i] = options->mean;
    rc = fn_stamp_write(&metadata, graph, &stamp);
    if (rc == FN_OK)
        rc = fn_stamp_save(dst, graph, &metadata);
out:
    fn_metadata_free(&metadata);
    fn_graph_free(graph);
    fn_free(name);
    fn_free(bytes);
    return rc;
}
