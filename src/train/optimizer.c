// SPDX-License-Identifier: Apache-2.0
//
// The optimisers: one plain loop per kind, which the compiler vectorises. The block is cut into pieces of a
// fixed size; a piece is one thread's work and has one partial sum, and the sums are added in order, so that
// no result depends on the number of threads.
#include "train/optimizer.h"

#include "base/alloc.h"
#include "base/error.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { PIECE = 8192, LANES = 8 };

struct fn_optimizer {
    fn_optimizer_options options;
    size_t n, n_state;
    float *state; // one or two blocks of n numbers
    double *sums; // per piece
    uint64_t steps;
};

static const char *const names[FN_OPTIMIZER_COUNT] = {"sgd", "adagrad", "adam", "adamw", "rmsprop"};
static const int n_blocks[FN_OPTIMIZER_COUNT] = {1, 1, 2, 2, 2};

fn_optimizer_options fn_optimizer_defaults(fn_optimizer_kind kind) {
    static const double epsilon[FN_OPTIMIZER_COUNT] = {0, 1e-10, 1e-8, 1e-8, 1e-10};
    return (fn_optimizer_options){.kind = kind,
                                  .momentum = kind == FN_OPTIMIZER_RMSPROP ? 0 : 0.9,
                                  .beta1 = 0.9,
                                  .beta2 = 0.999,
                                  .decay = 0.9,
                                  .epsilon = epsilon[kind]};
}

int fn_optimizer_parse_kind(fn_optimizer_kind *out, const char *name) {
    for (int i = 0; i < FN_OPTIMIZER_COUNT; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (fn_optimizer_kind)i;
            return FN_OK;
        }
    return fn_fail(FN_EINVAL, "there is no optimiser \"%s\": choose sgd, adagrad, adam, adamw or rmsprop",
                   name);
}

const char *fn_optimizer_name(fn_optimizer_kind kind) {
    return names[kind];
}

int fn_segments_of(fn_segment **out, const fn_parameters *parameters) {
    fn_segment *segments = fn_calloc((size_t)parameters->n_trained, sizeof *segments);
    *out = segments;
    if (!segments)
        return fn_fail_memory();
    for (int i = 0; i < parameters->n_trained; i++) {
        const fn_parameter *p = &parameters->trained[i];
        segments[i] = (fn_segment){p->offset, p->count, p->decays, p->frozen};
    }
    return FN_OK;
}

static int check(const fn_optimizer_options *o) {
    const struct {
        const char *name;
        double value, low, below;
    } ranges[] = {
        {"momentum", o->momentum, 0, 1},
        {"beta1", o->beta1, 0, 1},
        {"beta2", o->beta2, 0, 1},
        {"the decay of rmsprop", o->decay, 0, 1},
        {"epsilon", o->epsilon, 0, INFINITY},
        {"the start of the squares", o->start, 0, INFINITY},
        {"weight decay", o->weight_decay, 0, INFINITY},
        {"the norm for clipping", o->clip_norm, 0, INFINITY},
    };
    if ((unsigned)o->kind >= FN_OPTIMIZER_COUNT)
        return fn_fail(FN_EINVAL, "there is no optimiser number %d", (int)o->kind);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (!(ranges[i].value >= ranges[i].low && ranges[i].value < ranges[i].below))
            return fn_fail(FN_EINVAL, "%s is %g, expected a number from 0%s", ranges[i].name, ranges[i].value,
                           isfinite(ranges[i].below) ? " to below 1" : "");
    return FN_OK;
}

int fn_optimizer_open(fn_optimizer **out, const fn_optimizer_options *options, size_t n) {
    *out = NULL;
    int rc = check(options);
    if (rc < 0)
        return rc;
    fn_optimizer *opt = fn_calloc(1, sizeof *opt);
    if (!opt)
        return fn_fail_memory();
    opt->options = *options;
    opt->n = n;
    opt->n_state = n * (size_t)n_blocks[options->kind];
    opt->state = fn_calloc(opt->n_state, sizeof(float));
    opt->sums = fn_calloc(n / PIECE + 1, sizeof(double));
    if (!opt->state || !opt->sums) {
        fn_optimizer_free(opt);
        return fn_fail_memory();
    }
    if (options->kind == FN_OPTIMIZER_ADAGRAD || options->kind == FN_OPTIMIZER_RMSPROP)
        for (size_t i = 0; i < n; i++)
            opt->state[i] = (float)options->start;
    *out = opt;
    return FN_OK;
}

