// SPDX-License-Identifier: Apache-2.0
//
// The graph speaks ONNX operator set 13. Files of sets 7 to 18 say some things differently
// (https://github.com/onnx/onnx/blob/main/docs/Changelog.md): arguments that were attributes are inputs
// now, and later sets added arguments whose defaults mean the same as before. One function per operator
// whose form changed; whatever cannot be said in set 13 is refused.
#include "model/onnx_reader.h"

#include "base/alloc.h"
#include "base/error.h"

#include <string.h>

static int refuse(const fn_onnx_draft *draft, const char *what) {
    return fn_fail(FN_EUNSUPPORTED, "node '%.80s' (%s): %s is not supported", draft->name, draft->op, what);
}

static fn_attr *attr_of(fn_onnx_draft *draft, const char *name) {
    for (int i = 0; i < draft->n_attrs; i++)
        if (strcmp(draft->attrs[i].name, name) == 0)
            return &draft->attrs[i];
    return NULL;
}

static void drop_attr(fn_onnx_draft *draft, const char *name) {
    fn_attr *attr = attr_of(draft, name);
    if (attr)
        *attr = draft->attrs[--draft->n_attrs];
}

static int set_attr(fn_onnx_draft *draft, fn_attr attr) {
    drop_attr(draft, attr.name);
    if (draft->n_attrs == FN_ONNX_MAX_ATTRS)
        return refuse(draft, "this many attributes");
    draft->attrs[draft->n_attrs++] = attr;
    return FN_OK;
}

/// Drops an integer attribute that says what set 13 does anyway; any other value is refused.
static int drop_default(fn_onnx_draft *draft, const char *name, int64_t value) {
    const fn_attr *attr = attr_of(draft, name);
    if (attr && (attr->kind != FN_ATTR_INT || attr->i != value))
        return refuse(draft, name);
    drop_attr(draft, name);
    return FN_OK;
}

static int set_input(fn_onnx_draft *draft, int position, int value) {
    while (draft->n_inputs <= position)
        draft->inputs[draft->n_inputs++] = -1;
    if (draft->inputs[position] >= 0)
        return fn_fail(FN_EFORMAT, "node '%.80s' (%s) gives an argument twice", draft->name, draft->op);
    draft->inputs[position] = value;
    return FN_OK;
}

static int add_constant(fn_onnx_reader *reader, const fn_onnx_draft *draft, const char *what, fn_dtype dtype,
                        fn_shape shape, const void *data, int *out) {
    char *name = fn_onnx_fresh_name(reader, draft->output, what);
    if (!name)
        return fn_fail_memory();
    *out = fn_graph_constant(reader->graph, name, dtype, shape, data);
    fn_free(name);
    return *out < 0 ? fn_onnx_graph_error(reader->graph) : FN_OK;
}

/// Turns an attribute, where there is one, into the constant input that set 13 wants.
static int attr_to_input(fn_onnx_reader *reader, fn_onnx_draft *draft, const char *name, int position) {
    const fn_attr *attr = attr_of(draft, name);
    int value = -1, rc;
    if (!attr)
        return FN_OK;
    switch (attr->kind) {
    case FN_ATTR_INTS:
        rc = add_constant(reader, draft, name, FN_I64, fn_shape_make(1, attr->n), attr->ints, &value);
        break;
    case FN_ATTR_FLOATS:
        rc = add_constant(reader, draft, name, FN_F32, fn_shape_make(1, attr->n), attr->floats, &value);
        break;
    case FN_ATTR_FLOAT:
        rc = add_constant(reader, draft, name, FN_F32, fn_shape_make(0), &attr->f, &value);
        break;
    default:
        return fn_fail(FN_EFORMAT, "node '%.80s' (%s): attribute '%s' is of the wrong kind", draft->name,
                       draft->op, name);
    }
    drop_attr(draft, name);
    return rc < 0 ? rc : set_input(draft, position, value);
}

static int upgrade_axes(fn_onnx_reader *reader, fn_onnx_draft *draft) { // Squeeze, Unsqueeze
    return reader->opset < 13 ? attr_to_input(reader, draft, "axes", 1) : FN_OK;
}

static int upgrade_slice(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    if (reader->opset >= 10)
        return FN_OK;
    int rc = attr_to_input(reader, draft, "starts", 1);
    if (rc == FN_OK)
        rc = attr_to_input(reader, draft, "ends", 2);
    return rc < 0 ? rc : attr_to_input(reader, draft, "axes", 3);
}

