// SPDX-License-Identifier: Apache-2.0
//
// Error codes, their texts and the thread-local last message.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char last_error[1024];

const char *fn_version(void) {
#define FN_TEXT2(x) #x
#define FN_TEXT(x) FN_TEXT2(x)
    return FN_TEXT(FN_VERSION_MAJOR) "." FN_TEXT(FN_VERSION_MINOR) "." FN_TEXT(FN_VERSION_PATCH);
}

const char *fn_error_name(int code) {
    switch (code) {
#define FN_ERROR_NAME(name, value, text)                                                                     \
    case value:                                                                                              \
        return "FN_" #name;
        FN_ERROR_LIST(FN_ERROR_NAME)
    default:
        return "FN_?";
    }
}

const char *fn_error_text(int code) {
    switch (code) {
#define FN_ERROR_TEXT(name, value, text)                                                                     \
    case value:                                                                                              \
        return text;
        FN_ERROR_LIST(FN_ERROR_TEXT)
    default:
        return "not an error code of facenet";
    }
}

const char *fn_last_error(void) {
    return last_error;
}

int fn_fail(int code, const char *format, ...) {
    va_list args;
    char text[sizeof last_error]; // the arguments may point into last_error
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(last_error, text, sizeof text);
    return code;
}

int fn_fail_prefix(int code, const char *format, ...) {
    va_list args;
    char text[2 * sizeof last_error];
    va_start(args, format);
    int n = vsnprintf(text, sizeof last_error, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof last_error ? (size_t)n : sizeof last_error - 1;
    snprintf(text + used, sizeof text - used, ": %s", last_error);
    text[sizeof last_error - 1] = 0;
    memcpy(last_error, text, sizeof last_error);
    return code;
}

int fn_fail_memory(void) {
    return fn_fail(FN_ENOMEM, "out of memory");
}
