// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "align/compat.h"
#include "base/alloc.h"
#include "base/path.h"
#include "golden_faces.h"
#include "image/image.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

static void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.9g and %.9g differ by more than %.2g", a, b, tolerance);
}

static fn_embedder *open_embedder(const char *model, int mirror) {
    fn_embedder_options options = FN_EMBEDDER_OPTIONS_INIT;
    fn_embedder *embedder = NULL;
    options.options.directory = golden_models();
    options.options.backend = golden_backend();
    options.model = model;
    options.mirror = mirror;
    if (fn_embedder_open(&embedder, &options) < 0)
        fail_msg("%s", fn_last_error());
    return embedder;
}

static void check_unit(const float *vector, int dimension) {
    double sum = 0;
    for (int i = 0; i < dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    assert_close(sqrt(sum), 1, 1e-6);
}

static void fill(unsigned char *crops, size_t n) {
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525 + 1013904223;
        crops[i] = (unsigned char)(seed >> 24);
    }
}

static void an_embedder_says_what_it_is(void **state) {
    (void)state;
    fn_embedder *plain = open_embedder(NULL, 0), *dlib = open_embedder("dlib", 0);
    assert_int_equal(fn_embedder_dimension(plain), 128);
    assert_string_equal(fn_embedder_template(plain)->name, "arcface-112");
    assert_string_equal(fn_embedder_template(dlib)->name, "dlib-150");
    assert_int_equal(strlen(fn_embedder_fingerprint(plain)), 64);
    assert_string_not_equal(fn_embedder_fingerprint(plain), fn_embedder_fingerprint(dlib));
    fn_embedder_free(dlib);
    fn_embedder_free(plain);
    fn_embedder_free(NULL);
}

static void mirroring_changes_the_fingerprint_and_the_canonical_text_alike(void **state) {
    (void)state;
    fn_embedder *plain = open_embedder(NULL, 0), *mirrored = open_embedder(NULL, 1);
    const char *text = fn_embedder_canonical(mirrored);
    char hex[65];
    assert_int_equal(strncmp(text, fn_embedder_canonical(plain), strlen(fn_embedder_canonical(plain))), 0);
    assert_non_null(strstr(text, "\nmirror: 1\n"));
    fn_sha256_hex(hex, text, strlen(text));
    assert_string_equal(fn_embedder_fingerprint(mirrored), hex);
    assert_string_not_equal(fn_embedder_fingerprint(plain), hex);
    fn_sha256_hex(hex, fn_embedder_canonical(plain), strlen(fn_embedder_canonical(plain)));
    assert_string_equal(fn_embedder_fingerprint(plain), hex);
    fn_embedder_free(mirrored);
    fn_embedder_free(plain);
}

static void a_crop_alone_and_among_many_gives_the_same_vector(void **state) {
    (void)state;
    enum { N = 21, ITEM = 112 * 112 * 3 };
    unsigned char *crops = fn_alloc((size_t)N * ITEM);
    float *all = fn_calloc(N, 128 * sizeof *all), one[128];
    fill(crops, (size_t)N * ITEM);
    for (int mirror = 0; mirror < 2; mirror++) {
        fn_embedder *embedder = open_embedder(NULL, mirror);
        assert_int_equal(fn_embedder_run(embedder, crops, N, all), FN_OK);
        for (size_t i = 0; i < N; i++) {
            check_unit(all + i * 128, 128);
            assert_int_equal(fn_embedder_run(embedder, crops + i * ITEM, 1, one), FN_OK);
            assert_true(fn_distance(one, all + i * 128, 128) < 1e-6F);
        }
        assert_true(fn_distance(all, all + 128, 128) > 1e-3F);
        assert_int_equal(fn_embedder_run(embedder, crops, 0, all), FN_OK);
        fn_embedder_free(embedder);
    }
    fn_free(all);
    fn_free(crops);
}

