// SPDX-License-Identifier: Apache-2.0
//
// One face and its vector for each photograph. Where no box covers the centre the landmarks are
// sought in a central box instead, as the protocols of LFW demand that nothing is dropped. Vectors
// are looked up by the file's SHA-256 first; what was computed is kept in the cache a few dozen at a
// time, so that an interrupted evaluation goes on where it stopped.
#include "eval/photos.h"

#include "base/alloc.h"
#include "base/error.h"
#include "store/cache.h"

#include <facenet/pipeline.h>
#include <stdio.h>
#include <string.h>

enum { KEPT_AT_ONCE = 64 };

int fn_eval_central_face(const fn_face *faces, size_t n, int width, int height) {
    double cx = width / 2.0, cy = height / 2.0, nearest = 0;
    int best = -1;
    for (size_t i = 0; i < n; i++) {
        const fn_box *box = &faces[i].box;
        double x = (double)box->x, y = (double)box->y, w = (double)box->width, h = (double)box->height;
        if (!(x <= cx && cx <= x + w && y <= cy && cy <= y + h))
            continue;
        double dx = x + w / 2 - cx, dy = y + h / 2 - cy, distance = dx * dx + dy * dy;
        if (best < 0 || distance < nearest) {
            best = (int)i;
            nearest = distance;
        }
    }
    return best;
}

typedef struct job {
    fn_photos *photos;
    fn_recognizer *recognizer;
    const fn_control *control;
    fn_cache *cache;
    int needs_all;
    size_t *todo; // photographs whose vector is not known
    size_t n_todo, at_next, n_done;
    fn_cache_entry entries[KEPT_AT_ONCE];
    size_t n_entries;
} job;

static float *vector_of(job *j, size_t index) {
    return j->photos->vectors + index * (size_t)j->photos->dimension;
}

/// The cache is a convenience: when it fails the work goes on without it.
static int cache_failed(job *j, int rc) {
    if (rc == FN_ENOMEM)
        return rc;
    fn_control_log(j->control, FN_LOG_WARNING, "%s; going on without a cache", fn_last_error());
    fn_cache_free(j->cache);
    j->cache = NULL;
    return FN_OK;
}

static int keep_entries(job *j) {
    size_t n = j->n_entries;
    j->n_entries = 0;
    int rc = j->cache && n ? fn_cache_put(j->cache, j->entries, n) : FN_OK;
    return rc < 0 ? cache_failed(j, rc) : FN_OK;
}

/// Embeds the central box of a picture: x 30..70 %, y 28..76 %.
static int embed_central_box(job *j, const char *path, float *vector) {
    fn_picture *picture = NULL;
    int rc = fn_decode_file(&picture, path, NULL);
    if (rc < 0)
        return rc;
    const fn_image *image = fn_picture_image(picture);
    float width = (float)image->width, height = (float)image->height;
    fn_face face = {.box = {0.30F * width, 0.28F * height, 0.40F * width, 0.48F * height}};
    rc = fn_detector_landmarks(fn_recognizer_detector(j->recognizer), image, &face);
    if (rc == FN_OK)
        rc = fn_embedder_faces(fn_recognizer_embedder(j->recognizer), image, &face, 1, vector);
    fn_picture_free(picture);
    return rc < 0 ? fn_fail_prefix(rc, "%s: central box", path) : FN_OK;
}

/// Of a picture's faces only the central one is embedded.
static int is_central(void *user, const fn_analysis *found, size_t face) {
    (void)user;
    return fn_eval_central_face(found->faces, found->n_faces, found->width, found->height) == (int)face;
}

static const char *next(void *user) {
    job *j = user;
    return j->at_next < j->n_todo ? j->photos->data[j->todo[j->at_next++]].path : NULL;
}

/// A photograph that cannot be used ends the work or leaves the list.
static int unreadable(job *j, fn_photo *photo, int status, const char *message) {
    if (status == FN_ENOMEM || j->needs_all)
        return fn_fail(status, "%s", message);
    fn_control_log(j->control, FN_LOG_WARNING, "%s: left out", message);
    photo->failed = 1;
    j->photos->n_unreadable++;
    return FN_OK;
}

