// SPDX-License-Identifier: Apache-2.0
//
// The life of tracks: begun, carried on, lost, given back, ended. A frame comes in two halves. The first
// only looks: it reserves all memory that the second may need and says which faces should be embedded. The
// second finds its pairs, which may fail, and only then changes anything, which may not.
#include "track/tracker.h"

#include "base/alloc.h"
#include "base/error.h"
#include "match/distance.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MAX_FACES 1024
#define EARLY_VECTORS 4 // a new face is looked at more often for so many vectors, and while a name is open
#define EARLY_SHARE 3   // so many times as often
#define CONTESTED 0.2F  // overlap with a second track that makes a face doubtful

struct fn_tracker {
    fn_tracker_options options; // no zeros that stand for a default
    double time_s;              // of the last frame; -INFINITY before the first
    uint32_t last_id;

    // Tracks are used again, so that memory follows the most that lived at once. Each list has room for all.
    fn_tracked **live, **ended, **spare;
    size_t n_live, n_ended, n_spare, n_tracks, track_capacity;

    // The frame between its two halves.
    int is_open;
    int is_cut; // also when the frame after a cut was dropped
    double open_s;
    fn_sighting *faces; // (n_faces)
    size_t n_faces, face_capacity;
    fn_pairs pairs;
};

static int check_options(const fn_tracker_options *o) {
    if (o->version != FN_TRACKER_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "tracker: options of version %d, not %d", o->version,
                       FN_TRACKER_OPTIONS_VERSION);
    if (o->dimension < 0 || o->dimension > FN_DIMENSION_MAX)
        return fn_fail(FN_EINVAL, "tracker: vectors of %d numbers", o->dimension);
    if (!(o->min_iou >= 0.0F && o->min_iou <= 1.0F) || !(o->same >= 0.0F && o->same <= 2.0F))
        return fn_fail(FN_EINVAL, "tracker: an overlap of %g or a distance of %g is impossible",
                       (double)o->min_iou, (double)o->same);
    if (!(o->lost_s >= 0 && isfinite(o->lost_s)) || !(o->refresh_s >= 0 && isfinite(o->refresh_s)) ||
        o->confirm < 0)
        return fn_fail(FN_EINVAL, "tracker: times and counts are positive");
    return FN_OK;
}

int fn_tracker_open(fn_tracker **out, const fn_tracker_options *options) {
    fn_tracker_options o = FN_TRACKER_OPTIONS_INIT;
    if (!out)
        return fn_fail(FN_EINVAL, "tracker: no place for the result");
    *out = NULL;
    if (options)
        o = *options;
    int rc = check_options(&o);
    if (rc < 0)
        return rc;
    o.min_iou = o.min_iou > 0.0F ? o.min_iou : 0.3F;
    o.same = o.same > 0.0F ? o.same : 1.05F;
    o.lost_s = o.lost_s > 0 ? o.lost_s : 1.5;
    o.confirm = o.confirm ? o.confirm : 3;
    o.refresh_s = o.refresh_s > 0 ? o.refresh_s : 0.25;
    fn_tracker *tracker = fn_calloc(1, sizeof *tracker);
    if (!tracker)
        return fn_fail_memory();
    tracker->options = o;
    tracker->time_s = -INFINITY;
    *out = tracker;
    return FN_OK;
}

static void free_tracks(fn_tracked **tracks, size_t n) {
    for (size_t i = 0; i < n; i++)
        fn_free(tracks[i]);
    fn_free(tracks);
}

void fn_tracker_free(fn_tracker *tracker) {
    if (!tracker)
        return;
    free_tracks(tracker->live, tracker->n_live);
    free_tracks(tracker->ended, tracker->n_ended);
    free_tracks(tracker->spare, tracker->n_spare);
    fn_free(tracker->faces);
    fn_free(tracker->pairs.data);
    fn_free(tracker);
}

// --- Memory -------------------------------------------------------------------------------------

