// SPDX-License-Identifier: Apache-2.0
//
// Events of tracks. Each track that lives has a row here, from its first sighting on; what is told of it is
// what its row holds. A line of a file is one write, so that whoever reads along never sees half of one.
#include "events.h"

#include "best_face.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define UNKNOWN_AFTER_S 1.0 // somebody without a name is told after so long

typedef struct visit {
    uint32_t track;
    double first_s, last_s;
    uint32_t n_seen;
    int is_confirmed, is_told;
    fn_decision decision;
    fn_id person, told;    // now, and as it was told last
    const char *told_name; // who was renamed is told anew
    float distance;
    double fmr;
    cli_best_face best;
    char *crop; // path of the best crop, once it was written
} visit;

struct cli_events {
    int fd; // of the file; -1: stdout
    int is_text;
    char *path, *crops, *source;
    int is_live;
    char run[32]; // when it began and some letters of chance, as "20240131T120000Z-3fa9c1"
    visit *visits;
    size_t n, room;
    int has_failed; // nothing more is told
    double now_s;
    int64_t now_ms; // UTC
};

static int64_t utc_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void format_utc(char *dst, size_t size, const char *format, int64_t ms) {
    const time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || !strftime(dst, size, format, &utc))
        snprintf(dst, size, "-");
}

static int out_of_memory(void) {
    cli_error("events: out of memory");
    return CLI_INPUTS;
}

// ---- opening and closing -------------------------------------------------------------------------------

static void events_free(cli_events *e) {
    for (size_t i = 0; i < e->n; i++) {
        cli_best_face_free(&e->visits[i].best);
        free(e->visits[i].crop);
    }
    if (e->fd >= 0)
        close(e->fd);
    free(e->visits);
    free(e->path);
    free(e->crops);
    free(e->source);
    free(e);
}

// A power cut may have left half a line: what comes now begins on its own.
static int end_torn_line(int fd) {
    struct stat st;
    char last = '\n';
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    return pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1 ? -1 : 0;
}

