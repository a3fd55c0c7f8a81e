// SPDX-License-Identifier: Apache-2.0
//
// Pictures that bear a number and known colours, and files made of them: the truth of the video tests.
#ifndef FN_TESTS_VIDEO_CLIPS_H
#define FN_TESTS_VIDEO_CLIPS_H

#include "base/buf.h"

#include <facenet/video.h>

enum { CLIP_WIDTH = 160, CLIP_HEIGHT = 120 };

/// Draws picture `number` (0..255) into tight RGB pixels of at least CLIP_WIDTH x CLIP_HEIGHT: eight squares
/// on top that are white or black, below them patches of red, green and blue, and a square that moves.
void clip_draw(unsigned char *rgb, int width, int height, int number);
/// The number in a picture of any format, or -1 when it holds none.
int clip_number(const fn_image *image);
/// The largest difference of a patch's middle from its colour, in grey levels.
int clip_color_error(const fn_image *image);

/// Writes a video of pictures 0 .. n-1 at `fps`. 1 when it worked.
int clip_write(const char *path, int width, int height, int n, double fps);

/// An AVI of uncompressed BGR pictures, stored bottom-up as the format has it.
void clip_raw_avi(fn_buf *out, int width, int height, int n);
/// YUV4MPEG2: a header of that text, then n frames of three planes of constant values, 4:4:4.
void clip_y4m(fn_buf *out, const char *header, int width, int height, int n, int y, int u, int v);
/// A stream of JPEG pictures from `first` on, one after the other.
void clip_mjpeg(fn_buf *out, int width, int height, int first, int n);
/// A second of silence.
void clip_wav(fn_buf *out);

#endif
