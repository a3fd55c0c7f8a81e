// SPDX-License-Identifier: Apache-2.0
//
// facenet capture: pictures of one person's face from a camera, to learn from.
#include "capture.h"
#include "cli.h"
#include "output.h"
#include "watch.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *out_dir = "images", *template_name = "eyes-200";
static int count = 50, every = 5, size, no_window, auto_enroll;
static double patience = -1;

static const cli_option options[] = {
    {"out-dir", 0, "DIR", "the crops go to DIR/NAME/NAME<k>.jpg [images]", CLI_TEXT, &out_dir, 0, 0},
    {"count", 0, "N", "how many crops to keep [50]", CLI_COUNT, &count, 1, 10000},
    {"every", 0, "N", "keep one in N good frames [5]", CLI_COUNT, &every, 1, 1000},
    {"template", 0, "NAME",
     "arcface-112, dlib-150, openface-outer-96, openface-inner-96 or eyes-200 [eyes-200]", CLI_TEXT,
     &template_name, 0, 0},
    {"size", 0, "PX", "width and height of the crops, pixels [as the template says]", CLI_COUNT, &size, 32,
     1024},
    {"no-window", 0, NULL, "show nothing", CLI_FLAG, &no_window, 0, 0},
    {"patience", 0, "SECONDS",
     "end when nothing was kept for so long; 0: never [30 without a window, else 0]", CLI_REAL, &patience, 0,
     86400},
    {"auto-enroll", 0, NULL, "enroll each kept face under NAME too", CLI_FLAG, &auto_enroll, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "capture",
    .operands = "[NAME]",
    .about =
        "Keeps pictures of one person's face: eyes level, as different from each other as it can get them.\n"
        "A window shows the camera as a mirror, what is wrong (too dark, blurred, turned too far), how many\n"
        "pictures there are, and by a sign in the corner which ways the head has yet to be turned. Only\n"
        "frames with exactly one face count. Numbering goes on after the pictures that are there. q or\n"
        "Escape ends, and so does Ctrl+C; what was kept stays. Without NAME the terminal is asked for it.\n"
        "Crops are cut from the picture as the camera gives it, as `live` and `identify` see it. One line\n"
        "per crop: path, pose (front, left, right, up, down, as the person turned), seconds since the\n"
        "beginning. With --auto-enroll a face that is like none of those kept so far is passed over:\n"
        "somebody else stands there.",
    .options = options,
    .shared = CLI_SHARED_SOURCE | CLI_SHARED_VIDEO | CLI_SHARED_GALLERY | CLI_SHARED_MODEL |
              CLI_SHARED_MODELS | CLI_SHARED_DETECTOR | CLI_SHARED_OUTPUT,
    .min_operands = 0,
    .max_operands = 1,
};

typedef struct capture {
    const char *name;
    fn_template tmpl;
    fn_recognizer *recognizer;
    fn_gallery *gallery; // NULL: nobody is enrolled
    float *embedding;    // (dimension), of the last face that is to be kept
    float *kept;         // (count, dimension), of those that are kept
    float same;          // distance from which on a face is hardly the same person's
    fn_video *video;
    fn_stream *stream;
    cli_folder folder;
    cli_judge judge;
    cli_view view;
    int64_t kept_clock_ms; // on fn_clock_ms(), of the last picture kept, or of the beginning
    int output_error;      // errno of standard output, for who says so at the end
} capture;

enum { GO_ON = -1 };  // else an exit code
#define SAME_FMR 0.01 // a turned head stays nearer to one that is kept than all but one in a hundred others

// ---- what one kept face becomes ----------------------------------------------------------------------

// Where the face is in the crop, so that enrolling the crop itself later finds it already there.
static fn_box box_in_crop(const double m[6], fn_box box) {
    const double x = box.x + box.width / 2, y = box.y + box.height / 2;
    const double scale = sqrt(m[0] * m[0] + m[3] * m[3]);
    const float width = (float)(scale * box.width), height = (float)(scale * box.height);
    return (fn_box){(float)(m[0] * x + m[1] * y + m[2]) - width / 2,
                    (float)(m[3] * x + m[4] * y + m[5]) - height / 2, width, height};
}

static int enroll(capture *c, const fn_stream_frame *now, const char *path) {
    fn_embedder *embedder = fn_recognizer_embedder(c->recognizer);
    const fn_face *face = &now->faces[0].face;
    double m[6];
    fn_face_record record = {
        .embedding = c->embedding,
        .dimension = fn_embedder_dimension(embedder),
        .fingerprint = fn_embedder_fingerprint(embedder),
        .pipeline_id = fn_recognizer_pipeline_id(c->recognizer),
        .source_path = path,
        .source_path_len = strlen(path),
    };
    int rc = fn_align_matrix(m, &c->tmpl, face);
    if (rc == FN_OK)
        rc = fn_file_sha256(record.file_sha256, path, 0);
    if (rc == FN_OK) {
        record.box = box_in_crop(m, face->box);
        rc = fn_gallery_add(c->gallery, c->name, &record, NULL);
    }
    if (rc == FN_OK)
        return CLI_DONE;
    cli_view_clear_line(&c->view);
    cli_error("%s: kept, but not enrolled: %s", path, fn_last_error());
    return CLI_GALLERY;
}

static void report(capture *c, const char *path, double time_s) {
    const fn_quality *q = &c->judge.quality;
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "pose", json_string(cli_pose_name(c->judge.pose)));
        json_object_set_new(line, "time", json_real(time_s));
        json_object_set_new(line, "yaw", json_real((double)q->yaw));
        json_object_set_new(line, "pitch", json_real((double)q->pitch));
        json_object_set_new(line, "sharpness", json_real((double)q->sharpness));
        json_object_set_new(line, "brightness", json_real((double)q->brightness));
        json_object_set_new(line, "width", json_real((double)q->width));
        json_object_set_new(line, "enrolled", json_boolean(c->gallery != NULL));
        cli_json_line(line);
    } else {
        cli_field(path);
        printf("\t%s\t%.2f\n", cli_pose_name(c->judge.pose), time_s);
    }
    if (fflush(stdout)) // who reads along sees it now
        c->output_error = errno;
}

