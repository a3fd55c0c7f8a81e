// SPDX-License-Identifier: Apache-2.0
//
// Writes seeds for the fuzz targets: make_seeds FOLDER. Small valid inputs of each kind, made here and never
// cut from packages or photographs, and for each a fixed number of cut and mutated copies, so that a replay
// in the tests already walks the error paths. The same program writes the same bytes every time.
#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "model/onnx.h"
#include "model/tflite.h"
#include "train/classifier.h"
#include "unit/encoders.h"
#include "unit/tflite_maker.h"
#include "video/clips.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_MUTANTS 24
#define SIDE 24

static uint64_t random_state = 1;

/// splitmix64 from a fixed start.
static uint64_t next_random(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void must(int ok, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "make_seeds: %s: %s\n", what, fn_last_error());
    exit(1);
}

static void write_one(const char *folder, const char *target, const char *name, int number, const void *bytes,
                      size_t n) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, target);
    must(fn_mkdirs(path, 0755) == FN_OK, path);
    snprintf(path, sizeof path, "%s/%s/%s-%02d", folder, target, name, number);
    FILE *file = fopen(path, "wb");
    must(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0, path);
}

/// The seed itself, then copies with flipped, replaced, repeated or missing bytes.
static void write_seed(const char *folder, const char *target, const char *name, const void *bytes,
                       size_t n) {
    unsigned char *copy = fn_alloc(2 * n + 1);
    must(copy != NULL, name);
    write_one(folder, target, name, 0, bytes, n);
    for (int i = 1; i <= N_MUTANTS; i++) {
        size_t length = n;
        memcpy(copy, bytes, n);
        for (int k = 0; k <= i % 4 && length; k++) {
            size_t at = next_random() % length;
            switch (next_random() % 4) {
            case 0:
                copy[at] ^= (unsigned char)(1u << next_random() % 8);
                break;
            case 1:
                copy[at] = (unsigned char)next_random();
                break;
            case 2:
                copy[at] = next_random() & 1 ? 0xFF : 0x7F;
                break;
            case 3:
                length = at;
                break;
            }
        }
        write_one(folder, target, name, i, copy, length);
    }
    fn_free(copy);
}

static void picture_seed(const char *folder, const char *name, const fn_buf *encoded) {
    fn_buf seed;
    fn_buf_init(&seed, 1 << 24);
    fn_buf_append(&seed, "", 1); // the target's options: none
    fn_buf_append(&seed, encoded->data, encoded->len);
    must(!seed.failed, name);
    write_seed(folder, "decode", name, seed.data, seed.len);
    fn_buf_free(&seed);
}

static void pictures(const char *folder) {
    unsigned char rgba[SIDE * SIDE * 4], palette[16 * 4];
    for (int i = 0; i < SIDE * SIDE * 4; i++)
        rgba[i] = (unsigned char)(i * 7 + i / SIDE * 3);
    for (int i = 0; i < 16 * 4; i++)
        palette[i] = (unsigned char)(i * 5);
    fn_buf exif, p3, out;
    fn_buf_init(&exif, 1 << 20);
    fn_buf_init(&p3, 1 << 20);
    make_exif(&exif, 6, "2020:02:02 02:02:02");
    make_profile(&p3, "p3");
    const extras plain = {0}, both = {.profile = &p3, .exif = &exif};
    fn_buf_init(&out, 1 << 24);
    const jpeg_choice jpegs[] = {
        {.channels = 3}, {.channels = 3, .progressive = 1}, {.channels = 1}, {.channels = 4}};
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "jpeg%d", i);
        encode_jpeg(&out, rgba, SIDE, SIDE, &jpegs[i], i == 1 ? &both : &plain);
        picture_seed(folder, name, &out);
        fn_buf_free(&out);
    }
    const png_choice pngs[] = {{.color_type = 6, .bit_depth = 8},
                               {.color_type = 2, .bit_depth = 8, .interlaced = 1},
                               {.color_type = 0, .bit_depth = 16},
                               {.color_type = 3, .bit_depth = 4, .palette = palette, .n_palette = 16}};
    const size_t row_bytes[] = {SIDE * 4, SIDE * 3, SIDE * 2, SIDE / 2};
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "png%d", i);
        encode_png(&out, rgba, row_bytes[i] * SIDE, SIDE, SIDE, &pngs[i], i == 1 ? &both : &plain);
        picture_seed(folder, name, &out);
        fn_buf_free(&out);
    }
    encode_webp(&out, rgba, SIDE, SIDE, 4, &both);
    picture_seed(folder, "webp", &out);
    fn_buf_free(&out);
    for (int av1 = 0; av1 < 2; av1++) {
        if (!encode_heif(&out, rgba, SIDE, SIDE, av1, 6, &plain))
            picture_seed(folder, av1 ? "avif" : "heic", &out);
        fn_buf_free(&out);
    }
    fn_buf_free(&exif);
    fn_buf_free(&p3);
}

