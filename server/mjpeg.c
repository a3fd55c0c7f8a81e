// SPDX-License-Identifier: Apache-2.0
//
// Routes and answers. libmicrohttpd is loaded here and not linked: with the TLS libraries behind it, it
// would cost every start of the program some milliseconds. Each connection has a thread, so an answer may
// wait for its picture.
#include "mjpeg.h"

#include "listening.h"
#include "newest.h"
#include "page.h"

#include <dlfcn.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    OTHERS = 24,       // connections besides the streams
    FROM_ONE = 16,     // connections of one address of another machine
    IDLE_S = 10,       // a client that takes or sends nothing for so long is left
    FIRST_MS = 5000,   // how long an answer waits for the first picture
    AGAIN_MS = 2000,   // a picture that stays is sent again, which also finds clients that went away
    BLOCK = 65536,     // bytes handed to the HTTP library at a time
    BEHIND = 128 << 10 // bytes the kernel may hold for a slow client: more would show it the past
};

#define BOUNDARY "facenet-frame"

struct server_mjpeg {
    server_newest *newest;
    server_listening listening;
    struct MHD_Daemon *daemon;
    char *title;
    int max_clients;
    atomic_int n_clients;
};

// ---- libmicrohttpd, as far as it is used --------------------------------------------------------

static struct {
    struct MHD_Daemon *(*start)(unsigned, uint16_t, MHD_AcceptPolicyCallback, void *,
                                MHD_AccessHandlerCallback, void *, ...);
    void (*stop)(struct MHD_Daemon *);
    struct MHD_Response *(*from_bytes)(size_t, void *, enum MHD_ResponseMemoryMode);
    struct MHD_Response *(*from_reader)(uint64_t, size_t, MHD_ContentReaderCallback, void *,
                                        MHD_ContentReaderFreeCallback);
    void (*destroy)(struct MHD_Response *);
    enum MHD_Result (*add_header)(struct MHD_Response *, const char *, const char *);
    enum MHD_Result (*queue)(struct MHD_Connection *, unsigned, struct MHD_Response *);
    const char *(*lookup)(struct MHD_Connection *, enum MHD_ValueKind, const char *);
    const union MHD_ConnectionInfo *(*connection_info)(struct MHD_Connection *, enum MHD_ConnectionInfoType,
                                                       ...);
} http;

static const struct {
    void *slot;
    const char *name;
} symbols[] = {
    {&http.start, "MHD_start_daemon"},
    {&http.stop, "MHD_stop_daemon"},
    {&http.from_bytes, "MHD_create_response_from_buffer"},
    {&http.from_reader, "MHD_create_response_from_callback"},
    {&http.destroy, "MHD_destroy_response"},
    {&http.add_header, "MHD_add_response_header"},
    {&http.queue, "MHD_queue_response"},
    {&http.lookup, "MHD_lookup_connection_value"},
    {&http.connection_info, "MHD_get_connection_info"},
};

// The table and the library's own header agree; nothing here runs.
#define AGREES(slot, function) _Static_assert(sizeof(1 ? http.slot : function), "")
AGREES(start, MHD_start_daemon);
AGREES(stop, MHD_stop_daemon);
AGREES(from_bytes, MHD_create_response_from_buffer);
AGREES(from_reader, MHD_create_response_from_callback);
AGREES(destroy, MHD_destroy_response);
AGREES(add_header, MHD_add_response_header);
AGREES(queue, MHD_queue_response);
AGREES(lookup, MHD_lookup_connection_value);
AGREES(connection_info, MHD_get_connection_info);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_loaded;

static void load(void) {
    void *library = dlopen("libmicrohttpd.so.12", RTLD_NOW | RTLD_LOCAL);
    is_loaded = library != NULL;
    for (size_t i = 0; is_loaded && i < sizeof symbols / sizeof *symbols; i++) {
        void *symbol = dlsym(library, symbols[i].name);
        memcpy(symbols[i].slot, &symbol, sizeof symbol); // C has no cast from void * to a function
        is_loaded = symbol != NULL;
    }
}

// ---- answers ------------------------------------------------------------------------------------

