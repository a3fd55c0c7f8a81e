// SPDX-License-Identifier: Apache-2.0
//
// Datasets on a disk as people have them: links, links that lead nowhere, folders within each other, pictures
// that were moved before, splits that fail.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"
#include "train/apart.h"
#include "train/file_moves.h"
#include "train/skipped.h"

#include <facenet/dataset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/test_dataset_files.XXXXXX";
static char path_buffer[4][512];

static const char *at(const char *name) {
    static int k;
    char *path = path_buffer[k++ % 4];
    snprintf(path, sizeof *path_buffer, "%s/%s", root, name);
    return path;
}

/// Commands of a shell in the root.
static void shell(const char *commands) {
    char line[1200];
    snprintf(line, sizeof line, "cd '%s' && %s", root, commands);
    if (system(line))
        fail_msg("%s", line);
}

/// A small file that tells its name.
static void touch(const char *name) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", at(name));
    *strrchr(folder, '/') = 0;
    assert_int_equal(fn_mkdirs(folder, 0700), FN_OK);
    assert_int_equal(fn_write_file(at(name), name, strlen(name), 0600), FN_OK);
}

/// A name, a link too, wherever it leads.
static int exists(const char *name) {
    struct stat st;
    return lstat(at(name), &st) == 0;
}

static void assert_holds(const char *name, const char *text) {
    unsigned char *bytes = NULL;
    size_t n;
    if (fn_read_file(&bytes, &n, at(name), 4096) < 0)
        fail_msg("%s: %s", name, fn_last_error());
    assert_string_equal((char *)bytes, text);
    fn_free(bytes);
}

static void assert_message_has(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' is not in the message: %s", part, fn_last_error());
}

static void assert_has(char *report, const char *part) {
    assert_non_null(report);
    if (!strstr(report, part))
        fail_msg("'%s' is not in the report: %s", part, report);
    fn_string_free(report);
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(root) ? 0 : -1;
}

static int clear(void **state) {
    (void)state;
    char command[512];
    snprintf(command, sizeof command, "chmod -R u+rwx '%s' && rm -rf '%s' && mkdir '%s'", root, root, root);
    return system(command) ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    return fn_remove_tree(root);
}

// ---- what is skipped ------------------------------------------------------------------------------

static int n_told;

static void count_lines(void *user, fn_log_level level, const char *message) {
    (void)user;
    n_told += level == FN_LOG_WARNING && strstr(message, "left out");
}

static void what_cannot_be_read_is_skipped_with_a_word(void **state) {
    (void)state;
    fn_dataset *d;
    char *report;
    touch("s/A/1.jpg");
    touch("s/B/1.jpg");
    shell("ln -s /nowhere s/A/2.jpg && ln -s /nowhere s/README && ln -s self s/B/self");
    assert_int_equal(fn_dataset_open(&d, at("s"), 0), FN_OK);
    assert_int_equal(fn_dataset_n_images(d), 2);
    assert_int_equal(fn_dataset_n_skipped(d), 3);
    assert_string_equal(fn_dataset_skipped_name(d, 0), "A/2.jpg");
    assert_string_equal(fn_dataset_skipped_name(d, 1), "B/self");
    assert_string_equal(fn_dataset_skipped_name(d, 2), "README");
    assert_non_null(strstr(fn_dataset_skipped_reason(d, 0), "s/A/2.jpg: "));
    fn_control control = FN_CONTROL_INIT;
    control.log = count_lines;
    n_told = 0;
    fn_skipped_tell(d, &control);
    assert_int_equal(n_told, 3);
    fn_dataset_free(d);
    n_told = 0;
    assert_int_equal(fn_dataset_stats(&report, at("s"), 1, &control), FN_OK);
    assert_has(report, "s/A/2.jpg: ");
    assert_int_equal(n_told, 3);
    assert_int_equal(fn_dataset_prune(&report, at("s"), 1, NULL), FN_OK);
    assert_has(report, "s/A/2.jpg: ");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("halves"), 0.5, 1), FN_OK);
    assert_has(report, "s/README: ");
    shell("rm s/A/1.jpg s/B/1.jpg");
    assert_int_equal(fn_dataset_open(&d, at("s"), 0), FN_ENOTFOUND);
    assert_message_has("s/A/2.jpg: "); // why nobody is left
}

