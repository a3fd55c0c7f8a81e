// SPDX-License-Identifier: Apache-2.0
//
// A PReLU (He et al. 2015, https://arxiv.org/abs/1502.01852) is one operator with one slope per channel,
// but converters spell it: relu(x) + k (x - |x|), whose slope below zero is 2k, or relu(x) + k (-relu(-x)),
// whose slope is k. Each is found by walking back from its sum; the parts must serve nobody else.
#include "model/tflite_importer.h"

/// The operator that computes a tensor, when it is of this kind, without fused activation, and nobody else
/// reads the tensor. Otherwise -1.
static int made_by(const fn_tflite_importer *im, int tensor, int code) {
    int producer = tensor < 0 ? -1 : im->producer[tensor];
    if (producer < 0 || im->uses[tensor] != 1)
        return -1;
    const fn_tflite_op *op = &im->file.ops[producer];
    return op->code == code && op->activation == FN_TFLITE_ACT_NONE && op->n_inputs >= 1 ? producer : -1;
}

/// A constant, or one that will be when its DEQUANTIZE is reached.
static int is_constant(const fn_tflite_importer *im, int tensor) {
    return tensor >= 0 &&
           (fn_tflite_tensor_of(im, tensor)->data ||
            (im->producer[tensor] >= 0 && im->file.ops[im->producer[tensor]].code == FN_TFLITE_DEQUANTIZE));
}

/// Looks for a PReLU that ends in this sum, with relu(x) as its term number `side`. Sum and product may be
/// written in either order. Marks the operators that the PReLU replaces.
static void find_prelu(fn_tflite_importer *im, int index, int side) {
    const fn_tflite_op *ops = im->file.ops, *add = &ops[index];
    int relu = made_by(im, add->inputs[side], FN_TFLITE_RELU);
    int mul = made_by(im, add->inputs[1 - side], FN_TFLITE_MUL);
    if (relu < 0 || mul < 0 || ops[mul].n_inputs != 2)
        return;
    int x = ops[relu].inputs[0];
    for (int i = 0; i < 2; i++) {
        int k = ops[mul].inputs[i], negative = ops[mul].inputs[1 - i];
        if (x < 0 || !is_constant(im, k) || fn_tflite_tensor_of(im, x)->shape.rank != 4)
            continue;
        int last = made_by(im, negative, FN_TFLITE_SUB);
        if (last >= 0 && ops[last].n_inputs == 2 && ops[last].inputs[0] == x) {
            int absolute = made_by(im, ops[last].inputs[1], FN_TFLITE_ABS);
            if (absolute < 0 || ops[absolute].inputs[0] != x)
                continue;
            im->absorbed[absolute] = 1;
            im->prelu[index] = (fn_tflite_prelu){x, k, 2.0F};
        } else if ((last = made_by(im, negative, FN_TFLITE_NEG)) >= 0) {
            int inner = made_by(im, ops[last].inputs[0], FN_TFLITE_RELU);
            int minus = inner < 0 ? -1 : made_by(im, ops[inner].inputs[0], FN_TFLITE_NEG);
            if (minus < 0 || ops[minus].inputs[0] != x)
                continue;
            im->absorbed[inner] = im->absorbed[minus] = 1;
            im->prelu[index] = (fn_tflite_prelu){x, k, 1.0F};
        } else {
            continue;
        }
        im->absorbed[relu] = im->absorbed[mul] = im->absorbed[last] = 1;
        return;
    }
}

void fn_tflite_find_prelus(fn_tflite_importer *im) {
    for (int i = 0; i < im->file.n_ops; i++) {
        const fn_tflite_op *op = &im->file.ops[i];
        if (op->code != FN_TFLITE_ADD || op->n_inputs != 2 || op->n_outputs != 1 || op->outputs[0] < 0)
            continue;
        find_prelu(im, i, 0);
        if (im->prelu[i].factor == 0.0F)
            find_prelu(im, i, 1);
    }
}
