// SPDX-License-Identifier: Apache-2.0
//
// Reading TensorFlow.js weights. A manifest is a JSON array of groups {paths, weights}; the files of a
// group are joined, and its tensors follow each other in them without alignment. A quantised tensor
// holds one byte q per value, which stands for scale * q + min, computed in double and rounded once to
// float32. Format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
#include "model/import_tfjs.h"

#include "base/alloc.h"
#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#define MAX_TENSORS 4096
#define MAX_PATHS 64

struct fn_tfjs {
    fn_tfjs_tensor *tensors;
    int n;
};

/// What the manifest says about one tensor.
typedef struct entry {
    const char *name, *dtype;
    fn_shape shape;
    size_t count;
    int quantised;
    double scale, min;
} entry;

static const char *basename_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int read_shape(entry *e, const json_t *dims) {
    size_t rank = json_array_size(dims);
    if (!json_is_array(dims) || rank > FN_MAX_RANK)
        return fn_fail(FN_EFORMAT, "tensor '%.80s' has no shape of at most %d dimensions", e->name,
                       FN_MAX_RANK);
    e->shape = (fn_shape){.rank = (int)rank};
    for (size_t i = 0; i < rank; i++) {
        const json_t *dim = json_array_get(dims, i);
        if (!json_is_integer(dim) || json_integer_value(dim) < 1 || json_integer_value(dim) > INT32_MAX)
            return fn_fail(FN_EFORMAT, "tensor '%.80s' has a dimension that is not a positive number",
                           e->name);
        e->shape.dim[i] = json_integer_value(dim);
    }
    int64_t count = fn_shape_count(&e->shape);
    if (count < 0)
        return fn_fail(FN_EFORMAT, "tensor '%.80s' is too large", e->name);
    e->count = (size_t)count;
    return FN_OK;
}

static int read_entry(entry *e, const json_t *object) {
    memset(e, 0, sizeof *e);
    e->name = json_string_value(json_object_get(object, "name"));
    e->dtype = json_string_value(json_object_get(object, "dtype"));
    if (!e->name || !e->dtype)
        return fn_fail(FN_EFORMAT, "a tensor of the manifest has no name or no dtype");
    int rc = read_shape(e, json_object_get(object, "shape"));
    if (rc < 0)
        return rc;
    if (strcmp(e->dtype, "float32") != 0 && strcmp(e->dtype, "int32") != 0)
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' has data type '%.40s'", e->name, e->dtype);
    const json_t *quantisation = json_object_get(object, "quantization");
    if (!quantisation)
        return FN_OK;
    const char *dtype = json_string_value(json_object_get(quantisation, "dtype"));
    const json_t *scale = json_object_get(quantisation, "scale");
    const json_t *min = json_object_get(quantisation, "min");
    if (!dtype || !json_is_number(scale) || !json_is_number(min))
        return fn_fail(FN_EFORMAT, "tensor '%.80s': the quantisation lacks dtype, scale or min", e->name);
    if (strcmp(dtype, "uint8") != 0)
        return fn_fail(FN_EUNSUPPORTED, "tensor '%.80s' is quantised to '%.40s'", e->name, dtype);
    e->quantised = 1;
    e->scale = json_number_value(scale);
    e->min = json_number_value(min);
    return FN_OK;
}

