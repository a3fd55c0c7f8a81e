// SPDX-License-Identifier: Apache-2.0
//
// Training as a whole, on drawn faces: a small network learns to tell people apart that it has never seen,
// and nothing that happens on the way (chunks, threads, being stopped, a full disk, numbers that run away)
// goes unnoticed or changes what comes out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "base/random.h"
#include "model/networks.h"
#include "train/chunks.h"
#include "train/collapse.h"
#include "train/config.h"
#include "train/validate.h"
#include "unit/drawn_faces.h"

#include <facenet/embed.h>
#include <facenet/train.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 32, DIMENSION = 64, ITEM = 3 * SIDE * SIDE };

// A folder of the test's own: train and val hold drawn faces of different people, few a handful.
typedef struct fixture {
    char root[64], train[96], val[96], few[96];
} fixture;
static fixture f;

static int set_up(void **state) {
    (void)state;
    snprintf(f.root, sizeof f.root, "/tmp/facenet-train-XXXXXX");
    if (!mkdtemp(f.root))
        return -1;
    snprintf(f.train, sizeof f.train, "%s/train", f.root);
    snprintf(f.val, sizeof f.val, "%s/val", f.root);
    snprintf(f.few, sizeof f.few, "%s/few", f.root);
    return draw_people(f.train, 0, 120, 8, SIDE) || draw_people(f.val, 5000, 60, 6, SIDE) ||
           draw_people(f.few, 0, 12, 4, SIDE);
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f.root);
    return system(command);
}

// A new run folder's path; valid until the next call but three.
static const char *run_folder(void) {
    static char paths[4][128];
    static int n;
    char *path = paths[n++ % 4];
    snprintf(path, sizeof paths[0], "%s/run%d", f.root, n);
    return path;
}

// A short run on a few people.
static fn_train_options short_run(const char *out) {
    fn_train_options o = FN_TRAIN_OPTIONS_INIT;
    o.data = f.few;
    o.val_data = f.few;
    o.out = out;
    o.arch = "tiny";
    o.template_name = "arcface-112";
    o.people_per_batch = 6;
    o.optimizer = "adam";
    o.epochs = 5;
    o.steps_per_epoch = 4;
    o.checkpoint_minutes = 0;
    o.ema = 0.9;
    return o;
}

static char *read_text(const char *folder, const char *leaf) {
    unsigned char *bytes;
    size_t n;
    char *path = fn_path_join(folder, leaf);
    assert_int_equal(fn_read_file(&bytes, &n, path, 1 << 24), FN_OK);
    fn_free(path);
    return (char *)bytes;
}

static void assert_same_metrics(const char *a, const char *b) {
    char *one = read_text(a, "metrics.jsonl"), *other = read_text(b, "metrics.jsonl");
    assert_string_equal(one, other);
    fn_free(one);
    fn_free(other);
}

static void must_train(const fn_train_options *o, fn_train_result *result) {
    int rc = fn_train_run(o, result, NULL);
    if (rc < 0)
        fail_msg("training failed: %s", fn_last_error());
}

// ---- what is learnt --------------------------------------------------------------------------

static fn_train_validation judge_untrained(void) {
    fn_dataset *val;
    fn_validator *validator;
    fn_graph *graph;
    fn_train_validation v;
    fn_train_options o = FN_TRAIN_OPTIONS_INIT;
    const fn_input_spec input = {SIDE, SIDE, 0, {127.5F, 127.5F, 127.5F}, 128};
    assert_int_equal(fn_dataset_open(&val, f.val, 1), FN_OK);
    assert_int_equal(fn_network_build(&graph, "tiny", &(fn_network_options){.seed = 1}), FN_OK);
    assert_int_equal(fn_validator_open(&validator, val, &input, &o), FN_OK);
    assert_int_equal(fn_validator_run(validator, graph, &v), FN_OK);
    fn_validator_free(validator);
    fn_dataset_free(val);
    return v;
}

