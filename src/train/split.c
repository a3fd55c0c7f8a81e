// SPDX-License-Identifier: Apache-2.0
//
// People for training and people for the check, none in both. The two trees are built under hidden names and
// get their own at the end.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "base/random.h"
#include "train/apart.h"
#include "train/file_moves.h"
#include "train/geometry.h"
#include "train/report_json.h"
#include "train/skipped.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct half {
    const char *name, *hidden;
    char *path, *building;
    const char *made; // what this call has made and a failure takes away again: building, then path
    int n_people, n_images;
} half;

static void half_free(half *h) {
    fn_free(h->path);
    fn_free(h->building);
}

/// The half's paths: outside of what is divided, and neither there yet.
static int half_open(half *h, const fn_dataset *dataset, const char *dst) {
    struct stat st;
    h->path = fn_path_join(dst, h->name);
    h->building = fn_path_join(dst, h->hidden);
    if (!h->path || !h->building)
        return FN_ENOMEM;
    if (lstat(h->path, &st) == 0)
        return fn_fail(FN_ECONFLICT, "%s is there already: take another folder, or delete it first", h->path);
    if (lstat(h->building, &st) == 0)
        return fn_fail(FN_ECONFLICT, "%s is there: another split is at work, or was stopped; then delete it",
                       h->building);
    return fn_dataset_is_apart(dataset, h->path);
}

static int half_make(half *h) {
    if (mkdir(h->building, 0700))
        return fn_fail(errno == EEXIST ? FN_ECONFLICT : FN_EIO, "%s: cannot create the folder: %s",
                       h->building, strerror(errno));
    h->made = h->building;
    return FN_OK;
}

/// After a failure: no half of a split without the other.
static void half_undo(half *h) {
    if (h->made)
        fn_remove_tree(h->made);
}

static int add_person(half *h, const fn_dataset *dataset, int person) {
    int rc = FN_OK, end = fn_dataset_first_image(dataset, person + 1);
    for (int i = fn_dataset_first_image(dataset, person); i < end && rc == FN_OK; i++) {
        char *src = fn_dataset_image_path(dataset, i);
        char *dst = fn_path_join(h->building, fn_dataset_image_name(dataset, i));
        rc = src && dst ? fn_file_link(dst, src) : FN_ENOMEM;
        fn_free(dst);
        fn_free(src);
        h->n_images++;
    }
    h->n_people++;
    return rc;
}

/// How the crops were cut holds for both halves.
static int half_describe(const half *h, const fn_dataset *dataset) {
    int rc = FN_OK;
    if (*fn_dataset_geometry(dataset)->template_name) {
        char *src = fn_path_join(fn_dataset_root(dataset), FN_GEOMETRY_FILE);
        char *dst = fn_path_join(h->building, FN_GEOMETRY_FILE);
        rc = src && dst ? fn_file_link(dst, src) : FN_ENOMEM;
        fn_free(dst);
        fn_free(src);
    }
    return rc;
}

static int half_name(half *h) {
    if (rename(h->building, h->path))
        return fn_fail(FN_EIO, "%s: cannot be named: %s", h->path, strerror(errno));
    h->made = h->path;
    return FN_OK;
}

/// belongs[p] = 1 for the people of the check.
static void choose(int *belongs, int *order, int n_people, int n_val, uint64_t seed) {
    fn_rng rng = fn_rng_at(seed, FN_STREAM_SPLIT, 0);
    for (int p = 0; p < n_people; p++)
        order[p] = p;
    fn_rng_shuffle(&rng, order, n_people);
    for (int k = 0; k < n_people; k++)
        belongs[order[k]] = k < n_val;
}

static int divide(half halves[2], const fn_dataset *dataset, const char *dst, int n_val, uint64_t seed) {
    const int n_people = fn_dataset_n_people(dataset);
    int *belongs = fn_calloc(2 * (size_t)n_people, sizeof *belongs);
    int rc = belongs ? FN_OK : fn_fail_memory();
    for (int k = 0; k < 2 && rc == FN_OK; k++)
        rc = half_open(&halves[k], dataset, dst);
    if (rc == FN_OK)
        rc = fn_mkdirs(dst, 0700);
    for (int k = 0; k < 2 && rc == FN_OK; k++)
        rc = half_make(&halves[k]);
    if (rc == FN_OK)
        choose(belongs, belongs + n_people, n_people, n_val, seed);
    for (int p = 0; p < n_people && rc == FN_OK; p++)
        rc = add_person(&halves[belongs[p]], dataset, p);
    for (int k = 0; k < 2 && rc == FN_OK; k++)
        rc = half_describe(&halves[k], dataset);
    for (int k = 0; k < 2 && rc == FN_OK; k++)
        rc = half_name(&halves[k]);
    fn_free(belongs);
    return rc;
}

int fn_dataset_split(char **report, const char *root, const char *dst, double val, uint64_t seed) {
    half halves[2] = {{.name = "train", .hidden = ".train"}, {.name = "val", .hidden = ".val"}};
    fn_dataset *dataset = NULL;
    *report = NULL;
    if (!(val > 0 && val < 1))
        return fn_fail(FN_EINVAL, "the share of people for validation lies above 0 and below 1, not %g", val);
    if (!dst || !*dst)
        return fn_fail(FN_EINVAL, "a split needs a folder for train and val");
    int rc = fn_dataset_open(&dataset, root, 1);
    if (rc < 0)
        return rc;
    const int n_people = fn_dataset_n_people(dataset);
    int n_val = (int)fmin(fmax(round(val * n_people), 1), n_people - 1);
    if (n_people < 2)
        rc = fn_fail(FN_EINVAL, "%s: one person cannot be divided", root);
    if (rc == FN_OK)
        rc = divide(halves, dataset, dst, n_val, seed);
    if (rc == FN_OK) {
        json_t *object = json_object();
        for (int k = 0; k < 2; k++)
            json_object_set_new(
                object, halves[k].name,
                json_pack("{s:i, s:i}", "people", halves[k].n_people, "images", halves[k].n_images));
        json_object_set_new(object, "skipped", fn_skipped_json(dataset));
        rc = fn_report_json(report, object);
    }
    for (int k = 0; k < 2 && rc < 0; k++)
        half_undo(&halves[k]);
    half_free(&halves[0]);
    half_free(&halves[1]);
    fn_dataset_free(dataset);
    return rc;
}
