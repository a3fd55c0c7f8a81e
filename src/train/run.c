// SPDX-License-Identifier: Apache-2.0
//
// Options become the parts of a run, in the order in which they need each other.
#include "train/run.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "train/config.h"
#include "train/share.h"
#include "train/skipped.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { FEW_STEPS = 20 }; // an epoch below this is worth a word

// One process at a time works on a run: the lock goes with it, however it ends.
static int lock_folder(fn_run *run) {
    const char *out = run->options->out;
    int rc = fn_mkdirs(out, 0700);
    if (rc < 0)
        return rc;
    run->lock = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0)
        return fn_fail(FN_EIO, "%s: %s", out, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return fn_fail(FN_ECONFLICT, "%s: another training is working on this run", out);
    return FN_OK; // a file system without locks is as it was
}

static int open_paths(fn_run *run) {
    const char *out = run->options->out;
    int rc = fn_run_leads(run) ? lock_folder(run) : FN_OK;
    if (rc < 0)
        return rc;
    run->checkpoint = fn_path_join(out, "checkpoint.fnt");
    run->metrics_path = fn_path_join(out, "metrics.jsonl");
    run->config_path = fn_path_join(out, "config.json");
    run->best = fn_path_join(out, "best.onnx");
    run->last = fn_path_join(out, "last.onnx");
    run->report = fn_path_join(out, "report.html");
    run->config = fn_config_json(run->options);
    if (!run->checkpoint || !run->metrics_path || !run->config_path || !run->best || !run->last ||
        !run->report || !run->config)
        return fn_fail_memory();
    if (fn_run_leads(run) && !run->options->resume && access(run->checkpoint, F_OK) == 0)
        return fn_fail(FN_ECONFLICT, "%s: a run is there already: resume it, or name another folder", out);
    return FN_OK;
}

static int hash_names(unsigned char digest[32], const fn_dataset *dataset) {
    fn_buf names;
    fn_buf_init(&names, (size_t)1 << 30);
    for (int i = 0; i < fn_dataset_n_images(dataset); i++)
        fn_buf_printf(&names, "%s\n", fn_dataset_image_name(dataset, i));
    fn_sha256(digest, names.data, names.len);
    const int rc = names.failed ? fn_fail_memory() : FN_OK;
    fn_buf_free(&names);
    return rc;
}

// People of both folders make the validation a matter of memory. Both lists are in byte order.
static void warn_of_shared_people(const fn_run *run) {
    int n = 0, first = -1;
    for (int i = 0, k = 0; i < fn_dataset_n_people(run->data) && k < fn_dataset_n_people(run->val_data);) {
        int order = strcmp(fn_dataset_person_name(run->data, i), fn_dataset_person_name(run->val_data, k));
        if (order == 0 && n++ == 0)
            first = i;
        i += order <= 0;
        k += order >= 0;
    }
    if (n)
        fn_control_log(run->control, FN_LOG_WARNING,
                       "%d people of %s are in %s too (%s): validation says little about people never seen",
                       n, run->options->val_data, run->options->data,
                       fn_dataset_person_name(run->data, first));
}

static int open_data(fn_run *run) {
    const fn_train_options *o = run->options;
    int rc = fn_dataset_open(&run->data, o->data, 1);
    if (rc == FN_OK)
        rc = hash_names(run->pictures, run->data);
    if (rc == FN_OK && fn_run_leads(run))
        fn_skipped_tell(run->data, run->control);
    if (rc == FN_OK && o->val_data)
        rc = fn_dataset_open(&run->val_data, o->val_data, 1);
    if (rc == FN_OK && o->val_data && fn_run_leads(run))
        fn_skipped_tell(run->val_data, run->control);
    if (rc == FN_OK && o->val_data && fn_run_leads(run))
        warn_of_shared_people(run);
    return rc;
}

// ---- batches and the loss --------------------------------------------------------------------

