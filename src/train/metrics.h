// SPDX-License-Identifier: Apache-2.0
//
// What a run measured, one JSON object a line. A line begins with its kind and its step, the number of steps
// done when it was written:
//
//     {"kind":"step","step":12,"epoch":1,"loss":0.198,"triplets":310,"active":290,"d_ap":0.71,...}
//
//     fn_metrics_begin(metrics, "step", 12);
//     fn_metrics_real(metrics, "loss", loss);
//     rc = fn_metrics_end(metrics);
//
// Numbers have nine digits, whatever the locale, so that a run that is resumed writes the same bytes again.
// Times do not belong here but into a second file of the same kind (timing.jsonl).
//
// Keys that the report (report.h) draws: of "step" lines loss, triplets, active, d_ap, d_an, lr, norm; of
// "epoch" lines epoch, loss, accuracy, accuracy_se, val, auc, eer.
#ifndef FN_TRAIN_METRICS_H
#define FN_TRAIN_METRICS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fn_metrics fn_metrics;

/// Opens for appending. Lines of a step after `step`, and a last line that was cut off, are removed first
/// (the rest is rewritten beside it and takes the name at once): step 0 begins anew but for lines of step 0.
/// One thread uses a handle. FN_EIO; FN_EFORMAT for a line that is no record; FN_ENOMEM.
int fn_metrics_open(fn_metrics **out, const char *path, uint64_t step);
void fn_metrics_free(fn_metrics *metrics); // what was ended is in the file

void fn_metrics_begin(fn_metrics *metrics, const char *kind, uint64_t step);
void fn_metrics_integer(fn_metrics *metrics, const char *key, int64_t value);
void fn_metrics_real(fn_metrics *metrics, const char *key, double value); // null where it is not finite
void fn_metrics_text(fn_metrics *metrics, const char *key, const char *value);
/// Appends the line by one write. FN_EIO, FN_ENOMEM.
int fn_metrics_end(fn_metrics *metrics);
/// Down to the disk: before each checkpoint.
int fn_metrics_sync(fn_metrics *metrics);

/// A key's values over the steps.
typedef struct fn_series {
    double *x, *y; // step and value; lines where it is missing or null are left out
    size_t n;
} fn_series;

/// keys[k] of all lines of `kind` into out[k]. A file that is not there gives empty series. FN_EIO,
/// FN_EFORMAT, FN_ENOMEM; then nothing is left to free.
int fn_metrics_read(fn_series *out, const char *path, const char *kind, const char *const *keys, int n_keys);
void fn_series_free(fn_series *series, int n);

#endif
