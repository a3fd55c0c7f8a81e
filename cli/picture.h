// SPDX-License-Identifier: Apache-2.0
//
// Pixels of our own to draw on: RGB without padding between rows. The memory is kept from frame to frame.
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include <facenet/facenet.h>

typedef struct cli_picture {
    unsigned char *rgb; // (height, width, 3)
    fn_image image;     // the same as a view; zero before the first picture
    size_t room;        // bytes
} cli_picture;          // zero it first

/// Copies an image of any format; mirrored 1: left to right. FN_ENOMEM.
int cli_picture_copy(cli_picture *dst, const fn_image *src, int mirrored);
/// Copies an RGB image in its own proportions into a picture of a given size, on black. FN_ENOMEM.
int cli_picture_fit(cli_picture *dst, const fn_image *src, int width, int height);
void cli_picture_free(cli_picture *picture);

#endif
