// SPDX-License-Identifier: Apache-2.0
//
// Many files on several threads, results in the order of the paths. A ring of 2 x jobs slots bounds
// the memory: the calling thread fills slots at the tail and hands out results at the head, workers
// take the slots between. head <= taken <= tail, and a slot belongs to exactly one side at a time:
// to the caller before it is filled and after it is done, to one worker in between.
#define _GNU_SOURCE // sched_getaffinity
#include "pipeline/recognizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define MAX_JOBS 1024

typedef struct slot {
    char *path;
    fn_analysis_owner *analysis;
    int done;
} slot;

typedef struct ring {
    fn_recognizer *recognizer;
    const fn_analyze_options *options;
    slot *slots;
    size_t n_slots;
    uint64_t head, taken, tail; // counts of delivered, started and filled slots
    int stop;                   // no more work: workers leave
    pthread_mutex_t lock;
    pthread_cond_t work; // something to take, or stop
    pthread_cond_t done; // a slot was done
} ring;

static int n_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

static void *worker(void *argument) {
    ring *r = argument;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->stop && r->taken == r->tail)
            pthread_cond_wait(&r->work, &r->lock);
        if (r->stop)
            break;
        slot *s = &r->slots[r->taken++ % r->n_slots];
        pthread_mutex_unlock(&r->lock);
        fn_analysis_fill_file(s->analysis, r->recognizer, s->path, r->options);
        pthread_mutex_lock(&r->lock);
        s->done = 1;
        pthread_cond_signal(&r->done);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void slot_clear(slot *s) {
    fn_free(s->path);
    if (s->analysis)
        fn_analysis_free(&s->analysis->seen);
    *s = (slot){0};
}

// Puts one path into the slot at the tail. The slot is the caller's until tail moves.
static int fill(ring *r, const char *path) {
    slot *s = &r->slots[r->tail % r->n_slots];
    s->path = fn_strdup(path);
    s->analysis = s->path ? fn_analysis_open() : NULL;
    if (!s->analysis) {
        slot_clear(s);
        return fn_fail_memory();
    }
    pthread_mutex_lock(&r->lock);
    r->tail++;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    return FN_OK;
}

// Waits for the slot at the head and hands its analysis to the caller.
static int deliver(ring *r, int (*result)(void *, const char *, fn_analysis *, int *), void *user) {
    slot *s = &r->slots[r->head % r->n_slots];
    pthread_mutex_lock(&r->lock);
    while (!s->done)
        pthread_cond_wait(&r->done, &r->lock);
    pthread_mutex_unlock(&r->lock);
    int keep = 0;
    int rc = result(user, s->path, &s->analysis->seen, &keep);
    if (keep)
        s->analysis = NULL;
    slot_clear(s);
    r->head++;
    return rc;
}

static int run(ring *r, const char *(*next)(void *),
               int (*result)(void *, const char *, fn_analysis *, int *), void *user,
               const fn_control *control) {
    int at_end = 0;
    int rc = fn_control_step(control, 0, 0);
    while (rc == FN_OK) {
        while (!at_end && rc == FN_OK && r->tail - r->head < r->n_slots) {
            const char *path = next(user);
            if (path)
                rc = fill(r, path);
            else
                at_end = 1;
        }
        if (rc != FN_OK || r->head == r->tail)
            break;
        rc = deliver(r, result, user);
        if (rc == FN_OK)
            rc = fn_control_step(control, r->head, 0);
    }
    return rc;
}

// Signals are the program's: they go to its own threads.
static int start_workers(ring *r, pthread_t *threads, int jobs, int *n_started) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (*n_started = 0; *n_started < jobs; (*n_started)++)
        if (pthread_create(&threads[*n_started], NULL, worker, r))
            break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return *n_started ? FN_OK : fn_fail(FN_ENOMEM, "no thread could be started");
}

int fn_recognizer_files(fn_recognizer *recognizer, const char *(*next)(void *user),
                        int (*result)(void *user, const char *path, fn_analysis *analysis, int *keep),
                        void *user, int jobs, const fn_analyze_options *options, const fn_control *control) {
    const fn_analyze_options defaults = FN_ANALYZE_OPTIONS_INIT;
    options = options ? options : &defaults;
    if (options->version != FN_ANALYZE_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "analyze options have version %d, expected %d: use FN_ANALYZE_OPTIONS_INIT",
                       options->version, FN_ANALYZE_OPTIONS_VERSION);
    if (jobs < 0 || jobs > MAX_JOBS)
        return fn_fail(FN_EINVAL, "%d jobs: expected 0 to %d", jobs, MAX_JOBS);
    if (jobs == 0) {
        jobs = n_processors();
        jobs = jobs < MAX_JOBS ? jobs : MAX_JOBS;
    }
    ring r = {.recognizer = recognizer,
              .options = options,
              .n_slots = 2 * (size_t)jobs,
              .lock = PTHREAD_MUTEX_INITIALIZER,
              .work = PTHREAD_COND_INITIALIZER,
              .done = PTHREAD_COND_INITIALIZER};
    pthread_t *threads = fn_calloc((size_t)jobs, sizeof *threads);
    r.slots = fn_calloc(r.n_slots, sizeof *r.slots);
    int n_started = 0, rc = FN_OK;
    if (!threads || !r.slots)
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = start_workers(&r, threads, jobs, &n_started);
    if (rc == FN_OK)
        rc = run(&r, next, result, user, control);

    pthread_mutex_lock(&r.lock);
    r.stop = 1;
    pthread_cond_broadcast(&r.work);
    pthread_mutex_unlock(&r.lock);
    for (int i = 0; i < n_started; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; r.slots && i < r.n_slots; i++)
        slot_clear(&r.slots[i]);
    fn_free(r.slots);
    fn_free(threads);
    pthread_cond_destroy(&r.done);
    pthread_cond_destroy(&r.work);
    pthread_mutex_destroy(&r.lock);
    return rc;
}
