// SPDX-License-Identifier: Apache-2.0
#define _DEFAULT_SOURCE // mkstemps
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "image/image.h"

#include <facenet/pipeline.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What fontconfig keeps until the end is not a leak of ours.
FN_API const char *__lsan_default_suppressions(void);
FN_API const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig\n";
}

static uint32_t seed = 1;

static unsigned char noise(void) {
    seed = seed * 1664525U + 1013904223U;
    return (unsigned char)(seed >> 24);
}

// A picture of noise in any format, rows padded, with the bytes it holds as RGB beside it.
static fn_image make_noise(unsigned char **memory, unsigned char *rgb, int width, int height,
                           fn_pixel_format format) {
    int size = fn_pixel_size(format), stride = width * size + 5;
    unsigned char *bytes = fn_alloc((size_t)stride * (size_t)height);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            unsigned char r = noise(), g = noise(), b = noise(), *p = bytes + y * stride + x * size;
            if (format == FN_PIXEL_GRAY8)
                g = b = r;
            unsigned char pixel[4] = {r, g, b, 77}, reversed[4] = {b, g, r, 77};
            memcpy(p, format == FN_PIXEL_BGR8 || format == FN_PIXEL_BGRA8 ? reversed : pixel, (size_t)size);
            memcpy(rgb + 3 * (y * width + x), pixel, 3);
        }
    }
    *memory = bytes;
    return (fn_image){bytes, width, height, stride, format};
}

static void views_are_checked(void **state) {
    (void)state;
    unsigned char bytes[30] = {0};
    fn_image good = {bytes, 3, 2, 9, FN_PIXEL_RGB8}, bad;
    assert_int_equal(fn_image_check(&good), FN_OK);
    assert_int_equal(fn_image_check(NULL), FN_EINVAL);
    bad = good, bad.data = NULL;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.width = 0;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.height = 65536;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.stride_bytes = 8;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.stride_bytes = PTRDIFF_MIN;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.format = (fn_pixel_format)9;
    assert_int_equal(fn_image_check(&bad), FN_EINVAL);
    bad = good, bad.stride_bytes = -9; // bottom-up pictures are pictures
    assert_int_equal(fn_image_check(&bad), FN_OK);
    assert_int_equal(fn_pixel_size((fn_pixel_format)-1), 0);
}

static void every_format_becomes_rgb(void **state) {
    (void)state;
    for (int format = 0; format <= FN_PIXEL_GRAY8; format++) {
        unsigned char rgb[7 * 5 * 3], found[7 * 5 * 3], *memory;
        fn_image image = make_noise(&memory, rgb, 7, 5, (fn_pixel_format)format);
        fn_image_to_rgb(found, &image);
        assert_memory_equal(found, rgb, sizeof rgb);
        fn_image upside = image;
        upside.data += 4 * image.stride_bytes;
        upside.stride_bytes = -image.stride_bytes;
        fn_image_to_rgb(found, &upside);
        assert_memory_equal(found, rgb + 4 * 21, 21);
        fn_image crop = fn_image_crop(&image, 2, 1, 3, 2);
        fn_image_to_rgb(found, &crop);
        assert_memory_equal(found, rgb + 3 * (7 + 2), 9);
        assert_memory_equal(found + 9, rgb + 3 * (14 + 2), 9);
        fn_free(memory);
    }
}

static void mirroring_twice_is_nothing(void **state) {
    (void)state;
    unsigned char rgb[4 * 3 * 3], twice[4 * 3 * 3];
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = noise();
    memcpy(twice, rgb, sizeof rgb);
    fn_image_mirror(twice, 4, 3);
    assert_memory_equal(twice, rgb + 9, 3);
    assert_memory_equal(twice + 12 + 3, rgb + 12 + 6, 3);
    fn_image_mirror(twice, 4, 3);
    assert_memory_equal(twice, rgb, sizeof rgb);
}

// EXIF 2.3, 4.6.4: where the pixel at x, y of the upright picture is stored.
static const uint8_t *stored_at(const fn_image *src, int orientation, int x, int y) {
    int swaps = orientation >= 5, i = swaps ? y : x, j = swaps ? x : y;
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        i = src->width - 1 - i;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        j = src->height - 1 - j;
    return src->data + j * src->stride_bytes + (ptrdiff_t)i * fn_pixel_size(src->format);
}

