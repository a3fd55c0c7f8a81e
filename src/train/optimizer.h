// SPDX-License-Identifier: Apache-2.0
//
// How weights follow their gradients. Everything an optimiser remembers lies in one block of floats and one
// counter, so that a checkpoint is two writes.
//
//     fn_optimizer_options options = fn_optimizer_defaults(FN_OPTIMIZER_ADAGRAD);
//     fn_optimizer_open(&opt, &options, n);
//     double norm = fn_optimizer_step(opt, weights, gradients, segments, n_segments, 0.05);
//
// With g the gradient after clipping, w the weight, t = 1, 2, ... the step:
//   sgd      v = momentum v + g;  w -= lr (g + momentum v)          Nesterov's momentum (Sutskever et al.
//   2013,
//            section 2, in the variables of Bengio et al. 2013, section 3.5; Torch's optim.sgd)
//   adagrad  s = s + g^2;  w -= lr g / (sqrt(s) + epsilon)          Duchi et al. 2011, section 1.1, diagonal
//   adam     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;       Kingma and Ba 2015, algorithm 1
//            w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
//   adamw    as adam, and w -= lr weight_decay w                    Loshchilov and Hutter 2019, algorithm 2
//   rmsprop  s = decay s + (1 - decay) g^2;                         Tieleman and Hinton 2012, lecture 6.5,
//            v = momentum v + lr g / sqrt(s + epsilon);  w -= v     with momentum as TensorFlow 1 has it
// All but adamw add weight_decay w to g, after clipping, where the segment decays.
#ifndef FN_TRAIN_OPTIMIZER_H
#define FN_TRAIN_OPTIMIZER_H

#include "nn/parameters.h"

typedef enum fn_optimizer_kind {
    FN_OPTIMIZER_SGD,
    FN_OPTIMIZER_ADAGRAD,
    FN_OPTIMIZER_ADAM,
    FN_OPTIMIZER_ADAMW,
    FN_OPTIMIZER_RMSPROP,
    FN_OPTIMIZER_COUNT
} fn_optimizer_kind;

typedef struct fn_optimizer_options {
    fn_optimizer_kind kind;
    double momentum;     // sgd, rmsprop: 0 .. 1, 0 is none
    double beta1, beta2; // adam, adamw
    double decay;        // rmsprop: of the mean square
    double epsilon;      // adagrad 1e-10, adam and adamw 1e-8, rmsprop 1e-10
    double start;        // adagrad, rmsprop: the sum or mean of squares before the first step, 0
    double weight_decay; // 0: none
    double clip_norm;    // gradients longer than this are scaled down to it; 0: none
    int threads;         // 0: as many as OpenMP has
} fn_optimizer_options;

/// momentum .9 (rmsprop 0), beta1 .9, beta2 .999, decay .9, the epsilon of the kind, nothing else.
fn_optimizer_options fn_optimizer_defaults(fn_optimizer_kind kind);

/// "sgd", "adagrad", "adam", "adamw", "rmsprop". FN_EINVAL with the choices.
int fn_optimizer_parse_kind(fn_optimizer_kind *out, const char *name);
const char *fn_optimizer_name(fn_optimizer_kind kind);

/// A run of weights of one kind. Segments are sorted by offset and do not overlap.
typedef struct fn_segment {
    size_t offset, count;
    int decays; // 1: weight decay pulls at it
    int frozen; // 1: neither weights nor state change, and the gradient is not looked at
} fn_segment;

/// The trained parameters as segments: parameters->n_trained of them in new memory (fn_free).
int fn_segments_of(fn_segment **out, const fn_parameters *parameters);

typedef struct fn_optimizer fn_optimizer;

/// For blocks of n numbers. FN_EINVAL for an option out of range, FN_ENOMEM.
int fn_optimizer_open(fn_optimizer **out, const fn_optimizer_options *options, size_t n);
void fn_optimizer_free(fn_optimizer *opt);

/// Changes the weights and returns the L2 norm of the gradient before clipping. Where that is not finite
/// nothing changes, the counter neither. The result is the same to the last bit for any number of threads.
double fn_optimizer_step(fn_optimizer *opt, float *weights, const float *gradients,
                         const fn_segment *segments, int n_segments, double lr);

/// The same in two halves, for several blocks clipped by their common norm: the sum of squares of a block's
/// gradients, and one step with gradients times `scale`.
double fn_optimizer_squares(fn_optimizer *opt, const float *gradients, const fn_segment *segments,
                            int n_segments);
void fn_optimizer_apply(fn_optimizer *opt, float *weights, const float *gradients, const fn_segment *segments,
                        int n_segments, double lr, double scale);

/// What a gradient of this norm is multiplied with, by clip_norm.
double fn_optimizer_scale(const fn_optimizer *opt, double norm);

/// The state, owned by the optimiser, and its size in numbers (a multiple of n): for checkpoints.
float *fn_optimizer_state(fn_optimizer *opt, size_t *n_floats);
uint64_t fn_optimizer_steps(const fn_optimizer *opt);
void fn_optimizer_set_steps(fn_optimizer *opt, uint64_t steps);

#endif
