// SPDX-License-Identifier: Apache-2.0
//
// Embeddings of stored crops, sixteen at a time on each thread.
#include "train/embed_crops.h"

#include "base/alloc.h"
#include "base/error.h"
#include "eval/photos.h"
#include "image/image.h"
#include "train/workers.h"

#include <string.h>

enum { BATCH = 16 };

typedef struct job {
    const fn_dataset *dataset;
    fn_embedder *embedder;
    const fn_template *tmpl;
    fn_crop_vectors *out;
} job;

/// The template's box of a stored crop as the embedder wants it.
static int cut(unsigned char *dst, const fn_template *tmpl, const fn_image *crop, const fn_crop_geometry *g) {
    if (crop->width != g->width + 2 * g->margin || crop->height != g->height + 2 * g->margin)
        return fn_fail(FN_EFORMAT, "%d x %d pixels where the dataset has %d x %d", crop->width, crop->height,
                       g->width + 2 * g->margin, g->height + 2 * g->margin);
    const double x = (double)tmpl->width / g->width, y = (double)tmpl->height / g->height;
    const double m[6] = {x, 0, -g->margin * x, 0, y, -g->margin * y};
    return fn_image_warp(dst, tmpl->width, tmpl->height, crop, m);
}

static int read_crop(unsigned char *dst, const job *j, int image) {
    fn_picture *picture = NULL;
    char *path = fn_dataset_image_path(j->dataset, image);
    int rc = path ? fn_decode_file(&picture, path, NULL) : FN_ENOMEM;
    if (rc == FN_OK) {
        rc = cut(dst, j->tmpl, fn_picture_image(picture), fn_dataset_geometry(j->dataset));
        if (rc < 0)
            fn_fail_prefix(rc, "%s", path);
    }
    fn_picture_free(picture);
    fn_free(path);
    return rc;
}

/// Batch number `item` of the dataset. What cannot be read leaves a gap.
static int embed_batch(void *user, int item) {
    job *j = user;
    int images[BATCH], n = 0, rc = FN_OK, end = (item + 1) * BATCH,
                       n_images = fn_dataset_n_images(j->dataset);
    const size_t n_crop = (size_t)j->tmpl->width * (size_t)j->tmpl->height * 3;
    const size_t dimension = (size_t)j->out->dimension;
    unsigned char *crops = fn_alloc(n_crop * BATCH);
    float *vectors = fn_calloc(BATCH * dimension, sizeof *vectors);
    if (!crops || !vectors)
        rc = fn_fail_memory();
    for (int i = item * BATCH; i < end && i < n_images && rc == FN_OK; i++) {
        rc = read_crop(crops + (size_t)n * n_crop, j, i);
        if (rc == FN_OK) {
            images[n++] = i;
        } else if (rc != FN_ENOMEM) {
            fn_workers_log("%s: left out", fn_last_error());
            rc = FN_OK;
        }
    }
    if (rc == FN_OK)
        rc = fn_embedder_run(j->embedder, crops, (size_t)n, vectors);
    for (int k = 0; k < n && rc == FN_OK; k++) {
        memcpy(j->out->data + (size_t)images[k] * dimension, vectors + (size_t)k * dimension,
               dimension * sizeof *vectors);
        j->out->known[images[k]] = 1;
    }
    fn_free(vectors);
    fn_free(crops);
    return rc;
}

static int embed_crops(fn_crop_vectors *out, const fn_dataset *dataset, fn_embedder *embedder, int jobs,
                       const fn_control *control) {
    job j = {.dataset = dataset, .embedder = embedder, .tmpl = fn_embedder_template(embedder), .out = out};
    return fn_workers_run((fn_dataset_n_images(dataset) + BATCH - 1) / BATCH, jobs, embed_batch, &j, control);
}

/// The whole road. The photographs that could be read come back in the order of the dataset.
static int embed_photos(fn_crop_vectors *out, const fn_dataset *dataset, fn_recognizer *recognizer, int jobs,
                        const fn_control *control) {
    fn_photos photos = {.n_people = (size_t)fn_dataset_n_people(dataset)};
    fn_eval_options options = FN_EVAL_OPTIONS_INIT;
    int rc = FN_OK, n = fn_dataset_n_images(dataset);
    options.jobs = jobs;
    options.cache = "";
    for (int i = 0; i < n && rc == FN_OK; i++) {
        char *path = fn_dataset_image_path(dataset, i);
        rc = path ? fn_photos_add(&photos, path, (size_t)fn_dataset_image_person(dataset, i)) : FN_ENOMEM;
    }
    if (rc == FN_OK)
        rc = fn_photos_embed(&photos, recognizer, &options, 0, control);
    if (rc == FN_EFORMAT && photos.n == 0) // nothing could be read: every vector is missing
        rc = FN_OK;
    size_t at = 0;
    for (int i = 0; i < n && rc == FN_OK; i++) {
        char *path = fn_dataset_image_path(dataset, i);
        if (!path) {
            rc = FN_ENOMEM;
        } else if (at < photos.n && strcmp(path, photos.data[at].path) == 0) {
            memcpy(out->data + (size_t)i * (size_t)out->dimension, fn_photos_vector(&photos, at++),
                   (size_t)out->dimension * sizeof *out->data);
            out->known[i] = 1;
        }
        fn_free(path);
    }
    fn_photos_free(&photos);
    return rc;
}

int fn_crop_vectors_open(fn_crop_vectors *out, const fn_dataset *dataset, fn_recognizer *recognizer, int jobs,
                         const fn_control *control) {
    *out = (fn_crop_vectors){0};
    fn_embedder *embedder = recognizer ? fn_recognizer_embedder(recognizer) : NULL;
    if (!embedder)
        return fn_fail(FN_EINVAL, "comparing the faces of a dataset needs a recognizer with an embedder");
    size_t n = (size_t)fn_dataset_n_images(dataset), n_floats;
    out->dimension = fn_embedder_dimension(embedder);
    if (fn_size_mul(&n_floats, n, (size_t)out->dimension))
        out->data = fn_calloc(n_floats, sizeof *out->data);
    out->known = fn_calloc(n, 1);
    int rc = out->data && out->known ? FN_OK : fn_fail_memory();
    const char *name = fn_dataset_geometry(dataset)->template_name;
    if (rc == FN_OK && strcmp(name, fn_embedder_template(embedder)->name) == 0)
        rc = embed_crops(out, dataset, embedder, jobs, control);
    else if (rc == FN_OK)
        rc = embed_photos(out, dataset, recognizer, jobs, control);
    if (rc < 0) {
        fn_crop_vectors_free(out);
        return rc;
    }
    for (size_t i = 0; i < n; i++)
        out->n_unknown += !out->known[i];
    return FN_OK;
}

void fn_crop_vectors_free(fn_crop_vectors *vectors) {
    fn_free(vectors->data);
    fn_free(vectors->known);
    *vectors = (fn_crop_vectors){0};
}
