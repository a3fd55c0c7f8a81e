// SPDX-License-Identifier: Apache-2.0
#include "video/clips.h"

#include "base/alloc.h"

#include <facenet/decode.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SQUARE = 20, N_BITS = 8 };

static const unsigned char patches[3][3] = {{200, 40, 40}, {40, 180, 40}, {40, 60, 200}};

static void fill(unsigned char *rgb, int width, int x0, int y0, int w, int h, const unsigned char color[3]) {
    for (int y = y0; y < y0 + h; y++) {
        for (int x = x0; x < x0 + w; x++)
            memcpy(rgb + 3 * ((ptrdiff_t)y * width + x), color, 3);
    }
}

void clip_draw(unsigned char *rgb, int width, int height, int number) {
    static const unsigned char black[3] = {10, 10, 10}, white[3] = {240, 240, 240}, gray[3] = {120, 120, 120};
    fill(rgb, width, 0, 0, width, height, gray);
    for (int i = 0; i < N_BITS; i++)
        fill(rgb, width, i * SQUARE, 0, SQUARE, SQUARE, number >> i & 1 ? white : black);
    for (int i = 0; i < 3; i++)
        fill(rgb, width, i * 2 * SQUARE, SQUARE, 2 * SQUARE, 2 * SQUARE, patches[i]);
    fill(rgb, width, number * 3 % (width - SQUARE), height - SQUARE, SQUARE, SQUARE, white);
}

// The mean colour of a few pixels around a point.
static void look(int rgb[3], const fn_image *image, int x, int y) {
    const int size = fn_pixel_size(image->format);
    const int is_bgr = image->format == FN_PIXEL_BGR8 || image->format == FN_PIXEL_BGRA8;
    int sum[3] = {0};
    for (int j = -2; j < 2; j++) {
        for (int i = -2; i < 2; i++) {
            const uint8_t *p = image->data + (y + j) * image->stride_bytes + (ptrdiff_t)(x + i) * size;
            for (int c = 0; c < 3; c++)
                sum[c] += size == 1 ? p[0] : p[is_bgr ? 2 - c : c];
        }
    }
    for (int c = 0; c < 3; c++)
        rgb[c] = sum[c] / 16;
}

int clip_number(const fn_image *image) {
    int number = 0, rgb[3];
    if (image->width < CLIP_WIDTH || image->height < CLIP_HEIGHT)
        return -1;
    for (int i = 0; i < N_BITS; i++) {
        look(rgb, image, i * SQUARE + SQUARE / 2, SQUARE / 2);
        if (rgb[1] > 70 && rgb[1] < 180)
            return -1;
        number |= (rgb[1] >= 180) << i;
    }
    return number;
}

int clip_color_error(const fn_image *image) {
    int worst = 0, rgb[3];
    for (int i = 0; i < 3; i++) {
        look(rgb, image, i * 2 * SQUARE + SQUARE, 2 * SQUARE);
        for (int c = 0; c < 3; c++) {
            const int d = abs(rgb[c] - patches[i][c]);
            worst = d > worst ? d : worst;
        }
    }
    return worst;
}

