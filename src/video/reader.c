// SPDX-License-Identifier: Apache-2.0
//
// The reader's thread: opens the source, gives each frame its time, puts it where it is taken from, and opens
// again what broke off (a live source, after a pause) or is to be repeated (a file).
//
// A frame of a live source has the time at which it came; what a stream says of time is not to be trusted,
// and after a break it begins anew. Frames of files have the file's times. They are delivered as they are
// taken; where only the newest is wanted, at the speed at which they were recorded.
#include "video/reader.h"

#include "base/error.h"
#include "video/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 10000 };

static double clock_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int is_over(void *user) {
    fn_video *v = user;
    if (atomic_load(&v->is_stopped))
        return FN_ECANCELLED;
    const int64_t deadline = atomic_load(&v->deadline_ms);
    return deadline && fn_clock_ms() > deadline ? FN_ETIMEOUT : FN_OK;
}

static void warn(void *user, const char *line) {
    fn_video_log(user, FN_LOG_WARNING, line);
}

// Sleeps; 0 when it was woken to stop.
static int pause_for(fn_video *v, int64_t ms) {
    const int64_t until = fn_clock_ms() + ms;
    pthread_mutex_lock(&v->lock);
    for (int64_t now; !atomic_load(&v->is_stopped) && (now = fn_clock_ms()) < until;)
        fn_video_wait(v, until - now);
    pthread_mutex_unlock(&v->lock);
    return !atomic_load(&v->is_stopped);
}

// ---- time ----------------------------------------------------------------------------------------------

static double recorded_time(fn_timeline *t, const fn_frame *frame, double base_s) {
    if (t->is_fresh) {
        t->base_s = base_s;
        t->first_s = isfinite(frame->time_s) ? frame->time_s : 0;
    }
    if (t->index == 0)
        return 0;
    const double at =
        isfinite(frame->time_s) ? t->base_s + frame->time_s - t->first_s : t->last_s + t->step_s;
    return at > t->last_s ? at : t->last_s + t->step_s;
}

// Waits until the frame is due. A gap longer than any silence that is allowed is a cut, not a wait.
static void pace(fn_video *v, double at) {
    fn_timeline *t = &v->timeline;
    const double early_s = t->origin_s + at - clock_s();
    if (early_s * 1000 > v->options.timeout_ms)
        t->origin_s -= early_s;
    else if (early_s > 0)
        pause_for(v, (int64_t)(early_s * 1000 + 0.5));
}

static void stamp(fn_video *v, fn_frame *frame) {
    fn_timeline *t = &v->timeline;
    const int is_live = v->info.is_live;
    if (t->index == 0)
        t->origin_s = clock_s();
    const double since_s = clock_s() - t->origin_s;
    double at = since_s;
    if (!is_live || v->comes_in_bursts) {
        const double next_s = t->index ? t->last_s + t->step_s : 0;
        at = recorded_time(t, frame, is_live && since_s > next_s ? since_s : next_s);
        if (is_live || v->options.policy == FN_FRAMES_NEWEST)
            pace(v, at);
    } else if (t->index && at <= t->last_s) {
        at = t->last_s + 1e-6;
    }
    frame->index = t->index++;
    frame->time_s = t->last_s = at;
    frame->clock_ms = fn_clock_ms();
    frame->is_break = t->is_fresh && t->is_break;
    t->is_fresh = 0;
}

// ---- frames --------------------------------------------------------------------------------------------

// Hands a frame over, or drops it when nobody wants any more.
static void put(fn_video *v, fn_frame *frame) {
    pthread_mutex_lock(&v->lock);
    v->counts.n_decoded++;
    v->is_open = 1;
    pthread_cond_broadcast(&v->changed);
    while (v->n_queued == v->capacity && !v->drops && !atomic_load(&v->is_stopped))
        pthread_cond_wait(&v->changed, &v->lock);
    if (atomic_load(&v->is_stopped)) {
        fn_frame_free(frame);
    } else {
        if (v->n_queued == v->capacity) {
            fn_frame *old = v->queue[0];
            v->n_queued--;
            memmove(v->queue, v->queue + 1, (size_t)v->n_queued * sizeof *v->queue);
            (v->n_queued ? v->queue[0] : frame)->is_break |= old->is_break;
            v->counts.n_dropped++;
            fn_frame_free(old);
        }
        v->queue[v->n_queued++] = frame;
        pthread_cond_broadcast(&v->changed);
    }
    pthread_mutex_unlock(&v->lock);
}

