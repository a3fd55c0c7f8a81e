// SPDX-License-Identifier: Apache-2.0
//
// What the image formats share. A codec turns encoded bytes into an fn_raster: samples as the file
// has them, with its colour profile and EXIF block beside them. The steps that follow (colour,
// orientation) are the same for every format. Codecs report with fn_fail; the caller adds the name.
#ifndef FN_DECODE_CODEC_H
#define FN_DECODE_CODEC_H

#include <facenet/decode.h>

typedef enum fn_samples {
    FN_SAMPLES_RGB = 0,
    FN_SAMPLES_RGBA = 1,         // alpha is not premultiplied
    FN_SAMPLES_CMYK = 2,         // 255 is full ink
    FN_SAMPLES_CMYK_INVERTED = 3 // 0 is full ink, as Adobe writes JPEG
} fn_samples;

// A colour space told by numbers instead of by a profile.
typedef struct fn_primaries {
    double white[2], red[2], green[2], blue[2]; // CIE xy; white[1] = 0: none given
    double gamma;                               // 0: the sRGB curve
} fn_primaries;

typedef struct fn_raster {
    unsigned char *pixels; // (height, width, 3 or 4), tight
    int width, height;     // as decoded
    int coded_width, coded_height;
    int scale_denominator; // what was used
    fn_samples samples;
    int gray;      // the file has one colour channel; R = G = B
    int truncated; // lenient decoding filled a missing part
    int upright;   // the format itself has applied the orientation
    unsigned char *profile;
    size_t n_profile;
    unsigned char *exif; // the TIFF block, after "Exif\0\0"
    size_t n_exif;
    fn_primaries primaries; // used when there is no profile
} fn_raster;

typedef struct fn_coded {
    const unsigned char *bytes;
    size_t n;
    uint64_t max_pixels;
    int lenient;
    int scale_denominator; // 1, 2, 4 or 8
} fn_coded;

// Each fills a zeroed raster; what is in it after a failure is freed by the caller.
int fn_jpeg_decode(fn_raster *raster, const fn_coded *coded);
int fn_png_decode(fn_raster *raster, const fn_coded *coded);
int fn_webp_decode(fn_raster *raster, const fn_coded *coded);
int fn_heif_decode(fn_raster *raster, const fn_coded *coded);

/// 1 when the bytes start as HEIF or AVIF do.
int fn_heif_matches(const unsigned char *bytes, size_t n);

/// Notes the coded size, checks it against the limits and allocates the pixels of a decoded size.
int fn_raster_check(fn_raster *raster, const fn_coded *coded, uint64_t width, uint64_t height);
int fn_raster_alloc(fn_raster *raster, int width, int height, fn_samples samples);
int fn_raster_set_profile(fn_raster *raster, const void *bytes, size_t n);
/// Takes the block with or without "Exif\0\0" before it.
int fn_raster_set_exif(fn_raster *raster, const void *bytes, size_t n);
void fn_raster_clear(fn_raster *raster);

/// Samples of any kind to sRGB RGB in place: profile, CMYK, alpha on white. A profile that cannot be
/// used (damaged, or of another kind of samples) is as good as none: the samples count as sRGB.
int fn_raster_to_srgb(fn_raster *raster, int ignore_profile);

/// Turns the RGB raster upright. orientation is EXIF's, 1..8.
int fn_raster_orient(fn_raster *raster, int orientation);

/// Orientation (1 when absent or absurd) and the time of the photograph ("" when absent).
int fn_exif_read(int *orientation, char taken_at[20], const unsigned char *exif, size_t n);

#endif
