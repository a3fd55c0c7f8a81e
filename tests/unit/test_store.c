// SPDX-License-Identifier: Apache-2.0
//
// The gallery: what is kept, refused, found again and really gone. Files of an open gallery are read
// by a child process only: closing a file drops the locks that this process has on it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <facenet/store.h>
#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FP_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FP_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PIPE "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { DIMENSION = 128 };

typedef struct fixture {
    char folder[64];
    char path[80];
    fn_gallery *gallery;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/facenet-store-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/g.db", f->folder);
    *state = f;
    return fn_gallery_open(&f->gallery, f->path, NULL);
}

static int tear_down(void **state) {
    fixture *f = *state;
    fn_gallery_free(f->gallery);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int rc = system(command);
    free(f);
    return rc;
}

static void reopen(fixture *f) {
    fn_gallery_free(f->gallery);
    f->gallery = NULL;
    int rc = fn_gallery_open(&f->gallery, f->path, NULL);
    if (rc != FN_OK)
        fail_msg("%s", fn_last_error());
}

/// Repeatable noise: vector number `seed`.
static void vector_of(float v[DIMENSION], unsigned seed) {
    uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
    double sum = 0;
    for (int i = 0; i < DIMENSION; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        v[i] = (float)((double)(x >> 11) * 0x1p-53 - 0.5);
        sum += (double)v[i] * v[i];
    }
    for (int i = 0; i < DIMENSION; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

/// A face of picture number `picture`; v holds its vector.
static fn_face_record record_of(float v[DIMENSION], unsigned picture) {
    static char path[] = "photos/with \xff odd bytes.jpg";
    vector_of(v, picture);
    fn_face_record r = {.embedding = v,
                        .dimension = DIMENSION,
                        .fingerprint = FP_A,
                        .pipeline_id = PIPE,
                        .source_path = path,
                        .source_path_len = sizeof path - 1,
                        .box = {10, 20, 30, 40},
                        .taken_at = "2001-02-03 04:05:06"};
    fn_sha256(r.file_sha256, &picture, sizeof picture);
    return r;
}

static void add(fn_gallery *gallery, const char *name, unsigned picture) {
    float v[DIMENSION];
    fn_face_record r = record_of(v, picture);
    fn_added added = 0;
    int rc = fn_gallery_add(gallery, name, &r, &added);
    if (rc != FN_OK || added != FN_ADDED_NEW)
        fail_msg("%s: %s", fn_error_name(rc), fn_last_error());
}

static void assert_count(fn_gallery *gallery, uint64_t n_people, uint64_t n_faces) {
    uint64_t people = 99, faces = 99;
    assert_int_equal(fn_gallery_count(gallery, &people, &faces), FN_OK);
    assert_int_equal(people, n_people);
    assert_int_equal(faces, n_faces);
}

static void assert_message_has(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' is not in the message: %s", part, fn_last_error());
}

/// 1 when the bytes are in the gallery's file, its log or its shared memory.
static int holds_bytes(const fixture *f, const void *bytes, size_t n) {
    pid_t child = fork();
    if (child == 0) {
        static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
        for (size_t e = 0; e < 4; e++) {
            char name[100];
            unsigned char *content;
            size_t size;
            snprintf(name, sizeof name, "%s%s", f->path, ends[e]);
            if (fn_read_file(&content, &size, name, 1u << 30) != FN_OK)
                continue;
            for (size_t i = 0; i + n <= size; i++)
                if (memcmp(content + i, bytes, n) == 0)
                    _exit(1);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/// 1 when any 32 bytes of the vector are there: a half-overwritten copy counts.
static int holds_vector(const fixture *f, unsigned picture) {
    float v[DIMENSION];
    vector_of(v, picture);
    return holds_bytes(f, v, 32) || holds_bytes(f, v + DIMENSION / 2, 32) ||
           holds_bytes(f, v + DIMENSION - 8, 32);
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
    sqlite3_close(db);
}

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

static void files_are_private_whatever_the_umask(void **state) {
    fixture *f = *state;
    static const mode_t masks[] = {0, 022, 0777};
    for (size_t i = 0; i < 3; i++) {
        char path[100], log[120], shared[120];
        snprintf(path, sizeof path, "%s/m%zu.db", f->folder, i);
        snprintf(log, sizeof log, "%s-wal", path);
        snprintf(shared, sizeof shared, "%s-shm", path);
        mode_t before = umask(masks[i]);
        fn_gallery *gallery;
        int rc = fn_gallery_open(&gallery, path, NULL);
        if (rc == FN_OK)
            add(gallery, "Ada", 1);
        umask(before);
        assert_int_equal(rc, FN_OK);
        assert_int_equal(mode_of(path), 0600);
        assert_int_equal(mode_of(log), 0600);
        assert_int_equal(mode_of(shared), 0600);
        fn_gallery_free(gallery);
    }
}

static void the_default_gallery_stands_in_a_private_folder(void **state) {
    fixture *f = *state;
    char folder[100], path[120];
    setenv("XDG_DATA_HOME", f->folder, 1);
    snprintf(folder, sizeof folder, "%s/facenet", f->folder);
    snprintf(path, sizeof path, "%s/gallery.db", folder);
    fn_gallery *gallery;
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    options.read_only = 1;
    assert_int_equal(fn_gallery_open(&gallery, NULL, &options), FN_ESTORE);
    assert_int_equal(access(folder, F_OK), -1); // reading makes nothing
    mode_t before = umask(0);
    int rc = fn_gallery_open(&gallery, NULL, NULL);
    umask(before);
    assert_int_equal(rc, FN_OK);
    assert_string_equal(fn_gallery_path(gallery), path);
    assert_int_equal(mode_of(folder), 0700);
    assert_int_equal(mode_of(path), 0600);
    fn_gallery_free(gallery);
    unsetenv("XDG_DATA_HOME");
}

static void odd_paths_are_files_all_the_same(void **state) {
    fixture *f = *state;
    static const char *const names[] = {":memory:", "file:x?mode=memory", "a%20b#c?.db"};
    char before[200];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->folder), 0);
    for (size_t i = 0; i < 3; i++) {
        fn_gallery *gallery;
        fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
        assert_int_equal(fn_gallery_open(&gallery, names[i], NULL), FN_OK);
        add(gallery, "Ada", 1);
        fn_gallery_free(gallery);
        assert_int_equal(mode_of(names[i]), 0600);
        options.read_only = 1;
        assert_int_equal(fn_gallery_open(&gallery, names[i], &options), FN_OK);
        assert_count(gallery, 1, 1);
        fn_gallery_free(gallery);
    }
    assert_int_equal(chdir(before), 0);
    fn_gallery *gallery;
    assert_int_equal(fn_gallery_open(&gallery, "", NULL), FN_EINVAL);
    assert_null(gallery);
}

static int check_face(void *user, const fn_face_record *r) {
    float v[DIMENSION];
    fn_face_record expected = record_of(v, 7);
    assert_int_equal(r->dimension, DIMENSION);
    assert_memory_equal(r->embedding, v, sizeof v);
    assert_string_equal(r->fingerprint, FP_A);
    assert_string_equal(r->pipeline_id, PIPE);
    assert_int_equal(r->source_path_len, expected.source_path_len);
    assert_memory_equal(r->source_path, expected.source_path, r->source_path_len);
    assert_memory_equal(r->file_sha256, expected.file_sha256, 32);
    assert_memory_equal(&r->box, &expected.box, sizeof r->box);
    assert_string_equal(r->taken_at, "2001-02-03 04:05:06");
    assert_true(r->added_ms > 1500000000000);
    assert_int_equal(r->crop_jpeg_len, 3);
    assert_memory_equal(r->crop_jpeg, "\1\0\2", 3);
    ++*(int *)user;
    return 0;
}

static int check_bare_face(void *user, const fn_face_record *r) {
    assert_null(r->source_path);
    assert_int_equal(r->source_path_len, 0);
    assert_null(r->crop_jpeg);
    assert_null(r->taken_at);
    ++*(int *)user;
    return 0;
}

static void a_face_comes_back_as_it_was_put(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    int seen = 0;
    fn_face_record r = record_of(v, 7);
    r.crop_jpeg = "\1\0\2";
    r.crop_jpeg_len = 3;
    assert_int_equal(fn_gallery_add(f->gallery, "Zo\xc3\xab O'Neil; DROP TABLE", &r, NULL), FN_OK);
    r = record_of(v, 8);
    r.source_path = NULL;
    r.source_path_len = 0;
    r.taken_at = "";
    assert_int_equal(fn_gallery_add(f->gallery, "Bare", &r, NULL), FN_OK);
    reopen(f);
    assert_int_equal(fn_gallery_faces(f->gallery, "Zo\xc3\xab O'Neil; DROP TABLE", check_face, &seen), FN_OK);
    assert_int_equal(seen, 1);
    assert_int_equal(fn_gallery_faces(f->gallery, "Bare", check_bare_face, &seen), FN_OK);
    assert_int_equal(seen, 2);
    assert_int_equal(fn_gallery_faces(f->gallery, "Nobody", check_face, &seen), FN_ENOTFOUND);
    assert_message_has("'Nobody'");
}

static void the_same_picture_again_adds_nothing(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    fn_added added;
    add(f->gallery, "Ada", 1);
    fn_face_record r = record_of(v, 1);
    assert_int_equal(fn_gallery_add(f->gallery, "Ada", &r, &added), FN_OK);
    assert_int_equal(added, FN_ADDED_ALREADY);
    r.box.x += 5; // still more than half in common
    assert_int_equal(fn_gallery_add(f->gallery, "Ada", &r, &added), FN_OK);
    assert_int_equal(added, FN_ADDED_ALREADY);
    assert_count(f->gallery, 1, 1);
    r.box.x += 100; // another face of the same picture
    assert_int_equal(fn_gallery_add(f->gallery, "Grace", &r, &added), FN_OK);
    assert_int_equal(added, FN_ADDED_NEW);
    assert_count(f->gallery, 2, 2);
}

static void the_same_face_under_another_name_is_a_conflict(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    fn_added added = 0;
    add(f->gallery, "Ada", 1);
    fn_face_record r = record_of(v, 1);
    assert_int_equal(fn_gallery_add(f->gallery, "Grace", &r, &added), FN_ECONFLICT);
    assert_string_equal(
        fn_last_error(),
        "photos/with \xff odd bytes.jpg: this face is already enrolled as 'Ada', not 'Grace'");
    r.box.x += 9.9f; // 20.1 of 39.9 in common: just the same face
    assert_int_equal(fn_gallery_add(f->gallery, "Grace", &r, &added), FN_ECONFLICT);
    r.box.x += 0.2f; // 19.9 of 40.1: another one
    assert_int_equal(fn_gallery_add(f->gallery, "Grace", &r, &added), FN_OK);
    assert_count(f->gallery, 2, 2);
    r = record_of(v, 1);
    r.fingerprint = FP_B; // another model may see it anew
    assert_int_equal(fn_gallery_add(f->gallery, "Grace", &r, &added), FN_OK);
    assert_int_equal(added, FN_ADDED_NEW);
    assert_count(f->gallery, 2, 3);
}

static void one_bad_item_never_fails_the_rest(void **state) {
    fixture *f = *state;
    float v[6][DIMENSION];
    fn_face_record r[6];
    const char *names[6] = {"Ada", "", "Grace", "Ada", "Edsger", "New"};
    int status[6];
    for (unsigned i = 0; i < 6; i++)
        r[i] = record_of(v[i], i);
    v[2][3] = NAN;
    memcpy(r[3].file_sha256, r[0].file_sha256, 32); // Ada again
    memcpy(r[4].file_sha256, r[0].file_sha256, 32); // Ada's face as Edsger's
    assert_int_equal(fn_gallery_add_many(f->gallery, names, r, 6, status), FN_OK);
    static const int expected[] = {FN_ADDED_NEW,     FN_EINVAL,    FN_EINVAL,
                                   FN_ADDED_ALREADY, FN_ECONFLICT, FN_ADDED_NEW};
    for (int i = 0; i < 6; i++)
        assert_int_equal(status[i], expected[i]);
    assert_count(f->gallery, 2, 2); // no empty person is left of the refused ones
    assert_int_equal(fn_gallery_add_many(f->gallery, NULL, NULL, 0, NULL), FN_OK);
}

static void bad_names_are_refused(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    fn_face_record r = record_of(v, 1);
    char longest[202];
    memset(longest, 'x', sizeof longest);
    longest[201] = 0;
    const char *const bad[] = {NULL,   "",      " Ada",         "Ada ",       "A\nda",
                               "\x7f", "\xc3",  "\xff\xfe",     "A\xc2\x85",  "\xe2\x80\xa8",
                               "\t",   longest, "\xed\xa0\x80", "A\x1b[31mB", "\xf5\x80\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fn_gallery_add(f->gallery, bad[i], &r, NULL), FN_EINVAL);
    assert_count(f->gallery, 0, 0);
    assert_int_equal(fn_gallery_add(f->gallery, longest + 1, &r, NULL), FN_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fn_gallery_rename(f->gallery, longest + 1, bad[i]), FN_EINVAL);
}

static void bad_records_are_refused(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    for (int i = 0; i < 20; i++) {
        fn_face_record r = record_of(v, 1);
        switch (i) {
        // clang-format off
        case 0: r.embedding = NULL; break;
        case 1: r.dimension = 0; break;
        case 2: r.dimension = -5; break;
        case 3: r.dimension = 1 << 30; break;
        case 4: v[0] = NAN; break;
        case 5: v[0] = INFINITY; break;
        case 6: v[0] += 1; break;
        case 7: r.fingerprint = "abc"; break;
        case 8: r.fingerprint = NULL; break;
        case 9: r.pipeline_id = FP_A "0"; break;
        case 10: r.box.width = -1; break;
        case 11: r.box.x = NAN; break;
        case 12: r.box.height = INFINITY; break;
        case 13: r.source_path = NULL; break; // with a length
        case 14: r.source_path_len = 1 << 20; break;
        case 15: r.taken_at = "2001:02:03 04:05:06"; break;
        case 16: r.taken_at = "2001-02-03 04:05:06 or so"; break;
        case 17: r.crop_jpeg = "x"; break; // without a length
        case 18: r.crop_jpeg_len = 5; break;
        case 19: r.fingerprint = "AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; break;
            // clang-format on
        }
        int rc = fn_gallery_add(f->gallery, "Ada", &r, NULL);
        if (rc != FN_EINVAL)
            fail_msg("case %d: %s", i, fn_error_name(rc));
    }
    assert_count(f->gallery, 0, 0);
}

typedef struct listing {
    char text[400];
    fn_gallery *gallery;
    fn_id last;
} listing;

static int list_person(void *user, const fn_person *person) {
    listing *l = user;
    size_t n = strlen(l->text);
    snprintf(l->text + n, sizeof l->text - n, "%s:%d ", person->name, (int)person->n_faces);
    l->last = person->id;
    assert_true(person->created_ms > 1500000000000);
    return 0;
}

static int stop_at_once(void *user, const fn_person *person) {
    list_person(user, person);
    return 1;
}

static void assert_people(fn_gallery *gallery, const char *expected) {
    listing l = {.text = ""};
    assert_int_equal(fn_gallery_people(gallery, list_person, &l), FN_OK);
    assert_string_equal(l.text, expected);
}

static void people_come_by_name_with_their_faces(void **state) {
    fixture *f = *state;
    assert_people(f->gallery, "");
    add(f->gallery, "b", 1);
    add(f->gallery, "B", 2);
    add(f->gallery, "\xc3\x84", 3);
    add(f->gallery, "b", 4);
    assert_people(f->gallery, "B:1 b:2 \xc3\x84:1 ");
    listing l = {.text = ""};
    assert_int_equal(fn_gallery_people(f->gallery, stop_at_once, &l), FN_OK);
    assert_string_equal(l.text, "B:1 ");
}

static void rename_and_merge_move_faces(void **state) {
    fixture *f = *state;
    add(f->gallery, "Ada", 1);
    add(f->gallery, "Ada K.", 2);
    add(f->gallery, "Grace", 3);
    assert_int_equal(fn_gallery_rename(f->gallery, "Ada", "Grace"), FN_ECONFLICT);
    assert_int_equal(fn_gallery_rename(f->gallery, "Eve", "Ede"), FN_ENOTFOUND);
    assert_int_equal(fn_gallery_rename(f->gallery, "Ada", "Ada"), FN_OK);
    assert_int_equal(fn_gallery_rename(f->gallery, "Ada", "Ada Lovelace"), FN_OK);
    assert_people(f->gallery, "Ada K.:1 Ada Lovelace:1 Grace:1 ");
    assert_int_equal(fn_gallery_merge(f->gallery, "Ada K.", "Ada K."), FN_EINVAL);
    assert_int_equal(fn_gallery_merge(f->gallery, "Ada K.", "Nobody"), FN_ENOTFOUND);
    assert_message_has("'Nobody'");
    assert_int_equal(fn_gallery_merge(f->gallery, "Ada K.", "Ada Lovelace"), FN_OK);
    assert_people(f->gallery, "Ada Lovelace:2 Grace:1 ");
    assert_int_equal(fn_gallery_remove(f->gallery, "Ada K."), FN_ENOTFOUND);
}

static void names_are_found_by_id_and_cut_between_characters(void **state) {
    fixture *f = *state;
    listing l = {.text = ""};
    char name[300];
    add(f->gallery, "Zo\xc3\xab", 1);
    assert_int_equal(fn_gallery_people(f->gallery, list_person, &l), FN_OK);
    assert_int_equal(fn_gallery_name(f->gallery, l.last, name, sizeof name), FN_OK);
    assert_string_equal(name, "Zo\xc3\xab");
    assert_int_equal(fn_gallery_name(f->gallery, l.last, name, 4), FN_OK);
    assert_string_equal(name, "Zo");
    assert_int_equal(fn_gallery_name(f->gallery, l.last, name, 1), FN_OK);
    assert_string_equal(name, "");
    assert_int_equal(fn_gallery_name(f->gallery, l.last, name, 0), FN_EINVAL);
    l.last.bytes[3] ^= 1;
    assert_int_equal(fn_gallery_name(f->gallery, l.last, name, sizeof name), FN_ENOTFOUND);
}

static void removal_leaves_no_byte_with_another_connection_open(void **state) {
    fixture *f = *state;
    fn_gallery *other;
    char name[40];
    assert_int_equal(fn_gallery_open(&other, f->path, NULL), FN_OK);
    // Enough people that tables and indexes split their pages many times.
    for (unsigned first = 0; first < 400; first += 50) {
        static float v[50][DIMENSION];
        char names[50][40];
        const char *pointers[50];
        fn_face_record r[50];
        int status[50];
        for (unsigned i = 0; i < 50; i++) {
            snprintf(names[i], sizeof names[i], "Somebody Number %03u", (first + i) * 7919 % 400);
            pointers[i] = names[i];
            r[i] = record_of(v[i], first + i);
            r[i].source_path = names[i];
            r[i].source_path_len = strlen(names[i]);
            r[i].crop_jpeg = "crop of somebody";
            r[i].crop_jpeg_len = 16;
        }
        fn_gallery *by = first % 100 ? f->gallery : other;
        assert_int_equal(fn_gallery_add_many(by, pointers, r, 50, status), FN_OK);
    }
    assert_count(other, 400, 400);
    for (unsigned i = 0; i < 400; i += 57) {
        snprintf(name, sizeof name, "Somebody Number %03u", i * 7919 % 400);
        assert_true(holds_vector(f, i));
        assert_true(holds_bytes(f, name, strlen(name)));
        assert_int_equal(fn_gallery_remove(f->gallery, name), FN_OK);
        assert_false(holds_vector(f, i));
    }
    // All names have three digits: a shorter one, before an id that happens to begin with a digit,
    // would look like a longer one that was removed.
    for (unsigned i = 0; i < 400; i += 57) {
        snprintf(name, sizeof name, "Somebody Number %03u", i * 7919 % 400);
        assert_false(holds_bytes(f, name, strlen(name)));
    }
    assert_count(other, 392, 392);
    add(other, "New", 1000); // the other connection goes on
    assert_count(f->gallery, 393, 393);
    fn_gallery_free(other);
}

enum { CROWD = 4000 };

/// "<hash> Member <number>;" and filling, so that cells have all sizes and come in no order.
static void crowd_name(char name[201], unsigned i) {
    uint32_t hash = i * 2654435761u;
    int n = snprintf(name, 201, "%08x Member %04u;", hash, i);
    size_t filled = (size_t)n + (hash >> 7) % 150;
    memset(name + n, 'z', filled - (size_t)n);
    name[filled] = 0;
}

/// A member of the crowd whose name stands in the file more often than in its two tables; -1: none.
static int member_with_a_stray_copy(const fixture *f) {
    int ends[2], found = -1, status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        static unsigned char count[CROWD];
        unsigned char *content;
        size_t size;
        if (fn_read_file(&content, &size, f->path, 1u << 30) != FN_OK)
            _exit(1);
        for (size_t i = 9; i + 13 < size; i++) {
            char name[201];
            if (memcmp(content + i, "Member ", 7) != 0)
                continue;
            unsigned number = (unsigned)strtoul((const char *)content + i + 7, NULL, 10);
            crowd_name(name, number < CROWD ? number : 0);
            if (number < CROWD && memcmp(content + i - 9, name, strlen(name)) == 0 && ++count[number] > 2)
                found = (int)number;
        }
        _exit(write(ends[1], &found, sizeof found) != sizeof found);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &found, sizeof found), sizeof found);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return found;
}

static void removal_also_finds_the_copies_that_page_splits_leave(void **state) {
    fixture *f = *state;
    static float v[CROWD][DIMENSION];
    static char names[CROWD][201];
    static const char *pointers[CROWD];
    static fn_face_record r[CROWD];
    static int status[CROWD];
    for (unsigned i = 0; i < CROWD; i++) {
        crowd_name(names[i], i);
        pointers[i] = names[i];
        r[i] = record_of(v[i], i);
    }
    for (unsigned i = 0; i < CROWD; i += 40)
        assert_int_equal(fn_gallery_add_many(f->gallery, pointers + i, r + i, 40, status), FN_OK);
    reopen(f); // which writes the log into the file
    int member = member_with_a_stray_copy(f);
    if (member < 0) {
        print_message("skipped: this SQLite left no copy of a moved cell\n");
        skip();
    }
    assert_int_equal(fn_gallery_remove(f->gallery, names[member]), FN_OK);
    assert_false(holds_bytes(f, names[member], strlen(names[member])));
    assert_int_equal(member_with_a_stray_copy(f), -1);
}

static void rename_and_merge_leave_no_old_name(void **state) {
    fixture *f = *state;
    fn_gallery *other;
    assert_int_equal(fn_gallery_open(&other, f->path, NULL), FN_OK);
    for (unsigned i = 0; i < 200; i++) {
        char name[40];
        snprintf(name, sizeof name, "P%u", i);
        add(f->gallery, name, i);
    }
    add(f->gallery, "Mistaken Identity", 901);
    add(f->gallery, "Twice Enrolled", 902);
    assert_count(other, 202, 202);
    assert_true(holds_bytes(f, "Mistaken Identity", 17));
    assert_int_equal(fn_gallery_rename(f->gallery, "Mistaken Identity", "Right"), FN_OK);
    assert_false(holds_bytes(f, "Mistaken", 8));
    assert_true(holds_bytes(f, "Twice Enrolled", 14));
    assert_int_equal(fn_gallery_merge(f->gallery, "Twice Enrolled", "Right"), FN_OK);
    assert_false(holds_bytes(f, "Enrolled", 8));
    assert_true(holds_vector(f, 901));
    assert_true(holds_vector(f, 902));
    fn_gallery_free(other);
}

static void a_reader_in_the_way_is_told_and_the_next_opening_finishes(void **state) {
    fixture *f = *state;
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    options.busy_ms = 50;
    fn_gallery_free(f->gallery);
    assert_int_equal(fn_gallery_open(&f->gallery, f->path, &options), FN_OK);
    add(f->gallery, "Ada Lovelace", 1);
    add(f->gallery, "Grace", 2);
    sqlite3 *reader;
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT * FROM people", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(fn_gallery_remove(f->gallery, "Ada Lovelace"), FN_ESTORE);
    assert_message_has("old bytes are still in the file");
    assert_people(f->gallery, "Grace:1 ");
    assert_true(holds_bytes(f, "Ada Lovelace", 12)); // the message is right
    sqlite3_close(reader);
    reopen(f);
    assert_false(holds_bytes(f, "Ada Lovelace", 12));
    assert_false(holds_vector(f, 1));
    assert_true(holds_vector(f, 2));
}

static void a_long_write_elsewhere_is_an_honest_error(void **state) {
    fixture *f = *state;
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    fn_gallery *impatient;
    float v[DIMENSION];
    fn_face_record r = record_of(v, 1);
    options.busy_ms = 30;
    assert_int_equal(fn_gallery_open(&impatient, f->path, &options), FN_OK);
    sqlite3 *writer;
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(fn_gallery_add(impatient, "Ada", &r, NULL), FN_ESTORE);
    assert_message_has("another program");
    assert_int_equal(fn_gallery_remove(impatient, "Ada"), FN_ESTORE);
    assert_count(impatient, 0, 0); // reading goes on
    sqlite3_close(writer);
    assert_int_equal(fn_gallery_add(impatient, "Ada", &r, NULL), FN_OK);
    fn_gallery_free(impatient);
}

static void write_file(const char *path, const void *bytes, size_t n) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
}

static int open_at(const char *path) {
    fn_gallery *gallery;
    int rc = fn_gallery_open(&gallery, path, NULL);
    fn_gallery_free(gallery);
    return rc;
}

static void other_files_are_refused_and_left_as_they_are(void **state) {
    fixture *f = *state;
    char path[100];
    static const char text[] = "Dear diary, this is no database at all.";
    unsigned char *before, *after;
    size_t n_before, n_after;
    snprintf(path, sizeof path, "%s/other", f->folder);

    write_file(path, text, sizeof text);
    assert_int_equal(open_at(path), FN_ESTORE);
    assert_message_has("not a gallery");
    assert_message_has(path);
    static const char *const foreign[] = {
        "CREATE TABLE t(x); INSERT INTO t VALUES(1)",
        "PRAGMA application_id = 12345; CREATE TABLE people(id, name, created_ms)",
        "PRAGMA journal_mode = WAL; CREATE TABLE t(x)",
        "PRAGMA user_version = 1; VACUUM",
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        unlink(path);
        run_sql(path, foreign[i]);
        assert_int_equal(fn_read_file(&before, &n_before, path, 1 << 20), FN_OK);
        assert_int_equal(open_at(path), FN_ESTORE);
        assert_message_has("another program");
        assert_int_equal(fn_read_file(&after, &n_after, path, 1 << 20), FN_OK);
        assert_int_equal(n_before, n_after);
        assert_memory_equal(before, after, n_before);
        fn_free(before);
        fn_free(after);
    }
    assert_int_equal(open_at(f->folder), FN_ESTORE);
    assert_message_has("regular");
    assert_int_equal(open_at("/dev/null"), FN_ESTORE);
    snprintf(path, sizeof path, "%s/missing/g.db", f->folder);
    assert_int_equal(open_at(path), FN_ESTORE);
    snprintf(path, sizeof path, "%s/dangling", f->folder);
    assert_int_equal(symlink("nowhere", path), 0);
    assert_int_equal(open_at(path), FN_ESTORE);
}

static void an_empty_file_becomes_a_private_gallery(void **state) {
    fixture *f = *state;
    char path[100];
    snprintf(path, sizeof path, "%s/empty", f->folder);
    fclose(fopen(path, "w"));
    chmod(path, 0644);
    assert_int_equal(open_at(path), FN_OK);
    assert_int_equal(mode_of(path), 0600);
}

static void newer_forged_and_damaged_galleries_are_refused(void **state) {
    fixture *f = *state;
    add(f->gallery, "Ada", 1);
    fn_gallery_free(f->gallery);
    f->gallery = NULL;
    run_sql(f->path, "PRAGMA user_version = 2");
    assert_int_equal(open_at(f->path), FN_ESTORE);
    assert_message_has("update the program");
    run_sql(f->path, "PRAGMA user_version = 0");
    assert_int_equal(open_at(f->path), FN_ESTORE);
    assert_message_has("damaged");
    run_sql(f->path, "PRAGMA user_version = 1; "
                     "CREATE TRIGGER spy AFTER INSERT ON faces BEGIN DELETE FROM people; END");
    assert_int_equal(open_at(f->path), FN_ESTORE);
    assert_message_has("damaged");
    run_sql(f->path, "DROP TRIGGER spy; CREATE VIEW spy AS SELECT 1");
    assert_int_equal(open_at(f->path), FN_ESTORE);
    run_sql(f->path, "DROP VIEW spy");
    assert_int_equal(open_at(f->path), FN_OK);
    run_sql(f->path, "ALTER TABLE faces RENAME COLUMN embedding TO moved");
    assert_int_equal(open_at(f->path), FN_ESTORE);
    assert_message_has("damaged");
    run_sql(f->path, "ALTER TABLE faces RENAME COLUMN moved TO embedding");
    assert_int_equal(open_at(f->path), FN_OK);
    assert_int_equal(truncate(f->path, 5000), 0);
    assert_int_equal(open_at(f->path), FN_ESTORE);
    assert_message_has(f->path);
}

static int see_face(void *user, const fn_face_record *record) {
    ++*(int *)user;
    assert_true(record->dimension > 0);
    return 0;
}

/// Everything that reads; returns the first error.
static int read_everything(fn_gallery *gallery) {
    listing l = {.text = ""};
    uint64_t people, faces;
    fn_index *index;
    int seen = 0;
    int rc = fn_gallery_people(gallery, list_person, &l);
    if (rc == FN_OK)
        rc = fn_gallery_faces(gallery, "P1", see_face, &seen);
    if (rc == FN_OK)
        rc = fn_gallery_count(gallery, &people, &faces);
    if (rc == FN_OK && (rc = fn_gallery_index(gallery, FP_A, DIMENSION, &index)) == FN_OK)
        fn_index_free(index);
    return rc;
}

static void a_gallery_with_wrong_bytes_gives_errors_never_a_crash(void **state) {
    fixture *f = *state;
    for (unsigned i = 0; i < 20; i++) {
        char name[40];
        snprintf(name, sizeof name, "P%u", i % 4);
        add(f->gallery, name, i);
    }
    fn_gallery_free(f->gallery);
    f->gallery = NULL;
    unsigned char *whole;
    size_t n;
    char path[100], log[110];
    assert_int_equal(fn_read_file(&whole, &n, f->path, 1 << 24), FN_OK);
    snprintf(path, sizeof path, "%s/bent", f->folder);
    snprintf(log, sizeof log, "%s-wal", path);
    uint64_t x = 1;
    int refused = 0, passed = 0;
    for (int round = 0; round < 150; round++) {
        unsigned char *bent = malloc(n);
        memcpy(bent, whole, n);
        for (int k = 0; k < 1 + round % 40; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            size_t at = (size_t)(x >> 33) % (round % 3 ? n : 4096);
            if (at >= 72 || round % 5 == 0)
                bent[at] = (unsigned char)(x >> 20);
        }
        write_file(path, bent, n);
        unlink(log);
        free(bent);
        fn_gallery *gallery;
        float v[DIMENSION];
        fn_face_record r = record_of(v, 5000);
        int rc = fn_gallery_open(&gallery, path, NULL);
        if (rc == FN_OK)
            rc = read_everything(gallery);
        if (rc == FN_OK)
            rc = fn_gallery_add(gallery, "P1", &r, NULL);
        if (rc == FN_OK)
            rc = fn_gallery_remove(gallery, "P2");
        rc == FN_OK ? passed++ : refused++;
        if (rc != FN_OK && rc != FN_ESTORE && rc != FN_ENOTFOUND && rc != FN_EMODEL)
            fail_msg("round %d: %s: %s", round, fn_error_name(rc), fn_last_error());
        fn_gallery_free(gallery);
    }
    fn_free(whole);
    assert_true(refused > 20);
    print_message("%d of 150 bent galleries noticed, the others changed nothing that is checked\n", refused);
}

static void an_index_holds_the_vectors_of_one_model(void **state) {
    fixture *f = *state;
    float v[DIMENSION];
    fn_index *index;
    assert_int_equal(fn_gallery_index(f->gallery, FP_A, DIMENSION, &index), FN_OK); // nobody yet
    assert_int_equal(fn_index_len(index), 0);
    fn_index_free(index);
    for (unsigned i = 0; i < 10; i++)
        add(f->gallery, i % 3 ? "Ada" : "Grace", i);
    assert_int_equal(fn_gallery_index(f->gallery, FP_B, DIMENSION, &index), FN_EMODEL);
    assert_null(index);
    assert_message_has("aaaaaaaaaaaa,");
    assert_message_has("bbbbbbbbbbbb");
    fn_face_record r = record_of(v, 99);
    r.fingerprint = FP_B;
    r.dimension = 1;
    v[0] = 1;
    assert_int_equal(fn_gallery_add(f->gallery, "Ada", &r, NULL), FN_OK);
    assert_int_equal(fn_gallery_index(f->gallery, FP_B, 1, &index), FN_OK);
    assert_int_equal(fn_index_len(index), 1);
    fn_index_free(index);
    assert_int_equal(fn_gallery_index(f->gallery, FP_B, DIMENSION, &index), FN_ESTORE);
    assert_message_has("dimension");
    assert_int_equal(fn_gallery_index(f->gallery, FP_A, DIMENSION, &index), FN_OK);
    assert_int_equal(fn_index_len(index), 10);
    assert_int_equal(fn_index_n_people(index), 2);
    fn_candidate nearest[2];
    size_t n;
    char name[50];
    vector_of(v, 4);
    assert_int_equal(fn_index_search(nearest, &n, index, v, FP_A, 2), FN_OK);
    assert_int_equal(n, 2);
    assert_true(nearest[0].distance == 0);
    assert_int_equal(fn_gallery_name(f->gallery, nearest[0].person, name, sizeof name), FN_OK);
    assert_string_equal(name, "Ada");
    fn_index_free(index);
    assert_int_equal(fn_gallery_index(f->gallery, NULL, DIMENSION, &index), FN_EINVAL);
    assert_int_equal(fn_gallery_index(f->gallery, FP_A, 0, &index), FN_EINVAL);
}

static void an_index_holds_the_vectors_of_models_that_can_be_compared(void **state) {
    fixture *f = *state;
    static const char calibrated[] = "{\"version\":1,\"data\":\"d\",\"pipeline_id\":\"p\",\"n_same\":10,"
                                     "\"n_different\":10000,\"rows\":[[0,0,1],[1,1e-4,0.5],[2,1,0]]}";
    float v[DIMENSION];
    fn_calibration *against;
    fn_index *index;
    fn_match m;
    char name[50];
    assert_int_equal(fn_calibration_parse(&against, calibrated), FN_OK);
    fn_comparable makers[] = {{FP_B, "newer", NULL}, {FP_A, "older", NULL}};
    assert_int_equal(fn_gallery_index_comparable(f->gallery, makers, 2, DIMENSION, &index), FN_OK);
    assert_int_equal(fn_index_len(index), 0); // nobody yet, and nothing to be calibrated against
    fn_index_free(index);
    for (unsigned i = 0; i < 10; i++)
        add(f->gallery, i % 3 ? "Ada" : "Grace", i);
    // Nothing says what distances to the older vectors mean.
    assert_int_equal(fn_gallery_index_comparable(f->gallery, makers, 2, DIMENSION, &index), FN_EMODEL);
    assert_null(index);
    assert_message_has("10 of its faces were embedded by older");
    assert_message_has("eval calibrate --against older");
    makers[1].calibration = against;
    assert_int_equal(fn_gallery_index_comparable(f->gallery, makers, 2, DIMENSION, &index), FN_OK);
    assert_int_equal(fn_index_len(index), 10);
    vector_of(v, 4);
    assert_int_equal(fn_decide(&m, index, v, FP_B, NULL, 0), FN_OK);
    assert_int_equal(fn_gallery_name(f->gallery, m.best.person, name, sizeof name), FN_OK);
    assert_string_equal(name, "Ada");
    assert_string_equal(m.best.fingerprint, FP_A);
    fn_index_free(index);
    // The newer model's own vectors join them, of a picture that the older one has embedded too.
    fn_face_record r = record_of(v, 4);
    fn_added added;
    r.fingerprint = FP_B;
    assert_int_equal(fn_gallery_add(f->gallery, "Ada", &r, &added), FN_OK);
    assert_int_equal(added, FN_ADDED_NEW);
    assert_int_equal(fn_gallery_index_comparable(f->gallery, makers, 2, DIMENSION, &index), FN_OK);
    assert_int_equal(fn_index_n_made(index, FP_A), 10);
    assert_int_equal(fn_index_n_made(index, FP_B), 1);
    assert_int_equal(fn_index_n_people(index), 2);
    fn_index_free(index);
    // The older model sees its own alone, and a stranger to both sees none.
    assert_int_equal(fn_gallery_index(f->gallery, FP_A, DIMENSION, &index), FN_OK);
    assert_int_equal(fn_index_len(index), 10);
    fn_index_free(index);
    makers[0].fingerprint = makers[1].fingerprint;
    assert_int_equal(fn_gallery_index_comparable(f->gallery, makers, 2, DIMENSION, &index), FN_EINVAL);
    fn_calibration_free(against);
}

static void a_stored_vector_that_is_no_unit_vector_is_damage(void **state) {
    fixture *f = *state;
    fn_index *index;
    add(f->gallery, "Ada", 1);
    run_sql(f->path, "UPDATE faces SET embedding = zeroblob(512)");
    assert_int_equal(fn_gallery_index(f->gallery, FP_A, DIMENSION, &index), FN_ESTORE);
    assert_message_has("damaged");
    assert_null(index);
}

static int use_the_gallery_inside(void *user, const fn_person *person) {
    listing *l = user;
    uint64_t people, faces;
    int seen = 0;
    assert_int_equal(fn_gallery_count(l->gallery, &people, &faces), FN_OK);
    assert_int_equal(fn_gallery_faces(l->gallery, person->name, see_face, &seen), FN_OK);
    assert_int_equal(seen, person->n_faces);
    assert_int_equal(fn_gallery_remove(l->gallery, person->name), FN_OK);
    list_person(l, person);
    return 0;
}

static int add_one_more(void *user, const fn_face_record *record) {
    listing *l = user;
    size_t n = strlen(l->text);
    if (n > 6)
        return 1;
    snprintf(l->text + n, sizeof l->text - n, "x");
    add(l->gallery, "Ada", 100 + (unsigned)n);
    assert_non_null(record->embedding);
    return 0;
}

static void a_visitor_may_use_and_change_the_gallery(void **state) {
    fixture *f = *state;
    listing l = {.gallery = f->gallery};
    add(f->gallery, "Ada", 1);
    assert_int_equal(fn_gallery_faces(f->gallery, "Ada", add_one_more, &l), FN_OK);
    assert_string_equal(l.text, "xxxxxxx"); // stopped by itself
    l.text[0] = 0;
    add(f->gallery, "Grace", 2);
    assert_int_equal(fn_gallery_people(f->gallery, use_the_gallery_inside, &l), FN_OK);
    assert_string_equal(l.text, "Ada:8 Grace:1 ");
    assert_count(f->gallery, 0, 0);
}

static int count_person(void *user, const fn_person *person) {
    ++*(int *)user;
    assert_int_equal(person->n_faces, 1);
    return 0;
}

static void pages_of_people_lose_and_repeat_nobody(void **state) {
    fixture *f = *state;
    enum { N = 600 };
    static float v[N][DIMENSION];
    static fn_face_record r[N];
    static char names[N][16];
    static const char *pointers[N];
    static int status[N];
    for (unsigned i = 0; i < N; i++) {
        r[i] = record_of(v[i], i);
        snprintf(names[i], sizeof names[i], "p%u", i);
        pointers[i] = names[i];
    }
    assert_int_equal(fn_gallery_add_many(f->gallery, pointers, r, N, status), FN_OK);
    int seen = 0;
    assert_int_equal(fn_gallery_people(f->gallery, count_person, &seen), FN_OK);
    assert_int_equal(seen, N);
}

static void reading_only_never_writes(void **state) {
    fixture *f = *state;
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    fn_gallery *reader;
    char path[100];
    float v[DIMENSION];
    fn_face_record r = record_of(v, 9);
    options.read_only = 1;
    add(f->gallery, "Ada", 1);
    assert_int_equal(fn_gallery_open(&reader, f->path, &options), FN_OK); // beside a writer
    assert_count(reader, 1, 1);
    add(f->gallery, "Grace", 2);
    assert_count(reader, 2, 2); // sees what is new
    assert_int_equal(fn_gallery_add(reader, "Eve", &r, NULL), FN_ESTORE);
    assert_message_has("reading only");
    assert_int_equal(fn_gallery_remove(reader, "Ada"), FN_ESTORE);
    assert_int_equal(fn_gallery_rename(reader, "Ada", "B"), FN_ESTORE);
    assert_int_equal(fn_gallery_merge(reader, "Ada", "Grace"), FN_ESTORE);
    fn_gallery_free(reader);
    snprintf(path, sizeof path, "%s/missing.db", f->folder);
    assert_int_equal(fn_gallery_open(&reader, path, &options), FN_ESTORE);
    assert_null(reader);
    assert_int_equal(access(path, F_OK), -1);
    options.version = 7;
    assert_int_equal(fn_gallery_open(&reader, path, &options), FN_EINVAL);
}

/// As an ordinary user (root may write everywhere): the error's code and message come back.
static int open_as_nobody(const char *path, int read_only, char message[1024]) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        if (getuid() == 0 && setuid(65534))
            _exit(99);
        fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
        options.read_only = read_only;
        fn_gallery *gallery;
        int rc = fn_gallery_open(&gallery, path, &options);
        if (rc == FN_OK)
            rc = read_everything(gallery);
        const char *text = rc == FN_OK ? "" : fn_last_error();
        fn_gallery_free(gallery);
        _exit(write(ends[1], text, strlen(text)) < 0 ? 99 : -rc);
    }
    close(ends[1]);
    int status = 0;
    ssize_t n = read(ends[0], message, 1023);
    message[n < 0 ? 0 : n] = 0;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
    return -WEXITSTATUS(status);
}

