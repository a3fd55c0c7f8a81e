// SPDX-License-Identifier: Apache-2.0
//
// The file facenet-dataset.json in the root of a folder of crops: how they were cut, and by what.
#ifndef FN_TRAIN_GEOMETRY_H
#define FN_TRAIN_GEOMETRY_H

#include <facenet/dataset.h>

#define FN_GEOMETRY_FILE "facenet-dataset.json"

/// The geometry of root; zeros when there is no such file. pipeline (may be NULL): the id of what found the
/// faces, or "". FN_EFORMAT when the file is damaged, FN_EIO.
int fn_geometry_read(fn_crop_geometry *out, char pipeline[65], const char *root);

/// Writes the file. The template's points go along as text, so that the crops explain themselves.
int fn_geometry_write(const fn_crop_geometry *geometry, const fn_template *tmpl, const char *pipeline,
                      const char *detector, const char *root);

#endif
