// SPDX-License-Identifier: Apache-2.0
//
// Distances, the search kernels, the index, calibrations and decisions, against plain sorted scans.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "kernels/sqdist.h"
#include "match/distance.h"

#include <facenet/match.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;

/// Uniform in [0, 1), repeatable.
static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

static void random_unit(float *v, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++) {
        v[i] = (float)(uniform() - 0.5);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < dimension; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

static fn_id id_of(unsigned n) {
    fn_id id = {{0}};
    id.bytes[0] = (unsigned char)(n * 97); // so that order of ids is not order of adding
    id.bytes[1] = (unsigned char)(n >> 8);
    id.bytes[15] = (unsigned char)n;
    return id;
}

static void distance_is_euclidean_and_exact_for_near_vectors(void **state) {
    (void)state;
    float a[2] = {1, 0}, b[2] = {0, 1};
    assert_true(fn_distance(a, b, 2) == sqrtf(2));
    assert_true(fn_distance(a, a, 2) == 0);
    float c[2] = {1, 1e-6f};
    assert_true(fn_distance(a, c, 2) == 1e-6f);
}

static void kernels_stay_within_the_error_they_promise(void **state) {
    (void)state;
    fn_sqdist_fn *chosen = fn_sqdist_choose(fn_cpu_flags());
    if (chosen == fn_sqdist_c)
        print_message("note: this processor has the plain kernel only\n");
    for (size_t stride = 16; stride <= 528; stride += 64) {
        for (size_t n = 0; n <= 9; n++) {
            float *query = fn_alloc_aligned(stride * sizeof *query);
            float *rows = fn_alloc_aligned((n * stride + 16) * sizeof *rows);
            float dst[2][10];
            assert_non_null(query);
            assert_non_null(rows);
            for (size_t i = 0; i < stride; i++)
                query[i] = (float)(uniform() - 0.5);
            for (size_t i = 0; i < n * stride; i++)
                rows[i] = i < stride ? query[i] : (float)(uniform() - 0.5); // row 0 equals the query
            for (size_t i = 0; i < 10; i++)
                dst[0][i] = dst[1][i] = -7;
            fn_sqdist_c(dst[0], query, rows, n, stride);
            chosen(dst[1], query, rows, n, stride);
            for (size_t v = 0; v < 2; v++) {
                for (size_t r = 0; r < n; r++) {
                    double exact = 0;
                    for (size_t i = 0; i < stride; i++)
                        exact += ((double)query[i] - rows[r * stride + i]) *
                                 ((double)query[i] - rows[r * stride + i]);
                    if (fabs(dst[v][r] - exact) > exact * FN_SQDIST_ERROR(stride))
                        fail_msg("variant %zu stride %zu row %zu of %zu: %.9g, exact %.9g", v, stride, r, n,
                                 (double)dst[v][r], exact);
                }
                for (size_t r = n; r < 10; r++)
                    assert_true(dst[v][r] == -7); // nothing past the end
            }
            fn_free(query);
            fn_free(rows);
        }
    }
}

typedef struct known {
    float *vectors;
    unsigned *person;
    size_t n;
    int dimension;
    fn_index *index;
} known;

/// n vectors of n_people people; every fifth repeats the one before it, which makes exact ties.
static known make_known(size_t n, unsigned n_people, int dimension) {
    known k = {malloc(n * (size_t)dimension * sizeof(float) + 1), malloc(n * sizeof(unsigned) + 1), n,
               dimension, NULL};
    assert_int_equal(fn_index_open(&k.index, dimension, "f"), FN_OK);
    for (size_t i = 0; i < n; i++) {
        float *v = k.vectors + i * (size_t)dimension;
        if (i % 5 == 4)
            memcpy(v, v - dimension, (size_t)dimension * sizeof *v);
        else
            random_unit(v, dimension);
        k.person[i] = (unsigned)(uniform() * n_people);
        assert_int_equal(fn_index_add(k.index, v, id_of(k.person[i]), id_of((unsigned)i)), FN_OK);
    }
    return k;
}

static void free_known(known *k) {
    fn_index_free(k->index);
    free(k->vectors);
    free(k->person);
}

static int by_distance_then_ids(const void *a, const void *b) {
    const fn_candidate *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    int order = memcmp(&x->person, &y->person, sizeof x->person);
    return order ? order : memcmp(&x->face, &y->face, sizeof x->face);
}

static int is_same_candidate(const fn_candidate *a, const fn_candidate *b) {
    return a->distance == b->distance && !memcmp(&a->person, &b->person, sizeof a->person) &&
           !memcmp(&a->face, &b->face, sizeof a->face) && !strcmp(a->fingerprint, b->fingerprint);
}

static void search_equals_a_sorted_scan_with_and_without_wide_registers(void **state) {
    (void)state;
    static const int dimensions[] = {1, 2, 3, 16, 17, 128, 511};
    static const unsigned masks[] = {0, ~0u};
    for (size_t m = 0; m < 2; m++) {
        fn_cpu_mask(masks[m]);
        for (size_t d = 0; d < sizeof dimensions / sizeof *dimensions; d++) {
            known k = make_known(301, 40, dimensions[d]);
            float *query = malloc((size_t)k.dimension * sizeof *query);
            fn_candidate all[301], got[301];
            for (int round = 0; round < 12; round++) {
                if (round % 3)
                    random_unit(query, k.dimension);
                else // equal to a stored one
                    memcpy(query, k.vectors + (size_t)round * 7 * (size_t)k.dimension,
                           (size_t)k.dimension * sizeof *query);
                for (size_t i = 0; i < k.n; i++)
                    all[i] = (fn_candidate){
                        id_of(k.person[i]), id_of((unsigned)i),
                        fn_distance(query, k.vectors + i * (size_t)k.dimension, k.dimension), "f"};
                qsort(all, k.n, sizeof *all, by_distance_then_ids);
                size_t n_people = 0;
                for (size_t i = 0; i < k.n; i++) {
                    size_t before = 0;
                    while (before < n_people && memcmp(&all[before].person, &all[i].person, sizeof(fn_id)))
                        before++;
                    if (before == n_people)
                        all[n_people++] = all[i];
                }
                static const size_t wanted[] = {0, 1, 2, 7, 39, 300};
                for (size_t w = 0; w < sizeof wanted / sizeof *wanted; w++) {
                    size_t n_got = 99, n_expected = wanted[w] < n_people ? wanted[w] : n_people;
                    assert_int_equal(fn_index_search(got, &n_got, k.index, query, "f", wanted[w]), FN_OK);
                    assert_int_equal(n_got, n_expected);
                    for (size_t i = 0; i < n_got; i++)
                        if (!is_same_candidate(&got[i], &all[i]))
                            fail_msg("dimension %d, k %zu, place %zu: %.9g, expected %.9g", k.dimension,
                                     wanted[w], i, (double)got[i].distance, (double)all[i].distance);
                }
            }
            assert_int_equal(fn_index_len(k.index), 301);
            free(query);
            free_known(&k);
        }
    }
    fn_cpu_mask(~0u);
}

static void the_order_of_adding_does_not_show(void **state) {
    (void)state;
    known k = make_known(200, 50, 24);
    fn_index *reversed;
    assert_int_equal(fn_index_open(&reversed, 24, "f"), FN_OK);
    for (size_t i = k.n; i-- > 0;)
        fn_index_add(reversed, k.vectors + i * 24, id_of(k.person[i]), id_of((unsigned)i));
    fn_candidate a[50], b[50];
    size_t n_a, n_b;
    assert_int_equal(fn_index_search(a, &n_a, k.index, k.vectors, "f", 50), FN_OK);
    assert_int_equal(fn_index_search(b, &n_b, reversed, k.vectors, "f", 50), FN_OK);
    assert_int_equal(n_a, n_b);
    for (size_t i = 0; i < n_a; i++)
        assert_true(is_same_candidate(&a[i], &b[i]));
    fn_index_free(reversed);
    free_known(&k);
}

static void bad_vectors_are_refused(void **state) {
    (void)state;
    fn_index *index;
    fn_candidate got;
    size_t n;
    assert_int_equal(fn_index_open(&index, 2, "f"), FN_OK);
    float bad[][2] = {{0, 0}, {NAN, 1}, {1, NAN}, {INFINITY, 0}, {1.01f, 0}, {0.99f, 0}, {1e30f, 1e30f}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fn_index_add(index, bad[i], id_of(1), id_of(1)), FN_EINVAL);
        assert_int_equal(fn_index_search(&got, &n, index, bad[i], "f", 1), FN_EINVAL);
    }
    assert_int_equal(fn_index_len(index), 0);
    float good[2] = {0.9995f, 0};
    assert_int_equal(fn_index_add(index, good, id_of(1), id_of(1)), FN_OK);
    assert_int_equal(fn_index_n_people(index), 1);
    fn_index_free(index);
    assert_int_equal(fn_index_open(&index, 0, "f"), FN_EINVAL);
    assert_int_equal(fn_index_open(&index, 1 << 20, "f"), FN_EINVAL);
    assert_int_equal(fn_index_open(&index, 2, ""), FN_EINVAL);
    assert_null(index);
    fn_index_free(NULL);
}