static int grow(fn_tracked ***list, size_t n) {
    fn_tracked **grown = fn_realloc(*list, n, sizeof *grown);
    if (!grown)
        return fn_fail_memory();
    *list = grown;
    return FN_OK;
}

// Room for n faces.
static int reserve_faces(fn_tracker *t, size_t n) {
    if (n <= t->face_capacity)
        return FN_OK;
    fn_sighting *faces = fn_realloc(t->faces, n + n / 2, sizeof *faces);
    if (!faces)
        return fn_fail_memory();
    t->faces = faces;
    t->face_capacity = n + n / 2;
    return FN_OK;
}

static size_t track_size(const fn_tracker *t) {
    return sizeof(fn_tracked) + 3 * (size_t)t->options.dimension * sizeof(float);
}

// n spare tracks, and lists that hold all tracks there are.
static int reserve_tracks(fn_tracker *t, size_t n) {
    size_t n_more = n > t->n_spare ? n - t->n_spare : 0;
    if (t->n_tracks + n_more > t->track_capacity) {
        size_t capacity = 2 * (t->n_tracks + n_more);
        int rc;
        if ((rc = grow(&t->live, capacity)) < 0 || (rc = grow(&t->ended, capacity)) < 0 ||
            (rc = grow(&t->spare, capacity)) < 0)
            return rc;
        t->track_capacity = capacity;
    }
    for (; n_more; n_more--) {
        fn_tracked *track = fn_alloc(track_size(t));
        if (!track)
            return fn_fail_memory();
        t->spare[t->n_spare++] = track;
        t->n_tracks++;
    }
    return FN_OK;
}

// Tracks that ended with the call before are used again.
static void recycle(fn_tracker *t) {
    for (size_t i = 0; i < t->n_ended; i++)
        t->spare[t->n_spare++] = t->ended[i];
    t->n_ended = 0;
}

static fn_tracked *begin(fn_tracker *t) {
    assert(t->n_spare);
    fn_tracked *track = t->spare[--t->n_spare];
    memset(track, 0, track_size(t));
    track->seen.id = ++t->last_id;
    track->seen.first_s = t->open_s;
    track->embedded_s = track->sure_s = -INFINITY;
    fn_vote_tell(&track->seen, &track->vote);
    t->live[t->n_live++] = track;
    return track;
}

// Moves tracks that are marked, or over, to the list of those that ended.
static void sweep(fn_tracker *t, double time_s) {
    size_t n = 0;
    for (size_t i = 0; i < t->n_live; i++) {
        fn_tracked *track = t->live[i];
        if (track->has_ended || fn_track_is_over(track, time_s, t->options.lost_s)) {
            track->seen.state = FN_TRACK_ENDED;
            track->seen.is_seen = 0;
            t->ended[t->n_ended++] = track;
        } else {
            t->live[n++] = track;
        }
    }
    t->n_live = n;
}

// --- First half ---------------------------------------------------------------------------------

static int check_time(const fn_tracker *t, double time_s) {
    if (!isfinite(time_s) || !(time_s > t->time_s))
        return fn_fail(FN_EINVAL, "tracker: time goes from %g s to %g s, and must rise", t->time_s, time_s);
    return FN_OK;
}

static int check_box(const fn_box *box, size_t i) {
    if (!isfinite(box->x) || !isfinite(box->y) || !isfinite(box->width) || !isfinite(box->height) ||
        !(box->width > 0.0F && box->height > 0.0F))
        return fn_fail(FN_EINVAL, "tracker: face %zu has a box of %g x %g at %g, %g", i, (double)box->width,
                       (double)box->height, (double)box->x, (double)box->y);
    return FN_OK;
}

static int is_due(const fn_tracker *t, const fn_tracked *track) {
    double interval = t->options.refresh_s;
    const int is_open_vote = track->vote.n_decided && !track->vote.is_shown;
    if (track->seen.n_embedded < EARLY_VECTORS || is_open_vote)
        interval /= EARLY_SHARE;
    return track->seen.n_embedded == 0 || track->n_doubts || !track->seen.is_seen ||
           t->open_s - track->embedded_s >= interval;
}