static float float_le(const unsigned char *p) {
    uint32_t bits = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/// Takes one tensor from the group's bytes; *bytes and *n move past it.
static int read_tensor(fn_tfjs *weights, const entry *e, const unsigned char **bytes, size_t *n) {
    size_t width = e->quantised ? 1 : 4, size;
    if (!fn_size_mul(&size, e->count, width) || size > *n)
        return fn_fail(FN_EFORMAT, "tensor '%.80s' reaches past the end of its file", e->name);
    fn_tfjs_tensor *tensor = &weights->tensors[weights->n];
    *tensor = (fn_tfjs_tensor){.shape = e->shape, .n = e->count};
    tensor->name = fn_strdup(e->name);
    if (!tensor->name)
        return fn_fail_memory();
    weights->n++;
    const unsigned char *src = *bytes;
    *bytes += size;
    *n -= size;
    if (strcmp(e->dtype, "int32") == 0)
        return FN_OK;
    size_t memory;
    if (!fn_size_mul(&memory, e->count, sizeof(float)) || !(tensor->data = fn_alloc(memory)))
        return fn_fail_memory();
    for (size_t i = 0; i < e->count; i++) {
        float value = e->quantised ? (float)(e->scale * src[i] + e->min) : float_le(src + 4 * i);
        if (!isfinite(value))
            return fn_fail(FN_EFORMAT, "tensor '%.80s' holds a number that is not finite", e->name);
        tensor->data[i] = value;
    }
    return FN_OK;
}

/// The bytes of a group: those of its only file, or new memory in *joined.
static int group_bytes(const unsigned char **bytes, size_t *n, unsigned char **joined, const json_t *paths,
                       const fn_tfjs_part *parts, int n_parts) {
    size_t n_paths = json_array_size(paths), total = 0;
    if (!n_paths || n_paths > MAX_PATHS)
        return fn_fail(FN_EFORMAT, "a group of the manifest names %zu files", n_paths);
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (size_t i = 0; i < n_paths; i++) {
            const char *path = json_string_value(json_array_get(paths, i));
            const fn_tfjs_part *part = NULL;
            for (int k = 0; path && k < n_parts; k++)
                if (strcmp(basename_of(parts[k].path), basename_of(path)) == 0)
                    part = &parts[k];
            if (!part)
                return fn_fail(FN_EFORMAT, "the manifest needs the file '%.80s'", path ? path : "?");
            if (n_paths == 1) {
                *bytes = part->bytes;
                *n = part->n_bytes;
                return FN_OK;
            }
            if (pass && part->n_bytes)
                memcpy(*joined + at, part->bytes, part->n_bytes);
            if (__builtin_add_overflow(at, part->n_bytes, &at))
                return fn_fail_memory();
        }
        total = at;
        if (!pass && !(*joined = fn_alloc(total)))
            return fn_fail_memory();
    }
    *bytes = *joined;
    *n = total;
    return FN_OK;
}

static int read_group(fn_tfjs *weights, const json_t *group, const fn_tfjs_part *parts, int n_parts) {
    const json_t *entries = json_object_get(group, "weights");
    if (!json_is_array(entries))
        return fn_fail(FN_EFORMAT, "a group of the manifest has no weights");
    size_t n_entries = json_array_size(entries);
    if (n_entries > (size_t)(MAX_TENSORS - weights->n))
        return fn_fail(FN_ELIMIT, "the manifest names more than %d tensors", MAX_TENSORS);
    fn_tfjs_tensor *grown =
        fn_realloc(weights->tensors, (size_t)weights->n + n_entries, sizeof *weights->tensors);
    if (!grown)
        return fn_fail_memory();
    weights->tensors = grown;
    unsigned char *joined = NULL;
    const unsigned char *bytes = NULL;
    size_t n = 0;
    int rc = group_bytes(&bytes, &n, &joined, json_object_get(group, "paths"), parts, n_parts);
    size_t total = n;
    for (size_t i = 0; i < n_entries && rc == FN_OK; i++) {
        entry e;
        rc = read_entry(&e, json_array_get(entries, i));
        if (rc == FN_OK)
            rc = read_tensor(weights, &e, &bytes, &n);
    }
    if (rc == FN_OK && n)
        rc = fn_fail(FN_EFORMAT, "%zu of %zu bytes belong to no tensor of the manifest", n, total);
    fn_free(joined);
    return rc;
}

int fn_tfjs_open(fn_tfjs **out, const void *manifest, size_t n_manifest, const fn_tfjs_part *parts,
                 int n_parts) {
    *out = NULL;
    json_error_t error;
    json_t *root = json_loadb(manifest, n_manifest, 0, &error);
    if (!root)
        return fn_fail(FN_EFORMAT, "the manifest is not JSON: %s, line %d", error.text, error.line);
    int rc = FN_OK;
    fn_tfjs *weights = fn_calloc(1, sizeof *weights);
    if (!weights)
        rc = fn_fail_memory();
    else if (!json_is_array(root))
        rc = fn_fail(FN_EFORMAT, "the manifest is not a list of groups");
    for (size_t i = 0; rc == FN_OK && i < json_array_size(root); i++)
        rc = read_group(weights, json_array_get(root, i), parts, n_parts);
    if (rc == FN_OK) {
        *out = weights;
        weights = NULL;
    }
    fn_tfjs_free(weights);
    json_decref(root);
    return rc;
}