static void a_mirrored_embedding_does_not_know_left_from_right(void **state) {
    (void)state;
    enum { ITEM = 112 * 112 * 3 };
    unsigned char *crops = fn_alloc(2 * ITEM), *before = fn_alloc(2 * ITEM);
    float v[2 * 128];
    fn_embedder *embedder = open_embedder(NULL, 1);
    fill(crops, ITEM);
    memcpy(crops + ITEM, crops, ITEM);
    fn_image_mirror(crops + ITEM, 112, 112);
    memcpy(before, crops, 2 * ITEM);
    assert_int_equal(fn_embedder_run(embedder, crops, 2, v), FN_OK);
    assert_true(fn_distance(v, v + 128, 128) < 1e-6F);
    assert_memory_equal(crops, before, 2 * ITEM); // the caller's crops stay as they are
    fn_embedder_free(embedder);
    fn_free(before);
    fn_free(crops);
}

// The face whose template points are the five points of a golden row.
static fn_face face_of_points(const double p[10]) {
    fn_face face = {.n_landmarks = FN_N_LANDMARKS};
    for (int i = 36; i < 48; i++)
        face.landmarks[i] = (fn_point){(float)p[i < 42 ? 0 : 2], (float)p[i < 42 ? 1 : 3]};
    const int single[3] = {30, 48, 54};
    for (int i = 0; i < 3; i++)
        face.landmarks[single[i]] = (fn_point){(float)p[4 + 2 * i], (float)p[5 + 2 * i]};
    return face;
}

static void distances_equal_those_of_all_192_numbers(void **state) {
    (void)state;
    enum { N = 22 };
    static float ours[N][128], theirs[N][192];
    fn_embedder *embedder = open_embedder(NULL, 0);
    FILE *file = golden_open("mobilefacenet_faces.txt");
    char image[32];
    int n = 0;
    for (; n < N && fscanf(file, "%31s", image) == 1; n++) {
        double points[10], vector[192];
        golden_numbers(file, points, 10);
        golden_numbers(file, vector, 192);
        for (int i = 0; i < 192; i++)
            theirs[n][i] = (float)vector[i];
        fn_picture *picture = golden_photo(image);
        const fn_face face = face_of_points(points);
        assert_int_equal(fn_embedder_faces(embedder, fn_picture_image(picture), &face, 1, ours[n]), FN_OK);
        fn_picture_free(picture);
    }
    assert_int_equal(n, N);
    // Another resampling made the reference's crops: half a pixel, eight bits.
    double worst = 0, mean = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++) {
            const double d = fabs((double)fn_distance(ours[i], ours[k], 128) -
                                  (double)fn_distance(theirs[i], theirs[k], 192));
            worst = fmax(worst, d);
            mean += d / (N * (N - 1) / 2);
        }
    print_message("231 distances: mean difference %.4f, largest %.4f\n", mean, worst);
    assert_true(mean < 0.02 && worst < 0.1);
    fclose(file);
    fn_embedder_free(embedder);
}

static void dlib_descriptors_equal_face_api(void **state) {
    (void)state;
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    fn_model *model = NULL;
    options.directory = golden_models();
    options.backend = golden_backend();
    assert_int_equal(fn_model_open(&model, "dlib", &options), FN_OK);
    const fn_input_spec *spec = fn_model_input(model);
    FILE *faces = golden_open("faceapi_faces.txt"), *descriptors = golden_open("faceapi_descriptors.txt");
    float *input = fn_alloc(3 * 150 * 150 * sizeof *input);
    golden_face g;
    double worst[2] = {0, 0};
    int n = 0;
    for (; golden_face_read(faces, &g); n++) {
        fn_picture *picture = golden_photo(g.image);
        for (int rotated = 0; rotated < 2; rotated++) {
            double expected[128], m[6];
            float output[128];
            golden_numbers(descriptors, expected, 128);
            if (rotated) {
                assert_int_equal(fn_align_matrix(m, fn_template_find("dlib-150"), &g.face), FN_OK);
                fn_compat_warp(input, 150, fn_picture_image(picture), m, spec->mean, spec->scale);
            } else {
                fn_compat_planes(input, 150, fn_picture_image(picture), g.clipped, 1, spec->mean,
                                 spec->scale);
            }
            assert_int_equal(fn_model_run(model, input, 1, output), FN_OK);
            for (int i = 0; i < 128; i++)
                worst[rotated] = fmax(worst[rotated], fabs((double)output[i] - expected[i]));
        }
        fn_picture_free(picture);
    }
    print_message("%d faces: unrotated chip %.1e, rotated chip %.1e\n", n, worst[0], worst[1]);
    assert_int_equal(n, 22);
    assert_true(worst[0] < 1e-5 && worst[1] < 1e-4);
    fn_free(input);
    fclose(descriptors);
    fclose(faces);
    fn_model_free(model);
}

