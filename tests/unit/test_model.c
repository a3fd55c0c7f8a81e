// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "align/template.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/path.h"
#include "model/fingerprint.h"
#include "model/onnx.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- A tiny embedder: (N, 3, 4, 4) -> convolution, mean, dense -> (N, 2), and a second output.

static fn_graph *tiny(const char *prefix, float first_weight) {
    fn_graph *g;
    char name[64];
    float w[2 * 3], fc[2 * 2] = {1, 2, 3, 4};
    assert_int_equal(fn_graph_open(&g), FN_OK);
    for (int i = 0; i < 6; i++)
        w[i] = (float)i * 0.25F;
    w[0] = first_weight;
#define NAME(text) (snprintf(name, sizeof name, "%s%s", prefix, text), name)
    int x = fn_graph_input(g, NAME("input"), fn_shape_make(4, -1, 3, 4, 4));
    int weights = fn_graph_constant(g, NAME("w"), FN_F32, fn_shape_make(4, 2, 3, 1, 1), w);
    x = fn_conv(g, NAME("conv"), x, weights, -1, &(fn_conv_attrs){0});
    int map = x;
    x = fn_flatten(g, NAME("flat"), fn_global_average_pool(g, NAME("pool"), x));
    int dense = fn_graph_constant(g, NAME("fc"), FN_F32, fn_shape_make(2, 2, 2), fc);
    fn_graph_output(g, fn_dense(g, NAME("embedding"), x, dense, -1));
    fn_graph_output(g, map);
#undef NAME
    assert_int_equal(fn_graph_finish(g), FN_OK);
    return g;
}

