// SPDX-License-Identifier: Apache-2.0
//
// The passes of a search. The picture is shrunk step by step, each level from the one before and at
// last the whole-picture inputs, so that a large photograph is read once; the networks then go from
// coarse to fine. Native-size tiles give the best scores (the network sees a frame as it was trained on),
// larger ones cost less; the finest level has three quarters of all pixels, so a frugal search looks
// at it only where the pass before leaves a doubt.
#include "detect/search.h"

#include "base/alloc.h"
#include "base/error.h"
#include "detect/scales.h"
#include "image/image.h"

#include <math.h>

#define N_VALUES (4 + 2 * FN_N_KEYPOINTS)

// From this width on, in input pixels, the short-range network's boxes agree with the full-range one's.
#define SHORT_EXACT_PX 24

#define KNOWN_IOU 0.3F // reports of one face

int fn_blazeface_open(fn_blazeface *net, const fn_blazeface_spec *spec, const fn_model_options *options) {
    *net = (fn_blazeface){.spec = spec};
    int rc = fn_model_open(&net->model, spec->model, options);
    if (rc < 0)
        return rc;
    fn_net *nn = fn_model_net(net->model);
    net->boxes = fn_net_output_index(nn, "boxes");
    net->scores = fn_net_output_index(nn, "scores");
    const int n_anchors = fn_blazeface_n_anchors(spec, spec->size, spec->size);
    fn_shape boxes = {0}, scores = {0};
    if (fn_net_n_outputs(nn) != 2 || net->boxes < 0 || net->scores < 0)
        return fn_fail(FN_EMODEL, "%s: outputs boxes and scores expected", spec->model);
    if ((rc = fn_net_output_shape(nn, spec->size, spec->size, net->boxes, &boxes)) < 0 ||
        (rc = fn_net_output_shape(nn, spec->size, spec->size, net->scores, &scores)) < 0)
        return fn_fail_prefix(rc, "%s", spec->model);
    if (fn_shape_count(&boxes) != (int64_t)n_anchors * N_VALUES || fn_shape_count(&scores) != n_anchors)
        return fn_fail(FN_EMODEL, "%s: %d anchors of %d numbers expected", spec->model, n_anchors, N_VALUES);
    return FN_OK;
}

void fn_blazeface_free(fn_blazeface *net) {
    fn_model_free(net->model);
    *net = (fn_blazeface){0};
}

// The picture at some size. Either its pixels were made (and are owned), or they are still to be
// resampled from those of the picture, part by part.
typedef struct level {
    int width, height;       // level pixels
    double scale_x, scale_y; // level pixels per picture pixel
    fn_image image;          // where parts of the level are cut from
    unsigned char *pixels;   // owned, or NULL
    double step_x, step_y;   // pixels of `image` per level pixel
} level;

static level level_of(const fn_image *image, double scale) {
    level lv = {.width = (int)fmax(1, ceil(image->width * scale)),
                .height = (int)fmax(1, ceil(image->height * scale)),
                .image = *image};
    lv.scale_x = (double)lv.width / image->width;
    lv.scale_y = (double)lv.height / image->height;
    lv.step_x = 1 / lv.scale_x;
    lv.step_y = 1 / lv.scale_y;
    return lv;
}

// Makes the pixels of a level from those of `src`.
static int level_make(level *lv, const fn_image *src) {
    if (lv->width == src->width && lv->height == src->height) {
        lv->image = *src;
    } else {
        lv->pixels = fn_alloc((size_t)lv->width * (size_t)lv->height * 3);
        if (!lv->pixels)
            return fn_fail_memory();
        const int rc = fn_image_resize(lv->pixels, lv->width, lv->height, src, 0, 0, src->width, src->height);
        if (rc < 0)
            return rc;
        lv->image = (fn_image){lv->pixels, lv->width, lv->height, (ptrdiff_t)lv->width * 3, FN_PIXEL_RGB8};
    }
    lv->step_x = lv->step_y = 1;
    return FN_OK;
}

