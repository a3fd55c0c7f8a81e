// SPDX-License-Identifier: Apache-2.0
//
// The vector of every image of a dataset.
#ifndef FN_TRAIN_EMBED_CROPS_H
#define FN_TRAIN_EMBED_CROPS_H

#include <facenet/dataset.h>

typedef struct fn_crop_vectors {
    float *data;          // (n_images, dimension), unit length; zeros where there is none
    unsigned char *known; // (n_images), 1: there is a vector
    int dimension;
    int n_unknown; // images that could not be read; told to the logger
} fn_crop_vectors;

/// Crops of the embedder's template are embedded as they are, the box within its margin; pictures that are
/// not crops, or crops of another template, go down the whole road, as evaluations do. FN_EINVAL: no
/// embedder.
int fn_crop_vectors_open(fn_crop_vectors *out, const fn_dataset *dataset, fn_recognizer *recognizer, int jobs,
                         const fn_control *control);
void fn_crop_vectors_free(fn_crop_vectors *vectors);

static inline const float *fn_crop_vector(const fn_crop_vectors *vectors, int image) {
    return vectors->data + (size_t)image * (size_t)vectors->dimension;
}

#endif
