// SPDX-License-Identifier: Apache-2.0
//
// The statements of the SQLite store, one function of store.h each. All are prepared when the gallery
// is opened and kept.
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/record.h"

#include <stdio.h>
#include <string.h>

#define FACE_COLUMNS                                                                                         \
    "faces.number, faces.id, faces.person, dimension, embedding, fingerprints.hex, pipelines.hex, "          \
    "file_sha256, x, y, width, height, added_ms, taken_at, source_path, crops.jpeg"

#define STATEMENT_LIST(X)                                                                                    \
    X(BEGIN_READ, "BEGIN")                                                                                   \
    X(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                        \
    X(COMMIT, "COMMIT")                                                                                      \
    X(ROLLBACK, "ROLLBACK")                                                                                  \
    X(MARK, "SAVEPOINT item")                                                                                \
    X(KEEP, "RELEASE item")                                                                                  \
    X(UNDO, "ROLLBACK TO item")                                                                              \
    X(PERSON_BY_NAME, "SELECT id FROM people WHERE name = ?1")                                               \
    X(PERSON_BY_ID, "SELECT name FROM people WHERE id = ?1")                                                 \
    X(PERSON_ADD, "INSERT INTO people(id, name, created_ms) VALUES(?1, ?2, ?3)")                             \
    X(PERSON_RENAME, "UPDATE people SET name = ?2 WHERE id = ?1")                                            \
    X(PERSON_REMOVE, "DELETE FROM people WHERE id = ?1")                                                     \
    X(CROPS_REMOVE, "DELETE FROM crops WHERE face IN (SELECT number FROM faces WHERE person = ?1)")          \
    X(FACES_REMOVE, "DELETE FROM faces WHERE person = ?1")                                                   \
    X(PEOPLE, "SELECT id, name, created_ms, (SELECT count(*) FROM faces WHERE person = people.id) "          \
              "FROM people WHERE name > ?1 ORDER BY name LIMIT ?2")                                          \
    X(FINGERPRINT_ADD, "INSERT OR IGNORE INTO fingerprints(hex) VALUES(?1)")                                 \
    X(PIPELINE_ADD, "INSERT OR IGNORE INTO pipelines(hex) VALUES(?1)")                                       \
    X(FACE_ADD, "INSERT INTO faces(id, person, dimension, embedding, fingerprint, pipeline, file_sha256, "   \
                "x, y, width, height, added_ms, taken_at, source_path) VALUES(?1, ?2, ?3, ?4, "              \
                "(SELECT number FROM fingerprints WHERE hex = ?5), "                                         \
                "(SELECT number FROM pipelines WHERE hex = ?6), ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)")       \
    X(CROP_ADD, "INSERT INTO crops(face, jpeg) VALUES(?1, ?2)")                                              \
    X(FACES, "SELECT " FACE_COLUMNS " FROM faces "                                                           \
             "JOIN fingerprints ON fingerprints.number = fingerprint "                                       \
             "JOIN pipelines ON pipelines.number = pipeline "                                                \
             "LEFT JOIN crops ON crops.face = faces.number "                                                 \
             "WHERE person = ?1 AND faces.number > ?2 ORDER BY faces.number LIMIT ?3")                       \
    X(FACES_MOVE, "UPDATE faces SET person = ?2 WHERE person = ?1")                                          \
    X(FACES_OF_FILE, "SELECT name, x, y, width, height FROM faces JOIN people ON people.id = person "        \
                     "WHERE file_sha256 = ?1 "                                                               \
                     "AND fingerprint = (SELECT number FROM fingerprints WHERE hex = ?2)")                   \
    X(VECTORS, "SELECT id, person, dimension, embedding FROM faces "                                         \
               "WHERE fingerprint = (SELECT number FROM fingerprints WHERE hex = ?1)")                       \
    X(MAIN_FINGERPRINT, "SELECT hex FROM faces JOIN fingerprints ON fingerprints.number = fingerprint "      \
                        "GROUP BY fingerprint ORDER BY count(*) DESC, hex LIMIT 1")                          \
    X(COUNT, "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM faces)")                           \
    X(SCRUB_PENDING, "SELECT pending FROM scrub")                                                            \
    X(SCRUB_SET, "UPDATE scrub SET pending = ?1")

enum {
#define STATEMENT_ENUM(name, sql) name,
    STATEMENT_LIST(STATEMENT_ENUM)
#undef STATEMENT_ENUM
        N_STATEMENTS
};
_Static_assert((int)N_STATEMENTS <= (int)FN_SQLITE_MAX_STATEMENTS, "room for every statement");

int fn_sqlite_prepare(fn_sqlite *s) {
    static const char *const sql[] = {
#define STATEMENT_SQL(name, text) text,
        STATEMENT_LIST(STATEMENT_SQL)
#undef STATEMENT_SQL
    };
    for (size_t i = 0; i < N_STATEMENTS; i++) {
        int code = sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->statements[i], NULL);
        if (code == SQLITE_ERROR)
            return fn_sqlite_damaged(s, sqlite3_errmsg(s->db));
        if (code != SQLITE_OK)
            return fn_sqlite_fail(s, code);
    }
    return FN_OK;
}

