// SPDX-License-Identifier: Apache-2.0
//
// Importing a TensorFlow Lite file: taken apart (tflite_read.c), PReLUs found (tflite_prelu.c), operators
// written as layers one after the other (tflite_layers.c), outputs named.
#include "model/import_tflite.h"

#include "base/alloc.h"
#include "base/error.h"
#include "model/tflite_importer.h"

#include <string.h>

static int prepare(fn_tflite_importer *im, size_t n_bytes) {
    const fn_tflite *file = &im->file;
    size_t n_tensors = (size_t)file->n_tensors, n_ops = (size_t)file->n_ops;
    im->value = fn_calloc(n_tensors, sizeof *im->value);
    im->producer = fn_calloc(n_tensors, sizeof *im->producer);
    im->uses = fn_calloc(n_tensors, sizeof *im->uses);
    im->absorbed = fn_calloc(n_ops, 1);
    im->prelu = fn_calloc(n_ops, sizeof *im->prelu);
    im->budget = n_bytes;
    if (!im->value || !im->producer || !im->uses || !im->absorbed || !im->prelu)
        return fn_fail_memory();
    for (size_t i = 0; i < n_tensors; i++)
        im->value[i] = im->producer[i] = -1;
    for (int i = 0; i < file->n_ops; i++) {
        const fn_tflite_op *op = &file->ops[i];
        for (int k = 0; k < op->n_inputs; k++)
            if (op->inputs[k] >= 0)
                im->uses[op->inputs[k]]++;
        for (int k = 0; k < op->n_outputs; k++)
            if (op->outputs[k] >= 0)
                im->producer[op->outputs[k]] = i;
    }
    for (int i = 0; i < file->n_outputs; i++)
        if (file->outputs[i] >= 0)
            im->uses[file->outputs[i]]++;
    fn_tflite_find_prelus(im);
    return FN_OK;
}

static void import_input(fn_tflite_importer *im) {
    int input = im->file.n_inputs == 1 ? im->file.inputs[0] : -1;
    const fn_tflite_tensor *t = input < 0 ? NULL : fn_tflite_tensor_of(im, input);
    if (!t || t->shape.rank != 4 || t->type != FN_TFLITE_FLOAT32 || t->data) {
        fn_graph_fail(im->graph, FN_EUNSUPPORTED, "a network needs one input: a picture of 32 bit floats");
        return;
    }
    fn_shape shape = {4, {-1, t->shape.dim[3], t->shape.dim[1], t->shape.dim[2]}};
    if (im->any_size)
        shape.dim[2] = shape.dim[3] = -1;
    im->value[input] = fn_graph_input(im->graph, "input", shape);
}

static void import_outputs(fn_tflite_importer *im, const fn_tflite_options *options) {
    int n = options->n_outputs ? options->n_outputs : im->file.n_outputs;
    for (int i = 0; i < n; i++) {
        int tensor = options->n_outputs ? -1 : im->file.outputs[i];
        for (int k = 0; options->n_outputs && k < im->file.n_outputs; k++) {
            int candidate = im->file.outputs[k];
            if (candidate >= 0 && strcmp(fn_tflite_tensor_of(im, candidate)->name, options->from[i]) == 0)
                tensor = candidate;
        }
        if (im->graph->failed)
            return;
        if (tensor < 0 || im->value[tensor] < 0) {
            fn_graph_fail(im->graph, FN_EFORMAT, "output %d%s%.80s of the network is not computed", i,
                          options->n_outputs ? " " : "", options->n_outputs ? options->from[i] : "");
            return;
        }
        if (options->n_outputs)
            fn_graph_rename(im->graph, im->value[tensor], options->to[i]);
        fn_graph_output(im->graph, im->value[tensor]);
    }
}

int fn_tflite_import(fn_graph **out, const void *bytes, size_t n_bytes, const fn_tflite_options *options) {
    static const fn_tflite_options defaults = {0};
    fn_tflite_importer im = {0};
    *out = NULL;
    if (!options)
        options = &defaults;
    int rc = fn_tflite_read(&im.file, bytes, n_bytes);
    if (rc == FN_OK)
        rc = prepare(&im, n_bytes);
    if (rc == FN_OK)
        rc = fn_graph_open(&im.graph);
    if (rc < 0)
        goto out;
    im.any_size = options->any_size;
    import_input(&im);
    for (int i = 0; i < im.file.n_ops && !im.graph->failed; i++)
        if (!im.absorbed[i])
            fn_tflite_layer(&im, i);
    import_outputs(&im, options);
    rc = fn_graph_finish(im.graph);
    if (rc == FN_OK) {
        *out = im.graph;
        im.graph = NULL;
    }
out:
    fn_graph_free(im.graph);
    fn_free(im.value);
    fn_free(im.producer);
    fn_free(im.uses);
    fn_free(im.absorbed);
    fn_free(im.prelu);
    fn_tflite_clear(&im.file);
    return rc;
}
