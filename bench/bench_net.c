// SPDX-License-Identifier: Apache-2.0
//
// One network under a stopwatch, for a driver that alternates it with another runtime:
//     bench_net MODEL.onnx BATCH THREADS
// On each line "run N" from standard input it runs N times and prints the median milliseconds. "output FILE"
// writes the outputs of the fixed input as float32. "peak" prints the multiply-adds per second of one core,
// in billions, measured on registers. The input is sin(0.01 i) over the whole batch.
#include "peak.h"

#include <facenet/facenet.h>

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

int main(int argc, char **argv) {
    fn_model *model;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    fn_model_info info;
    if (argc != 4) {
        fprintf(stderr, "usage: bench_net MODEL.onnx BATCH THREADS\n");
        return 2;
    }
    int batch = (int)strtol(argv[2], NULL, 10);
    options.threads = (int)strtol(argv[3], NULL, 10);
    if (fn_model_open(&model, argv[1], &options) < 0 || fn_model_get_info(model, &info) < 0 || batch < 1) {
        fprintf(stderr, "%s\n", fn_last_error());
        return 3;
    }
    size_t n_in =
        (size_t)batch * (size_t)info.input_channels * (size_t)info.input_height * (size_t)info.input_width;
    size_t n_out = (size_t)batch * (size_t)info.output_size;
    float *input = malloc(n_in * sizeof *input), *output = malloc(n_out * sizeof *output);
    if (!input || !output)
        return 1;
    for (size_t i = 0; i < n_in; i++)
        input[i] = sinf(0.01F * (float)i);
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "run ", 4) == 0) {
            static double ms[1000];
            int n = (int)strtol(line + 4, NULL, 10);
            for (int i = 0; i < n && i < 1000; i++) {
                double start = now_ms();
                if (fn_model_run(model, input, batch, output) < 0) {
                    fprintf(stderr, "%s\n", fn_last_error());
                    return 3;
                }
                ms[i] = now_ms() - start;
            }
            qsort(ms, (size_t)n, sizeof *ms, ascending);
            printf("%.6f\n", ms[n / 2]);
        } else if (strncmp(line, "output ", 7) == 0) {
            FILE *file = fopen(line + 7, "wb");
            if (!file || fn_model_run(model, input, batch, output) < 0 ||
                fwrite(output, sizeof *output, n_out, file) != n_out || fclose(file))
                return 1;
            printf("%zu %lld\n", n_out, (long long)info.n_multiply_adds);
        } else if (strcmp(line, "peak") == 0) {
            printf("%.3f\n", bench_peak());
        }
        fflush(stdout);
    }
    free(input);
    free(output);
    fn_model_free(model);
    return 0;
}
