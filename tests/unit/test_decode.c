// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "encoders.h"

#include <facenet/decode.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { W = 48, H = 32 };

static fn_buf new_buf(void) {
    fn_buf buf;
    fn_buf_init(&buf, (size_t)1 << 28);
    return buf;
}

// Four quarters: red, green, blue, white from the top left, so that every turn shows.
static void paint_quarters(unsigned char *rgb) {
    static const unsigned char colors[4][3] = {{220, 30, 30}, {30, 200, 30}, {30, 30, 210}, {250, 250, 250}};
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++)
            memcpy(rgb + 3 * (y * W + x), colors[(y >= H / 2) * 2 + (x >= W / 2)], 3);
    }
}

// Smooth and moderately coloured, as skin and rooms are.
static void paint_smooth(unsigned char *rgb) {
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            unsigned char *p = rgb + 3 * (y * W + x);
            p[0] = (unsigned char)(70 + 3 * x);
            p[1] = (unsigned char)(60 + 4 * y);
            p[2] = (unsigned char)(150 - x - y);
        }
    }
}

static char letter(const fn_image *image, int right, int bottom) {
    int x = right ? image->width - 3 : 2, y = bottom ? image->height - 3 : 2;
    const uint8_t *p = image->data + y * image->stride_bytes + 3 * (ptrdiff_t)x;
    return p[0] > 150 ? (p[1] > 150 ? 'W' : 'R') : p[1] > 120 ? 'G' : p[2] > 120 ? 'B' : '?';
}

static void assert_corners(const fn_image *image, const char *expected) {
    char found[5] = {letter(image, 0, 0), letter(image, 1, 0), letter(image, 0, 1), letter(image, 1, 1), 0};
    assert_string_equal(found, expected);
}

// The largest difference from `rgb` over all samples.
static int max_difference(const fn_image *image, const unsigned char *rgb) {
    int worst = 0;
    for (int y = 0; y < image->height; y++) {
        for (int i = 0; i < image->width * 3; i++) {
            int d = abs(image->data[y * image->stride_bytes + i] - rgb[y * image->width * 3 + i]);
            worst = d > worst ? d : worst;
        }
    }
    return worst;
}

static void assert_near(const fn_image *image, const unsigned char *rgb, int tolerance) {
    int worst = max_difference(image, rgb);
    if (worst > tolerance)
        fail_msg("pixels differ by %d, at most %d expected", worst, tolerance);
}

static fn_picture *decode(const fn_buf *coded, const fn_decode_options *options) {
    fn_picture *picture = NULL;
    if (fn_decode_memory(&picture, coded->data, coded->len, "test", options) < 0)
        fail_msg("%s", fn_last_error());
    return picture;
}

static void assert_fails(const fn_buf *coded, const fn_decode_options *options, int code, const char *part) {
    fn_picture *picture = (fn_picture *)(uintptr_t)1;
    int rc = fn_decode_memory(&picture, coded->data, coded->len, "odd.img", options);
    if (rc != code || !strstr(fn_last_error(), part) || strncmp(fn_last_error(), "odd.img: ", 9) != 0)
        fail_msg("%s: \"%s\"; expected %s: \"%s\"", fn_error_name(rc), fn_last_error(), fn_error_name(code),
                 part);
    assert_null(picture);
    assert_null(strchr(fn_last_error(), '\n'));
}

enum { JPEG, PROGRESSIVE, PNG, WEBP, N_FORMATS };

static void encode(fn_buf *out, int format, const unsigned char *rgb, const extras *extra) {
    jpeg_choice jpeg = {.channels = 3, .progressive = format == PROGRESSIVE};
    png_choice png = {.color_type = 2, .bit_depth = 8};
    if (format == PNG)
        encode_png(out, rgb, (size_t)W * H * 3, W, H, &png, extra);
    else if (format == WEBP)
        encode_webp(out, rgb, W, H, 3, extra);
    else
        encode_jpeg(out, rgb, W, H, &jpeg, extra);
}

static void each_format_gives_its_pixels(void **state) {
    (void)state;
    static const char *names[] = {"jpeg", "jpeg", "png", "webp"};
    unsigned char rgb[W * H * 3], digest[32];
    paint_smooth(rgb);
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        encode(&coded, format, rgb, NULL);
        fn_picture *picture = decode(&coded, NULL);
        const fn_picture_info *info = fn_picture_get_info(picture);
        assert_string_equal(info->format, names[format]);
        assert_int_equal(info->coded_width, W);
        assert_int_equal(info->coded_height, H);
        assert_int_equal(info->orientation, 1);
        assert_int_equal(info->truncated, 0);
        assert_string_equal(info->taken_at, "");
        fn_sha256(digest, coded.data, coded.len);
        assert_memory_equal(info->sha256, digest, 32);
        assert_near(fn_picture_image(picture), rgb, format <= PROGRESSIVE ? 4 : 0);
        fn_picture_free(picture);
        fn_buf_free(&coded);
    }
}

