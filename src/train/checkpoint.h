// SPDX-License-Identifier: Apache-2.0
//
// All that a run needs to go on, in one file: a JSON text and named blocks of numbers. The name always holds
// a whole checkpoint, the last one or the one before, whatever happens while it is written: the new one grows
// in PATH.part beside it, is synced and takes the name at once.
//
// Layout, integers little-endian: "FNCKPT01"; u64 length of the JSON; u32 number of blocks; per block u32
// length of its name, the name, u64 length of its data; the JSON; the data; SHA-256 of all before it. Data is
// in the byte order of the machine, which is little-endian wherever facenet builds.
#ifndef FN_TRAIN_CHECKPOINT_H
#define FN_TRAIN_CHECKPOINT_H

#include <stddef.h>

typedef struct fn_checkpoint_block {
    const char *name; // unlike the others
    void *data;       // `bytes` of them, not changed by writing
    size_t bytes;
} fn_checkpoint_block;

/// One thread writes one path at a time. FN_EIO, with what was there before untouched; FN_ENOMEM. The file
/// has mode 0600.
int fn_checkpoint_write(const char *path, const char *json, const fn_checkpoint_block *blocks, int n);

/// json: NULL, or new memory (fn_free). Every block asked for must be there with exactly its size and is
/// filled; others of the file are passed over, so that n 0 reads the JSON alone. Nothing is filled unless the
/// whole file is sound. FN_EIO; FN_EFORMAT for a damaged file; FN_ECONFLICT for blocks of another network.
int fn_checkpoint_read(const char *path, char **json, const fn_checkpoint_block *blocks, int n);

#endif
