// SPDX-License-Identifier: Apache-2.0
//
// The files of models/ inside the library: the catalogue and the calibrations. The source is written by
// cmake/Embed.cmake.
#ifndef FN_MODEL_EMBEDDED_H
#define FN_MODEL_EMBEDDED_H

#include <stddef.h>

typedef struct fn_embedded_file {
    const char *name;
    const char *text; // n bytes, then a 0
    size_t n;
} fn_embedded_file;

extern const fn_embedded_file fn_embedded_files[];
extern const int fn_embedded_count;

#endif
