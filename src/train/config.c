// SPDX-License-Identifier: Apache-2.0
//
// One table of options: the command line, configuration files, config.json and the check of a resumed run
// all read it.
#include "train/config.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "train/text.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((uint64_t)1 << 20)
#define AT(field) offsetof(fn_train_options, field)
#define BIG 1000000000

static const fn_train_option table[] = {
    {"data", "DIR", "what is learnt from: a folder of crops per person", FN_TRAIN_TEXT, AT(data), 0, 0, 1},
    {"val-data", "DIR", "other people, to validate with after each epoch", FN_TRAIN_TEXT, AT(val_data), 0, 0,
     1},
    {"out", "DIR", "folder of the run: checkpoint, metrics, report, models", FN_TRAIN_TEXT, AT(out), 0, 0, 1},
    {"resume", NULL, "go on from the checkpoint of the run, with its options unless given", FN_TRAIN_FLAG,
     AT(resume), 0, 0, 1},
    {"template", "NAME", "how the crops were cut, where the data folder does not say", FN_TRAIN_TEXT,
     AT(template_name), 0, 0, 0},

    {"arch", "NAME", "the network to train from the start: nn4.small2, ... (see: facenet model networks)",
     FN_TRAIN_TEXT, AT(arch), 0, 0, 0},
    {"model", "NAME|FILE", "instead: the model to go on from", FN_TRAIN_TEXT, AT(model), 0, 0, 0},
    {"embedding", "N", "numbers of the embedding [the network's own]", FN_TRAIN_COUNT, AT(embedding), 0, 4096,
     0},
    {"size", "PX", "side of the network's input [its own]", FN_TRAIN_COUNT, AT(size), 0, 1024, 0},
    {"dropout", "X", "share dropped before the last layer, with --arch [0]", FN_TRAIN_REAL, AT(dropout), 0,
     0.9, 0},
    {"freeze", "PREFIX,...", "parameters that stay as they are, by the beginnings of their names",
     FN_TRAIN_TEXT, AT(freeze), 0, 0, 0},
    {"frozen-norms", NULL, "batch-norms use and keep their running statistics", FN_TRAIN_FLAG,
     AT(frozen_norms), 0, 0, 0},
    {"norm-momentum", "X", "how fast running statistics follow a batch [0.1]", FN_TRAIN_REAL,
     AT(norm_momentum), 0, 1, 0},
    {"sync-norms", NULL, "batch-norms see the images of all processes of mpirun", FN_TRAIN_FLAG,
     AT(sync_norms), 0, 0, 0},

    {"people-per-batch", "N", "triplets: people of a step [24]", FN_TRAIN_COUNT, AT(people_per_batch), 2,
     4096, 0},
    {"images-per-person", "N", "triplets: images of each of them [4]", FN_TRAIN_COUNT, AT(images_per_person),
     2, 4096, 0},
    {"negatives", "N", "triplets: further images of others, one each [0]", FN_TRAIN_COUNT, AT(negatives), 0,
     16384, 0},
    {"uneven", NULL, "triplets: people with fewer images give fewer, instead of some again", FN_TRAIN_FLAG,
     AT(uneven), 0, 0, 0},
    {"batch", "N", "other losses: images of a step [96]", FN_TRAIN_COUNT, AT(batch), 2, 16384, 0},
    {"chunk", "N", "images passed at once, to save memory; 0: the whole batch [0]", FN_TRAIN_COUNT, AT(chunk),
     0, 16384, 0},

    {"loss", "triplet|soft-triplet|softmax|arcface|distill|harmonic", "what is made small [triplet]",
     FN_TRAIN_CHOICE, AT(loss), 0, 0, 0},
    {"mining", "auto|semi-hard|semi-hard-random|any-violator|batch-hard|random",
     "which triplets of a batch; auto: the loss's own [auto: semi-hard; soft-triplet: batch-hard]",
     FN_TRAIN_CHOICE, AT(mining), 0, 0, 0},
    {"reduction", "auto|sum|mean",
     "of the triplets' losses; auto: the loss's own [auto: sum, as the paper; soft-triplet: mean]",
     FN_TRAIN_CHOICE, AT(reduction), 0, 0, 0},
    {"margin", "X", "of triplets, or arcface's angle; -1: the loss's own [0.2; 0.5]", FN_TRAIN_REAL,
     AT(margin), -1, 4, 0},
    {"loss-scale", "X", "arcface, softmax: factor of the embeddings; 0: the loss's own [64; 1]",
     FN_TRAIN_REAL, AT(loss_scale), 0, 1000, 0},
    {"centre-weight", "X", "softmax: weight of the centre loss, 0: none; -1: its own [0.003]", FN_TRAIN_REAL,
     AT(centre_weight), -1, 1000, 0},
    {"centre-rate", "X", "softmax: how fast centres move; -1: its own [0.5]", FN_TRAIN_REAL, AT(centre_rate),
     -1, 1, 0},
    {"similarity-weight", "X", "distill: weight of likenesses within the batch; -1: its own [10]",
     FN_TRAIN_REAL, AT(similarity_weight), -1, 1000, 0},
    {"teacher", "NAME|FILE", "distill, harmonic: the embedder that is learnt from", FN_TRAIN_TEXT,
     AT(teacher), 0, 0, 0},

    {"optimizer", "adagrad|sgd|adam|adamw|rmsprop", "how weights follow gradients [adagrad]", FN_TRAIN_CHOICE,
     AT(optimizer), 0, 0, 0},
    {"lr", "RATE", "learning rate; 0: the optimizer's own [adagrad and sgd 0.05, others 0.001]",
     FN_TRAIN_REAL, AT(lr), 0, 1e30, 1},
    {"schedule", "TEXT",
     "of the rate: constant, cosine[:end=RATE], step:every=N,factor=X or step:at=N+N,factor=X (epochs), "
     "file:PATH (lines \"epoch: rate\"), each with ,warmup=STEPS [constant]",
     FN_TRAIN_TEXT, AT(schedule), 0, 0, 1},
    {"momentum", "X", "sgd: Nesterov's momentum [0.9]", FN_TRAIN_REAL, AT(momentum), 0, 0.9999, 0},
    {"beta1", "X", "adam, adamw [0.9]", FN_TRAIN_REAL, AT(beta1), 0, 0.9999, 0},
    {"beta2", "X", "adam, adamw [0.999]", FN_TRAIN_REAL, AT(beta2), 0, 0.999999, 0},
    {"epsilon", "X", "adagrad, adam, adamw, rmsprop; 0: the optimizer's own", FN_TRAIN_REAL, AT(epsilon), 0,
     1, 0},
    {"weight-decay", "X", "of kernels and matrices [0]", FN_TRAIN_REAL, AT(weight_decay), 0, 10, 0},
    {"clip", "NORM", "longer gradients are shortened to this; 0: none [0]", FN_TRAIN_REAL, AT(clip), 0, 1e9,
     1},
    {"ema", "X", "average the weights, keeping this share a step; 0: do not [0]", FN_TRAIN_REAL, AT(ema), 0,
     0.999999, 0},

    {"epochs", "N", "how often the data is gone through [100]", FN_TRAIN_COUNT, AT(epochs), 1, 1000000, 1},
    {"steps-per-epoch", "N", "steps of an epoch; 0: until everybody came up [0]", FN_TRAIN_COUNT,
     AT(steps_per_epoch), 0, BIG, 0},
    {"max-minutes", "X", "end after so much training; 0: no limit [0]", FN_TRAIN_REAL, AT(max_minutes), 0,
     1e6, 1},

    {"augment", "none|default",
     "chance changes of the pictures; the next options replace single ones "
     "[default]",
     FN_TRAIN_CHOICE, AT(augment), 0, 0, 0},
    {"flip", "0|1", "mirror every other picture", FN_TRAIN_REAL, AT(mirror), -1, 1, 0},
    {"rotation", "DEG", "turn by up to so many degrees", FN_TRAIN_REAL, AT(rotation), -1, 180, 0},
    {"shift", "X", "move by up to this share of the width", FN_TRAIN_REAL, AT(shift), -1, 0.5, 0},
    {"zoom", "X", "enlarge and shrink by up to this share", FN_TRAIN_REAL, AT(zoom), -1, 0.5, 0},
    {"brightness", "X", "change brightness by up to this share", FN_TRAIN_REAL, AT(brightness), -1, 1, 0},
    {"contrast", "X", "change contrast by up to this share", FN_TRAIN_REAL, AT(contrast), -1, 1, 0},
    {"saturation", "X", "change saturation by up to this share", FN_TRAIN_REAL, AT(saturation), -1, 1, 0},
    {"blur", "P", "probability of a slight blur", FN_TRAIN_REAL, AT(blur), -1, 1, 0},
    {"jpeg", "P", "probability of JPEG's marks", FN_TRAIN_REAL, AT(jpeg), -1, 1, 0},
    {"downscale", "P", "probability of a loss of detail", FN_TRAIN_REAL, AT(downscale), -1, 1, 0},
    {"erase", "P", "probability that a rectangle is wiped out", FN_TRAIN_REAL, AT(erase), -1, 1, 0},

    {"backend", "auto|onednn|reference", "what computes [auto]", FN_TRAIN_CHOICE, AT(backend), 0, 0, 0},
    {"precision", "f32|bf16", "of activations and products [f32]", FN_TRAIN_CHOICE, AT(precision), 0, 0, 0},
    {"threads", "N", "threads of the network [1]", FN_TRAIN_COUNT, AT(threads), 1, 1024, 1},
    {"loader-threads", "N", "threads that read and change pictures [1]", FN_TRAIN_COUNT, AT(loader_threads),
     1, 256, 1},
    {"cache-mb", "N", "decoded pictures kept in memory, MiB [1024]", FN_TRAIN_COUNT, AT(cache_mb), 0, BIG, 1},
    {"seed", "N", "of all that is drawn by chance [1]", FN_TRAIN_COUNT, AT(seed), 0, 2147483647, 0},
    {"models", "DIR", "folder of the models [$XDG_DATA_HOME/facenet/models]", FN_TRAIN_TEXT, AT(models), 0, 0,
     1},

    {"checkpoint-steps", "N", "a checkpoint every so many steps; 0: at each epoch's end [0]", FN_TRAIN_COUNT,
     AT(checkpoint_steps), 0, BIG, 1},
    {"checkpoint-minutes", "X", "and every so many minutes; 0: not [5]", FN_TRAIN_REAL,
     AT(checkpoint_minutes), 0, 1e6, 1},
    {"collapse-steps", "N", "stop after so many steps with all embeddings on one point; 0: never [100]",
     FN_TRAIN_COUNT, AT(collapse_steps), 0, BIG, 1},
    {"val-mirror", NULL, "validate with the mean of each crop and its mirror image", FN_TRAIN_FLAG,
     AT(val_mirror), 0, 0, 0},
    {"fold", NULL, "fold batch-norms into the convolutions of the models written", FN_TRAIN_FLAG, AT(fold), 0,
     0, 1},
};

