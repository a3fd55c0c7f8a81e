// SPDX-License-Identifier: Apache-2.0
//
// Who is it, at a stated false-match rate: known, unknown, or two people who cannot be told apart.
#include <facenet/match.h>

#include "base/error.h"

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

int fn_decide(fn_match *out, const fn_index *index, const float *vector, const char *fingerprint,
              const fn_calibration *calibration, double fmr) {
    memset(out, 0, sizeof *out);
    out->fmr = NAN;
    if (!calibration)
        return fn_fail(FN_EMODEL, "the model has no calibration, so its distances mean nothing yet: "
                                  "calibrate it or choose a model that is calibrated");
    int rc = fn_calibration_threshold(&out->threshold, calibration, fmr == 0 ? DEFAULT_FMR : fmr);
    if (rc != FN_OK)
        return rc;
    fn_candidate nearest[2];
    rc = fn_index_search(nearest, &out->n_candidates, index, vector, fingerprint, 2);
    if (rc != FN_OK || out->n_candidates == 0)
        return rc;
    out->best = nearest[0];
    out->fmr = fn_calibration_fmr(calibration, nearest[0].distance);
    if (out->n_candidates > 1)
        out->runner_up = nearest[1];
    if (nearest[0].distance > out->threshold)
        return FN_OK;
    out->decision = FN_DECISION_KNOWN;
    if (out->n_candidates > 1 && nearest[1].distance <= out->threshold &&
        out->fmr * 10 > fn_calibration_fmr(calibration, nearest[1].distance))
        out->decision = FN_DECISION_AMBIGUOUS;
    return FN_OK;
}
