// SPDX-License-Identifier: Apache-2.0
#include "model/rewrite.h"

#include "base/alloc.h"
#include "base/path.h"
#include "model/stamp.h"

#include <string.h>

#define MAX_MODEL ((uint64_t)1 << 30)

static int same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

int fn_model_rewrite(const char *path, const fn_model_entry_change *changes, int n, int *changed) {
    unsigned char *bytes;
    size_t n_bytes;
    fn_graph *graph = NULL;
    fn_metadata metadata = {0};
    *changed = 0;
    int rc = fn_read_file(&bytes, &n_bytes, path, MAX_MODEL);
    if (rc < 0)
        return rc;
    rc = fn_onnx_read(&graph, &metadata, bytes, n_bytes, path);
    for (int i = 0; i < n && rc == FN_OK; i++) {
        if (same_text(fn_metadata_get(&metadata, changes[i].key), changes[i].value))
            continue;
        rc = fn_metadata_set(&metadata, changes[i].key, changes[i].value);
        *changed = 1;
    }
    if (rc == FN_OK && *changed)
        rc = fn_stamp_save(path, graph, &metadata);
    fn_metadata_free(&metadata);
    fn_graph_free(graph);
    fn_free(bytes);
    return rc;
}
