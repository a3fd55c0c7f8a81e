// SPDX-License-Identifier: Apache-2.0
//
// The window of facenet live. It keeps the frame it shows, so that a click means what was seen and the
// picture can be drawn anew while no frame comes. A face is chosen on the frame that was clicked; without
// landmarks there (--every) it is taken from the next frame on which its track was looked for.
#include "live_view.h"

#include "enroll_face.h"
#include "window.h"

#include <stdlib.h>
#include <string.h>

enum {
    TEXT_SIZE = 256,
    MESSAGE_MS = 4000,
    SILENCE_MS = 1500, // without a frame, after which it is said
    REDRAW_MS = 250,   // without a frame
    COLOR_TEXT = 0xFFFFFF,
    COLOR_GOOD = 0x7CE38B,
    COLOR_BAD = 0xFF8A80,
    COLOR_CHOSEN = 0x2F81F7
};

typedef enum mode { MODE_LOOK, MODE_CHOOSE, MODE_TYPE } mode;

struct cli_live_view {
    cli_watch *watch;
    cli_window *window;
    cli_live_view_options options;
    int is_mirrored;
    // What is shown: a holder of the frame, and copies of its faces.
    fn_stream_frame now;
    fn_stream_face *faces;
    size_t room;
    int64_t shown_ms, drawn_ms; // when the frame came, and when it was drawn last
    // Who is to be enrolled.
    mode mode;
    uint32_t chosen; // track
    fn_frame *frame; // and where in it; NULL: not yet seen with landmarks
    fn_face face;
    int is_known; // to be this person, by the decision on its track
    fn_id person;
    char text[TEXT_SIZE], message[2 * TEXT_SIZE];
    uint32_t message_color;
    int64_t message_until_ms;
    // What is measured, smoothed.
    double fps, decode_ms, detect_ms, embed_ms, latency_ms, draw_ms;
};

static void say(cli_live_view *v, uint32_t color, const char *first, const char *second) {
    snprintf(v->message, sizeof v->message, "%s\n%s", first, second);
    v->message_color = color;
    v->message_until_ms = fn_clock_ms() + MESSAGE_MS;
}

// The title says what is typed too, for who hears it read aloud.
static void retitle(const cli_live_view *v) {
    char title[1024 + TEXT_SIZE];
    const int is_typing = v->mode == MODE_TYPE;
    snprintf(title, sizeof title, "%s%s%s%.1000s - facenet", is_typing ? "Name: " : "",
             is_typing ? v->text : "", is_typing ? " - " : "", cli_watch_source(v->watch));
    cli_window_set_title(v->window, title);
}

// ---- what is shown -------------------------------------------------------------------------------------

static double smooth(double before, double value) {
    return before > 0 ? before + 0.1 * (value - before) : value;
}

static void measure(cli_live_view *v, const fn_stream_frame *now) {
    const int64_t ms = fn_clock_ms();
    if (v->shown_ms && ms > v->shown_ms)
        v->fps = 1000 / smooth(v->fps > 0 ? 1000 / v->fps : 0, (double)(ms - v->shown_ms));
    v->shown_ms = ms;
    v->decode_ms = smooth(v->decode_ms, (double)now->times.decode_ms);
    v->latency_ms = smooth(v->latency_ms, (double)now->times.latency_ms);
    if (!now->is_searched)
        return;
    v->detect_ms = smooth(v->detect_ms, (double)now->times.detect_ms);
    v->embed_ms = smooth(v->embed_ms, (double)now->times.embed_ms);
}

static int keep(cli_live_view *v, const fn_stream_frame *now) {
    if (now->n_faces > v->room) {
        fn_stream_face *more = realloc(v->faces, now->n_faces * sizeof *more);
        if (!more)
            return FN_ENOMEM;
        v->faces = more;
        v->room = now->n_faces;
    }
    if (now->n_faces)
        memcpy(v->faces, now->faces, now->n_faces * sizeof *v->faces);
    fn_frame_free(v->now.frame);
    v->now = *now;
    v->now.frame = fn_frame_share(now->frame);
    v->now.faces = v->faces;
    v->now.ended = NULL;
    v->now.n_ended = 0;
    return FN_OK;
}

static void draw_stats(cli_live_view *v, unsigned char *rgb, int width, int height) {
    const fn_video_counts counts = fn_video_get_counts(v->watch->video);
    char text[512];
    snprintf(text, sizeof text,
             "%.1f frames/s\ndecode %.1f ms\ndetect %.1f ms\nembed %.1f ms\ndraw %.1f ms\nlatency %.0f ms\n"
             "%llu read, %llu dropped%s",
             v->fps, v->decode_ms, v->detect_ms, v->embed_ms, v->draw_ms, v->latency_ms,
             (unsigned long long)counts.n_decoded, (unsigned long long)counts.n_dropped,
             counts.n_damaged ? ", some damaged" : "");
    fn_draw_panel(rgb, width, height, FN_CORNER_TOP_LEFT, text, COLOR_TEXT);
}

