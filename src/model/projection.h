// SPDX-License-Identifier: Apache-2.0
//
// Shorter embeddings from a network that ends in linear maps: the output is projected onto the
// directions that carry most of it.
#ifndef FN_MODEL_PROJECTION_H
#define FN_MODEL_PROJECTION_H

#include "nn/graph.h"

typedef struct fn_projection {
    int from, to;            // dimensions before and after
    double discarded_energy; // share of the sum of squared singular values, 0..1
} fn_projection;

/// Replaces *graph, which must end in two 1x1 convolutions and a reshape to rows, by a graph whose
/// output "embedding" has `dimension` numbers. On failure *graph stays as it is: FN_EMODEL when the
/// network does not end so or is shorter, FN_ENOMEM.
int fn_project(fn_graph **graph, int dimension, fn_projection *out);

/// Left singular vectors of a (rows, cols) matrix, row-major, by decreasing singular value: u is (rows,
/// rows), column k the k-th vector; sigma has `rows` numbers. cols >= rows. The component of largest
/// magnitude of each vector is positive. The same input gives the same bits. FN_ENOMEM.
int fn_left_singular(double *u, double *sigma, const double *matrix, int rows, int cols);

#endif
