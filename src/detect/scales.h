// SPDX-License-Identifier: Apache-2.0
//
// At which sizes a picture is searched. BlazeFace always sees the whole picture; smaller faces are
// looked for on finer levels, each twice as fine as the next, cut into tiles.
#ifndef FN_DETECT_SCALES_H
#define FN_DETECT_SCALES_H

/// The width, in input pixels of the full-range network, that the smallest face gets on the finest
/// level. Measured on upright faces: 16 px all found, 13 px 98 %, 12 px 96 %, 10 px 85 %, 8 px 50 %;
/// turned ones need half as much again. A search for faces of a size that was asked for is thorough;
/// the search of every picture is frugal, and looks at the finest level only where a coarser one
/// raises a doubt.
#define FN_THOROUGH_FACE_PX 24
#define FN_FRUGAL_FACE_PX 12

/// Tiles of one level overlap by so many pixels, so that a face for which the level is responsible
/// (up to about twice the smallest) is whole in one of them. Larger reports are left to the coarser
/// levels.
#define FN_TILE_OVERLAP_PX 48

/// A frugal search looks at its finest level in tiles of this size, where the level before reports a
/// face with at least this score: most faces of half the smallest width get it, few other places do.
#define FN_CLOSE_LOOK_PX 128
#define FN_CLOSE_LOOK_SCORE 0.05F

#define FN_MAX_LEVELS 16

/// The scales (<= 1) of the levels beyond the whole picture, finest first; returns their number.
/// finest: the scale that is wanted for the smallest faces.
int fn_scales_levels(double scales[FN_MAX_LEVELS], int width, int height, double finest);

/// One axis of a level cut into n tiles of one size.
typedef struct fn_tiling {
    int length, size, n;
} fn_tiling;

/// In tiles of a given size, or of the size that costs least.
fn_tiling fn_scales_tile(int length, int size);
fn_tiling fn_scales_tile_cheaply(int length);
/// Where tile i begins; negative when the level is smaller than its one tile.
int fn_scales_origin(const fn_tiling *tiling, int i);
/// The tile whose centre is nearest to x.
int fn_scales_nearest(const fn_tiling *tiling, double x);

#endif
