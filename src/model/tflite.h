// SPDX-License-Identifier: Apache-2.0
//
// A TensorFlow Lite file taken apart: tensors and operators as plain structs, nothing interpreted yet.
// The structs point into the bytes, which must outlive them.
#ifndef FN_MODEL_TFLITE_H
#define FN_MODEL_TFLITE_H

#include "nn/graph.h"

/// Codes of the schema; the operators that the importer knows.
typedef enum fn_tflite_code {
    FN_TFLITE_ADD = 0,
    FN_TFLITE_CONCATENATION = 2,
    FN_TFLITE_CONV_2D = 3,
    FN_TFLITE_DEPTHWISE_CONV_2D = 4,
    FN_TFLITE_DEQUANTIZE = 6,
    FN_TFLITE_MAX_POOL_2D = 17,
    FN_TFLITE_MUL = 18,
    FN_TFLITE_RELU = 19,
    FN_TFLITE_RELU6 = 21,
    FN_TFLITE_RESHAPE = 22,
    FN_TFLITE_RESIZE_BILINEAR = 23,
    FN_TFLITE_PAD = 34,
    FN_TFLITE_SUB = 41,
    FN_TFLITE_PRELU = 54,
    FN_TFLITE_NEG = 59,
    FN_TFLITE_ABS = 101
} fn_tflite_code;

typedef enum fn_tflite_type {
    FN_TFLITE_FLOAT32 = 0,
    FN_TFLITE_FLOAT16 = 1,
    FN_TFLITE_INT32 = 2,
    FN_TFLITE_INT64 = 4
} fn_tflite_type;

enum { FN_TFLITE_SAME = 0, FN_TFLITE_VALID = 1 };                                 // padding
enum { FN_TFLITE_ACT_NONE = 0, FN_TFLITE_ACT_RELU = 1, FN_TFLITE_ACT_RELU6 = 3 }; // fused activation

typedef struct fn_tflite_tensor {
    char name[128];            // valid UTF-8, cut, no other tensor has it
    int type;                  // fn_tflite_type, or another number of the schema
    fn_shape shape;            // as declared: N, H, W, C for pictures
    const unsigned char *data; // constants only: little-endian, exactly the shape's count of numbers
    size_t n_bytes;
} fn_tflite_tensor;

typedef struct fn_tflite_op {
    int code;
    char custom[48]; // name of an operator that is not in the schema, or ""
    int n_inputs, n_outputs;
    int inputs[FN_MAX_INPUTS]; // tensor indices; -1: absent
    int outputs[FN_MAX_OUTPUTS];
    int padding, activation;
    int stride[2], dilation[2], filter[2]; // y, x
    int multiplier;                        // depthwise: outputs per input channel
    int axis;
    int align_corners, half_pixel;
} fn_tflite_op;

typedef struct fn_tflite {
    fn_tflite_tensor *tensors;
    fn_tflite_op *ops;
    int n_tensors, n_ops;
    int inputs[FN_MAX_OUTPUTS], outputs[FN_MAX_OUTPUTS];
    int n_inputs, n_outputs;
} fn_tflite;

/// 1 when the bytes begin like a TensorFlow Lite file.
int fn_tflite_is(const void *bytes, size_t n_bytes);
/// Reads the first subgraph. Every index of the result is in range. FN_EFORMAT, FN_ELIMIT, FN_ENOMEM.
int fn_tflite_read(fn_tflite *out, const void *bytes, size_t n_bytes);
void fn_tflite_clear(fn_tflite *model);

#endif
