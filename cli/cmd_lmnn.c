// SPDX-License-Identifier: Apache-2.0
//
// facenet lmnn: a better distance for an embedder, learnt on known people and measured on others.
#include "lesson.h"
#include "output.h"
#include "progress.h"

#include <stdlib.h>
#include <string.h>

enum { N_K = 3 };
static const int error_k[N_K] = {1, 3, 5}; // neighbours of the errors that are printed

static const char *out_path, *face_text;
static fn_lmnn_options lmnn = FN_LMNN_OPTIONS_INIT;
static double hold_out = 0.2, regularization = -1, whitening = -1; // the latter below 0: chosen
static int seed = 1;

static const cli_option options[] = {
    {"out", 'o', "FILE", "where the model goes: MODEL with a last, linear layer", CLI_TEXT, &out_path, 0, 0},
    {"rank", 0, "N", "numbers of the new embedding; 0: as many as now [0]", CLI_COUNT, &lmnn.rank, 0, 4096},
    {"k", 0, "N", "neighbours of the same person that are drawn near [3]", CLI_COUNT, &lmnn.k, 1, 64},
    {"margin", 0, "X", "by which others are to be farther, squared distance [0.2]", CLI_REAL, &lmnn.margin, 0,
     4},
    {"mu", 0, "X", "weight of pushing others away, 0 to 1; the rest is drawing near [0.5]", CLI_REAL,
     &lmnn.mu, 0, 1},
    {"regularization", 0, "X", "weight of staying near where learning starts [chosen]", CLI_REAL,
     &regularization, 0, 1e6},
    {"whitening", 0, "X",
     "start by shrinking directions in which photographs of one person differ, the less "
     "the larger X; 0: do not [chosen]",
     CLI_REAL, &whitening, 0, 1e6},
    {"balance", 0, "X", "0: every photograph counts alike; 1: every person [0]", CLI_REAL, &lmnn.balance, 0,
     1},
    {"iterations", 0, "N", "most steps of a pass [200; chosen, 30 at most]", CLI_COUNT, &lmnn.iterations, 1,
     1000000},
    {"passes", 0, "N", "neighbours are chosen anew for each [1]", CLI_COUNT, &lmnn.passes, 1, 1000000},
    {"hold-out", 0, "SHARE", "of the people, who are only measured with; 0: nobody [0.2]", CLI_REAL,
     &hold_out, 0, 0.9},
    {"seed", 0, "N", "of the choice of who is held out [1]", CLI_COUNT, &seed, 0, 2147483647},
    {"face", 0, "WHICH", "of a photograph: only, largest, centre or a number from 0 [largest]", CLI_TEXT,
     &face_text, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "lmnn",
    .operands = "--out FILE.onnx [DIR]",
    .about =
        "Learns a linear map after which photographs of one person are nearer to each other than to\n"
        "those of others (large-margin nearest neighbours), and writes the model with that map as its\n"
        "last layer. Learns from the faces of the gallery, or from photographs DIR/<name>/*.\n"
        "How far the map goes is chosen by trials: in each, some of the people are left out and measured\n"
        "with. Where nothing helps them no model is written, and that is done too (0). --whitening or\n"
        "--regularization say it instead (the other is 0 then).\n"
        "Prints, for people held out, how often the nearest 1, 3, 5 others name the wrong person before\n"
        "and after. The new model wants people enrolled anew, and a calibration:\n"
        "facenet eval calibrate --write. SIGINT and SIGTERM end it, and nothing is written (1).",
    .options = options,
    .shared = CLI_SHARED_GALLERY | CLI_SHARED_MODEL | CLI_SHARED_PICTURES,
    .min_operands = 0,
    .max_operands = 1,
};

// ---- who is held out -------------------------------------------------------------------------

/// The vectors of people to learn from, then those of people held out.
typedef struct cut {
    float *rows; // (n, d)
    int *label;  // (n): person by name
    size_t n, n_learn;
    int d, n_people, n_held;
} cut;

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// SplitMix64.
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

// The number of each row's person among the sorted names. Returns how many people there are, -1: no memory.
static int number_people(int *person, const cli_lesson *l) {
    char **sorted = malloc(l->n * sizeof *sorted);
    size_t n = 0;
    if (!sorted)
        return -1;
    memcpy(sorted, l->names, l->n * sizeof *sorted);
    qsort(sorted, l->n, sizeof *sorted, by_name);
    for (size_t i = 0; i < l->n; i++)
        if (i == 0 || strcmp(sorted[i], sorted[n - 1]) != 0)
            sorted[n++] = sorted[i];
    for (size_t i = 0; i < l->n; i++)
        person[i] = (int)((char **)bsearch(&l->names[i], sorted, n, sizeof *sorted, by_name) - sorted);
    free(sorted);
    return (int)n;
}

static int cut_people(cut *c, const cli_lesson *l) {
    const size_t d = (size_t)l->dimension;
    int *person = malloc(l->n * sizeof *person), *order = NULL;
    *c = (cut){.rows = malloc(l->n * d * sizeof(float)),
               .label = malloc(l->n * sizeof *c->label),
               .n = l->n,
               .d = l->dimension};
    c->n_people = person ? number_people(person, l) : -1;
    if (c->n_people > 0)
        order = malloc((size_t)c->n_people * sizeof *order); // place in a shuffle
    int is_done = c->rows && c->label && order;
    if (is_done) {
        uint64_t state = (uint64_t)seed;
        for (int i = 0; i < c->n_people; i++) { // inside out, Durstenfeld
            const int k = (int)(draw(&state) % (uint64_t)(i + 1));
            order[i] = order[k];
            order[k] = i;
        }
        c->n_held = (int)(hold_out * c->n_people);
        size_t at = 0;
        for (int held = 0; held < 2; held++) {
            for (size_t i = 0; i < l->n; i++) {
                if ((order[person[i]] < c->n_held) != held)
                    continue;
                memcpy(c->rows + at * d, l->rows + i * d, d * sizeof(float));
                c->label[at++] = person[i];
            }
            if (!held)
                c->n_learn = at;
        }
    }
    free(order);
    free(person);
    return is_done;
}

// ---- learning and measuring ------------------------------------------------------------------

typedef struct outcome {
    fn_lmnn_result learnt;
    fn_lmnn_trial trials[FN_LMNN_MAX_TRIALS];
    size_t n_trials; // 0: nothing was chosen
    int keeps;       // 1: no setting helped people left out
    size_t n_asked;
    double before[N_K], after[N_K]; // error of k nearest neighbours on people held out
} outcome;

// Of a single person, or of people of one photograph each, nothing can be asked: n_asked stays 0.
static int measure(outcome *o, const cut *c, const float *L, int rank) {
    const size_t n = c->n - c->n_learn;
    const float *rows = c->rows + c->n_learn * (size_t)c->d;
    const int *label = c->label + c->n_learn;
    if (c->n_held < 2)
        return CLI_DONE;
    float *mapped = malloc((n * (size_t)rank + 1) * sizeof *mapped);
    if (!mapped) {
        cli_error("out of memory");
        return CLI_INPUTS;
    }
    fn_lmnn_apply(mapped, L, rank, rows, n, c->d);
    int is_good = 1;
    for (int i = 0; i < N_K && is_good; i++) {
        o->before[i] = fn_knn_error(rows, label, n, c->d, error_k[i], &o->n_asked);
        o->after[i] = fn_knn_error(mapped, label, n, rank, error_k[i], NULL);
        is_good = o->before[i] >= 0 && o->after[i] >= 0;
    }
    free(mapped);
    if (!is_good)
        cli_error("the people held out cannot be measured: %s", fn_last_error());
    return is_good ? CLI_DONE : CLI_INPUTS;
}

static json_t *describe(const cut *c, const outcome *o, int rank) {
    json_t *object = json_pack(
        "{s:s, s:b, s:i, s:i, s:f, s:f, s:i, s:i, s:I, s:i, s:I, s:f, s:f, s:I, s:I}", "method", "lmnn",
        "kept", o->keeps, "rank", rank, "k", lmnn.k, "whitening", lmnn.whitening, "regularization",
        lmnn.regularization, "steps", o->learnt.iterations, "people", c->n_people - c->n_held, "vectors",
        (json_int_t)c->n_learn, "held_out_people", c->n_held, "held_out_vectors", (json_int_t)o->n_asked,
        "loss_before", o->learnt.loss_before, "loss", o->learnt.loss, "impostors_before",
        (json_int_t)o->learnt.n_impostors_before, "impostors", (json_int_t)o->learnt.n_impostors);
    json_t *trials = o->n_trials ? json_array() : NULL;
    for (size_t i = 0; i < o->n_trials; i++) {
        const fn_lmnn_trial *t = &o->trials[i];
        json_array_append_new(trials, json_pack("{s:f, s:f, s:i, s:f, s:f, s:f}", "whitening", t->whitening,
                                                "regularization", t->regularization, "steps", t->iterations,
                                                "error", t->error, "gain", t->gain, "gain_se", t->gain_se));
    }
    if (trials)
        json_object_set_new(object, "trials", trials);
    for (int i = 0; i < N_K && o->n_asked; i++) {
        char key[32];
        snprintf(key, sizeof key, "error_of_%d_before", error_k[i]);
        json_object_set_new(object, key, json_real(o->before[i]));
        snprintf(key, sizeof key, "error_of_%d", error_k[i]);
        json_object_set_new(object, key, json_real(o->after[i]));
    }
    return object;
}

static void print_trial(const fn_lmnn_trial *t) {
    printf("tried\twhitening %g, ", t->whitening);
    if (t->iterations)
        printf("then at most %d steps, regularization %g", t->iterations, t->regularization);
    else
        printf("no steps");
    printf("\terror %.4f, less by %.4f +- %.4f\n", t->error, t->gain, t->gain_se);
}

static void print(const cut *c, const outcome *o, int rank) {
    if (cli.json) {
        cli_json_line(describe(c, o, rank));
        return;
    }
    printf("learnt from\t%d people, %zu photographs\n", c->n_people - c->n_held, c->n_learn);
    for (size_t i = 0; i < o->n_trials; i++)
        print_trial(&o->trials[i]);
    if (o->keeps)
        puts("chosen\tnone");
    else
        printf("chosen\twhitening %g, regularization %g, steps %d\n", lmnn.whitening, lmnn.regularization,
               o->learnt.iterations);
    printf("numbers\t%d of %d\n", rank, c->d);
    printf("impostors\t%lld, then %lld\n", (long long)o->learnt.n_impostors_before,
           (long long)o->learnt.n_impostors);
    printf("held out\t%d people, %zu photographs with another of the person\n", c->n_held, o->n_asked);
    for (int i = 0; i < N_K && o->n_asked; i++)
        printf("wrong by %d nearest\t%.4f, then %.4f\n", error_k[i], o->before[i], o->after[i]);
}

static int progress(void *user, uint64_t done, uint64_t total) {
    uint64_t *known = user;
    if (total != *known) { // another part of the work
        cli_progress_clear();
        cli_progress_start(total);
    }
    *known = total;
    cli_progress_show(done);
    return cli_asked_to_stop();
}

// Both are given as much as they want of the options; those that are chosen are written there.
static int choose_and_learn(float *L, outcome *o, const cut *c) {
    uint64_t total = 0;
    fn_control control = FN_CONTROL_INIT;
    control.user = &total;
    control.progress = progress;
    int rc = FN_OK;
    if (regularization < 0 && whitening < 0) {
        rc = fn_lmnn_choose(&lmnn, c->rows, c->label, c->n_learn, c->d, &lmnn, (uint64_t)seed, o->trials,
                            &o->n_trials, &control);
        o->keeps = rc == 0 && (lmnn.rank == 0 || lmnn.rank == c->d);
    } else {
        lmnn.regularization = regularization < 0 ? 0 : regularization;
        lmnn.whitening = whitening < 0 ? 0 : whitening;
    }
    if (rc >= 0) // where the vectors are kept: the identity
        rc = fn_lmnn_learn(L, c->rows, c->label, c->n_learn, c->d, &lmnn, &o->learnt, &control);
    cli_progress_clear();
    return rc;
}

static int write_model(const cut *c, const outcome *o, const float *L, int rank) {
    json_t *object = describe(c, o, rank);
    char *note = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(object);
    const int rc =
        fn_metric_write(out_path, cli.model ? cli.model : "mobilefacenet", cli.models, L, rank, c->d, note);
    free(note);
    if (rc < 0)
        cli_error("%s", fn_last_error());
    return rc < 0 ? CLI_INPUTS : CLI_DONE;
}

static void say_what_it_means(const cut *c, const outcome *o) {
    if (o->keeps)
        cli_note(
            "nothing helps people left out of the learning: no model is written, keep the one that is there, "
            "or learn from more people");
    else if (c->n_held && o->n_asked == 0)
        cli_note("of the %d held out nobody can be asked for: that takes two people, one of them with two "
                 "photographs; hold out more, or nobody (--hold-out 0)",
                 c->n_held);
    else if (o->n_asked && o->before[0] > 0 && o->after[0] >= o->before[0])
        cli_note(
            "nothing was gained for people held out: keep the model as it is, or learn from more people");
}

static int learn(const cut *c) {
    const int rank = lmnn.rank ? lmnn.rank : c->d;
    outcome o = {.n_asked = 0};
    float *L = malloc((size_t)rank * (size_t)c->d * sizeof *L);
    int rc = L ? choose_and_learn(L, &o, c) : FN_ENOMEM;
    int code = CLI_DONE;
    if (rc < 0) {
        cli_error("%s%s", L ? fn_last_error() : "out of memory",
                  rc == FN_ECANCELLED ? ": nothing was written" : "");
        code = CLI_INPUTS;
    }
    if (code == CLI_DONE && c->n_held)
        code = measure(&o, c, L, rank);
    if (code == CLI_DONE && !o.keeps)
        code = write_model(c, &o, L, rank);
    if (code == CLI_DONE) {
        print(c, &o, rank);
        say_what_it_means(c, &o);
    }
    free(L);
    return code;
}

static void report(const char *path, const char *name, const char *why) {
    (void)name;
    if (why)
        cli_error("%s: %s", path, why);
}

static int read_lesson(cli_lesson *lesson, fn_recognizer *recognizer, char *folder) {
    if (folder)
        return cli_lesson_read(lesson, recognizer, folder);
    fn_gallery *gallery;
    int code = cli_gallery_open(&gallery, 1);
    if (code != CLI_DONE)
        return code;
    code = cli_lesson_recall(lesson, gallery, fn_recognizer_embedder(recognizer));
    fn_gallery_free(gallery);
    return code;
}

int cmd_lmnn(int argc, char **argv) {
    int n;
    const int end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    cli_lesson lesson = {.face = {CLI_FACE_LARGEST, 0}, .report = report};
    if (face_text && !cli_face_parse(&lesson.face, face_text, 0))
        return cli_usage_error(&command, "--face wants only, largest, centre or a number, not \"%s\"",
                               face_text);
    if (!out_path)
        return cli_usage_error(&command, "where does the model go? --out FILE.onnx");
    if (cli.files_from)
        return cli_usage_error(&command, "a folder of people is wanted, not --files-from");
    if (cli.mirror)
        return cli_usage_error(
            &command, "the map follows the network, --mirror follows the map: use it with the new model");
    lmnn.threads = cli.threads;
    cli_stop_on_signals();
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code != CLI_DONE)
        return code;
    code = read_lesson(&lesson, recognizer, n ? argv[1] : NULL);
    if (code <= CLI_INPUTS && cli_asked_to_stop()) {
        cli_error("asked to stop: nothing was written");
        code = CLI_INPUTS;
    } else if (code <= CLI_INPUTS && lesson.n) {
        cut c;
        int learnt = CLI_INPUTS;
        if (cut_people(&c, &lesson))
            learnt = learn(&c);
        else
            cli_error("out of memory");
        code = learnt > code ? learnt : code;
        free(c.rows);
        free(c.label);
    }
    cli_lesson_free(&lesson);
    fn_recognizer_free(recognizer);
    return cli_finish(code);
}
