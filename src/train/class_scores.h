// SPDX-License-Identifier: Apache-2.0
//
// What losses over people share: products of all rows with all class vectors, and back.
#ifndef FN_TRAIN_CLASS_SCORES_H
#define FN_TRAIN_CLASS_SCORES_H

/// x: (n, d), w: (n_classes, d), scores and their gradients g: (n, n_classes). Sums are in double and do not
/// depend on the number of threads.
typedef struct fn_class_shape {
    int n, n_classes, d;
    int threads; // 1 or more
} fn_class_shape;

void fn_class_scores(double *scores, const float *x, const float *w, fn_class_shape s); // x w'
void fn_class_rows(double *dx, const double *g, const float *w, fn_class_shape s);      // g w
void fn_class_weights(double *dw, const double *g, const float *x, fn_class_shape s);   // g' x

/// Scores of one row become `share` times their gradient; returns the row's -log softmax(score)[label].
double fn_cross_entropy(double *score, int n_classes, int label, double share);

#endif
