// SPDX-License-Identifier: Apache-2.0
//
// Which face of a picture is meant, and what a distance means in words.
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int cli_face_parse(cli_face *face, const char *text, int allow_all) {
    static const struct {
        const char *word;
        cli_choice choice;
    } words[] = {{"all", CLI_FACE_ALL},
                 {"only", CLI_FACE_ONLY},
                 {"largest", CLI_FACE_LARGEST},
                 {"centre", CLI_FACE_CENTRE}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].word) == 0) {
            *face = (cli_face){words[i].choice, 0};
            return allow_all || face->choice != CLI_FACE_ALL;
        }
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    *face = (cli_face){CLI_FACE_NUMBER, number};
    return isdigit((unsigned char)text[0]) && !*end && !errno;
}

static double area(fn_box box) {
    return (double)box.width * (double)box.height;
}

static double from_centre(const fn_analysis *analysis, fn_box box) {
    double dx = (double)box.x + 0.5 * (double)box.width - 0.5 * analysis->width;
    double dy = (double)box.y + 0.5 * (double)box.height - 0.5 * analysis->height;
    return dx * dx + dy * dy;
}

// "3 faces: 0 at 12,40 100x120; ...": so that the reader can choose one.
static void list_faces(char *dst, size_t size, const fn_analysis *analysis) {
    size_t used = (size_t)snprintf(dst, size, "%zu faces:", analysis->n_faces);
    for (size_t i = 0; i < analysis->n_faces && used < size; i++) {
        fn_box b = analysis->faces[i].box;
        used += (size_t)snprintf(dst + used, size - used, "%s %zu at %.0f,%.0f %.0fx%.0f", i ? ";" : "", i,
                                 (double)b.x, (double)b.y, (double)b.width, (double)b.height);
    }
}

int cli_face_choose(size_t *index, const fn_analysis *analysis, cli_face face, char *why, size_t size) {
    size_t n = analysis->n_faces, best = 0;
    if (n == 0) {
        snprintf(why, size, "no face");
        return 0;
    }
    if ((face.choice == CLI_FACE_ONLY && n > 1) || (face.choice == CLI_FACE_NUMBER && face.number >= n)) {
        list_faces(why, size, analysis);
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        fn_box b = analysis->faces[i].box, c = analysis->faces[best].box;
        if (face.choice == CLI_FACE_LARGEST ? area(b) > area(c)
                                            : from_centre(analysis, b) < from_centre(analysis, c))
            best = i;
    }
    *index = face.choice == CLI_FACE_NUMBER ? face.number : best;
    return 1;
}

int cli_face_wanted(void *user, const fn_analysis *found, size_t face) {
    const cli_face *choice = user;
    char why[8];
    size_t chosen;
    return choice->choice == CLI_FACE_ALL ||
           (cli_face_choose(&chosen, found, *choice, why, sizeof why) && chosen == face);
}

int cli_name_is_free(const char *name) {
    const char *unknown = fn_decision_name(FN_DECISION_UNKNOWN);
    const size_t n = strlen(unknown);
    if (strcmp(name, fn_decision_name(FN_DECISION_AMBIGUOUS)) == 0)
        return 0;
    if (strncmp(name, unknown, n) != 0)
        return 1;
    const char *digits = name[n] == '-' ? name + n + 1 : ""; // "unknown-3" is what a timeline calls somebody
    return name[n] && !(*digits && digits[strspn(digits, "0123456789")] == 0);
}

uint32_t cli_color(fn_decision decision) {
    return decision == FN_DECISION_KNOWN ? 0x2E9E4F : decision == FN_DECISION_UNKNOWN ? 0x8A8A8A : 0xF08C00;
}

// Two significant digits, thousands apart: 12345 as "12,000".
static void format_count(char *dst, size_t size, double value) {
    double step = pow(10, fmax(0, floor(log10(value)) - 1));
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%.0f", round(value / step) * step);
    size_t used = 0;
    for (int i = 0; i < n && used + 2 < size; i++) {
        dst[used++] = digits[i];
        if (i + 1 < n && (n - i - 1) % 3 == 0)
            dst[used++] = ',';
    }
    dst[used] = 0;
}

void cli_closeness(char *dst, size_t size, const fn_calibration *calibration, float distance) {
    if (!calibration) {
        snprintf(dst, size, "the model has no calibration");
        return;
    }
    double rate = fn_calibration_fmr(calibration, distance);
    double n_pairs = (double)fn_calibration_n_different(calibration);
    char number[32];
    if (!(rate < 0.5)) {
        snprintf(dst, size, "most different pairs are this close");
    } else if (rate * n_pairs < 1) {
        format_count(number, sizeof number, n_pairs);
        snprintf(dst, size, "fewer than 1 in %s different pairs is this close", number);
    } else {
        format_count(number, sizeof number, 1 / rate);
        snprintf(dst, size, "1 in %s different pairs is this close", number);
    }
}
