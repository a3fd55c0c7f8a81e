// SPDX-License-Identifier: Apache-2.0
//
// Which faces capture keeps: landmarks of heads that are turned by known angles, over drawn spots that differ
// from frame to frame as asked.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture.h"
#include "unit/posed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 300, SPOT = 10 };
#define FRAME_S 0.04

static unsigned char pixels[SIDE * SIDE * 3];
static const fn_image image = {pixels, SIDE, SIDE, SIDE * 3, FN_PIXEL_RGB8};
static double time_s;

// Spots of chance; another seed, another picture. light: the mean luma.
static void draw(uint64_t seed, int light) {
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            uint64_t h = (seed << 32) + (uint64_t)(y / SPOT * SIDE + x / SPOT); // mixed as by splitmix64
            h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
            h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
            memset(pixels + 3 * (y * SIDE + x), light + ((h >> 40 & 1) ? 25 : -25), 3);
        }
}

static cli_judge judge_of(int count, int every, int is_guided) {
    cli_judge judge;
    assert_int_equal(cli_judge_init(&judge, fn_template_find("eyes-200"), count, every, is_guided), FN_OK);
    time_s = 0;
    return judge;
}

// One frame later, n faces, the first one of these landmarks.
static cli_verdict look_at(cli_judge *judge, size_t n, fn_face first) {
    fn_frame *frame;
    fn_stream_face faces[2] = {{.face = first}, {.face = posed(0, 0, 0, 60, 60, 5)}};
    assert_int_equal(fn_frame_copy(&frame, &image, 0, time_s), FN_OK);
    const fn_stream_frame now = {
        .frame = frame, .time_s = time_s, .is_searched = 1, .n_faces = n, .faces = faces};
    assert_int_equal(cli_judge_look(judge, &now), FN_OK);
    fn_frame_free(frame);
    time_s += FRAME_S;
    return judge->verdict;
}

// The same, turned.
static cli_verdict look(cli_judge *judge, size_t n, double yaw, double pitch) {
    return look_at(judge, n, posed(yaw, pitch, 0, 150, 150, 7));
}

static void refused_for(cli_judge *judge, cli_refusal why, size_t n, double yaw) {
    const uint64_t before = judge->n_refused[why];
    assert_int_equal(look(judge, n, yaw, -8), CLI_REFUSED);
    assert_int_equal(judge->refusal, why);
    assert_int_equal(judge->n_refused[why], before + 1);
    assert_true(strlen(cli_refusal_text(why)) > 5);
}

static void only_one_good_face_counts(void **state) {
    (void)state;
    cli_judge judge = judge_of(50, 1, 0);
    draw(1, 120);
    refused_for(&judge, CLI_REFUSED_NOBODY, 0, 0);
    assert_int_equal(judge.pose, -1);
    refused_for(&judge, CLI_REFUSED_SEVERAL, 2, 0);
    assert_int_equal(judge.pose, -1);
    refused_for(&judge, 5, 1, 60); // turned
    draw(1, 28);
    refused_for(&judge, 2, 1, 0); // dark
    draw(1, 230);
    refused_for(&judge, 3, 1, 0); // bright
    memset(pixels, 120, sizeof pixels);
    refused_for(&judge, 4, 1, 0); // flat
    assert_int_equal(judge.n_good, 0);
    draw(1, 120);
    assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
    assert_int_equal(judge.n_good, 1);
    cli_judge_free(&judge);
}

static void an_odd_face_is_refused_and_the_next_one_kept(void **state) {
    (void)state;
    cli_judge judge = judge_of(50, 1, 0);
    draw(1, 120);
    fn_face odd[4];
    for (int i = 0; i < 4; i++)
        odd[i] = posed(0, -8, 0, 150, 150, 7);
    odd[0].n_landmarks = 0;
    odd[1].box.width = 0;
    odd[2].landmarks[0].x = NAN;
    for (int i = 0; i < odd[3].n_landmarks; i++)
        odd[3].landmarks[i] = odd[3].landmarks[0];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(look_at(&judge, 1, odd[i]), CLI_REFUSED);
        assert_int_equal(judge.pose, -1);
    }
    assert_true(judge.n_refused[CLI_REFUSED_ODD] >= 3);
    assert_true(strlen(cli_refusal_text(CLI_REFUSED_ODD)) > 5);
    assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
    cli_judge_free(&judge);
}

static void one_in_so_many_good_frames_is_offered(void **state) {
    (void)state;
    cli_judge judge = judge_of(50, 5, 0);
    for (uint64_t k = 0; k < 3; k++) {
        for (uint64_t i = 0; i < 4; i++) {
            draw(10 * k + i, 120);
            assert_int_equal(look(&judge, 1, 0, -8), CLI_WAITING);
            refused_for(&judge, CLI_REFUSED_SEVERAL, 2, 0); // is no good frame
        }
        draw(10 * k + 9, 120);
        assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
        assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP); // until it is
        assert_int_equal(cli_judge_kept(&judge), FN_OK);
        assert_int_equal(judge.n_kept, k + 1);
    }
    cli_judge_free(&judge);
}

