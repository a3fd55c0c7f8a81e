// SPDX-License-Identifier: Apache-2.0
//
// BlazeFace over a whole picture: both networks on the letterboxed picture, and the full-range one
// on finer levels where small faces are wanted.
#ifndef FN_DETECT_SEARCH_H
#define FN_DETECT_SEARCH_H

#include "detect/blazeface.h"
#include "model/model.h"

/// A network with what its numbers mean.
typedef struct fn_blazeface {
    const fn_blazeface_spec *spec;
    fn_model *model;
    int boxes, scores; // which output is which
} fn_blazeface;

int fn_blazeface_open(fn_blazeface *net, const fn_blazeface_spec *spec, const fn_model_options *options);
void fn_blazeface_free(fn_blazeface *net);

/// One pass over the letterboxed picture. min_score 0: the network's own.
int fn_blazeface_whole(fn_detections *dst, const fn_blazeface *net, const fn_image *image, float min_score);

/// The whole search: reports of all passes, not yet merged. `sure` are to be merged with each other;
/// `faint` ones, of faces too small for the short-range network's boxes to be exact, count only where
/// there is no other. thorough: every level is searched whole.
int fn_blazeface_search(fn_detections *sure, fn_detections *faint, const fn_blazeface *near,
                        const fn_blazeface *full, const fn_image *image, float min_face, int thorough,
                        float min_score);

#endif
