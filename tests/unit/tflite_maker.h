// SPDX-License-Identifier: Apache-2.0
//
// TensorFlow Lite files for the tests, made in memory.
#ifndef FN_TEST_TFLITE_MAKER_H
#define FN_TEST_TFLITE_MAKER_H

#include "base/buf.h"

typedef struct made_tensor {
    const char *name;
    int type; // fn_tflite_type
    int rank, dim[5];
    const void *data; // NULL: computed
    size_t n_bytes;
} made_tensor;

typedef struct made_op {
    int code;
    int n_inputs, inputs[4];
    int n_outputs, outputs[2];
    int n_options, options[8]; // scalar fields of the operator's options, from field 0 on
} made_op;

typedef struct made_model {
    const made_tensor *tensors;
    int n_tensors;
    const made_op *ops;
    int n_ops;
    int input;
    int n_outputs, outputs[2];
} made_model;

/// Appends the file to an empty buffer.
void make_tflite(fn_buf *out, const made_model *model);

#endif