// A part of a level that is fed to a network, in level pixels, and the input size it is resized to.
typedef struct tile {
    double x, y, width, height;
    int inner[4];
} tile;

// What a run of one network on `batch` inputs of one size needs.
typedef struct buffers {
    unsigned char *rgb;
    float *input, *boxes, *scores;
} buffers;

static void buffers_free(buffers *b) {
    fn_free(b->rgb);
    fn_free(b->input);
    fn_free(b->boxes);
    fn_free(b->scores);
}

static int buffers_init(buffers *b, int batch, int n_anchors, int width, int height) {
    const size_t area = (size_t)width * (size_t)height, n = (size_t)batch;
    b->rgb = fn_alloc(area * 3);
    b->input = fn_alloc_aligned(n * area * 3 * sizeof *b->input);
    b->boxes = fn_alloc_aligned(n * (size_t)n_anchors * N_VALUES * sizeof *b->boxes);
    b->scores = fn_alloc_aligned(n * (size_t)n_anchors * sizeof *b->scores);
    return b->rgb && b->input && b->boxes && b->scores ? FN_OK : fn_fail_memory();
}

// Runs n tiles of one input size, at most `batch` at a time.
static int run_tiles(fn_detections *dst, const fn_blazeface *net, const level *lv, const tile *tiles, int n,
                     int batch, int width, int height, double max_width, float min_score) {
    const int n_anchors = fn_blazeface_n_anchors(net->spec, width, height);
    const fn_input_spec *spec = fn_model_input(net->model);
    const size_t item = (size_t)width * (size_t)height * 3;
    buffers b = {0};
    batch = n < batch ? n : batch;
    int rc = buffers_init(&b, batch, n_anchors, width, height);
    for (int first = 0; rc == FN_OK && first < n; first += batch) {
        const int count = n - first < batch ? n - first : batch;
        for (int i = 0; i < count && rc == FN_OK; i++) {
            const tile *t = &tiles[first + i];
            rc = fn_image_resize(b.rgb, width, height, &lv->image, t->x * lv->step_x, t->y * lv->step_y,
                                 t->width * lv->step_x, t->height * lv->step_y);
            fn_image_to_planes(b.input + (size_t)i * item, b.rgb, width, height, spec->bgr, spec->mean,
                               spec->scale);
        }
        float *outputs[2];
        outputs[net->boxes] = b.boxes;
        outputs[net->scores] = b.scores;
        if (rc == FN_OK)
            rc = fn_net_run(fn_model_net(net->model), b.input, count, height, width, outputs);
        for (int i = 0; i < count && rc == FN_OK; i++) {
            const tile *t = &tiles[first + i];
            const fn_blazeface_view view = {.x = t->x / lv->scale_x,
                                            .y = t->y / lv->scale_y,
                                            .step_x = t->width / width / lv->scale_x,
                                            .step_y = t->height / height / lv->scale_y,
                                            .width = width,
                                            .height = height,
                                            .inner = {t->inner[0], t->inner[1], t->inner[2], t->inner[3]},
                                            .max_width = max_width};
            rc = fn_blazeface_decode(
                dst, net->spec, &view, b.boxes + (size_t)i * (size_t)n_anchors * N_VALUES,
                b.scores + (size_t)i * (size_t)n_anchors, min_score > 0 ? min_score : net->spec->min_score);
        }
    }
    buffers_free(&b);
    return rc;
}

static int run_whole(fn_detections *dst, const fn_blazeface *net, const level *lv, float min_score) {
    const double side = fmax(lv->width, lv->height);
    const tile whole = {(lv->width - side) / 2, (lv->height - side) / 2, side, side, {0, 0, 0, 0}};
    return run_tiles(dst, net, lv, &whole, 1, 1, net->spec->size, net->spec->size, 0, min_score);
}

