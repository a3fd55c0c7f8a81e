// SPDX-License-Identifier: Apache-2.0
//
// A line of progress on stderr while many pictures are worked on.
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdint.h>

/// 1 when progress would be shown: stderr is a terminal and --quiet was not given.
int cli_progress_wanted(void);
/// Begins; total 0: not known.
void cli_progress_start(uint64_t total);
/// Redraws at most five times a second.
void cli_progress_show(uint64_t done);
/// Takes the line away, before something else is written and at the end.
void cli_progress_clear(void);

#endif
