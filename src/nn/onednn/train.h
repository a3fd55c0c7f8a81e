// SPDX-License-Identifier: Apache-2.0
//
// A training plan while it is built: a walk over the nodes forward, which leaves a trace per node, and a walk
// back, which turns traces and gradients into steps. Four-dimensional activations keep channels in blocks, in
// float or bfloat16; everything else, weights and their gradients are float.
#ifndef FN_NN_ONEDNN_TRAIN_H
#define FN_NN_ONEDNN_TRAIN_H

#include "nn/onednn/onednn.h"
#include "nn/training.h"

/// The caller's memory, by index of external operands.
enum {
    FN_DNNL_INPUT,
    FN_DNNL_OUTPUT,
    FN_DNNL_D_OUTPUT,
    FN_DNNL_D_INPUT,
    FN_DNNL_WEIGHTS,
    FN_DNNL_GRADIENTS,
    FN_DNNL_STATISTICS,
    FN_DNNL_N_EXTERNALS
};

/// Where the mean and variance of a batch-norm come from.
typedef enum fn_dnnl_norms {
    FN_DNNL_NORMS_BATCH,  // of the batch, or of those of all processes
    FN_DNNL_NORMS_FROZEN, // the running ones
    FN_DNNL_N_NORMS
} fn_dnnl_norms;

/// What the forward steps of a node leave for its backward steps.
typedef struct fn_dnnl_trace {
    dnnl_primitive_desc_t hint; // owned; NULL: none
    fn_dnnl_operand src, dst, workspace, mean, variance, saved;
    int result;    // value that holds the node's result: its output, or that of the activation it swallowed
    int swallowed; // 1: the node before does its work
    int end;       // one past its last forward step
} fn_dnnl_trace;

/// A value in another layout than its own, made for one step and kept for the next.
typedef struct fn_dnnl_copy {
    int value;
    fn_dnnl_operand at;
} fn_dnnl_copy;

#define FN_DNNL_MAX_PARTS 16 // that are summed at once

/// Gradients of a value that its readers have made, still to be summed.
typedef struct fn_dnnl_parts {
    int n;
    fn_dnnl_operand part[FN_DNNL_MAX_PARTS];
} fn_dnnl_parts;

typedef struct fn_dnnl_train {
    fn_dnnl_program program;
    const fn_graph *graph;
    const fn_parameters *parameters;
    const fn_inferred *inferred;
    dnnl_data_type_t type; // of four-dimensional activations
    fn_dnnl_norms norms;
    int n_forward;   // steps
    int gives_input; // the last step hands over the gradient of the input
    fn_dnnl_trace *traces;
    fn_dnnl_operand *values; // where each one is after its node
    // while building
    int node;
    unsigned char *wanted; // per value: its gradient is needed
    fn_dnnl_parts *gradients;
    fn_dnnl_copy *copies;
    int n_copies, copies_capacity;
} fn_dnnl_train;

/// What calls get as their context.
typedef struct fn_dnnl_context {
    const fn_dnnl_train *train;
    const fn_pass *pass;
} fn_dnnl_context;

const fn_shape *fn_dnnl_shape_of(const fn_dnnl_train *t, int value);
/// A value in this layout, from a copy when there is one.
int fn_dnnl_value_as(fn_dnnl_train *t, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out);
int fn_dnnl_value_plain(fn_dnnl_train *t, int value, fn_dnnl_operand *out);
/// A four-dimensional value in blocks of channels, of the plan's type or of float.
int fn_dnnl_value_blocked(fn_dnnl_train *t, int value, dnnl_data_type_t type, fn_dnnl_operand *out);

/// Adds a part to the gradient of a value, to the caller's block where that is a parameter; nothing when
/// nobody wants it.
int fn_dnnl_give_gradient(fn_dnnl_train *t, int value, const fn_dnnl_operand *part);
/// The sum of the parts, in layout md (NULL: as it comes). 0 in *present: there are none.
int fn_dnnl_take_gradient(fn_dnnl_train *t, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out,
                          int *present);
/// Where the gradient of a trained parameter is summed, 0 when this value is none or is frozen.
int fn_dnnl_parameter_gradient(const fn_dnnl_train *t, int value, fn_dnnl_operand *out);

int fn_dnnl_train_forward_node(fn_dnnl_train *t, const fn_node *node);  // train_forward.c
int fn_dnnl_train_backward_node(fn_dnnl_train *t, const fn_node *node); // train_backward.c

/// The matrix of a dense layer as oneDNN sees it, (out, in), wherever the node's own order puts its numbers.
dnnl_memory_desc_t fn_dnnl_dense_weights(const fn_dnnl_train *t, const fn_node *node);

/// Scalar constant that a Mul multiplies with, 1 when the node is one.
int fn_dnnl_is_scaling(const fn_dnnl_train *t, const fn_node *node, float *factor);

// --- train_calls.c: steps that oneDNN has no primitive for ----------------------------------------------

fn_dnnl_call fn_dnnl_zero;             // operand
fn_dnnl_call fn_dnnl_accumulate;       // from, to: dense floats
fn_dnnl_call fn_dnnl_ready;            // number: of the parameter
fn_dnnl_call fn_dnnl_l2_pool;          // x, y: blocked floats
fn_dnnl_call fn_dnnl_l2_pool_backward; // x, y, dy, dx: blocked floats
/// Inputs, output, saved; and for the way back: gradient of the output, gradients of the inputs.
fn_dnnl_call fn_dnnl_reference_train;
fn_dnnl_call fn_dnnl_reference_backward;

// --- train_norm.c: batch-norm with the statistics of the batch ------------------------------------------

/// Room for what a norm of a blocked tensor sums up.
dnnl_memory_desc_t fn_dnnl_norm_scratch(const dnnl_memory_desc_t *md);
/// x, y, mean, variance, scale, shift, running mean, running variance, scratch. number: 1 with a relu behind.
fn_dnnl_call fn_dnnl_norm;
/// x, dy, mean, variance, scale, shift; what is wanted of d scale, d shift (both added to) and dx; scratch.
fn_dnnl_call fn_dnnl_norm_backward;

/// 1 where a batch-norm uses the running statistics: all do, or its own parameters are frozen.
static inline int fn_dnnl_norm_is_frozen(const fn_dnnl_train *t, const fn_node *node) {
    return t->norms == FN_DNNL_NORMS_FROZEN || fn_parameters_norm_is_frozen(t->parameters, node);
}

#endif
