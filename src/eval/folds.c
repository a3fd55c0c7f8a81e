// SPDX-License-Identifier: Apache-2.0
//
// LFW's cross-validation (Huang et al. 2007, section III): for each fold the threshold that is right
// most often on the other folds, midway between two distances, the smallest of equals.
#include "eval/folds.h"

#include <math.h>
#include <stdlib.h>

static int by_distance(const void *pa, const void *pb) {
    const fn_fold_pair *a = pa, *b = pb;
    return (a->distance > b->distance) - (a->distance < b->distance);
}

/// The best threshold on sorted pairs outside `fold` (-1: on all of them).
static double best_threshold(const fn_fold_pair *pairs, size_t n, int fold) {
    int64_t gained = 0, most = 0; // right answers beyond those of accepting nothing
    double last = -1, best = -1;
    for (size_t i = 0; i < n; i++) {
        double at = (double)pairs[i].distance;
        if (pairs[i].fold == fold)
            continue;
        if (last >= 0 && at > last && gained > most) {
            most = gained;
            best = (last + at) / 2;
        }
        gained += pairs[i].same ? 1 : -1;
        last = at;
    }
    return gained > most ? last : best;
}

void fn_folds_measure(fn_fold *folds, int n_folds, fn_fold_pair *pairs, size_t n) {
    if (n)
        qsort(pairs, n, sizeof *pairs, by_distance);
    for (int fold = 0; fold < n_folds; fold++)
        folds[fold] = (fn_fold){.threshold = best_threshold(pairs, n, n_folds > 1 ? fold : -1)};
    for (size_t i = 0; i < n; i++) {
        fn_fold *fold = &folds[pairs[i].fold];
        fold->of++;
        fold->correct += ((double)pairs[i].distance <= fold->threshold) == (pairs[i].same != 0);
    }
}

fn_accuracy fn_folds_accuracy(const fn_fold *folds, int n_folds) {
    fn_accuracy a = {0};
    double sum = 0, squares = 0;
    for (int i = 0; i < n_folds; i++) {
        double accuracy = (double)folds[i].correct / (double)folds[i].of;
        sum += accuracy;
        a.threshold += folds[i].threshold / n_folds;
        a.correct += folds[i].correct;
        a.of += folds[i].of;
    }
    a.mean = sum / n_folds;
    for (int i = 0; i < n_folds; i++) {
        double off = (double)folds[i].correct / (double)folds[i].of - a.mean;
        squares += off * off;
    }
    a.standard_error = n_folds > 1 ? sqrt(squares / (n_folds - 1) / n_folds) : NAN;
    return a;
}
