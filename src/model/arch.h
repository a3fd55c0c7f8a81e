// SPDX-License-Identifier: Apache-2.0
//
// Networks whose files hold weights only: each function writes the layers of one network into an empty
// graph, in the order of its table, and names the outputs. The graph still has to be finished.
#ifndef FN_MODEL_ARCH_H
#define FN_MODEL_ARCH_H

#include "model/import_tfjs.h"

/// A graph from weights: the first error sticks to the graph.
typedef void fn_arch(fn_graph *graph, const fn_tfjs *weights);

fn_arch fn_arch_dlib_resnet;     // (N, 3, 150, 150) -> "embedding" (N, 128)
fn_arch fn_arch_landmarks68;     // (N, 3, 112, 112) -> "landmarks" (N, 136): x0 y0 x1 y1 ...
fn_arch fn_arch_ssd_mobilenetv1; // (N, 3, 512, 512) -> "boxes" (N, 5118, 4), "scores" (N, 5118, 3),
                                 // "priors" (1, 5118, 4)

/// An architecture by the name that the catalogue uses, or NULL.
fn_arch *fn_arch_find(const char *name);

#endif
