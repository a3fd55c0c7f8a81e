// SPDX-License-Identifier: Apache-2.0
//
// Faces of known truth: landmarks of a head that is turned.
#ifndef TESTS_POSED_H
#define TESTS_POSED_H

#include <facenet/detect.h>

/// The head turned to the picture's right by yaw, upwards by pitch, clockwise by roll (degrees); its middle
/// at (x, y), `scale` pixels per cm. Landmarks that do not count for pose or eyes lie there too.
fn_face posed(double yaw, double pitch, double roll, double x, double y, double scale);

#endif
