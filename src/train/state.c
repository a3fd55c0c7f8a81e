// SPDX-License-Identifier: Apache-2.0
//
// What a run is, in blocks: whatever decides a later number is among them. Random numbers need no state, for
// they are functions of seed and step.
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/checkpoint.h"
#include "train/config.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BLOCKS = 10 };

// The same list writes and reads.
static int blocks_of(fn_run *run, fn_checkpoint_block blocks[MAX_BLOCKS]) {
    int n = 0;
    size_t state;
    const fn_parameters *p = fn_training_parameters(run->training);
    blocks[n++] = (fn_checkpoint_block){"pictures", run->pictures, sizeof run->pictures};
    blocks[n++] = (fn_checkpoint_block){"position", &run->at, sizeof run->at};
    blocks[n++] =
        (fn_checkpoint_block){"weights", fn_training_weights(run->training), p->trained_size * sizeof(float)};
    blocks[n++] = (fn_checkpoint_block){"statistics", fn_training_statistics(run->training),
                                        p->statistics_size * sizeof(float)};
    float *optimizer = fn_optimizer_state(run->optimizer, &state);
    blocks[n++] = (fn_checkpoint_block){"optimizer", optimizer, state * sizeof(float)};
    if (run->averaged)
        blocks[n++] = (fn_checkpoint_block){"averaged", run->averaged, p->trained_size * sizeof(float)};
    if (run->loss_optimizer) {
        blocks[n++] = (fn_checkpoint_block){"loss weights", fn_loss_weights(run->loss),
                                            fn_loss_n_weights(run->loss) * sizeof(float)};
        optimizer = fn_optimizer_state(run->loss_optimizer, &state);
        blocks[n++] = (fn_checkpoint_block){"loss optimizer", optimizer, state * sizeof(float)};
    }
    if (fn_loss_n_state(run->loss))
        blocks[n++] = (fn_checkpoint_block){"loss state", fn_loss_state(run->loss),
                                            fn_loss_n_state(run->loss) * sizeof(float)};
    return n;
}

// All: what every rank has computed for itself is the same everywhere. Weights are to the last bit, for all
// add the same gradients; what the loss learns may differ in the last digits where machines do.
static int meet(fn_run *run) {
    unsigned char digest[32];
    size_t state;
    if (fn_ranks_size(run->ranks) == 1)
        return FN_OK;
    if (run->loss_optimizer) {
        fn_ranks_broadcast(run->ranks, fn_loss_weights(run->loss),
                           fn_loss_n_weights(run->loss) * sizeof(float));
        float *optimizer = fn_optimizer_state(run->loss_optimizer, &state);
        fn_ranks_broadcast(run->ranks, optimizer, state * sizeof *optimizer);
    }
    if (fn_loss_n_state(run->loss))
        fn_ranks_broadcast(run->ranks, fn_loss_state(run->loss), fn_loss_n_state(run->loss) * sizeof(float));
    fn_sha256(digest, fn_training_weights(run->training),
              fn_training_parameters(run->training)->trained_size * sizeof(float));
    return fn_ranks_same(run->ranks, digest, sizeof digest, "weights");
}

// An update may overflow though its gradient was finite: such weights are not kept, the checkpoint before is.
static int check_weights(const fn_run *run) {
    const float *weights = fn_training_weights(run->training);
    const size_t n = fn_training_parameters(run->training)->trained_size;
    for (size_t i = 0; i < n; i++)
        if (!isfinite(weights[i]))
            return fn_fail(
                FN_ETRAIN,
                "after step %llu a weight is not finite; the last checkpoint is as it was: go on from it "
                "with a lower lr",
                (unsigned long long)run->at.step);
    return FN_OK;
}

static int write_checkpoint(fn_run *run) {
    fn_checkpoint_block blocks[MAX_BLOCKS];
    if (!fn_run_leads(run))
        return FN_OK;
    run->at.optimizer_steps = fn_optimizer_steps(run->optimizer);
    run->at.loss_optimizer_steps = run->loss_optimizer ? fn_optimizer_steps(run->loss_optimizer) : 0;
    run->at.seconds = fn_run_seconds(run);
    int rc = check_weights(run);
    if (rc == FN_OK)
        rc = fn_metrics_sync(run->metrics);
    if (rc == FN_OK)
        rc = fn_checkpoint_write(run->checkpoint, run->config, blocks, blocks_of(run, blocks));
    return rc;
}

int fn_run_save(fn_run *run) {
    int rc = meet(run);
    if (rc == FN_OK)
        rc = fn_ranks_agree(run->ranks, write_checkpoint(run));
    run->saved_ms = fn_clock_ms();
    return rc;
}

// Without a checkpoint: a run that was killed before its first one begins again, but one that has come
// further has lost it. The first is written when the first epoch has been measured, at the latest.
static int check_is_new(const fn_run *run) {
    static const char *const keys[] = {"epoch"};
    fn_series epochs;
    if (access(run->metrics_path, F_OK) != 0 ||
        fn_metrics_read(&epochs, run->metrics_path, "epoch", keys, 1) < 0)
        return FN_OK;
    const size_t n = epochs.n;
    fn_series_free(&epochs, 1);
    if (n < 2)
        return FN_OK;
    return fn_fail(FN_ENOTFOUND,
                   "%s is gone: the run cannot go on; begin another from its model (--model %s)",
                   run->checkpoint, access(run->best, F_OK) == 0 ? run->best : run->last);
}

static int read_checkpoint(fn_run *run) {
    fn_checkpoint_block blocks[MAX_BLOCKS];
    unsigned char pictures[sizeof run->pictures];
    char *config = NULL;
    if (!fn_run_leads(run))
        return FN_OK;
    if (access(run->checkpoint, F_OK) != 0)
        return check_is_new(run);
    int rc = fn_checkpoint_read(run->checkpoint, &config, NULL, 0);
    if (rc == FN_OK)
        rc = fn_config_same(run->options, config);
    blocks[0] = (fn_checkpoint_block){"pictures", pictures, sizeof pictures};
    if (rc == FN_OK)
        rc = fn_checkpoint_read(run->checkpoint, NULL, blocks, 1);
    if (rc == FN_OK && memcmp(pictures, run->pictures, sizeof pictures) != 0)
        rc = fn_fail(
            FN_ECONFLICT,
            "%s holds other pictures than when the run was begun: it cannot go on with them (begin a run "
            "from its model: --model %s)",
            run->options->data, run->best);
    if (rc == FN_OK)
        rc = fn_checkpoint_read(run->checkpoint, NULL, blocks, blocks_of(run, blocks));
    fn_free(config);
    return rc;
}

int fn_run_restore(fn_run *run) {
    fn_checkpoint_block blocks[MAX_BLOCKS];
    int rc = fn_ranks_agree(run->ranks, read_checkpoint(run));
    if (rc < 0)
        return rc;
    for (int i = 0, n = blocks_of(run, blocks); i < n; i++)
        fn_ranks_broadcast(run->ranks, blocks[i].data, blocks[i].bytes);
    fn_optimizer_set_steps(run->optimizer, run->at.optimizer_steps);
    if (run->loss_optimizer)
        fn_optimizer_set_steps(run->loss_optimizer, run->at.loss_optimizer_steps);
    run->seconds_before = run->at.seconds;
    return FN_OK;
}
