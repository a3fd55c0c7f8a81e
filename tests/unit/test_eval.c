// SPDX-License-Identifier: Apache-2.0
//
// Evaluation: the arithmetic against answers known beforehand, hostile lists of pairs, and the whole
// road on the demo photographs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "eval/each_pair.h"
#include "eval/folds.h"
#include "eval/identify.h"
#include "eval/pairs_file.h"
#include "eval/roc.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FINGERPRINT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void assert_near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.12g is not %.12g", a, b);
}

static void assert_message_has(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' is not in the message: %s", part, fn_last_error());
}

static uint64_t noise = 1;

static double uniform(void) {
    noise = noise * 6364136223846793005u + 1442695040888963407u;
    return (double)(noise >> 11) * 0x1p-53;
}

// ---- ROC --------------------------------------------------------------------------------------

static void perfect_separation_has_auc_1_and_eer_0(void **state) {
    (void)state;
    float same[] = {0.3f, 0.1f, 0.2f}, different[] = {1.0f, 0.9f};
    fn_roc roc;
    assert_int_equal(fn_roc_measure(&roc, same, 3, different, 2), FN_OK);
    assert_near(fn_roc_auc(&roc), 1, 0);
    assert_near(fn_roc_eer(&roc), 0, 0);
    fn_roc_point point = fn_roc_at_far(&roc, 0);
    assert_int_equal(point.same, 3);
    assert_int_equal(point.different, 0);
    assert_near(point.distance, (double)0.3f, 0);
    fn_roc_free(&roc);
}

static void ties_count_half_in_the_auc(void **state) {
    (void)state;
    float same[] = {1, 2}, different[] = {2, 3};
    fn_roc roc;
    assert_int_equal(fn_roc_measure(&roc, same, 2, different, 2), FN_OK);
    assert_near(fn_roc_auc(&roc), 3.5 / 4, 1e-15); // 1<2 1<3 2=2 2<3
    fn_roc_free(&roc);
    float equal_same[] = {1, 1, 1}, equal_different[] = {1, 1};
    assert_int_equal(fn_roc_measure(&roc, equal_same, 3, equal_different, 2), FN_OK);
    assert_near(fn_roc_auc(&roc), 0.5, 0);
    assert_near(fn_roc_eer(&roc), 0.5, 1e-15);
    assert_int_equal(roc.n, 1);
    // The only threshold accepts everything: at FAR 0.5 nothing can be accepted.
    assert_near(fn_roc_at_far(&roc, 0.5).distance, -1, 0);
    fn_roc_free(&roc);
}

static void eer_is_linear_between_points(void **state) {
    (void)state;
    // FAR 0 -> 1/2 and FRR 1/4 -> 1/4 at distance 4: they meet at 1/4.
    float same[] = {1, 2, 3, 9}, different[] = {4, 8};
    fn_roc roc;
    assert_int_equal(fn_roc_measure(&roc, same, 4, different, 2), FN_OK);
    assert_near(fn_roc_eer(&roc), 0.25, 1e-15);
    fn_roc_free(&roc);
    // All the wrong way round.
    float far_same[] = {5, 6}, near_different[] = {1, 2};
    assert_int_equal(fn_roc_measure(&roc, far_same, 2, near_different, 2), FN_OK);
    assert_near(fn_roc_eer(&roc), 1, 0);
    assert_near(fn_roc_auc(&roc), 0, 0);
    fn_roc_free(&roc);
}

static void empty_kinds_have_no_rates(void **state) {
    (void)state;
    float some[] = {1, 2, 3};
    fn_roc roc;
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(fn_roc_measure(&roc, some, kind == 1 ? 3 : 0, some, kind == 2 ? 3 : 0), FN_OK);
        assert_true(isnan(fn_roc_auc(&roc)));
        assert_true(isnan(fn_roc_eer(&roc)));
        assert_int_equal(fn_roc_at_far(&roc, 0.1).different, 0);
        fn_roc_free(&roc);
    }
    assert_true(isnan(fn_wilson(0.5, 0).low));
    assert_true(isnan(fn_auc_interval(1, 0, 3).low));
}

static void tar_uses_the_largest_threshold_within_the_far(void **state) {
    (void)state;
    enum { N = 1000 };
    float same[N], different[N];
    for (int i = 0; i < N; i++) {
        same[i] = (float)(i + 1) / 1000;
        different[i] = 0.5f + (float)i / 1000;
    }
    fn_roc roc;
    assert_int_equal(fn_roc_measure(&roc, same, N, different, N), FN_OK);
    // Exactly 1 of 1000 may pass: 0.5 does, and 0.501 is the next one.
    fn_roc_point point = fn_roc_at_far(&roc, 1e-3);
    assert_int_equal(point.different, 1);
    assert_int_equal(point.same, 500);
    assert_near(point.distance, 0.5, 1e-6);
    assert_int_equal(fn_roc_at_far(&roc, 0.0099999).different, 9);
    assert_int_equal(fn_roc_at_far(&roc, 1e-2).different, 10);
    assert_int_equal(fn_roc_at_far(&roc, 1).same, N);
    fn_roc_free(&roc);
}

/// By the definitions, pair by pair.
static double slow_auc(const float *same, size_t n, const float *different, size_t m) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++)
            sum += same[i] < different[k] ? 1 : same[i] == different[k] ? 0.5 : 0;
    return sum / (double)n / (double)m;
}

