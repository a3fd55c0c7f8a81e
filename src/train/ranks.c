// SPDX-License-Identifier: Apache-2.0
//
// One rank of several speaks through the table of a module, which is loaded when a launcher started the
// process among others; a process alone has no table.
#include "train/ranks.h"

#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"
#include "train/ranks_module.h"
#include "train/share.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKET = 1 << 18, MEAN_BLOCK = 4096 }; // numbers

struct fn_ranks {
    const fn_ranks_module *module; // NULL: alone
    int rank, size;
    int *starts;                     // (size + 1), of the rows gathered
    char (*room)[FN_RANKS_TEXT + 8]; // (size)
    const fn_control *control;
    int is_told; // that the caller wants to stop while this rank waits
    float *block;
    size_t summed; // block[summed .. n) is on its way
};

// ---- opening ---------------------------------------------------------------------------------

// What the launcher says of this process; a size of 0 when there is none.
static int from_launcher(const char *of_open_mpi, const char *of_others) {
    const char *text = getenv(of_open_mpi);
    if (!text)
        text = getenv(of_others);
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 && n < INT_MAX ? (int)n : 0;
}

// Rows of several ranks; starts begins with what is gathered most, one row each.
static int open_room(fn_ranks *r) {
    r->starts = fn_calloc((size_t)r->size + 1, sizeof *r->starts);
    r->room = fn_calloc((size_t)r->size, sizeof *r->room);
    return r->starts && r->room ? FN_OK : fn_fail_memory();
}

// Somebody may have died: the launcher then asks the others to end before it ends them.
static void waiting(void *user) {
    fn_ranks *r = user;
    if (r->is_told || fn_control_step(r->control, 0, 0) == FN_OK)
        return;
    r->is_told = 1;
    fprintf(stderr,
            "facenet: rank %d of %d: asked to end while it waits for the other ranks; if one of them died, "
            "go on from the last checkpoint with --resume\n",
            r->rank, r->size);
}

static int join(fn_ranks *r) {
    const int size = r->size;
    char why[256] = "";
    const fn_symbol symbol = {&r->module, FN_RANKS_MODULE_SYMBOL};
    int rc = fn_module_load(FN_RANKS_MODULE, &symbol, 1);
    if (rc < 0) {
        r->module = NULL;
        return fn_fail(FN_EUNSUPPORTED,
                       "started as one of %d processes, which needs facenet built with MPI: %s", size,
                       fn_last_error());
    }
    const fn_ranks_module *module = r->module;
    r->module = NULL;
    if (module->version != FN_RANKS_MODULE_VERSION)
        return fn_fail(FN_EUNSUPPORTED, "%s belongs to another facenet", FN_RANKS_MODULE);
    if (module->open(&r->rank, &r->size, why, sizeof why))
        return fn_fail(FN_EUNSUPPORTED, "%s", why);
    if (r->size != size)
        return fn_fail(
            FN_EUNSUPPORTED,
            "started as one of %d processes, but MPI knows of %d: the launcher and " FN_RANKS_MODULE
            " belong to different MPIs",
            size, r->size);
    if ((rc = open_room(r)) < 0)
        return rc;
    r->module = module;
    module->set_waiting(waiting, r);
    return FN_OK;
}

int fn_ranks_open(fn_ranks **out, const fn_control *control) {
    fn_ranks *r = *out = fn_calloc(1, sizeof *r);
    if (!r)
        return fn_fail_memory();
    r->control = control;
    r->rank = from_launcher("OMPI_COMM_WORLD_RANK", "PMI_RANK");
    r->size = from_launcher("OMPI_COMM_WORLD_SIZE", "PMI_SIZE");
    if (r->size > 1)
        return join(r);
    r->rank = 0;
    r->size = 1;
    return FN_OK;
}

int fn_ranks_open_with(fn_ranks **out, const fn_ranks_module *module, int rank, int size) {
    fn_ranks *r = *out = fn_calloc(1, sizeof *r);
    if (!r)
        return fn_fail_memory();
    *r = (fn_ranks){.module = module, .rank = rank, .size = size};
    return open_room(r);
}

void fn_ranks_free(fn_ranks *ranks) {
    if (!ranks)
        return;
    if (ranks->module)
        ranks->module->set_waiting(NULL, NULL);
    fn_free(ranks->starts);
    fn_free(ranks->room);
    fn_free(ranks);
}

int fn_ranks_rank(const fn_ranks *ranks) {
    return ranks ? ranks->rank : 0;
}

int fn_ranks_size(const fn_ranks *ranks) {
    return ranks ? ranks->size : 1;
}

// ---- what all do together --------------------------------------------------------------------

