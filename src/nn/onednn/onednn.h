// SPDX-License-Identifier: Apache-2.0
//
// What the files of the oneDNN backend (C API of 2.6) share; only this folder knows dnnl.h. A plan is a
// program: a list of steps, which are oneDNN primitives, reorders between layouts, or calls of plain
// functions. Everything a step touches lies in one block per state, oneDNN's scratchpad included (user mode),
// so that running allocates nothing of ours; or in a constant; or in memory that the caller brings
// ("external").
//
// A value may be padded with zero channels up to the block of its layout; oneDNN keeps the padding zero.
#ifndef FN_NN_ONEDNN_H
#define FN_NN_ONEDNN_H

#include "nn/arena.h"
#include "nn/infer.h"

#include <dnnl.h>

#define FN_DNNL_MAX_ARGS (FN_MAX_INPUTS + 8)

/// Where a step finds a tensor.
typedef enum fn_dnnl_place {
    FN_DNNL_NOWHERE,
    FN_DNNL_BUFFER,
    FN_DNNL_CONSTANT,
    FN_DNNL_EXTERNAL
} fn_dnnl_place;

typedef struct fn_dnnl_operand {
    fn_dnnl_place place;
    int index;        // of a buffer or of the caller's memory
    size_t offset;    // bytes into the caller's memory
    const void *data; // of a constant
    dnnl_memory_desc_t md;
} fn_dnnl_operand;

/// One of primitive and call. A call gets the addresses of its operands and the caller's context.
typedef struct fn_dnnl_step fn_dnnl_step;
typedef void fn_dnnl_call(const fn_dnnl_step *step, void *const *at, const void *context);
struct fn_dnnl_step {
    dnnl_primitive_t primitive;
    fn_dnnl_call *call;
    const fn_node *node;         // of a call
    const fn_inferred *inferred; // of a call
    int number;                  // of a call: what it likes
    int n_args;
    int arg[FN_DNNL_MAX_ARGS]; // DNNL_ARG_... of a primitive
    fn_dnnl_operand *operands; // n_args
};

typedef struct fn_dnnl_program {
    dnnl_engine_t engine; // not ours
    fn_dnnl_step *steps;
    int n_steps, steps_capacity;
    fn_buffer *buffers;
    int n_buffers, buffers_capacity;
    size_t block_size;
} fn_dnnl_program;

// --- memory.c: descriptions of memory -------------------------------------------------------------------

int fn_dnnl_fail(dnnl_status_t status, const char *what);
/// Dense, row-major; a scalar has one dimension.
dnnl_memory_desc_t fn_dnnl_plain(const fn_shape *shape);
/// oneDNN's choice, of a type.
dnnl_memory_desc_t fn_dnnl_any(const fn_shape *shape, dnnl_data_type_t type);
/// Channels in blocks as wide as a vector register: the layout that every operator of ours has a fast
/// primitive for. Measured against oneDNN's own choice under AVX-512 (channels last), single operators are as
/// fast or faster, and the reorders around first layers, pooling and Winograd go away.
dnnl_memory_desc_t fn_dnnl_blocked(const fn_shape *shape, dnnl_data_type_t type);
int fn_dnnl_is_blocked(const dnnl_memory_desc_t *md);

/// A window in arrays as long as oneDNN declares them.
typedef struct fn_dnnl_geometry {
    dnnl_dims_t kernel, stride, dilation, before, after;
} fn_dnnl_geometry;
fn_dnnl_geometry fn_dnnl_geometry_of(const fn_window *window);

/// The window of a pooling node with the padding that oneDNN's size rule wants for this output size, and its
/// algorithm.
int fn_dnnl_pool_window(fn_dnnl_geometry *out, dnnl_alg_kind_t *alg, const fn_node *node, const fn_shape *x,
                        const fn_shape *y);
