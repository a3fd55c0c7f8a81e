// SPDX-License-Identifier: Apache-2.0
//
// The eight EXIF orientations (EXIF 2.3, 4.6.4, tag 0x0112). Each says which border of the stored
// picture is the top and which the left, so each is a starting pixel and two steps.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"

#include <string.h>

#define TILE 32 // pixels: rows and columns of a tile stay in the first-level cache

int fn_raster_orient(fn_raster *raster, int orientation) {
    if (orientation <= 1 || orientation > 8)
        return FN_OK;
    int swaps = orientation >= 5;
    int right_to_left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    int bottom_to_top = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int width = swaps ? raster->height : raster->width, height = swaps ? raster->width : raster->height;
    // Steps through the stored picture, in pixels, for one step to the right and one down.
    ptrdiff_t row = raster->width, across = right_to_left ? -1 : 1, along = bottom_to_top ? -row : row;
    ptrdiff_t step_x = swaps ? along : across, step_y = swaps ? across : along;
    const unsigned char *corner = raster->pixels;
    if (right_to_left)
        corner += 3 * (row - 1);
    if (bottom_to_top)
        corner += 3 * row * (raster->height - 1);

    unsigned char *dst = fn_alloc((size_t)width * (size_t)height * 3);
    if (!dst)
        return fn_fail_memory();
    for (int ty = 0; ty < height; ty += TILE) {
        for (int tx = 0; tx < width; tx += TILE) {
            int end_y = ty + TILE < height ? ty + TILE : height;
            int end_x = tx + TILE < width ? tx + TILE : width;
            for (int y = ty; y < end_y; y++) {
                unsigned char *d = dst + 3 * ((ptrdiff_t)y * width + tx);
                const unsigned char *s = corner + 3 * (y * step_y + tx * step_x);
                for (int x = tx; x < end_x; x++, d += 3, s += 3 * step_x)
                    memcpy(d, s, 3);
            }
        }
    }
    fn_free(raster->pixels);
    raster->pixels = dst;
    raster->width = width;
    raster->height = height;
    return FN_OK;
}
