// SPDX-License-Identifier: Apache-2.0
//
// The landmark network sees a square of 112 pixels and gives 68 points in units of it. Faces run in
// chunks, so that memory does not grow with the crowd.
#include "detect/landmarks.h"

#include "align/compat.h"
#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <math.h>

#define CHUNK 16
#define N_VALUES (2 * FN_N_LANDMARKS)
#define PI 3.14159265358979323846

int fn_landmarks_open(fn_model **out, const fn_model_options *options) {
    static const char name[] = "landmarks-68";
    int rc = fn_model_open(out, name, options);
    if (rc < 0)
        return rc;
    const fn_input_spec *input = fn_model_input(*out);
    fn_net *net = fn_model_net(*out);
    fn_shape shape = {0};
    if (fn_net_n_outputs(net) != 1 || input->width < 1 || input->width != input->height || input->bgr)
        rc = fn_fail(FN_EMODEL, "%s: a square RGB input and one output expected", name);
    else if ((rc = fn_net_output_shape(net, input->height, input->width, 0, &shape)) < 0)
        rc = fn_fail_prefix(rc, "%s", name);
    else if (fn_shape_count(&shape) != N_VALUES)
        rc = fn_fail(FN_EMODEL, "%s: its output must be %d numbers", name, N_VALUES);
    if (rc < 0) {
        fn_model_free(*out);
        *out = NULL;
    }
    return rc;
}

// How far the line through the eyes is turned, or 0 when that is little or not known.
static double roll(const fn_face *face) {
    if (face->n_keypoints != FN_N_KEYPOINTS)
        return 0;
    const fn_point right = face->keypoints[0], left = face->keypoints[1];
    const double angle = atan2((double)left.y - (double)right.y, (double)left.x - (double)right.x);
    return fabs(angle) > FN_LANDMARK_UPRIGHT_DEGREES * PI / 180 ? angle : 0; // NaN: 0
}

void fn_landmarks_map(double m[6], const fn_face *face, int size) {
    const double side = fmax((double)face->box.width, (double)face->box.height) * FN_LANDMARK_CROP;
    const double angle = roll(face), scale = size / side;
    const double down_x = -sin(angle) * FN_LANDMARK_DOWN * side,
                 down_y = cos(angle) * FN_LANDMARK_DOWN * side;
    const double x = (double)face->box.x + (double)face->box.width / 2 + down_x;
    const double y = (double)face->box.y + (double)face->box.height / 2 + down_y;
    m[0] = m[4] = scale * cos(angle);
    m[1] = scale * sin(angle);
    m[3] = -m[1];
    m[2] = size / 2.0 - m[0] * x - m[1] * y;
    m[5] = size / 2.0 - m[3] * x - m[4] * y;
}

static int cut(float *dst, unsigned char *rgb, const fn_input_spec *spec, const fn_image *image,
               const double m[6]) {
    const int size = spec->width;
    const double side = size / m[0];
    const int rc = m[1] == 0 ? fn_image_resize(rgb, size, size, image, -m[2] / m[0], -m[5] / m[0], side, side)
                             : fn_image_warp(rgb, size, size, image, m);
    if (rc == FN_OK)
        fn_image_to_planes(dst, rgb, size, size, 0, spec->mean, spec->scale);
    return rc;
}

// Points of the unit square back to the picture, by the inverse of a similarity.
static void place(fn_face *face, const float *points, const double m[6], int size) {
    const double det = m[0] * m[4] - m[1] * m[3];
    for (int i = 0; i < FN_N_LANDMARKS; i++) {
        const double u = (double)points[2 * i] * size - m[2], v = (double)points[2 * i + 1] * size - m[5];
        face->landmarks[i] =
            (fn_point){(float)((m[4] * u - m[1] * v) / det), (float)((m[0] * v - m[3] * u) / det)};
    }
}

// face-api adds the corner of the box, not of the whole-pixel crop. Its padding is on both sides of
// the shorter side.
static void place_compat(fn_face *face, const float *points, fn_compat_rect crop) {
    const double side = crop.width > crop.height ? crop.width : crop.height;
    const double pad_x = (side - crop.width) / 2, pad_y = (side - crop.height) / 2;
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        face->landmarks[i] =
            (fn_point){(float)((double)points[2 * i] * side - pad_x + (double)face->box.x),
                       (float)((double)points[2 * i + 1] * side - pad_y + (double)face->box.y)};
}

static int check_box(const fn_box *b) {
    const float far_away = 1e6F;
    if (fabsf(b->x) < far_away && fabsf(b->y) < far_away && b->width > 0 && b->width < far_away &&
        b->height > 0 && b->height < far_away)
        return FN_OK;
    return fn_fail(FN_EINVAL, "landmarks: a box of %g x %g at (%g, %g) holds no face", (double)b->width,
                   (double)b->height, (double)b->x, (double)b->y);
}

// Where a face was cut out.
typedef struct cut_out {
    double m[6];
    fn_compat_rect rect;
} cut_out;

static int run_chunk(fn_model *model, const fn_image *image, fn_face *faces, int n, int compat, float *input,
                     float *points, unsigned char *rgb) {
    const fn_input_spec *spec = fn_model_input(model);
    const int size = spec->width;
    cut_out cuts[CHUNK];
    for (int i = 0; i < n; i++) {
        float *dst = input + (size_t)i * 3 * (size_t)size * (size_t)size;
        const fn_box *box = &faces[i].box;
        int rc = check_box(box);
        if (rc < 0)
            return rc;
        if (compat) {
            cuts[i].rect = fn_compat_clip((double)box->x, (double)box->y, (double)box->width,
                                          (double)box->height, image->width, image->height);
            if (cuts[i].rect.width < 1 || cuts[i].rect.height < 1)
                return fn_fail(FN_EINVAL, "landmarks: the box lies outside the picture");
            fn_compat_planes(dst, size, image, cuts[i].rect, 1, spec->mean, spec->scale);
        } else {
            fn_landmarks_map(cuts[i].m, &faces[i], size);
            if ((rc = cut(dst, rgb, spec, image, cuts[i].m)) < 0)
                return rc;
        }
    }
    const int rc = fn_net_run(fn_model_net(model), input, n, size, size, &points);
    if (rc < 0)
        return rc;
    for (int i = 0; i < n; i++, points += N_VALUES) {
        for (int k = 0; k < N_VALUES; k++)
            if (!isfinite(points[k]))
                return fn_fail(FN_EMODEL,
                               "landmarks-68: it gives numbers that are not finite; pull it again");
        if (compat)
            place_compat(&faces[i], points, cuts[i].rect);
        else
            place(&faces[i], points, cuts[i].m, size);
        faces[i].n_landmarks = FN_N_LANDMARKS;
    }
    return FN_OK;
}

int fn_landmarks_run(fn_model *model, const fn_image *image, fn_face *faces, size_t n, int compat) {
    if (n == 0)
        return FN_OK;
    const size_t size = (size_t)fn_model_input(model)->width, chunk = n < CHUNK ? n : CHUNK;
    float *input = fn_alloc_aligned(chunk * 3 * size * size * sizeof *input);
    float *points = fn_alloc_aligned(chunk * N_VALUES * sizeof *points);
    unsigned char *rgb = fn_alloc(3 * size * size);
    int rc = input && points && rgb ? FN_OK : fn_fail_memory();
    for (size_t i = 0; i < n && rc == FN_OK; i += chunk)
        rc = run_chunk(model, image, faces + i, (int)(n - i < chunk ? n - i : chunk), compat, input, points,
                       rgb);
    fn_free(rgb);
    fn_free(points);
    fn_free(input);
    return rc;
}
