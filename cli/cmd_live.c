// SPDX-License-Identifier: Apache-2.0
//
// facenet live: who is before the camera, now.
#include "events.h"
#include "live_view.h"
#include "mjpeg.h"
#include "video_out.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TICK_MS = 10, MOST_NAMES = 20 };

static int no_window, with_window, mjpeg_port = -1, keep_crops, show_stats;
static const char *out_path, *listen_address, *events_path, *crops_path, *enroll_key = "e";

static const cli_option options[] = {
    {"no-window", 0, NULL, "open no window", CLI_FLAG, &no_window, 0, 0},
    {"window", 0, NULL, "open the window beside --out or --mjpeg too", CLI_FLAG, &with_window, 0, 0},
    {"out", 0, "FILE|DIR/|-",
     "write the marked picture as video (.mp4 .mkv .mov .avi), as numbered JPEGs, or as Matroska on stdout",
     CLI_TEXT, &out_path, 0, 0},
    {"mjpeg", 0, "PORT", "show the marked picture to browsers, http://127.0.0.1:PORT/; 0: a free port",
     CLI_COUNT, &mjpeg_port, 0, 65535},
    {"listen", 0, "ADDRESS", "with --mjpeg: where others may look from; 0.0.0.0: anywhere [127.0.0.1]",
     CLI_TEXT, &listen_address, 0, 0},
    {"events", 0, "FILE", "append who came, was named and left as JSON lines; -: on stdout", CLI_TEXT,
     &events_path, 0, 0},
    {"crops", 0, "DIR", "with events: keep the best crop of each face that was followed", CLI_TEXT,
     &crops_path, 0, 0},
    {"enroll-key", 0, "KEY", "key of the window after which a face is clicked and named [e]", CLI_TEXT,
     &enroll_key, 0, 0},
    {"keep-crops", 0, NULL, "keep the cut-out faces that are enrolled in the gallery too", CLI_FLAG,
     &keep_crops, 0, 0},
    {"stats", 0, NULL, "show rates and times from the beginning, as the key f does", CLI_FLAG, &show_stats, 0,
     0},
    {0},
};

static const cli_command command = {
    .name = "live",
    .operands = "",
    .about =
        "Names the people before a camera, or in any other source, by the gallery. Faces are followed, and\n"
        "who somebody is is voted over all looks at a face, so that names do not flicker.\n"
        "The picture goes to a window, unless it goes to --out or --mjpeg. Keys: q or Esc ends, f shows\n"
        "rates and times, m mirrors, e (or a click) gives a face a name, which is known from then on.\n"
        "A file runs at its own speed in a window or browser, and as fast as it goes without.\n"
        "With no window, --out, --mjpeg or --events there is a line on stdout when somebody enters, is\n"
        "named, or leaves: time in seconds, event, number of the track, name or unknown, distance, time\n"
        "of the first sighting, crop.\n"
        "Whoever is enrolled, renamed or removed meanwhile by another program is known or forgotten within\n"
        "a second or so. SIGINT and SIGTERM end it with complete files, and that is done too (0); another\n"
        "one two seconds later ends it at once, without them. A --out that is there is replaced at the end;\n"
        "of a run that is killed (-9) the next one sweeps away what is left.",
    .options = options,
    .shared = CLI_SHARED_SOURCE | CLI_SHARED_VIDEO | CLI_SHARED_WATCH | CLI_SHARED_GALLERY |
              CLI_SHARED_MODEL | CLI_SHARED_MODELS | CLI_SHARED_DETECTOR | CLI_SHARED_OUTPUT,
    .min_operands = 0,
    .max_operands = 0,
};

typedef struct job {
    cli_watch *watch;
    cli_live_view *view;
    cli_video_out *out;
    server_mjpeg *server;
    cli_events *events;
    int is_behind; // changes of the gallery could not be read
} job;

static int has_window(void) {
    return with_window || !(no_window || out_path || mjpeg_port >= 0);
}

// ---- what is said at the start -------------------------------------------------------------------------

// 1234567 as "1,234,567".
static void format_thousands(char *dst, size_t size, int64_t value) {
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
    size_t used = 0;
    for (int i = 0; i < n && used + 2 < size; i++) {
        dst[used++] = digits[i];
        if (i + 1 < n && (n - i - 1) % 3 == 0)
            dst[used++] = ',';
    }
    dst[used] = 0;
}

static void say_network(const cli_watch *watch) {
    const char *name = fn_embedder_name(fn_recognizer_embedder(watch->recognizer));
    fn_model_options model_options = FN_MODEL_OPTIONS_INIT;
    fn_model_info info;
    fn_model *model;
    char number[48];
    model_options.directory = cli.models;
    if (fn_model_open(&model, cli.model ? cli.model : name, &model_options) < 0)
        return;
    if (fn_model_get_info(model, &info) == FN_OK) {
        format_thousands(number, sizeof number, info.n_parameters);
        cli_note("network %s: %s parameters", name, number);
    }
    fn_model_free(model);
}

static void say_people(const cli_watch *watch) {
    const size_t n = cli_watch_n_people(watch);
    char text[2048];
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < n && i < MOST_NAMES && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "",
                                 cli_watch_person(watch, i));
    if (n > 0)
        cli_note("%zu %s known: %s%s", n, n == 1 ? "person is" : "people are", text,
                 n > MOST_NAMES ? ", ..." : "");
}

// ---- frames --------------------------------------------------------------------------------------------

