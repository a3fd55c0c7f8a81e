// SPDX-License-Identifier: Apache-2.0
//
// Augmentation against what each change must do, and the loader: the same batches whatever the threads, clear
// ends.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/crop_cache.h"
#include "train/loader.h"
#include "train/pixels.h"

#include <facenet/decode.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_PEOPLE = 5, N_EACH = 4, BOX = 24, MARGIN = 4, SIDE = BOX + 2 * MARGIN, INPUT = 20, BATCH = 6 };

static const fn_crop_geometry geometry = {"arcface-112", BOX, BOX, MARGIN};

// ---- a dataset of noise -------------------------------------------------------------------------

typedef struct fixture {
    char root[64];
    fn_dataset *dataset;
} fixture;

static void noise(unsigned char *pixels, size_t n, uint32_t index) {
    fn_rng rng = fn_rng_at(5, 77, index);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (unsigned char)fn_rng_bits(&rng);
}

static void write_png(const char *path, int side, uint32_t index) {
    unsigned char pixels[SIDE * SIDE * 3];
    noise(pixels, sizeof pixels, index);
    const fn_image image = {pixels, side, side, (ptrdiff_t)side * 3, FN_PIXEL_RGB8};
    assert_int_equal(fn_image_write(&image, path, 0), FN_OK);
}

static int setup(void **state) {
    static fixture f;
    char path[128];
    strcpy(f.root, "/tmp/test_loader.XXXXXX");
    assert_non_null(mkdtemp(f.root));
    for (int p = 0; p < N_PEOPLE; p++) {
        snprintf(path, sizeof path, "%s/p%d", f.root, p);
        assert_int_equal(fn_mkdirs(path, 0700), FN_OK);
        for (int i = 0; i < N_EACH; i++) {
            snprintf(path, sizeof path, "%s/p%d/%d.png", f.root, p, i);
            write_png(path, SIDE, (uint32_t)(p * N_EACH + i));
        }
    }
    snprintf(path, sizeof path, "%s/facenet-dataset.json", f.root);
    static const char json[] =
        "{\"facenet_dataset\": 1, \"template_name\": \"arcface-112\", \"width\": 24, \"height\": 24, "
        "\"margin\": 4, \"pipeline\": \"\"}";
    assert_int_equal(fn_write_file(path, json, strlen(json), 0600), FN_OK);
    assert_int_equal(fn_dataset_open(&f.dataset, f.root, 1), FN_OK);
    *state = &f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    char command[128];
    fn_dataset_free(f->dataset);
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    return system(command);
}

// ---- augmentation -------------------------------------------------------------------------------

static fn_image crop_of(unsigned char *pixels, int side) {
    return (fn_image){pixels, side, side, (ptrdiff_t)side * 3, FN_PIXEL_RGB8};
}

static void without_changes_the_input_is_the_box(void **state) {
    (void)state;
    unsigned char pixels[SIDE * SIDE * 3];
    float dst[3 * BOX * BOX];
    noise(pixels, sizeof pixels, 1);
    const fn_image crop = crop_of(pixels, SIDE);
    const fn_augment none = fn_augment_none();
    fn_rng rng = fn_rng_at(1, FN_STREAM_AUGMENT, 0);
    assert_int_equal(fn_augment_run(dst, BOX, BOX, &crop, &geometry, &none, &rng), FN_OK);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < BOX; y++)
            for (int x = 0; x < BOX; x++)
                assert_float_equal(dst[(c * BOX + y) * BOX + x],
                                   (float)pixels[((y + MARGIN) * SIDE + x + MARGIN) * 3 + c], 0);
}

static void without_a_template_the_whole_picture_counts(void **state) {
    (void)state;
    unsigned char pixels[SIDE * SIDE * 3];
    float dst[3 * SIDE * SIDE];
    noise(pixels, sizeof pixels, 2);
    const fn_image crop = crop_of(pixels, SIDE);
    const fn_crop_geometry unknown = {0};
    const fn_augment none = fn_augment_none();
    fn_rng rng = fn_rng_at(1, FN_STREAM_AUGMENT, 0);
    assert_int_equal(fn_augment_run(dst, SIDE, SIDE, &crop, &unknown, &none, &rng), FN_OK);
    for (int i = 0; i < SIDE * SIDE; i++)
        assert_float_equal(dst[i], (float)pixels[3 * i], 0);
}

