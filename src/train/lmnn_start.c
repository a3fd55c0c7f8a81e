// SPDX-License-Identifier: Apache-2.0
//
// Where the learning of a map starts: from vectors as they are, or after the directions in which photographs
// of one person differ have been shrunk (within-class covariance normalisation: Hatch, Kajarekar and Stolcke,
// Interspeech 2006, section 3), and, for fewer numbers, along the directions that then carry most.
#include "base/alloc.h"
#include "base/error.h"
#include "model/projection.h"
#include "train/lmnn.h"

#include <math.h>
#include <string.h>

// Adds w (row - mean) (row - mean)^T.
static void add_outer(double *covariance, const float *row, const double *mean, size_t d, double w) {
    for (size_t a = 0; a < d; a++) {
        const double e = w * ((double)row[a] - mean[a]);
        for (size_t b = 0; b < d; b++)
            covariance[a * d + b] += e * ((double)row[b] - mean[b]);
    }
}

// How vectors (n, d) of one person differ: the mean over those of people who have several, n_p / (n_p - 1)
// fold since the person's mean is estimated. FN_EINVAL when nobody has two.
static int within(double *covariance, double *mean, const float *x, const int *label, size_t n, size_t d) {
    size_t n_used = 0;
    char *is_done = fn_calloc(n, 1);
    if (!is_done)
        return fn_fail_memory();
    for (size_t i = 0; i < n; i++) {
        size_t count = 0;
        if (is_done[i])
            continue;
        memset(mean, 0, d * sizeof *mean);
        for (size_t k = i; k < n; k++) {
            if (label[k] != label[i])
                continue;
            is_done[k] = 1;
            count++;
            for (size_t c = 0; c < d; c++)
                mean[c] += (double)x[k * d + c];
        }
        if (count < 2)
            continue;
        for (size_t c = 0; c < d; c++)
            mean[c] /= (double)count;
        for (size_t k = i; k < n; k++)
            if (label[k] == label[i])
                add_outer(covariance, x + k * d, mean, d, (double)count / (double)(count - 1));
        n_used += count;
    }
    fn_free(is_done);
    for (size_t c = 0; n_used && c < d * d; c++)
        covariance[c] /= (double)n_used;
    return n_used ? FN_OK : fn_fail(FN_EINVAL, "nobody has two vectors: there is nothing to bring together");
}

typedef struct room {
    double *covariance, *u, *sigma, *mean, *whitening; // (d, d), (d, d), (d), (d), (d, d)
} room;

// whitening = sqrt((1 + a) m) (S + a m)^(-1/2), m the mean of S's diagonal: the identity where S has no
// directions.
static int whiten(room *r, const float *x, const int *label, size_t n, int d, double shrinkage) {
    const size_t width = (size_t)d;
    double mean = 0;
    int rc = within(r->covariance, r->mean, x, label, n, width);
    if (rc == FN_OK)
        rc = fn_left_singular(r->u, r->sigma, r->covariance, d, d);
    if (rc < 0)
        return rc;
    for (size_t k = 0; k < width; k++)
        mean += r->sigma[k] / (double)d;
    mean = fmax(mean, 1e-30);
    memset(r->whitening, 0, width * width * sizeof *r->whitening);
    for (size_t k = 0; k < width; k++) {
        const double factor = sqrt((1 + shrinkage) * mean / (r->sigma[k] + shrinkage * mean));
        for (size_t a = 0; a < width; a++)
            for (size_t b = 0; b < width; b++)
                r->whitening[a * width + b] += factor * r->u[a * width + k] * r->u[b * width + k];
    }
    return FN_OK;
}

// The directions along which the vectors differ most after the whitening, as rows, times the whitening.
static int cut(double *L, room *r, const float *x, size_t n, int d, int rank) {
    const size_t width = (size_t)d;
    double *c = r->covariance, *w = r->whitening;
    memset(r->mean, 0, width * sizeof *r->mean);
    memset(c, 0, width * width * sizeof *c);
    for (size_t i = 0; i < n * width; i++)
        r->mean[i % width] += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        add_outer(c, x + i * width, r->mean, width, 1 / (double)n);
    // W C W^T, by way of u = W C.
    for (int pass = 0; pass < 2; pass++) {
        const double *from = pass ? r->u : c;
        double *to = pass ? c : r->u;
        for (size_t a = 0; a < width; a++)
            for (size_t b = 0; b < width; b++) {
                double sum = 0;
                for (size_t k = 0; k < width; k++)
                    sum += pass ? from[a * width + k] * w[b * width + k]
                                : w[a * width + k] * from[k * width + b];
                to[a * width + b] = sum;
            }
    }
    int rc = fn_left_singular(r->u, r->sigma, c, d, d);
    for (size_t i = 0; rc == FN_OK && i < (size_t)rank; i++)
        for (size_t k = 0; k < width; k++) {
            double sum = 0;
            for (size_t a = 0; a < width; a++)
                sum += r->u[a * width + i] * w[a * width + k];
            L[i * width + k] = sum;
        }
    return rc;
}

int fn_lmnn_start(double *L, const float *x, const int *label, size_t n, int d,
                  const fn_lmnn_options *options) {
    const size_t width = (size_t)d, square = width * width;
    room r = {fn_calloc(square, sizeof(double)), fn_calloc(square, sizeof(double)),
              fn_calloc(width, sizeof(double)), fn_calloc(width, sizeof(double)),
              fn_calloc(square, sizeof(double))};
    int rc = r.covariance && r.u && r.sigma && r.mean && r.whitening ? FN_OK : fn_fail_memory();
    for (size_t k = 0; rc == FN_OK && k < width; k++)
        r.whitening[k * width + k] = 1;
    if (rc == FN_OK && options->whitening > 0)
        rc = whiten(&r, x, label, n, d, options->whitening);
    if (rc == FN_OK && options->rank == d)
        memcpy(L, r.whitening, square * sizeof *L);
    else if (rc == FN_OK)
        rc = cut(L, &r, x, n, d, options->rank);
    fn_free(r.covariance);
    fn_free(r.u);
    fn_free(r.sigma);
    fn_free(r.mean);
    fn_free(r.whitening);
    return rc;
}
