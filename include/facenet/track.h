// SPDX-License-Identifier: Apache-2.0
//
// track.h: faces are followed from frame to frame, and who somebody is is voted over the whole track, so
// that a name does not flicker.
//
//     fn_tracker_open(&tracker, NULL);
//     for each frame:
//         fn_tracker_associate(tracker, time_s, is_cut, faces, n, wanted);   // which faces to embed
//         ... embed faces[i] where wanted[i] ...
//         fn_tracker_update(tracker, vectors, matches, ids);                 // ids[i]: track of face i
//
// A face continues the track whose predicted box it overlaps most (intersection over union, all pairs,
// best first). Where a face was embedded, its vector must also be near that track's mean or its last
// vector: when two people change places, or one close-up is cut to the next, the tracks part (at once
// where the place is in doubt or the cut is known, after a second look where only the vector objects); and
// a face that was away for a moment is given back to its track by its vector alone. A named track is given
// back only to a face that is itself decided for that person.
#ifndef FACENET_TRACK_H
#define FACENET_TRACK_H

#include <facenet/detect.h>
#include <facenet/match.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_tracker_options {
    int version;      // FN_TRACKER_OPTIONS_VERSION
    int dimension;    // of the vectors; 0: none are given
    float min_iou;    // overlap with the predicted box that continues a track; 0: 0.3
    float same;       // distance of a vector to a track's mean within which it is the same person;
                      // take the distance of FMR 1e-3; 0: 1.05. From 15 % more on it is another's
    double lost_s;    // a track ends after so long unseen; 0: 1.5
    int confirm;      // sightings before a track counts; 0: 3
    double refresh_s; // a followed face is embedded again after so long; 0: 0.25. Three times as often
                      // for its first four vectors, and while a name is near
} fn_tracker_options;
#define FN_TRACKER_OPTIONS_VERSION 1
#define FN_TRACKER_OPTIONS_INIT                                                                              \
    { FN_TRACKER_OPTIONS_VERSION, 0, 0.0F, 0.0F, 0.0, 0, 0.0 }

typedef enum fn_track_state {
    FN_TRACK_NEW = 0,       // seen too few times to count
    FN_TRACK_CONFIRMED = 1, // counts
    FN_TRACK_ENDED = 2      // unseen for lost_s, or cut off
} fn_track_state;

/// One face followed. Pointers are valid until the next call on the tracker.
typedef struct fn_track {
    uint32_t id; // from 1, in order of appearance; never used again
    fn_track_state state;
    int is_confirmed;       // 1 once it was seen often enough to count; stays when the track has ended
    fn_box box;             // where it was seen last, or where it is expected now
    int is_seen;            // on the last frame that was searched
    double first_s, last_s; // first and last sighting
    uint32_t n_seen;        // frames
    uint32_t n_embedded;
    const float *mean; // (dimension) unit length, mean of its vectors; NULL before the first
    // The vote: over all its vectors, how many were decided for the leading person. It is clear from three
    // vectors and half of the last dozen on; a name that is shown stays while a quarter of these or of the
    // last 64 agrees, or until another is clear and twice as strong.
    fn_decision decision; // KNOWN with `person` when the vote is clear, else UNKNOWN
    fn_id person;         // shown when KNOWN, else who leads so far; zero when nobody
    uint32_t n_votes;     // vectors decided for `person`
    uint32_t n_other;     // vectors decided for somebody else
    float distance;       // nearest distance to `person` among them; 0 when nobody
    double fmr;           // of that distance; NaN when nobody
    uint32_t n_switches;  // times a clear vote moved from one person to another
} fn_track;

typedef struct fn_tracker fn_tracker; // one thread at a time

/// options may be NULL. Errors: FN_EINVAL, FN_ENOMEM. The caller frees *out.
FN_API int fn_tracker_open(fn_tracker **out, const fn_tracker_options *options);
FN_API void fn_tracker_free(fn_tracker *tracker);

/// First half of a frame: sorts n faces onto tracks by place; nothing changes until the second half, and
/// calling again drops the frame. wanted[i] becomes 1 where a vector is needed: for new tracks, doubtful
/// ones, after a cut, and every refresh_s. is_cut: 1 when this frame does not follow from the one before
/// (fn_cut_is). Errors: FN_EINVAL (time_s does not rise, a box without area), FN_ELIMIT, FN_ENOMEM.
FN_API int fn_tracker_associate(fn_tracker *tracker, double time_s, int is_cut, const fn_face *faces,
                                size_t n, unsigned char *wanted);

/// Second half: vectors (n, dimension) of unit length and matches (n) of the faces that were wanted, any
/// bytes for the others; a vector of zeros: this face could not be embedded. matches NULL: nobody to be
/// known. ids[i] becomes the track of face i. Errors, after which the call may be repeated: FN_EINVAL (no
/// first half, not a unit vector), FN_ENOMEM.
FN_API int fn_tracker_update(fn_tracker *tracker, const float *vectors, const fn_match *matches,
                             uint32_t *ids);

/// A frame that was not searched: tracks move as predicted. FN_EINVAL when time does not rise.
FN_API int fn_tracker_skip(fn_tracker *tracker, double time_s);

/// Tracks that live, oldest first, and those that ended with the last call. NULL beyond the last.
FN_API size_t fn_tracker_len(const fn_tracker *tracker);
FN_API const fn_track *fn_tracker_get(const fn_tracker *tracker, size_t index);
FN_API const fn_track *fn_tracker_find(const fn_tracker *tracker, uint32_t id); // NULL: none that lives
FN_API size_t fn_tracker_n_ended(const fn_tracker *tracker);
FN_API const fn_track *fn_tracker_ended(const fn_tracker *tracker, size_t index);
/// Ends all tracks, at the end of a video. Time may begin anew afterwards; ids go on. FN_OK.
FN_API int fn_tracker_end(fn_tracker *tracker);
/// Forgets all votes: the gallery has changed. Tracks, and their means, stay; faces are wanted again soon.
FN_API void fn_tracker_forget_votes(fn_tracker *tracker);

/// Tells a cut from one shot to another by a small grey copy of each frame.
typedef struct fn_cut {
    int is_started;
    unsigned char luma[32 * 18];
} fn_cut; // zero it first
/// 1 when `image` does not follow from the image of the call before, 0 when it does, also when it is the
/// first. Pans, zooms, dimming and most flashes are no cuts. Below 0: FN_EINVAL (bad view).
FN_API int fn_cut_is(fn_cut *cut, const fn_image *image);

#ifdef __cplusplus
}
#endif
#endif
