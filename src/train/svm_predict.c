// SPDX-License-Identifier: Apache-2.0
//
// What the machines say of a row, and one probability per class from those of the pairs.
#include "train/svm.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

void fn_svm_values(const fn_svm *svm, const float *row, double *values, double *products) {
    const int k = svm->n_classes, d = svm->dimension;
    const size_t l = (size_t)svm->n_vectors;
    for (size_t v = 0; v < l; v++) {
        const float *vector = svm->vectors + v * (size_t)d;
        double sum = 0;
        for (int i = 0; i < d; i++)
            sum += (double)vector[i] * row[i];
        products[v] = sum;
    }
    size_t pair = 0, begin_i = 0;
    for (int i = 0; i < k; i++) {
        size_t begin_j = begin_i + (size_t)svm->n_of[i];
        for (int j = i + 1; j < k; j++, pair++) {
            const double *of_i = svm->coefficients + (size_t)(j - 1) * l;
            const double *of_j = svm->coefficients + (size_t)i * l;
            double sum = -svm->rho[pair];
            for (size_t v = begin_i; v < begin_i + (size_t)svm->n_of[i]; v++)
                sum += of_i[v] * products[v];
            for (size_t v = begin_j; v < begin_j + (size_t)svm->n_of[j]; v++)
                sum += of_j[v] * products[v];
            values[pair] = sum;
            begin_j += (size_t)svm->n_of[j];
        }
        begin_i += (size_t)svm->n_of[i];
    }
}

// Wu, Lin and Weng 2004, section 4.2, algorithm 2: the p that minimises the sum over pairs of
// (r_ji p_i - r_ij p_j)^2. q (k, k) is the matrix of that form.
static void couple(const double *q, double *p, double *qp, int k) {
    const double tolerance = 0.005 / k;
    for (int i = 0; i < k; i++)
        p[i] = 1.0 / k;
    for (int step = 0; step < (k > 100 ? k : 100); step++) {
        double pqp = 0, worst = 0;
        for (int i = 0; i < k; i++) {
            qp[i] = 0;
            for (int j = 0; j < k; j++)
                qp[i] += q[(size_t)i * (size_t)k + (size_t)j] * p[j];
            pqp += p[i] * qp[i];
        }
        for (int i = 0; i < k; i++)
            worst = fmax(worst, fabs(qp[i] - pqp));
        if (worst < tolerance)
            break;
        for (int i = 0; i < k; i++) {
            const double *row = q + (size_t)i * (size_t)k;
            double change = (pqp - qp[i]) / row[i];
            p[i] += change;
            pqp = (pqp + change * (change * row[i] + 2 * qp[i])) / (1 + change) / (1 + change);
            for (int j = 0; j < k; j++) {
                qp[j] = (qp[j] + change * row[j]) / (1 + change);
                p[j] /= 1 + change;
            }
        }
    }
}

int fn_svm_probabilities(const fn_svm *svm, const float *row, double *dst) {
    const size_t k = (size_t)svm->n_classes;
    double *values = fn_calloc(k * (k - 1) / 2, sizeof *values);
    double *work = fn_calloc((size_t)svm->n_vectors + k, sizeof *work);
    double *q = fn_calloc(k * k, sizeof *q);
    int rc = values && work && q ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        fn_svm_values(svm, row, values, work + k);
        size_t pair = 0;
        for (size_t i = 0; i < k; i++)
            for (size_t j = i + 1; j < k; j++, pair++) {
                // No pair is ever quite certain: a zero would silence all others.
                double r = 1 / (1 + exp(-svm->slope * values[pair]));
                r = fmin(fmax(r, 1e-7), 1 - 1e-7);
                q[i * k + i] += (1 - r) * (1 - r);
                q[j * k + j] += r * r;
                q[i * k + j] = q[j * k + i] = -r * (1 - r);
            }
        couple(q, dst, work, (int)k);
    }
    fn_free(values);
    fn_free(work);
    fn_free(q);
    return rc;
}
