// SPDX-License-Identifier: Apache-2.0
//
// From photographs to crops. Every photograph is worked on from file to file by one thread; what is there
// already is not looked at again, and a crop appears under its name only when it is complete.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/path.h"
#include "image/image.h"
#include "train/apart.h"
#include "train/face_search.h"
#include "train/failures.h"
#include "train/geometry.h"
#include "train/inspect.h"
#include "train/report_json.h"
#include "train/skipped.h"
#include "train/workers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIN_SIDE 16
#define MAX_SIDE 1024
#define DEFAULT_TEMPLATE "arcface-112"
#define DEFAULT_QUALITY 95
#define MAX_FAILURES ((size_t)256 << 20)

// What became of a photograph; the names are those of the report.
typedef enum outcome {
    OUTCOME_NONE, // not reached
    OUTCOME_WRITTEN,
    OUTCOME_PRESENT,
    OUTCOME_REMOVED, // lies in a hidden folder of dst: somebody looked it over
    OUTCOME_UNREADABLE,
    OUTCOME_NO_FACE,
    OUTCOME_BAD_FACE, // the landmarks are not the face's, or give no map
    OUTCOME_NAME_TAKEN,
    OUTCOME_BAD_NAME, // too long with its ending, or below a file
    N_OUTCOMES
} outcome;

static const char *const outcome_names[N_OUTCOMES] = {"not_reached", "written",    "present",
                                                      "removed",     "unreadable", "no_face",
                                                      "bad_face",    "name_taken", "bad_name"};

// What one photograph left behind.
typedef struct result {
    outcome outcome;
    int attempt;
    char *message; // of a failure
} result;

typedef struct job {
    fn_dataset *photos;
    fn_detector *detector;
    fn_prepare_face face;
    const char *dst;
    const fn_template *tmpl;
    fn_crop_geometry geometry;
    int quality;
    result *results; // (n_images)
} job;

static int is_jpg(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".jpg") == 0;
}

/// The map picture -> crop with its margin.
static int crop_matrix(double m[6], const job *j, const fn_face *face) {
    int rc = fn_align_matrix(m, j->tmpl, face);
    double scale = (double)j->geometry.width / j->tmpl->width;
    for (int i = 0; i < 6; i++)
        m[i] *= scale;
    m[2] += j->geometry.margin;
    m[5] += j->geometry.margin;
    return rc;
}

static int write_crop(const job *j, const fn_image *image, const double m[6], const char *path) {
    int width = j->geometry.width + 2 * j->geometry.margin,
        height = j->geometry.height + 2 * j->geometry.margin;
    size_t n_pixels = (size_t)width * (size_t)height * 3, n_room = 2 * n_pixels + 4096, n_jpeg;
    unsigned char *pixels = fn_alloc(n_pixels), *jpeg = fn_alloc(n_room);
    char *folder = fn_strndup(path, (size_t)(strrchr(path, '/') - path));
    int rc = pixels && jpeg && folder ? FN_OK : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_image_warp(pixels, width, height, image, m);
    const fn_image crop = {pixels, width, height, (ptrdiff_t)width * 3, FN_PIXEL_RGB8};
    if (rc == FN_OK)
        rc = fn_image_encode_jpeg(jpeg, n_room, &n_jpeg, &crop, j->quality);
    if (rc == FN_OK)
        rc = fn_mkdirs(folder, 0700);
    if (rc == FN_OK)
        rc = fn_write_file(path, jpeg, n_jpeg, 0600);
    fn_free(folder);
    fn_free(jpeg);
    fn_free(pixels);
    return rc;
}

/// Notes a failure of the photograph; only a lack of memory is one of the whole run.
static int failed(result *r, outcome what, int rc) {
    if (rc == FN_ENOMEM)
        return rc;
    r->outcome = what;
    r->message = fn_strdup(fn_last_error());
    return r->message ? FN_OK : fn_fail_memory();
}

