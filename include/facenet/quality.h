// SPDX-License-Identifier: Apache-2.0
//
// quality.h: is this face good enough to learn from? A few cheap measures on a face with landmarks, and
// the reasons against it in plain words.
//
//     fn_quality quality;
//     unsigned faults;
//     fn_quality_measure(&quality, image, face);
//     if ((faults = fn_quality_faults(&quality, NULL)))
//         puts(fn_quality_fault_text(faults & -faults));   // the first reason
#ifndef FACENET_QUALITY_H
#define FACENET_QUALITY_H

#include <facenet/detect.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fn_quality {
    float width; // of the face's box, pixels
    float
        sharpness; // of the upright crop at 112 pixels: variance of the Laplacian in percent of the variance
                   // of the luma, so that neither size nor light counts; 0 is flat, 3 and more sharp
    float brightness; // mean luma of the face in that crop, 0..255
    float contrast;   // standard deviation of the same
    float yaw;        // degrees; positive: the subject's nose points to the right of the picture
    float pitch;      // degrees; positive: upwards
    float roll;       // degrees; positive: clockwise in the picture
    float eyes;   // openness: height to width of both eyes; about 0.3 open. Only as good as the landmarks,
                  // which draw closed eyes too wide
    float inside; // share of the box that lies inside the picture, 0..1
} fn_quality;

enum {
    FN_FAULT_SMALL = 1,    // "too small: come closer"
    FN_FAULT_EDGE = 2,     // "cut off by the edge of the picture"
    FN_FAULT_DARK = 4,     // "too dark"
    FN_FAULT_BRIGHT = 8,   // "too bright"
    FN_FAULT_BLURRED = 16, // "blurred: hold still"
    FN_FAULT_TURNED = 32,  // "turned too far away"
    FN_FAULT_EYES = 64     // "eyes closed"
};

/// What is still good enough. Start from FN_QUALITY_LIMITS_INIT, whose limits were measured (quality.c).
typedef struct fn_quality_limits {
    int version;          // FN_QUALITY_LIMITS_VERSION
    float min_width;      // pixels [60]
    float min_inside;     // [0.9]
    float min_brightness; // [40]
    float max_brightness; // [225]
    float min_sharpness;  // [1.6]
    float max_yaw;        // degrees to either side [45]
    float max_pitch;      // degrees up or down [35]
    float min_eyes;       // [0.17]
} fn_quality_limits;
#define FN_QUALITY_LIMITS_VERSION 1
#define FN_QUALITY_LIMITS_INIT                                                                               \
    { FN_QUALITY_LIMITS_VERSION, 60.0F, 0.9F, 40.0F, 225.0F, 1.6F, 45.0F, 35.0F, 0.17F }

/// Measures one face. Errors: FN_EINVAL (no landmarks, bad view), FN_ENOMEM.
FN_API int fn_quality_measure(fn_quality *out, const fn_image *image, const fn_face *face);

/// FN_FAULT_... of a face; limits NULL: the defaults. 0: good.
FN_API unsigned fn_quality_faults(const fn_quality *quality, const fn_quality_limits *limits);

/// How much a look at a face shows, to choose the best of many: above 0, at most 1.05. Larger (up to 200
/// pixels), sharper and more from the front is worth more; each fault by the default limits takes two fifths.
FN_API float fn_quality_worth(const fn_quality *quality);

/// One fault in plain words; "" for a value that is none. Static storage.
FN_API const char *fn_quality_fault_text(unsigned fault);

#ifdef __cplusplus
}
#endif
#endif
