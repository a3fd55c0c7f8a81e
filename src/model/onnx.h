// SPDX-License-Identifier: Apache-2.0
//
// ONNX in and out: the only translation between our graph and the file format.
#ifndef FN_MODEL_ONNX_H
#define FN_MODEL_ONNX_H

#include "nn/graph.h"

/// Key and value texts of metadata_props, in file order.
typedef struct fn_metadata {
    char **keys, **values;
    int n;
} fn_metadata;

const char *fn_metadata_get(const fn_metadata *metadata, const char *key); // NULL: absent
/// Sets or replaces; copies both. value NULL removes. FN_ENOMEM.
int fn_metadata_set(fn_metadata *metadata, const char *key, const char *value);
void fn_metadata_free(fn_metadata *metadata);

/// Reads a model. The bytes are pre-scanned (nesting <= 64, sizes, counts) before protobuf-c sees
/// them, and its memory is capped. The graph speaks operator set 13 whatever the file's. metadata is
/// filled anew (fn_metadata_free) and empty after a failure. `name` begins the messages; NULL: none.
/// FN_EFORMAT says where; FN_EUNSUPPORTED names the operator; FN_ELIMIT, FN_ENOMEM.
int fn_onnx_read(fn_graph **out, fn_metadata *metadata, const void *bytes, size_t n_bytes, const char *name);

/// Writes a graph and its metadata: new memory in *out (fn_free). The same graph gives the same
/// bytes. FN_EINTERNAL: the graph has been optimised; FN_EINVAL: a name is not UTF-8; FN_ELIMIT, FN_ENOMEM.
int fn_onnx_write(void **out, size_t *n_out, const fn_graph *graph, const fn_metadata *metadata);

#endif
