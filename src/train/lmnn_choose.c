// SPDX-License-Identifier: Apache-2.0
//
// How far a metric may leave the vectors it starts from: few people teach a map little that holds for others,
// and a map that fits them best errs more on everybody else. So settings are tried on people held out, the
// mildest first, and a stronger one is taken only where it gains on the one before by more than the standard
// error of that gain. First the whitening, which one number decides, then steps of learning from the best
// start, held back less and less until that has not paid twice in a row; few, because stopping early holds
// back too, and minutes are too long to find out. The grids are coarse, because finer ones could not be told
// apart.
#include "base/alloc.h"
#include "base/error.h"
#include "base/random.h"
#include "train/lmnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDS = 5, REPEATS = 2, TRIALS = FOLDS * REPEATS, MIN_PEOPLE = 4, MAX_STEPS = 30 };
static const int error_k[] = {1, 3, 5};
enum { N_K = sizeof error_k / sizeof *error_k };
static const double whitenings[] = {100, 30, 10, 3, 1, 0.3}; // the mildest first
static const double regularizations[] = {100, 10, 1, 0.1};
enum {
    N_WHITENINGS = sizeof whitenings / sizeof *whitenings,
    N_REGULARIZATIONS = sizeof regularizations / sizeof *regularizations,
    N_SETTINGS = 1 + N_WHITENINGS + N_REGULARIZATIONS
};
_Static_assert((int)N_SETTINGS <= FN_LMNN_MAX_TRIALS, "every setting is reported");

typedef struct chooser {
    const float *x; // (n, d)
    const int *label;
    size_t n;
    int d, rank, n_people, n_folds;
    int *person, *n_of; // (n), (n_people): of a row; vectors of a person
    int *fold_of;       // (REPEATS, n_people)
    float *learn, *held, *mapped, *L;
    double *start; // (rank, d)
    int *learn_label, *held_label;
    double plain[TRIALS], best[TRIALS], latest[TRIALS]; // errors of the plain start; of the setting that is
                                                        // best so far; of the one tried last
    uint64_t done, total;                               // passes of learning
    const fn_control *control;
} chooser;

static void chooser_free(chooser *c) {
    fn_free(c->person);
    fn_free(c->n_of);
    fn_free(c->fold_of);
    fn_free(c->learn);
    fn_free(c->held);
    fn_free(c->mapped);
    fn_free(c->L);
    fn_free(c->start);
    fn_free(c->learn_label);
    fn_free(c->held_label);
}

