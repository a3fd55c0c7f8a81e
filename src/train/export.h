// SPDX-License-Identifier: Apache-2.0
//
// A trained network as a model file like any other: input, template, fingerprint and where it comes from.
#ifndef FN_TRAIN_EXPORT_H
#define FN_TRAIN_EXPORT_H

#include "model/model.h"
#include "nn/graph.h"

#include <facenet/dataset.h>
#include <facenet/train.h>

/// The model that training went on from; all texts owned (fn_origin_free), "" where the model says nothing.
typedef struct fn_origin {
    char *name, *source, *licence, *fingerprint;
} fn_origin;

/// FN_ENOMEM. A NULL pointer in `out` means that there is no origin.
int fn_origin_of(fn_origin *out, const fn_model *model);
void fn_origin_free(fn_origin *origin);

typedef struct fn_export {
    const char *network; // what was trained: "nn4.small2"
    const fn_input_spec *input;
    const fn_template *tmpl; // of the network's input; NULL: not known
    const fn_dataset *data;
    const fn_train_options *options;
    const fn_origin *origin;               // name NULL: trained from the start
    const char *teacher;                   // its fingerprint, "": none
    const fn_train_validation *validation; // NULL: none
    const char *compatible_with;           // facenet.compatible_with; NULL: none
    uint64_t step;
    int epoch;
} fn_export;

/// Writes the graph to `path`, with its checksum beside it. FN_EIO, FN_ENOMEM.
int fn_export_write(const char *path, const fn_graph *graph, const fn_export *export);

/// The template by which crops of the dataset reach a network of this input: the named template (NULL: the
/// dataset's) with its points scaled, called "<name>-<width>". *out is NULL where no template is known
/// (fn_template_free). FN_EINVAL: no template has the name.
int fn_export_template(fn_template **out, const char *name, const fn_dataset *data,
                       const fn_input_spec *input);

#endif