// Faces without a track, those whose track is due, and those that several tracks or faces compete for.
static void choose_wanted(fn_tracker *t) {
    for (size_t i = 0; i < t->n_live; i++)
        t->live[i]->is_taken = 0;
    for (size_t i = 0; i < t->pairs.len; i++) {
        const fn_pair *pair = &t->pairs.data[i];
        fn_sighting *face = &t->faces[pair->face];
        fn_tracked *track = t->live[pair->track];
        if (!face->track && !track->is_taken && pair->score >= t->options.min_iou) {
            face->track = track;
            track->is_taken = 1;
            continue;
        }
        face->is_wanted = 1;
        for (size_t f = 0; track->is_taken && f < t->n_faces; f++)
            if (t->faces[f].track == track)
                t->faces[f].is_wanted = 1;
    }
    for (size_t f = 0; f < t->n_faces; f++) {
        fn_sighting *face = &t->faces[f];
        face->is_wanted |= !face->track || is_due(t, face->track);
        face->is_wanted &= t->options.dimension > 0;
    }
}

static fn_pair_rules rules_of(const fn_tracker *t) {
    const fn_tracker_options *o = &t->options;
    return (fn_pair_rules){o->dimension, o->min_iou, o->same, t->open_s, o->lost_s, t->is_cut};
}

int fn_tracker_associate(fn_tracker *tracker, double time_s, int is_cut, const fn_face *faces, size_t n,
                         unsigned char *wanted) {
    if (!tracker || (n && (!faces || (!wanted && tracker->options.dimension))))
        return fn_fail(FN_EINVAL, "tracker: a tracker, faces and room for what is wanted are needed");
    int rc = check_time(tracker, time_s);
    for (size_t i = 0; i < n && rc == FN_OK; i++)
        rc = check_box(&faces[i].box, i);
    if (rc < 0)
        return rc;
    if (n > MAX_FACES)
        return fn_fail(FN_ELIMIT, "tracker: %zu faces on a frame, at most %d can be followed", n, MAX_FACES);
    tracker->is_open = 0;
    tracker->is_cut |= is_cut != 0;
    recycle(tracker);
    if ((rc = reserve_faces(tracker, n)) < 0 || (rc = reserve_tracks(tracker, n)) < 0)
        return rc;
    tracker->open_s = time_s;
    tracker->n_faces = n;
    for (size_t i = 0; i < n; i++)
        tracker->faces[i] = (fn_sighting){.box = faces[i].box};
    fn_pair_rules rules = rules_of(tracker);
    if (rules.min_iou > CONTESTED)
        rules.min_iou = CONTESTED;
    rc = fn_pairs_find(&tracker->pairs, &rules, tracker->live, tracker->n_live, tracker->faces, n);
    if (rc < 0)
        return rc;
    choose_wanted(tracker);
    for (size_t i = 0; wanted && i < n; i++)
        wanted[i] = (unsigned char)tracker->faces[i].is_wanted;
    tracker->is_open = 1;
    return FN_OK;
}

// --- Second half --------------------------------------------------------------------------------

static int is_zero(const float *vector, int dimension) {
    for (int i = 0; i < dimension; i++)
        if (vector[i] != 0.0F)
            return 0;
    return 1;
}

// Hands the vectors and matches to the faces that were wanted.
static int take_vectors(fn_tracker *t, const float *vectors, const fn_match *matches) {
    const int dimension = t->options.dimension;
    for (size_t i = 0; i < t->n_faces; i++) {
        fn_sighting *face = &t->faces[i];
        face->vector = NULL;
        face->match = NULL;
        if (!face->is_wanted)
            continue;
        if (!vectors)
            return fn_fail(FN_EINVAL, "tracker: face %zu was to be embedded", i);
        const float *vector = vectors + i * (size_t)dimension;
        if (is_zero(vector, dimension))
            continue;
        if (!fn_vector_is_unit(vector, dimension))
            return fn_fail(FN_EINVAL, "tracker: the vector of face %zu is not of length 1", i);
        face->vector = vector;
        face->match = matches ? &matches[i] : NULL;
    }
    return FN_OK;
}

