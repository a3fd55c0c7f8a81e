// SPDX-License-Identifier: Apache-2.0
//
// Linear support vector machines, one for each pair of classes, with probabilities. libsvm finds the vectors
// and coefficients; what is made of them afterwards is ours, because libsvm's own probabilities draw from
// rand() and its model files are read without care.
#ifndef FN_TRAIN_SVM_H
#define FN_TRAIN_SVM_H

#include <facenet/base.h>

/// f of pair (i, j), i < j, for a row x: sum over the vectors v of class i of coefficient[j - 1][v] (v . x),
/// plus those of class j of coefficient[i][v] (v . x), less rho. Positive: rather i.
typedef struct fn_svm {
    int n_classes, dimension, n_vectors;
    int *n_of;            // (n_classes): vectors, which lie in the order of the classes
    float *vectors;       // (n_vectors, dimension)
    double *coefficients; // (n_classes - 1, n_vectors)
    double *rho;          // per pair, (0, 1), (0, 2), ... (1, 2), ...
    double slope;         // P(i rather than j) = 1 / (1 + exp(-slope f))
} fn_svm;

/// rows (n, dimension), sorted by label; labels 0 .. n_classes - 1, each there; n_classes >= 2; c > 0. The
/// slope is 1. FN_ENOMEM.
int fn_svm_fit(fn_svm *out, const float *rows, const int *labels, int n, int n_classes, int dimension,
               double c);
void fn_svm_free(fn_svm *svm);

/// Measures the slope on held-out rows: fits five times with a fifth of each class left out. Some class must
/// have two rows.
int fn_svm_calibrate(fn_svm *svm, const float *rows, const int *labels, int n, double c, uint64_t seed,
                     const fn_control *control);

/// values (pairs): f for one row. products has room for n_vectors numbers.
void fn_svm_values(const fn_svm *svm, const float *row, double *values, double *products);

/// dst (n_classes): probabilities, which add up to one. FN_ENOMEM.
int fn_svm_probabilities(const fn_svm *svm, const float *row, double *dst);

#endif
