// SPDX-License-Identifier: Apache-2.0
//
// A growing buffer of bytes with a hard maximum. Errors stick: append freely, check once.
#ifndef FN_BASE_BUF_H
#define FN_BASE_BUF_H

#include <stddef.h>

typedef struct fn_buf {
    char *data; // always followed by a 0 byte when not NULL
    size_t len;
    size_t capacity;
    size_t max;
    int failed; // FN_OK, FN_ENOMEM or FN_ELIMIT
} fn_buf;

void fn_buf_init(fn_buf *buf, size_t max);
void fn_buf_free(fn_buf *buf);
int fn_buf_append(fn_buf *buf, const void *bytes, size_t n);
int fn_buf_printf(fn_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/// The text, which the caller now owns (fn_free), or NULL when anything failed; the buffer is
/// empty.
char *fn_buf_take(fn_buf *buf);

#endif
