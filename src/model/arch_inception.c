// SPDX-License-Identifier: Apache-2.0
//
// The inception block, from one row of a table.
#include "model/arch_inception.h"

#include <stdio.h>

enum { MAX_NAME = 96 };

/// Convolution, batch-norm, ReLU; `number` 1 or 2 in a branch of two, "" in a branch of one.
static fn_map conv(fn_fresh *f, const fn_inception *row, const char *branch, const char *number, fn_map x,
                   int out, int size, int stride) {
    static const char *const layers[3] = {"conv", "bn", "relu"};
    char names[3][MAX_NAME];
    for (int i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "inception_%s_%s_%s%s", row->name, branch, layers[i], number);
    x = fn_fresh_square(f, names[0], x, out, size, stride, size / 2);
    return fn_fresh_relu(f, names[2], fn_fresh_norm(f, names[1], x));
}

static fn_map pool(fn_fresh *f, const fn_inception *row, fn_map x, enum fn_pool_layout layout) {
    char name[MAX_NAME];
    snprintf(name, sizeof name, "inception_%s_pool", row->name);
    int stride = row->stride, pad = 1;
    if (layout == FN_POOLS_AS_TRAINED) {
        stride = row->pool == FN_POOL_MAX ? 2 : 3;
        pad = 0;
    }
    if (row->pool == FN_POOL_MAX)
        x = fn_fresh_max_pool(f, name, x, 3, stride, pad);
    else if (row->pool == FN_POOL_L2)
        x = fn_fresh_l2_pool(f, name, x, 3, stride, pad);
    else
        x = fn_fresh_average_pool(f, name, x, 3, stride, pad);
    return row->proj ? conv(f, row, "pool", "", x, row->proj, 1, 1) : x;
}

fn_map fn_arch_inception(fn_fresh *f, fn_map x, const fn_inception *row, enum fn_pool_layout layout) {
    fn_map maps[4];
    const char *branches[4];
    int n = 0, height = 0, width = 0;
    if (row->three) {
        branches[n] = "3x3";
        fn_map reduced = conv(f, row, "3x3", "1", x, row->three_reduce, 1, 1);
        maps[n++] = conv(f, row, "3x3", "2", reduced, row->three, 3, row->stride);
    }
    if (row->five) {
        branches[n] = "5x5";
        fn_map reduced = conv(f, row, "5x5", "1", x, row->five_reduce, 1, 1);
        maps[n++] = conv(f, row, "5x5", "2", reduced, row->five, 5, row->stride);
    }
    if (row->pool != FN_POOL_NONE) {
        branches[n] = "pool";
        maps[n++] = pool(f, row, x, layout);
    }
    if (row->one) {
        branches[n] = "1x1";
        maps[n++] = conv(f, row, "1x1", "", x, row->one, 1, 1);
    }
    for (int i = 0; i < n; i++) {
        height = maps[i].height > height ? maps[i].height : height;
        width = maps[i].width > width ? maps[i].width : width;
    }
    for (int i = 0; i < n; i++) {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "inception_%s_%s_pad", row->name, branches[i]);
        maps[i] = fn_fresh_centre(f, name, maps[i], height, width);
    }
    char name[MAX_NAME];
    snprintf(name, sizeof name, "inception_%s", row->name);
    return fn_fresh_concat(f, name, maps, n);
}

fn_map fn_arch_unit(fn_fresh *f, int number, fn_map x, int out, int size, int stride) {
    char names[3][MAX_NAME];
    static const char *const layers[3] = {"conv", "bn", "relu"};
    for (int i = 0; i < 3; i++)
        snprintf(names[i], sizeof names[i], "%s%d", layers[i], number);
    x = fn_fresh_square(f, names[0], x, out, size, stride, size / 2);
    return fn_fresh_relu(f, names[2], fn_fresh_norm(f, names[1], x));
}

fn_map fn_arch_inception_stem(fn_fresh *f, int conv1, int conv2, int conv3) {
    fn_map x = fn_fresh_input(f, 3, f->height, f->width);
    x = fn_arch_unit(f, 1, x, conv1, 7, 2);
    x = fn_fresh_max_pool(f, "pool1", x, 3, 2, 1);
    x = fn_fresh_lrn(f, "rnorm1", x, 5, 1e-4F);
    x = fn_arch_unit(f, 2, x, conv2, 1, 1);
    x = fn_arch_unit(f, 3, x, conv3, 3, 1);
    x = fn_fresh_lrn(f, "rnorm2", x, 5, 1e-4F);
    return fn_fresh_max_pool(f, "pool2", x, 3, 2, 1);
}

fn_map fn_arch_inceptions(fn_fresh *f, fn_map x, const fn_inception *rows, int n,
                          enum fn_pool_layout layout) {
    for (int i = 0; i < n; i++)
        x = fn_arch_inception(f, x, &rows[i], layout);
    return x;
}
