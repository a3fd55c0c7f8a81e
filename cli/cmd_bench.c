// SPDX-License-Identifier: Apache-2.0
//
// facenet bench: how long each stage of the road takes, on this machine, for these photographs. The stages of
// all pictures take turns round after round, and medians are printed, so that a busy moment spoils one round
// only. One thread, unless --threads says otherwise.
#include "cli.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int rounds = 11, people = 1000;

static const cli_option options[] = {
    {"rounds", 0, "N", "measure each stage so many times (11)", CLI_COUNT, &rounds, 1, 1000},
    {"people", 0, "N", "compare with a gallery of so many made-up people (1000)", CLI_COUNT, &people, 1,
     10000000},
    {0},
};

static const cli_command command = {
    .name = "bench",
    .operands = "FILE...",
    .about = "Measures decoding, detection with landmarks, alignment with embedding, and the search\n"
             "in a gallery of made-up people. One line per picture: path, megapixels, faces, then\n"
             "median milliseconds to decode, detect, embed, search, and all together.",
    .options = options,
    .shared = CLI_SHARED_MODELS | CLI_SHARED_MODEL | CLI_SHARED_DETECTOR | CLI_SHARED_OUTPUT,
    .min_operands = 1,
    .max_operands = -1,
};

enum { DECODE, DETECT, EMBED, SEARCH, TOTAL, N_STAGES };
static const char *const stage_names[N_STAGES] = {"decode_ms", "detect_ms", "embed_ms", "search_ms",
                                                  "total_ms"};

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/// A gallery of random unit vectors, the same at every run.
static int made_up_people(fn_index **out, const fn_embedder *embedder) {
    int dimension = fn_embedder_dimension(embedder);
    uint64_t state = 1;
    float *vector = malloc((size_t)dimension * sizeof *vector);
    int rc = vector ? fn_index_open(out, dimension, fn_embedder_fingerprint(embedder)) : FN_ENOMEM;
    for (int i = 0; i < people && rc == FN_OK; i++) {
        double length = 0;
        fn_id id = {{0}};
        memcpy(id.bytes, &i, sizeof i);
        for (int k = 0; k < dimension; k++) {
            double sum = -2; // four uniform numbers: nearly normal
            for (int j = 0; j < 4; j++) {
                state = state * 6364136223846793005u + 1442695040888963407u;
                sum += (double)(state >> 11) / 9007199254740992.0;
            }
            vector[k] = (float)sum;
            length += sum * sum;
        }
        for (int k = 0; k < dimension; k++)
            vector[k] = (float)((double)vector[k] / sqrt(length));
        rc = fn_index_add(*out, vector, id, id);
    }
    free(vector);
    return rc;
}

/// One picture once; stage times are written to ms.
static int once(double ms[N_STAGES], size_t *n_faces, double *megapixels, fn_recognizer *recognizer,
                const fn_index *index, const char *path) {
    fn_analyze_options analyze = cli_analyze_options();
    fn_embedder *embedder = fn_recognizer_embedder(recognizer);
    size_t dimension = (size_t)fn_embedder_dimension(embedder);
    fn_picture *picture = NULL;
    fn_faces *faces = NULL;
    float *vectors = NULL;
    double start = now_ms(), decoded, detected, embedded;
    int rc = fn_decode_file(&picture, path, &analyze.decode);
    if (rc < 0)
        return rc;
    decoded = now_ms();
    const fn_image *image = fn_picture_image(picture);
    rc = fn_detector_run(fn_recognizer_detector(recognizer), image, &analyze.detect, &faces);
    detected = now_ms();
    *n_faces = rc < 0 ? 0 : fn_faces_len(faces);
    *megapixels = (double)image->width * image->height / 1e6;
    vectors = malloc((*n_faces + 1) * dimension * sizeof *vectors);
    if (rc == FN_OK && !vectors)
        rc = FN_ENOMEM;
    for (size_t i = 0; i < *n_faces && rc == FN_OK; i++)
        rc = fn_embedder_faces(embedder, image, fn_faces_get(faces, i), 1, vectors + i * dimension);
    embedded = now_ms();
    for (size_t i = 0; i < *n_faces && rc == FN_OK; i++) {
        fn_candidate best[2];
        size_t n;
        rc = fn_index_search(best, &n, index, vectors + i * dimension, fn_embedder_fingerprint(embedder), 2);
    }
    double end = now_ms();
    ms[DECODE] = decoded - start;
    ms[DETECT] = detected - decoded;
    ms[EMBED] = embedded - detected;
    ms[SEARCH] = end - embedded;
    ms[TOTAL] = end - start;
    free(vectors);
    fn_faces_free(faces);
    fn_picture_free(picture);
    return rc;
}

static void print_line(const char *path, double megapixels, size_t n_faces, const double median[N_STAGES]) {
    if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "megapixels", json_real(megapixels));
        json_object_set_new(line, "faces", json_integer((json_int_t)n_faces));
        for (int s = 0; s < N_STAGES; s++)
            json_object_set_new(line, stage_names[s], json_real(median[s]));
        cli_json_line(line);
        return;
    }
    cli_field(path);
    printf("\t%.2f\t%zu", megapixels, n_faces);
    for (int s = 0; s < N_STAGES; s++)
        printf("\t%.2f", median[s]);
    putchar('\n');
}

/// Every picture in every round; [picture][stage][round].
static int measure(fn_recognizer *recognizer, const fn_index *index, char **paths, int n) {
    size_t per_picture = (size_t)N_STAGES * (size_t)rounds;
    double *ms = calloc((size_t)n * per_picture, sizeof *ms),
           *megapixels = calloc((size_t)n, sizeof *megapixels);
    size_t *n_faces = calloc((size_t)n, sizeof *n_faces);
    int code = ms && megapixels && n_faces ? CLI_DONE : cli_failure(FN_ENOMEM);
    for (int r = -1; r < rounds && code == CLI_DONE; r++) // the first round makes plans and warms caches
        for (int i = 0; i < n && code == CLI_DONE; i++) {
            double one[N_STAGES];
            int rc = once(one, &n_faces[i], &megapixels[i], recognizer, index, paths[i]);
            if (rc < 0)
                code = cli_failure(rc);
            for (int s = 0; s < N_STAGES && r >= 0 && rc == FN_OK; s++)
                ms[(size_t)i * per_picture + (size_t)(s * rounds + r)] = one[s];
        }
    for (int i = 0; i < n && code == CLI_DONE; i++) {
        double median[N_STAGES];
        for (int s = 0; s < N_STAGES; s++) {
            double *of_stage = ms + (size_t)i * per_picture + (size_t)(s * rounds);
            qsort(of_stage, (size_t)rounds, sizeof *of_stage, ascending);
            median[s] = of_stage[rounds / 2];
        }
        print_line(paths[i], megapixels[i], n_faces[i], median);
    }
    free(ms);
    free(megapixels);
    free(n_faces);
    return code;
}

int cmd_bench(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    fn_recognizer *recognizer;
    fn_index *index = NULL;
    int code = cli_recognizer_open(&recognizer, 0);
    if (code != CLI_DONE)
        return code;
    int rc = made_up_people(&index, fn_recognizer_embedder(recognizer));
    code = rc < 0 ? cli_failure(rc) : measure(recognizer, index, argv + 1, n);
    fn_index_free(index);
    fn_recognizer_free(recognizer);
    return code;
}
