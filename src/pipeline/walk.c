// SPDX-License-Identifier: Apache-2.0
//
// Folders as a stream of file paths in byte order of the names. The walker holds the names of one
// folder per level and nothing else, so its memory does not grow with the number of files passed.
// Folders are opened one at a time, so that their depth is not bounded by open files.
#include "pipeline/walk.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The names of one folder, sorted; those before `at` have been passed.
typedef struct level {
    char **names;
    size_t n, at, capacity;
    char *path;
} level;

struct fn_walker {
    char *file; // a root that is a file, until it was given out
    char *path; // what was given out last
    char *failed;
    char *people; // the root without links, when links directly below it are followed
    level *levels;
    size_t n_levels, capacity;
};

static void level_clear(level *l) {
    for (size_t i = l->at; i < l->n; i++)
        fn_free(l->names[i]);
    fn_free(l->names);
    fn_free(l->path);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int level_add(level *l, const char *name) {
    if (l->n == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 64;
        char **names = fn_realloc(l->names, capacity, sizeof *names);
        if (!names)
            return fn_fail_memory();
        l->names = names;
        l->capacity = capacity;
    }
    char *copy = fn_strdup(name);
    if (!copy)
        return fn_fail_memory();
    l->names[l->n++] = copy;
    return FN_OK;
}

static int level_read(level *l, const char *path, int flags) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        int rc = fn_fail(FN_EIO, "%s: the folder cannot be read: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    int rc = FN_OK;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno)
                rc = fn_fail(FN_EIO, "%s: the folder cannot be read: %s", path, strerror(errno));
            break;
        }
        if (entry->d_name[0] != '.' && (rc = level_add(l, entry->d_name)) < 0)
            break;
    }
    closedir(folder);
    if (rc == FN_OK && l->n)
        qsort(l->names, l->n, sizeof *l->names, by_bytes);
    return rc;
}

// Enters a folder; takes over `path` when it succeeds.
static int enter(fn_walker *walker, char *path, int flags) {
    level l = {.path = path};
    int rc = level_read(&l, path, flags);
    if (rc == FN_OK && walker->n_levels == walker->capacity) {
        size_t capacity = walker->capacity ? 2 * walker->capacity : 8;
        level *levels = fn_realloc(walker->levels, capacity, sizeof *levels);
        if (levels) {
            walker->levels = levels;
            walker->capacity = capacity;
        } else {
            rc = fn_fail_memory();
        }
    }
    if (rc < 0) {
        l.path = NULL;
        level_clear(&l);
    } else {
        walker->levels[walker->n_levels++] = l;
    }
    return rc;
}

int fn_walker_open(fn_walker **out, const char *root) {
    *out = NULL;
    struct stat st;
    if (stat(root, &st))
        return fn_fail(FN_EIO, "%s: %s", root, strerror(errno));
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return fn_fail(FN_EIO, "%s: neither a file nor a folder", root);
    fn_walker *walker = fn_calloc(1, sizeof *walker);
    char *path = fn_strdup(root);
    int rc = walker && path ? FN_OK : fn_fail_memory();
    if (rc == FN_OK && S_ISDIR(st.st_mode))
        rc = enter(walker, path, 0);
    else if (rc == FN_OK)
        walker->file = path;
    if (rc < 0) {
        fn_free(path);
        fn_walker_free(walker);
    } else {
        *out = walker;
    }
    return rc;
}

int fn_walker_open_people(fn_walker **out, const char *root) {
    int rc = fn_walker_open(out, root);
    if (rc < 0)
        return rc;
    (*out)->people = fn_path_real(root);
    if ((*out)->people)
        return FN_OK;
    fn_walker_free(*out);
    *out = NULL;
    return FN_ENOMEM;
}

void fn_walker_free(fn_walker *walker) {
    if (!walker)
        return;
    for (size_t i = 0; i < walker->n_levels; i++)
        level_clear(&walker->levels[i]);
    fn_free(walker->levels);
    fn_free(walker->file);
    fn_free(walker->path);
    fn_free(walker->failed);
    fn_free(walker->people);
    fn_free(walker);
}

const char *fn_walker_failed(const fn_walker *walker) {
    return walker->failed;
}

// A link to a folder in a walk over people; takes over `path` when it succeeds. The links of one level cannot
// make a walk endless; one that leads into the tree or around it would give pictures a second name.
static int follow(fn_walker *walker, char *path) {
    if (walker->n_levels > 1)
        return fn_fail(FN_EIO, "%s: a link to a folder is followed only where it stands for a person", path);
    char *real = fn_path_real(path);
    if (!real)
        return FN_ENOMEM;
    int rc = fn_path_reaches(walker->people, real) || fn_path_reaches(real, walker->people)
                 ? fn_fail(FN_EIO, "%s: a link that leads into its own tree is not followed", path)
                 : enter(walker, path, 0);
    fn_free(real);
    return rc;
}

// One step: enters a folder (*path stays NULL) or gives out a file.
static int step(fn_walker *walker, level *l, const char **path) {
    char *name = l->names[l->at++];
    char *full = fn_path_join(l->path, name);
    fn_free(name);
    if (!full)
        return FN_ENOMEM;
    struct stat st;
    int is_link = 0, rc = FN_OK;
    if (lstat(full, &st) || ((is_link = S_ISLNK(st.st_mode)) && stat(full, &st))) {
        rc = fn_fail(FN_EIO, "%s: %s", full, strerror(errno));
    } else if (S_ISREG(st.st_mode)) {
        fn_free(walker->path);
        *path = walker->path = full;
        return FN_OK;
    } else if (S_ISDIR(st.st_mode) && (!is_link || walker->people)) {
        rc = is_link ? follow(walker, full) : enter(walker, full, O_NOFOLLOW);
        if (rc == FN_OK)
            return FN_OK;
    }
    if (rc < 0) {
        fn_free(walker->failed);
        walker->failed = full;
    } else {
        fn_free(full);
    }
    return rc;
}

int fn_walker_next(fn_walker *walker, const char **path) {
    *path = NULL;
    if (walker->file) {
        *path = walker->path = walker->file;
        walker->file = NULL;
        return FN_OK;
    }
    while (walker->n_levels && !*path) {
        level *l = &walker->levels[walker->n_levels - 1];
        if (l->at == l->n) {
            level_clear(l);
            walker->n_levels--;
            continue;
        }
        int rc = step(walker, l, path);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

int fn_walk(const char *root, int (*visit)(void *user, const char *path), void *user) {
    fn_walker *walker;
    int rc = fn_walker_open(&walker, root);
    if (rc < 0)
        return rc;
    char message[1024];
    int failed = FN_OK;
    for (;;) {
        const char *path;
        rc = fn_walker_next(walker, &path);
        if (rc < 0 && failed == FN_OK) {
            failed = rc;
            snprintf(message, sizeof message, "%s", fn_last_error());
        }
        if (rc == FN_ENOMEM)
            break;
        if (rc == FN_OK && (!path || (rc = visit(user, path))))
            break;
    }
    fn_walker_free(walker);
    if (rc == FN_OK && failed < 0)
        return fn_fail(failed, "%s", message);
    return rc;
}
