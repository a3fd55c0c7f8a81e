// SPDX-License-Identifier: Apache-2.0
//
// Finding clips. Everything below root/PERSON/CLIP/ is a frame of that clip; a file in root/PERSON is a clip
// of its own: a video, or a picture as a clip of one frame.
#include "eval/clips.h"

#include "base/alloc.h"
#include "base/error.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int fn_compare_natural(const char *a, const char *b) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    while (*x && *y) {
        if (isdigit(*x) && isdigit(*y)) {
            while (*x == '0' && isdigit(x[1]))
                x++;
            while (*y == '0' && isdigit(y[1]))
                y++;
            size_t nx = 0, ny = 0;
            while (isdigit(x[nx]))
                nx++;
            while (isdigit(y[ny]))
                ny++;
            const int order = nx != ny ? (nx > ny) - (nx < ny) : memcmp(x, y, nx);
            if (order)
                return order;
            x += nx, y += ny;
        } else if (*x != *y) {
            return *x < *y ? -1 : 1;
        } else {
            x++, y++;
        }
    }
    if (*x || *y)
        return *x ? 1 : -1;
    return strcmp(a, b); // "f01" and "f1"
}

static int is_picture(const char *name) {
    static const char *const endings[] = {"jpg", "jpeg", "png", "webp", "heic", "heif", "avif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot + 1, endings[i]) == 0)
            return 1;
    return 0;
}

// Length of "PERSON/CLIP" in a path below the root; 0: a file directly in the root.
static size_t name_length(const char *below, size_t *n_person) {
    const char *slash = strchr(below, '/');
    if (!slash)
        return 0;
    *n_person = (size_t)(slash - below);
    const char *second = strchr(slash + 1, '/');
    return second ? (size_t)(second - below) : strlen(below);
}

static int add_clip(fn_clips *clips, const char *below, size_t n, size_t n_person) {
    if (clips->n == clips->capacity) {
        const size_t capacity = clips->capacity ? 2 * clips->capacity : 64;
        fn_clip *data = fn_realloc(clips->data, capacity, sizeof *data);
        if (!data)
            return fn_fail_memory();
        clips->data = data;
        clips->capacity = capacity;
    }
    const fn_clip *last = clips->n ? &clips->data[clips->n - 1] : NULL;
    if (!last || strncmp(last->name, below, n_person) != 0 || last->name[n_person] != '/')
        clips->n_people++;
    char *name = fn_strndup(below, n);
    if (!name)
        return fn_fail_memory();
    clips->data[clips->n++] =
        (fn_clip){.name = name, .person = clips->n_people - 1, .first = clips->frames.n};
    return FN_OK;
}

static int by_number(const void *a, const void *b) {
    return fn_compare_natural(((const fn_photo *)a)->path, ((const fn_photo *)b)->path);
}

// The first frames of the last clip stay, now that all of them are there to be put in order.
static void close_clip(fn_clips *clips, size_t n_frames) {
    if (!clips->n || clips->data[clips->n - 1].video)
        return;
    fn_clip *clip = &clips->data[clips->n - 1];
    fn_photos *frames = &clips->frames;
    clip->n = frames->n - clip->first;
    if (clip->n)
        qsort(frames->data + clip->first, clip->n, sizeof *frames->data, by_number);
    while (clip->n > n_frames) {
        fn_free(frames->data[--frames->n].path);
        clip->n--;
    }
}

static int add_file(fn_clips *clips, const char *path, const char *below, size_t n_frames) {
    size_t n_person = 0;
    const size_t n = name_length(below, &n_person);
    if (n == 0)
        return FN_OK;
    const fn_clip *last = clips->n ? &clips->data[clips->n - 1] : NULL;
    int rc = FN_OK;
    if (!last || strncmp(last->name, below, n) != 0 || last->name[n]) {
        close_clip(clips, n_frames);
        rc = add_clip(clips, below, n, n_person);
    }
    if (rc < 0)
        return rc;
    char *copy = fn_strdup(path);
    if (!copy)
        return fn_fail_memory();
    if (below[n] || is_picture(below))
        return fn_photos_add(&clips->frames, copy, clips->n - 1);
    clips->data[clips->n - 1].video = copy;
    return FN_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const fn_clip *)a)->name, ((const fn_clip *)b)->name);
}

int fn_clips_folder(fn_clips *clips, const char *root, size_t n_frames) {
    if (!root || !*root)
        return fn_fail(FN_EINVAL, "an evaluation needs a folder of clips, one folder per person");
    fn_walker *walker = NULL;
    const size_t skip = strlen(root) + (root[strlen(root) - 1] != '/');
    int rc = fn_walker_open(&walker, root);
    while (rc == FN_OK) {
        const char *path;
        rc = fn_walker_next(walker, &path);
        if (rc < 0 || !path)
            break;
        if (strlen(path) > skip)
            rc = add_file(clips, path, path + skip, n_frames);
    }
    fn_walker_free(walker);
    close_clip(clips, n_frames);
    clips->frames.n_people = clips->n;
    if (rc == FN_OK && clips->n == 0)
        rc = fn_fail(FN_ENOTFOUND, "%s: no clips: expected PERSON/CLIP/ with frames, or PERSON/CLIP.mp4",
                     root);
    if (clips->n)
        qsort(clips->data, clips->n, sizeof *clips->data, by_name);
    for (size_t i = 0; i < clips->n; i++)
        for (size_t k = 0; k < clips->data[i].n; k++)
            clips->frames.data[clips->data[i].first + k].person = i;
    return rc;
}

void fn_clips_free(fn_clips *clips) {
    for (size_t i = 0; i < clips->n; i++) {
        fn_free(clips->data[i].name);
        fn_free(clips->data[i].video);
        fn_free(clips->data[i].mean);
    }
    fn_free(clips->data);
    fn_photos_free(&clips->frames);
    *clips = (fn_clips){0};
}

const fn_clip *fn_clips_find(const fn_clips *clips, const char *name) {
    const fn_clip key = {.name = (char *)(uintptr_t)name};
    return clips->n ? bsearch(&key, clips->data, clips->n, sizeof key, by_name) : NULL;
}

double fn_clips_distance2(const fn_clip *a, const fn_clip *b, int dimension) {
    double product = 0;
    for (int i = 0; i < dimension; i++)
        product += a->mean[i] * b->mean[i];
    return 2 - 2 * product < 0 ? 0 : 2 - 2 * product;
}
