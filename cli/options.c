// SPDX-License-Identifier: Apache-2.0
//
// Options: one table per verb gives parsing, errors and help. Options and operands may be mixed;
// "--" ends the options.
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

cli_settings cli = {.reconnects = -1}; // no limit; the others: not given

static const struct shared {
    unsigned group;
    cli_option option;
} shared[] = {
    {CLI_SHARED_GALLERY,
     {"gallery", 0, "FILE", "gallery of people [$XDG_DATA_HOME/facenet/gallery.db]", CLI_TEXT, &cli.gallery,
      0, 0}},
    {CLI_SHARED_DRAW,
     {"draw", 0, "DIR", "write a copy of each picture with its faces marked into DIR", CLI_TEXT, &cli.draw, 0,
      0}},
    {CLI_SHARED_MODEL,
     {"model", 0, "NAME|FILE", "network that embeds faces [mobilefacenet]", CLI_TEXT, &cli.model, 0, 0}},
    {CLI_SHARED_MODEL,
     {"mirror", 0, NULL, "embed each face and its mirror image, take the mean", CLI_FLAG, &cli.mirror, 0, 0}},
    {CLI_SHARED_MODELS,
     {"models", 0, "DIR", "folder of the models [$XDG_DATA_HOME/facenet/models]", CLI_TEXT, &cli.models, 0,
      0}},
    {CLI_SHARED_DETECTOR,
     {"detector", 0, "blazeface|ssd", "networks that find faces [blazeface]", CLI_CHOICE, &cli.detector, 0,
      0}},
    {CLI_SHARED_DETECTOR,
     {"min-face", 0, "PX", "smallest face to look for, pixels of width [20 or 2 % of the short side]",
      CLI_REAL, &cli.min_face, 1, 65535}},
    {CLI_SHARED_DETECTOR,
     {"min-score", 0, "SCORE", "leave out faces below this score [the detector's own]", CLI_REAL,
      &cli.min_score, 0.01, 1}},
    {CLI_SHARED_DETECTOR,
     {"threads", 0, "N", "threads inside a network [1]", CLI_COUNT, &cli.threads, 1, 1024}},
    {CLI_SHARED_INPUTS,
     {"jobs", 0, "N", "pictures worked on at once [one per processor]", CLI_COUNT, &cli.jobs, 1, 1024}},
    {CLI_SHARED_INPUTS,
     {"max-bytes", 0, "SIZE", "refuse larger files; K, M, G may follow [256M]", CLI_SIZE, &cli.max_bytes, 0,
      0}},
    {CLI_SHARED_INPUTS,
     {"max-pixels", 0, "SIZE", "refuse larger pictures [256M]", CLI_SIZE, &cli.max_pixels, 0, 0}},
    {CLI_SHARED_INPUTS,
     {"lenient", 0, NULL, "use what a truncated JPEG holds", CLI_FLAG, &cli.lenient, 0, 0}},
    {CLI_SHARED_INPUTS,
     {"files-from", 0, "FILE", "read more paths from FILE, one a line; - is standard input", CLI_TEXT,
      &cli.files_from, 0, 0}},
    {CLI_SHARED_INPUTS,
     {"null", '0', NULL, "paths of --files-from end with a NUL byte", CLI_FLAG, &cli.nul, 0, 0}},
    {CLI_SHARED_OUTPUT,
     {"json", 0, NULL, "JSON lines instead of tab-separated fields", CLI_FLAG, &cli.json, 0, 0}},
    {CLI_SHARED_OUTPUT,
     {"quiet", 'q', NULL, "only errors on stderr: no progress, no notes", CLI_FLAG, &cli.quiet, 0, 0}},
    {CLI_SHARED_SOURCE,
     {"source", 0, "SOURCE",
      "camera (0, /dev/video0), stream (rtsp://..., http://...), file, folder of pictures, or - [0]",
      CLI_TEXT, &cli.source, 0, 0}},
    {CLI_SHARED_SOURCE,
     {"camera-size", 0, "WxH", "what to ask a camera for, as 1280x720 [what it offers]", CLI_TEXT,
      &cli.camera_size, 0, 0}},
    {CLI_SHARED_SOURCE,
     {"reconnects", 0, "N", "tries in a row to reach a stream that broke off; 0: none [no limit]", CLI_COUNT,
      &cli.reconnects, 0, 1000000}},
    {CLI_SHARED_SOURCE,
     {"any-certificate", 0, NULL, "do not check who sends an https or rtsps stream", CLI_FLAG,
      &cli.any_certificate, 0, 0}},
    {CLI_SHARED_VIDEO,
     {"policy", 0, "every|newest",
      "every frame in order, or at the speed of life, leaving out what is late [a file: every, else newest]",
      CLI_CHOICE, &cli.policy, 0, 0}},
    {CLI_SHARED_VIDEO,
     {"loop", 0, NULL, "begin a file or folder again at its end", CLI_FLAG, &cli.loop, 0, 0}},
    {CLI_SHARED_VIDEO,
     {"timeout", 0, "SECONDS", "longest silence of a source, at its opening too [10]", CLI_REAL, &cli.timeout,
      0.1, 86400}},
    {CLI_SHARED_VIDEO,
     {"fps", 0, "RATE", "frames per second to ask a camera for; of a folder of pictures [25]", CLI_REAL,
      &cli.fps, 0.1, 1000}},
    {CLI_SHARED_WATCH,
     {"every", 0, "N", "look for faces in each so many frames and follow them between [1]", CLI_COUNT,
      &cli.every, 1, 1000}},
    {CLI_SHARED_WATCH,
     {"fmr", 0, "RATE", "share of different pairs that may be taken for one person, in a single look [1e-4]",
      CLI_REAL, &cli.fmr, 1e-12, 0.5}},
};
#define N_SHARED (sizeof shared / sizeof *shared)

