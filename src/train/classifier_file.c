// SPDX-License-Identifier: Apache-2.0
//
// A classifier as one JSON file. Words are JSON; blocks of numbers are base64 of their little-endian bytes,
// so that what is read back decides as before to the last bit. Sizes are checked against each other before
// use.
#include "train/classifier.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"

#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <sodium.h>
#include <string.h>

#define FORMAT "facenet-classifier-1"
#define MAX_FILE ((uint64_t)1 << 32)
enum { VARIANT = sodium_base64_VARIANT_ORIGINAL };
static const char *const kinds[] = {[FN_CLASSIFIER_SVM] = "svm", [FN_CLASSIFIER_KNN] = "knn"};

// ---- writing ---------------------------------------------------------------------------------

static void set(json_t *root, const char *key, json_t *value, int *failed) {
    if (json_object_set_new(root, key, value)) // fails for NULL values too
        *failed = 1;
}

static void set_block(json_t *root, const char *key, const void *data, size_t bytes, int *failed) {
    size_t size = sodium_base64_ENCODED_LEN(bytes, VARIANT);
    char *text = fn_alloc(size);
    if (text)
        sodium_bin2base64(text, size, data, bytes, VARIANT);
    set(root, key, text ? json_string(text) : NULL, failed);
    fn_free(text);
}

static void set_svm(json_t *root, const fn_svm *svm, int *failed) {
    const size_t k = (size_t)svm->n_classes, l = (size_t)svm->n_vectors;
    json_t *n_of = json_array();
    for (size_t i = 0; i < k; i++)
        if (json_array_append_new(n_of, json_integer(svm->n_of[i])))
            *failed = 1;
    set(root, "vectors_of", n_of, failed);
    set(root, "slope", json_real(svm->slope), failed);
    set_block(root, "vectors", svm->vectors, l * (size_t)svm->dimension * sizeof(float), failed);
    set_block(root, "coefficients", svm->coefficients, (k - 1) * l * sizeof(double), failed);
    set_block(root, "rho", svm->rho, k * (k - 1) / 2 * sizeof(double), failed);
}

static void set_knn(json_t *root, const fn_classifier *c, int *failed) {
    json_t *labels = json_array();
    for (int i = 0; i < c->n_rows; i++)
        if (json_array_append_new(labels, json_integer(c->labels[i])))
            *failed = 1;
    set(root, "labels", labels, failed);
    set(root, "k", json_integer(c->k), failed);
    set(root, "max_distance", json_real(c->max_distance), failed);
    set_block(root, "rows", c->rows, (size_t)c->n_rows * (size_t)c->dimension * sizeof(float), failed);
}

static int append(const char *bytes, size_t n, void *buf) {
    return fn_buf_append(buf, bytes, n) == FN_OK ? 0 : -1;
}

// A folder's name need not be UTF-8, and JSON must be: such a name is refused rather than changed.
static int check_names(const fn_classifier *c) {
    for (int i = 0; i < c->n_people; i++)
        if (!fn_utf8_valid(c->names[i], strlen(c->names[i])))
            return fn_fail(FN_EINVAL, "the name of person %d is not UTF-8: rename the folder", i);
    return FN_OK;
}

int fn_classifier_format(fn_buf *out, const fn_classifier *c) {
    int rc = check_names(c), failed = 0;
    if (rc < 0)
        return rc;
    json_t *root = json_object(), *names = json_array();
    for (int i = 0; i < c->n_people; i++)
        if (json_array_append_new(names, json_string(c->names[i])))
            failed = 1;
    set(root, "format", json_string(FORMAT), &failed);
    set(root, "kind", json_string(kinds[c->kind]), &failed);
    set(root, "fingerprint", json_string(c->fingerprint), &failed);
    set(root, "dimension", json_integer(c->dimension), &failed);
    set(root, "names", names, &failed);
    if (c->kind == FN_CLASSIFIER_SVM)
        set_svm(root, &c->svm, &failed);
    else
        set_knn(root, c, &failed);
    if (!failed && json_dump_callback(root, append, out, JSON_INDENT(1)))
        failed = 1;
    fn_buf_append(out, "\n", 1);
    json_decref(root);
    return out->failed ? out->failed : failed ? fn_fail_memory() : FN_OK;
}

