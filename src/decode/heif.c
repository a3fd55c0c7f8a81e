// SPDX-License-Identifier: Apache-2.0
//
// HEIF (HEIC, AVIF) by libheif, which is loaded when the first such file comes: it brings video codecs
// that other pictures need not wait for. The declarations below are the part of its stable C interface
// that is used here. libheif applies the rotation and mirroring that the file prescribes, so the EXIF
// orientation beside them must not be applied again.
#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"
#include "decode/codec.h"

#include <pthread.h>
#include <string.h>

enum { HEIF_COLORSPACE_RGB = 1, HEIF_CHROMA_RGB = 10, HEIF_CHROMA_RGBA = 11, HEIF_CHANNEL_INTERLEAVED = 10 };
enum { HEIF_UNSUPPORTED_FILETYPE = 3, HEIF_UNSUPPORTED_FEATURE = 4, HEIF_NO_MEMORY = 6 };
enum { HEIF_LIMIT_EXCEEDED = 1000 }; // suberror heif_suberror_Security_limit_exceeded

typedef struct heif_error {
    int code, subcode;
    const char *message;
} heif_error;

typedef struct heif_nclx {
    uint8_t version;
    int primaries, transfer, matrix;
    uint8_t full_range;
    float red[2], green[2], blue[2], white[2];
} heif_nclx;

typedef struct heif_context heif_context;
typedef struct heif_handle heif_handle;
typedef struct heif_image heif_image;

static struct {
    heif_context *(*context_alloc)(void);
    void (*context_free)(heif_context *);
    void (*set_threads)(heif_context *, int);
    heif_error (*read)(heif_context *, const void *, size_t, const void *);
    heif_error (*primary)(heif_context *, heif_handle **);
    void (*handle_release)(const heif_handle *);
    int (*width)(const heif_handle *);
    int (*height)(const heif_handle *);
    int (*coded_width)(const heif_handle *);
    int (*coded_height)(const heif_handle *);
    int (*has_alpha)(const heif_handle *);
    size_t (*profile_size)(const heif_handle *);
    heif_error (*profile)(const heif_handle *, void *);
    heif_error (*nclx)(const heif_handle *, heif_nclx **);
    void (*nclx_free)(heif_nclx *);
    int (*metadata_ids)(const heif_handle *, const char *, uint32_t *, int);
    size_t (*metadata_size)(const heif_handle *, uint32_t);
    heif_error (*metadata)(const heif_handle *, uint32_t, void *);
    heif_error (*decode)(const heif_handle *, heif_image **, int, int, const void *);
    int (*image_width)(const heif_image *, int);
    int (*image_height)(const heif_image *, int);
    const uint8_t *(*plane)(const heif_image *, int, int *);
    void (*image_release)(const heif_image *);
} heif;

