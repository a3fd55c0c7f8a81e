// SPDX-License-Identifier: Apache-2.0
//
// How small and how turned a face may be: demo faces shrunk to known places on a 12-megapixel canvas, the
// same pictures turned by 30 degrees, and face-free pictures drawn here. The figures are printed as a table,
// and floors are asserted. Faces come from the demo photographs (FACENET_DEMO), networks from FACENET_MODELS.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "image/image.h"

#include <facenet/facenet.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 4000, HEIGHT = 3000, N_PHOTOS = 6, N_EMPTY = 20 };

static fn_detector *detector;
static fn_picture *photos[N_PHOTOS];

/// The boxes that other people's detector (face-api's SSD) reports are not needed here: any upright face that
/// the whole photograph shows at full size will do, so ours at full size are the places to cut.
typedef struct cut {
    int photo;
    fn_box box;
} cut;
static cut cuts[64];
static int n_cuts;

static uint64_t random_state = 1;

static double uniform(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) / 9007199254740992.0;
}

/// A face-free picture: a gradient, soft discs, bars and noise.
static void draw_background(unsigned char *rgb, int width, int height) {
    double a[3], b[3];
    for (int c = 0; c < 3; c++) {
        a[c] = 40 + 160 * uniform();
        b[c] = 40 + 160 * uniform();
    }
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++)
                rgb[((size_t)y * (size_t)width + (size_t)x) * 3 + (size_t)c] =
                    (unsigned char)(a[c] + (b[c] - a[c]) * (x + y) / (width + height) + 12 * uniform());
    for (int k = 0; k < 40; k++) {
        int cx = (int)(uniform() * width), cy = (int)(uniform() * height);
        int rx = 8 + (int)(uniform() * width / 10), ry = k % 2 ? rx : 4 + (int)(uniform() * height / 20);
        unsigned char color[3] = {(unsigned char)(255 * uniform()), (unsigned char)(255 * uniform()),
                                  (unsigned char)(255 * uniform())};
        for (int y = cy - ry < 0 ? 0 : cy - ry; y < cy + ry && y < height; y++)
            for (int x = cx - rx < 0 ? 0 : cx - rx; x < cx + rx && x < width; x++)
                if (k % 2 == 0 || (x - cx) * (x - cx) + (y - cy) * (y - cy) < rx * rx)
                    memcpy(rgb + ((size_t)y * (size_t)width + (size_t)x) * 3, color, 3);
    }
}

