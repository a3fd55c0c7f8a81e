// SPDX-License-Identifier: Apache-2.0
//
// Lines, JSON and CSV of who was seen, and files that appear when they are complete.
#include "sightings.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

int cli_sighting_get(cli_sighting *out, const cli_sightings *sightings, size_t index) {
    const fn_timeline_row *row = fn_timeline_get(sightings->timeline, index);
    const fn_calibration *calibration =
        fn_embedder_calibration(fn_recognizer_embedder(sightings->watch->recognizer));
    *out = (cli_sighting){.row = row, .fmr = NAN};
    if (!row)
        return 0;
    const int is_known = row->decision == FN_DECISION_KNOWN;
    size_t number = 1; // among the unknown, which come last
    for (size_t i = 0; i < index; i++)
        number += fn_timeline_get(sightings->timeline, i)->decision != FN_DECISION_KNOWN;
    if (is_known)
        snprintf(out->name, sizeof out->name, "%s",
                 cli_watch_called(sightings->watch, row->decision, row->person));
    else
        snprintf(out->name, sizeof out->name, "%s-%zu", fn_decision_name(FN_DECISION_UNKNOWN), number);
    if (!row->has_nearest) {
        snprintf(out->meaning, sizeof out->meaning, "nobody to compare with");
        return 1;
    }
    char close[128];
    out->nearest = cli_watch_name(sightings->watch, row->nearest);
    out->fmr = calibration ? fn_calibration_fmr(calibration, row->distance) : NAN;
    cli_closeness(close, sizeof close, calibration, row->distance);
    char what[80] = "not sure of anybody";
    if (is_known)
        snprintf(what, sizeof what, "same person");
    else if (row->n_votes)
        snprintf(what, sizeof what, "near enough in %u of %u looks, too few for a name",
                 (unsigned)row->n_votes, (unsigned)row->n_looks);
    else if (out->fmr <= (cli.fmr > 0 ? cli.fmr : 1e-4))
        snprintf(what, sizeof what, "two people fit");
    snprintf(out->meaning, sizeof out->meaning, "%s: %s", what, close);
    return 1;
}

// ---- lines -------------------------------------------------------------------------------------

static void print_lines(const cli_sightings *sightings) {
    cli_sighting s;
    for (size_t i = 0; cli_sighting_get(&s, sightings, i); i++)
        for (size_t k = 0; k < s.row->n_appearances; k++) {
            const fn_appearance *a = &s.row->appearances[k];
            cli_field(s.name);
            printf("\t%.2f\t%.2f\t%llu\t", a->from_s, a->to_s, (unsigned long long)a->n_frames);
            if (s.row->has_nearest)
                printf("%.4f\t%.2g\t", (double)s.row->distance, s.fmr);
            else
                printf("-\t-\t");
            cli_field(s.meaning);
            putchar('\t');
            cli_field(s.nearest ? s.nearest : "-");
            printf("\t%.2f\n", s.row->best_s);
        }
}

// ---- JSON --------------------------------------------------------------------------------------

static json_t *json_sighting(const cli_sighting *s) {
    const fn_timeline_row *row = s->row;
    json_t *object = json_object(), *appearances = json_array();
    const int is_known = row->decision == FN_DECISION_KNOWN;
    for (size_t k = 0; k < row->n_appearances; k++) {
        const fn_appearance *a = &row->appearances[k];
        json_array_append_new(appearances, json_pack("{s:f, s:f, s:I}", "from", a->from_s, "to", a->to_s,
                                                     "frames", (json_int_t)a->n_frames));
    }
    json_object_set_new(object, "label", json_string(s->name));
    json_object_set_new(object, "decision", json_string(fn_decision_name(row->decision)));
    json_object_set_new(object, "name", is_known ? json_string(s->name) : json_null());
    json_object_set_new(object, "frames", json_integer((json_int_t)row->n_frames));
    json_object_set_new(object, "tracks", json_integer((json_int_t)row->n_tracks));
    json_object_set_new(object, "looks", json_integer((json_int_t)row->n_looks));
    json_object_set_new(object, "switches", json_integer((json_int_t)row->n_switches));
    json_object_set_new(object, "nearest", s->nearest ? json_string(s->nearest) : json_null());
    json_object_set_new(object, "distance",
                        row->has_nearest ? json_real((double)row->distance) : json_null());
    json_object_set_new(object, "fmr", isnan(s->fmr) ? json_null() : json_real(s->fmr));
    json_object_set_new(object, "meaning", json_string(s->meaning));
    json_object_set_new(object, "best", json_real(row->best_s));
    json_object_set_new(object, "best_box", cli_json_box(row->best_box));
    json_object_set_new(object, "appearances", appearances);
    return object;
}