static void draw_words(cli_live_view *v, unsigned char *rgb, int width, int height) {
    char text[2 * TEXT_SIZE];
    const int64_t now_ms = fn_clock_ms();
    if (v->mode == MODE_TYPE) {
        snprintf(text, sizeof text, "Name: %s|\nEnter: remember   Esc: give up", v->text);
        fn_draw_panel(rgb, width, height, FN_CORNER_BOTTOM_LEFT, text, COLOR_TEXT);
    } else if (v->mode == MODE_CHOOSE) {
        fn_draw_panel(rgb, width, height, FN_CORNER_BOTTOM_LEFT, "Click a face\nEsc: give up", COLOR_TEXT);
    } else if (now_ms < v->message_until_ms) {
        fn_draw_panel(rgb, width, height, FN_CORNER_BOTTOM_LEFT, v->message, v->message_color);
    }
    if (now_ms - v->shown_ms > SILENCE_MS) {
        snprintf(text, sizeof text, "No picture for %lld s\n%s", (long long)(now_ms - v->shown_ms) / 1000,
                 cli_watch_source(v->watch));
        fn_draw_panel(rgb, width, height, FN_CORNER_TOP_RIGHT, text, COLOR_BAD);
    }
}

static int draw(cli_live_view *v) {
    char why[256];
    const int64_t start_ms = fn_clock_ms();
    v->watch->marked = v->chosen;
    v->watch->marked_text = *v->text ? v->text : "?";
    v->watch->marked_color = COLOR_CHOSEN;
    int rc = cli_watch_draw(v->watch, &v->now, v->is_mirrored);
    v->watch->marked = 0;
    if (rc < 0)
        return cli_failure(rc);
    const fn_image *picture = cli_watch_picture(v->watch);
    unsigned char *rgb = cli_watch_pixels(v->watch);
    if (v->options.show_stats)
        draw_stats(v, rgb, picture->width, picture->height);
    draw_words(v, rgb, picture->width, picture->height);
    rc = cli_window_show(v->window, picture, why, sizeof why);
    v->drawn_ms = fn_clock_ms();
    v->draw_ms = smooth(v->draw_ms, (double)(v->drawn_ms - start_ms));
    if (rc == FN_OK)
        return CLI_DONE;
    cli_error("%s", why);
    return CLI_INPUTS;
}

// ---- a face gets a name --------------------------------------------------------------------------------

static void look(cli_live_view *v) {
    v->mode = MODE_LOOK;
    v->chosen = 0;
    fn_frame_free(v->frame);
    v->frame = NULL;
}

// Takes the chosen face from the frame that is shown, when it can be embedded there.
static void take_face(cli_live_view *v) {
    for (size_t i = 0; i < v->now.n_faces && !v->frame; i++) {
        if (v->faces[i].track != v->chosen || !v->faces[i].face.n_landmarks)
            continue;
        v->face = v->faces[i].face;
        v->is_known = v->faces[i].decision == FN_DECISION_KNOWN;
        v->person = v->faces[i].person;
        v->frame = fn_frame_share(v->now.frame);
    }
}

static void choose(cli_live_view *v, uint32_t track) {
    look(v);
    v->chosen = track;
    v->mode = MODE_TYPE;
    *v->text = 0;
    take_face(v);
    cli_window_type(v->window, NULL);
    retitle(v);
}

// The smallest box around the point: who stands in front of somebody is drawn inside.
static void click(cli_live_view *v, float x, float y) {
    const fn_stream_face *best = NULL;
    if (v->is_mirrored)
        x = (float)fn_frame_image(v->now.frame)->width - x;
    for (size_t i = 0; i < v->now.n_faces; i++) {
        const fn_box b = v->faces[i].face.box;
        if (!v->faces[i].is_confirmed || x < b.x || y < b.y || x > b.x + b.width || y > b.y + b.height)
            continue;
        if (!best || b.width * b.height < best->face.box.width * best->face.box.height)
            best = &v->faces[i];
    }
    if (best)
        choose(v, best->track);
}

// The face is known, by another name than was typed.
static int is_another(const cli_live_view *v) {
    const char *name = v->is_known ? cli_watch_name(v->watch, v->person) : NULL;
    return name && strcmp(name, v->text) != 0;
}

