// SPDX-License-Identifier: Apache-2.0
//
// Opening a gallery and putting faces into it: one lock per handle, one transaction per call. A
// picture is recognised by its SHA-256 and a face in it by its box, so that enrolling twice adds
// nothing and enrolling under another name is a conflict. See gallery_people.c for the rest.
#include "store/gallery.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "store/record.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { DEFAULT_BUSY_MS = 10000 };

/// Boxes that overlap by at least this share are the same face.
static const double SAME_FACE = 0.5;

static int default_path(char **out, int read_only) {
    char *folder = fn_path_data(NULL);
    if (!folder)
        return FN_EIO;
    int rc = read_only ? FN_OK : fn_mkdirs(folder, 0700);
    if (rc == FN_OK && !(*out = fn_path_join(folder, "gallery.db")))
        rc = FN_ENOMEM;
    fn_free(folder);
    return rc;
}

int fn_gallery_open(fn_gallery **out, const char *path, const fn_gallery_options *options) {
    fn_gallery_options defaults = FN_GALLERY_OPTIONS_INIT;
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->version != FN_GALLERY_OPTIONS_VERSION || options->busy_ms < 0 || (path && !path[0]))
        return fn_fail(FN_EINVAL, "a gallery needs a path that is not empty and options made with "
                                  "FN_GALLERY_OPTIONS_INIT");
    fn_gallery *gallery = fn_calloc(1, sizeof *gallery);
    if (!gallery)
        return fn_fail_memory();
    pthread_mutex_init(&gallery->lock, NULL);
    gallery->read_only = options->read_only != 0;
    int rc = FN_OK;
    if (!path)
        rc = default_path(&gallery->path, gallery->read_only);
    else if (!(gallery->path = fn_strdup(path)))
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_store_sqlite.open(&gallery->store, gallery->path, gallery->read_only,
                                  options->busy_ms ? options->busy_ms : DEFAULT_BUSY_MS);
    if (rc != FN_OK) {
        fn_gallery_free(gallery);
        return rc;
    }
    *out = gallery;
    return FN_OK;
}

void fn_gallery_free(fn_gallery *gallery) {
    if (!gallery)
        return;
    if (gallery->store)
        gallery->store->ops->free(gallery->store);
    pthread_mutex_destroy(&gallery->lock);
    fn_free(gallery->path);
    fn_free(gallery);
}

const char *fn_gallery_path(const fn_gallery *gallery) {
    return gallery->path;
}

int fn_gallery_begin(fn_gallery *gallery, int write) {
    if (write && gallery->read_only)
        return fn_fail(FN_ESTORE, "%s: the gallery was opened for reading only", gallery->path);
    pthread_mutex_lock(&gallery->lock);
    int rc = gallery->store->ops->begin(gallery->store, write);
    if (rc != FN_OK)
        pthread_mutex_unlock(&gallery->lock);
    return rc;
}

int fn_gallery_end(fn_gallery *gallery, int rc) {
    if (rc == FN_OK)
        rc = gallery->store->ops->commit(gallery->store);
    else
        gallery->store->ops->rollback(gallery->store);
    pthread_mutex_unlock(&gallery->lock);
    return rc;
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/// The kept face of the same picture that overlaps most.
typedef struct twin {
    const fn_box *box;
    double overlap;
    char name[FN_NAME_MAX + 1];
} twin;

static int see_face_of_file(void *user, const char *name, const fn_box *box) {
    twin *t = user;
    double overlap = fn_record_overlap(t->box, box);
    if (overlap >= SAME_FACE && overlap > t->overlap) {
        t->overlap = overlap;
        snprintf(t->name, sizeof t->name, "%s", name);
    }
    return 0;
}

/// Adds one checked face inside a transaction: FN_ADDED_..., or a negative error.
static int add_face(fn_gallery *gallery, const char *name, const fn_face_record *record) {
    fn_store *store = gallery->store;
    twin t = {&record->box, 0, ""};
    int rc = store->ops->faces_of_file(store, record->file_sha256, record->fingerprint, see_face_of_file, &t);
    if (rc != FN_OK)
        return rc;
    if (t.overlap > 0) {
        if (strcmp(t.name, name) == 0)
            return FN_ADDED_ALREADY;
        char label[512];
        fn_record_label(label, sizeof label, record);
        return fn_fail(FN_ECONFLICT, "%s: this face is already enrolled as '%s', not '%s'", label, t.name,
                       name);
    }
    fn_face_record whole = *record;
    whole.added_ms = now_ms();
    int found;
    rc = store->ops->person_by_name(store, name, &whole.person, &found);
    if (rc == FN_OK && !found) {
        fn_random(&whole.person, sizeof whole.person);
        rc = store->ops->person_add(store, whole.person, name, whole.added_ms);
    }
    fn_random(&whole.id, sizeof whole.id);
    if (rc == FN_OK)
        rc = store->ops->face_add(store, &whole);
    return rc == FN_OK ? FN_ADDED_NEW : rc;
}

/// One item of a batch: FN_ADDED_... or its own error, with nothing of it left. *broken is set when
/// the transaction itself cannot go on.
static int add_item(fn_gallery *gallery, const char *name, const fn_face_record *record, int *broken) {
    fn_store *store = gallery->store;
    int rc = fn_record_check_name(name);
    if (rc == FN_OK)
        rc = fn_record_check(record);
    if (rc != FN_OK)
        return rc;
    rc = store->ops->mark(store);
    if (rc == FN_OK)
        rc = add_face(gallery, name, record);
    if (rc == FN_ESTORE || (rc < 0 ? store->ops->undo(store) : store->ops->keep(store)) != FN_OK) {
        *broken = 1;
        return rc < 0 ? rc : FN_ESTORE;
    }
    return rc;
}

int fn_gallery_add_many(fn_gallery *gallery, const char *const *names, const fn_face_record *records,
                        size_t n, int *status) {
    int broken = 0;
    int rc = fn_gallery_begin(gallery, 1);
    if (rc == FN_OK) {
        for (size_t i = 0; i < n && !broken; i++) {
            status[i] = add_item(gallery, names[i], &records[i], &broken);
            if (broken)
                rc = status[i];
        }
        rc = fn_gallery_end(gallery, rc);
    }
    for (size_t i = 0; i < n && rc != FN_OK; i++)
        status[i] = rc; // nothing was kept
    return rc;
}

int fn_gallery_add(fn_gallery *gallery, const char *name, const fn_face_record *record, fn_added *added) {
    int status;
    int rc = fn_gallery_add_many(gallery, &name, record, 1, &status);
    if (rc != FN_OK)
        return rc;
    if (status < 0)
        return status;
    if (added)
        *added = (fn_added)status;
    return FN_OK;
}
