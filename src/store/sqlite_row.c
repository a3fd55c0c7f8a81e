// SPDX-License-Identifier: Apache-2.0
//
// The life of a statement: bind, step, finish; and its columns, read as outside bytes are: a damaged
// or forged file gives an error, never a wrong size.
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/error.h"
#include "match/distance.h"
#include "store/record.h"

#include <math.h>
#include <string.h>

int fn_sqlite_bind_id(sqlite3_stmt *st, int at, const fn_id *id) {
    return sqlite3_bind_blob(st, at, id->bytes, FN_ID_SIZE, SQLITE_STATIC);
}

int fn_sqlite_bind_text(sqlite3_stmt *st, int at, const char *text) {
    return sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

int fn_sqlite_bind_blob(sqlite3_stmt *st, int at, const void *bytes, size_t n) {
    return sqlite3_bind_blob64(st, at, bytes, n, SQLITE_STATIC);
}

int fn_sqlite_finish(fn_sqlite *s, sqlite3_stmt *st, int code, int rc) {
    if (rc == FN_OK && code != SQLITE_DONE && code != SQLITE_ROW && code != SQLITE_OK)
        rc = fn_sqlite_fail(s, code);
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
    return rc;
}

int fn_sqlite_run(fn_sqlite *s, sqlite3_stmt *st, int bound) {
    return fn_sqlite_finish(s, st, bound == SQLITE_OK ? sqlite3_step(st) : SQLITE_NOMEM, FN_OK);
}

int fn_sqlite_column_id(fn_sqlite *s, sqlite3_stmt *st, int at, fn_id *id) {
    const void *bytes = sqlite3_column_blob(st, at);
    if (!bytes || sqlite3_column_bytes(st, at) != FN_ID_SIZE)
        return fn_sqlite_damaged(s, "an id is not 16 bytes");
    memcpy(id->bytes, bytes, FN_ID_SIZE);
    return FN_OK;
}

int fn_sqlite_column_name(fn_sqlite *s, sqlite3_stmt *st, int at, const char **name) {
    *name = (const char *)sqlite3_column_text(st, at);
    if (!*name || strlen(*name) != (size_t)sqlite3_column_bytes(st, at) ||
        fn_record_check_name(*name) == FN_EINVAL)
        return fn_sqlite_damaged(s, "a name is not a name");
    return FN_OK;
}

int fn_sqlite_column_box(fn_sqlite *s, sqlite3_stmt *st, int at, fn_box *box) {
    double v[4];
    for (int i = 0; i < 4; i++) {
        v[i] = sqlite3_column_double(st, at + i);
        if (!(fabs(v[i]) <= 3e38))
            return fn_sqlite_damaged(s, "a box is not a box");
    }
    *box = (fn_box){(float)v[0], (float)v[1], (float)v[2], (float)v[3]};
    return FN_OK;
}

int fn_sqlite_column_vector(fn_sqlite *s, sqlite3_stmt *st, int at, int *dimension) {
    int64_t n = sqlite3_column_int64(st, at);
    const unsigned char *bytes = sqlite3_column_blob(st, at + 1);
    if (n < 1 || n > FN_DIMENSION_MAX || !bytes || sqlite3_column_bytes(st, at + 1) != 4 * n)
        return fn_sqlite_damaged(s, "a vector's size is wrong");
    if (n > s->vector_capacity) {
        float *grown = fn_realloc(s->vector, (size_t)n, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        s->vector = grown;
        s->vector_capacity = (int)n;
    }
    for (int64_t i = 0; i < n; i++, bytes += 4) {
        uint32_t bits =
            bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
        memcpy(&s->vector[i], &bits, 4);
    }
    *dimension = (int)n;
    return FN_OK;
}
