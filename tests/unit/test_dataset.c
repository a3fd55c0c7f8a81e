// SPDX-License-Identifier: Apache-2.0
//
// Datasets: which names are read, what is reported, what is moved, how people are divided; and, with the
// networks, crops from photographs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "image/image.h"
#include "train/embed_crops.h"
#include "train/failures.h"
#include "train/file_moves.h"

#include <facenet/dataset.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/test_dataset.XXXXXX";
static char path_buffer[4][512];

static const char *at(const char *name) {
    static int k;
    char *path = path_buffer[k++ % 4];
    snprintf(path, sizeof *path_buffer, "%s/%s", root, name);
    return path;
}

static void shell(const char *format, ...) {
    char command[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(command, sizeof command, format, list);
    va_end(list);
    if (system(command))
        fail_msg("%s", command);
}

/// Files of a few bytes: names matter, not pixels.
static void touch(const char *name) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", at(name));
    *strrchr(folder, '/') = 0;
    assert_int_equal(fn_mkdirs(folder, 0700), FN_OK);
    assert_int_equal(fn_write_file(at(name), name, strlen(name), 0600), FN_OK);
}

static int exists(const char *name) {
    return access(at(name), F_OK) == 0;
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int clear(void **state) {
    (void)state;
    shell("rm -rf '%s' && mkdir '%s'", root, root);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    shell("rm -rf '%s'", root);
    return 0;
}

static void assert_message_has(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' is not in the message: %s", part, fn_last_error());
}

static json_t *parse(char *report) {
    assert_non_null(report);
    json_t *object = json_loads(report, 0, NULL);
    assert_non_null(object);
    fn_string_free(report);
    return object;
}

static json_int_t integer(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("the report has no integer \"%s\"", key);
    return json_integer_value(value);
}

// ---- names --------------------------------------------------------------------------------------

static void people_and_pictures_are_sorted(void **state) {
    (void)state;
    fn_dataset *d;
    touch("Bea/2.jpg");
    touch("Bea/10.JPEG");
    touch("Ada/x.png");
    touch("Ada/notes.txt");
    touch("Ada/.hidden.jpg");
    touch(".trash/1.jpg");
    touch("readme.jpg");
    touch("Zoe/none.txt");
    touch("Ada B/deep/er.webp");
    assert_int_equal(fn_dataset_open(&d, root, 0), FN_OK);
    assert_int_equal(fn_dataset_n_people(d), 3);
    assert_int_equal(fn_dataset_n_images(d), 4);
    assert_string_equal(fn_dataset_person_name(d, 0), "Ada");
    assert_string_equal(fn_dataset_person_name(d, 1), "Ada B");
    assert_string_equal(fn_dataset_person_name(d, 2), "Bea");
    assert_int_equal(fn_dataset_first_image(d, 2), 2);
    assert_int_equal(fn_dataset_first_image(d, 3), 4);
    assert_string_equal(fn_dataset_image_name(d, 1), "Ada B/deep/er.webp");
    assert_string_equal(fn_dataset_image_name(d, 2), "Bea/10.JPEG");
    assert_int_equal(fn_dataset_image_person(d, 3), 2);
    assert_string_equal(fn_dataset_root(d), root);
    char *path = fn_dataset_image_path(d, 3);
    assert_string_equal(path, at("Bea/2.jpg"));
    fn_string_free(path);
    assert_string_equal(fn_dataset_geometry(d)->template_name, "");
    fn_dataset_free(d);
    assert_int_equal(fn_dataset_open(&d, root, 2), FN_OK);
    assert_int_equal(fn_dataset_n_people(d), 1);
    assert_int_equal(fn_dataset_n_images(d), 2);
    assert_string_equal(fn_dataset_image_name(d, 0), "Bea/10.JPEG");
    assert_int_equal(fn_dataset_image_person(d, 0), 0);
    fn_dataset_free(d);
    assert_int_equal(fn_dataset_open(&d, root, 3), FN_ENOTFOUND);
    assert_message_has("3 or more pictures");
    assert_int_equal(fn_dataset_open(&d, at("nowhere"), 0), FN_EIO);
    assert_int_equal(fn_dataset_open(&d, "", 0), FN_EINVAL);
    assert_int_equal(fn_dataset_open(&d, root, -1), FN_EINVAL);
    assert_null(d);
}

static void the_description_of_crops_is_read_or_refused(void **state) {
    (void)state;
    static const char good[] = "{\"facenet_dataset\": 1, \"template_name\": \"arcface-112\", \"width\": 96,"
                               "\"height\": 90, \"margin\": 7, \"pipeline\": \"ab\", \"more\": 1}";
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "{\"facenet_dataset\": 2, \"template_name\": \"a\", \"width\": 9, \"height\": 9, \"margin\": 0, "
        "\"pipeline\": \"\"}",
        "{\"facenet_dataset\": 1, \"template_name\": \"a\", \"width\": 0, \"height\": 9, \"margin\": 0, "
        "\"pipeline\": \"\"}",
        "{\"facenet_dataset\": 1, \"template_name\": \"a\", \"width\": 9, \"height\": 9, \"margin\": -1, "
        "\"pipeline\": \"\"}",
        "{\"facenet_dataset\": 1, \"template_name\": \"\", \"width\": 9, \"height\": 9, \"margin\": 0, "
        "\"pipeline\": \"\"}",
        "{\"facenet_dataset\": 1, \"template_name\": 3, \"width\": 9, \"height\": 9, \"margin\": 0, "
        "\"pipeline\": \"\"}"};
    fn_dataset *d;
    touch("Ada/1.jpg");
    assert_int_equal(fn_write_file(at("facenet-dataset.json"), good, strlen(good), 0600), FN_OK);
    assert_int_equal(fn_dataset_open(&d, root, 0), FN_OK);
    const fn_crop_geometry *g = fn_dataset_geometry(d);
    assert_string_equal(g->template_name, "arcface-112");
    assert_int_equal(g->width, 96);
    assert_int_equal(g->height, 90);
    assert_int_equal(g->margin, 7);
    fn_dataset_free(d);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(fn_write_file(at("facenet-dataset.json"), bad[i], strlen(bad[i]), 0600), FN_OK);
        assert_int_equal(fn_dataset_open(&d, root, 0), FN_EFORMAT);
        assert_message_has("facenet-dataset.json");
        assert_message_has("delete this file"); // which is what works
        assert_null(d);
    }
    assert_int_equal(unlink(at("facenet-dataset.json")), 0);
    assert_int_equal(fn_dataset_open(&d, root, 0), FN_OK);
    fn_dataset_free(d);
}

