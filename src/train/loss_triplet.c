// SPDX-License-Identifier: Apache-2.0
//
// Triplet losses (docs/maths/triplet.md). A hinge, Schroff et al. 2015, section 3.1:
//   L = sum over triplets of max(0, |a - p|^2 - |a - n|^2 + margin)
//   dL/da = 2 (n - p),  dL/dp = 2 (p - a),  dL/dn = 2 (a - n)   where the hinge is open
// or its soft form, Hermans et al. 2017, section 2: log(1 + exp(|a - p|^2 - |a - n|^2)), whose gradient is
// the same times 1 / (1 + exp(|a - n|^2 - |a - p|^2)). What a row receives from all its triplets is added up,
// so that it goes back through the network once.
#include "base/error.h"
#include "train/loss_kinds.h"

#include <math.h>
#include <string.h>

static double squared_distance(const float *a, const float *b, int d) {
    double lane[4] = {0};
    int i = 0;
    for (; i + 4 <= d; i += 4)
        for (int k = 0; k < 4; k++) {
            double difference = (double)a[i + k] - (double)b[i + k];
            lane[k] += difference * difference;
        }
    for (; i < d; i++)
        lane[0] += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

void fn_loss_of_triplets(const fn_loss_options *o, const fn_mined *mined, const float *rows, int d,
                         double *gradient, fn_loss_result *out) {
    int soft = o->kind == FN_LOSS_SOFT_TRIPLET, in_order = 0;
    double share = o->mean_reduction && mined->n ? 1.0 / mined->n : 1, sum = 0;
    for (int i = 0; i < mined->n; i++) {
        const fn_triplet *t = &mined->triplets[i];
        size_t at_a = (size_t)t->anchor * (size_t)d, at_p = (size_t)t->positive * (size_t)d;
        size_t at_n = (size_t)t->negative * (size_t)d;
        const float *a = rows + at_a, *p = rows + at_p, *n = rows + at_n;
        double gap = squared_distance(a, p, d) - squared_distance(a, n, d);
        int active = gap + (double)o->margin > 0;
        double loss = soft ? fmax(gap, 0) + log1p(exp(-fabs(gap))) : active ? gap + (double)o->margin : 0;
        double slope = 2 * share * (soft ? 1 / (1 + exp(-gap)) : active ? 1 : 0);
        sum += loss;
        out->n_active += active;
        in_order += gap < 0;
        for (int k = 0; slope > 0 && k < d; k++) {
            double va = (double)a[k], vp = (double)p[k], vn = (double)n[k];
            gradient[at_a + (size_t)k] += slope * (vn - vp);
            gradient[at_p + (size_t)k] += slope * (vp - va);
            gradient[at_n + (size_t)k] += slope * (va - vn);
        }
    }
    out->loss = sum * share;
    out->n_pairs = mined->n_pairs;
    out->n_triplets = mined->n;
    out->accuracy = mined->n ? (double)in_order / mined->n : 0;
}

int fn_loss_run_triplet(fn_loss *loss, const fn_loss_batch *batch, float *d_embeddings, fn_loss_result *out) {
    const fn_loss_options *o = &loss->options;
    fn_mine_options mining = {o->mining, o->margin, NULL};
    fn_rng rng = fn_rng_at(o->seed, FN_STREAM_MINING, (uint32_t)batch->step);
    fn_mined mined;
    size_t size = (size_t)batch->n * (size_t)o->dimension;
    double *gradient = fn_loss_scratch(loss, size);
    if (!gradient)
        return FN_ENOMEM;
    int rc = fn_mine(&mined, batch->embeddings, batch->label, batch->n, o->dimension, &mining, &rng);
    if (rc < 0)
        return rc;
    memset(gradient, 0, size * sizeof *gradient);
    fn_loss_of_triplets(o, &mined, batch->embeddings, o->dimension, gradient, out);
    out->mean_ap = mined.mean_ap;
    out->mean_an = mined.mean_an;
    fn_round_row(d_embeddings, gradient, size);
    fn_mined_free(&mined);
    return FN_OK;
}

double fn_triplet_loss(const float *anchor, const float *positive, const float *negative, int n, int d,
                       double margin, int mean, float *da, float *dp, float *dn) {
    double share = mean && n ? 1.0 / n : 1, sum = 0;
    for (int i = 0; i < n; i++) {
        size_t at = (size_t)i * (size_t)d;
        const float *a = anchor + at, *p = positive + at, *q = negative + at;
        double loss = squared_distance(a, p, d) - squared_distance(a, q, d) + margin;
        double slope = loss > 0 ? 2 * share : 0;
        sum += loss > 0 ? loss : 0;
        for (size_t k = 0; k < (size_t)d; k++) {
            double va = (double)a[k], vp = (double)p[k], vn = (double)q[k];
            if (da)
                da[at + k] = (float)(slope * (vn - vp));
            if (dp)
                dp[at + k] = (float)(slope * (vp - va));
            if (dn)
                dn[at + k] = (float)(slope * (va - vn));
        }
    }
    return sum * share;
}