static void every_orientation_ends_upright_once(void **state) {
    (void)state;
    // Corners of the upright picture, as EXIF defines the orientations.
    static const char *upright[] = {"RGBW", "GRWB", "WBGR", "BWRG", "RBGW", "BRWG", "WGBR", "GWRB"};
    unsigned char rgb[W * H * 3];
    paint_quarters(rgb);
    for (int format = 0; format < N_FORMATS; format++) {
        for (int orientation = 1; orientation <= 8; orientation++) {
            fn_buf coded = new_buf(), exif = new_buf();
            make_exif(&exif, orientation, "2024:05:31 12:34:56");
            encode(&coded, format, rgb, &(extras){.exif = &exif});
            fn_picture *picture = decode(&coded, NULL);
            assert_int_equal(fn_picture_get_info(picture)->orientation, orientation);
            assert_string_equal(fn_picture_get_info(picture)->taken_at, "2024-05-31 12:34:56");
            assert_int_equal(fn_picture_get_info(picture)->coded_width, W);
            assert_int_equal(fn_picture_image(picture)->width, orientation >= 5 ? H : W);
            assert_corners(fn_picture_image(picture), upright[orientation - 1]);
            fn_picture_free(picture);
            fn_decode_options options = FN_DECODE_OPTIONS_INIT;
            options.ignore_orientation = 1;
            picture = decode(&coded, &options);
            assert_corners(fn_picture_image(picture), "RGBW");
            fn_picture_free(picture);
            fn_buf_free(&exif);
            fn_buf_free(&coded);
        }
    }
}

static void odd_exif_blocks_are_ignored(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_quarters(rgb);
    static const char *times[] = {"0000:00:00 00:00:00", "2024-05-31 12:34:56", "                   "};
    for (size_t i = 0; i < 3; i++) {
        fn_buf coded = new_buf(), exif = new_buf();
        make_exif(&exif, i == 0 ? 9 : 0, times[i]);
        if (i == 2)
            exif.len = 20; // cut inside the first entries
        encode(&coded, JPEG, rgb, &(extras){.exif = &exif});
        fn_picture *picture = decode(&coded, NULL);
        assert_int_equal(fn_picture_get_info(picture)->orientation, 1);
        assert_string_equal(fn_picture_get_info(picture)->taken_at, "");
        fn_picture_free(picture);
        fn_buf_free(&exif);
        fn_buf_free(&coded);
    }
}

static void wide_gamut_copies_decode_to_the_same_picture(void **state) {
    (void)state;
    static const char *names[] = {"p3", "adobe"};
    unsigned char srgb[W * H * 3], wide[W * H * 3];
    paint_smooth(srgb);
    for (int i = 0; i < 2; i++) {
        fn_buf profile = new_buf();
        make_profile(&profile, names[i]);
        convert_from_srgb(wide, srgb, W * H, names[i]);
        for (int format = 0; format < N_FORMATS; format++) {
            fn_buf coded = new_buf();
            encode(&coded, format, wide, &(extras){.profile = &profile});
            fn_picture *picture = decode(&coded, NULL);
            assert_near(fn_picture_image(picture), srgb, format <= PROGRESSIVE ? 4 : 2);
            fn_picture_free(picture);
            fn_decode_options options = FN_DECODE_OPTIONS_INIT;
            options.ignore_profile = 1;
            picture = decode(&coded, &options);
            assert_near(fn_picture_image(picture), wide, format <= PROGRESSIVE ? 4 : 0);
            assert_true(max_difference(fn_picture_image(picture), srgb) > 6);
            fn_picture_free(picture);
            fn_buf_free(&coded);
        }
        fn_buf_free(&profile);
    }
}

static void a_profile_in_many_segments_is_joined(void **state) {
    (void)state;
    unsigned char srgb[W * H * 3], wide[W * H * 3];
    paint_smooth(srgb);
    convert_from_srgb(wide, srgb, W * H, "adobe");
    fn_buf profile = new_buf(), coded = new_buf();
    make_profile(&profile, "adobe");
    encode_jpeg(&coded, wide, W, H, &(jpeg_choice){.channels = 3, .profile_part = 50},
                &(extras){.profile = &profile});
    fn_picture *picture = decode(&coded, NULL);
    assert_near(fn_picture_image(picture), srgb, 4);
    fn_picture_free(picture);
    fn_buf_free(&profile);
    fn_buf_free(&coded);
}

static void an_srgb_profile_changes_no_bit(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf profile = new_buf(), coded = new_buf();
    make_profile(&profile, "srgb");
    encode(&coded, PNG, rgb, &(extras){.profile = &profile});
    fn_picture *picture = decode(&coded, NULL);
    assert_near(fn_picture_image(picture), rgb, 0);
    fn_picture_free(picture);
    fn_buf_free(&profile);
    fn_buf_free(&coded);
}