static int by_value(const void *a, const void *b) {
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int number_people(chooser *c) {
    int *sorted = fn_calloc(c->n, sizeof *sorted);
    if (!sorted)
        return fn_fail_memory();
    memcpy(sorted, c->label, c->n * sizeof *sorted);
    qsort(sorted, c->n, sizeof *sorted, by_value);
    for (size_t i = 0; i < c->n; i++)
        if (i == 0 || sorted[i] != sorted[c->n_people - 1])
            sorted[c->n_people++] = sorted[i];
    for (size_t i = 0; i < c->n; i++) {
        const int *found = bsearch(&c->label[i], sorted, (size_t)c->n_people, sizeof *sorted, by_value);
        c->person[i] = (int)(found - sorted);
        c->n_of[c->person[i]]++;
    }
    fn_free(sorted);
    return FN_OK;
}

// People with several vectors are dealt out first, so that every fold has some to ask about.
static int deal(chooser *c, uint64_t seed) {
    int *order = fn_calloc((size_t)c->n_people, sizeof *order), n_several = 0;
    if (!order)
        return fn_fail_memory();
    for (int p = 0; p < c->n_people; p++)
        n_several += c->n_of[p] > 1;
    c->n_folds = n_several / 2 < FOLDS ? n_several / 2 : FOLDS;
    for (uint32_t repeat = 0; repeat < REPEATS && n_several >= MIN_PEOPLE; repeat++) {
        fn_rng rng = fn_rng_at(seed, FN_STREAM_SPLIT, repeat);
        for (int p = 0; p < c->n_people; p++)
            order[p] = p;
        fn_rng_shuffle(&rng, order, c->n_people);
        int dealt = 0;
        for (int several = 1; several >= 0; several--)
            for (int i = 0; i < c->n_people; i++)
                if ((c->n_of[order[i]] > 1) == several)
                    c->fold_of[(int)repeat * c->n_people + order[i]] = dealt++ % c->n_folds;
    }
    fn_free(order);
    return n_several >= MIN_PEOPLE
               ? FN_OK
               : fn_fail(FN_EINVAL,
                         "%d people have two vectors or more: settings can be tried on %d, not on fewer",
                         n_several, (int)MIN_PEOPLE);
}

static int chooser_init(chooser *c, uint64_t seed) {
    const size_t n = c->n, d = (size_t)c->d;
    c->person = fn_calloc(n, sizeof *c->person);
    c->n_of = fn_calloc(n, sizeof *c->n_of);
    c->fold_of = fn_calloc(REPEATS * n, sizeof *c->fold_of);
    c->learn = fn_calloc(n * d, sizeof *c->learn);
    c->held = fn_calloc(n * d, sizeof *c->held);
    c->mapped = fn_calloc(n * (size_t)c->rank, sizeof *c->mapped);
    c->L = fn_calloc((size_t)c->rank * d, sizeof *c->L);
    c->start = fn_calloc((size_t)c->rank * d, sizeof *c->start);
    c->learn_label = fn_calloc(n, sizeof *c->learn_label);
    c->held_label = fn_calloc(n, sizeof *c->held_label);
    if (!c->person || !c->n_of || !c->fold_of || !c->learn || !c->held || !c->mapped || !c->L || !c->start ||
        !c->learn_label || !c->held_label)
        return fn_fail_memory();
    const int rc = number_people(c);
    return rc == FN_OK ? deal(c, seed) : rc;
}

static int relay(void *user, uint64_t done, uint64_t total) {
    const chooser *c = user;
    (void)done, (void)total;
    return fn_control_step(c->control, c->done, c->total) == FN_ECANCELLED;
}

// The map of the first n rows of c->learn. Without steps it is where learning starts.
static int learn(chooser *c, const fn_lmnn_options *options, size_t n) {
    fn_lmnn_options o = *options;
    fn_control control = FN_CONTROL_INIT;
    int rc;
    o.rank = c->rank;
    control.user = c;
    control.progress = relay;
    control.deadline_ms = c->control ? c->control->deadline_ms : 0;
    if (o.iterations)
        return fn_lmnn_learn(c->L, c->learn, c->learn_label, n, c->d, &o, NULL, &control);
    if ((rc = fn_lmnn_start(c->start, c->learn, c->learn_label, n, c->d, &o)) < 0)
        return rc;
    for (size_t i = 0; i < (size_t)c->rank * (size_t)c->d; i++)
        c->L[i] = (float)c->start[i];
    return FN_OK;
}

// Learns without the people of a fold and measures on them. *error: the mean over error_k.
static int try_fold(double *error, chooser *c, const fn_lmnn_options *options, int repeat, int fold) {
    const size_t d = (size_t)c->d;
    size_t n_learn = 0, n_held = 0;
    for (size_t i = 0; i < c->n; i++) {
        const int is_held = c->fold_of[repeat * c->n_people + c->person[i]] == fold;
        memcpy(is_held ? c->held + n_held * d : c->learn + n_learn * d, c->x + i * d, d * sizeof *c->x);
        *(is_held ? &c->held_label[n_held++] : &c->learn_label[n_learn++]) = c->person[i];
    }
    int rc = learn(c, options, n_learn);
    c->done++;
    if (rc == FN_OK)
        rc = fn_control_step(c->control, c->done, c->total);
    if (rc < 0)
        return rc;
    fn_lmnn_apply(c->mapped, c->L, c->rank, c->held, n_held, c->d);
    *error = 0;
    for (int k = 0; k < N_K; k++) {
        const double one = fn_knn_error(c->mapped, c->held_label, n_held, c->rank, error_k[k], NULL);
        if (one < 0)
            return (int)one;
        *error += one / N_K;
    }
    return FN_OK;
}

// By how much `after` is below `before`, fold by fold: the mean and its standard error.
static void compare(double *gain, double *se, const double *before, const double *after, int n) {
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        sum += before[i] - after[i];
        squares += (before[i] - after[i]) * (before[i] - after[i]);
    }
    *gain = sum / n;
    *se = sqrt(fmax(squares / n - *gain * *gain, 0) / (n - 1));
}

