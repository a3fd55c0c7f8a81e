// SPDX-License-Identifier: Apache-2.0
//
// Files and folders: whole-file reads with a limit, writes that appear only when complete, and the
// XDG folders.
#ifndef FN_BASE_PATH_H
#define FN_BASE_PATH_H

#include <stddef.h>
#include <stdint.h>

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

/// Writes bytes to path through a temporary file beside it, synced and renamed: the name holds the
/// old bytes or all of the new ones, never a part.
int fn_write_file(const char *path, const void *bytes, size_t n, unsigned mode);

/// SHA-256 of bytes, and as 64 hex digits with a final 0.
void fn_sha256(unsigned char digest[32], const void *bytes, size_t n);
void fn_sha256_hex(char hex[65], const void *bytes, size_t n);
void fn_hex(char *dst, const unsigned char *bytes, size_t n); // 2n digits and a 0

/// Fills with random bytes from the system.
void fn_random(void *dst, size_t n);

/// 1 when the bytes are valid UTF-8 without NUL.
int fn_utf8_valid(const char *text, size_t n);

#endif
