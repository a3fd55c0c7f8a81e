// SPDX-License-Identifier: Apache-2.0
//
// Networks to train: graphs with freshly drawn weights, one arch_<name>.c per family, each written like the
// table of its paper. The input is "input" (N, 3, H, W), planar RGB, (pixel - mean) / scale; the output is
// "embedding" (N, D), rows of unit length. Constants are named <layer>_w, _b (convolutions, dense layers),
// <norm>_w, _b, _m, _v (scale, shift, running mean, running variance).
//
//     fn_graph *graph;
//     rc = fn_network_build(&graph, "nn4.small2", &(fn_network_options){.embedding = 128, .seed = 1});
#ifndef FN_MODEL_NETWORKS_H
#define FN_MODEL_NETWORKS_H

#include "nn/graph.h"

#include <facenet/model.h>

typedef struct fn_network_options {
    int embedding; // 64 .. 512; 0: the paper's
    int size;      // height of the input in pixels, 32 .. 1024, the width in proportion; 0: the paper's
    float dropout; // 0 .. 0.9, before the last layer; 0: none
    uint64_t seed; // the weights are a function of it
    int blank;     // 1: kernels and matrices stay zero: for tables, and for weights from elsewhere
} fn_network_options;

const fn_network *fn_network_find(const char *name); // NULL: no such network

/// A finished graph in *out (fn_graph_free). options NULL: all defaults. FN_EINVAL: no such network (the
/// message lists them), an embedding, size or dropout out of range; FN_EMODEL: the input is too small for
/// the layers; FN_ENOMEM.
int fn_network_build(fn_graph **out, const char *name, const fn_network_options *options);

#endif
