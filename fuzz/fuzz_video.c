// SPDX-License-Identifier: Apache-2.0
//
// Whatever a file holds, opening it as a video ends, with frames that are sound or with a line.
#define _GNU_SOURCE // memfd_create
#include <facenet/video.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_FRAMES = 40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frame(const fn_frame *frame, double *last_s, uint64_t max_pixels) {
    const fn_image *image = fn_frame_image(frame);
    volatile uint8_t sink = 0;
    if (fn_image_check(image) != FN_OK || (uint64_t)image->width * (uint64_t)image->height > max_pixels ||
        !(fn_frame_time(frame) > *last_s))
        abort();
    *last_s = fn_frame_time(frame);
    for (int y = 0; y < image->height; y++) { // both ends of each row can be read
        const uint8_t *row = image->data + y * image->stride_bytes;
        sink = (uint8_t)(sink + row[0] + row[image->width * fn_pixel_size(image->format) - 1]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    fn_video *video = NULL;
    fn_frame *frame = NULL;
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    const int fd = memfd_create("video", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    options.max_pixels = 1 << 18;
    options.threads = 1;
    options.timeout_ms = 3000;
    int rc = fn_video_open(&video, path, &options, NULL);
    double last_s = -1;
    for (int i = 0; i < MAX_FRAMES && rc == FN_OK; i++) {
        rc = fn_video_next(video, &frame);
        if (rc < 0 || !frame)
            break;
        check_frame(frame, &last_s, options.max_pixels);
        fn_frame_free(frame);
    }
    if (rc < 0 && (!*fn_last_error() || strchr(fn_last_error(), '\n')))
        abort();
    fn_video_free(video);
    close(fd);
    return 0;
}
