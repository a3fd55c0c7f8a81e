// SPDX-License-Identifier: Apache-2.0
//
// Timelines of known truth: what a stream tells of its frames is made by hand.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"

#include <facenet/timeline.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 320, HEIGHT = 240, DIMENSION = 4 };
#define FINGERPRINT "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const float nearby[DIMENSION] = {0.8F, 0.6F, 0, 0};

static fn_id id_of(int person) {
    fn_id id = {{0}};
    id.bytes[0] = (unsigned char)person;
    return id;
}

// A face with the landmarks of one that looks straight ahead, `width` pixels wide.
static fn_face face_of(float x, float y, float width) {
    fn_face face = {.box = {x, y, width, width}, .score = 1, .n_landmarks = FN_N_LANDMARKS};
    for (int i = 0; i < FN_N_LANDMARKS; i++) {
        const double turn = 6.283185307179586 * i / FN_N_LANDMARKS;
        face.landmarks[i] = (fn_point){x + width / 2 + 0.3F * width * (float)cos(turn),
                                       y + width / 2 + 0.3F * width * (float)sin(turn)};
    }
    return face;
}

static fn_stream_face seen(uint32_t track, int person) {
    fn_stream_face face = {.face = face_of(100, 80, 80), .track = track, .is_confirmed = 1, .fmr = NAN};
    if (person) {
        face.decision = FN_DECISION_KNOWN;
        face.person = id_of(person);
        face.distance = 0.5F;
        face.fmr = 1e-6;
    }
    return face;
}

static fn_frame *frame_of(uint64_t number) {
    static unsigned char pixels[WIDTH * HEIGHT * 3];
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        pixels[i] = (unsigned char)(90 + (i * 7 + (int)number) % 64);
    const fn_image image = {pixels, WIDTH, HEIGHT, (ptrdiff_t)WIDTH * 3, FN_PIXEL_RGB8};
    fn_frame *frame = NULL;
    return fn_frame_copy(&frame, &image, number, (double)number / 10) == FN_OK ? frame : NULL;
}

// Frame `number`, a tenth of a second after the one before, with n faces and n_ended tracks.
static int tell(fn_timeline *timeline, uint64_t number, const fn_stream_face *faces, size_t n,
                const fn_track *ended, size_t n_ended) {
    const fn_stream_frame frame = {.frame = frame_of(number),
                                   .time_s = (double)number / 10,
                                   .is_searched = 1,
                                   .n_faces = n,
                                   .faces = faces,
                                   .n_ended = n_ended,
                                   .ended = ended};
    const int rc = frame.frame ? fn_timeline_add(timeline, &frame) : FN_ENOMEM;
    fn_frame_free(frame.frame);
    return rc;
}

static fn_track ended(uint32_t id, int person, double first_s, double last_s, uint32_t n_seen) {
    fn_track track = {.id = id,
                      .state = FN_TRACK_ENDED,
                      .is_confirmed = 1,
                      .first_s = first_s,
                      .last_s = last_s,
                      .n_seen = n_seen,
                      .fmr = NAN};
    if (person) {
        track.decision = FN_DECISION_KNOWN;
        track.person = id_of(person);
        track.distance = 0.6F;
    }
    return track;
}

static fn_timeline *open_timeline(int picture, const fn_index *index) {
    fn_timeline_options options = FN_TIMELINE_OPTIONS_INIT;
    fn_timeline *timeline = NULL;
    options.picture = picture;
    options.index = index;
    options.fingerprint = FINGERPRINT;
    assert_int_equal(fn_timeline_open(&timeline, &options), FN_OK);
    return timeline;
}

// One track on frames first..last, and its end a frame later.
static void on_view(fn_timeline *timeline, uint32_t track, int person, uint64_t first, uint64_t last) {
    const fn_stream_face face = seen(track, person);
    for (uint64_t i = first; i <= last; i++)
        assert_int_equal(tell(timeline, i, &face, 1, NULL, 0), FN_OK);
    const fn_track over =
        ended(track, person, (double)first / 10, (double)last / 10, (uint32_t)(last - first + 1));
    assert_int_equal(tell(timeline, last + 1, NULL, 0, &over, 1), FN_OK);
}

