// SPDX-License-Identifier: Apache-2.0
//
// Which images a step of training sees. A step is a function of (seed, step) alone, so that a resumed run
// sees what the interrupted one would have seen, and any thread may ask for any step.
#ifndef FN_TRAIN_SAMPLER_H
#define FN_TRAIN_SAMPLER_H

#include <stdint.h>

typedef enum fn_sampling {
    FN_SAMPLE_PEOPLE, // P people times K images of each: what mining needs
    FN_SAMPLE_UNIFORM // a permutation of all images per epoch: what losses over classes need
} fn_sampling;

typedef struct fn_sampler_options {
    fn_sampling kind;
    int people;    // P; uniform sampling takes people * images images a step
    int images;    // K: of a person with n images min(n, K), without replacement
    int repeat;    // 1: whoever has fewer than K images gives some again, so that all steps are equally large
    int negatives; // further images a step, one each of people who are not among the P (who may have one
                   // image)
    uint64_t seed;
} fn_sampler_options;

typedef struct fn_sampler fn_sampler; // immutable once open: any number of threads may use it

struct fn_dataset;

/// All people of a dataset, which is not kept. Errors: FN_EINVAL (nobody has two images, or nonsense
/// options), FN_ENOMEM.
int fn_sampler_open(fn_sampler **out, const struct fn_dataset *dataset, const fn_sampler_options *options);

/// The same from numbers: person p has the images first_image[p] .. first_image[p + 1] - 1; first_image has
/// n_people + 1 entries and is copied.
int fn_sampler_open_ranges(fn_sampler **out, const int *first_image, int n_people,
                           const fn_sampler_options *options);
void fn_sampler_free(fn_sampler *sampler);

/// Most images a step can have.
int fn_sampler_batch_max(const fn_sampler *sampler);

/// Steps in which everybody with at least two images (uniform: every image) comes up once. Where the last
/// of them is not full, it is filled with those who came first in the same epoch.
int64_t fn_sampler_steps_per_epoch(const fn_sampler *sampler);

/// Writes the image numbers of a step, people one after the other, then the negatives; returns how many, or
/// FN_ENOMEM. image has room for fn_sampler_batch_max.
int fn_sampler_batch(const fn_sampler *sampler, uint64_t step, int *image);

#endif
