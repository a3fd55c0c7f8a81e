// SPDX-License-Identifier: Apache-2.0
//
// What a dataset had to pass over.
#include "train/skipped.h"

#include "train/inspect.h"

void fn_skipped_tell(const fn_dataset *dataset, const fn_control *control) {
    for (int i = 0; i < fn_dataset_n_skipped(dataset); i++)
        fn_control_log(control, FN_LOG_WARNING, "%s: left out", fn_dataset_skipped_reason(dataset, i));
}

json_t *fn_skipped_json(const fn_dataset *dataset) {
    json_t *list = json_array();
    for (int i = 0; i < fn_dataset_n_skipped(dataset); i++)
        json_array_append_new(list, fn_inspect_name(fn_dataset_skipped_reason(dataset, i)));
    return list;
}
