// SPDX-License-Identifier: Apache-2.0
//
// A running picture down the road: clips of known truth made from the demo photographs, panned and cut. Face
// 2 of sample1 and face 1 of sample3 are one person, nobody else is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "golden_faces.h"
#include "image/image.h"

#include <facenet/stream.h>

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WIDTH = 960, HEIGHT = 540, FIRST = 12, SECOND = 14, FRAMES = FIRST + SECOND, D = 128 };

static struct {
    char folder[64];
    fn_recognizer *recognizer;
    fn_index *index; // of person A
    fn_id person;
} f;

// n frames of one photograph, the camera moving to the right by 4 pixels a frame.
static void write_shot(const char *photo, int first, int n) {
    fn_picture *picture = golden_photo(photo);
    const fn_image *image = fn_picture_image(picture);
    unsigned char *rgb = fn_alloc((size_t)WIDTH * HEIGHT * 3);
    const double scale = fmin((double)image->width / (WIDTH + 4 * n), (double)image->height / HEIGHT);
    for (int i = 0; i < n; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%04d.jpg", f.folder, first + i);
        assert_int_equal(
            fn_image_resize(rgb, WIDTH, HEIGHT, image, 4 * i * scale, 0, WIDTH * scale, HEIGHT * scale),
            FN_OK);
        const fn_image frame = {rgb, WIDTH, HEIGHT, WIDTH * 3, FN_PIXEL_RGB8};
        assert_int_equal(fn_image_write(&frame, path, 95), FN_OK);
    }
    fn_free(rgb);
    fn_picture_free(picture);
}

static void index_person_a(void) {
    fn_embedder *embedder = fn_recognizer_embedder(f.recognizer);
    fn_picture *picture = golden_photo("sample1");
    fn_analysis *analysis;
    assert_int_equal(fn_recognizer_image(f.recognizer, fn_picture_image(picture), NULL, &analysis), FN_OK);
    assert_int_equal(analysis->n_faces, 3);
    assert_int_equal(analysis->dimension, D);
    f.person.bytes[0] = 7;
    assert_int_equal(fn_index_open(&f.index, D, fn_embedder_fingerprint(embedder)), FN_OK);
    assert_int_equal(fn_index_add(f.index, analysis->embeddings + 2 * D, f.person, f.person), FN_OK);
    fn_analysis_free(analysis);
    fn_picture_free(picture);
}

static int set_up(void **state) {
    (void)state;
    if (!getenv("FACENET_MODELS") || !getenv("FACENET_DEMO"))
        return 0;
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    options.detector.model.directory = getenv("FACENET_MODELS");
    options.embedder.options.directory = getenv("FACENET_MODELS");
    snprintf(f.folder, sizeof f.folder, "/tmp/test_stream.XXXXXX");
    if (!mkdtemp(f.folder) || fn_recognizer_open(&f.recognizer, &options) < 0)
        return -1;
    write_shot("sample1", 0, FIRST);
    write_shot("sample3", FIRST, SECOND);
    index_person_a();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < FRAMES && *f.folder; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%04d.jpg", f.folder, i);
        unlink(path);
    }
    rmdir(f.folder);
    fn_index_free(f.index);
    fn_recognizer_free(f.recognizer);
    return 0;
}

static fn_video *open_video(const fn_video_options *options) {
    fn_video *video;
    if (fn_video_open(&video, f.folder, options, NULL) < 0)
        fail_msg("%s", fn_last_error());
    return video;
}

static fn_stream *open_stream(fn_video *video, const fn_stream_options *options) {
    fn_stream *stream;
    if (fn_stream_open(&stream, f.recognizer, video, options) < 0)
        fail_msg("%s", fn_last_error());
    return stream;
}

static const fn_stream_frame *next(fn_stream *stream) {
    const fn_stream_frame *frame;
    if (fn_stream_next(stream, &frame) < 0)
        fail_msg("%s", fn_last_error());
    return frame;
}

// What a clip came to.
typedef struct outcome {
    int n_frames, n_searched, n_cuts, n_ended, n_named;
    uint32_t named; // the track that was
    double named_from;
    uint32_t ids[FRAMES][8];
    fn_box boxes[FRAMES][8];
    size_t n_faces[FRAMES];
} outcome;

