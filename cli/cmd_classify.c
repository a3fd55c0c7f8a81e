// SPDX-License-Identifier: Apache-2.0
//
// facenet classify: a classifier of people from a folder per person, and its answers.
#include "lesson.h"
#include "output.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define COLOR_KNOWN 0x2E9E4F
#define COLOR_UNKNOWN 0x8A8A8A
#define FMR_OF_NEIGHBOURS 1e-3

static const char *out_path, *kind = "svm", *face_text;
static double c = 1, max_distance = -1, min_probability = 0.5;
static int k = 5;

static const cli_option options[] = {
    {"out", 'o', "FILE", "train: where the classifier goes", CLI_TEXT, &out_path, 0, 0},
    {"kind", 0, "svm|knn", "train: linear support vectors or nearest neighbours [svm]", CLI_CHOICE, &kind, 0,
     0},
    {"c", 0, "C", "train, svm: weight of errors [1]", CLI_REAL, &c, 1e-6, 1e9},
    {"k", 0, "K", "train, knn: how many neighbours vote [5]", CLI_COUNT, &k, 1, 1000},
    {"max-distance", 0, "D",
     "train, knn: neighbours farther than this vote for nobody; 0: all count [the distance of FMR 1e-3]",
     CLI_REAL, &max_distance, 0, 1e6},
    {"face", 0, "WHICH", "only, largest, centre or a number from 0; predict: or all [largest; all]", CLI_TEXT,
     &face_text, 0, 0},
    {"min-probability", 0, "P", "predict: below this the answer is unknown [0.5]", CLI_REAL, &min_probability,
     0, 1},
    {0},
};

static const cli_command command = {
    .name = "classify",
    .operands = "train DIR --out FILE\npredict FILE PHOTO...",
    .about = "Names people by a classifier on embeddings.\n"
             "  train    learns from DIR/<name>/*.jpg, one face of each photograph; a folder called unknown\n"
             "           may hold strangers. One line per photograph: path, taken | refused, name, note\n"
             "  predict  one line per face: path, face, name or unknown, probability, likeliest, runner-up,\n"
             "           its probability\n"
             "A probability is a share among the people of the classifier: it says who of them it is rather\n"
             "than whether it is one of them. Where strangers come by, identify decides at a stated\n"
             "false-match rate.",
    .options = options,
    .shared = CLI_SHARED_DRAW | CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 2,
    .max_operands = -1,
};

// ---- train -----------------------------------------------------------------------------------

static void report(const char *path, const char *name, const char *why) {
    const char *status = why ? "refused" : "taken";
    if (!why)
        why = "";
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "status", json_string(status));
        if (name)
            cli_json_path(line, "name", name, strlen(name));
        cli_json_path(line, "note", why, strlen(why));
        cli_json_line(line);
        return;
    }
    cli_field(path);
    printf("\t%s\t", status);
    cli_field(name ? name : "-");
    putchar('\t');
    cli_field(why);
    putchar('\n');
}

static void say(void *user, fn_log_level level, const char *message) {
    (void)user;
    if (level >= FN_LOG_WARNING)
        cli_note("%s", message);
}

static int finish_training(const cli_lesson *l, fn_recognizer *recognizer) {
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    const fn_calibration *calibration = fn_embedder_calibration(embedder);
    fn_classifier_options o = FN_CLASSIFIER_OPTIONS_INIT;
    fn_control control = FN_CONTROL_INIT;
    control.log = say;
    o.kind = strcmp(kind, "knn") == 0 ? FN_CLASSIFIER_KNN : FN_CLASSIFIER_SVM;
    o.c = c;
    o.k = k;
    o.max_distance = max_distance;
    float measured;
    if (max_distance < 0 && calibration &&
        fn_calibration_threshold(&measured, calibration, FMR_OF_NEIGHBOURS) == FN_OK)
        o.max_distance = (double)measured;
    else if (max_distance < 0)
        o.max_distance = 0;
    fn_classifier *classifier;
    int rc =
        fn_classifier_train(&classifier, l->rows, (const char *const *)l->names, l->n,
                            fn_embedder_dimension(embedder), fn_embedder_fingerprint(embedder), &o, &control);
    if (rc == FN_OK) {
        rc = fn_classifier_save(classifier, out_path);
        if (rc == FN_OK)
            cli_note("%s: %d people from %zu photographs", out_path, fn_classifier_len(classifier), l->n);
        fn_classifier_free(classifier);
    }
    if (rc < 0) {
        cli_error("%s", fn_last_error());
        return CLI_INPUTS;
    }
    return CLI_DONE;
}

