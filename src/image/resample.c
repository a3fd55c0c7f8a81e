// SPDX-License-Identifier: Apache-2.0
//
// Resizing by a separable triangle filter: as wide as the shrink factor when shrinking, bilinear
// when enlarging. Rows first: each wanted row is a weighted sum of source rows, done on raw bytes in
// one long loop; then columns, on the few rows that are left. Sums are single floats in a fixed
// order.
#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"
#include "image/layout.h"

#include <math.h>
#include <string.h>

#define MAX_REACH 1048576.0 // a region may lie so many pixels away, so that tap counts fit an int

// The filter of one destination row or column: weights of n source pixels from `first` on. What
// lies outside the picture is black: it has its share of the weight and adds nothing.
typedef struct taps {
    int first, n;
    const float *weight;
} taps;

typedef struct axis {
    taps *taps;     // one per destination pixel
    float *weights; // all of them
    int first, end; // the source pixels that any of them needs
} axis;

static void axis_free(axis *a) {
    fn_free(a->taps);
    fn_free(a->weights);
}

// The canvas is the picture and the region together: beyond it the filter is cut, not darkened, so
// that a whole picture keeps its brightness up to the border.
static int axis_init(axis *a, int n_dst, int n_src, double start, double extent) {
    double step = extent / n_dst, reach = step > 1.0 ? step : 1.0;
    int canvas_first = start < 0 ? (int)floor(start) : 0;
    int canvas_end = start + extent > n_src ? (int)ceil(start + extent) : n_src;
    size_t widest = (size_t)fmin(2.0 * reach + 2.0, n_src), n_weights;
    memset(a, 0, sizeof *a);
    if (!fn_size_mul(&n_weights, widest, (size_t)n_dst))
        return fn_fail_memory();
    a->taps = fn_calloc((size_t)n_dst, sizeof *a->taps);
    a->weights = fn_calloc(n_weights, sizeof *a->weights);
    if (!a->taps || !a->weights)
        return fn_fail_memory();
    a->first = n_src;
    float *weight = a->weights;
    for (int i = 0; i < n_dst; i++) {
        double centre = start + (i + 0.5) * step - 0.5;
        int first = (int)floor(centre - reach) + 1, end = (int)ceil(centre + reach);
        first = first < canvas_first ? canvas_first : first;
        end = end > canvas_end ? canvas_end : end;
        double sum = 0.0;
        for (int j = first; j < end; j++)
            sum += fmax(0.0, 1.0 - fabs(j - centre) / reach);
        int from = first < 0 ? 0 : first, to = end > n_src ? n_src : end;
        taps *t = &a->taps[i];
        t->weight = weight;
        t->first = from;
        t->n = to > from && sum > 0.0 ? to - from : 0;
        for (int k = 0; k < t->n; k++)
            *weight++ = (float)(fmax(0.0, 1.0 - fabs(from + k - centre) / reach) / sum);
        if (t->n && from < a->first)
            a->first = from;
        if (t->n && to > a->end)
            a->end = to;
    }
    return FN_OK;
}

// dst (n) = sum of weight[k] * row k, four rows at a time so that dst stays in registers.
static void sum_rows(float *restrict dst, const uint8_t *restrict rows, ptrdiff_t stride, const float *weight,
                     int n_rows, size_t n) {
    memset(dst, 0, n * sizeof *dst);
    int k = 0;
    for (; k + 4 <= n_rows; k += 4, rows += 4 * stride) {
        const uint8_t *r0 = rows, *r1 = rows + stride, *r2 = rows + 2 * stride, *r3 = rows + 3 * stride;
        float w0 = weight[k], w1 = weight[k + 1], w2 = weight[k + 2], w3 = weight[k + 3];
        for (size_t i = 0; i < n; i++)
            dst[i] += (w0 * (float)r0[i] + w1 * (float)r1[i]) + (w2 * (float)r2[i] + w3 * (float)r3[i]);
    }
    for (; k < n_rows; k++, rows += stride) {
        float w = weight[k];
        for (size_t i = 0; i < n; i++)
            dst[i] += w * (float)rows[i];
    }
}

// One destination row from one summed source row, whose first pixel is column `first`.
static void sum_columns(unsigned char *dst, int n_dst, const float *row, const axis *columns,
                        fn_layout layout) {
    for (int i = 0; i < n_dst; i++, dst += 3) {
        const taps *t = &columns->taps[i];
        const float *p = row + (ptrdiff_t)(t->first - columns->first) * layout.size;
        float r = 0.5F, g = 0.5F, b = 0.5F;
        for (int k = 0; k < t->n; k++, p += layout.size) {
            float w = t->weight[k];
            r += w * p[layout.at[0]];
            g += w * p[layout.at[1]];
            b += w * p[layout.at[2]];
        }
        dst[0] = (unsigned char)(r < 255.0F ? r : 255.0F);
        dst[1] = (unsigned char)(g < 255.0F ? g : 255.0F);
        dst[2] = (unsigned char)(b < 255.0F ? b : 255.0F);
    }
}

int fn_image_resize(unsigned char *dst, int dst_width, int dst_height, const fn_image *src, double x,
                    double y, double width, double height) {
    if (dst_width < 1 || dst_height < 1 || !(width > 0.0 && height > 0.0) ||
        !(fabs(x) + width < MAX_REACH && fabs(y) + height < MAX_REACH))
        return fn_fail(FN_EINVAL, "resize: region %g x %g at %g, %g to %d x %d is impossible", width, height,
                       x, y, dst_width, dst_height);
    int rc;
    axis rows, columns = {0};
    float *row = NULL;
    fn_layout layout = fn_pixel_layout(src->format);
    if ((rc = axis_init(&rows, dst_height, src->height, y, height)) < 0 ||
        (rc = axis_init(&columns, dst_width, src->width, x, width)) < 0)
        goto out;
    if (columns.end <= columns.first || rows.end <= rows.first) {
        memset(dst, 0, (size_t)dst_width * (size_t)dst_height * 3);
        goto out;
    }
    size_t n = (size_t)(columns.end - columns.first) * (size_t)layout.size;
    row = fn_alloc_aligned(n * sizeof *row);
    if (!row) {
        rc = fn_fail_memory();
        goto out;
    }
    const uint8_t *left = src->data + (ptrdiff_t)columns.first * layout.size;
    for (int i = 0; i < dst_height; i++, dst += (size_t)dst_width * 3) {
        const taps *t = &rows.taps[i];
        sum_rows(row, left + t->first * src->stride_bytes, src->stride_bytes, t->weight, t->n, n);
        sum_columns(dst, dst_width, row, &columns, layout);
    }
out:
    fn_free(row);
    axis_free(&columns);
    axis_free(&rows);
    return rc;
}