static void roc_equals_its_definition_on_random_distances(void **state) {
    (void)state;
    for (int round = 0; round < 50; round++) {
        float same[97], different[61];
        uint64_t same_counts[40] = {0}, different_counts[40] = {0};
        size_t n = 1 + (size_t)(uniform() * 97), m = 1 + (size_t)(uniform() * 61);
        for (size_t i = 0; i < n; i++) { // a coarse grid, so that ties are many
            int bin = (int)(uniform() * 30);
            same[i] = (float)bin;
            same_counts[bin]++;
        }
        for (size_t i = 0; i < m; i++) {
            int bin = (int)(uniform() * 30) + 9;
            different[i] = (float)bin;
            different_counts[bin]++;
        }
        fn_roc exact, counted;
        double auc = slow_auc(same, n, different, m);
        assert_int_equal(fn_roc_measure(&exact, same, n, different, m), FN_OK);
        assert_int_equal(fn_roc_from_counts(&counted, same_counts, different_counts, 40, 1.0), FN_OK);
        assert_near(fn_roc_auc(&exact), auc, 1e-12);
        assert_int_equal(exact.n, counted.n);
        assert_memory_equal(exact.points, counted.points, exact.n * sizeof *exact.points);
        assert_int_equal(counted.n_same, n);
        assert_int_equal(counted.n_different, m);
        fn_roc_free(&exact);
        fn_roc_free(&counted);
    }
}

static void wilson_is_the_published_interval(void **state) {
    (void)state;
    // 10 of 50: 0.1124 to 0.3304; none of 10: 0 to 0.2775 (Newcombe 1998 gives such tables).
    fn_interval i = fn_wilson(0.2, 50);
    assert_near(i.low, 0.1124, 5e-5);
    assert_near(i.high, 0.3304, 5e-5);
    i = fn_wilson(0, 10);
    assert_near(i.low, 0, 0);
    assert_near(i.high, 0.2775, 5e-5);
    i = fn_wilson(1, 10);
    assert_near(i.low, 1 - 0.2775, 5e-5);
    assert_near(i.high, 1, 0);
}

static void auc_interval_is_hanleys_and_mcneils(void **state) {
    (void)state;
    // Their example: area 0.893 of 51 abnormal and 58 normal has a standard error of 0.032.
    fn_interval i = fn_auc_interval(0.893, 51, 58);
    assert_near((i.high - i.low) / 2 / 1.96, 0.032, 7e-4);
}

// ---- folds ------------------------------------------------------------------------------------

static void the_threshold_of_a_fold_comes_from_the_others(void **state) {
    (void)state;
    fn_fold_pair pairs[] = {{0.2f, 0, 1}, {0.9f, 0, 0}, {0.4f, 1, 1}, {1.2f, 1, 0}};
    fn_fold folds[2];
    fn_folds_measure(folds, 2, pairs, 4);
    assert_near(folds[0].threshold, 0.8, 1e-7); // between 0.4 and 1.2
    assert_near(folds[1].threshold, 0.55, 1e-7);
    assert_int_equal(folds[0].correct, 2);
    assert_int_equal(folds[1].correct, 2);
    assert_int_equal(folds[1].of, 2);
    fn_accuracy a = fn_folds_accuracy(folds, 2);
    assert_near(a.mean, 1, 0);
    assert_near(a.standard_error, 0, 0);
    assert_near(a.threshold, 0.675, 1e-7);
}

static void a_fold_is_judged_by_a_threshold_it_has_not_seen(void **state) {
    (void)state;
    // Alone, each fold separates perfectly; with the other's threshold it is wrong by half.
    fn_fold_pair pairs[] = {{0.1f, 0, 1}, {0.2f, 0, 0}, {0.6f, 1, 1}, {0.8f, 1, 0}};
    fn_fold folds[2];
    fn_folds_measure(folds, 2, pairs, 4);
    assert_int_equal(folds[0].correct, 1);
    assert_int_equal(folds[1].correct, 1);
    assert_near(fn_folds_accuracy(folds, 2).mean, 0.5, 0);
}

static void accuracy_has_the_standard_error_of_the_folds(void **state) {
    (void)state;
    fn_fold folds[] = {{1.0, 9, 10}, {1.2, 8, 10}, {1.1, 10, 10}};
    fn_accuracy a = fn_folds_accuracy(folds, 3);
    assert_near(a.mean, 0.9, 1e-15);
    assert_near(a.standard_error, 0.1 / sqrt(3), 1e-12);
    assert_int_equal(a.correct, 27);
    assert_int_equal(a.of, 30);
}

static void one_fold_judges_itself_and_has_no_standard_error(void **state) {
    (void)state;
    fn_fold_pair pairs[] = {{0.5f, 0, 1}, {0.7f, 0, 0}};
    fn_fold fold;
    fn_folds_measure(&fold, 1, pairs, 2);
    assert_near(fold.threshold, 0.6, 1e-7);
    assert_int_equal(fold.correct, 2);
    assert_true(isnan(fn_folds_accuracy(&fold, 1).standard_error));
}

static void hopeless_and_tied_distances_still_have_a_threshold(void **state) {
    (void)state;
    fn_fold_pair wrong_way[] = {{0.0f, 0, 0}, {0.1f, 0, 0}, {0.9f, 0, 1}};
    fn_fold fold;
    fn_folds_measure(&fold, 1, wrong_way, 3);
    assert_int_equal(fold.correct, 2); // nothing accepted: not even distance 0
    fn_fold_pair tied[] = {{0.5f, 0, 1}, {0.5f, 0, 1}, {0.5f, 0, 0}};
    fn_folds_measure(&fold, 1, tied, 3);
    assert_int_equal(fold.correct, 2); // a threshold cannot cut through equal distances
}

static void thresholds_equal_an_exhaustive_search(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        enum { N = 60 };
        fn_fold_pair pairs[N];
        fn_fold folds[3];
        for (int i = 0; i < N; i++) {
            pairs[i].same = uniform() < 0.5;
            pairs[i].fold = i % 3;
            pairs[i].distance = (float)(int)(uniform() * 20 + (pairs[i].same ? 0 : 6)) / 16;
        }
        fn_folds_measure(folds, 3, pairs, N);
        for (int fold = 0; fold < 3; fold++) {
            int best = 0, ours = 0;
            for (int half = -1; half <= 2 * 26 + 1; half++) {
                int right = 0;
                for (int i = 0; i < N; i++)
                    right +=
                        pairs[i].fold != fold && ((double)pairs[i].distance <= half / 32.0) == pairs[i].same;
                best = right > best ? right : best;
            }
            for (int i = 0; i < N; i++)
                ours += pairs[i].fold != fold &&
                        ((double)pairs[i].distance <= folds[fold].threshold) == pairs[i].same;
            assert_int_equal(ours, best);
        }
    }
}

