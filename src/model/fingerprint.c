// SPDX-License-Identifier: Apache-2.0
//
// The canonical text of an embedding and the canonical listing of a network. Both must come out the
// same on every machine and after every re-export, so nothing in them depends on names, on the
// locale or on how a file was laid out.
#include "model/fingerprint.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "nn/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "weights are hashed as little-endian bytes");

static const size_t max_listing = (size_t)1 << 28;

/// A listing under way: number[v] is the number of value v, -1 until it is first met.
struct listing {
    const fn_graph *graph;
    fn_buf text;
    int *number;
    int n_numbered;
};

static void put_shape(fn_buf *text, const fn_shape *shape) {
    for (int i = 0; i < shape->rank; i++)
        fn_buf_printf(text, " %lld", (long long)shape->dim[i]);
}

/// The number of a value; a constant is listed in full when it is first met.
static int number_of(struct listing *listing, int index) {
    if (listing->number[index] >= 0)
        return listing->number[index];
    listing->number[index] = listing->n_numbered++;
    const fn_value *value = &listing->graph->values[index];
    if (value->data) {
        char hex[65];
        size_t size = value->dtype == FN_F32 ? sizeof(float) : sizeof(int64_t);
        fn_sha256_hex(hex, value->data, (size_t)fn_shape_count(&value->shape) * size);
        fn_buf_printf(&listing->text, "constant %d %s %s", listing->number[index],
                      value->dtype == FN_F32 ? "f32" : "i64", hex);
        put_shape(&listing->text, &value->shape);
        fn_buf_printf(&listing->text, "\n");
    }
    return listing->number[index];
}

static void put_float(fn_buf *text, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    fn_buf_printf(text, " %08x", bits);
}

static void put_attr(fn_buf *text, const fn_attr *attr) {
    fn_buf_printf(text, " attribute %s", attr->name);
    switch (attr->kind) {
    case FN_ATTR_INT:
        fn_buf_printf(text, " int %lld", (long long)attr->i);
        break;
    case FN_ATTR_FLOAT:
        fn_buf_printf(text, " float");
        put_float(text, attr->f);
        break;
    case FN_ATTR_STRING:
        fn_buf_printf(text, " string %zu %s", strlen(attr->s), attr->s);
        break;
    case FN_ATTR_INTS:
        fn_buf_printf(text, " ints %d", attr->n);
        for (int i = 0; i < attr->n; i++)
            fn_buf_printf(text, " %lld", (long long)attr->ints[i]);
        break;
    case FN_ATTR_FLOATS:
        fn_buf_printf(text, " floats %d", attr->n);
        for (int i = 0; i < attr->n; i++)
            put_float(text, attr->floats[i]);
        break;
    }
}

