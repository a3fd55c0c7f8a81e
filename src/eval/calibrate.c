// SPDX-License-Identifier: Apache-2.0
//
// What distances mean, measured on every pair of a folder. All distances are kept, because the
// thresholds of rare false matches must be exact: four bytes a pair, three times that while they are
// sorted.
#include "base/alloc.h"
#include "base/error.h"
#include "embed/compatible.h"
#include "eval/each_pair.h"
#include "model/rewrite.h"

#include <string.h>

#define MAX_PAIRS (UINT64_C(1) << 28) // of a kind: 1 GiB of distances

typedef struct distances {
    float *same, *different;
    size_t n_same, n_different;
} distances;

static void keep(void *user, float distance, int same) {
    distances *d = user;
    if (same)
        d->same[d->n_same++] = distance;
    else
        d->different[d->n_different++] = distance;
}

static int measure(fn_calibration **out, const fn_photos *photos, const char *data, const char *pipeline_id,
                   const fn_control *control) {
    fn_pair_counts counts;
    distances d = {0};
    int rc = fn_each_pair_count(&counts, photos);
    if (rc < 0)
        return rc;
    if (counts.same > MAX_PAIRS || counts.different > MAX_PAIRS)
        return fn_fail(FN_ELIMIT, "%llu pairs of photographs, the limit is %llu of a kind: use fewer",
                       (unsigned long long)(counts.same + counts.different), (unsigned long long)MAX_PAIRS);
    d.same = fn_calloc((size_t)counts.same, sizeof *d.same);
    d.different = fn_calloc((size_t)counts.different, sizeof *d.different);
    rc = d.same && d.different ? fn_each_pair(photos, keep, &d, control) : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_calibration_measure(out, d.same, d.n_same, d.different, d.n_different, data, pipeline_id);
    fn_free(d.same);
    fn_free(d.different);
    return rc;
}

int fn_eval_calibrate(char **calibration, fn_recognizer *recognizer, const char *root, const char *data,
                      const fn_eval_options *options, const fn_control *control) {
    fn_eval_options checked;
    fn_photos photos = {0};
    fn_calibration *measured = NULL;
    *calibration = NULL;
    int rc = fn_eval_check_options(&checked, options);
    if (rc == FN_OK && (!data || !*data))
        rc = fn_fail(FN_EINVAL, "a calibration needs the name of its photographs");
    if (rc == FN_OK)
        rc = fn_photos_folder(&photos, root);
    if (rc == FN_OK)
        rc = fn_photos_embed(&photos, recognizer, &checked, 0, control);
    if (rc == FN_OK)
        rc = measure(&measured, &photos, data, fn_recognizer_pipeline_id(recognizer), control);
    if (rc == FN_OK)
        rc = fn_calibration_json(calibration, measured);
    fn_calibration_free(measured);
    fn_photos_free(&photos);
    return rc;
}

static int write_calibration(const char *model, const char *key, const char *calibration) {
    fn_calibration *parsed;
    int changed, rc = fn_calibration_parse(&parsed, calibration);
    if (rc < 0)
        return rc;
    fn_calibration_free(parsed);
    const fn_model_entry_change entry = {key, calibration};
    return fn_model_rewrite(model, &entry, 1, &changed);
}

int fn_eval_write_calibration(const char *model, const char *calibration, int mirror) {
    return write_calibration(model, mirror ? "facenet.calibration.mirror" : "facenet.calibration",
                             calibration);
}

int fn_eval_write_calibration_against(const char *model, const char *calibration, const char *fingerprint) {
    char key[FN_AGAINST_KEY_SIZE];
    if (!fingerprint || strlen(fingerprint) != 64)
        return fn_fail(FN_EINVAL, "a fingerprint has 64 digits");
    fn_compatible_key(key, fingerprint);
    return write_calibration(model, key, calibration);
}
