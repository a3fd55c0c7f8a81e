// SPDX-License-Identifier: Apache-2.0
//
// A video as its caller sees it. What the reader's thread does is in reader.c; here is how it is started,
// waited for and left. A thread that hangs in the system (a name server, a camera's driver) is not waited
// for: it is a holder of the video and frees it when it comes back.
#include "video/reader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "video/source.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { TICK_MS = 100, PATIENCE_MS = 2000, TIMEOUT_MS = 10000, MAX_SIDE = 65535, MAX_THREADS = 64 };

#define MAX_PIXELS ((uint64_t)1 << 26)
#define MAX_FPS 1000.0

// ---- waiting -------------------------------------------------------------------------------------------

void fn_video_wait(fn_video *video, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&video->changed, &video->lock, &until);
}

void fn_video_log(fn_video *video, fn_log_level level, const char *line) {
    pthread_mutex_lock(&video->talk);
    fn_control_log(video->control, level, "%s", line);
    pthread_mutex_unlock(&video->talk);
}

// One tick of a wait, after which the caller is asked whether it is to go on. The lock is held.
static int tick(fn_video *v) {
    const uint64_t done = v->counts.n_delivered, total = v->is_open ? v->info.n_frames : 0;
    fn_video_wait(v, TICK_MS);
    if (!v->control)
        return FN_OK;
    pthread_mutex_unlock(&v->lock); // the callback may stop the video
    pthread_mutex_lock(&v->talk);
    const int rc = fn_control_step(v->control, done, total);
    pthread_mutex_unlock(&v->talk);
    pthread_mutex_lock(&v->lock);
    return rc;
}

// ---- opening -------------------------------------------------------------------------------------------

static int check(const fn_video_options *o, const char *source) {
    if (o->version != FN_VIDEO_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "video: options of version %d, expected %d", o->version,
                       FN_VIDEO_OPTIONS_VERSION);
    if (o->policy < FN_FRAMES_AUTO || o->policy > FN_FRAMES_NEWEST)
        return fn_fail(FN_EINVAL, "video: frame policy %d does not exist", (int)o->policy);
    if (o->width < 0 || o->height < 0 || o->width > MAX_SIDE || o->height > MAX_SIDE)
        return fn_fail(FN_EINVAL, "video: a camera of %d x %d pixels, each side must be 1 to %d", o->width,
                       o->height, MAX_SIDE);
    if (!(o->fps >= 0 && o->fps <= MAX_FPS))
        return fn_fail(FN_EINVAL, "video: %g frames per second, expected 0 to %g", o->fps, MAX_FPS);
    if (o->timeout_ms < 0 || o->reconnects < -1)
        return fn_fail(FN_EINVAL, "video: a timeout of %d ms and %d reconnects", o->timeout_ms,
                       o->reconnects);
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return fn_fail(FN_EINVAL, "video: %d threads, expected 0 to %d", o->threads, MAX_THREADS);
    if (o->max_pixels > INT32_MAX)
        return fn_fail(FN_EINVAL, "video: a limit of %llu pixels, the largest is %d",
                       (unsigned long long)o->max_pixels, INT32_MAX);
    if (o->loop && strcmp(source, "-") == 0)
        return fn_fail(FN_EINVAL, "standard input cannot be played twice");
    return FN_OK;
}

void fn_video_release(fn_video *video) {
    if (atomic_fetch_sub(&video->n_holders, 1) != 1)
        return;
    for (int i = 0; i < video->n_queued; i++)
        fn_frame_free(video->queue[i]);
    pthread_mutex_destroy(&video->lock);
    pthread_mutex_destroy(&video->talk);
    pthread_cond_destroy(&video->changed);
    fn_free(video->text);
    fn_free(video->name);
    fn_free(video);
}

static fn_video *new_video(const char *source, const fn_video_options *options, const fn_control *control) {
    pthread_condattr_t monotonic;
    fn_video *v = fn_calloc(1, sizeof *v);
    if (!v)
        return NULL;
    pthread_mutex_init(&v->lock, NULL);
    pthread_mutex_init(&v->talk, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&v->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    atomic_init(&v->n_holders, 1);
    v->options = *options;
    v->control = control;
    v->capacity = 1;
    v->text = fn_strdup(source);
    for (char *p = v->text; p && strstr(v->text, "://") && *p != ':'; p++) // HTTP://... is an address too
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
    v->name = fn_source_name(source);
    if (!v->options.timeout_ms)
        v->options.timeout_ms = TIMEOUT_MS;
    if (!v->options.max_pixels)
        v->options.max_pixels = MAX_PIXELS;
    if (v->text && v->name)
        return v;
    fn_video_release(v);
    return NULL;
}

// Signals are the program's: they go to its own threads.
static int start(fn_video *v) {
    sigset_t all, before;
    sigfillset(&all);
    atomic_fetch_add(&v->n_holders, 1);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&v->thread, NULL, fn_reader_run, v);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!failed)
        return FN_OK;
    fn_video_release(v);
    return fn_fail(FN_ENOMEM, "no thread could be started");
}

