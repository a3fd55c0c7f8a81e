// SPDX-License-Identifier: Apache-2.0
//
// A network as a graph: values (edges) and nodes (ONNX operators, ONNX names, ONNX attributes, NCHW).
// A graph is a description; it says nothing of batch size, memory or backend. Those are a plan's.
//
// Building never needs a check per line: the first error sticks to the graph, later calls return -1,
// and fn_graph_finish reports it.
//
//     int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 112, 112));
//     x = fn_conv(g, "conv1", x, w, b, &(fn_conv_attrs){.stride = {2, 2}, .pad = {1, 1, 1, 1}});
//     x = fn_relu(g, "relu1", x);
//     fn_graph_output(g, x);
//     rc = fn_graph_finish(g);
#ifndef FN_NN_GRAPH_H
#define FN_NN_GRAPH_H

#include <facenet/base.h>

#define FN_MAX_RANK 6
#define FN_MAX_INPUTS 64 // of one node: Concat is the wide one
#define FN_MAX_OUTPUTS 4

typedef enum fn_dtype { FN_F32, FN_I64 } fn_dtype;

/// Sizes from the slowest to the fastest varying dimension; -1 is "any" and only an input has it.
typedef struct fn_shape {
    int rank;
    int64_t dim[FN_MAX_RANK];
} fn_shape;

fn_shape fn_shape_make(int rank, ...);         // dims as int
int64_t fn_shape_count(const fn_shape *shape); // product; 1 for rank 0; -1 on overflow or "any"
int fn_shape_equal(const fn_shape *a, const fn_shape *b);

/// A named attribute of a node, in one of ONNX's kinds.
typedef enum fn_attr_kind {
    FN_ATTR_INT,
    FN_ATTR_FLOAT,
    FN_ATTR_STRING,
    FN_ATTR_INTS,
    FN_ATTR_FLOATS
} fn_attr_kind;
typedef struct fn_attr {
    const char *name;
    fn_attr_kind kind;
    int n; // of ints or floats
    int64_t i;
    float f;
    const char *s;
    const int64_t *ints;
    const float *floats;
} fn_attr;

typedef struct fn_op_def fn_op_def; // nn/op.h

/// An edge. A constant has data; a computed value has a producer.
typedef struct fn_value {
    char *name;
    fn_dtype dtype;
    fn_shape shape; // declared (inputs) or of the constant; plans infer the rest
    void *data;     // constants only: float or int64_t, owned by the graph
    int producer;   // node index, or -1
} fn_value;

/// What a fused node does to its result before anybody sees it, in this order: add the residuals,
/// then the activation. Only the optimiser writes it; a graph from a file has none.
typedef enum fn_activation {
    FN_ACT_NONE,
    FN_ACT_RELU,
    FN_ACT_LEAKY, // alpha x for x < 0
    FN_ACT_CLIP,  // to [alpha, beta]
    FN_ACT_PRELU, // slope[channel] x for x < 0
    FN_ACT_SIGMOID
} fn_activation;
#define FN_MAX_RESIDUALS 3
typedef struct fn_fused {
    int n_residuals;
    int residual[FN_MAX_RESIDUALS]; // value indices, same shape as the result
    fn_activation activation;
    float alpha, beta;
    int slope; // value index of a constant with one number per channel
} fn_fused;

typedef struct fn_node {
    char *name;
    const fn_op_def *op;
    int n_inputs, n_outputs, n_attrs;
    int *inputs; // value indices; -1 where an optional input is absent
    int outputs[FN_MAX_OUTPUTS];
    fn_attr *attrs; // owned, names and arrays included
    fn_fused fused;
} fn_node;

typedef struct fn_graph {
    fn_value *values;
    fn_node *nodes; // in an order in which every input is there before it is needed
    int *inputs;    // value indices
    int *outputs;
    int n_values, n_nodes, n_inputs, n_outputs;
    int failed; // first error, sticky
    char message[256];
} fn_graph;

