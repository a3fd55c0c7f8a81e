// SPDX-License-Identifier: Apache-2.0
//
// A JSON value as the text of a report.
#ifndef FN_TRAIN_REPORT_JSON_H
#define FN_TRAIN_REPORT_JSON_H

#include <jansson.h>

/// Takes over `value` (NULL: there was no memory for it). *out is new memory, fn_string_free.
int fn_report_json(char **out, json_t *value);

#endif
