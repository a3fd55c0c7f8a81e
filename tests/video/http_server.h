// SPDX-License-Identifier: Apache-2.0
//
// An HTTP server on the loopback interface, as badly behaved as a test wants it: one connection at a time,
// and the test says what each is given.
#ifndef FN_TESTS_VIDEO_HTTP_SERVER_H
#define FN_TESTS_VIDEO_HTTP_SERVER_H

#include <stddef.h>

typedef struct http_server http_server;

/// Answers the n-th connection (from 0) that asked for `path`: writes head and body with http_send.
typedef void (*http_answer)(void *user, http_server *server, int n, const char *path);

/// Starts it in a thread of its own; NULL: there is no loopback interface.
http_server *http_start(http_answer answer, void *user);
int http_port(const http_server *server);
/// Of connections taken so far.
int http_count(http_server *server);
/// For answers: 0 when the client or the test has gone.
int http_send(http_server *server, const void *bytes, size_t n);
int http_send_text(http_server *server, const char *text);
/// Sleeps; 0 when the test has gone.
int http_nap(http_server *server, int ms);
/// Breaks what is being answered off, waits for the thread and frees.
void http_stop(http_server *server);

#endif
