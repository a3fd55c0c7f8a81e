// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // mkdtemp, unshare, memmem
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "video/clips.h"
#include "video/frame.h"

#include <facenet/decode.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HANG_MS = 30000, SKIPPED = 77 };

static char folder[64], path[128];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/facenet-video-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *in_folder(const char *name) {
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_bytes(const char *file, const void *bytes, size_t n) {
    assert_int_equal(fn_write_file(file, bytes, n, 0644), FN_OK);
}

static void write_buf(const char *file, fn_buf *buf) {
    assert_int_equal(buf->failed, FN_OK);
    write_bytes(file, buf->data, buf->len);
    fn_buf_free(buf);
}

static fn_buf new_buf(void) {
    fn_buf buf;
    fn_buf_init(&buf, (size_t)1 << 28);
    return buf;
}

static void nap(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static fn_video *open_video(const char *source, const fn_video_options *options) {
    fn_video *video = NULL;
    if (fn_video_open(&video, source, options, NULL) != FN_OK)
        fail_msg("%s: %s", source, fn_last_error());
    return video;
}

static fn_frame *next_frame(fn_video *video) {
    fn_frame *frame = NULL;
    if (fn_video_next(video, &frame) != FN_OK)
        fail_msg("%s", fn_last_error());
    return frame;
}

static void assert_line(int rc, int code, const char *part) {
    if (rc != code || !strstr(fn_last_error(), part))
        fail_msg("%s: \"%s\"; expected %s: \"%s\"", fn_error_name(rc), fn_last_error(), fn_error_name(code),
                 part);
    assert_null(strchr(fn_last_error(), '\n'));
}

/// Opening fails, or a later frame does, with this code and a line that begins with the source's name.
static void assert_fails(const char *source, const fn_video_options *options, int code, const char *part) {
    fn_video *video = (fn_video *)(uintptr_t)1;
    fn_frame *frame = NULL;
    const int64_t start = fn_clock_ms();
    int rc = fn_video_open(&video, source, options, NULL);
    if (rc < 0)
        assert_null(video);
    while (rc == FN_OK && (rc = fn_video_next(video, &frame)) == FN_OK && frame)
        fn_frame_free(frame);
    assert_line(rc, code, part);
    assert_memory_equal(fn_last_error(), source, strlen(source));
    if (video) {
        assert_int_equal(fn_video_next(video, &frame), code); // and again
        fn_video_free(video);
    }
    assert_true(fn_clock_ms() - start < HANG_MS);
}

/// Takes every frame, whose numbers count from 0 to n-1 and whose times are multiples of 1/fps.
static void assert_counts(const char *source, const fn_video_options *options, int n, double fps, int error) {
    fn_video *video = open_video(source, options);
    fn_frame *frame;
    int i = 0;
    for (; (frame = next_frame(video)); i++) {
        if (clip_number(fn_frame_image(frame)) != i || fn_frame_index(frame) != (uint64_t)i)
            fail_msg("%s: frame %d is number %d, index %d", source, i, clip_number(fn_frame_image(frame)),
                     (int)fn_frame_index(frame));
        if (fabs(fn_frame_time(frame) - i / fps) > 0.0011)
            fail_msg("%s: frame %d lies at %g s, not at %g", source, i, fn_frame_time(frame), i / fps);
        if (clip_color_error(fn_frame_image(frame)) > error)
            fail_msg("%s: frame %d: a colour is off by %d", source, i,
                     clip_color_error(fn_frame_image(frame)));
        assert_false(fn_frame_is_break(frame));
        fn_frame_free(frame);
    }
    assert_int_equal(i, n);
    assert_null(next_frame(video)); // the end stays the end
    const fn_video_counts counts = fn_video_get_counts(video);
    assert_int_equal(counts.n_decoded, n);
    assert_int_equal(counts.n_delivered, n);
    assert_int_equal(counts.n_dropped + counts.n_damaged + counts.n_reconnects, 0);
    fn_video_free(video);
}

// ---- files -------------------------------------------------------------------------------------------

static void every_frame_of_a_file_arrives_in_order(void **state) {
    (void)state;
    static const char *const names[] = {"a.mp4", "a.mkv", "a.mov", "a.avi", "A.MP4"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_true(clip_write(in_folder(names[i]), CLIP_WIDTH, CLIP_HEIGHT, 70, 25));
        assert_counts(path, NULL, 70, 25, 14);
        fn_video *video = open_video(path, NULL);
        const fn_video_info *info = fn_video_get_info(video);
        assert_int_equal(info->width, CLIP_WIDTH);
        assert_int_equal(info->height, CLIP_HEIGHT);
        assert_true(fabs(info->fps - 25) < 0.1);
        assert_true(fabs(info->duration_s - 2.8) < 0.15);
        assert_in_range(info->n_frames, 68, 72);
        assert_int_equal(info->is_live, 0);
        assert_true(strcmp(info->codec, "h264") == 0 || strcmp(info->codec, "mpeg4") == 0);
        fn_video_free(video); // with frames left in the queue
    }
    // One more: colours of large pictures go by another matrix.
    assert_true(clip_write(in_folder("hd.mp4"), 1280, 720, 4, 30000.0 / 1001));
    assert_counts(path, NULL, 4, 30000.0 / 1001, 14);
}

static void frames_keep_the_times_they_were_given(void **state) {
    (void)state;
    static const double times[] = {3, 3.02, 3.5, 3.512, 7, 7.033};
    enum { N = sizeof times / sizeof *times };
    static unsigned char rgb[CLIP_WIDTH * CLIP_HEIGHT * 3];
    const fn_image image = {rgb, CLIP_WIDTH, CLIP_HEIGHT, CLIP_WIDTH * 3, FN_PIXEL_RGB8};
    static const char *const names[] = {"t.mp4", "t.mkv"};
    for (int k = 0; k < 2; k++) {
        fn_video_writer *writer;
        assert_int_equal(fn_video_writer_open(&writer, in_folder(names[k]), CLIP_WIDTH, CLIP_HEIGHT, NULL),
                         FN_OK);
        for (int i = 0; i < N; i++) {
            clip_draw(rgb, CLIP_WIDTH, CLIP_HEIGHT, i);
            assert_int_equal(fn_video_writer_add(writer, &image, times[i]), FN_OK);
        }
        assert_line(fn_video_writer_add(writer, &image, 7.033), FN_EINVAL, "times rise");
        assert_line(fn_video_writer_add(writer, &image, INFINITY), FN_EINVAL, "times rise");
        assert_int_equal(fn_video_writer_finish(writer), FN_OK);
        fn_video *video = open_video(path, NULL);
        for (int i = 0; i < N; i++) {
            fn_frame *frame = next_frame(video);
            assert_int_equal(clip_number(fn_frame_image(frame)), i);
            if (fabs(fn_frame_time(frame) - (times[i] - times[0])) > 0.0011)
                fail_msg("%s: frame %d at %g", path, i, fn_frame_time(frame));
            fn_frame_free(frame);
        }
        assert_null(next_frame(video));
        fn_video_free(video);
    }
}

// An .avi of numbered frames at those times; what it then holds: their numbers, where, and how many they are.
static void write_and_read_avi(const double *times, int n, double fps, const int *numbers,
                               const double *read_s, int n_read) {
    static unsigned char rgb[CLIP_WIDTH * CLIP_HEIGHT * 3];
    const fn_image image = {rgb, CLIP_WIDTH, CLIP_HEIGHT, CLIP_WIDTH * 3, FN_PIXEL_RGB8};
    fn_writer_options options = FN_WRITER_OPTIONS_INIT;
    fn_video_writer *writer;
    options.fps = fps;
    assert_int_equal(fn_video_writer_open(&writer, in_folder("t.avi"), CLIP_WIDTH, CLIP_HEIGHT, &options),
                     FN_OK);
    for (int i = 0; i < n; i++) {
        clip_draw(rgb, CLIP_WIDTH, CLIP_HEIGHT, i);
        if (fn_video_writer_add(writer, &image, times[i]) != FN_OK)
            fail_msg("frame %d: %s", i, fn_last_error());
    }
    if (fn_video_writer_finish(writer) != FN_OK)
        fail_msg("%s", fn_last_error());
    fn_video *video = open_video(path, NULL);
    for (int i = 0; i < n_read; i++) {
        fn_frame *frame = next_frame(video);
        assert_non_null(frame);
        if (clip_number(fn_frame_image(frame)) != numbers[i] || fabs(fn_frame_time(frame) - read_s[i]) > 1e-3)
            fail_msg("frame %d is number %d at %g s, expected %d at %g", i,
                     clip_number(fn_frame_image(frame)), fn_frame_time(frame), numbers[i], read_s[i]);
        fn_frame_free(frame);
    }
    assert_null(next_frame(video));
    fn_video_free(video);
}

static void a_long_gap_is_a_short_one_in_an_avi(void **state) {
    (void)state;
    static const double times[] = {5, 5.04, 3605.04, 3605.08, 3615.08, 3625.16, 3625.2};
    static const int numbers[] = {0, 1, 2, 3, 4, 5, 6};
    static const double read_s[] = {0, 0.04, 10.04, 10.08, 20.08, 30.08, 30.12};
    write_and_read_avi(times, 7, 25, numbers, read_s, 7);
}

static void frames_too_many_for_the_rate_of_an_avi_are_left_out(void **state) {
    (void)state;
    double times[61], read_s[21];
    int numbers[21];
    for (int i = 0; i < 61; i++)
        times[i] = i / 30.0;
    for (int i = 0; i < 21; i++) { // places reach from half a step before to half a step after
        read_s[i] = i / 10.0;
        numbers[i] = i ? 3 * i - 1 : 0;
    }
    write_and_read_avi(times, 61, 10, numbers, read_s, 21);
}

static void odd_sizes_and_every_pixel_format_can_be_written(void **state) {
    (void)state;
    enum { W = 161, H = 121 };
    static unsigned char rgb[W * H * 3], pixels[H * (W * 4 + 3)];
    for (int format = FN_PIXEL_RGB8; format <= FN_PIXEL_GRAY8; format++) {
        const int size = fn_pixel_size((fn_pixel_format)format), stride = W * size + 3;
        const int is_bgr = format == FN_PIXEL_BGR8 || format == FN_PIXEL_BGRA8;
        fn_image image = {pixels + (H - 1) * stride, W, H, -stride, (fn_pixel_format)format};
        fn_video_writer *writer;
        assert_int_equal(fn_video_writer_open(&writer, in_folder("odd.mkv"), W, H, NULL), FN_OK);
        clip_draw(rgb, W, H, 77);
        for (int y = 0; y < H; y++) {
            for (int x = 0; x < W; x++) {
                unsigned char *dst = pixels + (H - 1 - y) * stride + x * size;
                const unsigned char *src = rgb + 3 * (y * W + x);
                for (int c = 0; c < (size < 3 ? 1 : 3); c++)
                    dst[c] = src[is_bgr ? 2 - c : c];
                if (size == 4)
                    dst[3] = (unsigned char)x; // alpha is no matter
            }
        }
        assert_int_equal(fn_video_writer_add(writer, &image, (double)NAN), FN_OK);
        image.width--;
        assert_line(fn_video_writer_add(writer, &image, (double)NAN), FN_EINVAL, "160 x 121");
        assert_int_equal(fn_video_writer_finish(writer), FN_OK);
        fn_video *video = open_video(path, NULL);
        fn_frame *frame = next_frame(video);
        assert_int_equal(fn_frame_image(frame)->width, W + 1);
        assert_int_equal(fn_frame_image(frame)->height, H + 1);
        assert_int_equal(clip_number(fn_frame_image(frame)), 77);
        if (size > 1)
            assert_in_range(clip_color_error(fn_frame_image(frame)), 0, 14);
        fn_frame_free(frame);
        fn_video_free(video);
    }
}

static void a_loop_goes_on_rising(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.loop = 1;
    assert_true(clip_write(in_folder("loop.mp4"), CLIP_WIDTH, CLIP_HEIGHT, 10, 25));
    fn_video *video = open_video(path, &options);
    for (int i = 0; i < 35; i++) {
        fn_frame *frame = next_frame(video);
        assert_int_equal(clip_number(fn_frame_image(frame)), i % 10);
        assert_int_equal(fn_frame_index(frame), i);
        assert_true(fabs(fn_frame_time(frame) - i / 25.0) < 0.002);
        assert_int_equal(fn_frame_is_break(frame), i && i % 10 == 0);
        fn_frame_free(frame);
    }
    fn_video_free(video);
}

static void the_newest_frame_never_lags(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.policy = FN_FRAMES_NEWEST;
    assert_true(clip_write(in_folder("live.mkv"), CLIP_WIDTH, CLIP_HEIGHT, 120, 200));
    fn_video *video = open_video(path, &options);
    fn_frame *frame;
    int64_t last = -1, n = 0;
    for (;;) {
        const fn_video_counts before = fn_video_get_counts(video);
        if (!(frame = next_frame(video)))
            break;
        const int64_t index = (int64_t)fn_frame_index(frame);
        assert_true(index > last);
        assert_true(index + 1 >= (int64_t)before.n_decoded); // none older than what was there
        assert_int_equal(clip_number(fn_frame_image(frame)), index);
        last = index;
        n++;
        nap(30);
        fn_frame_free(frame);
    }
    const fn_video_counts counts = fn_video_get_counts(video);
    assert_int_equal(last, 119);
    assert_int_equal(counts.n_decoded, 120);
    assert_int_equal(counts.n_delivered, n);
    assert_int_equal(counts.n_dropped, 120 - n);
    assert_true(counts.n_dropped > 0);
    fn_video_free(video);
}

// ---- what frames look like -----------------------------------------------------------------------------

static void rgb_is_not_copied(void **state) {
    (void)state;
    fn_buf avi = new_buf();
    clip_raw_avi(&avi, 161, 121, 3); // rows are padded, and stored bottom-up
    write_buf(in_folder("raw.avi"), &avi);
    fn_video *video = open_video(path, NULL);
    unsigned char rgb[161 * 121 * 3];
    for (int i = 0; i < 3; i++) {
        fn_frame *frame = next_frame(video);
        const fn_image *image = fn_frame_image(frame);
        assert_true(frame->is_view);
        assert_int_equal(image->format, FN_PIXEL_BGR8);
        assert_true(image->stride_bytes < 0);
        clip_draw(rgb, 161, 121, i);
        for (int y = 0; y < 121; y++) {
            for (int x = 0; x < 161; x++) {
                const uint8_t *p = image->data + y * image->stride_bytes + (ptrdiff_t)3 * x;
                const unsigned char *q = rgb + 3 * (y * 161 + x);
                if (p[0] != q[2] || p[1] != q[1] || p[2] != q[0])
                    fail_msg("frame %d differs at %d, %d", i, x, y);
            }
        }
        fn_frame_free(frame);
    }
    fn_video_free(video);
}

static void colors_follow_matrix_and_range(void **state) {
    (void)state;
    // Y, U, V -> R, G, B by ITU-R BT.601 and BT.709, table for pure and plain colours.
    static const struct {
        const char *header;
        int w, h, y, u, v, r, g, b;
    } cases[] = {
        {"C444", 64, 48, 235, 128, 128, 255, 255, 255},
        {"C444", 64, 48, 16, 128, 128, 0, 0, 0},
        {"C444 XCOLORRANGE=FULL", 64, 48, 235, 128, 128, 235, 235, 235},
        {"C444 XCOLORRANGE=FULL", 64, 48, 16, 128, 128, 16, 16, 16},
        {"C444", 64, 48, 81, 90, 240, 254, 0, 0},     // BT.601's red
        {"C444", 64, 48, 145, 54, 34, 0, 255, 1},     // and green
        {"C444", 1280, 720, 63, 102, 240, 255, 0, 0}, // BT.709's red
        {"C444", 1280, 720, 173, 42, 26, 0, 255, 1},
        {"Cmono", 64, 48, 99, 0, 0, 99, 99, 99},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_buf y4m = new_buf();
        clip_y4m(&y4m, cases[i].header, cases[i].w, cases[i].h, 1, cases[i].y, cases[i].u, cases[i].v);
        write_buf(in_folder("c.y4m"), &y4m);
        fn_video *video = open_video(path, NULL);
        fn_frame *frame = next_frame(video);
        const fn_image *image = fn_frame_image(frame);
        const int size = fn_pixel_size(image->format);
        const uint8_t *p = image->data + 20 * image->stride_bytes + (ptrdiff_t)20 * size;
        const int r = p[0], g = p[size / 2], b = p[size - 1];
        if (abs(r - cases[i].r) > 3 || abs(g - cases[i].g) > 3 || abs(b - cases[i].b) > 3)
            fail_msg("%s: %d %d %d, expected %d %d %d", cases[i].header, r, g, b, cases[i].r, cases[i].g,
                     cases[i].b);
        fn_frame_free(frame);
        fn_video_free(video);
    }
}

static void pixels_come_out_square(void **state) {
    (void)state;
    static const struct {
        const char *header;
        int width, height;
    } cases[] = {{"C444 A1:1", 64, 48},   {"C444 A2:1", 128, 48},  {"C444 A1:2", 64, 96},
                 {"C444 A16:15", 68, 48}, {"C444 A900:1", 64, 48}, {"C444 A0:0", 64, 48}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_buf y4m = new_buf();
        clip_y4m(&y4m, cases[i].header, 64, 48, 1, 90, 128, 128);
        write_buf(in_folder("s.y4m"), &y4m);
        fn_video *video = open_video(path, NULL);
        assert_int_equal(fn_video_get_info(video)->width, cases[i].width);
        assert_int_equal(fn_video_get_info(video)->height, cases[i].height);
        fn_video_free(video);
    }
}

// The matrix of an MP4's track stands 40 bytes after the name of its header (ISO/IEC 14496-12, 8.3.2).
static void turn_file(const char *file, int a, int b, int c, int d) {
    unsigned char *bytes;
    size_t n;
    const int values[9] = {a, b, 0, c, d, 0, 0, 0, 1 << 14};
    assert_int_equal(fn_read_file(&bytes, &n, file, 1 << 24), FN_OK);
    unsigned char *header = memmem(bytes, n, "tkhd", 4);
    assert_non_null(header);
    for (int i = 0; i < 9; i++) {
        const uint32_t v = (uint32_t)values[i] << 16;
        const unsigned char word[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), 0, 0};
        memcpy(header + 4 + 40 + 4 * i, word, 4);
    }
    write_bytes(file, bytes, n);
    fn_free(bytes);
}

static void rotation_is_undone(void **state) {
    (void)state;
    // What a player does with the stored picture: the point x, y goes to a x + c y, b x + d y.
    static const struct {
        int a, b, c, d, rotation;
    } cases[] = {{1, 0, 0, 1, 0},  {0, 1, -1, 0, 90},  {-1, 0, 0, -1, 180}, {0, -1, 1, 0, 270},
                 {-1, 0, 0, 1, 0}, {1, 0, 0, -1, 180}, {0, 1, 1, 0, 270},   {0, -1, -1, 0, 90}};
    enum { W = CLIP_WIDTH, H = CLIP_HEIGHT };
    static unsigned char stored[W * H * 3];
    clip_draw(stored, W, H, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(clip_write(in_folder("turn.mp4"), W, H, 1, 25));
        turn_file(path, cases[i].a, cases[i].b, cases[i].c, cases[i].d);
        fn_video *video = open_video(path, NULL);
        fn_frame *frame = next_frame(video);
        const fn_image *image = fn_frame_image(frame);
        const int swaps = cases[i].a == 0;
        assert_int_equal(fn_video_get_info(video)->rotation, cases[i].rotation);
        assert_int_equal(fn_video_get_info(video)->width, swaps ? H : W);
        assert_int_equal(image->width, swaps ? H : W);
        assert_int_equal(image->height, swaps ? W : H);
        for (int k = 0; k < 3; k++) { // the middle of each patch
            const int x = 40 * k + 20, y = 40;
            int u = cases[i].a * x + cases[i].c * y, v = cases[i].b * x + cases[i].d * y;
            u += u < 0 ? image->width : 0;
            v += v < 0 ? image->height : 0;
            const uint8_t *p = image->data + v * image->stride_bytes + (ptrdiff_t)3 * u;
            const unsigned char *q = stored + 3 * (y * W + x);
            for (int c = 0; c < 3; c++) {
                if (abs(p[c] - q[c]) > 14)
                    fail_msg("case %zu: patch %d is %d %d %d at %d, %d", i, k, p[0], p[1], p[2], u, v);
            }
        }
        fn_frame_free(frame);
        fn_video_free(video);
    }
}

static void sizes_may_change_on_the_way(void **state) {
    (void)state;
    fn_buf jpegs = new_buf();
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    clip_mjpeg(&jpegs, 160, 120, 0, 3);
    clip_mjpeg(&jpegs, 240, 160, 3, 3);
    clip_mjpeg(&jpegs, 176, 144, 6, 3);
    write_buf(in_folder("sizes.mjpeg"), &jpegs);
    assert_counts(path, NULL, 9, 25, 14);
    fn_video *video = open_video(path, NULL);
    for (int i = 0; i < 9; i++) {
        fn_frame *frame = next_frame(video);
        assert_int_equal(fn_frame_image(frame)->width, i < 3 ? 160 : i < 6 ? 240 : 176);
        fn_frame_free(frame);
    }
    fn_video_free(video);
    // What is too large is not decoded; the rest is.
    options.max_pixels = 200 * 150;
    video = open_video(path, &options);
    int n = 0;
    for (fn_frame *frame; (frame = next_frame(video)); n++) {
        assert_true(fn_frame_image(frame)->width < 240);
        fn_frame_free(frame);
    }
    assert_int_equal(n, 6);
    assert_int_equal(fn_video_get_counts(video).n_damaged, 3);
    fn_video_free(video);
    options.max_pixels = 100 * 100;
    assert_fails(path, &options, FN_ELIMIT, "the limit is 10000");
}

// ---- folders -----------------------------------------------------------------------------------------

static void write_picture(const char *file, int number) {
    static unsigned char rgb[CLIP_WIDTH * CLIP_HEIGHT * 3];
    const fn_image image = {rgb, CLIP_WIDTH, CLIP_HEIGHT, CLIP_WIDTH * 3, FN_PIXEL_RGB8};
    clip_draw(rgb, CLIP_WIDTH, CLIP_HEIGHT, number);
    if (fn_image_write(&image, file, 90) != FN_OK)
        fail_msg("%s", fn_last_error());
}

static void a_folder_is_a_video(void **state) {
    (void)state;
    static const char *const names[] = {"A.png", "B.jpg", "a.jpg", "b.png"}; // in byte order
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    char inner[100], pictures[80];
    snprintf(pictures, sizeof pictures, "%s/pictures", folder);
    assert_int_equal(mkdir(pictures, 0755), 0);
    assert_fails(pictures, NULL, FN_EFORMAT, "no picture");
    snprintf(inner, sizeof inner, "%s/0 folder", pictures);
    assert_int_equal(mkdir(inner, 0755), 0);
    assert_fails(pictures, NULL, FN_EFORMAT, "no picture");
    snprintf(inner, sizeof inner, "%s/0 folder/c.jpg", pictures);
    write_picture(inner, 99);
    for (int i = 3; i >= 0; i--) {
        snprintf(inner, sizeof inner, "%s/%s", pictures, names[i]);
        write_picture(inner, i);
    }
    assert_counts(pictures, NULL, 4, 25, 30);
    options.fps = 5;
    assert_counts(pictures, &options, 4, 5, 30);
    assert_counts(inner, NULL, 1, 25, 30); // one picture: A.png, number 0
    // What is called a picture and is none is passed over; other names do not count.
    snprintf(inner, sizeof inner, "%s/Ab.txt", pictures);
    write_bytes(inner, "text", 4);
    assert_counts(pictures, NULL, 4, 25, 30);
    snprintf(inner, sizeof inner, "%s/Ab.JPG", pictures);
    write_bytes(inner, "text", 4);
    fn_video *video = open_video(pictures, NULL);
    int n = 0;
    for (fn_frame *frame; (frame = next_frame(video)); fn_frame_free(frame))
        assert_int_equal(clip_number(fn_frame_image(frame)), n++);
    assert_int_equal(n, 4);
    assert_int_equal(fn_video_get_counts(video).n_damaged, 1);
    assert_string_equal(fn_video_get_info(video)->codec, "");
    fn_video_free(video);
    options.loop = 1;
    video = open_video(pictures, &options);
    for (int i = 0; i < 9; i++) {
        fn_frame *frame = next_frame(video);
        assert_int_equal(clip_number(fn_frame_image(frame)), i % 4);
        assert_int_equal(fn_frame_is_break(frame), i && i % 4 == 0);
        assert_true(fabs(fn_frame_time(frame) - i / 5.0) < 1e-9);
        fn_frame_free(frame);
    }
    fn_video_free(video);
    options.max_pixels = 1000;
    assert_fails(pictures, &options, FN_EFORMAT, "no picture");
    // Where no name is a picture's, any may be one.
    assert_int_equal(mkdir(in_folder("unnamed"), 0755), 0);
    write_picture(in_folder("unnamed/one.jpg"), 0);
    char one[128];
    snprintf(one, sizeof one, "%s", path);
    assert_int_equal(rename(one, in_folder("unnamed/one")), 0);
    assert_counts(in_folder("unnamed"), NULL, 1, 25, 30);
}

static void a_pattern_goes_by_number(void **state) {
    (void)state;
    static const int numbers[] = {7, 9, 10, 111, 2000};
    char name[128], pattern[100];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s/f%d.jpg", folder, numbers[i]);
        write_picture(name, i);
    }
    write_picture(in_folder("f8.png"), 50);
    write_picture(in_folder("xf8.jpg"), 51);
    write_picture(in_folder("f8x.jpg"), 52);
    snprintf(pattern, sizeof pattern, "%s/f%%d.jpg", folder);
    assert_counts(pattern, NULL, 5, 25, 30);
    snprintf(pattern, sizeof pattern, "%s/f%%04d.jpg", folder);
    assert_counts(pattern, NULL, 5, 25, 30);
    snprintf(pattern, sizeof pattern, "%s/g%%04d.jpg", folder);
    assert_fails(pattern, NULL, FN_EFORMAT, "no picture");
    snprintf(pattern, sizeof pattern, "%s/%%s%%n.jpg", folder); // for no printf
    assert_fails(pattern, NULL, FN_EIO, "No such file");
}