static int upgrade_pad(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    if (draft->n_inputs > 3)
        return refuse(draft, "a list of axes");
    if (reader->opset >= 11)
        return FN_OK;
    int rc = attr_to_input(reader, draft, "pads", 1);
    return rc < 0 ? rc : attr_to_input(reader, draft, "value", 2);
}

static int upgrade_clip(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    if (reader->opset >= 11)
        return FN_OK;
    int rc = attr_to_input(reader, draft, "min", 1);
    return rc < 0 ? rc : attr_to_input(reader, draft, "max", 2);
}

static int upgrade_dropout(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    if (draft->n_inputs > 2 && draft->inputs[2] >= 0) {
        const fn_value *training = &reader->graph->values[draft->inputs[2]];
        if (!training->data || training->dtype != FN_I64 || fn_shape_count(&training->shape) != 1 ||
            *(const int64_t *)training->data)
            return refuse(draft, "training");
    }
    if (draft->n_inputs > 2)
        draft->n_inputs = 2;
    drop_attr(draft, "seed"); // masks are drawn from the run's
    return reader->opset < 12 ? attr_to_input(reader, draft, "ratio", 1) : FN_OK;
}

/// Dilations and ceil_mode came with set 18.
static int upgrade_lp_pool(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    (void)reader;
    const fn_attr *dilations = attr_of(draft, "dilations");
    for (int i = 0; dilations && i < dilations->n; i++)
        if (dilations->kind != FN_ATTR_INTS || dilations->ints[i] != 1)
            return refuse(draft, "a dilation");
    drop_attr(draft, "dilations");
    return drop_default(draft, "ceil_mode", 0);
}

/// Axes are an attribute until set 18, an input from then on.
static int upgrade_reduce_max(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    int axes = draft->n_inputs > 1 ? draft->inputs[1] : -1;
    draft->n_inputs = draft->n_inputs ? 1 : 0;
    if (axes >= 0) {
        const fn_value *value = &reader->graph->values[axes];
        if (!value->data || value->dtype != FN_I64 || value->shape.rank != 1)
            return refuse(draft, "a list of axes that is not constant");
        int rc = set_attr(draft, fn_attr_ints("axes", value->data, (int)value->shape.dim[0]));
        if (rc < 0)
            return rc;
    }
    return drop_default(draft, "noop_with_empty_axes", 0);
}

static int upgrade_batch_norm(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    (void)reader;
    int rc = drop_default(draft, "spatial", 1);
    return rc < 0 ? rc : drop_default(draft, "training_mode", 0);
}

static int upgrade_reshape(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    (void)reader;
    return drop_default(draft, "allowzero", 0);
}

static int upgrade_shape(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    (void)reader;
    int rc = drop_default(draft, "start", 0);
    if (rc == FN_OK && attr_of(draft, "end"))
        rc = refuse(draft, "end");
    return rc;
}

/// A helping node of its own, "output/what", of one input.
static int add_helper(fn_onnx_reader *reader, const fn_onnx_draft *draft, const char *op, const char *what,
                      int input, const fn_attr *attr, int *out) {
    char *name = fn_onnx_fresh_name(reader, draft->output, what);
    if (!name)
        return fn_fail_memory();
    fn_onnx_draft helper = {.op = op, .name = name, .output = name, .inputs = {input}, .n_inputs = 1};
    if (attr)
        helper.attrs[helper.n_attrs++] = *attr;
    *out = fn_onnx_emit(reader, &helper);
    fn_free(name);
    return *out < 0 ? fn_onnx_graph_error(reader->graph) : FN_OK;
}