static void another_fingerprint_is_never_searched(void **state) {
    (void)state;
    known k = make_known(3, 2, 4);
    fn_candidate got;
    size_t n;
    assert_int_equal(fn_index_search(&got, &n, k.index, k.vectors, "g", 1), FN_EMODEL);
    assert_int_equal(n, 0);
    assert_int_equal(fn_index_search(&got, &n, k.index, k.vectors, NULL, 1), FN_EMODEL);
    assert_int_equal(fn_index_add_made(k.index, k.vectors, "g", id_of(9), id_of(9)), FN_EMODEL);
    assert_int_equal(fn_index_add_made(k.index, k.vectors, NULL, id_of(9), id_of(9)), FN_EMODEL);
    assert_int_equal(fn_index_len(k.index), 3);
    free_known(&k);
}

static void vectors_of_comparable_models_are_searched_together(void **state) {
    (void)state;
    const fn_comparable makers[] = {{"new", "n", NULL}, {"old", "o", NULL}, {"older", NULL, NULL}};
    known k = make_known(300, 40, 24);
    fn_index *mixed;
    fn_candidate a[40], b[40];
    size_t n_a, n_b;
    assert_int_equal(fn_index_open_comparable(&mixed, 24, makers, 3), FN_OK);
    for (size_t i = 0; i < k.n; i++)
        assert_int_equal(fn_index_add_made(mixed, k.vectors + i * 24, makers[i % 2].fingerprint,
                                           id_of(k.person[i]), id_of((unsigned)i)),
                         FN_OK);
    assert_int_equal(fn_index_n_made(mixed, "new"), 150);
    assert_int_equal(fn_index_n_made(mixed, "old"), 150);
    assert_int_equal(fn_index_n_made(mixed, "older"), 0);
    assert_int_equal(fn_index_n_made(mixed, "others"), 0);
    assert_int_equal(fn_index_n_people(mixed), fn_index_n_people(k.index));
    for (size_t round = 0; round < 20; round++) {
        float query[24];
        random_unit(query, 24);
        assert_int_equal(fn_index_search(a, &n_a, k.index, query, "f", 40), FN_OK);
        assert_int_equal(fn_index_search(b, &n_b, mixed, query, "new", 40), FN_OK);
        assert_int_equal(n_a, n_b);
        for (size_t i = 0; i < n_b; i++) {
            uint32_t number = 0;
            while (number < k.n && memcmp(&b[i].face, &(fn_id[]){id_of(number)}, sizeof(fn_id)))
                number++;
            assert_string_equal(b[i].fingerprint, makers[number % 2].fingerprint);
            b[i].fingerprint = "f";
            assert_true(is_same_candidate(&a[i], &b[i]));
        }
    }
    // An old model asks among its own alone: it knows nothing of newer ones.
    assert_int_equal(fn_index_search(a, &n_a, mixed, k.vectors, "old", 1), FN_EMODEL);
    fn_index_free(mixed);
    free_known(&k);

    const fn_comparable twice[] = {{"new", "n", NULL}, {"new", "o", NULL}}, unnamed[] = {{NULL, "n", NULL}};
    assert_int_equal(fn_index_open_comparable(&mixed, 24, twice, 2), FN_EINVAL);
    assert_int_equal(fn_index_open_comparable(&mixed, 24, unnamed, 1), FN_EINVAL);
    assert_int_equal(fn_index_open_comparable(&mixed, 24, makers, 0), FN_EINVAL);
    assert_int_equal(fn_index_open_comparable(&mixed, 24, makers, FN_INDEX_MAX_MAKERS + 1), FN_EINVAL);
    assert_null(mixed);
}

