// SPDX-License-Identifier: Apache-2.0
//
// train.h: a folder of faces goes in, a network that tells people apart comes out. A run lives in a folder
// of its own: checkpoints, measurements, a report, and best.onnx, a model like any other.
//
//     fn_train_options options = FN_TRAIN_OPTIONS_INIT;
//     fn_train_result result;
//     options.data = "faces/train";     // a folder per person, see dataset.h
//     options.val_data = "faces/val";   // other people
//     options.arch = "nn4.small2";
//     options.out = "run";
//     if (fn_train_run(&options, &result, NULL) == FN_OK)
//         printf("%s: accuracy %.3f\n", result.model, result.best.accuracy);
//
// Several processes, of one machine or many, train one network together when mpirun starts them:
// fn_train_run finds that out by itself. Each passes its share of a step's images; triplets are mined among
// all of them, and gradients are added up. All see the data under the same path; files of the run are written
// and read by rank 0 only, which alone calls back for progress.
//
// Everything a run computes is a function of its options and data: neither the number of loader threads nor
// being killed and resumed changes a digit of metrics.jsonl. (The number of threads of the network may, in
// the last digits.) Not from two threads at once for one run folder.
#ifndef FACENET_TRAIN_H
#define FACENET_TRAIN_H

#include <facenet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How well distances tell people of the validation folder apart. NaN where it cannot be measured.
typedef struct fn_train_validation {
    double accuracy;                  // of balanced pairs, ten folds
    double accuracy_se;               // its standard error over the folds
    double threshold;                 // squared distance, mean of the folds
    double tar_at_far_1e3;            // share of same-person pairs accepted where 1 in 1000 others is
    double auc, eer;                  //
    double mean_same, mean_different; // squared distances
    uint64_t n_same, n_different;     // pairs
    int n_images, n_people;
} fn_train_validation;

/// What a caller is told after every step.
typedef struct fn_train_progress {
    uint64_t step, n_steps; // steps done, of the whole run
    int epoch, n_epochs;    // from 1
    int is_epoch_end;       // 1: `validation` is new (when there is a validation folder)
    double images_per_s;    // since the run was started or resumed
    double loss;            // of the step; at the end of an epoch the mean over its steps
    double lr, gradient_norm;
    int n_images;            // of the step
    int n_triplets;          // found by mining; 0 for losses without triplets
    int n_active;            // of them with a loss above zero
    double mean_ap, mean_an; // squared distances anchor-positive and anchor-negative; 0 where unknown
    double accuracy;         // of the classifier, losses with classes only
    double loader_wait_s;    // time the trainer waited for pictures, all together
    double eta_s;            // to the last step, or to the end of max_minutes
    const fn_train_validation *validation; // the latest, NULL before the first
} fn_train_progress;

