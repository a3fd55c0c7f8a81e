// SPDX-License-Identifier: Apache-2.0
//
// Inside of the SQLite store, shared by its files: sqlite_open.c (the file and the connection),
// schema.c (whose file it is, migrations), sqlite.c (the statements), sqlite_row.c (their columns).
#ifndef FN_STORE_SQLITE_H
#define FN_STORE_SQLITE_H

#include "store/store.h"

#include <sqlite3.h>

enum { FN_SQLITE_MAX_STATEMENTS = 40 };

typedef struct fn_sqlite {
    fn_store base;
    sqlite3 *db;
    char *path;
    int read_only;
    int busy_ms;
    sqlite3_stmt *statements[FN_SQLITE_MAX_STATEMENTS];
    float *vector; // the row last read
    int vector_capacity;
} fn_sqlite;

/// Turns a result code of SQLite into FN_ESTORE (or FN_ENOMEM) and one line for people.
int fn_sqlite_fail(const fn_sqlite *s, int code);
/// FN_ESTORE: the file holds what we never write.
int fn_sqlite_damaged(const fn_sqlite *s, const char *what);
/// Runs SQL text that gives no rows of interest.
int fn_sqlite_exec(fn_sqlite *s, const char *sql);
/// The single number that a query gives.
int fn_sqlite_number(fn_sqlite *s, const char *sql, int64_t *out);

/// Bind a value that outlives the step. The codes of several may be or-ed: SQLITE_OK is 0.
int fn_sqlite_bind_id(sqlite3_stmt *st, int at, const fn_id *id);
int fn_sqlite_bind_text(sqlite3_stmt *st, int at, const char *text);
int fn_sqlite_bind_blob(sqlite3_stmt *st, int at, const void *bytes, size_t n);
/// Ends a statement: rc of the row's reader when that failed, else what SQLite said last.
int fn_sqlite_finish(fn_sqlite *s, sqlite3_stmt *st, int code, int rc);
/// Steps a statement without rows to its end, unless binding failed.
int fn_sqlite_run(fn_sqlite *s, sqlite3_stmt *st, int bound);
/// Columns of the present row. FN_ESTORE when a value is not what we write.
int fn_sqlite_column_id(fn_sqlite *s, sqlite3_stmt *st, int at, fn_id *id);
int fn_sqlite_column_name(fn_sqlite *s, sqlite3_stmt *st, int at, const char **name);
int fn_sqlite_column_box(fn_sqlite *s, sqlite3_stmt *st, int at, fn_box *box);
/// Decodes into s->vector; the dimension and the bytes stand in columns `at` and `at` + 1.
int fn_sqlite_column_vector(fn_sqlite *s, sqlite3_stmt *st, int at, int *dimension);

int fn_sqlite_open(fn_store **out, const char *path, int read_only, int busy_ms);
void fn_sqlite_free(fn_store *store);
/// Prepares every statement, which also proves that every table and column is there.
int fn_sqlite_prepare(fn_sqlite *s);
/// Overwrites what was deleted when a scrub is pending.
int fn_sqlite_scrub(fn_store *store);

/// Makes sure that the file is a gallery of this version: creates the tables in an empty file,
/// upgrades an older gallery, refuses everything else.
int fn_schema_open(fn_sqlite *s);

#endif