static const fn_input_spec spec = {4, 4, 0, {127.5F, 127.5F, 127.5F}, 128.0F};
static const char source[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const char source_2[] = "00000000000000000000000000000000000000000000000000000000000000ff";

static char *canonical_of(const fn_graph *graph, const fn_input_spec *input, const char *template_text) {
    const char *sources[2] = {source, source_2};
    char *text;
    assert_int_equal(fn_canonical_make(&text, &(fn_canonical){.importer = "tflite",
                                                              .importer_version = 1,
                                                              .source_sha256 = sources,
                                                              .n_sources = 2,
                                                              .graph = graph,
                                                              .input = input,
                                                              .template_text = template_text,
                                                              .unit_length = 1}),
                     FN_OK);
    return text;
}

static void fingerprint_of(char hex[65], const fn_graph *graph, const fn_input_spec *input,
                           const char *template_text) {
    char *text = canonical_of(graph, input, template_text);
    fn_fingerprint(hex, text);
    fn_free(text);
}

/// A folder of its own per test.
struct place {
    char folder[40];
    char path[64];
};

static int make_place(void **state) {
    static struct place place;
    strcpy(place.folder, "/tmp/facenet-test-XXXXXX");
    if (!mkdtemp(place.folder))
        return -1;
    snprintf(place.path, sizeof place.path, "%s/tiny.onnx", place.folder);
    *state = &place;
    return 0;
}

static int clear_place(void **state) {
    struct place *place = *state;
    char note[64];
    snprintf(note, sizeof note, "%s/tiny.sha256", place->folder);
    unlink(note);
    unlink(place->path);
    return rmdir(place->folder);
}

/// Writes a model file, with the usual metadata when `with_metadata`, and its checksum beside it.
static void save(const struct place *place, const fn_graph *g, int with_metadata, const char *key,
                 const char *value) {
    fn_metadata m = {0};
    char *canonical = canonical_of(g, &spec, "t 4x4 0-0:1,1");
    const char *entries[][2] = {
        {"facenet.format", "1"},
        {"facenet.name", "tiny"},
        {"facenet.role", "embedder"},
        {"facenet.source", "somewhere"},
        {"facenet.licence", "code: none"},
        {"facenet.input",
         "{\"width\":4,\"height\":4,\"color\":\"rgb\",\"mean\":[127.5,127.5,127.5],\"scale\":128.0}"},
        {"facenet.template", "t 4x4 0-0:1,1"},
        {"facenet.canonical", canonical}};
    for (size_t i = 0; with_metadata && i < sizeof entries / sizeof entries[0]; i++)
        assert_int_equal(fn_metadata_set(&m, entries[i][0], entries[i][1]), FN_OK);
    if (key)
        assert_int_equal(fn_metadata_set(&m, key, value), FN_OK);
    void *bytes;
    size_t n;
    char hex[65], note[64];
    assert_int_equal(fn_onnx_write(&bytes, &n, g, &m), FN_OK);
    assert_int_equal(fn_write_file(place->path, bytes, n, 0644), FN_OK);
    fn_sha256_hex(hex, bytes, n);
    snprintf(note, sizeof note, "%s/tiny.sha256", place->folder);
    assert_int_equal(fn_write_file(note, hex, 64, 0644), FN_OK);
    fn_free(bytes);
    fn_free(canonical);
    fn_metadata_free(&m);
}

static void says(const char *part) {
    if (!strstr(fn_last_error(), part))
        fail_msg("'%s' does not say '%s'", fn_last_error(), part);
}

// ---- Fingerprints

static void the_canonical_text_is_as_documented(void **state) {
    (void)state;
    fn_graph *g = tiny("", 0.1F);
    char *text = canonical_of(g, &spec, "t 4x4 0-0:1,1"), graph[65], expected[1024];
    assert_int_equal(fn_graph_sha256(graph, g), FN_OK);
    snprintf(expected, sizeof expected,
             "facenet-embedding: 1\nimporter: tflite 1\nsource: %s\nsource: %s\ngraph: %s\n"
             "input: 4 4 rgb 127.5 127.5 127.5 128\ntemplate: t 4x4 0-0:1,1\nprojection: none\n"
             "normalisation: unit\n",
             source_2, source, graph);
    assert_string_equal(text, expected);
    char value[80];
    assert_true(fn_canonical_get(value, sizeof value, text, "graph"));
    assert_string_equal(value, graph);
    assert_false(fn_canonical_get(value, sizeof value, text, "gra"));
    fn_free(text);
    fn_graph_free(g);
}

static void only_what_changes_an_embedding_changes_the_fingerprint(void **state) {
    (void)state;
    fn_graph *g = tiny("", 0.1F), *renamed = tiny("other/", 0.1F), *heavier = tiny("", 0.1000001F);
    char a[65], b[65];
    fn_input_spec bgr = spec;
    bgr.bgr = 1;
    fingerprint_of(a, g, &spec, "t 4x4 0-0:1,1");
    fingerprint_of(b, renamed, &spec, "t 4x4 0-0:1,1");
    assert_string_equal(a, b);
    fingerprint_of(b, heavier, &spec, "t 4x4 0-0:1,1");
    assert_string_not_equal(a, b);
    fingerprint_of(b, g, &spec, "t 4x4 0-0:1,2");
    assert_string_not_equal(a, b);
    fingerprint_of(b, g, &bgr, "t 4x4 0-0:1,1");
    assert_string_not_equal(a, b);
    fn_graph_free(g);
    fn_graph_free(renamed);
    fn_graph_free(heavier);
}

static void writing_and_reading_keeps_the_graphs_hash(void **state) {
    (void)state;
    fn_graph *g = tiny("", 0.1F), *read;
    fn_metadata m;
    void *bytes;
    size_t n;
    char before[65], after[65];
    assert_int_equal(fn_onnx_write(&bytes, &n, g, NULL), FN_OK);
    assert_int_equal(fn_onnx_read(&read, &m, bytes, n, NULL), FN_OK);
    assert_int_equal(fn_graph_sha256(before, g), FN_OK);
    assert_int_equal(fn_graph_sha256(after, read), FN_OK);
    assert_string_equal(before, after);
    fn_free(bytes);
    fn_graph_free(g);
    fn_graph_free(read);
}

static void wiring_and_attributes_count(void **state) {
    (void)state;
    char hex[4][65];
    for (int i = 0; i < 4; i++) {
        fn_graph *g;
        assert_int_equal(fn_graph_open(&g), FN_OK);
        int x = fn_graph_input(g, "x", fn_shape_make(4, 1, 2, 2, i == 3 ? 4 : 2));
        int a = fn_relu(g, "a", x), b = fn_leaky_relu(g, "b", x, i == 2 ? 0.2F : 0.1F);
        fn_graph_output(g, fn_graph_node(g, "Sub", "c", i == 1 ? (int[]){b, a} : (int[]){a, b}, 2, NULL, 0));
        assert_int_equal(fn_graph_finish(g), FN_OK);
        assert_int_equal(fn_graph_sha256(hex[i], g), FN_OK);
        fn_graph_free(g);
    }
    for (int i = 1; i < 4; i++)
        assert_string_not_equal(hex[0], hex[i]);
}

static void a_canonical_text_refuses_line_breaks_and_bad_hashes(void **state) {
    (void)state;
    fn_graph *g = tiny("", 0.1F);
    const char *bad[1] = {"ABC"};
    char *text;
    fn_canonical what = {.importer = "x", .graph = g, .input = &spec, .template_text = "a\ngraph: b"};
    assert_int_equal(fn_canonical_make(&text, &what), FN_EINVAL);
    assert_null(text);
    what.template_text = NULL;
    what.source_sha256 = bad;
    what.n_sources = 1;
    assert_int_equal(fn_canonical_make(&text, &what), FN_EINVAL);
    fn_graph_free(g);
}

static void a_comma_for_a_point_changes_nothing(void **state) {
    (void)state;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8")) {
        printf("skipped: no locale with a decimal comma is installed\n");
        skip();
    }
    fn_graph *g = tiny("", 0.1F);
    char *text = canonical_of(g, &spec, NULL);
    setlocale(LC_NUMERIC, "C");
    assert_non_null(strstr(text, "127.5"));
    fn_free(text);
    fn_graph_free(g);
}

