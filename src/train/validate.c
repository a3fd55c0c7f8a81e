// SPDX-License-Identifier: Apache-2.0
//
// The network is run as it will be used: exported, folded, on the inference plan. Pairs are the same every
// time: all of one person, and of two people all or a million drawn once and for all.
#include "train/validate.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"
#include "eval/folds.h"
#include "eval/roc.h"
#include "nn/net.h"
#include "train/loader.h"

#include <math.h>
#include <string.h>

enum { BATCH = 16, MAX_PAIRS = 1000000, FOLDS = 10, MAX_JUDGED = 12000 };

struct fn_validator {
    const fn_dataset *dataset;
    fn_input_spec input;
    fn_net_options net;
    int mirror, n;     // images
    int *label;        // (n)
    fn_loader *loader; // goes round the dataset, so that decoded crops stay in its cache
    uint64_t n_batches;
    float *mirrored;         // (BATCH, 3, H, W)
    float *same, *different; // of the pairs judged last
    size_t n_same, n_different;
};

static int in_rounds(void *user, uint64_t step, int *image) {
    const fn_validator *v = user;
    const int start = (int)(step % v->n_batches) * BATCH;
    const int n = v->n - start < BATCH ? v->n - start : BATCH;
    for (int i = 0; i < n; i++)
        image[i] = start + i;
    return n;
}

int fn_validator_open(fn_validator **out, const fn_dataset *dataset, const fn_input_spec *input,
                      const fn_train_options *options) {
    fn_validator *v = *out = fn_calloc(1, sizeof *v);
    if (!v)
        return fn_fail_memory();
    int rc = FN_OK;
    const size_t item = 3 * (size_t)input->width * (size_t)input->height;
    *v = (fn_validator){.dataset = dataset, .input = *input, .mirror = options->val_mirror};
    v->net.backend = strcmp(options->backend, "reference") == 0 ? FN_BACKEND_REF : FN_BACKEND_AUTO;
    v->net.threads = options->threads;
    v->n = fn_dataset_n_images(dataset);
    v->n_batches = (uint64_t)((v->n + BATCH - 1) / BATCH);
    v->label = fn_calloc((size_t)v->n, sizeof *v->label);
    v->mirrored = fn_alloc_aligned(BATCH * item * sizeof *v->mirrored);
    if (!v->label || !v->mirrored) {
        rc = fn_fail_memory();
        goto out;
    }
    for (int i = 0; i < v->n; i++)
        v->label[i] = fn_dataset_image_person(dataset, i);
    fn_pairs_count(&v->n_same, &v->n_different, v->label, v->n);
    if (!v->n_same || !v->n_different) {
        rc = fn_fail(FN_EINVAL, "%s: validation wants two people or more, one of them with two images",
                     fn_dataset_root(dataset));
        goto out;
    }
    v->same = fn_calloc(v->n_same, sizeof *v->same);
    v->different = fn_calloc(v->n_different, sizeof *v->different);
    if (!v->same || !v->different) {
        rc = fn_fail_memory();
        goto out;
    }
    rc = fn_loader_open(&v->loader,
                        &(fn_loader_options){.dataset = dataset,
                                             .width = input->width,
                                             .height = input->height,
                                             .mean = {input->mean[0], input->mean[1], input->mean[2]},
                                             .scale = input->scale,
                                             .bgr = input->bgr,
                                             .augment = fn_augment_none(),
                                             .threads = options->loader_threads,
                                             .cache_bytes = (size_t)options->cache_mb << 20,
                                             .n_max = BATCH,
                                             .batch = in_rounds,
                                             .user = v});
out:
    if (rc < 0) {
        fn_validator_free(v);
        *out = NULL;
    }
    return rc;
}

void fn_validator_free(fn_validator *validator) {
    if (!validator)
        return;
    fn_loader_free(validator->loader);
    fn_free(validator->label);
    fn_free(validator->mirrored);
    fn_free(validator->same);
    fn_free(validator->different);
    fn_free(validator);
}

void fn_validator_pairs(const fn_validator *validator, const float **same, size_t *n_same,
                        const float **different, size_t *n_different) {
    *same = validator->same;
    *different = validator->different;
    *n_same = validator->n_same;
    *n_different = validator->n_different;
}

