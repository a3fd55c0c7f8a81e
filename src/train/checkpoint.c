// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints. The hash is taken over the whole file before a single byte is believed but for the lengths
// that lead through it, and those are held against the size of the file.
#include "train/checkpoint.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "FNCKPT01";
enum {
    HASH = crypto_hash_sha256_BYTES,
    CHUNK = 1 << 16,
    MAX_BLOCKS = 1024,
    MAX_NAME = 255,
    MAX_JSON = 64 << 20
};

// ---- writing ---------------------------------------------------------------------------------

typedef struct writer {
    int fd, error; // errno of the first failure
    crypto_hash_sha256_state hash;
} writer;

static void put_raw(writer *w, const void *bytes, size_t n) {
    for (const char *p = bytes; n && !w->error;) {
        ssize_t done = write(w->fd, p, n < SSIZE_MAX ? n : SSIZE_MAX);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            w->error = done < 0 ? errno : EIO;
        } else {
            p += done;
            n -= (size_t)done;
        }
    }
}

static void put(writer *w, const void *bytes, size_t n) {
    crypto_hash_sha256_update(&w->hash, bytes, n);
    put_raw(w, bytes, n);
}

static void put_number(writer *w, uint64_t value, size_t n_bytes) {
    unsigned char bytes[8];
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (unsigned char)(value >> 8 * i);
    put(w, bytes, n_bytes);
}

static void put_all(writer *w, const char *json, const fn_checkpoint_block *blocks, int n) {
    unsigned char digest[HASH];
    crypto_hash_sha256_init(&w->hash);
    put(w, magic, sizeof magic);
    put_number(w, strlen(json), 8);
    put_number(w, (uint64_t)n, 4);
    for (int i = 0; i < n; i++) {
        put_number(w, strlen(blocks[i].name), 4);
        put(w, blocks[i].name, strlen(blocks[i].name));
        put_number(w, blocks[i].bytes, 8);
    }
    put(w, json, strlen(json));
    for (int i = 0; i < n; i++)
        put(w, blocks[i].data, blocks[i].bytes);
    crypto_hash_sha256_final(&w->hash, digest);
    put_raw(w, digest, sizeof digest);
}

// The new name reaches the disk with its folder.
static int sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? fn_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : fn_strdup(".");
    if (!folder)
        return fn_fail_memory();
    int fd = open(folder, O_RDONLY | O_CLOEXEC);
    int rc =
        fd < 0 || fsync(fd) ? fn_fail(FN_EIO, "%s: cannot be synced: %s", folder, strerror(errno)) : FN_OK;
    if (fd >= 0)
        close(fd);
    fn_free(folder);
    return rc;
}

int fn_checkpoint_write(const char *path, const char *json, const fn_checkpoint_block *blocks, int n) {
    char *part = fn_asprintf("%s.part", path);
    if (!part)
        return fn_fail_memory();
    writer w = {0};
    unlink(part); // of a run that was killed
    w.fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (w.fd < 0) {
        w.error = errno;
    } else {
        put_all(&w, json, blocks, n);
        if (!w.error && fsync(w.fd))
            w.error = errno;
        if (close(w.fd) && !w.error)
            w.error = errno;
        if (!w.error && rename(part, path))
            w.error = errno;
        if (w.error)
            unlink(part);
    }
    int rc = FN_OK;
    if (w.error == ENOSPC || w.error == EDQUOT || w.error == EFBIG) {
        double mib = 0;
        for (int i = 0; i < n; i++)
            mib += (double)blocks[i].bytes / (1 << 20);
        rc = fn_fail(FN_EIO,
                     "%s: cannot be written: %s; it needs %.1f MiB beside the checkpoint before, which is "
                     "untouched: make room and resume",
                     path, strerror(w.error), mib);
    } else if (w.error) {
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s; the checkpoint before is untouched", path,
                     strerror(w.error));
    } else {
        rc = sync_folder(path);
    }
    fn_free(part);
    return rc;
}

// ---- reading ---------------------------------------------------------------------------------

typedef struct entry {
    char name[MAX_NAME + 1];
    uint64_t bytes, offset; // offset in the file
} entry;

typedef struct reader {
    const char *path;
    int fd;
    uint64_t size, at; // size without the hash
    uint64_t json_bytes, json_offset;
    entry *entries;
    int n;
} reader;

static int damaged(const reader *r, const char *why) {
    return fn_fail(FN_EFORMAT,
                   "%s: not a whole checkpoint: %s; begin another run from the model beside it (--model)",
                   r->path, why);
}

