// SPDX-License-Identifier: Apache-2.0
//
// dlopen and dlsym over a table, and where modules lie. Nothing knows the prefix it was installed to: the
// way goes from the file that runs.
#define _GNU_SOURCE // dladdr
#include "base/dynamic.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int fn_library_load(const char *name, const fn_symbol *symbols, size_t n) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fn_fail(FN_EUNSUPPORTED, "%s", dlerror());
    for (size_t i = 0; i < n; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        if (!symbol)
            return fn_fail(FN_EUNSUPPORTED, "%s: there is no %s in it", name, symbols[i].name);
        memcpy(symbols[i].slot, &symbol, sizeof symbol); // C has no cast from void * to a function
    }
    return FN_OK;
}

// The folder of a file and then `way`. New memory, or NULL with the error noted.
static char *from_file(const char *file, const char *way) {
    const char *slash = strrchr(file, '/');
    char *folder = slash ? fn_strndup(file, (size_t)(slash - file)) : fn_strdup(".");
    char *path = folder ? fn_path_join(folder, way) : NULL;
    if (!folder)
        fn_fail_memory();
    fn_free(folder);
    return path;
}

static char *module_folder(void) {
    static const char ours[] = "libfacenet.so";
    const char *set = getenv("FACENET_MODULES");
    if (set && *set)
        return fn_strdup(set);
    Dl_info here;
    if (dladdr(ours, &here) && here.dli_fname) {
        const char *slash = strrchr(here.dli_fname, '/');
        if (strncmp(slash ? slash + 1 : here.dli_fname, ours, sizeof ours - 1) == 0)
            return from_file(here.dli_fname, "facenet");
    }
    char program[4096];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = 0;
    return from_file(program, FN_MODULES_FROM_PROGRAMS);
}

int fn_module_load(const char *name, const fn_symbol *symbols, size_t n) {
    char *folder = module_folder(), *path = folder ? fn_path_join(folder, name) : NULL;
    int rc;
    if (!path)
        rc = fn_fail_memory();
    else if (access(path, F_OK) != 0)
        rc = fn_fail(FN_ENOTFOUND, "there is no %s in %s", name, folder);
    else
        rc = fn_library_load(path, symbols, n);
    fn_free(path);
    fn_free(folder);
    return rc;
}
