// SPDX-License-Identifier: Apache-2.0
//
// What a gallery goes through in its life: killed processes, full disks, read-only media, memory that
// runs out, two programs at once. What was acknowledged stays, what was not leaves no trace.
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/path.h"

#include <errno.h>
#include <facenet/store.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FP "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { DIMENSION = 128, SKIPPED = 77, MAX_PICTURES = 100000 };

/// Fails the child process that runs it, saying where.
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition, fn_last_error()); \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

static char folder[64], path[90];

/// Under `parent`, a new folder with no gallery in it yet.
static void new_folder(const char *parent) {
    snprintf(folder, sizeof folder, "%s/facenet-faults-XXXXXX", parent);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/g.db", folder);
}

static int set_up(void **state) {
    (void)state;
    new_folder("/tmp");
    return 0;
}

/// For tests that make many galleries and ask nothing of the disk.
static int set_up_in_memory(void **state) {
    (void)state;
    new_folder(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/// Picture number `picture` of a person. The number can be read back from the path.
static fn_face_record record_of(float v[DIMENSION], char label[16], unsigned picture) {
    double sum = 0;
    uint64_t x = picture * 0x9E3779B97F4A7C15u + 1;
    for (int i = 0; i < DIMENSION; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(x >> 11) * 0x1p-53 - 0.5);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIMENSION; i++)
        v[i] = (float)(v[i] / sqrt(sum));
    int n = snprintf(label, 16, "%u", picture);
    fn_face_record r = {.embedding = v,
                        .dimension = DIMENSION,
                        .fingerprint = FP,
                        .pipeline_id = FP,
                        .source_path = label,
                        .source_path_len = (size_t)n,
                        .box = {1, 2, 3, 4}};
    fn_sha256(r.file_sha256, &picture, sizeof picture);
    return r;
}

static int add(fn_gallery *gallery, const char *name, unsigned picture, fn_added *added) {
    float v[DIMENSION];
    char label[16];
    fn_face_record r = record_of(v, label, picture);
    return fn_gallery_add(gallery, name, &r, added);
}

static int integrity_is_ok(const char *file) {
    sqlite3 *db;
    sqlite3_stmt *st = NULL;
    int ok = sqlite3_open(file, &db) == SQLITE_OK &&
             sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL) == SQLITE_OK &&
             sqlite3_step(st) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
    sqlite3_finalize(st);
    ok = ok && sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &st, NULL) == SQLITE_OK &&
         sqlite3_step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    sqlite3_close(db);
    return ok;
}

/// Which pictures a gallery holds, read through its own functions.
typedef struct held {
    fn_gallery *gallery;
    unsigned char picture[MAX_PICTURES]; // how often
    unsigned n_people, n_faces;
    int rc;
} held;

static int hold_face(void *user, const fn_face_record *record) {
    held *h = user;
    char label[16] = "";
    memcpy(label, record->source_path, record->source_path_len);
    h->picture[atol(label)]++;
    h->n_faces++;
    return 0;
}

static int hold_person(void *user, const fn_person *person) {
    held *h = user;
    h->n_people++;
    unsigned before = h->n_faces;
    h->rc = fn_gallery_faces(h->gallery, person->name, hold_face, h);
    return h->rc != FN_OK || h->n_faces == before; // a person without faces is half a row
}

static held holds; // large

static void read_held(const char *file) {
    memset(&holds, 0, sizeof holds);
    fn_gallery *gallery;
    uint64_t people, faces;
    int rc = fn_gallery_open(&gallery, file, NULL);
    if (rc != FN_OK)
        fail_msg("%s", fn_last_error());
    holds.gallery = gallery;
    assert_int_equal(fn_gallery_people(gallery, hold_person, &holds), FN_OK);
    assert_int_equal(holds.rc, FN_OK);
    assert_int_equal(fn_gallery_count(gallery, &people, &faces), FN_OK);
    assert_int_equal(people, holds.n_people);
    assert_int_equal(faces, holds.n_faces);
    fn_gallery_free(gallery);
    assert_true(integrity_is_ok(file));
}

