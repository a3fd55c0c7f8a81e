// SPDX-License-Identifier: Apache-2.0
//
// Receiver operating characteristic of distances: how many pairs of one person and of two people a
// threshold accepts, at every threshold where that changes.
#ifndef FN_EVAL_ROC_H
#define FN_EVAL_ROC_H

#include <stddef.h>
#include <stdint.h>

/// Pairs with a distance <= this one.
typedef struct fn_roc_point {
    double distance;
    uint64_t same, different;
} fn_roc_point;

typedef struct fn_roc {
    fn_roc_point *points; // distances strictly rising
    size_t n;
    uint64_t n_same, n_different; // all pairs; the last point holds both
} fn_roc;

/// From distances of both kinds (sorted in place). Either may be empty.
int fn_roc_measure(fn_roc *out, float *same, size_t n_same, float *different, size_t n_different);
/// From counts: bin i holds distances in ((i - 1) * width, i * width].
int fn_roc_from_counts(fn_roc *out, const uint64_t *same, const uint64_t *different, size_t n_bins,
                       double width);
void fn_roc_free(fn_roc *roc);

/// Probability that a same-person pair is closer than a different-person pair, ties counting half
/// (Mann-Whitney). NaN when a kind is empty.
double fn_roc_auc(const fn_roc *roc);
/// The rate at which FAR and FRR meet, linear between points. NaN when a kind is empty.
double fn_roc_eer(const fn_roc *roc);
/// The point of the largest threshold with FAR <= far; distance -1 and no pairs where even the first
/// point is over it.
fn_roc_point fn_roc_at_far(const fn_roc *roc, double far);

typedef struct fn_interval {
    double low, high;
} fn_interval;

/// 95 % interval of a share p of n independent trials (Wilson 1927). NaN for n = 0.
fn_interval fn_wilson(double p, uint64_t n);
/// 95 % interval of an AUC (Hanley and McNeil 1982). NaN when a kind is empty.
fn_interval fn_auc_interval(double auc, uint64_t n_same, uint64_t n_different);

#endif