int fn_video_open(fn_video **out, const char *source, const fn_video_options *options,
                  const fn_control *control) {
    static const fn_video_options defaults = FN_VIDEO_OPTIONS_INIT;
    if (!out)
        return fn_fail(FN_EINVAL, "video: no place for it");
    *out = NULL;
    if (!source || !*source)
        return fn_fail(FN_EINVAL, "video: no source");
    if (!options)
        options = &defaults;
    int rc = check(options, source);
    if (rc < 0)
        return rc;
    fn_video *v = new_video(source, options, control);
    if (!v)
        return fn_fail_memory();
    rc = start(v);
    if (rc < 0) {
        fn_video_release(v);
        return rc;
    }
    char message[sizeof v->message];
    pthread_mutex_lock(&v->lock);
    while (rc == FN_OK && !v->is_open && !v->is_over)
        rc = tick(v);
    if (rc < 0)
        snprintf(message, sizeof message, "%s", fn_last_error());
    else if (!v->is_open) {
        rc = v->rc < 0 ? v->rc : FN_EINTERNAL;
        snprintf(message, sizeof message, "%s", v->message);
    }
    pthread_mutex_unlock(&v->lock);
    if (rc < 0) {
        fn_video_free(v);
        return fn_fail(rc, "%s", message);
    }
    *out = v;
    return FN_OK;
}

// ---- frames --------------------------------------------------------------------------------------------

int fn_video_next(fn_video *video, fn_frame **out) {
    if (!video || !out)
        return fn_fail(FN_EINVAL, "video: none, or no place for the frame");
    *out = NULL;
    int rc = FN_OK;
    pthread_mutex_lock(&video->lock);
    while (rc == FN_OK && !video->n_queued && !video->is_over && !atomic_load(&video->is_stopped))
        rc = tick(video);
    if (rc < 0) {
        // the caller's control has said enough
    } else if (atomic_load(&video->is_stopped)) {
        rc = fn_fail(FN_ECANCELLED, "%s: stopped", video->name);
    } else if (video->n_queued) {
        *out = video->queue[0];
        video->n_queued--;
        memmove(video->queue, video->queue + 1, (size_t)video->n_queued * sizeof *video->queue);
        video->counts.n_delivered++;
        pthread_cond_broadcast(&video->changed);
    } else if (video->rc < 0) {
        rc = fn_fail(video->rc, "%s", video->message);
    }
    pthread_mutex_unlock(&video->lock);
    return rc;
}

void fn_video_stop(fn_video *video) {
    if (!video)
        return;
    pthread_mutex_lock(&video->lock);
    atomic_store(&video->is_stopped, 1);
    pthread_cond_broadcast(&video->changed);
    pthread_mutex_unlock(&video->lock);
}

void fn_video_free(fn_video *video) {
    if (!video)
        return;
    fn_video_stop(video);
    const int64_t until = fn_clock_ms() + PATIENCE_MS;
    pthread_mutex_lock(&video->lock);
    for (int64_t now; !video->is_over && (now = fn_clock_ms()) < until;)
        fn_video_wait(video, until - now);
    const int is_over = video->is_over;
    pthread_mutex_unlock(&video->lock);
    if (is_over)
        pthread_join(video->thread, NULL);
    else
        pthread_detach(video->thread);
    pthread_mutex_lock(&video->talk);
    video->control = NULL;
    pthread_mutex_unlock(&video->talk);
    fn_video_release(video);
}

const char *fn_video_name(const fn_video *video) {
    return video->name;
}

const fn_video_info *fn_video_get_info(const fn_video *video) {
    return video ? &video->info : NULL;
}

fn_video_counts fn_video_get_counts(fn_video *video) {
    pthread_mutex_lock(&video->lock);
    const fn_video_counts counts = video->counts;
    pthread_mutex_unlock(&video->lock);
    return counts;
}
