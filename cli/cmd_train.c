// SPDX-License-Identifier: Apache-2.0
//
// facenet train: a folder of faces in, a network out. The options are the library's own table.
#include "cli.h"
#include "progress.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_OPTIONS = 128, REDRAW_MS = 200 };

static fn_train_options train;
static const char *config_path;
static int log_steps = 50;

static cli_option options[MAX_OPTIONS];
static const cli_option own[] = {
    {"config", 0, "FILE", "read options from FILE: NAME = VALUE lines, or the config.json of a run", CLI_TEXT,
     &config_path, 0, 0},
    {"log-steps", 0, "N", "where stderr is no terminal: a line every so many steps; 0: per epoch [50]",
     CLI_COUNT, &log_steps, 0, 1000000000},
    {"quiet", 'q', NULL, "only errors on stderr: no progress, no notes", CLI_FLAG, &cli.quiet, 0, 0},
};

static cli_command command = {
    .name = "train",
    .operands = "--data DIR --arch NAME --out DIR",
    .about = "Trains a network on faces: --data holds a folder of crops per person (see: facenet dataset),\n"
             "--val-data other people. The run lives in the folder --out, which receives\n"
             "  best.onnx       the model of the best validation, ready for: facenet enroll --model\n"
             "  last.onnx       the model as it is at the end\n"
             "  report.html     curves, distances and the hardest triplets\n"
             "  metrics.jsonl   the same as numbers, a line per step\n"
             "  checkpoint.fnt  all that --resume needs\n"
             "  config.json     every option, for --config\n"
             "mpirun -np N facenet train ... trains one network in N processes, of one machine or many.\n"
             "SIGINT and SIGTERM end it with a checkpoint after the step, and that is done too (0).\n"
             "Options given here go before those of --config; --resume takes the run's own for the others.",
    .options = options,
    .min_operands = 0,
    .max_operands = 0,
};

// The library's table as the program's.
static void fill_options(void) {
    static const cli_kind kinds[] = {[FN_TRAIN_FLAG] = CLI_FLAG,
                                     [FN_TRAIN_TEXT] = CLI_TEXT,
                                     [FN_TRAIN_CHOICE] = CLI_CHOICE,
                                     [FN_TRAIN_COUNT] = CLI_COUNT,
                                     [FN_TRAIN_REAL] = CLI_REAL};
    size_t n = 0;
    const fn_train_option *o;
    for (int i = 0; (o = fn_train_option_at(i)) && n < MAX_OPTIONS - 4; i++)
        options[n++] = (cli_option){
            o->name, 0, o->argument, o->help, kinds[o->kind], (char *)&train + o->offset, o->min, o->max};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        options[n++] = own[i];
}

// ---- what is shown ---------------------------------------------------------------------------

static int64_t drawn_ms;
static int is_drawn;

static int asked_to_stop(void *user, uint64_t done, uint64_t total) {
    (void)user, (void)done, (void)total;
    return cli_asked_to_stop();
}

static void clear_line(void) {
    if (is_drawn)
        fputs("\r\033[K", stderr);
    is_drawn = 0;
}

static void tell(void *user, fn_log_level level, const char *message) {
    (void)user;
    clear_line();
    if (level != FN_LOG_DEBUG)
        cli_note("%s", message);
}

// Columns of the terminal, or 80 where it does not say.
static int columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// One line of what fits into `room` columns: parts in their order, of which those that matter least, the ones
// with the largest rank, are left out first.
static void print_step(const fn_train_progress *p, int room) {
    enum { N = 8, SIZE = 64 };
    static const int rank[N] = {0, 3, 0, 4, 2, 5, 6, 1};
    char part[N][SIZE] = {{0}};
    const unsigned long long left = (unsigned long long)p->eta_s;
    snprintf(part[0], SIZE, "epoch %d/%d step %llu/%llu", p->epoch, p->n_epochs, (unsigned long long)p->step,
             (unsigned long long)p->n_steps);
    snprintf(part[1], SIZE, "  %.1f images/s", p->images_per_s);
    snprintf(part[2], SIZE, "  loss %.4f", p->loss);
    if (p->n_triplets)
        snprintf(part[3], SIZE, "  triplets %d active %d", p->n_triplets, p->n_active);
    if (p->mean_an > 0)
        snprintf(part[4], SIZE, "  d(a,p) %.3f d(a,n) %.3f", p->mean_ap, p->mean_an);
    snprintf(part[5], SIZE, "  lr %.3g", p->lr);
    snprintf(part[6], SIZE, "  waited %.1f s", p->loader_wait_s);
    snprintf(part[7], SIZE, "  %llu:%02llu:%02llu left", left / 3600, left / 60 % 60, left % 60);
    for (int limit = N;; limit--) {
        size_t n = 0;
        for (int i = 0; i < N; i++)
            n += rank[i] < limit ? strlen(part[i]) : 0;
        if ((int)n > room && limit > 1)
            continue;
        for (int i = 0; i < N; i++)
            if (rank[i] < limit)
                fputs(part[i], stderr);
        return;
    }
}

