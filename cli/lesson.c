// SPDX-License-Identifier: Apache-2.0
#include "lesson.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add_row(cli_lesson *l, const char *name, size_t n_name, const float *row) {
    const size_t d = (size_t)l->dimension;
    if (l->n == l->capacity) {
        size_t more = l->capacity ? 2 * l->capacity : 256;
        float *rows = realloc(l->rows, more * d * sizeof *rows);
        if (rows)
            l->rows = rows;
        char **names = realloc(l->names, more * sizeof *names);
        if (names)
            l->names = names;
        if (!rows || !names)
            return 0;
        l->capacity = more;
    }
    l->names[l->n] = strndup(name, n_name);
    if (!l->names[l->n])
        return 0;
    memcpy(l->rows + l->n * d, row, d * sizeof *row);
    l->n++;
    return 1;
}

static int refuse(const cli_lesson *l, const char *path, const char *name, const char *why) {
    if (l->report)
        l->report(path, name, why);
    return CLI_INPUT_FAILED;
}

static int take(void *user, const char *path, const fn_analysis *analysis) {
    cli_lesson *l = user;
    char why[1024] = "";
    const char *name = path + strlen(l->root);
    name += strspn(name, "/");
    size_t n_name = strcspn(name, "/"), face;
    if (!name[n_name])
        return refuse(l, path, NULL, "lies beside the folders of people");
    if (!cli_face_choose(&face, analysis, l->face, why, sizeof why)) {
        char *copy = strndup(name, n_name);
        int code = refuse(l, path, copy, why);
        free(copy);
        return code;
    }
    l->dimension = analysis->dimension;
    if (!add_row(l, name, n_name, analysis->embeddings + face * (size_t)analysis->dimension)) {
        cli_error("%s: out of memory", path);
        return CLI_INPUTS;
    }
    if (l->report)
        l->report(path, l->names[l->n - 1], NULL);
    return CLI_DONE;
}

int cli_lesson_read(cli_lesson *lesson, fn_recognizer *recognizer, char *root) {
    struct stat st;
    if (stat(root, &st) || !S_ISDIR(st.st_mode)) {
        cli_error("%s: not a folder of people", root);
        return CLI_INPUTS;
    }
    lesson->root = root;
    fn_analyze_options analyze = cli_analyze_options();
    analyze.wanted = cli_face_wanted;
    analyze.user = &lesson->face;
    int code = cli_run_operands(recognizer, &root, 1, &analyze, take, lesson);
    if (code <= CLI_INPUTS && lesson->n == 0) {
        cli_error("%s: no photograph could be used: expected a folder per person with photographs inside",
                  root);
        code = CLI_INPUTS;
    }
    return code;
}

// ---- the gallery -----------------------------------------------------------------------------

typedef struct recall {
    cli_lesson *lesson;
    fn_gallery *gallery;
    const char *fingerprint;
    const char *name; // of the person being visited
    size_t n_others;  // faces of other models
} recall;

static int recall_face(void *user, const fn_face_record *face) {
    recall *r = user;
    if (strcmp(face->fingerprint, r->fingerprint) != 0 || face->dimension != r->lesson->dimension) {
        r->n_others++;
        return 0;
    }
    return !add_row(r->lesson, r->name, strlen(r->name), face->embedding);
}

static int recall_person(void *user, const fn_person *person) {
    recall *r = user;
    r->name = person->name;
    return fn_gallery_faces(r->gallery, person->name, recall_face, r);
}

int cli_lesson_recall(cli_lesson *lesson, fn_gallery *gallery, const fn_embedder *embedder) {
    recall r = {lesson, gallery, fn_embedder_fingerprint(embedder), NULL, 0};
    lesson->dimension = fn_embedder_dimension(embedder);
    int rc = fn_gallery_people(gallery, recall_person, &r);
    if (rc != FN_OK) {
        cli_error("%s", rc < 0 ? fn_last_error() : "out of memory");
        return CLI_GALLERY;
    }
    if (lesson->n == 0) {
        cli_error("%s: no face in it was embedded by %s", fn_gallery_path(gallery),
                  fn_embedder_name(embedder));
        return CLI_GALLERY;
    }
    if (r.n_others)
        cli_note("%zu faces of other models are left out", r.n_others);
    return CLI_DONE;
}

void cli_lesson_free(cli_lesson *lesson) {
    for (size_t i = 0; i < lesson->n; i++)
        free(lesson->names[i]);
    free(lesson->names);
    free(lesson->rows);
    *lesson = (cli_lesson){0};
}
