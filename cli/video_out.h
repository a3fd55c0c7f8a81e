// SPDX-License-Identifier: Apache-2.0
//
// Where marked frames go: a video file ("x.mp4", "x.mkv", ...), a folder of numbered JPEGs ("frames/", or a
// folder that is there), or Matroska on standard output ("-").
//
//     if ((code = cli_video_out_open(&out, &command, "marked.mp4", 25)) == CLI_DONE)
//         while (... && (code = cli_video_out_add(out, image, time_s)) == CLI_DONE)
//             ;
//     finished = cli_video_out_finish(out);   // only now the file has its name
#ifndef CLI_VIDEO_OUT_H
#define CLI_VIDEO_OUT_H

#include "cli.h"

typedef struct cli_video_out cli_video_out;

/// -1 for a path that --out may have, else CLI_USAGE, said on stderr: for before the work begins.
int cli_video_out_check(const cli_command *command, const char *path);
/// Checks the path and makes a folder; a file begins with its first frame. fps: what a player is told, 0: 25.
/// CLI_DONE, CLI_USAGE, CLI_INPUTS, said on stderr; then *out is NULL.
int cli_video_out_open(cli_video_out **out, const cli_command *command, const char *path, double fps);
/// Adds an RGB frame; time_s rises. In a video all have the size of the first, others are fitted into it.
/// CLI_DONE or CLI_INPUTS, said on stderr.
int cli_video_out_add(cli_video_out *out, const fn_image *image, double time_s);
uint64_t cli_video_out_len(const cli_video_out *out); // frames
/// Completes the video and frees, also when it fails. Without a frame no file appears, which is noted; nor
/// does one after a frame could not be added (CLI_INPUTS).
int cli_video_out_finish(cli_video_out *out);
/// Gives up: nothing appears under the name of a video; pictures of a folder stay. NULL is a no-op.
void cli_video_out_free(cli_video_out *out);

#endif
