// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "detect/landmarks.h"
#include "detect/scales.h"
#include "detect/search.h"
#include "detect/ssd.h"
#include "golden_faces.h"
#include "image/image.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_SHORT = 896, N_FULL = 2304 };

static void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g and %.9g differ by more than %.2g", a, b, tolerance);
}

// --- Reports ------------------------------------------------------------------------------------

static fn_blazeface_view plain_view(int width, int height) {
    return (fn_blazeface_view){.step_x = 1, .step_y = 1, .width = width, .height = height};
}

static fn_detections decode_one(const fn_blazeface_spec *spec, const fn_blazeface_view *view, int anchor,
                                const float raw[16], float logit) {
    const int n = fn_blazeface_n_anchors(spec, view->width, view->height);
    float *boxes = fn_calloc((size_t)n, 16 * sizeof *boxes), *scores = fn_calloc((size_t)n, sizeof *scores);
    fn_detections list = {0};
    for (int i = 0; i < n; i++)
        scores[i] = -50;
    memcpy(boxes + (size_t)anchor * 16, raw, 16 * sizeof *raw);
    scores[anchor] = logit;
    assert_int_equal(fn_blazeface_decode(&list, spec, view, boxes, scores, 0.5F), FN_OK);
    fn_free(boxes);
    fn_free(scores);
    return list;
}

static void anchors_are_counted_as_the_papers_do(void **state) {
    (void)state;
    assert_int_equal(fn_blazeface_n_anchors(&fn_blazeface_short, 128, 128), N_SHORT);
    assert_int_equal(fn_blazeface_n_anchors(&fn_blazeface_full, 192, 192), N_FULL);
    assert_int_equal(fn_blazeface_n_anchors(&fn_blazeface_full, 384, 192), 2 * N_FULL);
}

static void an_anchor_reports_in_row_column_anchor_order(void **state) {
    (void)state;
    const float raw[16] = {2, -3, 40, 50, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
    const fn_blazeface_view view = plain_view(128, 128);
    const struct {
        int anchor;
        float x, y;
    } cases[] = {{0, 4, 4},   {1, 4, 4},    {2, 12, 4},        {32, 4, 12},     {512, 8, 8},
                 {517, 8, 8}, {518, 24, 8}, {512 + 48, 8, 24}, {511, 124, 124}, {895, 120, 120}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_detections list = decode_one(&fn_blazeface_short, &view, cases[i].anchor, raw, 3);
        assert_int_equal(list.len, 1);
        const fn_detection *d = &list.data[0];
        assert_close(d->box.x + d->box.width / 2, cases[i].x + 2, 1e-4);
        assert_close(d->box.y + d->box.height / 2, cases[i].y - 3, 1e-4);
        assert_close(d->box.width, 40, 1e-4);
        assert_close(d->keypoints[0].x, cases[i].x + 1, 1e-4);
        assert_close(d->keypoints[5].y, cases[i].y + 5, 1e-4);
        assert_close(d->score, 1 / (1 + exp(-3)), 1e-6);
        fn_detections_free(&list);
    }
}

static void a_view_carries_reports_to_the_picture(void **state) {
    (void)state;
    const float raw[16] = {0, 0, 10, 20};
    fn_blazeface_view view = plain_view(192, 192);
    view.x = 100;
    view.y = -50;
    view.step_x = 2;
    view.step_y = 3;
    fn_detections list = decode_one(&fn_blazeface_full, &view, 48 * 10 + 20, raw, 1);
    assert_int_equal(list.len, 1);
    assert_close(list.data[0].box.x, 100 + 2 * (82 - 5), 1e-4);
    assert_close(list.data[0].box.y, -50 + 3 * (42 - 10), 1e-4);
    assert_close(list.data[0].box.height, 60, 1e-4);
    fn_detections_free(&list);
}

static void reports_at_inner_borders_are_left_to_the_neighbour(void **state) {
    (void)state;
    const float raw[16] = {0, 0, 10, 10};
    fn_blazeface_view view = plain_view(192, 192);
    const int left = 48 * 20, right = 48 * 20 + 47, top = 20, bottom = 48 * 47 + 20;
    const int anchors[4] = {left, top, right, bottom};
    for (int i = 0; i < 4; i++) {
        fn_detections list = decode_one(&fn_blazeface_full, &view, anchors[i], raw, 1);
        assert_int_equal(list.len, 1); // the picture's own border hides nobody
        fn_detections_free(&list);
        view.inner[i] = 1;
        list = decode_one(&fn_blazeface_full, &view, anchors[i], raw, 1);
        assert_int_equal(list.len, 0);
        fn_detections_free(&list);
        view.inner[i] = 0;
    }
    view.max_width = 9;
    fn_detections list = decode_one(&fn_blazeface_full, &view, 48 * 20 + 20, raw, 1);
    assert_int_equal(list.len, 0);
    fn_detections_free(&list);
}

static void numbers_that_are_none_are_never_reported(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30F};
    const fn_blazeface_view view = plain_view(192, 192);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int k = 0; k < 16; k++) {
            float raw[16] = {0, 0, 10, 10};
            raw[k] = bad[i];
            fn_detections list = decode_one(&fn_blazeface_full, &view, 48 * 20 + 20, raw, 1);
            assert_int_equal(list.len, 0);
            fn_detections_free(&list);
        }
    const float raw[16] = {0, 0, 10, 10}, negative[16] = {0, 0, -10, 10};
    fn_detections list = decode_one(&fn_blazeface_full, &view, 5, raw, NAN);
    assert_int_equal(list.len, 0);
    list = decode_one(&fn_blazeface_full, &view, 5, negative, 1);
    assert_int_equal(list.len, 0);
    list = decode_one(&fn_blazeface_full, &view, 48 * 20 + 20, raw, INFINITY);
    assert_int_equal(list.len, 1);
    assert_close(list.data[0].score, 1, 0);
    fn_detections_free(&list);
}

