// SPDX-License-Identifier: Apache-2.0
//
// facenet detect: where the faces are.
#include "cli.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

#define COLOR_FACE 0x2E9E4F

static int landmarks;

static const cli_option options[] = {
    {"landmarks", 0, NULL, "with --json: the 68 landmarks and the detector's keypoints too", CLI_FLAG,
     &landmarks, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "detect",
    .operands = "PATH...",
    .about = "Finds the faces in photographs; folders are walked. One line per face:\n"
             "path, face (from 0, left to right), x, y, width, height, score. Pixels of the upright\n"
             "picture. With --json one object per picture.",
    .options = options,
    .shared = CLI_SHARED_DRAW | CLI_SHARED_PICTURES,
    .min_operands = 1,
    .max_operands = -1,
};

static json_t *json_points(const fn_point *points, int n) {
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(array, json_pack("[f,f]", (double)points[i].x, (double)points[i].y));
    return array;
}

static void print_json(const char *path, const fn_analysis *analysis) {
    json_t *line = json_object(), *faces = json_array();
    cli_json_path(line, "path", path, strlen(path));
    json_object_set_new(line, "width", json_integer(analysis->width));
    json_object_set_new(line, "height", json_integer(analysis->height));
    for (size_t i = 0; i < analysis->n_faces; i++) {
        const fn_face *face = &analysis->faces[i];
        json_t *object = json_pack("{s:I, s:o, s:f}", "face", (json_int_t)i, "box", cli_json_box(face->box),
                                   "score", (double)face->score);
        if (landmarks) {
            json_object_set_new(object, "keypoints", json_points(face->keypoints, face->n_keypoints));
            json_object_set_new(object, "landmarks", json_points(face->landmarks, face->n_landmarks));
        }
        json_array_append_new(faces, object);
    }
    json_object_set_new(line, "faces", faces);
    cli_json_line(line);
}

static int draw(const char *path, const fn_analysis *analysis) {
    fn_label *labels = calloc(analysis->n_faces + 1, sizeof *labels);
    char(*texts)[24] = calloc(analysis->n_faces + 1, sizeof *texts);
    int code = CLI_INPUT_FAILED;
    if (labels && texts) {
        for (size_t i = 0; i < analysis->n_faces; i++) {
            snprintf(texts[i], sizeof texts[i], "%zu", i);
            labels[i] = (fn_label){analysis->faces[i].box, texts[i], COLOR_FACE};
        }
        code = cli_draw(path, analysis, labels);
    } else {
        cli_error("%s: out of memory", path);
    }
    free(texts);
    free(labels);
    return code;
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    (void)user;
    if (cli.json) {
        print_json(path, analysis);
    } else {
        for (size_t i = 0; i < analysis->n_faces; i++) {
            const fn_face *face = &analysis->faces[i];
            cli_field(path);
            printf("\t%zu\t%.1f\t%.1f\t%.1f\t%.1f\t%.3f\n", i, (double)face->box.x, (double)face->box.y,
                   (double)face->box.width, (double)face->box.height, (double)face->score);
        }
    }
    return cli.draw ? draw(path, analysis) : CLI_DONE;
}

int cmd_detect(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    if (landmarks && !cli.json)
        return cli_usage_error(&command, "--landmarks goes with --json");
    if (cli.draw && cli_make_folder(cli.draw) != CLI_DONE)
        return CLI_INPUTS;
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 1);
    if (code != CLI_DONE)
        return code;
    fn_analyze_options analyze = cli_analyze_options();
    analyze.detect.no_landmarks = !landmarks;
    analyze.keep_picture = cli.draw != NULL;
    code = cli_run_operands(recognizer, argv + 1, n, &analyze, handle, NULL);
    fn_recognizer_free(recognizer);
    return code;
}
