// SPDX-License-Identifier: Apache-2.0
//
// A decoded frame as an image. Frames that are RGB already are viewed where the decoder left them; others
// go through libswscale once, by the matrix and range that the frame states, to pixels that are square.
#include "video/av.h"

#include <libavutil/imgutils.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 65535, ALIGNMENT = 64, MAX_ASPECT = 8 };

// ---- what a frame says of itself ---------------------------------------------------------------------

// 1 and the image's format when the bytes are those of one.
static int is_viewable(fn_pixel_format *format, const AVFrame *frame) {
    switch (frame->format) {
    case AV_PIX_FMT_RGB24:
        *format = FN_PIXEL_RGB8;
        return 1;
    case AV_PIX_FMT_BGR24:
        *format = FN_PIXEL_BGR8;
        return 1;
    case AV_PIX_FMT_RGBA:
    case AV_PIX_FMT_RGB0:
        *format = FN_PIXEL_RGBA8;
        return 1;
    case AV_PIX_FMT_BGRA:
    case AV_PIX_FMT_BGR0:
        *format = FN_PIXEL_BGRA8;
        return 1;
    case AV_PIX_FMT_GRAY8:
        *format = FN_PIXEL_GRAY8;
        return frame->color_range != AVCOL_RANGE_MPEG;
    default:
        return 0;
    }
}

enum AVPixelFormat fn_av_pixel_format(fn_pixel_format format) {
    static const enum AVPixelFormat formats[] = {[FN_PIXEL_RGB8] = AV_PIX_FMT_RGB24,
                                                 [FN_PIXEL_BGR8] = AV_PIX_FMT_BGR24,
                                                 [FN_PIXEL_RGBA8] = AV_PIX_FMT_RGB0,
                                                 [FN_PIXEL_BGRA8] = AV_PIX_FMT_BGR0,
                                                 [FN_PIXEL_GRAY8] = AV_PIX_FMT_GRAY8};
    return formats[format];
}

// The size with square pixels: the side that is too short grows. Absurd aspects are no aspects.
static void square_size(int *width, int *height, const AVFrame *frame, int64_t max_pixels) {
    const AVRational aspect = frame->sample_aspect_ratio;
    int64_t w = frame->width, h = frame->height;
    if (aspect.num > 0 && aspect.den > 0 && aspect.num / aspect.den < MAX_ASPECT &&
        aspect.den / aspect.num < MAX_ASPECT) {
        if (aspect.num > aspect.den)
            w = av_rescale(w, aspect.num, aspect.den);
        else
            h = av_rescale(h, aspect.den, aspect.num);
    }
    const int fits = w <= MAX_SIDE && h <= MAX_SIDE && w * h <= max_pixels;
    *width = fits ? (int)w : frame->width;
    *height = fits ? (int)h : frame->height;
}

// Frames without a matrix: large ones are BT.709, small ones BT.601, as every player takes them.
static int matrix_of(const AVFrame *frame) {
    if (frame->colorspace != AVCOL_SPC_UNSPECIFIED && frame->colorspace != AVCOL_SPC_RGB)
        return (int)frame->colorspace;
    return frame->width >= 1280 || frame->height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
}

static int is_full_range(const AVFrame *frame) {
    switch (frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P:
        return 1;
    case AV_PIX_FMT_GRAY8:
    case AV_PIX_FMT_GRAY16:
        return frame->color_range != AVCOL_RANGE_MPEG;
    default:
        return frame->color_range == AVCOL_RANGE_JPEG;
    }
}

// A display matrix takes (x, y) to (a x + c y, b x + d y); its numbers are a b u, c d v, x y w.
int fn_av_orientation(const int32_t *matrix) {
    if (!matrix)
        return 1;
    const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
    if (llabs(a) + llabs(d) >= llabs(b) + llabs(c))
        return a >= 0 ? (d >= 0 ? 1 : 4) : (d >= 0 ? 2 : 3);
    return b >= 0 ? (c >= 0 ? 5 : 6) : (c >= 0 ? 8 : 7);
}

// ---- conversion --------------------------------------------------------------------------------------

void fn_av_converter_clear(fn_av_converter *converter) {
    sws_freeContext(converter->scaler);
    av_buffer_pool_uninit(&converter->pool); // the pool goes when the last of its buffers does
    memset(converter, 0, sizeof *converter);
}