static void every_format_is_turned_every_way(void **state) {
    (void)state;
    enum { W = 71, H = 38 };
    unsigned char *memory, rgb[W * H * 3], dst[W * H * 4 + 1];
    for (int format = FN_PIXEL_RGB8; format <= FN_PIXEL_GRAY8; format++) {
        fn_image src = make_noise(&memory, rgb, W, H, (fn_pixel_format)format);
        int size = fn_pixel_size(src.format);
        for (int bottom_up = 0; bottom_up < 2; bottom_up++) {
            for (int orientation = 0; orientation <= 9; orientation++) {
                int swaps = orientation >= 5 && orientation <= 8, width = swaps ? H : W,
                    height = swaps ? W : H;
                dst[W * H * size] = 99;
                fn_image_orient(dst, &src, orientation);
                for (int y = 0; y < height; y++) {
                    for (int x = 0; x < width; x++)
                        assert_memory_equal(dst + ((ptrdiff_t)y * width + x) * size,
                                            stored_at(&src, orientation > 8 ? 1 : orientation, x, y),
                                            (size_t)size);
                }
                assert_int_equal(dst[W * H * size], 99);
            }
            src.data += src.stride_bytes * (H - 1);
            src.stride_bytes = -src.stride_bytes;
        }
        fn_free(memory);
    }
}

static void planes_are_normalised_in_either_order(void **state) {
    (void)state;
    static const unsigned char rgb[] = {10, 20, 30, 40, 50, 60};
    static const float mean[3] = {1.0F, 2.0F, 3.0F};
    float planes[6];
    fn_image_to_planes(planes, rgb, 2, 1, 0, mean, 4.0F);
    static const float straight[] = {9.0F / 4, 39.0F / 4, 18.0F / 4, 48.0F / 4, 27.0F / 4, 57.0F / 4};
    assert_memory_equal(planes, straight, sizeof planes);
    fn_image_to_planes(planes, rgb, 2, 1, 1, mean, 4.0F);
    static const float reversed[] = {29.0F / 4, 59.0F / 4, 18.0F / 4, 48.0F / 4, 7.0F / 4, 37.0F / 4};
    assert_memory_equal(planes, reversed, sizeof planes);
}

// The same filter, written plainly in double over the whole canvas: the yardstick.
static double filtered(const unsigned char *rgb, int width, int height, int c, double cx, double cy,
                       double step_x, double step_y, const double region[4]) {
    double rx = fmax(1.0, step_x), ry = fmax(1.0, step_y), sum = 0.0, weights = 0.0;
    double left = fmin(0.0, floor(region[0])), right = fmax(width, ceil(region[0] + region[2]));
    double top = fmin(0.0, floor(region[1])), bottom = fmax(height, ceil(region[1] + region[3]));
    for (double y = top; y < bottom; y++) {
        for (double x = left; x < right; x++) {
            double w = fmax(0.0, 1.0 - fabs(x + 0.5 - cx) / rx) * fmax(0.0, 1.0 - fabs(y + 0.5 - cy) / ry);
            weights += w;
            if (x >= 0 && y >= 0 && x < width && y < height)
                sum += w * rgb[3 * ((int)y * width + (int)x) + c];
        }
    }
    return weights > 0.0 ? sum / weights : 0.0;
}

static void resizing_follows_its_definition(void **state) {
    (void)state;
    enum { W = 37, H = 23 };
    static const double regions[][4] = {
        {0, 0, W, H}, {3.5, 2.25, 20, 15}, {-10, -4, 60, 30}, {30, 20, 20, 20}, {-50, 0, 20, 10}};
    static const int sizes[][2] = {{5, 4}, {37, 23}, {80, 50}, {1, 1}, {12, 40}};
    for (int format = 0; format <= FN_PIXEL_GRAY8; format++) {
        unsigned char rgb[W * H * 3], found[80 * 50 * 3], *memory;
        fn_image image = make_noise(&memory, rgb, W, H, (fn_pixel_format)format);
        for (size_t r = 0; r < sizeof regions / sizeof *regions; r++) {
            const double *region = regions[r];
            for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
                int w = sizes[s][0], h = sizes[s][1];
                assert_int_equal(
                    fn_image_resize(found, w, h, &image, region[0], region[1], region[2], region[3]), FN_OK);
                double sx = region[2] / w, sy = region[3] / h;
                for (int i = 0; i < w * h; i += 7) {
                    double cx = region[0] + (i % w + 0.5) * sx,
                           cy = region[1] + (double)(i / w) * sy + 0.5 * sy;
                    double expected = filtered(rgb, W, H, i % 3, cx, cy, sx, sy, region);
                    if (fabs(found[3 * i + i % 3] - expected) > 0.51)
                        fail_msg("format %d region %zu size %zu pixel %d: %d, expected %g", format, r, s, i,
                                 found[3 * i + i % 3], expected);
                }
            }
        }
        fn_free(memory);
    }
}

