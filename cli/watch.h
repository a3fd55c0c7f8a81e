// SPDX-License-Identifier: Apache-2.0
//
// A source that is watched: recognizer, gallery, video and stream in one, opened as the settings say; who
// people are; and the picture with their names on it.
//
//     if ((code = cli_watch_open(&watch, &command, &options)) == CLI_DONE)
//         while (!cli_wants_stop && fn_stream_next(watch->stream, &now) == FN_OK && now)
//             if (now->frame && cli_watch_draw(watch, now, 0) == FN_OK)
//                 ... cli_watch_picture(watch) ...
//     cli_watch_close(watch);
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "cli.h"

#include <signal.h>

/// Set by SIGINT, SIGTERM and SIGHUP once cli_catch_signals was called; another one two seconds later ends
/// the program at once.
extern volatile sig_atomic_t cli_wants_stop;
void cli_catch_signals(void);

typedef struct cli_watch_options {
    const char *source;         // NULL: --source, else camera 0
    fn_frame_policy policy;     // where --policy was not given
    int only_detect;            // 1: no gallery, nobody followed or named
    int mirror;                 // 1: frames are mirrored before anything is looked for
    int may_make_gallery;       // 1: without --gallery, the user's own gallery is made where there is none
    const cli_command *command; // for usage errors
} cli_watch_options;

typedef struct cli_watch {
    fn_recognizer *recognizer;
    fn_video *video;
    fn_stream *stream;
    // A face that is marked otherwise than by its decision: its track, 0: none; what it is called, 0xRRGGBB.
    uint32_t marked;
    const char *marked_text;
    uint32_t marked_color;
    struct cli_watch_inside *inside;
} cli_watch;

/// Opens all of it, the source last. CLI_DONE, or an exit code, said on stderr, and *out NULL. A stop by a
/// signal meanwhile is no failure: CLI_DONE and *out NULL.
int cli_watch_open(cli_watch **out, const cli_watch_options *options);
/// NULL is a no-op.
void cli_watch_close(cli_watch *watch);

/// Whether two paths lead to one file that is there.
int cli_is_same_file(const char *a, const char *b);

/// What the source is called: its words, an address without user, password and query.
const char *cli_watch_source(const cli_watch *watch);

/// Whom faces are compared with; NULL: nobody. Valid until the next cli_watch_reload.
const fn_index *cli_watch_index(const cli_watch *watch);

/// The name of a person, also of one who left the gallery meanwhile; NULL: never known. Valid until the
/// watch is closed.
const char *cli_watch_name(const cli_watch *watch, fn_id person);
/// What a face is called: the name, "unknown" or "ambiguous".
const char *cli_watch_called(const cli_watch *watch, fn_decision decision, fn_id person);
/// People by order of their names, NULL beyond the last.
size_t cli_watch_n_people(const cli_watch *watch);
const char *cli_watch_person(const cli_watch *watch, size_t index);

/// The gallery has changed: from the next frame on its people of now are known. FN_OK or a facenet error.
int cli_watch_reload(cli_watch *watch);
/// Looks once a second whether somebody else has changed the gallery, and reloads. FN_OK or a facenet error.
int cli_watch_keep_up(cli_watch *watch);

/// What is written is not what is read: refuses paths (NULL and "-" are passed over) that are the source, the
/// gallery or each other. -1, or CLI_USAGE, said on stderr.
int cli_watch_check_outputs(const cli_watch *watch, const cli_command *command, const char *const *paths,
                            size_t n);

/// Copies a frame and marks its confirmed faces with name, distance and the colour of the decision; mirrored
/// 1: as in a mirror, names upright. Without the library that draws letters only boxes are drawn, which is
/// said once. FN_ENOMEM.
int cli_watch_draw(cli_watch *watch, const fn_stream_frame *now, int mirrored);
/// What was drawn last, RGB and tight, and the same pixels to be drawn on. Its width is 0 before the first.
const fn_image *cli_watch_picture(const cli_watch *watch);
unsigned char *cli_watch_pixels(const cli_watch *watch);

/// How a video is opened by the settings. -1, or CLI_USAGE, said on stderr.
int cli_video_options(fn_video_options *out, const cli_command *command);
/// Where warnings of a video go, and what ends its waiting after a signal.
extern const fn_control cli_video_control;

#endif