// A classifier's file is JSON, which is UTF-8: what cannot be a name there is said before the photographs are
// looked at. A folder that cannot be read is left to whoever reads the photographs.
static int check_names(const char *root) {
    DIR *folder = opendir(root);
    int code = CLI_DONE;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        json_t *name = json_string(entry->d_name);
        if (!name) {
            cli_error("%s/%s: the name is not UTF-8, so it cannot stand in a classifier: rename it", root,
                      entry->d_name);
            code = CLI_INPUTS;
        }
        json_decref(name);
    }
    if (folder)
        closedir(folder);
    return code;
}

static int train(fn_recognizer *recognizer, char *root, cli_face face) {
    cli_lesson l = {.face = face, .report = report};
    int code = check_names(root);
    if (code == CLI_DONE)
        code = cli_lesson_read(&l, recognizer, root);
    if (code <= CLI_INPUTS && l.n > 0) {
        int end = finish_training(&l, recognizer);
        code = end > code ? end : code;
    }
    cli_lesson_free(&l);
    return code;
}

// ---- predict ---------------------------------------------------------------------------------

typedef struct job {
    const fn_classifier *classifier;
    const char *fingerprint;
    cli_face face;
} job;

static const char *name_of(const job *j, int person) {
    return person < 0 ? "-" : fn_classifier_name(j->classifier, person);
}

static const char *answer(const job *j, const fn_prediction *p) {
    return p->is_known ? name_of(j, p->person) : "unknown";
}

static void print_text(const job *j, const char *path, size_t face, const fn_prediction *p) {
    cli_field(path);
    printf("\t%zu\t", face);
    cli_field(answer(j, p));
    printf("\t%.4f\t", p->probability);
    cli_field(name_of(j, p->person));
    putchar('\t');
    cli_field(name_of(j, p->runner_up));
    printf("\t%.4f\n", p->runner_up_probability);
}

static json_t *json_person(const job *j, int person, double probability) {
    const char *name = name_of(j, person);
    json_t *object = json_object();
    cli_json_path(object, "name", name, strlen(name));
    json_object_set_new(object, "probability", json_real(probability));
    return object;
}

static json_t *json_face(const job *j, size_t face, const fn_face *found, const fn_prediction *p) {
    json_t *object = json_pack("{s:I, s:o, s:f}", "face", (json_int_t)face, "box", cli_json_box(found->box),
                               "score", (double)found->score);
    json_object_set_new(object, "decision", json_string(p->is_known ? "known" : "unknown"));
    json_object_set_new(object, "name", p->is_known ? json_string(name_of(j, p->person)) : json_null());
    json_object_set_new(object, "probability", json_real(p->probability));
    if (p->person >= 0)
        json_object_set_new(object, "best", json_person(j, p->person, p->probability));
    if (p->runner_up >= 0)
        json_object_set_new(object, "runner_up", json_person(j, p->runner_up, p->runner_up_probability));
    return object;
}

static int draw(const job *j, const char *path, const fn_analysis *analysis, const fn_prediction *found,
                size_t first, size_t end) {
    fn_label *labels = calloc(analysis->n_faces + 1, sizeof *labels);
    if (!labels) {
        cli_error("%s: out of memory", path);
        return CLI_INPUT_FAILED;
    }
    for (size_t i = 0; i < analysis->n_faces; i++) {
        const char *word = i >= first && i < end ? answer(j, &found[i]) : "";
        labels[i] = (fn_label){analysis->faces[i].box, word, found[i].is_known ? COLOR_KNOWN : COLOR_UNKNOWN};
    }
    int code = cli_draw(path, analysis, labels);
    free(labels);
    return code;
}