int clip_write(const char *path, int width, int height, int n, double fps) {
    fn_writer_options options = FN_WRITER_OPTIONS_INIT;
    fn_video_writer *writer = NULL;
    unsigned char *rgb = fn_alloc((size_t)width * (size_t)height * 3);
    const fn_image image = {rgb, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
    options.fps = fps;
    int rc = rgb ? fn_video_writer_open(&writer, path, width, height, &options) : FN_ENOMEM;
    for (int i = 0; i < n && rc == FN_OK; i++) {
        clip_draw(rgb, width, height, i);
        rc = fn_video_writer_add(writer, &image, (double)NAN);
    }
    if (rc == FN_OK)
        rc = fn_video_writer_finish(writer);
    else
        fn_video_writer_free(writer);
    fn_free(rgb);
    return rc == FN_OK;
}

// ---- files byte by byte ------------------------------------------------------------------------------

static void put32(fn_buf *out, unsigned v) {
    const unsigned char bytes[4] = {(unsigned char)v, (unsigned char)(v >> 8), (unsigned char)(v >> 16),
                                    (unsigned char)(v >> 24)};
    fn_buf_append(out, bytes, 4);
}

static void put_words(fn_buf *out, const unsigned *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        put32(out, words[i]);
}

void clip_raw_avi(fn_buf *out, int width, int height, int n) {
    const unsigned w = (unsigned)width, h = (unsigned)height, row = (w * 3 + 3) & ~3U, size = row * h;
    const unsigned header[] = {40000, size * 25, 0, 0, (unsigned)n, 0, 1, size, w, h, 0, 0, 0, 0};
    const unsigned stream[] = {0, 0, 0, 1, 25, 0, (unsigned)n, size, 0xFFFFFFFF, 0, 0, 0};
    const unsigned format[] = {40, w, h, 1 | 24 << 16, 0, size, 0, 0, 0, 0};
    fn_buf_append(out, "RIFF", 4);
    put32(out, 4 + 8 + 192 + 8 + 4 + (unsigned)n * (8 + size));
    fn_buf_append(out, "AVI LIST", 8);
    put32(out, 192);
    fn_buf_append(out, "hdrlavih", 8);
    put32(out, sizeof header);
    put_words(out, header, sizeof header / sizeof *header);
    fn_buf_append(out, "LIST", 4);
    put32(out, 116);
    fn_buf_append(out, "strlstrh", 8);
    put32(out, 8 + sizeof stream);
    fn_buf_append(out, "vidsDIB ", 8);
    put_words(out, stream, sizeof stream / sizeof *stream);
    fn_buf_append(out, "strf", 4);
    put32(out, sizeof format);
    put_words(out, format, sizeof format / sizeof *format);
    fn_buf_append(out, "LIST", 4);
    put32(out, 4 + (unsigned)n * (8 + size));
    fn_buf_append(out, "movi", 4);
    unsigned char *rgb = fn_alloc((size_t)width * (size_t)height * 3);
    for (int i = 0; i < n; i++) {
        clip_draw(rgb, width, height, i);
        fn_buf_append(out, "00db", 4);
        put32(out, size);
        for (int y = height - 1; y >= 0; y--) {
            for (int x = 0; x < width; x++) {
                const unsigned char *p = rgb + 3 * ((ptrdiff_t)y * width + x), bgr[3] = {p[2], p[1], p[0]};
                fn_buf_append(out, bgr, 3);
            }
            fn_buf_append(out, "\0\0\0", row - w * 3);
        }
    }
    fn_free(rgb);
}

void clip_y4m(fn_buf *out, const char *header, int width, int height, int n, int y, int u, int v) {
    const int values[3] = {y, u, v}, n_planes = strstr(header, "Cmono") ? 1 : 3;
    fn_buf_printf(out, "YUV4MPEG2 W%d H%d F25:1 Ip %s\n", width, height, header);
    for (int i = 0; i < n; i++) {
        fn_buf_append(out, "FRAME\n", 6);
        for (int plane = 0; plane < n_planes; plane++) {
            const unsigned char value = (unsigned char)values[plane];
            for (int k = 0; k < width * height; k++)
                fn_buf_append(out, &value, 1);
        }
    }
}

void clip_mjpeg(fn_buf *out, int width, int height, int first, int n) {
    const size_t size = (size_t)width * (size_t)height * 3;
    unsigned char *rgb = fn_alloc(size), *jpeg = fn_alloc(size + 4096);
    const fn_image image = {rgb, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
    for (int i = first; i < first + n; i++) {
        size_t n_bytes = 0;
        clip_draw(rgb, width, height, i);
        if (fn_image_encode_jpeg(jpeg, size + 4096, &n_bytes, &image, 85) == FN_OK)
            fn_buf_append(out, jpeg, n_bytes);
    }
    fn_free(rgb);
    fn_free(jpeg);
}

void clip_wav(fn_buf *out) {
    static const unsigned char silence[8000];
    fn_buf_append(out, "RIFF", 4);
    put32(out, 36 + sizeof silence);
    fn_buf_append(out, "WAVEfmt ", 8);
    put_words(out, (const unsigned[]){16, 1 | 1 << 16, 8000, 8000, 1 | 8 << 16}, 5);
    fn_buf_append(out, "data", 4);
    put32(out, sizeof silence);
    fn_buf_append(out, silence, sizeof silence);
}
