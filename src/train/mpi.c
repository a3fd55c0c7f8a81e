// SPDX-License-Identifier: Apache-2.0
//
// The module facenet-mpi.so: the one file that knows MPI. Every call is a non-blocking one that is then
// waited for with ever longer naps, so that ranks that share processors leave them to those who compute.
#define _POSIX_C_SOURCE 200809L
#include "train/ranks_module.h"

#include <facenet/base.h>

#include <mpi.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SPINS = 4000, NAP_NS = 50000, WAITING_NAPS = 1000 }; // naps take about 100 us

static MPI_Comm world; // our own: nobody else's messages are in it
static int own_rank, world_size;
static void (*tell_waiting)(void *user);
static void *waiting_user;

static MPI_Request *sums; // begun and not yet waited for
static int n_sums, sums_capacity;

static void end_job(const char *line) {
    fprintf(stderr, "facenet: rank %d of %d: %s\n", own_rank, world_size, line);
    fflush(stderr);
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    abort();
}

static void failed(MPI_Comm *comm, int *code, ...) {
    char text[MPI_MAX_ERROR_STRING] = "an error without a name";
    int n;
    (void)comm;
    MPI_Error_string(*code, text, &n);
    end_job(text);
}

static void finish(void) {
    int is_over = 0;
    if (MPI_Finalized(&is_over) == MPI_SUCCESS && !is_over)
        MPI_Finalize();
}

static int open(int *rank, int *size, char *why, size_t why_size) {
    int is_on = 0, level = 0;
    MPI_Errhandler handler;
    MPI_Initialized(&is_on);
    if (!is_on && MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS) {
        snprintf(why, why_size, "MPI does not start");
        return -1;
    }
    if (!world_size) {
        MPI_Comm_dup(MPI_COMM_WORLD, &world);
        MPI_Comm_rank(world, &own_rank);
        MPI_Comm_size(world, &world_size);
        MPI_Comm_create_errhandler(failed, &handler);
        MPI_Comm_set_errhandler(world, handler);
        if (!is_on)
            atexit(finish);
    }
    *rank = own_rank;
    *size = world_size;
    return 0;
}

static void set_waiting(void (*waiting)(void *user), void *user) {
    tell_waiting = waiting;
    waiting_user = user;
}

static void wait_for(MPI_Request *requests, int n) {
    static const struct timespec nap = {0, NAP_NS};
    int done = 0;
    for (long i = 0; MPI_Testall(n, requests, &done, MPI_STATUSES_IGNORE) == MPI_SUCCESS && !done; i++) {
        if (i < SPINS) {
            sched_yield();
            continue;
        }
        nanosleep(&nap, NULL);
        if (tell_waiting && (i - SPINS) % WAITING_NAPS == WAITING_NAPS - 1)
            tell_waiting(waiting_user);
    }
}

static void gather(void *rows, size_t row_bytes, const int *starts) {
    MPI_Datatype row;
    MPI_Request request;
    int *counts = malloc((size_t)world_size * sizeof *counts);
    if (!counts)
        end_job("out of memory");
    for (int i = 0; i < world_size; i++)
        counts[i] = starts[i + 1] - starts[i];
    MPI_Type_contiguous((int)row_bytes, MPI_BYTE, &row);
    MPI_Type_commit(&row);
    MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, rows, counts, starts, row, world, &request);
    wait_for(&request, 1);
    MPI_Type_free(&row);
    free(counts);
}

static void add(double *numbers, int n) {
    MPI_Request request;
    MPI_Iallreduce(MPI_IN_PLACE, numbers, n, MPI_DOUBLE, MPI_SUM, world, &request);
    wait_for(&request, 1);
}

static void broadcast(void *bytes, size_t n) {
    const size_t most = (size_t)1 << 28; // MPI counts in int
    for (size_t at = 0; at < n; at += most) {
        MPI_Request request;
        MPI_Ibcast((char *)bytes + at, (int)(n - at < most ? n - at : most), MPI_BYTE, 0, world, &request);
        wait_for(&request, 1);
    }
}

static void sum_begin(float *numbers, int n) {
    if (n_sums == sums_capacity) {
        sums_capacity = sums_capacity ? 2 * sums_capacity : 64;
        MPI_Request *grown = realloc(sums, (size_t)sums_capacity * sizeof(MPI_Request));
        if (!grown)
            end_job("out of memory");
        sums = grown;
    }
    MPI_Iallreduce(MPI_IN_PLACE, numbers, n, MPI_FLOAT, MPI_SUM, world, &sums[n_sums++]);
}

static void sum_move(void) {
    int done;
    if (n_sums)
        MPI_Testall(n_sums, sums, &done, MPI_STATUSES_IGNORE);
}

static void sum_wait(void) {
    wait_for(sums, n_sums);
    n_sums = 0;
}

FN_API extern const fn_ranks_module fn_ranks_mpi;
const fn_ranks_module fn_ranks_mpi = {.version = FN_RANKS_MODULE_VERSION,
                                      .open = open,
                                      .set_waiting = set_waiting,
                                      .gather = gather,
                                      .add = add,
                                      .broadcast = broadcast,
                                      .sum_begin = sum_begin,
                                      .sum_move = sum_move,
                                      .sum_wait = sum_wait,
                                      .abort = end_job};
