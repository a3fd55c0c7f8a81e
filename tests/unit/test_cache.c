// SPDX-License-Identifier: Apache-2.0
//
// The cache of embeddings: what it gives back, how it survives damage, crashes and company, and that
// what is removed is really gone. Files of an open cache are read by a child process only: closing a
// file drops the locks that this process has on it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "store/cache.h"

#include <facenet/store.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FP_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FP_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PIPE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { DIMENSION = 128 };

typedef struct fixture {
    char folder[64];
    char path[80];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/facenet-cache-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/c.db", f->folder);
    setenv("XDG_CACHE_HOME", f->folder, 1);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

/// Repeatable noise: the vector and the hash of file number `file`.
static fn_cache_entry entry_of(float v[DIMENSION], unsigned file) {
    uint64_t x = file * 0x9E3779B97F4A7C15u + 1;
    double sum = 0;
    for (int i = 0; i < DIMENSION; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(x >> 11) * 0x1p-53 - 0.5);
        sum += (double)v[i] * (double)v[i];
    }
    for (int i = 0; i < DIMENSION; i++)
        v[i] = (float)((double)v[i] / sqrt(sum));
    fn_cache_entry e = {.missed = file % 3 == 0, .n_faces = file % 5, .vector = v};
    fn_sha256(e.sha256, &file, sizeof file);
    return e;
}

static int warnings;

static void count_warnings(void *user, fn_log_level level, const char *message) {
    (void)user;
    (void)message;
    warnings += level == FN_LOG_WARNING;
}

static int try_open(fn_cache **out, const char *path) {
    fn_control control = FN_CONTROL_INIT;
    control.log = count_warnings;
    return fn_cache_open(out, path, FP_A, PIPE, DIMENSION, &control);
}

static fn_cache *open_cache(const char *path) {
    fn_cache *cache;
    if (try_open(&cache, path) != FN_OK)
        fail_msg("%s", fn_last_error());
    return cache;
}

static void put(fn_cache *cache, unsigned file) {
    float v[DIMENSION];
    fn_cache_entry e = entry_of(v, file);
    if (fn_cache_put(cache, &e, 1) != FN_OK)
        fail_msg("%s", fn_last_error());
}

/// 1 when the file's vector is there, and then it is the right one.
static int has(fn_cache *cache, unsigned file) {
    float v[DIMENSION], got[DIMENSION];
    fn_cache_entry wanted = entry_of(v, file), e = {.vector = got};
    int found;
    memcpy(e.sha256, wanted.sha256, sizeof e.sha256);
    if (fn_cache_get(cache, &e, &found) != FN_OK)
        fail_msg("%s", fn_last_error());
    if (found) {
        assert_memory_equal(got, v, sizeof v);
        assert_int_equal(e.missed, wanted.missed);
        assert_int_equal(e.n_faces, wanted.n_faces);
    }
    return found;
}

static int forget(const char *path, unsigned file) {
    float v[DIMENSION];
    fn_cache_entry e = entry_of(v, file);
    return fn_cache_forget(path, (const unsigned char(*)[32])e.sha256, 1);
}

