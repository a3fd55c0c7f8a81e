// SPDX-License-Identifier: Apache-2.0
//
// Inside of a gallery: a store behind a lock.
#ifndef FN_STORE_GALLERY_H
#define FN_STORE_GALLERY_H

#include "store/store.h"

#include <pthread.h>

struct fn_gallery {
    pthread_mutex_t lock;
    fn_store *store;
    char *path;
    int read_only;
};

/// Locks the handle and begins a transaction; nothing is held when it fails.
int fn_gallery_begin(fn_gallery *gallery, int write);
/// Commits when rc is FN_OK, rolls back otherwise, unlocks; what became of it.
int fn_gallery_end(fn_gallery *gallery, int rc);

#endif
