// SPDX-License-Identifier: Apache-2.0
//
// Notices that a training has collapsed: every face gets nearly the same embedding, which costs a triplet
// loss just its margin and gives no direction to leave by (Schroff et al. 2015, section 3.2: f(x) = 0).
#ifndef FN_TRAIN_COLLAPSE_H
#define FN_TRAIN_COLLAPSE_H

/// A plain value, part of the checkpoint. Zero is the beginning.
typedef struct fn_collapse {
    int n_together; // steps in a row in which the embeddings lay on one point
    int n_stuck;    // steps in a row in which they lay close and the loss was what a point costs
} fn_collapse;

/// Mean squared distance between two rows of a batch. unit: (n, d), rows of unit length; 0 for n < 2.
double fn_spread(const float *unit, int n, int d);

/// Takes in a step: the spread of its embeddings, and the mean loss of its triplets with what a triplet costs
/// on one point, its margin (0: not a loss of triplets). 1 when this is the `patience`-th bad step in a row,
/// else 0; patience 0: never.
int fn_collapse_step(fn_collapse *collapse, double spread, double triplet_loss, double margin, int patience);

/// Notes what was seen and what helps. FN_ETRAIN.
int fn_collapse_fail(double spread, double triplet_loss, double margin, int patience);

#endif
