// SPDX-License-Identifier: Apache-2.0
//
// What the module facenet-video.so (av_*.c) exports: one table. The module stands alone: it calls nothing
// of facenet. Functions that can fail return an fn_error and leave one line in `why`, without the name of
// the source, which the caller knows better.
#ifndef FN_VIDEO_VIDEO_MODULE_H
#define FN_VIDEO_VIDEO_MODULE_H

#include <facenet/image.h>

#define FN_VIDEO_MODULE "facenet-video.so"
#define FN_VIDEO_MODULE_SYMBOL "fn_video_libav"
enum { FN_VIDEO_MODULE_VERSION = 3, FN_VIDEO_WHY = 256 };

typedef enum fn_av_kind { FN_AV_FILE, FN_AV_CAMERA, FN_AV_STREAM } fn_av_kind;

/// What is to be opened. All that it points to outlives the source.
typedef struct fn_av_request {
    fn_av_kind kind;
    int fd;              // of a file or pipe, open for reading; stays the caller's
    const char *address; // of a camera (its device) or stream (its URL)
    int width, height;   // of a camera: what to ask it for; 0: whatever it offers
    double fps;
    int threads; // 0: as is good for the kind
    int64_t max_pixels;
    int any_certificate; // of https and rtsps
    // Asked often, from any thread, while the source is waited for. Non-zero ends the wait with this code.
    int (*is_over)(void *user);
    void *user;
} fn_av_request;

typedef struct fn_av_about {
    double fps;
    double duration_s; // to its end, from where the times of frames count; 0: not known
    uint64_t n_frames; // as it says; 0: it does not
    int is_live;
    int comes_in_bursts; // a live source that arrives in segments of several seconds
    char codec[32];
} fn_av_about;

/// A decoded frame. The pixels stay valid until `hold` is released.
typedef struct fn_av_frame {
    fn_image image;
    int orientation; // EXIF's 1..8: what brings it upright
    int is_view;     // the decoder's own pixels
    double time_s;   // as the source says, or NaN
    double wait_ms;  // of reading it, what passed waiting for its bytes
    void *hold;      // NULL: the source has ended
} fn_av_frame;

typedef struct fn_av_source fn_av_source;
typedef struct fn_av_writer fn_av_writer;

typedef struct fn_av_writing {
    int fd; // stays the caller's
    int can_seek;
    const char *container; // "mp4", "mov", "matroska", "avi"
    int width, height;
    double fps;
    int quality; // 1..100
} fn_av_writing;

typedef struct fn_video_module {
    int version;
    int (*open)(fn_av_source **out, const fn_av_request *request, fn_av_about *about, char *why);
    /// Adds to *n_damaged the packets and frames that could not be used on the way to this frame.
    int (*read)(fn_av_source *source, fn_av_frame *out, uint64_t *n_damaged, char *why);
    void (*close)(fn_av_source *source); // frames stay valid
    void (*release)(void *hold);         // from any thread
    int (*writer_open)(fn_av_writer **out, const fn_av_writing *writing, char *why);
    int (*writer_add)(fn_av_writer *writer, const fn_image *image, double time_s, char *why);
    int (*writer_finish)(fn_av_writer *writer, char *why);
    void (*writer_free)(fn_av_writer *writer);
} fn_video_module;

#endif
