// SPDX-License-Identifier: Apache-2.0
//
// The embedding cache, one SQLite file. Opening holds a lock on the folder, so that two processes
// never both make a damaged cache anew. Whether a damaged file was a cache at all is told by the
// application id in its first hundred bytes (https://www.sqlite.org/fileformat.html, section 1.3);
// at the default place nothing else can be meant.
#define _GNU_SOURCE
#include "store/cache.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/// "FNec", fixed for ever. The version changes when another face of a picture is chosen or the
/// tables change; a cache of another version starts anew.
#define APPLICATION_ID 0x464E6563
#define VERSION 1
#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

enum { BUSY_MS = 5000, MAX_VALUE_BYTES = 1 << 20 };

struct fn_cache {
    sqlite3 *db;
    char *path;
    char fingerprint[65], pipeline_id[65];
    int dimension;
    sqlite3_stmt *get, *put;
    unsigned char *bytes; // a vector as it is stored
};

/// What opening finds besides SQLite's own codes.
enum {
    OTHER_PROGRAM = -1, // a database, but not a cache
    OTHER_VERSION = -2, // to be made anew, without a word
};

static int fail(const fn_cache *c, int code) {
    switch (code & 0xFF) {
    case SQLITE_NOMEM:
        return fn_fail_memory();
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fn_fail(FN_ESTORE, "%s: another program was using the cache for more than %d ms: try again",
                       c->path, BUSY_MS);
    case SQLITE_FULL:
        return fn_fail(FN_ESTORE, "%s: the disk is full", c->path);
    default:
        return fn_fail(FN_ESTORE, "%s: the cache cannot be used (%s)", c->path,
                       c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(code));
    }
}

static int exec(fn_cache *c, const char *sql) {
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

static int number(fn_cache *c, const char *sql, int64_t *out) {
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(st, 0);
        code = SQLITE_OK;
    }
    int finished = sqlite3_finalize(st);
    return code == SQLITE_OK ? finished : code;
}

/// Overwrites what was deleted. secure_delete zeroes cells, but copies of moved cells may stay in
/// the gaps of pages: writing the file anew and emptying the log is what is sure.
static int scrub(fn_cache *c) {
    int64_t pending = 0;
    int code = number(c, "SELECT pending FROM scrub", &pending);
    if (code != SQLITE_OK || !pending)
        return code;
    code = exec(c, "VACUUM");
    if (code == SQLITE_OK)
        code = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? exec(c, "UPDATE scrub SET pending = 0") : code;
}

/// SQLITE_CORRUPT when any page is damaged. A cache of ten thousand files takes milliseconds.
static int check_pages(fn_cache *c) {
    sqlite3_stmt *st = NULL;
    int code = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_ROW) {
        const char *said = (const char *)sqlite3_column_text(st, 0);
        code = said && strcmp(said, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
    }
    sqlite3_finalize(st);
    return code;
}

static int create_tables(fn_cache *c) {
    int code = exec(c, "BEGIN IMMEDIATE;"
                       "CREATE TABLE embeddings("
                       "  file_sha256 BLOB NOT NULL CHECK(length(file_sha256) = 32),"
                       "  fingerprint TEXT NOT NULL,"
                       "  pipeline_id TEXT NOT NULL,"
                       "  missed INTEGER NOT NULL,"
                       "  n_faces INTEGER NOT NULL,"
                       "  vector BLOB NOT NULL," // float32, little-endian
                       "  PRIMARY KEY(file_sha256, fingerprint, pipeline_id));"
                       "CREATE TABLE scrub(pending INTEGER NOT NULL);"
                       "INSERT INTO scrub VALUES(0);"
                       "PRAGMA user_version = " TEXT_OF(VERSION));
    return code == SQLITE_OK ? exec(c, "PRAGMA application_id = " TEXT_OF(APPLICATION_ID) "; COMMIT") : code;
}

