// SPDX-License-Identifier: Apache-2.0
//
// The learning rate as a function of the step, from one line of text:
//
//     constant                          the base rate throughout
//     step:every=10,factor=0.1          times factor after every 10 epochs
//     step:at=30+60,factor=0.1          times factor at epochs 30 and 60 (counted from 0)
//     cosine:end=0.001                  from the base rate to end (default 0) along half a cosine
//                                       (Loshchilov and Hutter 2017, section 3)
//     file:rates.txt                    lines "epoch: rate"; # begins a comment; a rate of -1 or - ends
//                                       the training; the first rate holds from the start
//
// Each of them takes lr=RATE (instead of the base rate) and warmup=STEPS: over the first STEPS steps the rate
// rises in a straight line to what the schedule says.
#ifndef FN_TRAIN_SCHEDULE_H
#define FN_TRAIN_SCHEDULE_H

#include <stdint.h>

typedef struct fn_schedule fn_schedule;

/// lr: the base rate, > 0. FN_EINVAL with the line that is wrong and what was expected, FN_EIO for a file
/// that cannot be read, FN_ENOMEM.
int fn_schedule_parse(fn_schedule **out, const char *text, double lr);
void fn_schedule_free(fn_schedule *schedule);

/// The rate of step 0, 1, ...; negative: the training ends here. epoch_steps: steps of an epoch; total_steps:
/// of the whole run, where cosine ends.
double fn_schedule_lr(const fn_schedule *schedule, uint64_t step, uint64_t epoch_steps, uint64_t total_steps);

#endif
