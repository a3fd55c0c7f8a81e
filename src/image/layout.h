// SPDX-License-Identifier: Apache-2.0
//
// Where red, green and blue lie inside one pixel of each format, so that pixel loops need no switch.
#ifndef FN_IMAGE_LAYOUT_H
#define FN_IMAGE_LAYOUT_H

#include <facenet/image.h>

typedef struct fn_layout {
    int size;  // bytes per pixel
    int at[3]; // byte of red, green, blue
} fn_layout;

static inline fn_layout fn_pixel_layout(fn_pixel_format format) {
    switch (format) {
    case FN_PIXEL_BGR8:
        return (fn_layout){3, {2, 1, 0}};
    case FN_PIXEL_RGBA8:
        return (fn_layout){4, {0, 1, 2}};
    case FN_PIXEL_BGRA8:
        return (fn_layout){4, {2, 1, 0}};
    case FN_PIXEL_GRAY8:
        return (fn_layout){1, {0, 0, 0}};
    case FN_PIXEL_RGB8:
        break;
    }
    return (fn_layout){3, {0, 1, 2}};
}

#endif