static void opening_without_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    for (int p = 0; p < 300; p++) { // more than the first size of the arrays
        char name[32];
        snprintf(name, sizeof name, "p%d/1.jpg", p);
        touch(name);
    }
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n += 1 + n / 8) {
        fn_dataset *d;
        fn_alloc_fail_nth(n);
        rc = fn_dataset_open(&d, root, 0);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        if (rc == FN_OK)
            assert_int_equal(fn_dataset_n_people(d), 300);
        fn_dataset_free(d);
    }
}

// ---- stats, prune, split -------------------------------------------------------------------------

static void write_picture(const char *name, int width, int height) {
    static unsigned char pixels[64 * 64 * 3];
    const fn_image image = {pixels, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
    touch(name);
    assert_int_equal(fn_image_write(&image, at(name), 0), FN_OK);
}

static void stats_count_people_pictures_and_sizes(void **state) {
    (void)state;
    char *report;
    write_picture("Ada/1.jpg", 30, 40);
    write_picture("Ada/2.png", 30, 40);
    write_picture("Ada/3.jpg", 64, 9);
    write_picture("Bea/1.jpg", 30, 40);
    touch("Cid/1.jpg"); // no picture
    assert_int_equal(fn_dataset_stats(&report, root, 2, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "people"), 3);
    assert_int_equal(integer(r, "images"), 5);
    assert_int_equal(integer(r, "same_person_pairs"), 3);
    assert_int_equal(integer(r, "median_per_person"), 1);
    assert_int_equal(integer(r, "most_per_person"), 3);
    assert_int_equal(integer(r, "unreadable"), 1);
    assert_int_equal(integer(json_object_get(r, "people_by_images"), "1"), 2);
    assert_int_equal(integer(json_object_get(r, "people_by_images"), "3"), 1);
    assert_int_equal(integer(json_object_get(r, "sizes"), "30x40"), 3);
    assert_int_equal(integer(json_object_get(r, "sizes"), "64x9"), 1);
    json_decref(r);
}

static void pruning_reports_first_and_moves_when_asked(void **state) {
    (void)state;
    char *report;
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    char all[64];
    snprintf(all, sizeof all, "%s/all", root);
    touch("all/Ada/1.jpg");
    touch("all/Ada/2.jpg");
    touch("all/Bea/1.jpg");
    touch("all/Cid/1.jpg");
    touch("all/Cid/notes.txt");
    assert_int_equal(fn_dataset_prune(&report, all, 2, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "people_kept"), 1);
    assert_int_equal(integer(r, "people_pruned"), 2);
    assert_int_equal(integer(r, "chosen"), 2);
    assert_int_equal(integer(r, "moved"), 0);
    json_decref(r);
    assert_true(exists("all/Bea/1.jpg"));
    o.apply = 1;
    assert_int_equal(fn_dataset_prune(&report, all, 2, &o), FN_OK);
    r = parse(report);
    assert_int_equal(integer(r, "moved"), 2);
    json_decref(r);
    assert_false(exists("all/Bea"));
    assert_true(exists("all/.pruned/Bea/1.jpg"));
    assert_true(exists("all/Cid/notes.txt")); // what is no picture stays, and so does its folder
    assert_true(exists("all/Ada/2.jpg"));
    touch("all/Bea/1.jpg"); // the name is taken there by another picture: nothing is written over
    shell("echo another >>'%s/all/Bea/1.jpg'", root);
    assert_int_equal(fn_dataset_prune(&report, all, 2, &o), FN_ECONFLICT);
    assert_null(report);
    assert_true(exists("all/Bea/1.jpg"));
    o.removed = at("elsewhere/deep");
    assert_int_equal(fn_dataset_prune(&report, all, 2, &o), FN_OK);
    fn_string_free(report);
    assert_true(exists("elsewhere/deep/Bea/1.jpg"));
    assert_int_equal(fn_dataset_prune(&report, all, 0, &o), FN_EINVAL);
}

static void make_crowd(int n_people) {
    for (int p = 0; p < n_people; p++)
        for (int i = 0; i < 2; i++) {
            char name[48];
            snprintf(name, sizeof name, "all/p%02d/%d.jpg", p, i);
            touch(name);
        }
}

static void a_split_divides_people_and_keeps_every_picture(void **state) {
    (void)state;
    char *report;
    make_crowd(20);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("a"), 0.25, 3), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(json_object_get(r, "train"), "people"), 15);
    assert_int_equal(integer(json_object_get(r, "val"), "people"), 5);
    assert_int_equal(integer(json_object_get(r, "val"), "images"), 10);
    json_decref(r);
    for (int p = 0; p < 20; p++) {
        char train[32], val[32], all[32];
        struct stat here, there;
        snprintf(train, sizeof train, "a/train/p%02d/1.jpg", p);
        snprintf(val, sizeof val, "a/val/p%02d/1.jpg", p);
        snprintf(all, sizeof all, "all/p%02d/1.jpg", p);
        assert_int_equal(exists(train) + exists(val), 1);
        assert_int_equal(stat(at(all), &here), 0);
        assert_int_equal(stat(at(exists(val) ? val : train), &there), 0);
        assert_true(here.st_ino == there.st_ino);
    }
    assert_int_equal(fn_dataset_split(&report, at("all"), at("b"), 0.25, 3), FN_OK);
    fn_string_free(report);
    shell("cd '%s' && diff -r a b", root);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("c"), 0.25, 4), FN_OK);
    fn_string_free(report);
    shell("cd '%s' && ! diff -rq a c >/dev/null", root); // another seed, other people
    assert_int_equal(fn_dataset_split(&report, at("all"), at("a"), 0.25, 3), FN_ECONFLICT);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("all"), 0.25, 3), FN_EINVAL);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("d"), 0, 3), FN_EINVAL);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("d"), 1, 3), FN_EINVAL);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("d"), 0.0001, 3), FN_OK); // one at least
    fn_string_free(report);
    shell("rm -r '%s'/all/p0[1-9] '%s'/all/p1*", root, root);
    assert_int_equal(fn_dataset_split(&report, at("all"), at("e"), 0.5, 3), FN_EINVAL);
    assert_message_has("one person");
}

