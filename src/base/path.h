// SPDX-License-Identifier: Apache-2.0
//
// Files and folders: whole-file reads with a limit, writes that appear only when complete, and the
// XDG folders.
#ifndef FN_BASE_PATH_H
#define FN_BASE_PATH_H

#include <facenet/base.h> // fn_write_file

/// $XDG_DATA_HOME/facenet[/leaf], $XDG_CACHE_HOME/facenet[/leaf] with the usual defaults under
/// $HOME. leaf may be NULL. New memory, or NULL with the error noted (no HOME).
char *fn_path_data(const char *leaf);
char *fn_path_cache(const char *leaf);
/// "a/b"; new memory or NULL.
char *fn_path_join(const char *folder, const char *leaf);

/// Creates a folder and what is missing above it, with this mode. FN_OK when it is there already.
int fn_mkdirs(const char *path, unsigned mode);

/// Reads a whole file, or standard input for "-". *out is new memory followed by a 0 byte.
/// FN_EIO; FN_ELIMIT past max bytes.
int fn_read_file(unsigned char **out, size_t *n_out, const char *path, uint64_t max);

/// A file that is written bit by bit, by the rules of fn_write_file, which uses it.
typedef struct fn_partial {
    const char *path; // as the caller calls it, whose it stays
    char *place;      // what gets the bytes: the path, or what it links to
    char *temporary;  // hidden, beside it
    int fd;           // open for reading and writing, and locked
} fn_partial;
/// Begins it; path outlives it. Errors as fn_write_file.
int fn_partial_open(fn_partial *part, const char *path, unsigned mode);
/// Syncs it and gives it its name. Frees it whether it succeeds or not. FN_EIO.
int fn_partial_finish(fn_partial *part);
/// Gives up: what was written is deleted. A no-op after an end or a failed beginning, and on zeros.
void fn_partial_free(fn_partial *part);

/// Deletes what fn_write_file and fn_partial left below the folder, hidden folders too, in processes that
/// were killed. Files that are being written stay, and so do those on a file system that knows no locks.
void fn_sweep_temporaries(const char *folder);
/// The same for the folder alone in which the path lies.
void fn_sweep_beside(const char *path);

/// Deletes a folder and all below it; links are deleted, not followed. FN_OK when it is not there. FN_EIO.
int fn_remove_tree(const char *folder);

/// The path from the root of all, without links, "." and ".."; its end need not be there yet. New memory, or
/// NULL with the error noted.
char *fn_path_real(const char *path);

/// 1 when a walk over the folder outer, which passes over what is hidden, comes to inner: it is outer, or
/// lies below it with nothing hidden between. Both as fn_path_real gives them.
int fn_path_reaches(const char *outer, const char *inner);

/// SHA-256 of bytes, and as 64 hex digits with a final 0.
void fn_sha256(unsigned char digest[32], const void *bytes, size_t n);
void fn_sha256_hex(char hex[65], const void *bytes, size_t n);
void fn_hex(char *dst, const unsigned char *bytes, size_t n); // 2n digits and a 0

/// Fills with random bytes from the system.
void fn_random(void *dst, size_t n);

/// 1 when the bytes are valid UTF-8 without NUL.
int fn_utf8_valid(const char *text, size_t n);

#endif
