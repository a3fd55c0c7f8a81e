// SPDX-License-Identifier: Apache-2.0
//
// BlazeFace's two networks: what their raw numbers mean. They are fully convolutional, so the grid
// of anchors follows the input's size.
#ifndef FN_DETECT_BLAZEFACE_H
#define FN_DETECT_BLAZEFACE_H

#include "detect/detection.h"

typedef struct fn_blazeface_spec {
    const char *model; // catalogue name
    int size;          // native input side
    float min_score;   // default
    int n_grids;
    struct {
        int stride;  // input pixels per cell
        int anchors; // per cell
    } grids[2];
} fn_blazeface_spec;

extern const fn_blazeface_spec fn_blazeface_short, fn_blazeface_full;

/// Anchors of an input of width x height (multiples of the largest stride).
int fn_blazeface_n_anchors(const fn_blazeface_spec *spec, int width, int height);

/// Where an input lies in the picture: picture = origin + step * input pixels.
typedef struct fn_blazeface_view {
    double x, y;           // of the input's left upper corner in the picture
    double step_x, step_y; // picture pixels per input pixel
    int width, height;     // of the input
    // A border behind which the input's neighbour lies: reports that touch it are left to the
    // neighbour. Order: left, top, right, bottom.
    int inner[4];
    double max_width; // of a report, in input pixels; 0: any
} fn_blazeface_view;

#define FN_BLAZEFACE_MARGIN_PX 4 // a report so near an inner border touches it

/// Adds the reports with a score of at least min_score. boxes: (anchors, 16), scores: (anchors, 1),
/// both as the network gives them.
int fn_blazeface_decode(fn_detections *dst, const fn_blazeface_spec *spec, const fn_blazeface_view *view,
                        const float *boxes, const float *scores, float min_score);

#endif
