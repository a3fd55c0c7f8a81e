// SPDX-License-Identifier: Apache-2.0
//
// Encoded bytes to an upright sRGB picture: the format is told by the first bytes, the codec gives
// samples, then colour and orientation are settled in the same way for every format.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "decode/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#define DEFAULT_MAX_BYTES ((uint64_t)256 << 20)
#define DEFAULT_MAX_PIXELS ((uint64_t)1 << 28)

struct fn_picture {
    fn_image image;
    fn_picture_info info;
    unsigned char *pixels;
};

typedef struct codec {
    const char *name;
    int (*matches)(const unsigned char *bytes, size_t n);
    int (*decode)(fn_raster *raster, const fn_coded *coded);
} codec;

static int is_jpeg(const unsigned char *bytes, size_t n) {
    return n >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static int is_png(const unsigned char *bytes, size_t n) {
    return n >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static int is_webp(const unsigned char *bytes, size_t n) {
    return n >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0;
}

static const codec codecs[] = {
    {"jpeg", is_jpeg, fn_jpeg_decode},
    {"png", is_png, fn_png_decode},
    {"webp", is_webp, fn_webp_decode},
    {"heif", fn_heif_matches, fn_heif_decode},
};

static const codec *find_codec(const unsigned char *bytes, size_t n) {
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        if (codecs[i].matches(bytes, n))
            return &codecs[i];
    }
    return NULL;
}

// Options with every default filled in.
static int resolve(fn_decode_options *resolved, const fn_decode_options *options) {
    *resolved = options ? *options : (fn_decode_options)FN_DECODE_OPTIONS_INIT;
    if (resolved->version != FN_DECODE_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "decode options of version %d, this library knows %d", resolved->version,
                       FN_DECODE_OPTIONS_VERSION);
    if (!resolved->max_bytes)
        resolved->max_bytes = DEFAULT_MAX_BYTES;
    if (!resolved->max_pixels)
        resolved->max_pixels = DEFAULT_MAX_PIXELS;
    int scale = resolved->scale_denominator ? resolved->scale_denominator : 1;
    if (scale != 1 && scale != 2 && scale != 4 && scale != 8)
        return fn_fail(FN_EINVAL, "a scale denominator of %d: it can be 1, 2, 4 or 8", scale);
    resolved->scale_denominator = scale;
    return FN_OK;
}

static int decode(fn_picture *picture, const unsigned char *bytes, size_t n,
                  const fn_decode_options *options) {
    if (n == 0)
        return fn_fail(FN_EFORMAT, "empty file");
    if (n > options->max_bytes)
        return fn_fail(FN_ELIMIT, "%zu bytes, the limit is %llu", n, (unsigned long long)options->max_bytes);
    const codec *found = find_codec(bytes, n);
    if (!found)
        return fn_fail(FN_EFORMAT, "not an image that facenet reads (JPEG, PNG, WebP, HEIF)");
    fn_raster raster = {0};
    fn_coded coded = {.bytes = bytes,
                      .n = n,
                      .max_pixels = options->max_pixels,
                      .lenient = options->lenient,
                      .scale_denominator = options->scale_denominator};
    fn_picture_info *info = &picture->info;
    int rc;
    if ((rc = found->decode(&raster, &coded)) < 0 ||
        (rc = fn_exif_read(&info->orientation, info->taken_at, raster.exif, raster.n_exif)) < 0 ||
        (rc = fn_raster_to_srgb(&raster, options->ignore_profile)) < 0)
        goto out;
    if (raster.upright)
        info->orientation = 1;
    if (!options->ignore_orientation && (rc = fn_raster_orient(&raster, info->orientation)) < 0)
        goto out;
    info->format = found->name;
    info->coded_width = raster.coded_width;
    info->coded_height = raster.coded_height;
    info->scale_denominator = raster.scale_denominator;
    info->truncated = raster.truncated;
    fn_sha256(info->sha256, bytes, n);
    picture->image = (fn_image){.data = raster.pixels,
                                .width = raster.width,
                                .height = raster.height,
                                .stride_bytes = (ptrdiff_t)raster.width * 3,
                                .format = FN_PIXEL_RGB8};
    picture->pixels = raster.pixels;
    raster.pixels = NULL;
out:
    fn_raster_clear(&raster);
    return rc;
}

int fn_decode_memory(fn_picture **out, const void *bytes, size_t n_bytes, const char *name,
                     const fn_decode_options *options) {
    fn_decode_options resolved;
    if (!out)
        return fn_fail(FN_EINVAL, "decode: no place for the picture");
    *out = NULL;
    if (!bytes && n_bytes)
        return fn_fail(FN_EINVAL, "decode: no bytes");
    int rc = resolve(&resolved, options);
    if (rc < 0)
        return rc;
    fn_picture *picture = fn_calloc(1, sizeof *picture);
    rc = picture ? decode(picture, bytes, n_bytes, &resolved) : fn_fail_memory();
    if (rc < 0) {
        fn_picture_free(picture);
        return fn_fail_prefix(rc, "%s", name ? name : "picture");
    }
    *out = picture;
    return FN_OK;
}

int fn_decode_file(fn_picture **out, const char *path, const fn_decode_options *options) {
    fn_decode_options resolved;
    unsigned char *bytes = NULL;
    size_t n = 0;
    if (!out || !path)
        return fn_fail(FN_EINVAL, "decode: no path, or no place for the picture");
    *out = NULL;
    int rc = resolve(&resolved, options);
    if (rc == FN_OK)
        rc = fn_read_file(&bytes, &n, path, resolved.max_bytes);
    if (rc == FN_OK)
        rc = fn_decode_memory(out, bytes, n, strcmp(path, "-") == 0 ? "standard input" : path, &resolved);
    fn_free(bytes);
    return rc;
}

const fn_image *fn_picture_image(const fn_picture *picture) {
    return picture ? &picture->image : NULL;
}

const fn_picture_info *fn_picture_get_info(const fn_picture *picture) {
    return picture ? &picture->info : NULL;
}

void fn_picture_free(fn_picture *picture) {
    if (!picture)
        return;
    fn_free(picture->pixels);
    fn_free(picture);
}

int fn_file_sha256(unsigned char sha256[32], const char *path, uint64_t max_bytes) {
    if (!sha256 || !path)
        return fn_fail(FN_EINVAL, "sha256: no path, or no place for the digest");
    int is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    unsigned char chunk[16384];
    uint64_t total = 0;
    int rc = FN_OK;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
        if (n <= 0)
            break;
        total += (uint64_t)n;
        if (max_bytes && total > max_bytes) {
            rc = fn_fail(FN_ELIMIT, "%s: more than %llu bytes", path, (unsigned long long)max_bytes);
            break;
        }
        crypto_hash_sha256_update(&state, chunk, (size_t)n);
    }
    crypto_hash_sha256_final(&state, sha256);
    if (!is_stdin)
        close(fd);
    return rc;
}
