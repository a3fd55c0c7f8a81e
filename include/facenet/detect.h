// SPDX-License-Identifier: Apache-2.0
//
// detect.h: a picture goes in, faces come out: box, score, landmarks.
//
//     fn_detector *detector = NULL;
//     fn_faces *faces = NULL;
//     fn_detector_open(&detector, NULL);
//     fn_detector_run(detector, image, NULL, &faces);
//     for (size_t i = 0; i < fn_faces_len(faces); i++)
//         printf("%.0f %.0f\n", fn_faces_get(faces, i)->box.x, fn_faces_get(faces, i)->box.y);
//     fn_faces_free(faces);
//     fn_detector_free(detector);
//
// A picture without a face is zero faces, not an error.
#ifndef FACENET_DETECT_H
#define FACENET_DETECT_H

#include <facenet/image.h>
#include <facenet/model.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FN_N_LANDMARKS 68 // iBUG order: jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth 48-67
#define FN_N_KEYPOINTS 6  // right eye, left eye, nose tip, mouth, right ear, left ear (the subject's)

typedef struct fn_face {
    fn_box box;                         // pixels of the picture
    float score;                        // 0..1
    int n_keypoints;                    // FN_N_KEYPOINTS (BlazeFace) or 0 (SSD)
    int n_landmarks;                    // FN_N_LANDMARKS, or 0 when options.landmarks was 0
    fn_point keypoints[FN_N_KEYPOINTS]; // pixels of the picture
    fn_point landmarks[FN_N_LANDMARKS]; // pixels of the picture
} fn_face;

typedef struct fn_detector_options {
    int version;            // FN_DETECTOR_OPTIONS_VERSION
    const char *detector;   // "blazeface" (short and full range merged; default) or "ssd"
    fn_model_options model; // backend, threads, directory
} fn_detector_options;
#define FN_DETECTOR_OPTIONS_VERSION 1
#define FN_DETECTOR_OPTIONS_INIT                                                                             \
    { FN_DETECTOR_OPTIONS_VERSION, NULL, FN_MODEL_OPTIONS_INIT }

typedef struct fn_detect_options {
    int version; // FN_DETECT_OPTIONS_VERSION
    // Smallest face to look for, pixels of box width. When given, the picture is searched thoroughly down to
    // this size. 0: the larger of 20 and 2 % of the picture's short side, searched quickly: faces of 4 % and
    // more are found reliably, at 2 % about two in five.
    float min_face;
    float min_score;  // 0: the detector's own (0.5 short range, 0.6 full range, 0.5 ssd)
    int max_faces;    // keep the best so many; 0: all
    int no_landmarks; // 1: boxes and keypoints only
} fn_detect_options;
#define FN_DETECT_OPTIONS_VERSION 1
#define FN_DETECT_OPTIONS_INIT                                                                               \
    { FN_DETECT_OPTIONS_VERSION, 0.0F, 0.0F, 0, 0 }

typedef struct fn_detector fn_detector; // immutable once open: any number of threads may run it
typedef struct fn_faces fn_faces;

/// options may be NULL. Errors: FN_EMODEL. The caller frees *out.
FN_API int fn_detector_open(fn_detector **out, const fn_detector_options *options);
FN_API void fn_detector_free(fn_detector *detector);

/// Finds the faces of `image`, ordered left to right by box centre, ties top to bottom. The order
/// does not depend on threads. options may be NULL. Errors: FN_EINVAL (bad view), FN_ENOMEM.
FN_API int fn_detector_run(fn_detector *detector, const fn_image *image, const fn_detect_options *options,
                           fn_faces **out);

/// Finds the 68 landmarks inside a box somebody else found: fills face->landmarks from face->box.
FN_API int fn_detector_landmarks(fn_detector *detector, const fn_image *image, fn_face *face);

/// Text whose SHA-256 is the pipeline id: detector, landmarks and how they are run.
FN_API const char *fn_detector_canonical(const fn_detector *detector);

FN_API size_t fn_faces_len(const fn_faces *faces);
FN_API const fn_face *fn_faces_get(const fn_faces *faces, size_t index); // index < len
FN_API void fn_faces_free(fn_faces *faces);

#ifdef __cplusplus
}
#endif
#endif
