// SPDX-License-Identifier: Apache-2.0
//
// A calibration as JSON text, as it travels in a model's metadata:
// {"version": 1, "data": "...", "pipeline_id": "...", "n_same": N, "n_different": N,
//  "rows": [[distance, fmr, fnmr], ...]}. Numbers carry 17 digits, so that reading gives back the same.
#include "match/calibration.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { FORMAT_VERSION = 1, MAX_TEXT = 16 << 20 };

void fn_string_free(char *string) {
    fn_free(string);
}

static int append(const char *bytes, size_t n, void *buf) {
    return fn_buf_append(buf, bytes, n) == FN_OK ? 0 : -1;
}

int fn_calibration_json(char **out, const fn_calibration *calibration) {
    const fn_calibration *c = calibration;
    int rc = FN_OK;
    fn_buf buf;
    fn_buf_init(&buf, MAX_TEXT);
    *out = NULL;
    json_t *rows = json_array();
    for (size_t i = 0; i < c->n_rows; i++)
        if (json_array_append_new(
                rows, json_pack("[f,f,f]", c->rows[i].distance, c->rows[i].fmr, c->rows[i].fnmr))) {
            json_decref(rows);
            return fn_fail_memory();
        }
    json_t *root = json_pack("{s:i, s:s, s:s, s:I, s:I, s:o}", "version", FORMAT_VERSION, "data", c->data,
                             "pipeline_id", c->pipeline_id, "n_same", (json_int_t)c->n_same, "n_different",
                             (json_int_t)c->n_different, "rows", rows);
    if (!root)
        return fn_fail_memory();
    if (json_dump_callback(root, append, &buf, JSON_COMPACT | JSON_REAL_PRECISION(17)))
        rc = buf.failed ? buf.failed : fn_fail_memory();
    json_decref(root);
    if (rc == FN_OK)
        *out = fn_buf_take(&buf);
    fn_buf_free(&buf);
    return rc;
}

static int read_rows(fn_calibration *c, const json_t *rows) {
    fn_calibration_row before = {-1, 0, 1};
    for (size_t i = 0; i < c->n_rows; i++) {
        const json_t *triple = json_array_get(rows, i);
        double v[3];
        for (size_t k = 0; k < 3; k++) {
            const json_t *number = json_array_get(triple, k);
            v[k] = json_is_number(number) ? json_number_value(number) : NAN;
        }
        if (json_array_size(triple) != 3 || !(v[0] >= 0 && v[0] <= FN_DISTANCE_MAX) ||
            !(v[1] >= 0 && v[1] <= 1) || !(v[2] >= 0 && v[2] <= 1))
            return fn_fail(FN_EFORMAT, "calibration: row %zu is not [distance 0..2, FMR 0..1, FNMR 0..1]", i);
        fn_calibration_row row = {v[0], v[1], v[2]};
        if (row.distance <= before.distance || row.fmr < before.fmr || row.fnmr > before.fnmr)
            return fn_fail(FN_EFORMAT,
                           "calibration: row %zu: distance and FMR must rise and FNMR fall along the rows",
                           i);
        c->rows[i] = before = row;
    }
    return FN_OK;
}

int fn_calibration_parse(fn_calibration **out, const char *json) {
    *out = NULL;
    if (!json || !json[0])
        return fn_fail(FN_EFORMAT, "calibration: empty");
    size_t n = strlen(json);
    if (n > MAX_TEXT)
        return fn_fail(FN_EFORMAT, "calibration: %zu bytes, the limit is %d", n, MAX_TEXT);
    int rc = FN_OK;
    fn_calibration *c = NULL;
    json_error_t error;
    json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return fn_fail_memory();
    if (!root)
        return fn_fail(FN_EFORMAT, "calibration: byte %d: %s", error.position, error.text);

    const json_t *version = json_object_get(root, "version");
    const json_t *n_same = json_object_get(root, "n_same");
    const json_t *n_different = json_object_get(root, "n_different");
    const json_t *rows = json_object_get(root, "rows");
    const char *data = json_string_value(json_object_get(root, "data"));
    const char *pipeline_id = json_string_value(json_object_get(root, "pipeline_id"));
    if (!json_is_integer(version) || !data || !pipeline_id || !json_is_array(rows)) {
        rc = fn_fail(FN_EFORMAT, "calibration: version, data, pipeline_id or rows is missing");
    } else if (json_integer_value(version) != FORMAT_VERSION) {
        rc = fn_fail(FN_EFORMAT, "calibration: version %lld, this program reads version %d",
                     (long long)json_integer_value(version), FORMAT_VERSION);
    } else if (json_integer_value(n_same) < 1 || json_integer_value(n_different) < 1) {
        rc = fn_fail(FN_EFORMAT, "calibration: n_same and n_different must be 1 or more");
    } else if (json_array_size(rows) < 1 || json_array_size(rows) > FN_CALIBRATION_MAX_ROWS) {
        rc = fn_fail(FN_EFORMAT, "calibration: %zu rows, expected 1 to %d", json_array_size(rows),
                     FN_CALIBRATION_MAX_ROWS);
    } else {
        rc = fn_calibration_new(&c, data, pipeline_id, json_array_size(rows));
        if (rc == FN_OK) {
            c->n_same = (uint64_t)json_integer_value(n_same);
            c->n_different = (uint64_t)json_integer_value(n_different);
            rc = read_rows(c, rows);
        }
    }
    json_decref(root);
    if (rc != FN_OK) {
        fn_calibration_free(c);
        return rc;
    }
    *out = c;
    return FN_OK;
}