static int by_name(const void *a, const void *b) {
    const fn_attr *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static int put_attrs(fn_buf *text, const fn_node *node) {
    const fn_attr **sorted = fn_calloc((size_t)node->n_attrs, sizeof *sorted);
    if (!sorted)
        return fn_fail_memory();
    for (int i = 0; i < node->n_attrs; i++)
        sorted[i] = &node->attrs[i];
    qsort(sorted, (size_t)node->n_attrs, sizeof *sorted, by_name);
    for (int i = 0; i < node->n_attrs; i++)
        put_attr(text, sorted[i]);
    fn_free(sorted);
    return FN_OK;
}

static int put_node(struct listing *listing, const fn_node *node) {
    int n_inputs = node->n_inputs;
    while (n_inputs > 0 && node->inputs[n_inputs - 1] < 0) // absent at the end or not listed: the same
        n_inputs--;
    for (int i = 0; i < n_inputs; i++) // constants come before the line that uses them
        if (node->inputs[i] >= 0)
            number_of(listing, node->inputs[i]);
    fn_buf_printf(&listing->text, "node %s from", node->op->name);
    for (int i = 0; i < n_inputs; i++)
        fn_buf_printf(&listing->text, " %d", node->inputs[i] < 0 ? -1 : number_of(listing, node->inputs[i]));
    fn_buf_printf(&listing->text, " to");
    for (int i = 0; i < node->n_outputs; i++)
        fn_buf_printf(&listing->text, " %d", number_of(listing, node->outputs[i]));
    int rc = put_attrs(&listing->text, node);
    fn_buf_printf(&listing->text, "\n");
    return rc;
}

int fn_graph_sha256(char hex[65], const fn_graph *graph) {
    int rc = FN_OK;
    struct listing listing = {.graph = graph};
    fn_buf_init(&listing.text, max_listing);
    if (!(listing.number = fn_calloc((size_t)graph->n_values, sizeof *listing.number)))
        return fn_fail_memory();
    for (int i = 0; i < graph->n_values; i++)
        listing.number[i] = -1;
    for (int i = 0; i < graph->n_inputs; i++) {
        fn_buf_printf(&listing.text, "input %d", number_of(&listing, graph->inputs[i]));
        put_shape(&listing.text, &graph->values[graph->inputs[i]].shape);
        fn_buf_printf(&listing.text, "\n");
    }
    for (int i = 0; i < graph->n_nodes && rc == FN_OK; i++)
        rc = put_node(&listing, &graph->nodes[i]);
    for (int i = 0; i < graph->n_outputs; i++) {
        int number = number_of(&listing, graph->outputs[i]);
        fn_buf_printf(&listing.text, "output %d\n", number);
    }
    if (rc == FN_OK && (rc = listing.text.failed) == FN_OK)
        fn_sha256_hex(hex, listing.text.data, listing.text.len);
    fn_buf_free(&listing.text);
    fn_free(listing.number);
    return rc;
}

/// " %.9g" with a point, whatever the program's locale says.
static void put_number(fn_buf *text, double value) {
    char number[40];
    snprintf(number, sizeof number, " %.9g", value);
    for (char *c = number; *c; c++)
        if (*c == ',')
            *c = '.';
    fn_buf_append(text, number, strlen(number));
}

static int by_text(const void *a, const void *b) {
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static int put_sources(fn_buf *text, const char *const *sha256, int n) {
    const char **sorted = fn_calloc((size_t)n, sizeof *sorted);
    if (!sorted)
        return fn_fail_memory();
    for (int i = 0; i < n; i++)
        sorted[i] = sha256[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_text);
    for (int i = 0; i < n; i++)
        fn_buf_printf(text, "source: %s\n", sorted[i]);
    fn_free(sorted);
    return FN_OK;
}

static int is_one_line(const char *text) {
    return !strpbrk(text, "\r\n");
}

static int check(const fn_canonical *what) {
    if (!what->importer || !what->graph || !what->input || what->n_sources < 0)
        return fn_fail(FN_EINVAL, "a canonical text needs an importer, a graph and an input");
    int clean = is_one_line(what->importer) && is_one_line(what->template_text ? what->template_text : "") &&
                is_one_line(what->projection ? what->projection : "");
    for (int i = 0; i < what->n_sources; i++)
        clean = clean && strlen(what->source_sha256[i]) == 64 &&
                strspn(what->source_sha256[i], "0123456789abcdef") == 64;
    return clean ? FN_OK : fn_fail(FN_EINVAL, "a field of a canonical text is not one clean line");
}

int fn_canonical_make(char **out, const fn_canonical *what) {
    *out = NULL;
    char graph[65];
    int rc = check(what);
    if (rc < 0 || (rc = fn_graph_sha256(graph, what->graph)) < 0)
        return rc;
    fn_buf text;
    fn_buf_init(&text, 1 << 20);
    fn_buf_printf(&text, "facenet-embedding: 1\nimporter: %s %d\n", what->importer, what->importer_version);
    if ((rc = put_sources(&text, what->source_sha256, what->n_sources)) < 0) {
        fn_buf_free(&text);
        return rc;
    }
    fn_buf_printf(&text, "graph: %s\ninput: %d %d %s", graph, what->input->width, what->input->height,
                  what->input->bgr ? "bgr" : "rgb");
    for (int c = 0; c < 3; c++)
        put_number(&text, (double)what->input->mean[c]);
    put_number(&text, (double)what->input->scale);
    fn_buf_printf(&text, "\ntemplate: %s\nprojection: %s\nnormalisation: %s\n",
                  what->template_text ? what->template_text : "none",
                  what->projection ? what->projection : "none", what->unit_length ? "unit" : "none");
    rc = text.failed;
    *out = fn_buf_take(&text);
    return *out ? FN_OK : rc ? rc : fn_fail_memory();
}

int fn_canonical_get(char *dst, size_t size, const char *canonical, const char *key) {
    size_t n = strlen(key);
    for (const char *line = canonical; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t length = end ? (size_t)(end - line) : strlen(line);
        if (length >= n + 2 && strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0) {
            snprintf(dst, size, "%.*s", (int)(length - n - 2), line + n + 2);
            return 1;
        }
        line = end ? end + 1 : NULL;
    }
    return 0;
}

void fn_fingerprint(char hex[65], const char *canonical) {
    fn_sha256_hex(hex, canonical, strlen(canonical));
}
