// SPDX-License-Identifier: Apache-2.0
//
// Opening a loss and sending a batch to the file of its kind.
#include "train/loss.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/loss_kinds.h"

#include <math.h>
#include <string.h>

typedef struct kind_row {
    const char *name;
    fn_loss_fn *run;
} kind_row;

static const kind_row kinds[] = {
    [FN_LOSS_TRIPLET] = {"triplet", fn_loss_run_triplet},
    [FN_LOSS_SOFT_TRIPLET] = {"soft-triplet", fn_loss_run_triplet},
    [FN_LOSS_SOFTMAX] = {"softmax", fn_loss_run_softmax},
    [FN_LOSS_ARCFACE] = {"arcface", fn_loss_run_arcface},
    [FN_LOSS_DISTILL] = {"distill", fn_loss_run_distill},
    [FN_LOSS_HARMONIC] = {"harmonic", fn_loss_run_harmonic},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

static const char *const minings[] = {
    [FN_MINE_SEMI_HARD] = "semi-hard",
    [FN_MINE_SEMI_HARD_RANDOM] = "semi-hard-random",
    [FN_MINE_ANY_VIOLATOR] = "any-violator",
    [FN_MINE_BATCH_HARD] = "batch-hard",
    [FN_MINE_RANDOM] = "random",
};
enum { N_MININGS = sizeof minings / sizeof minings[0] };

const char *fn_loss_name(fn_loss_kind kind) {
    return (unsigned)kind < N_KINDS ? kinds[kind].name : NULL;
}

int fn_loss_parse(const char *name) {
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

const char *fn_mining_name(fn_mining mining) {
    return (unsigned)mining < N_MININGS ? minings[mining] : NULL;
}

int fn_mining_parse(const char *name) {
    for (int i = 0; i < N_MININGS; i++)
        if (strcmp(minings[i], name) == 0)
            return i;
    return -1;
}

fn_loss_options fn_loss_defaults(fn_loss_kind kind) {
    fn_loss_options o = {.kind = kind, .mining = FN_MINE_SEMI_HARD, .margin = 0.2F, .scale = 1};
    switch (kind) {
    case FN_LOSS_SOFT_TRIPLET:
        o.mining = FN_MINE_BATCH_HARD;
        o.mean_reduction = 1;
        break;
    case FN_LOSS_SOFTMAX:
        o.centre_weight = 0.003F;
        o.centre_rate = 0.5F;
        break;
    case FN_LOSS_ARCFACE:
        o.margin = 0.5F;
        o.scale = 64;
        break;
    case FN_LOSS_DISTILL:
        o.similarity_weight = 10;
        break;
    case FN_LOSS_TRIPLET:
    case FN_LOSS_HARMONIC:
        break;
    }
    return o;
}

static int is_between(float value, double low, double high) {
    return (double)value >= low && (double)value <= high; // and a number
}

static int check(const fn_loss_options *o) {
    int classes = o->kind == FN_LOSS_SOFTMAX || o->kind == FN_LOSS_ARCFACE;
    if ((unsigned)o->kind >= N_KINDS || (unsigned)o->mining >= N_MININGS)
        return fn_fail(FN_EINVAL, "there is no such loss or mining rule");
    if (o->dimension < 1 || o->dimension > 65536)
        return fn_fail(FN_EINVAL, "a loss of embeddings of %d numbers", o->dimension);
    if (classes && (o->n_classes < 2 || o->n_classes > 1 << 24))
        return fn_fail(FN_EINVAL, "the loss %s needs two or more people, not %d", kinds[o->kind].name,
                       o->n_classes);
    if (o->kind == FN_LOSS_HARMONIC && o->teacher_dimension && o->teacher_dimension != o->dimension)
        return fn_fail(FN_EINVAL, "embeddings of %d and %d numbers cannot live side by side", o->dimension,
                       o->teacher_dimension);
    if (o->teacher_dimension < 0 || o->teacher_dimension > 65536)
        return fn_fail(FN_EINVAL, "a teacher with embeddings of %d numbers", o->teacher_dimension);
    if (!is_between(o->margin, 0, o->kind == FN_LOSS_ARCFACE ? 3.14159 : 100))
        return fn_fail(FN_EINVAL, "the margin %g is out of range", (double)o->margin);
    if (classes && !is_between(o->scale, 1e-3, 1e4))
        return fn_fail(FN_EINVAL, "the scale %g is out of range: 0.001 to 10000", (double)o->scale);
    if (!is_between(o->centre_weight, 0, 1e6) || !is_between(o->centre_rate, 0, 1) ||
        !is_between(o->similarity_weight, 0, 1e6))
        return fn_fail(FN_EINVAL, "a weight of the loss is negative or no number");
    return FN_OK;
}

/// Sizes of what a kind keeps.
static void measure(fn_loss *loss) {
    fn_loss_options *o = &loss->options;
    size_t d = (size_t)o->dimension, classes = (size_t)o->n_classes;
    if (o->kind == FN_LOSS_SOFTMAX) {
        loss->n_biases = classes;
        loss->n_weights = classes * d + classes;
        loss->n_state = o->centre_weight > 0 ? classes * d : 0;
    }
    if (o->kind == FN_LOSS_ARCFACE)
        loss->n_weights = classes * d;
    if (!o->teacher_dimension)
        o->teacher_dimension = o->dimension;
    if (o->kind == FN_LOSS_DISTILL && o->teacher_dimension != o->dimension)
        loss->n_weights = (size_t)o->teacher_dimension * d;
}

/// Class vectors and projection rows: normal numbers that give each about unit length (arcface) or keep the
/// length of what they multiply (projection); those of a softmax start small, biases at zero.
static void initialise(fn_loss *loss) {
    const fn_loss_options *o = &loss->options;
    double d = o->dimension;
    double sigma = o->kind == FN_LOSS_DISTILL ? sqrt(1.0 / o->teacher_dimension) : sqrt(1 / d);
    fn_rng rng = fn_rng_at(o->seed, FN_STREAM_WEIGHTS, UINT32_MAX); // behind all parameters of a network
    for (size_t i = 0; i < loss->n_weights - loss->n_biases; i++)
        loss->weights[i] = (float)(sigma * (double)fn_rng_normal(&rng));
}

int fn_loss_open(fn_loss **out, const fn_loss_options *options) {
    *out = NULL;
    int rc = check(options);
    if (rc < 0)
        return rc;
    fn_loss *loss = fn_calloc(1, sizeof *loss);
    if (!loss)
        return fn_fail_memory();
    loss->options = *options;
    loss->options.threads = options->threads > 0 ? options->threads : 1;
    measure(loss);
    loss->weights = fn_calloc(loss->n_weights, sizeof *loss->weights);
    loss->gradients = fn_calloc(loss->n_weights, sizeof *loss->gradients);
    loss->state = fn_calloc(loss->n_state, sizeof *loss->state);
    if (!loss->weights || !loss->gradients || !loss->state) {
        fn_loss_free(loss);
        return fn_fail_memory();
    }
    initialise(loss);
    *out = loss;
    return FN_OK;
}

void fn_loss_free(fn_loss *loss) {
    if (!loss)
        return;
    fn_free(loss->weights);
    fn_free(loss->gradients);
    fn_free(loss->state);
    fn_free(loss->scratch);
    fn_free(loss);
}

double *fn_loss_scratch(fn_loss *loss, size_t n) {
    if (n <= loss->n_scratch)
        return loss->scratch;
    fn_free(loss->scratch);
    loss->n_scratch = 0;
    loss->scratch = fn_calloc(n, sizeof *loss->scratch);
    if (loss->scratch)
        loss->n_scratch = n;
    else
        fn_fail_memory();
    return loss->scratch;
}

static int check_batch(const fn_loss *loss, const fn_loss_batch *batch) {
    const fn_loss_options *o = &loss->options;
    if (batch->n < 1)
        return fn_fail(FN_EINVAL, "a batch without images has no loss");
    if ((o->kind == FN_LOSS_DISTILL || o->kind == FN_LOSS_HARMONIC) && !batch->teacher)
        return fn_fail(FN_EINVAL, "the loss %s needs the other network's embeddings", kinds[o->kind].name);
    for (int i = 0; (o->kind == FN_LOSS_SOFTMAX || o->kind == FN_LOSS_ARCFACE) && i < batch->n; i++)
        if (batch->label[i] < 0 || batch->label[i] >= o->n_classes)
            return fn_fail(FN_EINVAL, "image %d of the batch shows person %d of %d", i, batch->label[i],
                           o->n_classes);
    return FN_OK;
}

static int is_finite(const float *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

int fn_loss_run(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out) {
    fn_loss_result ignored, *result = out ? out : &ignored;
    *result = (fn_loss_result){0};
    int rc = check_batch(loss, batch), d = loss->options.dimension;
    if (rc < 0)
        return rc;
    size_t size = (size_t)batch->n * (size_t)d;
    if (!is_finite(batch->embeddings, size)) { // no rule of mining would notice
        memset(d_embeddings, 0, size * sizeof *d_embeddings);
        memset(loss->gradients, 0, loss->n_weights * sizeof *loss->gradients);
        result->loss = result->mean_ap = result->mean_an = (double)NAN;
        return FN_OK;
    }
    int mined = loss->options.kind == FN_LOSS_TRIPLET || loss->options.kind == FN_LOSS_SOFT_TRIPLET;
    if (!mined && out) // triplets know them from mining
        rc = fn_mine_means(&result->mean_ap, &result->mean_an, batch->embeddings, batch->label, batch->n, d);
    return rc < 0 ? rc : kinds[loss->options.kind].run(loss, batch, d_embeddings, result);
}

size_t fn_loss_n_weights(const fn_loss *loss) {
    return loss->n_weights;
}

size_t fn_loss_n_biases(const fn_loss *loss) {
    return loss->n_biases;
}

float *fn_loss_weights(fn_loss *loss) {
    return loss->weights;
}

const float *fn_loss_gradients(const fn_loss *loss) {
    return loss->gradients;
}

size_t fn_loss_n_state(const fn_loss *loss) {
    return loss->n_state;
}

float *fn_loss_state(fn_loss *loss) {
    return loss->state;
}
