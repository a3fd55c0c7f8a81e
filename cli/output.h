// SPDX-License-Identifier: Apache-2.0
//
// Results on stdout: tab-separated fields in which every byte sequence is safe, or JSON lines.
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <facenet/facenet.h>
#include <jansson.h>

/// New memory (free) or NULL: `text` with tab, newline, backslash as \t \n \\, other control
/// characters and bytes that are not UTF-8 as \xNN.
char *cli_escape(const char *text, size_t n);

/// Writes one field of a line, escaped.
void cli_field(const char *text);
void cli_field_bytes(const char *text, size_t n);

/// Sets key to the text of a path. One that is not UTF-8 is escaped as in TSV, and "<key>_escaped"
/// says so.
void cli_json_path(json_t *object, const char *key, const char *path, size_t n);
/// {"x":,"y":,"width":,"height":} in pixels.
json_t *cli_json_box(fn_box box);
/// Writes the object as one line and lets it go.
void cli_json_line(json_t *object);

/// Flushes stdout. `code`, or CLI_INPUTS when something could not be written and `code` was CLI_DONE.
int cli_finish(int code);

#endif