static void mirroring_flips_every_other_picture(void **state) {
    (void)state;
    unsigned char pixels[SIDE * SIDE * 3];
    float plain[3 * BOX * BOX], dst[3 * BOX * BOX];
    noise(pixels, sizeof pixels, 3);
    const fn_image crop = crop_of(pixels, SIDE);
    fn_augment a = fn_augment_none();
    fn_rng rng = fn_rng_at(1, FN_STREAM_AUGMENT, 0);
    assert_int_equal(fn_augment_run(plain, BOX, BOX, &crop, &geometry, &a, &rng), FN_OK);
    a.mirror = 1;
    int n_mirrored = 0;
    for (uint32_t k = 0; k < 400; k++) {
        rng = fn_rng_at(1, FN_STREAM_AUGMENT, k);
        assert_int_equal(fn_augment_run(dst, BOX, BOX, &crop, &geometry, &a, &rng), FN_OK);
        int mirrored = memcmp(dst, plain, sizeof dst) != 0;
        n_mirrored += mirrored;
        for (int i = 0; i < 3 * BOX * BOX && mirrored; i++)
            assert_float_equal(dst[i], plain[i / BOX * BOX + BOX - 1 - i % BOX], 1e-3);
    }
    assert_in_range(n_mirrored, 160, 240); // four standard deviations
}

static void the_default_margin_holds_the_default_changes(void **state) {
    (void)state;
    enum { S = 112, M = 19, ALL = S + 2 * M };
    static unsigned char pixels[ALL * ALL * 3];
    static float dst[3 * 96 * 96];
    // Black but for the outermost pixels: whatever touches the border would bring light in.
    for (int y = 0; y < ALL; y++)
        for (int x = 0; x < ALL; x++)
            memset(&pixels[(y * ALL + x) * 3], x == 0 || y == 0 || x == ALL - 1 || y == ALL - 1 ? 255 : 0, 3);
    const fn_image crop = crop_of(pixels, ALL);
    const fn_crop_geometry g = {"arcface-112", S, S, M};
    fn_augment a = fn_augment_default();
    a.brightness = a.contrast = a.saturation = a.blur = a.jpeg = a.downscale = a.erase = 0;
    for (uint32_t k = 0; k < 400; k++) {
        fn_rng rng = fn_rng_at(2, FN_STREAM_AUGMENT, k);
        assert_int_equal(fn_augment_run(dst, 96, 96, &crop, &g, &a, &rng), FN_OK);
        for (int i = 0; i < 3 * 96 * 96; i++)
            assert_float_equal(dst[i], 0, 0);
    }
}

static void turning_moves_a_mark_along_a_circle(void **state) {
    (void)state;
    enum { S = 112, M = 19, ALL = S + 2 * M };
    static unsigned char pixels[ALL * ALL * 3];
    static float dst[3 * S * S];
    memset(pixels, 0, sizeof pixels);
    for (int y = ALL / 2 - 3; y < ALL / 2 + 3; y++) // a mark 40 px right of the centre
        for (int x = ALL / 2 + 37; x < ALL / 2 + 43; x++)
            memset(&pixels[(y * ALL + x) * 3], 255, 3);
    const fn_image crop = crop_of(pixels, ALL);
    const fn_crop_geometry g = {"arcface-112", S, S, M};
    fn_augment a = fn_augment_none();
    a.rotation_deg = 10;
    double least = 90, most = -90;
    for (uint32_t k = 0; k < 200; k++) {
        fn_rng rng = fn_rng_at(3, FN_STREAM_AUGMENT, k);
        double sum = 0, at_x = 0, at_y = 0;
        assert_int_equal(fn_augment_run(dst, S, S, &crop, &g, &a, &rng), FN_OK);
        for (int i = 0; i < S * S; i++) {
            sum += (double)dst[i];
            at_x += (double)dst[i] * (i % S + 0.5 - S / 2.0);
            at_y += (double)dst[i] * (i / S + 0.5 - S / 2.0);
        }
        double angle = atan2(at_y, at_x) * 57.29577951308232;
        assert_true(fabs(hypot(at_x, at_y) / sum - 40) < 0.1);
        least = fmin(least, angle);
        most = fmax(most, angle);
    }
    assert_true(least > -10.1 && least < -9);
    assert_true(most < 10.1 && most > 9);
}

