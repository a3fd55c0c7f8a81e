// SPDX-License-Identifier: Apache-2.0
//
// What a run is, in blocks: whatever decides a later number is among them. Random numbers need no state, for
// they are functions of seed and step.
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/checkpoint.h"
#include "train/config.h"

enum { MAX_BLOCKS = 9 };

// The same list writes and reads.
static int blocks_of(fn_run *run, fn_checkpoint_block blocks[MAX_BLOCKS]) {
    int n = 0;
    size_t state;
    const fn_parameters *p = fn_training_parameters(run->training);
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

int fn_run_save(fn_run *run) {
    fn_checkpoint_block blocks[MAX_BLOCKS];
    run->at.optimizer_steps = fn_optimizer_steps(run->optimizer);
    run->at.loss_optimizer_steps = run->loss_optimizer ? fn_optimizer_steps(run->loss_optimizer) : 0;
    run->at.seconds = fn_run_seconds(run);
    int rc = fn_metrics_sync(run->metrics);
    if (rc == FN_OK)
        rc = fn_checkpoint_write(run->checkpoint, run->config, blocks, blocks_of(run, blocks));
    run->saved_ms = fn_clock_ms();
    return rc;
}

int fn_run_restore(fn_run *run) {
    fn_checkpoint_block blocks[MAX_BLOCKS];
    char *config = NULL;
    int rc = fn_checkpoint_read(run->checkpoint, &config, NULL, 0);
    if (rc == FN_OK)
        rc = fn_config_same(run->options, config);
    if (rc == FN_OK)
        rc = fn_checkpoint_read(run->checkpoint, NULL, blocks, blocks_of(run, blocks));
    fn_free(config);
    if (rc < 0)
        return rc;
    fn_optimizer_set_steps(run->optimizer, run->at.optimizer_steps);
    if (run->loss_optimizer)
        fn_optimizer_set_steps(run->loss_optimizer, run->at.loss_optimizer_steps);
    run->seconds_before = run->at.seconds;
    return FN_OK;
}