// ---- broken inputs -------------------------------------------------------------------------------------

static void cut_file(const char *file, const char *to, size_t n) {
    unsigned char *bytes;
    size_t size;
    assert_int_equal(fn_read_file(&bytes, &size, file, 1 << 24), FN_OK);
    assert_true(n <= size);
    write_bytes(to, bytes, n);
    fn_free(bytes);
}

static size_t file_size(const char *file) {
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    return (size_t)st.st_size;
}

static void what_is_no_video_is_said_in_a_line(void **state) {
    (void)state;
    unsigned char noise[20000];
    fn_buf wav = new_buf();
    assert_fails("/nowhere/clip.mp4", NULL, FN_EIO, "No such file");
    assert_fails("/dev/null", NULL, FN_EFORMAT, "empty");
    write_bytes(in_folder("empty.mp4"), "", 0);
    assert_fails(path, NULL, FN_EFORMAT, "it is empty");
    write_bytes(in_folder("text.mp4"), "This is no video.\n", 18);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    write_bytes(in_folder("page.mp4"), "<!DOCTYPE html><html><body>404</body></html>\n", 45);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)((i * i * 2654435761U + i * 40503U) >> 11);
    write_bytes(in_folder("noise.mp4"), noise, sizeof noise);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    clip_wav(&wav);
    write_buf(in_folder("sound.wav"), &wav);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
}

