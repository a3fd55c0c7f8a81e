// SPDX-License-Identifier: Apache-2.0
//
// From values to probabilities by a logistic curve (Platt 1999) fitted to values of held-out rows. Galleries
// are small, a handful of photographs per person, far too few for a curve per pair: one slope serves all
// pairs. A curve without offset is right because each pair counts from both sides.
#include "train/svm.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <string.h>

enum { FOLDS = 5, MAX_RIVALS = 256, STEPS = 100 };

// Values of held-out rows, positive where they speak for the right class.
typedef struct values {
    double *value;
    size_t n, capacity;
    int n_rows;
} values;

static int add(values *v, double value) {
    if (v->n == v->capacity) {
        size_t more = v->capacity ? 2 * v->capacity : 1024;
        double *grown = fn_realloc(v->value, more, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        v->value = grown;
        v->capacity = more;
    }
    v->value[v->n++] = value;
    return FN_OK;
}

// Which fifth a row belongs to; -1 for the only row of a class, which is never left out.
static void choose_folds(int *fold, const int *labels, int n, uint64_t seed) {
    for (int begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && labels[end] == labels[begin]; end++)
            ;
        fn_rng r = fn_rng_at(seed, FN_STREAM_SPLIT, (uint32_t)labels[begin]);
        int first = (int)fn_rng_below(&r, FOLDS), order[FOLDS];
        for (int i = begin; i < end; i++) {
            // Every five rows of a class are dealt to the five parts in a new order.
            int place = (i - begin) % FOLDS;
            for (int k = 0; k < FOLDS && place == 0; k++)
                order[k] = (first + k) % FOLDS;
            if (place == 0)
                fn_rng_shuffle(&r, order, FOLDS);
            fold[i] = end - begin > 1 ? order[place] : -1;
        }
    }
}

static size_t pair_of(int i, int j, int k) {
    return (size_t)i * (size_t)k - (size_t)i * ((size_t)i + 1) / 2 + (size_t)(j - i - 1);
}

// Values of one row of class `own` against its rivals.
static int collect(values *out, const fn_svm *svm, const double *f, int own) {
    const int k = svm->n_classes, stride = k / MAX_RIVALS + 1;
    int rc = FN_OK;
    for (int other = (out->n_rows++) % stride; other < k && rc == FN_OK; other += stride)
        if (other != own)
            rc = add(out, own < other ? f[pair_of(own, other, k)] : -f[pair_of(other, own, k)]);
    return rc;
}

typedef struct split {
    float *rows; // those of the fit
    int *labels, *fold;
    double *f, *products;
} split;

// Fits without the rows of one part and takes the values of these.
static int run_fold(values *out, split *s, const fn_svm *whole, const float *rows, const int *labels, int n,
                    double c, int part) {
    const size_t d = (size_t)whole->dimension;
    int n_fit = 0, n_left = 0;
    for (int i = 0; i < n; i++) {
        n_left += s->fold[i] == part;
        if (s->fold[i] == part)
            continue;
        memcpy(s->rows + (size_t)n_fit * d, rows + (size_t)i * d, d * sizeof *rows);
        s->labels[n_fit++] = labels[i];
    }
    if (!n_left)
        return FN_OK;
    fn_svm svm;
    int rc = fn_svm_fit(&svm, s->rows, s->labels, n_fit, whole->n_classes, whole->dimension, c);
    for (int i = 0; i < n && rc == FN_OK; i++)
        if (s->fold[i] == part) {
            fn_svm_values(&svm, rows + (size_t)i * d, s->f, s->products);
            rc = collect(out, &svm, s->f, labels[i]);
        }
    fn_svm_free(&svm);
    return rc;
}

static double log_of_one_plus_exp(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

// Minus the likelihood of slope a, with Platt's target instead of 1: certainty is not to be had from few
// rows.
static double cost(const values *v, double target, double a) {
    double sum = 0;
    for (size_t i = 0; i < v->n; i++) {
        double x = a * v->value[i];
        sum += target * log_of_one_plus_exp(-x) + (1 - target) * log_of_one_plus_exp(x);
    }
    return sum;
}

// Newton's method with halved steps; the cost is convex in a.
static double fit_slope(const values *v) {
    const double target = (v->n_rows + 1.0) / (v->n_rows + 2.0);
    double a = 1, now = cost(v, target, a);
    for (int step = 0; step < STEPS; step++) {
        double first = 0, second = 1e-12;
        for (size_t i = 0; i < v->n; i++) {
            double x = v->value[i], p = 1 / (1 + exp(-a * x));
            first += x * (p - target);
            second += x * x * p * (1 - p);
        }
        double move = first / second, next = now;
        for (int half = 0; half < 40; half++, move /= 2) {
            next = cost(v, target, a - move);
            if (next < now)
                break;
        }
        if (!(now - next > 1e-12 * fabs(now)))
            break;
        a -= move;
        now = next;
    }
    return a > 1e-3 ? a : 1e-3; // values that tell nothing
}

int fn_svm_calibrate(fn_svm *svm, const float *rows, const int *labels, int n, double c, uint64_t seed,
                     const fn_control *control) {
    const size_t k = (size_t)svm->n_classes;
    values v = {0};
    split s = {.rows = fn_calloc((size_t)n * (size_t)svm->dimension, sizeof(float)),
               .labels = fn_calloc((size_t)n, sizeof(int)),
               .fold = fn_calloc((size_t)n, sizeof(int)),
               .f = fn_calloc(k * (k - 1) / 2, sizeof(double)),
               .products = fn_calloc((size_t)n, sizeof(double))};
    int rc = s.rows && s.labels && s.fold && s.f && s.products ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        choose_folds(s.fold, labels, n, seed);
    for (int part = 0; part < FOLDS && rc == FN_OK; part++) {
        rc = run_fold(&v, &s, svm, rows, labels, n, c, part);
        if (rc == FN_OK)
            rc = fn_control_step(control, (uint64_t)part + 1, FOLDS);
    }
    if (rc == FN_OK)
        svm->slope = fit_slope(&v);
    fn_free(v.value);
    fn_free(s.rows);
    fn_free(s.labels);
    fn_free(s.fold);
    fn_free(s.f);
    fn_free(s.products);
    return rc;
}
