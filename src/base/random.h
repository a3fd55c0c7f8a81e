// SPDX-License-Identifier: Apache-2.0
//
// Random numbers by counter: number i of a stream is a function of (seed, stream, i) alone, so that any
// thread may draw any of them and a run that is resumed draws the same ones. Philox4x32-10 (Salmon et al.
// 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
//
//     fn_rng r = fn_rng_at(seed, stream, index);
//     float angle = fn_rng_range(&r, -10, 10);
#ifndef FN_BASE_RANDOM_H
#define FN_BASE_RANDOM_H

#include <stdint.h>

/// One block of Philox4x32 with ten rounds.
void fn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/// A position in a stream. A plain value: copy it to remember a position.
typedef struct fn_rng {
    uint32_t key[2];     // the seed
    uint32_t counter[4]; // block within the index, unused, index, stream
    uint32_t block[4];
    int left; // numbers of the block not yet drawn
} fn_rng;

/// The first number of item `index` of `stream`. An item has 2^34 numbers before the next one begins.
fn_rng fn_rng_at(uint64_t seed, uint32_t stream, uint32_t index);

uint32_t fn_rng_bits(fn_rng *r);
/// [0, 1), 24 bits.
float fn_rng_unit(fn_rng *r);
/// [low, high).
float fn_rng_range(fn_rng *r, float low, float high);
/// 0 .. n - 1 without bias; n > 0.
uint32_t fn_rng_below(fn_rng *r, uint32_t n);
/// Mean 0, standard deviation 1 (Box and Muller 1958).
float fn_rng_normal(fn_rng *r);
/// A permutation of n numbers in place (Fisher and Yates).
void fn_rng_shuffle(fn_rng *r, int *values, int n);

/// Streams, so that no two uses draw the same numbers.
enum {
    FN_STREAM_WEIGHTS = 1, // index: parameter
    FN_STREAM_SAMPLER,     // index: epoch or step
    FN_STREAM_AUGMENT,     // index: sample
    FN_STREAM_MINING,      // index: step
    FN_STREAM_DROPOUT,     // index: step
    FN_STREAM_SPLIT
};

#endif