int fn_classifier_save(const fn_classifier *c, const char *path) {
    fn_buf buf;
    fn_buf_init(&buf, MAX_FILE);
    int rc = fn_classifier_format(&buf, c);
    if (rc == FN_OK)
        rc = fn_write_file(path, buf.data, buf.len, 0600);
    fn_buf_free(&buf);
    return rc;
}

// ---- reading ---------------------------------------------------------------------------------

static int wrong(const char *key) {
    return fn_fail(FN_EFORMAT, "\"%s\" is missing or wrong", key);
}

static int get_integer(const json_t *root, const char *key, int low, int high, int *out) {
    const json_t *value = json_object_get(root, key);
    if (!json_is_integer(value) || json_integer_value(value) < low || json_integer_value(value) > high)
        return wrong(key);
    *out = (int)json_integer_value(value);
    return FN_OK;
}

static int get_real(const json_t *root, const char *key, double *out) {
    const json_t *value = json_object_get(root, key);
    *out = json_number_value(value);
    return json_is_number(value) && *out >= 0 ? FN_OK : wrong(key);
}

// A block of n items of `size` bytes, no more and no less, in new memory.
static int get_block(const json_t *root, const char *key, size_t n, size_t size, void *out) {
    const json_t *value = json_object_get(root, key);
    size_t bytes, got = 0;
    if (!json_is_string(value) || !fn_size_mul(&bytes, n, size) ||
        bytes > json_string_length(value)) // base64 is longer than what it holds
        return wrong(key);
    unsigned char *block = fn_alloc(bytes);
    if (!block)
        return fn_fail_memory();
    const char *text = json_string_value(value), *end = NULL;
    if (sodium_base642bin(block, bytes, text, json_string_length(value), NULL, &got, &end, VARIANT) || *end ||
        got != bytes) {
        fn_free(block);
        return wrong(key);
    }
    memcpy(out, &block, sizeof block);
    return FN_OK;
}

// Whole numbers low..high of an array of n, into new memory.
static int get_integers(const json_t *root, const char *key, size_t n, int low, int high, int **out) {
    const json_t *array = json_object_get(root, key), *value;
    if (!json_is_array(array) || json_array_size(array) != n)
        return wrong(key);
    int *dst = *out = fn_calloc(n, sizeof *dst);
    if (!dst)
        return fn_fail_memory();
    size_t i;
    json_array_foreach(array, i, value) {
        if (!json_is_integer(value) || json_integer_value(value) < low || json_integer_value(value) > high)
            return wrong(key);
        dst[i] = (int)json_integer_value(value);
    }
    return FN_OK;
}

static int all_finite(const float *floats, size_t n_floats, const double *doubles, size_t n_doubles) {
    for (size_t i = 0; i < n_floats; i++)
        if (!isfinite(floats[i]))
            return 0;
    for (size_t i = 0; i < n_doubles; i++)
        if (!isfinite(doubles[i]))
            return 0;
    return 1;
}

static int get_svm(const json_t *root, fn_classifier *c) {
    fn_svm *svm = &c->svm;
    const size_t k = (size_t)c->n_people, d = (size_t)c->dimension;
    if (k < 2)
        return wrong("names");
    svm->n_classes = c->n_people;
    svm->dimension = c->dimension;
    int rc = get_integers(root, "vectors_of", k, 0, INT_MAX, &svm->n_of);
    size_t l = 0;
    for (size_t i = 0; i < k && rc == FN_OK; i++)
        l += (size_t)svm->n_of[i];
    if (rc == FN_OK && l > INT_MAX)
        rc = wrong("vectors_of");
    svm->n_vectors = (int)l;
    if (rc == FN_OK)
        rc = get_real(root, "slope", &svm->slope);
    if (rc == FN_OK)
        rc = get_block(root, "vectors", l, d * sizeof(float), &svm->vectors);
    if (rc == FN_OK)
        rc = get_block(root, "coefficients", l, (k - 1) * sizeof(double), &svm->coefficients);
    if (rc == FN_OK)
        rc = get_block(root, "rho", k * (k - 1) / 2, sizeof(double), &svm->rho);
    if (rc == FN_OK && (!all_finite(svm->vectors, l * d, svm->coefficients, (k - 1) * l) ||
                        !all_finite(NULL, 0, svm->rho, k * (k - 1) / 2)))
        rc = wrong("vectors");
    return rc;
}

