// SPDX-License-Identifier: Apache-2.0
//
// From operands to results: paths are found as they are needed, pictures are worked on by several
// threads, results come back in the order of the paths. One bad input never stops the rest.
#include "cli.h"
#include "output.h"
#include "progress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

int cli_inputs_open(cli_inputs *inputs, char **operands, int n_operands) {
    *inputs = (cli_inputs){.operands = operands, .n_operands = n_operands};
    if (!cli.files_from)
        return CLI_DONE;
    inputs->list = strcmp(cli.files_from, "-") ? fopen(cli.files_from, "re") : stdin;
    if (inputs->list)
        return CLI_DONE;
    cli_error("%s: %s", cli.files_from, strerror(errno));
    return CLI_INPUTS;
}

void cli_inputs_close(cli_inputs *inputs) {
    fn_walker_free(inputs->walker);
    if (inputs->list && inputs->list != stdin)
        fclose(inputs->list);
    free(inputs->line);
    *inputs = (cli_inputs){0};
}

static void input_failed(cli_inputs *inputs) {
    inputs->n_failed++;
    if (!inputs->silent)
        cli_error("%s", fn_last_error());
}

// The next operand or line of the list, or NULL.
static const char *next_root(cli_inputs *inputs) {
    if (inputs->at < inputs->n_operands)
        return inputs->operands[inputs->at++];
    int end = cli.nul ? 0 : '\n';
    while (inputs->list) {
        errno = 0;
        ssize_t n = getdelim(&inputs->line, &inputs->line_size, end, inputs->list);
        if (n < 0) {
            if (ferror(inputs->list)) {
                cli_error("%s: %s", cli.files_from, strerror(errno));
                inputs->n_failed++;
            }
            return NULL;
        }
        if (n && inputs->line[n - 1] == end)
            inputs->line[--n] = 0;
        if (n)
            return inputs->line;
    }
    return NULL;
}

const char *cli_inputs_next(void *user) {
    cli_inputs *inputs = user;
    for (;;) {
        if (inputs->walker) {
            const char *path;
            int rc = fn_walker_next(inputs->walker, &path);
            if (rc == FN_OK && path)
                return path;
            if (rc < 0)
                input_failed(inputs);
            if (rc == FN_EIO)
                continue;
            fn_walker_free(inputs->walker);
            inputs->walker = NULL;
        }
        const char *root = next_root(inputs);
        if (!root || strcmp(root, "-") == 0)
            return root;
        if (fn_walker_open(&inputs->walker, root) < 0)
            input_failed(inputs);
    }
}

// How many pictures there will be; 0 when only the list knows.
static uint64_t count(const cli_inputs *inputs) {
    if (inputs->list)
        return 0;
    cli_inputs again = {.operands = inputs->operands, .n_operands = inputs->n_operands, .silent = 1};
    uint64_t n = 0;
    while (cli_inputs_next(&again))
        n++;
    cli_inputs_close(&again);
    return n;
}

int cli_recognizer_open(fn_recognizer **out, int no_embedder) {
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    options.no_embedder = no_embedder;
    options.detector.detector = cli.detector;
    options.detector.model.threads = cli.threads;
    options.detector.model.directory = cli.models;
    options.embedder.model = cli.model;
    options.embedder.mirror = cli.mirror;
    options.embedder.options = options.detector.model;
    if (fn_recognizer_open(out, &options) == FN_OK)
        return CLI_DONE;
    cli_error("%s", fn_last_error());
    return CLI_MODEL;
}

int cli_gallery_open(fn_gallery **out, int read_only) {
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    options.read_only = read_only;
    if (fn_gallery_open(out, cli.gallery, &options) == FN_OK)
        return CLI_DONE;
    cli_error("%s", fn_last_error());
    return CLI_GALLERY;
}

fn_analyze_options cli_analyze_options(void) {
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    options.decode.max_bytes = cli.max_bytes;
    options.decode.max_pixels = cli.max_pixels;
    options.decode.lenient = cli.lenient;
    options.detect.min_face = (float)cli.min_face;
    options.detect.min_score = (float)cli.min_score;
    return options;
}

typedef struct run {
    cli_inputs *inputs;
    cli_handler handle;
    void *user;
    int clear_first; // results go to a terminal: the progress line leaves before each
    uint64_t n_failed;
} run;

static void picture_failed(run *r, const char *path, const fn_analysis *analysis) {
    const char *said = analysis->message;
    int has_path = strncmp(said, path, strlen(path)) == 0;
    r->n_failed++;
    cli_error("%s%s%s", has_path ? "" : path, has_path ? "" : ": ", said);
    if (!cli.json)
        return;
    json_t *line = json_object(), *error = json_object();
    json_object_set_new(error, "code", json_string(fn_error_name(analysis->status)));
    cli_json_path(error, "message", said, strlen(said));
    cli_json_path(line, "path", path, strlen(path));
    json_object_set_new(line, "error", error);
    cli_json_line(line);
}

static const char *next(void *user) {
    return cli_inputs_next(((run *)user)->inputs);
}

static int result(void *user, const char *path, fn_analysis *analysis, int *keep) {
    run *r = user;
    (void)keep;
    if (r->clear_first)
        cli_progress_clear();
    if (analysis->status < 0) {
        picture_failed(r, path, analysis);
        return 0;
    }
    int code = r->handle(r->user, path, analysis);
    if (code != CLI_INPUT_FAILED)
        return code;
    r->n_failed++;
    return 0;
}

static int progress(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)total;
    cli_progress_show(done);
    return cli_asked_to_stop();
}

int cli_run(fn_recognizer *recognizer, cli_inputs *inputs, const fn_analyze_options *options,
            cli_handler handle, void *user) {
    run r = {.inputs = inputs, .handle = handle, .user = user, .clear_first = isatty(STDOUT_FILENO)};
    fn_control control = FN_CONTROL_INIT;
    control.progress = progress;
    if (cli_progress_wanted())
        cli_progress_start(count(inputs));
    int rc = fn_recognizer_files(recognizer, next, result, &r, cli.jobs, options, &control);
    cli_progress_clear();
    if (rc > 0)
        return rc;
    if (rc < 0)
        return cli_failure(rc);
    return r.n_failed || inputs->n_failed ? CLI_INPUTS : CLI_DONE;
}

int cli_run_operands(fn_recognizer *recognizer, char **operands, int n_operands,
                     const fn_analyze_options *options, cli_handler handle, void *user) {
    cli_inputs inputs;
    int code = cli_inputs_open(&inputs, operands, n_operands);
    if (code == CLI_DONE)
        code = cli_run(recognizer, &inputs, options, handle, user);
    cli_inputs_close(&inputs);
    return code;
}
