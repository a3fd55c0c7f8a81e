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
    char url[300];    // "http://127.0.0.1:8080/"; the machine's name where it is any address
} server_listening;

/// Listens on an address given as numbers or "localhost" (NULL: 127.0.0.1), port 0: a free one. FN_EINVAL,
/// FN_EIO, and one line in `why`.
int server_listen(server_listening *out, const char *address, int port, char *why, size_t n_why);

/// 1 when the Host header of a request may stand there, with any port: on a loopback address only its own
/// names; on others any address given as numbers, "localhost", and this machine's name, alone or in .local,
/// .lan or .home.arpa. So no web page reaches the server by a name of its own that it turned to this
/// machine's address. host may be NULL, which no browser sends: allowed on others only.
int server_host_is_ours(const server_listening *listening, const char *host);

#endif
