// SPDX-License-Identifier: Apache-2.0
//
// Classifiers on embeddings: made clusters, the embeddings of OpenFace for LFW, files, failures.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "base/random.h"
#include "train/svm.h"

#include <facenet/classify.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { D = 16, MAX_ROWS = 400 };
static const char print_of[] = "f00d";

typedef struct people {
    float rows[MAX_ROWS][D];
    const char *names[MAX_ROWS];
    int n;
} people;

static const char *const names[] = {"Ada", "Barbara", "Edith", "Grace", "Hedy", "Joan", "Karen", "Margaret"};

static void unit(float *row) {
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += (double)row[i] * row[i];
    for (int i = 0; i < D; i++)
        row[i] = (float)(row[i] / sqrt(sum));
}

// A face of person p: its centre is a function of p alone.
static void draw_face(float *row, int p, uint32_t face, float spread) {
    fn_rng centre = fn_rng_at(7, FN_STREAM_WEIGHTS, (uint32_t)p);
    fn_rng noise = fn_rng_at(8, (uint32_t)p, face);
    for (int i = 0; i < D; i++)
        row[i] = fn_rng_normal(&centre) + spread * fn_rng_normal(&noise);
    unit(row);
}

static people made(int n_people, int n_faces, uint32_t first_face, float spread) {
    people all = {.n = 0};
    for (int f = 0; f < n_faces; f++)
        for (int p = 0; p < n_people; p++) {
            draw_face(all.rows[all.n], p, first_face + (uint32_t)f, spread);
            all.names[all.n++] = names[p];
        }
    return all;
}

static fn_classifier *trained(const people *p, const fn_classifier_options *options) {
    fn_classifier *c;
    if (fn_classifier_train(&c, p->rows[0], p->names, (size_t)p->n, D, print_of, options, NULL) != FN_OK)
        fail_msg("%s", fn_last_error());
    return c;
}

static fn_prediction asked(const fn_classifier *c, const float *row) {
    fn_prediction found;
    if (fn_classifier_predict(c, row, D, print_of, 0.5, &found) != FN_OK)
        fail_msg("%s", fn_last_error());
    return found;
}

static const fn_classifier_options svm = FN_CLASSIFIER_OPTIONS_INIT;
static const fn_classifier_options knn = {
    .version = FN_CLASSIFIER_OPTIONS_VERSION, .kind = FN_CLASSIFIER_KNN, .c = 1, .k = 5};

static void near(double value, double wanted, double tolerance) {
    if (!(fabs(value - wanted) <= tolerance))
        fail_msg("%.9g, expected %.9g within %g", value, wanted, tolerance);
}

static void people_are_named_with_high_probability(void **state) {
    (void)state;
    const people known = made(8, 10, 0, 0.3F), probes = made(8, 10, 100, 0.3F);
    const fn_classifier_options *kinds[] = {&svm, &knn};
    for (int k = 0; k < 2; k++) {
        fn_classifier *c = trained(&known, kinds[k]);
        assert_int_equal(fn_classifier_len(c), 8);
        assert_int_equal(fn_classifier_get_kind(c), kinds[k]->kind);
        double sum = 0;
        for (int i = 0; i < probes.n; i++) {
            fn_prediction found = asked(c, probes.rows[i]);
            assert_true(found.is_known);
            assert_string_equal(fn_classifier_name(c, found.person), probes.names[i]);
            assert_true(found.probability >= found.runner_up_probability && found.probability <= 1 + 1e-9);
            sum += found.probability;
        }
        if (sum / probes.n < 0.8)
            fail_msg("mean probability %.3f, expected 0.8 or more", sum / probes.n);
        fn_classifier_free(c);
    }
}

// Close people: how often the answer is right must be about what the probabilities claim.
static void probabilities_mean_what_they_say(void **state) {
    (void)state;
    const people known = made(8, 12, 0, 1.1F);
    fn_classifier *c = trained(&known, &svm);
    double claimed = 0;
    int n_right = 0, n = 0;
    for (uint32_t f = 0; f < 100; f++)
        for (int p = 0; p < 8; p++, n++) {
            float row[D];
            draw_face(row, p, 1000 + f, 1.1F);
            fn_prediction found = asked(c, row);
            claimed += found.probability;
            n_right += strcmp(fn_classifier_name(c, found.person), names[p]) == 0;
        }
    double right = (double)n_right / n;
    claimed /= n;
    printf("right %.3f, claimed %.3f\n", right, claimed);
    assert_true(right > 0.6 && right < 0.98);
    if (fabs(right - claimed) > 0.1)
        fail_msg("right %.3f of the time, claimed %.3f", right, claimed);
    fn_classifier_free(c);
}

