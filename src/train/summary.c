// SPDX-License-Identifier: Apache-2.0
//
// What a run leaves for others: its models and its page.
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/config.h"
#include "train/export.h"
#include "train/report.h"

#include <math.h>
#include <stdio.h>

enum { MAX_FACTS = 6, VALUE_SIZE = 40 };

// Harmonic triplets put embeddings beside the teacher's; distillation without a projection puts them there
// too.
static const char *compatible_with(const fn_run *run) {
    const int beside =
        run->loss_options.kind == FN_LOSS_HARMONIC ||
        (run->loss_options.kind == FN_LOSS_DISTILL && run->teacher.dimension == run->dimension);
    return beside ? run->teacher.compatible_with : NULL;
}

int fn_run_export(fn_run *run, const char *path, const fn_train_validation *validation) {
    fn_graph *graph = NULL;
    int rc = fn_training_export(&graph, run->training, fn_run_weights(run), NULL, run->options->fold);
    if (rc == FN_OK)
        rc = fn_export_write(path, graph,
                             &(fn_export){.network = run->network,
                                          .input = &run->input,
                                          .tmpl = run->tmpl,
                                          .data = run->data,
                                          .options = run->options,
                                          .origin = &run->origin,
                                          .teacher = run->teacher.fingerprint,
                                          .validation = validation,
                                          .compatible_with = compatible_with(run),
                                          .step = run->at.step,
                                          .epoch = (int)run->at.epoch});
    fn_graph_free(graph);
    return rc;
}

static void add_fact(fn_report_fact *facts, int *n, char values[][VALUE_SIZE], const char *name, double value,
                     const char *note) {
    if (!isfinite(value))
        return;
    snprintf(values[*n], VALUE_SIZE, "%.4f", value);
    facts[*n] = (fn_report_fact){name, values[*n], note};
    ++*n;
}

int fn_run_describe(fn_run *run, const char *state) {
    enum { MAX_OPTIONS = 128 };
    fn_report_fact facts[MAX_FACTS], options[MAX_OPTIONS];
    char values[MAX_FACTS][VALUE_SIZE], texts[MAX_OPTIONS][VALUE_SIZE], title[160];
    int n_facts = 0, n_options = 0;
    const fn_train_option *o;
    for (int i = 0; (o = fn_train_option_at(i)) && n_options < MAX_OPTIONS; i++, n_options++)
        options[n_options] =
            (fn_report_fact){o->name, fn_config_value(texts[n_options], VALUE_SIZE, run->options, o), NULL};
    if (run->at.best_epoch) {
        const fn_train_validation *best = &run->at.best;
        snprintf(values[n_facts], VALUE_SIZE, "%lld", (long long)run->at.best_epoch);
        facts[n_facts] =
            (fn_report_fact){"best epoch", values[n_facts], "whose model was kept; its figures:"};
        n_facts++;
        add_fact(facts, &n_facts, values, "accuracy", best->accuracy, "balanced pairs of people never seen");
        add_fact(facts, &n_facts, values, "VAL at FAR 1e-3", best->tar_at_far_1e3, NULL);
        add_fact(facts, &n_facts, values, "AUC", best->auc, NULL);
        add_fact(facts, &n_facts, values, "EER", best->eer, NULL);
    }
    snprintf(title, sizeof title, "%s, %s loss", run->network, run->options->loss);
    fn_run_report report = {.title = title,
                            .state = state,
                            .metrics = run->metrics_path,
                            .facts = facts,
                            .n_facts = n_facts,
                            .options = options,
                            .n_options = n_options,
                            .threshold = run->at.latest.threshold,
                            .triplets = run->hardest.triplets,
                            .n_triplets = run->hardest.n};
    if (run->validator && run->at.best_epoch)
        fn_validator_pairs(run->validator, &report.same, &report.n_same, &report.different,
                           &report.n_different);
    return fn_report_write(run->report, &report);
}
