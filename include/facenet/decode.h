// SPDX-License-Identifier: Apache-2.0
//
// decode.h: still photographs, from a file, memory or a stream, to upright sRGB pixels.
//
//     fn_picture *picture = NULL;
//     if (fn_decode_file(&picture, "party.jpg", NULL) == FN_OK) {
//         const fn_image *image = fn_picture_image(picture);  // RGB, upright
//         ...
//     }
//     fn_picture_free(picture);
//
// Formats are told by their first bytes, never by the file's name: JPEG, PNG, WebP, HEIF/AVIF.
// Colour profiles are converted to sRGB, EXIF orientation is applied once, transparency is laid on
// white, greys and CMYK become RGB.
#ifndef FACENET_DECODE_H
#define FACENET_DECODE_H

#include <facenet/image.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_decode_options {
    int version;            // FN_DECODE_OPTIONS_VERSION
    uint64_t max_bytes;     // of the encoded file; 0: 256 MiB
    uint64_t max_pixels;    // width x height as coded; 0: 268,435,456 (2^28)
    int lenient;            // 1: keep what a truncated JPEG holds (the rest is grey), with a warning
    int ignore_orientation; // 1: leave EXIF orientation unapplied
    int ignore_profile;     // 1: take the samples as sRGB
    int scale_denominator;  // 1, 2, 4 or 8: smallest allowed size is 1/that; 0: 1. A hint that
                            // only JPEG follows (libjpeg's scaled decoding)
} fn_decode_options;
#define FN_DECODE_OPTIONS_VERSION 1
#define FN_DECODE_OPTIONS_INIT                                                                               \
    { FN_DECODE_OPTIONS_VERSION, 0, 0, 0, 0, 0, 0 }

/// A decoded photograph: owns its pixels and what the file says about itself.
typedef struct fn_picture fn_picture;

/// What the file says about itself.
typedef struct fn_picture_info {
    const char *format; // "jpeg", "png", "webp", "heif"; static storage
    int coded_width;    // before orientation and scaling
    int coded_height;
    int orientation;          // EXIF 1..8; 1 when absent
    int scale_denominator;    // 1 unless scaled decoding was asked for and done
    int truncated;            // 1: lenient decoding filled a missing part
    char taken_at[20];        // EXIF local time "YYYY-MM-DD HH:MM:SS", or empty
    unsigned char sha256[32]; // of the encoded bytes
} fn_picture_info;

/// Decodes a file; "-" is standard input. *out is NULL on failure. options may be NULL.
/// Errors: FN_EIO (cannot be read), FN_EFORMAT (empty, truncated, not an image), FN_ELIMIT,
/// FN_EUNSUPPORTED. The caller frees *out.
FN_API int fn_decode_file(fn_picture **out, const char *path, const fn_decode_options *options);

/// The same from memory; `bytes` is not kept. `name` is what error lines call it; may be NULL.
FN_API int fn_decode_memory(fn_picture **out, const void *bytes, size_t n_bytes, const char *name,
                            const fn_decode_options *options);

/// The upright RGB pixels, valid until the picture is freed.
FN_API const fn_image *fn_picture_image(const fn_picture *picture);
FN_API const fn_picture_info *fn_picture_get_info(const fn_picture *picture);

/// Frees a picture; NULL is a no-op.
FN_API void fn_picture_free(fn_picture *picture);

/// SHA-256 of a file's bytes, without decoding. Errors: FN_EIO, FN_ELIMIT (over max_bytes; 0:
/// none).
FN_API int fn_file_sha256(unsigned char sha256[32], const char *path, uint64_t max_bytes);

/// Writes `image` as JPEG (quality 1..100, 0: 92) or as PNG, told by the path's ending. The file
/// appears under its name only when it is complete, with mode 0644 less what the umask takes away. Errors:
/// FN_EIO, FN_EINVAL.
FN_API int fn_image_write(const fn_image *image, const char *path, int quality);

/// The same as JPEG bytes in the caller's memory: *n_out of them in dst. Errors: FN_ELIMIT when they
/// are more than `size` (*n_out says how many), FN_EINVAL.
FN_API int fn_image_encode_jpeg(void *dst, size_t size, size_t *n_out, const fn_image *image, int quality);

#ifdef __cplusplus
}
#endif
#endif
