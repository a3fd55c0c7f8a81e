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
    double fmr, shown; // shown: not below what each of the calibrations can show
    float threshold;
} judged;

/// By the chance of being somebody else. Of distances too small for the calibrations to tell apart, by how
/// far below its threshold each is.
static int is_nearer(const judged *a, const judged *b) {
    if (a->shown != b->shown)
        return a->shown < b->shown;
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

static const fn_calibration *calibration_of(const fn_index *index, int maker, const fn_calibration *own) {
    return maker ? index->makers[maker].calibration : own;
}

/// The least FMR that all calibrations can show. FN_EMODEL: one of them is missing.
static int find_least(double *least, const fn_index *index, const fn_calibration *own) {
    *least = 0;
    for (int maker = 0; maker < index->n_makers; maker++) {
        const fn_calibration *calibration = calibration_of(index, maker, own);
        if (index->n_made[maker] == 0 && (maker || index->n))
            continue;
        if (!calibration && maker == 0)
            return fn_fail(FN_EMODEL, "the model has no calibration, so its distances mean nothing yet: "
                                      "calibrate it or choose a model that is calibrated");
        if (!calibration)
            return fn_fail(FN_EMODEL,
                           "the model has no calibration against %s, whose embeddings are among those that "
                           "are searched; run: facenet eval calibrate --against",
                           index->makers[maker].name);
        *least = fmax(*least, fn_calibration_fmr(calibration, 0));
    }
    return FN_OK;
}

/// The two nearest people, counting those among the vectors of one maker.
static int ask_maker(judged nearest[2], size_t *n, const fn_index *index, const float *vector, int maker,
                     const fn_calibration *calibration, double fmr, double least) {
    fn_candidate found[2];
    size_t n_found = 0;
    float threshold;
    int rc = fn_calibration_threshold(&threshold, calibration, fmr);
    if (rc == FN_OK)
        rc = fn_index_search_made(found, &n_found, index, vector, maker, 2);
    for (size_t i = 0; rc == FN_OK && i < n_found; i++) {
        const double found_fmr = fn_calibration_fmr(calibration, found[i].distance);
        consider(nearest, n, &(judged){found[i], found_fmr, fmax(found_fmr, least), threshold});
    }
    return rc;
}

int fn_decide(fn_match *out, const fn_index *index, const float *vector, const char *fingerprint,
              const fn_calibration *calibration, double fmr) {
    memset(out, 0, sizeof *out);
    out->fmr = NAN;
    judged nearest[2];
    size_t n = 0;
    double least;
    int rc = find_least(&least, index, calibration);
    if (rc == FN_OK)
        rc = fn_index_search(&out->best, &n, index, vector, fingerprint, 0); // whether it may be asked at all
    fmr = fmr == 0 ? DEFAULT_FMR : fmr;
    if (rc == FN_OK && calibration)
        rc = fn_calibration_threshold(&out->threshold, calibration, fmr);
    for (int maker = 0; rc == FN_OK && maker < index->n_makers; maker++)
        if (index->n_made[maker])
            rc = ask_maker(nearest, &n, index, vector, maker, calibration_of(index, maker, calibration), fmr,
                           least);
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
    if (n > 1 && out->runner_up.distance <= nearest[1].threshold && nearest[0].shown * 10 > nearest[1].shown)
        out->decision = FN_DECISION_AMBIGUOUS;
    return FN_OK;
}