void fn_tfjs_free(fn_tfjs *weights) {
    if (!weights)
        return;
    for (int i = 0; i < weights->n; i++) {
        fn_free(weights->tensors[i].name);
        fn_free(weights->tensors[i].data);
    }
    fn_free(weights->tensors);
    fn_free(weights);
}

int fn_tfjs_len(const fn_tfjs *weights) {
    return weights->n;
}

const fn_tfjs_tensor *fn_tfjs_get(const fn_tfjs *weights, int index) {
    return &weights->tensors[index];
}

const fn_tfjs_tensor *fn_tfjs_need(const fn_tfjs *weights, fn_graph *graph, const char *name,
                                   fn_shape shape) {
    for (int i = 0; i < weights->n; i++) {
        const fn_tfjs_tensor *tensor = &weights->tensors[i];
        if (strcmp(tensor->name, name) != 0)
            continue;
        if (tensor->data && fn_shape_equal(&tensor->shape, &shape))
            return tensor;
        fn_graph_fail(graph, FN_EFORMAT, "tensor '%.80s' is not of the shape that the network needs", name);
        return NULL;
    }
    fn_graph_fail(graph, FN_EFORMAT, "the weights lack tensor '%.80s'", name);
    return NULL;
}

void fn_tfjs_to_oihw(float *dst, const float *src, int size, int in, int out, const float *scale) {
    size_t area = (size_t)size * (size_t)size, n_in = (size_t)in, n_out = (size_t)out;
    for (size_t o = 0; o < n_out; o++)
        for (size_t i = 0; i < n_in; i++)
            for (size_t p = 0; p < area; p++) {
                double value = src[(p * n_in + i) * n_out + o];
                dst[(o * n_in + i) * area + p] = (float)(scale ? value * scale[o] : value);
            }
}

/// A constant whose numbers are those of a (size, size, in, out) tensor, reordered to `shape`.
static int reordered(fn_graph *graph, const fn_tfjs *weights, const char *name, fn_shape stored, int size,
                     int in, int out, fn_shape shape) {
    const fn_tfjs_tensor *tensor = fn_tfjs_need(weights, graph, name, stored);
    if (!tensor)
        return -1;
    float *data = fn_calloc(tensor->n, sizeof *data);
    if (!data)
        return fn_graph_fail(graph, FN_ENOMEM, "out of memory");
    fn_tfjs_to_oihw(data, tensor->data, size, in, out, NULL);
    int value = fn_graph_constant(graph, name, FN_F32, shape, data);
    fn_free(data);
    return value;
}

int fn_tfjs_filters(fn_graph *graph, const fn_tfjs *weights, const char *name, int size, int in, int out) {
    return reordered(graph, weights, name, fn_shape_make(4, size, size, in, out), size, in, out,
                     fn_shape_make(4, out, in, size, size));
}

int fn_tfjs_depthwise(fn_graph *graph, const fn_tfjs *weights, const char *name, int size, int channels) {
    // (size, size, channels, 1): one filter per channel, so channels play the part of the outputs.
    return reordered(graph, weights, name, fn_shape_make(4, size, size, channels, 1), size, 1, channels,
                     fn_shape_make(4, channels, 1, size, size));
}

int fn_tfjs_matrix(fn_graph *graph, const fn_tfjs *weights, const char *name, int in, int out) {
    return reordered(graph, weights, name, fn_shape_make(2, in, out), 1, in, out, fn_shape_make(2, out, in));
}

int fn_tfjs_vector(fn_graph *graph, const fn_tfjs *weights, const char *name, int n) {
    const fn_tfjs_tensor *tensor = fn_tfjs_need(weights, graph, name, fn_shape_make(1, n));
    return tensor ? fn_graph_constant(graph, name, FN_F32, tensor->shape, tensor->data) : -1;
}
