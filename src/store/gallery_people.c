// SPDX-License-Identifier: Apache-2.0
//
// Reading people and faces, and changing who is who. A caller's function is never called with the
// lock held: rows are copied first (people by the page, faces one by one), so it may use the same
// gallery, and what it changes shows from the next page on. Whatever removes a name or a face also
// makes its bytes unreadable before it returns.
#include "store/gallery.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/cache.h"
#include "store/record.h"

#include <stdio.h>
#include <string.h>

enum { PEOPLE_PER_PAGE = 256 };

typedef struct people_page {
    fn_person people[PEOPLE_PER_PAGE];
    char names[PEOPLE_PER_PAGE][FN_NAME_MAX + 1];
    size_t n;
} people_page;

static int keep_person(void *user, const fn_person *person) {
    people_page *page = user;
    page->people[page->n] = *person;
    snprintf(page->names[page->n], sizeof page->names[0], "%s", person->name);
    page->people[page->n].name = page->names[page->n];
    page->n++;
    return 0;
}

int fn_gallery_people(fn_gallery *gallery, int (*visit)(void *user, const fn_person *person), void *user) {
    people_page *page = fn_calloc(1, sizeof *page);
    if (!page)
        return fn_fail_memory();
    char after[FN_NAME_MAX + 1] = "";
    int rc, stop = 0;
    do {
        page->n = 0;
        rc = fn_gallery_begin(gallery, 0);
        if (rc != FN_OK)
            break;
        rc = fn_gallery_end(
            gallery, gallery->store->ops->people(gallery->store, after, PEOPLE_PER_PAGE, keep_person, page));
        for (size_t i = 0; rc == FN_OK && !stop && i < page->n; i++)
            stop = visit(user, &page->people[i]) != 0;
        if (page->n)
            memcpy(after, page->names[page->n - 1], sizeof after);
    } while (rc == FN_OK && !stop && page->n == PEOPLE_PER_PAGE);
    fn_free(page);
    return rc;
}

/// A face with everything it points to, in one block.
typedef struct face_copy {
    int64_t place;
    fn_face_record record;
    char fingerprint[65], pipeline_id[65], taken_at[20];
    _Alignas(float) char bytes[]; // embedding, source path, crop
} face_copy;

static int keep_face(void *user, int64_t place, const fn_face_record *record) {
    face_copy **out = user;
    size_t vector = (size_t)record->dimension * sizeof(float);
    face_copy *copy = fn_alloc(sizeof *copy + vector + record->source_path_len + record->crop_jpeg_len);
    if (!copy)
        return fn_fail_memory();
    copy->place = place;
    copy->record = *record;
    snprintf(copy->fingerprint, sizeof copy->fingerprint, "%s", record->fingerprint);
    snprintf(copy->pipeline_id, sizeof copy->pipeline_id, "%s", record->pipeline_id);
    snprintf(copy->taken_at, sizeof copy->taken_at, "%s", record->taken_at ? record->taken_at : "");
    copy->record.fingerprint = copy->fingerprint;
    copy->record.pipeline_id = copy->pipeline_id;
    copy->record.taken_at = record->taken_at ? copy->taken_at : NULL;
    char *p = copy->bytes;
    memcpy(p, record->embedding, vector);
    copy->record.embedding = (const float *)(const void *)p;
    p += vector;
    if (record->source_path)
        copy->record.source_path = memcpy(p, record->source_path, record->source_path_len);
    p += record->source_path_len;
    if (record->crop_jpeg)
        copy->record.crop_jpeg = memcpy(p, record->crop_jpeg, record->crop_jpeg_len);
    *out = copy;
    return 0;
}

/// The id of a person by name; FN_ENOTFOUND says so.
static int find_person(fn_gallery *gallery, const char *name, fn_id *id) {
    int found = 0;
    if (!name)
        return fn_fail(FN_EINVAL, "a person's name is needed");
    int rc = gallery->store->ops->person_by_name(gallery->store, name, id, &found);
    if (rc == FN_OK && !found)
        return fn_fail(FN_ENOTFOUND, "%s: nobody is enrolled as '%s'", gallery->path, name);
    return rc;
}

