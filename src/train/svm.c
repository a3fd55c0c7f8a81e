// SPDX-License-Identifier: Apache-2.0
//
// Training by libsvm (Chang and Lin 2011). It prints its progress unless told otherwise, and it is told once.
#include "train/svm.h"

#include "base/alloc.h"
#include "base/error.h"

#include <libsvm/svm.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void say_nothing(const char *text) {
    (void)text;
}

static void silence(void) {
    svm_set_print_string_function(say_nothing);
}

// libsvm's problem: each row as pairs of index (from 1) and value, index -1 at its end.
typedef struct problem {
    struct svm_problem svm;
    struct svm_node *nodes;
} problem;

static void problem_free(problem *p) {
    fn_free(p->svm.x);
    fn_free(p->svm.y);
    fn_free(p->nodes);
}

static int problem_open(problem *p, const float *rows, const int *labels, int n, int dimension) {
    const size_t width = (size_t)dimension + 1;
    size_t n_nodes;
    *p = (problem){.svm.l = n};
    p->svm.x = fn_calloc((size_t)n, sizeof *p->svm.x);
    p->svm.y = fn_calloc((size_t)n, sizeof *p->svm.y);
    if (fn_size_mul(&n_nodes, (size_t)n, width))
        p->nodes = fn_calloc(n_nodes, sizeof *p->nodes);
    if (!p->svm.x || !p->svm.y || !p->nodes) {
        problem_free(p);
        return fn_fail_memory();
    }
    for (int i = 0; i < n; i++) {
        struct svm_node *to = p->nodes + (size_t)i * width;
        for (int k = 0; k < dimension; k++)
            to[k] = (struct svm_node){k + 1, (double)rows[(size_t)i * (size_t)dimension + (size_t)k]};
        to[dimension].index = -1;
        p->svm.x[i] = to;
        p->svm.y[i] = labels[i];
    }
    return FN_OK;
}

static int copy(fn_svm *out, const struct svm_model *model, const float *rows, int dimension) {
    const size_t k = (size_t)model->nr_class, l = (size_t)model->l, d = (size_t)dimension,
                 pairs = k * (k - 1) / 2;
    *out = (fn_svm){.n_classes = (int)k, .dimension = dimension, .n_vectors = (int)l, .slope = 1};
    out->n_of = fn_calloc(k, sizeof *out->n_of);
    out->vectors = fn_calloc(l * d, sizeof *out->vectors);
    out->coefficients = fn_calloc((k - 1) * l, sizeof *out->coefficients);
    out->rho = fn_calloc(pairs, sizeof *out->rho);
    if (!out->n_of || !out->vectors || !out->coefficients || !out->rho) {
        fn_svm_free(out);
        return fn_fail_memory();
    }
    memcpy(out->n_of, model->nSV, k * sizeof *out->n_of);
    memcpy(out->rho, model->rho, pairs * sizeof *out->rho);
    for (size_t c = 0; c + 1 < k; c++)
        memcpy(out->coefficients + c * l, model->sv_coef[c], l * sizeof(double));
    for (size_t v = 0; v < l; v++)
        memcpy(out->vectors + v * d, rows + (size_t)(model->sv_indices[v] - 1) * d, d * sizeof(float));
    return FN_OK;
}

int fn_svm_fit(fn_svm *out, const float *rows, const int *labels, int n, int n_classes, int dimension,
               double c) {
    *out = (fn_svm){0};
    pthread_once(&once, silence);
    problem p;
    int rc = problem_open(&p, rows, labels, n, dimension);
    if (rc < 0)
        return rc;
    const struct svm_parameter parameter = {
        .svm_type = C_SVC, .kernel_type = LINEAR, .cache_size = 100, .eps = 1e-3, .C = c, .shrinking = 1};
    // Classes come out in the order in which their labels first appear, which is theirs: rows are sorted.
    struct svm_model *model = svm_train(&p.svm, &parameter);
    if (!model || model->nr_class != n_classes)
        rc = fn_fail(FN_EINTERNAL, "libsvm made %d classes of %d", model ? model->nr_class : 0, n_classes);
    else
        rc = copy(out, model, rows, dimension);
    if (model)
        svm_free_and_destroy_model(&model);
    problem_free(&p);
    return rc;
}

void fn_svm_free(fn_svm *svm) {
    fn_free(svm->n_of);
    fn_free(svm->vectors);
    fn_free(svm->coefficients);
    fn_free(svm->rho);
    *svm = (fn_svm){0};
}
