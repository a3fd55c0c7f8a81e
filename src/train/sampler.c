// SPDX-License-Identifier: Apache-2.0
//
// Sampling by epochs: the people who can form a pair are shuffled once per epoch and dealt out P a step. The
// images of each and the negatives are drawn anew in every step. Shuffles and draws start from (seed, epoch)
// and (seed, step), so that nothing is remembered between steps.
#include "train/sampler.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"

#include <facenet/dataset.h>
#include <string.h>

struct fn_sampler {
    fn_sampler_options options;
    int n_people;
    int *first_image; // (n_people + 1)
    int *pairable;    // people with two images or more
    int n_pairable;
    int largest; // most images that one person has
};

/// Epochs shuffle with the numbers below this bit, steps draw with those above.
static const uint32_t of_step = (uint32_t)1 << 31;

static int check(const int *first_image, int n_people, const fn_sampler_options *o) {
    if (n_people < 1 || o->people < 1 || o->images < 1 || o->negatives < 0)
        return fn_fail(FN_EINVAL, "a batch needs people and images: %d people x %d images of %d people",
                       o->people, o->images, n_people);
    if ((int64_t)o->people * o->images + o->negatives > 1 << 24)
        return fn_fail(FN_EINVAL, "a batch of %d x %d images is too large", o->people, o->images);
    for (int p = 0; p < n_people; p++)
        if (first_image[p + 1] < first_image[p])
            return fn_fail(FN_EINVAL, "the images of person %d end before they begin", p);
    return FN_OK;
}

int fn_sampler_open_ranges(fn_sampler **out, const int *first_image, int n_people,
                           const fn_sampler_options *options) {
    *out = NULL;
    int rc = check(first_image, n_people, options);
    if (rc < 0)
        return rc;
    fn_sampler *s = fn_calloc(1, sizeof *s);
    int *first = fn_calloc((size_t)n_people + 1, sizeof *first);
    int *pairable = fn_calloc((size_t)n_people, sizeof *pairable);
    if (!s || !first || !pairable) {
        fn_free(s);
        fn_free(first);
        fn_free(pairable);
        return fn_fail_memory();
    }
    memcpy(first, first_image, ((size_t)n_people + 1) * sizeof *first);
    *s = (fn_sampler){.options = *options, .n_people = n_people, .first_image = first, .pairable = pairable};
    for (int p = 0; p < n_people; p++) {
        int n = first[p + 1] - first[p];
        if (n >= 2)
            pairable[s->n_pairable++] = p;
        s->largest = n > s->largest ? n : s->largest;
    }
    if (options->kind == FN_SAMPLE_PEOPLE && !s->n_pairable)
        rc = fn_fail(FN_EINVAL, "nobody has two images: there are no pairs to learn from");
    if (options->kind == FN_SAMPLE_UNIFORM && first[n_people] == first[0])
        rc = fn_fail(FN_EINVAL, "there are no images to learn from");
    if (rc < 0) {
        fn_sampler_free(s);
        return rc;
    }
    *out = s;
    return FN_OK;
}

int fn_sampler_open(fn_sampler **out, const fn_dataset *dataset, const fn_sampler_options *options) {
    int n = fn_dataset_n_people(dataset);
    int *first = fn_calloc((size_t)n + 1, sizeof *first);
    *out = NULL;
    if (!first)
        return fn_fail_memory();
    for (int p = 0; p <= n; p++)
        first[p] = fn_dataset_first_image(dataset, p);
    int rc = fn_sampler_open_ranges(out, first, n, options);
    fn_free(first);
    return rc;
}

void fn_sampler_free(fn_sampler *sampler) {
    if (!sampler)
        return;
    fn_free(sampler->first_image);
    fn_free(sampler->pairable);
    fn_free(sampler);
}

int fn_sampler_batch_max(const fn_sampler *s) {
    return s->options.people * s->options.images +
           (s->options.kind == FN_SAMPLE_PEOPLE ? s->options.negatives : 0);
}