const cli_option *cli_option_at(const cli_command *command, size_t index) {
    const cli_option *own = command->options;
    for (; own && own->name; own++)
        if (index-- == 0)
            return own;
    for (size_t i = 0; i < N_SHARED; i++)
        if ((command->shared & shared[i].group) && index-- == 0)
            return &shared[i].option;
    return NULL;
}

int cli_usage_error(const cli_command *command, const char *format, ...) {
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cli_error("%s: %s (see: facenet help %s)", command->name, text, command->name);
    return CLI_USAGE;
}

// Text from column `indent` on, in lines of at most 100; the first goes on in column `at`, when there is
// room.
static void print_wrapped(const char *text, int at, int indent) {
    if (at >= indent) {
        putchar('\n');
        at = 0;
    }
    for (size_t room = (size_t)(100 - indent), n; *text; text += n + strspn(text + n, " "), at = 0) {
        n = strlen(text);
        if (n > room)
            for (n = room; n && text[n] != ' '; n--)
                ;
        n = n ? n : strcspn(text, " "); // a word longer than a line
        printf("%*s%.*s\n", indent - at, "", (int)n, text);
    }
}

static void print_help(const cli_command *command) {
    const char *start = "usage: ";
    for (const char *form = command->operands; form;) {
        const char *end = strchr(form, '\n');
        int n = end ? (int)(end - form) : (int)strlen(form);
        printf("%sfacenet %s %s%.*s\n", start, command->name, cli_option_at(command, 0) ? "[OPTION...] " : "",
               n, form);
        start = "       ";
        form = end ? end + 1 : NULL;
    }
    printf("\n%s\n\n", command->about);
    const cli_option *o;
    for (size_t i = 0; (o = cli_option_at(command, i)); i++) {
        char letter[8] = "";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        int n =
            printf("  %s--%s%s%s", letter, o->name, o->argument ? " " : "", o->argument ? o->argument : "");
        print_wrapped(o->help, n, 29);
    }
    printf("  %-26s %s\n", "--help", "print this");
}

static int is_word_of(const char *words, const char *text) {
    size_t n = strlen(text);
    for (const char *at = words; n && at; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == 0))
            return 1;
    return 0;
}

static int parse_size(uint64_t *out, const char *text) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || errno || value == 0)
        return 0;
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (end[shift ? 1 : 0] || value > (UINT64_MAX >> shift))
        return 0;
    *out = (uint64_t)value << shift;
    return 1;
}

static int parse_number(double *out, const char *text, const cli_option *option) {
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == 0 && !isspace((unsigned char)text[0]) && isfinite(*out) &&
           *out >= option->min && *out <= option->max;
}

static int add_text(const cli_command *command, const cli_option *option, const char *text) {
    const char **texts = option->value;
    int n = 0;
    while (texts[n])
        n++;
    if (!*text || n >= (int)option->max)
        return cli_usage_error(command, "--%s wants %s, at most %.0f times", option->name, option->argument,
                               option->max);
    texts[n] = text;
    return -1;
}

