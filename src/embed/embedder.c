// SPDX-License-Identifier: Apache-2.0
//
// From crops to vectors of unit length. Crops are cut, scaled and run in chunks, so that memory does
// not grow with the number of faces. Lengths are summed in double.
#include "embed/embedder.h"

#include "align/template.h"
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "image/image.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define CHUNK 16

struct fn_embedder {
    fn_model *model;
    const char *name; // for error lines
    fn_template *tmpl;
    const char *canonical; // the model's, or `mirrored`
    char *mirrored;
    char fingerprints[2][65]; // of faces as they are; with their mirror images
    fn_compatibles compatibles;
    fn_calibration *calibrations[FN_INDEX_MAX_MAKERS]; // NULL: none; the first is of the model with itself
    fn_comparable comparable[FN_INDEX_MAX_MAKERS];     // the model, then the compatible ones
    int dimension;
    int mirror;
};

// The shape of what goes in and comes out.
static int read_shape(fn_embedder *e) {
    const fn_input_spec *input = fn_model_input(e->model);
    fn_net *net = fn_model_net(e->model);
    fn_shape shape = {0};
    if (input->width != e->tmpl->width || input->height != e->tmpl->height)
        return fn_fail(FN_EMODEL, "%s: its input is %d x %d, its template %d x %d", e->name, input->width,
                       input->height, e->tmpl->width, e->tmpl->height);
    if (fn_net_n_outputs(net) != 1)
        return fn_fail(FN_EMODEL, "%s: an embedder has one output, this model has %d", e->name,
                       fn_net_n_outputs(net));
    const int rc = fn_net_output_shape(net, input->height, input->width, 0, &shape);
    if (rc < 0)
        return fn_fail_prefix(rc, "%s", e->name);
    const int64_t count = fn_shape_count(&shape);
    if (count < 1 || count > 65536)
        return fn_fail(FN_EMODEL, "%s: an embedding of %lld numbers is not usable", e->name,
                       (long long)count);
    e->dimension = (int)count;
    return FN_OK;
}

static int read_template(fn_embedder *e) {
    const char *text = fn_model_metadata(e->model, "facenet.template");
    if (!text)
        return fn_fail(FN_EMODEL, "%s: it does not say how faces are cut (facenet.template)", e->name);
    const int rc = fn_template_parse(&e->tmpl, text);
    return rc < 0 ? fn_fail_prefix(rc, "%s", e->name) : FN_OK;
}

// What makes embeddings comparable: the model's own text, and the mirroring where there is one.
static int read_canonical(fn_embedder *e, const fn_model_info *info) {
    const size_t n = strlen(info->canonical);
    const char *end_of_line = n && info->canonical[n - 1] != '\n' ? "\n" : "";
    e->mirrored = fn_asprintf("%s%smirror: 1\n", info->canonical, end_of_line);
    if (!e->mirrored)
        return fn_fail_memory();
    e->canonical = e->mirror ? e->mirrored : info->canonical;
    memcpy(e->fingerprints[0], info->fingerprint, sizeof e->fingerprints[0]);
    fn_sha256_hex(e->fingerprints[1], e->mirrored, strlen(e->mirrored));
    return FN_OK;
}

static int read_calibration(fn_embedder *e, int at, const char *key) {
    const char *json = fn_model_metadata(e->model, key);
    const int rc = json ? fn_calibration_parse(&e->calibrations[at], json) : FN_OK;
    return rc < 0 ? fn_fail_prefix(rc, "%s: %s", e->name, key) : FN_OK;
}

// Who may be compared with this embedder: itself, and those it embeds beside.
static int read_comparable(fn_embedder *e) {
    int rc = fn_compatibles_parse(&e->compatibles, fn_model_metadata(e->model, "facenet.compatible_with"));
    if (rc < 0)
        return fn_fail_prefix(rc, "%s", e->name);
    rc = read_calibration(e, 0, e->mirror ? "facenet.calibration.mirror" : "facenet.calibration");
    e->comparable[0] = (fn_comparable){e->fingerprints[e->mirror], e->name, e->calibrations[0]};
    for (int i = 0; i < e->compatibles.n && rc == FN_OK; i++) {
        const fn_compatible *c = &e->compatibles.data[i];
        const char *fingerprint = e->mirror ? c->mirror : c->plain;
        char key[FN_AGAINST_KEY_SIZE];
        if (strcmp(fingerprint, e->fingerprints[e->mirror]) == 0)
            return fn_fail(FN_EFORMAT, "%s: facenet.compatible_with: entry %d is the model itself", e->name,
                           i);
        fn_compatible_key(key, fingerprint);
        rc = read_calibration(e, i + 1, key);
        e->comparable[i + 1] = (fn_comparable){fingerprint, c->name, e->calibrations[i + 1]};
    }
    return rc;
}

