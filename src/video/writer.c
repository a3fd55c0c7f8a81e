// SPDX-License-Identifier: Apache-2.0
//
// A video that is written: a temporary file beside the target that gets its name when it is complete, for the
// eyes of its owner alone. The module encodes; what a name means is settled here.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "video/source.h"

#include <math.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_SIDE 16384 // H.264's encoder has no room for more
#define MAX_FPS 1000.0
#define MAX_TIME_S 1e8

struct fn_video_writer {
    const fn_video_module *module;
    fn_av_writer *av;
    char *path;
    fn_partial file; // zeros for standard output
    int width, height;
    int n_frames;
    double last_s; // of the last frame with a time
    int rc;        // of the first failure: the rest is refused
};

static const char *container_of(const char *path) {
    static const struct {
        const char *ending, *container;
    } kinds[] = {{".mp4", "mp4"}, {".mkv", "matroska"}, {".mov", "mov"}, {".avi", "avi"}};
    const char *dot = strrchr(path, '.');
    if (strcmp(path, "-") == 0)
        return "matroska";
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcasecmp(dot, kinds[i].ending) == 0)
            return kinds[i].container;
    }
    return NULL;
}

// What was left by recordings that were killed is large, so it is swept away.
static int create(fn_video_writer *w, const char *path) {
    w->path = fn_strdup(strcmp(path, "-") == 0 ? "standard output" : path);
    if (!w->path)
        return fn_fail_memory();
    if (strcmp(path, "-") == 0)
        return FN_OK;
    const int rc = fn_partial_open(&w->file, w->path, 0600);
    if (rc == FN_OK)
        fn_sweep_beside(w->file.place);
    return rc;
}

int fn_video_writer_open(fn_video_writer **out, const char *path, int width, int height,
                         const fn_writer_options *options) {
    static const fn_writer_options defaults = FN_WRITER_OPTIONS_INIT;
    const fn_writer_options *o = options ? options : &defaults;
    if (!out || !path)
        return fn_fail(FN_EINVAL, "video: no path, or no place for the writer");
    *out = NULL;
    const char *container = container_of(path);
    if (!container)
        return fn_fail(FN_EINVAL,
                       "%s: videos are written as .mp4, .mkv, .mov, .avi, or - for standard output", path);
    if (o->version != FN_WRITER_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL, "video: options of version %d, expected %d", o->version,
                       FN_WRITER_OPTIONS_VERSION);
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE)
        return fn_fail(FN_EINVAL, "%s: %d x %d pixels, each side must be 1 to %d", path, width, height,
                       MAX_SIDE);
    if (!(o->fps >= 0 && o->fps <= MAX_FPS) || o->quality < 0 || o->quality > 100)
        return fn_fail(FN_EINVAL, "%s: a rate of %g (0 to %g) and a quality of %d (1 to 100)", path, o->fps,
                       MAX_FPS, o->quality);
    fn_video_writer *w = fn_calloc(1, sizeof *w);
    if (!w)
        return fn_fail_memory();
    w->width = width;
    w->height = height;
    w->last_s = -INFINITY;
    char why[FN_VIDEO_WHY] = "";
    int rc = fn_video_module_get(&w->module);
    if (rc == FN_OK)
        rc = create(w, path);
    if (rc == FN_OK) {
        const fn_av_writing writing = {.fd = w->file.temporary ? w->file.fd : STDOUT_FILENO,
                                       .can_seek = w->file.temporary != NULL,
                                       .container = container,
                                       .width = width,
                                       .height = height,
                                       .fps = o->fps > 0 ? o->fps : 25,
                                       .quality = o->quality ? o->quality : 75};
        rc = w->module->writer_open(&w->av, &writing, why);
        if (rc < 0)
            fn_fail(rc, "%s: %s", w->path, why);
    }
    if (rc < 0)
        fn_video_writer_free(w);
    else
        *out = w;
    return rc;
}

int fn_video_writer_add(fn_video_writer *writer, const fn_image *image, double time_s) {
    char why[FN_VIDEO_WHY] = "";
    if (!writer)
        return fn_fail(FN_EINVAL, "video: no writer");
    int rc = fn_image_check(image);
    if (rc < 0)
        return rc;
    if (writer->rc < 0)
        return fn_fail(writer->rc, "%s: writing has failed before", writer->path);
    if (image->width != writer->width || image->height != writer->height)
        return fn_fail(FN_EINVAL, "%s: a frame of %d x %d pixels in a video of %d x %d", writer->path,
                       image->width, image->height, writer->width, writer->height);
    if (!isnan(time_s) && !(time_s > writer->last_s && fabs(time_s) < MAX_TIME_S))
        return fn_fail(FN_EINVAL, "%s: a frame at %g s after one at %g s: times rise", writer->path, time_s,
                       writer->last_s);
    rc = writer->module->writer_add(writer->av, image, time_s, why);
    if (rc < 0) {
        writer->rc = rc;
        return fn_fail(rc, "%s: %s", writer->path, why);
    }
    if (!isnan(time_s))
        writer->last_s = time_s;
    writer->n_frames++;
    return FN_OK;
}

int fn_video_writer_finish(fn_video_writer *writer) {
    char why[FN_VIDEO_WHY] = "";
    if (!writer)
        return fn_fail(FN_EINVAL, "video: no writer");
    int rc = writer->rc;
    if (rc < 0)
        fn_fail(rc, "%s: writing has failed before", writer->path);
    else if (writer->n_frames == 0)
        rc = fn_fail(FN_EINVAL, "%s: a video without a frame", writer->path);
    else if ((rc = writer->module->writer_finish(writer->av, why)) < 0)
        fn_fail(rc, "%s: %s", writer->path, why);
    else if (writer->file.temporary)
        rc = fn_partial_finish(&writer->file);
    fn_video_writer_free(writer);
    return rc;
}

void fn_video_writer_free(fn_video_writer *writer) {
    if (!writer)
        return;
    if (writer->av)
        writer->module->writer_free(writer->av);
    fn_partial_free(&writer->file);
    fn_free(writer->path);
    fn_free(writer);
}
