// SPDX-License-Identifier: Apache-2.0
//
// Copies of frames, to be drawn on.
#include "picture.h"

#include <stdlib.h>
#include <string.h>

static int make_room(cli_picture *dst, int width, int height) {
    const size_t size = (size_t)width * (size_t)height * 3;
    if (size > dst->room) {
        unsigned char *rgb = realloc(dst->rgb, size);
        if (!rgb)
            return FN_ENOMEM;
        dst->rgb = rgb;
        dst->room = size;
    }
    dst->image = (fn_image){dst->rgb, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
    return FN_OK;
}

// Bytes of a pixel in which red, green and blue lie.
static const int order[][3] = {[FN_PIXEL_RGB8] = {0, 1, 2},
                               [FN_PIXEL_BGR8] = {2, 1, 0},
                               [FN_PIXEL_RGBA8] = {0, 1, 2},
                               [FN_PIXEL_BGRA8] = {2, 1, 0},
                               [FN_PIXEL_GRAY8] = {0, 0, 0}};

int cli_picture_copy(cli_picture *dst, const fn_image *src, int mirrored) {
    if (make_room(dst, src->width, src->height) < 0)
        return FN_ENOMEM;
    const int size = fn_pixel_size(src->format), *rgb = order[src->format];
    const size_t n = (size_t)src->width * 3;
    for (int y = 0; y < src->height; y++) {
        const uint8_t *from = src->data + y * src->stride_bytes;
        unsigned char *to = dst->rgb + (size_t)y * n;
        if (src->format == FN_PIXEL_RGB8 && !mirrored) {
            memcpy(to, from, n);
            continue;
        }
        ptrdiff_t step = size;
        if (mirrored) {
            from += (ptrdiff_t)(src->width - 1) * size;
            step = -step;
        }
        for (int x = 0; x < src->width; x++, from += step, to += 3)
            for (int c = 0; c < 3; c++)
                to[c] = from[rgb[c]];
    }
    return FN_OK;
}

int cli_picture_fit(cli_picture *dst, const fn_image *src, int width, int height) {
    if (make_room(dst, width, height) < 0)
        return FN_ENOMEM;
    const double across = (double)width / src->width, down = (double)height / src->height;
    const double scale = across < down ? across : down;
    const int w = (int)(src->width * scale + 0.5), h = (int)(src->height * scale + 0.5);
    const int x0 = (width - w) / 2, y0 = (height - h) / 2;
    memset(dst->rgb, 0, (size_t)width * (size_t)height * 3);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            memcpy(dst->rgb + ((size_t)(y0 + y) * (size_t)width + (size_t)(x0 + x)) * 3,
                   src->data + (int64_t)y * src->height / h * src->stride_bytes +
                       (int64_t)x * src->width / w * 3,
                   3);
    return FN_OK;
}

void cli_picture_free(cli_picture *picture) {
    free(picture->rgb);
    *picture = (cli_picture){0};
}