/// Distances like real ones, on a coarse raster when `raster` is set so that many are equal.
static void fill(float *dst, size_t n, double centre, double width, int raster) {
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 12; k++)
            sum += uniform();
        double d = centre + (sum - 6) * width;
        d = d < 0 ? 0 : d > 2 ? 2 : d;
        dst[i] = (float)(raster ? round(d * 50) / 50 : d);
    }
}

static fn_calibration *measured(float *same, size_t n_same, float *different, size_t n_different) {
    fn_calibration *c = NULL;
    assert_int_equal(
        fn_calibration_measure(&c, same, n_same, different, n_different, "made-up \"pairs\"\n", "p1"), FN_OK);
    return c;
}

/// The definition, by a scan: the largest distance of any pair at which the FMR is <= x.
static double threshold_by_scan(const float *same, size_t n_same, const float *different, size_t n_different,
                                double x) {
    double best = -1;
    size_t passed = 0;
    for (size_t i = 0; i < n_different; i = passed) {
        while (passed < n_different && different[passed] == different[i])
            passed++;
        if ((double)passed / (double)n_different > x)
            break;
        best = different[i];
    }
    size_t next = 0; // the first different-person pair that must not pass
    while (next < n_different && different[next] <= best)
        next++;
    for (size_t i = 0; i < n_same; i++)
        if (next == n_different || same[i] < different[next])
            best = fmax(best, same[i]);
    return best;
}

