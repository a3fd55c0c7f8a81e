// SPDX-License-Identifier: Apache-2.0
//
// The networks to train, layer by layer, against the tables of their papers and programs, written down here
// once more: what a layer is, what it reads, its window, its numbers. Each network's layers are lines, and a
// line that is missing, other or too many is a failure. Then one embedding of each, with drawn weights.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/random.h"
#include "model/networks.h"
#include "nn/infer.h"
#include "nn/net.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// --- a layer as a line ----------------------------------------------------------------------------------

static void put_ints(fn_buf *line, const fn_node *node, const char *name, const char *before) {
    const fn_attr *attr = fn_node_attr(node, name);
    for (int i = 0; attr && i < attr->n; i++)
        fn_buf_printf(line, "%s%lld", i ? "," : before, (long long)attr->ints[i]);
}

/// "Conv conv1 < input: 64 of 7,7 / 2,2 pad 3,3,3,3 with bias"
static void describe(fn_buf *line, const fn_graph *g, const fn_node *node) {
    const char *op = node->op->name;
    const fn_value *second = node->n_inputs > 1 ? &g->values[node->inputs[1]] : NULL;
    fn_buf_printf(line, "%s %s <", op, node->name);
    for (int i = 0; i < node->n_inputs; i++)
        if (!g->values[node->inputs[i]].data)
            fn_buf_printf(line, " %s", g->values[node->inputs[i]].name);
    if (strcmp(op, "Conv") == 0 || strcmp(op, "Gemm") == 0)
        fn_buf_printf(line, ": %lld%s", (long long)second->shape.dim[0],
                      node->n_inputs > 2 ? " with bias" : "");
    put_ints(line, node, "kernel_shape", " of ");
    put_ints(line, node, "strides", " / ");
    put_ints(line, node, "pads", " pad ");
    if (fn_node_int(node, "group", 1) > 1)
        fn_buf_printf(line, " group %lld", (long long)fn_node_int(node, "group", 1));
    if (strcmp(op, "BatchNormalization") == 0)
        fn_buf_printf(line, ": %g", (double)fn_node_float(node, "epsilon", -1));
    if (strcmp(op, "LRN") == 0)
        fn_buf_printf(line, ": %lld %g %g %g", (long long)fn_node_int(node, "size", -1),
                      (double)fn_node_float(node, "alpha", -1), (double)fn_node_float(node, "beta", -1),
                      (double)fn_node_float(node, "bias", -1));
    if (strcmp(op, "LpPool") == 0)
        fn_buf_printf(line, " p %lld", (long long)fn_node_int(node, "p", 2));
    if (strcmp(op, "AveragePool") == 0)
        fn_buf_printf(line, " counting %lld", (long long)fn_node_int(node, "count_include_pad", 0));
    if (strcmp(op, "Concat") == 0)
        fn_buf_printf(line, ": %lld", (long long)fn_node_int(node, "axis", -1));
    if (strcmp(op, "Mul") == 0)
        fn_buf_printf(line, ": %g", (double)*(const float *)second->data);
    if (strcmp(op, "Pad") == 0)
        for (int i = 0; i < 8; i++)
            fn_buf_printf(line, "%s%lld", i ? "," : ": ", (long long)((const int64_t *)second->data)[i]);
}

/// A network whose lines are being expected one by one.
typedef struct listing {
    const char *name;
    fn_graph *graph;
    int n; // lines met so far
    char last[128];
} listing;

static listing list(const char *name) {
    listing l = {.name = name};
    if (fn_network_build(&l.graph, name, &(fn_network_options){.blank = 1}) < 0)
        fail_msg("%s: %s", name, fn_last_error());
    snprintf(l.last, sizeof l.last, "input");
    return l;
}

static void close_list(listing *l) {
    if (l->n != l->graph->n_nodes)
        fail_msg("%s: %d layers instead of %d", l->name, l->graph->n_nodes, l->n);
    fn_graph_free(l->graph);
}