static void person_name(char name[20], unsigned picture) {
    snprintf(name, 20, "person %u.", picture);
}

/// 1 when the name stands anywhere in the gallery's file. No handle is open in this process.
static int name_is_in_file(unsigned picture) {
    char name[20];
    unsigned char *content;
    size_t size;
    person_name(name, picture);
    assert_int_equal(fn_read_file(&content, &size, path, 1 << 28), FN_OK);
    int found = memmem(content, size, name, strlen(name)) != NULL;
    fn_free(content);
    return found;
}

/// Enrols pictures from `first` on for ever, and says each number once it is acknowledged. Every
/// tenth time a person is removed again: the number comes back with the top bit set.
static _Noreturn void enrol_until_killed(int out, unsigned first) {
    fn_gallery *gallery;
    CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
    for (unsigned picture = first;; picture++) {
        char name[20];
        person_name(name, picture);
        CHECK(add(gallery, name, picture, NULL) == FN_OK);
        CHECK(write(out, &picture, sizeof picture) == sizeof picture);
        if (picture % 10 == 9) {
            unsigned gone = picture | 1u << 31;
            CHECK(fn_gallery_remove(gallery, name) == FN_OK);
            CHECK(write(out, &gone, sizeof gone) == sizeof gone);
        }
    }
}

static void what_a_killed_process_acknowledged_stays(void **state) {
    (void)state;
    static unsigned char expected[MAX_PICTURES]; // 1: must be there, 2: must not
    unsigned next = 0, n_rounds = 0, n_acknowledged = 0, seed = 12345;
    int64_t until = fn_clock_ms() + 4000;
    memset(expected, 0, sizeof expected);
    while (fn_clock_ms() < until && n_rounds < 150) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0)
            enrol_until_killed(ends[1], next);
        close(ends[1]);
        // Every other time the clock starts at the first acknowledgement, however slow the disk is.
        if (n_rounds % 2)
            poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 3000);
        seed = seed * 1103515245 + 12345;
        nanosleep(&(struct timespec){0, 100000 + (long)(seed >> 8) % 40000000}, NULL); // up to 40 ms
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        unsigned said;
        while (read(ends[0], &said, sizeof said) == sizeof said) {
            unsigned picture = said & ~(1u << 31);
            assert_true(picture < MAX_PICTURES - 1);
            expected[picture] = said == picture ? 1 : 2;
            next = picture + 1;
            n_acknowledged++;
        }
        close(ends[0]);
        next += 2; // the one in the making may be there or not
        if (access(path, F_OK) == 0)
            read_held(path); // recovers, as any program would after the crash
        // Removed in any way, even killed between the removal and the overwriting: no trace.
        for (unsigned i = next > 30 ? next - 30 : 0; i < next && access(path, F_OK) == 0; i++)
            if (name_is_in_file(i) != holds.picture[i])
                fail_msg("round %u: picture %u is %sheld, its name tells otherwise", n_rounds, i,
                         holds.picture[i] ? "" : "not ");
        for (unsigned i = 0; i < next; i++) {
            int is_last_removal = i % 10 == 9; // acknowledged, and perhaps its removal came through
            if (expected[i] == 1 && holds.picture[i] != 1 && !is_last_removal)
                fail_msg("round %u: picture %u was acknowledged and is lost", n_rounds, i);
            if (expected[i] == 2 && holds.picture[i] != 0)
                fail_msg("round %u: picture %u was removed and is back", n_rounds, i);
        }
        n_rounds++;
    }
    print_message("%u rounds, %u acknowledged, %u held\n", n_rounds, n_acknowledged, holds.n_faces);
    assert_true(n_rounds >= 2 && n_acknowledged > 0);
}

