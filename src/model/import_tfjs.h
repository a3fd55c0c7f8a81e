// SPDX-License-Identifier: Apache-2.0
//
// The weights of a TensorFlow.js model: a JSON manifest that names tensors, and binary files in which
// they lie one after the other. The architecture is not in these files; the arch_<name>.c bring it.
//
//     fn_tfjs *weights = NULL;
//     fn_tfjs_part part = {"model.bin", bytes, n_bytes};
//     rc = fn_tfjs_open(&weights, manifest, n_manifest, &part, 1);
//     int w = fn_tfjs_filters(graph, weights, "conv0/filters", 3, 3, 16);
#ifndef FN_MODEL_IMPORT_TFJS_H
#define FN_MODEL_IMPORT_TFJS_H

#include "nn/graph.h"

/// A binary file of the manifest; found by the last component of its path.
typedef struct fn_tfjs_part {
    const char *path;
    const void *bytes;
    size_t n_bytes;
} fn_tfjs_part;

/// One tensor as float32, in the layout of TensorFlow: filters (height, width, in, out), depthwise
/// filters (height, width, channels, 1), matrices (in, out). Every number is finite.
typedef struct fn_tfjs_tensor {
    char *name;
    fn_shape shape;
    float *data; // NULL for integers, which are counted and skipped
    size_t n;
} fn_tfjs_tensor;

typedef struct fn_tfjs fn_tfjs;

/// Reads a manifest and its files; nothing of them is kept. FN_EFORMAT says which tensor is wrong,
/// FN_EUNSUPPORTED names the data type, FN_ELIMIT, FN_ENOMEM.
int fn_tfjs_open(fn_tfjs **out, const void *manifest, size_t n_manifest, const fn_tfjs_part *parts,
                 int n_parts);
void fn_tfjs_free(fn_tfjs *weights);

int fn_tfjs_len(const fn_tfjs *weights);
const fn_tfjs_tensor *fn_tfjs_get(const fn_tfjs *weights, int index);
/// A float tensor by name and with this shape, or NULL after making the graph fail with the reason.
const fn_tfjs_tensor *fn_tfjs_need(const fn_tfjs *weights, fn_graph *graph, const char *name, fn_shape shape);

/// Constants for the graph in ONNX's layout. -1 after a failure, which sticks to the graph.
int fn_tfjs_filters(fn_graph *graph, const fn_tfjs *weights, const char *name, int size, int in, int out);
int fn_tfjs_depthwise(fn_graph *graph, const fn_tfjs *weights, const char *name, int size, int channels);
int fn_tfjs_vector(fn_graph *graph, const fn_tfjs *weights, const char *name, int n);
int fn_tfjs_matrix(fn_graph *graph, const fn_tfjs *weights, const char *name, int in, int out);

/// (height, width, in, out) -> (out, in, height, width), both (size x size); times scale[out] when given.
void fn_tfjs_to_oihw(float *dst, const float *src, int size, int in, int out, const float *scale);

#endif
