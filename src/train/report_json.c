// SPDX-License-Identifier: Apache-2.0
//
// Reports as texts.
#include "train/report_json.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdlib.h>

int fn_report_json(char **out, json_t *value) {
    char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
    *out = text ? fn_strdup(text) : NULL;
    free(text);
    json_decref(value);
    return *out ? FN_OK : fn_fail_memory();
}
