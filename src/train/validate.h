// SPDX-License-Identifier: Apache-2.0
//
// How well a network in training tells people apart that it has never seen: all pictures of the validation
// folder are embedded as they are, and pairs of them judged by their distance.
#ifndef FN_TRAIN_VALIDATE_H
#define FN_TRAIN_VALIDATE_H

#include "model/model.h"
#include "nn/graph.h"

#include <facenet/dataset.h>
#include <facenet/train.h>

typedef struct fn_validator fn_validator;

/// The dataset must outlive it. Errors: FN_EINVAL (fewer than two people or no person with two images).
int fn_validator_open(fn_validator **out, const fn_dataset *dataset, const fn_input_spec *input,
                      const fn_train_options *options);
void fn_validator_free(fn_validator *validator);

/// Judges a network. The graph is taken over, also on failure.
int fn_validator_run(fn_validator *validator, fn_graph *graph, fn_train_validation *out);

/// Squared distances of the pairs judged last, sorted: up to a million of each kind. Valid until the next
/// run.
void fn_validator_pairs(const fn_validator *validator, const float **same, size_t *n_same,
                        const float **different, size_t *n_different);

/// What embeddings (n, d) of unit length with these labels say. same, different: room for as many distances
/// as fn_pairs_count says; they come back sorted.
int fn_judge(fn_train_validation *out, const float *embeddings, const int *label, int n, int d, float *same,
             float *different);
void fn_pairs_count(size_t *n_same, size_t *n_different, const int *label, int n);

#endif