/// The layer of this name is described by this line; it is the one that later lines read as "*".
__attribute__((format(printf, 2, 3))) static void expect(listing *l, const char *format, ...) {
    char text[512], want[700], name[128] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *star = strstr(text, "< *");
    snprintf(want, sizeof want, "%.*s%s%s", (int)(star ? star + 2 - text : (long)strlen(text)), text,
             star ? l->last : "", star ? star + 3 : "");
    assert_int_equal(sscanf(want, "%*s %127s", name), 1);
    for (int i = 0; i < l->graph->n_nodes; i++) {
        if (strcmp(l->graph->nodes[i].name, name) != 0)
            continue;
        fn_buf line;
        fn_buf_init(&line, 4096);
        describe(&line, l->graph, &l->graph->nodes[i]);
        if (strcmp(line.data, want) != 0)
            fail_msg("%s:\n  %s\ninstead of\n  %s", l->name, line.data, want);
        fn_buf_free(&line);
        l->n++;
        snprintf(l->last, sizeof l->last, "%s", name);
        return;
    }
    fail_msg("%s: no layer %s", l->name, name);
}

// --- FaceNet's and OpenFace's inception tables ----------------------------------------------------------

/// One row: reduce and filters of 3x3 and of 5x5, stride of both, the pool (3x3) with its stride and padding,
/// filters behind it and zeros put around those, filters of 1x1.
typedef struct row {
    const char *name;
    int three_reduce, three, five_reduce, five, stride;
    const char *pool;
    int pool_stride, pool_pad, proj, before, after, one;
} row;

typedef struct inception {
    const char *name;
    const char *lrn; // NULL: none
    const char *lrn_name;
    int bias;
    double first_epsilon;
    const row *rows;
    int n_rows;
} inception;

#define ROWS(rows) rows, (int)(sizeof(rows) / sizeof *(rows))

/// Convolution, batch-norm, relu. number: "", "1" or "2".
static void expect_unit(listing *l, const inception *net, const char *prefix, const char *from,
                        const char *number, int out, int size, int stride, double epsilon) {
    const int pad = size / 2;
    expect(l, "Conv %sconv%s < %s: %d%s of %d,%d / %d,%d pad %d,%d,%d,%d", prefix, number, from, out,
           net->bias ? " with bias" : "", size, size, stride, stride, pad, pad, pad, pad);
    expect(l, "BatchNormalization %sbn%s < *: %g", prefix, number, epsilon);
    expect(l, "Relu %srelu%s < *", prefix, number);
}

/// The branches stand in this order: 3x3, 5x5, pool, 1x1.
static void expect_block(listing *l, const inception *net, const row *r) {
    char from[128], prefix[64], joined[4][80];
    int n = 0;
    snprintf(from, sizeof from, "%s", l->last);
    for (int five = 0; five < 2; five++) {
        if (!(five ? r->five : r->three))
            continue;
        snprintf(prefix, sizeof prefix, "inception_%s_%s_", r->name, five ? "5x5" : "3x3");
        expect_unit(l, net, prefix, from, "1", five ? r->five_reduce : r->three_reduce, 1, 1, 1e-5);
        expect_unit(l, net, prefix, l->last, "2", five ? r->five : r->three, five ? 5 : 3, r->stride, 1e-5);
        snprintf(joined[n++], sizeof *joined, "%.79s", l->last);
    }
    expect(l, "%s inception_%s_pool < %s of 3,3 / %d,%d pad %d,%d,%d,%d%s", r->pool, r->name, from,
           r->pool_stride, r->pool_stride, r->pool_pad, r->pool_pad, r->pool_pad, r->pool_pad,
           strcmp(r->pool, "LpPool") == 0        ? " p 2"
           : strcmp(r->pool, "AveragePool") == 0 ? " counting 0"
                                                 : "");
    if (r->proj) {
        snprintf(prefix, sizeof prefix, "inception_%s_pool_", r->name);
        expect_unit(l, net, prefix, l->last, "", r->proj, 1, 1, 1e-5);
    }
    if (r->before || r->after) // after the relu: what is put there is exactly zero
        expect(l, "Pad inception_%s_pool_pad < *: 0,0,%d,%d,0,0,%d,%d", r->name, r->before, r->before,
               r->after, r->after);
    snprintf(joined[n++], sizeof *joined, "%.79s", l->last);
    if (r->one) {
        snprintf(prefix, sizeof prefix, "inception_%s_1x1_", r->name);
        expect_unit(l, net, prefix, from, "", r->one, 1, 1, 1e-5);
        snprintf(joined[n++], sizeof *joined, "%.79s", l->last);
    }
    expect(l, "Concat inception_%s < %s %s%s%s%s%s: 1", r->name, joined[0], joined[1], n > 2 ? " " : "",
           n > 2 ? joined[2] : "", n > 3 ? " " : "", n > 3 ? joined[3] : "");
}

