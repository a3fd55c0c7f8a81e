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

/// "facenet: LINE" in its place. From any thread.
void cli_progress_say(const char *line);

/// From now on SIGINT and SIGTERM ask for an end rather than make one; a second one ends at once.
void cli_stop_on_signals(void);
/// 1 when one of them came.
int cli_asked_to_stop(void);

#endif