static int result(void *user, const char *path, fn_analysis *analysis, int *keep) {
    job *j = user;
    size_t index = j->todo[j->n_done++];
    fn_photo *photo = &j->photos->data[index];
    float *vector = vector_of(j, index);
    char message[1024];
    (void)keep;
    if (analysis->status < 0)
        return unreadable(j, photo, analysis->status, analysis->message);
    int face = fn_eval_central_face(analysis->faces, analysis->n_faces, analysis->width, analysis->height);
    if (face >= 0) {
        memcpy(vector, analysis->embeddings + (size_t)face * (size_t)analysis->dimension,
               (size_t)analysis->dimension * sizeof *vector);
    } else {
        photo->missed = 1;
        int rc = embed_central_box(j, path, vector);
        if (rc < 0) {
            snprintf(message, sizeof message, "%s", fn_last_error());
            return unreadable(j, photo, rc, message);
        }
    }
    if (j->cache && photo->hashed) {
        fn_cache_entry *entry = &j->entries[j->n_entries++];
        *entry = (fn_cache_entry){.missed = photo->missed, .n_faces = analysis->n_faces, .vector = vector};
        memcpy(entry->sha256, photo->sha256, sizeof entry->sha256);
        if (j->n_entries == KEPT_AT_ONCE)
            return keep_entries(j);
    }
    return FN_OK;
}

static int progress(void *user, uint64_t done, uint64_t total) {
    job *j = user;
    (void)total;
    return j->control->progress(j->control->user, done, j->n_todo);
}

/// Runs the road over what is left to do. Progress counts these photographs only, so that the time
/// left is right.
static int analyse(job *j, int jobs) {
    fn_analyze_options options = FN_ANALYZE_OPTIONS_INIT;
    fn_control inner = FN_CONTROL_INIT;
    options.wanted = is_central;
    if (j->control) {
        inner = *j->control;
        inner.user = j;
        inner.progress = j->control->progress ? progress : NULL;
        inner.log = NULL;
    }
    return j->n_todo ? fn_recognizer_files(j->recognizer, next, result, j, jobs, &options, &inner) : FN_OK;
}

/// 1 when the cache has the photograph's vector, 0 when not, or an error.
static int look_up(job *j, size_t index) {
    fn_photo *photo = &j->photos->data[index];
    fn_cache_entry entry = {.vector = vector_of(j, index)};
    int found = 0;
    if (!j->cache)
        return 0;
    int rc = fn_file_sha256(photo->sha256, photo->path, 0);
    if (rc < 0) // what cannot be read here cannot be read later either, and is told then
        return rc == FN_ENOMEM ? rc : 0;
    photo->hashed = 1;
    memcpy(entry.sha256, photo->sha256, sizeof entry.sha256);
    rc = fn_cache_get(j->cache, &entry, &found);
    if (rc < 0)
        return cache_failed(j, rc);
    photo->missed = found && entry.missed;
    return found;
}

/// Finds out which photographs are left to do.
static int find_todo(job *j) {
    for (size_t i = 0; i < j->photos->n; i++) {
        int rc = fn_control_step(j->control, 0, 0);
        int found = rc < 0 ? rc : look_up(j, i);
        if (found < 0)
            return found;
        if (!found)
            j->todo[j->n_todo++] = i;
    }
    return FN_OK;
}

/// Takes out what failed; counts the misses.
static void compact(fn_photos *photos) {
    size_t n = 0, row = (size_t)photos->dimension * sizeof *photos->vectors;
    for (size_t i = 0; i < photos->n; i++) {
        if (photos->data[i].failed) {
            fn_free(photos->data[i].path);
            continue;
        }
        photos->n_missed += photos->data[i].missed != 0;
        photos->data[n] = photos->data[i];
        memmove(photos->vectors + n * (size_t)photos->dimension, fn_photos_vector(photos, i), row);
        n++;
    }
    photos->n = n;
}

