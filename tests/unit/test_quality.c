// SPDX-License-Identifier: Apache-2.0
//
// Quality of faces: poses of known truth, drawn pictures, and photographs damaged by known amounts. Faces
// come from the demo photographs (FACENET_DEMO), networks from FACENET_MODELS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "image/image.h"
#include "unit/posed.h"

#include <facenet/facenet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 1;

/// Uniform in [0, 1), repeatable.
static double uniform(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (double)(seed >> 11) * 0x1p-53;
}

// --- Faces of known truth -----------------------------------------------------------------------

enum { SIDE = 300 };
static unsigned char pixels[SIDE * SIDE * 3];
static const fn_image image = {pixels, SIDE, SIDE, SIDE * 3, FN_PIXEL_RGB8};

// Spots of a known light on another: as sharp as their size says.
static void draw_spots(int size, int dark, int light) {
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            memset(pixels + 3 * (y * SIDE + x), (x / size + y / size) % 2 ? light : dark, 3);
}

static fn_quality measured(const fn_image *picture, const fn_face *face) {
    fn_quality quality;
    int rc = fn_quality_measure(&quality, picture, face);
    if (rc < 0)
        fail_msg("%s", fn_last_error());
    return quality;
}

static void the_pose_of_a_turned_head_is_found(void **state) {
    (void)state;
    draw_spots(5, 60, 180);
    for (int yaw = -80; yaw <= 80; yaw += 20) {
        for (int pitch = -60; pitch <= 60; pitch += 15) {
            for (int roll = -150; roll <= 180; roll += 30) {
                fn_face face = posed(yaw, pitch, roll, 150, 140, 5 + roll / 100.0);
                fn_quality q = measured(&image, &face);
                double off = fmod((double)q.roll - roll + 540, 360) - 180;
                if (!(fabs((double)q.yaw - yaw) < 0.02 && fabs((double)q.pitch - pitch) < 0.02 &&
                      fabs(off) < 0.02))
                    fail_msg("yaw %d pitch %d roll %d: found %g %g %g", yaw, pitch, roll, (double)q.yaw,
                             (double)q.pitch, (double)q.roll);
            }
        }
    }
}

static void noise_in_the_landmarks_moves_the_pose_little(void **state) {
    (void)state;
    double squares = 0;
    int n = 0;
    for (int i = 0; i < 200; i++, n++) {
        fn_face face = posed(20, -10, 5, 150, 150, 6); // eyes 53 pixels apart, landmarks off by 1.5
        for (int k = 0; k < FN_N_LANDMARKS; k++) {
            face.landmarks[k].x += (float)(5.2 * (uniform() - 0.5));
            face.landmarks[k].y += (float)(5.2 * (uniform() - 0.5));
        }
        fn_quality q = measured(&image, &face);
        squares += pow((double)q.yaw - 20, 2) + pow((double)q.pitch + 10, 2);
    }
    double error = sqrt(squares / (2 * n));
    print_message("landmarks off by 1.5 pixels of 53: angles off by %.1f degrees\n", error);
    assert_true(error < 5);
}

static void eyes_do_not_depend_on_turning(void **state) {
    (void)state;
    for (int yaw = -40; yaw <= 40; yaw += 10) {
        fn_face face = posed(yaw, 0, 3 * yaw, 150, 150, 6);
        fn_quality q = measured(&image, &face);
        assert_true(fabsf(q.eyes - 0.85F / 2.62F) < 0.02F); // both eyes together, each set a little outwards
        for (int k = 36; k < 48; k++) { // closed: the lids on the line between the corners
            const int corner = k < 42 ? 36 : 42;
            if (k != corner && k != corner + 3) {
                face.landmarks[k].x = (face.landmarks[corner].x + face.landmarks[corner + 3].x) / 2;
                face.landmarks[k].y = (face.landmarks[corner].y + face.landmarks[corner + 3].y) / 2;
            }
        }
        q = measured(&image, &face);
        assert_true(q.eyes < 0.01F);
        assert_int_equal(fn_quality_faults(&q, NULL), FN_FAULT_EYES);
    }
}