static void sound_alone_is_no_video(void **state) {
    (void)state;
    char command[400];
    if (system("command -v ffmpeg >/dev/null") != 0) {
        print_message("skipped: there is no ffmpeg to make files of sound alone\n");
        return;
    }
    static const char *const names[] = {"s.mp4", "s.mkv", "s.mp3", "s.ogg", "s.avi"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(command, sizeof command, "ffmpeg -v quiet -y -f lavfi -i sine=d=1 %s </dev/null",
                 in_folder(names[i]));
        assert_int_equal(system(command), 0);
        assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    }
    // The picture on the cover is none either.
    write_picture(in_folder("cover.jpg"), 1);
    snprintf(
        command, sizeof command,
        "cd %s && ffmpeg -v quiet -y -i s.mp4 -i cover.jpg -map 0 -map 1 -c copy -disposition:v attached_pic "
        "cover.mp4 </dev/null",
        folder);
    assert_int_equal(system(command), 0);
    assert_fails(in_folder("cover.mp4"), NULL, FN_EFORMAT, "only sound");
}

static void files_cut_short_give_what_they_have(void **state) {
    (void)state;
    char whole[100];
    snprintf(whole, sizeof whole, "%s/whole.mp4", folder);
    assert_true(clip_write(whole, CLIP_WIDTH, CLIP_HEIGHT, 50, 25));
    cut_file(whole, in_folder("cut.mp4"), file_size(whole) * 6 / 10); // the index was at the end
    assert_fails(path, NULL, FN_EFORMAT, "moov");
    snprintf(whole, sizeof whole, "%s/whole.mkv", folder);
    assert_true(clip_write(whole, CLIP_WIDTH, CLIP_HEIGHT, 50, 25));
    cut_file(whole, in_folder("cut.mkv"), file_size(whole) * 6 / 10);
    fn_video *video = open_video(path, NULL);
    int n = 0, n_wrong = 0;
    for (fn_frame *frame; (frame = next_frame(video)); fn_frame_free(frame))
        n_wrong += clip_number(fn_frame_image(frame)) != n++;
    assert_in_range(n, 5, 49);
    assert_true(n_wrong <= 1); // the one that was cut
    fn_video_free(video);
    // Only its head is left.
    unsigned char *bytes;
    size_t size;
    assert_int_equal(fn_read_file(&bytes, &size, whole, 1 << 24), FN_OK);
    unsigned char *cluster = memmem(bytes, size, "\x1F\x43\xB6\x75", 4);
    assert_non_null(cluster);
    write_bytes(in_folder("head.mkv"), bytes, (size_t)(cluster - bytes));
    fn_free(bytes);
    assert_fails(path, NULL, FN_EFORMAT, "cut short");
}