static void a_damaged_or_foreign_profile_is_left_out(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    for (int i = 0; i < 2; i++) {
        fn_buf profile = new_buf(), coded = new_buf();
        make_profile(&profile, i ? "cmyk-half" : "adobe");
        if (i == 0)
            profile.len = 150;
        encode(&coded, WEBP, rgb, &(extras){.profile = &profile});
        fn_picture *picture = decode(&coded, NULL);
        assert_near(fn_picture_image(picture), rgb, 0);
        fn_picture_free(picture);
        fn_buf_free(&profile);
        fn_buf_free(&coded);
    }
}

static void a_gray_jpeg_becomes_rgb_by_its_profile(void **state) {
    (void)state;
    unsigned char gray[W * H], rgb[W * H * 3];
    memset(gray, 128, sizeof gray);
    memset(rgb, 128, sizeof rgb);
    fn_buf coded = new_buf(), with_profile = new_buf(), profile = new_buf();
    encode_jpeg(&coded, gray, W, H, &(jpeg_choice){.channels = 1}, NULL);
    fn_picture *picture = decode(&coded, NULL);
    assert_near(fn_picture_image(picture), rgb, 1);
    fn_picture_free(picture);
    make_profile(&profile, "gray-linear");
    encode_jpeg(&with_profile, gray, W, H, &(jpeg_choice){.channels = 1}, &(extras){.profile = &profile});
    picture = decode(&with_profile, NULL);
    memset(rgb, 188, sizeof rgb); // half of the light
    assert_near(fn_picture_image(picture), rgb, 2);
    fn_picture_free(picture);
    fn_buf_free(&profile);
    fn_buf_free(&with_profile);
    fn_buf_free(&coded);
}

static void cmyk_is_read_in_either_polarity_and_by_its_profile(void **state) {
    (void)state;
    unsigned char inks[W * H * 4], rgb[W * H * 3];
    for (int i = 0; i < W * H; i++) {
        memcpy(inks + 4 * i, (unsigned char[]){255, 0, 0, 0}, 4); // cyan alone, 255 is full ink
        memcpy(rgb + 3 * i, (unsigned char[]){0, 255, 255}, 3);
    }
    fn_buf profile = new_buf();
    make_profile(&profile, "cmyk-half");
    for (int adobe = 0; adobe < 2; adobe++) {
        fn_buf coded = new_buf(), with_profile = new_buf();
        jpeg_choice choice = {.channels = 4, .no_adobe = !adobe};
        for (size_t i = 0; adobe && i < sizeof inks; i++)
            inks[i] = (unsigned char)(255 - inks[i]);
        encode_jpeg(&coded, inks, W, H, &choice, NULL);
        fn_picture *picture = decode(&coded, NULL);
        assert_near(fn_picture_image(picture), rgb, 3);
        fn_picture_free(picture);
        encode_jpeg(&with_profile, inks, W, H, &choice, &(extras){.profile = &profile});
        picture = decode(&with_profile, NULL);
        unsigned char half[W * H * 3];
        memset(half, 119, sizeof half); // L* 50
        assert_near(fn_picture_image(picture), half, 3);
        fn_picture_free(picture);
        fn_buf_free(&with_profile);
        fn_buf_free(&coded);
    }
    fn_buf_free(&profile);
}