/// Before set 13 Softmax runs over all dimensions from `axis` on, taken as one: flatten to a matrix,
/// Softmax over its rows, reshape back.
static int upgrade_softmax(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    const fn_attr *axis = attr_of(draft, "axis");
    int64_t first = axis && axis->kind == FN_ATTR_INT ? axis->i : 1;
    if (reader->opset >= 13)
        return FN_OK;
    if (first == -1)
        return set_attr(draft, fn_attr_int("axis", -1));
    if (draft->n_inputs != 1 || draft->inputs[0] < 0)
        return fn_fail(FN_EFORMAT, "node '%.80s' (%s) needs one input", draft->name, draft->op);
    fn_attr flat = fn_attr_int("axis", first), last = fn_attr_int("axis", -1);
    int matrix, rows, shape;
    int rc = add_helper(reader, draft, "Flatten", "matrix", draft->inputs[0], &flat, &matrix);
    if (rc == FN_OK)
        rc = add_helper(reader, draft, "Softmax", "rows", matrix, &last, &rows);
    if (rc == FN_OK)
        rc = add_helper(reader, draft, "Shape", "shape", draft->inputs[0], NULL, &shape);
    if (rc < 0)
        return rc;
    draft->op = "Reshape";
    draft->n_attrs = 0;
    draft->inputs[0] = rows;
    return set_input(draft, 1, shape);
}

/// Upsample and the Resize of set 10: (x, scales), asymmetric coordinates, nearest rounds down. That is
/// only certain when nothing shrinks, so nearest needs known scales of at least 1.
static int upgrade_old_resize(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    const fn_attr *mode = attr_of(draft, "mode");
    int is_linear = mode && mode->kind == FN_ATTR_STRING && strcmp(mode->s, "linear") == 0;
    int rc = attr_to_input(reader, draft, "scales", 1);
    if (rc < 0)
        return rc;
    if (draft->n_inputs != 2 || draft->inputs[1] < 0)
        return fn_fail(FN_EFORMAT, "node '%.80s' (%s) has no scales", draft->name, draft->op);
    const fn_value *scales = &reader->graph->values[draft->inputs[1]];
    for (int64_t i = 0; !is_linear && i < (scales->data ? fn_shape_count(&scales->shape) : 1); i++)
        if (!scales->data || scales->dtype != FN_F32 || !(((const float *)scales->data)[i] >= 1.0F))
            return refuse(draft, "shrinking");
    draft->op = "Resize";
    draft->inputs[2] = draft->inputs[1];
    draft->inputs[1] = -1;
    draft->n_inputs = 3;
    rc = set_attr(draft, fn_attr_string("coordinate_transformation_mode", "asymmetric"));
    return rc < 0 ? rc : set_attr(draft, fn_attr_string("nearest_mode", "floor"));
}

static int upgrade_upsample(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    return reader->opset < 10 ? upgrade_old_resize(reader, draft) : refuse(draft, "this opset");
}

static int upgrade_resize(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    if (reader->opset < 11)
        return upgrade_old_resize(reader, draft);
    // An empty tensor is how sets 11 and 12 leave out the region of interest, or scales beside sizes.
    for (int i = 1; i < draft->n_inputs; i++) {
        const fn_value *value = draft->inputs[i] < 0 ? NULL : &reader->graph->values[draft->inputs[i]];
        if (value && value->data && fn_shape_count(&value->shape) == 0)
            draft->inputs[i] = -1;
    }
    const fn_attr *policy = attr_of(draft, "keep_aspect_ratio_policy");
    if (attr_of(draft, "axes") ||
        (policy && (policy->kind != FN_ATTR_STRING || strcmp(policy->s, "stretch") != 0)))
        return refuse(draft, "axes or an aspect ratio policy");
    drop_attr(draft, "keep_aspect_ratio_policy");
    return drop_default(draft, "antialias", 0);
}

static const struct {
    const char *op;
    int (*upgrade)(fn_onnx_reader *reader, fn_onnx_draft *draft);
} upgrades[] = {
    {"BatchNormalization", upgrade_batch_norm},
    {"Clip", upgrade_clip},
    {"Dropout", upgrade_dropout},
    {"LpPool", upgrade_lp_pool},
    {"Pad", upgrade_pad},
    {"ReduceMax", upgrade_reduce_max},
    {"Reshape", upgrade_reshape},
    {"Resize", upgrade_resize},
    {"Shape", upgrade_shape},
    {"Slice", upgrade_slice},
    {"Softmax", upgrade_softmax},
    {"Squeeze", upgrade_axes},
    {"Unsqueeze", upgrade_axes},
    {"Upsample", upgrade_upsample},
};

int fn_onnx_upgrade(fn_onnx_reader *reader, fn_onnx_draft *draft) {
    for (size_t i = 0; i < sizeof upgrades / sizeof upgrades[0]; i++)
        if (strcmp(draft->op, upgrades[i].op) == 0)
            return upgrades[i].upgrade(reader, draft);
    return FN_OK;
}