static int is_triplet(fn_loss_kind kind) {
    return kind == FN_LOSS_TRIPLET || kind == FN_LOSS_SOFT_TRIPLET || kind == FN_LOSS_HARMONIC;
}

static int open_sampler(fn_run *run) {
    const fn_train_options *o = run->options;
    fn_sampler_options sampler = {
        .kind = FN_SAMPLE_UNIFORM, .people = o->batch, .images = 1, .seed = (uint64_t)o->seed};
    if (is_triplet((fn_loss_kind)fn_loss_parse(o->loss)))
        sampler = (fn_sampler_options){.kind = FN_SAMPLE_PEOPLE,
                                       .people = o->people_per_batch,
                                       .images = o->images_per_person,
                                       .repeat = !o->uneven,
                                       .negatives = o->negatives,
                                       .seed = (uint64_t)o->seed};
    if (sampler.kind == FN_SAMPLE_PEOPLE && fn_dataset_n_people(run->data) < 2)
        return fn_fail(FN_EINVAL, "%s: one person has no negatives: triplets need two people at least",
                       o->data);
    int rc = fn_sampler_open(&run->sampler, run->data, &sampler);
    if (rc < 0)
        return rc;
    const int64_t steps = fn_sampler_steps_per_epoch(run->sampler);
    run->epoch_steps = (uint64_t)(o->steps_per_epoch ? o->steps_per_epoch : steps > 0 ? steps : 1);
    run->total_steps = run->epoch_steps * (uint64_t)o->epochs;
    if (!o->steps_per_epoch && run->epoch_steps < FEW_STEPS && o->epochs > 1 && fn_run_leads(run))
        fn_control_log(
            run->control, FN_LOG_INFO,
            "an epoch of so few people is %llu steps, each epoch ends with a validation and a checkpoint, "
            "and the whole training is %llu steps: longer ones are set by steps-per-epoch",
            (unsigned long long)run->epoch_steps, (unsigned long long)run->total_steps);
    return FN_OK;
}

// All: the rows of rank 0 for everybody.
static int share_teacher(fn_run *run) {
    fn_teacher *t = &run->teacher;
    int64_t shape[] = {t->n_images, t->dimension};
    fn_ranks_broadcast(run->ranks, shape, sizeof shape);
    fn_ranks_broadcast(run->ranks, t->fingerprint, sizeof t->fingerprint);
    const size_t n = (size_t)shape[0] * (size_t)shape[1];
    if (!t->rows)
        *t = (fn_teacher){
            .rows = fn_calloc(n, sizeof *t->rows), .n_images = (int)shape[0], .dimension = (int)shape[1]};
    int rc = fn_ranks_agree(run->ranks, t->rows ? FN_OK : fn_fail_memory());
    if (rc == FN_OK)
        fn_ranks_broadcast(run->ranks, t->rows, n * sizeof *t->rows);
    return rc;
}

static int embed_teacher(fn_run *run) {
    if (!fn_run_leads(run))
        return FN_OK;
    char *path = fn_path_join(run->options->out, "teacher.bin");
    if (!path)
        return FN_ENOMEM;
    int rc = fn_teacher_open(&run->teacher, run->data, run->options->template_name, path, run->options,
                             run->control);
    fn_free(path);
    return rc;
}

static int open_teacher(fn_run *run) {
    if (!run->options->teacher)
        return FN_OK;
    int rc = fn_ranks_agree(run->ranks, embed_teacher(run));
    return rc == FN_OK ? share_teacher(run) : rc;
}