static void check_inception(const inception *net) {
    listing l = list(net->name);
    expect_unit(&l, net, "", "input", "1", 64, 7, 2, net->first_epsilon);
    expect(&l, "MaxPool pool1 < * of 3,3 / 2,2 pad 1,1,1,1");
    if (net->lrn)
        expect(&l, "LRN %s1 < *: %s", net->lrn_name, net->lrn);
    expect_unit(&l, net, "", l.last, "2", 64, 1, 1, 1e-5);
    expect_unit(&l, net, "", l.last, "3", 192, 3, 1, 1e-5);
    if (net->lrn) // before the pool
        expect(&l, "LRN %s2 < *: %s", net->lrn_name, net->lrn);
    expect(&l, "MaxPool pool2 < * of 3,3 / 2,2 pad 1,1,1,1");
    for (int i = 0; i < net->n_rows; i++)
        expect_block(&l, net, &net->rows[i]);
    expect(&l, "GlobalAveragePool mean < *");
    expect(&l, "Flatten mean/flat < *");
    expect(&l, "Gemm dense < *: 128 with bias");
    expect(&l, "LpNormalization embedding < *");
    close_list(&l);
}

#define MAX(stride, pad) "MaxPool", stride, pad
#define L2(stride, pad) "LpPool", stride, pad
#define MEAN(stride, pad) "AveragePool", stride, pad

// As the published weights of nn4.small2 were trained: maxima of stride 2 and L2 pools of stride 3 without
// padding, and zeros around the small maps.
static const row as_trained[] = {
    {"3a", 96, 128, 16, 32, 1, MAX(2, 0), 32, 3, 4, 64}, {"3b", 96, 128, 32, 64, 1, L2(3, 0), 64, 4, 4, 64},
    {"3c", 128, 256, 32, 64, 2, MAX(2, 0), 0, 0, 1, 0},  {"4a", 96, 192, 32, 64, 1, L2(3, 0), 128, 2, 2, 256},
    {"4e", 160, 256, 64, 128, 2, MAX(2, 0), 0, 0, 1, 0}, {"5a", 96, 384, 0, 0, 1, L2(3, 0), 96, 1, 1, 256},
    {"5b", 96, 384, 0, 0, 1, MAX(2, 0), 96, 1, 1, 256},
};
// The same with average pools, as the course wrote it.
static const row as_taught[] = {
    {"3a", 96, 128, 16, 32, 1, MAX(2, 0), 32, 3, 4, 64},
    {"3b", 96, 128, 32, 64, 1, MEAN(3, 0), 64, 4, 4, 64},
    {"3c", 128, 256, 32, 64, 2, MAX(2, 0), 0, 0, 1, 0},
    {"4a", 96, 192, 32, 64, 1, MEAN(3, 0), 128, 2, 2, 256},
    {"4e", 160, 256, 64, 128, 2, MAX(2, 0), 0, 0, 1, 0},
    {"5a", 96, 384, 0, 0, 1, MEAN(3, 0), 96, 1, 1, 256},
    {"5b", 96, 384, 0, 0, 1, MAX(2, 0), 96, 1, 1, 256},
};
// As their definitions say: pools with padding 1 and the stride of their block, so that nothing is put
// around.
static const row small2[] = {
    {"3a", 96, 128, 16, 32, 1, MAX(1, 1), 32, 0, 0, 64}, {"3b", 96, 128, 32, 64, 1, L2(1, 1), 64, 0, 0, 64},
    {"3c", 128, 256, 32, 64, 2, MAX(2, 1), 0, 0, 0, 0},  {"4a", 96, 192, 32, 64, 1, L2(1, 1), 128, 0, 0, 256},
    {"4e", 160, 256, 64, 128, 2, MAX(2, 1), 0, 0, 0, 0}, {"5a", 96, 384, 0, 0, 1, L2(1, 1), 96, 0, 0, 256},
    {"5b", 96, 384, 0, 0, 1, MAX(1, 1), 96, 0, 0, 256},
};
#define ROWS_3A_TO_4B                                                                                        \
    {"3a", 96, 128, 16, 32, 1, MAX(1, 1), 32, 0, 0, 64}, {"3b", 96, 128, 32, 64, 1, L2(1, 1), 64, 0, 0, 64}, \
        {"3c", 128, 256, 32, 64, 2, MAX(2, 1), 0, 0, 0, 0},                                                  \
        {"4a", 96, 192, 32, 64, 1, L2(1, 1), 128, 0, 0, 256}, {                                              \
        "4b", 112, 224, 32, 64, 1, L2(1, 1), 128, 0, 0, 224                                                  \
    }
