// SPDX-License-Identifier: Apache-2.0
//
// BlazeFace's decoding (Bazarevsky et al. 2019, as MediaPipe runs it): anchors of unit size at the
// cell centres, in the order row, column, anchor; a report is 16 numbers in input pixels, the first
// four its centre (relative to the anchor) and size, then six keypoints relative to the anchor.
#include "detect/blazeface.h"

#include <math.h>

const fn_blazeface_spec fn_blazeface_short = {
    .model = "blazeface-short", .size = 128, .min_score = 0.5F, .n_grids = 2, .grids = {{8, 2}, {16, 6}}};
const fn_blazeface_spec fn_blazeface_full = {
    .model = "blazeface-full", .size = 192, .min_score = 0.6F, .n_grids = 1, .grids = {{4, 1}}};

#define N_VALUES (4 + 2 * FN_N_KEYPOINTS)
#define MAX_LOGIT 100.0F

int fn_blazeface_n_anchors(const fn_blazeface_spec *spec, int width, int height) {
    int n = 0;
    for (int i = 0; i < spec->n_grids; i++)
        n += (width / spec->grids[i].stride) * (height / spec->grids[i].stride) * spec->grids[i].anchors;
    return n;
}

static float sigmoid(float x) {
    return 1.0F / (1.0F + expf(-fmaxf(-MAX_LOGIT, fminf(x, MAX_LOGIT))));
}

// Whether a report, in input pixels, is the neighbour's or another level's affair.
static int is_foreign(const fn_blazeface_view *view, double left, double top, double width, double height) {
    const double margin = FN_BLAZEFACE_MARGIN_PX;
    return (view->inner[0] && left < margin) || (view->inner[1] && top < margin) ||
           (view->inner[2] && left + width > view->width - margin) ||
           (view->inner[3] && top + height > view->height - margin) ||
           (view->max_width > 0 && width > view->max_width);
}

static int add_report(fn_detections *dst, const fn_blazeface_view *view, const float raw[N_VALUES],
                      double anchor_x, double anchor_y, float score) {
    const double width = (double)raw[2], height = (double)raw[3];
    const double left = anchor_x + (double)raw[0] - width / 2, top = anchor_y + (double)raw[1] - height / 2;
    if (is_foreign(view, left, top, width, height))
        return FN_OK;
    fn_detection d = {.score = score, .n_keypoints = FN_N_KEYPOINTS};
    d.box = (fn_box){(float)(view->x + left * view->step_x), (float)(view->y + top * view->step_y),
                     (float)(width * view->step_x), (float)(height * view->step_y)};
    for (int i = 0; i < FN_N_KEYPOINTS; i++) {
        d.keypoints[i].x = (float)(view->x + (anchor_x + (double)raw[4 + 2 * i]) * view->step_x);
        d.keypoints[i].y = (float)(view->y + (anchor_y + (double)raw[5 + 2 * i]) * view->step_y);
    }
    return fn_detections_add(dst, &d);
}

int fn_blazeface_decode(fn_detections *dst, const fn_blazeface_spec *spec, const fn_blazeface_view *view,
                        const float *boxes, const float *scores, float min_score) {
    // Few reports pass: comparing logits spares the exponentials of the others.
    const float p = fminf(fmaxf(min_score, 1e-6F), 1.0F - 1e-6F), min_logit = logf(p / (1.0F - p)) - 1e-3F;
    for (int grid = 0; grid < spec->n_grids; grid++) {
        const int stride = spec->grids[grid].stride, anchors = spec->grids[grid].anchors;
        for (int row = 0; row < view->height / stride; row++)
            for (int column = 0; column < view->width / stride; column++)
                for (int k = 0; k < anchors; k++, boxes += N_VALUES, scores++) {
                    if (!(*scores > min_logit) || !(sigmoid(*scores) >= min_score))
                        continue;
                    const int rc = add_report(dst, view, boxes, (column + 0.5) * stride, (row + 0.5) * stride,
                                              sigmoid(*scores));
                    if (rc < 0)
                        return rc;
                }
    }
    return FN_OK;
}
