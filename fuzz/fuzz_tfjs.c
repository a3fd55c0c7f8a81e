// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target of TensorFlow.js weights. Input: the manifest, a 0 byte, then the bytes of "a.bin" and "b.bin",
// half of the rest each. Whatever is read holds finite numbers only, as many as its shape says, and the
// architectures refuse it without a crash.
#include "model/arch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t n_manifest = end ? (size_t)(end - data) : size;
    size_t n_rest = end ? size - n_manifest - 1 : 0, n_first = n_rest / 2;
    const uint8_t *rest = end ? end + 1 : data;
    fn_tfjs_part parts[] = {{"a.bin", rest, n_first}, {"b.bin", rest + n_first, n_rest - n_first}};
    fn_tfjs *weights = NULL;
    if (fn_tfjs_open(&weights, data, n_manifest, parts, 2) < 0)
        return 0;
    for (int i = 0; i < fn_tfjs_len(weights); i++) {
        const fn_tfjs_tensor *t = fn_tfjs_get(weights, i);
        if (fn_shape_count(&t->shape) != (int64_t)t->n)
            abort();
        for (size_t k = 0; t->data && k < t->n; k++)
            if (!isfinite(t->data[k]))
                abort();
    }
    fn_arch *const builders[] = {fn_arch_dlib_resnet, fn_arch_landmarks68, fn_arch_ssd_mobilenetv1};
    for (int i = 0; i < 3; i++) {
        fn_graph *graph;
        if (fn_graph_open(&graph) < 0)
            continue;
        builders[i](graph, weights);
        fn_graph_finish(graph);
        fn_graph_free(graph);
    }
    fn_tfjs_free(weights);
    return 0;
}
