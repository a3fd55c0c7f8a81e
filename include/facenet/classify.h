// SPDX-License-Identifier: Apache-2.0
//
// classify.h: a classifier on top of embeddings, as OpenFace's and others' tutorials have it: train on the
// embeddings of known people, then ask for a name and its probability.
//
//     fn_classifier *classifier = NULL;
//     fn_classifier_train(&classifier, embeddings, names, n, 128, fingerprint, NULL, NULL);
//     fn_prediction found;
//     fn_classifier_predict(classifier, embedding, 128, fingerprint, 0.5, &found);
//     puts(found.is_known ? fn_classifier_name(classifier, found.person) : "unknown");
//
// A probability here is a share among the people of the classifier: it says who of them it is rather than
// whether it is one of them. A stranger is unknown only as far as no one person attracts him; a class named
// "unknown" with faces of many strangers helps, and so does max_distance. Where strangers matter most, decide
// at a stated false-match rate instead (match.h), which needs no training either.
//
// The machines are libsvm's (Chang and Lin, ACM TIST 2011, https://www.csie.ntu.edu.tw/~cjlin/libsvm/). What
// a machine says becomes a probability by a sigmoid (Platt 1999; Lin, Lin and Weng, Machine Learning 2007)
// measured on parts of the data that it was not trained on, and those of all pairs of people become one share
// per person by Wu, Lin and Weng (JMLR 2004), section 4. Neighbours vote by one over their squared distance
// (Dudani 1976).
#ifndef FACENET_CLASSIFY_H
#define FACENET_CLASSIFY_H

#include <facenet/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fn_classifier_kind {
    FN_CLASSIFIER_SVM, // linear support vector machines, one per pair of people (libsvm)
    FN_CLASSIFIER_KNN  // votes of the nearest embeddings
} fn_classifier_kind;

typedef struct fn_classifier_options {
    int version; // FN_CLASSIFIER_OPTIONS_VERSION
    fn_classifier_kind kind;
    double c;            // svm: weight of errors, > 0 [1]
    int k;               // knn: neighbours that vote, 1..1000 [5]
    double max_distance; // knn: Euclidean distance beyond which a neighbour votes for nobody; 0: none
    uint64_t seed;       // svm: of the parts into which the probabilities' measurement cuts the data
} fn_classifier_options;
#define FN_CLASSIFIER_OPTIONS_VERSION 1
#define FN_CLASSIFIER_OPTIONS_INIT                                                                           \
    { FN_CLASSIFIER_OPTIONS_VERSION, FN_CLASSIFIER_SVM, 1.0, 5, 0.0, 1 }

typedef struct fn_classifier fn_classifier; // immutable: any number of threads may ask it

/// embeddings (n, dimension) with the name of each row's person; rows may come in any order. Deterministic:
/// the same rows in another order give the same classifier. People with a single embedding are said by
/// control->log. fingerprint: of the model that made them, kept and asked for by predictions; NULL: none, as
/// "". Errors: FN_EINVAL (svm: fewer than two people, or nobody with two embeddings; numbers that are not
/// finite; options out of range), FN_ENOMEM, FN_ECANCELLED, FN_ETIMEOUT. The caller frees *out. Blocks for as
/// long as it takes.
FN_API int fn_classifier_train(fn_classifier **out, const float *embeddings, const char *const *names,
                               size_t n, int dimension, const char *fingerprint,
                               const fn_classifier_options *options, const fn_control *control);
FN_API void fn_classifier_free(fn_classifier *classifier);

typedef struct fn_prediction {
    int is_known;       // probability >= the least asked for, and the person is not called "unknown"
    int person;         // the likeliest, 0..fn_classifier_len - 1; -1: nobody near enough voted
    double probability; // 0..1; all people's add up to 1, or to less where neighbours are too far to vote
    int runner_up;      // -1: none
    double runner_up_probability; // 0..probability
} fn_prediction;

/// embedding (dimension); fingerprint: of the model that made it, NULL: as "". min_probability: below it the
/// person is not known; 0: whoever is likeliest is, above 1: nobody. Errors: FN_ECONFLICT for another
/// fingerprint or dimension than the classifier's, FN_EINVAL for numbers that are not finite, FN_ENOMEM.
FN_API int fn_classifier_predict(const fn_classifier *classifier, const float *embedding, int dimension,
                                 const char *fingerprint, double min_probability, fn_prediction *out);

/// What it was made from. People are sorted by name; names live as long as the classifier.
FN_API fn_classifier_kind fn_classifier_get_kind(const fn_classifier *classifier);
FN_API int fn_classifier_len(const fn_classifier *classifier);
FN_API const char *fn_classifier_name(const fn_classifier *classifier, int person);
FN_API int fn_classifier_dimension(const fn_classifier *classifier);
FN_API const char *fn_classifier_fingerprint(const fn_classifier *classifier);

/// One JSON file of mode 0600, written at once: it holds embeddings of the people, so treat it like a
/// gallery. Errors: FN_EINVAL (a name that is not UTF-8), FN_EIO, FN_ENOMEM.
FN_API int fn_classifier_save(const fn_classifier *classifier, const char *path);
/// Errors: FN_EIO, FN_EFORMAT, FN_ELIMIT past 4 GiB, FN_ENOMEM.
FN_API int fn_classifier_load(fn_classifier **out, const char *path);

#ifdef __cplusplus
}
#endif
#endif
