// SPDX-License-Identifier: Apache-2.0
//
// A running picture down the road, on three threads: the video's own decodes; `search` looks for faces;
// `follow` embeds, tracks and names them; the caller takes what comes out. A job is one frame on its way.
// Queues are short, so that what comes out is fresh and memory does not grow with a slow caller.
#include <facenet/stream.h>

#include "base/alloc.h"
#include "base/error.h"
#include "pipeline/queue.h"
#include "pipeline/recognizer.h"
#include "video/frame.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    QUEUE = 2,       // frames between two threads
    MAX_FACES = 256, // of a frame, the best ones
    MIRRORED = 2     // EXIF's orientation of a picture seen in a mirror
};
#define SAME_FMR 1e-3     // two vectors this near are taken for one person by the tracker
#define LEAST_STEP_S 1e-4 // between two frames whose times do not rise

typedef struct job {
    fn_stream_frame seen; // what the caller gets
    fn_face *found;       // (n_faces) of the search
    fn_stream_face *faces;
    float *vectors; // (n_faces, dimension)
    fn_track *ended;
    int rc; // the video's end (0) or failure, when is_last
    int is_last;
    char message[1024];
} job;

struct fn_stream {
    fn_recognizer *recognizer;
    fn_video *video;
    fn_stream_options options;
    fn_tracker *tracker; // of `follow`
    fn_queue found, followed;
    pthread_t threads[2];
    int n_threads;
    pthread_mutex_t lock; // of the index
    int index_is_new;
    job *current, *last; // what the caller holds; the end, kept for every later call
    job *spare;          // of `search`: the end when there is no memory for another
};

static float ms_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (float)((double)(now.tv_sec - start->tv_sec) * 1e3 +
                   (double)(now.tv_nsec - start->tv_nsec) * 1e-6);
}

static void job_free(job *j) {
    if (!j)
        return;
    fn_frame_free(j->seen.frame);
    fn_free(j->found);
    fn_free(j->faces);
    fn_free(j->vectors);
    fn_free(j->ended);
    fn_free(j);
}

// What went wrong, for the caller's thread.
static void job_fails(job *j, int rc) {
    j->rc = rc;
    j->is_last = 1;
    snprintf(j->message, sizeof j->message, "%s", fn_last_error());
}

// ---- the first thread: frames to faces -------------------------------------------------------

static int find_faces(const fn_stream *s, job *j) {
    struct timespec start;
    fn_faces *faces = NULL;
    clock_gettime(CLOCK_MONOTONIC, &start);
    fn_detect_options detect = s->options.detect;
    if (detect.max_faces == 0 || detect.max_faces > MAX_FACES)
        detect.max_faces = MAX_FACES;
    int rc = fn_detector_run(s->recognizer->detector, fn_frame_image(j->seen.frame), &detect, &faces);
    if (rc < 0)
        return rc;
    j->seen.n_faces = fn_faces_len(faces);
    j->found = fn_calloc(j->seen.n_faces, sizeof *j->found);
    for (size_t i = 0; j->found && i < j->seen.n_faces; i++)
        j->found[i] = *fn_faces_get(faces, i);
    fn_faces_free(faces);
    j->seen.is_searched = 1;
    j->seen.times.detect_ms = ms_since(&start);
    return j->found ? FN_OK : fn_fail_memory();
}

static int search_frame(const fn_stream *s, job *j, fn_cut *cut, uint64_t number, double *time_s) {
    fn_frame *frame = j->seen.frame;
    int rc = s->options.mirror ? fn_frame_orient(frame, MIRRORED) : FN_OK;
    if (rc < 0)
        return rc;
    const int is_cut = fn_cut_is(cut, fn_frame_image(frame));
    if (is_cut < 0)
        return is_cut;
    *time_s = fmax(fn_frame_time(frame), *time_s + LEAST_STEP_S);
    j->seen.time_s = *time_s;
    j->seen.times.decode_ms = fn_frame_decode_ms(frame);
    j->seen.is_cut = is_cut || fn_frame_is_break(frame);
    return number % (uint64_t)s->options.every == 0 || j->seen.is_cut ? find_faces(s, j) : FN_OK;
}

