// SPDX-License-Identifier: Apache-2.0
//
// Curves of a run from its metrics.jsonl.
#include "train/report_parts.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/metrics.h"
#include "train/plot.h"
#include "train/text.h"

#include <math.h>

enum { MAX_CURVES = 3 };

// A plot of keys of one kind of line; curves without a point are left out, and so is a plot without curves.
typedef struct figure {
    const char *title, *y_label;
    struct {
        const char *key, *name;
    } curves[MAX_CURVES];
    int log_y;
} figure;

static const figure step_figures[] = {
    {"Loss", NULL, {{"loss", NULL}}, 0},
    {"Triplets", "per step", {{"triplets", "found"}, {"active", "active"}}, 0},
    {"Squared distances",
     "mean over the pairs of a step",
     {{"d_ap", "anchor-positive"}, {"d_an", "anchor-negative"}},
     0},
    {"Learning rate", NULL, {{"lr", NULL}}, 0},
    {"Norm of the gradient", "before clipping", {{"norm", NULL}}, 1},
};
static const figure epoch_figures[] = {
    {"Validation accuracy", "pairs of held-out people", {{"accuracy", NULL}}, 0},
    {"VAL at FAR 1e-3", "pairs of held-out people", {{"val", NULL}}, 0},
    {"Equal error rate", "pairs of held-out people", {{"eer", NULL}}, 0},
};

static void draw(fn_buf *out, const figure *f, const char *x_label, const fn_series *series,
                 fn_curve_style style) {
    fn_curve curves[MAX_CURVES];
    int n = 0;
    for (int k = 0; k < MAX_CURVES && f->curves[k].key; k++)
        if (series[k].n)
            curves[n++] = (fn_curve){f->curves[k].name, series[k].x, series[k].y, series[k].n, style};
    if (!n)
        return;
    const fn_plot plot = {.title = f->title,
                          .x_label = x_label,
                          .y_label = f->y_label,
                          .curves = curves,
                          .n_curves = n,
                          .log_y = f->log_y};
    fn_buf_printf(out, "<figure>\n");
    fn_plot_svg(out, &plot);
    fn_buf_printf(out, "</figure>\n");
}

static int step_curves(fn_buf *out, const char *metrics) {
    for (size_t i = 0; i < sizeof step_figures / sizeof *step_figures; i++) {
        const figure *f = &step_figures[i];
        const char *keys[MAX_CURVES];
        fn_series series[MAX_CURVES];
        int n = 0;
        while (n < MAX_CURVES && f->curves[n].key) {
            keys[n] = f->curves[n].key;
            n++;
        }
        int rc = fn_metrics_read(series, metrics, "step", keys, n);
        if (rc < 0)
            return rc;
        draw(out, f, "step", series, FN_CURVE_LINE);
        fn_series_free(series, n);
    }
    return FN_OK;
}

// ---- epochs ----------------------------------------------------------------------------------

static const char *const columns[] = {"epoch", "loss", "accuracy", "accuracy_se", "val", "auc", "eer"};
static const char *const headings[] = {"epoch",           "loss", "accuracy", "&#177; se",
                                       "VAL at FAR 1e-3", "AUC",  "EER"};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

// The value of a series at a step, moving on through it; NaN where it has none.
static double value_at(const fn_series *s, size_t *i, double step) {
    while (*i < s->n && s->x[*i] < step)
        ++*i;
    return *i < s->n && s->x[*i] == step ? s->y[*i] : NAN;
}

// Steps become epochs: their numbers where the lines have them.
static void use_epochs(fn_series *s, const fn_series *epochs) {
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++)
        s->x[i] = value_at(epochs, &at, s->x[i]);
}

static void epoch_table(fn_buf *out, const fn_series *series) {
    char text[FN_NUMBER_SIZE];
    size_t at[N_COLUMNS] = {0};
    fn_buf_printf(out, "<details><summary>Table of %zu epochs</summary><div class=\"wide\"><table>\n<tr>",
                  series[0].n);
    for (int k = 0; k < N_COLUMNS; k++)
        if (series[k].n)
            fn_buf_printf(out, "<th>%s</th>", headings[k]);
    fn_buf_printf(out, "</tr>\n");
    for (size_t row = 0; row < series[0].n; row++) {
        fn_buf_printf(out, "<tr>");
        for (int k = 0; k < N_COLUMNS; k++) {
            double value = value_at(&series[k], &at[k], series[0].x[row]);
            if (series[k].n)
                fn_buf_printf(out, "<td>%s</td>", isfinite(value) ? fn_number_text(text, value, 6) : "");
        }
        fn_buf_printf(out, "</tr>\n");
    }
    fn_buf_printf(out, "</table></div></details>\n");
}

static int epoch_curves(fn_buf *out, fn_buf *table, const char *metrics) {
    fn_series series[N_COLUMNS];
    int rc = fn_metrics_read(series, metrics, "epoch", columns, N_COLUMNS);
    if (rc < 0)
        return rc;
    if (series[0].n)
        epoch_table(table, series);
    static const int of[] = {2, 4, 6}; // columns of the figures
    for (int k = 0; k < 3; k++) {
        use_epochs(&series[of[k]], &series[0]);
        draw(out, &epoch_figures[k], "epoch", (fn_series[MAX_CURVES]){series[of[k]]}, FN_CURVE_POINTS);
    }
    fn_series_free(series, N_COLUMNS);
    return FN_OK;
}

int fn_report_curves(fn_buf *out, const char *metrics) {
    fn_buf figures, table;
    fn_buf_init(&figures, out->max);
    fn_buf_init(&table, out->max);
    int rc = epoch_curves(&figures, &table, metrics);
    if (rc == FN_OK)
        rc = step_curves(&figures, metrics);
    if (rc == FN_OK)
        rc = figures.failed ? figures.failed : table.failed;
    if (rc == FN_OK && figures.len) {
        fn_buf_printf(out, "<section><h2>Learning</h2><div class=\"figures\">\n");
        fn_buf_append(out, figures.data, figures.len);
        fn_buf_printf(out, "</div>\n");
        fn_buf_append(out, table.data, table.len);
        fn_buf_printf(out, "</section>\n");
    }
    fn_buf_free(&figures);
    fn_buf_free(&table);
    return rc;
}
