// SPDX-License-Identifier: Apache-2.0
//
// PNG by libspng: every colour type and depth to 8 bits, rounded; transparency by alpha or tRNS. Of an
// animated PNG it is the still picture. The colour space comes from sRGB, iCCP or gAMA and cHRM.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"

#include <spng.h>
#include <string.h>

#define MAX_CHUNK ((size_t)16 << 20) // profiles and texts, unpacked
#define SRGB_GAMMA 0.45455

static int fail(int code, const char *what) {
    if (code == SPNG_EMEM)
        return fn_fail_memory();
    if (code == SPNG_IO_EOF)
        return fn_fail(FN_EFORMAT, "truncated PNG: it ends before its picture data");
    return fn_fail(FN_EFORMAT, "damaged PNG: %s: %s", what, spng_strerror(code));
}

static int near(double a, double b) {
    return a > b - 0.005 && a < b + 0.005;
}

// Says nothing when the file describes sRGB, in whichever way.
static int read_color(fn_raster *raster, spng_ctx *png) {
    uint8_t intent;
    struct spng_iccp profile;
    struct spng_chrm c;
    double gamma;
    if (spng_get_srgb(png, &intent) == SPNG_OK)
        return FN_OK;
    if (spng_get_iccp(png, &profile) == SPNG_OK)
        return fn_raster_set_profile(raster, profile.profile, profile.profile_len);
    int has_gamma = spng_get_gama(png, &gamma) == SPNG_OK && gamma > 0.05 && gamma < 5.0;
    int has_points = spng_get_chrm(png, &c) == SPNG_OK;
    if (!has_gamma || (near(gamma, SRGB_GAMMA) && !has_points))
        return FN_OK;
    fn_primaries *p = &raster->primaries;
    *p = (fn_primaries){{0.3127, 0.3290}, {0.64, 0.33}, {0.30, 0.60}, {0.15, 0.06}, 0.0};
    if (has_points)
        *p = (fn_primaries){{c.white_point_x, c.white_point_y},
                            {c.red_x, c.red_y},
                            {c.green_x, c.green_y},
                            {c.blue_x, c.blue_y},
                            0.0};
    p->gamma = near(gamma, SRGB_GAMMA) ? 0.0 : 1.0 / gamma;
    return FN_OK;
}

// Rounds 16-bit samples in host byte order to 8 bits; dst may be the start of src.
static void narrow(unsigned char *dst, const unsigned char *src, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, src + 2 * i, 2);
        dst[i] = (unsigned char)((v * 255U + 32767U) / 65535U);
    }
}

// Rows of an interlaced picture come in seven passes, each adding pixels to the rows it visits.
static int read_rows(spng_ctx *png, unsigned char *pixels, size_t row_bytes, int height) {
    for (;;) {
        struct spng_row_info row;
        int code = spng_get_row_info(png, &row);
        if (code == SPNG_OK)
            code = spng_decode_row(png, pixels + row.row_num * row_bytes, row_bytes);
        if (code == SPNG_EOI)
            return FN_OK;
        if (code == SPNG_IO_EOF)
            return fn_fail(FN_EFORMAT, "truncated PNG after %u of %d rows", row.row_num, height);
        if (code != SPNG_OK)
            return fail(code, "picture data");
    }
}

int fn_png_decode(fn_raster *raster, const fn_coded *coded) {
    unsigned char *wide = NULL;
    int rc = FN_OK, code;
    spng_ctx *png = spng_ctx_new(0);
    if (!png)
        return fn_fail_memory();
    struct spng_ihdr header;
    struct spng_trns transparency;
    struct spng_exif exif;
    spng_set_crc_action(png, SPNG_CRC_ERROR, SPNG_CRC_DISCARD);
    spng_set_chunk_limits(png, MAX_CHUNK, 2 * MAX_CHUNK);
    spng_set_image_limits(png, 0x7fffffff, 0x7fffffff);
    if ((code = spng_set_png_buffer(png, coded->bytes, coded->n)) || (code = spng_get_ihdr(png, &header))) {
        rc = fail(code, "header");
        goto out;
    }
    if ((rc = fn_raster_check(raster, coded, header.width, header.height)) < 0)
        goto out;
    int has_alpha = (header.color_type & 4) || spng_get_trns(png, &transparency) == SPNG_OK;
    int is_wide = header.bit_depth == 16;
    int format = is_wide ? SPNG_FMT_RGBA16 : has_alpha ? SPNG_FMT_RGBA8 : SPNG_FMT_RGB8;
    raster->gray = !(header.color_type & 2);
    rc = fn_raster_alloc(raster, (int)header.width, (int)header.height,
                         is_wide || has_alpha ? FN_SAMPLES_RGBA : FN_SAMPLES_RGB);
    if (rc < 0)
        goto out;
    size_t n_samples = (size_t)header.width * header.height * (raster->samples == FN_SAMPLES_RGB ? 3 : 4);
    size_t n_bytes = n_samples * (is_wide ? 2 : 1);
    if (is_wide && !(wide = fn_alloc(n_bytes))) {
        rc = fn_fail_memory();
        goto out;
    }
    if ((code = spng_decode_image(png, NULL, 0, format, SPNG_DECODE_PROGRESSIVE | SPNG_DECODE_TRNS))) {
        rc = fail(code, "picture data");
        goto out;
    }
    if ((rc = read_color(raster, png)) < 0)
        goto out;
    rc = read_rows(png, is_wide ? wide : raster->pixels, n_bytes / header.height, raster->height);
    if (rc < 0)
        goto out;
    if (is_wide)
        narrow(raster->pixels, wide, n_samples);
    if (spng_get_exif(png, &exif) == SPNG_OK && exif.length)
        rc = fn_raster_set_exif(raster, exif.data, exif.length);
out:
    fn_free(wide);
    spng_ctx_free(png);
    return rc;
}