const fn_train_option *fn_train_option_at(int index) {
    return index >= 0 && index < (int)(sizeof table / sizeof *table) ? &table[index] : NULL;
}

static void *field_of(fn_train_options *options, const fn_train_option *option) {
    return (char *)options + option->offset;
}

static int has_word(const char *words, const char *text) {
    size_t n = strlen(text);
    for (const char *at = words; at && n; at = strchr(at, '|'), at = at ? at + 1 : NULL)
        if (strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == 0))
            return 1;
    return 0;
}

// What is wrong with a value, for one option.
static int check(const fn_train_options *options, const fn_train_option *o) {
    const void *at = (const char *)options + o->offset;
    const char *text;
    switch (o->kind) {
    case FN_TRAIN_FLAG:
    case FN_TRAIN_TEXT:
        break;
    case FN_TRAIN_CHOICE:
        text = *(const char *const *)at;
        if (!text || !has_word(o->argument, text))
            return fn_fail(FN_EINVAL, "%s wants one of %s, not \"%s\"", o->name, o->argument,
                           text ? text : "");
        break;
    case FN_TRAIN_COUNT:
        if (*(const int *)at < o->min || *(const int *)at > o->max)
            return fn_fail(FN_EINVAL, "%s wants a whole number from %.0f to %.0f, not %d", o->name, o->min,
                           o->max, *(const int *)at);
        break;
    case FN_TRAIN_REAL:
        if (!(*(const double *)at >= o->min && *(const double *)at <= o->max))
            return fn_fail(FN_EINVAL, "%s wants a number from %g to %g, not %g", o->name, o->min, o->max,
                           *(const double *)at);
        break;
    }
    return FN_OK;
}

