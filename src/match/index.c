// SPDX-License-Identifier: Apache-2.0
//
// A growing matrix of vectors and the people they belong to. Adding reserves everything first and
// writes last, so that a failure leaves the index as it was.
#include "match/index.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "match/distance.h"

#include <string.h>

enum { FIRST_ROWS = 64, FIRST_PEOPLE = 16 };

static int check_makers(const fn_comparable *makers, size_t n) {
    if (n < 1 || n > FN_INDEX_MAX_MAKERS)
        return fn_fail(FN_EINVAL, "an index holds vectors of 1 to %d models, not %zu", FN_INDEX_MAX_MAKERS,
                       n);
    for (size_t i = 0; i < n; i++) {
        if (!makers[i].fingerprint || !makers[i].fingerprint[0])
            return fn_fail(FN_EINVAL, "an index needs the fingerprint of its vectors");
        for (size_t k = 0; k < i; k++)
            if (strcmp(makers[i].fingerprint, makers[k].fingerprint) == 0)
                return fn_fail(FN_EINVAL, "the fingerprint %.12s is given twice", makers[i].fingerprint);
    }
    return FN_OK;
}

int fn_index_open_comparable(fn_index **out, int dimension, const fn_comparable *makers, size_t n) {
    *out = NULL;
    if (dimension < 1 || dimension > FN_DIMENSION_MAX)
        return fn_fail(FN_EINVAL, "a vector has 1 to %d dimensions, not %d", FN_DIMENSION_MAX, dimension);
    int rc = check_makers(makers, n);
    if (rc < 0)
        return rc;
    fn_index *index = fn_calloc(1, sizeof *index);
    if (!index)
        return fn_fail_memory();
    index->dimension = dimension;
    index->stride = ((size_t)dimension + FN_SQDIST_LANES - 1) / FN_SQDIST_LANES * FN_SQDIST_LANES;
    index->sqdist = fn_sqdist_choose(fn_cpu_flags());
    index->n_makers = (int)n;
    for (size_t i = 0; i < n && rc == FN_OK; i++) {
        index->makers[i] = (fn_comparable){.fingerprint = fn_strdup(makers[i].fingerprint),
                                           .name = fn_strdup(makers[i].name ? makers[i].name : ""),
                                           .calibration = makers[i].calibration};
        if (!index->makers[i].fingerprint || !index->makers[i].name)
            rc = fn_fail_memory();
    }
    if (rc < 0) {
        fn_index_free(index);
        return rc;
    }
    *out = index;
    return FN_OK;
}

int fn_index_open(fn_index **out, int dimension, const char *fingerprint) {
    return fn_index_open_comparable(out, dimension, &(fn_comparable){.fingerprint = fingerprint}, 1);
}

void fn_index_free(fn_index *index) {
    if (!index)
        return;
    fn_free(index->slots);
    fn_free(index->people);
    fn_free(index->person_of);
    fn_free(index->faces);
    fn_free(index->rows);
    fn_free(index->maker_of);
    for (int i = 0; i < index->n_makers; i++) {
        fn_free((char *)index->makers[i].fingerprint);
        fn_free((char *)index->makers[i].name);
    }
    fn_free(index);
}

size_t fn_index_len(const fn_index *index) {
    return index->n;
}

size_t fn_index_n_people(const fn_index *index) {
    return index->n_people;
}

// -1: none of them.
static int maker_of(const fn_index *index, const char *fingerprint) {
    for (int i = 0; fingerprint && i < index->n_makers; i++)
        if (strcmp(index->makers[i].fingerprint, fingerprint) == 0)
            return i;
    return -1;
}

size_t fn_index_n_made(const fn_index *index, const char *fingerprint) {
    const int maker = maker_of(index, fingerprint);
    return maker < 0 ? 0 : index->n_made[maker];
}

