// SPDX-License-Identifier: Apache-2.0
//
// FaceNet's NN1 (Schroff, Kalenichenko, Philbin 2015, https://arxiv.org/abs/1503.03832, table 1): the network
// of Zeiler and Fergus 2013 with 1x1 convolutions between, 220 x 220 pixels, 140 M parameters, 1.6 G
// multiply-adds. Biases, no batch-norm; local response normalisation twice; maxout of two pieces in the two
// wide layers at the end. The paper gives sizes, not the numbers of the normalisation: those are of
// Krizhevsky et al. 2012 as Torch has them.
#include "model/fresh.h"

static fn_map conv(fn_fresh *f, const char *name, const char *relu, fn_map x, int out, int size, int stride) {
    return fn_fresh_relu(f, relu, fn_fresh_square(f, name, x, out, size, stride, size / 2));
}

void fn_arch_nn1(fn_fresh *f) {
    f->bias = 1;
    fn_map x = fn_fresh_input(f, 3, f->height, f->width); // 220 x 220 x 3
    x = conv(f, "conv1", "relu1", x, 64, 7, 2);           // 110 x 110 x 64
    x = fn_fresh_max_pool(f, "pool1", x, 3, 2, 1);        // 55 x 55 x 64
    x = fn_fresh_lrn(f, "rnorm1", x, 5, 1e-4F);           //
    x = conv(f, "conv2a", "relu2a", x, 64, 1, 1);         //
    x = conv(f, "conv2", "relu2", x, 192, 3, 1);          // 55 x 55 x 192
    x = fn_fresh_lrn(f, "rnorm2", x, 5, 1e-4F);           //
    x = fn_fresh_max_pool(f, "pool2", x, 3, 2, 1);        // 28 x 28 x 192
    x = conv(f, "conv3a", "relu3a", x, 192, 1, 1);        //
    x = conv(f, "conv3", "relu3", x, 384, 3, 1);          // 28 x 28 x 384
    x = fn_fresh_max_pool(f, "pool3", x, 3, 2, 1);        // 14 x 14 x 384
    x = conv(f, "conv4a", "relu4a", x, 384, 1, 1);        //
    x = conv(f, "conv4", "relu4", x, 256, 3, 1);          // 14 x 14 x 256
    x = conv(f, "conv5a", "relu5a", x, 256, 1, 1);        //
    x = conv(f, "conv5", "relu5", x, 256, 3, 1);          //
    x = conv(f, "conv6a", "relu6a", x, 256, 1, 1);        //
    x = conv(f, "conv6", "relu6", x, 256, 3, 1);          //
    x = fn_fresh_max_pool(f, "pool4", x, 3, 2, 1);        // 7 x 7 x 256
    x = fn_fresh_flatten(f, "concat", x);                 // 12544
    x = fn_fresh_maxout(f, "fc1", x, 32 * 128);           // 4096
    x = fn_fresh_maxout(f, "fc2", x, 32 * 128);           // 4096
    fn_fresh_embedding(f, fn_fresh_last(f, x, 1));        // fc7128
}