static void it_learns_to_tell_people_apart_that_it_has_never_seen(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    o.data = f.train;
    o.val_data = f.val;
    o.people_per_batch = 16;
    o.steps_per_epoch = 0;
    o.epochs = 60;
    o.schedule = "cosine";
    o.ema = 0;
    must_train(&o, &result);
    const fn_train_validation before = judge_untrained();
    printf("accuracy %.3f +- %.3f (AUC %.3f), untrained %.3f (AUC %.3f), %.1f s\n", result.best.accuracy,
           result.best.accuracy_se, result.best.auc, before.accuracy, before.auc, result.seconds);
    assert_true(result.best.accuracy > 0.85);
    assert_true(result.best.auc > 0.94);
    assert_true(before.accuracy < 0.72);
    assert_int_equal(result.epoch, 60);
    assert_int_equal(result.step, 60 * 8);

    // The model is one like any other.
    fn_embedder_options e = FN_EMBEDDER_OPTIONS_INIT;
    fn_embedder *embedder;
    e.model = result.model;
    assert_int_equal(fn_embedder_open(&embedder, &e), FN_OK);
    assert_int_equal(fn_embedder_dimension(embedder), DIMENSION);
    assert_string_equal(fn_embedder_template(embedder)->name, "arcface-32");
    assert_float_equal((double)fn_embedder_template(embedder)->points[0].x,
                       (double)fn_template_find("arcface-112")->points[0].x * 32 / 112, 1e-5);
    enum { PEOPLE = 20 };
    unsigned char *crops = fn_alloc((size_t)2 * PEOPLE * ITEM);
    float rows[2 * PEOPLE * DIMENSION];
    for (int i = 0; i < 2 * PEOPLE; i++)
        draw_face(crops + (size_t)i * ITEM, SIDE, 9000 + i / 2, i % 2);
    assert_int_equal(fn_embedder_run(embedder, crops, 2 * PEOPLE, rows), FN_OK);
    double same = 0, different = 0;
    for (int i = 0; i < 2 * PEOPLE; i++)
        for (int k = 0; k < DIMENSION; k++) {
            const double a = (double)rows[i * DIMENSION + k];
            same += pow(a - (double)rows[(i ^ 1) * DIMENSION + k], 2);
            different += pow(a - (double)rows[(i + 2) % (2 * PEOPLE) * DIMENSION + k], 2);
        }
    assert_true(2 * same < different);
    fn_free(crops);
    fn_embedder_free(embedder);
    char *page = read_text(o.out, "report.html");
    assert_non_null(strstr(page, "data:image/jpeg"));
    assert_null(strstr(page, "http://localhost"));
    fn_free(page);
}

static void one_batch_of_three_people_is_learnt_by_heart(void **state) {
    (void)state;
    // OpenFace's smoke test: 3 people with 10 pictures, 10 epochs of one batch, mean loss below 0.3.
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    char data[128];
    snprintf(data, sizeof data, "%s/three", f.root);
    assert_int_equal(draw_people(data, 40, 3, 10, SIDE), 0);
    o.data = data;
    o.val_data = NULL;
    o.people_per_batch = 3;
    o.images_per_person = 10;
    o.mining = "any-violator";
    o.reduction = "mean";
    o.epochs = 10;
    o.steps_per_epoch = 1;
    must_train(&o, &result);
    char *metrics = read_text(o.out, "metrics.jsonl");
    double sum = 0, first = 0, last = 0;
    int n = 0;
    for (char *at = metrics; (at = strstr(at, "\"kind\":\"epoch\"")); n++) {
        at = strstr(at, "\"loss\":");
        last = strtod(at + 7, NULL);
        first = n ? first : last;
        sum += last;
    }
    fn_free(metrics);
    assert_int_equal(n, 10);
    printf("mean loss %.3f, from %.3f to %.3f\n", sum / n, first, last);
    assert_true(sum / n < 0.3);
    assert_true(last < first);
    assert_non_null(strstr(result.model, "last.onnx"));
}

// ---- batches in parts ------------------------------------------------------------------------

enum { ROWS = 12 };

typedef struct passed {
    float unit[ROWS * DIMENSION], *gradients, *statistics;
    size_t n_gradients, n_statistics;
} passed;

static void draw_rows(float *values, size_t n, uint32_t index) {
    fn_rng r = fn_rng_at(3, FN_STREAM_SPLIT, index);
    for (size_t i = 0; i < n; i++)
        values[i] = fn_rng_normal(&r);
}