static void thresholds_are_exact_on_the_measured_pairs(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1}, {3, 10}, {50, 999}, {2000, 1000}, {5000, 200003}};
    for (int raster = 0; raster < 2; raster++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t n_same = sizes[s][0], n_different = sizes[s][1];
            float *same = malloc(n_same * sizeof *same), *different = malloc(n_different * sizeof *different);
            fill(same, n_same, 0.8, 0.15, raster);
            fill(different, n_different, 1.4, 0.1, raster);
            fn_calibration *c = measured(same, n_same, different, n_different);
            for (size_t i = 1; i < n_different; i++)
                assert_true(different[i - 1] <= different[i]); // sorted in place
            for (int power = 1; power <= 6; power++) {
                for (int step = 0; step < 3; step++) {
                    double x = (step == 0 ? 1 : step == 1 ? 2 : 5) / pow(10, power);
                    double expected = threshold_by_scan(same, n_same, different, n_different, x);
                    float got = -1;
                    int rc = fn_calibration_threshold(&got, c, x);
                    if (x < 1 / (double)n_different || expected < 0) {
                        assert_int_equal(rc, FN_ELIMIT);
                        continue;
                    }
                    if (rc != FN_OK || got != expected)
                        fail_msg("raster %d, %zu pairs, FMR %g: %.9g, expected %.9g (%s)", raster,
                                 n_different, x, (double)got, expected, fn_error_name(rc));
                    assert_true(fn_calibration_fmr(c, got) <= fmax(x, 0.5 / (double)n_different));
                }
            }
            fn_calibration_free(c);
            free(same);
            free(different);
        }
    }
}

static void rows_rise_cover_both_ends_and_are_few(void **state) {
    (void)state;
    size_t n_same = 20000, n_different = 1000000;
    float *same = malloc(n_same * sizeof *same), *different = malloc(n_different * sizeof *different);
    fill(same, n_same, 0.8, 0.15, 0);
    fill(different, n_different, 1.4, 0.1, 0);
    fn_calibration *c = measured(same, n_same, different, n_different);
    size_t n = fn_calibration_len(c);
    assert_in_range(n, 100, 500);
    double gap = 0, step = 1;
    for (size_t i = 0; i < n; i++) {
        fn_calibration_row row = fn_calibration_get(c, i), before = fn_calibration_get(c, i ? i - 1 : 0);
        size_t wrong = 0, missed = 0;
        while (wrong < n_different && different[wrong] <= row.distance)
            wrong++;
        while (missed < n_same && same[n_same - 1 - missed] > row.distance)
            missed++;
        assert_true(row.fmr == (double)wrong / (double)n_different);
        assert_true(row.fnmr == (double)missed / (double)n_same);
        if (i == 0)
            continue;
        assert_true(row.distance > before.distance && row.fmr >= before.fmr && row.fnmr <= before.fnmr);
        gap = fmax(gap, row.distance - before.distance);
        if (before.fmr * (double)n_different >= 10)
            step = fmax(step, row.fmr / before.fmr);
    }
    if (gap > 0.11 || step > 1.2001)
        fail_msg("largest gap %g, largest step of the FMR %g", gap, step);
    assert_true(fn_calibration_get(c, n - 1).fmr == 1);
    assert_true(fn_calibration_get(c, n - 1).fnmr == 0);
    assert_true(isnan(fn_calibration_get(c, n).fmr));
    assert_int_equal(fn_calibration_n_same(c), n_same);
    assert_int_equal(fn_calibration_n_different(c), n_different);
    fn_calibration_free(c);
    free(same);
    free(different);
}