static int reserve_row(fn_index *index) {
    if (index->n < index->capacity)
        return FN_OK;
    size_t capacity = index->capacity ? index->capacity * 2 : FIRST_ROWS, size;
    if (!fn_size_mul(&size, capacity, index->stride * sizeof(float)))
        return fn_fail_memory();
    fn_id *faces = fn_realloc(index->faces, capacity, sizeof *faces);
    if (!faces)
        return fn_fail_memory();
    index->faces = faces;
    uint32_t *person_of = fn_realloc(index->person_of, capacity, sizeof *person_of);
    if (!person_of)
        return fn_fail_memory();
    index->person_of = person_of;
    unsigned char *makers = fn_realloc(index->maker_of, capacity, sizeof *makers);
    if (!makers)
        return fn_fail_memory();
    index->maker_of = makers;
    float *rows = fn_alloc_aligned(size);
    if (!rows)
        return fn_fail_memory();
    if (index->n)
        memcpy(rows, index->rows, index->n * index->stride * sizeof *rows);
    fn_free(index->rows);
    index->rows = rows;
    index->capacity = capacity;
    return FN_OK;
}

/// The slot that holds this person, or the empty one where it would go. Ids are random bytes.
static size_t find_slot(const uint32_t *slots, size_t n_slots, const fn_id *people, fn_id person) {
    uint64_t half[2];
    memcpy(half, person.bytes, sizeof half);
    uint64_t hash = (half[0] ^ half[1] >> 7) * 0x9E3779B97F4A7C15u;
    size_t slot = (size_t)(hash >> 20) & (n_slots - 1);
    while (slots[slot] && memcmp(people[slots[slot] - 1].bytes, person.bytes, FN_ID_SIZE) != 0)
        slot = (slot + 1) & (n_slots - 1);
    return slot;
}

static int reserve_person(fn_index *index) {
    if (index->n_people < index->people_capacity)
        return FN_OK;
    size_t capacity = index->people_capacity ? index->people_capacity * 2 : FIRST_PEOPLE;
    if (capacity > UINT32_MAX / 4)
        return fn_fail(FN_ELIMIT, "an index holds at most %zu people", index->people_capacity);
    fn_id *people = fn_realloc(index->people, capacity, sizeof *people);
    if (!people)
        return fn_fail_memory();
    index->people = people;
    size_t n_slots = capacity * 2;
    uint32_t *slots = fn_calloc(n_slots, sizeof *slots);
    if (!slots)
        return fn_fail_memory();
    for (size_t i = 0; i < index->n_people; i++)
        slots[find_slot(slots, n_slots, people, people[i])] = (uint32_t)i + 1;
    fn_free(index->slots);
    index->slots = slots;
    index->n_slots = n_slots;
    index->people_capacity = capacity;
    return FN_OK;
}

int fn_index_add_made(fn_index *index, const float *vector, const char *fingerprint, fn_id person,
                      fn_id face) {
    const int maker = maker_of(index, fingerprint);
    if (maker < 0)
        return fn_fail(FN_EMODEL, "vectors of fingerprint %.12s cannot be compared with those of %.12s",
                       fingerprint ? fingerprint : "(none)", index->makers[0].fingerprint);
    if (!vector || !fn_vector_is_unit(vector, index->dimension))
        return fn_fail(FN_EINVAL, "a vector of an index is finite and of length 1");
    int rc = reserve_row(index);
    if (rc == FN_OK)
        rc = reserve_person(index);
    if (rc != FN_OK)
        return rc;
    size_t slot = find_slot(index->slots, index->n_slots, index->people, person);
    if (!index->slots[slot]) {
        index->people[index->n_people++] = person;
        index->slots[slot] = (uint32_t)index->n_people;
    }
    float *row = index->rows + index->n * index->stride;
    memcpy(row, vector, (size_t)index->dimension * sizeof *row);
    memset(row + index->dimension, 0, (index->stride - (size_t)index->dimension) * sizeof *row);
    index->person_of[index->n] = index->slots[slot] - 1;
    index->maker_of[index->n] = (unsigned char)maker;
    index->n_made[maker]++;
    index->faces[index->n++] = face;
    return FN_OK;
}

int fn_index_add(fn_index *index, const float *vector, fn_id person, fn_id face) {
    return fn_index_add_made(index, vector, index->makers[0].fingerprint, person, face);
}
