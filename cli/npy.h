// SPDX-License-Identifier: Apache-2.0
//
// A NumPy file, format 1.0: rows of little-endian float32, as many as come.
#ifndef CLI_NPY_H
#define CLI_NPY_H

#include <stddef.h>

typedef struct cli_npy cli_npy;

/// 0, or -1 with errno. The file appears under its name when it is closed.
int cli_npy_open(cli_npy **out, const char *path, size_t n_columns);
int cli_npy_row(cli_npy *npy, const float *row);
/// keep 0: throws the file away. Frees npy; NULL is a no-op.
int cli_npy_close(cli_npy *npy, int keep);

#endif