// One step's passes over ROWS drawn images, in parts of `chunk`, `at_once` images per fn_chunks call.
static passed pass_in(int chunk, int at_once, int frozen_norms) {
    fn_graph *graph;
    fn_training *t;
    fn_chunks *chunks;
    float *pixels = fn_alloc(ROWS * ITEM * sizeof *pixels), d_unit[ROWS * DIMENSION];
    passed p;
    draw_rows(pixels, ROWS * ITEM, 1);
    draw_rows(d_unit, ROWS * DIMENSION, 2);
    assert_int_equal(fn_network_build(&graph, "tiny", &(fn_network_options){.seed = 4, .dropout = 0.3F}),
                     FN_OK);
    assert_int_equal(fn_training_open(&t, graph, &(fn_training_options){.threads = 1}), FN_OK);
    assert_int_equal(fn_chunks_open(&chunks, t, ROWS, chunk, ITEM), FN_OK);
    fn_pass pass = fn_training_pass(t);
    pass.momentum = 0.1F;
    pass.frozen_norms = frozen_norms;
    pass.seed = 5;
    pass.step = 6;
    p.n_gradients = fn_training_parameters(t)->trained_size;
    p.n_statistics = fn_training_parameters(t)->statistics_size;
    memset(pass.gradients, 0, p.n_gradients * sizeof(float));
    for (int start = 0; start < ROWS; start += at_once) {
        pass.first_row = start; // of a call with several parts it is set by fn_chunks
        assert_int_equal(
            fn_chunks_forward(chunks, &pass, pixels + start * ITEM, at_once, 0, p.unit + start * DIMENSION),
            FN_OK);
        assert_int_equal(
            fn_chunks_backward(chunks, &pass, pixels + start * ITEM, at_once, d_unit + start * DIMENSION),
            FN_OK);
    }
    p.gradients = fn_alloc(p.n_gradients * sizeof(float));
    p.statistics = fn_alloc(p.n_statistics * sizeof(float));
    memcpy(p.gradients, pass.gradients, p.n_gradients * sizeof(float));
    memcpy(p.statistics, fn_training_statistics(t), p.n_statistics * sizeof(float));
    fn_chunks_free(chunks);
    fn_training_free(t);
    fn_free(pixels);
    return p;
}

static void passed_free(passed *p) {
    fn_free(p->gradients);
    fn_free(p->statistics);
}

static double relative(const float *a, const float *b, size_t n) {
    double off = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        off += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return sqrt(off / size);
}

static void parts_with_frozen_norms_are_the_whole_batch(void **state) {
    (void)state;
    passed whole = pass_in(0, ROWS, 1), parts = pass_in(5, ROWS, 1);
    assert_true(relative(parts.unit, whole.unit, ROWS * DIMENSION) <= 1e-6);
    assert_true(relative(parts.gradients, whole.gradients, whole.n_gradients) <= 1e-6);
    assert_memory_equal(parts.statistics, whole.statistics, whole.n_statistics * sizeof(float));
    passed_free(&whole);
    passed_free(&parts);
}

static void parts_are_bit_for_bit_groups_of_one_pass(void **state) {
    (void)state;
    // Three groups of four, each passed by itself, forward and backward once, against three parts of one
    // batch, which are passed forward twice.
    passed groups = pass_in(0, 4, 0), parts = pass_in(4, ROWS, 0), whole = pass_in(0, ROWS, 0);
    assert_memory_equal(parts.unit, groups.unit, sizeof parts.unit);
    assert_memory_equal(parts.gradients, groups.gradients, groups.n_gradients * sizeof(float));
    assert_memory_equal(parts.statistics, groups.statistics, groups.n_statistics * sizeof(float));
    assert_true(relative(whole.statistics, groups.statistics, whole.n_statistics) > 1e-3);
    passed_free(&groups);
    passed_free(&parts);
    passed_free(&whole);
}