static void run(outcome *out, const fn_stream_options *options) {
    fn_video *video = open_video(NULL);
    fn_stream *stream = open_stream(video, options);
    double before = -1;
    memset(out, 0, sizeof *out);
    for (const fn_stream_frame *at; (at = next(stream));) {
        for (size_t i = 0; i < at->n_ended; i++) {
            out->n_ended += at->ended[i].is_confirmed;
            if (at->ended[i].decision != FN_DECISION_KNOWN)
                continue;
            assert_memory_equal(&at->ended[i].person, &f.person, sizeof f.person);
            assert_int_equal(at->ended[i].n_switches, 0);
            out->n_named++;
            out->named = at->ended[i].id;
            out->named_from = at->ended[i].first_s;
        }
        if (!at->frame) {
            assert_int_equal(at->n_faces, 0);
            continue;
        }
        assert_int_equal(fn_frame_index(at->frame), out->n_frames);
        assert_true(at->time_s > before);
        before = at->time_s;
        assert_true(at->n_faces <= 8);
        out->n_searched += at->is_searched;
        out->n_cuts += at->is_cut;
        out->n_faces[out->n_frames] = at->n_faces;
        for (size_t i = 0; i < at->n_faces; i++) {
            out->ids[out->n_frames][i] = at->faces[i].track;
            out->boxes[out->n_frames][i] = at->faces[i].face.box;
        }
        out->n_frames++;
    }
    assert_null(next(stream)); // the end stays the end
    fn_stream_free(stream);
    fn_video_free(video);
}

static void people_are_followed_and_named_over_a_cut(void **state) {
    (void)state;
    golden_models();
    static outcome a, b;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    options.index = f.index;
    run(&a, &options);
    assert_int_equal(a.n_frames, FRAMES);
    assert_int_equal(a.n_searched, FRAMES);
    assert_int_equal(a.n_cuts, 1);
    // Three people in each shot, one of whom is in both and keeps the track.
    assert_int_equal(a.n_ended, 5);
    assert_int_equal(a.n_named, 1);
    assert_true(a.named_from == 0);
    for (int i = 2; i < FRAMES; i++) {
        int n = 0;
        for (size_t k = 0; k < a.n_faces[i]; k++)
            n += a.ids[i][k] == a.named;
        if (i < FIRST || i > FIRST + 2)
            assert_int_equal(n, 1);
    }
    for (int i = 1; i < FRAMES; i++) {
        if (i == FIRST)
            continue;
        assert_int_equal(a.n_faces[i], a.n_faces[i - 1]);
        assert_memory_equal(a.ids[i], a.ids[i - 1], sizeof a.ids[i]);
    }
    // Threads change nothing.
    run(&b, &options);
    assert_memory_equal(&a, &b, sizeof a);
    // Without an index the same is seen, and nobody named.
    options.index = NULL;
    run(&b, &options);
    assert_int_equal(b.n_named, 0);
    assert_true(b.n_ended >= 5);
}

static double overlap(const fn_box *a, const fn_box *b) {
    const double x =
        fmin((double)(a->x + a->width), (double)(b->x + b->width)) - fmax((double)a->x, (double)b->x);
    const double y =
        fmin((double)(a->y + a->height), (double)(b->y + b->height)) - fmax((double)a->y, (double)b->y);
    const double both = fmax(x, 0) * fmax(y, 0);
    return both / ((double)a->width * (double)a->height + (double)b->width * (double)b->height - both);
}

static void between_two_searches_faces_are_where_they_are_expected(void **state) {
    (void)state;
    golden_models();
    static outcome all, some;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    run(&all, &options);
    options.every = 4;
    run(&some, &options);
    assert_int_equal(some.n_frames, FRAMES);
    // 0, 4, 8, the cut at 12, 16, 20, 24
    assert_int_equal(some.n_searched, 7);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(some.n_faces[i], all.n_faces[i]);
        for (size_t k = 0; k < some.n_faces[i]; k++) {
            double best = 0;
            for (size_t m = 0; m < all.n_faces[i]; m++)
                best = fmax(best, overlap(&some.boxes[i][k], &all.boxes[i][m]));
            if (!(best > 0.6))
                fail_msg("frame %d, face %zu: overlaps by %.2f with where it is", i, k, best);
            const fn_box *box = &some.boxes[i][k], *left = k ? box - 1 : box;
            if (box->x + box->width / 2 < left->x + left->width / 2)
                fail_msg("frame %d, face %zu lies left of the one before", i, k);
        }
    }
}