static void shrinking_averages_fine_patterns(void **state) {
    (void)state;
    enum { S = 96 * 3 };
    static unsigned char pixels[S * S * 3];
    static float dst[3 * 96 * 96];
    for (int i = 0; i < S * S; i++) // stripes of one pixel: sampled singly they would alias
        memset(&pixels[3 * i], i % S % 3 == 1 ? 255 : 0, 3);
    const fn_image crop = crop_of(pixels, S);
    const fn_crop_geometry g = {"arcface-112", S, S, 0};
    const fn_augment none = fn_augment_none();
    fn_rng rng = fn_rng_at(1, FN_STREAM_AUGMENT, 0);
    assert_int_equal(fn_augment_run(dst, 96, 96, &crop, &g, &none, &rng), FN_OK);
    for (int i = 0; i < 3 * 96 * 96; i++)
        assert_float_equal(dst[i], 85, 0.5);
}

static void colour_changes_do_what_they_say(void **state) {
    (void)state;
    float p[6] = {100, 50, 60, 50, 20, 50}; // two pixels: (100, 60, 20) and grey 50
    float grey = 0.299F * 100 + 0.587F * 60 + 0.114F * 20, mean = (grey + 50) / 2;
    float q[6];
    memcpy(q, p, sizeof p);
    fn_planes_color(q, 2, 1, 1.5F, 1, 1);
    for (int i = 0; i < 6; i++)
        assert_float_equal(q[i], 1.5F * p[i], 1e-3);
    memcpy(q, p, sizeof p);
    fn_planes_color(q, 2, 1, 1, 0.5F, 1);
    for (int i = 0; i < 6; i++)
        assert_float_equal(q[i], mean + 0.5F * (p[i] - mean), 1e-3);
    memcpy(q, p, sizeof p);
    fn_planes_color(q, 2, 1, 1, 1, 0);
    assert_float_equal(q[0], grey, 1e-3);
    assert_float_equal(q[2], grey, 1e-3);
    assert_float_equal(q[4], grey, 1e-3);
    assert_float_equal(q[1], 50, 1e-3);
    fn_planes_color(p, 2, 1, 9, 1, 1); // results stay pixels
    assert_float_equal(p[0], 255, 0);
}

static void blur_keeps_the_sum_and_spreads_a_point(void **state) {
    (void)state;
    enum { S = 21 };
    static float p[3 * S * S];
    memset(p, 0, sizeof p);
    p[10 * S + 10] = 100;
    assert_int_equal(fn_planes_blur(p, S, S, 1.0F), FN_OK);
    double sum = 0, spread = 0;
    for (int i = 0; i < S * S; i++) {
        sum += (double)p[i];
        spread += (double)p[i] * (i % S - 10) * (i % S - 10);
    }
    assert_true(fabs(sum - 100) < 1e-3);
    assert_true(fabs(spread / sum - 1) < 0.03); // sigma^2, a little less for being cut off
    for (int i = S * S; i < 3 * S * S; i++)
        assert_float_equal(p[i], 0, 0);
}

static void jpeg_and_a_smaller_copy_change_a_little(void **state) {
    (void)state;
    enum { S = 32 };
    static unsigned char rgb[S * S * 3], before[S * S * 3];
    for (int i = 0; i < S * S * 3; i++)
        before[i] = rgb[i] = (unsigned char)(100 + 40 * sin(i / 3 % S * 0.4) + 30 * cos(i / 3 / S * 0.3));
    assert_int_equal(fn_rgb_jpeg(rgb, S, S, 40), FN_OK);
    int largest = 0, total = 0;
    for (int i = 0; i < S * S * 3; i++) {
        int d = abs(rgb[i] - before[i]);
        largest = d > largest ? d : largest;
        total += d;
    }
    assert_in_range(total, 1, S * S * 3 * 5);
    assert_in_range(largest, 1, 40);
    memcpy(rgb, before, sizeof rgb);
    assert_int_equal(fn_rgb_coarsen(rgb, S, S, 0.5), FN_OK);
    total = 0;
    for (int i = 0; i < S * S * 3; i++)
        total += abs(rgb[i] - before[i]);
    assert_in_range(total, 1, S * S * 3 * 8);
}