// --- Pixels -------------------------------------------------------------------------------------

static void light_and_sharpness_are_what_was_drawn(void **state) {
    (void)state;
    fn_face face = posed(0, 0, 0, 150, 150, 6);
    draw_spots(SIDE, 77, 77);
    fn_quality q = measured(&image, &face);
    assert_true(fabsf(q.brightness - 77) < 0.01F && q.contrast < 0.01F && q.sharpness < 0.01F);
    assert_int_equal(fn_quality_faults(&q, NULL), FN_FAULT_BLURRED);
    assert_true(fabsf(q.width - 96) < 0.01F && q.inside == 1);

    draw_spots(4, 40, 200);
    q = measured(&image, &face);
    assert_true(fabsf(q.brightness - 120) < 3);
    assert_true(q.contrast > 50 && q.contrast < 80);
    draw_spots(4, 100, 140); // a quarter of the contrast is as sharp
    fn_quality pale = measured(&image, &face);
    assert_true(fabsf(pale.sharpness / q.sharpness - 1) < 0.03F);
    assert_true(fabsf(pale.contrast * 4 / q.contrast - 1) < 0.03F);
    float before = INFINITY;
    for (int size = 3; size <= 48; size *= 2) { // larger spots have fewer edges
        draw_spots(size, 40, 200);
        q = measured(&image, &face);
        assert_true(q.sharpness < before);
        before = q.sharpness;
    }
}

static void the_measures_do_not_depend_on_the_format(void **state) {
    (void)state;
    for (int i = 0; i < SIDE * SIDE * 3; i++)
        pixels[i] = (unsigned char)(256 * uniform());
    fn_face face = posed(10, 5, -8, 150, 150, 6);
    fn_quality a = measured(&image, &face);
    static unsigned char bgra[SIDE * SIDE * 4];
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++)
            bgra[4 * i + c] = pixels[3 * i + 2 - c];
    fn_image other = {bgra, SIDE, SIDE, SIDE * 4, FN_PIXEL_BGRA8};
    fn_quality b = measured(&other, &face);
    assert_memory_equal(&a, &b, sizeof a);
}

static void what_lies_outside_the_picture_does_not_count(void **state) {
    (void)state;
    fn_face whole = posed(0, 0, 0, 150, 150, 6), half = posed(0, 0, 0, 0, 150, 6);
    draw_spots(4, 40, 200);
    fn_quality a = measured(&image, &whole), b = measured(&image, &half);
    assert_true(fabsf(b.inside - 0.5F) < 0.001F);
    assert_true(fabsf(a.brightness - b.brightness) < 5);
    assert_true(fabsf(a.sharpness / b.sharpness - 1) < 0.1F);
    assert_int_equal(fn_quality_faults(&a, NULL), 0);
    assert_int_equal(fn_quality_faults(&b, NULL), FN_FAULT_EDGE);
    fn_face away = posed(0, 0, 0, -500, 150, 6);
    b = measured(&image, &away);
    assert_true(b.inside == 0 && b.brightness == 0 && b.sharpness == 0);
}

// --- Faults -------------------------------------------------------------------------------------

