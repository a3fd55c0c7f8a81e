// SPDX-License-Identifier: Apache-2.0
//
// Inside of a tracker: tracks with what is known about their motion, vectors and votes.
#ifndef FN_TRACK_TRACKER_H
#define FN_TRACK_TRACKER_H

#include "track/vote.h"

/// What a caller sees of a track, followed by what carries it on.
typedef struct fn_tracked {
    fn_track seen; // first: an fn_track * of ours points here
    fn_vote vote;
    fn_box sighted;                // its box at seen.last_s
    fn_box measured;               // its box when the velocity was measured last, as often as n_measured says
    double measured_s;             // when that was
    uint32_t n_measured;           // beginning and jumps are counted too
    double velocity_x, velocity_y; // pixels per second, of the box's centre
    double embedded_s;             // a vector was asked for last; -INFINITY: never, or again at once
    double sure_s;                 // a vector agreed last; -INFINITY: never
    int n_doubts;                  // objections in a row: 1 for a far vector, 2 for a very far one
    int is_adrift;                 // a cut came since it was seen: its place says nothing
    int is_taken, has_ended;       // on the frame that is being worked on
    float vectors[];               // (3, dimension): sum of its vectors, their mean, the last one
} fn_tracked;

/// How a face may come to a track, the stronger reason first.
typedef enum fn_pair_kind {
    FN_PAIR_PLACE,   // it overlaps, and its vector, if there is one, agrees
    FN_PAIR_DOUBTED, // it overlaps well from one frame to the next; the vector is far
    FN_PAIR_VECTOR,  // the vector is near
    FN_PAIR_OBJECTED // it overlaps well from one frame to the next; the vector is another person's
} fn_pair_kind;

typedef struct fn_pair {
    fn_pair_kind kind;
    float score; // within a kind the higher one first
    uint32_t face, track;
} fn_pair;

/// A growing list.
typedef struct fn_pairs {
    fn_pair *data;
    size_t len, capacity;
} fn_pairs;

/// What pairs are judged by.
typedef struct fn_pair_rules {
    int dimension;
    float min_iou, same;
    double time_s, lost_s;
    int is_cut;
} fn_pair_rules;

/// A face of the current frame. vector and match: NULL when not known.
typedef struct fn_sighting {
    fn_box box;
    const float *vector;
    const fn_match *match;
    fn_tracked *track; // whose it is; NULL: nobody's yet
    fn_pair_kind kind; // by which reason
    int is_wanted;     // a vector was asked for
} fn_sighting;

/// Where a track is expected at a time: its centre goes on at constant velocity for a second.
fn_box fn_track_predict(const fn_tracked *track, double time_s);

/// Moves a track to where it is now. is_jump: the way there says nothing about its motion.
void fn_track_move(fn_tracked *track, const fn_box *box, double time_s, int is_jump);

/// 1 when a track has been unseen for too long.
int fn_track_is_over(const fn_tracked *track, double time_s, double lost_s);

/// All reasons for a face to come to a track, best first: a total order. FN_ENOMEM.
int fn_pairs_find(fn_pairs *pairs, const fn_pair_rules *rules, fn_tracked *const *tracks, size_t n_tracks,
                  const fn_sighting *faces, size_t n_faces);

#endif
