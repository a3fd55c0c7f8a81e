// SPDX-License-Identifier: Apache-2.0
//
// Lines of measurements: appended by one write each, cut back when a run resumes, read for the report.
#include "train/metrics.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LINE = 1 << 20, DIGITS = 9 };
#define MAX_FILE ((uint64_t)1 << 32)

struct fn_metrics {
    char *path;
    int fd;
    fn_buf line;
};

// The record of a line of n bytes, or NULL with the error noted.
static json_t *parse(const char *line, size_t n, const char *path, size_t row) {
    json_error_t error;
    json_t *record = json_loadb(line, n, 0, &error);
    if (json_is_object(record) && json_is_string(json_object_get(record, "kind")) &&
        json_is_integer(json_object_get(record, "step")))
        return record;
    json_decref(record);
    fn_fail(FN_EFORMAT, "%s: line %zu is no record of measurements: move the file away", path, row);
    return NULL;
}

// Walks over the whole lines of a text; a last line without its end is passed over.
typedef struct lines {
    const char *at, *end, *line;
    size_t n, row;
} lines;

static int next_line(lines *l) {
    const char *stop = l->at < l->end ? memchr(l->at, '\n', (size_t)(l->end - l->at)) : NULL;
    if (!stop)
        return 0;
    l->line = l->at;
    l->n = (size_t)(stop - l->at);
    l->at = stop + 1;
    l->row++;
    return 1;
}

// Removes what came after `step`. The lines kept are moved to the front of the text.
static int cut(const char *path, uint64_t step) {
    unsigned char *text;
    size_t n, kept = 0;
    int rc = fn_read_file(&text, &n, path, MAX_FILE);
    if (rc < 0)
        return rc;
    lines l = {.at = (char *)text, .end = (char *)text + n};
    while (rc == FN_OK && next_line(&l)) {
        json_t *record = parse(l.line, l.n, path, l.row);
        if (!record) {
            rc = FN_EFORMAT;
            break;
        }
        if ((uint64_t)json_integer_value(json_object_get(record, "step")) <= step) {
            memmove(text + kept, l.line, l.n + 1);
            kept += l.n + 1;
        }
        json_decref(record);
    }
    if (rc == FN_OK && kept < n)
        rc = fn_write_file(path, text, kept, 0600);
    fn_free(text);
    return rc;
}

int fn_metrics_open(fn_metrics **out, const char *path, uint64_t step) {
    *out = NULL;
    int rc = access(path, F_OK) == 0 ? cut(path, step) : FN_OK;
    if (rc < 0)
        return rc;
    fn_metrics *m = fn_calloc(1, sizeof *m);
    if (!m)
        return fn_fail_memory();
    fn_buf_init(&m->line, MAX_LINE);
    m->fd = -1;
    m->path = fn_strdup(path);
    if (!m->path) {
        rc = fn_fail_memory();
    } else {
        m->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (m->fd < 0)
            rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    }
    if (rc < 0)
        fn_metrics_free(m);
    else
        *out = m;
    return rc;
}

void fn_metrics_free(fn_metrics *metrics) {
    if (!metrics)
        return;
    if (metrics->fd >= 0)
        close(metrics->fd);
    fn_buf_free(&metrics->line);
    fn_free(metrics->path);
    fn_free(metrics);
}

void fn_metrics_begin(fn_metrics *metrics, const char *kind, uint64_t step) {
    metrics->line.len = 0;
    metrics->line.failed = FN_OK;
    fn_buf_printf(&metrics->line, "{\"kind\":");
    fn_buf_json(&metrics->line, kind);
    fn_buf_printf(&metrics->line, ",\"step\":%" PRIu64, step);
}

static void put_key(fn_metrics *metrics, const char *key) {
    fn_buf_append(&metrics->line, ",", 1);
    fn_buf_json(&metrics->line, key);
    fn_buf_append(&metrics->line, ":", 1);
}