static void a_folder_without_permission_is_skipped(void **state) {
    (void)state;
    fn_dataset *d;
    touch("s/A/1.jpg");
    touch("s/B/1.jpg");
    shell("chmod 755 . s s/B && chmod 0 s/A");
    const uid_t me = geteuid();
    if (me == 0) // who reads every folder
        assert_int_equal(seteuid(65534), 0);
    int rc = fn_dataset_open(&d, at("s"), 0);
    assert_int_equal(seteuid(me), 0);
    assert_int_equal(rc, FN_OK);
    assert_int_equal(fn_dataset_n_images(d), 1);
    assert_int_equal(fn_dataset_n_skipped(d), 1);
    assert_string_equal(fn_dataset_skipped_name(d, 0), "A");
    fn_dataset_free(d);
}

static void skipping_without_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    touch("s/A/1.jpg");
    touch("far/B/1.jpg");
    shell("ln -s ../far/B s/B; for i in 1 2 3 4 5 6 7 8 9; do ln -s /nowhere s/A/x$i.jpg; done; ln -s A s/C");
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        fn_dataset *d;
        fn_alloc_fail_nth(n);
        rc = fn_dataset_open(&d, at("s"), 0);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        if (rc == FN_OK)
            assert_int_equal(fn_dataset_n_skipped(d), 10);
        fn_dataset_free(d);
    }
}

// ---- links ----------------------------------------------------------------------------------------

static void the_folder_of_a_person_may_be_a_link(void **state) {
    (void)state;
    fn_dataset *d;
    touch("s/A/1.jpg");
    touch("far/of_b/1.jpg");
    touch("far/of_b/deep/2.jpg");
    touch("s/.store/of_c/1.jpg");
    shell("ln -s ../far/of_b s/B; ln -s .store/of_c s/C; ln -s . s/self; ln -s .. s/above; ln -s A s/again; "
          "ln -s ../../far far/of_b/loop");
    assert_int_equal(fn_dataset_open(&d, at("s"), 0), FN_OK);
    assert_int_equal(fn_dataset_n_people(d), 3);
    assert_int_equal(fn_dataset_n_images(d), 4);
    assert_string_equal(fn_dataset_person_name(d, 1), "B");
    assert_string_equal(fn_dataset_image_name(d, 2), "B/deep/2.jpg");
    assert_string_equal(fn_dataset_person_name(d, 2), "C");
    const char *const gone[] = {"B/loop", "above", "again", "self"}; // none of them without a word
    assert_int_equal(fn_dataset_n_skipped(d), 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(fn_dataset_skipped_name(d, i), gone[i]);
    assert_non_null(strstr(fn_dataset_skipped_reason(d, 3), "its own tree"));
    fn_dataset_free(d);
}

static void a_picture_that_is_a_link_can_be_read_in_both_halves(void **state) {
    (void)state;
    char *report;
    touch("store/a.jpg");
    touch("store/b.jpg");
    shell("mkdir -p s/A s/B && ln -s ../../store/a.jpg s/A/1.jpg && ln -s ../../store/b.jpg s/B/1.jpg");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("halves/of/it"), 0.5, 1), FN_OK);
    fn_string_free(report);
    int a_is_val = exists("halves/of/it/val/A");
    assert_holds(a_is_val ? "halves/of/it/val/A/1.jpg" : "halves/of/it/train/A/1.jpg", "store/a.jpg");
    assert_holds(a_is_val ? "halves/of/it/train/B/1.jpg" : "halves/of/it/val/B/1.jpg", "store/b.jpg");
}

