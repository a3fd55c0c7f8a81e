// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "align/compat.h"
#include "align/template.h"
#include "base/alloc.h"
#include "golden_faces.h"

#include <locale.h>
#include <math.h>
#include <string.h>

static void maps_to_dlib_chips_equal_the_reference(void **state) {
    (void)state;
    FILE *file = golden_open("faceapi_faces.txt");
    golden_face g;
    int n = 0;
    for (; golden_face_read(file, &g); n++) {
        double m[6];
        assert_int_equal(fn_align_matrix(m, fn_template_find("dlib-150"), &g.face), FN_OK);
        for (int i = 0; i < 6; i++)
            if (!(fabs(m[i] - g.map[i]) < (i % 3 == 2 ? 1e-3 : 1e-6)))
                fail_msg("%s face %d: m[%d] = %.9g, expected %.9g", g.image, n, i, m[i], g.map[i]);
    }
    fclose(file);
    assert_int_equal(n, 22);
}

static void compat_rectangles_equal_face_api(void **state) {
    (void)state;
    FILE *file = golden_open("faceapi_faces.txt");
    golden_face g;
    int n = 0;
    for (; golden_face_read(file, &g); n++) {
        fn_compat_rect crop = fn_compat_clip(g.box[0], g.box[1], g.box[2], g.box[3], g.width, g.height);
        assert_memory_equal(&crop, &g.crop, sizeof crop);
        fn_compat_rect chip = fn_compat_chip(g.face.landmarks, crop.width, crop.height);
        assert_memory_equal(&chip, &g.chip, sizeof chip);
        chip = fn_compat_clip(chip.x, chip.y, chip.width, chip.height, g.width, g.height);
        assert_memory_equal(&chip, &g.clipped, sizeof chip);
    }
    fclose(file);
    assert_int_equal(n, 22);
}

static void a_nan_box_clips_to_nothing(void **state) {
    (void)state;
    fn_compat_rect r = fn_compat_clip((double)NAN, 0, 10, 10, 100, 100);
    assert_true(r.width <= 100 && r.x >= 0);
    r = fn_compat_clip(200, 0, 10, 10, 100, 100);
    assert_true(r.width <= 0);
    fn_point landmarks[FN_N_LANDMARKS];
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        landmarks[i] = (fn_point){NAN, INFINITY};
    fn_compat_chip(landmarks, 10, 10);
}

static void compat_planes_pad_with_black_and_sample_without_half_pixels(void **state) {
    (void)state;
    const unsigned char gray[2 * 3] = {0, 100, 200, 40, 60, 80}; // 3 x 2
    fn_image image = {.data = gray, .width = 3, .height = 2, .stride_bytes = 3, .format = FN_PIXEL_GRAY8};
    const float mean[3] = {0, 0, 0};
    float dst[3 * 6 * 6];
    fn_compat_planes(dst, 6, &image, (fn_compat_rect){0, 0, 3, 2}, 0, mean, 1.0F);
    assert_float_equal(dst[0], 0, 1e-6);          // first sample on the first pixel's centre
    assert_float_equal(dst[1], 50, 1e-6);         // half way to the second
    assert_float_equal(dst[5], 200, 1e-6);        // beyond the last: clamped
    assert_float_equal(dst[1 * 6 + 0], 20, 1e-6); // between the rows
    assert_float_equal(dst[3 * 6 + 0], 20, 1e-6); // between the last row and the padding
    assert_float_equal(dst[5 * 6 + 2], 0, 1e-6);  // padding below
    fn_compat_planes(dst, 3, &image, (fn_compat_rect){1, 0, 1, 2}, 1, mean, 1.0F);
    assert_float_equal(dst[0], 100, 1e-6); // 1 x 2 centred in 2 x 2: the odd column goes to the right
    assert_float_equal(dst[2], 0, 40);
}

static void compat_warp_keeps_pixels_under_the_identity(void **state) {
    (void)state;
    const unsigned char gray[3 * 3] = {10, 20, 30, 40, 50, 60, 70, 80, 90};
    fn_image image = {.data = gray, .width = 3, .height = 3, .stride_bytes = 3, .format = FN_PIXEL_GRAY8};
    const float mean[3] = {10, 10, 10};
    const double shift[6] = {1, 0, 0.5, 0, 1, 0}, far_away[6] = {1, 0, 1e30, 0, 1, 1e30};
    float dst[3 * 3 * 3];
    fn_compat_warp(dst, 3, &image, shift, mean, 10.0F);
    assert_float_equal(dst[1], 0.5, 1e-6);  // half way between 10 and 20
    assert_float_equal(dst[0], -0.5, 1e-6); // half of it outside
    assert_float_equal(dst[9 + 4], 3.5, 1e-6);
    fn_compat_warp(dst, 3, &image, far_away, mean, 10.0F);
    assert_float_equal(dst[4], -1, 1e-6);
}

