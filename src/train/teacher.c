// SPDX-License-Identifier: Apache-2.0
//
// The file is one of checkpoint.h: its JSON says which network and which images, a block holds the rows.
#include "train/teacher.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "embed/compatible.h"
#include "train/checkpoint.h"
#include "train/export.h"
#include "train/loader.h"

#include <facenet/embed.h>

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 32 };

// Which network and which images, as the text the file begins with. New memory, or NULL.
static char *describe(const fn_teacher *t, const fn_dataset *dataset) {
    fn_buf names;
    char hex[65];
    fn_buf_init(&names, (size_t)1 << 30);
    const fn_crop_geometry *g = fn_dataset_geometry(dataset);
    fn_buf_printf(&names, "%s %d %d %d\n", g->template_name, g->width, g->height, g->margin);
    for (int i = 0; i < t->n_images; i++)
        fn_buf_printf(&names, "%s\n", fn_dataset_image_name(dataset, i));
    char *text = NULL;
    if (!names.failed) {
        fn_sha256_hex(hex, names.data, names.len);
        text = fn_asprintf("{\"teacher\":\"%s\",\"images\":%d,\"names\":\"%s\"}", t->fingerprint, t->n_images,
                           hex);
    }
    fn_buf_free(&names);
    return text;
}

static int in_order(void *user, uint64_t step, int *image) {
    const int n_images = *(const int *)user;
    const int64_t start = (int64_t)step * BATCH;
    int n = 0;
    for (; n < BATCH && start + n < n_images; n++)
        image[n] = (int)start + n;
    return n;
}

// Planes of floats as interleaved bytes, which an embedder takes.
static void to_bytes(unsigned char *dst, const float *src, size_t n_pixels) {
    for (size_t i = 0; i < n_pixels; i++)
        for (size_t c = 0; c < 3; c++)
            dst[i * 3 + c] = (unsigned char)lrintf(fminf(fmaxf(src[c * n_pixels + i], 0), 255));
}

static int compute(fn_teacher *t, fn_embedder *embedder, const fn_dataset *dataset,
                   const fn_train_options *options, const fn_control *control) {
    const fn_template *tmpl = fn_embedder_template(embedder);
    const size_t n_pixels = (size_t)tmpl->width * (size_t)tmpl->height;
    unsigned char *crops = fn_alloc(BATCH * n_pixels * 3);
    fn_loader *loader = NULL;
    fn_batch batch;
    int rc = crops ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_loader_open(&loader, &(fn_loader_options){.dataset = dataset,
                                                          .width = tmpl->width,
                                                          .height = tmpl->height,
                                                          .scale = 1,
                                                          .augment = fn_augment_none(),
                                                          .threads = options->loader_threads,
                                                          .n_max = BATCH,
                                                          .batch = in_order,
                                                          .user = &t->n_images});
    for (int done = 0; rc == FN_OK && done < t->n_images;) {
        if ((rc = fn_loader_next(loader, &batch)) < 0)
            break;
        for (int i = 0; i < batch.n; i++)
            to_bytes(crops + (size_t)i * 3 * n_pixels, batch.pixels + (size_t)i * 3 * n_pixels, n_pixels);
        rc = fn_embedder_run(embedder, crops, (size_t)batch.n, t->rows + (size_t)done * (size_t)t->dimension);
        done += batch.n;
        if (rc == FN_OK)
            rc = fn_control_step(control, (uint64_t)done, (uint64_t)t->n_images);
    }
    fn_loader_free(loader);
    fn_free(crops);
    return rc;
}

// 1 when the file holds just these rows.
static int read_kept(fn_teacher *t, const char *path, const char *description) {
    char *json = NULL;
    fn_checkpoint_block block = {"embeddings", t->rows,
                                 (size_t)t->n_images * (size_t)t->dimension * sizeof *t->rows};
    int is_kept = access(path, F_OK) == 0 && fn_checkpoint_read(path, &json, NULL, 0) == FN_OK &&
                  strcmp(json, description) == 0 && fn_checkpoint_read(path, NULL, &block, 1) == FN_OK;
    fn_free(json);
    return is_kept;
}

// The teacher's template, or the one that its is when scaled to the teacher's input.
static int check_template(const fn_embedder *embedder, const fn_dataset *dataset, const char *template_name) {
    const fn_template *wanted = fn_embedder_template(embedder);
    const char *cut = template_name ? template_name : fn_dataset_geometry(dataset)->template_name;
    const fn_input_spec input = {.width = wanted->width, .height = wanted->height};
    fn_template *scaled = NULL;
    int rc =
        strcmp(cut, wanted->name) == 0 ? FN_OK : fn_export_template(&scaled, template_name, dataset, &input);
    if (rc < 0 || strcmp(cut, wanted->name) == 0)
        return rc;
    const int is_same = scaled && strcmp(scaled->name, wanted->name) == 0;
    fn_template_free(scaled);
    return is_same ? FN_OK
                   : fn_fail(FN_EINVAL, "the teacher %s wants faces cut by %s, those of %s are cut by %s",
                             fn_embedder_name(embedder), wanted->name, fn_dataset_root(dataset),
                             *cut ? cut : "nobody knows what");
}

static fn_embedder_options embedder_options(const fn_train_options *options) {
    fn_embedder_options e = FN_EMBEDDER_OPTIONS_INIT;
    e.model = options->teacher;
    e.options.directory = options->models;
    e.options.threads = options->threads;
    return e;
}

int fn_teacher_open(fn_teacher *out, const fn_dataset *dataset, const char *template_name, const char *path,
                    const fn_train_options *options, const fn_control *control) {
    *out = (fn_teacher){.n_images = fn_dataset_n_images(dataset)};
    fn_embedder *embedder = NULL;
    char *description = NULL;
    const fn_embedder_options e = embedder_options(options);
    int rc = fn_embedder_open(&embedder, &e);
    if (rc == FN_OK)
        rc = check_template(embedder, dataset, template_name);
    if (rc < 0)
        goto out;
    out->dimension = fn_embedder_dimension(embedder);
    snprintf(out->fingerprint, sizeof out->fingerprint, "%s", fn_embedder_fingerprint(embedder));
    out->rows = fn_calloc((size_t)out->n_images * (size_t)out->dimension, sizeof *out->rows);
    out->compatible_with = fn_compatibles_after(embedder);
    description = out->rows && out->compatible_with ? describe(out, dataset) : NULL;
    if (!description) {
        rc = fn_fail_memory();
        goto out;
    }
    if (!read_kept(out, path, description)) {
        fn_control_log(control, FN_LOG_INFO, "embedding %d images with %s, once", out->n_images,
                       fn_embedder_name(embedder));
        rc = compute(out, embedder, dataset, options, control);
        fn_checkpoint_block block = {"embeddings", out->rows,
                                     (size_t)out->n_images * (size_t)out->dimension * sizeof *out->rows};
        if (rc == FN_OK)
            rc = fn_checkpoint_write(path, description, &block, 1);
    }
out:
    fn_free(description);
    fn_embedder_free(embedder);
    if (rc < 0)
        fn_teacher_free(out);
    return rc;
}

void fn_teacher_free(fn_teacher *teacher) {
    fn_free(teacher->rows);
    fn_free(teacher->compatible_with);
    *teacher = (fn_teacher){0};
}
