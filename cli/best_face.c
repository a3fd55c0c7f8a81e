// SPDX-License-Identifier: Apache-2.0
//
// The crop of the look that is worth most.
#include "best_face.h"

#include <stdlib.h>

#define TEMPLATE "eyes-200"

int cli_best_face_offer(cli_best_face *best, const fn_image *image, const fn_face *face) {
    const fn_template *tmpl = fn_template_find(TEMPLATE);
    fn_quality quality;
    if (!face->n_landmarks)
        return 0;
    int rc = fn_quality_measure(&quality, image, face);
    if (rc < 0)
        return rc == FN_ENOMEM ? rc : 0;
    const float score = fn_quality_worth(&quality);
    if (best->rgb && score <= best->score)
        return 0;
    unsigned char *rgb = malloc((size_t)tmpl->width * (size_t)tmpl->height * 3);
    if (!rgb)
        return FN_ENOMEM;
    rc = fn_align(rgb, tmpl, image, face);
    if (rc < 0) {
        free(rgb);
        return rc == FN_ENOMEM ? rc : 0;
    }
    free(best->rgb);
    *best = (cli_best_face){score, rgb};
    return 1;
}

fn_image cli_best_face_image(const cli_best_face *best) {
    const fn_template *tmpl = fn_template_find(TEMPLATE);
    if (!best->rgb)
        return (fn_image){0};
    return (fn_image){best->rgb, tmpl->width, tmpl->height, (ptrdiff_t)tmpl->width * 3, FN_PIXEL_RGB8};
}

void cli_best_face_free(cli_best_face *best) {
    free(best->rgb);
    *best = (cli_best_face){0};
}
