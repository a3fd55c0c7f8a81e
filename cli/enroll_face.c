// SPDX-License-Identifier: Apache-2.0
//
// One face into the gallery. A frame has no file whose hash tells it from others: its crop's JPEG has.
#include "enroll_face.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 4096, // JPEG at 92 is far below the pixels
    BUSY_MS = 2000 // a window stands still while another program writes
};

void *cli_encode_crop(size_t *n_out, const fn_embedder *embedder, const fn_image *image,
                      const fn_face *face) {
    const fn_template *tmpl = fn_embedder_template(embedder);
    const size_t size = (size_t)tmpl->width * (size_t)tmpl->height * 3;
    unsigned char *pixels = malloc(size), *jpeg = malloc(size + MARGIN);
    const fn_image crop = {pixels, tmpl->width, tmpl->height, (ptrdiff_t)tmpl->width * 3, FN_PIXEL_RGB8};
    const int is_done = pixels && jpeg && fn_align(pixels, tmpl, image, face) == FN_OK &&
                        fn_image_encode_jpeg(jpeg, size + MARGIN, n_out, &crop, 0) == FN_OK;
    free(pixels);
    if (is_done)
        return jpeg;
    free(jpeg);
    return NULL;
}

static int hash(unsigned char sha256[32], const void *jpeg, size_t n) {
    fn_picture *picture;
    const int rc = fn_decode_memory(&picture, jpeg, n, "crop", NULL);
    if (rc < 0)
        return rc;
    memcpy(sha256, fn_picture_get_info(picture)->sha256, 32);
    fn_picture_free(picture);
    return FN_OK;
}

static int add(fn_added *added, const char *name, const fn_face_record *record) {
    fn_gallery_options options = FN_GALLERY_OPTIONS_INIT;
    fn_gallery *gallery;
    options.busy_ms = BUSY_MS;
    int rc = fn_gallery_open(&gallery, cli.gallery, &options);
    if (rc < 0)
        return rc;
    rc = fn_gallery_add(gallery, name, record, added);
    fn_gallery_free(gallery);
    return rc;
}

int cli_enroll_face(fn_added *added, fn_recognizer *recognizer, const fn_image *image, const fn_face *face,
                    const char *name, const char *source, int keep_crop, char *why, size_t n_why) {
    fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    fn_face_record record = {.dimension = fn_embedder_dimension(embedder),
                             .fingerprint = fn_embedder_fingerprint(embedder),
                             .pipeline_id = fn_recognizer_pipeline_id(recognizer),
                             .source_path = source,
                             .source_path_len = strlen(source),
                             .box = face->box};
    size_t n_crop = 0;
    float *vector = malloc((size_t)record.dimension * sizeof *vector);
    void *crop = cli_encode_crop(&n_crop, embedder, image, face);
    int rc = vector && crop ? FN_OK : FN_ENOMEM;
    if (rc == FN_OK)
        rc = fn_embedder_faces(embedder, image, face, 1, vector);
    if (rc == FN_OK)
        rc = hash(record.file_sha256, crop, n_crop);
    record.embedding = vector;
    if (keep_crop) {
        record.crop_jpeg = crop;
        record.crop_jpeg_len = n_crop;
    }
    if (rc == FN_OK)
        rc = add(added, name, &record);
    if (rc < 0)
        snprintf(why, n_why, "%s", vector && crop ? fn_last_error() : "the face cannot be cut out");
    free(crop);
    free(vector);
    return rc;
}
