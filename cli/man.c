// SPDX-License-Identifier: Apache-2.0
//
// Man pages from the same tables as the help text, in the macros of man(7). The build keeps what
// "facenet --help=man" and "facenet VERB --help=man" print. Text of the tables is escaped letter by
// letter, so that no word of it is taken for a request.
#include "cli.h"

#include <ctype.h>
#include <string.h>

static void put(const char *text, size_t n) {
    static const struct {
        char letter;
        const char *roff;
    } escapes[] = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                   {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
    for (size_t i = 0; i < n; i++) {
        const char *roff = NULL;
        for (size_t k = 0; k < sizeof escapes / sizeof *escapes; k++)
            if (escapes[k].letter == text[i])
                roff = escapes[k].roff;
        if (roff)
            fputs(roff, stdout);
        else
            printf("%s%c", text[i] == '.' && i == 0 ? "\\&" : "", text[i]);
    }
}

static void put_font(char font, const char *text, size_t n) {
    printf("\\f%c", font);
    put(text, n);
    fputs("\\fR", stdout);
}

static void put_lines(const char *text) {
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        put(text, n);
        putchar('\n');
    }
}

// "pull [NAME...]": words that stand for something else hold a capital letter.
static void put_operands(const char *text, size_t n) {
    for (size_t at = 0, len; at < n; at += len) {
        len = strcspn(text + at, " \n");
        int stands_for = 0;
        for (size_t i = at; i < at + len; i++)
            stands_for |= isupper((unsigned char)text[i]);
        putchar(' ');
        put_font(stands_for ? 'I' : 'B', text + at, len);
        len += at + len < n;
    }
}

static void put_synopsis(const cli_command *command) {
    const char *form = command->operands;
    for (size_t n, first = 1; first || *form; form += n + (form[n] == '\n'), first = 0) {
        n = strcspn(form, "\n");
        printf("%s\\fBfacenet %s\\fR%s", first ? "" : ".br\n", command->name,
               cli_option_at(command, 0) ? " [\\fIOPTION\\fR...]" : "");
        put_operands(form, n);
        putchar('\n');
    }
}

// Lines that begin with two spaces are items, "  word  text", with deeper ones going on; what stands
// at the margin is a paragraph.
static void put_about(const char *about) {
    int in_items = 0;
    for (size_t n; *about; about += n + (about[n] == '\n')) {
        n = strcspn(about, "\n");
        size_t indent = strspn(about, " "), at = indent;
        if (indent == 2) {
            const char *gap = strstr(about + at, "  ");
            size_t word = gap && gap < about + n ? (size_t)(gap - about) - at : strcspn(about + at, " \n");
            fputs(".TP\n", stdout);
            put_font('B', about + at, word);
            putchar('\n');
            at += word + strspn(about + at + word, " ");
        } else if (indent == 0 && in_items) {
            fputs(".PP\n", stdout);
        }
        in_items = indent > 0;
        put(about + at, n - at);
        putchar('\n');
    }
}

static void put_option(const cli_option *option) {
    fputs(".TP\n", stdout);
    if (option->letter)
        printf("\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", stdout);
    put(option->name, strlen(option->name));
    fputs("\\fR", stdout);
    if (option->argument) {
        putchar(' ');
        put_font('I', option->argument, strlen(option->argument));
    }
    putchar('\n');
    put_lines(option->help);
}

static void put_title(const char *title) {
    printf(".\\\" Written by \"facenet " CLI_HELP_MAN "\" from the tables of the program.\n"
           ".TH \"");
    for (; *title; title++)
        putchar(toupper((unsigned char)*title));
    printf("\" \"1\" \"\" \"facenet %s\" \"facenet\"\n", fn_version());
}

static void put_exit_status(void) {
    puts(".SH EXIT STATUS");
    put_lines(cli_exit_codes);
}

void cli_man_verb(const cli_command *command) {
    char title[64];
    snprintf(title, sizeof title, "facenet-%s", command->name);
    put_title(title);
    const cli_verb *verb = cli_verbs;
    while (strcmp(verb->name, command->name) != 0)
        verb++;
    printf(".SH NAME\nfacenet\\-%s \\- ", command->name);
    put_lines(verb->help);
    puts(".SH SYNOPSIS");
    put_synopsis(command);
    puts(".SH DESCRIPTION");
    put_about(command->about);
    puts(".SH OPTIONS\nOptions and operands may be mixed; \\fB\\-\\-\\fR ends the options.");
    const cli_option *option;
    for (size_t i = 0; (option = cli_option_at(command, i)); i++)
        put_option(option);
    puts(".TP\n\\fB\\-\\-help\\fR\nprint a summary of this");
    put_exit_status();
    puts(".SH SEE ALSO\n.BR facenet (1)");
}

void cli_man_program(void) {
    put_title("facenet");
    puts(".SH NAME\nfacenet \\- photographs go in, names come out\n"
         ".SH SYNOPSIS\n\\fBfacenet\\fR \\fIVERB\\fR [\\fIOPTION\\fR...] [\\fIWORD\\fR...]\n"
         ".SH DESCRIPTION\n"
         "Finds faces in photographs, turns each into a vector and names it by the people of a\n"
         "gallery, on the CPU of this machine.\n"
         "Results are tab\\-separated lines on standard output, or JSON lines with\n"
         "\\fB\\-\\-json\\fR; messages go to standard error.\n"
         "Tab, newline, backslash and unprintable bytes of paths and names are written as\n"
         "\\fB\\et\\fR, \\fB\\en\\fR, \\fB\\e\\e\\fR and \\fB\\ex\\fINN\\fR.\n"
         ".SH VERBS");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++) {
        printf(".TP\n\\fB%s\\fR\n", verb->name);
        put_lines(verb->help);
    }
    put_exit_status();
    puts(".SH ENVIRONMENT\n"
         ".TP\n\\fBXDG_DATA_HOME\\fR\n"
         "where models and gallery lie, in the folder \\fIfacenet\\fR [\\fI$HOME/.local/share\\fR]\n"
         ".TP\n\\fBXDG_CACHE_HOME\\fR\n"
         "where fetched packages and vectors of measurements lie, in the folder \\fIfacenet\\fR\n"
         "[\\fI$HOME/.cache\\fR]\n"
         ".SH FILES\n"
         ".TP\n\\fI$XDG_DATA_HOME/facenet/gallery.db\\fR\n"
         "the default gallery, a file of SQLite, readable by its owner alone\n"
         ".TP\n\\fI$XDG_DATA_HOME/facenet/models/\\fR\n"
         "the networks, in the form of ONNX\n"
         ".SH EXAMPLES\n"
         ".nf\nfacenet model pull\nfacenet enroll \\-\\-name \"Ada Lovelace\" ada.jpg\n"
         "facenet identify \\-\\-draw marked/ holidays/\n.fi\n"
         ".SH SEE ALSO");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++)
        printf(".BR facenet\\-%s (1),\n", verb->name);
    puts(".BR facenet (3)");
}
