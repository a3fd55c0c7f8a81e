// SPDX-License-Identifier: Apache-2.0
//
// One training step under a stopwatch, for a driver that alternates it with another runtime:
//     bench_train NETWORK BATCH THREADS [f32|bf16] [ref]
// A step is forward, backward and plain gradient descent; the images are noise (pixel_of), the gradient of
// the embeddings is sin(i). Commands, one a line of standard input, each answered by one line:
//     run N           takes N steps: the median milliseconds
//     cost            multiply-adds of one image: three times those of the forward pass, less those of the
//                     image's own gradient
//     parameters      trained numbers
//     memory          the most memory this process ever held, in MiB
//     peak            multiply-adds per second of one core, in billions
//     graph FILE      writes the network to FILE and its weights to FILE.f32 (see describe.h): "ok"
//     gradients FILE  writes the embeddings and then the gradients of the trained constants as float32; the
//                     weights stay as they are: "ok"
#include "describe.h"
#include "peak.h"

#include "base/error.h"
#include "model/networks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/// What a step works on: n images, rows of d numbers.
typedef struct batch {
    fn_training *training;
    int n, d;
    float *images, *embeddings, *d_embeddings;
} batch;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/// Noise in [-1, 1): what is smooth leaves deep batch-norms little to divide by, and rounding much to say.
static float pixel_of(uint32_t i) {
    i = (i ^ i >> 16) * 0x7feb352dU;
    i = (i ^ i >> 15) * 0x846ca68bU;
    return (float)((i ^ i >> 16) >> 8) / 8388608.0F - 1;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int gradients_of(const batch *b) {
    fn_pass pass = fn_training_pass(b->training);
    pass.momentum = 0.1F;
    memset(fn_training_gradients(b->training), 0,
           fn_training_parameters(b->training)->trained_size * sizeof(float));
    int rc = fn_training_forward(b->training, &pass, b->images, b->n, b->embeddings);
    return rc < 0 ? rc : fn_training_backward(b->training, &pass, b->d_embeddings, b->n, NULL);
}

static int step(const batch *b) {
    const size_t size = fn_training_parameters(b->training)->trained_size;
    float *weights = fn_training_weights(b->training);
    const float *dw = fn_training_gradients(b->training);
    int rc = gradients_of(b);
    for (size_t i = 0; i < size; i++)
        weights[i] -= 1e-4F * dw[i];
    return rc;
}

static int run(const batch *b, int count) {
    static double ms[1000];
    int rc = FN_OK;
    for (int i = 0; i < count && rc == FN_OK; i++) {
        double start = now_ms();
        rc = step(b);
        ms[i] = now_ms() - start;
    }
    qsort(ms, (size_t)count, sizeof *ms, ascending);
    printf("%.4f\n", ms[count / 2]);
    return rc;
}

static int print_cost(const batch *b) {
    const fn_graph *graph = fn_training_graph(b->training);
    const fn_shape input = fn_input_shape(graph, 0, 1, 0, 0);
    fn_inferred inferred;
    int rc = fn_inferred_open(&inferred, graph, &input);
    if (rc < 0)
        return rc;
    int64_t cost = 3 * fn_inferred_cost(graph, &inferred);
    for (int i = 0; i < graph->n_nodes; i++)
        if (graph->nodes[i].inputs[0] == graph->inputs[0])
            cost -= fn_inferred_node_cost(graph, &inferred, i);
    printf("%lld\n", (long long)cost);
    fn_inferred_free(&inferred);
    return FN_OK;
}

static int write_gradients(const batch *b, const char *path) {
    const fn_parameters *p = fn_training_parameters(b->training);
    int rc = gradients_of(b);
    FILE *file = rc == FN_OK ? fopen(path, "wb") : NULL;
    if (!file)
        return rc < 0 ? rc : fn_fail(FN_EIO, "%s: not writable", path);
    fwrite(b->embeddings, sizeof(float), (size_t)b->n * (size_t)b->d, file);
    for (int i = 0; i < p->n_trained; i++)
        fwrite(fn_training_gradients(b->training) + p->trained[i].offset, sizeof(float), p->trained[i].count,
               file);
    rc = ferror(file) ? FN_EIO : FN_OK;
    if (fclose(file) || rc < 0)
        return fn_fail(FN_EIO, "%s: not writable", path);
    puts("ok");
    return FN_OK;
}

static int obey(const batch *b, const char *line) {
    struct rusage usage;
    int count, rc = FN_OK;
    if (strcmp(line, "cost") == 0) {
        rc = print_cost(b);
    } else if (strcmp(line, "parameters") == 0) {
        printf("%lld\n", (long long)fn_parameters_count(fn_training_parameters(b->training), 0));
    } else if (strcmp(line, "memory") == 0) {
        getrusage(RUSAGE_SELF, &usage);
        printf("%ld\n", usage.ru_maxrss / 1024);
    } else if (strcmp(line, "peak") == 0) {
        printf("%.3f\n", bench_peak());
    } else if (strncmp(line, "graph ", 6) == 0) {
        rc = bench_describe(line + 6, b->training, b->n);
        puts("ok");
    } else if (strncmp(line, "gradients ", 10) == 0) {
        rc = write_gradients(b, line + 10);
    } else if (sscanf(line, "run %d", &count) == 1 && count >= 1 && count <= 1000) {
        rc = run(b, count);
    } else {
        rc = fn_fail(FN_EINVAL, "no such command: %s", line);
    }
    fflush(stdout);
    return rc;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_train NETWORK BATCH THREADS [f32|bf16] [ref]\n");
        return 2;
    }
    batch b = {.n = (int)strtol(argv[2], NULL, 10)};
    fn_training_options options = {.threads = (int)strtol(argv[3], NULL, 10)};
    if (argc > 4 && strcmp(argv[4], "bf16") == 0)
        options.precision = FN_PRECISION_BF16;
    if (argc > 5)
        options.backend = FN_BACKEND_REF;
    fn_graph *graph;
    const fn_network *network = fn_network_find(argv[1]);
    int rc = fn_network_build(&graph, argv[1], &(fn_network_options){.seed = 1});
    if (rc == FN_OK)
        rc = fn_training_open(&b.training, graph, &options);
    if (rc < 0 || b.n < 1) {
        fprintf(stderr, "%s\n", rc < 0 ? fn_last_error() : "the batch must hold an image");
        return 1;
    }
    b.d = fn_training_dimension(b.training);
    const size_t n_pixels = (size_t)b.n * 3 * (size_t)network->width * (size_t)network->height;
    const size_t n_rows = (size_t)b.n * (size_t)b.d;
    b.images = malloc(n_pixels * sizeof(float));
    b.embeddings = malloc(n_rows * sizeof(float));
    b.d_embeddings = malloc(n_rows * sizeof(float));
    if (!b.images || !b.embeddings || !b.d_embeddings)
        return 1;
    for (size_t i = 0; i < n_pixels; i++)
        b.images[i] = pixel_of((uint32_t)i);
    for (size_t i = 0; i < n_rows; i++)
        b.d_embeddings[i] = (float)sin((double)i);
    char line[4096];
    while (rc == FN_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        rc = obey(&b, line);
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", fn_last_error());
    fn_training_free(b.training);
    free(b.images);
    free(b.embeddings);
    free(b.d_embeddings);
    return rc < 0;
}
