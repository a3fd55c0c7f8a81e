// SPDX-License-Identifier: Apache-2.0
//
// align.h: a face is turned upright and cut out by a template: a few landmarks and the places where
// they belong in the crop. The map is the least-squares similarity (Umeyama 1991, eq. 40-42,
// without reflection); shrinking is anti-aliased.
//
//     unsigned char crop[112 * 112 * 3];
//     const fn_template *t = fn_template_find("arcface-112");
//     fn_align(crop, t, image, face);
#ifndef FACENET_ALIGN_H
#define FACENET_ALIGN_H

#include <facenet/detect.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FN_TEMPLATE_MAX_POINTS 5

/// A template point is the mean of landmarks first..last and belongs at (x, y) of the crop.
typedef struct fn_template_point {
    int first, last; // landmark numbers, inclusive
    float x, y;      // pixels of the crop
} fn_template_point;

typedef struct fn_template {
    const char *name; // "arcface-112", "dlib-150", "openface-outer-96", "openface-inner-96", "eyes-200"
    const char *description;
    int width, height; // pixels of the crop
    int n_points;      // 2..FN_TEMPLATE_MAX_POINTS
    fn_template_point points[FN_TEMPLATE_MAX_POINTS];
} fn_template;

/// All templates, in a fixed order. Static storage.
FN_API int fn_template_len(void);
FN_API const fn_template *fn_template_get(int index);
/// A template by name, or NULL.
FN_API const fn_template *fn_template_find(const char *name);

/// The map picture -> crop as (x', y') = (m[0] x + m[1] y + m[2], m[3] x + m[4] y + m[5]).
/// Errors: FN_EINVAL (no landmarks, or all on one point).
FN_API int fn_align_matrix(double m[6], const fn_template *tmpl, const fn_face *face);

/// Cuts the crop: dst is (height, width, 3) RGB without padding between rows; what lies outside the
/// picture is black. Errors as fn_align_matrix, and FN_ENOMEM.
FN_API int fn_align(unsigned char *dst, const fn_template *tmpl, const fn_image *image, const fn_face *face);

#ifdef __cplusplus
}
#endif
#endif
