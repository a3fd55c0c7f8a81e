// SPDX-License-Identifier: Apache-2.0
//
// A face is a few ellipses in a square of -1 .. 1, painted from back to front: hair, neck, face, eyes,
// irises, brows, nose, mouth. Every pixel is the mean of 3 x 3 samples.
#include "unit/drawn_faces.h"

#include "base/alloc.h"
#include "base/path.h"
#include "base/random.h"

#include <facenet/decode.h>

#include <math.h>
#include <stdio.h>

enum { SAMPLES = 3, PEOPLE = 1001, PICTURES = 1002 }; // streams

typedef struct color {
    float c[3];
} color;

// What stays the same in all pictures of a person.
typedef struct person {
    color skin, hair, eyes, lips;
    float width, height, chin;               // of the face
    float hair_width, hair_top, fringe;      //
    float eye_apart, eye_y, eye_w, eye_h;    //
    float brow_y, brow_w, brow_h, brow_tilt; //
    float nose_w, nose_h, mouth_y, mouth_w, mouth_h;
} person;

// What differs from picture to picture.
typedef struct pose {
    float cosine, sine, zoom, x, y, yaw, smile;
    float gain[3], gradient_x, gradient_y;
    color back, back_end;
    uint32_t noise;
} pose;

static person person_of(int number) {
    fn_rng r = fn_rng_at(7, PEOPLE, (uint32_t)number);
    person p;
    const float tone = fn_rng_range(&r, 0.35F, 0.95F), hair = fn_rng_range(&r, 0.05F, 0.8F);
    p.skin = (color){{tone, tone * fn_rng_range(&r, 0.68F, 0.85F), tone * fn_rng_range(&r, 0.5F, 0.72F)}};
    p.hair = (color){{hair, hair * fn_rng_range(&r, 0.5F, 0.95F), hair * fn_rng_range(&r, 0.2F, 0.9F)}};
    p.eyes =
        (color){{fn_rng_range(&r, 0.05F, 0.4F), fn_rng_range(&r, 0.1F, 0.5F), fn_rng_range(&r, 0.05F, 0.6F)}};
    p.lips =
        (color){{tone * 0.95F, tone * fn_rng_range(&r, 0.25F, 0.6F), tone * fn_rng_range(&r, 0.3F, 0.6F)}};
    p.width = fn_rng_range(&r, 0.48F, 0.72F);
    p.height = fn_rng_range(&r, 0.68F, 0.88F);
    p.chin = fn_rng_range(&r, 0, 0.35F);
    p.hair_width = p.width + fn_rng_range(&r, 0.02F, 0.25F);
    p.hair_top = fn_rng_range(&r, 0.05F, 0.3F);
    p.fringe = fn_rng_range(&r, -0.75F, -0.3F);
    p.eye_apart = fn_rng_range(&r, 0.18F, 0.32F);
    p.eye_y = fn_rng_range(&r, -0.22F, 0.02F);
    p.eye_w = fn_rng_range(&r, 0.08F, 0.15F);
    p.eye_h = fn_rng_range(&r, 0.035F, 0.08F);
    p.brow_y = fn_rng_range(&r, 0.12F, 0.22F);
    p.brow_w = fn_rng_range(&r, 0.1F, 0.19F);
    p.brow_h = fn_rng_range(&r, 0.02F, 0.06F);
    p.brow_tilt = fn_rng_range(&r, -0.35F, 0.35F);
    p.nose_w = fn_rng_range(&r, 0.05F, 0.14F);
    p.nose_h = fn_rng_range(&r, 0.12F, 0.26F);
    p.mouth_y = fn_rng_range(&r, 0.38F, 0.54F);
    p.mouth_w = fn_rng_range(&r, 0.14F, 0.32F);
    p.mouth_h = fn_rng_range(&r, 0.03F, 0.09F);
    return p;
}

static pose pose_of(int number, int picture) {
    fn_rng r = fn_rng_at(7, PICTURES, (uint32_t)number * 1009U + (uint32_t)picture);
    pose p;
    const float turn = fn_rng_range(&r, -0.12F, 0.12F), light = fn_rng_range(&r, 0.65F, 1.25F);
    p.cosine = cosf(turn);
    p.sine = sinf(turn);
    p.zoom = fn_rng_range(&r, 0.93F, 1.08F);
    p.x = fn_rng_range(&r, -0.06F, 0.06F);
    p.y = fn_rng_range(&r, -0.06F, 0.06F);
    p.yaw = fn_rng_range(&r, -0.06F, 0.06F);
    p.smile = fn_rng_range(&r, -0.15F, 0.15F);
    for (int c = 0; c < 3; c++) {
        p.gain[c] = light * fn_rng_range(&r, 0.88F, 1.12F);
        p.back.c[c] = fn_rng_unit(&r);
        p.back_end.c[c] = fn_rng_unit(&r);
    }
    p.gradient_x = fn_rng_range(&r, -0.25F, 0.25F);
    p.gradient_y = fn_rng_range(&r, -0.2F, 0.2F);
    p.noise = fn_rng_bits(&r);
    return p;
}