static void onnx(const char *folder) {
    fn_graph *g;
    fn_metadata metadata = {0};
    float weights[8 * 3 * 3 * 3];
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)i * 0.01F;
    must(fn_graph_open(&g) == FN_OK, "onnx");
    int x = fn_graph_input(g, "input", fn_shape_make(4, -1, 3, 8, 8));
    int w = fn_graph_constant(g, "w", FN_F32, fn_shape_make(4, 8, 3, 3, 3), weights);
    x = fn_relu(g, "relu", fn_conv(g, "conv", x, w, -1, &(fn_conv_attrs){.pad = {1, 1, 1, 1}}));
    x = fn_add(g, "add", x, fn_sigmoid(g, "sigmoid", x));
    x = fn_reshape(g, "reshape", fn_max_pool(g, "pool", x, 2, 2, NULL), fn_shape_make(3, 0, -1, 4));
    fn_graph_output(g, x);
    must(fn_graph_finish(g) == FN_OK && fn_metadata_set(&metadata, "facenet.name", "seed") == FN_OK, "onnx");
    void *bytes;
    size_t n;
    must(fn_onnx_write(&bytes, &n, g, &metadata) == FN_OK, "onnx");
    write_seed(folder, "onnx", "small", bytes, n);
    fn_free(bytes);
    fn_metadata_free(&metadata);
    fn_graph_free(g);
}

static void tfjs(const char *folder) {
    static const char manifest[] =
        "[{\"paths\":[\"a.bin\",\"b.bin\"],\"weights\":["
        "{\"name\":\"conv/filters\",\"shape\":[1,1,2,2],\"dtype\":\"float32\",\"quantization\":"
        "{\"dtype\":\"uint8\",\"scale\":0.5,\"min\":-1}},"
        "{\"name\":\"fc/"
        "bias\",\"shape\":[2],\"dtype\":\"float32\"},{\"name\":\"n\",\"shape\":[],\"dtype\":\"int32\"}]}]";
    unsigned char seed[sizeof manifest + 4 + 8 + 4] = {0};
    memcpy(seed, manifest, sizeof manifest);
    write_seed(folder, "tfjs", "small", seed, sizeof seed);
}

static void tflite(const char *folder) {
    float kernel[4 * 1 * 1 * 3], bias[4] = {0};
    for (int i = 0; i < 12; i++)
        kernel[i] = (float)i;
    const made_tensor tensors[] = {{"input", FN_TFLITE_FLOAT32, 4, {1, 4, 4, 3}, NULL, 0},
                                   {"kernel", FN_TFLITE_FLOAT32, 4, {4, 1, 1, 3}, kernel, sizeof kernel},
                                   {"bias", FN_TFLITE_FLOAT32, 1, {4}, bias, sizeof bias},
                                   {"conv", FN_TFLITE_FLOAT32, 4, {1, 4, 4, 4}, NULL, 0},
                                   {"relu", FN_TFLITE_FLOAT32, 4, {1, 4, 4, 4}, NULL, 0}};
    enum { CONV_2D = 3, RELU = 19 };
    const made_op ops[] = {{CONV_2D, 3, {0, 1, 2}, 1, {3}, 3, {1, 1, 1}}, {RELU, 1, {3}, 1, {4}, 0, {0}}};
    const made_model model = {tensors, 5, ops, 2, 0, 1, {4}};
    fn_buf out, seed;
    fn_buf_init(&out, 1 << 20);
    fn_buf_init(&seed, 1 << 20);
    make_tflite(&out, &model);
    fn_buf_append(&seed, "", 1); // the target's option: sizes as in the file
    fn_buf_append(&seed, out.data, out.len);
    must(!seed.failed, "tflite");
    write_seed(folder, "tflite", "small", seed.data, seed.len);
    fn_buf_free(&seed);
    fn_buf_free(&out);
}

