// SPDX-License-Identifier: Apache-2.0
#include "video/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TICK_MS = 20 };

struct http_server {
    int listener, port, client;
    atomic_int is_over, n;
    http_answer answer;
    void *user;
    pthread_t thread;
};

static int is_ready(http_server *server, int fd, short events) {
    struct pollfd ready = {.fd = fd, .events = events};
    while (!atomic_load(&server->is_over)) {
        if (poll(&ready, 1, TICK_MS) > 0)
            return 1;
    }
    return 0;
}

// The path of a request, whose head is read to its end.
static int read_request(http_server *server, char path[256]) {
    char head[4096];
    size_t n = 0;
    while (n + 1 < sizeof head && is_ready(server, server->client, POLLIN)) {
        const ssize_t got = recv(server->client, head + n, sizeof head - 1 - n, 0);
        if (got <= 0)
            return 0;
        n += (size_t)got;
        head[n] = 0;
        if (strstr(head, "\r\n\r\n"))
            return sscanf(head, "%*s %255s", path) == 1;
    }
    return 0;
}

static void *serve(void *argument) {
    http_server *server = argument;
    char path[256];
    while (is_ready(server, server->listener, POLLIN)) {
        server->client = accept(server->listener, NULL, NULL);
        if (server->client < 0)
            continue;
        const int n = atomic_fetch_add(&server->n, 1);
        if (read_request(server, path))
            server->answer(server->user, server, n, path);
        close(server->client);
    }
    return NULL;
}

http_server *http_start(http_answer answer, void *user) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    http_server *server = calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->answer = answer;
    server->user = user;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) ||
        listen(server->listener, 8) || getsockname(server->listener, (struct sockaddr *)&address, &size) ||
        pthread_create(&server->thread, NULL, serve, server)) {
        if (server->listener >= 0)
            close(server->listener);
        free(server);
        return NULL;
    }
    server->port = ntohs(address.sin_port);
    return server;
}

int http_port(const http_server *server) {
    return server->port;
}

int http_count(http_server *server) {
    return atomic_load(&server->n);
}

int http_send(http_server *server, const void *bytes, size_t n) {
    const char *p = bytes;
    while (n && is_ready(server, server->client, POLLOUT)) {
        const ssize_t put = send(server->client, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (put < 0 && errno == EAGAIN)
            continue;
        if (put <= 0)
            return 0;
        p += put;
        n -= (size_t)put;
    }
    return n == 0;
}

int http_send_text(http_server *server, const char *text) {
    return http_send(server, text, strlen(text));
}

int http_nap(http_server *server, int ms) {
    for (; ms > 0 && !atomic_load(&server->is_over); ms -= TICK_MS)
        poll(NULL, 0, ms < TICK_MS ? ms : TICK_MS);
    return !atomic_load(&server->is_over);
}

void http_stop(http_server *server) {
    if (!server)
        return;
    atomic_store(&server->is_over, 1);
    pthread_join(server->thread, NULL);
    close(server->listener);
    free(server);
}