static void tracks_of_one_person_are_one_row(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(0, NULL);
    on_view(timeline, 1, 7, 0, 9);
    on_view(timeline, 2, 7, 14, 19); // 0.5 s later: no absence
    on_view(timeline, 3, 7, 40, 44); // 2.1 s later
    on_view(timeline, 4, 7, 54, 55); // 1.0 s later: an absence
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 1);
    const fn_timeline_row *row = fn_timeline_get(timeline, 0);
    assert_int_equal(row->decision, FN_DECISION_KNOWN);
    assert_int_equal(row->person.bytes[0], 7);
    assert_int_equal(row->n_tracks, 4);
    assert_int_equal(row->n_frames, 23);
    assert_int_equal(row->n_appearances, 3);
    assert_true(row->appearances[0].from_s == 0 && row->appearances[0].to_s == 1.9);
    assert_int_equal(row->appearances[0].n_frames, 16);
    assert_true(row->appearances[1].from_s == 4 && row->appearances[2].to_s == 5.5);
    assert_true(row->has_nearest && row->distance == 0.6F);
    assert_null(row->jpeg);
    assert_null(fn_timeline_get(timeline, 1));
    fn_timeline_free(timeline);
}

static void unknown_tracks_stay_apart_and_come_last(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(0, NULL);
    on_view(timeline, 1, 0, 0, 5);
    on_view(timeline, 2, 0, 7, 9);
    on_view(timeline, 3, 9, 20, 25);
    on_view(timeline, 4, 8, 30, 35);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 4);
    static const uint32_t order[] = {3, 4, 1, 2};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fn_timeline_get(timeline, i)->track, order[i]);
    assert_false(fn_timeline_get(timeline, 2)->has_nearest);
    fn_timeline_free(timeline);
}

static void a_track_counts_as_it_ended(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(0, NULL);
    fn_stream_face face = seen(1, 0);
    assert_int_equal(tell(timeline, 0, &face, 1, NULL, 0), FN_OK); // nobody yet
    fn_track over = ended(1, 5, 0, 0.4, 5);
    over.n_switches = 2;
    assert_int_equal(tell(timeline, 5, NULL, 0, &over, 1), FN_OK);
    face = seen(2, 0);
    face.is_confirmed = 0;
    assert_int_equal(tell(timeline, 6, &face, 1, NULL, 0), FN_OK); // never seen often enough
    over = ended(2, 0, 0.6, 0.6, 1);
    over.is_confirmed = 0;
    assert_int_equal(tell(timeline, 7, NULL, 0, &over, 1), FN_OK);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 1);
    assert_int_equal(fn_timeline_get(timeline, 0)->person.bytes[0], 5);
    assert_int_equal(fn_timeline_get(timeline, 0)->n_switches, 2);
    fn_timeline_free(timeline);
}

static void a_video_left_early_has_its_living_tracks(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(32, NULL);
    const fn_stream_face faces[2] = {seen(1, 3), seen(2, 0)};
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(tell(timeline, i, faces, 2, NULL, 0), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 0); // not finished
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 2);
    const fn_timeline_row *row = fn_timeline_get(timeline, 0);
    assert_true(row->appearances[0].from_s == 0 && row->appearances[0].to_s == 0.5);
    assert_int_equal(row->n_frames, 6);
    assert_true(row->n_jpeg > 100 && row->jpeg[0] == 0xFF && row->jpeg[1] == 0xD8);
    assert_int_equal(tell(timeline, 9, faces, 2, NULL, 0), FN_EINVAL);
    fn_timeline_free(timeline);
}

static fn_index *open_people(void) {
    static const float ada[DIMENSION] = {1, 0, 0, 0}, bea[DIMENSION] = {0, 0, 0, 1};
    fn_index *index = NULL;
    assert_int_equal(fn_index_open(&index, DIMENSION, FINGERPRINT), FN_OK);
    assert_int_equal(fn_index_add(index, ada, id_of(1), id_of(1)), FN_OK);
    assert_int_equal(fn_index_add(index, bea, id_of(2), id_of(2)), FN_OK);
    return index;
}

static void an_unknown_face_tells_who_is_nearest(void **state) {
    (void)state;
    static const float far[DIMENSION] = {0, 1, 0, 0};
    fn_index *index = open_people();
    fn_timeline *timeline = open_timeline(0, index);
    fn_stream_face face = seen(1, 0);
    face.embedding = far;
    assert_int_equal(tell(timeline, 0, &face, 1, NULL, 0), FN_OK);
    face.embedding = nearby;
    assert_int_equal(tell(timeline, 1, &face, 1, NULL, 0), FN_OK);
    face.embedding = far;
    assert_int_equal(tell(timeline, 2, &face, 1, NULL, 0), FN_OK);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    const fn_timeline_row *row = fn_timeline_get(timeline, 0);
    assert_true(row->has_nearest);
    assert_int_equal(row->nearest.bytes[0], 1);
    assert_true(fabsf(row->distance - sqrtf(0.4F)) < 1e-5F);
    fn_timeline_free(timeline);
    fn_index_free(index);
}

