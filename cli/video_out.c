// SPDX-License-Identifier: Apache-2.0
//
// Marked frames into a video or a folder. Pictures of a folder are numbered on from what is there.
#include "video_out.h"

#include "numbered.h"
#include "picture.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct cli_video_out {
    char *path;
    double fps;
    int is_folder;
    cli_numbered pictures;
    fn_video_writer *writer;
    int width, height; // of the video
    uint64_t n;
    int has_failed; // nothing more can be written
    cli_picture fitted;
};

static int ends_as_video(const char *path) {
    static const char *const endings[] = {".mp4", ".mkv", ".mov", ".avi"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

// The number behind the highest one among "000123.jpg".
static int next_number(unsigned long *out, const char *path) {
    DIR *folder = opendir(path);
    *out = 1;
    if (!folder) {
        cli_error("%s: %s", path, strerror(errno));
        return CLI_INPUTS;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        const long number = cli_number_of("", entry->d_name);
        if (number >= (long)*out)
            *out = (unsigned long)number + 1;
    }
    closedir(folder);
    return CLI_DONE;
}

static int names_folder(const char *path) {
    struct stat st;
    const size_t n = strlen(path);
    return (n && path[n - 1] == '/') || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

int cli_video_out_check(const cli_command *command, const char *path) {
    if (names_folder(path) || strcmp(path, "-") == 0 || ends_as_video(path))
        return -1;
    return cli_usage_error(
        command, "--out wants FILE.mp4, .mkv, .mov or .avi, a folder as frames/, or -, not \"%s\"", path);
}

int cli_video_out_open(cli_video_out **out, const cli_command *command, const char *path, double fps) {
    const int is_folder = names_folder(path), end = cli_video_out_check(command, path);
    *out = NULL;
    if (end >= 0)
        return end;
    cli_video_out *o = calloc(1, sizeof *o);
    if (o)
        o->path = strdup(path);
    if (!o || !o->path) {
        cli_error("%s: out of memory", path);
        cli_video_out_free(o);
        return CLI_INPUTS;
    }
    o->fps = fps;
    o->is_folder = is_folder;
    for (size_t i = strlen(path); is_folder && i > 1 && o->path[i - 1] == '/'; i--)
        o->path[i - 1] = 0;
    int code = is_folder ? cli_make_folder(o->path) : CLI_DONE;
    o->pictures = (cli_numbered){o->path, "", 6, 1};
    if (code == CLI_DONE && is_folder)
        code = next_number(&o->pictures.next, o->path);
    if (code == CLI_DONE)
        *out = o;
    else
        cli_video_out_free(o);
    return code;
}

static int add_picture(cli_video_out *o, const fn_image *image) {
    char *path;
    const int code = cli_numbered_save(&o->pictures, image, &path);
    free(path);
    return code;
}

static int add_frame(cli_video_out *o, const fn_image *image, double time_s) {
    if (!o->writer) {
        fn_writer_options options = FN_WRITER_OPTIONS_INIT;
        options.fps = o->fps;
        o->width = image->width;
        o->height = image->height;
        const int rc = fn_video_writer_open(&o->writer, o->path, o->width, o->height, &options);
        if (rc < 0)
            return rc;
    }
    if (image->width == o->width && image->height == o->height)
        return fn_video_writer_add(o->writer, image, time_s);
    if (o->fitted.room == 0)
        cli_note("%s: the source now has %d x %d pixels, fitted into %d x %d", o->path, image->width,
                 image->height, o->width, o->height);
    const int rc = cli_picture_fit(&o->fitted, image, o->width, o->height);
    return rc < 0 ? rc : fn_video_writer_add(o->writer, &o->fitted.image, time_s);
}

int cli_video_out_add(cli_video_out *out, const fn_image *image, double time_s) {
    int code = CLI_DONE;
    if (out->is_folder) {
        code = add_picture(out, image);
    } else {
        const int rc = add_frame(out, image, time_s);
        if (rc < 0)
            code = cli_failure(rc);
    }
    if (code == CLI_DONE)
        out->n++;
    else
        out->has_failed = 1;
    return code;
}

uint64_t cli_video_out_len(const cli_video_out *out) {
    return out->n;
}

int cli_video_out_finish(cli_video_out *out) {
    int code = CLI_DONE;
    if (out->has_failed) { // which was said
        cli_video_out_free(out);
        return CLI_INPUTS;
    }
    if (out->n == 0)
        cli_note("%s: nothing was written, there was no frame", out->path);
    if (out->writer && fn_video_writer_finish(out->writer) < 0) {
        cli_error("%s", fn_last_error());
        code = CLI_INPUTS;
    }
    out->writer = NULL;
    cli_video_out_free(out);
    return code;
}

void cli_video_out_free(cli_video_out *out) {
    if (!out)
        return;
    fn_video_writer_free(out->writer);
    cli_picture_free(&out->fitted);
    free(out->path);
    free(out);
}
