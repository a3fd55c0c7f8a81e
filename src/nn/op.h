// SPDX-License-Identifier: Apache-2.0
//
// What an operator is: a name, a shape rule and a plain forward pass. Each ops/<op>.c ends with one
// definition per operator. The files are compiled twice, for float and for double (FN_REAL), because a
// finite-difference check of a gradient needs double; the shape rules are the same in both.
#ifndef FN_NN_OP_H
#define FN_NN_OP_H

#include "nn/graph.h"

/// A value as known when a plan is made: its shape and, for constants and for integers computed from
/// shapes, its contents.
typedef struct fn_typed {
    fn_dtype dtype;
    fn_shape shape;   // rank -1: absent optional input
    const void *data; // NULL: known only when running
} fn_typed;

/// What a shape rule sees and writes. An operator on integers (Shape, Gather, ...) whose inputs are
/// known fills out[].data with new memory (fn_alloc), which the caller owns.
typedef struct fn_infer_args {
    const fn_node *node;
    int n_in, n_out;
    const fn_typed *in;
    fn_typed *out;
} fn_infer_args;

/// What a forward pass sees and writes: dense tensors in row-major NCHW. float or double data as the
/// table says; FN_I64 inputs are int64_t.
typedef struct fn_run_args {
    const fn_node *node;
    int n_in, n_out;
    const fn_shape *in_shape; // rank -1: absent
    const void *const *in;
    const fn_shape *out_shape;
    void *const *out;
} fn_run_args;

/// What one training pass knows besides the tensors. Blocks are laid out as fn_parameters says and hold the
/// backend's real type.
typedef struct fn_pass {
    void *weights;    // trainable numbers
    void *gradients;  // their twin: backward passes add to it
    void *statistics; // running mean and variance of batch-norms
    float momentum;   // running += momentum (batch - running); 0: the running statistics stay
    int frozen_norms; // 1: batch-norms use the running statistics, as in inference
    uint64_t seed;    // dropout masks are a function of seed, step, node and place:
    uint32_t step;    // the same pass twice drops the same numbers
    int first_row;    // of the batch in a larger one that is passed in chunks
    /// Called by a backward pass, when not NULL, once per parameter, frozen ones too, as soon as all
    /// gradients from `first` on are complete: last layers first.
    void (*ready)(void *user, size_t first, size_t count);
    /// Adds `n` doubles over all processes, for batch-norms with common statistics; NULL: each its own.
    void (*reduce)(void *user, double *sums, int n);
    void *user;
} fn_pass;

/// What a backward pass sees: the tensors of the forward pass, what it saved, and the gradients. It adds to
/// din[k]; NULL there: nobody wants it. dout[k] is never NULL. Parameters are inputs like any other.
typedef struct fn_grad_args {
    fn_run_args run; // as in the forward pass, outputs included
    const fn_pass *pass;
    int index;               // of the node in the graph: Dropout's stream
    const void *saved;       // what forward_train left; NULL where it leaves nothing
    const void *const *dout; // per output: gradient of the loss, same shape
    void *const *din;        // per input
} fn_grad_args;

/// What a forward pass sees in training, where it is not the one of inference. Running statistics are inputs
/// that it may write.
typedef struct fn_train_args {
    fn_run_args run;
    const fn_pass *pass;
    int index;
    void *saved; // room for as many numbers as fn_op_def.saved says
} fn_train_args;

struct fn_op_def {
    const char *name; // ONNX
    int min_inputs, max_inputs;
    int is_view; // the output holds the input's numbers in the same order
    /// FN_OK or an error with its message; sets out[].shape and dtype.
    int (*infer)(const fn_infer_args *args);
    /// Never fails; NULL for operators that work on shapes only.
    void (*forward)(const fn_run_args *args);
    /// Multiply-adds of one run; NULL: none worth counting.
    int64_t (*cost)(const fn_infer_args *args);
    /// Bit k: input k is a parameter where it is a constant; and: it is a running statistic.
    unsigned trainable, statistics;
    /// NULL: no gradient passes; views need none.
    void (*backward)(const fn_grad_args *args);
    /// Only where training differs from inference (batch-norm, dropout).
    void (*forward_train)(const fn_train_args *args);
    /// Numbers (fn_real) that forward_train saves for the backward pass.
    int64_t (*saved)(const fn_infer_args *args);
};

/// The operators by ONNX name, NULL for one that is not in the table. The double table has the same order.
const fn_op_def *fn_op_find(const char *name);
const fn_op_def *fn_op_f64(const fn_op_def *op);

#ifndef FN_REAL // the build defines it as double for the second set
#define FN_REAL float
#define FN_OP(op) fn_op_##op##_f32
#define FN_REFERENCE_BACKEND fn_backend_ref_f32
#define FN_REFERENCE_TRAINING fn_training_ref_f32
#else
#define FN_OP(op) fn_op_##op##_f64
#define FN_REFERENCE_BACKEND fn_backend_ref_f64
#define FN_REFERENCE_TRAINING fn_training_ref_f64
#endif
typedef FN_REAL fn_real;

/// Helpers of shape rules (op.c).
int fn_infer_fail(const fn_infer_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fn_infer_same(const fn_infer_args *args); // out[0] like in[0]
/// Room for the integers of out[index], whose shape is set; NULL (and the error noted) when out of memory.
int64_t *fn_infer_new_ints(const fn_infer_args *args, int index);
/// Integers of an attribute or, when it is absent, of a known input. *n_out of them; -1 in *n_out: absent.
int fn_infer_ints(const fn_infer_args *args, const char *attribute, int input, int64_t *dst, int max,
                  int *n_out);
/// The same when running.
int fn_run_ints(const fn_run_args *args, const char *attribute, int input, int64_t *dst, int max);
/// 1 when a PRelu's slope has one number per channel of x: (C), or C among ones where x has its channels.
int fn_slope_per_channel(const fn_shape *slope, const fn_shape *x);
/// 1 when what a Gemm of n columns adds has one number per column: (n), or (1, n).
int fn_added_per_column(const fn_shape *added, int64_t n);
/// Windows of convolution and pooling: kernel, strides, pads (top, left, bottom, right), dilations,
/// auto_pad resolved for the input, and the output size.
typedef struct fn_window {
    int64_t kernel[2], stride[2], pad[4], dilation[2], out[2];
} fn_window;
int fn_window_of(fn_window *window, const fn_node *node, const int64_t kernel[2], int64_t height,
                 int64_t width);

#endif