static int make_scaler(fn_av_converter *converter, const AVFrame *frame, int width, int height) {
    const int from[] = {frame->width, frame->height, frame->format, matrix_of(frame), is_full_range(frame)};
    const int to[] = {width, height};
    if (converter->scaler && memcmp(from, converter->scales_from, sizeof from) == 0 &&
        memcmp(to, converter->scales_to, sizeof to) == 0)
        return 1;
    sws_freeContext(converter->scaler);
    converter->scaler = sws_getContext(frame->width, frame->height, (enum AVPixelFormat)frame->format, width,
                                       height, AV_PIX_FMT_RGB24, SWS_BILINEAR, NULL, NULL, NULL);
    if (!converter->scaler)
        return 0;
    // Fails for sources that have no matrix, such as RGB in planes: nothing is to be said about those.
    sws_setColorspaceDetails(converter->scaler, sws_getCoefficients(from[3]), from[4],
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    memcpy(converter->scales_from, from, sizeof from);
    memcpy(converter->scales_to, to, sizeof to);
    return 1;
}

// An empty RGB frame, rows aligned as libswscale likes them.
static AVFrame *new_rgb(fn_av_converter *converter, int width, int height) {
    const int stride = FFALIGN(width * 3, ALIGNMENT);
    const size_t size = (size_t)stride * (size_t)height + ALIGNMENT;
    if (!converter->pool || converter->pool_size != size) {
        av_buffer_pool_uninit(&converter->pool);
        converter->pool = av_buffer_pool_init(size, NULL);
        converter->pool_size = size;
    }
    AVFrame *rgb = av_frame_alloc();
    AVBufferRef *buffer = rgb && converter->pool ? av_buffer_pool_get(converter->pool) : NULL;
    if (!buffer) {
        av_frame_free(&rgb);
        return NULL;
    }
    rgb->buf[0] = buffer;
    rgb->data[0] = buffer->data;
    rgb->linesize[0] = stride;
    rgb->width = width;
    rgb->height = height;
    rgb->format = AV_PIX_FMT_RGB24;
    return rgb;
}

static int convert(AVFrame **out, fn_av_converter *converter, const AVFrame *frame, int width, int height,
                   char *why) {
    if (!sws_isSupportedInput((enum AVPixelFormat)frame->format))
        return fn_av_fail(why, FN_EUNSUPPORTED, "its pixels cannot be turned into RGB");
    *out = new_rgb(converter, width, height);
    if (!*out || !make_scaler(converter, frame, width, height))
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    const int n = sws_scale(converter->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                            frame->height, (*out)->data, (*out)->linesize);
    return n == height ? FN_OK : fn_av_fail(why, FN_EUNSUPPORTED, "its pixels cannot be turned into RGB");
}

int fn_av_picture(fn_av_frame *out, fn_av_converter *converter, const AVFrame *frame, int64_t max_pixels,
                  char *why) {
    AVFrame *held = NULL;
    int width, height, rc = FN_OK;
    if (frame->width < 1 || frame->height < 1 || frame->width > MAX_SIDE || frame->height > MAX_SIDE ||
        (int64_t)frame->width * frame->height > max_pixels)
        return fn_av_fail(why, FN_ELIMIT, "a frame of %d x %d pixels, the limit is %lld in all", frame->width,
                          frame->height, (long long)max_pixels);
    square_size(&width, &height, frame, max_pixels);
    out->image.format = FN_PIXEL_RGB8;
    out->is_view = width == frame->width && height == frame->height && is_viewable(&out->image.format, frame);
    if (out->is_view) {
        held = av_frame_clone(frame);
        if (!held)
            rc = fn_av_fail(why, FN_ENOMEM, "out of memory");
    } else {
        out->image.format = FN_PIXEL_RGB8;
        rc = convert(&held, converter, frame, width, height, why);
    }
    if (rc < 0) {
        av_frame_free(&held);
        return rc;
    }
    out->image.data = held->data[0];
    out->image.width = width;
    out->image.height = height;
    out->image.stride_bytes = held->linesize[0];
    out->hold = held;
    return FN_OK;
}