// ---- embeddings ------------------------------------------------------------------------------

static int make_unit(float *row, int d) {
    double squares = 0;
    for (int k = 0; k < d; k++)
        squares += (double)row[k] * (double)row[k];
    if (!(squares > 0) || !isfinite(squares))
        return fn_fail(FN_ETRAIN, "the network gives an embedding without a length: try a lower lr or clip");
    for (int k = 0; k < d; k++)
        row[k] = (float)((double)row[k] / sqrt(squares));
    return FN_OK;
}

static void mirror_planes(float *dst, const float *src, size_t n_rows, int width) {
    for (size_t y = 0; y < n_rows; y++)
        for (int x = 0; x < width; x++)
            dst[y * (size_t)width + (size_t)x] = src[y * (size_t)width + (size_t)(width - 1 - x)];
}

// One batch: dst (n, d) of unit length; twin: room for as many.
static int embed_batch(fn_validator *v, fn_net *net, const fn_batch *batch, int d, float *dst, float *twin) {
    const int w = v->input.width, h = v->input.height;
    int rc = fn_net_run(net, batch->pixels, batch->n, h, w, &dst);
    for (int i = 0; i < batch->n && rc == FN_OK; i++)
        rc = make_unit(dst + (size_t)i * (size_t)d, d);
    if (rc < 0 || !v->mirror)
        return rc;
    mirror_planes(v->mirrored, batch->pixels, (size_t)batch->n * 3 * (size_t)h, w);
    rc = fn_net_run(net, v->mirrored, batch->n, h, w, &twin);
    for (int i = 0; i < batch->n && rc == FN_OK; i++) {
        float *row = dst + (size_t)i * (size_t)d, *other = twin + (size_t)i * (size_t)d;
        rc = make_unit(other, d);
        for (int k = 0; k < d && rc == FN_OK; k++)
            row[k] += other[k];
        rc = rc == FN_OK ? make_unit(row, d) : rc;
    }
    return rc;
}

int fn_validator_run(fn_validator *validator, fn_graph *graph, fn_train_validation *out) {
    fn_validator *v = validator;
    fn_net *net = NULL;
    fn_shape shape = {0};
    fn_batch batch;
    float *embeddings = NULL, *twin = NULL;
    int rc = fn_net_open(&net, graph, &v->net);
    if (rc == FN_OK)
        rc = fn_net_output_shape(net, v->input.height, v->input.width, 0, &shape);
    const int d = (int)fn_shape_count(&shape);
    if (rc < 0)
        goto out;
    embeddings = fn_calloc((size_t)v->n * (size_t)d, sizeof *embeddings);
    twin = fn_calloc(BATCH * (size_t)d, sizeof *twin);
    if (!embeddings || !twin)
        rc = fn_fail_memory();
    for (int done = 0; rc == FN_OK && done < v->n; done += batch.n)
        if ((rc = fn_loader_next(v->loader, &batch)) == FN_OK)
            rc = embed_batch(v, net, &batch, d, embeddings + (size_t)done * (size_t)d, twin);
        else
            batch.n = 0;
    if (rc == FN_OK)
        rc = fn_judge(out, embeddings, v->label, v->n, d, v->same, v->different);
    out->n_images = v->n;
    out->n_people = fn_dataset_n_people(v->dataset);
out:
    fn_free(twin);
    fn_free(embeddings);
    fn_net_free(net);
    return rc;
}

// ---- pairs -----------------------------------------------------------------------------------

// All pairs of one person; images of a person are contiguous.
static uint64_t all_same(const int *label, int n) {
    uint64_t pairs = 0;
    for (int start = 0, end; start < n; start = end) {
        for (end = start + 1; end < n && label[end] == label[start]; end++)
            continue;
        pairs += (uint64_t)(end - start) * (uint64_t)(end - start - 1) / 2;
    }
    return pairs;
}

void fn_pairs_count(size_t *n_same, size_t *n_different, const int *label, int n) {
    const uint64_t same = all_same(label, n), different = (uint64_t)n * (uint64_t)(n - 1) / 2 - same;
    *n_same = (size_t)(same < MAX_PAIRS ? same : MAX_PAIRS);
    *n_different = (size_t)(different < MAX_PAIRS ? different : MAX_PAIRS);
}