#define ROWS_4C_4D                                                                                           \
    {"4c", 128, 256, 32, 64, 1, L2(1, 1), 128, 0, 0, 192}, {                                                 \
        "4d", 144, 288, 32, 64, 1, L2(1, 1), 128, 0, 0, 160                                                  \
    }
static const row small1[] = {
    ROWS_3A_TO_4B,
    {"4e", 160, 256, 64, 128, 2, MAX(2, 1), 0, 0, 0, 0},
    {"5a", 192, 384, 0, 0, 1, L2(1, 1), 128, 0, 0, 384},
    {"5b", 192, 384, 0, 0, 1, MAX(1, 1), 128, 0, 0, 384},
};
static const row openface_nn4[] = {
    ROWS_3A_TO_4B,
    ROWS_4C_4D,
    {"4e", 160, 256, 64, 128, 2, MAX(2, 1), 0, 0, 0, 0},
    {"5a", 192, 384, 0, 0, 1, L2(1, 1), 128, 0, 0, 384},
    {"5b", 192, 384, 0, 0, 1, MAX(1, 1), 128, 0, 0, 384},
};
static const row paper_nn4[] = {
    ROWS_3A_TO_4B,
    ROWS_4C_4D,
    {"4e", 160, 256, 0, 0, 2, MAX(2, 1), 0, 0, 0, 0},
    {"5a", 192, 384, 0, 0, 1, L2(1, 1), 128, 0, 0, 384},
    {"5b", 192, 384, 0, 0, 1, MAX(1, 1), 128, 0, 0, 384},
};
static const row nn2[] = {
    ROWS_3A_TO_4B,
    ROWS_4C_4D,
    {"4e", 160, 256, 64, 128, 2, MAX(2, 1), 0, 0, 0, 0},
    {"5a", 192, 384, 48, 128, 1, L2(1, 1), 128, 0, 0, 384},
    {"5b", 192, 384, 48, 128, 1, MAX(1, 1), 128, 0, 0, 384},
};

static const char torch_lrn[] = "5 0.0001 0.75 1", // alpha is divided by the window
    tensorflow_lrn[] = "11 0.0011 0.75 1";         // radius 5, alpha not divided there

static void inception_networks_are_their_tables(void **state) {
    (void)state;
    static const inception nets[] = {
        {"nn4.small2", torch_lrn, "lrn", 1, 1e-5, ROWS(small2)},
        {"nn4.small2.openface", torch_lrn, "lrn", 1, 1e-5, ROWS(as_trained)},
        {"nn4.small2.keras", tensorflow_lrn, "lrn", 1, 1e-5, ROWS(as_trained)},
        {"nn4.small2.course", NULL, NULL, 1, 1e-3, ROWS(as_taught)},
        {"nn4.small1", torch_lrn, "lrn", 1, 1e-5, ROWS(small1)},
        {"openface-nn4", torch_lrn, "lrn", 1, 1e-5, ROWS(openface_nn4)},
        {"openface-nn2", torch_lrn, "lrn", 1, 1e-5, ROWS(nn2)},
        {"nn2", torch_lrn, "rnorm", 0, 1e-5, ROWS(nn2)},
        {"nn3", torch_lrn, "rnorm", 0, 1e-5, ROWS(nn2)},
        {"nn4", torch_lrn, "rnorm", 0, 1e-5, ROWS(paper_nn4)},
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        check_inception(&nets[i]);
}

static void nn1_is_its_table(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int out, size, stride;
    } convs[] = {{"1", 64, 7, 2},  {"2a", 64, 1, 1},  {"2", 192, 3, 1}, {"3a", 192, 1, 1},
                 {"3", 384, 3, 1}, {"4a", 384, 1, 1}, {"4", 256, 3, 1}, {"5a", 256, 1, 1},
                 {"5", 256, 3, 1}, {"6a", 256, 1, 1}, {"6", 256, 3, 1}};
    listing l = list("nn1");
    for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
        const int pad = convs[i].size / 2;
        expect(&l, "Conv conv%s < *: %d with bias of %d,%d / %d,%d pad %d,%d,%d,%d", convs[i].name,
               convs[i].out, convs[i].size, convs[i].size, convs[i].stride, convs[i].stride, pad, pad, pad,
               pad);
        expect(&l, "Relu relu%s < *", convs[i].name);
        if (i == 0) {
            expect(&l, "MaxPool pool1 < * of 3,3 / 2,2 pad 1,1,1,1");
            expect(&l, "LRN rnorm1 < *: %s", torch_lrn);
        } else if (i == 2) {
            expect(&l, "LRN rnorm2 < *: %s", torch_lrn);
            expect(&l, "MaxPool pool2 < * of 3,3 / 2,2 pad 1,1,1,1");
        } else if (i == 4 || i == 10) {
            expect(&l, "MaxPool pool%d < * of 3,3 / 2,2 pad 1,1,1,1", i == 4 ? 3 : 4);
        }
    }
    expect(&l, "Flatten concat < *");
    for (int i = 1; i <= 2; i++) {
        expect(&l, "Gemm fc%d < *: 8192 with bias", i); // 4096 of two pieces
        expect(&l, "Reshape fc%d/max.pieces < *", i);
        expect(&l, "ReduceMax fc%d/max < *", i);
    }
    expect(&l, "Gemm dense < *: 128 with bias");
    expect(&l, "LpNormalization embedding < *");
    close_list(&l);
}