static void the_best_look_is_large_and_kept(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(48, NULL);
    fn_stream_face face = seen(1, 0);
    face.embedding = nearby;
    static const float widths[] = {40, 70, 120, 60, 30};
    for (uint64_t i = 0; i < 5; i++) {
        face.face = face_of(100, 80, widths[i]);
        assert_int_equal(tell(timeline, i, &face, 1, NULL, 0), FN_OK);
    }
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    const fn_timeline_row *row = fn_timeline_get(timeline, 0);
    assert_true(row->best_s == 0.2 && row->best_box.width == 120);
    assert_non_null(row->jpeg);
    fn_timeline_free(timeline);
}

static void frames_without_search_add_no_sighting(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(0, NULL);
    const fn_stream_face face = seen(1, 2);
    assert_int_equal(tell(timeline, 0, &face, 1, NULL, 0), FN_OK);
    const fn_stream_frame between = {.time_s = 0.1, .n_faces = 1, .faces = &face};
    assert_int_equal(fn_timeline_add(timeline, &between), FN_OK);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_get(timeline, 0)->n_frames, 1);
    assert_true(fn_timeline_get(timeline, 0)->appearances[0].to_s == 0);
    fn_timeline_free(timeline);
}

static void an_empty_video_has_no_rows(void **state) {
    (void)state;
    fn_timeline *timeline = open_timeline(32, NULL);
    assert_int_equal(tell(timeline, 0, NULL, 0, NULL, 0), FN_OK);
    assert_int_equal(fn_timeline_finish(timeline), FN_OK);
    assert_int_equal(fn_timeline_len(timeline), 0);
    assert_null(fn_timeline_get(timeline, 0));
    fn_timeline_free(timeline);
    fn_timeline_free(NULL);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    fn_timeline_options options = FN_TIMELINE_OPTIONS_INIT;
    fn_timeline *timeline;
    options.version = 99;
    assert_int_equal(fn_timeline_open(&timeline, &options), FN_EINVAL);
    options = (fn_timeline_options)FN_TIMELINE_OPTIONS_INIT;
    options.gap_s = NAN;
    assert_int_equal(fn_timeline_open(&timeline, &options), FN_EINVAL);
    options.gap_s = 0;
    options.picture = 1 << 20;
    assert_int_equal(fn_timeline_open(&timeline, &options), FN_EINVAL);
    assert_null(timeline);
    assert_int_equal(fn_timeline_open(&timeline, NULL), FN_OK);
    fn_timeline_free(timeline);
}

static void each_failing_allocation_is_an_error_and_nothing_else(void **state) {
    (void)state;
    fn_index *index = open_people();
    for (int64_t n = 1;; n++) {
        fn_timeline_options options = FN_TIMELINE_OPTIONS_INIT;
        fn_timeline *timeline = NULL;
        options.picture = 24;
        options.index = index;
        options.fingerprint = FINGERPRINT;
        fn_stream_face faces[2] = {seen(1, 1), seen(2, 0)};
        faces[0].embedding = faces[1].embedding = nearby;
        const fn_track over[2] = {ended(1, 1, 0, 0.1, 2), ended(2, 0, 0, 0.1, 2)};
        fn_alloc_fail_nth(n);
        int rc = fn_timeline_open(&timeline, &options);
        if (rc == FN_OK)
            rc = tell(timeline, 0, faces, 2, NULL, 0);
        if (rc == FN_OK)
            rc = tell(timeline, 1, faces, 2, NULL, 0);
        if (rc == FN_OK)
            rc = tell(timeline, 2, NULL, 0, over, 2);
        if (rc == FN_OK)
            rc = fn_timeline_finish(timeline);
        const int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_timeline_free(timeline);
        if (count < n) {
            assert_int_equal(rc, FN_OK);
            assert_true(n > 10);
            break;
        }
        if (rc != FN_OK && rc != FN_ENOMEM)
            fail_msg("allocation %d: %s", (int)n, fn_error_name(rc));
    }
    fn_index_free(index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracks_of_one_person_are_one_row),
        cmocka_unit_test(unknown_tracks_stay_apart_and_come_last),
        cmocka_unit_test(a_track_counts_as_it_ended),
        cmocka_unit_test(a_video_left_early_has_its_living_tracks),
        cmocka_unit_test(an_unknown_face_tells_who_is_nearest),
        cmocka_unit_test(the_best_look_is_large_and_kept),
        cmocka_unit_test(frames_without_search_add_no_sighting),
        cmocka_unit_test(an_empty_video_has_no_rows),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(each_failing_allocation_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
