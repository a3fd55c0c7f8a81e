// SPDX-License-Identifier: Apache-2.0
//
// Chance changes of a training picture. All numbers are drawn first and in a fixed order, so that switching
// one change off leaves the others as they were. Geometry is one map, so that a crop is resampled once.
#include "train/augment.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"
#include "image/layout.h"
#include "train/pixels.h"

#include <math.h>

// Beyond this shrink a pixel is the mean of several samples.
#define BILINEAR_SHRINK 1.3

fn_augment fn_augment_none(void) {
    return (fn_augment){0};
}

fn_augment fn_augment_default(void) {
    return (fn_augment){.mirror = 1,
                        .rotation_deg = 10,
                        .shift = 0.04F,
                        .scale = 0.06F,
                        .brightness = 0.2F,
                        .contrast = 0.2F,
                        .saturation = 0.2F,
                        .blur = 0.05F,
                        .jpeg = 0.05F,
                        .downscale = 0.1F,
                        .erase = 0.05F};
}

// What chance has decided for one picture.
typedef struct drawn {
    int mirror;
    double angle, scale, shift_x, shift_y;  // radians, factor, shares of the input
    float brightness, contrast, saturation; // factors
    float blur;                             // sigma in pixels, 0: none
    float downscale;                        // factor, 0: none
    int jpeg;                               // quality, 0: none
    int erase;
    float left, top, area, aspect, color[3];
} drawn;

static float around_one(fn_rng *rng, float by) {
    float x = fn_rng_range(rng, -1, 1);
    return 1 + by * x;
}

static drawn draw(const fn_augment *a, fn_rng *rng) {
    drawn d;
    d.mirror = (fn_rng_unit(rng) < 0.5F) & (a->mirror != 0);
    d.angle = (double)(fn_rng_range(rng, -1, 1) * a->rotation_deg) * (3.14159265358979323846 / 180);
    d.scale = (double)around_one(rng, a->scale);
    d.shift_x = (double)(fn_rng_range(rng, -1, 1) * a->shift);
    d.shift_y = (double)(fn_rng_range(rng, -1, 1) * a->shift);
    d.brightness = around_one(rng, a->brightness);
    d.contrast = around_one(rng, a->contrast);
    d.saturation = around_one(rng, a->saturation);
    float blur = fn_rng_unit(rng), sigma = fn_rng_range(rng, 0.4F, 1.2F);
    d.blur = blur < a->blur ? sigma : 0;
    float downscale = fn_rng_unit(rng), factor = fn_rng_range(rng, 0.5F, 0.9F);
    d.downscale = downscale < a->downscale ? factor : 0;
    float jpeg = fn_rng_unit(rng), quality = fn_rng_range(rng, 30, 91);
    d.jpeg = jpeg < a->jpeg ? (int)quality : 0;
    d.erase = fn_rng_unit(rng) < a->erase;
    d.area = fn_rng_range(rng, 0.02F, 0.15F);
    d.aspect = expf(fn_rng_range(rng, -0.7F, 0.7F));
    d.left = fn_rng_unit(rng);
    d.top = fn_rng_unit(rng);
    for (int c = 0; c < 3; c++)
        d.color[c] = fn_rng_range(rng, 0, 255);
    return d;
}

// Where the samples of the input come from: x = m[0] u + m[1] v + m[2], y = m[3] u + m[4] v + m[5], from
// corner coordinates of the input to those of the crop.
typedef struct source {
    const fn_image *crop;
    fn_layout layout;
    double m[6];
} source;