static void pairs(const char *folder) {
    static const char text[] = "2 1\nAda_Lovelace 1 2\nAda_Lovelace 1 Alan_Turing 3\nGrace_Hopper\t4\t5\n"
                               "Grace_Hopper 4 Alan_Turing 1\n";
    write_seed(folder, "pairs", "folds", text, sizeof text - 1);
}

static void config(const char *folder) {
    static const char lines[] =
        "data = faces # a folder\nepochs = 3\nlr = 0.01\nfold = yes\nloss = arcface\n";
    static const char json[] =
        "{\"data\": \"faces\", \"out\": null, \"lr\": 1e-3, \"uneven\": true, \"model\": \"\\u00e9\"}";
    write_seed(folder, "config", "lines", lines, sizeof lines - 1);
    write_seed(folder, "config", "json", json, sizeof json - 1);
}

static void classifier(const char *folder) {
    static const float rows[] = {1, 0, 0.9F, 0.1F, 0, 1, 0.1F, 0.9F, -1, 0, -0.9F, 0.1F};
    static const char *const names[] = {"Ada", "Ada", "Grace", "Grace", "unknown", "unknown"};
    static const char *const kinds[] = {"svm", "knn"};
    for (int kind = 0; kind < 2; kind++) {
        fn_classifier_options options = FN_CLASSIFIER_OPTIONS_INIT;
        fn_classifier *c;
        fn_buf text;
        options.kind = kind ? FN_CLASSIFIER_KNN : FN_CLASSIFIER_SVM;
        fn_buf_init(&text, 1 << 20);
        must(fn_classifier_train(&c, rows, names, 6, 2, "f00d", &options, NULL) == FN_OK &&
                 fn_classifier_format(&text, c) == FN_OK,
             kinds[kind]);
        write_seed(folder, "classifier", kinds[kind], text.data, text.len);
        fn_buf_free(&text);
        fn_classifier_free(c);
    }
}

static void video_seed(const char *folder, const char *name, fn_buf *bytes) {
    must(!bytes->failed, name);
    write_seed(folder, "video", name, bytes->data, bytes->len);
    fn_buf_free(bytes);
}

// Files that FFmpeg's module writes only where it was built.
static void video(const char *folder) {
    static const char *const names[] = {"seed.mp4", "seed.mkv", "seed.avi"};
    fn_buf out;
    fn_buf_init(&out, 1 << 24);
    clip_raw_avi(&out, 64 * 3, 48 * 3, 2);
    video_seed(folder, "raw-avi", &out);
    fn_buf_init(&out, 1 << 24);
    clip_y4m(&out, "C444 A4:3", 32, 24, 3, 81, 90, 240);
    video_seed(folder, "y4m", &out);
    fn_buf_init(&out, 1 << 24);
    clip_mjpeg(&out, CLIP_WIDTH, CLIP_HEIGHT, 0, 2);
    clip_mjpeg(&out, CLIP_WIDTH + 32, CLIP_HEIGHT, 2, 2);
    video_seed(folder, "mjpeg", &out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        unsigned char *bytes;
        size_t n;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (!clip_write(path, CLIP_WIDTH, CLIP_HEIGHT, 5, 25)) {
            printf("skipped: seeds of %s: %s\n", names[i], fn_last_error());
            continue;
        }
        must(fn_read_file(&bytes, &n, path, 1 << 24) == FN_OK, path);
        write_seed(folder, "video", names[i], bytes, n);
        fn_free(bytes);
        unlink(path);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    pictures(argv[1]);
    onnx(argv[1]);
    tfjs(argv[1]);
    tflite(argv[1]);
    pairs(argv[1]);
    config(argv[1]);
    classifier(argv[1]);
    video(argv[1]);
    return 0;
}
