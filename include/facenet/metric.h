// SPDX-License-Identifier: Apache-2.0
//
// metric.h: a better distance for embeddings that are already there. Large-margin nearest neighbours
// (Weinberger and Saul, JMLR 2009) learns a linear map L so that |L x - L y|^2 brings the k nearest vectors
// of one person closer and keeps those of others a margin away. The network stays as it is.
//
//     fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
//     fn_lmnn_choose(&options, embeddings, label, n, 128, &options, 1, NULL, NULL, NULL); // how far to go
//     fn_lmnn_learn(L, embeddings, label, n, 128, &options, &result, NULL);   // L: (128, 128)
//     fn_lmnn_apply(better, L, 128, embeddings, n, 128);
//     fn_metric_write("better.onnx", "mobilefacenet", NULL, L, 128, 128, NULL);
#ifndef FACENET_METRIC_H
#define FACENET_METRIC_H

#include <facenet/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_lmnn_options {
    int version;           // FN_LMNN_OPTIONS_VERSION
    int k;                 // target neighbours of each vector, 1..64; whoever has fewer gives all it has
    int rank;              // rows of L, 1..d; 0: d
    int iterations;        // most steps of each pass
    int passes;            // target neighbours are chosen again under the L of the pass before
    double mu;             // weight of pushing others away, 0..1; pulling together has 1 - mu
    double margin;         // by which others are to be farther, in squared distance
    double regularization; // weight of |L - L0|^2, where L0 is where learning starts; 0: none
    double whitening; // > 0: learning starts where directions in which photographs of one person differ are
                      // shrunk, the less the larger this number; 0: from the vectors as they are
    double balance;  // people of n vectors count n^(1 - balance) fold: 0: every vector alike, 1: every person
    int unit_length; // 1: distances are those between L x brought to length 1, as an embedder gives them;
                     // 0: those of the paper
    int threads;     // 0: one per processor
} fn_lmnn_options;
#define FN_LMNN_OPTIONS_VERSION 2
#define FN_LMNN_OPTIONS_INIT                                                                                 \
    { FN_LMNN_OPTIONS_VERSION, 3, 0, 200, 1, 0.5, 0.2, 0.0, 0.0, 0.0, 1, 0 }

typedef struct fn_lmnn_result {
    int n_used;               // vectors with at least one target neighbour
    int n_people;             // among them
    int iterations;           // steps taken, all passes together
    double loss_before, loss; // of the first targets under the first L; of the last under the last L
    int64_t n_impostors_before, n_impostors; // triples (vector, target, other) within the margin
} fn_lmnn_result;

/// L: (rank or d, d) float, written row by row. embeddings: (n, d) float, label: (n), any numbers. Learning
/// starts from the directions that carry most of the vectors' energy (all of them: the identity), or from
/// those of the whitened vectors. The same
/// input gives the same L, whatever the number of threads. out may be NULL. Errors: FN_EINVAL (nobody has
/// two vectors, there is one person only, options out of range), FN_ENOMEM, FN_ECANCELLED, FN_ETIMEOUT. May
/// take minutes for many thousand vectors; memory grows with n^2.
FN_API int fn_lmnn_learn(float *L, const float *embeddings, const int *label, size_t n, int d,
                         const fn_lmnn_options *options, fn_lmnn_result *out, const fn_control *control);

/// How a setting fared on people that it was not learnt from.
typedef struct fn_lmnn_trial {
    double whitening, regularization;
    int iterations;       // 0: the start alone; at most 30
    double error;         // mean of those of 1, 3 and 5 nearest neighbours (fn_knn_error) over all trials
    double gain, gain_se; // by which it is below that of the vectors as they are (of the plain start of that
                          // rank), pair by pair, and the standard error
} fn_lmnn_trial;
#define FN_LMNN_MAX_TRIALS 16

/// Chooses whitening, regularization, and whether to take steps at all, by what helps people who are not
/// learnt from: in each of ten trials a fifth of them is held out. A stronger setting is taken where it gains
/// on the one before by more than the standard error of that gain. Other options are taken as they are.
/// Returns 1, or 0 when no setting gains on none, which is to say: leave the vectors as they are; *chosen
/// then is the plain start (rank d: the identity). seed: of who is held out. trials: FN_LMNN_MAX_TRIALS of
/// them, n_trials of which are filled; both may be NULL. chosen may be options. Errors: as fn_lmnn_learn, and
/// FN_EINVAL for fewer than four people with two vectors. Takes dozens of times as long as learning once.
FN_API int fn_lmnn_choose(fn_lmnn_options *chosen, const float *embeddings, const int *label, size_t n, int d,
                          const fn_lmnn_options *options, uint64_t seed, fn_lmnn_trial *trials,
                          size_t *n_trials, const fn_control *control);

/// dst: (n, rank) float, rows L x brought to length 1. dst must not overlap embeddings.
FN_API void fn_lmnn_apply(float *dst, const float *L, int rank, const float *embeddings, size_t n, int d);

/// Writes a model file: the network of `model` (a catalogue name in the folder `models`, NULL: the default
/// one, or an ONNX file) with L (rank, d) as its last, linear layer. It embeds faces as fn_lmnn_apply maps
/// the embeddings of the old one, has a fingerprint of its own and no calibration: measure one before
/// deciding by it. note: JSON about how L was learnt, kept as facenet.metric; NULL: none. With its checksum
/// beside it, or, on failure, nothing new. Errors: FN_EINVAL (rank, or the model has another dimension),
/// FN_EMODEL, FN_ENOTFOUND, FN_EIO, FN_ENOMEM.
FN_API int fn_metric_write(const char *path, const char *model, const char *models, const float *L, int rank,
                           int d, const char *note);

/// How often the k nearest other vectors name the wrong person, by majority, the nearer side winning a draw:
/// of those vectors whose person has another one. k: 1..64. *n_asked of them; NULL: not wanted. Share 0..1
/// (0 when none could be asked), or FN_EINVAL, FN_ENOMEM.
FN_API double fn_knn_error(const float *embeddings, const int *label, size_t n, int d, int k,
                           size_t *n_asked);

#ifdef __cplusplus
}
#endif
#endif
