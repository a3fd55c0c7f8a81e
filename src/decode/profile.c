// SPDX-License-Identifier: Apache-2.0
//
// Samples as the file has them become sRGB: by the embedded ICC profile (lcms2), by primaries and
// gamma told as numbers, or by plain rules when there is neither. Transparency is laid on white after
// that. A profile that moves no colour by more than one level is sRGB already and is left out, so that
// such pictures keep their exact samples.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"

#include <lcms2.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GRID 9 // colours per axis on which a transform is compared with doing nothing

static cmsHPROFILE open_primaries(cmsContext context, const fn_primaries *p) {
    cmsCIExyY white = {p->white[0], p->white[1], 1.0};
    cmsCIExyYTRIPLE points = {
        {p->red[0], p->red[1], 1.0}, {p->green[0], p->green[1], 1.0}, {p->blue[0], p->blue[1], 1.0}};
    double srgb[5] = {2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045};
    cmsToneCurve *curve =
        p->gamma > 0.0 ? cmsBuildGamma(context, p->gamma) : cmsBuildParametricToneCurve(context, 4, srgb);
    cmsToneCurve *curves[3] = {curve, curve, curve};
    cmsHPROFILE profile = curve ? cmsCreateRGBProfileTHR(context, &white, &points, curves) : NULL;
    cmsFreeToneCurve(curve);
    return profile;
}

// The profile to read the samples by, or NULL when there is none that fits them.
static cmsHPROFILE open_source(cmsContext context, const fn_raster *raster) {
    cmsColorSpaceSignature wanted = raster->samples >= FN_SAMPLES_CMYK ? cmsSigCmykData
                                    : raster->gray                     ? cmsSigGrayData
                                                                       : cmsSigRgbData;
    cmsHPROFILE profile = NULL;
    if (raster->n_profile && raster->n_profile <= UINT32_MAX)
        profile = cmsOpenProfileFromMemTHR(context, raster->profile, (cmsUInt32Number)raster->n_profile);
    else if (raster->primaries.white[1] > 0.0)
        profile = open_primaries(context, &raster->primaries);
    if (!profile)
        return NULL;
    cmsColorSpaceSignature space = cmsGetColorSpace(profile);
    if (space == wanted || (space == cmsSigRgbData && wanted == cmsSigGrayData))
        return profile;
    cmsCloseProfile(profile);
    return NULL;
}

static int is_identity(cmsHTRANSFORM transform, int channels) {
    unsigned char in[GRID * GRID * GRID * 4], out[sizeof in], *p = in;
    memset(in, 255, sizeof in);
    for (int i = 0; i < GRID * GRID * GRID; i++, p += channels) {
        p[0] = (unsigned char)(i % GRID * 255 / (GRID - 1));
        p[1] = (unsigned char)(i / GRID % GRID * 255 / (GRID - 1));
        p[2] = (unsigned char)(i / GRID / GRID * 255 / (GRID - 1));
    }
    cmsDoTransform(transform, in, out, GRID * GRID * GRID);
    for (size_t i = 0; i < (size_t)GRID * GRID * GRID * (size_t)channels; i++) {
        if (abs(in[i] - out[i]) > 1)
            return 0;
    }
    return 1;
}

// NULL when the samples can stay as they are (or when the profile is unusable).
static cmsHTRANSFORM open_transform(cmsContext context, const fn_raster *raster) {
    static const cmsUInt32Number formats[] = {TYPE_RGB_8, TYPE_RGBA_8, TYPE_CMYK_8, TYPE_CMYK_8_REV};
    cmsHPROFILE source = open_source(context, raster), srgb = cmsCreate_sRGBProfileTHR(context);
    cmsHTRANSFORM transform = NULL;
    if (source && srgb) {
        int is_gray = cmsGetColorSpace(source) == cmsSigGrayData;
        cmsUInt32Number in = is_gray ? TYPE_GRAY_8 : formats[raster->samples];
        cmsUInt32Number out = !is_gray && raster->samples == FN_SAMPLES_RGBA ? TYPE_RGBA_8 : TYPE_RGB_8;
        cmsUInt32Number flags = out == TYPE_RGBA_8 ? cmsFLAGS_COPY_ALPHA : 0;
        transform = cmsCreateTransformTHR(context, source, in, srgb, out, INTENT_PERCEPTUAL, flags);
        if (transform && !is_gray && raster->samples < FN_SAMPLES_CMYK &&
            is_identity(transform, raster->samples == FN_SAMPLES_RGBA ? 4 : 3)) {
            cmsDeleteTransform(transform);
            transform = NULL;
        }
    }
    if (source)
        cmsCloseProfile(source);
    if (srgb)
        cmsCloseProfile(srgb);
    return transform;
}

