// SPDX-License-Identifier: Apache-2.0
//
// The pipeline's own work: order of results, limits, stopping, coordinates, folders. The stages are
// stand-ins (the linker's --wrap), so that every case is exact and no model is needed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <facenet/pipeline.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ---- stand-ins --------------------------------------------------------------------------------

// A picture "<faces>[bad|slow]...": 1000 x 600 as coded, a decode that fails, or one that takes long.
struct fn_picture {
    fn_image image;
    fn_picture_info info;
    uint8_t pixel[4];
};

struct fn_faces {
    size_t n;
    fn_face faces[8];
};

static int orientation;               // of every picture
static int follows_scale;             // 1: pictures are JPEG
static _Atomic int live;              // pictures and lists of faces not freed
static _Atomic int asked_denominator; // by the last decode
static _Atomic float asked_min_face;  // by the last detection
static size_t faces_of_next = 2;      // what the detector finds

int __wrap_fn_decode_file(fn_picture **out, const char *path, const fn_decode_options *options);
int __wrap_fn_decode_file(fn_picture **out, const char *path, const fn_decode_options *options) {
    *out = NULL;
    asked_denominator = options->scale_denominator;
    if (strstr(path, "slow")) {
        struct timespec pause = {0, 3000000};
        nanosleep(&pause, NULL);
    }
    if (strstr(path, "bad"))
        return fn_fail(FN_EFORMAT, "%s: not a picture", path);
    fn_picture *picture = fn_calloc(1, sizeof *picture);
    if (!picture)
        return fn_fail_memory();
    live++;
    int scale = follows_scale && options->scale_denominator ? options->scale_denominator : 1;
    picture->info.coded_width = 1000;
    picture->info.coded_height = 600;
    picture->info.orientation = orientation ? orientation : 1;
    picture->info.scale_denominator = scale;
    int turned = picture->info.orientation >= 5;
    picture->image = (fn_image){.data = picture->pixel,
                                .width = (turned ? 600 : 1000) / scale,
                                .height = (turned ? 1000 : 600) / scale,
                                .stride_bytes = 3000,
                                .format = FN_PIXEL_RGB8};
    *out = picture;
    return FN_OK;
}

const fn_image *__wrap_fn_picture_image(const fn_picture *picture);
const fn_image *__wrap_fn_picture_image(const fn_picture *picture) {
    return &picture->image;
}

const fn_picture_info *__wrap_fn_picture_get_info(const fn_picture *picture);
const fn_picture_info *__wrap_fn_picture_get_info(const fn_picture *picture) {
    return &picture->info;
}

void __wrap_fn_picture_free(fn_picture *picture);
void __wrap_fn_picture_free(fn_picture *picture) {
    if (picture)
        live--;
    fn_free(picture);
}

static char a_detector, an_embedder; // what the handles point at

int __wrap_fn_detector_open(fn_detector **out, const fn_detector_options *options);
int __wrap_fn_detector_open(fn_detector **out, const fn_detector_options *options) {
    *out = NULL;
    if (options->detector)
        return fn_fail(FN_EMODEL, "no such detector");
    *out = (fn_detector *)&a_detector;
    return FN_OK;
}

void __wrap_fn_detector_free(fn_detector *detector);
void __wrap_fn_detector_free(fn_detector *detector) {
    (void)detector;
}

const char *__wrap_fn_detector_canonical(const fn_detector *detector);
const char *__wrap_fn_detector_canonical(const fn_detector *detector) {
    (void)detector;
    return "abc";
}

int __wrap_fn_detector_run(fn_detector *detector, const fn_image *image, const fn_detect_options *options,
                           fn_faces **out);
