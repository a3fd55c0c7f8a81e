// SPDX-License-Identifier: Apache-2.0
//
// A training run: what is open while it lasts, and where it stands. run.c puts it together from the options,
// state.c saves and restores where it stands, trainer.c moves it on.
#ifndef FN_TRAIN_RUN_H
#define FN_TRAIN_RUN_H

#include "model/model.h"
#include "nn/training.h"
#include "train/chunks.h"
#include "train/collapse.h"
#include "train/export.h"
#include "train/hardest.h"
#include "train/loader.h"
#include "train/loss.h"
#include "train/metrics.h"
#include "train/optimizer.h"
#include "train/ranks.h"
#include "train/sampler.h"
#include "train/schedule.h"
#include "train/teacher.h"
#include "train/validate.h"

#include <facenet/train.h>

/// Where a run stands, beside its blocks of numbers: a plain value, saved as it lies in memory.
typedef struct fn_position {
    uint64_t step; // steps done
    uint64_t optimizer_steps, loss_optimizer_steps;
    int64_t epoch, best_epoch; // epochs done; 0: no validation yet
    double seconds;            // of training
    double epoch_loss;         // sum over the steps of this epoch
    int64_t epoch_losses;
    fn_train_validation latest, best;
    fn_collapse collapse;
} fn_position;

typedef struct fn_run {
    const fn_train_options *options;
    const fn_control *control;
    fn_ranks *ranks; // the processes that share the run; files are written by rank 0, and read by it
    int lock;        // the run's folder, open and locked, or -1
    unsigned char pictures[32]; // SHA-256 of their names, which decide what a step is
    char *checkpoint, *metrics_path, *config, *config_path, *best, *last, *report; // paths and a text

    fn_dataset *data, *val_data;
    char *network; // name of what is trained
    fn_input_spec input;
    fn_template *tmpl; // NULL: not known
    fn_origin origin;  // name NULL: trained from the start
    fn_training *training;
    fn_chunks *chunks;
    int dimension;

    fn_sampler *sampler;
    fn_loader *loader;
    fn_teacher teacher;
    float *teacher_rows;  // (n_max, teacher.dimension) of the batch; NULL without a teacher
    float *unit, *d_unit; // (n_max, dimension)

    fn_loss_options loss_options;
    fn_loss *loss;
    fn_optimizer *optimizer, *loss_optimizer; // the latter NULL for losses without weights
    fn_segment *segments, loss_segments[2];
    int n_segments;
    float *averaged; // the average of the weights; NULL: none
    fn_schedule *schedule;

    fn_validator *validator; // NULL: none
    fn_hardest hardest;
    int is_judged; // an epoch has ended in this process: pairs and hardest triplets are there
    fn_metrics *metrics, *timing;

    uint64_t epoch_steps, total_steps;
    double epoch_mean; // loss of the epoch that ended last
    fn_position at;

    int64_t started_ms;          // of this part of the run
    double seconds_before;       // of the parts before it
    int64_t saved_ms;            // when the last checkpoint was written
    double images, step_seconds; // of this part: images per second
} fn_run;

/// Everything opened, and restored when the run is resumed. Errors as fn_train_run.
int fn_run_open(fn_run *run, const fn_train_options *options, const fn_control *control);
void fn_run_close(fn_run *run);

/// 1 for the process that writes the files and speaks.
int fn_run_leads(const fn_run *run);

/// run_network.c: graph, input, template and training, once the data is open.
int fn_run_open_network(fn_run *run);

/// The weights that are validated and written: averaged, where there is an average.
const float *fn_run_weights(const fn_run *run);
double fn_run_seconds(const fn_run *run);

/// state.c: the checkpoint of the run, written and read. All ranks: rank 0 writes and reads, the others
/// receive.
int fn_run_save(fn_run *run);
int fn_run_restore(fn_run *run);

/// summary.c: the report, and the models.
int fn_run_describe(fn_run *run, const char *state);
int fn_run_export(fn_run *run, const char *path, const fn_train_validation *validation);

#endif
