// SPDX-License-Identifier: Apache-2.0
//
// What a network wants to be fed, as the JSON of metadata key facenet.input.
#include "model/model.h"

#include "base/error.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { MAX_SIDE = 1 << 14 };

static int read_number(const json_t *json, float *out) {
    *out = (float)json_number_value(json);
    return json_is_number(json) && isfinite(*out);
}

static int read_spec(fn_input_spec *out, const json_t *json) {
    const char *color = json_string_value(json_object_get(json, "color"));
    json_int_t width = json_integer_value(json_object_get(json, "width"));
    json_int_t height = json_integer_value(json_object_get(json, "height"));
    const json_t *mean = json_object_get(json, "mean");
    if (width < 1 || width > MAX_SIDE || height < 1 || height > MAX_SIDE)
        return fn_fail(FN_EFORMAT, "facenet.input: width and height must be 1 to %d", MAX_SIDE);
    if (!color || (strcmp(color, "rgb") != 0 && strcmp(color, "bgr") != 0))
        return fn_fail(FN_EFORMAT, "facenet.input: color must be \"rgb\" or \"bgr\"");
    *out = (fn_input_spec){.width = (int)width, .height = (int)height, .bgr = color[0] == 'b'};
    for (size_t c = 0; c < 3; c++)
        if (json_array_size(mean) != 3 || !read_number(json_array_get(mean, c), &out->mean[c]))
            return fn_fail(FN_EFORMAT, "facenet.input: mean must be three numbers");
    if (!read_number(json_object_get(json, "scale"), &out->scale) || !(fabsf(out->scale) > 1e-30F))
        return fn_fail(FN_EFORMAT, "facenet.input: scale must be a number other than 0");
    return FN_OK;
}

int fn_input_spec_parse(fn_input_spec *out, const char *text) {
    json_error_t error;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(json)) {
        json_decref(json);
        return fn_fail(FN_EFORMAT, "facenet.input is not a JSON object");
    }
    int rc = read_spec(out, json);
    json_decref(json);
    return rc;
}