static void strong_changes_stay_within_pixels(void **state) {
    (void)state;
    unsigned char pixels[SIDE * SIDE * 3];
    float dst[3 * INPUT * INPUT], first[3 * INPUT * INPUT];
    noise(pixels, sizeof pixels, 4);
    const fn_image crop = crop_of(pixels, SIDE);
    const fn_augment a = {1, 45, 0.5F, 0.5F, 0.9F, 0.9F, 0.9F, 1, 1, 1, 1};
    for (uint32_t k = 0; k < 200; k++) {
        fn_rng rng = fn_rng_at(4, FN_STREAM_AUGMENT, k), again = rng;
        assert_int_equal(fn_augment_run(first, INPUT, INPUT, &crop, &geometry, &a, &rng), FN_OK);
        assert_int_equal(fn_augment_run(dst, INPUT, INPUT, &crop, &geometry, &a, &again), FN_OK);
        assert_memory_equal(dst, first, sizeof dst);
        for (int i = 0; i < 3 * INPUT * INPUT; i++)
            assert_true(dst[i] >= 0 && dst[i] <= 255);
    }
}

static void a_crop_of_another_size_is_refused(void **state) {
    (void)state;
    unsigned char pixels[BOX * BOX * 3] = {0};
    float dst[3 * BOX * BOX];
    const fn_image crop = crop_of(pixels, BOX);
    const fn_augment none = fn_augment_none();
    fn_rng rng = fn_rng_at(1, FN_STREAM_AUGMENT, 0);
    assert_int_equal(fn_augment_run(dst, BOX, BOX, &crop, &geometry, &none, &rng), FN_EINVAL);
}

// ---- loader -------------------------------------------------------------------------------------

// Steps of the tests: images of a step by a formula, n_steps of them (0: no end).
typedef struct plan {
    uint64_t n_steps;
    int bad_step; // -1: none
} plan;

static int batch_of(void *user, uint64_t step, int *image) {
    const plan *p = user;
    if (p->n_steps && step >= p->n_steps)
        return 0;
    if (p->bad_step >= 0 && step == (uint64_t)p->bad_step)
        return fn_fail(FN_EINVAL, "step %d cannot be sampled", p->bad_step);
    fn_rng rng = fn_rng_at(9, FN_STREAM_SAMPLER, (uint32_t)step);
    int n = BATCH - (int)(step % 3); // steps differ in size
    for (int i = 0; i < n; i++)
        image[i] = (int)fn_rng_below(&rng, N_PEOPLE * N_EACH);
    return n;
}

static fn_loader_options options_of(const fixture *f, plan *p) {
    return (fn_loader_options){.dataset = f->dataset,
                               .width = INPUT,
                               .height = INPUT,
                               .mean = {127.5F, 100, 90},
                               .scale = 128,
                               .augment = fn_augment_default(),
                               .seed = 11,
                               .threads = 2,
                               .cache_bytes = 1 << 20,
                               .n_max = BATCH,
                               .batch = batch_of,
                               .user = p};
}

enum { N_STEPS = 12 };

/// Digest of each batch from first_step to N_STEPS.
static void digests(unsigned char digest[N_STEPS][32], const fixture *f, int threads, uint64_t first_step,
                    size_t cache_bytes) {
    plan p = {.bad_step = -1};
    fn_loader *loader;
    fn_batch b;
    fn_loader_options o = options_of(f, &p);
    o.threads = threads;
    o.first_step = first_step;
    o.cache_bytes = cache_bytes;
    assert_int_equal(fn_loader_open(&loader, &o), FN_OK);
    for (uint64_t step = first_step; step < N_STEPS; step++) {
        assert_int_equal(fn_loader_next(loader, &b), FN_OK);
        assert_int_equal(b.step, step);
        assert_int_equal(b.n, BATCH - (int)(step % 3));
        for (int i = 0; i < b.n; i++)
            assert_int_equal(b.label[i], b.image[i] / N_EACH);
        fn_sha256(digest[step], b.pixels, (size_t)b.n * 3 * INPUT * INPUT * sizeof *b.pixels);
    }
    assert_true(fn_loader_waited_s(loader) >= 0);
    fn_loader_free(loader);
}

