// SPDX-License-Identifier: Apache-2.0
//
// What training makes small. A loss looks at the embeddings of one batch and says how wrong they are and in
// which direction each should move. It sees the batch as a whole: the network may have computed it in parts.
// The direction is with respect to the rows as they are given; the network's own normalisation to unit
// length takes it further back.
//
//     fn_loss_options options = fn_loss_defaults(FN_LOSS_TRIPLET);
//     options.dimension = 128;
//     fn_loss_open(&loss, &options);
//     fn_loss_run(loss, &(fn_loss_batch){embeddings, label, NULL, n, step}, d_embeddings, &result);
#ifndef FN_TRAIN_LOSS_H
#define FN_TRAIN_LOSS_H

#include "train/mine.h"

#include <stddef.h>
#include <stdint.h>

typedef enum fn_loss_kind {
    FN_LOSS_TRIPLET,      // max(0, d2(a,p) - d2(a,n) + margin) (Schroff et al. 2015)
    FN_LOSS_SOFT_TRIPLET, // log(1 + exp(d2(a,p) - d2(a,n))) (soft margin, Hermans et al. 2017)
    FN_LOSS_SOFTMAX,      // cross-entropy over people, with centre loss (Wen et al. 2016)
    FN_LOSS_ARCFACE,      // additive angular margin (Deng et al. 2019)
    FN_LOSS_DISTILL,      // a teacher's embeddings, and the likenesses within the batch
    FN_LOSS_HARMONIC      // triplets that mix the embeddings of a new and an old network (Schroff, appendix)
} fn_loss_kind;

typedef struct fn_loss_options {
    fn_loss_kind kind;
    int dimension;           // of the embeddings
    fn_mining mining;        // triplets; soft and harmonic ones too
    float margin;            // triplets 0.2; arcface 0.5 radians
    int mean_reduction;      // triplets: 0: sum (the paper); 1: mean over the triplets found (OpenFace)
    float scale;             // arcface s 64; softmax: factor of the embeddings before the last layer, 1
    float centre_weight;     // softmax: lambda of the centre loss 0.003, 0: none
    float centre_rate;       // softmax: alpha by which centres move, 0.5
    float similarity_weight; // distill: weight of the in-batch similarities, 10
    int n_classes;           // softmax, arcface: labels are 0 .. n_classes - 1
    int teacher_dimension;   // distill; 0: `dimension`
    uint64_t seed;           // of the weights' first values and of mining
    int threads;             // 0: 1
} fn_loss_options;

/// The papers' values for a kind; dimension, n_classes and seed stay zero.
fn_loss_options fn_loss_defaults(fn_loss_kind kind);

/// "triplet", "soft-triplet", "softmax", "arcface", "distill", "harmonic"; "semi-hard",
/// "semi-hard-random", "any-violator", "batch-hard", "random". Names are static, NULL for a number that is
/// none; parsing returns -1 for a word that is none.
const char *fn_loss_name(fn_loss_kind kind);
int fn_loss_parse(const char *name);
const char *fn_mining_name(fn_mining mining);
int fn_mining_parse(const char *name);

typedef struct fn_loss_batch {
    const float *embeddings; // (n, dimension), unit rows; softmax takes rows of any length
    const int *label;        // (n)
    const float *teacher;    // distill: (n, teacher_dimension), harmonic: the old network's (n, dimension),
                             // unit rows; else NULL
    int n;
    uint64_t step; // of mining's random choices
} fn_loss_batch;

typedef struct fn_loss_result {
    double loss;
    int n_pairs, n_triplets; // as mined; 0 for losses without triplets
    int n_active;            // triplets with d2(a,n) < d2(a,p) + margin
    double mean_ap, mean_an; // mean d2 of all pairs of one person, and of two
    double accuracy;         // triplets: share in which the positive is nearer; softmax, arcface: share of
                             // rows whose own class scores best (without margin); distill: mean cosine to
                             // the teacher
} fn_loss_result;

typedef struct fn_loss fn_loss; // one thread at a time

/// Errors: FN_EINVAL (options that do not fit), FN_ENOMEM.
int fn_loss_open(fn_loss **out, const fn_loss_options *options);
void fn_loss_free(fn_loss *loss);

/// d_embeddings: (n, dimension), overwritten, as are the gradients of the loss's own weights; centres move.
/// Sums are in double and in a fixed order. out may be NULL. A batch without triplets has loss 0 and
/// gradient 0. Errors: FN_EINVAL (a label out of range, a teacher missing), FN_ENOMEM.
int fn_loss_run(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out);

/// Weights that the optimiser trains beside the network's, and their gradients: (n) each, owned by the loss;
/// n is 0 for losses without. The last `fn_loss_n_biases` of them are biases, which do not decay.
size_t fn_loss_n_weights(const fn_loss *loss);
size_t fn_loss_n_biases(const fn_loss *loss);
float *fn_loss_weights(fn_loss *loss);
const float *fn_loss_gradients(const fn_loss *loss);

/// What the loss keeps from step to step and checkpoints save beside the weights: centres, (n_classes,
/// dimension).
size_t fn_loss_n_state(const fn_loss *loss);
float *fn_loss_state(fn_loss *loss);

/// The loss of triplets given row by row: anchor, positive, negative are (n, d), and so are da, dp, dn, each
/// of which may be NULL. Sum or mean over n.
double fn_triplet_loss(const float *anchor, const float *positive, const float *negative, int n, int d,
                       double margin, int mean, float *da, float *dp, float *dn);

#endif
