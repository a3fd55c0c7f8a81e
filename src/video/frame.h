// SPDX-License-Identifier: Apache-2.0
//
// A frame: an image and what keeps its pixels. The parts are set before anybody else sees it.
#ifndef FN_VIDEO_FRAME_H
#define FN_VIDEO_FRAME_H

#include <facenet/video.h>

#include <stdatomic.h>

struct fn_frame {
    atomic_int n_holders;
    fn_image image;
    uint64_t index;
    double time_s;
    int64_t clock_ms;
    float decode_ms;
    int is_break;
    int is_view; // of the decoder's own pixels
    void (*release)(void *hold);
    void *hold;
};

/// A frame with one holder that has nothing in it yet. NULL with the error noted.
fn_frame *fn_frame_new(void);

/// Brings the pixels upright by an EXIF orientation, in memory of the frame's own. FN_ENOMEM.
int fn_frame_orient(fn_frame *frame, int orientation);

#endif