/// Opens the tables of a healthy cache or makes them in an empty file. SQLITE_NOTADB and
/// SQLITE_CORRUPT: damaged.
static int open_tables(fn_cache *c) {
    static const int settings[][2] = {
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
        {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
    };
    int64_t application = 0, version = 0, objects = 0;
    int code = SQLITE_OK;
    for (size_t i = 0; i < sizeof settings / sizeof *settings && code == SQLITE_OK; i++)
        code = sqlite3_db_config(c->db, settings[i][0], settings[i][1], NULL);
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, BUSY_MS);
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
    if (code == SQLITE_OK)
        code = exec(c, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
                       "PRAGMA secure_delete = ON; PRAGMA synchronous = NORMAL; BEGIN");
    if (code == SQLITE_OK)
        code = number(c, "PRAGMA application_id", &application);
    if (code == SQLITE_OK)
        code = number(c, "PRAGMA user_version", &version);
    if (code == SQLITE_OK)
        code = number(c, "SELECT count(*) FROM sqlite_schema", &objects);
    if (code == SQLITE_OK)
        code = exec(c, "COMMIT");
    if (code != SQLITE_OK)
        return code;
    if (application != APPLICATION_ID && (application || objects || version))
        return OTHER_PROGRAM;
    if (application == APPLICATION_ID && version != VERSION)
        return OTHER_VERSION;
    code = check_pages(c);
    if (code != SQLITE_OK)
        return code;
    code = exec(c, "PRAGMA journal_mode = WAL");
    if (code == SQLITE_OK && application != APPLICATION_ID)
        code = create_tables(c);
    if (code != SQLITE_OK)
        return code;
    code = scrub(c);
    return code == SQLITE_BUSY ? SQLITE_OK : code; // somebody reads: the next opening scrubs
}

static int prepare(fn_cache *c) {
    int code = sqlite3_prepare_v3(c->db,
                                  "SELECT missed, n_faces, vector FROM embeddings WHERE file_sha256 = ?1 AND "
                                  "fingerprint = ?2 AND pipeline_id = ?3",
                                  -1, SQLITE_PREPARE_PERSISTENT, &c->get, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v3(c->db, "INSERT OR REPLACE INTO embeddings VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
                                  -1, SQLITE_PREPARE_PERSISTENT, &c->put, NULL);
    return code;
}

/// One attempt: connects and prepares.
static int connect(fn_cache *c) {
    // Never one of SQLite's special names (":memory:", "file:...").
    char *name = fn_asprintf("%s%s", c->path[0] == '/' ? "" : "./", c->path);
    if (!name)
        return SQLITE_NOMEM;
    int code = sqlite3_open_v2(name, &c->db, SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_READWRITE, NULL);
    fn_free(name);
    if (code == SQLITE_OK)
        code = open_tables(c);
    if (code == SQLITE_OK)
        code = prepare(c);
    return code;
}

static void disconnect(fn_cache *c) {
    sqlite3_finalize(c->get);
    sqlite3_finalize(c->put);
    c->get = c->put = NULL;
    sqlite3_close(c->db);
    c->db = NULL;
}

/// The file exists, private; SQLite gives its -wal and -shm files the same mode.
static int create_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return FN_OK;
    }
    if (errno != EEXIST || stat(path, &st))
        return fn_fail(FN_ESTORE, "%s: the cache cannot be created: %s", path, strerror(errno));
    return S_ISREG(st.st_mode) ? FN_OK : fn_fail(FN_ESTORE, "%s: not a regular file, so not a cache", path);
}

/// 1 when the first bytes are those of a cache. Called while no connection of this process is open,
/// because closing a file drops the process's locks on it.
static int has_our_header(const char *path) {
    unsigned char header[100];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, header, sizeof header);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)sizeof header && memcmp(header, "SQLite format 3", 16) == 0 &&
           header[68] == (APPLICATION_ID >> 24 & 0xFF) && header[69] == (APPLICATION_ID >> 16 & 0xFF) &&
           header[70] == (APPLICATION_ID >> 8 & 0xFF) && header[71] == (APPLICATION_ID & 0xFF);
}

static int remove_files(const fn_cache *c) {
    static const char *const endings[] = {"-wal", "-shm", ""};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char *name = fn_asprintf("%s%s", c->path, endings[i]);
        if (!name)
            return fn_fail_memory();
        int failed = unlink(name) && errno != ENOENT ? errno : 0;
        fn_free(name);
        if (failed)
            return fn_fail(FN_ESTORE, "%s: the damaged cache cannot be removed: %s", c->path,
                           strerror(failed));
    }
    return FN_OK;
}

