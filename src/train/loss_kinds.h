// SPDX-License-Identifier: Apache-2.0
//
// Inside of a loss. Each kind is one file with one function; loss.c chooses.
#ifndef FN_TRAIN_LOSS_KINDS_H
#define FN_TRAIN_LOSS_KINDS_H

#include "train/loss.h"

struct fn_loss {
    fn_loss_options options;
    size_t n_weights, n_biases, n_state;
    float *weights, *gradients, *state;
    double *scratch; // kept from step to step
    size_t n_scratch;
};

/// Room for n doubles, not zeroed, the loss's until its next call; NULL (and the error noted) without memory.
double *fn_loss_scratch(fn_loss *loss, size_t n);

/// Each overwrites d_embeddings and the gradients, and fills what it knows of *out, which is zeroed and has
/// mean_ap and mean_an. All embeddings are finite. FN_OK or FN_ENOMEM.
typedef int fn_loss_fn(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out);
fn_loss_fn fn_loss_run_triplet; // soft triplets too
fn_loss_fn fn_loss_run_softmax;
fn_loss_fn fn_loss_run_arcface;
fn_loss_fn fn_loss_run_distill;
fn_loss_fn fn_loss_run_harmonic;

/// The loss of mined triplets on (n, d) rows, soft or with a margin as the options say: fills the counts of
/// *out and adds to gradient (n, d).
void fn_loss_of_triplets(const fn_loss_options *options, const fn_mined *mined, const float *rows, int d,
                         double *gradient, fn_loss_result *out);

/// Sums over d numbers in double, in order.
static inline double fn_dot(const float *a, const float *b, int d) {
    double lane[4] = {0};
    int i = 0;
    for (; i + 4 <= d; i += 4)
        for (int k = 0; k < 4; k++)
            lane[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < d; i++)
        lane[0] += (double)a[i] * (double)b[i];
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

static inline void fn_add_scaled(double *dst, double factor, const float *src, int d) {
    for (int i = 0; i < d; i++)
        dst[i] += factor * (double)src[i];
}

static inline void fn_round_row(float *dst, const double *src, size_t n) {
    for (size_t i = 0; i < n; i++)
        dst[i] = (float)src[i];
}

#endif