static void a_link_that_is_moved_still_leads_to_its_picture(void **state) {
    (void)state;
    char *report;
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    touch("store/a.jpg");
    touch("far/of_b/1.jpg");
    touch("s/C/1.jpg");
    touch("s/C/2.jpg");
    shell("mkdir -p s/A && ln -s ../../store/a.jpg s/A/1.jpg && ln -s ../far/of_b s/B");
    o.apply = 1;
    assert_int_equal(fn_dataset_prune(&report, at("s"), 2, &o), FN_OK);
    assert_has(report, "\"moved\": 2");
    assert_holds("s/.pruned/A/1.jpg", "store/a.jpg");
    assert_holds("s/.pruned/B/1.jpg", "far/of_b/1.jpg");
    assert_false(exists("s/A"));
    assert_false(exists("far/of_b/1.jpg"));
    assert_true(exists("store/a.jpg"));
    shell("mkdir s/A && ln -s ../../store/a.jpg s/A/1.jpg"); // a move that was cut short before its end
    assert_int_equal(fn_dataset_prune(&report, at("s"), 2, &o), FN_OK);
    assert_has(report, "\"moved\": 1");
    assert_holds("s/.pruned/A/1.jpg", "store/a.jpg");
    assert_false(exists("s/A"));
}

// ---- moves ----------------------------------------------------------------------------------------

static void a_move_onto_the_same_picture_only_takes_it_away(void **state) {
    (void)state;
    touch("a/1.jpg");
    shell("cp -r a b && cp -r a c && echo >>c/1.jpg");
    assert_int_equal(fn_file_move(at("c/1.jpg"), at("a/1.jpg")), FN_ECONFLICT);
    assert_true(exists("a/1.jpg"));
    assert_int_equal(fn_file_move(at("b/1.jpg"), at("a/1.jpg")), FN_OK);
    assert_false(exists("a/1.jpg"));
    assert_holds("b/1.jpg", "a/1.jpg");
}

static void a_move_onto_itself_never_loses_the_picture(void **state) {
    (void)state;
    touch("a/1.jpg");
    shell("ln -s a same && mkdir b && ln -s ../a/1.jpg b/1.jpg && ln a/1.jpg other.jpg");
    assert_int_equal(fn_file_move(at("a/1.jpg"), at("a/1.jpg")), FN_ECONFLICT);
    assert_int_equal(fn_file_move(at("same/1.jpg"), at("a/1.jpg")), FN_ECONFLICT);
    assert_int_equal(fn_file_move(at("a/../same/1.jpg"), at("a/1.jpg")), FN_ECONFLICT);
    assert_int_equal(fn_file_move(at("b/1.jpg"), at("a/1.jpg")), FN_ECONFLICT); // a link to what would go
    assert_holds("a/1.jpg", "a/1.jpg");
    assert_int_equal(fn_file_move(at("a/1.jpg"), at("b/1.jpg")), FN_OK); // only the link goes
    assert_holds("a/1.jpg", "a/1.jpg");
    assert_false(exists("b/1.jpg"));
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_file_move(at("other.jpg"), at("a/1.jpg"));
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        assert_int_equal(exists("a/1.jpg"), rc != FN_OK);
    }
    assert_holds("other.jpg", "a/1.jpg");
}

// ---- folders in each other --------------------------------------------------------------------------

