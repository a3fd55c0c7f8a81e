// SPDX-License-Identifier: Apache-2.0
//
// Verification on listed pairs: LFW's protocol, unrestricted with labelled outside data.
#include "base/alloc.h"
#include "base/error.h"
#include "eval/folds.h"
#include "eval/pairs_file.h"
#include "eval/photos.h"
#include "eval/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/// root/person/person_0001.jpg, whatever its ending, in new memory.
static int find_photo(char **out, const char *root, const fn_listed_photo *photo) {
    static const char *const endings[] = {"jpg", "jpeg", "png", "webp", "heic", "heif", "avif",
                                          "JPG", "JPEG", "PNG", "WEBP", "HEIC", "HEIF", "AVIF"};
    struct stat st;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *path =
            fn_asprintf("%s/%s/%s_%04d.%s", root, photo->person, photo->person, photo->number, endings[i]);
        if (!path)
            return fn_fail_memory();
        if (stat(path, &st) == 0) {
            *out = path;
            return FN_OK;
        }
        fn_free(path);
    }
    return fn_fail(FN_ENOTFOUND, "%s/%s/%s_%04d.jpg: listed, but not there (nor with another ending)", root,
                   photo->person, photo->person, photo->number);
}

static int compare_photos(const fn_listed_photo *a, const fn_listed_photo *b) {
    int order = strcmp(a->person, b->person);
    return order ? order : (a->number > b->number) - (a->number < b->number);
}

static int by_name(const void *a, const void *b) {
    return compare_photos(a, b);
}

/// The distinct photographs of the list, sorted, in `listed`; the same order in `photos`.
static int collect(fn_photos *photos, fn_listed_photo *listed, const fn_pairs_file *file, const char *root) {
    size_t n = 0;
    for (size_t i = 0; i < file->n; i++) {
        listed[n++] = file->pairs[i].photo[0];
        listed[n++] = file->pairs[i].photo[1];
    }
    qsort(listed, n, sizeof *listed, by_name);
    size_t n_distinct = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || compare_photos(&listed[i], &listed[n_distinct - 1]) != 0)
            listed[n_distinct++] = listed[i];
    for (size_t i = 0; i < n_distinct; i++) {
        if (i == 0 || strcmp(listed[i].person, listed[i - 1].person) != 0)
            photos->n_people++;
        char *path = NULL;
        int rc = find_photo(&path, root, &listed[i]);
        if (rc == FN_OK)
            rc = fn_photos_add(photos, path, photos->n_people - 1);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

/// Distances of the listed pairs, as pairs of folds and by kind.
static void measure(fn_fold_pair *pairs, float *same, float *different, const fn_pairs_file *file,
                    const fn_photos *photos, const fn_listed_photo *listed) {
    size_t n_same = 0, n_different = 0;
    for (size_t i = 0; i < file->n; i++) {
        const fn_listed_pair *pair = &file->pairs[i];
        const float *vectors[2];
        for (int k = 0; k < 2; k++) {
            const fn_listed_photo *found =
                bsearch(&pair->photo[k], listed, photos->n, sizeof *listed, by_name);
            const size_t at = (size_t)(found - listed);
            vectors[k] =
                k && photos->older ? fn_photos_older_vector(photos, at) : fn_photos_vector(photos, at);
        }
        float distance = fn_distance(vectors[0], vectors[1], photos->dimension);
        pairs[i] = (fn_fold_pair){distance, pair->fold, pair->same};
        if (pair->same)
            same[n_same++] = distance;
        else
            different[n_different++] = distance;
    }
}

static int report_folds(fn_report *report, const fn_fold *folds, int n_folds) {
    double *values = fn_calloc((size_t)n_folds, sizeof *values);
    if (!values)
        return fn_fail_memory();
    fn_report_integer(report, "folds", (uint64_t)n_folds);
    for (int i = 0; i < n_folds; i++)
        values[i] = (double)folds[i].correct / (double)folds[i].of;
    fn_report_reals(report, "fold_accuracies", values, (size_t)n_folds);
    for (int i = 0; i < n_folds; i++)
        values[i] = folds[i].threshold;
    fn_report_reals(report, "fold_thresholds", values, (size_t)n_folds);
    fn_free(values);
    return FN_OK;
}

static int write_report(char **out, fn_recognizer *recognizer, const fn_photos *photos,
                        const fn_pairs_file *file, const fn_fold *folds, const fn_roc *roc) {
    fn_report report;
    fn_accuracy accuracy = fn_folds_accuracy(folds, file->n_folds);
    fn_report_open(&report, "pairs", recognizer);
    fn_report_integer(&report, "pairs", file->n);
    fn_report_photos(&report, photos);
    // Every fold has as many pairs, so the mean over the folds is the share of all pairs.
    fn_report_rate(&report, "accuracy", accuracy.correct, accuracy.of);
    fn_report_real(&report, "accuracy_se", accuracy.standard_error);
    fn_report_real(&report, "threshold", accuracy.threshold);
    fn_report_roc(&report, roc);
    fn_report_tar(&report, roc, 2);
    fn_report_tar(&report, roc, 3);
    if (report_folds(&report, folds, file->n_folds) < 0)
        report.failed = 1;
    return fn_report_close(&report, out);
}

int fn_eval_pairs(char **report, fn_recognizer *recognizer, const char *pairs, const char *root,
                  const fn_eval_options *options, const fn_control *control) {
    fn_eval_options checked;
    fn_pairs_file file = {0};
    fn_photos photos = {0};
    fn_roc roc = {0};
    fn_listed_photo *listed = NULL;
    fn_fold_pair *judged = NULL;
    fn_fold *folds = NULL;
    float *same = NULL, *different = NULL;
    *report = NULL;
    int rc = fn_eval_check_options(&checked, options);
    if (rc == FN_OK)
        rc = fn_pairs_read(&file, pairs);
    if (rc < 0)
        goto out;
    listed = fn_calloc(2 * file.n, sizeof *listed);
    judged = fn_calloc(file.n, sizeof *judged);
    folds = fn_calloc((size_t)file.n_folds, sizeof *folds);
    same = fn_calloc(file.n / 2, sizeof *same);
    different = fn_calloc(file.n / 2, sizeof *different);
    if (!listed || !judged || !folds || !same || !different) {
        rc = fn_fail_memory();
        goto out;
    }
    rc = collect(&photos, listed, &file, root);
    if (rc == FN_OK)
        rc = fn_photos_embed(&photos, recognizer, &checked, 1, control);
    if (rc < 0)
        goto out;
    measure(judged, same, different, &file, &photos, listed);
    fn_folds_measure(folds, file.n_folds, judged, file.n);
    rc = fn_roc_measure(&roc, same, file.n / 2, different, file.n / 2);
    if (rc == FN_OK)
        rc = write_report(report, recognizer, &photos, &file, folds, &roc);
out:
    fn_roc_free(&roc);
    fn_free(different);
    fn_free(same);
    fn_free(folds);
    fn_free(judged);
    fn_free(listed);
    fn_photos_free(&photos);
    fn_pairs_free(&file);
    return rc;
}
