// SPDX-License-Identifier: Apache-2.0
//
// Layers with freshly drawn weights, for the tables of arch_<name>.c. A map is a value of the graph with the
// size it has for one item; each layer takes a map and returns the next.
//
//     fn_map x = fn_fresh_input(f, 3, 96, 96);
//     x = fn_fresh_conv(f, "conv1", x, 64, &(fn_conv_form){.kernel = {7, 7}, .stride = 2, .pad = {3, 3}});
//     x = fn_fresh_relu(f, "relu1", fn_fresh_norm(f, "bn1", x));
//
// Kernels and matrices are drawn from a normal distribution of mean 0 and variance 2 / fan-in, which keeps
// the size of activations through rectifiers (He et al. 2015, https://arxiv.org/abs/1502.01852, section 2.2);
// the last layer, which no rectifier follows, has 1 / fan-in. Biases are 0, scales of norms 1, shifts 0,
// running means 0, running variances 1, slopes of PReLU 0.25. Errors stick to the graph.
#ifndef FN_MODEL_FRESH_H
#define FN_MODEL_FRESH_H

#include "model/networks.h"

typedef struct fn_fresh {
    fn_graph *graph;
    fn_network_options options; // nothing left at 0 but dropout and seed
    int width, height;          // of the input, from options.size
    int variant;                // which of a family's networks
    int bias;                   // 1: convolutions have one
    float epsilon;              // of batch-norms
    uint32_t n_drawn;           // kernels and matrices so far: the next one's index in FN_STREAM_WEIGHTS
} fn_fresh;

typedef struct fn_map {
    int value;
    int channels, height, width; // after flattening: height and width 1
} fn_map;

typedef struct fn_conv_form {
    int kernel[2]; // y, x
    int stride;    // 0: 1
    int pad[2];    // y on either side, x on either side
    int depthwise; // 1: one group per channel
} fn_conv_form;

fn_map fn_fresh_input(fn_fresh *f, int channels, int height, int width);
/// Without activation; constants NAME_w and, when f->bias, NAME_b.
fn_map fn_fresh_conv(fn_fresh *f, const char *name, fn_map x, int out, const fn_conv_form *form);
/// size x size, stride and padding the same both ways.
fn_map fn_fresh_square(fn_fresh *f, const char *name, fn_map x, int out, int size, int stride, int pad);
/// Batch-norm; constants NAME_w, _b, _m, _v.
fn_map fn_fresh_norm(fn_fresh *f, const char *name, fn_map x);
fn_map fn_fresh_relu(fn_fresh *f, const char *name, fn_map x);
fn_map fn_fresh_prelu(fn_fresh *f, const char *name, fn_map x); // constant NAME_w
fn_map fn_fresh_max_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad);
fn_map fn_fresh_average_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad);
fn_map fn_fresh_l2_pool(fn_fresh *f, const char *name, fn_map x, int size, int stride, int pad);
/// Over `size` channels; alpha is divided by size.
fn_map fn_fresh_lrn(fn_fresh *f, const char *name, fn_map x, int size, float alpha);
/// Zeros around a map until it has this size, in the middle: floor(difference / 2) before.
fn_map fn_fresh_centre(fn_fresh *f, const char *name, fn_map x, int height, int width);
fn_map fn_fresh_concat(fn_fresh *f, const char *name, const fn_map *maps, int n); // of equal size
fn_map fn_fresh_add(fn_fresh *f, const char *name, fn_map a, fn_map b);
fn_map fn_fresh_scale(fn_fresh *f, const char *name, fn_map x, float factor); // not trained
fn_map fn_fresh_mean(fn_fresh *f, const char *name, fn_map x);                // over the picture, flat
fn_map fn_fresh_flatten(fn_fresh *f, const char *name, fn_map x);
/// (N, C) -> (N, out); variance 2 / fan-in, or 1 / fan-in where nothing rectifies.
fn_map fn_fresh_dense(fn_fresh *f, const char *name, fn_map x, int out, int bias, int rectified);
/// A dense layer NAME with bias, twice as wide, of which the larger of each two neighbours is kept.
fn_map fn_fresh_maxout(fn_fresh *f, const char *name, fn_map x, int out);
/// The usual end of a network: dropout where the options say so, the layer "dense" to the embedding.
fn_map fn_fresh_last(fn_fresh *f, fn_map x, int bias);
/// Rows of unit length, as the output "embedding".
void fn_fresh_embedding(fn_fresh *f, fn_map x);

/// A network of networks.c: writes its layers into f->graph.
typedef void fn_fresh_build(fn_fresh *f);
fn_fresh_build fn_arch_nn1, fn_arch_nn2, fn_arch_nn4, fn_arch_nns1, fn_arch_nns2;
fn_fresh_build fn_arch_openface;            // f->variant: enum fn_openface
fn_fresh_build fn_arch_inception_resnet_v1; // davidsandberg/facenet
fn_fresh_build fn_arch_dlib_resnet_fresh, fn_arch_mobilefacenet, fn_arch_tiny;

enum fn_openface {
    FN_OPENFACE_NN2,
    FN_OPENFACE_NN4,
    FN_OPENFACE_SMALL1,
    FN_OPENFACE_SMALL2,            // as the definition says: pools of stride 1 with padding
    FN_OPENFACE_SMALL2_AS_TRAINED, // pools of stride 2 and 3 without padding, zeros around
    FN_OPENFACE_SMALL2_KERAS,      // the same with another LRN
    FN_OPENFACE_SMALL2_COURSE      // the same without LRN, with average pools
};

#endif
