// SPDX-License-Identifier: Apache-2.0
//
// A growing buffer of bytes with a hard maximum.
#include "base/buf.h"

#include "base/alloc.h"
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fn_buf_init(fn_buf *buf, size_t max) {
    memset(buf, 0, sizeof *buf);
    buf->max = max;
}

void fn_buf_free(fn_buf *buf) {
    fn_free(buf->data);
    fn_buf_init(buf, buf->max);
}

int fn_buf_append(fn_buf *buf, const void *bytes, size_t n) {
    if (buf->failed)
        return buf->failed;
    if (n > buf->max - buf->len)
        return buf->failed = fn_fail(FN_ELIMIT, "a buffer would grow past %zu bytes", buf->max);
    if (buf->len + n + 1 > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : 256;
        while (capacity < buf->len + n + 1)
            capacity *= 2;
        char *grown = fn_realloc(buf->data, capacity, 1);
        if (!grown)
            return buf->failed = fn_fail_memory();
        buf->data = grown;
        buf->capacity = capacity;
    }
    if (n)
        memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = 0;
    return FN_OK;
}

int fn_buf_printf(fn_buf *buf, const char *format, ...) {
    char small[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0)
        return buf->failed = fn_fail(FN_EINTERNAL, "a text could not be formatted");
    if ((size_t)n < sizeof small)
        return fn_buf_append(buf, small, (size_t)n);
    char *large = fn_alloc((size_t)n + 1);
    if (!large)
        return buf->failed = fn_fail_memory();
    va_start(args, format);
    vsnprintf(large, (size_t)n + 1, format, args);
    va_end(args);
    int rc = fn_buf_append(buf, large, (size_t)n);
    fn_free(large);
    return rc;
}

char *fn_buf_take(fn_buf *buf) {
    if (buf->failed || (!buf->data && fn_buf_append(buf, "", 0))) {
        fn_buf_free(buf);
        return NULL;
    }
    char *text = buf->data;
    fn_buf_init(buf, buf->max);
    return text;
}
