// SPDX-License-Identifier: Apache-2.0
//
// Lists of photographs, and folders with one folder per person.
#include "eval/photos.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

int fn_photos_add(fn_photos *photos, char *path, size_t person) {
    if (photos->n == photos->capacity) {
        size_t capacity = photos->capacity ? 2 * photos->capacity : 256;
        fn_photo *data = fn_realloc(photos->data, capacity, sizeof *data);
        if (!data) {
            fn_free(path);
            return fn_fail_memory();
        }
        photos->data = data;
        photos->capacity = capacity;
    }
    photos->data[photos->n++] = (fn_photo){.path = path, .person = person};
    return FN_OK;
}

void fn_photos_free(fn_photos *photos) {
    for (size_t i = 0; i < photos->n; i++)
        fn_free(photos->data[i].path);
    fn_free(photos->data);
    fn_free(photos->vectors);
    fn_free(photos->older_vectors);
    *photos = (fn_photos){0};
}

/// Length of the first folder of "person/..." below the root; 0: a file directly in the root.
static size_t person_length(const char *below) {
    const char *slash = strchr(below, '/');
    return slash ? (size_t)(slash - below) : 0;
}

int fn_photos_folder(fn_photos *photos, const char *root) {
    if (!root || !*root)
        return fn_fail(FN_EINVAL, "an evaluation needs a folder of photographs, one folder per person");
    fn_walker *walker = NULL;
    int rc = fn_walker_open(&walker, root);
    size_t skip = strlen(root) + (root[strlen(root) - 1] != '/'), length = 0;
    while (rc == FN_OK) {
        const char *path;
        rc = fn_walker_next(walker, &path);
        if (rc < 0 || !path)
            break;
        size_t this_length = strlen(path) > skip ? person_length(path + skip) : 0;
        if (this_length == 0)
            continue;
        // A folder is entered once, so its files follow each other.
        if (photos->n == 0 || this_length != length ||
            memcmp(path + skip, photos->data[photos->n - 1].path + skip, length) != 0)
            photos->n_people++;
        length = this_length;
        char *copy = fn_strdup(path);
        rc = copy ? fn_photos_add(photos, copy, photos->n_people - 1) : fn_fail_memory();
    }
    fn_walker_free(walker);
    if (rc == FN_OK && photos->n == 0)
        rc = fn_fail(FN_ENOTFOUND, "%s: no photographs: expected one folder per person", root);
    return rc;
}

int fn_eval_check_options(fn_eval_options *checked, const fn_eval_options *options) {
    fn_eval_options defaults = FN_EVAL_OPTIONS_INIT;
    *checked = options ? *options : defaults;
    if (checked->version != FN_EVAL_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "evaluation options have version %d, expected %d: use FN_EVAL_OPTIONS_INIT",
                       checked->version, FN_EVAL_OPTIONS_VERSION);
    if (!(checked->fmr >= 0 && checked->fmr < 1))
        return fn_fail(FN_EINVAL, "a false-match rate lies above 0 and below 1, not %g", checked->fmr);
    if (checked->fmr == 0)
        checked->fmr = 1e-4;
    return FN_OK;
}
