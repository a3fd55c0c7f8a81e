// SPDX-License-Identifier: Apache-2.0
//
// What the text of a source means, and the road to it: the module for all that FFmpeg reads, facenet's own
// decoders for folders of pictures.
#include "video/source.h"

#include "base/alloc.h"
#include "base/dynamic.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct fn_source {
    fn_source_request request;
    char *name; // for messages
    fn_folder *folder;
    const fn_video_module *module;
    fn_av_source *av;
    int fd;           // of a file; -1: none, or standard input
    char address[64]; // of a camera told by its number
};

// ---- the module ----------------------------------------------------------------------------------------

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const fn_video_module *loaded;
static char not_loaded[512];

static void load(void) {
    const fn_video_module *module = NULL;
    const fn_symbol symbol = {&module, FN_VIDEO_MODULE_SYMBOL};
    if (fn_module_load(FN_VIDEO_MODULE, &symbol, 1) < 0)
        snprintf(
            not_loaded, sizeof not_loaded,
            "video needs facenet built with FFmpeg (Debian: libavformat-dev libavcodec-dev libavdevice-dev "
            "libswscale-dev): %s",
            fn_last_error());
    else if (module->version != FN_VIDEO_MODULE_VERSION)
        snprintf(not_loaded, sizeof not_loaded, "%s belongs to another facenet", FN_VIDEO_MODULE);
    else
        loaded = module;
}

int fn_video_module_get(const fn_video_module **out) {
    pthread_once(&once, load);
    *out = loaded;
    return loaded ? FN_OK : fn_fail(FN_EUNSUPPORTED, "%s", not_loaded);
}

// ---- what a text means ---------------------------------------------------------------------------------

static int starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

static int is_stream(const char *text) {
    static const char *const starts[] = {"rtsp://", "rtsps://", "http://", "https://", "udp://", "rtp://"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (starts_with(text, starts[i]))
            return 1;
    }
    return 0;
}

static int is_number(const char *text) {
    const size_t n = strspn(text, "0123456789");
    return n > 0 && n < 5 && !text[n];
}

char *fn_source_name(const char *text) {
    if (strcmp(text, "-") == 0)
        return fn_strdup("standard input");
    const char *host = strstr(text, "://");
    if (!host)
        return fn_strdup(text);
    host += 3;
    // A password may hold what should have been escaped in it: the last @ counts.
    const char *at = strrchr(host, '@'), *shown = at ? at + 1 : host;
    const size_t n = strcspn(shown, "?#");
    return fn_asprintf("%.*s%.*s%s", (int)(host - text), text, (int)n, shown, shown[n] ? "?..." : "");
}

// ---- opening -------------------------------------------------------------------------------------------

