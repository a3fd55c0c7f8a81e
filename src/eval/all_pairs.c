// SPDX-License-Identifier: Apache-2.0
//
// Verification on every pair of a folder. Distances are rounded up to multiples of 2^-20 and counted,
// so that memory is the same for millions and for billions of pairs. Each rate is exact for the
// threshold it stands with; that threshold is within 2^-20 of the largest possible one.
#include "base/alloc.h"
#include "base/error.h"
#include "eval/each_pair.h"
#include "eval/report.h"

#include <math.h>

static const double BIN_WIDTH = 0x1p-20;
enum { N_BINS = (2 << 20) + (1 << 14) }; // vectors are unit within a thousandth: distances up to 2.01

typedef struct counts {
    uint64_t *same, *different; // N_BINS each
} counts;

static void count(void *user, float distance, int same) {
    counts *c = user;
    double bin = ceil((double)distance / BIN_WIDTH);
    size_t at = bin < N_BINS ? (size_t)bin : N_BINS - 1;
    (same ? c->same : c->different)[at]++;
}

static int write_report(char **out, fn_recognizer *recognizer, const fn_photos *photos, const fn_roc *roc) {
    fn_report report;
    fn_report_open(&report, "all-pairs", recognizer);
    fn_report_integer(&report, "pairs", roc->n_same + roc->n_different);
    fn_report_integer(&report, "same_pairs", roc->n_same);
    fn_report_integer(&report, "different_pairs", roc->n_different);
    fn_report_integer(&report, "people", photos->n_people);
    fn_report_photos(&report, photos);
    fn_report_roc(&report, roc);
    for (int power = 3; power <= 6; power++)
        fn_report_tar(&report, roc, power);
    return fn_report_close(&report, out);
}

int fn_eval_all_pairs(char **report, fn_recognizer *recognizer, const char *root,
                      const fn_eval_options *options, const fn_control *control) {
    fn_eval_options checked;
    fn_photos photos = {0};
    fn_roc roc = {0};
    counts c = {0};
    *report = NULL;
    int rc = fn_eval_check_options(&checked, options);
    if (rc == FN_OK)
        rc = fn_photos_folder(&photos, root);
    if (rc == FN_OK)
        rc = fn_photos_embed(&photos, recognizer, &checked, 0, control);
    if (rc < 0)
        goto out;
    c.same = fn_calloc(N_BINS, sizeof *c.same);
    c.different = fn_calloc(N_BINS, sizeof *c.different);
    rc = c.same && c.different ? fn_each_pair(&photos, count, &c, control) : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_roc_from_counts(&roc, c.same, c.different, N_BINS, BIN_WIDTH);
    if (rc == FN_OK)
        rc = write_report(report, recognizer, &photos, &roc);
out:
    fn_free(c.same);
    fn_free(c.different);
    fn_roc_free(&roc);
    fn_photos_free(&photos);
    return rc;
}
