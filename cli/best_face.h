// SPDX-License-Identifier: Apache-2.0
//
// The best look at somebody out of many: the crop of the face that is sharpest, largest and most to the
// front.
#ifndef CLI_BEST_FACE_H
#define CLI_BEST_FACE_H

#include <facenet/facenet.h>

typedef struct cli_best_face {
    float score;
    unsigned char *rgb; // (200, 200, 3), eyes level; NULL: none yet
} cli_best_face;        // zero it first

/// Takes a face that is better than the one so far. 1 when it was taken, 0 when not (also without landmarks),
/// or FN_ENOMEM.
int cli_best_face_offer(cli_best_face *best, const fn_image *image, const fn_face *face);
/// The crop as a view; zero when there is none.
fn_image cli_best_face_image(const cli_best_face *best);
void cli_best_face_free(cli_best_face *best);

#endif
