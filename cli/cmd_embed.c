// SPDX-License-Identifier: Apache-2.0
//
// facenet embed: the vector of each face.
#include "cli.h"
#include "npy.h"
#include "output.h"

#include <errno.h>
#include <string.h>

static const char *format = "tsv", *out_path;

static const cli_option options[] = {
    {"format", 0, "tsv|json|npy", "of the vectors; npy goes to the file --out [tsv]", CLI_CHOICE, &format, 0,
     0},
    {"out", 0, "FILE", "where the NumPy file goes", CLI_TEXT, &out_path, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "embed",
    .operands = "PATH...",
    .about = "Turns each face into a vector of unit length; the distance of two vectors says how alike\n"
             "the faces are. One line per face: path, face, then the values. With --format npy the\n"
             "values go to a NumPy file (faces, dimension) and the lines say which row is whose.",
    .options = options,
    .shared = CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 1,
    .max_operands = -1,
};

typedef struct job {
    fn_embedder *embedder;
    cli_npy *npy;
    int failed; // errno of a write
} job;

static void print_json(const job *j, const char *path, const fn_analysis *analysis, size_t index,
                       const float *vector) {
    json_t *line = json_object(), *values = json_array();
    for (int k = 0; k < analysis->dimension; k++)
        json_array_append_new(values, json_real((double)vector[k]));
    cli_json_path(line, "path", path, strlen(path));
    json_object_set_new(line, "face", json_integer((json_int_t)index));
    json_object_set_new(line, "box", cli_json_box(analysis->faces[index].box));
    json_object_set_new(line, "fingerprint", json_string(fn_embedder_fingerprint(j->embedder)));
    json_object_set_new(line, "embedding", values);
    cli_json_line(line);
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    job *j = user;
    for (size_t i = 0; i < analysis->n_faces; i++) {
        const float *vector = analysis->embeddings + i * (size_t)analysis->dimension;
        if (cli.json) {
            print_json(j, path, analysis, i, vector);
            continue;
        }
        cli_field(path);
        printf("\t%zu", i);
        for (int k = 0; !j->npy && k < analysis->dimension; k++)
            printf("\t%.9g", (double)vector[k]);
        putchar('\n');
        if (j->npy && cli_npy_row(j->npy, vector)) {
            j->failed = errno;
            return CLI_INPUTS;
        }
    }
    return CLI_DONE;
}

int cmd_embed(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    int is_npy = strcmp(format, "npy") == 0;
    if (is_npy != (out_path != NULL))
        return cli_usage_error(&command, "--format npy and --out FILE go together");
    if (is_npy && cli.json)
        return cli_usage_error(&command, "--format npy and --json exclude each other");
    cli.json |= strcmp(format, "json") == 0;
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code != CLI_DONE)
        return code;
    job j = {.embedder = fn_recognizer_embedder(recognizer)};
    fn_analyze_options analyze = cli_analyze_options();
    if (is_npy && cli_npy_open(&j.npy, out_path, (size_t)fn_embedder_dimension(j.embedder))) {
        cli_error("%s: cannot be written: %s", out_path, strerror(errno));
        code = CLI_INPUTS;
    } else {
        code = cli_run_operands(recognizer, argv + 1, n, &analyze, handle, &j);
        if (cli_npy_close(j.npy, !j.failed && (code == CLI_DONE || code == CLI_INPUTS)) || j.failed) {
            cli_error("%s: cannot be written: %s", out_path, strerror(j.failed ? j.failed : errno));
            code = CLI_INPUTS;
        }
    }
    fn_recognizer_free(recognizer);
    return code;
}
