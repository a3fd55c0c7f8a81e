// SPDX-License-Identifier: Apache-2.0
//
// stream.h: the whole road for a running picture: frames go in, followed and named faces come out. Decoding,
// detection, and embedding with tracking each run on a thread of their own, with short queues between them.
//
//     fn_stream_options options = FN_STREAM_OPTIONS_INIT;
//     fn_stream *stream = NULL;
//     const fn_stream_frame *now = NULL;
//     options.index = index;                       // who may be known; NULL: nobody
//     fn_stream_open(&stream, recognizer, video, &options);
//     while (fn_stream_next(stream, &now) == FN_OK && now)
//         for (size_t i = 0; i < now->n_faces; i++)
//             printf("%.2f: track %u\n", now->time_s, (unsigned)now->faces[i].track);
//     fn_stream_free(stream);
//
// Frames come out in the order of the video, each of them once; from a live source those that nobody had time
// for are missing. Everything a caller sees is a function of the frames alone, however the threads run.
#ifndef FACENET_STREAM_H
#define FACENET_STREAM_H

#include <facenet/pipeline.h>
#include <facenet/track.h>
#include <facenet/video.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_stream_options {
    int version; // FN_STREAM_OPTIONS_VERSION
    fn_detect_options detect;
    fn_tracker_options tracker; // dimension is filled in; same 0: the distance of FMR 1e-3, when calibrated
    int every;                  // faces are looked for in each so many frames; 0: 1, each of them
    int mirror;                 // 1: every frame is mirrored left to right first, as in a mirror
    int no_tracks;              // 1: detection only: nothing is embedded, followed or named
    const fn_index *index; // of the recognizer's fingerprint; NULL: nobody is known. Outlives the stream,
                           // or until fn_stream_set_index
    double fmr;            // of a single look; 0: 1e-4
} fn_stream_options;
#define FN_STREAM_OPTIONS_VERSION 1
#define FN_STREAM_OPTIONS_INIT                                                                               \
    { FN_STREAM_OPTIONS_VERSION, FN_DETECT_OPTIONS_INIT, FN_TRACKER_OPTIONS_INIT, 0, 0, 0, NULL, 0.0 }

/// One face on one frame. On a frame that was not searched it is where its track is expected.
typedef struct fn_stream_face {
    fn_face face;           // without landmarks where the frame was not searched
    uint32_t track;         // 0 with no_tracks
    int is_confirmed;       // its track has been seen often enough to count
    fn_decision decision;   // of the track's vote
    fn_id person;           // when KNOWN
    float distance;         // nearest of the track to that person, when KNOWN
    double fmr;             // of that distance, when KNOWN
    const float *embedding; // (dimension) of this face on this frame; NULL: not embedded here
} fn_stream_face;

/// Milliseconds of work that one frame took, and how long after it was decoded its faces were known.
typedef struct fn_stream_times {
    float decode_ms, detect_ms, embed_ms;
    float latency_ms;
} fn_stream_times;

/// What was found on one frame. Valid until the next fn_stream_next.
typedef struct fn_stream_frame {
    fn_frame *frame; // fn_frame_share it to keep it. Mirrored when asked for
    double time_s;   // as fn_frame_time, but always rising
    int is_searched; // faces were looked for; 0: between two searches (every)
    int is_cut;      // another shot, or the source broke off
    size_t n_faces;
    const fn_stream_face *faces; // left to right
    size_t n_ended;              // tracks that ended with this frame
    const fn_track *ended;       // without means
    fn_stream_times times;
} fn_stream_frame;

typedef struct fn_stream fn_stream; // fn_stream_next from one thread at a time; the rest from any

/// Starts the threads. recognizer and video outlive the stream, which alone reads the video. Errors:
/// FN_EINVAL (options), FN_EMODEL (an index of another fingerprint, or no calibration to decide by),
/// FN_ELIMIT (fmr is below what the calibration shows), FN_ENOMEM.
FN_API int fn_stream_open(fn_stream **out, fn_recognizer *recognizer, fn_video *video,
                          const fn_stream_options *options);
/// Stops the video and the threads, within the time of one frame. NULL is a no-op.
FN_API void fn_stream_free(fn_stream *stream);

/// The next frame, or NULL in *out at the end. At the end of a video a last one with frame NULL and n_faces 0
/// hands over the tracks that still lived. Errors: as fn_video_next, and FN_ENOMEM.
FN_API int fn_stream_next(fn_stream *stream, const fn_stream_frame **out);

/// 1 as soon as fn_stream_next would not wait; 0 when it still would after timeout_ms. For a caller that has
/// a window to keep alive meanwhile; from the thread that calls fn_stream_next.
FN_API int fn_stream_wait(fn_stream *stream, int timeout_ms);

/// People were added or removed: from the next frame on faces are decided by this index, and votes begin
/// anew. The index before may be freed when this returns. Errors as fn_stream_open.
FN_API int fn_stream_set_index(fn_stream *stream, const fn_index *index);

/// Makes a waiting fn_stream_next return FN_ECANCELLED. From any thread; not from a signal handler.
FN_API void fn_stream_stop(fn_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
