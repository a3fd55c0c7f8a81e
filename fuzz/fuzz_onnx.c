// SPDX-License-Identifier: Apache-2.0
//
// ONNX files: whatever can be read can be written, and from then on reading and writing change nothing.
#include "base/alloc.h"
#include "model/fingerprint.h"
#include "model/onnx.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct written {
    void *bytes;
    size_t n;
    char sha256[65]; // of the graph
};

/// Reads the bytes and writes them again; an error where they are no model.
static int read_and_write(struct written *out, const void *bytes, size_t n) {
    fn_graph *graph;
    fn_metadata metadata;
    int rc = fn_onnx_read(&graph, &metadata, bytes, n, "input");
    if (rc < 0)
        return rc;
    if ((rc = fn_graph_sha256(out->sha256, graph)) == FN_OK)
        rc = fn_onnx_write(&out->bytes, &out->n, graph, &metadata);
    fn_graph_free(graph);
    fn_metadata_free(&metadata);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct written first = {0}, second = {0};
    if (read_and_write(&first, data, size) < 0)
        return 0;
    if (read_and_write(&second, first.bytes, first.n) < 0 || first.n != second.n ||
        memcmp(first.bytes, second.bytes, first.n) != 0 || strcmp(first.sha256, second.sha256) != 0)
        abort();
    fn_free(first.bytes);
    fn_free(second.bytes);
    return 0;
}
