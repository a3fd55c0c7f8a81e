// SPDX-License-Identifier: Apache-2.0
//
// facenet align: faces cut out and turned upright.
#include "cli.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

static const char *folder, *template_name = "arcface-112", *face_text = "all", *format = "jpg";

static const cli_option options[] = {
    {"out", 0, "DIR", "where the crops go (needed)", CLI_TEXT, &folder, 0, 0},
    {"template", 0, "NAME",
     "arcface-112, dlib-150, openface-outer-96, openface-inner-96 or eyes-200 [arcface-112]", CLI_TEXT,
     &template_name, 0, 0},
    {"face", 0, "WHICH", "all, only, largest, centre or a number from 0 [all]", CLI_TEXT, &face_text, 0, 0},
    {"format", 0, "jpg|png", "of the crops [jpg]", CLI_CHOICE, &format, 0, 0},
    {0},
};

static const cli_command command = {
    .name = "align",
    .operands = "PATH... --out DIR",
    .about = "Cuts faces out, turned upright by their landmarks, into DIR/<picture>.<face>.jpg.\n"
             "One line per crop: path, face, file written.",
    .options = options,
    .shared = CLI_SHARED_PICTURES,
    .min_operands = 1,
    .max_operands = -1,
};

typedef struct job {
    const fn_template *tmpl;
    cli_face face;
    unsigned char *crop; // (height, width, 3)
} job;

static int write_crop(const job *j, const char *path, const fn_analysis *analysis, size_t index) {
    char suffix[48];
    snprintf(suffix, sizeof suffix, ".%zu.%s", index, format);
    char *out = cli_output_path(folder, path, suffix);
    if (!out)
        return CLI_INPUT_FAILED;
    fn_image image = {j->crop, j->tmpl->width, j->tmpl->height, (ptrdiff_t)j->tmpl->width * 3, FN_PIXEL_RGB8};
    int rc = fn_align(j->crop, j->tmpl, fn_picture_image(analysis->picture), &analysis->faces[index]);
    if (rc == FN_OK)
        rc = fn_image_write(&image, out, 0);
    if (rc < 0) {
        cli_error("%s: face %zu: %s", path, index, fn_last_error());
    } else if (cli.json) {
        json_t *line = json_object();
        cli_json_path(line, "path", path, strlen(path));
        json_object_set_new(line, "face", json_integer((json_int_t)index));
        cli_json_path(line, "crop", out, strlen(out));
        cli_json_line(line);
    } else {
        cli_field(path);
        printf("\t%zu\t", index);
        cli_field(out);
        putchar('\n');
    }
    free(out);
    return rc < 0 ? CLI_INPUT_FAILED : CLI_DONE;
}

static int handle(void *user, const char *path, const fn_analysis *analysis) {
    const job *j = user;
    size_t first = 0, end = analysis->n_faces;
    if (j->face.choice != CLI_FACE_ALL) {
        char why[1024];
        if (!cli_face_choose(&first, analysis, j->face, why, sizeof why)) {
            cli_error("%s: %s", path, why);
            return CLI_INPUT_FAILED;
        }
        end = first + 1;
    }
    int code = CLI_DONE;
    for (size_t i = first; i < end; i++)
        if (write_crop(j, path, analysis, i) != CLI_DONE)
            code = CLI_INPUT_FAILED;
    return code;
}

int cmd_align(int argc, char **argv) {
    job j;
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    if (!folder)
        return cli_usage_error(&command, "expected --out DIR");
    if (!cli_face_parse(&j.face, face_text, 1))
        return cli_usage_error(&command, "--face wants all, only, largest, centre or a number, not \"%s\"",
                               face_text);
    j.tmpl = fn_template_find(template_name);
    if (!j.tmpl)
        return cli_usage_error(&command, "there is no template \"%s\"", template_name);
    if (cli_make_folder(folder) != CLI_DONE)
        return CLI_INPUTS;
    fn_recognizer *recognizer;
    int code = cli_recognizer_open(&recognizer, 1);
    if (code != CLI_DONE)
        return code;
    fn_analyze_options analyze = cli_analyze_options();
    analyze.keep_picture = 1;
    j.crop = malloc((size_t)j.tmpl->width * (size_t)j.tmpl->height * 3);
    if (j.crop) {
        code = cli_run_operands(recognizer, argv + 1, n, &analyze, handle, &j);
    } else {
        cli_error("out of memory");
        code = CLI_INPUTS;
    }
    free(j.crop);
    fn_recognizer_free(recognizer);
    return code;
}
