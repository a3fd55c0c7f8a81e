// SPDX-License-Identifier: Apache-2.0
//
// What happens before a camera, a line each: somebody "entered" (as soon as there is a name, or after a
// second without one), was "named" (the name came or changed later), "left". A face seen too few times to
// count is not told.
#ifndef CLI_EVENTS_H
#define CLI_EVENTS_H

#include "watch.h"

typedef struct cli_events cli_events;

typedef struct cli_events_options {
    const char *path;  // file of JSON lines, opened for append, 0600; "-": JSON lines on stdout; NULL: lines
                       // on stdout as --json says
    const char *crops; // folder for the best crop of each track; NULL: none is kept
    const char *source;
    int is_live; // 1: lines say what the clock showed
} cli_events_options;

/// CLI_DONE or CLI_INPUTS, said on stderr, and *out NULL.
int cli_events_open(cli_events **out, const cli_events_options *options);
/// Tells what one frame brought. CLI_DONE or CLI_INPUTS, said on stderr.
int cli_events_add(cli_events *events, const cli_watch *watch, const fn_stream_frame *now);
/// Lets all leave who are still there, closes and frees. CLI_DONE or CLI_INPUTS. NULL is a no-op.
int cli_events_close(cli_events *events, const cli_watch *watch);

#endif
