// SPDX-License-Identifier: Apache-2.0
//
// Other people's crops in their own arithmetic. face-api's rectangles are rounded down, so they are
// computed in double; its resize is in float, as TensorFlow's resize_bilinear without half-pixel
// centres.
#include "align/compat.h"

#include "image/layout.h"

#include <assert.h>
#include <math.h>

static int floor_to_int(double v) {
    return v > -1e9 && v < 1e9 ? (int)floor(v) : 0; // 0: an empty or cornered rectangle for NaN
}

fn_compat_rect fn_compat_clip(double x, double y, double box_width, double box_height, int width,
                              int height) {
    const double left = fmax(x, 0), top = fmax(y, 0);
    return (fn_compat_rect){floor_to_int(left), floor_to_int(top),
                            floor_to_int(fmin(x + box_width - left, width - left)),
                            floor_to_int(fmin(y + box_height - top, height - top))};
}

static void mean_point(double mean[2], const fn_point *landmarks, int first, int last) {
    double x = 0, y = 0;
    for (int i = first; i <= last; i++) {
        x += (double)landmarks[i].x;
        y += (double)landmarks[i].y;
    }
    mean[0] = x / (last - first + 1);
    mean[1] = y / (last - first + 1);
}

fn_compat_rect fn_compat_chip(const fn_point landmarks[FN_N_LANDMARKS], int crop_width, int crop_height) {
    double left[2], right[2], mouth[2];
    mean_point(left, landmarks, 36, 41);
    mean_point(right, landmarks, 42, 47);
    mean_point(mouth, landmarks, 48, 67);
    const double reach =
        (hypot(mouth[0] - left[0], mouth[1] - left[1]) + hypot(mouth[0] - right[0], mouth[1] - right[1])) / 2;
    const int size = floor_to_int(reach / 0.45);
    const int x = floor_to_int(fmax(0, (left[0] + right[0] + mouth[0]) / 3 - 0.5 * size));
    const int y = floor_to_int(fmax(0, (left[1] + right[1] + mouth[1]) / 3 - 0.43 * size));
    return (fn_compat_rect){x, y, size < crop_width + x ? size : crop_width + x,
                            size < crop_height + y ? size : crop_height + y};
}

typedef struct square {
    const fn_image *image;
    fn_compat_rect crop;
    fn_layout layout;
    int left, top; // where the crop begins in the square
} square;

static float value_at(const square *s, int x, int y, int channel) {
    x -= s->left;
    y -= s->top;
    if (x < 0 || y < 0 || x >= s->crop.width || y >= s->crop.height)
        return 0.0F;
    return s->image->data[(s->crop.y + y) * s->image->stride_bytes +
                          (ptrdiff_t)(s->crop.x + x) * s->layout.size + s->layout.at[channel]];
}

void fn_compat_planes(float *dst, int size, const fn_image *image, fn_compat_rect crop, int centred,
                      const float mean[3], float scale) {
    assert(crop.width > 0 && crop.height > 0 && crop.x >= 0 && crop.y >= 0);
    assert(crop.width <= image->width - crop.x && crop.height <= image->height - crop.y);
    const int side = crop.width > crop.height ? crop.width : crop.height;
    square s = {.image = image, .crop = crop, .layout = fn_pixel_layout(image->format)};
    if (centred) { // the larger half of an odd difference goes to the right and below
        s.left = (side - crop.width) / 2;
        s.top = (side - crop.height) / 2;
    }
    const float step = (float)side / (float)size;
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < size; v++) {
            const float y = (float)v * step;
            const int y0 = (int)floorf(y), y1 = (int)fminf(ceilf(y), (float)(side - 1));
            const float down = y - (float)y0;
            for (int u = 0; u < size; u++) {
                const float x = (float)u * step;
                const int x0 = (int)floorf(x), x1 = (int)fminf(ceilf(x), (float)(side - 1));
                const float right = x - (float)x0;
                const float a = value_at(&s, x0, y0, c), b = value_at(&s, x1, y0, c);
                const float d = value_at(&s, x0, y1, c), e = value_at(&s, x1, y1, c);
                const float above = a + (b - a) * right, below = d + (e - d) * right;
                *dst++ = (above + (below - above) * down - mean[c]) / scale;
            }
        }
}

void fn_compat_warp(float *dst, int size, const fn_image *image, const double m[6], const float mean[3],
                    float scale) {
    const double det = m[0] * m[4] - m[1] * m[3];
    square s = {.image = image, .crop = {0, 0, image->width, image->height}};
    s.layout = fn_pixel_layout(image->format);
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < size; v++)
            for (int u = 0; u < size; u++) {
                const double du = u - m[2], dv = v - m[5];
                const double x = fmin(fmax((m[4] * du - m[1] * dv) / det, -2), image->width + 1.0);
                const double y = fmin(fmax((m[0] * dv - m[3] * du) / det, -2), image->height + 1.0);
                const int x0 = (int)floor(x), y0 = (int)floor(y);
                const float right = (float)(x - x0), down = (float)(y - y0);
                const float a = value_at(&s, x0, y0, c), b = value_at(&s, x0 + 1, y0, c);
                const float d = value_at(&s, x0, y0 + 1, c), e = value_at(&s, x0 + 1, y0 + 1, c);
                const float above = a + (b - a) * right, below = d + (e - d) * right;
                *dst++ = (above + (below - above) * down - mean[c]) / scale;
            }
}
