// SPDX-License-Identifier: Apache-2.0
//
// The names of a folder with a folder per person. Nothing is opened but the folders themselves; the walker
// gives the files sorted, so that the pictures of a person follow each other. What it fails at is kept with
// the reason, and the walk goes on behind it.
#include <facenet/dataset.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"
#include "pipeline/walk.h"
#include "train/geometry.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

typedef struct gap {
    char *name; // below the root
    char *reason;
} gap;

struct fn_dataset {
    char *root;
    fn_crop_geometry geometry;
    char **person_names; // (n_people)
    int *first;          // (n_people + 1) first image of each person
    char **image_names;  // (n_images) below the root
    int *person;         // (n_images)
    gap *skipped;        // (n_skipped)
    int n_people, n_images, n_skipped;
    size_t person_capacity, image_capacity;
};

static int is_picture(const char *name) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif", ".avif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

/// Room for one more element of two arrays of one length.
static int grow(char ***names, int **numbers, size_t *capacity, size_t n) {
    if (n + 1 < *capacity) // one to spare: first[n_people] is the end
        return FN_OK;
    size_t wanted = *capacity ? 2 * *capacity : 256;
    char **more_names = fn_realloc(*names, wanted, sizeof **names);
    if (more_names)
        *names = more_names;
    int *more_numbers = more_names ? fn_realloc(*numbers, wanted, sizeof **numbers) : NULL;
    if (!more_numbers)
        return fn_fail_memory();
    *numbers = more_numbers;
    *capacity = wanted;
    return FN_OK;
}

static int add_person(fn_dataset *d, const char *name, size_t length) {
    int rc = grow(&d->person_names, &d->first, &d->person_capacity, (size_t)d->n_people);
    if (rc < 0)
        return rc;
    char *copy = fn_strndup(name, length);
    if (!copy)
        return fn_fail_memory();
    d->person_names[d->n_people] = copy;
    d->first[d->n_people++] = d->n_images;
    return FN_OK;
}

static int add_image(fn_dataset *d, const char *name) {
    if (d->n_images == INT_MAX - 1)
        return fn_fail(FN_ELIMIT, "%s: more than %d pictures", d->root, INT_MAX - 1);
    int rc = grow(&d->image_names, &d->person, &d->image_capacity, (size_t)d->n_images);
    if (rc < 0)
        return rc;
    char *copy = fn_strdup(name);
    if (!copy)
        return fn_fail_memory();
    d->image_names[d->n_images] = copy;
    d->person[d->n_images++] = d->n_people - 1;
    return FN_OK;
}

/// Keeps what the walker failed at, and why.
static int add_skipped(fn_dataset *d, const char *name) {
    if (d->n_skipped == INT_MAX - 1)
        return fn_fail(FN_ELIMIT, "%s: more than %d files and folders that cannot be read", d->root,
                       INT_MAX - 1);
    int is_full = (d->n_skipped & (d->n_skipped - 1)) == 0; // a power of two: twice as many from here
    gap *more = is_full ? fn_realloc(d->skipped, d->n_skipped ? 2 * (size_t)d->n_skipped : 1, sizeof *more)
                        : d->skipped;
    if (!more)
        return fn_fail_memory();
    d->skipped = more;
    gap *last = &d->skipped[d->n_skipped++];
    last->reason = fn_strdup(fn_last_error());
    last->name = fn_strdup(name);
    return last->reason && last->name ? FN_OK : fn_fail_memory();
}

/// A person with too few pictures leaves again; otherwise they are sealed.
static void end_person(fn_dataset *d, int min_images) {
    if (d->n_people == 0)
        return;
    int first = d->first[d->n_people - 1];
    if (d->n_images - first < min_images) {
        while (d->n_images > first)
            fn_free(d->image_names[--d->n_images]);
        fn_free(d->person_names[--d->n_people]);
    }
}

