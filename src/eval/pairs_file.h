// SPDX-License-Identifier: Apache-2.0
//
// LFW's lists of pairs.
#ifndef FN_EVAL_PAIRS_FILE_H
#define FN_EVAL_PAIRS_FILE_H

#include <stddef.h>

/// One photograph: <person>/<person>_<number, four digits or more>.<ending>.
typedef struct fn_listed_photo {
    const char *person;
    int number; // from 1
} fn_listed_photo;

typedef struct fn_listed_pair {
    fn_listed_photo photo[2];
    int fold; // from 0
    int same; // 1: one person, 0: two people
} fn_listed_pair;

typedef struct fn_pairs_file {
    fn_listed_pair *pairs; // fold by fold, the same-person ones first
    size_t n;              // n_folds * 2 * n_per_kind
    int n_folds, n_per_kind;
    char *text; // holds the names
} fn_pairs_file;

/// Reads the text of a pairs.txt. `name` is what error lines call it. FN_EFORMAT with the line's
/// number; FN_ELIMIT.
int fn_pairs_parse(fn_pairs_file *out, const char *bytes, size_t n, const char *name);
/// The same from a file.
int fn_pairs_read(fn_pairs_file *out, const char *path);
void fn_pairs_free(fn_pairs_file *file);

#endif
