// SPDX-License-Identifier: Apache-2.0
//
// Measures of a face, and what is not good enough. All pixels come from the upright crop of 112 x 112, inside
// an ellipse that holds the face and little else; what lies outside the picture does not count. So the
// measures do not depend on the size of the face, and not on where it is.
//
// The default limits were set on 610 photographs of LFW, all meant to be accepted, and on the same ones
// damaged. Together they refuse 1.0 % of them.
//   sharpness   lowest 1.8, 1 % below 2.4, half below 13; the same made 60 pixels wide: 2 % below 1.7, half
//               below 5. Gaussian blur in the crop with sigma 1: half below 3.2; with sigma 2 at most 1.9,
//               half below 0.7; with sigma 3 at most 0.8. Limit 1.6: refuses none, 2 % at 60 pixels, all of
//               sigma 3
//   brightness  65 to 198, dark skin in the shade included. Limits 40 and 225 refuse none; of the same
//               darkened to a quarter 88 % lie below 40
//   yaw, pitch  0.8 % are turned beyond 45 degrees, none nods beyond 35
//   eyes        0.21 to 0.34. The landmark network draws closed eyes half open (0.25 for a face asleep), so
//               this sees little of blinking; limit 0.17 refuses none
#include <facenet/quality.h>

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"
#include "quality/pose.h"

#include <facenet/align.h>
#include <math.h>

#define CROP "arcface-112"
// The face in that crop.
#define CENTRE_X 56.0
#define CENTRE_Y 66.5
#define RADIUS_X 38.0
#define RADIUS_Y 46.0
// Beyond this yaw the far eye is hidden and foreshortening says nothing more.
#define MAX_EYE_YAW 60.0

static const double RADIANS = 0.017453292519943295;

// --- Pixels -------------------------------------------------------------------------------------

typedef struct moments {
    double n, sum, squares;
} moments;

static void add(moments *m, double value) {
    m->n += 1;
    m->sum += value;
    m->squares += value * value;
}

static double mean(const moments *m) {
    return m->n > 0 ? m->sum / m->n : 0;
}

static double variance(const moments *m) {
    return m->n > 0 ? fmax(0, m->squares / m->n - mean(m) * mean(m)) : 0;
}

// Inside the face and, by the map crop -> picture, inside the picture with all its neighbours.
static int counts(int x, int y, const double back[6], const fn_image *image) {
    double u = (x + 0.5 - CENTRE_X) / RADIUS_X, v = (y + 0.5 - CENTRE_Y) / RADIUS_Y;
    if (u * u + v * v > 1)
        return 0;
    double reach = fabs(back[0]) + fabs(back[1]) + fabs(back[3]) + fabs(back[4]) + 1;
    double at_x = back[0] * (x + 0.5) + back[1] * (y + 0.5) + back[2];
    double at_y = back[3] * (x + 0.5) + back[4] * (y + 0.5) + back[5];
    return at_x >= reach && at_y >= reach && at_x <= image->width - reach && at_y <= image->height - reach;
}

static void invert(double back[6], const double m[6]) {
    double det = m[0] * m[4] - m[1] * m[3];
    back[0] = m[4] / det;
    back[1] = -m[1] / det;
    back[3] = -m[3] / det;
    back[4] = m[0] / det;
    back[2] = -(back[0] * m[2] + back[1] * m[5]);
    back[5] = -(back[3] * m[2] + back[4] * m[5]);
}

static int measure_pixels(fn_quality *out, const fn_image *image, const fn_face *face) {
    const fn_template *tmpl = fn_template_find(CROP);
    const int width = tmpl->width, height = tmpl->height;
    const size_t n = (size_t)width * (size_t)height;
    double m[6], back[6];
    int rc = fn_align_matrix(m, tmpl, face);
    if (rc < 0)
        return rc;
    float *rgb = fn_alloc(n * 3 * sizeof *rgb);
    if (!rgb)
        return fn_fail_memory();
    rc = fn_image_warp_float(rgb, width, height, image, m);
    if (rc < 0)
        goto out;
    float *luma = rgb; // in place, behind what is still to be read
    for (size_t i = 0; i < n; i++)
        luma[i] = 0.299F * rgb[3 * i] + 0.587F * rgb[3 * i + 1] + 0.114F * rgb[3 * i + 2];
    invert(back, m);
    moments light = {0}, edges = {0};
    for (int y = 1; y < height - 1; y++) {
        for (int x = 1; x < width - 1; x++) {
            const float *p = luma + y * width + x;
            if (!counts(x, y, back, image))
                continue;
            add(&light, (double)*p);
            add(&edges, (double)p[-1] + p[1] + p[-width] + p[width] - 4 * (double)*p);
        }
    }
    out->brightness = (float)mean(&light);
    out->contrast = (float)sqrt(variance(&light));
    // Over the variance of the light itself, so that a dim or pale picture is not blurred; one grey value of
    // noise more, so that an empty one is.
    out->sharpness = (float)(100 * variance(&edges) / (variance(&light) + 1));
out:
    fn_free(rgb);
    return rc;
}

// --- Shape --------------------------------------------------------------------------------------

