// SPDX-License-Identifier: Apache-2.0
//
// embed.h: a crop goes in, a vector of unit length comes out. The Euclidean distance between two
// such vectors says how alike two faces are; what a distance means is in match.h.
//
//     fn_embedder *embedder = NULL;
//     fn_embedder_open(&embedder, NULL);
//     float *vectors = malloc(n * fn_embedder_dimension(embedder) * sizeof *vectors);
//     fn_embedder_faces(embedder, image, faces, n, vectors);
#ifndef FACENET_EMBED_H
#define FACENET_EMBED_H

#include <facenet/align.h>
#include <facenet/match.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_embedder_options {
    int version;              // FN_EMBEDDER_OPTIONS_VERSION
    const char *model;        // "mobilefacenet" (default), "dlib", or the path of an ONNX file
    int mirror;               // 1: mean of the embeddings of the crop and its mirror image, at unit
                              // length; a different fingerprint
    fn_model_options options; // backend, threads, directory
} fn_embedder_options;
#define FN_EMBEDDER_OPTIONS_VERSION 1
#define FN_EMBEDDER_OPTIONS_INIT                                                                             \
    { FN_EMBEDDER_OPTIONS_VERSION, NULL, 0, FN_MODEL_OPTIONS_INIT }

typedef struct fn_embedder fn_embedder; // immutable once open: any number of threads may run it

FN_API int fn_embedder_open(fn_embedder **out, const fn_embedder_options *options);
FN_API void fn_embedder_free(fn_embedder *embedder);

/// The model's name as its file gives it. Valid until the embedder is freed.
FN_API const char *fn_embedder_name(const fn_embedder *embedder);
FN_API int fn_embedder_dimension(const fn_embedder *embedder);
FN_API const fn_template *fn_embedder_template(const fn_embedder *embedder);
/// 64 hex digits: two embeddings may be compared only when these are equal, or when one model says that it
/// embeds beside the other (below).
FN_API const char *fn_embedder_fingerprint(const fn_embedder *embedder);
/// The text whose SHA-256 is the fingerprint.
FN_API const char *fn_embedder_canonical(const fn_embedder *embedder);
/// What distances mean for this model; NULL when the model has no calibration.
FN_API const fn_calibration *fn_embedder_calibration(const fn_embedder *embedder);
/// Whose embeddings may be compared with this model's: *n of them, 1 to FN_INDEX_MAX_MAKERS. The first is the
/// model itself; the others are older models beside which it was trained to embed, so that galleries made by
/// them need not be made anew (train.h: harmonic). Theirs are of its dimension. All lives as long as the
/// embedder.
FN_API const fn_comparable *fn_embedder_comparable(const fn_embedder *embedder, size_t *n);

/// Embeds crops cut by fn_align. crops: (n, height, width, 3) RGB bytes; dst: (n, dimension) float,
/// rows of unit length. Errors: FN_ENOMEM.
FN_API int fn_embedder_run(fn_embedder *embedder, const unsigned char *crops, size_t n, float *dst);

/// Aligns and embeds n faces of one picture. dst: (n, dimension) float.
FN_API int fn_embedder_faces(fn_embedder *embedder, const fn_image *image, const fn_face *faces, size_t n,
                             float *dst);

#ifdef __cplusplus
}
#endif
#endif
