// SPDX-License-Identifier: Apache-2.0
//
// The module facenet-video.so: its table, and errors of FFmpeg's libraries as codes and lines of facenet.
#include "video/av.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char complaint[FN_VIDEO_WHY];
static atomic_uint n_too_large;

int fn_av_fail(char *why, int code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(why, FN_VIDEO_WHY, format, args);
    va_end(args);
    return code;
}

static int code_of(int averror) {
    switch (averror) {
    case AVERROR(ENOMEM):
        return FN_ENOMEM;
    case AVERROR_INVALIDDATA:
    case AVERROR_EOF:
    case AVERROR(EINVAL):
        return FN_EFORMAT;
    case AVERROR_DECODER_NOT_FOUND:
    case AVERROR_DEMUXER_NOT_FOUND:
    case AVERROR_PROTOCOL_NOT_FOUND:
    case AVERROR_PATCHWELCOME:
    case AVERROR(ENOSYS):
        return FN_EUNSUPPORTED;
    default:
        return FN_EIO;
    }
}

int fn_av_fail_with(char *why, int averror, const char *what) {
    char text[AV_ERROR_MAX_STRING_SIZE];
    av_strerror(averror, text, sizeof text);
    return fn_av_fail(why, code_of(averror), "%s: %s", what, text);
}

// Keeps the last line of each thread; nothing is printed.
static void keep_line(void *sender, int level, const char *format, va_list args) {
    if (level > AV_LOG_ERROR)
        return;
    if (strstr(format, "exceeds specified max pixel count")) // it has no code of its own
        atomic_fetch_add(&n_too_large, 1);
    int print_prefix = 0;
    av_log_format_line2(sender, level, format, args, complaint, sizeof complaint, &print_prefix);
    for (char *p = complaint; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = p[1] ? ' ' : 0;
    }
}

static void start(void) {
    av_log_set_callback(keep_line);
    avformat_network_init();
}

void fn_av_silence(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start);
}

const char *fn_av_complaint(void) {
    return complaint;
}

void fn_av_forget(void) {
    complaint[0] = 0;
}

unsigned fn_av_n_too_large(void) {
    return atomic_load(&n_too_large);
}

FN_API extern const fn_video_module fn_video_libav;
const fn_video_module fn_video_libav = {.version = FN_VIDEO_MODULE_VERSION,
                                        .open = fn_av_open,
                                        .read = fn_av_read,
                                        .close = fn_av_close,
                                        .release = fn_av_release,
                                        .writer_open = fn_av_writer_open,
                                        .writer_add = fn_av_writer_add,
                                        .writer_finish = fn_av_writer_finish,
                                        .writer_free = fn_av_writer_free};
