// SPDX-License-Identifier: Apache-2.0
//
// Lists of detections and non-maximum suppression, plain and weighted. Networks are not trusted:
// numbers that are not finite never enter a list.
#include "detect/detection.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <stdlib.h>

#define FAR_AWAY 1e6F // no picture is that large

static int is_place(float v) {
    return v > -FAR_AWAY && v < FAR_AWAY; // false for NaN
}

static int is_sound(const fn_detection *d) {
    if (!is_place(d->box.x) || !is_place(d->box.y) || !is_place(d->box.width) || !is_place(d->box.height) ||
        !(d->box.width > 0 && d->box.height > 0 && d->score >= 0 && d->score <= 1))
        return 0;
    for (int i = 0; i < d->n_keypoints; i++)
        if (!is_place(d->keypoints[i].x) || !is_place(d->keypoints[i].y))
            return 0;
    return 1;
}

int fn_detections_add(fn_detections *list, const fn_detection *detection) {
    if (!is_sound(detection))
        return FN_OK;
    if (list->len == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        fn_detection *data = fn_realloc(list->data, capacity, sizeof *data);
        if (!data)
            return fn_fail_memory();
        list->data = data;
        list->capacity = capacity;
    }
    list->data[list->len++] = *detection;
    return FN_OK;
}

void fn_detections_free(fn_detections *list) {
    fn_free(list->data);
    *list = (fn_detections){0};
}

static float shared_area(const fn_box *a, const fn_box *b) {
    const float width = fminf(a->x + a->width, b->x + b->width) - fmaxf(a->x, b->x);
    const float height = fminf(a->y + a->height, b->y + b->height) - fmaxf(a->y, b->y);
    return width > 0 && height > 0 ? width * height : 0;
}

float fn_box_iou(const fn_box *a, const fn_box *b) {
    const float both = shared_area(a, b);
    return both > 0 ? both / (a->width * a->height + b->width * b->height - both) : 0;
}

static int compare_float(float a, float b) {
    return (a > b) - (a < b);
}

static int better_first(const void *pa, const void *pb) {
    const fn_detection *a = pa, *b = pb;
    int order = compare_float(b->score, a->score);
    if (order == 0)
        order = compare_float(a->box.x, b->box.x);
    if (order == 0)
        order = compare_float(a->box.y, b->box.y);
    return order ? order : compare_float(a->box.width, b->box.width);
}

void fn_detections_sort(fn_detections *list) {
    if (list->len > 1)
        qsort(list->data, list->len, sizeof *list->data, better_first);
    if (list->len > FN_MAX_DETECTIONS)
        list->len = FN_MAX_DETECTIONS;
}

void fn_detections_suppress(fn_detections *list, float iou) {
    size_t n = 0; // kept so far, at the front
    for (size_t i = 0; i < list->len; i++) {
        size_t k = 0;
        while (k < n && fn_box_iou(&list->data[i].box, &list->data[k].box) <= iou)
            k++;
        if (k == n)
            list->data[n++] = list->data[i];
    }
    list->len = n;
}

// A box and its keypoints as numbers that can be averaged.
#define N_NUMBERS (4 + 2 * FN_N_KEYPOINTS)

static void add_weighted(double sum[N_NUMBERS], const fn_detection *d) {
    const double w = (double)d->score;
    sum[0] += w * (double)d->box.x;
    sum[1] += w * (double)d->box.y;
    sum[2] += w * (double)d->box.width;
    sum[3] += w * (double)d->box.height;
    for (int i = 0; i < d->n_keypoints; i++) {
        sum[4 + 2 * i] += w * (double)d->keypoints[i].x;
        sum[5 + 2 * i] += w * (double)d->keypoints[i].y;
    }
}

static void set_mean(fn_detection *d, const double sum[N_NUMBERS], double weight) {
    d->box = (fn_box){(float)(sum[0] / weight), (float)(sum[1] / weight), (float)(sum[2] / weight),
                      (float)(sum[3] / weight)};
    for (int i = 0; i < d->n_keypoints; i++)
        d->keypoints[i] = (fn_point){(float)(sum[4 + 2 * i] / weight), (float)(sum[5 + 2 * i] / weight)};
}

void fn_detections_blend(fn_detections *list, float iou) {
    size_t n_faces = 0, n_left = list->len; // faces made so far at the front, reports left behind them
    fn_detection *left = list->data;
    while (n_left > 0) {
        fn_detection best = left[0];
        double sum[N_NUMBERS] = {0}, weight = 0;
        size_t n = 0; // reports that do not belong to this face, moved together
        for (size_t i = 0; i < n_left; i++) {
            if (i == 0 || fn_box_iou(&best.box, &left[i].box) > iou) {
                add_weighted(sum, &left[i]);
                weight += (double)left[i].score;
            } else {
                left[1 + n++] = left[i]; // place 0 is freed by `best`, so this never overtakes i
            }
        }
        if (weight > 0)
            set_mean(&best, sum, weight);
        list->data[n_faces++] = best;
        left++;
        n_left = n;
    }
    list->len = n_faces;
}

// Whether two boxes share more than this part of the smaller one.
static int share(const fn_box *a, const fn_box *b, float part) {
    return shared_area(a, b) > part * fminf(a->width * a->height, b->width * b->height);
}

void fn_detections_unnest(fn_detections *list, float part) {
    size_t n = 0;
    for (size_t i = 0; i < list->len; i++) {
        size_t k = 0;
        while (k < n && !share(&list->data[i].box, &list->data[k].box, part))
            k++;
        if (k == n)
            list->data[n++] = list->data[i];
    }
    list->len = n;
}

int fn_detections_fill(fn_detections *list, const fn_detections *more, float part) {
    const size_t n = list->len;
    int rc = FN_OK;
    for (size_t i = 0; i < more->len && rc == FN_OK; i++) {
        size_t k = 0;
        while (k < n && !share(&more->data[i].box, &list->data[k].box, part))
            k++;
        if (k == n)
            rc = fn_detections_add(list, &more->data[i]);
    }
    return rc;
}