static void splitting_and_pruning_survive_lack_of_memory(void **state) {
    (void)state;
    make_crowd(4);
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        char *report, name[32];
        fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
        snprintf(name, sizeof name, "split%d", n);
        fn_alloc_fail_nth(n);
        rc = fn_dataset_split(&report, at("all"), at(name), 0.25, 3);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        fn_string_free(report);
        fn_alloc_fail_nth(n);
        int pruned = fn_dataset_prune(&report, at("all"), 3, &o);
        fn_alloc_fail_nth(0);
        assert_true(pruned == FN_ENOMEM || pruned == FN_OK);
        fn_string_free(report);
    }
}

static void files_are_moved_and_never_written_over(void **state) {
    (void)state;
    touch("a/1");
    touch("b/1");
    assert_int_equal(fn_file_move(at("b/1"), at("a/1")), FN_ECONFLICT);
    assert_true(exists("a/1"));
    assert_int_equal(fn_file_move(at("c/d/1"), at("a/1")), FN_OK);
    assert_false(exists("a/1"));
    assert_true(exists("c/d/1"));
    assert_int_equal(fn_file_link(at("c/2"), at("nowhere")), FN_EIO);
    assert_true(fn_same_folder(root, at("c/..")));
    assert_false(fn_same_folder(root, at("c")));
}