int __wrap_fn_detector_run(fn_detector *detector, const fn_image *image, const fn_detect_options *options,
                           fn_faces **out) {
    (void)detector;
    (void)image;
    asked_min_face = options->min_face;
    *out = fn_calloc(1, sizeof **out);
    if (!*out)
        return fn_fail_memory();
    live++;
    (*out)->n = faces_of_next;
    for (size_t i = 0; i < (*out)->n; i++) {
        fn_face *face = &(*out)->faces[i];
        face->box = (fn_box){(float)(10 * i), 20, 30, 40};
        face->n_keypoints = FN_N_KEYPOINTS;
        face->n_landmarks = FN_N_LANDMARKS;
        face->landmarks[FN_N_LANDMARKS - 1] = (fn_point){5, 6};
    }
    return FN_OK;
}

size_t __wrap_fn_faces_len(const fn_faces *faces);
size_t __wrap_fn_faces_len(const fn_faces *faces) {
    return faces->n;
}

const fn_face *__wrap_fn_faces_get(const fn_faces *faces, size_t index);
const fn_face *__wrap_fn_faces_get(const fn_faces *faces, size_t index) {
    return &faces->faces[index];
}

void __wrap_fn_faces_free(fn_faces *faces);
void __wrap_fn_faces_free(fn_faces *faces) {
    if (faces)
        live--;
    fn_free(faces);
}

int __wrap_fn_embedder_open(fn_embedder **out, const fn_embedder_options *options);
int __wrap_fn_embedder_open(fn_embedder **out, const fn_embedder_options *options) {
    (void)options;
    *out = (fn_embedder *)&an_embedder;
    return FN_OK;
}

void __wrap_fn_embedder_free(fn_embedder *embedder);
void __wrap_fn_embedder_free(fn_embedder *embedder) {
    (void)embedder;
}

int __wrap_fn_embedder_dimension(const fn_embedder *embedder);
int __wrap_fn_embedder_dimension(const fn_embedder *embedder) {
    (void)embedder;
    return 3;
}

// The vector holds the face's place in the picture it was cut from.
int __wrap_fn_embedder_faces(fn_embedder *embedder, const fn_image *image, const fn_face *faces, size_t n,
                             float *dst);
int __wrap_fn_embedder_faces(fn_embedder *embedder, const fn_image *image, const fn_face *faces, size_t n,
                             float *dst) {
    (void)embedder;
    for (size_t i = 0; i < n; i++) {
        dst[3 * i] = faces[i].box.x;
        dst[3 * i + 1] = (float)i;
        dst[3 * i + 2] = (float)image->width;
    }
    return FN_OK;
}

// ---- one picture ------------------------------------------------------------------------------

static fn_recognizer *recognizer;

static int open_recognizer(void **state) {
    (void)state;
    orientation = follows_scale = 0;
    faces_of_next = 2;
    return fn_recognizer_open(&recognizer, NULL);
}

static int free_recognizer(void **state) {
    (void)state;
    fn_recognizer_free(recognizer);
    recognizer = NULL;
    return live != 0; // something leaked
}

