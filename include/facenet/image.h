// SPDX-License-Identifier: Apache-2.0
//
// image.h: pixels in memory. An fn_image is a view: it never owns its pixels, so a video frame, a
// mapped file or a decoded photograph pass through detection without a copy.
//
//     fn_image frame = {.data = pixels, .width = 1280, .height = 720,
//                       .stride_bytes = 1280 * 3, .format = FN_PIXEL_RGB8};
//
// Coordinates: x to the right, y down; pixel (i, j) covers [i, i+1) x [j, j+1), so its centre is at
// (i + 0.5, j + 0.5) wherever a function speaks of centres.
#ifndef FACENET_IMAGE_H
#define FACENET_IMAGE_H

#include <facenet/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fn_pixel_format {
    FN_PIXEL_RGB8 = 0,  // 3 bytes: red, green, blue
    FN_PIXEL_BGR8 = 1,  // 3 bytes: blue, green, red
    FN_PIXEL_RGBA8 = 2, // 4 bytes, alpha ignored
    FN_PIXEL_BGRA8 = 3, // 4 bytes, alpha ignored
    FN_PIXEL_GRAY8 = 4  // 1 byte
} fn_pixel_format;

/// A view of pixels in sRGB. Rows may be padded; stride_bytes may be negative for bottom-up
/// pictures (data then points to the top row).
typedef struct fn_image {
    const uint8_t *data;    // first byte of the top row
    int width;              // pixels, 1..65535
    int height;             // pixels, 1..65535
    ptrdiff_t stride_bytes; // from one row to the next
    fn_pixel_format format;
} fn_image;

typedef struct fn_point {
    float x, y; // pixels
} fn_point;

/// A box in pixels of the full picture. It may reach outside the picture.
typedef struct fn_box {
    float x, y;          // left, top
    float width, height; // >= 0
} fn_box;

/// Checks a view: pointer, size, stride and format. FN_EINVAL with the reason otherwise.
FN_API int fn_image_check(const fn_image *image);

/// Bytes per pixel of a format; 0 for a value that is no format.
FN_API int fn_pixel_size(fn_pixel_format format);

#ifdef __cplusplus
}
#endif
#endif
