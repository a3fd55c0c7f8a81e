// SPDX-License-Identifier: Apache-2.0
//
// Learning rates over time: the text form, the file of epochs, and the rate of a step.
#include "train/schedule.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 20, MAX_POINTS = 4096 };

typedef enum shape { CONSTANT, STEP, COSINE, TABLE } shape;
static const char *const shapes[] = {"constant", "step", "cosine", "file"};

typedef struct point {
    double epoch, rate; // rate < 0: the training ends
} point;

struct fn_schedule {
    shape shape;
    double lr, warmup; // warmup in steps
    double every, factor, end;
    point *points; // of step:at= (rates unused) or of the file, epochs rising
    size_t n;
};

// A number that fills the whole of a word, whatever the locale: strtod is given the locale's point.
static int number(double *out, const char *text) {
    char copy[64];
    size_t n = strlen(text);
    if (!n || n >= sizeof copy || strspn(text, "+-0123456789.eE") != n)
        return 0;
    memcpy(copy, text, n + 1);
    char *dot = strchr(copy, '.');
    if (dot)
        *dot = *localeconv()->decimal_point;
    char *end;
    *out = strtod(copy, &end);
    return *end == 0 && isfinite(*out);
}

static int add_point(fn_schedule *s, double epoch, double rate) {
    if (s->n >= MAX_POINTS)
        return fn_fail(FN_ELIMIT, "more than %d epochs are named", MAX_POINTS);
    point *grown = fn_realloc(s->points, s->n + 1, sizeof *grown);
    if (!grown)
        return fn_fail_memory();
    s->points = grown;
    s->points[s->n++] = (point){epoch, rate};
    return FN_OK;
}

static char *trimmed(char *text) {
    text += strspn(text, " \t\r");
    size_t n = strlen(text);
    while (n && strchr(" \t\r", text[n - 1]))
        text[--n] = 0;
    return text;
}

// One line "epoch: rate" without comment and margins.
static int parse_line(fn_schedule *s, char *line, const char *path, int row) {
    char *colon = strchr(line, ':');
    double epoch, rate;
    if (!colon)
        return fn_fail(FN_EINVAL, "%s: line %d: \"%s\": expected \"epoch: rate\"", path, row, line);
    *colon = 0;
    const char *left = trimmed(line), *right = trimmed(colon + 1);
    if (!number(&epoch, left) || epoch < 0 || epoch != floor(epoch))
        return fn_fail(FN_EINVAL, "%s: line %d: the epoch is \"%s\", expected a whole number from 0", path,
                       row, left);
    if (strcmp(right, "-") == 0)
        rate = -1;
    else if (!number(&rate, right) || (rate <= 0 && rate != -1))
        return fn_fail(FN_EINVAL,
                       "%s: line %d: the rate is \"%s\", expected a number above 0, or -1 or - to end there",
                       path, row, right);
    if (s->n && epoch <= s->points[s->n - 1].epoch)
        return fn_fail(FN_EINVAL, "%s: line %d: epoch %g follows epoch %g: epochs must rise", path, row,
                       epoch, s->points[s->n - 1].epoch);
    return add_point(s, epoch, rate);
}

static int read_table(fn_schedule *s, const char *path) {
    unsigned char *bytes;
    size_t n;
    int rc = fn_read_file(&bytes, &n, path, MAX_FILE);
    if (rc < 0)
        return rc;
    int row = 0;
    for (char *line = (char *)bytes; line && rc == FN_OK;) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        row++;
        line[strcspn(line, "#")] = 0;
        line = trimmed(line);
        if (*line)
            rc = parse_line(s, line, path, row);
        line = next;
    }
    fn_free(bytes);
    if (rc == FN_OK && (!s->n || s->points[0].rate < 0))
        rc = fn_fail(FN_EINVAL, "%s: there is no rate to begin with: expected lines \"epoch: rate\"", path);
    return rc;
}

// "30+60+90"
static int parse_epochs(fn_schedule *s, char *value) {
    int rc = FN_OK;
    for (char *at = value; at && rc == FN_OK;) {
        char *next = strchr(at, '+');
        double epoch;
        if (next)
            *next++ = 0;
        if (!number(&epoch, at) || epoch < 1 || epoch != floor(epoch) ||
            (s->n && epoch <= s->points[s->n - 1].epoch))
            return fn_fail(FN_EINVAL, "schedule step: at \"%s\": expected rising whole epochs such as 30+60",
                           at);
        rc = add_point(s, epoch, 0);
        at = next;
    }
    return rc;
}

