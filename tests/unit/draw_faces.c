// SPDX-License-Identifier: Apache-2.0
//
// draw_faces ROOT FIRST PEOPLE PICTURES SIZE: drawn faces as files, for the tests of the program.
#include "unit/drawn_faces.h"

#include <facenet/base.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int number[4] = {0};
    for (int i = 0; argc == 6 && i < 4; i++)
        number[i] = (int)strtol(argv[i + 2], NULL, 10);
    if (argc != 6 || number[1] < 1 || number[2] < 1 || number[3] < 8) {
        fputs("usage: draw_faces ROOT FIRST PEOPLE PICTURES SIZE\n", stderr);
        return 2;
    }
    if (draw_people(argv[1], number[0], number[1], number[2], number[3]) == 0)
        return 0;
    fprintf(stderr, "%s\n", fn_last_error());
    return 1;
}