static void each_limit_raises_its_own_fault(void **state) {
    (void)state;
    const fn_quality good = {
        .width = 100, .sharpness = 10, .brightness = 120, .contrast = 40, .eyes = 0.3F, .inside = 1};
    assert_int_equal(fn_quality_faults(&good, NULL), 0);
    static const struct {
        size_t field;
        float value;
        unsigned fault;
    } bad[] = {{offsetof(fn_quality, width), 59, FN_FAULT_SMALL},
               {offsetof(fn_quality, inside), 0.89F, FN_FAULT_EDGE},
               {offsetof(fn_quality, brightness), 39, FN_FAULT_DARK},
               {offsetof(fn_quality, brightness), 226, FN_FAULT_BRIGHT},
               {offsetof(fn_quality, sharpness), 1.5F, FN_FAULT_BLURRED},
               {offsetof(fn_quality, yaw), 46, FN_FAULT_TURNED},
               {offsetof(fn_quality, yaw), -46, FN_FAULT_TURNED},
               {offsetof(fn_quality, pitch), 36, FN_FAULT_TURNED},
               {offsetof(fn_quality, pitch), -36, FN_FAULT_TURNED},
               {offsetof(fn_quality, eyes), 0.16F, FN_FAULT_EYES}};
    unsigned seen = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fn_quality q = good;
        memcpy((char *)&q + bad[i].field, &bad[i].value, sizeof(float));
        assert_int_equal(fn_quality_faults(&q, NULL), bad[i].fault);
        assert_true(strlen(fn_quality_fault_text(bad[i].fault)) > 5);
        const float nothing = NAN; // is never good enough
        memcpy((char *)&q + bad[i].field, &nothing, sizeof(float));
        assert_true(fn_quality_faults(&q, NULL) & bad[i].fault);
        seen |= bad[i].fault;
    }
    assert_int_equal(seen, 127);
    fn_quality_limits limits = FN_QUALITY_LIMITS_INIT;
    limits.min_width = 101;
    assert_int_equal(fn_quality_faults(&good, &limits), FN_FAULT_SMALL);
    assert_string_equal(fn_quality_fault_text(0), "");
    assert_string_equal(fn_quality_fault_text(3), "");
    assert_string_equal(fn_quality_fault_text(128), "");
}

static void a_look_is_worth_more_the_more_it_shows(void **state) {
    (void)state;
    const fn_quality best = {250, 4, 120, 40, 0, 0, 0, 0.3F, 1};
    assert_float_equal(fn_quality_worth(&best), 1.05, 1e-6);
    const struct {
        size_t field;
        int n;
        float values[4]; // from better to worse
    } order[] = {{offsetof(fn_quality, width), 4, {200, 100, 61, 30}},
                 {offsetof(fn_quality, sharpness), 4, {3, 2, 1.7F, 0}},
                 {offsetof(fn_quality, yaw), 4, {0, -20, 40, -80}},
                 {offsetof(fn_quality, brightness), 2, {100, 20}},
                 {offsetof(fn_quality, eyes), 2, {0.3F, 0.1F}},
                 {offsetof(fn_quality, inside), 2, {1, 0.5F}},
                 {offsetof(fn_quality, pitch), 2, {0, 50}}};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        float before = 2;
        for (int k = 0; k < order[i].n; k++) {
            fn_quality q = best;
            memcpy((char *)&q + order[i].field, &order[i].values[k], sizeof(float));
            assert_true(fn_quality_worth(&q) < before && fn_quality_worth(&q) > 0);
            before = fn_quality_worth(&q);
        }
    }
}

static void wrong_faces_and_views_are_refused(void **state) {
    (void)state;
    fn_quality q;
    fn_face face = posed(0, 0, 0, 150, 150, 6), bad = face;
    bad.n_landmarks = 0;
    assert_int_equal(fn_quality_measure(&q, &image, &bad), FN_EINVAL);
    assert_true(q.width == 0); // nothing half measured
    bad = face;
    bad.landmarks[60].y = NAN;
    assert_int_equal(fn_quality_measure(&q, &image, &bad), FN_EINVAL);
    bad = face;
    bad.box.width = 0;
    assert_int_equal(fn_quality_measure(&q, &image, &bad), FN_EINVAL);
    bad = face;
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        bad.landmarks[i] = (fn_point){5, 5};
    assert_int_equal(fn_quality_measure(&q, &image, &bad), FN_EINVAL);
    fn_image none = image;
    none.data = NULL;
    assert_int_equal(fn_quality_measure(&q, &none, &face), FN_EINVAL);
    assert_int_equal(fn_quality_measure(&q, NULL, &face), FN_EINVAL);
    assert_int_equal(fn_quality_measure(&q, &image, NULL), FN_EINVAL);
    assert_int_equal(fn_quality_measure(NULL, &image, &face), FN_EINVAL);
    // All on one line: some pose, and turned away.
    bad = face;
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        bad.landmarks[i].x = 150;
    q = measured(&image, &bad);
    assert_true(fn_quality_faults(&q, NULL) & FN_FAULT_TURNED);
}