static void ssd_boxes_are_decoded_from_their_priors(void **state) {
    (void)state;
    const float priors[] = {0.2F, 0.3F, 0.4F, 0.7F, 0, 0, 1, 1, 0, 0, 1, 1};
    const float boxes[] = {0, 0, 0, 0, 1, 2, 5 * logf(2), 0, 0, 0, 1e30F, 0};
    const float scores[] = {9, 2, 9, 0, 1, 0, 0, 5, 0};
    fn_detections list = {0};
    assert_int_equal(fn_ssd_decode(&list, boxes, scores, priors, 3, 0.5F), FN_OK);
    assert_int_equal(list.len, 2); // the third is infinitely tall
    assert_close(list.data[0].box.x, 0.3, 1e-6);
    assert_close(list.data[0].box.y, 0.2, 1e-6);
    assert_close(list.data[0].box.width, 0.4, 1e-6);
    assert_close(list.data[0].score, 1 / (1 + exp(-2)), 1e-6);
    assert_close(list.data[1].box.y, 0.6 - 1, 1e-5);
    assert_close(list.data[1].box.height, 2, 1e-5);
    fn_detections_free(&list);
}

// --- Lists --------------------------------------------------------------------------------------

static void add(fn_detections *list, float x, float y, float size, float score) {
    const fn_detection d = {.box = {x, y, size, size}, .score = score};
    assert_int_equal(fn_detections_add(list, &d), FN_OK);
}

static void overlap_is_intersection_over_union(void **state) {
    (void)state;
    const fn_box a = {0, 0, 10, 10}, b = {5, 0, 10, 10}, c = {10, 0, 10, 10};
    assert_close(fn_box_iou(&a, &a), 1, 1e-6);
    assert_close(fn_box_iou(&a, &b), 1.0 / 3, 1e-6);
    assert_close(fn_box_iou(&a, &c), 0, 0);
}

static void sorting_does_not_depend_on_the_input_order(void **state) {
    (void)state;
    fn_detections a = {0}, b = {0};
    const float xs[] = {30, 10, 20, 40};
    for (int i = 0; i < 4; i++) {
        add(&a, xs[i], 0, 5, i == 3 ? 0.9F : 0.5F);
        add(&b, xs[3 - i], 0, 5, i == 0 ? 0.9F : 0.5F);
    }
    fn_detections_sort(&a);
    fn_detections_sort(&b);
    assert_memory_equal(a.data, b.data, 4 * sizeof *a.data);
    assert_close(a.data[0].box.x, 40, 0);
    assert_close(a.data[1].box.x, 10, 0);
    fn_detections_free(&a);
    fn_detections_free(&b);
}