static int embed(fn_photos *photos, fn_recognizer *recognizer, const fn_eval_options *options, int needs_all,
                 const fn_control *control) {
    fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    if (!embedder)
        return fn_fail(FN_EINVAL, "an evaluation needs a recognizer with an embedder");
    job j = {.photos = photos, .recognizer = recognizer, .control = control, .needs_all = needs_all};
    size_t n_floats;
    photos->dimension = fn_embedder_dimension(embedder);
    if (!fn_size_mul(&n_floats, photos->n, (size_t)photos->dimension))
        return fn_fail_memory();
    photos->vectors = fn_calloc(n_floats, sizeof *photos->vectors);
    j.todo = fn_calloc(photos->n, sizeof *j.todo);
    int rc = photos->vectors && j.todo ? FN_OK : fn_fail_memory();
    if (rc == FN_OK && !(options->cache && !*options->cache))
        rc = fn_cache_open(&j.cache, options->cache, fn_embedder_fingerprint(embedder),
                           fn_recognizer_pipeline_id(recognizer), photos->dimension, control);
    if (rc == FN_OK)
        rc = find_todo(&j);
    if (rc == FN_OK)
        rc = analyse(&j, options->jobs);
    if (rc < 0 && j.n_entries) { // keep what is done, and the error of what is not
        char message[1024];
        snprintf(message, sizeof message, "%s", fn_last_error());
        keep_entries(&j);
        rc = fn_fail(rc, "%s", message);
    }
    if (rc == FN_OK)
        rc = keep_entries(&j);
    fn_cache_free(j.cache);
    fn_free(j.todo);
    if (rc == FN_OK)
        compact(photos);
    if (rc == FN_OK && photos->n == 0)
        rc = fn_fail(FN_EFORMAT, "none of %zu files could be read as a photograph", photos->n_unreadable);
    return rc;
}

int fn_photos_find_older(const fn_comparable **out, fn_recognizer *recognizer, fn_recognizer *against) {
    const fn_embedder *newer = fn_recognizer_embedder(recognizer), *older = fn_recognizer_embedder(against);
    size_t n = 0;
    *out = NULL;
    if (!newer || !older)
        return fn_fail(FN_EINVAL, "an evaluation needs a recognizer with an embedder");
    const fn_comparable *known = fn_embedder_comparable(newer, &n);
    for (size_t i = 1; i < n; i++)
        if (strcmp(known[i].fingerprint, fn_embedder_fingerprint(older)) == 0)
            *out = &known[i];
    if (!*out)
        return fn_fail(
            FN_EMODEL,
            "%s was not trained to embed beside %s (loss harmonic): their embeddings are never compared",
            fn_embedder_name(newer), fn_embedder_name(older));
    if (fn_embedder_dimension(newer) != fn_embedder_dimension(older))
        return fn_fail(FN_EMODEL, "%s gives %d numbers, %s gives %d: they cannot be compared",
                       fn_embedder_name(newer), fn_embedder_dimension(newer), fn_embedder_name(older),
                       fn_embedder_dimension(older));
    return FN_OK;
}

int fn_photos_embed(fn_photos *photos, fn_recognizer *recognizer, const fn_eval_options *options,
                    int needs_all, const fn_control *control) {
    fn_photos again = {.n_people = photos->n_people};
    int rc = options->against ? fn_photos_find_older(&photos->older, recognizer, options->against) : FN_OK;
    if (rc == FN_OK)
        rc = embed(photos, recognizer, options, needs_all, control);
    if (rc < 0 || !options->against)
        return rc;
    for (size_t i = 0; i < photos->n && rc == FN_OK; i++) {
        char *path = fn_strdup(photos->data[i].path);
        rc = path ? fn_photos_add(&again, path, photos->data[i].person) : fn_fail_memory();
    }
    if (rc == FN_OK) // what could be read before can be read again
        rc = embed(&again, options->against, options, 1, control);
    photos->older_vectors = again.vectors;
    again.vectors = NULL;
    fn_photos_free(&again);
    return rc;
}