static int is_later(void *user, const char *name) {
    assert_null(user);
    return strcmp(name, "later\t\\") == 0;
}

static void failures_of_one_tree_replace_only_its_own(void **state) {
    (void)state;
    unsigned char *bytes;
    size_t n;
    for (int round = 0; round < 2; round++) {
        fn_buf text;
        fn_buf_init(&text, 4096);
        fn_failures_add(&text, round ? "/two/x" : "/one/a\tb\n", "no_face", "so \\ it is");
        assert_int_equal(fn_failures_write(root, round ? "/two" : "/one", &text, NULL, NULL), FN_OK);
        fn_buf_free(&text);
    }
    assert_int_equal(fn_read_file(&bytes, &n, at("failures.tsv"), 4096), FN_OK);
    assert_string_equal((char *)bytes, "/one/a\\tb\\n\tno_face\tso \\\\ it is\n"
                                       "/two/x\tno_face\tso \\\\ it is\n");
    fn_free(bytes);
    fn_buf more, none;
    fn_buf_init(&more, 4096); // a run that was stopped leaves what it has not reached
    fn_failures_add(&more, "/one/b", "bad_face", "");
    fn_failures_add(&more, "/one/later\t\\", "no_face", "");
    assert_int_equal(fn_failures_write(root, "/one", &more, NULL, NULL), FN_OK);
    fn_buf_free(&more);
    fn_buf_init(&none, 4096);
    assert_int_equal(fn_failures_write(root, "/one", &none, is_later, NULL), FN_OK);
    assert_int_equal(fn_read_file(&bytes, &n, at("failures.tsv"), 4096), FN_OK);
    assert_string_equal((char *)bytes, "/two/x\tno_face\tso \\\\ it is\n"
                                       "/one/later\\t\\\\\tno_face\t\n");
    fn_free(bytes);
    assert_int_equal(fn_failures_write(root, "/one", &none, NULL, NULL), FN_OK); // all is well now
    fn_buf_free(&none);
    assert_int_equal(fn_read_file(&bytes, &n, at("failures.tsv"), 4096), FN_OK);
    assert_string_equal((char *)bytes, "/two/x\tno_face\tso \\\\ it is\n");
    fn_free(bytes);
}

// ---- with the networks --------------------------------------------------------------------------

static fn_recognizer *recognizer;

static const char *open_networks(void) {
    const char *models = getenv("FACENET_MODELS"), *demo = getenv("FACENET_DEMO");
    if (!models || !demo) {
        print_message("skipped: FACENET_MODELS and FACENET_DEMO are not set\n");
        skip();
    }
    fn_recognizer_options o = FN_RECOGNIZER_OPTIONS_INIT;
    o.detector.model.directory = models;
    o.embedder.options.directory = models;
    assert_int_equal(fn_recognizer_open(&recognizer, &o), FN_OK);
    return demo;
}

static int close_networks(void **state) {
    fn_recognizer_free(recognizer);
    recognizer = NULL;
    return clear(state);
}

/// The mean difference of the crop's box and what fn_align cuts from the photograph.
static double difference_from_align(const char *photo, const char *crop) {
    const fn_template *t = fn_template_find("arcface-112");
    static unsigned char cut[112 * 112 * 3];
    fn_picture *picture, *stored;
    fn_faces *faces;
    assert_int_equal(fn_decode_file(&picture, photo, NULL), FN_OK);
    const fn_image *image = fn_picture_image(picture);
    assert_int_equal(fn_detector_run(fn_recognizer_detector(recognizer), image, NULL, &faces), FN_OK);
    double nearest = 1e9, sum = 0;
    for (size_t i = 0; i < fn_faces_len(faces); i++) { // the demo photographs show the face in the middle
        const fn_face *f = fn_faces_get(faces, i);
        double dx = (double)(f->box.x + f->box.width / 2) - image->width / 2.0;
        double dy = (double)(f->box.y + f->box.height / 2) - image->height / 2.0;
        if (dx * dx + dy * dy < nearest) {
            nearest = dx * dx + dy * dy;
            assert_int_equal(fn_align(cut, t, image, f), FN_OK);
        }
    }
    assert_int_equal(fn_decode_file(&stored, crop, NULL), FN_OK);
    const fn_image *whole = fn_picture_image(stored);
    assert_int_equal(whole->width, 150);
    assert_int_equal(whole->height, 150);
    for (int y = 0; y < 112; y++)
        for (int i = 0; i < 112 * 3; i++)
            sum += abs(whole->data[(y + 19) * whole->stride_bytes + 19 * 3 + i] - cut[y * 112 * 3 + i]);
    fn_picture_free(stored);
    fn_faces_free(faces);
    fn_picture_free(picture);
    return sum / (112 * 112 * 3);
}