int fn_blazeface_whole(fn_detections *dst, const fn_blazeface *net, const fn_image *image, float min_score) {
    const level picture = level_of(image, 1);
    return run_whole(dst, net, &picture, min_score);
}

// As many inputs at once as sixteen native ones have pixels, so that memory stays the same.
#define BATCH_PX (16 * 192 * 192)

// Runs the tiles of a grid that are wanted; wanted NULL: all.
static int run_grid(fn_detections *dst, const fn_blazeface *net, const level *lv, const fn_tiling *across,
                    const fn_tiling *down, const unsigned char *wanted, float min_score) {
    const int n_tiles = across->n * down->n, batch = BATCH_PX / (across->size * down->size);
    int n = 0;
    tile *tiles = fn_calloc((size_t)n_tiles, sizeof *tiles);
    if (!tiles)
        return fn_fail_memory();
    for (int i = 0; i < n_tiles; i++) {
        const int column = i % across->n, row = i / across->n;
        if (!wanted || wanted[i])
            tiles[n++] = (tile){fn_scales_origin(across, column),
                                fn_scales_origin(down, row),
                                across->size,
                                down->size,
                                {column > 0, row > 0, column + 1 < across->n, row + 1 < down->n}};
    }
    const int rc = run_tiles(dst, net, lv, tiles, n, batch < 1 ? 1 : batch, across->size, down->size,
                             FN_TILE_OVERLAP_PX, min_score);
    fn_free(tiles);
    return rc;
}

static int run_level(fn_detections *dst, const fn_blazeface *net, const level *lv, int thorough,
                     float min_score) {
    fn_tiling across = fn_scales_tile(lv->width, net->spec->size);
    fn_tiling down = fn_scales_tile(lv->height, net->spec->size);
    if (!thorough) {
        across = fn_scales_tile_cheaply(lv->width);
        down = fn_scales_tile_cheaply(lv->height);
    }
    return run_grid(dst, net, lv, &across, &down, NULL, min_score);
}

static int covers(const fn_detections *list, double x, double y) {
    for (size_t i = 0; i < list->len; i++) {
        const fn_box *b = &list->data[i].box;
        if (x >= (double)b->x && y >= (double)b->y && x < (double)b->x + (double)b->width &&
            y < (double)b->y + (double)b->height)
            return 1;
    }
    return 0;
}

// The finest level, around doubtful reports that lie on no face found so far. A report larger than
// the level before can judge needs no closer look.
static int run_close_look(fn_detections *dst, const fn_blazeface *net, const level *lv,
                          const fn_detections *doubts, float min_score) {
    const fn_tiling across = fn_scales_tile(lv->width, FN_CLOSE_LOOK_PX);
    const fn_tiling down = fn_scales_tile(lv->height, FN_CLOSE_LOOK_PX);
    fn_detections known = {0};
    unsigned char *wanted = fn_calloc((size_t)across.n, (size_t)down.n);
    int rc = wanted ? FN_OK : fn_fail_memory();
    for (size_t i = 0; i < dst->len && rc == FN_OK; i++)
        rc = fn_detections_add(&known, &dst->data[i]);
    fn_detections_sort(&known);
    fn_detections_suppress(&known, KNOWN_IOU);
    for (size_t i = 0; i < doubts->len && rc == FN_OK; i++) {
        const fn_box *b = &doubts->data[i].box;
        const double x = (double)b->x + (double)b->width / 2, y = (double)b->y + (double)b->height / 2;
        if ((double)b->width * lv->scale_x > FN_TILE_OVERLAP_PX || covers(&known, x, y))
            continue;
        const int column = fn_scales_nearest(&across, x * lv->scale_x);
        const int row = fn_scales_nearest(&down, y * lv->scale_y);
        wanted[(size_t)row * (size_t)across.n + (size_t)column] = 1;
    }
    if (rc == FN_OK)
        rc = run_grid(dst, net, lv, &across, &down, wanted, min_score);
    fn_detections_free(&known);
    fn_free(wanted);
    return rc;
}

