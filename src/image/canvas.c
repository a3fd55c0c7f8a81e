// SPDX-License-Identifier: Apache-2.0
//
// Filled and half transparent shapes on tight RGB pixels. Smooth edges come from distances: a pixel whose
// centre lies half a pixel inside an edge is covered, half a pixel outside it is not.
#include "image/canvas.h"

#include "base/error.h"

#include <math.h>

#define MAX_SIDE 65535

int fn_canvas_check(const fn_canvas *canvas) {
    if (!canvas->rgb)
        return fn_fail(FN_EINVAL, "draw: no pixels");
    if (canvas->width < 1 || canvas->height < 1 || canvas->width > MAX_SIDE || canvas->height > MAX_SIDE)
        return fn_fail(FN_EINVAL, "draw: %d x %d pixels, each side must be 1 to %d", canvas->width,
                       canvas->height, MAX_SIDE);
    return FN_OK;
}

int fn_canvas_size(const fn_canvas *canvas, double part, int low, int high) {
    int side = canvas->width < canvas->height ? canvas->width : canvas->height;
    double size = side / part;
    return size < low ? low : size > high ? high : (int)lrint(size);
}

int fn_canvas_place(int *x, int *y, const fn_canvas *canvas, fn_corner corner, int width, int height,
                    int margin) {
    if ((int)corner < FN_CORNER_TOP_LEFT || (int)corner > FN_CORNER_BOTTOM_RIGHT)
        return fn_fail(FN_EINVAL, "draw: a picture has no corner %d", (int)corner);
    int is_right = corner == FN_CORNER_TOP_RIGHT || corner == FN_CORNER_BOTTOM_RIGHT;
    int is_low = corner == FN_CORNER_BOTTOM_LEFT || corner == FN_CORNER_BOTTOM_RIGHT;
    *x = is_right ? canvas->width - margin - width : margin;
    *y = is_low ? canvas->height - margin - height : margin;
    return FN_OK;
}

static void clip(int *low, int *high, int size) {
    *low = *low < 0 ? 0 : *low;
    *high = *high > size ? size : *high;
}

static unsigned char *pixel_at(const fn_canvas *canvas, int x, int y) {
    return canvas->rgb + ((size_t)y * (size_t)canvas->width + (size_t)x) * 3;
}

void fn_canvas_fill(fn_canvas *canvas, int x0, int y0, int x1, int y1, uint32_t color) {
    clip(&x0, &x1, canvas->width);
    clip(&y0, &y1, canvas->height);
    for (int y = y0; y < y1; y++) {
        unsigned char *p = pixel_at(canvas, x0, y);
        for (int x = x0; x < x1; x++, p += 3) {
            p[0] = (unsigned char)(color >> 16);
            p[1] = (unsigned char)(color >> 8);
            p[2] = (unsigned char)color;
        }
    }
}

// weight goes from 0 to 256.
static void mix(unsigned char *p, uint32_t color, int weight) {
    for (int c = 0; c < 3; c++) {
        int wanted = (int)(color >> (16 - 8 * c) & 255);
        p[c] = (unsigned char)(p[c] + (wanted - p[c]) * weight / 256);
    }
}

void fn_canvas_blend(fn_canvas *canvas, int x, int y, uint32_t color, float alpha) {
    if (x >= 0 && y >= 0 && x < canvas->width && y < canvas->height && alpha > 0.0F)
        mix(pixel_at(canvas, x, y), color, alpha >= 1.0F ? 256 : (int)(alpha * 256.0F));
}

// How much of the pixel at (x, y) a rounded rectangle covers, 0 to 1.
static float round_cover(int x, int y, int width, int height, int radius) {
    float dx = fabsf((float)x + 0.5F - (float)width / 2.0F) - ((float)width / 2.0F - (float)radius);
    float dy = fabsf((float)y + 0.5F - (float)height / 2.0F) - ((float)height / 2.0F - (float)radius);
    if (dx <= 0.0F || dy <= 0.0F)
        return 1.0F;
    float inside = (float)radius - sqrtf(dx * dx + dy * dy) + 0.5F;
    return inside < 0.0F ? 0.0F : inside > 1.0F ? 1.0F : inside;
}

void fn_canvas_blend_round(fn_canvas *canvas, int x, int y, int width, int height, int radius, uint32_t color,
                           float alpha) {
    int x0 = x, x1 = x + width, y0 = y, y1 = y + height, plain = (int)(alpha * 256.0F);
    clip(&x0, &x1, canvas->width);
    clip(&y0, &y1, canvas->height);
    for (int j = y0; j < y1; j++) {
        int is_plain = j - y >= radius && y + height - j > radius;
        for (int i = x0; i < x1; i++) {
            if (is_plain || (i - x >= radius && x + width - i > radius))
                mix(pixel_at(canvas, i, j), color, plain);
            else
                fn_canvas_blend(canvas, i, j, color,
                                alpha * round_cover(i - x, j - y, width, height, radius));
        }
    }
}

void fn_canvas_blend_layer(fn_canvas *canvas, int x, int y, const uint32_t *layer, int width, int height) {
    int x0 = x, x1 = x + width, y0 = y, y1 = y + height;
    clip(&x0, &x1, canvas->width);
    clip(&y0, &y1, canvas->height);
    for (int j = y0; j < y1; j++) {
        const uint32_t *q = layer + (ptrdiff_t)(j - y) * width + (x0 - x);
        unsigned char *p = pixel_at(canvas, x0, j);
        for (int i = x0; i < x1; i++, p += 3, q++) {
            uint32_t left = 255 - (*q >> 24);
            if (left == 255)
                continue;
            for (int c = 0; c < 3; c++) {
                uint32_t sum = (*q >> (16 - 8 * c) & 255) + (p[c] * left + 127) / 255;
                p[c] = (unsigned char)(sum > 255 ? 255 : sum);
            }
        }
    }
}