static int open_loss(fn_run *run) {
    const fn_train_options *o = run->options;
    fn_loss_options *l = &run->loss_options;
    *l = fn_loss_defaults((fn_loss_kind)fn_loss_parse(o->loss));
    l->dimension = run->dimension;
    if (strcmp(o->mining, "auto") != 0)
        l->mining = (fn_mining)fn_mining_parse(o->mining);
    if (strcmp(o->reduction, "auto") != 0)
        l->mean_reduction = strcmp(o->reduction, "mean") == 0;
    l->n_classes = fn_dataset_n_people(run->data);
    l->teacher_dimension = run->teacher.dimension;
    l->seed = (uint64_t)o->seed;
    l->threads = o->threads;
    if (o->margin >= 0)
        l->margin = (float)o->margin;
    if (o->loss_scale > 0)
        l->scale = (float)o->loss_scale;
    if (o->centre_weight >= 0)
        l->centre_weight = (float)o->centre_weight;
    if (o->centre_rate >= 0)
        l->centre_rate = (float)o->centre_rate;
    if (o->similarity_weight >= 0)
        l->similarity_weight = (float)o->similarity_weight;
    return fn_loss_open(&run->loss, l);
}

// ---- the update ------------------------------------------------------------------------------

static fn_optimizer_options optimizer_options(const fn_train_options *o, fn_optimizer_kind kind) {
    fn_optimizer_options options = fn_optimizer_defaults(kind);
    if (kind == FN_OPTIMIZER_SGD)
        options.momentum = o->momentum;
    options.beta1 = o->beta1;
    options.beta2 = o->beta2;
    if (o->epsilon > 0)
        options.epsilon = o->epsilon;
    options.weight_decay = o->weight_decay;
    options.clip_norm = o->clip;
    options.threads = o->threads;
    return options;
}

// Before the teacher is asked, which takes minutes.
static int open_schedule(fn_run *run) {
    const fn_train_options *o = run->options;
    fn_optimizer_kind kind;
    int rc = fn_optimizer_parse_kind(&kind, o->optimizer);
    if (rc < 0)
        return rc;
    const double own = kind == FN_OPTIMIZER_ADAGRAD || kind == FN_OPTIMIZER_SGD ? 0.05 : 0.001;
    return fn_schedule_parse(&run->schedule, o->schedule ? o->schedule : "constant", o->lr > 0 ? o->lr : own);
}

static int open_update(fn_run *run) {
    const fn_train_options *o = run->options;
    const fn_parameters *parameters = fn_training_parameters(run->training);
    fn_optimizer_kind kind;
    int rc = fn_optimizer_parse_kind(&kind, o->optimizer);
    if (rc < 0)
        return rc;
    const fn_optimizer_options options = optimizer_options(o, kind);
    run->n_segments = parameters->n_trained;
    if ((rc = fn_segments_of(&run->segments, parameters)) < 0 ||
        (rc = fn_optimizer_open(&run->optimizer, &options, parameters->trained_size)) < 0)
        return rc;
    const size_t n = fn_loss_n_weights(run->loss), n_biases = fn_loss_n_biases(run->loss);
    run->loss_segments[0] = (fn_segment){0, n - n_biases, 1, 0};
    run->loss_segments[1] = (fn_segment){n - n_biases, n_biases, 0, 0};
    if (n && (rc = fn_optimizer_open(&run->loss_optimizer, &options, n)) < 0)
        return rc;
    if (o->ema > 0) {
        run->averaged = fn_alloc_aligned(parameters->trained_size * sizeof *run->averaged);
        if (!run->averaged)
            return fn_fail_memory();
        memcpy(run->averaged, fn_training_weights(run->training),
               parameters->trained_size * sizeof *run->averaged);
    }
    return FN_OK;
}

static int open_rows(fn_run *run) {
    const size_t n = (size_t)fn_sampler_batch_max(run->sampler);
    const int n_ranks = fn_ranks_size(run->ranks), n_rows = fn_share_largest((int)n, n_ranks);
    // A norm over the one image of a share says nothing, and an empty share could not be passed.
    if (n_ranks > 1 && (n < 2 * (size_t)n_ranks || run->options->chunk == 1))
        return fn_fail(FN_EINVAL,
                       "%d processes share %zu images of a step: each needs two at least, and two in a chunk",
                       n_ranks, n);
    run->unit = fn_calloc(n * (size_t)run->dimension, sizeof *run->unit);
    run->d_unit = fn_calloc(n * (size_t)run->dimension, sizeof *run->d_unit);
    if (run->teacher.rows)
        run->teacher_rows = fn_calloc(n * (size_t)run->teacher.dimension, sizeof *run->teacher_rows);
    if (!run->unit || !run->d_unit || (run->teacher.rows && !run->teacher_rows))
        return fn_fail_memory();
    return fn_chunks_open(&run->chunks, run->training, n_rows, run->options->chunk,
                          3 * (size_t)run->input.width * (size_t)run->input.height);
}