static void a_mirror_turns_everything_around(void **state) {
    (void)state;
    golden_models();
    static outcome plain, mirrored;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    options.no_tracks = 1;
    run(&plain, &options);
    options.mirror = 1;
    run(&mirrored, &options);
    assert_int_equal(plain.n_frames, FRAMES);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(plain.n_faces[i], mirrored.n_faces[i]);
        for (size_t k = 0; k < plain.n_faces[i]; k++) {
            fn_box box = mirrored.boxes[i][plain.n_faces[i] - 1 - k];
            box.x = WIDTH - box.x - box.width;
            assert_true(overlap(&box, &plain.boxes[i][k]) > 0.5); // the same face, found in other pixels
            assert_int_equal(plain.ids[i][k], 0);
        }
    }
}

static void who_is_known_may_change_while_it_runs(void **state) {
    (void)state;
    golden_models();
    fn_video_options forever = FN_VIDEO_OPTIONS_INIT;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    forever.loop = 1;
    options.detect.max_faces = 3;
    fn_video *video = open_video(&forever);
    fn_stream *stream = open_stream(video, &options);
    int named = 0;
    for (int i = 0; i < 10; i++) {
        const fn_stream_frame *at = next(stream);
        for (size_t k = 0; k < at->n_faces; k++)
            named += at->faces[k].decision == FN_DECISION_KNOWN;
    }
    assert_int_equal(named, 0);
    assert_int_equal(fn_stream_set_index(stream, f.index), FN_OK);
    for (int i = 0; i < 3 * FRAMES && !named; i++) {
        const fn_stream_frame *at = next(stream);
        for (size_t k = 0; k < at->n_faces; k++)
            named += at->faces[k].decision == FN_DECISION_KNOWN;
    }
    assert_true(named);
    // Another model's index is refused, and the one before goes on.
    fn_index *other;
    assert_int_equal(
        fn_index_open(&other, D, "0000000000000000000000000000000000000000000000000000000000000000"), FN_OK);
    float vector[D] = {1};
    assert_int_equal(fn_index_add(other, vector, f.person, f.person), FN_OK);
    assert_int_equal(fn_stream_set_index(stream, other), FN_EMODEL);
    fn_index_free(other);
    assert_non_null(next(stream));
    fn_stream_free(stream);
    fn_video_free(video);
}

static void *stop_soon(void *stream) {
    const struct timespec pause = {0, 300000000};
    nanosleep(&pause, NULL);
    fn_stream_stop(stream);
    return NULL;
}

static void it_can_be_stopped_and_left_at_any_time(void **state) {
    (void)state;
    golden_models();
    fn_video_options forever = FN_VIDEO_OPTIONS_INIT;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    forever.loop = 1;
    options.index = f.index;
    for (int taken = 0; taken < 4; taken++) {
        fn_video *video = open_video(&forever);
        fn_stream *stream = open_stream(video, &options);
        fn_frame *kept = NULL;
        for (int i = 0; i < taken; i++) {
            fn_frame_free(kept);
            kept = fn_frame_share(next(stream)->frame);
        }
        fn_stream_free(stream);
        fn_video_free(video);
        if (kept) // outlives both
            assert_int_equal(fn_frame_image(kept)->width, WIDTH);
        fn_frame_free(kept);
    }
    fn_video *video = open_video(&forever);
    fn_stream *stream = open_stream(video, &options);
    const fn_stream_frame *at;
    pthread_t thread;
    int rc;
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, stream), 0);
    while ((rc = fn_stream_next(stream, &at)) == FN_OK)
        assert_non_null(at);
    assert_int_equal(rc, FN_ECANCELLED);
    assert_int_equal(fn_stream_next(stream, &at), FN_ECANCELLED);
    pthread_join(thread, NULL);
    fn_stream_free(stream);
    fn_video_free(video);
    fn_stream_free(NULL);
}

static void a_frame_that_cannot_be_read_is_passed_over(void **state) {
    (void)state;
    golden_models();
    char path[128];
    snprintf(path, sizeof path, "%s/%04d.jpg", f.folder, FRAMES);
    assert_int_equal(fn_write_file(path, "no picture", 10, 0600), FN_OK);
    fn_video *video = open_video(NULL);
    fn_stream *stream = open_stream(video, NULL);
    const fn_stream_frame *at;
    int n_frames = 0, n_ended = 0, rc;
    while ((rc = fn_stream_next(stream, &at)) == FN_OK && at) {
        n_frames += at->frame != NULL;
        for (size_t i = 0; i < at->n_ended; i++)
            n_ended += at->ended[i].is_confirmed;
    }
    unlink(path);
    assert_int_equal(rc, FN_OK);
    assert_int_equal(n_frames, FRAMES);
    assert_true(n_ended >= 5);
    assert_int_equal(fn_video_get_counts(video).n_damaged, 1);
    fn_stream_free(stream);
    fn_video_free(video);
}

