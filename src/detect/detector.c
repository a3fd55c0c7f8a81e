// SPDX-License-Identifier: Apache-2.0
//
// The public face of the room: which networks run, in which order, and how their reports become a
// list of faces.
#include <facenet/detect.h>

#include "base/alloc.h"
#include "base/error.h"
#include "detect/landmarks.h"
#include "detect/scales.h"
#include "detect/search.h"
#include "detect/ssd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Counts up when the same networks are run in a way that gives other faces.
#define RUN_VERSION 1

// When boxes are one face: by intersection over union, or by the part shared of the smaller one.
#define MERGE_IOU 0.3F
#define NESTED_PART 0.7F
#define FAINT_PART 0.3F

// The default smallest face: pixels, and share of the picture's short side.
#define MIN_FACE_PX 20.0F
#define MIN_FACE_SHARE 0.02F

struct fn_detector {
    int is_ssd;
    fn_blazeface near, full; // without SSD
    fn_ssd ssd;
    fn_model *landmarks;
    char *canonical;
};

struct fn_faces {
    size_t len;
    fn_face *data;
};

static const char *fingerprint(const fn_model *model) {
    fn_model_info info;
    return fn_model_get_info(model, &info) == FN_OK ? info.fingerprint : "";
}

static char *make_canonical(const fn_detector *d) {
    if (d->is_ssd)
        return fn_asprintf("facenet-detector: %d\ndetector: ssd %s\nscore: 0.5\nmerge: suppress iou 0.5\n"
                           "landmarks: %s\ncrop: face-api\n",
                           RUN_VERSION, fingerprint(d->ssd.model), fingerprint(d->landmarks));
    return fn_asprintf("facenet-detector: %d\ndetector: blazeface\nshort: %s score 0.5\nfull: %s score 0.6\n"
                       "smallest: %d px, asked for %d px, overlap %d px, doubt 0.05\nmerge: blend iou 0.3, "
                       "nested 0.7, faint 0.3\nlandmarks: %s\n"
                       "crop: square 1.1 down 0.04 upright from 15 degrees\n",
                       RUN_VERSION, fingerprint(d->near.model), fingerprint(d->full.model), FN_FRUGAL_FACE_PX,
                       FN_THOROUGH_FACE_PX, FN_TILE_OVERLAP_PX, fingerprint(d->landmarks));
}

int fn_detector_open(fn_detector **out, const fn_detector_options *options) {
    *out = NULL;
    const fn_detector_options defaults = FN_DETECTOR_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    const char *name = options->detector ? options->detector : "blazeface";
    if (options->version != FN_DETECTOR_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "detector: options of version %d are not known", options->version);
    if (strcmp(name, "blazeface") != 0 && strcmp(name, "ssd") != 0)
        return fn_fail(FN_EINVAL, "detector '%.40s' is not known: blazeface or ssd", name);
    fn_detector *d = fn_calloc(1, sizeof *d);
    if (!d)
        return fn_fail_memory();
    d->is_ssd = strcmp(name, "ssd") == 0;
    int rc;
    if (d->is_ssd) {
        rc = fn_ssd_open(&d->ssd, &options->model);
    } else {
        rc = fn_blazeface_open(&d->near, &fn_blazeface_short, &options->model);
        if (rc == FN_OK)
            rc = fn_blazeface_open(&d->full, &fn_blazeface_full, &options->model);
    }
    if (rc == FN_OK)
        rc = fn_landmarks_open(&d->landmarks, &options->model);
    if (rc == FN_OK && !(d->canonical = make_canonical(d)))
        rc = fn_fail_memory();
    if (rc < 0) {
        fn_detector_free(d);
        return rc;
    }
    *out = d;
    return FN_OK;
}

void fn_detector_free(fn_detector *detector) {
    if (!detector)
        return;
    fn_blazeface_free(&detector->near);
    fn_blazeface_free(&detector->full);
    fn_ssd_free(&detector->ssd);
    fn_model_free(detector->landmarks);
    fn_free(detector->canonical);
    fn_free(detector);
}

const char *fn_detector_canonical(const fn_detector *detector) {
    return detector->canonical;
}

static int compare_float(float a, float b) {
    return (a > b) - (a < b);
}

