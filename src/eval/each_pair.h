// SPDX-License-Identifier: Apache-2.0
//
// Every pair of photographs of a list.
#ifndef FN_EVAL_EACH_PAIR_H
#define FN_EVAL_EACH_PAIR_H

#include "eval/photos.h"

typedef struct fn_pair_counts {
    uint64_t same, different;
} fn_pair_counts;

/// How many pairs there are of each kind.
int fn_each_pair_count(fn_pair_counts *out, const fn_photos *photos);

/// Calls visit with the distance of each pair, as fn_distance gives it, in blocks that stay in the
/// processor's cache. With an older model, with those from either's vector to the other's by it. The order is
/// fixed. `control` may stop it.
int fn_each_pair(const fn_photos *photos, void (*visit)(void *user, float distance, int same), void *user,
                 const fn_control *control);

#endif