// --- dlib's residual network ----------------------------------------------------------------------------

static void dlib_conv(listing *l, const char *name, int out, int size, int stride, int pad) {
    expect(l, "Conv %s < *: %d of %d,%d / %d,%d pad %d,%d,%d,%d", name, out, size, size, stride, stride, pad,
           pad, pad, pad);
    expect(l, "BatchNormalization %s_bn < *: 1e-05", name);
}

static void dlib_resnet_has_29_convolutions_around_14_shortcuts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int out, down, wider, padded; // zeros below and right of the main branch
    } blocks[] = {
        {"conv32_1", 32, 0, 0, 0},     {"conv32_2", 32, 0, 0, 0},         {"conv32_3", 32, 0, 0, 0},
        {"conv64_down", 64, 1, 32, 0}, {"conv64_1", 64, 0, 0, 0},         {"conv64_2", 64, 0, 0, 0},
        {"conv64_3", 64, 0, 0, 0},     {"conv128_down", 128, 1, 64, 0},   {"conv128_1", 128, 0, 0, 0},
        {"conv128_2", 128, 0, 0, 0},   {"conv256_down", 256, 1, 128, 1},  {"conv256_1", 256, 0, 0, 0},
        {"conv256_2", 256, 0, 0, 0},   {"conv256_down_out", 256, 1, 0, 1}};
    listing l = list("dlib-resnet");
    dlib_conv(&l, "conv32_down", 32, 7, 2, 0);
    expect(&l, "Relu conv32_down/relu < *");
    expect(&l, "MaxPool pool < * of 3,3 / 2,2 pad 0,0,0,0");
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        const char *n = blocks[i].name;
        char from[128], main[128], name[128];
        snprintf(from, sizeof from, "%s", l.last);
        snprintf(name, sizeof name, "%s/conv1", n);
        dlib_conv(&l, name, blocks[i].out, 3, blocks[i].down ? 2 : 1, blocks[i].down ? 0 : 1);
        expect(&l, "Relu %s/relu1 < *", n);
        snprintf(name, sizeof name, "%s/conv2", n);
        dlib_conv(&l, name, blocks[i].out, 3, 1, 1);
        if (blocks[i].padded)
            expect(&l, "Pad %s/pad < *: 0,0,0,0,0,0,%d,%d", n, blocks[i].padded, blocks[i].padded);
        snprintf(main, sizeof main, "%s", l.last);
        snprintf(l.last, sizeof l.last, "%s", from);
        if (blocks[i].down)
            expect(&l, "AveragePool %s/shortcut < * of 2,2 / 2,2 pad 0,0,0,0 counting 0", n);
        if (blocks[i].wider)
            expect(&l, "Pad %s/channels < *: 0,0,0,0,0,%d,0,0", n, blocks[i].wider);
        snprintf(from, sizeof from, "%s", l.last);
        expect(&l, "Add %s/add < %s %s", n, main, from);
        expect(&l, "Relu %s < *", n);
    }
    expect(&l, "GlobalAveragePool mean < *");
    expect(&l, "Flatten mean/flat < *");
    expect(&l, "Gemm dense < *: 128");
    expect(&l, "LpNormalization embedding < *");
    close_list(&l);
}

