// SPDX-License-Identifier: Apache-2.0
//
// Learning a map by large-margin nearest neighbours (Weinberger and Saul, "Distance metric learning for large
// margin nearest neighbor classification", JMLR 2009): steps against the gradient whose size grows while the
// loss falls and is halved where it does not. Impostors are looked for among all vectors every few steps
// only, in between among those who were near (their section 4.1); targets once a pass (their section 6.1).
#include "train/lmnn.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

enum { STEPS_PER_SEARCH = 10, MAX_DIMENSION = 4096 };

static int check(const fn_lmnn_options *o, size_t n, int d) {
    if (o->version != FN_LMNN_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "fn_lmnn_options: version %d, this library knows %d", o->version,
                       FN_LMNN_OPTIONS_VERSION);
    if (d < 1 || d > MAX_DIMENSION || n < 2 || n > INT32_MAX / 2)
        return fn_fail(FN_EINVAL, "%zu vectors of %d numbers cannot be learnt from", n, d);
    if (o->rank < 0 || o->rank > d)
        return fn_fail(FN_EINVAL, "the rank is 1 to %d, not %d", d, o->rank);
    if (o->k < 1 || o->k > FN_LMNN_MAX_K)
        return fn_fail(FN_EINVAL, "1 to %d target neighbours, not %d", FN_LMNN_MAX_K, o->k);
    if (o->threads < 0)
        return fn_fail(FN_EINVAL, "%d threads: one per processor is 0", o->threads);
    if (o->iterations < 0 || o->passes < 1)
        return fn_fail(FN_EINVAL, "%d steps in %d passes are not possible", o->iterations, o->passes);
    if (!(o->mu >= 0 && o->mu <= 1) || !(o->margin > 0 && isfinite(o->margin)) ||
        !(o->regularization >= 0 && isfinite(o->regularization)) ||
        !(o->whitening >= 0 && isfinite(o->whitening)) || !(o->balance >= 0 && o->balance <= 1))
        return fn_fail(FN_EINVAL, "mu and balance are 0 to 1, the margin is above 0, regularization and "
                                  "whitening are not negative");
    return FN_OK;
}

static int check_vectors(const float *x, const int *label, size_t n, int d) {
    size_t n_others = 0;
    for (size_t i = 0; i < n * (size_t)d; i++)
        if (!isfinite(x[i]))
            return fn_fail(FN_EINVAL, "vector %zu holds what is no number", i / (size_t)d);
    for (size_t i = 1; i < n; i++)
        n_others += label[i] != label[0];
    return n_others ? FN_OK : fn_fail(FN_EINVAL, "all vectors are of one person: nobody can be told apart");
}

int fn_lmnn_check(const fn_lmnn_options *options, const float *x, const int *label, size_t n, int d) {
    const int rc = check(options, n, d);
    return rc < 0 ? rc : check_vectors(x, label, n, d);
}

/// The present map and the next one to be tried, with what is known of each.
typedef struct descent {
    double *L, *dL, *next, *d_next; // (rank, d)
    size_t size;
    double loss, step;
    int64_t n_impostors;
} descent;

static void descent_free(descent *s) {
    fn_free(s->L);
    fn_free(s->dL);
    fn_free(s->next);
    fn_free(s->d_next);
}

static int descent_init(descent *s, size_t size) {
    *s = (descent){.size = size};
    s->L = fn_calloc(size, sizeof *s->L);
    s->dL = fn_calloc(size, sizeof *s->dL);
    s->next = fn_calloc(size, sizeof *s->next);
    s->d_next = fn_calloc(size, sizeof *s->d_next);
    return s->L && s->dL && s->next && s->d_next ? FN_OK : fn_fail_memory();
}

