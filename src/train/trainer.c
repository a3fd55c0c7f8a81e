// SPDX-License-Identifier: Apache-2.0
//
// The training loop, one function per stage, in the order in which the data flows: sample and load, forward,
// loss, backward, update, log; at the end of an epoch validate, keep the best, report; then the checkpoint.
// Where several processes share the run, each passes its share of the images and all compute the loss of the
// whole batch; a failure that others could not know of ends the job while they wait for one another.
#include "train/run.h"

#include "base/error.h"
#include "train/ema.h"
#include "train/share.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What a step came to.
typedef struct fn_step {
    fn_batch batch;
    fn_pass pass;
    fn_loss_result loss;
    double lr, gradient_norm, spread;
    double triplet_loss; // mean of the triplets found; NAN for other losses
} fn_step;

// ---- one step --------------------------------------------------------------------------------

static int all_finite(const float *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

// The parameter whose gradient first is not a number.
static const char *gradient_not_finite(const fn_run *run) {
    const fn_parameters *p = fn_training_parameters(run->training);
    const float *gradients = fn_training_gradients(run->training);
    for (int i = 0; i < p->n_trained; i++)
        if (!p->trained[i].frozen && !all_finite(gradients + p->trained[i].offset, p->trained[i].count))
            return p->trained[i].name;
    return NULL;
}

static int not_finite(fn_run *run, const fn_step *step, const char *what) {
    char first[FN_RANKS_TEXT] = "";
    const char *layer = fn_training_not_finite(run->training, &step->pass);
    if (!layer)
        layer = gradient_not_finite(run);
    if (layer)
        snprintf(first, sizeof first, ", first in %s", layer);
    fn_ranks_first_text(run->ranks, first);
    return fn_fail(FN_ETRAIN,
                   "step %llu: %s is not finite%s (lr %g); the last checkpoint is as it was: try a "
                   "lower lr (--resume --lr %g), a warm-up of the schedule, or clip",
                   (unsigned long long)run->at.step + 1, what, first, step->lr, step->lr / 10);
}

static int load(fn_run *run, fn_step *step) {
    int rc = fn_loader_next(run->loader, &step->batch);
    if (rc < 0)
        return rc;
    if (step->batch.step != run->at.step || step->batch.n < 1)
        return fn_fail(FN_EINTERNAL, "the loader gave step %llu instead of %llu",
                       (unsigned long long)step->batch.step, (unsigned long long)run->at.step);
    return FN_OK;
}

static void add_over_ranks(void *user, double *sums, int n) {
    fn_ranks_add(user, sums, n);
}

static void gradients_ready(void *user, size_t first, size_t count) {
    (void)count;
    fn_ranks_sum_ready(user, first);
}

// The rows of this process among those of the batch.
static float *own_rows(const fn_run *run, const fn_step *step, float *rows) {
    return rows + (size_t)step->batch.first * (size_t)run->dimension;
}

static int forward(fn_run *run, fn_step *step) {
    const fn_batch *batch = &step->batch;
    const int n_ranks = fn_ranks_size(run->ranks);
    step->pass = fn_training_pass(run->training);
    step->pass.momentum = (float)run->options->norm_momentum;
    step->pass.frozen_norms = run->options->frozen_norms;
    step->pass.seed = (uint64_t)run->options->seed;
    step->pass.step = (uint32_t)run->at.step;
    step->pass.first_row = batch->first;
    step->pass.user = run->ranks;
    if (n_ranks > 1 && run->options->sync_norms)
        step->pass.reduce = add_over_ranks;
    if (n_ranks > 1)
        step->pass.ready = gradients_ready;
    int rc = fn_chunks_forward(run->chunks, &step->pass, batch->pixels, batch->n_rows,
                               fn_share_largest(batch->n, n_ranks), own_rows(run, step, run->unit));
    if (rc < 0) {
        fn_ranks_abort(run->ranks);
        return rc;
    }
    fn_ranks_gather(run->ranks, run->unit, (size_t)run->dimension * sizeof(float), batch->n);
    if (!all_finite(run->unit, (size_t)batch->n * (size_t)run->dimension))
        rc = not_finite(run, step, "an embedding");
    return rc;
}

static int measure_loss(fn_run *run, fn_step *step) {
    const int n = step->batch.n, td = run->teacher.dimension;
    for (int i = 0; i < n && run->teacher_rows; i++)
        memcpy(run->teacher_rows + (size_t)i * (size_t)td,
               run->teacher.rows + (size_t)step->batch.image[i] * (size_t)td, (size_t)td * sizeof(float));
    const fn_loss_batch batch = {run->unit, step->batch.label, run->teacher_rows, n, run->at.step};
    int rc = fn_loss_run(run->loss, &batch, run->d_unit, &step->loss);
    if (rc < 0) {
        fn_ranks_abort(run->ranks);
        return rc;
    }
    if (!isfinite(step->loss.loss))
        return not_finite(run, step, "the loss");
    step->spread = fn_spread(run->unit, n, run->dimension);
    const int mined = step->loss.n_triplets;
    step->triplet_loss = !mined                             ? NAN
                         : run->loss_options.mean_reduction ? step->loss.loss
                                                            : step->loss.loss / mined;
    return FN_OK;
}

// Gradients are added up over the processes while layers further down are still computing theirs. Running
// statistics become the mean of all: what each would have, had its norms seen every batch in turn.
static int backward(fn_run *run, fn_step *step) {
    const fn_parameters *p = fn_training_parameters(run->training);
    float *gradients = fn_training_gradients(run->training);
    memset(gradients, 0, p->trained_size * sizeof(float));
    fn_ranks_sum_begin(run->ranks, gradients, p->trained_size);
    int rc = fn_chunks_backward(run->chunks, &step->pass, step->batch.pixels, step->batch.n_rows,
                                own_rows(run, step, run->d_unit));
    if (rc < 0) {
        fn_ranks_abort(run->ranks);
        return rc;
    }
    fn_ranks_sum_end(run->ranks);
    if (!run->options->frozen_norms)
        fn_ranks_mean(run->ranks, fn_training_statistics(run->training), p->statistics_size);
    return FN_OK;
}

// Network and loss are clipped by their common norm and move together.
static int update(fn_run *run, fn_step *step) {
    const float *gradients = fn_training_gradients(run->training);
    float *weights = fn_training_weights(run->training);
    double squares = fn_optimizer_squares(run->optimizer, gradients, run->segments, run->n_segments);
    if (run->loss_optimizer)
        squares +=
            fn_optimizer_squares(run->loss_optimizer, fn_loss_gradients(run->loss), run->loss_segments, 2);
    step->gradient_norm = sqrt(squares);
    if (!isfinite(step->gradient_norm))
        return not_finite(run, step, "the gradient");
    const double scale = fn_optimizer_scale(run->optimizer, step->gradient_norm);
    fn_optimizer_apply(run->optimizer, weights, gradients, run->segments, run->n_segments, step->lr, scale);
    if (run->loss_optimizer)
        fn_optimizer_apply(run->loss_optimizer, fn_loss_weights(run->loss), fn_loss_gradients(run->loss),
                           run->loss_segments, 2, step->lr, scale);
    if (run->averaged)
        fn_ema_update(run->averaged, weights, fn_training_parameters(run->training)->trained_size,
                      run->options->ema, run->at.step, run->options->threads);
    return FN_OK;
}

static int log_step(fn_run *run, const fn_step *step) {
    const fn_loss_result *l = &step->loss;
    fn_metrics *m = run->metrics;
    fn_metrics_begin(m, "step", run->at.step);
    fn_metrics_integer(m, "epoch", (int64_t)((run->at.step - 1) / run->epoch_steps) + 1);
    fn_metrics_integer(m, "images", step->batch.n);
    fn_metrics_real(m, "loss", l->loss);
    if (l->n_pairs) {
        fn_metrics_integer(m, "pairs", l->n_pairs);
        fn_metrics_integer(m, "triplets", l->n_triplets);
        fn_metrics_integer(m, "active", l->n_active);
    }
    fn_metrics_real(m, "d_ap", l->mean_ap);
    fn_metrics_real(m, "d_an", l->mean_an);
    fn_metrics_real(m, "spread", step->spread);
    fn_metrics_real(m, "accuracy", l->accuracy);
    fn_metrics_real(m, "lr", step->lr);
    fn_metrics_real(m, "norm", step->gradient_norm);
    return fn_metrics_end(m);
}

static int check_collapse(fn_run *run, const fn_step *step) {
    const int patience = run->options->collapse_steps;
    // What a triplet costs when all embeddings lie on one point; 0: the loss has no such value.
    const fn_loss_kind kind = run->loss_options.kind;
    const double margin = kind == FN_LOSS_SOFT_TRIPLET ? log(2)
                          : kind == FN_LOSS_TRIPLET    ? (double)run->loss_options.margin
                                                       : 0.0;
    if (!fn_collapse_step(&run->at.collapse, step->spread, step->triplet_loss, margin, patience))
        return FN_OK;
    return fn_collapse_fail(step->spread, step->triplet_loss, margin, patience);
}

static int take_step(fn_run *run, fn_step *step) {
    const int64_t began_ms = fn_clock_ms();
    int rc = fn_ranks_agree(run->ranks, load(run, step));
    if (rc == FN_OK)
        rc = forward(run, step);
    if (rc == FN_OK)
        rc = measure_loss(run, step);
    if (rc == FN_OK)
        rc = backward(run, step);
    if (rc == FN_OK)
        rc = update(run, step);
    if (rc < 0)
        return rc;
    run->at.step++;
    run->at.epoch_loss += step->loss.loss;
    run->at.epoch_losses++;
    run->images += step->batch.n;
    run->step_seconds += (double)(fn_clock_ms() - began_ms) / 1000;
    rc = fn_run_leads(run) ? log_step(run, step) : FN_OK;
    rc = fn_ranks_agree(run->ranks, rc);
    return rc == FN_OK ? check_collapse(run, step) : rc;
}

// ---- the end of an epoch ---------------------------------------------------------------------

static int validate(fn_run *run) {
    fn_graph *graph = NULL;
    int rc = fn_training_export(&graph, run->training, fn_run_weights(run), NULL, 1);
    if (rc == FN_OK)
        rc = fn_validator_run(run->validator, graph, &run->at.latest);
    if (rc < 0)
        return rc;
    // Of two equal accuracies the one with the larger area under the curve.
    const fn_train_validation *now = &run->at.latest, *best = &run->at.best;
    if (run->at.best_epoch &&
        (now->accuracy < best->accuracy || (now->accuracy == best->accuracy && now->auc <= best->auc)))
        return FN_OK;
    run->at.best = *now;
    run->at.best_epoch = run->at.epoch;
    return fn_run_export(run, run->best, now);
}

static int log_epoch(fn_run *run) {
    fn_metrics *m = run->metrics;
    const fn_train_validation *v = &run->at.latest;
    fn_metrics_begin(m, "epoch", run->at.step);
    fn_metrics_integer(m, "epoch", run->at.epoch);
    fn_metrics_real(m, "loss", run->epoch_mean);
    if (run->validator) {
        fn_metrics_real(m, "accuracy", v->accuracy);
        fn_metrics_real(m, "accuracy_se", v->accuracy_se);
        fn_metrics_real(m, "threshold", v->threshold);
        fn_metrics_real(m, "val", v->tar_at_far_1e3);
        fn_metrics_real(m, "auc", v->auc);
        fn_metrics_real(m, "eer", v->eer);
        fn_metrics_real(m, "d_same", v->mean_same);
        fn_metrics_real(m, "d_different", v->mean_different);
    }
    int rc = fn_metrics_end(m);
    if (rc < 0)
        return rc;
    fn_metrics_begin(run->timing, "epoch", run->at.step);
    fn_metrics_real(run->timing, "seconds", fn_run_seconds(run));
    fn_metrics_real(run->timing, "images_per_s", run->images / fmax(run->step_seconds, 1e-3));
    fn_metrics_real(run->timing, "loader_wait_s", fn_loader_waited_s(run->loader));
    return fn_metrics_end(run->timing);
}

static int judge_epoch(fn_run *run, const fn_step *step) {
    char state[64];
    int rc = run->validator ? validate(run) : FN_OK;
    if (rc == FN_OK)
        rc = log_epoch(run);
    if (rc == FN_OK)
        rc = fn_hardest_take(&run->hardest, run->loader, &step->batch, run->unit, run->dimension, run->data,
                             &run->input);
    run->is_judged = 1;
    snprintf(state, sizeof state, "epoch %lld of %d", (long long)run->at.epoch, run->options->epochs);
    return rc == FN_OK ? fn_run_describe(run, state) : rc;
}

static int end_epoch(fn_run *run, const fn_step *step) {
    run->at.epoch = (int64_t)((run->at.step + run->epoch_steps - 1) / run->epoch_steps);
    run->epoch_mean = run->at.epoch_loss / (double)run->at.epoch_losses;
    int rc = fn_ranks_agree(run->ranks, fn_run_leads(run) ? judge_epoch(run, step) : FN_OK);
    if (run->at.step % run->epoch_steps == 0) { // else the epoch goes on when the run does
        run->at.epoch_loss = 0;
        run->at.epoch_losses = 0;
    }
    fn_ranks_broadcast(run->ranks, &run->at, sizeof run->at); // the best epoch
    return rc;
}

// ---- the run ---------------------------------------------------------------------------------

static int is_checkpoint_due(const fn_run *run) {
    const fn_train_options *o = run->options;
    return (o->checkpoint_steps && run->at.step % (uint64_t)o->checkpoint_steps == 0) ||
           (o->checkpoint_minutes > 0 &&
            (double)(fn_clock_ms() - run->saved_ms) > o->checkpoint_minutes * 60000);
}

static int is_out_of_time(const fn_run *run) {
    return run->options->max_minutes > 0 && fn_run_seconds(run) >= run->options->max_minutes * 60;
}

static double seconds_left(const fn_run *run, uint64_t steps_before) {
    const double here = fn_run_seconds(run) - run->seconds_before;
    double left = here / (double)(run->at.step - steps_before) * (double)(run->total_steps - run->at.step);
    if (run->options->max_minutes > 0)
        left = fmin(left, fmax(run->options->max_minutes * 60 - fn_run_seconds(run), 0));
    return left;
}

// FN_ECANCELLED or FN_ETIMEOUT when the caller wants to stop.
static int tell(fn_run *run, const fn_step *step, uint64_t steps_before, int is_epoch_end) {
    const fn_train_options *o = run->options;
    const fn_loss_result *l = &step->loss;
    const fn_train_progress progress = {
        .step = run->at.step,
        .n_steps = run->total_steps,
        .epoch = (int)((run->at.step - 1) / run->epoch_steps) + 1,
        .n_epochs = o->epochs,
        .is_epoch_end = is_epoch_end,
        .images_per_s = run->images / fmax(run->step_seconds, 1e-3),
        .loss = is_epoch_end ? run->epoch_mean : l->loss,
        .lr = step->lr,
        .gradient_norm = step->gradient_norm,
        .n_images = step->batch.n,
        .n_triplets = l->n_triplets,
        .n_active = l->n_active,
        .mean_ap = l->mean_ap,
        .mean_an = l->mean_an,
        .accuracy = l->accuracy,
        .loader_wait_s = fn_loader_waited_s(run->loader),
        .eta_s = seconds_left(run, steps_before),
        .validation = run->at.best_epoch ? &run->at.latest : NULL,
    };
    if (fn_run_leads(run) && o->progress && o->progress(o->user, &progress))
        return fn_fail(FN_ECANCELLED, "stopped after step %llu", (unsigned long long)run->at.step);
    return fn_control_step(run->control, run->at.step, run->total_steps);
}

// What the clock says, by that of rank 0.
static void ask_clock(fn_run *run, int *is_late, int *is_due) {
    double says[] = {fn_run_leads(run) && is_out_of_time(run), fn_run_leads(run) && is_checkpoint_due(run)};
    fn_ranks_add(run->ranks, says, 2);
    *is_late = says[0] > 0;
    *is_due = says[1] > 0;
}

// When one is asked to stop, all do.
static int stop_together(fn_run *run, int rc) {
    if (!fn_ranks_any(run->ranks, rc < 0))
        return FN_OK;
    return rc < 0 ? rc : fn_fail(FN_ECANCELLED, "stopped after step %llu", (unsigned long long)run->at.step);
}

static int train(fn_run *run) {
    const uint64_t steps_before = run->at.step;
    int rc = FN_OK, is_last = run->at.step >= run->total_steps;
    while (rc == FN_OK && !is_last) {
        fn_step step = {.lr =
                            fn_schedule_lr(run->schedule, run->at.step, run->epoch_steps, run->total_steps)};
        if (step.lr < 0) // the schedule ends here
            break;
        if ((rc = take_step(run, &step)) < 0)
            break;
        const int is_epoch_end = run->at.step % run->epoch_steps == 0;
        int is_late, is_due;
        ask_clock(run, &is_late, &is_due);
        is_last = run->at.step >= run->total_steps || is_late;
        if (is_epoch_end || is_last)
            rc = end_epoch(run, &step);
        if (rc == FN_OK && (is_epoch_end || is_last || is_due))
            rc = fn_run_save(run);
        if (rc == FN_OK)
            rc = stop_together(run, tell(run, &step, steps_before, is_epoch_end || is_last));
        else
            break;
        if (rc < 0) { // asked to stop: everything up to here is kept
            const int saved = fn_run_save(run);
            rc = saved < 0 ? saved : rc;
        }
    }
    return rc;
}

// What is left to write: the last model, and how it ended on the page.
static int finish(fn_run *run, int rc) {
    char state[1100];
    if (!fn_run_leads(run))
        return rc;
    if (rc == FN_OK)
        snprintf(state, sizeof state, "finished after %lld epochs", (long long)run->at.epoch);
    else
        snprintf(state, sizeof state, "stopped: %s", fn_last_error());
    const int is_sound = rc == FN_OK || rc == FN_ECANCELLED || rc == FN_ETIMEOUT;
    if (!is_sound && rc != FN_ETRAIN)
        return rc; // such as a full disk: more writing would only hide what happened
    char why[1024];
    snprintf(why, sizeof why, "%s", fn_last_error());
    // The page of an earlier process stays until this one has something to show in its place.
    int written = run->is_judged || access(run->report, F_OK) != 0 ? fn_run_describe(run, state) : FN_OK;
    if (written == FN_OK && is_sound)
        written = fn_run_export(run, run->last, run->at.best_epoch ? &run->at.latest : NULL);
    if (rc < 0)
        return fn_fail(rc, "%s", why);
    return written;
}

int fn_train_run(const fn_train_options *options, fn_train_result *result, const fn_control *control) {
    fn_run run;
    int rc = fn_run_open(&run, options, control);
    *result = (fn_train_result){0};
    if (rc == FN_OK)
        rc = fn_ranks_agree(run.ranks, finish(&run, train(&run)));
    result->rank = fn_ranks_rank(run.ranks);
    result->n_ranks = fn_ranks_size(run.ranks);
    result->step = run.at.step;
    result->epoch = (int)run.at.epoch;
    result->best = run.at.best;
    result->best_epoch = (int)run.at.best_epoch;
    if (run.started_ms)
        result->seconds = fn_run_seconds(&run);
    const char *model = run.at.best_epoch ? run.best : run.last;
    if (model && access(model, F_OK) == 0)
        snprintf(result->model, sizeof result->model, "%s", model);
    fn_run_close(&run);
    return rc;
}
