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

/// The first field of a line as it was before add_field, in new memory.
static char *first_field(const char *line) {
    size_t n = strcspn(line, "\t\n"), used = 0;
    char *field = fn_alloc(n + 1);
    for (size_t i = 0; field && i < n; i++) {
        int escapes = line[i] == '\\' && i + 1 < n;
        char c = line[escapes ? ++i : i];
        field[used++] = !escapes ? c : c == 't' ? '\t' : c == 'n' ? '\n' : c;
    }
    if (field)
        field[used] = 0;
    return field;
}

/// Lines of `old` that do not begin with the prefix, or that stay.
static int keep_lines(fn_buf *text, const char *old, const char *prefix, size_t n_prefix,
                      int (*stays)(void *user, const char *name), void *user) {
    while (*old) {
        const char *end = strchr(old, '\n');
        size_t n = end ? (size_t)(end - old) + 1 : strlen(old);
        int keep = strncmp(old, prefix, n_prefix) != 0;
        if (!keep && stays) {
            char *name = first_field(old + n_prefix);
            if (!name)
                return fn_fail_memory();
            keep = stays(user, name);
            fn_free(name);
        }
        if (keep)
            fn_buf_append(text, old, n);
        old += n;
    }
    return FN_OK;
}

int fn_failures_write(const char *dst, const char *src, fn_buf *text,
                      int (*stays)(void *user, const char *name), void *user) {
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
    if (n >= 2 && prefix.data[n - 2] == '/') // src is the root of all
        n--;
    if (rc == FN_OK && !prefix.failed && old)
        rc = keep_lines(&all, (const char *)old, prefix.data, n, stays, user);
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