static void memory_that_runs_out_is_reported(void **state) {
    (void)state;
    fn_face face = posed(0, 0, 0, 150, 150, 6), large = posed(0, 0, 0, 150, 150, 30);
    for (int big = 0; big < 2; big++) { // the large one is averaged in blocks first
        int nth = 1;
        for (;; nth++) {
            fn_quality q;
            fn_alloc_fail_nth(nth);
            int rc = fn_quality_measure(&q, &image, big ? &large : &face);
            int untouched = fn_alloc_count() < nth;
            fn_alloc_fail_nth(0);
            if (untouched) {
                assert_int_equal(rc, FN_OK);
                break;
            }
            assert_int_equal(rc, FN_ENOMEM);
        }
        assert_true(nth > 1);
    }
}

// --- Photographs --------------------------------------------------------------------------------

static fn_detector *detector;

static int open_detector(void **state) {
    (void)state;
    const char *models = getenv("FACENET_MODELS");
    if (!models || !getenv("FACENET_DEMO"))
        return 0;
    fn_detector_options options = FN_DETECTOR_OPTIONS_INIT;
    options.model.directory = models;
    return fn_detector_open(&detector, &options);
}

static int close_detector(void **state) {
    (void)state;
    fn_detector_free(detector);
    return 0;
}

static void need_networks(void) {
    if (detector)
        return;
    print_message("skipped: FACENET_MODELS and FACENET_DEMO are not set\n");
    skip();
}

// A photograph's pixels of our own, and the faces in them.
typedef struct photo {
    fn_image view;
    unsigned char *rgb;
    fn_face faces[16];
    size_t n_faces;
} photo;

static void find_faces(photo *p) {
    fn_faces *found = NULL;
    assert_int_equal(fn_detector_run(detector, &p->view, NULL, &found), FN_OK);
    p->n_faces = fn_faces_len(found) < 16 ? fn_faces_len(found) : 16;
    for (size_t i = 0; i < p->n_faces; i++)
        p->faces[i] = *fn_faces_get(found, i);
    fn_faces_free(found);
}

static int open_photo(photo *p, const char *path) {
    fn_picture *picture = NULL;
    if (fn_decode_file(&picture, path, NULL) < 0)
        return 0;
    const fn_image *seen = fn_picture_image(picture);
    p->rgb = fn_alloc((size_t)seen->width * (size_t)seen->height * 3);
    assert_non_null(p->rgb);
    fn_image_to_rgb(p->rgb, seen);
    p->view = (fn_image){p->rgb, seen->width, seen->height, (ptrdiff_t)seen->width * 3, FN_PIXEL_RGB8};
    fn_picture_free(picture);
    find_faces(p);
    return 1;
}

static photo open_demo(int number) {
    photo p;
    char path[4096];
    snprintf(path, sizeof path, "%s/sample%d.jpg", getenv("FACENET_DEMO"), number);
    if (!open_photo(&p, path))
        fail_msg("%s", fn_last_error());
    return p;
}

