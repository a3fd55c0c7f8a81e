// SPDX-License-Identifier: Apache-2.0
//
// Batches of network input, made ahead of time by worker threads. What a batch holds is a function of the
// options and the step: neither the number of threads nor the step a run begins with changes a bit of it.
#ifndef FN_TRAIN_LOADER_H
#define FN_TRAIN_LOADER_H

#include "train/augment.h"

typedef struct fn_batch {
    int n; // images of the step; 0: there are no further steps
    uint64_t step;
    const int *image;    // (n) image of the dataset
    const int *label;    // (n) its person
    int first, n_rows;   // of the n images, those of this loader's share
    const float *pixels; // (n_rows, 3, height, width), (p - mean[c]) / scale
} fn_batch;

typedef struct fn_loader_options {
    const fn_dataset *dataset; // outlives the loader
    int width, height;         // of the network's input
    float mean[3], scale;      // of the channels in the order fed, 0..255
    int bgr;                   // 1: blue is fed first
    fn_augment augment;
    uint64_t seed;
    int threads;        // 0: one per processor
    size_t cache_bytes; // of decoded crops that are kept as 8-bit RGB
    int n_max;          // most images of a batch
    /// Which images a step has: writes n <= n_max image numbers and returns n; 0 when there are no further
    /// steps; negative: an error, with fn_fail. A pure function of the step; called by one thread at a time.
    int (*batch)(void *user, uint64_t step, int *image);
    void *user;
    uint64_t first_step;
    int share, shares; // the pixels are those of one of so many shares of the step (share.h); shares 0: all
} fn_loader_options;

typedef struct fn_loader fn_loader; // used by one thread

/// Starts the threads. The caller frees *out. Errors: FN_EINVAL, FN_ENOMEM.
int fn_loader_open(fn_loader **out, const fn_loader_options *options);
/// Stops in the middle of work if need be.
void fn_loader_free(fn_loader *loader);

/// The next step's batch, when it is complete; valid until the next call. An image that cannot be read is an
/// error that names the file, and so is every later call.
int fn_loader_next(fn_loader *loader, fn_batch *out);

/// Image `at` of the n of a batch that this loader gave, made anew: (3, height, width), the same numbers as
/// in the batch of whoever has it in its share.
int fn_loader_make(fn_loader *loader, const fn_batch *batch, int at, float *pixels);

/// Seconds that fn_loader_next has waited so far.
double fn_loader_waited_s(const fn_loader *loader);

#endif