static void *search(void *argument) {
    fn_stream *s = argument;
    fn_cut cut = {0};
    double time_s = -1;
    for (uint64_t number = 0;; number++) {
        job *j = fn_calloc(1, sizeof *j);
        int rc = j ? fn_video_next(s->video, &j->seen.frame) : fn_fail_memory();
        if (!j) {
            j = s->spare;
            s->spare = NULL;
        }
        if (rc == FN_OK && j->seen.frame)
            rc = search_frame(s, j, &cut, number, &time_s);
        else
            j->is_last = 1;
        if (rc < 0)
            job_fails(j, rc);
        const int is_last = j->is_last;
        if (!fn_queue_push(&s->found, j)) {
            job_free(j);
            return NULL;
        }
        if (is_last)
            return NULL;
    }
}

// ---- the second thread: faces to tracks ------------------------------------------------------

// The wanted faces in one go; a face that cannot be embedded keeps a vector of zeros.
static int embed(const fn_stream *s, job *j, const unsigned char *wanted) {
    const size_t d = (size_t)fn_embedder_dimension(s->recognizer->embedder), n = j->seen.n_faces;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (size_t i = 0; i < n; i++) {
        if (!wanted[i])
            continue;
        const int rc = fn_embedder_faces(s->recognizer->embedder, fn_frame_image(j->seen.frame), &j->found[i],
                                         1, j->vectors + i * d);
        if (rc == FN_ENOMEM)
            return rc;
        if (rc < 0)
            memset(j->vectors + i * d, 0, d * sizeof *j->vectors);
    }
    j->seen.times.embed_ms = ms_since(&start);
    return FN_OK;
}

static int is_zero(const float *vector, size_t d) {
    for (size_t k = 0; k < d; k++)
        if (vector[k] != 0)
            return 0;
    return 1;
}

