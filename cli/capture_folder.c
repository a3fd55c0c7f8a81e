// SPDX-License-Identifier: Apache-2.0
//
// The folder of one person's crops: NAME0.jpg, NAME1.jpg, ... A crop is written under a hidden name and gets
// its own when it is complete, by a link, which fails where somebody else has taken the number meanwhile.
#include "capture.h"
#include "cli.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARY ".facenet-part-" // six letters follow; the library clears such away too
enum { MAX_NAME = 200, MAX_DIGITS = 9, MAX_NUMBER = 999999999 };

// ---- names -------------------------------------------------------------------------------------------

const char *cli_folder_name_fault(const char *name) {
    const size_t n = strlen(name);
    if (!n)
        return "it is empty";
    if (n > MAX_NAME)
        return "it has more than 200 bytes";
    if (strchr(name, '/'))
        return "it becomes a folder and cannot hold a slash";
    if (name[0] == '.')
        return "it becomes a folder and cannot begin with a dot";
    if (name[0] == ' ' || name[n - 1] == ' ')
        return "it begins or ends with a space";
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 32 || name[i] == 127)
            return "it holds control characters";
    json_t *text = json_string(name);
    json_decref(text);
    if (!text)
        return "it is not UTF-8 text";
    if (!cli_name_is_free(name))
        return "the word is kept for decisions: choose another name";
    return NULL;
}

// The number in NAME<k>.jpg, or -1.
static long number_of(const cli_folder *folder, const char *file) {
    const size_t n = strlen(folder->name);
    if (strncmp(file, folder->name, n) != 0)
        return -1;
    const char *digits = file + n;
    const size_t n_digits = strspn(digits, "0123456789");
    if (n_digits < 1 || n_digits > MAX_DIGITS || strcmp(digits + n_digits, ".jpg") != 0)
        return -1;
    return strtol(digits, NULL, 10);
}

static char *path_in(const char *folder, const char *leaf) {
    const size_t size = strlen(folder) + strlen(leaf) + 2;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%s/%s", folder, leaf);
    return path;
}

static int failed(const char *path, const char *what, int error) {
    cli_error("%s: %s: %s", path, what, strerror(error));
    return CLI_INPUTS;
}

// ---- what is there -----------------------------------------------------------------------------------

// What a killed capture left: nobody holds its lock.
static void sweep(const char *path) {
    const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    close(fd);
}

// A crop that cannot be read is somebody else's matter: its number is taken, that is all.
static int know(cli_judge *judge, const char *path) {
    fn_picture *picture;
    if (fn_decode_file(&picture, path, NULL) < 0)
        return FN_OK;
    const int rc = cli_judge_know(judge, fn_picture_image(picture));
    fn_picture_free(picture);
    return rc;
}

static int look_at(cli_folder *folder, const char *file, cli_judge *judge) {
    const long number = number_of(folder, file);
    const int is_left = strncmp(file, TEMPORARY, strlen(TEMPORARY)) == 0;
    if (number < 0 && !is_left)
        return FN_OK;
    char *path = path_in(folder->path, file);
    if (!path)
        return FN_ENOMEM;
    if (number >= (long)folder->next)
        folder->next = (unsigned long)number + 1;
    int rc = FN_OK;
    if (is_left)
        sweep(path);
    else
        rc = know(judge, path);
    free(path);
    return rc;
}

int cli_folder_open(cli_folder *folder, const char *dir, const char *name, cli_judge *judge) {
    *folder = (cli_folder){.path = path_in(dir, name), .name = strdup(name)};
    if (!folder->path || !folder->name) {
        cli_error("out of memory");
        return CLI_INPUTS;
    }
    folder->is_made = access(folder->path, F_OK) != 0;
    if (cli_make_folder(folder->path) != CLI_DONE)
        return CLI_INPUTS;
    if (access(folder->path, W_OK | X_OK))
        return failed(folder->path, "nothing can be written there", errno);
    DIR *files = opendir(folder->path);
    if (!files)
        return failed(folder->path, "cannot be read", errno);
    int rc = FN_OK;
    struct dirent *entry;
    while (rc == FN_OK && (entry = readdir(files)))
        rc = look_at(folder, entry->d_name, judge);
    closedir(files);
    if (rc < 0)
        cli_error("%s: out of memory", folder->path);
    return rc < 0 ? CLI_INPUTS : CLI_DONE;
}

void cli_folder_close(cli_folder *folder) {
    if (folder->is_made)
        rmdir(folder->path); // fails unless it is empty
    free(folder->path);
    free(folder->name);
    *folder = (cli_folder){0};
}

// ---- a crop gets its name ----------------------------------------------------------------------------

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
static int give_name(const cli_folder *folder, const char *temporary, const char *path) {
    struct stat st;
    if (link(temporary, path) == 0)
        return unlink(temporary);
    if (errno != EPERM && errno != ENOTSUP && errno != ENOSYS && errno != EMLINK)
        return -1;
    const int fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
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

// The first number from folder->next on that is free. New memory, or NULL with errno.
static char *name_it(cli_folder *folder, const char *temporary) {
    const size_t size = strlen(folder->path) + strlen(folder->name) + 32;
    char *path = malloc(size);
    errno = ENOMEM;
    while (path) {
        if (folder->next > MAX_NUMBER) {
            errno = EOVERFLOW;
            break;
        }
        snprintf(path, size, "%s/%s%lu.jpg", folder->path, folder->name, folder->next++);
        if (give_name(folder, temporary, path) == 0)
            return path;
        if (errno != EEXIST)
            break;
    }
    const int error = errno;
    free(path);
    errno = error;
    return NULL;
}

static int save_bytes(cli_folder *folder, const unsigned char *bytes, size_t n, char **path) {
    char *temporary = path_in(folder->path, TEMPORARY "XXXXXX");
    if (!temporary)
        return failed(folder->path, "a crop cannot be written", ENOMEM);
    const int fd = mkstemp(temporary); // 0600
    int code = CLI_DONE;
    if (fd >= 0) {
        flock(fd, LOCK_EX | LOCK_NB); // until it has its name, nobody sweeps it
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    if (fd < 0 || write_all(fd, bytes, n) || !(*path = name_it(folder, temporary))) {
        code = failed(folder->path, "a crop cannot be written", errno);
        if (fd >= 0)
            unlink(temporary);
    }
    if (fd >= 0)
        close(fd);
    free(temporary);
    return code;
}

int cli_folder_save(cli_folder *folder, const fn_image *crop, char **path) {
    const size_t room = (size_t)crop->width * (size_t)crop->height * 3 + 4096; // a JPEG at 92 is far below
    unsigned char *jpeg = malloc(room);
    size_t n;
    *path = NULL;
    int code = CLI_INPUTS;
    if (!jpeg)
        failed(folder->path, "a crop cannot be written", ENOMEM);
    else if (fn_image_encode_jpeg(jpeg, room, &n, crop, 0) < 0)
        cli_error("%s: a crop cannot be written: %s", folder->path, fn_last_error());
    else
        code = save_bytes(folder, jpeg, n, path);
    free(jpeg);
    return code;
}