int fn_graph_open(fn_graph **out);
void fn_graph_free(fn_graph *graph);
/// A copy that shares nothing with its source.
int fn_graph_copy(fn_graph **out, const fn_graph *src);
/// Frees what a node owns and zeroes it (the optimiser removes nodes).
void fn_node_clear(fn_node *node);
/// FN_OK or the first error (its message noted), after checking that the graph hangs together.
int fn_graph_finish(fn_graph *graph);
/// Makes an error stick, with its message: for importers.
int fn_graph_fail(fn_graph *graph, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/// Each returns a value index, or -1 once the graph has failed. Names are copied; NULL or "" makes one up.
int fn_graph_input(fn_graph *graph, const char *name, fn_shape shape);
/// Copies the data: fn_shape_count floats or int64_t.
int fn_graph_constant(fn_graph *graph, const char *name, fn_dtype dtype, fn_shape shape, const void *data);
int fn_graph_output(fn_graph *graph, int value);
/// A node with one output; any ONNX operator of the table by name. attrs are copied.
int fn_graph_node(fn_graph *graph, const char *op, const char *name, const int *inputs, int n_inputs,
                  const fn_attr *attrs, int n_attrs);
/// The general form: output names given, all output indices written to outputs.
int fn_graph_node_outputs(fn_graph *graph, const char *op, const char *name, const int *inputs, int n_inputs,
                          const fn_attr *attrs, int n_attrs, const char *const *output_names, int n_outputs,
                          int *outputs);
int fn_graph_rename(fn_graph *graph, int value, const char *name);
/// Index of the value with this name, or -1.
int fn_graph_find(const fn_graph *graph, const char *name);

fn_attr fn_attr_int(const char *name, int64_t i);
fn_attr fn_attr_float(const char *name, float f);
fn_attr fn_attr_string(const char *name, const char *s);
fn_attr fn_attr_ints(const char *name, const int64_t *ints, int n); // points to the caller's ints
fn_attr fn_attr_floats(const char *name, const float *floats, int n);
/// An attribute of a node by name, or NULL; and with a default.
const fn_attr *fn_node_attr(const fn_node *node, const char *name);
int64_t fn_node_int(const fn_node *node, const char *name, int64_t otherwise);
float fn_node_float(const fn_node *node, const char *name, float otherwise);

/// One line per layer of the papers' tables. Weights are constants made by the caller: convolution
/// kernels OIHW ((out, in / group, kh, kw)), dense matrices (out, in). bias -1: none.
typedef struct fn_conv_attrs {
    int stride[2];   // y, x; 0 means 1
    int pad[4];      // top, left, bottom, right
    int dilation[2]; // 0 means 1
    int group;       // 0 means 1
} fn_conv_attrs;
int fn_conv(fn_graph *g, const char *name, int x, int weights, int bias, const fn_conv_attrs *attrs);
int fn_dense(fn_graph *g, const char *name, int x, int weights,
             int bias); // Gemm with transB: (N, in) -> (N, out)
int fn_relu(fn_graph *g, const char *name, int x);
int fn_leaky_relu(fn_graph *g, const char *name, int x, float alpha);
int fn_prelu(fn_graph *g, const char *name, int x, int slope); // slope: (C, 1, 1)
int fn_clip(fn_graph *g, const char *name, int x, float low, float high);
int fn_sigmoid(fn_graph *g, const char *name, int x);
int fn_add(fn_graph *g, const char *name, int a, int b);
int fn_mul(fn_graph *g, const char *name, int a, int b);
int fn_max_pool(fn_graph *g, const char *name, int x, int kernel, int stride,
                const int pad[4]); // pad NULL: none
int fn_average_pool(fn_graph *g, const char *name, int x, int kernel, int stride,
                    const int pad[4]); // padding not counted
int fn_global_average_pool(fn_graph *g, const char *name, int x);
/// Zero padding; before and after per dimension, NCHW.
int fn_pad(fn_graph *g, const char *name, int x, const int before[4], const int after[4]);
int fn_concat(fn_graph *g, const char *name, const int *values, int n, int axis);
int fn_reshape(fn_graph *g, const char *name, int x, fn_shape shape); // 0: as in x; -1: the rest
int fn_flatten(fn_graph *g, const char *name, int x);                 // (N, everything else)
int fn_transpose(fn_graph *g, const char *name, int x, fn_shape order);
/// Bilinear, half-pixel centres, by an integer factor.
int fn_upsample(fn_graph *g, const char *name, int x, int factor);
int fn_batch_norm(fn_graph *g, const char *name, int x, int scale, int bias, int mean, int variance,
                  float epsilon);
/// Across channels: x / (bias + alpha / size * sum of squares over `size` channels)^beta.
int fn_lrn(fn_graph *g, const char *name, int x, int size, float alpha, float beta, float bias);
/// The root of the sum of squares in each window; pad NULL: none.
int fn_l2_pool(fn_graph *g, const char *name, int x, int kernel, int stride, const int pad[4]);
int fn_l2_normalize(fn_graph *g, const char *name, int x); // (N, C): each row divided by its length
int fn_dropout(fn_graph *g, const char *name, int x, float ratio);
/// (N, C pieces) -> (N, C): the largest of each `pieces` neighbours.
int fn_maxout(fn_graph *g, const char *name, int x, int pieces);

#endif
