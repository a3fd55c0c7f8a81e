// SPDX-License-Identifier: Apache-2.0
//
// dataset.h: what networks are trained on: a folder per person, pictures in it. Photographs become crops
// (prepare), crops are looked over (stats, outliers, duplicates), thinned (prune) and divided (split).
//
//     char *report = NULL;
//     fn_dataset_prepare(&report, recognizer, "photos", "crops", NULL, NULL);
//     puts(report);
//     fn_string_free(report);
//     fn_dataset *faces = NULL;
//     fn_dataset_open(&faces, "crops", 2);
//     printf("%d people\n", fn_dataset_n_people(faces));
//     fn_dataset_free(faces);
//
// Pictures are files ending in .jpg, .jpeg, .png, .webp, .heic, .heif or .avif, in any case of letters;
// hidden files and files directly in the root are passed over. Pictures may be links, and so may the folder
// of a person: a link to a folder directly in the root is followed, unless it leads into the tree or around
// it. Links to folders deeper down, links that lead nowhere and folders that cannot be read are skipped with
// a word (fn_dataset_skipped_reason) and stop nothing. Reports are JSON texts in new memory (fn_string_free).
// Files with faces are written readable by their owner only. Any function may fail with FN_ENOMEM.
#ifndef FACENET_DATASET_H
#define FACENET_DATASET_H

#include <facenet/pipeline.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How crops were cut: the template's box has width x height pixels, and `margin` more are kept on every
/// side, so that a picture has (width + 2 margin) x (height + 2 margin).
typedef struct fn_crop_geometry {
    char template_name[64]; // "": not known, each picture is one whole box of its own size
    int width, height;      // pixels; 0 where the template is not known
    int margin;             // pixels
} fn_crop_geometry;

typedef struct fn_dataset fn_dataset; // immutable once open: any number of threads may read it

/// Reads the names below root: people sorted by name in byte order, the pictures of a person likewise and one
/// after the other. People with fewer than min_images pictures (0: 1) are left out. Errors: FN_EINVAL (no
/// root, min_images below 0), FN_EIO (root, or its facenet-dataset.json, cannot be read), FN_ENOTFOUND
/// (nobody is left), FN_EFORMAT (facenet-dataset.json is damaged), FN_ELIMIT (more than two thousand million
/// pictures). The caller frees *out.
FN_API int fn_dataset_open(fn_dataset **out, const char *root, int min_images);
FN_API void fn_dataset_free(fn_dataset *dataset);

FN_API int fn_dataset_n_people(const fn_dataset *dataset);
FN_API int fn_dataset_n_images(const fn_dataset *dataset);
/// The name of the folder. Valid until the dataset is freed.
FN_API const char *fn_dataset_person_name(const fn_dataset *dataset, int person);
/// The first image of a person, 0..n_people; n_people gives n_images.
FN_API int fn_dataset_first_image(const fn_dataset *dataset, int person);
FN_API int fn_dataset_image_person(const fn_dataset *dataset, int image);
/// "person/picture.jpg", below the root. Valid until the dataset is freed.
FN_API const char *fn_dataset_image_name(const fn_dataset *dataset, int image);
/// root and name in new memory (fn_string_free); NULL when out of memory.
FN_API char *fn_dataset_image_path(const fn_dataset *dataset, int image);
FN_API const char *fn_dataset_root(const fn_dataset *dataset);
/// As facenet-dataset.json in the root says. Valid until the dataset is freed.
FN_API const fn_crop_geometry *fn_dataset_geometry(const fn_dataset *dataset);

/// What below the root was skipped, in the order of the walk: how many, the name below the root
/// ("person/gone.jpg"), and a line for people that names it. Valid until the dataset is freed.
FN_API int fn_dataset_n_skipped(const fn_dataset *dataset);
FN_API const char *fn_dataset_skipped_name(const fn_dataset *dataset, int skipped);
FN_API const char *fn_dataset_skipped_reason(const fn_dataset *dataset, int skipped);

/// Which face of a photograph is the person's, as `facenet enroll --face` calls them.
typedef enum fn_prepare_face {
    FN_PREPARE_FACE_CENTRE,  // over the centre, its own centre nearest to it; or the only one anywhere
    FN_PREPARE_FACE_LARGEST, // of the largest box
} fn_prepare_face;

typedef struct fn_prepare_options {
    int version;               // FN_PREPARE_OPTIONS_VERSION
    const char *template_name; // NULL: "arcface-112"
    int size;    // width of the template's box in pixels, the height follows; 0: the template's own
    int margin;  // pixels; -1: a sixth of the width, which turning by 10 degrees, scaling by 6 % and shifting
                 // by 4 % together do not leave
    int quality; // of the JPEG files, 1..100; 0: 95
    int jobs;    // threads; 0: one per processor
    fn_prepare_face face; // since version 2; of a photograph with several faces
} fn_prepare_options;
#define FN_PREPARE_OPTIONS_VERSION 2
#define FN_PREPARE_OPTIONS_INIT                                                                              \
    { FN_PREPARE_OPTIONS_VERSION, NULL, 0, -1, 0, 0, FN_PREPARE_FACE_CENTRE }