static fn_sqlite *of(fn_store *store) {
    return (fn_sqlite *)store;
}

static int begin(fn_store *store, int write) {
    fn_sqlite *s = of(store);
    return fn_sqlite_run(s, s->statements[write ? BEGIN_WRITE : BEGIN_READ], SQLITE_OK);
}

static void rollback(fn_store *store) {
    fn_sqlite *s = of(store);
    if (sqlite3_get_autocommit(s->db)) // SQLite has done it already, as it does after a full disk
        return;
    sqlite3_step(s->statements[ROLLBACK]);
    sqlite3_reset(s->statements[ROLLBACK]);
}

static int commit(fn_store *store) {
    fn_sqlite *s = of(store);
    int rc = fn_sqlite_run(s, s->statements[COMMIT], SQLITE_OK);
    if (rc != FN_OK)
        rollback(store);
    return rc;
}

static int mark(fn_store *store) {
    return fn_sqlite_run(of(store), of(store)->statements[MARK], SQLITE_OK);
}

static int keep(fn_store *store) {
    return fn_sqlite_run(of(store), of(store)->statements[KEEP], SQLITE_OK);
}

static int undo(fn_store *store) {
    int rc = fn_sqlite_run(of(store), of(store)->statements[UNDO], SQLITE_OK);
    return rc == FN_OK ? keep(store) : rc;
}

static int person_by_name(fn_store *store, const char *name, fn_id *id, int *found) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[PERSON_BY_NAME];
    int code = fn_sqlite_bind_text(st, 1, name), rc = FN_OK;
    *found = 0;
    if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        rc = fn_sqlite_column_id(s, st, 0, id);
        *found = 1;
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int person_by_id(fn_store *store, fn_id id, char *name, int *found) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[PERSON_BY_ID];
    const char *text;
    int code = fn_sqlite_bind_id(st, 1, &id), rc = FN_OK;
    *found = 0;
    if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        rc = fn_sqlite_column_name(s, st, 0, &text);
        if (rc == FN_OK)
            snprintf(name, FN_NAME_MAX + 1, "%s", text);
        *found = 1;
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int person_add(fn_store *store, fn_id id, const char *name, int64_t created_ms) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[PERSON_ADD];
    return fn_sqlite_run(s, st,
                         fn_sqlite_bind_id(st, 1, &id) | fn_sqlite_bind_text(st, 2, name) |
                             sqlite3_bind_int64(st, 3, created_ms));
}

static int person_rename(fn_store *store, fn_id id, const char *name) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[PERSON_RENAME];
    return fn_sqlite_run(s, st, fn_sqlite_bind_id(st, 1, &id) | fn_sqlite_bind_text(st, 2, name));
}

