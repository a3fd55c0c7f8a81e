// SPDX-License-Identifier: Apache-2.0
//
// The folder of one person's crops: NAME0.jpg, NAME1.jpg, ...
#include "capture.h"
#include "cli.h"
#include "numbered.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 200 };

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
    const long number = cli_number_of(folder->name, file);
    const int is_left = strncmp(file, CLI_TEMPORARY, strlen(CLI_TEMPORARY)) == 0;
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

int cli_folder_save(cli_folder *folder, const fn_image *crop, char **path) {
    cli_numbered files = {folder->path, folder->name, 0, folder->next};
    const int code = cli_numbered_save(&files, crop, path);
    folder->next = files.next;
    return code;
}
