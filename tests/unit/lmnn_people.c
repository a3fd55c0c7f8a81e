// SPDX-License-Identifier: Apache-2.0
//
// usage: lmnn_people EMBEDDINGS.csv LABELS.csv [SPLITS [HOLD_OUT [THREADS [WHITENING REGULARIZATION]]]]
// Whether a metric learnt on some people errs less on others: for each of SPLITS [20] draws HOLD_OUT [0.3] of
// the people, chooses how far to go by the rest alone (unless that is said), learns from the rest, and
// compares the k-NN errors of the people drawn before and after. Prints a line per split and the mean
// differences with their standard errors; each split is one pair. A line of EMBEDDINGS is a vector, a line of
// LABELS "number,anything".
#include "base/random.h"

#include <facenet/metric.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_K = 3 };
static const int error_k[N_K] = {1, 3, 5};

typedef struct people {
    float *rows; // (n, d)
    int *label, n, d, n_people;
} people;

static int fail(const char *why) {
    fprintf(stderr, "lmnn_people: %s\n", why);
    return 1;
}

// Vectors, scaled to unit length. 0: cannot be read.
static int read_people(people *p, const char *embeddings, const char *labels) {
    FILE *rows = fopen(embeddings, "r"), *names = fopen(labels, "r");
    char *line = NULL;
    size_t size = 0;
    int is_good = rows && names;
    while (is_good && getline(&line, &size, rows) > 0) {
        int d = 0;
        double squares = 0;
        p->d = p->d ? p->d : 65536;
        p->rows = realloc(p->rows, (size_t)(p->n + 1) * (size_t)p->d * sizeof *p->rows);
        p->label = realloc(p->label, (size_t)(p->n + 1) * sizeof *p->label);
        if (!p->rows || !p->label)
            return 0;
        float *row = p->rows + (size_t)p->n * (size_t)p->d;
        for (char *at = line, *end; d < p->d; at = end + (*end == ',')) {
            const float value = strtof(at, &end);
            if (end == at)
                break;
            squares += (double)value * (double)value;
            row[d++] = value;
        }
        p->d = p->n ? p->d : d;
        is_good = d == p->d && squares > 0 && getline(&line, &size, names) > 0;
        for (int i = 0; i < d && is_good; i++)
            row[i] /= (float)sqrt(squares);
        p->label[p->n++] = is_good ? (int)strtol(line, NULL, 10) : 0;
    }
    free(line);
    if (rows)
        fclose(rows);
    if (names)
        fclose(names);
    return is_good && p->n > 1;
}

// Labels as numbers 0, 1, ... in the order in which they come. 0: no memory.
static int number_people(people *p) {
    int *first = malloc((size_t)p->n * sizeof *first);
    if (!first)
        return 0;
    for (int i = 0; i < p->n; i++) {
        int k = 0;
        while (k < p->n_people && first[k] != p->label[i])
            k++;
        if (k == p->n_people)
            first[p->n_people++] = p->label[i];
        p->label[i] = k;
    }
    free(first);
    return 1;
}

/// The people drawn and the others.
typedef struct cut {
    float *rows[2]; // (n[k], d): learnt from, held out
    int *label[2];
    size_t n[2];
    float *L, *mapped; // (d, d), (n[1], d)
    int *order;
} cut;

static int cut_init(cut *c, const people *p) {
    const size_t n = (size_t)p->n, d = (size_t)p->d;
    for (int k = 0; k < 2; k++) {
        c->rows[k] = malloc(n * d * sizeof(float));
        c->label[k] = malloc(n * sizeof(int));
    }
    c->L = malloc(d * d * sizeof(float));
    c->mapped = malloc(n * d * sizeof(float));
    c->order = malloc((size_t)p->n_people * sizeof(int));
    return c->rows[0] && c->rows[1] && c->label[0] && c->label[1] && c->L && c->mapped && c->order;
}

static void cut_free(cut *c) {
    for (int k = 0; k < 2; k++) {
        free(c->rows[k]);
        free(c->label[k]);
    }
    free(c->L);
    free(c->mapped);
    free(c->order);
}

static void cut_people(cut *c, const people *p, int split, double hold_out) {
    const size_t d = (size_t)p->d;
    fn_rng rng = fn_rng_at(2009, FN_STREAM_SPLIT, (uint32_t)split);
    c->n[0] = c->n[1] = 0;
    for (int i = 0; i < p->n_people; i++)
        c->order[i] = i;
    fn_rng_shuffle(&rng, c->order, p->n_people);
    for (int i = 0; i < p->n; i++) {
        const int k = c->order[p->label[i]] < (int)(hold_out * p->n_people);
        memcpy(c->rows[k] + c->n[k] * d, p->rows + (size_t)i * d, d * sizeof(float));
        c->label[k][c->n[k]++] = p->label[i];
    }
}

