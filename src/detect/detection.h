// SPDX-License-Identifier: Apache-2.0
//
// What a detection network reports before landmarks are known, lists of it, and the two ways of
// making one face out of many overlapping reports.
#ifndef FN_DETECT_DETECTION_H
#define FN_DETECT_DETECTION_H

#include <facenet/detect.h>

typedef struct fn_detection {
    fn_box box; // pixels of the picture
    float score;
    int n_keypoints; // FN_N_KEYPOINTS or 0
    fn_point keypoints[FN_N_KEYPOINTS];
} fn_detection;

typedef struct fn_detections {
    fn_detection *data;
    size_t len, capacity;
} fn_detections; // all zero: empty

/// Appends. Reports that are not finite or have no area are left out. FN_ENOMEM.
int fn_detections_add(fn_detections *list, const fn_detection *detection);
void fn_detections_free(fn_detections *list);

/// Intersection over union.
float fn_box_iou(const fn_box *a, const fn_box *b);

/// Best first; ties by place, so that the order never depends on the order of the input. Only the
/// best FN_MAX_DETECTIONS stay.
#define FN_MAX_DETECTIONS 8192
void fn_detections_sort(fn_detections *list);

/// Non-maximum suppression of a sorted list: of reports that overlap a better one by more than `iou`
/// only the better one stays.
void fn_detections_suppress(fn_detections *list, float iou);

/// The same, but what stays is the mean of all that overlap it, weighted by score (BlazeFace,
/// Bazarevsky et al. 2019, section 4.1); its score is the best one's.
void fn_detections_blend(fn_detections *list, float iou);

/// Of reports of a sorted list that share more than `part` of the smaller box only the better one
/// stays: a face is not inside another.
void fn_detections_unnest(fn_detections *list, float part);

/// Adds those of `more` that share no more than `part` of the smaller box with any report of `list`.
int fn_detections_fill(fn_detections *list, const fn_detections *more, float part);

#endif