// The surroundings of a face, reduced so that the face is `width` pixels wide, in memory of their own.
static photo cut_out(const photo *from, const fn_face *face, double width) {
    photo p = {.n_faces = 1};
    double size = 3 * (double)face->box.width, scale = width / (double)face->box.width;
    double x = (double)face->box.x - (double)face->box.width,
           y = (double)face->box.y - (double)face->box.width;
    int side = (int)(size * scale + 0.5);
    p.rgb = fn_alloc((size_t)side * (size_t)side * 3);
    assert_non_null(p.rgb);
    assert_int_equal(fn_image_resize(p.rgb, side, side, &from->view, x, y, size, size), FN_OK);
    p.view = (fn_image){p.rgb, side, side, (ptrdiff_t)side * 3, FN_PIXEL_RGB8};
    p.faces[0] = *face;
    p.faces[0].box = (fn_box){(float)((face->box.x - x) * scale), (float)((face->box.y - y) * scale),
                              (float)(face->box.width * scale), (float)(face->box.height * scale)};
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        p.faces[0].landmarks[i] = (fn_point){(float)((face->landmarks[i].x - x) * scale),
                                             (float)((face->landmarks[i].y - y) * scale)};
    return p;
}

// Gaussian blur along rows, then along columns.
static void blur(photo *p, double sigma) {
    int w = p->view.width, h = p->view.height, reach = (int)ceil(3 * sigma);
    double weight[64], sum = 0;
    for (int i = -reach; i <= reach; i++)
        sum += weight[i + reach] = exp(-i * i / (2 * sigma * sigma));
    float *rows = fn_alloc((size_t)w * (size_t)h * 3 * sizeof *rows);
    assert_non_null(rows);
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < w * h * 3; i++) {
            int c = i % 3, x = i / 3 % w, y = i / 3 / w;
            double value = 0;
            for (int k = -reach; k <= reach; k++) {
                int u = pass ? x : x + k, v = pass ? y + k : y;
                u = u < 0 ? 0 : u < w ? u : w - 1;
                v = v < 0 ? 0 : v < h ? v : h - 1;
                int at = (v * w + u) * 3 + c;
                value += weight[k + reach] / sum * (pass ? (double)rows[at] : p->rgb[at]);
            }
            if (pass)
                p->rgb[i] = (unsigned char)(value + 0.5);
            else
                rows[i] = (float)value;
        }
    }
    fn_free(rows);
}

static void adjust(photo *p, double gain, double add) {
    for (int i = 0; i < p->view.width * p->view.height * 3; i++)
        p->rgb[i] = (unsigned char)fmin(255, fmax(0, p->rgb[i] * gain + add + 0.5));
}

enum { N_PHOTOS = 6 };

// Calls `test` with each face of the demo photographs that has no fault, at the size of the crop.
static int each_good_face(void (*test)(const photo *, const fn_quality *)) {
    int n = 0;
    for (int i = 1; i <= N_PHOTOS; i++) {
        photo p = open_demo(i);
        for (size_t k = 0; k < p.n_faces; k++) {
            photo face = cut_out(&p, &p.faces[k], 100);
            fn_quality q = measured(&face.view, &face.faces[0]);
            if (fn_quality_faults(&q, NULL) == 0) {
                test(&face, &q);
                n++;
            }
            fn_free(face.rgb);
        }
        fn_free(p.rgb);
    }
    return n;
}

static photo copy_of(const photo *p) {
    photo copy = *p;
    size_t n = (size_t)p->view.width * (size_t)p->view.height * 3;
    copy.rgb = fn_alloc(n);
    assert_non_null(copy.rgb);
    memcpy(copy.rgb, p->rgb, n);
    copy.view.data = copy.rgb;
    return copy;
}

