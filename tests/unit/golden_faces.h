// SPDX-License-Identifier: Apache-2.0
//
// The golden texts about the faces of the demo photographs, row by row.
#ifndef GOLDEN_FACES_H
#define GOLDEN_FACES_H

#include "align/compat.h"

#include <facenet/facenet.h>
#include <stdio.h>

/// A row of tests/golden/faceapi_faces.txt. In `face`: box, score and landmarks.
typedef struct golden_face {
    char image[32];
    int width, height;
    double box[4];
    fn_compat_rect crop, chip, clipped;
    double map[6]; // to dlib's chip
    fn_face face;
} golden_face;

/// Opens a file of tests/golden behind its line of origin; fails the test when it is not there.
FILE *golden_open(const char *name);
/// Reads n numbers; fails the test when they are not there.
void golden_numbers(FILE *file, double *dst, int n);
/// 0 at the end.
int golden_face_read(FILE *file, golden_face *out);

/// The demo photograph of this name, below FACENET_DEMO. Freed by the caller.
fn_picture *golden_photo(const char *image);
/// The folder of networks; skips the test, and says so, where FACENET_MODELS or FACENET_DEMO is not set.
const char *golden_models(void);
/// The backend that the goldens are compared with: oneDNN, or the reference with GOLDEN_BACKEND=reference.
/// Then only the tests of goldens are run, because the reference is slow.
fn_backend golden_backend(void);

#endif