static fn_image view(const unsigned char *rgb, int width, int height) {
    return (fn_image){rgb, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
}

/// Pastes a face so that its box becomes `size` pixels wide, turned by `degrees`, its centre at (x, y); the
/// surroundings that come along are as wide as the box again.
static void paste(unsigned char *canvas, const cut *from, double size, double degrees, int x, int y) {
    int side = (int)(2 * size);
    unsigned char *patch = fn_alloc((size_t)side * (size_t)side * 3);
    double scale = size / (double)from->box.width, t = degrees * 3.14159265358979323846 / 180;
    double cx = (double)(from->box.x + from->box.width / 2),
           cy = (double)(from->box.y + from->box.height / 2);
    double m[6] = {scale * cos(t), -scale * sin(t), 0, scale * sin(t), scale * cos(t), 0};
    m[2] = size - m[0] * cx - m[1] * cy;
    m[5] = size - m[3] * cx - m[4] * cy;
    assert_non_null(patch);
    assert_int_equal(fn_image_warp(patch, side, side, fn_picture_image(photos[from->photo]), m), FN_OK);
    for (int row = 0; row < side; row++)
        memcpy(canvas + ((size_t)(y - side / 2 + row) * WIDTH + (size_t)(x - side / 2)) * 3,
               patch + (size_t)row * (size_t)side * 3, (size_t)side * 3);
    fn_free(patch);
}

/// Recall of faces of this size on the canvas, and the boxes that lie on no face.
static double recall(double size, double degrees, float min_face, int *n_false, double *seconds) {
    unsigned char *canvas = fn_alloc((size_t)WIDTH * HEIGHT * 3);
    fn_image image = view(canvas, WIDTH, HEIGHT);
    fn_detect_options options = FN_DETECT_OPTIONS_INIT;
    fn_faces *faces;
    int n = 0, found = 0, x[64], y[64];
    random_state = 7;
    draw_background(canvas, WIDTH, HEIGHT);
    for (int i = 0; i < n_cuts; i++, n++) {
        x[n] = 250 + i % 6 * 640 + (int)(uniform() * 200);
        y[n] = 250 + i / 6 * 600 + (int)(uniform() * 200);
        paste(canvas, &cuts[i], size, degrees, x[n], y[n]);
    }
    options.min_face = min_face;
    options.no_landmarks = 1;
    int64_t start = fn_clock_ms();
    assert_int_equal(fn_detector_run(detector, &image, &options, &faces), FN_OK);
    *seconds = (double)(fn_clock_ms() - start) / 1000;
    *n_false = 0;
    for (size_t k = 0; k < fn_faces_len(faces); k++) {
        const fn_box *b = &fn_faces_get(faces, k)->box;
        int hit = 0;
        for (int i = 0; i < n; i++)
            hit |= hypot((double)(b->x + b->width / 2) - x[i], (double)(b->y + b->height / 2) - y[i]) <
                       size / 2 &&
                   (double)b->width > size / 2 && (double)b->width < size * 2;
        *n_false += !hit;
    }
    for (int i = 0; i < n; i++) {
        int hit = 0;
        for (size_t k = 0; k < fn_faces_len(faces); k++) {
            const fn_box *b = &fn_faces_get(faces, k)->box;
            hit |= hypot((double)(b->x + b->width / 2) - x[i], (double)(b->y + b->height / 2) - y[i]) <
                       size / 2 &&
                   (double)b->width > size / 2 && (double)b->width < size * 2;
        }
        found += hit;
    }
    fn_faces_free(faces);
    fn_free(canvas);
    return (double)found / n;
}

static int open_everything(void **state) {
    const char *models = getenv("FACENET_MODELS"), *demo = getenv("FACENET_DEMO");
    (void)state;
    if (!models || !demo)
        return 0;
    fn_detector_options options = FN_DETECTOR_OPTIONS_INIT;
    options.model.directory = models;
    if (fn_detector_open(&detector, &options) < 0)
        return -1;
    for (int i = 0; i < N_PHOTOS; i++) {
        char path[4096];
        fn_faces *faces;
        fn_detect_options detect = FN_DETECT_OPTIONS_INIT;
        snprintf(path, sizeof path, "%s/sample%d.jpg", demo, i + 1);
        detect.min_face = 120;
        detect.min_score = 0.75F;
        if (fn_decode_file(&photos[i], path, NULL) < 0 ||
            fn_detector_run(detector, fn_picture_image(photos[i]), &detect, &faces) < 0)
            return -1;
        for (size_t k = 0; k < fn_faces_len(faces) && n_cuts < 24; k++)
            cuts[n_cuts++] = (cut){i, fn_faces_get(faces, k)->box};
        fn_faces_free(faces);
    }
    return 0;
}

static int close_everything(void **state) {
    (void)state;
    for (int i = 0; i < N_PHOTOS; i++)
        fn_picture_free(photos[i]);
    fn_detector_free(detector);
    return 0;
}

static void need_networks(void) {
    if (detector)
        return;
    print_message("skipped: FACENET_MODELS and FACENET_DEMO are not set\n");
    skip();
}

static void small_faces_on_a_large_photograph_are_found_on_request(void **state) {
    (void)state;
    need_networks();
    static const struct {
        double size, degrees;
        float min_face;
        double floor;
    } rows[] = {{20, 0, 20, 0.75},
                {30, 0, 30, 0.9},
                {40, 0, 40, 0.85},
                {60, 0, 60, 0.9},
                // The quick search of every picture: reliable from about 4 % of the short side.
                {60, 0, 0, 0.3},
                {80, 0, 0, 0.5},
                {120, 0, 0, 0.95},
                {240, 0, 0, 0.9},
                {120, 30, 60, 0.85},
                {120, -30, 60, 0.85},
                {240, 30, 0, 0.85},
                {240, -30, 0, 0.85}};
    assert_true(n_cuts >= 15);
    print_message(
        "| face px | turned | min face | recall of %d | false boxes | seconds |\n|---|---|---|---|---|---|\n",
        n_cuts);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int n_false;
        double seconds, r = recall(rows[i].size, rows[i].degrees, rows[i].min_face, &n_false, &seconds);
        print_message("| %.0f | %.0f | %.0f | %.2f | %d | %.2f |\n", rows[i].size, rows[i].degrees,
                      (double)rows[i].min_face, r, n_false, seconds);
        if (r < rows[i].floor)
            fail_msg("recall %.2f of %.0f px faces is below %.2f", r, rows[i].size, rows[i].floor);
        if (n_false > 3)
            fail_msg("%d boxes lie on no face", n_false);
    }
}

