// SPDX-License-Identifier: Apache-2.0
//
// What a classifier holds.
#ifndef FN_TRAIN_CLASSIFIER_H
#define FN_TRAIN_CLASSIFIER_H

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

#endif
