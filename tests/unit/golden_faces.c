// SPDX-License-Identifier: Apache-2.0
#include "golden_faces.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

FILE *golden_open(const char *name) {
    char path[4096];
    const char *source = getenv("FACENET_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/%s", source ? source : ".", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be opened", path);
    int c;
    while ((c = fgetc(file)) != '\n' && c != EOF) {
    }
    return file;
}

void golden_numbers(FILE *file, double *dst, int n) {
    for (int i = 0; i < n; i++)
        assert_int_equal(fscanf(file, "%lf", &dst[i]), 1);
}

static void read_rect(FILE *file, fn_compat_rect *r) {
    assert_int_equal(fscanf(file, "%d %d %d %d", &r->x, &r->y, &r->width, &r->height), 4);
}

int golden_face_read(FILE *file, golden_face *out) {
    memset(out, 0, sizeof *out);
    if (fscanf(file, "%31s %d %d %f", out->image, &out->width, &out->height, &out->face.score) != 4)
        return 0;
    golden_numbers(file, out->box, 4);
    out->face.box = (fn_box){(float)out->box[0], (float)out->box[1], (float)out->box[2], (float)out->box[3]};
    read_rect(file, &out->crop);
    read_rect(file, &out->chip);
    read_rect(file, &out->clipped);
    golden_numbers(file, out->map, 6);
    for (int i = 0; i < FN_N_LANDMARKS; i++)
        assert_int_equal(fscanf(file, "%f %f", &out->face.landmarks[i].x, &out->face.landmarks[i].y), 2);
    out->face.n_landmarks = FN_N_LANDMARKS;
    return 1;
}

fn_picture *golden_photo(const char *image) {
    char path[4096];
    fn_picture *picture = NULL;
    snprintf(path, sizeof path, "%s/%s.jpg", getenv("FACENET_DEMO"), image);
    if (fn_decode_file(&picture, path, NULL) < 0)
        fail_msg("%s", fn_last_error());
    return picture;
}

const char *golden_models(void) {
    const char *models = getenv("FACENET_MODELS");
    if (!models || !getenv("FACENET_DEMO")) {
        print_message("skipped: FACENET_MODELS and FACENET_DEMO are not set\n");
        skip();
    }
    return models;
}

fn_backend golden_backend(void) {
    const char *name = getenv("GOLDEN_BACKEND");
    return name && strcmp(name, "reference") == 0 ? FN_BACKEND_REF : FN_BACKEND_AUTO;
}
