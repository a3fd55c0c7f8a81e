// SPDX-License-Identifier: Apache-2.0
//
// Who a track is, by the decisions on all its vectors.
#ifndef FN_TRACK_VOTE_H
#define FN_TRACK_VOTE_H

#include <facenet/track.h>

#define FN_VOTE_CANDIDATES 8

typedef struct fn_vote_candidate {
    fn_id person;
    uint32_t n;             // vectors decided for this person
    double weight;          // the same, of about the last 64 vectors
    double recent;          // the same, fading: of about the last 12
    double first_s, last_s; // of those vectors
    float distance;         // the nearest of them
    double fmr;             // of that distance
} fn_vote_candidate;

typedef struct fn_vote {
    fn_vote_candidate candidates[FN_VOTE_CANDIDATES]; // in order of appearance
    int n_candidates;
    uint32_t n_decided; // vectors decided for anybody
    double weight;      // of all vectors, also of those decided for nobody
    double recent;
    int is_shown;  // the vote is clear
    int was_shown; // it was clear before, for `shown`
    fn_id shown;
    uint32_t n_switches;
} fn_vote;

/// Counts one decision. time_s never falls.
void fn_vote_add(fn_vote *vote, const fn_match *match, double time_s);

/// Counts what another vote of the same person's has counted.
void fn_vote_merge(fn_vote *dst, const fn_vote *src);

/// Forgets everybody; the number of switches stays.
void fn_vote_forget(fn_vote *vote);

/// Writes the outcome into a track.
void fn_vote_tell(fn_track *track, const fn_vote *vote);

#endif