static void a_flood_of_reports_is_cut_to_the_best(void **state) {
    (void)state;
    fn_detections list = {0};
    for (int i = 0; i < 3 * FN_MAX_DETECTIONS; i++)
        add(&list, (float)(20 * i), 0, 10, (float)(i % 1000) / 1000);
    fn_detections_sort(&list);
    assert_int_equal(list.len, FN_MAX_DETECTIONS);
    assert_true(list.data[list.len - 1].score > 0.6F);
    fn_detections_blend(&list, 0.3F);
    assert_int_equal(list.len, FN_MAX_DETECTIONS);
    fn_detections_free(&list);
}

static void suppression_keeps_the_better_of_two(void **state) {
    (void)state;
    fn_detections list = {0};
    add(&list, 0, 0, 10, 0.7F);
    add(&list, 1, 0, 10, 0.9F);
    add(&list, 50, 0, 10, 0.6F);
    fn_detections_sort(&list);
    fn_detections_suppress(&list, 0.5F);
    assert_int_equal(list.len, 2);
    assert_close(list.data[0].box.x, 1, 0);
    assert_close(list.data[1].box.x, 50, 0);
    fn_detections_free(&list);
    fn_detections_suppress(&list, 0.5F); // of nothing
    fn_detections_blend(&list, 0.5F);
    fn_detections_unnest(&list, 0.5F);
    assert_int_equal(list.len, 0);
}

static void blending_weighs_boxes_by_score(void **state) {
    (void)state;
    fn_detections list = {0};
    add(&list, 0, 0, 10, 0.9F);
    add(&list, 50, 50, 10, 0.8F);
    add(&list, 2, 0, 10, 0.6F);
    add(&list, 52, 50, 10, 0.4F);
    fn_detections_sort(&list);
    fn_detections_blend(&list, 0.3F);
    assert_int_equal(list.len, 2);
    assert_close(list.data[0].box.x, 2 * 0.6 / 1.5, 1e-5);
    assert_close(list.data[0].score, 0.9, 1e-6);
    assert_close(list.data[1].box.x, 50 + 2 * 0.4 / 1.2, 1e-5);
    fn_detections_free(&list);
}

static void a_face_is_not_inside_another(void **state) {
    (void)state;
    fn_detections list = {0}, more = {0};
    add(&list, 40, 40, 20, 0.9F);
    add(&list, 0, 0, 100, 0.7F);
    add(&list, 200, 0, 20, 0.6F);
    fn_detections_unnest(&list, 0.7F);
    assert_int_equal(list.len, 2);
    assert_close(list.data[0].box.width, 20, 0);
    add(&more, 45, 45, 30, 0.95F); // shares three quarters of the smaller
    add(&more, 300, 0, 20, 0.5F);
    assert_int_equal(fn_detections_fill(&list, &more, 0.3F), FN_OK);
    assert_int_equal(list.len, 3);
    assert_close(list.data[2].box.x, 300, 0);
    fn_detections_free(&list);
    fn_detections_free(&more);
}

// --- Scales -------------------------------------------------------------------------------------

static void levels_double_and_end_at_the_whole_picture(void **state) {
    (void)state;
    double scales[FN_MAX_LEVELS];
    int n = fn_scales_levels(scales, 4000, 3000, 0.6);
    assert_int_equal(n, 4);
    for (int i = 0; i < n; i++)
        assert_close(scales[i], 0.6 / (1 << i), 1e-12);
    assert_true(scales[n - 1] / 2 <= 192.0 / 4000 * 1.25);
    assert_int_equal(fn_scales_levels(scales, 250, 250, 0.6), 0);
    n = fn_scales_levels(scales, 4000, 3000, 8); // never enlarged
    assert_close(scales[0], 1, 0);
    n = fn_scales_levels(scales, 65535, 1, 1);
    assert_true(n > 0 && n < FN_MAX_LEVELS);
}

static void check_tiling(fn_tiling t) {
    assert_true(t.n >= 1 && t.size % 32 == 0);
    const int first = fn_scales_origin(&t, 0), last = fn_scales_origin(&t, t.n - 1);
    assert_true(first <= 0 && last + t.size >= t.length);
    // A face as wide as the level is responsible for is whole, clear of the margin, in some tile.
    const int width = FN_TILE_OVERLAP_PX - 2 * FN_BLAZEFACE_MARGIN_PX;
    for (int x = 0; x + width <= t.length; x++) {
        int whole = 0;
        for (int i = 0; i < t.n; i++) {
            const int left = fn_scales_origin(&t, i), right = left + t.size;
            whole |= (i == 0 || x >= left + FN_BLAZEFACE_MARGIN_PX) &&
                     (i == t.n - 1 || x + width <= right - FN_BLAZEFACE_MARGIN_PX);
        }
        if (!whole)
            fail_msg("length %d, %d tiles of %d: a face at %d is cut", t.length, t.n, t.size, x);
    }
}

