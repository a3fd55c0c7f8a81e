// SPDX-License-Identifier: Apache-2.0
//
// Verification on clips: the mean over pairs of frames against its definition, lists, folds of people, order
// of frames, and the protocol on clips made of the demo photographs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "eval/clip_pairs.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static fn_recognizer *recognizer; // NULL: no models here
static char folder[64];

static int set_up(void **state) {
    (void)state;
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    options.detector.model.directory = options.embedder.options.directory = getenv("FACENET_MODELS");
    if (!getenv("FACENET_DEMO") || fn_recognizer_open(&recognizer, &options) < 0)
        recognizer = NULL;
    snprintf(folder, sizeof folder, "/tmp/test_eval_videos.XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    fn_recognizer_free(recognizer);
    return fn_remove_tree(folder) < 0 ? -1 : 0;
}

static void need_models(void) {
    if (recognizer)
        return;
    print_message("skipped: needs the models (FACENET_MODELS) and the demo photographs (FACENET_DEMO)\n");
    skip();
}

// ---- arithmetic -------------------------------------------------------------------------------

static void the_distance_is_the_mean_over_all_pairs_of_frames(void **state) {
    (void)state;
    enum { D = 3, NA = 4, NB = 5 };
    double a[NA][D], b[NB][D], mean_a[D] = {0}, mean_b[D] = {0}, sum = 0;
    for (int i = 0; i < NA + NB; i++) {
        double *v = i < NA ? a[i] : b[i - NA], length = 0;
        for (int k = 0; k < D; k++) {
            v[k] = sin(1.7 * i + 2.3 * k);
            length += v[k] * v[k];
        }
        for (int k = 0; k < D; k++) {
            v[k] /= sqrt(length);
            (i < NA ? mean_a : mean_b)[k] += v[k] / (i < NA ? NA : NB);
        }
    }
    for (int i = 0; i < NA; i++)
        for (int j = 0; j < NB; j++)
            for (int k = 0; k < D; k++)
                sum += (a[i][k] - b[j][k]) * (a[i][k] - b[j][k]);
    const fn_clip x = {.mean = mean_a}, y = {.mean = mean_b};
    assert_true(fabs(fn_clips_distance2(&x, &y, D) - sum / (NA * NB)) < 1e-12);
    assert_true(fn_clips_distance2(&x, &y, D) == fn_clips_distance2(&y, &x, D));
}

static void numbers_in_names_are_numbers(void **state) {
    (void)state;
    static const char *const order[] = {"a/0.1.jpg",
                                        "a/0.2.jpg",
                                        "a/0.10.jpg",
                                        "a/0.100.jpg",
                                        "a/1.1.jpg",
                                        "a/1.2",
                                        "a/1.2.jpg",
                                        "a/7x",
                                        "a/007y",
                                        "a/99999999999999999999998",
                                        "a/99999999999999999999999",
                                        "b"};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
            const int seen = fn_compare_natural(order[i], order[k]);
            if ((seen > 0) - (seen < 0) != (i > k) - (i < k))
                fail_msg("%s against %s: %d", order[i], order[k], seen);
        }
    assert_true(fn_compare_natural("f01", "f1") < 0 && fn_compare_natural("f1", "f01") > 0);
}

// ---- lists ------------------------------------------------------------------------------------

static int parse(fn_clip_list *list, const char *text) {
    return fn_clip_list_parse(list, text, strlen(text), "list");
}

static void lists_are_read_with_commas_and_tabs(void **state) {
    (void)state;
    fn_clip_list list;
    assert_int_equal(
        parse(&list, "split number, first name, second name, similarity, same\r\n"
                     "1, A/0, A/1, 0.5, 1\r\n1, A/0, B B/x.mp4, 0.5, 0\r\n\n2\tC/0\tC/1\t1\n2\tC/0\tA/0\t0"),
        FN_OK);
    assert_int_equal(list.n, 4);
    assert_int_equal(list.n_folds, 2);
    assert_string_equal(list.pairs[1].clip[1], "B B/x.mp4");
    assert_int_equal(list.pairs[0].same, 1);
    assert_int_equal(list.pairs[1].same, 0);
    assert_int_equal(list.pairs[3].fold, 1);
    fn_clip_list_free(&list);
}

