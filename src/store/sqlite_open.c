// SPDX-License-Identifier: Apache-2.0
//
// The file and the connection of a SQLite gallery. Three things need care. The file is made by us
// with mode 0600 before SQLite opens it, and SQLite gives its -wal and -shm files the same mode. It
// is never opened and closed beside SQLite, because closing drops the locks of the whole process
// (https://www.sqlite.org/howtocorrupt.html, section 2.2). And until a file is known to be ours
// nothing in it is changed, not even by a checkpoint on closing.
#define _GNU_SOURCE
#include "store/sqlite.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES_MAX = 2 * FN_CROP_BYTES_MAX };

int fn_sqlite_fail(const fn_sqlite *s, int code) {
    int system = s->db ? sqlite3_system_errno(s->db) : 0;
    switch (code & 0xFF) {
    case SQLITE_NOMEM:
        return fn_fail_memory();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fn_fail(FN_ESTORE, "%s: another program was using the gallery for more than %d ms: try again",
                       s->path, s->busy_ms);
    case SQLITE_FULL:
        return fn_fail(FN_ESTORE, "%s: the disk is full; the gallery is as it was before", s->path);
    case SQLITE_NOTADB:
        return fn_fail(FN_ESTORE, "%s: not a gallery, or a damaged one", s->path);
    case SQLITE_CORRUPT:
        return fn_sqlite_damaged(s, sqlite3_errmsg(s->db));
    case SQLITE_READONLY:
        if (s->read_only)
            return fn_fail(
                FN_ESTORE,
                "%s: even reading needs the -wal and -shm files beside the gallery, and they cannot "
                "be made here: copy the gallery to a folder that can be written",
                s->path);
        return fn_fail(FN_ESTORE, "%s: the gallery cannot be written (%s)", s->path, sqlite3_errmsg(s->db));
    case SQLITE_CANTOPEN:
        return fn_fail(FN_ESTORE,
                       "%s: the gallery or the -wal and -shm files beside it cannot be opened (%s)", s->path,
                       system ? strerror(system) : sqlite3_errmsg(s->db));
    case SQLITE_IOERR:
        return fn_fail(FN_ESTORE, "%s: reading or writing the gallery failed (%s)", s->path,
                       system ? strerror(system) : sqlite3_errstr(code));
    default:
        return fn_fail(FN_ESTORE, "%s: %s", s->path, s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code));
    }
}

int fn_sqlite_damaged(const fn_sqlite *s, const char *what) {
    return fn_fail(FN_ESTORE, "%s: the gallery is damaged (%s): restore it from a copy", s->path, what);
}

int fn_sqlite_exec(fn_sqlite *s, const char *sql) {
    int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? FN_OK : fn_sqlite_fail(s, code);
}

int fn_sqlite_number(fn_sqlite *s, const char *sql, int64_t *out) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    int rc = code == SQLITE_OK ? FN_OK : fn_sqlite_fail(s, code);
    sqlite3_finalize(statement);
    return rc;
}

/// Two threads may open the same new gallery: nobody hands the file to SQLite while the other one
/// still has it open here.
static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER;

static int create_file(const char *path) {
    int rc = FN_OK;
    pthread_mutex_lock(&creating);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        if (fchmod(fd, 0600)) // whatever the umask
            rc = fn_fail(FN_ESTORE, "%s: cannot be made private: %s", path, strerror(errno));
        close(fd);
    } else if (errno != EEXIST) {
        rc = fn_fail(FN_ESTORE, "%s: the gallery cannot be created: %s", path, strerror(errno));
    }
    pthread_mutex_unlock(&creating);
    return rc;
}

/// Whether this process may write the file and create files beside it.
static int check_writable(const char *path) {
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
        return fn_fail(FN_ESTORE, "%s: the gallery cannot be written: %s", path, strerror(errno));
    const char *slash = strrchr(path, '/');
    char *folder = slash ? fn_strndup(path, (size_t)(slash - path) + 1) : fn_strdup(".");
    if (!folder)
        return fn_fail_memory();
    int rc = FN_OK;
    if (faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS))
        rc = fn_fail(FN_ESTORE, "%s: the gallery cannot be written, because its folder cannot: %s", path,
                     strerror(errno));
    fn_free(folder);
    return rc;
}

/// A name for SQLite: never one of its special names (":memory:", "file:..."). On a read-only medium
/// it becomes an address that promises that nobody changes the file.
static char *sqlite_name(const char *path, int immutable) {
    fn_buf buf;
    fn_buf_init(&buf, 1 << 16);
    if (immutable)
        fn_buf_printf(&buf, "file:");
    if (path[0] != '/')
        fn_buf_printf(&buf, "./");
    for (const char *p = path; *p; p++) {
        if (immutable && strchr("%?#", *p))
            fn_buf_printf(&buf, "%%%02X", (unsigned)*p);
        else
            fn_buf_append(&buf, p, 1);
    }
    if (immutable)
        fn_buf_printf(&buf, "?immutable=1");
    return fn_buf_take(&buf);
}

