// SPDX-License-Identifier: Apache-2.0
//
// Pictures for the tests, made in memory.
#include "encoders.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <lcms2.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <webp/encode.h>

#include <jpeglib.h>

// What the encoder x265 keeps until the end is not a leak of ours.
FN_API const char *__lsan_default_suppressions(void);
FN_API const char *__lsan_default_suppressions(void) {
    return "leak:libx265\n";
}

static void write_profile(struct jpeg_compress_struct *jpeg, const fn_buf *profile, size_t part) {
    unsigned char segment[65533];
    part = part ? part : sizeof segment - 14;
    size_t n_parts = (profile->len + part - 1) / part;
    assert_true(n_parts < 256);
    for (size_t i = 0; i < n_parts; i++) {
        size_t n = i + 1 < n_parts ? part : profile->len - i * part;
        memcpy(segment, "ICC_PROFILE", 12);
        segment[12] = (unsigned char)(i + 1);
        segment[13] = (unsigned char)n_parts;
        memcpy(segment + 14, profile->data + i * part, n);
        jpeg_write_marker(jpeg, JPEG_APP0 + 2, segment, (unsigned)(n + 14));
    }
}

void encode_jpeg(fn_buf *out, const unsigned char *samples, int width, int height, const jpeg_choice *choice,
                 const extras *extra) {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = choice->channels;
    jpeg.in_color_space = choice->channels == 1 ? JCS_GRAYSCALE : choice->channels == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 98, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;
    jpeg.arith_code = choice->arithmetic ? TRUE : FALSE;
    if (choice->progressive)
        jpeg_simple_progression(&jpeg);
    if (choice->no_adobe)
        jpeg.write_Adobe_marker = FALSE;
    jpeg_start_compress(&jpeg, TRUE);
    if (extra && extra->exif) {
        unsigned char segment[65533] = "Exif\0";
        memcpy(segment + 6, extra->exif->data, extra->exif->len);
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, segment, (unsigned)(extra->exif->len + 6));
    }
    if (extra && extra->profile)
        write_profile(&jpeg, extra->profile, choice->profile_part);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(samples + (size_t)jpeg.next_scanline * (size_t)width *
                                                           (size_t)choice->channels);
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    assert_int_equal(fn_buf_append(out, bytes, n), 0);
    free(bytes);
}

void encode_png(fn_buf *out, const void *rows, size_t n_bytes, int width, int height,
                const png_choice *choice, const extras *extra) {
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    assert_non_null(png);
    struct spng_ihdr header = {.width = (uint32_t)width,
                               .height = (uint32_t)height,
                               .bit_depth = (uint8_t)choice->bit_depth,
                               .color_type = (uint8_t)choice->color_type,
                               .interlace_method = (uint8_t)choice->interlaced};
    spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);
    assert_int_equal(spng_set_ihdr(png, &header), 0);
    if (choice->palette) {
        struct spng_plte palette = {.n_entries = (uint32_t)choice->n_palette};
        struct spng_trns alpha = {.n_type3_entries = (uint32_t)choice->n_palette};
        for (int i = 0; i < choice->n_palette; i++) {
            const unsigned char *p = choice->palette + (ptrdiff_t)4 * i;
            palette.entries[i] = (struct spng_plte_entry){p[0], p[1], p[2], 255};
            alpha.type3_alpha[i] = p[3];
        }
        assert_int_equal(spng_set_plte(png, &palette), 0);
        assert_int_equal(spng_set_trns(png, &alpha), 0);
    }
    if (choice->gray_trns) {
        struct spng_trns alpha = {.gray = (uint16_t)(choice->gray_trns - 1)};
        assert_int_equal(spng_set_trns(png, &alpha), 0);
    }
    if (choice->gamma > 0.0)
        assert_int_equal(spng_set_gama(png, choice->gamma), 0);
    if (extra && extra->profile) {
        struct spng_iccp profile = {"test", extra->profile->len, extra->profile->data};
        assert_int_equal(spng_set_iccp(png, &profile), 0);
    }
    if (extra && extra->exif) {
        struct spng_exif exif = {extra->exif->len, extra->exif->data};
        assert_int_equal(spng_set_exif(png, &exif), 0);
    }
    int code = spng_encode_image(png, rows, n_bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (code)
        fail_msg("spng: %s", spng_strerror(code));
    size_t n = 0;
    void *bytes = spng_get_png_buffer(png, &n, &code);
    assert_non_null(bytes);
    assert_int_equal(fn_buf_append(out, bytes, n), 0);
    free(bytes);
    spng_ctx_free(png);
}