static int inside(float x, float y, float half_width, float half_height) {
    return x * x / (half_width * half_width) + y * y / (half_height * half_height) < 1;
}

// What lies at a point of the face's own square.
static color paint(const person *p, const pose *o, float x, float y) {
    const float fx = x - o->yaw, side = fabsf(fx); // features move with the yaw, the head does not
    const float jaw = p->width * (1 - p->chin * fmaxf(y, 0));
    const int is_face = inside(x, y - 0.08F, jaw, p->height);
    color at = {{0}};
    for (int c = 0; c < 3; c++)
        at.c[c] = o->back.c[c] + (o->back_end.c[c] - o->back.c[c]) * (x + y + 2) / 4;
    if (inside(x, y + p->hair_top, p->hair_width, p->height))
        at = p->hair;
    if (y > 0.4F && side < 0.28F)
        at = p->skin;
    if (is_face)
        at = y < p->fringe ? p->hair : p->skin;
    if (!is_face)
        return at;
    const float ex = side - p->eye_apart, ey = y - p->eye_y;
    if (inside(ex, ey, p->eye_w, p->eye_h))
        at = inside(ex, ey, p->eye_h * 0.9F, p->eye_h * 0.9F) ? p->eyes : (color){{0.95F, 0.95F, 0.95F}};
    if (inside(ex, ey + p->brow_y - p->brow_tilt * ex, p->brow_w, p->brow_h))
        at = p->hair;
    const float down = y - p->eye_y;
    if (down > 0 && down < p->nose_h && side < p->nose_w * down / p->nose_h)
        for (int c = 0; c < 3; c++)
            at.c[c] *= 0.8F;
    if (inside(fx, y - p->mouth_y + o->smile * fx * fx, p->mouth_w, p->mouth_h))
        at = p->lips;
    return at;
}

void draw_face(unsigned char *rgb, int size, int number, int picture) {
    const person p = person_of(number);
    const pose o = pose_of(number, picture);
    fn_rng noise = fn_rng_at(o.noise, PICTURES, 0);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            float sum[3] = {0};
            for (int s = 0; s < SAMPLES * SAMPLES; s++) {
                const float u = 2 * ((float)x + ((float)(s % SAMPLES) + 0.5F) / SAMPLES) / (float)size - 1;
                const float v = 2 * ((float)y + ((float)(s / SAMPLES) + 0.5F) / SAMPLES) / (float)size - 1;
                const float a = (u - o.x) / o.zoom, b = (v - o.y) / o.zoom;
                const color at = paint(&p, &o, o.cosine * a + o.sine * b, o.cosine * b - o.sine * a);
                const float light = 1 + o.gradient_x * u + o.gradient_y * v;
                for (int c = 0; c < 3; c++)
                    sum[c] += at.c[c] * o.gain[c] * light;
            }
            for (int c = 0; c < 3; c++) {
                const float value = 255 * sum[c] / (SAMPLES * SAMPLES) + 6 * fn_rng_normal(&noise);
                rgb[(y * size + x) * 3 + c] = (unsigned char)lrintf(fminf(fmaxf(value, 0), 255));
            }
        }
}

int draw_people(const char *root, int first, int n_people, int n_pictures, int size) {
    unsigned char *rgb = fn_alloc((size_t)size * (size_t)size * 3);
    const fn_image image = {rgb, size, size, (ptrdiff_t)size * 3, FN_PIXEL_RGB8};
    int rc = rgb ? 0 : -1;
    for (int p = first; rc == 0 && p < first + n_people; p++)
        for (int k = 0; rc == 0 && k < n_pictures; k++) {
            char path[4096];
            snprintf(path, sizeof path, "%s/person_%04d", root, p);
            if (k == 0 && fn_mkdirs(path, 0700) < 0)
                rc = -1;
            snprintf(path, sizeof path, "%s/person_%04d/%02d.png", root, p, k);
            draw_face(rgb, size, p, k);
            if (rc == 0 && fn_image_write(&image, path, 0) < 0)
                rc = -1;
        }
    fn_free(rgb);
    return rc;
}
