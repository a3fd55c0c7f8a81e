// SPDX-License-Identifier: Apache-2.0
//
// The opened stages of the road. They are immutable, so one recognizer serves any number of threads.
#include "pipeline/recognizer.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/path.h"

#include <string.h>

int fn_recognizer_open(fn_recognizer **out, const fn_recognizer_options *options) {
    const fn_recognizer_options defaults = FN_RECOGNIZER_OPTIONS_INIT;
    *out = NULL;
    if (!options)
        options = &defaults;
    if (options->version != FN_RECOGNIZER_OPTIONS_VERSION)
        return fn_fail(FN_EINVAL,
                       "recognizer options have version %d, expected %d: use "
                       "FN_RECOGNIZER_OPTIONS_INIT",
                       options->version, FN_RECOGNIZER_OPTIONS_VERSION);
    fn_recognizer *recognizer = fn_calloc(1, sizeof *recognizer);
    if (!recognizer)
        return fn_fail_memory();
    int rc = fn_detector_open(&recognizer->detector, &options->detector);
    if (rc == FN_OK && !options->no_embedder)
        rc = fn_embedder_open(&recognizer->embedder, &options->embedder);
    if (rc < 0) {
        fn_recognizer_free(recognizer);
        return rc;
    }
    const char *canonical = fn_detector_canonical(recognizer->detector);
    fn_sha256_hex(recognizer->pipeline_id, canonical, strlen(canonical));
    *out = recognizer;
    return FN_OK;
}

void fn_recognizer_free(fn_recognizer *recognizer) {
    if (!recognizer)
        return;
    fn_embedder_free(recognizer->embedder);
    fn_detector_free(recognizer->detector);
    fn_free(recognizer);
}

fn_detector *fn_recognizer_detector(fn_recognizer *recognizer) {
    return recognizer->detector;
}

fn_embedder *fn_recognizer_embedder(fn_recognizer *recognizer) {
    return recognizer->embedder;
}

const char *fn_recognizer_pipeline_id(const fn_recognizer *recognizer) {
    return recognizer->pipeline_id;
}
