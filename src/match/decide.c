// SPDX-License-Identifier: Apache-2.0
//
// Who is it, at a stated false-match rate: known, unknown, or two people who cannot be told apart.
#include "base/error.h"
#include "match/index.h"

#include <math.h>
#include <string.h>

static const double DEFAULT_FMR = 1e-4;

const char *fn_decision_name(fn_decision decision) {
    switch (decision) {
    case FN_DECISION_UNKNOWN:
        return "unknown";
    case FN_DECISION_KNOWN:
        return "known";
    case FN_DECISION_AMBIGUOUS:
        return "ambiguous";
    }
    return "?";
}

/// A person's nearest vector of one maker, and what its distance means there.
typedef struct judged {
    fn_candidate candidate;
    double fmr;
    float threshold;
} judged;

/// By the chance of being somebody else. Of distances too small for the calibrations to tell apart, by how
/// far below its threshold each is.
static int is_nearer(const judged *a, const judged *b) {
    if (a->fmr != b->fmr)
        return a->fmr < b->fmr;
    return a->candidate.distance / a->threshold < b->candidate.distance / b->threshold;
}

static int is_same(const judged *a, const judged *b) {
    return memcmp(a->candidate.person.bytes, b->candidate.person.bytes, FN_ID_SIZE) == 0;
}

/// Keeps the two nearest people in order.
static void consider(judged nearest[2], size_t *n, const judged *next) {
    if (*n && is_same(next, &nearest[0])) {
        if (is_nearer(next, &nearest[0]))
            nearest[0] = *next;
    } else if (*n == 0 || is_nearer(next, &nearest[0])) {
        if (*n)
            nearest[1] = nearest[0];
        *n += *n < 2;
        nearest[0] = *next;
    } else if (*n == 1 || is_nearer(next, &nearest[1])) {
        nearest[1] = *next;
        *n = 2;
    }
}

/// The two nearest people among the vectors of one maker.
static int ask_maker(judged nearest[2], size_t *n, const fn_index *index, const float *vector, int maker,
                     const fn_calibration *calibration, double fmr) {
    fn_candidate found[2];
    size_t n_found;
    float threshold;
    if (!calibration && maker == 0)
        return fn_fail(FN_EMODEL, "the model has no calibration, so its distances mean nothing yet: "
                                  "calibrate it or choose a model that is calibrated");
    if (!calibration)
        return fn_fail(FN_EMODEL,
                       "the model has no calibration against %s, whose embeddings are among those that are "
                       "searched; run: facenet eval calibrate --against",
                       index->makers[maker].name);
    int rc = fn_calibration_threshold(&threshold, calibration, fmr);
    if (rc == FN_OK)
        rc = fn_index_search_made(found, &n_found, index, vector, maker, 2);
    for (size_t i = 0; rc == FN_OK && i < n_found; i++)
        consider(nearest, n,
                 &(judged){found[i], fn_calibration_fmr(calibration, found[i].distance), threshold});
    return rc;
}

int fn_decide(fn_match *out, const fn_index *index, const float *vector, const char *fingerprint,
              const fn_calibration *calibration, double fmr) {
    memset(out, 0, sizeof *out);
    out->fmr = NAN;
    if (!calibration && fn_index_len(index) == 0)
        return fn_fail(FN_EMODEL, "the model has no calibration, so its distances mean nothing yet: "
                                  "calibrate it or choose a model that is calibrated");
    judged nearest[2];
    size_t n = 0;
    int rc = fn_index_search(&out->best, &n, index, vector, fingerprint, 0); // whether it may be asked at all
    fmr = fmr == 0 ? DEFAULT_FMR : fmr;
    if (rc == FN_OK && calibration)
        rc = fn_calibration_threshold(&out->threshold, calibration, fmr);
    for (int maker = 0; rc == FN_OK && maker < index->n_makers; maker++)
        if (index->n_made[maker])
            rc = ask_maker(nearest, &n, index, vector, maker,
                           maker ? index->makers[maker].calibration : calibration, fmr);
    out->n_candidates = rc == FN_OK ? n : 0;
    if (rc != FN_OK || n == 0)
        return rc;
    out->best = nearest[0].candidate;
    out->fmr = nearest[0].fmr;
    out->threshold = nearest[0].threshold;
    if (n > 1)
        out->runner_up = nearest[1].candidate;
    if (out->best.distance > out->threshold)
        return FN_OK;
    out->decision = FN_DECISION_KNOWN;
    if (n > 1 && out->runner_up.distance <= nearest[1].threshold && out->fmr * 10 > nearest[1].fmr)
        out->decision = FN_DECISION_AMBIGUOUS;
    return FN_OK;
}
