// SPDX-License-Identifier: Apache-2.0
//
// Reading models/catalogue.json, which is built into the library. Names, hashes and licences stay where
// jansson put them; nothing is copied.
#include "model/catalogue.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "model/embedded.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// A text field; missing ones are an error unless `optional`, then NULL.
static int text_of(const char **out, const json_t *object, const char *key, int optional) {
    const json_t *value = json_object_get(object, key);
    *out = json_string_value(value);
    if (*out || (optional && !value))
        return FN_OK;
    return fn_fail(FN_EFORMAT, "catalogue: '%s' is missing or not a text", key);
}

static int number_of(float *out, const json_t *value, const char *what) {
    double number = json_number_value(value);
    if (!json_is_number(value) || !isfinite((float)number))
        return fn_fail(FN_EFORMAT, "catalogue: %s is not a number", what);
    *out = (float)number;
    return FN_OK;
}

static int read_package(fn_catalogue_package *out, const json_t *object) {
    int rc = text_of(&out->package, object, "package", 0);
    if (rc == FN_OK)
        rc = text_of(&out->version, object, "version", 0);
    if (rc == FN_OK)
        rc = text_of(&out->file, object, "file", 0);
    if (rc == FN_OK)
        rc = text_of(&out->sha512, object, "sha512", 0);
    if (rc == FN_OK && strchr(out->file, '/'))
        rc = fn_fail(FN_EFORMAT, "catalogue: '%s' is not a plain file name", out->file);
    return rc;
}

static int read_input(fn_input_spec *out, const json_t *object) {
    const json_t *mean = json_object_get(object, "mean");
    const char *color;
    out->width = (int)json_integer_value(json_object_get(object, "width"));
    out->height = (int)json_integer_value(json_object_get(object, "height"));
    int rc = text_of(&color, object, "color", 0);
    if (rc == FN_OK && (out->width < 1 || out->height < 1 || json_array_size(mean) != 3))
        rc = fn_fail(FN_EFORMAT, "catalogue: the input lacks width, height or three means");
    for (size_t i = 0; rc == FN_OK && i < 3; i++)
        rc = number_of(&out->mean[i], json_array_get(mean, i), "a mean");
    if (rc == FN_OK)
        rc = number_of(&out->scale, json_object_get(object, "scale"), "the scale");
    if (rc == FN_OK)
        out->bgr = strcmp(color, "bgr") == 0;
    return rc;
}

static int read_files(fn_catalogue_model *out, const json_t *files) {
    size_t n = json_array_size(files);
    if (n < 1 || n > FN_CATALOGUE_MAX_FILES)
        return fn_fail(FN_EFORMAT, "catalogue: '%s' has %zu files", out->name, n);
    int rc = FN_OK;
    for (size_t i = 0; rc == FN_OK && i < n; i++) {
        rc = text_of(&out->files[i].member, json_array_get(files, i), "member", 0);
        if (rc == FN_OK)
            rc = text_of(&out->files[i].sha256, json_array_get(files, i), "sha256", 0);
    }
    out->n_files = (int)n;
    return rc;
}

static int read_outputs(fn_catalogue_model *out, const json_t *outputs) {
    size_t n = json_array_size(outputs);
    if (n > FN_CATALOGUE_MAX_OUTPUTS)
        return fn_fail(FN_EFORMAT, "catalogue: '%s' has %zu outputs", out->name, n);
    for (size_t i = 0; i < n; i++) {
        const json_t *pair = json_array_get(outputs, i);
        out->output_from[i] = json_string_value(json_array_get(pair, 0));
        out->output_to[i] = json_string_value(json_array_get(pair, 1));
        if (!out->output_from[i] || !out->output_to[i])
            return fn_fail(FN_EFORMAT, "catalogue: an output of '%s' is not a pair of names", out->name);
    }
    out->n_outputs = (int)n;
    return FN_OK;
}

static int read_model(fn_catalogue *catalogue, fn_catalogue_model *out, const json_t *object) {
    const json_t *licence = json_object_get(object, "licence");
    const char *package;
    const struct {
        const char **out;
        const json_t *object;
        const char *key;
        int optional;
    } texts[] = {
        {&out->name, object, "name", 0},
        {&out->role, object, "role", 0},
        {&out->description, object, "description", 0},
        {&out->note, object, "note", 1},
        {&out->importer, object, "importer", 0},
        {&out->architecture, object, "architecture", 1},
        {&out->template_name, object, "template", 1},
        {&out->licence_code, licence, "code", 0},
        {&out->licence_weights, licence, "weights", 0},
        {&out->licence_data, licence, "data", 0},
        {&package, object, "package", 0},
    };
    int rc = FN_OK;
    for (size_t i = 0; rc == FN_OK && i < sizeof texts / sizeof texts[0]; i++)
        rc = text_of(texts[i].out, texts[i].object, texts[i].key, texts[i].optional);
    if (rc == FN_OK)
        rc = read_files(out, json_object_get(object, "files"));
    if (rc == FN_OK)
        rc = read_input(&out->input, json_object_get(object, "input"));
    if (rc == FN_OK)
        rc = read_outputs(out, json_object_get(object, "outputs"));
    if (rc < 0)
        return rc;
    out->is_default = json_is_true(json_object_get(object, "default"));
    out->any_size = json_is_true(json_object_get(object, "any_size"));
    out->unit_length = json_is_true(json_object_get(object, "unit_length"));
    out->projection = (int)json_integer_value(json_object_get(object, "projection"));
    for (int i = 0; i < catalogue->n_packages; i++)
        if (strcmp(catalogue->packages[i].package, package) == 0)
            out->package = &catalogue->packages[i];
    return out->package
               ? FN_OK
               : fn_fail(FN_EFORMAT, "catalogue: '%s' comes from unknown package '%s'", out->name, package);
}

