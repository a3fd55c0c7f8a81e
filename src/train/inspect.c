// SPDX-License-Identifier: Apache-2.0
//
// Options and ends of the looks over a dataset.
#include "train/inspect.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/apart.h"
#include "train/file_moves.h"
#include "train/skipped.h"

#include <string.h>
#include <unistd.h>

int fn_inspect_check_options(fn_inspect_options *checked, const fn_inspect_options *options,
                             double distance) {
    const fn_inspect_options defaults = FN_INSPECT_OPTIONS_INIT;
    *checked = options ? *options : defaults;
    if (checked->version != FN_INSPECT_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "inspect options have version %d, expected %d: use FN_INSPECT_OPTIONS_INIT",
                       checked->version, FN_INSPECT_OPTIONS_VERSION);
    if (!(checked->distance >= 0 && checked->distance <= 2))
        return fn_fail(FN_EINVAL, "a distance of %g: unit vectors are 0 to 2 apart", checked->distance);
    if (checked->distance == 0)
        checked->distance = distance;
    return FN_OK;
}

int fn_inspect_open(fn_dataset **out, const char *root, const fn_inspect_options *checked) {
    int rc = fn_dataset_open(out, root, 1);
    if (rc == FN_OK && checked->removed)
        rc = fn_dataset_is_apart(*out, checked->removed);
    if (rc < 0) {
        fn_dataset_free(*out);
        *out = NULL;
    }
    return rc;
}

int fn_inspect_was_removed(const char *root, const char *name) {
    static const char *const folders[] = {FN_PRUNED_FOLDER, FN_OUTLIERS_FOLDER, FN_DUPLICATES_FOLDER};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = fn_asprintf("%s/%s/%s", root, folders[i], name);
        int is_there = path && access(path, F_OK) == 0;
        fn_free(path);
        if (!path)
            return fn_fail_memory();
        if (is_there)
            return 1;
    }
    return 0;
}

json_t *fn_inspect_name(const char *name) {
    size_t n = strlen(name);
    if (fn_utf8_valid(name, n))
        return json_stringn(name, n);
    char *shown = fn_strdup(name);
    for (char *p = shown; p && *p; p++)
        if (*p & 0x80)
            *p = '?';
    json_t *text = shown ? json_string(shown) : NULL;
    fn_free(shown);
    return text;
}

int fn_inspect_finish(char **out, json_t *report, const fn_dataset *dataset, const unsigned char *chosen,
                      const fn_inspect_options *options, const char *hidden) {
    int n_chosen = 0, n_moved = 0, rc = report ? FN_OK : fn_fail_memory();
    for (int i = 0; i < fn_dataset_n_images(dataset); i++)
        n_chosen += chosen[i] != 0;
    if (rc == FN_OK && options->apply)
        rc = fn_dataset_move(dataset, chosen, options->removed, hidden, &n_moved);
    if (rc < 0) {
        json_decref(report);
        return rc;
    }
    json_object_set_new(report, "chosen", json_integer(n_chosen));
    json_object_set_new(report, "applied", json_boolean(options->apply));
    json_object_set_new(report, "moved", json_integer(n_moved));
    json_object_set_new(report, "skipped", fn_skipped_json(dataset));
    if (options->apply && n_moved) {
        char *folder =
            options->removed ? fn_strdup(options->removed) : fn_path_join(fn_dataset_root(dataset), hidden);
        if (folder)
            json_object_set_new(report, "moved_to", fn_inspect_name(folder));
        fn_free(folder);
    }
    return fn_report_json(out, report);
}
