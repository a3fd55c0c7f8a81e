// SPDX-License-Identifier: Apache-2.0
//
// What capture is made of: a judge who says which faces are kept, the folder they go to, and what the window
// shows meanwhile.
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "picture.h"
#include "window.h"

#include <stdio.h>

// ---- which faces are kept (capture_judge.c) ----------------------------------------------------------

enum { CLI_SMALL = 16 }; // side of the small grey picture by which crops are told apart

/// Why a frame was passed over. Faults of quality.h come first, by the number of their bit.
typedef enum cli_refusal {
    CLI_REFUSED_FAULT = 0, // 0..6: FN_FAULT_... = 1 << refusal
    CLI_REFUSED_NOBODY = 7,
    CLI_REFUSED_SEVERAL, // more than one face
    CLI_REFUSED_ALIKE,   // nearly the same picture is kept
    CLI_REFUSED_POSE,    // enough of this pose, others are missing
    CLI_REFUSED_ODD,     // its landmarks are no face's, so that nothing can be measured or cut out
    CLI_REFUSED_ANOTHER, // not the person of those that are kept
    CLI_N_REFUSALS
} cli_refusal;

typedef enum cli_verdict {
    CLI_REFUSED, // `refusal` says why
    CLI_WAITING, // good, but not yet its turn
    CLI_KEEP
} cli_verdict;

typedef struct cli_judge {
    const fn_template *tmpl;
    int count, every; // how many to keep, every how many good frames
    int is_guided;    // 1: poses have quotas; 0: nobody is there to turn the head
    int n_kept, n_good, n_waited;
    int kept[FN_METER_POSE_LEN], quota[FN_METER_POSE_LEN];
    int n_surplus;                         // kept in a row although their quota was full
    double kept_s;                         // when the last one was kept
    uint64_t n_refused[CLI_N_REFUSALS];    // frames
    float (*known)[CLI_SMALL * CLI_SMALL]; // small pictures of what is kept, in the folder before too
    size_t n_known, room;
    // Of the last frame:
    unsigned char *crop; // (tmpl->height, tmpl->width, 3), when waited for
    fn_quality quality;
    int pose; // fn_meter_pose as seen in a mirror; -1: not exactly one face, or an odd one
    cli_verdict verdict;
    cli_refusal refusal;
    float small[CLI_SMALL * CLI_SMALL];
} cli_judge;

/// tmpl outlives the judge. FN_OK, FN_ENOMEM or FN_EINVAL.
int cli_judge_init(cli_judge *judge, const fn_template *tmpl, int count, int every, int is_guided);
void cli_judge_free(cli_judge *judge);
/// Looks at a frame and fills what is said of the last one. FN_OK or FN_ENOMEM.
int cli_judge_look(cli_judge *judge, const fn_stream_frame *now);
/// What was to be kept is not after all.
void cli_judge_withdraw(cli_judge *judge, cli_refusal why);
/// The crop of the last frame was kept. FN_OK or FN_ENOMEM.
int cli_judge_kept(cli_judge *judge);
/// A crop that was kept before counts as known, when it has the template's size. FN_OK or FN_ENOMEM.
int cli_judge_know(cli_judge *judge, const fn_image *crop);

/// A refusal in plain words, static storage; and the pose whose quota misses most, in plain words, "" when
/// none is or nobody is guided.
const char *cli_refusal_text(cli_refusal refusal);
const char *cli_judge_hint(const cli_judge *judge);
/// "front", "left", "right", "up", "down": as the person turns.
const char *cli_pose_name(int pose);

// ---- where they go (capture_folder.c) ----------------------------------------------------------------

typedef struct cli_folder {
    char *path; // DIR/NAME
    char *name;
    unsigned long next; // number of the next file
    int is_made;        // it was not there before
} cli_folder;

/// Why a name cannot be that of a folder of faces, or NULL.
const char *cli_folder_name_fault(const char *name);
/// Makes DIR/NAME where it is missing, for its owner alone, and tells each crop that is there to the judge.
/// CLI_DONE or CLI_INPUTS, said on stderr.
int cli_folder_open(cli_folder *folder, const char *dir, const char *name, cli_judge *judge);
/// Takes a folder that was made and stayed empty away.
void cli_folder_close(cli_folder *folder);
/// Writes a crop as NAME<k>.jpg with a number that nobody has taken. *path is new memory (free). CLI_DONE or
/// CLI_INPUTS, said on stderr.
int cli_folder_save(cli_folder *folder, const fn_image *crop, char **path);

// ---- what is shown (capture_view.c) ------------------------------------------------------------------

typedef struct cli_view {
    cli_window *window; // NULL: none
    const char *name;
    cli_picture picture;
    char reason[128]; // said last, and until when it stays
    int64_t reason_ms, kept_ms, drawn_ms;
    int is_line_shown, said_no_letters;
} cli_view;

/// Shows a frame that was judged: in the window, and as a line on stderr where a person looks at it. FN_OK,
/// or an error with fn_last_error().
int cli_view_show(cli_view *view, const cli_judge *judge, const fn_stream_frame *now);
/// Takes the line on stderr away, before something else is written.
void cli_view_clear_line(cli_view *view);
/// 1 when the window was asked to end.
int cli_view_wants_end(cli_view *view);
void cli_view_close(cli_view *view);

#endif
