// SPDX-License-Identifier: Apache-2.0
//
// Pictures that are there twice: the same file, or the same photograph in another coding or size, which the
// embedder maps to nearly the same vector. Every pair of vectors is compared, blocks of rows on several
// threads. Files without a vector, because they cannot be decoded or show no face, are the same when their
// bytes are.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "kernels/sqdist.h"
#include "train/embed_crops.h"
#include "train/inspect.h"
#include "train/skipped.h"
#include "train/workers.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_DISTANCE 0.3
#define MAX_PAIRS 1000000
enum { BLOCK = 256 };

typedef struct pair {
    int a, b; // images, a < b
    double distance;
    int same_bytes;
} pair;

typedef struct job {
    const fn_dataset *dataset;
    const fn_crop_vectors *vectors;
    double distance;
    fn_sqdist_fn *sqdist;
    float *rows; // (n, stride), aligned, padded with zeros
    size_t stride;
    unsigned char (*sha256)[32]; // (n)
    unsigned char *hashed;       // (n)
    pair *pairs;
    int n_pairs, capacity;
    pthread_mutex_t lock; // of the pairs
} job;

static int add_pair(job *j, pair p) {
    int rc = FN_OK;
    pthread_mutex_lock(&j->lock);
    if (j->n_pairs == MAX_PAIRS) {
        rc = fn_fail(FN_ELIMIT, "more than %d pairs of pictures are within %g: ask for a smaller distance",
                     MAX_PAIRS, j->distance);
    } else if (j->n_pairs == j->capacity) {
        int capacity = j->capacity ? 2 * j->capacity : 256;
        pair *pairs = fn_realloc(j->pairs, (size_t)capacity, sizeof *pairs);
        rc = pairs ? FN_OK : fn_fail_memory();
        if (pairs) {
            j->pairs = pairs;
            j->capacity = capacity;
        }
    }
    if (rc == FN_OK)
        j->pairs[j->n_pairs++] = p;
    pthread_mutex_unlock(&j->lock);
    return rc;
}

static int hash_one(void *user, int image) {
    job *j = user;
    char *path = fn_dataset_image_path(j->dataset, image);
    int rc = path ? fn_file_sha256(j->sha256[image], path, 0) : FN_ENOMEM;
    fn_free(path);
    j->hashed[image] = rc == FN_OK;
    return rc == FN_ENOMEM ? rc : FN_OK;
}

static int has_same_bytes(const job *j, int a, int b) {
    return j->hashed[a] && j->hashed[b] && memcmp(j->sha256[a], j->sha256[b], 32) == 0;
}

/// Rows of block `item` against all later rows. The kernel's float sums choose, with its error to spare; the
/// exact distance decides.
static int compare_block(void *user, int item) {
    job *j = user;
    const int n = fn_dataset_n_images(j->dataset), first = item * BLOCK;
    const int end = first + BLOCK < n ? first + BLOCK : n;
    const double near = j->distance * j->distance * (1 + 2 * FN_SQDIST_ERROR(j->stride)) + 1e-12;
    float d2[BLOCK];
    int rc = FN_OK;
    for (int other = first; other < n && rc == FN_OK; other += BLOCK) {
        const int n_rows = n - other < BLOCK ? n - other : BLOCK;
        for (int a = first; a < end && rc == FN_OK; a++) {
            j->sqdist(d2, j->rows + (size_t)a * j->stride, j->rows + (size_t)other * j->stride,
                      (size_t)n_rows, j->stride);
            for (int k = 0; k < n_rows && rc == FN_OK; k++) {
                const int b = other + k;
                if (b <= a || !((double)d2[k] <= near) || !j->vectors->known[a] || !j->vectors->known[b])
                    continue;
                double distance = (double)fn_distance(fn_crop_vector(j->vectors, a),
                                                      fn_crop_vector(j->vectors, b), j->vectors->dimension);
                if (distance <= j->distance)
                    rc = add_pair(j, (pair){a, b, distance, has_same_bytes(j, a, b)});
            }
        }
    }
    return rc;
}

typedef struct digest {
    const unsigned char *sha256;
    int image, person;
} digest;

/// Files of the same bytes follow each other, those of a person too.
static int by_bytes(const void *pa, const void *pb) {
    const digest *a = pa, *b = pb;
    int order = memcmp(a->sha256, b->sha256, 32);
    return order ? order : (a->image > b->image) - (a->image < b->image);
}

/// Pairs of equal files of which one at least has no vector: each with the first of all and with the first of
/// its person, which is enough to choose by and grows with the files, not with their pairs.
static int pair_equal_files(job *j) {
    const int n = fn_dataset_n_images(j->dataset);
    digest *sorted = fn_alloc((size_t)n * sizeof *sorted);
    int n_sorted = 0, rc = sorted ? FN_OK : fn_fail_memory();
    for (int i = 0; i < n && rc == FN_OK; i++)
        if (j->hashed[i])
            sorted[n_sorted++] = (digest){j->sha256[i], i, fn_dataset_image_person(j->dataset, i)};
    if (n_sorted)
        qsort(sorted, (size_t)n_sorted, sizeof *sorted, by_bytes);
    for (int k = 1, first = 0, own = 0; k < n_sorted && rc == FN_OK; k++) {
        if (memcmp(sorted[k].sha256, sorted[first].sha256, 32) != 0) {
            first = own = k;
            continue;
        }
        own = sorted[k].person == sorted[own].person ? own : k;
        const int firsts[2] = {sorted[first].image, sorted[own].image}, image = sorted[k].image;
        for (int of = 0; of < (own == first ? 1 : 2) && rc == FN_OK; of++)
            if (firsts[of] != image && !(j->vectors->known[firsts[of]] && j->vectors->known[image]))
                rc = add_pair(j, (pair){firsts[of], image, 0, 1});
    }
    fn_free(sorted);
    return rc;
}

