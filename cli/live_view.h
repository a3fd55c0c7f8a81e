// SPDX-License-Identifier: Apache-2.0
//
// The window of facenet live: the marked picture, what is measured, and a face that is clicked and given a
// name.
#ifndef CLI_LIVE_VIEW_H
#define CLI_LIVE_VIEW_H

#include "watch.h"

typedef struct cli_live_view cli_live_view;

typedef struct cli_live_view_options {
    int enroll_key; // code point
    int keep_crops; // 1: with a face that is enrolled, its crop
    int show_stats; // 1: from the beginning
} cli_live_view_options;

/// Opens the window. CLI_DONE, or CLI_INPUTS, said on stderr, and *out NULL.
int cli_live_view_open(cli_live_view **out, cli_watch *watch, const cli_live_view_options *options);
/// NULL is a no-op.
void cli_live_view_close(cli_live_view *view);

/// Shows a frame. CLI_DONE or CLI_INPUTS, said on stderr.
int cli_live_view_show(cli_live_view *view, const fn_stream_frame *now);
/// Does what keys and clicks ask for, and keeps the window alive while no frame comes. Call it often.
/// CLI_DONE or CLI_INPUTS; *ended becomes 1 when it is to end.
int cli_live_view_poll(cli_live_view *view, int *ended);

#endif
