// SPDX-License-Identifier: Apache-2.0
//
// Limits and memory of a picture that is being decoded, and its turn to upright.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"
#include "image/image.h"

#include <string.h>

#define MAX_SIDE 65535

int fn_raster_check(fn_raster *raster, const fn_coded *coded, uint64_t width, uint64_t height) {
    if (width < 1 || height < 1)
        return fn_fail(FN_EFORMAT, "a picture of %llu x %llu pixels", (unsigned long long)width,
                       (unsigned long long)height);
    if (width > MAX_SIDE || height > MAX_SIDE)
        return fn_fail(FN_ELIMIT, "%llu x %llu pixels, the limit is %d on each side",
                       (unsigned long long)width, (unsigned long long)height, MAX_SIDE);
    if (width * height > coded->max_pixels)
        return fn_fail(FN_ELIMIT, "%llu x %llu pixels, the limit is %llu in all", (unsigned long long)width,
                       (unsigned long long)height, (unsigned long long)coded->max_pixels);
    raster->coded_width = (int)width;
    raster->coded_height = (int)height;
    raster->scale_denominator = 1;
    return FN_OK;
}

int fn_raster_alloc(fn_raster *raster, int width, int height, fn_samples samples) {
    size_t channels = samples == FN_SAMPLES_RGB ? 3 : 4;
    raster->pixels = fn_alloc((size_t)width * (size_t)height * channels);
    if (!raster->pixels)
        return fn_fail_memory();
    raster->width = width;
    raster->height = height;
    raster->samples = samples;
    return FN_OK;
}

static int set_block(unsigned char **block, size_t *n_block, const void *bytes, size_t n) {
    unsigned char *copy = fn_alloc(n);
    if (!copy)
        return fn_fail_memory();
    memcpy(copy, bytes, n);
    fn_free(*block);
    *block = copy;
    *n_block = n;
    return FN_OK;
}

int fn_raster_set_profile(fn_raster *raster, const void *bytes, size_t n) {
    return set_block(&raster->profile, &raster->n_profile, bytes, n);
}

int fn_raster_set_exif(fn_raster *raster, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    if (n >= 6 && memcmp(p, "Exif\0\0", 6) == 0) {
        p += 6;
        n -= 6;
    }
    return set_block(&raster->exif, &raster->n_exif, p, n);
}

int fn_raster_orient(fn_raster *raster, int orientation) {
    const fn_image stored = {.data = raster->pixels,
                             .width = raster->width,
                             .height = raster->height,
                             .stride_bytes = (ptrdiff_t)raster->width * 3,
                             .format = FN_PIXEL_RGB8};
    if (orientation <= 1 || orientation > 8)
        return FN_OK;
    unsigned char *upright = fn_alloc((size_t)raster->width * (size_t)raster->height * 3);
    if (!upright)
        return fn_fail_memory();
    fn_image_orient(upright, &stored, orientation);
    fn_free(raster->pixels);
    raster->pixels = upright;
    if (orientation >= 5) {
        raster->width = stored.height;
        raster->height = stored.width;
    }
    return FN_OK;
}

void fn_raster_clear(fn_raster *raster) {
    fn_free(raster->pixels);
    fn_free(raster->profile);
    fn_free(raster->exif);
    memset(raster, 0, sizeof *raster);
}