static int open_file(cli_events *e) {
    e->fd = open(e->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (e->fd < 0 && (errno == EACCES || errno == EPERM)) // may be written but not read
        e->fd = open(e->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (e->fd >= 0 && end_torn_line(e->fd) == 0)
        return CLI_DONE;
    cli_error("%s: %s", e->path, strerror(errno));
    return CLI_INPUTS;
}

int cli_events_open(cli_events **out, const cli_events_options *options) {
    *out = NULL;
    if (options->crops && cli_make_folder(options->crops) != CLI_DONE)
        return CLI_INPUTS;
    cli_events *e = calloc(1, sizeof *e);
    if (!e)
        return out_of_memory();
    e->fd = -1;
    e->is_live = options->is_live;
    e->is_text = !options->path && !cli.json;
    e->path = options->path ? strdup(options->path) : NULL;
    e->crops = options->crops ? strdup(options->crops) : NULL;
    e->source = strdup(options->source);
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        chance = (uint32_t)getpid();
    format_utc(e->run, sizeof e->run, "%Y%m%dT%H%M%SZ", utc_ms());
    snprintf(e->run + strlen(e->run), sizeof e->run - strlen(e->run), "-%06x", (unsigned)chance & 0xffffff);
    int code = (options->path && !e->path) || (options->crops && !e->crops) || !e->source ? out_of_memory()
                                                                                          : CLI_DONE;
    if (code == CLI_DONE && e->path && strcmp(e->path, "-") != 0)
        code = open_file(e);
    if (code == CLI_DONE)
        *out = e;
    else
        events_free(e);
    return code;
}

// ---- a line --------------------------------------------------------------------------------------------

static int write_line(const cli_events *e, const char *text, size_t n) {
    for (ssize_t done; n; text += done, n -= (size_t)done) {
        done = write(e->fd, text, n);
        if (done < 0 && errno == EINTR)
            done = 0;
        if (done < 0) {
            cli_error("%s: %s", e->path, strerror(errno));
            return CLI_INPUTS;
        }
    }
    return CLI_DONE;
}

static int put_json(const cli_events *e, const cli_watch *watch, const visit *v, const char *what) {
    const int is_known = v->decision == FN_DECISION_KNOWN;
    const char *name = is_known ? cli_watch_name(watch, v->person) : NULL;
    json_t *line = json_pack("{s:s, s:I, s:o, s:s, s:f, s:f}", "event", what, "track", (json_int_t)v->track,
                             "name", name ? json_string(name) : json_null(), "decision",
                             fn_decision_name(v->decision), "time", e->now_s, "first", v->first_s);
    if (strcmp(what, "left") == 0) {
        json_object_set_new(line, "last", json_real(v->last_s));
        json_object_set_new(line, "frames", json_integer(v->n_seen));
    }
    if (e->is_live) {
        char clock[32], utc[48];
        format_utc(clock, sizeof clock, "%Y-%m-%dT%H:%M:%S", e->now_ms);
        snprintf(utc, sizeof utc, "%s.%03dZ", clock, (int)(e->now_ms % 1000));
        json_object_set_new(line, "clock", json_string(utc));
    }
    if (is_known) {
        json_object_set_new(line, "distance", json_real((double)v->distance));
        if (isfinite(v->fmr))
            json_object_set_new(line, "fmr", json_real(v->fmr));
    }
    if (v->crop)
        cli_json_path(line, "crop", v->crop, strlen(v->crop));
    cli_json_path(line, "source", e->source, strlen(e->source));
    json_object_set_new(line, "run", json_string(e->run));
    if (e->fd < 0) {
        cli_json_line(line);
        return CLI_DONE;
    }
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(line);
    if (!text)
        return out_of_memory();
    const size_t n = strlen(text);
    text[n] = '\n'; // in the place of the final 0: the length is known
    const int code = write_line(e, text, n + 1);
    free(text);
    return code;
}

static void put_text(const cli_events *e, const cli_watch *watch, const visit *v, const char *what) {
    printf("%.2f\t%s\t%u\t", e->now_s, what, (unsigned)v->track);
    cli_field(cli_watch_called(watch, v->decision, v->person));
    if (v->decision == FN_DECISION_KNOWN)
        printf("\t%.4f", (double)v->distance);
    else
        printf("\t-");
    printf("\t%.2f\t", v->first_s);
    cli_field(v->crop ? v->crop : "-");
    putchar('\n');
}

static int put(const cli_events *e, const cli_watch *watch, visit *v, const char *what) {
    v->is_told = 1;
    v->told = v->decision == FN_DECISION_KNOWN ? v->person : (fn_id){{0}};
    v->told_name = v->decision == FN_DECISION_KNOWN ? cli_watch_name(watch, v->person) : NULL;
    if (e->is_text)
        put_text(e, watch, v, what);
    else if (put_json(e, watch, v, what) != CLI_DONE)
        return CLI_INPUTS;
    return fflush(stdout) == 0 ? CLI_DONE : CLI_INPUTS; // which is said at the end of the program
}

// ---- visits --------------------------------------------------------------------------------------------

static visit *find(const cli_events *e, uint32_t track) {
    for (size_t i = 0; i < e->n; i++)
        if (e->visits[i].track == track)
            return &e->visits[i];
    return NULL;
}

static visit *begin(cli_events *e, uint32_t track) {
    if (e->n == e->room) {
        const size_t room = e->room ? 2 * e->room : 16;
        visit *more = realloc(e->visits, room * sizeof *more);
        if (!more)
            return NULL;
        e->visits = more;
        e->room = room;
    }
    e->visits[e->n] = (visit){.track = track, .first_s = e->now_s};
    return &e->visits[e->n++];
}

// Writes the best crop there is now; later ones go under the same name.
static int write_crop(const cli_events *e, visit *v) {
    const fn_image image = cli_best_face_image(&v->best);
    if (!image.width)
        return CLI_DONE;
    const size_t size = strlen(e->crops) + sizeof e->run + 32;
    if (!v->crop) {
        v->crop = malloc(size);
        if (!v->crop)
            return out_of_memory();
        snprintf(v->crop, size, "%s/%s-%05u.jpg", e->crops, e->run, (unsigned)v->track);
    }
    if (fn_image_write(&image, v->crop, 0) == FN_OK)
        return CLI_DONE;
    cli_error("%s", fn_last_error());
    return CLI_INPUTS;
}

static int tell(const cli_events *e, const cli_watch *watch, visit *v, const char *what) {
    const int code = e->crops ? write_crop(e, v) : CLI_DONE;
    return code == CLI_DONE ? put(e, watch, v, what) : code;
}

static int see(cli_events *e, const cli_watch *watch, const fn_stream_frame *now, const fn_stream_face *f) {
    visit *v = find(e, f->track);
    if (!v)
        v = begin(e, f->track);
    if (!v)
        return out_of_memory();
    v->last_s = now->time_s;
    v->n_seen += now->is_searched != 0;
    v->is_confirmed = f->is_confirmed;
    v->decision = f->decision;
    v->person = f->person;
    v->distance = f->distance;
    v->fmr = f->fmr;
    if (e->crops && now->is_searched &&
        cli_best_face_offer(&v->best, fn_frame_image(now->frame), &f->face) < 0)
        return out_of_memory();
    if (!v->is_confirmed)
        return CLI_DONE;
    const int is_known = v->decision == FN_DECISION_KNOWN;
    if (!v->is_told)
        return is_known || now->time_s - v->first_s >= UNKNOWN_AFTER_S ? tell(e, watch, v, "entered")
                                                                       : CLI_DONE;
    const int is_told =
        memcmp(&v->told, &v->person, sizeof v->told) == 0 && cli_watch_name(watch, v->person) == v->told_name;
    return is_known && !is_told ? tell(e, watch, v, "named") : CLI_DONE;
}

static int leave(cli_events *e, const cli_watch *watch, visit *v) {
    int code = CLI_DONE;
    if (v->is_confirmed && !v->is_told)
        code = tell(e, watch, v, "entered");
    if (v->is_confirmed && code == CLI_DONE)
        code = tell(e, watch, v, "left");
    cli_best_face_free(&v->best);
    free(v->crop);
    memmove(v, v + 1, (size_t)(e->visits + e->n - (v + 1)) * sizeof *v); // the others stay in order
    e->n--;
    return code;
}

static int end(cli_events *e, const cli_watch *watch, const fn_track *track) {
    visit *v = find(e, track->id);
    if (!v)
        return CLI_DONE;
    v->is_confirmed = track->is_confirmed;
    v->first_s = track->first_s;
    v->last_s = track->last_s;
    v->n_seen = track->n_seen;
    v->decision = track->decision;
    v->person = track->person;
    v->distance = track->distance;
    v->fmr = track->fmr;
    return leave(e, watch, v);
}

int cli_events_add(cli_events *events, const cli_watch *watch, const fn_stream_frame *now) {
    int code = CLI_DONE;
    events->now_ms = utc_ms();
    if (now->frame) {
        events->now_s = now->time_s;
        events->now_ms -= fn_clock_ms() - fn_frame_clock_ms(now->frame);
    }
    for (size_t i = 0; i < now->n_ended && code == CLI_DONE; i++)
        code = end(events, watch, &now->ended[i]);
    for (size_t i = 0; i < now->n_faces && now->frame && code == CLI_DONE; i++)
        code = see(events, watch, now, &now->faces[i]);
    events->has_failed = code != CLI_DONE;
    return code;
}

int cli_events_close(cli_events *events, const cli_watch *watch) {
    int code = CLI_DONE;
    if (!events)
        return code;
    events->now_ms = utc_ms();
    while (events->n && code == CLI_DONE && !events->has_failed)
        code = leave(events, watch, &events->visits[0]);
    events_free(events);
    return code;
}