// ---- pairs.txt --------------------------------------------------------------------------------

static int parse(fn_pairs_file *file, const char *text) {
    return fn_pairs_parse(file, text, strlen(text), "list");
}

static void lists_are_read_with_and_without_folds(void **state) {
    (void)state;
    fn_pairs_file f;
    assert_int_equal(parse(&f, "2\t1\nAda\t1\t4\nAda\t2\tBob\t1\nEve 3  4\r\n\nEve 3 O'Neil-Smith 12345"),
                     FN_OK);
    assert_int_equal(f.n_folds, 2);
    assert_int_equal(f.n, 4);
    assert_string_equal(f.pairs[0].photo[0].person, "Ada");
    assert_string_equal(f.pairs[0].photo[1].person, "Ada");
    assert_int_equal(f.pairs[0].photo[1].number, 4);
    assert_true(f.pairs[0].same);
    assert_false(f.pairs[1].same);
    assert_int_equal(f.pairs[2].fold, 1);
    assert_string_equal(f.pairs[3].photo[1].person, "O'Neil-Smith");
    assert_int_equal(f.pairs[3].photo[1].number, 12345);
    fn_pairs_free(&f);
    assert_int_equal(parse(&f, "1\nAda 1 2\nAda 1 Bob 1\n"), FN_OK);
    assert_int_equal(f.n_folds, 1);
    fn_pairs_free(&f);
}

static void bad_lists_are_refused_with_the_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "line 0: expected a header"},
        {"\n\n \n", "expected a header"},
        {"hello\n", "line 1: expected a header"},
        {"0 5\n", "expected a header"},
        {"10 0\n", "expected a header"},
        {"-1 5\n", "expected a header"},
        {"1001 1\n", "expected a header"},
        {"99999999999999999999 1\n", "expected a header"},
        {"10 99999999999999999999\n", "expected a header"},
        {"1 1 1\n", "expected a header"},
        {"1000 1000000\n", "the limit is 2000000"},
        {"10 100\nAda 1 2\n", "too short"},
        {"1\nAda 1 2\n", "the file is too short"},
        {"1\nAda 1 2\n             \n", "line 3: the file ends after 1 pairs"},
        {"1\nAda 1 2\nAda 1 Bob 1\nAda 1 Bob 1\n", "line 4: more pairs"},
        {"1\nAda 1 2 3\nAda 1 Bob 1\n", "line 2: expected \"name number number\""},
        {"1\nAda 1\nAda 1 Bob 111111\n", "line 2: expected"},
        {"1\nAda 1 2\nAda 1 2\nxxxxxxxxxxxx", "line 3: expected \"name number name number\""},
        {"1\nAda 1 2\nAda 1 Bob 1 x y z\n", "line 3: expected"},
        {"1\nAda 1 0\nAda 1 Bob 1\n", "line 2: photographs are numbered"},
        {"1\nAda 1 -2\nAda 1 Bob 1\n", "line 2: photographs are numbered"},
        {"1\nAda 1 2\nAda 1 Bob 1.5\n", "line 3: photographs are numbered"},
        {"1\nAda 1 2\nAda 1 Bob 999999999999\n", "line 3: photographs are numbered"},
        {"1\n../../etc 1 2\nAda 1 Bob 1\n", "line 2: a name is not"},
        {"1\na/b 1 2\nAda 1 Bob 1\n", "line 2: a name is not"},
        {"1\n.. 1 2\nAda 1 Bob 1\n", "line 2: a name is not"},
        {"1\nAda 1 2\nAda 1 B\x1bob 1\n", "line 3: a name is not"},
        {"1\nAda 1 2\nAda 1 Ada 2\n", "line 3: a pair of two people"},
        {"1\nAda 2 2\nAda 1 Bob 1\n", "line 2: a photograph is paired with itself"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fn_pairs_file f;
        int rc = parse(&f, cases[i].text);
        if (rc != (strstr(cases[i].says, "limit") ? FN_ELIMIT : FN_EFORMAT))
            fail_msg("case %zu: %s", i, fn_error_name(rc));
        assert_message_has(cases[i].says);
        assert_null(f.pairs);
        assert_null(f.text);
    }
    fn_pairs_file f;
    assert_int_equal(fn_pairs_parse(&f, "1\nA\0a 1 2\n", 10, "list"), FN_EFORMAT);
    assert_message_has("NUL");
    char *long_name = malloc(1000);
    snprintf(long_name, 1000, "1\n%0300d 1 2\nAda 1 Bob 1\n", 7);
    assert_int_equal(parse(&f, long_name), FN_EFORMAT);
    free(long_name);
    assert_int_equal(fn_pairs_read(&f, "/nowhere/pairs.txt"), FN_EIO);
}

