// SPDX-License-Identifier: Apache-2.0
//
// Text, in any script, set by Pango on a small cairo surface per line, so that the size of the picture is
// not bound by cairo's. Both libraries are loaded when the first line is set: they bring fonts and much else
// that other work need not wait for. The declarations are the part of their stable C interface that is used
// here. Pango keeps shapes and glyphs of its own: once a font is open a line takes some 20 microseconds, so
// nothing is kept here.
#include "image/letters.h"

#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"

#include <pthread.h>
#include <string.h>

enum { CAIRO_FORMAT_ARGB32 = 0, PANGO_SCALE = 1024, PANGO_ELLIPSIZE_END = 3 };
enum { PANGO_WEIGHT_NORMAL = 400, PANGO_WEIGHT_SEMIBOLD = 600 };

#define MAX_TEXT 400   // bytes
#define MAX_WIDTH 8192 // pixels: well below the 32767 of a cairo surface

typedef struct cairo cairo;
typedef struct cairo_surface cairo_surface;
typedef struct pango_layout pango_layout;
typedef struct pango_font pango_font;
typedef struct pango_rectangle {
    int x, y, width, height;
} pango_rectangle;

static struct {
    cairo_surface *(*surface_create)(unsigned char *, int format, int width, int height, int stride);
    void (*surface_flush)(cairo_surface *);
    void (*surface_destroy)(cairo_surface *);
    cairo *(*create)(cairo_surface *);
    int (*status)(cairo *);
    void (*set_color)(cairo *, double red, double green, double blue);
    void (*move_to)(cairo *, double x, double y);
    void (*destroy)(cairo *);
    pango_layout *(*layout_create)(cairo *);
    void (*layout_show)(cairo *, pango_layout *);
    void (*layout_set_text)(pango_layout *, const char *, int n);
    void (*layout_set_font)(pango_layout *, const pango_font *);
    void (*layout_set_width)(pango_layout *, int);
    void (*layout_set_ellipsize)(pango_layout *, int);
    void (*layout_set_single)(pango_layout *, int);
    void (*layout_get_extents)(pango_layout *, pango_rectangle *ink, pango_rectangle *logical);
    pango_font *(*font_create)(void);
    void (*font_set_family)(pango_font *, const char *);
    void (*font_set_weight)(pango_font *, int);
    void (*font_set_size)(pango_font *, double);
    void (*font_free)(pango_font *);
    void (*unref)(void *);
} api;