static void rates_between_rows_are_monotone_and_never_below_half_a_pair(void **state) {
    (void)state;
    float same[500], different[4000];
    fill(same, 500, 0.8, 0.15, 0);
    fill(different, 4000, 1.4, 0.1, 0);
    fn_calibration *c = measured(same, 500, different, 4000);
    double fmr = 0, fnmr = 1;
    for (float d = 0; d < 2.1f; d += 0.0007f) {
        double next_fmr = fn_calibration_fmr(c, d), next_fnmr = fn_calibration_fnmr(c, d);
        assert_true(next_fmr >= fmr && next_fmr <= 1 && next_fmr >= 0.5 / 4000);
        assert_true(next_fnmr <= fnmr && next_fnmr >= 0);
        fmr = next_fmr;
        fnmr = next_fnmr;
    }
    assert_true(fmr == 1);
    assert_true(fn_calibration_fmr(c, NAN) == 1);
    assert_true(fn_calibration_fnmr(c, NAN) == 1);
    fn_calibration_free(c);
}

static void the_rate_is_linear_in_its_logarithm(void **state) {
    (void)state;
    fn_calibration *c;
    assert_int_equal(fn_calibration_parse(&c,
                                          "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":10,"
                                          "\"n_different\":1000000,\"rows\":[[0.5,1e-6,0.5],[1,1e-4,0.25],"
                                          "[1.5,1,0]]}"),
                     FN_OK);
    assert_float_equal(fn_calibration_fmr(c, 0.75f), 1e-5, 1e-12);
    assert_float_equal(fn_calibration_fnmr(c, 0.75f), 0.375, 1e-12);
    assert_true(fn_calibration_fmr(c, 1.0f) == 1e-4);
    float threshold;
    assert_int_equal(fn_calibration_threshold(&threshold, c, 1e-4), FN_OK);
    assert_true(threshold == 1);
    assert_int_equal(fn_calibration_threshold(&threshold, c, 9.9e-5), FN_OK);
    assert_true(threshold == 0.5f);
    assert_int_equal(fn_calibration_threshold(&threshold, c, 0.9e-6), FN_ELIMIT);
    assert_int_equal(fn_calibration_threshold(&threshold, c, 0), FN_EINVAL);
    assert_int_equal(fn_calibration_threshold(&threshold, c, NAN), FN_EINVAL);
    assert_int_equal(fn_calibration_threshold(&threshold, c, 1.5), FN_EINVAL);
    fn_calibration_free(c);
}

static void json_gives_back_the_same_calibration(void **state) {
    (void)state;
    float same[300], different[5000];
    fill(same, 300, 0.8, 0.15, 0);
    fill(different, 5000, 1.4, 0.1, 0);
    fn_calibration *a = measured(same, 300, different, 5000), *b;
    char *text, *again;
    assert_int_equal(fn_calibration_json(&text, a), FN_OK);
    assert_int_equal(fn_calibration_parse(&b, text), FN_OK);
    assert_int_equal(fn_calibration_json(&again, b), FN_OK);
    assert_string_equal(text, again);
    assert_int_equal(fn_calibration_len(a), fn_calibration_len(b));
    for (size_t i = 0; i < fn_calibration_len(a); i++) {
        fn_calibration_row x = fn_calibration_get(a, i), y = fn_calibration_get(b, i);
        assert_true(x.distance == y.distance && x.fmr == y.fmr && x.fnmr == y.fnmr);
    }
    assert_string_equal(fn_calibration_data(b), "made-up \"pairs\"\n");
    assert_string_equal(fn_calibration_pipeline_id(b), "p1");
    // Every cut of the text is refused and leaks nothing.
    for (size_t n = strlen(text); n-- > 0;) {
        text[n] = 0;
        fn_calibration *none;
        if (n % 97 == 0 || n < 200)
            assert_int_equal(fn_calibration_parse(&none, text), FN_EFORMAT);
    }
    fn_string_free(text);
    fn_string_free(again);
    fn_string_free(NULL);
    fn_calibration_free(a);
    fn_calibration_free(b);
    fn_calibration_free(NULL);
}