// ---- Opening

static void a_model_says_what_its_metadata_says(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 1, "facenet.calibration", "{}");
    fn_model *model;
    fn_model_info info;
    char expected[65];
    fingerprint_of(expected, g, &spec, "t 4x4 0-0:1,1");
    if (fn_model_open(&model, place->path, NULL) < 0)
        fail_msg("%s", fn_last_error());
    assert_int_equal(fn_model_get_info(model, &info), FN_OK);
    assert_string_equal(info.name, "tiny");
    assert_string_equal(info.role, "embedder");
    assert_string_equal(info.description, "");
    assert_string_equal(info.template_name, "t");
    assert_string_equal(info.fingerprint, expected); // the calibration is not in it
    assert_int_equal(info.input_width, 4);
    assert_int_equal(info.input_channels, 3);
    assert_int_equal(info.output_size, 2 + 2 * 16);
    assert_int_equal(info.n_parameters, 6 + 4);
    assert_int_equal(info.n_multiply_adds, 6 * 16 + 4);
    assert_string_equal(fn_model_metadata(model, "facenet.calibration"), "{}");
    assert_null(fn_model_metadata(model, "facenet.nothing"));
    assert_float_equal(fn_model_input(model)->mean[2], 127.5F, 0);
    fn_model_free(model);
    fn_graph_free(g);
}

static void a_foreign_file_gets_the_plainest_reading(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 0, NULL, NULL);
    fn_model *model;
    fn_model_info info;
    if (fn_model_open(&model, place->path, NULL) < 0)
        fail_msg("%s", fn_last_error());
    assert_int_equal(fn_model_get_info(model, &info), FN_OK);
    assert_string_equal(info.name, "tiny.onnx");
    assert_string_equal(info.role, "");
    assert_int_equal(info.input_height, 4);
    assert_float_equal(fn_model_input(model)->scale, 1, 0);
    assert_int_equal(strlen(info.fingerprint), 64);
    assert_non_null(strstr(info.canonical, "importer: onnx 1\n"));
    fn_model_free(model);
    fn_graph_free(g);
}

static void outputs_come_item_by_item(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 1, NULL, NULL);
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    float input[3 * 48], together[3 * 34], alone[34];
    for (int i = 0; i < 3 * 48; i++)
        input[i] = (float)(i % 17) * 0.1F - 0.5F;
    for (int backend = FN_BACKEND_ONEDNN; backend <= FN_BACKEND_REF; backend++) {
        fn_model *model;
        options.backend = (fn_backend)backend;
        if (fn_model_open(&model, place->path, &options) < 0 || fn_model_run(model, input, 3, together) < 0)
            fail_msg("%s", fn_last_error());
        for (int item = 0; item < 3; item++) {
            assert_int_equal(fn_model_run(model, input + item * 48, 1, alone), FN_OK);
            for (int i = 0; i < 34; i++)
                assert_float_equal(together[item * 34 + i], alone[i], 1e-6);
        }
        float mean[2] = {0, 0}; // the embedding of the last item by hand
        for (int o = 0; o < 2; o++)
            for (int c = 0; c < 3; c++)
                for (int p = 0; p < 16; p++)
                    mean[o] +=
                        (o == 0 && c == 0 ? 0.1F : (float)(o * 3 + c) * 0.25F) * input[96 + c * 16 + p] / 16;
        assert_float_equal(alone[0], mean[0] + 2 * mean[1], 1e-5);
        assert_float_equal(alone[1], 3 * mean[0] + 4 * mean[1], 1e-5);
        assert_int_equal(fn_model_run(model, NULL, 1, alone), FN_EINVAL);
        assert_int_equal(fn_model_run(model, input, -1, alone), FN_EINVAL);
        fn_model_free(model);
    }
    fn_graph_free(g);
}

static int collect(void *user, const char *line) {
    fn_buf *lines = user;
    fn_buf_printf(lines, "%s\n", line);
    return 0;
}

