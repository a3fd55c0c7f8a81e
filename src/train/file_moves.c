// SPDX-License-Identifier: Apache-2.0
//
// Links, copies and moves. A link fails where its name is taken, so that it needs no look beforehand. A
// picture may be a symbolic link itself, often a relative one: another name of the link would lead nowhere.
#include "train/file_moves.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? fn_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : fn_strdup(".");
    if (!folder)
        fn_fail_memory();
    return folder;
}

static int make_parents(const char *path) {
    char *folder = folder_of(path);
    int rc = folder ? fn_mkdirs(folder, 0700) : FN_ENOMEM;
    fn_free(folder);
    return rc;
}

static int is_taken(const char *dst) {
    return fn_fail(FN_ECONFLICT, "%s: there is a file of this name already", dst);
}

static int copy(const char *dst, const char *src) {
    unsigned char *bytes = NULL;
    size_t n;
    if (access(dst, F_OK) == 0)
        return is_taken(dst);
    int rc = fn_read_file(&bytes, &n, src, UINT64_MAX);
    if (rc == FN_OK)
        rc = fn_write_file(dst, bytes, n, 0600);
    fn_free(bytes);
    return rc;
}

int fn_file_link(const char *dst, const char *src) {
    int rc = make_parents(dst);
    if (rc < 0 || linkat(AT_FDCWD, src, AT_FDCWD, dst, AT_SYMLINK_FOLLOW) == 0)
        return rc;
    return errno == EEXIST ? is_taken(dst) : copy(dst, src);
}

int fn_same_folder(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
           of_a.st_ino == of_b.st_ino;
}

/// 1 when both are one name in one folder, 0 when not, or an error.
static int is_same_place(const char *a, const char *b) {
    const char *name_a = strrchr(a, '/'), *name_b = strrchr(b, '/');
    if (strcmp(name_a ? name_a + 1 : a, name_b ? name_b + 1 : b) != 0)
        return 0;
    char *folder_a = folder_of(a), *folder_b = folder_of(b);
    int same = folder_a && folder_b ? fn_same_folder(folder_a, folder_b) : FN_ENOMEM;
    fn_free(folder_a);
    fn_free(folder_b);
    return same;
}

/// 1 when both files have the same bytes, 0 when not or when that cannot be known.
static int has_same_bytes(const char *a, const char *b) {
    struct stat of_a, of_b;
    unsigned char hash_a[32], hash_b[32];
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && S_ISREG(of_b.st_mode) &&
           of_a.st_size == of_b.st_size && fn_file_sha256(hash_a, a, 0) == FN_OK &&
           fn_file_sha256(hash_b, b, 0) == FN_OK && memcmp(hash_a, hash_b, sizeof hash_a) == 0;
}

/// FN_OK when dst holds what src is, so that src may go: the same bytes in a file of its own, or the link
/// that a move would make (real: what src leads to; NULL: src is no link).
static int check_moved(const char *dst, const char *src, const char *real) {
    struct stat st;
    char target[4096];
    int same = is_same_place(dst, src);
    if (same < 0)
        return same;
    if (!same && lstat(dst, &st) == 0 && S_ISREG(st.st_mode) && has_same_bytes(dst, src))
        return FN_OK;
    ssize_t n = real && !same ? readlink(dst, target, sizeof target) : -1;
    if (n >= 0 && (size_t)n == strlen(real) && memcmp(target, real, (size_t)n) == 0)
        return FN_OK;
    return is_taken(dst);
}

int fn_file_move(const char *dst, const char *src) {
    struct stat st;
    char *real = NULL;
    int rc = make_parents(dst), is_link = lstat(src, &st) == 0 && S_ISLNK(st.st_mode);
    if (rc == FN_OK && is_link && !(real = fn_path_real(src)))
        rc = FN_ENOMEM;
    if (rc == FN_OK && (!is_link || symlink(real, dst))) {
        // A file system without symbolic links gets the picture itself.
        rc = is_link && errno == EEXIST ? is_taken(dst) : fn_file_link(dst, src);
        if (rc == FN_ECONFLICT)
            rc = check_moved(dst, src, real);
    }
    if (rc == FN_OK && unlink(src))
        rc = fn_fail(FN_EIO, "%s: cannot be taken away: %s", src, strerror(errno));
    fn_free(real);
    return rc;
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
    if (rc == FN_OK)
        fn_sweep_temporaries(folder); // of copies that were killed
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
