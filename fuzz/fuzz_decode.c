// SPDX-License-Identifier: Apache-2.0
//
// Fuzz target of the image formats: any bytes decode to a picture or to an error, never to a crash.
// The first byte chooses the options; the rest is the file. Limits are small, so that a run is fast.
#include <facenet/decode.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    options.max_pixels = (uint64_t)1 << 20;
    options.lenient = data[0] & 1;
    options.ignore_orientation = data[0] >> 1 & 1;
    options.ignore_profile = data[0] >> 2 & 1;
    options.scale_denominator = 1 << (data[0] >> 3 & 3);
    fn_picture *picture = NULL;
    int rc = fn_decode_memory(&picture, data + 1, size - 1, NULL, &options);
    if ((rc == FN_OK) != (picture != NULL))
        abort();
    if (picture) {
        // Every pixel that is promised can be read.
        const fn_image *image = fn_picture_image(picture);
        unsigned sum = 0;
        if (fn_image_check(image) < 0)
            abort();
        for (int y = 0; y < image->height; y++) {
            for (int x = 0; x < image->width * 3; x++)
                sum += image->data[y * image->stride_bytes + x];
        }
        if (sum > 255U * 3U * (1U << 20) || memchr(fn_picture_get_info(picture)->taken_at, 0, 20) == NULL)
            abort();
    }
    fn_picture_free(picture);
    return 0;
}
