// SPDX-License-Identifier: Apache-2.0
//
// Which face of this frame may be which track: motion, overlap and vectors. Pairs are taken greedily, best
// first, by the caller: faces hide one another but seldom share a place, and where they do, vectors decide.
//
// How far vectors of one track stray was looked at on a real concert film (640 x 360, MobileFaceNet): from
// the track's mean 0.7 in the middle, 1.0 at the 99th percentile for a face of 95 pixels seen from in front,
// but 1.2 to 1.4 for faces of 60 pixels in profile. So a single far vector does not end a track whose place
// goes on without a break.
#include "track/tracker.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOTION_S 0.2        // velocity is averaged over about so long
#define SHORTEST_S 0.01     // in which a way is measured: frames of a stream may come in bursts
#define COAST_S 1.0         // and trusted for so long
#define WITHOUT_A_BREAK 0.5 // overlap from one frame to the next that is hardly two people's
#define BREAK_S 0.5         // nor when it is not longer than this
#define ANOTHER 1.15F       // a vector farther than this times `same` is another person's
#define MAX_DOUBTS 4

fn_box fn_track_predict(const fn_tracked *track, double time_s) {
    double ahead = fmin(time_s - track->seen.last_s, COAST_S);
    fn_box box = track->sighted;
    box.x = (float)((double)box.x + track->velocity_x * ahead);
    box.y = (float)((double)box.y + track->velocity_y * ahead);
    return box;
}

void fn_track_move(fn_tracked *track, const fn_box *box, double time_s, int is_jump) {
    const fn_box *from = &track->measured;
    double passed = time_s - track->measured_s;
    int is_measured = 1;
    if (is_jump) {
        track->velocity_x = track->velocity_y = 0;
    } else if (track->n_measured > 0 && passed < SHORTEST_S) {
        is_measured = 0; // the next step counts from the last one that was long enough
    } else if (track->n_measured > 0) {
        double x = ((double)box->x - from->x + ((double)box->width - from->width) / 2) / passed;
        double y = ((double)box->y - from->y + ((double)box->height - from->height) / 2) / passed;
        // A plain mean of the first few steps, then older ones fade.
        double gain = fmax(1.0 / track->n_measured, 1.0 - exp(-passed / MOTION_S));
        track->velocity_x += gain * (x - track->velocity_x);
        track->velocity_y += gain * (y - track->velocity_y);
    }
    if (is_measured) {
        track->measured = *box;
        track->measured_s = time_s;
        track->n_measured++;
    }
    track->sighted = track->seen.box = *box;
    track->seen.last_s = time_s;
    track->seen.is_seen = 1;
    track->seen.n_seen++;
    track->is_adrift = 0;
}

int fn_track_is_over(const fn_tracked *track, double time_s, double lost_s) {
    return time_s - track->seen.last_s > lost_s;
}

static float overlap(const fn_box *a, const fn_box *b) {
    double width = fmin((double)a->x + a->width, (double)b->x + b->width) - fmax((double)a->x, (double)b->x);
    double height =
        fmin((double)a->y + a->height, (double)b->y + b->height) - fmax((double)a->y, (double)b->y);
    if (!(width > 0 && height > 0))
        return 0.0F;
    double both = width * height;
    return (float)(both / ((double)a->width * a->height + (double)b->width * b->height - both));
}

static int push(fn_pairs *pairs, fn_pair pair) {
    if (pairs->len == pairs->capacity) {
        size_t capacity = pairs->capacity ? 2 * pairs->capacity : 16;
        fn_pair *data = fn_realloc(pairs->data, capacity, sizeof *data);
        if (!data)
            return fn_fail_memory();
        pairs->data = data;
        pairs->capacity = capacity;
    }
    pairs->data[pairs->len++] = pair;
    return FN_OK;
}

// To another place a name is carried only by a vector that is decided for that person, and a track without a
// name does not go on with a face that is nearer to somebody known than to the track.
static int may_carry(const fn_tracked *track, const fn_match *match, float to_mean) {
    if (!match)
        return 1;
    const int is_decided = match->decision == FN_DECISION_KNOWN;
    if (track->seen.decision != FN_DECISION_KNOWN)
        return !is_decided || to_mean <= match->best.distance;
    return is_decided && memcmp(match->best.person.bytes, track->seen.person.bytes, FN_ID_SIZE) == 0;
}

// Did the place go on without a break, and have there not been too many objections?
static int goes_on(const fn_pair_rules *rules, const fn_tracked *track, float iou, int doubt) {
    return track->seen.is_seen && iou >= WITHOUT_A_BREAK && rules->time_s - track->seen.last_s <= BREAK_S &&
           track->n_doubts + doubt < MAX_DOUBTS;
}

static int find_pair(fn_pairs *pairs, const fn_pair_rules *rules, const fn_tracked *track,
                     const fn_sighting *face, uint32_t i_face, uint32_t i_track) {
    float iou = 0.0F;
    if (!rules->is_cut && !track->is_adrift) {
        fn_box box = fn_track_predict(track, rules->time_s);
        iou = overlap(&box, &face->box);
    }
    int has_place = iou > 0.0F && iou >= rules->min_iou, rc = FN_OK;
    if (!face->vector || !track->seen.mean)
        return has_place ? push(pairs, (fn_pair){FN_PAIR_PLACE, iou, i_face, i_track}) : FN_OK;

    float to_mean = fn_distance(face->vector, track->seen.mean, rules->dimension);
    float to_last =
        fn_distance(face->vector, track->vectors + 2 * (size_t)rules->dimension, rules->dimension);
    float nearest = fminf(to_mean, to_last);
    if (has_place && nearest <= rules->same)
        rc = push(pairs, (fn_pair){FN_PAIR_PLACE, iou + 1.0F - nearest / 2.0F, i_face, i_track});
    else if (has_place && nearest <= ANOTHER * rules->same && goes_on(rules, track, iou, 1))
        rc = push(pairs, (fn_pair){FN_PAIR_DOUBTED, iou, i_face, i_track});
    else if (has_place && nearest > ANOTHER * rules->same && goes_on(rules, track, iou, 2))
        rc = push(pairs, (fn_pair){FN_PAIR_OBJECTED, iou, i_face, i_track});
    if (rc == FN_OK && to_mean <= rules->same && may_carry(track, face->match, to_mean))
        rc = push(pairs, (fn_pair){FN_PAIR_VECTOR, -to_mean, i_face, i_track});
    return rc;
}

static int compare(const void *a, const void *b) {
    const fn_pair *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->face != y->face)
        return x->face < y->face ? -1 : 1;
    return x->track < y->track ? -1 : x->track > y->track;
}

int fn_pairs_find(fn_pairs *pairs, const fn_pair_rules *rules, fn_tracked *const *tracks, size_t n_tracks,
                  const fn_sighting *faces, size_t n_faces) {
    pairs->len = 0;
    for (size_t t = 0; t < n_tracks; t++) {
        if (fn_track_is_over(tracks[t], rules->time_s, rules->lost_s))
            continue;
        for (size_t f = 0; f < n_faces; f++) {
            int rc = find_pair(pairs, rules, tracks[t], &faces[f], (uint32_t)f, (uint32_t)t);
            if (rc < 0)
                return rc;
        }
    }
    if (pairs->len)
        qsort(pairs->data, pairs->len, sizeof *pairs->data, compare);
    return FN_OK;
}
