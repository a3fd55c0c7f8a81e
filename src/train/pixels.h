// SPDX-License-Identifier: Apache-2.0
//
// Changes of small pictures: planes are (3, height, width) float in 0..255, RGB in this order; bytes are
// tight (height, width, 3).
#ifndef FN_TRAIN_PIXELS_H
#define FN_TRAIN_PIXELS_H

/// Brightness, then contrast about the mean grey, then saturation about each pixel's grey (0.299, 0.587,
/// 0.114); factors, 1 changes nothing. Results stay in 0..255.
void fn_planes_color(float *planes, int width, int height, float brightness, float contrast,
                     float saturation);

/// Gaussian of sigma pixels, cut off at three sigma (at most 4 pixels); the border repeats. FN_ENOMEM.
int fn_planes_blur(float *planes, int width, int height, float sigma);

/// Fills a rectangle that lies inside.
void fn_planes_fill(float *planes, int width, int height, int x, int y, int w, int h, const float color[3]);

void fn_planes_to_rgb(unsigned char *rgb, const float *planes, int width, int height);
void fn_rgb_to_planes(float *planes, const unsigned char *rgb, int width, int height);

/// Scales to `factor` of the size and back. FN_ENOMEM.
int fn_rgb_coarsen(unsigned char *rgb, int width, int height, double factor);

/// Writes and reads as JPEG. FN_ENOMEM.
int fn_rgb_jpeg(unsigned char *rgb, int width, int height, int quality);

#endif
