// SPDX-License-Identifier: Apache-2.0
//
// An image as JPEG or PNG. The bytes are made in memory and then written at once, so that no reader
// ever sees half a picture.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "image/image.h"

#include <facenet/decode.h>

#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <jpeglib.h>
#include <spng.h>

#define MAX_ENCODED ((size_t)1 << 32)
#define CHUNK 65536

typedef struct writer {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf on_error;
    fn_buf *out;
    const fn_image *image;
    unsigned char *row;
    int quality;
    int rc;
    unsigned char chunk[CHUNK];
} writer;

static void stop(writer *w, int rc) {
    w->rc = rc;
    longjmp(w->on_error, 1);
}

static void stop_with_message(j_common_ptr jpeg) {
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    stop(jpeg->client_data, fn_fail(FN_EINTERNAL, "JPEG cannot be made: %s", text));
}

static void ignore_message(j_common_ptr jpeg, int level) {
    (void)jpeg;
    (void)level;
}

static void start_chunk(j_compress_ptr jpeg) {
    writer *w = jpeg->client_data;
    w->destination.next_output_byte = w->chunk;
    w->destination.free_in_buffer = CHUNK;
}

static boolean flush_chunk(j_compress_ptr jpeg) {
    writer *w = jpeg->client_data;
    if (fn_buf_append(w->out, w->chunk, CHUNK))
        stop(w, w->out->failed);
    start_chunk(jpeg);
    return TRUE;
}

static void finish_chunk(j_compress_ptr jpeg) {
    writer *w = jpeg->client_data;
    if (fn_buf_append(w->out, w->chunk, CHUNK - w->destination.free_in_buffer))
        stop(w, w->out->failed);
}

static void write_picture(writer *w) {
    struct jpeg_compress_struct *jpeg = &w->jpeg;
    jpeg_create_compress(jpeg);
    jpeg->dest = &w->destination;
    jpeg->image_width = (JDIMENSION)w->image->width;
    jpeg->image_height = (JDIMENSION)w->image->height;
    jpeg->input_components = 3;
    jpeg->in_color_space = JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, w->quality, TRUE);
    if (w->quality >= 90) // sharp colour at the quality that asks for it
        jpeg->comp_info[0].h_samp_factor = jpeg->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        fn_image line = fn_image_crop(w->image, 0, (int)jpeg->next_scanline, w->image->width, 1);
        JSAMPROW row = w->row;
        fn_image_to_rgb(row, &line);
        jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
}

static int encode_jpeg(fn_buf *out, const fn_image *image, int quality) {
    int rc;
    writer *w = fn_calloc(1, sizeof *w);
    unsigned char *row = fn_alloc((size_t)image->width * 3);
    if (!w || !row) {
        rc = fn_fail_memory();
        goto out;
    }
    w->out = out;
    w->image = image;
    w->row = row;
    w->quality = quality ? quality : 92;
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->jpeg.client_data = w;
    w->errors.error_exit = stop_with_message;
    w->errors.emit_message = ignore_message;
    w->destination.init_destination = start_chunk;
    w->destination.empty_output_buffer = flush_chunk;
    w->destination.term_destination = finish_chunk;
    if (!setjmp(w->on_error))
        write_picture(w);
    jpeg_destroy_compress(&w->jpeg);
    rc = w->rc;
out:
    fn_free(row);
    fn_free(w);
    return rc;
}

static int append_png(spng_ctx *png, void *user, void *bytes, size_t n) {
    (void)png;
    return fn_buf_append(user, bytes, n) ? SPNG_IO_ERROR : SPNG_OK;
}

static int encode_png(fn_buf *out, const fn_image *image) {
    int rc = FN_OK, code;
    size_t row_bytes = (size_t)image->width * 3;
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    unsigned char *row = fn_alloc(row_bytes);
    if (!png || !row) {
        rc = fn_fail_memory();
        goto out;
    }
    struct spng_ihdr header = {.width = (uint32_t)image->width,
                               .height = (uint32_t)image->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    if ((code = spng_set_png_stream(png, append_png, out)) || (code = spng_set_ihdr(png, &header)) ||
        (code = spng_set_srgb(png, 0)) || // perceptual, as photographs are meant
        (code =
             spng_encode_image(png, NULL, 0, SPNG_FMT_PNG, SPNG_ENCODE_PROGRESSIVE | SPNG_ENCODE_FINALIZE)))
        goto failed;
    for (int y = 0; y < image->height; y++) {
        fn_image line = fn_image_crop(image, 0, y, image->width, 1);
        fn_image_to_rgb(row, &line);
        code = spng_encode_row(png, row, row_bytes);
        if (code != SPNG_OK && !(code == SPNG_EOI && y == image->height - 1))
            goto failed;
    }
    goto out;
failed:
    rc = out->failed ? out->failed : fn_fail(FN_EINTERNAL, "PNG cannot be made: %s", spng_strerror(code));
out:
    spng_ctx_free(png);
    fn_free(row);
    return rc;
}

static int ends_with(const char *path, const char *ending) {
    size_t n = strlen(path), m = strlen(ending);
    return n > m && strcasecmp(path + n - m, ending) == 0;
}

static int encode(fn_buf *out, const fn_image *image, int is_jpeg, int quality) {
    if (quality < 0 || quality > 100)
        return fn_fail(FN_EINVAL, "a JPEG quality of %d: it goes from 1 to 100", quality);
    int rc = fn_image_check(image);
    if (rc < 0)
        return rc;
    return is_jpeg ? encode_jpeg(out, image, quality) : encode_png(out, image);
}

int fn_image_write(const fn_image *image, const char *path, int quality) {
    if (!path)
        return fn_fail(FN_EINVAL, "no path to write the picture to");
    int is_jpeg = ends_with(path, ".jpg") || ends_with(path, ".jpeg");
    if (!is_jpeg && !ends_with(path, ".png"))
        return fn_fail(FN_EINVAL, "%s: pictures are written as .jpg, .jpeg or .png", path);
    fn_buf out;
    fn_buf_init(&out, MAX_ENCODED);
    int rc = encode(&out, image, is_jpeg, quality);
    if (rc < 0)
        fn_fail_prefix(rc, "%s", path);
    else
        rc = fn_write_file(path, out.data, out.len, 0644);
    fn_buf_free(&out);
    return rc;
}

int fn_image_encode_jpeg(void *dst, size_t size, size_t *n_out, const fn_image *image, int quality) {
    if (!n_out || (!dst && size))
        return fn_fail(FN_EINVAL, "no place for the JPEG");
    fn_buf out;
    fn_buf_init(&out, MAX_ENCODED);
    int rc = encode(&out, image, 1, quality);
    *n_out = out.len;
    if (rc == FN_OK && out.len > size)
        rc = fn_fail(FN_ELIMIT, "a JPEG of %zu bytes does not fit into %zu", out.len, size);
    if (rc == FN_OK)
        memcpy(dst, out.data, out.len);
    fn_buf_free(&out);
    return rc;
}
