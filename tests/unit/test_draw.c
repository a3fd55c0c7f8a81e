// SPDX-License-Identifier: Apache-2.0
//
// Labels, panels, bars and meters: what they change and what they leave alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"

#include <facenet/draw.h>

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { W = 320, H = 200, BYTES = W * H * 3, GUARD = 4096 };

// What fontconfig keeps until the end is not a leak of ours.
FN_API const char *__lsan_default_suppressions(void);
FN_API const char *__lsan_default_suppressions(void) {
    return "leak:libfontconfig\n";
}

static int is_missing; // 1: no library is found

int __real_fn_library_load(const char *name, const fn_symbol *symbols, size_t n);
int __wrap_fn_library_load(const char *name, const fn_symbol *symbols, size_t n);
int __wrap_fn_library_load(const char *name, const fn_symbol *symbols, size_t n) {
    return is_missing ? fn_fail(FN_EUNSUPPORTED, "no %s", name) : __real_fn_library_load(name, symbols, n);
}

static unsigned char memory[GUARD + BYTES + GUARD], *const rgb = memory + GUARD;

static void clean(void) {
    memset(memory, 128, sizeof memory);
}

typedef struct area {
    int x0, y0, x1, y1, n; // ends excluded; n: pixels changed
} area;

// Where pixels differ from the clean ground.
static area changed(void) {
    area a = {W, H, 0, 0, 0};
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            const unsigned char *p = rgb + 3 * (y * W + x);
            if (p[0] == 128 && p[1] == 128 && p[2] == 128)
                continue;
            a.n++;
            a.x0 = x < a.x0 ? x : a.x0;
            a.y0 = y < a.y0 ? y : a.y0;
            a.x1 = x >= a.x1 ? x + 1 : a.x1;
            a.y1 = y >= a.y1 ? y + 1 : a.y1;
        }
    }
    return a;
}

static void guards_are_whole(void) {
    for (int i = 0; i < GUARD; i++) {
        assert_int_equal(memory[i], 128);
        assert_int_equal(memory[GUARD + BYTES + i], 128);
    }
}

static int n_of_color(uint32_t color) {
    const unsigned char wanted[3] = {(unsigned char)(color >> 16), (unsigned char)(color >> 8),
                                     (unsigned char)color};
    int n = 0;
    for (int i = 0; i < W * H; i++)
        n += memcmp(rgb + (ptrdiff_t)3 * i, wanted, 3) == 0;
    return n;
}

static void without_the_library_boxes_are_drawn(void **state) {
    (void)state;
    pid_t child = fork(); // what is loaded stays loaded: a process of its own
    if (child == 0) {
        is_missing = 1;
        clean();
        fn_label label = {{40, 60, 80, 80}, "name", 0x20C020};
        int ok = fn_draw_labels(rgb, W, H, &label, 1) == FN_EUNSUPPORTED &&
                 strstr(fn_last_error(), "libpangocairo-1.0-0") && n_of_color(0x20C020) >= 4 * 79;
        clean();
        ok = ok && fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, "text", 0xFFFFFF) == FN_EUNSUPPORTED;
        ok = ok && changed().n == 0;
        label.text = NULL;
        ok = ok && fn_draw_labels(rgb, W, H, &label, 1) == FN_OK;
        ok = ok && fn_draw_meter(rgb, W, H, FN_CORNER_TOP_LEFT, (float[5]){0}, -1) == FN_OK;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void skip_without_letters(void) {
    clean();
    if (fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, "text", 0) != FN_EUNSUPPORTED)
        return;
    print_message("skipped: %s\n", fn_last_error());
    skip();
}

static void a_box_changes_its_border_only(void **state) {
    (void)state;
    clean();
    fn_label label = {{40, 60, 80, 50}, NULL, 0x20C020};
    assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_OK);
    area a = changed();
    assert_int_equal(a.x0, 39);
    assert_int_equal(a.y0, 59);
    assert_int_equal(a.x1, 121);
    assert_int_equal(a.y1, 111);
    assert_int_equal(n_of_color(0x20C020), 2 * 80 + 2 * 48);
    assert_memory_equal(rgb + 3 * (85 * W + 80), "\x80\x80\x80", 3); // the middle
    guards_are_whole();
}

// The plate's colour beside the box, letters on it, everything else as before.
static void names_of_any_script_are_drawn(void **state) {
    (void)state;
    skip_without_letters();
    static const char *const names[] = {"Anna", "Zoë", "Ἀλέξανδρος", "山田 太郎",
                                        "عمر",  "שרה", "ไทย",        "हिन्दी"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clean();
        fn_label label = {{40, 60, 80, 50}, names[i], 0x20C020};
        assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_OK);
        area a = changed();
        assert_in_range(a.y0, 25, 50); // a plate of one line above the box
        assert_int_equal(a.x0, 39);
        assert_in_range(a.x1, 121, 200);
        assert_int_equal(a.y1, 111);
        assert_true(n_of_color(0x20C020) > 2 * 80 + 2 * 48 + 100);
        assert_true(a.n > n_of_color(0x20C020) + n_of_color(0x202020) + 20); // smooth letters
        guards_are_whole();
    }
}