void fn_optimizer_free(fn_optimizer *opt) {
    if (!opt)
        return;
    fn_free(opt->state);
    fn_free(opt->sums);
    fn_free(opt);
}

// What one step does to a run of numbers: w, g and the state s, r are of length n.
typedef struct rates {
    float lr, scale, weight_decay;
    float momentum, epsilon;
    float beta1, beta2, decay; // how much of an average stays
    float new1, new2, new_s;   // and of the gradient enters: 1 - the above, rounded once
    float first, second;       // adam: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
} rates;

// Averages of a gradient that has become zero would shrink for ever, into numbers that are slow to compute.
static inline float settled(float x) {
    return fabsf(x) < 1e-30F ? 0 : x;
}

static void sgd(float *restrict w, const float *restrict g, float *restrict v, size_t n, const rates *r) {
    const float lr = r->lr, scale = r->scale, decay = r->weight_decay, momentum = r->momentum;
    for (size_t i = 0; i < n; i++) {
        float gradient = scale * g[i] + decay * w[i];
        v[i] = settled(momentum * v[i] + gradient);
        w[i] -= lr * (gradient + momentum * v[i]);
    }
}

static void adagrad(float *restrict w, const float *restrict g, float *restrict s, size_t n, const rates *r) {
    const float lr = r->lr, scale = r->scale, decay = r->weight_decay, epsilon = r->epsilon;
    for (size_t i = 0; i < n; i++) {
        float gradient = scale * g[i] + decay * w[i];
        s[i] += gradient * gradient;
        float root = sqrtf(s[i]) + epsilon;
        w[i] -= root > 0 ? lr * gradient / root : 0; // epsilon 0 and never a gradient
    }
}

// decoupled is weight_decay x lr for adamw, 0 for adam; then weight_decay is 0.
static void adam(float *restrict w, const float *restrict g, float *restrict m, float *restrict v, size_t n,
                 const rates *r, float decoupled) {
    const float scale = r->scale, decay = r->weight_decay, epsilon = r->epsilon;
    const float beta1 = r->beta1, beta2 = r->beta2, new1 = r->new1, new2 = r->new2;
    const float first = r->first, second = r->second;
    for (size_t i = 0; i < n; i++) {
        float gradient = scale * g[i] + decay * w[i];
        m[i] = settled(beta1 * m[i] + new1 * gradient);
        v[i] = settled(beta2 * v[i] + new2 * (gradient * gradient));
        float root = sqrtf(v[i]) * second + epsilon;
        w[i] -= decoupled * w[i] + (root > 0 ? first * m[i] / root : 0);
    }
}

static void rmsprop(float *restrict w, const float *restrict g, float *restrict s, float *restrict v,
                    size_t n, const rates *r) {
    const float lr = r->lr, scale = r->scale, decay = r->weight_decay, epsilon = r->epsilon;
    const float mean = r->decay, new_s = r->new_s, momentum = r->momentum;
    for (size_t i = 0; i < n; i++) {
        float gradient = scale * g[i] + decay * w[i];
        s[i] = settled(mean * s[i] + new_s * (gradient * gradient));
        float root = sqrtf(s[i] + epsilon);
        v[i] = settled(momentum * v[i] + (root > 0 ? lr * gradient / root : 0));
        w[i] -= v[i];
    }
}

static void update(const fn_optimizer *opt, float *weights, const float *gradients, size_t first, size_t n,
                   const rates *common, int decays) {
    float *w = weights + first, *s = opt->state + first;
    float *second = opt->state + (opt->n_state - opt->n) + first;
    const float *g = gradients + first;
    rates r = *common;
    if (!decays)
        r.weight_decay = 0;
    switch (opt->options.kind) {
    case FN_OPTIMIZER_SGD:
        sgd(w, g, s, n, &r);
        break;
    case FN_OPTIMIZER_ADAGRAD:
        adagrad(w, g, s, n, &r);
        break;
    case FN_OPTIMIZER_ADAM:
        adam(w, g, s, second, n, &r, 0);
        break;
    case FN_OPTIMIZER_ADAMW: {
        float decoupled = r.lr * r.weight_decay;
        r.weight_decay = 0;
        adam(w, g, s, second, n, &r, decoupled);
        break;
    }
    default:
        rmsprop(w, g, s, second, n, &r);
    }
}