static void a_person_called_unknown_is_nobody(void **state) {
    (void)state;
    people known = made(3, 8, 0, 0.2F);
    for (int i = 0; i < known.n; i++)
        if (strcmp(known.names[i], "Edith") == 0)
            known.names[i] = "unknown";
    fn_classifier *c = trained(&known, &svm);
    float row[D];
    draw_face(row, 2, 500, 0.2F);
    fn_prediction found = asked(c, row);
    assert_string_equal(fn_classifier_name(c, found.person), "unknown");
    assert_false(found.is_known);
    draw_face(row, 1, 500, 0.2F);
    assert_true(asked(c, row).is_known);
    fn_classifier_free(c);
}

static void below_the_probability_the_answer_is_unknown(void **state) {
    (void)state;
    const people known = made(8, 8, 0, 0.3F);
    const fn_classifier_options *kinds[] = {&svm, &knn};
    for (int k = 0; k < 2; k++) {
        fn_classifier *c = trained(&known, kinds[k]);
        int n_unknown = 0;
        for (int stranger = 100; stranger < 150; stranger++) {
            float row[D];
            draw_face(row, stranger, 0, 0.3F);
            fn_prediction found = asked(c, row);
            assert_int_equal(found.is_known, found.probability >= 0.5);
            n_unknown += !found.is_known;
            fn_prediction strict;
            assert_int_equal(fn_classifier_predict(c, row, D, print_of, 1.01, &strict), FN_OK);
            assert_false(strict.is_known);
        }
        printf("kind %d: %d of 50 strangers unknown\n", (int)kinds[k]->kind, n_unknown);
        assert_true(n_unknown >= (k ? 1 : 25)); // votes alone do not keep strangers out
        fn_classifier_free(c);
    }
    // With a largest distance no stranger has a vote.
    fn_classifier_options near = knn;
    near.max_distance = 0.6;
    fn_classifier *c = trained(&known, &near);
    for (int stranger = 100; stranger < 150; stranger++) {
        float row[D];
        draw_face(row, stranger, 0, 0.3F);
        fn_prediction found = asked(c, row);
        assert_false(found.is_known);
        assert_int_equal(found.person, -1);
    }
    fn_classifier_free(c);
}

static void neighbours_vote_by_their_distance(void **state) {
    (void)state;
    // On a line: Ada at 0 and 3, Grace at 4 and 6; the probe at 2, k = 3: d2 4, 1, 4.
    people p = {.n = 4};
    p.rows[0][0] = 0, p.rows[1][0] = 3, p.rows[2][0] = 4, p.rows[3][0] = 6;
    p.names[0] = p.names[1] = "Ada";
    p.names[2] = p.names[3] = "Grace";
    fn_classifier_options o = knn;
    o.k = 3;
    fn_classifier *c = trained(&p, &o);
    const float probe[D] = {2};
    fn_prediction found = asked(c, probe);
    assert_int_equal(found.person, 0);
    near(found.probability, 1.25 / 1.5, 1e-6);
    assert_int_equal(found.runner_up, 1);
    near(found.runner_up_probability, 0.25 / 1.5, 1e-6);
    fn_classifier_free(c);
    o.max_distance = 1.5; // only the one at 3 is near enough
    c = trained(&p, &o);
    found = asked(c, probe);
    near(found.probability, 1 / 1.5, 1e-6);
    assert_int_equal(found.runner_up, -1);
    fn_classifier_free(c);
}

// Two points on an axis: f(x) = x / 2 for the hard margin between -2 and 2.
static void machines_are_those_of_the_books(void **state) {
    (void)state;
    const float rows[] = {2, 0, 3, 1, -2, 0, -5, 2};
    const int labels[] = {0, 0, 1, 1};
    fn_svm machine;
    assert_int_equal(fn_svm_fit(&machine, rows, labels, 4, 2, 2, 1000), FN_OK);
    const float x[] = {0.5F, 7};
    double f, products[4];
    fn_svm_values(&machine, x, &f, products);
    near(f, 0.25, 1e-3);
    double share[2];
    assert_int_equal(fn_svm_probabilities(&machine, x, share), FN_OK);
    near(share[0], 1 / (1 + exp(-0.25)), 2e-3);
    near(share[0] + share[1], 1, 1e-9);
    fn_svm_free(&machine);
}