static void batches_do_not_depend_on_threads_or_memory(void **state) {
    unsigned char one[N_STEPS][32], other[N_STEPS][32];
    digests(one, *state, 1, 0, 1 << 20);
    assert_memory_not_equal(one[0], one[3], 32); // the same number of images, others
    static const int threads[] = {2, 4, 7};
    for (size_t i = 0; i < 3; i++) {
        digests(other, *state, threads[i], 0, 1 << 20);
        assert_memory_equal(one, other, sizeof one);
    }
    digests(other, *state, 3, 0, 0);
    assert_memory_equal(one, other, sizeof one);
    digests(other, *state, 3, 0, 5 * SIDE * SIDE * 3 + 1);
    assert_memory_equal(one, other, sizeof one);
}

static void a_resumed_run_has_the_same_batches(void **state) {
    unsigned char whole[N_STEPS][32], rest[N_STEPS][32];
    digests(whole, *state, 2, 0, 1 << 20);
    digests(rest, *state, 3, 5, 1 << 20);
    assert_memory_equal(whole[5], rest[5], (N_STEPS - 5) * 32);
}

static void pixels_are_normalised(void **state) {
    const fixture *f = *state;
    plan p = {.bad_step = -1};
    fn_loader *loader;
    fn_batch b;
    fn_loader_options o = options_of(f, &p);
    o.augment = fn_augment_none();
    o.width = o.height = BOX;
    assert_int_equal(fn_loader_open(&loader, &o), FN_OK);
    assert_int_equal(fn_loader_next(loader, &b), FN_OK);
    unsigned char pixels[SIDE * SIDE * 3];
    for (int i = 0; i < b.n; i++) {
        noise(pixels, sizeof pixels, (uint32_t)b.image[i]);
        for (int c = 0; c < 3; c++)
            assert_float_equal(b.pixels[(i * 3 + c) * BOX * BOX],
                               ((float)pixels[(MARGIN * SIDE + MARGIN) * 3 + c] - o.mean[c]) / 128, 1e-6);
    }
    fn_loader_free(loader);
}

static void the_end_of_the_steps_is_an_empty_batch(void **state) {
    plan p = {.n_steps = 2, .bad_step = -1};
    fn_loader *loader;
    fn_batch b;
    const fn_loader_options o = options_of(*state, &p);
    assert_int_equal(fn_loader_open(&loader, &o), FN_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fn_loader_next(loader, &b), FN_OK);
        assert_int_equal(b.n > 0, i < 2);
    }
    fn_loader_free(loader);
}

static void expect_failure(const fixture *f, plan *p, uint64_t good_steps, int code, const char *says) {
    for (int threads = 1; threads <= 4; threads += 3) {
        fn_loader *loader;
        fn_batch b;
        fn_loader_options o = options_of(f, p);
        o.threads = threads;
        assert_int_equal(fn_loader_open(&loader, &o), FN_OK);
        for (uint64_t i = 0; i < good_steps; i++)
            assert_int_equal(fn_loader_next(loader, &b), FN_OK);
        for (int again = 0; again < 3; again++) {
            assert_int_equal(fn_loader_next(loader, &b), code);
            assert_int_equal(b.n, 0);
            if (!strstr(fn_last_error(), says))
                fail_msg("'%s' is not in the message: %s", says, fn_last_error());
        }
        fn_loader_free(loader);
    }
}

static void a_step_that_cannot_be_sampled_ends_with_its_error(void **state) {
    plan p = {.bad_step = 4};
    expect_failure(*state, &p, 4, FN_EINVAL, "step 4 cannot be sampled");
}

