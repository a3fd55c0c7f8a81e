// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target of TensorFlow Lite files. The first byte chooses whether the size of the input is free; the
// rest is the file. Whatever is imported is a graph whose constants are finite and that names its parts.
#include "model/import_tflite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    fn_graph *graph = NULL;
    int rc = fn_tflite_import(&graph, data + 1, size - 1, &(fn_tflite_options){.any_size = data[0] & 1});
    if ((rc == FN_OK) != (graph != NULL))
        abort();
    for (int i = 0; graph && i < graph->n_values; i++) {
        const fn_value *value = &graph->values[i];
        if (!value->name || !*value->name)
            abort();
        const float *numbers = value->dtype == FN_F32 ? value->data : NULL;
        for (int64_t k = 0; numbers && k < fn_shape_count(&value->shape); k++)
            if (!isfinite(numbers[k]))
                abort();
    }
    fn_graph_free(graph);
    return 0;
}
