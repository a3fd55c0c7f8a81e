// SPDX-License-Identifier: Apache-2.0
//
// From distances of pairs to a calibration. Every row stands at a measured distance and holds exact
// shares. Of the millions of measured distances a few hundred are kept: those where the FMR passes
// 1, 2 and 5 times each power of ten (so that the usual thresholds are exact), those where the count
// of false matches grows by a tenth and one, and a grid of hundredths.
#include "match/calibration.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

/// Sorted distances of both kinds of pairs.
typedef struct sample {
    const float *same, *different;
    size_t n_same, n_different;
} sample;

enum { MAX_PICKED = 2048 };

typedef struct picks {
    float at[MAX_PICKED];
    size_t n;
} picks;

/// Radix sort, 11 bits at a time: the bits of non-negative floats rise as the floats do.
static int sort_distances(float *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(values[i] >= 0 && values[i] <= (float)FN_DISTANCE_MAX))
            return fn_fail(FN_EINVAL, "distance %zu of %zu is %g: distances of unit vectors lie in 0..2", i,
                           n, (double)values[i]);
        values[i] += 0.0f; // -0 becomes 0
    }
    size_t size;
    uint32_t *from, *to, *both = NULL;
    if (fn_size_mul(&size, n, 2 * sizeof(uint32_t)))
        both = fn_alloc(size);
    if (!both)
        return fn_fail_memory();
    from = both;
    to = both + n;
    memcpy(from, values, n * sizeof *values);
    for (int shift = 0; shift < 33; shift += 11) {
        size_t start[2048] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            start[from[i] >> shift & 2047]++;
        for (size_t b = 0; b < 2048; b++) {
            size_t count = start[b];
            start[b] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[start[from[i] >> shift & 2047]++] = from[i];
        uint32_t *swap = from;
        from = to;
        to = swap;
    }
    memcpy(values, from, n * sizeof *values);
    fn_free(both);
    return FN_OK;
}

/// How many of the sorted values lie below `limit`.
static size_t count_below(const float *values, size_t n, float limit) {
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t count_up_to(const float *values, size_t n, float limit) {
    return count_below(values, n, nextafterf(limit, INFINITY));
}

/// Picks the largest measured distance below `limit`, if there is one.
static void pick_below(picks *p, const sample *s, float limit) {
    size_t same = count_below(s->same, s->n_same, limit);
    size_t different = count_below(s->different, s->n_different, limit);
    if (p->n == MAX_PICKED || same + different == 0)
        return;
    float a = same ? s->same[same - 1] : 0, b = different ? s->different[different - 1] : 0;
    p->at[p->n++] = a > b ? a : b;
}

/// Picks the largest measured distance with at most n false matches.
static void pick_count(picks *p, const sample *s, size_t n) {
    pick_below(p, s, n < s->n_different ? s->different[n] : INFINITY);
}

/// Picks the largest measured distance with an FMR of at most `fmr`, compared as the rows' FMR is.
static void pick_fmr(picks *p, const sample *s, double fmr) {
    double n = (double)s->n_different;
    size_t count = (size_t)(fmr * n) + 1;
    while (count && (double)count / n > fmr)
        count--;
    pick_count(p, s, count);
}

static void pick_all(picks *p, const sample *s) {
    float first_same = s->same[0], first_different = s->different[0];
    p->at[p->n++] = first_same < first_different ? first_same : first_different;
    for (int power = 1; pow(10, power - 1) <= (double)s->n_different; power++) {
        pick_fmr(p, s, 1 / pow(10, power));
        pick_fmr(p, s, 2 / pow(10, power));
        pick_fmr(p, s, 5 / pow(10, power));
    }
    for (size_t n = 0; n < s->n_different; n += n / 10 + 1)
        pick_count(p, s, n);
    for (int hundredth = 1; hundredth <= 201; hundredth++)
        pick_below(p, s, nextafterf((float)hundredth / 100, INFINITY));
    pick_count(p, s, s->n_different); // the largest of all
}

int fn_calibration_measure(fn_calibration **out, float *same, size_t n_same, float *different,
                           size_t n_different, const char *data, const char *pipeline_id) {
    *out = NULL;
    if (!same || !different || n_same == 0 || n_different == 0)
        return fn_fail(FN_EINVAL, "a calibration needs pairs of both kinds, not %zu and %zu", n_same,
                       n_different);
    int rc = sort_distances(same, n_same);
    if (rc == FN_OK)
        rc = sort_distances(different, n_different);
    if (rc != FN_OK)
        return rc;

    sample s = {same, different, n_same, n_different};
    picks p;
    p.n = 0;
    pick_all(&p, &s);
    rc = sort_distances(p.at, p.n);
    if (rc != FN_OK)
        return rc;
    fn_calibration *c;
    rc = fn_calibration_new(&c, data, pipeline_id, p.n);
    if (rc != FN_OK)
        return rc;
    c->n_same = n_same;
    c->n_different = n_different;
    c->n_rows = 0;
    for (size_t i = 0; i < p.n; i++) {
        if (i && p.at[i] == p.at[i - 1])
            continue;
        size_t wrong = count_up_to(different, n_different, p.at[i]);
        size_t missed = n_same - count_up_to(same, n_same, p.at[i]);
        c->rows[c->n_rows++] = (fn_calibration_row){p.at[i], (double)wrong / (double)n_different,
                                                    (double)missed / (double)n_same};
    }
    *out = c;
    return FN_OK;
}