static void the_pipeline_id_is_the_hash_of_the_canonical_text(void **state) {
    (void)state;
    assert_string_equal(fn_recognizer_pipeline_id(recognizer),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void a_stage_that_cannot_be_opened_leaves_nothing(void **state) {
    (void)state;
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    fn_recognizer *none = recognizer;
    options.detector.detector = "foo";
    assert_int_equal(fn_recognizer_open(&none, &options), FN_EMODEL);
    assert_null(none);
    options = (fn_recognizer_options)FN_RECOGNIZER_OPTIONS_INIT;
    options.version = 99;
    assert_int_equal(fn_recognizer_open(&none, &options), FN_EINVAL);
}

static void a_picture_becomes_faces_and_vectors(void **state) {
    (void)state;
    fn_analysis *a;
    assert_int_equal(fn_recognizer_file(recognizer, "p", NULL, &a), FN_OK);
    assert_int_equal(a->status, FN_OK);
    assert_string_equal(a->message, "");
    assert_int_equal(a->n_faces, 2);
    assert_int_equal(a->dimension, 3);
    assert_int_equal(a->width, 1000);
    assert_null(a->picture);
    assert_float_equal(a->embeddings[3 + 1], 1, 0);
    fn_analysis_free(a);
}

static void a_picture_without_faces_is_no_error(void **state) {
    (void)state;
    faces_of_next = 0;
    fn_analysis *a;
    assert_int_equal(fn_recognizer_file(recognizer, "p", NULL, &a), FN_OK);
    assert_int_equal(a->n_faces, 0);
    fn_analysis_free(a);
}

static void detection_alone_has_no_vectors(void **state) {
    (void)state;
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    options.no_embedder = 1;
    fn_recognizer *detection;
    fn_analysis *a;
    assert_int_equal(fn_recognizer_open(&detection, &options), FN_OK);
    assert_null(fn_recognizer_embedder(detection));
    assert_int_equal(fn_recognizer_file(detection, "p", NULL, &a), FN_OK);
    assert_null(a->embeddings);
    assert_int_equal(a->dimension, 0);
    fn_analysis_free(a);
    fn_recognizer_free(detection);
}

static void a_bad_picture_is_an_error_and_nothing_else(void **state) {
    (void)state;
    fn_analysis *a = (fn_analysis *)recognizer;
    assert_int_equal(fn_recognizer_file(recognizer, "bad", NULL, &a), FN_EFORMAT);
    assert_null(a);
    fn_image empty = {0};
    assert_int_equal(fn_recognizer_image(recognizer, &empty, NULL, &a), FN_EINVAL);
    assert_null(a);
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    options.version = 0;
    assert_int_equal(fn_recognizer_file(recognizer, "p", &options, &a), FN_EINVAL);
}

static int denominator_for(float min_face, int keep) {
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    fn_analysis *a;
    options.detect.min_face = min_face;
    options.keep_picture = keep;
    assert_int_equal(fn_recognizer_file(recognizer, "p", &options, &a), FN_OK);
    assert_true(!keep == !a->picture);
    fn_analysis_free(a);
    return asked_denominator ? asked_denominator : 1;
}

static void the_decoder_shrinks_as_far_as_small_faces_allow(void **state) {
    (void)state;
    assert_int_equal(denominator_for(0, 0), 1);
    assert_int_equal(denominator_for(223, 0), 1);
    assert_int_equal(denominator_for(224, 0), 2);
    assert_int_equal(denominator_for(448, 0), 4);
    assert_int_equal(denominator_for(896, 0), 8);
    assert_int_equal(denominator_for(1e30F, 0), 8);
    assert_int_equal(denominator_for(NAN, 0), 1);
    assert_int_equal(denominator_for(896, 1), 1);
}

static void coordinates_are_those_of_the_full_size_picture(void **state) {
    (void)state;
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    fn_analysis *a;
    options.detect.min_face = 448;
    follows_scale = 1;
    assert_int_equal(fn_recognizer_file(recognizer, "p", &options, &a), FN_OK);
    assert_float_equal(asked_min_face, 112, 1e-4);
    assert_int_equal(a->width, 1000);
    assert_int_equal(a->height, 600);
    assert_float_equal(a->faces[1].box.x, 40, 1e-3);
    assert_float_equal(a->faces[1].box.height, 160, 1e-3);
    assert_float_equal(a->faces[1].landmarks[FN_N_LANDMARKS - 1].y, 24, 1e-3);
    assert_float_equal(a->embeddings[3], 10, 0); // cut from the picture as decoded
    fn_analysis_free(a);

    orientation = 6;
    assert_int_equal(fn_recognizer_file(recognizer, "p", &options, &a), FN_OK);
    assert_int_equal(a->width, 600);
    assert_int_equal(a->height, 1000);
    fn_analysis_free(a);
}

// ---- many files -------------------------------------------------------------------------------

typedef struct batch {
    int n, n_next, n_result; // paths to give, given, results received
    int most_ahead;          // largest number of paths given without a result
    int n_failed;
    int stop_at, keep_at; // at this result; -1: never
    int wrong;            // results out of order or of the wrong picture
    fn_analysis *kept;
    char path[32];
} batch;

static void name_of(char path[32], int i) {
    snprintf(path, 32, "%d%s%s", i, i % 7 == 3 ? "bad" : "", i % 5 == 0 ? "slow" : "");
}

static const char *next(void *user) {
    batch *b = user;
    if (b->n_next == b->n)
        return NULL;
    name_of(b->path, b->n_next++);
    if (b->n_next - b->n_result > b->most_ahead)
        b->most_ahead = b->n_next - b->n_result;
    return b->path;
}

static int result(void *user, const char *path, fn_analysis *analysis, int *keep) {
    batch *b = user;
    char expected[32];
    int i = b->n_result++;
    name_of(expected, i);
    b->wrong += strcmp(path, expected) != 0;
    if (i % 7 == 3) {
        b->n_failed++;
        b->wrong += analysis->status != FN_EFORMAT || analysis->n_faces || !strstr(analysis->message, path);
    } else {
        b->wrong += analysis->status != FN_OK || analysis->n_faces != 2;
    }
    if (i == b->keep_at) {
        *keep = 1;
        b->kept = analysis;
    }
    return i == b->stop_at ? 42 : 0;
}

static batch new_batch(int n) {
    return (batch){.n = n, .stop_at = -1, .keep_at = -1};
}

static void results_come_in_the_order_of_the_paths(void **state) {
    (void)state;
    for (int jobs = 0; jobs <= 9; jobs += 3) {
        batch b = new_batch(200);
        assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, jobs, NULL, NULL), FN_OK);
        assert_int_equal(b.n_result, 200);
        assert_int_equal(b.wrong, 0);
        assert_int_equal(b.n_failed, 29);
        if (jobs)
            assert_true(b.most_ahead <= 2 * jobs);
    }
}

