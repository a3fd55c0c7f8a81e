// SPDX-License-Identifier: Apache-2.0
//
// Training and asking a classifier.
#include "train/classifier.h"

#include "base/alloc.h"
#include "base/error.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_K = 1000 };

// ---- training --------------------------------------------------------------------------------

// Rows are put in order by name, and by their numbers within a name, so that their order does not matter.
typedef struct item {
    const char *name;
    const float *row;
    size_t dimension;
} item;

static int by_name_and_row(const void *pa, const void *pb) {
    const item *a = pa, *b = pb;
    int order = strcmp(a->name, b->name);
    for (size_t i = 0; i < a->dimension && !order; i++)
        order = (a->row[i] > b->row[i]) - (a->row[i] < b->row[i]);
    return order;
}

static int check(const float *embeddings, size_t n, int dimension, const fn_classifier_options *o) {
    if (o->version != FN_CLASSIFIER_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "options of version %d, expected %d", o->version,
                       FN_CLASSIFIER_OPTIONS_VERSION);
    if (o->kind != FN_CLASSIFIER_SVM && o->kind != FN_CLASSIFIER_KNN)
        return fn_fail(FN_EINVAL, "there is no classifier number %d", (int)o->kind);
    if (!(o->c > 0 && isfinite(o->c)))
        return fn_fail(FN_EINVAL, "C is %g, expected a number above 0", o->c);
    if (o->k < 1 || o->k > MAX_K)
        return fn_fail(FN_EINVAL, "k is %d, expected 1 to %d", o->k, MAX_K);
    if (!(o->max_distance >= 0 && isfinite(o->max_distance)))
        return fn_fail(FN_EINVAL, "the largest distance is %g, expected a number from 0", o->max_distance);
    if (n == 0 || n > INT_MAX || dimension < 1)
        return fn_fail(FN_EINVAL, "%zu embeddings of %d numbers: nothing to learn from", n, dimension);
    for (size_t i = 0; i < n * (size_t)dimension; i++)
        if (!isfinite(embeddings[i]))
            return fn_fail(FN_EINVAL, "embedding %zu holds a number that is not finite",
                           i / (size_t)dimension);
    return FN_OK;
}

static int take_rows(fn_classifier *c, const float *embeddings, const char *const *names, size_t n) {
    const size_t d = (size_t)c->dimension;
    item *items = fn_calloc(n, sizeof *items);
    c->rows = fn_calloc(n * d, sizeof *c->rows);
    c->labels = fn_calloc(n, sizeof *c->labels);
    c->names = fn_calloc(n, sizeof *c->names);
    int rc = items && c->rows && c->labels && c->names ? FN_OK : fn_fail_memory();
    for (size_t i = 0; i < n && rc == FN_OK; i++)
        items[i] = (item){names[i], embeddings + i * d, d};
    if (rc == FN_OK)
        qsort(items, n, sizeof *items, by_name_and_row);
    for (size_t i = 0; i < n && rc == FN_OK; i++) {
        if (i == 0 || strcmp(items[i].name, items[i - 1].name) != 0) {
            c->names[c->n_people] = fn_strdup(items[i].name);
            if (!c->names[c->n_people++])
                rc = fn_fail_memory();
        }
        memcpy(c->rows + i * d, items[i].row, d * sizeof(float));
        c->labels[i] = c->n_people - 1;
    }
    c->n_rows = (int)n;
    fn_free(items);
    return rc;
}

static int train_svm(fn_classifier *c, const fn_classifier_options *o, const fn_control *control) {
    int n_single = 0, first_single = -1;
    for (int i = 0; i < c->n_rows; i++) {
        int is_first = i == 0 || c->labels[i - 1] != c->labels[i];
        int is_last = i + 1 == c->n_rows || c->labels[i + 1] != c->labels[i];
        if (is_first && is_last && !n_single++)
            first_single = c->labels[i];
    }
    if (c->n_people < 2)
        return fn_fail(FN_EINVAL,
                       "there is only \"%s\": a classifier tells people from each other and needs two",
                       c->names[0]);
    if (n_single == c->n_people)
        return fn_fail(FN_EINVAL,
                       "nobody has two photographs, so no probability can be measured: add photographs, or "
                       "choose knn with k = 1");
    if (n_single)
        fn_control_log(
            control, FN_LOG_WARNING,
            "%d of %d people have a single photograph (\"%s\" is one): they are found less often, and "
            "their probability is guessed from the others",
            n_single, c->n_people, c->names[first_single]);
    int rc = fn_svm_fit(&c->svm, c->rows, c->labels, c->n_rows, c->n_people, c->dimension, o->c);
    if (rc == FN_OK)
        rc = fn_svm_calibrate(&c->svm, c->rows, c->labels, c->n_rows, o->c, o->seed, control);
    fn_free(c->rows);
    fn_free(c->labels);
    c->rows = NULL;
    c->labels = NULL;
    c->n_rows = 0;
    return rc;
}

