// SPDX-License-Identifier: Apache-2.0
//
// Numbers and words as text.
#include "train/text.h"

#include "base/path.h"

#include <stdio.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; // U+FFFD

const char *fn_number_text(char dst[FN_NUMBER_SIZE], double value, int digits) {
    char text[FN_NUMBER_SIZE];
    snprintf(text, sizeof text, "%.*g", digits, value);
    size_t n = 0;
    for (const char *p = text; *p; p++) {
        int known = strchr("+-0123456789einfa", *p) != NULL;
        if (known)
            dst[n++] = *p;
        else if (n == 0 || dst[n - 1] != '.') // the locale's point, of one byte or more
            dst[n++] = '.';
    }
    dst[n] = 0;
    return dst;
}

// Bytes of the character at `text`, 0 when it is none or a control character.
static size_t character(const char *text) {
    size_t n = 1;
    if ((unsigned char)*text < 0x20)
        return *text == '\n' || *text == '\t';
    if (*text == 0x7F)
        return 0;
    while (n < 4 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n++;
    return fn_utf8_valid(text, n) ? n : 0;
}

static void append_escaped(fn_buf *out, const char *text, const char *(*entity)(char c)) {
    while (*text) {
        size_t n = character(text);
        const char *other = n == 1 ? entity(*text) : NULL;
        if (n == 0)
            fn_buf_append(out, replacement, sizeof replacement - 1);
        else if (other)
            fn_buf_append(out, other, strlen(other));
        else
            fn_buf_append(out, text, n);
        text += n ? n : 1;
    }
}

static const char *xml_entity(char c) {
    return c == '&'    ? "&amp;"
           : c == '<'  ? "&lt;"
           : c == '>'  ? "&gt;"
           : c == '"'  ? "&quot;"
           : c == '\'' ? "&#39;"
                       : NULL;
}

static const char *json_escape(char c) {
    return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\t' ? "\\t" : NULL;
}

void fn_buf_xml(fn_buf *out, const char *text) {
    append_escaped(out, text, xml_entity);
}

void fn_buf_json(fn_buf *out, const char *text) {
    fn_buf_append(out, "\"", 1);
    append_escaped(out, text, json_escape);
    fn_buf_append(out, "\"", 1);
}
