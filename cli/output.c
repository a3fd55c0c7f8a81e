// SPDX-License-Identifier: Apache-2.0
//
// What the program says: fields and JSON lines on stdout, messages on stderr. Paths are bytes, not
// text: whatever they hold, a record stays one line and a terminal is never steered by a file name.
#include "output.h"

#include "cli.h"
#include "progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int output_failed;

// Length of the printable UTF-8 character at `s`, 0 for anything else. Control characters (C0, DEL,
// C1), overlong forms, surrogates and what lies past U+10FFFF are not printable.
static size_t character(const unsigned char *s, size_t n) {
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || len > n)
        return 0;
    unsigned code = s[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fU);
    }
    static const unsigned smallest[] = {0, 0, 0xa0, 0x800, 0x10000};
    return code >= smallest[len] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? len : 0;
}

char *cli_escape(const char *text, size_t n) {
    if (n > (SIZE_MAX - 1) / 4)
        return NULL;
    char *escaped = malloc(4 * n + 1), *at = escaped;
    if (!escaped)
        return NULL;
    for (size_t i = 0; i < n;) {
        const unsigned char *s = (const unsigned char *)text + i;
        size_t len = character(s, n - i);
        if (len && *s != '\\') {
            memcpy(at, s, len);
            at += len;
            i += len;
            continue;
        }
        if (*s == '\t' || *s == '\n' || *s == '\\') {
            *at++ = '\\';
            *at++ = *s == '\t' ? 't' : *s == '\n' ? 'n' : '\\';
        } else {
            at += snprintf(at, 5, "\\x%02X", *s);
        }
        i++;
    }
    *at = 0;
    return escaped;
}

void cli_field_bytes(const char *text, size_t n) {
    char *escaped = cli_escape(text, n);
    if (!escaped || fputs(escaped, stdout) == EOF)
        output_failed = 1;
    free(escaped);
}

void cli_field(const char *text) {
    cli_field_bytes(text, strlen(text));
}

void cli_json_path(json_t *object, const char *key, const char *path, size_t n) {
    json_t *plain = json_stringn(path, n); // NULL when it is not UTF-8
    if (plain) {
        json_object_set_new(object, key, plain);
        return;
    }
    char flag[64];
    snprintf(flag, sizeof flag, "%s_escaped", key);
    char *escaped = cli_escape(path, n);
    json_object_set_new(object, key, escaped ? json_string(escaped) : NULL);
    json_object_set_new(object, flag, json_true());
    free(escaped);
}

json_t *cli_json_box(fn_box box) {
    return json_pack("{s:f, s:f, s:f, s:f}", "x", (double)box.x, "y", (double)box.y, "width",
                     (double)box.width, "height", (double)box.height);
}

void cli_json_line(json_t *object) {
    if (!object || json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) || putchar('\n') == EOF)
        output_failed = 1;
    json_decref(object);
}

int cli_finish(int code) {
    if (fflush(stdout) || ferror(stdout) || output_failed) {
        cli_error("standard output: not everything could be written: %s", strerror(errno));
        return code == CLI_DONE ? CLI_INPUTS : code;
    }
    return code;
}

static void message(const char *format, va_list args) {
    char text[4096];
    vsnprintf(text, sizeof text, format, args);
    char *escaped = cli_escape(text, strlen(text));
    cli_progress_say(escaped ? escaped : "out of memory");
    free(escaped);
}

void cli_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    message(format, args);
    va_end(args);
}

void cli_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (!cli.quiet)
        message(format, args);
    va_end(args);
}

int cli_failure(int code) {
    const char *text = fn_last_error();
    cli_error("%s", *text ? text : fn_error_text(code));
    switch (code) {
    case FN_EMODEL:
        return CLI_MODEL;
    case FN_ESTORE:
    case FN_ECONFLICT:
        return CLI_GALLERY;
    default:
        return CLI_INPUTS;
    }
}
