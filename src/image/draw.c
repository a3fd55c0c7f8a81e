// SPDX-License-Identifier: Apache-2.0
//
// Boxes and names on a copy of a picture. Boxes are plain pixels; names, in any script, are set by
// Pango on a small cairo surface each, so the size of the picture is not bound by cairo's. Both
// libraries are loaded when the first name is drawn: they bring fonts and much else that other work
// need not wait for. The declarations are the part of their stable C interface that is used here.
#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"
#include "base/path.h"
#include "image/image.h"

#include <facenet/pipeline.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

enum { CAIRO_FORMAT_RGB24 = 1, PANGO_SCALE = 1024, PANGO_WEIGHT_SEMIBOLD = 600, PANGO_ELLIPSIZE_END = 3 };

#define MAX_TEXT 400 // bytes

typedef struct cairo cairo;
typedef struct cairo_surface cairo_surface;
typedef struct pango_layout pango_layout;
typedef struct pango_font pango_font;

static struct {
    cairo_surface *(*surface_create)(int format, int width, int height);
    unsigned char *(*surface_data)(cairo_surface *);
    int (*surface_stride)(cairo_surface *);
    void (*surface_flush)(cairo_surface *);
    void (*surface_destroy)(cairo_surface *);
    cairo *(*create)(cairo_surface *);
    int (*status)(cairo *);
    void (*set_color)(cairo *, double red, double green, double blue);
    void (*paint)(cairo *);
    void (*move_to)(cairo *, double x, double y);
    void (*destroy)(cairo *);
    pango_layout *(*layout_create)(cairo *);
    void (*layout_show)(cairo *, pango_layout *);
    void (*layout_set_text)(pango_layout *, const char *, int n);
    void (*layout_set_font)(pango_layout *, const pango_font *);
    void (*layout_set_width)(pango_layout *, int);
    void (*layout_set_ellipsize)(pango_layout *, int);
    void (*layout_set_single)(pango_layout *, int);
    void (*layout_get_size)(pango_layout *, int *width, int *height);
    pango_font *(*font_create)(void);
    void (*font_set_family)(pango_font *, const char *);
    void (*font_set_weight)(pango_font *, int);
    void (*font_set_size)(pango_font *, double);
    void (*font_free)(pango_font *);
    void (*unref)(void *);
} text;