// --- Inception-ResNet-v1 --------------------------------------------------------------------------------

/// A branch: convolutions "NAME OUT KY KX STRIDE PY PX", one after the other; its last layer.
static void expect_branch(listing *l, const char *prefix, const char *from, const char *const *convs,
                          char last[128]) {
    snprintf(l->last, sizeof l->last, "%s", from);
    for (int i = 0; i < 3 && convs[i]; i++) {
        char name[32];
        int out, ky, kx, stride, py, px;
        assert_int_equal(sscanf(convs[i], "%31s %d %d %d %d %d %d", name, &out, &ky, &kx, &stride, &py, &px),
                         7);
        expect(l, "Conv %s%s < *: %d of %d,%d / %d,%d pad %d,%d,%d,%d", prefix, name, out, ky, kx, stride,
               stride, py, px, py, px);
        expect(l, "BatchNormalization %s%s_bn < *: 0.001", prefix, name);
        expect(l, "Relu %s%s_relu < *", prefix, name);
    }
    snprintf(last, 128, "%s", l->last);
}

typedef struct residual {
    const char *name, *scale; // NULL: 1
    int n, channels, n_branches;
    const char *branches[3][3];
} residual;

static void expect_residual(listing *l, const residual *r, int number, int is_last) {
    char from[128], prefix[64], ends[3][128] = {"", "", ""};
    snprintf(from, sizeof from, "%s", l->last);
    snprintf(prefix, sizeof prefix, "%s_%d/", r->name, number);
    for (int i = 0; i < r->n_branches; i++)
        expect_branch(l, prefix, from, r->branches[i], ends[i]);
    expect(l, "Concat %sconcat < %s %s%s%s: 1", prefix, ends[0], ends[1], *ends[2] ? " " : "", ends[2]);
    expect(l, "Conv %sup < *: %d with bias of 1,1 / 1,1 pad 0,0,0,0", prefix, r->channels);
    if (!is_last)
        expect(l, "Mul %sscaled < *: %s", prefix, r->scale);
    char up[128];
    snprintf(up, sizeof up, "%s", l->last);
    expect(l, "Add %sadd < %s %s", prefix, from, up);
    if (!is_last)
        expect(l, "Relu %srelu < *", prefix);
}

static void expect_reduction(listing *l, const char *name, const char *const (*branches)[3], int n) {
    char from[128], prefix[64], ends[4][128];
    snprintf(from, sizeof from, "%s", l->last);
    snprintf(prefix, sizeof prefix, "%s/", name);
    for (int i = 0; i < n; i++)
        expect_branch(l, prefix, from, branches[i], ends[i]);
    expect(l, "MaxPool %s/pool < %s of 3,3 / 2,2 pad 0,0,0,0", name, from);
    snprintf(ends[n], sizeof *ends, "%s", l->last);
    expect(l, "Concat %s < %s %s %s%s%s: 1", name, ends[0], ends[1], ends[2], n > 2 ? " " : "",
           n > 2 ? ends[3] : "");
}

