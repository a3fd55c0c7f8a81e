// SPDX-License-Identifier: Apache-2.0
//
// pipeline.h: the whole road: decode -> detect -> align -> embed, for one picture or thousands.
//
//     fn_recognizer *recognizer = NULL;
//     fn_analysis *analysis = NULL;
//     fn_recognizer_open(&recognizer, NULL);
//     fn_recognizer_file(recognizer, "party.jpg", NULL, &analysis);
//     for (size_t i = 0; i < analysis->n_faces; i++)
//         fn_decide(&match, index, analysis->embeddings + i * analysis->dimension, ...);
//     fn_analysis_free(analysis);
#ifndef FACENET_PIPELINE_H
#define FACENET_PIPELINE_H

#include <facenet/decode.h>
#include <facenet/draw.h>
#include <facenet/embed.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_recognizer_options {
    int version; // FN_RECOGNIZER_OPTIONS_VERSION
    fn_detector_options detector;
    fn_embedder_options embedder;
    int no_embedder; // 1: detection only
} fn_recognizer_options;
#define FN_RECOGNIZER_OPTIONS_VERSION 1
#define FN_RECOGNIZER_OPTIONS_INIT                                                                           \
    { FN_RECOGNIZER_OPTIONS_VERSION, FN_DETECTOR_OPTIONS_INIT, FN_EMBEDDER_OPTIONS_INIT, 0 }

struct fn_analysis;

typedef struct fn_analyze_options {
    int version; // FN_ANALYZE_OPTIONS_VERSION
    fn_decode_options decode;
    fn_detect_options detect;
    int keep_picture; // 1: the analysis keeps the decoded pixels, for drawing and crops
    // Which of the faces found are worth embedding, asked once per face before any is embedded, possibly on
    // a worker thread; the others get zeros. NULL: all.
    int (*wanted)(void *user, const struct fn_analysis *found, size_t face);
    void *user; // handed to wanted
    // decode.scale_denominator 0: chosen by detect.min_face, so that faces of that size keep 112 pixels of
    // width; 1 without min_face or with keep_picture. Coordinates are always those of the upright
    // full-size picture.
} fn_analyze_options;
#define FN_ANALYZE_OPTIONS_VERSION 1
#define FN_ANALYZE_OPTIONS_INIT                                                                              \
    { FN_ANALYZE_OPTIONS_VERSION, FN_DECODE_OPTIONS_INIT, FN_DETECT_OPTIONS_INIT, 0, NULL, NULL }

typedef struct fn_recognizer fn_recognizer; // immutable once open: any number of threads may run it

FN_API int fn_recognizer_open(fn_recognizer **out, const fn_recognizer_options *options);
FN_API void fn_recognizer_free(fn_recognizer *recognizer);
FN_API fn_detector *fn_recognizer_detector(fn_recognizer *recognizer);
FN_API fn_embedder *fn_recognizer_embedder(fn_recognizer *recognizer); // NULL with no_embedder
/// 64 hex digits: what found and cut the faces.
FN_API const char *fn_recognizer_pipeline_id(const fn_recognizer *recognizer);

/// What was found in one picture. Owned by the library, read by the caller.
typedef struct fn_analysis {
    int status;           // FN_OK or why this picture could not be read
    const char *message;  // one line when status is negative, else ""
    fn_picture_info info; // zero when the picture came as pixels
    int width, height;    // of the upright picture
    size_t n_faces;
    const fn_face *faces;    // left to right
    const float *embeddings; // (n_faces, dimension); NULL with no_embedder
    int dimension;
    const fn_picture *picture; // NULL unless keep_picture
} fn_analysis;

/// One picture from a file ("-": standard input), encoded bytes, or pixels. On success the caller
/// frees *out; on failure *out is NULL and the error is returned.
FN_API int fn_recognizer_file(fn_recognizer *recognizer, const char *path, const fn_analyze_options *options,
                              fn_analysis **out);
FN_API int fn_recognizer_memory(fn_recognizer *recognizer, const void *bytes, size_t n_bytes,
                                const fn_analyze_options *options, fn_analysis **out);
FN_API int fn_recognizer_image(fn_recognizer *recognizer, const fn_image *image,
                               const fn_analyze_options *options, fn_analysis **out);
FN_API void fn_analysis_free(fn_analysis *analysis);

/// Many files on `jobs` threads (0: one per processor). `next` gives the next path, or NULL at the
/// end; the string must stay valid until `next` or `result` is called again. `result` receives one
/// analysis per path, in the order of the paths, whatever the number of threads; it may set *keep
/// to 1 to own the analysis. One bad file has a negative status and never stops the rest; a
/// non-zero return of `result`, cancellation or the deadline does. Memory is bounded by jobs, not
/// by paths.
FN_API int fn_recognizer_files(fn_recognizer *recognizer, const char *(*next)(void *user),
                               int (*result)(void *user, const char *path, fn_analysis *analysis, int *keep),
                               void *user, int jobs, const fn_analyze_options *options,
                               const fn_control *control);

/// The files of a folder as a stream: recursive, in byte order of the names, hidden files and
/// folders left out, links to folders not followed. Holds one folder's names per level, so memory
/// does not grow with the number of files. One thread at a time.
typedef struct fn_walker fn_walker;

/// root: a folder, or a file (then that is all there is). FN_EIO: not there, unreadable, neither.
FN_API int fn_walker_open(fn_walker **out, const char *root);
/// *path is the next regular file, NULL at the end; valid until the next call. FN_EIO: a folder or
/// link cannot be read, which fn_last_error() names; the next call goes on behind it.
FN_API int fn_walker_next(fn_walker *walker, const char **path);
FN_API void fn_walker_free(fn_walker *walker);

/// The same with a callback. Stops when visit returns non-zero and returns that value. What cannot
/// be read is passed over, and FN_EIO with the first such message comes back at the end.
FN_API int fn_walk(const char *root, int (*visit)(void *user, const char *path), void *user);

#ifdef __cplusplus
}
#endif
#endif