static void a_video_without_frames_is_an_error(void **state) {
    (void)state;
    fn_buf file = new_buf();
    clip_y4m(&file, "C444", 64, 48, 0, 0, 0, 0);
    write_buf(in_folder("none.y4m"), &file);
    assert_fails(path, NULL, FN_EFORMAT, "no frame in it");
    file = new_buf();
    clip_raw_avi(&file, 64, 48, 0);
    write_buf(in_folder("none.avi"), &file);
    assert_fails(path, NULL, FN_EFORMAT, "no frame in it");
}

static void damage_is_counted_and_passed_over(void **state) {
    (void)state;
    unsigned char *bytes;
    size_t n;
    fn_buf jpegs = new_buf();
    clip_mjpeg(&jpegs, CLIP_WIDTH, CLIP_HEIGHT, 0, 12);
    // The header of one picture in the middle is wrong: that one is lost.
    size_t at = 0;
    for (int i = 0; i < 6; i++)
        at =
            (size_t)((char *)memmem(jpegs.data + at + 2, jpegs.len - at - 2, "\xFF\xD8\xFF", 3) - jpegs.data);
    unsigned char *table = memmem(jpegs.data + at, jpegs.len - at, "\xFF\xC0", 2);
    table[9] = 77; // that many components
    write_buf(in_folder("one.mjpeg"), &jpegs);
    fn_video *video = open_video(path, NULL);
    int count = 0;
    for (fn_frame *frame; (frame = next_frame(video)); fn_frame_free(frame), count++)
        assert_int_equal(clip_number(fn_frame_image(frame)), count < 6 ? count : count + 1);
    assert_int_equal(count, 11);
    assert_int_equal(fn_video_get_counts(video).n_damaged, 1);
    fn_video_free(video);
    // Wherever a file is damaged, it ends, well or with a line.
    assert_true(clip_write(in_folder("good.mkv"), CLIP_WIDTH, CLIP_HEIGHT, 30, 25));
    assert_int_equal(fn_read_file(&bytes, &n, path, 1 << 24), FN_OK);
    for (int k = 0; k < 40; k++) {
        unsigned char *copy = fn_alloc(n);
        memcpy(copy, bytes, n);
        for (size_t i = 0; i < 30; i++)
            copy[(i * 7919 + (size_t)k * 104729) % n] ^= (unsigned char)(i * 37 + (size_t)k + 1);
        write_bytes(in_folder("bad.mkv"), copy, n);
        fn_free(copy);
        fn_frame *frame = NULL;
        int rc = fn_video_open(&video, path, NULL, NULL);
        if (rc < 0)
            continue;
        while ((rc = fn_video_next(video, &frame)) == FN_OK && frame)
            fn_frame_free(frame);
        assert_true(rc == FN_OK || rc == FN_EFORMAT);
        fn_video_free(video);
    }
    fn_free(bytes);
}

