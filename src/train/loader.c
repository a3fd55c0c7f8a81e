// SPDX-License-Identifier: Apache-2.0
//
// A ring of batches. The steps are planned in order; workers take single images, of the oldest step first;
// the caller takes a batch when its last image is done. head <= step being made <= tail, and a slot's memory
// belongs to the workers from its planning until it is complete, then to the caller until the next call.
#include "train/loader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/crop_cache.h"
#include "train/share.h"
#include "train/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#define MAX_THREADS 256
#define MAX_SLOTS 3
#define LARGE_BATCH ((size_t)128 << 20) // bytes; of larger ones only two are held

typedef struct slot {
    uint64_t step;
    int n, first, n_rows; // images, and those of our share
    int n_taken, n_done;  // of our share
    int *image, *label;   // (n_max)
    float *pixels;        // (rows_max, 3, height, width)
    int rc, failed_at;    // of the first image in the batch that failed
    char message[1024];
} slot;

struct fn_loader {
    fn_loader_options options;
    fn_crop_cache *cache;
    size_t n_item; // floats of one image
    slot slots[MAX_SLOTS];
    size_t n_slots;
    uint64_t head, tail; // batches handed out and planned, counted from first_step
    int holds;           // the caller has the batch before head
    int at_end;          // the last slot planned holds the end or an error
    int stop;
    double waited_s;
    pthread_mutex_t lock;
    pthread_cond_t work; // an image to take, room to plan, or stop
    pthread_cond_t done; // a batch is complete
    pthread_t threads[MAX_THREADS];
    int n_threads;
};

static int is_complete(const slot *s) {
    return s->n_done == s->n_rows;
}

static void slot_failed(slot *s, int at, int rc) {
    if (s->rc != FN_OK && s->failed_at <= at)
        return;
    s->rc = rc;
    s->failed_at = at;
    snprintf(s->message, sizeof s->message, "%s", fn_last_error());
}

/// Fills the slot at the tail with the images of its step. Holds the lock.
static void plan(fn_loader *loader) {
    const fn_loader_options *o = &loader->options;
    slot *s = &loader->slots[loader->tail % loader->n_slots];
    s->step = o->first_step + loader->tail;
    s->n_taken = s->n_done = 0;
    s->rc = FN_OK;
    s->first = s->n_rows = 0;
    s->n = o->batch(o->user, s->step, s->image);
    int n_images = fn_dataset_n_images(o->dataset);
    if (s->n < 0)
        slot_failed(s, 0, s->n);
    else if (s->n > o->n_max)
        slot_failed(s, 0,
                    fn_fail(FN_EINTERNAL, "step %llu has %d images, more than %d",
                            (unsigned long long)s->step, s->n, o->n_max));
    for (int i = 0; i < s->n && s->rc == FN_OK; i++) {
        if (s->image[i] < 0 || s->image[i] >= n_images)
            slot_failed(s, 0,
                        fn_fail(FN_EINTERNAL, "step %llu asks for image %d of %d",
                                (unsigned long long)s->step, s->image[i], n_images));
        else
            s->label[i] = fn_dataset_image_person(o->dataset, s->image[i]);
    }
    if (s->rc != FN_OK)
        s->n = 0;
    if (s->n == 0)
        loader->at_end = 1;
    s->first = fn_share_start(s->n, o->shares, o->share);
    s->n_rows = fn_share_start(s->n, o->shares, o->share + 1) - s->first;
    loader->tail++;
    if (s->n_rows == 0)
        pthread_cond_signal(&loader->done);
    pthread_cond_broadcast(&loader->work);
}

/// The number of a sample among all, spread over 32 bits (the finaliser of MurmurHash3, 64 bits).
static uint32_t sample_number(uint64_t step, int at) {
    uint64_t h = step * 0x9E3779B97F4A7C15U + (uint64_t)at + 1;
    h = (h ^ h >> 33) * 0xFF51AFD7ED558CCDU;
    h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53U;
    return (uint32_t)(h >> 32);
}

/// Image `at` of a step, from its file to the pixels.
static int make(fn_loader *loader, uint64_t step, int at, int image, float *dst) {
    const fn_loader_options *o = &loader->options;
    fn_image crop;
    unsigned char *owned;
    int rc = fn_crop_cache_get(loader->cache, image, &crop, &owned);
    if (rc < 0)
        return rc;
    fn_rng rng = fn_rng_at(o->seed, FN_STREAM_AUGMENT, sample_number(step, at));
    rc = fn_augment_run(dst, o->width, o->height, &crop, fn_dataset_geometry(o->dataset), &o->augment, &rng);
    fn_free(owned);
    if (rc < 0)
        return fn_fail_prefix(rc, "%s/%s", fn_dataset_root(o->dataset),
                              fn_dataset_image_name(o->dataset, image));
    const float factor = 1 / o->scale;
    const size_t plane = loader->n_item / 3;
    for (size_t i = 0; i < plane && o->bgr; i++) {
        const float red = dst[i];
        dst[i] = dst[2 * plane + i];
        dst[2 * plane + i] = red;
    }
    for (int c = 0; c < 3; c++)
        for (size_t i = 0; i < plane; i++, dst++)
            *dst = (*dst - o->mean[c]) * factor;
    return FN_OK;
}

/// The oldest slot with an image nobody has taken, or NULL. Holds the lock.
static slot *find_work(fn_loader *loader) {
    for (uint64_t i = loader->head; i < loader->tail; i++) {
        slot *s = &loader->slots[i % loader->n_slots];
        if (s->n_taken < s->n_rows)
            return s;
    }
    return NULL;
}

/// 1 when there is a free slot. The batch that the caller holds is not free.
static int can_plan(const fn_loader *loader) {
    return !loader->at_end && loader->tail - loader->head + (loader->holds != 0) < loader->n_slots;
}