/// The first step that needs an image, and the image of it that comes first.
static uint64_t first_step_of(int image) {
    plan p = {.bad_step = -1};
    int images[BATCH];
    for (uint64_t step = 0;; step++)
        for (int i = 0, n = batch_of(&p, step, images); i < n; i++)
            if (images[i] == image)
                return step;
}

static void a_file_that_cannot_be_read_is_named(void **state) {
    const fixture *f = *state;
    plan p = {.bad_step = -1};
    char *path = fn_dataset_image_path(f->dataset, 7);
    assert_int_equal(fn_write_file(path, "no picture", 10, 0600), FN_OK);
    expect_failure(f, &p, first_step_of(7), FN_EFORMAT, path);
    assert_int_equal(unlink(path), 0);
    expect_failure(f, &p, first_step_of(7), FN_EIO, path);
    write_png(path, SIDE - 2, 7);
    expect_failure(f, &p, first_step_of(7), FN_EINVAL, path);
    write_png(path, SIDE, 7);
    fn_free(path);
}

static void a_loader_can_be_freed_at_any_time(void **state) {
    plan p = {.bad_step = -1};
    for (int n_taken = 0; n_taken < 20; n_taken++) {
        fn_loader *loader;
        fn_batch b;
        fn_loader_options o = options_of(*state, &p);
        o.threads = 1 + n_taken % 4;
        assert_int_equal(fn_loader_open(&loader, &o), FN_OK);
        for (int i = 0; i < n_taken % 5; i++)
            assert_int_equal(fn_loader_next(loader, &b), FN_OK);
        fn_loader_free(loader);
    }
    fn_loader_free(NULL);
}

static void wrong_options_are_refused(void **state) {
    plan p = {.bad_step = -1};
    fn_loader *loader;
    for (int wrong = 0; wrong < 5; wrong++) {
        fn_loader_options o = options_of(*state, &p);
        if (wrong == 0)
            o.dataset = NULL;
        else if (wrong == 1)
            o.n_max = 0;
        else if (wrong == 2)
            o.scale = 0;
        else if (wrong == 3)
            o.width = 0;
        else
            o.threads = -1;
        assert_int_equal(fn_loader_open(&loader, &o), FN_EINVAL);
        assert_null(loader);
    }
}

static void lack_of_memory_is_an_error_and_no_leak(void **state) {
    plan p = {.bad_step = -1};
    for (int n = 1;; n++) { // in the threads too: then the batch fails
        fn_loader *loader;
        fn_batch b;
        fn_loader_options o = options_of(*state, &p);
        o.threads = 1;
        o.cache_bytes = 0;
        o.augment.jpeg = o.augment.downscale = o.augment.blur = 1;
        fn_alloc_fail_nth(n);
        int rc = fn_loader_open(&loader, &o);
        if (rc == FN_OK)
            rc = fn_loader_next(loader, &b);
        fn_loader_free(loader);
        int64_t n_seen = fn_alloc_count();
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
        if (rc == FN_OK && n_seen < n)
            break;
        assert_true(n < 5000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_changes_the_input_is_the_box),
        cmocka_unit_test(without_a_template_the_whole_picture_counts),
        cmocka_unit_test(mirroring_flips_every_other_picture),
        cmocka_unit_test(the_default_margin_holds_the_default_changes),
        cmocka_unit_test(turning_moves_a_mark_along_a_circle),
        cmocka_unit_test(shrinking_averages_fine_patterns),
        cmocka_unit_test(colour_changes_do_what_they_say),
        cmocka_unit_test(blur_keeps_the_sum_and_spreads_a_point),
        cmocka_unit_test(jpeg_and_a_smaller_copy_change_a_little),
        cmocka_unit_test(strong_changes_stay_within_pixels),
        cmocka_unit_test(a_crop_of_another_size_is_refused),
        cmocka_unit_test(batches_do_not_depend_on_threads_or_memory),
        cmocka_unit_test(a_resumed_run_has_the_same_batches),
        cmocka_unit_test(pixels_are_normalised),
        cmocka_unit_test(the_end_of_the_steps_is_an_empty_batch),
        cmocka_unit_test(a_step_that_cannot_be_sampled_ends_with_its_error),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(a_loader_can_be_freed_at_any_time),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(lack_of_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