static void gradients_pass_through_the_unit_length(void **state) {
    (void)state;
    // A gradient along the embedding moves nothing, whatever its size.
    fn_graph *graph;
    fn_training *t;
    fn_chunks *chunks;
    float *pixels = fn_alloc(4 * ITEM * sizeof *pixels), unit[4 * DIMENSION];
    draw_rows(pixels, 4 * ITEM, 1);
    assert_int_equal(fn_network_build(&graph, "tiny", &(fn_network_options){.seed = 4}), FN_OK);
    assert_int_equal(fn_training_open(&t, graph, &(fn_training_options){.threads = 1}), FN_OK);
    assert_int_equal(fn_chunks_open(&chunks, t, 4, 0, ITEM), FN_OK);
    fn_pass pass = fn_training_pass(t);
    const size_t n = fn_training_parameters(t)->trained_size;
    memset(pass.gradients, 0, n * sizeof(float));
    assert_int_equal(fn_chunks_forward(chunks, &pass, pixels, 4, 0, unit), FN_OK);
    for (int i = 0; i < 4 * DIMENSION; i++)
        unit[i] *= 10;
    assert_int_equal(fn_chunks_backward(chunks, &pass, pixels, 4, unit), FN_OK);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(((float *)pass.gradients)[i]) < 1e-4F);
    assert_int_equal(fn_chunks_forward(chunks, &pass, pixels, 5, 0, unit), FN_EINVAL);
    fn_chunks_free(chunks);
    fn_training_free(t);
    fn_free(pixels);
}

// ---- the same again --------------------------------------------------------------------------

static void loader_threads_change_nothing(void **state) {
    (void)state;
    fn_train_options one = short_run(run_folder()), three = short_run(run_folder());
    fn_train_result result;
    three.loader_threads = 3;
    must_train(&one, &result);
    must_train(&three, &result);
    assert_same_metrics(one.out, three.out);
    char *a = read_text(one.out, "best.sha256"), *b = read_text(three.out, "best.sha256");
    assert_string_equal(a, b);
    fn_free(a);
    fn_free(b);
}

static int stop_at(void *user, const fn_train_progress *progress) {
    return progress->step == *(const uint64_t *)user;
}

// Stopped after `step` and resumed, it must end as the unbroken run did.
static void stop_and_resume(fn_train_options o, const char *unbroken, uint64_t step) {
    fn_train_result result;
    o.out = run_folder();
    o.progress = stop_at;
    o.user = &step;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ECANCELLED);
    assert_int_equal(result.step, step);
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ECONFLICT); // not without asking
    o.resume = 1;
    o.progress = NULL;
    must_train(&o, &result);
    assert_same_metrics(o.out, unbroken);
    char *a = read_text(o.out, "last.sha256"), *b = read_text(unbroken, "last.sha256");
    assert_string_equal(a, b);
    fn_free(a);
    fn_free(b);
}

static void a_stopped_run_goes_on_as_if_nothing_had_happened(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    o.chunk = 9;
    o.dropout = 0.2;
    must_train(&o, &result);
    const char *unbroken = o.out;
    static const uint64_t steps[] = {1, 7, 8};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        stop_and_resume(o, unbroken, steps[i]);
}

static void losses_with_weights_of_their_own_resume_too(void **state) {
    (void)state;
    static const char *const losses[] = {"softmax", "arcface"};
    for (int i = 0; i < 2; i++) {
        fn_train_options o = short_run(run_folder());
        fn_train_result result;
        o.loss = losses[i];
        o.centre_weight = 0.01;
        o.batch = 20;
        must_train(&o, &result);
        stop_and_resume(o, o.out, 6);
    }
}

static void a_resumed_run_must_have_the_same_options(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    must_train(&o, &result);
    o.resume = 1;
    o.seed = 2;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ECONFLICT);
    assert_non_null(strstr(fn_last_error(), "seed 1"));
    o.seed = 1;
    o.loader_threads = 2; // this may change,
    o.epochs = 6;         // and so may this
    must_train(&o, &result);
    assert_int_equal(result.step, 24);
}

// ---- what goes wrong -------------------------------------------------------------------------

