// SPDX-License-Identifier: Apache-2.0
//
// facenet identify: who is in the pictures.
#include "cli.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 1024

static double fmr = 1e-4;

static const cli_option options[] = {
    {"fmr", 0, "RATE", "share of different pairs that may be taken for one person, per comparison [1e-4]",
     CLI_REAL, &fmr, 1e-12, 0.5},
    {0},
};

static const cli_command command = {
    .name = "identify",
    .operands = "PATH...",
    .about = "Names the faces in photographs by the people of the gallery. One line per face: path, face,\n"
             "name or unknown or ambiguous, distance to the nearest person, false-match rate of that\n"
             "distance, what it means, nearest person, runner-up. With N people in the gallery a\n"
             "stranger is falsely named about N x --fmr times.",
    .options = options,
    .shared = CLI_SHARED_GALLERY | CLI_SHARED_DRAW | CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 1,
    .max_operands = -1,
};

typedef struct job {
    fn_gallery *gallery;
    fn_embedder *embedder;
    fn_index *index;
} job;

typedef struct finding {
    fn_match match;
    char best[NAME_SIZE], runner_up[NAME_SIZE]; // empty: nobody
    char meaning[256];
} finding;

static const char *shown_name(const finding *f) {
    return f->match.decision == FN_DECISION_KNOWN ? f->best : fn_decision_name(f->match.decision);
}

// What distances to vectors like the candidate's mean.
static const fn_calibration *calibration_of(const job *j, const fn_candidate *candidate) {
    size_t n;
    const fn_comparable *makers = fn_embedder_comparable(j->embedder, &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(makers[i].fingerprint, candidate->fingerprint) == 0)
            return makers[i].calibration;
    return fn_embedder_calibration(j->embedder);
}

static int find(const job *j, finding *f, const float *vector) {
    const fn_calibration *calibration = fn_embedder_calibration(j->embedder);
    *f = (finding){0};
    int rc = fn_decide(&f->match, j->index, vector, fn_embedder_fingerprint(j->embedder), calibration, fmr);
    if (rc == FN_OK && f->match.n_candidates > 0)
        rc = fn_gallery_name(j->gallery, f->match.best.person, f->best, NAME_SIZE);
    if (rc == FN_OK && f->match.n_candidates > 1)
        rc = fn_gallery_name(j->gallery, f->match.runner_up.person, f->runner_up, NAME_SIZE);
    if (rc < 0)
        return rc;
    static const char *const verdicts[] = {[FN_DECISION_UNKNOWN] = "nobody close enough",
                                           [FN_DECISION_KNOWN] = "same person",
                                           [FN_DECISION_AMBIGUOUS] = "two people fit"};
    if (f->match.n_candidates) {
        char close[128];
        cli_closeness(close, sizeof close, calibration_of(j, &f->match.best), f->match.best.distance);
        snprintf(f->meaning, sizeof f->meaning, "%s: %s", verdicts[f->match.decision], close);
    } else {
        snprintf(f->meaning, sizeof f->meaning, "the gallery is empty");
    }
    return FN_OK;
}

static void print_text(const char *path, size_t index, const finding *f) {
    cli_field(path);
    printf("\t%zu\t", index);
    cli_field(shown_name(f));
    if (f->match.n_candidates)
        printf("\t%.4f\t%.2g\t%s\t", (double)f->match.best.distance, f->match.fmr, f->meaning);
    else
        printf("\t-\t-\t%s\t", f->meaning);
    cli_field(*f->best ? f->best : "-");
    putchar('\t');
    cli_field(*f->runner_up ? f->runner_up : "-");
    putchar('\n');
}

static json_t *json_candidate(const char *person, const fn_candidate *candidate) {
    json_t *object = json_object();
    cli_json_path(object, "name", person, strlen(person));
    json_object_set_new(object, "distance", json_real((double)candidate->distance));
    return object;
}

static void print_json(const char *path, const fn_analysis *analysis, const finding *findings) {
    json_t *line = json_object(), *faces = json_array();
    for (size_t i = 0; i < analysis->n_faces; i++) {
        const finding *f = &findings[i];
        json_t *face =
            json_pack("{s:I, s:o, s:f}", "face", (json_int_t)i, "box", cli_json_box(analysis->faces[i].box),
                      "score", (double)analysis->faces[i].score);
        json_object_set_new(face, "decision", json_string(fn_decision_name(f->match.decision)));
        json_object_set_new(face, "name",
                            f->match.decision == FN_DECISION_KNOWN ? json_string(f->best) : json_null());
        json_object_set_new(face, "fmr", isnan(f->match.fmr) ? json_null() : json_real(f->match.fmr));
        json_object_set_new(face, "meaning", json_string(f->meaning));
        if (f->match.n_candidates > 0)
            json_object_set_new(face, "best", json_candidate(f->best, &f->match.best));
        if (f->match.n_candidates > 1)
            json_object_set_new(face, "runner_up", json_candidate(f->runner_up, &f->match.runner_up));
        json_array_append_new(faces, face);
    }
    cli_json_path(line, "path", path, strlen(path));
    json_object_set_new(line, "width", json_integer(analysis->width));
    json_object_set_new(line, "height", json_integer(analysis->height));
    json_object_set_new(line, "faces", faces);
    cli_json_line(line);
}

