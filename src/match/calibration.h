// SPDX-License-Identifier: Apache-2.0
//
// Inside of a calibration: rows sorted by distance, strictly rising; FMR never falls, FNMR never
// rises along them.
#ifndef FN_MATCH_CALIBRATION_H
#define FN_MATCH_CALIBRATION_H

#include <facenet/match.h>

/// Unit vectors may be off by a thousandth in length, so distances reach a little past 2.
#define FN_DISTANCE_MAX 2.01

#define FN_CALIBRATION_MAX_ROWS 100000

struct fn_calibration {
    uint64_t n_same, n_different;
    char *data;
    char *pipeline_id;
    fn_calibration_row *rows;
    size_t n_rows;
};

/// A calibration with its texts copied and room for n_rows rows (not yet filled). FN_EINVAL for
/// texts that are not UTF-8; FN_ENOMEM.
int fn_calibration_new(fn_calibration **out, const char *data, const char *pipeline_id, size_t n_rows);

#endif
