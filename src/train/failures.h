// SPDX-License-Identifier: Apache-2.0
//
// The list of photographs that gave no crop: failures.tsv in a prepared folder, one line each:
// path<TAB>what<TAB>message. Tabs, line ends and backslashes inside a field are written \t, \n, \\.
#ifndef FN_TRAIN_FAILURES_H
#define FN_TRAIN_FAILURES_H

#include "base/buf.h"

#define FN_FAILURES_FILE "failures.tsv"

/// Appends one line to a text of failures.
void fn_failures_add(fn_buf *text, const char *path, const char *what, const char *message);

/// Writes dst/failures.tsv: the lines it has of photographs outside src (as fn_path_real gives it), those of
/// src for whose name below it `stays` returns 1 (NULL: none), then the new ones.
int fn_failures_write(const char *dst, const char *src, fn_buf *text,
                      int (*stays)(void *user, const char *name), void *user);

#endif
