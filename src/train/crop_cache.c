// SPDX-License-Identifier: Apache-2.0
//
// An entry is written once, by the thread that publishes it, and never changes: readers need no lock.
#include "train/crop_cache.h"

#include "base/alloc.h"
#include "base/error.h"
#include "image/image.h"

#include <stdatomic.h>

typedef struct entry {
    int width, height;
    unsigned char pixels[]; // (height, width, 3)
} entry;

struct fn_crop_cache {
    const fn_dataset *dataset;
    size_t max_bytes;
    atomic_size_t n_bytes;
    _Atomic(entry *) *entries; // (n_images), NULL: not kept
};

int fn_crop_cache_open(fn_crop_cache **out, const fn_dataset *dataset, size_t max_bytes) {
    *out = NULL;
    size_t n = (size_t)fn_dataset_n_images(dataset);
    fn_crop_cache *cache = fn_calloc(1, sizeof *cache);
    if (cache)
        cache->entries = fn_calloc(n, sizeof *cache->entries);
    if (!cache || !cache->entries) {
        fn_free(cache);
        return fn_fail_memory();
    }
    cache->dataset = dataset;
    cache->max_bytes = max_bytes;
    atomic_init(&cache->n_bytes, 0);
    for (size_t i = 0; i < n; i++)
        atomic_init(&cache->entries[i], NULL);
    *out = cache;
    return FN_OK;
}

void fn_crop_cache_free(fn_crop_cache *cache) {
    if (!cache)
        return;
    for (int i = 0; i < fn_dataset_n_images(cache->dataset); i++)
        fn_free(atomic_load_explicit(&cache->entries[i], memory_order_relaxed));
    fn_free(cache->entries);
    fn_free(cache);
}

static void show(fn_image *out, const entry *e) {
    *out = (fn_image){e->pixels, e->width, e->height, (ptrdiff_t)e->width * 3, FN_PIXEL_RGB8};
}

static int decode(entry **out, const fn_dataset *dataset, int image) {
    fn_picture *picture = NULL;
    char *path = fn_dataset_image_path(dataset, image);
    int rc = path ? fn_decode_file(&picture, path, NULL) : FN_ENOMEM;
    fn_free(path);
    if (rc < 0)
        return rc;
    const fn_image *pixels = fn_picture_image(picture);
    entry *e = fn_alloc(sizeof *e + (size_t)pixels->width * (size_t)pixels->height * 3);
    if (e) {
        e->width = pixels->width;
        e->height = pixels->height;
        fn_image_to_rgb(e->pixels, pixels);
    }
    fn_picture_free(picture);
    *out = e;
    return e ? FN_OK : fn_fail_memory();
}

/// 1 when the cache has taken the entry.
static int keep(fn_crop_cache *cache, int image, entry *e) {
    size_t n = (size_t)e->width * (size_t)e->height * 3;
    entry *none = NULL;
    if (atomic_fetch_add(&cache->n_bytes, n) + n <= cache->max_bytes &&
        atomic_compare_exchange_strong(&cache->entries[image], &none, e))
        return 1;
    atomic_fetch_sub(&cache->n_bytes, n); // full, or another thread was first
    return 0;
}

int fn_crop_cache_get(fn_crop_cache *cache, int image, fn_image *out, unsigned char **owned) {
    *owned = NULL;
    entry *e = atomic_load_explicit(&cache->entries[image], memory_order_acquire);
    if (!e) {
        int rc = decode(&e, cache->dataset, image);
        if (rc < 0)
            return rc;
        if (!keep(cache, image, e))
            *owned = (unsigned char *)e;
    }
    show(out, e);
    return FN_OK;
}