// Somebody else may step before the camera, whose face must not be enrolled under the name.
static int is_same_person(const capture *c) {
    const int d = fn_embedder_dimension(fn_recognizer_embedder(c->recognizer));
    for (int i = 0; i < c->judge.n_kept; i++)
        if (fn_distance(c->kept + (size_t)i * (size_t)d, c->embedding, d) <= c->same)
            return 1;
    return c->judge.n_kept == 0;
}

// Before anything is kept under a name that is enrolled. GO_ON, CLI_DONE where the face is not to be kept, or
// an exit code.
static int look_who(capture *c, const fn_stream_frame *now) {
    fn_embedder *embedder = fn_recognizer_embedder(c->recognizer);
    const size_t d = (size_t)fn_embedder_dimension(embedder);
    const int rc =
        fn_embedder_faces(embedder, fn_frame_image(now->frame), &now->faces[0].face, 1, c->embedding);
    if (rc == FN_ENOMEM)
        return cli_failure(rc);
    if (rc < 0 || !is_same_person(c)) {
        cli_judge_withdraw(&c->judge, rc < 0 ? CLI_REFUSED_ODD : CLI_REFUSED_ANOTHER);
        return CLI_DONE;
    }
    memcpy(c->kept + (size_t)c->judge.n_kept * d, c->embedding, d * sizeof *c->kept);
    return GO_ON;
}

static int keep(capture *c, const fn_stream_frame *now) {
    const fn_image crop = {c->judge.crop, c->tmpl.width, c->tmpl.height, (ptrdiff_t)c->tmpl.width * 3,
                           FN_PIXEL_RGB8};
    char *path;
    cli_view_clear_line(&c->view);
    int code = c->gallery ? look_who(c, now) : GO_ON;
    if (code != GO_ON)
        return code == CLI_DONE ? GO_ON : code;
    code = cli_folder_save(&c->folder, &crop, &path);
    if (code != CLI_DONE)
        return code;
    c->kept_clock_ms = fn_clock_ms();
    if (cli_judge_kept(&c->judge) < 0) {
        cli_error("out of memory");
        code = CLI_INPUTS;
    }
    if (code == CLI_DONE && c->gallery)
        code = enroll(c, now, path);
    report(c, path, now->time_s);
    free(path);
    return code != CLI_DONE ? code : ferror(stdout) ? CLI_INPUTS : GO_ON;
}

// ---- the run -----------------------------------------------------------------------------------------

