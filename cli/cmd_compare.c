// SPDX-License-Identifier: Apache-2.0
//
// facenet compare: how alike the faces of pictures are, and what that means.
#include "cli.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FMR 1e-4

static const char *face_text = "largest";
static double fmr = DEFAULT_FMR;

static const cli_option options[] = {
    {"face", 0, "WHICH", "only, largest, centre or a number from 0, in each picture [largest]", CLI_TEXT,
     &face_text, 0, 0},
    {"fmr", 0, "RATE",
     "call two faces one person when at most this share of different pairs is as close [1e-4]", CLI_REAL,
     &fmr, 1e-12, 0.5},
    {0},
};

static const cli_command command = {
    .name = "compare",
    .operands = "PICTURE PICTURE...",
    .about = "Compares one face of each picture. Two pictures: picture, picture, distance, false-match\n"
             "rate, what it means. More: a matrix of distances with the pictures in its first row and\n"
             "column.",
    .options = options,
    .shared = CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 2,
    .max_operands = -1,
};

typedef struct entry {
    char *path;
    size_t face;
    float *vector;
} entry;

typedef struct job {
    cli_face face;
    entry *entries;
    size_t n, capacity;
    int dimension;
} job;

static int add(job *j, const char *path, size_t face, const float *vector) {
    if (j->n == j->capacity) {
        size_t capacity = j->capacity ? 2 * j->capacity : 16;
        entry *entries = realloc(j->entries, capacity * sizeof *entries);
        if (!entries)
            return 0;
        j->entries = entries;
        j->capacity = capacity;
    }
    size_t size = (size_t)j->dimension * sizeof(float);
    entry e = {strdup(path), face, malloc(size)};
    if (!e.path || !e.vector) {
        free(e.path);
        free(e.vector);
        return 0;
    }
    memcpy(e.vector, vector, size);
    j->entries[j->n++] = e;
    return 1;
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    job *j = user;
    size_t face;
    char why[1024];
    if (!cli_face_choose(&face, analysis, j->face, why, sizeof why)) {
        cli_error("%s: %s", path, why);
        return CLI_INPUT_FAILED;
    }
    j->dimension = analysis->dimension;
    if (add(j, path, face, analysis->embeddings + face * (size_t)analysis->dimension))
        return CLI_DONE;
    cli_error("%s: out of memory", path);
    return CLI_INPUT_FAILED;
}

static void explain(char *dst, size_t size, const fn_calibration *calibration, float distance) {
    char close[128];
    float threshold;
    cli_closeness(close, sizeof close, calibration, distance);
    if (!calibration || fn_calibration_threshold(&threshold, calibration, fmr) < 0)
        snprintf(dst, size, "%s", close);
    else
        snprintf(dst, size, "%s: %s", distance <= threshold ? "same person" : "different people", close);
}

static void print_pair(const job *j, const fn_calibration *calibration) {
    const entry *a = &j->entries[0], *b = &j->entries[1];
    float distance = fn_distance(a->vector, b->vector, j->dimension);
    double rate = calibration ? fn_calibration_fmr(calibration, distance) : NAN;
    char meaning[256];
    explain(meaning, sizeof meaning, calibration, distance);
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "a", a->path, strlen(a->path));
        json_object_set_new(line, "a_face", json_integer((json_int_t)a->face));
        cli_json_path(line, "b", b->path, strlen(b->path));
        json_object_set_new(line, "b_face", json_integer((json_int_t)b->face));
        json_object_set_new(line, "distance", json_real((double)distance));
        json_object_set_new(line, "fmr", isnan(rate) ? json_null() : json_real(rate));
        json_object_set_new(line, "meaning", json_string(meaning));
        cli_json_line(line);
        return;
    }
    cli_field(a->path);
    putchar('\t');
    cli_field(b->path);
    printf("\t%.4f\t", (double)distance);
    if (isnan(rate))
        putchar('-');
    else
        printf("%.2g", rate);
    printf("\t%s\n", meaning);
}

static void print_matrix(const job *j) {
    for (size_t i = 0; i < j->n; i++) {
        putchar('\t');
        cli_field(j->entries[i].path);
    }
    putchar('\n');
    for (size_t i = 0; i < j->n; i++) {
        cli_field(j->entries[i].path);
        for (size_t k = 0; k < j->n; k++)
            printf("\t%.4f", (double)fn_distance(j->entries[i].vector, j->entries[k].vector, j->dimension));
        putchar('\n');
    }
}

// One line per picture: its distances to all pictures, in order.
static void print_matrix_json(const job *j, const fn_calibration *calibration) {
    for (size_t i = 0; i < j->n; i++) {
        json_t *line = json_object(), *distances = json_array(), *rates = json_array();
        for (size_t k = 0; k < j->n; k++) {
            float distance = fn_distance(j->entries[i].vector, j->entries[k].vector, j->dimension);
            json_array_append_new(distances, json_real((double)distance));
            json_array_append_new(rates, calibration ? json_real(fn_calibration_fmr(calibration, distance))
                                                     : json_null());
        }
        cli_json_path(line, "path", j->entries[i].path, strlen(j->entries[i].path));
        json_object_set_new(line, "face", json_integer((json_int_t)j->entries[i].face));
        json_object_set_new(line, "distances", distances);
        json_object_set_new(line, "fmrs", rates);
        cli_json_line(line);
    }
}

int cmd_compare(int argc, char **argv) {
    job j = {0};
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    if (!cli_face_parse(&j.face, face_text, 0))
        return cli_usage_error(&command, "--face wants only, largest, centre or a number, not \"%s\"",
                               face_text);
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code != CLI_DONE)
        return code;
    fn_analyze_options analyze = cli_analyze_options();
    analyze.wanted = cli_face_wanted;
    analyze.user = &j.face;
    code = cli_run_operands(recognizer, argv + 1, n, &analyze, handle, &j);
    const fn_calibration *calibration = fn_embedder_calibration(fn_recognizer_embedder(recognizer));
    if (j.n == 2)
        print_pair(&j, calibration);
    else if (j.n > 2 && cli.json)
        print_matrix_json(&j, calibration);
    else if (j.n > 2)
        print_matrix(&j);
    else if (code == CLI_DONE) {
        cli_error("fewer than two pictures to compare");
        code = CLI_INPUTS;
    }
    for (size_t i = 0; i < j.n; i++) {
        free(j.entries[i].path);
        free(j.entries[i].vector);
    }
    free(j.entries);
    fn_recognizer_free(recognizer);
    return code;
}