int fn_config_check(const fn_train_options *options) {
    if (options->version != FN_TRAIN_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "training: options of version %d are not known", options->version);
    int rc = FN_OK;
    const fn_train_option *o;
    for (int i = 0; rc == FN_OK && (o = fn_train_option_at(i)); i++)
        rc = check(options, o);
    if (rc < 0)
        return rc;
    if (!options->data || !options->out)
        return fn_fail(FN_EINVAL, "training wants a folder of faces (data) and a folder for the run (out)");
    if (!options->arch && !options->model)
        return fn_fail(FN_EINVAL, "training wants a network by name (arch) or a model to go on from (model)");
    if (options->arch && options->model)
        return fn_fail(FN_EINVAL,
                       "both a network by name (arch %s) and a model to go on from (model %s): one of them",
                       options->arch, options->model);
    if (options->model && options->dropout > 0)
        return fn_fail(FN_EINVAL, "dropout is built into networks by name (arch): %s stays as it is",
                       options->model);
    int needs_teacher = strcmp(options->loss, "distill") == 0 || strcmp(options->loss, "harmonic") == 0;
    if (needs_teacher != (options->teacher != NULL))
        return fn_fail(FN_EINVAL,
                       needs_teacher ? "the loss %s wants the network it learns from (teacher)"
                                     : "the loss %s learns from no teacher",
                       options->loss);
    return FN_OK;
}

