// SPDX-License-Identifier: Apache-2.0
//
// The networks to train, by name.
#include "model/fresh.h"

#include "base/buf.h"
#include "base/error.h"

#include <string.h>

/// OpenFace and the course feed pixels in [0, 1]; the others' authors or users centre them.
#define FROM_0_TO_1 {0, 0, 0}, 255
#define AROUND_0 {127.5F, 127.5F, 127.5F}, 128

#define FACENET "Schroff et al. 2015 (arXiv:1503.03832), "
#define OPENFACE "Amos et al. 2016, OpenFace, models/openface/"

static const struct {
    fn_network about;
    fn_fresh_build *build;
    int variant;
} table[] = {
    {{"nn1", "Zeiler-Fergus with maxout", FACENET "table 1", 220, 220, 128, AROUND_0}, fn_arch_nn1, 0},
    {{"nn2", "inception", FACENET "table 2", 224, 224, 128, AROUND_0}, fn_arch_nn2, 0},
    {{"nn3", "NN2 at 160 pixels", FACENET "section 3.3", 160, 160, 128, AROUND_0}, fn_arch_nn2, 0},
    {{"nn4", "NN2 at 96 pixels, 5x5 only up to 4d", FACENET "section 3.3", 96, 96, 128, AROUND_0},
     fn_arch_nn4,
     0},
    {{"nns1", "mini inception; table unpublished, fitted to 26 M parameters and 220 M multiply-adds",
      FACENET "section 3.3", 165, 165, 128, AROUND_0},
     fn_arch_nns1,
     0},
    {{"nns2", "tiny inception; table unpublished, fitted to 4.3 M parameters and 20 M multiply-adds",
      FACENET "section 3.3", 116, 140, 128, AROUND_0},
     fn_arch_nns2,
     0},
    {{"openface-nn2", "NN2 as OpenFace defines it", OPENFACE "nn2.def.lua", 224, 224, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_NN2},
    {{"openface-nn4", "NN4 as OpenFace defines it", OPENFACE "nn4.def.lua", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_NN4},
    {{"nn4.small1", "NN4 without 4c and 4d", OPENFACE "nn4.small1.def.lua", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_SMALL1},
    {{"nn4.small2", "NN4 without 4b, 4c and 4d, as defined: equal maps in every block, 206.9 M multiply-adds",
      OPENFACE "nn4.small2.def.lua", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_SMALL2},
    {{"nn4.small2.openface",
      "nn4.small2 as its published weights were trained: unpadded pools, 200.1 M multiply-adds",
      OPENFACE "nn4.small2.v1", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_SMALL2_AS_TRAINED},
    {{"nn4.small2.keras", "the same with the LRN of Keras-OpenFace: 11 channels, alpha not divided",
      "Keras-OpenFace", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_SMALL2_KERAS},
    {{"nn4.small2.course", "the same without LRN, with average pools, bn1 epsilon 1e-3",
      "deeplearning.ai, Convolutional Neural Networks, week 4", 96, 96, 128, FROM_0_TO_1},
     fn_arch_openface,
     FN_OPENFACE_SMALL2_COURSE},
    {{"inception-resnet-v1", "inception with residuals",
      "Szegedy et al. 2016 (arXiv:1602.07261), figures 10 to 14; davidsandberg/facenet", 160, 160, 512,
      AROUND_0},
     fn_arch_inception_resnet_v1,
     0},
    {{"dlib-resnet",
      "thin residual network",
      "dlib, dnn_face_recognition_ex; He et al. 2015 (arXiv:1512.03385)",
      150,
      150,
      128,
      {122.782F, 117.001F, 104.298F},
      255},
     fn_arch_dlib_resnet_fresh,
     0},
    {{"mobilefacenet", "inverted bottlenecks", "Chen et al. 2018 (arXiv:1804.07573), table 1", 112, 112, 128,
      AROUND_0},
     fn_arch_mobilefacenet,
     0},
    {{"tiny", "three convolutions, for tests and for trying options out", "facenet", 32, 32, 64, AROUND_0},
     fn_arch_tiny,
     0},
};
enum { N_NETWORKS = sizeof table / sizeof table[0] };

int fn_network_len(void) {
    return N_NETWORKS;
}

const fn_network *fn_network_get(int index) {
    return index >= 0 && index < N_NETWORKS ? &table[index].about : NULL;
}

static int index_of(const char *name) {
    for (int i = 0; name && i < N_NETWORKS; i++)
        if (strcmp(table[i].about.name, name) == 0)
            return i;
    return -1;
}

const fn_network *fn_network_find(const char *name) {
    return fn_network_get(index_of(name));
}

static int unknown(const char *name) {
    fn_buf names;
    fn_buf_init(&names, 4096);
    for (int i = 0; i < N_NETWORKS; i++)
        fn_buf_printf(&names, "%s%s", i ? ", " : "", table[i].about.name);
    int rc = fn_fail(FN_EINVAL, "there is no network \"%.80s\" to train; there are %s", name ? name : "",
                     names.failed ? "others" : names.data);
    fn_buf_free(&names);
    return rc;
}

int fn_network_build(fn_graph **out, const char *name, const fn_network_options *options) {
    int index = index_of(name);
    *out = NULL;
    if (index < 0)
        return unknown(name);
    const fn_network *about = &table[index].about;
    fn_fresh fresh = {.variant = table[index].variant, .epsilon = 1e-5F};
    if (options)
        fresh.options = *options;
    fn_network_options *o = &fresh.options;
    o->embedding = o->embedding ? o->embedding : about->embedding;
    o->size = o->size ? o->size : about->height;
    if (o->embedding < 64 || o->embedding > 512)
        return fn_fail(FN_EINVAL, "an embedding of %d numbers: 64 to 512 are possible", o->embedding);
    if (o->size < 32 || o->size > 1024)
        return fn_fail(FN_EINVAL, "an input of %d pixels: 32 to 1024 are possible", o->size);
    if (!(o->dropout >= 0 && o->dropout <= 0.9F))
        return fn_fail(FN_EINVAL, "a dropout of %g: 0 to 0.9 is possible", (double)o->dropout);
    fresh.height = o->size;
    fresh.width = (2 * o->size * about->width + about->height) / (2 * about->height);
    int rc = fn_graph_open(&fresh.graph);
    if (rc < 0)
        return rc;
    table[index].build(&fresh);
    rc = fn_graph_finish(fresh.graph);
    if (rc < 0) {
        fn_graph_free(fresh.graph);
        return fn_fail_prefix(rc, "%s at %d x %d", name, fresh.width, fresh.height);
    }
    *out = fresh.graph;
    return FN_OK;
}