/// Kernel of a convolution as oneDNN sees it: five dimensions when grouped.
fn_shape fn_dnnl_kernel_shape(const fn_shape *weights, int64_t group);
/// Winograd F(4x4, 3x3) pays where both channel counts are large enough to amortise its transforms; oneDNN
/// has it for AVX-512 only and says so by failing.
int fn_dnnl_may_use_winograd(const fn_window *window, const fn_shape *kernel, int64_t group);

/// A box of an operand: dims and offsets have as many numbers as it has dimensions.
int fn_dnnl_part(fn_dnnl_operand *out, const fn_dnnl_operand *whole, const int64_t *dims,
                 const int64_t *offsets);

// --- program.c: building --------------------------------------------------------------------------------

/// The engine outlives the program.
void fn_dnnl_program_open(fn_dnnl_program *out, dnnl_engine_t engine);
void fn_dnnl_program_close(fn_dnnl_program *program);
/// Places the buffers when every step is there.
int fn_dnnl_program_finish(fn_dnnl_program *program);

int fn_dnnl_buffer(fn_dnnl_program *p, fn_dnnl_operand *out, const dnnl_memory_desc_t *md);
/// Appends a call; its operands are kept alive until it has run.
int fn_dnnl_add_call(fn_dnnl_program *p, fn_dnnl_call *call, const fn_node *node, const fn_inferred *inferred,
                     int number, const fn_dnnl_operand *operands, int n);
/// Appends a primitive of this description, with a scratchpad when it wants one. Takes pd over.
int fn_dnnl_add_primitive(fn_dnnl_program *p, dnnl_primitive_desc_t pd, const int *arg,
                          const fn_dnnl_operand *operands, int n);
/// accumulate: the numbers are added to those at `to`.
int fn_dnnl_add_reorder(fn_dnnl_program *p, const fn_dnnl_operand *from, const fn_dnnl_operand *to,
                        int accumulate);
/// The operand in a given layout and type, reordered when it is in another one.
int fn_dnnl_as_layout(fn_dnnl_program *p, const fn_dnnl_operand *from, const dnnl_memory_desc_t *md,
                      fn_dnnl_operand *out);

dnnl_primitive_attr_t fn_dnnl_attr(void); // scratchpad by the user
const dnnl_memory_desc_t *fn_dnnl_query(dnnl_primitive_desc_t pd, dnnl_query_t what);
int fn_dnnl_is_fast(dnnl_primitive_desc_t pd); // not oneDNN's reference code
/// Describes a primitive whose operation descriptor is ready (`initialised` says whether it is). hint: the
/// forward primitive of a backward one, or NULL.
int fn_dnnl_describe(dnnl_primitive_desc_t *pd, const fn_dnnl_program *p, dnnl_status_t initialised,
                     const_dnnl_op_desc_t d, const_dnnl_primitive_desc_t hint, const char *what);

// --- run.c ----------------------------------------------------------------------------------------------

/// One thread's memory, and oneDNN's handles on it.
typedef struct fn_dnnl_state fn_dnnl_state;
int fn_dnnl_state_open(fn_dnnl_state **out, const fn_dnnl_program *program);
void fn_dnnl_state_free(fn_dnnl_state *state);
/// Runs steps first .. end - 1. externals: by index of the operands.
int fn_dnnl_run(fn_dnnl_state *state, int first, int end, void *const *externals, const void *context);
/// Where an operand is.
void *fn_dnnl_address(const fn_dnnl_state *state, const fn_dnnl_operand *operand, void *const *externals);

// --- reference.c: calls of reference operators on plain layouts -----------------------------------------

/// The tensors of a step whose operands begin with the inputs of its node and its output. in_shape and in
/// have room for all inputs.
fn_run_args fn_dnnl_run_args(const fn_dnnl_step *step, void *const *at, fn_shape *in_shape, const void **in);
/// Operands: the node's inputs, then its output.
fn_dnnl_call fn_dnnl_reference;

#endif
