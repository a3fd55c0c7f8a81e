// SPDX-License-Identifier: Apache-2.0
//
// Accuracy by cross-validation: the threshold of a fold comes from the other folds.
#ifndef FN_EVAL_FOLDS_H
#define FN_EVAL_FOLDS_H

#include <stddef.h>
#include <stdint.h>

typedef struct fn_fold_pair {
    float distance;
    int fold; // 0..n_folds-1
    int same;
} fn_fold_pair;

typedef struct fn_fold {
    double threshold;     // pairs with a distance <= this are called one person
    uint64_t correct, of; // on the fold's own pairs
} fn_fold;

/// folds: n_folds results. pairs (sorted in place): n. With a single fold the threshold comes from
/// the same pairs that are judged by it.
void fn_folds_measure(fn_fold *folds, int n_folds, fn_fold_pair *pairs, size_t n);

typedef struct fn_accuracy {
    double mean, standard_error; // over the folds; the latter NaN for one fold
    double threshold;            // mean of the folds' thresholds
    uint64_t correct, of;
} fn_accuracy;

fn_accuracy fn_folds_accuracy(const fn_fold *folds, int n_folds);

#endif