int fn_gallery_faces(fn_gallery *gallery, const char *name,
                     int (*visit)(void *user, const fn_face_record *record), void *user) {
    fn_id person;
    int rc = fn_gallery_begin(gallery, 0);
    if (rc == FN_OK)
        rc = fn_gallery_end(gallery, find_person(gallery, name, &person));
    int64_t place = 0;
    while (rc == FN_OK) {
        face_copy *copy = NULL;
        rc = fn_gallery_begin(gallery, 0);
        if (rc == FN_OK)
            rc = fn_gallery_end(
                gallery, gallery->store->ops->faces(gallery->store, person, place, 1, keep_face, &copy));
        int stop = rc != FN_OK || !copy || visit(user, &copy->record) != 0;
        if (copy)
            place = copy->place;
        fn_free(copy);
        if (stop)
            break;
    }
    return rc;
}

int fn_gallery_name(fn_gallery *gallery, fn_id person, char *dst, size_t size) {
    if (!dst || size == 0)
        return fn_fail(FN_EINVAL, "a name needs a place of at least 1 byte");
    dst[0] = 0;
    char name[FN_NAME_MAX + 1];
    int found = 0;
    int rc = fn_gallery_begin(gallery, 0);
    if (rc == FN_OK)
        rc = fn_gallery_end(gallery, gallery->store->ops->person_by_id(gallery->store, person, name, &found));
    if (rc == FN_OK && !found)
        return fn_fail(FN_ENOTFOUND, "%s: no person has this id", gallery->path);
    if (rc != FN_OK)
        return rc;
    size_t n = strlen(name);
    if (n > size - 1)
        for (n = size - 1; n && ((unsigned char)name[n] & 0xC0) == 0x80;)
            n--; // not inside a character
    memcpy(dst, name, n);
    dst[n] = 0;
    return FN_OK;
}

/// Ends a change after which old bytes must not be found: commits, then overwrites them.
static int end_and_scrub(fn_gallery *gallery, int rc) {
    fn_store *store = gallery->store;
    if (rc == FN_OK)
        rc = store->ops->soil(store);
    if (rc == FN_OK)
        rc = store->ops->commit(store);
    else
        store->ops->rollback(store);
    if (rc == FN_OK)
        rc = store->ops->scrub(store);
    pthread_mutex_unlock(&gallery->lock);
    return rc;
}

int fn_gallery_rename(fn_gallery *gallery, const char *name, const char *new_name) {
    int rc = fn_record_check_name(new_name);
    if (rc == FN_OK)
        rc = fn_gallery_begin(gallery, 1);
    if (rc != FN_OK)
        return rc;
    fn_store *store = gallery->store;
    fn_id id, other;
    int found = 0;
    rc = find_person(gallery, name, &id);
    if (rc == FN_OK && strcmp(name, new_name) == 0)
        return fn_gallery_end(gallery, FN_OK);
    if (rc == FN_OK)
        rc = store->ops->person_by_name(store, new_name, &other, &found);
    if (rc == FN_OK && found)
        rc = fn_fail(FN_ECONFLICT, "%s: '%s' is enrolled already: merge '%s' into it instead", gallery->path,
                     new_name, name);
    if (rc == FN_OK)
        rc = store->ops->person_rename(store, id, new_name);
    return end_and_scrub(gallery, rc);
}

int fn_gallery_merge(fn_gallery *gallery, const char *from, const char *into) {
    int rc = fn_gallery_begin(gallery, 1);
    if (rc != FN_OK)
        return rc;
    fn_store *store = gallery->store;
    fn_id a, b;
    rc = find_person(gallery, from, &a);
    if (rc == FN_OK)
        rc = find_person(gallery, into, &b);
    if (rc == FN_OK && memcmp(&a, &b, sizeof a) == 0)
        rc = fn_fail(FN_EINVAL, "'%s' cannot be merged into itself", from);
    if (rc == FN_OK)
        rc = store->ops->faces_move(store, a, b);
    if (rc == FN_OK)
        rc = store->ops->person_remove(store, a);
    return end_and_scrub(gallery, rc);
}

/// The files that a person's faces come from.
typedef struct file_list {
    unsigned char (*sha256)[32];
    size_t n, capacity;
} file_list;

static int keep_file(void *user, int64_t place, const fn_face_record *record) {
    file_list *files = user;
    (void)place;
    if (files->n == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : 16;
        unsigned char(*grown)[32] = fn_realloc(files->sha256, capacity, sizeof *grown);
        if (!grown)
            return fn_fail_memory();
        files->sha256 = grown;
        files->capacity = capacity;
    }
    memcpy(files->sha256[files->n++], record->file_sha256, sizeof files->sha256[0]);
    return 0;
}

