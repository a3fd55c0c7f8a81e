// SPDX-License-Identifier: Apache-2.0
//
// Verification on pairs of clips, as on YouTube Faces (Wolf, Hassner and Maoz 2011), by the mean over all
// pairs of frames. The distance of two clips is the root of that mean of squared distances.
#include "base/alloc.h"
#include "base/error.h"
#include "eval/clip_pairs.h"
#include "eval/folds.h"
#include "eval/report.h"
#include "eval/roc.h"

#include <math.h>

enum { DEFAULT_FRAMES = 100, MAX_FRAMES = 1000000, FOLDS = 10 };

/// What is measured: every pair for the rates, those of the folds for the accuracy.
typedef struct measured {
    float *same, *different;
    size_t n_same, n_different;
    fn_fold_pair *judged;
    size_t n_judged;
    fn_fold *folds;
    int n_folds; // 0: no folds could be made
} measured;

static void measured_free(measured *m) {
    fn_free(m->same);
    fn_free(m->different);
    fn_free(m->judged);
    fn_free(m->folds);
}

static int reserve(measured *m, size_t n_same, size_t n_different, size_t n_judged) {
    m->same = fn_calloc(n_same, sizeof *m->same);
    m->different = fn_calloc(n_different, sizeof *m->different);
    m->judged = fn_calloc(n_judged, sizeof *m->judged);
    return m->same && m->different && m->judged ? FN_OK : fn_fail_memory();
}

static float distance(const fn_clips *clips, const fn_clip *a, const fn_clip *b) {
    return (float)sqrt(fn_clips_distance2(a, b, clips->dimension));
}

static void add(measured *m, float d, int same) {
    if (same)
        m->same[m->n_same++] = d;
    else
        m->different[m->n_different++] = d;
}

static int measure_list(measured *m, const fn_clips *clips, const fn_clip_list *list) {
    int rc = reserve(m, list->n, list->n, list->n);
    m->n_folds = list->n_folds;
    for (size_t i = 0; i < list->n && rc == FN_OK; i++) {
        const fn_clip_pair *pair = &list->pairs[i];
        const fn_clip *a = fn_clips_find(clips, pair->clip[0]), *b = fn_clips_find(clips, pair->clip[1]);
        if (!a || !b)
            return fn_fail(FN_ENOTFOUND, "%s: listed, but not there", pair->clip[a ? 1 : 0]);
        if (a->failed || b->failed)
            return fn_fail(FN_EFORMAT, "%s: listed, but none of its frames could be read",
                           pair->clip[a->failed ? 0 : 1]);
        const float d = distance(clips, a, b);
        add(m, d, pair->same);
        m->judged[m->n_judged++] = (fn_fold_pair){d, pair->fold, pair->same};
    }
    return rc;
}

// ---- without a list ---------------------------------------------------------------------------

/// Pairs of one kind within a fold: how many there are, how many are judged, how many were met.
typedef struct share {
    size_t of, wanted, met;
} share;

/// Spread evenly over all there are.
static int is_wanted(share *s) {
    const size_t before = s->met * s->wanted / s->of;
    return ++s->met * s->wanted / s->of > before;
}

static int fold_of(const int *folds, const fn_clip *a, const fn_clip *b) {
    return folds[a->person] == folds[b->person] ? folds[a->person] : -1;
}

/// In each fold as many pairs of one person as of two.
static size_t balance(share shares[FOLDS][2]) {
    size_t n = 0;
    for (int f = 0; f < FOLDS; f++) {
        share *s = shares[f];
        s[0].wanted = s[1].wanted = s[0].of < s[1].of ? s[0].of : s[1].of;
        n += 2 * s[0].wanted;
    }
    return n;
}

static int measure_all(measured *m, const fn_clips *clips, const int *folds, const fn_control *control) {
    share shares[FOLDS][2] = {{{0}}};
    size_t n_same = 0, n_different = 0;
    for (size_t i = 0; i < clips->n; i++)
        for (size_t k = i + 1; k < clips->n; k++) {
            const fn_clip *a = &clips->data[i], *b = &clips->data[k];
            const int same = a->person == b->person, fold = m->n_folds ? fold_of(folds, a, b) : -1;
            if (a->failed || b->failed)
                continue;
            n_same += same;
            n_different += !same;
            if (fold >= 0)
                shares[fold][same].of++;
        }
    int rc = reserve(m, n_same, n_different, balance(shares));
    for (size_t i = 0; i < clips->n && rc == FN_OK; i++) {
        const fn_clip *a = &clips->data[i];
        for (size_t k = i + 1; k < clips->n && !a->failed; k++) {
            const fn_clip *b = &clips->data[k];
            const int same = a->person == b->person, fold = m->n_folds ? fold_of(folds, a, b) : -1;
            if (b->failed)
                continue;
            const float d = distance(clips, a, b);
            add(m, d, same);
            if (fold >= 0 && is_wanted(&shares[fold][same]))
                m->judged[m->n_judged++] = (fn_fold_pair){d, fold, same};
        }
        rc = fn_control_step(control, 0, 0);
    }
    return rc;
}