static void png_depths_and_colour_types_become_eight_bit_rgb(void **state) {
    (void)state;
    // 2 x 2 pixels each; what is transparent is white.
    static const unsigned char palette[] = {255, 0, 0, 255, 0, 0, 255, 0, 10, 20, 30, 255};
    uint16_t wide[12] = {0, 65535, 32768, 257, 514, 128, 129, 65407, 65406, 1, 2, 3};
    uint16_t gray_alpha16[8] = {0, 65535, 65535, 65535, 0, 0, 25700, 65535};
    struct {
        const char *what;
        png_choice choice;
        const void *rows;
        size_t n;
        unsigned char expected[12];
    } cases[] = {
        {"1-bit",
         {.color_type = 0, .bit_depth = 1},
         "\x40\x80",
         2,
         {0, 0, 0, 255, 255, 255, 255, 255, 255, 0, 0, 0}},
        {"2-bit",
         {.color_type = 0, .bit_depth = 2},
         "\x10\xB0",
         2,
         {0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255}},
        {"4-bit",
         {.color_type = 0, .bit_depth = 4},
         "\x0F\x37",
         2,
         {0, 0, 0, 255, 255, 255, 51, 51, 51, 119, 119, 119}},
        {"8-bit grey",
         {.color_type = 0, .bit_depth = 8},
         "\x01\x02\x03\x04",
         4,
         {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4}},
        {"grey and tRNS",
         {.color_type = 0, .bit_depth = 8, .gray_trns = 3},
         "\x01\x02\x03\x04",
         4,
         {1, 1, 1, 255, 255, 255, 3, 3, 3, 4, 4, 4}},
        {"grey and alpha",
         {.color_type = 4, .bit_depth = 8},
         "\x00\xFF\x00\x00\x00\x80\x64\xFF",
         8,
         {0, 0, 0, 255, 255, 255, 127, 127, 127, 100, 100, 100}},
        {"grey and alpha, 16-bit",
         {.color_type = 4, .bit_depth = 16},
         gray_alpha16,
         16,
         {0, 0, 0, 255, 255, 255, 255, 255, 255, 100, 100, 100}},
        {"palette, 2-bit",
         {3, 2, .palette = palette, .n_palette = 3},
         "\x10\x80",
         2,
         {255, 0, 0, 255, 255, 255, 10, 20, 30, 255, 0, 0}},
        {"16-bit",
         {.color_type = 2, .bit_depth = 16},
         wide,
         24,
         {0, 255, 128, 1, 2, 0, 1, 255, 254, 0, 0, 0}},
        {"RGBA",
         {.color_type = 6, .bit_depth = 8},
         "\x0A\x14\x1E\xFF\x00\x00\x00\x00\xFF\x00\x00\x80\x01\x02\x03\xFF",
         16,
         {10, 20, 30, 255, 255, 255, 255, 127, 127, 1, 2, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_buf coded = new_buf();
        encode_png(&coded, cases[i].rows, cases[i].n, 2, 2, &cases[i].choice, NULL);
        fn_picture *picture = decode(&coded, NULL);
        int worst = max_difference(fn_picture_image(picture), cases[i].expected);
        if (worst)
            fail_msg("%s: off by %d", cases[i].what, worst);
        fn_picture_free(picture);
        fn_buf_free(&coded);
    }
}

static void an_interlaced_png_is_whole(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf coded = new_buf();
    encode_png(&coded, rgb, sizeof rgb, W, H, &(png_choice){2, 8, .interlaced = 1}, NULL);
    fn_picture *picture = decode(&coded, NULL);
    assert_near(fn_picture_image(picture), rgb, 0);
    fn_picture_free(picture);
    fn_buf_free(&coded);
}

static void a_png_with_linear_gamma_is_brightened(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    memset(rgb, 128, sizeof rgb);
    for (int i = 0; i < 2; i++) {
        fn_buf coded = new_buf();
        encode_png(&coded, rgb, sizeof rgb, W, H, &(png_choice){2, 8, .gamma = i ? 0.45455 : 1.0}, NULL);
        fn_picture *picture = decode(&coded, NULL);
        memset(rgb, i ? 128 : 188, sizeof rgb);
        assert_near(fn_picture_image(picture), rgb, i ? 0 : 2);
        memset(rgb, 128, sizeof rgb);
        fn_picture_free(picture);
        fn_buf_free(&coded);
    }
}

static void a_transparent_webp_lies_on_white(void **state) {
    (void)state;
    unsigned char rgba[W * H * 4], rgb[W * H * 3];
    for (int i = 0; i < W * H; i++) {
        memcpy(rgba + 4 * i, (unsigned char[]){200, 0, 100, (unsigned char)(i % 2 ? 255 : 128)}, 4);
        memcpy(rgb + 3 * i, i % 2 ? (unsigned char[]){200, 0, 100} : (unsigned char[]){227, 127, 177}, 3);
    }
    fn_buf coded = new_buf();
    encode_webp(&coded, rgba, W, H, 4, NULL);
    fn_picture *picture = decode(&coded, NULL);
    assert_near(fn_picture_image(picture), rgb, 1);
    fn_picture_free(picture);
    fn_buf_free(&coded);
}

static void an_animated_webp_is_refused(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf coded = new_buf(), exif = new_buf();
    make_exif(&exif, 1, NULL);
    encode(&coded, WEBP, rgb, &(extras){.exif = &exif});
    coded.data[20] |= 0x02; // the animation flag of VP8X
    assert_fails(&coded, NULL, FN_EUNSUPPORTED, "animated WebP");
    fn_buf_free(&exif);
    fn_buf_free(&coded);
}

static void heif_is_turned_once_and_keeps_its_time(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_quarters(rgb);
    int n_read = 0;
    for (int av1 = 0; av1 < 2; av1++) {
        fn_buf coded = new_buf(), exif = new_buf(), profile = new_buf();
        make_exif(&exif, 6, "2023:01:02 03:04:05");
        make_profile(&profile, "p3");
        const char *why = encode_heif(&coded, rgb, W, H, av1, 6, &(extras){&profile, &exif});
        if (why) {
            print_message("skipped: %s: %s\n", av1 ? "AVIF" : "HEIC", why);
        } else {
            n_read++;
            fn_picture *picture = decode(&coded, NULL);
            assert_string_equal(fn_picture_get_info(picture)->format, "heif");
            assert_string_equal(fn_picture_get_info(picture)->taken_at, "2023-01-02 03:04:05");
            assert_int_equal(fn_picture_get_info(picture)->orientation, 1);
            assert_int_equal(fn_picture_image(picture)->width, H);
            assert_corners(fn_picture_image(picture), "BRWG");
            fn_picture_free(picture);
            for (size_t cut = 20; cut < coded.len; cut += 1 + coded.len / 13) {
                fn_picture *none = NULL;
                int rc = fn_decode_memory(&none, coded.data, cut, NULL, NULL);
                assert_true(rc < 0 || none != NULL);
                fn_picture_free(none);
            }
            fn_decode_options options = FN_DECODE_OPTIONS_INIT;
            options.max_pixels = W * H - 1;
            assert_fails(&coded, &options, FN_ELIMIT, "limit");
        }
        fn_buf_free(&profile);
        fn_buf_free(&exif);
        fn_buf_free(&coded);
    }
    if (!n_read)
        skip();
}

static void scaled_decoding_gives_a_smaller_picture(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_quarters(rgb);
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        fn_decode_options options = FN_DECODE_OPTIONS_INIT;
        options.scale_denominator = 4;
        encode(&coded, format, rgb, NULL);
        fn_picture *picture = decode(&coded, &options);
        int scale = format <= PROGRESSIVE ? 4 : 1;
        assert_int_equal(fn_picture_get_info(picture)->scale_denominator, scale);
        assert_int_equal(fn_picture_get_info(picture)->coded_width, W);
        assert_int_equal(fn_picture_image(picture)->width, W / scale);
        assert_corners(fn_picture_image(picture), "RGBW");
        fn_picture_free(picture);
        fn_buf_free(&coded);
    }
}

static void what_is_not_an_image_is_said(void **state) {
    (void)state;
    fn_buf coded = new_buf();
    fn_buf_append(&coded, "", 0);
    assert_fails(&coded, NULL, FN_EFORMAT, "empty file");
    fn_buf_append(&coded, "Dear diary, today I saw a face.", 31);
    assert_fails(&coded, NULL, FN_EFORMAT, "not an image that facenet reads (JPEG, PNG, WebP, HEIF)");
    static const char *starts[] = {"\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "RIFF\x04\0\0\0WEBP",
                                   "\0\0\0\020ftypheic"};
    static const size_t lengths[] = {3, 8, 12, 12};
    static const char *parts[] = {"truncated JPEG", "PNG", "WebP", "not an image"};
    for (int i = 0; i < 4; i++) {
        fn_buf_free(&coded);
        fn_buf_append(&coded, starts[i], lengths[i]);
        assert_fails(&coded, NULL, FN_EFORMAT, parts[i]);
    }
    fn_buf_free(&coded);
}

static void limits_are_kept_before_memory_is_taken(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        fn_decode_options options = FN_DECODE_OPTIONS_INIT;
        encode(&coded, format, rgb, NULL);
        options.max_pixels = W * H - 1;
        assert_fails(&coded, &options, FN_ELIMIT, "48 x 32 pixels, the limit is 1535");
        options = (fn_decode_options)FN_DECODE_OPTIONS_INIT;
        options.max_bytes = coded.len - 1;
        assert_fails(&coded, &options, FN_ELIMIT, "bytes, the limit is");
        options.max_bytes = coded.len;
        options.max_pixels = W * H;
        fn_picture_free(decode(&coded, &options));
        fn_buf_free(&coded);
    }
}

