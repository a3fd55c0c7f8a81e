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
    char *fingerprint;
    fn_sqdist_fn *sqdist;

    float *rows;         // (capacity, stride)
    fn_id *faces;        // (capacity)
    uint32_t *person_of; // (capacity), numbers into people
    size_t n, capacity;

    fn_id *people;   // (people_capacity)
    uint32_t *slots; // open addressing, (n_slots): number of a person + 1, or 0
    size_t n_people, people_capacity;
    size_t n_slots; // a power of two, at least twice people_capacity
};

#endif