void fn_metrics_integer(fn_metrics *metrics, const char *key, int64_t value) {
    put_key(metrics, key);
    fn_buf_printf(&metrics->line, "%" PRId64, value);
}

void fn_metrics_real(fn_metrics *metrics, const char *key, double value) {
    char text[FN_NUMBER_SIZE];
    put_key(metrics, key);
    fn_buf_printf(&metrics->line, "%s", isfinite(value) ? fn_number_text(text, value, DIGITS) : "null");
}

void fn_metrics_text(fn_metrics *metrics, const char *key, const char *value) {
    put_key(metrics, key);
    fn_buf_json(&metrics->line, value);
}

int fn_metrics_end(fn_metrics *metrics) {
    fn_buf *line = &metrics->line;
    fn_buf_append(line, "}\n", 2);
    if (line->failed == FN_ENOMEM)
        return fn_fail_memory();
    if (line->failed)
        return fn_fail(FN_ELIMIT, "%s: a line of more than %d bytes", metrics->path, MAX_LINE);
    for (size_t at = 0; at < line->len;) {
        ssize_t done = write(metrics->fd, line->data + at, line->len - at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return fn_fail(FN_EIO, "%s: cannot be written: %s", metrics->path, strerror(errno));
        at += (size_t)done;
    }
    return FN_OK;
}

int fn_metrics_sync(fn_metrics *metrics) {
    if (fsync(metrics->fd))
        return fn_fail(FN_EIO, "%s: cannot be written: %s", metrics->path, strerror(errno));
    return FN_OK;
}

static int append(fn_series *s, size_t *capacity, double x, double y) {
    if (s->n == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 256;
        double *grown_x = fn_realloc(s->x, more, sizeof(double));
        if (grown_x)
            s->x = grown_x;
        double *grown_y = fn_realloc(s->y, more, sizeof(double));
        if (grown_y)
            s->y = grown_y;
        if (!grown_x || !grown_y)
            return fn_fail_memory();
        *capacity = more;
    }
    s->x[s->n] = x;
    s->y[s->n++] = y;
    return FN_OK;
}

static int collect(fn_series *out, size_t *capacity, const json_t *record, const char *const *keys,
                   int n_keys) {
    double step = json_number_value(json_object_get(record, "step"));
    int rc = FN_OK;
    for (int k = 0; k < n_keys && rc == FN_OK; k++) {
        const json_t *value = json_object_get(record, keys[k]);
        if (json_is_number(value))
            rc = append(&out[k], &capacity[k], step, json_number_value(value));
    }
    return rc;
}

int fn_metrics_read(fn_series *out, const char *path, const char *kind, const char *const *keys, int n_keys) {
    memset(out, 0, (size_t)n_keys * sizeof *out);
    if (access(path, F_OK) && errno == ENOENT)
        return FN_OK;
    unsigned char *text = NULL;
    size_t n;
    size_t *capacity = fn_calloc((size_t)n_keys, sizeof *capacity);
    int rc = capacity ? fn_read_file(&text, &n, path, MAX_FILE) : fn_fail_memory();
    if (rc == FN_OK) {
        lines l = {.at = (char *)text, .end = (char *)text + n};
        while (rc == FN_OK && next_line(&l)) {
            json_t *record = parse(l.line, l.n, path, l.row);
            if (!record)
                rc = FN_EFORMAT;
            else if (strcmp(json_string_value(json_object_get(record, "kind")), kind) == 0)
                rc = collect(out, capacity, record, keys, n_keys);
            json_decref(record);
        }
    }
    if (rc < 0)
        fn_series_free(out, n_keys);
    fn_free(text);
    fn_free(capacity);
    return rc;
}

void fn_series_free(fn_series *series, int n) {
    for (int k = 0; k < n; k++) {
        fn_free(series[k].x);
        fn_free(series[k].y);
        series[k] = (fn_series){0};
    }
}
