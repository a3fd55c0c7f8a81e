// SPDX-License-Identifier: Apache-2.0
//
// ROC, AUC, EER and what intervals they deserve. Counts are exact integers; only rates are rounded.
#include "eval/roc.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *pa, const void *pb) {
    float a = *(const float *)pa, b = *(const float *)pb;
    return (a > b) - (a < b);
}

int fn_roc_measure(fn_roc *out, float *same, size_t n_same, float *different, size_t n_different) {
    *out = (fn_roc){.n_same = n_same, .n_different = n_different};
    out->points = fn_calloc(n_same + n_different, sizeof *out->points);
    if (!out->points)
        return fn_fail_memory();
    if (n_same)
        qsort(same, n_same, sizeof *same, by_value);
    if (n_different)
        qsort(different, n_different, sizeof *different, by_value);
    size_t i = 0, k = 0;
    while (i < n_same || k < n_different) {
        float at = k == n_different || (i < n_same && same[i] < different[k]) ? same[i] : different[k];
        while (i < n_same && same[i] <= at)
            i++;
        while (k < n_different && different[k] <= at)
            k++;
        out->points[out->n++] = (fn_roc_point){(double)at, i, k};
    }
    return FN_OK;
}

int fn_roc_from_counts(fn_roc *out, const uint64_t *same, const uint64_t *different, size_t n_bins,
                       double width) {
    size_t n = 0;
    *out = (fn_roc){0};
    for (size_t i = 0; i < n_bins; i++)
        n += same[i] || different[i];
    out->points = fn_calloc(n, sizeof *out->points);
    if (!out->points)
        return fn_fail_memory();
    for (size_t i = 0; i < n_bins; i++) {
        if (!same[i] && !different[i])
            continue;
        out->n_same += same[i];
        out->n_different += different[i];
        out->points[out->n++] = (fn_roc_point){(double)i * width, out->n_same, out->n_different};
    }
    return FN_OK;
}

void fn_roc_free(fn_roc *roc) {
    fn_free(roc->points);
    *roc = (fn_roc){0};
}

double fn_roc_auc(const fn_roc *roc) {
    double sum = 0;
    uint64_t same = 0, different = 0;
    if (!roc->n_same || !roc->n_different)
        return NAN;
    for (size_t i = 0; i < roc->n; i++) {
        const fn_roc_point *p = &roc->points[i];
        // Different pairs of this distance lie behind `same` pairs and tie with the new ones.
        sum += (double)(p->different - different) * ((double)same + (double)(p->same - same) / 2);
        same = p->same;
        different = p->different;
    }
    return sum / (double)roc->n_same / (double)roc->n_different;
}

double fn_roc_eer(const fn_roc *roc) {
    double far = 0, frr = 1;
    if (!roc->n_same || !roc->n_different)
        return NAN;
    for (size_t i = 0; i < roc->n; i++) {
        double next_far = (double)roc->points[i].different / (double)roc->n_different;
        double next_frr = 1 - (double)roc->points[i].same / (double)roc->n_same;
        if (next_far >= next_frr) {
            double t = (frr - far) / ((next_far - far) + (frr - next_frr));
            return far + t * (next_far - far);
        }
        far = next_far;
        frr = next_frr;
    }
    return far; // not reached: the last point has FAR 1 and FRR 0
}

fn_roc_point fn_roc_at_far(const fn_roc *roc, double far) {
    fn_roc_point best = {-1, 0, 0};
    for (size_t i = 0; i < roc->n; i++)
        if (roc->points[i].different == 0 ||
            (double)roc->points[i].different / (double)roc->n_different <= far)
            best = roc->points[i];
    return best;
}

static const double Z95 = 1.959963984540054;

fn_interval fn_wilson(double p, uint64_t n) {
    double count = (double)n;
    if (n == 0 || isnan(p))
        return (fn_interval){NAN, NAN};
    double scale = 1 / (1 + Z95 * Z95 / count);
    double middle = scale * (p + Z95 * Z95 / (2 * count));
    double half = scale * Z95 * sqrt(p * (1 - p) / count + Z95 * Z95 / (4 * count * count));
    return (fn_interval){p > 0 ? middle - half : 0, p < 1 ? middle + half : 1};
}

fn_interval fn_auc_interval(double auc, uint64_t n_same, uint64_t n_different) {
    double a = auc, n = (double)n_same, m = (double)n_different;
    if (n_same == 0 || n_different == 0 || isnan(a))
        return (fn_interval){NAN, NAN};
    double q1 = a / (2 - a), q2 = 2 * a * a / (1 + a);
    double variance = (a * (1 - a) + (n - 1) * (q1 - a * a) + (m - 1) * (q2 - a * a)) / (n * m);
    double half = Z95 * sqrt(fmax(0, variance));
    return (fn_interval){fmax(0, a - half), fmin(1, a + half)};
}
