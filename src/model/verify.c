// SPDX-License-Identifier: Apache-2.0
//
// Checks an installed model: the bytes are those noted at import (NAME.sha256 beside NAME.onnx), the
// metadata is complete, and the network is the one that the canonical text speaks of.
#include "model/model.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/fingerprint.h"
#include "model/onnx.h"

#include <string.h>

#define MAX_FILE_BYTES ((uint64_t)1 << 30)

/// The file's bytes, whose SHA-256 is the one noted beside it.
static int check_bytes(unsigned char **bytes, size_t *n, const char *path) {
    char hex[65];
    unsigned char *noted = NULL;
    size_t n_noted;
    int rc = fn_read_file(bytes, n, path, MAX_FILE_BYTES);
    if (rc < 0)
        return rc;
    char *note = fn_asprintf("%.*s.sha256", (int)(strlen(path) - strlen(".onnx")), path);
    if (!note)
        return fn_fail_memory();
    rc = fn_read_file(&noted, &n_noted, note, 4096);
    fn_free(note);
    if (rc < 0)
        return rc;
    fn_sha256_hex(hex, *bytes, *n);
    if (n_noted < 64 || memcmp(noted, hex, 64) != 0)
        rc = fn_fail(FN_EMODEL, "%s: the file has changed since it was imported (SHA-256 %s)", path, hex);
    fn_free(noted);
    return rc;
}

static int check_metadata(const fn_metadata *metadata, const char *name) {
    static const char *const required[] = {"facenet.format",   "facenet.name",    "facenet.role",
                                           "facenet.source",   "facenet.licence", "facenet.input",
                                           "facenet.canonical"};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        if (!fn_metadata_get(metadata, required[i]))
            return fn_fail(FN_EMODEL, "metadata '%s' is missing", required[i]);
    if (strcmp(fn_metadata_get(metadata, "facenet.format"), "1") != 0)
        return fn_fail(FN_EMODEL, "metadata of format '%.20s', not 1",
                       fn_metadata_get(metadata, "facenet.format"));
    if (strcmp(fn_metadata_get(metadata, "facenet.name"), name) != 0)
        return fn_fail(FN_EMODEL, "the file says that it is '%.80s'",
                       fn_metadata_get(metadata, "facenet.name"));
    int is_embedder = strcmp(fn_metadata_get(metadata, "facenet.role"), "embedder") == 0;
    if (is_embedder && !fn_metadata_get(metadata, "facenet.template"))
        return fn_fail(FN_EMODEL, "metadata 'facenet.template' is missing");
    fn_input_spec input;
    int rc = fn_input_spec_parse(&input, fn_metadata_get(metadata, "facenet.input"));
    return rc < 0 ? FN_EMODEL : FN_OK;
}

static int check_canonical(const fn_graph *graph, const fn_metadata *metadata) {
    char said[65] = "", found[65];
    int rc = fn_graph_sha256(found, graph);
    if (rc < 0)
        return rc;
    fn_canonical_get(said, sizeof said, fn_metadata_get(metadata, "facenet.canonical"), "graph");
    return strcmp(said, found) == 0
               ? FN_OK
               : fn_fail(FN_EMODEL, "the network is not the one its canonical text speaks of");
}

int fn_model_verify(const char *name, const char *directory) {
    unsigned char *bytes = NULL;
    size_t n;
    fn_graph *graph = NULL;
    fn_metadata metadata = {0};
    if (!name || !*name || strchr(name, '/'))
        return fn_fail(FN_EINVAL, "verifying needs the name of an installed model");
    char *path = fn_model_path(directory, name);
    if (!path)
        return FN_EMODEL;
    int rc = check_bytes(&bytes, &n, path);
    if (rc == FN_OK)
        rc = fn_onnx_read(&graph, &metadata, bytes, n, path);
    if (rc == FN_OK)
        rc = check_metadata(&metadata, name);
    if (rc == FN_OK)
        rc = check_canonical(graph, &metadata);
    fn_graph_free(graph);
    fn_metadata_free(&metadata);
    fn_free(bytes);
    fn_free(path);
    if (rc < 0 && rc != FN_ENOMEM)
        rc = fn_fail(FN_EMODEL, "model '%.80s' does not verify: %s; run: facenet model pull --force %.80s",
                     name, fn_last_error(), name);
    return rc;
}
