// SPDX-License-Identifier: Apache-2.0
//
// The embeddings of an older network, of every image of a dataset, for losses that learn from it. They are
// computed once, of the crops as they are, and kept in a file beside the run.
#ifndef FN_TRAIN_TEACHER_H
#define FN_TRAIN_TEACHER_H

#include <facenet/dataset.h>
#include <facenet/train.h>

typedef struct fn_teacher {
    float *rows; // (n_images, dimension), unit length
    int n_images, dimension;
    char fingerprint[65];
    char *compatible_with; // facenet.compatible_with of a network that learns to embed beside it
} fn_teacher;

/// path: the file they are kept in, used again when teacher and images are the same. The teacher's template
/// must be the dataset's, else FN_EINVAL. Errors: as fn_embedder_open, FN_ECANCELLED, FN_EIO.
int fn_teacher_open(fn_teacher *out, const fn_dataset *dataset, const char *template_name, const char *path,
                    const fn_train_options *options, const fn_control *control);
void fn_teacher_free(fn_teacher *teacher);

#endif
