// SPDX-License-Identifier: Apache-2.0
//
// Frames that are held by several at once. Who lets go last releases the pixels.
#include "video/frame.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

fn_frame *fn_frame_new(void) {
    fn_frame *frame = fn_calloc(1, sizeof *frame);
    if (!frame) {
        fn_fail_memory();
        return NULL;
    }
    atomic_init(&frame->n_holders, 1);
    return frame;
}

// Room for width x height pixels of the frame's format, tight, or NULL with the error noted.
static unsigned char *new_pixels(const fn_image *image) {
    const size_t row = (size_t)image->width * (size_t)fn_pixel_size(image->format);
    unsigned char *pixels = fn_alloc(row * (size_t)image->height);
    if (!pixels)
        fn_fail_memory();
    return pixels;
}

static void take_pixels(fn_frame *frame, unsigned char *pixels, int width, int height) {
    if (frame->release)
        frame->release(frame->hold);
    frame->release = fn_free;
    frame->hold = pixels;
    frame->image.data = pixels;
    frame->image.width = width;
    frame->image.height = height;
    frame->image.stride_bytes = (ptrdiff_t)width * fn_pixel_size(frame->image.format);
    frame->is_view = 0;
}

int fn_frame_orient(fn_frame *frame, int orientation) {
    const fn_image src = frame->image;
    if (orientation <= 1 || orientation > 8)
        return FN_OK;
    unsigned char *pixels = new_pixels(&src);
    if (!pixels)
        return FN_ENOMEM;
    fn_image_orient(pixels, &src, orientation);
    take_pixels(frame, pixels, orientation >= 5 ? src.height : src.width,
                orientation >= 5 ? src.width : src.height);
    return FN_OK;
}

int fn_frame_copy(fn_frame **out, const fn_image *image, uint64_t index, double time_s) {
    if (!out)
        return fn_fail(FN_EINVAL, "frame: no place for it");
    *out = NULL;
    const int rc = fn_image_check(image);
    if (rc < 0)
        return rc;
    if (!isfinite(time_s))
        return fn_fail(FN_EINVAL, "frame: its time is no number");
    fn_frame *frame = fn_frame_new();
    unsigned char *pixels = frame ? new_pixels(image) : NULL;
    if (!pixels) {
        fn_frame_free(frame);
        return FN_ENOMEM;
    }
    frame->image = *image;
    take_pixels(frame, pixels, image->width, image->height);
    fn_image_orient(pixels, image, 1);
    frame->index = index;
    frame->time_s = time_s;
    frame->clock_ms = fn_clock_ms();
    *out = frame;
    return FN_OK;
}

fn_frame *fn_frame_share(fn_frame *frame) {
    if (frame)
        atomic_fetch_add_explicit(&frame->n_holders, 1, memory_order_relaxed);
    return frame;
}

void fn_frame_free(fn_frame *frame) {
    if (!frame || atomic_fetch_sub_explicit(&frame->n_holders, 1, memory_order_acq_rel) != 1)
        return;
    if (frame->release)
        frame->release(frame->hold);
    fn_free(frame);
}

const fn_image *fn_frame_image(const fn_frame *frame) {
    return frame ? &frame->image : NULL;
}

uint64_t fn_frame_index(const fn_frame *frame) {
    return frame->index;
}

double fn_frame_time(const fn_frame *frame) {
    return frame->time_s;
}

int64_t fn_frame_clock_ms(const fn_frame *frame) {
    return frame->clock_ms;
}

float fn_frame_decode_ms(const fn_frame *frame) {
    return frame->decode_ms;
}

int fn_frame_is_break(const fn_frame *frame) {
    return frame->is_break;
}
