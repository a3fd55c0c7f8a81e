// SPDX-License-Identifier: Apache-2.0
//
// The photographs of an evaluation: where they are, who is on them, and the vector of each one's face.
#ifndef FN_EVAL_PHOTOS_H
#define FN_EVAL_PHOTOS_H

#include <facenet/eval.h>

typedef struct fn_photo {
    char *path;
    size_t person;            // 0..n_people-1
    unsigned char sha256[32]; // of the file
    int hashed;               // sha256 is known; without a cache it is not sought
    int missed;               // no box over the centre: the vector is the central box's
    int failed;               // it could not be read: there is no vector
} fn_photo;

typedef struct fn_photos {
    fn_photo *data;
    size_t n, capacity;
    size_t n_people;
    float *vectors; // (n, dimension), unit length
    int dimension;
    size_t n_missed, n_unreadable;
    const fn_comparable *older; // the other model of options->against, as the first knows it; NULL: none
    float *older_vectors;       // (n, dimension), by that one
} fn_photos;

/// Adds one photograph; `path` becomes the list's (also when this fails).
int fn_photos_add(fn_photos *photos, char *path, size_t person);

/// Every file under root/<person>/, in byte order of the paths; files directly in root are left out.
/// FN_EIO: a folder cannot be read. FN_ENOTFOUND: no file at all.
int fn_photos_folder(fn_photos *photos, const char *root);

void fn_photos_free(fn_photos *photos);

static inline const float *fn_photos_vector(const fn_photos *photos, size_t index) {
    return photos->vectors + index * (size_t)photos->dimension;
}

static inline const float *fn_photos_older_vector(const fn_photos *photos, size_t index) {
    return photos->older_vectors + index * (size_t)photos->dimension;
}

/// Fills the vectors, of both models where there are two: from the cache where it has them, else down the
/// whole road. A file that cannot be read is told to the logger and leaves the list (counted in
/// n_unreadable), or with `needs_all` ends the work with its error.
int fn_photos_embed(fn_photos *photos, fn_recognizer *recognizer, const fn_eval_options *options,
                    int needs_all, const fn_control *control);

/// The model of options->against as that of `recognizer` knows it. FN_EMODEL: it does not.
int fn_photos_find_older(const fn_comparable **out, fn_recognizer *recognizer, fn_recognizer *against);

/// The face that is evaluated: among those whose box covers the picture's centre the one whose own
/// centre is nearest to it, the first of equals. -1: a miss.
int fn_eval_central_face(const fn_face *faces, size_t n, int width, int height);

/// Checks the options and gives the defaults for NULL.
int fn_eval_check_options(fn_eval_options *checked, const fn_eval_options *options);

#endif
