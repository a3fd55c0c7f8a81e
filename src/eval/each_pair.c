// SPDX-License-Identifier: Apache-2.0
//
// Every pair of photographs, block against block: 256 vectors of 128 floats are 128 KiB.
#include "eval/each_pair.h"

#include "base/alloc.h"
#include "base/error.h"

enum { BLOCK = 256 };

int fn_each_pair_count(fn_pair_counts *out, const fn_photos *photos) {
    uint64_t *of_person = fn_calloc(photos->n_people, sizeof *of_person);
    if (!of_person)
        return fn_fail_memory();
    *out = (fn_pair_counts){0};
    for (size_t i = 0; i < photos->n; i++) {
        uint64_t before = of_person[photos->data[i].person]++;
        out->same += before;
        out->different += i - before;
    }
    if (photos->older)
        *out = (fn_pair_counts){2 * out->same, 2 * out->different}; // each way round
    fn_free(of_person);
    return FN_OK;
}

/// Pairs (i, k) with i < k, i in one block and k in the other.
static void visit_blocks(const fn_photos *photos, size_t first, size_t second,
                         void (*visit)(void *user, float distance, int same), void *user) {
    size_t i_end = first + BLOCK < photos->n ? first + BLOCK : photos->n;
    size_t k_end = second + BLOCK < photos->n ? second + BLOCK : photos->n;
    for (size_t i = first; i < i_end; i++)
        for (size_t k = second > i ? second : i + 1; k < k_end; k++) {
            const float *a = fn_photos_vector(photos, i), *b = fn_photos_vector(photos, k);
            const int same = photos->data[i].person == photos->data[k].person;
            if (!photos->older) {
                visit(user, fn_distance(a, b, photos->dimension), same);
                continue;
            }
            visit(user, fn_distance(a, fn_photos_older_vector(photos, k), photos->dimension), same);
            visit(user, fn_distance(fn_photos_older_vector(photos, i), b, photos->dimension), same);
        }
}

int fn_each_pair(const fn_photos *photos, void (*visit)(void *user, float distance, int same), void *user,
                 const fn_control *control) {
    for (size_t first = 0; first < photos->n; first += BLOCK)
        for (size_t second = first; second < photos->n; second += BLOCK) {
            int rc = fn_control_step(control, 0, 0);
            if (rc < 0)
                return rc;
            visit_blocks(photos, first, second, visit, user);
        }
    return FN_OK;
}
