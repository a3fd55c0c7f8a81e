// SPDX-License-Identifier: Apache-2.0
//
// From landmarks to an upright crop. The map is the similarity (rotation, one scale, shift; no
// reflection) with the least sum of squared errors between the template's points and where the
// landmarks land: Umeyama 1991, eq. 40-42, which in two dimensions has the closed form below.
#include <facenet/align.h>

#include "base/error.h"
#include "image/image.h"

#include <math.h>

// Landmarks closer together than this, as root mean square about their mean, are one point.
#define MIN_SPREAD_PX 1e-3

// The place of a template point in the picture: the mean of its landmarks.
static void mean_landmark(double *x, double *y, const fn_template_point *point, const fn_face *face) {
    double sum_x = 0, sum_y = 0;
    for (int i = point->first; i <= point->last; i++) {
        sum_x += (double)face->landmarks[i].x;
        sum_y += (double)face->landmarks[i].y;
    }
    *x = sum_x / (point->last - point->first + 1);
    *y = sum_y / (point->last - point->first + 1);
}

int fn_align_matrix(double m[6], const fn_template *tmpl, const fn_face *face) {
    if (!m || !tmpl || !face || tmpl->n_points < 2 || tmpl->n_points > FN_TEMPLATE_MAX_POINTS)
        return fn_fail(FN_EINVAL, "align: a template, a face and room for the map are needed");
    if (face->n_landmarks != FN_N_LANDMARKS)
        return fn_fail(FN_EINVAL, "align: the face has no landmarks");
    const int n = tmpl->n_points;
    double x[FN_TEMPLATE_MAX_POINTS], y[FN_TEMPLATE_MAX_POINTS];
    double mean_x = 0, mean_y = 0, mean_u = 0, mean_v = 0; // of the picture's and the crop's points
    for (int i = 0; i < n; i++) {
        mean_landmark(&x[i], &y[i], &tmpl->points[i], face);
        mean_x += x[i] / n;
        mean_y += y[i] / n;
        mean_u += (double)tmpl->points[i].x / n;
        mean_v += (double)tmpl->points[i].y / n;
    }
    // With both sets centred and read as complex numbers z and w, the map is w = a z, where
    // a = sum(w conj(z)) / sum(|z|^2): its length is the scale, its angle the rotation.
    double re = 0, im = 0, spread = 0;
    for (int i = 0; i < n; i++) {
        const double zx = x[i] - mean_x, zy = y[i] - mean_y;
        const double wx = (double)tmpl->points[i].x - mean_u, wy = (double)tmpl->points[i].y - mean_v;
        re += wx * zx + wy * zy;
        im += wy * zx - wx * zy;
        spread += zx * zx + zy * zy;
    }
    // Negated comparisons, so that NaN and infinity fail too.
    if (!(spread > n * MIN_SPREAD_PX * MIN_SPREAD_PX) || !isfinite(spread))
        return fn_fail(FN_EINVAL, "align: the landmarks lie on one point or are not finite");
    re /= spread;
    im /= spread;
    if (!(hypot(re, im) > 1e-9))
        return fn_fail(FN_EINVAL, "align: the landmarks do not look like a face");
    m[0] = re;
    m[1] = -im;
    m[2] = mean_u - re * mean_x + im * mean_y;
    m[3] = im;
    m[4] = re;
    m[5] = mean_v - im * mean_x - re * mean_y;
    return FN_OK;
}

int fn_align(unsigned char *dst, const fn_template *tmpl, const fn_image *image, const fn_face *face) {
    double m[6];
    int rc = fn_image_check(image);
    if (rc == FN_OK)
        rc = fn_align_matrix(m, tmpl, face);
    if (rc == FN_OK)
        rc = fn_image_warp(dst, tmpl->width, tmpl->height, image, m);
    return rc;
}