int fn_embedder_open(fn_embedder **out, const fn_embedder_options *options) {
    *out = NULL;
    const fn_embedder_options defaults = FN_EMBEDDER_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    if (options->version != FN_EMBEDDER_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "embedder: options of version %d are not known", options->version);
    fn_embedder *e = fn_calloc(1, sizeof *e);
    if (!e)
        return fn_fail_memory();
    e->mirror = options->mirror != 0;
    fn_model_info info;
    int rc = fn_model_open(&e->model, options->model ? options->model : "mobilefacenet", &options->options);
    if (rc == FN_OK && (rc = fn_model_get_info(e->model, &info)) == FN_OK) {
        e->name = info.name;
        if (strcmp(info.role, "embedder") != 0)
            rc = fn_fail(FN_EMODEL, "%s: its role is '%s', not embedder%s", info.name, info.role,
                         info.role[0] ? "" : "; run: facenet model import");
    }
    if (rc == FN_OK)
        rc = read_template(e);
    if (rc == FN_OK)
        rc = read_shape(e);
    if (rc == FN_OK)
        rc = read_canonical(e, &info);
    if (rc == FN_OK)
        rc = read_comparable(e);
    if (rc < 0) {
        fn_embedder_free(e);
        return rc;
    }
    *out = e;
    return FN_OK;
}

void fn_embedder_free(fn_embedder *embedder) {
    if (!embedder)
        return;
    for (int i = 0; i < FN_INDEX_MAX_MAKERS; i++)
        fn_calibration_free(embedder->calibrations[i]);
    fn_compatibles_free(&embedder->compatibles);
    fn_template_free(embedder->tmpl);
    fn_free(embedder->mirrored);
    fn_model_free(embedder->model);
    fn_free(embedder);
}

const char *fn_embedder_name(const fn_embedder *embedder) {
    return embedder->name;
}

int fn_embedder_dimension(const fn_embedder *embedder) {
    return embedder->dimension;
}

const fn_template *fn_embedder_template(const fn_embedder *embedder) {
    return embedder->tmpl;
}

const char *fn_embedder_fingerprint(const fn_embedder *embedder) {
    return embedder->fingerprints[embedder->mirror];
}

const char *fn_embedder_fingerprint_of(const fn_embedder *embedder, int mirror) {
    return embedder->fingerprints[mirror != 0];
}

const fn_compatibles *fn_embedder_compatibles(const fn_embedder *embedder) {
    return &embedder->compatibles;
}

const fn_comparable *fn_embedder_comparable(const fn_embedder *embedder, size_t *n) {
    *n = 1 + (size_t)embedder->compatibles.n;
    return embedder->comparable;
}

const char *fn_embedder_canonical(const fn_embedder *embedder) {
    return embedder->canonical;
}

const fn_calibration *fn_embedder_calibration(const fn_embedder *embedder) {
    return embedder->calibrations[0];
}