static double distance(const fn_point *a, const fn_point *b) {
    return hypot((double)a->x - b->x, (double)a->y - b->y);
}

// Eye aspect ratio (Soukupova and Cech 2016) of both eyes together. Turning shortens the width by the cosine
// of the yaw: on LFW the ratio then no longer depends on it (correlation 0.57 before, -0.06 after).
static float measure_eyes(const fn_face *face, float yaw) {
    double heights = 0, widths = 0;
    for (int first = 36; first <= 42; first += 6) {
        const fn_point *p = face->landmarks + first;
        heights += (distance(&p[1], &p[5]) + distance(&p[2], &p[4])) / 2;
        widths += distance(&p[0], &p[3]);
    }
    double shortened = cos(fmin(fabs((double)yaw), MAX_EYE_YAW) * RADIANS);
    return widths > 0 ? (float)(heights / widths * shortened) : 0.0F;
}

static float measure_inside(const fn_box *box, const fn_image *image) {
    double width = fmin((double)box->x + box->width, image->width) - fmax((double)box->x, 0);
    double height = fmin((double)box->y + box->height, image->height) - fmax((double)box->y, 0);
    double area = (double)box->width * box->height;
    return width > 0 && height > 0 ? (float)fmin(1, width * height / area) : 0.0F;
}

static int check_face(const fn_face *face) {
    if (!face || face->n_landmarks != FN_N_LANDMARKS)
        return fn_fail(FN_EINVAL, "quality: the face has no landmarks");
    const fn_box *box = &face->box;
    if (!isfinite(box->x) || !isfinite(box->y) || !isfinite(box->width) || !isfinite(box->height) ||
        !(box->width > 0.0F && box->height > 0.0F))
        return fn_fail(FN_EINVAL, "quality: the face has a box without area");
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        if (!isfinite(face->landmarks[i].x) || !isfinite(face->landmarks[i].y))
            return fn_fail(FN_EINVAL, "quality: landmark %d is not finite", i);
    return FN_OK;
}

int fn_quality_measure(fn_quality *out, const fn_image *image, const fn_face *face) {
    if (!out)
        return fn_fail(FN_EINVAL, "quality: no place for the result");
    *out = (fn_quality){0};
    int rc = fn_image_check(image);
    if (rc == FN_OK)
        rc = check_face(face);
    if (rc == FN_OK)
        rc = measure_pixels(out, image, face);
    if (rc < 0)
        return rc;
    fn_pose pose;
    fn_pose_measure(&pose, face);
    out->yaw = pose.yaw;
    out->pitch = pose.pitch;
    out->roll = pose.roll;
    out->width = face->box.width;
    out->eyes = measure_eyes(face, pose.yaw);
    out->inside = measure_inside(&face->box, image);
    return FN_OK;
}

// --- Faults -------------------------------------------------------------------------------------

static const fn_quality_limits defaults = FN_QUALITY_LIMITS_INIT;

// Negated comparisons, so that what is not a number is a fault.
unsigned fn_quality_faults(const fn_quality *quality, const fn_quality_limits *limits) {
    const fn_quality *q = quality;
    const fn_quality_limits *l = limits ? limits : &defaults;
    unsigned faults = 0;
    if (!(q->width >= l->min_width))
        faults |= FN_FAULT_SMALL;
    if (!(q->inside >= l->min_inside))
        faults |= FN_FAULT_EDGE;
    if (!(q->brightness >= l->min_brightness))
        faults |= FN_FAULT_DARK;
    if (!(q->brightness <= l->max_brightness))
        faults |= FN_FAULT_BRIGHT;
    if (!(q->sharpness >= l->min_sharpness))
        faults |= FN_FAULT_BLURRED;
    if (!(fabsf(q->yaw) <= l->max_yaw) || !(fabsf(q->pitch) <= l->max_pitch))
        faults |= FN_FAULT_TURNED;
    if (!(q->eyes >= l->min_eyes))
        faults |= FN_FAULT_EYES;
    return faults;
}

#define LARGE_FACE 200.0F // pixels, from which on more shows nothing new
#define SHARP_FACE 3.0F

float fn_quality_worth(const fn_quality *quality) {
    const fn_quality *q = quality;
    float worth = fminf(q->width, LARGE_FACE) / LARGE_FACE;
    worth *= fminf(q->sharpness, SHARP_FACE) / SHARP_FACE + 0.05F;
    worth *= 0.2F + 0.8F * fmaxf(0, cosf(q->yaw * 3.14159265F / 180));
    for (unsigned faults = fn_quality_faults(q, NULL); faults; faults &= faults - 1)
        worth *= 0.6F;
    return worth;
}

const char *fn_quality_fault_text(unsigned fault) {
    switch (fault) {
    case FN_FAULT_SMALL:
        return "too small: come closer";
    case FN_FAULT_EDGE:
        return "cut off by the edge of the picture";
    case FN_FAULT_DARK:
        return "too dark";
    case FN_FAULT_BRIGHT:
        return "too bright";
    case FN_FAULT_BLURRED:
        return "blurred: hold still";
    case FN_FAULT_TURNED:
        return "turned too far away";
    case FN_FAULT_EYES:
        return "eyes closed";
    default:
        return "";
    }
}