static void no_paths_is_no_work(void **state) {
    (void)state;
    batch b = new_batch(0);
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 4, NULL, NULL), FN_OK);
    assert_int_equal(b.n_result, 0);
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, -1, NULL, NULL), FN_EINVAL);
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 100000, NULL, NULL), FN_EINVAL);
}

static void a_result_may_stop_the_work_at_any_place(void **state) {
    (void)state;
    for (int at = 0; at < 20; at++) {
        batch b = new_batch(100);
        b.stop_at = at;
        assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 3, NULL, NULL), 42);
        assert_int_equal(b.n_result, at + 1);
    }
}

static void an_analysis_may_be_kept(void **state) {
    (void)state;
    batch b = new_batch(20);
    b.keep_at = 9;
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 2, NULL, NULL), FN_OK);
    assert_non_null(b.kept);
    assert_float_equal(b.kept->faces[1].box.x, 10, 0);
    fn_analysis_free(b.kept);
}

static int stop_at_five(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)total;
    return done == 5;
}

static void a_caller_may_cancel_or_set_a_deadline(void **state) {
    (void)state;
    fn_control control = FN_CONTROL_INIT;
    batch b = new_batch(100);
    control.progress = stop_at_five;
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 2, NULL, &control), FN_ECANCELLED);
    assert_int_equal(b.n_result, 5);
    control = (fn_control)FN_CONTROL_INIT;
    control.deadline_ms = fn_clock_ms() - 1;
    b = new_batch(100);
    assert_int_equal(fn_recognizer_files(recognizer, next, result, &b, 2, NULL, &control), FN_ETIMEOUT);
    assert_int_equal(b.n_result, 0);
}

static int count_result(void *user, const char *path, fn_analysis *analysis, int *keep) {
    (void)path;
    (void)keep;
    *(int *)user += analysis->status != FN_OK;
    return 0;
}

static int n_left;

