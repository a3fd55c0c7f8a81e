// SPDX-License-Identifier: Apache-2.0
//
// Files and folders.
#define _GNU_SOURCE
#include "base/path.h"

#include "base/alloc.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char *xdg(const char *variable, const char *fallback, const char *leaf) {
    const char *base = getenv(variable);
    const char *home = getenv("HOME");
    char *path;
    if (base && base[0] == '/') {
        path = fn_asprintf("%s/facenet%s%s", base, leaf ? "/" : "", leaf ? leaf : "");
    } else if (home && home[0] == '/') {
        path = fn_asprintf("%s/%s/facenet%s%s", home, fallback, leaf ? "/" : "", leaf ? leaf : "");
    } else {
        fn_fail(FN_EIO, "neither %s nor HOME names a folder: set one of them", variable);
        return NULL;
    }
    if (!path)
        fn_fail_memory();
    return path;
}

char *fn_path_data(const char *leaf) {
    return xdg("XDG_DATA_HOME", ".local/share", leaf);
}

char *fn_path_cache(const char *leaf) {
    return xdg("XDG_CACHE_HOME", ".cache", leaf);
}

char *fn_path_join(const char *folder, const char *leaf) {
    size_t n = strlen(folder);
    char *path = fn_asprintf("%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", leaf);
    if (!path)
        fn_fail_memory();
    return path;
}

int fn_mkdirs(const char *path, unsigned mode) {
    char *copy = fn_strdup(path);
    if (!copy)
        return fn_fail_memory();
    int rc = FN_OK;
    for (char *p = copy + 1; rc == FN_OK; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(copy, (mode_t)mode) && errno != EEXIST)
            rc = fn_fail(FN_EIO, "%s: cannot create the folder: %s", copy, strerror(errno));
        *p = was;
        if (!was)
            break;
    }
    struct stat st;
    if (rc == FN_OK && (stat(copy, &st) || !S_ISDIR(st.st_mode)))
        rc = fn_fail(FN_EIO, "%s: not a folder", copy);
    fn_free(copy);
    return rc;
}

int fn_read_file(unsigned char **out, size_t *n_out, const char *path, uint64_t max) {
    *out = NULL;
    *n_out = 0;
    int is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
    int rc = FN_OK;
    unsigned char *bytes = NULL;
    size_t n = 0, capacity = 0;
    struct stat st;
    if (fstat(fd, &st)) {
        rc = fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (!is_stdin && !S_ISREG(st.st_mode)) {
        rc = fn_fail(FN_EIO, "%s: not a regular file", path);
        goto out;
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
        rc = fn_fail(FN_ELIMIT, "%s: %lld bytes, the limit is %llu", path, (long long)st.st_size,
                     (unsigned long long)max);
        goto out;
    }
    capacity = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 65536;
    for (;;) {
        if (!bytes || n == capacity) {
            size_t grown_to = bytes ? capacity * 2 : capacity;
            unsigned char *grown = fn_realloc(bytes, grown_to + 1, 1);
            if (!grown) {
                rc = fn_fail_memory();
                goto out;
            }
            bytes = grown;
            capacity = grown_to;
        }
        ssize_t got = read(fd, bytes + n, capacity - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
            goto out;
        }
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > max) {
            rc = fn_fail(FN_ELIMIT, "%s: more than %llu bytes", path, (unsigned long long)max);
            goto out;
        }
    }
    bytes[n] = 0;
    *out = bytes;
    *n_out = n;
    bytes = NULL;
out:
    fn_free(bytes);
    if (!is_stdin)
        close(fd);
    return rc;
}

// How the names of temporary files begin; six letters follow.
#define TEMPORARY ".facenet-part-"
#define N_TEMPORARY (sizeof TEMPORARY - 1)

/// Where bytes for `path` go: the path itself, or what it links to. What is there and is no regular file, a
/// device, a pipe, a folder, stays what it is. New memory.
static int place_for(char **out, const char *path) {
    struct stat st;
    *out = NULL;
    int is_there = stat(path, &st) == 0;
    if (is_there && !S_ISREG(st.st_mode))
        return fn_fail(FN_EIO, "%s: cannot be written: there is something else than a regular file", path);
    char *real = NULL;
    if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) {
        real = is_there ? realpath(path, NULL) : NULL;
        if (!real)
            return fn_fail(FN_EIO, "%s: cannot be written: a link that leads nowhere", path);
    }
    *out = fn_strdup(real ? real : path);
    free(real);
    return *out ? FN_OK : fn_fail_memory();
}

/// Creates a temporary file and locks it: what is not locked has nobody who writes it any more. -1: errno.
/// Its name is made here and not by mkostemp, which knows no mode: the umask is to be kept.
static int open_temporary(char *path, unsigned mode) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    for (;;) {
        struct stat st;
        unsigned char random[6];
        fn_random(random, sizeof random);
        for (size_t i = 0, n = strlen(path); i < sizeof random; i++)
            path[n - sizeof random + i] = letters[random[i] % (sizeof letters - 1)];
        int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return -1;
        int is_swept = flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
        if (!is_swept && (fstat(fd, &st) || st.st_nlink))
            return fd;
        close(fd); // a sweep came between
    }
}

