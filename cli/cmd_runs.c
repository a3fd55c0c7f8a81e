// SPDX-License-Identifier: Apache-2.0
//
// facenet runs: trainings side by side.
#include "cli.h"
#include "output.h"

#include <math.h>
#include <string.h>

static const char *curves_path, *key = "accuracy";

static const cli_option options[] = {
    {"curves", 0, "FILE", "draw the runs into FILE, an SVG", CLI_TEXT, &curves_path, 0, 0},
    {"key", 0, "loss|accuracy|val|auc|eer|d_ap|d_an|triplets|active|lr|norm",
     "what --curves draws, over the steps [accuracy]", CLI_CHOICE, &key, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "runs",
    .operands = "DIR...",
    .about = "Compares trainings, finished or not, by what they wrote into their folders. One line each:\n"
             "folder, epochs, steps, minutes, images per second, last loss, best epoch, and of that epoch\n"
             "accuracy, its standard error, TAR at FAR 1e-3, AUC and EER on the people held out.",
    .options = options,
    .shared = CLI_SHARED_OUTPUT,
    .min_operands = 1,
    .max_operands = -1,
};

static void print_real(const char *format, double value) {
    putchar('\t');
    if (isfinite(value))
        printf(format, value);
    else
        putchar('-');
}

static json_t *real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

static void print_run(const char *path, const fn_train_summary *s) {
    if (cli.json) {
        json_t *line =
            json_pack("{s:i, s:I, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:o}", "epoch", s->epoch, "step",
                      (json_int_t)s->step, "seconds", real(s->seconds), "images_per_s", real(s->images_per_s),
                      "loss", real(s->loss), "best_epoch", s->best_epoch, "accuracy", real(s->accuracy),
                      "accuracy_se", real(s->accuracy_se), "tar_at_far_1e-3", real(s->tar_at_far_1e3), "auc",
                      real(s->auc), "eer", real(s->eer));
        cli_json_path(line, "run", path, strlen(path));
        cli_json_line(line);
        return;
    }
    cli_field(path);
    printf("\t%d\t%llu", s->epoch, (unsigned long long)s->step);
    print_real("%.1f", s->seconds / 60);
    print_real("%.1f", s->images_per_s);
    print_real("%.4f", s->loss);
    printf("\t%d", s->best_epoch);
    print_real("%.4f", s->accuracy);
    print_real("%.4f", s->accuracy_se);
    print_real("%.4f", s->tar_at_far_1e3);
    print_real("%.4f", s->auc);
    print_real("%.4f", s->eer);
    putchar('\n');
}

int cmd_runs(int argc, char **argv) {
    int n, code = CLI_DONE;
    const int end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    for (int i = 1; i <= n; i++) {
        fn_train_summary summary;
        if (fn_train_summarize(&summary, argv[i]) == FN_OK) {
            print_run(argv[i], &summary);
            continue;
        }
        cli_error("%s", fn_last_error());
        code = CLI_INPUTS;
    }
    if (code == CLI_DONE && curves_path &&
        fn_train_curves(curves_path, (const char *const *)argv + 1, n, key) < 0) {
        cli_error("%s", fn_last_error());
        code = CLI_INPUTS;
    }
    return cli_finish(code);
}
