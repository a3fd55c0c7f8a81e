// SPDX-License-Identifier: Apache-2.0
#include "cli.h"

static const cli_command command = {
    .name = "version", .operands = "", .about = "Prints the version.", .max_operands = 0};

int cmd_version(int argc, char **argv) {
    int n, end = cli_parse(&command, argc, argv, &n);
    if (end >= 0)
        return end;
    printf("facenet %s\n", fn_version());
    return CLI_DONE;
}
