// SPDX-License-Identifier: Apache-2.0
//
// Pictures with numbers in a folder that others may write to at the same time: none is written over.
#ifndef CLI_NUMBERED_H
#define CLI_NUMBERED_H

#include <facenet/image.h>

#define CLI_TEMPORARY ".facenet-part-" // six letters follow; the library clears such away too

typedef struct cli_numbered {
    const char *folder, *prefix;
    int digits;         // at least so many, with zeros before
    unsigned long next; // number of the next file, or of a later one where that is taken
} cli_numbered;

/// Writes a picture (RGB) as FOLDER/PREFIX<number>.jpg, mode 0600, with the first number that is free. *path
/// is new memory (free). CLI_DONE or CLI_INPUTS, said on stderr.
int cli_numbered_save(cli_numbered *files, const fn_image *image, char **path);
/// The number in PREFIX<number>.jpg, or -1; more than nine digits are none.
long cli_number_of(const char *prefix, const char *file);

#endif