static void bad_lists_are_refused_with_the_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"", "no pair"},
        {"header only\n", "no pair"},
        {"1,A/0,A/1,1\n", "fold 1 of 1 lacks"},
        {"1,A/0,A/1,1\n1,A/0,B/0,0\n3,A/0,A/1,1\n3,A/0,B/0,0\n", "fold 2 of 3"},
        {"1,A/0,A/1,2\n", "line 1"},
        {"1,A/0,A/1\n", "line 1"},
        {"0,A/0,A/1,1\n", "line 1"},
        {"1001,A/0,A/1,1\n", "line 1"},
        {"1,A/0,A/1,1\nx\n", "line 2"},
        {"1,A/0,A/1,0\n", "do not go with"},
        {"1,A/0,B/1,1\n", "do not go with"},
        {"1,A/0,A/0,1\n", "with itself"},
        {"1,A,A/0,1\n", "PERSON/CLIP"},
        {"1,A/0,../A,0\n", "PERSON/CLIP"},
        {"1,A/0,A/.x,1\n", "PERSON/CLIP"},
        {"1,A/0,A/x/y,1\n", "PERSON/CLIP"},
        {"1,/0,A/x,0\n", "PERSON/CLIP"},
        {"1,a,b,c,d,e,f,g,h,i,j,1\n", "line 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fn_clip_list list;
        if (parse(&list, bad[i].text) != FN_EFORMAT || !strstr(fn_last_error(), bad[i].part))
            fail_msg("%s: %s", bad[i].text, fn_last_error());
        assert_null(list.pairs);
    }
    fn_clip_list list;
    assert_int_equal(fn_clip_list_parse(&list, "1,A\0", 4, "list"), FN_EFORMAT);
    assert_int_equal(fn_clip_list_read(&list, "/nowhere/list"), FN_EIO);
}

// ---- folds ------------------------------------------------------------------------------------

static void folds_of_people_have_pairs_of_both_kinds(void **state) {
    (void)state;
    enum { PEOPLE = 37 };
    fn_clip data[2 * PEOPLE] = {{0}};
    fn_clips clips = {.data = data, .n_people = PEOPLE};
    for (size_t p = 0; p < PEOPLE; p++)
        for (size_t k = 0; k < (p % 3 == 0 ? 2 : 1); k++)
            data[clips.n++].person = p; // 13 people have two clips
    int folds[PEOPLE], again[PEOPLE], other[PEOPLE];
    assert_int_equal(fn_clips_share_out(folds, &clips, 10, 1), 10);
    assert_int_equal(fn_clips_share_out(again, &clips, 10, 1), 10);
    assert_int_equal(fn_clips_share_out(other, &clips, 10, 2), 10);
    assert_memory_equal(folds, again, sizeof folds);
    assert_memory_not_equal(folds, other, sizeof folds);
    int twos[10] = {0}, people[10] = {0};
    for (int p = 0; p < PEOPLE; p++) {
        assert_in_range(folds[p], 0, 9);
        people[folds[p]]++;
        twos[folds[p]] += p % 3 == 0;
    }
    for (int f = 0; f < 10; f++)
        assert_true(people[f] >= 3 && twos[f] >= 1);
    clips.n_people = clips.n = 1;
    assert_int_equal(fn_clips_share_out(folds, &clips, 10, 1), 0);
}

// ---- the protocol -----------------------------------------------------------------------------

static void put(const char *leaf, int sample) {
    char path[256], source[1024];
    snprintf(path, sizeof path, "%s/%s", folder, leaf);
    *strrchr(path, '/') = 0;
    assert_int_equal(fn_mkdirs(path, 0700), FN_OK);
    snprintf(path, sizeof path, "%s/%s", folder, leaf);
    snprintf(source, sizeof source, "%s/sample%d.jpg", getenv("FACENET_DEMO"), sample);
    assert_int_equal(symlink(source, path), 0);
}

static double number_of(const char *text, const char *key) {
    json_t *report = json_loads(text, 0, NULL);
    const json_t *value = json_object_get(report, key);
    const double number = json_is_number(value) ? json_number_value(value) : NAN;
    json_decref(report);
    return number;
}

