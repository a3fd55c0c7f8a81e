// SPDX-License-Identifier: Apache-2.0
//
// Tracks become rows. While a track lives it is a sighted face with the best look at it as pixels; when it
// ends, the look becomes a JPEG file in memory, so that a long video costs a few kilobytes for each track.
#include <facenet/timeline.h>

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <facenet/quality.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_PICTURE = 1024,
    QUALITY = 80 // of the JPEG files
};
#define ROOM 1.5 // side of a picture, in sides of its box
#define DEFAULT_GAP_S 1.0
#define BETTER 1.05 // a look replaces another when it is so many times better

/// A track, or what is left of it.
typedef struct sighted {
    fn_track track; // as last told
    int has_nearest;
    fn_candidate nearest;
    double best, best_s; // best 0: no look yet
    fn_box best_box;
    unsigned char *pixels; // (picture, picture, 3) of the best look, while it lives
    unsigned char *jpeg;
    size_t n_jpeg;
} sighted;

typedef struct sighted_list {
    sighted *data;
    size_t n, capacity;
} sighted_list;

/// A row with what it owns.
typedef struct row {
    fn_timeline_row seen; // first: an fn_timeline_row * of ours points here
    fn_appearance *appearances;
    unsigned char *jpeg;
} row;

struct fn_timeline {
    fn_timeline_options options;
    sighted_list live, done; // done: confirmed ones only
    row *rows;
    size_t n_rows;
    uint64_t n_brief;
    int is_finished;
};

static int push(sighted_list *list, const sighted *item) {
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 16;
        sighted *data = fn_realloc(list->data, capacity, sizeof *data);
        if (!data)
            return fn_fail_memory();
        list->data = data;
        list->capacity = capacity;
    }
    list->data[list->n++] = *item;
    return FN_OK;
}

static void list_free(sighted_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        fn_free(list->data[i].pixels);
        fn_free(list->data[i].jpeg);
    }
    fn_free(list->data);
}

int fn_timeline_open(fn_timeline **out, const fn_timeline_options *options) {
    const fn_timeline_options defaults = FN_TIMELINE_OPTIONS_INIT;
    *out = NULL;
    options = options ? options : &defaults;
    if (options->version != FN_TIMELINE_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL,
                       "timeline options have version %d, expected %d: use FN_TIMELINE_OPTIONS_INIT",
                       options->version, FN_TIMELINE_OPTIONS_VERSION);
    if (!(options->gap_s >= 0) || options->picture < 0 || options->picture > MAX_PICTURE ||
        (options->index && !options->fingerprint))
        return fn_fail(FN_EINVAL,
                       "a timeline wants a gap of 0 s or more, pictures of at most %d pixels, and the "
                       "fingerprint of an index",
                       MAX_PICTURE);
    fn_timeline *t = fn_calloc(1, sizeof *t);
    if (!t)
        return fn_fail_memory();
    t->options = *options;
    if (options->gap_s == 0)
        t->options.gap_s = DEFAULT_GAP_S;
    *out = t;
    return FN_OK;
}

void fn_timeline_free(fn_timeline *timeline) {
    if (!timeline)
        return;
    list_free(&timeline->live);
    list_free(&timeline->done);
    for (size_t i = 0; i < timeline->n_rows; i++) {
        fn_free(timeline->rows[i].appearances);
        fn_free(timeline->rows[i].jpeg);
    }
    fn_free(timeline->rows);
    fn_free(timeline);
}

// ---- one frame -------------------------------------------------------------------------------

static sighted *find(sighted_list *list, uint32_t track) {
    for (size_t i = list->n; i-- > 0;)
        if (list->data[i].track.id == track)
            return &list->data[i];
    return NULL;
}

// What the stream tells of a track that lives. The rest is told when it ends.
static void follow(sighted *s, const fn_stream_face *face, const fn_stream_frame *frame) {
    s->track.is_confirmed |= face->is_confirmed;
    s->track.decision = face->decision;
    s->track.person = face->person;
    s->track.distance = face->distance;
    if (!frame->is_searched)
        return;
    s->track.last_s = frame->time_s;
    s->track.n_seen++;
}

static int compare_with_people(const fn_timeline *t, sighted *s, const float *vector) {
    fn_candidate candidate;
    size_t n = 0;
    if (!t->options.index || !vector)
        return FN_OK;
    const int rc = fn_index_search(&candidate, &n, t->options.index, vector, t->options.fingerprint, 1);
    if (rc == FN_OK && n && (!s->has_nearest || candidate.distance < s->nearest.distance)) {
        s->nearest = candidate;
        s->has_nearest = 1;
    }
    return rc;
}