static void pictures_without_faces_have_none(void **state) {
    (void)state;
    need_networks();
    int n_boxes = 0;
    enum { W = 1200, H = 900 };
    unsigned char *rgb = fn_alloc((size_t)W * H * 3);
    random_state = 99;
    for (int i = 0; i < N_EMPTY; i++) {
        fn_faces *faces;
        fn_image image = view(rgb, W, H);
        draw_background(rgb, W, H);
        assert_int_equal(fn_detector_run(detector, &image, NULL, &faces), FN_OK);
        n_boxes += (int)fn_faces_len(faces);
        fn_faces_free(faces);
    }
    print_message("%d false boxes on %d drawn pictures without faces\n", n_boxes, N_EMPTY);
    assert_true(n_boxes <= 2);
    fn_free(rgb);
}

/// Attribute of a line of dlib's XML: NAME='number'.
static int attribute(const char *line, const char *name) {
    const char *at = strstr(line, name);
    return at ? (int)strtol(at + strlen(name) + 2, NULL, 10) : 0;
}

/// dlib's group photographs with boxes drawn by hand (examples/faces), the quick search.
static void group_photographs_give_the_faces_that_people_marked(void **state) {
    (void)state;
    need_networks();
    static const char *const lists[] = {"testing.xml", "training.xml"};
    const char *shared = getenv("FACENET_SHARED");
    int n_marked = 0, n_found = 0, n_boxes = 0;
    char path[4096], line[1024];
    fn_picture *picture = NULL;
    fn_faces *faces = NULL;
    for (int l = 0; l < 2; l++) {
        snprintf(path, sizeof path, "%s/data/detection/dlib/%s", shared ? shared : "../shared", lists[l]);
        FILE *file = fopen(path, "r");
        if (!file) {
            print_message("skipped: %s is not there (set FACENET_SHARED)\n", path);
            skip();
        }
        while (fgets(line, sizeof line, file)) {
            const char *name = strstr(line, "<image file='");
            if (name) {
                name += 13;
                snprintf(path, sizeof path, "%s/data/detection/dlib/%.*s", shared ? shared : "../shared",
                         (int)strcspn(name, "'"), name);
                fn_faces_free(faces);
                fn_picture_free(picture);
                assert_int_equal(fn_decode_file(&picture, path, NULL), FN_OK);
                assert_int_equal(fn_detector_run(detector, fn_picture_image(picture), NULL, &faces), FN_OK);
                n_boxes += (int)fn_faces_len(faces);
            }
            if (!strstr(line, "<box") || !faces)
                continue;
            double w = attribute(line, "width"), h = attribute(line, "height");
            double x = attribute(line, "left") + w / 2, y = attribute(line, "top") + h / 2;
            int hit = 0;
            for (size_t k = 0; k < fn_faces_len(faces); k++) {
                const fn_box *b = &fn_faces_get(faces, k)->box;
                hit |= hypot((double)(b->x + b->width / 2) - x, (double)(b->y + b->height / 2) - y) < w / 2;
            }
            n_marked++;
            n_found += hit;
        }
        fclose(file);
    }
    fn_faces_free(faces);
    fn_picture_free(picture);
    print_message("%d of %d marked faces found, %d boxes in all\n", n_found, n_marked, n_boxes);
    assert_true(n_marked >= 40);
    assert_true(n_found >= n_marked - 3);
    assert_true(n_boxes - n_found <= 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_faces_on_a_large_photograph_are_found_on_request),
        cmocka_unit_test(pictures_without_faces_have_none),
        cmocka_unit_test(group_photographs_give_the_faces_that_people_marked),
    };
    return cmocka_run_group_tests(tests, open_everything, close_everything);
}