int fn_classifier_train(fn_classifier **out, const float *embeddings, const char *const *names, size_t n,
                        int dimension, const char *fingerprint, const fn_classifier_options *options,
                        const fn_control *control) {
    const fn_classifier_options defaults = FN_CLASSIFIER_OPTIONS_INIT;
    const fn_classifier_options *o = options ? options : &defaults;
    *out = NULL;
    int rc = check(embeddings, n, dimension, o);
    if (rc < 0)
        return rc;
    fn_classifier *c = fn_calloc(1, sizeof *c);
    if (!c)
        return fn_fail_memory();
    c->kind = o->kind;
    c->dimension = dimension;
    c->k = o->k;
    c->max_distance = o->max_distance;
    c->fingerprint = fn_strdup(fingerprint ? fingerprint : "");
    rc = c->fingerprint ? take_rows(c, embeddings, names, n) : fn_fail_memory();
    if (rc == FN_OK && o->kind == FN_CLASSIFIER_SVM)
        rc = train_svm(c, o, control);
    if (rc < 0)
        fn_classifier_free(c);
    else
        *out = c;
    return rc;
}

void fn_classifier_free(fn_classifier *c) {
    if (!c)
        return;
    for (int i = 0; i < c->n_people; i++)
        fn_free(c->names[i]);
    fn_free(c->names);
    fn_free(c->fingerprint);
    fn_svm_free(&c->svm);
    fn_free(c->rows);
    fn_free(c->labels);
    fn_free(c);
}

// ---- asking ----------------------------------------------------------------------------------

typedef struct neighbour {
    double d2;
    int label;
} neighbour;

// The k nearest vote, each with 1 / d2, so that an equal embedding decides alone; a vote from too far away
// goes to nobody. dst (n_people): shares of all votes.
static int vote(const fn_classifier *c, const float *embedding, double *dst) {
    const int k = c->k < c->n_rows ? c->k : c->n_rows, d = c->dimension;
    neighbour *nearest = fn_calloc((size_t)k, sizeof *nearest);
    if (!nearest)
        return fn_fail_memory();
    int n = 0;
    for (int i = 0; i < c->n_rows; i++) {
        const float *row = c->rows + (size_t)i * (size_t)d;
        double d2 = 0;
        for (int x = 0; x < d; x++)
            d2 += ((double)row[x] - embedding[x]) * ((double)row[x] - embedding[x]);
        int at = n < k ? n++ : k;
        while (at > 0 && nearest[at - 1].d2 > d2) {
            if (at < k)
                nearest[at] = nearest[at - 1];
            at--;
        }
        if (at < k)
            nearest[at] = (neighbour){d2, c->labels[i]};
    }
    double all = 0;
    memset(dst, 0, (size_t)c->n_people * sizeof *dst);
    for (int i = 0; i < n; i++) {
        double weight = 1 / (nearest[i].d2 + 1e-9);
        int is_near = c->max_distance <= 0 || nearest[i].d2 <= c->max_distance * c->max_distance;
        dst[nearest[i].label] += is_near ? weight : 0;
        all += weight;
    }
    for (int p = 0; p < c->n_people; p++)
        dst[p] /= all;
    fn_free(nearest);
    return FN_OK;
}

static void choose(fn_prediction *out, const double *share, int n) {
    *out = (fn_prediction){.person = -1, .runner_up = -1};
    for (int p = 0; p < n; p++) {
        if (share[p] > out->probability) {
            out->runner_up = out->person;
            out->runner_up_probability = out->probability;
            out->person = p;
            out->probability = share[p];
        } else if (share[p] > out->runner_up_probability) {
            out->runner_up = p;
            out->runner_up_probability = share[p];
        }
    }
}

int fn_classifier_predict(const fn_classifier *c, const float *embedding, int dimension,
                          const char *fingerprint, double min_probability, fn_prediction *out) {
    *out = (fn_prediction){.person = -1, .runner_up = -1};
    if (strcmp(c->fingerprint, fingerprint ? fingerprint : "") != 0)
        return fn_fail(FN_ECONFLICT,
                       "the classifier was trained on embeddings of another model: use that model, "
                       "or train again");
    if (c->dimension != dimension)
        return fn_fail(FN_ECONFLICT, "the classifier takes embeddings of %d numbers, not %d", c->dimension,
                       dimension);
    for (int i = 0; i < c->dimension; i++)
        if (!isfinite(embedding[i]))
            return fn_fail(FN_EINVAL, "the embedding holds a number that is not finite");
    double *share = fn_calloc((size_t)c->n_people, sizeof *share);
    if (!share)
        return fn_fail_memory();
    int rc = c->kind == FN_CLASSIFIER_SVM ? fn_svm_probabilities(&c->svm, embedding, share)
                                          : vote(c, embedding, share);
    if (rc == FN_OK) {
        choose(out, share, c->n_people);
        out->is_known = out->person >= 0 && out->probability >= min_probability &&
                        strcmp(c->names[out->person], "unknown") != 0;
    }
    fn_free(share);
    return rc;
}

fn_classifier_kind fn_classifier_get_kind(const fn_classifier *classifier) {
    return classifier->kind;
}

int fn_classifier_len(const fn_classifier *classifier) {
    return classifier->n_people;
}

const char *fn_classifier_name(const fn_classifier *classifier, int person) {
    return person >= 0 && person < classifier->n_people ? classifier->names[person] : "";
}

int fn_classifier_dimension(const fn_classifier *classifier) {
    return classifier->dimension;
}

const char *fn_classifier_fingerprint(const fn_classifier *classifier) {
    return classifier->fingerprint;
}