int fn_partial_open(fn_partial *part, const char *path, unsigned mode) {
    *part = (fn_partial){.path = path, .fd = -1};
    int rc = place_for(&part->place, path);
    if (rc < 0)
        return rc;
    const char *slash = strrchr(part->place, '/');
    part->temporary =
        fn_asprintf("%.*s" TEMPORARY "XXXXXX", slash ? (int)(slash - part->place + 1) : 0, part->place);
    if (!part->temporary)
        rc = fn_fail_memory();
    else if ((part->fd = open_temporary(part->temporary, mode)) < 0)
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (rc < 0)
        fn_partial_free(part);
    return rc;
}

int fn_partial_finish(fn_partial *part) {
    int rc = FN_OK;
    if (fsync(part->fd) || rename(part->temporary, part->place)) {
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", part->path, strerror(errno));
    } else {
        close(part->fd); // after the file has its name: until then it stays locked
        part->fd = -1;
    }
    fn_partial_free(part);
    return rc;
}

void fn_partial_free(fn_partial *part) {
    if (part->temporary && part->fd >= 0) {
        unlink(part->temporary);
        close(part->fd);
    }
    fn_free(part->temporary);
    fn_free(part->place);
    *part = (fn_partial){.fd = -1};
}

/// All bytes. 0, or -1 and errno.
static int put_bytes(int fd, const void *bytes, size_t n) {
    for (const char *p = bytes; n;) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

int fn_write_file(const char *path, const void *bytes, size_t n, unsigned mode) {
    fn_partial part;
    int rc = fn_partial_open(&part, path, mode);
    if (rc < 0)
        return rc;
    if (put_bytes(part.fd, bytes, n) == 0)
        return fn_partial_finish(&part);
    rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    fn_partial_free(&part);
    return rc;
}

static int is_temporary(const char *name) {
    return strncmp(name, TEMPORARY, N_TEMPORARY) == 0 && strlen(name) == N_TEMPORARY + 6;
}

/// Deletes a temporary file that nobody writes. folder: what its name starts from, as for openat.
static void sweep_file(int folder, const char *name) {
    int fd =
        openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK); // NFS locks what can be written
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    if (fd >= 0)
        close(fd);
}

static int sweep_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    if (type == FTW_F && S_ISREG(st->st_mode) && is_temporary(path + at->base))
        sweep_file(AT_FDCWD, path);
    return 0;
}

void fn_sweep_temporaries(const char *folder) {
    nftw(folder, sweep_entry, 16, FTW_PHYS);
}

void fn_sweep_beside(const char *path) {
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    struct stat st;
    snprintf(folder, sizeof folder, "%.*s.", slash ? (int)(slash - path + 1) : 0, path);
    DIR *entries = opendir(folder);
    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        if (is_temporary(entry->d_name) &&
            fstatat(dirfd(entries), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            sweep_file(dirfd(entries), entry->d_name);
    }
    closedir(entries);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int fn_remove_tree(const char *folder) {
    if (nftw(folder, remove_entry, 16, FTW_PHYS | FTW_DEPTH) && errno != ENOENT)
        return fn_fail(FN_EIO, "%s: cannot be taken away: %s", folder, strerror(errno));
    return FN_OK;
}

/// Appends the names of `rest` to a path without links: "." stays, ".." goes up.
static void append_names(char *real, const char *rest) {
    while (*rest) {
        size_t n = strcspn(rest, "/"), end = strlen(real);
        if (n == 2 && memcmp(rest, "..", 2) == 0) {
            char *slash = strrchr(real, '/');
            slash[slash == real] = 0;
        } else if (n && !(n == 1 && *rest == '.')) {
            if (end > 1)
                real[end++] = '/';
            memcpy(real + end, rest, n);
            real[end + n] = 0;
        }
        rest += n + (rest[n] == '/');
    }
}

char *fn_path_real(const char *path) {
    char *there = fn_strdup(path), *known = NULL, *real = NULL;
    size_t n = strlen(path);
    while (there && !known) { // the longest beginning that is there
        there[n] = 0;
        known = realpath(n ? there : *path == '/' ? "/" : ".", NULL);
        if (n == 0)
            break;
        while (!known && n && path[n - 1] == '/')
            n--;
        while (!known && n && path[n - 1] != '/')
            n--;
    }
    if (known)
        real = fn_alloc(strlen(known) + strlen(path + n) + 2);
    if (real) {
        memcpy(real, known, strlen(known) + 1);
        append_names(real, path + n);
    } else if (there && !known) {
        fn_fail(FN_EIO, "%s: %s", path, strerror(errno));
    } else {
        fn_fail_memory();
    }
    free(known);
    fn_free(there);
    return real;
}

int fn_path_reaches(const char *outer, const char *inner) {
    size_t n = strlen(outer);
    if (n && outer[n - 1] == '/') // the root of all
        n--;
    if (strncmp(outer, inner, n) != 0 || (inner[n] && inner[n] != '/'))
        return 0;
    return !strstr(inner + n, "/.");
}
