// SPDX-License-Identifier: Apache-2.0
//
// Exact search in two steps. The kernel measures every row quickly in float; from its known error
// follows which rows can be among the answers, and those few are measured again in double by
// fn_distance. So the answer does not depend on the processor, and equals a plain sorted scan.
#include "match/index.h"

#include "base/alloc.h"
#include "base/error.h"
#include "match/distance.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct scored {
    fn_candidate candidate;
    uint32_t person;
} scored;

/// By distance, then person, then face: a total order, whatever order the faces were added in.
static int compare(const void *a, const void *b) {
    const fn_candidate *x = &((const scored *)a)->candidate, *y = &((const scored *)b)->candidate;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    int order = memcmp(x->person.bytes, y->person.bytes, FN_ID_SIZE);
    return order ? order : memcmp(x->face.bytes, y->face.bytes, FN_ID_SIZE);
}

/// The k-th smallest of n values (1 <= k <= n), by a heap of the k smallest with the largest on top.
static float kth_smallest(const float *values, size_t n, float *heap, size_t k) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        float value = values[i];
        if (size < k) {
            size_t at = size++;
            for (; at && heap[(at - 1) / 2] < value; at = (at - 1) / 2)
                heap[at] = heap[(at - 1) / 2];
            heap[at] = value;
        } else if (value < heap[0]) {
            size_t at = 0, child;
            while ((child = 2 * at + 1) < k) {
                if (child + 1 < k && heap[child + 1] > heap[child])
                    child++;
                if (heap[child] <= value)
                    break;
                heap[at] = heap[child];
                at = child;
            }
            heap[at] = value;
        }
    }
    return heap[0];
}

/// The largest squared distance the kernel can give to a row that is no farther than the one it gave
/// `sq` to: both may be off, and distances that round to the same float count as equal.
static double reach(double sq, size_t stride) {
    double error = FN_SQDIST_ERROR(stride);
    return sq * (1 + error) / (1 - error) * (1 + 0x1p-21) + 1e-30;
}

int fn_index_search_made(fn_candidate *dst, size_t *n_out, const fn_index *index, const float *vector,
                         int maker, size_t k) {
    *n_out = 0;
    if (k > index->n_people)
        k = index->n_people;
    if (k == 0)
        return FN_OK;

    int rc = FN_OK;
    size_t n = index->n, n_people = index->n_people, stride = index->stride;
    scored *found = NULL;
    float *query = fn_alloc_aligned((stride + n + n_people + k) * sizeof(float));
    unsigned char *seen = fn_calloc(n_people, 1);
    if (!query || !seen) {
        rc = fn_fail_memory();
        goto out;
    }
    float *sq = query + stride, *nearest = sq + n, *heap = nearest + n_people;
    memset(query, 0, stride * sizeof *query);
    memcpy(query, vector, (size_t)index->dimension * sizeof *query);
    index->sqdist(sq, query, index->rows, n, stride);

    for (size_t p = 0; p < n_people; p++)
        nearest[p] = INFINITY;
    for (size_t r = 0; r < n; r++) {
        if (maker != FN_INDEX_ALL && index->maker_of[r] != maker)
            sq[r] = INFINITY; // like nobody
        if (sq[r] < nearest[index->person_of[r]])
            nearest[index->person_of[r]] = sq[r];
    }
    size_t n_there = 0; // people with a vector of this maker
    for (size_t p = 0; p < n_people; p++)
        n_there += isfinite(nearest[p]) != 0;
    k = k < n_there ? k : n_there;
    if (k == 0)
        goto out;
    // Rounded up, because the kernel's numbers are floats too.
    float limit = nextafterf((float)reach(kth_smallest(nearest, n_people, heap, k), stride), INFINITY);

    size_t n_near = 0, n_found = 0;
    for (size_t r = 0; r < n; r++)
        n_near += sq[r] <= limit;
    found = fn_calloc(n_near, sizeof *found);
    if (!found) {
        rc = fn_fail_memory();
        goto out;
    }
    for (size_t r = 0; r < n; r++) {
        if (sq[r] > limit)
            continue;
        uint32_t person = index->person_of[r];
        if (sq[r] > reach(nearest[person], stride))
            continue;
        float distance = fn_distance(query, index->rows + r * stride, index->dimension);
        const char *fingerprint = index->makers[index->maker_of[r]].fingerprint;
        found[n_found++] = (scored){{index->people[person], index->faces[r], distance, fingerprint}, person};
    }
    qsort(found, n_found, sizeof *found, compare);
    for (size_t i = 0; i < n_found && *n_out < k; i++) {
        if (seen[found[i].person])
            continue;
        seen[found[i].person] = 1;
        dst[(*n_out)++] = found[i].candidate;
    }
    assert(*n_out == k);
out:
    fn_free(found);
    fn_free(seen);
    fn_free(query);
    return rc;
}

int fn_index_search(fn_candidate *dst, size_t *n_out, const fn_index *index, const float *vector,
                    const char *fingerprint, size_t k) {
    const char *wanted = index->makers[0].fingerprint;
    *n_out = 0;
    if (!fingerprint || strcmp(fingerprint, wanted) != 0)
        return fn_fail(FN_EMODEL,
                       "the vector has fingerprint %.12s, the index %.12s: embeddings of two models are "
                       "never compared",
                       fingerprint ? fingerprint : "(none)", wanted);
    if (!vector || !fn_vector_is_unit(vector, index->dimension))
        return fn_fail(FN_EINVAL, "a vector to search is finite and of length 1");
    return fn_index_search_made(dst, n_out, index, vector, FN_INDEX_ALL, k);
}
