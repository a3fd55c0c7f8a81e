// SPDX-License-Identifier: Apache-2.0
//
// What the files of the TensorFlow Lite importer share: the import under way, its constants, its layers
// and the PReLUs that were found spelled out.
#ifndef FN_MODEL_TFLITE_IMPORTER_H
#define FN_MODEL_TFLITE_IMPORTER_H

#include "model/tflite.h"

/// What the spelling of a PReLU was found to mean; tensor indices.
typedef struct fn_tflite_prelu {
    int x, slope;
    float factor; // slope = factor * the constant; 0: no PReLU ends here
} fn_tflite_prelu;

typedef struct fn_tflite_importer {
    fn_tflite file;
    fn_graph *graph;
    int any_size;           // 1: height and width of the input are free
    int *value;             // graph value of each tensor, -1: not made (yet)
    int *producer;          // operator that computes a tensor, -1: none
    int *uses;              // how often a tensor is read, the graph's outputs included
    char *absorbed;         // per operator: part of a PReLU found elsewhere
    fn_tflite_prelu *prelu; // per operator: the PReLU that ends there
    size_t budget;          // numbers that may still become constants: aliased buffers must not multiply
} fn_tflite_importer;

static inline fn_tflite_tensor *fn_tflite_tensor_of(const fn_tflite_importer *im, int index) {
    return &im->file.tensors[index];
}

/// An input of an operator, or NULL when it is absent.
static inline fn_tflite_tensor *fn_tflite_input(const fn_tflite_importer *im, const fn_tflite_op *op, int i) {
    return i < op->n_inputs && op->inputs[i] >= 0 ? fn_tflite_tensor_of(im, op->inputs[i]) : NULL;
}

/// Makes the graph fail: this operator is valid, but not in a form that is supported. Returns -1.
int fn_tflite_wrong(fn_tflite_importer *im, const fn_tflite_op *op, const char *why);

/// A graph constant of a float tensor seen as (outer, area, channels), written as (outer, channels,
/// area): channels come before the places of a picture. Every number is multiplied by `factor`.
int fn_tflite_constant(fn_tflite_importer *im, const fn_tflite_tensor *t, int64_t outer, int64_t area,
                       int64_t channels, float factor, fn_shape shape);
/// One number per channel as (C, 1, 1); wrong unless the tensor has exactly so many.
int fn_tflite_channel_constant(fn_tflite_importer *im, const fn_tflite_op *op, const fn_tflite_tensor *t,
                               int64_t channels, float factor);
/// The graph value of an operand: computed before, or a constant in the layout of a result of `rank`.
int fn_tflite_value(fn_tflite_importer *im, const fn_tflite_op *op, int i, int rank);

/// Marks the operators that spell PReLUs.
void fn_tflite_find_prelus(fn_tflite_importer *im);

/// Writes the layers of one operator, which has at least one output; the graph fails where it cannot.
void fn_tflite_layer(fn_tflite_importer *im, int index);

#endif
