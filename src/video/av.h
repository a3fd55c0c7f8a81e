// SPDX-License-Identifier: Apache-2.0
//
// What the files of the module facenet-video.so share. Only they know FFmpeg's libraries.
#ifndef FN_VIDEO_AV_H
#define FN_VIDEO_AV_H

#include "video/video_module.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libswscale/swscale.h>

// ---- av_module.c: errors as one line ---------------------------------------------------------------

/// Notes the line in `why` (FN_VIDEO_WHY bytes) and returns the code.
int fn_av_fail(char *why, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/// The fn_error that an error of FFmpeg is, with "what: " and FFmpeg's words as the line.
int fn_av_fail_with(char *why, int averror, const char *what);
/// Before the first use of FFmpeg: it must not print.
void fn_av_silence(void);
/// What FFmpeg last complained about in this thread, or "". fn_av_forget makes it "".
const char *fn_av_complaint(void);
void fn_av_forget(void);
/// How many pictures any decoder has refused for their size, whichever thread it ran in.
unsigned fn_av_n_too_large(void);

// ---- av_file.c: bytes of a descriptor, with waits that end -------------------------------------------

/// A context that reads source->request.fd and lets nothing block longer than is_over allows. NULL: no
/// memory.
AVIOContext *fn_av_file_open(fn_av_source *source);
/// The same for writing. can_seek: a regular file.
AVIOContext *fn_av_file_create(const int *fd, int can_seek);
void fn_av_file_close(AVIOContext **io);

// ---- av_picture.c: decoded frames as images --------------------------------------------------------

/// Turns colours into RGB, in memory that is used again and again.
typedef struct fn_av_converter {
    struct SwsContext *scaler;
    int scales_from[5], scales_to[2]; // what the scaler was made for
    AVBufferPool *pool;
    size_t pool_size;
} fn_av_converter;

void fn_av_converter_clear(fn_av_converter *converter);
/// Fills image, is_view and hold of *out. FN_ENOMEM, FN_ELIMIT, FN_EUNSUPPORTED.
int fn_av_picture(fn_av_frame *out, fn_av_converter *converter, const AVFrame *frame, int64_t max_pixels,
                  char *why);
/// EXIF's orientation for a display matrix of nine numbers; NULL: 1.
int fn_av_orientation(const int32_t *matrix);
/// The pixel format that an image is for FFmpeg; alpha is no part of it.
enum AVPixelFormat fn_av_pixel_format(fn_pixel_format format);

// ---- av_open.c, av_read.c ----------------------------------------------------------------------------

struct fn_av_source {
    fn_av_request request;
    AVFormatContext *format;
    AVIOContext *io;
    int (*open_io)(AVFormatContext *format, AVIOContext **io, const char *url, int flags,
                   AVDictionary **options); // FFmpeg's own
    AVCodecContext *codec;
    AVStream *stream;
    AVPacket *packet;
    AVFrame *frame;
    fn_av_converter converter;
    double origin_s; // where the length that the container states begins, on FFmpeg's clock
    int orientation; // of the stream
    int n_in_a_row;  // damaged packets and frames since the last good one
    int is_begun;    // some bytes of a file were read
    int is_drained;  // the decoder was told that nothing more comes
    int failure;     // why nothing more comes, told once the decoder is empty; FN_OK: the end
    char failure_why[FN_VIDEO_WHY];
    uint64_t n_frames;
    double wait_ms;       // for bytes, since the frame before
    unsigned n_too_large; // fn_av_n_too_large when it was opened
};

int fn_av_open(fn_av_source **out, const fn_av_request *request, fn_av_about *about, char *why);
void fn_av_close(fn_av_source *source);
int fn_av_read(fn_av_source *source, fn_av_frame *out, uint64_t *n_damaged, char *why);
void fn_av_release(void *hold);
/// FN_OK, or why the caller wants no more, with its line.
int fn_av_is_over(const fn_av_request *request, char *why);

// ---- av_writer.c -------------------------------------------------------------------------------------

int fn_av_writer_open(fn_av_writer **out, const fn_av_writing *writing, char *why);
int fn_av_writer_add(fn_av_writer *writer, const fn_image *image, double time_s, char *why);
int fn_av_writer_finish(fn_av_writer *writer, char *why);
void fn_av_writer_free(fn_av_writer *writer);

#endif
