// SPDX-License-Identifier: Apache-2.0
//
// The one face of a photograph that goes into a dataset.
#ifndef FN_TRAIN_FACE_SEARCH_H
#define FN_TRAIN_FACE_SEARCH_H

#include <facenet/dataset.h>

/// Finds the face whose box centre is nearest the picture's centre among those whose box covers it, or the
/// largest one. When the search of every picture finds none, the picture is searched within a border,
/// enlarged, down to small faces, and at last with less certainty: pictures that are little more than a face
/// have no room for the detector's anchors. Where all of that shows no face over the centre, but the first
/// search saw exactly one face, it is taken wherever it is. *attempt: which search found it, from 0.
/// FN_ENOTFOUND: no face, or several and none over the centre.
int fn_face_search(fn_face *out, int *attempt, fn_detector *detector, const fn_image *image,
                   fn_prepare_face which);

/// Most attempts.
int fn_face_search_attempts(void);

#endif