static void tiles_cover_a_level_and_cut_no_face(void **state) {
    (void)state;
    for (int length = 1; length < 3000; length += length < 900 ? 7 : 61) {
        check_tiling(fn_scales_tile_cheaply(length));
        check_tiling(fn_scales_tile(length, 192));
        check_tiling(fn_scales_tile(length, FN_CLOSE_LOOK_PX));
    }
    const fn_tiling huge = fn_scales_tile_cheaply(65535);
    assert_true((int64_t)huge.n * huge.size < 65535 * 2);
    assert_true(fn_scales_origin(&huge, huge.n - 1) + huge.size == 65535);
}

static void the_nearest_tile_holds_the_place(void **state) {
    (void)state;
    for (int length = 1; length < 2000; length += 37) {
        const fn_tiling t = fn_scales_tile(length, FN_CLOSE_LOOK_PX);
        for (int x = 0; x < length; x += 3) {
            const int i = fn_scales_nearest(&t, x), left = fn_scales_origin(&t, i);
            assert_true(i >= 0 && i < t.n && x >= left && x < left + t.size);
        }
        assert_int_equal(fn_scales_nearest(&t, -1e9), 0);
        assert_int_equal(fn_scales_nearest(&t, 1e9), t.n - 1);
    }
}

// --- Landmark crops -----------------------------------------------------------------------------

static void the_landmark_crop_is_a_square_moved_down(void **state) {
    (void)state;
    const fn_face face = {.box = {100, 200, 50, 80}};
    double m[6];
    fn_landmarks_map(m, &face, 112);
    const double side = 80 * 1.1;
    assert_close(m[0], 112 / side, 1e-9);
    assert_close(m[1], 0, 0);
    assert_close(m[0] * 125 + m[2], 56, 1e-6);
    assert_close(m[4] * (240 + 0.04 * side) + m[5], 56, 1e-6);
}

static void the_landmark_crop_follows_tilted_eyes(void **state) {
    (void)state;
    fn_face face = {.box = {100, 100, 100, 100}, .n_keypoints = FN_N_KEYPOINTS};
    double m[6];
    for (int degrees = -180; degrees <= 180; degrees += 5) {
        const double angle = degrees * 3.14159265358979 / 180;
        face.keypoints[0] = (fn_point){(float)(150 - 20 * cos(angle)), (float)(150 - 20 * sin(angle))};
        face.keypoints[1] = (fn_point){(float)(150 + 20 * cos(angle)), (float)(150 + 20 * sin(angle))};
        fn_landmarks_map(m, &face, 112);
        double y[2];
        for (int i = 0; i < 2; i++)
            y[i] = m[3] * (double)face.keypoints[i].x + m[4] * (double)face.keypoints[i].y + m[5];
        if (abs(degrees) > 15)
            assert_close(y[0], y[1], 1e-3); // level
        else
            assert_true(m[1] == 0);
    }
    face.keypoints[0].x = NAN;
    fn_landmarks_map(m, &face, 112);
    assert_true(m[1] == 0);
}

// --- With networks ------------------------------------------------------------------------------

static fn_detector *open_detector(const char *name) {
    fn_detector_options options = FN_DETECTOR_OPTIONS_INIT;
    fn_detector *detector = NULL;
    options.detector = name;
    options.model.directory = golden_models();
    options.model.backend = golden_backend();
    if (fn_detector_open(&detector, &options) < 0)
        fail_msg("%s", fn_last_error());
    return detector;
}

static fn_faces *run(fn_detector *detector, const fn_picture *picture, const fn_detect_options *options) {
    fn_faces *faces = NULL;
    if (fn_detector_run(detector, fn_picture_image(picture), options, &faces) < 0)
        fail_msg("%s", fn_last_error());
    return faces;
}

