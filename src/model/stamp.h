// SPDX-License-Identifier: Apache-2.0
//
// What an importer knows about a network besides its graph, written into the metadata; and the model
// file with its checksum beside it.
#ifndef FN_MODEL_STAMP_H
#define FN_MODEL_STAMP_H

#include "model/fingerprint.h"
#include "model/onnx.h"

#include <facenet/align.h>

#define FN_STAMP_MAX_SOURCES 4

/// A file that the network was made of.
typedef struct fn_stamp_source {
    const char *name; // "package@version:member"
    char sha256[65];
} fn_stamp_source;

typedef struct fn_stamp {
    const char *name, *role, *description;
    const char *licence;  // lines
    const char *importer; // "tfjs", "tflite", "onnx"
    fn_stamp_source sources[FN_STAMP_MAX_SOURCES];
    int n_sources;
    fn_input_spec input;
    const fn_template *tmpl;     // NULL: none
    const char *projection;      // for the canonical text; NULL: none
    const char *projection_note; // for people: what was left out; NULL: none
    int unit_length;
    const char *calibration, *calibration_mirror; // JSON; NULL: none
} fn_stamp;

/// Version of the importers: part of every fingerprint, raised when one of them comes to make another
/// network of the same file.
#define FN_IMPORTER_VERSION 1

/// Sets every facenet.* key. FN_ENOMEM, FN_EINVAL.
int fn_stamp_write(fn_metadata *metadata, const fn_graph *graph, const fn_stamp *stamp);

/// Writes `path` and beside it, with .sha256 in place of .onnx, the line that sha256sum -c reads. Both
/// are 0644. On failure nothing new stays.
int fn_stamp_save(const char *path, const fn_graph *graph, const fn_metadata *metadata);

#endif