// Keeps the picture of a face when it is the best so far. A face whose quality cannot be measured is no
// reason to stop.
static int look(const fn_timeline *t, sighted *s, const fn_stream_frame *frame, const fn_face *face) {
    const fn_image *image = fn_frame_image(frame->frame);
    fn_quality quality;
    int rc = fn_quality_measure(&quality, image, face);
    if (rc < 0)
        return rc == FN_ENOMEM ? rc : FN_OK;
    const double value = (double)fn_quality_worth(&quality);
    if (s->best > 0 && value < BETTER * s->best)
        return FN_OK;
    const int side = t->options.picture;
    if (side) {
        const double x = (double)face->box.x, y = (double)face->box.y, w = (double)face->box.width,
                     h = (double)face->box.height, size = ROOM * fmax(w, h);
        if (!s->pixels && !(s->pixels = fn_alloc((size_t)side * (size_t)side * 3)))
            return fn_fail_memory();
        rc = fn_image_resize(s->pixels, side, side, image, x + w / 2 - size / 2, y + h / 2 - size / 2, size,
                             size);
        if (rc < 0)
            return rc == FN_ENOMEM ? rc : FN_OK;
    }
    s->best = value;
    s->best_s = frame->time_s;
    s->best_box = face->box;
    return FN_OK;
}

static int take_face(fn_timeline *t, const fn_stream_frame *frame, const fn_stream_face *face) {
    sighted *s = find(&t->live, face->track);
    if (!s) {
        const sighted fresh = {
            .track = {.id = face->track, .first_s = frame->time_s, .last_s = frame->time_s},
            .best_s = frame->time_s,
            .best_box = face->face.box};
        const int rc = push(&t->live, &fresh);
        if (rc < 0)
            return rc;
        s = &t->live.data[t->live.n - 1];
    }
    follow(s, face, frame);
    int rc = compare_with_people(t, s, face->embedding);
    if (rc == FN_OK && frame->frame && (face->embedding || s->best == 0))
        rc = look(t, s, frame, &face->face);
    return rc;
}

// The picture as a file in memory, as small as it is.
static int encode(const fn_timeline *t, sighted *s) {
    const int side = t->options.picture;
    if (!s->pixels || s->best == 0)
        return FN_OK;
    const fn_image image = {s->pixels, side, side, (ptrdiff_t)side * 3, FN_PIXEL_RGB8};
    const size_t size = (size_t)side * (size_t)side * 3 + 4096;
    unsigned char *jpeg = fn_alloc(size), *smaller;
    if (!jpeg)
        return fn_fail_memory();
    const int rc = fn_image_encode_jpeg(jpeg, size, &s->n_jpeg, &image, QUALITY);
    if (rc < 0) {
        fn_free(jpeg);
        return rc;
    }
    smaller = fn_realloc(jpeg, s->n_jpeg, 1);
    s->jpeg = smaller ? smaller : jpeg;
    fn_free(s->pixels);
    s->pixels = NULL;
    return FN_OK;
}

// Takes a track out of those that live. Unless it was seen often enough to count, it is forgotten.
static int end(fn_timeline *t, size_t at) {
    sighted *s = &t->live.data[at];
    if (s->track.is_confirmed) {
        int rc = encode(t, s);
        if (rc == FN_OK)
            rc = push(&t->done, s);
        if (rc < 0)
            return rc;
    } else {
        fn_free(s->pixels);
        t->n_brief++;
    }
    t->live.n--;
    memmove(s, s + 1, (t->live.n - at) * sizeof *s);
    return FN_OK;
}

int fn_timeline_add(fn_timeline *timeline, const fn_stream_frame *frame) {
    if (timeline->is_finished)
        return fn_fail(FN_EINVAL, "the timeline is finished: no frame can be added");
    int rc = FN_OK;
    for (size_t i = 0; i < frame->n_faces && rc == FN_OK; i++)
        if (frame->faces[i].track)
            rc = take_face(timeline, frame, &frame->faces[i]);
    for (size_t i = 0; i < frame->n_ended && rc == FN_OK; i++) {
        sighted *s = find(&timeline->live, frame->ended[i].id);
        if (!s)
            continue;
        s->track = frame->ended[i];
        rc = end(timeline, (size_t)(s - timeline->live.data));
    }
    return rc;
}

// ---- rows ------------------------------------------------------------------------------------

static int is_known(const sighted *s) {
    return s->track.decision == FN_DECISION_KNOWN;
}

// Known people before others, person by person, each by time.
static int in_rows(const void *a, const void *b) {
    const sighted *x = a, *y = b;
    int order = is_known(y) - is_known(x);
    if (order == 0 && is_known(x))
        order = memcmp(x->track.person.bytes, y->track.person.bytes, FN_ID_SIZE);
    if (order == 0)
        order = (x->track.first_s > y->track.first_s) - (x->track.first_s < y->track.first_s);
    return order ? order : (x->track.id > y->track.id) - (x->track.id < y->track.id);
}

