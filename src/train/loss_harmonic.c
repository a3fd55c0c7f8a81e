// SPDX-License-Identifier: Apache-2.0
//
// Harmonic triplets (Schroff et al. 2015, appendix "Harmonic embedding"): a new network learns embeddings
// that can be compared with those an older network gave, so that what is stored need not be computed again.
// Each image of the batch stands twice in one common batch, with its new and with its old embedding, and
// triplets are mined there: anchor, positive and negative may each be new or old, an image's old embedding is
// a positive of its new one, and negatives come from both. Only the new ones move; triplets of old ones alone
// are not made.
#include "base/alloc.h"
#include "base/error.h"
#include "train/loss_kinds.h"

#include <string.h>

typedef struct pool {
    float *rows;          // (2 n, d): new and old embedding of an image by turns
    int *label;           // (2 n)
    unsigned char *fixed; // (2 n): 1 for old ones
} pool;

static void pool_free(pool *p) {
    fn_free(p->rows);
    fn_free(p->label);
    fn_free(p->fixed);
}

static int pool_init(pool *p, const fn_loss_batch *batch, int d) {
    size_t n = (size_t)batch->n, width = (size_t)d;
    p->rows = fn_calloc(2 * n * width, sizeof *p->rows);
    p->label = fn_calloc(2 * n, sizeof *p->label);
    p->fixed = fn_calloc(2 * n, sizeof *p->fixed);
    if (!p->rows || !p->label || !p->fixed) {
        pool_free(p);
        return fn_fail_memory();
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(p->rows + 2 * i * width, batch->embeddings + i * width, width * sizeof *p->rows);
        memcpy(p->rows + (2 * i + 1) * width, batch->teacher + i * width, width * sizeof *p->rows);
        p->label[2 * i] = p->label[2 * i + 1] = batch->label[i];
        p->fixed[2 * i + 1] = 1;
    }
    return FN_OK;
}

int fn_loss_run_harmonic(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings,
                         fn_loss_result *out) {
    const fn_loss_options *o = &loss->options;
    size_t n = (size_t)batch->n, d = (size_t)o->dimension;
    pool both = {0};
    fn_mined mined = {0};
    fn_rng rng = fn_rng_at(o->seed, FN_STREAM_MINING, (uint32_t)batch->step);
    double *gradient = fn_loss_scratch(loss, 2 * n * d);
    int rc = gradient ? pool_init(&both, batch, o->dimension) : FN_ENOMEM;
    if (rc < 0)
        return rc;
    fn_mine_options mining = {o->mining, o->margin, both.fixed};
    rc = fn_mine(&mined, both.rows, both.label, 2 * batch->n, o->dimension, &mining, &rng);
    if (rc == FN_OK) {
        memset(gradient, 0, 2 * n * d * sizeof *gradient);
        fn_loss_of_triplets(o, &mined, both.rows, o->dimension, gradient, out);
        for (size_t i = 0; i < n; i++)
            fn_round_row(d_embeddings + i * d, gradient + 2 * i * d, d);
    }
    fn_mined_free(&mined);
    pool_free(&both);
    return rc;
}
