// SPDX-License-Identifier: Apache-2.0
//
// facenet recognize-video: who is in a video, and when.
#include "cli.h"
#include "output.h"
#include "progress.h"
#include "sightings.h"
#include "video_out.h"
#include "watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_FILES = 16 };
#define MOST_OF 0.9 // of the length that a file claims; sound may go on for a while after the pictures
static const char *timeline_paths[MAX_FILES + 1]; // a NULL ends them
static const char *out_path;

static const cli_option options[] = {
    {"timeline", 0, "FILE", "write the timeline too: .json, .csv, or .html, a page; may be given again",
     CLI_TEXTS, timeline_paths, 0, MAX_FILES},
    {"out", 0, "FILE|DIR|-",
     "write the video with faces marked: .mp4, .mkv, .mov, .avi, a folder of pictures, or Matroska on "
     "standard output instead of the lines",
     CLI_TEXT, &out_path, 0, 0},
    {"fps", 0, "RATE", "frames per second of a folder of pictures [25]", CLI_REAL, &cli.fps, 0.1, 1000},
    {"timeout", 0, "SECONDS", "longest silence of a source, at its opening too [10]", CLI_REAL, &cli.timeout,
     0.1, 86400},
    {"any-certificate", 0, NULL, "do not check who sends an https or rtsps stream", CLI_FLAG,
     &cli.any_certificate, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "recognize-video",
    .operands = "FILE",
    .about =
        "Looks through a video as fast as it goes and tells who is on view, and when. One line for each "
        "time\n"
        "somebody is on view: name, from, to (seconds), frames with the face, distance to the nearest\n"
        "person, false-match rate of that distance, what it means, nearest person, time of the best\n"
        "face. Absences below a second do not count. Faces of nobody who is known are called unknown-1,\n"
        "unknown-2, ...: one for each time a face is followed, so that two of them may be one person.\n"
        "FILE may also be a folder of pictures, an address, or -.\n"
        "Ctrl-C ends early; what was found until then is told, and so it is when a file is damaged on\n"
        "the way, or cut off (its pictures end before 9/10 of the length it claims, counted from the\n"
        "first of them): exit code 1. Somebody seen in fewer than 3 of the searched frames does not count,\n"
        "and a name wants several looks. The marked video has no sound.",
    .options = options,
    .shared = CLI_SHARED_GALLERY | CLI_SHARED_WATCH | CLI_SHARED_MODEL | CLI_SHARED_MODELS |
              CLI_SHARED_DETECTOR | CLI_SHARED_OUTPUT,
    .min_operands = 1,
    .max_operands = 1,
};

typedef struct job {
    cli_watch *watch;
    fn_timeline *timeline;
    cli_video_out *out; // NULL: none
    uint64_t n_frames;
    double last_s;        // of the last frame
    char why_early[1200]; // "": it ended at its end
} job;

// What one frame brought. CLI_DONE or an exit code.
static int take(job *j, const fn_stream_frame *now) {
    int rc = fn_timeline_add(j->timeline, now);
    if (rc < 0)
        return cli_failure(rc);
    if (!now->frame)
        return CLI_DONE;
    j->n_frames++;
    j->last_s = now->time_s;
    cli_progress_show(j->n_frames);
    if (!j->out)
        return CLI_DONE;
    rc = cli_watch_draw(j->watch, now, 0);
    return rc < 0 ? cli_failure(rc) : cli_video_out_add(j->out, cli_watch_picture(j->watch), now->time_s);
}

// To the end of the video, or as far as it goes.
static int look_through(job *j) {
    const fn_stream_frame *now = NULL;
    int rc, code = CLI_DONE;
    cli_progress_start(fn_video_get_info(j->watch->video)->n_frames);
    while (!cli_wants_stop && (rc = fn_stream_next(j->watch->stream, &now)) == FN_OK && now)
        if ((code = take(j, now)) != CLI_DONE)
            break;
    cli_progress_clear();
    if (code != CLI_DONE)
        return code;
    if (cli_wants_stop) {
        snprintf(j->why_early, sizeof j->why_early, "interrupted after %.2f s", j->last_s);
    } else if (rc < 0) {
        if (rc == FN_ENOMEM || j->n_frames == 0)
            return cli_failure(rc);
        snprintf(j->why_early, sizeof j->why_early, "after %.2f s: %s", j->last_s, fn_last_error());
    } else {
        const uint64_t n_damaged = fn_video_get_counts(j->watch->video).n_damaged;
        const double length_s = fn_video_get_info(j->watch->video)->duration_s;
        if (j->last_s < MOST_OF * length_s - 1)
            snprintf(j->why_early, sizeof j->why_early,
                     "the pictures end after %.2f s, the file's header says %.2f s: it is cut off", j->last_s,
                     length_s);
        else if (n_damaged)
            snprintf(j->why_early, sizeof j->why_early, "damaged in %llu place%s",
                     (unsigned long long)n_damaged, n_damaged == 1 ? "" : "s");
    }
    return CLI_DONE;
}

static int tell(const job *j) {
    const double fps = fn_video_get_info(j->watch->video)->fps;
    const cli_sightings sightings = {j->watch, j->timeline,
                                     j->last_s + (j->n_frames && fps > 0 ? 1 / fps : 0), j->n_frames,
                                     *j->why_early ? j->why_early : NULL};
    int code = CLI_DONE;
    if (!out_path || strcmp(out_path, "-") != 0)
        cli_sightings_print(&sightings);
    for (size_t i = 0; timeline_paths[i]; i++)
        if (cli_sightings_write(&sightings, timeline_paths[i]) != CLI_DONE)
            code = CLI_INPUTS;
    const unsigned long long n_brief = fn_timeline_n_brief(j->timeline);
    if (n_brief)
        cli_note("%llu %s seen in fewer than 3 of the searched frames and left out", n_brief,
                 n_brief == 1 ? "face was" : "faces were");
    if (*j->why_early) {
        cli_error("%s: %s", cli_watch_source(j->watch), j->why_early);
        code = CLI_INPUTS;
    }
    return code;
}

static int run(job *j) {
    fn_timeline_options timeline = FN_TIMELINE_OPTIONS_INIT;
    for (size_t i = 0; timeline_paths[i]; i++)
        if (cli_sightings_has_pictures(timeline_paths[i]))
            timeline.picture = CLI_PICTURE;
    timeline.index = cli_watch_index(j->watch);
    timeline.fingerprint = fn_embedder_fingerprint(fn_recognizer_embedder(j->watch->recognizer));
    int rc = fn_timeline_open(&j->timeline, &timeline);
    if (rc < 0)
        return cli_failure(rc);
    int code = CLI_DONE;
    if (out_path)
        code = cli_video_out_open(&j->out, &command, out_path, fn_video_get_info(j->watch->video)->fps);
    if (code == CLI_DONE)
        code = look_through(j);
    if (code != CLI_DONE)
        return code;
    rc = fn_timeline_finish(j->timeline);
    if (rc < 0)
        return cli_failure(rc);
    code = tell(j);
    if (j->out) {
        const int finished = cli_video_out_finish(j->out);
        j->out = NULL;
        code = code == CLI_DONE ? finished : code;
    }
    return code;
}

int cmd_recognize_video(int argc, char **argv) {
    job j = {0};
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    for (size_t i = 0; timeline_paths[i]; i++)
        if (!cli_sightings_is_file(timeline_paths[i]))
            return cli_usage_error(&command,
                                   "--timeline wants a file called .json, .csv or .html, not \"%s\"",
                                   timeline_paths[i]);
    umask(077); // what is written shows faces and tells names
    for (size_t i = 0; timeline_paths[i]; i++)
        if (cli_sightings_check(timeline_paths[i]) != CLI_DONE)
            return CLI_INPUTS;
    if (out_path && cli_is_same_file(out_path, argv[1]))
        return cli_usage_error(&command, "--out %s is the video itself", out_path);
    cli_catch_signals();
    cli.reconnects = 0; // a stream that breaks off has ended
    const cli_watch_options watch = {.source = argv[1], .command = &command};
    int code = cli_watch_open(&j.watch, &watch);
    const char *written[MAX_FILES + 1] = {out_path};
    memcpy(written + 1, timeline_paths, MAX_FILES * sizeof *written);
    if (j.watch) {
        code = cli_watch_check_outputs(j.watch, &command, written, MAX_FILES + 1);
        code = code < 0 ? run(&j) : code;
    } else if (code == CLI_DONE) // a signal while it was opened
        code = CLI_INPUTS;
    cli_video_out_free(j.out);
    fn_timeline_free(j.timeline);
    cli_watch_close(j.watch);
    return code;
}
