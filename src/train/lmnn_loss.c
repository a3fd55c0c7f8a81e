// SPDX-License-Identifier: Apache-2.0
//
// The loss of a map, its gradient, and the search for targets and impostors. Differentiating by L itself
// rather than by L'L (Weinberger and Saul 2009, section 3.2) gives up convexity and gains any rank without a
// projection onto positive matrices. The gradient goes by the vectors y first, as a network's would: each
// open hinge adds to the weight of two pairs, each pair once to the rows it joins, and dL = sum_i dy_i x_i'.
#include "base/alloc.h"
#include "base/cpu.h"
#include "base/error.h"
#include "kernels/sqdist.h"
#include "train/lmnn.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/// Candidates reach this share of the margin beyond it, so that those who come to be impostors before the
/// next search are among them.
static const double slack = 0.5;

int fn_lmnn_open(fn_lmnn *m, const float *x, const int *label, size_t n, int d,
                 const fn_lmnn_options *options, const double *L0) {
    size_t rank = (size_t)options->rank, width = (size_t)d;
    *m = (fn_lmnn){.options = *options, .x = x, .label = label, .n = n, .d = d};
    m->stride = (rank + FN_SQDIST_LANES - 1) / FN_SQDIST_LANES * FN_SQDIST_LANES;
    m->first = fn_calloc(rank * width, sizeof *m->first);
    m->target = fn_calloc(n * (size_t)options->k, sizeof *m->target);
    m->share = fn_calloc(n, sizeof *m->share);
    m->candidate_end = fn_calloc(n, sizeof *m->candidate_end);
    m->y = fn_calloc(n * rank, sizeof *m->y);
    m->length = fn_calloc(n, sizeof *m->length);
    m->dy = fn_calloc(FN_LMNN_PARTS * n * rank, sizeof *m->dy);
    m->rows = fn_alloc_aligned(n * m->stride * sizeof *m->rows);
    if (!m->first || !m->target || !m->share || !m->candidate_end || !m->y || !m->length || !m->dy ||
        !m->rows) {
        fn_lmnn_close(m);
        return fn_fail_memory();
    }
    memset(m->rows, 0, n * m->stride * sizeof *m->rows);
    memcpy(m->first, L0, rank * width * sizeof *m->first);
    return FN_OK;
}

void fn_lmnn_close(fn_lmnn *m) {
    fn_free(m->first);
    fn_free(m->target);
    fn_free(m->share);
    fn_free(m->candidate_end);
    fn_free(m->candidate);
    fn_free(m->y);
    fn_free(m->length);
    fn_free(m->dy);
    fn_free(m->rows);
    *m = (fn_lmnn){0};
}

static int threads_of(const fn_lmnn *m) {
    return m->options.threads > 0 ? m->options.threads : omp_get_max_threads();
}

/// y = L x, at unit length where that is asked for.
static void map_rows(fn_lmnn *m, const double *L) {
    size_t rank = (size_t)m->options.rank, d = (size_t)m->d;
#pragma omp parallel for schedule(static) num_threads(threads_of(m))
    for (size_t i = 0; i < m->n; i++) {
        double *y = m->y + i * rank, square = 0;
        const float *x = m->x + i * d;
        for (size_t r = 0; r < rank; r++) {
            double lane[4] = {0};
            size_t k = 0;
            for (; k + 4 <= d; k += 4)
                for (size_t q = 0; q < 4; q++)
                    lane[q] += L[r * d + k + q] * (double)x[k + q];
            for (; k < d; k++)
                lane[0] += L[r * d + k] * (double)x[k];
            y[r] = (lane[0] + lane[1]) + (lane[2] + lane[3]);
            square += y[r] * y[r];
        }
        m->length[i] = m->options.unit_length && square > 0 ? sqrt(square) : 1;
        for (size_t r = 0; r < rank; r++) {
            y[r] /= m->length[i];
            m->rows[i * m->stride + r] = (float)y[r];
        }
    }
}