static void a_file_opens_no_other(void **state) {
    (void)state;
    fn_buf text = new_buf();
    assert_true(clip_write(in_folder("secret.mkv"), CLIP_WIDTH, CLIP_HEIGHT, 5, 25));
    fn_buf_printf(&text, "ffconcat version 1.0\nfile '%s/secret.mkv'\n", folder);
    write_buf(in_folder("list.ffconcat"), &text);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    text = new_buf();
    fn_buf_printf(&text, "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n%s/secret.mkv\n#EXT-X-ENDLIST\n",
                  folder);
    write_buf(in_folder("list.m3u8"), &text);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    text = new_buf();
    fn_buf_printf(&text,
                  "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
                  "a=rtpmap:96 H264/90000\n");
    write_buf(in_folder("x.sdp"), &text);
    assert_fails(path, NULL, FN_EFORMAT, "no video in it");
    assert_fails("concat:a|b", NULL, FN_EIO, "No such file");
    assert_fails("file:///etc/passwd", NULL, FN_EINVAL, "rtsp, http");
    assert_fails("gopher://127.0.0.1/", NULL, FN_EINVAL, "rtsp, http");
}

// ---- waiting and leaving -------------------------------------------------------------------------------

static void a_pipe_that_says_nothing_times_out(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    options.timeout_ms = 300;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_fails(path, &options, FN_ETIMEOUT, "in time"); // nobody at the other end
    const int fd = open(path, O_RDWR);                    // somebody silent
    assert_true(fd >= 0);
    assert_fails(path, &options, FN_ETIMEOUT, "in time");
    close(fd);
}

