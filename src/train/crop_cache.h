// SPDX-License-Identifier: Apache-2.0
//
// Decoded crops kept in memory, first come, first kept: every image is equally likely to be wanted again, so
// that there is nothing to choose and nothing is ever thrown out.
#ifndef FN_TRAIN_CROP_CACHE_H
#define FN_TRAIN_CROP_CACHE_H

#include <facenet/dataset.h>

typedef struct fn_crop_cache fn_crop_cache; // any number of threads

/// Keeps up to max_bytes of pixels. FN_ENOMEM.
int fn_crop_cache_open(fn_crop_cache **out, const fn_dataset *dataset, size_t max_bytes);
void fn_crop_cache_free(fn_crop_cache *cache);

/// The pixels of an image, tight RGB, from memory or from its file. *owned (fn_free) is memory of the
/// caller's, or NULL when the cache keeps the pixels. Errors name the file.
int fn_crop_cache_get(fn_crop_cache *cache, int image, fn_image *out, unsigned char **owned);

#endif
