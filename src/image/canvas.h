// SPDX-License-Identifier: Apache-2.0
//
// Tight RGB pixels that are drawn on in place. Everything is clipped; colours are 0xRRGGBB.
#ifndef FN_IMAGE_CANVAS_H
#define FN_IMAGE_CANVAS_H

#include <facenet/draw.h>

typedef struct fn_canvas {
    unsigned char *rgb; // (height, width, 3)
    int width, height;
} fn_canvas;

/// FN_EINVAL when there are no pixels or the sides are not those of a picture.
int fn_canvas_check(const fn_canvas *canvas);
/// The shorter side divided by `part`, within low..high: how sizes follow the picture.
int fn_canvas_size(const fn_canvas *canvas, double part, int low, int high);
/// Where a sign of this size lies in a corner, with a margin around it. FN_EINVAL: no such corner.
int fn_canvas_place(int *x, int *y, const fn_canvas *canvas, fn_corner corner, int width, int height,
                    int margin);

/// Fills x0..x1, y0..y1 (ends excluded).
void fn_canvas_fill(fn_canvas *canvas, int x0, int y0, int x1, int y1, uint32_t color);
/// Lays a colour over a pixel: alpha 0 leaves it, 1 replaces it.
void fn_canvas_blend(fn_canvas *canvas, int x, int y, uint32_t color, float alpha);
/// The same over a rectangle with smooth, rounded corners.
void fn_canvas_blend_round(fn_canvas *canvas, int x, int y, int width, int height, int radius, uint32_t color,
                           float alpha);
/// Lays pixels over a place: (height, width) 0xAARRGGBB with the colours multiplied by alpha.
void fn_canvas_blend_layer(fn_canvas *canvas, int x, int y, const uint32_t *layer, int width, int height);

#endif
