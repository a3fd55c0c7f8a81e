// SPDX-License-Identifier: Apache-2.0
//
// video.h: cameras, video files, streams and folders of pictures go in, upright frames come out; and the
// way back, frames into a video file.
//
//     fn_video *video = NULL;
//     fn_frame *frame = NULL;
//     fn_video_open(&video, "rtsp://127.0.0.1:8554/door", NULL, NULL);
//     while (fn_video_next(video, &frame) == FN_OK && frame) {
//         fn_detector_run(detector, fn_frame_image(frame), NULL, &faces);
//         ...
//         fn_frame_free(frame);
//     }
//     fn_video_free(video);
//
// A thread of its own reads and decodes. From a file every frame is delivered; from a camera or a stream
// always the newest one, and those nobody had time for are counted and dropped. A frame is a view of the
// decoder's own pixels wherever those are RGB already; else its colours are converted once, into the
// memory that detection reads. FFmpeg's libraries do the work, in a module (facenet-video.so) that is
// loaded when the first video is opened: FN_EUNSUPPORTED where it is missing. Folders of pictures need no
// module.
#ifndef FACENET_VIDEO_H
#define FACENET_VIDEO_H

#include <facenet/image.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fn_frame_policy {
    FN_FRAMES_AUTO = 0,  // every one of a file or folder, the newest of a camera or stream
    FN_FRAMES_EVERY = 1, // each frame, in order: the source waits for who takes them
    FN_FRAMES_NEWEST = 2 // never an old one: what was not taken in time is dropped and counted; a file or
                         // folder goes at the speed it was recorded at
} fn_frame_policy;

typedef struct fn_video_options {
    int version;            // FN_VIDEO_OPTIONS_VERSION
    fn_frame_policy policy; // which frames are delivered
    int width, height;      // of a camera: what to ask it for, pixels; 0: what it offers
    double fps;     // of a camera: what to ask for; of a folder of pictures: its rate; 0: 25 for a folder
    int timeout_ms; // longest silence while opening and between two frames; 0: 10,000
    int reconnects; // tries in a row to reach a live source that broke off, with waits of 0.5 s
                    // doubling up to 10 s; 0: no limit; -1: none, a break ends the video
    int loop;       // 1: a file or folder begins again at its end; times go on rising
    int threads;    // of the decoder; 0: 1 for live sources, else 2
    uint64_t max_pixels; // of one frame; 0: 64 Mi (2^26)
    int any_certificate; // 1: the certificate of https and rtsps is not checked, which is not to know who
                         // sends
} fn_video_options;
#define FN_VIDEO_OPTIONS_VERSION 1
#define FN_VIDEO_OPTIONS_INIT                                                                                \
    { FN_VIDEO_OPTIONS_VERSION, FN_FRAMES_AUTO, 0, 0, 0.0, 0, 0, 0, 0, 0, 0 }

/// What a source says about itself; what it does not say is 0.
typedef struct fn_video_info {
    int width, height; // pixels of an upright frame: rotation applied, pixels square
    double fps;        // average rate
    double duration_s; // of a file, from its first picture, from which all times count, to its end
    uint64_t n_frames; // of a file, as its header says or as duration and rate let expect; an estimate
    int is_live;       // a camera or a stream
    char codec[32];    // "h264", "mjpeg"; "" for a folder
    int rotation;      // degrees clockwise that were needed to bring frames upright: 0, 90, 180, 270
} fn_video_info;

/// What happened so far. From any thread.
typedef struct fn_video_counts {
    uint64_t n_decoded;   // frames the source gave
    uint64_t n_delivered; // of those, taken by fn_video_next
    uint64_t n_dropped;   // of those, replaced by newer ones before anybody took them
    uint64_t n_damaged;   // packets, frames or pictures that were damaged; some frames are mended and given
    uint64_t n_reconnects;
} fn_video_counts;

typedef struct fn_video fn_video; // fn_video_next from one thread at a time; the rest from any
typedef struct fn_frame fn_frame; // holds its pixels until freed, also after its video is freed

/// Opens a source and waits until its first frame is decoded:
///   "/dev/video0", or "0"    a camera (V4L2)
///   "rtsp://...", "http://...", "https://...", "udp://...", "rtp://..."   a stream. https is taken from who
///   has
///                            a certificate for that name by an authority that this machine trusts; rtsps,
///                            which FFmpeg does not check, with any_certificate only
///   "-"                      a video on standard input
///   a folder, "f/%04d.jpg"   pictures in byte order of their names, or by number; "f/a.jpg": that one. In a
///                            folder pictures are what is called .jpg, .jpeg, .png, .webp, .heic, .heif or
///                            .avif; where nothing is, every file that is not hidden
///   anything else            a file
/// A file may not make other files or addresses be read. A stream that says how long it is (a file on a web
/// server) counts as a file. options and control may be NULL; control takes warnings (a lost stream, damage)
/// while the video lives and may cancel this wait and those of fn_video_next, so it must outlive the video.
/// Errors: FN_EIO (not there, unreadable, a camera in use: the message lists the cameras there are),
/// FN_EFORMAT (no video in it, damaged before the first frame), FN_EUNSUPPORTED (module or codec missing),
/// FN_ETIMEOUT, FN_ELIMIT, FN_ECANCELLED.
FN_API int fn_video_open(fn_video **out, const char *source, const fn_video_options *options,
                         const struct fn_control *control);

