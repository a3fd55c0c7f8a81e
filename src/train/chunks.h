// SPDX-License-Identifier: Apache-2.0
//
// A batch passed through the network in parts, for big batches in little memory. The loss needs the
// embeddings of the whole batch, so every part is passed twice: first all parts forward, then, when the loss
// is known, each part forward again and backward. Both passes compute the same numbers: a part's batch-norms
// see the part alone, dropout masks are a function of step and row, and running statistics move in the second
// pass only. The result is that of a single pass whose batch-norms see groups of rows.
//
//     fn_chunks_forward(chunks, &pass, pixels, n, unit);
//     ... loss of unit (n, d), d_unit ...
//     fn_chunks_backward(chunks, &pass, pixels, n, d_unit);
#ifndef FN_TRAIN_CHUNKS_H
#define FN_TRAIN_CHUNKS_H

#include "nn/training.h"

typedef struct fn_chunks fn_chunks;

/// For batches of up to n_max images of `item` numbers each, in parts of at most `chunk` (0: whole). The
/// training must outlive it. FN_ENOMEM.
int fn_chunks_open(fn_chunks **out, fn_training *training, int n_max, int chunk, size_t item);
void fn_chunks_free(fn_chunks *chunks);

/// pixels: (n, C, H, W); unit: (n, d), the embeddings brought to unit length. The running statistics move in
/// this pass when the batch is a single part. n_largest: where processes share a batch, the rows of the
/// largest share, so that all pass equally many parts; else 0. FN_EINVAL: too few or too many rows.
int fn_chunks_forward(fn_chunks *chunks, const fn_pass *pass, const float *pixels, int n, int n_largest,
                      float *unit);

/// After fn_chunks_forward of the same pixels: adds to pass->gradients. d_unit: (n, d), gradient of the loss
/// by the unit rows.
int fn_chunks_backward(fn_chunks *chunks, const fn_pass *pass, const float *pixels, int n,
                       const float *d_unit);

#endif