static void test_blur(const photo *p, const fn_quality *q) {
    float before = q->sharpness;
    double m[6];
    assert_int_equal(fn_align_matrix(m, fn_template_find("arcface-112"), &p->faces[0]), FN_OK);
    for (double sigma = 1; sigma <= 4; sigma += 1) { // pixels of the crop
        photo soft = copy_of(p);
        blur(&soft, sigma / hypot(m[0], m[3]));
        fn_quality s = measured(&soft.view, &soft.faces[0]);
        assert_true(s.sharpness < before);
        before = s.sharpness;
        assert_true(fabsf(s.brightness - q->brightness) < 3);
        if (sigma >= 3)
            assert_int_equal(fn_quality_faults(&s, NULL), FN_FAULT_BLURRED);
        fn_free(soft.rgb);
    }
}

static void blur_is_seen_as_blur(void **state) {
    (void)state;
    need_networks();
    assert_in_range(each_good_face(test_blur), 15, 100);
}

static void test_light(const photo *p, const fn_quality *q) {
    float before = q->brightness;
    for (double gain = 0.8; gain > 0.1; gain -= 0.2) {
        photo dark = copy_of(p);
        adjust(&dark, gain, 0);
        fn_quality d = measured(&dark.view, &dark.faces[0]);
        assert_true(d.brightness < before);
        before = d.brightness;
        if (!(fabsf(d.sharpness / q->sharpness - 1) < 0.2F))
            fail_msg("sharpness %g, in the dark %g", (double)q->sharpness, (double)d.sharpness);
        unsigned faults = fn_quality_faults(&d, NULL);
        assert_int_equal(faults, d.brightness < 40 ? FN_FAULT_DARK : 0);
        if (gain < 0.25)
            assert_int_equal(faults, FN_FAULT_DARK);
        fn_free(dark.rgb);
    }
    photo pale = copy_of(p);
    adjust(&pale, 0.15, 222);
    fn_quality b = measured(&pale.view, &pale.faces[0]);
    assert_int_equal(fn_quality_faults(&b, NULL), FN_FAULT_BRIGHT);
    fn_free(pale.rgb);
}

static void darkness_and_glare_are_seen_as_such(void **state) {
    (void)state;
    need_networks();
    assert_in_range(each_good_face(test_light), 15, 100);
}

static void test_place(const photo *p, const fn_quality *q) {
    photo small = cut_out(p, &p->faces[0], 50);
    fn_quality s = measured(&small.view, &small.faces[0]);
    assert_int_equal(fn_quality_faults(&s, NULL) & ~(unsigned)FN_FAULT_BLURRED, FN_FAULT_SMALL);
    assert_true(fabsf(s.yaw - q->yaw) < 0.1F && fabsf(s.eyes - q->eyes) < 0.001F);
    fn_free(small.rgb);
    // The picture ends in the middle of the face.
    photo part = *p;
    const float middle = p->faces[0].box.x + p->faces[0].box.width / 2;
    part.view.width = (int)middle;
    fn_quality e = measured(&part.view, &p->faces[0]);
    assert_int_equal(fn_quality_faults(&e, NULL) & ~(unsigned)(FN_FAULT_DARK | FN_FAULT_BRIGHT),
                     FN_FAULT_EDGE);
    assert_true(fabsf(e.inside - 0.5F) < 0.02F);
}

static void small_faces_and_faces_at_the_edge_are_seen_as_such(void **state) {
    (void)state;
    need_networks();
    assert_in_range(each_good_face(test_place), 15, 100);
}