static int open_file(fn_source *s, fn_av_request *request) {
    const char *text = s->request.text;
    struct stat st;
    request->kind = FN_AV_FILE;
    request->fd = STDIN_FILENO;
    if (strcmp(text, "-") != 0) {
        request->fd = s->fd = open(text, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (s->fd < 0)
            return fn_fail(FN_EIO, "%s", strerror(errno));
    }
    if (fstat(request->fd, &st))
        return fn_fail(FN_EIO, "%s", strerror(errno));
    if (S_ISDIR(st.st_mode))
        return fn_fail(FN_EIO, "a folder, where a video is expected");
    if (S_ISREG(st.st_mode) && st.st_size == 0)
        return fn_fail(FN_EFORMAT, "it is empty");
    return FN_OK;
}

static int open_camera(fn_source *s, fn_av_request *request) {
    struct stat st;
    char others[400];
    request->kind = FN_AV_CAMERA;
    request->address = s->request.text;
    if (is_number(s->request.text)) {
        snprintf(s->address, sizeof s->address, "/dev/video%s", s->request.text);
        request->address = s->address;
    }
    if (stat(request->address, &st) == 0)
        return FN_OK;
    fn_cameras_list(others, sizeof others);
    return fn_fail(FN_EIO, "there is no such camera; %s", others);
}

static int open_stream(fn_source *s, fn_av_request *request) {
    request->kind = FN_AV_STREAM;
    request->address = s->request.text;
    return FN_OK;
}

static int open_av(fn_source *s, fn_video_info *about, int *bursts) {
    const fn_video_options *options = s->request.options;
    const char *text = s->request.text;
    fn_av_request request = {.fd = -1,
                             .width = options->width,
                             .height = options->height,
                             .fps = options->fps,
                             .threads = options->threads,
                             .max_pixels = (int64_t)options->max_pixels,
                             .any_certificate = options->any_certificate,
                             .is_over = s->request.is_over,
                             .user = s->request.user};
    fn_av_about said;
    char why[FN_VIDEO_WHY] = "", others[400];
    int rc;
    if (is_stream(text))
        rc = open_stream(s, &request);
    else if (is_number(text) || fn_is_camera(text))
        rc = open_camera(s, &request);
    else if (strstr(text, "://"))
        rc = fn_fail(FN_EINVAL, "neither rtsp, http, https, udp nor rtp: such addresses are not read");
    else
        rc = open_file(s, &request);
    if (rc == FN_OK)
        rc = fn_video_module_get(&s->module);
    if (rc < 0)
        return rc;
    rc = s->module->open(&s->av, &request, &said, why);
    if (rc < 0 && request.kind == FN_AV_CAMERA && rc != FN_ECANCELLED) {
        fn_cameras_list(others, sizeof others);
        return fn_fail(rc, "%s; %s", why, others);
    }
    if (rc < 0)
        return fn_fail(rc, "%s", why);
    about->fps = said.fps;
    about->duration_s = said.duration_s;
    about->n_frames = said.n_frames;
    about->is_live = said.is_live;
    snprintf(about->codec, sizeof about->codec, "%s", said.codec);
    *bursts = said.comes_in_bursts;
    return FN_OK;
}

int fn_source_open(fn_source **out, const fn_source_request *request, fn_video_info *about, int *bursts) {
    *out = NULL;
    *bursts = 0;
    memset(about, 0, sizeof *about);
    fn_source *s = fn_calloc(1, sizeof *s);
    if (!s)
        return fn_fail_memory();
    s->request = *request;
    s->fd = -1;
    s->name = fn_source_name(request->text);
    int rc = s->name ? FN_OK : fn_fail_memory();
    if (rc == FN_OK && !is_stream(request->text) && !is_number(request->text) && fn_is_folder(request->text))
        rc = fn_folder_open(&s->folder, request, about);
    else if (rc == FN_OK && (rc = open_av(s, about, bursts)) < 0)
        fn_fail_prefix(rc, "%s", s->name);
    if (rc < 0)
        fn_source_close(s);
    else
        *out = s;
    return rc;
}

void fn_source_close(fn_source *source) {
    if (!source)
        return;
    fn_folder_close(source->folder);
    if (source->av)
        source->module->close(source->av);
    if (source->fd >= 0)
        close(source->fd);
    fn_free(source->name);
    fn_free(source);
}

// ---- reading -------------------------------------------------------------------------------------------

static int read_av(fn_source *source, fn_frame **out, int *orientation, uint64_t *n_damaged,
                   double *wait_ms) {
    fn_av_frame decoded;
    char why[FN_VIDEO_WHY] = "";
    int rc = source->module->read(source->av, &decoded, n_damaged, why);
    if (rc < 0)
        return fn_fail(rc, "%s: %s", source->name, why);
    if (!decoded.hold)
        return FN_OK;
    fn_frame *frame = fn_frame_new();
    if (!frame) {
        source->module->release(decoded.hold);
        return FN_ENOMEM;
    }
    frame->image = decoded.image;
    frame->time_s = decoded.time_s;
    frame->is_view = decoded.is_view;
    frame->hold = decoded.hold;
    frame->release = source->module->release;
    rc = fn_frame_orient(frame, decoded.orientation);
    if (rc < 0) {
        fn_frame_free(frame);
        return rc;
    }
    *orientation = decoded.orientation;
    *wait_ms = decoded.wait_ms;
    *out = frame;
    return FN_OK;
}

int fn_source_read(fn_source *source, fn_frame **out, int *orientation, uint64_t *n_damaged) {
    struct timespec start, end;
    double wait_ms = 0;
    *out = NULL;
    *orientation = 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    const int rc = source->folder ? fn_folder_read(source->folder, out, n_damaged)
                                  : read_av(source, out, orientation, n_damaged, &wait_ms);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (*out)
        (*out)->decode_ms = (float)((double)(end.tv_sec - start.tv_sec) * 1e3 +
                                    (double)(end.tv_nsec - start.tv_nsec) * 1e-6 - wait_ms);
    return rc;
}
