// SPDX-License-Identifier: Apache-2.0
//
// How face-api (1.7) cuts and resizes pictures: axis-aligned whole-pixel crops, a black square
// around them, and bilinear sampling with corners at pixel centres and no anti-aliasing. Its nets
// were published with numbers made this way, so the SSD detector and the goldens reproduce it.
#ifndef FN_ALIGN_COMPAT_H
#define FN_ALIGN_COMPAT_H

#include <facenet/detect.h>

typedef struct fn_compat_rect {
    int x, y, width, height; // pixels; empty when width or height is below 1
} fn_compat_rect;

/// The box clipped to a picture of width x height and rounded down.
fn_compat_rect fn_compat_clip(double x, double y, double box_width, double box_height, int width, int height);

/// The unrotated recognition box around 68 landmarks, before clipping. crop_width and crop_height
/// are those of the crop in which the landmarks were found.
fn_compat_rect fn_compat_chip(const fn_point landmarks[FN_N_LANDMARKS], int crop_width, int crop_height);

/// Resizes a non-empty `crop` inside `image`, padded with black to a square (centred: on both sides,
/// else right and below), to dst (3, size, size) float RGB = (value - mean[c]) / scale.
void fn_compat_planes(float *dst, int size, const fn_image *image, fn_compat_rect crop, int centred,
                      const float mean[3], float scale);

/// Samples the picture through the map m (picture -> dst, pixel centres at integers on both sides),
/// bilinear and black outside, to dst (3, size, size) as above: dlib's way, in which the rotated
/// chips of the goldens were made. m must be invertible.
void fn_compat_warp(float *dst, int size, const fn_image *image, const double m[6], const float mean[3],
                    float scale);

#endif