/// Options. Texts may be NULL where the comment says so. Every field but the callbacks is a row of
/// fn_train_option_at too: the command line, configuration files and this struct cannot drift apart.
typedef struct fn_train_options {
    int version; // FN_TRAIN_OPTIONS_VERSION

    // ---- what is learnt from, and where the run lives
    const char *data;          // a folder per person
    const char *val_data;      // other people, for validation; NULL: none
    const char *out;           // the run's folder, made when missing (0700)
    int resume;                // 1: go on from the checkpoint in `out`, or begin where there is none
    const char *template_name; // how the crops were cut, where the data folder does not say; NULL

    // ---- the network
    const char *arch;     // a network by name ("nn4.small2"); NULL with `model`
    const char *model;    // instead: a catalogue name or ONNX file to go on from; NULL
    int embedding;        // numbers of the embedding; 0: the network's own
    int size;             // input width and height in pixels; 0: the network's own
    double dropout;       // share dropped before the last layer, networks by name only
    const char *freeze;   // beginnings of parameter names that stay, separated by commas; NULL
    int frozen_norms;     // 1: batch-norms use and keep their running statistics
    double norm_momentum; // running += norm_momentum (batch - running)
    int sync_norms;       // 1: batch-norms see the images of all processes, not of their own only

    // ---- batches
    int people_per_batch, images_per_person; // of triplet losses
    int negatives;                           // of triplet losses: further images of other people, one each
    int uneven; // 1: people with fewer images give fewer; 0: they give some of them again
    int batch;  // of the other losses: images per step
    int chunk;  // images passed at once; 0: the whole batch

    // ---- the loss
    // triplet, soft-triplet, softmax, arcface, distill, harmonic. After harmonic, and distill at the
    // teacher's dimension, the model may be compared with the teacher's embeddings (fn_embedder_comparable)
    const char *loss;
    const char
        *mining; // auto (the loss's own), semi-hard, semi-hard-random, any-violator, batch-hard, random
    const char *reduction;    // of triplets: auto (the loss's own), sum (FaceNet), mean (OpenFace)
    double margin;            // -1: the loss's own
    double loss_scale;        // arcface, softmax: factor of the embeddings; 0: its own
    double centre_weight;     // softmax: of the centre loss; -1: its own
    double centre_rate;       // -1: its own
    double similarity_weight; // distill: of similarities within the batch; -1: its own
    const char *teacher;      // distill and harmonic: the network that is learnt from; NULL

    // ---- the update
    const char *optimizer; // adagrad, sgd, adam, adamw, rmsprop
    double lr;             // 0: the optimizer's own
    const char *schedule;  // of the rate: constant, cosine, step:..., file:PATH with lines "epoch: rate"
    double momentum, beta1, beta2;
    double epsilon; // 0: the optimizer's own
    double weight_decay;
    double clip; // largest norm of the gradient; 0: none
    double ema;  // averaged weights, for validation and the model: share kept per step; 0: none

    // ---- how long
    int epochs;
    int steps_per_epoch; // 0: as many as go once through the people (or images)
    double max_minutes;  // of training, all resumed parts together; 0: no limit

    // ---- augmentation: the kind, and single settings that replace its own (-1: keep)
    const char *augment; // none, default
    double mirror, rotation, shift, zoom, brightness, contrast, saturation, blur, jpeg, downscale, erase;

    // ---- how it is computed
    const char *backend;   // auto, onednn, reference
    const char *precision; // f32, bf16
    int threads;           // of the network
    int loader_threads;    // that decode and augment
    int cache_mb;          // decoded crops kept in memory
    int seed;
    const char *models; // folder of named models; NULL: the default one

    // ---- what is kept and told
    int checkpoint_steps;      // a checkpoint every so many steps; 0: none between epochs
    double checkpoint_minutes; // and every so many minutes; 0: no
    int collapse_steps;        // stop after so many steps with all embeddings on one point; 0: never
    int val_mirror;            // 1: validate with the mean of a crop's and its mirror image's embedding
    int fold;                  // 1: batch-norms are folded into the convolutions of the written models

    // ---- callbacks
    /// Non-zero: finish with a checkpoint after this step and return FN_ECANCELLED.
    int (*progress)(void *user, const fn_train_progress *progress);
    void *user;
} fn_train_options;
#define FN_TRAIN_OPTIONS_VERSION 1
#define FN_TRAIN_OPTIONS_INIT                                                                                \
    {                                                                                                        \
        .version = FN_TRAIN_OPTIONS_VERSION, .norm_momentum = 0.1, .people_per_batch = 24,                   \
        .images_per_person = 4, .batch = 96, .loss = "triplet", .mining = "auto", .reduction = "auto",       \
        .margin = -1, .centre_weight = -1, .centre_rate = -1, .similarity_weight = -1,                       \
        .optimizer = "adagrad", .schedule = "constant", .momentum = 0.9, .beta1 = 0.9, .beta2 = 0.999,       \
        .epochs = 100, .augment = "default", .mirror = -1, .rotation = -1, .shift = -1, .zoom = -1,          \
        .brightness = -1, .contrast = -1, .saturation = -1, .blur = -1, .jpeg = -1, .downscale = -1,         \
        .erase = -1, .backend = "auto", .precision = "f32", .threads = 1, .loader_threads = 1,               \
        .cache_mb = 1024, .seed = 1, .checkpoint_minutes = 5, .collapse_steps = 100                          \
    }