// "12 too dark, 3 blurred: hold still": frames that were passed over, the most frequent reason first.
static void passed_over(char *dst, size_t room, const cli_judge *judge) {
    uint64_t left[CLI_N_REFUSALS];
    size_t used = 0;
    memcpy(left, judge->n_refused, sizeof left);
    *dst = 0;
    for (;;) {
        int most = 0;
        for (int i = 1; i < CLI_N_REFUSALS; i++)
            most = left[i] > left[most] ? i : most;
        if (!left[most] || used + 1 >= room)
            return;
        const char *text = cli_refusal_text((cli_refusal)most);
        used += (size_t)snprintf(dst + used, room - used, "%s%llu %.*s", used ? ", " : "",
                                 (unsigned long long)left[most], (int)strcspn(text, ":"), text);
        left[most] = 0;
    }
}

// How it ended. why NULL: as it should.
static int summary(capture *c, const char *why) {
    char frames[512], text[1024];
    cli_view_clear_line(&c->view);
    passed_over(frames, sizeof frames, &c->judge);
    snprintf(text, sizeof text, "%d of %d kept in %s%s%s%s%s", c->judge.n_kept, c->judge.count,
             c->folder.path, why ? ": " : "", why ? why : "", *frames ? "; frames passed over: " : "",
             frames);
    if (!why) {
        cli_note("%s", text);
        return CLI_DONE;
    }
    cli_error("%s", text);
    return CLI_INPUTS;
}

static int give_up(capture *c) {
    char why[64];
    snprintf(why, sizeof why, "nothing new for %g seconds", patience);
    return summary(c, why);
}

static int look(capture *c, const fn_stream_frame *now) {
    int rc = cli_judge_look(&c->judge, now);
    if (rc < 0) {
        cli_view_clear_line(&c->view);
        return cli_failure(rc);
    }
    if (cli_view_show(&c->view, &c->judge, now) < 0)
        return CLI_INPUTS;
    if (c->judge.verdict == CLI_KEEP) {
        const int code = keep(c, now);
        return code != GO_ON ? code : c->judge.n_kept >= count ? summary(c, NULL) : GO_ON;
    }
    return patience > 0 && now->time_s - c->judge.kept_s > patience ? give_up(c) : GO_ON;
}

// A live source that gives no more pictures has none to wait for either.
static int is_given_up(const capture *c) {
    return patience > 0 && fn_video_get_info(c->video)->is_live &&
           (double)(fn_clock_ms() - c->kept_clock_ms) > patience * 1000;
}

static int run(capture *c) {
    const fn_stream_frame *now;
    int code = GO_ON;
    c->kept_clock_ms = fn_clock_ms();
    while (code == GO_ON) {
        const int is_there = fn_stream_wait(c->stream, 20);
        if (cli_wants_stop || cli_view_wants_end(&c->view))
            return summary(c, NULL);
        if (!is_there && is_given_up(c))
            return give_up(c);
        if (!is_there)
            continue;
        int rc = fn_stream_next(c->stream, &now);
        if (rc < 0) {
            cli_view_clear_line(&c->view);
            code = cli_wants_stop ? summary(c, NULL) : cli_failure(rc);
        } else if (!now || !now->frame) {
            code = summary(c, "the video has ended");
        } else {
            code = look(c, now);
        }
    }
    return code;
}

// ---- opening -----------------------------------------------------------------------------------------

static int open_gallery(capture *c) {
    if (!auto_enroll)
        return CLI_DONE;
    const fn_embedder *embedder = fn_recognizer_embedder(c->recognizer);
    const fn_calibration *calibration = fn_embedder_calibration(embedder);
    const size_t d = (size_t)fn_embedder_dimension(embedder);
    c->embedding = malloc(d * sizeof *c->embedding);
    c->kept = calloc((size_t)count, d * sizeof *c->kept);
    if (!calibration || fn_calibration_threshold(&c->same, calibration, SAME_FMR) < 0)
        c->same = 2; // as far as two vectors can be apart: without a calibration no distance says anything
    if (c->embedding && c->kept)
        return cli_gallery_open(&c->gallery, 0);
    cli_error("out of memory");
    return CLI_INPUTS;
}

