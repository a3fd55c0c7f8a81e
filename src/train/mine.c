// SPDX-License-Identifier: Apache-2.0
//
// Mining inside a batch, anchor by anchor: the distances of one anchor to all rows, those of other people
// gathered, then one scan of them per positive. Distances are never negative, so their bits ordered as
// integers are ordered as the distances are, and the scans become plain integer loops, which any compiler
// turns into vector code.
#include "train/mine.h"

#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "kernels/sqdist.h"

#include <math.h>
#include <string.h>

enum { MAX_ROWS = 1 << 14 };

typedef struct miner {
    const fn_mine_options *options;
    const int *label;
    int n;
    size_t stride;
    fn_sqdist_fn *sqdist;
    float *rows;     // (n, stride), zero padded
    float *distance; // (n): d2 of the anchor to each row
    // Rows of other people than the anchor's, those that can move first, each in the order of the rows.
    int32_t *key; // (n): bits of the d2
    int *other;   // (n): row
    int n_others, n_moving;
    double sum_ap, sum_an;
    int64_t n_ap, n_an;
} miner;

static int is_fixed(const miner *m, int row) {
    return m->options->fixed && m->options->fixed[row];
}

static int32_t bits_of(float value) {
    int32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void miner_free(miner *m) {
    fn_free(m->rows);
    fn_free(m->distance);
    fn_free(m->key);
    fn_free(m->other);
}

static int miner_init(miner *m, const float *embeddings, const int *label, int n, int d,
                      const fn_mine_options *options) {
    size_t count = (size_t)n, width = (size_t)d, size;
    *m = (miner){.options = options, .label = label, .n = n};
    m->stride = (width + FN_SQDIST_LANES - 1) / FN_SQDIST_LANES * FN_SQDIST_LANES;
    m->sqdist = fn_sqdist_choose(fn_cpu_flags());
    if (fn_size_mul(&size, count * m->stride, sizeof *m->rows))
        m->rows = fn_alloc_aligned(size);
    m->distance = fn_calloc(count, sizeof *m->distance);
    m->key = fn_calloc(count, sizeof *m->key);
    m->other = fn_calloc(count, sizeof *m->other);
    if (!m->rows || !m->distance || !m->key || !m->other) {
        miner_free(m);
        return fn_fail_memory();
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(m->rows + i * m->stride, embeddings + i * width, width * sizeof *m->rows);
        memset(m->rows + i * m->stride + width, 0, (m->stride - width) * sizeof *m->rows);
    }
    return FN_OK;
}

/// Distances of an anchor, and their sums over the rows behind it.
static void measure(miner *m, int anchor) {
    m->sqdist(m->distance, m->rows + (size_t)anchor * m->stride, m->rows, (size_t)m->n, m->stride);
    double sum_ap = 0, sum_an = 0;
    int n_ap = 0;
    for (int i = anchor + 1; i < m->n; i++) {
        int same = m->label[i] == m->label[anchor];
        sum_ap += same ? (double)m->distance[i] : 0;
        sum_an += same ? 0 : (double)m->distance[i];
        n_ap += same;
    }
    m->sum_ap += sum_ap;
    m->sum_an += sum_an;
    m->n_ap += n_ap;
    m->n_an += m->n - 1 - anchor - n_ap;
}

static void gather(miner *m, int anchor) {
    m->n_others = m->n_moving = 0;
    for (int fixed = 0; fixed < 2; fixed++) {
        for (int i = 0; i < m->n; i++)
            if (m->label[i] != m->label[anchor] && is_fixed(m, i) == fixed) {
                m->key[m->n_others] = bits_of(m->distance[i]);
                m->other[m->n_others++] = i;
            }
        if (!fixed)
            m->n_moving = m->n_others;
        if (!m->options->fixed)
            return;
    }
}

/// Place of the smallest key above `low` and below `high`, the first of equals; -1: there is none.
static int nearest_between(const int32_t *key, int n, int32_t low, int32_t high) {
    int32_t best = INT32_MAX;
    for (int i = 0; i < n; i++) {
        int32_t k = key[i] > low ? key[i] : INT32_MAX;
        best = k < best ? k : best;
    }
    if (best >= high)
        return -1;
    int i = 0;
    while (key[i] != best)
        i++;
    return i;
}

/// Place of a key between `low` and `high`, all of them equally likely; -1: there is none.
static int any_between(const int32_t *key, int n, int32_t low, int32_t high, fn_rng *rng) {
    int found = 0;
    for (int i = 0; i < n; i++)
        found += key[i] > low && key[i] < high;
    if (!found)
        return -1;
    int left = (int)fn_rng_below(rng, (uint32_t)found), i = 0;
    for (;; i++)
        if (key[i] > low && key[i] < high && left-- == 0)
            return i;
}

/// The negative of a pair by the rule, a row; -1: no row fits.
static int negative_of(const miner *m, int anchor, int positive, fn_rng *rng) {
    const fn_mine_options *o = m->options;
    int n = is_fixed(m, anchor) && is_fixed(m, positive) ? m->n_moving : m->n_others;
    int32_t d_ap = bits_of(m->distance[positive]), limit = bits_of(m->distance[positive] + o->margin);
    int at = -1;
    if (n == 0)
        return -1;
    switch (o->kind) {
    case FN_MINE_SEMI_HARD:
        at = nearest_between(m->key, n, d_ap, limit);
        break;
    case FN_MINE_SEMI_HARD_RANDOM:
        at = any_between(m->key, n, d_ap, limit, rng);
        break;
    case FN_MINE_ANY_VIOLATOR:
        at = any_between(m->key, n, -1, limit, rng);
        break;
    case FN_MINE_BATCH_HARD:
        at = nearest_between(m->key, n, -1, INT32_MAX);
        break;
    case FN_MINE_RANDOM:
        at = (int)fn_rng_below(rng, (uint32_t)n);
        break;
    }
    return at < 0 ? -1 : m->other[at];
}

static int farthest_positive(const miner *m, int anchor) {
    int best = -1;
    for (int i = 0; i < m->n; i++)
        if (i != anchor && m->label[i] == m->label[anchor] &&
            (best < 0 || m->distance[i] > m->distance[best]))
            best = i;
    return best;
}

static void take(const miner *m, fn_mined *out, int anchor, int positive, fn_rng *rng) {
    out->n_pairs++;
    int negative = negative_of(m, anchor, positive, rng);
    if (negative >= 0)
        out->triplets[out->n++] = (fn_triplet){anchor, positive, negative};
}

/// Pairs of one person: the most triplets there can be.
static size_t count_pairs(const int *label, int n) {
    size_t pairs = 0;
    for (int a = 0; a < n; a++)
        for (int i = a + 1; i < n; i++)
            pairs += label[i] == label[a];
    return pairs;
}

static int check(int n, int d, const fn_mine_options *options) {
    if (n < 1 || n > MAX_ROWS || d < 1)
        return fn_fail(FN_EINVAL, "mining takes 1 to %d rows, not %d", MAX_ROWS, n);
    if (!isfinite(options->margin) || options->margin < 0)
        return fn_fail(FN_EINVAL, "the margin must not be negative");
    return FN_OK;
}

int fn_mine(fn_mined *out, const float *embeddings, const int *label, int n, int d,
            const fn_mine_options *options, fn_rng *rng) {
    *out = (fn_mined){0};
    miner m;
    int rc = check(n, d, options);
    if (rc < 0 || (rc = miner_init(&m, embeddings, label, n, d, options)) < 0)
        return rc;
    int per_anchor = options->kind == FN_MINE_BATCH_HARD;
    out->triplets = fn_calloc(per_anchor ? (size_t)n : count_pairs(label, n), sizeof *out->triplets);
    if (!out->triplets) {
        miner_free(&m);
        return fn_fail_memory();
    }
    for (int a = 0; a < n; a++) {
        measure(&m, a);
        gather(&m, a);
        int positive = per_anchor ? farthest_positive(&m, a) : -1;
        if (positive >= 0)
            take(&m, out, a, positive, rng);
        for (int p = a + 1; p < n && !per_anchor; p++)
            if (label[p] == label[a])
                take(&m, out, a, p, rng);
    }
    out->mean_ap = m.n_ap ? m.sum_ap / (double)m.n_ap : 0;
    out->mean_an = m.n_an ? m.sum_an / (double)m.n_an : 0;
    miner_free(&m);
    return FN_OK;
}

int fn_mine_means(double *mean_ap, double *mean_an, const float *embeddings, const int *label, int n, int d) {
    miner m;
    fn_mine_options options = {0};
    *mean_ap = *mean_an = 0;
    int rc = check(n, d, &options);
    if (rc < 0 || (rc = miner_init(&m, embeddings, label, n, d, &options)) < 0)
        return rc;
    for (int a = 0; a < n; a++)
        measure(&m, a);
    *mean_ap = m.n_ap ? m.sum_ap / (double)m.n_ap : 0;
    *mean_an = m.n_an ? m.sum_an / (double)m.n_an : 0;
    miner_free(&m);
    return FN_OK;
}

void fn_mined_free(fn_mined *mined) {
    fn_free(mined->triplets);
    *mined = (fn_mined){0};
}
