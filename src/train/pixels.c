// SPDX-License-Identifier: Apache-2.0
//
// What happens to pictures on their way: light, lenses, other people's programs.
#include "train/pixels.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <facenet/decode.h>
#include <math.h>
#include <string.h>

#define MAX_RADIUS 4

static float to_range(float x) {
    return x < 0 ? 0 : x > 255 ? 255 : x;
}

void fn_planes_color(float *planes, int width, int height, float brightness, float contrast,
                     float saturation) {
    const int n = width * height;
    float *red = planes, *green = planes + n, *blue = planes + 2 * (ptrdiff_t)n;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)(0.299F * red[i] + 0.587F * green[i] + 0.114F * blue[i]);
    // Contrast keeps the mean; saturation keeps greys, so the offset passes through it.
    const float offset = (1 - contrast) * brightness * (float)(sum / n);
    const float own = contrast * brightness * saturation, grey = contrast * brightness * (1 - saturation);
    for (int i = 0; i < n; i++) {
        float shared = grey * (0.299F * red[i] + 0.587F * green[i] + 0.114F * blue[i]) + offset;
        red[i] = to_range(own * red[i] + shared);
        green[i] = to_range(own * green[i] + shared);
        blue[i] = to_range(own * blue[i] + shared);
    }
}

/// The line src[0], src[step] ... of n values, smoothed into dst (n), by way of a padded copy.
static void smooth_line(float *line, ptrdiff_t step, int n, const float *weight, int radius, float *padded) {
    for (int i = -radius; i < n + radius; i++)
        padded[i + radius] = line[step * (i < 0 ? 0 : i < n ? i : n - 1)];
    for (int i = 0; i < n; i++) {
        float sum = 0;
        for (int k = 0; k <= 2 * radius; k++)
            sum += weight[k] * padded[i + k];
        line[step * i] = sum;
    }
}

int fn_planes_blur(float *planes, int width, int height, float sigma) {
    float weight[2 * MAX_RADIUS + 1], total = 0;
    int radius = (int)ceilf(3 * sigma), longest = width > height ? width : height;
    radius = radius < MAX_RADIUS ? radius : MAX_RADIUS;
    float *padded = fn_alloc((size_t)(longest + 2 * radius) * sizeof *padded);
    if (!padded)
        return fn_fail_memory();
    for (int k = -radius; k <= radius; k++)
        total += weight[k + radius] = expf((float)(-k * k) / (2 * sigma * sigma));
    for (int k = 0; k <= 2 * radius; k++)
        weight[k] /= total;
    for (int c = 0; c < 3; c++, planes += (ptrdiff_t)width * height) {
        for (int y = 0; y < height; y++)
            smooth_line(planes + (ptrdiff_t)y * width, 1, width, weight, radius, padded);
        for (int x = 0; x < width; x++)
            smooth_line(planes + x, width, height, weight, radius, padded);
    }
    fn_free(padded);
    return FN_OK;
}

void fn_planes_fill(float *planes, int width, int height, int x, int y, int w, int h, const float color[3]) {
    for (int c = 0; c < 3; c++)
        for (int v = y; v < y + h; v++)
            for (int u = x; u < x + w; u++)
                planes[((ptrdiff_t)c * height + v) * width + u] = color[c];
}

void fn_planes_to_rgb(unsigned char *rgb, const float *planes, int width, int height) {
    const ptrdiff_t n = (ptrdiff_t)width * height;
    for (ptrdiff_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (unsigned char)(to_range(planes[c * n + i]) + 0.5F);
}

void fn_rgb_to_planes(float *planes, const unsigned char *rgb, int width, int height) {
    const ptrdiff_t n = (ptrdiff_t)width * height;
    for (ptrdiff_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            planes[c * n + i] = (float)rgb[3 * i + c];
}

static fn_image view(const unsigned char *rgb, int width, int height) {
    return (fn_image){rgb, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
}

int fn_rgb_coarsen(unsigned char *rgb, int width, int height, double factor) {
    int w = (int)fmax(1, round(width * factor)), h = (int)fmax(1, round(height * factor));
    unsigned char *small = fn_alloc((size_t)w * (size_t)h * 3);
    if (!small)
        return fn_fail_memory();
    const fn_image whole = view(rgb, width, height), shrunk = view(small, w, h);
    int rc = fn_image_resize(small, w, h, &whole, 0, 0, width, height);
    if (rc == FN_OK)
        rc = fn_image_resize(rgb, width, height, &shrunk, 0, 0, w, h);
    fn_free(small);
    return rc;
}

int fn_rgb_jpeg(unsigned char *rgb, int width, int height, int quality) {
    const size_t room = (size_t)width * (size_t)height * 6 + 4096;
    size_t n;
    fn_picture *picture = NULL;
    unsigned char *jpeg = fn_alloc(room);
    if (!jpeg)
        return fn_fail_memory();
    const fn_image whole = view(rgb, width, height);
    int rc = fn_image_encode_jpeg(jpeg, room, &n, &whole, quality);
    if (rc == FN_OK)
        rc = fn_decode_memory(&picture, jpeg, n, "a training picture", NULL);
    if (rc == FN_OK)
        fn_image_to_rgb(rgb, fn_picture_image(picture));
    fn_picture_free(picture);
    fn_free(jpeg);
    return rc;
}
