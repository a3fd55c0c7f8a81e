// SPDX-License-Identifier: Apache-2.0
//
// Threads that take the next item each, until none is left or one has failed.
#define _GNU_SOURCE // sched_getaffinity
#include "train/workers.h"

#include "base/alloc.h"
#include "base/error.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#define MAX_JOBS 1024

typedef struct pool {
    int n, next, done;
    int (*work)(void *user, int item);
    void *user;
    const fn_control *control;
    int rc; // of the first failure
    char message[1024];
    pthread_mutex_t lock;
} pool;

int fn_workers_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n < MAX_JOBS ? n : MAX_JOBS;
}

static void note(pool *p, int rc) {
    if (rc == FN_OK || p->rc != FN_OK)
        return;
    p->rc = rc;
    snprintf(p->message, sizeof p->message, "%s", fn_last_error());
}

static _Thread_local pool *working; // of a worker thread

void fn_workers_log(const char *format, ...) {
    char line[1100];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    pthread_mutex_lock(&working->lock);
    fn_control_log(working->control, FN_LOG_WARNING, "%s", line);
    pthread_mutex_unlock(&working->lock);
}

static void *worker(void *argument) {
    pool *p = working = argument;
    pthread_mutex_lock(&p->lock);
    while (p->rc == FN_OK && p->next < p->n) {
        int item = p->next++;
        pthread_mutex_unlock(&p->lock);
        int rc = p->work(p->user, item);
        pthread_mutex_lock(&p->lock);
        note(p, rc);
        if (p->rc == FN_OK)
            note(p, fn_control_step(p->control, (uint64_t)++p->done, (uint64_t)p->n));
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int fn_workers_run(int n, int jobs, int (*work)(void *user, int item), void *user,
                   const fn_control *control) {
    if (jobs < 0 || jobs > MAX_JOBS)
        return fn_fail(FN_EINVAL, "%d jobs: expected 0 to %d", jobs, MAX_JOBS);
    int rc = fn_control_step(control, 0, (uint64_t)n);
    if (rc < 0 || n <= 0)
        return rc;
    jobs = jobs ? jobs : fn_workers_processors();
    jobs = jobs < n ? jobs : n;
    pool p = {.n = n, .work = work, .user = user, .control = control, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t *threads = fn_calloc((size_t)jobs, sizeof *threads);
    if (!threads)
        return fn_fail_memory();
    // Signals are the program's: they go to its own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int n_started = 0;
    while (n_started < jobs && !pthread_create(&threads[n_started], NULL, worker, &p))
        n_started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    for (int i = 0; i < n_started; i++)
        pthread_join(threads[i], NULL);
    pthread_mutex_destroy(&p.lock);
    fn_free(threads);
    if (n_started == 0)
        return fn_fail(FN_ENOMEM, "no thread could be started");
    return p.rc == FN_OK ? FN_OK : fn_fail(p.rc, "%s", p.message);
}