static void enroll(cli_live_view *v) {
    char why[1024] = "";
    fn_added added;
    int rc = FN_EINVAL;
    if (!*v->text)
        snprintf(why, sizeof why, "no name was typed");
    else if (!cli_name_is_free(v->text))
        snprintf(why, sizeof why, "\"%s\" is kept for decisions: choose another name", v->text);
    else if (!v->frame)
        snprintf(why, sizeof why, "the face is gone: click it again");
    else if (is_another(v))
        snprintf(why, sizeof why,
                 "this is %s, who would then be taken for two people: facenet people renames and merges",
                 cli_watch_name(v->watch, v->person));
    else
        rc = cli_enroll_face(&added, v->watch->recognizer, fn_frame_image(v->frame), &v->face, v->text,
                             cli_watch_source(v->watch), v->options.keep_crops, why, sizeof why);
    if (rc == FN_OK && (rc = cli_watch_reload(v->watch)) < 0)
        snprintf(why, sizeof why, "%s", fn_last_error());
    if (rc == FN_OK) {
        cli_note("%s %s", v->text, added == FN_ADDED_NEW ? "is enrolled" : "was enrolled already");
        say(v, COLOR_GOOD, v->text, added == FN_ADDED_NEW ? "is known now" : "was known already");
    } else {
        if (*v->text)
            cli_error("%s: not enrolled: %s", v->text, why);
        say(v, COLOR_BAD, "Not remembered", why);
    }
    look(v);
    retitle(v);
}

// With one face in the picture there is nothing to choose.
static void begin_enrolling(cli_live_view *v) {
    uint32_t only = 0;
    size_t n = 0;
    for (size_t i = 0; i < v->now.n_faces; i++)
        if (v->faces[i].is_confirmed) {
            only = v->faces[i].track;
            n++;
        }
    if (n == 1)
        choose(v, only);
    else
        v->mode = MODE_CHOOSE;
}

// ---- events --------------------------------------------------------------------------------------------

// 1 when it is to end.
static int key(cli_live_view *v, int code) {
    if (code == CLI_KEY_ESCAPE && v->mode == MODE_CHOOSE)
        look(v);
    else if (code == v->options.enroll_key)
        begin_enrolling(v);
    else if (code == 'q' || code == CLI_KEY_ESCAPE)
        return 1;
    else if (code == 'f')
        v->options.show_stats = !v->options.show_stats;
    else if (code == 'm')
        v->is_mirrored = !v->is_mirrored;
    else
        return 0;
    v->drawn_ms = 0;
    return 0;
}

static int take(cli_live_view *v, const cli_window_event *event) {
    switch (event->what) {
    case CLI_WINDOW_CLOSED:
        return 1;
    case CLI_WINDOW_KEY:
        return key(v, event->key);
    case CLI_WINDOW_CLICK:
        if (event->button == 1)
            click(v, event->x, event->y);
        break;
    case CLI_WINDOW_TEXT:
    case CLI_WINDOW_ENTERED:
        snprintf(v->text, sizeof v->text, "%s", event->text);
        retitle(v);
        if (event->what == CLI_WINDOW_ENTERED && v->mode == MODE_TYPE)
            enroll(v);
        break;
    case CLI_WINDOW_GIVEN_UP:
        look(v);
        retitle(v);
        break;
    case CLI_WINDOW_NOTHING:
    case CLI_WINDOW_RESIZED:
        return 0;
    }
    v->drawn_ms = 0; // what was done is seen at once
    return 0;
}

int cli_live_view_poll(cli_live_view *view, int *ended) {
    cli_window_event event;
    while (!*ended && cli_window_poll(view->window, &event, 0))
        *ended = take(view, &event);
    if (*ended || !view->now.frame || fn_clock_ms() - view->drawn_ms < REDRAW_MS)
        return CLI_DONE;
    return draw(view);
}

int cli_live_view_show(cli_live_view *view, const fn_stream_frame *now) {
    if (keep(view, now) < 0)
        return cli_failure(FN_ENOMEM);
    measure(view, now);
    if (view->mode == MODE_TYPE)
        take_face(view);
    return draw(view);
}

int cli_live_view_open(cli_live_view **out, cli_watch *watch, const cli_live_view_options *options) {
    const fn_video_info *info = fn_video_get_info(watch->video);
    char title[1024], why[256] = "out of memory";
    *out = NULL;
    cli_live_view *v = calloc(1, sizeof *v);
    if (v) {
        v->watch = watch;
        v->options = *options;
        snprintf(title, sizeof title, "%s - facenet", cli_watch_source(watch));
        if (cli_window_open(&v->window, title, info->width, info->height, why, sizeof why) == FN_OK) {
            char keys[96];
            snprintf(keys, sizeof keys, "q ends\n%c gives a face a name\nf shows times, m mirrors",
                     options->enroll_key);
            say(v, COLOR_TEXT, "Keys", keys);
            *out = v;
            return CLI_DONE;
        }
    }
    cli_error("%s", why);
    free(v);
    return CLI_INPUTS;
}

void cli_live_view_close(cli_live_view *view) {
    if (!view)
        return;
    look(view);
    fn_frame_free(view->now.frame);
    cli_window_close(view->window);
    free(view->faces);
    free(view);
}
