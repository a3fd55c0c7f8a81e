// SPDX-License-Identifier: Apache-2.0
//
// A line of text that is being typed.
#ifndef CLI_TYPING_H
#define CLI_TYPING_H

#include <stddef.h>

typedef struct cli_typing {
    char text[200]; // UTF-8, followed by a 0 byte
    size_t n;       // bytes
} cli_typing;

/// Begins with a text, or empty with NULL.
void cli_typing_start(cli_typing *typing, const char *text);
/// Adds the characters of a UTF-8 text that find room, without control characters. 1 when something was
/// added.
int cli_typing_add(cli_typing *typing, const char *text);
/// Takes the last character away, with the accents and joined parts that belong to it. 1 when there was one.
int cli_typing_back(cli_typing *typing);

#endif
