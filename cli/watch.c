// SPDX-License-Identifier: Apache-2.0
//
// Opening and closing what is watched, and who is known. Names are kept by id until the end, because a track
// may outlive its person's place in the gallery.
#include "watch.h"

#include "picture.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct person {
    fn_id id;
    char *name;
    int is_here; // in the gallery when it was read last
} person;

enum { LOOK_MS = 1000, REPEAT_MS = 2000 };

struct cli_watch_inside {
    fn_gallery *gallery; // read only
    fn_index *index;
    const char *source; // its name
    const char *text;   // as it was given
    int64_t version;    // of the gallery, at the last reading
    int64_t looked_ms;
    person *people; // by name
    size_t n_people, n_here;
    cli_picture picture;
    fn_label *labels;
    char *label_texts; // LABEL_SIZE each
    size_t n_labels;   // room
    int said_no_letters;
};

// ---- signals -------------------------------------------------------------------------------------------

volatile sig_atomic_t cli_wants_stop;

static int64_t stopped_ms; // the handlers' own: they do not interrupt each other

// A repeat within two seconds is the same wish, as `timeout` and terminals send it; later it means at once.
static void stop(int signal_number) {
    const int64_t now_ms = fn_clock_ms();
    if (cli_wants_stop && now_ms - stopped_ms > REPEAT_MS) {
        signal(signal_number, SIG_DFL);
        raise(signal_number);
        return;
    }
    if (!cli_wants_stop)
        stopped_ms = now_ms;
    cli_wants_stop = 1;
}

void cli_catch_signals(void) {
    struct sigaction action = {.sa_handler = stop}, ignore = {0};
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    ignore.sa_handler = SIG_IGN; // who reads from us may leave: writing says so
    sigaction(SIGPIPE, &ignore, NULL);
}

static int asked_to_stop(void *user, uint64_t done, uint64_t total) {
    (void)user, (void)done, (void)total;
    return cli_wants_stop;
}

static void tell(void *user, fn_log_level level, const char *message) {
    (void)user;
    if (level != FN_LOG_DEBUG)
        cli_note("%s", message);
}

const fn_control cli_video_control = {FN_CONTROL_VERSION, NULL, asked_to_stop, tell, 0};

// ---- the video -----------------------------------------------------------------------------------------

// "1280x720".
static int parse_size(int *width, int *height, const char *text) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return 0;
    const unsigned long w = strtoul(text, &end, 10);
    if (*end != 'x' || !isdigit((unsigned char)end[1]))
        return 0;
    const unsigned long h = strtoul(end + 1, &end, 10);
    *width = (int)w;
    *height = (int)h;
    return !*end && w >= 1 && w <= 65535 && h >= 1 && h <= 65535;
}

int cli_video_options(fn_video_options *out, const cli_command *command) {
    *out = (fn_video_options)FN_VIDEO_OPTIONS_INIT;
    if (cli.camera_size && !parse_size(&out->width, &out->height, cli.camera_size))
        return cli_usage_error(command, "--camera-size wants WIDTHxHEIGHT, as 1280x720, not \"%s\"",
                               cli.camera_size);
    if (cli.policy)
        out->policy = strcmp(cli.policy, "every") == 0 ? FN_FRAMES_EVERY : FN_FRAMES_NEWEST;
    out->fps = cli.fps;
    out->loop = cli.loop;
    out->any_certificate = cli.any_certificate;
    out->timeout_ms = (int)(cli.timeout * 1000);
    out->reconnects = cli.reconnects > 0 ? cli.reconnects : cli.reconnects < 0 ? 0 : -1;
    return -1;
}