static void what_is_kept_is_known_in_any_light(void **state) {
    (void)state;
    cli_judge judge = judge_of(50, 1, 0);
    draw(1, 120);
    assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
    const fn_template *tmpl = judge.tmpl;
    const size_t size = (size_t)tmpl->width * (size_t)tmpl->height * 3;
    unsigned char *crop = malloc(size);
    assert_non_null(crop);
    memcpy(crop, judge.crop, size);
    fn_image view = {crop, tmpl->width, tmpl->height, (ptrdiff_t)tmpl->width * 3, FN_PIXEL_RGB8};
    assert_int_equal(cli_judge_kept(&judge), FN_OK);
    refused_for(&judge, CLI_REFUSED_ALIKE, 1, 0);
    draw(1, 150);
    refused_for(&judge, CLI_REFUSED_ALIKE, 1, 0);
    draw(2, 120);
    assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
    cli_judge_free(&judge);

    // So is what was kept in an earlier run; a crop of another size says nothing.
    judge = judge_of(50, 1, 0);
    draw(1, 120);
    view.width--;
    assert_int_equal(cli_judge_know(&judge, &view), FN_OK);
    assert_int_equal(look(&judge, 1, 0, -8), CLI_KEEP);
    view.width++;
    for (int i = 0; i < 200; i++)
        assert_int_equal(cli_judge_know(&judge, &view), FN_OK);
    refused_for(&judge, CLI_REFUSED_ALIKE, 1, 0);
    cli_judge_free(&judge);
    free(crop);
}

static void a_smear_is_nobody(void **state) {
    (void)state;
    cli_judge judge = judge_of(50, 1, 0);
    fn_frame *frame;
    draw(1, 120);
    fn_stream_face face = {.face = posed(0, -8, 0, 150, 150, 5)}; // eyes 31 pixels apart
    assert_int_equal(fn_frame_copy(&frame, &image, 0, 0), FN_OK);
    const fn_stream_frame now = {.frame = frame, .is_searched = 1, .n_faces = 1, .faces = &face};
    for (int width = 80; width <= 180; width += 20) {
        face.face.box = (fn_box){150 - (float)width / 2, 150 - (float)width / 2, (float)width, (float)width};
        assert_int_equal(cli_judge_look(&judge, &now), FN_OK);
        assert_int_equal(judge.verdict, width <= 140 ? CLI_KEEP : CLI_REFUSED);
    }
    assert_int_equal(judge.refusal, CLI_REFUSED_NOBODY);
    fn_frame_free(frame);
    cli_judge_free(&judge);
}

// Frames of one pose, each another picture, until one is kept.
static double wait_for_one(cli_judge *judge, uint64_t *seed, double yaw) {
    const double since_s = judge->kept_s;
    for (int i = 0; i < 500; i++) {
        draw(++*seed, 120);
        if (look(judge, 1, yaw, -8) == CLI_KEEP) {
            assert_int_equal(cli_judge_kept(judge), FN_OK);
            return judge->kept_s - since_s;
        }
        assert_int_equal(judge->refusal, CLI_REFUSED_POSE);
    }
    fail_msg("a pose is refused for ever");
    return 0;
}

static void poses_have_quotas_but_none_is_refused_for_long(void **state) {
    (void)state;
    cli_judge judge = judge_of(20, 1, 1); // 8 from the front, 3 of each other pose
    uint64_t seed = 0;
    assert_string_equal(cli_judge_hint(&judge), "look into the camera");
    for (int i = 0; i < 8; i++)
        assert_true(wait_for_one(&judge, &seed, 0) < 1.5 * FRAME_S);
    assert_string_equal(cli_judge_hint(&judge), "turn a little to the left");
    double wait_s = 3;
    for (int i = 0; i < 5; i++, wait_s *= 0.7) {
        const double waited_s = wait_for_one(&judge, &seed, 0);
        assert_true(waited_s > wait_s - 1e-6 && waited_s < wait_s + 1.5 * FRAME_S);
    }
    for (int i = 0; i < 3; i++) // to the picture's right is the person's left
        assert_true(wait_for_one(&judge, &seed, 25) < 1.5 * FRAME_S);
    assert_string_equal(cli_pose_name(judge.pose), "left");
    assert_string_equal(cli_judge_hint(&judge), "turn a little to the right");
    assert_true(wait_for_one(&judge, &seed, 25) > 2.9); // the first surplus waits as long again
    assert_true(wait_for_one(&judge, &seed, -25) < 1.5 * FRAME_S);
    assert_string_equal(cli_pose_name(judge.pose), "right");
    assert_string_equal(cli_pose_name(-1), "-");
    cli_judge_free(&judge);

    judge = judge_of(20, 1, 0); // nobody to be guided
    assert_string_equal(cli_judge_hint(&judge), "");
    for (int i = 0; i < 20; i++)
        assert_true(wait_for_one(&judge, &seed, 0) < 1.5 * FRAME_S);
    cli_judge_free(&judge);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_good_face_counts),
        cmocka_unit_test(an_odd_face_is_refused_and_the_next_one_kept),
        cmocka_unit_test(one_in_so_many_good_frames_is_offered),
        cmocka_unit_test(what_is_kept_is_known_in_any_light),
        cmocka_unit_test(a_smear_is_nobody),
        cmocka_unit_test(poses_have_quotas_but_none_is_refused_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