static void a_plain_picture_stays_plain(void **state) {
    (void)state;
    unsigned char white[50 * 40 * 3], found[70 * 60 * 3];
    memset(white, 255, sizeof white);
    fn_image image = {white, 50, 40, 150, FN_PIXEL_RGB8};
    for (int n = 1; n < 60; n += 3) {
        assert_int_equal(fn_image_resize(found, n + 9, n, &image, 0, 0, 50, 40), FN_OK);
        for (int i = 0; i < (n + 9) * n * 3; i++)
            assert_int_equal(found[i], 255);
    }
}

static void impossible_regions_are_refused(void **state) {
    (void)state;
    unsigned char pixel[3] = {1, 2, 3}, found[12];
    fn_image image = {pixel, 1, 1, 3, FN_PIXEL_RGB8};
    assert_int_equal(fn_image_resize(found, 0, 1, &image, 0, 0, 1, 1), FN_EINVAL);
    assert_int_equal(fn_image_resize(found, 2, 2, &image, 0, 0, 0, 1), FN_EINVAL);
    assert_int_equal(fn_image_resize(found, 2, 2, &image, NAN, 0, 1, 1), FN_EINVAL);
    assert_int_equal(fn_image_resize(found, 2, 2, &image, 0, 0, INFINITY, 1), FN_EINVAL);
    assert_int_equal(fn_image_resize(found, 2, 2, &image, 1e30, 0, 1, 1), FN_EINVAL);
    assert_int_equal(fn_image_resize(found, 2, 2, &image, 500000, 0, 1, 1), FN_OK);
    assert_int_equal(found[0], 0);
    static const double maps[][6] = {
        {0, 0, 0, 0, 0, 0}, {1, 2, 0, 2, 4, 0}, {NAN, 0, 0, 0, 1, 0}, {1, 0, INFINITY, 0, 1, 0}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        assert_int_equal(fn_image_warp(found, 2, 2, &image, maps[i]), FN_EINVAL);
}

static void the_identity_warp_copies(void **state) {
    (void)state;
    for (int format = 0; format <= FN_PIXEL_GRAY8; format++) {
        unsigned char rgb[9 * 8 * 3], found[9 * 8 * 3], *memory;
        fn_image image = make_noise(&memory, rgb, 9, 8, (fn_pixel_format)format);
        assert_int_equal(fn_image_warp(found, 9, 8, &image, (double[6]){1, 0, 0, 0, 1, 0}), FN_OK);
        assert_memory_equal(found, rgb, sizeof rgb);
        // A quarter turn to the right: x' = height - y, y' = x.
        assert_int_equal(fn_image_warp(found, 8, 9, &image, (double[6]){0, -1, 8, 1, 0, 0}), FN_OK);
        assert_memory_equal(found, rgb + 3 * 7 * 9, 3);
        assert_memory_equal(found + 3 * 7, rgb, 3);
        fn_free(memory);
    }
}

// Means of k x k blocks, then bilinear with black outside: the definition in double.
static double warped(const unsigned char *rgb, int width, int height, int k, double x, double y, int c) {
    int n_x = (width + k - 1) / k, n_y = (height + k - 1) / k;
    double u = x / k - 0.5, v = y / k - 0.5, sum = 0.0;
    for (int dy = 0; dy < 2; dy++) {
        for (int dx = 0; dx < 2; dx++) {
            int i = (int)floor(u) + dx, j = (int)floor(v) + dy, n = 0;
            double w = (1.0 - fabs(u - i)) * (1.0 - fabs(v - j)), mean = 0.0;
            if (i < 0 || j < 0 || i >= n_x || j >= n_y)
                continue;
            for (int py = j * k; py < (j + 1) * k && py < height; py++) {
                for (int px = i * k; px < (i + 1) * k && px < width; px++, n++)
                    mean += rgb[3 * (py * width + px) + c];
            }
            sum += w * mean / n;
        }
    }
    return sum;
}

static void warping_follows_its_definition(void **state) {
    (void)state;
    enum { W = 101, H = 67, SIDE = 24 };
    unsigned char rgb[W * H * 3], found[SIDE * SIDE * 3], *memory;
    float exact[SIDE * SIDE * 3];
    for (int i = 0; i < 200; i++) {
        fn_image image = make_noise(&memory, rgb, W, H, (fn_pixel_format)(i % 5));
        double scale = 0.07 * pow(1.03, noise() % 128), angle = noise() / 40.0;
        double a = scale * cos(angle), b = scale * sin(angle);
        double cx = noise() % W, cy = noise() % H; // lands in the middle of the crop
        double m[6] = {a, -b, SIDE / 2 - a * cx + b * cy, b, a, SIDE / 2 - b * cx - a * cy};
        if (i & 1)
            m[0] = -m[0], m[1] = -m[1]; // mirrored maps too
        int k = 1;
        for (double shrink = 1.0 / scale; shrink > 2.0; shrink /= 2.0)
            k *= 2;
        assert_int_equal(fn_image_warp(found, SIDE, SIDE, &image, m), FN_OK);
        assert_int_equal(fn_image_warp_float(exact, SIDE, SIDE, &image, m), FN_OK);
        double det = m[0] * m[4] - m[1] * m[3];
        for (int p = 0; p < SIDE * SIDE; p += 5) {
            double u = p % SIDE + 0.5 - m[2], v = p / SIDE + 0.5 - m[5];
            double x = (m[4] * u - m[1] * v) / det, y = (m[0] * v - m[3] * u) / det;
            double expected = warped(rgb, W, H, k, x, y, p % 3);
            if (fabs(found[3 * p + p % 3] - expected) > 0.51)
                fail_msg("map %d, pixel %d: %d, expected %g", i, p, found[3 * p + p % 3], expected);
            if (fabs((double)exact[3 * p + p % 3] - expected) > 1e-3)
                fail_msg("map %d, pixel %d: %g, expected %g", i, p, (double)exact[3 * p + p % 3], expected);
        }
        fn_free(memory);
    }
}

static void extreme_warps_are_safe(void **state) {
    (void)state;
    unsigned char rgb[31 * 17 * 3], found[16 * 16 * 3], *memory;
    fn_image image = make_noise(&memory, rgb, 31, 17, FN_PIXEL_RGB8);
    static const double values[] = {0.0, 1.0, -1.0, 1e-9, 1e9, 1e-150, 1e150, 3e-5, 1e308, 0.3};
    for (int i = 0; i < 3000; i++) {
        double m[6];
        for (int k = 0; k < 6; k++)
            m[k] = values[noise() % 10];
        int rc = fn_image_warp(found, 16, 16, &image, m);
        assert_true(rc == FN_OK || rc == FN_EINVAL);
    }
    fn_free(memory);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    unsigned char rgb[64 * 64 * 3] = {0}, found[8 * 8 * 3];
    fn_image image = {rgb, 64, 64, 192, FN_PIXEL_RGB8};
    fn_label label = {{4, 4, 30, 30}, "name", 0x00FF00};
    for (int what = 0; what < 3; what++) {
        int n = 0, rc;
        do {
            fn_alloc_fail_nth(++n);
            rc = what == 0   ? fn_image_resize(found, 8, 8, &image, 0, 0, 64, 64)
                 : what == 1 ? fn_image_warp(found, 8, 8, &image, (double[6]){.125, 0, 0, 0, .125, 0})
                             : fn_annotate(&image, &label, 1, "/tmp/facenet-annotate-alloc.png");
            fn_alloc_fail_nth(0);
            if (rc == FN_EUNSUPPORTED)
                break;
            assert_true(rc == FN_OK || rc == FN_ENOMEM);
        } while (rc != FN_OK && n < 50);
        assert_true(n > 1 || rc == FN_EUNSUPPORTED);
    }
    unlink("/tmp/facenet-annotate-alloc.png");
}

static void boxes_and_names_are_drawn(void **state) {
    (void)state;
    enum { W = 320, H = 200 };
    unsigned char *rgb = fn_alloc((size_t)W * H * 3);
    memset(rgb, 128, (size_t)W * H * 3);
    fn_image image = {rgb, W, H, W * 3, FN_PIXEL_RGB8};
    char path[] = "/tmp/facenet-annotate-XXXXXX.png";
    int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    close(fd);
    const fn_label labels[] = {
        {{40, 60, 80, 80}, "Zoë 山田", 0x20C020},    {{-50, -50, 80, 80}, "corner", 0xFFFF00},
        {{290, 150, 400, 400}, "عمر", 0xC02020},     {{1e30F, 1e30F, 1e30F, 1e30F}, NULL, 0},
        {{200, 20, 60, 60}, "line\nfeed", 0x2020C0}, {{5, 190, 0, 0}, "", 0xFF00FF},
    };
    int rc = fn_annotate(&image, labels, 6, path);
    if (rc == FN_EUNSUPPORTED) {
        assert_non_null(strstr(fn_last_error(), "libpangocairo-1.0-0"));
        print_message("skipped: %s\n", fn_last_error());
        unlink(path);
        fn_free(rgb);
        skip();
    }
    assert_int_equal(rc, FN_OK);
    fn_picture *picture = NULL;
    assert_int_equal(fn_decode_file(&picture, path, NULL), FN_OK);
    const fn_image *drawn = fn_picture_image(picture);
    assert_int_equal(drawn->width, W);
    const uint8_t *p = drawn->data + 100 * drawn->stride_bytes;
    assert_memory_equal(p + 3 * 40, "\x20\xC0\x20", 3); // the left border of the first box
    assert_memory_equal(p + 3 * 80, "\x80\x80\x80", 3); // its inside is untouched
    assert_memory_equal(p + 3 * 39, "\x20\x20\x20", 3); // the dark line around it
    int n_ink = 0, n_plate = 0;                         // the plate above it holds letters
    for (int y = 44; y < 58; y++) {
        for (int x = 42; x < 110; x++) {
            const uint8_t *q = drawn->data + y * drawn->stride_bytes + 3 * (ptrdiff_t)x;
            n_ink += q[0] + q[1] + q[2] > 650 || q[0] + q[1] + q[2] < 90;
            n_plate += memcmp(q, "\x20\xC0\x20", 3) == 0;
        }
    }
    assert_true(n_ink > 30);
    assert_true(n_plate > 100);
    assert_int_equal(rgb[0], 128); // the picture itself is not drawn on
    fn_picture_free(picture);
    fn_label bad = {{0, 0, NAN, 1}, NULL, 0};
    assert_int_equal(fn_annotate(&image, &bad, 1, path), FN_EINVAL);
    bad = (fn_label){{0, 0, 1, 1}, "\xff", 0};
    assert_int_equal(fn_annotate(&image, &bad, 1, path), FN_EINVAL);
    assert_int_equal(fn_annotate(&image, NULL, 0, path), FN_OK);
    fn_image tiny = {rgb, 1, 1, 3, FN_PIXEL_RGB8};
    assert_int_equal(fn_annotate(&tiny, labels, 6, path), FN_OK);
    unlink(path);
    fn_free(rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_checked),
        cmocka_unit_test(every_format_becomes_rgb),
        cmocka_unit_test(mirroring_twice_is_nothing),
        cmocka_unit_test(every_format_is_turned_every_way),
        cmocka_unit_test(planes_are_normalised_in_either_order),
        cmocka_unit_test(resizing_follows_its_definition),
        cmocka_unit_test(a_plain_picture_stays_plain),
        cmocka_unit_test(impossible_regions_are_refused),
        cmocka_unit_test(the_identity_warp_copies),
        cmocka_unit_test(warping_follows_its_definition),
        cmocka_unit_test(extreme_warps_are_safe),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(boxes_and_names_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