static void what_cannot_be_written_says_so(void **state) {
    fixture *f = *state;
    char message[1024], path[100];
    add(f->gallery, "P1", 1);
    fn_gallery_free(f->gallery);
    f->gallery = NULL;
    chmod(f->path, 0444);
    chmod(f->folder, 0555);
    assert_int_equal(open_as_nobody(f->path, 0, message), FN_ESTORE);
    if (!strstr(message, "cannot be written") || !strstr(message, f->path))
        fail_msg("%s", message);
    // Reading needs the -shm file; where it cannot be made the message names it.
    assert_int_equal(open_as_nobody(f->path, 1, message), FN_ESTORE);
    if (!strstr(message, "-wal and -shm"))
        fail_msg("%s", message);
    snprintf(path, sizeof path, "%s/new.db", f->folder);
    assert_int_equal(open_as_nobody(path, 0, message), FN_ESTORE);
    if (!strstr(message, "cannot be created"))
        fail_msg("%s", message);
    chmod(f->folder, 0777);
    assert_int_equal(open_as_nobody(f->path, 0, message), FN_ESTORE);
    assert_int_equal(open_as_nobody(f->path, 1, message), FN_OK);
    chmod(f->path, 0600);
    if (getuid() == 0) {
        assert_int_equal(open_as_nobody(f->path, 1, message), FN_ESTORE);
        if (!strstr(message, "ermission"))
            fail_msg("%s", message);
    }
}