static void every_template_lies_in_its_crop_and_survives_text(void **state) {
    (void)state;
    assert_int_equal(fn_template_len(), 5);
    assert_null(fn_template_get(-1));
    assert_null(fn_template_get(5));
    assert_null(fn_template_find("no-such"));
    assert_null(fn_template_find(NULL));
    for (int i = 0; i < fn_template_len(); i++) {
        const fn_template *t = fn_template_get(i);
        assert_ptr_equal(fn_template_find(t->name), t);
        for (int k = 0; k < t->n_points; k++) {
            assert_true(t->points[k].x > 0 && t->points[k].x < (float)t->width);
            assert_true(t->points[k].y > 0 && t->points[k].y < (float)t->height);
        }
        char *text = fn_template_text(t);
        fn_template *copy = NULL;
        assert_int_equal(fn_template_parse(&copy, text), FN_OK);
        assert_string_equal(copy->name, t->name);
        assert_int_equal(copy->width, t->width);
        assert_int_equal(copy->n_points, t->n_points);
        assert_memory_equal(copy->points, t->points, sizeof *t->points * (size_t)t->n_points);
        char *again = fn_template_text(copy);
        assert_string_equal(again, text);
        fn_free(again);
        fn_free(text);
        fn_template_free(copy);
    }
    fn_template_free(NULL);
}

static void template_text_does_not_follow_the_locale(void **state) {
    (void)state;
    // Any locale with a decimal comma will do; where none is installed this shows little.
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "pt_BR.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setlocale(LC_ALL, names[i]);
    char *text = fn_template_text(fn_template_find("arcface-112"));
    setlocale(LC_ALL, "C");
    assert_non_null(strstr(text, "36-41:38.2946014,51.6963005 "));
    fn_free(text);
}

static void damaged_template_texts_are_refused(void **state) {
    (void)state;
    static const char *const damaged[] = {"",
                                          "name",
                                          " 10x10 0-0:1,1 1-1:2,2",
                                          "a 10x 0-0:1,1 1-1:2,2",
                                          "a 0x10 0-0:1,1 1-1:2,2",
                                          "a 10x4097 0-0:1,1 1-1:2,2",
                                          "a 10x99999999999999999999 0-0:1,1 1-1:2,2",
                                          "a 10x10",
                                          "a 10x10 0-0:1,1",
                                          "a 10x10 5-4:1,1 1-1:2,2",
                                          "a 10x10 0-68:1,1 1-1:2,2",
                                          "a 10x10 -1-0:1,1 1-1:2,2",
                                          "a 10x10 0-0:nan,1 1-1:2,2",
                                          "a 10x10 0-0:1e99,1 1-1:2,2",
                                          "a 10x10 0-0:1, 1 1-1:2,2",
                                          "a 10x10 0-0:1,1 1-1:2,2 ",
                                          "a 10x10 0-0:1,1 1-1:2,2\n",
                                          "a 10x10  0-0:1,1 1-1:2,2",
                                          "a 1x1 0-0:1,1 0-0:1,1 0-0:1,1 0-0:1,1 0-0:1,1 0-0:1,1",
                                          "\xff 1x1 0-0:1,1 0-0:1,1"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        fn_template *t = NULL;
        if (fn_template_parse(&t, damaged[i]) != FN_EFORMAT || t)
            fail_msg("\"%s\" was not refused", damaged[i]);
    }
    char *text = fn_template_text(fn_template_find("dlib-150"));
    for (size_t n = strlen(text); n-- > 0;) { // every truncation, without reading past the end
        char *cut = fn_strndup(text, n);
        fn_template *t = NULL;
        fn_template_parse(&t, cut);
        fn_template_free(t);
        fn_free(cut);
    }
    fn_free(text);
}

// The landmarks of a face whose template points land exactly where `m` takes them.
static fn_face face_for(const fn_template *t, double scale, double angle, double x, double y) {
    fn_face face = {.n_landmarks = FN_N_LANDMARKS};
    for (int i = 0; i < t->n_points; i++)
        for (int k = t->points[i].first; k <= t->points[i].last; k++) {
            double u = (double)t->points[i].x, v = (double)t->points[i].y;
            face.landmarks[k].x = (float)(scale * (cos(angle) * u - sin(angle) * v) + x);
            face.landmarks[k].y = (float)(scale * (sin(angle) * u + cos(angle) * v) + y);
        }
    return face;
}

