// SPDX-License-Identifier: Apache-2.0
//
// ArcFace (Deng et al. 2019, "Additive angular margin loss for deep face recognition", section 2.1): rows and
// class vectors count by their direction alone; theta is the angle between them, and the row's own class must
// win although its angle is made larger by m:
//   L = mean over rows of  -log( e^(s cos(theta_y + m)) / (e^(s cos(theta_y + m)) + sum_(j != y) e^(s cos
//   theta_j)) )
// cos(theta + m) grows again where theta + m exceeds pi. There, as in the authors' program, the straight line
// cos(theta) - m sin(m) takes its place: it keeps falling with theta and stays below cos(theta). (Their
// "easy margin", which leaves angles above 90 degrees without any, is not offered.)
#include "base/error.h"
#include "train/class_scores.h"
#include "train/loss_kinds.h"

#include <math.h>
#include <string.h>

/// 1 / length of each of n rows; 0 for a row without length.
static void inverse_lengths(double *dst, const float *rows, int n, int d) {
    for (int i = 0; i < n; i++) {
        double square = fn_dot(rows + (size_t)i * (size_t)d, rows + (size_t)i * (size_t)d, d);
        dst[i] = square > 0 ? 1 / sqrt(square) : 0;
    }
}

static const double pi = 3.14159265358979323846;

/// What cos(theta) of the own class becomes, and the slope of that.
static double with_margin(double cosine, double margin, double *slope) {
    if (cosine <= cos(pi - margin)) {
        *slope = 1;
        return cosine - margin * sin(margin);
    }
    double sine = sqrt(fmax(1 - cosine * cosine, 1e-12));
    *slope = cos(margin) + cosine / sine * sin(margin);
    return cosine * cos(margin) - sine * sin(margin);
}

/// Products of one row become the gradients by them, and pull[j] the gradient by cos(theta_j) times
/// cos(theta_j). Returns the row's loss.
static double run_row(const fn_loss_options *o, double *score, double *pull, const double *inverse_w,
                      double inverse_x, int label, int n, int *right) {
    double s = (double)o->scale, slope;
    *right = 1;
    for (int j = 0; j < o->n_classes; j++) {
        pull[j] = fmin(fmax(score[j] * inverse_x * inverse_w[j], -1), 1);
        score[j] = s * pull[j];
    }
    for (int j = 0; j < o->n_classes; j++)
        *right &= score[j] <= score[label];
    score[label] = s * with_margin(pull[label], (double)o->margin, &slope);
    double loss = fn_cross_entropy(score, o->n_classes, label, 1.0 / n);
    score[label] *= slope;
    for (int j = 0; j < o->n_classes; j++) {
        pull[j] *= s * score[j];
        score[j] *= s * inverse_x * inverse_w[j];
    }
    return loss;
}

/// Takes from each row of a gradient what points along the row itself: a length does not count.
static void remove_radial(double *gradient, const float *row, double pull, double inverse, int d) {
    fn_add_scaled(gradient, -pull * inverse * inverse, row, d);
}

int fn_loss_run_arcface(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out) {
    const fn_loss_options *o = &loss->options;
    fn_class_shape shape = {batch->n, o->n_classes, o->dimension, o->threads};
    size_t n = (size_t)batch->n, classes = (size_t)o->n_classes, d = (size_t)o->dimension;
    double *score = fn_loss_scratch(loss, n * classes + n * d + classes * d + 2 * n + 3 * classes);
    if (!score)
        return FN_ENOMEM;
    double *dx = score + n * classes, *dw = dx + n * d, *inverse_x = dw + classes * d,
           *row_pull = inverse_x + n;
    double *inverse_w = row_pull + n, *class_pull = inverse_w + classes, *pull = class_pull + classes,
           sum = 0;
    int n_right = 0;
    inverse_lengths(inverse_x, batch->embeddings, batch->n, o->dimension);
    inverse_lengths(inverse_w, loss->weights, o->n_classes, o->dimension);
    fn_class_scores(score, batch->embeddings, loss->weights, shape);
    memset(class_pull, 0, classes * sizeof *class_pull);
    for (size_t i = 0; i < n; i++) {
        int right;
        sum +=
            run_row(o, score + i * classes, pull, inverse_w, inverse_x[i], batch->label[i], batch->n, &right);
        n_right += right;
        row_pull[i] = 0;
        for (size_t j = 0; j < classes; j++) {
            row_pull[i] += pull[j];
            class_pull[j] += pull[j];
        }
    }
    fn_class_rows(dx, score, loss->weights, shape);
    fn_class_weights(dw, score, batch->embeddings, shape);
    for (size_t i = 0; i < n; i++)
        remove_radial(dx + i * d, batch->embeddings + i * d, row_pull[i], inverse_x[i], o->dimension);
    for (size_t j = 0; j < classes; j++)
        remove_radial(dw + j * d, loss->weights + j * d, class_pull[j], inverse_w[j], o->dimension);
    fn_round_row(d_embeddings, dx, n * d);
    fn_round_row(loss->gradients, dw, classes * d);
    out->loss = sum / batch->n;
    out->accuracy = (double)n_right / batch->n;
    return FN_OK;
}
