// SPDX-License-Identifier: Apache-2.0
//
// Frames into a video. Each picture is copied once into memory with the borders that libswscale wants; there
// a side of odd length gets one pixel more, since the chroma of H.264 has half the size. Times are counted in
// 1/60000 s, which holds all usual rates; AVI knows nothing but its rate, so there they are rounded to it. It
// fills every tick without a picture by an empty packet, and FFmpeg makes no more than 60,000 of them in a
// row.
#include "video/av.h"

#include <libavutil/opt.h>

#include <errno.h>
#include <math.h>
#include <string.h>

enum { TICKS = 60000, ALIGNMENT = 64, LARGE_WIDTH = 1280, LARGE_HEIGHT = 576 };
#define LONGEST_GAP_S 10.0 // where only the rate is known

struct fn_av_writer {
    fn_av_writing writing;
    AVFormatContext *format;
    AVIOContext *io;
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *rgb; // (width, height even)
    AVFrame *yuv;
    struct SwsContext *scaler;
    int64_t next, last; // ticks
    double start_s;
    int n_frames;
    int knows_rate_only; // AVI: a tick is one frame
    int is_begun;        // the header is written
};

static size_t pixel_bytes(fn_pixel_format format) {
    return format == FN_PIXEL_GRAY8 ? 1 : format == FN_PIXEL_RGB8 || format == FN_PIXEL_BGR8 ? 3 : 4;
}

static int failed(char *why, int averror) {
    return averror == AVERROR(ENOMEM) ? fn_av_fail(why, FN_ENOMEM, "out of memory")
                                      : fn_av_fail_with(why, averror, "cannot be written");
}

// ---- opening -----------------------------------------------------------------------------------------

static int choose_encoder(fn_av_writer *w, char *why) {
    const AVCodec *encoder = avcodec_find_encoder_by_name("libx264");
    const int is_h264 = encoder != NULL, quality = w->writing.quality;
    if (!encoder)
        encoder = avcodec_find_encoder(AV_CODEC_ID_MPEG4);
    if (!encoder)
        return fn_av_fail(why, FN_EUNSUPPORTED, "FFmpeg was built without the encoders libx264 and mpeg4");
    AVCodecContext *codec = w->codec = avcodec_alloc_context3(encoder);
    if (!codec)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    codec->width = (w->writing.width + 1) & ~1;
    codec->height = (w->writing.height + 1) & ~1;
    codec->pix_fmt = AV_PIX_FMT_YUV420P;
    codec->colorspace =
        codec->width >= LARGE_WIDTH || codec->height > LARGE_HEIGHT ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    codec->color_range = AVCOL_RANGE_MPEG;
    codec->framerate = av_d2q(w->writing.fps, 100000);
    w->knows_rate_only = strcmp(w->writing.container, "avi") == 0;
    codec->time_base = w->knows_rate_only ? av_inv_q(codec->framerate) : (AVRational){1, TICKS};
    if (w->knows_rate_only)
        codec->max_b_frames = 0; // its packets bear no time but that of decoding
    codec->gop_size = 120;       // a place to start from at least every few seconds
    if (w->format->oformat->flags & AVFMT_GLOBALHEADER)
        codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    if (is_h264) {
        av_opt_set(codec->priv_data, "preset", "veryfast", 0);
        av_opt_set_double(codec->priv_data, "crf", 40 - 0.25 * quality, 0);
        if (!w->writing.can_seek)
            av_opt_set(codec->priv_data, "tune", "zerolatency", 0); // somebody is watching
    } else {
        codec->flags |= AV_CODEC_FLAG_QSCALE;
        codec->global_quality = (int)lrint(FF_QP2LAMBDA * (2 + 0.15 * (100 - quality)));
    }
    const int rc = avcodec_open2(codec, encoder, NULL);
    return rc < 0 ? fn_av_fail_with(why, rc, "the encoder does not start") : FN_OK;
}

static AVFrame *new_frame(enum AVPixelFormat format, int width, int height) {
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = format;
    frame->width = width;
    frame->height = height;
    if (av_frame_get_buffer(frame, ALIGNMENT) < 0)
        av_frame_free(&frame);
    return frame;
}

static int begin(fn_av_writer *w, char *why) {
    int rc = avformat_alloc_output_context2(&w->format, NULL, w->writing.container, NULL);
    if (rc < 0)
        return fn_av_fail_with(why, rc, "FFmpeg cannot write this kind of file");
    w->io = fn_av_file_create(&w->writing.fd, w->writing.can_seek);
    w->packet = av_packet_alloc();
    if (!w->io || !w->packet)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    w->format->pb = w->io;
    w->format->flags |= AVFMT_FLAG_BITEXACT; // no names and versions of programs in it
    if (!w->writing.can_seek)
        w->format->flags |= AVFMT_FLAG_FLUSH_PACKETS;
    if ((rc = choose_encoder(w, why)) < 0)
        return rc;
    w->yuv = new_frame(AV_PIX_FMT_YUV420P, w->codec->width, w->codec->height);
    w->stream = avformat_new_stream(w->format, NULL);
    if (!w->yuv || !w->stream)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    w->stream->time_base = w->codec->time_base;
    w->stream->avg_frame_rate = w->codec->framerate;
    rc = avcodec_parameters_from_context(w->stream->codecpar, w->codec);
    if (rc >= 0)
        rc = avformat_write_header(w->format, NULL);
    if (rc < 0)
        return failed(why, rc);
    w->is_begun = 1;
    return w->io->error < 0 ? failed(why, w->io->error) : FN_OK;
}