static void a_turned_face_maps_onto_the_template(void **state) {
    (void)state;
    for (int i = 0; i < fn_template_len(); i++)
        for (double angle = -3.1; angle < 3.2; angle += 0.31) {
            const fn_template *t = fn_template_get(i);
            fn_face face = face_for(t, 3.7, angle, 1000, 700);
            double m[6];
            assert_int_equal(fn_align_matrix(m, t, &face), FN_OK);
            assert_true(m[0] * m[4] - m[1] * m[3] > 0); // never a reflection
            for (int k = 0; k < t->n_points; k++) {
                fn_point p = face.landmarks[t->points[k].first];
                double u = m[0] * (double)p.x + m[1] * (double)p.y + m[2];
                double v = m[3] * (double)p.x + m[4] * (double)p.y + m[5];
                assert_true(hypot(u - (double)t->points[k].x, v - (double)t->points[k].y) < 1e-3);
            }
        }
}

static void a_mirrored_face_is_not_reflected(void **state) {
    (void)state;
    const fn_template *t = fn_template_find("arcface-112");
    fn_face face = face_for(t, 1, 0, 0, 0);
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        face.landmarks[i].x = 112 - face.landmarks[i].x;
    double m[6];
    assert_int_equal(fn_align_matrix(m, t, &face), FN_OK);
    assert_true(m[0] * m[4] - m[1] * m[3] > 0);
    assert_true(m[0] == m[4] && m[1] == -m[3]);
}

static void degenerate_landmarks_are_refused(void **state) {
    (void)state;
    const fn_template *t = fn_template_find("arcface-112");
    fn_face face = {.n_landmarks = 0};
    double m[6];
    assert_int_equal(fn_align_matrix(m, t, &face), FN_EINVAL); // none
    face.n_landmarks = FN_N_LANDMARKS;
    assert_int_equal(fn_align_matrix(m, t, &face), FN_EINVAL); // all on one point
    face = face_for(t, 1, 0, 0, 0);
    face.landmarks[30].x = NAN;
    assert_int_equal(fn_align_matrix(m, t, &face), FN_EINVAL);
    face.landmarks[30].x = INFINITY;
    assert_int_equal(fn_align_matrix(m, t, &face), FN_EINVAL);
    assert_int_equal(fn_align_matrix(m, NULL, &face), FN_EINVAL);
    assert_int_equal(fn_align_matrix(m, t, NULL), FN_EINVAL);
}

static void a_crop_shows_the_face_and_black_outside(void **state) {
    (void)state;
    enum { SIDE = 64 };
    unsigned char gray[SIDE * SIDE], crop[112 * 112 * 3];
    memset(gray, 200, sizeof gray);
    fn_image image = {
        .data = gray, .width = SIDE, .height = SIDE, .stride_bytes = SIDE, .format = FN_PIXEL_GRAY8};
    const fn_template *t = fn_template_find("arcface-112");
    fn_face face = face_for(t, 1, 0, 0, 0); // the crop is the picture's corner and more
    assert_int_equal(fn_align(crop, t, &image, &face), FN_OK);
    assert_int_equal(crop[(30 * 112 + 30) * 3], 200);
    assert_int_equal(crop[(100 * 112 + 30) * 3 + 1], 0);
    face = face_for(t, 1, 0, 1e6, 1e6); // the face lies far outside
    assert_int_equal(fn_align(crop, t, &image, &face), FN_OK);
    for (size_t i = 0; i < sizeof crop; i++)
        assert_int_equal(crop[i], 0);
    image.data = NULL;
    assert_int_equal(fn_align(crop, t, &image, &face), FN_EINVAL);
}

static void a_failing_allocation_is_reported(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++) {
        fn_template *t = NULL;
        fn_alloc_fail_nth(n);
        int rc = fn_template_parse(&t, "a 10x10 0-0:1,1 1-1:2,2");
        fn_alloc_fail_nth(0);
        assert_int_equal(rc, n <= 2 ? FN_ENOMEM : FN_OK);
        fn_template_free(t);
    }
    fn_alloc_fail_nth(1);
    char *text = fn_template_text(fn_template_get(0));
    fn_alloc_fail_nth(0);
    assert_null(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_to_dlib_chips_equal_the_reference),
        cmocka_unit_test(compat_rectangles_equal_face_api),
        cmocka_unit_test(a_nan_box_clips_to_nothing),
        cmocka_unit_test(compat_planes_pad_with_black_and_sample_without_half_pixels),
        cmocka_unit_test(compat_warp_keeps_pixels_under_the_identity),
        cmocka_unit_test(every_template_lies_in_its_crop_and_survives_text),
        cmocka_unit_test(template_text_does_not_follow_the_locale),
        cmocka_unit_test(damaged_template_texts_are_refused),
        cmocka_unit_test(a_turned_face_maps_onto_the_template),
        cmocka_unit_test(a_mirrored_face_is_not_reflected),
        cmocka_unit_test(degenerate_landmarks_are_refused),
        cmocka_unit_test(a_crop_shows_the_face_and_black_outside),
        cmocka_unit_test(a_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
