// SPDX-License-Identifier: Apache-2.0
//
// A network that learns: the graph as it is (nothing folded, nothing fused), planned with a backward pass.
// A plan is made per batch size and keeps every activation that the backward pass needs; the plans of the two
// sizes used last are kept.
//
//     fn_training_forward(t, &pass, images, n, embeddings);
//     ... loss, d_embeddings ...
//     fn_training_backward(t, &pass, d_embeddings, n, NULL); // adds to pass.gradients
//
// One thread drives a training; the work inside runs on `threads` of them.
#ifndef FN_NN_TRAINING_H
#define FN_NN_TRAINING_H

#include "nn/infer.h"
#include "nn/parameters.h"

#include <facenet/model.h>

typedef struct fn_training_options {
    fn_backend backend;
    fn_precision precision; // BF16: activations and products in bfloat16, weights and sums in float
    int threads;            // 0: 1
    int wants_input;        // 1: the gradient of the input is computed too
} fn_training_options;

/// A backend's half. Real types are the backend's: float, or double for the reference of gradients.
typedef struct fn_training_def {
    const char *name;
    /// Takes over what `inferred` holds, also on failure.
    int (*plan_open)(void **out, const fn_graph *graph, const fn_parameters *parameters,
                     fn_inferred *inferred, const fn_training_options *options);
    void (*plan_free)(void *plan);
    /// One graph input, one graph output.
    int (*forward)(void *plan, const fn_pass *pass, const void *input, void *output);
    /// After a forward pass of the same plan with the same weights. d_input: NULL unless wanted.
    int (*backward)(void *plan, const fn_pass *pass, const void *d_output, void *d_input);
    /// Memory of the plan in bytes.
    size_t (*bytes)(const void *plan);
    /// The node whose result or gradient first holds a number that is not finite, or NULL: after a loss that
    /// is not finite, to say where.
    const char *(*not_finite)(const void *plan, const fn_pass *pass);
} fn_training_def;

extern const fn_training_def fn_training_ref_f32;
extern const fn_training_def fn_training_ref_f64;
extern const fn_training_def fn_training_onednn;

typedef struct fn_training fn_training;

/// The graph is taken over, also on failure: one 4-d input of known size, one output of (N, D).
int fn_training_open(fn_training **out, fn_graph *graph, const fn_training_options *options);
void fn_training_free(fn_training *training);

const fn_graph *fn_training_graph(const fn_training *training);
fn_parameters *fn_training_parameters(fn_training *training); // freeze before the first pass
int fn_training_dimension(const fn_training *training);

/// The blocks, owned by the training: weights, gradients, statistics. A caller may let pass.weights point
/// elsewhere (averages of weights) as long as the layout is the same.
float *fn_training_weights(fn_training *training);
float *fn_training_gradients(fn_training *training);
float *fn_training_statistics(fn_training *training);
/// A pass over the blocks above.
fn_pass fn_training_pass(fn_training *training);

/// images (n, C, H, W), kept by the caller until the backward pass; embeddings (n, D). Blocks. FN_EINVAL
/// inside an OpenMP parallel region; FN_EUNSUPPORTED when a gradient cannot pass an operator; FN_ENOMEM.
int fn_training_forward(fn_training *training, const fn_pass *pass, const float *images, int n,
                        float *embeddings);
/// Of the last forward pass. d_images: NULL unless options.wants_input. FN_EINVAL when there was no forward
/// pass of n items.
int fn_training_backward(fn_training *training, const fn_pass *pass, const float *d_embeddings, int n,
                         float *d_images);
/// Memory of the plans that are kept, in bytes.
size_t fn_training_bytes(const fn_training *training);

/// Where a number stopped being finite since the last forward pass: a node's name, or NULL.
const char *fn_training_not_finite(fn_training *training, const fn_pass *pass);

/// A copy of the graph with these weights and statistics (NULL: the training's own), ready to be written.
/// fold: batch-norms are folded into the convolutions before them.
int fn_training_export(fn_graph **out, const fn_training *training, const float *weights,
                       const float *statistics, int fold);

#endif