/// Waits for a child; its output goes where ours goes. A skip comes with its reason printed.
static void await(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void two_processes_enrolling_lose_and_double_nothing(void **state) {
    (void)state;
    pid_t children[3];
    for (unsigned c = 0; c < 3; c++) {
        children[c] = fork();
        if (children[c] != 0)
            continue;
        fn_gallery *gallery; // which the three also create at once
        fn_added added;
        CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
        for (unsigned i = 0; i < 40; i++) {
            char name[20];
            snprintf(name, sizeof name, "p%u", i % 7);
            CHECK(add(gallery, name, 1000 * c + i, &added) == FN_OK && added == FN_ADDED_NEW);
            CHECK(add(gallery, name, 5000 + i % 7, &added) == FN_OK); // the same for all
        }
        fn_gallery_free(gallery);
        _exit(0);
    }
    for (unsigned c = 0; c < 3; c++)
        await(children[c]);
    read_held(path);
    assert_int_equal(holds.n_people, 7);
    assert_int_equal(holds.n_faces, 3 * 40 + 7);
    for (unsigned i = 0; i < MAX_PICTURES; i++)
        assert_true(holds.picture[i] <= 1);
}

static void write_text(const char *file, const char *text) {
    int fd = open(file, O_WRONLY);
    if (fd >= 0 && write(fd, text, strlen(text)) < 0)
        fprintf(stderr, "%s: %s\n", file, strerror(errno));
    if (fd >= 0)
        close(fd);
}

/// In a child: a file system of its own at `folder`, seen by nobody else and gone with the child. An
/// ordinary user is root in a world of its own, where that is allowed.
static void mount_here(const char *options) {
    char uid[40], gid[40];
    snprintf(uid, sizeof uid, "0 %u 1", (unsigned)getuid());
    snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getgid());
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0) {
        write_text("/proc/self/setgroups", "deny");
        write_text("/proc/self/uid_map", uid);
        write_text("/proc/self/gid_map", gid);
    }
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("facenet", folder, "tmpfs", 0, options)) {
        printf("skipped: a small file system cannot be mounted here: %s\n", strerror(errno));
        fflush(stdout);
        _exit(SKIPPED);
    }
}

/// Fills the file system but for about `left` bytes.
static void fill_disk(const char *file, off_t left) {
    static char block[1024];
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    off_t size = 0;
    CHECK(fd >= 0);
    for (;;) {
        ssize_t n = write(fd, block, sizeof block);
        if (n <= 0)
            break;
        size += n;
    }
    CHECK(size > left && ftruncate(fd, size - left) == 0);
    close(fd);
}

static void count_is(fn_gallery *gallery, uint64_t n) {
    uint64_t people, faces;
    CHECK(fn_gallery_count(gallery, &people, &faces) == FN_OK);
    CHECK(faces == n);
}