// Queues a response, with the headers that all have, and lets go of it. A NULL response closes the
// connection.
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              struct MHD_Response *response, const char *type) {
    static const char *const headers[][2] = {
        {"Cache-Control", "no-store"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    if (!response)
        return MHD_NO;
    enum MHD_Result done = http.add_header(response, "Content-Type", type);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        done = done ? http.add_header(response, headers[i][0], headers[i][1]) : done;
    if (done)
        done = http.queue(connection, status, response);
    http.destroy(response);
    return done;
}

static enum MHD_Result answer_words(struct MHD_Connection *connection, unsigned status, const char *words) {
    struct MHD_Response *response =
        http.from_bytes(strlen(words), (void *)(uintptr_t)words, MHD_RESPMEM_PERSISTENT);
    if (response && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        http.add_header(response, "Allow", "GET");
    if (response && status == MHD_HTTP_SERVICE_UNAVAILABLE)
        http.add_header(response, "Retry-After", "2");
    if (response)
        http.add_header(response, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    return answer(connection, status, response, "text/plain; charset=utf-8");
}

static enum MHD_Result answer_page(server_mjpeg *server, struct MHD_Connection *connection) {
    server_page page;
    if (!server_page_make(&page, server->title))
        return answer_words(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    struct MHD_Response *response = http.from_bytes(page.n, page.html, MHD_RESPMEM_MUST_FREE);
    if (response)
        http.add_header(response, "Content-Security-Policy", page.policy);
    else
        free(page.html);
    return answer(connection, MHD_HTTP_OK, response, "text/html; charset=utf-8");
}

static enum MHD_Result answer_frame(server_mjpeg *server, struct MHD_Connection *connection) {
    server_frame *frame = server_newest_wait(server->newest, 0, FIRST_MS);
    if (!frame)
        return answer_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no picture yet\n");
    struct MHD_Response *response = http.from_bytes(frame->n_bytes, frame->jpeg, MHD_RESPMEM_MUST_COPY);
    server_newest_give_back(server->newest, frame);
    return answer(connection, MHD_HTTP_OK, response, "image/jpeg");
}

// ---- the stream ---------------------------------------------------------------------------------

// What one client is being sent: the head of a part, the JPEG, the boundary behind it. The boundary goes
// with the picture and not with the next one, because browsers show a part only when they see its end.
typedef struct client {
    server_mjpeg *server;
    server_frame *frame; // NULL before the first
    char head[128];
    struct {
        const void *bytes;
        size_t n;
    } piece[3];
    int at_piece;
    size_t at;
} client;

static int next_part(client *c) {
    uint64_t seen = c->frame ? c->frame->number : 0;
    server_frame *frame = server_newest_wait(c->server->newest, seen, c->frame ? AGAIN_MS : FIRST_MS);
    if (!frame)
        return 0;
    int n = snprintf(c->head, sizeof c->head, "%sContent-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n",
                     c->frame ? "" : "--" BOUNDARY "\r\n", frame->n_bytes);
    if (c->frame)
        server_newest_give_back(c->server->newest, c->frame);
    c->frame = frame;
    c->piece[0].bytes = c->head;
    c->piece[0].n = (size_t)n;
    c->piece[1].bytes = frame->jpeg;
    c->piece[1].n = frame->n_bytes;
    c->piece[2].bytes = "\r\n--" BOUNDARY "\r\n";
    c->piece[2].n = strlen(c->piece[2].bytes);
    c->at_piece = 0;
    c->at = 0;
    return 1;
}

static ssize_t read_stream(void *user, uint64_t position, char *dst, size_t max) {
    client *c = user;
    (void)position;
    if (c->at_piece == 3 && !next_part(c))
        return MHD_CONTENT_READER_END_OF_STREAM;
    size_t n_done = 0;
    while (c->at_piece < 3 && n_done < max) {
        size_t left = c->piece[c->at_piece].n - c->at, n = left < max - n_done ? left : max - n_done;
        memcpy(dst + n_done, (const char *)c->piece[c->at_piece].bytes + c->at, n);
        n_done += n;
        c->at += n;
        if (n == left) {
            c->at_piece++;
            c->at = 0;
        }
    }
    return (ssize_t)n_done;
}

static void free_client(void *user) {
    client *c = user;
    if (c->frame)
        server_newest_give_back(c->server->newest, c->frame);
    atomic_fetch_sub(&c->server->n_clients, 1);
    free(c);
}

static enum MHD_Result answer_stream(server_mjpeg *server, struct MHD_Connection *connection) {
    if (atomic_fetch_add(&server->n_clients, 1) >= server->max_clients) {
        atomic_fetch_sub(&server->n_clients, 1);
        return answer_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many look already\n");
    }
    client *c = calloc(1, sizeof *c);
    if (!c) {
        atomic_fetch_sub(&server->n_clients, 1);
        return MHD_NO;
    }
    c->server = server;
    c->at_piece = 3;
    if (!next_part(c)) {
        free_client(c);
        return answer_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "there is no picture yet\n");
    }
    const union MHD_ConnectionInfo *info =
        http.connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int n = BEHIND;
    if (info)
        setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof n);
    struct MHD_Response *response = http.from_reader(MHD_SIZE_UNKNOWN, BLOCK, read_stream, c, free_client);
    if (!response)
        free_client(c);
    return answer(connection, MHD_HTTP_OK, response, "multipart/x-mixed-replace; boundary=" BOUNDARY);
}

// ---- routes -------------------------------------------------------------------------------------

static const struct {
    const char *path;
    enum MHD_Result (*answer)(server_mjpeg *, struct MHD_Connection *);
} routes[] = {
    {"/", answer_page},
    {"/stream", answer_stream},
    {"/frame.jpg", answer_frame},
};

// A page of another site may link here, but neither show nor fetch the pictures.
static int comes_from_elsewhere(struct MHD_Connection *connection) {
    const char *site = http.lookup(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
    return site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
}

static enum MHD_Result route(void *user, struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, const char *upload, size_t *n_upload,
                             void **request) {
    server_mjpeg *server = user;
    (void)version, (void)upload, (void)n_upload, (void)request;
    if (!server_host_is_ours(&server->listening, http.lookup(connection, MHD_HEADER_KIND, "Host")))
        return answer_words(connection, MHD_HTTP_FORBIDDEN,
                            "ask for this machine by its address, or for localhost\n");
    if (strcmp(method, "GET") != 0)
        return answer_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(path, routes[i].path) != 0)
            continue;
        if (i > 0 && comes_from_elsewhere(connection))
            return answer_words(connection, MHD_HTTP_FORBIDDEN, "not for pages of other sites\n");
        return routes[i].answer(server, connection);
    }
    return answer_words(connection, MHD_HTTP_NOT_FOUND, "there is /, /stream and /frame.jpg\n");
}

// ---- open and free ------------------------------------------------------------------------------

// The library's threads inherit a mask that keeps signals for the program's own.
static struct MHD_Daemon *start(server_mjpeg *server) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct MHD_Daemon *daemon =
        http.start(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
                   NULL, route, server, MHD_OPTION_LISTEN_SOCKET, server->listening.fd,
                   MHD_OPTION_CONNECTION_LIMIT, (unsigned)(server->max_clients + OTHERS),
                   MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                   server->listening.is_loopback ? 0U : (unsigned)FROM_ONE, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return daemon;
}

static int check_options(const server_mjpeg_options *options, char *why, size_t n_why) {
    if (options->max_clients < 1 || options->max_clients > 1000)
        snprintf(why, n_why, "%d clients: 1 to 1000 may look", options->max_clients);
    else if (options->quality < 1 || options->quality > 100)
        snprintf(why, n_why, "a JPEG quality of %d: it goes from 1 to 100", options->quality);
    else
        return FN_OK;
    return FN_EINVAL;
}

int server_mjpeg_open(server_mjpeg **out, const server_mjpeg_options *options, char *why, size_t n_why) {
    *out = NULL;
    int rc = check_options(options, why, n_why);
    if (rc < 0)
        return rc;
    pthread_once(&once, load);
    if (!is_loaded) {
        snprintf(why, n_why, "looking from a browser needs the package libmicrohttpd12: install it");
        return FN_EUNSUPPORTED;
    }
    server_mjpeg *server = calloc(1, sizeof *server);
    if (server) {
        server->listening.fd = -1;
        server->max_clients = options->max_clients;
        server->title = strdup(options->title ? options->title : "facenet");
        server->newest = server_newest_open(options->quality);
    }
    if (!server || !server->title || !server->newest) {
        snprintf(why, n_why, "out of memory");
        rc = FN_ENOMEM;
        goto out;
    }
    rc = server_listen(&server->listening, options->listen, options->port, why, n_why);
    if (rc < 0)
        goto out;
    server->daemon = start(server);
    if (!server->daemon) {
        snprintf(why, n_why, "the server of pictures cannot be started: no thread or memory for it");
        rc = FN_EIO;
    }
out:
    if (rc < 0)
        server_mjpeg_free(server);
    else
        *out = server;
    return rc;
}

void server_mjpeg_free(server_mjpeg *server) {
    if (!server)
        return;
    if (server->newest)
        server_newest_stop(server->newest);
    if (server->daemon)
        http.stop(server->daemon); // closes the socket too
    else if (server->listening.fd >= 0)
        close(server->listening.fd);
    server_newest_free(server->newest);
    free(server->title);
    free(server);
}

const char *server_mjpeg_url(const server_mjpeg *server) {
    return server->listening.url;
}

int server_mjpeg_port(const server_mjpeg *server) {
    return server->listening.port;
}

int server_mjpeg_is_local(const server_mjpeg *server) {
    return server->listening.is_loopback;
}

int server_mjpeg_viewers(const server_mjpeg *server) {
    return atomic_load(&server->n_clients);
}

int server_mjpeg_show(server_mjpeg *server, const fn_image *image) {
    return server_newest_show(server->newest, image);
}