static int share_out_and_measure(measured *m, const fn_clips *clips, uint64_t seed,
                                 const fn_control *control) {
    int *folds = fn_calloc(clips->n_people, sizeof *folds);
    if (!folds)
        return fn_fail_memory();
    int rc = fn_clips_share_out(folds, clips, FOLDS, seed);
    if (rc >= 0) {
        m->n_folds = rc;
        rc = measure_all(m, clips, folds, control);
    }
    fn_free(folds);
    return rc;
}

// ---- the report ------------------------------------------------------------------------------

static double mean_of_squares(const float *values, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)values[i] * (double)values[i];
    return n ? sum / (double)n : NAN;
}

static int report_accuracy(fn_report *report, const measured *m) {
    double *values = fn_calloc((size_t)m->n_folds, sizeof *values);
    if (!values)
        return fn_fail_memory();
    const fn_accuracy none = {NAN, NAN, NAN, 0, 0};
    const fn_accuracy accuracy = m->n_folds ? fn_folds_accuracy(m->folds, m->n_folds) : none;
    fn_report_integer(report, "folds", (uint64_t)m->n_folds);
    fn_report_integer(report, "judged_pairs", accuracy.of);
    fn_report_real(report, "accuracy", accuracy.mean);
    fn_report_real(report, "accuracy_se", accuracy.standard_error);
    fn_report_interval(report, "accuracy", fn_wilson(accuracy.mean, accuracy.of));
    fn_report_real(report, "threshold", accuracy.threshold);
    for (int i = 0; i < m->n_folds; i++)
        values[i] = (double)m->folds[i].correct / (double)m->folds[i].of;
    fn_report_reals(report, "fold_accuracies", values, (size_t)m->n_folds);
    fn_free(values);
    return FN_OK;
}

static int write_report(char **out, fn_recognizer *recognizer, const fn_clips *clips, const measured *m,
                        const fn_roc *roc, double same2, double different2) {
    fn_report report;
    fn_report_open(&report, "videos", recognizer);
    fn_report_integer(&report, "people", clips->n_people);
    fn_report_integer(&report, "clips", clips->n);
    fn_report_integer(&report, "clip_misses", clips->n_missed);
    if (clips->n_unreadable)
        fn_report_integer(&report, "unreadable", clips->n_unreadable);
    fn_report_integer(&report, "frames", clips->n_used);
    fn_report_integer(&report, "frames_without_face", clips->n_faceless);
    fn_report_integer(&report, "pairs", m->n_same + m->n_different);
    fn_report_integer(&report, "same_pairs", m->n_same);
    fn_report_integer(&report, "different_pairs", m->n_different);
    // Vectors are of unit length: similarity is their product, and half of what d2 lacks to 2.
    fn_report_real(&report, "mean_similarity_same", 1 - same2 / 2);
    fn_report_real(&report, "mean_similarity_different", 1 - different2 / 2);
    fn_report_real(&report, "mean_squared_distance_same", same2);
    fn_report_real(&report, "mean_squared_distance_different", different2);
    if (report_accuracy(&report, m) < 0)
        report.failed = 1;
    fn_report_roc(&report, roc);
    for (int power = 1; power <= 6; power++)
        fn_report_tar(&report, roc, power);
    return fn_report_close(&report, out);
}

int fn_eval_videos(char **report, fn_recognizer *recognizer, const char *pairs, const char *root,
                   const fn_eval_options *options, const fn_control *control) {
    fn_eval_options checked;
    fn_clip_list list = {0};
    fn_clips clips = {0};
    measured m = {0};
    fn_roc roc = {0};
    *report = NULL;
    int rc = fn_eval_check_options(&checked, options);
    if (rc == FN_OK && (checked.frames < 0 || checked.frames > MAX_FRAMES))
        rc = fn_fail(FN_EINVAL, "of a clip 1 to %d frames are taken, not %d", MAX_FRAMES, checked.frames);
    if (rc < 0)
        return rc;
    const int n_frames = checked.frames ? checked.frames : DEFAULT_FRAMES;
    if (pairs)
        rc = fn_clip_list_read(&list, pairs);
    if (rc == FN_OK)
        rc = fn_clips_folder(&clips, root, (size_t)n_frames);
    if (rc == FN_OK)
        rc = fn_clips_embed(&clips, recognizer, &checked, n_frames, control);
    if (rc == FN_OK)
        rc = pairs ? measure_list(&m, &clips, &list)
                   : share_out_and_measure(&m, &clips, checked.seed, control);
    if (rc < 0)
        goto out;
    m.folds = fn_calloc((size_t)m.n_folds, sizeof *m.folds);
    if (!m.folds) {
        rc = fn_fail_memory();
        goto out;
    }
    if (m.n_folds)
        fn_folds_measure(m.folds, m.n_folds, m.judged, m.n_judged);
    const double same2 = mean_of_squares(m.same, m.n_same),
                 different2 = mean_of_squares(m.different, m.n_different);
    rc = fn_roc_measure(&roc, m.same, m.n_same, m.different, m.n_different);
    if (rc == FN_OK)
        rc = write_report(report, recognizer, &clips, &m, &roc, same2, different2);
out:
    fn_roc_free(&roc);
    measured_free(&m);
    fn_clips_free(&clips);
    fn_clip_list_free(&list);
    return rc;
}
