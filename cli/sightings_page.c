// SPDX-License-Identifier: Apache-2.0
//
// The page of a video: each person's best face, name, and a bar for every time on view, over one time scale.
// One file without scripts that needs no network; well-formed XML too.
#include "sightings.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1f2430;--soft:#5b6472;--faint:#e3e7ee;--paper:#fff;--page:#f5f6f9;"
    "--chip:#e7eefc;--chip-ink:#1d4fb8;--known:#12855a;--unknown:#8b93a1}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--faint:#2a313d;--paper:#151a22;"
    "--page:#0d1117;--chip:#1c2c4d;--chip-ink:#9dbdff;--known:#53d3a2;--unknown:#6b7482}}\n"
    "*{box-sizing:border-box}body{margin:0;padding:32px 24px 48px;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\n"
    "main{max-width:1180px;margin:0 auto}h1{font-size:26px;line-height:1.2;margin:0 0 8px;overflow-wrap:"
    "anywhere}\n"
    "h2{font-size:18px;margin:36px 0 12px}.state{display:inline-block;padding:2px 12px;border-radius:12px;"
    "background:var(--chip);color:var(--chip-ink);font-size:13px}\n"
    ".people{background:var(--paper);border:1px solid var(--faint);border-radius:10px;padding:4px 20px 8px}\n"
    ".person,.scale{display:grid;grid-template-columns:84px 250px 1fr;gap:18px;align-items:center}\n"
    ".person{padding:12px 0;border-top:1px solid var(--faint)}.person:first-of-type{border-top:0}\n"
    ".face{width:84px;height:84px;border-radius:8px;object-fit:cover;background:var(--faint);display:block}\n"
    ".name{font-weight:600;font-size:16px;overflow-wrap:anywhere}.unknown .name{font-weight:500;color:"
    "var(--soft)}\n"
    ".said{font-size:12px;line-height:1.4;color:var(--soft);font-variant-numeric:tabular-nums;overflow-wrap:"
    "anywhere}\n"
    ".lane{position:relative;height:26px;border-radius:6px;background:var(--faint);overflow:hidden}\n"
    ".lane i{position:absolute;top:0;bottom:0;min-width:3px;border-radius:4px;background:var(--known)}"
    ".unknown .lane i{background:var(--unknown)}\n"
    ".lane b{position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;background:var(--ink);opacity:.65}\n"
    ".scale{color:var(--soft);font-size:12px;font-variant-numeric:tabular-nums;padding-top:10px}\n"
    ".ticks{position:relative;height:18px}.ticks span{position:absolute;transform:translateX(-50%)}"
    ".ticks span:first-child{transform:none}.ticks span:last-child{transform:translateX(-100%)}\n"
    "p{color:var(--soft);margin:12px 0}\n"
    "@media (max-width:720px){.person,.scale{grid-template-columns:64px 1fr}.face{width:64px;height:64px}"
    ".lane,.ticks{grid-column:1/-1}.scale>div:empty{display:none}}\n";

// Text between tags and in quoted attributes. Bytes that are no text come as \xNN.
static void xml(FILE *out, const char *text) {
    char *plain = cli_escape(text, strlen(text));
    for (const char *p = plain ? plain : ""; *p; p++) {
        const char *entity = *p == '&'   ? "&amp;"
                             : *p == '<' ? "&lt;"
                             : *p == '>' ? "&gt;"
                             : *p == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc(*p, out);
    }
    free(plain);
}