// What one network reports on a picture, letterboxed as the reference did it: box means by a power of
// two, then bilinear.
static fn_detections run_letterboxed(const fn_blazeface *net, const fn_image *image) {
    const int size = net->spec->size;
    const double side = image->width > image->height ? image->width : image->height, scale = size / side;
    const double left = (side - image->width) / 2, top = (side - image->height) / 2;
    const double m[6] = {scale, 0, left * scale, 0, scale, top * scale};
    unsigned char *rgb = fn_alloc((size_t)size * (size_t)size * 3);
    const fn_image input = {rgb, size, size, (ptrdiff_t)size * 3, FN_PIXEL_RGB8};
    fn_detections list = {0};
    assert_int_equal(fn_image_warp(rgb, size, size, image, m), FN_OK);
    assert_int_equal(fn_blazeface_whole(&list, net, &input, 0), FN_OK);
    fn_detections_sort(&list);
    fn_detections_blend(&list, 0.3F);
    for (size_t i = 0; i < list.len; i++) {
        fn_box *box = &list.data[i].box;
        *box = (fn_box){(float)((double)box->x / scale - left), (float)((double)box->y / scale - top),
                        (float)((double)box->width / scale), (float)((double)box->height / scale)};
    }
    fn_free(rgb);
    return list;
}

static void each_network_finds_what_onnx_runtime_finds(void **state) {
    (void)state;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    options.directory = golden_models();
    options.backend = golden_backend();
    fn_blazeface nets[2] = {{0}};
    assert_int_equal(fn_blazeface_open(&nets[0], &fn_blazeface_short, &options), FN_OK);
    assert_int_equal(fn_blazeface_open(&nets[1], &fn_blazeface_full, &options), FN_OK);
    FILE *file = golden_open("blazeface_faces.txt");
    char image[32], net[16], last[64] = "", now[64];
    fn_detections list = {0};
    int n = 0, n_reports = 0;
    double worst_overlap = 1, worst_score = 0;
    while (fscanf(file, "%31s %15s", image, net) == 2) {
        double row[17];
        golden_numbers(file, row, 17);
        snprintf(now, sizeof now, "%s %s", image, net);
        if (strcmp(now, last) != 0) {
            fn_picture *picture = golden_photo(image);
            fn_detections_free(&list);
            list = run_letterboxed(&nets[strcmp(net, "full") == 0], fn_picture_image(picture));
            n_reports += (int)list.len;
            fn_picture_free(picture);
            strcpy(last, now);
        }
        const fn_box box = {(float)row[1], (float)row[2], (float)(row[3] - row[1]), (float)(row[4] - row[2])};
        double overlap = 0, score = 1;
        for (size_t i = 0; i < list.len; i++)
            if ((double)fn_box_iou(&box, &list.data[i].box) > overlap) {
                overlap = (double)fn_box_iou(&box, &list.data[i].box);
                score = fabs((double)list.data[i].score - row[0]);
            }
        worst_overlap = fmin(worst_overlap, overlap);
        worst_score = fmax(worst_score, score);
        n++;
    }
    print_message("%d reports: smallest overlap %.3f, largest difference of scores %.4f\n", n, worst_overlap,
                  worst_score);
    assert_int_equal(n, 36);
    assert_int_equal(n_reports, n);
    assert_true(worst_overlap > 0.96 && worst_score < 0.01);
    fclose(file);
    fn_detections_free(&list);
    fn_blazeface_free(&nets[0]);
    fn_blazeface_free(&nets[1]);
}

static void ssd_and_landmarks_equal_face_api(void **state) {
    (void)state;
    fn_detector *detector = open_detector("ssd");
    FILE *file = golden_open("faceapi_faces.txt");
    golden_face g;
    double worst_score = 0, worst_box = 0, worst_landmark = 0;
    int n = 0;
    for (; golden_face_read(file, &g); n++) {
        fn_picture *picture = golden_photo(g.image);
        fn_faces *faces = run(detector, picture, NULL);
        const fn_face *f = NULL;
        for (size_t i = 0; i < fn_faces_len(faces); i++)
            if (fn_box_iou(&fn_faces_get(faces, i)->box, &g.face.box) > 0.9F)
                f = fn_faces_get(faces, i);
        assert_non_null(f);
        worst_score = fmax(worst_score, fabs((double)f->score - (double)g.face.score));
        const float box[4] = {f->box.x, f->box.y, f->box.width, f->box.height};
        for (int i = 0; i < 4; i++)
            worst_box = fmax(worst_box, fabs((double)box[i] - g.box[i]));
        for (int i = 0; i < FN_N_LANDMARKS; i++)
            worst_landmark =
                fmax(worst_landmark, hypot((double)f->landmarks[i].x - (double)g.face.landmarks[i].x,
                                           (double)f->landmarks[i].y - (double)g.face.landmarks[i].y));
        fn_faces_free(faces);
        fn_picture_free(picture);
    }
    print_message("%d faces: score %.1e, box %.1e px, landmark %.1e px\n", n, worst_score, worst_box,
                  worst_landmark);
    assert_int_equal(n, 22);
    assert_true(worst_score < 1e-5 && worst_box < 1e-3 && worst_landmark < 1e-3);
    fclose(file);
    fn_detector_free(detector);
}

