// SPDX-License-Identifier: Apache-2.0
//
// A picture is written under a hidden name and gets its own when it is complete, by a link, which fails where
// somebody else has taken the number meanwhile.
#include "numbered.h"

#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DIGITS = 9, MAX_NUMBER = 999999999 };

static int write_all(int fd, const unsigned char *bytes, size_t n) {
    while (n) {
        const ssize_t wrote = write(fd, bytes, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -1;
        bytes += wrote;
        n -= (size_t)wrote;
    }
    return fsync(fd);
}

// Gives a file a name that must be free; 0, or -1 with EEXIST when it is not. Where the file system knows no
// links, whoever names a file holds the lock of the folder meanwhile.
static int give_name(const char *folder, const char *temporary, const char *path) {
    struct stat st;
    if (link(temporary, path) == 0)
        return unlink(temporary);
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS && errno != EMLINK)
        return -1;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = -1;
    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX) == 0) {
        if (lstat(path, &st) == 0)
            errno = EEXIST;
        else
            result = rename(temporary, path);
    }
    const int error = errno;
    close(fd);
    errno = error;
    return result;
}

// The first number from files->next on that is free. New memory, or NULL with errno.
static char *name_it(cli_numbered *files, const char *temporary) {
    const size_t size = strlen(files->folder) + strlen(files->prefix) + 32;
    char *path = malloc(size);
    errno = ENOMEM;
    while (path) {
        if (files->next > MAX_NUMBER) {
            errno = EOVERFLOW;
            break;
        }
        snprintf(path, size, "%s/%s%0*lu.jpg", files->folder, files->prefix, files->digits, files->next++);
        if (give_name(files->folder, temporary, path) == 0)
            return path;
        if (errno != EEXIST)
            break;
    }
    const int error = errno;
    free(path);
    errno = error;
    return NULL;
}

static int failed(const char *folder, const char *why) {
    cli_error("%s: a picture cannot be written: %s", folder, why);
    return CLI_INPUTS;
}

static int save_bytes(cli_numbered *files, const unsigned char *bytes, size_t n, char **path) {
    const size_t size = strlen(files->folder) + sizeof "/" CLI_TEMPORARY "XXXXXX";
    char *temporary = malloc(size);
    if (!temporary)
        return failed(files->folder, strerror(ENOMEM));
    snprintf(temporary, size, "%s/" CLI_TEMPORARY "XXXXXX", files->folder);
    const int fd = mkstemp(temporary); // 0600
    int code = CLI_DONE;
    if (fd >= 0) {
        flock(fd, LOCK_EX | LOCK_NB); // until it has its name, nobody sweeps it
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (fd < 0 || write_all(fd, bytes, n) || !(*path = name_it(files, temporary))) {
        code = failed(files->folder, strerror(errno));
        if (fd >= 0)
            unlink(temporary);
    }
    if (fd >= 0)
        close(fd);
    free(temporary);
    return code;
}

int cli_numbered_save(cli_numbered *files, const fn_image *image, char **path) {
    // A JPEG at 92 is far below that, but for the smallest.
    const size_t room = (size_t)image->width * (size_t)image->height * 3 + 4096;
    unsigned char *jpeg = malloc(room);
    size_t n;
    *path = NULL;
    int code = CLI_INPUTS;
    if (!jpeg)
        failed(files->folder, strerror(ENOMEM));
    else if (fn_image_encode_jpeg(jpeg, room, &n, image, 0) < 0)
        failed(files->folder, fn_last_error());
    else
        code = save_bytes(files, jpeg, n, path);
    free(jpeg);
    return code;
}

long cli_number_of(const char *prefix, const char *file) {
    const size_t n = strlen(prefix);
    if (strncmp(file, prefix, n) != 0)
        return -1;
    const char *digits = file + n;
    const size_t n_digits = strspn(digits, "0123456789");
    if (n_digits < 1 || n_digits > MAX_DIGITS || strcmp(digits + n_digits, ".jpg") != 0)
        return -1;
    return strtol(digits, NULL, 10);
}