static void a_full_disk_is_a_clear_error_and_keeps_what_was_there(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child != 0) {
        await(child);
        return;
    }
    mount_here("size=4m");
    char filler[100];
    snprintf(filler, sizeof filler, "%s/filler", folder);
    fn_gallery *gallery;
    unsigned n = 0;

    // From plenty of room to none: every failure keeps the count.
    CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
    for (; n < 20; n++)
        CHECK(add(gallery, "Ada", n, NULL) == FN_OK);
    static const off_t lefts[] = {300 << 10, 80 << 10, 40 << 10, 20 << 10, 12 << 10, 8 << 10, 4 << 10, 0};
    for (size_t i = 0; i < sizeof lefts / sizeof *lefts; i++) {
        fill_disk(filler, lefts[i]);
        int rc = FN_OK;
        while ((rc = add(gallery, "Ada", n, NULL)) == FN_OK)
            n++;
        CHECK(rc == FN_ESTORE);
        CHECK(strstr(fn_last_error(), "full") || strstr(fn_last_error(), "No space"));
        CHECK(strstr(fn_last_error(), path));
        count_is(gallery, n);
        CHECK(unlink(filler) == 0);
    }
    CHECK(n > 20);
    // A removal either happens, or says what is left to do; opening finishes it.
    fill_disk(filler, 12 * 1024);
    CHECK(add(gallery, "Eve", 90000, NULL) == FN_ESTORE || (n++, 1));
    CHECK(unlink(filler) == 0);
    CHECK(add(gallery, "Mallory", 90001, NULL) == FN_OK);
    fill_disk(filler, 4 * 1024);
    int rc = fn_gallery_remove(gallery, "Mallory");
    CHECK(rc == FN_OK || rc == FN_ESTORE);
    CHECK(unlink(filler) == 0);
    fn_gallery_free(gallery);
    CHECK(integrity_is_ok(path));
    // A gallery cannot be made without room, and what is begun does no harm later.
    fill_disk(filler, 2 * 1024);
    char second[100];
    snprintf(second, sizeof second, "%s/second.db", folder);
    CHECK(fn_gallery_open(&gallery, second, NULL) == FN_ESTORE && gallery == NULL);
    CHECK(strstr(fn_last_error(), "full") || strstr(fn_last_error(), "No space"));
    CHECK(unlink(filler) == 0);
    CHECK(fn_gallery_open(&gallery, second, NULL) == FN_OK);
    CHECK(add(gallery, "Ada", 1, NULL) == FN_OK);
    fn_gallery_free(gallery);
    _exit(0);
}