static void no_mutation_of_a_list_does_harm(void **state) {
    (void)state;
    static const char seed[] = "2\t2\nAda\t1\t4\nBob\t2\t3\nAda\t1\tBob\t2\nEve\t1\tBob\t3\n"
                               "Eve\t1\t2\nAda\t3\t4\nEve\t2\tAda\t1\nBob\t1\tEve\t1\n";
    static const char odd[] = "\0\t\n\r ./0129-\xff";
    unsigned good = 0, bad = 0;
    for (unsigned round = 0; round < 200000; round++) {
        size_t n = sizeof seed - 1;
        if (round % 8 == 0)
            n = (size_t)(uniform() * (double)n);
        char *text = malloc(n ? n : 1); // exact size: a sanitizer sees a step too far
        memcpy(text, seed, n);
        for (int k = (int)(uniform() * 4); k >= 0 && n; k--)
            text[(size_t)(uniform() * (double)n)] = odd[(size_t)(uniform() * (double)(sizeof odd - 1))];
        fn_pairs_file f;
        if (fn_pairs_parse(&f, text, n, "mutant") == FN_OK) {
            good++;
            assert_int_equal(f.n, 2 * f.n_folds * f.n_per_kind);
            for (size_t i = 0; i < f.n; i++)
                assert_null(strpbrk(f.pairs[i].photo[1].person, "/\n\r\t "));
        } else {
            bad++;
        }
        fn_pairs_free(&f);
        free(text);
    }
    assert_true(good > 1000);
    assert_true(bad > 1000);
}

// ---- photographs ------------------------------------------------------------------------------

static void the_central_face_covers_the_centre_and_is_nearest(void **state) {
    (void)state;
    fn_face faces[] = {
        {.box = {0, 0, 40, 40}},   // does not cover (50, 50)
        {.box = {0, 0, 90, 90}},   // covers, centre 45
        {.box = {30, 30, 42, 42}}, // covers, centre 51
        {.box = {28, 28, 42, 42}}, // covers, centre 49: as near, later
    };
    assert_int_equal(fn_eval_central_face(faces, 0, 100, 100), -1);
    assert_int_equal(fn_eval_central_face(faces, 1, 100, 100), -1);
    assert_int_equal(fn_eval_central_face(faces, 2, 100, 100), 1);
    assert_int_equal(fn_eval_central_face(faces, 4, 100, 100), 2);
    fn_face broken = {.box = {NAN, 0, 100, 100}};
    assert_int_equal(fn_eval_central_face(&broken, 1, 100, 100), -1);
}

typedef struct fixture {
    char folder[64];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/facenet-eval-XXXXXX");
    *state = f;
    return mkdtemp(f->folder) ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

/// folder/leaf, with the folders above it made.
static char *place(const fixture *f, const char *leaf) {
    char *path = fn_path_join(f->folder, leaf);
    char *folder = fn_strdup(path);
    *strrchr(folder, '/') = 0;
    assert_int_equal(fn_mkdirs(folder, 0755), FN_OK);
    fn_free(folder);
    return path;
}

static void put_file(const fixture *f, const char *leaf, const void *bytes, size_t n) {
    char *path = place(f, leaf);
    assert_int_equal(fn_write_file(path, bytes, n, 0644), FN_OK);
    fn_free(path);
}

static void a_folder_is_a_person(void **state) {
    fixture *f = *state;
    static const char *const files[] = {"a/1.jpg", "a/deep/2.jpg", "ab/1.jpg",
                                        "b/1.jpg", "b/2.jpg",      "pairs.txt"};
    static const size_t people[] = {0, 0, 1, 2, 2};
    char with_slash[80];
    for (size_t i = 0; i < 6; i++)
        put_file(f, files[i], "x", 1);
    snprintf(with_slash, sizeof with_slash, "%s/", f->folder);
    for (int round = 0; round < 2; round++) {
        fn_photos photos = {0};
        assert_int_equal(fn_photos_folder(&photos, round ? with_slash : f->folder), FN_OK);
        assert_int_equal(photos.n, 5);
        assert_int_equal(photos.n_people, 3);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(photos.data[i].person, people[i]);
            assert_non_null(strstr(photos.data[i].path, files[i]));
        }
        fn_photos_free(&photos);
    }
    fn_photos none = {0};
    assert_int_equal(fn_photos_folder(&none, "/nowhere"), FN_EIO);
    assert_int_equal(fn_photos_folder(&none, ""), FN_EINVAL);
    char *alone = place(f, "b/1.jpg"), *empty = place(f, "none/x");
    assert_int_equal(fn_photos_folder(&none, alone), FN_ENOTFOUND);
    *strrchr(empty, '/') = 0;
    assert_int_equal(fn_photos_folder(&none, empty), FN_ENOTFOUND);
    fn_free(alone);
    fn_free(empty);
    fn_photos_free(&none);
}

/// n photographs of unit vectors in the plane; person and angle (in degrees) of each.
static void make_photos(fn_photos *photos, const size_t *person, const double *angle, size_t n) {
    *photos = (fn_photos){.dimension = 2};
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(fn_photos_add(photos, fn_strdup("x"), person[i]), FN_OK);
        if (person[i] >= photos->n_people)
            photos->n_people = person[i] + 1;
    }
    photos->vectors = fn_calloc(2 * n, sizeof(float));
    for (size_t i = 0; i < n; i++) {
        photos->vectors[2 * i] = (float)cos(angle[i] * acos(-1) / 180);
        photos->vectors[2 * i + 1] = (float)sin(angle[i] * acos(-1) / 180);
    }
}

typedef struct seen_pairs {
    uint64_t same, different;
    double sum;
} seen_pairs;

static void see_pair(void *user, float distance, int same) {
    seen_pairs *s = user;
    ++*(same ? &s->same : &s->different);
    s->sum += (double)distance;
}

