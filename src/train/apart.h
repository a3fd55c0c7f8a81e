// SPDX-License-Identifier: Apache-2.0
//
// What is read and what is made lie apart: a folder made within the one that is read would be read the next
// time, and grow with every run.
#ifndef FN_TRAIN_APART_H
#define FN_TRAIN_APART_H

#include <facenet/dataset.h>

/// FN_OK when a walk over the dataset, its linked people too, does not come to the folder, nor a walk over
/// the folder to the dataset; what is hidden is not walked over. The folder need not be there yet. FN_EINVAL
/// says which lies in which.
int fn_dataset_is_apart(const fn_dataset *dataset, const char *folder);

#endif
