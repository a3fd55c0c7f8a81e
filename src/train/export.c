// SPDX-License-Identifier: Apache-2.0
//
// The provenance names the folder of the data but not where it lies, and no person.
#include "train/export.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/error.h"
#include "model/stamp.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *last_part(const char *path, int *n) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start && path[start - 1] != '/')
        start--;
    *n = (int)(end - start);
    return path + start;
}

// {"network":"nn4.small2","loss":"triplet",...}: facenet.training. New memory (free), or NULL.
static char *provenance(const fn_export *e) {
    int n;
    const char *folder = last_part(fn_dataset_root(e->data), &n);
    json_t *root = json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:s%, s:i, s:i}", "network", e->network, "loss",
                             e->options->loss, "optimizer", e->options->optimizer, "seed", e->options->seed,
                             "steps", (json_int_t)e->step, "epochs", e->epoch, "data", folder, n, "people",
                             fn_dataset_n_people(e->data), "images", fn_dataset_n_images(e->data));
    if (root && e->validation && isfinite(e->validation->accuracy))
        json_object_set_new(root, "validation_accuracy", json_real(e->validation->accuracy));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    return text;
}

int fn_export_write(const char *path, const fn_graph *graph, const fn_export *export) {
    fn_metadata metadata = {0};
    char *training = provenance(export);
    char *name = fn_asprintf("%s-%s", export->network, export->options->loss);
    char *description =
        fn_asprintf("trained by facenet: %s, %s loss", export->network, export->options->loss);
    int rc = training && name && description ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        const fn_stamp stamp = {.name = name,
                                .role = "embedder",
                                .description = description,
                                .licence = "code: Apache-2.0\nweights: of whoever trained them\n"
                                           "data: see facenet.training",
                                .importer = "train",
                                .input = *export->input,
                                .tmpl = export->tmpl,
                                .unit_length = 1};
        rc = fn_stamp_write(&metadata, graph, &stamp);
    }
    if (rc == FN_OK)
        rc = fn_metadata_set(&metadata, "facenet.training", training);
    if (rc == FN_OK && export->compatible_with)
        rc = fn_metadata_set(&metadata, "facenet.compatible_with", export->compatible_with);
    if (rc == FN_OK)
        rc = fn_stamp_save(path, graph, &metadata);
    fn_metadata_free(&metadata);
    fn_free(description);
    fn_free(name);
    free(training);
    return rc;
}

// "arcface-112" at 96 pixels is "arcface-96".
static char *scaled_name(const char *name, const fn_template *tmpl, int width) {
    if (width == tmpl->width)
        return fn_strdup(name);
    size_t stem = strlen(name);
    while (stem && isdigit((unsigned char)name[stem - 1]))
        stem--;
    if (stem == 0 || name[stem - 1] != '-')
        return fn_asprintf("%s-%d", name, width);
    return fn_asprintf("%.*s%d", (int)stem, name, width);
}

int fn_export_template(fn_template **out, const char *name, const fn_dataset *data,
                       const fn_input_spec *input) {
    *out = NULL;
    if (!name)
        name = fn_dataset_geometry(data)->template_name;
    if (!*name)
        return FN_OK;
    const fn_template *tmpl = fn_template_find(name);
    if (!tmpl)
        return fn_fail(FN_EINVAL, "no template is called \"%.64s\"", name);
    fn_template scaled = *tmpl;
    char *called = scaled_name(name, tmpl, input->width), *text = NULL;
    scaled.name = called;
    scaled.width = input->width;
    scaled.height = input->height;
    for (int i = 0; i < scaled.n_points; i++) {
        scaled.points[i].x *= (float)input->width / (float)tmpl->width;
        scaled.points[i].y *= (float)input->height / (float)tmpl->height;
    }
    if (called)
        text = fn_template_text(&scaled);
    int rc = text ? fn_template_parse(out, text) : fn_fail_memory(); // with a name of its own
    fn_free(text);
    fn_free(called);
    return rc;
}