static int show(const job *j, const char *path, const fn_analysis *analysis, const fn_prediction *found,
                size_t first, size_t end) {
    json_t *faces = cli.json ? json_array() : NULL;
    for (size_t i = first; i < end; i++) {
        if (cli.json)
            json_array_append_new(faces, json_face(j, i, &analysis->faces[i], &found[i]));
        else
            print_text(j, path, i, &found[i]);
    }
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "width", json_integer(analysis->width));
        json_object_set_new(line, "height", json_integer(analysis->height));
        json_object_set_new(line, "faces", faces);
        cli_json_line(line);
    }
    return cli.draw ? draw(j, path, analysis, found, first, end) : CLI_DONE;
}

static int ask(void *user, const char *path, const fn_analysis *analysis) {
    const job *j = user;
    char why[1024];
    size_t first = 0, end = analysis->n_faces;
    if (j->face.choice != CLI_FACE_ALL) {
        if (!cli_face_choose(&first, analysis, j->face, why, sizeof why)) {
            cli_error("%s: %s", path, why);
            return CLI_INPUT_FAILED;
        }
        end = first + 1;
    }
    fn_prediction *found = calloc(analysis->n_faces + 1, sizeof *found);
    int code = CLI_INPUT_FAILED, rc = found ? FN_OK : FN_ENOMEM;
    for (size_t i = first; i < end && rc == FN_OK; i++)
        rc = fn_classifier_predict(j->classifier, analysis->embeddings + i * (size_t)analysis->dimension,
                                   analysis->dimension, j->fingerprint, min_probability, &found[i]);
    if (rc < 0)
        cli_error("%s: %s", path, found ? fn_last_error() : "out of memory");
    else
        code = show(j, path, analysis, found, first, end);
    free(found);
    return code;
}

static int predict(fn_recognizer *recognizer, const char *file, char **operands, int n, cli_face face) {
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    const char *fingerprint = fn_embedder_fingerprint(embedder);
    fn_classifier *classifier;
    if (fn_classifier_load(&classifier, file) < 0) {
        cli_error("%s", fn_last_error());
        return CLI_MODEL;
    }
    int code = CLI_MODEL;
    if (strcmp(fn_classifier_fingerprint(classifier), fingerprint) != 0) {
        cli_error("%s: trained on embeddings of another model: name that one with --model, or train again",
                  file);
    } else if (fn_classifier_dimension(classifier) != fn_embedder_dimension(embedder)) {
        cli_error("%s: for embeddings of %d numbers, those of the model have %d", file,
                  fn_classifier_dimension(classifier), fn_embedder_dimension(embedder));
    } else {
        job j = {classifier, fingerprint, face};
        fn_analyze_options analyze = cli_analyze_options();
        analyze.wanted = cli_face_wanted;
        analyze.user = &j.face;
        analyze.keep_picture = cli.draw != NULL;
        code = cli_run_operands(recognizer, operands, n, &analyze, ask, &j);
    }
    fn_classifier_free(classifier);
    return code;
}

int cmd_classify(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    int is_train = strcmp(argv[1], "train") == 0;
    if (!is_train && strcmp(argv[1], "predict") != 0)
        return cli_usage_error(&command, "expected train or predict, not \"%s\"", argv[1]);
    cli_face face = {is_train ? CLI_FACE_LARGEST : CLI_FACE_ALL, 0};
    if (face_text && !cli_face_parse(&face, face_text, !is_train))
        return cli_usage_error(&command, "--face wants only, largest, centre%s or a number, not \"%s\"",
                               is_train ? "" : ", all", face_text);
    if (is_train && !out_path)
        return cli_usage_error(&command, "train needs --out FILE");
    if (is_train && n != 2)
        return cli_usage_error(&command, "train wants one folder of people");
    if (!is_train && n < 3 && !cli.files_from)
        return cli_usage_error(&command, "predict wants photographs: predict FILE PHOTO...");
    if (is_train && cli.files_from)
        return cli_usage_error(&command, "train takes a folder of people, not --files-from");
    if (cli.draw && cli_make_folder(cli.draw) != CLI_DONE)
        return CLI_INPUTS;
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code == CLI_DONE)
        code =
            is_train ? train(recognizer, argv[2], face) : predict(recognizer, argv[2], argv + 3, n - 2, face);
    fn_recognizer_free(recognizer);
    return code;
}
