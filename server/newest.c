// SPDX-License-Identifier: Apache-2.0
//
// One lock, one condition. Copying pixels in happens under the lock, which takes about a millisecond at
// 1080p; encoding, which takes ten, does not: the encoder takes the pixels away and the next picture gets
// the spare memory.
#include "newest.h"

#include <facenet/decode.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct raw {
    unsigned char *data; // tight rows; NULL: none
    size_t capacity;
    int width, height;
    fn_pixel_format format;
} raw;

struct server_newest {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t n_shown;    // number of the newest picture
    raw pixels, spare;   // pixels.data: the newest picture, not yet encoded
    server_frame *frame; // the newest JPEG; holds one of its users
    int quality, is_encoding, is_stopped;
    unsigned char *scratch; // of the one who encodes
    size_t n_scratch;
};

server_newest *server_newest_open(int quality) {
    server_newest *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->quality = quality;
    pthread_condattr_t monotonic;
    pthread_mutex_init(&n->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&n->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return n;
}

static void drop(server_frame *frame) {
    if (frame && --frame->users == 0)
        free(frame);
}

void server_newest_free(server_newest *newest) {
    if (!newest)
        return;
    drop(newest->frame);
    free(newest->pixels.data);
    free(newest->spare.data);
    free(newest->scratch);
    pthread_cond_destroy(&newest->changed);
    pthread_mutex_destroy(&newest->lock);
    free(newest);
}

static int copy_in(server_newest *n, const fn_image *image) {
    size_t row = (size_t)image->width * (size_t)fn_pixel_size(image->format);
    size_t size = row * (size_t)image->height;
    if (!n->pixels.data) {
        n->pixels = n->spare;
        n->spare = (raw){0};
    }
    if (n->pixels.capacity < size) {
        free(n->pixels.data);
        n->pixels = (raw){.data = malloc(size), .capacity = size};
        if (!n->pixels.data) {
            n->pixels = (raw){0};
            return FN_ENOMEM;
        }
    }
    n->pixels.width = image->width;
    n->pixels.height = image->height;
    n->pixels.format = image->format;
    for (int y = 0; y < image->height; y++)
        memcpy(n->pixels.data + (size_t)y * row, image->data + y * image->stride_bytes, row);
    return FN_OK;
}

int server_newest_show(server_newest *newest, const fn_image *image) {
    int rc = fn_image_check(image);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&newest->lock);
    rc = copy_in(newest, image);
    if (rc == FN_OK)
        newest->n_shown++;
    pthread_cond_broadcast(&newest->changed);
    pthread_mutex_unlock(&newest->lock);
    return rc;
}

// New memory with one user, or NULL.
static server_frame *encode(server_newest *n, const raw *pixels, uint64_t number) {
    fn_image image = {pixels->data, pixels->width, pixels->height,
                      (ptrdiff_t)pixels->width * fn_pixel_size(pixels->format), pixels->format};
    size_t n_bytes = 0;
    int rc = fn_image_encode_jpeg(n->scratch, n->n_scratch, &n_bytes, &image, n->quality);
    if (rc == FN_ELIMIT) {
        free(n->scratch);
        n->n_scratch = n_bytes + n_bytes / 2; // the next picture may be a little larger
        n->scratch = malloc(n->n_scratch);
        if (!n->scratch)
            n->n_scratch = 0;
        rc = fn_image_encode_jpeg(n->scratch, n->n_scratch, &n_bytes, &image, n->quality);
    }
    server_frame *frame = rc == FN_OK ? malloc(sizeof *frame + n_bytes) : NULL;
    if (!frame)
        return NULL;
    *frame = (server_frame){.number = number, .n_bytes = n_bytes, .users = 1};
    memcpy(frame->jpeg, n->scratch, n_bytes);
    return frame;
}

// Takes the pixels away, leaves the lock while it encodes them, and leaves a picture out when that fails.
static void encode_newest(server_newest *n) {
    raw pixels = n->pixels;
    uint64_t number = n->n_shown;
    n->pixels = (raw){0};
    n->is_encoding = 1;
    pthread_mutex_unlock(&n->lock);
    server_frame *frame = encode(n, &pixels, number);
    pthread_mutex_lock(&n->lock);
    n->is_encoding = 0;
    if (frame) {
        drop(n->frame);
        n->frame = frame;
    }
    free(n->spare.data);
    n->spare = pixels;
    pthread_cond_broadcast(&n->changed);
}

server_frame *server_newest_wait(server_newest *newest, uint64_t seen, int timeout_ms) {
    server_newest *n = newest;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&n->lock);
    for (int late = 0; !n->is_stopped && !late;) {
        if (n->pixels.data && !n->is_encoding)
            encode_newest(n);
        if (n->frame && n->frame->number > seen)
            break;
        late = pthread_cond_timedwait(&n->changed, &n->lock, &until) != 0;
    }
    server_frame *frame = n->is_stopped ? NULL : n->frame;
    if (frame)
        frame->users++;
    pthread_mutex_unlock(&n->lock);
    return frame;
}

void server_newest_give_back(server_newest *newest, server_frame *frame) {
    pthread_mutex_lock(&newest->lock);
    drop(frame);
    pthread_mutex_unlock(&newest->lock);
}

void server_newest_stop(server_newest *newest) {
    pthread_mutex_lock(&newest->lock);
    newest->is_stopped = 1;
    pthread_cond_broadcast(&newest->changed);
    pthread_mutex_unlock(&newest->lock);
}