static void a_collapse_is_noticed_and_a_good_run_is_not_taken_for_one(void **state) {
    (void)state;
    fn_collapse c = {0};
    for (int i = 0; i < 99; i++)
        assert_int_equal(fn_collapse_step(&c, 1e-6, 0.2, 0.2, 100), 0);
    assert_int_equal(fn_collapse_step(&c, 1e-3, 0.15, 0.2, 100), 0); // it came apart again
    for (int i = 0; i < 99; i++)
        assert_int_equal(fn_collapse_step(&c, 1e-3, 0.2, 0.2, 100), 0); // near, and stuck at the margin
    assert_int_equal(fn_collapse_step(&c, 1e-3, 0.2, 0.2, 100), 1);
    for (int i = 0; i < 1000; i++) { // far apart at the margin, or close together but learning
        assert_int_equal(fn_collapse_step(&c, 0.5, 0.2, 0.2, 100), 0);
        assert_int_equal(fn_collapse_step(&c, 1e-3, 0.1, 0.2, 100), 0);
        assert_int_equal(fn_collapse_step(&c, 1e-3, NAN, 0, 100), 0);
    }
    assert_float_equal(fn_spread((const float[]){1, 0, -1, 0}, 2, 2), 4, 1e-12);
    assert_float_equal(fn_spread((const float[]){1, 0, 0, 1, 1, 0}, 3, 2), 4.0 / 3, 1e-12);

    fn_train_options o = short_run(run_folder()); // batch-hard at a high rate: the known way to get there
    fn_train_result result;
    o.data = f.train;
    o.val_data = NULL;
    o.optimizer = "sgd";
    o.lr = 5;
    o.mining = "batch-hard";
    o.augment = "none";
    o.people_per_batch = 12;
    o.ema = 0;
    o.epochs = 100;
    o.collapse_steps = 50;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ETRAIN);
    assert_non_null(strstr(fn_last_error(), "collapsed"));
    assert_non_null(strstr(fn_last_error(), "lower lr"));
    printf("collapsed at step %d\n", (int)result.step);
    assert_true(result.step < 400);
}

static void numbers_that_run_away_name_a_layer(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    o.optimizer = "sgd";
    o.lr = 1e30;
    o.checkpoint_steps = 1;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ETRAIN);
    assert_non_null(strstr(fn_last_error(), "not finite, first in conv"));
    // The checkpoint holds what was before: it can be read, and leads to the same end.
    const uint64_t step = result.step;
    assert_true(step >= 1);
    o.resume = 1;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ETRAIN);
    assert_int_equal(result.step, step);
}

static void a_full_disk_keeps_the_checkpoint_before(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    uint64_t step = 6;
    struct rlimit was, small;
    o.val_data = NULL;
    o.progress = stop_at;
    o.user = &step;
    assert_int_equal(fn_train_run(&o, &result, NULL), FN_ECANCELLED);
    char *path = fn_path_join(o.out, "checkpoint.fnt");
    unsigned char before[32], after[32];
    assert_int_equal(fn_file_sha256(before, path, 0), FN_OK);
    // Files may not grow beyond 100 kB, which a checkpoint does.
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &small);
    o.resume = 1;
    o.progress = NULL;
    const int rc = fn_train_run(&o, &result, NULL);
    setrlimit(RLIMIT_FSIZE, &was);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(rc, FN_EIO);
    assert_non_null(strstr(fn_last_error(), "checkpoint.fnt"));
    assert_int_equal(fn_file_sha256(after, path, 0), FN_OK);
    assert_memory_equal(before, after, 32);
    must_train(&o, &result); // and with room again it goes on
    assert_int_equal(result.step, 20);
    fn_free(path);
}

static void without_memory_it_fails_cleanly(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result result;
    o.epochs = 1;
    o.steps_per_epoch = 1;
    fn_alloc_fail_nth(0);
    must_train(&o, &result);
    const int64_t n = fn_alloc_count();
    // Dense at the beginning, where the parts are made; then a sample.
    int n_failed = 0;
    for (int64_t i = 1; i <= n; i += i < 40 ? 3 : n / 40 + 1) {
        o.out = run_folder();
        fn_alloc_fail_nth(i);
        const int rc = fn_train_run(&o, &result, NULL);
        fn_alloc_fail_nth(0);
        assert_true(rc == FN_OK || rc == FN_ENOMEM);
        n_failed += rc == FN_ENOMEM;
    }
    assert_true(n_failed > 20);
}

// ---- options ---------------------------------------------------------------------------------

