// SPDX-License-Identifier: Apache-2.0
//
// Who is enrolled and who is a probe in open-set identification.
#ifndef FN_EVAL_IDENTIFY_H
#define FN_EVAL_IDENTIFY_H

#include "eval/photos.h"

typedef enum fn_part {
    FN_PART_STRANGER, // nobody enrolled knows them
    FN_PART_KNOWN,    // another photograph of an enrolled person
    FN_PART_ENROLLED
} fn_part;

/// parts: one for each photograph. Half of the people with two photographs or more (rounded up) are
/// enrolled, each with one; seed decides who and which. The same list and seed: the same split.
int fn_identify_split(fn_part *parts, const fn_photos *photos, uint64_t seed);

typedef struct fn_identify_counts {
    uint64_t enrolled, known, strangers;                     // photographs
    uint64_t correct, known_unknown, known_ambiguous, wrong; // of the known: they sum up
    uint64_t named, strangers_ambiguous, strangers_unknown;  // of the strangers: they sum up
} fn_identify_counts;

/// Enrols and probes. Errors of fn_decide.
int fn_identify_measure(fn_identify_counts *out, const fn_photos *photos, const fn_part *parts,
                        const char *fingerprint, const fn_calibration *calibration, double fmr,
                        const fn_control *control);

#endif