// The first segment that ends behind `place`.
static int segment_at(const fn_segment *segments, int n, size_t place) {
    int low = 0, high = n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (segments[middle].offset + segments[middle].count <= place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// The part of a segment that lies in [begin, end); 0 when there is none.
static size_t part_of(const fn_segment *segment, size_t begin, size_t end, size_t *first) {
    size_t from = segment->offset > begin ? segment->offset : begin;
    size_t to = segment->offset + segment->count < end ? segment->offset + segment->count : end;
    *first = from;
    return to > from ? to - from : 0;
}

static size_t end_of(const fn_optimizer *opt, size_t piece) {
    return (piece + 1) * PIECE < opt->n ? (piece + 1) * PIECE : opt->n;
}

static int threads_of(const fn_optimizer *opt) {
    return opt->options.threads > 0 ? opt->options.threads : omp_get_max_threads();
}

static double squares(const float *g, size_t n) {
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++)
            lane[k] += (double)g[i + k] * g[i + k];
    for (; i < n; i++)
        lane[0] += (double)g[i] * g[i];
    for (int k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

double fn_optimizer_squares(fn_optimizer *opt, const float *gradients, const fn_segment *segments,
                            int n_segments) {
    const size_t pieces = (opt->n + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(static) num_threads(threads_of(opt))
    for (size_t p = 0; p < pieces; p++) {
        const size_t begin = p * PIECE, end = end_of(opt, p);
        double sum = 0;
        for (int s = segment_at(segments, n_segments, begin); s < n_segments && segments[s].offset < end;
             s++) {
            size_t first, n = part_of(&segments[s], begin, end, &first);
            if (!segments[s].frozen)
                sum += squares(gradients + first, n);
        }
        opt->sums[p] = sum;
    }
    double sum = 0;
    for (size_t p = 0; p < pieces; p++)
        sum += opt->sums[p];
    return sum;
}

void fn_optimizer_apply(fn_optimizer *opt, float *weights, const float *gradients, const fn_segment *segments,
                        int n_segments, double lr, double scale) {
    const fn_optimizer_options *o = &opt->options;
    const double t = (double)++opt->steps;
    const rates common = {.lr = (float)lr,
                          .scale = (float)scale,
                          .weight_decay = (float)o->weight_decay,
                          .momentum = (float)o->momentum,
                          .beta1 = (float)o->beta1,
                          .beta2 = (float)o->beta2,
                          .decay = (float)o->decay,
                          .new1 = (float)(1 - o->beta1),
                          .new2 = (float)(1 - o->beta2),
                          .new_s = (float)(1 - o->decay),
                          .epsilon = (float)o->epsilon,
                          .first = (float)(lr / (1 - pow(o->beta1, t))),
                          .second = (float)(1 / sqrt(1 - pow(o->beta2, t)))};
    const size_t pieces = (opt->n + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(static) num_threads(threads_of(opt))
    for (size_t p = 0; p < pieces; p++) {
        const size_t begin = p * PIECE, end = end_of(opt, p);
        for (int s = segment_at(segments, n_segments, begin); s < n_segments && segments[s].offset < end;
             s++) {
            size_t first, n = part_of(&segments[s], begin, end, &first);
            if (!segments[s].frozen)
                update(opt, weights, gradients, first, n, &common, segments[s].decays);
        }
    }
}

double fn_optimizer_scale(const fn_optimizer *opt, double norm) {
    const double limit = opt->options.clip_norm;
    return limit > 0 && norm > limit ? limit / norm : 1;
}

double fn_optimizer_step(fn_optimizer *opt, float *weights, const float *gradients,
                         const fn_segment *segments, int n_segments, double lr) {
    double norm = sqrt(fn_optimizer_squares(opt, gradients, segments, n_segments));
    if (isfinite(norm))
        fn_optimizer_apply(opt, weights, gradients, segments, n_segments, lr, fn_optimizer_scale(opt, norm));
    return norm;
}

float *fn_optimizer_state(fn_optimizer *opt, size_t *n_floats) {
    *n_floats = opt->n_state;
    return opt->state;
}

uint64_t fn_optimizer_steps(const fn_optimizer *opt) {
    return opt->steps;
}

void fn_optimizer_set_steps(fn_optimizer *opt, uint64_t steps) {
    opt->steps = steps;
}
