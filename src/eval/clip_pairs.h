// SPDX-License-Identifier: Apache-2.0
//
// Which clips are compared: a list, or all of them.
#ifndef FN_EVAL_CLIP_PAIRS_H
#define FN_EVAL_CLIP_PAIRS_H

#include "eval/clips.h"

typedef struct fn_clip_pair {
    const char *clip[2]; // "PERSON/CLIP"
    int fold;            // from 0
    int same;
} fn_clip_pair;

typedef struct fn_clip_list {
    fn_clip_pair *pairs;
    size_t n;
    int n_folds;
    char *text; // holds the names
} fn_clip_list;

/// Reads a list: each line a fold's number, two clips as PERSON/CLIP, and at its end 1 for one person or 0
/// for two, parted by commas or tabs; further fields before the last one are passed over, and so is a first
/// line that begins with no number. `name` is what error lines call it. FN_EFORMAT with the line's number;
/// FN_ELIMIT.
int fn_clip_list_parse(fn_clip_list *out, const char *bytes, size_t n, const char *name);
/// The same from a file.
int fn_clip_list_read(fn_clip_list *out, const char *path);
void fn_clip_list_free(fn_clip_list *list);

/// Shares people out to folds, those with two clips or more first, so that each fold has pairs of both kinds:
/// folds[person] is 0..k-1. Returns k, at most `most`; 0: there are no such folds. The choice is drawn by
/// seed.
int fn_clips_share_out(int *folds, const fn_clips *clips, int most, uint64_t seed);

#endif
