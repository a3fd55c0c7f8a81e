// SPDX-License-Identifier: Apache-2.0
//
// What a backend does: it turns an optimised graph, typed for one batch and one input size, into a plan, and
// runs it. A plan is constant once made and serves any number of threads; each running thread has a state,
// whose one block of memory holds everything that changes.
#ifndef FN_NN_BACKEND_H
#define FN_NN_BACKEND_H

#include "nn/infer.h"

typedef struct fn_backend_def {
    const char *name;
    /// What all plans of a net share: engines, packed weights. The graph outlives it.
    int (*shared_open)(void **out, const fn_graph *graph);
    void (*shared_free)(void *shared);
    /// Takes over what `inferred` holds, also on failure.
    int (*plan_open)(void **out, void *shared, fn_inferred *inferred);
    void (*plan_free)(void *plan);
    int (*state_open)(void **out, void *plan);
    void (*state_free)(void *state);
    /// inputs and outputs: one dense tensor per graph input and output, in the backend's real type.
    int (*run)(void *plan, void *state, const void *const *inputs, void *const *outputs);
} fn_backend_def;

extern const fn_backend_def fn_backend_ref_f32; // backend_ref.c built for float
extern const fn_backend_def fn_backend_ref_f64; // and for double: inputs and outputs are double
extern const fn_backend_def fn_backend_onednn;  // onednn/plan.c

#endif
