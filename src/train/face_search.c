// SPDX-License-Identifier: Apache-2.0
//
// Attempts at finding the face a photograph was taken of, from the usual search to the most insisting one.
#include "train/face_search.h"

#include "base/alloc.h"
#include "base/error.h"
#include "eval/photos.h"
#include "image/image.h"

#include <facenet/align.h>
#include <math.h>

// What a face's box may take of its upright crop, and how far the landmarks may turn it away from the
// detector's eyes.
#define MIN_SHARE 0.45
#define MAX_SHARE 1.35
#define MAX_ANGLE_DEG 30.0

// A picture with a border is not made larger than this, and not smaller than the picture was.
#define LARGEST_PX 512

typedef struct attempt {
    double border;   // added on every side, in sizes of the picture
    double enlarge;  // pixels of the searched picture per pixel
    float smallest;  // smallest face, as a share of the searched picture's short side; 0: the detector's own
    float min_score; // 0: the detector's own
} attempt;

static const attempt attempts[] = {
    {0.0, 1.0, 0.0F, 0.0F},                                                    // as every picture is searched
    {0.5, 2.0, 0.0F, 0.0F},  {0.25, 2.0, 0.0F, 0.0F}, {0.0, 1.0, 0.10F, 0.0F}, // thoroughly
    {0.5, 2.0, 0.0F, 0.25F},                                                   // and less certainly
    {0.0, 2.0, 0.0F, 0.25F},
};
#define N_ATTEMPTS ((int)(sizeof attempts / sizeof *attempts))

int fn_face_search_attempts(void) {
    return N_ATTEMPTS;
}

// What a photograph showed instead of a face to take.
typedef struct sight {
    size_t n_faces;
    int n_insane; // faces to take but for their landmarks, which do not fit
    int has_only; // 1: the first attempt saw one face, and it could be taken
    fn_face only;
} sight;

// What is searched: the picture itself, or a copy of it with a border.
typedef struct view {
    fn_image image;
    unsigned char *pixels;   // of the copy
    double scale, left, top; // picture -> searched: x' = scale (x + left)
} view;

static int view_open(view *v, const fn_image *image, const attempt *a) {
    *v = (view){.image = *image, .scale = 1};
    if (a->border == 0 && a->enlarge == 1)
        return FN_OK;
    double left = floor(a->border * image->width), top = floor(a->border * image->height);
    double width = image->width + 2 * left, height = image->height + 2 * top;
    double scale = fmax(fmin(a->enlarge, LARGEST_PX / fmax(width, height)), 64 / fmax(width, height));
    int w = (int)ceil(width * scale), h = (int)ceil(height * scale);
    v->pixels = fn_alloc((size_t)w * (size_t)h * 3);
    if (!v->pixels)
        return fn_fail_memory();
    v->scale = scale;
    v->left = left;
    v->top = top;
    v->image = (fn_image){v->pixels, w, h, (ptrdiff_t)w * 3, FN_PIXEL_RGB8};
    return fn_image_resize(v->pixels, w, h, image, -left, -top, w / scale, h / scale);
}

static fn_point to_picture(const view *v, fn_point p) {
    return (fn_point){(float)(p.x / v->scale - v->left), (float)(p.y / v->scale - v->top)};
}

static void face_to_picture(fn_face *face, const view *v) {
    fn_point corner = to_picture(v, (fn_point){face->box.x, face->box.y});
    face->box = (fn_box){corner.x, corner.y, (float)(face->box.width / v->scale),
                         (float)(face->box.height / v->scale)};
    for (int i = 0; i < face->n_keypoints; i++)
        face->keypoints[i] = to_picture(v, face->keypoints[i]);
    for (int i = 0; i < face->n_landmarks; i++)
        face->landmarks[i] = to_picture(v, face->landmarks[i]);
}

