// SPDX-License-Identifier: Apache-2.0
//
// What makes two embeddings comparable, as a text and as its SHA-256. The text is a list of lines
// "key: value" in a fixed order:
//
//   facenet-embedding: 1
//   importer: NAME VERSION
//   source: SHA-256                 one line per source file, sorted
//   graph: SHA-256                  of the network, see fn_graph_sha256
//   input: WIDTH HEIGHT COLOR M0 M1 M2 SCALE
//   template: as fn_template_text
//   projection: a text, or none
//   normalisation: unit | none
//
// Names, licences, descriptions, calibration and precision are not in it.
#ifndef FN_MODEL_FINGERPRINT_H
#define FN_MODEL_FINGERPRINT_H

#include "model/model.h"

typedef struct fn_canonical {
    const char *importer; // "tfjs", "tflite", "onnx": one word
    int importer_version;
    const char *const *source_sha256; // 64 lowercase hex digits each, in any order
    int n_sources;
    const fn_graph *graph; // finished
    const fn_input_spec *input;
    const char *template_text; // NULL: none
    const char *projection;    // one line about what was projected; NULL: none
    int unit_length;           // 1: the embedding is divided by its length
} fn_canonical;

/// The canonical text in new memory (*out, fn_free). FN_EINVAL where a field holds a line break or
/// is missing, FN_ENOMEM.
int fn_canonical_make(char **out, const fn_canonical *what);

/// The value of a line of a canonical text ("graph"), copied to dst and cut to fit. 0: no such line.
int fn_canonical_get(char *dst, size_t size, const char *canonical, const char *key);

/// SHA-256 of a canonical text as 64 hex digits and a 0.
void fn_fingerprint(char hex[65], const char *canonical);

/// SHA-256, as 64 hex digits and a 0, over the nodes in order: operator, attributes by name, inputs
/// and outputs numbered by first use, constants by type, shape and the SHA-256 of their little-endian
/// data. Names do not count. FN_ENOMEM.
int fn_graph_sha256(char hex[65], const fn_graph *graph);

#endif
