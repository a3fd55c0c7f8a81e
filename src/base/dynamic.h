// SPDX-License-Identifier: Apache-2.0
//
// Libraries that are loaded when they are first needed, so that the program starts without them and runs
// where they are missing; and modules, which are libraries of our own that stand between facenet and such
// a library.
//
//     static struct { int (*width)(void *); } codec;
//     static const fn_symbol symbols[] = {{&codec.width, "codec_width"}};
//     is_loaded = fn_library_load("libcodec.so.1", symbols, 1) == FN_OK;
#ifndef FN_BASE_DYNAMIC_H
#define FN_BASE_DYNAMIC_H

#include <stddef.h>

/// A pointer to be filled, and the function or object it shall point to.
typedef struct fn_symbol {
    void *slot;
    const char *name;
} fn_symbol;

/// Loads a library, by name or path, for as long as the process lasts and fills all slots. FN_EUNSUPPORTED,
/// with the loader's words, when it or a symbol is missing; slots may be filled in part. Any thread, but a
/// slot belongs to one at a time.
int fn_library_load(const char *name, const fn_symbol *symbols, size_t n);

/// The same for a module of facenet, by the name of its file: looked for in $FACENET_MODULES when that is
/// set, else in the folder `facenet` beside libfacenet.so, or where that is from the running program.
/// FN_ENOTFOUND when there is none.
int fn_module_load(const char *name, const fn_symbol *symbols, size_t n);

#endif
