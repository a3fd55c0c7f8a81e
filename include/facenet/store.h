// SPDX-License-Identifier: Apache-2.0
//
// store.h: the gallery: people and their faces, kept on disk in one SQLite file.
//
//     fn_gallery *gallery = NULL;
//     fn_gallery_open(&gallery, NULL, NULL);                 // $XDG_DATA_HOME/facenet/gallery.db
//     fn_face_record record = {...};
//     fn_gallery_add(gallery, "Ada Lovelace", &record, NULL);
//
// A gallery may be open in several processes at once. Writes are transactions: what a call has
// acknowledged survives a crash, what it has not leaves no trace. Removal is real: the freed pages
// are overwritten and the write-ahead log is emptied. The file is 0600 in a folder of 0700.
#ifndef FACENET_STORE_H
#define FACENET_STORE_H

#include <facenet/image.h>
#include <facenet/match.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_gallery_options {
    int version;   // FN_GALLERY_OPTIONS_VERSION
    int read_only; // 1: never written, must exist; a medium mounted read-only will do
    int busy_ms;   // how long to wait for another process; 0: 10,000
} fn_gallery_options;
#define FN_GALLERY_OPTIONS_VERSION 1
#define FN_GALLERY_OPTIONS_INIT                                                                              \
    { FN_GALLERY_OPTIONS_VERSION, 0, 0 }

typedef struct fn_gallery fn_gallery; // one handle serves many threads, one at a time (it locks)

/// Opens or creates a gallery. path NULL: $XDG_DATA_HOME/facenet/gallery.db. Errors: FN_ESTORE (not
/// a gallery, newer than this program, damaged, read-only), FN_EIO.
FN_API int fn_gallery_open(fn_gallery **out, const char *path, const fn_gallery_options *options);
FN_API void fn_gallery_free(fn_gallery *gallery);
FN_API const char *fn_gallery_path(const fn_gallery *gallery);

typedef struct fn_person {
    fn_id id;
    const char *name; // UTF-8
    uint64_t n_faces;
    int64_t created_ms; // UTC, milliseconds since 1970
} fn_person;

/// One face to keep, or one that is kept. Pointers of a record read from the gallery are valid
/// during the callback only.
typedef struct fn_face_record {
    fn_id id;               // given by the gallery
    fn_id person;           // given by the gallery
    const float *embedding; // `dimension` floats of unit length
    int dimension;
    const char *fingerprint; // 64 hex digits
    const char *pipeline_id; // 64 hex digits
    const void *source_path; // bytes as the system gives them; may be NULL
    size_t source_path_len;
    unsigned char file_sha256[32];
    fn_box box;            // in the upright picture
    int64_t added_ms;      // UTC; given by the gallery
    const char *taken_at;  // EXIF local time "YYYY-MM-DD HH:MM:SS"; NULL or "": none
    const void *crop_jpeg; // kept only when the caller gives one; NULL: none
    size_t crop_jpeg_len;
} fn_face_record;

typedef enum fn_added {
    FN_ADDED_NEW = 1,    // a new face
    FN_ADDED_ALREADY = 2 // the same picture and box of the same person is there: nothing was added
} fn_added;

/// Keeps a face under a name, creating the person when there is none of that name. FN_ECONFLICT
/// with both names when the same picture (SHA-256) and face (boxes overlap by half or more) is kept
/// under another name with the same fingerprint. FN_EINVAL: empty or non-UTF-8 name, bad vector.
/// `added` may be NULL.
FN_API int fn_gallery_add(fn_gallery *gallery, const char *name, const fn_face_record *record,
                          fn_added *added);

/// The same for many faces, in one transaction. `status[i]` is FN_ADDED_NEW, FN_ADDED_ALREADY or a
/// negative error of that item alone; one bad item never fails the rest. names and records: n each.
FN_API int fn_gallery_add_many(fn_gallery *gallery, const char *const *names, const fn_face_record *records,
                               size_t n, int *status);

/// Calls `visit` for each person by name order (bytes of the name); stops when it returns non-zero.
/// A visitor may use and change the same gallery: no lock is held while it runs.
FN_API int fn_gallery_people(fn_gallery *gallery, int (*visit)(void *user, const fn_person *person),
                             void *user);
/// Calls `visit` for each face of a person (by name), oldest first.
FN_API int fn_gallery_faces(fn_gallery *gallery, const char *name,
                            int (*visit)(void *user, const fn_face_record *record), void *user);

/// Copies the name of a person: at most size bytes with the final 0. FN_ENOTFOUND.
FN_API int fn_gallery_name(fn_gallery *gallery, fn_id person, char *dst, size_t size);

/// FN_ENOTFOUND (no such person), FN_ECONFLICT (the new name is taken: merge instead).
FN_API int fn_gallery_rename(fn_gallery *gallery, const char *name, const char *new_name);
/// Moves every face of `from` to `into`; `from` is gone afterwards.
FN_API int fn_gallery_merge(fn_gallery *gallery, const char *from, const char *into);
/// Removes a person and every trace: rows, names, vectors, crops, free pages, write-ahead log, by
/// writing the file anew (rename and merge too, for the old name); and the vectors of the person's files
/// in the default cache of embeddings (eval.h), without which nothing is removed. FN_ESTORE when another
/// program is reading all the while: the person is gone, but old bytes remain until the next opening or
/// removal.
FN_API int fn_gallery_remove(fn_gallery *gallery, const char *name);

FN_API int fn_gallery_count(fn_gallery *gallery, uint64_t *n_people, uint64_t *n_faces);

/// A number that is another one after another opening of the same gallery, of this program or of any, has
/// changed something: who holds an index asks for it now and then, and makes the index anew.
FN_API int fn_gallery_version(fn_gallery *gallery, int64_t *version);

/// All vectors of one fingerprint as a searchable index, as of now. FN_EMODEL when the gallery
/// holds faces but none of this fingerprint: embeddings of two models are never compared.
FN_API int fn_gallery_index(fn_gallery *gallery, const char *fingerprint, int dimension, fn_index **out);
/// The same with all vectors of several models, as fn_embedder_comparable lists them: what is searched for is
/// of makers[0]. FN_EMODEL also when it holds vectors of another maker against which there is no calibration,
/// because nothing could be decided. The calibrations must outlive the index.
FN_API int fn_gallery_index_comparable(fn_gallery *gallery, const fn_comparable *makers, size_t n,
                                       int dimension, fn_index **out);

#ifdef __cplusplus
}
#endif
#endif