/// Reading a write-ahead log needs writable files beside it; without a log none are needed, and on a
/// medium mounted read-only no log can appear.
static int check_medium(const char *path, int *immutable) {
    struct statvfs medium;
    struct stat st;
    *immutable = 0;
    if (statvfs(path, &medium) || !(medium.f_flag & ST_RDONLY))
        return FN_OK;
    char *log = fn_asprintf("%s-wal", path);
    if (!log)
        return fn_fail_memory();
    int rc = FN_OK;
    *immutable = 1;
    if (stat(log, &st) == 0 && st.st_size > 0)
        rc = fn_fail(FN_ESTORE,
                     "%s: has a write-ahead log, which cannot be read on a read-only medium: open the "
                     "gallery once where it can be written",
                     path);
    fn_free(log);
    return rc;
}

/// The file exists, is a regular one, and can be used as asked.
static int check_file(const char *path, int read_only, int *immutable) {
    struct stat st;
    *immutable = 0;
    int rc = read_only ? FN_OK : create_file(path);
    if (rc != FN_OK)
        return rc;
    if (stat(path, &st))
        return fn_fail(FN_ESTORE, "%s: the gallery cannot be opened: %s%s", path, strerror(errno),
                       errno == ENOENT ? "; who is enrolled first makes it (facenet enroll)" : "");
    if (!S_ISREG(st.st_mode))
        return fn_fail(FN_ESTORE, "%s: not a regular file, so not a gallery", path);
    if (read_only)
        return check_medium(path, immutable);
    // An empty file from elsewhere is about to hold people's faces.
    if (st.st_size == 0 && (st.st_mode & 0777) != 0600 && chmod(path, 0600))
        return fn_fail(FN_ESTORE, "%s: cannot be made private: %s", path, strerror(errno));
    return check_writable(path);
}

/// Settings of a connection that hold before the first byte is read.
static int harden(fn_sqlite *s) {
    static const int settings[][2] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},      {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}, {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1},
    };
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, s->busy_ms);
    sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 1); // VACUUM needs one
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int code = sqlite3_db_config(s->db, settings[i][0], settings[i][1], NULL);
        if (code != SQLITE_OK)
            return fn_sqlite_fail(s, code);
    }
    return fn_sqlite_exec(s, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                             "PRAGMA secure_delete = ON; PRAGMA synchronous = FULL");
}

/// Write-ahead logging, noted in the file. Several processes may try at once on a new file.
static int use_log(fn_sqlite *s) {
    int64_t give_up = fn_clock_ms() + s->busy_ms;
    for (;;) {
        sqlite3_stmt *statement = NULL;
        int is_on = 0;
        int code = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
        if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
            const char *mode = (const char *)sqlite3_column_text(statement, 0);
            is_on = mode && strcmp(mode, "wal") == 0;
            code = SQLITE_OK;
        }
        sqlite3_finalize(statement);
        if (is_on)
            return FN_OK;
        if (code == SQLITE_OK)
            return fn_fail(FN_ESTORE,
                           "%s: this file system has no shared memory for a write-ahead log: keep the "
                           "gallery on a local disk",
                           s->path);
        if ((code & 0xFF) != SQLITE_BUSY || fn_clock_ms() >= give_up)
            return fn_sqlite_fail(s, code);
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
}

int fn_sqlite_open(fn_store **out, const char *path, int read_only, int busy_ms) {
    int immutable;
    char *name = NULL;
    *out = NULL;
    int rc = check_file(path, read_only, &immutable);
    if (rc != FN_OK)
        return rc;
    fn_sqlite *s = fn_calloc(1, sizeof *s);
    if (!s)
        return fn_fail_memory();
    s->base.ops = &fn_store_sqlite;
    s->read_only = read_only;
    s->busy_ms = busy_ms;
    s->path = fn_strdup(path);
    name = sqlite_name(path, immutable);
    if (!s->path || !name) {
        rc = fn_fail_memory();
        goto out;
    }
    int flags = SQLITE_OPEN_NOMUTEX | (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                (immutable ? SQLITE_OPEN_URI : 0);
    int code = sqlite3_open_v2(name, &s->db, flags, NULL);
    if (code != SQLITE_OK) {
        rc = fn_sqlite_fail(s, code);
        goto out;
    }
    rc = harden(s);
    if (rc == FN_OK)
        rc = fn_schema_open(s);
    if (rc == FN_OK && !read_only)
        rc = use_log(s);
    if (rc == FN_OK)
        rc = fn_sqlite_prepare(s);
    if (rc == FN_OK && !read_only) {
        sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
        // What an interrupted removal left behind. When somebody is reading just now it stays
        // pending, and the next opening or removal tries again.
        sqlite3_busy_timeout(s->db, 0);
        fn_sqlite_scrub(&s->base);
        sqlite3_busy_timeout(s->db, s->busy_ms);
    }
out:
    fn_free(name);
    if (rc != FN_OK)
        fn_sqlite_free(&s->base);
    else
        *out = &s->base;
    return rc;
}

void fn_sqlite_free(fn_store *store) {
    fn_sqlite *s = (fn_sqlite *)store;
    for (size_t i = 0; i < FN_SQLITE_MAX_STATEMENTS; i++)
        sqlite3_finalize(s->statements[i]);
    sqlite3_close(s->db);
    fn_free(s->vector);
    fn_free(s->path);
    fn_free(s);
}