/// The surroundings of the first face of a group photograph, so that it is the central one.
static void write_portrait(const char *photo, const char *dst) {
    fn_picture *picture;
    fn_faces *faces;
    assert_int_equal(fn_decode_file(&picture, photo, NULL), FN_OK);
    const fn_image *image = fn_picture_image(picture);
    assert_int_equal(fn_detector_run(fn_recognizer_detector(recognizer), image, NULL, &faces), FN_OK);
    const fn_box box = fn_faces_get(faces, 0)->box;
    int side = (int)(2 * box.width), x = (int)(box.x - box.width / 2), y = (int)(box.y - box.height / 2);
    assert_true(x >= 0 && y >= 0 && x + side <= image->width && y + side <= image->height);
    const fn_image portrait = fn_image_crop(image, x, y, side, side);
    assert_int_equal(fn_image_write(&portrait, dst, 95), FN_OK);
    fn_faces_free(faces);
    fn_picture_free(picture);
}

static void copy_demo(const char *demo) {
    char photo[512];
    shell("mkdir -p '%s/src/Ada' '%s/src/Bea' && cp '%s/sample1.jpg' '%s/src/Ada/a.jpg' && "
          "cp '%s/sample1.jpg' '%s/src/Ada/a.JPG'",
          root, root, demo, root, demo, root);
    snprintf(photo, sizeof photo, "%s/sample2.jpg", demo);
    write_portrait(photo, at("src/Bea/b.jpg"));
}

/// A plain picture: nobody is in it.
static void add_nobody(void) {
    write_picture("src/Bea/wall.png", 64, 64);
    touch("src/Bea/broken.jpg");
}

static void prepared_crops_are_what_align_cuts_with_a_margin(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    struct stat st;
    copy_demo(demo);
    add_nobody();
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "photographs"), 5);
    assert_int_equal(integer(r, "written"), 3);
    assert_int_equal(integer(r, "failed"), 2);
    assert_int_equal(integer(json_object_get(r, "reasons"), "unreadable"), 1);
    assert_int_equal(integer(json_object_get(r, "reasons"), "no_face"), 1);
    json_decref(r);
    // JPEG at quality 95 and rounding; a shift by one pixel would give several times as much.
    assert_true(difference_from_align(at("src/Ada/a.jpg"), at("dst/Ada/a.jpg")) < 3);
    assert_true(difference_from_align(at("src/Bea/b.jpg"), at("dst/Bea/b.jpg")) < 3);
    assert_true(exists("dst/Ada/a.JPG.jpg"));
    assert_int_equal(stat(at("dst/Ada/a.jpg"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(at("dst/Ada"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    shell("grep -q 'Bea/wall.png\tno_face' '%s/dst/failures.tsv'", root);
    shell("grep -q 'Bea/broken.jpg\tunreadable' '%s/dst/failures.tsv'", root);
    fn_dataset *d;
    assert_int_equal(fn_dataset_open(&d, at("dst"), 1), FN_OK);
    assert_int_equal(fn_dataset_n_images(d), 3);
    assert_string_equal(fn_dataset_geometry(d)->template_name, "arcface-112");
    assert_int_equal(fn_dataset_geometry(d)->margin, 19);
    fn_dataset_free(d);
}

static void a_second_run_does_only_what_is_missing(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    fn_prepare_options o = FN_PREPARE_OPTIONS_INIT;
    copy_demo(demo);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    fn_string_free(report);
    shell("cp -r '%s/dst' '%s/kept' && rm '%s/dst/Ada/a.jpg'", root, root, root);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "written"), 1);
    assert_int_equal(integer(r, "present"), 2);
    json_decref(r);
    shell("diff -r '%s/dst' '%s/kept'", root, root);
    o.margin = 3;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, NULL), FN_ECONFLICT);
    assert_message_has("margin 19");
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("src"), NULL, NULL), FN_EINVAL);
    o.template_name = "nothing";
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst2"), &o, NULL), FN_EINVAL);
    assert_false(exists("dst2"));
}