static int clamp(int i, int n) {
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/// Adds the bilinear value at (x, y), centres at + 0.5, to rgb.
static inline void add_sample(float rgb[3], const source *s, double x, double y) {
    const fn_image *crop = s->crop;
    // Far outside is the border as well; clamping first keeps the numbers within int.
    x = fmin(fmax(x - 0.5, -1), crop->width);
    y = fmin(fmax(y - 0.5, -1), crop->height);
    int i = (int)(x + 1) - 1, j = (int)(y + 1) - 1; // x + 1 >= 0, so this is floor
    float right = (float)(x - i), down = (float)(y - j);
    const ptrdiff_t x0 = (ptrdiff_t)clamp(i, crop->width) * s->layout.size;
    const ptrdiff_t x1 = (ptrdiff_t)clamp(i + 1, crop->width) * s->layout.size;
    const uint8_t *above = crop->data + clamp(j, crop->height) * crop->stride_bytes;
    const uint8_t *below = crop->data + clamp(j + 1, crop->height) * crop->stride_bytes;
    for (int c = 0; c < 3; c++) {
        int at = s->layout.at[c];
        float a = (float)above[x0 + at], b = (float)above[x1 + at];
        float e = (float)below[x0 + at], f = (float)below[x1 + at];
        a += right * (b - a);
        e += right * (f - e);
        rgb[c] += a + down * (e - a);
    }
}

static void warp(float *dst, int width, int height, const source *s, int n_samples) {
    const double *m = s->m;
    const size_t plane = (size_t)width * (size_t)height;
    const float share = 1.0F / (float)(n_samples * n_samples);
    for (int v = 0; v < height; v++)
        for (int u = 0; u < width; u++, dst++) {
            float rgb[3] = {0, 0, 0};
            for (int k = 0; k < n_samples; k++)
                for (int i = 0; i < n_samples; i++) {
                    double a = u + (i + 0.5) / n_samples, b = v + (k + 0.5) / n_samples;
                    add_sample(rgb, s, m[0] * a + m[1] * b + m[2], m[3] * a + m[4] * b + m[5]);
                }
            for (int c = 0; c < 3; c++)
                dst[(size_t)c * plane] = rgb[c] * share;
        }
}

/// The box of the template within the crop: centre and size.
static int find_box(double box[4], const fn_image *crop, const fn_crop_geometry *g) {
    int rc = fn_image_check(crop);
    if (rc < 0)
        return rc;
    box[0] = crop->width / 2.0;
    box[1] = crop->height / 2.0;
    box[2] = crop->width;
    box[3] = crop->height;
    if (!*g->template_name)
        return FN_OK;
    if (crop->width != g->width + 2 * g->margin || crop->height != g->height + 2 * g->margin)
        return fn_fail(FN_EINVAL, "a crop of %d x %d pixels where the dataset has %d x %d: prepare it again",
                       crop->width, crop->height, g->width + 2 * g->margin, g->height + 2 * g->margin);
    box[2] = g->width;
    box[3] = g->height;
    return FN_OK;
}

static void erase(float *dst, int width, int height, const drawn *d) {
    double area = (double)d->area * width * height, aspect = (double)d->aspect;
    int w = clamp((int)sqrt(area * aspect), width + 1), h = clamp((int)sqrt(area / aspect), height + 1);
    int x = (int)((double)d->left * (width - w + 1)), y = (int)((double)d->top * (height - h + 1));
    fn_planes_fill(dst, width, height, x, y, w, h, d->color);
}

/// Changes that are made on bytes.
static int degrade(float *dst, int width, int height, const drawn *d) {
    unsigned char *rgb = fn_alloc((size_t)width * (size_t)height * 3);
    if (!rgb)
        return fn_fail_memory();
    int rc = FN_OK;
    fn_planes_to_rgb(rgb, dst, width, height);
    if (d->downscale > 0)
        rc = fn_rgb_coarsen(rgb, width, height, (double)d->downscale);
    if (rc == FN_OK && d->jpeg)
        rc = fn_rgb_jpeg(rgb, width, height, d->jpeg);
    if (rc == FN_OK)
        fn_rgb_to_planes(dst, rgb, width, height);
    fn_free(rgb);
    return rc;
}

int fn_augment_run(float *dst, int width, int height, const fn_image *crop, const fn_crop_geometry *geometry,
                   const fn_augment *augment, fn_rng *rng) {
    double box[4];
    int rc = find_box(box, crop, geometry);
    if (rc < 0)
        return rc;
    const drawn d = draw(augment, rng);
    source s = {.crop = crop, .layout = fn_pixel_layout(crop->format)};
    // Input (u, v) -> box: centred, moved, mirrored, scaled, turned, put back.
    const double step_x = box[2] / (width * d.scale), step_y = box[3] / (height * d.scale);
    const double x_sign = d.mirror ? -1 : 1, cosine = cos(d.angle), sine = sin(d.angle);
    const double u0 = (0.5 + d.shift_x) * width, v0 = (0.5 + d.shift_y) * height;
    s.m[0] = x_sign * cosine * step_x;
    s.m[1] = -sine * step_y;
    s.m[3] = x_sign * sine * step_x;
    s.m[4] = cosine * step_y;
    s.m[2] = box[0] - s.m[0] * u0 - s.m[1] * v0;
    s.m[5] = box[1] - s.m[3] * u0 - s.m[4] * v0;
    const double shrink = fmax(step_x, step_y);
    warp(dst, width, height, &s, shrink > BILINEAR_SHRINK ? (int)fmin(ceil(shrink), 16) : 1);
    if (d.brightness != 1 || d.contrast != 1 || d.saturation != 1)
        fn_planes_color(dst, width, height, d.brightness, d.contrast, d.saturation);
    if (d.blur > 0)
        rc = fn_planes_blur(dst, width, height, d.blur);
    if (rc == FN_OK && (d.downscale > 0 || d.jpeg))
        rc = degrade(dst, width, height, &d);
    if (rc == FN_OK && d.erase)
        erase(dst, width, height, &d);
    return rc;
}