/// Things dealt out in an epoch, and how many a step takes of them.
static void deal(const fn_sampler *s, int *total, int *per_step) {
    int uniform = s->options.kind == FN_SAMPLE_UNIFORM;
    *total = uniform ? s->first_image[s->n_people] - s->first_image[0] : s->n_pairable;
    *per_step = uniform ? s->options.people * s->options.images : s->options.people;
    if (*per_step > *total)
        *per_step = *total;
}

int64_t fn_sampler_steps_per_epoch(const fn_sampler *s) {
    int total, per_step;
    deal(s, &total, &per_step);
    return ((int64_t)total + per_step - 1) / per_step;
}

/// The numbers 0 .. total - 1 in the order of the step's epoch; *begin: where the step's own begin. The last
/// step goes on at the start of the same order.
static void order_of(const fn_sampler *s, uint64_t step, int *order, int total, int per_step, int *begin) {
    uint64_t steps = (uint64_t)fn_sampler_steps_per_epoch(s);
    fn_rng rng = fn_rng_at(s->options.seed, FN_STREAM_SAMPLER, (uint32_t)(step / steps) & ~of_step);
    for (int i = 0; i < total; i++)
        order[i] = i;
    fn_rng_shuffle(&rng, order, total);
    *begin = (int)(step % steps) * per_step;
}

/// k different ones of a person's n images in random order; with `repeat` all of them again and again until
/// there are `images`. Writes at most `images` numbers and returns how many. scratch: (n).
static int images_of(const fn_sampler *s, int person, int *dst, int *scratch, fn_rng *rng) {
    int first = s->first_image[person], n = s->first_image[person + 1] - first;
    int wanted = s->options.images, written = 0;
    do {
        for (int i = 0; i < n; i++)
            scratch[i] = first + i;
        for (int i = 0; i < n && written < wanted; i++) {
            int k = i + (int)fn_rng_below(rng, (uint32_t)(n - i));
            int t = scratch[i];
            scratch[i] = scratch[k];
            scratch[k] = t;
            dst[written++] = scratch[i];
        }
    } while (s->options.repeat && written < wanted);
    return written;
}

/// One image each of people not yet marked as chosen, which marks them.
static int negatives(const fn_sampler *s, int *dst, int *scratch, unsigned char *chosen, fn_rng *rng) {
    int n_left = 0, written = 0;
    for (int p = 0; p < s->n_people; p++)
        if (!chosen[p] && s->first_image[p + 1] > s->first_image[p])
            scratch[n_left++] = p;
    while (written < s->options.negatives && n_left > 0) {
        int k = (int)fn_rng_below(rng, (uint32_t)n_left), p = scratch[k];
        scratch[k] = scratch[--n_left];
        dst[written++] =
            s->first_image[p] + (int)fn_rng_below(rng, (uint32_t)(s->first_image[p + 1] - s->first_image[p]));
    }
    return written;
}

int fn_sampler_batch(const fn_sampler *s, uint64_t step, int *image) {
    int total, per_step, begin, n = 0;
    deal(s, &total, &per_step);
    size_t room = (size_t)(s->largest > s->n_people ? s->largest : s->n_people);
    int *order = fn_calloc((size_t)total, sizeof *order);
    int *scratch = fn_calloc(room, sizeof *scratch);
    unsigned char *chosen = fn_calloc((size_t)s->n_people, 1);
    if (!order || !scratch || !chosen) {
        n = fn_fail_memory();
        goto out;
    }
    order_of(s, step, order, total, per_step, &begin);
    fn_rng rng = fn_rng_at(s->options.seed, FN_STREAM_SAMPLER, (uint32_t)step | of_step);
    for (int i = 0; i < per_step; i++) {
        int next = order[(begin + i) % total];
        if (s->options.kind == FN_SAMPLE_UNIFORM) {
            image[n++] = s->first_image[0] + next;
            continue;
        }
        chosen[s->pairable[next]] = 1;
        n += images_of(s, s->pairable[next], image + n, scratch, &rng);
    }
    if (s->options.kind == FN_SAMPLE_PEOPLE)
        n += negatives(s, image + n, scratch, chosen, &rng);
out:
    fn_free(order);
    fn_free(scratch);
    fn_free(chosen);
    return n;
}
