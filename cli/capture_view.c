// SPDX-License-Identifier: Apache-2.0
//
// What the person in front of the camera sees: the picture as in a mirror, what is wrong with it, how far it
// is, and which poses are missing; and one line of the same for who sits at the terminal.
#include "capture.h"
#include "cli.h"
#include "progress.h"

#include <string.h>

#define GOOD 0x34C96B
#define WRONG 0xF08C00
#define KEPT 0xFFFFFF
#define LETTERS 0xFFFFFF

enum {
    REASON_MS = 900, // how long a reason stays at least, so that it can be read
    KEPT_MS = 250,   // how long the box shows that a picture was taken
    REDRAW_MS = 200  // of the line on stderr
};

// What is wrong now, or what would help; a reason stays long enough to be read.
static const char *advice(cli_view *view, const cli_judge *judge) {
    const int64_t now = fn_clock_ms();
    const int is_wrong = judge->verdict == CLI_REFUSED;
    const char *text = is_wrong ? cli_refusal_text(judge->refusal) : "";
    const char *hint = cli_judge_hint(judge);
    if (is_wrong && now - view->reason_ms >= REASON_MS) {
        const char *and = judge->refusal == CLI_REFUSED_POSE && *hint ? ": " : "";
        snprintf(view->reason, sizeof view->reason, "%s%s%s", text, and, *and? hint : "");
        view->reason_ms = now;
    }
    return now - view->reason_ms < REASON_MS ? view->reason : hint;
}

static uint32_t box_color(const cli_view *view, const cli_judge *judge) {
    if (fn_clock_ms() - view->kept_ms < KEPT_MS)
        return KEPT;
    return judge->verdict == CLI_REFUSED && judge->refusal != CLI_REFUSED_POSE ? WRONG : GOOD;
}

static int draw_boxes(cli_view *view, const cli_judge *judge, const fn_stream_frame *now) {
    const cli_picture *p = &view->picture;
    for (size_t i = 0; i < now->n_faces; i++) {
        fn_label label = {now->faces[i].face.box, NULL, box_color(view, judge)};
        label.box.x = (float)p->image.width - label.box.x - label.box.width;
        const int rc = fn_draw_labels(p->rgb, p->image.width, p->image.height, &label, 1);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

static int draw_panel(cli_view *view, const cli_judge *judge, const char *said) {
    const cli_picture *p = &view->picture;
    char text[512];
    snprintf(text, sizeof text, "%s\n%d of %d\n%s", view->name, judge->n_kept, judge->count, said);
    const int rc = fn_draw_panel(p->rgb, p->image.width, p->image.height, FN_CORNER_TOP_LEFT, text, LETTERS);
    if (rc != FN_EUNSUPPORTED)
        return rc;
    if (!view->said_no_letters)
        cli_note("%s", fn_last_error());
    view->said_no_letters = 1;
    return FN_OK;
}

static int draw(cli_view *view, const cli_judge *judge, const fn_stream_frame *now, const char *said) {
    float done[FN_METER_POSE_LEN];
    cli_picture *p = &view->picture;
    int rc = cli_picture_copy(p, fn_frame_image(now->frame), 1);
    if (rc < 0)
        return rc;
    const int width = p->image.width, height = p->image.height;
    for (int pose = 0; pose < FN_METER_POSE_LEN; pose++)
        done[pose] = judge->quota[pose] ? (float)judge->kept[pose] / (float)judge->quota[pose] : 1;
    rc = draw_boxes(view, judge, now);
    if (rc == FN_OK)
        rc = draw_panel(view, judge, said);
    if (rc == FN_OK)
        rc = fn_draw_meter(p->rgb, width, height, FN_CORNER_TOP_RIGHT, done, judge->pose);
    if (rc == FN_OK)
        rc = fn_draw_progress(p->rgb, width, height, (double)judge->n_kept / judge->count, GOOD);
    return rc;
}

static void show_line(cli_view *view, const cli_judge *judge, const char *said) {
    const int64_t now = fn_clock_ms();
    if (!cli_progress_wanted() || now - view->drawn_ms < REDRAW_MS)
        return;
    view->drawn_ms = now;
    fprintf(stderr, "\r\033[K%d/%d  %s", judge->n_kept, judge->count, said);
    fflush(stderr);
    view->is_line_shown = 1;
}

void cli_view_clear_line(cli_view *view) {
    if (view->is_line_shown)
        fputs("\r\033[K", stderr);
    view->is_line_shown = 0;
}

int cli_view_show(cli_view *view, const cli_judge *judge, const fn_stream_frame *now) {
    char why[256];
    if (judge->verdict == CLI_KEEP)
        view->kept_ms = fn_clock_ms();
    const char *said = advice(view, judge);
    show_line(view, judge, said);
    if (!view->window)
        return FN_OK;
    int rc = draw(view, judge, now, said);
    if (rc == FN_OK && (rc = cli_window_show(view->window, &view->picture.image, why, sizeof why)) < 0) {
        cli_view_clear_line(view);
        cli_error("%s", why);
    } else if (rc < 0) {
        cli_view_clear_line(view);
        cli_failure(rc);
    }
    return rc;
}

int cli_view_wants_end(cli_view *view) {
    cli_window_event event;
    int ends = 0;
    while (view->window && cli_window_poll(view->window, &event, 0))
        ends |= event.what == CLI_WINDOW_CLOSED ||
                (event.what == CLI_WINDOW_KEY && (event.key == 'q' || event.key == CLI_KEY_ESCAPE));
    return ends;
}

void cli_view_close(cli_view *view) {
    cli_view_clear_line(view);
    cli_window_close(view->window);
    cli_picture_free(&view->picture);
    view->window = NULL;
}