static void the_protocol_runs_on_clips(void **state) {
    (void)state;
    need_models();
    char root[128], list[128], cache[128], *text = NULL;
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    snprintf(root, sizeof root, "%s/clips", folder);
    snprintf(list, sizeof list, "%s/list", folder);
    snprintf(cache, sizeof cache, "%s/cache.db", folder);
    options.cache = cache;
    put("clips/Ada/a/2.jpg", 1);
    put("clips/Ada/a/10.jpg", 5);
    put("clips/Ada/b/1.jpg", 3);
    put("clips/Bea/a.jpg", 2); // a clip of one frame
    put("clips/Bea/b/deep/1.jpg", 4);
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, root, &options, NULL), FN_OK);
    assert_true(number_of(text, "people") == 2 && number_of(text, "clips") == 4);
    assert_true(number_of(text, "frames") + number_of(text, "frames_without_face") == 5);
    assert_true(number_of(text, "same_pairs") == 2 && number_of(text, "different_pairs") == 4);
    const double same2 = number_of(text, "mean_squared_distance_same");
    assert_true(fabs(number_of(text, "mean_similarity_same") - (1 - same2 / 2)) < 1e-9);
    fn_string_free(text);
    // The first frame of Ada/a is 2, not 10: then clips are photographs, as in the other protocol.
    options.frames = 1;
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, root, &options, NULL), FN_OK);
    char *photos = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s/clips/Ada/a/10.jpg", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fn_eval_all_pairs(&photos, recognizer, root, &options, NULL), FN_OK);
    assert_true(number_of(text, "auc") == number_of(photos, "auc"));
    fn_string_free(photos);
    fn_string_free(text);
    static const char pairs[] =
        "1,Ada/a,Ada/b,1\n1,Ada/a,Bea/a.jpg,0\n2,Bea/a.jpg,Bea/b,1\n2,Ada/b,Bea/b,0\n";
    assert_int_equal(fn_write_file(list, pairs, sizeof pairs - 1, 0600), FN_OK);
    assert_int_equal(fn_eval_videos(&text, recognizer, list, root, &options, NULL), FN_OK);
    assert_true(number_of(text, "folds") == 2 && number_of(text, "judged_pairs") == 4);
    fn_string_free(text);
    for (int64_t n = 1;; n++) { // every vector comes from the cache
        fn_alloc_fail_nth(n);
        const int rc = fn_eval_videos(&text, recognizer, n % 2 ? list : NULL, root, &options, NULL);
        const int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_string_free(text);
        if (count < n) {
            assert_true(n > 20);
            break;
        }
        if (rc != FN_ENOMEM || text)
            fail_msg("allocation %d: %s", (int)n, fn_error_name(rc));
    }
}

static void a_clip_without_a_face_is_a_miss_and_mistakes_are_told(void **state) {
    (void)state;
    need_models();
    static unsigned char grey[200 * 160 * 3];
    for (int i = 0; i < 200 * 160 * 3; i++)
        grey[i] = (unsigned char)(100 + i % 600 / 24);
    const fn_image image = {grey, 200, 160, 600, FN_PIXEL_RGB8};
    char root[128], path[256], *text = NULL;
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    options.cache = "";
    put("more/Ada/a/1.jpg", 1); // a photograph with a face over its centre
    put("more/Ada/b/1.jpg", 1);
    put("more/Bea/a/1.jpg", 1);
    snprintf(root, sizeof root, "%s/more", folder);
    snprintf(path, sizeof path, "%s/more/Ada/b/2.png", folder);
    assert_int_equal(fn_image_write(&image, path, 0), FN_OK); // one frame of a clip: left out
    snprintf(path, sizeof path, "%s/more/Bea/b", folder);
    assert_int_equal(fn_mkdirs(path, 0700), FN_OK);
    snprintf(path, sizeof path, "%s/more/Bea/b/1.png", folder);
    assert_int_equal(fn_image_write(&image, path, 0), FN_OK); // all of a clip: a miss
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, root, &options, NULL), FN_OK);
    assert_true(number_of(text, "clips") == 4 && number_of(text, "clip_misses") == 1);
    assert_true(number_of(text, "frames_without_face") == 1);
    fn_string_free(text);
    options.frames = -1;
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, root, &options, NULL), FN_EINVAL);
    options.frames = 0;
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, "", &options, NULL), FN_EINVAL);
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, "/nowhere", &options, NULL), FN_EIO);
    snprintf(path, sizeof path, "%s/more/Bea/b/2.mp4", folder); // below a clip everything is a frame
    assert_int_equal(fn_write_file(path, "x", 1, 0600), FN_OK);
    snprintf(path, sizeof path, "%s/more/Bea/c.mp4", folder);
    assert_int_equal(fn_write_file(path, "x", 1, 0600), FN_OK);
    assert_int_equal(fn_eval_videos(&text, recognizer, NULL, root, &options, NULL), FN_OK);
    assert_true(number_of(text, "unreadable") == 1);
    fn_string_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distance_is_the_mean_over_all_pairs_of_frames),
        cmocka_unit_test(numbers_in_names_are_numbers),
        cmocka_unit_test(lists_are_read_with_commas_and_tabs),
        cmocka_unit_test(bad_lists_are_refused_with_the_line),
        cmocka_unit_test(folds_of_people_have_pairs_of_both_kinds),
        cmocka_unit_test(the_protocol_runs_on_clips),
        cmocka_unit_test(a_clip_without_a_face_is_a_miss_and_mistakes_are_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
