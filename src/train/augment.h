// SPDX-License-Identifier: Apache-2.0
//
// From a stored crop to the network's input, with chance changes: one affine warp (mirror, turn, scale,
// shift), then colour, blur, a smaller copy scaled up again, JPEG, erasing. What is drawn depends on the
// generator alone.
#ifndef FN_TRAIN_AUGMENT_H
#define FN_TRAIN_AUGMENT_H

#include "base/random.h"

#include <facenet/dataset.h>

typedef struct fn_augment {
    int mirror;         // 1: every other picture
    float rotation_deg; // turned by -r..r degrees about the box's centre
    float shift;        // moved by -s..s of the input's width and height
    float scale;        // enlarged by 1-s..1+s
    float brightness;   // factor 1-b..1+b
    float contrast;     // likewise, about the mean grey
    float saturation;   // likewise, about each pixel's grey
    float blur;         // probability of a Gaussian of 0.4..1.2 px
    float jpeg;         // probability of JPEG at quality 30..90
    float downscale;    // probability of being shrunk to 50..90 % and enlarged again
    float erase;        // probability that a rectangle of 2..15 % of the area becomes one colour
} fn_augment;

/// No change at all: the template's box, scaled to the input.
fn_augment fn_augment_none(void);
/// Mild changes for aligned faces.
fn_augment fn_augment_default(void);

/// dst: (3, height, width) planar RGB in 0..255. The box of `geometry` (or the whole crop, when it names no
/// template) is scaled to width x height; bilinear, with several samples per pixel where that shrinks by more
/// than 1.3. What lies outside the crop repeats its border. Errors: FN_EINVAL (the crop is smaller than the
/// geometry says), FN_ENOMEM.
int fn_augment_run(float *dst, int width, int height, const fn_image *crop, const fn_crop_geometry *geometry,
                   const fn_augment *augment, fn_rng *rng);

#endif
