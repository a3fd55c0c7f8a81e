// SPDX-License-Identifier: Apache-2.0
//
// 68 landmarks inside boxes: which part of the picture the network sees, and the way back.
#ifndef FN_DETECT_LANDMARKS_H
#define FN_DETECT_LANDMARKS_H

#include "model/model.h"

#include <facenet/detect.h>

/// BlazeFace: a square of the larger side of the box times this, moved down by this share of it, and
/// turned upright by the eyes when the head is tilted more than this.
#define FN_LANDMARK_CROP 1.1
#define FN_LANDMARK_DOWN 0.04
#define FN_LANDMARK_UPRIGHT_DEGREES 15.0

int fn_landmarks_open(fn_model **out, const fn_model_options *options);

/// The map picture -> crop of side `size`: a rotation, one scale and a shift.
void fn_landmarks_map(double m[6], const fn_face *face, int size);

/// Fills the landmarks of n faces from their boxes (and keypoints). compat: cut as face-api does.
/// FN_EINVAL: a box without area or not finite; FN_EMODEL: the network's numbers are not finite.
int fn_landmarks_run(fn_model *model, const fn_image *image, fn_face *faces, size_t n, int compat);

#endif