static void what_is_made_lies_apart_from_what_is_read(void **state) {
    (void)state;
    char *report;
    fn_dataset *d;
    fn_inspect_options o = FN_INSPECT_OPTIONS_INIT;
    touch("s/A/1.jpg");
    touch("s/B/1.jpg");
    touch("far/of_c/1.jpg");
    shell("ln -s ../far/of_c s/C; ln -s s alias; mkdir other");
    assert_int_equal(fn_dataset_open(&d, at("s"), 1), FN_OK);
    const char *const bad[] = {"s", "s/crops",        "s/new/er", "alias/crops", "other/../s/x",   "",
                               ".", "nowhere/../s/x", "far",      "far/of_c",    "far/of_c/crops", "s/A"};
    const char *const good[] = {"crops", "s2", "s/.crops", "s/A/.x/y", "far/new", "other", "s/../new"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (fn_dataset_is_apart(d, at(bad[i])) != FN_EINVAL)
            fail_msg("%s passes", bad[i]);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (fn_dataset_is_apart(d, at(good[i])) != FN_OK)
            fail_msg("%s: %s", good[i], fn_last_error());
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_dataset_is_apart(d, at("crops"));
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
    }
    fn_dataset_free(d);

    assert_int_equal(fn_dataset_split(&report, at("s"), at("s/halves"), 0.4, 1), FN_EINVAL);
    assert_message_has("s/halves/train lies in ");
    assert_false(exists("s/halves"));
    assert_int_equal(fn_dataset_split(&report, at("s"), at("s"), 0.4, 1), FN_EINVAL);
    o.removed = at("s/gone");
    assert_int_equal(fn_dataset_prune(&report, at("s"), 2, &o), FN_EINVAL);
    o.removed = root;
    assert_int_equal(fn_dataset_prune(&report, at("s"), 2, &o), FN_EINVAL);
    assert_message_has("which is read");
    shell("mkdir data && cp -r s/A s/B data && mkdir -p data2/all && cp -r s/A s/B data2/all");
    assert_int_equal(fn_dataset_split(&report, at("data2/all"), at("data2"), 0.4, 1), FN_OK); // side by side
    fn_string_free(report);
    assert_true(exists("data2/val"));
}

// ---- splits that fail -------------------------------------------------------------------------------

static void a_split_that_cannot_be_made_leaves_nothing(void **state) {
    (void)state;
    char *report;
    touch("s/A/1.jpg");
    touch("s/B/1.jpg");
    touch("h/val/x");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("h"), 0.5, 1), FN_ECONFLICT);
    assert_message_has("h/val is there already");
    assert_false(exists("h/.train"));
    assert_true(exists("h/val/x"));
    shell("rm -r h/val");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("h"), 0.5, 1), FN_OK);
    fn_string_free(report);
    shell("rm -r h/train h/val && mkdir h/.val && touch h/.val/x");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("h"), 0.5, 1), FN_ECONFLICT);
    assert_false(exists("h/.train"));
    assert_true(exists("h/.val/x")); // not ours to take away
    shell("rm -r h/.val && ln -s /nowhere h/val");
    assert_int_equal(fn_dataset_split(&report, at("s"), at("h"), 0.5, 1), FN_ECONFLICT);
    shell("rm h/val");
    for (int n = 1, rc = FN_ENOMEM; rc != FN_OK; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_dataset_split(&report, at("s"), at("h"), 0.5, 1);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_ENOMEM || rc == FN_OK);
        assert_int_equal(exists("h/train") + exists("h/val"), rc == FN_OK ? 2 : 0);
        assert_int_equal(exists("h/.train") + exists("h/.val"), 0);
        fn_string_free(report);
    }
    assert_true(exists("s/A/1.jpg") && exists("s/B/1.jpg"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_cannot_be_read_is_skipped_with_a_word, clear),
        cmocka_unit_test_teardown(a_folder_without_permission_is_skipped, clear),
        cmocka_unit_test_teardown(skipping_without_memory_is_an_error_and_no_leak, clear),
        cmocka_unit_test_teardown(the_folder_of_a_person_may_be_a_link, clear),
        cmocka_unit_test_teardown(a_picture_that_is_a_link_can_be_read_in_both_halves, clear),
        cmocka_unit_test_teardown(a_link_that_is_moved_still_leads_to_its_picture, clear),
        cmocka_unit_test_teardown(a_move_onto_the_same_picture_only_takes_it_away, clear),
        cmocka_unit_test_teardown(a_move_onto_itself_never_loses_the_picture, clear),
        cmocka_unit_test_teardown(what_is_made_lies_apart_from_what_is_read, clear),
        cmocka_unit_test_teardown(a_split_that_cannot_be_made_leaves_nothing, clear),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