static const fn_symbol symbols[] = {
    {&heif.context_alloc, "heif_context_alloc"},
    {&heif.context_free, "heif_context_free"},
    {&heif.set_threads, "heif_context_set_max_decoding_threads"},
    {&heif.read, "heif_context_read_from_memory_without_copy"},
    {&heif.primary, "heif_context_get_primary_image_handle"},
    {&heif.handle_release, "heif_image_handle_release"},
    {&heif.width, "heif_image_handle_get_width"},
    {&heif.height, "heif_image_handle_get_height"},
    {&heif.coded_width, "heif_image_handle_get_ispe_width"},
    {&heif.coded_height, "heif_image_handle_get_ispe_height"},
    {&heif.has_alpha, "heif_image_handle_has_alpha_channel"},
    {&heif.profile_size, "heif_image_handle_get_raw_color_profile_size"},
    {&heif.profile, "heif_image_handle_get_raw_color_profile"},
    {&heif.nclx, "heif_image_handle_get_nclx_color_profile"},
    {&heif.nclx_free, "heif_nclx_color_profile_free"},
    {&heif.metadata_ids, "heif_image_handle_get_list_of_metadata_block_IDs"},
    {&heif.metadata_size, "heif_image_handle_get_metadata_size"},
    {&heif.metadata, "heif_image_handle_get_metadata"},
    {&heif.decode, "heif_decode_image"},
    {&heif.image_width, "heif_image_get_width"},
    {&heif.image_height, "heif_image_get_height"},
    {&heif.plane, "heif_image_get_plane_readonly"},
    {&heif.image_release, "heif_image_release"},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_loaded;

static void load(void) {
    is_loaded = fn_library_load("libheif.so.1", symbols, sizeof symbols / sizeof *symbols) == FN_OK;
}

// ISO/IEC 23008-12: the file type box names the brands the file follows.
int fn_heif_matches(const unsigned char *bytes, size_t n) {
    static const char brands[][5] = {"heic", "heix", "heim", "heis", "hevc", "hevx",
                                     "mif1", "msf1", "avif", "avis", "mif2"};
    if (n < 16 || memcmp(bytes + 4, "ftyp", 4) != 0)
        return 0;
    size_t end = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    end = end < n ? end : n;
    for (size_t at = 8; at + 4 <= end && at < 256; at += at == 8 ? 8 : 4) {
        for (size_t i = 0; i < sizeof brands / sizeof *brands; i++) {
            if (memcmp(bytes + at, brands[i], 4) == 0)
                return 1;
        }
    }
    return 0;
}

static int fail(heif_error error) {
    if (error.code == HEIF_NO_MEMORY && error.subcode == HEIF_LIMIT_EXCEEDED)
        return fn_fail(FN_ELIMIT, "HEIF over a limit of libheif: %s", error.message);
    if (error.code == HEIF_NO_MEMORY)
        return fn_fail_memory();
    if (error.code == HEIF_UNSUPPORTED_FILETYPE || error.code == HEIF_UNSUPPORTED_FEATURE)
        return fn_fail(FN_EUNSUPPORTED, "HEIF of a kind that this libheif does not support: %s",
                       error.message);
    return fn_fail(FN_EFORMAT, "damaged or truncated HEIF: %s", error.message);
}

// A profile, or primaries told by number (ITU-T H.273). Everything but Display P3 and BT.2020 is so near
// to sRGB that it counts as it.
static int read_color(fn_raster *raster, const heif_handle *handle, size_t max) {
    size_t n = heif.profile_size(handle);
    if (n && n <= max) {
        unsigned char *profile = fn_alloc(n);
        if (!profile)
            return fn_fail_memory();
        int rc = heif.profile(handle, profile).code ? FN_OK : fn_raster_set_profile(raster, profile, n);
        fn_free(profile);
        return rc;
    }
    static const fn_primaries p3 = {{0.3127, 0.3290}, {0.680, 0.320}, {0.265, 0.690}, {0.150, 0.060}, 0.0};
    static const fn_primaries bt2020 = {
        {0.3127, 0.3290}, {0.708, 0.292}, {0.170, 0.797}, {0.131, 0.046}, 0.0};
    heif_nclx *nclx = NULL;
    if (heif.nclx(handle, &nclx).code == 0 && nclx) {
        if (nclx->primaries == 12)
            raster->primaries = p3;
        else if (nclx->primaries == 9)
            raster->primaries = bt2020;
        heif.nclx_free(nclx);
    }
    return FN_OK;
}

// The block starts with four bytes that say how far behind them the TIFF header is.
static int read_exif(fn_raster *raster, const heif_handle *handle, size_t max) {
    uint32_t id;
    if (heif.metadata_ids(handle, "Exif", &id, 1) < 1)
        return FN_OK;
    size_t n = heif.metadata_size(handle, id);
    if (n <= 4 || n > max)
        return FN_OK;
    unsigned char *block = fn_alloc(n);
    if (!block)
        return fn_fail_memory();
    int rc = FN_OK;
    if (heif.metadata(handle, id, block).code == 0) {
        size_t skip = (size_t)block[0] << 24 | (size_t)block[1] << 16 | (size_t)block[2] << 8 | block[3];
        if (skip < n - 4)
            rc = fn_raster_set_exif(raster, block + 4 + skip, n - 4 - skip);
    }
    fn_free(block);
    return rc;
}

static int read_pixels(fn_raster *raster, const fn_coded *coded, const heif_handle *handle) {
    int has_alpha = heif.has_alpha(handle) != 0;
    heif_image *image = NULL;
    heif_error error = heif.decode(handle, &image, HEIF_COLORSPACE_RGB,
                                   has_alpha ? HEIF_CHROMA_RGBA : HEIF_CHROMA_RGB, NULL);
    if (error.code)
        return fail(error);
    int width = heif.image_width(image, HEIF_CHANNEL_INTERLEAVED), stride = 0, rc;
    int height = heif.image_height(image, HEIF_CHANNEL_INTERLEAVED);
    const uint8_t *src = heif.plane(image, HEIF_CHANNEL_INTERLEAVED, &stride);
    size_t row_bytes = (size_t)width * (has_alpha ? 4 : 3);
    if (!src || width < 1 || height < 1 || stride < 0 || (size_t)stride < row_bytes)
        rc = fn_fail(FN_EFORMAT, "damaged HEIF: it holds no picture");
    else if ((uint64_t)width * (uint64_t)height > coded->max_pixels || width > 65535 || height > 65535)
        rc = fn_fail(FN_ELIMIT, "%d x %d pixels, the limit is %llu in all", width, height,
                     (unsigned long long)coded->max_pixels);
    else
        rc = fn_raster_alloc(raster, width, height, has_alpha ? FN_SAMPLES_RGBA : FN_SAMPLES_RGB);
    for (int y = 0; rc == FN_OK && y < height; y++)
        memcpy(raster->pixels + (size_t)y * row_bytes, src + (size_t)y * (size_t)stride, row_bytes);
    heif.image_release(image);
    return rc;
}

static uint64_t side(int n) {
    return n > 0 ? (uint64_t)n : 0;
}

int fn_heif_decode(fn_raster *raster, const fn_coded *coded) {
    pthread_once(&once, load);
    if (!is_loaded)
        return fn_fail(FN_EUNSUPPORTED, "HEIF needs libheif: install the package libheif1");
    heif_handle *handle = NULL;
    int rc;
    heif_context *context = heif.context_alloc();
    if (!context)
        return fn_fail_memory();
    heif.set_threads(context, 0); // tiles in this thread: the caller brings the threads
    heif_error error = heif.read(context, coded->bytes, coded->n, NULL);
    if (error.code == 0)
        error = heif.primary(context, &handle);
    if (error.code) {
        rc = fail(error);
        goto out;
    }
    if ((rc = fn_raster_check(raster, coded, side(heif.width(handle)), side(heif.height(handle)))) < 0 ||
        (rc = fn_raster_check(raster, coded, side(heif.coded_width(handle)),
                              side(heif.coded_height(handle)))) < 0 ||
        (rc = read_color(raster, handle, coded->n)) < 0 || (rc = read_exif(raster, handle, coded->n)) < 0)
        goto out;
    rc = read_pixels(raster, coded, handle);
    raster->upright = 1;
out:
    if (handle)
        heif.handle_release(handle);
    heif.context_free(context);
    return rc;
}
