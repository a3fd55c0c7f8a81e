// SPDX-License-Identifier: Apache-2.0
//
// What the files of the pipeline share: the opened stages, and an analysis with what it owns.
#ifndef FN_PIPELINE_RECOGNIZER_H
#define FN_PIPELINE_RECOGNIZER_H

#include <facenet/pipeline.h>

struct fn_recognizer {
    fn_detector *detector;
    fn_embedder *embedder; // NULL: detection only
    char pipeline_id[65];
};

/// What a caller sees of an analysis, followed by what keeps it alive.
typedef struct fn_analysis_owner {
    fn_analysis seen; // first: an fn_analysis * of ours points here
    fn_face *faces;
    float *embeddings;
    fn_picture *picture;
    char message[1024];
} fn_analysis_owner;

/// An empty analysis, or NULL with the error noted.
fn_analysis_owner *fn_analysis_open(void);

/// Fills an empty analysis from a file. On failure it holds status and message, and the error is
/// returned.
int fn_analysis_fill_file(fn_analysis_owner *analysis, fn_recognizer *recognizer, const char *path,
                          const fn_analyze_options *options);

#endif
