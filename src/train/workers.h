// SPDX-License-Identifier: Apache-2.0
//
// The same work for many items, on several threads.
#ifndef FN_TRAIN_WORKERS_H
#define FN_TRAIN_WORKERS_H

#include <facenet/base.h>

/// Processors this process may use, at least 1.
int fn_workers_processors(void);

/// Calls work(user, item) for items 0..n-1 on `jobs` threads (0: one per processor), in no promised order.
/// The first failure, a cancel or the deadline stops the rest and is returned with its message.
/// A caller's callbacks are called one at a time: `work` logs through `fn_workers_log` with the pool's lock.
int fn_workers_run(int n, int jobs, int (*work)(void *user, int item), void *user, const fn_control *control);

/// For `work`, on its thread: a warning to the caller.
void fn_workers_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
