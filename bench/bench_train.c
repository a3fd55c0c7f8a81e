// SPDX-License-Identifier: Apache-2.0
//
// One training step under a stopwatch, for a driver that alternates it with another runtime:
//     bench_train NETWORK BATCH THREADS [f32|bf16] [ref]
// A step is forward, backward and plain gradient descent. On each line "run N" from standard input it takes N
// steps and prints the median milliseconds. "cost" prints the multiply-adds of one image, forward and backward
// (three times the forward pass, less the gradient of the image).
#include "base/error.h"
#include "model/networks.h"
#include "nn/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int step(fn_training *t, const float *images, float *embeddings, float *gradients, int n) {
    int d = fn_training_dimension(t);
    fn_pass pass = fn_training_pass(t);
    size_t size = fn_training_parameters(t)->trained_size;
    float *weights = fn_training_weights(t), *dw = fn_training_gradients(t);
    pass.momentum = 0.1F;
    memset(dw, 0, size * sizeof *dw);
    int rc = fn_training_forward(t, &pass, images, n, embeddings);
    for (int i = 0; i < n * d; i++) // pulls each embedding to that of its neighbour
        gradients[i] = embeddings[i] - embeddings[(i + d) % (n * d)];
    if (rc == FN_OK)
        rc = fn_training_backward(t, &pass, gradients, n, NULL);
    for (size_t i = 0; i < size; i++)
        weights[i] -= 1e-4F * dw[i];
    return rc;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: bench_train NETWORK BATCH THREADS [f32|bf16] [ref]\n");
        return 2;
    }
    int n = atoi(argv[2]);
    fn_training_options options = {.threads = atoi(argv[3])};
    if (argc > 4 && strcmp(argv[4], "bf16") == 0)
        options.precision = FN_PRECISION_BF16;
    if (argc > 5)
        options.backend = FN_BACKEND_REF;
    fn_graph *graph;
    fn_training *t = NULL;
    const fn_network *network = fn_network_find(argv[1]);
    int rc = fn_network_build(&graph, argv[1], &(fn_network_options){.seed = 1});
    if (rc == FN_OK)
        rc = fn_training_open(&t, graph, &options);
    if (rc < 0) {
        fprintf(stderr, "%s\n", fn_last_error());
        return 1;
    }
    size_t per_image = 3 * (size_t)network->width * (size_t)network->height;
    float *images = malloc((size_t)n * per_image * sizeof *images);
    float *embeddings = malloc((size_t)n * (size_t)fn_training_dimension(t) * sizeof *embeddings);
    float *gradients = malloc((size_t)n * (size_t)fn_training_dimension(t) * sizeof *gradients);
    for (size_t i = 0; i < (size_t)n * per_image; i++)
        images[i] = (float)sin(0.01 * (double)i);
    char line[64];
    while (rc == FN_OK && fgets(line, sizeof line, stdin)) {
        double ms[1000];
        int count;
        if (strncmp(line, "cost", 4) == 0) {
            fn_shape input = fn_input_shape(fn_training_graph(t), 0, 1, 0, 0);
            fn_inferred inferred;
            if (fn_inferred_open(&inferred, fn_training_graph(t), &input) < 0)
                break;
            printf("%lld\n", 3 * (long long)fn_inferred_cost(fn_training_graph(t), &inferred) -
                                 (long long)fn_inferred_node_cost(fn_training_graph(t), &inferred, 0));
            fn_inferred_free(&inferred);
        } else if (sscanf(line, "run %d", &count) == 1 && count >= 1 && count <= 1000) {
            for (int i = 0; i < count && rc == FN_OK; i++) {
                double start = now_ms();
                rc = step(t, images, embeddings, gradients, n);
                ms[i] = now_ms() - start;
            }
            qsort(ms, (size_t)count, sizeof *ms, ascending);
            printf("%.4f\n", ms[count / 2]);
        }
        fflush(stdout);
    }
    if (rc < 0)
        fprintf(stderr, "%s\n", fn_last_error());
    fn_training_free(t);
    free(images);
    free(embeddings);
    free(gradients);
    return rc < 0;
}
