// SPDX-License-Identifier: Apache-2.0
//
// match.h: vector x gallery -> ranked people, and what a distance means.
//
// A distance is the Euclidean distance of two unit vectors: 0..2. A calibration, measured on pairs
// of photographs, turns it into the false-match rate (FMR): the share of pairs of different people
// that lie at least as close. Decisions are made at a stated FMR, never at a bare distance.
//
// FMR is per comparison. A stranger compared with N people is falsely named at a rate of about
// 1 - (1 - FMR)^N, so FMR 1e-4 against 1,000 people means about one stranger in ten.
#ifndef FACENET_MATCH_H
#define FACENET_MATCH_H

#include <facenet/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Euclidean distance of two vectors of `dimension` floats.
FN_API float fn_distance(const float *a, const float *b, int dimension);

/// One row of a calibration: at this distance threshold, so many pairs pass wrongly or fail
/// wrongly.
typedef struct fn_calibration_row {
    double distance;
    double fmr;  // share of different-person pairs with a distance <= this
    double fnmr; // share of same-person pairs with a distance > this
} fn_calibration_row;

/// What distances mean, measured for one fingerprint on one set of photographs.
typedef struct fn_calibration fn_calibration;

/// Reads a calibration from its JSON text (the metadata key "facenet.calibration").
/// Errors: FN_EFORMAT. The caller frees *out.
FN_API int fn_calibration_parse(fn_calibration **out, const char *json);
FN_API void fn_calibration_free(fn_calibration *calibration);

/// Makes a calibration from distances of same-person and different-person pairs (both are sorted in
/// place). `data` names the photographs; `pipeline_id` what found and cut the faces.
FN_API int fn_calibration_measure(fn_calibration **out, float *same, size_t n_same, float *different,
                                  size_t n_different, const char *data, const char *pipeline_id);
/// JSON text of a calibration; the caller frees it with fn_string_free.
FN_API int fn_calibration_json(char **out, const fn_calibration *calibration);
FN_API void fn_string_free(char *string);

FN_API size_t fn_calibration_len(const fn_calibration *calibration);
FN_API fn_calibration_row fn_calibration_get(const fn_calibration *calibration, size_t index);
/// Numbers of pairs, what they come from, what found the faces. Static to the calibration.
FN_API uint64_t fn_calibration_n_same(const fn_calibration *calibration);
FN_API uint64_t fn_calibration_n_different(const fn_calibration *calibration);
FN_API const char *fn_calibration_data(const fn_calibration *calibration);
FN_API const char *fn_calibration_pipeline_id(const fn_calibration *calibration);

/// FMR and FNMR at a distance: linear in log(FMR) between rows; never below half a pair in the
/// number of different-person pairs counted, because less was not measured.
FN_API double fn_calibration_fmr(const fn_calibration *calibration, float distance);
FN_API double fn_calibration_fnmr(const fn_calibration *calibration, float distance);
/// The largest distance among the rows whose FMR is <= fmr: exact for 1, 2 and 5 times a power of ten
/// (those are rows), else at most a row too small. Errors: FN_ELIMIT when fmr is below what the pairs
/// can show; FN_EINVAL outside 0..1.
FN_API int fn_calibration_threshold(float *distance, const fn_calibration *calibration, double fmr);

/// Whose vectors a model's may be compared with: its own, or those of an older model beside which its network
/// was trained to embed (train.h: harmonic; embed.h: fn_embedder_comparable).
typedef struct fn_comparable {
    const char *fingerprint;           // of the vectors that are kept
    const char *name;                  // of the model that made them, for people
    const fn_calibration *calibration; // what distances between the model's vectors and these mean; NULL: not
                                       // measured
} fn_comparable;

/// A set of vectors, each belonging to a person, searched exactly. They are of one fingerprint, or of those
/// that can be compared with it.
typedef struct fn_index fn_index;

#define FN_ID_SIZE 16
typedef struct fn_id {
    unsigned char bytes[FN_ID_SIZE];
} fn_id;

FN_API int fn_index_open(fn_index **out, int dimension, const char *fingerprint);
/// For vectors of n fingerprints, each other than the rest: those that are searched for are of makers[0].
/// Texts are copied, calibrations must outlive the index. Errors: FN_ENOMEM, FN_EINVAL (n is 1 to
/// FN_INDEX_MAX_MAKERS).
FN_API int fn_index_open_comparable(fn_index **out, int dimension, const fn_comparable *makers, size_t n);
#define FN_INDEX_MAX_MAKERS 16
FN_API void fn_index_free(fn_index *index);
/// Adds a vector of `dimension` floats that belongs to `person`; `face` comes back from searches.
/// Not safe beside other calls on the same index. Errors: FN_ENOMEM, FN_EINVAL (NaN, not unit
/// length).
FN_API int fn_index_add(fn_index *index, const float *vector, fn_id person, fn_id face);
/// The same for a vector of any of the index's makers. FN_EMODEL: its fingerprint is none of theirs.
FN_API int fn_index_add_made(fn_index *index, const float *vector, const char *fingerprint, fn_id person,
                             fn_id face);
FN_API size_t fn_index_len(const fn_index *index);      // vectors
FN_API size_t fn_index_n_people(const fn_index *index); // distinct people
/// How many of the vectors are of this fingerprint.
FN_API size_t fn_index_n_made(const fn_index *index, const char *fingerprint);

/// A person and the nearest of that person's vectors.
typedef struct fn_candidate {
    fn_id person;
    fn_id face;
    float distance;
    const char *fingerprint; // of that vector; lives as long as the index
} fn_candidate;

/// The k nearest people, nearest first (ties by person id), in dst; *n_out of them (<= k).
/// fingerprint must equal the index's, that of makers[0]: FN_EMODEL otherwise.
FN_API int fn_index_search(fn_candidate *dst, size_t *n_out, const fn_index *index, const float *vector,
                           const char *fingerprint, size_t k);

typedef enum fn_decision {
    FN_DECISION_UNKNOWN = 0,  // nobody within the threshold
    FN_DECISION_KNOWN = 1,    // one person within the threshold, clearly nearest
    FN_DECISION_AMBIGUOUS = 2 // two people within the threshold, FMRs within a factor of ten
} fn_decision;

typedef struct fn_match {
    fn_decision decision;
    size_t n_candidates;    // 0, 1 or 2 below
    fn_candidate best;      // nearest person
    fn_candidate runner_up; // nearest other person
    float threshold;        // distance at the FMR asked for, between the vector and one like the best
    double fmr;             // of the best distance; NaN without candidates
} fn_match;

/// Decides: who is this vector, at false-match rate `fmr` per comparison (0: 1e-4)? calibration: of distances
/// to vectors of the same fingerprint; for those of other makers the index has one. Where vectors of several
/// are held, nearest means least likely to be somebody else: a distance has its own meaning for each maker.
/// Errors: FN_EMODEL (other fingerprint, or no calibration), FN_ELIMIT (fmr not measurable).
FN_API int fn_decide(fn_match *out, const fn_index *index, const float *vector, const char *fingerprint,
                     const fn_calibration *calibration, double fmr);

/// "known", "unknown" or "ambiguous". Static storage.
FN_API const char *fn_decision_name(fn_decision decision);

#ifdef __cplusplus
}
#endif
#endif