static float squared_distance(const float *embeddings, int i, int k, int d) {
    const float *a = embeddings + (size_t)i * (size_t)d, *b = embeddings + (size_t)k * (size_t)d;
    double sum = 0;
    for (int c = 0; c < d; c++)
        sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return (float)sum;
}

// Evenly spread over the pairs of one person when there are more than fit.
static void measure_same(float *same, size_t n_same, const float *embeddings, const int *label, int n,
                         int d) {
    const uint64_t all = all_same(label, n);
    uint64_t at = 0, taken = 0;
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n && label[k] == label[i]; k++, at++)
            if (taken < n_same && at == taken * all / n_same)
                same[taken++] = squared_distance(embeddings, i, k, d);
}

static void measure_different(float *different, size_t n_different, const float *embeddings, const int *label,
                              int n, int d) {
    if (n_different < MAX_PAIRS) {
        size_t at = 0;
        for (int i = 0; i < n; i++)
            for (int k = i + 1; k < n; k++)
                if (label[i] != label[k])
                    different[at++] = squared_distance(embeddings, i, k, d);
        return;
    }
    fn_rng rng = fn_rng_at(1, FN_STREAM_SPLIT, 1); // the same pairs in every run
    for (size_t at = 0; at < n_different;) {
        const int i = (int)fn_rng_below(&rng, (uint32_t)n), k = (int)fn_rng_below(&rng, (uint32_t)n);
        if (label[i] != label[k])
            different[at++] = squared_distance(embeddings, i, k, d);
    }
}

// Equally many pairs of either kind, evenly spread over what was measured; folds are runs of pairs, so that
// those of a person stay together.
static int judge_accuracy(fn_train_validation *out, const float *same, size_t n_same, const float *different,
                          size_t n_different) {
    size_t n = n_same < n_different ? n_same : n_different;
    n = n < MAX_JUDGED / 2 ? n : MAX_JUDGED / 2;
    const size_t folds = n >= 5 * FOLDS ? FOLDS : 1;
    fn_fold_pair *pairs = fn_calloc(2 * n, sizeof *pairs);
    fn_fold fold[FOLDS];
    if (!pairs)
        return fn_fail_memory();
    for (size_t i = 0; i < n; i++) {
        const int at = (int)(i * folds / n);
        pairs[2 * i] = (fn_fold_pair){same[i * n_same / n], at, 1};
        pairs[2 * i + 1] = (fn_fold_pair){different[i * n_different / n], at, 0};
    }
    fn_folds_measure(fold, (int)folds, pairs, 2 * n);
    const fn_accuracy accuracy = fn_folds_accuracy(fold, (int)folds);
    out->accuracy = accuracy.mean;
    out->accuracy_se = accuracy.standard_error;
    out->threshold = accuracy.threshold;
    fn_free(pairs);
    return FN_OK;
}

static double mean(const float *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i];
    return sum / (double)n;
}

int fn_judge(fn_train_validation *out, const float *embeddings, const int *label, int n, int d, float *same,
             float *different) {
    size_t n_same, n_different;
    fn_roc roc;
    fn_pairs_count(&n_same, &n_different, label, n);
    *out = (fn_train_validation){.n_same = n_same, .n_different = n_different};
    measure_same(same, n_same, embeddings, label, n, d);
    measure_different(different, n_different, embeddings, label, n, d);
    out->mean_same = mean(same, n_same);
    out->mean_different = mean(different, n_different);
    int rc = judge_accuracy(out, same, n_same, different, n_different);
    if (rc < 0 || (rc = fn_roc_measure(&roc, same, n_same, different, n_different)) < 0)
        return rc;
    out->auc = fn_roc_auc(&roc);
    out->eer = fn_roc_eer(&roc);
    out->tar_at_far_1e3 = n_different < 1000 ? NAN : (double)fn_roc_at_far(&roc, 1e-3).same / (double)n_same;
    fn_roc_free(&roc);
    return FN_OK;
}