static void append_u32(fn_buf *out, size_t value) {
    unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 24)};
    fn_buf_append(out, bytes, 4);
}

static void append_chunk(fn_buf *out, const char *name, const fn_buf *data) {
    fn_buf_append(out, name, 4);
    append_u32(out, data->len);
    fn_buf_append(out, data->data, data->len);
    if (data->len & 1)
        fn_buf_append(out, "", 1);
}

void encode_webp(fn_buf *out, const unsigned char *samples, int width, int height, int channels,
                 const extras *extra) {
    uint8_t *bytes = NULL;
    size_t n = channels == 4 ? WebPEncodeLosslessRGBA(samples, width, height, width * 4, &bytes)
                             : WebPEncodeLosslessRGB(samples, width, height, width * 3, &bytes);
    assert_true(n > 12);
    if (!extra) {
        fn_buf_append(out, bytes, n);
        WebPFree(bytes);
        return;
    }
    // The extended format: VP8X says what follows, then ICCP, the picture, EXIF.
    fn_buf body;
    fn_buf_init(&body, 1 << 24);
    unsigned char extended[10] = {
        (unsigned char)((extra->profile ? 0x20 : 0) | (channels == 4 ? 0x10 : 0) | (extra->exif ? 0x08 : 0))};
    for (int i = 0; i < 3; i++) {
        extended[4 + i] = (unsigned char)((width - 1) >> (8 * i));
        extended[7 + i] = (unsigned char)((height - 1) >> (8 * i));
    }
    fn_buf_append(&body, "WEBPVP8X", 8);
    append_u32(&body, 10);
    fn_buf_append(&body, extended, 10);
    if (extra->profile)
        append_chunk(&body, "ICCP", extra->profile);
    fn_buf_append(&body, bytes + 12, n - 12);
    if (extra->exif)
        append_chunk(&body, "EXIF", extra->exif);
    fn_buf_append(out, "RIFF", 4);
    append_u32(out, body.len);
    fn_buf_append(out, body.data, body.len);
    fn_buf_free(&body);
    WebPFree(bytes);
}

// The part of libheif's interface that writes; the library is loaded, as in facenet itself.
typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;

typedef struct heif_encoding_options {
    uint8_t version, save_alpha, macos, two_profiles;
    void *nclx;
    uint8_t macos_no_nclx;
    int orientation;
} heif_encoding_options;

static heif_error heif_append(void *context, const void *bytes, size_t n, void *user) {
    (void)context;
    int failed = fn_buf_append(user, bytes, n);
    return (heif_error){failed ? 9 : 0, 0, failed ? "no memory" : "ok"};
}

static void *heif_symbol(void *library, const char *name) {
    void *symbol = dlsym(library, name);
    assert_non_null(symbol);
    return symbol;
}

#define LOAD(function, name)                                                                                 \
    do {                                                                                                     \
        void *symbol = heif_symbol(library, name);                                                           \
        memcpy(&(function), &symbol, sizeof symbol);                                                         \
    } while (0)