static void absurd_sizes_in_headers_are_refused(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf coded = new_buf();
    encode(&coded, JPEG, rgb, NULL);
    for (size_t i = 2; i + 9 < coded.len; i++) {
        if ((unsigned char)coded.data[i] == 0xFF && (unsigned char)coded.data[i + 1] == 0xC0) {
            memcpy(coded.data + i + 5, "\xFD\xE8\xFD\xE8", 4); // 65000 x 65000
            assert_fails(&coded, NULL, FN_ELIMIT, "65000 x 65000");
            memset(coded.data + i + 5, 0xFF, 4); // libjpeg's own limit is lower
            assert_fails(&coded, NULL, FN_ELIMIT, "65500");
            memset(coded.data + i + 5, 0, 4);
            assert_fails(&coded, NULL, FN_EFORMAT, "JPEG");
            break;
        }
    }
    fn_buf_free(&coded);
    encode(&coded, PNG, rgb, NULL);
    memset(coded.data + 16, 0, 4); // width 0; the CRC is wrong then, which must not matter either way
    assert_fails(&coded, NULL, FN_EFORMAT, "PNG");
    fn_buf_free(&coded);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    fn_buf coded = new_buf();
    fn_picture *picture;
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    options.scale_denominator = 3;
    assert_int_equal(fn_decode_memory(&picture, "x", 1, NULL, &options), FN_EINVAL);
    options = (fn_decode_options)FN_DECODE_OPTIONS_INIT;
    options.version = 7;
    assert_int_equal(fn_decode_memory(&picture, "x", 1, NULL, &options), FN_EINVAL);
    assert_int_equal(fn_decode_memory(&picture, NULL, 1, NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_decode_file(&picture, NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_decode_file(&picture, "/nonexistent/x.jpg", NULL), FN_EIO);
    assert_null(picture);
    fn_picture_free(NULL);
    fn_buf_free(&coded);
}

static void a_truncated_picture_is_an_error_unless_lenient(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        encode(&coded, format, rgb, NULL);
        for (size_t n = 0; n < coded.len; n++) {
            // A copy of exactly n bytes, so that reading past its end is seen.
            unsigned char *part = fn_alloc(n);
            memcpy(part, coded.data, n);
            fn_picture *picture = NULL;
            int rc = fn_decode_memory(&picture, part, n, NULL, NULL);
            // PNG's end marker and a WebP's padding carry no pixels.
            if (rc == FN_OK && (format <= PROGRESSIVE || n + 16 < coded.len))
                fail_msg("format %d decodes from %zu of %zu bytes", format, n, coded.len);
            assert_true(rc == FN_OK || rc == FN_EFORMAT);
            fn_picture_free(picture);
            fn_free(part);
        }
        fn_buf_free(&coded);
    }
    fn_buf coded = new_buf();
    encode(&coded, JPEG, rgb, NULL);
    coded.len = coded.len * 3 / 4;
    assert_fails(&coded, NULL, FN_EFORMAT, "truncated JPEG after ");
    assert_non_null(strstr(fn_last_error(), " of 32 rows"));
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    options.lenient = 1;
    fn_picture *picture = decode(&coded, &options);
    assert_int_equal(fn_picture_get_info(picture)->truncated, 1);
    fn_image top = *fn_picture_image(picture);
    assert_int_equal(top.height, H);
    top.height = 8;
    assert_near(&top, rgb, 4);
    fn_picture_free(picture);
    fn_buf_free(&coded);
}

static void damaged_bytes_never_crash(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    uint32_t seed = 12345;
    fn_buf exif = new_buf(), profile = new_buf();
    make_exif(&exif, 6, "2024:05:31 12:34:56");
    make_profile(&profile, "p3");
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        encode(&coded, format, rgb, &(extras){&profile, &exif});
        for (int round = 0; round < 400; round++) {
            unsigned char *copy = fn_alloc(coded.len);
            memcpy(copy, coded.data, coded.len);
            for (int flip = 0; flip < 1 + round % 8; flip++) {
                seed = seed * 1664525U + 1013904223U;
                copy[(seed >> 8) % coded.len] ^= (unsigned char)(1U << (seed & 7));
            }
            fn_decode_options options = FN_DECODE_OPTIONS_INIT;
            options.lenient = round & 1;
            options.max_pixels = 1 << 20;
            fn_picture *picture = NULL;
            int rc = fn_decode_memory(&picture, copy, coded.len, NULL, &options);
            assert_true((rc == FN_OK) == (picture != NULL));
            fn_picture_free(picture);
            fn_free(copy);
        }
        fn_buf_free(&coded);
    }
    fn_buf_free(&profile);
    fn_buf_free(&exif);
}