typedef struct fn_train_result {
    uint64_t step;            // steps done
    int epoch;                // epochs done
    fn_train_validation best; // of the model; zero without validation
    int best_epoch;           // 0 without validation
    double seconds;           // of training, all resumed parts together
    int rank, n_ranks;        // this process among those that trained together, which alone is 0 of 1
    char model[4096]; // path of the model to use: best.onnx, or last.onnx without validation; "" while
                      // there is none
} fn_train_result;

/// Trains. The run folder receives config.json, checkpoint.fnt, metrics.jsonl, report.html, last.onnx and,
/// with validation, best.onnx; beside them timing.jsonl (seconds, images per second) and, with a teacher, its
/// embeddings in teacher.bin. Errors: FN_EINVAL (options), FN_ENOTFOUND (no pictures), FN_EFORMAT (a picture
/// or a checkpoint that cannot be read), FN_EMODEL (not a network that can learn), FN_ECONFLICT (a run is
/// there already, another process works on it, or the one resumed had other options or pictures), FN_ETRAIN
/// (embeddings collapsed or numbers are not finite; the message says what to change), FN_ECANCELLED (a
/// checkpoint was written), FN_EIO (the checkpoint before stays), FN_EUNSUPPORTED (started by mpirun, but
/// this facenet has no MPI; bf16 on a processor without it), FN_ETIMEOUT (the control's deadline; a
/// checkpoint was written), FN_ENOMEM. All ranks return the same error; when one dies, the launcher ends the
/// others. result is filled as far as training came, also on failure.
FN_API int fn_train_run(const fn_train_options *options, fn_train_result *result, const fn_control *control);

/// What a run has come to, by the files of its folder. NaN where it says nothing.
typedef struct fn_train_summary {
    uint64_t step;                   // steps done
    int epoch;                       // epochs done
    double seconds, images_per_s;    // of training, as of the last epoch
    double loss;                     // of the last step
    int best_epoch;                  // 0 without validation; the rest is of that epoch
    double accuracy, accuracy_se;    // see fn_train_validation
    double tar_at_far_1e3, auc, eer; //
} fn_train_summary;

/// run: its folder, of a training that is finished, stopped or still going on. Errors: FN_ENOTFOUND (not the
/// folder of a run), FN_EIO, FN_EFORMAT, FN_ENOMEM.
FN_API int fn_train_summarize(fn_train_summary *out, const char *run);

/// Draws up to 8 runs into one plot over the steps, an SVG file that needs nothing else: loss, accuracy, val,
/// auc, eer, d_ap, d_an, triplets, active, lr or norm. Errors as above, and FN_EINVAL (another key, too many
/// runs, nothing to draw).
FN_API int fn_train_curves(const char *path, const char *const *runs, int n_runs, const char *key);

typedef enum fn_train_kind {
    FN_TRAIN_FLAG,   // int
    FN_TRAIN_TEXT,   // const char *
    FN_TRAIN_CHOICE, // const char *, one of the words of `argument`
    FN_TRAIN_COUNT,  // int, min..max
    FN_TRAIN_REAL    // double, min..max
} fn_train_kind;

/// One option as the command line and configuration files know it.
typedef struct fn_train_option {
    const char *name;     // "people-per-batch"
    const char *argument; // how help calls the value; NULL for flags
    const char *help;     // with the default in brackets
    fn_train_kind kind;
    size_t offset; // of the field in fn_train_options
    double min, max;
    int may_change; // 1: a resumed run may have another value
} fn_train_option;

/// Option `index`, NULL behind the last. Static storage.
FN_API const fn_train_option *fn_train_option_at(int index);

/// Sets the options that a file names: lines "name = value" (# at the start of a line or after a space begins
/// a comment) or the JSON of a run's config.json. Texts lie in *texts (fn_string_free), which must outlive
/// the options. FN_EIO, FN_EFORMAT with the line.
FN_API int fn_train_options_read(fn_train_options *options, char **texts, const char *path);

#ifdef __cplusplus
}
#endif
#endif