/// Connects; makes a damaged or old cache anew. The folder is locked.
static int open_or_renew(fn_cache *c, int is_default, const fn_control *control) {
    int rc = create_file(c->path);
    if (rc < 0)
        return rc;
    int code = connect(c);
    int damaged = (code & 0xFF) == SQLITE_NOTADB || (code & 0xFF) == SQLITE_CORRUPT ||
                  (code & 0xFF) == SQLITE_ERROR; // a table is not as we make it
    if (code == OTHER_PROGRAM)
        return fn_fail(FN_ESTORE, "%s: a database of another program, not a cache: choose another file",
                       c->path);
    if (!damaged && code != OTHER_VERSION)
        return code == SQLITE_OK ? FN_OK : fail(c, code);
    disconnect(c);
    if (!is_default && !has_our_header(c->path))
        return fn_fail(FN_ESTORE,
                       "%s: not a cache, or one damaged beyond recognition: choose another file, "
                       "or remove this one",
                       c->path);
    if (damaged)
        fn_control_log(control, FN_LOG_WARNING, "%s: the cache is damaged and is made anew", c->path);
    rc = remove_files(c);
    if (rc == FN_OK)
        rc = create_file(c->path);
    if (rc == FN_OK && (code = connect(c)) != SQLITE_OK)
        rc = fail(c, code);
    return rc;
}

/// *fd is to be closed; -1 where the file system has no locks for folders.
static int lock_folder(int *fd, const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? fn_strndup(path, (size_t)(slash - path) + 1) : fn_strdup(".");
    if (!folder)
        return fn_fail_memory();
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fn_free(folder);
    while (*fd >= 0 && flock(*fd, LOCK_EX) && errno == EINTR)
        ;
    return FN_OK;
}

static int names_a_folder(const char *variable) {
    const char *value = getenv(variable);
    return value && *value == '/';
}

static int has_default_path(void) {
    return names_a_folder("XDG_CACHE_HOME") || names_a_folder("HOME");
}

static int default_path(char **out, int create) {
    char *folder = fn_path_cache(NULL);
    *out = NULL;
    if (!folder)
        return has_default_path() ? FN_ENOMEM : FN_EIO; // fn_path_cache has noted why
    int rc = create ? fn_mkdirs(folder, 0700) : FN_OK;
    if (rc == FN_OK && !(*out = fn_path_join(folder, "embeddings.db")))
        rc = FN_ENOMEM;
    fn_free(folder);
    return rc;
}

static int copy_path(char **out, const char *path) {
    *out = fn_strdup(path);
    return *out ? FN_OK : fn_fail_memory();
}

static int open_cache(fn_cache **out, const char *path, int dimension, const fn_control *control) {
    fn_cache *c = fn_calloc(1, sizeof *c);
    if (!c)
        return fn_fail_memory();
    c->dimension = dimension;
    c->bytes = fn_alloc((size_t)dimension * 4);
    int rc = c->bytes ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        rc = path ? copy_path(&c->path, path) : default_path(&c->path, 1);
    int fd = -1;
    if (rc == FN_OK)
        rc = lock_folder(&fd, c->path);
    if (rc == FN_OK)
        rc = open_or_renew(c, !path, control);
    if (fd >= 0)
        close(fd);
    if (rc < 0)
        fn_cache_free(c);
    else
        *out = c;
    return rc;
}

int fn_cache_open(fn_cache **out, const char *path, const char *fingerprint, const char *pipeline_id,
                  int dimension, const fn_control *control) {
    *out = NULL;
    if (dimension < 1 || dimension > MAX_VALUE_BYTES / 4 - 256 || strlen(fingerprint) != 64 ||
        strlen(pipeline_id) != 64)
        return fn_fail(FN_EINVAL, "a cache needs a fingerprint, a pipeline id and a dimension");
    int rc = open_cache(out, path, dimension, control);
    if (rc == FN_OK) {
        memcpy((*out)->fingerprint, fingerprint, 65);
        memcpy((*out)->pipeline_id, pipeline_id, 65);
    }
    return rc;
}

void fn_cache_free(fn_cache *cache) {
    if (!cache)
        return;
    disconnect(cache);
    fn_free(cache->bytes);
    fn_free(cache->path);
    fn_free(cache);
}

static int bind_key(const fn_cache *c, sqlite3_stmt *st, const unsigned char sha256[32]) {
    return sqlite3_bind_blob(st, 1, sha256, 32, SQLITE_STATIC) |
           sqlite3_bind_text(st, 2, c->fingerprint, 64, SQLITE_STATIC) |
           sqlite3_bind_text(st, 3, c->pipeline_id, 64, SQLITE_STATIC);
}

static void to_bytes(unsigned char *dst, const float *src, int n) {
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &src[i], 4);
        for (int k = 0; k < 4; k++)
            dst[4 * i + k] = (unsigned char)(bits >> 8 * k);
    }
}