static void a_progressive_jpeg_of_countless_scans_is_refused(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf coded = new_buf(), bomb = new_buf();
    encode(&coded, PROGRESSIVE, rgb, NULL);
    // The first scan again and again, from its SOS to the marker after its data.
    const unsigned char *p = (const unsigned char *)coded.data;
    size_t first = 2, end;
    while (p[first + 1] != 0xDA)
        first += 2 + ((size_t)p[first + 2] << 8 | p[first + 3]);
    for (end = first + 2; p[end] != 0xFF || p[end + 1] == 0; end++)
        ;
    fn_buf_append(&bomb, p, first);
    for (int i = 0; i < 600; i++)
        fn_buf_append(&bomb, p + first, end - first);
    fn_buf_append(&bomb, "\xff\xd9", 2);
    assert_fails(&bomb, NULL, FN_ELIMIT, "scans");
    fn_buf_free(&bomb);
    fn_buf_free(&coded);
}

static void each_failing_allocation_is_reported(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf exif = new_buf(), profile = new_buf();
    make_exif(&exif, 6, NULL);
    make_profile(&profile, "p3");
    for (int format = 0; format < N_FORMATS; format++) {
        fn_buf coded = new_buf();
        encode(&coded, format, rgb, &(extras){&profile, &exif});
        int n = 0, rc;
        do {
            fn_picture *picture = NULL;
            fn_alloc_fail_nth(++n);
            rc = fn_decode_memory(&picture, coded.data, coded.len, "x", NULL);
            fn_alloc_fail_nth(0);
            assert_true(rc == FN_OK || rc == FN_ENOMEM);
            assert_true((rc == FN_OK) == (picture != NULL));
            fn_picture_free(picture);
        } while (rc != FN_OK && n < 100);
        assert_true(n > 4 && n < 100);
        fn_buf_free(&coded);
    }
    fn_buf_free(&profile);
    fn_buf_free(&exif);
}

