// SPDX-License-Identifier: Apache-2.0
//
// JPEG by libjpeg-turbo: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK, with the default
// integer DCT, so that pixels equal those of djpeg. libjpeg leaves an error by longjmp: everything
// that must survive one lives in the reader.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h> // its list depends on what jpeglib.h says

// Each scan of a progressive file visits every block, however few bytes it has. Ordinary files have
// about ten scans; a large picture may not have hundreds.
#define MAX_SCANS 500
#define MAX_SCANS_LARGE 64
#define MAX_SCANNED_PIXELS ((uint64_t)1 << 33)

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf on_error;
    fn_raster *raster;
    const fn_coded *coded;
    int max_scans;
    int rc; // why on_error was taken
} reader;

static void stop(reader *r, int rc) {
    r->rc = rc;
    longjmp(r->on_error, 1);
}

static void stop_with_message(j_common_ptr jpeg) {
    reader *r = jpeg->client_data;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    switch (jpeg->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
        stop(r, fn_fail_memory());
        break;
    case JERR_IMAGE_TOO_BIG:
        stop(r, fn_fail(FN_ELIMIT, "JPEG: %s", text));
        break;
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_ARITH_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
        stop(r, fn_fail(FN_EUNSUPPORTED, "JPEG of a kind that is not supported: %s", text));
        break;
    default:
        stop(r, fn_fail(FN_EFORMAT, "damaged JPEG: %s", text));
    }
}

// level -1 is a warning. Those that speak of missing or wrong picture data end a strict decoding;
// oddities beside the picture data do not.
static void see_message(j_common_ptr jpeg, int level) {
    reader *r = jpeg->client_data;
    if (level >= 0)
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_JPEG_EOF:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
        break;
    default:
        return;
    }
    r->raster->truncated = 1;
    if (r->coded->lenient)
        return;
    char text[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, text);
    unsigned rows = r->jpeg.output_scanline, of = r->jpeg.output_height;
    if (jpeg->err->msg_code != JWRN_JPEG_EOF)
        stop(r, fn_fail(FN_EFORMAT, "damaged JPEG after %u of %u rows: %s", rows, of, text));
    if (of == 0)
        stop(r, fn_fail(FN_EFORMAT, "truncated JPEG: it ends before its picture data"));
    stop(r, fn_fail(FN_EFORMAT, "truncated JPEG after %u of %u rows", rows, of));
}

static void watch_scans(j_common_ptr jpeg) {
    reader *r = jpeg->client_data;
    if (r->jpeg.input_scan_number > r->max_scans)
        stop(r, fn_fail(FN_ELIMIT, "JPEG of more than %d scans", r->max_scans));
}

static void read_markers(reader *r) {
    int rc = FN_OK;
    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m && rc == FN_OK; m = m->next) {
        if (m->marker == JPEG_APP0 + 1 && !r->raster->exif && m->data_length > 6 &&
            memcmp(m->data, "Exif\0", 5) == 0)
            rc = fn_raster_set_exif(r->raster, m->data, m->data_length);
    }
    JOCTET *profile = NULL;
    unsigned n = 0;
    if (rc == FN_OK && jpeg_read_icc_profile(&r->jpeg, &profile, &n)) {
        rc = fn_raster_set_profile(r->raster, profile, n);
        free(profile); // libjpeg's own malloc
    }
    if (rc < 0)
        stop(r, rc);
}

static fn_samples choose_output(struct jpeg_decompress_struct *jpeg) {
    if (jpeg->jpeg_color_space != JCS_CMYK && jpeg->jpeg_color_space != JCS_YCCK) {
        jpeg->out_color_space = JCS_RGB;
        return FN_SAMPLES_RGB;
    }
    jpeg->out_color_space = JCS_CMYK;
    return jpeg->saw_Adobe_marker ? FN_SAMPLES_CMYK_INVERTED : FN_SAMPLES_CMYK;
}

static void read_picture(reader *r) {
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->progress = &r->progress;
    jpeg_mem_src(jpeg, r->coded->bytes, r->coded->n);
    jpeg_save_markers(jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_save_markers(jpeg, JPEG_APP0 + 2, 0xFFFF);
    jpeg_read_header(jpeg, TRUE);
    int rc = fn_raster_check(r->raster, r->coded, jpeg->image_width, jpeg->image_height);
    if (rc < 0)
        stop(r, rc);
    uint64_t scans = MAX_SCANNED_PIXELS / ((uint64_t)jpeg->image_width * jpeg->image_height);
    r->max_scans = scans > MAX_SCANS ? MAX_SCANS : scans < MAX_SCANS_LARGE ? MAX_SCANS_LARGE : (int)scans;
    r->raster->gray = jpeg->jpeg_color_space == JCS_GRAYSCALE;
    read_markers(r);
    fn_samples samples = choose_output(jpeg);
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)r->coded->scale_denominator;
    r->raster->scale_denominator = r->coded->scale_denominator;
    jpeg_calc_output_dimensions(jpeg);
    rc = fn_raster_alloc(r->raster, (int)jpeg->output_width, (int)jpeg->output_height, samples);
    if (rc < 0)
        stop(r, rc);
    jpeg_start_decompress(jpeg);
    size_t row_bytes = (size_t)jpeg->output_width * (size_t)jpeg->output_components;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW row = r->raster->pixels + jpeg->output_scanline * row_bytes;
        jpeg_read_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_decompress(jpeg);
}

int fn_jpeg_decode(fn_raster *raster, const fn_coded *coded) {
    reader *r = fn_calloc(1, sizeof *r);
    if (!r)
        return fn_fail_memory();
    r->raster = raster;
    r->coded = coded;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = stop_with_message;
    r->errors.emit_message = see_message;
    r->progress.progress_monitor = watch_scans;
    if (!setjmp(r->on_error))
        read_picture(r);
    int rc = r->rc;
    jpeg_destroy_decompress(&r->jpeg);
    fn_free(r);
    return rc;
}
