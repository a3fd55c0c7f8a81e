// SPDX-License-Identifier: Apache-2.0
//
// Two facts from an EXIF block, by libexif: which way is up, and when the photograph was taken.
// A damaged block is no reason to refuse a photograph: what cannot be read is absent.
#include "base/alloc.h"
#include "base/error.h"
#include "decode/codec.h"

#include <libexif/exif-data.h>
#include <stdio.h>
#include <string.h>

#define MAX_EXIF 65527 // what one JPEG segment holds

// "2024:05:31 12:34:56" becomes "2024-05-31 12:34:56"; anything else, and a camera whose clock was
// never set, is absent.
static void read_time(char taken_at[20], const ExifEntry *entry) {
    static const char form[] = "dddd:dd:dd dd:dd:dd";
    if (!entry || entry->format != EXIF_FORMAT_ASCII || entry->size < 19)
        return;
    const unsigned char *s = entry->data;
    for (int i = 0; i < 19; i++) {
        if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
            return;
    }
    int month = (s[5] - '0') * 10 + s[6] - '0', day = (s[8] - '0') * 10 + s[9] - '0';
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return;
    memcpy(taken_at, s, 19);
    taken_at[4] = taken_at[7] = '-';
    taken_at[19] = 0;
}

int fn_exif_read(int *orientation, char taken_at[20], const unsigned char *exif, size_t n) {
    *orientation = 1;
    taken_at[0] = 0;
    if (n == 0)
        return FN_OK;
    n = n > MAX_EXIF ? MAX_EXIF : n;
    int rc = FN_OK;
    ExifData *data = exif_data_new();
    unsigned char *block = fn_alloc(n + 6);
    if (!data || !block) {
        rc = fn_fail_memory();
        goto out;
    }
    memcpy(block, "Exif\0\0", 6);
    memcpy(block + 6, exif, n);
    exif_data_load_data(data, block, (unsigned)(n + 6));
    const ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->size >= 2) {
        int value = exif_get_short(entry->data, exif_data_get_byte_order(data));
        if (value >= 1 && value <= 8)
            *orientation = value;
    }
    read_time(taken_at, exif_content_get_entry(data->ifd[EXIF_IFD_EXIF], EXIF_TAG_DATE_TIME_ORIGINAL));
out:
    fn_free(block);
    if (data)
        exif_data_unref(data);
    return rc;
}
