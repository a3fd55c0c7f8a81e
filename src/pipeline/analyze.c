// SPDX-License-Identifier: Apache-2.0
//
// One picture down the road: decode -> detect -> align -> embed. A JPEG may be decoded at a
// fraction of its size when the caller asks for large faces only; what was found there is scaled
// back, so that every coordinate that leaves is one of the upright full-size picture.
#include "pipeline/recognizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

// A face keeps at least this many pixels of width when the decoder shrinks the picture: the side of
// the crop that the default network sees.
#define SMALLEST_FACE 112.0F

fn_analysis_owner *fn_analysis_open(void) {
    fn_analysis_owner *analysis = fn_calloc(1, sizeof *analysis);
    if (!analysis) {
        fn_fail_memory();
        return NULL;
    }
    analysis->seen.message = analysis->message;
    return analysis;
}

void fn_analysis_free(fn_analysis *analysis) {
    if (!analysis)
        return;
    fn_analysis_owner *owner = (fn_analysis_owner *)analysis;
    fn_picture_free(owner->picture);
    fn_free(owner->embeddings);
    fn_free(owner->faces);
    fn_free(owner);
}

static int check_options(const fn_analyze_options *options) {
    if (options->version == FN_ANALYZE_OPTIONS_VERSION)
        return FN_OK;
    return fn_fail(FN_EINVAL, "analyze options have version %d, expected %d: use FN_ANALYZE_OPTIONS_INIT",
                   options->version, FN_ANALYZE_OPTIONS_VERSION);
}

static int scale_denominator(const fn_analyze_options *options) {
    if (options->decode.scale_denominator || options->keep_picture)
        return options->decode.scale_denominator;
    int denominator = 8;
    while (denominator > 1 && !(options->detect.min_face / (float)denominator >= SMALLEST_FACE))
        denominator /= 2;
    return denominator;
}

static void scale_point(fn_point *point, float sx, float sy) {
    point->x *= sx;
    point->y *= sy;
}

static void scale_face(fn_face *face, float sx, float sy) {
    face->box.x *= sx;
    face->box.y *= sy;
    face->box.width *= sx;
    face->box.height *= sy;
    for (int i = 0; i < face->n_keypoints; i++)
        scale_point(&face->keypoints[i], sx, sy);
    for (int i = 0; i < face->n_landmarks; i++)
        scale_point(&face->landmarks[i], sx, sy);
}

// Embeds the faces that are wanted, in runs of neighbours.
static int embed_faces(fn_analysis_owner *analysis, fn_embedder *embedder, const fn_image *image,
                       const fn_analyze_options *options) {
    size_t n = analysis->seen.n_faces, dimension = (size_t)fn_embedder_dimension(embedder), n_floats;
    int rc = FN_OK;
    if (!fn_size_mul(&n_floats, n, dimension) ||
        !(analysis->embeddings = fn_calloc(n_floats, sizeof *analysis->embeddings)))
        return fn_fail_memory();
    for (size_t first = 0, end; first < n && rc == FN_OK; first = end + 1) {
        for (end = first; end < n; end++)
            if (options->wanted && !options->wanted(options->user, &analysis->seen, end))
                break;
        if (end > first)
            rc = fn_embedder_faces(embedder, image, analysis->faces + first, end - first,
                                   analysis->embeddings + first * dimension);
    }
    analysis->seen.embeddings = analysis->embeddings;
    analysis->seen.dimension = (int)dimension;
    return rc;
}

// Detection and embedding. The faces stay in the coordinates of `image`.
static int fill_faces(fn_analysis_owner *analysis, fn_recognizer *recognizer, const fn_image *image,
                      const fn_detect_options *detect, const fn_analyze_options *options) {
    fn_faces *found = NULL;
    int rc = fn_detector_run(recognizer->detector, image, detect, &found);
    if (rc < 0)
        return rc;
    size_t n = fn_faces_len(found);
    analysis->seen.width = image->width;
    analysis->seen.height = image->height;
    analysis->faces = fn_calloc(n, sizeof *analysis->faces);
    if (!analysis->faces) {
        fn_faces_free(found);
        return fn_fail_memory();
    }
    for (size_t i = 0; i < n; i++)
        analysis->faces[i] = *fn_faces_get(found, i);
    fn_faces_free(found);

    analysis->seen.n_faces = n;
    analysis->seen.faces = analysis->faces;
    return recognizer->embedder ? embed_faces(analysis, recognizer->embedder, image, options) : FN_OK;
}

