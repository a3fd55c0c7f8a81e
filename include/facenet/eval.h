// SPDX-License-Identifier: Apache-2.0
//
// eval.h: how good is it, measured on folders of photographs of known people, one folder per person.
//
//     char *report = NULL;
//     fn_eval_pairs(&report, recognizer, "lfw/pairs.txt", "lfw", NULL, NULL);
//     puts(report);
//     fn_string_free(report);
//
// Every protocol uses one face per photograph: the one whose box centre is nearest the picture's centre among
// those whose box covers it. A photograph without such a face is a miss: it is counted, and embedded by a
// central box (30..70 % of the width, 28..76 % of the height), so that nothing is ever dropped.
// Reports are JSON texts in new memory (fn_string_free).
//
// Every measuring function blocks until it is done, may be called from any thread, and fails with FN_EINVAL
// (options out of range, a recogniser without embedder), FN_EMODEL (the network cannot be run; `against` is
// none that the model embeds beside), FN_EIO or FN_ENOTFOUND (a folder or file that cannot be read, or holds
// no photographs), FN_EFORMAT (nothing in it is a photograph), FN_ESTORE (the cache cannot be used),
// FN_ENOMEM, FN_ECANCELLED, FN_ETIMEOUT, and what stands with it. *report is NULL then. One photograph that
// cannot be read is told to control->log and left out, but for fn_eval_pairs, whose list wants it.
#ifndef FACENET_EVAL_H
#define FACENET_EVAL_H

#include <facenet/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_eval_options {
    int version;       // FN_EVAL_OPTIONS_VERSION
    int jobs;          // threads; 0: one per processor
    const char *cache; // file that keeps embeddings by content hash, fingerprint and pipeline id;
                       // NULL: $XDG_CACHE_HOME/facenet/embeddings.db; "": none
    uint64_t seed;     // of the split of fn_eval_identify
    double fmr;        // of decisions in fn_eval_identify; 0: 1e-4
    // With the embedder of an older model, beside which the recogniser's was trained to embed
    // (fn_embedder_comparable): one photograph of each pair, the enrolled one, or the second of a list, is
    // embedded by it. Where all pairs are asked for each counts both ways round. NULL: one model for both.
    fn_recognizer *against;
    int frames; // of each clip, from its first on, in fn_eval_videos; 0: 100
} fn_eval_options;
#define FN_EVAL_OPTIONS_VERSION 2
#define FN_EVAL_OPTIONS_INIT                                                                                 \
    { FN_EVAL_OPTIONS_VERSION, 0, NULL, 1, 0.0, NULL, 0 }

/// Verification on listed pairs, LFW's protocol (Huang et al. 2007, section III; unrestricted, labelled
/// outside data): k folds of n same and n different pairs; the threshold of each fold is the best one of the
/// others. pairs: LFW's pairs.txt. Keys: pairs, images, detector_misses, accuracy, accuracy_se, threshold,
/// auc, eer, tar_at_far_1e-2, tar_at_far_1e-3, each rate with its counts and a 95 % interval (Wilson).
/// TAR at FAR x uses the largest threshold with FAR <= x. Errors: also FN_EFORMAT with the line of the list
/// that is wrong.
FN_API int fn_eval_pairs(char **report, fn_recognizer *recognizer, const char *pairs, const char *root,
                         const fn_eval_options *options, const fn_control *control);

/// TAR at FAR 1e-3 .. 1e-6 over every pair of photographs under root.
FN_API int fn_eval_all_pairs(char **report, fn_recognizer *recognizer, const char *root,
                             const fn_eval_options *options, const fn_control *control);

/// Open-set identification: one photograph of half of the people who have two is enrolled; their others and
/// all strangers are probes; decisions at options->fmr. FNIR (a known person not named), FPIR (a stranger
/// named), wrong names, and what gallery size x FMR predicts. Errors: also FN_EMODEL (no calibration, or none
/// against the other model), FN_ELIMIT (options->fmr is less than it can show).
FN_API int fn_eval_identify(char **report, fn_recognizer *recognizer, const char *root,
                            const fn_eval_options *options, const fn_control *control);

/// Verification on clips, the protocol of YouTube Faces (Wolf, Hassner and Maoz 2011): under root one folder
/// per person, and in it a folder of frames (pictures; numbers in their names count as numbers) or a video
/// file per clip. The first options->frames frames of a clip count with the face nearest the centre; frames
/// without one are left out (frames_without_face), and a clip without any is a miss (clip_misses) and counts
/// with central boxes. Two clips are as far apart as the root of the mean squared distance over all pairs of
/// their frames. pairs: a list with a fold's number, PERSON/CLIP, PERSON/CLIP and 1 (one person) or 0 (two)
/// on each line, parted by commas or tabs; NULL: every pair of clips, where the accuracy is that of up to
/// ten folds of people, with as many pairs of one person as of two. Keys as fn_eval_pairs, and
/// mean_similarity_same and _different (cosine), mean_squared_distance_same and _different.
FN_API int fn_eval_videos(char **report, fn_recognizer *recognizer, const char *pairs, const char *root,
                          const fn_eval_options *options, const fn_control *control);

/// Measures what distances mean: the calibration JSON (match.h) of the recogniser's embedder over every pair
/// of photographs under root; with options->against, what those between its vectors and the other model's
/// mean. `data` names the photographs in the record. Errors: also FN_ELIMIT (too many pairs).
FN_API int fn_eval_calibrate(char **calibration, fn_recognizer *recognizer, const char *root,
                             const char *data, const fn_eval_options *options, const fn_control *control);

/// Puts such a calibration into a model file, so that whoever embeds with it (mirror 1: with the mean of a
/// face and its mirror image) can decide. The network and its fingerprint stay: galleries remain usable.
/// Written at once, with the checksum beside it. FN_EFORMAT (no calibration, no model), FN_EIO, FN_ENOMEM.
FN_API int fn_eval_write_calibration(const char *model, const char *calibration, int mirror);
/// The same for a calibration against the embeddings of another fingerprint (options->against): that of
/// vectors which galleries hold.
FN_API int fn_eval_write_calibration_against(const char *model, const char *calibration,
                                             const char *fingerprint);

#ifdef __cplusplus
}
#endif
#endif