static void damaged_calibrations_are_refused(void **state) {
    (void)state;
#define HEAD "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":1,\"n_different\":1,\"rows\":"
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "null",
        "{\"version\":1}",
        HEAD "[]}",
        HEAD "{}}",
        HEAD "[[1,0]]}",
        HEAD "[1]}",
        HEAD "[[1,0,0,0]]}",
        HEAD "[[-0.1,0,0]]}",
        HEAD "[[2.5,0,0]]}",
        HEAD "[[1,1.1,0]]}",
        HEAD "[[1,0,-1]]}",
        HEAD "[[1,\"0\",0]]}",
        HEAD "[[NaN,0,0]]}",
        HEAD "[[1e999,0,0]]}",
        HEAD "[[1,0,1],[1,0.5,0]]}",     // a distance twice
        HEAD "[[1,0.5,1],[1.1,0.4,0]]}", // FMR falls
        HEAD "[[1,0,0.5],[1.1,0,0.6]]}", // FNMR rises
        HEAD "[[1,0,0]],\"rows\":[[1,0,0]]}",
        "{\"version\":2,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":1,\"n_different\":1,\"rows\":[[1,0,0]"
        "]}",
        "{\"version\":1,\"data\":7,\"pipeline_id\":\"p\",\"n_same\":1,\"n_different\":1,\"rows\":[[1,0,0]]}",
        "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":0,\"n_different\":1,\"rows\":[[1,0,0]"
        "]}",
        "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":1,\"n_different\":-5,\"rows\":[[1,0,"
        "0]]}",
        "{\"version\":1,\"data\":\"\\ud800\",\"pipeline_id\":\"p\",\"n_same\":1,\"n_different\":1,\"rows\":[["
        "1,0,0]]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fn_calibration *c = (fn_calibration *)&c;
        int rc = fn_calibration_parse(&c, bad[i]);
        if (rc != FN_EFORMAT || c)
            fail_msg("accepted or wrong code %s: %s", fn_error_name(rc), bad[i]);
    }
    fn_calibration *c;
    assert_int_equal(fn_calibration_parse(&c, NULL), FN_EFORMAT);
    assert_int_equal(fn_calibration_parse(&c, HEAD "[[1,0,0]]}"), FN_OK);
    fn_calibration_free(c);
    char deep[5001]; // brackets without end do not exhaust the stack
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    assert_int_equal(fn_calibration_parse(&c, deep), FN_EFORMAT);
}

static void bad_samples_are_refused(void **state) {
    (void)state;
    fn_calibration *c;
    float good[3] = {0.1f, -0.0f, 2}, bad[][1] = {{NAN}, {-0.1f}, {INFINITY}, {2.1f}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fn_calibration_measure(&c, good, 3, bad[i], 1, "d", "p"), FN_EINVAL);
        assert_int_equal(fn_calibration_measure(&c, bad[i], 1, good, 3, "d", "p"), FN_EINVAL);
    }
    assert_int_equal(fn_calibration_measure(&c, good, 0, good, 3, "d", "p"), FN_EINVAL);
    assert_int_equal(fn_calibration_measure(&c, good, 3, good, 0, "d", "p"), FN_EINVAL);
    assert_int_equal(fn_calibration_measure(&c, good, 3, good, 3, "\xff", "p"), FN_EINVAL);
    assert_int_equal(fn_calibration_measure(&c, good, 3, good, 3, "d", NULL), FN_EINVAL);
    assert_null(c);
}

/// Two dimensions and a calibration of 10,000 different pairs; person 1 at angle 0, person 2 at
/// `angle`.
static void decide_at(fn_match *out, double angle, double query_angle, double fmr, int expected) {
    fn_index *index;
    fn_calibration *c;
    assert_int_equal(fn_calibration_parse(&c,
                                          "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":10,"
                                          "\"n_different\":10000,\"rows\":[[0,0,1],[0.5,1e-4,0.5],"
                                          "[1,0.01,0.25],[2,1,0]]}"),
                     FN_OK);
    assert_int_equal(fn_index_open(&index, 2, "f"), FN_OK);
    float one[2] = {1, 0}, two[2] = {(float)cos(angle), (float)sin(angle)};
    float query[2] = {(float)cos(query_angle), (float)sin(query_angle)};
    assert_int_equal(fn_index_add(index, one, id_of(1), id_of(11)), FN_OK);
    assert_int_equal(fn_index_add(index, two, id_of(2), id_of(12)), FN_OK);
    assert_int_equal(fn_decide(out, index, query, "f", c, fmr), expected);
    fn_index_free(index);
    fn_calibration_free(c);
}

