// SPDX-License-Identifier: Apache-2.0
//
// WebP by libwebp, lossy and lossless, with or without alpha. Profile and EXIF block lie in RIFF
// chunks beside the picture (WebP Container Specification). An animation is refused: which of its
// pictures is the photograph is not for us to say.
#include "base/error.h"
#include "decode/codec.h"

#include <string.h>

#include <webp/decode.h>

static int fail(VP8StatusCode code) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return fn_fail_memory();
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return fn_fail(FN_EFORMAT, "truncated WebP");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return fn_fail(FN_EUNSUPPORTED, "WebP with a feature that is not supported");
    default:
        return fn_fail(FN_EFORMAT, "damaged WebP");
    }
}

static int read_chunks(fn_raster *raster, const unsigned char *bytes, size_t n) {
    int rc = FN_OK;
    for (size_t at = 12; rc == FN_OK && at < n && n - at >= 8;) {
        const unsigned char *p = bytes + at;
        size_t size = p[4] | (size_t)p[5] << 8 | (size_t)p[6] << 16 | (size_t)p[7] << 24;
        if (size > n - at - 8)
            break;
        if (memcmp(p, "ICCP", 4) == 0 && size)
            rc = fn_raster_set_profile(raster, p + 8, size);
        else if (memcmp(p, "EXIF", 4) == 0 && size)
            rc = fn_raster_set_exif(raster, p + 8, size);
        at += 8 + size + (size & 1);
    }
    return rc;
}

int fn_webp_decode(fn_raster *raster, const fn_coded *coded) {
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(coded->bytes, coded->n, &features);
    if (code != VP8_STATUS_OK)
        return fail(code);
    if (features.has_animation)
        return fn_fail(FN_EUNSUPPORTED, "animated WebP is not supported: save one picture of it");
    int rc = fn_raster_check(raster, coded, (uint64_t)features.width, (uint64_t)features.height);
    if (rc == FN_OK)
        rc = read_chunks(raster, coded->bytes, coded->n);
    if (rc == FN_OK)
        rc = fn_raster_alloc(raster, features.width, features.height,
                             features.has_alpha ? FN_SAMPLES_RGBA : FN_SAMPLES_RGB);
    if (rc < 0)
        return rc;
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return fn_fail(FN_EUNSUPPORTED, "WebP: libwebp is of another version than its header");
    int channels = features.has_alpha ? 4 : 3;
    config.output.colorspace = features.has_alpha ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = raster->pixels;
    config.output.u.RGBA.stride = features.width * channels;
    config.output.u.RGBA.size = (size_t)features.width * (size_t)features.height * (size_t)channels;
    code = WebPDecode(coded->bytes, coded->n, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? FN_OK : fail(code);
}