static void the_default_finds_every_demo_face_and_no_other(void **state) {
    (void)state;
    fn_detector *detector = open_detector(NULL);
    FILE *file = golden_open("faceapi_faces.txt");
    golden_face rows[32];
    int n = 0, n_found = 0, n_boxes = 0;
    double distance = 0;
    while (n < 32 && golden_face_read(file, &rows[n]))
        n++;
    for (int k = 1; k <= 6; k++) {
        char image[32];
        snprintf(image, sizeof image, "sample%d", k);
        fn_picture *picture = golden_photo(image);
        fn_faces *faces = run(detector, picture, NULL);
        n_boxes += (int)fn_faces_len(faces);
        for (size_t i = 1; i < fn_faces_len(faces); i++) {
            const fn_box *a = &fn_faces_get(faces, i - 1)->box, *b = &fn_faces_get(faces, i)->box;
            assert_true(a->x + a->width / 2 <= b->x + b->width / 2); // left to right
        }
        for (int r = 0; r < n; r++)
            for (size_t i = 0; i < fn_faces_len(faces) && strcmp(rows[r].image, image) == 0; i++) {
                const fn_face *f = fn_faces_get(faces, i);
                assert_int_equal(f->n_landmarks, FN_N_LANDMARKS);
                assert_int_equal(f->n_keypoints, FN_N_KEYPOINTS);
                if (fn_box_iou(&f->box, &rows[r].face.box) < 0.3F)
                    continue;
                n_found++;
                // The outer eye corners agree with those that face-api finds from its own boxes.
                distance =
                    fmax(distance, hypot((double)f->landmarks[36].x - (double)rows[r].face.landmarks[36].x,
                                         (double)f->landmarks[36].y - (double)rows[r].face.landmarks[36].y) /
                                       (double)f->box.width);
            }
        fn_faces_free(faces);
        fn_picture_free(picture);
    }
    print_message("%d of %d faces in %d boxes, eye corner at most %.2f of the width away\n", n_found, n,
                  n_boxes, distance);
    assert_int_equal(n_found, 22);
    assert_int_equal(n_boxes, 22);
    fclose(file);
    fn_detector_free(detector);
}

typedef struct repeat {
    fn_detector *detector;
    const fn_picture *picture;
    fn_faces *faces;
} repeat;

static void *run_again(void *user) {
    repeat *r = user;
    fn_detector_run(r->detector, fn_picture_image(r->picture), NULL, &r->faces);
    return NULL;
}

static void threads_share_a_detector_and_get_the_same_bits(void **state) {
    (void)state;
    fn_detector *detector = open_detector(NULL);
    fn_picture *picture = golden_photo("sample1");
    fn_faces *expected = run(detector, picture, NULL);
    repeat repeats[3];
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        repeats[i] = (repeat){detector, picture, NULL};
        assert_int_equal(pthread_create(&threads[i], NULL, run_again, &repeats[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_non_null(repeats[i].faces);
        assert_int_equal(fn_faces_len(repeats[i].faces), fn_faces_len(expected));
        for (size_t k = 0; k < fn_faces_len(expected); k++)
            assert_memory_equal(fn_faces_get(repeats[i].faces, k), fn_faces_get(expected, k),
                                sizeof(fn_face));
        fn_faces_free(repeats[i].faces);
    }
    fn_faces_free(expected);
    fn_picture_free(picture);
    fn_detector_free(detector);
}

static void options_limit_what_comes_back(void **state) {
    (void)state;
    fn_detector *detector = open_detector(NULL);
    fn_picture *picture = golden_photo("sample1");
    fn_detect_options options = FN_DETECT_OPTIONS_INIT;
    options.max_faces = 1;
    options.no_landmarks = 1;
    fn_faces *all = run(detector, picture, NULL), *best = run(detector, picture, &options);
    assert_int_equal(fn_faces_len(best), 1);
    assert_int_equal(fn_faces_get(best, 0)->n_landmarks, 0);
    for (size_t i = 0; i < fn_faces_len(all); i++)
        assert_true(fn_faces_get(all, i)->score <= fn_faces_get(best, 0)->score);
    fn_faces_free(best);
    fn_faces_free(all);
    options.min_score = 1;
    best = run(detector, picture, &options);
    assert_int_equal(fn_faces_len(best), 0);
    fn_faces_free(best);

    fn_detect_options bad[4] = {options, options, options, options};
    bad[0].version = 99;
    bad[1].min_face = NAN;
    bad[2].min_score = 2;
    bad[3].max_faces = -1;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fn_detector_run(detector, fn_picture_image(picture), &bad[i], &best), FN_EINVAL);
        assert_null(best);
    }
    fn_picture_free(picture);
    fn_detector_free(detector);
}

