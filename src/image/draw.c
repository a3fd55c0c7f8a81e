// SPDX-License-Identifier: Apache-2.0
//
// Labels: boxes around faces and the names that belong to them, on a picture or on a copy of one.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "image/canvas.h"
#include "image/image.h"
#include "image/letters.h"

#include <facenet/decode.h>

#include <math.h>
#include <string.h>

typedef struct corners {
    int x0, y0, x1, y1;
} corners;

static int clamp(double v, int low, int high) {
    return v < low ? low : v > high ? high : (int)lrint(v);
}

static int line_width(const fn_canvas *canvas) {
    return fn_canvas_size(canvas, 300.0, 1, 32);
}

// Whole pixels around a box, kept near the picture so that absurd boxes stay computable.
static corners round_box(const fn_canvas *canvas, const fn_box *box) {
    double x = box->x, y = box->y;
    int line = line_width(canvas), right = canvas->width + line, low = canvas->height + line;
    return (corners){clamp(x, -line, right), clamp(y, -line, low), clamp(x + box->width, -line, right),
                     clamp(y + box->height, -line, low)};
}

static void fill_frame(fn_canvas *canvas, int x0, int y0, int x1, int y1, int line, uint32_t color) {
    fn_canvas_fill(canvas, x0, y0, x1, y0 + line, color);
    fn_canvas_fill(canvas, x0, y1 - line, x1, y1, color);
    fn_canvas_fill(canvas, x0, y0, x0 + line, y1, color);
    fn_canvas_fill(canvas, x1 - line, y0, x1, y1, color);
}

// The box in its colour between two dark lines, so that it shows on any ground.
static void draw_box(fn_canvas *canvas, const fn_label *label) {
    corners b = round_box(canvas, &label->box);
    int line = line_width(canvas);
    fill_frame(canvas, b.x0 - 1, b.y0 - 1, b.x1 + 1, b.y1 + 1, line + 2, 0x202020);
    fill_frame(canvas, b.x0, b.y0, b.x1, b.y1, line, label->color);
}

static int is_light(uint32_t color) {
    return 0.299 * (color >> 16 & 255) + 0.587 * (color >> 8 & 255) + 0.114 * (color & 255) > 140.0;
}

// A plate of this size beside the box: above, below or just inside, and within the picture.
static void place_plate(int *x, int *y, const fn_canvas *canvas, const fn_box *box, int width, int height) {
    corners b = round_box(canvas, box);
    *x = b.x0 - 1 + width > canvas->width ? canvas->width - width : b.x0 - 1;
    *y = b.y0 - height >= 0                ? b.y0 - height
         : b.y1 + height <= canvas->height ? b.y1
                                           : b.y0 + line_width(canvas);
    *y = *y + height > canvas->height ? canvas->height - height : *y;
    *x = *x < 0 ? 0 : *x;
    *y = *y < 0 ? 0 : *y;
}

static int draw_name(fn_canvas *canvas, const fn_label *label) {
    int font = fn_canvas_size(canvas, 32.0, 12, 256), pad = font / 3, low = font / 10;
    fn_letters name = {0}, note = {0};
    fn_letters_style style = {font, 1, canvas->width - 2 * pad, is_light(label->color) ? 0 : 0xFFFFFF};
    const char *feed = strchr(label->text, '\n');
    size_t n = feed ? (size_t)(feed - label->text) : strlen(label->text);
    int rc = fn_letters_set(&name, label->text, n, &style);
    if (rc == FN_OK && feed && feed[1]) {
        style.size = font * 4 / 5 > 11 ? font * 4 / 5 : 11;
        style.bold = 0;
        rc = fn_letters_set(&note, feed + 1, strlen(feed + 1), &style);
    }
    if (rc == FN_OK) {
        int width = (name.width > note.width ? name.width : note.width) + 2 * pad, x, y;
        int height = name.height + note.height + 2 * low;
        place_plate(&x, &y, canvas, &label->box, width, height);
        fn_canvas_fill(canvas, x, y, x + width, y + height, label->color);
        fn_canvas_blend_layer(canvas, x + pad, y + low, name.layer, name.width, name.height);
        fn_canvas_blend_layer(canvas, x + pad, y + low + name.height, note.layer, note.width, note.height);
    }
    fn_letters_free(&name);
    fn_letters_free(&note);
    return rc;
}

static int has_name(const fn_label *label) {
    return label->text && label->text[0];
}

static int check_label(const fn_label *label, size_t i) {
    const fn_box *b = &label->box;
    if (!isfinite(b->x) || !isfinite(b->y) || !(b->width >= 0.0F) || !(b->height >= 0.0F) ||
        !isfinite(b->width) || !isfinite(b->height))
        return fn_fail(FN_EINVAL, "label %zu: its box is not a box", i);
    if (label->text && !fn_utf8_valid(label->text, strlen(label->text)))
        return fn_fail(FN_EINVAL, "label %zu: its text is not UTF-8", i);
    return FN_OK;
}

// Adds to *n_names how many of them have one.
static int check_labels(size_t *n_names, const fn_label *labels, size_t n) {
    int rc = n && !labels ? fn_fail(FN_EINVAL, "draw: no labels") : FN_OK;
    for (size_t i = 0; rc == FN_OK && i < n; i++) {
        rc = check_label(&labels[i], i);
        *n_names += (size_t)has_name(&labels[i]);
    }
    return rc;
}

int fn_draw_labels(unsigned char *rgb, int width, int height, const fn_label *labels, size_t n) {
    fn_canvas canvas = {rgb, width, height};
    size_t n_names = 0;
    int rc = fn_canvas_check(&canvas);
    if (rc == FN_OK)
        rc = check_labels(&n_names, labels, n);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        draw_box(&canvas, &labels[i]);
    if (n_names)
        rc = fn_letters_load();
    for (size_t i = 0; rc == FN_OK && i < n; i++) {
        if (has_name(&labels[i]))
            rc = draw_name(&canvas, &labels[i]);
    }
    return rc;
}

int fn_annotate(const fn_image *image, const fn_label *labels, size_t n, const char *path) {
    int rc = fn_image_check(image);
    if (rc < 0)
        return rc;
    unsigned char *rgb = fn_alloc((size_t)image->width * (size_t)image->height * 3);
    if (!rgb)
        return fn_fail_memory();
    fn_image_to_rgb(rgb, image);
    rc = fn_draw_labels(rgb, image->width, image->height, labels, n);
    if (rc == FN_OK) {
        fn_image drawn = {rgb, image->width, image->height, (ptrdiff_t)image->width * 3, FN_PIXEL_RGB8};
        rc = fn_image_write(&drawn, path, 0);
    }
    fn_free(rgb);
    return rc;
}