static void pictures_come_from_files_and_standard_input(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3], digest[32], expected[32];
    paint_smooth(rgb);
    fn_buf coded = new_buf();
    encode(&coded, PNG, rgb, NULL);
    char path[] = "/tmp/facenet-decode-XXXXXX";
    int fd = mkstemp(path), saved = dup(STDIN_FILENO);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, coded.data, coded.len), (ssize_t)coded.len);
    fn_picture *picture = NULL;
    assert_int_equal(fn_decode_file(&picture, path, NULL), FN_OK);
    assert_near(fn_picture_image(picture), rgb, 0);
    fn_picture_free(picture);
    lseek(fd, 0, SEEK_SET);
    dup2(fd, STDIN_FILENO);
    assert_int_equal(fn_decode_file(&picture, "-", NULL), FN_OK);
    fn_picture_free(picture);
    assert_int_equal(fn_decode_file(&picture, "-", NULL), FN_EFORMAT); // read to its end by now
    assert_string_equal(fn_last_error(), "standard input: empty file");
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    options.max_bytes = 10;
    assert_int_equal(fn_decode_file(&picture, path, &options), FN_ELIMIT);
    fn_sha256(expected, coded.data, coded.len);
    assert_int_equal(fn_file_sha256(digest, path, 0), FN_OK);
    assert_memory_equal(digest, expected, 32);
    assert_int_equal(fn_file_sha256(digest, path, 10), FN_ELIMIT);
    assert_int_equal(fn_file_sha256(digest, "/nonexistent", 0), FN_EIO);
    assert_int_equal(fn_file_sha256(digest, "/tmp", 0), FN_EIO);
    close(fd);
    unlink(path);
    fn_buf_free(&coded);
}

static void written_pictures_read_back(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3], bgra[W * H * 4];
    paint_smooth(rgb);
    for (int i = 0; i < W * H; i++) {
        unsigned char pixel[4] = {rgb[3 * i + 2], rgb[3 * i + 1], rgb[3 * i], 0};
        memcpy(bgra + 4 * i, pixel, 4);
    }
    fn_image image = {bgra, W, H, W * 4, FN_PIXEL_BGRA8};
    char folder[] = "/tmp/facenet-write-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    static const char *leaves[] = {"a.png", "b.JPG", "c.jpeg"};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, leaves[i]);
        assert_int_equal(fn_image_write(&image, path, i == 2 ? 80 : 0), FN_OK);
        fn_picture *picture = NULL;
        assert_int_equal(fn_decode_file(&picture, path, NULL), FN_OK);
        assert_near(fn_picture_image(picture), rgb, i == 0 ? 0 : i == 1 ? 8 : 24);
        fn_picture_free(picture);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/a.bmp", folder);
    assert_int_equal(fn_image_write(&image, path, 0), FN_EINVAL);
    snprintf(path, sizeof path, "%s/none/a.png", folder);
    assert_int_equal(fn_image_write(&image, path, 0), FN_EIO);
    assert_int_equal(fn_image_write(&image, "x.jpg", 101), FN_EINVAL);
    assert_int_equal(fn_image_write(NULL, "x.jpg", 0), FN_EINVAL);
    for (int n = 1; n < 20; n++) {
        snprintf(path, sizeof path, "%s/%s", folder, n % 2 ? "a.png" : "a.jpg");
        fn_alloc_fail_nth(n / 2 + 1);
        int rc = fn_image_write(&image, path, 0);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
        assert_int_equal(access(path, F_OK), rc == FN_OK ? 0 : -1);
        unlink(path);
    }
    assert_int_equal(rmdir(folder), 0); // nothing half-written is left
}

static void jpeg_bytes_fit_the_callers_memory_or_say_their_number(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3], bytes[8192];
    paint_smooth(rgb);
    fn_image image = {rgb, W, H, W * 3, FN_PIXEL_RGB8};
    size_t n = 0, again = 0;
    assert_int_equal(fn_image_encode_jpeg(NULL, 0, &n, &image, 95), FN_ELIMIT);
    assert_in_range(n, 100, sizeof bytes);
    assert_int_equal(fn_image_encode_jpeg(bytes, n - 1, &again, &image, 95), FN_ELIMIT);
    assert_int_equal(fn_image_encode_jpeg(bytes, n, &again, &image, 95), FN_OK);
    assert_int_equal(again, n);
    fn_picture *picture = NULL;
    assert_int_equal(fn_decode_memory(&picture, bytes, n, NULL, NULL), FN_OK);
    assert_near(fn_picture_image(picture), rgb, 8);
    fn_picture_free(picture);
    assert_int_equal(fn_image_encode_jpeg(bytes, n, &again, &image, -1), FN_EINVAL);
    assert_int_equal(fn_image_encode_jpeg(bytes, n, &again, NULL, 95), FN_EINVAL);
}

static void *decode_many(void *user) {
    const fn_buf *coded = user;
    for (int i = 0; i < 50; i++) {
        fn_picture *picture = NULL;
        if (fn_decode_memory(&picture, coded[i % N_FORMATS].data, coded[i % N_FORMATS].len, NULL, NULL) < 0)
            return user;
        fn_picture_free(picture);
    }
    return NULL;
}