static void a_read_only_medium_can_be_read(void **state) {
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child != 0) {
        await(child);
        return;
    }
    mount_here("size=4m");
    fn_gallery *gallery;
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    options.read_only = 1;
    CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
    CHECK(add(gallery, "Ada", 1, NULL) == FN_OK);
    fn_gallery_free(gallery);
    CHECK(mount("facenet", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m") == 0);
    CHECK(fn_gallery_open(&gallery, path, &options) == FN_OK);
    count_is(gallery, 1);
    CHECK(add(gallery, "Eve", 2, NULL) == FN_ESTORE);
    fn_gallery_free(gallery);
    CHECK(fn_gallery_open(&gallery, path, NULL) == FN_ESTORE);
    CHECK(strstr(fn_last_error(), "cannot be written"));

    // A writer that died left a log, which must not be ignored.
    CHECK(mount("facenet", folder, "tmpfs", MS_REMOUNT, "size=4m") == 0);
    pid_t writer = fork();
    if (writer == 0) {
        CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
        CHECK(add(gallery, "Grace", 3, NULL) == FN_OK);
        _exit(0); // without closing
    }
    int status;
    CHECK(waitpid(writer, &status, 0) == writer && status == 0);
    CHECK(mount("facenet", folder, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m") == 0);
    CHECK(fn_gallery_open(&gallery, path, &options) == FN_ESTORE);
    CHECK(strstr(fn_last_error(), "write-ahead log"));
    CHECK(mount("facenet", folder, "tmpfs", MS_REMOUNT, "size=4m") == 0);
    CHECK(fn_gallery_open(&gallery, path, NULL) == FN_OK);
    count_is(gallery, 2);
    fn_gallery_free(gallery);
    _exit(0);
}

static int visit_face(void *user, const fn_face_record *record) {
    (void)user;
    return record->dimension != DIMENSION;
}

static int visit_person(void *user, const fn_person *person) {
    return fn_gallery_faces(user, person->name, visit_face, NULL) != FN_OK;
}

/// A short life of a gallery; the first error ends it. *n_known is how many faces were acknowledged.
static int live(unsigned *n_known) {
    fn_gallery *gallery = NULL;
    fn_index *index = NULL;
    *n_known = 0;
    int rc = fn_gallery_open(&gallery, path, NULL);
    for (unsigned i = 0; rc == FN_OK && i < 6; i++) {
        char name[10];
        snprintf(name, sizeof name, "p%u", i % 3);
        rc = add(gallery, name, i, NULL);
        *n_known += rc == FN_OK;
    }
    if (rc == FN_OK) {
        float v[3][DIMENSION];
        char labels[3][16];
        fn_face_record r[3] = {record_of(v[0], labels[0], 10), record_of(v[1], labels[1], 11),
                               record_of(v[2], labels[2], 12)};
        int status[3];
        rc = fn_gallery_add_many(gallery, (const char *[]){"q0", "q1", "q2"}, r, 3, status);
        for (int i = 0; rc == FN_OK && i < 3; i++)
            *n_known += status[i] == FN_ADDED_NEW;
        for (int i = 0; rc == FN_OK && i < 3; i++)
            rc = status[i] < 0 ? status[i] : FN_OK;
    }
    if (rc == FN_OK)
        rc = fn_gallery_people(gallery, visit_person, gallery);
    if (rc == FN_OK)
        rc = fn_gallery_faces(gallery, "p1", visit_face, NULL);
    if (rc == FN_OK)
        rc = fn_gallery_index(gallery, FP, DIMENSION, &index);
    if (rc == FN_OK)
        rc = fn_gallery_rename(gallery, "q0", "r0");
    if (rc == FN_OK)
        rc = fn_gallery_merge(gallery, "q1", "q2");
    fn_index_free(index);
    fn_gallery_free(gallery);
    return rc;
}

static void start_afresh(void) {
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < 4; i++) {
        char name[100];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void each_failing_allocation_of_ours_leaves_no_half_row(void **state) {
    (void)state;
    unsigned known;
    int64_t n = 0;
    assert_int_equal(live(&known), FN_OK);
    assert_int_equal(known, 9);
    for (;;) {
        start_afresh();
        fn_alloc_fail_nth(++n);
        int rc = live(&known);
        int64_t count = fn_alloc_count();
        fn_alloc_fail_nth(0);
        if (access(path, F_OK) == 0) {
            read_held(path);
            assert_int_equal(holds.n_faces, known);
        }
        if (count < n)
            break;
        // Walking the people inside a visit stops there, so its failure may not come back from live().
        if (rc != FN_ENOMEM && rc != FN_OK)
            fail_msg("allocation %d: %s: %s", (int)n, fn_error_name(rc), fn_last_error());
    }
    print_message("%d allocations failed in turn\n", (int)n - 1);
    assert_true(n > 20);
}

static void memory_that_sqlite_cannot_have_is_an_error_like_any_other(void **state) {
    (void)state;
    unsigned known;
    int n_failed = 0;
    for (int64_t limit = 40000; limit < 400000; limit += 7000) {
        start_afresh();
        sqlite3_hard_heap_limit64(limit);
        int rc = live(&known);
        sqlite3_hard_heap_limit64(0);
        if (rc != FN_OK && rc != FN_ENOMEM && rc != FN_ESTORE)
            fail_msg("limit %d: %s", (int)limit, fn_error_name(rc));
        n_failed += rc != FN_OK;
        if (access(path, F_OK) == 0) {
            read_held(path);
            assert_int_equal(holds.n_faces, known);
        }
    }
    print_message("%d lives ended early\n", n_failed);
    assert_true(n_failed > 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_IN_MEMORY(name) cmocka_unit_test_setup_teardown(name, set_up_in_memory, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_a_killed_process_acknowledged_stays),
        TEST(two_processes_enrolling_lose_and_double_nothing),
        TEST(a_full_disk_is_a_clear_error_and_keeps_what_was_there),
        TEST(a_read_only_medium_can_be_read),
        TEST_IN_MEMORY(each_failing_allocation_of_ours_leaves_no_half_row),
        TEST_IN_MEMORY(memory_that_sqlite_cannot_have_is_an_error_like_any_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
