// SPDX-License-Identifier: Apache-2.0
//
// Files of classifiers: what was read decides, and written again it is read as the same.
#include "base/alloc.h"
#include "base/buf.h"
#include "train/classifier.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fn_classifier *c, *again;
    fn_prediction found, same;
    if (fn_classifier_parse(&c, data, size, "input") < 0)
        return 0;
    const int dimension = fn_classifier_dimension(c), n_people = fn_classifier_len(c);
    float *embedding = fn_calloc((size_t)dimension, sizeof *embedding);
    if (!embedding)
        abort();
    embedding[0] = 1;
    // Those of other models are not looked at, whatever their length.
    if (fn_classifier_predict(c, embedding, dimension + 1, fn_classifier_fingerprint(c), 0.5, &found) !=
        FN_ECONFLICT)
        abort();
    if (fn_classifier_predict(c, embedding, dimension, fn_classifier_fingerprint(c), 0.5, &found) < 0 ||
        found.person >= n_people || found.runner_up >= n_people)
        abort();
    fn_buf text;
    fn_buf_init(&text, (size_t)1 << 30);
    if (fn_classifier_format(&text, c) < 0 || fn_classifier_parse(&again, text.data, text.len, "again") < 0)
        abort();
    if (fn_classifier_predict(again, embedding, dimension, fn_classifier_fingerprint(c), 0.5, &same) < 0 ||
        same.person != found.person || same.runner_up != found.runner_up)
        abort();
    fn_classifier_free(again);
    fn_buf_free(&text);
    fn_free(embedding);
    fn_classifier_free(c);
    return 0;
}
