// SPDX-License-Identifier: Apache-2.0
//
// The networks to train, as facenet model shows them.
#ifndef CLI_NETWORKS_H
#define CLI_NETWORKS_H

#include <stddef.h>

int cli_is_network(const char *name);
/// Their names, separated by commas, or as many as fit.
void cli_network_names(char *dst, size_t size_bytes);
/// One line per network.
int cli_network_list(void);
/// One line per layer and the totals. embedding, size: 0 for the network's own.
int cli_network_info(const char *name, int embedding, int size);

#endif