static void every_pair_is_visited_once_whatever_the_blocks(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 255, 256, 257, 700};
    for (size_t r = 0; r < sizeof sizes / sizeof *sizes; r++) {
        size_t n = sizes[r], *person = calloc(n + 1, sizeof *person);
        double *angle = calloc(n + 1, sizeof *angle), sum = 0;
        uint64_t same = 0, different = 0;
        for (size_t i = 0; i < n; i++) {
            person[i] = i / 7;
            angle[i] = uniform() * 90;
        }
        fn_photos photos;
        make_photos(&photos, person, angle, n);
        for (size_t i = 0; i < n; i++)
            for (size_t k = i + 1; k < n; k++) {
                ++*(person[i] == person[k] ? &same : &different);
                sum += (double)fn_distance(fn_photos_vector(&photos, i), fn_photos_vector(&photos, k), 2);
            }
        seen_pairs s = {0};
        fn_pair_counts counts;
        assert_int_equal(fn_each_pair(&photos, see_pair, &s, NULL), FN_OK);
        assert_int_equal(fn_each_pair_count(&counts, &photos), FN_OK);
        assert_int_equal(s.same, same);
        assert_int_equal(s.different, different);
        assert_int_equal(counts.same, same);
        assert_int_equal(counts.different, different);
        assert_near(s.sum, sum, 1e-6 * (sum + 1));
        fn_photos_free(&photos);
        free(person);
        free(angle);
    }
}

static void pairs_with_an_older_model_count_both_ways_round(void **state) {
    (void)state;
    static const fn_comparable older = {FINGERPRINT, "old", NULL};
    const size_t person[] = {0, 0, 1};
    const double angle[] = {0, 10, 100}, older_angle[] = {5, 20, 130};
    fn_photos photos, made_by_older;
    make_photos(&photos, person, angle, 3);
    make_photos(&made_by_older, person, older_angle, 3);
    photos.older = &older;
    photos.older_vectors = made_by_older.vectors;
    made_by_older.vectors = NULL;
    fn_photos_free(&made_by_older);
    seen_pairs s = {0};
    fn_pair_counts counts;
    double sum = 0;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) // never a photograph with itself
            sum += i == k ? 0 : 2 * sin(fabs(angle[i] - older_angle[k]) / 2 * acos(-1) / 180);
    assert_int_equal(fn_each_pair(&photos, see_pair, &s, NULL), FN_OK);
    assert_int_equal(fn_each_pair_count(&counts, &photos), FN_OK);
    assert_int_equal(s.same, 2);
    assert_int_equal(s.different, 4);
    assert_int_equal(counts.same, 2);
    assert_int_equal(counts.different, 4);
    assert_near(s.sum, sum, 1e-6);
    fn_photos_free(&photos);
}

// ---- identification ---------------------------------------------------------------------------

static void the_split_enrols_half_of_those_with_two_and_repeats_itself(void **state) {
    (void)state;
    enum { N = 400 };
    size_t person[N];
    double angle[N] = {0};
    size_t p = 0;
    for (size_t i = 0; i < N;) // people with 1, 2, 3, 1, 2, 3, ... photographs
        for (size_t k = 0, of = p % 3 + 1; k < of && i < N; k++, p += k == of)
            person[i++] = p;
    fn_photos photos;
    make_photos(&photos, person, angle, N);
    fn_part parts[3][N];
    assert_int_equal(fn_identify_split(parts[0], &photos, 1), FN_OK);
    assert_int_equal(fn_identify_split(parts[1], &photos, 1), FN_OK);
    assert_int_equal(fn_identify_split(parts[2], &photos, 2), FN_OK);
    assert_memory_equal(parts[0], parts[1], sizeof parts[0]);
    assert_memory_not_equal(parts[0], parts[2], sizeof parts[0]);
    size_t with_two = 0, enrolled_people = 0;
    for (size_t i = 0; i < N;) {
        size_t first = i, enrolled = 0, known = 0;
        for (; i < N && person[i] == person[first]; i++) {
            enrolled += parts[0][i] == FN_PART_ENROLLED;
            known += parts[0][i] == FN_PART_KNOWN;
        }
        with_two += i - first >= 2;
        enrolled_people += enrolled;
        assert_true(enrolled <= 1);
        assert_int_equal(known, enrolled ? i - first - 1 : 0); // else all are strangers
        if (i - first == 1)
            assert_int_equal(enrolled, 0);
    }
    assert_int_equal(enrolled_people, (with_two + 1) / 2);
    fn_photos_free(&photos);
}

static void identification_counts_each_outcome(void **state) {
    (void)state;
    // Threshold: FMR 0.1 of these pairs lies at distance 0.3, about 17 degrees.
    float same[] = {0.1f, 0.2f};
    float different[] = {0.3f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 1.0f, 1.1f, 1.2f, 1.3f};
    fn_calibration *calibration;
    assert_int_equal(fn_calibration_measure(&calibration, same, 2, different, 10, "made up", FINGERPRINT),
                     FN_OK);
    // 0 and 1 are enrolled at 0 and 90 degrees, 2 at 110: near 100 it is ambiguous.
    const size_t person[] = {0, 0, 0, 0, 0, 1, 2, 3, 3, 4};
    const double angle[] = {0, 5, 40, 92, 100, 90, 110, 1, 180, 100};
    const fn_part parts[] = {FN_PART_ENROLLED, FN_PART_KNOWN,    FN_PART_KNOWN,    FN_PART_KNOWN,
                             FN_PART_KNOWN,    FN_PART_ENROLLED, FN_PART_ENROLLED, FN_PART_STRANGER,
                             FN_PART_STRANGER, FN_PART_STRANGER};
    fn_photos photos;
    make_photos(&photos, person, angle, 10);
    fn_identify_counts c;
    assert_int_equal(fn_identify_measure(&c, &photos, parts, FINGERPRINT, calibration, 0.1, NULL), FN_OK);
    assert_int_equal(c.enrolled, 3);
    assert_int_equal(c.known, 4);
    assert_int_equal(c.correct, 1);         // 5 degrees
    assert_int_equal(c.known_unknown, 1);   // 40 degrees
    assert_int_equal(c.wrong, 1);           // 92 degrees: person 1, 110 is too far
    assert_int_equal(c.known_ambiguous, 1); // 100 degrees
    assert_int_equal(c.strangers, 3);
    assert_int_equal(c.named, 1);
    assert_int_equal(c.strangers_ambiguous, 1);
    assert_int_equal(c.strangers_unknown, 1);
    assert_int_equal(fn_identify_measure(&c, &photos, parts, FINGERPRINT, NULL, 0.1, NULL), FN_EMODEL);
    // The gallery of an older model: another's photograph of everybody who is enrolled, asked at its
    // threshold.
    const double moved[] = {180, 180, 180, 180, 180, 100, 180, 180, 180, 180};
    const fn_comparable older = {"old", "old", calibration};
    fn_photos made_by_older;
    make_photos(&made_by_older, person, moved, 10);
    photos.older = &older;
    photos.older_vectors = made_by_older.vectors;
    made_by_older.vectors = NULL;
    fn_photos_free(&made_by_older);
    assert_int_equal(fn_identify_measure(&c, &photos, parts, FINGERPRINT, NULL, 0.1, NULL), FN_OK);
    assert_int_equal(c.enrolled, 3);
    assert_int_equal(c.correct, 0); // persons 0 and 2 lie at 180 degrees now
    assert_int_equal(c.wrong, 2);   // 92 and 100 degrees: person 1
    assert_int_equal(c.known_unknown, 2);
    assert_int_equal(c.named, 1);               // the stranger at 100 degrees
    assert_int_equal(c.strangers_ambiguous, 1); // at 180 degrees
    assert_int_equal(c.strangers_unknown, 1);
    fn_photos_free(&photos);
    fn_calibration_free(calibration);
}

