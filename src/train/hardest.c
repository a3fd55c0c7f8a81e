// SPDX-License-Identifier: Apache-2.0
//
// Of every anchor the farthest positive and the nearest negative (batch-hard), whatever the loss has mined:
// where they lie in the wrong order by most there is a hard face, or a wrong name. Pictures are the network's
// input made anew, so that they show what it saw: augmented.
#include "train/hardest.h"

#include "base/alloc.h"
#include "base/error.h"
#include "train/mine.h"

#include <math.h>
#include <stdlib.h>
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
            rgb[3 * i + (input->bgr ? 2 - c : c)] = (unsigned char)lrintf(fminf(fmaxf(value, 0), 255));
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

typedef struct candidate {
    fn_triplet rows;
    double d_ap, d_an;
} candidate;

static int worst_first(const void *pa, const void *pb) {
    const candidate *a = pa, *b = pb;
    const double gap = (b->d_ap - b->d_an) - (a->d_ap - a->d_an);
    return gap > 0 ? 1 : gap < 0 ? -1 : (a->rows.anchor > b->rows.anchor) - (a->rows.anchor < b->rows.anchor);
}

/// The same three faces, anchor and positive in any order.
static int is_same(const candidate *a, const candidate *b) {
    return a->rows.negative == b->rows.negative && a->rows.anchor == b->rows.positive &&
           a->rows.positive == b->rows.anchor;
}

/// Up to FN_HARDEST_MAX of the batch in *out, new memory; their number, or an error.
static int choose(candidate **out, const fn_batch *batch, const float *unit, int d) {
    const fn_mine_options rule = {.kind = FN_MINE_BATCH_HARD};
    fn_rng rng = fn_rng_at(0, FN_STREAM_MINING, 0); // the rule draws nothing
    fn_mined mined;
    *out = NULL;
    int n = 0, rc = fn_mine(&mined, unit, batch->label, batch->n, d, &rule, &rng);
    if (rc < 0)
        return rc;
    candidate *all = fn_calloc((size_t)mined.n, sizeof *all);
    if (!all) {
        fn_mined_free(&mined);
        return fn_fail_memory();
    }
    for (int i = 0; i < mined.n; i++) {
        const fn_triplet t = mined.triplets[i];
        all[i] = (candidate){t, squared_distance(unit, t.anchor, t.positive, d),
                             squared_distance(unit, t.anchor, t.negative, d)};
    }
    qsort(all, (size_t)mined.n, sizeof *all, worst_first);
    for (int i = 0; i < mined.n && n < FN_HARDEST_MAX; i++) {
        int k = 0;
        while (k < n && !is_same(&all[k], &all[i]))
            k++;
        if (k == n)
            all[n++] = all[i];
    }
    fn_mined_free(&mined);
    *out = all;
    return n;
}

int fn_hardest_take(fn_hardest *hardest, fn_loader *loader, const fn_batch *batch, const float *unit, int d,
                    const fn_dataset *dataset, const fn_input_spec *input) {
    candidate *chosen;
    fn_hardest_free(hardest);
    const int n = choose(&chosen, batch, unit, d);
    int rc = n < 0 ? n : FN_OK;
    for (int i = 0; i < n && rc == FN_OK; i++) {
        const fn_triplet *row = &chosen[i].rows;
        fn_report_triplet *t = &hardest->triplets[hardest->n++];
        t->d_ap = chosen[i].d_ap;
        t->d_an = chosen[i].d_an;
        rc = take_face(&t->anchor, loader, batch, row->anchor, dataset, input);
        if (rc == FN_OK)
            rc = take_face(&t->positive, loader, batch, row->positive, dataset, input);
        if (rc == FN_OK)
            rc = take_face(&t->negative, loader, batch, row->negative, dataset, input);
    }
    fn_free(chosen);
    return rc;
}