// Who each wanted face is by itself. Holds the lock of the index.
static int decide(const fn_stream *s, const job *j, const unsigned char *wanted, fn_match *matches) {
    fn_embedder *embedder = s->recognizer->embedder;
    const size_t d = (size_t)fn_embedder_dimension(embedder);
    for (size_t i = 0; i < j->seen.n_faces; i++) {
        if (!wanted[i] || is_zero(j->vectors + i * d, d))
            continue;
        const int rc =
            fn_decide(&matches[i], s->options.index, j->vectors + i * d, fn_embedder_fingerprint(embedder),
                      fn_embedder_calibration(embedder), s->options.fmr);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

static void describe(fn_stream_face *face, const fn_track *track) {
    face->track = track->id;
    face->is_confirmed = track->is_confirmed;
    face->decision = track->decision;
    if (track->decision != FN_DECISION_KNOWN)
        return;
    face->person = track->person;
    face->distance = track->distance;
    face->fmr = track->fmr;
}

static int follow_searched(fn_stream *s, job *j) {
    const size_t n = j->seen.n_faces, d = (size_t)fn_embedder_dimension(s->recognizer->embedder);
    unsigned char *wanted = fn_calloc(n, 1);
    fn_match *matches = fn_calloc(n, sizeof *matches);
    uint32_t *ids = fn_calloc(n, sizeof *ids);
    j->faces = fn_calloc(n, sizeof *j->faces);
    j->vectors = fn_calloc(n * d, sizeof *j->vectors);
    int rc = wanted && matches && ids && j->faces && j->vectors ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_tracker_associate(s->tracker, j->seen.time_s, j->seen.is_cut, j->found, n, wanted);
    if (rc == FN_OK)
        rc = embed(s, j, wanted);
    if (rc == FN_OK) {
        pthread_mutex_lock(&s->lock);
        if (s->index_is_new)
            fn_tracker_forget_votes(s->tracker);
        s->index_is_new = 0;
        if (s->options.index)
            rc = decide(s, j, wanted, matches);
        const int knows = s->options.index != NULL;
        pthread_mutex_unlock(&s->lock);
        if (rc == FN_OK)
            rc = fn_tracker_update(s->tracker, j->vectors, knows ? matches : NULL, ids);
    }
    for (size_t i = 0; i < n && rc == FN_OK; i++) {
        const fn_track *track = fn_tracker_find(s->tracker, ids[i]);
        j->faces[i].face = j->found[i];
        if (track)
            describe(&j->faces[i], track);
        if (wanted[i] && !is_zero(j->vectors + i * d, d))
            j->faces[i].embedding = j->vectors + i * d;
    }
    fn_free(ids);
    fn_free(matches);
    fn_free(wanted);
    return rc;
}

static int compare(float a, float b) {
    return (a > b) - (a < b);
}

// By the middle of the box, as the detector gives them; ties by track, of which no two are one.
static int left_first(const void *pa, const void *pb) {
    const fn_stream_face *fa = pa, *fb = pb;
    const fn_box *a = &fa->face.box, *b = &fb->face.box;
    int order = compare(a->x + a->width / 2, b->x + b->width / 2);
    if (order == 0)
        order = compare(a->y + a->height / 2, b->y + b->height / 2);
    return order ? order : (fa->track > fb->track) - (fa->track < fb->track);
}

// Between two searches: those seen at the last one, where they are expected.
static int follow_skipped(const fn_stream *s, job *j) {
    int rc = fn_tracker_skip(s->tracker, j->seen.time_s);
    if (rc < 0)
        return rc;
    const size_t n = fn_tracker_len(s->tracker);
    j->faces = fn_calloc(n, sizeof *j->faces);
    if (!j->faces)
        return fn_fail_memory();
    for (size_t i = 0; i < n; i++) {
        const fn_track *track = fn_tracker_get(s->tracker, i);
        if (!track->is_seen)
            continue;
        fn_stream_face *face = &j->faces[j->seen.n_faces++];
        face->face.box = track->box;
        describe(face, track);
    }
    qsort(j->faces, j->seen.n_faces, sizeof *j->faces, left_first);
    return FN_OK;
}

static int take_ended(const fn_stream *s, job *j) {
    const size_t n = fn_tracker_n_ended(s->tracker);
    if (!n)
        return FN_OK;
    j->ended = fn_calloc(n, sizeof *j->ended);
    if (!j->ended)
        return fn_fail_memory();
    for (size_t i = 0; i < n; i++) {
        j->ended[i] = *fn_tracker_ended(s->tracker, i);
        j->ended[i].mean = NULL;
    }
    j->seen.ended = j->ended;
    j->seen.n_ended = n;
    return FN_OK;
}

static int show_found(job *j) {
    j->faces = fn_calloc(j->seen.n_faces, sizeof *j->faces);
    if (!j->faces)
        return fn_fail_memory();
    for (size_t i = 0; i < j->seen.n_faces; i++)
        j->faces[i].face = j->found[i];
    return FN_OK;
}

static int follow_frame(fn_stream *s, job *j) {
    if (!s->tracker)
        return show_found(j);
    int rc = j->seen.is_searched ? follow_searched(s, j) : follow_skipped(s, j);
    return rc == FN_OK ? take_ended(s, j) : rc;
}

static void *follow(void *argument) {
    fn_stream *s = argument;
    job *j;
    while ((j = fn_queue_pop(&s->found))) {
        if (!j->is_last) {
            const int rc = follow_frame(s, j);
            if (rc < 0)
                job_fails(j, rc);
        }
        if (j->is_last && s->tracker && fn_tracker_end(s->tracker) == FN_OK) {
            const int rc = take_ended(s, j);
            if (rc < 0 && j->rc == FN_OK)
                job_fails(j, rc);
        }
        j->seen.faces = j->faces;
        if (j->seen.frame)
            j->seen.times.latency_ms = (float)(fn_clock_ms() - fn_frame_clock_ms(j->seen.frame));
        const int is_last = j->is_last;
        if (!fn_queue_push(&s->followed, j)) {
            job_free(j);
            return NULL;
        }
        if (is_last) {
            fn_queue_stop(&s->found);
            return NULL;
        }
    }
    fn_queue_stop(&s->followed);
    return NULL;
}

// ---- the caller ------------------------------------------------------------------------------

// An index fits when its vectors can be compared with ours and a distance means something.
static int check_index(const fn_recognizer *recognizer, const fn_index *index, double fmr) {
    if (!index)
        return FN_OK;
    const fn_calibration *calibration = fn_embedder_calibration(recognizer->embedder);
    fn_match match;
    float threshold;
    if (!calibration)
        return fn_fail(FN_EMODEL, "the model has no calibration, so no distance means a name");
    int rc = fn_calibration_threshold(&threshold, calibration, fmr);
    if (rc < 0)
        return rc;
    const int d = fn_embedder_dimension(recognizer->embedder);
    float *any = fn_calloc((size_t)d, sizeof *any);
    if (!any)
        return fn_fail_memory();
    any[0] = 1;
    rc = fn_decide(&match, index, any, fn_embedder_fingerprint(recognizer->embedder), calibration, fmr);
    fn_free(any);
    return rc;
}

static int open_tracker(fn_stream *s) {
    fn_embedder *embedder = s->recognizer->embedder;
    fn_tracker_options tracker = s->options.tracker;
    if (s->options.no_tracks)
        return FN_OK;
    if (!embedder)
        return fn_fail(FN_EINVAL, "following faces needs a recognizer with an embedder, or no_tracks");
    tracker.dimension = fn_embedder_dimension(embedder);
    const fn_calibration *calibration = fn_embedder_calibration(embedder);
    if (tracker.same == 0 && calibration)
        fn_calibration_threshold(&tracker.same, calibration, SAME_FMR); // too few pairs: the default
    int rc = check_index(s->recognizer, s->options.index, s->options.fmr);
    return rc == FN_OK ? fn_tracker_open(&s->tracker, &tracker) : rc;
}

// Signals are the program's: they go to its own threads.
static int start(fn_stream *s) {
    static void *(*const work[2])(void *) = {search, follow};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (s->n_threads < 2 && !pthread_create(&s->threads[s->n_threads], NULL, work[s->n_threads], s))
        s->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return s->n_threads == 2 ? FN_OK : fn_fail(FN_ENOMEM, "no thread could be started");
}

int fn_stream_open(fn_stream **out, fn_recognizer *recognizer, fn_video *video,
                   const fn_stream_options *options) {
    const fn_stream_options defaults = FN_STREAM_OPTIONS_INIT;
    *out = NULL;
    options = options ? options : &defaults;
    if (options->version != FN_STREAM_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "stream options have version %d, expected %d: use FN_STREAM_OPTIONS_INIT",
                       options->version, FN_STREAM_OPTIONS_VERSION);
    if (!recognizer || !video || options->every < 0)
        return fn_fail(FN_EINVAL,
                       "a stream needs a recognizer, a video, and a search in every 1 or more frames");
    fn_stream *s = fn_calloc(1, sizeof *s);
    if (!s)
        return fn_fail_memory();
    s->recognizer = recognizer;
    s->video = video;
    s->options = *options;
    s->options.every = options->every ? options->every : 1;
    s->options.fmr = options->fmr > 0 ? options->fmr : 1e-4;
    fn_queue_init(&s->found, QUEUE);
    fn_queue_init(&s->followed, QUEUE);
    pthread_mutex_init(&s->lock, NULL);
    s->spare = fn_calloc(1, sizeof *s->spare);
    int rc = s->spare ? open_tracker(s) : fn_fail_memory();
    if (rc == FN_OK)
        rc = start(s);
    if (rc < 0) {
        fn_stream_free(s);
        return rc;
    }
    *out = s;
    return FN_OK;
}

static void drain(fn_queue *queue) {
    job *j;
    while ((j = fn_queue_drain(queue)))
        job_free(j);
    fn_queue_destroy(queue);
}

void fn_stream_stop(fn_stream *stream) {
    fn_video_stop(stream->video);
    fn_queue_stop(&stream->found);
    fn_queue_stop(&stream->followed);
}

void fn_stream_free(fn_stream *stream) {
    if (!stream)
        return;
    fn_stream_stop(stream);
    for (int i = 0; i < stream->n_threads; i++)
        pthread_join(stream->threads[i], NULL);
    drain(&stream->found);
    drain(&stream->followed);
    job_free(stream->current);
    job_free(stream->last);
    job_free(stream->spare);
    fn_tracker_free(stream->tracker);
    pthread_mutex_destroy(&stream->lock);
    fn_free(stream);
}

int fn_stream_next(fn_stream *stream, const fn_stream_frame **out) {
    *out = NULL;
    job_free(stream->current);
    stream->current = NULL;
    if (stream->last)
        return stream->last->rc < 0 ? fn_fail(stream->last->rc, "%s", stream->last->message) : FN_OK;
    job *j = fn_queue_pop(&stream->followed);
    if (!j)
        return fn_fail(FN_ECANCELLED, "the stream was stopped");
    if (!j->is_last) {
        stream->current = j;
        *out = &j->seen;
        return FN_OK;
    }
    stream->last = j; // its tracks first, the end or the failure with the next call
    fn_frame_free(j->seen.frame);
    j->seen.frame = NULL;
    j->seen.n_faces = 0;
    *out = &j->seen;
    return FN_OK;
}

int fn_stream_wait(fn_stream *stream, int timeout_ms) {
    return stream->last || fn_queue_wait(&stream->followed, timeout_ms > 0 ? timeout_ms : 0);
}

int fn_stream_set_index(fn_stream *stream, const fn_index *index) {
    if (!stream->tracker)
        return fn_fail(FN_EINVAL, "a stream that follows nobody needs no index");
    int rc = check_index(stream->recognizer, index, stream->options.fmr);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&stream->lock);
    stream->options.index = index;
    stream->index_is_new = 1;
    pthread_mutex_unlock(&stream->lock);
    return FN_OK;
}