static int stop(void *user, const char *line) {
    (void)line;
    return ++*(int *)user == 2 ? 77 : 0;
}

static void layers_are_one_line_each(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 1, NULL, NULL);
    fn_model *model;
    fn_buf lines;
    int n = 0;
    fn_buf_init(&lines, 1 << 16);
    assert_int_equal(fn_model_open(&model, place->path, NULL), FN_OK);
    assert_int_equal(fn_model_layers(model, collect, &lines), FN_OK);
    assert_string_equal(lines.data, "Conv\tconv\t1x2x4x4\t6\t96\n"
                                    "GlobalAveragePool\tpool\t1x2x1x1\t0\t0\n"
                                    "Flatten\tflat\t1x2\t0\t0\n"
                                    "Gemm\tembedding\t1x2\t4\t4\n");
    assert_int_equal(fn_model_layers(model, stop, &n), 77);
    assert_int_equal(n, 2);
    fn_buf_free(&lines);
    fn_model_free(model);
    fn_graph_free(g);
}

static void a_name_opens_the_file_of_the_folder(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 1, NULL, NULL);
    fn_model *model;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    options.directory = place->folder;
    assert_int_equal(fn_model_open(&model, "tiny", &options), FN_OK);
    fn_model_free(model);
    fn_graph_free(g);
}

static void what_is_missing_is_told_with_its_remedy(void **state) {
    const struct place *place = *state;
    fn_model *model = (fn_model *)1;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    options.directory = place->folder;
    fn_model_entry entry;
    char remedy[128];
    assert_int_equal(fn_catalogue_get(&entry, 0, place->folder), FN_OK);
    assert_int_equal(fn_model_open(&model, entry.name, &options), FN_EMODEL);
    snprintf(remedy, sizeof remedy, "run: facenet model pull %s", entry.name);
    says(remedy);
    assert_null(model);
    assert_int_equal(fn_model_open(&model, "no-such-model", &options), FN_EMODEL);
    says("no-such-model");
    assert_int_equal(fn_model_open(&model, "/nowhere/x.onnx", NULL), FN_EMODEL);
    says("/nowhere/x.onnx");
    assert_int_equal(fn_model_open(&model, "", NULL), FN_EINVAL);
    options.precision = FN_PRECISION_BF16;
    assert_int_equal(fn_model_open(&model, "tiny", &options), FN_EUNSUPPORTED);
    fn_model_free(NULL);
}

static void metadata_that_does_not_fit_is_refused(void **state) {
    const struct place *place = *state;
    static const struct {
        const char *input, *because;
    } bad[] = {
        {"", "JSON"},
        {"[1]", "JSON"},
        {"{\"width\":8,\"height\":8,\"color\":\"rgb\",\"mean\":[0,0,0],\"scale\":1}", "8 x 8"},
        {"{\"width\":4,\"height\":-4,\"color\":\"rgb\",\"mean\":[0,0,0],\"scale\":1}", "height"},
        {"{\"width\":4,\"height\":4,\"color\":\"grey\",\"mean\":[0,0,0],\"scale\":1}", "color"},
        {"{\"width\":4,\"height\":4,\"color\":\"rgb\",\"mean\":[0,0],\"scale\":1}", "mean"},
        {"{\"width\":4,\"height\":4,\"color\":\"rgb\",\"mean\":[0,0,1e300],\"scale\":1}", "mean"},
        {"{\"width\":4,\"height\":4,\"color\":\"rgb\",\"mean\":[0,0,0],\"scale\":0}", "scale"},
        {"{\"width\":4,\"height\":4,\"color\":\"rgb\",\"mean\":[0,0,0]}", "scale"},
    };
    fn_graph *g = tiny("", 0.1F);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fn_model *model;
        save(place, g, 1, "facenet.input", bad[i].input);
        assert_true(fn_model_open(&model, place->path, NULL) < 0);
        says(bad[i].because);
        says(place->path);
    }
    fn_graph_free(g);
}

static void a_file_that_is_no_model_is_refused(void **state) {
    const struct place *place = *state;
    fn_model *model;
    assert_int_equal(fn_write_file(place->path, "hello", 5, 0644), FN_OK);
    assert_int_equal(fn_model_open(&model, place->path, NULL), FN_EFORMAT);
    says(place->path);
    assert_int_equal(fn_write_file(place->path, "", 0, 0644), FN_OK);
    assert_int_equal(fn_model_open(&model, place->path, NULL), FN_EFORMAT);
    assert_int_equal(fn_model_open(&model, place->folder, NULL), FN_EIO);
}