static void the_same_photograph_twice_is_found_and_strangers_are_not(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    copy_demo(demo);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    fn_string_free(report);
    shell("cp '%s/dst/Ada/a.jpg' '%s/dst/Bea/of_ada.jpg'", root, root);
    o.apply = 1;
    assert_int_equal(fn_dataset_duplicates(&report, recognizer, at("dst"), &o, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(json_array_size(json_object_get(r, "same_person")), 1);
    assert_int_equal(json_array_size(json_object_get(r, "two_people")), 2);
    assert_int_equal(integer(r, "moved"), 1);
    json_decref(r);
    assert_true(exists("dst/Ada/a.JPG.jpg"));
    assert_true(exists("dst/.duplicates/Ada/a.jpg"));
    assert_true(exists("dst/Bea/of_ada.jpg")); // whose name is right is not known
}

static void a_stranger_among_a_persons_pictures_is_an_outlier(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    copy_demo(demo);
    shell("cp '%s/src/Ada/a.jpg' '%s/src/Ada/c.jpg' && cp '%s/src/Ada/a.jpg' '%s/src/Ada/d.jpg' && "
          "cp '%s/src/Bea/b.jpg' '%s/src/Ada/wrong.jpg'",
          root, root, root, root, root, root);
    for (int as_crops = 0; as_crops < 2; as_crops++) { // photographs go down the whole road
        if (as_crops) {
            assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL),
                             FN_OK);
            fn_string_free(report);
        }
        assert_int_equal(fn_dataset_outliers(&report, recognizer, at(as_crops ? "dst" : "src"), NULL, NULL),
                         FN_OK);
        json_t *r = parse(report), *list = json_object_get(r, "outliers");
        assert_int_equal(json_array_size(list), 1);
        assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "image")),
                            "Ada/wrong.jpg");
        assert_int_equal(integer(r, "moved"), 0);
        json_decref(r);
    }
}

static void crops_embed_as_their_photographs_do(void **state) {
    (void)state;
    char *report;
    fn_dataset *photos, *crops;
    fn_crop_vectors of_photos, of_crops;
    const char *demo = open_networks();
    copy_demo(demo);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    fn_string_free(report);
    assert_int_equal(fn_dataset_open(&photos, at("src"), 1), FN_OK);
    assert_int_equal(fn_dataset_open(&crops, at("dst"), 1), FN_OK);
    assert_int_equal(fn_crop_vectors_open(&of_photos, photos, recognizer, 2, NULL), FN_OK);
    assert_int_equal(fn_crop_vectors_open(&of_crops, crops, recognizer, 2, NULL), FN_OK);
    for (int i = 0; i < 3; i++) // JPEG once more
        assert_true(fn_distance(fn_crop_vector(&of_photos, i), fn_crop_vector(&of_crops, i),
                                of_crops.dimension) < 0.15F);
    assert_int_equal(of_crops.n_unknown, 0);
    fn_crop_vectors_free(&of_photos);
    fn_crop_vectors_free(&of_crops);
    fn_dataset_free(photos);
    fn_dataset_free(crops);
}

/// A part of a photograph.
static void write_part(const char *photo, int x, int y, int width, int height, const char *dst) {
    fn_picture *picture;
    assert_int_equal(fn_decode_file(&picture, photo, NULL), FN_OK);
    const fn_image part = fn_image_crop(fn_picture_image(picture), x, y, width, height);
    touch(dst);
    assert_int_equal(fn_image_write(&part, at(dst), 95), FN_OK);
    fn_picture_free(picture);
}

static double difference_of_crops(const char *a, const char *b) {
    fn_picture *pa, *pb;
    double sum = 0;
    assert_int_equal(fn_decode_file(&pa, a, NULL), FN_OK);
    assert_int_equal(fn_decode_file(&pb, b, NULL), FN_OK);
    const fn_image *x = fn_picture_image(pa), *y = fn_picture_image(pb);
    for (int row = 40; row < 110; row++) // the face
        for (int i = 40 * 3; i < 110 * 3; i++)
            sum += abs(x->data[row * x->stride_bytes + i] - y->data[row * y->stride_bytes + i]);
    fn_picture_free(pa);
    fn_picture_free(pb);
    return sum / (70 * 70 * 3);
}

