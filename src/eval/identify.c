// SPDX-License-Identifier: Apache-2.0
//
// Open-set identification: some probes are of people who are enrolled, some of strangers. The terms
// are those of ISO/IEC 19795-1: FNIR is the share of known probes that do not get their own name
// (unknown, ambiguous or another's name), FPIR the share of strangers that get a name.
#include "eval/identify.h"

#include "base/alloc.h"
#include "base/error.h"
#include "eval/report.h"

#include <math.h>
#include <string.h>

/// SplitMix64 (Steele, Lea and Flood 2014).
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/// Below n; the bias of the remainder is under n / 2^64.
static size_t random_below(uint64_t *state, size_t n) {
    return (size_t)(next_random(state) % n);
}

int fn_identify_split(fn_part *parts, const fn_photos *photos, uint64_t seed) {
    size_t *n_of = fn_calloc(photos->n_people, sizeof *n_of);     // photographs of a person
    size_t *people = fn_calloc(photos->n_people, sizeof *people); // those with two or more
    size_t *chosen = fn_calloc(photos->n_people, sizeof *chosen); // 1 + which is enrolled; 0: none
    size_t *seen = fn_calloc(photos->n_people, sizeof *seen);
    int rc = n_of && people && chosen && seen ? FN_OK : fn_fail_memory();
    if (rc == FN_OK) {
        size_t n = 0;
        for (size_t i = 0; i < photos->n; i++)
            n_of[photos->data[i].person]++;
        for (size_t p = 0; p < photos->n_people; p++)
            if (n_of[p] >= 2)
                people[n++] = p;
        for (size_t i = 0; i < (n + 1) / 2; i++) { // a shuffle as far as it is needed
            size_t other = i + random_below(&seed, n - i), person = people[other];
            people[other] = people[i];
            people[i] = person;
            chosen[person] = 1 + random_below(&seed, n_of[person]);
        }
        for (size_t i = 0; i < photos->n; i++) {
            size_t person = photos->data[i].person;
            seen[person]++;
            parts[i] = !chosen[person]                  ? FN_PART_STRANGER
                       : chosen[person] == seen[person] ? FN_PART_ENROLLED
                                                        : FN_PART_KNOWN;
        }
    }
    fn_free(n_of);
    fn_free(people);
    fn_free(chosen);
    fn_free(seen);
    return rc;
}

static fn_id id_of(size_t number) {
    fn_id id = {{0}};
    uint64_t value = number;
    for (size_t i = 0; i < sizeof value; i++) // big end first: ids rise with the numbers
        id.bytes[FN_ID_SIZE - 1 - i] = (unsigned char)(value >> 8 * i);
    return id;
}

static int enrol(fn_index *index, fn_identify_counts *out, const fn_photos *photos, const fn_part *parts) {
    int rc = FN_OK;
    for (size_t i = 0; i < photos->n && rc == FN_OK; i++)
        if (parts[i] == FN_PART_ENROLLED) {
            const fn_id person = id_of(photos->data[i].person);
            rc = photos->older ? fn_index_add_made(index, fn_photos_older_vector(photos, i),
                                                   photos->older->fingerprint, person, id_of(i))
                               : fn_index_add(index, fn_photos_vector(photos, i), person, id_of(i));
            out->enrolled++;
        }
    return rc;
}

static void count(fn_identify_counts *out, const fn_match *match, fn_part part, fn_id person) {
    int is_right = match->n_candidates && memcmp(&match->best.person, &person, sizeof person) == 0;
    if (part == FN_PART_KNOWN) {
        out->known++;
        if (match->decision == FN_DECISION_KNOWN)
            ++*(is_right ? &out->correct : &out->wrong);
        else
            ++*(match->decision == FN_DECISION_AMBIGUOUS ? &out->known_ambiguous : &out->known_unknown);
    } else {
        out->strangers++;
        if (match->decision == FN_DECISION_KNOWN)
            out->named++;
        else
            ++*(match->decision == FN_DECISION_AMBIGUOUS ? &out->strangers_ambiguous
                                                         : &out->strangers_unknown);
    }
}

