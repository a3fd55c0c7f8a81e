// SPDX-License-Identifier: Apache-2.0
//
// The arithmetic of levels and tiles. Tile sizes are few because the runtime keeps a plan for each.
#include "detect/scales.h"

#include "detect/blazeface.h"

#include <math.h>
#include <stdint.h>

// A level hardly finer than the whole picture's pass would find nothing more.
#define MIN_GAIN 1.25

static const int sizes[] = {192, 256, 320, 384, 448, 512, 768}; // multiples of 32, the network's total stride
#define N_SIZES ((int)(sizeof sizes / sizeof *sizes))

int fn_scales_levels(double scales[FN_MAX_LEVELS], int width, int height, double finest) {
    const double whole = (double)fn_blazeface_full.size / (width > height ? width : height);
    double scale = fmin(1.0, finest);
    int n = 0;
    for (; n < FN_MAX_LEVELS && scale > whole * MIN_GAIN; scale /= 2)
        scales[n++] = scale;
    return n;
}

fn_tiling fn_scales_tile(int length, int size) {
    const int step = size - FN_TILE_OVERLAP_PX;
    const int n = length <= size ? 1 : (length - FN_TILE_OVERLAP_PX + step - 1) / step;
    return (fn_tiling){length, size, n};
}

fn_tiling fn_scales_tile_cheaply(int length) {
    fn_tiling best = {0};
    for (int i = N_SIZES; i-- > 0;) { // the fewest pixels; of equals the largest tiles
        const fn_tiling tiling = fn_scales_tile(length, sizes[i]);
        if (best.n == 0 || tiling.n * tiling.size < best.n * best.size)
            best = tiling;
    }
    return best;
}

int fn_scales_origin(const fn_tiling *tiling, int i) {
    if (tiling->n == 1)
        return -((tiling->size - tiling->length) / 2);
    return (int)((int64_t)i * (tiling->length - tiling->size) / (tiling->n - 1));
}

int fn_scales_nearest(const fn_tiling *tiling, double x) {
    if (tiling->n == 1)
        return 0;
    const double step = (double)(tiling->length - tiling->size) / (tiling->n - 1);
    const double i = floor((x - tiling->size / 2.0) / step + 0.5);
    return (int)fmin(fmax(i, 0), tiling->n - 1);
}