static void write_text(const char *path, const char *text) {
    assert_int_equal(fn_write_file(path, text, strlen(text), 0600), FN_OK);
}

static void options_come_from_lines_and_from_json(void **state) {
    (void)state;
    char path[128], *texts, *more;
    fn_train_options o = FN_TRAIN_OPTIONS_INIT, again = FN_TRAIN_OPTIONS_INIT;
    snprintf(path, sizeof path, "%s/options.txt", f.root);
    write_text(path, "# a run\n\ndata = my faces\npeople_per_batch = 45 # many\n  lr=2.5e-3\r\nfold = yes\n"
                     "loss = arcface\nmargin=-1\nout=run\narch=tiny");
    assert_int_equal(fn_train_options_read(&o, &texts, path), FN_OK);
    assert_string_equal(o.data, "my faces");
    assert_int_equal(o.people_per_batch, 45);
    assert_true(o.lr == 2.5e-3);
    assert_int_equal(o.fold, 1);
    assert_string_equal(o.loss, "arcface");
    assert_null(o.teacher);
    char *json = fn_config_json(&o);
    write_text(path, json);
    assert_int_equal(fn_train_options_read(&again, &more, path), FN_OK);
    char *twice = fn_config_json(&again);
    assert_string_equal(json, twice);
    assert_int_equal(fn_config_same(&o, twice), FN_OK);
    fn_free(json);
    fn_free(twice);
    fn_string_free(texts);
    fn_string_free(more);
    o = (fn_train_options)FN_TRAIN_OPTIONS_INIT;

    static const struct {
        const char *text, *why;
    } bad[] = {
        {"data = x\nlearning = 3\n", "line 2: there is no option \"learning\""},
        {"data\n", "line 1: expected NAME = VALUE"},
        {"lr = fast\n", "lr wants"},
        {"epochs = 2.5\n", "whole number"},
        {"epochs = 0\n", "epochs wants a whole number from 1"},
        {"loss = hinge\n", "triplet|soft-triplet"},
        {"fold = perhaps\n", "fold wants yes or no"},
        {"{\"lr\": [1]}", "lr: that is no value"},
        {"{\"out\": 0.1, \"data\": 0.1, \"val-data\": 0.1, \"loss\": 1}", "out: that is no value"},
        {"{\"loss\": 0.1}", "loss: that is no value"},
        {"{\"data\": true}", "data: that is no value"},
        {"{\"lr\": 1,}", "line 1"},
        {"{\"lr\": null}", "lr: that is no value"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_text(path, bad[i].text);
        assert_int_equal(fn_train_options_read(&o, &texts, path), FN_EFORMAT);
        if (!strstr(fn_last_error(), bad[i].why))
            fail_msg("\"%s\" does not say \"%s\"", fn_last_error(), bad[i].why);
        assert_null(texts);
    }
    assert_string_equal(o.loss, "triplet"); // a bad file changes nothing
    assert_null(o.data);
}

static void wrong_options_are_named(void **state) {
    (void)state;
    fn_train_result result;
    fn_train_options good = short_run(run_folder()), o;
    static const struct {
        const char *field, *why;
    } cases[] = {{"data", "a folder of faces"}, {"arch", "a network by name"},         {"loss", "triplet|"},
                 {"epochs", "epochs wants"},    {"teacher", "learns from no teacher"}, {"schedule", "hourly"},
                 {"template", "no template"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        o = good;
        o.data = i == 0 ? NULL : o.data;
        o.arch = i == 1 ? NULL : o.arch;
        o.loss = i == 2 ? "hinge" : o.loss;
        o.epochs = i == 3 ? 0 : o.epochs;
        o.teacher = i == 4 ? "mobilefacenet" : NULL;
        o.schedule = i == 5 ? "hourly" : o.schedule;
        o.template_name = i == 6 ? "passport" : o.template_name;
        assert_int_equal(fn_train_run(&o, &result, NULL), FN_EINVAL);
        if (!strstr(fn_last_error(), cases[i].why))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].field, fn_last_error(), cases[i].why);
    }
}

// ---- other ways to train ---------------------------------------------------------------------

