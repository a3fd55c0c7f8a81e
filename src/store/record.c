// SPDX-License-Identifier: Apache-2.0
//
// The border of the gallery: names and records are checked here once, so that what is stored is
// well-formed and messages about it are one clean line.
#include "store/record.h"

#include "base/error.h"
#include "base/path.h"
#include "match/distance.h"
#include "store/store.h"

#include <math.h>
#include <string.h>

/// C0 and C1 controls, DEL, and the line and paragraph separators: they would break lines and tables.
static int has_control(const unsigned char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (s[i] < 0x20 || s[i] == 0x7F)
            return 1;
        if (i + 1 < n && s[i] == 0xC2 && s[i + 1] < 0xA0)
            return 1;
        if (i + 2 < n && s[i] == 0xE2 && s[i + 1] == 0x80 && (s[i + 2] == 0xA8 || s[i + 2] == 0xA9))
            return 1;
    }
    return 0;
}

int fn_record_check_name(const char *name) {
    size_t n = name ? strlen(name) : 0;
    if (n == 0)
        return fn_fail(FN_EINVAL, "a name cannot be empty");
    if (n > FN_NAME_MAX)
        return fn_fail(FN_EINVAL, "a name has at most %d bytes, this one %zu", FN_NAME_MAX, n);
    if (!fn_utf8_valid(name, n))
        return fn_fail(FN_EINVAL, "a name must be UTF-8 text");
    if (has_control((const unsigned char *)name, n))
        return fn_fail(FN_EINVAL, "a name cannot hold control characters or line breaks");
    if (name[0] == ' ' || name[n - 1] == ' ')
        return fn_fail(FN_EINVAL, "the name '%s' begins or ends with a space: leave it away", name);
    return FN_OK;
}

int fn_record_is_hash(const char *text) {
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static int is_time(const char *text) {
    static const char shape[] = "0000-00-00 00:00:00";
    for (size_t i = 0; i < sizeof shape; i++) {
        int fits = shape[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == shape[i];
        if (!fits)
            return 0;
    }
    return 1;
}

int fn_record_check(const fn_face_record *record) {
    const fn_box *box = &record->box;
    if (!record->embedding || record->dimension < 1 || record->dimension > FN_DIMENSION_MAX)
        return fn_fail(FN_EINVAL, "a face needs a vector of 1 to %d floats, not %d", FN_DIMENSION_MAX,
                       record->dimension);
    if (!fn_vector_is_unit(record->embedding, record->dimension))
        return fn_fail(FN_EINVAL, "a face's vector must be finite and of length 1");
    if (!fn_record_is_hash(record->fingerprint))
        return fn_fail(FN_EINVAL, "a face needs the fingerprint of its model: 64 hex digits");
    if (!fn_record_is_hash(record->pipeline_id))
        return fn_fail(FN_EINVAL, "a face needs its pipeline id: 64 hex digits");
    if (!isfinite(box->x) || !isfinite(box->y) || !(box->width >= 0 && box->width <= 1e6f) ||
        !(box->height >= 0 && box->height <= 1e6f))
        return fn_fail(FN_EINVAL, "a face's box is not a box: %g,%g %gx%g", (double)box->x, (double)box->y,
                       (double)box->width, (double)box->height);
    if (record->source_path_len > (record->source_path ? FN_PATH_BYTES_MAX : 0))
        return fn_fail(FN_EINVAL, "a source path has at most %d bytes", FN_PATH_BYTES_MAX);
    if (record->taken_at && record->taken_at[0] && !is_time(record->taken_at))
        return fn_fail(FN_EINVAL, "a time of taking reads YYYY-MM-DD HH:MM:SS");
    if (record->crop_jpeg ? record->crop_jpeg_len < 1 || record->crop_jpeg_len > FN_CROP_BYTES_MAX
                          : record->crop_jpeg_len != 0)
        return fn_fail(FN_EINVAL, "a kept crop has 1 to %d bytes, not %zu", FN_CROP_BYTES_MAX,
                       record->crop_jpeg_len);
    return FN_OK;
}

double fn_record_overlap(const fn_box *a, const fn_box *b) {
    double left = fmax(a->x, b->x), top = fmax(a->y, b->y);
    double right = fmin((double)a->x + a->width, (double)b->x + b->width);
    double bottom = fmin((double)a->y + a->height, (double)b->y + b->height);
    double common = fmax(right - left, 0) * fmax(bottom - top, 0);
    double either = (double)a->width * a->height + (double)b->width * b->height - common;
    if (either > 0)
        return common / either;
    return a->x == b->x && a->y == b->y && a->width == b->width && a->height == b->height;
}

void fn_record_label(char *dst, size_t size, const fn_face_record *record) {
    const unsigned char *path = record->source_path;
    size_t n = record->source_path_len;
    if (!path || n == 0) {
        path = (const unsigned char *)"this picture";
        n = strlen((const char *)path);
    }
    if (n > size - 1)
        n = size - 1;
    for (size_t i = 0; i < n; i++)
        dst[i] = path[i] < 0x20 || path[i] == 0x7F ? '?' : (char)path[i];
    dst[n] = 0;
}
