// SPDX-License-Identifier: Apache-2.0
//
// What the gallery asks of a store. The gallery (gallery.c) holds the rules: locks, names, conflicts.
// A store holds rows, knows transactions, and can make deleted rows unreadable. Each function returns
// FN_OK or a negative error with its message noted; none is called from two threads at once.
#ifndef FN_STORE_STORE_H
#define FN_STORE_STORE_H

#include <facenet/store.h>

enum {
    FN_NAME_MAX = 200,           // bytes of a name
    FN_PATH_BYTES_MAX = 32767,   // bytes of a source path
    FN_CROP_BYTES_MAX = 16 << 20 // bytes of a kept crop
};

typedef struct fn_store_ops fn_store_ops;

/// Every store begins with this.
typedef struct fn_store {
    const fn_store_ops *ops;
} fn_store;

/// Called once per row, pointers valid during the call; non-zero (an error) stops and comes back.
typedef int fn_store_person_visit(void *user, const fn_person *person);
typedef int fn_store_face_visit(void *user, int64_t place, const fn_face_record *record);
typedef int fn_store_file_visit(void *user, const char *name, const fn_box *box);
typedef int fn_store_vector_visit(void *user, const float *vector, fn_id person, fn_id face);

struct fn_store_ops {
    int (*open)(fn_store **out, const char *path, int read_only, int busy_ms);
    void (*free)(fn_store *store);

    /// A transaction: reads see one moment; with `write` no other process writes meanwhile. commit
    /// makes it durable or undoes it; rollback undoes it and cannot fail.
    int (*begin)(fn_store *store, int write);
    int (*commit)(fn_store *store);
    void (*rollback)(fn_store *store);
    /// Inside a write transaction: what follows `mark` is kept or undone on its own.
    int (*mark)(fn_store *store);
    int (*keep)(fn_store *store);
    int (*undo)(fn_store *store);

    /// *found is 1 or 0; only errors of the store are errors.
    int (*person_by_name)(fn_store *store, const char *name, fn_id *id, int *found);
    /// name: FN_NAME_MAX + 1 bytes.
    int (*person_by_id)(fn_store *store, fn_id id, char *name, int *found);
    int (*person_add)(fn_store *store, fn_id id, const char *name, int64_t created_ms);
    int (*person_rename)(fn_store *store, fn_id id, const char *name);
    /// With all faces and crops.
    int (*person_remove)(fn_store *store, fn_id id);
    /// People whose name is greater than `after` (bytes), by name, at most `limit`.
    int (*people)(fn_store *store, const char *after, size_t limit, fn_store_person_visit *visit, void *user);

    int (*face_add)(fn_store *store, const fn_face_record *record);
    /// Faces of a person in the order they were added, from the one after `place` (0: from the
    /// first), at most `limit`.
    int (*faces)(fn_store *store, fn_id person, int64_t place, size_t limit, fn_store_face_visit *visit,
                 void *user);
    int (*faces_move)(fn_store *store, fn_id from, fn_id into);
    /// Faces of one picture (its SHA-256) under one fingerprint.
    int (*faces_of_file)(fn_store *store, const unsigned char sha256[32], const char *fingerprint,
                         fn_store_file_visit *visit, void *user);
    /// Every vector of a fingerprint; FN_ESTORE when one has another dimension.
    int (*vectors)(fn_store *store, const char *fingerprint, int dimension, fn_store_vector_visit *visit,
                   void *user);
    /// The fingerprint of most faces; "" when there are no faces.
    int (*main_fingerprint)(fn_store *store, char fingerprint[65]);
    int (*count)(fn_store *store, uint64_t *n_people, uint64_t *n_faces);
    /// A number that is another one after somebody else has changed the store.
    int (*version)(fn_store *store, int64_t *version);

    /// Inside a write transaction: notes that old bytes must go, until `scrub` has succeeded.
    int (*soil)(fn_store *store);
    /// Outside a transaction: makes every deleted byte unreadable, if `soil` was noted.
    int (*scrub)(fn_store *store);
};

extern const fn_store_ops fn_store_sqlite;

#endif
