// SPDX-License-Identifier: Apache-2.0
//
// People with too few pictures to learn from.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/inspect.h"

int fn_dataset_prune(char **report, const char *root, int min_images, const fn_inspect_options *options) {
    fn_inspect_options o;
    fn_dataset *dataset = NULL;
    *report = NULL;
    int rc = fn_inspect_check_options(&o, options, 0);
    if (rc == FN_OK && min_images < 1)
        rc = fn_fail(FN_EINVAL, "at least %d pictures per person: expected 1 or more", min_images);
    if (rc == FN_OK)
        rc = fn_inspect_open(&dataset, root, &o);
    if (rc < 0)
        return rc;
    unsigned char *chosen = fn_calloc((size_t)fn_dataset_n_images(dataset), 1);
    if (!chosen) {
        fn_dataset_free(dataset);
        return fn_fail_memory();
    }
    json_t *people = json_array();
    for (int p = 0; p < fn_dataset_n_people(dataset); p++) {
        int first = fn_dataset_first_image(dataset, p), end = fn_dataset_first_image(dataset, p + 1);
        if (end - first >= min_images)
            continue;
        json_array_append_new(people, json_pack("{s:o, s:i}", "person",
                                                fn_inspect_name(fn_dataset_person_name(dataset, p)), "images",
                                                end - first));
        for (int i = first; i < end; i++)
            chosen[i] = 1;
    }
    json_int_t n_pruned = (json_int_t)json_array_size(people), n_people = fn_dataset_n_people(dataset);
    rc = fn_inspect_finish(report,
                           json_pack("{s:i, s:I, s:I, s:o}", "min_images", min_images, "people_kept",
                                     n_people - n_pruned, "people_pruned", n_pruned, "pruned", people),
                           dataset, chosen, &o, FN_PRUNED_FOLDER);
    fn_free(chosen);
    fn_dataset_free(dataset);
    return rc;
}
