// SPDX-License-Identifier: Apache-2.0
//
// How a caller watches, limits and stops long work.
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

int64_t fn_clock_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int fn_control_step(const fn_control *control, uint64_t done, uint64_t total) {
    if (!control)
        return FN_OK;
    if (control->progress && control->progress(control->user, done, total))
        return fn_fail(FN_ECANCELLED, "cancelled after %llu items", (unsigned long long)done);
    if (control->deadline_ms && fn_clock_ms() > control->deadline_ms)
        return fn_fail(FN_ETIMEOUT, "the deadline passed after %llu items", (unsigned long long)done);
    return FN_OK;
}

void fn_control_log(const fn_control *control, fn_log_level level, const char *format, ...) {
    if (!control || !control->log)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    control->log(control->user, level, text);
}