static int person_remove(fn_store *store, fn_id id) {
    static const int in_order[] = {CROPS_REMOVE, FACES_REMOVE, PERSON_REMOVE};
    fn_sqlite *s = of(store);
    int rc = FN_OK;
    for (size_t i = 0; rc == FN_OK && i < sizeof in_order / sizeof *in_order; i++) {
        sqlite3_stmt *st = s->statements[in_order[i]];
        rc = fn_sqlite_run(s, st, fn_sqlite_bind_id(st, 1, &id));
    }
    return rc;
}

static int people(fn_store *store, const char *after, size_t limit, fn_store_person_visit *visit,
                  void *user) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[PEOPLE];
    int code = fn_sqlite_bind_text(st, 1, after) | sqlite3_bind_int64(st, 2, (int64_t)limit), rc = FN_OK;
    while (rc == FN_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(st)) == SQLITE_ROW) {
        fn_person person = {.created_ms = sqlite3_column_int64(st, 2),
                            .n_faces = (uint64_t)sqlite3_column_int64(st, 3)};
        rc = fn_sqlite_column_id(s, st, 0, &person.id);
        if (rc == FN_OK)
            rc = fn_sqlite_column_name(s, st, 1, &person.name);
        if (rc == FN_OK)
            rc = visit(user, &person);
    }
    return fn_sqlite_finish(s, st, code, rc);
}

/// Little-endian bytes of a vector, in new memory.
static unsigned char *encode_vector(const float *vector, int dimension) {
    unsigned char *bytes = fn_alloc((size_t)dimension * 4);
    for (int i = 0; bytes && i < dimension; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], 4);
        for (int k = 0; k < 4; k++)
            bytes[4 * i + k] = (unsigned char)(bits >> 8 * k);
    }
    return bytes;
}

static int face_add(fn_store *store, const fn_face_record *r) {
    fn_sqlite *s = of(store);
    unsigned char *embedding = encode_vector(r->embedding, r->dimension);
    if (!embedding)
        return fn_fail_memory();
    sqlite3_stmt *st = s->statements[FINGERPRINT_ADD];
    int rc = fn_sqlite_run(s, st, fn_sqlite_bind_text(st, 1, r->fingerprint));
    st = s->statements[PIPELINE_ADD];
    if (rc == FN_OK)
        rc = fn_sqlite_run(s, st, fn_sqlite_bind_text(st, 1, r->pipeline_id));
    if (rc == FN_OK) {
        st = s->statements[FACE_ADD];
        int bound = fn_sqlite_bind_id(st, 1, &r->id) | fn_sqlite_bind_id(st, 2, &r->person) |
                    sqlite3_bind_int(st, 3, r->dimension) |
                    fn_sqlite_bind_blob(st, 4, embedding, (size_t)r->dimension * 4) |
                    fn_sqlite_bind_text(st, 5, r->fingerprint) | fn_sqlite_bind_text(st, 6, r->pipeline_id) |
                    fn_sqlite_bind_blob(st, 7, r->file_sha256, sizeof r->file_sha256) |
                    sqlite3_bind_double(st, 8, r->box.x) | sqlite3_bind_double(st, 9, r->box.y) |
                    sqlite3_bind_double(st, 10, r->box.width) | sqlite3_bind_double(st, 11, r->box.height) |
                    sqlite3_bind_int64(st, 12, r->added_ms);
        if (r->taken_at && r->taken_at[0])
            bound |= fn_sqlite_bind_text(st, 13, r->taken_at);
        if (r->source_path && r->source_path_len)
            bound |= fn_sqlite_bind_blob(st, 14, r->source_path, r->source_path_len);
        rc = fn_sqlite_run(s, st, bound);
    }
    if (rc == FN_OK && r->crop_jpeg) {
        st = s->statements[CROP_ADD];
        rc = fn_sqlite_run(s, st,
                           sqlite3_bind_int64(st, 1, sqlite3_last_insert_rowid(s->db)) |
                               fn_sqlite_bind_blob(st, 2, r->crop_jpeg, r->crop_jpeg_len));
    }
    fn_free(embedding);
    return rc;
}

