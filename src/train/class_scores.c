// SPDX-License-Identifier: Apache-2.0
//
// Plain matrix products in double. Each number is summed by one thread in a fixed order. At ten thousand
// people and a batch of 256 they take a tenth of the network's own time.
#include "train/class_scores.h"

#include "train/loss_kinds.h"

#include <math.h>
#include <string.h>

void fn_class_scores(double *scores, const float *x, const float *w, fn_class_shape s) {
    size_t d = (size_t)s.d, classes = (size_t)s.n_classes;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (int i = 0; i < s.n; i++)
        for (size_t j = 0; j < classes; j++)
            scores[(size_t)i * classes + j] = fn_dot(x + (size_t)i * d, w + j * d, s.d);
}

void fn_class_rows(double *dx, const double *g, const float *w, fn_class_shape s) {
    size_t d = (size_t)s.d, classes = (size_t)s.n_classes;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (int i = 0; i < s.n; i++) {
        double *row = dx + (size_t)i * d;
        memset(row, 0, d * sizeof *row);
        for (size_t j = 0; j < classes; j++)
            fn_add_scaled(row, g[(size_t)i * classes + j], w + j * d, s.d);
    }
}

void fn_class_weights(double *dw, const double *g, const float *x, fn_class_shape s) {
    size_t d = (size_t)s.d, classes = (size_t)s.n_classes;
#pragma omp parallel for schedule(static) num_threads(s.threads)
    for (int j = 0; j < s.n_classes; j++) {
        double *row = dw + (size_t)j * d;
        memset(row, 0, d * sizeof *row);
        for (size_t i = 0; i < (size_t)s.n; i++)
            fn_add_scaled(row, g[i * classes + (size_t)j], x + i * d, s.d);
    }
}

double fn_cross_entropy(double *score, int n_classes, int label, double share) {
    double best = score[0], sum = 0;
    for (int j = 1; j < n_classes; j++)
        best = score[j] > best ? score[j] : best;
    double own = score[label] - best;
    for (int j = 0; j < n_classes; j++)
        sum += score[j] = exp(score[j] - best);
    for (int j = 0; j < n_classes; j++)
        score[j] *= share / sum;
    score[label] -= share;
    return log(sum) - own;
}
