// SPDX-License-Identifier: Apache-2.0
//
// Inside of an index. Rows are vectors padded with zeros to `stride` floats, 64-byte aligned, in the
// order they were added; people are numbered in the order they first appeared.
#ifndef FN_MATCH_INDEX_H
#define FN_MATCH_INDEX_H

#include "kernels/sqdist.h"

#include <facenet/match.h>

struct fn_index {
    int dimension;
    size_t stride;
    fn_comparable makers[FN_INDEX_MAX_MAKERS]; // texts of its own; the first is that of what is searched for
    size_t n_made[FN_INDEX_MAX_MAKERS];        // vectors of each
    int n_makers;
    fn_sqdist_fn *sqdist;

    float *rows;             // (capacity, stride)
    fn_id *faces;            // (capacity)
    uint32_t *person_of;     // (capacity), numbers into people
    unsigned char *maker_of; // (capacity), numbers into makers
    size_t n, capacity;

    fn_id *people;   // (people_capacity)
    uint32_t *slots; // open addressing, (n_slots): number of a person + 1, or 0
    size_t n_people, people_capacity;
    size_t n_slots; // a power of two, at least twice people_capacity
};

/// fn_index_search among the vectors of one maker; FN_INDEX_ALL: among all. The vector is of makers[0].
#define FN_INDEX_ALL (-1)
int fn_index_search_made(fn_candidate *dst, size_t *n_out, const fn_index *index, const float *vector,
                         int maker, size_t k);

#endif
