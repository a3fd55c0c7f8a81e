// SPDX-License-Identifier: Apache-2.0
//
// Pictures that are probably of somebody else: far from the mean of the person's other pictures. Leaving the
// picture itself out of the mean keeps it from pulling the mean towards itself.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/error.h"
#include "train/embed_crops.h"
#include "train/inspect.h"
#include "train/skipped.h"

#include <math.h>
#include <stdlib.h>

#define DEFAULT_DISTANCE 1.1
#define MIN_IMAGES 3

typedef struct outlier {
    int image;
    double distance;
} outlier;

/// The distance of a vector from the mean of the others, brought to unit length; sum holds all of them.
static double leave_one_out(const float *vector, const double *sum, int dimension) {
    double length2 = 0, dot = 0;
    for (int i = 0; i < dimension; i++) {
        double others = sum[i] - (double)vector[i];
        length2 += others * others;
        dot += others * (double)vector[i];
    }
    if (!(length2 > 0)) // the others cancel: there is no centre
        return 0;
    return sqrt(fmax(0, 2 - 2 * dot / sqrt(length2)));
}

/// The distances of one person's pictures; 0 for those without vectors or company.
static void measure_person(double *distance, double *sum, const fn_dataset *dataset, const fn_crop_vectors *v,
                           int person) {
    int first = fn_dataset_first_image(dataset, person), end = fn_dataset_first_image(dataset, person + 1),
        n = 0;
    for (int k = 0; k < v->dimension; k++)
        sum[k] = 0;
    for (int i = first; i < end; i++) {
        n += v->known[i];
        for (int k = 0; k < v->dimension && v->known[i]; k++)
            sum[k] += (double)fn_crop_vector(v, i)[k];
    }
    for (int i = first; i < end && n >= MIN_IMAGES; i++)
        if (v->known[i])
            distance[i] = leave_one_out(fn_crop_vector(v, i), sum, v->dimension);
}

static int farthest_first(const void *pa, const void *pb) {
    const outlier *a = pa, *b = pb;
    int order = (a->distance < b->distance) - (a->distance > b->distance);
    return order ? order : (a->image > b->image) - (a->image < b->image);
}

static int by_value(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/// Median and 99th percentile of those that have a distance; sorts them.
static json_t *describe(double *distance, int n) {
    int first = 0;
    qsort(distance, (size_t)n, sizeof *distance, by_value);
    while (first < n && !(distance[first] > 0))
        first++;
    if (first == n)
        return json_null();
    return json_pack("{s:i, s:f, s:f, s:f}", "measured", n - first, "median",
                     distance[first + (n - first) / 2], "percentile_99",
                     distance[first + (int)((double)(n - first - 1) * 0.99)], "largest", distance[n - 1]);
}

static int look(char **report, const fn_dataset *dataset, const fn_crop_vectors *v,
                const fn_inspect_options *o) {
    const size_t n = (size_t)fn_dataset_n_images(dataset);
    double *distance = fn_calloc(n, sizeof *distance), *sum = fn_calloc((size_t)v->dimension, sizeof *sum);
    outlier *found = fn_calloc(n, sizeof *found);
    unsigned char *chosen = fn_calloc(n, 1);
    int n_found = 0, rc = distance && sum && found && chosen ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        for (int p = 0; p < fn_dataset_n_people(dataset); p++)
            measure_person(distance, sum, dataset, v, p);
        for (int i = 0; i < (int)n; i++) {
            chosen[i] = distance[i] > o->distance;
            if (chosen[i])
                found[n_found++] = (outlier){i, distance[i]};
        }
        qsort(found, (size_t)n_found, sizeof *found, farthest_first);
        json_t *list = json_array();
        for (int k = 0; k < n_found; k++)
            json_array_append_new(list,
                                  json_pack("{s:o, s:f}", "image",
                                            fn_inspect_name(fn_dataset_image_name(dataset, found[k].image)),
                                            "distance", found[k].distance));
        rc = fn_inspect_finish(report,
                               json_pack("{s:i, s:i, s:f, s:o, s:o}", "images", (int)n, "unreadable",
                                         v->n_unknown, "distance", o->distance, "distances",
                                         describe(distance, (int)n), "outliers", list),
                               dataset, chosen, o, FN_OUTLIERS_FOLDER);
    }
    fn_free(chosen);
    fn_free(found);
    fn_free(sum);
    fn_free(distance);
    return rc;
}

int fn_dataset_outliers(char **report, fn_recognizer *recognizer, const char *root,
                        const fn_inspect_options *options, const fn_control *control) {
    fn_inspect_options o;
    fn_dataset *dataset = NULL;
    fn_crop_vectors vectors = {0};
    *report = NULL;
    int rc = fn_inspect_check_options(&o, options, DEFAULT_DISTANCE);
    if (rc == FN_OK)
        rc = fn_inspect_open(&dataset, root, &o);
    if (rc == FN_OK)
        fn_skipped_tell(dataset, control);
    if (rc == FN_OK)
        rc = fn_crop_vectors_open(&vectors, dataset, recognizer, o.jobs, control);
    if (rc == FN_OK)
        rc = look(report, dataset, &vectors, &o);
    fn_crop_vectors_free(&vectors);
    fn_dataset_free(dataset);
    return rc;
}
