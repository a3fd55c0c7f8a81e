// SPDX-License-Identifier: Apache-2.0
//
// The meter of poses: a disc in the middle for a face seen from the front, an arrow on each side of it for a
// head that is turned that way. Shapes are distances to their edges, in units of the disc's radius.
#include "base/error.h"
#include "image/canvas.h"

#include <math.h>

#define GROUND 0x101418
#define GROUND_ALPHA 0.66F
#define EMPTY 0x8A9299
#define FULL 0x34C96B
#define OUTLINE 0xFFFFFF

#define REACH 2.3F // from the middle of the meter to the middle of an arrow
#define SIDE 7.6F  // of the whole meter
#define EDGE 0.22F // thickness of the outline

static const float direction[FN_METER_POSE_LEN][2] = {
    [FN_METER_POSE_FRONT] = {0, 0}, [FN_METER_POSE_LEFT] = {-1, 0}, [FN_METER_POSE_RIGHT] = {1, 0},
    [FN_METER_POSE_UP] = {0, -1},   [FN_METER_POSE_DOWN] = {0, 1},
};

// Distance of a point to the edge of a pose's shape, the shape's middle at 0, negative inside.
static float distance(int pose, float x, float y) {
    if (pose == FN_METER_POSE_FRONT)
        return sqrtf(x * x + y * y) - 1.0F;
    // An arrow is a triangle of three half planes; `along` grows towards its tip.
    float along = x * direction[pose][0] + y * direction[pose][1];
    float across = fabsf(x * direction[pose][1] + y * direction[pose][0]);
    float base = -along - 0.55F, side = (along - 0.95F) * 0.60F + across * 0.80F;
    return base > side ? base : side;
}

static float cover(float distance_pixels) {
    float c = 0.5F - distance_pixels;
    return c < 0.0F ? 0.0F : c > 1.0F ? 1.0F : c;
}

// unit: pixels per radius of the disc. (left, top): the meter's corner.
static void draw_pose(fn_canvas *canvas, int left, int top, float unit, int pose, float done,
                      int is_current) {
    float cx = SIDE / 2.0F + REACH * direction[pose][0], cy = SIDE / 2.0F + REACH * direction[pose][1];
    int reach = (int)ceilf(unit * 1.6F), px = (int)(unit * cx), py = (int)(unit * cy);
    for (int y = py - reach; y <= py + reach; y++) {
        for (int x = px - reach; x <= px + reach; x++) {
            float u = ((float)x + 0.5F) / unit - cx, v = ((float)y + 0.5F) / unit - cy;
            float d = distance(pose, u, v);
            int is_full = v > 1.0F - 2.0F * done; // filled from below
            if (is_current)
                fn_canvas_blend(canvas, left + x, top + y, OUTLINE, cover((d - EDGE) * unit));
            fn_canvas_blend(canvas, left + x, top + y, is_full ? FULL : EMPTY, cover(d * unit));
        }
    }
}

int fn_draw_meter(unsigned char *rgb, int width, int height, fn_corner corner,
                  const float done[FN_METER_POSE_LEN], int current) {
    fn_canvas canvas = {rgb, width, height};
    int rc = fn_canvas_check(&canvas), x, y;
    if (rc < 0)
        return rc;
    if (!done || current < -1 || current >= FN_METER_POSE_LEN)
        return done ? fn_fail(FN_EINVAL, "meter: there is no pose %d", current)
                    : fn_fail(FN_EINVAL, "meter: no poses");
    float unit = (float)fn_canvas_size(&canvas, 6.5, 48, 2000) / SIDE;
    int size = (int)ceilf(unit * SIDE);
    rc = fn_canvas_place(&x, &y, &canvas, corner, size, size, fn_canvas_size(&canvas, 72.0, 6, 100));
    if (rc < 0)
        return rc;
    fn_canvas_blend_round(&canvas, x, y, size, size, size / 8, GROUND, GROUND_ALPHA);
    for (int pose = 0; pose < FN_METER_POSE_LEN; pose++) {
        float part = done[pose] >= 1.0F ? 1.0F : done[pose] > 0.0F ? done[pose] : 0.0F;
        draw_pose(&canvas, x, y, unit, pose, part, pose == current);
    }
    return FN_OK;
}