static const fn_symbol symbols[] = {
    {&text.surface_create, "cairo_image_surface_create"},
    {&text.surface_data, "cairo_image_surface_get_data"},
    {&text.surface_stride, "cairo_image_surface_get_stride"},
    {&text.surface_flush, "cairo_surface_flush"},
    {&text.surface_destroy, "cairo_surface_destroy"},
    {&text.create, "cairo_create"},
    {&text.status, "cairo_status"},
    {&text.set_color, "cairo_set_source_rgb"},
    {&text.paint, "cairo_paint"},
    {&text.move_to, "cairo_move_to"},
    {&text.destroy, "cairo_destroy"},
    {&text.layout_create, "pango_cairo_create_layout"},
    {&text.layout_show, "pango_cairo_show_layout"},
    {&text.layout_set_text, "pango_layout_set_text"},
    {&text.layout_set_font, "pango_layout_set_font_description"},
    {&text.layout_set_width, "pango_layout_set_width"},
    {&text.layout_set_ellipsize, "pango_layout_set_ellipsize"},
    {&text.layout_set_single, "pango_layout_set_single_paragraph_mode"},
    {&text.layout_get_size, "pango_layout_get_pixel_size"},
    {&text.font_create, "pango_font_description_new"},
    {&text.font_set_family, "pango_font_description_set_family"},
    {&text.font_set_weight, "pango_font_description_set_weight"},
    {&text.font_set_size, "pango_font_description_set_absolute_size"},
    {&text.font_free, "pango_font_description_free"},
    {&text.unref, "g_object_unref"},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t fonts = PTHREAD_MUTEX_INITIALIZER; // Pango's font maps are not for many threads
static int is_loaded;

// The handle of pangocairo finds the symbols of cairo, Pango and GObject too: it depends on them.
static void load(void) {
    is_loaded = fn_library_load("libpangocairo-1.0.so.0", symbols, sizeof symbols / sizeof *symbols) == FN_OK;
}

typedef struct canvas {
    unsigned char *rgb; // (height, width, 3), tight
    int width, height;
    int line; // thickness of a box, pixels
    int font; // height of the letters, pixels
} canvas;

static int clamp(double v, int low, int high) {
    return v < low ? low : v > high ? high : (int)lrint(v);
}

// Fills the part of x0..x1, y0..y1 (ends excluded) that lies inside.
static void fill(canvas *c, int x0, int y0, int x1, int y1, uint32_t color) {
    x0 = x0 < 0 ? 0 : x0;
    y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > c->width ? c->width : x1;
    y1 = y1 > c->height ? c->height : y1;
    for (int y = y0; y < y1; y++) {
        unsigned char *p = c->rgb + ((size_t)y * (size_t)c->width + (size_t)x0) * 3;
        for (int x = x0; x < x1; x++, p += 3) {
            p[0] = (unsigned char)(color >> 16);
            p[1] = (unsigned char)(color >> 8);
            p[2] = (unsigned char)color;
        }
    }
}

static void fill_frame(canvas *c, int x0, int y0, int x1, int y1, int line, uint32_t color) {
    fill(c, x0, y0, x1, y0 + line, color);
    fill(c, x0, y1 - line, x1, y1, color);
    fill(c, x0, y0, x0 + line, y1, color);
    fill(c, x1 - line, y0, x1, y1, color);
}

typedef struct corners {
    int x0, y0, x1, y1;
} corners;

// Whole pixels around a box, kept near the picture so that absurd boxes stay computable.
static corners round_box(const canvas *c, const fn_box *box) {
    double x = box->x, y = box->y;
    return (corners){clamp(x, -c->line, c->width + c->line), clamp(y, -c->line, c->height + c->line),
                     clamp(x + box->width, -c->line, c->width + c->line),
                     clamp(y + box->height, -c->line, c->height + c->line)};
}

// The box in its colour between two dark lines, so that it shows on any ground.
static void draw_box(canvas *c, const fn_label *label) {
    corners b = round_box(c, &label->box);
    fill_frame(c, b.x0 - 1, b.y0 - 1, b.x1 + 1, b.y1 + 1, c->line + 2, 0x202020);
    fill_frame(c, b.x0, b.y0, b.x1, b.y1, c->line, label->color);
}

// Copies a surface (32-bit xRGB in the machine's byte order) to (x, y), clipped.
static void copy_surface(canvas *c, int x, int y, cairo_surface *surface, int width, int height) {
    text.surface_flush(surface);
    const unsigned char *data = text.surface_data(surface);
    ptrdiff_t stride = text.surface_stride(surface);
    for (int j = 0; j < height; j++) {
        for (int i = 0; i < width; i++) {
            uint32_t pixel;
            memcpy(&pixel, data + j * stride + 4 * (ptrdiff_t)i, 4);
            fill(c, x + i, y + j, x + i + 1, y + j + 1, pixel);
        }
    }
}

static cairo *new_cairo(cairo_surface **surface, int width, int height) {
    *surface = text.surface_create(CAIRO_FORMAT_RGB24, width, height);
    cairo *cr = text.create(*surface);
    if (cr && text.status(cr) == 0)
        return cr;
    text.destroy(cr);
    text.surface_destroy(*surface);
    *surface = NULL;
    fn_fail_memory();
    return NULL;
}

// Bytes of a text that are set: a plate has no room for more, and layout takes time.
static int short_length(const char *words) {
    size_t n = strnlen(words, MAX_TEXT);
    for (; n && ((unsigned char)words[n] & 0xC0) == 0x80; n--)
        ;
    return (int)n;
}

static pango_layout *new_layout(cairo *cr, const canvas *c, const char *words) {
    int pad = c->font / 3, room = c->width - 2 * pad;
    pango_layout *layout = text.layout_create(cr);
    pango_font *font = text.font_create();
    text.font_set_family(font, "Sans");
    text.font_set_weight(font, PANGO_WEIGHT_SEMIBOLD);
    text.font_set_size(font, (double)c->font * PANGO_SCALE);
    text.layout_set_font(layout, font);
    text.font_free(font);
    text.layout_set_single(layout, 1);
    text.layout_set_text(layout, words, short_length(words));
    int width, height;
    text.layout_get_size(layout, &width, &height);
    if (width > room) {
        text.layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
        text.layout_set_width(layout, (room > c->font ? room : c->font) * PANGO_SCALE);
    }
    return layout;
}

// The name on a plate of the box's colour, above the box where there is room, else just inside it.
static int draw_name(canvas *c, const fn_label *label) {
    corners b = round_box(c, &label->box);
    uint32_t color = label->color;
    double red = (color >> 16 & 255) / 255.0, green = (color >> 8 & 255) / 255.0,
           blue = (color & 255) / 255.0;
    double ink = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 ? 0.0 : 1.0;
    int pad = c->font / 3, width, height;
    cairo_surface *probe = NULL, *plate = NULL;
    cairo *cr = new_cairo(&probe, 1, 1);
    if (!cr)
        return FN_ENOMEM;
    pango_layout *layout = new_layout(cr, c, label->text);
    text.layout_get_size(layout, &width, &height);
    width = width + 2 * pad < c->width ? width + 2 * pad : c->width;
    text.unref(layout);
    text.destroy(cr);
    text.surface_destroy(probe);
    if (!(cr = new_cairo(&plate, width, height)))
        return FN_ENOMEM;
    layout = new_layout(cr, c, label->text);
    text.set_color(cr, red, green, blue);
    text.paint(cr);
    text.set_color(cr, ink, ink, ink);
    text.move_to(cr, pad, 0.0);
    text.layout_show(cr, layout);
    int x = b.x0 - 1 + width > c->width ? c->width - width : b.x0 - 1;
    int y = b.y0 - height >= 0 ? b.y0 - height : b.y0 + c->line;
    y = y + height > c->height ? c->height - height : y;
    copy_surface(c, x < 0 ? 0 : x, y < 0 ? 0 : y, plate, width, height);
    text.unref(layout);
    text.destroy(cr);
    text.surface_destroy(plate);
    return FN_OK;
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

int fn_annotate(const fn_image *image, const fn_label *labels, size_t n, const char *path) {
    int rc = fn_image_check(image), n_names = 0;
    if (rc == FN_OK && n && !labels)
        rc = fn_fail(FN_EINVAL, "annotate: no labels");
    for (size_t i = 0; rc == FN_OK && i < n; i++) {
        n_names += labels[i].text && labels[i].text[0];
        rc = check_label(&labels[i], i);
    }
    if (rc < 0)
        return rc;
    if (n_names)
        pthread_once(&once, load);
    if (n_names && !is_loaded)
        return fn_fail(FN_EUNSUPPORTED,
                       "names on pictures need Pango and cairo: install the package libpangocairo-1.0-0");
    int side = image->width < image->height ? image->width : image->height;
    canvas c = {.width = image->width,
                .height = image->height,
                .line = clamp(side / 300.0, 1, 32),
                .font = clamp(side / 32.0, 12, 256)};
    c.rgb = fn_alloc((size_t)c.width * (size_t)c.height * 3);
    if (!c.rgb)
        return fn_fail_memory();
    fn_image_to_rgb(c.rgb, image);
    for (size_t i = 0; i < n; i++)
        draw_box(&c, &labels[i]);
    if (n_names) {
        pthread_mutex_lock(&fonts);
        for (size_t i = 0; rc == FN_OK && i < n; i++) {
            if (labels[i].text && labels[i].text[0])
                rc = draw_name(&c, &labels[i]);
        }
        pthread_mutex_unlock(&fonts);
    }
    if (rc == FN_OK) {
        fn_image drawn = {c.rgb, c.width, c.height, (ptrdiff_t)c.width * 3, FN_PIXEL_RGB8};
        rc = fn_image_write(&drawn, path, 0);
    }
    fn_free(c.rgb);
    return rc;
}
