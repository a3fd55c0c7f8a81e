// SPDX-License-Identifier: Apache-2.0
//
// Pictures for the tests, made in memory with the same libraries that read them. Each function
// appends to a buffer and asserts that the library did its work.
#ifndef FN_TEST_ENCODERS_H
#define FN_TEST_ENCODERS_H

#include "base/buf.h"

#include <facenet/base.h>

// What lies beside the pixels.
typedef struct extras {
    const fn_buf *profile; // ICC, or NULL
    const fn_buf *exif;    // TIFF block, or NULL
} extras;

typedef struct jpeg_choice {
    int channels; // 1, 3 or 4 (CMYK)
    int progressive;
    int no_adobe;        // CMYK without Adobe's marker
    size_t profile_part; // bytes of profile per segment; 0: as many as fit
    int arithmetic;
} jpeg_choice;

typedef struct png_choice {
    int color_type, bit_depth; // as in the file; rows are packed as the file wants them
    int interlaced;
    const unsigned char *palette; // (n_palette, 4) RGBA, alpha written as tRNS
    int n_palette;
    int gray_trns; // grey level that is transparent, + 1; 0: none
    double gamma;  // gAMA; 0: none
} png_choice;

void encode_jpeg(fn_buf *out, const unsigned char *samples, int width, int height, const jpeg_choice *choice,
                 const extras *extra);
void encode_png(fn_buf *out, const void *rows, size_t n_bytes, int width, int height,
                const png_choice *choice, const extras *extra);
/// Lossless; channels 3 or 4.
void encode_webp(fn_buf *out, const unsigned char *samples, int width, int height, int channels,
                 const extras *extra);
/// HEIC (av1 = 0) or AVIF; orientation goes into the file's own boxes. NULL, or why it cannot be made.
const char *encode_heif(fn_buf *out, const unsigned char *rgb, int width, int height, int av1,
                        int orientation, const extras *extra);

/// An EXIF TIFF block with orientation and DateTimeOriginal (19 characters, or NULL).
void make_exif(fn_buf *out, int orientation, const char *time);
/// ICC profiles by name: "srgb", "p3", "adobe", "gray-linear", "cmyk-half" (cyan alone is L* 50).
void make_profile(fn_buf *out, const char *name);
/// Samples from sRGB into the named RGB profile, 3 channels.
void convert_from_srgb(unsigned char *dst, const unsigned char *src, int n_pixels, const char *name);

#endif