static int from_picture(const job *j, const fn_image *image, const char *out, result *r) {
    fn_face face;
    double m[6];
    int rc = fn_face_search(&face, &r->attempt, j->detector, image, j->face);
    if (rc < 0)
        return failed(r, rc == FN_ENOTFOUND ? OUTCOME_NO_FACE : OUTCOME_BAD_FACE, rc);
    rc = crop_matrix(m, j, &face);
    if (rc < 0)
        return failed(r, OUTCOME_BAD_FACE, rc);
    rc = write_crop(j, image, m, out);
    if (rc == FN_OK)
        r->outcome = OUTCOME_WRITTEN;
    return rc;
}

static int prepare_file(const job *j, const char *path, const char *out, int appended, result *r) {
    fn_picture *picture = NULL;
    struct stat st;
    if (appended) { // a.png becomes a.png.jpg, unless there is a photograph of that name
        char *same = fn_asprintf("%s.jpg", path);
        int taken = same && access(same, F_OK) == 0;
        fn_free(same);
        if (!same)
            return fn_fail_memory();
        if (taken)
            return failed(r, OUTCOME_NAME_TAKEN, fn_fail(FN_ECONFLICT, "%s.jpg is a photograph too", path));
    }
    int is_there = stat(out, &st) == 0;
    if (is_there && !S_ISREG(st.st_mode))
        return failed(r, OUTCOME_NAME_TAKEN, fn_fail(FN_ECONFLICT, "%s is there and no picture", out));
    if (!is_there && errno != ENOENT)
        return failed(r, OUTCOME_BAD_NAME, fn_fail(FN_EIO, "%s: %s", out, strerror(errno)));
    int removed = is_there ? 0 : fn_inspect_was_removed(j->dst, out + strlen(j->dst) + 1);
    if (removed < 0)
        return removed;
    if (is_there || removed) {
        r->outcome = is_there ? OUTCOME_PRESENT : OUTCOME_REMOVED;
        return FN_OK;
    }
    int rc = fn_decode_file(&picture, path, NULL);
    if (rc < 0)
        return failed(r, OUTCOME_UNREADABLE, rc);
    rc = from_picture(j, fn_picture_image(picture), out, r);
    fn_picture_free(picture);
    return rc;
}

static int prepare_one(void *user, int image) {
    const job *j = user;
    const char *name = fn_dataset_image_name(j->photos, image);
    int appended = !is_jpg(name);
    char *path = fn_dataset_image_path(j->photos, image);
    char *out = fn_asprintf("%s/%s%s", j->dst, name, appended ? ".jpg" : "");
    int rc = path && out ? prepare_file(j, path, out, appended, &j->results[image]) : fn_fail_memory();
    fn_free(out);
    fn_free(path);
    return rc;
}

// A name of the dataset, for the lookup of those that a stopped run has not reached.
typedef struct listed {
    const char *text;
    outcome outcome;
} listed;

typedef struct names {
    listed *data; // sorted
    size_t n;
} names;

static int by_text(const void *a, const void *b) {
    return strcmp(((const listed *)a)->text, ((const listed *)b)->text);
}

static int was_not_reached(void *user, const char *text) {
    const names *all = user;
    const listed key = {text, OUTCOME_NONE};
    const listed *found = bsearch(&key, all->data, all->n, sizeof key, by_text);
    return found && found->outcome == OUTCOME_NONE;
}

static int sort_names(names *all, const job *j) {
    all->n = (size_t)fn_dataset_n_images(j->photos);
    all->data = fn_alloc(all->n * sizeof *all->data);
    for (size_t i = 0; all->data && i < all->n; i++)
        all->data[i] = (listed){fn_dataset_image_name(j->photos, (int)i), j->results[i].outcome};
    if (all->data)
        qsort(all->data, all->n, sizeof *all->data, by_text);
    return all->data ? FN_OK : fn_fail_memory();
}