/// The cache of embeddings goes first: when it cannot be cleared nothing is removed, and the gallery
/// still knows which files to clear at the next attempt.
int fn_gallery_remove(fn_gallery *gallery, const char *name) {
    fn_id id;
    file_list files = {0};
    int rc = fn_gallery_begin(gallery, 1);
    if (rc != FN_OK)
        return rc;
    rc = find_person(gallery, name, &id);
    if (rc == FN_OK)
        rc = gallery->store->ops->faces(gallery->store, id, 0, SIZE_MAX, keep_file, &files);
    if (rc == FN_OK && files.n && (rc = fn_cache_forget(NULL, files.sha256, files.n)) != FN_OK)
        rc = fn_fail_prefix(rc, "nobody was removed");
    if (rc == FN_OK)
        rc = gallery->store->ops->person_remove(gallery->store, id);
    fn_free(files.sha256);
    return end_and_scrub(gallery, rc);
}

int fn_gallery_count(fn_gallery *gallery, uint64_t *n_people, uint64_t *n_faces) {
    int rc = fn_gallery_begin(gallery, 0);
    if (rc == FN_OK)
        rc = fn_gallery_end(gallery, gallery->store->ops->count(gallery->store, n_people, n_faces));
    return rc;
}

int fn_gallery_version(fn_gallery *gallery, int64_t *version) {
    int rc = fn_gallery_begin(gallery, 0);
    if (rc == FN_OK)
        rc = fn_gallery_end(gallery, gallery->store->ops->version(gallery->store, version));
    return rc;
}

/// The index that is filled, and whose vectors come.
typedef struct filling {
    fn_index *index;
    const char *fingerprint;
} filling;

static int index_vector(void *user, const float *vector, fn_id person, fn_id face) {
    const filling *f = user;
    int rc = fn_index_add_made(f->index, vector, f->fingerprint, person, face);
    return rc == FN_EINVAL ? fn_fail(FN_ESTORE, "the gallery is damaged: a stored vector is not of length 1")
                           : rc;
}

static int index_all(fn_gallery *gallery, fn_index *index, const fn_comparable *makers, size_t n,
                     int dimension) {
    fn_store *store = gallery->store;
    char held[65];
    int rc = FN_OK;
    for (size_t i = 0; i < n && rc == FN_OK; i++) {
        filling f = {index, makers[i].fingerprint};
        rc = store->ops->vectors(store, makers[i].fingerprint, dimension, index_vector, &f);
        const size_t n_made = fn_index_n_made(index, makers[i].fingerprint);
        if (rc == FN_OK && i > 0 && n_made && !makers[i].calibration)
            rc = fn_fail(FN_EMODEL,
                         "%s: %zu of its faces were embedded by %s, and %s has no calibration against that; "
                         "run: facenet eval calibrate --against %s --write",
                         gallery->path, n_made, makers[i].name, makers[0].name, makers[i].name);
    }
    if (rc == FN_OK && fn_index_len(index) == 0)
        rc = store->ops->main_fingerprint(store, held);
    if (rc == FN_OK && fn_index_len(index) == 0 && held[0])
        rc = fn_fail(FN_EMODEL,
                     "%s: its faces were made by the model with fingerprint %.12s, not %.12s: use that "
                     "model, or enrol the people again into another gallery",
                     gallery->path, held, makers[0].fingerprint);
    return rc;
}

int fn_gallery_index_comparable(fn_gallery *gallery, const fn_comparable *makers, size_t n, int dimension,
                                fn_index **out) {
    fn_index *index;
    *out = NULL;
    int rc = fn_index_open_comparable(&index, dimension, makers, n);
    if (rc != FN_OK)
        return rc;
    rc = fn_gallery_begin(gallery, 0);
    if (rc == FN_OK)
        rc = fn_gallery_end(gallery, index_all(gallery, index, makers, n, dimension));
    if (rc != FN_OK) {
        fn_index_free(index);
        return rc;
    }
    *out = index;
    return FN_OK;
}

int fn_gallery_index(fn_gallery *gallery, const char *fingerprint, int dimension, fn_index **out) {
    return fn_gallery_index_comparable(gallery, &(fn_comparable){.fingerprint = fingerprint}, 1, dimension,
                                       out);
}
