// SPDX-License-Identifier: Apache-2.0
//
// What a classifier holds.
#ifndef FN_TRAIN_CLASSIFIER_H
#define FN_TRAIN_CLASSIFIER_H

#include "base/buf.h"
#include "train/svm.h"

#include <facenet/classify.h>

struct fn_classifier {
    fn_classifier_kind kind;
    char *fingerprint;
    int dimension, n_people;
    char **names; // sorted, each once
    fn_svm svm;   // of that kind
    // knn: the embeddings, sorted by person
    int k;
    double max_distance;
    float *rows; // (n_rows, dimension)
    int *labels; // (n_rows)
    int n_rows;
};

/// The text of a file, and back; `name` goes into the messages. Errors as fn_classifier_save and _load.
int fn_classifier_format(fn_buf *out, const fn_classifier *classifier);
int fn_classifier_parse(fn_classifier **out, const void *text, size_t n, const char *name);

#endif