static void decisions_follow_threshold_and_runner_up(void **state) {
    (void)state;
    fn_match m;
    decide_at(&m, 3, 0.1, 0, FN_OK);
    assert_int_equal(m.decision, FN_DECISION_KNOWN);
    assert_int_equal(m.n_candidates, 2);
    fn_id first = id_of(1);
    assert_memory_equal(&m.best.person, &first, sizeof first);
    assert_true(m.threshold == 0.5f);
    assert_true(m.fmr <= 1e-4);
    decide_at(&m, 3, 1.5, 0, FN_OK);
    assert_int_equal(m.decision, FN_DECISION_UNKNOWN);
    assert_int_equal(m.n_candidates, 2);
    assert_true(m.fmr > 1e-4);
    decide_at(&m, 0.4, 0.2, 0, FN_OK); // between two people
    assert_int_equal(m.decision, FN_DECISION_AMBIGUOUS);
    decide_at(&m, 0.9, 0.0, 0.01, FN_OK); // the second passes too, but more than ten times as likely
    assert_int_equal(m.decision, FN_DECISION_KNOWN);
    assert_true(m.runner_up.distance <= m.threshold);
    decide_at(&m, 0.9, 0.4, 0.01, FN_OK);
    assert_int_equal(m.decision, FN_DECISION_AMBIGUOUS);
    decide_at(&m, 1, 0, 1e-5, FN_ELIMIT);
    decide_at(&m, 1, 0, -1, FN_EINVAL);
    assert_string_equal(fn_decision_name(FN_DECISION_AMBIGUOUS), "ambiguous");
    assert_string_equal(fn_decision_name(FN_DECISION_UNKNOWN), "unknown");
}

// Vectors of the query's own model pass below 0.5, those of an older one below 1 at the same rate.
static void each_model_has_a_threshold_of_its_own(void **state) {
    (void)state;
    static const char own_text[] = "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":10,"
                                   "\"n_different\":10000,\"rows\":[[0,0,1],[0.5,1e-4,0.5],"
                                   "[1,0.01,0.25],[2,1,0]]}",
                      old_text[] = "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":10,"
                                   "\"n_different\":10000,\"rows\":[[0,0,1],[1,1e-4,0.5],"
                                   "[1.5,0.01,0.25],[2,1,0]]}";
    fn_calibration *own, *old;
    fn_index *index;
    fn_match m;
    assert_int_equal(fn_calibration_parse(&own, own_text), FN_OK);
    assert_int_equal(fn_calibration_parse(&old, old_text), FN_OK);
    const fn_comparable makers[] = {{"new", "n", NULL}, {"old", "o", old}, {"none", "p", NULL}};
    assert_int_equal(fn_index_open_comparable(&index, 2, makers, 3), FN_OK);
    const float query[2] = {1, 0};
    const double wide = 2 * asin(0.9 / 2), near = 2 * asin(0.7 / 2); // angles of these distances
    const float at_wide[2] = {(float)cos(wide), (float)sin(wide)};
    const float at_near[2] = {(float)cos(near), (float)sin(near)};
    const fn_id ada = id_of(1), grace = id_of(2);
    // 0.9 from an old vector is within its threshold, 0.7 from one of the own kind is not: Ada is nearer.
    assert_int_equal(fn_index_add_made(index, at_wide, "old", ada, id_of(11)), FN_OK);
    assert_int_equal(fn_decide(&m, index, query, "new", NULL, 0), FN_OK); // nothing of its own is held
    assert_int_equal(m.n_candidates, 1);
    assert_int_equal(fn_index_add(index, at_near, grace, id_of(12)), FN_OK);
    assert_int_equal(fn_decide(&m, index, query, "new", own, 0), FN_OK);
    assert_int_equal(m.decision, FN_DECISION_KNOWN);
    assert_memory_equal(&m.best.person, &ada, sizeof ada);
    assert_memory_equal(&m.runner_up.person, &grace, sizeof grace);
    assert_string_equal(m.best.fingerprint, "old");
    assert_true(m.threshold == 1.0F && m.fmr < 1e-4);
    // The same person's vectors of either kind are one candidate.
    assert_int_equal(fn_index_add(index, query, ada, id_of(13)), FN_OK);
    assert_int_equal(fn_decide(&m, index, query, "new", own, 0), FN_OK);
    assert_memory_equal(&m.best.person, &ada, sizeof ada);
    assert_string_equal(m.best.fingerprint, "new");
    assert_memory_equal(&m.runner_up.person, &grace, sizeof grace);
    assert_true(m.threshold == 0.5F);
    // Two people as likely, one by either kind.
    assert_int_equal(fn_index_add_made(index, query, "old", grace, id_of(14)), FN_OK);
    assert_int_equal(fn_decide(&m, index, query, "new", own, 0), FN_OK);
    assert_int_equal(m.decision, FN_DECISION_AMBIGUOUS);
    // Without knowing what distances mean nothing is decided.
    assert_int_equal(fn_decide(&m, index, query, "new", NULL, 0), FN_EMODEL);
    assert_int_equal(fn_index_add_made(index, query, "none", grace, id_of(15)), FN_OK);
    assert_int_equal(fn_decide(&m, index, query, "new", own, 0), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "no calibration against p"));
    fn_index_free(index);
    fn_calibration_free(own);
    fn_calibration_free(old);
}

