// SPDX-License-Identifier: Apache-2.0
//
// What the module facenet-mpi.so (mpi.c) exports: one table. The module stands alone: it calls nothing of
// facenet. A call that cannot do its work ends the job with a line on stderr, so none but `open` can fail.
#ifndef FN_TRAIN_RANKS_MODULE_H
#define FN_TRAIN_RANKS_MODULE_H

#include <stddef.h>

#define FN_RANKS_MODULE "facenet-mpi.so"
#define FN_RANKS_MODULE_SYMBOL "fn_ranks_mpi"
enum { FN_RANKS_MODULE_VERSION = 1 };

typedef struct fn_ranks_module {
    int version;
    /// 0; else why not is in `why`. May be called again. MPI ends when the process does.
    int (*open)(int *rank, int *size, char *why, size_t why_size);
    /// Called every tenth of a second while this process waits for others; NULL: nobody.
    void (*set_waiting)(void (*waiting)(void *user), void *user);
    /// starts: (size + 1) first rows, the last is the number of rows.
    void (*gather)(void *rows, size_t row_bytes, const int *starts);
    void (*add)(double *sums, int n);
    void (*broadcast)(void *bytes, size_t n);
    /// Begins one more sum in place; moves those begun on; waits for all of them.
    void (*sum_begin)(float *numbers, int n);
    void (*sum_move)(void);
    void (*sum_wait)(void);
    void (*abort)(const char *line);
} fn_ranks_module;

struct fn_ranks;
/// A rank that speaks through this table, which outlives it: for tests. FN_ENOMEM.
int fn_ranks_open_with(struct fn_ranks **out, const fn_ranks_module *module, int rank, int size);

#endif
