// SPDX-License-Identifier: Apache-2.0
//
// The alignment templates as data, and a template as text. Where the numbers come from:
//   arcface-112        the five points of InsightFace's 112 x 112 crop (ArcFace, Deng et al. 2019)
//   dlib-150           dlib's mean face, its 5-point chip of 150 px with padding 0.25
//   openface-*-96      OpenFace's mean of the 68 landmarks, scaled to the crop
//   eyes-200           imutils' FaceAligner: eye centres at 35 % of the crop from its borders
#include "align/template.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A point (x, y) of dlib's mean face in the chip: (padding + x) / (1 + 2 padding) of its size.
#define DLIB(landmark, px, py)                                                                               \
    { landmark, landmark, (float)((0.25 + (px)) / 1.5 * 150), (float)((0.25 + (py)) / 1.5 * 150) }

static const fn_template templates[] = {
    {.name = "arcface-112",
     .description = "eyes, nose tip and mouth corners in 112 x 112 (ArcFace, MobileFaceNet)",
     .width = 112,
     .height = 112,
     .n_points = 5,
     .points = {{36, 41, 38.2946F, 51.6963F},
                {42, 47, 73.5318F, 51.5014F},
                {30, 30, 56.0252F, 71.7366F},
                {48, 48, 41.5493F, 92.3655F},
                {54, 54, 70.7299F, 92.2041F}}},
    {.name = "dlib-150",
     .description = "eye corners and base of the nose in 150 x 150, padding 0.25 (dlib's ResNet)",
     .width = 150,
     .height = 150,
     .n_points = 5,
     .points = {DLIB(45, .8595674595992, .2134981538014), DLIB(42, .6460604764104, .2289674387677),
                DLIB(36, .1205750620789, .2137274526848), DLIB(39, .3340850613712, .2290642403242),
                DLIB(33, .4901123135679, .6277975316475)}},
    {.name = "openface-outer-96",
     .description = "outer eye corners and nose in 96 x 96 (OpenFace nn4.small2)",
     .width = 96,
     .height = 96,
     .n_points = 3,
     .points = {{36, 36, 18.6391F, 16.2496F}, {45, 45, 75.7305F, 15.1844F}, {33, 33, 47.5153F, 49.3864F}}},
    {.name = "openface-inner-96",
     .description = "inner eye corners and bottom lip in 96 x 96 (OpenFace nn4.v1)",
     .width = 96,
     .height = 96,
     .n_points = 3,
     .points = {{39, 39, 34.9234F, 17.0829F}, {42, 42, 59.4205F, 16.5867F}, {57, 57, 48.0196F, 72.0561F}}},
    {.name = "eyes-200",
     .description = "eye centres at 35 % of 200 x 200 (imutils FaceAligner)",
     .width = 200,
     .height = 200,
     .n_points = 2,
     .points = {{36, 41, 70.0F, 70.0F}, {42, 47, 130.0F, 70.0F}}},
};
#define N_TEMPLATES ((int)(sizeof templates / sizeof *templates))

#define MAX_NAME 63
#define MAX_SIDE 4096

int fn_template_len(void) {
    return N_TEMPLATES;
}

const fn_template *fn_template_get(int index) {
    return index >= 0 && index < N_TEMPLATES ? &templates[index] : NULL;
}

const fn_template *fn_template_find(const char *name) {
    for (int i = 0; name && i < N_TEMPLATES; i++)
        if (strcmp(templates[i].name, name) == 0)
            return &templates[i];
    return NULL;
}

// Numbers are written and read with a decimal point, whatever locale the program has set.
static locale_t numbers_in_c(locale_t *previous) {
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (c != (locale_t)0)
        *previous = uselocale(c);
    return c;
}

static void numbers_as_before(locale_t c, locale_t previous) {
    uselocale(previous);
    freelocale(c);
}