static const char *some(void *user) {
    (void)user;
    return n_left-- > 0 ? "p" : NULL;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    int64_t nth = 1;
    for (int did_fail = 1; did_fail; nth++) {
        int n_bad = 0;
        n_left = 4;
        fn_alloc_fail_nth(nth);
        int rc = fn_recognizer_files(recognizer, some, count_result, &n_bad, 2, NULL, NULL);
        did_fail = fn_alloc_count() >= nth;
        fn_alloc_fail_nth(0);
        if (did_fail)
            assert_true((rc == FN_ENOMEM && n_bad == 0) || (rc == FN_OK && n_bad == 1));
        else
            assert_true(rc == FN_OK && n_bad == 0);
    }
    assert_true(nth > 15);
}

static void *run_a_batch(void *argument) {
    batch b = new_batch(60);
    int rc = fn_recognizer_files(recognizer, next, result, &b, 2, NULL, NULL);
    *(int *)argument = rc == FN_OK && b.n_result == 60 && b.wrong == 0;
    return NULL;
}

static void one_recognizer_serves_several_callers(void **state) {
    (void)state;
    pthread_t threads[4];
    int good[4] = {0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_a_batch, &good[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(good[0] + good[1] + good[2] + good[3], 4);
}

// ---- folders ----------------------------------------------------------------------------------

static char root[] = "/tmp/facenet-walk-XXXXXX";

static void put(const char *name) {
    char *path = fn_path_join(root, name);
    assert_int_equal(fn_write_file(path, "x", 1, 0600), FN_OK);
    fn_free(path);
}

static void put_folder(const char *name) {
    char *path = fn_path_join(root, name);
    assert_int_equal(fn_mkdirs(path, 0700), FN_OK);
    fn_free(path);
}

static void put_link(const char *target, const char *name) {
    char *path = fn_path_join(root, name);
    assert_int_equal(symlink(target, path), 0);
    fn_free(path);
}

static int open_root(void **state) {
    (void)state;
    memcpy(root + strlen(root) - 6, "XXXXXX", 6);
    return mkdtemp(root) == NULL;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

// Names below the root joined by '|'; '!' stands for something unreadable.
static void walk(char *dst, size_t size) {
    fn_walker *walker;
    assert_int_equal(fn_walker_open(&walker, root), FN_OK);
    dst[0] = 0;
    for (;;) {
        const char *path;
        int rc = fn_walker_next(walker, &path);
        if (rc == FN_OK && !path)
            break;
        size_t used = strlen(dst);
        snprintf(dst + used, size - used, "%s|", rc < 0 ? "!" : path + strlen(root) + 1);
    }
    fn_walker_free(walker);
}

static void files_come_in_byte_order_of_the_names(void **state) {
    (void)state;
    char seen[256];
    put("b");
    put_folder("a");
    put("a/2");
    put("a/10");
    put("a.x");
    put("B");
    put("\xff");
    put("new\nline");
    put(".hidden");
    put_folder(".git");
    put(".git/x");
    put_folder("empty");
    walk(seen, sizeof seen);
    assert_string_equal(seen, "B|a/10|a/2|a.x|b|new\nline|\xff|");
}

static void links_to_folders_are_not_followed_and_broken_ones_said(void **state) {
    (void)state;
    char seen[256];
    put_folder("a");
    put("a/1");
    put_link(".", "a/loop");
    put_link("a", "folder-link");
    put_link("a/1", "file-link");
    put_link("nowhere", "broken");
    walk(seen, sizeof seen);
    assert_string_equal(seen, "a/1|!|file-link|");
    assert_non_null(strstr(fn_last_error(), "broken"));
}

static void what_is_no_file_is_passed_over(void **state) {
    (void)state;
    char seen[64], *fifo = fn_path_join(root, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    put("z");
    walk(seen, sizeof seen);
    assert_string_equal(seen, "z|");
    fn_walker *walker;
    assert_int_equal(fn_walker_open(&walker, fifo), FN_EIO);
    assert_null(walker);
    fn_free(fifo);
}

static void a_file_is_a_walk_of_one(void **state) {
    (void)state;
    put("only");
    char *path = fn_path_join(root, "only");
    fn_walker *walker;
    const char *seen;
    assert_int_equal(fn_walker_open(&walker, path), FN_OK);
    assert_int_equal(fn_walker_next(walker, &seen), FN_OK);
    assert_string_equal(seen, path);
    assert_int_equal(fn_walker_next(walker, &seen), FN_OK);
    assert_null(seen);
    fn_walker_free(walker);
    fn_free(path);
    assert_int_equal(fn_walker_open(&walker, "/nowhere/at/all"), FN_EIO);
}

static void deep_folders_are_walked(void **state) {
    (void)state;
    char name[2 * 300 + 2], seen[2048];
    for (int i = 0; i < 300; i++)
        memcpy(name + 2 * i, "d/", 2);
    name[599] = 0;
    put_folder(name);
    memcpy(name + 599, "/f", 3);
    put(name);
    walk(seen, sizeof seen);
    assert_int_equal(strlen(seen), strlen(name) + 1);
}

static int stop_at_second(void *user, const char *path) {
    (void)path;
    return ++*(int *)user == 2 ? 7 : 0;
}

static int visit_all(void *user, const char *path) {
    (void)path;
    ++*(int *)user;
    return 0;
}

static void a_visit_may_stop_the_walk(void **state) {
    (void)state;
    int n = 0;
    put("1");
    put("2");
    put("3");
    assert_int_equal(fn_walk(root, stop_at_second, &n), 7);
    assert_int_equal(n, 2);
    put_link("nowhere", "0");
    n = 0;
    assert_int_equal(fn_walk(root, visit_all, &n), FN_EIO);
    assert_int_equal(n, 3);
    assert_non_null(strstr(fn_last_error(), "/0: "));
}

static void a_walk_survives_failing_allocations(void **state) {
    (void)state;
    put_folder("a");
    put("a/1");
    put("b");
    for (int64_t nth = 1; nth < 40; nth++) {
        int n = 0;
        fn_alloc_fail_nth(nth);
        int rc = fn_walk(root, visit_all, &n);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        assert_int_equal(rc, count >= nth ? FN_ENOMEM : FN_OK);
    }
}

#define WITH_RECOGNIZER(test) cmocka_unit_test_setup_teardown(test, open_recognizer, free_recognizer)
#define WITH_ROOT(test) cmocka_unit_test_setup_teardown(test, open_root, remove_root)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_RECOGNIZER(the_pipeline_id_is_the_hash_of_the_canonical_text),
        WITH_RECOGNIZER(a_stage_that_cannot_be_opened_leaves_nothing),
        WITH_RECOGNIZER(a_picture_becomes_faces_and_vectors),
        WITH_RECOGNIZER(a_picture_without_faces_is_no_error),
        WITH_RECOGNIZER(detection_alone_has_no_vectors),
        WITH_RECOGNIZER(a_bad_picture_is_an_error_and_nothing_else),
        WITH_RECOGNIZER(the_decoder_shrinks_as_far_as_small_faces_allow),
        WITH_RECOGNIZER(coordinates_are_those_of_the_full_size_picture),
        WITH_RECOGNIZER(results_come_in_the_order_of_the_paths),
        WITH_RECOGNIZER(no_paths_is_no_work),
        WITH_RECOGNIZER(a_result_may_stop_the_work_at_any_place),
        WITH_RECOGNIZER(an_analysis_may_be_kept),
        WITH_RECOGNIZER(a_caller_may_cancel_or_set_a_deadline),
        WITH_RECOGNIZER(every_allocation_may_fail),
        WITH_RECOGNIZER(one_recognizer_serves_several_callers),
        WITH_ROOT(files_come_in_byte_order_of_the_names),
        WITH_ROOT(links_to_folders_are_not_followed_and_broken_ones_said),
        WITH_ROOT(what_is_no_file_is_passed_over),
        WITH_ROOT(a_file_is_a_walk_of_one),
        WITH_ROOT(deep_folders_are_walked),
        WITH_ROOT(a_visit_may_stop_the_walk),
        WITH_ROOT(a_walk_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
