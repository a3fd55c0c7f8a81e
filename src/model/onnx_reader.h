// SPDX-License-Identifier: Apache-2.0
//
// What the files that read ONNX share: the reader under way, tensors turned into constants, and nodes
// brought to the opset that the graph speaks.
#ifndef FN_MODEL_ONNX_READER_H
#define FN_MODEL_ONNX_READER_H

#include "nn/graph.h"

#include <onnx.pb-c.h>

#define FN_ONNX_OPSET 13 // of the graph in memory and of the files we write
#define FN_ONNX_OPSET_MIN 7
#define FN_ONNX_OPSET_MAX 18
#define FN_ONNX_IR_VERSION 8

/// A name of the file and who gives its value. Sorted by text, each once.
typedef struct fn_onnx_name {
    const char *text;
    const Onnx__TensorProto *tensor; // initializer, made a constant when first used
    int node;                        // index in the file of the node that gives it, or -1
    int value;                       // in the graph; -1: not yet there
} fn_onnx_name;

typedef struct fn_onnx_reader {
    fn_graph *graph;
    int64_t opset;
    fn_onnx_name *names;
    size_t n_names;
} fn_onnx_reader;

fn_onnx_name *fn_onnx_find(const fn_onnx_reader *reader, const char *text);

/// The text of an optional string field.
static inline const char *fn_onnx_text(const char *text) {
    return text ? text : "";
}

/// A tensor as the graph wants it: floats, or int64_t. data points into the tensor or to `owned`.
typedef struct fn_onnx_data {
    fn_dtype dtype;
    fn_shape shape;
    const void *data;
    void *owned; // fn_free
} fn_onnx_data;

/// FN_EFORMAT, FN_EUNSUPPORTED (element type, external data), FN_ENOMEM.
int fn_onnx_tensor(fn_onnx_data *out, const Onnx__TensorProto *tensor);

/// A node on its way into the graph: inputs are value indices (-1: absent), the output is a name. Only
/// the first output of an operator exists here.
#define FN_ONNX_MAX_ATTRS 32
typedef struct fn_onnx_draft {
    const char *op, *name, *output;
    int inputs[FN_MAX_INPUTS];
    fn_attr attrs[FN_ONNX_MAX_ATTRS];
    int n_inputs, n_attrs;
} fn_onnx_draft;

/// The value with this name, making its constant on first use. `who` needs it, says the error.
int fn_onnx_value(fn_onnx_reader *reader, const char *text, const char *who, int *value);

/// Adds a node of the file, whose inputs are there.
int fn_onnx_add_node(fn_onnx_reader *reader, const Onnx__NodeProto *node);

/// Adds a node to the graph: its value index, or -1 with the error stuck to the graph.
int fn_onnx_emit(fn_onnx_reader *reader, const fn_onnx_draft *draft);

/// Brings a node of the reader's opset to FN_ONNX_OPSET. May add constants and nodes to the graph.
int fn_onnx_upgrade(fn_onnx_reader *reader, fn_onnx_draft *draft);

/// A name "base/what" that no value of the file has, in new memory; NULL when out of memory.
char *fn_onnx_fresh_name(const fn_onnx_reader *reader, const char *base, const char *what);

/// The sticky error of the graph as a return code with its message.
int fn_onnx_graph_error(const fn_graph *graph);

#endif