static void a_mirrored_photograph_gives_the_mirrored_pose(void **state) {
    (void)state;
    need_networks();
    double sum = 0;
    int n = 0;
    for (int i = 1; i <= N_PHOTOS; i++) {
        photo p = open_demo(i), mirrored = copy_of(&p);
        fn_image_mirror(mirrored.rgb, mirrored.view.width, mirrored.view.height);
        find_faces(&mirrored);
        assert_int_equal(mirrored.n_faces, p.n_faces);
        for (size_t k = 0; k < p.n_faces; k++, n++) {
            fn_quality a = measured(&p.view, &p.faces[k]);
            fn_quality b = measured(&mirrored.view, &mirrored.faces[p.n_faces - 1 - k]);
            sum += fabs((double)a.yaw + b.yaw);
            // Landmarks of a face half turned away are guesses.
            const float allowed = fabsf(a.yaw) > 45 ? 30 : 12;
            if (fabsf(a.yaw + b.yaw) > allowed || fabsf(a.pitch - b.pitch) > allowed ||
                fabsf(a.roll + b.roll) > allowed)
                fail_msg("photograph %d face %zu: %g %g %g, mirrored %g %g %g", i, k, (double)a.yaw,
                         (double)a.pitch, (double)a.roll, (double)b.yaw, (double)b.pitch, (double)b.roll);
        }
        fn_free(p.rgb);
        fn_free(mirrored.rgb);
    }
    print_message("yaw of %d faces and their mirror images: %.1f degrees apart on average\n", n, sum / n);
    assert_true(sum / n < 5);
}

// --- Good photographs of others -----------------------------------------------------------------

enum { MAX_SAMPLE = 100 };

typedef struct sample {
    int n_seen, n, n_by_fault[7];
} sample;

static int visit(void *user, const char *path) {
    sample *s = user;
    size_t length = strlen(path);
    if (length < 4 || strcmp(path + length - 4, ".jpg") != 0 || s->n_seen++ % 36)
        return 0;
    photo p;
    if (!open_photo(&p, path))
        fail_msg("%s", fn_last_error());
    for (size_t i = 0; i < p.n_faces; i++) { // the one in the middle is meant
        const fn_box *box = &p.faces[i].box;
        if (hypot((double)box->x + box->width / 2 - p.view.width / 2,
                  (double)box->y + box->height / 2 - p.view.height / 2) > p.view.width / 8.0)
            continue;
        fn_quality q = measured(&p.view, &p.faces[i]);
        unsigned faults = fn_quality_faults(&q, NULL);
        for (int k = 0; k < 7; k++)
            s->n_by_fault[k] += faults >> k & 1;
        s->n++;
        break;
    }
    fn_free(p.rgb);
    return s->n == MAX_SAMPLE;
}

static void good_photographs_are_hardly_ever_refused(void **state) {
    (void)state;
    need_networks();
    const char *shared = getenv("FACENET_SHARED");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/data/lfw-dev", shared ? shared : "");
    sample s = {0};
    if (!shared || fn_walk(folder, visit, &s) < 0 || s.n == 0) {
        print_message("skipped: FACENET_SHARED has no data/lfw-dev\n");
        skip();
    }
    for (int k = 0; k < 7; k++) {
        print_message("%s: %d of %d\n", fn_quality_fault_text(1U << k), s.n_by_fault[k], s.n);
        assert_true(s.n_by_fault[k] <= 0.02 * s.n);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pose_of_a_turned_head_is_found),
        cmocka_unit_test(noise_in_the_landmarks_moves_the_pose_little),
        cmocka_unit_test(eyes_do_not_depend_on_turning),
        cmocka_unit_test(light_and_sharpness_are_what_was_drawn),
        cmocka_unit_test(the_measures_do_not_depend_on_the_format),
        cmocka_unit_test(what_lies_outside_the_picture_does_not_count),
        cmocka_unit_test(each_limit_raises_its_own_fault),
        cmocka_unit_test(a_look_is_worth_more_the_more_it_shows),
        cmocka_unit_test(wrong_faces_and_views_are_refused),
        cmocka_unit_test(memory_that_runs_out_is_reported),
        cmocka_unit_test(blur_is_seen_as_blur),
        cmocka_unit_test(darkness_and_glare_are_seen_as_such),
        cmocka_unit_test(small_faces_and_faces_at_the_edge_are_seen_as_such),
        cmocka_unit_test(a_mirrored_photograph_gives_the_mirrored_pose),
        cmocka_unit_test(good_photographs_are_hardly_ever_refused),
    };
    return cmocka_run_group_tests(tests, open_detector, close_detector);
}