static json_t *value_json(const fn_train_options *options, const fn_train_option *o) {
    const void *at = (const char *)options + o->offset;
    const char *text;
    switch (o->kind) {
    case FN_TRAIN_FLAG:
        return json_boolean(*(const int *)at);
    case FN_TRAIN_COUNT:
        return json_integer(*(const int *)at);
    case FN_TRAIN_REAL:
        return json_real(*(const double *)at);
    case FN_TRAIN_TEXT:
    case FN_TRAIN_CHOICE:
        text = *(const char *const *)at;
        return text ? json_string(text) : json_null();
    }
    return NULL;
}

char *fn_config_json(const fn_train_options *options) {
    json_t *root = json_object();
    const fn_train_option *o;
    int failed = !root;
    for (int i = 0; !failed && (o = fn_train_option_at(i)); i++)
        if (o->offset != AT(resume))
            failed = json_object_set_new(root, o->name, value_json(options, o)) != 0;
    char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    json_decref(root);
    char *copy = text ? fn_strdup(text) : NULL;
    free(text);
    return copy;
}

const char *fn_config_value(char *dst, size_t size, const fn_train_options *options,
                            const fn_train_option *o) {
    const void *at = (const char *)options + o->offset;
    char number[FN_NUMBER_SIZE];
    switch (o->kind) {
    case FN_TRAIN_FLAG:
        return *(const int *)at ? "yes" : "no";
    case FN_TRAIN_COUNT:
        snprintf(dst, size, "%d", *(const int *)at);
        return dst;
    case FN_TRAIN_REAL:
        snprintf(dst, size, "%s", fn_number_text(number, *(const double *)at, 9));
        return dst;
    case FN_TRAIN_TEXT:
    case FN_TRAIN_CHOICE:
        return *(const char *const *)at ? *(const char *const *)at : "";
    }
    return "";
}

