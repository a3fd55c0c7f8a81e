// SPDX-License-Identifier: Apache-2.0
//
// A face of a running picture goes into the gallery.
#ifndef CLI_ENROLL_FACE_H
#define CLI_ENROLL_FACE_H

#include "cli.h"

/// Embeds a face with landmarks and keeps it under a name in the gallery of the settings, which is made where
/// there is none. source: what the picture came from; keep_crop 1: the crop too. FN_OK with *added, or a
/// facenet error with one line in `why`.
int cli_enroll_face(fn_added *added, fn_recognizer *recognizer, const fn_image *image, const fn_face *face,
                    const char *name, const char *source, int keep_crop, char *why, size_t n_why);

/// The crop an embedder sees, as JPEG bytes. New memory (free), or NULL with the reason noted.
void *cli_encode_crop(size_t *n_out, const fn_embedder *embedder, const fn_image *image, const fn_face *face);

#endif