char *fn_template_text(const fn_template *tmpl) {
    locale_t previous, c = numbers_in_c(&previous);
    if (c == (locale_t)0)
        return NULL;
    fn_buf buf;
    fn_buf_init(&buf, 4096);
    fn_buf_printf(&buf, "%s %dx%d", tmpl->name, tmpl->width, tmpl->height);
    for (int i = 0; i < tmpl->n_points; i++) {
        const fn_template_point *p = &tmpl->points[i];
        fn_buf_printf(&buf, " %d-%d:%.9g,%.9g", p->first, p->last, (double)p->x, (double)p->y);
    }
    numbers_as_before(c, previous);
    return fn_buf_take(&buf);
}

// An unsigned decimal number of at most `max`; 1 when there is one.
static int read_int(int *out, const char **p, int max) {
    int value = 0, n = 0;
    for (; **p >= '0' && **p <= '9' && value <= max; (*p)++, n++)
        value = value * 10 + (**p - '0');
    *out = value;
    return n > 0 && value <= max;
}

static int read_float(float *out, const char **p) {
    char *end;
    if ((**p < '0' || **p > '9') && **p != '-')
        return 0; // strtof would take spaces, "nan", "inf"
    *out = strtof(*p, &end);
    if (end == *p || !isfinite(*out))
        return 0;
    *p = end;
    return 1;
}

static int read_char(const char **p, char expected) {
    if (**p != expected)
        return 0;
    ++*p;
    return 1;
}

static int is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

// What is wrong with `text` at *p, or NULL when it was read whole. The name is the caller's.
static const char *read_template(fn_template *t, const char **p) {
    if (!read_int(&t->width, p, MAX_SIDE) || !read_char(p, 'x') || !read_int(&t->height, p, MAX_SIDE) ||
        t->width < 1 || t->height < 1)
        return "WIDTHxHEIGHT, each 1 to 4096, expected";
    while (read_char(p, ' ')) {
        if (t->n_points == FN_TEMPLATE_MAX_POINTS)
            return "more than five points";
        fn_template_point *point = &t->points[t->n_points++];
        if (!read_int(&point->first, p, FN_N_LANDMARKS - 1) || !read_char(p, '-') ||
            !read_int(&point->last, p, FN_N_LANDMARKS - 1) || point->first > point->last)
            return "FIRST-LAST, landmarks 0 to 67, expected";
        if (!read_char(p, ':') || !read_float(&point->x, p) || !read_char(p, ',') ||
            !read_float(&point->y, p))
            return ":X,Y expected";
    }
    if (**p)
        return "a space or the end expected";
    return t->n_points < 2 ? "at least two points expected" : NULL;
}

int fn_template_parse(fn_template **out, const char *text) {
    *out = NULL;
    size_t n_name = 0;
    while (is_name_char(text[n_name]))
        n_name++;
    if (n_name == 0 || n_name > MAX_NAME || text[n_name] != ' ')
        return fn_fail(FN_EFORMAT, "template: a name of 1 to 63 letters, digits, '-', '_', '.' expected");
    locale_t previous, c = numbers_in_c(&previous);
    fn_template *t = fn_calloc(1, sizeof *t);
    char *name = fn_strndup(text, n_name);
    if (!t || !name || c == (locale_t)0) {
        if (c != (locale_t)0)
            numbers_as_before(c, previous);
        fn_free(t);
        fn_free(name);
        return fn_fail_memory();
    }
    t->name = name;
    t->description = "";
    const char *p = text + n_name + 1;
    const char *wrong = read_template(t, &p);
    numbers_as_before(c, previous);
    if (wrong) {
        fn_template_free(t);
        return fn_fail(FN_EFORMAT, "template: %s at byte %zu", wrong, (size_t)(p - text));
    }
    *out = t;
    return FN_OK;
}

void fn_template_free(fn_template *tmpl) {
    if (!tmpl)
        return;
    fn_free((char *)(uintptr_t)tmpl->name);
    fn_free(tmpl);
}