// Stores the value, or says what was expected.
static int set(const cli_command *command, const cli_option *option, const char *text) {
    double number;
    switch (option->kind) {
    case CLI_FLAG:
        *(int *)option->value = !text || strcmp(text, "no") != 0; // --NAME=no takes back what a file says
        return -1;
    case CLI_TEXT:
        if (!*text)
            return cli_usage_error(command, "--%s wants %s, not an empty word", option->name,
                                   option->argument);
        *(const char **)option->value = text;
        return -1;
    case CLI_TEXTS:
        return add_text(command, option, text);
    case CLI_CHOICE:
        if (!is_word_of(option->argument, text))
            return cli_usage_error(command, "--%s wants one of %s, not \"%s\"", option->name,
                                   option->argument, text);
        *(const char **)option->value = text;
        return -1;
    case CLI_SIZE:
        if (!parse_size(option->value, text))
            return cli_usage_error(command,
                                   "--%s wants a whole number above 0, K, M or G may follow, not \"%s\"",
                                   option->name, text);
        return -1;
    case CLI_COUNT:
        if (!parse_number(&number, text, option) || number != floor(number))
            return cli_usage_error(command, "--%s wants a whole number from %.0f to %.0f, not \"%s\"",
                                   option->name, option->min, option->max, text);
        *(int *)option->value = (int)number;
        return -1;
    case CLI_REAL:
        if (!parse_number(&number, text, option))
            return cli_usage_error(command, "--%s wants a number from %g to %g, not \"%s\"", option->name,
                                   option->min, option->max, text);
        *(double *)option->value = number;
        return -1;
    }
    return CLI_USAGE;
}

static const cli_option *find_name(const cli_command *command, const char *name, size_t n) {
    const cli_option *o;
    for (size_t i = 0; (o = cli_option_at(command, i)); i++)
        if (strncmp(o->name, name, n) == 0 && o->name[n] == 0)
            break;
    return o;
}

static const cli_option *find_letter(const cli_command *command, char letter) {
    const cli_option *o;
    for (size_t i = 0; (o = cli_option_at(command, i)); i++)
        if (o->letter && o->letter == letter)
            break;
    return o;
}

// "--name", "--name=value" or "--name value"; *at moves past a value.
static int parse_long(const cli_command *command, int argc, char **argv, int *at) {
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const cli_option *option = find_name(command, name, n);
    if (!option)
        return cli_usage_error(command, "there is no option --%.*s", (int)n, name);
    if (option->kind == CLI_FLAG && equals && !is_word_of("yes|no", equals + 1))
        return cli_usage_error(command, "--%s takes no value but yes or no", option->name);
    const char *value = equals ? equals + 1 : NULL;
    if (option->kind != CLI_FLAG && !value) {
        if (*at + 1 >= argc)
            return cli_usage_error(command, "--%s wants %s after it", option->name, option->argument);
        value = argv[++*at];
    }
    return set(command, option, value);
}

// "-q", "-q0": letters are flags.
static int parse_letters(const cli_command *command, const char *letters) {
    for (; *letters; letters++) {
        const cli_option *option = find_letter(command, *letters);
        if (!option)
            return cli_usage_error(command, "there is no option -%c", *letters);
        set(command, option, NULL);
    }
    return -1;
}

int cli_parse(const cli_command *command, int argc, char **argv, int *n_operands) {
    int n = 0, only_operands = 0;
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        int end = -1;
        if (only_operands || word[0] != '-' || word[1] == 0) {
            argv[++n] = argv[at];
        } else if (strcmp(word, "--") == 0) {
            only_operands = 1;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(command);
            return CLI_DONE;
        } else if (strcmp(word, CLI_HELP_MAN) == 0) {
            cli_man_verb(command);
            return CLI_DONE;
        } else if (word[1] == '-') {
            end = parse_long(command, argc, argv, &at);
        } else {
            end = parse_letters(command, word + 1);
        }
        if (end >= 0)
            return end;
    }
    *n_operands = n;
    if (cli.nul && !cli.files_from)
        return cli_usage_error(command, "-0 goes with --files-from");
    int needed = cli.files_from ? 0 : command->min_operands;
    if (n < needed)
        return cli_usage_error(command, "expected %.*s", (int)strcspn(command->operands, "\n"),
                               command->operands);
    if (command->max_operands >= 0 && n > command->max_operands)
        return cli_usage_error(command, "\"%s\" is one word too many", argv[command->max_operands + 1]);
    return -1;
}
