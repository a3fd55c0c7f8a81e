// SPDX-License-Identifier: Apache-2.0
//
// The embeddings of known people, to learn from: of photographs in a folder per person, or of the gallery.
#ifndef CLI_LESSON_H
#define CLI_LESSON_H

#include "cli.h"

typedef struct cli_lesson {
    float *rows; // (n, dimension)
    char **names;
    size_t n, capacity;
    int dimension;
    cli_face face; // which face of a photograph
    /// Told of each photograph, why NULL when it is taken; NULL: nobody is.
    void (*report)(const char *path, const char *name, const char *why);
    const char *root;
} cli_lesson;

/// One face of each photograph DIR/<name>/*. CLI_DONE, or CLI_INPUTS when some could not be used, or when
/// none could, said on stderr.
int cli_lesson_read(cli_lesson *lesson, fn_recognizer *recognizer, char *root);
/// Every face of the gallery that was embedded by this model.
int cli_lesson_recall(cli_lesson *lesson, fn_gallery *gallery, const fn_embedder *embedder);
void cli_lesson_free(cli_lesson *lesson);

#endif
