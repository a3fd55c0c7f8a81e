// SPDX-License-Identifier: Apache-2.0
//
// The triplets of a step that lie in the wrong order most, as small pictures for the report.
#ifndef FN_TRAIN_HARDEST_H
#define FN_TRAIN_HARDEST_H

#include "model/model.h"
#include "train/loader.h"
#include "train/report.h"

enum { FN_HARDEST_MAX = 16 };

/// Zero is empty.
typedef struct fn_hardest {
    fn_report_triplet triplets[FN_HARDEST_MAX]; // worst first; pictures and captions are owned
    int n;
} fn_hardest;

/// Replaces what is held by the hardest triplets of a batch of the loader. unit: (n, d). FN_ENOMEM, or as
/// fn_loader_next; a picture that cannot be encoded is left out.
int fn_hardest_take(fn_hardest *hardest, fn_loader *loader, const fn_batch *batch, const float *unit, int d,
                    const fn_dataset *dataset, const fn_input_spec *input);
void fn_hardest_free(fn_hardest *hardest);

#endif
