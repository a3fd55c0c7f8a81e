// SPDX-License-Identifier: Apache-2.0
//
// A short queue of pointers between two threads: who is early waits.
#ifndef FN_PIPELINE_QUEUE_H
#define FN_PIPELINE_QUEUE_H

#include <pthread.h>

enum { FN_QUEUE_MAX = 4 };

typedef struct fn_queue {
    void *items[FN_QUEUE_MAX];
    int size, first, n; // room, the oldest, how many
    int is_stopped;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} fn_queue;

/// size: 1..FN_QUEUE_MAX.
void fn_queue_init(fn_queue *queue, int size);
/// Nobody uses it any more; what is in it was taken.
void fn_queue_destroy(fn_queue *queue);

/// Waits for room. 1, or 0 when the queue was stopped and the item stays the caller's.
int fn_queue_push(fn_queue *queue, void *item);
/// Waits for an item; NULL when the queue was stopped.
void *fn_queue_pop(fn_queue *queue);
/// 1 as soon as fn_queue_pop would not wait; 0 when it still would after so long.
int fn_queue_wait(fn_queue *queue, int timeout_ms);
/// What is left in it after a stop, one by one; NULL: nothing.
void *fn_queue_drain(fn_queue *queue);
/// Both sides return at once from now on.
void fn_queue_stop(fn_queue *queue);

#endif