typedef struct trickle {
    const char *file;
    int fd;
    atomic_int is_over;
} trickle;

// A byte at a time, as slowly as a hostile server would.
static void *drip(void *user) {
    trickle *t = user;
    unsigned char *bytes;
    size_t n;
    if (fn_read_file(&bytes, &n, t->file, 1 << 24) < 0)
        return NULL;
    for (size_t i = 0; i < n && !atomic_load(&t->is_over); i++) {
        if (write(t->fd, bytes + i, 1) != 1)
            break;
        nap(5);
    }
    fn_free(bytes);
    return NULL;
}

static void a_trickle_times_out(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    pthread_t thread;
    char whole[100];
    snprintf(whole, sizeof whole, "%s/whole.mkv", folder);
    options.timeout_ms = 500;
    assert_true(clip_write(whole, CLIP_WIDTH, CLIP_HEIGHT, 50, 25));
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    trickle t = {.file = whole, .fd = open(path, O_RDWR)};
    assert_int_equal(pthread_create(&thread, NULL, drip, &t), 0);
    assert_fails(path, &options, FN_ETIMEOUT, "in time");
    atomic_store(&t.is_over, 1);
    pthread_join(thread, NULL);
    close(t.fd);
}

static void *stop_soon(void *video) {
    nap(150);
    fn_video_stop(video);
    return NULL;
}

static void a_waiting_thread_can_be_stopped(void **state) {
    (void)state;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    char whole[100];
    unsigned char *bytes;
    size_t n;
    pthread_t thread;
    options.timeout_ms = 10 * HANG_MS;
    snprintf(whole, sizeof whole, "%s/whole.mkv", folder);
    assert_true(clip_write(whole, CLIP_WIDTH, CLIP_HEIGHT, 50, 25));
    assert_int_equal(fn_read_file(&bytes, &n, whole, 1 << 24), FN_OK);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    const int fd = open(path, O_RDWR);
    assert_int_equal(fcntl(fd, F_SETPIPE_SZ, 1 << 20) > 0 && n < 1 << 20, 1);
    assert_int_equal(write(fd, bytes, n), n);
    fn_free(bytes);
    const int64_t start = fn_clock_ms();
    fn_video *video = open_video(path, &options);
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, video), 0);
    fn_frame *frame;
    int rc;
    while ((rc = fn_video_next(video, &frame)) == FN_OK)
        fn_frame_free(frame);
    assert_line(rc, FN_ECANCELLED, "stopped");
    pthread_join(thread, NULL);
    assert_int_equal(fn_video_next(video, &frame), FN_ECANCELLED);
    fn_video_free(video);
    assert_true(fn_clock_ms() - start < HANG_MS);
    close(fd);
}

static int give_up(void *user, uint64_t done, uint64_t total) {
    (void)done, (void)total;
    return ++*(int *)user > 2;
}

static void the_callers_control_ends_a_wait(void **state) {
    (void)state;
    int n = 0;
    fn_control control = FN_CONTROL_INIT;
    fn_video *video = NULL;
    control.user = &n;
    control.progress = give_up;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    const int64_t start = fn_clock_ms();
    assert_int_equal(fn_video_open(&video, path, NULL, &control), FN_ECANCELLED);
    assert_null(video);
    control.progress = NULL;
    control.deadline_ms = fn_clock_ms() + 200;
    assert_int_equal(fn_video_open(&video, path, NULL, &control), FN_ETIMEOUT);
    assert_true(fn_clock_ms() - start < 9000); // not the ten seconds of silence that are allowed
}