int fn_av_writer_open(fn_av_writer **out, const fn_av_writing *writing, char *why) {
    *out = NULL;
    fn_av_silence();
    fn_av_writer *w = av_mallocz(sizeof *w);
    if (!w)
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    w->writing = *writing;
    const int rc = begin(w, why);
    if (rc < 0)
        fn_av_writer_free(w);
    else
        *out = w;
    return rc;
}

// ---- frames ------------------------------------------------------------------------------------------

// The picture with its last column and row again where the size was odd.
static void copy_picture(AVFrame *rgb, const fn_image *image) {
    const size_t size = pixel_bytes(image->format), row = size * (size_t)image->width;
    for (int y = 0; y < rgb->height; y++) {
        const int from = y < image->height ? y : image->height - 1;
        uint8_t *dst = rgb->data[0] + (ptrdiff_t)y * rgb->linesize[0];
        memcpy(dst, image->data + from * image->stride_bytes, row);
        if (rgb->width > image->width)
            memcpy(dst + row, dst + row - size, size);
    }
}

static int make_yuv(fn_av_writer *w, const fn_image *image, char *why) {
    const enum AVPixelFormat format = fn_av_pixel_format(image->format);
    if (!w->rgb || w->rgb->format != (int)format) {
        av_frame_free(&w->rgb);
        sws_freeContext(w->scaler);
        w->rgb = new_frame(format, w->codec->width, w->codec->height);
        w->scaler =
            sws_getContext(w->codec->width, w->codec->height, format, w->codec->width, w->codec->height,
                           AV_PIX_FMT_YUV420P, SWS_BILINEAR | SWS_ACCURATE_RND, NULL, NULL, NULL);
        if (!w->rgb || !w->scaler)
            return fn_av_fail(why, FN_ENOMEM, "out of memory");
        sws_setColorspaceDetails(w->scaler, sws_getCoefficients(SWS_CS_DEFAULT), 1,
                                 sws_getCoefficients((int)w->codec->colorspace), 0, 0, 1 << 16, 1 << 16);
    }
    copy_picture(w->rgb, image);
    if (av_frame_make_writable(w->yuv) < 0) // the encoder may still hold the last one
        return fn_av_fail(why, FN_ENOMEM, "out of memory");
    sws_scale(w->scaler, (const uint8_t *const *)w->rgb->data, w->rgb->linesize, 0, w->rgb->height,
              w->yuv->data, w->yuv->linesize);
    return FN_OK;
}

// Hands a frame, or NULL: no more, to the encoder, and what comes out of it to the file.
static int encode(fn_av_writer *w, const AVFrame *frame, char *why) {
    int rc = avcodec_send_frame(w->codec, frame);
    while (rc >= 0 && (rc = avcodec_receive_packet(w->codec, w->packet)) >= 0) {
        w->packet->stream_index = w->stream->index;
        w->packet->duration = w->next - w->last;
        av_packet_rescale_ts(w->packet, w->codec->time_base, w->stream->time_base);
        rc = av_interleaved_write_frame(w->format, w->packet);
    }
    if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
        rc = 0;
    if (rc >= 0 && w->io->error < 0)
        rc = w->io->error;
    return rc < 0 ? failed(why, rc) : FN_OK;
}

// The tick of a frame at that time.
static int64_t tick_of(fn_av_writer *w, double time_s) {
    const double ticks_per_s = av_q2d(av_inv_q(w->codec->time_base));
    if (isnan(time_s))
        return w->next;
    if (w->n_frames == 0)
        w->start_s = time_s;
    int64_t at = llrint((time_s - w->start_s) * ticks_per_s);
    const int64_t latest = w->last + llrint(fmax(1, LONGEST_GAP_S * ticks_per_s));
    if (w->knows_rate_only && w->n_frames && at > latest) {
        w->start_s += (double)(at - latest) / ticks_per_s; // what follows keeps its distance
        at = latest;
    }
    return at;
}

int fn_av_writer_add(fn_av_writer *w, const fn_image *image, double time_s, char *why) {
    const double ticks_per_s = av_q2d(av_inv_q(w->codec->time_base));
    const int64_t step = llrint(ticks_per_s / w->writing.fps);
    int64_t at = tick_of(w, time_s);
    if (w->n_frames && at <= w->last) {
        if (w->knows_rate_only)
            return FN_OK; // its place is taken
        at = w->last + 1;
    }
    int rc = make_yuv(w, image, why);
    if (rc < 0)
        return rc;
    w->yuv->pts = at;
    w->last = at;
    w->next = at + (step > 0 ? step : 1);
    w->n_frames++;
    return encode(w, w->yuv, why);
}

int fn_av_writer_finish(fn_av_writer *w, char *why) {
    int rc = encode(w, NULL, why);
    if (rc < 0)
        return rc;
    w->is_begun = 0;
    int averror = av_write_trailer(w->format);
    avio_flush(w->io);
    if (averror >= 0 && w->io->error < 0)
        averror = w->io->error;
    return averror < 0 ? failed(why, averror) : FN_OK;
}

void fn_av_writer_free(fn_av_writer *w) {
    if (!w)
        return;
    avcodec_free_context(&w->codec);
    av_packet_free(&w->packet);
    av_frame_free(&w->rgb);
    av_frame_free(&w->yuv);
    sws_freeContext(w->scaler);
    avformat_free_context(w->format);
    fn_av_file_close(&w->io);
    av_free(w);
}