// Deals tracks out to faces, the strongest reasons first.
static void deal(fn_tracker *t) {
    for (size_t i = 0; i < t->n_live; i++)
        t->live[i]->is_taken = 0;
    for (size_t i = 0; i < t->n_faces; i++)
        t->faces[i].track = NULL;
    for (size_t i = 0; i < t->pairs.len; i++) {
        const fn_pair *pair = &t->pairs.data[i];
        fn_sighting *face = &t->faces[pair->face];
        if (face->track || t->live[pair->track]->is_taken)
            continue;
        face->track = t->live[pair->track];
        face->track->is_taken = 1;
        face->kind = pair->kind;
    }
}

static void absorb(const fn_tracker *t, fn_tracked *into, fn_tracked *from) {
    for (int i = 0; i < t->options.dimension; i++)
        into->vectors[i] += from->vectors[i];
    into->seen.n_seen += from->seen.n_seen;
    into->n_measured += from->n_measured;
    into->seen.n_embedded += from->seen.n_embedded;
    fn_vote_merge(&into->vote, &from->vote);
    from->has_ended = 1;
    from->is_taken = 0;
}

// A track that does not count yet may turn out to be an older one, lost before it began.
static void give_back(fn_tracker *t) {
    for (size_t i = 0; i < t->pairs.len; i++) {
        const fn_pair *pair = &t->pairs.data[i];
        fn_sighting *face = &t->faces[pair->face];
        fn_tracked *older = t->live[pair->track];
        if (pair->kind != FN_PAIR_VECTOR || older->is_taken || !face->track ||
            face->track->seen.is_confirmed || older->seen.id > face->track->seen.id ||
            !(older->sure_s < face->track->seen.first_s))
            continue;
        absorb(t, older, face->track);
        face->track = older;
        face->kind = FN_PAIR_VECTOR;
        older->is_taken = 1;
    }
}

static void learn(const fn_tracker *t, fn_tracked *track, const fn_sighting *face) {
    const size_t dimension = (size_t)t->options.dimension;
    float *sum = track->vectors, *mean = sum + dimension, *last = mean + dimension;
    double length = 0;
    for (size_t i = 0; i < dimension; i++) {
        sum[i] += face->vector[i];
        length += (double)sum[i] * sum[i];
    }
    length = sqrt(length);
    memcpy(last, face->vector, dimension * sizeof *last);
    for (size_t i = 0; i < dimension && length > 1e-3; i++) // opposite vectors leave the mean as it was
        mean[i] = (float)(sum[i] / length);
    track->seen.mean = mean;
    track->seen.n_embedded++;
    track->sure_s = t->open_s;
    track->n_doubts = 0;
    if (face->match)
        fn_vote_add(&track->vote, face->match, t->open_s);
}

static void see(const fn_tracker *t, const fn_sighting *face) {
    fn_tracked *track = face->track;
    fn_track_move(track, &face->box, t->open_s, face->kind == FN_PAIR_VECTOR);
    if (face->is_wanted)
        track->embedded_s = t->open_s;
    if (face->kind == FN_PAIR_DOUBTED)
        track->n_doubts += 1;
    else if (face->kind == FN_PAIR_OBJECTED)
        track->n_doubts += 2;
    else if (face->vector)
        learn(t, track, face);
    if (track->seen.n_seen >= (uint32_t)t->options.confirm) {
        track->seen.state = FN_TRACK_CONFIRMED;
        track->seen.is_confirmed = 1;
    }
    fn_vote_tell(&track->seen, &track->vote);
}