// "1:02:03", or "2:03.5" below an hour.
static const char *clock_text(char dst[32], double seconds) {
    const long tenths = lround(seconds * 10), whole = tenths / 10;
    if (whole >= 3600)
        snprintf(dst, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(dst, 32, "%ld:%02ld.%ld", whole / 60, whole % 60, tenths % 10);
    return dst;
}

static void picture(FILE *out, const fn_timeline_row *row) {
    const size_t size = sodium_base64_ENCODED_LEN(row->n_jpeg, sodium_base64_VARIANT_ORIGINAL);
    char *text = row->jpeg ? malloc(size) : NULL;
    if (!text) {
        fputs("<div class=\"face\"></div>\n", out);
        return;
    }
    sodium_bin2base64(text, size, row->jpeg, row->n_jpeg, sodium_base64_VARIANT_ORIGINAL);
    fprintf(out, "<img class=\"face\" alt=\"\" src=\"data:image/jpeg;base64,%s\"/>\n", text);
    free(text);
}

static double percent(double seconds, double length_s) {
    return length_s > 0 ? 100 * fmin(fmax(seconds / length_s, 0), 1) : 0;
}

static void lane(FILE *out, const fn_timeline_row *row, double length_s) {
    char from[32], to[32];
    fputs("<div class=\"lane\">", out);
    for (size_t k = 0; k < row->n_appearances; k++) {
        const fn_appearance *a = &row->appearances[k];
        const double left = percent(a->from_s, length_s);
        fprintf(out, "<i style=\"left:%.3f%%;width:%.3f%%\" title=\"%s to %s\"></i>", left,
                percent(a->to_s, length_s) - left, clock_text(from, a->from_s), clock_text(to, a->to_s));
    }
    fprintf(out, "<b style=\"left:%.3f%%\" title=\"the face shown: %s\"></b></div>\n",
            percent(row->best_s, length_s), clock_text(from, row->best_s));
}

static void person(FILE *out, const cli_sighting *s, double length_s) {
    char text[32];
    double seconds = 0;
    const int is_known = s->row->decision == FN_DECISION_KNOWN;
    for (size_t k = 0; k < s->row->n_appearances; k++)
        seconds += s->row->appearances[k].to_s - s->row->appearances[k].from_s;
    fprintf(out, "<div class=\"person%s\">\n", is_known ? "" : " unknown");
    picture(out, s->row);
    fputs("<div><div class=\"name\">", out);
    xml(out, s->name);
    fprintf(out, "</div><div class=\"said\">%s on view, %llu frames</div>\n<div class=\"said\">",
            clock_text(text, seconds), (unsigned long long)s->row->n_frames);
    if (s->row->has_nearest) {
        if (!is_known && s->nearest) {
            fputs("nearest: ", out);
            xml(out, s->nearest);
            fputs(", ", out);
        }
        fprintf(out, "distance %.2f; ", (double)s->row->distance);
    }
    xml(out, s->meaning);
    fputs("</div></div>\n", out);
    lane(out, s->row, length_s);
    fputs("</div>\n", out);
}

// Five marks from the beginning to the end.
static void scale(FILE *out, double length_s) {
    char text[32];
    fputs("<div class=\"scale\"><div></div><div></div><div class=\"ticks\">", out);
    for (int i = 0; i <= 4; i++)
        fprintf(out, "<span style=\"left:%d%%\">%s</span>", 25 * i, clock_text(text, length_s * i / 4));
    fputs("</div></div>\n", out);
}

static void people(FILE *out, const cli_sightings *sightings, fn_decision decision, const char *heading) {
    cli_sighting s;
    int n = 0;
    for (size_t i = 0; cli_sighting_get(&s, sightings, i); i++) {
        if (s.row->decision != decision)
            continue;
        if (n++ == 0) {
            fprintf(out, "<section><h2>%s</h2>\n<div class=\"people\">\n", heading);
            scale(out, sightings->length_s);
        }
        person(out, &s, sightings->length_s);
    }
    if (n)
        fputs("</div></section>\n", out);
}

void cli_sightings_page(FILE *out, const cli_sightings *sightings) {
    const char *source = cli_watch_source(sightings->watch), *slash = strrchr(source, '/');
    const char *title = slash && slash[1] ? slash + 1 : source;
    char text[32];
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'; img-src data:\"/>\n<title>",
          out);
    xml(out, title);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>", style);
    xml(out, title);
    fprintf(out, "</h1>\n<div class=\"state\">%s, %llu frames", clock_text(text, sightings->length_s),
            (unsigned long long)sightings->n_frames);
    if (sightings->ended_early) {
        fputs("; not all of it: ", out);
        xml(out, sightings->ended_early);
    }
    fputs("</div>\n", out);
    people(out, sightings, FN_DECISION_KNOWN, "Known people");
    people(out, sightings, FN_DECISION_UNKNOWN, "Unknown faces");
    fputs(fn_timeline_len(sightings->timeline)
              ? "<p>Bars: when somebody is on view; the mark: when the face that is shown was seen.</p>\n"
              : "<p>Nobody was seen.</p>\n",
          out);
    fputs("</main>\n</body>\n</html>\n", out);
}
