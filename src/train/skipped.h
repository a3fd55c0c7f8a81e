// SPDX-License-Identifier: Apache-2.0
//
// What a dataset had to pass over, told to people: a line each for the logger and in a report.
#ifndef FN_TRAIN_SKIPPED_H
#define FN_TRAIN_SKIPPED_H

#include "train/report_json.h"

#include <facenet/dataset.h>

/// A warning for each.
void fn_skipped_tell(const fn_dataset *dataset, const fn_control *control);

/// The lines as a JSON list.
json_t *fn_skipped_json(const fn_dataset *dataset);

#endif
