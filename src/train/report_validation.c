// SPDX-License-Identifier: Apache-2.0
//
// How far pairs of one person and of two lie apart, and what a threshold makes of it.
#include "train/report_parts.h"

#include "base/alloc.h"
#include "base/error.h"
#include "eval/roc.h"
#include "train/plot.h"
#include "train/text.h"

#include <math.h>
#include <string.h>

enum { BINS = 80 };

// Shares of the distances per bin of [0, top]; what lies beyond counts in the last.
static void count(double share[BINS + 1], const float *distances, size_t n, double top) {
    memset(share, 0, (BINS + 1) * sizeof *share);
    for (size_t i = 0; i < n; i++) {
        double place = distances[i] / top * BINS;
        share[place >= BINS ? BINS - 1 : place > 0 ? (int)place : 0] += 1.0 / (double)n;
    }
}

static double largest(const float *distances, size_t n) {
    double top = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, distances[i]);
    return top;
}

static void histogram(fn_buf *out, const fn_run_report *r) {
    double x[BINS + 1], same[BINS + 1], different[BINS + 1];
    double top = fmax(largest(r->same, r->n_same), largest(r->different, r->n_different));
    if (top <= 4) // unit vectors lie at most 4 apart
        top = fmax(1, ceil(2 * top) / 2);
    for (int i = 0; i <= BINS; i++)
        x[i] = top * i / BINS;
    count(same, r->same, r->n_same, top);
    count(different, r->different, r->n_different, top);
    const fn_curve curves[] = {{"same person", x, same, BINS + 1, FN_CURVE_STEPS},
                               {"different people", x, different, BINS + 1, FN_CURVE_STEPS}};
    static const char *const name[] = {"threshold"};
    const fn_plot plot = {.title = "Distances of pairs",
                          .x_label = "squared L2 distance",
                          .y_label = "share of pairs",
                          .curves = curves,
                          .n_curves = 2,
                          .marks = &r->threshold,
                          .mark_names = name,
                          .n_marks = r->threshold > 0};
    fn_buf_printf(out, "<figure>\n");
    fn_plot_svg(out, &plot);
    fn_buf_printf(out, "</figure>\n");
}

// far and val have room for roc->n numbers.
static void roc_curve(fn_buf *out, const fn_roc *roc, double *far, double *val) {
    for (size_t i = 0; i < roc->n; i++) {
        far[i] = (double)roc->points[i].different / (double)roc->n_different;
        val[i] = (double)roc->points[i].same / (double)roc->n_same;
    }
    const fn_curve curve = {NULL, far, val, roc->n, FN_CURVE_LINE};
    const fn_plot plot = {.title = "ROC",
                          .x_label = "FAR: different people accepted",
                          .y_label = "VAL: same person accepted",
                          .curves = &curve,
                          .n_curves = 1,
                          .log_x = 1,
                          .y_low = 0,
                          .y_high = 1};
    fn_buf_printf(out, "<figure>\n");
    fn_plot_svg(out, &plot);
    fn_buf_printf(out, "</figure>\n");
}

static void row(fn_buf *out, const char *name, double value) {
    char text[FN_NUMBER_SIZE];
    fn_buf_printf(out, "<tr><th>%s</th><td>%s</td></tr>\n", name, fn_number_text(text, value, 5));
}

static void rates(fn_buf *out, const fn_roc *roc) {
    fn_buf_printf(out, "<div class=\"wide\"><table class=\"options\">\n");
    row(out, "pairs of one person", (double)roc->n_same);
    row(out, "pairs of two people", (double)roc->n_different);
    row(out, "AUC", fn_roc_auc(roc));
    row(out, "EER", fn_roc_eer(roc));
    static const char *const names[] = {"VAL at FAR 1e-1", "VAL at FAR 1e-2", "VAL at FAR 1e-3",
                                        "VAL at FAR 1e-4"};
    for (int k = 0; k < 4; k++) {
        double far = pow(10, -k - 1);
        // Below one pair such a rate cannot be seen.
        if (far * (double)roc->n_different >= 0.999)
            row(out, names[k], (double)fn_roc_at_far(roc, far).same / (double)roc->n_same);
    }
    fn_buf_printf(out, "</table></div>\n");
}

int fn_report_validation(fn_buf *out, const fn_run_report *report) {
    size_t n = report->n_same + report->n_different;
    if (!report->n_same || !report->n_different)
        return FN_OK;
    fn_roc roc = {0};
    int rc = FN_OK;
    float *distances = fn_calloc(n, sizeof *distances); // sorted by the measure
    double *far = fn_calloc(n, sizeof *far), *val = fn_calloc(n, sizeof *val);
    if (!distances || !far || !val) {
        rc = fn_fail_memory();
        goto out;
    }
    memcpy(distances, report->same, report->n_same * sizeof *distances);
    memcpy(distances + report->n_same, report->different, report->n_different * sizeof *distances);
    rc = fn_roc_measure(&roc, distances, report->n_same, distances + report->n_same, report->n_different);
    if (rc < 0)
        goto out;
    fn_buf_printf(out, "<section><h2>Validation of the last epoch</h2><div class=\"figures\">\n");
    histogram(out, report);
    roc_curve(out, &roc, far, val);
    fn_buf_printf(out, "</div>\n");
    rates(out, &roc);
    fn_buf_printf(out, "</section>\n");
out:
    fn_roc_free(&roc);
    fn_free(distances);
    fn_free(far);
    fn_free(val);
    return rc;
}
