// SPDX-License-Identifier: Apache-2.0
//
// The page of a training run: report.html, one file that needs nothing else and no network. It holds faces
// and distances of people, so it has mode 0600.
#ifndef FN_TRAIN_REPORT_H
#define FN_TRAIN_REPORT_H

#include <stddef.h>

typedef struct fn_report_fact {
    const char *name, *value;
    const char *note; // a few words in small print; NULL: none
} fn_report_fact;

/// A face as a JPEG file in memory; jpeg NULL: only the caption is shown.
typedef struct fn_report_face {
    const void *jpeg;
    size_t n_bytes;
    const char *caption; // whose, which photograph
} fn_report_face;

typedef struct fn_report_triplet {
    fn_report_face anchor, positive, negative;
    double d_ap, d_an; // squared L2
} fn_report_triplet;

typedef struct fn_run_report {
    const char *title;           // "nn4.small2, triplet loss"
    const char *state;           // one line: "epoch 12 of 40", "finished", "stopped: ..."
    const char *metrics;         // path of metrics.jsonl, for the curves and the table of epochs; NULL: none
    const fn_report_fact *facts; // shown large, on top: the best numbers
    int n_facts;
    const fn_report_fact *options; // the effective configuration, a table
    int n_options;
    const float *same, *different; // d2 of validation pairs, for the histogram and the ROC; NULL: none
    size_t n_same, n_different;
    double threshold;                  // of the validation on d2, marked in the histogram; <= 0: none
    const fn_report_triplet *triplets; // the hardest, worst first
    int n_triplets;
} fn_run_report;

/// Writes the page at once under its name. Empty parts are left out. FN_EIO, FN_EFORMAT (metrics), FN_ENOMEM,
/// FN_ELIMIT past 64 MiB.
int fn_report_write(const char *path, const fn_run_report *report);

#endif
