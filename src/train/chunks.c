// SPDX-License-Identifier: Apache-2.0
//
// Parts of a batch are as equal as can be: a rest of one or two rows would have batch statistics of its own
// that mean nothing.
#include "train/chunks.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/share.h"

#include <math.h>
#include <string.h>

struct fn_chunks {
    fn_training *training;
    int n_max, chunk, d;
    int n_largest; // rows of the largest share of the batch
    size_t item;
    float *unit;    // (n_max, d) of the last forward pass
    double *length; // (n_max) of the network's rows
    float *rows;    // (n_max, d) the network's rows, then their gradients
};

int fn_chunks_open(fn_chunks **out, fn_training *training, int n_max, int chunk, size_t item) {
    fn_chunks *c = *out = fn_calloc(1, sizeof *c);
    if (!c)
        return fn_fail_memory();
    *c = (fn_chunks){.training = training, .n_max = n_max, .chunk = chunk > 0 ? chunk : n_max, .item = item};
    c->d = fn_training_dimension(training);
    c->unit = fn_calloc((size_t)n_max * (size_t)c->d, sizeof *c->unit);
    c->rows = fn_calloc((size_t)n_max * (size_t)c->d, sizeof *c->rows);
    c->length = fn_calloc((size_t)n_max, sizeof *c->length);
    if (c->unit && c->rows && c->length)
        return FN_OK;
    fn_chunks_free(c);
    *out = NULL;
    return fn_fail_memory();
}

void fn_chunks_free(fn_chunks *chunks) {
    if (!chunks)
        return;
    fn_free(chunks->unit);
    fn_free(chunks->rows);
    fn_free(chunks->length);
    fn_free(chunks);
}

// Processes whose norms wait for each other pass equally many parts.
static int n_parts(const fn_chunks *c) {
    return (c->n_largest + c->chunk - 1) / c->chunk;
}

// Rows to unit length. A graph that ends with a normalisation has them so already; one that was imported
// need not.
static void to_unit(fn_chunks *c, int n, float *unit) {
    for (int i = 0; i < n; i++) {
        const float *row = c->rows + (size_t)i * (size_t)c->d;
        double squares = 0;
        for (int k = 0; k < c->d; k++)
            squares += (double)row[k] * (double)row[k];
        c->length[i] = fmax(sqrt(squares), 1e-12);
        for (int k = 0; k < c->d; k++)
            unit[(size_t)i * (size_t)c->d + (size_t)k] = (float)((double)row[k] / c->length[i]);
    }
    memcpy(c->unit, unit, (size_t)n * (size_t)c->d * sizeof *unit);
}

// The gradient by the network's rows x, with u = x / |x|: (du - u (u . du)) / |x|.
static void from_unit(fn_chunks *c, int n, const float *d_unit) {
    for (int i = 0; i < n; i++) {
        const float *u = c->unit + (size_t)i * (size_t)c->d, *du = d_unit + (size_t)i * (size_t)c->d;
        float *dx = c->rows + (size_t)i * (size_t)c->d;
        double along = 0;
        for (int k = 0; k < c->d; k++)
            along += (double)u[k] * (double)du[k];
        for (int k = 0; k < c->d; k++)
            dx[k] = (float)(((double)du[k] - along * (double)u[k]) / c->length[i]);
    }
}

int fn_chunks_forward(fn_chunks *chunks, const fn_pass *pass, const float *pixels, int n, int n_largest,
                      float *unit) {
    chunks->n_largest = n_largest > n ? n_largest : n;
    if (n < n_parts(chunks) || n < 1 || n > chunks->n_max)
        return fn_fail(FN_EINVAL, "a batch of %d images in %d parts, prepared for up to %d", n,
                       n_parts(chunks), chunks->n_max);
    const int parts = n_parts(chunks);
    fn_pass part = *pass;
    if (parts > 1)
        part.momentum = 0; // they move in the second pass
    int rc = FN_OK;
    for (int k = 0; k < parts && rc == FN_OK; k++) {
        const int start = fn_share_start(n, parts, k), end = fn_share_start(n, parts, k + 1);
        part.first_row = pass->first_row + start;
        rc = fn_training_forward(chunks->training, &part, pixels + (size_t)start * chunks->item, end - start,
                                 chunks->rows + (size_t)start * (size_t)chunks->d);
    }
    if (rc == FN_OK)
        to_unit(chunks, n, unit);
    return rc;
}

int fn_chunks_backward(fn_chunks *chunks, const fn_pass *pass, const float *pixels, int n,
                       const float *d_unit) {
    const int parts = n_parts(chunks);
    fn_pass part = *pass;
    int rc = FN_OK;
    from_unit(chunks, n, d_unit);
    // Where the network's rows go the second time: the place of the unit rows, which nobody needs any more.
    for (int k = 0; k < parts && rc == FN_OK; k++) {
        const int start = fn_share_start(n, parts, k), end = fn_share_start(n, parts, k + 1);
        const size_t row = (size_t)start * (size_t)chunks->d;
        part.first_row = pass->first_row + start;
        if (k < parts - 1)
            part.ready = NULL; // gradients are complete with the last part only
        else
            part.ready = pass->ready;
        if (parts > 1)
            rc = fn_training_forward(chunks->training, &part, pixels + (size_t)start * chunks->item,
                                     end - start, chunks->unit + row);
        if (rc == FN_OK)
            rc = fn_training_backward(chunks->training, &part, chunks->rows + row, end - start, NULL);
    }
    return rc;
}