int cli_is_same_file(const char *a, const char *b) {
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *cli_watch_source(const cli_watch *watch) {
    return watch->inside->source;
}

// ---- people --------------------------------------------------------------------------------------------

static person *find(const struct cli_watch_inside *in, fn_id id) {
    for (size_t i = 0; i < in->n_people; i++)
        if (memcmp(&in->people[i].id, &id, sizeof id) == 0)
            return &in->people[i];
    return NULL;
}

// Somebody renamed keeps the old name too: who holds it may go on.
static int remember(void *user, const fn_person *now) {
    struct cli_watch_inside *in = user;
    person *known = find(in, now->id);
    if (known && strcmp(known->name, now->name) == 0) {
        known->is_here = 1;
        return 0;
    }
    if (known)
        known->id = (fn_id){{0}};
    person *more = realloc(in->people, (in->n_people + 1) * sizeof *more);
    if (more)
        in->people = more;
    char *name = strdup(now->name);
    if (!more || !name) {
        free(name);
        return FN_ENOMEM;
    }
    in->people[in->n_people++] = (person){now->id, name, 1};
    return 0;
}

static int by_name(const void *a, const void *b) {
    const person *x = a, *y = b;
    return x->is_here != y->is_here ? y->is_here - x->is_here : strcmp(x->name, y->name);
}

// Those of now come first.
static int read_people(struct cli_watch_inside *in) {
    for (size_t i = 0; i < in->n_people; i++)
        in->people[i].is_here = 0;
    const int rc = fn_gallery_people(in->gallery, remember, in);
    if (in->n_people)
        qsort(in->people, in->n_people, sizeof *in->people, by_name);
    for (in->n_here = 0; in->n_here < in->n_people && in->people[in->n_here].is_here;)
        in->n_here++;
    return rc;
}

const char *cli_watch_name(const cli_watch *watch, fn_id id) {
    const person *known = find(watch->inside, id);
    return known ? known->name : NULL;
}

const fn_index *cli_watch_index(const cli_watch *watch) {
    return watch->inside->index;
}

const char *cli_watch_called(const cli_watch *watch, fn_decision decision, fn_id id) {
    const char *name = decision == FN_DECISION_KNOWN ? cli_watch_name(watch, id) : NULL;
    return name ? name : fn_decision_name(decision == FN_DECISION_KNOWN ? FN_DECISION_UNKNOWN : decision);
}

size_t cli_watch_n_people(const cli_watch *watch) {
    return watch->inside->n_here;
}

const char *cli_watch_person(const cli_watch *watch, size_t index) {
    return index < watch->inside->n_here ? watch->inside->people[index].name : NULL;
}

static int make_index(fn_index **out, const cli_watch *w) {
    const fn_embedder *embedder = fn_recognizer_embedder(w->recognizer);
    *out = NULL;
    size_t n;
    const fn_comparable *makers = fn_embedder_comparable(embedder, &n);
    return fn_gallery_index_comparable(w->inside->gallery, makers, n, fn_embedder_dimension(embedder), out);
}

int cli_watch_reload(cli_watch *watch) {
    struct cli_watch_inside *in = watch->inside;
    fn_index *index;
    int64_t version = 0; // what changes after it was asked for is read once more
    int rc = fn_gallery_version(in->gallery, &version);
    if (rc == FN_OK)
        rc = make_index(&index, watch);
    if (rc < 0)
        return rc;
    rc = read_people(in); // before anybody is decided to be one of them
    if (rc == FN_OK)
        rc = fn_stream_set_index(watch->stream, index);
    if (rc < 0) {
        fn_index_free(index);
        return rc;
    }
    fn_index_free(in->index);
    in->index = index;
    in->version = version;
    return FN_OK;
}

int cli_watch_keep_up(cli_watch *watch) {
    struct cli_watch_inside *in = watch->inside;
    int64_t version;
    if (!in->gallery || fn_clock_ms() - in->looked_ms < LOOK_MS)
        return FN_OK;
    in->looked_ms = fn_clock_ms();
    const int rc = fn_gallery_version(in->gallery, &version);
    return rc < 0 || version == in->version ? rc : cli_watch_reload(watch);
}

int cli_watch_check_outputs(const cli_watch *watch, const cli_command *command, const char *const *paths,
                            size_t n) {
    const struct cli_watch_inside *in = watch->inside;
    for (size_t i = 0; i < n; i++) {
        if (!paths[i] || strcmp(paths[i], "-") == 0)
            continue;
        if (cli_is_same_file(paths[i], in->text))
            return cli_usage_error(command, "%s is the source itself: it would be written over", paths[i]);
        if (in->gallery && cli_is_same_file(paths[i], fn_gallery_path(in->gallery)))
            return cli_usage_error(command, "%s is the gallery: it would be written over", paths[i]);
        for (size_t k = 0; k < i; k++)
            if (paths[k] && (strcmp(paths[i], paths[k]) == 0 || cli_is_same_file(paths[i], paths[k])))
                return cli_usage_error(command, "%s is to be written twice", paths[i]);
    }
    return -1;
}

// ---- opening -------------------------------------------------------------------------------------------

static int open_gallery(cli_watch *w, int may_make) {
    fn_gallery_options read_only = FN_GALLERY_OPTIONS_INIT;
    read_only.read_only = 1;
    if (!may_make || cli.gallery)
        return cli_gallery_open(&w->inside->gallery, 1);
    if (fn_gallery_open(&w->inside->gallery, NULL, &read_only) == FN_OK)
        return CLI_DONE;
    fn_gallery *made;
    const int code = cli_gallery_open(&made, 0);
    if (code != CLI_DONE)
        return code;
    fn_gallery_free(made);
    return cli_gallery_open(&w->inside->gallery, 1);
}

static int open_people(cli_watch *w, const cli_watch_options *options) {
    struct cli_watch_inside *in = w->inside;
    const fn_calibration *calibration = fn_embedder_calibration(fn_recognizer_embedder(w->recognizer));
    float threshold;
    if (!calibration) {
        cli_error("the model has no calibration, so no distance means a name: take a model that has one");
        return CLI_MODEL;
    }
    if (fn_calibration_threshold(&threshold, calibration, cli.fmr > 0 ? cli.fmr : 1e-4) < 0)
        return cli_usage_error(options->command, "--fmr %g: %s", cli.fmr, fn_last_error());
    int code = open_gallery(w, options->may_make_gallery);
    if (code != CLI_DONE)
        return code;
    int rc = fn_gallery_version(in->gallery, &in->version);
    if (rc == FN_OK)
        rc = make_index(&in->index, w);
    if (rc == FN_OK)
        rc = read_people(in);
    if (rc < 0)
        return cli_failure(rc) == CLI_MODEL ? CLI_MODEL : CLI_GALLERY;
    if (fn_index_len(in->index) == 0)
        cli_note("%s: nobody is enrolled, so everybody is unknown", fn_gallery_path(in->gallery));
    return CLI_DONE;
}

static int open_stream(cli_watch *w, const cli_watch_options *o, const char *source,
                       const fn_video_options *video) {
    fn_stream_options stream = FN_STREAM_OPTIONS_INIT;
    stream.detect.min_face = (float)cli.min_face;
    stream.detect.min_score = (float)cli.min_score;
    stream.every = cli.every;
    stream.mirror = o->mirror;
    stream.no_tracks = o->only_detect;
    stream.index = w->inside->index;
    stream.fmr = cli.fmr;
    int rc = fn_video_open(&w->video, source, video, &cli_video_control);
    if (rc == FN_OK)
        w->inside->source = strcmp(source, "-") == 0 ? source : fn_video_name(w->video);
    if (rc == FN_OK)
        rc = fn_stream_open(&w->stream, w->recognizer, w->video, &stream);
    if (rc == FN_OK || (rc == FN_ECANCELLED && cli_wants_stop))
        return CLI_DONE;
    return cli_failure(rc);
}

int cli_watch_open(cli_watch **out, const cli_watch_options *options) {
    const char *source = options->source ? options->source : cli.source ? cli.source : "0";
    fn_video_options video;
    *out = NULL;
    int code = cli_video_options(&video, options->command);
    if (code >= 0)
        return code;
    if (!cli.policy)
        video.policy = options->policy;
    cli_watch *w = calloc(1, sizeof *w);
    if (w)
        w->inside = calloc(1, sizeof *w->inside);
    if (!w || !w->inside) {
        cli_error("out of memory");
        cli_watch_close(w);
        return CLI_INPUTS;
    }
    w->inside->text = source;
    code = cli_recognizer_open(&w->recognizer, options->only_detect);
    if (code == CLI_DONE && !options->only_detect)
        code = open_people(w, options);
    if (code == CLI_DONE)
        code = open_stream(w, options, source, &video);
    if (code == CLI_DONE && w->stream)
        *out = w;
    else
        cli_watch_close(w);
    return code;
}

void cli_watch_close(cli_watch *watch) {
    if (!watch)
        return;
    struct cli_watch_inside *in = watch->inside;
    fn_stream_free(watch->stream);
    fn_video_free(watch->video);
    if (in) {
        fn_index_free(in->index);
        fn_gallery_free(in->gallery);
        for (size_t i = 0; i < in->n_people; i++)
            free(in->people[i].name);
        free(in->people);
        free(in->labels);
        free(in->label_texts);
        cli_picture_free(&in->picture);
        free(in);
    }
    fn_recognizer_free(watch->recognizer);
    free(watch);
}

// ---- the marked picture --------------------------------------------------------------------------------

enum { LABEL_SIZE = 1100 }; // a name, and a distance below it

static int label_room(struct cli_watch_inside *in, size_t n) {
    if (n <= in->n_labels)
        return FN_OK;
    fn_label *labels = realloc(in->labels, n * sizeof *labels);
    if (labels)
        in->labels = labels;
    char *texts = realloc(in->label_texts, n * LABEL_SIZE);
    if (texts)
        in->label_texts = texts;
    if (!labels || !texts)
        return FN_ENOMEM;
    in->n_labels = n;
    return FN_OK;
}

static size_t make_labels(const cli_watch *w, const fn_stream_frame *now, int mirrored) {
    struct cli_watch_inside *in = w->inside;
    size_t n = 0;
    for (size_t i = 0; i < now->n_faces; i++) {
        const fn_stream_face *f = &now->faces[i];
        if (!f->is_confirmed && f->track)
            continue;
        char *text = in->label_texts + n * LABEL_SIZE;
        const char *name = cli_watch_called(w, f->decision, f->person);
        if (f->decision == FN_DECISION_KNOWN)
            snprintf(text, LABEL_SIZE, "%s\n%.2f", name, (double)f->distance);
        else
            snprintf(text, LABEL_SIZE, "%s", name);
        fn_box box = f->face.box;
        if (mirrored)
            box.x = (float)in->picture.image.width - box.x - box.width;
        in->labels[n] = (fn_label){box, f->track ? text : NULL, cli_color(f->decision)};
        if (f->track && f->track == w->marked) {
            in->labels[n].text = w->marked_text;
            in->labels[n].color = w->marked_color;
        }
        n++;
    }
    return n;
}

int cli_watch_draw(cli_watch *watch, const fn_stream_frame *now, int mirrored) {
    struct cli_watch_inside *in = watch->inside;
    int rc = cli_picture_copy(&in->picture, fn_frame_image(now->frame), mirrored);
    if (rc == FN_OK)
        rc = label_room(in, now->n_faces);
    if (rc < 0)
        return rc;
    const size_t n = make_labels(watch, now, mirrored);
    rc = n ? fn_draw_labels(in->picture.rgb, in->picture.image.width, in->picture.image.height, in->labels, n)
           : FN_OK;
    if (rc != FN_EUNSUPPORTED)
        return rc;
    if (!in->said_no_letters)
        cli_note("%s", fn_last_error());
    in->said_no_letters = 1;
    return FN_OK;
}

const fn_image *cli_watch_picture(const cli_watch *watch) {
    return &watch->inside->picture.image;
}

unsigned char *cli_watch_pixels(const cli_watch *watch) {
    return watch->inside->picture.rgb;
}
