// SPDX-License-Identifier: Apache-2.0
//
// The networks to train: a list of them, and one of them layer by layer.
#include "networks.h"
#include "cli.h"
#include "output.h"

#include <string.h>

static const fn_network *find(const char *name) {
    for (int i = 0; i < fn_network_len(); i++)
        if (strcmp(fn_network_get(i)->name, name) == 0)
            return fn_network_get(i);
    return NULL;
}

int cli_is_network(const char *name) {
    return find(name) != NULL;
}

void cli_network_names(char *dst, size_t size_bytes) {
    size_t n = 0;
    *dst = 0;
    for (int i = 0; i < fn_network_len() && n < size_bytes; i++) {
        int wrote = snprintf(dst + n, size_bytes - n, "%s%s", i ? ", " : "", fn_network_get(i)->name);
        n += wrote > 0 ? (size_t)wrote : size_bytes;
    }
}

static json_t *json_of(const fn_network *n) {
    return json_pack("{s:s, s:s, s:s, s:i, s:i, s:i, s:[f, f, f], s:f}", "name", n->name, "description",
                     n->description, "source", n->source, "width", n->width, "height", n->height, "embedding",
                     n->embedding, "mean", (double)n->mean[0], (double)n->mean[1], (double)n->mean[2],
                     "scale", (double)n->scale);
}

int cli_network_list(void) {
    for (int i = 0; i < fn_network_len(); i++) {
        const fn_network *n = fn_network_get(i);
        if (cli.json)
            cli_json_line(json_of(n));
        else
            printf("%s\t%dx%d\t%d\t%s\t%s\n", n->name, n->height, n->width, n->embedding, n->description,
                   n->source);
    }
    return CLI_DONE;
}

/// Sums over the layers, and the layers themselves for JSON.
typedef struct totals {
    int64_t trained, statistics, multiply_adds;
    json_t *layers;
} totals;

/// "3x3/2" for a square window, "1x7/1" for another, "-" for none.
static void window_text(char dst[64], const fn_network_layer *l) {
    if (!l->kernel[0])
        snprintf(dst, 64, "-");
    else if (l->stride[0] == l->stride[1])
        snprintf(dst, 64, "%dx%d/%d", l->kernel[0], l->kernel[1], l->stride[0]);
    else
        snprintf(dst, 64, "%dx%d/%dx%d", l->kernel[0], l->kernel[1], l->stride[0], l->stride[1]);
}

static int print_layer(void *user, const fn_network_layer *l) {
    totals *t = user;
    char window[64];
    window_text(window, l);
    t->trained += l->n_trained;
    t->statistics += l->n_statistics;
    t->multiply_adds += l->n_multiply_adds;
    if (cli.json) {
        json_t *shape = json_array();
        for (int i = 0; i < l->rank; i++)
            json_array_append_new(shape, json_integer(l->shape[i]));
        json_array_append_new(t->layers,
                              json_pack("{s:s, s:s, s:s, s:o, s:I, s:I, s:I}", "operator", l->op, "name",
                                        l->name, "window", window, "shape", shape, "parameters",
                                        (json_int_t)l->n_trained, "statistics", (json_int_t)l->n_statistics,
                                        "multiply_adds", (json_int_t)l->n_multiply_adds));
        return 0;
    }
    printf("%s\t%s\t%s\t", l->op, l->name, window);
    for (int i = 0; i < l->rank; i++)
        printf("%s%lld", i ? "x" : "", (long long)l->shape[i]);
    printf("\t%lld\t%lld\n", (long long)l->n_trained, (long long)l->n_multiply_adds);
    return 0;
}

int cli_network_info(const char *name, int embedding, int size) {
    const fn_network *network = find(name);
    totals t = {.layers = cli.json ? json_array() : NULL};
    int rc = fn_network_layers(name, embedding, size, print_layer, &t);
    if (rc < 0) {
        cli_error("%s", fn_last_error());
        json_decref(t.layers);
        return rc == FN_EINVAL ? CLI_USAGE : CLI_MODEL;
    }
    if (cli.json) {
        json_t *object = json_of(network);
        json_object_set_new(object, "parameters", json_integer(t.trained));
        json_object_set_new(object, "statistics", json_integer(t.statistics));
        json_object_set_new(object, "multiply_adds", json_integer(t.multiply_adds));
        json_object_set_new(object, "layers", t.layers);
        cli_json_line(object);
        return CLI_DONE;
    }
    printf("total\t%s\t-\t-\t%lld\t%lld\n", name, (long long)t.trained, (long long)t.multiply_adds);
    printf("with statistics\t%s\t-\t-\t%lld\t-\n", name, (long long)(t.trained + t.statistics));
    return CLI_DONE;
}
