// SPDX-License-Identifier: Apache-2.0
//
// A folder of pictures as a video: in byte order of their names, or those of a pattern like "%04d.jpg" in
// order of their numbers, gaps allowed. Only the folder itself, not those within. What is called as pictures
// are is one; where nothing is, everything that is not hidden. The names are read once; a picture that cannot
// be decoded is passed over with a warning.
#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "video/source.h"

#include <facenet/decode.h>

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEFAULT_FPS 25.0

typedef struct item {
    char *name;
    long number; // 0 without a pattern
} item;

// "frame%04d.jpg" is "frame", a number, ".jpg".
typedef struct pattern {
    const char *start, *end; // `start` has n_start bytes
    size_t n_start;
} pattern;

struct fn_folder {
    fn_source_request request;
    char *path;
    item *items;
    size_t n, at, capacity;
    double fps;
    uint64_t n_frames;
};

// ---- names -------------------------------------------------------------------------------------------

// 1 when the name has exactly one place for a number.
static int find_pattern(pattern *p, const char *name) {
    const char *percent = strchr(name, '%');
    if (!percent || strchr(percent + 1, '%'))
        return 0;
    const size_t digits = strspn(percent + 1, "0123456789");
    if (percent[1 + digits] != 'd')
        return 0;
    *p = (pattern){.start = name, .n_start = (size_t)(percent - name), .end = percent + 2 + digits};
    return 1;
}

// The number in a name of that pattern, or -1.
static long match(const pattern *p, const char *name) {
    if (strncmp(name, p->start, p->n_start) != 0)
        return -1;
    const char *digits = name + p->n_start;
    const size_t n = strspn(digits, "0123456789");
    return n && n < 10 && strcmp(digits + n, p->end) == 0 ? strtol(digits, NULL, 10) : -1;
}

static const char *leaf_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int is_picture_name(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    }
    return 0;
}

int fn_is_folder(const char *text) {
    pattern p;
    struct stat st;
    if (stat(text, &st) == 0)
        return S_ISDIR(st.st_mode) || (S_ISREG(st.st_mode) && is_picture_name(text));
    return find_pattern(&p, leaf_of(text));
}