/// 0 when a number is not finite or larger than a part of a unit vector can be.
static int from_bytes(float *dst, const unsigned char *src, int n) {
    for (int i = 0; i < n; i++) {
        uint32_t bits = 0;
        for (int k = 0; k < 4; k++)
            bits |= (uint32_t)src[4 * i + k] << 8 * k;
        memcpy(&dst[i], &bits, 4);
        if (!(dst[i] >= -1.001F && dst[i] <= 1.001F))
            return 0;
    }
    return 1;
}

int fn_cache_get(fn_cache *cache, fn_cache_entry *entry, int *found) {
    sqlite3_stmt *st = cache->get;
    *found = 0;
    if (bind_key(cache, st, entry->sha256) != SQLITE_OK)
        return fn_fail_memory();
    int code = sqlite3_step(st);
    // A row that is not as we write it is as good as none: it will be replaced.
    if (code == SQLITE_ROW && sqlite3_column_bytes(st, 2) == 4 * cache->dimension &&
        from_bytes(entry->vector, sqlite3_column_blob(st, 2), cache->dimension)) {
        entry->missed = sqlite3_column_int(st, 0) != 0;
        entry->n_faces = (uint64_t)sqlite3_column_int64(st, 1);
        *found = 1;
    }
    sqlite3_reset(st);
    return code == SQLITE_ROW || code == SQLITE_DONE ? FN_OK : fail(cache, code);
}

static int put(fn_cache *c, const fn_cache_entry *entry) {
    sqlite3_stmt *st = c->put;
    to_bytes(c->bytes, entry->vector, c->dimension);
    int bound = bind_key(c, st, entry->sha256) | sqlite3_bind_int(st, 4, entry->missed != 0) |
                sqlite3_bind_int64(st, 5, (sqlite3_int64)entry->n_faces) |
                sqlite3_bind_blob(st, 6, c->bytes, 4 * c->dimension, SQLITE_STATIC);
    int code = bound == SQLITE_OK ? sqlite3_step(st) : SQLITE_NOMEM;
    sqlite3_reset(st);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

/// Commits or takes back; what became of it.
static int end(fn_cache *c, int code) {
    if (code == SQLITE_OK)
        code = exec(c, "COMMIT");
    int rc = code == SQLITE_OK ? FN_OK : fail(c, code);
    if (rc < 0 && !sqlite3_get_autocommit(c->db))
        exec(c, "ROLLBACK");
    return rc;
}

int fn_cache_put(fn_cache *cache, const fn_cache_entry *entries, size_t n) {
    int code = exec(cache, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK)
        return fail(cache, code);
    for (size_t i = 0; i < n && code == SQLITE_OK; i++)
        code = put(cache, &entries[i]);
    return end(cache, code);
}

static int forget(fn_cache *c, const unsigned char (*sha256)[32], size_t n) {
    sqlite3_stmt *st = NULL;
    int64_t n_deleted = 0;
    int code = sqlite3_prepare_v2(c->db, "DELETE FROM embeddings WHERE file_sha256 = ?1", -1, &st, NULL);
    if (code == SQLITE_OK)
        code = exec(c, "BEGIN IMMEDIATE");
    if (code != SQLITE_OK) {
        sqlite3_finalize(st);
        return fail(c, code);
    }
    for (size_t i = 0; i < n && code == SQLITE_OK; i++) {
        code = sqlite3_bind_blob(st, 1, sha256[i], 32, SQLITE_STATIC);
        if (code == SQLITE_OK && (code = sqlite3_step(st)) == SQLITE_DONE)
            code = SQLITE_OK;
        n_deleted += sqlite3_changes(c->db);
        sqlite3_reset(st);
    }
    if (code == SQLITE_OK && n_deleted)
        code = exec(c, "UPDATE scrub SET pending = 1");
    sqlite3_finalize(st);
    int rc = end(c, code);
    if (rc == FN_OK && (code = scrub(c)) != SQLITE_OK)
        rc = fail(c, code);
    return rc;
}

int fn_cache_forget(const char *path, const unsigned char (*sha256)[32], size_t n) {
    struct stat st;
    fn_cache *cache;
    char *at;
    if (!path && !has_default_path())
        return FN_OK; // there is no default cache
    int rc = path ? copy_path(&at, path) : default_path(&at, 0);
    if (rc < 0)
        return rc;
    int is_there = stat(at, &st) == 0;
    fn_free(at);
    if (!is_there)
        return FN_OK;
    rc = open_cache(&cache, path, 1, NULL);
    if (rc < 0)
        return rc;
    rc = forget(cache, sha256, n);
    fn_cache_free(cache);
    return rc;
}
