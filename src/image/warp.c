// SPDX-License-Identifier: Apache-2.0
//
// Affine warps for face crops: box means by a power of two until the map shrinks by at most two,
// then bilinear. Repeated 2 x 2 means of exact values are one 2^k x 2^k mean, so that is what is
// computed, over the part of the picture that the crop needs. Pixel corners are at integers,
// centres at + 0.5.
#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"
#include "image/layout.h"

#include <math.h>
#include <string.h>

// What bilinear sampling reads: pixels of the picture itself, or means of blocks of it. Black
// outside [0, width) x [0, height).
typedef struct grid {
    const uint8_t *bytes; // the picture, or NULL
    const float *means;   // (height, width, 3) when bytes is NULL
    ptrdiff_t stride;     // bytes from row to row of `bytes`
    fn_layout layout;
    int width, height;
    int x0, y0;        // the block in the corner of `means`
    int block;         // picture pixels per block side; 1 for the picture itself
    double inverse[6]; // dst corner coordinates -> picture: x = i0 u + i1 v + i2, y = i3 u + i4 v + i5
    float *owned;      // the memory of `means`
} grid;

// Adds weight * pixel (x, y) to rgb.
static inline void add_pixel(float rgb[3], const grid *g, int x, int y, float weight) {
    if (x < 0 || y < 0 || x >= g->width || y >= g->height)
        return;
    if (g->bytes) {
        const uint8_t *p = g->bytes + y * g->stride + (ptrdiff_t)x * g->layout.size;
        for (int c = 0; c < 3; c++)
            rgb[c] += weight * (float)p[g->layout.at[c]];
    } else {
        const float *p = g->means + ((ptrdiff_t)y * g->width + x) * 3;
        for (int c = 0; c < 3; c++)
            rgb[c] += weight * p[c];
    }
}

// Means over block x block pixels. A block at the right or lower border averages the pixels it has.
static int means_init(grid *g, const fn_image *src) {
    size_t n_rows = (size_t)g->height, n_columns = (size_t)g->width, row_sums, n;
    int left = g->x0 * g->block, size = g->layout.size;
    int width = g->width * g->block;
    if (width > src->width - left)
        width = src->width - left;
    uint32_t *sums = NULL;
    float *means = NULL;
    int rc = FN_OK;
    row_sums = (size_t)width * (size_t)size;
    if (!fn_size_mul(&n, n_rows * 3 * sizeof *means, n_columns))
        return fn_fail_memory();
    sums = fn_alloc_aligned(row_sums * sizeof *sums);
    means = fn_alloc_aligned(n);
    if (!sums || !means) {
        rc = fn_fail_memory();
        goto out;
    }
    float *mean = means;
    for (int by = 0; by < g->height; by++) {
        int top = (g->y0 + by) * g->block;
        int height = g->block < src->height - top ? g->block : src->height - top;
        memset(sums, 0, row_sums * sizeof *sums);
        for (int y = 0; y < height; y++) {
            const uint8_t *p = src->data + (top + y) * src->stride_bytes + (ptrdiff_t)left * size;
            for (size_t i = 0; i < row_sums; i++)
                sums[i] += p[i];
        }
        for (int bx = 0; bx < g->width; bx++, mean += 3) {
            int first = bx * g->block, n_x = g->block < width - first ? g->block : width - first;
            const uint32_t *p = sums + (ptrdiff_t)first * size;
            uint64_t total[3] = {0, 0, 0};
            for (int x = 0; x < n_x; x++, p += size) {
                for (int c = 0; c < 3; c++)
                    total[c] += p[g->layout.at[c]];
            }
            for (int c = 0; c < 3; c++)
                mean[c] = (float)((double)total[c] / ((double)n_x * height));
        }
    }
    g->means = g->owned = means;
    means = NULL;
out:
    fn_free(means);
    fn_free(sums);
    return rc;
}

// first..end of the blocks that positions low..high (in blocks) need, inside [0, n).
static int clip(int *first, double low, double high, int n) {
    double a = floor(low - 0.5), b = floor(high - 0.5) + 2.0;
    a = a > 0.0 ? a : 0.0;
    b = b < n ? b : n;
    *first = a < b ? (int)a : 0;
    return a < b ? (int)(b - a) : 0;
}

