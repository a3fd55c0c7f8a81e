// SPDX-License-Identifier: Apache-2.0
#include "embed/compatible.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "embed/embedder.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 1 << 16 };

static int is_fingerprint(const char *text) {
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int read_entry(fn_compatibles *out, const json_t *entry) {
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *plain = json_string_value(json_object_get(entry, "fingerprint"));
    const char *mirror = json_string_value(json_object_get(entry, "mirror"));
    if (!name || !is_fingerprint(plain) || !is_fingerprint(mirror) || strcmp(plain, mirror) == 0)
        return fn_fail(FN_EFORMAT, "facenet.compatible_with: entry %d wants name, fingerprint and mirror",
                       out->n);
    for (int i = 0; i < out->n; i++)
        if (strcmp(out->data[i].plain, plain) == 0 || strcmp(out->data[i].mirror, mirror) == 0)
            return fn_fail(FN_EFORMAT, "facenet.compatible_with: entry %d is there already", out->n);
    fn_compatible *c = &out->data[out->n];
    if (!(c->name = fn_strdup(name)))
        return fn_fail_memory();
    memcpy(c->plain, plain, sizeof c->plain);
    memcpy(c->mirror, mirror, sizeof c->mirror);
    out->n++;
    return FN_OK;
}

int fn_compatibles_parse(fn_compatibles *out, const char *json) {
    *out = (fn_compatibles){.n = 0};
    if (!json)
        return FN_OK;
    json_error_t error;
    json_t *root = strlen(json) <= MAX_TEXT ? json_loads(json, JSON_REJECT_DUPLICATES, &error) : NULL;
    int rc = FN_OK;
    if (!json_is_array(root) || json_array_size(root) > FN_COMPATIBLE_MAX)
        rc = fn_fail(FN_EFORMAT, "facenet.compatible_with: a list of at most %d models is wanted",
                     FN_COMPATIBLE_MAX);
    for (size_t i = 0; rc == FN_OK && i < json_array_size(root); i++)
        rc = read_entry(out, json_array_get(root, i));
    json_decref(root);
    if (rc < 0)
        fn_compatibles_free(out);
    return rc;
}

void fn_compatibles_free(fn_compatibles *compatibles) {
    for (int i = 0; i < compatibles->n; i++)
        fn_free(compatibles->data[i].name);
    *compatibles = (fn_compatibles){.n = 0};
}

void fn_compatible_key(char key[FN_AGAINST_KEY_SIZE], const char *fingerprint) {
    snprintf(key, FN_AGAINST_KEY_SIZE, "facenet.calibration.against.%.64s", fingerprint);
}

static json_t *entry_of(const char *name, const char *plain, const char *mirror) {
    return json_pack("{s:s, s:s, s:s}", "name", name, "fingerprint", plain, "mirror", mirror);
}

char *fn_compatibles_after(const fn_embedder *older) {
    const fn_compatibles *before = fn_embedder_compatibles(older);
    json_t *root = json_array();
    int failed =
        json_array_append_new(root, entry_of(fn_embedder_name(older), fn_embedder_fingerprint_of(older, 0),
                                             fn_embedder_fingerprint_of(older, 1)));
    for (int i = 0; i < before->n && i + 1 < FN_COMPATIBLE_MAX; i++) {
        const fn_compatible *c = &before->data[i];
        failed |= json_array_append_new(root, entry_of(c->name, c->plain, c->mirror));
    }
    char text[MAX_TEXT];
    const size_t n = failed ? 0 : json_dumpb(root, text, sizeof text, JSON_COMPACT);
    json_decref(root);
    if (n == 0 || n >= sizeof text) {
        fn_fail_memory();
        return NULL;
    }
    return fn_strndup(text, n);
}