static double distance_of(const fn_lmnn *m, size_t i, size_t l) {
    size_t rank = (size_t)m->options.rank, r = 0;
    const double *a = m->y + i * rank, *b = m->y + l * rank;
    double lane[4] = {0};
    for (; r + 4 <= rank; r += 4)
        for (size_t q = 0; q < 4; q++) {
            double difference = a[r + q] - b[r + q];
            lane[q] += difference * difference;
        }
    for (; r < rank; r++)
        lane[0] += (a[r] - b[r]) * (a[r] - b[r]);
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/// Turns share, which holds the number of targets of each row, into the weight of each of these pairs.
static void weigh(fn_lmnn *m) {
    double sum = 0;
    for (size_t i = 0; i < m->n; i++) {
        size_t count = 0;
        for (size_t l = 0; m->options.balance > 0 && l < m->n; l++)
            count += m->label[l] == m->label[i];
        double n = m->share[i];
        m->share[i] = m->options.balance > 0 ? pow((double)count, -m->options.balance) : 1;
        sum += n * m->share[i];
    }
    for (size_t i = 0; i < m->n && sum > 0; i++)
        m->share[i] /= sum;
}

void fn_lmnn_choose_targets(fn_lmnn *m, const double *L) {
    int k = m->options.k;
    map_rows(m, L);
    m->n_targets = 0;
    for (size_t i = 0; i < m->n; i++) {
        int *target = m->target + i * (size_t)k, found = 0;
        double nearest[FN_LMNN_MAX_K]; // ascending
        for (size_t l = 0; l < m->n; l++) {
            if (l == i || m->label[l] != m->label[i])
                continue;
            double d2 = distance_of(m, i, l);
            int at = found < k ? found++ : d2 < nearest[k - 1] ? k - 1 : k;
            for (; at < k && at > 0 && nearest[at - 1] > d2; at--) {
                nearest[at] = nearest[at - 1];
                target[at] = target[at - 1];
            }
            if (at < k) {
                nearest[at] = d2;
                target[at] = (int)l;
            }
        }
        m->n_targets += found;
        m->share[i] = found;
        for (; found < k; found++)
            target[found] = -1;
    }
    weigh(m);
}

static int add_candidate(fn_lmnn *m, size_t l) {
    if (m->n_candidates == m->candidate_capacity) {
        size_t capacity = m->candidate_capacity ? 2 * m->candidate_capacity : 4096;
        int *grown = fn_realloc(m->candidate, capacity, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        m->candidate = grown;
        m->candidate_capacity = capacity;
    }
    m->candidate[m->n_candidates++] = (int)l;
    return FN_OK;
}

int fn_lmnn_search(fn_lmnn *m, const double *L) {
    fn_sqdist_fn *sqdist = fn_sqdist_choose(fn_cpu_flags());
    float *distance = fn_calloc(m->n, sizeof *distance);
    if (!distance)
        return fn_fail_memory();
    int rc = FN_OK, k = m->options.k;
    map_rows(m, L);
    m->n_candidates = 0;
    for (size_t i = 0; i < m->n; i++) {
        const int *target = m->target + i * (size_t)k;
        double reach = -1;
        for (int t = 0; t < k && target[t] >= 0; t++)
            reach = fmax(reach, distance_of(m, i, (size_t)target[t]));
        if (reach >= 0) {
            reach += m->options.margin * (1 + slack);
            sqdist(distance, m->rows + i * m->stride, m->rows, m->n, m->stride);
            for (size_t l = 0; l < m->n && rc == FN_OK; l++)
                if (m->label[l] != m->label[i] && (double)distance[l] < reach)
                    rc = add_candidate(m, l);
        }
        m->candidate_end[i] = m->n_candidates;
    }
    fn_free(distance);
    return rc;
}

/// Adds the gradient of weight * d2(i, l) by both rows.
static void add_pair(const fn_lmnn *m, double *dy, size_t i, size_t l, double weight) {
    size_t rank = (size_t)m->options.rank;
    const double *a = m->y + i * rank, *b = m->y + l * rank;
    double *da = dy + i * rank, *db = dy + l * rank;
    for (size_t r = 0; r < rank; r++) {
        double pull = 2 * weight * (a[r] - b[r]);
        da[r] += pull;
        db[r] -= pull;
    }
}

/// One anchor: its part of the loss, its gradient by all rows added to dy.
static double run_anchor(const fn_lmnn *m, size_t i, double *dy, int64_t *n_impostors) {
    size_t begin = i ? m->candidate_end[i - 1] : 0, count = m->candidate_end[i] - begin;
    const int *candidate = m->candidate + begin, *target = m->target + i * (size_t)m->options.k;
    double mu = m->options.mu, share = m->share[i], sum = 0, reach[FN_LMNN_MAX_K];
    int64_t open_of[FN_LMNN_MAX_K] = {0};
    int n = 0;
    for (; n < m->options.k && target[n] >= 0; n++) {
        reach[n] = distance_of(m, i, (size_t)target[n]);
        sum += share * (1 - mu) * reach[n];
        reach[n] += m->options.margin;
    }
    for (size_t c = 0; n && c < count; c++) {
        double d2 = distance_of(m, i, (size_t)candidate[c]);
        int open = 0; // targets that this one is an impostor of
        for (int t = 0; t < n; t++) {
            double hinge = reach[t] - d2;
            if (hinge > 0) {
                sum += share * mu * hinge;
                open_of[t]++;
                open++;
            }
        }
        if (open)
            add_pair(m, dy, i, (size_t)candidate[c], -share * mu * open);
    }
    for (int t = 0; t < n; t++) {
        *n_impostors += open_of[t];
        add_pair(m, dy, i, (size_t)target[t], share * (1 - mu + mu * (double)open_of[t]));
    }
    return sum;
}

/// Adds the parts of dy into the first and takes them back through the division by the length.
static void collect(fn_lmnn *m) {
    size_t rank = (size_t)m->options.rank, size = m->n * rank;
#pragma omp parallel for schedule(static) num_threads(threads_of(m))
    for (size_t i = 0; i < m->n; i++) {
        double *dy = m->dy + i * rank, along = 0;
        const double *y = m->y + i * rank;
        for (size_t part = 1; part < FN_LMNN_PARTS; part++)
            for (size_t r = 0; r < rank; r++)
                dy[r] += m->dy[part * size + i * rank + r];
        for (size_t r = 0; r < rank && m->options.unit_length; r++)
            along += dy[r] * y[r];
        for (size_t r = 0; r < rank; r++)
            dy[r] = (dy[r] - along * y[r]) / m->length[i];
    }
}

double fn_lmnn_loss(fn_lmnn *m, const double *L, double *dL, int64_t *n_impostors) {
    size_t rank = (size_t)m->options.rank, d = (size_t)m->d, size = m->n * rank;
    double part_loss[FN_LMNN_PARTS] = {0}, loss = 0, away = 0;
    int64_t part_open[FN_LMNN_PARTS] = {0}, open = 0;
    map_rows(m, L);
#pragma omp parallel for schedule(static, 1) num_threads(threads_of(m))
    for (size_t part = 0; part < FN_LMNN_PARTS; part++) {
        double *dy = m->dy + part * size;
        memset(dy, 0, size * sizeof *dy);
        for (size_t i = part * m->n / FN_LMNN_PARTS; i < (part + 1) * m->n / FN_LMNN_PARTS; i++)
            part_loss[part] += run_anchor(m, i, dy, &part_open[part]);
    }
    for (size_t part = 0; part < FN_LMNN_PARTS; part++) {
        loss += part_loss[part];
        open += part_open[part];
    }
    collect(m);
#pragma omp parallel for schedule(static) num_threads(threads_of(m))
    for (size_t r = 0; r < rank; r++) {
        double *row = dL + r * d;
        for (size_t k = 0; k < d; k++)
            row[k] = 2 * m->options.regularization * (L[r * d + k] - m->first[r * d + k]);
        for (size_t i = 0; i < m->n; i++)
            for (size_t k = 0; k < d; k++)
                row[k] += m->dy[i * rank + r] * (double)m->x[i * d + k];
    }
    for (size_t k = 0; k < rank * d; k++)
        away += (L[k] - m->first[k]) * (L[k] - m->first[k]);
    if (n_impostors)
        *n_impostors = open;
    return loss + m->options.regularization * away;
}
