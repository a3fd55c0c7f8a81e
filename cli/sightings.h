// SPDX-License-Identifier: Apache-2.0
//
// Who was seen in a video, told to people and programs: lines, JSON, CSV, a page.
#ifndef CLI_SIGHTINGS_H
#define CLI_SIGHTINGS_H

#include "output.h"
#include "watch.h"

#include <stdio.h>

enum { CLI_PICTURE = 160 }; // side of a face on the page

typedef struct cli_sightings {
    const cli_watch *watch;
    const fn_timeline *timeline; // finished
    double length_s;             // of what was looked through
    uint64_t n_frames;
    const char *ended_early; // why, in one line; NULL: at its end
} cli_sightings;

/// What is told of one row besides what the timeline knows.
typedef struct cli_sighting {
    const fn_timeline_row *row;
    char name[1040];     // "unknown-3" for an unknown one
    const char *nearest; // NULL: nobody was compared with
    double fmr;          // of the distance; NaN when there is none
    char meaning[256];
} cli_sighting;

/// Row `index` of the timeline in words. 0 beyond the last.
int cli_sighting_get(cli_sighting *out, const cli_sightings *sightings, size_t index);

/// One line per appearance on stdout, or with --json one object.
void cli_sightings_print(const cli_sightings *sightings);

/// 1 when the path's ending is one of .json, .csv, .html.
int cli_sightings_is_file(const char *path);
/// 1 when what the path's ending stands for shows pictures.
int cli_sightings_has_pictures(const char *path);
/// Whether a file could be made there: for before the work begins. CLI_DONE or CLI_INPUTS, said on stderr.
int cli_sightings_check(const char *path);
/// Writes a file by its ending. It holds faces and names, so it has mode 0600; it appears under its name only
/// when it is complete, and a link is followed. CLI_DONE or CLI_INPUTS, said on stderr.
int cli_sightings_write(const cli_sightings *sightings, const char *path);

/// The page (sightings_page.c) as well-formed XML.
void cli_sightings_page(FILE *out, const cli_sightings *sightings);

#endif
