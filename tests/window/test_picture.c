// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "picture.h"

#include <string.h>

enum { W = 3, H = 2 };

// Pixel (x, y) is (10 x + y, 100 + 10 x + y, 200 + 10 x + y), rows padded by 5 bytes of 255.
static fn_image paint(uint8_t *dst, fn_pixel_format format) {
    const int size = fn_pixel_size(format), is_bgr = format == FN_PIXEL_BGR8 || format == FN_PIXEL_BGRA8;
    const ptrdiff_t stride = (ptrdiff_t)W * size + 5;
    memset(dst, 255, (size_t)stride * H);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < (size < 3 ? size : 3); c++)
                dst[y * stride + x * size + c] = (uint8_t)(100 * (is_bgr ? 2 - c : c) + 10 * x + y);
    return (fn_image){dst, W, H, stride, format};
}

static void every_format_becomes_tight_rgb(void **state) {
    (void)state;
    uint8_t pixels[128];
    cli_picture picture = {0};
    for (int format = FN_PIXEL_RGB8; format <= FN_PIXEL_GRAY8; format++)
        for (int mirrored = 0; mirrored < 2; mirrored++) {
            const fn_image image = paint(pixels, (fn_pixel_format)format);
            assert_int_equal(cli_picture_copy(&picture, &image, mirrored), FN_OK);
            assert_int_equal(fn_image_check(&picture.image), FN_OK);
            assert_int_equal(picture.image.stride_bytes, 3 * W);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++)
                    for (int c = 0; c < 3; c++)
                        assert_int_equal(picture.rgb[(y * W + x) * 3 + c],
                                         100 * (format == FN_PIXEL_GRAY8 ? 0 : c) +
                                             10 * (mirrored ? W - 1 - x : x) + y);
        }
    cli_picture_free(&picture);
}

static void rows_may_go_upwards(void **state) {
    (void)state;
    uint8_t pixels[128];
    fn_image image = paint(pixels, FN_PIXEL_RGB8);
    cli_picture picture = {0};
    image.data += image.stride_bytes * (H - 1);
    image.stride_bytes = -image.stride_bytes;
    assert_int_equal(cli_picture_copy(&picture, &image, 0), FN_OK);
    assert_int_equal(picture.rgb[0], H - 1);
    assert_int_equal(picture.rgb[(size_t)3 * W * (H - 1)], 0);
    cli_picture_free(&picture);
}

static void another_size_is_fitted_on_black(void **state) {
    (void)state;
    static const struct {
        int width, height, x0, y0, w, h;
    } cases[] = {{12, 8, 0, 0, 12, 8},
                 {12, 12, 0, 2, 12, 8},
                 {24, 8, 6, 0, 12, 8},
                 {3, 2, 0, 0, 3, 2},
                 {1, 1, 0, 0, 1, 1}};
    uint8_t white[W * H * 3];
    const fn_image image = {white, W, H, W * 3, FN_PIXEL_RGB8};
    cli_picture picture = {0};
    memset(white, 255, sizeof white);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(cli_picture_fit(&picture, &image, cases[i].width, cases[i].height), FN_OK);
        for (int y = 0; y < cases[i].height; y++)
            for (int x = 0; x < cases[i].width; x++) {
                const int is_in = x >= cases[i].x0 && x < cases[i].x0 + cases[i].w && y >= cases[i].y0 &&
                                  y < cases[i].y0 + cases[i].h;
                assert_int_equal(picture.rgb[(y * cases[i].width + x) * 3 + 1], is_in ? 255 : 0);
            }
    }
    cli_picture_free(&picture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_becomes_tight_rgb),
        cmocka_unit_test(rows_may_go_upwards),
        cmocka_unit_test(another_size_is_fitted_on_black),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
