// SPDX-License-Identifier: Apache-2.0
//
// Links, copies and moves. A link fails where its name is taken, so that it needs no look beforehand.
#include "train/file_moves.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_parents(const char *path) {
    char *folder = fn_strndup(path, (size_t)(strrchr(path, '/') - path));
    int rc = folder ? fn_mkdirs(folder, 0700) : fn_fail_memory();
    fn_free(folder);
    return rc;
}

static int copy(const char *dst, const char *src) {
    unsigned char *bytes = NULL;
    size_t n;
    if (access(dst, F_OK) == 0)
        return fn_fail(FN_ECONFLICT, "%s: there is a file of this name already", dst);
    int rc = fn_read_file(&bytes, &n, src, UINT64_MAX);
    if (rc == FN_OK)
        rc = fn_write_file(dst, bytes, n, 0600);
    fn_free(bytes);
    return rc;
}

int fn_file_link(const char *dst, const char *src) {
    int rc = make_parents(dst);
    if (rc < 0 || link(src, dst) == 0)
        return rc;
    if (errno == EEXIST)
        return fn_fail(FN_ECONFLICT, "%s: there is a file of this name already", dst);
    return copy(dst, src);
}

int fn_file_move(const char *dst, const char *src) {
    int rc = fn_file_link(dst, src);
    if (rc == FN_OK && unlink(src))
        rc = fn_fail(FN_EIO, "%s: cannot be taken away: %s", src, strerror(errno));
    return rc;
}

int fn_same_folder(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/// Folders above the picture, up to the person's, as far as they are empty.
static void remove_empty(const char *root, const char *path) {
    char *folder = fn_strdup(path);
    size_t n_root = strlen(root);
    while (folder && strlen(folder) > n_root + 1) {
        char *slash = strrchr(folder, '/');
        *slash = 0;
        if (strlen(folder) <= n_root || rmdir(folder))
            break;
    }
    fn_free(folder);
}

int fn_dataset_move(const fn_dataset *dataset, const unsigned char *chosen, const char *removed,
                    const char *hidden, int *n_moved) {
    const char *root = fn_dataset_root(dataset);
    char *folder = removed ? fn_strdup(removed) : fn_path_join(root, hidden);
    int rc = folder ? FN_OK : fn_fail_memory();
    *n_moved = 0;
    for (int i = 0; i < fn_dataset_n_images(dataset) && rc == FN_OK; i++) {
        if (!chosen[i])
            continue;
        char *src = fn_dataset_image_path(dataset, i);
        char *dst = fn_path_join(folder, fn_dataset_image_name(dataset, i));
        rc = src && dst ? fn_file_move(dst, src) : FN_ENOMEM;
        if (rc == FN_OK) {
            remove_empty(root, src);
            ++*n_moved;
        }
        fn_free(dst);
        fn_free(src);
    }
    fn_free(folder);
    return rc;
}
