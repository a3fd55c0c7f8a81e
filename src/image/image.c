// SPDX-License-Identifier: Apache-2.0
//
// Views of pixels: the check at the border, sub-views, tight RGB copies and the planes that a
// network is fed.
#include "image/image.h"

#include "base/error.h"
#include "image/layout.h"

#include <assert.h>
#include <string.h>

#define MAX_SIDE 65535

int fn_pixel_size(fn_pixel_format format) {
    switch (format) {
    case FN_PIXEL_RGB8:
    case FN_PIXEL_BGR8:
        return 3;
    case FN_PIXEL_RGBA8:
    case FN_PIXEL_BGRA8:
        return 4;
    case FN_PIXEL_GRAY8:
        return 1;
    }
    return 0;
}

int fn_image_check(const fn_image *image) {
    if (!image)
        return fn_fail(FN_EINVAL, "image: NULL");
    if (!image->data)
        return fn_fail(FN_EINVAL, "image: its data is NULL");
    if (image->width < 1 || image->height < 1 || image->width > MAX_SIDE || image->height > MAX_SIDE)
        return fn_fail(FN_EINVAL, "image: %d x %d pixels, each side must be 1 to %d", image->width,
                       image->height, MAX_SIDE);
    int size = fn_pixel_size(image->format);
    if (size == 0)
        return fn_fail(FN_EINVAL, "image: pixel format %d does not exist", (int)image->format);
    ptrdiff_t row = (ptrdiff_t)image->width * size;
    if (image->stride_bytes < row && image->stride_bytes > -row)
        return fn_fail(FN_EINVAL, "image: rows of %td bytes do not fit a stride of %td", row,
                       image->stride_bytes);
    if (image->stride_bytes > PTRDIFF_MAX / MAX_SIDE || image->stride_bytes < -(PTRDIFF_MAX / MAX_SIDE))
        return fn_fail(FN_EINVAL, "image: a stride of %td bytes is too large", image->stride_bytes);
    return FN_OK;
}

fn_image fn_image_crop(const fn_image *src, int x, int y, int width, int height) {
    assert(x >= 0 && y >= 0 && width > 0 && height > 0);
    assert(width <= src->width - x && height <= src->height - y);
    fn_image crop = *src;
    crop.data += y * src->stride_bytes + (ptrdiff_t)x * fn_pixel_size(src->format);
    crop.width = width;
    crop.height = height;
    return crop;
}

void fn_image_to_rgb(unsigned char *dst, const fn_image *src) {
    fn_layout layout = fn_pixel_layout(src->format);
    size_t row_bytes = (size_t)src->width * 3;
    for (int y = 0; y < src->height; y++, dst += row_bytes) {
        const uint8_t *p = src->data + y * src->stride_bytes;
        if (src->format == FN_PIXEL_RGB8) {
            memcpy(dst, p, row_bytes);
            continue;
        }
        for (int x = 0; x < src->width; x++, p += layout.size) {
            dst[3 * x] = p[layout.at[0]];
            dst[3 * x + 1] = p[layout.at[1]];
            dst[3 * x + 2] = p[layout.at[2]];
        }
    }
}

void fn_image_mirror(unsigned char *rgb, int width, int height) {
    for (int y = 0; y < height; y++, rgb += (size_t)width * 3) {
        for (int i = 0, j = width - 1; i < j; i++, j--) {
            unsigned char pixel[3];
            memcpy(pixel, rgb + (ptrdiff_t)3 * i, 3);
            memcpy(rgb + (ptrdiff_t)3 * i, rgb + (ptrdiff_t)3 * j, 3);
            memcpy(rgb + (ptrdiff_t)3 * j, pixel, 3);
        }
    }
}

// A byte has 256 values, so 768 divisions serve a picture of any size, exactly.
void fn_image_to_planes(float *dst, const unsigned char *rgb, int width, int height, int bgr,
                        const float mean[3], float scale) {
    float value[3][256];
    size_t n = (size_t)width * (size_t)height;
    for (int c = 0; c < 3; c++) {
        for (int v = 0; v < 256; v++)
            value[c][v] = ((float)v - mean[c]) / scale;
    }
    float *first = dst, *second = dst + n, *third = dst + 2 * n;
    int red = bgr ? 2 : 0, blue = bgr ? 0 : 2;
    for (size_t i = 0; i < n; i++, rgb += 3) {
        first[i] = value[0][rgb[red]];
        second[i] = value[1][rgb[1]];
        third[i] = value[2][rgb[blue]];
    }
}