static int left_first(const void *pa, const void *pb) {
    const fn_box *a = &((const fn_face *)pa)->box, *b = &((const fn_face *)pb)->box;
    int order = compare_float(a->x + a->width / 2, b->x + b->width / 2);
    if (order == 0)
        order = compare_float(a->y + a->height / 2, b->y + b->height / 2);
    return order ? order : compare_float(a->width, b->width);
}

static int make_faces(fn_faces **out, const fn_detections *list, size_t max_faces) {
    fn_faces *faces = fn_calloc(1, sizeof *faces);
    const size_t len = max_faces && max_faces < list->len ? max_faces : list->len;
    if (!faces || !(faces->data = fn_calloc(len, sizeof *faces->data))) {
        fn_free(faces);
        return fn_fail_memory();
    }
    faces->len = len;
    for (size_t i = 0; i < len; i++) {
        faces->data[i].box = list->data[i].box;
        faces->data[i].score = list->data[i].score;
        faces->data[i].n_keypoints = list->data[i].n_keypoints;
        memcpy(faces->data[i].keypoints, list->data[i].keypoints, sizeof faces->data[i].keypoints);
    }
    if (len > 1)
        qsort(faces->data, len, sizeof *faces->data, left_first);
    *out = faces;
    return FN_OK;
}

static void merge(fn_detections *list) {
    fn_detections_sort(list);
    fn_detections_blend(list, MERGE_IOU);
    fn_detections_unnest(list, NESTED_PART);
}

static int check_options(const fn_detect_options *o) {
    if (o->version != FN_DETECT_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "detect: options of version %d are not known", o->version);
    if (!(o->min_face >= 0 && o->min_face < 1e6F))
        return fn_fail(FN_EINVAL, "detect: min_face %g is not a width in pixels", (double)o->min_face);
    if (!(o->min_score >= 0 && o->min_score <= 1))
        return fn_fail(FN_EINVAL, "detect: min_score %g is not between 0 and 1", (double)o->min_score);
    if (o->max_faces < 0)
        return fn_fail(FN_EINVAL, "detect: max_faces %d is negative", o->max_faces);
    return FN_OK;
}

int fn_detector_run(fn_detector *detector, const fn_image *image, const fn_detect_options *options,
                    fn_faces **out) {
    *out = NULL;
    const fn_detect_options defaults = FN_DETECT_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    int rc = fn_image_check(image);
    if (rc == FN_OK)
        rc = check_options(options);
    if (rc < 0)
        return rc;
    const float short_side = (float)(image->width < image->height ? image->width : image->height);
    const float min_face =
        options->min_face > 0 ? options->min_face : fmaxf(MIN_FACE_PX, MIN_FACE_SHARE * short_side);
    fn_detections list = {0}, faint = {0};
    if (detector->is_ssd) {
        rc = fn_ssd_search(&list, &detector->ssd, image, options->min_score);
    } else {
        rc = fn_blazeface_search(&list, &faint, &detector->near, &detector->full, image, min_face,
                                 options->min_face > 0, options->min_score);
        merge(&list);
        merge(&faint);
        if (rc == FN_OK)
            rc = fn_detections_fill(&list, &faint, FAINT_PART);
    }
    fn_detections_sort(&list);
    fn_faces *faces = NULL;
    if (rc == FN_OK)
        rc = make_faces(&faces, &list, (size_t)options->max_faces);
    if (rc == FN_OK && !options->no_landmarks)
        rc = fn_landmarks_run(detector->landmarks, image, faces->data, faces->len, detector->is_ssd);
    fn_detections_free(&list);
    fn_detections_free(&faint);
    if (rc < 0) {
        fn_faces_free(faces);
        return rc;
    }
    *out = faces;
    return FN_OK;
}

int fn_detector_landmarks(fn_detector *detector, const fn_image *image, fn_face *face) {
    const int rc = fn_image_check(image);
    return rc < 0 ? rc : fn_landmarks_run(detector->landmarks, image, face, 1, detector->is_ssd);
}

size_t fn_faces_len(const fn_faces *faces) {
    return faces->len;
}

const fn_face *fn_faces_get(const fn_faces *faces, size_t index) {
    return &faces->data[index];
}

void fn_faces_free(fn_faces *faces) {
    if (!faces)
        return;
    fn_free(faces->data);
    fn_free(faces);
}