static void frames_outlive_their_video(void **state) {
    (void)state;
    fn_frame *held[40];
    int n = 0;
    assert_true(clip_write(in_folder("held.mp4"), CLIP_WIDTH, CLIP_HEIGHT, 40, 25));
    fn_video *video = open_video(path, NULL);
    while (n < 40 && (held[n] = next_frame(video)))
        n++;
    fn_video_free(video);
    assert_int_equal(n, 40);
    fn_frame *other = fn_frame_share(held[7]);
    fn_frame_free(held[7]);
    held[7] = other;
    for (int i = 0; i < n; i++) {
        assert_int_equal(clip_number(fn_frame_image(held[i])), i);
        fn_frame_free(held[i]);
    }
    unsigned char pixels[] = {1, 2, 3, 4, 5, 6, 9, 9};
    const fn_image image = {pixels + 4, 1, 2, -4, FN_PIXEL_BGR8};
    fn_frame *copy;
    assert_int_equal(fn_frame_copy(&copy, &image, 5, 0.5), FN_OK);
    memset(pixels, 0, sizeof pixels);
    assert_memory_equal(fn_frame_image(copy)->data, "\5\6\11\1\2\3", 6);
    assert_int_equal(fn_frame_image(copy)->format, FN_PIXEL_BGR8);
    assert_int_equal(fn_frame_index(copy), 5);
    fn_frame_free(copy);
    assert_int_equal(fn_frame_copy(&copy, NULL, 0, 0), FN_EINVAL);
    fn_frame_free(NULL);
    fn_video_free(NULL);
    fn_video_stop(NULL);
    fn_video_writer_free(NULL);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    char sources[3][128];
    snprintf(sources[0], 128, "%s/x.mp4", folder);
    snprintf(sources[1], 128, "%s/pictures", folder);
    snprintf(sources[2], 128, "%s/turn.mp4", folder);
    assert_true(clip_write(sources[0], CLIP_WIDTH, CLIP_HEIGHT, 6, 25));
    assert_true(clip_write(sources[2], CLIP_WIDTH, CLIP_HEIGHT, 6, 25));
    turn_file(sources[2], 0, 1, -1, 0);
    assert_int_equal(mkdir(sources[1], 0755), 0);
    for (int i = 0; i < 3; i++) {
        char name[150];
        snprintf(name, sizeof name, "%s/%d.jpg", sources[1], i);
        write_picture(name, i);
    }
    for (int k = 0; k < 3; k++) {
        int n_failed = 0;
        for (int64_t nth = 1;; nth++) {
            fn_video *video = NULL;
            fn_frame *frame = NULL;
            fn_alloc_fail_nth(nth);
            int rc = fn_video_open(&video, sources[k], NULL, NULL);
            while (rc == FN_OK && (rc = fn_video_next(video, &frame)) == FN_OK && frame)
                fn_frame_free(frame);
            fn_video_free(video);
            const int was_reached = fn_alloc_count() >= nth;
            fn_alloc_fail_nth(0);
            assert_true(rc == FN_OK || rc == FN_ENOMEM);
            n_failed += rc == FN_ENOMEM;
            if (!was_reached)
                break;
        }
        assert_true(n_failed > 5);
    }
    for (int64_t nth = 1;; nth++) {
        fn_alloc_fail_nth(nth);
        fn_video_writer *writer = NULL;
        const int rc = fn_video_writer_open(&writer, in_folder("w.mp4"), 64, 48, NULL);
        const int was_reached = fn_alloc_count() >= nth;
        fn_alloc_fail_nth(0);
        fn_video_writer_free(writer);
        assert_int_equal(rc, was_reached ? FN_ENOMEM : FN_OK);
        if (!was_reached)
            break;
    }
}

// ---- files that are written --------------------------------------------------------------------------

