// SPDX-License-Identifier: Apache-2.0
//
// A running picture under a stopwatch:
//     bench_video MODELS ROUNDS FILE...
// One line per file, tab-separated: file, width, height, faces per frame, then frames per second of decoding
// alone, of detection, of embedding with following, and of the whole road with its threads, faces being
// looked for in every frame; that over 25. Each is the median of ROUNDS rounds over all frames, in
// which the files take turns. Embedding is counted per frame, though followed faces are embedded a few times
// a second only. Then, played once as a live source is, at its own speed with the newest frame first:
// milliseconds from a decoded frame to its names, median and 95 of 100, and the share of frames that were
// dropped for newer ones.
#include <facenet/facenet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_FILES = 32, MAX_ROUNDS = 101, MAX_LATENCIES = 1 << 20 };
enum { DECODE, DETECT, EMBED, ALL, N_STAGES };
#define REAL_TIME 25.0

typedef struct measured {
    fn_video_info info;
    double faces; // per frame
    double fps[N_STAGES][MAX_ROUNDS];
    double latency_ms, late_ms; // median, 95 of 100
    double dropped;             // of the frames
} measured;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int decode(measured *m, int round, const char *path) {
    fn_video *video = NULL;
    fn_frame *frame = NULL;
    uint64_t n = 0;
    const double start = now_s();
    int rc = fn_video_open(&video, path, NULL, NULL);
    while (rc == FN_OK && (rc = fn_video_next(video, &frame)) == FN_OK && frame) {
        fn_frame_free(frame);
        n++;
    }
    if (rc == FN_OK) {
        m->info = *fn_video_get_info(video);
        m->fps[DECODE][round] = (double)n / (now_s() - start);
    }
    fn_video_free(video);
    return rc;
}

static int whole_road(measured *m, int round, fn_recognizer *recognizer, const char *path) {
    fn_video *video = NULL;
    fn_stream *stream = NULL;
    const fn_stream_frame *now = NULL;
    uint64_t n = 0, n_faces = 0;
    double detect_ms = 0, embed_ms = 0;
    const double start = now_s();
    int rc = fn_video_open(&video, path, NULL, NULL);
    if (rc == FN_OK)
        rc = fn_stream_open(&stream, recognizer, video, NULL);
    while (rc == FN_OK && (rc = fn_stream_next(stream, &now)) == FN_OK && now) {
        if (!now->frame)
            continue;
        n++;
        n_faces += now->n_faces;
        detect_ms += (double)now->times.detect_ms;
        embed_ms += (double)now->times.embed_ms;
    }
    if (rc == FN_OK && n) {
        m->fps[ALL][round] = (double)n / (now_s() - start);
        m->fps[DETECT][round] = 1e3 * (double)n / detect_ms;
        m->fps[EMBED][round] = embed_ms > 0 ? 1e3 * (double)n / embed_ms : 0;
        m->faces = (double)n_faces / (double)n;
    }
    fn_stream_free(stream);
    fn_video_free(video);
    return rc;
}

static int as_live(measured *m, fn_recognizer *recognizer, const char *path) {
    fn_video_options options = FN_VIDEO_OPTIONS_INIT;
    fn_video *video = NULL;
    fn_stream *stream = NULL;
    const fn_stream_frame *now = NULL;
    double *latency = calloc(MAX_LATENCIES, sizeof *latency);
    size_t n = 0;
    int rc = latency ? FN_OK : FN_ENOMEM;
    options.policy = FN_FRAMES_NEWEST;
    if (rc == FN_OK)
        rc = fn_video_open(&video, path, &options, NULL);
    if (rc == FN_OK)
        rc = fn_stream_open(&stream, recognizer, video, NULL);
    while (rc == FN_OK && (rc = fn_stream_next(stream, &now)) == FN_OK && now)
        if (now->frame && n < MAX_LATENCIES)
            latency[n++] = (double)now->times.latency_ms;
    if (rc == FN_OK && n) {
        const fn_video_counts counts = fn_video_get_counts(video);
        qsort(latency, n, sizeof *latency, ascending);
        m->latency_ms = latency[n / 2];
        m->late_ms = latency[n * 95 / 100];
        m->dropped = (double)counts.n_dropped / (double)counts.n_decoded;
    }
    fn_stream_free(stream);
    fn_video_free(video);
    free(latency);
    return rc;
}

static void print_line(const char *path, measured *m, int rounds) {
    printf("%s\t%d\t%d\t%.1f", path, m->info.width, m->info.height, m->faces);
    for (int s = 0; s < N_STAGES; s++) {
        qsort(m->fps[s], (size_t)rounds, sizeof *m->fps[s], ascending);
        printf("\t%.1f", m->fps[s][rounds / 2]);
    }
    printf("\t%.2f\t%.0f\t%.0f\t%.1f %%\n", m->fps[ALL][rounds / 2] / REAL_TIME, m->latency_ms, m->late_ms,
           100 * m->dropped);
}

int main(int argc, char **argv) {
    static measured files[MAX_FILES];
    fn_recognizer_options options = FN_RECOGNIZER_OPTIONS_INIT;
    fn_recognizer *recognizer = NULL;
    const int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0, n = argc - 3;
    if (rounds < 1 || rounds > MAX_ROUNDS || n < 1 || n > MAX_FILES) {
        fprintf(stderr, "usage: bench_video MODELS ROUNDS FILE...\n");
        return 2;
    }
    options.detector.model.directory = options.embedder.options.directory = argv[1];
    int rc = fn_recognizer_open(&recognizer, &options);
    for (int r = 0; r < rounds && rc == FN_OK; r++)
        for (int i = 0; i < n && rc == FN_OK; i++) {
            rc = decode(&files[i], r, argv[3 + i]);
            if (rc == FN_OK)
                rc = whole_road(&files[i], r, recognizer, argv[3 + i]);
        }
    for (int i = 0; i < n && rc == FN_OK; i++)
        rc = as_live(&files[i], recognizer, argv[3 + i]);
    if (rc < 0)
        fprintf(stderr, "bench_video: %s\n", fn_last_error());
    for (int i = 0; i < n && rc == FN_OK; i++)
        print_line(argv[3 + i], &files[i], rounds);
    fn_recognizer_free(recognizer);
    return rc < 0;
}