static int handle(job *j, const fn_stream_frame *now) {
    int code = j->events ? cli_events_add(j->events, j->watch, now) : CLI_DONE;
    if (code != CLI_DONE || !now->frame)
        return code;
    if (j->out || j->server) {
        const int rc = cli_watch_draw(j->watch, now, 0);
        if (rc < 0)
            return cli_failure(rc);
        const fn_image *picture = cli_watch_picture(j->watch);
        if (j->server)
            server_mjpeg_show(j->server, picture);
        if (j->out)
            code = cli_video_out_add(j->out, picture, now->time_s);
    }
    return code == CLI_DONE && j->view ? cli_live_view_show(j->view, now) : code;
}

// Who is enrolled or removed meanwhile, here or by another program, is known or forgotten. What fails is
// tried again in a second, and said once.
static void keep_up(job *j) {
    const int rc = cli_watch_keep_up(j->watch);
    if (rc < 0 && !j->is_behind)
        cli_error("changes of the gallery are not seen: %s", fn_last_error());
    j->is_behind = rc < 0;
}

// A source that is lost ends the watch.
static int run(job *j) {
    const fn_stream_frame *now;
    int ended = 0, code = CLI_DONE;
    while (code == CLI_DONE && !cli_wants_stop) {
        if (j->view)
            code = cli_live_view_poll(j->view, &ended);
        if (ended)
            break;
        keep_up(j);
        if (code != CLI_DONE || !fn_stream_wait(j->watch->stream, TICK_MS))
            continue;
        const int rc = fn_stream_next(j->watch->stream, &now);
        if (rc < 0 && cli_wants_stop)
            break;
        if (rc < 0)
            return cli_failure(rc);
        if (!now)
            break;
        code = handle(j, now);
    }
    return code;
}

// ---- opening and closing -------------------------------------------------------------------------------

static int open_server(job *j) {
    char why[256], title[256];
    server_mjpeg_options server = SERVER_MJPEG_OPTIONS_INIT;
    snprintf(title, sizeof title, "%s - facenet", cli_watch_source(j->watch));
    server.listen = listen_address;
    server.port = mjpeg_port;
    server.title = title;
    const int rc = server_mjpeg_open(&j->server, &server, why, sizeof why);
    if (rc < 0) {
        cli_error("%s", why);
        return rc == FN_EINVAL ? CLI_USAGE : CLI_INPUTS;
    }
    cli_note("look at %s%s", server_mjpeg_url(j->server),
             server_mjpeg_is_local(j->server) ? "" : " (from other machines too, unprotected)");
    return CLI_DONE;
}

static int open_outputs(job *j) {
    const fn_video_info *info = fn_video_get_info(j->watch->video);
    const int to_stdout = !events_path && !has_window() && !out_path && mjpeg_port < 0;
    int code = CLI_DONE;
    if (events_path || to_stdout) {
        const cli_events_options events = {events_path, crops_path, cli_watch_source(j->watch),
                                           info->is_live};
        code = cli_events_open(&j->events, &events);
    }
    if (code == CLI_DONE && out_path)
        code = cli_video_out_open(&j->out, &command, out_path, info->fps);
    if (code == CLI_DONE && mjpeg_port >= 0)
        code = open_server(j);
    if (code == CLI_DONE && has_window()) {
        const cli_live_view_options view = {tolower((unsigned char)enroll_key[0]), keep_crops, show_stats};
        code = cli_live_view_open(&j->view, j->watch, &view);
    }
    return code;
}

static int check(void) {
    const char key = enroll_key[0];
    if (enroll_key[1] || !isgraph((unsigned char)key) || strchr("qQfFmM", key))
        return cli_usage_error(
            &command, "--enroll-key wants one letter, digit or sign but q, f and m, not \"%s\"", enroll_key);
    if (no_window && with_window)
        return cli_usage_error(&command, "--window and --no-window contradict each other");
    if (listen_address && mjpeg_port < 0)
        return cli_usage_error(&command, "--listen goes with --mjpeg PORT");
    if (crops_path && !events_path && (has_window() || out_path || mjpeg_port >= 0))
        return cli_usage_error(&command, "--crops goes with --events FILE");
    if (events_path && out_path && strcmp(events_path, "-") == 0 && strcmp(out_path, "-") == 0)
        return cli_usage_error(&command, "only one of --out and --events can be standard output");
    return out_path ? cli_video_out_check(&command, out_path) : -1;
}

// Who looks wants the speed of life; a recording wants every frame.
static fn_frame_policy policy(void) {
    return (has_window() || mjpeg_port >= 0) && !out_path ? FN_FRAMES_NEWEST : FN_FRAMES_AUTO;
}

static int close_all(job *j, int code) {
    cli_live_view_close(j->view);
    server_mjpeg_free(j->server);
    const int events = cli_events_close(j->events, j->watch);
    if (code == CLI_DONE)
        code = events;
    // Whatever ended it, what was recorded is kept.
    if (j->out && (code == CLI_DONE || cli_video_out_len(j->out))) {
        const int finished = cli_video_out_finish(j->out);
        code = code == CLI_DONE ? finished : code;
    } else {
        cli_video_out_free(j->out);
    }
    cli_watch_close(j->watch);
    return code;
}

int cmd_live(int argc, char **argv) {
    job j = {0};
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end < 0)
        end = check();
    if (end >= 0)
        return end;
    umask(077); // what is written shows faces and tells names
    cli_catch_signals();
    const cli_watch_options watch = {
        .policy = policy(), .may_make_gallery = has_window(), .command = &command};
    int code = cli_watch_open(&j.watch, &watch);
    if (!j.watch)
        return code;
    const char *const written[] = {out_path, events_path};
    code = cli_watch_check_outputs(j.watch, &command, written, sizeof written / sizeof *written);
    if (code >= 0)
        return close_all(&j, code);
    say_network(j.watch);
    say_people(j.watch);
    code = open_outputs(&j);
    if (code == CLI_DONE)
        code = run(&j);
    return close_all(&j, code);
}