/// Five faces are in the photograph; the largest of them at 292,868, 324 wide.
static void a_face_aside_is_taken_when_it_is_the_only_or_the_largest(void **state) {
    (void)state;
    char *report, photo[512];
    const char *demo = open_networks();
    fn_prepare_options o = FN_PREPARE_OPTIONS_INIT;
    snprintf(photo, sizeof photo, "%s/sample5.jpg", demo);
    write_part(photo, 154, 779, 600, 500, "src/Ada/central.png");
    write_part(photo, 270, 660, 800, 738, "src/Ada/only.png");
    write_part(photo, 200, 420, 800, 800, "src/Ada/two.png");
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "written"), 2);
    assert_int_equal(integer(json_object_get(r, "reasons"), "no_face"), 1);
    json_decref(r);
    shell("grep -q 'Ada/two.png\tno_face\t2 faces, none over the centre' '%s/dst/failures.tsv'", root);
    assert_true(difference_of_crops(at("dst/Ada/only.png.jpg"), at("dst/Ada/central.png.jpg")) < 10);
    o.face = FN_PREPARE_FACE_LARGEST;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, NULL), FN_OK);
    r = parse(report);
    assert_int_equal(integer(r, "written"), 1);
    assert_int_equal(integer(r, "present"), 2);
    json_decref(r);
    assert_true(difference_of_crops(at("dst/Ada/two.png.jpg"), at("dst/Ada/central.png.jpg")) < 10);
    o.face = (fn_prepare_face)7;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, NULL), FN_EINVAL);
    o.version = 1;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, NULL), FN_EINVAL);
}

static void what_a_look_removed_is_not_prepared_again(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    copy_demo(demo);
    shell("cp '%s/src/Ada/a.jpg' '%s/src/Ada/c.jpg' && cp '%s/src/Bea/b.jpg' '%s/src/Ada/wrong.png'", root,
          root, root, root);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
    fn_string_free(report);
    o.apply = 1;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fn_dataset_outliers(&report, recognizer, at("dst"), &o, NULL), FN_OK);
        json_t *r = parse(report);
        assert_int_equal(integer(r, "moved"), round == 0);
        json_decref(r);
        assert_true(exists("dst/.outliers/Ada/wrong.png.jpg"));
        assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL), FN_OK);
        r = parse(report);
        assert_int_equal(integer(r, "written"), 0);
        assert_int_equal(integer(r, "removed"), 1);
        assert_int_equal(integer(r, "present"), 4);
        json_decref(r);
        assert_false(exists("dst/Ada/wrong.png.jpg"));
    }
    shell("cp '%s/dst/.outliers/Ada/wrong.png.jpg' '%s/dst/Ada'", root, root); // as earlier versions did
    assert_int_equal(fn_dataset_outliers(&report, recognizer, at("dst"), &o, NULL), FN_OK);
    json_t *r = parse(report);
    assert_int_equal(integer(r, "moved"), 1);
    json_decref(r);
}

static int stop_after_one(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)total;
    return done >= 1;
}

static int count_failures(void) {
    unsigned char *bytes;
    size_t n;
    int lines = 0;
    assert_int_equal(fn_read_file(&bytes, &n, at("dst/failures.tsv"), 65536), FN_OK);
    for (size_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    fn_free(bytes);
    return lines;
}

static void a_run_that_is_stopped_lists_what_failed(void **state) {
    (void)state;
    char *report, *there = NULL;
    open_networks();
    fn_prepare_options o = FN_PREPARE_OPTIONS_INIT;
    fn_control control = FN_CONTROL_INIT;
    touch("src/Ada/broken.jpg");
    write_picture("src/Bea/wall.png", 64, 64);
    shell("ln -s /nowhere '%s/src/Bea/gone.jpg' && ln -s src '%s/alias'", root, root);
    o.jobs = 1;
    control.deadline_ms = 1;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, &control),
                     FN_ETIMEOUT);
    assert_int_equal(count_failures(), 1); // the link, which was met before
    control.deadline_ms = 0;
    control.progress = stop_after_one;
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, &control),
                     FN_ECANCELLED);
    assert_null(report);
    assert_int_equal(count_failures(), 2);
    const char *const spellings[] = {"src", "src/", "dst/../src", "alias"}; // of one tree
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fn_dataset_prepare(&report, recognizer, at(spellings[i]), at("dst"), &o, NULL),
                         FN_OK);
        json_t *r = parse(report);
        assert_int_equal(integer(r, "failed"), 2);
        assert_int_equal(json_array_size(json_object_get(r, "skipped")), 1);
        json_decref(r);
        assert_int_equal(count_failures(), 3);
    }
    there = fn_path_real(at("src"));
    shell("[ \"$(cut -f1,2 '%s/dst/failures.tsv' | tr '\t\n' '  ')\" = "
          "'%s/Bea/gone.jpg skipped %s/Ada/broken.jpg unreadable %s/Bea/wall.png no_face ' ]",
          root, there, there, there);
    fn_free(there);
    assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, &control),
                     FN_ECANCELLED);
    assert_int_equal(count_failures(), 3); // what was not reached keeps its line
}

