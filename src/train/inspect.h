// SPDX-License-Identifier: Apache-2.0
//
// What the looks over a dataset share.
#ifndef FN_TRAIN_INSPECT_H
#define FN_TRAIN_INSPECT_H

#include "train/report_json.h"

#include <facenet/dataset.h>

/// Checks the options and gives the defaults for NULL; distance 0 becomes `distance`.
int fn_inspect_check_options(fn_inspect_options *checked, const fn_inspect_options *options, double distance);

/// Ends a look: moves the chosen images when options->apply says so, adds "chosen", "applied", "moved" and
/// "moved_to" to the report and writes it out. Takes over `report` (NULL: no memory).
int fn_inspect_finish(char **out, json_t *report, const fn_dataset *dataset, const unsigned char *chosen,
                      const fn_inspect_options *options, const char *hidden);

/// A JSON text of a name, or of its printable part when it is not UTF-8.
json_t *fn_inspect_name(const char *name);

#endif