static void a_second_line_makes_the_plate_higher(void **state) {
    (void)state;
    skip_without_letters();
    static const char *const texts[] = {"Anna", "Anna\n", "Anna\n0.42", "Anna\n0.42\nmore"};
    int top[4];
    for (int i = 0; i < 4; i++) {
        clean();
        fn_label label = {{40, 90, 80, 50}, texts[i], 0xE0E0E0};
        assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_OK);
        top[i] = changed().y0;
        assert_true(n_of_color(0x000000) > 5); // dark letters on a light plate
    }
    assert_int_equal(top[0], top[1]);
    assert_in_range(top[2], top[0] - 25, top[0] - 8);
    assert_in_range(top[3], top[2] - 3, top[2] + 3); // never a third line
}

static void plates_stay_inside_the_picture(void **state) {
    (void)state;
    skip_without_letters();
    const fn_box boxes[] = {
        {-50, -50, 80, 80},           {290, 150, 400, 400}, {0, 0, W, H},
        {1e30F, 1e30F, 1e30F, 1e30F}, {-1e30F, 5, 1, 1},    {5, H, 0, 0},
    };
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        clean();
        fn_label label = {boxes[i], "A name that is far too long for a small picture, and goes on\nnote",
                          0xFF0000};
        assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_OK);
        assert_true(n_of_color(0xFF0000) > 1000);
        guards_are_whole();
    }
    clean();
    fn_label high = {{100, 2, 60, 60}, "Anna", 0xFF0000}; // no room above: below
    assert_int_equal(fn_draw_labels(rgb, W, H, &high, 1), FN_OK);
    assert_in_range(changed().y1, 72, 90);
}

static void tiny_pictures_are_drawn_on(void **state) {
    (void)state;
    skip_without_letters();
    fn_label label = {{0, 0, 1, 1}, "name\nnote", 0x00FF00};
    for (int w = 1; w < 40; w += 3) {
        for (int h = 1; h < 40; h += 3) {
            clean();
            assert_int_equal(fn_draw_labels(rgb, w, h, &label, 1), FN_OK);
            assert_int_equal(fn_draw_panel(rgb, w, h, FN_CORNER_BOTTOM_RIGHT, "one\ntwo", 0xFFFFFF), FN_OK);
            assert_int_equal(fn_draw_progress(rgb, w, h, 0.5, 0xFFFFFF), FN_OK);
            assert_int_equal(fn_draw_meter(rgb, w, h, FN_CORNER_TOP_RIGHT, (float[5]){1, 0}, 1), FN_OK);
            guards_are_whole();
            for (int i = 3 * w * h; i < BYTES; i++)
                assert_int_equal(rgb[i], 128);
        }
    }
}

static void panels_lie_in_their_corners(void **state) {
    (void)state;
    skip_without_letters();
    for (int corner = FN_CORNER_TOP_LEFT; corner <= FN_CORNER_BOTTOM_RIGHT; corner++) {
        clean();
        assert_int_equal(
            fn_draw_panel(rgb, W, H, (fn_corner)corner, "Recording\n3 of 50\ntoo dark", 0xFFD000), FN_OK);
        area a = changed();
        int is_right = corner == FN_CORNER_TOP_RIGHT || corner == FN_CORNER_BOTTOM_RIGHT;
        int is_low = corner == FN_CORNER_BOTTOM_LEFT || corner == FN_CORNER_BOTTOM_RIGHT;
        assert_in_range(a.x1 - a.x0, 50, 120);
        assert_in_range(a.y1 - a.y0, 40, 80);
        assert_in_range(is_right ? W - a.x1 : a.x0, 3, 12);
        assert_in_range(is_low ? H - a.y1 : a.y0, 3, 12);
        assert_true(n_of_color(0xFFD000) > 5);
        guards_are_whole();
    }
    clean();
    assert_int_equal(fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, "", 0), FN_OK);
    assert_int_equal(changed().n, 0);
    char many[400];
    memset(many, '\n', sizeof many - 1);
    many[sizeof many - 1] = 0;
    many[0] = 'a';
    assert_int_equal(fn_draw_panel(rgb, W, H, FN_CORNER_BOTTOM_LEFT, many, 0xFFFFFF), FN_OK);
    guards_are_whole();
}

static void the_bar_follows_progress(void **state) {
    (void)state;
    static const double done[] = {-1.0, 0.0, 0.25, 1.0, 7.0, NAN};
    static const int wanted[] = {0, 0, W / 4, W, W, 0};
    for (int i = 0; i < 6; i++) {
        clean();
        assert_int_equal(fn_draw_progress(rgb, W, H, done[i], 0x34C96B), FN_OK);
        area a = changed();
        assert_int_equal(a.y1, H);
        assert_int_equal(a.n, W * (a.y1 - a.y0));
        assert_int_equal(n_of_color(0x34C96B), wanted[i] * (a.y1 - a.y0));
    }
}

