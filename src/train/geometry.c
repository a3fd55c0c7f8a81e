// SPDX-License-Identifier: Apache-2.0
//
// How crops were cut, as JSON.
#include "train/geometry.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_VERSION 1
#define MAX_BYTES 65536
#define MAX_SIDE 4096

/// An integer key within low..high.
static int get_int(int *out, const json_t *object, const char *key, int low, int high) {
    const json_t *value = json_object_get(object, key);
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < low || number > high)
        return 0;
    *out = (int)number;
    return 1;
}

/// A text of at most size - 1 bytes.
static int get_text(char *out, size_t size, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || strlen(text) >= size)
        return 0;
    memcpy(out, text, strlen(text) + 1);
    return 1;
}

static int parse(fn_crop_geometry *out, char pipeline[65], const unsigned char *bytes, size_t n) {
    int version;
    json_t *object = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, NULL);
    int good = get_int(&version, object, "facenet_dataset", FILE_VERSION, FILE_VERSION) &&
               get_text(out->template_name, sizeof out->template_name, object, "template_name") &&
               get_int(&out->width, object, "width", 1, MAX_SIDE) &&
               get_int(&out->height, object, "height", 1, MAX_SIDE) &&
               get_int(&out->margin, object, "margin", 0, MAX_SIDE) &&
               get_text(pipeline, 65, object, "pipeline") && *out->template_name;
    json_decref(object);
    return good;
}

int fn_geometry_read(fn_crop_geometry *out, char pipeline[65], const char *root) {
    char unused[65];
    unsigned char *bytes = NULL;
    size_t n;
    pipeline = pipeline ? pipeline : unused;
    *out = (fn_crop_geometry){0};
    *pipeline = 0;
    char *path = fn_path_join(root, FN_GEOMETRY_FILE);
    if (!path)
        return FN_ENOMEM;
    int rc = FN_OK;
    if (access(path, F_OK) == 0 || errno != ENOENT) {
        rc = fn_read_file(&bytes, &n, path, MAX_BYTES);
        if (rc == FN_OK && !parse(out, pipeline, bytes, n))
            rc = fn_fail(
                FN_EFORMAT,
                "%s: not a description of crops: delete this file; preparing the folder as before writes it "
                "again, and without it the crops count as whole boxes",
                path);
    }
    if (rc < 0)
        *out = (fn_crop_geometry){0};
    fn_free(bytes);
    fn_free(path);
    return rc;
}

int fn_geometry_write(const fn_crop_geometry *geometry, const fn_template *tmpl, const char *pipeline,
                      const char *detector, const char *root) {
    char *path = fn_path_join(root, FN_GEOMETRY_FILE);
    if (!path)
        return FN_ENOMEM;
    char *points = fn_template_text(tmpl);
    json_t *object = points
                         ? json_pack("{s:i, s:s, s:s, s:i, s:i, s:i, s:s, s:s}", "facenet_dataset",
                                     FILE_VERSION, "template_name", geometry->template_name, "template",
                                     points, "width", geometry->width, "height", geometry->height, "margin",
                                     geometry->margin, "pipeline", pipeline, "detector", detector)
                         : NULL;
    char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
    int rc = text ? fn_write_file(path, text, strlen(text), 0600) : fn_fail_memory();
    free(text);
    json_decref(object);
    fn_free(points);
    fn_free(path);
    return rc;
}