static void inception_resnet_is_its_figures(void **state) {
    (void)state;
    static const char *const stem[2][3] = {
        {"conv1a 32 3 3 2 0 0", "conv2a 32 3 3 1 0 0", "conv2b 64 3 3 1 1 1"},
        {"conv3b 80 1 1 1 0 0", "conv4a 192 3 3 1 0 0", "conv4b 256 3 3 2 0 0"}};
    static const residual blocks[] = {
        {"block35",
         "0.17",
         5,
         256,
         3,
         {{"b0_1x1 32 1 1 1 0 0"},
          {"b1_1x1 32 1 1 1 0 0", "b1_3x3 32 3 3 1 1 1"},
          {"b2_1x1 32 1 1 1 0 0", "b2_3x3a 32 3 3 1 1 1", "b2_3x3b 32 3 3 1 1 1"}}},
        {"block17",
         "0.1",
         10,
         896,
         2,
         {{"b0_1x1 128 1 1 1 0 0"},
          {"b1_1x1 128 1 1 1 0 0", "b1_1x7 128 1 7 1 0 3", "b1_7x1 128 7 1 1 3 0"}}},
        {"block8",
         "0.2",
         6,
         1792,
         2,
         {{"b0_1x1 192 1 1 1 0 0"},
          {"b1_1x1 192 1 1 1 0 0", "b1_1x3 192 1 3 1 0 1", "b1_3x1 192 3 1 1 1 0"}}},
    };
    static const char *const a[2][3] = {
        {"b0_3x3 384 3 3 2 0 0"}, {"b1_1x1 192 1 1 1 0 0", "b1_3x3a 192 3 3 1 1 1", "b1_3x3b 256 3 3 2 0 0"}};
    static const char *const b[3][3] = {
        {"b0_1x1 256 1 1 1 0 0", "b0_3x3 384 3 3 2 0 0"},
        {"b1_1x1 256 1 1 1 0 0", "b1_3x3 256 3 3 2 0 0"},
        {"b2_1x1 256 1 1 1 0 0", "b2_3x3a 256 3 3 1 1 1", "b2_3x3b 256 3 3 2 0 0"}};
    char last[128];
    listing l = list("inception-resnet-v1");
    expect_branch(&l, "", "input", stem[0], last);
    expect(&l, "MaxPool pool3a < * of 3,3 / 2,2 pad 0,0,0,0");
    snprintf(last, sizeof last, "%s", l.last);
    expect_branch(&l, "", "pool3a", stem[1], last);
    for (int k = 0; k < 3; k++) {
        for (int i = 1; i <= blocks[k].n; i++)
            expect_residual(&l, &blocks[k], i, k == 2 && i == blocks[k].n); // the last has no scale, no relu
        if (k == 0)
            expect_reduction(&l, "mixed_6a", a, 2);
        else if (k == 1)
            expect_reduction(&l, "mixed_7a", b, 3);
    }
    expect(&l, "GlobalAveragePool mean < *");
    expect(&l, "Flatten mean/flat < *");
    expect(&l, "Gemm dense < *: 512");
    expect(&l, "BatchNormalization dense_bn < *: 0.001");
    expect(&l, "LpNormalization embedding < *");
    close_list(&l);
}

// --- MobileFaceNet --------------------------------------------------------------------------------------

static void mobile_unit(listing *l, const char *name, int out, int size, int stride, int group, int linear) {
    const int pad = size == 3 ? 1 : 0;
    char text[32] = "";
    if (group > 1)
        snprintf(text, sizeof text, " group %d", group);
    expect(l, "Conv %s < *: %d of %d,%d / %d,%d pad %d,%d,%d,%d%s", name, out, size, size, stride, stride,
           pad, pad, pad, pad, text);
    expect(l, "BatchNormalization %s_bn < *: 1e-05", name);
    if (!linear)
        expect(l, "PRelu %s_prelu < *", name);
}

static void mobilefacenet_is_its_table(void **state) {
    (void)state;
    static const struct {
        int t, c, n, stride;
    } rows[] = {{2, 64, 5, 2}, {4, 128, 1, 2}, {2, 128, 6, 1}, {4, 128, 1, 2}, {2, 128, 2, 1}};
    int channels = 64;
    listing l = list("mobilefacenet");
    mobile_unit(&l, "conv1", 64, 3, 2, 1, 0);
    mobile_unit(&l, "conv2", 64, 3, 1, 64, 0);
    for (int r = 0; r < 5; r++)
        for (int i = 0; i < rows[r].n; i++) {
            char from[128], name[64];
            const int wide = rows[r].t * channels, stride = i ? 1 : rows[r].stride;
            snprintf(from, sizeof from, "%s", l.last);
            snprintf(name, sizeof name, "bottleneck%d_%d/widen", r + 1, i + 1);
            mobile_unit(&l, name, wide, 1, 1, 1, 0);
            snprintf(name, sizeof name, "bottleneck%d_%d/depthwise", r + 1, i + 1);
            mobile_unit(&l, name, wide, 3, stride, wide, 0);
            snprintf(name, sizeof name, "bottleneck%d_%d/narrow", r + 1, i + 1);
            mobile_unit(&l, name, rows[r].c, 1, 1, 1, 1);
            if (stride == 1 && channels == rows[r].c)
                expect(&l, "Add bottleneck%d_%d/add < %s %s_bn", r + 1, i + 1, from, name);
            channels = rows[r].c;
        }
    mobile_unit(&l, "conv3", 512, 1, 1, 1, 0);
    mobile_unit(&l, "whole", 512, 7, 1, 512, 1); // over the whole map in place of a mean
    expect(&l, "Flatten flat < *");
    expect(&l, "Gemm dense < *: 128");
    expect(&l, "BatchNormalization dense_bn < *: 1e-05");
    expect(&l, "LpNormalization embedding < *");
    close_list(&l);
}