static int get_at(const reader *r, uint64_t offset, void *dst, size_t n) {
    for (char *p = dst; n;) {
        ssize_t got = pread(r->fd, p, n < SSIZE_MAX ? n : SSIZE_MAX, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fn_fail(FN_EIO, "%s: %s", r->path, strerror(errno));
        if (got == 0)
            return damaged(r, "it ends too early");
        p += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return FN_OK;
}

static int check_hash(const reader *r) {
    unsigned char digest[HASH], stored[HASH];
    crypto_hash_sha256_state hash;
    unsigned char *chunk = fn_alloc(CHUNK);
    if (!chunk)
        return fn_fail_memory();
    crypto_hash_sha256_init(&hash);
    int rc = FN_OK;
    for (uint64_t at = 0; at < r->size && rc == FN_OK;) {
        size_t n = r->size - at < CHUNK ? (size_t)(r->size - at) : CHUNK;
        rc = get_at(r, at, chunk, n);
        if (rc == FN_OK)
            crypto_hash_sha256_update(&hash, chunk, n);
        at += n;
    }
    fn_free(chunk);
    if (rc == FN_OK)
        rc = get_at(r, r->size, stored, sizeof stored);
    crypto_hash_sha256_final(&hash, digest);
    if (rc == FN_OK && memcmp(digest, stored, sizeof digest) != 0)
        rc = damaged(r, "its checksum is wrong");
    return rc;
}

static int get(reader *r, void *dst, size_t n) {
    if (n > r->size - r->at)
        return damaged(r, "it ends too early");
    int rc = get_at(r, r->at, dst, n);
    r->at += n;
    return rc;
}

static int get_number(reader *r, uint64_t *out, size_t n_bytes) {
    unsigned char bytes[8];
    int rc = get(r, bytes, n_bytes);
    *out = 0;
    for (size_t i = 0; i < n_bytes && rc == FN_OK; i++)
        *out |= (uint64_t)bytes[i] << 8 * i;
    return rc;
}

static int read_entry(reader *r, entry *e) {
    uint64_t length;
    int rc = get_number(r, &length, 4);
    if (rc == FN_OK && length > MAX_NAME)
        rc = damaged(r, "a name is too long");
    if (rc == FN_OK)
        rc = get(r, e->name, (size_t)length);
    if (rc == FN_OK)
        rc = get_number(r, &e->bytes, 8);
    return rc;
}

static int read_entries(reader *r) {
    char head[sizeof magic];
    uint64_t n = 0;
    int rc = get(r, head, sizeof head);
    if (rc == FN_OK && memcmp(head, magic, sizeof magic) != 0)
        rc = fn_fail(FN_EFORMAT, "%s: not a checkpoint of this version of facenet", r->path);
    if (rc == FN_OK)
        rc = get_number(r, &r->json_bytes, 8);
    if (rc == FN_OK)
        rc = get_number(r, &n, 4);
    if (rc == FN_OK && (r->json_bytes > MAX_JSON || n > MAX_BLOCKS))
        rc = damaged(r, "its lengths make no sense");
    if (rc < 0)
        return rc;
    r->entries = fn_calloc((size_t)n, sizeof *r->entries);
    if (!r->entries)
        return fn_fail_memory();
    for (r->n = 0; r->n < (int)n && rc == FN_OK; r->n++)
        rc = read_entry(r, &r->entries[r->n]);
    if (rc < 0)
        return rc;
    r->json_offset = r->at;
    uint64_t left = r->size - r->at;
    if (r->json_bytes > left)
        return damaged(r, "it ends too early");
    left -= r->json_bytes;
    uint64_t at = r->json_offset + r->json_bytes;
    for (int i = 0; i < r->n; i++) {
        if (r->entries[i].bytes > left)
            return damaged(r, "it ends too early");
        r->entries[i].offset = at;
        left -= r->entries[i].bytes;
        at += r->entries[i].bytes;
    }
    return left ? damaged(r, "something follows its end") : FN_OK;
}

static const entry *find(const reader *r, const char *name) {
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->entries[i].name, name) == 0)
            return &r->entries[i];
    return NULL;
}

static int check_block(const reader *r, const fn_checkpoint_block *block) {
    const entry *e = find(r, block->name);
    if (!e)
        return fn_fail(FN_ECONFLICT, "%s: it has no \"%s\": it belongs to another run", r->path, block->name);
    if (e->bytes != block->bytes)
        return fn_fail(FN_ECONFLICT,
                       "%s: \"%s\" has %llu bytes, this run needs %zu: it belongs to another network or "
                       "other options",
                       r->path, block->name, (unsigned long long)e->bytes, block->bytes);
    return FN_OK;
}

static int read_json(const reader *r, char **json) {
    *json = fn_alloc((size_t)r->json_bytes + 1);
    if (!*json)
        return fn_fail_memory();
    (*json)[r->json_bytes] = 0;
    return get_at(r, r->json_offset, *json, (size_t)r->json_bytes);
}

static int read_all(reader *r, char **json, const fn_checkpoint_block *blocks, int n) {
    struct stat st;
    if (fstat(r->fd, &st) || !S_ISREG(st.st_mode))
        return fn_fail(FN_EIO, "%s: not a regular file", r->path);
    if ((uint64_t)st.st_size < HASH)
        return damaged(r, "it ends too early");
    r->size = (uint64_t)st.st_size - HASH;
    int rc = read_entries(r);
    if (rc == FN_OK)
        rc = check_hash(r);
    for (int i = 0; i < n && rc == FN_OK; i++)
        rc = check_block(r, &blocks[i]);
    if (rc == FN_OK && json)
        rc = read_json(r, json);
    for (int i = 0; i < n && rc == FN_OK; i++)
        rc = get_at(r, find(r, blocks[i].name)->offset, blocks[i].data, blocks[i].bytes);
    return rc;
}

int fn_checkpoint_read(const char *path, char **json, const fn_checkpoint_block *blocks, int n) {
    reader r = {.path = path};
    if (json)
        *json = NULL;
    r.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r.fd < 0)
        return fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
    int rc = read_all(&r, json, blocks, n);
    if (rc < 0 && json) {
        fn_free(*json);
        *json = NULL;
    }
    fn_free(r.entries);
    close(r.fd);
    return rc;
}
