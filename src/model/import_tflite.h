// SPDX-License-Identifier: Apache-2.0
//
// TensorFlow Lite networks of floating-point numbers as graphs. Pictures turn from NHWC to NCHW, the
// batch size becomes free, and a PReLU that was spelled in several operators becomes one again.
#ifndef FN_MODEL_IMPORT_TFLITE_H
#define FN_MODEL_IMPORT_TFLITE_H

#include "nn/graph.h"

typedef struct fn_tflite_options {
    int any_size;            // 1: height and width of the input become free too; sizes must then be multiples
                             // of all strides together, as the one in the file is
    int n_outputs;           // of the two lists below
    const char *const *from; // names of outputs in the file
    const char *const *to;   // and in the graph, in the order wanted; n_outputs 0: as in the file
} fn_tflite_options;

/// Makes a finished graph whose input is named "input". FN_EFORMAT (damaged), FN_EUNSUPPORTED (names
/// the operator), FN_ELIMIT, FN_ENOMEM. options may be NULL.
int fn_tflite_import(fn_graph **out, const void *bytes, size_t n_bytes, const fn_tflite_options *options);

#endif