static int warned;
static void note(void *user, fn_log_level level, const char *message) {
    (void)user;
    warned += level == FN_LOG_WARNING && strstr(message, "1 of 4 people have a single photograph (\"Grace\"");
}

static void a_person_of_one_photograph_is_taken_and_said(void **state) {
    (void)state;
    people known = made(3, 6, 0, 0.3F);
    draw_face(known.rows[known.n], 3, 0, 0.3F);
    known.names[known.n++] = "Grace";
    fn_control control = FN_CONTROL_INIT;
    control.log = note;
    warned = 0;
    fn_classifier *c;
    assert_int_equal(
        fn_classifier_train(&c, known.rows[0], known.names, (size_t)known.n, D, print_of, &svm, &control),
        FN_OK);
    assert_int_equal(warned, 1);
    float row[D];
    draw_face(row, 3, 50, 0.1F);
    assert_string_equal(fn_classifier_name(c, asked(c, row).person), "Grace");
    fn_classifier_free(c);
}

static void what_cannot_be_learnt_is_said(void **state) {
    (void)state;
    fn_classifier *c;
    people one = made(1, 4, 0, 0.3F), singles = made(4, 1, 0, 0.3F);
    assert_int_equal(fn_classifier_train(&c, one.rows[0], one.names, 4, D, print_of, &svm, NULL), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "there is only \"Ada\""));
    assert_int_equal(fn_classifier_train(&c, singles.rows[0], singles.names, 4, D, print_of, &svm, NULL),
                     FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "nobody has two photographs"));
    assert_int_equal(fn_classifier_train(&c, one.rows[0], one.names, 0, D, print_of, &svm, NULL), FN_EINVAL);
    fn_classifier_options wrong = svm;
    wrong.c = 0;
    assert_int_equal(fn_classifier_train(&c, one.rows[0], one.names, 4, D, print_of, &wrong, NULL),
                     FN_EINVAL);
    wrong = knn;
    wrong.k = 0;
    assert_int_equal(fn_classifier_train(&c, one.rows[0], one.names, 4, D, print_of, &wrong, NULL),
                     FN_EINVAL);
    one.rows[2][3] = NAN;
    assert_int_equal(fn_classifier_train(&c, one.rows[0], one.names, 4, D, print_of, &knn, NULL), FN_EINVAL);
    assert_string_equal(fn_last_error(), "embedding 2 holds a number that is not finite");
    assert_null(c);
    // Another model's vectors, and vectors that are none.
    people known = made(3, 4, 0, 0.3F);
    fn_prediction found;
    c = trained(&known, &svm);
    assert_int_equal(fn_classifier_predict(c, known.rows[0], D, "beef", 0.5, &found), FN_ECONFLICT);
    assert_int_equal(fn_classifier_predict(c, known.rows[0], D - 1, print_of, 0.5, &found), FN_ECONFLICT);
    assert_string_equal(fn_last_error(), "the classifier takes embeddings of 16 numbers, not 15");
    known.rows[0][0] = INFINITY;
    assert_int_equal(fn_classifier_predict(c, known.rows[0], D, print_of, 0.5, &found), FN_EINVAL);
    fn_classifier_free(c);
}

static char path[64];

static char *bytes_of(size_t *n) {
    unsigned char *text;
    assert_int_equal(fn_read_file(&text, n, path, 1 << 24), FN_OK);
    return (char *)text;
}

static void order_does_not_matter_and_files_decide_alike(void **state) {
    (void)state;
    snprintf(path, sizeof path, "classifier-%d.json", (int)getpid());
    const fn_classifier_options *kinds[] = {&svm, &knn};
    for (int k = 0; k < 2; k++) {
        people known = made(5, 6, 0, 0.5F), turned = {.n = known.n};
        for (int i = 0; i < known.n; i++) {
            memcpy(turned.rows[i], known.rows[known.n - 1 - i], sizeof turned.rows[i]);
            turned.names[i] = known.names[known.n - 1 - i];
        }
        fn_classifier *a = trained(&known, kinds[k]), *b = trained(&turned, kinds[k]), *c;
        size_t n_a, n_b;
        assert_int_equal(fn_classifier_save(a, path), FN_OK);
        char *text_a = bytes_of(&n_a);
        assert_int_equal(fn_classifier_save(b, path), FN_OK);
        char *text_b = bytes_of(&n_b);
        assert_int_equal(n_a, n_b);
        assert_memory_equal(text_a, text_b, n_a);
        fn_free(text_a);
        fn_free(text_b);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        if (fn_classifier_load(&c, path) != FN_OK)
            fail_msg("%s", fn_last_error());
        assert_int_equal(fn_classifier_dimension(c), D);
        assert_string_equal(fn_classifier_fingerprint(c), print_of);
        const people probes = made(5, 6, 300, 0.8F);
        for (int i = 0; i < probes.n; i++) {
            fn_prediction x = asked(a, probes.rows[i]), y = asked(c, probes.rows[i]);
            assert_int_equal(x.person, y.person);
            assert_true(x.probability == y.probability && x.runner_up_probability == y.runner_up_probability);
        }
        fn_classifier_free(a);
        fn_classifier_free(b);
        fn_classifier_free(c);
    }
    unlink(path);
}

