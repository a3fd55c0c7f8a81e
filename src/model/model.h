// SPDX-License-Identifier: Apache-2.0
//
// An opened model file: its net and what its metadata says. Inside the library, stages use this;
// programs use <facenet/model.h>.
//
// Metadata keys (ONNX metadata_props), all text:
//   facenet.format       "1"
//   facenet.name         catalogue name
//   facenet.role         detector | landmarks | embedder
//   facenet.description  one line
//   facenet.source       package@version:member sha256, one line per source file
//   facenet.licence      "code: ...", "weights: ...", "data: ..." lines
//   facenet.input        JSON {"width":112,"height":112,"color":"rgb","mean":[127.5,127.5,127.5],
//                        "scale":128.0}: value = (pixel - mean) / scale
//   facenet.template     alignment template of the crop (embedders)
//   facenet.unit_length  "1": divide the output by its length
//   facenet.canonical    the text whose SHA-256 is the fingerprint (see fingerprint.h)
//   facenet.calibration  JSON (see <facenet/match.h>); optional. With .mirror behind it: of embeddings that
//                        are the mean of a face's and its mirror image's. With .against. and a fingerprint:
//                        of distances between the model's embeddings and those of that fingerprint
//   facenet.compatible_with
//                        JSON of older models beside whose embeddings the network was trained to put its own
//                        (see embed/compatible.h); optional. No part of the fingerprint, because it says
//                        nothing about what the network computes
//   facenet.metric       JSON of how a last linear layer was learnt; optional
//   facenet.training     JSON of how it was trained: network, loss, steps, size of the data; optional
#ifndef FN_MODEL_MODEL_H
#define FN_MODEL_MODEL_H

#include "nn/net.h"

#include <facenet/model.h>

typedef struct fn_input_spec {
    int width, height; // default input size
    int bgr;           // 1: blue, green, red
    float mean[3];     // per channel in the order fed
    float scale;
} fn_input_spec;

/// Reads the value of facenet.input. FN_EFORMAT says what is wrong.
int fn_input_spec_parse(fn_input_spec *out, const char *text);

/// Where a model of this name lies: directory/name.onnx, NULL directory: the default one. New memory
/// (fn_free), or NULL with the error noted.
char *fn_model_path(const char *directory, const char *name);

fn_net *fn_model_net(fn_model *model);
const fn_input_spec *fn_model_input(const fn_model *model);

#endif
