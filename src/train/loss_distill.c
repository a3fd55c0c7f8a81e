// SPDX-License-Identifier: Apache-2.0
//
// Learning from a teacher's embeddings t: the rows x are to be where the teacher's are, and alike within the
// batch as the teacher's are (the distance form of relational distillation, Park et al. 2019, section 3.2,
// with products in place of distances).
//   L = 1/n sum_i |P x_i - t_i|^2  +  weight / (n (n - 1)) sum_(i != j) (x_i . x_j - t_i . t_j)^2
// P is the identity where both have the same dimension, else a matrix that is learnt with the network and
// thrown away with the loss. The second term needs no P.
#include "base/error.h"
#include "train/class_scores.h"
#include "train/loss_kinds.h"

#include <math.h>
#include <string.h>

/// Regression without a projection. Writes dx; returns the sum over rows, and of the cosines.
static double regress(const float *x, const float *t, int n, int d, double *dx, double *cosines) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * (size_t)d;
        for (size_t k = at; k < at + (size_t)d; k++) {
            double away = (double)x[k] - (double)t[k];
            sum += away * away;
            dx[k] = 2.0 / n * away;
        }
        *cosines += fn_dot(x + at, t + at, d) /
                    sqrt(fmax(fn_dot(x + at, x + at, d) * fn_dot(t + at, t + at, d), 1e-30));
    }
    return sum;
}

/// The same through the projection; writes its gradient too. y: (n, teacher_dimension), dp:
/// (teacher_dimension, dimension).
static double regress_projected(fn_loss *loss, const fn_loss_batch *batch, double *y, double *dp, double *dx,
                                double *cosines) {
    const fn_loss_options *o = &loss->options;
    fn_class_shape shape = {batch->n, o->teacher_dimension, o->dimension, o->threads};
    size_t n = (size_t)batch->n, wide = (size_t)o->teacher_dimension;
    double sum = 0;
    fn_class_scores(y, batch->embeddings, loss->weights, shape);
    for (size_t i = 0; i < n; i++) {
        double *row = y + i * wide, yy = 0, yt = 0, tt = 0;
        const float *t = batch->teacher + i * wide;
        for (size_t k = 0; k < wide; k++) {
            double away = row[k] - (double)t[k];
            yy += row[k] * row[k];
            yt += row[k] * (double)t[k];
            tt += (double)t[k] * (double)t[k];
            sum += away * away;
            row[k] = 2.0 / batch->n * away;
        }
        *cosines += yt / sqrt(fmax(yy * tt, 1e-30));
    }
    fn_class_rows(dx, y, loss->weights, shape);
    fn_class_weights(dp, y, batch->embeddings, shape);
    fn_round_row(loss->gradients, dp, loss->n_weights);
    return sum;
}

/// Adds the gradient of the likenesses to dx; returns their part of the loss. row: (n) numbers per row's own
/// part of the sum.
static double match_likeness(const fn_loss_options *o, const fn_loss_batch *batch, double *dx, double *row) {
    int n = batch->n, d = o->dimension, wide = o->teacher_dimension;
    double share = (double)o->similarity_weight / ((double)n * (n - 1)), sum = 0;
#pragma omp parallel for schedule(static) num_threads(o->threads)
    for (int i = 0; i < n; i++) {
        const float *x = batch->embeddings + (size_t)i * (size_t)d;
        const float *t = batch->teacher + (size_t)i * (size_t)wide;
        row[i] = 0;
        for (int j = 0; j < n; j++) {
            if (j == i)
                continue;
            const float *other = batch->embeddings + (size_t)j * (size_t)d;
            double away = fn_dot(x, other, d) - fn_dot(t, batch->teacher + (size_t)j * (size_t)wide, wide);
            row[i] += away * away;
            fn_add_scaled(dx + (size_t)i * (size_t)d, 4 * share * away, other, d);
        }
    }
    for (int i = 0; i < n; i++)
        sum += row[i];
    return share * sum;
}

int fn_loss_run_distill(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out) {
    const fn_loss_options *o = &loss->options;
    size_t n = (size_t)batch->n, d = (size_t)o->dimension, wide = (size_t)o->teacher_dimension;
    double *dx = fn_loss_scratch(loss, n * d + n * wide + loss->n_weights + n), cosines = 0;
    if (!dx)
        return FN_ENOMEM;
    double *y = dx + n * d, *dp = y + n * wide, *row = dp + loss->n_weights;
    out->loss = loss->n_weights
                    ? regress_projected(loss, batch, y, dp, dx, &cosines)
                    : regress(batch->embeddings, batch->teacher, batch->n, o->dimension, dx, &cosines);
    out->loss /= batch->n;
    if (o->similarity_weight > 0 && batch->n > 1)
        out->loss += match_likeness(o, batch, dx, row);
    out->accuracy = cosines / batch->n;
    fn_round_row(d_embeddings, dx, n * d);
    return FN_OK;
}