// Moves what scores at least min_score from `doubts` to dst.
static int keep_sure(fn_detections *dst, fn_detections *doubts, float min_score) {
    size_t n = 0;
    int rc = FN_OK;
    for (size_t i = 0; i < doubts->len && rc == FN_OK; i++) {
        if (doubts->data[i].score >= min_score)
            rc = fn_detections_add(dst, &doubts->data[i]);
        else
            doubts->data[n++] = doubts->data[i];
    }
    doubts->len = n;
    return rc;
}

// The short-range network on the whole picture: its boxes of faces near its limit are too large and
// beside the face.
static int run_near(fn_detections *sure, fn_detections *faint, const fn_blazeface *near, const level *lv,
                    float min_score) {
    fn_detections all = {0};
    const double side = fmax(lv->width / lv->scale_x, lv->height / lv->scale_y);
    int rc = run_whole(&all, near, lv, min_score);
    for (size_t i = 0; i < all.len && rc == FN_OK; i++) {
        const int exact = (double)all.data[i].box.width / side * near->spec->size >= SHORT_EXACT_PX;
        rc = fn_detections_add(exact ? sure : faint, &all.data[i]);
    }
    fn_detections_free(&all);
    return rc;
}

// A search: levels[0..n-1], finest first, and levels[n], from which the whole-picture passes are made.
typedef struct search {
    const fn_blazeface *near, *full;
    level levels[FN_MAX_LEVELS + 1];
    int n, thorough;
    float min_score; // as asked for
} search;

static int run_levels(fn_detections *sure, fn_detections *faint, const search *s) {
    const float min_score = s->min_score > 0 ? s->min_score : s->full->spec->min_score;
    // The pass before the finest level is also asked where that is worth a look.
    const float doubt = min_score < FN_CLOSE_LOOK_SCORE ? min_score : FN_CLOSE_LOOK_SCORE;
    const int before_finest = s->thorough ? -1 : 1;
    fn_detections reports = {0};
    int rc = run_near(sure, faint, s->near, &s->levels[s->n], s->min_score);
    if (rc == FN_OK)
        rc = run_whole(&reports, s->full, &s->levels[s->n], s->n == before_finest ? doubt : min_score);
    for (int i = s->n - 1; i >= !s->thorough && rc == FN_OK; i--)
        rc = run_level(&reports, s->full, &s->levels[i], s->thorough, i == before_finest ? doubt : min_score);
    if (rc == FN_OK)
        rc = keep_sure(sure, &reports, min_score);
    if (rc == FN_OK && s->n > 0 && !s->thorough)
        rc = run_close_look(sure, s->full, &s->levels[0], &reports, min_score);
    fn_detections_free(&reports);
    return rc;
}

int fn_blazeface_search(fn_detections *sure, fn_detections *faint, const fn_blazeface *near,
                        const fn_blazeface *full, const fn_image *image, float min_face, int thorough,
                        float min_score) {
    double scales[FN_MAX_LEVELS];
    search s = {.near = near, .full = full, .thorough = thorough, .min_score = min_score};
    const double finest = (thorough ? FN_THOROUGH_FACE_PX : FN_FRUGAL_FACE_PX) / (double)min_face;
    int rc = FN_OK;
    s.n = fn_scales_levels(scales, image->width, image->height, finest);
    level last = level_of(image, 1); // the coarsest with pixels
    for (int i = 0; i < s.n && rc == FN_OK; i++) {
        s.levels[i] = level_of(image, scales[i]);
        if (i == 0 && !thorough)
            continue; // few parts of it will be needed
        rc = level_make(&s.levels[i], &last.image);
        last = s.levels[i];
    }
    s.levels[s.n] = last;
    if (rc == FN_OK)
        rc = run_levels(sure, faint, &s);
    for (int i = 0; i < s.n; i++)
        fn_free(s.levels[i].pixels);
    return rc;
}