static int add_failure(fn_buf *text, const char *src, const char *below, const char *what,
                       const char *message) {
    char *path = fn_path_join(src, below);
    if (path)
        fn_failures_add(text, path, what, message);
    fn_free(path);
    return path ? FN_OK : FN_ENOMEM;
}

/// The lines of this tree, whose spelling does not count. What a run that was stopped has not reached keeps
/// the line it has.
static int write_failures(const job *j, int was_stopped) {
    fn_buf text;
    names all = {0};
    char *src = fn_path_real(fn_dataset_root(j->photos));
    int rc = src ? FN_OK : FN_ENOMEM;
    fn_buf_init(&text, MAX_FAILURES);
    for (int i = 0; i < fn_dataset_n_skipped(j->photos) && rc == FN_OK; i++)
        rc = add_failure(&text, src, fn_dataset_skipped_name(j->photos, i), "skipped",
                         fn_dataset_skipped_reason(j->photos, i));
    for (int i = 0; i < fn_dataset_n_images(j->photos) && rc == FN_OK; i++) {
        const result *r = &j->results[i];
        if (r->message)
            rc = add_failure(&text, src, fn_dataset_image_name(j->photos, i), outcome_names[r->outcome],
                             r->message);
    }
    if (rc == FN_OK && was_stopped)
        rc = sort_names(&all, j);
    if (rc == FN_OK)
        rc = fn_failures_write(j->dst, src, &text, was_stopped ? was_not_reached : NULL, &all);
    fn_buf_free(&text);
    fn_free(all.data);
    fn_free(src);
    return rc;
}

/// A run that was stopped says so, whatever comes of its list.
static int stopped(const job *j, int rc) {
    char message[1024];
    snprintf(message, sizeof message, "%s", fn_last_error());
    write_failures(j, 1);
    return fn_fail(rc, "%s", message);
}

static int make_report(char **out, const job *j) {
    json_int_t counts[N_OUTCOMES] = {0}, n = fn_dataset_n_images(j->photos), n_failed = 0;
    json_t *attempts = json_array(), *reasons = json_object();
    for (int k = 0; k < fn_face_search_attempts(); k++) {
        json_int_t of_attempt = 0;
        for (int i = 0; i < n; i++)
            of_attempt += j->results[i].outcome == OUTCOME_WRITTEN && j->results[i].attempt == k;
        json_array_append_new(attempts, json_integer(of_attempt));
    }
    for (int i = 0; i < n; i++)
        counts[j->results[i].outcome]++;
    for (int what = OUTCOME_UNREADABLE; what < N_OUTCOMES; what++) {
        n_failed += counts[what];
        json_object_set_new(reasons, outcome_names[what], json_integer(counts[what]));
    }
    return fn_report_json(out,
                          json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "people",
                                    fn_dataset_n_people(j->photos), "photographs", n, "written",
                                    counts[OUTCOME_WRITTEN], "present", counts[OUTCOME_PRESENT], "removed",
                                    counts[OUTCOME_REMOVED], "failed", n_failed, "reasons", reasons,
                                    "found_by_attempt", attempts, "skipped", fn_skipped_json(j->photos)));
}