// No damage may crash; what still parses must still decide.
static void damaged_files_are_refused(void **state) {
    (void)state;
    snprintf(path, sizeof path, "classifier-%d.json", (int)getpid());
    const people known = made(3, 3, 0, 0.5F);
    const fn_classifier_options *kinds[] = {&svm, &knn};
    for (int k = 0; k < 2; k++) {
        fn_classifier *c = trained(&known, kinds[k]);
        assert_int_equal(fn_classifier_save(c, path), FN_OK);
        fn_classifier_free(c);
        size_t n;
        char *text = bytes_of(&n);
        int n_refused = 0;
        for (size_t i = 0; i < n; i += 1) {
            char was = text[i];
            text[i] = was == '0' ? '9' : '0';
            assert_int_equal(fn_write_file(path, text, n, 0600), FN_OK);
            text[i] = was;
            int rc = fn_classifier_load(&c, path);
            n_refused += rc != FN_OK;
            assert_true(rc == FN_OK || (rc == FN_EFORMAT && strstr(fn_last_error(), path)));
            fn_prediction found;
            if (c)
                fn_classifier_predict(c, known.rows[0], D, print_of, 0.5, &found);
            fn_classifier_free(c);
        }
        for (size_t i = 0; i + 2 < n; i += 7) { // all but the final newline
            assert_int_equal(fn_write_file(path, text, i, 0600), FN_OK);
            assert_int_equal(fn_classifier_load(&c, path), FN_EFORMAT);
            assert_null(c);
        }
        assert_true(n_refused > 100);
        fn_free(text);
    }
    fn_classifier *c;
    assert_int_equal(fn_classifier_load(&c, "nowhere.json"), FN_EIO);
    unlink(path);
}

static void out_of_memory_is_said_and_leaves_nothing(void **state) {
    (void)state;
    snprintf(path, sizeof path, "classifier-%d.json", (int)getpid());
    const people known = made(3, 4, 0, 0.3F);
    const fn_classifier_options *kinds[] = {&svm, &knn};
    for (int k = 0; k < 2; k++) {
        int done = 0, n_failures = 0;
        for (int nth = 1; !done; nth++) {
            fn_classifier *c = NULL, *again = NULL;
            fn_prediction found;
            fn_alloc_fail_nth(nth);
            int rc = fn_classifier_train(&c, known.rows[0], known.names, (size_t)known.n, D, print_of,
                                         kinds[k], NULL);
            if (rc == FN_OK)
                rc = fn_classifier_save(c, path);
            if (rc == FN_OK)
                rc = fn_classifier_load(&again, path);
            if (rc == FN_OK)
                rc = fn_classifier_predict(again, known.rows[0], D, print_of, 0.5, &found);
            done = fn_alloc_count() < nth;
            fn_alloc_fail_nth(0);
            assert_int_equal(rc, done ? FN_OK : FN_ENOMEM);
            n_failures += !done;
            fn_classifier_free(c);
            fn_classifier_free(again);
        }
        assert_true(n_failures > 20);
    }
    unlink(path);
}

// ---- OpenFace's embeddings of 1000 photographs of LFW ----------------------------------------------

enum { GOLDEN = 1000, WIDE = 128, MIN_FACES = 6 };
typedef struct golden {
    float rows[GOLDEN][WIDE];
    char name[GOLDEN][64];
    int faces[GOLDEN]; // of the person of the row
} golden;