static void *worker(void *argument) {
    fn_loader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    while (!loader->stop) {
        slot *s = find_work(loader);
        if (!s && can_plan(loader)) {
            plan(loader);
            continue;
        }
        if (!s) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        int row = s->n_taken++, at = s->first + row;
        int skip = s->rc != FN_OK && at > s->failed_at;
        pthread_mutex_unlock(&loader->lock);
        int rc =
            skip ? FN_OK : make(loader, s->step, at, s->image[at], s->pixels + (size_t)row * loader->n_item);
        pthread_mutex_lock(&loader->lock);
        if (rc < 0)
            slot_failed(s, at, rc);
        s->n_done++;
        if (is_complete(s))
            pthread_cond_signal(&loader->done);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

static int check(const fn_loader_options *o) {
    if (!o->dataset || !o->batch || o->n_max < 1)
        return fn_fail(FN_EINVAL, "a loader needs a dataset and the images of its steps");
    if (o->width < 1 || o->height < 1 || o->width > 4096 || o->height > 4096)
        return fn_fail(FN_EINVAL, "network input of %d x %d pixels", o->width, o->height);
    if (!(o->scale > 0))
        return fn_fail(FN_EINVAL, "pixels are divided by a scale above 0, not by %g", (double)o->scale);
    if (o->share < 0 || o->share >= o->shares)
        return fn_fail(FN_EINVAL, "share %d of %d", o->share, o->shares);
    if (o->threads < 0 || o->threads > MAX_THREADS)
        return fn_fail(FN_EINVAL, "%d threads: expected 0 to %d", o->threads, MAX_THREADS);
    return FN_OK;
}

static int open_slots(fn_loader *loader) {
    const fn_loader_options *o = &loader->options;
    size_t n;
    loader->n_item = 3 * (size_t)o->width * (size_t)o->height;
    if (!fn_size_mul(&n, loader->n_item * sizeof(float), (size_t)fn_share_largest(o->n_max, o->shares)))
        return fn_fail_memory();
    loader->n_slots = n > LARGE_BATCH ? 2 : MAX_SLOTS;
    for (size_t i = 0; i < loader->n_slots; i++) {
        slot *s = &loader->slots[i];
        s->image = fn_calloc((size_t)o->n_max, sizeof *s->image);
        s->label = fn_calloc((size_t)o->n_max, sizeof *s->label);
        s->pixels = fn_alloc_aligned(n);
        if (!s->image || !s->label || !s->pixels)
            return fn_fail_memory();
    }
    return FN_OK;
}

// Signals are the program's: they go to its own threads.
static int start_threads(fn_loader *loader) {
    int wanted = loader->options.threads ? loader->options.threads : fn_workers_processors();
    wanted = wanted < MAX_THREADS ? wanted : MAX_THREADS;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->n_threads < wanted &&
           !pthread_create(&loader->threads[loader->n_threads], NULL, worker, loader))
        loader->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return loader->n_threads ? FN_OK : fn_fail(FN_ENOMEM, "no thread could be started");
}

int fn_loader_open(fn_loader **out, const fn_loader_options *options) {
    *out = NULL;
    fn_loader *loader = fn_calloc(1, sizeof *loader);
    if (!loader)
        return fn_fail_memory();
    if (options)
        loader->options = *options;
    if (loader->options.shares == 0)
        loader->options.shares = 1;
    int rc = check(&loader->options);
    if (rc < 0) {
        fn_free(loader);
        return rc;
    }
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->done, NULL);
    rc = fn_crop_cache_open(&loader->cache, options->dataset, options->cache_bytes);
    if (rc == FN_OK)
        rc = open_slots(loader);
    if (rc == FN_OK)
        rc = start_threads(loader);
    if (rc < 0)
        fn_loader_free(loader);
    else
        *out = loader;
    return rc;
}

void fn_loader_free(fn_loader *loader) {
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = 1;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->n_threads; i++)
        pthread_join(loader->threads[i], NULL);
    for (size_t i = 0; i < MAX_SLOTS; i++) {
        fn_free(loader->slots[i].image);
        fn_free(loader->slots[i].label);
        fn_free(loader->slots[i].pixels);
    }
    fn_crop_cache_free(loader->cache);
    pthread_cond_destroy(&loader->done);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    fn_free(loader);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int fn_loader_next(fn_loader *loader, fn_batch *out) {
    *out = (fn_batch){0};
    double start = now_s();
    pthread_mutex_lock(&loader->lock);
    if (loader->holds) { // the batch handed out before is free again
        loader->holds = 0;
        pthread_cond_broadcast(&loader->work);
    }
    slot *s = &loader->slots[loader->head % loader->n_slots];
    while (loader->head == loader->tail || !is_complete(s))
        pthread_cond_wait(&loader->done, &loader->lock);
    int rc = s->rc;
    if (rc == FN_OK && s->n > 0) {
        loader->head++;
        loader->holds = 1;
    } // an end or an error stays at the head, for later calls
    pthread_mutex_unlock(&loader->lock);
    loader->waited_s += now_s() - start;
    if (rc != FN_OK)
        return fn_fail(rc, "%s", s->message);
    *out = (fn_batch){.n = s->n,
                      .step = s->step,
                      .image = s->image,
                      .label = s->label,
                      .first = s->first,
                      .n_rows = s->n_rows,
                      .pixels = s->pixels};
    return FN_OK;
}

int fn_loader_make(fn_loader *loader, const fn_batch *batch, int at, float *pixels) {
    return make(loader, batch->step, at, batch->image[at], pixels);
}

double fn_loader_waited_s(const fn_loader *loader) {
    return loader->waited_s;
}