// Whatever allocation fails: the caller gets a last frame, and then is told the reason.
static void without_memory_the_end_is_still_an_end(void **state) {
    (void)state;
    golden_models();
    enum { N = 6, SIDE = 96 };
    static unsigned char grey[SIDE * SIDE * 3];
    const fn_image image = {grey, SIDE, SIDE, SIDE * 3, FN_PIXEL_RGB8};
    char folder[] = "/tmp/test_stream.XXXXXX", paths[N][64];
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < N; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%d.png", folder, i);
        assert_int_equal(fn_image_write(&image, paths[i], 0), FN_OK);
    }
    int n_failed = 0, is_through = 0;
    for (int64_t nth = 1; !is_through && nth < 2000; nth++) {
        fn_video *video;
        fn_stream *stream;
        const fn_stream_frame *at;
        int n_frames = 0, n_last = 0;
        assert_int_equal(fn_video_open(&video, folder, NULL, NULL), FN_OK);
        fn_alloc_fail_nth(nth);
        int rc = fn_stream_open(&stream, f.recognizer, video, NULL);
        if (rc == FN_OK) {
            while ((rc = fn_stream_next(stream, &at)) == FN_OK && at) {
                n_frames += at->frame != NULL;
                n_last += at->frame == NULL;
            }
            if (n_last != 1 || (rc != FN_ENOMEM && (rc != FN_OK || n_frames != N)))
                fail_msg("allocation %d: %d frames, %d ends, %s", (int)nth, n_frames, n_last,
                         fn_error_name(rc));
            fn_stream_free(stream);
        }
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
        n_failed += rc < 0;
        is_through = fn_alloc_count() < nth;
        fn_alloc_fail_nth(0);
        fn_video_free(video);
    }
    assert_true(is_through);
    assert_true(n_failed > N);
    for (int i = 0; i < N; i++)
        unlink(paths[i]);
    rmdir(folder);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    golden_models();
    fn_video *video = open_video(NULL);
    fn_stream *stream;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    options.version = 0;
    assert_int_equal(fn_stream_open(&stream, f.recognizer, video, &options), FN_EINVAL);
    assert_null(stream);
    options = (fn_stream_options)FN_STREAM_OPTIONS_INIT;
    options.every = -1;
    assert_int_equal(fn_stream_open(&stream, f.recognizer, video, &options), FN_EINVAL);
    options.every = 0;
    options.index = f.index;
    options.fmr = 1e-12; // no calibration shows that
    assert_int_equal(fn_stream_open(&stream, f.recognizer, video, &options), FN_ELIMIT);
    fn_video_free(video);
}

static void without_memory_it_ends_cleanly(void **state) {
    (void)state;
    golden_models();
    int n_failed = 0;
    fn_stream_options options = FN_STREAM_OPTIONS_INIT;
    options.index = f.index;
    for (int nth = 1; nth < 4000; nth = nth < 60 ? nth + 1 : nth + 1 + nth / 3) {
        fn_video *video = open_video(NULL);
        fn_stream *stream = NULL;
        const fn_stream_frame *at;
        fn_alloc_fail_nth(nth);
        int rc = fn_stream_open(&stream, f.recognizer, video, &options);
        for (int i = 0; rc == FN_OK && i < 4; i++)
            rc = fn_stream_next(stream, &at);
        fn_alloc_fail_nth(0);
        n_failed += rc < 0;
        fn_stream_free(stream);
        fn_video_free(video);
    }
    assert_true(n_failed > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_are_followed_and_named_over_a_cut),
        cmocka_unit_test(between_two_searches_faces_are_where_they_are_expected),
        cmocka_unit_test(a_mirror_turns_everything_around),
        cmocka_unit_test(who_is_known_may_change_while_it_runs),
        cmocka_unit_test(it_can_be_stopped_and_left_at_any_time),
        cmocka_unit_test(a_frame_that_cannot_be_read_is_passed_over),
        cmocka_unit_test(without_memory_the_end_is_still_an_end),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(without_memory_it_ends_cleanly),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