void fn_ranks_gather(fn_ranks *ranks, void *rows, size_t row_bytes, int n) {
    if (!ranks->module)
        return;
    for (int i = 0; i <= ranks->size; i++)
        ranks->starts[i] = fn_share_start(n, ranks->size, i);
    ranks->module->gather(rows, row_bytes, ranks->starts);
}

void fn_ranks_add(fn_ranks *ranks, double *sums, int n) {
    if (ranks->module)
        ranks->module->add(sums, n);
}

void fn_ranks_mean(fn_ranks *ranks, float *values, size_t n) {
    double sums[MEAN_BLOCK];
    if (!ranks->module)
        return;
    for (size_t at = 0; at < n; at += MEAN_BLOCK) {
        const size_t count = n - at < MEAN_BLOCK ? n - at : MEAN_BLOCK;
        for (size_t i = 0; i < count; i++)
            sums[i] = (double)values[at + i];
        ranks->module->add(sums, (int)count);
        for (size_t i = 0; i < count; i++)
            values[at + i] = (float)(sums[i] / ranks->size);
    }
}

void fn_ranks_broadcast(fn_ranks *ranks, void *bytes, size_t n) {
    if (ranks->module)
        ranks->module->broadcast(bytes, n);
}

int fn_ranks_any(fn_ranks *ranks, int flag) {
    double sum = flag != 0;
    fn_ranks_add(ranks, &sum, 1);
    return sum > 0;
}

void fn_ranks_first_text(fn_ranks *ranks, char text[FN_RANKS_TEXT]) {
    if (!ranks->module)
        return;
    memcpy(ranks->room[ranks->rank], text, FN_RANKS_TEXT);
    fn_ranks_gather(ranks, ranks->room, sizeof *ranks->room, ranks->size);
    for (int i = 0; i < ranks->size; i++)
        if (*ranks->room[i]) {
            memcpy(text, ranks->room[i], FN_RANKS_TEXT);
            return;
        }
}

int fn_ranks_agree(fn_ranks *ranks, int rc) {
    double n_failed = rc < 0;
    char message[FN_RANKS_TEXT];
    if (!ranks->module)
        return rc;
    snprintf(message, sizeof message, "%s", fn_last_error()); // waiting may replace it
    fn_ranks_add(ranks, &n_failed, 1);
    if (n_failed == 0)
        return FN_OK;
    memcpy(ranks->room[ranks->rank], &rc, sizeof rc);
    memcpy(ranks->room[ranks->rank] + sizeof rc, message, sizeof message);
    fn_ranks_gather(ranks, ranks->room, sizeof *ranks->room, ranks->size);
    int first = 0;
    for (rc = FN_OK; rc == FN_OK && first < ranks->size; first++)
        memcpy(&rc, ranks->room[first], sizeof rc);
    fn_fail(rc, "%s", ranks->room[first - 1] + sizeof rc);
    return n_failed < ranks->size ? fn_fail_prefix(rc, "rank %d", first - 1) : rc;
}

int fn_ranks_same(fn_ranks *ranks, const void *bytes, size_t n, const char *what) {
    if (!ranks->module)
        return FN_OK;
    if (n > sizeof *ranks->room)
        return fn_fail(FN_EINTERNAL, "%zu bytes to compare between ranks", n);
    memcpy(ranks->room[ranks->rank], bytes, n);
    fn_ranks_gather(ranks, ranks->room, sizeof *ranks->room, ranks->size);
    for (int i = 1; i < ranks->size; i++)
        if (memcmp(ranks->room[i], ranks->room[0], n) != 0)
            return fn_fail(FN_ECONFLICT, "rank %d has other %s than rank 0", i, what);
    return FN_OK;
}

void fn_ranks_abort(fn_ranks *ranks) {
    if (ranks->module)
        ranks->module->abort(fn_last_error());
}

// ---- the sum of a block ----------------------------------------------------------------------

void fn_ranks_sum_begin(fn_ranks *ranks, float *block, size_t n) {
    ranks->block = block;
    ranks->summed = n;
}

// Bucket k is block[k BUCKET .. (k + 1) BUCKET). They go out in one order, which is the same on all ranks.
void fn_ranks_sum_ready(fn_ranks *ranks, size_t first) {
    if (!ranks->module)
        return;
    while (ranks->summed > 0) {
        const size_t start = (ranks->summed - 1) / BUCKET * BUCKET;
        if (start < first)
            break;
        ranks->module->sum_begin(ranks->block + start, (int)(ranks->summed - start));
        ranks->summed = start;
    }
    ranks->module->sum_move();
}

void fn_ranks_sum_end(fn_ranks *ranks) {
    if (!ranks->module)
        return;
    fn_ranks_sum_ready(ranks, 0);
    ranks->module->sum_wait();
}