// What the first frame of all tells.
static void describe(fn_video *v, const fn_video_info *about, const fn_frame *frame, int orientation) {
    static const int degrees[] = {0, 0, 0, 180, 180, 270, 90, 90, 270}; // by EXIF's orientation
    v->info = *about;
    v->info.width = frame->image.width;
    v->info.height = frame->image.height;
    v->info.rotation = degrees[orientation];
    if (frame->time_s > 0 && frame->time_s < about->duration_s) // only sound until then
        v->info.duration_s -= frame->time_s;
    if (!v->info.n_frames)
        v->info.n_frames = (uint64_t)(v->info.duration_s * v->info.fps + 0.5);
    v->timeline.step_s = 1 / (about->fps > 0 ? about->fps : 25);
    if (v->options.policy == FN_FRAMES_AUTO)
        v->options.policy = about->is_live ? FN_FRAMES_NEWEST : FN_FRAMES_EVERY;
    v->drops = v->options.policy == FN_FRAMES_NEWEST;
    v->capacity = v->drops ? 1 : FN_VIDEO_QUEUE;
}

static void tell_that_it_is_back(fn_video *v) {
    char line[512];
    if (v->timeline.n_tries == 0)
        return;
    v->timeline.n_tries = 0;
    pthread_mutex_lock(&v->lock);
    v->counts.n_reconnects++;
    pthread_mutex_unlock(&v->lock);
    snprintf(line, sizeof line, "%s: it is back", v->name);
    fn_video_log(v, FN_LOG_INFO, line);
}

// One frame from the source to the queue. 0 at the end; negative: an error.
static int next(fn_video *v, fn_source *source, const fn_video_info *about) {
    fn_frame *frame = NULL;
    int orientation;
    uint64_t n_damaged = 0;
    int rc = fn_source_read(source, &frame, &orientation, &n_damaged);
    pthread_mutex_lock(&v->lock);
    v->counts.n_damaged += n_damaged;
    pthread_mutex_unlock(&v->lock);
    if (rc < 0 || !frame)
        return rc;
    atomic_store(&v->deadline_ms, 0);
    if (v->timeline.index == 0)
        describe(v, about, frame, orientation);
    tell_that_it_is_back(v);
    stamp(v, frame);
    put(v, frame);
    atomic_store(&v->deadline_ms, fn_clock_ms() + v->options.timeout_ms);
    return 1;
}

// From opening the source to its end.
static int play(fn_video *v) {
    const fn_source_request request = {
        .text = v->text, .options = &v->options, .is_over = is_over, .warn = warn, .user = v};
    fn_video_info about;
    fn_source *source;
    v->timeline.is_fresh = 1;
    atomic_store(&v->deadline_ms, fn_clock_ms() + v->options.timeout_ms);
    int rc = fn_source_open(&source, &request, &about, &v->comes_in_bursts);
    if (rc < 0)
        return rc;
    do {
        rc = next(v, source, &about);
    } while (rc > 0 && !atomic_load(&v->is_stopped));
    atomic_store(&v->deadline_ms, 0);
    fn_source_close(source);
    return rc;
}

// ---- again ---------------------------------------------------------------------------------------------

// After a break: 1 when it is time for the next try; else *rc is how the video ends.
static int try_again(fn_video *v, int *rc) {
    fn_timeline *t = &v->timeline;
    char why[512], line[640];
    snprintf(why, sizeof why, "%s", fn_last_error());
    if (*rc == FN_OK)
        snprintf(why, sizeof why, "%s: the stream has ended", v->name);
    if (v->options.reconnects < 0) {
        if (*rc < 0)
            *rc = fn_fail(FN_EIO, "%s", why);
        return 0;
    }
    if (v->options.reconnects > 0 && t->n_tries >= v->options.reconnects) {
        *rc = fn_fail(FN_EIO, "%s; given up after %d tries", why, t->n_tries);
        return 0;
    }
    int64_t ms = FIRST_PAUSE_MS;
    for (int i = 0; i < t->n_tries && ms < LONGEST_PAUSE_MS; i++)
        ms *= 2;
    ms = ms < LONGEST_PAUSE_MS ? ms : LONGEST_PAUSE_MS;
    t->n_tries++;
    snprintf(line, sizeof line, "%s; trying again in %.1f s", why, (double)ms / 1000);
    fn_video_log(v, FN_LOG_WARNING, line);
    return pause_for(v, ms);
}

void *fn_reader_run(void *video) {
    fn_video *v = video;
    fn_timeline *t = &v->timeline;
    int rc;
    for (;;) {
        const uint64_t before = t->index;
        rc = play(v);
        if (atomic_load(&v->is_stopped) || t->index == 0)
            break;
        if (!v->info.is_live && (rc < 0 || !v->options.loop || before == t->index))
            break;
        if (v->info.is_live && !try_again(v, &rc))
            break;
        t->is_break = 1;
    }
    pthread_mutex_lock(&v->lock);
    v->rc = rc;
    snprintf(v->message, sizeof v->message, "%s", rc < 0 ? fn_last_error() : "");
    v->is_over = 1;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->lock);
    fn_video_release(v);
    return NULL;
}
