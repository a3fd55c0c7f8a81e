// SPDX-License-Identifier: Apache-2.0
//
// From a name of the catalogue to a model file: the package, its members with their hashes, the importer,
// the metadata, the file. Everything is in memory until the file is complete.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/arch.h"
#include "model/catalogue.h"
#include "model/import_tflite.h"
#include "model/package.h"
#include "model/projection.h"
#include "model/rewrite.h"
#include "model/stamp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// The members of the package that a model is made of.
typedef struct members {
    unsigned char *bytes[FN_CATALOGUE_MAX_FILES];
    size_t n[FN_CATALOGUE_MAX_FILES];
} members;

static void free_members(members *m) {
    for (int i = 0; i < FN_CATALOGUE_MAX_FILES; i++)
        fn_free(m->bytes[i]);
}

static int read_members(members *out, const fn_catalogue_model *model, const fn_pull_options *options,
                        const fn_control *control) {
    int fd;
    int rc = fn_package_open(&fd, model->package, options, control);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == FN_OK && i < model->n_files; i++) {
        char hex[65];
        rc = fn_package_read(&out->bytes[i], &out->n[i], fd, model->package, model->files[i].member);
        if (rc < 0)
            break;
        fn_sha256_hex(hex, out->bytes[i], out->n[i]);
        if (strcmp(hex, model->files[i].sha256) != 0)
            rc = fn_fail(FN_EMODEL, "%s@%s: '%s' is not the file of the catalogue (SHA-256 differs)",
                         model->package->package, model->package->version, model->files[i].member);
    }
    close(fd);
    return rc;
}

/// tfjs: the first member is the manifest, the others are its files.
static int import_tfjs(fn_graph **out, const fn_catalogue_model *model, const members *m) {
    fn_tfjs_part parts[FN_CATALOGUE_MAX_FILES];
    fn_tfjs *weights = NULL;
    fn_graph *graph = NULL;
    fn_arch *build = model->architecture ? fn_arch_find(model->architecture) : NULL;
    if (!build)
        return fn_fail(FN_EINTERNAL, "catalogue: '%s' has no known architecture", model->name);
    for (int i = 1; i < model->n_files; i++)
        parts[i - 1] = (fn_tfjs_part){model->files[i].member, m->bytes[i], m->n[i]};
    int rc = fn_tfjs_open(&weights, m->bytes[0], m->n[0], parts, model->n_files - 1);
    if (rc == FN_OK)
        rc = fn_graph_open(&graph);
    if (rc == FN_OK) {
        build(graph, weights);
        rc = fn_graph_finish(graph);
    }
    if (rc == FN_OK) {
        *out = graph;
        graph = NULL;
    }
    fn_graph_free(graph);
    fn_tfjs_free(weights);
    return rc;
}

static int import(fn_graph **out, const fn_catalogue_model *model, const members *m) {
    if (strcmp(model->importer, "tfjs") == 0)
        return import_tfjs(out, model, m);
    if (strcmp(model->importer, "tflite") == 0)
        return fn_tflite_import(out, m->bytes[0], m->n[0],
                                &(fn_tflite_options){.any_size = model->any_size,
                                                     .n_outputs = model->n_outputs,
                                                     .from = model->output_from,
                                                     .to = model->output_to});
    return fn_fail(FN_EINTERNAL, "catalogue: '%s' names an unknown importer", model->name);
}

static int stamp(fn_metadata *metadata, const fn_graph *graph, const fn_catalogue_model *model,
                 const fn_projection *projection) {
    char names[FN_CATALOGUE_MAX_FILES][512], canonical[64], note[160];
    fn_stamp s = {.name = model->name,
                  .role = model->role,
                  .description = model->description,
                  .importer = model->importer,
                  .n_sources = model->n_files,
                  .input = model->input,
                  .unit_length = model->unit_length,
                  .calibration = model->calibration,
                  .calibration_mirror = model->calibration_mirror};
    for (int i = 0; i < model->n_files; i++) {
        snprintf(names[i], sizeof names[i], "%s@%s:%s", model->package->package, model->package->version,
                 model->files[i].member);
        s.sources[i].name = names[i];
        snprintf(s.sources[i].sha256, sizeof s.sources[i].sha256, "%s", model->files[i].sha256);
    }
    if (model->template_name && !(s.tmpl = fn_template_find(model->template_name)))
        return fn_fail(FN_EINTERNAL, "catalogue: '%s' names an unknown template", model->name);
    if (projection->to) {
        snprintf(canonical, sizeof canonical, "svd %d to %d", projection->from, projection->to);
        snprintf(note, sizeof note,
                 "%d numbers projected onto the %d leading left singular vectors; share of "
                 "energy left out: %.3e",
                 projection->from, projection->to, projection->discarded_energy);
        s.projection = canonical;
        s.projection_note = note;
    }
    char *licence = fn_asprintf("code: %s\nweights: %s\ndata: %s", model->licence_code,
                                model->licence_weights, model->licence_data);
    if (!licence)
        return fn_fail_memory();
    s.licence = licence;
    int rc = fn_stamp_write(metadata, graph, &s);
    fn_free(licence);
    return rc;
}