// One setting on every fold. The first is the plain start, which the others are compared with. Returns 1
// where it is better than the best so far, which it then is.
static int try_setting(fn_lmnn_trial *trial, chooser *c, const fn_lmnn_options *options, int is_plain) {
    const int n = REPEATS * c->n_folds;
    double gain, se;
    *trial = (fn_lmnn_trial){.whitening = options->whitening,
                             .regularization = options->regularization,
                             .iterations = options->iterations};
    for (int i = 0; i < n; i++) {
        const int rc = try_fold(&c->latest[i], c, options, i / c->n_folds, i % c->n_folds);
        if (rc < 0)
            return rc;
        trial->error += c->latest[i] / n;
    }
    if (is_plain) {
        memcpy(c->plain, c->latest, sizeof c->plain);
        memcpy(c->best, c->latest, sizeof c->best);
    }
    compare(&trial->gain, &trial->gain_se, c->plain, c->latest, n);
    compare(&gain, &se, c->best, c->latest, n);
    const int is_better = gain > se;
    if (is_better)
        memcpy(c->best, c->latest, sizeof c->best);
    return is_better;
}

// Fills trial[0..*n - 1]; returns the best of them, or an error.
static int try_all(fn_lmnn_trial *trial, int *n, chooser *c, const fn_lmnn_options *options) {
    fn_lmnn_options o = *options;
    int rc, best = 0;
    *n = 0;
    o.whitening = o.regularization = 0;
    o.iterations = 0;
    if ((rc = try_setting(&trial[(*n)++], c, &o, 1)) < 0)
        return rc;
    for (int w = 0; w < N_WHITENINGS; w++) {
        o.whitening = whitenings[w];
        const int at = (*n)++;
        if ((rc = try_setting(&trial[at], c, &o, 0)) < 0)
            return rc;
        best = rc ? at : best;
    }
    o = *options;
    o.iterations = o.iterations < MAX_STEPS ? o.iterations : MAX_STEPS;
    o.whitening = trial[best].whitening;
    for (int r = 0, n_idle = 0; r < N_REGULARIZATIONS && o.iterations && n_idle < 2; r++) {
        o.regularization = regularizations[r];
        const int at = (*n)++;
        if ((rc = try_setting(&trial[at], c, &o, 0)) < 0)
            return rc;
        n_idle = rc ? 0 : n_idle + 1;
        best = rc ? at : best;
    }
    return best;
}

int fn_lmnn_choose(fn_lmnn_options *chosen, const float *embeddings, const int *label, size_t n, int d,
                   const fn_lmnn_options *options, uint64_t seed, fn_lmnn_trial *trials, size_t *n_trials,
                   const fn_control *control) {
    fn_lmnn_options o = FN_LMNN_OPTIONS_INIT;
    fn_lmnn_trial trial[N_SETTINGS];
    int n_tried = 0;
    if (options)
        o = *options;
    int rc = fn_lmnn_check(&o, embeddings, label, n, d);
    if (rc < 0)
        return rc;
    chooser c = {
        .x = embeddings, .label = label, .n = n, .d = d, .rank = o.rank ? o.rank : d, .control = control};
    rc = chooser_init(&c, seed);
    c.total = (uint64_t)N_SETTINGS * REPEATS * (uint64_t)c.n_folds;
    if (rc == FN_OK)
        rc = try_all(trial, &n_tried, &c, &o);
    chooser_free(&c);
    if (rc < 0)
        return rc;
    const fn_lmnn_trial *best = &trial[rc];
    const int helps = rc > 0;
    *chosen = o;
    chosen->whitening = helps ? best->whitening : 0;
    chosen->regularization = helps ? best->regularization : 0;
    chosen->iterations = helps ? best->iterations : 0;
    if (n_trials)
        *n_trials = (size_t)n_tried;
    if (trials)
        memcpy(trials, trial, (size_t)n_tried * sizeof *trial);
    return helps;
}