static int read_golden(golden *g) {
    const char *shared = getenv("FACENET_SHARED");
    char file[512], line[8192];
    for (int part = 0; part < 2; part++) {
        snprintf(file, sizeof file, "%s/golden/openface_lfw1000/%s.csv", shared ? shared : "",
                 part ? "labels" : "embeddings");
        FILE *f = shared ? fopen(file, "r") : NULL;
        if (!f)
            return 0;
        for (int i = 0; i < GOLDEN && fgets(line, sizeof line, f); i++) {
            char *p = line;
            for (int k = 0; k < WIDE && !part; k++, p += *p == ',')
                g->rows[i][k] = strtof(p, &p);
            char *comma = strchr(line, ','), *slash = strchr(line, '/');
            if (part && comma && slash)
                snprintf(g->name[i], sizeof g->name[i], "%.*s", (int)(slash - comma - 1), comma + 1);
        }
        fclose(f);
    }
    for (int i = 0; i < GOLDEN; i++)
        for (int j = 0; j < GOLDEN; j++)
            g->faces[i] += strcmp(g->name[i], g->name[j]) == 0;
    return 1;
}

static void openface_embeddings_are_told_apart(void **state) {
    (void)state;
    golden *g = calloc(1, sizeof *g);
    assert_non_null(g);
    if (!read_golden(g)) {
        printf("skipped: FACENET_SHARED has no golden/openface_lfw1000\n");
        free(g);
        skip();
    }
    static float rows[GOLDEN][WIDE];
    const char *name[GOLDEN];
    int n = 0, is_probe[GOLDEN] = {0};
    for (int i = 0, seen = 0; i < GOLDEN; i++) { // files are sorted by person
        seen = i && strcmp(g->name[i], g->name[i - 1]) == 0 ? seen + 1 : 0;
        is_probe[i] = g->faces[i] >= MIN_FACES && seen % 3 == 2;
        if (g->faces[i] < MIN_FACES || is_probe[i])
            continue;
        memcpy(rows[n], g->rows[i], sizeof rows[n]);
        name[n++] = g->name[i];
    }
    fn_classifier_options near_only = knn;
    near_only.max_distance = 0.8;
    const fn_classifier_options *kinds[] = {&svm, &knn, &near_only};
    static const double least[] = {0.93, 0.93, 0.85};
    static const char *const called[] = {"svm", "knn", "knn within 0.8"};
    for (int k = 0; k < 3; k++) {
        fn_classifier *c;
        assert_int_equal(fn_classifier_train(&c, rows[0], name, (size_t)n, WIDE, NULL, kinds[k], NULL),
                         FN_OK);
        int n_probes = 0, n_right = 0, n_strangers = 0, n_named = 0, n_known = 0, n_known_right = 0;
        double claimed = 0;
        for (int i = 0; i < GOLDEN; i++) {
            fn_prediction found;
            if (g->faces[i] >= MIN_FACES && !is_probe[i])
                continue;
            assert_int_equal(fn_classifier_predict(c, g->rows[i], WIDE, NULL, 0.5, &found), FN_OK);
            if (!is_probe[i]) {
                n_strangers++;
                n_named += found.is_known;
                continue;
            }
            int right = strcmp(fn_classifier_name(c, found.person), g->name[i]) == 0;
            n_probes++;
            n_right += right;
            n_known += found.is_known;
            n_known_right += found.is_known && right;
            claimed += found.probability;
        }
        printf("%s, %d people, %d faces: %d of %d probes right (claimed %.3f), named %d of them %d rightly; "
               "%d of %d "
               "strangers named\n",
               called[k], fn_classifier_len(c), n, n_right, n_probes, claimed / n_probes, n_known,
               n_known_right, n_named, n_strangers);
        if (n_right < least[k] * n_probes)
            fail_msg("%d of %d right, expected a share of %.2f", n_right, n_probes, least[k]);
        fn_classifier_free(c);
    }
    free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_are_named_with_high_probability),
        cmocka_unit_test(probabilities_mean_what_they_say),
        cmocka_unit_test(a_person_called_unknown_is_nobody),
        cmocka_unit_test(below_the_probability_the_answer_is_unknown),
        cmocka_unit_test(neighbours_vote_by_their_distance),
        cmocka_unit_test(machines_are_those_of_the_books),
        cmocka_unit_test(a_person_of_one_photograph_is_taken_and_said),
        cmocka_unit_test(what_cannot_be_learnt_is_said),
        cmocka_unit_test(order_does_not_matter_and_files_decide_alike),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(out_of_memory_is_said_and_leaves_nothing),
        cmocka_unit_test(openface_embeddings_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