/// 1 when the landmarks belong to the box and to the detector's own eyes. On 13,725 faces the box takes 0.70
/// to 0.88 of the crop and the eyes agree within 8 degrees for 98 of 100; what lies outside these limits was
/// seen to be a landmark network that has lost its face.
static int has_sane_landmarks(const fn_face *face) {
    double m[6];
    if (fn_align_matrix(m, fn_template_find("arcface-112"), face) < 0)
        return 0;
    double share = hypot(m[0], m[3]) * (double)face->box.width / 112;
    if (share < MIN_SHARE || share > MAX_SHARE)
        return 0;
    if (face->n_keypoints < 2)
        return 1;
    // The map turns the line from eye to eye level: what is left of its slope is the disagreement.
    double x = (double)(face->keypoints[1].x - face->keypoints[0].x);
    double y = (double)(face->keypoints[1].y - face->keypoints[0].y);
    double angle = atan2(m[3] * x + m[4] * y, m[0] * x + m[1] * y) * (180 / 3.14159265358979323846);
    return fabs(angle) <= MAX_ANGLE_DEG;
}

/// The index of the face to take, -1: none.
static int choose(const fn_faces *faces, const fn_image *searched, fn_prepare_face which) {
    size_t n = fn_faces_len(faces);
    int best = -1;
    double largest = 0;
    if (n && which == FN_PREPARE_FACE_CENTRE)
        return fn_eval_central_face(fn_faces_get(faces, 0), n, searched->width, searched->height);
    for (size_t i = 0; i < n; i++) {
        const fn_box *box = &fn_faces_get(faces, i)->box;
        double area = (double)box->width * (double)box->height;
        if (best < 0 || area > largest) {
            best = (int)i;
            largest = area;
        }
    }
    return best;
}

/// One attempt: 1 when it found the face, 0 when not (*seen says what it met instead), or an error.
static int try_once(fn_face *out, sight *seen, fn_detector *detector, const fn_image *image, const attempt *a,
                    fn_prepare_face which) {
    view v;
    fn_faces *faces = NULL;
    int found = view_open(&v, image, a);
    if (found == FN_OK) {
        fn_detect_options options = FN_DETECT_OPTIONS_INIT;
        int short_side = v.image.width < v.image.height ? v.image.width : v.image.height;
        options.min_face = a->smallest * (float)short_side;
        options.min_score = a->min_score;
        found = fn_detector_run(detector, &v.image, &options, &faces);
    }
    if (found == FN_OK) {
        size_t n = fn_faces_len(faces);
        int face = choose(faces, &v.image, which);
        if (a == attempts && n == 1 && has_sane_landmarks(fn_faces_get(faces, 0))) {
            seen->has_only = 1;
            seen->only = *fn_faces_get(faces, 0);
        }
        seen->n_faces = n > seen->n_faces ? n : seen->n_faces;
        found = face >= 0 && has_sane_landmarks(fn_faces_get(faces, (size_t)face));
        seen->n_insane += face >= 0 && !found;
        if (found) {
            *out = *fn_faces_get(faces, (size_t)face);
            face_to_picture(out, &v);
        }
    }
    fn_faces_free(faces);
    fn_free(v.pixels);
    return found;
}

int fn_face_search(fn_face *out, int *attempt_out, fn_detector *detector, const fn_image *image,
                   fn_prepare_face which) {
    sight seen = {0};
    for (int i = 0; i < N_ATTEMPTS; i++) {
        int found = try_once(out, &seen, detector, image, &attempts[i], which);
        *attempt_out = i;
        if (found < 0)
            return found;
        if (found)
            return FN_OK;
    }
    if (seen.has_only) { // the first view is the picture itself
        *attempt_out = 0;
        *out = seen.only;
        return FN_OK;
    }
    if (seen.n_insane)
        return fn_fail(FN_EFORMAT, "the landmarks do not fit the face");
    return seen.n_faces ? fn_fail(FN_ENOTFOUND, "%zu face%s, none over the centre", seen.n_faces,
                                  seen.n_faces == 1 ? "" : "s")
                        : fn_fail(FN_ENOTFOUND, "no face");
}
