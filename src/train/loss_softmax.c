// SPDX-License-Identifier: Apache-2.0
//
// Cross-entropy over people, and the centre loss (Wen et al. 2016, "A discriminative feature learning
// approach for deep face recognition", sections 3.2 and 3.3):
//   L = mean over rows of  -log softmax(s W x + b)[y]  +  lambda / 2 |x - c_y|^2
// A centre is no weight: it follows the rows of its person by c -= alpha sum(c - x) / (1 + count). Centres
// start at zero.
#include "base/error.h"
#include "train/class_scores.h"
#include "train/loss_kinds.h"

#include <string.h>

/// Adds the pull to the centres to dx (n, d); the sum of the rows' losses.
static double centre_pull(const fn_loss *loss, const fn_loss_batch *batch, double *dx) {
    int d = loss->options.dimension;
    double lambda = (double)loss->options.centre_weight, sum = 0;
    for (int i = 0; i < batch->n; i++) {
        size_t at = (size_t)i * (size_t)d;
        const float *c = loss->state + (size_t)batch->label[i] * (size_t)d;
        for (size_t k = 0; k < (size_t)d; k++) {
            double away = (double)batch->embeddings[at + k] - (double)c[k];
            sum += lambda / 2 * away * away;
            dx[at + k] += lambda / batch->n * away;
        }
    }
    return sum;
}

/// Moves the centre of every person of the batch once, at its first row. total: (d) scratch.
static void move_centres(fn_loss *loss, const fn_loss_batch *batch, double *total) {
    int d = loss->options.dimension;
    for (int i = 0; i < batch->n; i++) {
        int label = batch->label[i], earlier = 0, count = 0;
        while (batch->label[earlier] != label)
            earlier++;
        if (earlier < i)
            continue;
        memset(total, 0, (size_t)d * sizeof *total);
        for (int e = i; e < batch->n; e++)
            if (batch->label[e] == label) {
                fn_add_scaled(total, 1, batch->embeddings + (size_t)e * (size_t)d, d);
                count++;
            }
        float *c = loss->state + (size_t)label * (size_t)d;
        for (int k = 0; k < d; k++) {
            double delta = (count * (double)c[k] - total[k]) / (1 + count);
            c[k] = (float)((double)c[k] - (double)loss->options.centre_rate * delta);
        }
    }
}

/// Whether no class scores better than the row's own.
static int is_right(const double *score, int n_classes, int label) {
    for (int j = 0; j < n_classes; j++)
        if (score[j] > score[label])
            return 0;
    return 1;
}

int fn_loss_run_softmax(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out) {
    const fn_loss_options *o = &loss->options;
    fn_class_shape shape = {batch->n, o->n_classes, o->dimension, o->threads};
    size_t n = (size_t)batch->n, classes = (size_t)o->n_classes, d = (size_t)o->dimension;
    float *bias = loss->weights + classes * d, *d_bias = loss->gradients + classes * d;
    double scale = (double)o->scale, sum = 0;
    double *score = fn_loss_scratch(loss, n * classes + n * d + classes * d);
    if (!score)
        return FN_ENOMEM;
    double *dx = score + n * classes, *dw = dx + n * d;
    int n_right = 0;
    fn_class_scores(score, batch->embeddings, loss->weights, shape);
    for (size_t i = 0; i < n; i++) {
        double *row = score + i * classes;
        for (size_t j = 0; j < classes; j++)
            row[j] = scale * row[j] + (double)bias[j];
        n_right += is_right(row, o->n_classes, batch->label[i]);
        sum += fn_cross_entropy(row, o->n_classes, batch->label[i], 1.0 / batch->n);
    }
    for (size_t j = 0; j < classes; j++) {
        double total = 0;
        for (size_t i = 0; i < n; i++)
            total += score[i * classes + j];
        d_bias[j] = (float)total;
    }
    for (size_t i = 0; i < n * classes; i++)
        score[i] *= scale;
    fn_class_rows(dx, score, loss->weights, shape);
    fn_class_weights(dw, score, batch->embeddings, shape);
    if (o->centre_weight > 0) {
        sum += centre_pull(loss, batch, dx);
        fn_round_row(loss->gradients, dw, classes * d);
        move_centres(loss, batch, dw);
    } else {
        fn_round_row(loss->gradients, dw, classes * d);
    }
    fn_round_row(d_embeddings, dx, n * d);
    out->loss = sum / batch->n;
    out->accuracy = (double)n_right / batch->n;
    return FN_OK;
}