// Inverts the map, chooses the block size and averages the blocks that dst needs.
static int grid_init(grid *g, const fn_image *src, const double m[6], int dst_width, int dst_height) {
    double det = m[0] * m[4] - m[1] * m[3];
    double a = m[4] / det, b = -m[1] / det, c = -m[3] / det, d = m[0] / det;
    double e = -(a * m[2] + b * m[5]), f = -(c * m[2] + d * m[5]);
    double shrink = 1.0 / sqrt(fabs(det));
    if (!isfinite(a + b + c + d + e + f) || !isfinite(shrink) || !(fabs(det) > 0.0))
        return fn_fail(FN_EINVAL, "warp: the map cannot be inverted");
    *g = (grid){.layout = fn_pixel_layout(src->format), .block = 1, .inverse = {a, b, e, c, d, f}};
    int longest = src->width > src->height ? src->width : src->height;
    for (; shrink > 2.0 && g->block < longest; shrink /= 2.0)
        g->block *= 2;
    if (g->block == 1) {
        g->bytes = src->data;
        g->stride = src->stride_bytes;
        g->width = src->width;
        g->height = src->height;
        return FN_OK;
    }
    // The four corners of dst bound what is needed; a linear map has its extremes there.
    double x_span[2] = {e, e}, y_span[2] = {f, f};
    x_span[a > 0.0] += a * dst_width;
    x_span[b > 0.0] += b * dst_height;
    y_span[c > 0.0] += c * dst_width;
    y_span[d > 0.0] += d * dst_height;
    int n_x = (src->width - 1) / g->block + 1, n_y = (src->height - 1) / g->block + 1;
    g->width = clip(&g->x0, x_span[0] / g->block, x_span[1] / g->block, n_x);
    g->height = clip(&g->y0, y_span[0] / g->block, y_span[1] / g->block, n_y);
    return g->width && g->height ? means_init(g, src) : FN_OK;
}

// The value at the centre of dst's pixel (u, v).
static void sample(float rgb[3], const grid *g, int u, int v) {
    const double *m = g->inverse;
    double x = (m[0] * (u + 0.5) + m[1] * (v + 0.5) + m[2]) / g->block - 0.5 - g->x0;
    double y = (m[3] * (u + 0.5) + m[4] * (v + 0.5) + m[5]) / g->block - 0.5 - g->y0;
    rgb[0] = rgb[1] = rgb[2] = 0.0F;
    if (!(x > -1.0 && y > -1.0 && x < g->width && y < g->height))
        return;
    int i = (int)floor(x), j = (int)floor(y);
    float right = (float)(x - i), down = (float)(y - j);
    add_pixel(rgb, g, i, j, (1.0F - right) * (1.0F - down));
    add_pixel(rgb, g, i + 1, j, right * (1.0F - down));
    add_pixel(rgb, g, i, j + 1, (1.0F - right) * down);
    add_pixel(rgb, g, i + 1, j + 1, right * down);
}

int fn_image_warp_float(float *dst, int dst_width, int dst_height, const fn_image *src, const double m[6]) {
    grid g;
    int rc = grid_init(&g, src, m, dst_width, dst_height);
    if (rc < 0)
        return rc;
    for (int v = 0; v < dst_height; v++) {
        for (int u = 0; u < dst_width; u++, dst += 3)
            sample(dst, &g, u, v);
    }
    fn_free(g.owned);
    return FN_OK;
}

int fn_image_warp(unsigned char *dst, int dst_width, int dst_height, const fn_image *src, const double m[6]) {
    grid g;
    int rc = grid_init(&g, src, m, dst_width, dst_height);
    if (rc < 0)
        return rc;
    for (int v = 0; v < dst_height; v++) {
        for (int u = 0; u < dst_width; u++, dst += 3) {
            float rgb[3];
            sample(rgb, &g, u, v);
            for (int c = 0; c < 3; c++)
                dst[c] = (unsigned char)fminf(rgb[c] + 0.5F, 255.0F);
        }
    }
    fn_free(g.owned);
    return FN_OK;
}
