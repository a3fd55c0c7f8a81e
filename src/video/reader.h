// SPDX-License-Identifier: Apache-2.0
//
// A video at work: the thread that reads and decodes, and the frames between it and who takes them.
#ifndef FN_VIDEO_READER_H
#define FN_VIDEO_READER_H

#include <facenet/video.h>

#include <pthread.h>
#include <stdatomic.h>

enum { FN_VIDEO_QUEUE = 4 };

/// Where the frames lie in time. Only the reader's.
typedef struct fn_timeline {
    uint64_t index;  // of the next frame
    double origin_s; // on the clock, at the first frame of all
    double base_s;   // of the first frame of this opening, since the first of all
    double first_s;  // that frame's time as the source says
    double last_s;   // of the frame before, since the first of all
    double step_s;   // from frame to frame where nothing is said
    int is_fresh;    // the next frame is the first of an opening
    int is_break;    // and what was tracked before is over
    int n_tries;     // to reach a lost source
} fn_timeline;

struct fn_video {
    char *text, *name; // as given; as messages call it
    fn_video_options options;
    fn_timeline timeline;
    fn_video_info info; // constant once the first frame is there
    int comes_in_bursts;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_int n_holders; // the owner, and the thread
    atomic_int is_stopped;
    _Atomic int64_t deadline_ms; // of what the source is doing; 0: none
    // Under the lock.
    fn_frame *queue[FN_VIDEO_QUEUE]; // oldest first
    int n_queued, capacity;
    int drops; // when the queue is full the oldest goes
    int is_open, is_over;
    int rc; // how it ended
    char message[1024];
    fn_video_counts counts;

    pthread_mutex_t talk; // one callback at a time; NULL once the owner has gone
    const fn_control *control;
};

/// The thread's function; the argument is the video, of which it is a holder.
void *fn_reader_run(void *video);

/// Waits for a change, at most `ms`. The lock is held.
void fn_video_wait(fn_video *video, int64_t ms);
/// Sends a line to the caller's log.
void fn_video_log(fn_video *video, fn_log_level level, const char *line);
/// Frees a video with its last holder.
void fn_video_release(fn_video *video);

#endif