static void odd_pictures_do_no_harm(void **state) {
    (void)state;
    fn_detector *blazeface = open_detector(NULL), *ssd = open_detector("ssd");
    unsigned char *pixels = fn_alloc(65535 * 3);
    for (int i = 0; i < 65535 * 3; i++)
        pixels[i] = (unsigned char)(i * 7919 >> 3);
    const int sizes[][2] = {{1, 1}, {2, 1}, {1, 300}, {65535, 1}, {1, 65535}, {7, 193}, {255, 257}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int k = 0; k < 4; k++) {
            const fn_image image = {pixels, sizes[i][0], sizes[i][1], (ptrdiff_t)sizes[i][0] * 3,
                                    FN_PIXEL_BGR8};
            fn_detect_options options = FN_DETECT_OPTIONS_INIT;
            fn_faces *faces = NULL;
            options.min_face = k < 2 ? 0.0F : 1e-3F;
            if (fn_detector_run(k % 2 ? ssd : blazeface, &image, &options, &faces) < 0)
                fail_msg("%d x %d: %s", image.width, image.height, fn_last_error());
            fn_faces_free(faces);
        }
    fn_faces *faces = (fn_faces *)pixels;
    assert_int_equal(fn_detector_run(blazeface, NULL, NULL, &faces), FN_EINVAL);
    assert_null(faces);
    fn_free(pixels);
    fn_detector_free(ssd);
    fn_detector_free(blazeface);
}

static void landmarks_need_a_box_with_a_face(void **state) {
    (void)state;
    fn_detector *blazeface = open_detector(NULL), *ssd = open_detector("ssd");
    fn_picture *picture = golden_photo("sample1");
    const fn_image *image = fn_picture_image(picture);
    const fn_box bad[] = {
        {NAN, 0, 10, 10}, {0, 0, 0, 10}, {0, 0, 10, -1}, {0, 0, INFINITY, 10}, {1e30F, 0, 10, 10}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fn_face face = {.box = bad[i]};
        assert_int_equal(fn_detector_landmarks(blazeface, image, &face), FN_EINVAL);
        assert_int_equal(fn_detector_landmarks(ssd, image, &face), FN_EINVAL);
    }
    fn_face outside = {.box = {-500, -500, 100, 100}};
    assert_int_equal(fn_detector_landmarks(ssd, image, &outside), FN_EINVAL);
    assert_int_equal(fn_detector_landmarks(blazeface, image, &outside), FN_OK); // a black crop
    fn_face face = {.box = {382, 388, 203, 203}};
    assert_int_equal(fn_detector_landmarks(blazeface, image, &face), FN_OK);
    assert_int_equal(face.n_landmarks, FN_N_LANDMARKS);
    assert_true(face.landmarks[36].x < face.landmarks[45].x && face.landmarks[36].y < face.landmarks[57].y);
    fn_picture_free(picture);
    fn_detector_free(ssd);
    fn_detector_free(blazeface);
}