static json_t *json_sightings(const cli_sightings *sightings) {
    const char *source = cli_watch_source(sightings->watch);
    const fn_video_info *info = fn_video_get_info(sightings->watch->video);
    json_t *object = json_object(), *people = json_array();
    cli_sighting s;
    for (size_t i = 0; cli_sighting_get(&s, sightings, i); i++)
        json_array_append_new(people, json_sighting(&s));
    cli_json_path(object, "path", source, strlen(source));
    json_object_set_new(object, "width", json_integer(info->width));
    json_object_set_new(object, "height", json_integer(info->height));
    json_object_set_new(object, "fps", json_real(info->fps));
    json_object_set_new(object, "seconds", json_real(sightings->length_s));
    json_object_set_new(object, "frames", json_integer((json_int_t)sightings->n_frames));
    json_object_set_new(object, "complete", json_boolean(sightings->ended_early == NULL));
    if (sightings->ended_early)
        cli_json_path(object, "ended_early", sightings->ended_early, strlen(sightings->ended_early));
    json_object_set_new(object, "people", people);
    return object;
}

void cli_sightings_print(const cli_sightings *sightings) {
    if (cli.json)
        cli_json_line(json_sightings(sightings));
    else
        print_lines(sightings);
}

// ---- files -------------------------------------------------------------------------------------

static void write_json(FILE *out, const cli_sightings *sightings) {
    json_t *object = json_sightings(sightings);
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(object);
    if (text)
        fprintf(out, "%s\n", text);
    free(text);
}

// A field in quotes, as RFC 4180 has it.
static void csv_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static void write_csv(FILE *out, const cli_sightings *sightings) {
    cli_sighting s;
    fputs("name,decision,from,to,frames,distance,fmr,meaning,nearest,best\r\n", out);
    for (size_t i = 0; cli_sighting_get(&s, sightings, i); i++)
        for (size_t k = 0; k < s.row->n_appearances; k++) {
            const fn_appearance *a = &s.row->appearances[k];
            csv_text(out, s.name);
            fprintf(out, ",%s,%.2f,%.2f,%llu,", fn_decision_name(s.row->decision), a->from_s, a->to_s,
                    (unsigned long long)a->n_frames);
            if (s.row->has_nearest)
                fprintf(out, "%.4f,%.2g,", (double)s.row->distance, s.fmr);
            else
                fputs(",,", out);
            csv_text(out, s.meaning);
            fputc(',', out);
            csv_text(out, s.nearest ? s.nearest : "");
            fprintf(out, ",%.2f\r\n", s.row->best_s);
        }
}

static const struct format {
    const char *ending;
    void (*write)(FILE *out, const cli_sightings *sightings); // writes nothing where memory is short
    int has_pictures;
} formats[] = {{".json", write_json, 0}, {".csv", write_csv, 0}, {".html", cli_sightings_page, 1}};

static const struct format *format_of(const char *path) {
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(dot, formats[i].ending) == 0)
            return &formats[i];
    return NULL;
}

int cli_sightings_is_file(const char *path) {
    return format_of(path) != NULL;
}

int cli_sightings_has_pictures(const char *path) {
    return format_of(path)->has_pictures;
}

static int cannot_write(const char *path, const char *why) {
    cli_error("%s: cannot be written: %s", path, why);
    return CLI_INPUTS;
}

int cli_sightings_check(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    struct stat st;
    int code = CLI_DONE;
    if (!folder)
        code = cannot_write(path, "out of memory");
    else if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        code = cannot_write(path, "it is there and no regular file");
    else if (lstat(path, &st) && access(folder, W_OK | X_OK))
        code = cannot_write(path, strerror(errno));
    free(folder);
    return code;
}

int cli_sightings_write(const cli_sightings *sightings, const char *path) {
    char *text = NULL;
    size_t n = 0;
    int code = CLI_DONE;
    FILE *out = open_memstream(&text, &n);
    if (out)
        format_of(path)->write(out, sightings);
    int is_whole = out && !ferror(out);
    if (out && fclose(out))
        is_whole = 0;
    if (!is_whole || n == 0) { // none is ever empty when there was memory for it
        cli_error("%s: cannot be written: out of memory", path);
        code = CLI_INPUTS;
    } else {
        const int rc = fn_write_file(path, text, n, 0600);
        code = rc < 0 ? cli_failure(rc) : CLI_DONE;
    }
    free(text);
    return code;
}
