// SPDX-License-Identifier: Apache-2.0
//
// Files and folders.
#define _GNU_SOURCE
#include "base/path.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int fn_write_file(const char *path, const void *bytes, size_t n, unsigned mode) {
    char *temporary = fn_asprintf("%s.XXXXXX", path);
    if (!temporary)
        return fn_fail_memory();
    int rc = FN_OK;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
        fn_free(temporary);
        return rc;
    }
    const char *p = bytes;
    while (n && rc == FN_OK) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
        } else {
            p += put;
            n -= (size_t)put;
        }
    }
    if (rc == FN_OK && (fchmod(fd, (mode_t)mode) || fsync(fd)))
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (close(fd) && rc == FN_OK)
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (rc == FN_OK && rename(temporary, path))
        rc = fn_fail(FN_EIO, "%s: cannot be written: %s", path, strerror(errno));
    if (rc != FN_OK)
        unlink(temporary);
    fn_free(temporary);
    return rc;
}
