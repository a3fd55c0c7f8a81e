// SPDX-License-Identifier: Apache-2.0
//
// Files that the verbs write: crops and marked copies, named after the pictures they come from.
#include "cli.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *written; // tree of the paths given out in this run

static int by_bytes(const void *a, const void *b) {
    return strcmp(a, b);
}

char *cli_output_path(const char *folder, const char *path, const char *suffix) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    int n_stem = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
    if (strcmp(path, "-") == 0) {
        name = "stdin";
        n_stem = 5;
    }
    size_t size = strlen(folder) + (size_t)n_stem + strlen(suffix) + 32;
    char *out = malloc(size);
    for (unsigned k = 1; out; k++) {
        char number[16] = "";
        if (k > 1)
            snprintf(number, sizeof number, "-%u", k);
        snprintf(out, size, "%s/%.*s%s%s", folder, n_stem, name, number, suffix);
        if (tfind(out, &written, by_bytes))
            continue;
        char *copy = strdup(out);
        if (copy && tsearch(copy, &written, by_bytes))
            return out;
        free(copy);
        break;
    }
    free(out);
    cli_error("%s: out of memory", path);
    return NULL;
}

int cli_make_folder(const char *path) {
    char *copy = strdup(path);
    int failed = !copy;
    for (char *p = copy ? copy + 1 : NULL; p && !failed; p++) {
        if (*p && *p != '/')
            continue;
        char was = *p;
        *p = 0;
        failed = mkdir(copy, 0777) && errno != EEXIST;
        *p = was;
        if (!was)
            break;
    }
    struct stat st;
    if (!failed && (stat(path, &st) || !S_ISDIR(st.st_mode))) {
        errno = ENOTDIR;
        failed = 1;
    }
    free(copy);
    if (!failed)
        return CLI_DONE;
    cli_error("%s: the folder cannot be created: %s", path, strerror(errno));
    return CLI_INPUTS;
}

int cli_draw(const char *path, const fn_analysis *analysis, const fn_label *labels) {
    char *out = cli_output_path(cli.draw, path, ".jpg");
    if (!out)
        return CLI_INPUT_FAILED;
    int rc = fn_annotate(fn_picture_image(analysis->picture), labels, analysis->n_faces, out);
    if (rc < 0)
        cli_error("%s", fn_last_error());
    free(out);
    return rc < 0 ? CLI_INPUT_FAILED : CLI_DONE;
}
