// SPDX-License-Identifier: Apache-2.0
//
// The thread's last error: a code for programs, one line for people.
#ifndef FN_BASE_ERROR_H
#define FN_BASE_ERROR_H

#include <facenet/base.h>

/// Notes the message and returns the code, so that callers write `return fn_fail(FN_EIO, ...)`.
int fn_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Puts "prefix: " before the current message: a caller adds which file, which photograph.
int fn_fail_prefix(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// FN_ENOMEM with its standard line.
int fn_fail_memory(void);

#endif