// Divides by the length. A vector of length zero, or of numbers that are not finite, has none.
static int make_unit(float *vector, const fn_embedder *e) {
    double sum = 0;
    for (int i = 0; i < e->dimension; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (!(sum > 0) || !isfinite(sum))
        return fn_fail(FN_EMODEL, "%s: it gives a vector without a length; run: facenet model verify",
                       e->name);
    const double scale = 1 / sqrt(sum);
    for (int i = 0; i < e->dimension; i++)
        vector[i] = (float)((double)vector[i] * scale);
    return FN_OK;
}

// What one call needs for up to `len` crops at a time.
typedef struct workspace {
    size_t len;
    unsigned char *crops;  // (len, height, width, 3)
    float *input;          // (len, 3, height, width)
    float *mirrored;       // (len, dimension); NULL without mirroring
    size_t n_pixels, item; // of a crop; numbers of a crop
} workspace;

static void workspace_free(workspace *w) {
    fn_free(w->crops);
    fn_free(w->input);
    fn_free(w->mirrored);
}

static int workspace_init(workspace *w, const fn_embedder *e, size_t n) {
    *w = (workspace){.len = n < CHUNK ? n : CHUNK};
    w->n_pixels = (size_t)e->tmpl->width * (size_t)e->tmpl->height;
    w->item = 3 * w->n_pixels;
    w->crops = fn_alloc(w->len * w->item);
    w->input = fn_alloc_aligned(w->len * w->item * sizeof *w->input);
    if (e->mirror)
        w->mirrored = fn_alloc_aligned(w->len * (size_t)e->dimension * sizeof *w->mirrored);
    return w->crops && w->input && (!e->mirror || w->mirrored) ? FN_OK : fn_fail_memory();
}

// The network on n crops: dst (n, dimension) of unit length.
static int run_net(const fn_embedder *e, workspace *w, const unsigned char *crops, size_t n, float *dst) {
    const fn_input_spec *spec = fn_model_input(e->model);
    for (size_t i = 0; i < n; i++)
        fn_image_to_planes(w->input + i * w->item, crops + i * w->item, spec->width, spec->height, spec->bgr,
                           spec->mean, spec->scale);
    int rc = fn_net_run(fn_model_net(e->model), w->input, (int)n, spec->height, spec->width, &dst);
    for (size_t i = 0; i < n && rc == FN_OK; i++)
        rc = make_unit(dst + i * (size_t)e->dimension, e);
    return rc;
}

// A chunk of crops, which mirroring may overwrite only in the workspace.
static int run_chunk(const fn_embedder *e, workspace *w, const unsigned char *crops, size_t n, float *dst) {
    int rc = run_net(e, w, crops, n, dst);
    if (rc < 0 || !e->mirror)
        return rc;
    if (crops != w->crops)
        memcpy(w->crops, crops, n * w->item);
    for (size_t i = 0; i < n; i++)
        fn_image_mirror(w->crops + i * w->item, e->tmpl->width, e->tmpl->height);
    rc = run_net(e, w, w->crops, n, w->mirrored);
    for (size_t i = 0; i < n && rc == FN_OK; i++) {
        float *vector = dst + i * (size_t)e->dimension;
        const float *twin = w->mirrored + i * (size_t)e->dimension;
        for (int k = 0; k < e->dimension; k++)
            vector[k] = (vector[k] + twin[k]) / 2;
        rc = make_unit(vector, e);
    }
    return rc;
}

int fn_embedder_run(fn_embedder *embedder, const unsigned char *crops, size_t n, float *dst) {
    if (n == 0)
        return FN_OK;
    workspace w;
    int rc = workspace_init(&w, embedder, n);
    for (size_t i = 0; i < n && rc == FN_OK; i += w.len)
        rc = run_chunk(embedder, &w, crops + i * w.item, n - i < w.len ? n - i : w.len,
                       dst + i * (size_t)embedder->dimension);
    workspace_free(&w);
    return rc;
}

int fn_embedder_faces(fn_embedder *embedder, const fn_image *image, const fn_face *faces, size_t n,
                      float *dst) {
    if (n == 0)
        return FN_OK;
    workspace w;
    int rc = workspace_init(&w, embedder, n);
    for (size_t i = 0; i < n && rc == FN_OK; i += w.len) {
        const size_t count = n - i < w.len ? n - i : w.len;
        for (size_t k = 0; k < count && rc == FN_OK; k++) {
            rc = fn_align(w.crops + k * w.item, embedder->tmpl, image, &faces[i + k]);
            if (rc < 0)
                fn_fail_prefix(rc, "face %zu", i + k);
        }
        if (rc == FN_OK)
            rc = run_chunk(embedder, &w, w.crops, count, dst + i * (size_t)embedder->dimension);
    }
    workspace_free(&w);
    return rc;
}