/// The next frame, or NULL in *out at the end of a file. Waits for it. The caller frees it. Errors: FN_EIO
/// (a live source is lost for good, or reading failed), FN_EFORMAT (damage after which nothing could be
/// decoded), FN_ETIMEOUT (a file on a device that says nothing), FN_ECANCELLED (fn_video_stop).
FN_API int fn_video_next(fn_video *video, fn_frame **out);

/// Makes a waiting and every later fn_video_next return FN_ECANCELLED at once. From any thread; not from
/// a signal handler.
FN_API void fn_video_stop(fn_video *video);
/// Stops and frees; frames that are still held stay valid. NULL is a no-op.
FN_API void fn_video_free(fn_video *video);

/// What messages call the source: an address without user, password and query, in which cameras often want
/// the password. Valid while the video lives.
FN_API const char *fn_video_name(const fn_video *video);
FN_API const fn_video_info *fn_video_get_info(const fn_video *video);
FN_API fn_video_counts fn_video_get_counts(fn_video *video);

FN_API const fn_image *fn_frame_image(const fn_frame *frame); // upright
FN_API uint64_t fn_frame_index(const fn_frame *frame);   // counts decoded frames from 0, dropped ones too
FN_API double fn_frame_time(const fn_frame *frame);      // seconds since the first frame of the source
FN_API int64_t fn_frame_clock_ms(const fn_frame *frame); // on fn_clock_ms(), when it was decoded
/// Milliseconds that decoding it and bringing it into RGB took, without the wait for its bytes. Where a
/// decoder has threads of its own, what the reader waited for them.
FN_API float fn_frame_decode_ms(const fn_frame *frame);
/// 1 when the source broke off before this frame, or began again (loop): what was tracked is over.
FN_API int fn_frame_is_break(const fn_frame *frame);
/// Another holder of the same frame, to be freed too. Frames may be freed by any thread.
FN_API fn_frame *fn_frame_share(fn_frame *frame);
FN_API void fn_frame_free(fn_frame *frame);

/// A frame of the caller's own pixels (copied), for tests and for sources facenet does not know. FN_ENOMEM.
FN_API int fn_frame_copy(fn_frame **out, const fn_image *image, uint64_t index, double time_s);

/// One camera of this machine.
typedef struct fn_camera {
    char path[64]; // "/dev/video0"
    char name[64]; // as its driver says
} fn_camera;
/// Fills dst with at most `size` cameras and returns how many there are. Opens no camera for capture.
FN_API int fn_cameras(fn_camera *dst, int size);

// ---- frames into a file --------------------------------------------------------------------------

typedef struct fn_video_writer fn_video_writer; // one thread at a time

typedef struct fn_writer_options {
    int version; // FN_WRITER_OPTIONS_VERSION
    double fps;  // rate when frames are added without times; 0: 25
    int quality; // 1 (small) .. 100 (large); 0: 75
} fn_writer_options;
#define FN_WRITER_OPTIONS_VERSION 1
#define FN_WRITER_OPTIONS_INIT                                                                               \
    { FN_WRITER_OPTIONS_VERSION, 0.0, 0 }

/// Begins a video of frames of one size: "x.mp4", "x.mkv", "x.mov", "x.avi" (H.264; MPEG-4 where the encoder
/// is missing), or "-", Matroska on standard output. A file appears under its name only when it is finished,
/// with mode 0600; a link is kept, and what it leads to is written. What killed writers left in its folder is
/// deleted.
/// A side of odd length gets one pixel more, as the last one is.
/// Errors: FN_EINVAL (another ending), FN_EIO (also when there is something else than a regular file),
/// FN_EUNSUPPORTED.
FN_API int fn_video_writer_open(fn_video_writer **out, const char *path, int width, int height,
                                const fn_writer_options *options);
/// Adds a frame of that size. time_s rises from frame to frame, and the first one's is the start; NaN: one
/// more at the rate. An .avi knows its rate only, to which times are rounded: of frames that fall on one
/// place the first is kept, and a gap of more than 10 s becomes one of 10 s. FN_EINVAL, FN_EIO.
FN_API int fn_video_writer_add(fn_video_writer *writer, const fn_image *image, double time_s);
/// Completes the file and gives it its name. The writer is freed whether it succeeds or not. FN_EIO;
/// FN_EINVAL: no frame was added.
FN_API int fn_video_writer_finish(fn_video_writer *writer);
/// Gives up: what was written is removed. NULL is a no-op.
FN_API void fn_video_writer_free(fn_video_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