int fn_config_same(const fn_train_options *options, const char *json) {
    json_t *old = json_loads(json, 0, NULL);
    if (!json_is_object(old)) {
        json_decref(old);
        return fn_fail(FN_EFORMAT, "the checkpoint does not say how the run was made");
    }
    int rc = FN_OK;
    const fn_train_option *o;
    for (int i = 0; rc == FN_OK && (o = fn_train_option_at(i)); i++) {
        const json_t *was = json_object_get(old, o->name);
        json_t *is = o->may_change || !was ? NULL : value_json(options, o);
        if (is && !json_equal(is, was)) {
            char *text = json_dumps(was, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
            rc = fn_fail(FN_ECONFLICT, "the run was begun with %s %s: it cannot go on with another", o->name,
                         text ? text : "?");
            free(text);
        }
        json_decref(is);
    }
    json_decref(old);
    return rc;
}

// ---- files -----------------------------------------------------------------------------------

// A file of options being read: texts are copied one behind the other into a block as large as the file, for
// none is longer than what stands for it there.
typedef struct reading {
    fn_train_options *options;
    char *texts, *next, *end;
} reading;

// "people_per_batch" and "people-per-batch" are one name.
static const fn_train_option *find(const char *name) {
    const fn_train_option *o;
    for (int i = 0; (o = fn_train_option_at(i)); i++) {
        size_t k = 0;
        while (o->name[k] && (o->name[k] == name[k] || (o->name[k] == '-' && name[k] == '_')))
            k++;
        if (!o->name[k] && !name[k])
            return o;
    }
    return NULL;
}

static int set_flag(int *dst, const fn_train_option *o, const char *text) {
    if (has_word("1|yes|true|on", text))
        *dst = 1;
    else if (has_word("0|no|false|off", text))
        *dst = 0;
    else
        return fn_fail(FN_EFORMAT, "%s wants yes or no, not \"%s\"", o->name, text);
    return FN_OK;
}

static int set_number(fn_train_options *options, const fn_train_option *o, const char *text) {
    json_error_t error; // jansson reads numbers alike in every locale
    json_t *number = json_loads(text, JSON_DECODE_ANY, &error);
    double value = json_is_number(number) ? json_number_value(number) : NAN;
    json_decref(number);
    if (o->kind == FN_TRAIN_REAL)
        *(double *)field_of(options, o) = value;
    else if (value == floor(value) && fabs(value) <= 2147483647.0)
        *(int *)field_of(options, o) = (int)value;
    else
        return fn_fail(FN_EFORMAT, "%s wants a whole number, not \"%s\"", o->name, text);
    return FN_OK;
}

static int set(reading *r, const char *name, const char *text) {
    const fn_train_option *o = find(name);
    if (!o)
        return fn_fail(FN_EFORMAT, "there is no option \"%s\"", name);
    int rc = FN_OK;
    if (o->kind == FN_TRAIN_FLAG) {
        rc = set_flag(field_of(r->options, o), o, text);
    } else if (o->kind == FN_TRAIN_COUNT || o->kind == FN_TRAIN_REAL) {
        rc = set_number(r->options, o, text);
    } else {
        size_t n = strlen(text) + 1;
        if (n > (size_t)(r->end - r->next))
            return fn_fail(FN_EINTERNAL, "%s: no room for its text", o->name);
        memcpy(r->next, text, n);
        *(const char **)field_of(r->options, o) = n > 1 ? r->next : NULL;
        r->next += n;
    }
    rc = rc == FN_OK ? check(r->options, o) : rc;
    return rc == FN_EINVAL ? FN_EFORMAT : rc;
}

static int read_json(reading *r, const char *text, const char *path) {
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return fn_fail(FN_EFORMAT, "%s: line %d: %s", path, error.line, error.text);
    int rc = FN_OK;
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value) {
        char number[64];
        const fn_train_option *o = find(name);
        const char *as = json_string_value(value);
        if (json_is_null(value) && o && o->kind == FN_TRAIN_TEXT)
            as = "";
        else if (!as && o && (o->kind == FN_TRAIN_TEXT || o->kind == FN_TRAIN_CHOICE))
            as = NULL; // "out": 1 is a slip, and the block of texts has room for what the file says as text
                       // only
        else if (json_is_boolean(value))
            as = json_is_true(value) ? "yes" : "no";
        else if (json_is_integer(value))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value)), as = number;
        else if (json_is_real(value))
            as = fn_number_text(number, json_real_value(value), 17);
        rc = as ? set(r, name, as) : fn_fail(FN_EFORMAT, "%s: that is no value for it", name);
        if (rc < 0)
            break;
    }
    json_decref(root);
    return rc < 0 ? fn_fail_prefix(rc, "%s", path) : rc;
}

static char *trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    for (size_t n = strlen(text); n && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = 0;
    return text;
}

// A comment begins with # at the start of a line or after a space: paths may hold the sign.
static char *cut_comment(char *line) {
    for (char *at = line; (at = strchr(at, '#')); at++)
        if (at == line || isspace((unsigned char)at[-1])) {
            *at = 0;
            break;
        }
    return line;
}

static int read_lines(reading *r, char *text, const char *path) {
    int number = 0, rc = FN_OK;
    for (char *line = text, *next; line && rc == FN_OK; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        number++;
        line = trim(cut_comment(line));
        if (!*line)
            continue;
        char *equals = strchr(line, '=');
        if (equals) {
            *equals = 0;
            rc = set(r, trim(line), trim(equals + 1));
        } else {
            rc = fn_fail(FN_EFORMAT, "expected NAME = VALUE");
        }
        if (rc < 0)
            fn_fail_prefix(rc, "%s: line %d", path, number);
    }
    return rc;
}

int fn_config_parse(fn_train_options *options, char **texts, char *bytes, size_t n, const char *path) {
    *texts = NULL;
    fn_train_options mine = *options;
    reading r = {.options = &mine, .texts = fn_alloc(n + 1)};
    r.next = r.texts;
    r.end = r.texts ? r.texts + n + 1 : NULL;
    int rc;
    if (!r.texts)
        rc = fn_fail_memory();
    else if (memchr(bytes, 0, n))
        rc = fn_fail(FN_EFORMAT, "%s: it holds a zero byte", path);
    else
        rc = trim(bytes)[0] == '{' ? read_json(&r, bytes, path) : read_lines(&r, bytes, path);
    if (rc < 0) {
        fn_free(r.texts);
        return rc;
    }
    *options = mine;
    *texts = r.texts;
    return FN_OK;
}

int fn_train_options_read(fn_train_options *options, char **texts, const char *path) {
    unsigned char *bytes;
    size_t n;
    *texts = NULL;
    int rc = fn_read_file(&bytes, &n, path, MAX_FILE);
    if (rc < 0)
        return rc;
    rc = fn_config_parse(options, texts, (char *)bytes, n, path);
    fn_free(bytes);
    return rc;
}
