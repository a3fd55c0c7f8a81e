// SPDX-License-Identifier: Apache-2.0
//
// The key and value texts that travel in a model file. They keep their order: the same model is the
// same bytes.
#include "model/onnx.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

static int find(const fn_metadata *metadata, const char *key) {
    for (int i = 0; i < metadata->n; i++)
        if (strcmp(metadata->keys[i], key) == 0)
            return i;
    return -1;
}

const char *fn_metadata_get(const fn_metadata *metadata, const char *key) {
    int i = find(metadata, key);
    return i < 0 ? NULL : metadata->values[i];
}

static void remove_at(fn_metadata *metadata, int i) {
    fn_free(metadata->keys[i]);
    fn_free(metadata->values[i]);
    size_t after = (size_t)(metadata->n - i - 1);
    memmove(&metadata->keys[i], &metadata->keys[i + 1], after * sizeof *metadata->keys);
    memmove(&metadata->values[i], &metadata->values[i + 1], after * sizeof *metadata->values);
    metadata->n--;
}

static int append(fn_metadata *metadata, const char *key, char *value) {
    size_t n = (size_t)metadata->n + 1;
    char **keys = fn_realloc(metadata->keys, n, sizeof *keys);
    if (keys)
        metadata->keys = keys;
    char **values = keys ? fn_realloc(metadata->values, n, sizeof *values) : NULL;
    if (values)
        metadata->values = values;
    char *key_copy = values ? fn_strdup(key) : NULL;
    if (!key_copy)
        return fn_fail_memory();
    metadata->keys[metadata->n] = key_copy;
    metadata->values[metadata->n++] = value;
    return FN_OK;
}

int fn_metadata_set(fn_metadata *metadata, const char *key, const char *value) {
    int i = find(metadata, key);
    if (!value) {
        if (i >= 0)
            remove_at(metadata, i);
        return FN_OK;
    }
    char *copy = fn_strdup(value);
    if (!copy)
        return fn_fail_memory();
    if (i >= 0) {
        fn_free(metadata->values[i]);
        metadata->values[i] = copy;
        return FN_OK;
    }
    int rc = append(metadata, key, copy);
    if (rc < 0)
        fn_free(copy);
    return rc;
}

void fn_metadata_free(fn_metadata *metadata) {
    for (int i = 0; i < metadata->n; i++) {
        fn_free(metadata->keys[i]);
        fn_free(metadata->values[i]);
    }
    fn_free(metadata->keys);
    fn_free(metadata->values);
    memset(metadata, 0, sizeof *metadata);
}
