// SPDX-License-Identifier: Apache-2.0
//
// What a dataset consists of.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/report_json.h"
#include "train/skipped.h"
#include "train/workers.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_SIZES 20 // that are listed

typedef struct size {
    int width, height; // 0: could not be read
    int count;
} size;

typedef struct job {
    fn_dataset *dataset;
    size *sizes; // (n_images)
} job;

/// The size as coded. JPEG is decoded at an eighth: only its header counts.
static int read_size(void *user, int image) {
    job *j = user;
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    fn_picture *picture = NULL;
    options.scale_denominator = 8;
    char *path = fn_dataset_image_path(j->dataset, image);
    int rc = path ? fn_decode_file(&picture, path, &options) : FN_ENOMEM;
    fn_free(path);
    if (rc == FN_ENOMEM)
        return rc;
    if (rc == FN_OK) {
        const fn_picture_info *info = fn_picture_get_info(picture);
        j->sizes[image] = (size){info->coded_width, info->coded_height, 1};
    }
    fn_picture_free(picture);
    return FN_OK;
}

static int by_size(const void *pa, const void *pb) {
    const size *a = pa, *b = pb;
    return a->width != b->width ? (a->width > b->width) - (a->width < b->width)
                                : (a->height > b->height) - (a->height < b->height);
}

static int by_count(const void *pa, const void *pb) {
    const size *a = pa, *b = pb;
    return a->count != b->count ? (a->count < b->count) - (a->count > b->count) : by_size(pa, pb);
}

/// {"89x109": 7425, ...}, the most frequent first; the rest under "other".
static json_t *list_sizes(size *sizes, int n, int *n_unreadable) {
    json_t *list = json_object();
    int n_distinct = 0, n_other = 0;
    *n_unreadable = 0;
    qsort(sizes, (size_t)n, sizeof *sizes, by_size);
    for (int i = 0; i < n; i++) {
        if (sizes[i].width == 0)
            ++*n_unreadable;
        else if (n_distinct && by_size(&sizes[n_distinct - 1], &sizes[i]) == 0)
            sizes[n_distinct - 1].count++;
        else
            sizes[n_distinct++] = sizes[i];
    }
    qsort(sizes, (size_t)n_distinct, sizeof *sizes, by_count);
    for (int i = 0; i < n_distinct; i++) {
        char name[32];
        snprintf(name, sizeof name, "%dx%d", sizes[i].width, sizes[i].height);
        if (i < MAX_SIZES)
            json_object_set_new(list, name, json_integer(sizes[i].count));
        else
            n_other += sizes[i].count;
    }
    if (n_other)
        json_object_set_new(list, "other", json_integer(n_other));
    return list;
}

static int by_value(const void *a, const void *b) {
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

/// {"1": 12, "2": 40, ...}: images per person, and how many people have so many.
static json_t *histogram(const int *sorted, int n) {
    json_t *list = json_object();
    for (int i = 0, end; i < n; i = end) {
        char name[16];
        for (end = i; end < n && sorted[end] == sorted[i]; end++)
            continue;
        snprintf(name, sizeof name, "%d", sorted[i]);
        json_object_set_new(list, name, json_integer(end - i));
    }
    return list;
}

static int make_report(char **out, job *j, const int *sorted) {
    const int n_people = fn_dataset_n_people(j->dataset), n = fn_dataset_n_images(j->dataset);
    const fn_crop_geometry *g = fn_dataset_geometry(j->dataset);
    json_int_t pairs = 0;
    int n_unreadable;
    for (int i = 0; i < n_people; i++)
        pairs += (json_int_t)sorted[i] * (sorted[i] - 1) / 2;
    json_t *sizes = list_sizes(j->sizes, n, &n_unreadable);
    json_t *root =
        json_pack("{s:i, s:i, s:i, s:f, s:i, s:i, s:I, s:o, s:o, s:i, s:o}", "people", n_people, "images", n,
                  "fewest_per_person", sorted[0], "mean_per_person", (double)n / n_people,
                  "median_per_person", sorted[n_people / 2], "most_per_person", sorted[n_people - 1],
                  "same_person_pairs", pairs, "people_by_images", histogram(sorted, n_people), "sizes", sizes,
                  "unreadable", n_unreadable, "skipped", fn_skipped_json(j->dataset));
    if (root && *g->template_name)
        json_object_set_new(root, "crops",
                            json_pack("{s:s, s:i, s:i, s:i}", "template", g->template_name, "width", g->width,
                                      "height", g->height, "margin", g->margin));
    return fn_report_json(out, root);
}

int fn_dataset_stats(char **report, const char *root, int jobs, const fn_control *control) {
    job j = {0};
    int *counts = NULL;
    *report = NULL;
    int rc = fn_dataset_open(&j.dataset, root, 1);
    if (rc < 0)
        return rc;
    fn_skipped_tell(j.dataset, control);
    const int n_people = fn_dataset_n_people(j.dataset), n = fn_dataset_n_images(j.dataset);
    j.sizes = fn_calloc((size_t)n, sizeof *j.sizes);
    counts = fn_calloc((size_t)n_people, sizeof *counts);
    rc = j.sizes && counts ? fn_workers_run(n, jobs, read_size, &j, control) : fn_fail_memory();
    if (rc == FN_OK) {
        for (int p = 0; p < n_people; p++)
            counts[p] = fn_dataset_first_image(j.dataset, p + 1) - fn_dataset_first_image(j.dataset, p);
        qsort(counts, (size_t)n_people, sizeof *counts, by_value);
        rc = make_report(report, &j, counts);
    }
    fn_free(counts);
    fn_free(j.sizes);
    fn_dataset_free(j.dataset);
    return rc;
}