static void faces_are_embedded_as_their_crops_are(void **state) {
    (void)state;
    enum { N = 22 };
    fn_embedder *embedder = open_embedder(NULL, 0);
    FILE *file = golden_open("faceapi_faces.txt");
    golden_face g;
    fn_picture *picture = golden_photo("sample1");
    const fn_image *image = fn_picture_image(picture);
    fn_face faces[N];
    int n = 0;
    while (n < N && golden_face_read(file, &g))
        faces[n++] = g.face; // of other pictures too: landmarks anywhere will do
    float many[N * 128], one[128];
    unsigned char *crop = fn_alloc(112 * 112 * 3);
    assert_int_equal(fn_embedder_faces(embedder, image, faces, N, many), FN_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(fn_align(crop, fn_embedder_template(embedder), image, &faces[i]), FN_OK);
        assert_int_equal(fn_embedder_run(embedder, crop, 1, one), FN_OK);
        assert_true(fn_distance(one, many + (ptrdiff_t)i * 128, 128) < 1e-6F);
    }
    faces[20].n_landmarks = 0;
    assert_int_equal(fn_embedder_faces(embedder, image, faces, N, many), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "face 20"));
    fn_free(crop);
    fclose(file);
    fn_picture_free(picture);
    fn_embedder_free(embedder);
}

static void what_is_no_embedder_is_refused(void **state) {
    (void)state;
    fn_embedder_options options = FN_EMBEDDER_OPTIONS_INIT;
    fn_embedder *embedder;
    options.options.directory = golden_models();
    options.model = "landmarks-68";
    assert_int_equal(fn_embedder_open(&embedder, &options), FN_EMODEL);
    assert_non_null(strstr(fn_last_error(), "landmarks"));
    assert_null(embedder);
    options.model = "no-such-model";
    assert_int_equal(fn_embedder_open(&embedder, &options), FN_EMODEL);
    options.model = NULL;
    options.version = 7;
    assert_int_equal(fn_embedder_open(&embedder, &options), FN_EINVAL);
}

static void any_failing_allocation_is_reported(void **state) {
    (void)state;
    unsigned char *crops = fn_calloc(3, 112 * 112 * 3);
    float v[3 * 128];
    fill(crops, 3 * 112 * 112 * 3);
    fn_embedder *embedder = open_embedder(NULL, 1);
    assert_int_equal(fn_embedder_run(embedder, crops, 3, v), FN_OK); // plans are made
    int n = 1, rc = FN_ENOMEM;
    for (; rc != FN_OK && n < 1000; n++) {
        fn_alloc_fail_nth(n);
        rc = fn_embedder_run(embedder, crops, 3, v);
        fn_alloc_fail_nth(0);
        if (rc != FN_OK)
            assert_int_equal(rc, FN_ENOMEM);
    }
    assert_true(n > 3 && n < 1000);
    fn_free(crops);
    fn_embedder_free(embedder);
}

int main(void) {
    if (golden_backend() == FN_BACKEND_REF)
        cmocka_set_test_filter("d*_equal_*");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_embedder_says_what_it_is),
        cmocka_unit_test(mirroring_changes_the_fingerprint_and_the_canonical_text_alike),
        cmocka_unit_test(a_crop_alone_and_among_many_gives_the_same_vector),
        cmocka_unit_test(a_mirrored_embedding_does_not_know_left_from_right),
        cmocka_unit_test(distances_equal_those_of_all_192_numbers),
        cmocka_unit_test(dlib_descriptors_equal_face_api),
        cmocka_unit_test(faces_are_embedded_as_their_crops_are),
        cmocka_unit_test(what_is_no_embedder_is_refused),
        cmocka_unit_test(any_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