// One row of grey levels by a table of what each level becomes.
static void map_gray(unsigned char *row, int width, int channels, const unsigned char table[256 * 3]) {
    for (int x = 0; x < width; x++, row += channels)
        memcpy(row, table + 3 * row[0], 3);
}

// CMYK without a profile: each colour is what both its ink and black let through.
static void mix_inks(unsigned char *dst, const unsigned char *src, int width, int flip) {
    for (int x = 0; x < width; x++, dst += 3, src += 4) {
        int k = src[3] ^ flip;
        for (int c = 0; c < 3; c++)
            dst[c] = (unsigned char)(((src[c] ^ flip) * k + 127) / 255);
    }
}

static void lay_on_white(unsigned char *dst, const unsigned char *src, int width) {
    for (int x = 0; x < width; x++, dst += 3, src += 4) {
        int alpha = src[3];
        for (int c = 0; c < 3; c++)
            dst[c] = (unsigned char)((src[c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

// Rows shrink in place: a row's RGB is never longer than its samples, so row y ends before row y + 1
// is read.
static void convert_rows(fn_raster *raster, cmsHTRANSFORM transform, const unsigned char *gray_table,
                         unsigned char *row) {
    int width = raster->width, channels = raster->samples == FN_SAMPLES_RGB ? 3 : 4;
    const unsigned char *src = raster->pixels;
    unsigned char *dst = raster->pixels;
    for (int y = 0; y < raster->height;
         y++, src += (size_t)width * (size_t)channels, dst += (size_t)width * 3) {
        if (gray_table) {
            memcpy(row, src, (size_t)width * (size_t)channels);
            map_gray(row, width, channels, gray_table);
        } else if (transform) {
            cmsDoTransform(transform, src, row, (cmsUInt32Number)width);
        } else if (raster->samples >= FN_SAMPLES_CMYK) {
            mix_inks(row, src, width, raster->samples == FN_SAMPLES_CMYK ? 255 : 0);
        } else {
            memcpy(row, src, (size_t)width * (size_t)channels);
        }
        if (raster->samples == FN_SAMPLES_RGBA)
            lay_on_white(dst, row, width);
        else
            memcpy(dst, row, (size_t)width * 3);
    }
}

static void ignore_message(cmsContext context, cmsUInt32Number code, const char *text) {
    (void)context;
    (void)code;
    (void)text;
}

int fn_raster_to_srgb(fn_raster *raster, int ignore_profile) {
    cmsContext context = NULL;
    cmsHTRANSFORM transform = NULL;
    unsigned char *row = NULL, levels[256], table[256 * 3];
    const unsigned char *gray_table = NULL;
    int rc = FN_OK;
    if (!ignore_profile && (raster->n_profile || raster->primaries.white[1] > 0.0)) {
        if (!(context = cmsCreateContext(NULL, NULL)))
            return fn_fail_memory();
        cmsSetLogErrorHandlerTHR(context, ignore_message);
        transform = open_transform(context, raster);
    }
    if (transform && T_COLORSPACE(cmsGetTransformInputFormat(transform)) == PT_GRAY) {
        for (int v = 0; v < 256; v++)
            levels[v] = (unsigned char)v;
        cmsDoTransform(transform, levels, table, 256);
        for (int v = 0; v < 256 && !gray_table; v++)
            gray_table = abs(table[3 * v] - v) > 1 ? table : NULL;
        cmsDeleteTransform(transform);
        transform = NULL;
    }
    if (transform || gray_table || raster->samples != FN_SAMPLES_RGB) {
        row = fn_alloc((size_t)raster->width * 4);
        if (row)
            convert_rows(raster, transform, gray_table, row);
        else
            rc = fn_fail_memory();
    }
    if (rc == FN_OK)
        raster->samples = FN_SAMPLES_RGB;
    fn_free(row);
    if (transform)
        cmsDeleteTransform(transform);
    if (context)
        cmsDeleteContext(context);
    return rc;
}
