// SPDX-License-Identifier: Apache-2.0
//
// The parts of report.html that are drawn from numbers. Each appends a section, or nothing where there are no
// numbers.
#ifndef FN_TRAIN_REPORT_PARTS_H
#define FN_TRAIN_REPORT_PARTS_H

#include "base/buf.h"
#include "train/report.h"

/// Curves over steps and epochs, and the table of epochs, from metrics.jsonl.
int fn_report_curves(fn_buf *out, const char *metrics);

/// The histogram of distances, the ROC and its rates.
int fn_report_validation(fn_buf *out, const fn_run_report *report);

#endif
