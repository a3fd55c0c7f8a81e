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
// hidden files and files directly in the root are passed over. Reports are JSON texts in new memory
// (fn_string_free). Files with faces are written readable by their owner only.
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
/// after the other. People with fewer than min_images pictures (0: 1) are left out. Errors: FN_EIO,
/// FN_ENOTFOUND (nobody is left), FN_EFORMAT (facenet-dataset.json is damaged). The caller frees *out.
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

typedef struct fn_prepare_options {
    int version;               // FN_PREPARE_OPTIONS_VERSION
    const char *template_name; // NULL: "arcface-112"
    int size;    // width of the template's box in pixels, the height follows; 0: the template's own
    int margin;  // pixels; -1: a sixth of the width, which turning by 10 degrees, scaling by 6 % and shifting
                 // by 4 % together do not leave
    int quality; // of the JPEG files, 1..100; 0: 95
    int jobs;    // threads; 0: one per processor
} fn_prepare_options;
#define FN_PREPARE_OPTIONS_VERSION 1
#define FN_PREPARE_OPTIONS_INIT                                                                              \
    { FN_PREPARE_OPTIONS_VERSION, NULL, 0, -1, 0, 0 }

/// Photographs below src become crops below dst, PERSON/NAME.jpg (a name that does not end in .jpg gets it
/// appended). One face of each: the one whose box centre is nearest the picture's centre among those whose
/// box covers it. Where there is none, the picture is searched again down to smaller faces, enlarged and
/// within a border, and with less certainty. Crops that are there already are left as they are, so that a run
/// that was stopped goes on. dst/failures.tsv lists what gave no crop: path, code, reason; a failure never
/// stops the rest. dst/facenet-dataset.json says how the crops were cut; several trees may be prepared into
/// one dst, with the same template, size, margin and detector (FN_ECONFLICT otherwise). Keys of the report:
/// people, photographs, written, present, failed, and the reasons with their counts. The recognizer needs no
/// embedder.
FN_API int fn_dataset_prepare(char **report, fn_recognizer *recognizer, const char *src, const char *dst,
                              const fn_prepare_options *options, const fn_control *control);

/// People, images, how many people have how many images, the sizes of the pictures and how often each occurs
/// (jobs threads read them; 0: one per processor), what cannot be read.
FN_API int fn_dataset_stats(char **report, const char *root, int jobs, const fn_control *control);

typedef struct fn_inspect_options {
    int version;         // FN_INSPECT_OPTIONS_VERSION
    double distance;     // see the functions; 0: their default
    int jobs;            // threads; 0: one per processor
    int apply;           // 0: only report; 1: move what was found out of the dataset
    const char *removed; // the folder it is moved to, with its person's folder; NULL: a hidden one in the
                         // root, .pruned, .outliers or .duplicates. Nothing is ever deleted or written over
} fn_inspect_options;
#define FN_INSPECT_OPTIONS_VERSION 1
#define FN_INSPECT_OPTIONS_INIT                                                                              \
    { FN_INSPECT_OPTIONS_VERSION, 0.0, 0, 0, NULL }

/// People with fewer than min_images pictures. Of the options only apply and removed count.
FN_API int fn_dataset_prune(char **report, const char *root, int min_images,
                            const fn_inspect_options *options);

/// Divides people, never pictures: dst/train and dst/val, made of hard links, or copies where links cannot
/// be. val: share of the people that go to dst/val, above 0 and below 1. dst/train and dst/val must not be
/// there yet (FN_ECONFLICT), and appear only when they are complete. A function of the names, val and seed.
FN_API int fn_dataset_split(char **report, const char *root, const char *dst, double val, uint64_t seed);

/// Pictures whose embedding is farther than `distance` from the mean of the person's other pictures, brought
/// to unit length; 0: 1.1. Only people with three or more. Farthest first. Crops of the embedder's template
/// are embedded as they are; in other pictures the face is sought.
FN_API int fn_dataset_outliers(char **report, fn_recognizer *recognizer, const char *root,
                               const fn_inspect_options *options, const fn_control *control);

/// Pairs of pictures with the same bytes, or with embeddings not farther apart than `distance`; 0: 0.3.
/// apply moves, of the pictures of one person that are the same, all but the first; pairs between two people
/// are only reported, because which name is right is not known.
FN_API int fn_dataset_duplicates(char **report, fn_recognizer *recognizer, const char *root,
                                 const fn_inspect_options *options, const fn_control *control);

#ifdef __cplusplus
}
#endif
#endif
