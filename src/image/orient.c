// SPDX-License-Identifier: Apache-2.0
//
// The eight EXIF orientations (EXIF 2.3, 4.6.4, tag 0x0112). Each says which border of the stored
// picture is the top and which the left, so each is a starting pixel and two steps.
#include "image/image.h"

#include <string.h>

#define TILE 32 // pixels: rows and columns of a tile stay in the first-level cache

// The stored picture as it is walked: from `corner`, bytes to the next pixel on the right and below.
typedef struct path {
    const unsigned char *corner;
    ptrdiff_t right, down;
} path;

// dst is (height, width) pixels of `size` bytes, which is a constant wherever this is called.
static inline void copy(unsigned char *dst, int width, int height, const path *p, int size) {
    for (int ty = 0; ty < height; ty += TILE) {
        for (int tx = 0; tx < width; tx += TILE) {
            int end_y = ty + TILE < height ? ty + TILE : height;
            int end_x = tx + TILE < width ? tx + TILE : width;
            for (int y = ty; y < end_y; y++) {
                unsigned char *d = dst + size * ((ptrdiff_t)y * width + tx);
                const unsigned char *s = p->corner + y * p->down + tx * p->right;
                for (int x = tx; x < end_x; x++, d += size, s += p->right)
                    memcpy(d, s, (size_t)size);
            }
        }
    }
}

void fn_image_orient(unsigned char *dst, const fn_image *src, int orientation) {
    int is_known = orientation > 1 && orientation <= 8, swaps = is_known && orientation >= 5;
    int right_to_left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    int bottom_to_top = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    int size = fn_pixel_size(src->format);
    int width = swaps ? src->height : src->width, height = swaps ? src->width : src->height;
    ptrdiff_t across = right_to_left ? -size : size;
    ptrdiff_t along = bottom_to_top ? -src->stride_bytes : src->stride_bytes;
    path p = {.corner = src->data, .right = swaps ? along : across, .down = swaps ? across : along};
    if (right_to_left)
        p.corner += (ptrdiff_t)size * (src->width - 1);
    if (bottom_to_top)
        p.corner += src->stride_bytes * (src->height - 1);
    switch (size) {
    case 1:
        copy(dst, width, height, &p, 1);
        break;
    case 3:
        copy(dst, width, height, &p, 3);
        break;
    default:
        copy(dst, width, height, &p, 4);
    }
}
