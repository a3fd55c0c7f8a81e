// SPDX-License-Identifier: Apache-2.0
//
// Lists of pairs of clips, and folds of people where there is no list.
#include "eval/clip_pairs.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "base/random.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 64 << 20, MAX_FOLDS = 1000, MAX_PAIRS = 2000000, MAX_FIELDS = 8, MAX_NAME = 1000 };

static char *trimmed(char *text) {
    while (*text == ' ')
        text++;
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\r'))
        text[--n] = 0;
    return text;
}

/// Cuts a line at commas and tabs. Returns the number of fields; MAX_FIELDS + 1 for more than that.
static int split(char *fields[MAX_FIELDS], char *line) {
    for (int n = 0;; n++) {
        if (n == MAX_FIELDS)
            return MAX_FIELDS + 1;
        char *stop = line + strcspn(line, ",\t");
        const int is_last = *stop == 0;
        *stop = 0;
        fields[n] = trimmed(line);
        if (is_last)
            return n + 1;
        line = stop + 1;
    }
}

/// A fold's number from 1; 0 for anything else.
static int fold_number(const char *text) {
    char *end;
    if (!isdigit((unsigned char)text[0]))
        return 0;
    const long value = strtol(text, &end, 10);
    return *end == 0 && value >= 1 && value <= MAX_FOLDS ? (int)value : 0;
}

/// "PERSON/CLIP", each a plain name. Returns the length of PERSON, 0 for anything else.
static size_t person_length(const char *name) {
    const char *slash = strchr(name, '/');
    if (!slash || slash == name || name[0] == '.' || slash[1] == 0 || slash[1] == '.' ||
        strchr(slash + 1, '/') || strlen(name) > MAX_NAME)
        return 0;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        if (*p < 0x20 || *p == 0x7F)
            return 0;
    return (size_t)(slash - name);
}

static int read_pair(fn_clip_pair *pair, char *fields[MAX_FIELDS], int n, const char *name, int line) {
    const int fold = fold_number(fields[0]);
    if (n < 4 || n > MAX_FIELDS || !fold || (strcmp(fields[n - 1], "0") && strcmp(fields[n - 1], "1")))
        return fn_fail(
            FN_EFORMAT,
            "%s: line %d: expected a fold's number (up to %d), PERSON/CLIP, PERSON/CLIP, and 1 for "
            "one person or 0 for two, parted by commas or tabs",
            name, line, MAX_FOLDS);
    const size_t a = person_length(fields[1]), b = person_length(fields[2]);
    if (!a || !b)
        return fn_fail(FN_EFORMAT, "%s: line %d: clips are called PERSON/CLIP, not \"%s\"", name, line,
                       a ? fields[2] : fields[1]);
    *pair = (fn_clip_pair){{fields[1], fields[2]}, fold - 1, fields[n - 1][0] == '1'};
    if (pair->same != (a == b && strncmp(fields[1], fields[2], a) == 0))
        return fn_fail(FN_EFORMAT, "%s: line %d: the names do not go with \"%s\" at its end", name, line,
                       fields[n - 1]);
    if (strcmp(fields[1], fields[2]) == 0)
        return fn_fail(FN_EFORMAT, "%s: line %d: a clip is paired with itself", name, line);
    return FN_OK;
}

/// Folds are numbered without gaps, so that each of them has pairs.
static int check_folds(const fn_clip_list *list, const char *name) {
    unsigned char has[MAX_FOLDS] = {0};
    for (size_t i = 0; i < list->n; i++)
        has[list->pairs[i].fold] |= list->pairs[i].same ? 1 : 2;
    for (int i = 0; i < list->n_folds; i++)
        if (has[i] != 3)
            return fn_fail(FN_EFORMAT, "%s: fold %d of %d lacks pairs of one kind", name, i + 1,
                           list->n_folds);
    return FN_OK;
}

int fn_clip_list_parse(fn_clip_list *out, const char *bytes, size_t n, const char *name) {
    *out = (fn_clip_list){0};
    if (n > MAX_BYTES)
        return fn_fail(FN_ELIMIT, "%s: %zu bytes, the limit is %d", name, n, MAX_BYTES);
    if (n && memchr(bytes, 0, n))
        return fn_fail(FN_EFORMAT, "%s: not a text: it holds a NUL byte", name);
    size_t n_lines = 1;
    for (size_t i = 0; i < n; i++)
        n_lines += bytes[i] == '\n';
    if (n_lines > MAX_PAIRS)
        return fn_fail(FN_ELIMIT, "%s: %zu lines, the limit is %d", name, n_lines, MAX_PAIRS);
    out->text = fn_strndup(n ? bytes : "", n);
    out->pairs = fn_calloc(n_lines, sizeof *out->pairs);
    int rc = out->text && out->pairs ? FN_OK : fn_fail_memory(), number = 0;
    for (char *line = out->text, *next; rc == FN_OK && line; line = next) {
        char *fields[MAX_FIELDS];
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        line = trimmed(line);
        if (!*line || (number == 1 && !isdigit((unsigned char)*line)))
            continue;
        rc = read_pair(&out->pairs[out->n], fields, split(fields, line), name, number);
        if (rc == FN_OK && out->pairs[out->n].fold >= out->n_folds)
            out->n_folds = out->pairs[out->n].fold + 1;
        out->n += rc == FN_OK;
    }
    if (rc == FN_OK && out->n == 0)
        rc = fn_fail(FN_EFORMAT, "%s: there is no pair in it", name);
    if (rc == FN_OK)
        rc = check_folds(out, name);
    if (rc < 0)
        fn_clip_list_free(out);
    return rc;
}

int fn_clip_list_read(fn_clip_list *out, const char *path) {
    unsigned char *bytes;
    size_t n;
    *out = (fn_clip_list){0};
    int rc = fn_read_file(&bytes, &n, path, MAX_BYTES);
    if (rc == FN_OK)
        rc = fn_clip_list_parse(out, (const char *)bytes, n, path);
    fn_free(bytes);
    return rc;
}

void fn_clip_list_free(fn_clip_list *list) {
    fn_free(list->pairs);
    fn_free(list->text);
    *list = (fn_clip_list){0};
}

int fn_clips_share_out(int *folds, const fn_clips *clips, int most, uint64_t seed) {
    const size_t n_people = clips->n_people;
    size_t *n_of = fn_calloc(n_people, sizeof *n_of);
    int *order = fn_calloc(n_people, sizeof *order);
    if (!n_of || !order || n_people > INT32_MAX) {
        fn_free(order);
        fn_free(n_of);
        return fn_fail_memory();
    }
    size_t n_two = 0;
    for (size_t i = 0; i < clips->n; i++)
        if (!clips->data[i].failed && ++n_of[clips->data[i].person] == 2)
            n_two++;
    for (size_t i = 0; i < n_people; i++)
        order[i] = (int)i;
    fn_rng rng = fn_rng_at(seed, FN_STREAM_SPLIT, 0);
    fn_rng_shuffle(&rng, order, (int)n_people);
    size_t k = n_two < n_people / 2 ? n_two : n_people / 2, at = 0;
    k = k < (size_t)most ? k : (size_t)most;
    for (int has_two = 1; k && has_two >= 0; has_two--)
        for (size_t i = 0; i < n_people; i++)
            if ((n_of[order[i]] >= 2) == has_two)
                folds[order[i]] = (int)(at++ % k);
    fn_free(order);
    fn_free(n_of);
    return (int)k;
}
