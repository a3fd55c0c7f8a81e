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
int fn_workers_run(int n, int jobs, int (*work)(void *user, int item), void *user, const fn_control *control);

#endif