static void print_epoch(const fn_train_progress *p) {
    const fn_train_validation *v = p->validation;
    fprintf(stderr, "epoch %d/%d step %llu  loss %.4f", p->epoch, p->n_epochs, (unsigned long long)p->step,
            p->loss);
    if (v) {
        fprintf(stderr, "  validation: accuracy %.4f", v->accuracy);
        if (v->accuracy_se == v->accuracy_se)
            fprintf(stderr, " +- %.4f", v->accuracy_se);
        if (v->tar_at_far_1e3 == v->tar_at_far_1e3)
            fprintf(stderr, "  TAR@FAR 1e-3 %.4f", v->tar_at_far_1e3);
        fprintf(stderr, "  AUC %.4f  EER %.4f", v->auc, v->eer);
    }
    fputc('\n', stderr);
}

static int show(void *user, const fn_train_progress *p) {
    const int is_live = *(const int *)user;
    const int64_t now = fn_clock_ms();
    if (cli.quiet)
        return cli_asked_to_stop();
    if (p->is_epoch_end) {
        clear_line();
        print_epoch(p);
    } else if (is_live && now - drawn_ms >= REDRAW_MS) {
        fputs("\r\033[K", stderr);
        print_step(p, columns() - 1);
        fflush(stderr);
        drawn_ms = now;
        is_drawn = 1;
    } else if (!is_live && log_steps && p->step % (uint64_t)log_steps == 0) {
        print_step(p, INT_MAX);
        fputc('\n', stderr);
    }
    return cli_asked_to_stop();
}

// ---- the verb --------------------------------------------------------------------------------

// A run without options that is to go on has to be there.
static int nothing_to_resume(void) {
    char path[4096];
    if (!train.resume || !train.out || train.data)
        return 0;
    snprintf(path, sizeof path, "%s/config.json", train.out);
    return access(path, F_OK) != 0;
}

static int exit_code(int rc) {
    switch (rc) {
    case FN_EINVAL:
        return cli_usage_error(&command, "%s", fn_last_error());
    case FN_ETRAIN:
        cli_error("%s", fn_last_error());
        return CLI_TRAINING;
    case FN_ECONFLICT:
        cli_error("%s", fn_last_error());
        return CLI_INPUTS;
    default:
        return cli_failure(rc);
    }
}

static void say_what_next(const fn_train_result *result, int was_stopped) {
    if (cli.quiet)
        return;
    if (was_stopped) {
        cli_note("stopped after step %llu; to go on: facenet train --resume --out %s",
                 (unsigned long long)result->step, train.out);
        return;
    }
    if (result->best_epoch)
        cli_note("best of epoch %d: accuracy %.4f; the run is in %s, its page is %s/report.html",
                 result->best_epoch, result->best.accuracy, train.out, train.out);
    else
        cli_note("the run is in %s, its page is %s/report.html", train.out, train.out);
    if (!*result->model)
        return;
    cli_note("next: facenet eval calibrate --write --data NAME --model %s FOLDER, facenet enroll --model %s",
             result->model, result->model);
}

static int run(void) {
    fn_control control = FN_CONTROL_INIT;
    fn_train_result result;
    int is_live = !cli.quiet && isatty(STDERR_FILENO);
    control.progress = asked_to_stop;
    control.log = tell;
    train.progress = show;
    train.user = &is_live;
    cli_stop_on_signals();
    int rc = fn_train_run(&train, &result, &control);
    clear_line();
    if (result.rank > 0 && !freopen("/dev/null", "w", stderr)) // rank 0 speaks for all
        return CLI_INPUTS;
    if (rc < 0 && !(rc == FN_ECANCELLED && cli_asked_to_stop()))
        return exit_code(rc);
    if (result.step && result.rank == 0)
        say_what_next(&result, rc < 0);
    return CLI_DONE;
}

// Options of a file go below those of the command line, which are read once more. Without --config, a run
// that is resumed has a file of its own.
static int read_config(int argc, char **argv, char **texts) {
    char resumed[4096];
    const char *path = config_path;
    if (!path && train.resume && train.out) {
        snprintf(resumed, sizeof resumed, "%s/config.json", train.out);
        path = access(resumed, F_OK) == 0 ? resumed : NULL;
    }
    if (!path)
        return -1;
    train = (fn_train_options)FN_TRAIN_OPTIONS_INIT;
    int n, rc = fn_train_options_read(&train, texts, path);
    if (rc < 0) {
        cli_error("%s", fn_last_error());
        return rc == FN_EFORMAT ? CLI_USAGE : CLI_INPUTS;
    }
    return cli_parse(&command, argc, argv, &n);
}

int cmd_train(int argc, char **argv) {
    char *texts = NULL;
    int n;
    train = (fn_train_options)FN_TRAIN_OPTIONS_INIT;
    fill_options();
    int end = cli_parse(&command, argc, argv, &n);
    if (end < 0)
        end = read_config(argc, argv, &texts);
    if (end < 0 && nothing_to_resume()) {
        cli_error("%s: there is no run to go on with", train.out);
        end = CLI_INPUTS;
    }
    if (end < 0)
        end = run();
    fn_string_free(texts);
    return end;
}
