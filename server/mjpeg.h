// SPDX-License-Identifier: Apache-2.0
//
// Running pictures for a browser, over HTTP on this machine: GET / is a page, GET /stream an endless
// multipart of JPEGs, GET /frame.jpg the newest one.
//
//     char why[256];
//     server_mjpeg_options options = SERVER_MJPEG_OPTIONS_INIT;
//     options.port = 8080;
//     if (server_mjpeg_open(&server, &options, why, sizeof why) < 0)
//         cli_error("%s", why);
//     while (...)
//         server_mjpeg_show(server, &image);
//     server_mjpeg_free(server);
//
// Only the newest picture counts: a slow browser misses pictures, it never holds up the program nor makes
// it grow. A picture is encoded once, by the first who wants it, and not at all when nobody does.
#ifndef SERVER_MJPEG_H
#define SERVER_MJPEG_H

#include <facenet/image.h>

typedef struct server_mjpeg server_mjpeg;

typedef struct server_mjpeg_options {
    const char *listen; // address, as numbers, or "localhost"; NULL: 127.0.0.1
    int port;           // 0: a free one
    const char *title;  // of the page, UTF-8; NULL: "facenet"
    int max_clients;    // streams at a time, further ones are told 503
    int quality;        // of the JPEGs, 1..100
} server_mjpeg_options;
#define SERVER_MJPEG_OPTIONS_INIT                                                                            \
    { NULL, 0, NULL, 8, 80 }

/// Starts to serve, on threads of its own that no signal reaches. On failure *out is NULL and `why` holds one
/// line. FN_EINVAL: no such address or port; FN_EIO: the port is in use or not allowed; FN_EUNSUPPORTED:
/// libmicrohttpd, which is loaded here, is missing; FN_ENOMEM.
int server_mjpeg_open(server_mjpeg **out, const server_mjpeg_options *options, char *why, size_t n_why);
/// Stops within a fraction of a second, whatever the clients do. NULL is a no-op.
void server_mjpeg_free(server_mjpeg *server);

/// Where to look: "http://127.0.0.1:8080/". Valid until the server is freed.
const char *server_mjpeg_url(const server_mjpeg *server);
int server_mjpeg_port(const server_mjpeg *server);
/// 1 when only programs on this machine can look.
int server_mjpeg_is_local(const server_mjpeg *server);
/// Streams being looked at now.
int server_mjpeg_viewers(const server_mjpeg *server);

/// Makes a copy of the pixels the newest picture. Any thread. FN_EINVAL: no image; FN_ENOMEM: the picture
/// is left out.
int server_mjpeg_show(server_mjpeg *server, const fn_image *image);

#endif