static int read_face(fn_sqlite *s, sqlite3_stmt *st, fn_face_record *r) {
    int rc = fn_sqlite_column_id(s, st, 1, &r->id);
    if (rc == FN_OK)
        rc = fn_sqlite_column_id(s, st, 2, &r->person);
    if (rc == FN_OK)
        rc = fn_sqlite_column_vector(s, st, 3, &r->dimension);
    if (rc == FN_OK)
        rc = fn_sqlite_column_box(s, st, 8, &r->box);
    if (rc != FN_OK)
        return rc;
    r->embedding = s->vector;
    r->fingerprint = (const char *)sqlite3_column_text(st, 5);
    r->pipeline_id = (const char *)sqlite3_column_text(st, 6);
    const void *sha256 = sqlite3_column_blob(st, 7);
    if (!fn_record_is_hash(r->fingerprint) || !fn_record_is_hash(r->pipeline_id) || !sha256 ||
        sqlite3_column_bytes(st, 7) != sizeof r->file_sha256)
        return fn_sqlite_damaged(s, "a hash is not a hash");
    memcpy(r->file_sha256, sha256, sizeof r->file_sha256);
    r->added_ms = sqlite3_column_int64(st, 12);
    r->taken_at = (const char *)sqlite3_column_text(st, 13);
    r->source_path = sqlite3_column_blob(st, 14);
    r->source_path_len = (size_t)sqlite3_column_bytes(st, 14);
    r->crop_jpeg = sqlite3_column_blob(st, 15);
    r->crop_jpeg_len = (size_t)sqlite3_column_bytes(st, 15);
    return fn_record_check(r) == FN_OK ? FN_OK : fn_sqlite_damaged(s, "a face is not as it was stored");
}

static int faces(fn_store *store, fn_id person, int64_t place, size_t limit, fn_store_face_visit *visit,
                 void *user) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[FACES];
    int code = fn_sqlite_bind_id(st, 1, &person) | sqlite3_bind_int64(st, 2, place) |
               sqlite3_bind_int64(st, 3, (int64_t)limit);
    int rc = FN_OK;
    while (rc == FN_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(st)) == SQLITE_ROW) {
        fn_face_record record = {0};
        rc = read_face(s, st, &record);
        if (rc == FN_OK)
            rc = visit(user, sqlite3_column_int64(st, 0), &record);
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int faces_move(fn_store *store, fn_id from, fn_id into) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[FACES_MOVE];
    return fn_sqlite_run(s, st, fn_sqlite_bind_id(st, 1, &from) | fn_sqlite_bind_id(st, 2, &into));
}