typedef struct worker {
    fn_gallery *gallery;
    unsigned first;
    int failed;
} worker;

static void *enroll_many(void *user) {
    worker *w = user;
    for (unsigned i = 0; i < 25; i++) {
        float v[DIMENSION];
        fn_face_record r = record_of(v, w->first + i);
        char name[20];
        snprintf(name, sizeof name, "N%u", i % 5);
        if (fn_gallery_add(w->gallery, name, &r, NULL) != FN_OK)
            w->failed++;
    }
    return NULL;
}

static void threads_with_one_handle_and_with_two_lose_nothing(void **state) {
    fixture *f = *state;
    fn_gallery *other;
    pthread_t threads[4];
    worker workers[4];
    assert_int_equal(fn_gallery_open(&other, f->path, NULL), FN_OK);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (worker){i % 2 ? other : f->gallery, i * 1000, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, enroll_many, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(workers[i].failed, 0);
    assert_count(f->gallery, 5, 100);
    fn_gallery_free(other);
}

static void *open_new(void *user) {
    worker *w = user;
    fn_gallery *gallery;
    w->failed = fn_gallery_open(&gallery, (const char *)w->gallery, NULL) != FN_OK;
    if (w->failed)
        print_message("%s\n", fn_last_error());
    else
        add(gallery, "Ada", w->first);
    fn_gallery_free(gallery);
    return NULL;
}

static void many_threads_may_create_the_same_gallery(void **state) {
    fixture *f = *state;
    for (unsigned round = 0; round < 5; round++) {
        pthread_t threads[6];
        worker workers[6];
        char path[100];
        snprintf(path, sizeof path, "%s/race%u.db", f->folder, round);
        for (unsigned i = 0; i < 6; i++) {
            workers[i] = (worker){(fn_gallery *)path, i, 0};
            assert_int_equal(pthread_create(&threads[i], NULL, open_new, &workers[i]), 0);
        }
        for (unsigned i = 0; i < 6; i++)
            pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < 6; i++)
            assert_int_equal(workers[i].failed, 0);
        fn_gallery *gallery;
        assert_int_equal(fn_gallery_open(&gallery, path, NULL), FN_OK);
        assert_count(gallery, 1, 6);
        fn_gallery_free(gallery);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(files_are_private_whatever_the_umask),
        TEST(the_default_gallery_stands_in_a_private_folder),
        TEST(odd_paths_are_files_all_the_same),
        TEST(a_face_comes_back_as_it_was_put),
        TEST(the_same_picture_again_adds_nothing),
        TEST(the_same_face_under_another_name_is_a_conflict),
        TEST(one_bad_item_never_fails_the_rest),
        TEST(bad_names_are_refused),
        TEST(bad_records_are_refused),
        TEST(people_come_by_name_with_their_faces),
        TEST(rename_and_merge_move_faces),
        TEST(names_are_found_by_id_and_cut_between_characters),
        TEST(removal_leaves_no_byte_with_another_connection_open),
        TEST(removal_also_finds_the_copies_that_page_splits_leave),
        TEST(rename_and_merge_leave_no_old_name),
        TEST(a_reader_in_the_way_is_told_and_the_next_opening_finishes),
        TEST(a_long_write_elsewhere_is_an_honest_error),
        TEST(other_files_are_refused_and_left_as_they_are),
        TEST(an_empty_file_becomes_a_private_gallery),
        TEST(newer_forged_and_damaged_galleries_are_refused),
        TEST(a_gallery_with_wrong_bytes_gives_errors_never_a_crash),
        TEST(an_index_holds_the_vectors_of_one_model),
        TEST(an_index_holds_the_vectors_of_models_that_can_be_compared),
        TEST(a_stored_vector_that_is_no_unit_vector_is_damage),
        TEST(a_visitor_may_use_and_change_the_gallery),
        TEST(pages_of_people_lose_and_repeat_nobody),
        TEST(reading_only_never_writes),
        TEST(what_cannot_be_written_says_so),
        TEST(threads_with_one_handle_and_with_two_lose_nothing),
        TEST(many_threads_may_create_the_same_gallery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