// More done is more green; the pose seen now has a white line.
static void the_meter_fills(void **state) {
    (void)state;
    int n_before = -1;
    for (int step = 0; step <= 4; step++) {
        clean();
        float part = (float)step / 4.0F, done[FN_METER_POSE_LEN] = {part, part, part, part, part};
        assert_int_equal(fn_draw_meter(rgb, W, H, FN_CORNER_TOP_RIGHT, done, -1), FN_OK);
        int n = n_of_color(0x34C96B);
        assert_true(step == 0 ? n == 0 : n > n_before);
        n_before = n;
        assert_int_equal(n_of_color(0xFFFFFF), 0);
        assert_in_range(changed().x0, W - 60, W - 45);
    }
    for (int pose = 0; pose < FN_METER_POSE_LEN; pose++) {
        clean();
        float done[FN_METER_POSE_LEN] = {NAN, INFINITY, -INFINITY, 1e30F, -1.0F};
        assert_int_equal(fn_draw_meter(rgb, W, H, FN_CORNER_TOP_LEFT, done, pose), FN_OK);
        assert_true(n_of_color(0xFFFFFF) > 0);
        guards_are_whole();
    }
}

static void nonsense_is_refused(void **state) {
    (void)state;
    clean();
    fn_label label = {{0, 0, NAN, 1}, NULL, 0};
    float done[FN_METER_POSE_LEN] = {0};
    assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_EINVAL);
    label = (fn_label){{0, 0, 1, 1}, "\xff", 0};
    assert_int_equal(fn_draw_labels(rgb, W, H, &label, 1), FN_EINVAL);
    assert_int_equal(fn_draw_labels(rgb, W, H, NULL, 1), FN_EINVAL);
    assert_int_equal(fn_draw_labels(NULL, W, H, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_draw_labels(rgb, 0, H, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_draw_labels(rgb, W, 65536, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_draw_labels(rgb, W, H, NULL, 0), FN_OK);
    assert_int_equal(fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, "\xc3", 0), FN_EINVAL);
    assert_int_equal(fn_draw_panel(rgb, W, H, (fn_corner)4, "text", 0), FN_EINVAL);
    assert_int_equal(fn_draw_progress(rgb, -1, H, 0.5, 0), FN_EINVAL);
    assert_int_equal(fn_draw_meter(rgb, W, H, FN_CORNER_TOP_LEFT, NULL, 0), FN_EINVAL);
    assert_int_equal(fn_draw_meter(rgb, W, H, FN_CORNER_TOP_LEFT, done, FN_METER_POSE_LEN), FN_EINVAL);
    assert_int_equal(fn_draw_meter(rgb, W, H, (fn_corner)-1, done, 0), FN_EINVAL);
    assert_int_equal(changed().n, 0);
}

static void failing_allocations_are_reported(void **state) {
    (void)state;
    skip_without_letters();
    fn_label labels[] = {{{4, 4, 30, 30}, "name\nnote", 0x00FF00}, {{40, 4, 30, 30}, "other", 0x00FF00}};
    for (int what = 0; what < 2; what++) {
        int n = 0, rc;
        do {
            fn_alloc_fail_nth(++n);
            rc = what ? fn_draw_panel(rgb, W, H, FN_CORNER_TOP_LEFT, "one\ntwo\nthree", 0)
                      : fn_draw_labels(rgb, W, H, labels, 2);
            fn_alloc_fail_nth(0);
            assert_true(rc == FN_OK || rc == FN_ENOMEM);
        } while (rc != FN_OK && n < 50);
        assert_in_range(n, 4, 20);
    }
}

enum { THREADS = 4, ROUNDS = 40 };

static void *draw_often(void *user) {
    unsigned char *mine = user;
    fn_label label = {{40, 60, 80, 50}, "Zoë 山田\n0.42", 0x20C020};
    for (int i = 0; i < ROUNDS; i++) {
        memset(mine, 128, BYTES);
        if (fn_draw_labels(mine, W, H, &label, 1) != FN_OK ||
            fn_draw_panel(mine, W, H, FN_CORNER_TOP_LEFT, "one\ntwo", 0xFFFFFF) != FN_OK)
            return NULL;
    }
    return mine;
}

static void threads_draw_the_same(void **state) {
    (void)state;
    skip_without_letters();
    pthread_t threads[THREADS];
    unsigned char *pixels[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pixels[i] = fn_alloc(BYTES);
        assert_int_equal(pthread_create(&threads[i], NULL, draw_often, pixels[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_ptr_equal(done, pixels[i]);
        assert_memory_equal(pixels[i], pixels[0], BYTES);
    }
    for (int i = 0; i < THREADS; i++)
        fn_free(pixels[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_the_library_boxes_are_drawn),
        cmocka_unit_test(a_box_changes_its_border_only),
        cmocka_unit_test(names_of_any_script_are_drawn),
        cmocka_unit_test(a_second_line_makes_the_plate_higher),
        cmocka_unit_test(plates_stay_inside_the_picture),
        cmocka_unit_test(tiny_pictures_are_drawn_on),
        cmocka_unit_test(panels_lie_in_their_corners),
        cmocka_unit_test(the_bar_follows_progress),
        cmocka_unit_test(the_meter_fills),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(threads_draw_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