static int faces_of_file(fn_store *store, const unsigned char sha256[32], const char *fingerprint,
                         fn_store_file_visit *visit, void *user) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[FACES_OF_FILE];
    int code = fn_sqlite_bind_blob(st, 1, sha256, 32) | fn_sqlite_bind_text(st, 2, fingerprint), rc = FN_OK;
    while (rc == FN_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(st)) == SQLITE_ROW) {
        const char *name;
        fn_box box;
        rc = fn_sqlite_column_name(s, st, 0, &name);
        if (rc == FN_OK)
            rc = fn_sqlite_column_box(s, st, 1, &box);
        if (rc == FN_OK)
            rc = visit(user, name, &box);
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int vectors(fn_store *store, const char *fingerprint, int dimension, fn_store_vector_visit *visit,
                   void *user) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[VECTORS];
    int code = fn_sqlite_bind_text(st, 1, fingerprint), rc = FN_OK;
    while (rc == FN_OK && (code == SQLITE_OK || code == SQLITE_ROW) &&
           (code = sqlite3_step(st)) == SQLITE_ROW) {
        fn_id face, person;
        int n = 0;
        rc = fn_sqlite_column_id(s, st, 0, &face);
        if (rc == FN_OK)
            rc = fn_sqlite_column_id(s, st, 1, &person);
        if (rc == FN_OK)
            rc = fn_sqlite_column_vector(s, st, 2, &n);
        if (rc == FN_OK && n != dimension)
            rc = fn_fail(FN_ESTORE,
                         "%s: a vector of fingerprint %.12s has %d dimensions, the model has %d: the "
                         "gallery or the model is damaged",
                         s->path, fingerprint, n, dimension);
        if (rc == FN_OK)
            rc = visit(user, s->vector, person, face);
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int main_fingerprint(fn_store *store, char fingerprint[65]) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[MAIN_FINGERPRINT];
    int rc = FN_OK, code = sqlite3_step(st);
    fingerprint[0] = 0;
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);
        if (fn_record_is_hash(text))
            memcpy(fingerprint, text, 65);
        else
            rc = fn_sqlite_damaged(s, "a hash is not a hash");
    }
    return fn_sqlite_finish(s, st, code, rc);
}

static int count(fn_store *store, uint64_t *n_people, uint64_t *n_faces) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[COUNT];
    int code = sqlite3_step(st);
    *n_people = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 0) : 0;
    *n_faces = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(st, 1) : 0;
    return fn_sqlite_finish(s, st, code, FN_OK);
}

static int version(fn_store *store, int64_t *out) {
    return fn_sqlite_number(of(store), "PRAGMA data_version", out);
}

static int set_pending(fn_sqlite *s, int pending) {
    sqlite3_stmt *st = s->statements[SCRUB_SET];
    return fn_sqlite_run(s, st, sqlite3_bind_int(st, 1, pending));
}

static int soil(fn_store *store) {
    return set_pending(of(store), 1);
}

/// secure_delete zeroes deleted cells, but when pages split or merge SQLite leaves copies of moved
/// cells in their gaps. Only writing the file anew is sure; then the log, which still holds old
/// pages, is emptied. Idle connections do not stand in the way, reading ones do.
int fn_sqlite_scrub(fn_store *store) {
    fn_sqlite *s = of(store);
    sqlite3_stmt *st = s->statements[SCRUB_PENDING];
    int code = sqlite3_step(st);
    int pending = code == SQLITE_ROW && sqlite3_column_int(st, 0) != 0;
    int rc = fn_sqlite_finish(s, st, code, FN_OK);
    if (rc != FN_OK || !pending)
        return rc;
    rc = fn_sqlite_exec(s, "VACUUM");
    if (rc == FN_OK) {
        code = sqlite3_wal_checkpoint_v2(s->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        if (code != SQLITE_OK)
            rc = fn_sqlite_fail(s, code);
    }
    if (rc == FN_OK)
        rc = set_pending(s, 0);
    if (rc != FN_OK)
        return fn_fail_prefix(rc, "the change is made, but old bytes are still in the file; the next "
                                  "opening or removal overwrites them");
    return FN_OK;
}

const fn_store_ops fn_store_sqlite = {
    .open = fn_sqlite_open,
    .free = fn_sqlite_free,
    .begin = begin,
    .commit = commit,
    .rollback = rollback,
    .mark = mark,
    .keep = keep,
    .undo = undo,
    .person_by_name = person_by_name,
    .person_by_id = person_by_id,
    .person_add = person_add,
    .person_rename = person_rename,
    .person_remove = person_remove,
    .people = people,
    .face_add = face_add,
    .faces = faces,
    .faces_move = faces_move,
    .faces_of_file = faces_of_file,
    .vectors = vectors,
    .main_fingerprint = main_fingerprint,
    .count = count,
    .version = version,
    .soil = soil,
    .scrub = fn_sqlite_scrub,
};