static void threads_decode_side_by_side(void **state) {
    (void)state;
    unsigned char rgb[W * H * 3];
    paint_smooth(rgb);
    fn_buf exif = new_buf(), profile = new_buf(), coded[N_FORMATS];
    make_exif(&exif, 6, NULL);
    make_profile(&profile, "p3");
    for (int format = 0; format < N_FORMATS; format++) {
        coded[format] = new_buf();
        encode(&coded[format], format, rgb, &(extras){&profile, &exif});
    }
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, decode_many, coded), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (int format = 0; format < N_FORMATS; format++)
        fn_buf_free(&coded[format]);
    fn_buf_free(&profile);
    fn_buf_free(&exif);
}

// Pixels of the demonstration photographs as djpeg -dct int gives them.
static void demonstration_photographs_match_djpeg(void **state) {
    (void)state;
    static const struct {
        const char *leaf, *sha256;
    } photographs[] = {
        {"sample1.jpg", "2cb386bf9266e0ec90b6858c59b9bb0047ab596a0cd6beb998ad910551989abe"},
        {"sample2.jpg", "c4b9d081e958a565ef307dd9f45dba17d1608524bf6402cfd3eefe832caccc53"},
        {"sample3.jpg", "85d029d963f09418e9a779915bdca7b19c32b7b273617cf986bc3b00763c8f1b"},
        {"sample4.jpg", "f41af624b5a53dbd9a568bdf27a0fe1e3555cd0b72cacb9de96118e28b273a18"},
        {"sample5.jpg", "be372e5b1bd079d848ccfae904d775a6cbe3ec0132b5ca6d0d4c5d030061b235"},
        {"sample6.jpg", "c876033dd922359981eaba4239dea99a2e4314a63fbd84a3fd5405e7756f52ed"},
    };
    const char *folder = getenv("FACENET_DEMO");
    char first[4096];
    snprintf(first, sizeof first, "%s/sample1.jpg", folder ? folder : "");
    if (!folder || access(first, R_OK)) {
        print_message("skipped: FACENET_DEMO does not name the folder of sample1.jpg to sample6.jpg\n");
        skip();
    }
    for (size_t i = 0; i < sizeof photographs / sizeof *photographs; i++) {
        char path[4096], header[40], hex[65];
        fn_picture *picture = NULL;
        fn_buf ppm = new_buf();
        snprintf(path, sizeof path, "%s/%s", folder, photographs[i].leaf);
        assert_int_equal(fn_decode_file(&picture, path, NULL), FN_OK);
        const fn_image *image = fn_picture_image(picture);
        int n = snprintf(header, sizeof header, "P6\n%d %d\n255\n", image->width, image->height);
        fn_buf_append(&ppm, header, (size_t)n);
        fn_buf_append(&ppm, image->data, (size_t)image->width * (size_t)image->height * 3);
        fn_sha256_hex(hex, ppm.data, ppm.len);
        assert_string_equal(hex, photographs[i].sha256);
        fn_buf_free(&ppm);
        fn_picture_free(picture);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_gives_its_pixels),
        cmocka_unit_test(every_orientation_ends_upright_once),
        cmocka_unit_test(odd_exif_blocks_are_ignored),
        cmocka_unit_test(wide_gamut_copies_decode_to_the_same_picture),
        cmocka_unit_test(a_profile_in_many_segments_is_joined),
        cmocka_unit_test(an_srgb_profile_changes_no_bit),
        cmocka_unit_test(a_damaged_or_foreign_profile_is_left_out),
        cmocka_unit_test(a_gray_jpeg_becomes_rgb_by_its_profile),
        cmocka_unit_test(cmyk_is_read_in_either_polarity_and_by_its_profile),
        cmocka_unit_test(png_depths_and_colour_types_become_eight_bit_rgb),
        cmocka_unit_test(an_interlaced_png_is_whole),
        cmocka_unit_test(a_png_with_linear_gamma_is_brightened),
        cmocka_unit_test(a_transparent_webp_lies_on_white),
        cmocka_unit_test(an_animated_webp_is_refused),
        cmocka_unit_test(heif_is_turned_once_and_keeps_its_time),
        cmocka_unit_test(scaled_decoding_gives_a_smaller_picture),
        cmocka_unit_test(what_is_not_an_image_is_said),
        cmocka_unit_test(limits_are_kept_before_memory_is_taken),
        cmocka_unit_test(absurd_sizes_in_headers_are_refused),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(a_truncated_picture_is_an_error_unless_lenient),
        cmocka_unit_test(damaged_bytes_never_crash),
        cmocka_unit_test(a_progressive_jpeg_of_countless_scans_is_refused),
        cmocka_unit_test(each_failing_allocation_is_reported),
        cmocka_unit_test(pictures_come_from_files_and_standard_input),
        cmocka_unit_test(written_pictures_read_back),
        cmocka_unit_test(jpeg_bytes_fit_the_callers_memory_or_say_their_number),
        cmocka_unit_test(threads_decode_side_by_side),
        cmocka_unit_test(demonstration_photographs_match_djpeg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
