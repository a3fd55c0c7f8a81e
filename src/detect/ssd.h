// SPDX-License-Identifier: Apache-2.0
//
// The second detector: SSD on MobileNet v1, run as face-api runs it.
#ifndef FN_DETECT_SSD_H
#define FN_DETECT_SSD_H

#include "detect/detection.h"
#include "model/model.h"

typedef struct fn_ssd {
    fn_model *model;
    int boxes, scores, priors; // which output is which
} fn_ssd;

#define FN_SSD_MIN_SCORE 0.5F

int fn_ssd_open(fn_ssd *ssd, const fn_model_options *options);
void fn_ssd_free(fn_ssd *ssd);

/// One pass over the whole picture; the reports are merged and sorted, best first.
int fn_ssd_search(fn_detections *dst, const fn_ssd *ssd, const fn_image *image, float min_score);

/// Adds the reports above min_score. boxes: (n, 4) encodings, scores: (n, 3) logits of which the
/// middle one is "face", priors: (n, 4) as ymin, xmin, ymax, xmax. All of the padded square.
int fn_ssd_decode(fn_detections *dst, const float *boxes, const float *scores, const float *priors, size_t n,
                  float min_score);

#endif