int fn_identify_measure(fn_identify_counts *out, const fn_photos *photos, const fn_part *parts,
                        const char *fingerprint, const fn_calibration *calibration, double fmr,
                        const fn_control *control) {
    fn_index *index = NULL;
    *out = (fn_identify_counts){0};
    fn_comparable makers[2] = {{.fingerprint = fingerprint}};
    if (photos->older)
        makers[1] = *photos->older;
    int rc = fn_index_open_comparable(&index, photos->dimension, makers, photos->older ? 2 : 1);
    if (rc == FN_OK)
        rc = enrol(index, out, photos, parts);
    for (size_t i = 0; i < photos->n && rc == FN_OK; i++) {
        fn_match match;
        if (parts[i] == FN_PART_ENROLLED)
            continue;
        rc = fn_decide(&match, index, fn_photos_vector(photos, i), fingerprint, calibration, fmr);
        if (rc == FN_OK) {
            count(out, &match, parts[i], id_of(photos->data[i].person));
            rc = fn_control_step(control, 0, 0);
        }
    }
    fn_index_free(index);
    return rc;
}

static int write_report(char **out, fn_recognizer *recognizer, const fn_photos *photos,
                        const fn_identify_counts *c, float threshold, const fn_eval_options *options) {
    fn_report report;
    uint64_t within = c->named + c->strangers_ambiguous;
    fn_report_open(&report, "identify", recognizer);
    fn_report_integer(&report, "people", photos->n_people);
    fn_report_photos(&report, photos);
    fn_report_integer(&report, "seed", options->seed);
    fn_report_real(&report, "fmr", options->fmr);
    fn_report_real(&report, "threshold", (double)threshold);
    fn_report_integer(&report, "gallery", c->enrolled);
    fn_report_integer(&report, "known_probes", c->known);
    fn_report_integer(&report, "stranger_probes", c->strangers);
    fn_report_rate(&report, "fnir", c->known - c->correct, c->known);
    fn_report_rate(&report, "fpir", c->named, c->strangers);
    fn_report_rate(&report, "wrong_names", c->wrong, c->known);
    fn_report_rate(&report, "known_unknown", c->known_unknown, c->known);
    fn_report_rate(&report, "known_ambiguous", c->known_ambiguous, c->known);
    fn_report_rate(&report, "strangers_ambiguous", c->strangers_ambiguous, c->strangers);
    // What gallery size x FMR predicts for strangers, and what it is to be compared with: named or
    // ambiguous, because both have somebody within the threshold.
    fn_report_rate(&report, "strangers_within_threshold", within, c->strangers);
    fn_report_real(&report, "predicted_within_threshold", -expm1((double)c->enrolled * log1p(-options->fmr)));
    return fn_report_close(&report, out);
}

int fn_eval_identify(char **report, fn_recognizer *recognizer, const char *root,
                     const fn_eval_options *options, const fn_control *control) {
    fn_eval_options checked;
    fn_photos photos = {0};
    fn_part *parts = NULL;
    fn_identify_counts counts;
    float threshold = 0;
    const fn_comparable *older = NULL;
    *report = NULL;
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    const fn_calibration *calibration = embedder ? fn_embedder_calibration(embedder) : NULL;
    int rc = fn_eval_check_options(&checked, options);
    if (rc == FN_OK && !embedder)
        rc = fn_fail(FN_EINVAL, "an evaluation needs a recognizer with an embedder");
    if (rc == FN_OK && checked.against &&
        (rc = fn_photos_find_older(&older, recognizer, checked.against)) == FN_OK)
        calibration = older->calibration;
    if (rc == FN_OK && !calibration)
        rc = fn_fail(FN_EMODEL,
                     "%s: it has no calibration%s, so nothing can be decided; run: facenet eval calibrate%s",
                     fn_embedder_name(embedder), checked.against ? " against the other model" : "",
                     checked.against ? " --against" : "");
    if (rc == FN_OK)
        rc = fn_calibration_threshold(&threshold, calibration, checked.fmr);
    if (rc == FN_OK && strcmp(fn_calibration_pipeline_id(calibration), fn_recognizer_pipeline_id(recognizer)))
        fn_control_log(control, FN_LOG_WARNING,
                       "%s: its calibration was made with another detector: rates may be off",
                       fn_embedder_name(embedder));
    if (rc == FN_OK)
        rc = fn_photos_folder(&photos, root);
    if (rc == FN_OK)
        rc = fn_photos_embed(&photos, recognizer, &checked, 0, control);
    if (rc == FN_OK && !(parts = fn_calloc(photos.n, sizeof *parts)))
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_identify_split(parts, &photos, checked.seed);
    if (rc == FN_OK)
        rc = fn_identify_measure(&counts, &photos, parts, fn_embedder_fingerprint(embedder), calibration,
                                 checked.fmr, control);
    if (rc == FN_OK)
        rc = write_report(report, recognizer, &photos, &counts, threshold, &checked);
    fn_free(parts);
    fn_photos_free(&photos);
    return rc;
}