// Folded batch-norms leave the names of their convolutions.
static void a_trained_model_is_a_beginning_with_a_frozen_part(void **state) {
    (void)state;
    for (int fold = 0; fold < 2; fold++) {
        fn_train_options o = short_run(run_folder());
        fn_train_result first, second;
        o.fold = fold;
        must_train(&o, &first);
        fn_train_options next = short_run(run_folder());
        next.arch = NULL;
        next.model = first.model;
        next.freeze = "conv1,conv2";
        next.epochs = 1;
        next.template_name = NULL; // the model knows
        next.optimizer = "sgd";
        next.lr = 1e-6; // almost no change: it must begin where the other ended
        next.ema = 0;
        must_train(&next, &second);
        assert_float_equal(second.best.auc, first.best.auc, 0.01);
        next.freeze = "block7";
        next.out = run_folder();
        assert_int_equal(fn_train_run(&next, &second, NULL), FN_EINVAL);
    }
}

// The mean cosine to the teacher in the first and the last step.
static void read_likeness(const char *folder, double *first, double *last) {
    char *metrics = read_text(folder, "metrics.jsonl");
    *first = NAN;
    for (char *at = metrics; (at = strstr(at, "\"kind\":\"step\""));) {
        at = strstr(at, "\"accuracy\":");
        *last = strtod(at + 11, NULL);
        *first = isnan(*first) ? *last : *first;
    }
    fn_free(metrics);
}

static void a_network_learns_from_the_embeddings_of_another(void **state) {
    (void)state;
    fn_train_options o = short_run(run_folder());
    fn_train_result teacher, result;
    o.size = 112;
    o.epochs = 2;
    must_train(&o, &teacher);
    fn_train_options pupil = short_run(run_folder());
    pupil.teacher = teacher.model;
    pupil.loss = "distill";
    pupil.batch = 24;
    pupil.epochs = 20;
    must_train(&pupil, &result);
    double first, last;
    read_likeness(pupil.out, &first, &last);
    printf("cosine to the teacher %.3f, then %.3f\n", first, last);
    assert_true(last > first + 0.2);
    // What the teacher said is kept: without the teacher's pictures a resumed run knows it still.
    char *rows = fn_path_join(pupil.out, "teacher.bin");
    struct stat before, after;
    assert_int_equal(stat(rows, &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    pupil.resume = 1;
    pupil.epochs = 21;
    must_train(&pupil, &result);
    assert_int_equal(stat(rows, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    fn_free(rows);
    // Faces cut in another way are no pictures for this teacher.
    pupil.resume = 0;
    pupil.out = run_folder();
    pupil.template_name = "dlib-150";
    assert_int_equal(fn_train_run(&pupil, &result, NULL), FN_EINVAL);
    assert_non_null(strstr(fn_last_error(), "wants faces cut by arcface-112"));
    // Harmonic triplets live in the teacher's space.
    pupil.out = run_folder();
    pupil.template_name = "arcface-112";
    pupil.loss = "harmonic";
    pupil.epochs = 3;
    must_train(&pupil, &result);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_to_tell_people_apart_that_it_has_never_seen),
        cmocka_unit_test(one_batch_of_three_people_is_learnt_by_heart),
        cmocka_unit_test(parts_with_frozen_norms_are_the_whole_batch),
        cmocka_unit_test(parts_are_bit_for_bit_groups_of_one_pass),
        cmocka_unit_test(gradients_pass_through_the_unit_length),
        cmocka_unit_test(loader_threads_change_nothing),
        cmocka_unit_test(a_stopped_run_goes_on_as_if_nothing_had_happened),
        cmocka_unit_test(losses_with_weights_of_their_own_resume_too),
        cmocka_unit_test(a_resumed_run_must_have_the_same_options),
        cmocka_unit_test(a_collapse_is_noticed_and_a_good_run_is_not_taken_for_one),
        cmocka_unit_test(numbers_that_run_away_name_a_layer),
        cmocka_unit_test(a_full_disk_keeps_the_checkpoint_before),
        cmocka_unit_test(without_memory_it_fails_cleanly),
        cmocka_unit_test(options_come_from_lines_and_from_json),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(a_trained_model_is_a_beginning_with_a_frozen_part),
        cmocka_unit_test(a_network_learns_from_the_embeddings_of_another),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
