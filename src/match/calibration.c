// SPDX-License-Identifier: Apache-2.0
//
// What a distance means: look-ups in the table of a calibration. Where the table says too little the
// answers err towards more false matches, never towards fewer.
#include "match/calibration.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <math.h>
#include <string.h>

int fn_calibration_new(fn_calibration **out, const char *data, const char *pipeline_id, size_t n_rows) {
    *out = NULL;
    if (!data || !pipeline_id || !fn_utf8_valid(data, strlen(data)) ||
        !fn_utf8_valid(pipeline_id, strlen(pipeline_id)))
        return fn_fail(FN_EINVAL, "a calibration names its photographs and its pipeline in UTF-8");
    fn_calibration *c = fn_calloc(1, sizeof *c);
    if (!c)
        return fn_fail_memory();
    c->data = fn_strdup(data);
    c->pipeline_id = fn_strdup(pipeline_id);
    c->rows = fn_calloc(n_rows, sizeof *c->rows);
    c->n_rows = n_rows;
    if (!c->data || !c->pipeline_id || !c->rows) {
        fn_calibration_free(c);
        return fn_fail_memory();
    }
    *out = c;
    return FN_OK;
}

void fn_calibration_free(fn_calibration *calibration) {
    if (!calibration)
        return;
    fn_free(calibration->data);
    fn_free(calibration->pipeline_id);
    fn_free(calibration->rows);
    fn_free(calibration);
}

size_t fn_calibration_len(const fn_calibration *calibration) {
    return calibration->n_rows;
}

fn_calibration_row fn_calibration_get(const fn_calibration *calibration, size_t index) {
    if (index >= calibration->n_rows)
        return (fn_calibration_row){NAN, NAN, NAN};
    return calibration->rows[index];
}

uint64_t fn_calibration_n_same(const fn_calibration *calibration) {
    return calibration->n_same;
}

uint64_t fn_calibration_n_different(const fn_calibration *calibration) {
    return calibration->n_different;
}

const char *fn_calibration_data(const fn_calibration *calibration) {
    return calibration->data;
}

const char *fn_calibration_pipeline_id(const fn_calibration *calibration) {
    return calibration->pipeline_id;
}

/// How many rows have a distance <= this one.
static size_t rows_up_to(const fn_calibration *c, double distance) {
    size_t low = 0, high = c->n_rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->rows[middle].distance <= distance)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double fn_calibration_fmr(const fn_calibration *calibration, float distance) {
    const fn_calibration_row *rows = calibration->rows;
    double least = 0.5 / (double)calibration->n_different;
    if (isnan(distance))
        return 1;
    size_t n = rows_up_to(calibration, distance);
    if (n == 0)
        return fmax(rows[0].fmr, least);
    double low = fmax(rows[n - 1].fmr, least);
    if ((double)distance == rows[n - 1].distance)
        return low;
    if (n == calibration->n_rows)
        return 1;
    double high = fmax(rows[n].fmr, least);
    double t = (distance - rows[n - 1].distance) / (rows[n].distance - rows[n - 1].distance);
    return fmin(fmax(exp(log(low) + t * (log(high) - log(low))), low), high);
}

double fn_calibration_fnmr(const fn_calibration *calibration, float distance) {
    const fn_calibration_row *rows = calibration->rows;
    if (isnan(distance))
        return 1;
    size_t n = rows_up_to(calibration, distance);
    if (n == 0)
        return 1;
    double high = rows[n - 1].fnmr;
    if (n == calibration->n_rows)
        return high;
    double low = rows[n].fnmr;
    double t = (distance - rows[n - 1].distance) / (rows[n].distance - rows[n - 1].distance);
    return high + t * (low - high);
}

int fn_calibration_threshold(float *distance, const fn_calibration *calibration, double fmr) {
    if (!(fmr > 0 && fmr <= 1))
        return fn_fail(FN_EINVAL, "a false-match rate lies above 0 and up to 1, not %g", fmr);
    size_t n = calibration->n_rows;
    while (n && calibration->rows[n - 1].fmr > fmr)
        n--;
    double shown = 1 / (double)calibration->n_different;
    if (fmr < shown || n == 0)
        return fn_fail(FN_ELIMIT,
                       "a false-match rate of %g cannot be shown: the calibration counts %llu pairs of "
                       "different people; ask for %g or more",
                       fmr, (unsigned long long)calibration->n_different,
                       fmax(shown, calibration->rows[0].fmr));
    *distance = (float)calibration->rows[n - 1].distance;
    if (*distance > calibration->rows[n - 1].distance) // rounded up: the FMR could be passed
        *distance = nextafterf(*distance, -1);
    return FN_OK;
}
