// SPDX-License-Identifier: Apache-2.0
//
// Pixel work that the stages share: geometry on fn_image views. Everything writes into the caller's
// buffer. Nothing depends on threads.
#ifndef FN_IMAGE_IMAGE_H
#define FN_IMAGE_IMAGE_H

#include <facenet/image.h>

/// A sub-view of `src`; the rectangle must lie inside. Shares the pixels.
fn_image fn_image_crop(const fn_image *src, int x, int y, int width, int height);

/// Copies pixels as tight RGB rows: dst is (height, width, 3).
void fn_image_to_rgb(unsigned char *dst, const fn_image *src);

/// Resizes the region (x, y, width, height; pixels, may reach outside: black there) of `src` to
/// dst (dst_height, dst_width, 3) RGB. Half-pixel centres. Shrinking averages every covered pixel
/// (separable triangle filter as wide as the shrink factor), enlarging is bilinear. FN_ENOMEM; FN_EINVAL: an
/// empty or absurdly distant region.
int fn_image_resize(unsigned char *dst, int dst_width, int dst_height, const fn_image *src, double x,
                    double y, double width, double height);

/// Maps `src` through the affine map m (picture -> dst: x' = m0 x + m1 y + m2, y' = m3 x + m4 y + m5,
/// pixel corners at integers, centres at + 0.5) into dst (dst_height, dst_width, 3) RGB. When the map
/// shrinks by more than two, the picture is first halved by 2 x 2 means until it no longer does (the
/// smallest needed region only); then bilinear; outside is black. FN_ENOMEM; FN_EINVAL: singular map.
int fn_image_warp(unsigned char *dst, int dst_width, int dst_height, const fn_image *src, const double m[6]);

/// The same without rounding to bytes: dst (dst_height, dst_width, 3) float in [0, 255].
int fn_image_warp_float(float *dst, int dst_width, int dst_height, const fn_image *src, const double m[6]);

/// Turns and mirrors by an EXIF orientation, 1..8 (others count as 1). dst is tight, in the format of src;
/// from 5 on it is (src->width) rows of (src->height) pixels.
void fn_image_orient(unsigned char *dst, const fn_image *src, int orientation);

/// Mirrors tight RGB pixels left to right in place.
void fn_image_mirror(unsigned char *rgb, int width, int height);

/// Tight RGB bytes to planes: dst (3, height, width) float = (pixel - mean[c]) / scale, with the
/// channels in order R, G, B, or B, G, R when bgr is 1 (mean follows the order fed).
void fn_image_to_planes(float *dst, const unsigned char *rgb, int width, int height, int bgr,
                        const float mean[3], float scale);

#endif