const char *encode_heif(fn_buf *out, const unsigned char *rgb, int width, int height, int av1,
                        int orientation, const extras *extra) {
    void *(*context_alloc)(void), (*context_free)(void *), (*encoder_release)(void *);
    void (*image_release)(void *), (*handle_release)(void *), (*options_free)(heif_encoding_options *);
    heif_error (*get_encoder)(void *, int, void **), (*set_lossless)(void *, int);
    heif_error (*set_quality)(void *, int);
    heif_error (*image_create)(int, int, int, int, void **), (*add_plane)(void *, int, int, int, int);
    heif_error (*set_profile)(void *, const char *, const void *, size_t);
    heif_error (*encode)(void *, void *, void *, const heif_encoding_options *, void **);
    heif_error (*add_exif)(void *, void *, const void *, int), (*write)(void *, const void *, void *);
    heif_encoding_options *(*options_alloc)(void);
    uint8_t *(*get_plane)(void *, int, int *);
    void *library = dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return "libheif cannot be loaded";
    LOAD(context_alloc, "heif_context_alloc");
    LOAD(context_free, "heif_context_free");
    LOAD(get_encoder, "heif_context_get_encoder_for_format");
    LOAD(encoder_release, "heif_encoder_release");
    LOAD(set_lossless, "heif_encoder_set_lossless");
    LOAD(set_quality, "heif_encoder_set_lossy_quality");
    LOAD(image_create, "heif_image_create");
    LOAD(image_release, "heif_image_release");
    LOAD(add_plane, "heif_image_add_plane");
    LOAD(get_plane, "heif_image_get_plane");
    LOAD(set_profile, "heif_image_set_raw_color_profile");
    LOAD(options_alloc, "heif_encoding_options_alloc");
    LOAD(options_free, "heif_encoding_options_free");
    LOAD(encode, "heif_context_encode_image");
    LOAD(handle_release, "heif_image_handle_release");
    LOAD(add_exif, "heif_context_add_exif_metadata");
    LOAD(write, "heif_context_write");

    void *context = context_alloc(), *encoder = NULL, *image = NULL, *handle = NULL;
    if (get_encoder(context, av1 ? 4 : 1, &encoder).code) {
        context_free(context);
        return av1 ? "this libheif has no AV1 encoder" : "this libheif has no HEVC encoder";
    }
    set_lossless(encoder, 0);
    set_quality(encoder, 95);
    assert_int_equal(image_create(width, height, 1, 10, &image).code, 0);
    assert_int_equal(add_plane(image, 10, width, height, 8).code, 0);
    int stride = 0;
    uint8_t *plane = get_plane(image, 10, &stride);
    for (int y = 0; y < height; y++)
        memcpy(plane + (ptrdiff_t)y * stride, rgb + (ptrdiff_t)y * width * 3, (size_t)width * 3);
    if (extra && extra->profile)
        assert_int_equal(set_profile(image, "prof", extra->profile->data, extra->profile->len).code, 0);
    heif_encoding_options *options = options_alloc();
    assert_true(options->version >= 5);
    options->orientation = orientation;
    heif_error error = encode(context, image, encoder, options, &handle);
    if (error.code)
        fail_msg("libheif: %s", error.message);
    if (extra && extra->exif)
        assert_int_equal(add_exif(context, handle, extra->exif->data, (int)extra->exif->len).code, 0);
    struct {
        int version;
        heif_error (*write)(void *, const void *, size_t, void *);
    } writer = {1, heif_append};
    assert_int_equal(write(context, &writer, out).code, 0);
    options_free(options);
    handle_release(handle);
    image_release(image);
    encoder_release(encoder);
    context_free(context);
    return NULL;
}

static void append_entry(fn_buf *out, unsigned tag, unsigned type, unsigned count, unsigned value) {
    append_u32(out, tag | type << 16);
    append_u32(out, count);
    append_u32(out, value);
}

void make_exif(fn_buf *out, int orientation, const char *time) {
    fn_buf_append(out, "II*\0\x08\0\0\0\x02\0", 10); // IFD 0 at 8, two entries
    append_entry(out, 0x0112, 3, 1, (unsigned)orientation);
    append_entry(out, 0x8769, 4, 1, 38); // where the EXIF IFD is
    append_u32(out, 0);
    fn_buf_append(out, "\x01\0", 2);
    append_entry(out, 0x9003, 2, 20, 56);
    append_u32(out, 0);
    fn_buf_append(out, time ? time : "                   ", 20);
}

// Cyan takes away half of the lightness and black all of it; magenta and yellow do nothing.
static cmsInt32Number sample_inks(const cmsUInt16Number in[], cmsUInt16Number out[], void *user) {
    (void)user;
    double lightness = (1.0 - 0.5 * in[0] / 65535.0) * (1.0 - in[3] / 65535.0);
    cmsCIELab lab = {100.0 * lightness, 0.0, 0.0};
    cmsFloat2LabEncoded(out, &lab);
    return 1;
}