static int read_options(job *j, const fn_prepare_options *o) {
    if (o->version != FN_PREPARE_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "prepare options have version %d, expected %d: use FN_PREPARE_OPTIONS_INIT",
                       o->version, FN_PREPARE_OPTIONS_VERSION);
    const char *name = o->template_name ? o->template_name : DEFAULT_TEMPLATE;
    j->tmpl = fn_template_find(name);
    if (!j->tmpl)
        return fn_fail(FN_EINVAL, "there is no template \"%.60s\"", name);
    int size = o->size ? o->size : j->tmpl->width;
    if (size < MIN_SIDE || size > MAX_SIDE)
        return fn_fail(FN_EINVAL, "crops of %d pixels: expected %d to %d", size, MIN_SIDE, MAX_SIDE);
    int margin = o->margin == -1 ? (size + 5) / 6 : o->margin;
    if (margin < 0 || margin > size)
        return fn_fail(FN_EINVAL, "a margin of %d pixels: expected 0 to %d", margin, size);
    if (o->quality < 0 || o->quality > 100)
        return fn_fail(FN_EINVAL, "a JPEG quality of %d: it goes from 1 to 100", o->quality);
    if (o->face != FN_PREPARE_FACE_CENTRE && o->face != FN_PREPARE_FACE_LARGEST)
        return fn_fail(FN_EINVAL, "face %d: expected FN_PREPARE_FACE_CENTRE or _LARGEST", (int)o->face);
    j->face = o->face;
    j->quality = o->quality ? o->quality : DEFAULT_QUALITY;
    j->geometry = (fn_crop_geometry){.width = size,
                                     .height = (size * j->tmpl->height + j->tmpl->width / 2) / j->tmpl->width,
                                     .margin = margin};
    snprintf(j->geometry.template_name, sizeof j->geometry.template_name, "%s", name);
    return FN_OK;
}

/// What dst holds was cut the same way.
static int check_dst(const job *j, const char *pipeline) {
    char there[65];
    fn_crop_geometry g;
    int rc = fn_geometry_read(&g, there, j->dst);
    if (rc < 0 || !*g.template_name)
        return rc;
    if (strcmp(g.template_name, j->geometry.template_name) || g.width != j->geometry.width ||
        g.height != j->geometry.height || g.margin != j->geometry.margin)
        return fn_fail(
            FN_ECONFLICT,
            "%s holds crops of %s %d x %d, margin %d: prepare them the same way, or into another folder",
            j->dst, g.template_name, g.width, g.height, g.margin);
    if (strcmp(there, pipeline) != 0)
        return fn_fail(FN_ECONFLICT, "%s holds crops that another detector found: take another folder",
                       j->dst);
    return FN_OK;
}

static int run(char **report, job *j, fn_recognizer *recognizer, int jobs, const fn_control *control) {
    const char *pipeline = fn_recognizer_pipeline_id(recognizer);
    j->detector = fn_recognizer_detector(recognizer);
    int n = fn_dataset_n_images(j->photos);
    j->results = fn_calloc((size_t)n, sizeof *j->results);
    int rc = j->results ? fn_dataset_is_apart(j->photos, j->dst) : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_mkdirs(j->dst, 0700);
    if (rc == FN_OK)
        rc = check_dst(j, pipeline);
    if (rc == FN_OK)
        fn_sweep_temporaries(j->dst);
    if (rc == FN_OK)
        rc = fn_geometry_write(&j->geometry, j->tmpl, pipeline, fn_detector_canonical(j->detector), j->dst);
    if (rc == FN_OK) {
        fn_skipped_tell(j->photos, control);
        rc = fn_workers_run(n, jobs, prepare_one, j, control);
        if (rc == FN_OK)
            rc = write_failures(j, 0);
        else if (rc == FN_ECANCELLED || rc == FN_ETIMEOUT)
            rc = stopped(j, rc);
    }
    return rc == FN_OK ? make_report(report, j) : rc;
}

int fn_dataset_prepare(char **report, fn_recognizer *recognizer, const char *src, const char *dst,
                       const fn_prepare_options *options, const fn_control *control) {
    const fn_prepare_options defaults = FN_PREPARE_OPTIONS_INIT;
    options = options ? options : &defaults;
    *report = NULL;
    if (!recognizer || !dst || !*dst)
        return fn_fail(FN_EINVAL, "preparing needs a recognizer and a folder for the crops");
    job j = {.dst = dst};
    int rc = read_options(&j, options);
    if (rc == FN_OK)
        rc = fn_dataset_open(&j.photos, src, 1);
    if (rc == FN_OK)
        rc = run(report, &j, recognizer, options->jobs, control);
    for (int i = 0; j.results && i < fn_dataset_n_images(j.photos); i++)
        fn_free(j.results[i].message);
    fn_free(j.results);
    fn_dataset_free(j.photos);
    return rc;
}