static double norm(const double *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

/// Tries one step. 0: the loss would not fall, the map stays.
static int step(descent *s, fn_lmnn *m) {
    int64_t n_impostors;
    for (size_t i = 0; i < s->size; i++)
        s->next[i] = s->L[i] - s->step * s->dL[i];
    double loss = fn_lmnn_loss(m, s->next, s->d_next, &n_impostors);
    if (!(loss < s->loss)) {
        s->step /= 2;
        return 0;
    }
    double *kept = s->L, *d_kept = s->dL;
    s->L = s->next;
    s->dL = s->d_next;
    s->next = kept;
    s->d_next = d_kept;
    s->loss = loss;
    s->n_impostors = n_impostors;
    s->step *= 1.2;
    return 1;
}

/// One pass on the targets chosen before it. *taken: steps.
static int run_pass(descent *s, fn_lmnn *m, int pass, int *taken, const fn_control *control) {
    const fn_lmnn_options *o = &m->options;
    uint64_t done = (uint64_t)pass * (uint64_t)o->iterations,
             total = (uint64_t)o->passes * (uint64_t)o->iterations;
    int rc = FN_OK;
    s->step = 0;
    for (int i = 0; i < o->iterations; i++) {
        if ((rc = fn_control_step(control, done + (uint64_t)i, total)) < 0)
            return rc;
        if (i % STEPS_PER_SEARCH == 0) {
            if (i && (rc = fn_lmnn_search(m, s->L)) < 0)
                return rc;
            s->loss = fn_lmnn_loss(m, s->L, s->dL, &s->n_impostors);
        }
        double slope = norm(s->dL, s->size), length = norm(s->L, s->size);
        if (!(slope > 1e-10 * length))
            break;
        if (s->step == 0) // the first step changes the map by a hundredth
            s->step = 0.01 * length / slope;
        *taken += step(s, m);
        if (s->step * slope < 1e-9 * length)
            break;
    }
    return rc;
}

/// What was learnt from, and where learning starts and ends.
static void describe(fn_lmnn_result *out, const fn_lmnn *m) {
    for (size_t i = 0; i < m->n; i++) {
        int earlier = 0;
        if (m->target[i * (size_t)m->options.k] < 0)
            continue;
        out->n_used++;
        for (size_t e = 0; e < i && !earlier; e++)
            earlier = m->label[e] == m->label[i];
        out->n_people += !earlier;
    }
}

static int learn(descent *s, fn_lmnn *m, fn_lmnn_result *out, const fn_control *control) {
    int rc = FN_OK;
    for (int pass = 0; rc == FN_OK && pass < m->options.passes; pass++) {
        fn_lmnn_choose_targets(m, s->L);
        if (m->n_targets == 0)
            return fn_fail(FN_EINVAL, "nobody has two vectors: there is nothing to bring together");
        if ((rc = fn_lmnn_search(m, s->L)) < 0)
            break;
        if (pass == 0) {
            describe(out, m);
            out->loss_before = fn_lmnn_loss(m, s->L, s->dL, &out->n_impostors_before);
        }
        rc = run_pass(s, m, pass, &out->iterations, control);
    }
    if (rc == FN_OK && (rc = fn_lmnn_search(m, s->L)) == FN_OK)
        out->loss = fn_lmnn_loss(m, s->L, s->dL, &out->n_impostors);
    return rc;
}

int fn_lmnn_learn(float *L, const float *embeddings, const int *label, size_t n, int d,
                  const fn_lmnn_options *options, fn_lmnn_result *out, const fn_control *control) {
    fn_lmnn_options o = FN_LMNN_OPTIONS_INIT;
    fn_lmnn_result result = {0};
    fn_lmnn m = {0};
    descent s = {0};
    if (options)
        o = *options;
    int rc = fn_lmnn_check(&o, embeddings, label, n, d);
    if (rc < 0)
        return rc;
    o.rank = o.rank ? o.rank : d;
    if ((rc = descent_init(&s, (size_t)o.rank * (size_t)d)) == FN_OK &&
        (rc = fn_lmnn_start(s.L, embeddings, label, n, d, &o)) == FN_OK &&
        (rc = fn_lmnn_open(&m, embeddings, label, n, d, &o, s.L)) == FN_OK)
        rc = learn(&s, &m, &result, control);
    for (size_t i = 0; rc == FN_OK && i < s.size; i++)
        L[i] = (float)s.L[i];
    if (rc == FN_OK && out)
        *out = result;
    fn_lmnn_close(&m);
    descent_free(&s);
    return rc;
}
