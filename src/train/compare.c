// SPDX-License-Identifier: Apache-2.0
//
// Runs side by side, from what they wrote of themselves.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/metrics.h"
#include "train/plot.h"

#include <facenet/train.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RUNS = 8 };

// What can be drawn, which lines have it, and how the axis is called.
static const struct {
    const char *key, *kind, *label;
} measures[] = {
    {"loss", "step", "loss"},
    {"accuracy", "epoch", "accuracy, pairs of held-out people"},
    {"val", "epoch", "VAL at FAR 1e-3, pairs of held-out people"},
    {"auc", "epoch", "area under the ROC curve"},
    {"eer", "epoch", "equal error rate"},
    {"d_ap", "step", "squared distance anchor-positive"},
    {"d_an", "step", "squared distance anchor-negative"},
    {"triplets", "step", "triplets found per step"},
    {"active", "step", "active triplets per step"},
    {"lr", "step", "learning rate"},
    {"norm", "step", "norm of the gradient"},
};
enum { N_MEASURES = sizeof measures / sizeof *measures };

static int read_series(fn_series *out, const char *run, const char *file, const char *kind,
                       const char *const *keys, int n_keys) {
    char *path = fn_path_join(run, file);
    if (!path)
        return FN_ENOMEM;
    int rc = access(path, F_OK) == 0
                 ? fn_metrics_read(out, path, kind, keys, n_keys)
                 : fn_fail(FN_ENOTFOUND, "%s: not the folder of a training run, there is no %s", run, file);
    fn_free(path);
    return rc;
}

static double last_of(const fn_series *s) {
    return s->n ? s->y[s->n - 1] : NAN;
}

// The value at a step; NaN where there is none.
static double at_step(const fn_series *s, double step) {
    for (size_t i = 0; i < s->n; i++)
        if (s->x[i] == step)
            return s->y[i];
    return NAN;
}

// The step of the epoch whose model was kept, chosen as the trainer does: of two equal accuracies the one
// with the larger area under the curve. -1: none.
static double best_step(const fn_series *accuracy, const fn_series *auc) {
    double step = -1, best = 0, best_auc = 0;
    for (size_t i = 0; i < accuracy->n; i++) {
        const double area = at_step(auc, accuracy->x[i]);
        if (step >= 0 && (accuracy->y[i] < best || (accuracy->y[i] == best && !(area > best_auc))))
            continue;
        step = accuracy->x[i];
        best = accuracy->y[i];
        best_auc = area;
    }
    return step;
}

int fn_train_summarize(fn_train_summary *out, const char *run) {
    static const char *const step_keys[] = {"loss"};
    static const char *const epoch_keys[] = {"epoch", "accuracy", "accuracy_se", "val", "auc", "eer"};
    static const char *const time_keys[] = {"seconds", "images_per_s"};
    enum { EPOCH, ACCURACY, SE, VAL, AUC, EER, N_EPOCH_KEYS };
    fn_series steps[1], epochs[N_EPOCH_KEYS], times[2];
    *out = (fn_train_summary){0};
    int rc = read_series(steps, run, "metrics.jsonl", "step", step_keys, 1);
    if (rc < 0)
        return rc;
    rc = read_series(epochs, run, "metrics.jsonl", "epoch", epoch_keys, N_EPOCH_KEYS);
    if (rc == FN_OK && (rc = read_series(times, run, "timing.jsonl", "epoch", time_keys, 2)) < 0)
        fn_series_free(epochs, N_EPOCH_KEYS);
    if (rc == FN_OK) {
        const fn_series *accuracy = &epochs[ACCURACY];
        const double step = best_step(accuracy, &epochs[AUC]);
        out->step = steps->n ? (uint64_t)steps->x[steps->n - 1] : 0;
        out->epoch = epochs[EPOCH].n ? (int)last_of(&epochs[EPOCH]) : 0;
        out->loss = last_of(steps);
        out->seconds = last_of(&times[0]);
        out->images_per_s = last_of(&times[1]);
        out->best_epoch = accuracy->n ? (int)at_step(&epochs[EPOCH], step) : 0;
        out->accuracy = at_step(accuracy, step);
        out->accuracy_se = at_step(&epochs[SE], step);
        out->tar_at_far_1e3 = at_step(&epochs[VAL], step);
        out->auc = at_step(&epochs[AUC], step);
        out->eer = at_step(&epochs[EER], step);
        fn_series_free(epochs, N_EPOCH_KEYS);
        fn_series_free(times, 2);
    }
    fn_series_free(steps, 1);
    return rc;
}

// "runs/arcface/" is called arcface. New memory, or NULL.
static char *name_of(const char *run) {
    size_t end = strlen(run);
    while (end > 1 && run[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && run[start - 1] != '/')
        start--;
    return fn_strndup(run + start, end - start);
}

int fn_train_curves(const char *path, const char *const *runs, int n_runs, const char *key) {
    fn_curve curves[MAX_RUNS];
    fn_series series[MAX_RUNS];
    char *names[MAX_RUNS] = {NULL};
    int measure = 0, n = 0, rc = FN_OK;
    while (measure < N_MEASURES && strcmp(measures[measure].key, key) != 0)
        measure++;
    if (measure == N_MEASURES)
        return fn_fail(FN_EINVAL,
                       "there are no curves of \"%s\": choose loss, accuracy, val, auc, eer, d_ap, "
                       "d_an, triplets, active, lr or norm",
                       key);
    if (n_runs < 1 || n_runs > MAX_RUNS)
        return fn_fail(FN_EINVAL, "%d runs: a plot holds 1 to %d", n_runs, MAX_RUNS);
    const int is_epoch = strcmp(measures[measure].kind, "epoch") == 0;
    while (n < n_runs && rc == FN_OK) {
        rc = read_series(&series[n], runs[n], "metrics.jsonl", measures[measure].kind, &key, 1);
        if (rc < 0)
            break;
        names[n] = name_of(runs[n]);
        curves[n] = (fn_curve){names[n], series[n].x, series[n].y, series[n].n,
                               is_epoch ? FN_CURVE_POINTS : FN_CURVE_LINE};
        if (!names[n++])
            rc = fn_fail_memory();
    }
    size_t n_points = 0;
    for (int i = 0; i < n; i++)
        n_points += series[i].n;
    if (rc == FN_OK && !n_points)
        rc = fn_fail(FN_EINVAL, "%s: none of these runs has measured %s so far", path,
                     measures[measure].label);
    if (rc == FN_OK)
        rc = fn_curves_svg(path, &(fn_plot){.title = measures[measure].label,
                                            .x_label = "step",
                                            .y_label = measures[measure].label,
                                            .curves = curves,
                                            .n_curves = n,
                                            .log_y = strcmp(key, "norm") == 0 || strcmp(key, "loss") == 0});
    for (int i = 0; i < n; i++) {
        fn_series_free(&series[i], 1);
        fn_free(names[i]);
    }
    return rc;
}
