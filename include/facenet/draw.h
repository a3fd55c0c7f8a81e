// SPDX-License-Identifier: Apache-2.0
//
// draw.h: boxes, names and small signs drawn on pixels, for marked copies of photographs and for what is
// shown while a camera runs.
//
//     fn_label labels[] = {{face.box, "Zoë\n0.42", 0x20C060}};
//     fn_draw_labels(rgb, 1280, 720, labels, 1);
//     fn_draw_panel(rgb, 1280, 720, FN_CORNER_TOP_LEFT, "Recording Zoë\n12 of 50\ntoo dark", 0xFFFFFF);
//     fn_draw_progress(rgb, 1280, 720, 12.0 / 50.0, 0x20C060);
//
// rgb is (height, width, 3), tight, and is drawn on in place. Sizes of letters and lines follow the shorter
// side of the picture. What reaches outside is cut off. Any thread may draw, each on pixels of its own.
// Names need Pango and cairo, which are loaded when the first letter is drawn; without them the functions
// draw what has no letters and return FN_EUNSUPPORTED, with the package to install in fn_last_error().
#ifndef FACENET_DRAW_H
#define FACENET_DRAW_H

#include <facenet/image.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A box and the name on a plate beside it.
typedef struct fn_label {
    fn_box box;
    const char *text; // UTF-8, any script; what follows a '\n' is a second, smaller line. NULL: box only
    uint32_t color;   // 0xRRGGBB of box and plate; letters are black or white, whichever shows
} fn_label;

/// Draws boxes, and then names above all of them: on a plate above its box where there is room, else below
/// it, else just inside. Texts too long for the picture end in an ellipsis. Errors: FN_EINVAL (then nothing
/// is drawn), FN_ENOMEM, FN_EUNSUPPORTED (then the boxes are drawn).
FN_API int fn_draw_labels(unsigned char *rgb, int width, int height, const fn_label *labels, size_t n);

typedef enum fn_corner {
    FN_CORNER_TOP_LEFT,
    FN_CORNER_TOP_RIGHT,
    FN_CORNER_BOTTOM_LEFT,
    FN_CORNER_BOTTOM_RIGHT
} fn_corner;

/// Draws lines of text on a half transparent dark ground in a corner: UTF-8, lines parted by '\n', the first
/// one in bold, empty lines kept as distance. Lines that are too wide end in an ellipsis, and those that
/// find no room are left out. color: 0xRRGGBB of the letters. An empty text draws nothing. Errors:
/// FN_EINVAL, FN_ENOMEM, FN_EUNSUPPORTED (then nothing is drawn).
FN_API int fn_draw_panel(unsigned char *rgb, int width, int height, fn_corner corner, const char *text,
                         uint32_t color);

/// Draws a bar along the bottom edge that is full at done = 1 (done is kept within 0..1, NaN counts as 0).
/// FN_EINVAL: no picture.
FN_API int fn_draw_progress(unsigned char *rgb, int width, int height, double done, uint32_t color);

typedef enum fn_meter_pose {
    FN_METER_POSE_FRONT,
    FN_METER_POSE_LEFT, // as seen in the picture that is drawn on
    FN_METER_POSE_RIGHT,
    FN_METER_POSE_UP,
    FN_METER_POSE_DOWN,
    FN_METER_POSE_LEN
} fn_meter_pose;

/// Draws which poses of a head are done: a disc for the front with an arrow for each direction around it,
/// filled from below as done[pose] goes from 0 to 1. current is the pose seen now, which gets an outline; -1:
/// none. FN_EINVAL: no picture, no such pose or corner.
FN_API int fn_draw_meter(unsigned char *rgb, int width, int height, fn_corner corner,
                         const float done[FN_METER_POSE_LEN], int current);

/// Writes a copy of `image` with labels drawn on it (JPEG or PNG by the path's ending). FN_EUNSUPPORTED, and
/// no file, when there are names and the text library cannot be loaded.
FN_API int fn_annotate(const fn_image *image, const fn_label *labels, size_t n, const char *path);

#ifdef __cplusplus
}
#endif
#endif
