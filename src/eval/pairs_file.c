// SPDX-License-Identifier: Apache-2.0
//
// Reads pairs.txt as LFW publishes it (Huang et al. 2007): a header "folds n", or "n" for one fold;
// then per fold n lines "name i j" (one person) and n lines "name i name j" (two people), separated
// by tabs or spaces. Names become parts of paths, so they are held to what a plain folder name is.
#include "eval/pairs_file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <string.h>

enum {
    MAX_BYTES = 64 << 20,
    MAX_FOLDS = 1000,
    MAX_PER_KIND = 1000000,
    MAX_PAIRS = 2000000,
    MAX_NAME = 200,
    SHORTEST_LINE = 6, // "a 1 2\n"
};

typedef struct reader {
    const char *name;
    char *at; // start of the next line; the text ends with 0
    char *end;
    int line; // number of the line in `fields`
    char *fields[5];
    int n_fields; // 5: more than any line has
} reader;

/// Cuts the next line that is not blank into fields. 0 at the end of the text.
static int next_line(reader *r) {
    do {
        if (r->at == r->end)
            return 0;
        char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
        char *line = r->at;
        r->line++;
        r->at = stop ? stop + 1 : r->end;
        if (!stop)
            stop = r->end;
        *stop = 0;
        if (stop > line && stop[-1] == '\r')
            *--stop = 0;
        r->n_fields = 0;
        while (line < stop && r->n_fields < 5) {
            while (*line == ' ' || *line == '\t')
                *line++ = 0;
            if (line == stop)
                break;
            r->fields[r->n_fields++] = line;
            while (line < stop && *line != ' ' && *line != '\t')
                line++;
        }
    } while (r->n_fields == 0);
    return 1;
}

/// A decimal number from 1 to max; 0 for anything else.
static int number(const char *text, int max) {
    int value = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9')
            return 0;
        value = 10 * value + (*p - '0');
        if (value > max)
            return 0;
    }
    return value;
}

static int is_folder_name(const char *text) {
    size_t n = strlen(text);
    if (n == 0 || n > MAX_NAME || text[0] == '.')
        return 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7F || *p == '/')
            return 0;
    return 1;
}

static int read_header(fn_pairs_file *file, reader *r) {
    int found = next_line(r);
    int folds = found && r->n_fields == 2 ? number(r->fields[0], MAX_FOLDS) : 1;
    int per_kind = found && r->n_fields <= 2 ? number(r->fields[r->n_fields - 1], MAX_PER_KIND) : 0;
    if (folds == 0 || per_kind == 0)
        return fn_fail(FN_EFORMAT,
                       "%s: line %d: expected a header: number of folds (up to %d) and of pairs of each kind "
                       "in a fold (up to %d), or the latter alone",
                       r->name, r->line, MAX_FOLDS, MAX_PER_KIND);
    size_t n = 2 * (size_t)folds * (size_t)per_kind;
    if (n > MAX_PAIRS)
        return fn_fail(FN_ELIMIT, "%s: line %d: %zu pairs, the limit is %d", r->name, r->line, n, MAX_PAIRS);
    if (n * SHORTEST_LINE > (size_t)(r->end - r->at) + 1)
        return fn_fail(FN_EFORMAT, "%s: line %d: it promises %zu pairs, but the file is too short for them",
                       r->name, r->line, n);
    file->n_folds = folds;
    file->n_per_kind = per_kind;
    file->n = n;
    return FN_OK;
}

static int read_pair(fn_listed_pair *pair, const reader *r) {
    int last = pair->same ? 2 : 3;
    if (r->n_fields != last + 1)
        return fn_fail(FN_EFORMAT, "%s: line %d: expected \"%s\"", r->name, r->line,
                       pair->same ? "name number number" : "name number name number");
    pair->photo[0].person = r->fields[0];
    pair->photo[0].number = number(r->fields[1], 99999999);
    pair->photo[1].person = r->fields[pair->same ? 0 : 2];
    pair->photo[1].number = number(r->fields[last], 99999999);
    for (int i = 0; i < 2; i++) {
        if (!is_folder_name(pair->photo[i].person))
            return fn_fail(FN_EFORMAT, "%s: line %d: a name is not a plain folder name", r->name, r->line);
        if (pair->photo[i].number == 0)
            return fn_fail(FN_EFORMAT, "%s: line %d: photographs are numbered from 1", r->name, r->line);
    }
    if (!pair->same && strcmp(r->fields[0], r->fields[2]) == 0)
        return fn_fail(FN_EFORMAT, "%s: line %d: a pair of two people names one person twice", r->name,
                       r->line);
    if (pair->same && pair->photo[0].number == pair->photo[1].number)
        return fn_fail(FN_EFORMAT, "%s: line %d: a photograph is paired with itself", r->name, r->line);
    return FN_OK;
}

int fn_pairs_parse(fn_pairs_file *out, const char *bytes, size_t n, const char *name) {
    *out = (fn_pairs_file){0};
    if (n > MAX_BYTES)
        return fn_fail(FN_ELIMIT, "%s: %zu bytes, the limit is %d", name, n, MAX_BYTES);
    if (n && memchr(bytes, 0, n))
        return fn_fail(FN_EFORMAT, "%s: not a text: it holds a NUL byte", name);
    out->text = fn_alloc(n + 1);
    if (!out->text)
        return fn_fail_memory();
    if (n)
        memcpy(out->text, bytes, n);
    out->text[n] = 0;
    reader r = {.name = name, .at = out->text, .end = out->text + n};
    int rc = read_header(out, &r);
    if (rc == FN_OK && !(out->pairs = fn_calloc(out->n, sizeof *out->pairs)))
        rc = fn_fail_memory();
    for (size_t i = 0; i < out->n && rc == FN_OK; i++) {
        size_t per_fold = 2 * (size_t)out->n_per_kind;
        out->pairs[i].fold = (int)(i / per_fold);
        out->pairs[i].same = i % per_fold < (size_t)out->n_per_kind;
        if (next_line(&r))
            rc = read_pair(&out->pairs[i], &r);
        else
            rc = fn_fail(FN_EFORMAT, "%s: line %d: the file ends after %zu pairs, its header promises %zu",
                         name, r.line, i, out->n);
    }
    if (rc == FN_OK && next_line(&r))
        rc = fn_fail(FN_EFORMAT, "%s: line %d: more pairs than the %zu of the header", name, r.line, out->n);
    if (rc < 0)
        fn_pairs_free(out);
    return rc;
}

int fn_pairs_read(fn_pairs_file *out, const char *path) {
    unsigned char *bytes;
    size_t n;
    *out = (fn_pairs_file){0};
    int rc = fn_read_file(&bytes, &n, path, MAX_BYTES);
    if (rc == FN_OK)
        rc = fn_pairs_parse(out, (const char *)bytes, n, path);
    fn_free(bytes);
    return rc;
}

void fn_pairs_free(fn_pairs_file *file) {
    fn_free(file->pairs);
    fn_free(file->text);
    *file = (fn_pairs_file){0};
}
