// SPDX-License-Identifier: Apache-2.0
//
// Reports as JSON: each rate stands with what was counted and its 95 % interval. Errors stick: set
// freely, check once at the end.
#ifndef FN_EVAL_REPORT_H
#define FN_EVAL_REPORT_H

#include "eval/photos.h"
#include "eval/roc.h"

#include <jansson.h>

typedef struct fn_report {
    json_t *root;
    int failed;
} fn_report;

/// Begins with who was measured on what: protocol, model, fingerprint, pipeline_id.
void fn_report_open(fn_report *report, const char *protocol, fn_recognizer *recognizer);
/// The text in new memory, or the error; the report is gone either way.
int fn_report_close(fn_report *report, char **out);

void fn_report_integer(fn_report *report, const char *key, uint64_t value);
/// A number; null for what is not one.
void fn_report_real(fn_report *report, const char *key, double value);
/// <key>, <key>_count, <key>_of, <key>_interval; null where nothing could be counted.
void fn_report_rate(fn_report *report, const char *key, uint64_t count, uint64_t of);
/// <key>_interval.
void fn_report_interval(fn_report *report, const char *key, fn_interval interval);
/// <key> as an array of n numbers.
void fn_report_reals(fn_report *report, const char *key, const double *values, size_t n);

/// against and against_fingerprint where there is an older model; images, detector_misses, and unreadable
/// where files were left out.
void fn_report_photos(fn_report *report, const fn_photos *photos);
/// auc and eer.
void fn_report_roc(fn_report *report, const fn_roc *roc);
/// tar_at_far_1e-<power>, with its threshold and the false accepts there; null where there are fewer
/// than 10^power different-person pairs, because such a FAR cannot be seen.
void fn_report_tar(fn_report *report, const fn_roc *roc, int power);

#endif
