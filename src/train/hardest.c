// SPDX-License-Identifier: Apache-2.0
//
// Pictures are the network's input made anew, so that they show what it saw: augmented.
#include "train/hardest.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <string.h>

static void free_face(fn_report_face *face) {
    fn_free((void *)face->jpeg);
    fn_free((void *)face->caption);
}

void fn_hardest_free(fn_hardest *hardest) {
    for (int i = 0; i < hardest->n; i++) {
        free_face(&hardest->triplets[i].anchor);
        free_face(&hardest->triplets[i].positive);
        free_face(&hardest->triplets[i].negative);
    }
    *hardest = (fn_hardest){0};
}

static int take_face(fn_report_face *face, fn_loader *loader, const fn_batch *batch, int row,
                     const fn_dataset *dataset, const fn_input_spec *input) {
    const size_t n_pixels = (size_t)input->width * (size_t)input->height;
    const size_t room = 3 * n_pixels + 4096;
    size_t n_bytes;
    face->caption = fn_strdup(fn_dataset_image_name(dataset, batch->image[row]));
    unsigned char *rgb = fn_alloc(3 * n_pixels), *jpeg = fn_alloc(room);
    float *planes = fn_alloc(3 * n_pixels * sizeof *planes);
    int rc = face->caption && rgb && jpeg && planes ? fn_loader_make(loader, batch, row, planes)
                                                    : fn_fail_memory();
    if (rc < 0) {
        fn_free(planes);
        fn_free(rgb);
        fn_free(jpeg);
        return rc;
    }
    for (size_t i = 0; i < n_pixels; i++)
        for (size_t c = 0; c < 3; c++) {
            const float value = planes[c * n_pixels + i] * input->scale + input->mean[c];
            rgb[3 * i + c] = (unsigned char)lrintf(fminf(fmaxf(value, 0), 255));
        }
    const fn_image image = {rgb, input->width, input->height, (ptrdiff_t)input->width * 3, FN_PIXEL_RGB8};
    if (fn_image_encode_jpeg(jpeg, room, &n_bytes, &image, 85) == FN_OK) {
        face->jpeg = jpeg;
        face->n_bytes = n_bytes;
    } else {
        fn_free(jpeg);
    }
    fn_free(planes);
    fn_free(rgb);
    return FN_OK;
}

static double squared_distance(const float *unit, int i, int k, int d) {
    double sum = 0;
    for (int c = 0; c < d; c++) {
        const double off =
            (double)unit[(size_t)i * (size_t)d + (size_t)c] - (double)unit[(size_t)k * (size_t)d + (size_t)c];
        sum += off * off;
    }
    return sum;
}

int fn_hardest_take(fn_hardest *hardest, fn_loader *loader, const fn_batch *batch,
                    const fn_loss_result *result, const float *unit, int d, const fn_dataset *dataset,
                    const fn_input_spec *input) {
    int rc = FN_OK;
    fn_hardest_free(hardest);
    for (int i = 0; i < result->n_hardest && rc == FN_OK; i++) {
        const int *row = &result->hardest[3 * i];
        fn_report_triplet *t = &hardest->triplets[hardest->n++];
        t->d_ap = squared_distance(unit, row[0], row[1], d);
        t->d_an = squared_distance(unit, row[0], row[2], d);
        rc = take_face(&t->anchor, loader, batch, row[0], dataset, input);
        if (rc == FN_OK)
            rc = take_face(&t->positive, loader, batch, row[1], dataset, input);
        if (rc == FN_OK)
            rc = take_face(&t->negative, loader, batch, row[2], dataset, input);
    }
    return rc;
}
