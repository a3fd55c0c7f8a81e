// SPDX-License-Identifier: Apache-2.0
//
// usage: updates_apart BEFORE.onnx ONE.onnx OTHER.onnx
// How far two updates of one network are apart: prints the largest relative L2 distance of a tensor, its
// name, and the distance over all tensors. A tensor's update is that of its numbers since BEFORE.
#include "model/model.h"
#include "nn/graph.h"
#include "nn/net.h"

#include <facenet/facenet.h>
#include <math.h>
#include <stdio.h>

static fn_model *open_model(const char *path) {
    fn_model_options options = FN_MODEL_OPTIONS_INIT;
    fn_model *model = NULL;
    if (fn_model_open(&model, path, &options) < 0)
        fprintf(stderr, "%s\n", fn_last_error());
    return model;
}

int main(int argc, char **argv) {
    fn_model *models[3] = {NULL};
    const fn_graph *graphs[3];
    double worst = 0, all_away = 0, all_size = 0;
    const char *name = "none";
    if (argc != 4)
        return 2;
    for (int i = 0; i < 3; i++) {
        if (!(models[i] = open_model(argv[i + 1])))
            return 1;
        graphs[i] = fn_net_graph(fn_model_net(models[i]));
    }
    for (int v = 0; v < graphs[0]->n_values; v++) {
        const fn_value *before = &graphs[0]->values[v];
        if (!before->data || before->dtype != FN_F32)
            continue;
        const float *b = before->data, *p = graphs[1]->values[v].data, *q = graphs[2]->values[v].data;
        double away = 0, size = 0;
        for (int64_t i = 0; i < fn_shape_count(&before->shape); i++) {
            away += ((double)p[i] - (double)q[i]) * ((double)p[i] - (double)q[i]);
            size += ((double)p[i] - (double)b[i]) * ((double)p[i] - (double)b[i]);
        }
        all_away += away;
        all_size += size;
        if (size > 0 && sqrt(away / size) > worst) {
            worst = sqrt(away / size);
            name = before->name;
        }
    }
    printf("%.3g %s %.3g\n", worst, name, sqrt(all_away / all_size));
    for (int i = 0; i < 3; i++)
        fn_model_free(models[i]);
    return 0;
}