/// Photographs below src become crops below dst, PERSON/NAME.jpg (a name that does not end in .jpg gets it
/// appended). One face of each, as options->face says. Where there is none, the picture is searched again
/// down to smaller faces, enlarged and within a border, and with less certainty. FN_PREPARE_FACE_CENTRE takes
/// a face beside the centre only when all of this found none over it and the first search saw this face
/// alone: people stand aside in photographs of their own, while every one of LFW has a face over its centre.
///
/// Crops that are there already are left as they are, so that a run that was stopped goes on, and so are
/// those that a look (fn_dataset_prune, _outliers, _duplicates) moved into its hidden folder in dst. What a
/// killed run left half written is swept away first. dst/failures.tsv lists what gave no crop: path from the
/// root of all, code, reason; a failure never stops the rest, and a run that is stopped by the control writes
/// the list too. dst/facenet-dataset.json says how the crops were cut; several trees may be prepared into one
/// dst, with the same template, size, margin and detector. The recognizer needs no embedder.
///
/// Keys of the report: people, photographs, written, present, removed (lie in a hidden folder of dst),
/// failed, reasons (of the failures, with their counts: unreadable, no_face, bad_face, name_taken, bad_name),
/// found_by_attempt (of those written, by the search that found the face), skipped (a list of lines).
///
/// Errors: those of fn_dataset_open for src; FN_EINVAL (options, or src and dst lie in each other); FN_EIO
/// (dst cannot be written); FN_ECONFLICT (dst holds crops cut in another way); FN_EFORMAT
/// (dst/facenet-dataset.json is damaged); FN_EMODEL; FN_ECANCELLED, FN_ETIMEOUT.
FN_API int fn_dataset_prepare(char **report, fn_recognizer *recognizer, const char *src, const char *dst,
                              const fn_prepare_options *options, const fn_control *control);

/// What a dataset consists of. jobs threads read the pictures' sizes; 0: one per processor. Keys of the
/// report: people, images, fewest_, mean_, median_ and most_per_person, same_person_pairs, people_by_images
/// (how many people have how many), sizes (the 20 most frequent and "other", with their counts), unreadable,
/// skipped (a list of lines), and crops (template, width, height, margin) where facenet-dataset.json tells.
/// Errors: those of fn_dataset_open; FN_ECANCELLED, FN_ETIMEOUT.
FN_API int fn_dataset_stats(char **report, const char *root, int jobs, const fn_control *control);

typedef struct fn_inspect_options {
    int version;         // FN_INSPECT_OPTIONS_VERSION
    double distance;     // see the functions; 0: their default
    int jobs;            // threads; 0: one per processor
    int apply;           // 0: only report; 1: move what was found out of the dataset
    const char *removed; // the folder it is moved to, with its person's folder; NULL: a hidden one in the
                         // root, .pruned, .outliers or .duplicates, which fn_dataset_prepare knows. Not in
                         // the dataset, nor around it
} fn_inspect_options;
#define FN_INSPECT_OPTIONS_VERSION 1
#define FN_INSPECT_OPTIONS_INIT                                                                              \
    { FN_INSPECT_OPTIONS_VERSION, 0.0, 0, 0, NULL }

// Three looks over a dataset. What they move is never deleted or written over: a picture whose name is taken
// is FN_ECONFLICT, unless the same picture lies there. Links stay links to the same picture; pictures of a
// person whose folder is a link leave the folder it leads to. Keys of every report: chosen (pictures),
// applied, moved, moved_to (when something was), skipped (a list of lines). Errors: those of fn_dataset_open;
// FN_EINVAL (options, or the folder `removed` and the dataset lie in each other); FN_EIO, FN_ECONFLICT
// (moving); FN_EMODEL, FN_ECANCELLED, FN_ETIMEOUT where there is a network at work.

/// People with fewer than min_images pictures. Of the options only apply and removed count. Keys of the
/// report besides: min_images, people_kept, people_pruned, pruned (a list: person, images).
FN_API int fn_dataset_prune(char **report, const char *root, int min_images,
                            const fn_inspect_options *options);

/// Divides people, never pictures: dst/train and dst/val, made of hard links, or copies where links cannot
/// be; of a picture that is a link, what it leads to. val: share of the people that go to dst/val, above 0
/// and below 1. A function of the names, val and seed. The halves appear only when they are complete; a
/// failure leaves neither. Keys of the report: train and val (people, images), skipped (a list of lines).
/// Errors: those of fn_dataset_open; FN_EINVAL (val, one person alone, or a half would lie in the dataset or
/// around it); FN_ECONFLICT (dst/train or dst/val is there, or being made); FN_EIO.
FN_API int fn_dataset_split(char **report, const char *root, const char *dst, double val, uint64_t seed);

/// Pictures whose embedding is farther than `distance` from the mean of the person's other pictures, brought
/// to unit length; 0: 1.1. Only people with three or more. Crops of the embedder's template are embedded as
/// they are; in other pictures the face is sought. Keys of the report besides: images, unreadable, distance,
/// distances (measured, median, percentile_99, largest; null where none was measured), outliers (a list,
/// farthest first: image, distance).
FN_API int fn_dataset_outliers(char **report, fn_recognizer *recognizer, const char *root,
                               const fn_inspect_options *options, const fn_control *control);

/// Pairs of pictures with embeddings not farther apart than `distance` (0: 0.3), and of files with the same
/// bytes: those that have no embedding are paired with the first such file and the first of their person.
/// apply moves, of the pictures of one person that are the same, all but the first; pairs between two people
/// are only reported, because which name is right is not known. Keys of the report besides: images,
/// unreadable, distance, same_person and two_people (lists: first, second, distance, same_bytes). FN_ELIMIT:
/// more than a million pairs.
FN_API int fn_dataset_duplicates(char **report, fn_recognizer *recognizer, const char *root,
                                 const fn_inspect_options *options, const fn_control *control);

#ifdef __cplusplus
}
#endif
#endif