static int by_images(const void *pa, const void *pb) {
    const pair *a = pa, *b = pb;
    return a->a != b->a ? (a->a > b->a) - (a->a < b->a) : (a->b > b->b) - (a->b < b->b);
}

/// Marks every picture that is the same as an earlier one of its person, in the order of the pairs: what
/// stays is never the double of something that stays.
static void choose(unsigned char *chosen, const job *j) {
    for (int k = 0; k < j->n_pairs; k++) {
        const pair *p = &j->pairs[k];
        if (!chosen[p->a] &&
            fn_dataset_image_person(j->dataset, p->a) == fn_dataset_image_person(j->dataset, p->b))
            chosen[p->b] = 1;
    }
}

static int make_report(char **report, const job *j, const fn_inspect_options *o) {
    const int n = fn_dataset_n_images(j->dataset);
    unsigned char *chosen = fn_calloc((size_t)n, 1);
    if (!chosen)
        return fn_fail_memory();
    json_t *lists[2] = {json_array(), json_array()};
    choose(chosen, j);
    for (int k = 0; k < j->n_pairs; k++) {
        const pair *p = &j->pairs[k];
        int two = fn_dataset_image_person(j->dataset, p->a) != fn_dataset_image_person(j->dataset, p->b);
        json_array_append_new(lists[two],
                              json_pack("{s:o, s:o, s:f, s:b}", "first",
                                        fn_inspect_name(fn_dataset_image_name(j->dataset, p->a)), "second",
                                        fn_inspect_name(fn_dataset_image_name(j->dataset, p->b)), "distance",
                                        p->distance, "same_bytes", p->same_bytes));
    }
    int rc = fn_inspect_finish(report,
                               json_pack("{s:i, s:i, s:f, s:o, s:o}", "images", n, "unreadable",
                                         j->vectors->n_unknown, "distance", o->distance, "same_person",
                                         lists[0], "two_people", lists[1]),
                               j->dataset, chosen, o, FN_DUPLICATES_FOLDER);
    fn_free(chosen);
    return rc;
}

static int look(char **report, job *j, const fn_inspect_options *o, const fn_control *control) {
    const size_t n = (size_t)fn_dataset_n_images(j->dataset), dimension = (size_t)j->vectors->dimension;
    size_t n_floats;
    j->stride = (dimension + FN_SQDIST_LANES - 1) / FN_SQDIST_LANES * FN_SQDIST_LANES;
    if (fn_size_mul(&n_floats, n, j->stride * sizeof *j->rows))
        j->rows = fn_alloc_aligned(n_floats);
    j->sha256 = fn_calloc(n, sizeof *j->sha256);
    j->hashed = fn_calloc(n, 1);
    if (!j->rows || !j->sha256 || !j->hashed)
        return fn_fail_memory();
    memset(j->rows, 0, n_floats);
    for (size_t i = 0; i < n; i++)
        memcpy(j->rows + i * j->stride, fn_crop_vector(j->vectors, (int)i), dimension * sizeof *j->rows);
    int rc = fn_workers_run((int)n, o->jobs, hash_one, j, NULL);
    if (rc == FN_OK)
        rc = pair_equal_files(j);
    if (rc == FN_OK)
        rc = fn_workers_run((int)((n + BLOCK - 1) / BLOCK), o->jobs, compare_block, j, control);
    if (rc < 0)
        return rc;
    if (j->n_pairs)
        qsort(j->pairs, (size_t)j->n_pairs, sizeof *j->pairs, by_images);
    return make_report(report, j, o);
}

int fn_dataset_duplicates(char **report, fn_recognizer *recognizer, const char *root,
                          const fn_inspect_options *options, const fn_control *control) {
    fn_inspect_options o;
    fn_dataset *dataset = NULL;
    fn_crop_vectors vectors = {0};
    *report = NULL;
    int rc = fn_inspect_check_options(&o, options, DEFAULT_DISTANCE);
    if (rc == FN_OK)
        rc = fn_inspect_open(&dataset, root, &o);
    if (rc == FN_OK)
        fn_skipped_tell(dataset, control);
    if (rc == FN_OK)
        rc = fn_crop_vectors_open(&vectors, dataset, recognizer, o.jobs, control);
    job j = {.dataset = dataset,
             .vectors = &vectors,
             .distance = o.distance,
             .sqdist = fn_sqdist_choose(fn_cpu_flags()),
             .lock = PTHREAD_MUTEX_INITIALIZER};
    if (rc == FN_OK)
        rc = look(report, &j, &o, control);
    pthread_mutex_destroy(&j.lock);
    fn_free(j.pairs);
    fn_free(j.hashed);
    fn_free(j.sha256);
    fn_free(j.rows);
    fn_crop_vectors_free(&vectors);
    fn_dataset_free(dataset);
    return rc;
}
