// SPDX-License-Identifier: Apache-2.0
//
// What the looks over a dataset share.
#ifndef FN_TRAIN_INSPECT_H
#define FN_TRAIN_INSPECT_H

#include "train/report_json.h"

#include <facenet/dataset.h>

/// Checks the options and gives the defaults for NULL; distance 0 becomes `distance`.
int fn_inspect_check_options(fn_inspect_options *checked, const fn_inspect_options *options, double distance);

// Where --apply moves pictures to, in the root, unless it is told.
#define FN_PRUNED_FOLDER ".pruned"
#define FN_OUTLIERS_FOLDER ".outliers"
#define FN_DUPLICATES_FOLDER ".duplicates"

/// Opens the dataset of a look, and makes sure that what is removed goes out of it. The errors of
/// fn_dataset_open; FN_EINVAL.
int fn_inspect_open(fn_dataset **out, const char *root, const fn_inspect_options *checked);

/// 1 when a picture of this name was moved out of root into one of its hidden folders, 0 when not, FN_ENOMEM.
int fn_inspect_was_removed(const char *root, const char *name);

/// Ends a look: moves the chosen images when options->apply says so, adds "chosen", "applied", "moved",
/// "moved_to" and "skipped" to the report and writes it out. Takes over `report` (NULL: no memory).
int fn_inspect_finish(char **out, json_t *report, const fn_dataset *dataset, const unsigned char *chosen,
                      const fn_inspect_options *options, const char *hidden);

/// A JSON text of a name, or of its printable part when it is not UTF-8.
json_t *fn_inspect_name(const char *name);

#endif