static void an_empty_index_knows_nobody_and_no_calibration_decides_nothing(void **state) {
    (void)state;
    fn_index *index;
    fn_match m;
    float v[2] = {1, 0}, same[1] = {0.5f}, different[20000];
    fill(different, 20000, 1.4, 0.1, 0);
    fn_calibration *c = measured(same, 1, different, 20000);
    assert_int_equal(fn_index_open(&index, 2, "f"), FN_OK);
    assert_int_equal(fn_decide(&m, index, v, "f", c, 0), FN_OK);
    assert_int_equal(m.decision, FN_DECISION_UNKNOWN);
    assert_int_equal(m.n_candidates, 0);
    assert_true(isnan(m.fmr));
    assert_int_equal(fn_decide(&m, index, v, "f", NULL, 0), FN_EMODEL);
    assert_int_equal(fn_decide(&m, index, v, "g", c, 0), FN_EMODEL);
    fn_index_free(index);
    fn_calibration_free(c);
}

/// The whole road of this room; FN_OK, or the first error, with everything freed.
static int use_everything(void) {
    float same[40], different[400], v[3] = {1, 0, 0};
    seed = 9;
    fill(same, 40, 0.8, 0.15, 0);
    fill(different, 400, 1.4, 0.1, 0);
    fn_calibration *c = NULL, *copy = NULL;
    fn_index *index = NULL;
    char *text = NULL;
    fn_match m;
    int rc = fn_calibration_measure(&c, same, 40, different, 400, "d", "p");
    if (rc == FN_OK)
        rc = fn_calibration_json(&text, c);
    if (rc == FN_OK)
        rc = fn_calibration_parse(&copy, text);
    const fn_comparable makers[] = {{"f", "new", NULL}, {"g", "old", copy}};
    if (rc == FN_OK)
        rc = fn_index_open_comparable(&index, 3, makers, 2);
    for (unsigned i = 0; rc == FN_OK && i < 150; i++) {
        size_t before = fn_index_len(index);
        rc = fn_index_add_made(index, v, makers[i % 2].fingerprint, id_of(i), id_of(i));
        assert_int_equal(fn_index_len(index), before + (rc == FN_OK));
    }
    if (rc == FN_OK)
        rc = fn_decide(&m, index, v, "f", copy, 0.01);
    fn_index_free(index);
    fn_calibration_free(c);
    fn_calibration_free(copy);
    fn_string_free(text);
    return rc;
}

static void each_failing_allocation_is_an_error_and_nothing_else(void **state) {
    (void)state;
    assert_int_equal(use_everything(), FN_OK);
    int64_t n = 0, failures = 0;
    for (;;) {
        fn_alloc_fail_nth(++n);
        int rc = use_everything();
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        if (count < n)
            break;
        assert_int_equal(rc, FN_ENOMEM);
        failures++;
    }
    assert_true(failures > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_is_euclidean_and_exact_for_near_vectors),
        cmocka_unit_test(kernels_stay_within_the_error_they_promise),
        cmocka_unit_test(search_equals_a_sorted_scan_with_and_without_wide_registers),
        cmocka_unit_test(the_order_of_adding_does_not_show),
        cmocka_unit_test(bad_vectors_are_refused),
        cmocka_unit_test(another_fingerprint_is_never_searched),
        cmocka_unit_test(thresholds_are_exact_on_the_measured_pairs),
        cmocka_unit_test(rows_rise_cover_both_ends_and_are_few),
        cmocka_unit_test(rates_between_rows_are_monotone_and_never_below_half_a_pair),
        cmocka_unit_test(the_rate_is_linear_in_its_logarithm),
        cmocka_unit_test(json_gives_back_the_same_calibration),
        cmocka_unit_test(damaged_calibrations_are_refused),
        cmocka_unit_test(bad_samples_are_refused),
        cmocka_unit_test(vectors_of_comparable_models_are_searched_together),
        cmocka_unit_test(decisions_follow_threshold_and_runner_up),
        cmocka_unit_test(each_model_has_a_threshold_of_its_own),
        cmocka_unit_test(an_empty_index_knows_nobody_and_no_calibration_decides_nothing),
        cmocka_unit_test(each_failing_allocation_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
