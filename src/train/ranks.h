// SPDX-License-Identifier: Apache-2.0
//
// Processes that train one network together, called ranks as MPI does: each passes its share of a step's
// images, and what must be known or summed over all of them goes through here. A process that was started
// by itself is the one rank 0 of 1, and every call below does nothing. Otherwise a call that says "all"
// must be made by all ranks, in the same order, by the thread that opened; it returns when all have made it.
// A rank that fails between such calls ends the job (fn_ranks_abort): the others would wait for ever.
//
//     fn_ranks_open(&ranks, control);
//     int first = fn_share_start(n, fn_ranks_size(ranks), fn_ranks_rank(ranks)); // rows of this rank
//     fn_ranks_gather(ranks, embeddings, d * sizeof *embeddings, n);
//     fn_ranks_sum_begin(ranks, gradients, size);
//     ... fn_ranks_sum_ready(ranks, offset) as layers are done, the last ones first ...
//     fn_ranks_sum_end(ranks);
#ifndef FN_TRAIN_RANKS_H
#define FN_TRAIN_RANKS_H

#include <facenet/base.h>

#include <stddef.h>

typedef struct fn_ranks fn_ranks;

/// Joins the others when mpirun (or another launcher that sets PMI_SIZE) started this process among several.
/// control: told, while waiting, that the caller wants to stop; NULL or kept by the caller. On failure *out
/// is there too, unless NULL, and knows its rank, so that one process may speak for all. FN_EUNSUPPORTED
/// (the module with MPI is missing or does not fit the launcher), FN_ENOMEM.
int fn_ranks_open(fn_ranks **out, const fn_control *control);
void fn_ranks_free(fn_ranks *ranks);

int fn_ranks_rank(const fn_ranks *ranks); // 0 .. size - 1; 0 for NULL
int fn_ranks_size(const fn_ranks *ranks); // 1 for NULL

/// All: rows (n, row_bytes) of which each rank has filled its share (share.h) become known to all.
void fn_ranks_gather(fn_ranks *ranks, void *rows, size_t row_bytes, int n);

/// All: adds numbers up; and the same with the mean, for floats (summed as doubles).
void fn_ranks_add(fn_ranks *ranks, double *sums, int n);
void fn_ranks_mean(fn_ranks *ranks, float *values, size_t n);

/// All: bytes of rank 0 to everybody.
void fn_ranks_broadcast(fn_ranks *ranks, void *bytes, size_t n);

/// All: sums a block over the ranks, in place, while its beginning is still being computed. Between begin
/// and end, `ready` says that everything from `first` on is complete: whole buckets of a fixed size go out,
/// from the end of the block down, and those on their way move on. At the end the rest goes out and all
/// arrive. The bytes received are the same on every rank.
void fn_ranks_sum_begin(fn_ranks *ranks, float *block, size_t n);
void fn_ranks_sum_ready(fn_ranks *ranks, size_t first);
void fn_ranks_sum_end(fn_ranks *ranks);

/// All: 1 when any rank says so.
int fn_ranks_any(fn_ranks *ranks, int flag);
/// All: FN_OK when every rank brings it; else the error and message of the first that does not, for all.
int fn_ranks_agree(fn_ranks *ranks, int rc);
/// All: text becomes that of the first rank where it is not empty.
enum { FN_RANKS_TEXT = 512 };
void fn_ranks_first_text(fn_ranks *ranks, char text[FN_RANKS_TEXT]);
/// All: FN_OK when every rank has the bytes of rank 0, else FN_ECONFLICT: "rank 2 has other WHAT than rank
/// 0".
int fn_ranks_same(fn_ranks *ranks, const void *bytes, size_t n, const char *what);

/// Ends the job from one rank, with the last error of this thread as a line on stderr: does not return, but
/// for a process alone.
void fn_ranks_abort(fn_ranks *ranks);

#endif