static int fill_picture(fn_analysis_owner *analysis, fn_recognizer *recognizer,
                        const fn_analyze_options *options) {
    const fn_image *image = fn_picture_image(analysis->picture);
    const fn_picture_info *info = fn_picture_get_info(analysis->picture);
    fn_detect_options detect = options->detect;
    int shrunk = info->scale_denominator > 1;
    if (shrunk)
        detect.min_face /= (float)info->scale_denominator;
    int rc = fill_faces(analysis, recognizer, image, &detect, options);
    if (rc < 0)
        return rc;
    analysis->seen.info = *info;
    if (shrunk) {
        int turned = info->orientation >= 5 && !options->decode.ignore_orientation;
        analysis->seen.width = turned ? info->coded_height : info->coded_width;
        analysis->seen.height = turned ? info->coded_width : info->coded_height;
        for (size_t i = 0; i < analysis->seen.n_faces; i++)
            scale_face(&analysis->faces[i], (float)analysis->seen.width / (float)image->width,
                       (float)analysis->seen.height / (float)image->height);
    }
    if (options->keep_picture) {
        analysis->seen.picture = analysis->picture;
    } else {
        fn_picture_free(analysis->picture);
        analysis->picture = NULL;
    }
    return FN_OK;
}

// Leaves an analysis that says only why there is none.
static int fill_failure(fn_analysis_owner *analysis, int status) {
    fn_picture_free(analysis->picture);
    fn_free(analysis->embeddings);
    fn_free(analysis->faces);
    memset(analysis, 0, sizeof *analysis);
    analysis->seen.status = status;
    analysis->seen.message = analysis->message;
    snprintf(analysis->message, sizeof analysis->message, "%s", fn_last_error());
    return status;
}

int fn_analysis_fill_file(fn_analysis_owner *analysis, fn_recognizer *recognizer, const char *path,
                          const fn_analyze_options *options) {
    fn_decode_options decode = options->decode;
    decode.scale_denominator = scale_denominator(options);
    int rc = fn_decode_file(&analysis->picture, path, &decode);
    if (rc == FN_OK)
        rc = fill_picture(analysis, recognizer, options);
    return rc < 0 ? fill_failure(analysis, rc) : FN_OK;
}

// The common end of the three entrances: an analysis or an error, never both.
static int finish(fn_analysis **out, fn_analysis_owner *analysis, int rc) {
    if (rc < 0)
        fn_analysis_free(&analysis->seen);
    else
        *out = &analysis->seen;
    return rc;
}

static int start(fn_analysis **out, fn_analysis_owner **analysis, const fn_analyze_options *options) {
    *out = NULL;
    int rc = check_options(options);
    if (rc < 0)
        return rc;
    *analysis = fn_analysis_open();
    return *analysis ? FN_OK : FN_ENOMEM;
}

static const fn_analyze_options default_options = FN_ANALYZE_OPTIONS_INIT;

int fn_recognizer_file(fn_recognizer *recognizer, const char *path, const fn_analyze_options *options,
                       fn_analysis **out) {
    fn_analysis_owner *analysis;
    options = options ? options : &default_options;
    int rc = start(out, &analysis, options);
    if (rc < 0)
        return rc;
    return finish(out, analysis, fn_analysis_fill_file(analysis, recognizer, path, options));
}

int fn_recognizer_memory(fn_recognizer *recognizer, const void *bytes, size_t n_bytes,
                         const fn_analyze_options *options, fn_analysis **out) {
    fn_analysis_owner *analysis;
    options = options ? options : &default_options;
    int rc = start(out, &analysis, options);
    if (rc < 0)
        return rc;
    fn_decode_options decode = options->decode;
    decode.scale_denominator = scale_denominator(options);
    rc = fn_decode_memory(&analysis->picture, bytes, n_bytes, NULL, &decode);
    if (rc == FN_OK)
        rc = fill_picture(analysis, recognizer, options);
    return finish(out, analysis, rc);
}

int fn_recognizer_image(fn_recognizer *recognizer, const fn_image *image, const fn_analyze_options *options,
                        fn_analysis **out) {
    fn_analysis_owner *analysis;
    options = options ? options : &default_options;
    int rc = start(out, &analysis, options);
    if (rc < 0)
        return rc;
    rc = fn_image_check(image);
    if (rc == FN_OK)
        rc = fill_faces(analysis, recognizer, image, &options->detect, options);
    return finish(out, analysis, rc);
}
