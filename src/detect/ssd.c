// SPDX-License-Identifier: Apache-2.0
//
// SSD (Liu et al. 2016) with the priors stored in the network: decoding, suppression and the way
// back from the padded square to the picture, all as in face-api, so that its published numbers are
// met.
#include "detect/ssd.h"

#include "align/compat.h"
#include "base/alloc.h"
#include "base/error.h"

#include <math.h>

#define N_PRIORS 5118
#define N_CLASSES 3
#define MAX_IOU 0.5F
#define MAX_FACES 100

int fn_ssd_open(fn_ssd *ssd, const fn_model_options *options) {
    static const char name[] = "ssd-mobilenetv1";
    *ssd = (fn_ssd){0};
    int rc = fn_model_open(&ssd->model, name, options);
    if (rc < 0)
        return rc;
    fn_net *net = fn_model_net(ssd->model);
    const fn_input_spec *input = fn_model_input(ssd->model);
    const struct {
        const char *name;
        int *index, count;
    } outputs[] = {{"boxes", &ssd->boxes, N_PRIORS * 4},
                   {"scores", &ssd->scores, N_PRIORS * N_CLASSES},
                   {"priors", &ssd->priors, N_PRIORS * 4}};
    if (fn_net_n_outputs(net) != 3 || input->width < 1 || input->width != input->height)
        return fn_fail(FN_EMODEL, "%s: a square input and three outputs expected", name);
    for (int i = 0; i < 3; i++) {
        fn_shape shape = {0};
        *outputs[i].index = fn_net_output_index(net, outputs[i].name);
        if (*outputs[i].index < 0)
            return fn_fail(FN_EMODEL, "%s: it has no output '%s'", name, outputs[i].name);
        rc = fn_net_output_shape(net, input->height, input->width, *outputs[i].index, &shape);
        if (rc < 0)
            return fn_fail_prefix(rc, "%s", name);
        if (fn_shape_count(&shape) != outputs[i].count)
            return fn_fail(FN_EMODEL, "%s: output '%s' must be %d numbers", name, outputs[i].name,
                           outputs[i].count);
    }
    return FN_OK;
}

void fn_ssd_free(fn_ssd *ssd) {
    fn_model_free(ssd->model);
    *ssd = (fn_ssd){0};
}

int fn_ssd_decode(fn_detections *dst, const float *boxes, const float *scores, const float *priors, size_t n,
                  float min_score) {
    for (size_t i = 0; i < n; i++, boxes += 4, scores += N_CLASSES, priors += 4) {
        const float score = 1.0F / (1.0F + expf(-scores[1]));
        if (!(score > min_score))
            continue;
        const float height = priors[2] - priors[0], width = priors[3] - priors[1];
        const float y = boxes[0] / 10.0F * height + (priors[0] + height / 2.0F);
        const float x = boxes[1] / 10.0F * width + (priors[1] + width / 2.0F);
        const float h = expf(boxes[2] / 5.0F) * height, w = expf(boxes[3] / 5.0F) * width;
        const fn_detection d = {.box = {x - w / 2.0F, y - h / 2.0F, w, h}, .score = score};
        const int rc = fn_detections_add(dst, &d);
        if (rc < 0)
            return rc;
    }
    return FN_OK;
}

// From the unit square to the picture, cut at the square's borders. The padding's size is rounded
// to input pixels, as the original does it.
static fn_box to_picture(const fn_box *box, const fn_image *image, int size) {
    const double longest = fmax(image->width, image->height);
    const double step_x = size / floor(image->width * size / longest + 0.5) * image->width;
    const double step_y = size / floor(image->height * size / longest + 0.5) * image->height;
    const double left = fmax(0, (double)box->x), right = fmin(1, (double)box->x + (double)box->width);
    const double top = fmax(0, (double)box->y), bottom = fmin(1, (double)box->y + (double)box->height);
    return (fn_box){(float)(left * step_x), (float)(top * step_y), (float)((right - left) * step_x),
                    (float)((bottom - top) * step_y)};
}

int fn_ssd_search(fn_detections *dst, const fn_ssd *ssd, const fn_image *image, float min_score) {
    const fn_input_spec *spec = fn_model_input(ssd->model);
    const int size = spec->width;
    float *input = fn_alloc_aligned((size_t)size * (size_t)size * 3 * sizeof *input), *outputs[3] = {0};
    int rc = input ? FN_OK : fn_fail_memory();
    for (int i = 0; i < 3 && rc == FN_OK; i++)
        if (!(outputs[i] = fn_alloc_aligned((size_t)N_PRIORS * 4 * sizeof **outputs)))
            rc = fn_fail_memory();
    if (rc < 0)
        goto out;
    fn_compat_planes(input, size, image, (fn_compat_rect){0, 0, image->width, image->height}, 0, spec->mean,
                     spec->scale);
    rc = fn_net_run(fn_model_net(ssd->model), input, 1, size, size, outputs);
    if (rc == FN_OK)
        rc = fn_ssd_decode(dst, outputs[ssd->boxes], outputs[ssd->scores], outputs[ssd->priors], N_PRIORS,
                           min_score > 0 ? min_score : FN_SSD_MIN_SCORE);
    if (rc < 0)
        goto out;
    fn_detections_sort(dst);
    fn_detections_suppress(dst, MAX_IOU);
    if (dst->len > MAX_FACES)
        dst->len = MAX_FACES;
    size_t n = 0;
    for (size_t i = 0; i < dst->len; i++) {
        fn_detection d = dst->data[i];
        d.box = to_picture(&d.box, image, size);
        if (d.box.width > 0 && d.box.height > 0) // not wholly in the padding
            dst->data[n++] = d;
    }
    dst->len = n;
out:
    for (int i = 0; i < 3; i++)
        fn_free(outputs[i]);
    fn_free(input);
    return rc;
}