static int open_window(capture *c) {
    const fn_video_info *info = fn_video_get_info(c->video);
    char why[256], title[256];
    if (no_window)
        return CLI_DONE;
    snprintf(title, sizeof title, "facenet capture: %s", c->name);
    const int rc = cli_window_open(&c->view.window, title, info->width ? info->width : 1280,
                                   info->height ? info->height : 720, why, sizeof why);
    if (rc == FN_OK)
        return CLI_DONE;
    cli_error("%s", rc == FN_ENOTFOUND ? "no display: use --no-window" : why);
    return CLI_INPUTS;
}

// CLI_DONE with a stream, or without one when a signal came first.
static int open_source(capture *c) {
    fn_video_options video;
    fn_stream_options stream = FN_STREAM_OPTIONS_INIT;
    int code = cli_video_options(&video, &command);
    if (code >= 0)
        return code;
    int rc = fn_video_open(&c->video, cli.source ? cli.source : "0", &video, &cli_video_control);
    if (rc == FN_OK && (code = open_window(c)) != CLI_DONE)
        return code;
    stream.detect.min_face = (float)cli.min_face;
    stream.detect.min_score = (float)cli.min_score;
    stream.no_tracks = 1;
    if (rc == FN_OK)
        rc = fn_stream_open(&c->stream, c->recognizer, c->video, &stream);
    return rc == FN_OK || (rc == FN_ECANCELLED && cli_wants_stop) ? CLI_DONE : cli_failure(rc);
}

static int open_and_run(capture *c) {
    if (cli_judge_init(&c->judge, &c->tmpl, count, every, 1) < 0) {
        cli_error("out of memory");
        return CLI_INPUTS;
    }
    int code = cli_folder_open(&c->folder, out_dir, c->name, &c->judge);
    if (code == CLI_DONE)
        code = cli_recognizer_open(&c->recognizer, !auto_enroll);
    if (code == CLI_DONE)
        code = open_gallery(c);
    if (code == CLI_DONE)
        code = open_source(c);
    if (code != CLI_DONE || !c->stream)
        return code;
    // A file shows what it shows: nobody is there to turn the head.
    c->judge.is_guided = c->view.window || fn_video_get_info(c->video)->is_live;
    c->view.name = c->name;
    if (patience < 0)
        patience = c->view.window ? 0 : 30;
    return run(c);
}

// The template, at --size.
static fn_template sized(const fn_template *from) {
    fn_template t = *from;
    if (!size)
        return t;
    for (int i = 0; i < t.n_points; i++) {
        t.points[i].x *= (float)size / (float)from->width;
        t.points[i].y *= (float)size / (float)from->height;
    }
    t.width = t.height = size;
    return t;
}

// A line from the terminal without the spaces around it. New memory, or NULL.
static char *ask_name(void) {
    char *line = NULL;
    size_t room = 0;
    fputs("Name of the person: ", stderr);
    const ssize_t n = getline(&line, &room, stdin);
    if (n < 0) {
        free(line);
        return NULL;
    }
    char *end = line + n, *start = line;
    while (end > line && (unsigned char)end[-1] <= ' ')
        *--end = 0;
    while (*start == ' ')
        start++;
    memmove(line, start, (size_t)(end - start) + 1);
    return line;
}

int cmd_capture(int argc, char **argv) {
    capture c = {0};
    char *asked = NULL;
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    const fn_template *tmpl = fn_template_find(template_name);
    if (!tmpl)
        return cli_usage_error(&command, "there is no template \"%s\"", template_name);
    if (n == 0 && isatty(STDIN_FILENO))
        asked = ask_name();
    c.name = n ? argv[1] : asked;
    if (!c.name)
        return cli_usage_error(&command, "expected NAME: whose face it is");
    const char *fault = cli_folder_name_fault(c.name);
    if (fault) {
        const int code = cli_usage_error(&command, "\"%s\" cannot be a name: %s", c.name, fault);
        free(asked);
        return code;
    }
    c.tmpl = sized(tmpl);
    umask(077); // faces are for their owner alone
    cli_catch_signals();
    const int code = open_and_run(&c);
    cli_view_close(&c.view);
    fn_stream_free(c.stream);
    fn_video_free(c.video);
    fn_gallery_free(c.gallery);
    fn_recognizer_free(c.recognizer);
    cli_folder_close(&c.folder);
    cli_judge_free(&c.judge);
    free(c.embedding);
    free(c.kept);
    free(asked);
    errno = c.output_error;
    return code;
}
