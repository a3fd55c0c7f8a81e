// SPDX-License-Identifier: Apache-2.0
//
// Editing at the end of a line, in whole characters as a person sees them.
#include "typing.h"

#include <stdint.h>
#include <string.h>

// Bytes of the valid UTF-8 character that `p` begins with, 0 when it does not begin with one.
static size_t length(const unsigned char *p) {
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : p[0] >= 0xE0 && p[0] < 0xF0 ? 3 : 0;
    if (p[0] >= 0xF0 && p[0] < 0xF5)
        n = 4;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    return n;
}

static uint32_t code_of(const unsigned char *p, size_t n) {
    uint32_t code = n == 1 ? p[0] : p[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3F);
    return code;
}

static int is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x2028 || code == 0x2029;
}

enum { JOINER = 0x200D };

// What stands on the character before it: accents, vowel signs of Hebrew and Arabic, the styles and skins
// of emoji.
static int is_attached(uint32_t code) {
    static const uint32_t ranges[][2] = {{0x0300, 0x036F},   {0x0591, 0x05C7},  {0x064B, 0x065F},
                                         {0x1AB0, 0x1AFF},   {0x1DC0, 0x1DFF},  {JOINER, JOINER},
                                         {0x20D0, 0x20FF},   {0xFE00, 0xFE0F},  {0xFE20, 0xFE2F},
                                         {0x1F3FB, 0x1F3FF}, {0xE0100, 0xE01EF}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (code >= ranges[i][0] && code <= ranges[i][1])
            return 1;
    }
    return 0;
}

void cli_typing_start(cli_typing *typing, const char *text) {
    *typing = (cli_typing){.n = 0};
    if (text)
        cli_typing_add(typing, text);
}

int cli_typing_add(cli_typing *typing, const char *text) {
    size_t before = typing->n;
    const unsigned char *p = (const unsigned char *)text;
    for (size_t n; *p; p += n ? n : 1) {
        n = length(p);
        if (!n || is_control(code_of(p, n)))
            continue;
        if (typing->n + n >= sizeof typing->text)
            break;
        memcpy(typing->text + typing->n, p, n);
        typing->n += n;
    }
    typing->text[typing->n] = 0;
    return typing->n > before;
}

// Takes one code point away and returns it.
static uint32_t take(cli_typing *typing) {
    size_t end = typing->n;
    while (typing->n > 0 && ((unsigned char)typing->text[--typing->n] & 0xC0) == 0x80)
        ;
    uint32_t code = code_of((const unsigned char *)typing->text + typing->n, end - typing->n);
    typing->text[typing->n] = 0;
    return code;
}

static int ends_with_joiner(const cli_typing *typing) {
    return typing->n >= 3 && memcmp(typing->text + typing->n - 3, "\u200D", 3) == 0;
}

int cli_typing_back(cli_typing *typing) {
    if (typing->n == 0)
        return 0;
    while (typing->n > 0 && (is_attached(take(typing)) || ends_with_joiner(typing)))
        ;
    return 1;
}
