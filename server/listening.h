// SPDX-License-Identifier: Apache-2.0
//
// A socket that listens, and who may call it by which name.
#ifndef SERVER_LISTENING_H
#define SERVER_LISTENING_H

#include <stddef.h>

typedef struct server_listening {
    int fd; // -1: none
    int port;
    int is_loopback;  // 1: only programs on this machine reach it
    char address[64]; // as numbers
    char url[96];     // "http://127.0.0.1:8080/"
} server_listening;

/// Listens on an address given as numbers or "localhost" (NULL: 127.0.0.1), port 0: a free one. FN_EINVAL,
/// FN_EIO, and one line in `why`.
int server_listen(server_listening *out, const char *address, int port, char *why, size_t n_why);

/// 1 when the Host header of a request may stand there: on a loopback address only the names of this
/// machine, with any port, so that no web page reaches the server by a name that it turned to 127.0.0.1.
/// host may be NULL.
int server_host_is_ours(const server_listening *listening, const char *host);

#endif