static void a_network_of_another_kind_is_refused(void **state) {
    const struct place *place = *state;
    fn_model *model;
    fn_graph *g;
    assert_int_equal(fn_graph_open(&g), FN_OK);
    fn_graph_output(g, fn_relu(g, "r", fn_graph_input(g, "x", fn_shape_make(2, -1, 8))));
    assert_int_equal(fn_graph_finish(g), FN_OK);
    save(place, g, 0, NULL, NULL);
    assert_int_equal(fn_model_open(&model, place->path, NULL), FN_EMODEL);
    says("one input");
    fn_graph_free(g);
}

static void each_failing_allocation_is_an_error(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    float input[48] = {0}, output[34];
    for (int with_metadata = 0; with_metadata < 2; with_metadata++) {
        save(place, g, with_metadata, NULL, NULL);
        int rc = FN_ENOMEM;
        for (int64_t nth = 1; rc != FN_OK && nth < 5000; nth++) {
            fn_model *model;
            fn_alloc_fail_nth(nth);
            rc = fn_model_open(&model, place->path, NULL);
            if (rc == FN_OK && (rc = fn_model_run(model, input, 1, output)) < 0)
                fn_model_free(model);
            else if (rc == FN_OK)
                fn_model_free(model);
            fn_alloc_fail_nth(0);
            if (rc != FN_OK)
                assert_int_equal(rc, FN_ENOMEM);
        }
        assert_int_equal(rc, FN_OK);
    }
    fn_graph_free(g);
}

// ---- Verifying

static void an_installed_model_verifies(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F);
    save(place, g, 1, NULL, NULL);
    if (fn_model_verify("tiny", place->folder) < 0)
        fail_msg("%s", fn_last_error());
    assert_int_equal(fn_model_verify("../tiny", place->folder), FN_EINVAL);
    fn_graph_free(g);
}

static void every_change_is_noticed(void **state) {
    const struct place *place = *state;
    fn_graph *g = tiny("", 0.1F), *other = tiny("", 0.2F);
    char *canonical = canonical_of(other, &spec, NULL), note[64];
    save(place, g, 1, "facenet.canonical", canonical);
    assert_int_equal(fn_model_verify("tiny", place->folder), FN_EMODEL);
    says("canonical");
    save(place, g, 1, "facenet.licence", NULL);
    assert_int_equal(fn_model_verify("tiny", place->folder), FN_EMODEL);
    says("facenet.licence");
    save(place, g, 1, "facenet.name", "other");
    assert_int_equal(fn_model_verify("tiny", place->folder), FN_EMODEL);
    save(place, g, 1, NULL, NULL);
    unsigned char *bytes;
    size_t n;
    assert_int_equal(fn_read_file(&bytes, &n, place->path, 1 << 20), FN_OK);
    bytes[n / 2] ^= 1;
    assert_int_equal(fn_write_file(place->path, bytes, n, 0644), FN_OK);
    fn_free(bytes);
    assert_int_equal(fn_model_verify("tiny", place->folder), FN_EMODEL);
    says("changed");
    snprintf(note, sizeof note, "%s/tiny.sha256", place->folder);
    unlink(note);
    assert_int_equal(fn_model_verify("tiny", place->folder), FN_EMODEL);
    fn_free(canonical);
    fn_graph_free(g);
    fn_graph_free(other);
}

int main(void) {
#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, clear_place)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_canonical_text_is_as_documented),
        cmocka_unit_test(only_what_changes_an_embedding_changes_the_fingerprint),
        cmocka_unit_test(writing_and_reading_keeps_the_graphs_hash),
        cmocka_unit_test(wiring_and_attributes_count),
        cmocka_unit_test(a_canonical_text_refuses_line_breaks_and_bad_hashes),
        cmocka_unit_test(a_comma_for_a_point_changes_nothing),
        IN_A_PLACE(a_model_says_what_its_metadata_says),
        IN_A_PLACE(a_foreign_file_gets_the_plainest_reading),
        IN_A_PLACE(outputs_come_item_by_item),
        IN_A_PLACE(layers_are_one_line_each),
        IN_A_PLACE(a_name_opens_the_file_of_the_folder),
        IN_A_PLACE(what_is_missing_is_told_with_its_remedy),
        IN_A_PLACE(metadata_that_does_not_fit_is_refused),
        IN_A_PLACE(a_file_that_is_no_model_is_refused),
        IN_A_PLACE(a_network_of_another_kind_is_refused),
        IN_A_PLACE(each_failing_allocation_is_an_error),
        IN_A_PLACE(an_installed_model_verifies),
        IN_A_PLACE(every_change_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