static void a_wrong_model_is_refused_by_name(void **state) {
    (void)state;
    const char *models = golden_models();
    fn_detector_options options = FN_DETECTOR_OPTIONS_INIT;
    fn_detector *detector;
    options.detector = "magic";
    assert_int_equal(fn_detector_open(&detector, &options), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "magic"));
    options.detector = NULL;
    options.model.directory = "/nonexistent";
    assert_int_equal(fn_detector_open(&detector, &options), FN_EMODEL);
    assert_null(detector);

    char folder[] = "/tmp/test_detect_XXXXXX", from[4096], to[4096];
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "%s/landmarks-68.onnx", models);
    static const char *const names[] = {"blazeface-short", "blazeface-full", "ssd-mobilenetv1"};
    for (int i = 0; i < 3; i++) {
        snprintf(to, sizeof to, "%s/%s.onnx", folder, names[i]);
        assert_int_equal(symlink(from, to), 0);
    }
    options.model.directory = folder;
    for (int i = 0; i < 2; i++) {
        options.detector = i ? "ssd" : "blazeface";
        assert_int_equal(fn_detector_open(&detector, &options), FN_EMODEL);
        assert_non_null(strstr(fn_last_error(), i ? "ssd-mobilenetv1" : "blazeface-short"));
    }
    for (int i = 0; i < 3; i++) {
        snprintf(to, sizeof to, "%s/%s.onnx", folder, names[i]);
        unlink(to);
    }
    rmdir(folder);
}

static void the_canonical_text_names_every_network(void **state) {
    (void)state;
    fn_detector *blazeface = open_detector(NULL), *ssd = open_detector("ssd");
    assert_string_not_equal(fn_detector_canonical(blazeface), fn_detector_canonical(ssd));
    assert_non_null(strstr(fn_detector_canonical(blazeface), "landmarks: "));
    assert_non_null(strstr(fn_detector_canonical(ssd), "detector: ssd "));
    fn_detector_free(ssd);
    fn_detector_free(blazeface);
}

static void any_failing_allocation_is_reported(void **state) {
    (void)state;
    fn_detector *detector = open_detector(NULL);
    fn_picture *picture = golden_photo("sample2");
    fn_faces *faces = run(detector, picture, NULL); // plans are made
    const size_t expected = fn_faces_len(faces);
    fn_faces_free(faces);
    int n = 1, rc = FN_ENOMEM;
    for (; rc != FN_OK && n < 2000; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_detector_run(detector, fn_picture_image(picture), NULL, &faces);
        fn_alloc_fail_nth(0);
        if (rc != FN_OK)
            assert_int_equal(rc, FN_ENOMEM);
    }
    assert_true(n > 20);
    assert_int_equal(fn_faces_len(faces), expected);
    fn_faces_free(faces);
    fn_picture_free(picture);
    fn_detector_free(detector);
}

int main(void) {
    if (golden_backend() == FN_BACKEND_REF)
        cmocka_set_test_filter("*_face_api");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anchors_are_counted_as_the_papers_do),
        cmocka_unit_test(an_anchor_reports_in_row_column_anchor_order),
        cmocka_unit_test(a_view_carries_reports_to_the_picture),
        cmocka_unit_test(reports_at_inner_borders_are_left_to_the_neighbour),
        cmocka_unit_test(numbers_that_are_none_are_never_reported),
        cmocka_unit_test(ssd_boxes_are_decoded_from_their_priors),
        cmocka_unit_test(overlap_is_intersection_over_union),
        cmocka_unit_test(sorting_does_not_depend_on_the_input_order),
        cmocka_unit_test(a_flood_of_reports_is_cut_to_the_best),
        cmocka_unit_test(suppression_keeps_the_better_of_two),
        cmocka_unit_test(blending_weighs_boxes_by_score),
        cmocka_unit_test(a_face_is_not_inside_another),
        cmocka_unit_test(levels_double_and_end_at_the_whole_picture),
        cmocka_unit_test(tiles_cover_a_level_and_cut_no_face),
        cmocka_unit_test(the_nearest_tile_holds_the_place),
        cmocka_unit_test(the_landmark_crop_is_a_square_moved_down),
        cmocka_unit_test(the_landmark_crop_follows_tilted_eyes),
        cmocka_unit_test(each_network_finds_what_onnx_runtime_finds),
        cmocka_unit_test(ssd_and_landmarks_equal_face_api),
        cmocka_unit_test(the_default_finds_every_demo_face_and_no_other),
        cmocka_unit_test(threads_share_a_detector_and_get_the_same_bits),
        cmocka_unit_test(options_limit_what_comes_back),
        cmocka_unit_test(odd_pictures_do_no_harm),
        cmocka_unit_test(landmarks_need_a_box_with_a_face),
        cmocka_unit_test(a_wrong_model_is_refused_by_name),
        cmocka_unit_test(the_canonical_text_names_every_network),
        cmocka_unit_test(any_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