static int get_knn(const json_t *root, fn_classifier *c) {
    size_t n = json_array_size(json_object_get(root, "labels"));
    if (n == 0 || n > INT_MAX)
        return wrong("labels");
    c->n_rows = (int)n;
    int rc = get_integers(root, "labels", n, 0, c->n_people - 1, &c->labels);
    if (rc == FN_OK)
        rc = get_integer(root, "k", 1, INT_MAX, &c->k);
    if (rc == FN_OK)
        rc = get_real(root, "max_distance", &c->max_distance);
    if (rc == FN_OK)
        rc = get_block(root, "rows", n, (size_t)c->dimension * sizeof(float), &c->rows);
    if (rc == FN_OK && !all_finite(c->rows, n * (size_t)c->dimension, NULL, 0))
        rc = wrong("rows");
    return rc;
}

static int get_names(const json_t *root, fn_classifier *c) {
    const json_t *names = json_object_get(root, "names"), *name;
    size_t n = json_array_size(names), i;
    if (n == 0 || n > 1 << 20)
        return wrong("names");
    c->names = fn_calloc(n, sizeof *c->names);
    if (!c->names)
        return fn_fail_memory();
    json_array_foreach(names, i, name) {
        if (!json_is_string(name))
            return wrong("names");
        c->names[i] = fn_strdup(json_string_value(name));
        if (!c->names[i])
            return fn_fail_memory();
        c->n_people = (int)i + 1;
    }
    return FN_OK;
}

static int parse(const json_t *root, fn_classifier *c) {
    const char *format = json_string_value(json_object_get(root, "format"));
    const char *kind = json_string_value(json_object_get(root, "kind"));
    const char *fingerprint = json_string_value(json_object_get(root, "fingerprint"));
    if (!format || strcmp(format, FORMAT) != 0)
        return fn_fail(FN_EFORMAT, "not a classifier of this version of facenet");
    if (!kind || (strcmp(kind, "svm") != 0 && strcmp(kind, "knn") != 0))
        return wrong("kind");
    if (!fingerprint)
        return wrong("fingerprint");
    c->kind = strcmp(kind, "svm") == 0 ? FN_CLASSIFIER_SVM : FN_CLASSIFIER_KNN;
    c->fingerprint = fn_strdup(fingerprint);
    if (!c->fingerprint)
        return fn_fail_memory();
    int rc = get_integer(root, "dimension", 1, 1 << 16, &c->dimension);
    if (rc == FN_OK)
        rc = get_names(root, c);
    if (rc == FN_OK)
        rc = c->kind == FN_CLASSIFIER_SVM ? get_svm(root, c) : get_knn(root, c);
    return rc;
}

int fn_classifier_parse(fn_classifier **out, const void *text, size_t n, const char *name) {
    json_error_t error;
    int rc;
    *out = NULL;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    fn_classifier *c = fn_calloc(1, sizeof *c);
    if (!c)
        rc = fn_fail_memory();
    else if (!json_is_object(root))
        rc = fn_fail(FN_EFORMAT, "not a classifier: %s at byte %d", error.text, error.position);
    else
        rc = parse(root, c);
    if (rc == FN_EFORMAT)
        fn_fail_prefix(rc, "%s", name);
    json_decref(root);
    if (rc < 0)
        fn_classifier_free(c);
    else
        *out = c;
    return rc;
}

int fn_classifier_load(fn_classifier **out, const char *path) {
    unsigned char *text;
    size_t n;
    *out = NULL;
    int rc = fn_read_file(&text, &n, path, MAX_FILE);
    if (rc < 0)
        return rc;
    rc = fn_classifier_parse(out, text, n, path);
    fn_free(text);
    return rc;
}