static void miss(const fn_tracker *t, fn_tracked *track) {
    track->seen.is_seen = 0;
    if (t->is_cut) {
        track->is_adrift = 1;
        if (!track->seen.mean) // nothing is left to know it by
            track->has_ended = 1;
    }
    if (!track->is_adrift)
        track->seen.box = fn_track_predict(track, t->open_s);
}

int fn_tracker_update(fn_tracker *tracker, const float *vectors, const fn_match *matches, uint32_t *ids) {
    fn_tracker *t = tracker;
    if (!t || !t->is_open)
        return fn_fail(FN_EINVAL, "tracker: an update follows fn_tracker_associate");
    if (t->n_faces && !ids)
        return fn_fail(FN_EINVAL, "tracker: no room for the ids");
    fn_pair_rules rules = rules_of(t);
    int rc = take_vectors(t, vectors, matches);
    if (rc == FN_OK)
        rc = fn_pairs_find(&t->pairs, &rules, t->live, t->n_live, t->faces, t->n_faces);
    if (rc < 0)
        return rc;
    deal(t);
    give_back(t);
    for (size_t i = 0; i < t->n_live; i++)
        if (!t->live[i]->is_taken)
            miss(t, t->live[i]);
    for (size_t i = 0; i < t->n_faces; i++) {
        fn_sighting *face = &t->faces[i];
        if (!face->track) {
            face->track = begin(t);
            face->kind = FN_PAIR_PLACE;
        }
        see(t, face);
        ids[i] = face->track->seen.id;
    }
    t->time_s = t->open_s;
    t->is_open = t->is_cut = 0;
    sweep(t, t->time_s);
    return FN_OK;
}

// --- Between frames -----------------------------------------------------------------------------

int fn_tracker_skip(fn_tracker *tracker, double time_s) {
    if (!tracker)
        return fn_fail(FN_EINVAL, "tracker: NULL");
    int rc = check_time(tracker, time_s);
    if (rc < 0)
        return rc;
    tracker->is_open = 0;
    recycle(tracker);
    for (size_t i = 0; i < tracker->n_live; i++)
        if (!tracker->live[i]->is_adrift)
            tracker->live[i]->seen.box = fn_track_predict(tracker->live[i], time_s);
    tracker->time_s = time_s;
    sweep(tracker, time_s);
    return FN_OK;
}

int fn_tracker_end(fn_tracker *tracker) {
    if (!tracker)
        return fn_fail(FN_EINVAL, "tracker: NULL");
    tracker->is_open = tracker->is_cut = 0;
    recycle(tracker);
    for (size_t i = 0; i < tracker->n_live; i++)
        tracker->live[i]->has_ended = 1;
    sweep(tracker, tracker->time_s);
    tracker->time_s = -INFINITY;
    return FN_OK;
}

void fn_tracker_forget_votes(fn_tracker *tracker) {
    for (size_t i = 0; tracker && i < tracker->n_live; i++) {
        fn_tracked *track = tracker->live[i];
        fn_vote_forget(&track->vote);
        fn_vote_tell(&track->seen, &track->vote);
        track->embedded_s = -INFINITY;
    }
}

// --- What callers read --------------------------------------------------------------------------

size_t fn_tracker_len(const fn_tracker *tracker) {
    return tracker ? tracker->n_live : 0;
}

const fn_track *fn_tracker_get(const fn_tracker *tracker, size_t index) {
    return index < fn_tracker_len(tracker) ? &tracker->live[index]->seen : NULL;
}

const fn_track *fn_tracker_find(const fn_tracker *tracker, uint32_t id) {
    for (size_t i = 0; i < fn_tracker_len(tracker); i++)
        if (tracker->live[i]->seen.id == id)
            return &tracker->live[i]->seen;
    return NULL;
}

size_t fn_tracker_n_ended(const fn_tracker *tracker) {
    return tracker ? tracker->n_ended : 0;
}

const fn_track *fn_tracker_ended(const fn_tracker *tracker, size_t index) {
    return index < fn_tracker_n_ended(tracker) ? &tracker->ended[index]->seen : NULL;
}