// 0: failed. before, after: errors of the people held out. fixed: settings; NULL: they are chosen.
static int measure(double *before, double *after, cut *c, int d, int split, int threads,
                   const fn_lmnn_options *fixed) {
    fn_lmnn_options options = FN_LMNN_OPTIONS_INIT;
    int helps = 1;
    if (fixed)
        options = *fixed;
    options.threads = threads;
    if (!fixed)
        helps = fn_lmnn_choose(&options, c->rows[0], c->label[0], c->n[0], d, &options, (uint64_t)split, NULL,
                               NULL, NULL);
    if (helps < 0 || fn_lmnn_learn(c->L, c->rows[0], c->label[0], c->n[0], d, &options, NULL, NULL) < 0)
        return 0;
    fn_lmnn_apply(c->mapped, c->L, d, c->rows[1], c->n[1], d);
    printf("%d\t%s\t%g\t%g\t%d", split, helps ? "learnt" : "kept", options.whitening, options.regularization,
           options.iterations);
    for (int i = 0; i < N_K; i++) {
        before[i] = fn_knn_error(c->rows[1], c->label[1], c->n[1], d, error_k[i], NULL);
        after[i] = fn_knn_error(c->mapped, c->label[1], c->n[1], d, error_k[i], NULL);
        printf("\t%.4f\t%.4f", before[i], after[i]);
    }
    putchar('\n');
    fflush(stdout);
    return 1;
}

// Of the differences, with the standard error of the mean.
static void print_mean(const char *what, const double *before, const double *after, int n) {
    double first = 0, second = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        first += before[i] / n;
        second += after[i] / n;
    }
    for (int i = 0; i < n; i++)
        squares += pow(after[i] - before[i] - (second - first), 2);
    printf("%s\t%.4f\t%.4f\t%+.4f\t%.4f\n", what, first, second, second - first,
           n > 1 ? sqrt(squares / (n - 1) / n) : 0);
}

static int run(const people *p, cut *c, int n_splits, double hold_out, int threads,
               const fn_lmnn_options *fixed) {
    double *errors = calloc((size_t)n_splits * 2 * (N_K + 1), sizeof *errors);
    if (!errors)
        return fail("out of memory");
    double *before[N_K + 1], *after[N_K + 1]; // the last: the mean of the others
    for (int i = 0; i <= N_K; i++) {
        before[i] = errors + (size_t)i * (size_t)n_splits;
        after[i] = errors + (size_t)(N_K + 1 + i) * (size_t)n_splits;
    }
    puts("split\twhat\twhitening\tregularization\tsteps\tbefore 1\tafter 1\tbefore 3\tafter 3\tbefore 5\t"
         "after 5");
    for (int split = 0; split < n_splits; split++) {
        double now[2][N_K];
        cut_people(c, p, split, hold_out);
        if (!measure(now[0], now[1], c, p->d, split, threads, fixed)) {
            free(errors);
            return fail(fn_last_error());
        }
        for (int i = 0; i < N_K; i++) {
            before[i][split] = now[0][i];
            after[i][split] = now[1][i];
            before[N_K][split] += now[0][i] / N_K;
            after[N_K][split] += now[1][i] / N_K;
        }
    }
    printf("\nneighbours\tbefore\tafter\tdifference\tse\n");
    for (int i = 0; i <= N_K; i++) {
        char what[16];
        snprintf(what, sizeof what, i < N_K ? "%d" : "mean", i < N_K ? error_k[i] : 0);
        print_mean(what, before[i], after[i], n_splits);
    }
    free(errors);
    return 0;
}

int main(int argc, char **argv) {
    people p = {0};
    cut c = {0};
    fn_lmnn_options fixed = FN_LMNN_OPTIONS_INIT;
    if (argc < 3 || argc > 8 || argc == 7)
        return fail("usage: lmnn_people EMBEDDINGS.csv LABELS.csv [SPLITS [HOLD_OUT [THREADS [WHITENING "
                    "REGULARIZATION]]]]");
    if (argc == 8) {
        fixed.whitening = strtod(argv[6], NULL);
        fixed.regularization = strtod(argv[7], NULL);
    }
    const int n_splits = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 20;
    const double hold_out = argc > 4 ? strtod(argv[4], NULL) : 0.3;
    const int threads = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 0;
    int code = 1;
    if (n_splits < 1 || !(hold_out > 0 && hold_out < 1))
        fail("SPLITS is 1 or more, HOLD_OUT above 0 and below 1");
    else if (!read_people(&p, argv[1], argv[2]))
        fail("the files cannot be read");
    else if (!number_people(&p) || !cut_init(&c, &p))
        fail("out of memory");
    else
        code = run(&p, &c, n_splits, hold_out, threads, argc == 8 ? &fixed : NULL);
    cut_free(&c);
    free(p.rows);
    free(p.label);
    return code;
}