static int set_option(fn_schedule *s, char *word) {
    char *value = strchr(word, '=');
    if (!value)
        return fn_fail(FN_EINVAL, "schedule %s: \"%s\": expected name=value", shapes[s->shape], word);
    *value++ = 0;
    const struct {
        const char *name;
        double *to, low;
        int whole, open; // open: low itself is not allowed
        unsigned of;     // shapes that take it
    } options[] = {
        {"lr", &s->lr, 0, 0, 1, 1U << CONSTANT | 1U << STEP | 1U << COSINE},
        {"warmup", &s->warmup, 0, 1, 0, 1U << CONSTANT | 1U << STEP | 1U << COSINE | 1U << TABLE},
        {"every", &s->every, 1, 1, 0, 1U << STEP},
        {"factor", &s->factor, 0, 0, 1, 1U << STEP},
        {"end", &s->end, 0, 0, 0, 1U << COSINE},
    };
    if (s->shape == STEP && strcmp(word, "at") == 0)
        return parse_epochs(s, value);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (strcmp(word, options[i].name) || !(options[i].of >> s->shape & 1))
            continue;
        double x;
        if (!number(&x, value) || x < options[i].low || (options[i].open && x <= options[i].low) ||
            (options[i].whole && x != floor(x)))
            return fn_fail(FN_EINVAL, "schedule %s: %s is \"%s\", expected a %s%s %g", shapes[s->shape], word,
                           value, options[i].whole ? "whole number" : "number",
                           options[i].open ? " above" : " from", options[i].low);
        *options[i].to = x;
        return FN_OK;
    }
    static const char *const taken[] = {"lr, warmup", "lr, warmup, every, at, factor", "lr, warmup, end",
                                        "warmup"};
    return fn_fail(FN_EINVAL, "schedule %s: there is no option \"%s\": it takes %s", shapes[s->shape], word,
                   taken[s->shape]);
}

// What follows the colon, parts separated by commas; the first of "file" is its path.
static int parse_rest(fn_schedule *s, char *rest) {
    int rc = FN_OK;
    for (int i = 0; rest && rc == FN_OK; i++) {
        char *next = strchr(rest, ',');
        if (next)
            *next++ = 0;
        rc = s->shape == TABLE && i == 0 ? read_table(s, rest) : set_option(s, rest);
        rest = next;
    }
    if (rc == FN_OK && s->shape == TABLE && !s->n)
        rc = fn_fail(FN_EINVAL, "schedule file: expected file:PATH");
    if (rc == FN_OK && s->shape == STEP && (s->every > 0) == (s->n > 0))
        rc = fn_fail(FN_EINVAL, "schedule step: expected either every=EPOCHS or at=EPOCH+EPOCH...");
    return rc;
}

int fn_schedule_parse(fn_schedule **out, const char *text, double lr) {
    *out = NULL;
    if (!(lr > 0 && isfinite(lr)))
        return fn_fail(FN_EINVAL, "the learning rate is %g, expected a number above 0", lr);
    fn_schedule *s = fn_calloc(1, sizeof *s);
    char *copy = fn_strdup(text);
    int rc = FN_OK;
    if (!s || !copy) {
        rc = fn_fail_memory();
        goto out;
    }
    s->lr = lr;
    s->factor = 0.1;
    char *rest = strchr(copy, ':');
    if (rest)
        *rest++ = 0;
    int found = 0;
    for (int i = CONSTANT; i <= TABLE; i++)
        if (strcmp(copy, shapes[i]) == 0) {
            s->shape = (shape)i;
            found = 1;
        }
    rc = found
             ? parse_rest(s, rest)
             : fn_fail(FN_EINVAL, "there is no schedule \"%s\": choose constant, step, cosine or file", copy);
out:
    fn_free(copy);
    if (rc < 0)
        fn_schedule_free(s);
    else
        *out = s;
    return rc;
}

void fn_schedule_free(fn_schedule *schedule) {
    if (!schedule)
        return;
    fn_free(schedule->points);
    fn_free(schedule);
}

// Points whose epoch has come.
static size_t passed(const fn_schedule *s, double epoch) {
    size_t i = 0;
    while (i < s->n && s->points[i].epoch <= epoch)
        i++;
    return i;
}

static double rate_at(const fn_schedule *s, double step, double epoch, double total) {
    switch (s->shape) {
    case STEP:
        return s->lr * pow(s->factor, s->every > 0 ? floor(epoch / s->every) : (double)passed(s, epoch));
    case COSINE: {
        double span = total - s->warmup, way = span > 0 ? (step - s->warmup) / span : 1;
        way = way < 0 ? 0 : way > 1 ? 1 : way;
        return s->end + (s->lr - s->end) * 0.5 * (1 + cos(3.14159265358979323846 * way));
    }
    case TABLE: {
        size_t i = passed(s, epoch);
        return s->points[i ? i - 1 : 0].rate;
    }
    default:
        return s->lr;
    }
}

double fn_schedule_lr(const fn_schedule *schedule, uint64_t step, uint64_t epoch_steps,
                      uint64_t total_steps) {
    double epoch = epoch_steps ? (double)(step / epoch_steps) : 0;
    double rate = rate_at(schedule, (double)step, epoch, (double)total_steps);
    if (rate > 0 && (double)step < schedule->warmup)
        rate *= ((double)step + 1) / schedule->warmup;
    return rate;
}