static void one_person_alone_can_be_split_and_counted(void **state) {
    (void)state;
    const size_t person[] = {0, 0, 0};
    const double angle[] = {0, 1, 2};
    fn_photos photos;
    fn_part parts[3];
    make_photos(&photos, person, angle, 3);
    assert_int_equal(fn_identify_split(parts, &photos, 7), FN_OK);
    int enrolled = 0, known = 0;
    for (int i = 0; i < 3; i++) {
        enrolled += parts[i] == FN_PART_ENROLLED;
        known += parts[i] == FN_PART_KNOWN;
    }
    assert_int_equal(enrolled, 1);
    assert_int_equal(known, 2);
    fn_photos_free(&photos);
}

// ---- the whole road ---------------------------------------------------------------------------

static fn_recognizer *recognizer; // opened once; NULL: no models here

static int open_recognizer(void **state) {
    (void)state;
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    const char *models = getenv("FACENET_MODELS"), *demo = getenv("FACENET_DEMO");
    options.detector.model.directory = options.embedder.options.directory = models;
    if (models && demo && fn_recognizer_open(&recognizer, &options) < 0)
        print_message("%s\n", fn_last_error());
    return 0;
}

static int close_recognizer(void **state) {
    (void)state;
    fn_recognizer_free(recognizer);
    return 0;
}

static void need_models(void) {
    if (recognizer)
        return;
    print_message("skipped: needs the models (FACENET_MODELS) and the demo photographs (FACENET_DEMO)\n");
    skip();
}

/// Folders of three made-up people out of the demo photographs, and one drawing without a face.
static void put_people(const fixture *f) {
    static const struct {
        int sample;
        const char *leaf;
    } photos[] = {{1, "p/Ada/Ada_0001.jpg"},
                  {3, "p/Ada/Ada_0002.jpg"},
                  {2, "p/Bea/Bea_0001.jpg"},
                  {4, "p/Bea/Bea_0002.JPG"},
                  {5, "p/Cyd/Cyd_0001.jpg"}};
    for (size_t i = 0; i < sizeof photos / sizeof *photos; i++) {
        char source[1024];
        snprintf(source, sizeof source, "%s/sample%d.jpg", getenv("FACENET_DEMO"), photos[i].sample);
        char *path = place(f, photos[i].leaf);
        assert_int_equal(symlink(source, path), 0);
        fn_free(path);
    }
    static unsigned char grey[200 * 160 * 3];
    for (int y = 0; y < 160; y++)
        for (int x = 0; x < 600; x++)
            grey[600 * y + x] = (unsigned char)(100 + (x / 3 + y) / 8);
    fn_image image = {.data = grey, .width = 200, .height = 160, .stride_bytes = 600};
    char *path = place(f, "p/Cyd/Cyd_0002.png");
    assert_int_equal(fn_image_write(&image, path, 0), FN_OK);
    fn_free(path);
    static const char list[] = "2 1\nAda 1 2\nAda 1 Bea 1\nCyd 1 2\nBea 2 Cyd 1\n";
    put_file(f, "pairs.txt", list, sizeof list - 1);
}

static double number_of(const json_t *report, const char *key) {
    const json_t *value = json_object_get(report, key);
    if (!json_is_number(value))
        fail_msg("%s is not a number in the report", key);
    return json_number_value(value);
}

/// Takes the text over.
static json_t *read_report(char *text) {
    json_error_t error;
    json_t *report = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!report)
        fail_msg("%s in: %s", error.text, text);
    fn_string_free(text);
    return report;
}

typedef struct watch {
    uint64_t last, total;
    int warnings;
} watch;

static int see_progress(void *user, uint64_t done, uint64_t total) {
    watch *w = user;
    if (total) {
        w->last = done;
        w->total = total;
    }
    return 0;
}

static void see_log(void *user, fn_log_level level, const char *message) {
    watch *w = user;
    (void)message;
    w->warnings += level == FN_LOG_WARNING;
}