static void tell(const fn_catalogue_model *model, const fn_control *control) {
    const char *name = model->name;
    fn_control_log(control, FN_LOG_INFO, "%s: %s", name, model->description);
    fn_control_log(control, FN_LOG_INFO, "%s: from %s@%s", name, model->package->package,
                   model->package->version);
    fn_control_log(control, FN_LOG_INFO, "%s: licence of the code: %s", name, model->licence_code);
    fn_control_log(control, FN_LOG_INFO, "%s: licence of the weights: %s", name, model->licence_weights);
    fn_control_log(control, FN_LOG_INFO, "%s: training data: %s", name, model->licence_data);
    if (model->note)
        fn_control_log(control, FN_LOG_INFO, "%s: note: %s", name, model->note);
}

/// Fetches, imports and writes one model to `path`.
static int pull(const fn_catalogue_model *model, const char *path, const fn_pull_options *options,
                const fn_control *control) {
    members m = {0};
    fn_graph *graph = NULL;
    fn_metadata metadata = {0};
    fn_projection projection = {0};
    tell(model, control);
    int rc = read_members(&m, model, options, control);
    if (rc == FN_OK)
        rc = import(&graph, model, &m);
    if (rc == FN_OK && model->projection) {
        rc = fn_project(&graph, model->projection, &projection);
        if (rc == FN_OK)
            fn_control_log(control, FN_LOG_INFO,
                           "%s: %d numbers projected to %d; share of energy left out: %.3e", model->name,
                           projection.from, projection.to, projection.discarded_energy);
    }
    if (rc == FN_OK)
        rc = stamp(&metadata, graph, model, &projection);
    if (rc == FN_OK)
        rc = fn_stamp_save(path, graph, &metadata);
    fn_metadata_free(&metadata);
    fn_graph_free(graph);
    free_members(&m);
    return rc;
}

/// An installed model gets the calibration of this library where its own is another: the network and its
/// fingerprint stay as they are.
static int refresh_calibration(const fn_catalogue_model *model, const char *path, const fn_control *control) {
    if (!model->calibration && !model->calibration_mirror)
        return FN_OK;
    int changed;
    const fn_model_entry_change entries[] = {{"facenet.calibration", model->calibration},
                                             {"facenet.calibration.mirror", model->calibration_mirror}};
    int rc = fn_model_rewrite(path, entries, 2, &changed);
    if (rc == FN_OK && changed)
        fn_control_log(control, FN_LOG_INFO, "%s: has a new calibration", model->name);
    return rc;
}

int fn_model_pull(const char *name, const fn_pull_options *options, const fn_control *control) {
    const fn_catalogue_model *model;
    fn_pull_options checked;
    int rc = fn_pull_options_check(&checked, options);
    if (rc == FN_OK)
        rc = fn_catalogue_find(&model, name);
    if (rc == FN_OK)
        rc = fn_control_step(control, 0, 1);
    if (rc < 0)
        return rc;
    char *path = NULL;
    char *directory = checked.directory ? fn_strdup(checked.directory) : fn_path_data("models");
    if (!directory)
        return checked.directory ? fn_fail_memory() : FN_EIO; // fn_path_data has noted why
    path = fn_asprintf("%s/%s.onnx", directory, model->name);
    if (!path) {
        rc = fn_fail_memory();
        goto out;
    }
    if (!checked.force && access(path, F_OK) == 0) {
        if (fn_model_verify(name, directory) == FN_OK) {
            rc = refresh_calibration(model, path, control);
            goto out;
        }
        fn_control_log(control, FN_LOG_WARNING, "%s is imported again: %s", name, fn_last_error());
    }
    rc = fn_mkdirs(directory, 0755);
    if (rc == FN_OK)
        rc = pull(model, path, &checked, control);
    if (rc == FN_OK)
        rc = fn_control_step(control, 1, 1);
    else
        rc = fn_fail_prefix(rc, "%s", name);
out:
    fn_free(path);
    fn_free(directory);
    return rc;
}