static int by_appearance(const void *a, const void *b) {
    const fn_timeline_row *x = a, *y = b; // of rows, whose first member this is
    if (x->decision != y->decision)
        return x->decision == FN_DECISION_KNOWN ? -1 : 1;
    const double dx = x->appearances[0].from_s, dy = y->appearances[0].from_s;
    const int order = (dx > dy) - (dx < dy);
    return order ? order : (x->track > y->track) - (x->track < y->track);
}

static void extend(row *r, const fn_track *track, double gap_s) {
    fn_appearance *last = r->seen.n_appearances ? &r->appearances[r->seen.n_appearances - 1] : NULL;
    if (!last || track->first_s - last->to_s >= gap_s) {
        r->appearances[r->seen.n_appearances++] =
            (fn_appearance){track->first_s, track->last_s, track->n_seen};
        return;
    }
    last->to_s = fmax(last->to_s, track->last_s);
    last->n_frames += track->n_seen;
}

// One row of n tracks, in order of time, whose pictures it takes.
static int make_row(row *r, sighted *tracks, size_t n, double gap_s) {
    *r = (row){.appearances = fn_calloc(n, sizeof *r->appearances)};
    if (!r->appearances)
        return fn_fail_memory();
    const int known = is_known(&tracks[0]);
    r->seen.decision = known ? FN_DECISION_KNOWN : FN_DECISION_UNKNOWN;
    r->seen.track = tracks[0].track.id;
    r->seen.n_tracks = n;
    if (known)
        r->seen.person = tracks[0].track.person;
    sighted *best = &tracks[0];
    for (size_t i = 0; i < n; i++) {
        const fn_track *track = &tracks[i].track;
        const fn_id whose = known ? track->person : tracks[i].nearest.person;
        const float distance = known ? track->distance : tracks[i].nearest.distance;
        r->seen.n_frames += track->n_seen;
        r->seen.n_switches += track->n_switches;
        r->seen.n_looks += track->n_embedded;
        r->seen.n_votes += track->n_votes;
        if ((known || tracks[i].has_nearest) && (!r->seen.has_nearest || distance < r->seen.distance)) {
            r->seen.has_nearest = 1;
            r->seen.nearest = whose;
            r->seen.distance = distance;
        }
        extend(r, track, gap_s);
        if (tracks[i].best > best->best)
            best = &tracks[i];
    }
    r->seen.appearances = r->appearances;
    r->seen.best_s = best->best_s;
    r->seen.best_box = best->best_box;
    r->seen.jpeg = r->jpeg = best->jpeg;
    r->seen.n_jpeg = best->n_jpeg;
    best->jpeg = NULL;
    return FN_OK;
}

int fn_timeline_finish(fn_timeline *timeline) {
    sighted_list *done = &timeline->done;
    if (timeline->is_finished)
        return FN_OK;
    if (timeline->rows) // a try before ran out of memory half-way
        return fn_fail_memory();
    while (timeline->live.n) {
        const int rc = end(timeline, timeline->live.n - 1);
        if (rc < 0)
            return rc;
    }
    row *rows = fn_calloc(done->n, sizeof *rows);
    if (!rows)
        return fn_fail_memory();
    if (done->n)
        qsort(done->data, done->n, sizeof *done->data, in_rows);
    timeline->rows = rows;
    for (size_t i = 0, n; i < done->n; i += n) {
        const fn_track *first = &done->data[i].track;
        for (n = 1; is_known(&done->data[i]) && i + n < done->n && is_known(&done->data[i + n]) &&
                    memcmp(done->data[i + n].track.person.bytes, first->person.bytes, FN_ID_SIZE) == 0;
             n++)
            ;
        const int rc = make_row(&rows[timeline->n_rows], &done->data[i], n, timeline->options.gap_s);
        if (rc < 0)
            return rc;
        timeline->n_rows++;
    }
    if (timeline->n_rows)
        qsort(rows, timeline->n_rows, sizeof *rows, by_appearance);
    timeline->is_finished = 1;
    return FN_OK;
}

uint64_t fn_timeline_n_brief(const fn_timeline *timeline) {
    return timeline->n_brief;
}

size_t fn_timeline_len(const fn_timeline *timeline) {
    return timeline->is_finished ? timeline->n_rows : 0;
}

const fn_timeline_row *fn_timeline_get(const fn_timeline *timeline, size_t index) {
    return index < fn_timeline_len(timeline) ? &timeline->rows[index].seen : NULL;
}