static int by_number(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int add(fn_folder *folder, const char *name, long number) {
    if (folder->n == folder->capacity) {
        const size_t capacity = folder->capacity ? 2 * folder->capacity : 64;
        item *items = fn_realloc(folder->items, capacity, sizeof *items);
        if (!items)
            return fn_fail_memory();
        folder->items = items;
        folder->capacity = capacity;
    }
    char *copy = fn_strdup(name);
    if (!copy)
        return fn_fail_memory();
    folder->items[folder->n++] = (item){copy, number};
    return FN_OK;
}

// Notes and lists among pictures are none.
static void keep_pictures(fn_folder *folder) {
    size_t n = 0;
    for (size_t i = 0; i < folder->n; i++)
        n += (size_t)is_picture_name(folder->items[i].name);
    if (n == 0)
        return;
    n = 0;
    for (size_t i = 0; i < folder->n; i++) {
        if (is_picture_name(folder->items[i].name))
            folder->items[n++] = folder->items[i];
        else
            fn_free(folder->items[i].name);
    }
    folder->n = n;
}

static int list(fn_folder *folder, const pattern *wanted) {
    int rc = FN_OK;
    DIR *entries = opendir(folder->path);
    if (!entries)
        return fn_fail(FN_EIO, "%s: the folder cannot be read: %s", folder->path, strerror(errno));
    while (rc == FN_OK) {
        errno = 0;
        const struct dirent *entry = readdir(entries);
        if (!entry) {
            if (errno)
                rc = fn_fail(FN_EIO, "%s: the folder cannot be read: %s", folder->path, strerror(errno));
            break;
        }
        const long number = wanted ? match(wanted, entry->d_name) : 0;
        if (entry->d_name[0] != '.' && number >= 0)
            rc = add(folder, entry->d_name, number);
    }
    closedir(entries);
    if (!wanted)
        keep_pictures(folder);
    if (rc == FN_OK && folder->n)
        qsort(folder->items, folder->n, sizeof *folder->items, by_number);
    return rc;
}

// ---- opening -------------------------------------------------------------------------------------------

static int fill(fn_folder *folder) {
    const char *text = folder->request.text, *leaf = leaf_of(text);
    pattern p;
    struct stat st;
    const int is_there = stat(text, &st) == 0, is_whole = is_there && S_ISDIR(st.st_mode);
    if (is_whole)
        folder->path = fn_strdup(text);
    else
        folder->path = leaf == text ? fn_strdup(".") : fn_strndup(text, (size_t)(leaf - text));
    if (!folder->path)
        return fn_fail_memory();
    if (is_whole)
        return list(folder, NULL);
    if (is_there)
        return add(folder, leaf, 0);
    find_pattern(&p, leaf);
    return list(folder, &p);
}

int fn_folder_open(fn_folder **out, const fn_source_request *request, fn_video_info *about) {
    *out = NULL;
    fn_folder *folder = fn_calloc(1, sizeof *folder);
    if (!folder)
        return fn_fail_memory();
    folder->request = *request;
    folder->fps = request->options->fps > 0 ? request->options->fps : DEFAULT_FPS;
    int rc = fill(folder);
    if (rc == FN_OK && folder->n == 0)
        rc = fn_fail(FN_EFORMAT, "%s: there is no picture in it", request->text);
    if (rc < 0) {
        fn_folder_close(folder);
        return rc;
    }
    about->fps = folder->fps;
    about->n_frames = folder->n;
    about->duration_s = (double)folder->n / folder->fps;
    *out = folder;
    return FN_OK;
}

void fn_folder_close(fn_folder *folder) {
    if (!folder)
        return;
    for (size_t i = 0; i < folder->n; i++)
        fn_free(folder->items[i].name);
    fn_free(folder->items);
    fn_free(folder->path);
    fn_free(folder);
}

// ---- reading -------------------------------------------------------------------------------------------

static void release(void *hold) {
    fn_picture_free(hold);
}

static int decode(const fn_folder *folder, fn_frame **out, const char *path) {
    fn_decode_options options = FN_DECODE_OPTIONS_INIT;
    fn_picture *picture = NULL;
    options.max_pixels = folder->request.options->max_pixels;
    const int rc = fn_decode_file(&picture, path, &options);
    if (rc < 0)
        return rc;
    fn_frame *frame = fn_frame_new();
    if (!frame) {
        fn_picture_free(picture);
        return FN_ENOMEM;
    }
    frame->image = *fn_picture_image(picture);
    frame->hold = picture;
    frame->release = release;
    frame->time_s = (double)folder->n_frames / folder->fps;
    *out = frame;
    return FN_OK;
}

int fn_folder_read(fn_folder *folder, fn_frame **out, uint64_t *n_damaged) {
    const fn_source_request *request = &folder->request;
    while (folder->at < folder->n) {
        int rc = request->is_over(request->user);
        if (rc < 0)
            return fn_fail(rc, "%s: %s", request->text,
                           rc == FN_ETIMEOUT ? "no picture came in time" : "stopped");
        char *path = fn_path_join(folder->path, folder->items[folder->at].name);
        if (!path)
            return FN_ENOMEM;
        struct stat st;
        rc = FN_OK;
        if (stat(path, &st) || !S_ISDIR(st.st_mode))
            rc = decode(folder, out, path);
        fn_free(path);
        if (rc == FN_ENOMEM)
            return rc;
        folder->at++;
        if (rc < 0) {
            ++*n_damaged;
            request->warn(request->user, fn_last_error());
        } else if (*out) {
            folder->n_frames++;
            return FN_OK;
        }
    }
    return folder->n_frames ? FN_OK : fn_fail(FN_EFORMAT, "%s: there is no picture in it", request->text);
}
