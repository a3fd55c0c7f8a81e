// SPDX-License-Identifier: Apache-2.0
//
// NumPy's file format, version 1.0: magic, a Python dictionary as text padded to 128 bytes, then
// the rows. The number of rows is known at the end only, so the header is written twice.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include "npy.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_SIZE 128

struct cli_npy {
    FILE *file;
    char *path, *temporary;
    size_t n_rows, n_columns;
};

static int write_header(cli_npy *npy) {
    char header[HEADER_SIZE + 1] = "\x93NUMPY\x01";
    header[8] = HEADER_SIZE - 10;
    int n = snprintf(header + 10, HEADER_SIZE - 10,
                     "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", npy->n_rows,
                     npy->n_columns);
    memset(header + 10 + n, ' ', HEADER_SIZE - 11 - (size_t)n);
    header[HEADER_SIZE - 1] = '\n';
    return fwrite(header, 1, HEADER_SIZE, npy->file) == HEADER_SIZE ? 0 : -1;
}

int cli_npy_open(cli_npy **out, const char *path, size_t n_columns) {
    struct stat st;
    *out = NULL;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) { // a device or a pipe stays what it is
        errno = S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP;
        return -1;
    }
    cli_npy *npy = calloc(1, sizeof *npy);
    if (!npy)
        return -1;
    npy->n_columns = n_columns;
    npy->path = strdup(path);
    npy->temporary = malloc(strlen(path) + 8);
    if (npy->path && npy->temporary) {
        memcpy(npy->temporary, path, strlen(path));
        memcpy(npy->temporary + strlen(path), ".XXXXXX", 8);
        int fd = mkstemp(npy->temporary);
        npy->file = fd < 0 ? NULL : fdopen(fd, "wb");
        if (fd >= 0 && !npy->file) {
            close(fd);
            unlink(npy->temporary);
        }
    }
    if (!npy->file || write_header(npy)) {
        int saved = errno;
        cli_npy_close(npy, 0);
        errno = saved;
        return -1;
    }
    *out = npy;
    return 0;
}

int cli_npy_row(cli_npy *npy, const float *row) {
    for (size_t i = 0; i < npy->n_columns; i++) {
        uint32_t bits;
        memcpy(&bits, &row[i], 4);
        unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                  (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        if (fwrite(bytes, 1, 4, npy->file) != 4)
            return -1;
    }
    npy->n_rows++;
    return 0;
}

int cli_npy_close(cli_npy *npy, int keep) {
    if (!npy)
        return 0;
    int failed = 0;
    if (npy->file) {
        failed = keep && (fseek(npy->file, 0, SEEK_SET) || write_header(npy));
        failed = fclose(npy->file) || failed;
        if (keep && !failed)
            failed = rename(npy->temporary, npy->path);
        int saved = errno;
        if (!keep || failed)
            unlink(npy->temporary);
        errno = saved;
    }
    free(npy->temporary);
    free(npy->path);
    free(npy);
    return failed ? -1 : 0;
}