static int draw(const char *path, const fn_analysis *analysis, const finding *findings) {
    fn_label *labels = calloc(analysis->n_faces + 1, sizeof *labels);
    if (!labels) {
        cli_error("%s: out of memory", path);
        return CLI_INPUT_FAILED;
    }
    for (size_t i = 0; i < analysis->n_faces; i++)
        labels[i] = (fn_label){analysis->faces[i].box, shown_name(&findings[i]),
                               cli_color(findings[i].match.decision)};
    int code = cli_draw(path, analysis, labels);
    free(labels);
    return code;
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    const job *j = user;
    int code = CLI_DONE, rc = FN_OK;
    finding *findings = calloc(analysis->n_faces + 1, sizeof *findings);
    if (!findings) {
        cli_error("%s: out of memory", path);
        return CLI_INPUT_FAILED;
    }
    for (size_t i = 0; i < analysis->n_faces && rc == FN_OK; i++)
        rc = find(j, &findings[i], analysis->embeddings + i * (size_t)analysis->dimension);
    if (rc == FN_ENOTFOUND) { // somebody was removed since the index was made
        cli_error("%s: %s", path, fn_last_error());
        code = CLI_INPUT_FAILED;
    } else if (rc < 0) {
        code = cli_failure(rc);
    } else {
        for (size_t i = 0; i < analysis->n_faces && !cli.json; i++)
            print_text(path, i, &findings[i]);
        if (cli.json)
            print_json(path, analysis, findings);
        if (cli.draw)
            code = draw(path, analysis, findings);
    }
    free(findings);
    return code;
}

// The rate asked for, before any work: every kind of vector that is held can show it. An empty gallery is
// asked by the model's own calibration.
static int check_rate(const fn_index *index, const fn_comparable *makers, size_t n) {
    float threshold;
    for (size_t i = 0; i < n; i++) {
        if (!fn_index_n_made(index, makers[i].fingerprint) && (i || fn_index_len(index)))
            continue;
        if (!makers[i].calibration) {
            cli_error(
                "%s: the model has no calibration, so no distance means a name: take a model that has one, "
                "or run: facenet eval calibrate --write",
                makers[i].name);
            return CLI_MODEL;
        }
        if (fn_calibration_threshold(&threshold, makers[i].calibration, fmr) < 0)
            return cli_usage_error(&command, "--fmr %g: %s", fmr, fn_last_error());
    }
    return CLI_DONE;
}

static int run(job *j, fn_recognizer *recognizer, char **operands, int n) {
    j->embedder = fn_recognizer_embedder(recognizer);
    int code = cli_gallery_open(&j->gallery, 1);
    if (code != CLI_DONE)
        return code;
    size_t n_makers;
    const fn_comparable *makers = fn_embedder_comparable(j->embedder, &n_makers);
    int rc = fn_gallery_index_comparable(j->gallery, makers, n_makers, fn_embedder_dimension(j->embedder),
                                         &j->index);
    if (rc < 0) {
        code = cli_failure(rc);
        return code == CLI_MODEL ? CLI_MODEL : CLI_GALLERY;
    }
    code = check_rate(j->index, makers, n_makers);
    if (code != CLI_DONE)
        return code;
    if (fn_index_len(j->index) == 0)
        cli_note("%s: nobody is enrolled, so everybody is unknown", fn_gallery_path(j->gallery));
    fn_analyze_options analyze = cli_analyze_options();
    analyze.keep_picture = cli.draw != NULL;
    return cli_run_operands(recognizer, operands, n, &analyze, handle, j);
}

int cmd_identify(int argc, char **argv) {
    job j = {0};
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    if (cli.draw && cli_make_folder(cli.draw) != CLI_DONE)
        return CLI_INPUTS;
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code == CLI_DONE)
        code = run(&j, recognizer, argv + 1, n);
    fn_index_free(j.index);
    fn_gallery_free(j.gallery);
    fn_recognizer_free(recognizer);
    return code;
}
