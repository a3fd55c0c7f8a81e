// SPDX-License-Identifier: Apache-2.0
//
// What stands on a running picture besides labels: lines of text on a dark ground in a corner, and a bar
// along the bottom edge.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "image/canvas.h"
#include "image/letters.h"

#include <string.h>

enum { MAX_LINES = 32 };

#define GROUND 0x101418
#define GROUND_ALPHA 0.66F

typedef struct panel {
    fn_letters lines[MAX_LINES];
    int n_lines;
    int width, height; // of the text
} panel;

// Sets the lines, as many as there is room for.
static int set_lines(panel *p, const char *text, const fn_letters_style *first, int room) {
    fn_letters_style style = *first;
    int rc = FN_OK;
    while (rc == FN_OK && p->n_lines < MAX_LINES) {
        size_t n = strcspn(text, "\n");
        fn_letters *line = &p->lines[p->n_lines];
        rc = fn_letters_set(line, text, n, &style);
        if (rc < 0)
            break;
        if (p->height + line->height > room) {
            fn_letters_free(line);
            break;
        }
        p->n_lines++;
        p->height += line->height;
        p->width = line->width > p->width ? line->width : p->width;
        style.bold = 0;
        if (!text[n])
            break;
        text += n + 1;
    }
    return rc;
}

int fn_draw_panel(unsigned char *rgb, int width, int height, fn_corner corner, const char *text,
                  uint32_t color) {
    fn_canvas canvas = {rgb, width, height};
    int rc = fn_canvas_check(&canvas), x, y;
    if (rc == FN_OK && (!text || !fn_utf8_valid(text, strlen(text))))
        rc = fn_fail(FN_EINVAL, "panel: its text is %s", text ? "not UTF-8" : "NULL");
    if (rc == FN_OK)
        rc = fn_canvas_place(&x, &y, &canvas, corner, 0, 0, 0);
    if (rc < 0 || !text[0])
        return rc;
    if ((rc = fn_letters_load()) < 0)
        return rc;
    int font = fn_canvas_size(&canvas, 36.0, 12, 200), pad = font / 2, margin = font / 2;
    panel *p = fn_calloc(1, sizeof *p);
    if (!p)
        return fn_fail_memory();
    fn_letters_style style = {font, 1, width - 2 * (pad + margin), color};
    rc = set_lines(p, text, &style, height - 2 * (pad + margin));
    if (rc == FN_OK && p->n_lines) {
        fn_canvas_place(&x, &y, &canvas, corner, p->width + 2 * pad, p->height + 2 * pad, margin);
        fn_canvas_blend_round(&canvas, x, y, p->width + 2 * pad, p->height + 2 * pad, pad, GROUND,
                              GROUND_ALPHA);
        x += pad;
        y += pad;
        for (int i = 0; i < p->n_lines; y += p->lines[i++].height)
            fn_canvas_blend_layer(&canvas, x, y, p->lines[i].layer, p->lines[i].width, p->lines[i].height);
    }
    for (int i = 0; i < p->n_lines; i++)
        fn_letters_free(&p->lines[i]);
    fn_free(p);
    return rc;
}

int fn_draw_progress(unsigned char *rgb, int width, int height, double done, uint32_t color) {
    fn_canvas canvas = {rgb, width, height};
    int rc = fn_canvas_check(&canvas);
    if (rc < 0)
        return rc;
    int thick = fn_canvas_size(&canvas, 90.0, 3, 64);
    int full = done >= 1.0 ? width : done > 0.0 ? (int)(done * width) : 0;
    fn_canvas_blend_round(&canvas, 0, height - thick, width, thick, 0, GROUND, GROUND_ALPHA);
    fn_canvas_fill(&canvas, 0, height - thick, full, height, color);
    return FN_OK;
}
