// SPDX-License-Identifier: Apache-2.0
//
// Inside of large-margin nearest neighbours: the loss of a map L on given targets and impostors. y = L x, or
// that at unit length; d2(i, l) = |y_i - y_l|^2.
//   loss = 1/T sum_(i, target j) [ (1 - mu) d2(i,j) + mu sum_(candidate l) max(0, margin + d2(i,j) - d2(i,l))
//   ]
//        + regularization |L - L0|^2
// T is the number of (i, j). Candidates are those who were impostors, or nearly, when last looked for.
#ifndef FN_TRAIN_LMNN_H
#define FN_TRAIN_LMNN_H

#include <facenet/metric.h>

typedef struct fn_lmnn {
    fn_lmnn_options options; // rank filled in
    const float *x;          // (n, d)
    const int *label;        // (n)
    size_t n;
    int d, n_targets;      // T
    double *first;         // L0, (rank, d)
    int *target;           // (n, k): rows; -1: none
    double *share;         // (n): weight of each pair of i and a target; over all pairs they add up to 1
    size_t *candidate_end; // (n): candidates of i are candidate[candidate_end[i - 1]] ..
                           // candidate[candidate_end[i] - 1]
    int *candidate;
    size_t n_candidates, candidate_capacity;
    double *y, *length; // (n, rank), (n) of the L last evaluated; length 1 without unit_length
    double *dy;         // (FN_LMNN_PARTS, n, rank)
    float *rows;        // (n, stride): y for the search
    size_t stride;
} fn_lmnn;

/// Anchors are worked on in this many parts, whose sums are added in order: the number of threads does
/// not matter.
enum { FN_LMNN_PARTS = 8, FN_LMNN_MAX_K = 64 };

/// Whether there is something to learn from, and the options are in range. FN_EINVAL.
int fn_lmnn_check(const fn_lmnn_options *options, const float *x, const int *label, size_t n, int d);

/// options must have been checked; x and label must outlive it. L0: (rank, d), copied. FN_ENOMEM.
int fn_lmnn_open(fn_lmnn *m, const float *x, const int *label, size_t n, int d,
                 const fn_lmnn_options *options, const double *L0);
void fn_lmnn_close(fn_lmnn *m);

/// The map that learning starts from; options must have been checked, rank filled in. FN_EINVAL: whitening,
/// and nobody has two vectors. FN_ENOMEM.
int fn_lmnn_start(double *L, const float *x, const int *label, size_t n, int d,
                  const fn_lmnn_options *options);

/// Chooses the k nearest of the same person under L as targets.
void fn_lmnn_choose_targets(fn_lmnn *m, const double *L);
/// Looks for candidates under L among all. FN_ENOMEM.
int fn_lmnn_search(fn_lmnn *m, const double *L);
/// Loss and its gradient dL (rank, d), on the present targets and candidates; *n_impostors: hinges that are
/// open; NULL: not wanted.
double fn_lmnn_loss(fn_lmnn *m, const double *L, double *dL, int64_t *n_impostors);

#endif