// ---- pictures --------------------------------------------------------------------------------

static void replace(float *setting, double option) {
    if (option >= 0)
        *setting = (float)option;
}

static fn_augment augment_of(const fn_train_options *o) {
    fn_augment a = strcmp(o->augment, "none") == 0 ? fn_augment_none() : fn_augment_default();
    if (o->mirror >= 0)
        a.mirror = o->mirror > 0;
    replace(&a.rotation_deg, o->rotation);
    replace(&a.shift, o->shift);
    replace(&a.scale, o->zoom);
    replace(&a.brightness, o->brightness);
    replace(&a.contrast, o->contrast);
    replace(&a.saturation, o->saturation);
    replace(&a.blur, o->blur);
    replace(&a.jpeg, o->jpeg);
    replace(&a.downscale, o->downscale);
    replace(&a.erase, o->erase);
    return a;
}

static int batch_of_step(void *user, uint64_t step, int *image) {
    const fn_run *run = user;
    return step < run->total_steps ? fn_sampler_batch(run->sampler, step, image) : 0;
}

static int open_loader(fn_run *run) {
    const fn_train_options *o = run->options;
    const float *mean = run->input.mean;
    return fn_loader_open(&run->loader, &(fn_loader_options){
                                            .dataset = run->data,
                                            .width = run->input.width,
                                            .height = run->input.height,
                                            .mean = {mean[0], mean[1], mean[2]},
                                            .scale = run->input.scale,
                                            .bgr = run->input.bgr,
                                            .augment = augment_of(o),
                                            .seed = (uint64_t)o->seed,
                                            .threads = o->loader_threads,
                                            .cache_bytes = (size_t)o->cache_mb << 20,
                                            .n_max = fn_sampler_batch_max(run->sampler),
                                            .batch = batch_of_step,
                                            .user = run,
                                            .first_step = run->at.step,
                                            .share = fn_ranks_rank(run->ranks),
                                            .shares = fn_ranks_size(run->ranks),
                                        });
}

static int open_metrics(fn_run *run) {
    char *timing = fn_path_join(run->options->out, "timing.jsonl");
    if (!timing)
        return FN_ENOMEM;
    int rc = fn_metrics_open(&run->metrics, run->metrics_path, run->at.step);
    if (rc == FN_OK)
        rc = fn_metrics_open(&run->timing, timing, run->at.step);
    fn_free(timing);
    return rc;
}

// ---- all of it -------------------------------------------------------------------------------

static int open_learner(fn_run *run) {
    int rc = fn_config_check(run->options);
    if (rc == FN_OK)
        rc = open_paths(run);
    if (rc == FN_OK)
        rc = open_data(run);
    if (rc == FN_OK)
        rc = fn_run_open_network(run);
    if (rc == FN_OK)
        rc = open_sampler(run);
    if (rc == FN_OK)
        rc = open_schedule(run);
    return rc;
}

// The options of this rank against those of rank 0.
static int compare_options(fn_run *run, const char *config) {
    int rc = fn_config_same(run->options, config);
    return rc < 0 ? fn_fail_prefix(rc, "other options than rank 0's") : rc;
}