static int read_names(fn_dataset *d, int min_images) {
    fn_walker *walker = NULL;
    int rc = fn_walker_open_people(&walker, d->root);
    size_t skip = strlen(d->root) + (d->root[strlen(d->root) - 1] != '/');
    char *current = NULL; // "person/" of the folder that is being read, also when they leave again
    while (rc == FN_OK) {
        const char *path;
        rc = fn_walker_next(walker, &path);
        if (rc == FN_EIO) {
            rc = add_skipped(d, fn_walker_failed(walker) + skip);
            continue;
        }
        if (rc < 0 || !path)
            break;
        const char *name = strlen(path) > skip ? path + skip : "";
        const char *slash = strchr(name, '/');
        if (!slash || !is_picture(name))
            continue;
        size_t length = (size_t)(slash - name);
        if (!current || strncmp(current, name, length + 1) != 0) {
            end_person(d, min_images);
            fn_free(current);
            current = fn_strndup(name, length + 1);
            rc = current ? add_person(d, name, length) : fn_fail_memory();
        }
        if (rc == FN_OK)
            rc = add_image(d, name);
    }
    fn_walker_free(walker);
    fn_free(current);
    if (rc < 0)
        return rc;
    end_person(d, min_images);
    if (d->n_people == 0 && d->n_skipped)
        return fn_fail(FN_ENOTFOUND, "%s: nobody with %d or more pictures that can be read: %s", d->root,
                       min_images, d->skipped[0].reason);
    if (d->n_people == 0)
        return fn_fail(FN_ENOTFOUND, "%s: nobody with %d or more pictures: expected one folder per person",
                       d->root, min_images);
    d->first[d->n_people] = d->n_images;
    return FN_OK;
}

int fn_dataset_open(fn_dataset **out, const char *root, int min_images) {
    *out = NULL;
    if (!root || !*root)
        return fn_fail(FN_EINVAL, "a dataset needs a folder with one folder per person");
    if (min_images < 0)
        return fn_fail(FN_EINVAL, "%d pictures per person: expected 0 or more", min_images);
    fn_dataset *d = fn_calloc(1, sizeof *d);
    if (!d)
        return fn_fail_memory();
    d->root = fn_strdup(root);
    int rc = d->root ? read_names(d, min_images ? min_images : 1) : fn_fail_memory();
    if (rc == FN_OK)
        rc = fn_geometry_read(&d->geometry, NULL, root);
    if (rc < 0)
        fn_dataset_free(d);
    else
        *out = d;
    return rc;
}

void fn_dataset_free(fn_dataset *dataset) {
    if (!dataset)
        return;
    for (int i = 0; i < dataset->n_people; i++)
        fn_free(dataset->person_names[i]);
    for (int i = 0; i < dataset->n_images; i++)
        fn_free(dataset->image_names[i]);
    for (int i = 0; i < dataset->n_skipped; i++) {
        fn_free(dataset->skipped[i].name);
        fn_free(dataset->skipped[i].reason);
    }
    fn_free(dataset->skipped);
    fn_free(dataset->person_names);
    fn_free(dataset->first);
    fn_free(dataset->image_names);
    fn_free(dataset->person);
    fn_free(dataset->root);
    fn_free(dataset);
}

int fn_dataset_n_people(const fn_dataset *dataset) {
    return dataset->n_people;
}

int fn_dataset_n_images(const fn_dataset *dataset) {
    return dataset->n_images;
}

const char *fn_dataset_person_name(const fn_dataset *dataset, int person) {
    return dataset->person_names[person];
}

int fn_dataset_first_image(const fn_dataset *dataset, int person) {
    return dataset->first[person];
}

int fn_dataset_image_person(const fn_dataset *dataset, int image) {
    return dataset->person[image];
}

const char *fn_dataset_image_name(const fn_dataset *dataset, int image) {
    return dataset->image_names[image];
}

char *fn_dataset_image_path(const fn_dataset *dataset, int image) {
    return fn_path_join(dataset->root, dataset->image_names[image]);
}

const char *fn_dataset_root(const fn_dataset *dataset) {
    return dataset->root;
}

const fn_crop_geometry *fn_dataset_geometry(const fn_dataset *dataset) {
    return &dataset->geometry;
}

int fn_dataset_n_skipped(const fn_dataset *dataset) {
    return dataset->n_skipped;
}

const char *fn_dataset_skipped_name(const fn_dataset *dataset, int skipped) {
    return dataset->skipped[skipped].name;
}

const char *fn_dataset_skipped_reason(const fn_dataset *dataset, int skipped) {
    return dataset->skipped[skipped].reason;
}