static cmsHPROFILE make_cmyk(void) {
    cmsHPROFILE profile = cmsCreateProfilePlaceholder(NULL);
    cmsSetProfileVersion(profile, 4.3);
    cmsSetDeviceClass(profile, cmsSigOutputClass);
    cmsSetColorSpace(profile, cmsSigCmykData);
    cmsSetPCS(profile, cmsSigLabData);
    cmsPipeline *pipeline = cmsPipelineAlloc(NULL, 4, 3);
    cmsStage *table = cmsStageAllocCLut16bit(NULL, 5, 4, 3, NULL);
    assert_non_null(table);
    assert_true(cmsStageSampleCLut16bit(table, sample_inks, NULL, 0));
    cmsPipelineInsertStage(pipeline, cmsAT_END, cmsStageAllocToneCurves(NULL, 4, NULL));
    cmsPipelineInsertStage(pipeline, cmsAT_END, table);
    cmsPipelineInsertStage(pipeline, cmsAT_END, cmsStageAllocToneCurves(NULL, 3, NULL));
    assert_true(cmsWriteTag(profile, cmsSigAToB0Tag, pipeline));
    cmsPipelineFree(pipeline);
    return profile;
}

static cmsHPROFILE make_rgb(const cmsCIExyYTRIPLE *points, cmsToneCurve *curve) {
    cmsCIExyY white = {0.3127, 0.3290, 1.0};
    cmsToneCurve *curves[3] = {curve, curve, curve};
    cmsHPROFILE profile = cmsCreateRGBProfile(&white, points, curves);
    cmsFreeToneCurve(curve);
    return profile;
}

static cmsHPROFILE open_profile(const char *name) {
    static const cmsCIExyYTRIPLE p3 = {{0.680, 0.320, 1}, {0.265, 0.690, 1}, {0.150, 0.060, 1}};
    static const cmsCIExyYTRIPLE adobe = {{0.64, 0.33, 1}, {0.21, 0.71, 1}, {0.15, 0.06, 1}};
    static const double srgb[5] = {2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045};
    if (strcmp(name, "srgb") == 0)
        return cmsCreate_sRGBProfile();
    if (strcmp(name, "p3") == 0)
        return make_rgb(&p3, cmsBuildParametricToneCurve(NULL, 4, srgb));
    if (strcmp(name, "adobe") == 0)
        return make_rgb(&adobe, cmsBuildGamma(NULL, 563.0 / 256.0));
    if (strcmp(name, "gray-linear") == 0) {
        cmsToneCurve *curve = cmsBuildGamma(NULL, 1.0);
        cmsHPROFILE profile = cmsCreateGrayProfile(cmsD50_xyY(), curve);
        cmsFreeToneCurve(curve);
        return profile;
    }
    assert_string_equal(name, "cmyk-half");
    return make_cmyk();
}

void make_profile(fn_buf *out, const char *name) {
    cmsHPROFILE profile = open_profile(name);
    assert_non_null(profile);
    cmsUInt32Number n = 0;
    assert_true(cmsSaveProfileToMem(profile, NULL, &n));
    void *bytes = malloc(n);
    assert_non_null(bytes);
    assert_true(cmsSaveProfileToMem(profile, bytes, &n));
    fn_buf_append(out, bytes, n);
    free(bytes);
    cmsCloseProfile(profile);
}

void convert_from_srgb(unsigned char *dst, const unsigned char *src, int n_pixels, const char *name) {
    cmsHPROFILE from = cmsCreate_sRGBProfile(), to = open_profile(name);
    cmsHTRANSFORM transform = cmsCreateTransform(from, TYPE_RGB_8, to, TYPE_RGB_8, INTENT_PERCEPTUAL, 0);
    assert_non_null(transform);
    cmsDoTransform(transform, src, dst, (cmsUInt32Number)n_pixels);
    cmsDeleteTransform(transform);
    cmsCloseProfile(from);
    cmsCloseProfile(to);
}
