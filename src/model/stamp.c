// SPDX-License-Identifier: Apache-2.0
//
// Writing metadata and model files. Numbers go through jansson, which writes them alike in every locale.
#include "model/stamp.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/// {"width":112,...} as model.h documents it. size: of dst.
static int input_json(char *dst, size_t size, const fn_input_spec *input) {
    json_t *object =
        json_pack("{s:i, s:i, s:s, s:[f, f, f], s:f}", "width", input->width, "height", input->height,
                  "color", input->bgr ? "bgr" : "rgb", "mean", (double)input->mean[0], (double)input->mean[1],
                  (double)input->mean[2], "scale", (double)input->scale);
    if (!object)
        return fn_fail_memory();
    size_t n = json_dumpb(object, dst, size, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (n == 0 || n >= size)
        return fn_fail(FN_EINTERNAL, "the input description does not fit");
    dst[n] = 0;
    return FN_OK;
}

static int canonical_of(char **out, const fn_graph *graph, const fn_stamp *stamp, const char *template_text) {
    const char *sources[FN_STAMP_MAX_SOURCES];
    for (int i = 0; i < stamp->n_sources; i++)
        sources[i] = stamp->sources[i].sha256;
    return fn_canonical_make(out, &(fn_canonical){.importer = stamp->importer,
                                                  .importer_version = FN_IMPORTER_VERSION,
                                                  .source_sha256 = sources,
                                                  .n_sources = stamp->n_sources,
                                                  .graph = graph,
                                                  .input = &stamp->input,
                                                  .template_text = template_text,
                                                  .projection = stamp->projection,
                                                  .unit_length = stamp->unit_length});
}

int fn_stamp_write(fn_metadata *metadata, const fn_graph *graph, const fn_stamp *stamp) {
    char input[512], *template_text = NULL, *canonical = NULL, *source = NULL;
    fn_buf sources;
    fn_buf_init(&sources, (size_t)1 << 16);
    int rc = input_json(input, sizeof input, &stamp->input);
    if (rc == FN_OK && stamp->tmpl && !(template_text = fn_template_text(stamp->tmpl)))
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = canonical_of(&canonical, graph, stamp, template_text);
    for (int i = 0; i < stamp->n_sources; i++)
        fn_buf_printf(&sources, "%s%s %s", i ? "\n" : "", stamp->sources[i].name, stamp->sources[i].sha256);
    if (rc == FN_OK && !(source = fn_buf_take(&sources)))
        rc = fn_fail_memory();
    const struct {
        const char *key, *value;
    } entries[] = {
        {"facenet.format", "1"},
        {"facenet.name", stamp->name},
        {"facenet.role", stamp->role},
        {"facenet.description", stamp->description},
        {"facenet.source", source},
        {"facenet.licence", stamp->licence},
        {"facenet.input", input},
        {"facenet.template", template_text},
        {"facenet.unit_length", stamp->unit_length ? "1" : "0"},
        {"facenet.projection", stamp->projection_note},
        {"facenet.canonical", canonical},
        {"facenet.calibration", stamp->calibration},
        {"facenet.calibration.mirror", stamp->calibration_mirror},
    };
    for (size_t i = 0; rc == FN_OK && i < sizeof entries / sizeof entries[0]; i++)
        rc = fn_metadata_set(metadata, entries[i].key, entries[i].value);
    fn_free(template_text);
    fn_free(canonical);
    fn_free(source);
    fn_buf_free(&sources);
    return rc;
}

int fn_stamp_save(const char *path, const fn_graph *graph, const fn_metadata *metadata) {
    void *bytes = NULL;
    size_t n, stem = strlen(path);
    char hex[65], *line = NULL, *sum_path = NULL;
    if (stem > 5 && strcmp(path + stem - 5, ".onnx") == 0)
        stem -= 5;
    int rc = fn_onnx_write(&bytes, &n, graph, metadata);
    if (rc < 0)
        return rc;
    fn_sha256_hex(hex, bytes, n);
    const char *slash = strrchr(path, '/');
    line = fn_asprintf("%s  %s\n", hex, slash ? slash + 1 : path);
    sum_path = fn_asprintf("%.*s.sha256", (int)stem, path);
    if (!line || !sum_path) {
        rc = fn_fail_memory();
        goto out;
    }
    // The small file first: when the disk is full the model that was there stays whole.
    int was_there = access(path, F_OK) == 0;
    rc = fn_write_file(sum_path, line, strlen(line), 0644);
    if (rc == FN_OK && (rc = fn_write_file(path, bytes, n, 0644)) < 0 && !was_there)
        unlink(sum_path);
out:
    fn_free(line);
    fn_free(sum_path);
    fn_free(bytes);
    return rc;
}