static void the_protocols_run_on_photographs(void **state) {
    need_models();
    fixture *f = *state;
    put_people(f);
    char root[80], pairs[80], cache[80], *text[3];
    snprintf(root, sizeof root, "%s/p", f->folder);
    snprintf(pairs, sizeof pairs, "%s/pairs.txt", f->folder);
    snprintf(cache, sizeof cache, "%s/cache.db", f->folder);
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    options.cache = cache;
    watch w = {0};
    fn_control control = FN_CONTROL_INIT;
    control.user = &w;
    control.progress = see_progress;
    control.log = see_log;

    assert_int_equal(fn_eval_pairs(&text[0], recognizer, pairs, root, &options, &control), FN_OK);
    assert_int_equal(w.last, 6);
    assert_int_equal(w.total, 6);
    w = (watch){0}; // from the cache: nothing is left to do, and the report is the same
    assert_int_equal(fn_eval_pairs(&text[1], recognizer, pairs, root, &options, &control), FN_OK);
    assert_int_equal(w.total, 0);
    options.cache = "";
    options.jobs = 1;
    assert_int_equal(fn_eval_pairs(&text[2], recognizer, pairs, root, &options, NULL), FN_OK);
    assert_string_equal(text[0], text[1]);
    assert_string_equal(text[0], text[2]);
    fn_string_free(text[1]);
    fn_string_free(text[2]);
    json_t *report = read_report(text[0]);
    assert_int_equal(number_of(report, "pairs"), 4);
    assert_int_equal(number_of(report, "images"), 6);
    assert_in_range(number_of(report, "detector_misses"), 1, 5); // the drawing, and groups
    static const char *const keys[] = {"accuracy", "accuracy_se", "threshold", "auc", "eer"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_true(number_of(report, keys[i]) >= -1);
    assert_int_equal(number_of(report, "accuracy_of"), 4);
    assert_int_equal(json_array_size(json_object_get(report, "accuracy_interval")), 2);
    // Two different-person pairs cannot show a FAR of 1e-2.
    assert_true(json_is_null(json_object_get(report, "tar_at_far_1e-2")));
    assert_true(json_is_null(json_object_get(report, "tar_at_far_1e-3")));
    const fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    assert_string_equal(json_string_value(json_object_get(report, "fingerprint")),
                        fn_embedder_fingerprint(embedder));
    assert_string_equal(json_string_value(json_object_get(report, "pipeline_id")),
                        fn_recognizer_pipeline_id(recognizer));
    assert_string_equal(json_string_value(json_object_get(report, "model")), "mobilefacenet");
    json_decref(report);

    // A file that is no picture is told, counted and left out.
    put_file(f, "p/Cyd/notes.txt", "not a picture", 13);
    options.cache = cache;
    w = (watch){0};
    assert_int_equal(fn_eval_all_pairs(&text[0], recognizer, root, &options, &control), FN_OK);
    assert_int_equal(w.warnings, 1);
    report = read_report(text[0]);
    assert_int_equal(number_of(report, "images"), 6);
    assert_int_equal(number_of(report, "unreadable"), 1);
    assert_int_equal(number_of(report, "same_pairs"), 3);
    assert_int_equal(number_of(report, "different_pairs"), 12);
    assert_true(json_is_null(json_object_get(report, "tar_at_far_1e-3")));
    json_decref(report);

    assert_int_equal(fn_eval_calibrate(&text[0], recognizer, root, "demo", &options, NULL), FN_OK);
    fn_calibration *calibration;
    assert_int_equal(fn_calibration_parse(&calibration, text[0]), FN_OK);
    assert_int_equal(fn_calibration_n_same(calibration), 3);
    assert_int_equal(fn_calibration_n_different(calibration), 12);
    assert_string_equal(fn_calibration_data(calibration), "demo");
    assert_string_equal(fn_calibration_pipeline_id(calibration), fn_recognizer_pipeline_id(recognizer));
    fn_calibration_free(calibration);
    fn_string_free(text[0]);

    int rc = fn_eval_identify(&text[0], recognizer, root, &options, NULL);
    if (!fn_embedder_calibration(embedder)) {
        assert_int_equal(rc, FN_EMODEL);
        assert_message_has("calibration");
        return;
    }
    assert_int_equal(rc, FN_OK);
    report = read_report(text[0]);
    assert_int_equal(number_of(report, "gallery"), 2); // of three people with two photographs
    assert_int_equal(number_of(report, "known_probes"), 2);
    assert_int_equal(number_of(report, "stranger_probes"), 2);
    assert_near(number_of(report, "predicted_within_threshold"), 2e-4, 1e-7);
    json_decref(report);
}

/// When this fails the detector has changed: run tools/calibrate.
static void the_shipped_calibration_was_made_with_this_detector(void **state) {
    (void)state;
    need_models();
    const fn_calibration *calibration = fn_embedder_calibration(fn_recognizer_embedder(recognizer));
    assert_non_null(calibration);
    assert_string_equal(fn_calibration_pipeline_id(calibration), fn_recognizer_pipeline_id(recognizer));
    float threshold;
    assert_int_equal(fn_calibration_threshold(&threshold, calibration, 1e-4), FN_OK);
    assert_true(threshold > 0.8f && threshold < 1.1f);
}

static void mistakes_of_a_caller_are_refused(void **state) {
    need_models();
    fixture *f = *state;
    put_people(f);
    char root[80], pairs[80], *text = "unset";
    snprintf(root, sizeof root, "%s/p", f->folder);
    snprintf(pairs, sizeof pairs, "%s/pairs.txt", f->folder);
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    options.cache = "";
    options.version = 99;
    assert_int_equal(fn_eval_all_pairs(&text, recognizer, root, &options, NULL), FN_EINVAL);
    assert_null(text);
    options.version = FN_EVAL_OPTIONS_VERSION;
    options.fmr = NAN;
    assert_int_equal(fn_eval_identify(&text, recognizer, root, &options, NULL), FN_EINVAL);
    options.fmr = 0;
    assert_int_equal(fn_eval_calibrate(&text, recognizer, root, NULL, &options, NULL), FN_EINVAL);
    assert_int_equal(fn_eval_all_pairs(&text, recognizer, "/nowhere", &options, NULL), FN_EIO);
    assert_int_equal(fn_eval_pairs(&text, recognizer, "/nowhere", root, &options, NULL), FN_EIO);
    // A listed photograph that is missing, and one that is no picture.
    static const char missing[] = "1\nAda 1 3\nAda 1 Bea 1\n", broken[] = "1\nAda 1 4\nAda 1 Bea 1\n";
    put_file(f, "pairs.txt", missing, sizeof missing - 1);
    assert_int_equal(fn_eval_pairs(&text, recognizer, pairs, root, &options, NULL), FN_ENOTFOUND);
    assert_message_has("Ada_0003");
    put_file(f, "pairs.txt", broken, sizeof broken - 1);
    put_file(f, "p/Ada/Ada_0004.jpg", "not a picture", 13);
    assert_int_equal(fn_eval_pairs(&text, recognizer, pairs, root, &options, NULL), FN_EFORMAT);
    assert_message_has("Ada_0004");
    put_file(f, "q/only/a.jpg", "x", 1);
    snprintf(root, sizeof root, "%s/q", f->folder);
    assert_int_equal(fn_eval_all_pairs(&text, recognizer, root, &options, NULL), FN_EFORMAT);
    assert_message_has("none of 1 files");
    assert_null(text);
}

static int stop_at_two(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)total;
    return done == 2;
}

