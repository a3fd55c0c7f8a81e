// SPDX-License-Identifier: Apache-2.0
//
// The tables of a gallery and how they came to be: migrations[v] leads from version v to v + 1, in
// one transaction with the new number. SQLite's application_id says that a file is ours, its
// user_version which migrations it has seen. The text of a released migration never changes.
#include "store/sqlite.h"

#include "base/error.h"

#include <stdio.h>

/// "FNgl", fixed for ever.
#define APPLICATION_ID 0x464E676C

static const char *const migrations[] = {
    // 0 -> 1. Faces are numbered in the order they are added. Embeddings are float32, little-endian.
    // Crops stand apart so that a scan of the faces does not read them.
    "CREATE TABLE people("
    "  id BLOB NOT NULL PRIMARY KEY CHECK(length(id) = 16),"
    "  name TEXT NOT NULL UNIQUE,"
    "  created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE fingerprints(number INTEGER PRIMARY KEY, hex TEXT NOT NULL UNIQUE);"
    "CREATE TABLE pipelines(number INTEGER PRIMARY KEY, hex TEXT NOT NULL UNIQUE);"
    "CREATE TABLE faces("
    "  number INTEGER PRIMARY KEY,"
    "  id BLOB NOT NULL UNIQUE CHECK(length(id) = 16),"
    "  person BLOB NOT NULL REFERENCES people(id),"
    "  fingerprint INTEGER NOT NULL REFERENCES fingerprints(number),"
    "  pipeline INTEGER NOT NULL REFERENCES pipelines(number),"
    "  dimension INTEGER NOT NULL,"
    "  embedding BLOB NOT NULL CHECK(length(embedding) = 4 * dimension),"
    "  file_sha256 BLOB NOT NULL CHECK(length(file_sha256) = 32),"
    "  x REAL NOT NULL, y REAL NOT NULL, width REAL NOT NULL, height REAL NOT NULL,"
    "  added_ms INTEGER NOT NULL,"
    "  taken_at TEXT,"
    "  source_path BLOB);"
    "CREATE INDEX faces_person ON faces(person);"
    "CREATE INDEX faces_file ON faces(file_sha256);"
    "CREATE TABLE crops(face INTEGER PRIMARY KEY REFERENCES faces(number), jpeg BLOB NOT NULL);"
    // pending is 1 from a removal until its bytes have been overwritten.
    "CREATE TABLE scrub(only INTEGER PRIMARY KEY CHECK(only = 1), pending INTEGER NOT NULL);"
    "INSERT INTO scrub VALUES(1, 0);",
};
enum { VERSION = sizeof migrations / sizeof *migrations };

/// What the file says about itself: the version, or a refusal. 0: empty.
static int identify(fn_sqlite *s, int64_t *version) {
    int64_t application = 0, objects = 0, odd = 0;
    int rc = fn_sqlite_number(s, "PRAGMA application_id", &application);
    if (rc == FN_OK)
        rc = fn_sqlite_number(s, "PRAGMA user_version", version);
    if (rc == FN_OK)
        rc = fn_sqlite_number(s, "SELECT count(*) FROM sqlite_schema", &objects);
    // Views, triggers and virtual tables run code of their own; we never make any.
    if (rc == FN_OK)
        rc = fn_sqlite_number(s,
                              "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index') "
                              "OR coalesce(rootpage, 0) = 0",
                              &odd);
    if (rc != FN_OK)
        return rc;
    if (application == 0 && objects == 0 && *version == 0)
        return FN_OK;
    if (application != APPLICATION_ID)
        return fn_fail(FN_ESTORE, "%s: a database of another program, not a gallery: choose another file",
                       s->path);
    if (*version > VERSION)
        return fn_fail(FN_ESTORE,
                       "%s: made by a newer facenet (gallery version %lld, this program knows %d): update "
                       "the program",
                       s->path, (long long)*version, VERSION);
    if (*version < 1 || odd)
        return fn_sqlite_damaged(s, "its tables are not those of a gallery");
    return FN_OK;
}

static int migrate(fn_sqlite *s) {
    char sql[128];
    int64_t version = 0;
    int rc = fn_sqlite_exec(s, "BEGIN IMMEDIATE");
    if (rc != FN_OK)
        return rc;
    rc = identify(s, &version); // another process may have been quicker
    for (; rc == FN_OK && version < VERSION; version++)
        rc = fn_sqlite_exec(s, migrations[version]);
    if (rc == FN_OK) {
        snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION_ID,
                 VERSION);
        rc = fn_sqlite_exec(s, sql);
    }
    if (rc == FN_OK)
        rc = fn_sqlite_exec(s, "COMMIT");
    if (rc != FN_OK && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int fn_schema_open(fn_sqlite *s) {
    int64_t version;
    int rc = fn_sqlite_exec(s, "BEGIN"); // one moment: another process may be creating the tables
    if (rc != FN_OK)
        return rc;
    rc = identify(s, &version);
    sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL); // nothing was written
    if (rc != FN_OK || version == VERSION)
        return rc;
    if (s->read_only && version == 0)
        return fn_fail(FN_ESTORE, "%s: an empty file, not a gallery", s->path);
    if (s->read_only)
        return fn_fail(FN_ESTORE, "%s: made by an older facenet: open it once for writing to upgrade it",
                       s->path);
    return migrate(s);
}
