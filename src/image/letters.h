// SPDX-License-Identifier: Apache-2.0
//
// One line of text as pixels, in any script.
#ifndef FN_IMAGE_LETTERS_H
#define FN_IMAGE_LETTERS_H

#include "image/canvas.h"

typedef struct fn_letters {
    uint32_t *layer; // (height, width) for fn_canvas_blend_layer; NULL: nothing to draw
    int width, height;
} fn_letters;

typedef struct fn_letters_style {
    int size;       // height of the letters, pixels
    int bold;       // 1: semibold
    int room;       // widest allowed, pixels: longer lines end in an ellipsis
    uint32_t color; // 0xRRGGBB
} fn_letters_style;

/// Loads Pango and cairo. FN_EUNSUPPORTED, with the package to install, when they are not there.
int fn_letters_load(void);

/// Sets n bytes of valid UTF-8 in one line; control characters become signs. Only after fn_letters_load.
/// FN_ENOMEM. The caller frees *out.
int fn_letters_set(fn_letters *out, const char *text, size_t n, const fn_letters_style *style);
void fn_letters_free(fn_letters *letters);

#endif
