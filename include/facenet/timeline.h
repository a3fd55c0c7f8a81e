// SPDX-License-Identifier: Apache-2.0
//
// timeline.h: who is in a video, and when: the tracks of a stream put together, person by person.
//
//     fn_timeline *timeline = NULL;
//     fn_timeline_open(&timeline, NULL);
//     while (fn_stream_next(stream, &now) == FN_OK && now)
//         fn_timeline_add(timeline, now);
//     fn_timeline_finish(timeline);
//     for (size_t i = 0; i < fn_timeline_len(timeline); i++)
//         print_row(fn_timeline_get(timeline, i));
//     fn_timeline_free(timeline);
//
// A person who is known has one row, with an appearance for each time they are on view. Every confirmed
// track of somebody unknown has a row of its own: that two of them are one person is not known.
#ifndef FACENET_TIMELINE_H
#define FACENET_TIMELINE_H

#include <facenet/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_timeline_options {
    int version;             // FN_TIMELINE_OPTIONS_VERSION
    double gap_s;            // a person away for less than this was there all the time; 0: 1
    int picture;             // side of the picture of each row's best face, pixels; 0: no pictures are kept
    const fn_index *index;   // whose nearest person is told for unknown faces too; NULL: not told. Outlives
                             // the timeline
    const char *fingerprint; // of the vectors, when there is an index
} fn_timeline_options;
#define FN_TIMELINE_OPTIONS_VERSION 1
#define FN_TIMELINE_OPTIONS_INIT                                                                             \
    { FN_TIMELINE_OPTIONS_VERSION, 0.0, 0, NULL, NULL }

/// One time on view, from the first sighting to the last.
typedef struct fn_appearance {
    double from_s, to_s;
    uint64_t n_frames; // on which the face was found; two faces of one person on a frame count twice
} fn_appearance;

typedef struct fn_timeline_row {
    fn_decision decision; // KNOWN or UNKNOWN
    fn_id person;         // when KNOWN
    uint32_t track;       // the first one, by its number in the stream
    size_t n_tracks;      // that were put together
    uint64_t n_frames;
    uint32_t n_looks;    // vectors that were made of it
    uint32_t n_votes;    // of those, decided for one person, whoever has most of a track
    uint32_t n_switches; // times a track of this row changed its name
    int has_nearest;     // somebody was compared with
    fn_id nearest;       // KNOWN: the person; UNKNOWN: whoever a single look came nearest to
    float distance;      // of the nearest look to them
    size_t n_appearances;
    const fn_appearance *appearances; // in order, gap_s or more apart
    double best_s;                    // time of the best face: large, sharp, lit and facing the camera
    fn_box best_box;                  // its place there
    const unsigned char *jpeg;        // its picture, a square somewhat larger than the box; NULL: none
    size_t n_jpeg;
} fn_timeline_row;

typedef struct fn_timeline fn_timeline; // one thread at a time

/// options may be NULL. Errors: FN_EINVAL, FN_ENOMEM. The caller frees *out.
FN_API int fn_timeline_open(fn_timeline **out, const fn_timeline_options *options);
FN_API void fn_timeline_free(fn_timeline *timeline);

/// Takes in what was found on one frame; the frame is not kept. Errors: FN_EINVAL (after
/// fn_timeline_finish), FN_EMODEL (an index of another fingerprint), FN_ENOMEM.
FN_API int fn_timeline_add(fn_timeline *timeline, const fn_stream_frame *frame);

/// Makes the rows. Tracks that still live, because the video was left early, count as they are. FN_ENOMEM.
FN_API int fn_timeline_finish(fn_timeline *timeline);

/// Faces that were seen on too few frames to count (fn_track.is_confirmed), and have no row.
FN_API uint64_t fn_timeline_n_brief(const fn_timeline *timeline);
/// Rows, once finished: people known, then unknown ones, each in order of appearance. NULL beyond the last.
FN_API size_t fn_timeline_len(const fn_timeline *timeline);
FN_API const fn_timeline_row *fn_timeline_get(const fn_timeline *timeline, size_t index);

#ifdef __cplusplus
}
#endif
#endif