static void an_interrupted_evaluation_keeps_what_is_done(void **state) {
    need_models();
    fixture *f = *state;
    put_people(f);
    char root[80], cache[80], *text;
    snprintf(root, sizeof root, "%s/p", f->folder);
    snprintf(cache, sizeof cache, "%s/cache.db", f->folder);
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    options.cache = cache;
    options.jobs = 1;
    watch w = {0};
    fn_control stops = FN_CONTROL_INIT, watches = FN_CONTROL_INIT;
    stops.progress = stop_at_two;
    watches.user = &w;
    watches.progress = see_progress;
    assert_int_equal(fn_eval_all_pairs(&text, recognizer, root, &options, &stops), FN_ECANCELLED);
    assert_null(text);
    assert_message_has("cancelled");
    assert_int_equal(fn_eval_all_pairs(&text, recognizer, root, &options, &watches), FN_OK);
    assert_int_equal(w.total, 4);
    fn_string_free(text);
}

static void each_failing_allocation_is_an_error_and_nothing_else(void **state) {
    need_models();
    fixture *f = *state;
    put_people(f);
    char root[80], pairs[80], cache[80], *text;
    snprintf(root, sizeof root, "%s/p", f->folder);
    snprintf(pairs, sizeof pairs, "%s/pairs.txt", f->folder);
    snprintf(cache, sizeof cache, "%s/cache.db", f->folder);
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    options.cache = cache;
    assert_int_equal(fn_eval_pairs(&text, recognizer, pairs, root, &options, NULL), FN_OK);
    fn_string_free(text);
    for (int protocol = 0; protocol < 4; protocol++) {
        int64_t n = 0;
        for (;;) { // every vector comes from the cache
            fn_alloc_fail_nth(++n);
            int rc = protocol == 0   ? fn_eval_pairs(&text, recognizer, pairs, root, &options, NULL)
                     : protocol == 1 ? fn_eval_all_pairs(&text, recognizer, root, &options, NULL)
                     : protocol == 2 ? fn_eval_calibrate(&text, recognizer, root, "x", &options, NULL)
                                     : fn_eval_identify(&text, recognizer, root, &options, NULL);
            int64_t count = fn_alloc_count();
            fn_alloc_fail_nth(0);
            fn_string_free(text);
            if (count < n)
                break;
            if (rc != FN_ENOMEM || text)
                fail_msg("protocol %d, allocation %d: %s", protocol, (int)n, fn_error_name(rc));
        }
        if (protocol < 3 || fn_embedder_calibration(fn_recognizer_embedder(recognizer)))
            assert_true(n > 20);
    }
}

int main(void) {
#define ON_FILES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_separation_has_auc_1_and_eer_0),
        cmocka_unit_test(ties_count_half_in_the_auc),
        cmocka_unit_test(eer_is_linear_between_points),
        cmocka_unit_test(empty_kinds_have_no_rates),
        cmocka_unit_test(tar_uses_the_largest_threshold_within_the_far),
        cmocka_unit_test(roc_equals_its_definition_on_random_distances),
        cmocka_unit_test(wilson_is_the_published_interval),
        cmocka_unit_test(auc_interval_is_hanleys_and_mcneils),
        cmocka_unit_test(the_threshold_of_a_fold_comes_from_the_others),
        cmocka_unit_test(a_fold_is_judged_by_a_threshold_it_has_not_seen),
        cmocka_unit_test(accuracy_has_the_standard_error_of_the_folds),
        cmocka_unit_test(one_fold_judges_itself_and_has_no_standard_error),
        cmocka_unit_test(hopeless_and_tied_distances_still_have_a_threshold),
        cmocka_unit_test(thresholds_equal_an_exhaustive_search),
        cmocka_unit_test(lists_are_read_with_and_without_folds),
        cmocka_unit_test(bad_lists_are_refused_with_the_line),
        cmocka_unit_test(no_mutation_of_a_list_does_harm),
        cmocka_unit_test(the_central_face_covers_the_centre_and_is_nearest),
        ON_FILES(a_folder_is_a_person),
        cmocka_unit_test(every_pair_is_visited_once_whatever_the_blocks),
        cmocka_unit_test(pairs_with_an_older_model_count_both_ways_round),
        cmocka_unit_test(the_split_enrols_half_of_those_with_two_and_repeats_itself),
        cmocka_unit_test(identification_counts_each_outcome),
        cmocka_unit_test(one_person_alone_can_be_split_and_counted),
        ON_FILES(the_protocols_run_on_photographs),
        cmocka_unit_test(the_shipped_calibration_was_made_with_this_detector),
        ON_FILES(mistakes_of_a_caller_are_refused),
        ON_FILES(an_interrupted_evaluation_keeps_what_is_done),
        ON_FILES(each_failing_allocation_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, open_recognizer, close_recognizer);
}