/// 1 when a part of the file's vector is in the cache's file, its log or its shared memory.
static int holds_vector(const char *path, unsigned file) {
    pid_t child = fork();
    if (child == 0) {
        static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
        float v[DIMENSION];
        entry_of(v, file);
        for (size_t e = 0; e < 4; e++) {
            char name[160];
            unsigned char *content;
            size_t size;
            snprintf(name, sizeof name, "%s%s", path, ends[e]);
            if (fn_read_file(&content, &size, name, 1u << 30) != FN_OK)
                continue;
            for (size_t i = 0; i + 32 <= size; i++)
                for (size_t part = 0; part + 8 <= DIMENSION; part += 8)
                    if (memcmp(content + i, v + part, 32) == 0)
                        _exit(1);
            fn_free(content);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_message_has(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' is not in the message: %s", part, fn_last_error());
}

static void vectors_come_back_bit_by_bit(void **state) {
    fixture *f = *state;
    fn_cache *cache = open_cache(f->path);
    assert_false(has(cache, 1));
    put(cache, 1);
    put(cache, 3);
    put(cache, 1); // replaces
    assert_true(has(cache, 1));
    assert_true(has(cache, 3));
    assert_false(has(cache, 2));
    fn_cache_free(cache);
    cache = open_cache(f->path);
    assert_true(has(cache, 3));
    fn_cache_free(cache);
    fn_cache_free(NULL);
}

static void other_models_and_pipelines_see_nothing(void **state) {
    fixture *f = *state;
    fn_cache *cache = open_cache(f->path), *other;
    put(cache, 1);
    assert_int_equal(fn_cache_open(&other, f->path, FP_B, PIPE, DIMENSION, NULL), FN_OK);
    assert_false(has(other, 1));
    put(other, 1);
    fn_cache_free(other);
    assert_int_equal(fn_cache_open(&other, f->path, FP_A, FP_B, DIMENSION, NULL), FN_OK);
    assert_false(has(other, 1));
    fn_cache_free(other);
    assert_int_equal(fn_cache_open(&other, f->path, FP_A, PIPE, 64, NULL), FN_OK);
    assert_false(has(other, 1)); // of another dimension: none
    fn_cache_free(other);
    fn_cache_free(cache);
    assert_int_equal(fn_cache_open(&other, f->path, "short", PIPE, DIMENSION, NULL), FN_EINVAL);
    assert_int_equal(fn_cache_open(&other, f->path, FP_A, PIPE, 0, NULL), FN_EINVAL);
    assert_null(other);
}

static void the_default_cache_is_private(void **state) {
    fixture *f = *state;
    char path[128];
    struct stat st;
    mode_t before = umask(0);
    fn_cache *cache = open_cache(NULL);
    umask(before);
    put(cache, 1);
    snprintf(path, sizeof path, "%s/facenet", f->folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/facenet/embeddings.db%s", f->folder, ends[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    fn_cache_free(cache);
}

static void names_special_to_sqlite_are_plain_files(void **state) {
    fixture *f = *state;
    char before[1024];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->folder), 0);
    static const char *const names[] = {":memory:", "file:x?mode=memory"};
    for (size_t i = 0; i < 2; i++) {
        fn_cache *cache = open_cache(names[i]);
        put(cache, 1);
        fn_cache_free(cache);
        assert_int_equal(access(names[i], F_OK), 0);
    }
    assert_int_equal(chdir(before), 0);
}

static void write_bytes(const char *path, const void *bytes, size_t n, size_t at) {
    FILE *file = fopen(path, at ? "r+" : "w");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static void fill(const char *path, unsigned n) {
    fn_cache *cache = open_cache(path);
    for (unsigned i = 0; i < n; i++)
        put(cache, i);
    fn_cache_free(cache);
}

static void a_damaged_cache_is_made_anew_after_a_warning(void **state) {
    fixture *f = *state;
    unsigned char noise[4096];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (unsigned char)(i * 167 + i / 256);
    for (size_t page = 0; page < 12; page++) {
        unlink(f->path);
        fill(f->path, 60);
        // The first hundred bytes say whose file it is; everything behind them may be broken.
        size_t at = page ? 4096 * page : 100;
        write_bytes(f->path, noise, page ? 4096 : 3996, at);
        warnings = 0;
        fn_cache *cache = open_cache(f->path);
        assert_int_equal(warnings, 1);
        assert_false(has(cache, 1));
        put(cache, 1);
        fn_cache_free(cache);
        warnings = 0;
        cache = open_cache(f->path);
        assert_int_equal(warnings, 0);
        assert_true(has(cache, 1));
        fn_cache_free(cache);
    }
    fill(f->path, 60);
    assert_int_equal(truncate(f->path, 5000), 0);
    warnings = 0;
    fn_cache_free(open_cache(f->path));
    assert_int_equal(warnings, 1);
}

static void at_the_default_place_any_damage_is_repaired(void **state) {
    fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/facenet/embeddings.db", f->folder);
    fill(NULL, 3);
    write_bytes(path, "this was a cache once, and now it is a text", 43, 0);
    warnings = 0;
    fn_cache *cache = open_cache(NULL);
    assert_int_equal(warnings, 1);
    put(cache, 1);
    assert_true(has(cache, 1));
    fn_cache_free(cache);
}

static void files_of_others_are_left_alone(void **state) {
    fixture *f = *state;
    static const char text[] =
        "10 300\nthese are somebody's pairs, and not a cache at all, however one looks\n";
    fn_cache *cache;
    unsigned char *content;
    size_t n;
    write_bytes(f->path, text, sizeof text, 0);
    assert_int_equal(try_open(&cache, f->path), FN_ESTORE);
    assert_null(cache);
    assert_message_has("not a cache");
    assert_int_equal(fn_read_file(&content, &n, f->path, 1000), FN_OK);
    assert_int_equal(n, sizeof text);
    assert_memory_equal(content, text, n);
    fn_free(content);
    // A gallery, given by mistake.
    char path[128];
    fn_gallery *gallery;
    snprintf(path, sizeof path, "%s/g.db", f->folder);
    assert_int_equal(fn_gallery_open(&gallery, path, NULL), FN_OK);
    fn_gallery_free(gallery);
    assert_int_equal(try_open(&cache, path), FN_ESTORE);
    assert_message_has("another program");
    assert_int_equal(fn_gallery_open(&gallery, path, NULL), FN_OK);
    fn_gallery_free(gallery);
    assert_int_equal(try_open(&cache, f->folder), FN_ESTORE);
    assert_int_equal(try_open(&cache, "/nowhere/c.db"), FN_ESTORE);
}

static void another_version_starts_anew_in_silence(void **state) {
    fixture *f = *state;
    sqlite3 *db;
    fill(f->path, 3);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 77", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    warnings = 0;
    fn_cache *cache = open_cache(f->path);
    assert_int_equal(warnings, 0);
    assert_false(has(cache, 1));
    fn_cache_free(cache);
    // A table that is not as we make it is damage.
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE embeddings RENAME missed TO m", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    fn_cache_free(open_cache(f->path));
    assert_int_equal(warnings, 1);
}

static void rows_nobody_writes_are_none(void **state) {
    fixture *f = *state;
    sqlite3 *db;
    fill(f->path, 3);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE embeddings SET vector = zeroblob(3)", NULL, NULL, NULL),
                     SQLITE_OK);
    fn_cache *cache = open_cache(f->path);
    assert_false(has(cache, 1));
    char digits[8 * DIMENSION + 1], nan_vector[sizeof digits + 64]; // all bits set: not a number
    memset(digits, 'f', sizeof digits - 1);
    digits[sizeof digits - 1] = 0;
    snprintf(nan_vector, sizeof nan_vector, "UPDATE embeddings SET vector = x'%s'", digits);
    assert_int_equal(sqlite3_exec(db, nan_vector, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_false(has(cache, 1));
    put(cache, 1); // and can be replaced
    assert_true(has(cache, 1));
    fn_cache_free(cache);
}

static void what_is_forgotten_leaves_no_byte_with_another_connection_open(void **state) {
    fixture *f = *state;
    fn_cache *other = open_cache(f->path), *second;
    for (unsigned i = 0; i < 300; i++)
        put(other, i * 7919 % 300);
    assert_int_equal(fn_cache_open(&second, f->path, FP_B, PIPE, DIMENSION, NULL), FN_OK);
    put(second, 42); // of the same file, by another model
    for (unsigned i = 0; i < 300; i += 42) {
        assert_true(holds_vector(f->path, i));
        assert_int_equal(forget(f->path, i), FN_OK);
        assert_false(holds_vector(f->path, i));
        assert_false(has(other, i));
    }
    assert_false(has(second, 42));
    assert_true(has(other, 1)); // the other connections go on
    put(other, 42);
    assert_true(has(other, 42));
    fn_cache_free(second);
    fn_cache_free(other);
}

static void forgetting_makes_no_cache(void **state) {
    fixture *f = *state;
    char path[128];
    assert_int_equal(forget(NULL, 1), FN_OK);
    assert_int_equal(forget(f->path, 1), FN_OK);
    snprintf(path, sizeof path, "%s/facenet", f->folder);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(f->path, F_OK), 0);
    unsetenv("XDG_CACHE_HOME");
    char *home = fn_strdup(getenv("HOME") ? getenv("HOME") : "");
    unsetenv("HOME");
    assert_int_equal(forget(NULL, 1), FN_OK); // no home, no cache
    setenv("HOME", home, 1);
    setenv("XDG_CACHE_HOME", f->folder, 1);
    fn_free(home);
}

static void an_interrupted_forgetting_is_finished_by_the_next_opening(void **state) {
    fixture *f = *state;
    sqlite3 *db;
    fill(f->path, 50);
    // A reader holds the old pages in the log: the bytes cannot go yet.
    fn_cache *cache = open_cache(f->path);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA secure_delete = OFF; BEGIN; DELETE FROM embeddings;"
                                  "UPDATE scrub SET pending = 1; COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    fn_cache_free(cache);
    assert_true(holds_vector(f->path, 7));
    fn_cache_free(open_cache(f->path));
    assert_false(holds_vector(f->path, 7));
}

static void a_removed_person_leaves_the_cache_too(void **state) {
    fixture *f = *state;
    char path[128], cache_path[128];
    fn_gallery *gallery;
    snprintf(path, sizeof path, "%s/g.db", f->folder);
    snprintf(cache_path, sizeof cache_path, "%s/facenet/embeddings.db", f->folder);
    assert_int_equal(fn_gallery_open(&gallery, path, NULL), FN_OK);
    for (unsigned i = 0; i < 20; i++) {
        float v[DIMENSION], gallery_vector[DIMENSION];
        fn_cache_entry e = entry_of(v, i);
        entry_of(gallery_vector, 1000 + i);
        fn_face_record r = {.embedding = gallery_vector,
                            .dimension = DIMENSION,
                            .fingerprint = FP_A,
                            .pipeline_id = PIPE,
                            .box = {1, 2, 3, 4}};
        memcpy(r.file_sha256, e.sha256, sizeof e.sha256);
        assert_int_equal(fn_gallery_add(gallery, i % 2 ? "Ada" : "Bob", &r, NULL), FN_OK);
    }
    assert_int_equal(fn_gallery_remove(gallery, "Nobody"), FN_ENOTFOUND);
    fill(NULL, 20);
    assert_true(holds_vector(cache_path, 3));

    // While another program writes to the cache nothing is removed anywhere.
    sqlite3 *db;
    assert_int_equal(sqlite3_open(cache_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(fn_gallery_remove(gallery, "Ada"), FN_ESTORE);
    assert_message_has("nobody was removed");
    sqlite3_close(db);
    uint64_t people, faces;
    assert_int_equal(fn_gallery_count(gallery, &people, &faces), FN_OK);
    assert_int_equal(people, 2);
    assert_int_equal(faces, 20);

    assert_int_equal(fn_gallery_remove(gallery, "Ada"), FN_OK);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(holds_vector(cache_path, i), i % 2 == 0);
    fn_gallery_free(gallery);
}

/// A process that puts, looks up and forgets; exits with 0 when all went well.
static void worker(const char *path, unsigned number) {
    fn_cache *cache;
    for (unsigned round = 0; round < 3; round++) {
        if (try_open(&cache, path) != FN_OK) {
            fprintf(stderr, "%s\n", fn_last_error());
            _exit(1);
        }
        for (unsigned i = 0; i < 15; i++) {
            float v[DIMENSION];
            unsigned file = number * 1000 + round * 100 + i;
            fn_cache_entry e = entry_of(v, file);
            if (fn_cache_put(cache, &e, 1) != FN_OK || !has(cache, file)) {
                fprintf(stderr, "%s\n", fn_last_error());
                _exit(2);
            }
        }
        fn_cache_free(cache);
        int rc = forget(path, number * 1000 + round * 100);
        if (rc != FN_OK && !strstr(fn_last_error(), "try again")) {
            fprintf(stderr, "%s\n", fn_last_error());
            _exit(3);
        }
    }
    _exit(0);
}

static void run_workers(const char *path) {
    pid_t children[4];
    for (unsigned i = 0; i < 4; i++)
        if ((children[i] = fork()) == 0)
            worker(path, i + 1);
    for (unsigned i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    fn_cache *cache = open_cache(path);
    for (unsigned i = 1; i <= 4; i++)
        for (unsigned round = 0; round < 3; round++)
            for (unsigned k = 1; k < 15; k++)
                assert_true(has(cache, i * 1000 + round * 100 + k));
    fn_cache_free(cache);
}

static void several_processes_share_a_cache_they_all_create(void **state) {
    fixture *f = *state;
    run_workers(f->path);
}

static void several_processes_repair_a_damaged_cache_once(void **state) {
    fixture *f = *state;
    unsigned char noise[4096];
    memset(noise, 0xA5, sizeof noise);
    fill(f->path, 60);
    write_bytes(f->path, noise, sizeof noise, 4096);
    run_workers(f->path);
}

static void a_killed_writer_leaves_a_healthy_cache(void **state) {
    fixture *f = *state;
    fill(f->path, 1);
    for (unsigned round = 0; round < 15; round++) {
        pid_t child = fork();
        if (child == 0) {
            fn_cache *cache = open_cache(f->path);
            for (unsigned i = 0;; i++) {
                put(cache, i % 500);
                if (i % 16 == 0)
                    forget(f->path, i % 500);
            }
        }
        nanosleep(&(struct timespec){0, 20000000 + 3000000 * (long)round}, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        warnings = 0;
        fn_cache *cache = open_cache(f->path);
        assert_int_equal(warnings, 0);
        for (unsigned i = 0; i < 500; i++)
            has(cache, i); // absent, or right
        put(cache, 1);
        fn_cache_free(cache);
    }
}

static void each_failing_allocation_is_an_error_and_nothing_else(void **state) {
    fixture *f = *state;
    fill(f->path, 3);
    fill(NULL, 3);
    int64_t n = 0;
    for (;;) {
        fn_cache *cache = NULL;
        fn_alloc_fail_nth(++n);
        int rc = try_open(&cache, n % 2 ? f->path : NULL);
        if (rc == FN_OK)
            rc = forget(n % 2 ? f->path : NULL, 1);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        fn_cache_free(cache);
        if (count < n)
            break;
        assert_int_equal(rc, FN_ENOMEM);
    }
    assert_true(n > 8);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(vectors_come_back_bit_by_bit),
        TEST(other_models_and_pipelines_see_nothing),
        TEST(the_default_cache_is_private),
        TEST(names_special_to_sqlite_are_plain_files),
        TEST(a_damaged_cache_is_made_anew_after_a_warning),
        TEST(at_the_default_place_any_damage_is_repaired),
        TEST(files_of_others_are_left_alone),
        TEST(another_version_starts_anew_in_silence),
        TEST(rows_nobody_writes_are_none),
        TEST(what_is_forgotten_leaves_no_byte_with_another_connection_open),
        TEST(forgetting_makes_no_cache),
        TEST(an_interrupted_forgetting_is_finished_by_the_next_opening),
        TEST(a_removed_person_leaves_the_cache_too),
        TEST(several_processes_share_a_cache_they_all_create),
        TEST(several_processes_repair_a_damaged_cache_once),
        TEST(a_killed_writer_leaves_a_healthy_cache),
        TEST(each_failing_allocation_is_an_error_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
