// SPDX-License-Identifier: Apache-2.0
//
// The list of failures. A run over one tree replaces that tree's lines and keeps the others'.
#include "train/failures.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES ((size_t)256 << 20)

static void add_field(fn_buf *text, const char *field, const char *end) {
    for (const char *p = field; *p; p++) {
        const char *escaped = *p == '\t' ? "\\t" : *p == '\n' ? "\\n" : *p == '\\' ? "\\\\" : NULL;
        fn_buf_append(text, escaped ? escaped : p, escaped ? 2 : 1);
    }
    fn_buf_append(text, end, 1);
}

void fn_failures_add(fn_buf *text, const char *path, const char *what, const char *message) {
    add_field(text, path, "\t");
    add_field(text, what, "\t");
    add_field(text, message, "\n");
}

/// Lines of `old` that do not begin with the prefix.
static void keep_others(fn_buf *text, const char *old, const char *prefix, size_t n_prefix) {
    while (*old) {
        const char *end = strchr(old, '\n');
        size_t n = end ? (size_t)(end - old) + 1 : strlen(old);
        if (strncmp(old, prefix, n_prefix) != 0)
            fn_buf_append(text, old, n);
        old += n;
    }
}

int fn_failures_write(const char *dst, const char *src, fn_buf *text) {
    unsigned char *old = NULL;
    size_t n_old;
    fn_buf all, prefix;
    fn_buf_init(&all, MAX_BYTES);
    fn_buf_init(&prefix, MAX_BYTES);
    char *path = fn_path_join(dst, FN_FAILURES_FILE);
    int rc = path ? FN_OK : FN_ENOMEM;
    if (rc == FN_OK && (access(path, F_OK) == 0 || errno != ENOENT))
        rc = fn_read_file(&old, &n_old, path, MAX_BYTES);
    add_field(&prefix, src, "/");
    size_t n = prefix.len;
    if (n >= 2 && prefix.data[n - 2] == '/') // src ended in a slash
        n--;
    if (rc == FN_OK && !prefix.failed && old)
        keep_others(&all, (const char *)old, prefix.data, n);
    if (text->len)
        fn_buf_append(&all, text->data, text->len);
    if (rc == FN_OK && (all.failed || prefix.failed || text->failed))
        rc = fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_write_file(path, all.data ? all.data : "", all.len, 0600);
    fn_buf_free(&prefix);
    fn_buf_free(&all);
    fn_free(old);
    fn_free(path);
    return rc;
}
