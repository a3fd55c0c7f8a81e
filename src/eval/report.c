// SPDX-License-Identifier: Apache-2.0
//
// Reports as JSON, by jansson.
#include "eval/report.h"

#include "base/buf.h"
#include "base/error.h"

#include <math.h>
#include <stdio.h>

enum { MAX_TEXT = 16 << 20, DIGITS = 12 };

static void set(fn_report *report, const char *key, json_t *value) {
    if (json_object_set_new(report->root, key, value)) // fails for NULL values too
        report->failed = 1;
}

static void set_part(fn_report *report, const char *key, const char *part, json_t *value) {
    char name[96];
    snprintf(name, sizeof name, "%s_%s", key, part);
    set(report, name, value);
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

void fn_report_open(fn_report *report, const char *protocol, fn_recognizer *recognizer) {
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    *report = (fn_report){.root = json_object()};
    set(report, "protocol", json_string(protocol));
    set(report, "model", json_string(fn_embedder_name(embedder)));
    set(report, "fingerprint", json_string(fn_embedder_fingerprint(embedder)));
    set(report, "pipeline_id", json_string(fn_recognizer_pipeline_id(recognizer)));
}

static int append(const char *bytes, size_t n, void *buf) {
    return fn_buf_append(buf, bytes, n) == FN_OK ? 0 : -1;
}

int fn_report_close(fn_report *report, char **out) {
    fn_buf buf;
    fn_buf_init(&buf, MAX_TEXT);
    if (report->failed ||
        json_dump_callback(report->root, append, &buf, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)))
        report->failed = 1;
    json_decref(report->root);
    if (!report->failed)
        *out = fn_buf_take(&buf);
    fn_buf_free(&buf);
    return report->failed ? fn_fail_memory() : FN_OK;
}

void fn_report_integer(fn_report *report, const char *key, uint64_t value) {
    set(report, key, json_integer((json_int_t)value));
}

void fn_report_real(fn_report *report, const char *key, double value) {
    set(report, key, real(value));
}

void fn_report_interval(fn_report *report, const char *key, fn_interval interval) {
    json_t *pair = json_array();
    if (json_array_append_new(pair, real(interval.low)) || json_array_append_new(pair, real(interval.high)))
        report->failed = 1;
    set_part(report, key, "interval", pair);
}

void fn_report_rate(fn_report *report, const char *key, uint64_t count, uint64_t of) {
    double p = of ? (double)count / (double)of : NAN;
    set(report, key, real(p));
    set_part(report, key, "count", json_integer((json_int_t)count));
    set_part(report, key, "of", json_integer((json_int_t)of));
    fn_report_interval(report, key, fn_wilson(p, of));
}

void fn_report_reals(fn_report *report, const char *key, const double *values, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(array, real(values[i])))
            report->failed = 1;
    set(report, key, array);
}

void fn_report_photos(fn_report *report, const fn_photos *photos) {
    if (photos->older) {
        set(report, "against", json_string(photos->older->name));
        set(report, "against_fingerprint", json_string(photos->older->fingerprint));
    }
    fn_report_integer(report, "images", photos->n);
    fn_report_integer(report, "detector_misses", photos->n_missed);
    if (photos->n_unreadable)
        fn_report_integer(report, "unreadable", photos->n_unreadable);
}

void fn_report_roc(fn_report *report, const fn_roc *roc) {
    double auc = fn_roc_auc(roc), eer = fn_roc_eer(roc);
    fn_report_real(report, "auc", auc);
    fn_report_interval(report, "auc", fn_auc_interval(auc, roc->n_same, roc->n_different));
    // Where both rates are the EER, so is the share of wrong answers among all pairs.
    fn_report_real(report, "eer", eer);
    fn_report_interval(report, "eer", fn_wilson(eer, roc->n_same + roc->n_different));
}

void fn_report_tar(fn_report *report, const fn_roc *roc, int power) {
    char key[32];
    double far = pow(10, -power);
    snprintf(key, sizeof key, "tar_at_far_1e-%d", power);
    if ((double)roc->n_different < pow(10, power)) {
        set(report, key, json_null());
        return;
    }
    fn_roc_point point = fn_roc_at_far(roc, far);
    fn_report_rate(report, key, point.same, roc->n_same);
    set_part(report, key, "threshold", point.distance < 0 ? json_null() : real(point.distance));
    set_part(report, key, "false_accepts", json_integer((json_int_t)point.different));
    set_part(report, key, "false_accepts_of", json_integer((json_int_t)roc->n_different));
}