static const fn_symbol symbols[] = {
    {&api.surface_create, "cairo_image_surface_create_for_data"},
    {&api.surface_flush, "cairo_surface_flush"},
    {&api.surface_destroy, "cairo_surface_destroy"},
    {&api.create, "cairo_create"},
    {&api.status, "cairo_status"},
    {&api.set_color, "cairo_set_source_rgb"},
    {&api.move_to, "cairo_move_to"},
    {&api.destroy, "cairo_destroy"},
    {&api.layout_create, "pango_cairo_create_layout"},
    {&api.layout_show, "pango_cairo_show_layout"},
    {&api.layout_set_text, "pango_layout_set_text"},
    {&api.layout_set_font, "pango_layout_set_font_description"},
    {&api.layout_set_width, "pango_layout_set_width"},
    {&api.layout_set_ellipsize, "pango_layout_set_ellipsize"},
    {&api.layout_set_single, "pango_layout_set_single_paragraph_mode"},
    {&api.layout_get_extents, "pango_layout_get_pixel_extents"},
    {&api.font_create, "pango_font_description_new"},
    {&api.font_set_family, "pango_font_description_set_family"},
    {&api.font_set_weight, "pango_font_description_set_weight"},
    {&api.font_set_size, "pango_font_description_set_absolute_size"},
    {&api.font_free, "pango_font_description_free"},
    {&api.unref, "g_object_unref"},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t fonts = PTHREAD_MUTEX_INITIALIZER; // Pango's font maps are not for many threads
static int is_loaded;

// The handle of pangocairo finds the symbols of cairo, Pango and GObject too: it depends on them.
static void load(void) {
    is_loaded = fn_library_load("libpangocairo-1.0.so.0", symbols, sizeof symbols / sizeof *symbols) == FN_OK;
}

int fn_letters_load(void) {
    pthread_once(&once, load);
    if (is_loaded)
        return FN_OK;
    return fn_fail(FN_EUNSUPPORTED,
                   "names on pictures need Pango and cairo: install the package libpangocairo-1.0-0");
}

// A surface over the caller's pixels. NULL, with the error noted, when cairo refuses.
static cairo *new_cairo(cairo_surface **surface, uint32_t *pixels, int width, int height) {
    *surface = api.surface_create((unsigned char *)pixels, CAIRO_FORMAT_ARGB32, width, height, 4 * width);
    cairo *cr = api.create(*surface);
    if (cr && api.status(cr) == 0)
        return cr;
    api.destroy(cr);
    api.surface_destroy(*surface);
    *surface = NULL;
    fn_fail_memory();
    return NULL;
}

// Bytes of a text that are set: a line has no room for more, and layout takes time.
static int short_length(const char *text, size_t n) {
    if (n <= MAX_TEXT)
        return (int)n;
    for (n = MAX_TEXT; n && ((unsigned char)text[n] & 0xC0) == 0x80; n--)
        ;
    return (int)n;
}

static pango_layout *new_layout(cairo *cr, const char *text, size_t n, const fn_letters_style *style) {
    int room = style->room < style->size ? style->size : style->room > MAX_WIDTH ? MAX_WIDTH : style->room;
    pango_layout *layout = api.layout_create(cr);
    pango_font *font = api.font_create();
    api.font_set_family(font, "Sans");
    api.font_set_weight(font, style->bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
    api.font_set_size(font, (double)style->size * PANGO_SCALE);
    api.layout_set_font(layout, font);
    api.font_free(font);
    api.layout_set_single(layout, 1);
    api.layout_set_text(layout, text, short_length(text, n));
    pango_rectangle ink, logical;
    api.layout_get_extents(layout, &ink, &logical);
    if (logical.width > room) {
        api.layout_set_ellipsize(layout, PANGO_ELLIPSIZE_END);
        api.layout_set_width(layout, room * PANGO_SCALE);
    }
    return layout;
}

// Lays the line out once on a surface of one pixel, to learn its size, and shows it on one of that size.
static int set_line(fn_letters *out, const char *text, size_t n, const fn_letters_style *style) {
    uint32_t dot = 0, color = style->color;
    cairo_surface *probe = NULL, *surface = NULL;
    cairo *first = new_cairo(&probe, &dot, 1, 1), *cr = NULL;
    if (!first)
        return FN_ENOMEM;
    int rc = FN_OK;
    pango_layout *layout = new_layout(first, text, n, style);
    pango_rectangle ink, logical;
    api.layout_get_extents(layout, &ink, &logical);
    out->width = logical.width > MAX_WIDTH ? MAX_WIDTH : logical.width;
    out->height = logical.height > MAX_WIDTH ? MAX_WIDTH : logical.height;
    if (out->width < 1 || out->height < 1)
        goto out; // nothing but marks without width
    out->layer = fn_calloc((size_t)out->width * (size_t)out->height, sizeof *out->layer);
    if (!out->layer) {
        rc = fn_fail_memory();
        goto out;
    }
    if (!(cr = new_cairo(&surface, out->layer, out->width, out->height))) {
        rc = FN_ENOMEM;
        goto out;
    }
    api.set_color(cr, (color >> 16 & 255) / 255.0, (color >> 8 & 255) / 255.0, (color & 255) / 255.0);
    api.move_to(cr, -logical.x, -logical.y); // an ellipsized line of Arabic does not begin at 0
    api.layout_show(cr, layout);
    api.surface_flush(surface);
    api.destroy(cr);
    api.surface_destroy(surface);
out:
    api.unref(layout);
    api.destroy(first);
    api.surface_destroy(probe);
    return rc;
}

int fn_letters_set(fn_letters *out, const char *text, size_t n, const fn_letters_style *style) {
    *out = (fn_letters){0};
    pthread_mutex_lock(&fonts);
    int rc = set_line(out, text, n, style);
    pthread_mutex_unlock(&fonts);
    if (rc < 0)
        fn_letters_free(out);
    return rc;
}

void fn_letters_free(fn_letters *letters) {
    fn_free(letters->layer);
    *letters = (fn_letters){0};
}