int fn_catalogue_parse(fn_catalogue *out, const char *text, size_t n) {
    memset(out, 0, sizeof *out);
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return fn_fail(FN_EFORMAT, "catalogue: %s, line %d", error.text, error.line);
    out->json = root;
    const json_t *packages = json_object_get(root, "packages"), *models = json_object_get(root, "models");
    size_t n_packages = json_array_size(packages), n_models = json_array_size(models);
    out->packages = fn_calloc(n_packages, sizeof *out->packages);
    out->models = fn_calloc(n_models, sizeof *out->models);
    int rc = out->packages && out->models ? FN_OK : fn_fail_memory();
    for (size_t i = 0; rc == FN_OK && i < n_packages; i++) {
        rc = read_package(&out->packages[i], json_array_get(packages, i));
        out->n_packages++;
    }
    for (size_t i = 0; rc == FN_OK && i < n_models; i++) {
        rc = read_model(out, &out->models[i], json_array_get(models, i));
        out->n_models++;
    }
    if (rc < 0)
        fn_catalogue_clear(out);
    return rc;
}

void fn_catalogue_clear(fn_catalogue *catalogue) {
    fn_free(catalogue->packages);
    fn_free(catalogue->models);
    json_decref(catalogue->json);
    memset(catalogue, 0, sizeof *catalogue);
}

static const fn_embedded_file *embedded(const char *name) {
    for (int i = 0; i < fn_embedded_count; i++)
        if (strcmp(fn_embedded_files[i].name, name) == 0)
            return &fn_embedded_files[i];
    return NULL;
}

static const char *calibration_of(const char *model, const char *kind) {
    char name[128];
    snprintf(name, sizeof name, "%.64s%s.calibration.json", model, kind);
    const fn_embedded_file *file = embedded(name);
    return file ? file->text : NULL;
}

int fn_catalogue_open(const fn_catalogue **out) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static fn_catalogue built_in;
    int rc = FN_OK;
    pthread_mutex_lock(&lock);
    if (!built_in.json) { // not read yet, or memory was short the last time
        const fn_embedded_file *file = embedded("catalogue.json");
        rc = file ? fn_catalogue_parse(&built_in, file->text, file->n)
                  : fn_fail(FN_EINTERNAL, "the catalogue is not built in");
        for (int i = 0; rc == FN_OK && i < built_in.n_models; i++) {
            fn_catalogue_model *model = &built_in.models[i];
            model->calibration = calibration_of(model->name, "");
            model->calibration_mirror = calibration_of(model->name, ".mirror");
        }
    }
    pthread_mutex_unlock(&lock);
    *out = &built_in;
    return rc;
}

int fn_catalogue_find(const fn_catalogue_model **out, const char *name) {
    const fn_catalogue *catalogue;
    int rc = fn_catalogue_open(&catalogue);
    if (rc < 0)
        return rc;
    fn_buf names;
    fn_buf_init(&names, 512);
    for (int i = 0; i < catalogue->n_models; i++) {
        if (strcmp(catalogue->models[i].name, name) == 0) {
            *out = &catalogue->models[i];
            fn_buf_free(&names);
            return FN_OK;
        }
        fn_buf_printf(&names, "%s%s", i ? ", " : "", catalogue->models[i].name);
    }
    rc = fn_fail(FN_EMODEL, "no model is called '%.80s'; there are: %s", name, names.data ? names.data : "");
    fn_buf_free(&names);
    return rc;
}

int fn_catalogue_len(void) {
    const fn_catalogue *catalogue;
    return fn_catalogue_open(&catalogue) < 0 ? 0 : catalogue->n_models;
}

int fn_catalogue_get(fn_model_entry *out, int index, const char *directory) {
    const fn_catalogue *catalogue;
    memset(out, 0, sizeof *out);
    int rc = fn_catalogue_open(&catalogue);
    if (rc < 0)
        return rc;
    if (index < 0 || index >= catalogue->n_models)
        return fn_fail(FN_EINVAL, "the catalogue has no entry %d", index);
    const fn_catalogue_model *m = &catalogue->models[index];
    char *folder = directory ? fn_strdup(directory) : fn_path_data("models");
    char *path = folder ? fn_asprintf("%s/%s.onnx", folder, m->name) : NULL;
    if (!path) {
        fn_free(folder);
        return directory || folder ? fn_fail_memory() : FN_EIO; // fn_path_data has noted why
    }
    *out = (fn_model_entry){.name = m->name,
                            .role = m->role,
                            .description = m->description,
                            .package = m->package->package,
                            .package_version = m->package->version,
                            .licence_code = m->licence_code,
                            .licence_weights = m->licence_weights,
                            .licence_data = m->licence_data,
                            .is_default = m->is_default,
                            .is_installed = access(path, R_OK) == 0};
    fn_free(folder);
    fn_free(path);
    return FN_OK;
}
