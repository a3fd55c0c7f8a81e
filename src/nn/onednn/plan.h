// SPDX-License-Identifier: Apache-2.0
//
// An inference plan while it is built.
#ifndef FN_NN_ONEDNN_PLAN_H
#define FN_NN_ONEDNN_PLAN_H

#include "nn/onednn/onednn.h"

/// A constant in a layout of oneDNN's choice; kept for all plans of a net.
typedef struct fn_dnnl_packed {
    int value;
    dnnl_memory_desc_t md;
    void *data;
} fn_dnnl_packed;

typedef struct fn_dnnl_shared {
    const fn_graph *graph;
    dnnl_engine_t engine;
    fn_dnnl_packed *packed;
    int n_packed, capacity;
} fn_dnnl_shared;

typedef struct fn_dnnl_plan {
    fn_dnnl_program program;
    fn_dnnl_shared *shared;
    fn_inferred inferred;
    // while building
    fn_dnnl_operand *values; // per value: where it is now and how it is laid out
    int *last_use;           // per value: last node that reads it
    int node;                // being built
} fn_dnnl_plan;

/// A value in a given layout, reordered when it is in another one; and dense.
int fn_dnnl_as_value_layout(fn_dnnl_plan *p, int value, const dnnl_memory_desc_t *md, fn_dnnl_operand *out);
int fn_dnnl_as_plain(fn_dnnl_plan *p, int value, fn_dnnl_operand *out);
/// A constant in a given layout, packed once per net. `from` says how its numbers lie in the graph.
int fn_dnnl_as_packed(fn_dnnl_plan *p, int value, const dnnl_memory_desc_t *from,
                      const dnnl_memory_desc_t *md, fn_dnnl_operand *out);

// --- fuse.c ---------------------------------------------------------------------------------------------

dnnl_alg_kind_t fn_dnnl_eltwise_of(const fn_fused *f, float *alpha, float *beta);
/// The activation and the additions of a fused node as steps of their own, where they could not be fused.
int fn_dnnl_add_separately(fn_dnnl_plan *p, const fn_fused *f, fn_dnnl_operand *dst);
/// Finishes Conv and Gemm, whose operation descriptor is ready: `make` builds the primitive description for
/// an attribute and a destination layout. First everything fused; if oneDNN cannot, or only slowly, apart.
typedef dnnl_status_t (*fn_dnnl_make)(const fn_dnnl_plan *p, const void *context,
                                      const dnnl_memory_desc_t *dst, dnnl_primitive_attr_t attr,
                                      dnnl_primitive_desc_t *pd);
int fn_dnnl_finish_fused(fn_dnnl_plan *p, const fn_node *node, fn_dnnl_make make, const void *context,
                         int *arg, fn_dnnl_operand *operands, int n, const dnnl_memory_desc_t *dst_md,
                         dnnl_primitive_desc_t bare);

// --- build.c --------------------------------------------------------------------------------------------

int fn_dnnl_build_node(fn_dnnl_plan *p, const fn_node *node);

#endif
