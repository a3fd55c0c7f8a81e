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

int fn_origin_of(fn_origin *out, const fn_model *model) {
    fn_model_info info;
    int rc = fn_model_get_info(model, &info);
    if (rc < 0)
        return rc;
    *out = (fn_origin){fn_strdup(info.name), fn_strdup(info.source), fn_strdup(info.licence),
                       fn_strdup(info.fingerprint)};
    if (out->name && out->source && out->licence && out->fingerprint)
        return FN_OK;
    fn_origin_free(out);
    return fn_fail_memory();
}

void fn_origin_free(fn_origin *origin) {
    fn_free(origin->name);
    fn_free(origin->source);
    fn_free(origin->licence);
    fn_free(origin->fingerprint);
    *origin = (fn_origin){0};
}

// {"network":"nn4.small2","loss":"triplet",...}: facenet.training. New memory (free), or NULL.
static char *provenance(const fn_export *e) {
    int n;
    const char *folder = last_part(fn_dataset_root(e->data), &n);
    json_t *root = json_pack("{s:s, s:s, s:s, s:i, s:I, s:i, s:s%, s:i, s:i}", "network", e->network, "loss",
                             e->options->loss, "optimizer", e->options->optimizer, "seed", e->options->seed,
                             "steps", (json_int_t)e->step, "epochs", e->epoch, "data", folder, n, "people",
                             fn_dataset_n_people(e->data), "images", fn_dataset_n_images(e->data));
    if (root) {
        json_object_set_new(root, "schedule", json_string(e->options->schedule));
        json_object_set_new(root, "lr", json_real(e->options->lr));
    }
    if (root && e->origin->name)
        json_object_set_new(root, "from",
                            json_pack("{s:s, s:s, s:s}", "name", e->origin->name, "source", e->origin->source,
                                      "fingerprint", e->origin->fingerprint));
    if (root && *e->teacher)
        json_object_set_new(
            root, "teacher",
            json_pack("{s:s, s:s}", "model", last_part(e->options->teacher, &n), "fingerprint", e->teacher));
    if (root && e->validation && isfinite(e->validation->accuracy))
        json_object_set_new(root, "validation_accuracy", json_real(e->validation->accuracy));
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    return text;
}

// What the weights began as goes on to hold for them.
static char *licence_of(const fn_export *e) {
    static const char own[] = "weights: of whoever trained them\ndata: see facenet.training";
    if (e->origin->name && *e->origin->licence)
        return fn_asprintf("trained further from %s:\n%s\nfurther training:\n%s", e->origin->name,
                           e->origin->licence, own);
    return fn_asprintf("code: Apache-2.0\n%s", own);
}

int fn_export_write(const char *path, const fn_graph *graph, const fn_export *export) {
    fn_metadata metadata = {0};
    char *training = provenance(export), *licence = licence_of(export);
    char *name = fn_asprintf("%s-%s", export->network, export->options->loss);
    char *description =
        fn_asprintf("trained by facenet: %s, %s loss", export->network, export->options->loss);
    int rc = training && licence && name && description ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        const fn_stamp stamp = {.name = name,
                                .role = "embedder",
                                .description = description,
                                .licence = licence,
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
    fn_free(licence);
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