// --- what comes out -------------------------------------------------------------------------------------

/// A small input that a network's windows still fit.
static int small_size(const char *name) {
    return strcmp(name, "dlib-resnet") == 0           ? 139
           : strcmp(name, "inception-resnet-v1") == 0 ? 107
           : strncmp(name, "nn4.small2.", 11) == 0    ? 71
                                                      : 32;
}

/// Three numbers of the embedding of noise by drawn weights, as this code first gave them: a layer that
/// changes what it computes without changing its line is seen here.
static void embeddings_stay_what_they_are(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double want[3];
    } nets[] = {
        {"nn1", {0.025204, -0.078581, -0.011556}},
        {"nn2", {-0.014740, -0.323694, 0.098718}},
        {"nn3", {-0.014740, -0.323694, 0.098718}},
        {"nn4", {0.009662, -0.052684, -0.303271}},
        {"nns1", {0.120580, -0.088916, -0.013546}},
        {"nns2", {-0.043762, -0.005594, -0.222215}},
        {"openface-nn2", {-0.014740, -0.323694, 0.098718}},
        {"openface-nn4", {-0.078649, 0.182821, 0.155847}},
        {"nn4.small1", {0.234638, -0.021296, 0.146927}},
        {"nn4.small2", {-0.056305, -0.155383, -0.045635}},
        {"nn4.small2.openface", {-0.124148, -0.134725, 0.081385}},
        {"nn4.small2.keras", {-0.124130, -0.134740, 0.081366}},
        {"nn4.small2.course", {-0.107230, -0.060691, 0.039466}},
        {"inception-resnet-v1", {0.027245, 0.013732, 0.084834}},
        {"dlib-resnet", {-0.012856, 0.077785, 0.023038}},
        {"mobilefacenet", {0.196024, 0.039218, -0.081599}},
        {"tiny", {-0.064470, 0.136295, -0.019804}},
    };
    assert_int_equal(sizeof nets / sizeof *nets, fn_network_len());
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        const char *name = nets[i].name;
        fn_graph *g;
        fn_net *net;
        float y[512], *out = y;
        if (fn_network_build(&g, name,
                             &(fn_network_options){.size = small_size(name), .seed = 4, .embedding = 64}) < 0)
            fail_msg("%s: %s", name, fn_last_error());
        fn_shape input = fn_input_shape(g, 0, 1, 0, 0);
        const int64_t n = fn_shape_count(&input);
        float *image = fn_calloc((size_t)n, sizeof *image);
        fn_rng rng = fn_rng_at(3, 100, 0);
        for (int64_t k = 0; k < n; k++)
            image[k] = fn_rng_range(&rng, -1, 1);
        if (fn_net_open(&net, g, &(fn_net_options){.backend = FN_BACKEND_REF}) < 0 ||
            fn_net_run(net, image, 1, (int)input.dim[2], (int)input.dim[3], &out) < 0)
            fail_msg("%s: %s", name, fn_last_error());
        print_message("%s: %.6f %.6f %.6f\n", name, (double)y[0], (double)y[17], (double)y[63]);
        for (int k = 0; k < 3; k++)
            if (!(fabs((double)y[(int[]){0, 17, 63}[k]] - nets[i].want[k]) <= 5e-5))
                fail_msg("%s: number %d of the embedding has changed", name, k);
        fn_free(image);
        fn_net_free(net);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inception_networks_are_their_tables),
        cmocka_unit_test(nn1_is_its_table),
        cmocka_unit_test(dlib_resnet_has_29_convolutions_around_14_shortcuts),
        cmocka_unit_test(inception_resnet_is_its_figures),
        cmocka_unit_test(mobilefacenet_is_its_table),
        cmocka_unit_test(embeddings_stay_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
