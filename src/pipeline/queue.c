// SPDX-License-Identifier: Apache-2.0
//
// One lock and one condition: with two threads at most one waits.
#include "pipeline/queue.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

void fn_queue_init(fn_queue *queue, int size) {
    assert(size >= 1 && size <= FN_QUEUE_MAX);
    pthread_condattr_t monotonic;
    memset(queue, 0, sizeof *queue);
    queue->size = size;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void fn_queue_destroy(fn_queue *queue) {
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
}

int fn_queue_push(fn_queue *queue, void *item) {
    pthread_mutex_lock(&queue->lock);
    while (queue->n == queue->size && !queue->is_stopped)
        pthread_cond_wait(&queue->changed, &queue->lock);
    const int taken = !queue->is_stopped;
    if (taken) {
        queue->items[(queue->first + queue->n++) % queue->size] = item;
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

// Holds the lock.
static void *take(fn_queue *queue) {
    if (!queue->n)
        return NULL;
    void *item = queue->items[queue->first];
    queue->first = (queue->first + 1) % queue->size;
    queue->n--;
    pthread_cond_signal(&queue->changed);
    return item;
}

void *fn_queue_pop(fn_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    while (!queue->n && !queue->is_stopped)
        pthread_cond_wait(&queue->changed, &queue->lock);
    void *item = queue->is_stopped ? NULL : take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

int fn_queue_wait(fn_queue *queue, int timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&queue->lock);
    while (!queue->n && !queue->is_stopped)
        if (pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == ETIMEDOUT)
            break;
    const int ready = queue->n || queue->is_stopped;
    pthread_mutex_unlock(&queue->lock);
    return ready;
}

void *fn_queue_drain(fn_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    void *item = take(queue);
    pthread_mutex_unlock(&queue->lock);
    return item;
}

void fn_queue_stop(fn_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->is_stopped = 1;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}
