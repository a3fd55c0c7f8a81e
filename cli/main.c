// SPDX-License-Identifier: Apache-2.0
//
// The program facenet: a table of verbs.
#include "cli.h"
#include "output.h"

#include <string.h>

const cli_verb cli_verbs[] = {
    {"detect", cmd_detect, "find faces in photographs"},
    {"align", cmd_align, "cut faces out, turned upright"},
    {"embed", cmd_embed, "turn faces into vectors"},
    {"compare", cmd_compare, "say how alike the faces of two or more photographs are"},
    {"enroll", cmd_enroll, "remember people by their photographs"},
    {"identify", cmd_identify, "name the people in photographs"},
    {"live", cmd_live, "name the people before a camera"},
    {"recognize-video", cmd_recognize_video, "tell who is in a video, and when"},
    {"capture", cmd_capture, "take pictures of one person's face with a camera"},
    {"classify", cmd_classify, "train a classifier of people and ask it"},
    {"people", cmd_people, "list, show, rename, merge and remove people"},
    {"eval", cmd_eval, "measure recognition on photographs of known people"},
    {"dataset", cmd_dataset, "make and look over folders of faces for training"},
    {"bench", cmd_bench, "measure how long each stage takes"},
    {"model", cmd_model, "fetch, check and import networks"},
    {"train", cmd_train, "train a network on faces of known people"},
    {"lmnn", cmd_lmnn, "learn a better distance on known people"},
    {"runs", cmd_runs, "compare trainings"},
    {"version", cmd_version, "print the version"},
    {0},
};

const char cli_exit_codes[] = "0 done (an unknown face is done), 1 some inputs failed, 2 wrong usage,\n"
                              "3 a model is missing or unusable, 4 the gallery is missing or unusable,\n"
                              "5 a training collapsed or its numbers are no longer finite.";

static const cli_verb *find(const char *name) {
    for (const cli_verb *verb = cli_verbs; verb->name; verb++)
        if (strcmp(verb->name, name) == 0)
            return verb;
    return NULL;
}

static void print_verbs(void) {
    puts("usage: facenet VERB [OPTION...] [WORD...]\n\nPhotographs go in, names come out.\n");
    for (const cli_verb *verb = cli_verbs; verb->name; verb++)
        printf("  %-15s %s\n", verb->name, verb->help);
    printf("\n\"facenet help VERB\" says more about one of them.\n\nExit codes: %s\n", cli_exit_codes);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    int wants_help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (wants_help && argc < 3) {
        print_verbs();
        return cli_finish(CLI_DONE);
    }
    if (strcmp(name, CLI_HELP_MAN) == 0) {
        cli_man_program();
        return cli_finish(CLI_DONE);
    }
    if (strcmp(name, "--version") == 0)
        name = "version";
    if (wants_help)
        name = argv[2];
    const cli_verb *verb = find(name);
    if (!verb) {
        cli_error(*name ? "there is no verb \"%s\" (see: facenet help)"
                        : "expected a verb%s (see: facenet help)",
                  name);
        return CLI_USAGE;
    }
    char *help[] = {argv[0], "--help", NULL};
    return cli_finish(wants_help ? verb->run(2, help) : verb->run(argc - 1, argv + 1));
}
