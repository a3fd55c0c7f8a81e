// SPDX-License-Identifier: Apache-2.0
//
// Clips of known people: root/PERSON/CLIP/ with the frames as pictures, or root/PERSON/CLIP.mp4, and the
// mean vector of the face on each.
#ifndef FN_EVAL_CLIPS_H
#define FN_EVAL_CLIPS_H

#include "eval/photos.h"

typedef struct fn_clip {
    char *name;        // "PERSON/CLIP", as below the root
    size_t person;     // 0..n_people-1
    size_t first, n;   // its frames among the photographs; n 0: a video file
    char *video;       // path of a video file; NULL: a folder of frames
    double *mean;      // (dimension) mean of its unit vectors, not of unit length itself
    size_t n_used;     // frames in the mean
    size_t n_faceless; // frames that were looked at and left out: no face over the centre
    int missed;        // no frame had one: the central boxes of its frames are in the mean
    int failed;        // it could not be read: there is no mean
} fn_clip;

typedef struct fn_clips {
    fn_clip *data; // by name, in byte order
    size_t n, capacity;
    size_t n_people;
    fn_photos frames; // of the clips that are folders; each clip counts as a "person" there
    int dimension;
    size_t n_used, n_faceless, n_missed, n_unreadable; // n_unreadable: clips
} fn_clips;

/// Finds the clips under root and the first n_frames frames of each that is a folder, numbers in names
/// counting as numbers. FN_EIO: a folder cannot be read. FN_ENOTFOUND: no clip at all.
int fn_clips_folder(fn_clips *clips, const char *root, size_t n_frames);
void fn_clips_free(fn_clips *clips);

/// The clip of that name, or NULL.
const fn_clip *fn_clips_find(const fn_clips *clips, const char *name);

/// Fills the means, from the first n_frames frames of each. What cannot be read is told to the logger; a clip
/// of which no frame can be read is marked as failed.
int fn_clips_embed(fn_clips *clips, fn_recognizer *recognizer, const fn_eval_options *options, int n_frames,
                   const fn_control *control);

/// Mean squared distance over every pair of a frame of one and a frame of the other. Vectors are of unit
/// length, so it is 2 - 2 times the product of the means: no pair is visited.
double fn_clips_distance2(const fn_clip *a, const fn_clip *b, int dimension);

/// Orders names so that runs of digits count as numbers: "f2" before "f10". 0 only for equal names.
int fn_compare_natural(const char *a, const char *b);

#endif