// All: everybody was given the same options and sees the same pictures.
static int compare_ranks(fn_run *run) {
    if (fn_ranks_size(run->ranks) == 1)
        return FN_OK;
    uint64_t n = strlen(run->config) + 1;
    fn_ranks_broadcast(run->ranks, &n, sizeof n);
    char *config = fn_alloc(n);
    int rc = fn_ranks_agree(run->ranks, config ? FN_OK : fn_fail_memory());
    if (rc == FN_OK) {
        if (fn_run_leads(run))
            memcpy(config, run->config, n);
        fn_ranks_broadcast(run->ranks, config, n);
        rc = fn_ranks_agree(run->ranks, compare_options(run, config));
    }
    if (rc == FN_OK)
        rc = fn_ranks_same(run->ranks, run->pictures, sizeof run->pictures, "pictures in its data folder");
    fn_free(config);
    return rc;
}

static int open_lesson(fn_run *run) {
    int rc = open_loss(run);
    if (rc == FN_OK)
        rc = open_update(run);
    if (rc == FN_OK)
        rc = open_rows(run);
    if (rc == FN_OK && run->val_data && fn_run_leads(run))
        rc = fn_validator_open(&run->validator, run->val_data, &run->input, run->options);
    return rc;
}

static int open_files(fn_run *run) {
    int rc = FN_OK;
    if (fn_run_leads(run))
        rc = open_metrics(run);
    if (rc == FN_OK)
        rc = open_loader(run);
    if (rc == FN_OK && fn_run_leads(run))
        rc = fn_write_file(run->config_path, run->config, strlen(run->config), 0600);
    return rc;
}

// After each part that may fail on one rank alone, all hear of it.
int fn_run_open(fn_run *run, const fn_train_options *options, const fn_control *control) {
    *run = (fn_run){.options = options, .control = control, .lock = -1};
    int rc = fn_ranks_open(&run->ranks, control);
    if (rc < 0)
        return rc;
    rc = fn_ranks_agree(run->ranks, open_learner(run));
    if (rc == FN_OK)
        rc = compare_ranks(run);
    if (rc == FN_OK)
        rc = open_teacher(run);
    if (rc == FN_OK)
        rc = fn_ranks_agree(run->ranks, open_lesson(run));
    if (rc == FN_OK && options->resume)
        rc = fn_run_restore(run);
    if (rc == FN_OK)
        rc = fn_ranks_agree(run->ranks, open_files(run));
    run->started_ms = run->saved_ms = fn_clock_ms();
    return rc;
}

void fn_run_close(fn_run *run) {
    fn_loader_free(run->loader);
    fn_metrics_free(run->timing);
    fn_metrics_free(run->metrics);
    fn_hardest_free(&run->hardest);
    fn_validator_free(run->validator);
    fn_schedule_free(run->schedule);
    fn_free(run->averaged);
    fn_free(run->segments);
    fn_optimizer_free(run->loss_optimizer);
    fn_optimizer_free(run->optimizer);
    fn_loss_free(run->loss);
    fn_free(run->d_unit);
    fn_free(run->unit);
    fn_free(run->teacher_rows);
    fn_teacher_free(&run->teacher);
    fn_sampler_free(run->sampler);
    fn_chunks_free(run->chunks);
    fn_training_free(run->training);
    fn_template_free(run->tmpl);
    fn_origin_free(&run->origin);
    fn_free(run->network);
    fn_dataset_free(run->val_data);
    fn_dataset_free(run->data);
    char *texts[] = {run->checkpoint, run->metrics_path, run->config, run->config_path,
                     run->best,       run->last,         run->report};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        fn_free(texts[i]);
    if (run->lock >= 0)
        close(run->lock);
    fn_ranks_free(run->ranks);
    *run = (fn_run){.lock = -1};
}

int fn_run_leads(const fn_run *run) {
    return fn_ranks_rank(run->ranks) == 0;
}

const float *fn_run_weights(const fn_run *run) {
    return run->averaged ? run->averaged : fn_training_weights(run->training);
}

double fn_run_seconds(const fn_run *run) {
    return run->seconds_before + (double)(fn_clock_ms() - run->started_ms) / 1000;
}