static void a_video_is_its_owners_and_follows_links(void **state) {
    (void)state;
    struct stat st;
    char link[128], far[128], left[128];
    snprintf(left, sizeof left, "%s", in_folder("far"));
    assert_int_equal(mkdir(left, 0700), 0);
    snprintf(left, sizeof left, "%s", in_folder("far/.facenet-part-abcdef"));
    snprintf(link, sizeof link, "%s", in_folder("link.mkv"));
    snprintf(far, sizeof far, "%s", in_folder("far/video.mkv"));
    write_bytes(left, "x", 1); // of a writer that was killed
    write_bytes(far, "old", 3);
    assert_int_equal(symlink("far/video.mkv", link), 0);
    const mode_t before = umask(022);
    assert_true(clip_write(link, CLIP_WIDTH, CLIP_HEIGHT, 3, 25));
    umask(before);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(lstat(far, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(access(left, F_OK), -1);
    assert_counts(link, NULL, 3, 25, 14);

    fn_video_writer *writer;
    assert_int_equal(mkfifo(in_folder("pipe.mkv"), 0600), 0);
    assert_line(fn_video_writer_open(&writer, path, 64, 48, NULL), FN_EIO, "regular file");
    assert_null(writer);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

// ---- many at once ----------------------------------------------------------------------------------------

/// Takes all frames of a file, some held for a while; what it counts is the user's.
static void *take_all(void *user) {
    fn_video *video = NULL;
    fn_frame *frame = NULL, *held[3] = {NULL};
    int *n = user;
    if (fn_video_open(&video, path, NULL, NULL) != FN_OK)
        return NULL;
    while (fn_video_next(video, &frame) == FN_OK && frame && clip_number(fn_frame_image(frame)) == *n) {
        fn_frame_free(held[*n % 3]);
        held[(*n)++ % 3] = frame;
    }
    fn_video_free(video);
    for (int i = 0; i < 3; i++)
        fn_frame_free(held[i]);
    return NULL;
}

static void many_videos_run_at_once(void **state) {
    (void)state;
    enum { N = 8 };
    pthread_t threads[N];
    int n[N] = {0};
    assert_true(clip_write(in_folder("many.mp4"), CLIP_WIDTH, CLIP_HEIGHT, 30, 25));
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &n[i]), 0);
    for (int i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(n[i], 30);
    }
}

// ---- mistakes ----------------------------------------------------------------------------------------

static void mistakes_are_named(void **state) {
    (void)state;
    fn_video *video;
    fn_frame *frame;
    fn_video_options o = FN_VIDEO_OPTIONS_INIT;
    assert_int_equal(fn_video_open(NULL, "x", NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_video_open(&video, NULL, NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_video_open(&video, "", NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_video_next(NULL, &frame), FN_EINVAL);
    o.version = 9;
    assert_line(fn_video_open(&video, "x", &o, NULL), FN_EINVAL, "version 9");
    o = (fn_video_options)FN_VIDEO_OPTIONS_INIT, o.policy = (fn_frame_policy)7;
    assert_line(fn_video_open(&video, "x", &o, NULL), FN_EINVAL, "policy 7");
    o = (fn_video_options)FN_VIDEO_OPTIONS_INIT, o.fps = (double)NAN;
    assert_line(fn_video_open(&video, "x", &o, NULL), FN_EINVAL, "per second");
    o = (fn_video_options)FN_VIDEO_OPTIONS_INIT, o.reconnects = -2;
    assert_line(fn_video_open(&video, "x", &o, NULL), FN_EINVAL, "reconnects");
    o = (fn_video_options)FN_VIDEO_OPTIONS_INIT, o.loop = 1;
    assert_line(fn_video_open(&video, "-", &o, NULL), FN_EINVAL, "twice");
    fn_video_writer *writer;
    fn_writer_options w = FN_WRITER_OPTIONS_INIT;
    assert_line(fn_video_writer_open(&writer, "x.txt", 64, 48, NULL), FN_EINVAL, ".mp4");
    assert_line(fn_video_writer_open(&writer, "x", 64, 48, NULL), FN_EINVAL, ".mp4");
    assert_line(fn_video_writer_open(&writer, "x.mp4", 0, 48, NULL), FN_EINVAL, "0 x 48");
    assert_line(fn_video_writer_open(&writer, "/nowhere/x.mp4", 64, 48, NULL), FN_EIO, "/nowhere/x.mp4: ");
    w.quality = 101;
    assert_line(fn_video_writer_open(&writer, "x.mp4", 64, 48, &w), FN_EINVAL, "quality of 101");
    assert_int_equal(fn_video_writer_add(NULL, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_video_writer_finish(NULL), FN_EINVAL);
    // A video without frames is none, and what is given up leaves nothing.
    assert_int_equal(fn_video_writer_open(&writer, in_folder("none.mp4"), 64, 48, NULL), FN_OK);
    assert_line(fn_video_writer_finish(writer), FN_EINVAL, "without a frame");
    assert_int_equal(fn_video_writer_open(&writer, path, 64, 48, NULL), FN_OK);
    fn_video_writer_free(writer);
    char command[128];
    snprintf(command, sizeof command, "ls -A '%s' | grep -q .", folder);
    assert_int_not_equal(system(command), 0);
}

static void a_camera_that_is_not_there_is_said_with_those_that_are(void **state) {
    (void)state;
    fn_camera cameras[4];
    const int n = fn_cameras(cameras, 4);
    assert_true(n >= 0);
    assert_fails("/dev/video993", NULL, FN_EIO, n ? "cameras found: /dev/video" : "no camera was found");
    assert_fails("993", NULL, FN_EIO, "there is no such camera");
    print_message("%d cameras\n", n);
}

// ---- in processes of their own -------------------------------------------------------------------------

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition, fn_last_error()); \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static void await(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void without_the_module_folders_still_work(void **state) {
    (void)state;
    write_picture(in_folder("1.jpg"), 3);
    fflush(NULL);
    const pid_t child = fork(); // before this process has loaded it
    if (child) {
        await(child);
        return;
    }
    fn_video *video;
    fn_video_writer *writer;
    fn_frame *frame;
    setenv("FACENET_MODULES", "/nowhere", 1);
    CHECK(fn_video_open(&video, "/dev/null", NULL, NULL) == FN_EUNSUPPORTED || errno);
    write_bytes(in_folder("x.mp4"), "some bytes", 10);
    CHECK(fn_video_open(&video, path, NULL, NULL) == FN_EUNSUPPORTED && !video);
    CHECK(strstr(fn_last_error(), "libavformat-dev") && strstr(fn_last_error(), "/nowhere"));
    CHECK(fn_video_writer_open(&writer, in_folder("y.mp4"), 64, 48, NULL) == FN_EUNSUPPORTED && !writer);
    CHECK(fn_video_open(&video, in_folder("1.jpg"), NULL, NULL) == FN_OK);
    CHECK(fn_video_next(video, &frame) == FN_OK && clip_number(fn_frame_image(frame)) == 3);
    fn_frame_free(frame);
    fn_video_free(video);
    _exit(0);
}

static void write_text(const char *file, const char *text) {
    const int fd = open(file, O_WRONLY);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        perror(file);
    if (fd >= 0)
        close(fd);
}

/// In a child: a small file system of its own at `folder`, gone with the child.
static void mount_here(const char *options) {
    char uid[40], gid[40];
    snprintf(uid, sizeof uid, "0 %u 1", (unsigned)getuid());
    snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0) {
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", uid);
        write_text("/proc/self/gid_map", gid);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("facenet", folder, "tmpfs", 0, options)) {
        printf("skipped: a small file system cannot be mounted here: %s\n", strerror(errno));
        fflush(stdout);
        _exit(SKIPPED);
    }
}

static void a_full_disk_leaves_nothing_behind(void **state) {
    (void)state;
    enum { W = 640, H = 480 };
    static unsigned char rgb[W * H * 3];
    static const char *const names[] = {"full.mp4", "full.mkv", "full.avi"};
    fflush(NULL);
    const pid_t child = fork();
    if (child) {
        await(child);
        return;
    }
    mount_here("size=1m");
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const fn_image image = {rgb, W, H, W * 3, FN_PIXEL_RGB8};
        fn_video_writer *writer;
        uint32_t seed = 1;
        int rc = FN_OK;
        write_bytes(in_folder(names[k]), "old", 3);
        CHECK(fn_video_writer_open(&writer, path, W, H, NULL) == FN_OK);
        for (int i = 0; i < 60 && rc == FN_OK; i++) {
            for (size_t p = 0; p < sizeof rgb; p++)
                rgb[p] = (unsigned char)((seed = seed * 1664525U + 1013904223U) >> 24);
            rc = fn_video_writer_add(writer, &image, (double)NAN);
        }
        if (rc < 0) {
            CHECK(rc == FN_EIO && strstr(fn_last_error(), "No space left") && strstr(fn_last_error(), path));
            CHECK(fn_video_writer_add(writer, &image, (double)NAN) == FN_EIO);
        }
        CHECK(fn_video_writer_finish(writer) == FN_EIO);
        unsigned char *bytes;
        size_t n;
        CHECK(fn_read_file(&bytes, &n, path, 100) == FN_OK && n == 3 && memcmp(bytes, "old", 3) == 0);
        fn_free(bytes);
        char command[128];
        snprintf(command, sizeof command, "test \"$(ls -A '%s')\" = %s", folder, names[k]);
        CHECK(system(command) == 0);
        CHECK(unlink(path) == 0);
    }
    _exit(0);
}

static void standard_output_and_input_are_a_pair(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        CHECK(clip_write("-", CLIP_WIDTH, CLIP_HEIGHT, 20, 25));
        _exit(0);
    }
    const int before = dup(STDIN_FILENO);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    close(ends[1]);
    assert_counts("-", NULL, 20, 25, 14);
    dup2(before, STDIN_FILENO);
    close(before);
    await(child);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_the_module_folders_still_work), // first: nothing is loaded yet
        TEST(every_frame_of_a_file_arrives_in_order),
        TEST(frames_keep_the_times_they_were_given),
        TEST(a_long_gap_is_a_short_one_in_an_avi),
        TEST(frames_too_many_for_the_rate_of_an_avi_are_left_out),
        TEST(odd_sizes_and_every_pixel_format_can_be_written),
        TEST(a_loop_goes_on_rising),
        TEST(the_newest_frame_never_lags),
        TEST(rgb_is_not_copied),
        TEST(colors_follow_matrix_and_range),
        TEST(pixels_come_out_square),
        TEST(rotation_is_undone),
        TEST(sizes_may_change_on_the_way),
        TEST(a_folder_is_a_video),
        TEST(a_pattern_goes_by_number),
        TEST(what_is_no_video_is_said_in_a_line),
        TEST(sound_alone_is_no_video),
        TEST(files_cut_short_give_what_they_have),
        TEST(a_video_without_frames_is_an_error),
        TEST(damage_is_counted_and_passed_over),
        TEST(a_file_opens_no_other),
        TEST(a_pipe_that_says_nothing_times_out),
        TEST(a_trickle_times_out),
        TEST(a_waiting_thread_can_be_stopped),
        TEST(the_callers_control_ends_a_wait),
        TEST(frames_outlive_their_video),
        TEST(failing_allocations_are_reported),
        TEST(a_video_is_its_owners_and_follows_links),
        TEST(many_videos_run_at_once),
        TEST(mistakes_are_named),
        TEST(a_camera_that_is_not_there_is_said_with_those_that_are),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(standard_output_and_input_are_a_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