static void preparing_without_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    open_networks();
    fn_prepare_options o = FN_PREPARE_OPTIONS_INIT;
    fn_control control = FN_CONTROL_INIT;
    touch("src/Ada/broken.jpg"); // no picture: the networks have nothing to do
    touch("src/Bea/broken.png");
    shell("ln -s /nowhere '%s/src/Bea/gone.jpg'", root);
    o.jobs = 1;
    for (int stopped = 0; stopped < 2; stopped++) {
        const int end = stopped ? FN_ECANCELLED : FN_OK;
        control.progress = stopped ? stop_after_one : NULL;
        for (int n = 1, rc = FN_ENOMEM; rc != end; n++) {
            char *report;
            fn_alloc_fail_nth(n);
            rc = fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), &o, &control);
            int passed = fn_alloc_count() < n;
            fn_alloc_fail_nth(0);
            assert_true(rc == FN_ENOMEM || rc == end);
            fn_string_free(report);
            if (!passed)
                rc = FN_ENOMEM; // a stopped run tells of the stop whatever comes of its list
        }
    }
    assert_int_equal(count_failures(), 3);
}

static void files_without_a_face_are_doubles_by_their_bytes(void **state) {
    (void)state;
    char *report;
    const char *demo = open_networks();
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    copy_demo(demo);
    for (int as_crops = 0; as_crops < 2; as_crops++) {
        if (as_crops) {
            shell("rm -r '%s/src/.duplicates' '%s/src/Ada/x.jpg' '%s/src/Bea/x.jpg'", root, root, root);
            assert_int_equal(fn_dataset_prepare(&report, recognizer, at("src"), at("dst"), NULL, NULL),
                             FN_OK);
            fn_string_free(report);
        }
        const char *name = as_crops ? "dst" : "src";
        shell("cd '%s/%s' && echo none >Ada/x.jpg && cp Ada/x.jpg Ada/y.jpg && cp Ada/x.jpg Ada/z.jpg && "
              "cp Ada/x.jpg Bea/x.jpg && cp Ada/x.jpg Bea/y.jpg",
              root, name);
        o.apply = 1;
        assert_int_equal(fn_dataset_duplicates(&report, recognizer, at(name), &o, NULL), FN_OK);
        json_t *r = parse(report);
        assert_int_equal(integer(r, "unreadable"), 5);
        // of the readable ones a.jpg and a.JPG; x with y and z, Bea's x with y
        assert_int_equal(json_array_size(json_object_get(r, "same_person")), as_crops ? 3 : 4);
        assert_int_equal(json_array_size(json_object_get(r, "two_people")), 2);
        assert_int_equal(integer(r, "moved"), as_crops ? 3 : 4);
        json_decref(r);
        char kept[32];
        snprintf(kept, sizeof kept, "%s/Bea/x.jpg", name);
        assert_true(exists(kept)); // whose name is right is not known
        snprintf(kept, sizeof kept, "%s/Bea/y.jpg", name);
        assert_false(exists(kept));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(people_and_pictures_are_sorted, clear),
        cmocka_unit_test_teardown(the_description_of_crops_is_read_or_refused, clear),
        cmocka_unit_test_teardown(opening_without_memory_is_an_error_and_no_leak, clear),
        cmocka_unit_test_teardown(stats_count_people_pictures_and_sizes, clear),
        cmocka_unit_test_teardown(pruning_reports_first_and_moves_when_asked, clear),
        cmocka_unit_test_teardown(a_split_divides_people_and_keeps_every_picture, clear),
        cmocka_unit_test_teardown(splitting_and_pruning_survive_lack_of_memory, clear),
        cmocka_unit_test_teardown(files_are_moved_and_never_written_over, clear),
        cmocka_unit_test_teardown(failures_of_one_tree_replace_only_its_own, clear),
        cmocka_unit_test_teardown(prepared_crops_are_what_align_cuts_with_a_margin, close_networks),
        cmocka_unit_test_teardown(a_second_run_does_only_what_is_missing, close_networks),
        cmocka_unit_test_teardown(the_same_photograph_twice_is_found_and_strangers_are_not, close_networks),
        cmocka_unit_test_teardown(a_stranger_among_a_persons_pictures_is_an_outlier, close_networks),
        cmocka_unit_test_teardown(crops_embed_as_their_photographs_do, close_networks),
        cmocka_unit_test_teardown(a_face_aside_is_taken_when_it_is_the_only_or_the_largest, close_networks),
        cmocka_unit_test_teardown(what_a_look_removed_is_not_prepared_again, close_networks),
        cmocka_unit_test_teardown(a_run_that_is_stopped_lists_what_failed, close_networks),
        cmocka_unit_test_teardown(preparing_without_memory_is_an_error_and_no_leak, close_networks),
        cmocka_unit_test_teardown(files_without_a_face_are_doubles_by_their_bytes, close_networks),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
