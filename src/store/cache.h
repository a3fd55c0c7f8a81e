// SPDX-License-Identifier: Apache-2.0
//
// Embeddings that need not be computed again: the vector of the evaluated face of a file, by the
// SHA-256 of the file's bytes, the fingerprint of the model and the pipeline id. It holds no names
// and no paths. It is only a cache: a damaged one is made anew. But vectors are people's faces, so
// the file is 0600 in a folder of 0700 and what is removed is overwritten.
#ifndef FN_STORE_CACHE_H
#define FN_STORE_CACHE_H

#include <facenet/base.h>

typedef struct fn_cache fn_cache; // one thread at a time; any number of processes per file

typedef struct fn_cache_entry {
    unsigned char sha256[32]; // of the file
    int missed;               // 1: no box over the centre
    uint64_t n_faces;         // found in the picture
    float *vector;            // `dimension` floats, the caller's
} fn_cache_entry;

/// Opens or creates a cache for one fingerprint and pipeline (64 hex digits each). path NULL:
/// $XDG_CACHE_HOME/facenet/embeddings.db. A damaged cache is told to the logger and made anew.
/// FN_ESTORE: a file of another kind, which is left alone. FN_EIO: the folder cannot be made.
int fn_cache_open(fn_cache **out, const char *path, const char *fingerprint, const char *pipeline_id,
                  int dimension, const fn_control *control);
void fn_cache_free(fn_cache *cache);

/// Looks entry->sha256 up; fills the rest and *found = 1 when it is there.
int fn_cache_get(fn_cache *cache, fn_cache_entry *entry, int *found);
/// Keeps n entries in one transaction; those that are there are replaced.
int fn_cache_put(fn_cache *cache, const fn_cache_entry *entries, size_t n);

/// Takes every vector of n files out of a cache, whatever model made it, and overwrites the bytes,
/// also in the write-ahead log. path NULL: the default cache. Does nothing where there is no cache.
int fn_cache_forget(const char *path, const unsigned char (*sha256)[32], size_t n);

#endif
