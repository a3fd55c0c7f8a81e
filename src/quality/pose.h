// SPDX-License-Identifier: Apache-2.0
//
// Where a head is turned, by its landmarks.
#ifndef FN_QUALITY_POSE_H
#define FN_QUALITY_POSE_H

#include <facenet/detect.h>

/// Degrees, as in fn_quality.
typedef struct fn_pose {
    float yaw, pitch, roll;
} fn_pose;

/// The pose of a face with finite landmarks. When they lie on a line: 90 degrees of yaw.
void fn_pose_measure(fn_pose *out, const fn_face *face);

#endif
