// SPDX-License-Identifier: Apache-2.0
//
// Packets into frames. Damage is passed over and counted until there is nothing else.
#include "video/av.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <time.h>

enum { MOST_DAMAGE = 500, NAP_MS = 2 };

static int damage(fn_av_source *source, uint64_t *n_damaged, char *why) {
    ++*n_damaged;
    if (++source->n_in_a_row < MOST_DAMAGE)
        return FN_OK;
    if (source->n_frames == 0 && source->io && !source->io->seekable)
        return fn_av_fail(
            why, FN_EFORMAT,
            "nothing in it can be decoded; where the index is at the end, as in many an MP4, the "
            "file itself is needed, not a pipe");
    return fn_av_fail(why, FN_EFORMAT, "%d damaged packets in a row", MOST_DAMAGE);
}

// Over HTTP FFmpeg calls every end of an answer whose length it was not told an error.
static int is_end_of_stream(const fn_av_source *source, int averror) {
    return averror == AVERROR(EIO) && source->request.kind == FN_AV_STREAM && source->format->pb &&
           avio_size(source->format->pb) <= 0;
}

static double clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

// The next packet, or what there is instead.
static int read_packet(fn_av_source *source) {
    const double start_ms = clock_ms();
    const int averror = av_read_frame(source->format, source->packet);
    if (averror == AVERROR(EAGAIN)) // a camera between two frames
        poll(NULL, 0, NAP_MS);
    source->wait_ms += clock_ms() - start_ms;
    return averror;
}

// Nothing more can be read; what was read is decoded first.
static int drain(fn_av_source *source, int failure) {
    source->failure = failure;
    source->is_drained = 1;
    avcodec_send_packet(source->codec, NULL);
    return FN_OK;
}

// One step towards more input for the decoder.
static int feed(fn_av_source *source, uint64_t *n_damaged, char *why) {
    int rc = fn_av_is_over(&source->request, why);
    if (rc < 0)
        return rc;
    const AVIOContext *io = source->format->pb;
    int averror = read_packet(source);
    if (averror == AVERROR(EAGAIN))
        return FN_OK;
    if (averror < 0 && (rc = fn_av_is_over(&source->request, why)) < 0)
        return rc;
    if (averror == AVERROR_EOF && io && io->error < 0) // not every container tells one from the other
        averror = io->error;
    if (averror == AVERROR_EOF || is_end_of_stream(source, averror))
        return drain(source, FN_OK);
    if (averror == AVERROR_INVALIDDATA)
        return damage(source, n_damaged, why);
    if (averror == AVERROR(EIO) && source->request.kind == FN_AV_STREAM)
        return drain(source, fn_av_fail(source->failure_why, FN_EIO, "the stream has broken off"));
    if (averror < 0)
        return drain(source, fn_av_fail_with(source->failure_why, averror, "cannot be read"));
    if (source->packet->stream_index == source->stream->index) {
        const int sent = avcodec_send_packet(source->codec, source->packet);
        if (sent == AVERROR(ENOMEM))
            rc = fn_av_fail(why, FN_ENOMEM, "out of memory");
        else if (sent < 0 && sent != AVERROR_EOF)
            rc = damage(source, n_damaged, why);
    }
    av_packet_unref(source->packet);
    return rc;
}

static int deliver(fn_av_frame *out, fn_av_source *source, uint64_t *n_damaged, char *why) {
    AVFrame *frame = source->frame;
    const AVFrameSideData *turn = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
    frame->sample_aspect_ratio = av_guess_sample_aspect_ratio(source->format, source->stream, frame);
    int rc = fn_av_picture(out, &source->converter, frame, source->request.max_pixels, why);
    if (rc == FN_OK) {
        source->n_frames++;
        out->wait_ms = source->wait_ms;
        source->wait_ms = 0;
        source->n_in_a_row = 0;
        *n_damaged += frame->decode_error_flags || frame->flags & AV_FRAME_FLAG_CORRUPT;
        out->orientation = source->orientation;
        if (out->orientation == 1 && turn && turn->size >= 9 * sizeof(int32_t))
            out->orientation = fn_av_orientation((const int32_t *)(const void *)turn->data);
        out->time_s =
            frame->best_effort_timestamp == AV_NOPTS_VALUE
                ? (double)NAN
                : (double)frame->best_effort_timestamp * av_q2d(source->stream->time_base) - source->origin_s;
    }
    av_frame_unref(source->frame);
    return rc;
}

int fn_av_read(fn_av_source *source, fn_av_frame *out, uint64_t *n_damaged, char *why) {
    *out = (fn_av_frame){.hold = NULL};
    for (;;) {
        int rc = FN_OK;
        const int averror = avcodec_receive_frame(source->codec, source->frame);
        if (averror == 0)
            return deliver(out, source, n_damaged, why);
        if (averror == AVERROR_EOF)
            break;
        if (averror == AVERROR(ENOMEM))
            return fn_av_fail(why, FN_ENOMEM, "out of memory");
        if (averror != AVERROR(EAGAIN))
            rc = damage(source, n_damaged, why);
        else if (source->is_drained)
            break;
        else
            rc = feed(source, n_damaged, why);
        if (rc < 0)
            return rc;
    }
    if (source->failure)
        return fn_av_fail(why, source->failure, "%s", source->failure_why);
    if (source->n_frames)
        return FN_OK;
    if (fn_av_n_too_large() != source->n_too_large)
        return fn_av_fail(why, FN_ELIMIT, "its pictures have too many pixels, the limit is %lld",
                          (long long)source->request.max_pixels);
    return fn_av_fail(why, FN_EFORMAT, "there is no frame in it that can be decoded");
}

void fn_av_release(void *hold) {
    AVFrame *frame = hold;
    av_frame_free(&frame);
}
