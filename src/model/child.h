// SPDX-License-Identifier: Apache-2.0
//
// Another program, run to its end: no shell, nothing of its output reaches ours.
#ifndef FN_MODEL_CHILD_H
#define FN_MODEL_CHILD_H

#include "base/buf.h"

#include <facenet/base.h>

typedef struct fn_child {
    const char *const *argv; // argv[0] is looked for in PATH; ends with NULL
    const char *folder;      // where it runs; NULL: here
    int input;               // file descriptor it reads; -1: nothing to read
    int plain_environment;   // 1: only PATH and the C locale; 0: ours
} fn_child;

/// Runs a program. out and err receive what it writes; past the maximum of `out` the program is ended
/// with FN_ELIMIT, past that of `err` the rest is dropped. *status is its exit status, or 128 + signal.
/// FN_ENOTFOUND: there is no such program. FN_EIO, FN_ENOMEM; FN_ECANCELLED and FN_ETIMEOUT end it.
int fn_child_run(const fn_child *child, fn_buf *out, fn_buf *err, int *status, const fn_control *control);

#endif
